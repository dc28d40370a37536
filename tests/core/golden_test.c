/* SPDX-License-Identifier: MIT */
/* Every case of tests/golden/scipy.txt (see make_golden.py for its form) by the definition, by a plan with the method `auto`
 * and by one with `direct`. Integers must be SciPy's; floats may differ by a rounding error of the sum of absolute
 * products; and `direct` must have the very bits of the definition. */
#include "core/explain.h"
#include "tests/core/golden_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char golden_path[] = "tests/golden/scipy.txt";

/* One case. The tensors have the dtype of the spec; `expected` is SciPy's output in double, or exact for int64. */
struct golden {
    char name[64];
    struct convolve_spec spec;
    struct convolve_shape output;
    char named[64]; /* a named kernel and its parameters, or "" */
    void *input, *kernel;
    double *expected; /* pairs, where complex */
    int64_t *expected_integers;
    size_t output_count, parts; /* parts: 2 where complex */
};

/* ---- Reading ---------------------------------------------------------------------------------------------------------- */

/* "gaussian,1.2": the kernel's shape and values. */
static void read_named(struct golden *golden)
{
    double parameters[4] = {NAN, NAN, NAN, NAN};
    char *const text = golden->named, *comma = strchr(text, ',');
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
    golden->kernel = tensor_memory(count * sizeof(double));
    convolve_named_kernel_values(kernel, parameters, golden->spec.input.rank, golden->kernel);
}

static void read_member(void *context, const char *name, char *value)
{
    static const char *const operations[] = {"convolve", "correlate"};
    static const char *const modes[] = {"full", "same", "valid"};
    static const char *const boundaries[] = {"constant", "wrap", "symmetric", "reflect", "edge"};
    struct golden *const golden = context;
    struct convolve_spec *const spec = &golden->spec;
    if (strcmp(name, "case") == 0)
        snprintf(golden->name, sizeof golden->name, "%s", value);
    else if (strcmp(name, "named") == 0)
        snprintf(golden->named, sizeof golden->named, "%s", value);
    else if (strcmp(name, "op") == 0)
        spec->operation = (enum convolve_operation)golden_word(operations, 2, value);
    else if (strcmp(name, "dtype") == 0)
        spec->dtype = golden_dtype(value);
    else if (strcmp(name, "mode") == 0)
        spec->mode = (enum convolve_mode)golden_word(modes, 3, value);
    else if (strcmp(name, "boundary") == 0)
        spec->boundary = (enum convolve_boundary)golden_word(boundaries, 5, value);
    else if (strcmp(name, "stride") == 0)
        spec->stride = golden_per_axis(value);
    else if (strcmp(name, "dilation") == 0)
        spec->dilation = golden_per_axis(value);
    else if (strcmp(name, "padding") == 0)
        spec->padding = golden_padding(value);
    else if (strcmp(name, "input") == 0)
        spec->input = golden_shape(value);
    else if (strcmp(name, "kernel") == 0)
        spec->kernel = golden_shape(value);
    else if (strcmp(name, "output") == 0)
        golden->output = golden_shape(value);
    else if (strcmp(name, "axes") == 0) {
        spec->axes_given = true;
        spec->axis_count = golden_list(value, spec->axes);
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
    *golden = (struct golden){0};
    if (!golden_members(file, read_member, golden))
        return false;
    const enum convolve_dtype dtype = golden->spec.dtype;
    if (*golden->named)
        read_named(golden);
    assert_true(convolve_shape_count(&golden->output, &golden->output_count));
    golden->parts = convolve_dtype_is_complex(dtype) ? 2 : 1;
    golden->expected = calloc(golden->output_count, 2 * sizeof(double));
    golden->expected_integers = calloc(golden->output_count, sizeof(int64_t));
    assert_true(golden->expected && golden->expected_integers);
    golden->input = golden_values(file, dtype, &golden->spec.input, NULL, NULL);
    void *const kernel = golden_values(file, dtype, &golden->spec.kernel, NULL, NULL);
    assert_true(*golden->named ? kernel == NULL : kernel != NULL);
    if (kernel)
        golden->kernel = kernel;
    free(golden_values(file, dtype, &golden->output, golden->expected, golden->expected_integers));
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
        tensor_put(golden->spec.dtype, output, i, value);
    }
    compare(golden, "definition", output, absolute);
}

static void every_case_is_scipys(void **state)
{
    FILE *const file = golden_open(golden_path);
    struct golden golden;
    size_t count = 0;
    (void)state;
    for (; golden_read(&golden, file); count++) {
        const size_t bytes = golden.output_count * convolve_dtype_bytes(golden.spec.dtype);
        void *const definition = tensor_memory(bytes), *const output = tensor_memory(bytes);
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
