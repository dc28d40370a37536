/* SPDX-License-Identifier: MIT */
/* How plans scale: each request by one thread and by two that share its tiles, in turns, medians. Two should take no more than
 * 0.55 of one's time. "at best" is what the cut into stages and tiles allows: the tiles as one thread has timed them, dealt to
 * two; it needs no idle machine. Arguments: the least seconds to spend on a row (0.5), and part of the rows' names. */
#include "core/convolve.h"
#include "tests/bench/fma_peak.h"
#include "tests/bench/layer_row.h"
#include "tests/bench/median.h"
#include "tests/bench/thread_time.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .rank = sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), .size = { __VA_ARGS__ }                              \
    }
#define F32 .dtype = CONVOLVE_FLOAT32
enum { ROUNDS_MAX = 101, STAGES_MAX = 1024 };

static const struct row {
    const char *name;
    struct convolve_spec spec;
    bool product; /* the kernel is an outer product */
} rows[] = {
    {"f32 4096^2, 3^2", {F32, .input = SHAPE(4096, 4096), .kernel = SHAPE(3, 3)}, false},
    {"f64 2048^2, 3^2", {.input = SHAPE(2048, 2048), .kernel = SHAPE(3, 3)}, false},
    {"f32 1024^2, 15^2 direct",
     {F32, .input = SHAPE(1024, 1024), .kernel = SHAPE(15, 15), .method = CONVOLVE_DIRECT},
     false},
    {"f32 10^6, 512 direct", {F32, .input = SHAPE(1000000), .kernel = SHAPE(512), .method = CONVOLVE_DIRECT}, false},
    {"f32 128^3, 3^3", {F32, .input = SHAPE(128, 128, 128), .kernel = SHAPE(3, 3, 3)}, false},
    {"f32 128^3, 7^3 direct",
     {F32, .input = SHAPE(128, 128, 128), .kernel = SHAPE(7, 7, 7), .method = CONVOLVE_DIRECT},
     false},
    {"i64 1024^2, 5^2", {.dtype = CONVOLVE_INT64, .input = SHAPE(1024, 1024), .kernel = SHAPE(5, 5)}, false},
    {"c64 512^2, 7^2 direct",
     {.dtype = CONVOLVE_COMPLEX64, .input = SHAPE(512, 512), .kernel = SHAPE(7, 7), .method = CONVOLVE_DIRECT},
     false},
    {"f32 2048^2, 31^2 separable", {F32, .input = SHAPE(2048, 2048), .kernel = SHAPE(31, 31)}, true},
    {"f32 1024^2, 31^2", {F32, .input = SHAPE(1024, 1024), .kernel = SHAPE(31, 31)}, false},
    {"f64 1024^2, 31^2", {.input = SHAPE(1024, 1024), .kernel = SHAPE(31, 31)}, false},
    {"f32 2048^2, 63^2", {F32, .input = SHAPE(2048, 2048), .kernel = SHAPE(63, 63)}, false},
    {"f32 1000^2, 1000^2", {F32, .input = SHAPE(1000, 1000), .kernel = SHAPE(1000, 1000)}, false},
    {"f32 4*10^6, 4096", {F32, .input = SHAPE(4000000), .kernel = SHAPE(4096)}, false},
    {"f32 10^6, 10^6", {F32, .input = SHAPE(1000000), .kernel = SHAPE(1000000)}, false},
    {"f64 128^3, 15^3", {.input = SHAPE(128, 128, 128), .kernel = SHAPE(15, 15, 15)}, false},
};

