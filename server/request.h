/* SPDX-License-Identifier: MIT */
/* One request's life: what the headers said, the arena, the body's progress, the job, the times of its phases. Made by the
 * listener at the first header, seen by endpoints, freed when the answer is out. */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <strings.h>

#include "core/convolve.h"
#include "server/arena.h"
#include "server/media.h"
#include "server/pool.h"

struct daemon; /* server/daemon.h: configuration, pool, budget, metrics: what all requests share */
struct endpoint;
struct response;

enum request_stage { REQUEST_READING, REQUEST_QUEUED, REQUEST_ANSWERING, REQUEST_ENDED };

/* A header as sent, or a query parameter, decoded. */
struct request_field {
    const char *name, *value;
};

/* Whether that is its name, in any case. Most names differ in their first letter. */
static inline bool request_field_is(const struct request_field *field, const char *name)
{
    return ((field->name[0] ^ name[0]) & ~0x20) == 0 && strcasecmp(field->name, name) == 0;
}

struct request {
    struct daemon *daemon;
    const struct endpoint *endpoint;
    const char *route; /* the path as routes.def has it ("/v1/convolve"), for metrics; NULL before routing */
    const char *method, *path; /* as sent */
    const char *path_rest; /* what a route that ends in "{...}" has matched; else NULL */
    const char *client; /* the caller's address; behind a trusted proxy, that of whom it asks for */
    char id[132]; /* X-Request-Id */
    char traceparent[64]; /* the caller's where it is one, or "" */
    struct arena arena;
    struct media media; /* of the body, and of the answer that is asked for; compute paths only */
    void *state; /* the endpoint's own, from the arena */
    struct job job; /* filled by an endpoint that answers PENDING */

    uint64_t announced_bytes; /* of the body as it is sent; 0: none, or not announced */
    uint64_t body_bytes; /* received so far */
    char *problem_text; /* the document that answers it; from malloc, since memory may be what was missing */
    int64_t error_offset; /* the byte, for malformed-json; else -1 */
    struct convolve_error error; /* the first fault */

    uint64_t began_ns, received_ns, ended_ns; /* CLOCK_MONOTONIC: first byte known, last byte of the body, answer out */
    uint64_t decode_ns, compute_ns, queue_ns, encode_ns; /* spent in each phase so far */
    uint64_t lap_ns; /* when the clock was last looked at by the thread that has the request */
    uint64_t deadline_ns; /* from request_timeout_ms; an endpoint may bring it forward (timeout_ms) */
    uint64_t retry_after_s; /* with rate-limited; 0 counts as 1 */
    unsigned status; /* of the answer, once there is one */
    const char *log_method; /* the convolution method used, for the log line; NULL: none */
    void *connection; /* the listener's */

    const struct request_field *headers, *query; /* in the order they came */
    size_t header_count, query_count;
};

/* The first request header of that name (case-insensitive), NULL where absent; how often it was sent. Query parameters keep
 * their order: request_query_at returns false past the last. */
const char *request_header(const struct request *request, const char *name);
size_t request_header_count(const struct request *request, const char *name);
bool request_query_at(const struct request *request, size_t index, const char **name, const char **value);

/* Splits and decodes "a=1&b=%5B1%5D" into request->query; false: no memory. */
bool request_read_query(struct request *request, const char *text);

/* Fills request->id: the caller's X-Request-Id where it is sound and sent once, else one of our own, and request->traceparent:
 * the caller's where it is as W3C Trace Context has it and sent once. */
void request_identify(struct request *request);
void request_make_id(char *out, size_t bytes); /* one of our own, unique among daemons */

uint64_t clock_now_ns(void); /* CLOCK_MONOTONIC */

/* Brings the deadline forward to what `timeout_ms` says; 0 says nothing. */
void request_bring_forward(struct request *request, uint64_t timeout_ms);

/* The time since the last lap ended, which ends another: one look at the clock where two phases meet. */
uint64_t request_lap_ns(struct request *request);

#endif
