/* SPDX-License-Identifier: MIT */
/* From a convolve_error to what a client sees: status, title and application/problem+json (RFC 9457). problem.def has one row
 * per slug; the pages under /problems/ are made from the same rows. */
#ifndef SERVER_PROBLEM_H
#define SERVER_PROBLEM_H

#include "core/convolve.h"

struct problem {
    const char *slug;
    unsigned status;
    const char *title;
    const char *remedy; /* what it means and how to mend it: plain sentences */
};

const struct problem *problem_find(const char *slug); /* NULL where there is none */
size_t problem_count(void);
const struct problem *problem_at(size_t index);

/* Writes the problem document of `error`, with a newline, into `out`; returns its length, at most PROBLEM_BYTES_MAX.
 * `offset` is written for malformed-json (negative: left out). Every string is escaped and made valid UTF-8. */
enum { PROBLEM_BYTES_MAX = 8192 };
size_t problem_write(char out[PROBLEM_BYTES_MAX], const struct convolve_error *error, int64_t offset,
                     const char *request_id);

#endif
