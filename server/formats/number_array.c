/* SPDX-License-Identifier: MIT */
/* Tensors as JSON text, in pieces: runs of numbers from the routines of the instruction set in use, brackets where rows end.
 * A number brings its comma along; the brackets in front of a row are written with the end of the row before it. */
#include <stdint.h>
#include <string.h>

#include "server/formats/number_write.h"
#include "server/formats/simd/routines.h"

enum {
    GATHERED = 256, /* elements that are copied side by side at a time where they lie apart */
    PIECE_MIN = 8 /* a shorter one has less room behind it than the routines may scribble on */
};

static const struct number_routines *routines_for(size_t count)
{
    return count < PIECE_MIN ? &number_routines_scalar : number_routines();
}

static char *write_numbers(char *out, const struct number_routines *routines, enum convolve_dtype dtype,
                           const void *values, size_t begin, size_t count, struct number_rows *rows)
{
    if (dtype == CONVOLVE_FLOAT64)
        return routines->write_f64(out, (const double *)values + begin, count, rows);
    if (dtype == CONVOLVE_FLOAT32)
        return routines->write_f32(out, (const float *)values + begin, count, rows);
    return routines->write_i64(out, (const int64_t *)values + begin, count, rows);
}

/* The axes outside the rows: how many rows, and rows of rows, are left until each closes. */
struct nesting {
    struct number_rows rows; /* first, so that end_nested_row finds the rest */
    const struct convolve_shape *shape;
    size_t left[CONVOLVE_RANK_MAX];
};

static char *end_nested_row(struct number_rows *rows, char *out)
{
    struct nesting *const nesting = (struct nesting *)rows;
    const struct convolve_shape *const shape = nesting->shape;
    unsigned axis = shape->rank - 1; /* the outermost that ends here */
    out[-1] = ']';
    rows->left = shape->size[axis];
    while (axis > 0 && --nesting->left[axis - 1] == 0) {
        axis--;
        nesting->left[axis] = shape->size[axis];
        *out++ = ']';
    }
    if (axis == 0) /* the whole */
        return out;
    *out++ = ',';
    memset(out, '[', shape->rank - axis);
    return out + shape->rank - axis;
}

char *number_write_nested(char *out, enum convolve_dtype dtype, const void *values, const struct convolve_shape *shape,
                          size_t begin, size_t end)
{
    struct nesting nesting = {.rows.end_row = end_nested_row, .shape = shape};
    const unsigned rank = shape->rank;
    const struct number_routines *const routines = routines_for(end - begin);
    for (unsigned axis = 0; axis < rank; axis++) {
        if (shape->size[axis] == 0) {
            memcpy(out, "[]", 2);
            return out + 2;
        }
    }
    if (begin == end)
        return out;
    if (rank == 0) {
        nesting.rows.left = 2;
        return write_numbers(out, routines, dtype, values, 0, 1, &nesting.rows) - 1;
    }
    size_t index = begin;
    nesting.rows.left = shape->size[rank - 1] - index % shape->size[rank - 1];
    for (unsigned axis = rank - 1; axis > 0; axis--) {
        index /= shape->size[axis];
        nesting.left[axis - 1] = shape->size[axis - 1] - index % shape->size[axis - 1];
    }
    if (begin == 0) {
        memset(out, '[', rank);
        out += rank;
    }
    return write_numbers(out, routines, dtype, values, begin, end - begin, &nesting.rows);
}

static char *end_list(struct number_rows *rows, char *out)
{
    rows->left = SIZE_MAX;
    out[-1] = ']';
    return out;
}

char *number_write_flat(char *out, enum convolve_dtype dtype, const void *values, size_t pitch, size_t count,
                        size_t begin, size_t end)
{
    struct number_rows rows = {count - begin, end_list};
    const struct number_routines *const routines = routines_for(end - begin);
    if (count == 0) {
        memcpy(out, "[]", 2);
        return out + 2;
    }
    if (begin == end)
        return out;
    if (begin == 0)
        *out++ = '[';
    if (pitch == 1)
        return write_numbers(out, routines, dtype, values, begin, end - begin, &rows);
    const size_t bytes = convolve_dtype_bytes(dtype);
    for (size_t index = begin; index < end;) {
        uint64_t gathered[GATHERED];
        const size_t now = end - index < GATHERED ? end - index : GATHERED;
        for (size_t i = 0; i < now; i++)
            memcpy((char *)gathered + i * bytes, (const char *)values + (index + i) * pitch * bytes, bytes);
        out = write_numbers(out, routines, dtype, gathered, 0, now, &rows);
        index += now;
    }
    return out;
}
