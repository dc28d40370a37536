/* SPDX-License-Identifier: MIT */
/* Random requests: every member takes part, sizes stay small, and most of what is asked is valid. */
#include "tests/core/random_spec.h"

#include "core/explain.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint64_t random_bits(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

size_t random_below(uint64_t *state, size_t bound)
{
    return (size_t)(random_bits(state) % bound);
}

static double random_real(uint64_t *state)
{
    return (double)(int64_t)random_bits(state) * 0x1p-63;
}

/* ---- Values ----------------------------------------------------------------------------------------------------------- */

static double wild_real(uint64_t *state, bool f32)
{
    const double table[] = {NAN,
                            INFINITY,
                            -INFINITY,
                            -0.0,
                            0.0,
                            f32 ? (double)FLT_TRUE_MIN : DBL_TRUE_MIN,
                            f32 ? (double)FLT_MAX : DBL_MAX,
                            f32 ? -(double)FLT_MIN : -DBL_MIN};
    const size_t pick = random_below(state, 160);
    if (pick < sizeof table / sizeof table[0])
        return table[pick];
    return ldexp(random_real(state), (int)random_below(state, f32 ? 250 : 2000) - (f32 ? 125 : 1000));
}

static double real_of(uint64_t *state, enum random_values values, bool f32)
{
    switch (values) {
    case RANDOM_SMALL_INTEGERS:
        return (double)random_below(state, 19) - 9;
    case RANDOM_HOLES:
        return random_below(state, 9) == 0 ? (double)NAN : random_real(state);
    case RANDOM_WILD:
        return wild_real(state, f32);
    case RANDOM_LARGE_INTEGERS:
        return rint(random_real(state) * (f32 ? 0x1p11 : 0x1p25));
    case RANDOM_REALS:
        break;
    }
    return random_real(state);
}

static int64_t integer_of(uint64_t *state, enum random_values values)
{
    static const int64_t extremes[] = {INT64_MIN, INT64_MAX, -1, 1, 0, 2};
    if (values == RANDOM_WILD && random_below(state, 8) == 0)
        return extremes[random_below(state, 6)];
    if (values == RANDOM_LARGE_INTEGERS)
        return (int64_t)random_bits(state) >> 32;
    return (int64_t)random_below(state, 2001) - 1000;
}

void random_fill(uint64_t *state, enum convolve_dtype dtype, enum random_values values, void *tensor, size_t count)
{
    const bool f32 = dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64;
    count *= convolve_dtype_is_complex(dtype) ? 2 : 1;
    for (size_t i = 0; i < count; i++) {
        if (dtype == CONVOLVE_INT64)
            ((int64_t *)tensor)[i] = integer_of(state, values);
        else if (f32)
            ((float *)tensor)[i] = (float)real_of(state, values, true);
        else
            ((double *)tensor)[i] = real_of(state, values, false);
    }
}

void *allocate_values(enum convolve_dtype dtype, size_t count)
{
    const size_t bytes = (count * convolve_dtype_bytes(dtype) + CONVOLVE_ALIGNMENT) & ~(size_t)(CONVOLVE_ALIGNMENT - 1);
    void *const values = aligned_alloc(CONVOLVE_ALIGNMENT, bytes);
    if (!values)
        abort();
    return values;
}

/* ---- Specs ------------------------------------------------------------------------------------------------------------ */

static void random_per_axis(uint64_t *state, struct convolve_per_axis *member, unsigned axes)
{
    if (random_below(state, 3) != 0)
        return;
    member->given = true;
    member->scalar = random_below(state, 2);
    member->count = axes;
    for (unsigned i = 0; i < axes; i++)
        member->value[i] = 1 + random_below(state, random_below(state, 4) ? 3 : 9);
}

static void random_padding(uint64_t *state, struct convolve_padding *padding, unsigned axes)
{
    padding->given = true;
    padding->scalar = random_below(state, 2);
    padding->count = axes;
    for (unsigned i = 0; i < axes; i++) {
        padding->before[i] = random_below(state, 7);
        padding->after[i] = random_below(state, 7);
    }
}

