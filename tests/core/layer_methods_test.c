/* SPDX-License-Identifier: MIT */
/* Layers by winograd and by fft: within their error bound of the definition; what is promised whatever the method: exact
 * integers, NaN only where the window holds it, nothing negative from nothing negative, 0 from windows of zeros, an item's
 * bits whatever shares its batch; which requests they refuse, and when `auto` takes them. */
#include "tests/core/fewer.h"
#include "tests/core/golden_read.h"
#include "tests/core/layer_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const enum convolve_method winograd = CONVOLVE_WINOGRAD, fft = CONVOLVE_FFT; /* what tests are called with */

/* Makes it one of 3 x 3 without steps; false where it has not two axes. */
static bool suit_winograd(struct convolve_layer_spec *spec)
{
    for (unsigned i = 0; i < 2; i++)
        spec->weight.size[(spec->channels_last ? 1 : 2) + i] = 3;
    spec->stride.given = spec->dilation.given = spec->output_padding.given = false;
    return spec->weight.rank == 4;
}

static bool complex_values; /* make_case makes such */

/* A random layer that the method can do. */
static void make_case(struct layer_case *c, enum convolve_method method, enum layer_values values)
{
    for (;;) {
        struct convolve_layer_spec spec = layer_random_spec();
        if (method == CONVOLVE_WINOGRAD && !suit_winograd(&spec))
            continue;
        spec.dtype = layer_random_below(2) ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64;
        if (complex_values)
            spec.dtype = layer_random_below(2) ? CONVOLVE_COMPLEX64 : CONVOLVE_COMPLEX128;
        spec.method = method;
        struct convolve_cost cost;
        struct convolve_layer_spec forward = spec;
        if (spec.operation >= CONVOLVE_LAYER_BACKWARD_INPUT)
            forward.operation = CONVOLVE_LAYER_CONV;
        if (!convolve_layer_cost(&cost, &forward, 1, NULL) || cost.multiply_adds > 120000 ||
            (spec.padding_mode != CONVOLVE_CONSTANT && cost.multiply_adds > 20000))
            continue;
        if (layer_case_make(c, &spec, values))
            return;
    }
}

/* Runs it, and the definition; false bounds fail. */
struct both {
    void *expected, *found;
    struct convolve_outcome outcome;
};

static struct both run_both(struct layer_case *c)
{
    struct both both = {.expected = tensor_memory(c->output_bytes), .found = tensor_memory(c->output_bytes)};
    struct convolve_error error = {0};
    layer_case_define(c, both.expected);
    if (!layer_case_run(c, both.found, &both.outcome, &error))
        fail_msg("%s: %s at \"%s\": %s", c->name, error.slug, error.pointer, error.detail);
    return both;
}

static void release_both(struct both *both, struct layer_case *c)
{
    free(both->expected);
    free(both->found);
    layer_case_release(c);
}

static void the_error_bound_holds(void **state)
{
    const enum convolve_method *const *const method = (void *)state;
    layer_seed(31);
    for (unsigned i = 0; i < fewer(200); i++) {
        struct layer_case c, direct;
        struct convolve_outcome outcome;
        struct convolve_error error = {0};
        double predicted;
        make_case(&c, **method, i % 3 ? LAYER_VALUES_ANY : LAYER_VALUES_WIDE);
        struct both both = run_both(&c);
        direct = c;
        direct.spec.method = CONVOLVE_DIRECT;
        void *const summed = tensor_memory(c.output_bytes);
        assert_true(layer_case_run(&direct, summed, &outcome, &error));
        assert_true(convolve_layer_predict(&c.spec, &c.tensors, &predicted, &error));
        if (!(both.outcome.error_bound > 0) ||
            (**method == CONVOLVE_WINOGRAD && !(predicted >= both.outcome.error_bound)))
            fail_msg("%s: the bound is %g, predicted %g", c.name, both.outcome.error_bound, predicted);
        for (size_t v = 0; v < c.output_count * (complex_values ? 2 : 1); v++) {
            const double apart =
                layer_number(c.spec.dtype, both.found, v) - layer_number(c.spec.dtype, both.expected, v);
            if (!(fabs(apart) <= both.outcome.error_bound + outcome.error_bound))
                fail_msg("%s: output %zu is off by %g, the bound is %g", c.name, v, apart, both.outcome.error_bound);
        }
        free(summed);
        release_both(&both, &c);
    }
}

