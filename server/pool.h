/* SPDX-License-Identifier: MIT */
/* The worker threads. A job is stages of tiles; a free worker takes a tile of the job with the least work left, aged by
 * waiting time, so that a tiny job waits for at most one tile and a large one is never starved. Between tiles a job that is
 * cancelled or past its deadline stops. */
#ifndef SERVER_POOL_H
#define SERVER_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

enum job_end {
    JOB_RUNNING,
    JOB_COMPLETE,
    JOB_CANCELLED, /* nobody waits for it any more */
    JOB_LATE, /* its deadline passed */
};

/* Embedded in what the caller runs. The caller fills the first part; the pool owns the second. */
struct job {
    unsigned stage_count;
    size_t (*tile_count)(struct job *job, unsigned stage); /* asked when the stage begins; 0 is fine */
    void (*run_tile)(struct job *job, unsigned stage, size_t tile, void *tile_scratch);
    void (*done)(
        struct job *job); /* once, after the last tile, on the thread that ran it; the job may be freed in it */
    uint64_t work; /* multiply-adds or the like, for urgency */
    size_t tile_scratch_bytes; /* what run_tile needs per thread; the pool keeps one such buffer per worker */
    uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */

    _Atomic int end; /* enum job_end; JOB_CANCELLED may be stored by anyone at any time */
    uint64_t submitted_ns, started_ns, ended_ns; /* for Server-Timing: queue is started - submitted */
    unsigned stage;
    size_t tiles, next_tile, running; /* of the current stage: all, next to hand out, handed out and not returned */
    struct job *previous, *next;
};

/* `threads` workers. `scratch_budget` is charged for their tile scratch, which grows to the largest job seen and shrinks when
 * idle. NULL where threads or memory cannot be had. */
struct memory_budget;
struct pool *pool_create(unsigned threads, struct memory_budget *scratch_budget);
void pool_destroy(struct pool *pool); /* all jobs must have ended */

/* Queues a job; false where `queue_depth` jobs are queued already (jobs that run count until they end). */
bool pool_submit(struct pool *pool, struct job *job);
void pool_set_queue_depth(struct pool *pool, size_t queue_depth);
size_t pool_queued(const struct pool *pool);

/* Runs a tiny job on the calling thread from start to end, with the calling thread's own scratch. Same code path, no queue.
 * `done` is not called. Returns how it ended. */
enum job_end pool_run_here(struct pool *pool, struct job *job);

void job_cancel(struct job *job);

#endif
