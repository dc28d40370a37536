/* SPDX-License-Identifier: MIT */
/* The worker threads. One lock guards two views of the queued jobs: a list by age, and a heap, by work left, of those that have
 * something to hand out. The rule, which needs no clock: of each four picks three go to the job with the least work left
 * and the fourth to the oldest. So a tiny job waits for the tiles that run just now and at most one more, and the oldest
 * job has a quarter of the machine at least; as each in turn becomes the oldest, none waits much beyond twice its share.
 *
 * Tiles much shorter than the lock is worth are handed out in batches. Nobody watches the clock: whoever picks looks through
 * all jobs now and then for those that nobody waits for any more. With every worker idle there is none to find. */
#include "server/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/arena.h"
#include "server/job_heap.h"
#include "server/mapping.h"
#include "server/request.h"
#include "server/turns.h"

enum {
    AGE_TURN = 4, /* one pick of so many goes to the oldest */
    BATCH_NS = 100 * 1000, /* what a batch should take */
    BATCH_TILES_MAX = 256,
    SWEEP_NS = 10 * 1000 * 1000,
    IDLE_NS = 200 * 1000 * 1000, /* after so long without work a worker gives its scratch back */
    SCRATCH_WINDOW_NS = 1000 * 1000 * 1000, /* scratch follows the largest need within it */
    STACK_BYTES = 1 << 20,
    QUEUE_DEPTH_START = 256,
    WORKER_NICER = 10, /* beside whoever else wants the core: about a tenth of it */
};

struct worker {
    struct pool *pool;
    pthread_t thread;
    struct arena arena; /* holds only the scratch */
    void *scratch;
    size_t scratch_bytes, needed_bytes; /* needed: the most, since window_ns */
    uint64_t window_ns;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct memory_budget *budget;
    struct job *oldest, *newest;
    struct job_heap heap; /* has room for every queued job */
    size_t queue_depth, listed; /* listed: all that are in the list */
    _Atomic size_t queued; /* those of them that queue_depth counts; changed under the lock, read by anyone */
    uint64_t swept_ns;
    unsigned turn, idle;
    bool stopping;
    unsigned worker_count;
    struct worker workers[];
};

/* ---- Jobs ------------------------------------------------------------------------------------------------------ */

static void job_set_end(struct job *job, enum job_end end)
{
    int expected = JOB_RUNNING; /* whatever came first stays */
    atomic_compare_exchange_strong(&job->end, &expected, end);
}

/* True where nobody waits for the job any more; notices a deadline that has passed. */
static bool job_is_over(struct job *job, uint64_t now_ns)
{
    const uint64_t deadline_ns = atomic_load_explicit(&job->deadline_ns, memory_order_relaxed);
    if (deadline_ns != 0 && now_ns >= deadline_ns)
        job_set_end(job, JOB_LATE);
    return atomic_load_explicit(&job->end, memory_order_relaxed) != JOB_RUNNING;
}

void job_cancel(struct job *job)
{
    job_set_end(job, JOB_CANCELLED);
}

/* What the job will still hand out. How many tiles later stages have is not known yet: stages count alike. */
static void job_set_remaining(struct job *job)
{
    const double stages_after = job->stage_count - job->stage - 1;
    const double this_stage = (double)(job->tiles - job->next_tile) / (double)job->tiles;
    job->remaining = (double)job->work / job->stage_count * (stages_after + this_stage);
}

static void list_add(struct pool *pool, struct job *job)
{
    job->previous = pool->newest;
    job->next = NULL;
    *(job->previous != NULL ? &job->previous->next : &pool->oldest) = job;
    pool->newest = job;
    pool->listed++;
    atomic_fetch_add_explicit(&pool->queued, !job->follows, memory_order_relaxed);
}

