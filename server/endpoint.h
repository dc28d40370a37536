/* SPDX-License-Identifier: MIT */
/* What the router finds for a path: how a request to it is begun, fed and answered. Endpoints see requests and responses, never
 * libmicrohttpd. routes.def lists them; nothing else names an endpoint. */
#ifndef SERVER_ENDPOINT_H
#define SERVER_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

struct request;
struct response;
struct convolve_error;

enum endpoint_flags {
    ENDPOINT_COMPUTE = 1, /* counts for rate limits, has a body, may be queued */
    ENDPOINT_OPEN = 2, /* no API key, no connection limit: health and metrics */
    ENDPOINT_PAGE = 4, /* no API key: pages that hold nothing of this daemon's own */
    ENDPOINT_JSON = 8, /* answers with JSON alone, so that an Accept without it is refused */
    ENDPOINT_NPY = 16, /* or with a .npy file where that is asked for */
    ENDPOINT_PICTURE = 32, /* takes a picture and answers with one */
};

enum endpoint_answer {
    ENDPOINT_FAILED, /* the error is filled; the caller answers with it */
    ENDPOINT_ANSWERED, /* the response is filled */
    ENDPOINT_PENDING, /* request->job is filled; complete() is called once it has ended */
};

struct endpoint {
    /* The headers are known, no byte of the body is. May be NULL. False: the error is the answer; the body is thrown away. */
    bool (*begin)(struct request *request, struct convolve_error *error);
    /* A piece of the body, in order. May be NULL where no body is expected (one that comes is thrown away). False: the error
     * is the answer; it is remembered, the rest of the body is thrown away. */
    bool (*feed)(struct request *request, const char *bytes, size_t count, struct convolve_error *error);
    /* The body is whole. */
    enum endpoint_answer (*answer)(struct request *request, struct response *response, struct convolve_error *error);
    /* The job has ended (JOB_COMPLETE), on a thread of the pool; request->error is `error`. NULL where answer() never returns PENDING. */
    bool (*complete)(struct request *request, struct response *response, struct convolve_error *error);
    /* Once, when the request has ended in whatever way and its job with it, before the arena is released: frees what is
     * not the arena's. May be NULL. */
    void (*release)(struct request *request);
};

#endif
