/* SPDX-License-Identifier: MIT */
/* Every case of tests/golden/scipy.txt (see make_golden.py for its form) by the definition, by a plan with the method `auto`
 * and by one with `direct`. Integers must be SciPy's; floats may differ by a rounding error of the sum of absolute
 * products; and `direct` must have the very bits of the definition. */
#include "core/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char golden_path[] = "tests/golden/scipy.txt";

/* One case. The tensors have the dtype of the spec; `expected` is SciPy's output in double, or exact for int64. */
struct golden {
    char name[64];
    struct convolve_spec spec;
    struct convolve_shape output;
    void *input, *kernel;
    double *expected; /* pairs, where complex */
    int64_t *expected_integers;
    size_t output_count, parts; /* parts: 2 where complex */
};

static void *aligned_bytes(size_t bytes)
{
    const size_t alignment = CONVOLVE_ALIGNMENT;
    void *const memory = aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
    assert_non_null(memory);
    return memory;
}

/* ---- Reading ---------------------------------------------------------------------------------------------------------- */

static unsigned read_list(const char *text, int64_t *values)
{
    unsigned count = 0;
    while (*text) {
        char *end;
        assert_true(count < CONVOLVE_RANK_MAX);
        values[count++] = strtoll(text, &end, 10);
        assert_true(end != text);
        text = end + (*end == ',');
    }
    return count;
}

static struct convolve_shape read_shape(const char *text)
{
    int64_t sizes[CONVOLVE_RANK_MAX];
    struct convolve_shape shape = {.rank = read_list(text, sizes)};
    for (unsigned axis = 0; axis < shape.rank; axis++)
        shape.size[axis] = (size_t)sizes[axis];
    return shape;
}

static struct convolve_per_axis read_per_axis(const char *text)
{
    const struct convolve_shape list = read_shape(text);
    struct convolve_per_axis member = {.given = true, .count = list.rank};
    memcpy(member.value, list.size, sizeof member.value);
    return member;
}

static struct convolve_padding read_padding(const char *text)
{
    struct convolve_padding padding = {.given = true};
    while (*text) {
        char *end;
        padding.before[padding.count] = strtoull(text, &end, 10);
        assert_int_equal(*end, ':');
        padding.after[padding.count++] = strtoull(end + 1, &end, 10);
        text = end + (*end == ',');
    }
    return padding;
}

static int word_index(const char *const *words, int count, const char *word)
{
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    fail_msg("%s: nobody knows \"%s\"", golden_path, word);
    return -1;
}

/* Values of a line as a tensor of `dtype`; `doubles` and `integers` (may be NULL) get them unrounded. */
static void read_values(char *line, enum convolve_dtype dtype, size_t count, void *tensor, double *doubles,
                        int64_t *integers)
{
    char *rest = line;
    const size_t parts = convolve_dtype_is_complex(dtype) ? 2 : 1;
    for (size_t i = 0; i < count * parts; i++) {
        char *end;
        if (dtype == CONVOLVE_INT64) {
            const int64_t value = strtoll(rest, &end, 10);
            if (tensor)
                ((int64_t *)tensor)[i] = value;
            if (integers)
                integers[i] = value;
        } else {
            const double value = strtod(rest, &end);
            if (tensor && (dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64))
                ((float *)tensor)[i] = (float)value;
            else if (tensor)
                ((double *)tensor)[i] = value;
            if (doubles)
                doubles[i] = value;
        }
        assert_true(end != rest);
        rest = end;
    }
    assert_int_equal(*rest, '\n');
}

/* "gaussian,1.2": the kernel's shape and values. */
static void read_named(struct golden *golden, char *text)
{
    double parameters[4] = {NAN, NAN, NAN, NAN};
    char *comma = strchr(text, ',');
    for (unsigned i = 0; comma && i < 4; i++) {
        *comma = '\0';
        parameters[i] = strtod(comma + 1, &comma);
        comma = *comma ? comma : NULL;
    }
    const struct convolve_named_kernel *const kernel = convolve_named_kernel_find(text);
    size_t count;
    assert_non_null(kernel);
    assert_true(
        convolve_named_kernel_shape(kernel, parameters, golden->spec.input.rank, "", &golden->spec.kernel, NULL));
    assert_true(convolve_shape_count(&golden->spec.kernel, &count));
    golden->kernel = aligned_bytes(count * sizeof(double));
    convolve_named_kernel_values(kernel, parameters, golden->spec.input.rank, golden->kernel);
}

