/* SPDX-License-Identifier: MIT */
/* What http_bench compares the daemon with, beside the bare libmicrohttpd: Flask and SciPy as a service, and the best parts that a
 * program in one thread could be put together from. */
#ifndef TESTS_BENCH_HTTP_PEERS_H
#define TESTS_BENCH_HTTP_PEERS_H

#include <stddef.h>
#include <sys/types.h>

#include "tests/bench/bench_daemon.h"

/* Flask and SciPy under gunicorn with two workers, answering at /v1/correlate; 0 where no Python here has all three. */
pid_t flask_start(unsigned *port);
void flask_stop(pid_t process);

/* A request of the sum of parts, in milliseconds; negative: what it takes is not there. */
struct parts {
    double parse_ms; /* simdjson, the faster of its interfaces: every number of the request to double */
    double filter_ms; /* OpenCV's filter2D, 1024 x 1024 by 5 x 5 */
    double print_ms; /* std::to_chars: as many float32 as the request has */
};
struct parts measure_parts(const struct text *request, size_t numbers);

#endif
