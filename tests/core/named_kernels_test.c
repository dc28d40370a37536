/* SPDX-License-Identifier: MIT */
/* The named kernels: every name of the contract, values, sums, lengths, and each fault of a parameter. Decimals come from
 * scipy.ndimage applied to an impulse. */
#include "core/convolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#define DEFAULTS                                                                                                       \
    {                                                                                                                  \
        NAN, NAN, NAN, NAN                                                                                             \
    }

static const struct {
    const char *name;
    double parameters[4];
    unsigned axes;
    size_t length;
    size_t count; /* of the values below, from the first on */
    double values[27];
} cases[] = {
    {"identity", DEFAULTS, 1, 3, 3, {0, 1, 0}},
    {"identity", DEFAULTS, 2, 3, 9, {0, 0, 0, 0, 1, 0, 0, 0, 0}},
    {"box", DEFAULTS, 1, 3, 3, {1. / 3, 1. / 3, 1. / 3}},
    {"box", {1, NAN, NAN, NAN}, 3, 1, 1, {1}},
    {"box", {5, NAN, NAN, NAN}, 2, 5, 2, {1. / 25, 1. / 25}},
    {"disk", DEFAULTS, 2, 5, 8, {0, 0, 1. / 13, 0, 0, 0, 1. / 13, 1. / 13}},
    {"disk", {1.5, NAN, NAN, NAN}, 2, 3, 3, {1. / 9, 1. / 9, 1. / 9}},
    {"disk", {0, NAN, NAN, NAN}, 2, 1, 1, {1}},
    {"gaussian",
     DEFAULTS,
     1,
     9,
     5,
     {0.00013383062461474175, 0.004431861620031266, 0.053991127420704395, 0.24197144565660073, 0.39894346935609776}},
    {"gaussian", {1, 3, NAN, NAN}, 1, 3, 3, {0.274068619061197, 0.45186276187760605, 0.274068619061197}},
    {"gaussian",
     {0.5, NAN, NAN, NAN},
     2,
     5,
     13,
     {6.962478188799075e-08, 2.8088641754266945e-05, 0.0002075485496650443, 2.8088641754266945e-05,
      6.962478188799075e-08, 2.8088641754266945e-05, 0.011331766853773576, 0.08373106098253584, 0.011331766853773576,
      2.8088641754266945e-05, 0.0002075485496650443, 0.08373106098253584, 0.6186935068229407}},
    {"gaussian", {0.1, NAN, NAN, NAN}, 3, 1, 1, {1}},
    {"gaussian",
     {0.3, NAN, NAN, NAN},
     3,
     3,
     27,
     {5.645776643535598e-08, 1.4603966041330352e-05, 5.645776643535598e-08, 1.460396604133035e-05,
      0.003777617103937869,  1.460396604133035e-05,  5.645776643535598e-08, 1.4603966041330352e-05,
      5.645776643535598e-08, 1.460396604133035e-05,  0.003777617103937869,  1.460396604133035e-05,
      0.0037776171039378696, 0.977158598121745,      0.0037776171039378696, 1.460396604133035e-05,
      0.003777617103937869,  1.460396604133035e-05,  5.645776643535598e-08, 1.4603966041330352e-05,
      5.645776643535598e-08, 1.460396604133035e-05,  0.003777617103937869,  1.460396604133035e-05,
      5.645776643535598e-08, 1.4603966041330352e-05, 5.645776643535598e-08}},
    {"gaussian", {1e300, 3, NAN, NAN}, 1, 3, 3, {1. / 3, 1. / 3, 1. / 3}},
    {"gaussian", {1e-300, 3, NAN, NAN}, 1, 3, 3, {0, 1, 0}},
    {"sharpen", DEFAULTS, 2, 3, 9, {0, -1, 0, -1, 5, -1, 0, -1, 0}},
    {"unsharp",
     {0.3, 2, NAN, NAN},
     2,
     3,
     9,
     {-2.9433763148402132e-05, -0.007613650072041061, -2.9433763148402132e-05, -0.007613650072041061,
      1.0305723353407583, -0.007613650072041061, -2.9433763148402132e-05, -0.007613650072041061,
      -2.9433763148402132e-05}},
    {"emboss", DEFAULTS, 2, 3, 9, {-2, -1, 0, -1, 1, 1, 0, 1, 2}},
    {"outline", DEFAULTS, 2, 3, 9, {-1, -1, -1, -1, 8, -1, -1, -1, -1}},
    {"laplacian", DEFAULTS, 1, 3, 3, {1, -2, 1}},
    {"laplacian", DEFAULTS, 2, 3, 9, {0, 1, 0, 1, -4, 1, 0, 1, 0}},
    {"laplacian", DEFAULTS, 3, 3, 18, {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, -6, 1, 0, 1, 0}},
    {"laplacian_of_gaussian",
     DEFAULTS,
     1,
     9,
     5,
     {0.0020074593692211264, 0.03545489296025013, 0.1619733822621132, 0.0, -0.39894346935609776}},
    {"laplacian_of_gaussian",
     {0.5, NAN, NAN, NAN},
     2,
     5,
     13,
     {8.35497382655889e-06, 0.00202238220630722, 0.011622718781242481, 0.00202238220630722, 8.35497382655889e-06,
      0.00202238220630722, 0.2719624044905658, 0.6698484878602864, 0.2719624044905658, 0.00202238220630722,
      0.011622718781242481, 0.6698484878602864, -4.949548054583525}},
    {"laplacian_of_gaussian",
     {0.3, NAN, NAN, NAN},
     3,
     3,
     27,
     {1.9028358317101455e-05, 0.003119118673024877,  1.9028358317101455e-05, 0.0031191186730248773,
      0.34045191183637585,    0.0031191186730248773, 1.9028358317101455e-05, 0.003119118673024877,
      1.9028358317101455e-05, 0.0031191186730248773, 0.34045191183637585,    0.0031191186730248773,
      0.34045191183637585,    -32.57195327072483,    0.34045191183637585,    0.0031191186730248773,
      0.34045191183637585,    0.0031191186730248773, 1.9028358317101455e-05, 0.003119118673024877,
      1.9028358317101455e-05, 0.0031191186730248773, 0.34045191183637585,    0.0031191186730248773,
      1.9028358317101455e-05, 0.003119118673024877,  1.9028358317101455e-05}},
    {"sobel_x", DEFAULTS, 2, 3, 9, {-1, 0, 1, -2, 0, 2, -1, 0, 1}},
    {"sobel_y", DEFAULTS, 2, 3, 9, {-1, -2, -1, 0, 0, 0, 1, 2, 1}},
    {"prewitt_x", DEFAULTS, 2, 3, 9, {-1, 0, 1, -1, 0, 1, -1, 0, 1}},
    {"prewitt_y", DEFAULTS, 2, 3, 9, {-1, -1, -1, 0, 0, 0, 1, 1, 1}},
    {"scharr_x", DEFAULTS, 2, 3, 9, {-3, 0, 3, -10, 0, 10, -3, 0, 3}},
    {"scharr_y", DEFAULTS, 2, 3, 9, {-3, -10, -3, 0, 0, 0, 3, 10, 3}},
    {"vertical_edge", DEFAULTS, 2, 3, 9, {1, 0, -1, 1, 0, -1, 1, 0, -1}},
    {"horizontal_edge", DEFAULTS, 2, 3, 9, {1, 1, 1, 0, 0, 0, -1, -1, -1}},
    {"motion_blur", DEFAULTS, 2, 5, 15, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .2, .2, .2, .2, .2}},
    {"motion_blur", {3, 90, NAN, NAN}, 2, 3, 9, {0, 1. / 3, 0, 0, 1. / 3, 0, 0, 1. / 3, 0}},
    {"motion_blur", {3, -270, NAN, NAN}, 2, 3, 9, {0, 1. / 3, 0, 0, 1. / 3, 0, 0, 1. / 3, 0}},
    {"motion_blur", {3, 180, NAN, NAN}, 2, 3, 9, {0, 0, 0, 1. / 3, 1. / 3, 1. / 3, 0, 0, 0}},
    /* At 45 degrees the line rises to the right: the ends lie 1 / sqrt 2 from the centre along both axes. */
    {"motion_blur",
     {3, 45, NAN, NAN},
     2,
     3,
     9,
     {0, 0.06903559372884917, 0.16666666666666666, 0.06903559372884917, 0.39052429175126996, 0.06903559372884917,
      0.16666666666666666, 0.06903559372884917, 0}},
};

