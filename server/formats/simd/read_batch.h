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
    NUMBER_WIDTH_16, /* 15 bytes with the point, so that the digits are a double */
    NUMBER_WIDTH_32, /* 24 bytes with the point, perhaps an exponent */
};
#define number_slot_bytes(width) (4u << (width))

struct number_batch {
    _Alignas(64) char slots[(NUMBER_BATCH + NUMBER_BATCH_SPARE) * 32];
    /* Not for NUMBER_WIDTH_4: the digits are divided by 10^(gap - 1), with 0 by 1. */
    unsigned char gaps[NUMBER_BATCH + NUMBER_BATCH_SPARE];
    const char *at; /* where its first block begins: behind the number before it */
    size_t count;
    enum number_width width;
    bool points; /* some number has one */
    signed char signs[NUMBER_BATCH + NUMBER_BATCH_SPARE]; /* -1 or 0 */
    /* NUMBER_WIDTH_32 only. An exponent of ten that came as text is here, INT_MAX where it is too long; a hard one is not 0 to
     * -22, and its gap is 0. */
    uint64_t written[NUMBER_BATCH / 64], hard[NUMBER_BATCH / 64]; /* a bit for each number */
    int exponents[NUMBER_BATCH];
};

/* Appends the batch, which is not empty, to the reading's values. Returns how many it could take: all, or those before one that
 * is not for the reading's form. */
size_t NUMBER_ROUTINE(number_batch_take)(const struct number_batch *batch, struct number_reading *reading);

#endif
