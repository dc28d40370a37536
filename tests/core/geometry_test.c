/* SPDX-License-Identifier: MIT */
/* geometry_derive by tables: the shapes people expect, and every fault with its pointer and the word of its detail that
 * helps. Expected shapes are SciPy's. */
#include "core/geometry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .rank = sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), .size = { __VA_ARGS__ }                              \
    }
#define EACH(n)                                                                                                        \
    {                                                                                                                  \
        .given = true, .scalar = true, .count = 1, .value = { n }                                                      \
    }
#define LIST(...)                                                                                                      \
    {                                                                                                                  \
        .given = true, .count = sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), .value = { __VA_ARGS__ }             \
    }
#define PAD(b, a)                                                                                                      \
    {                                                                                                                  \
        .given = true, .scalar = true, .count = 1, .before = {b}, .after = { a }                                       \
    }
#define AXES(...)                                                                                                      \
    .axes_given = true, .axis_count = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .axes = {__VA_ARGS__}

static void shape_print(char *text, size_t bytes, const struct convolve_shape *shape)
{
    size_t used = (size_t)snprintf(text, bytes, "[");
    for (unsigned i = 0; i < shape->rank; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%zu", i ? ", " : "", shape->size[i]);
    snprintf(text + used, bytes - used, "]");
}

static const struct {
    const char *name;
    struct convolve_spec spec;
    struct convolve_shape output;
    size_t before; /* of the last axis */
    bool exchanged;
} shapes[] = {
    {"full grows by the kernel less one", {.input = SHAPE(5), .kernel = SHAPE(3)}, SHAPE(7), 2, false},
    {"full with a longer kernel", {.input = SHAPE(3), .kernel = SHAPE(5)}, SHAPE(7), 4, false},
    {"full 3x3 by 3x3", {.input = SHAPE(3, 3), .kernel = SHAPE(3, 3)}, SHAPE(5, 5), 2, false},
    {"same, odd kernel", {.input = SHAPE(5), .kernel = SHAPE(3), .mode = CONVOLVE_SAME}, SHAPE(5), 1, false},
    {"same, even kernel: from place (n-1)//2 of full",
     {.input = SHAPE(5), .kernel = SHAPE(4), .mode = CONVOLVE_SAME},
     SHAPE(5),
     2,
     false},
    {"same, kernel of two", {.input = SHAPE(5), .kernel = SHAPE(2), .mode = CONVOLVE_SAME}, SHAPE(5), 1, false},
    {"same, kernel longer than the input",
     {.input = SHAPE(2), .kernel = SHAPE(5), .mode = CONVOLVE_SAME},
     SHAPE(2),
     2,
     false},
    {"valid", {.input = SHAPE(5, 6), .kernel = SHAPE(3, 2), .mode = CONVOLVE_VALID}, SHAPE(3, 5), 0, false},
    {"valid of equal lengths", {.input = SHAPE(3), .kernel = SHAPE(3), .mode = CONVOLVE_VALID}, SHAPE(1), 0, false},
    {"valid changes places for a longer kernel",
     {.input = SHAPE(3), .kernel = SHAPE(5), .mode = CONVOLVE_VALID},
     SHAPE(3),
     2,
     true},
    {"valid changes places for a dilated kernel",
     {.input = SHAPE(4), .kernel = SHAPE(3), .mode = CONVOLVE_VALID, .dilation = EACH(2)},
     SHAPE(2),
     1,
     true},
    {"valid changes places with one axis equal",
     {.input = SHAPE(3, 2), .kernel = SHAPE(3, 4), .mode = CONVOLVE_VALID},
     SHAPE(1, 3),
     2,
     true},
    {"vertical edges: 6x6 by 3x3",
     {.input = SHAPE(6, 6), .kernel = SHAPE(3, 3), .mode = CONVOLVE_VALID},
     SHAPE(4, 4),
     0,
     false},
    {"stride 2: 7x7 by 3x3",
     {.input = SHAPE(7, 7), .kernel = SHAPE(3, 3), .mode = CONVOLVE_VALID, .stride = EACH(2)},
     SHAPE(3, 3),
     0,
     false},
    {"stride keeps the first, whatever is left over",
     {.input = SHAPE(8), .kernel = SHAPE(1), .stride = EACH(3)},
     SHAPE(3),
     0,
     false},
    {"stride beyond the end keeps the first",
     {.input = SHAPE(8), .kernel = SHAPE(3), .stride = EACH(SIZE_MAX)},
     SHAPE(1),
     2,
     false},
    {"stride per axis", {.input = SHAPE(6, 6), .kernel = SHAPE(1, 1), .stride = LIST(2, 3)}, SHAPE(3, 2), 0, false},
    {"dilation widens the kernel",
     {.input = SHAPE(7), .kernel = SHAPE(3), .mode = CONVOLVE_VALID, .dilation = EACH(3)},
     SHAPE(1),
     0,
     false},
    {"a huge dilation under same",
     {.input = SHAPE(4), .kernel = SHAPE(3), .mode = CONVOLVE_SAME, .dilation = EACH((size_t)1 << 53)},
     SHAPE(4),
     (size_t)1 << 53,
     false},
    {"one tap makes any dilation nothing",
     {.input = SHAPE(4), .kernel = SHAPE(1), .dilation = EACH(SIZE_MAX)},
     SHAPE(4),
     0,
     false},
    {"padding on both sides",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3), .padding = PAD(1, 1)},
     SHAPE(5, 5),
     1,
     false},
    {"padding before only", {.input = SHAPE(5), .kernel = SHAPE(3), .padding = PAD(2, 0)}, SHAPE(5), 2, false},
    {"padding never changes places", {.input = SHAPE(3), .kernel = SHAPE(5), .padding = PAD(1, 1)}, SHAPE(1), 1, false},
    {"padding by one number per axis",
     {.input = SHAPE(5, 5),
      .kernel = SHAPE(3, 3),
      .padding = {.given = true, .count = 2, .before = {1, 0}, .after = {1, 2}}},
     SHAPE(5, 5),
     0,
     false},
    {"backwards correlation: vals 5x5, w0 3x3x3",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3, 3), AXES(1, 2)},
     SHAPE(3, 7, 7),
     2,
     false},
    {"its inside",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3, 3), AXES(1, 2), .mode = CONVOLVE_SAME},
     SHAPE(3, 5, 5),
     1,
     false},
    {"its counterpart: a 3x5x5 padded by 1, vals 5x5",
     {.operation = CONVOLVE_OP_CORRELATE,
      .input = SHAPE(3, 5, 5),
      .kernel = SHAPE(5, 5),
      AXES(1, 2),
      .padding = PAD(1, 1)},
     SHAPE(3, 3, 3),
     1,
     false},
    {"rgb 3x5x5 by 3x2x2 is summed over the channels",
     {.input = SHAPE(3, 5, 5), .kernel = SHAPE(3, 2, 2), .mode = CONVOLVE_VALID},
     SHAPE(1, 4, 4),
     0,
     false},
    {"negative axes", {.input = SHAPE(2, 5), .kernel = SHAPE(3), AXES(-1)}, SHAPE(2, 7), 2, false},
    {"axes are a set", {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3, 3), AXES(2, -2)}, SHAPE(3, 7, 7), 2, false},
    {"the first axis only", {.input = SHAPE(5, 4), .kernel = SHAPE(3), AXES(0)}, SHAPE(7, 4), 0, false},
    {"lists go with the axes in increasing order",
     {.input = SHAPE(9, 2, 9), .kernel = SHAPE(1, 1), AXES(2, 0), .stride = LIST(2, 4)},
     SHAPE(5, 2, 3),
     0,
     false},
    {"other axes broadcast, kernel's", {.input = SHAPE(1, 5), .kernel = SHAPE(4, 3), AXES(1)}, SHAPE(4, 7), 2, false},
    {"other axes broadcast, input's", {.input = SHAPE(4, 5), .kernel = SHAPE(1, 3), AXES(1)}, SHAPE(4, 7), 2, false},
    {"same has the broadcast size along other axes",
     {.input = SHAPE(1, 5), .kernel = SHAPE(4, 3), AXES(1), .mode = CONVOLVE_SAME},
     SHAPE(4, 5),
     1,
     false},
    {"two numbers", {.input = {0}, .kernel = {0}}, {0}, 0, false},
    {"two numbers, valid", {.input = {0}, .kernel = {0}, .mode = CONVOLVE_VALID}, {0}, 0, false},
    {"an empty input by fft", {.input = SHAPE(0), .kernel = SHAPE(3), .method = CONVOLVE_FFT}, SHAPE(0), 0, false},
    {"an empty kernel by overlap_add",
     {.input = SHAPE(2, 3), .kernel = SHAPE(2, 0), .method = CONVOLVE_OVERLAP_ADD},
     SHAPE(0),
     0,
     false},
};