/* Which axes are convolved, as a list in any order and of either sign. */
static unsigned random_axes(uint64_t *state, struct convolve_spec *spec, unsigned rank, bool *convolved)
{
    unsigned count = 0;
    spec->axes_given = rank > 0 && random_below(state, 2);
    for (unsigned i = 0; i < rank; i++) {
        convolved[i] = !spec->axes_given || random_below(state, 2);
        if (convolved[i] && spec->axes_given)
            spec->axes[count] = random_below(state, 2) ? (int64_t)i : (int64_t)i - (int64_t)rank;
        count += convolved[i];
    }
    if (spec->axes_given && count == 0) {
        convolved[0] = true;
        spec->axes[count++] = 0;
    }
    spec->axis_count = spec->axes_given ? count : 0;
    return count;
}

static size_t random_length(uint64_t *state, size_t budget)
{
    const size_t most = budget < 1 ? 1 : budget;
    return 1 + random_below(state, random_below(state, 3) ? (most < 9 ? most : 9) : most);
}

static void random_shapes(uint64_t *state, struct convolve_spec *spec, unsigned rank, const bool *convolved,
                          unsigned count, size_t elements_max)
{
    size_t input_budget = elements_max, kernel_budget = elements_max / 4 + 1;
    const bool input_low = count < rank && random_below(state, 4) == 0,
               kernel_low = !input_low && count < rank && random_below(state, 2);
    for (unsigned i = 0; i < rank; i++) {
        size_t input = random_length(state, input_budget), kernel = random_length(state, kernel_budget);
        if (!convolved[i]) {
            const size_t choice = random_below(state, 3);
            kernel = choice == 0 ? 1 : input;
            if (choice == 1)
                input = 1;
        }
        if (convolved[i] || !input_low) {
            spec->input.size[spec->input.rank++] = input;
            input_budget /= input;
        }
        if (convolved[i] || !kernel_low) {
            spec->kernel.size[spec->kernel.rank++] = kernel;
            kernel_budget /= kernel;
        }
    }
}

void random_spec(uint64_t *state, struct convolve_spec *spec, size_t elements_max)
{
    struct convolve_cost cost;
    do {
        bool convolved[CONVOLVE_RANK_MAX];
        const unsigned rank =
            random_below(state, 12) == 0 ? (unsigned)random_below(state, 9) : 1 + (unsigned)random_below(state, 3);
        *spec = (struct convolve_spec){.method = CONVOLVE_DIRECT,
                                       .operation = random_below(state, 2),
                                       .dtype = random_below(state, CONVOLVE_DTYPE_COUNT),
                                       .mode = random_below(state, 3),
                                       .boundary = random_below(state, 5)};
        const unsigned count = random_axes(state, spec, rank, convolved);
        random_shapes(state, spec, rank, convolved, count, elements_max);
        random_per_axis(state, &spec->stride, count);
        random_per_axis(state, &spec->dilation, count);
        if (random_below(state, 4) == 0)
            random_padding(state, &spec->padding, count);
        if (random_below(state, 2))
            spec->fillvalue = (struct convolve_scalar){.integer = 7, .real = 0.7, .imag = -2.5};
        spec->ignore_missing = random_below(state, 5) == 0;
    } while (!convolve_cost(&cost, spec, 1, NULL) || cost.multiply_adds > 400 * elements_max ||
             cost.output_count > 40 * elements_max);
}

static int put_shape(char *text, size_t bytes, const char *name, const struct convolve_shape *shape)
{
    int used = snprintf(text, bytes, " %s", name);
    for (unsigned i = 0; i < shape->rank; i++)
        used += snprintf(text + used, bytes - (size_t)used, "%c%zu", i ? 'x' : ' ', shape->size[i]);
    return used;
}

static int put_per_axis(char *text, size_t bytes, const char *name, const struct convolve_per_axis *member)
{
    int used = 0;
    for (unsigned i = 0; member->given && i < (member->scalar ? 1 : member->count); i++)
        used += snprintf(text + used, bytes - (size_t)used, "%s%zu", i ? "," : name, member->value[i]);
    return used;
}