/* The layer: axes, channels, filters, size, kernel, stride, dilation, groups, padding. */
static const struct layer_row {
    const char *name;
    struct bench_layer layer;
    const char *method;
} layer_rows[] = {
    {"layer 3x3 64>64 @224", {2, 64, 64, 224, 3, 1, 1, 1, 1, BENCH_CONV, 0}, "auto"},
    {"layer 3x3 64>64 @224 direct", {2, 64, 64, 224, 3, 1, 1, 1, 1, BENCH_CONV, 0}, "direct"},
    {"layer 3x3 256>256 @56", {2, 256, 256, 56, 3, 1, 1, 1, 1, BENCH_CONV, 0}, "auto"},
    {"layer 3x3 256>256 @56 direct", {2, 256, 256, 56, 3, 1, 1, 1, 1, BENCH_CONV, 0}, "direct"},
    {"layer 3x3 512>512 @28", {2, 512, 512, 28, 3, 1, 1, 1, 1, BENCH_CONV, 0}, "auto"},
    {"layer 3x3 s2 256>512 @56", {2, 256, 512, 56, 3, 2, 1, 1, 1, BENCH_CONV, 0}, "auto"},
    {"layer 1-D k9 64>64 16000", {1, 64, 64, 16000, 9, 1, 1, 1, 4, BENCH_CONV, 0}, "auto"},
    {"layer 1x1 512>512 @56", {2, 512, 512, 56, 1, 1, 1, 1, 0, BENCH_CONV, 0}, "auto"},
    {"layer 3-D 3^3 32>32 32^3", {3, 32, 32, 32, 3, 1, 1, 1, 1, BENCH_CONV, 0}, "auto"},
    {"layer f64 3x3 128>128 @56", {2, 128, 128, 56, 3, 1, 1, 1, 1, BENCH_CONV, 1}, "auto"},
    {"layer depthwise 7x7 512 @112", {2, 512, 512, 112, 7, 1, 1, 512, 3, BENCH_CONV, 0}, "auto"},
    {"grad input 3x3 64>64 @224", {2, 64, 64, 224, 3, 1, 1, 1, 1, BENCH_BACKWARD_INPUT, 0}, "auto"},
    {"grad input 3x3 s2 256 @56", {2, 256, 256, 56, 3, 2, 1, 1, 1, BENCH_BACKWARD_INPUT, 0}, "auto"},
    {"grad weight 3x3 64>64 @224", {2, 64, 64, 224, 3, 1, 1, 1, 1, BENCH_BACKWARD_WEIGHT, 0}, "auto"},
    {"grad weight 3x3 s2 256 @56", {2, 256, 256, 56, 3, 2, 1, 1, 1, BENCH_BACKWARD_WEIGHT, 0}, "auto"},
    {"grad weight 1x1 512>512 @56", {2, 512, 512, 56, 1, 1, 1, 1, 0, BENCH_BACKWARD_WEIGHT, 0}, "auto"},
    {"grad weight depthwise 512 @112", {2, 512, 512, 112, 7, 1, 1, 512, 3, BENCH_BACKWARD_WEIGHT, 0}, "auto"},
};

static void *allocate(size_t bytes)
{
    void *const memory = aligned_alloc(CONVOLVE_ALIGNMENT, (bytes + 127) & ~(size_t)63);
    if (!memory)
        abort();
    return memory;
}

/* ---- Threads that share tiles ----------------------------------------------------------------------------------------- */

struct team {
    const struct convolve_plan *plan;
    const struct convolve_run *run;
    pthread_barrier_t stage_end;
    size_t next[STAGES_MAX]; /* the next tile of each stage */
    void *tile_scratch[2];
};

struct member {
    struct team *team;
    unsigned index;
};

static void *take_tiles(void *argument)
{
    const struct member *const member = argument;
    struct team *const team = member->team;
    for (unsigned stage = 0; stage < convolve_plan_stage_count(team->plan); stage++) {
        const size_t tiles = convolve_plan_tile_count(team->plan, stage);
        for (size_t tile; (tile = __atomic_fetch_add(&team->next[stage], 1, __ATOMIC_RELAXED)) < tiles;)
            convolve_plan_run_tile(team->plan, team->run, stage, tile, team->tile_scratch[member->index]);
        pthread_barrier_wait(&team->stage_end);
    }
    return NULL;
}

static double run_on_two(struct team *team)
{
    struct member members[2] = {{team, 0}, {team, 1}};
    pthread_t second;
    for (unsigned i = 0; i < STAGES_MAX; i++)
        team->next[i] = 0;
    const double begin = bench_seconds();
    if (pthread_create(&second, NULL, take_tiles, &members[1]) != 0)
        abort();
    take_tiles(&members[0]);
    pthread_join(second, NULL);
    return bench_seconds() - begin;
}

