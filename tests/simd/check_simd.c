/* SPDX-License-Identifier: MIT */
/* Every routine of every instruction set this CPU has, against scalar, bit for bit: each length from 1 to 130, odd
 * alignments, guard values around what is written and an unreadable page behind what is read. With --bench it times the
 * blocks instead. A row of the routines' list without a check_NAME here does not compile. */
#include "core/simd/routines.h"
#include "tests/bench/fma_peak.h"
#include "tests/simd/check_panels.h"
#include "tests/simd/check_simd.h"
#include "tests/simd/check_strips.h"
#include "tests/simd/check_winograd.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned failures;
static uint64_t random_state = 1;

uint64_t check_random(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void check_failed(const char *set, const char *routine, size_t count, const char *what)
{
    printf("%s of %s, count %zu: %s\n", routine, set, count, what);
    if (++failures >= 20)
        exit(1);
}

void check_same(const char *set, const char *routine, size_t count, const void *expected, const void *found,
                size_t bytes)
{
    const unsigned char *a = expected, *b = found;
    for (size_t i = 0; i < bytes; i++) {
        if (a[i] == b[i])
            continue;
        char what[80];
        snprintf(what, sizeof what, "byte %zu is %02x, expected %02x", i, b[i], a[i]);
        check_failed(set, routine, count, what);
        return;
    }
}

/* ---- Memory with an unreadable page behind it ------------------------------------------------------------------------- */

enum { ARENA_BYTES = 1 << 19, ARENAS = 4 };
static unsigned char *arenas[ARENAS];

void *check_memory(unsigned arena, size_t bytes)
{
    if (!arenas[arena]) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        unsigned char *const memory =
            mmap(NULL, ARENA_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED || mprotect(memory + ARENA_BYTES, page, PROT_NONE) != 0) {
            perror("mmap");
            exit(1);
        }
        arenas[arena] = memory;
    }
    if (bytes > ARENA_BYTES)
        abort();
    return arenas[arena] + ARENA_BYTES - bytes;
}

void check_fill_f32(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(int64_t)check_random() * 0x1p-63f;
}

void check_fill_f64(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (double)(int64_t)check_random() * 0x1p-63;
}

void check_fill_u64(uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = check_random();
}

/* ---- Blocks ----------------------------------------------------------------------------------------------------------- */

enum {
    ROWS_MAX = 13,
    TABLE_MAX = 2 * ((ROWS_MAX - 1) * 3 + 8),
    TAPS_MAX = 9,
    PASS_TAPS_MAX = 40,
    COUNT_MAX = 130,
    LONG_COUNT = 160, /* added now and then, for blocks of many vectors */
    GUARD = 24
};

/* A random block: what varies is everything but the count. */
struct block_case {
    struct simd_block block;
    const void *rows[TABLE_MAX];
    ptrdiff_t offsets[TAPS_MAX];
    void *outputs[ROWS_MAX];
};

static void make_case(struct block_case *c, size_t count)
{
    c->block = (struct simd_block){.rows = c->rows,
                                   .planes = 1 + check_random() % 2,
                                   .row_taps = 1 + check_random() % 7,
                                   .row_step = check_random() % 3 ? 1 : 1 + check_random() % 3,
                                   .taps = 1 + check_random() % TAPS_MAX,
                                   .offsets = check_random() % 2 ? c->offsets : NULL,
                                   .accumulate = check_random() % 3 == 0,
                                   .output = c->outputs,
                                   .output_rows = 1 + check_random() % ROWS_MAX,
                                   .count = count,
                                   .stream = check_random() % 2};
    struct simd_block *const b = &c->block;
    /* Some are passes over one axis: down a column, or along a row. */
    const uint64_t pass = check_random() % 4;
    if (pass < 2) {
        b->planes = b->row_step = 1;
        b->row_taps = pass == 0 ? 1 + check_random() % PASS_TAPS_MAX : 1;
        b->taps = pass == 0 ? 1 : 1 + check_random() % PASS_TAPS_MAX;
        b->offsets = NULL;
    }
    b->rows_pitch = (b->output_rows - 1) * b->row_step + b->row_taps;
    b->row_pitch = b->taps + (pass < 2 ? 0 : check_random() % 2);
    b->plane_pitch = b->row_pitch * b->row_taps + check_random() % 3;
    for (size_t k = 0; k < b->taps && b->offsets; k++)
        c->offsets[k] = (ptrdiff_t)(check_random() % 12);
}