const char *describe_spec(const struct convolve_spec *spec)
{
    static char text[1024];
    char *end = text;
    size_t left = sizeof text;
    int used = snprintf(end, left, "%s %s mode %d boundary %d missing %d", convolve_dtype_name(spec->dtype),
                        spec->operation ? "correlate" : "convolve", spec->mode, spec->boundary, spec->ignore_missing);
#define PUT(...)                                                                                                       \
    end += used;                                                                                                       \
    left -= (size_t)used;                                                                                              \
    used = __VA_ARGS__
    PUT(put_shape(end, left, "input", &spec->input));
    PUT(put_shape(end, left, "kernel", &spec->kernel));
    PUT(put_per_axis(end, left, " stride ", &spec->stride));
    PUT(put_per_axis(end, left, " dilation ", &spec->dilation));
    for (unsigned i = 0; i < spec->axis_count; i++) {
        PUT(snprintf(end, left, "%s%lld", i ? "," : " axes ", (long long)spec->axes[i]));
    }
    for (unsigned i = 0; spec->padding.given && i < (spec->padding.scalar ? 1 : spec->padding.count); i++) {
        PUT(snprintf(end, left, " padding %zu,%zu", spec->padding.before[i], spec->padding.after[i]));
    }
#undef PUT
    return text;
}

/* ---- Running ---------------------------------------------------------------------------------------------------------- */

struct worker {
    const struct convolve_plan *plan;
    const struct convolve_run *run;
    unsigned stage;
    const size_t *order;
    size_t count;
    size_t *next; /* shared */
    void *tile_scratch;
};

static void *work(void *context)
{
    const struct worker *worker = context;
    size_t i;
    while ((i = __atomic_fetch_add(worker->next, 1, __ATOMIC_RELAXED)) < worker->count)
        convolve_plan_run_tile(worker->plan, worker->run, worker->stage, worker->order[i], worker->tile_scratch);
    return NULL;
}

