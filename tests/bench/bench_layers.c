/* SPDX-License-Identifier: MIT */
/* CNN layers and their gradients in float32, ours beside oneDNN (with its Winograd where it has one), each on one thread,
 * turn by turn: medians of the thread's own time of whole calls, packing and layouts included; how often ours goes into
 * theirs; and the share of the FMA peak, measured in the same run. Arguments: a set (avx2), a method (direct), or part of
 * the rows' names. */
#include "core/convolve.h"
#include "tests/bench/fma_peak.h"
#include "tests/bench/layer_row.h"
#include "tests/bench/median.h"
#include "tests/bench/thread_time.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS_MIN = 5, ROUNDS_MAX = 41 };
static const double row_seconds = 0.4; /* spent on a row's rounds, about */

enum group { DENSE, OTHERS, GROUPED, GRADIENTS, GROUPS };
static const struct {
    const char *name;
    double mean, least; /* the goals */
} groups[GROUPS] = {
    [DENSE] = {"dense 3x3", 1.2, 1.0},
    [OTHERS] = {"1x1, strided, dilated, 5x5, 1-D, 3-D, first", 1.1, 0.95},
    [GROUPED] = {"depthwise and grouped", 2.5, 2.0},
    [GRADIENTS] = {"gradients", 1.1, 0.9},
};