static void the_error_bound_holds_for_complex_values(void **state)
{
    complex_values = true;
    the_error_bound_holds(state);
    complex_values = false;
}

static void integers_are_exact(void **state)
{
    const enum convolve_method *const *const method = (void *)state;
    layer_seed(32);
    for (unsigned i = 0; i < fewer(100); i++) {
        struct layer_case c;
        make_case(&c, **method, LAYER_VALUES_INTEGERS);
        struct both both = run_both(&c);
        if (both.outcome.error_bound != 0 || memcmp(both.expected, both.found, c.output_bytes) != 0)
            fail_msg("%s: the bound is %g", c.name, both.outcome.error_bound);
        release_both(&both, &c);
    }
}

static void nothing_negative_gives_nothing_negative(void **state)
{
    const enum convolve_method *const *const method = (void *)state;
    layer_seed(33);
    for (unsigned i = 0; i < fewer(200); i++) {
        struct layer_case c;
        make_case(&c, **method, LAYER_VALUES_POSITIVE);
        struct both both = run_both(&c);
        for (size_t v = 0; v < c.output_count; v++)
            if (!(layer_number(c.spec.dtype, both.found, v) >= 0))
                fail_msg("%s: output %zu is %g", c.name, v, layer_number(c.spec.dtype, both.found, v));
        release_both(&both, &c);
    }
}

static void put(const struct layer_case *c, size_t index, double value)
{
    void *const source =
        (void *)(c->spec.operation == CONVOLVE_LAYER_BACKWARD_INPUT ? c->tensors.grad_output : c->tensors.input);
    if (c->spec.dtype == CONVOLVE_FLOAT32)
        ((float *)source)[index] = (float)value;
    else
        ((double *)source)[index] = value;
}

static size_t source_count(const struct layer_case *c)
{
    size_t count;
    const bool backward = c->spec.operation == CONVOLVE_LAYER_BACKWARD_INPUT;
    assert_true(convolve_shape_count(backward ? &c->spec.grad_output : &c->spec.input, &count));
    return count;
}

static void only_windows_that_hold_it_see_a_nan(void **state)
{
    const enum convolve_method *const *const method = (void *)state;
    layer_seed(34);
    for (unsigned i = 0; i < fewer(200); i++) {
        struct layer_case c;
        make_case(&c, **method, LAYER_VALUES_ANY);
        put(&c, layer_random_below(source_count(&c)), i % 2 ? NAN : INFINITY);
        struct both both = run_both(&c);
        for (size_t v = 0; v < c.output_count; v++) {
            const double expected = layer_number(c.spec.dtype, both.expected, v),
                         found = layer_number(c.spec.dtype, both.found, v);
            if (!isfinite(expected) != !isfinite(found) || !isnan(expected) != !isnan(found))
                fail_msg("%s: output %zu is %g, expected %g", c.name, v, found, expected);
        }
        release_both(&both, &c);
    }
}

