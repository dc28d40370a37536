/* SPDX-License-Identifier: MIT */
/* The arena: the ceiling and how it fails, blocks that grow and keep what they hold, what is resident against what is charged,
 * and that a tiny request allocates nothing once its thread has served a few. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/arena.h"
#include "server/mapping.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

/* Stands before the C library's, to count what the arena takes from the heap, and to fail when told to. */
static _Atomic unsigned heap_calls;
static _Atomic int heap_calls_until_failure = -1;
void *aligned_alloc(size_t alignment, size_t bytes)
{
    heap_calls++;
    if (heap_calls_until_failure >= 0 && heap_calls_until_failure-- == 0)
        return NULL;
    void *memory = NULL;
    return posix_memalign(&memory, alignment, bytes) == 0 ? memory : NULL;
}

static void fill(unsigned char *bytes, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)(i * 31 + (i >> 8) + seed);
}

static void check_filled(const char *name, const unsigned char *bytes, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != (unsigned char)(i * 31 + (i >> 8) + seed))
            fail_msg("%s: byte %zu is %u, expected %u", name, i, bytes[i], (unsigned char)(i * 31 + (i >> 8) + seed));
    }
}

static void check_size(const char *name, size_t found, size_t expected)
{
    if (found != expected)
        fail_msg("%s: found %zu, expected %zu", name, found, expected);
}

static void small_things_are_aligned_and_apart(void **state)
{
    (void)state;
    struct memory_budget budget = {.limit = 16 * MIB};
    struct arena arena;
    unsigned char *things[400];
    arena_init(&arena, &budget);
    for (size_t i = 0; i < 400; i++) {
        things[i] = arena_alloc(&arena, i * 13 % 6000);
        assert_non_null(things[i]);
        check_size("alignment of arena_alloc", (uintptr_t)things[i] % 16, 0);
        fill(things[i], i * 13 % 6000, (unsigned)i);
    }
    for (size_t i = 0; i < 400; i++)
        check_filled("arena_alloc", things[i], i * 13 % 6000, (unsigned)i);
    assert_string_equal(arena_copy_text(&arena, "kernel, and more", 6), "kernel");
    assert_string_equal(arena_copy_text(&arena, NULL, 0), "");
    check_size("budget in use", budget.used, arena.charged);
    arena_release(&arena);
    check_size("budget after release", budget.used, 0);
}

static void blocks_grow_and_shrink_and_keep_what_they_hold(void **state)
{
    (void)state;
    static const size_t steps[] = {0,           1,         64,        65,        2048,    2049,
                                   100 * KIB,   127 * KIB, 128 * KIB, 129 * KIB, 1 * MIB, 9 * MIB,
                                   9 * MIB + 1, 300 * KIB, 2 * MIB,   20 * MIB,  5,       700 * KIB};
    struct memory_budget budget = {.limit = 256 * MIB};
    struct arena arena;
    arena_init(&arena, &budget);
    for (size_t first = 0; first < sizeof steps / sizeof *steps; first++) {
        unsigned char *block = arena_block(&arena, steps[first]), *other = arena_block(&arena, 100);
        assert_non_null(block);
        assert_non_null(other);
        fill(block, steps[first], 1);
        fill(other, 100, 2);
        for (size_t i = first + 1; i < sizeof steps / sizeof *steps; i++) {
            block = arena_block_resize(&arena, block, steps[i]);
            assert_non_null(block);
            check_size("alignment of a block", (uintptr_t)block % 64, 0);
            check_filled("resized block", block, steps[i] < steps[i - 1] ? steps[i] : steps[i - 1], 1);
            fill(block, steps[i], 1);
        }
        check_filled("the block beside it", other, 100, 2);
        arena_block_free(&arena, block);
        arena_block_free(&arena, other);
    }
    arena_block_free(&arena, NULL);
    check_size("budget in use", budget.used, arena.charged);
    arena_release(&arena);
    check_size("budget after release", budget.used, 0);
}

