/* SPDX-License-Identifier: MIT */
/* What http_bench takes as floors: libmicrohttpd in two threads, which reads a request and gives fixed bytes at once. Bare, with its
 * own defaults, or as the daemon has to use it: what that one costs is no code of ours. */
#ifndef TESTS_BENCH_HTTP_BARE_H
#define TESTS_BENCH_HTTP_BARE_H

#include "tests/bench/bench_daemon.h"

struct bare;

/* Both answer with what `body` holds when a request has come. It stays the caller's. */
struct bare *bare_start(unsigned *port, const struct text *body);
/* Pools as large, a thread that accepts and deals out connections, suspending allowed, a note of each request's and connection's
 * begin and end, and the headers of `answer`, a whole answer of the daemon. */
struct bare *bare_start_as_ours(unsigned *port, const struct text *body, const struct text *answer);
void bare_stop(struct bare *bare);

#endif
