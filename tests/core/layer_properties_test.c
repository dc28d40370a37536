/* SPDX-License-Identifier: MIT */
/* What holds for layers whatever the values: plans have the bits of the definition on every instruction set; an item has the
 * bits that it has alone; the gradients are adjoint to conv, and its slopes; the error bound holds; plans do what they cost. */
#include "tests/core/fewer.h"
#include "tests/core/golden_read.h"
#include "tests/core/layer_case.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const sets[] = {"scalar", "avx2", "avx512", "neon"};

/* Random, but small enough for the definition. */
static void make_random(struct layer_case *c, enum layer_values values, uint64_t work_max)
{
    for (;;) {
        struct convolve_layer_spec spec = layer_random_spec();
        struct convolve_cost cost;
        const bool backward = spec.operation >= CONVOLVE_LAYER_BACKWARD_INPUT;
        struct convolve_layer_spec forward = spec;
        forward.operation = backward ? CONVOLVE_LAYER_CONV : spec.operation;
        if (!convolve_layer_cost(&cost, &forward, 1, NULL) || cost.multiply_adds > work_max ||
            cost.output_count > 100000 ||
            (spec.operation == CONVOLVE_LAYER_BACKWARD_INPUT && spec.padding_mode != CONVOLVE_CONSTANT &&
             cost.multiply_adds > work_max / 100))
            continue;
        if (layer_case_make(c, &spec, values))
            return;
    }
}

static void compare_bits(const struct layer_case *c, const char *how, const void *expected, const void *found)
{
    const size_t bytes = convolve_dtype_bytes(c->spec.dtype);
    for (size_t i = 0; i < c->output_count; i++)
        if (memcmp((const char *)expected + i * bytes, (const char *)found + i * bytes, bytes) != 0)
            fail_msg("%s (%s): output %zu of %zu is %.17g, expected %.17g", c->name, how, i, c->output_count,
                     layer_number(c->spec.dtype, found, i * (convolve_dtype_is_complex(c->spec.dtype) ? 2 : 1)),
                     layer_number(c->spec.dtype, expected, i * (convolve_dtype_is_complex(c->spec.dtype) ? 2 : 1)));
}

static void plans_have_the_bits_of_the_definition(void **state)
{
    (void)state;
    layer_seed(11);
    for (unsigned i = 0; i < fewer(1500); i++) {
        struct layer_case c;
        struct convolve_outcome outcome;
        struct convolve_error error = {0};
        make_random(&c, i % 3 ? LAYER_VALUES_ANY : LAYER_VALUES_INTEGERS, 200000);
        void *const expected = tensor_memory(c.output_bytes), *const found = tensor_memory(c.output_bytes);
        layer_case_define(&c, expected);
        for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
            if ((s != i % 4 && i % 8) || !convolve_simd_select(sets[s]))
                continue;
            if (!layer_case_run(&c, found, &outcome, &error))
                fail_msg("%s: %s at \"%s\": %s", c.name, error.slug, error.pointer, error.detail);
            compare_bits(&c, sets[s], expected, found);
            if (outcome.nonfinite || (i % 3 == 0 && outcome.error_bound != 0))
                fail_msg("%s: nonfinite %d, error_bound %g, expected finite and exact", c.name, outcome.nonfinite,
                         outcome.error_bound);
        }
        convolve_simd_select("auto");
        free(expected);
        free(found);
        layer_case_release(&c);
    }
}