/* Blocks of all sizes, freed in another order than they came: the list must stay whole. */
static void blocks_can_be_freed_in_any_order(void **state)
{
    (void)state;
    struct memory_budget budget = {.limit = 512 * MIB};
    struct arena arena;
    unsigned char *blocks[64] = {0};
    size_t bytes[64] = {0};
    uint32_t random = 12345;
    arena_init(&arena, &budget);
    for (unsigned turn = 0; turn < 4000; turn++) {
        random = random * 1664525 + 1013904223;
        const size_t i = random >> 26;
        if (blocks[i] != NULL)
            check_filled("block", blocks[i], bytes[i], (unsigned)i);
        if (random & 1) {
            arena_block_free(&arena, blocks[i]);
            blocks[i] = NULL;
            continue;
        }
        bytes[i] = (random >> 8 & 15) == 0 ? (random >> 4) % (400 * KIB) : (random >> 4) % 3000;
        blocks[i] = arena_block_resize(&arena, blocks[i], bytes[i]);
        assert_non_null(blocks[i]);
        fill(blocks[i], bytes[i], (unsigned)i);
    }
    arena_release(&arena);
    check_size("budget after release", budget.used, 0);
}

static void failures_tell_what_was_too_much(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t limit, by_others, held, asked;
        enum arena_failure failure;
    } cases[] = {
        {"fits", 4 * MIB, 0, 1 * MIB, 2 * MIB, ARENA_FINE},
        {"alone too much", 4 * MIB, 0, 0, 5 * MIB, ARENA_TOO_LARGE},
        {"with what it holds too much", 4 * MIB, 0, 3 * MIB, 2 * MIB, ARENA_TOO_LARGE},
        {"too much beside others", 4 * MIB, 2 * MIB, 1 * MIB, 2 * MIB, ARENA_OVERLOADED},
        {"too much and too much beside others", 4 * MIB, 3 * MIB, 0, 5 * MIB, ARENA_TOO_LARGE},
        {"a small one too much", 8 * KIB - 1, 0, 0, 100, ARENA_TOO_LARGE},
        {"a small one beside others", 16 * KIB, 9 * KIB, 0, 100, ARENA_OVERLOADED},
        {"no address is that far", 4 * MIB, 0, 0, SIZE_MAX, ARENA_TOO_LARGE},
        {"nor that", SIZE_MAX, 0, 0, SIZE_MAX - 100, ARENA_TOO_LARGE},
        {"what the system refuses", SIZE_MAX, 0, 0, SIZE_MAX / 4, ARENA_EXHAUSTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct memory_budget budget = {.limit = cases[i].limit};
        struct arena others, arena;
        arena_init(&others, &budget);
        arena_init(&arena, &budget);
        assert_true(arena_charge(&others, cases[i].by_others));
        assert_true(arena_charge(&arena, cases[i].held));
        const size_t used = budget.used;
        void *block = cases[i].asked == 100 ? arena_alloc(&arena, 100) : arena_block(&arena, cases[i].asked);
        if (arena.failure != cases[i].failure || (block == NULL) != (cases[i].failure != ARENA_FINE))
            fail_msg("%s: failure %d, block %p, expected failure %d", cases[i].name, arena.failure, block,
                     cases[i].failure);
        if (block == NULL) {
            check_size(cases[i].name, budget.used, used);
            if (arena.failure_bytes < cases[i].asked && arena.failure_bytes < cases[i].held + cases[i].asked)
                fail_msg("%s: failure_bytes %zu", cases[i].name, arena.failure_bytes);
        }
        arena_release(&arena);
        arena_release(&others);
        check_size(cases[i].name, budget.used, 0);
    }
}

static void a_resize_that_fails_leaves_the_block(void **state)
{
    (void)state;
    struct memory_budget budget = {.limit = 1 * MIB};
    struct arena arena;
    static const size_t sizes[] = {1000, 50 * KIB, 300 * KIB};
    for (size_t i = 0; i < 3; i++) {
        arena_init(&arena, &budget);
        unsigned char *block = arena_block(&arena, sizes[i]);
        fill(block, sizes[i], 7);
        const size_t used = budget.used;
        assert_null(arena_block_resize(&arena, block, 2 * MIB));
        check_size("failure", arena.failure, ARENA_TOO_LARGE);
        check_size("budget in use", budget.used, used);
        check_filled("block", block, sizes[i], 7);
        assert_non_null(arena_block_resize(&arena, block, 400 * KIB));
        arena_release(&arena);
    }
}