static void shapes_are_scipys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct geometry geometry;
        struct convolve_error error = {0};
        char found[200], expected[200];
        if (!geometry_derive(&geometry, &shapes[i].spec, &error))
            fail_msg("%s: %s at %s: %s", shapes[i].name, error.slug, error.pointer, error.detail);
        shape_print(found, sizeof found, &geometry.output);
        shape_print(expected, sizeof expected, &shapes[i].output);
        if (strcmp(found, expected) != 0)
            fail_msg("%s: found %s, expected %s", shapes[i].name, found, expected);
        const size_t before = geometry.rank ? geometry.axis[geometry.rank - 1].before : 0;
        if (before != shapes[i].before || geometry.exchanged != shapes[i].exchanged)
            fail_msg("%s: found before %zu, exchanged %d; expected %zu, %d", shapes[i].name, before, geometry.exchanged,
                     shapes[i].before, shapes[i].exchanged);
    }
}

static const struct {
    const char *name;
    struct convolve_spec spec;
    const char *slug, *pointer, *word; /* of the detail */
} faults[] = {
    {"mode and padding",
     {.input = SHAPE(5), .kernel = SHAPE(3), .mode_given = true, .padding = PAD(1, 1)},
     "invalid-value",
     "/padding",
     "mode"},
    {"padding of another length than the axes",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3), .padding = {.given = true, .count = 3}},
     "invalid-value",
     "/padding",
     "3 members"},
    {"stride of another length",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3), .stride = LIST(1)},
     "invalid-value",
     "/stride",
     "1 member"},
    {"stride of another length than named axes",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3), AXES(1), .stride = LIST(1, 1)},
     "invalid-value",
     "/stride",
     "1 axis is"},
    {"dilation of another length",
     {.input = SHAPE(5), .kernel = SHAPE(3), .dilation = LIST(1, 1)},
     "invalid-value",
     "/dilation",
     "1 axis is"},
    {"stride 0", {.input = SHAPE(5), .kernel = SHAPE(3), .stride = EACH(0)}, "invalid-value", "/stride", "1 or more"},
    {"stride 0 in a list",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3), .stride = LIST(1, 0)},
     "invalid-value",
     "/stride/1",
     "1 or more"},
    {"dilation 0",
     {.input = SHAPE(5), .kernel = SHAPE(3), .dilation = EACH(0)},
     "invalid-value",
     "/dilation",
     "1 or more"},
    {"axes []", {.input = SHAPE(5), .kernel = SHAPE(3), .axes_given = true}, "invalid-value", "/axes", "at least one"},
    {"axis named twice", {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3), AXES(1, 1)}, "invalid-value", "/axes", "twice"},
    {"axis named twice, once from the end",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3), AXES(1, -1)},
     "invalid-value",
     "/axes",
     "count from the end"},
    {"axis beyond the rank",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3), AXES(2)},
     "invalid-value",
     "/axes",
     "-2 to 1"},
    {"axis below the rank",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3), AXES(-3)},
     "invalid-value",
     "/axes",
     "-2 to 1"},
    {"an axis of a number", {.input = {0}, .kernel = {0}, AXES(0)}, "invalid-value", "/axes", "no axis"},
    {"axes far out", {.input = SHAPE(5), .kernel = SHAPE(3), AXES(INT64_MIN)}, "invalid-value", "/axes", "-1 to 0"},
    {"an empty input", {.input = SHAPE(0), .kernel = SHAPE(3)}, "empty-tensor", "/input", "[0]"},
    {"an empty kernel", {.input = SHAPE(3, 3), .kernel = SHAPE(3, 0)}, "empty-tensor", "/kernel", "axis 1"},
    {"both empty", {.input = SHAPE(0), .kernel = SHAPE(0)}, "empty-tensor", "/input", "length 0"},
    {"an empty input by direct",
     {.input = SHAPE(0), .kernel = SHAPE(3), .method = CONVOLVE_DIRECT},
     "empty-tensor",
     "/input",
     "length 0"},
    {"empty by fft, but of other rank",
     {.input = SHAPE(0), .kernel = SHAPE(3, 3), .method = CONVOLVE_FFT},
     "shape-mismatch",
     "/kernel",
     "rank"},
    {"a kernel of rank 3 is told about axes",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3, 3)},
     "shape-mismatch",
     "/kernel",
     "\"axes\": [1, 2]"},
    {"an input of rank 3 is told about axes",
     {.input = SHAPE(3, 5, 5), .kernel = SHAPE(3, 3)},
     "shape-mismatch",
     "/kernel",
     "\"axes\": [1, 2]"},
    {"a kernel of rank 4 is told about conv",
     {.input = SHAPE(3, 5, 5), .kernel = SHAPE(8, 3, 3, 3)},
     "shape-mismatch",
     "/kernel",
     "for channels and batches use /v1/conv"},
    {"a batch and a kernel of rank 4 too",
     {.input = SHAPE(2, 3, 32, 32), .kernel = SHAPE(16, 3, 3, 3), .mode = CONVOLVE_VALID},
     "shape-mismatch",
     "/kernel",
     "/v1/conv"},
    {"a number and a list", {.input = SHAPE(5), .kernel = {0}}, "shape-mismatch", "/kernel", "array of rank 1"},
    {"axes and another rank",
     {.input = SHAPE(5, 5, 5), .kernel = SHAPE(3, 3), AXES(0)},
     "shape-mismatch",
     "/kernel",
     "must have rank 1"},
    {"other axes that do not broadcast",
     {.input = SHAPE(2, 5), .kernel = SHAPE(3, 3), AXES(1)},
     "shape-mismatch",
     "/kernel",
     "axis 0 is not convolved"},
    {"valid with neither within the other",
     {.input = SHAPE(5, 2), .kernel = SHAPE(3, 3), .mode = CONVOLVE_VALID},
     "shape-mismatch",
     "/kernel",
     "shorter than the input along axis 0 (3 and 5), longer along axis 1 (3 and 2)"},
    {"a kernel longer than the padded input",
     {.input = SHAPE(2), .kernel = SHAPE(3), .padding = PAD(0, 0), .dilation = EACH(2)},
     "shape-mismatch",
     "/kernel",
     "5 long (3 taps, dilation 2), but the padded input only 2 (0 and 0 around 2)"},
    {"a kernel longer than anything",
     {.input = SHAPE(2), .kernel = SHAPE(SIZE_MAX), .padding = PAD(0, 0), .dilation = EACH(2)},
     "shape-mismatch",
     "/kernel",
     "36893488147419103229 long"},
    {"an uncountable window",
     {.input = SHAPE(2), .kernel = SHAPE(3), .mode = CONVOLVE_SAME, .dilation = EACH(SIZE_MAX)},
     "too-large",
     "",
     "64 bits"},
    {"an uncountable input",
     {.input = SHAPE((size_t)1 << 40, (size_t)1 << 40), .kernel = SHAPE(3, 3)},
     "too-large",
     "/input",
     "64 bits"},
    {"an uncountable kernel",
     {.input = SHAPE(3, 3), .kernel = SHAPE((size_t)1 << 40, (size_t)1 << 40)},
     "too-large",
     "/kernel",
     "64 bits"},
    {"an uncountable output",
     {.input = SHAPE(1, 1), .kernel = SHAPE(1, 1), .padding = PAD((size_t)1 << 53, (size_t)1 << 53)},
     "too-large",
     "",
     "output"},
    {"uncountable work",
     {.input = SHAPE((size_t)1 << 40), .kernel = SHAPE((size_t)1 << 40)},
     "too-large",
     "",
     "multiply-adds"},
    {"uncountable bytes",
     {.dtype = CONVOLVE_COMPLEX128, .input = SHAPE((size_t)1 << 60), .kernel = SHAPE(1), .mode = CONVOLVE_SAME},
     "too-large",
     "/input",
     "64 bits"},
    /* The order of faults. */
    {"padding before stride",
     {.input = SHAPE(5), .kernel = SHAPE(3), .mode_given = true, .padding = PAD(1, 1), .stride = EACH(0)},
     "invalid-value",
     "/padding",
     "mode"},
    {"stride before dilation",
     {.input = SHAPE(5), .kernel = SHAPE(3), .dilation = EACH(0), .stride = EACH(0)},
     "invalid-value",
     "/stride",
     "0"},
    {"dilation before axes",
     {.input = SHAPE(5), .kernel = SHAPE(3), .dilation = EACH(0), AXES(7)},
     "invalid-value",
     "/dilation",
     "0"},
    {"axes before shapes", {.input = SHAPE(5), .kernel = SHAPE(3, 3, 3), AXES(7)}, "invalid-value", "/axes", "7"},
    {"shapes before sizes",
     {.input = SHAPE(5, 2), .kernel = SHAPE(1, SIZE_MAX), .mode = CONVOLVE_VALID, .dilation = EACH(SIZE_MAX)},
     "shape-mismatch",
     "/kernel",
     "within the other"},
};

