/* SPDX-License-Identifier: MIT */
/* The pool: stages in order and each tile once, who is served first, who is ended and how soon, and scratch. Delays are counted
 * in tiles, not in time, so a busy machine changes nothing. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "server/request.h"
#include "tests/server/watched.h"

static struct memory_budget budget = {.limit = 64 * MIB};

/* ---- Stages and tiles ------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    unsigned stage_count;
    size_t tiles[STAGES_MAX];
} shapes[] = {
    {"one tile", 1, {1}},
    {"many tiles", 1, {64}},
    {"three stages", 3, {7, 40, 2}},
    {"an empty stage between", 3, {5, 0, 6}},
    {"an empty stage first", 2, {0, 3}},
    {"an empty stage last", 2, {3, 0}},
    {"only empty stages", 4, {0, 0, 0, 0}},
    {"no stage", 0, {0}},
};

static void stages_run_in_order_and_each_tile_once(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct pool *pool = pool_create(threads, &budget);
        assert_non_null(pool);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            struct watched *watched = watched_create(pool, 0, 1000);
            watched->job.stage_count = shapes[i].stage_count;
            watched->job.tile_scratch_bytes = 1000 * i;
            memcpy(watched->tiles, shapes[i].tiles, sizeof watched->tiles);
            assert_true(pool_submit(pool, &watched->job));
            check_count(shapes[i].name, watched_wait(shapes[i].name, watched), JOB_COMPLETE);
            check_all_tiles_ran(shapes[i].name, watched);
            if (watched->job.submitted_ns > watched->job.started_ns || watched->job.started_ns > watched->job.ended_ns)
                fail_msg("%s: submitted, started and ended are not in order", shapes[i].name);
            watched_destroy(watched);
        }
        check_count("queued when all have ended", pool_queued(pool), 0);
        pool_destroy(pool);
    }
    check_count("budget", budget.used, 0);
}

static void a_tiny_job_runs_here_by_the_same_rules(void **state)
{
    (void)state;
    struct pool *pool = pool_create(1, &budget);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct watched *watched = watched_create(pool, 0, 10);
        watched->job.stage_count = shapes[i].stage_count;
        watched->job.tile_scratch_bytes = 100 * i;
        memcpy(watched->tiles, shapes[i].tiles, sizeof watched->tiles);
        check_count(shapes[i].name, run_here(&budget, &watched->job), JOB_COMPLETE);
        check_all_tiles_ran(shapes[i].name, watched);
        check_count(shapes[i].name, watched->done_count + watched->wrong, 0);
        watched_destroy(watched);
    }
    check_count("budget", budget.used, 0);
    pool_destroy(pool);
}

/* ---- Who is served first --------------------------------------------------------------------------------------- */

/* Tiles that the large job has begun since it submitted this one, in a tile counted before. */
static void note_tiles_since(struct watched *tiny, size_t tile)
{
    (void)tile;
    tiny->noted = tiny->other->begun_count - tiny->noted;
}

static void submit_tiny_sometimes(struct watched *large, size_t tile)
{
    if (tile % 8 != 3)
        return;
    struct watched *tiny = large->others[tile / 8];
    tiny->noted = large->begun_count;
    if (!pool_submit(large->pool, &tiny->job))
        large->wrong |= 64;
}

static void a_tiny_job_waits_for_at_most_a_tile_more(void **state)
{
    (void)state;
    struct pool *pool = pool_create(1, &budget);
    struct watched *large = watched_create(pool, 64, 1000000), *tiny[8];
    large->others = tiny;
    large->tile_us = 300;
    large->in_tile = submit_tiny_sometimes;
    for (size_t i = 0; i < 8; i++) {
        tiny[i] = watched_create(pool, 1, 10);
        tiny[i]->other = large;
        tiny[i]->in_tile = note_tiles_since;
    }
    assert_true(pool_submit(pool, &large->job));
    for (size_t i = 0; i < 8; i++) {
        check_count("tiny job", watched_wait("tiny job", tiny[i]), JOB_COMPLETE);
        check_at_most("tiles of the large job before the tiny one", tiny[i]->noted, 1);
    }
    check_count("large job", watched_wait("large job", large), JOB_COMPLETE);
    check_all_tiles_ran("large job", large);
    for (size_t i = 0; i < 8; i++)
        watched_destroy(tiny[i]);
    watched_destroy(large);
    pool_destroy(pool);
}

static bool come_again(struct watched *small)
{
    if (small->other->done_count > 0)
        return true;
    small->done_count = 0;
    small->begun[0][0] = 0;
    small->asked[0] = 0;
    small->job.end = JOB_RUNNING;
    if (pool_submit(small->pool, &small->job))
        return false;
    small->wrong |= 64;
    return true;
}

