/* SPDX-License-Identifier: MIT */
/* How fast the core is, whole plans on one thread: rows of images, signals and volumes under dense kernels, each beside
 * the share of the FMA peak measured in the same run and beside a plain C loop; rounds of all are interleaved and medians
 * printed. Arguments: a method's name (direct), then the least seconds to spend on a row (0.2). */
#include "core/convolve.h"
#include "tests/bench/fma_peak.h"
#include "tests/bench/median.h"

#include <stdio.h>
#include <stdlib.h>

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .rank = sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), .size = { __VA_ARGS__ }                              \
    }
enum { ROUNDS_MAX = 101 };

static const struct row {
    const char *name;
    struct convolve_shape input, kernel;
    bool f64;
} rows[] = {
    {"512^2, 3^2", SHAPE(512, 512), SHAPE(3, 3), false},
    {"1024^2, 3^2", SHAPE(1024, 1024), SHAPE(3, 3), false},
    {"2048^2, 3^2", SHAPE(2048, 2048), SHAPE(3, 3), false},
    {"512^2, 5^2", SHAPE(512, 512), SHAPE(5, 5), false},
    {"1024^2, 5^2", SHAPE(1024, 1024), SHAPE(5, 5), false},
    {"384^2, 7^2", SHAPE(384, 384), SHAPE(7, 7), false},
    {"1024^2, 7^2", SHAPE(1024, 1024), SHAPE(7, 7), false},
    {"1024^2, 11^2", SHAPE(1024, 1024), SHAPE(11, 11), false},
    {"1024^2, 15^2", SHAPE(1024, 1024), SHAPE(15, 15), false},
    {"1024^2, 31^2", SHAPE(1024, 1024), SHAPE(31, 31), false},
    {"1024^2, 3^2", SHAPE(1024, 1024), SHAPE(3, 3), true},
    {"1024^2, 7^2", SHAPE(1024, 1024), SHAPE(7, 7), true},
    {"1024^2, 11^2", SHAPE(1024, 1024), SHAPE(11, 11), true},
    {"10^6, 16", SHAPE(1000000), SHAPE(16), false},
    {"10^6, 64", SHAPE(1000000), SHAPE(64), false},
    {"10^6, 512", SHAPE(1000000), SHAPE(512), false},
    {"10^6, 4096", SHAPE(1000000), SHAPE(4096), false},
    {"10^6, 64", SHAPE(1000000), SHAPE(64), true},
    {"128^3, 3^3", SHAPE(128, 128, 128), SHAPE(3, 3, 3), false},
    {"128^3, 7^3", SHAPE(128, 128, 128), SHAPE(7, 7, 7), false},
    {"128^3, 7^3", SHAPE(128, 128, 128), SHAPE(7, 7, 7), true},
};

static void *allocate(size_t count, size_t bytes)
{
    void *const memory = aligned_alloc(CONVOLVE_ALIGNMENT, (count * bytes + 63) & ~(size_t)63);
    if (!memory)
        abort();
    return memory;
}

/* A plain loop as one writes it: valid outputs only, row by row, tap by tap over rows of the output. */
#define PLAIN(type, name)                                                                                              \
    static void name(const type *restrict x, const type *restrict k, type *restrict out, const size_t *n,              \
                     const size_t *m)                                                                                  \
    {                                                                                                                  \
        const size_t depth = n[0] - m[0] + 1, height = n[1] - m[1] + 1, width = n[2] - m[2] + 1;                       \
        for (size_t z = 0; z < depth; z++)                                                                             \
            for (size_t y = 0; y < height; y++) {                                                                      \
                type *restrict row = out + (z * height + y) * width;                                                   \
                for (size_t i = 0; i < width; i++)                                                                     \
                    row[i] = 0;                                                                                        \
                for (size_t a = 0; a < m[0]; a++)                                                                      \
                    for (size_t b = 0; b < m[1]; b++)                                                                  \
                        for (size_t c = 0; c < m[2]; c++) {                                                            \
                            const type tap = k[((m[0] - 1 - a) * m[1] + m[1] - 1 - b) * m[2] + m[2] - 1 - c];          \
                            const type *restrict from = x + ((z + a) * n[1] + y + b) * n[2] + c;                       \
                            for (size_t i = 0; i < width; i++)                                                         \
                                row[i] += from[i] * tap;                                                               \
                        }                                                                                              \
            }                                                                                                          \
    }
PLAIN(float, plain_f32)
PLAIN(double, plain_f64)

