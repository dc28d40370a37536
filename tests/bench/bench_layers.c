/* SPDX-License-Identifier: MIT */
/* CNN layers and their gradients on one thread: microseconds of a whole execution, packing included, and the share of the
 * FMA peak that was measured around it. An argument names a set (avx2), another a part of a row's name. Batch 1, plain NCHW. */
#include "core/convolve.h"
#include "tests/bench/fma_peak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MIN = 5, ROUNDS_MAX = 60 };

struct row {
    const char *name;
    unsigned spatial;
    size_t channels, filters, size, kernel, stride, dilation, groups, padding;
    enum convolve_layer_operation operation;
    bool f64;
    double peer; /* microseconds of the best peer where anchors were taken; its floor is `floor` */
    double floor;
};

#define CONV                       .operation = CONVOLVE_LAYER_CONV
#define GRAD_INPUT                 .operation = CONVOLVE_LAYER_BACKWARD_INPUT
#define GRAD_WEIGHT                .operation = CONVOLVE_LAYER_BACKWARD_WEIGHT
#define D2(c, m, n, k, s, d, g, p) 2, c, m, n, k, s, d, g, p

/* The peers' times and the floors of the same run, from the project's measurements: only their ratio is used. */
static const struct row rows[] = {
    {"7x7 s2 3>64 @224", D2(3, 64, 224, 7, 2, 1, 1, 3), CONV, false, 1043, 899},
    {"3x3 3>64 @224", D2(3, 64, 224, 3, 1, 1, 1, 1), CONV, false, 1009, 660},
    {"3x3 s2 3>32 @224", D2(3, 32, 224, 3, 2, 1, 1, 1), CONV, false, 132, 83},
    {"3x3 64>64 @56", D2(64, 64, 56, 3, 1, 1, 1, 1), CONV, false, 877, 880},
    {"3x3 128>128 @28", D2(128, 128, 28, 3, 1, 1, 1, 1), CONV, false, 912, 880},
    {"3x3 s2 128>128 @56", D2(128, 128, 56, 3, 2, 1, 1, 1), CONV, false, 969, 880},
    {"3x3 256>256 @14", D2(256, 256, 14, 3, 1, 1, 1, 1), CONV, false, 1036, 880},
    {"3x3 512>512 @7", D2(512, 512, 7, 3, 1, 1, 1, 1), CONV, false, 1173, 880},
    {"3x3 64>64 @224", D2(64, 64, 224, 3, 1, 1, 1, 1), CONV, false, 10157, 14087},
    {"3x3 256>256 @56", D2(256, 256, 56, 3, 1, 1, 1, 1), CONV, false, 14983, 14087},
    {"5x5 32>64 @28", D2(32, 64, 28, 5, 1, 1, 1, 2), CONV, false, 298, 306},
    {"dilated 3x3 256>256 @28", D2(256, 256, 28, 3, 1, 2, 1, 2), CONV, false, 3454, 3522},
    {"1-D k9 64>64 16000", 1, 64, 64, 16000, 9, 1, 1, 1, 4, CONV, false, 5137, 4492},
    {"1x1 64>64 @56", D2(64, 64, 56, 1, 1, 1, 1, 0), CONV, false, 102, 98},
    {"1x1 64>256 @56", D2(64, 256, 56, 1, 1, 1, 1, 0), CONV, false, 396, 391},
    {"1x1 256>64 @56", D2(256, 64, 56, 1, 1, 1, 1, 0), CONV, false, 395, 391},
    {"1x1 s2 256>512 @56", D2(256, 512, 56, 1, 2, 1, 1, 0), CONV, false, 942, 783},
    {"1x1 1024>256 @14", D2(1024, 256, 14, 1, 1, 1, 1, 0), CONV, false, 438, 391},
    {"1x1 256>1024 @14", D2(256, 1024, 14, 1, 1, 1, 1, 0), CONV, false, 426, 391},
    {"1x1 512>2048 @7", D2(512, 2048, 7, 1, 1, 1, 1, 0), CONV, false, 510, 391},
    {"depthwise 3x3 32 @112", D2(32, 32, 112, 3, 1, 1, 32, 1), CONV, false, 116, 28},
    {"depthwise 3x3 144 @56", D2(144, 144, 56, 3, 1, 1, 144, 1), CONV, false, 125, 31},
    {"depthwise 3x3 s2 144 @56", D2(144, 144, 56, 3, 2, 1, 144, 1), CONV, false, 65, 18},
    {"depthwise 7x7 96 @56", D2(96, 96, 56, 7, 1, 1, 96, 3), CONV, false, 205, 112},
    {"grouped 3x3 128 g32 @56", D2(128, 128, 56, 3, 1, 1, 32, 1), CONV, false, 599, 110},
    {"3-D 3^3 16>16 32^3", 3, 16, 16, 32, 3, 1, 1, 1, 1, CONV, false, 2032, 1725},
    {"grad input 3x3 64>64 @56", D2(64, 64, 56, 3, 1, 1, 1, 1), GRAD_INPUT, false, 544, 880},
    {"grad input 3x3 s2 128 @56", D2(128, 128, 56, 3, 2, 1, 1, 1), GRAD_INPUT, false, 1003, 880},
    {"grad input 1x1 256>64 @56", D2(256, 64, 56, 1, 1, 1, 1, 0), GRAD_INPUT, false, 402, 391},
    {"grad input depthwise 144 @56", D2(144, 144, 56, 3, 1, 1, 144, 1), GRAD_INPUT, false, 141, 31},
    {"grad weight 3x3 64>64 @56", D2(64, 64, 56, 3, 1, 1, 1, 1), GRAD_WEIGHT, false, 922, 880},
    {"grad weight 3x3 s2 128 @56", D2(128, 128, 56, 3, 2, 1, 1, 1), GRAD_WEIGHT, false, 1105, 880},
    {"grad weight 1x1 256>64 @56", D2(256, 64, 56, 1, 1, 1, 1, 0), GRAD_WEIGHT, false, 329, 391},
    {"grad weight depthwise 144", D2(144, 144, 56, 3, 1, 1, 144, 1), GRAD_WEIGHT, false, 120, 31},
    {"f64 3x3 64>64 @56", D2(64, 64, 56, 3, 1, 1, 1, 1), CONV, true, 1714, 1766},
    {"f64 7x7 s2 3>64 @224", D2(3, 64, 224, 7, 2, 1, 1, 3), CONV, true, 3388, 1798},
    {"f64 depthwise 3x3 144 @56", D2(144, 144, 56, 3, 1, 1, 144, 1), CONV, true, 1174, 62},
};

