/* SPDX-License-Identifier: MIT */
/* Numbers to JSON text: the shortest text that reads back to the same value of the dtype, plain where as short as with an
 * exponent (0.01, 12.5, 100; but 1e-3, 15e-8, 1e3); an integral value has no fraction, negative zero is -0. int64 is always
 * plain. Independent of the locale. */
#ifndef SERVER_FORMATS_NUMBER_WRITE_H
#define SERVER_FORMATS_NUMBER_WRITE_H

#include "core/convolve.h"

enum { NUMBER_BYTES_MAX = 32 }; /* more than any one number takes */

/* Each writes at `out` and returns the end; no NUL. The value must be finite. */
char *number_write_float64(char *out, double value);
char *number_write_float32(char *out, float value);
char *number_write_int64(char *out, int64_t value);

/* Elements begin..end (row-major) of a real tensor as they stand in its nested array, with the brackets and commas that belong
 * to them: all elements in pieces, one after another, make the whole text. NaN and infinity become null. Rank 0 is the bare
 * number. Returns the end; takes at most (end - begin) * (NUMBER_BYTES_MAX + 2 * rank) bytes, which all may be scribbled on. A
 * tensor without elements is [], whatever its rank: 2 bytes, for begin and end 0. */
char *number_write_nested(char *out, enum convolve_dtype dtype, const void *values, const struct convolve_shape *shape,
                          size_t begin, size_t end);

/* The same as a flat list, the brackets included (room as for rank 1; an empty list is 2 bytes). `pitch` is the distance of
 * elements (2 for one part of complex pairs; dtype is then that of the part), `count` how many the whole list has. */
char *number_write_flat(char *out, enum convolve_dtype dtype, const void *values, size_t pitch, size_t count,
                        size_t begin, size_t end);

#endif
