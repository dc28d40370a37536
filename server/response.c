/* SPDX-License-Identifier: MIT */
/* Answers before they are bytes: the document of a problem, and the headers that every answer has. */
#include "server/response.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/access.h"
#include "server/daemon.h"
#include "server/problem.h"
#include "server/request.h"

void response_text(struct response *response, unsigned status, const char *content_type, const char *body,
                   size_t body_bytes)
{
    response->status = status;
    response->content_type = content_type;
    response->body = body;
    response->body_bytes = body_bytes;
}

void response_header(struct response *response, const char *name, const char *value)
{
    if (value != NULL && response->header_count < sizeof response->headers / sizeof response->headers[0])
        response->headers[response->header_count++] = (struct response_header){name, value};
}

static const char *format_in_arena(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *format_in_arena(struct arena *arena, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    const int bytes = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return bytes < 0 || (size_t)bytes >= sizeof text ? NULL : arena_copy_text(arena, text, (size_t)bytes);
}

void response_problem(struct response *response, struct request *request)
{
    const struct problem *problem = request->error.slug != NULL ? problem_find(request->error.slug) : NULL;
    char document[PROBLEM_BYTES_MAX];
    const size_t bytes = problem_write(document, &request->error, request->error_offset, request->id);
    const bool close = response->close;
    free(request->problem_text);
    request->problem_text = malloc(bytes);
    if (request->problem_text != NULL)
        memcpy(request->problem_text, document, bytes);

    *response = (struct response){.close = close};
    response_text(response, problem != NULL ? problem->status : 503, "application/problem+json", request->problem_text,
                  request->problem_text != NULL ? bytes : 0);
    if (response->status == 503 || response->status == 429)
        response_header(
            response, "Retry-After",
            request->retry_after_s > 1 ? format_in_arena(&request->arena, "%" PRIu64, request->retry_after_s) : "1");
    else if (response->status == 401)
        response_header(response, "WWW-Authenticate", "Bearer");
}

/* Milliseconds with three decimals, by integers, so that no locale changes the point. */
#define MILLISECONDS(ns) (ns) / 1000000, (ns) / 1000 % 1000

static void add_timing(struct response *response, struct request *request)
{
    response_header(response, "Server-Timing",
                    format_in_arena(&request->arena,
                                    "decode;dur=%" PRIu64 ".%03" PRIu64 ", queue;dur=%" PRIu64 ".%03" PRIu64
                                    ", compute;dur=%" PRIu64 ".%03" PRIu64,
                                    MILLISECONDS(request->decode_ns), MILLISECONDS(request->queue_ns),
                                    MILLISECONDS(request->compute_ns)));
}

static void add_cors(struct response *response, struct request *request)
{
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);
    const char *origin = access_allowed_origin(config, request_header(request, "Origin"));

    if (config->cors_origins.count == 0)
        return;
    if (origin == NULL || strcmp(origin, "*") != 0)
        response_header(response, "Vary", "Origin");
    if (origin == NULL)
        return;
    response_header(response, "Access-Control-Allow-Origin", origin);
    response_header(response, "Access-Control-Expose-Headers",
                    "Server-Timing, X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Convolved-Method, "
                    "Convolved-Flipped, Convolved-Error-Bound, Convolved-Notes");
    response_header(response, "Timing-Allow-Origin", origin);
}

void response_options(struct response *response, struct request *request, const char *allow)
{
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);

    response_text(response, 204, NULL, NULL, 0);
    response_header(response, "Allow", allow);
    if (request_header(request, "Access-Control-Request-Method") == NULL ||
        access_allowed_origin(config, request_header(request, "Origin")) == NULL)
        return;
    response_header(response, "Access-Control-Allow-Methods", allow);
    response_header(response, "Access-Control-Allow-Headers",
                    "Authorization, Content-Type, Content-Encoding, Accept, X-Request-Id, traceparent, "
                    "Inference-Header-Content-Length");
    response_header(response, "Access-Control-Max-Age", "86400");
}

void response_number(struct response *response, struct request *request, const char *name, const char *before,
                     uint64_t number, const char *after)
{
    response_header(response, name, format_in_arena(&request->arena, "%s%" PRIu64 "%s", before, number, after));
}

void response_finish(struct response *response, struct request *request, bool is_compute)
{
    if (response->content_type != NULL)
        response_header(response, "Content-Type", response->content_type);
    response_header(response, "X-Request-Id", request->id);
    if (is_compute)
        add_timing(response, request);
    add_cors(response, request);
}
