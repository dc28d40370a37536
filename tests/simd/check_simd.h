/* SPDX-License-Identifier: MIT */
/* What a check of a routine is made of. Checks that fill a file of their own include this and are called from the list. */
#ifndef TESTS_SIMD_CHECK_SIMD_H
#define TESTS_SIMD_CHECK_SIMD_H

#include <stddef.h>
#include <stdint.h>

uint64_t check_random(void);

/* Memory that ends where an unreadable page begins; the same for the same arena (0 .. 3). */
void *check_memory(unsigned arena, size_t bytes);

void check_fill_f32(float *values, size_t count);
void check_fill_f64(double *values, size_t count);
void check_fill_u64(uint64_t *values, size_t count);

void check_failed(const char *set, const char *routine, size_t count, const char *what);
void check_same(const char *set, const char *routine, size_t count, const void *expected, const void *found,
                size_t bytes);

#endif
