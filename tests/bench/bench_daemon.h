/* SPDX-License-Identifier: MIT */
/* What the benches of the daemon share: the daemon as a child process, requests over a raw connection, so that the caller costs as
 * little as it can, and medians. */
#ifndef TESTS_BENCH_BENCH_DAEMON_H
#define TESTS_BENCH_BENCH_DAEMON_H

#include <stddef.h>
#include <sys/types.h>

struct text {
    char *bytes;
    size_t count;
};

_Noreturn void die(const char *what);
double now_ms(void); /* monotonic */
double percentile(double *values, size_t count, double percent); /* sorts them */
double median(double *values, size_t count);

/* Starts $CONVOLVED, or build/convolved, on a free port, its log thrown away; reads the port from the line it prints. */
pid_t daemon_start(unsigned *port);
void daemon_stop(pid_t process);
long daemon_status_kib(pid_t process, const char *name); /* a line of /proc/PID/status: "VmRSS:" */
double daemon_cpu_us(pid_t process); /* of all its threads so far */

int connection_open(unsigned port);
/* Sends a whole request to /v1/correlate and waits for the end of its answer, which must be 200. What came is in `answer`, headers
 * and all, where it is not NULL; how much came is returned. */
size_t connection_post(int connection, const struct text *body, struct text *answer);
/* The same for a request that has its head already. */
size_t connection_exchange(int connection, const struct text *request, struct text *answer);

/* {"dtype", "mode", "input": side x side, "kernel": ...}, numbers of six decimals; the dtype last where asked. */
struct text json_request(int side, int kernel_side, int dtype_last);
/* The same as a .npy file, head and all, that asks for one. */
struct text npy_request(int side, int kernel_side);

#endif
