/* SPDX-License-Identifier: MIT */
/* A result tensor to the JSON answer of section 5: the output in the format that was asked for, then its shape and what is
 * known of it. Small answers are written at once; large ones become a stream of pieces that the pool writes while it is sent. */
#ifndef SERVER_ENDPOINTS_ANSWER_H
#define SERVER_ENDPOINTS_ANSWER_H

#include "core/convolve.h"
#include "server/endpoints/options.h"

struct request;
struct response;

enum answer_flipped { FLIPPED_ABSENT, FLIPPED_FALSE, FLIPPED_TRUE };

/* A well-formed result that is probably not what was meant. */
enum { ANSWER_NOTES_MAX = 2 };
struct answer_note {
    const char *slug, *detail;
};

struct answer {
    const void *values; /* row-major; must stay until the response is out (the request's arena) */
    enum convolve_dtype dtype;
    struct convolve_shape shape;
    enum answer_format format;
    const char *method;
    enum answer_flipped flipped;
    double error_bound; /* NaN: null */
    struct answer_note notes[ANSWER_NOTES_MAX];
    size_t note_count;
};

bool answer_write(struct request *request, struct response *response, const struct answer *answer,
                  struct convolve_error *error);

/* The answer to `plan`: {"shape", "dtype", "method", "multiply_adds", "bytes", "error_bound"}. */
bool answer_write_plan(struct request *request, struct response *response, const struct convolve_cost *cost,
                       double error_bound, struct convolve_error *error);

#endif