/* Sizes at which work is cut up: several units, channels in turns, many groups, whole vectors and rests. */
static void larger_layers_have_the_bits_of_the_definition(void **state)
{
    (void)state;
    enum { CONV = CONVOLVE_LAYER_CONV, INPUT = CONVOLVE_LAYER_BACKWARD_INPUT, WEIGHT = CONVOLVE_LAYER_BACKWARD_WEIGHT };
    static const struct {
        int operation;
        unsigned spatial;
        size_t items, channels, filters, high, wide, kernel, stride, dilation, groups, padding;
    } cases[] = {
        {CONV, 2, 1, 200, 9, 14, 14, 3, 1, 1, 1, 1},     {CONV, 2, 1, 300, 9, 7, 7, 3, 1, 1, 1, 1},
        {CONV, 2, 2, 20, 40, 20, 31, 1, 1, 1, 1, 0},     {CONV, 2, 1, 200, 9, 9, 13, 1, 2, 1, 1, 0},
        {CONV, 2, 1, 20, 28, 40, 61, 3, 1, 1, 4, 1},     {INPUT, 2, 1, 20, 28, 40, 61, 5, 1, 2, 4, 3},
        {CONV, 1, 1, 2, 2, 1, 1500, 3, 1, 1, 2, 1200}, /* its rows are cut, and a part lies in the padding alone */
        {INPUT, 2, 1, 6, 10, 91, 62, 5, 3, 1, 2, 1},     {INPUT, 2, 1, 3, 3, 9, 3000, 4, 2, 2, 3, 1},
        {CONV, 2, 1, 2, 2, 150, 540, 3, 1, 1, 2, 1},     {CONV, 2, 1, 4, 4, 40, 1500, 5, 2, 1, 2, 2},
        {CONV, 2, 1, 40, 40, 30, 61, 3, 1, 1, 40, 1},    {CONV, 2, 1, 40, 40, 30, 61, 3, 2, 1, 40, 1},
        {CONV, 2, 1, 20, 40, 17, 80, 5, 1, 3, 20, 6},    {CONV, 2, 1, 12, 4, 40, 70, 3, 1, 1, 4, 1},
        {CONV, 2, 1, 3, 1, 90, 100, 7, 3, 1, 1, 3},      {CONV, 1, 1, 4, 4, 1, 5000, 9, 1, 1, 4, 4},
        {INPUT, 2, 1, 15, 3, 1, 1, 3, 2, 1, 3, 1}, /* one place: the taps of its phase are not all */
        {INPUT, 2, 1, 9, 40, 20, 31, 3, 2, 1, 1, 1},     {INPUT, 2, 1, 40, 40, 30, 61, 3, 1, 1, 40, 1},
        {INPUT, 2, 1, 40, 40, 30, 61, 3, 2, 1, 40, 1},   {INPUT, 2, 1, 9, 30, 14, 14, 3, 1, 1, 1, 1},
        {CONV, 2, 3, 12, 6, 8, 12, 3, 1, 3, 3, 28}, /* units of 6 rows are too high, and 11 bands of 58 rows are 6 high too */
        {WEIGHT, 2, 2, 40, 40, 30, 61, 3, 1, 1, 40, 1},  {WEIGHT, 2, 1, 20, 20, 90, 90, 3, 2, 2, 20, 1},
        {WEIGHT, 1, 2, 3, 3, 1, 3000, 13, 1, 1, 3, 6},   {WEIGHT, 2, 1, 10, 40, 15, 31, 3, 1, 1, 1, 1},
        {WEIGHT, 2, 2, 30, 70, 20, 31, 1, 1, 1, 1, 0},   {CONV, 2, 1, 40, 60, 9, 13, 3, 1, 1, 1, 1},
        {CONV, 2, 2, 40, 64, 14, 6, 3, 1, 1, 1, 1},      {CONV, 2, 1, 80, 94, 20, 31, 3, 2, 1, 2, 1},
        {CONV, 2, 1, 32, 32, 20, 30, 3, 1, 2, 1, 2},     {CONV, 2, 1, 300, 47, 11, 11, 1, 1, 1, 1, 0},
        {INPUT, 2, 1, 60, 72, 17, 15, 3, 2, 1, 1, 1},    {INPUT, 2, 1, 64, 40, 17, 20, 3, 1, 1, 1, 1},
        {WEIGHT, 2, 2, 12, 16, 30, 61, 3, 1, 1, 1, 1},   {WEIGHT, 2, 2, 12, 62, 20, 31, 3, 2, 1, 2, 2},
        {WEIGHT, 2, 1, 10, 79, 9, 150, 3, 1, 2, 1, 0},   {WEIGHT, 1, 2, 4, 32, 1, 3000, 9, 1, 1, 1, 4},
        {WEIGHT, 2, 1, 50, 144, 7, 7, 3, 1, 1, 1, 1},    {WEIGHT, 2, 2, 30, 64, 20, 31, 1, 2, 1, 1, 0},
        {WEIGHT, 1, 1, 24, 16, 1, 45000, 1, 1, 1, 1, 0}, /* places in two passes */
    };
    static const enum convolve_boundary modes[] = {CONVOLVE_CONSTANT, CONVOLVE_CONSTANT, CONVOLVE_REFLECT,
                                                   CONVOLVE_WRAP};
    layer_seed(17);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned variant = 0; variant < 4; variant++) {
            if (fewer(4) < 4 && variant != i % 4)
                continue;
            const unsigned rank = cases[i].spatial + 2;
            struct convolve_layer_spec spec = {
                .operation = (enum convolve_layer_operation)cases[i].operation,
                .dtype = variant % 2 ? CONVOLVE_FLOAT64 : CONVOLVE_FLOAT32,
                .channels_last = variant / 2,
                .groups = cases[i].groups,
                .padding_mode = cases[i].operation == WEIGHT ? modes[(i + variant) % 4] : CONVOLVE_CONSTANT,
                .method = CONVOLVE_DIRECT,
                .input = {.rank = rank, .size = {cases[i].items}},
                .weight = {.rank = rank, .size = {cases[i].filters}},
                .stride = {.given = true, .scalar = true, .count = 1, .value = {cases[i].stride}},
                .dilation = {.given = true, .scalar = true, .count = 1, .value = {cases[i].dilation}},
                .cells = {.given = true,
                          .scalar = true,
                          .count = 1,
                          .before = {cases[i].padding},
                          .after = {cases[i].padding}},
            };
            const unsigned first = spec.channels_last ? 1 : 2, channel = spec.channels_last ? rank - 1 : 1;
            spec.input.size[channel] = cases[i].channels;
            spec.weight.size[channel] = cases[i].channels / cases[i].groups;
            for (unsigned axis = 0; axis < cases[i].spatial; axis++) {
                spec.input.size[first + axis] = axis + 1 < cases[i].spatial ? cases[i].high : cases[i].wide;
                spec.weight.size[first + axis] = cases[i].kernel;
            }
            struct layer_case c;
            struct convolve_outcome outcome;
            struct convolve_error error = {0};
            assert_true(layer_case_make(&c, &spec, LAYER_VALUES_ANY));
            void *const expected = tensor_memory(c.output_bytes), *const found = tensor_memory(c.output_bytes);
            layer_case_define(&c, expected);
            assert_true(layer_case_run(&c, found, &outcome, &error));
            double predicted;
            assert_true(convolve_layer_predict(&c.spec, &c.tensors, &predicted, &error));
            if (!(outcome.error_bound > 0) || outcome.error_bound != predicted)
                fail_msg("%s: the bound is %g, predicted %g", c.name, outcome.error_bound, predicted);
            compare_bits(&c, "larger", expected, found);
            free(expected);
            free(found);
            layer_case_release(&c);
        }
}