static void list_remove(struct pool *pool, struct job *job)
{
    *(job->previous != NULL ? &job->previous->next : &pool->oldest) = job->next;
    *(job->next != NULL ? &job->next->previous : &pool->newest) = job->previous;
    pool->listed--;
    atomic_fetch_sub_explicit(&pool->queued, !job->follows, memory_order_relaxed);
}

/* Takes a job without running tiles out of the pool and ends it; the lock is free in `done`. */
static void job_finish(struct pool *pool, struct job *job)
{
    job_heap_remove(&pool->heap, job);
    list_remove(pool, job);
    pthread_mutex_unlock(&pool->lock);
    job_set_end(job, JOB_COMPLETE);
    job->ended_ns = clock_now_ns();
    if (job->started_ns == 0)
        job->started_ns = job->ended_ns;
    job->done(job); /* the job may be gone after it */
    pthread_mutex_lock(&pool->lock);
}

/* Ends one job that nobody waits for; false where there is none. Those with tiles out end when the last comes back. */
static bool pool_end_one(struct pool *pool, uint64_t now_ns)
{
    if (now_ns - pool->swept_ns < SWEEP_NS)
        return false;
    for (struct job *job = pool->oldest; job != NULL; job = job->next) {
        if (!job_is_over(job, now_ns))
            continue;
        job_heap_remove(&pool->heap, job);
        if (job->running == 0) {
            job_finish(pool, job);
            return true;
        }
    }
    pool->swept_ns = now_ns;
    return false;
}

/* The job whose turn it is, by the rule above; NULL where none has anything to hand out. */
static struct job *pool_pick(struct pool *pool)
{
    if (pool->heap.count == 0)
        return NULL;
    pool->turn = (pool->turn + 1) % AGE_TURN;
    struct job *job = pool->heap.jobs[0];
    if (pool->turn == 0) {
        /* Those before it have all their tiles out: no more jobs than workers. */
        job = pool->oldest;
        while (job->heap_index == SIZE_MAX)
            job = job->next;
    }
    return job;
}

static void pool_wake(struct pool *pool, size_t tiles)
{
    for (size_t count = tiles < pool->idle ? tiles : pool->idle; count > 0; count--)
        pthread_cond_signal(&pool->work);
}

/* Makes the next stage that has tiles ready, or ends the job. Nothing of the job is handed out meanwhile. */
static void job_advance(struct pool *pool, struct job *job)
{
    unsigned stage = job->begun ? job->stage + 1 : 0;
    size_t tiles = 0;
    job_heap_remove(&pool->heap, job);
    job->running = 1; /* so that nobody else ends it */
    if (job->started_ns == 0)
        job->started_ns = clock_now_ns();
    pthread_mutex_unlock(&pool->lock);
    while (stage < job->stage_count && (tiles = job->tile_count(job, stage)) == 0)
        stage++;
    pthread_mutex_lock(&pool->lock);
    job->running = 0;
    if (stage == job->stage_count || job_is_over(job, 0)) {
        job_finish(pool, job);
        return;
    }
    job->begun = true;
    job->stage = stage;
    job->tiles = tiles;
    job->next_tile = 0;
    job->batch = 1;
    job_set_remaining(job);
    job_heap_add(&pool->heap, job);
    pool_wake(pool, tiles - 1); /* the caller takes one itself */
}

/* ---- Workers --------------------------------------------------------------------------------------------------- */

static void worker_drop_scratch(struct worker *worker)
{
    arena_release(&worker->arena);
    worker->scratch = NULL;
    worker->scratch_bytes = 0;
}

/* False where the scratch cannot be had. It is given back once it has been twice too large for a while. */
static bool worker_get_scratch(struct worker *worker, size_t bytes, uint64_t now_ns)
{
    if (now_ns - worker->window_ns > SCRATCH_WINDOW_NS) {
        if (worker->scratch_bytes / 2 > worker->needed_bytes)
            worker_drop_scratch(worker);
        worker->needed_bytes = 0;
        worker->window_ns = now_ns;
    }
    if (worker->needed_bytes < bytes)
        worker->needed_bytes = bytes;
    if (bytes <= worker->scratch_bytes)
        return true;
    worker_drop_scratch(worker);
    worker->scratch = arena_block(&worker->arena, bytes);
    if (worker->scratch == NULL)
        return false;
    worker->scratch_bytes = bytes;
    return true;
}

