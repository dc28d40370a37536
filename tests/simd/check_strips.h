/* SPDX-License-Identifier: MIT */
/* Strips: random kernels, rows and ends; what is read ends before an unreadable page, and facts must agree as well as bits. */
#ifndef TESTS_SIMD_CHECK_STRIPS_H
#define TESTS_SIMD_CHECK_STRIPS_H

#include "core/simd/routines.h"
#include "tests/simd/check_simd.h"

#include <math.h>
#include <string.h>

enum {
    STRIP_PLANES_MAX = 3,
    STRIP_KERNEL_ROWS_MAX = 12,
    STRIP_TABLE_MAX = STRIP_PLANES_MAX * (SIMD_STRIP_ROWS_MAX + STRIP_KERNEL_ROWS_MAX - 1),
    STRIP_COUNT_MAX = 200,
    STRIP_PITCH = STRIP_COUNT_MAX + 24, /* a multiple of 64 bytes */
};

struct strips_case {
    struct simd_strips strips;
    const void *tables[3][STRIP_TABLE_MAX];
    void *outputs[SIMD_STRIP_ROWS_MAX];
    size_t lengths[3]; /* of a row of each table */
};

static void make_strips_case(struct strips_case *c, size_t count)
{
    const size_t row_taps =
        check_random() % 4 ? 3 + check_random() % 5 * 2 : 1 + check_random() % STRIP_KERNEL_ROWS_MAX;
    struct simd_strips *const s = &c->strips;
    *s =
        (struct simd_strips){.rows = c->tables[0],
                             .left = c->tables[1],
                             .right = c->tables[2],
                             .planes = check_random() % 2 ? 1 : 1 + check_random() % STRIP_PLANES_MAX,
                             .row_taps = row_taps,
                             .taps = row_taps == 3 && check_random() % 4 ? 3 : 1 + check_random() % SIMD_STRIP_TAPS_MAX,
                             .output = c->outputs,
                             .output_rows = 1 + check_random() % SIMD_STRIP_ROWS_MAX,
                             .count = count,
                             .stream = check_random() % 2,
                             .bands = check_random() % 2};
    s->rows_pitch = s->output_rows + s->row_taps - 1;
    s->facts_plane = check_random() % s->planes;
    s->facts_rows = check_random() % 2 ? s->rows_pitch : s->output_rows;
    const size_t inputs = count + s->taps - 1, beyond = check_random() % s->taps;
    s->inside_first = check_random() % s->taps;
    s->inside_end = inputs > s->inside_first + beyond ? inputs - beyond : inputs;
    c->lengths[0] = s->inside_end - s->inside_first;
    c->lengths[1] = s->inside_first;
    c->lengths[2] = inputs - s->inside_end;
}

#define CHECK_STRIPS(type, suffix)                                                                                     \
    static void spoil_##suffix(type *values, size_t count)                                                             \
    {                                                                                                                  \
        const uint64_t kind = check_random() % 6;                                                                      \
        for (size_t i = 0; i < count && kind < 2; i++)                                                                 \
            values[i] = (type)(int)(check_random() % 2001) - 1000;                                                     \
        if (count > 0 && kind == 0)                                                                                    \
            values[check_random() % count] = (type)(check_random() % 2 ? NAN : 0.5);                                   \
        if (count > 0 && kind == 2) /* its square is infinite, itself not */                                           \
            values[check_random() % count] = (type)(sizeof(type) == sizeof(float) ? 1e25 : 1e200);                     \
    }                                                                                                                  \
    static void check_one_strips_##suffix(const struct simd_routines *scalar, const struct simd_routines *set,         \
                                          size_t count)                                                                \
    {                                                                                                                  \
        static const unsigned arenas_of[3] = {0, 2, 3};                                                                \
        static _Alignas(64) type expected[SIMD_STRIP_ROWS_MAX * STRIP_PITCH],                                          \
            found[SIMD_STRIP_ROWS_MAX * STRIP_PITCH];                                                                  \
        struct strips_case c;                                                                                          \
        struct simd_strips *const s = &c.strips;                                                                       \
        make_strips_case(&c, count);                                                                                   \
        const size_t rows = s->planes * s->rows_pitch, value_count = s->planes * s->row_taps * s->taps;                \
        for (unsigned table = 0; table < 3; table++) {                                                                 \
            type *const values = check_memory(arenas_of[table], rows * c.lengths[table] * sizeof(type));               \
            check_fill_##suffix(values, rows *c.lengths[table]);                                                       \
            spoil_##suffix(values, rows *c.lengths[table]);                                                            \
            for (size_t i = 0; i < rows; i++)                                                                          \
                c.tables[table][i] = values + i * c.lengths[table];                                                    \
            const size_t unseen = s->facts_plane * s->rows_pitch + s->facts_rows; /* zeros tell nothing */             \
            memset(values + unseen * c.lengths[table], 0,                                                              \
                   (s->rows_pitch - s->facts_rows) * c.lengths[table] * sizeof(type));                                 \
        }                                                                                                              \
        type *const values = check_memory(1, value_count * sizeof(type));                                              \
        check_fill_##suffix(values, value_count);                                                                      \
        s->values = values;                                                                                            \
        check_fill_##suffix(expected, sizeof expected / sizeof *expected);                                             \
        memcpy(found, expected, sizeof found);                                                                         \
        const size_t shift = s->stream ? 0 : check_random() % 9;                                                       \
        struct simd_facts facts[2] = {{.fractional = check_random() % 2}};                                             \
        facts[1] = facts[0];                                                                                           \
        const bool with_facts = check_random() % 4;                                                                    \
        for (unsigned pass = 0; pass < 2; pass++) {                                                                    \
            for (size_t r = 0; r < s->output_rows; r++)                                                                \
                c.outputs[r] = (pass ? found : expected) + r * STRIP_PITCH + shift;                                    \
            s->facts = with_facts ? &facts[pass] : NULL;                                                               \
            (pass ? set : scalar)->strips_##suffix(s);                                                                 \
        }                                                                                                              \
        check_same(set->name, "strips_" #suffix, count, expected, found, sizeof found);                                \
        if (facts[0].largest != facts[1].largest || facts[0].fractional != facts[1].fractional ||                      \
            facts[0].nonfinite != facts[1].nonfinite)                                                                  \
            check_failed(set->name, "strips_" #suffix, count, "the facts differ");                                     \
    }                                                                                                                  \
    static void check_strips_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)             \
    {                                                                                                                  \
        for (size_t count = 1; count <= STRIP_COUNT_MAX; count++)                                                      \
            for (unsigned i = 0; i < 12; i++)                                                                          \
                check_one_strips_##suffix(scalar, set, count);                                                         \
    }
CHECK_STRIPS(float, f32)
CHECK_STRIPS(double, f64)

/* Orders stores, which nothing shows to the thread that made them. */
static void check_stream_end(const struct simd_routines *scalar, const struct simd_routines *set)
{
    scalar->stream_end();
    set->stream_end();
}

#endif