static void an_item_has_the_bits_it_has_alone(void **state)
{
    (void)state;
    layer_seed(12);
    for (unsigned i = 0; i < fewer(100); i++) {
        struct layer_case c, alone;
        struct convolve_outcome outcome;
        struct convolve_error error = {0};
        do
            make_random(&c, LAYER_VALUES_ANY, 300000);
        while ((c.spec.input.rank != c.spec.weight.rank || c.spec.input.size[0] < 2 ||
                c.spec.operation == CONVOLVE_LAYER_BACKWARD_WEIGHT) &&
               (layer_case_release(&c), true));
        void *const all = tensor_memory(c.output_bytes), *const one = tensor_memory(c.output_bytes);
        assert_true(layer_case_run(&c, all, &outcome, &error));
        const size_t items = c.spec.input.size[0], item = layer_random_below(items);
        alone = c;
        alone.spec.input.size[0] = 1;
        alone.spec.grad_output.size[0] = 1;
        alone.output_count /= items;
        alone.output_bytes /= items;
        const size_t bytes = convolve_dtype_bytes(c.spec.dtype);
        size_t input, gradient;
        convolve_shape_count(&alone.spec.input, &input);
        convolve_shape_count(&alone.spec.grad_output, &gradient);
        if (c.tensors.input)
            memcpy((char *)c.tensors.input, (const char *)c.tensors.input + item * input * bytes, input * bytes);
        if (c.tensors.grad_output)
            memcpy((char *)c.tensors.grad_output, (const char *)c.tensors.grad_output + item * gradient * bytes,
                   gradient * bytes);
        assert_true(layer_case_run(&alone, one, &outcome, &error));
        compare_bits(&alone, "alone", (const char *)all + item * alone.output_bytes, one);
        free(all);
        free(one);
        layer_case_release(&c);
    }
}

/* ---- explain ---------------------------------------------------------------------------------------------------------- */

struct told {
    const struct layer_case *c;
    double sum; /* of the terms' products */
};

