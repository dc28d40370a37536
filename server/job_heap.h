/* SPDX-License-Identifier: MIT */
/* The jobs that have something to hand out, the one with the least work left first. Part of the pool, under its lock. */
#ifndef SERVER_JOB_HEAP_H
#define SERVER_JOB_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct job;
struct job_heap {
    struct job **jobs; /* each knows its place: job->heap_index, SIZE_MAX outside */
    size_t count, capacity;
};

bool job_heap_reserve(struct job_heap *heap, size_t count); /* room for so many; false without memory */
void job_heap_release(struct job_heap *heap);

void job_heap_add(struct job_heap *heap, struct job *job); /* there must be room */
void job_heap_remove(struct job_heap *heap, struct job *job); /* one that is outside is fine */
void job_heap_rise(struct job_heap *heap, struct job *job); /* after job->remaining has fallen */

#endif
