/* SPDX-License-Identifier: MIT */
/* The golden files' notation, and tensors as the tests hold them. A case is a line of `member=value` words, then a line of
 * numbers for each tensor. What cannot be read ends the test. */
#ifndef TESTS_CORE_GOLDEN_READ_H
#define TESTS_CORE_GOLDEN_READ_H

#include "core/convolve.h"

#include <stdio.h>

/* Aligned as plans want it; the caller's to free. A failed allocation ends the test. */
void *tensor_memory(size_t bytes);
void tensor_put(enum convolve_dtype dtype, void *tensor, size_t index, struct convolve_scalar value);

FILE *golden_open(const char *path);

/* The members of the next line, one after another to `read`; false at the end of the file. */
typedef void golden_member(void *context, const char *name, char *value);
bool golden_members(FILE *file, golden_member *read, void *context);

/* The values of the next line as a new tensor of `dtype`, NULL where the line is empty. `doubles` (pairs, where complex) and
 * `integers` (int64 only) may be NULL; they get the values unrounded. */
void *golden_values(FILE *file, enum convolve_dtype dtype, const struct convolve_shape *shape, double *doubles,
                    int64_t *integers);

unsigned golden_list(const char *text, int64_t values[CONVOLVE_RANK_MAX]); /* "1,-2"; returns the count */
struct convolve_shape golden_shape(const char *text);
struct convolve_per_axis golden_per_axis(const char *text);
struct convolve_padding golden_padding(const char *text); /* "before:after,..." */
enum convolve_dtype golden_dtype(const char *name);
int golden_word(const char *const *words, int count, const char *word); /* its index */

#endif
