/* SPDX-License-Identifier: MIT */
/* Layers for which `auto` takes winograd, among them those with dilations and with a third axis, which cannot ask for it by
 * name: near what `direct` makes, and what is promised whatever the method. */
#include "tests/core/golden_read.h"
#include "tests/core/layer_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAIR(a, b)                                                                                                     \
    {                                                                                                                  \
        .given = true, .count = 2, .value = { a, b }                                                                   \
    }
#define PADDED(n)                                                                                                      \
    {                                                                                                                  \
        .given = true, .scalar = true, .count = 1, .before = {n}, .after = { n }                                       \
    }
#define INPUT(...)  .input = {.rank = sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), .size = {__VA_ARGS__}}
#define WEIGHT(...) .weight = {.rank = sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), .size = {__VA_ARGS__}}

static const struct convolve_layer_spec specs[] = {
    {INPUT(1, 32, 44, 41), WEIGHT(48, 32, 3, 3), .groups = 1, .cells = PADDED(1)},
    {INPUT(2, 64, 40, 33), WEIGHT(64, 32, 3, 3), .groups = 2, .cells = PADDED(3)},
    {INPUT(2, 50, 41, 48), WEIGHT(64, 3, 3, 24), .groups = 2, .channels_last = true},
    {INPUT(1, 256, 14, 14), WEIGHT(70, 256, 3, 3), .groups = 1, .cells = PADDED(1)},
    {INPUT(1, 32, 47, 50), WEIGHT(64, 32, 3, 3), .groups = 1, .cells = PADDED(2), .dilation = PAIR(2, 3)},
    {INPUT(1, 32, 60, 40), WEIGHT(64, 32, 3, 3), .groups = 1, .cells = PADDED(5), .dilation = PAIR(1, 4),
     .padding_mode = CONVOLVE_REFLECT},
    {INPUT(1, 60, 40, 32), WEIGHT(64, 3, 3, 32), .groups = 1, .channels_last = true, .dilation = PAIR(2, 2),
     .cells = PADDED(7), .padding_mode = CONVOLVE_WRAP},
    {INPUT(1, 20, 9, 15, 17), WEIGHT(40, 20, 3, 3, 3), .groups = 1, .cells = PADDED(1)},
    {INPUT(2, 16, 5, 30, 31), WEIGHT(32, 16, 2, 3, 3), .groups = 1, .cells = PADDED(2), .padding_mode = CONVOLVE_EDGE},
    {INPUT(1, 16, 6, 30, 31), WEIGHT(32, 16, 5, 3, 3), .groups = 1, .cells = PADDED(6)},
    {.operation = CONVOLVE_LAYER_TRANSPOSE,
     INPUT(1, 32, 40, 39),
     WEIGHT(32, 64, 3, 3),
     .groups = 1,
     .dilation = PAIR(2, 1)},
    {.operation = CONVOLVE_LAYER_TRANSPOSE, INPUT(1, 20, 8, 14, 17), WEIGHT(20, 36, 3, 3, 3), .groups = 1},
    {.operation = CONVOLVE_LAYER_BACKWARD_INPUT,
     INPUT(1, 64, 44, 43),
     WEIGHT(32, 64, 3, 3),
     .groups = 1,
     .cells = PADDED(3),
     .dilation = PAIR(3, 2),
     .padding_mode = CONVOLVE_REFLECT},
};
enum { SPECS = sizeof specs / sizeof *specs };

static void make(struct layer_case *c, size_t number, enum layer_values values)
{
    struct convolve_cost cost;
    struct convolve_error error = {0};
    struct convolve_layer_spec spec = specs[number];
    spec.dtype = CONVOLVE_FLOAT32;
    if (!layer_case_make(c, &spec, values) || !convolve_layer_cost(&cost, &c->spec, 1, &error))
        fail_msg("spec %zu: %s %s", number, error.pointer, error.detail);
    if (cost.method != CONVOLVE_WINOGRAD)
        fail_msg("%s: auto takes %s", c->name, convolve_method_name(cost.method));
}

/* By `auto` and by `direct`. */
struct both {
    float *found, *expected;
    struct convolve_outcome outcome, direct;
};

static struct both run_both(const struct layer_case *c)
{
    struct both both = {.found = tensor_memory(c->output_bytes), .expected = tensor_memory(c->output_bytes)};
    struct convolve_error error = {0};
    struct layer_case direct = *c;
    direct.spec.method = CONVOLVE_DIRECT;
    if (!layer_case_run(c, both.found, &both.outcome, &error) ||
        !layer_case_run(&direct, both.expected, &both.direct, &error))
        fail_msg("%s: %s", c->name, error.detail);
    return both;
}

static void release(struct both *both, struct layer_case *c)
{
    free(both->found);
    free(both->expected);
    layer_case_release(c);
}

static void the_error_bound_holds(void **state)
{
    (void)state;
    layer_seed(41);
    for (size_t i = 0; i < SPECS; i++) {
        struct layer_case c;
        make(&c, i, LAYER_VALUES_ANY);
        struct both both = run_both(&c);
        assert_true(both.outcome.error_bound > 0);
        for (size_t v = 0; v < c.output_count; v++) {
            const double apart = fabs((double)both.found[v] - (double)both.expected[v]);
            if (!(apart <= both.outcome.error_bound + both.direct.error_bound) || !(apart < 1e-2))
                fail_msg("%s: output %zu is %g, not %g", c.name, v, (double)both.found[v], (double)both.expected[v]);
        }
        release(&both, &c);
    }
}

