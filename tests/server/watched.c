/* SPDX-License-Identifier: MIT */
#include "tests/server/watched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "server/request.h"

void sleep_us(long us)
{
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

void check_count(const char *name, uint64_t found, uint64_t expected)
{
    if (found != expected)
        fail_msg("%s: found %llu, expected %llu", name, (unsigned long long)found, (unsigned long long)expected);
}

void check_at_most(const char *name, uint64_t found, uint64_t most)
{
    if (found > most)
        fail_msg("%s: found %llu, expected at most %llu", name, (unsigned long long)found, (unsigned long long)most);
}

enum job_end run_here(struct memory_budget *charged, struct job *job)
{
    struct arena arena;
    arena_init(&arena, charged);
    job->submitted_ns = clock_now_ns();
    const enum job_end end = pool_run_here(&arena, job);
    arena_release(&arena);
    return end;
}

static size_t watched_tile_count(struct job *job, unsigned stage)
{
    struct watched *watched = (struct watched *)job;
    for (unsigned before = 0; before < stage; before++) {
        if (watched->returned[before] != watched->tiles[before])
            watched->wrong |= 1;
    }
    if (watched->asked[stage]++ != 0)
        watched->wrong |= 2;
    return watched->tiles[stage];
}

static void watched_run_tile(struct job *job, unsigned stage, size_t tile, void *scratch)
{
    struct watched *watched = (struct watched *)job;
    const size_t bytes = job->tile_scratch_bytes;
    if (stage >= job->stage_count || tile >= watched->tiles[stage] || watched->begun[stage][tile % TILES_MAX]++ != 0)
        watched->wrong |= 4;
    if (stage > 0 && watched->returned[stage - 1] != watched->tiles[stage - 1])
        watched->wrong |= 8;
    if (bytes > 0 && (uintptr_t)scratch % 64 != 0)
        watched->wrong |= 16;
    watched->begun_count++;
    const int mark = (int)(tile & 127);
    if (bytes > 0)
        memset(scratch, mark, bytes);
    if (watched->in_tile != NULL)
        watched->in_tile(watched, tile);
    if (watched->tile_us > 0)
        sleep_us(watched->tile_us);
    if (bytes > 0 && (((char *)scratch)[0] != mark || ((char *)scratch)[bytes - 1] != mark))
        watched->wrong |= 32;
    watched->returned[stage]++;
}

static void watched_done(struct job *job)
{
    struct watched *watched = (struct watched *)job;
    watched->done_count++;
    if (watched->in_done == NULL || watched->in_done(watched))
        sem_post(&watched->ended);
}

struct watched *watched_create(struct pool *pool, size_t tiles, uint64_t work)
{
    struct watched *watched = calloc(1, sizeof *watched);
    assert_non_null(watched);
    watched->job = (struct job){.stage_count = 1,
                                .tile_count = watched_tile_count,
                                .run_tile = watched_run_tile,
                                .done = watched_done,
                                .work = work};
    watched->tiles[0] = tiles;
    watched->pool = pool;
    sem_init(&watched->ended, 0, 0);
    return watched;
}

enum job_end watched_wait(const char *name, struct watched *watched)
{
    while (sem_wait(&watched->ended) != 0) {
    }
    check_count(name, watched->wrong, 0);
    check_count(name, watched->done_count, 1);
    return (enum job_end)watched->job.end;
}

void watched_destroy(struct watched *watched)
{
    sem_destroy(&watched->ended);
    free(watched);
}

bool all_tiles_ran(const struct watched *watched)
{
    for (unsigned stage = 0; stage < watched->job.stage_count; stage++) {
        for (size_t tile = 0; tile < watched->tiles[stage]; tile++) {
            if (watched->begun[stage][tile] != 1)
                return false;
        }
    }
    return true;
}

void check_all_tiles_ran(const char *name, const struct watched *watched)
{
    if (!all_tiles_ran(watched))
        fail_msg("%s: not every tile ran once", name);
}