static void read_member(struct golden *golden, const char *name, char *value)
{
    static const char *const operations[] = {"convolve", "correlate"};
    static const char *const modes[] = {"full", "same", "valid"};
    static const char *const boundaries[] = {"constant", "wrap", "symmetric", "reflect", "edge"};
    static const char *const dtypes[] = {"float64", "float32", "int64", "complex128", "complex64"};
    struct convolve_spec *const spec = &golden->spec;
    if (strcmp(name, "case") == 0)
        snprintf(golden->name, sizeof golden->name, "%s", value);
    else if (strcmp(name, "op") == 0)
        spec->operation = (enum convolve_operation)word_index(operations, 2, value);
    else if (strcmp(name, "dtype") == 0)
        spec->dtype = (enum convolve_dtype)word_index(dtypes, 5, value);
    else if (strcmp(name, "mode") == 0)
        spec->mode = (enum convolve_mode)word_index(modes, 3, value);
    else if (strcmp(name, "boundary") == 0)
        spec->boundary = (enum convolve_boundary)word_index(boundaries, 5, value);
    else if (strcmp(name, "stride") == 0)
        spec->stride = read_per_axis(value);
    else if (strcmp(name, "dilation") == 0)
        spec->dilation = read_per_axis(value);
    else if (strcmp(name, "padding") == 0)
        spec->padding = read_padding(value);
    else if (strcmp(name, "input") == 0)
        spec->input = read_shape(value);
    else if (strcmp(name, "kernel") == 0)
        spec->kernel = read_shape(value);
    else if (strcmp(name, "output") == 0)
        golden->output = read_shape(value);
    else if (strcmp(name, "axes") == 0) {
        spec->axes_given = true;
        spec->axis_count = read_list(value, spec->axes);
    } else if (strcmp(name, "fill") == 0) {
        char *end;
        spec->fillvalue.real = strtod(value, &end);
        spec->fillvalue.imag = strtod(end + 1, NULL);
        spec->fillvalue.integer = (int64_t)spec->fillvalue.real;
    } else
        fail_msg("%s: nobody knows the member %s", golden_path, name);
}