static void nothing_negative_gives_nothing_negative(void **state)
{
    (void)state;
    layer_seed(42);
    for (size_t i = 0; i < SPECS; i += 2) {
        struct layer_case c;
        make(&c, i, LAYER_VALUES_POSITIVE);
        float *const source =
            (void *)(c.spec.operation == CONVOLVE_LAYER_BACKWARD_INPUT ? c.tensors.grad_output : c.tensors.input);
        for (size_t v = 0; v < 200; v++) /* smaller than what rounds beside them */
            source[v] *= v % 7 ? 1e-9F : 1;
        struct both both = run_both(&c);
        for (size_t v = 0; v < c.output_count; v++)
            if (!(both.found[v] >= 0))
                fail_msg("%s: output %zu is %g", c.name, v, (double)both.found[v]);
        release(&both, &c);
    }
}

static size_t source_count(const struct layer_case *c)
{
    size_t count;
    assert_true(convolve_shape_count(
        c->spec.operation == CONVOLVE_LAYER_BACKWARD_INPUT ? &c->spec.grad_output : &c->spec.input, &count));
    return count;
}

static float *source_of(const struct layer_case *c)
{
    return (void *)(c->spec.operation == CONVOLVE_LAYER_BACKWARD_INPUT ? c->tensors.grad_output : c->tensors.input);
}

/* Zeros everywhere but for a few values, which `direct` tells the windows of. */
static void windows_of_zeros_give_zero(void **state)
{
    (void)state;
    layer_seed(43);
    for (size_t i = 0; i < SPECS; i++) {
        struct layer_case c;
        make(&c, i, LAYER_VALUES_ANY);
        for (size_t v = 0; v < source_count(&c); v++)
            source_of(&c)[v] = 0;
        for (size_t v = 0; v < 5; v++)
            source_of(&c)[layer_random_below(source_count(&c))] = 0.1F;
        struct both both = run_both(&c);
        for (size_t v = 0; v < c.output_count; v++)
            if ((both.expected[v] == 0) != (both.found[v] == 0))
                fail_msg("%s: output %zu is %g, expected %g", c.name, v, (double)both.found[v],
                         (double)both.expected[v]);
        release(&both, &c);
    }
}

static void integers_and_nans_are_summed_directly(void **state)
{
    (void)state;
    layer_seed(44);
    for (size_t i = 0; i < SPECS; i++) {
        struct layer_case c;
        make(&c, i, i % 2 ? LAYER_VALUES_ANY : LAYER_VALUES_INTEGERS);
        if (i % 2 && c.spec.input.size[0] == 1)
            source_of(&c)[layer_random_below(source_count(&c))] = NAN;
        struct both both = run_both(&c);
        if (i % 2 == 0 || c.spec.input.size[0] == 1)
            assert_memory_equal(both.found, both.expected, c.output_bytes);
        release(&both, &c);
    }
}

/* With bias, each item alone. */
static void an_item_has_the_bits_it_has_alone(void **state)
{
    (void)state;
    layer_seed(45);
    for (size_t i = 0; i < SPECS; i += 3) {
        struct layer_case c;
        struct convolve_layer_spec spec = specs[i];
        struct convolve_outcome outcome;
        struct convolve_error error = {0};
        spec.dtype = CONVOLVE_FLOAT32;
        spec.input.size[0] = 3;
        spec.bias_given = spec.operation == CONVOLVE_LAYER_CONV;
        spec.bias = (struct convolve_shape){.rank = 1, .size = {spec.weight.size[0]}};
        assert_true(layer_case_make(&c, &spec, LAYER_VALUES_ANY));
        float *const all = tensor_memory(c.output_bytes), *const one = tensor_memory(c.output_bytes);
        assert_true(layer_case_run(&c, all, &outcome, &error));
        struct layer_case alone = c;
        alone.spec.input.size[0] = 1;
        if (alone.spec.grad_output.rank)
            alone.spec.grad_output.size[0] = 1;
        alone.output_count /= 3;
        alone.output_bytes /= 3;
        for (size_t item = 0; item < 3; item++) {
            const float *const source = source_of(&c) + item * (source_count(&c) / 3);
            if (spec.operation == CONVOLVE_LAYER_BACKWARD_INPUT)
                alone.tensors.grad_output = source;
            else
                alone.tensors.input = source;
            assert_true(layer_case_run(&alone, one, &outcome, &error));
            if (memcmp(all + item * alone.output_count, one, alone.output_bytes) != 0)
                fail_msg("%s: item %zu differs", c.name, item);
        }
        free(all);
        free(one);
        layer_case_release(&c);
    }
}

/* Whatever shares its batch: the method goes by one item. */
static void a_batch_has_the_method_of_its_items(void **state)
{
    (void)state;
    for (size_t channels = 16; channels <= 256; channels *= 2)
        for (size_t size = 5; size < 40; size += 3) {
            struct convolve_layer_spec spec = {
                .dtype = CONVOLVE_FLOAT32, INPUT(1, channels, size, size), WEIGHT(256, channels, 3, 3), .groups = 1};
            struct convolve_cost one, many;
            assert_true(convolve_layer_cost(&one, &spec, 1, NULL));
            spec.input.size[0] = 200;
            assert_true(convolve_layer_cost(&many, &spec, 1, NULL));
            assert_int_equal(one.method, many.method);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_error_bound_holds),
        cmocka_unit_test(nothing_negative_gives_nothing_negative),
        cmocka_unit_test(windows_of_zeros_give_zero),
        cmocka_unit_test(integers_and_nans_are_summed_directly),
        cmocka_unit_test(an_item_has_the_bits_it_has_alone),
        cmocka_unit_test(a_batch_has_the_method_of_its_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