static void a_large_job_is_not_starved(void **state)
{
    (void)state;
    struct pool *pool = pool_create(1, &budget);
    struct watched *large = watched_create(pool, 64, 1000000), *small[3];
    large->tile_us = 200;
    assert_true(pool_submit(pool, &large->job));
    for (size_t i = 0; i < 3; i++) { /* three small ones, so that there is always one waiting */
        small[i] = watched_create(pool, 1, 10);
        small[i]->other = large;
        small[i]->tile_us = 200;
        small[i]->in_done = come_again;
        assert_true(pool_submit(pool, &small[i]->job));
    }
    check_count("large job", watched_wait("large job", large), JOB_COMPLETE);
    uint64_t tiles_of_others = 0;
    for (size_t i = 0; i < 3; i++) {
        check_count("small job", watched_wait("small job", small[i]), JOB_COMPLETE);
        tiles_of_others += small[i]->begun_count;
        watched_destroy(small[i]);
    }
    check_at_most("tiles of small jobs while the large one ran 64", tiles_of_others, 3 * 64 + 6);
    if (tiles_of_others < 32)
        fail_msg("small jobs had %llu tiles only: the test tests nothing", (unsigned long long)tiles_of_others);
    watched_destroy(large);
    pool_destroy(pool);
}

/* ---- Who is ended ---------------------------------------------------------------------------------------------- */

/* In its first tile submits the other job (which may be itself), in its fourth cancels it, where told so, and notes how many
 * of its tiles began when nobody waited for the other one any more. */
static void watch_other(struct watched *watched, size_t tile)
{
    struct watched *other = watched->other;
    if (tile == 0 && other != watched && !other->submitted) {
        if (!pool_submit(watched->pool, &other->job))
            watched->wrong |= 64;
        other->submitted = true;
    }
    const bool late = other->job.deadline_ns != 0 && clock_now_ns() > other->job.deadline_ns;
    if (other->submitted && other->done_count == 0 && (late || other->job.end != JOB_RUNNING))
        watched->noted++;
    if (tile == 3 && watched->cancels)
        job_cancel(&other->job);
}

static void jobs_that_nobody_waits_for_end_soon(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool runs, cancelled, before;
        enum job_end end;
    } cases[] = {
        {"cancelled in the queue", false, true, false, JOB_CANCELLED},
        {"cancelled while it runs", true, true, false, JOB_CANCELLED},
        {"late in the queue", false, false, false, JOB_LATE},
        {"late while it runs", true, false, false, JOB_LATE},
        {"cancelled before it was queued", false, true, true, JOB_CANCELLED},
        {"late before it was queued", false, false, true, JOB_LATE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (unsigned threads = 1; threads <= 2; threads++) {
            struct pool *pool = pool_create(threads, &budget);
            /* The busy one is older and smaller, so that the other one's turn does not come. */
            struct watched *busy = watched_create(pool, 64, 1000), *job = watched_create(pool, 64, 1000000);
            struct watched *watched = cases[i].runs ? job : busy;
            busy->tile_us = job->tile_us = 2000; /* too long for a batch */
            watched->in_tile = watch_other;
            watched->other = job;
            watched->cancels = cases[i].cancelled && !cases[i].before;
            if (cases[i].cancelled && cases[i].before)
                job_cancel(&job->job);
            else if (!cases[i].cancelled)
                job->job.deadline_ns = cases[i].before ? clock_now_ns() - 1 : clock_now_ns() + 15000000;
            job->submitted = cases[i].runs;
            assert_true(pool_submit(pool, &watched->job));
            check_count(cases[i].name, watched_wait(cases[i].name, job), cases[i].end);
            /* Running: the tiles handed out just then. Queued: those that fit between two looks at all jobs, 10 ms. */
            check_at_most(cases[i].name, watched->noted, threads * (cases[i].runs ? 1 : 6));
            if (cases[i].before)
                check_count(cases[i].name, job->begun_count, 0);
            if (job->begun_count == 64)
                fail_msg("%s: it ran to its end", cases[i].name);
            if (!cases[i].runs)
                check_count("busy job", watched_wait("busy job", busy), JOB_COMPLETE);
            watched_destroy(busy);
            watched_destroy(job);
            pool_destroy(pool);
        }
    }
}

static void cancel_in_third_tile(struct watched *watched, size_t tile)
{
    if (tile == 2)
        job_cancel(&watched->job);
}

static void sleep_in_third_tile(struct watched *watched, size_t tile)
{
    while (tile == 2 && clock_now_ns() <= watched->job.deadline_ns)
        sleep_us(1000);
}