enum { VALUES_MAX = 1000 };

static size_t make(double *values, const char *name, const double *parameters, unsigned axes, size_t *length)
{
    const struct convolve_named_kernel *const kernel = convolve_named_kernel_find(name);
    struct convolve_shape shape;
    struct convolve_error error = {0};
    size_t count = 0;
    if (!kernel)
        fail_msg("%s is not there", name);
    if (!convolve_named_kernel_shape(kernel, parameters, axes, "/kernel", &shape, &error))
        fail_msg("%s: %s at %s: %s", name, error.slug, error.pointer, error.detail);
    assert_int_equal(shape.rank, axes);
    assert_true(convolve_shape_count(&shape, &count));
    assert_true(count <= VALUES_MAX);
    values[count] = -12345; /* a guard */
    convolve_named_kernel_values(kernel, parameters, axes, values);
    if (values[count] != -12345)
        fail_msg("%s writes beyond its end", name);
    *length = shape.size[axes - 1];
    return count;
}

static void values_are_the_contracts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double values[VALUES_MAX + 1];
        size_t length;
        const size_t count = make(values, cases[i].name, cases[i].parameters, cases[i].axes, &length);
        if (length != cases[i].length || count < cases[i].count)
            fail_msg("%s, %u axes: found length %zu, expected %zu", cases[i].name, cases[i].axes, length,
                     cases[i].length);
        for (size_t value = 0; value < cases[i].count; value++) {
            const double expected = cases[i].values[value];
            if (!(fabs(values[value] - expected) <= 1e-14 * (1 + fabs(expected))))
                fail_msg("%s, %u axes: value %zu is %.17g, expected %.17g", cases[i].name, cases[i].axes, value,
                         values[value], expected);
            /* All but the edges are even around the centre, or odd. */
            if (strcmp(cases[i].name, "emboss") == 0)
                continue;
            if (!(fabs(fabs(values[value]) - fabs(values[count - 1 - value])) <= 1e-15))
                fail_msg("%s, %u axes: value %zu has no counterpart", cases[i].name, cases[i].axes, value);
        }
    }
}