static void *random_tensor(const struct convolve_shape *shape, bool f64)
{
    size_t count;
    if (!convolve_shape_count(shape, &count))
        abort();
    void *const tensor = aligned_alloc(64, (count * 8 + 127) / 64 * 64);
    if (!tensor)
        abort();
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        const double value = (double)(int32_t)state * 0x1p-31;
        if (f64)
            ((double *)tensor)[i] = value;
        else
            ((float *)tensor)[i] = (float)value;
    }
    return tensor;
}

static struct convolve_layer_spec spec_of(const struct row *row)
{
    struct convolve_layer_spec spec = {
        .operation = CONVOLVE_LAYER_CONV,
        .dtype = row->f64 ? CONVOLVE_FLOAT64 : CONVOLVE_FLOAT32,
        .input = {.rank = row->spatial + 2, .size = {1, row->channels}},
        .weight = {.rank = row->spatial + 2, .size = {row->filters, row->channels / row->groups}},
        .stride = {.given = true, .scalar = true, .count = 1, .value = {row->stride}},
        .dilation = {.given = true, .scalar = true, .count = 1, .value = {row->dilation}},
        .cells = {.given = true, .scalar = true, .count = 1, .before = {row->padding}, .after = {row->padding}},
        .groups = row->groups,
    };
    struct convolve_cost cost;
    for (unsigned i = 0; i < row->spatial; i++) {
        spec.input.size[2 + i] = row->size;
        spec.weight.size[2 + i] = row->kernel;
    }
    if (!convolve_layer_cost(&cost, &spec, 1, NULL))
        abort();
    spec.grad_output = cost.output;
    spec.operation = row->operation;
    return spec;
}

/* The thread's own time, so that what else the machine does is not counted. */
static double seconds_of_thread(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Seconds of the plan's making and all its stages. */
static double execute(const struct convolve_layer_spec *spec, struct convolve_run *run, void *tile_scratch)
{
    struct convolve_plan *plan;
    struct convolve_outcome outcome;
    const double begin = seconds_of_thread();
    if (!convolve_layer_plan_create(&plan, spec, run->kernel, NULL))
        abort();
    for (unsigned stage = 0; stage < convolve_plan_stage_count(plan); stage++)
        for (size_t tile = 0, count = convolve_plan_tile_count(plan, stage); tile < count; tile++)
            convolve_plan_run_tile(plan, run, stage, tile, tile_scratch);
    if (!convolve_plan_finish(plan, run, &outcome, NULL))
        abort();
    convolve_plan_destroy(plan);
    return seconds_of_thread() - begin;
}

static void bench_row(const struct row *row)
{
    const struct convolve_layer_spec spec = spec_of(row);
    struct convolve_cost cost;
    struct convolve_plan *plan;
    if (!convolve_layer_cost(&cost, &spec, 1, NULL) || !convolve_layer_plan_create(&plan, &spec, NULL, NULL))
        abort();
    struct convolve_run run = {
        .input = random_tensor(&spec.input, row->f64),
        .kernel = random_tensor(&spec.weight, row->f64),
        .grad_output = random_tensor(&spec.grad_output, row->f64),
        .output = random_tensor(&cost.output, row->f64),
        .scratch = aligned_alloc(64, (convolve_plan_scratch_bytes(plan) + 127) / 64 * 64),
    };
    void *const tile_scratch = aligned_alloc(64, (convolve_plan_tile_scratch_bytes(plan) + 127) / 64 * 64);
    if (!run.scratch || !tile_scratch)
        abort();
    convolve_plan_destroy(plan);
    double best = 0, spent = 0;
    for (unsigned round = 0; round < ROUNDS_MAX && (round < ROUNDS_MIN || spent < 0.15); round++) {
        const double seconds = execute(&spec, &run, tile_scratch);
        best = round == 0 || seconds < best ? seconds : best;
        spent += seconds;
    }
    const double peak = fma_peak(convolve_simd_name()) / (row->f64 ? 2 : 1);
    const double share = peak > 0 ? (double)cost.multiply_adds / best / peak : 0;
    printf("%-30s %10.1f us  %5.1f %% of the peak, peer %5.1f %%, ratio %5.2f\n", row->name, best * 1e6, 100 * share,
           100 * row->floor / row->peer, share * row->peer / row->floor);
    free((void *)run.input);
    free((void *)run.kernel);
    free((void *)run.grad_output);
    free(run.output);
    free(run.scratch);
    free(tile_scratch);
}

int main(int argc, char **argv)
{
    const char *part = "";
    for (int i = 1; i < argc; i++)
        if (!convolve_simd_select(argv[i]))
            part = argv[i];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strstr(rows[i].name, part))
            bench_row(&rows[i]);
    return 0;
}
