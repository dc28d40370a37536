/* SPDX-License-Identifier: MIT */
/* Measures what core/fft_cost.c goes by and prints it in the form of core/fft_cost_table.inc, which lies between what two CPUs
 * gave: the routines alone, on memory that stays within L2, the least of many repetitions. Run it on a machine that does nothing
 * else. */
#include "core/fft.h"
#include "core/fft_cost.h"
#include "tests/bench/thread_time.h"
#include "tests/core/fft_fill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_MAX = 4096, COLUMNS = 64, REPETITIONS = 25 };

static void *allocate(size_t bytes)
{
    void *const memory = aligned_alloc(64, (bytes + 4095) / 4096 * 4096);
    if (!memory)
        exit(1);
    memset(memory, 0, bytes);
    return memory;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* The time of `statement`, run `count` times in a row, least of many. */
#define MEASURE(result, count, statement)                                                                              \
    do {                                                                                                               \
        result = 1e30;                                                                                                 \
        for (int repetition = 0; repetition < REPETITIONS; repetition++) {                                             \
            const double begin = thread_seconds();                                                                     \
            for (size_t turn = 0; turn < (count); turn++) {                                                            \
                statement;                                                                                             \
            }                                                                                                          \
            result = least(result, (thread_seconds() - begin) * 1e9 / (double)(count));                                \
        }                                                                                                              \
    } while (0)

struct measured {
    double column, row, gather, emit, twist, beyond;
};

#define DEFINE_MEASURE(type, bits)                                                                                     \
    static struct measured measure_##bits(const struct simd_routines *set, size_t length)                              \
    {                                                                                                                  \
        enum { WIDTH = SIMD_FFT_WIDTH_##bits, PITCH = COLUMNS + WIDTH };                                               \
        struct measured found = {0};                                                                                   \
        struct simd_fft fft;                                                                                           \
        const size_t padded = (length + WIDTH - 1) / WIDTH * WIDTH + WIDTH, cells = length * PITCH + 272;              \
        type *const turns = allocate((fft_turns_count(length) + 1) * sizeof *turns);                                   \
        type *const re = allocate(2 * cells * sizeof *re), *const im = re + cells;                                     \
        type *const strip = allocate((2 * padded * WIDTH + 272) * sizeof *strip);                                      \
        type *const strip_im = strip + padded * WIDTH + 272;                                                           \
        type *const rows = allocate(4 * padded * WIDTH * sizeof *rows), *const by = allocate(2 * length * sizeof *by); \
        type *to[2][WIDTH];                                                                                            \
        const type *from[2][WIDTH];                                                                                    \
        const size_t turns_count = 200000 / (length * COLUMNS) + 1;                                                    \
        fill_##bits(&fft, length, turns);                                                                              \
        for (size_t i = 0; i < 2 * WIDTH; i++) {                                                                       \
            from[i / WIDTH][i % WIDTH] = rows + i * padded;                                                            \
            to[i / WIDTH][i % WIDTH] = rows + (2 * WIDTH + i) * padded;                                                \
        }                                                                                                              \
        MEASURE(found.column, turns_count, {                                                                           \
            set->fft_forward_##bits(&fft, re, im, PITCH, COLUMNS);                                                     \
            set->fft_inverse_##bits(&fft, re, im, PITCH, COLUMNS);                                                     \
        });                                                                                                            \
        found.column /= (double)(length * COLUMNS);                                                                    \
        MEASURE(found.row, turns_count * 4, {                                                                          \
            set->gather_rows_##bits(strip, from[0], length);                                                           \
            set->gather_rows_##bits(strip_im, from[1], length);                                                        \
            set->fft_filter_##bits(&fft, strip, strip_im, by, by + length, true);                                      \
            set->scatter_rows_##bits(to[0], strip, length, false);                                                     \
            set->scatter_rows_##bits(to[1], strip_im, length, false);                                                  \
        });                                                                                                            \
        found.row /= (double)(length * WIDTH);                                                                         \
        free(turns), free(re), free(strip), free(rows), free(by);                                                      \
        return found;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    /* What does not depend on the length: rows of 256 cells, 64 KiB of them. */                                       \
    static struct measured measure_rest_##bits(const struct simd_routines *set)                                        \
    {                                                                                                                  \
        enum { WIDTH = SIMD_FFT_WIDTH_##bits, CELLS = 256, ROWS = 64, LENGTH = 128, PITCH = 2048 + WIDTH };            \
        struct measured found = {0};                                                                                   \
        struct simd_fft_facts facts = {.fractional = true};                                                            \
        type *const from = allocate(ROWS * CELLS * sizeof *from), *const to = allocate(ROWS * CELLS * sizeof *to);     \
        type *const turns = allocate(64 * WIDTH * sizeof *turns);                                                      \
        MEASURE(found.gather, 4, set->fft_facts_##bits(&facts, from, CELLS, ROWS, CELLS));                             \
        MEASURE(found.emit, 4, set->fft_cut_##bits(to, CELLS, from, CELLS, 0, ROWS, CELLS));                           \
        found.gather /= ROWS * CELLS;                                                                                  \
        found.emit /= ROWS * CELLS;                                                                                    \
        MEASURE(found.twist, 20, {                                                                                     \
            set->fft_twist_##bits(from, to, turns, turns, 16, 256, false);                                             \
            set->fft_twist_##bits(from, to, turns, turns, 16, 256, true);                                              \
        });                                                                                                            \
        found.twist /= 256 * WIDTH;                                                                                    \
        /* 16 MiB and more of columns against L2: what each byte that passes costs more. */                            \
        struct simd_fft fft;                                                                                           \
        type *const table = allocate((fft_turns_count(LENGTH) + 1) * sizeof *table);                                   \
        type *const large = allocate(2 * 8 * (size_t)LENGTH * PITCH * sizeof *large);                                  \
        double near, far;                                                                                              \
        fill_##bits(&fft, LENGTH, table);                                                                              \
        MEASURE(near, 10, set->fft_forward_##bits(&fft, large, large + LENGTH * PITCH, PITCH, COLUMNS));               \
        MEASURE(                                                                                                       \
            far, 1, for (size_t i = 0; i < 8; i++) {                                                                   \
                type *const part = large + 2 * i * LENGTH * PITCH;                                                     \
                set->fft_forward_##bits(&fft, part, part + LENGTH * PITCH, PITCH, 2048);                               \
            });                                                                                                        \
        found.beyond = (far / (8 * 2048.0 * LENGTH) - near / (COLUMNS * LENGTH)) / (4 * sizeof(type));                 \
        free(from), free(to), free(turns), free(table), free(large);                                                   \
        return found;                                                                                                  \
    }
DEFINE_MEASURE(float, f32)
DEFINE_MEASURE(double, f64)

int main(void)
{
    const struct simd_routines *set = simd_routines();
    printf(
        "/* SPDX-License-Identifier: MIT */\n"
        "/* Made by `make calibrate-fft` (tests/bench/calibrate_fft.c). Nanoseconds of one core; see core/fft_cost.h. "
        "*/\n\n"
        "static const struct fft_cost_row fft_cost_rows[] = {\n");
    for (size_t length = 1; length <= LENGTH_MAX; length = fft_length_next(length + 1)) {
        const struct measured f32 = measure_f32(set, length), f64 = measure_f64(set, length);
        printf("    {%zu, %.3ff, %.3ff, %.3ff, %.3ff},\n", length, f32.column, f32.row, f64.column, f64.row);
    }
    const struct measured f32 = measure_rest_f32(set), f64 = measure_rest_f64(set);
    printf("};\n\n"
           "static const struct fft_cost_rest fft_cost_rest = {\n"
           "    .gather_f32 = %.3ff, .gather_f64 = %.3ff, .emit_f32 = %.3ff, .emit_f64 = %.3ff, .twist_f32 = %.3ff,\n"
           "    .twist_f64 = %.3ff, .row_ns = 30, .job_ns = 500, .beyond_l2 = %.4ff, .beyond_l3 = %.4ff,\n"
           "    .l2_bytes = 0.6e6f, .l3_bytes = 16e6f,\n"
           "};\n",
           f32.gather, f64.gather, f32.emit, f64.emit, f32.twist, f64.twist, (f32.beyond + f64.beyond) / 4,
           (f32.beyond + f64.beyond) / 4);
    return 0;
}