static void faults_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct geometry geometry;
        struct convolve_error error = {0};
        if (geometry_derive(&geometry, &faults[i].spec, &error))
            fail_msg("%s: was accepted", faults[i].name);
        if (strcmp(error.slug, faults[i].slug) != 0 || strcmp(error.pointer, faults[i].pointer) != 0)
            fail_msg("%s: found %s at \"%s\" (%s), expected %s at \"%s\"", faults[i].name, error.slug, error.pointer,
                     error.detail, faults[i].slug, faults[i].pointer);
        if (!strstr(error.detail, faults[i].word))
            fail_msg("%s: the detail lacks \"%s\": %s", faults[i].name, faults[i].word, error.detail);
        const bool too_large = strcmp(error.slug, "too-large") == 0;
        if (too_large != (error.limit != NULL) || error.requested != (too_large ? UINT64_MAX : 0))
            fail_msg("%s: limit %s, requested %llu", faults[i].name, error.limit ? error.limit : "none",
                     (unsigned long long)error.requested);
        assert_false(geometry_derive(&geometry, &faults[i].spec, NULL));
    }
}

static void pitches_and_costs(void **state)
{
    const struct convolve_spec spec = {
        .input = SHAPE(5, 1, 7), .kernel = SHAPE(1, 4, 3), AXES(2), .mode = CONVOLVE_VALID};
    struct geometry geometry;
    (void)state;
    assert_true(geometry_derive(&geometry, &spec, NULL));
    static const size_t input_pitch[] = {7, 0, 1}, kernel_pitch[] = {0, 3, 1}, taps[] = {1, 1, 3};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(geometry.axis[i].input_pitch, input_pitch[i]);
        assert_int_equal(geometry.axis[i].kernel_pitch, kernel_pitch[i]);
        assert_int_equal(geometry.axis[i].taps, taps[i]);
        assert_int_equal(geometry.axis[i].convolved, i == 2);
    }
    assert_int_equal(geometry.output_count, 5 * 4 * 5);
    assert_int_equal(geometry.tap_count, 3);
    assert_int_equal(geometry.multiply_adds, 300);
    assert_true(geometry.flipped);
    assert_false(geometry.conjugated);
}

