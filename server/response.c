/* SPDX-License-Identifier: MIT */
/* Answers before they are bytes: the document of a problem, and the headers that every answer has. */
#include "server/response.h"

#include <stdlib.h>
#include <string.h>

#include "server/access.h"
#include "server/append.h"
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

/* Said even where there is no memory for a number. */
static void add_retry_after(struct response *response, struct request *request)
{
    if (request->retry_after_s > 1)
        response_number(response, request, "Retry-After", "", request->retry_after_s, "");
    else
        response_header(response, "Retry-After", "1");
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
        add_retry_after(response, request);
    else if (response->status == 401)
        response_header(response, "WWW-Authenticate", "Bearer");
}

static void add_timing(struct response *response, struct request *request)
{
    const struct {
        const char *name;
        uint64_t ns;
    } phases[] = {{"decode;dur=", request->decode_ns},
                  {", queue;dur=", request->queue_ns},
                  {", compute;dur=", request->compute_ns}};
    enum { COUNT = sizeof phases / sizeof *phases, NAME_BYTES_MAX = 16 };
    char *text = arena_alloc(&request->arena, COUNT * (NAME_BYTES_MAX + APPEND_MILLISECONDS_MAX) + 1), *at = text;

    if (text == NULL)
        return;
    for (size_t i = 0; i < COUNT; i++)
        at = append_milliseconds(append_text(at, phases[i].name), phases[i].ns);
    *at = '\0';
    response_header(response, "Server-Timing", text);
}

static void add_cors(struct response *response, struct request *request)
{
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);
    const char *origin = access_allowed_origin(config, request_header(request, "Origin"));

    if (config->cors_origins.count == 0)
        return;
    if (origin == NULL || strcmp(origin, "*") != 0)
        response->varies |= VARIES_ORIGIN;
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
    char *text = arena_alloc(&request->arena, strlen(before) + APPEND_UNSIGNED_MAX + strlen(after) + 1);
    if (text == NULL)
        return;
    *append_text(append_unsigned(append_text(text, before), number), after) = '\0';
    response_header(response, name, text);
}

/* One header, since not every cache joins several. */
static void add_vary(struct response *response)
{
    static const char *const names[] = {
        NULL,     "Accept",         "Accept-Encoding",         "Accept, Accept-Encoding",
        "Origin", "Accept, Origin", "Accept-Encoding, Origin", "Accept, Accept-Encoding, Origin"};
    response_header(response, "Vary", names[response->varies]);
}

void response_finish(struct response *response, struct request *request, bool is_compute)
{
    if (response->content_type != NULL)
        response_header(response, "Content-Type", response->content_type);
    response_header(response, "X-Request-Id", request->id);
    if (is_compute) {
        add_timing(response, request);
        response->varies |= VARIES_ACCEPT; /* JSON or .npy, or neither */
    }
    add_cors(response, request);
    add_vary(response);
}
