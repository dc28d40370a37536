/* SPDX-License-Identifier: MIT */
/* A batch of numbers between the two halves of reading: read.c finds them and copies their digits, read_batch.c makes values. */
#ifndef SERVER_FORMATS_SIMD_READ_BATCH_H
#define SERVER_FORMATS_SIMD_READ_BATCH_H

#include "server/formats/simd/read.h"

#define NUMBER_PASTE(a, b)   a##_##b
#define NUMBER_EXPAND(a, b)  NUMBER_PASTE(a, b)
#define NUMBER_ROUTINE(name) NUMBER_EXPAND(name, ISA)

enum {
    NUMBER_BATCH = 256,
    NUMBER_BATCH_SPARE = 64, /* places behind these that are scribbled on */
    NUMBER_POWER_MAX = 22, /* 10^22 is the last that is a double */
};

/* How many bytes the digits of each number take: characters with zero bytes in front and no point. */
enum number_width {
    NUMBER_WIDTH_4, /* integers */
    NUMBER_WIDTH_8,
    NUMBER_WIDTH_16, /* 15 bytes with the point, so that the digits are a double; perhaps an exponent */
    NUMBER_WIDTH_32, /* 24 bytes with the point, perhaps an exponent */
};
#define number_slot_bytes(width) (4u << (width))

struct number_batch {
    _Alignas(64) char slots[(NUMBER_BATCH + NUMBER_BATCH_SPARE) * 32];
    /* Not for NUMBER_WIDTH_4: one more than there are digits behind the point, 0 without a point. */
    unsigned char gaps[NUMBER_BATCH + NUMBER_BATCH_SPARE];
    const char *at; /* where its first block begins: behind the number before it */
    size_t count;
    unsigned most; /* numbers in one block */
    enum number_width width;
    bool points; /* some number has one */
    bool exponents; /* some number has one: then each one's text, at most its last four bytes, zeros elsewhere */
    signed char signs[NUMBER_BATCH + NUMBER_BATCH_SPARE]; /* -1 or 0 */
    _Alignas(64) uint32_t exponent_texts[NUMBER_BATCH + NUMBER_BATCH_SPARE];
};

/* Appends the batch, which is not empty, to the reading's values. Returns how many it could take: all, or those before one that
 * is not for the reading's form. */
size_t NUMBER_ROUTINE(number_batch_take)(const struct number_batch *batch, struct number_reading *reading);

#endif
