/* SPDX-License-Identifier: MIT */
/* Whatever base64 accepts encodes to the same text again; pieces, which the first byte cuts, change nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/formats/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The decoded length, or -1. The output has no byte more than is promised to suffice. */
static ptrdiff_t decode_in_two(const char *text, size_t size, size_t cut, unsigned char *out)
{
    struct base64_decoder decoder = {0};
    const ptrdiff_t first = base64_decode(&decoder, text, cut, out);
    if (first < 0)
        return -1;
    const ptrdiff_t second = base64_decode(&decoder, text + cut, size - cut, out + first);
    return second >= 0 && base64_decode_end(&decoder) ? first + second : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const size_t cut = data[0] < size ? data[0] : size - 1;
    const char *const text = (const char *)data + 1;
    const size_t room = (size + 2) / 4 * 3;
    unsigned char *const whole = malloc(room + 1), *const pieces = malloc(room + 7);
    char *const again = malloc((room + 2) / 3 * 4 + 1);
    if (whole == NULL || pieces == NULL || again == NULL)
        goto done;
    const ptrdiff_t length = decode_in_two(text, size - 1, 0, whole);
    if (decode_in_two(text, size - 1, cut < size - 1 ? cut : size - 1, pieces) != length)
        abort();
    if (length >= 0) {
        if (memcmp(whole, pieces, (size_t)length) != 0)
            abort();
        if (base64_encode(again, whole, (size_t)length) != size - 1 || memcmp(again, text, size - 1) != 0)
            abort();
    }
done:
    free(whole);
    free(pieces);
    free(again);
    return 0;
}