static void run_plain(const struct row *row, const void *input, const void *kernel, void *output)
{
    size_t n[3] = {1, 1, 1}, m[3] = {1, 1, 1};
    for (unsigned i = 0; i < row->input.rank; i++) {
        n[3 - row->input.rank + i] = row->input.size[i];
        m[3 - row->input.rank + i] = row->kernel.size[i];
    }
    if (row->f64)
        plain_f64(input, kernel, output, n, m);
    else
        plain_f32(input, kernel, output, n, m);
}

static void fill(const struct row *row, void *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double value = (double)(i * 2654435761u % 1000003) / 1000003.0 - 0.5;
        if (row->f64)
            ((double *)values)[i] = value;
        else
            ((float *)values)[i] = (float)value;
    }
}

static void bench_row(const struct row *row, const struct convolve_spec *spec, double seconds_min)
{
    static double ours[ROUNDS_MAX], plain[ROUNDS_MAX], shares[ROUNDS_MAX];
    struct convolve_error error = {0};
    struct convolve_cost cost;
    struct convolve_plan *plan;
    size_t input_count, kernel_count, rounds = 0;
    if (!convolve_cost(&cost, spec, 1, &error) || !convolve_plan_create(&plan, spec, NULL, &error)) {
        printf("%-14s %s\n", row->name, error.detail);
        return;
    }
    convolve_shape_count(&row->input, &input_count);
    convolve_shape_count(&row->kernel, &kernel_count);
    const size_t bytes = row->f64 ? 8 : 4;
    void *const input = allocate(input_count, bytes), *const kernel = allocate(kernel_count, bytes);
    void *const output = allocate(cost.output_count, bytes);
    void *const scratch = allocate(convolve_plan_scratch_bytes(plan) + 64, 1);
    void *const tile_scratch = allocate(convolve_plan_tile_scratch_bytes(plan) + 64, 1);
    fill(row, input, input_count);
    fill(row, kernel, kernel_count);
    const struct convolve_run run = {.input = input, .kernel = kernel, .output = output, .scratch = scratch};
    const bool with_plain = cost.multiply_adds < 600000000;
    for (double spent = 0; rounds < ROUNDS_MAX && (rounds < 5 || spent < seconds_min); rounds++) {
        const double peak = fma_peak(convolve_simd_name()) / (row->f64 ? 2 : 1);
        const double begin = bench_seconds();
        struct convolve_outcome outcome;
        for (unsigned stage = 0; stage < convolve_plan_stage_count(plan); stage++)
            for (size_t tile = 0; tile < convolve_plan_tile_count(plan, stage); tile++)
                convolve_plan_run_tile(plan, &run, stage, tile, tile_scratch);
        if (!convolve_plan_finish(plan, &run, &outcome, &error))
            abort();
        const double middle = bench_seconds();
        if (with_plain)
            run_plain(row, input, kernel, output);
        const double end = bench_seconds();
        ours[rounds] = middle - begin;
        plain[rounds] = end - middle;
        shares[rounds] = peak > 0 ? 100 * (double)cost.multiply_adds / (middle - begin) / peak : 0;
        spent += end - begin;
    }
    const double our = median(ours, rounds);
    printf("%s %-14s %10.0f us %5.0f %% of the FMA peak", row->f64 ? "f64" : "f32", row->name, our * 1e6,
           median(shares, rounds));
    if (with_plain)
        printf(" %7.2f times plain C's speed", median(plain, rounds) / our);
    printf("  (%s)\n", convolve_method_name(cost.method));
    convolve_plan_destroy(plan);
    free(input), free(kernel), free(output), free(scratch), free(tile_scratch);
}

int main(int argc, char **argv)
{
    enum convolve_method method = CONVOLVE_DIRECT;
    const double seconds_min = argc > 2 ? atof(argv[2]) : 0.2;
    for (unsigned i = CONVOLVE_AUTO; argc > 1 && i <= CONVOLVE_OVERLAP_ADD; i++)
        if (strcmp(convolve_method_name(i), argv[1]) == 0)
            method = i;
    printf("instruction set %s, mode valid\n", convolve_simd_name());
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct convolve_spec spec = {.dtype = rows[i].f64 ? CONVOLVE_FLOAT64 : CONVOLVE_FLOAT32,
                                           .input = rows[i].input,
                                           .kernel = rows[i].kernel,
                                           .mode = CONVOLVE_VALID,
                                           .method = method};
        bench_row(&rows[i], &spec, seconds_min);
    }
    return 0;
}
