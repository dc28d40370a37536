/* SPDX-License-Identifier: MIT */
/* The time that this thread has computed: what others take of the core does not count. */
#ifndef TESTS_BENCH_THREAD_TIME_H
#define TESTS_BENCH_THREAD_TIME_H

#include <time.h>

static inline double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