static size_t element_at(const struct convolve_shape *shape, const size_t *index)
{
    size_t element = 0;
    for (unsigned i = 0; i < shape->rank; i++) {
        assert_true(index[i] < shape->size[i]);
        element = element * shape->size[i] + index[i];
    }
    return element;
}

/* Real numbers, all of them integers. Unbatched tensors have no index of an item. */
static void check_term(struct told *told, const struct convolve_term *term)
{
    const struct convolve_layer_spec *const spec = &told->c->spec;
    const struct convolve_run *const tensors = &told->c->tensors;
    const bool back = spec->operation == CONVOLVE_LAYER_BACKWARD_INPUT;
    const bool weights = spec->operation != CONVOLVE_LAYER_BACKWARD_WEIGHT, int64 = spec->dtype == CONVOLVE_INT64;
    const double input = int64 ? (double)term->input.integer : term->input.real;
    const double weight = int64 ? (double)term->kernel.integer : term->kernel.real;
    const size_t at = element_at(weights ? &spec->weight : &spec->grad_output, term->kernel_index);
    const double there = layer_number(spec->dtype, weights ? tensors->kernel : tensors->grad_output, at);
    double expected = spec->padding_mode == CONVOLVE_CONSTANT ? 0 : input;
    if (term->inside)
        expected = layer_number(spec->dtype, back ? tensors->grad_output : tensors->input,
                                element_at(back ? &spec->grad_output : &spec->input, term->input_index));
    if (weight != there || input != expected)
        fail_msg("%s: a term of %g and %g, but the tensors have %g and %g", told->c->name, input, weight, expected,
                 there);
    told->sum += input * weight;
}

/* Every step, and no more of them than was said. False where there is no such output. */
static bool explain(struct told *told, size_t index, struct convolve_explained *found, struct convolve_error *error)
{
    struct convolve_explanation *const explanation = tensor_memory(convolve_explanation_bytes());
    struct convolve_explain_cost cost;
    const struct layer_case *const c = told->c;
    const bool begun = convolve_explain_layer_begin(explanation, &cost, &c->spec, &c->tensors, index, error);
    uint64_t steps = 0, terms = 0;
    for (; begun && !convolve_explain_ended(explanation); steps++) {
        struct convolve_term term;
        if (!convolve_explain_step(explanation, &term))
            continue;
        check_term(told, &term);
        terms++;
    }
    if (begun && (steps > cost.steps || terms > cost.terms))
        fail_msg("%s: %llu steps and %llu terms, announced were %llu and %llu", c->name, (unsigned long long)steps,
                 (unsigned long long)terms, (unsigned long long)cost.steps, (unsigned long long)cost.terms);
    const bool concluded = begun && convolve_explain_conclude(explanation, found, error);
    free(explanation);
    return concluded;
}

/* Each term is what the tensors have where it says, and all of them with the bias are what the plan makes. */
static void explain_tells_the_terms_of_outputs(void **state)
{
    (void)state;
    layer_seed(18);
    for (unsigned i = 0; i < fewer(300); i++) {
        struct layer_case c;
        struct convolve_outcome outcome;
        struct convolve_error error = {0};
        struct convolve_explained explained;
        do
            make_random(&c, LAYER_VALUES_INTEGERS, 100000);
        while (convolve_dtype_is_complex(c.spec.dtype) && (layer_case_release(&c), true));
        void *const output = tensor_memory(c.output_bytes);
        assert_true(layer_case_run(&c, output, &outcome, &error));
        for (unsigned sample = 0; sample < 5; sample++) {
            struct told told = {.c = &c};
            const size_t index = layer_random_below(c.output_count);
            assert_true(explain(&told, index, &explained, &error));
            const bool int64 = c.spec.dtype == CONVOLVE_INT64;
            const double found = layer_number(c.spec.dtype, output, index);
            const double more = int64 ? (double)explained.bias.integer : explained.bias.real;
            if (found != told.sum + more || found != (int64 ? (double)explained.value.integer : explained.value.real))
                fail_msg("%s: output %zu is %g, its terms sum to %g, the bias is %g", c.name, index, found, told.sum,
                         more);
        }
        assert_false(explain(&(struct told){.c = &c}, c.output_count, &explained, &error));
        assert_string_equal(error.pointer, "/index");
        free(output);
        layer_case_release(&c);
    }
}

/* ---- Gradients -------------------------------------------------------------------------------------------------------- */

