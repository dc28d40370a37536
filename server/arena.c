/* SPDX-License-Identifier: MIT */
/* The memory of one request. Three kinds of it: small things are cut from chunks, blocks below 128 KiB come from the heap, larger
 * ones are mappings of their own, which grow without a copy. Every piece has a 64-byte header in front of it, and all but
 * small blocks stand in the arena's list. What is resident is never more than what is charged.
 *
 * Each thread keeps a few first chunks, so that in the steady state a tiny request allocates nothing. They are charged to
 * nobody, as kept mappings are: both belong to the 64 MiB that the daemon may use above its ceiling. */
#include "server/arena.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "server/mapping.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

enum {
    SMALL_ALIGNMENT = 16,
    BLOCK_ALIGNMENT = 64,
    FIRST_CHUNK_BYTES = 16 << 10, /* a tiny request needs no more */
    CHUNK_BYTES_MAX = 64 << 10,
#ifdef __SANITIZE_ADDRESS__
    SMALL_BLOCK_BYTES_MAX = 0, /* each block from the heap, so that a stray write is seen */
#else
    SMALL_BLOCK_BYTES_MAX = 4 << 10,
#endif
    MAPPED_BYTES_MIN = 128 << 10,
    KEPT_CHUNKS = 8, /* in each thread */
};

enum block_kind {
    BLOCK_FIRST_CHUNK,
    BLOCK_HEAP, /* a later chunk, or a block of its own */
    BLOCK_MAPPED,
    BLOCK_SMALL, /* inside a chunk, in no list */
};

struct arena_block {
    _Alignas(BLOCK_ALIGNMENT) struct arena_block *previous;
    struct arena_block *next;
    size_t bytes; /* asked for */
    size_t capacity; /* usable without another allocation, after the header */
    size_t charged; /* header included; of a mapping: the bytes that may be touched */
    size_t spare_bytes; /* of a mapping */
    enum block_kind kind;
};
static_assert(sizeof(struct arena_block) == BLOCK_ALIGNMENT, "what follows the header is aligned as the header is");

/* ---- The ceiling ---------------------------------------------------------------------------------------------- */

