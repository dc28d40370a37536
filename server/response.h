/* SPDX-License-Identifier: MIT */
/* An answer under construction: status, headers, and a body that is fixed text, owned text, or a stream that is encoded
 * in tiles by the pool while it is sent. The listener turns it into bytes; response.c adds the headers every answer has. */
#ifndef SERVER_RESPONSE_H
#define SERVER_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;
struct convolve_error;

/* A body made piece by piece: piece i is written by `write` into `out` (at most piece_bytes_max) on any thread, several at a
 * time; the pieces are sent in order. `tail` is sent after the last. */
struct response_stream {
    size_t piece_count, piece_bytes_max;
    size_t (*write)(const struct response_stream *stream, size_t piece, char *out);
    void (*finish)(const struct response_stream *stream); /* all pieces are written: completes `tail`. May be NULL */
    void *context; /* lives in the request's arena */
};

enum response_varies { VARIES_ACCEPT = 1, VARIES_ACCEPT_ENCODING = 2, VARIES_ORIGIN = 4 };

struct response {
    unsigned status;
    const char *content_type; /* a constant */
    const char *body; /* fixed text (a constant), or text in the request's arena */
    size_t body_bytes;
    bool has_stream;
    struct response_stream stream; /* sent after `body`, before `tail` */
    const char *tail;
    size_t tail_bytes;
    struct response_header {
        const char *name, *value;
    } headers[24]; /* values live with the arena; response_finish adds the usual ones */
    unsigned header_count;
    unsigned varies; /* enum response_varies: the request headers that it was chosen by */
    bool close; /* close the connection after it */
};

void response_text(struct response *response, unsigned status, const char *content_type, const char *body,
                   size_t body_bytes);
void response_header(struct response *response, const char *name, const char *value);

/* The problem document of request->error, with what its status asks for beside it: Retry-After, WWW-Authenticate. Works without
 * memory too: then it has no body. */
void response_problem(struct response *response, struct request *request);

/* The answer to OPTIONS: `allow`, and what a browser's preflight asks where its origin is allowed. */
void response_options(struct response *response, struct request *request, const char *allow);

/* A header with a number in it; `before` and `after` stand around it. */
void response_number(struct response *response, struct request *request, const char *name, const char *before,
                     uint64_t number, const char *after);

/* Adds what every answer has: X-Request-Id, Content-Type, Server-Timing on compute paths, CORS, Vary. */
void response_finish(struct response *response, struct request *request, bool is_compute);

#endif
