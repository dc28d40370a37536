/* SPDX-License-Identifier: MIT */
/* Arrays as text, in every cut, against the texts of their numbers. */
#include "tests/formats/number_check.h"

static double element_of(enum convolve_dtype dtype, size_t index)
{
    static const double values[] = {1, -2.5, NAN, 0, 1e300, 12, -INFINITY, 0.125, -0.0, 1e-5, 123456.75};
    static const double integers[] = {1, -2, 0, 1000, -123456789, 7};
    return dtype == CONVOLVE_INT64 ? integers[index % 6] : values[index % 11];
}

static void fill_elements(enum convolve_dtype dtype, void *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double value = element_of(dtype, i);
        if (dtype == CONVOLVE_FLOAT64)
            ((double *)values)[i] = value;
        else if (dtype == CONVOLVE_FLOAT32)
            ((float *)values)[i] = (float)value;
        else
            ((int64_t *)values)[i] = (int64_t)value;
    }
}

/* What the nested text must be, by recursion over the axes. */
static char *put_nested(char *out, enum convolve_dtype dtype, const struct convolve_shape *shape, unsigned axis,
                        size_t *index)
{
    if (axis == shape->rank)
        return put_element(out, dtype, element_of(dtype, (*index)++));
    *out++ = '[';
    for (size_t i = 0; i < shape->size[axis]; i++) {
        if (i > 0)
            *out++ = ',';
        out = put_nested(out, dtype, shape, axis + 1, index);
    }
    *out++ = ']';
    return out;
}

/* One piece, appended to `text`; exactly as much memory as the header promises to suffice. */
static size_t append_piece(char *text, size_t length, enum convolve_dtype dtype, const void *values,
                           const struct convolve_shape *shape, size_t begin, size_t end)
{
    const size_t bytes = (end - begin) * (NUMBER_BYTES_MAX + 2 * shape->rank);
    char *const piece = malloc(bytes + 1);
    assert_non_null(piece);
    piece[bytes] = '#';
    const size_t written = (size_t)(number_write_nested(piece, dtype, values, shape, begin, end) - piece);
    assert_true(written <= bytes && piece[bytes] == '#');
    memcpy(text + length, piece, written);
    free(piece);
    return length + written;
}

static void check_nested(enum convolve_dtype dtype, const struct convolve_shape *shape)
{
    static double values[512];
    static char expected[16384], found[16384];
    size_t count, index = 0;
    assert_true(convolve_shape_count(shape, &count) && count <= 512);
    fill_elements(dtype, values, count);
    *put_nested(expected, dtype, shape, 0, &index) = 0;
    for (size_t first = 0; first <= count; first++) {
        for (size_t second = first; second <= count; second += count > 40 ? 7 : 1) {
            size_t length = append_piece(found, 0, dtype, values, shape, 0, first);
            length = append_piece(found, length, dtype, values, shape, first, second);
            length = append_piece(found, length, dtype, values, shape, second, count);
            found[length] = 0;
            if (strcmp(found, expected) != 0)
                fail_msg("rank %u, cut at %zu and %zu: found %s, expected %s", shape->rank, first, second, found,
                         expected);
        }
    }
}

static void test_nested(void **state)
{
    static const struct convolve_shape shapes[] = {
        {0, {0}},
        {1, {1}},
        {1, {2}},
        {1, {11}},
        {1, {40}},
        {2, {1, 1}},
        {2, {3, 4}},
        {2, {4, 3}},
        {2, {1, 5}},
        {2, {5, 1}},
        {2, {2, 20}},
        {3, {2, 3, 4}},
        {3, {1, 1, 1}},
        {3, {2, 1, 3}},
        {4, {2, 2, 2, 2}},
        {8, {1, 1, 1, 1, 1, 1, 1, 1}},
        {8, {1, 2, 1, 2, 1, 2, 1, 2}},
        {2, {10, 33}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (unsigned dtype = CONVOLVE_FLOAT64; dtype <= CONVOLVE_INT64; dtype++)
            check_nested((enum convolve_dtype)dtype, &shapes[i]);
}

static void test_nested_empty(void **state)
{
    static const struct convolve_shape shapes[] = {{1, {0}}, {2, {3, 0}}, {2, {0, 3}}};
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        char text[8];
        *number_write_nested(text, CONVOLVE_FLOAT64, NULL, &shapes[i], 0, 0) = 0;
        assert_string_equal(text, "[]");
    }
}

static void check_flat(enum convolve_dtype dtype, size_t pitch, size_t count)
{
    double values[64];
    char expected[4096], found[4096], *end = expected;
    fill_elements(dtype, values, count * pitch);
    *end++ = '[';
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *end++ = ',';
        end = put_element(end, dtype, element_of(dtype, i * pitch));
    }
    strcpy(end, "]");
    for (size_t first = 0; first <= count; first++)
        for (size_t second = first; second <= count; second++) {
            end = number_write_flat(found, dtype, values, pitch, count, 0, first);
            if (count > 0) {
                end = number_write_flat(end, dtype, values, pitch, count, first, second);
                end = number_write_flat(end, dtype, values, pitch, count, second, count);
            }
            *end = 0;
            assert_string_equal(found, expected);
        }
}

static void test_flat(void **state)
{
    (void)state;
    for (unsigned dtype = CONVOLVE_FLOAT64; dtype <= CONVOLVE_INT64; dtype++)
        for (size_t pitch = 1; pitch <= 2; pitch++)
            for (size_t count = 0; count <= 25; count++)
                check_flat((enum convolve_dtype)dtype, pitch, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_nested_empty),
        cmocka_unit_test(test_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