static void a_job_that_runs_here_ends_between_tiles(void **state)
{
    (void)state;
    struct pool *pool = pool_create(1, &budget);
    struct watched *cancelled = watched_create(pool, 9, 10), *late = watched_create(pool, 9, 10);
    cancelled->in_tile = cancel_in_third_tile;
    check_count("cancelled", run_here(&budget, &cancelled->job), JOB_CANCELLED);
    check_count("tiles before it was cancelled", cancelled->begun_count, 3);
    late->in_tile = sleep_in_third_tile;
    late->job.deadline_ns = clock_now_ns() + 100000000;
    check_count("late", run_here(&budget, &late->job), JOB_LATE);
    check_at_most("tiles before it was late", late->begun_count, 3);
    watched_destroy(cancelled);
    watched_destroy(late);
    pool_destroy(pool);
}

/* ---- Limits ---------------------------------------------------------------------------------------------------- */

static void the_queue_has_a_depth(void **state)
{
    (void)state;
    struct pool *pool = pool_create(1, &budget);
    struct watched *jobs[4];
    pool_set_queue_depth(pool, 3);
    for (size_t i = 0; i < 4; i++) {
        jobs[i] = watched_create(pool, 20, 1000);
        jobs[i]->tile_us = 1000;
        check_count("is queued", pool_submit(pool, &jobs[i]->job), i < 3);
    }
    check_count("queued", pool_queued(pool), 3);
    struct watched *follower = watched_create(pool, 1, 1); /* of a request that was admitted: it is not counted */
    follower->job.follows = true;
    assert_true(pool_submit(pool, &follower->job));
    check_count("queued beside a follower", pool_queued(pool), 3);
    check_count("follower", watched_wait("follower", follower), JOB_COMPLETE);
    watched_destroy(follower);
    for (size_t i = 0; i < 3; i++)
        check_count("job", watched_wait("job", jobs[i]), JOB_COMPLETE);
    assert_true(pool_submit(pool, &jobs[3]->job));
    check_count("job", watched_wait("job", jobs[3]), JOB_COMPLETE);
    for (size_t i = 0; i < 4; i++)
        watched_destroy(jobs[i]);
    pool_destroy(pool);
}

static void nothing_queued_is_left_behind(void **state)
{
    (void)state;
    struct pool *pool = pool_create(2, &budget);
    struct watched *jobs[8];
    for (size_t i = 0; i < 8; i++) {
        jobs[i] = watched_create(pool, 5, 1000);
        jobs[i]->tile_us = 1000;
        assert_true(pool_submit(pool, &jobs[i]->job));
    }
    pool_destroy(pool);
    for (size_t i = 0; i < 8; i++) {
        check_count("done once the pool is gone", jobs[i]->done_count, 1);
        check_count("job", watched_wait("job", jobs[i]), JOB_COMPLETE);
        check_all_tiles_ran("job", jobs[i]);
        watched_destroy(jobs[i]);
    }
}

static void scratch_is_charged_and_given_back_when_idle(void **state)
{
    (void)state;
    struct memory_budget small = {.limit = 4 * MIB};
    struct pool *pool = pool_create(2, &small);
    static const struct {
        const char *name;
        size_t bytes;
        enum job_end end;
    } cases[] = {
        {"some", 1 * MIB, JOB_COMPLETE}, {"too much", 5 * MIB, JOB_FAILED}, {"some again", 500000, JOB_COMPLETE}};
    for (size_t i = 0; i < 3; i++) {
        for (int here = 0; here < 2; here++) {
            struct watched *watched = watched_create(pool, 4, 1000);
            watched->job.tile_scratch_bytes = cases[i].bytes;
            if (here) {
                check_count(cases[i].name, run_here(&small, &watched->job), cases[i].end);
            } else {
                assert_true(pool_submit(pool, &watched->job));
                check_count(cases[i].name, watched_wait(cases[i].name, watched), cases[i].end);
            }
            check_count(cases[i].name, watched->begun_count, cases[i].end == JOB_COMPLETE ? 4 : 0);
            watched_destroy(watched);
        }
    }
    if (small.used < 500000)
        fail_msg("scratch: %zu bytes are charged, expected those of a worker", small.used);
    for (unsigned i = 0; i < 1000 && small.used > 0; i++)
        sleep_us(10000);
    check_count("scratch charged after a while without work", small.used, 0);
    pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_run_in_order_and_each_tile_once),
        cmocka_unit_test(a_tiny_job_runs_here_by_the_same_rules),
        cmocka_unit_test(a_tiny_job_waits_for_at_most_a_tile_more),
        cmocka_unit_test(a_large_job_is_not_starved),
        cmocka_unit_test(jobs_that_nobody_waits_for_end_soon),
        cmocka_unit_test(a_job_that_runs_here_ends_between_tiles),
        cmocka_unit_test(the_queue_has_a_depth),
        cmocka_unit_test(nothing_queued_is_left_behind),
        cmocka_unit_test(scratch_is_charged_and_given_back_when_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
