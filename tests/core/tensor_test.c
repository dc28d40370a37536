/* SPDX-License-Identifier: MIT */
/* Names and sizes of dtypes, the counting of elements, and how an error is filled. */
#include "core/convolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

static void dtypes_have_name_and_size(void **state)
{
    static const struct {
        const char *name;
        enum convolve_dtype dtype;
        size_t bytes;
        bool complex;
    } cases[] = {
        {"float64", CONVOLVE_FLOAT64, 8, false},    {"float32", CONVOLVE_FLOAT32, 4, false},
        {"int64", CONVOLVE_INT64, 8, false},        {"complex128", CONVOLVE_COMPLEX128, 16, true},
        {"complex64", CONVOLVE_COMPLEX64, 8, true},
    };
    (void)state;
    assert_int_equal(sizeof cases / sizeof cases[0], CONVOLVE_DTYPE_COUNT);
    for (size_t i = 0; i < CONVOLVE_DTYPE_COUNT; i++) {
        assert_string_equal(convolve_dtype_name(cases[i].dtype), cases[i].name);
        assert_int_equal(convolve_dtype_bytes(cases[i].dtype), cases[i].bytes);
        assert_int_equal(convolve_dtype_is_complex(cases[i].dtype), cases[i].complex);
    }
}

static void methods_have_the_names_of_the_contract(void **state)
{
    (void)state;
    assert_string_equal(convolve_method_name(CONVOLVE_AUTO), "auto");
    assert_string_equal(convolve_method_name(CONVOLVE_DIRECT), "direct");
    assert_string_equal(convolve_method_name(CONVOLVE_SEPARABLE), "separable");
    assert_string_equal(convolve_method_name(CONVOLVE_FFT), "fft");
    assert_string_equal(convolve_method_name(CONVOLVE_OVERLAP_ADD), "overlap_add");
}

static void shapes_are_counted_or_refused(void **state)
{
    static const struct {
        const char *name;
        struct convolve_shape shape;
        bool counted;
        size_t count;
    } cases[] = {
        {"a number", {0, {0}}, true, 1},
        {"a matrix", {2, {3, 4}}, true, 12},
        {"rank 8", {8, {2, 2, 2, 2, 2, 2, 2, 2}}, true, 256},
        {"a zero axis", {3, {3, 0, 4}}, true, 0},
        {"a zero axis after an overflow", {3, {SIZE_MAX, 2, 0}}, true, 0},
        {"the largest", {1, {SIZE_MAX}}, true, SIZE_MAX},
        {"one too many", {2, {SIZE_MAX / 2 + 1, 2}}, false, 0},
        {"far too many", {3, {(size_t)1 << 40, (size_t)1 << 40, 5}}, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t count = 0;
        const bool counted = convolve_shape_count(&cases[i].shape, &count);
        if (counted != cases[i].counted || (counted && count != cases[i].count))
            fail_msg("%s: found %d, %zu; expected %d, %zu", cases[i].name, counted, count, cases[i].counted,
                     cases[i].count);
    }
}

static void an_error_is_filled_and_never_overflows(void **state)
{
    struct convolve_error error = {.limit = "max_work", .allowed = 1, .requested = 2};
    char text[2000];
    (void)state;
    assert_false(convolve_fail(&error, "invalid-value", "/stride", "stride is %d", 0));
    assert_string_equal(error.slug, "invalid-value");
    assert_string_equal(error.pointer, "/stride");
    assert_string_equal(error.detail, "stride is 0");
    assert_null(error.limit);
    assert_int_equal(error.allowed, 0);
    assert_int_equal(error.requested, 0);
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_false(convolve_fail(&error, "invalid-value", text, "%s", text));
    assert_int_equal(strlen(error.pointer), sizeof error.pointer - 1);
    assert_int_equal(strlen(error.detail), sizeof error.detail - 1);
    assert_false(convolve_fail(NULL, "invalid-value", "", "nobody asked"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtypes_have_name_and_size),
        cmocka_unit_test(methods_have_the_names_of_the_contract),
        cmocka_unit_test(shapes_are_counted_or_refused),
        cmocka_unit_test(an_error_is_filled_and_never_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