/* Called and left with the lock held. */
static void worker_run_batch(struct worker *worker, struct job *job, uint64_t now_ns)
{
    struct pool *pool = worker->pool;
    const unsigned stage = job->stage;
    const size_t left = job->tiles - job->next_tile, first = job->next_tile;
    const size_t fair = left / (2 * (size_t)pool->worker_count) + 1; /* all finish together */
    const size_t count = job->batch < fair ? job->batch : fair;
    job->next_tile += count;
    job->running += count;
    job_set_remaining(job);
    if (job->next_tile == job->tiles)
        job_heap_remove(&pool->heap, job);
    else
        job_heap_rise(&pool->heap, job);
    pthread_mutex_unlock(&pool->lock);

    if (worker_get_scratch(worker, job->tile_scratch_bytes, now_ns)) {
        for (size_t i = 0; i < count; i++) {
            if (atomic_load_explicit(&job->end, memory_order_relaxed) != JOB_RUNNING)
                break;
            job->run_tile(job, stage, first + i, worker->scratch);
        }
    } else {
        job_set_end(job, JOB_FAILED);
    }

    sched_yield(); /* to a thread that speaks HTTP; the clock that ends turns may tick in milliseconds */
    const uint64_t tile_ns = (clock_now_ns() - now_ns) / count + 1;
    pthread_mutex_lock(&pool->lock);
    const uint64_t batch = BATCH_NS / tile_ns;
    job->batch = batch == 0 ? 1 : batch < BATCH_TILES_MAX ? batch : BATCH_TILES_MAX;
    job->running -= count;
    if (job->running > 0)
        return;
    if (job_is_over(job, 0))
        job_finish(pool, job);
    else if (job->next_tile == job->tiles)
        job_advance(pool, job);
}

/* Waits for work. What a busy time has left behind goes back to the system once nothing has come for a while. */
static void worker_wait(struct worker *worker, bool *tidy)
{
    struct pool *pool = worker->pool;
    int result = 0;
    pool->idle++;
    if (*tidy) {
        pthread_cond_wait(&pool->work, &pool->lock);
    } else {
        const uint64_t until_ns = clock_now_ns() + IDLE_NS;
        const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                                       .tv_nsec = (long)(until_ns % 1000000000)};
        result = pthread_cond_timedwait(&pool->work, &pool->lock, &until);
    }
    const bool all_idle = pool->idle == pool->worker_count;
    pool->idle--;
    if (result != ETIMEDOUT)
        return;
    pthread_mutex_unlock(&pool->lock);
    worker_drop_scratch(worker);
    if (all_idle)
        mapping_trim();
    *tidy = true;
    pthread_mutex_lock(&pool->lock);
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    struct pool *pool = worker->pool;
    bool tidy = true;
    char name[16];
    snprintf(name, sizeof name, "worker-%u", (unsigned)(worker - pool->workers));
    pthread_setname_np(pthread_self(), name);
    turns_be_short(WORKER_NICER);

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        const uint64_t now_ns = clock_now_ns();
        if (pool_end_one(pool, now_ns))
            continue;
        struct job *job = pool_pick(pool);
        if (job == NULL) {
            if (pool->stopping)
                break; /* what others have out, they go on with */
            worker_wait(worker, &tidy);
            continue;
        }
        tidy = false;
        if (job_is_over(job, now_ns)) {
            job_heap_remove(&pool->heap, job);
            if (job->running == 0)
                job_finish(pool, job);
        } else if (!job->begun) {
            job_advance(pool, job);
        } else {
            worker_run_batch(worker, job, now_ns);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    worker_drop_scratch(worker);
    return NULL;
}

