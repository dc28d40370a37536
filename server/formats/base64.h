/* SPDX-License-Identifier: MIT */
/* RFC 4648 section 4, padded, no line breaks. */
#ifndef SERVER_FORMATS_BASE64_H
#define SERVER_FORMATS_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Decodes text that comes in pieces. Zero-initialise. */
struct base64_decoder {
    unsigned bits, held; /* characters of an unfinished group of four */
    bool padded, ended;
};

/* Writes at most (count + 3) / 4 * 3 bytes to `out` and returns how many, or -1 where the text is no base64. */
ptrdiff_t base64_decode(struct base64_decoder *decoder, const char *text, size_t count, unsigned char *out);
bool base64_decode_end(const struct base64_decoder *decoder); /* whether the text may end here */

/* Writes 4 * ((bytes + 2) / 3) characters, no NUL. `bytes` must be a multiple of 3 but for the last piece. */
size_t base64_encode(char *out, const void *data, size_t bytes);

#endif
