/* SPDX-License-Identifier: MIT */
/* Every case of tests/golden/layers.txt (see make_layers.py for its form) by the definition and by a plan. Integers must be
 * PyTorch's; floats may differ by a rounding error of the sum of absolute products; and the plan must have the very bits of
 * the definition. */
#include "tests/core/layer_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char golden_path[] = "tests/golden/layers.txt";

static unsigned read_list(const char *text, size_t *values)
{
    unsigned count = 0;
    while (*text) {
        char *end;
        assert_true(count < CONVOLVE_RANK_MAX);
        values[count++] = (size_t)strtoull(text, &end, 10);
        assert_true(end != text);
        text = end + (*end == ',');
    }
    return count;
}

static struct convolve_shape read_shape(const char *text)
{
    struct convolve_shape shape = {0};
    shape.rank = read_list(text, shape.size);
    return shape;
}

static struct convolve_per_axis read_per_axis(const char *text)
{
    struct convolve_per_axis member = {.given = true};
    member.count = read_list(text, member.value);
    return member;
}

static int word_index(const char *const *words, int count, const char *word)
{
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    fail_msg("%s: nobody knows \"%s\"", golden_path, word);
    return -1;
}

static void read_padding(struct convolve_layer_spec *spec, const char *text)
{
    static const char *const names[] = {"", "valid", "same", "same_lower", "None"};
    if (*text < '0' || *text > '9') {
        spec->padding = (enum convolve_layer_padding)(word_index(names, 5, text) % 4);
        return;
    }
    spec->cells.given = true;
    while (*text) {
        char *end;
        spec->cells.before[spec->cells.count] = strtoull(text, &end, 10);
        assert_int_equal(*end, ':');
        spec->cells.after[spec->cells.count++] = strtoull(end + 1, &end, 10);
        text = end + (*end == ',');
    }
}

static void read_member(struct layer_case *c, const char *name, const char *value)
{
    static const char *const operations[] = {"conv", "conv_transpose", "conv_backward_input", "conv_backward_weight"};
    static const char *const modes[] = {"zeros", "circular", "", "reflect", "replicate"};
    static const char *const dtypes[] = {"float64", "float32", "int64", "complex128", "complex64"};
    struct convolve_layer_spec *const spec = &c->spec;
    if (strcmp(name, "case") == 0)
        snprintf(c->name, sizeof c->name, "%s", value);
    else if (strcmp(name, "op") == 0)
        spec->operation = (enum convolve_layer_operation)word_index(operations, 4, value);
    else if (strcmp(name, "dtype") == 0)
        spec->dtype = (enum convolve_dtype)word_index(dtypes, 5, value);
    else if (strcmp(name, "padding_mode") == 0)
        spec->padding_mode = (enum convolve_boundary)word_index(modes, 5, value);
    else if (strcmp(name, "padding") == 0)
        read_padding(spec, value);
    else if (strcmp(name, "stride") == 0)
        spec->stride = read_per_axis(value);
    else if (strcmp(name, "dilation") == 0)
        spec->dilation = read_per_axis(value);
    else if (strcmp(name, "output_padding") == 0)
        spec->output_padding = read_per_axis(value);
    else if (strcmp(name, "output_shape") == 0)
        spec->output_shape = read_per_axis(value);
    else if (strcmp(name, "groups") == 0)
        spec->groups = strtoull(value, NULL, 10);
    else if (strcmp(name, "layout") == 0)
        spec->channels_last = strcmp(value, "channels_last") == 0;
    else if (strcmp(name, "input") == 0)
        spec->input = read_shape(value);
    else if (strcmp(name, "weight") == 0)
        spec->weight = read_shape(value);
    else if (strcmp(name, "grad_output") == 0)
        spec->grad_output = read_shape(value);
    else if (strcmp(name, "output") == 0)
        c->output = read_shape(value);
    else if (strcmp(name, "bias") == 0) {
        spec->bias_given = true;
        spec->bias = read_shape(value);
    } else
        fail_msg("%s: nobody knows the member %s", golden_path, name);
}

/* The next line's values as a tensor of `dtype`, or in `doubles`; NULL where the line is empty. */
static void *read_values(FILE *file, enum convolve_dtype dtype, const struct convolve_shape *shape, double *doubles)
{
    char *line = NULL, *rest;
    size_t size = 0, count;
    void *tensor = NULL;
    assert_true(getline(&line, &size, file) > 0);
    assert_true(convolve_shape_count(shape, &count));
    if (line[0] != '\n') {
        tensor = layer_memory(count * convolve_dtype_bytes(dtype));
        rest = line;
        for (size_t i = 0; i < count * (convolve_dtype_is_complex(dtype) ? 2 : 1); i++) {
            char *const begin = rest;
            const double value = strtod(begin, &rest);
            assert_true(rest != begin);
            if (doubles)
                doubles[i] = value;
            if (dtype == CONVOLVE_INT64)
                ((int64_t *)tensor)[i] = (int64_t)value;
            else if (dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64)
                ((float *)tensor)[i] = (float)value;
            else
                ((double *)tensor)[i] = value;
        }
        assert_int_equal(*rest, '\n');
    }
    free(line);
    return tensor;
}

/* False at the end of the file. */
static bool read_case(FILE *file, struct layer_case *c, double **expected)
{
    char *line = NULL, *rest;
    size_t size = 0;
    *c = (struct layer_case){0};
    if (getline(&line, &size, file) < 0) {
        free(line);
        return false;
    }
    for (char *word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
        char *const equals = strchr(word, '=');
        assert_non_null(equals);
        *equals = '\0';
        read_member(c, word, equals + 1);
    }
    free(line);
    const enum convolve_dtype dtype = c->spec.dtype;
    assert_true(convolve_shape_count(&c->output, &c->output_count));
    c->output_bytes = c->output_count * convolve_dtype_bytes(dtype);
    *expected = calloc(c->output_count, 2 * sizeof(double));
    assert_non_null(*expected);
    c->tensors.input = read_values(file, dtype, &c->spec.input, NULL);
    c->tensors.kernel = read_values(file, dtype, &c->spec.weight, NULL);
    c->tensors.bias = read_values(file, dtype, &c->spec.bias, NULL);
    c->tensors.grad_output = read_values(file, dtype, &c->spec.grad_output, NULL);
    free(read_values(file, dtype, &c->output, *expected));
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
    void *const definition = layer_memory(c->output_bytes), *const output = layer_memory(c->output_bytes);
    const bool single = c->spec.dtype == CONVOLVE_FLOAT32 || c->spec.dtype == CONVOLVE_COMPLEX64;
    const size_t parts = convolve_dtype_is_complex(c->spec.dtype) ? 2 : 1;
    layer_case_define(c, definition);
    for (size_t i = 0; i < c->output_count * parts; i++) {
        const double absolute = layer_define(&geometry, &c->tensors, i / parts, NULL, NULL).absolute;
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
    FILE *const file = fopen(golden_path, "r");
    struct layer_case c;
    double *expected;
    size_t count = 0;
    if (!file)
        fail_msg("%s cannot be read: start the test in the project's root", golden_path);
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
