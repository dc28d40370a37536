/* SPDX-License-Identifier: MIT */
/* An answer on its way out: the response becomes libmicrohttpd's. A fixed body is sent from where it lies, in the request's arena,
 * which therefore lives until the library lets go of the response. */
#include <stdlib.h>
#include <string.h>

#include "server/admission.h"
#include "server/compression.h"
#include "server/endpoint.h"
#include "server/listener_parts.h"
#include "server/listener_request.h"

static void response_freed(void *context)
{
    exchange_drop(context);
}

/* A stream of no pieces is its head and its tail. */
static bool join_tail(struct exchange *exchange)
{
    struct response *response = &exchange->response;
    char *joined;
    if (response->has_stream || response->tail_bytes == 0)
        return true;
    joined = arena_alloc(&exchange->request.arena, response->body_bytes + response->tail_bytes);
    if (joined == NULL)
        return false;
    memcpy(joined, response->body, response->body_bytes);
    memcpy(joined + response->body_bytes, response->tail, response->tail_bytes);
    response->body = joined;
    response->body_bytes += response->tail_bytes;
    response->tail_bytes = 0;
    return true;
}

static struct MHD_Response *make_body(struct exchange *exchange)
{
    const struct response *response = &exchange->response;
    struct MHD_Response *made;

    if (response->has_stream)
        return stream_open(exchange);
    if (!join_tail(exchange))
        return NULL;
    if (response->body_bytes == 0)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    exchange_hold(exchange);
    made = MHD_create_response_from_buffer_with_free_callback_cls(
        response->body_bytes, (char *)(uintptr_t)response->body, response_freed, exchange);
    if (made == NULL)
        exchange_drop(exchange);
    return made;
}

/* Tells the clock that an answer begins. False: the connection was closed meanwhile. */
static bool begin_sending(const struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    const uint64_t now = exchange->submitted ? clock_now_ns() : exchange->request.lap_ns;
    pthread_mutex_lock(&connection->lock);
    const bool open = !connection->cut;
    connection->phase = PHASE_SENDING;
    connection->since_ns = now;
    connection->answered = true;
    connection->job = NULL;
    pthread_mutex_unlock(&connection->lock);
    return open;
}

static void read_on_afterwards(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    connection->linger = true;
    pthread_mutex_unlock(&connection->lock);
}

static void add_rate(struct exchange *exchange)
{
    const struct access_rate *rate = &exchange->rate;
    if (rate->limit == 0)
        return;
    response_number(&exchange->response, &exchange->request, "RateLimit-Policy", "\"default\";q=", rate->limit, ";w=1");
    response_number(&exchange->response, &exchange->request, "RateLimit", "\"default\";r=", rate->left, ";t=1");
}

static bool queue(struct exchange *exchange, struct MHD_Response *made)
{
    const struct response *response = &exchange->response;
    for (unsigned i = 0; i < response->header_count; i++)
        MHD_add_response_header(made, response->headers[i].name, response->headers[i].value);
    if (exchange->close || response->close ||
        atomic_load_explicit(&exchange->request.daemon->draining, memory_order_relaxed))
        MHD_add_response_header(made, MHD_HTTP_HEADER_CONNECTION, "close");
    exchange->answered = true;
    exchange->request.status = response->status;
    return MHD_queue_response(exchange->library, response->status, made) == MHD_YES;
}

bool exchange_send(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    const bool is_compute = request->route != NULL && (exchange->match.route->flags & ENDPOINT_COMPUTE) != 0;
    compression_apply(&exchange->response, request);
    struct MHD_Response *made = make_body(exchange);

    if (made == NULL) {
        if (exchange->response.status >= 400)
            return false;
        admission_fail_memory(request, &request->error);
        return exchange_send_problem(exchange);
    }
    if (is_compute)
        add_rate(exchange);
    response_finish(&exchange->response, request, is_compute);
    if (exchange->close)
        read_on_afterwards(exchange->connection);
    const bool queued = begin_sending(exchange) && queue(exchange, made);
    MHD_destroy_response(made);
    return queued;
}

bool exchange_send_problem(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);

    if (request->error.limit != NULL && strcmp(request->error.limit, "max_body_bytes") == 0 &&
        exchange->framing.chunked && request->body_bytes > config->max_body_bytes)
        request->error.requested = request->body_bytes; /* by now all of it has come */
    response_problem(&exchange->response, request);
    if (exchange->response.status == 405)
        response_header(&exchange->response, "Allow", exchange->match.allow);
    return exchange_send(exchange);
}
