/* SPDX-License-Identifier: MIT */
/* Decimal digits to float64, correctly rounded. */
#ifndef SERVER_FORMATS_NUMBER_READ_H
#define SERVER_FORMATS_NUMBER_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* digits * 10^exponent, correctly rounded (Clinger's fast path, then Eisel and Lemire's algorithm). False where 64-bit digits do
 * not decide it: the caller then uses number_read_text. `digits` are exact (at most 19 decimal digits). Infinity where the value
 * is beyond a double. */
bool number_from_digits(uint64_t digits, int64_t exponent, bool negative, double *value);

/* The slow path: `text` is one whole valid JSON number of `length` bytes (any length; not NUL-terminated). Correctly rounded for
 * every input, in the C locale whatever the process's is. Infinity where beyond a double. */
double number_read_text(const char *text, size_t length);

#endif
