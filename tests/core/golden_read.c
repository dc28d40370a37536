/* SPDX-License-Identifier: MIT */
/* Reads the golden files, of filters and of layers. */
#include "tests/core/golden_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *tensor_memory(size_t bytes)
{
    const size_t alignment = CONVOLVE_ALIGNMENT;
    void *const memory = aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
    assert_non_null(memory);
    return memory;
}

void tensor_put(enum convolve_dtype dtype, void *tensor, size_t index, struct convolve_scalar value)
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

FILE *golden_open(const char *path)
{
    FILE *const file = fopen(path, "r");
    if (!file)
        fail_msg("%s cannot be read: start the test in the project's root", path);
    return file;
}

bool golden_members(FILE *file, golden_member *read, void *context)
{
    char *line = NULL, *rest;
    size_t size = 0;
    const bool found = getline(&line, &size, file) >= 0;
    for (char *word = found ? strtok_r(line, " \n", &rest) : NULL; word; word = strtok_r(NULL, " \n", &rest)) {
        char *const equals = strchr(word, '=');
        assert_non_null(equals);
        *equals = '\0';
        read(context, word, equals + 1);
    }
    free(line);
    return found;
}

void *golden_values(FILE *file, enum convolve_dtype dtype, const struct convolve_shape *shape, double *doubles,
                    int64_t *integers)
{
    const size_t parts = convolve_dtype_is_complex(dtype) ? 2 : 1;
    char *line = NULL, *rest;
    size_t size = 0, count;
    void *tensor = NULL;
    assert_true(getline(&line, &size, file) > 0);
    assert_true(convolve_shape_count(shape, &count));
    if (line[0] != '\n') {
        tensor = tensor_memory(count * convolve_dtype_bytes(dtype));
        rest = line;
        for (size_t i = 0; i < count * parts; i++) {
            char *const begin = rest;
            if (dtype == CONVOLVE_INT64) {
                const int64_t value = strtoll(begin, &rest, 10);
                ((int64_t *)tensor)[i] = value;
                if (integers)
                    integers[i] = value;
                if (doubles)
                    doubles[i] = (double)value;
            } else {
                const double value = strtod(begin, &rest);
                if (dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64)
                    ((float *)tensor)[i] = (float)value;
                else
                    ((double *)tensor)[i] = value;
                if (doubles)
                    doubles[i] = value;
            }
            assert_true(rest != begin);
        }
        assert_int_equal(*rest, '\n');
    }
    free(line);
    return tensor;
}

unsigned golden_list(const char *text, int64_t values[CONVOLVE_RANK_MAX])
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

struct convolve_shape golden_shape(const char *text)
{
    int64_t sizes[CONVOLVE_RANK_MAX];
    struct convolve_shape shape = {.rank = golden_list(text, sizes)};
    for (unsigned axis = 0; axis < shape.rank; axis++)
        shape.size[axis] = (size_t)sizes[axis];
    return shape;
}

struct convolve_per_axis golden_per_axis(const char *text)
{
    const struct convolve_shape list = golden_shape(text);
    struct convolve_per_axis member = {.given = true, .count = list.rank};
    memcpy(member.value, list.size, sizeof member.value);
    return member;
}

struct convolve_padding golden_padding(const char *text)
{
    struct convolve_padding padding = {.given = true};
    while (*text) {
        char *end;
        assert_true(padding.count < CONVOLVE_RANK_MAX);
        padding.before[padding.count] = strtoull(text, &end, 10);
        assert_int_equal(*end, ':');
        padding.after[padding.count++] = strtoull(end + 1, &end, 10);
        text = end + (*end == ',');
    }
    return padding;
}

enum convolve_dtype golden_dtype(const char *name)
{
    for (int dtype = 0; dtype < CONVOLVE_DTYPE_COUNT; dtype++)
        if (strcmp(convolve_dtype_name((enum convolve_dtype)dtype), name) == 0)
            return (enum convolve_dtype)dtype;
    fail_msg("nobody knows the dtype \"%s\"", name);
    return CONVOLVE_FLOAT64;
}

int golden_word(const char *const *words, int count, const char *word)
{
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    fail_msg("nobody knows \"%s\"", word);
    return -1;
}