static double dot(const double *a, const double *b, size_t count, double *absolute)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum = fma(a[i], b[i], sum);
        *absolute += fabs(a[i] * b[i]);
    }
    return sum;
}

/* A random conv in float64 with its gradients for a random grad_output. */
struct gradients {
    struct layer_case conv;
    double *output, *grad_output, *grad_input, *grad_weight;
    size_t input_count, weight_count;
};

static void *run_operation(struct layer_case c, enum convolve_layer_operation operation, const void *gradient,
                           size_t count, const struct convolve_shape *shape)
{
    struct convolve_outcome outcome;
    struct convolve_error error = {0};
    c.spec.operation = operation;
    c.spec.bias_given = operation == CONVOLVE_LAYER_CONV && c.spec.bias_given;
    c.spec.grad_output = *shape;
    c.tensors.grad_output = gradient;
    c.output_count = count;
    c.output_bytes = count * sizeof(double);
    void *const output = tensor_memory(c.output_bytes);
    if (!layer_case_run(&c, output, &outcome, &error))
        fail_msg("%s: %s at \"%s\": %s", c.name, error.slug, error.pointer, error.detail);
    return output;
}

static void make_gradients(struct gradients *g)
{
    do {
        make_random(&g->conv, LAYER_VALUES_ANY, 100000);
        if (g->conv.spec.operation == CONVOLVE_LAYER_CONV && g->conv.spec.dtype == CONVOLVE_FLOAT64)
            break;
        layer_case_release(&g->conv);
    } while (true);
    struct layer_case *const c = &g->conv;
    convolve_shape_count(&c->spec.input, &g->input_count);
    convolve_shape_count(&c->spec.weight, &g->weight_count);
    free((void *)c->tensors.bias);
    c->tensors.bias = NULL;
    c->spec.bias_given = false;
    g->grad_output = layer_random_tensor(CONVOLVE_FLOAT64, &c->output, LAYER_VALUES_ANY);
    g->output = run_operation(*c, CONVOLVE_LAYER_CONV, NULL, c->output_count, &c->output);
    g->grad_input = run_operation(*c, CONVOLVE_LAYER_BACKWARD_INPUT, g->grad_output, g->input_count, &c->output);
    g->grad_weight = run_operation(*c, CONVOLVE_LAYER_BACKWARD_WEIGHT, g->grad_output, g->weight_count, &c->output);
}

static void release_gradients(struct gradients *g)
{
    free(g->output);
    free(g->grad_output);
    free(g->grad_input);
    free(g->grad_weight);
    layer_case_release(&g->conv);
}

static void gradients_are_adjoint(void **state)
{
    (void)state;
    layer_seed(13);
    for (unsigned i = 0; i < fewer(200); i++) {
        struct gradients g;
        make_gradients(&g);
        double size = 0;
        const double forward = dot(g.output, g.grad_output, g.conv.output_count, &size);
        const double input = dot(g.conv.tensors.input, g.grad_input, g.input_count, &size);
        const double weight = dot(g.conv.tensors.kernel, g.grad_weight, g.weight_count, &size);
        if (!(fabs(forward - input) <= 1e-12 * size) || !(fabs(forward - weight) <= 1e-12 * size))
            fail_msg("%s: <conv(x), g> is %.17g, <x, backward_input(g)> %.17g, <w, backward_weight(g)> %.17g",
                     g.conv.name, forward, input, weight);
        release_gradients(&g);
    }
}

/* conv is linear in each of its tensors, so a difference quotient is the slope but for rounding, however long the step. */
static void gradients_are_slopes(void **state)
{
    (void)state;
    layer_seed(14);
    for (unsigned i = 0; i < fewer(200); i++) {
        struct gradients g;
        make_gradients(&g);
        const bool weight = i % 2;
        double *const tensor = (double *)(weight ? g.conv.tensors.kernel : g.conv.tensors.input);
        const size_t at = layer_random_below(weight ? g.weight_count : g.input_count);
        const double slope = (weight ? g.grad_weight : g.grad_input)[at];
        double size = 0, moved = 0;
        const double before = dot(g.output, g.grad_output, g.conv.output_count, &size);
        tensor[at] += 1;
        double *const output = run_operation(g.conv, CONVOLVE_LAYER_CONV, NULL, g.conv.output_count, &g.conv.output);
        const double found = dot(output, g.grad_output, g.conv.output_count, &moved) - before;
        if (!(fabs(found - slope) <= 1e-11 * (size + moved + fabs(slope))))
            fail_msg("%s: the slope at element %zu of the %s is %.17g, the gradient says %.17g", g.conv.name, at,
                     weight ? "weight" : "input", found, slope);
        free(output);
        release_gradients(&g);
    }
}

