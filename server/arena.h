/* SPDX-License-Identifier: MIT */
/* The memory of one request: everything it holds comes from here, is counted against one ceiling for the whole daemon
 * (`max_memory_bytes`) before it is taken, and is freed at once. An arena belongs to one thread at a time. The only file of
 * server/ that server/formats/ may include. */
#ifndef SERVER_ARENA_H
#define SERVER_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What all requests together may hold. `limit` may change while the daemon runs. */
struct memory_budget {
    _Atomic size_t used, limit;
};

enum arena_failure {
    ARENA_FINE,
    ARENA_TOO_LARGE, /* this request alone would exceed the ceiling */
    ARENA_OVERLOADED, /* it would, together with the others */
    ARENA_EXHAUSTED, /* the system has no memory */
};

struct arena_block;
struct arena {
    struct memory_budget *budget;
    size_t charged; /* bytes taken from the budget */
    struct arena_block *blocks; /* list of everything allocated */
    char *bump, *bump_end; /* what is left of the newest chunk for small things */
    size_t chunk_bytes; /* of the newest chunk; the next is larger */
    enum arena_failure failure; /* the first one */
    size_t failure_bytes; /* what the request would have held then */
};

void arena_init(struct arena *arena, struct memory_budget *budget);
/* Frees all and gives all back, what arena_charge took too; the arena may be used again. */
void arena_release(struct arena *arena);

/* Small things that live as long as the request, 16-byte aligned, not zeroed. NULL on failure (see `failure`). */
void *arena_alloc(struct arena *arena, size_t bytes);
char *arena_copy_text(struct arena *arena, const char *text, size_t bytes); /* NUL-terminated copy */

/* Tensors and other large things: 64-byte aligned, not zeroed. A block can grow (large ones by remapping, without a copy) and
 * be freed early. resize(NULL) allocates. NULL on failure; the old block then stays.
 * A large block has more address space than it was asked for, so growing it is seldom more than an addition; only the
 * pages asked for so far are charged. So let a block that fills up grow by some 64 KiB at a time instead of by doubling: it
 * costs no more and charges less. Nothing may be written beyond the bytes asked for. */
void *arena_block(struct arena *arena, size_t bytes);
void *arena_block_resize(struct arena *arena, void *block, size_t bytes);
/* The same for a block that will probably grow to `expected` bytes: it gets address space for them, which is charged to nobody, so
 * that growing to them by and by is an addition only. */
void *arena_block_grow(struct arena *arena, void *block, size_t bytes, size_t expected);
void arena_block_free(struct arena *arena, void *block); /* NULL is fine */

/* Charges without allocating, for memory that others hold for this request (send buffers), and back. */
bool arena_charge(struct arena *arena, size_t bytes);
void arena_discharge(struct arena *arena, size_t bytes);
/* Whether `count` other arenas could have a block of so many bytes each for this request, if no other request held anything. False
 * is a failure too. */
bool arena_fits(struct arena *arena, size_t bytes, size_t count);

#endif
