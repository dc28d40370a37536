/* SPDX-License-Identifier: MIT */
/* What the dtypes and methods are called and how large a tensor is: the few facts that everything else asks for. */
#include "core/convolve.h"

#include <assert.h>
#include <stdio.h>

static const struct {
    const char *name;
    size_t bytes;
    bool complex;
} dtypes[CONVOLVE_DTYPE_COUNT] = {
    [CONVOLVE_FLOAT64] = {"float64", 8, false},    [CONVOLVE_FLOAT32] = {"float32", 4, false},
    [CONVOLVE_INT64] = {"int64", 8, false},        [CONVOLVE_COMPLEX128] = {"complex128", 16, true},
    [CONVOLVE_COMPLEX64] = {"complex64", 8, true},
};

size_t convolve_dtype_bytes(enum convolve_dtype dtype)
{
    assert((unsigned)dtype < CONVOLVE_DTYPE_COUNT);
    return dtypes[dtype].bytes;
}

const char *convolve_dtype_name(enum convolve_dtype dtype)
{
    assert((unsigned)dtype < CONVOLVE_DTYPE_COUNT);
    return dtypes[dtype].name;
}

bool convolve_dtype_is_complex(enum convolve_dtype dtype)
{
    assert((unsigned)dtype < CONVOLVE_DTYPE_COUNT);
    return dtypes[dtype].complex;
}

const char *convolve_method_name(enum convolve_method method)
{
    static const char *const names[] = {
        [CONVOLVE_AUTO] = "auto", [CONVOLVE_DIRECT] = "direct",           [CONVOLVE_SEPARABLE] = "separable",
        [CONVOLVE_FFT] = "fft",   [CONVOLVE_OVERLAP_ADD] = "overlap_add", [CONVOLVE_WINOGRAD] = "winograd",
    };
    assert((unsigned)method < sizeof names / sizeof names[0]);
    return names[method];
}

bool convolve_shape_count(const struct convolve_shape *shape, size_t *count)
{
    /* A zero-length axis makes the product 0 however long the others are, before or after it. */
    for (unsigned axis = 0; axis < shape->rank; axis++) {
        if (shape->size[axis] == 0) {
            *count = 0;
            return true;
        }
    }
    size_t product = 1;
    for (unsigned axis = 0; axis < shape->rank; axis++) {
        if (__builtin_mul_overflow(product, shape->size[axis], &product))
            return false;
    }
    *count = product;
    return true;
}

struct convolve_shape_text convolve_shape_text(const struct convolve_shape *shape)
{
    struct convolve_shape_text text = {"["};
    size_t used = 1;
    for (unsigned axis = 0; axis < shape->rank; axis++)
        used +=
            (size_t)snprintf(text.text + used, sizeof text.text - used, "%s%zu", axis ? ", " : "", shape->size[axis]);
    snprintf(text.text + used, sizeof text.text - used, "]");
    return text;
}