/* `best`: the time of two over that of one, if tiles took as long in either; the next tile goes to who is free first. */
static double run_on_one(const struct team *team, double *best)
{
    const double begin = bench_seconds();
    double sum = 0, end = 0;
    for (unsigned stage = 0; stage < convolve_plan_stage_count(team->plan); stage++) {
        const size_t tiles = convolve_plan_tile_count(team->plan, stage);
        double busy[2] = {end, end};
        for (size_t tile = 0; tile < tiles; tile++) {
            const double since = thread_seconds();
            convolve_plan_run_tile(team->plan, team->run, stage, tile, team->tile_scratch[0]);
            const double took = thread_seconds() - since;
            sum += took;
            busy[busy[1] < busy[0]] += took;
        }
        end = busy[0] > busy[1] ? busy[0] : busy[1];
    }
    *best = end / sum;
    return bench_seconds() - begin;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------------- */

static void *make_values(enum convolve_dtype dtype, const struct convolve_shape *shape, bool product)
{
    size_t count = 0;
    convolve_shape_count(shape, &count);
    const size_t parts = convolve_dtype_is_complex(dtype) ? 2 : 1;
    void *const values = allocate(count * convolve_dtype_bytes(dtype));
    for (size_t i = 0; i < count * parts; i++) {
        const double value = product ? 0.3 : (double)(i * 2654435761u % 1000003) / 1000003.0 - 0.5;
        if (dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64)
            ((float *)values)[i] = (float)value;
        else if (dtype == CONVOLVE_INT64)
            ((int64_t *)values)[i] = (int64_t)(value * 1000);
        else
            ((double *)values)[i] = value;
    }
    return values;
}

/* two / one, or 0 where that takes too little time to be judged. `run` lacks its scratch. */
static double bench_plan(const char *name, const struct convolve_plan *plan, struct convolve_run *run,
                         double seconds_min)
{
    static double one[ROUNDS_MAX], two[ROUNDS_MAX], best[ROUNDS_MAX];
    struct team team = {.plan = plan, .run = run};
    size_t rounds = 0;
    run->scratch = allocate(convolve_plan_scratch_bytes(plan));
    for (unsigned i = 0; i < 2; i++)
        team.tile_scratch[i] = allocate(convolve_plan_tile_scratch_bytes(plan));
    pthread_barrier_init(&team.stage_end, NULL, 2);
    if (convolve_plan_stage_count(plan) > STAGES_MAX)
        abort();
    run_on_two(&team); /* memory is touched */
    for (double spent = 0; rounds < ROUNDS_MAX && (rounds < 5 || spent < seconds_min); rounds++) {
        one[rounds] = run_on_one(&team, &best[rounds]);
        two[rounds] = run_on_two(&team);
        spent += one[rounds] + two[rounds];
    }
    const double single = median(one, rounds), ratio = median(two, rounds) / single;
    printf("%-30s %-11s %9.2f ms  two / one %.2f  at best %.2f%s\n", name,
           convolve_method_name(convolve_plan_method(plan)), single * 1e3, ratio, median(best, rounds),
           single < 5e-3 ? "  (below 5 ms)" : "");
    pthread_barrier_destroy(&team.stage_end);
    free(run->scratch), free(team.tile_scratch[0]), free(team.tile_scratch[1]);
    return single < 5e-3 ? 0 : ratio;
}

static double bench_row(const struct row *row, double seconds_min)
{
    struct convolve_spec spec = row->spec;
    struct convolve_error error = {0};
    struct convolve_plan *plan;
    size_t outputs = 0;
    spec.mode = CONVOLVE_SAME;
    void *const input = make_values(spec.dtype, &spec.input, false);
    void *const kernel = make_values(spec.dtype, &spec.kernel, row->product);
    if (!convolve_plan_create(&plan, &spec, kernel, &error)) {
        printf("%-30s %s\n", row->name, error.detail);
        exit(1);
    }
    convolve_shape_count(convolve_plan_output(plan), &outputs);
    void *const output = allocate(outputs * convolve_dtype_bytes(spec.dtype));
    struct convolve_run run = {.input = input, .kernel = kernel, .output = output};
    const double ratio = bench_plan(row->name, plan, &run, seconds_min);
    convolve_plan_destroy(plan);
    free(input), free(kernel), free(output);
    return ratio;
}

static double bench_layer_row(const struct layer_row *row, double seconds_min)
{
    const struct convolve_layer_spec spec = bench_layer_spec(&row->layer, row->method);
    struct convolve_error error = {0};
    struct convolve_plan *plan;
    size_t outputs = 0;
    void *const input = make_values(spec.dtype, &spec.input, false);
    void *const weight = make_values(spec.dtype, &spec.weight, false);
    void *const gradient = make_values(spec.dtype, &spec.grad_output, false);
    if (!convolve_layer_plan_create(&plan, &spec, weight, &error)) {
        printf("%-30s %s\n", row->name, error.detail);
        exit(1);
    }
    convolve_shape_count(convolve_plan_output(plan), &outputs);
    void *const output = allocate(outputs * convolve_dtype_bytes(spec.dtype));
    struct convolve_run run = {.input = input, .kernel = weight, .grad_output = gradient, .output = output};
    const double ratio = bench_plan(row->name, plan, &run, seconds_min);
    convolve_plan_destroy(plan);
    free(input), free(weight), free(gradient), free(output);
    return ratio;
}

int main(int argc, char **argv)
{
    const double seconds_min = argc > 1 ? atof(argv[1]) : 0.5;
    const char *const part = argc > 2 ? argv[2] : "";
    double worst = 0;
    printf("instruction set %s, mode same, one thread and two\n", convolve_simd_name());
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const double ratio = strstr(rows[i].name, part) ? bench_row(&rows[i], seconds_min) : 0;
        worst = ratio > worst ? ratio : worst;
    }
    for (size_t i = 0; i < sizeof layer_rows / sizeof layer_rows[0]; i++) {
        const double ratio = strstr(layer_rows[i].name, part) ? bench_layer_row(&layer_rows[i], seconds_min) : 0;
        worst = ratio > worst ? ratio : worst;
    }
    printf("worst %.2f (goal 0.55)\n", worst);
    return 0;
}