static void heap_failures_are_told_and_charge_nothing(void **state)
{
    (void)state;
    struct memory_budget budget = {.limit = 64 * MIB};
    struct arena arena;
    arena_init(&arena, &budget);
    assert_non_null(arena_alloc(&arena, 10));
    const size_t used = budget.used;
    heap_calls_until_failure = 0;
    assert_null(arena_block(&arena, 50 * KIB));
    heap_calls_until_failure = -1;
    check_size("failure", arena.failure, ARENA_EXHAUSTED);
    check_size("budget in use", budget.used, used);
    assert_non_null(arena_block(&arena, 50 * KIB));
    arena_release(&arena);
}

static void serve_tiny_request(struct memory_budget *budget)
{
    struct arena arena;
    arena_init(&arena, budget);
    unsigned char *input = NULL;
    for (size_t bytes = 64; bytes <= 512; bytes += 64)
        input = arena_block_resize(&arena, input, bytes);
    fill(input, 512, 0);
    assert_non_null(arena_block(&arena, 72));
    assert_non_null(arena_block(&arena, 128));
    assert_non_null(arena_alloc(&arena, 1500));
    assert_non_null(arena_copy_text(&arena, "/v1/correlate", 13));
    arena_release(&arena);
}

static void *serve_in_thread(void *budget)
{
    for (unsigned i = 0; i < 3; i++)
        serve_tiny_request(budget);
    return NULL;
}

static void tiny_requests_allocate_nothing_in_the_steady_state(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* every block is the heap's there */
#endif
    struct memory_budget budget = {.limit = 16 * MIB};
    serve_tiny_request(&budget);
    const unsigned before = heap_calls;
    for (unsigned i = 0; i < 1000; i++)
        serve_tiny_request(&budget);
    check_size("allocations in 1000 requests", heap_calls - before, 0);
    check_size("budget", budget.used, 0);
}