static void blurs_sum_to_1(void **state)
{
    static const struct {
        const char *name;
        double parameters[4];
        unsigned axes;
    } blurs[] = {
        {"gaussian", {2.7, NAN, NAN, NAN}, 1},    {"gaussian", {1.1, 7, NAN, NAN}, 3},
        {"gaussian", {3.3, NAN, NAN, NAN}, 2},    {"box", {9, NAN, NAN, NAN}, 3},
        {"disk", {4.9, NAN, NAN, NAN}, 2},        {"motion_blur", {15, 33.3, NAN, NAN}, 2},
        {"motion_blur", {31, -120, NAN, NAN}, 2}, {"motion_blur", {1, 77, NAN, NAN}, 2},
        {"unsharp", {1.2, 3.5, NAN, NAN}, 2},     {"sharpen", DEFAULTS, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof blurs / sizeof blurs[0]; i++) {
        double values[VALUES_MAX + 1], sum = 0;
        size_t length;
        const size_t count = make(values, blurs[i].name, blurs[i].parameters, blurs[i].axes, &length);
        for (size_t value = 0; value < count; value++)
            sum += values[value];
        if (!(fabs(sum - 1) < 1e-13))
            fail_msg("%s, row %zu: the sum is %.17g", blurs[i].name, i, sum);
    }
}

static void every_name_is_listed_with_its_defaults(void **state)
{
    static const char *const names[] = {
        "identity",      "box",
        "disk",          "gaussian",
        "sharpen",       "unsharp",
        "emboss",        "outline",
        "laplacian",     "laplacian_of_gaussian",
        "sobel_x",       "sobel_y",
        "prewitt_x",     "prewitt_y",
        "scharr_x",      "scharr_y",
        "vertical_edge", "horizontal_edge",
        "motion_blur",
    };
    (void)state;
    assert_int_equal(convolve_named_kernel_count(), sizeof names / sizeof names[0]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct convolve_named_kernel *const kernel = convolve_named_kernel_at(i);
        assert_string_equal(kernel->name, names[i]);
        assert_ptr_equal(convolve_named_kernel_find(names[i]), kernel);
        assert_true(strlen(kernel->description) > 0);
    }
    assert_null(convolve_named_kernel_find("Sobel_x"));
    assert_null(convolve_named_kernel_find(""));
    const struct convolve_named_kernel *const gaussian = convolve_named_kernel_find("gaussian");
    assert_int_equal(gaussian->parameter_count, 2);
    assert_string_equal(gaussian->parameters[0].name, "sigma");
    assert_true(gaussian->parameters[0].standard == 1);
    assert_string_equal(gaussian->parameters[1].name, "size");
    assert_true(isnan(gaussian->parameters[1].standard));
}

static void faults_are_named(void **state)
{
    static const struct {
        const char *name;
        double parameters[4];
        unsigned axes;
        const char *pointer, *word;
    } faults[] = {
        {"box", {4, NAN, NAN, NAN}, 2, "/kernel/size", "odd"},
        {"box", {0, NAN, NAN, NAN}, 2, "/kernel/size", "size is 0"},
        {"box", {-3, NAN, NAN, NAN}, 2, "/kernel/size", "-3"},
        {"box", {2.5, NAN, NAN, NAN}, 2, "/kernel/size", "2.5"},
        {"box", {INFINITY, NAN, NAN, NAN}, 2, "/kernel/size", "finite"},
        {"box", {9007199254740991, NAN, NAN, NAN}, 2, "/kernel/size", "64 bits"},
        {"gaussian", {0, NAN, NAN, NAN}, 1, "/kernel/sigma", "above 0"},
        {"gaussian", {-1, NAN, NAN, NAN}, 1, "/kernel/sigma", "above 0"},
        {"gaussian", {1e300, NAN, NAN, NAN}, 1, "/kernel/sigma", "64 bits"},
        {"gaussian", {1e12, NAN, NAN, NAN}, 2, "/kernel/sigma", "64 bits"},
        {"gaussian", {1, 2, NAN, NAN}, 2, "/kernel/size", "odd"},
        {"unsharp", {1, INFINITY, NAN, NAN}, 2, "/kernel/amount", "finite"},
        {"laplacian_of_gaussian", {1e-200, NAN, NAN, NAN}, 1, "/kernel/sigma", "larger"},
        {"disk", {-1, NAN, NAN, NAN}, 2, "/kernel/radius", "0 or more"},
        {"disk", {1e18, NAN, NAN, NAN}, 2, "/kernel/radius", "64 bits"},
        {"motion_blur", {4, 0, NAN, NAN}, 2, "/kernel/size", "odd"},
        {"motion_blur", {5, INFINITY, NAN, NAN}, 2, "/kernel/angle", "finite"},
        {"disk", DEFAULTS, 1, "/kernel", "2 convolved axes, not for 1"},
        {"sobel_x", DEFAULTS, 3, "/kernel", "2 convolved axes, not for 3"},
        {"gaussian", DEFAULTS, 4, "/kernel", "1 to 3"},
        {"identity", DEFAULTS, 0, "/kernel", "1 to 3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct convolve_shape shape;
        struct convolve_error error = {0};
        if (convolve_named_kernel_shape(convolve_named_kernel_find(faults[i].name), faults[i].parameters,
                                        faults[i].axes, "/kernel", &shape, &error))
            fail_msg("%s, row %zu: was accepted", faults[i].name, i);
        assert_string_equal(error.slug, "invalid-value");
        if (strcmp(error.pointer, faults[i].pointer) != 0 || !strstr(error.detail, faults[i].word))
            fail_msg("%s, row %zu: found %s at %s, expected %s at %s", faults[i].name, i, error.detail, error.pointer,
                     faults[i].word, faults[i].pointer);
    }
}

/* Told, so that its cost can be refused; nothing is allocated for it. */
static void a_large_kernel_has_a_shape(void **state)
{
    const double parameters[4] = {1e9, NAN, NAN, NAN};
    struct convolve_shape shape;
    (void)state;
    assert_true(convolve_named_kernel_shape(convolve_named_kernel_find("gaussian"), parameters, 1, "", &shape, NULL));
    assert_int_equal(shape.size[0], 8000000001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_the_contracts),
        cmocka_unit_test(blurs_sum_to_1),
        cmocka_unit_test(every_name_is_listed_with_its_defaults),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(a_large_kernel_has_a_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