/* The rows lie one behind the other, each ending where its last tap reads, the last one before the unreadable page. */
#define CHECK_BLOCK(type, suffix)                                                                                      \
    static void check_one_block_##suffix(const struct simd_routines *scalar, const struct simd_routines *set,          \
                                         size_t count)                                                                 \
    {                                                                                                                  \
        struct block_case c;                                                                                           \
        make_case(&c, count);                                                                                          \
        struct simd_block *const b = &c.block;                                                                         \
        size_t reach = 0;                                                                                              \
        for (size_t k = 0; k < b->taps; k++) {                                                                         \
            const size_t offset = b->offsets ? (size_t)b->offsets[k] : k;                                              \
            reach = offset > reach ? offset : reach;                                                                   \
        }                                                                                                              \
        const size_t rows = b->planes * b->rows_pitch, length = count + reach;                                         \
        type *const input = check_memory(0, rows * length * sizeof(type));                                             \
        const size_t value_count = b->planes * b->plane_pitch;                                                         \
        type *const values = check_memory(1, value_count * sizeof(type));                                              \
        check_fill_##suffix(input, rows *length);                                                                      \
        check_fill_##suffix(values, value_count);                                                                      \
        b->values = values;                                                                                            \
        for (size_t i = 0; i < rows; i++)                                                                              \
            c.rows[i] = input + i * length;                                                                            \
        enum { ROOM = ROWS_MAX * (COUNT_MAX + LONG_COUNT + GUARD) };                                                   \
        static _Alignas(64) type expected[ROOM], found[ROOM];                                                          \
        const size_t shift = check_random() % 3 ? 1 + check_random() % 9 : 16;                                         \
        check_fill_##suffix(expected, sizeof expected / sizeof *expected);                                             \
        memcpy(found, expected, sizeof found);                                                                         \
        for (unsigned pass = 0; pass < 2; pass++) {                                                                    \
            for (size_t r = 0; r < b->output_rows; r++)                                                                \
                c.outputs[r] = (pass ? found : expected) + r * (count + GUARD) + shift;                                \
            (pass ? set : scalar)->block_##suffix(b);                                                                  \
        }                                                                                                              \
        check_same(set->name, "block_" #suffix, count, expected, found, sizeof found);                                 \
    }                                                                                                                  \
    static void check_block_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)              \
    {                                                                                                                  \
        for (size_t count = 1; count <= COUNT_MAX; count++)                                                            \
            for (unsigned i = 0; i < 12; i++)                                                                          \
                check_one_block_##suffix(scalar, set, count + (i % 4 ? 0 : LONG_COUNT));                               \
    }
CHECK_BLOCK(float, f32)
CHECK_BLOCK(double, f64)
CHECK_BLOCK(uint64_t, u64)

/* ---- Scans ------------------------------------------------------------------------------------------------------------ */