static void a_lower_rank_has_the_convolved_axes(void **state)
{
    const struct convolve_spec spec = {.operation = CONVOLVE_OP_CORRELATE,
                                       .dtype = CONVOLVE_COMPLEX64,
                                       .input = SHAPE(5, 6, 7),
                                       .kernel = SHAPE(2, 3),
                                       AXES(0, 2)};
    struct geometry geometry;
    (void)state;
    assert_true(geometry_derive(&geometry, &spec, NULL));
    static const size_t input_pitch[] = {42, 7, 1}, kernel_pitch[] = {3, 0, 1};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(geometry.axis[i].input_pitch, input_pitch[i]);
        assert_int_equal(geometry.axis[i].kernel_pitch, kernel_pitch[i]);
    }
    assert_false(geometry.flipped);
    assert_true(geometry.conjugated);
}

/* The walk over the input's elements meets the same terms as the walk over the kernel's. */
static void exchanged_elements_are_the_formulas(void **state)
{
    (void)state;
    for (unsigned flipped = 0; flipped <= 1; flipped++) {
        for (size_t dilation = 1; dilation <= 3; dilation++) {
            const struct convolve_spec spec = {.operation = flipped ? CONVOLVE_OP_CONVOLVE : CONVOLVE_OP_CORRELATE,
                                               .input = SHAPE(3),
                                               .kernel = SHAPE(5),
                                               .mode = CONVOLVE_VALID,
                                               .stride = EACH(2),
                                               .dilation = EACH(dilation)};
            struct geometry geometry;
            assert_true(geometry_derive(&geometry, &spec, NULL));
            assert_true(geometry.exchanged);
            const struct geometry_axis *axis = &geometry.axis[0];
            assert_int_equal(axis->taps, 3);
            size_t met = 0, expected = 0;
            for (size_t output = 0; output < axis->output; output++) {
                for (size_t tap = 0; tap < axis->kernel; tap++) {
                    const int64_t place = (int64_t)(output * 2 + tap * dilation) - (int64_t)axis->before;
                    size_t kernel = SIZE_MAX;
                    if (place < 0 || place >= 3)
                        continue;
                    expected++;
                    assert_true(geometry_exchanged_element(&geometry, 0, output, (size_t)place, &kernel));
                    assert_int_equal(kernel, flipped ? 4 - tap : tap);
                }
                for (size_t input = 0; input < 3; input++) {
                    size_t kernel;
                    met += geometry_exchanged_element(&geometry, 0, output, input, &kernel);
                }
            }
            assert_int_equal(met, expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_scipys),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(pitches_and_costs),
        cmocka_unit_test(a_lower_rank_has_the_convolved_axes),
        cmocka_unit_test(exchanged_elements_are_the_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
