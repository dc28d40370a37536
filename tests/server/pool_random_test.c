/* SPDX-License-Identifier: MIT */
/* The pool under thousands of random jobs from several threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/request.h"
#include "tests/server/watched.h"

static struct memory_budget budget = {.limit = 64 * MIB};

struct submitter {
    pthread_t thread;
    struct pool *pool;
    uint32_t random;
    unsigned ends[5], wrong; /* cmocka's failures are for the main thread only */
};

static uint32_t next_random(struct submitter *submitter)
{
    submitter->random = submitter->random * 1664525 + 1013904223;
    return submitter->random >> 8;
}

static struct watched *random_job(struct submitter *submitter)
{
    struct watched *watched = watched_create(submitter->pool, 0, next_random(submitter) % 1000000);
    watched->job.stage_count = next_random(submitter) % (STAGES_MAX + 1);
    for (unsigned stage = 0; stage < watched->job.stage_count; stage++)
        watched->tiles[stage] = next_random(submitter) % (next_random(submitter) % 4 == 0 ? TILES_MAX : 4);
    if (next_random(submitter) % 2 == 0)
        watched->job.tile_scratch_bytes = next_random(submitter) % 20000;
    if (next_random(submitter) % 8 == 0)
        watched->job.deadline_ns = clock_now_ns() + next_random(submitter) % 500000;
    return watched;
}

static void *submit_random_jobs(void *argument)
{
    enum { ROUNDS = 60, JOBS = 16 };
    struct submitter *submitter = argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct watched *jobs[JOBS];
        bool here[JOBS];
        for (unsigned i = 0; i < JOBS; i++) {
            jobs[i] = random_job(submitter);
            here[i] = next_random(submitter) % 8 == 0;
            if (here[i])
                run_here(&budget, &jobs[i]->job);
            while (!here[i] && !pool_submit(submitter->pool, &jobs[i]->job))
                sleep_us(50);
            if (next_random(submitter) % 8 == 0)
                job_cancel(&jobs[next_random(submitter) % (i + 1)]->job);
        }
        for (unsigned i = 0; i < JOBS; i++) {
            while (!here[i] && sem_wait(&jobs[i]->ended) != 0) {
            }
            const enum job_end end = (enum job_end)jobs[i]->job.end;
            submitter->wrong |= jobs[i]->wrong | (jobs[i]->done_count != !here[i] ? 128 : 0);
            if (end == JOB_COMPLETE && !all_tiles_ran(jobs[i]))
                submitter->wrong |= 256;
            submitter->ends[end]++;
            watched_destroy(jobs[i]);
        }
    }
    return NULL;
}

static void thousands_of_random_jobs_end_as_they_should(void **state)
{
    (void)state;
    enum { SUBMITTERS = 4 };
    struct submitter submitters[SUBMITTERS];
    struct pool *pool = pool_create(3, &budget);
    unsigned ends[5] = {0}, all = 0;
    pool_set_queue_depth(pool, 40);
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (struct submitter){.pool = pool, .random = i + 1};
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_random_jobs, &submitters[i]), 0);
    }
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        pthread_join(submitters[i].thread, NULL);
        check_count("what went wrong", submitters[i].wrong, 0);
        for (unsigned end = 0; end < 5; end++) {
            ends[end] += submitters[i].ends[end];
            all += submitters[i].ends[end];
        }
    }
    check_count("jobs", all, SUBMITTERS * 60 * 16);
    check_count("jobs that never ended", ends[JOB_RUNNING], 0);
    check_count("jobs without scratch", ends[JOB_FAILED], 0);
    if (ends[JOB_COMPLETE] < all / 4 || ends[JOB_CANCELLED] == 0)
        fail_msg("%u complete, %u cancelled of %u: the test tests little", ends[JOB_COMPLETE], ends[JOB_CANCELLED],
                 all);
    check_count("queued when all have ended", pool_queued(pool), 0);
    pool_destroy(pool);
    check_count("budget", budget.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousands_of_random_jobs_end_as_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
