/* SPDX-License-Identifier: MIT */
/* Lists of numbers by compare masks: 64 bytes at a time become one bit per byte for digits, commas, points and so on, and the
 * grammar is checked by arithmetic on these. Then each number's digits are copied, right-aligned and without the point, into a
 * slot of a batch, which read_batch.c turns into values side by side.
 *
 * Each block begins behind a number and ends behind one, so that nothing is carried from block to block. What is not regular is
 * left to the byte machine.
 *
 * The set avx512 needs VBMI and VBMI2 here, beyond what it needs elsewhere: dispatch.c takes avx2 where they lack. */
#include "server/formats/simd/read_batch.h"

#define QUOTE(name)    #name
#define TO_STRING(isa) QUOTE(isa)

#if defined ISA_avx512 || defined ISA_avx2

#include <string.h>

#include "server/formats/simd/read_slots.h"

enum {
    BATCHES_AT_WIDTH = 16, /* until narrow slots are tried again */
    USUAL_NUMBERS_MIN = 32,
};

/* Lists that end in the block, each followed by a comma and as many that begin: whether the shape has them there. */
static bool take_rows(struct number_reading *reading, const struct block *block)
{
    const unsigned inner = reading->axes - 1;
    uint64_t closing = block->closing;
    unsigned counted = 0;
    if (__builtin_popcountll(block->opening) != __builtin_popcountll(closing))
        return false;
    while (closing) {
        const unsigned place = (unsigned)__builtin_ctzll(closing);
        const uint64_t before = bits_below(place), starts = block->starts & ~before;
        const uint64_t gap = (starts ^ (starts - 1)) & ~before; /* up to the next number */
        const unsigned depth = (unsigned)__builtin_popcountll(closing & gap);
        const unsigned count = (unsigned)__builtin_popcountll(block->starts & before);
        if (depth != (unsigned)__builtin_popcountll(block->opening & gap) || count - counted != reading->left[inner])
            return false;
        reading->left[inner] = reading->size[inner];
        unsigned axis = inner, ended = 1;
        while (axis > 0 && --reading->left[axis - 1] == 0) {
            axis--;
            ended++;
            reading->left[axis] = reading->size[axis];
        }
        if (axis == 0 || ended != depth)
            return false;
        closing &= ~gap;
        counted = count;
    }
    counted = block->count - counted;
    if (counted > reading->left[inner])
        return false;
    reading->left[inner] -= counted;
    return true;
}

/* Behind number `count` of those from `at` on, which were all found before. */
static const char *find_end(const char *at, size_t count)
{
    struct block block = {0};
    while (find_numbers(&block, at) && count > block.count) {
        count -= block.count;
        at += block.bytes;
    }
    while (--count > 0)
        block.ends &= block.ends - 1;
    return at + __builtin_ctzll(block.ends);
}

/* NULL, or if the batch cannot be taken whole, what is behind the last number taken. */
static const char *take_batch(const struct number_batch *batch, struct number_reading *reading)
{
    const size_t count = batch->count, taken = count ? NUMBER_ROUTINE(number_batch_take)(batch, reading) : 0;
    if (taken == count)
        return NULL;
    return taken ? find_end(batch->at, taken) : batch->at;
}

enum stop { STOP_BATCH, STOP_WIDTH, STOP_RUN }; /* batch full, a number too wide for it, something else in the way */