/* Zeros everywhere but for one value: the definition tells which windows hold it. */
static void windows_of_zeros_give_zero(void **state)
{
    const enum convolve_method *const *const method = (void *)state;
    layer_seed(35);
    for (unsigned i = 0; i < fewer(200); i++) {
        struct layer_case c;
        make_case(&c, **method, LAYER_VALUES_ANY);
        free((void *)c.tensors.bias);
        c.tensors.bias = NULL;
        c.spec.bias_given = false;
        for (size_t v = 0; v < source_count(&c); v++)
            put(&c, v, i % 3 ? 0 : -0.0);
        put(&c, layer_random_below(source_count(&c)), 0.1);
        struct both both = run_both(&c);
        for (size_t v = 0; v < c.output_count; v++)
            if (layer_number(c.spec.dtype, both.expected, v) == 0 && layer_number(c.spec.dtype, both.found, v) != 0)
                fail_msg("%s: output %zu is %g, expected 0", c.name, v, layer_number(c.spec.dtype, both.found, v));
        release_both(&both, &c);
    }
}

/* The second item has integers, the third a NaN: the first is not touched by it. */
static void an_item_has_the_bits_it_has_alone(void **state)
{
    const enum convolve_method *const *const method = (void *)state;
    struct convolve_layer_spec spec = {.dtype = CONVOLVE_FLOAT32,
                                       .input = {.rank = 4, .size = {3, 5, 11, 19}},
                                       .weight = {.rank = 4, .size = {9, 5, 3, 3}},
                                       .groups = 1,
                                       .method = **method};
    struct layer_case c, alone;
    struct convolve_outcome outcome;
    struct convolve_error error = {0};
    layer_seed(36);
    assert_true(layer_case_make(&c, &spec, LAYER_VALUES_ANY));
    const size_t item = source_count(&c) / 3;
    for (size_t v = item; v < 2 * item; v++)
        put(&c, v, (double)layer_random_below(9));
    put(&c, 2 * item + 7, NAN);
    void *const all = tensor_memory(c.output_bytes), *const one = tensor_memory(c.output_bytes);
    assert_true(layer_case_run(&c, all, &outcome, &error));
    assert_true(outcome.nonfinite);
    alone = c;
    alone.spec.input.size[0] = 1;
    alone.output_count /= 3;
    alone.output_bytes /= 3;
    assert_true(layer_case_run(&alone, one, &outcome, &error));
    assert_memory_equal(all, one, alone.output_bytes);
    assert_true(outcome.error_bound > 0);
    free(all);
    free(one);
    layer_case_release(&c);
}

/* Tiles in several passes, of two items, whose channels fill some lines of lanes and a part of one. */
static void weight_gradients_in_passes_keep_their_bound(void **state)
{
    const enum convolve_method *const *const method = (void *)state;
    layer_seed(38);
    for (unsigned variant = 0; variant < 4; variant++) {
        struct convolve_layer_spec spec = {.operation = CONVOLVE_LAYER_BACKWARD_WEIGHT,
                                           .dtype = variant % 2 ? CONVOLVE_FLOAT64 : CONVOLVE_FLOAT32,
                                           .channels_last = variant / 2,
                                           .padding_mode = variant % 2 ? CONVOLVE_REFLECT : CONVOLVE_CONSTANT,
                                           .padding = CONVOLVE_LAYER_SAME,
                                           .groups = 1,
                                           .method = **method};
        spec.input = variant / 2 ? (struct convolve_shape){.rank = 4, .size = {2, 30, 41, 18}}
                                 : (struct convolve_shape){.rank = 4, .size = {2, 18, 30, 41}};
        spec.weight = variant / 2 ? (struct convolve_shape){.rank = 4, .size = {35, 3, 3, 18}}
                                  : (struct convolve_shape){.rank = 4, .size = {35, 18, 3, 3}};
        struct layer_case c;
        assert_true(layer_case_make(&c, &spec, LAYER_VALUES_ANY));
        struct both both = run_both(&c);
        assert_true(both.outcome.error_bound > 0);
        for (size_t v = 0; v < c.output_count; v++) {
            const double apart =
                layer_number(c.spec.dtype, both.found, v) - layer_number(c.spec.dtype, both.expected, v);
            /* The definition's own rounding is much smaller. */
            if (!(fabs(apart) <= both.outcome.error_bound))
                fail_msg("%s: output %zu is off by %g, the bound is %g", c.name, v, apart, both.outcome.error_bound);
        }
        release_both(&both, &c);
    }
}

