/* SPDX-License-Identifier: MIT */
/* Typed values to the types that are computed in, in blocks: what simd/typed.c offers to json_typed.c, once for each instruction set.
 * A file that is compiled per instruction set includes only headers without inline code. */
#ifndef SERVER_FORMATS_SIMD_TYPED_H
#define SERVER_FORMATS_SIMD_TYPED_H

#include <stdbool.h>
#include <stddef.h>

enum typed_source {
    TYPED_FROM_FLOAT64,
    TYPED_FROM_FLOAT32,
    TYPED_FROM_FLOAT16,
    TYPED_FROM_BFLOAT16,
    TYPED_FROM_INT64,
    TYPED_FROM_INT32,
    TYPED_FROM_INT16,
    TYPED_FROM_INT8,
    TYPED_FROM_UINT64,
    TYPED_FROM_UINT32,
    TYPED_FROM_UINT16,
    TYPED_FROM_UINT8,
    TYPED_FROM_BOOL,
    TYPED_SOURCES,
};
enum typed_target { TYPED_TO_FLOAT64, TYPED_TO_FLOAT32, TYPED_TO_INT64, TYPED_TARGETS };

/* `count` elements, each rounded once; the arrays are aligned to their elements and do not overlap. False: some of them cannot be
 * held (finite and beyond float32, an integer beyond int64). */
typedef bool typed_block(const void *restrict from, void *restrict to, size_t count);

struct typed_blocks {
    const char *name; /* of the instruction set */
    /* NULL from types with fractions to int64, where each element has to be looked at. */
    typed_block *convert[TYPED_SOURCES][TYPED_TARGETS];
};

/* That of the instruction set that the core has chosen. */
const struct typed_blocks *typed_blocks(void);

extern const struct typed_blocks typed_blocks_scalar, typed_blocks_avx2, typed_blocks_avx512, typed_blocks_neon;

#endif
