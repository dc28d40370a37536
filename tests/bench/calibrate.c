/* SPDX-License-Identifier: MIT */
/* Measures what the cost model of core/choose.c rests on and prints core/cost_table_SET.inc, for the set of the first argument:
 * run by `make calibrate`, on an idle machine. Each number is the difference of plans that differ in one thing, each plan the
 * least time of many runs. Fails where the CPU lacks the set. */
#include "core/cost_table.h"
#include "core/direct_layout.h"
#include "core/fft_convolve.h"
#include "core/separable_layout.h"
#include "tests/bench/median.h"
#include "tests/bench/thread_time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEIGHT = 120,
    WIDTH_BYTES = 1024,
    NARROW = 64
}; /* HEIGHT: whole blocks of every set; all of it stays within L2 */

/* At least so many elements, in whole blocks of the set. */
static size_t whole_blocks(enum convolve_dtype dtype, size_t elements)
{
    const size_t bytes = cost_set()->block_bytes, least = elements * convolve_dtype_bytes(dtype);
    return (least + bytes - 1) / bytes * bytes / convolve_dtype_bytes(dtype);
}

static size_t wide(enum convolve_dtype dtype)
{
    return whole_blocks(dtype, WIDTH_BYTES / convolve_dtype_bytes(dtype));
}

