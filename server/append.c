/* SPDX-License-Identifier: MIT */
/* Digits come from a table of pairs, so that a number takes half as many divisions as it has digits. */
#include "server/append.h"

#include <string.h>

static const char pairs[201] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                               "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                               "8081828384858687888990919293949596979899";

char *append_text(char *at, const char *text)
{
    const size_t bytes = strlen(text);
    memcpy(at, text, bytes);
    return at + bytes;
}

static unsigned digits_of(uint64_t value)
{
    unsigned count = 1;
    while (value >= 100) {
        value /= 100;
        count += 2;
    }
    return count + (value >= 10);
}

char *append_digits(char *at, uint64_t value, unsigned count)
{
    unsigned left = count;
    for (; left >= 2; left -= 2) {
        memcpy(at + left - 2, pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (left == 1)
        at[0] = (char)('0' + value % 10);
    return at + count;
}

char *append_unsigned(char *at, uint64_t value)
{
    return append_digits(at, value, digits_of(value));
}

/* Eight digits in a word, the first in its lowest byte. */
static uint64_t eight_hex_digits(uint32_t value)
{
    uint64_t word = value; /* halves, quarters and digits move apart */
    word = (word | word << 16) & 0x0000ffff0000ffff;
    word = (word | word << 8) & 0x00ff00ff00ff00ff;
    word = __builtin_bswap64((word | word << 4) & 0x0f0f0f0f0f0f0f0f);
    const uint64_t letters = (word + 0x0606060606060606) >> 4 & 0x0101010101010101;
    return word + 0x3030303030303030 + letters * ('a' - '0' - 10);
}

char *append_hex(char *at, uint64_t value, unsigned count)
{
    const uint64_t words[2] = {eight_hex_digits((uint32_t)(value >> 32)), eight_hex_digits((uint32_t)value)};
    memcpy(at, (const char *)words + sizeof words - count, count);
    return at + count;
}

char *append_milliseconds(char *at, uint64_t ns)
{
    at = ns < 1000000 ? append_text(at, "0") : append_unsigned(at, ns / 1000000);
    *at++ = '.';
    return append_digits(at, ns / 1000 % 1000, 3);
}