/* A bound is accepted that it keeps, and refused where it is half of that; a plan tells method, shape and bytes. */
static void max_error_and_plan_are_kept(void **state)
{
    const enum convolve_method *const *const method = (void *)state;
    layer_seed(37);
    for (unsigned i = 0; i < fewer(60); i++) {
        struct layer_case c;
        struct convolve_outcome outcome;
        struct convolve_error error = {0};
        struct convolve_cost cost;
        struct convolve_plan *plan;
        make_case(&c, **method, LAYER_VALUES_ANY);
        struct both both = run_both(&c);
        c.spec.max_error_given = true;
        c.spec.max_error = both.outcome.error_bound;
        const bool kept = layer_case_run(&c, both.found, &outcome, &error);
        c.spec.max_error /= 2;
        if (!kept || layer_case_run(&c, both.found, &outcome, &error) || strcmp(error.pointer, "/max_error") != 0)
            fail_msg("%s: bound %g, %s", c.name, both.outcome.error_bound, kept ? "half of it is accepted" : "refused");
        c.spec.max_error_given = false;
        assert_true(convolve_layer_cost(&cost, &c.spec, 1, &error));
        assert_true(convolve_layer_plan_create(&plan, &c.spec, c.tensors.kernel, &error));
        assert_int_equal(cost.method, **method);
        assert_int_equal(convolve_plan_method(plan), **method);
        assert_int_equal(convolve_plan_output(plan)->rank, cost.output.rank);
        assert_memory_equal(convolve_plan_output(plan)->size, cost.output.size, cost.output.rank * sizeof(size_t));
        assert_true(cost.scratch_bytes >= convolve_plan_scratch_bytes(plan) + convolve_plan_tile_scratch_bytes(plan));
        convolve_plan_destroy(plan);
        release_both(&both, &c);
    }
}