static void *allocate(size_t bytes)
{
    void *const memory =
        aligned_alloc(CONVOLVE_ALIGNMENT, (bytes + CONVOLVE_ALIGNMENT) / CONVOLVE_ALIGNMENT * CONVOLVE_ALIGNMENT);
    if (!memory) {
        fputs("calibrate: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

/* All alike, and so separable; fractions, for integers are looked at once more where they may be exact. */
static void *allocate_values(const struct convolve_spec *spec, const struct convolve_shape *shape)
{
    size_t count = 0;
    convolve_shape_count(shape, &count);
    void *const values = allocate(count * 8);
    for (size_t i = 0; i < count; i++)
        if (spec->dtype == CONVOLVE_FLOAT32)
            ((float *)values)[i] = 0.3f;
        else if (spec->dtype == CONVOLVE_FLOAT64)
            ((double *)values)[i] = 0.3;
        else
            ((int64_t *)values)[i] = 3;
    return values;
}

static void run_once(const struct convolve_plan *plan, const struct convolve_run *run, void *tile_scratch)
{
    for (unsigned stage = 0; stage < convolve_plan_stage_count(plan); stage++)
        for (size_t tile = 0; tile < convolve_plan_tile_count(plan, stage); tile++)
            convolve_plan_run_tile(plan, run, stage, tile, tile_scratch);
}

/* Nanoseconds of one run; of the plan's creation too where `whole`. */
static double measure_plan(const struct convolve_spec *spec, bool whole)
{
    struct convolve_plan *plan;
    struct convolve_error error = {0};
    void *const input = allocate_values(spec, &spec->input), *const kernel = allocate_values(spec, &spec->kernel);
    if (!convolve_plan_create(&plan, spec, kernel, &error)) {
        fprintf(stderr, "calibrate: %s\n", error.detail);
        exit(1);
    }
    size_t outputs = 0;
    convolve_shape_count(convolve_plan_output(plan), &outputs);
    void *const output = allocate(outputs * 8), *const scratch = allocate(convolve_plan_scratch_bytes(plan));
    void *const tile_scratch = allocate(convolve_plan_tile_scratch_bytes(plan));
    const struct convolve_run run = {.input = input, .kernel = kernel, .output = output, .scratch = scratch};
    double best = 1e9;
    const double began = thread_seconds();
    for (unsigned i = 0; i < 5 || thread_seconds() - began < 0.1; i++) {
        const double since = thread_seconds();
        run_once(plan, &run, tile_scratch);
        if (whole) {
            convolve_plan_destroy(plan);
            convolve_plan_create(&plan, spec, kernel, &error);
        }
        const double seconds = thread_seconds() - since;
        best = seconds < best ? seconds : best;
    }
    convolve_plan_destroy(plan);
    free(input), free(kernel), free(output), free(scratch), free(tile_scratch);
    return best * 1e9;
}

static double measure(const struct convolve_spec *spec)
{
    return measure_plan(spec, false);
}

/* An image whose outputs are HEIGHT rows of whole blocks, none of whose windows leaves it. */
static struct convolve_spec image(enum convolve_dtype dtype, enum convolve_method method, size_t width,
                                  size_t height_taps, size_t width_taps)
{
    return (struct convolve_spec){.dtype = dtype,
                                  .method = method,
                                  .mode = CONVOLVE_VALID,
                                  .input = {2, {HEIGHT + height_taps - 1, width + width_taps - 1}},
                                  .kernel = {2, {height_taps, width_taps}}};
}

static double measure_image(enum convolve_dtype dtype, enum convolve_method method, size_t height_taps,
                            size_t width_taps)
{
    const size_t width = wide(dtype);
    const struct convolve_spec spec = image(dtype, method, width, height_taps, width_taps);
    return measure(&spec) / ((double)HEIGHT * (double)width);
}

static double positive(double value)
{
    return value > 0 ? value : 0;
}

static void calibrate_direct(struct cost_table *table, enum convolve_dtype dtype)
{
    const size_t block = whole_blocks(dtype, NARROW);
    const double value = measure_image(dtype, CONVOLVE_DIRECT, 1, 1) / 2;
    table->value = (float)value;
    for (unsigned i = 0; i < COST_ROW_POINTS; i++) {
        const double few = measure_image(dtype, CONVOLVE_DIRECT, 6, cost_row_taps[i]);
        const double many = measure_image(dtype, CONVOLVE_DIRECT, 30, cost_row_taps[i]);
        const double tap = (many - few) / (24.0 * cost_row_taps[i]);
        table->tap[i] = (float)positive(tap);
        table->plane[i] = (float)positive(few - 6 * cost_row_taps[i] * tap - 2 * value);
    }
    for (unsigned i = 0; i < COST_SQUARES; i++)
        table->square[i] = (float)positive(measure_image(dtype, CONVOLVE_DIRECT, 2 * i + 3, 2 * i + 3) - 2 * value);
    for (unsigned i = 0; i < COST_LINE_POINTS; i++) {
        const size_t outputs = 32768;
        const struct convolve_spec spec = {.dtype = dtype,
                                           .method = CONVOLVE_DIRECT,
                                           .mode = CONVOLVE_VALID,
                                           .input = {1, {outputs + cost_line_taps[i] - 1}},
                                           .kernel = {1, {cost_line_taps[i]}}};
        table->line[i] = (float)positive((measure(&spec) / (double)outputs - 2 * value) / cost_line_taps[i]);
    }
    struct convolve_spec narrow = image(dtype, CONVOLVE_DIRECT, block, 3, 3);
    narrow.input.size[0] = 2048 + 2;
    table->row = (float)positive(measure(&narrow) / 2048 - (double)block * ((double)table->square[0] + 2 * value));

    /* With a stride rows are copied. */
    struct convolve_spec strided = image(dtype, CONVOLVE_DIRECT, wide(dtype), 6, 6);
    strided.input.size[1] = 2 * wide(dtype) + 5;
    strided.stride = (struct convolve_per_axis){.given = true, .count = 2, .value = {1, 2}};
    struct geometry geometry;
    struct direct_layout layout;
    geometry_derive(&geometry, &strided, NULL);
    direct_layout_derive(&layout, &strided, &geometry);
    const double copies = (double)layout.unit_count * (double)layout.table_rows * (double)layout.row_elements;
    const double plain = measure_image(dtype, CONVOLVE_DIRECT, 6, 6) * HEIGHT * (double)wide(dtype);
    table->copied = (float)positive((measure(&strided) - plain) / copies);

    const struct convolve_spec exchanged = {
        .dtype = dtype, .method = CONVOLVE_DIRECT, .mode = CONVOLVE_VALID, .input = {1, {16}}, .kernel = {1, {4096}}};
    table->term = (float)(measure(&exchanged) / (16.0 * (4096 - 15)));
}

static void calibrate_separable(struct cost_table *table, enum convolve_dtype dtype)
{
    const size_t width = wide(dtype);
    const double few = measure_image(dtype, CONVOLVE_SEPARABLE, 6, 6);
    const double down = (measure_image(dtype, CONVOLVE_SEPARABLE, 26, 6) - few) / 20;
    const double along = (measure_image(dtype, CONVOLVE_SEPARABLE, 6, 26) - few) / 20;
    const double rest = positive(few - 6 * (down + along) - 2 * (double)table->value);
    table->down_tap = (float)positive(down);
    table->along_tap = (float)positive(along);
    table->down = table->along = (float)(rest / 2);

    double apart[2];
    for (unsigned i = 0; i < 2; i++) {
        const size_t taps = i ? 26 : 6;
        struct convolve_spec spec = image(dtype, CONVOLVE_SEPARABLE, width, 6, taps);
        spec.input.size[1] += taps - 1;
        spec.dilation = (struct convolve_per_axis){.given = true, .count = 2, .value = {1, 2}};
        apart[i] = measure(&spec) / ((double)HEIGHT * (double)width);
    }
    table->along_apart = (float)positive((apart[1] - apart[0]) / 20);

    /* The ends of rows are copied where windows reach beyond them. */
    struct convolve_spec same = image(dtype, CONVOLVE_SEPARABLE, width, 6, 26);
    struct geometry geometry;
    struct separable_layout layout;
    same.mode = CONVOLVE_SAME;
    same.input = (struct convolve_shape){2, {HEIGHT, width}};
    geometry_derive(&geometry, &same, NULL);
    separable_layout_derive(&layout, &same, &geometry);
    const double more = measure(&same) - measure_image(dtype, CONVOLVE_SEPARABLE, 6, 26) * HEIGHT * (double)width;
    table->gathered = (float)positive(more / ((double)layout.unit_count * (double)layout.axis[0].positions * 25));
}

/* As good as the same outputs, as 24 x 96 rows of two blocks and as 24 x 24 rows of eight: the first takes more calls. */
static void calibrate_calls(struct cost_table *table, enum convolve_dtype dtype)
{
    const size_t block = whole_blocks(dtype, NARROW);
    double ns[2], calls[2];
    for (unsigned i = 0; i < 2; i++) {
        const struct convolve_spec spec = {
            .dtype = dtype,
            .method = CONVOLVE_SEPARABLE,
            .mode = CONVOLVE_VALID,
            .input = {3, {24 + 2, (i ? 24 : 96) + 1, block * (i ? 8 : 2)}},
            .kernel = {3, {3, 2, 2}},
        };
        struct geometry geometry;
        struct separable_layout layout;
        geometry_derive(&geometry, &spec, NULL);
        separable_layout_derive(&layout, &spec, &geometry);
        ns[i] = measure(&spec);
        calls[i] = (double)layout.unit_count * (double)(layout.axis[1].positions + layout.axis[0].rows);
    }
    table->call = (float)positive((ns[0] - ns[1]) / (calls[0] - calls[1]));
}

/* What the least request takes. */
static double measure_least(enum convolve_dtype dtype, enum convolve_method method)
{
    const struct convolve_spec spec = {.dtype = dtype, .method = method, .input = {2, {4, 4}}, .kernel = {2, {2, 2}}};
    return measure_plan(&spec, true);
}

/* ---- Transforms ------------------------------------------------------------------------------------------------------- */

/* First small ones, whose plans tell, then large ones. */
enum { SMALL_TRANSFORMS = 7, TRANSFORMS = 15 };
static const struct {
    struct convolve_shape input, kernel;
} transforms[TRANSFORMS] = {
    {{1, {300}}, {1, {100}}},
    {{1, {1000}}, {1, {300}}},
    {{1, {3000}}, {1, {200}}},
    {{2, {32, 32}}, {2, {9, 9}}},
    {{2, {84, 74}}, {2, {9, 9}}},
    {{2, {235, 18}}, {2, {56, 3}}},
    {{3, {12, 20, 12}}, {3, {6, 6, 6}}},
    {{1, {30000}}, {1, {500}}},
    {{1, {200000}}, {1, {200}}},
    {{1, {300000}}, {1, {3000}}},
    {{2, {256, 256}}, {2, {15, 15}}},
    {{2, {512, 300}}, {2, {31, 31}}},
    {{2, {600, 600}}, {2, {11, 80}}},
    {{3, {32, 32, 32}}, {3, {7, 7, 7}}},
    {{3, {64, 48, 64}}, {3, {11, 11, 11}}},
};

static double measure_transform(unsigned index, enum convolve_method method, double *estimate, double *outputs)
{
    const struct convolve_spec spec = {
        .dtype = index % 2 ? CONVOLVE_FLOAT64 : CONVOLVE_FLOAT32,
        .method = method,
        .mode = CONVOLVE_SAME,
        .input = transforms[index / 2].input,
        .kernel = transforms[index / 2].kernel,
    };
    struct geometry geometry;
    geometry_derive(&geometry, &spec, NULL);
    *estimate = fft_estimate_ns(&spec, &geometry, method);
    *outputs = (double)geometry.output_count;
    return measure_plan(&spec, true);
}

/* What one cell of a long axis adds to a plan of fft. */
static double measure_turn(void)
{
    const struct convolve_spec spec = {
        .method = CONVOLVE_FFT, .mode = CONVOLVE_SAME, .input = {1, {6000}}, .kernel = {1, {2000}}};
    return (measure_plan(&spec, true) - measure_plan(&spec, false)) / 8000;
}

#define LEAST_PART 0.7 /* other requests may take less than those of the table */

/* plan + scale * estimate: the scale is the median ratio of the large ones, the plan the median rest of the small ones; again
 * with that taken off the large ones. */
static void calibrate_transforms(struct cost_transforms *found)
{
    enum { COUNT = 2 * TRANSFORMS, SMALL = 2 * SMALL_TRANSFORMS, LARGE = COUNT - SMALL };
    double measured[2][COUNT], estimate[2][COUNT], outputs[COUNT], plan[2] = {0}, scale = 1, least[2] = {1e9, 1e9};
    for (unsigned which = 0; which < 2; which++)
        for (unsigned i = 0; i < COUNT; i++)
            measured[which][i] =
                measure_transform(i, which ? CONVOLVE_OVERLAP_ADD : CONVOLVE_FFT, &estimate[which][i], &outputs[i]);
    for (unsigned round = 0; round < 4; round++) {
        double ratios[2 * LARGE], rests[SMALL];
        for (unsigned which = 0; which < 2; which++) {
            for (unsigned i = 0; i < SMALL; i++)
                rests[i] = measured[which][i] - scale * estimate[which][i];
            plan[which] = positive(median(rests, SMALL));
            for (unsigned i = 0; i < LARGE; i++)
                ratios[which * LARGE + i] = (measured[which][SMALL + i] - plan[which]) / estimate[which][SMALL + i];
        }
        scale = median(ratios, 2 * LARGE);
    }
    found->plan[0] = (float)plan[0];
    found->plan[1] = (float)plan[1];
    found->scale = (float)scale;
    for (unsigned i = 0; i < 2 * LARGE; i++) {
        const unsigned at = SMALL + i % LARGE; /* every other one is float64 */
        const double each = (measured[i / LARGE][at] - plan[i / LARGE]) / outputs[at];
        least[at % 2] = each < least[at % 2] ? each : least[at % 2];
    }
    found->least_f32 = (float)(LEAST_PART * least[0]);
    found->least_f64 = (float)(LEAST_PART * least[1]);
}

/* ---- Output ----------------------------------------------------------------------------------------------------------- */

static void print_floats(const char *indent, const char *name, const float *values, unsigned count)
{
    printf("%s.%s = {", indent, name);
    for (unsigned i = 0; i < count; i++)
        printf("%s%#.3gf", i ? ", " : "", (double)values[i]);
    printf("},\n");
}

static void print_table(const char *name, const struct cost_table *table)
{
    static const char indent[] = "            ";
    printf("    .%s =\n        {\n", name);
    print_floats(indent, "plane", table->plane, COST_ROW_POINTS);
    print_floats(indent, "tap", table->tap, COST_ROW_POINTS);
    print_floats(indent, "square", table->square, COST_SQUARES);
    print_floats(indent, "line", table->line, COST_LINE_POINTS);
#define PRINT(member) printf("%s." #member " = %#.3gf,\n", indent, (double)table->member)
    PRINT(value), PRINT(row), PRINT(copied), PRINT(term), PRINT(down), PRINT(down_tap), PRINT(along), PRINT(along_tap);
    PRINT(along_apart), PRINT(gathered), PRINT(call), PRINT(direct_plan), PRINT(separable_plan);
#undef PRINT
    printf("        },\n");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        enum convolve_dtype dtype;
    } types[] = {{"f32", CONVOLVE_FLOAT32}, {"f64", CONVOLVE_FLOAT64}, {"u64", CONVOLVE_INT64}};
    if (argc != 2 || !convolve_simd_select(argv[1])) {
        fprintf(stderr, "calibrate: the CPU has no set %s\n", argc > 1 ? argv[1] : "named");
        return 1;
    }
    printf("/* SPDX-License-Identifier: MIT */\n"
           "/* Made by `make calibrate` (tests/bench/calibrate.c): what the methods cost with %s. */\n"
           "static const struct cost_set cost_%s = {\n"
           "    .name = \"%s\",\n    .block_bytes = %zu,\n    .vector_bytes = %zu,\n",
           argv[1], argv[1], argv[1], cost_set()->block_bytes, cost_set()->vector_bytes);
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct cost_table table = {0};
        calibrate_direct(&table, types[i].dtype);
        calibrate_separable(&table, types[i].dtype);
        calibrate_calls(&table, types[i].dtype);
        table.direct_plan = (float)measure_least(types[i].dtype, CONVOLVE_DIRECT);
        table.separable_plan = (float)measure_least(types[i].dtype, CONVOLVE_SEPARABLE);
        print_table(types[i].name, &table);
    }
    struct cost_transforms found = {0};
    calibrate_transforms(&found);
    printf("    .transforms =\n        {\n");
    print_floats("            ", "plan", found.plan, 2);
    found.turn = (float)positive(measure_turn());
    printf("            .turn = %#.3gf,\n", (double)found.turn);
    printf("            .scale = %#.3gf,\n            .least_f32 = %#.3gf,\n            .least_f64 = %#.3gf,\n        "
           "},\n};\n",
           (double)found.scale, (double)found.least_f32, (double)found.least_f64);
    return 0;
}