/* Fills an empty batch with blocks that begin from `at` on and not behind `last`. Returns behind its last number. */
SLOTS_INLINE const char *fill_batch(struct number_batch *batch, struct number_reading *reading, const char *at,
                                    const char *last, enum number_width width, enum stop *stop)
{
    size_t *const left = &reading->left[reading->axes - 1];
    const bool only_integers = reading->form == NUMBERS_INT64;
    size_t count = 0, row_left = *left;
    uint64_t points = 0;
    struct block block;
    *stop = STOP_BATCH;
    batch->exponents = false;
    batch->most = 0;
    for (; *stop == STOP_BATCH && at <= last; at += block.bytes) {
        if (!find_numbers(&block, at) || (only_integers && (block.points_alone | block.exponents))) {
            *stop = STOP_RUN;
            break;
        }
        if (count + block.count > NUMBER_BATCH)
            break;
        if (!block_fits(&block, width)) {
            *stop = STOP_WIDTH;
            break;
        }
        if (block.exponents && has_long_exponent(&block)) {
            *stop = STOP_RUN;
            break;
        }
        if (block.closing | block.opening) {
            *left = row_left;
            if (!take_rows(reading, &block)) {
                *stop = STOP_RUN;
                break;
            }
            row_left = *left;
        } else {
            if (block.count > row_left) {
                *stop = STOP_RUN;
                break;
            }
            row_left -= block.count;
        }
        put_block(batch, count, at, &block, width);
        count += block.count;
        points |= block.points_alone;
        if (block.spoiled)
            *stop = STOP_RUN;
    }
    *left = row_left;
    batch->count = count;
    batch->width = width;
    batch->points = points != 0;
    return at;
}

static const char *fill_any_batch(struct number_batch *batch, struct number_reading *reading, const char *at,
                                  const char *last, enum number_width width, enum stop *stop)
{
    batch->at = at;
    switch (width) {
    case NUMBER_WIDTH_4:
        return fill_batch(batch, reading, at, last, NUMBER_WIDTH_4, stop);
    case NUMBER_WIDTH_8:
        return fill_batch(batch, reading, at, last, NUMBER_WIDTH_8, stop);
    case NUMBER_WIDTH_16:
        return fill_batch(batch, reading, at, last, NUMBER_WIDTH_16, stop);
    default:
        return fill_batch(batch, reading, at, last, NUMBER_WIDTH_32, stop);
    }
}

/* Which width the next batch has. What is too wide for it is either usual, or rare enough to have a batch of its own. */
struct widths {
    enum number_width now, usual;
    size_t batches, numbers; /* since the present usual width has begun */
};

static bool next_width(struct widths *widths, const struct number_batch *batch, enum stop stop)
{
    widths->numbers += batch->count;
    if (stop == STOP_WIDTH) {
        if (widths->numbers < USUAL_NUMBERS_MIN) /* too few to call it usual */
            widths->usual = widths->now + 1;
        return widths->now++ < NUMBER_WIDTH_32;
    }
    if (widths->now != widths->usual) {
        widths->numbers = 0;
        widths->now = widths->usual;
    } else if (++widths->batches % BATCHES_AT_WIDTH == 0) {
        widths->numbers = 0;
        widths->now = widths->usual = NUMBER_WIDTH_4;
    }
    return true;
}

static const char *read_run(struct number_reading *reading, const char *at)
{
    /* One batch is filled before the other becomes values: what was written a moment ago could not be read back at once. */
    struct number_batch batches[2], *full = NULL;
    struct widths widths = {NUMBER_WIDTH_4, NUMBER_WIDTH_4, 0, 0};
    const bool enough = reading->room - reading->count >= NUMBER_READ_ROOM_FOR((size_t)(reading->end - at));
    const char *last = reading->end - NUMBER_READ_AHEAD, *early;
    enum stop stop = STOP_BATCH;
    while (stop != STOP_RUN && at <= last) {
        struct number_batch *batch = &batches[full == &batches[0]];
        if (!enough && reading->room - reading->count < NUMBER_READ_ROOM) {
            reading->full = true;
            break;
        }
        at = fill_any_batch(batch, reading, at, widths.now == widths.usual ? last : at, widths.now, &stop);
        if (full && (early = take_batch(full, reading)))
            return early;
        full = batch;
        if (stop != STOP_RUN && !next_width(&widths, batch, stop))
            break;
    }
    return full && (early = take_batch(full, reading)) ? early : at;
}

#define READ_RUN read_run
#else
#define READ_RUN NULL
#endif

const struct number_reader NUMBER_ROUTINE(number_reader) = {TO_STRING(ISA), READ_RUN};
