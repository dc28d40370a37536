/* SPDX-License-Identifier: MIT */
/* A request that takes as long as a test needs, on whatever machine, build and load: measured first, then sized. */
#ifndef TESTS_HTTP_SLOW_H
#define TESTS_HTTP_SLOW_H

#include "tests/http/harness.h"

/* The whole HTTP request (POST /v1/correlate, `direct`) that keeps a worker (or all, where there are more) busy for about
 * `milliseconds` times stretch(). `members` go in, each followed by a comma: "'timeout_ms':200,". */
const char *slow_request(struct child *child, double milliseconds, const char *members);
const char *body_of_request(const char *request);

/* Milliseconds that the daemon's threads have run; 0 where the kernel does not tell. */
double processor_ms(const struct child *child);

/* Flags of a daemon that may take as long as a busy machine makes it: what is asked of it ends in an answer. */
#define PATIENT "--request-timeout-ms", "600000", "--drain-timeout-ms", "600000"

/* The value of a metric without labels; -1 where it is absent. */
double metric_of(struct child *child, const char *name);

#endif