/* Values that make each fact true and false, one of them special now and then. */
#define CHECK_SCAN(type, suffix, nan, least)                                                                           \
    static void fill_scan_##suffix(type *values, size_t count)                                                         \
    {                                                                                                                  \
        static const type special[] = {                                                                                \
            nan,       -nan,       (type)__builtin_inf(), -(type)__builtin_inf(), (type)-0.0, (type)0, least,          \
            (type)0.5, (type)-1e30};                                                                                   \
        const bool integers = check_random() % 2;                                                                      \
        check_fill_##suffix(values, count);                                                                            \
        for (size_t i = 0; integers && i < count; i++)                                                                 \
            values[i] = (type)(int)(values[i] * 1000);                                                                 \
        if (check_random() % 2)                                                                                        \
            values[check_random() % count] = special[check_random() % 9];                                              \
    }                                                                                                                  \
    static void check_scan_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)               \
    {                                                                                                                  \
        for (size_t count = 1; count <= COUNT_MAX; count++) {                                                          \
            for (unsigned i = 0; i < 8; i++) {                                                                         \
                type *const values = check_memory(0, count * sizeof(type));                                            \
                fill_scan_##suffix(values, count);                                                                     \
                struct simd_facts expected = {.largest = 3}, found = expected;                                         \
                scalar->scan_##suffix(&expected, values, count);                                                       \
                set->scan_##suffix(&found, values, count);                                                             \
                if (expected.largest != found.largest || expected.fractional != found.fractional ||                    \
                    expected.nonfinite != found.nonfinite)                                                             \
                    check_failed(set->name, "scan_" #suffix, count, "the facts differ");                               \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void check_finite_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)             \
    {                                                                                                                  \
        for (size_t count = 1; count <= COUNT_MAX; count++) {                                                          \
            for (unsigned i = 0; i < 8; i++) {                                                                         \
                type *const values = check_memory(0, count * sizeof(type));                                            \
                fill_scan_##suffix(values, count);                                                                     \
                if (scalar->finite_##suffix(values, count) != set->finite_##suffix(values, count))                     \
                    check_failed(set->name, "finite_" #suffix, count, "the answers differ");                           \
            }                                                                                                          \
        }                                                                                                              \
    }
CHECK_SCAN(float, f32, __builtin_nanf(""), 1e-45f)
CHECK_SCAN(double, f64, __builtin_nan(""), 5e-324)

#include "tests/simd/check_planes.h" /* their copies are scans too */

static void check_largest_i64(const struct simd_routines *scalar, const struct simd_routines *set)
{
    for (size_t count = 1; count <= COUNT_MAX; count++) {
        int64_t *const values = check_memory(0, count * sizeof *values);
        check_fill_u64((uint64_t *)values, count);
        if (count % 3 == 0)
            values[check_random() % count] = INT64_MIN;
        if (scalar->largest_i64(values, count) != set->largest_i64(values, count))
            check_failed(set->name, "largest_i64", count, "the maxima differ");
    }
}

/* ---- Rearranging ------------------------------------------------------------------------------------------------------ */

enum { PHASES_MAX = 9, PITCH = COUNT_MAX + 3 };

#define CHECK_PHASES(type, suffix)                                                                                     \
    static void check_phases_##suffix(const struct simd_routines *scalar, const struct simd_routines *set, bool merge, \
                                      const char *name)                                                                \
    {                                                                                                                  \
        static type expected[PHASES_MAX * PITCH], found[PHASES_MAX * PITCH], input[PHASES_MAX * PITCH];                \
        for (size_t count = 1; count <= COUNT_MAX; count++) {                                                          \
            for (size_t phases = 2; phases <= PHASES_MAX; phases++) {                                                  \
                const size_t shift = check_random() % 3;                                                               \
                for (size_t i = 0; i < PHASES_MAX * PITCH; i++) {                                                      \
                    expected[i] = found[i] = (type)i;                                                                  \
                    input[i] = (type)check_random();                                                                   \
                }                                                                                                      \
                type *const from = check_memory(0, count * sizeof(type));                                              \
                memcpy(from, input, count * sizeof(type));                                                             \
                if (merge) {                                                                                           \
                    scalar->merge_##suffix(expected + shift, input, PITCH, count, phases);                             \
                    set->merge_##suffix(found + shift, input, PITCH, count, phases);                                   \
                } else {                                                                                               \
                    scalar->split_##suffix(expected + shift, PITCH, from, count, phases);                              \
                    set->split_##suffix(found + shift, PITCH, from, count, phases);                                    \
                }                                                                                                      \
                check_same(set->name, name, count, expected, found, sizeof found);                                     \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void check_split_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)              \
    {                                                                                                                  \
        check_phases_##suffix(scalar, set, false, "split_" #suffix);                                                   \
    }                                                                                                                  \
    static void check_merge_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)              \
    {                                                                                                                  \
        check_phases_##suffix(scalar, set, true, "merge_" #suffix);                                                    \
    }
CHECK_PHASES(uint32_t, u32)
CHECK_PHASES(uint64_t, u64)

#define CHECK_SPREAD(type, suffix)                                                                                     \
    static void check_spread_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)             \
    {                                                                                                                  \
        enum { STEPS = 3, ROOM = STEPS * COUNT_MAX + GUARD };                                                          \
        static type expected[ROOM], found[ROOM];                                                                       \
        for (size_t count = 1; count <= COUNT_MAX; count++)                                                            \
            for (size_t step = 1; step <= STEPS; step++) {                                                             \
                type *const input = check_memory(0, count * sizeof(type));                                             \
                for (size_t i = 0; i < count; i++)                                                                     \
                    input[i] = (type)check_random();                                                                   \
                for (size_t i = 0; i < ROOM; i++)                                                                      \
                    expected[i] = found[i] = (type)i;                                                                  \
                scalar->spread_##suffix(expected + 1, step, input, count);                                             \
                set->spread_##suffix(found + 1, step, input, count);                                                   \
                check_same(set->name, "spread_" #suffix, count, expected, found, sizeof found);                        \
            }                                                                                                          \
    }
CHECK_SPREAD(uint32_t, u32)
CHECK_SPREAD(uint64_t, u64)

#define CHECK_PAD(type, suffix)                                                                                        \
    static void check_pad_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)                \
    {                                                                                                                  \
        enum { ROWS = 3, ROOM = ROWS * (COUNT_MAX + 3 * GUARD) };                                                      \
        static type expected[ROOM], found[ROOM];                                                                       \
        for (size_t count = 0; count <= COUNT_MAX; count++) {                                                          \
            const size_t before = check_random() % GUARD, after = check_random() % GUARD;                              \
            const size_t in_pitch = count + check_random() % 3,                                                        \
                         out_pitch = before + count + after + check_random() % 3;                                      \
            const size_t values = (ROWS - 1) * in_pitch + count;                                                       \
            type *const input = check_memory(0, values * sizeof(type));                                                \
            for (size_t i = 0; i < values; i++)                                                                        \
                input[i] = (type)check_random();                                                                       \
            for (size_t i = 0; i < ROOM; i++)                                                                          \
                expected[i] = found[i] = (type)i;                                                                      \
            scalar->pad_##suffix(expected + 1, out_pitch, input, in_pitch, ROWS, before, count, after);                \
            set->pad_##suffix(found + 1, out_pitch, input, in_pitch, ROWS, before, count, after);                      \
            check_same(set->name, "pad_" #suffix, count, expected, found, sizeof found);                               \
        }                                                                                                              \
    }
CHECK_PAD(uint32_t, u32)
CHECK_PAD(uint64_t, u64)

#define CHECK_TURN(type, suffix)                                                                                       \
    static void check_turn_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)               \
    {                                                                                                                  \
        static type expected[2 * COUNT_MAX + GUARD], found[2 * COUNT_MAX + GUARD];                                     \
        for (size_t count = 1; count <= COUNT_MAX; count++) {                                                          \
            type *const input = check_memory(0, 2 * count * sizeof(type));                                             \
            check_fill_##suffix(input, 2 * count);                                                                     \
            check_fill_##suffix(expected, 2 * COUNT_MAX + GUARD);                                                      \
            memcpy(found, expected, sizeof found);                                                                     \
            scalar->turn_##suffix(expected + 1, input, count);                                                         \
            set->turn_##suffix(found + 1, input, count);                                                               \
            check_same(set->name, "turn_" #suffix, count, expected, found, sizeof found);                              \
        }                                                                                                              \
    }
CHECK_TURN(float, f32)
CHECK_TURN(double, f64)

/* ---- Times ------------------------------------------------------------------------------------------------------------ */

enum { BENCH_SIDE = 384, BENCH_ROUNDS = 40 };

/* The least seconds for an output of a square image under a square kernel: what else the machine does only adds to it. */
static double time_block(const struct simd_routines *set, bool f64, size_t side)
{
    const size_t bytes = f64 ? 8 : 4, rows = f64 ? set->block_rows_f64 : set->block_rows_f32;
    const size_t output = BENCH_SIDE - side + 1;
    static double image[BENCH_SIDE * BENCH_SIDE], made[BENCH_SIDE * BENCH_SIDE], kernel[64 * 64];
    double best = 0;
    const void *table[BENCH_SIDE];
    void *outputs[BENCH_SIDE];
    for (unsigned round = 0; round < BENCH_ROUNDS; round++) {
        const double begin = bench_seconds();
        for (size_t y = 0; y + rows <= output; y += rows) {
            for (size_t i = 0; i < rows + side - 1; i++)
                table[i] = (char *)image + (y + i) * BENCH_SIDE * bytes;
            for (size_t i = 0; i < rows; i++)
                outputs[i] = (char *)made + (y + i) * output * bytes;
            const struct simd_block block = {.rows = table,
                                             .planes = 1,
                                             .row_taps = side,
                                             .row_step = 1,
                                             .taps = side,
                                             .values = kernel,
                                             .row_pitch = side,
                                             .output = outputs,
                                             .output_rows = rows,
                                             .count = output};
            (f64 ? set->block_f64 : set->block_f32)(&block);
        }
        const double each = (bench_seconds() - begin) / (double)(output / rows * rows) / (double)output;
        best = round == 0 || each < best ? each : best;
    }
    return best;
}

static void bench_set(const struct simd_routines *scalar, const struct simd_routines *set)
{
    static const size_t sides[] = {3, 5, 7, 11, 15, 31};
    for (unsigned f64 = 0; f64 < 2; f64++) {
        for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
            const size_t side = sides[i];
            const double seconds = time_block(set, f64, side), peak = fma_peak(set->name) / (f64 ? 2 : 1);
            const double beside = side <= 7 ? time_block(scalar, f64, side) : 0;
            printf("%-7s block_%s %2zu x %-2zu %8.3f ns an output, ", set->name, f64 ? "f64" : "f32", side, side,
                   seconds * 1e9);
            if (beside > 0)
                printf("%6.1f times scalar's speed, ", beside / seconds);
            if (peak > 0)
                printf("%3.0f %% of the FMA peak", 100 * (double)(side * side) / seconds / peak);
            printf("\n");
        }
    }
}

int main(int argc, char **argv)
{
    const struct simd_routines *const scalar = simd_routines_at(0), *set;
    const bool bench = argc > 1 && strcmp(argv[1], "--bench") == 0;
    for (size_t i = 1; (set = simd_routines_at(i)); i++) {
        if (bench) {
            bench_set(scalar, set);
            continue;
        }
#define CHECK(result, name, parameters) check_##name(scalar, set);
        FOR_EACH_ROUTINE(CHECK)
        FOR_EACH_WINOGRAD_ROUTINE(CHECK)
#undef CHECK
        if (failures == 0)
            printf("%s: every routine gives scalar's bits\n", set->name);
    }
    return failures != 0;
}