/* False at the end of the file. */
static bool golden_read(struct golden *golden, FILE *file)
{
    char *line = NULL, *members, *rest, *named = NULL;
    size_t size = 0, input_count, kernel_count;
    *golden = (struct golden){0};
    if (getline(&line, &size, file) < 0) {
        free(line);
        return false;
    }
    members = strdup(line);
    for (char *word = strtok_r(members, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
        char *const equals = strchr(word, '=');
        assert_non_null(equals);
        *equals = '\0';
        if (strcmp(word, "named") == 0)
            named = equals + 1;
        else
            read_member(golden, word, equals + 1);
    }
    const enum convolve_dtype dtype = golden->spec.dtype;
    if (named)
        read_named(golden, named);
    assert_true(convolve_shape_count(&golden->spec.input, &input_count));
    assert_true(convolve_shape_count(&golden->spec.kernel, &kernel_count));
    assert_true(convolve_shape_count(&golden->output, &golden->output_count));
    golden->parts = convolve_dtype_is_complex(dtype) ? 2 : 1;
    golden->input = aligned_bytes(input_count * convolve_dtype_bytes(dtype));
    golden->expected = calloc(golden->output_count, 2 * sizeof(double));
    golden->expected_integers = calloc(golden->output_count, sizeof(int64_t));
    assert_true(golden->expected && golden->expected_integers);
    assert_true(getline(&line, &size, file) > 0);
    read_values(line, dtype, input_count, golden->input, NULL, NULL);
    assert_true(getline(&line, &size, file) > 0);
    if (!named) {
        golden->kernel = aligned_bytes(kernel_count * convolve_dtype_bytes(dtype));
        read_values(line, dtype, kernel_count, golden->kernel, NULL, NULL);
    }
    assert_true(getline(&line, &size, file) > 0);
    read_values(line, dtype, golden->output_count, NULL, golden->expected, golden->expected_integers);
    free(members);
    free(line);
    return true;
}

static void golden_release(struct golden *golden)
{
    free(golden->input);
    free(golden->kernel);
    free(golden->expected);
    free(golden->expected_integers);
}

/* ---- Checking --------------------------------------------------------------------------------------------------------- */

static void add_absolute(void *context, const struct convolve_term *term)
{
    *(double *)context += hypot(term->input.real, term->input.imag) * hypot(term->kernel.real, term->kernel.imag);
}

static void put(enum convolve_dtype dtype, void *tensor, size_t index, struct convolve_scalar value)
{
    switch (dtype) {
    case CONVOLVE_FLOAT64:
        ((double *)tensor)[index] = value.real;
        break;
    case CONVOLVE_FLOAT32:
        ((float *)tensor)[index] = (float)value.real;
        break;
    case CONVOLVE_INT64:
        ((int64_t *)tensor)[index] = value.integer;
        break;
    case CONVOLVE_COMPLEX128:
        ((double *)tensor)[2 * index] = value.real;
        ((double *)tensor)[2 * index + 1] = value.imag;
        break;
    case CONVOLVE_COMPLEX64:
        ((float *)tensor)[2 * index] = (float)value.real;
        ((float *)tensor)[2 * index + 1] = (float)value.imag;
        break;
    }
}

static void compare(const struct golden *golden, const char *how, const void *output, const double *absolute)
{
    const bool single = golden->spec.dtype == CONVOLVE_FLOAT32 || golden->spec.dtype == CONVOLVE_COMPLEX64;
    for (size_t i = 0; i < golden->output_count * golden->parts; i++) {
        if (golden->spec.dtype == CONVOLVE_INT64) {
            const int64_t found = ((const int64_t *)output)[i], expected = golden->expected_integers[i];
            if (found != expected)
                fail_msg("%s by %s: output %zu is %lld, expected %lld", golden->name, how, i, (long long)found,
                         (long long)expected);
            continue;
        }
        const double found = single ? ((const float *)output)[i] : ((const double *)output)[i];
        const double allowed = (single ? 1e-5 : 1e-12) * absolute[i / golden->parts];
        if (!(fabs(found - golden->expected[i]) <= allowed))
            fail_msg("%s by %s: output %zu is %.17g, expected %.17g", golden->name, how, i, found, golden->expected[i]);
    }
}

static void check_plan(const struct golden *golden, enum convolve_method method, const void *definition,
                       const double *absolute, void *output)
{
    struct convolve_spec spec = golden->spec;
    struct convolve_plan *plan = NULL;
    struct convolve_outcome outcome;
    struct convolve_error error = {0};
    const char *const how = convolve_method_name(method);
    const size_t bytes = golden->output_count * convolve_dtype_bytes(spec.dtype);
    spec.method = method;
    memset(output, 0xa5, bytes);
    if (!convolve_plan_create(&plan, &spec, golden->kernel, &error) ||
        !convolve_plan_execute(plan, golden->input, golden->kernel, output, &outcome, &error))
        fail_msg("%s by %s: %s at \"%s\": %s", golden->name, how, error.slug, error.pointer, error.detail);
    compare(golden, how, output, absolute);
    if (method == CONVOLVE_DIRECT && memcmp(output, definition, bytes) != 0)
        fail_msg("%s by direct: other bits than by the definition", golden->name);
    convolve_plan_destroy(plan);
}

static void check_definition(const struct golden *golden, void *output, double *absolute)
{
    struct convolve_error error = {0};
    struct convolve_scalar value;
    struct convolve_cost cost;
    if (!convolve_cost(&cost, &golden->spec, 1, &error))
        fail_msg("%s: %s at \"%s\": %s", golden->name, error.slug, error.pointer, error.detail);
    assert_int_equal(cost.output.rank, golden->output.rank);
    for (unsigned axis = 0; axis < cost.output.rank; axis++)
        if (cost.output.size[axis] != golden->output.size[axis])
            fail_msg("%s: axis %u of the output is %zu long, expected %zu", golden->name, axis, cost.output.size[axis],
                     golden->output.size[axis]);
    for (size_t i = 0; i < golden->output_count; i++) {
        if (!convolve_explain(&golden->spec, golden->input, golden->kernel, i, add_absolute, &absolute[i], &value,
                              &error))
            fail_msg("%s: %s at \"%s\": %s", golden->name, error.slug, error.pointer, error.detail);
        put(golden->spec.dtype, output, i, value);
    }
    compare(golden, "definition", output, absolute);
}

static void every_case_is_scipys(void **state)
{
    FILE *const file = fopen(golden_path, "r");
    struct golden golden;
    size_t count = 0;
    (void)state;
    if (!file)
        fail_msg("%s cannot be read: start the test in the project's root", golden_path);
    for (; golden_read(&golden, file); count++) {
        const size_t bytes = golden.output_count * convolve_dtype_bytes(golden.spec.dtype);
        void *const definition = aligned_bytes(bytes), *const output = aligned_bytes(bytes);
        double *const absolute = calloc(golden.output_count, sizeof(double));
        assert_non_null(absolute);
        check_definition(&golden, definition, absolute);
        check_plan(&golden, CONVOLVE_AUTO, definition, absolute, output);
        check_plan(&golden, CONVOLVE_DIRECT, definition, absolute, output);
        free(absolute);
        free(output);
        free(definition);
        golden_release(&golden);
    }
    fclose(file);
    assert_true(count > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case_is_scipys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
