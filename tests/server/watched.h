/* SPDX-License-Identifier: MIT */
/* A job that watches how it is run: each tile once, stages in order, scratch its own, and its end told once. */
#ifndef TESTS_SERVER_WATCHED_H
#define TESTS_SERVER_WATCHED_H

#include <semaphore.h>
#include <stdatomic.h>

#include "server/arena.h"
#include "server/pool.h"

enum { STAGES_MAX = 4, TILES_MAX = 64, MIB = 1024 * 1024 };

struct watched {
    struct job job;
    size_t tiles[STAGES_MAX];
    _Atomic unsigned begun[STAGES_MAX][TILES_MAX];
    _Atomic size_t begun_count, returned[STAGES_MAX], asked[STAGES_MAX];
    _Atomic unsigned done_count, wrong;
    long tile_us;
    void (*in_tile)(struct watched *watched, size_t tile); /* NULL: nothing */
    bool (*in_done)(struct watched *watched); /* NULL: nothing; false: it was submitted again */
    struct watched *other, **others;
    _Atomic size_t noted;
    _Atomic bool submitted, cancels;
    struct pool *pool;
    sem_t ended;
};

/* A job of one stage; the test changes what it wants otherwise. */
struct watched *watched_create(struct pool *pool, size_t tiles, uint64_t work);
void watched_destroy(struct watched *watched);

/* Waits for its end, and fails the test where something went wrong on the way. */
enum job_end watched_wait(const char *name, struct watched *watched);
bool all_tiles_ran(const struct watched *watched);
void check_all_tiles_ran(const char *name, const struct watched *watched);

/* Runs a job on this thread, its memory charged to the budget. */
enum job_end run_here(struct memory_budget *charged, struct job *job);

void sleep_us(long us);
void check_count(const char *name, uint64_t found, uint64_t expected);
void check_at_most(const char *name, uint64_t found, uint64_t most);

#endif
