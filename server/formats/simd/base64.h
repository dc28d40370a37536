/* SPDX-License-Identifier: MIT */
/* base64 in blocks: what simd/base64.c offers to base64.c, once for each instruction set. A file that is compiled per instruction
 * set includes only headers without inline code. */
#ifndef SERVER_FORMATS_SIMD_BASE64_H
#define SERVER_FORMATS_SIMD_BASE64_H

#include <stddef.h>

struct base64_blocks {
    const char *name; /* of the instruction set */
    /* Whole blocks as far as the text goes on regularly; returns how many characters were taken, a multiple of 4. At `out`
     * there is room for the bytes of all of them. */
    size_t (*decode)(unsigned char *out, const char *text, size_t count);
    /* The other way; returns how many bytes were taken, a multiple of 3. */
    size_t (*encode)(char *out, const unsigned char *bytes, size_t count);
};

/* That of the instruction set that the core has chosen. */
const struct base64_blocks *base64_blocks(void);

extern const struct base64_blocks base64_blocks_scalar, base64_blocks_avx2, base64_blocks_avx512, base64_blocks_neon;

#endif
