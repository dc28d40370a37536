/* SPDX-License-Identifier: MIT */
/* Any text that is a JSON number reads as strtod reads it, and what is read is written so that it reads back. It is no longer than
 * the text it came from, but where the form costs: integers below 10^16 are plain (100000, not 1e5), and beside an exponent
 * stands one digit before the point (1.2e16, not 12e15), which takes the point and at most one more digit of the exponent. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/formats/number_read.h"
#include "server/formats/number_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t skip_digits(const char *text, size_t at, size_t size)
{
    while (at < size && text[at] >= '0' && text[at] <= '9')
        at++;
    return at;
}

/* The length of the JSON number at the start of the text; 0 where there is none. */
static size_t number_length(const char *text, size_t size)
{
    size_t at = size > 0 && text[0] == '-';
    const size_t first = at;
    at = skip_digits(text, at, size);
    if (at == first)
        return 0;
    if (text[first] == '0')
        at = first + 1;
    if (at + 1 < size && text[at] == '.' && skip_digits(text, at + 1, size) > at + 1)
        at = skip_digits(text, at + 1, size);
    if (at + 1 < size && (text[at] == 'e' || text[at] == 'E')) {
        const size_t digits = at + 1 + (text[at + 1] == '+' || text[at + 1] == '-');
        if (skip_digits(text, digits, size) > digits)
            at = skip_digits(text, digits, size);
    }
    return at;
}

static void check(bool holds, const char *text, double found, double expected)
{
    if (holds)
        return;
    fprintf(stderr, "%s: found %a, expected %a\n", text, found, expected);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *const text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    const size_t length = number_length(text, size);
    text[length] = 0;
    if (length > 0) {
        char written[NUMBER_BYTES_MAX + 1];
        const double expected = strtod(text, NULL), found = number_read_text(text, length);
        check(memcmp(&found, &expected, sizeof found) == 0, text, found, expected);
        if (isfinite(found)) {
            *number_write_float64(written, found) = 0;
            const double again = strtod(written, NULL);
            check(memcmp(&found, &again, sizeof found) == 0, written, again, found);
            const bool plain = fabs(found) < 1e16 && found == trunc(found);
            check(plain || strlen(written) <= length + 2, text, found, found);
            *number_write_float32(written, isfinite((float)found) ? (float)found : 0) = 0;
            check(!isfinite((float)found) || strtof(written, NULL) == (float)found, written, found, found);
        }
    }
    free(text);
    return 0;
}
