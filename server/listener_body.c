/* SPDX-License-Identifier: MIT */
/* The body on its way to the endpoint: as it comes, or unpacked. What it unpacks to counts against max_body_bytes as it is made,
 * so that a small body which holds a large one costs no more than the limit. */
#include <inttypes.h>

#include "server/admission.h"
#include "server/endpoint.h"
#include "server/formats/gzip.h"
#include "server/listener_parts.h"

static bool feed_unpacked(void *context, const char *bytes, size_t count)
{
    struct exchange *exchange = context;
    struct request *request = &exchange->request;
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);

    exchange->unpacked_bytes += count;
    if (exchange->unpacked_bytes <= config->max_body_bytes)
        return request->endpoint->feed(request, bytes, count, &request->error);
    convolve_fail(&request->error, "too-large", "",
                  "the body unpacks to more than max_body_bytes, %" PRIu64 "; cut the work into smaller pieces",
                  config->max_body_bytes);
    request->error.limit = "max_body_bytes";
    request->error.allowed = config->max_body_bytes;
    request->error.requested = exchange->unpacked_bytes;
    return false;
}

bool exchange_unpack(struct exchange *exchange, struct convolve_error *error)
{
    exchange->unpack = gzip_reader_create(&exchange->request.arena, feed_unpacked, exchange);
    return exchange->unpack != NULL || admission_fail_memory(&exchange->request, error);
}

bool exchange_feed(struct exchange *exchange, const char *bytes, size_t count)
{
    struct request *request = &exchange->request;

    if (exchange->unpack == NULL)
        return request->endpoint->feed(request, bytes, count, &request->error);
    const uint64_t since = clock_now_ns(), decode_ns = request->decode_ns;
    const bool fine = gzip_reader_feed(exchange->unpack, bytes, count, &request->error);
    request->decode_ns = decode_ns + (clock_now_ns() - since); /* what it fed is within */
    return fine;
}

bool exchange_feed_end(struct exchange *exchange)
{
    return exchange->unpack == NULL || gzip_reader_end(exchange->unpack, &exchange->request.error);
}
