/* SPDX-License-Identifier: MIT */
/* Counters and histograms in Prometheus text format. metrics.def lists them; counting is an addition in a place of the thread's
 * own. */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct daemon;
struct request;

void metrics_count_begun(void); /* a request's headers are known */
void metrics_count_ended(void); /* its answer is out */
void metrics_count_request(
    const struct request *request); /* once per request, when it has ended: totals, durations, phases */
void metrics_count_cancelled(void);
void metrics_add_work(uint64_t multiply_adds);

/* The page of /metrics; returns its length, or what it would need where `bytes` is too small. */
size_t metrics_write(const struct daemon *daemon, char *out, size_t bytes);

#endif
