/* SPDX-License-Identifier: MIT */
/* The worker threads. A job is stages of tiles. A free worker takes a tile of the job with the least work left, but each
 * fourth time one of the oldest job: so a tiny job waits for a tile or two, and a large one is never starved. Between tiles
 * a job that is cancelled or past its deadline stops. */
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
    JOB_FAILED, /* a worker could not get its tile scratch */
};

/* Embedded in what the caller runs. The caller fills the first part; the pool owns the second. */
struct job {
    unsigned stage_count;
    /* Asked when the stage begins, on a worker, no lock held and no tile running; 0 is fine. It may prepare what the tiles need,
     * and change stage_count, work, tile_scratch_bytes and deadline_ns. */
    size_t (*tile_count)(struct job *job, unsigned stage);
    void (*run_tile)(struct job *job, unsigned stage, size_t tile, void *tile_scratch);
    void (*done)(
        struct job *job); /* once, when no tile runs any more, on a worker, no lock held; the job may be freed in it */
    uint64_t work; /* multiply-adds or the like, for urgency */
    bool follows; /* belongs to a request that was admitted already, so queue_depth does not count it */
    size_t tile_scratch_bytes; /* what run_tile needs per thread; the pool keeps one such buffer per worker */
    _Atomic uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */

    _Atomic int end; /* enum job_end; JOB_CANCELLED may be stored by anyone at any time */
    uint64_t submitted_ns, started_ns, ended_ns; /* for Server-Timing: queue is started - submitted */
    bool begun; /* the current stage's tiles are known */
    unsigned stage;
    size_t tiles, next_tile, running; /* of the current stage: all, next to hand out, handed out and not returned */
    size_t batch; /* how many tiles are handed out at once, from the time they took */
    double remaining; /* of `work`, what is not handed out */
    size_t heap_index; /* SIZE_MAX: nothing to hand out now */
    struct job *previous, *next; /* by age */
};

/* `threads` workers. `scratch_budget` is charged for their tile scratch, which grows to the largest job seen and shrinks when
 * idle. NULL where threads or memory cannot be had. */
struct arena;
struct memory_budget;
struct pool *pool_create(unsigned threads, struct memory_budget *scratch_budget);
/* Runs what is queued to its end, `done` included, and ends the workers; nothing may be submitted any more. For a daemon that
 * stops: pieces of an answer whose caller has left may be queued still, and hold their request. */
void pool_finish(struct pool *pool);
void pool_destroy(struct pool *pool); /* finishes it first; NULL is fine */

/* Queues a job; false where `queue_depth` jobs are queued already (jobs that run count until they end), or without memory. */
bool pool_submit(struct pool *pool, struct job *job);
void pool_set_queue_depth(struct pool *pool, size_t queue_depth);
size_t pool_queued(const struct pool *pool);

/* Runs a tiny job on the calling thread from start to end, its tiles' scratch taken from `arena` meanwhile. No queue.
 * `done` is not called. The caller sets `submitted_ns` to now. Returns how it ended. */
enum job_end pool_run_here(struct arena *arena, struct job *job);

void job_cancel(struct job *job); /* at any time, from any thread, until `done` */

#endif
