/* SPDX-License-Identifier: MIT */
/* Every case of tests/golden/layers.txt (see make_layers.py for its form) by the definition and by a plan. Integers must be
 * PyTorch's; floats may differ by a rounding error of the sum of absolute products; and the plan must have the very bits of
 * the definition. */
#include "tests/core/golden_read.h"
#include "tests/core/layer_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char golden_path[] = "tests/golden/layers.txt";

static void read_padding(struct convolve_layer_spec *spec, const char *text)
{
    static const char *const names[] = {"", "valid", "same", "same_lower", "None"};
    if (*text < '0' || *text > '9') {
        spec->padding = (enum convolve_layer_padding)(golden_word(names, 5, text) % 4);
        return;
    }
    spec->cells = golden_padding(text);
}

static void read_member(void *context, const char *name, char *value)
{
    static const char *const operations[] = {"conv", "conv_transpose", "conv_backward_input", "conv_backward_weight"};
    static const char *const modes[] = {"zeros", "circular", "", "reflect", "replicate"};
    struct layer_case *const c = context;
    struct convolve_layer_spec *const spec = &c->spec;
    if (strcmp(name, "case") == 0)
        snprintf(c->name, sizeof c->name, "%s", value);
    else if (strcmp(name, "op") == 0)
        spec->operation = (enum convolve_layer_operation)golden_word(operations, 4, value);
    else if (strcmp(name, "dtype") == 0)
        spec->dtype = golden_dtype(value);
    else if (strcmp(name, "padding_mode") == 0)
        spec->padding_mode = (enum convolve_boundary)golden_word(modes, 5, value);
    else if (strcmp(name, "padding") == 0)
        read_padding(spec, value);
    else if (strcmp(name, "stride") == 0)
        spec->stride = golden_per_axis(value);
    else if (strcmp(name, "dilation") == 0)
        spec->dilation = golden_per_axis(value);
    else if (strcmp(name, "output_padding") == 0)
        spec->output_padding = golden_per_axis(value);
    else if (strcmp(name, "output_shape") == 0)
        spec->output_shape = golden_per_axis(value);
    else if (strcmp(name, "groups") == 0)
        spec->groups = strtoull(value, NULL, 10);
    else if (strcmp(name, "layout") == 0)
        spec->channels_last = strcmp(value, "channels_last") == 0;
    else if (strcmp(name, "input") == 0)
        spec->input = golden_shape(value);
    else if (strcmp(name, "weight") == 0)
        spec->weight = golden_shape(value);
    else if (strcmp(name, "grad_output") == 0)
        spec->grad_output = golden_shape(value);
    else if (strcmp(name, "output") == 0)
        c->output = golden_shape(value);
    else if (strcmp(name, "bias") == 0) {
        spec->bias_given = true;
        spec->bias = golden_shape(value);
    } else
        fail_msg("%s: nobody knows the member %s", golden_path, name);
}

/* False at the end of the file. */
static bool read_case(FILE *file, struct layer_case *c, double **expected)
{
    *c = (struct layer_case){0};
    if (!golden_members(file, read_member, c))
        return false;
    const enum convolve_dtype dtype = c->spec.dtype;
    assert_true(convolve_shape_count(&c->output, &c->output_count));
    c->output_bytes = c->output_count * convolve_dtype_bytes(dtype);
    *expected = calloc(c->output_count, 2 * sizeof(double));
    assert_non_null(*expected);
    c->tensors.input = golden_values(file, dtype, &c->spec.input, NULL, NULL);
    c->tensors.kernel = golden_values(file, dtype, &c->spec.weight, NULL, NULL);
    c->tensors.bias = golden_values(file, dtype, &c->spec.bias, NULL, NULL);
    c->tensors.grad_output = golden_values(file, dtype, &c->spec.grad_output, NULL, NULL);
    free(golden_values(file, dtype, &c->output, *expected, NULL));
    return true;
}

static void check_case(const struct layer_case *c, const double *expected)
{
    struct convolve_error error = {0};
    struct convolve_outcome outcome;
    struct layer_geometry geometry;
    if (!layer_geometry_derive(&geometry, &c->spec, &error))
        fail_msg("%s: %s at \"%s\": %s", c->name, error.slug, error.pointer, error.detail);
    assert_int_equal(geometry.output.rank, c->output.rank);
    for (unsigned axis = 0; axis < c->output.rank; axis++)
        if (geometry.output.size[axis] != c->output.size[axis])
            fail_msg("%s: axis %u of the output is %zu long, expected %zu", c->name, axis, geometry.output.size[axis],
                     c->output.size[axis]);
    void *const definition = tensor_memory(c->output_bytes), *const output = tensor_memory(c->output_bytes);
    const bool single = c->spec.dtype == CONVOLVE_FLOAT32 || c->spec.dtype == CONVOLVE_COMPLEX64;
    const size_t parts = convolve_dtype_is_complex(c->spec.dtype) ? 2 : 1;
    layer_case_define(c, definition);
    for (size_t i = 0; i < c->output_count * parts; i++) {
        const double absolute = layer_define(&geometry, &c->tensors, i / parts).absolute;
        const double found = layer_number(c->spec.dtype, definition, i);
        const double allowed = c->spec.dtype == CONVOLVE_INT64 ? 0 : (single ? 1e-5 : 1e-12) * absolute;
        if (!(fabs(found - expected[i]) <= allowed))
            fail_msg("%s by the definition: output %zu is %.17g, expected %.17g", c->name, i, found, expected[i]);
    }
    if (!layer_case_run(c, output, &outcome, &error))
        fail_msg("%s: %s at \"%s\": %s", c->name, error.slug, error.pointer, error.detail);
    if (memcmp(output, definition, c->output_bytes) != 0)
        fail_msg("%s by a plan: other bits than by the definition", c->name);
    free(output);
    free(definition);
}

static void every_case_is_pytorchs(void **state)
{
    (void)state;
    FILE *const file = golden_open(golden_path);
    struct layer_case c;
    double *expected;
    size_t count = 0;
    for (; read_case(file, &c, &expected); count++) {
        check_case(&c, expected);
        layer_case_release(&c);
        free(expected);
    }
    fclose(file);
    assert_true(count > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case_is_pytorchs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