static bool budget_take(struct memory_budget *budget, size_t bytes)
{
    const size_t limit = atomic_load_explicit(&budget->limit, memory_order_relaxed);
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    do {
        if (bytes > limit || used > limit - bytes)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget->used, &used, used + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static void *arena_fail(struct arena *arena, enum arena_failure failure, size_t bytes)
{
    if (arena->failure == ARENA_FINE) {
        arena->failure = failure;
        if (__builtin_add_overflow(arena->charged, bytes, &arena->failure_bytes))
            arena->failure_bytes = SIZE_MAX;
    }
    return NULL;
}

bool arena_charge(struct arena *arena, size_t bytes)
{
    size_t alone;
    if (__builtin_add_overflow(arena->charged, bytes, &alone) || alone > arena->budget->limit)
        return arena_fail(arena, ARENA_TOO_LARGE, bytes);
    if (!budget_take(arena->budget, bytes))
        return arena_fail(arena, ARENA_OVERLOADED, bytes);
    arena->charged = alone;
    return true;
}

void arena_discharge(struct arena *arena, size_t bytes)
{
    assert(bytes <= arena->charged);
    arena->charged -= bytes;
    atomic_fetch_sub_explicit(&arena->budget->used, bytes, memory_order_relaxed);
}

/* ---- First chunks, kept by each thread ------------------------------------------------------------------------- */

static _Thread_local struct {
    struct arena_block *chunks;
    unsigned count;
} kept_chunks;
static pthread_key_t kept_chunks_key; /* only for its destructor */
static bool kept_chunks_key_made;
static pthread_once_t kept_chunks_once = PTHREAD_ONCE_INIT;

static void kept_chunks_free(void *unused)
{
    (void)unused;
    while (kept_chunks.chunks != NULL) {
        struct arena_block *chunk = kept_chunks.chunks;
        kept_chunks.chunks = chunk->next;
        free(chunk);
    }
    kept_chunks.count = KEPT_CHUNKS; /* a later destructor of this thread keeps nothing */
}

static void kept_chunks_start(void)
{
    kept_chunks_key_made = pthread_key_create(&kept_chunks_key, kept_chunks_free) == 0;
}

static struct arena_block *first_chunk_take(void)
{
    struct arena_block *chunk = kept_chunks.chunks;
    if (chunk == NULL)
        return aligned_alloc(BLOCK_ALIGNMENT, FIRST_CHUNK_BYTES);
    kept_chunks.chunks = chunk->next;
    kept_chunks.count--;
    return chunk;
}

static void first_chunk_give(struct arena_block *chunk)
{
    pthread_once(&kept_chunks_once, kept_chunks_start);
    if (kept_chunks.count >= KEPT_CHUNKS || !kept_chunks_key_made ||
        (kept_chunks.count == 0 && pthread_setspecific(kept_chunks_key, &kept_chunks) != 0)) {
        free(chunk);
        return;
    }
    chunk->next = kept_chunks.chunks;
    kept_chunks.chunks = chunk;
    kept_chunks.count++;
}

/* ---- The arena's list ------------------------------------------------------------------------------------------ */

static void block_link(struct arena *arena, struct arena_block *block)
{
    block->previous = NULL;
    block->next = arena->blocks;
    if (block->next != NULL)
        block->next->previous = block;
    arena->blocks = block;
}

/* After the block has moved: its neighbours point at its new place. */
static void block_relink(struct arena *arena, struct arena_block *block)
{
    if (block->next != NULL)
        block->next->previous = block;
    if (block->previous != NULL)
        block->previous->next = block;
    else
        arena->blocks = block;
}

static void block_unlink(struct arena *arena, struct arena_block *block)
{
    if (block->next != NULL)
        block->next->previous = block->previous;
    if (block->previous != NULL)
        block->previous->next = block->next;
    else
        arena->blocks = block->next;
}

static void block_give_back(struct arena_block *block)
{
    switch (block->kind) {
    case BLOCK_FIRST_CHUNK:
        first_chunk_give(block);
        break;
    case BLOCK_HEAP:
        free(block);
        break;
    case BLOCK_MAPPED:
        mapping_give(&(struct mapping){block, sizeof *block + block->capacity, block->charged, block->spare_bytes});
        break;
    case BLOCK_SMALL:
        break;
    }
}

/* The header and `bytes` in whole pages. */
static bool pages_for(size_t bytes, size_t *charged)
{
    size_t sum;
    return !__builtin_add_overflow(bytes, sizeof(struct arena_block), &sum) && mapping_round(sum, charged);
}

bool arena_fits(struct arena *arena, size_t bytes, size_t count)
{
    size_t charged = FIRST_CHUNK_BYTES;
    if ((bytes > SMALL_BLOCK_BYTES_MAX && !pages_for(bytes, &charged)) ||
        __builtin_mul_overflow(charged, count, &charged))
        charged = SIZE_MAX - arena->charged;
    if (charged <= arena->budget->limit && arena->charged <= arena->budget->limit - charged)
        return true;
    arena_fail(arena, ARENA_TOO_LARGE, charged);
    return false;
}

/* A block of `charged` bytes, header included, that are charged already; NULL where the system has none. */
static struct arena_block *block_from_system(enum block_kind kind, size_t charged, size_t expected)
{
    struct mapping mapping = {0};
    struct arena_block *block;
    size_t capacity = charged - sizeof *block;
    if (kind == BLOCK_MAPPED) {
        if (!mapping_take(&mapping, charged, expected))
            return NULL;
        block = mapping.address;
        capacity = mapping.space_bytes - sizeof *block;
    } else {
        block = aligned_alloc(BLOCK_ALIGNMENT, charged);
        if (block == NULL)
            return NULL;
    }
    *block = (struct arena_block){
        .kind = kind, .charged = charged, .capacity = capacity, .spare_bytes = mapping.spare_bytes};
    return block;
}

/* A block in the list that holds `bytes`: a mapping where it is or will be much, else from the heap. */
static struct arena_block *block_create(struct arena *arena, size_t bytes, size_t expected)
{
    const enum block_kind kind = bytes >= MAPPED_BYTES_MIN || expected >= MAPPED_BYTES_MIN ? BLOCK_MAPPED : BLOCK_HEAP;
    size_t charged, expected_pages;
    if (kind == BLOCK_HEAP)
        charged = (sizeof(struct arena_block) + bytes + BLOCK_ALIGNMENT - 1) / BLOCK_ALIGNMENT * BLOCK_ALIGNMENT;
    else if (!pages_for(bytes, &charged))
        return arena_fail(arena, ARENA_TOO_LARGE, bytes);
    if (!arena_charge(arena, charged))
        return NULL;
    if (!pages_for(expected, &expected_pages))
        expected_pages = charged;
    struct arena_block *block = block_from_system(kind, charged, expected_pages);
    if (block == NULL) {
        arena_discharge(arena, charged);
        return arena_fail(arena, ARENA_EXHAUSTED, bytes);
    }
    block->bytes = bytes;
    block_link(arena, block);
    return block;
}

/* ---- Small things ---------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) bool chunk_add(struct arena *arena)
{
    struct arena_block *chunk;
    if (arena->chunk_bytes == 0) {
        if (!arena_charge(arena, FIRST_CHUNK_BYTES))
            return false;
        chunk = first_chunk_take();
        if (chunk == NULL) {
            arena_discharge(arena, FIRST_CHUNK_BYTES);
            return arena_fail(arena, ARENA_EXHAUSTED, FIRST_CHUNK_BYTES);
        }
        chunk->kind = BLOCK_FIRST_CHUNK;
        chunk->bytes = chunk->capacity = FIRST_CHUNK_BYTES - sizeof *chunk;
        chunk->charged = arena->chunk_bytes = FIRST_CHUNK_BYTES;
        block_link(arena, chunk);
    } else {
        const size_t bytes = arena->chunk_bytes < CHUNK_BYTES_MAX ? 2 * arena->chunk_bytes : CHUNK_BYTES_MAX;
        chunk = block_create(arena, bytes - sizeof *chunk, 0);
        if (chunk == NULL)
            return false;
        arena->chunk_bytes = bytes;
    }
    arena->bump = (char *)(chunk + 1);
    arena->bump_end = arena->bump + chunk->capacity;
    return true;
}

static size_t padding_to(const char *address, size_t alignment)
{
    return -(uintptr_t)address & (alignment - 1);
}

/* At most half a first chunk. */
static inline void *chunk_cut(struct arena *arena, size_t bytes, size_t alignment)
{
    size_t padding = padding_to(arena->bump, alignment);
    if (arena->bump == NULL || (size_t)(arena->bump_end - arena->bump) < padding + bytes) {
        if (!chunk_add(arena))
            return NULL;
        padding = padding_to(arena->bump, alignment);
    }
    char *cut = arena->bump + padding;
    arena->bump = cut + bytes;
    return cut;
}

void arena_init(struct arena *arena, struct memory_budget *budget)
{
    *arena = (struct arena){.budget = budget};
}

void arena_release(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        block_give_back(block);
        block = next;
    }
    if (arena->budget != NULL)
        arena_discharge(arena, arena->charged);
    arena_init(arena, arena->budget);
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    if (bytes <= FIRST_CHUNK_BYTES / 2)
        return chunk_cut(arena, bytes, SMALL_ALIGNMENT);
    struct arena_block *block = block_create(arena, bytes, 0);
    return block != NULL ? block + 1 : NULL;
}

char *arena_copy_text(struct arena *arena, const char *text, size_t bytes)
{
    size_t with_end;
    if (__builtin_add_overflow(bytes, 1, &with_end))
        return arena_fail(arena, ARENA_TOO_LARGE, bytes);
    char *copy = arena_alloc(arena, with_end);
    if (copy == NULL)
        return NULL;
    if (bytes > 0)
        memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

/* ---- Blocks ---------------------------------------------------------------------------------------------------- */

static void *block_add(struct arena *arena, size_t bytes, size_t expected)
{
    struct arena_block *block;
    if (bytes <= SMALL_BLOCK_BYTES_MAX && expected < MAPPED_BYTES_MIN) {
        block = chunk_cut(arena, sizeof *block + bytes, BLOCK_ALIGNMENT);
        if (block == NULL)
            return NULL;
        *block = (struct arena_block){.bytes = bytes, .capacity = bytes, .kind = BLOCK_SMALL};
    } else {
        block = block_create(arena, bytes, expected);
    }
    return block != NULL ? block + 1 : NULL;
}

void *arena_block(struct arena *arena, size_t bytes)
{
    return block_add(arena, bytes, 0);
}

static char *block_end(const struct arena_block *block)
{
    return (char *)(block + 1) + block->capacity;
}

void arena_block_free(struct arena *arena, void *data)
{
    if (data == NULL)
        return;
    struct arena_block *block = (struct arena_block *)data - 1;
    if (block->kind == BLOCK_SMALL) {
        if (arena->bump == block_end(block)) /* the newest: its place can be used again */
            arena->bump = (char *)block;
        return;
    }
    block_unlink(arena, block);
    arena_discharge(arena, block->charged);
    block_give_back(block);
}

/* Changes what a mapped block holds; it may move. NULL: nothing has changed. */
static struct arena_block *block_resize_mapped(struct arena *arena, struct arena_block *block, size_t bytes)
{
    struct mapping mapping = {block, sizeof *block + block->capacity, block->charged, block->spare_bytes};
    const size_t before = block->charged;
    size_t charged;
    if (!pages_for(bytes, &charged))
        return arena_fail(arena, ARENA_TOO_LARGE, bytes);
    if (charged > before && !arena_charge(arena, charged - before))
        return NULL;
    if (charged != before && !mapping_resize(&mapping, charged)) {
        if (charged > before) {
            arena_discharge(arena, charged - before);
            return arena_fail(arena, ARENA_EXHAUSTED, charged - before);
        }
        charged = before; /* cannot shrink, so it stays as it was */
    }
    if (charged < before)
        arena_discharge(arena, before - charged);
    block = mapping.address;
    block->capacity = mapping.space_bytes - sizeof *block;
    block->charged = charged;
    block->spare_bytes = mapping.spare_bytes;
    block->bytes = bytes;
    block_relink(arena, block);
    return block;
}

void *arena_block_resize(struct arena *arena, void *data, size_t bytes)
{
    return arena_block_grow(arena, data, bytes, 0);
}

void *arena_block_grow(struct arena *arena, void *data, size_t bytes, size_t expected)
{
    if (data == NULL)
        return block_add(arena, bytes, expected);
    struct arena_block *block = (struct arena_block *)data - 1;
    if (block->kind == BLOCK_MAPPED) {
        block = block_resize_mapped(arena, block, bytes);
        return block != NULL ? block + 1 : NULL;
    }
    if (block->kind == BLOCK_SMALL && arena->bump == block_end(block) &&
        bytes <= (size_t)(arena->bump_end - (char *)data)) {
        block->capacity = bytes;
        arena->bump = block_end(block);
    }
    if (bytes <= block->capacity) {
        block->bytes = bytes;
        return data;
    }
    /* At least twice as large, so that a block that grows by little is not copied each time. */
    size_t capacity = bytes;
    if (capacity < MAPPED_BYTES_MIN && capacity < 2 * block->capacity)
        capacity = 2 * block->capacity < MAPPED_BYTES_MIN ? 2 * block->capacity : MAPPED_BYTES_MIN - 1;
    void *larger = block_add(arena, capacity, expected);
    if (larger == NULL)
        return NULL;
    ((struct arena_block *)larger - 1)->bytes = bytes;
    memcpy(larger, data, block->bytes);
    arena_block_free(arena, data);
    return larger;
}