/* The layer: axes, channels, filters, size, kernel, stride, dilation, groups, padding. */
static const struct row {
    const char *name;
    enum group group;
    struct bench_layer layer;
} rows[] = {
    {"7x7 s2 3>64 @224", OTHERS, {2, 3, 64, 224, 7, 2, 1, 1, 3, BENCH_CONV, 0}},
    {"3x3 3>64 @224", OTHERS, {2, 3, 64, 224, 3, 1, 1, 1, 1, BENCH_CONV, 0}},
    {"3x3 s2 3>32 @224", OTHERS, {2, 3, 32, 224, 3, 2, 1, 1, 1, BENCH_CONV, 0}},
    {"3x3 64>64 @56", DENSE, {2, 64, 64, 56, 3, 1, 1, 1, 1, BENCH_CONV, 0}},
    {"3x3 128>128 @28", DENSE, {2, 128, 128, 28, 3, 1, 1, 1, 1, BENCH_CONV, 0}},
    {"3x3 s2 128>128 @56", OTHERS, {2, 128, 128, 56, 3, 2, 1, 1, 1, BENCH_CONV, 0}},
    {"3x3 256>256 @14", DENSE, {2, 256, 256, 14, 3, 1, 1, 1, 1, BENCH_CONV, 0}},
    {"3x3 512>512 @7", DENSE, {2, 512, 512, 7, 3, 1, 1, 1, 1, BENCH_CONV, 0}},
    {"3x3 64>64 @224", DENSE, {2, 64, 64, 224, 3, 1, 1, 1, 1, BENCH_CONV, 0}},
    {"3x3 256>256 @56", DENSE, {2, 256, 256, 56, 3, 1, 1, 1, 1, BENCH_CONV, 0}},
    {"5x5 32>64 @28", OTHERS, {2, 32, 64, 28, 5, 1, 1, 1, 2, BENCH_CONV, 0}},
    {"dilated 3x3 256>256 @28", OTHERS, {2, 256, 256, 28, 3, 1, 2, 1, 2, BENCH_CONV, 0}},
    {"1-D k9 64>64 16000", OTHERS, {1, 64, 64, 16000, 9, 1, 1, 1, 4, BENCH_CONV, 0}},
    {"1x1 64>64 @56", OTHERS, {2, 64, 64, 56, 1, 1, 1, 1, 0, BENCH_CONV, 0}},
    {"1x1 64>256 @56", OTHERS, {2, 64, 256, 56, 1, 1, 1, 1, 0, BENCH_CONV, 0}},
    {"1x1 256>64 @56", OTHERS, {2, 256, 64, 56, 1, 1, 1, 1, 0, BENCH_CONV, 0}},
    {"1x1 s2 256>512 @56", OTHERS, {2, 256, 512, 56, 1, 2, 1, 1, 0, BENCH_CONV, 0}},
    {"1x1 1024>256 @14", OTHERS, {2, 1024, 256, 14, 1, 1, 1, 1, 0, BENCH_CONV, 0}},
    {"1x1 256>1024 @14", OTHERS, {2, 256, 1024, 14, 1, 1, 1, 1, 0, BENCH_CONV, 0}},
    {"1x1 512>2048 @7", OTHERS, {2, 512, 2048, 7, 1, 1, 1, 1, 0, BENCH_CONV, 0}},
    {"depthwise 3x3 32 @112", GROUPED, {2, 32, 32, 112, 3, 1, 1, 32, 1, BENCH_CONV, 0}},
    {"depthwise 3x3 144 @56", GROUPED, {2, 144, 144, 56, 3, 1, 1, 144, 1, BENCH_CONV, 0}},
    {"depthwise 3x3 s2 144 @56", GROUPED, {2, 144, 144, 56, 3, 2, 1, 144, 1, BENCH_CONV, 0}},
    {"depthwise 7x7 96 @56", GROUPED, {2, 96, 96, 56, 7, 1, 1, 96, 3, BENCH_CONV, 0}},
    {"grouped 3x3 128 g32 @56", GROUPED, {2, 128, 128, 56, 3, 1, 1, 32, 1, BENCH_CONV, 0}},
    {"3-D 3^3 16>16 32^3", OTHERS, {3, 16, 16, 32, 3, 1, 1, 1, 1, BENCH_CONV, 0}},
    {"grad input 3x3 64>64 @56", GRADIENTS, {2, 64, 64, 56, 3, 1, 1, 1, 1, BENCH_BACKWARD_INPUT, 0}},
    {"grad input 3x3 s2 128 @56", GRADIENTS, {2, 128, 128, 56, 3, 2, 1, 1, 1, BENCH_BACKWARD_INPUT, 0}},
    {"grad input 1x1 256>64 @56", GRADIENTS, {2, 256, 64, 56, 1, 1, 1, 1, 0, BENCH_BACKWARD_INPUT, 0}},
    {"grad input depthwise 144 @56", GRADIENTS, {2, 144, 144, 56, 3, 1, 1, 144, 1, BENCH_BACKWARD_INPUT, 0}},
    {"grad weight 3x3 64>64 @56", GRADIENTS, {2, 64, 64, 56, 3, 1, 1, 1, 1, BENCH_BACKWARD_WEIGHT, 0}},
    {"grad weight 3x3 s2 128 @56", GRADIENTS, {2, 128, 128, 56, 3, 2, 1, 1, 1, BENCH_BACKWARD_WEIGHT, 0}},
    {"grad weight 1x1 256>64 @56", GRADIENTS, {2, 256, 64, 56, 1, 1, 1, 1, 0, BENCH_BACKWARD_WEIGHT, 0}},
    {"grad weight depthwise 144", GRADIENTS, {2, 144, 144, 56, 3, 1, 1, 144, 1, BENCH_BACKWARD_WEIGHT, 0}},
};

static float *random_values(size_t count)
{
    float *const values = aligned_alloc(64, (count * sizeof *values + 127) / 64 * 64);
    uint32_t state = 1;
    if (!values)
        abort();
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return values;
}

