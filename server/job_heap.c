/* SPDX-License-Identifier: MIT */
/* A binary heap of jobs by remaining work; of equals the older comes first, so that equal jobs end in the order they came. */
#include "server/job_heap.h"

#include <stdint.h>
#include <stdlib.h>

#include "server/pool.h"

static bool job_before(const struct job *a, const struct job *b)
{
    return a->remaining != b->remaining ? a->remaining < b->remaining : a->submitted_ns < b->submitted_ns;
}

static void heap_place(struct job_heap *heap, size_t index, struct job *job)
{
    heap->jobs[index] = job;
    job->heap_index = index;
}

static void heap_sink(struct job_heap *heap, struct job *job)
{
    size_t index = job->heap_index;
    for (;;) {
        size_t child = 2 * index + 1;
        if (child + 1 < heap->count && job_before(heap->jobs[child + 1], heap->jobs[child]))
            child++;
        if (child >= heap->count || !job_before(heap->jobs[child], job))
            break;
        heap_place(heap, index, heap->jobs[child]);
        index = child;
    }
    heap_place(heap, index, job);
}

bool job_heap_reserve(struct job_heap *heap, size_t count)
{
    if (count <= heap->capacity)
        return true;
    const size_t capacity = count < 64 ? 64 : 2 * count;
    struct job **jobs = reallocarray(heap->jobs, capacity, sizeof(struct job *));
    if (jobs == NULL)
        return false;
    heap->jobs = jobs;
    heap->capacity = capacity;
    return true;
}

void job_heap_release(struct job_heap *heap)
{
    free(heap->jobs);
    *heap = (struct job_heap){0};
}

void job_heap_add(struct job_heap *heap, struct job *job)
{
    heap_place(heap, heap->count++, job);
    job_heap_rise(heap, job);
}

void job_heap_rise(struct job_heap *heap, struct job *job)
{
    size_t index = job->heap_index;
    while (index > 0 && job_before(job, heap->jobs[(index - 1) / 2])) {
        heap_place(heap, index, heap->jobs[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    heap_place(heap, index, job);
}

void job_heap_remove(struct job_heap *heap, struct job *job)
{
    const size_t index = job->heap_index;
    if (index == SIZE_MAX)
        return;
    job->heap_index = SIZE_MAX;
    struct job *last = heap->jobs[--heap->count];
    if (last == job)
        return;
    heap_place(heap, index, last);
    job_heap_rise(heap, last);
    heap_sink(heap, last);
}