/* ---- Bounds ----------------------------------------------------------------------------------------------------------- */

/* float32 and complex64 against the same in double, whose own error is far smaller. */
static void the_error_bound_holds(void **state)
{
    (void)state;
    layer_seed(15);
    for (unsigned i = 0; i < fewer(300); i++) {
        struct layer_case c;
        struct convolve_outcome outcome;
        struct convolve_error error = {0};
        double predicted;
        do
            make_random(&c, i % 3 ? LAYER_VALUES_ANY : LAYER_VALUES_WIDE, 200000);
        while (c.spec.dtype != CONVOLVE_FLOAT32 && c.spec.dtype != CONVOLVE_COMPLEX64 &&
               (layer_case_release(&c), true));
        float *const output = tensor_memory(c.output_bytes);
        assert_true(layer_case_run(&c, output, &outcome, &error));
        assert_true(convolve_layer_predict(&c.spec, &c.tensors, &predicted, &error));
        if (!(outcome.error_bound > 0) || !(predicted >= outcome.error_bound))
            fail_msg("%s: the bound is %g, predicted %g", c.name, outcome.error_bound, predicted);
        struct layer_case wide = c;
        const size_t parts = c.spec.dtype == CONVOLVE_COMPLEX64 ? 2 : 1;
        wide.spec.dtype = parts == 2 ? CONVOLVE_COMPLEX128 : CONVOLVE_FLOAT64;
        wide.output_bytes *= 2;
        const void **const from[] = {&wide.tensors.input, &wide.tensors.kernel, &wide.tensors.bias,
                                     &wide.tensors.grad_output};
        const struct convolve_shape *const shapes[] = {&c.spec.input, &c.spec.weight, &c.spec.bias,
                                                       &c.spec.grad_output};
        for (unsigned t = 0; t < 4; t++) {
            size_t count;
            if (!*from[t])
                continue;
            convolve_shape_count(shapes[t], &count);
            double *const values = tensor_memory(count * parts * sizeof(double));
            for (size_t v = 0; v < count * parts; v++)
                values[v] = (double)((const float *)*from[t])[v];
            *from[t] = values;
        }
        double *const exact = tensor_memory(wide.output_bytes);
        assert_true(layer_case_define(&wide, exact));
        for (size_t v = 0; v < c.output_count; v++) {
            const double real = (double)output[v * parts] - exact[v * parts];
            const double imag = parts == 2 ? (double)output[v * 2 + 1] - exact[v * 2 + 1] : 0;
            if (!(hypot(real, imag) <= outcome.error_bound * (1 + 1e-6)))
                fail_msg("%s: output %zu is off by %g, the bound is %g", c.name, v, hypot(real, imag),
                         outcome.error_bound);
        }
        free(exact);
        free(output);
        layer_case_release(&wide);
        layer_case_release(&c);
    }
}

static void non_negative_values_give_no_negative_output(void **state)
{
    (void)state;
    layer_seed(16);
    for (unsigned i = 0; i < fewer(100); i++) {
        struct layer_case c;
        struct convolve_outcome outcome;
        struct convolve_error error = {0};
        do
            make_random(&c, LAYER_VALUES_POSITIVE, 200000);
        while (convolve_dtype_is_complex(c.spec.dtype) && (layer_case_release(&c), true));
        void *const output = tensor_memory(c.output_bytes);
        assert_true(layer_case_run(&c, output, &outcome, &error));
        for (size_t v = 0; v < c.output_count; v++)
            if (layer_number(c.spec.dtype, output, v) < 0)
                fail_msg("%s: output %zu is %g", c.name, v, layer_number(c.spec.dtype, output, v));
        free(output);
        layer_case_release(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_have_the_bits_of_the_definition),
        cmocka_unit_test(larger_layers_have_the_bits_of_the_definition),
        cmocka_unit_test(an_item_has_the_bits_it_has_alone),
        cmocka_unit_test(explain_tells_the_terms_of_outputs),
        cmocka_unit_test(gradients_are_adjoint),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(the_error_bound_holds),
        cmocka_unit_test(non_negative_values_give_no_negative_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