/* Furthest apart that two outputs are. */
static double distance(const float *a, const float *b, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

/* theirs / ours; NaN without a peer. */
static double bench_row(const struct row *row, const char *method)
{
    enum { OURS, THEIRS, THEIR_WINOGRAD, SIDES };
    const struct bench_layer_sizes sizes = bench_layer_sizes(&row->layer);
    float *const input = random_values(sizes.input), *const weight = random_values(sizes.weight),
                 *const gradient = random_values(sizes.gradient);
    const size_t outputs = row->layer.operation == BENCH_CONV             ? sizes.gradient
                           : row->layer.operation == BENCH_BACKWARD_INPUT ? sizes.input
                                                                          : sizes.weight;
    float *const output = random_values(outputs), *const their_output = random_values(outputs);
    struct bench_layer_tensors tensors = {input, weight, gradient, output},
                               theirs = {input, weight, gradient, their_output};
    struct bench_layer_ours *const ours = bench_layer_ours_create(&row->layer, method);
    struct bench_layer_dnnl *peers[SIDES] = {[THEIRS] = bench_layer_dnnl_create(&row->layer, false),
                                             [THEIR_WINOGRAD] = bench_layer_dnnl_create(&row->layer, true)};
    double times[SIDES][ROUNDS_MAX], spent = 0, ratio = NAN;
    size_t rounds = 0;
    if (!ours) {
        printf("%-30s %s cannot do it\n", row->name, method);
        goto done;
    }
    for (; rounds < ROUNDS_MIN || (rounds < ROUNDS_MAX && spent < row_seconds); rounds++)
        for (int side = 0; side < SIDES; side++) {
            const double begin = thread_seconds();
            if (side == OURS) {
                if (!bench_layer_ours_run(ours, &tensors))
                    abort();
            } else if (peers[side]) {
                bench_layer_dnnl_run(peers[side], &theirs);
            }
            times[side][rounds] = thread_seconds() - begin;
            spent += times[side][rounds];
        }
    const double peak = fma_peak(convolve_simd_name()), mine = median(times[OURS], rounds);
    printf("%-30s %-9s %9.1f us %5.1f %% of the peak", row->name, bench_layer_ours_method(ours), mine * 1e6,
           peak > 0 ? 100 * sizes.multiply_adds / mine / peak : 0);
    if (peers[THEIRS]) {
        const double direct = median(times[THEIRS], rounds),
                     winograd = peers[THEIR_WINOGRAD] ? median(times[THEIR_WINOGRAD], rounds) : INFINITY;
        const double best = fmin(direct, winograd);
        ratio = best / mine;
        printf("   oneDNN %9.1f us %5.1f %%%s  ratio %5.2f  (apart by %.1e)", best * 1e6,
               peak > 0 ? 100 * sizes.multiply_adds / best / peak : 0, winograd < direct ? " winograd" : "", ratio,
               distance(output, their_output, outputs));
    }
    putchar('\n');
done:
    bench_layer_ours_destroy(ours);
    bench_layer_dnnl_destroy(peers[THEIRS]);
    bench_layer_dnnl_destroy(peers[THEIR_WINOGRAD]);
    free(input);
    free(weight);
    free(gradient);
    free(output);
    free(their_output);
    return ratio;
}

/* oneDNN's threads are OpenMP's, which has read the environment before main(): where it does not say so yet, begin anew. */
static void keep_to_one_thread(char **argv)
{
    const char *const threads = getenv("OMP_NUM_THREADS");
    if (threads && strcmp(threads, "1") == 0)
        return;
    if (setenv("OMP_NUM_THREADS", "1", 1) == 0)
        execv("/proc/self/exe", argv);
    fputs("bench_layers: run it with OMP_NUM_THREADS=1\n", stderr);
    exit(1);
}

int main(int argc, char **argv)
{
    const char *part = "", *method = "auto";
    double logarithms[GROUPS] = {0}, least[GROUPS];
    size_t counts[GROUPS] = {0};
    keep_to_one_thread(argv);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "direct") == 0 || strcmp(argv[i], "winograd") == 0 || strcmp(argv[i], "fft") == 0)
            method = argv[i];
        else if (!convolve_simd_select(argv[i]))
            part = argv[i];
    }
    printf("layers, float32, one thread, %s\n", convolve_simd_name());
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!strstr(rows[i].name, part))
            continue;
        const double ratio = bench_row(&rows[i], method);
        const enum group group = rows[i].group;
        if (isnan(ratio))
            continue;
        logarithms[group] += log(ratio);
        least[group] = counts[group]++ ? fmin(least[group], ratio) : ratio;
    }
    for (size_t i = 0; i < GROUPS; i++)
        if (counts[i])
            printf("%-45s mean %5.2f (goal %.2f), least %5.2f (goal %.2f)\n", groups[i].name,
                   exp(logarithms[i] / (double)counts[i]), groups[i].mean, least[i], groups[i].least);
    return 0;
}