static void run_stage(const struct convolve_plan *plan, const struct convolve_run *run, unsigned stage,
                      unsigned threads, uint64_t *state)
{
    const size_t count = convolve_plan_tile_count(plan, stage);
    size_t *const order = calloc(count + 1, sizeof *order);
    size_t next = 0;
    struct worker workers[2];
    pthread_t thread;
    for (size_t i = 0; i < count; i++) {
        const size_t j = random_below(state, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (unsigned i = 0; i < 2; i++) {
        /* Scratch arrives with anything in it. */
        const size_t bytes = convolve_plan_tile_scratch_bytes(plan);
        workers[i] =
            (struct worker){plan, run, stage, order, count, &next, allocate_values(CONVOLVE_INT64, bytes / 8 + 8)};
        memset(workers[i].tile_scratch, 0xff, bytes);
    }
    if (threads == 2)
        assert_int_equal(pthread_create(&thread, NULL, work, &workers[1]), 0);
    work(&workers[0]);
    if (threads == 2)
        pthread_join(thread, NULL);
    free(workers[0].tile_scratch);
    free(workers[1].tile_scratch);
    free(order);
}

/* By way of a draft, whose cost is convolve_cost's. */
static bool plan_in_two_steps(struct convolve_plan **plan, struct convolve_draft *draft,
                              const struct convolve_spec *spec, const void *kernel, struct convolve_error *error)
{
    struct convolve_cost cost, same;
    if (!convolve_draft_derive(draft, &cost, spec, 2, error))
        return false;
    assert_true(convolve_cost(&same, spec, 2, NULL));
    assert_int_equal(cost.method, same.method);
    assert_int_equal(cost.output_count, same.output_count);
    assert_int_equal(cost.multiply_adds, same.multiply_adds);
    assert_int_equal(cost.tensor_bytes, same.tensor_bytes);
    assert_int_equal(cost.scratch_bytes, same.scratch_bytes);
    return convolve_draft_plan(plan, draft, kernel, error);
}

bool run_plan(const struct convolve_spec *spec, const void *input, const void *kernel, void *output, unsigned threads,
              uint64_t *state, struct convolve_outcome *outcome, struct convolve_error *error)
{
    struct convolve_plan *plan;
    struct convolve_draft *const draft = threads == 2 ? malloc(convolve_draft_bytes()) : NULL;
    if (draft ? !plan_in_two_steps(&plan, draft, spec, kernel, error)
              : !convolve_plan_create(&plan, spec, kernel, error)) {
        free(draft);
        return false;
    }
    const size_t bytes = convolve_plan_scratch_bytes(plan);
    void *const scratch = allocate_values(CONVOLVE_INT64, bytes / 8 + 8);
    memset(scratch, 0xff, bytes);
    const struct convolve_run run = {.input = input, .kernel = kernel, .output = output, .scratch = scratch};
    for (unsigned stage = 0; stage < convolve_plan_stage_count(plan); stage++)
        run_stage(plan, &run, stage, threads, state);
    const bool finished = convolve_plan_finish(plan, &run, outcome, error);
    free(scratch);
    convolve_plan_destroy(plan);
    free(draft);
    return finished;
}

/* ---- Comparing -------------------------------------------------------------------------------------------------------- */

static bool same_real(double a, double b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

static struct convolve_scalar scalar_of(enum convolve_dtype dtype, const void *tensor, size_t i)
{
    switch (dtype) {
    case CONVOLVE_FLOAT64:
        return (struct convolve_scalar){.real = ((const double *)tensor)[i]};
    case CONVOLVE_FLOAT32:
        return (struct convolve_scalar){.real = (double)((const float *)tensor)[i]};
    case CONVOLVE_INT64:
        return (struct convolve_scalar){.integer = ((const int64_t *)tensor)[i]};
    case CONVOLVE_COMPLEX128:
        return (struct convolve_scalar){.real = ((const double *)tensor)[2 * i],
                                        .imag = ((const double *)tensor)[2 * i + 1]};
    case CONVOLVE_COMPLEX64:
        return (struct convolve_scalar){.real = (double)((const float *)tensor)[2 * i],
                                        .imag = (double)((const float *)tensor)[2 * i + 1]};
    }
    return (struct convolve_scalar){0};
}

static bool same_scalar(struct convolve_scalar a, struct convolve_scalar b)
{
    return a.integer == b.integer && same_real(a.real, b.real) && same_real(a.imag, b.imag);
}

bool same_value(enum convolve_dtype dtype, const void *a, const void *b, size_t index)
{
    return same_scalar(scalar_of(dtype, a, index), scalar_of(dtype, b, index));
}

void check_against_explain(const struct convolve_spec *spec, const void *input, const void *kernel, const void *output,
                           bool succeeded, const struct convolve_error *error, size_t samples, const char *name)
{
    struct convolve_cost cost;
    assert_true(convolve_cost(&cost, spec, 1, NULL));
    const size_t step = succeeded && cost.output_count > samples ? cost.output_count / samples : 1;
    bool failed = false;
    for (size_t i = 0; i < cost.output_count; i += step) {
        struct convolve_scalar expected;
        struct convolve_error expected_error = {0};
        if (!convolve_explain(spec, input, kernel, i, NULL, NULL, &expected, &expected_error)) {
            if (succeeded || strcmp(error->slug, expected_error.slug) != 0)
                fail_msg("%s: %s\noutput %zu: explain says %s (%s), the plan %s", name, describe_spec(spec), i,
                         expected_error.slug, expected_error.detail, succeeded ? "nothing" : error->detail);
            failed = true;
            break;
        }
        const struct convolve_scalar found = scalar_of(spec->dtype, output, i);
        if (succeeded && !same_scalar(found, expected))
            fail_msg("%s: %s\noutput %zu: found %a %a %lld, expected %a %a %lld", name, describe_spec(spec), i,
                     found.real, found.imag, (long long)found.integer, expected.real, expected.imag,
                     (long long)expected.integer);
    }
    if (!succeeded && !failed)
        fail_msg("%s: %s\nthe plan fails with %s (%s), explain does not", name, describe_spec(spec), error->slug,
                 error->detail);
}