/* ---- The pool -------------------------------------------------------------------------------------------------- */

/* Starts as many workers as can be had; signals are for the main thread. */
static void pool_start_workers(struct pool *pool, unsigned threads)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&pool->lock); /* a worker that is there already must not read the count while it changes */
    for (unsigned i = 0; i < threads; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        arena_init(&worker->arena, pool->budget);
        if (pthread_create(&worker->thread, &attributes, worker_run, worker) != 0)
            break;
        pool->worker_count++;
    }
    pthread_mutex_unlock(&pool->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

struct pool *pool_create(unsigned threads, struct memory_budget *scratch_budget)
{
    size_t bytes;
    pthread_condattr_t monotonic;
    if (threads == 0 || __builtin_mul_overflow(threads, sizeof(struct worker), &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct pool), &bytes))
        return NULL;
    struct pool *pool = calloc(1, bytes);
    if (pool == NULL)
        return NULL;
    pool->budget = scratch_budget;
    pool->queue_depth = QUEUE_DEPTH_START;
    pthread_mutex_init(&pool->lock, NULL); /* neither this nor the next three can fail on Linux */
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pool_start_workers(pool, threads);
    if (pool->worker_count < threads) {
        pool_destroy(pool);
        return NULL;
    }
    return pool;
}

void pool_finish(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    const bool was_stopping = pool->stopping;
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; !was_stopping && i < pool->worker_count; i++)
        pthread_join(pool->workers[i].thread, NULL);
}

void pool_destroy(struct pool *pool)
{
    if (pool == NULL)
        return;
    pool_finish(pool);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    job_heap_release(&pool->heap);
    free(pool);
}

bool pool_submit(struct pool *pool, struct job *job)
{
    job->begun = false;
    job->stage = 0;
    job->tiles = job->next_tile = job->running = 0;
    job->remaining = (double)job->work;
    job->submitted_ns = clock_now_ns();
    job->started_ns = job->ended_ns = 0;
    pthread_mutex_lock(&pool->lock);
    const bool queues =
        (job->follows || pool->queued < pool->queue_depth) && job_heap_reserve(&pool->heap, pool->listed + 1);
    if (queues) {
        list_add(pool, job);
        job_heap_add(&pool->heap, job);
        pool_wake(pool, 1);
    }
    pthread_mutex_unlock(&pool->lock);
    return queues;
}

void pool_set_queue_depth(struct pool *pool, size_t queue_depth)
{
    pthread_mutex_lock(&pool->lock);
    pool->queue_depth = queue_depth;
    pthread_mutex_unlock(&pool->lock);
}

size_t pool_queued(const struct pool *pool)
{
    return atomic_load_explicit(&pool->queued, memory_order_relaxed);
}

enum job_end pool_run_here(struct arena *arena, struct job *job)
{
    void *scratch = NULL;
    job->started_ns = job->submitted_ns;
    for (unsigned stage = 0; stage < job->stage_count; stage++) {
        if (job_is_over(job, stage == 0 ? job->started_ns : 0)) /* stages are short, or have tiles to look between */
            break;
        const size_t tiles = job->tile_count(job, stage);
        if (tiles > 0 && scratch == NULL && job->tile_scratch_bytes > 0 &&
            (scratch = arena_block(arena, job->tile_scratch_bytes)) == NULL) {
            job_set_end(job, JOB_FAILED);
            break;
        }
        for (size_t tile = 0; tile < tiles; tile++) {
            if (tile > 0 && job_is_over(job, clock_now_ns()))
                break;
            job->run_tile(job, stage, tile, scratch);
        }
    }
    arena_block_free(arena, scratch);
    job_set_end(job, JOB_COMPLETE);
    job->ended_ns = clock_now_ns();
    return (enum job_end)atomic_load(&job->end);
}