static void methods_are_chosen_and_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct convolve_layer_spec spec;
        enum convolve_method method; /* AUTO: refused */
    } cases[] = {
#define SHAPES(c, m, n, k)                                                                                             \
    .input = {.rank = 4, .size = {1, c, n, n}}, .weight = {.rank = 4, .size = {m, c, k, k}}, .groups = 1
        {"auto, large", {.dtype = CONVOLVE_FLOAT32, SHAPES(64, 64, 58, 3)}, CONVOLVE_WINOGRAD},
        {"auto, few channels", {.dtype = CONVOLVE_FLOAT32, SHAPES(3, 64, 58, 3)}, CONVOLVE_DIRECT},
        {"auto in float64", {.dtype = CONVOLVE_FLOAT64, SHAPES(64, 64, 58, 3)}, CONVOLVE_DIRECT},
        {"auto with max_error",
         {.dtype = CONVOLVE_FLOAT32, SHAPES(64, 64, 58, 3), .max_error_given = true, .max_error = 1},
         CONVOLVE_DIRECT},
        {"named in float64", {.method = CONVOLVE_WINOGRAD, SHAPES(1, 1, 5, 3)}, CONVOLVE_WINOGRAD},
        {"5 x 5", {.method = CONVOLVE_WINOGRAD, SHAPES(1, 1, 8, 5)}, CONVOLVE_AUTO},
        {"int64", {.method = CONVOLVE_WINOGRAD, .dtype = CONVOLVE_INT64, SHAPES(1, 1, 8, 3)}, CONVOLVE_AUTO},
        {"complex", {.method = CONVOLVE_WINOGRAD, .dtype = CONVOLVE_COMPLEX64, SHAPES(1, 1, 8, 3)}, CONVOLVE_AUTO},
        {"a stride",
         {.method = CONVOLVE_WINOGRAD,
          SHAPES(1, 1, 8, 3),
          .stride = {.given = true, .scalar = true, .count = 1, .value = {2}}},
         CONVOLVE_AUTO},
        {"a dilation",
         {.method = CONVOLVE_WINOGRAD, SHAPES(1, 1, 8, 3), .dilation = {.given = true, .count = 2, .value = {1, 2}}},
         CONVOLVE_AUTO},
        {"the weight's gradient",
         {.operation = CONVOLVE_LAYER_BACKWARD_WEIGHT,
          .method = CONVOLVE_WINOGRAD,
          SHAPES(1, 1, 8, 3),
          .grad_output = {.rank = 4, .size = {1, 1, 6, 6}}},
         CONVOLVE_WINOGRAD},
        {"auto, a large weight's gradient",
         {.operation = CONVOLVE_LAYER_BACKWARD_WEIGHT,
          .dtype = CONVOLVE_FLOAT32,
          SHAPES(64, 64, 58, 3),
          .grad_output = {.rank = 4, .size = {1, 64, 56, 56}}},
         CONVOLVE_WINOGRAD},
        {"auto, the gradient of many weights",
         {.operation = CONVOLVE_LAYER_BACKWARD_WEIGHT,
          .dtype = CONVOLVE_FLOAT32,
          SHAPES(512, 512, 9, 3),
          .grad_output = {.rank = 4, .size = {1, 512, 7, 7}}},
         CONVOLVE_DIRECT},
        {"auto, depthwise, a large kernel",
         {.dtype = CONVOLVE_FLOAT32,
          .input = {.rank = 4, .size = {1, 4, 200, 200}},
          .weight = {.rank = 4, .size = {4, 1, 61, 61}},
          .groups = 4},
         CONVOLVE_FFT},
        {"auto, depthwise, a small kernel",
         {.dtype = CONVOLVE_FLOAT32,
          .input = {.rank = 4, .size = {1, 4, 56, 56}},
          .weight = {.rank = 4, .size = {4, 1, 3, 3}},
          .groups = 4},
         CONVOLVE_DIRECT},
        {"fft in int64", {.method = CONVOLVE_FFT, .dtype = CONVOLVE_INT64, SHAPES(1, 1, 8, 3)}, CONVOLVE_AUTO},
        {"fft of complex values",
         {.method = CONVOLVE_FFT, .dtype = CONVOLVE_COMPLEX64, SHAPES(1, 1, 8, 3)},
         CONVOLVE_FFT},
#undef SHAPES
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct convolve_cost cost;
        struct convolve_error error = {0};
        const bool done = convolve_layer_cost(&cost, &cases[i].spec, 1, &error);
        if (done != (cases[i].method != CONVOLVE_AUTO) || (done && cost.method != cases[i].method) ||
            (!done && (strcmp(error.slug, "invalid-value") != 0 || strcmp(error.pointer, "/method") != 0)))
            fail_msg("%s: %s, %s at \"%s\": %s", cases[i].name, done ? convolve_method_name(cost.method) : "refused",
                     done ? "" : error.slug, error.pointer, error.detail);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define BOTH(test)                                                                                                     \
    {#test " (winograd)", test, NULL, NULL, (void *)&winograd}, {#test " (fft)", test, NULL, NULL, (void *)&fft}
        BOTH(the_error_bound_holds),
        {"the_error_bound_holds_for_complex_values (fft)", the_error_bound_holds_for_complex_values, NULL, NULL,
         (void *)&fft},
        BOTH(integers_are_exact),
        BOTH(nothing_negative_gives_nothing_negative),
        BOTH(only_windows_that_hold_it_see_a_nan),
        BOTH(windows_of_zeros_give_zero),
        BOTH(an_item_has_the_bits_it_has_alone),
        BOTH(max_error_and_plan_are_kept),
        {"weight_gradients_in_passes_keep_their_bound (winograd)", weight_gradients_in_passes_keep_their_bound, NULL,
         NULL, (void *)&winograd},
        cmocka_unit_test(methods_are_chosen_and_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