static void what_a_thread_keeps_goes_with_it(void **state)
{
    (void)state;
    struct memory_budget budget = {.limit = 16 * MIB};
    pthread_t thread; /* the leak checker tells */
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(pthread_create(&thread, NULL, serve_in_thread, &budget), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    check_size("budget", budget.used, 0);
}

/* From the page that `block` begins in; 0 where nothing is mapped there. */
static size_t resident_pages(void *block, size_t bytes)
{
    static unsigned char pages[160 * MIB / 4096];
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *start = (char *)((uintptr_t)block / page * page);
    size_t count = 0;
    assert_true(bytes / page <= sizeof pages);
    if (mincore(start, bytes, pages) != 0)
        return 0;
    for (size_t i = 0; i < bytes / page; i++)
        count += pages[i] & 1;
    return count;
}

static void no_more_is_resident_than_charged(void **state)
{
    (void)state;
    struct memory_budget budget = {.limit = 256 * MIB};
    struct arena arena;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    arena_init(&arena, &budget);
    mapping_trim();
    unsigned char *block = arena_block(&arena, 8 * MIB);
    memset(block, 1, 8 * MIB);
    const size_t whole = 8 * MIB + page;
    check_size("charged for 8 MiB", arena.charged, whole);
    block = arena_block_resize(&arena, block, 1 * MIB);
    check_size("charged after shrinking", arena.charged, 1 * MIB + page);
    check_size("resident after shrinking", resident_pages(block, 8 * MIB), arena.charged / page);
    block = arena_block_resize(&arena, block, 8 * MIB);
    memset(block, 1, 8 * MIB);
    arena_release(&arena);

    unsigned char *again = arena_block(&arena, 4 * MIB);
    assert_ptr_equal(again, block); /* kept, and used again */
    check_size("charged for 4 MiB", arena.charged, 4 * MIB + page);
    check_size("resident of what was kept", resident_pages(again, 8 * MIB), 4 * MIB / page + 1);
    arena_release(&arena);
    mapping_trim();
    check_size("resident after a trim", resident_pages(again, 8 * MIB), 0);
}

/* What is expected is not charged; it lies where it will, and pages that were kept are there still. */
static void what_is_expected_is_not_charged(void **state)
{
    (void)state;
    struct memory_budget budget = {.limit = 64 * MIB};
    struct arena arena;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    arena_init(&arena, &budget);
    mapping_trim();
    for (unsigned round = 0; round < 3; round++) {
        unsigned char *const block = arena_block_grow(&arena, NULL, 1000, 12 * MIB);
        check_size("charged at first", arena.charged, page);
        check_size("resident at first", resident_pages(block, 12 * MIB), round ? 12 * MIB / page : 1);
        for (size_t bytes = 64 * KIB; bytes <= 12 * MIB; bytes += 64 * KIB) {
            assert_ptr_equal(arena_block_grow(&arena, block, bytes, 12 * MIB), block);
            check_size("charged", arena.charged, bytes + page);
            memset(block + bytes - 64 * KIB, 1, 64 * KIB);
        }
        arena_release(&arena);
        check_size("used", budget.used, 0);
    }
    /* The store never holds more than its 32 MiB, what it has lent included. */
    unsigned char *blocks[6];
    for (unsigned i = 0; i < 6; i++) {
        blocks[i] = arena_block(&arena, 10 * MIB);
        memset(blocks[i], 1, 10 * MIB);
    }
    arena_release(&arena);
    for (unsigned i = 0; i < 6; i++)
        blocks[i] = arena_block_grow(&arena, NULL, 1000, 10 * MIB);
    size_t resident = 0;
    for (unsigned i = 0; i < 6; i++)
        resident += resident_pages(blocks[i], 10 * MIB);
    assert_in_range(resident, 20 * MIB / page, 32 * MIB / page + 6);
    arena_release(&arena);
    mapping_trim();
}

/* Past every size at which huge pages, and remapping, come into it. */
static void growth_by_little_keeps_contents_and_residency(void **state)
{
    (void)state;
    enum { STEP = 64 * KIB, STEPS = 600 };
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct mapping mapping = {0};
    for (size_t i = 0; i < STEPS; i++) {
        size_t bytes = 0;
        assert_true(mapping_round((i + 1) * STEP, &bytes));
        assert_true(bytes < (i + 1) * STEP + 3 * MIB);
        assert_true(i == 0 ? mapping_take(&mapping, bytes, 0) : mapping_resize(&mapping, bytes));
        check_size("bytes of the mapping", mapping.bytes, bytes);
        fill((unsigned char *)mapping.address + i * STEP, STEP, (unsigned)i);
        if (i % 8 != 7)
            continue;
        const size_t resident = resident_pages(mapping.address, mapping.space_bytes);
        if (resident > bytes / page || resident < (i + 1) * STEP / page)
            fail_msg("step %zu: %zu pages resident, expected at most %zu", i, resident, bytes / page);
    }
    for (size_t i = 0; i < STEPS; i++)
        check_filled("step", (unsigned char *)mapping.address + i * STEP, STEP, (unsigned)i);
    assert_true(mapping_resize(&mapping, 5 * MIB));
    assert_true(resident_pages(mapping.address, mapping.space_bytes) <= 5 * MIB / page);
    memset((char *)mapping.address + 4 * MIB, 1, MIB);
    assert_true(resident_pages(mapping.address, mapping.space_bytes) <= 5 * MIB / page);
    mapping_give(&mapping);
    mapping_trim();
}

static void *charge_and_discharge(void *argument)
{
    struct memory_budget *budget = argument;
    struct arena arena;
    arena_init(&arena, budget);
    for (unsigned i = 0; i < 20000; i++) {
        if (!arena_charge(&arena, 300))
            continue;
        if (budget->used > budget->limit)
            return budget; /* a failure */
        arena_discharge(&arena, 300);
    }
    arena_release(&arena);
    return NULL;
}

static void the_ceiling_holds_among_threads(void **state)
{
    (void)state;
    struct memory_budget budget = {.limit = 1000};
    pthread_t threads[6];
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, charge_and_discharge, &budget), 0);
    for (size_t i = 0; i < 6; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        if (failure != NULL)
            fail_msg("thread %zu saw more in use than the ceiling allows", i);
    }
    check_size("budget", budget.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_things_are_aligned_and_apart),
        cmocka_unit_test(blocks_grow_and_shrink_and_keep_what_they_hold),
        cmocka_unit_test(blocks_can_be_freed_in_any_order),
        cmocka_unit_test(failures_tell_what_was_too_much),
        cmocka_unit_test(a_resize_that_fails_leaves_the_block),
        cmocka_unit_test(heap_failures_are_told_and_charge_nothing),
        cmocka_unit_test(tiny_requests_allocate_nothing_in_the_steady_state),
        cmocka_unit_test(what_a_thread_keeps_goes_with_it),
        cmocka_unit_test(no_more_is_resident_than_charged),
        cmocka_unit_test(what_is_expected_is_not_charged),
        cmocka_unit_test(growth_by_little_keeps_contents_and_residency),
        cmocka_unit_test(the_ceiling_holds_among_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
