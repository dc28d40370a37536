/* SPDX-License-Identifier: MIT */
/* The digits of a block's numbers into the slots of a batch: right-aligned, without the point, zero bytes in front. A byte behind
 * the point comes from where the number's end says, a byte before it from one place earlier. AVX-512 moves the bytes of several
 * numbers at once, AVX2 loads each number twice.
 *
 * Loops take more numbers at once than there may be: a jump that depends on how many would be foretold badly. */
#ifndef SERVER_FORMATS_SIMD_READ_SLOTS_H
#define SERVER_FORMATS_SIMD_READ_SLOTS_H

#include "server/formats/simd/read_batch.h"
#include "server/formats/simd/read_marks.h"

#if defined ISA_avx512 || defined ISA_avx2
#include <string.h>

#define SLOTS_INLINE static inline __attribute__((always_inline))

/* Whether all numbers of a block fit into slots of that width. */
SLOTS_INLINE bool block_fits(const struct block *block, enum number_width width)
{
    /* Bit i: that many bytes of digits and points begin there. */
    const uint64_t one = block->digits_and_points;
    const uint64_t two = one & one >> 1, four = two & two >> 2, eight = four & four >> 4;
    if (width == NUMBER_WIDTH_32)
        return !(eight & eight >> 8 & eight >> 16 & one >> 24);
    if (width == NUMBER_WIDTH_16)
        return !(eight & eight >> 8);
    const uint64_t long_ones = width == NUMBER_WIDTH_4 ? (four & one >> 4) | block->points_alone : eight & one >> 8;
    return !(long_ones | block->exponents);
}

#if defined ISA_avx512

/* Where each byte of a vector of slots comes from, counted from the end of its number, and whose slot it is in. */
#define FROM_4   -4, -3, -2, -1
#define FROM_8   -8, -7, -6, -5, FROM_4
#define FROM_16  -16, -15, -14, -13, -12, -11, -10, -9, FROM_8
#define FROM_32  -32, -31, -30, -29, -28, -27, -26, -25, -24, -23, -22, -21, -20, -19, -18, -17, FROM_16
#define TWICE(x) x, x
#define OF_4(i)  i, i, i, i
#define OF_8(i)  TWICE(OF_4(i))
#define OF_16(i) TWICE(OF_8(i))
#define OF_32(i) TWICE(OF_16(i))

static const struct slot_layout {
    _Alignas(64) signed char from[64];
    _Alignas(64) signed char of[64];
} slot_layouts[] = {
    [NUMBER_WIDTH_4] = {{TWICE(TWICE(TWICE(TWICE(FROM_4))))},
                        {OF_4(0), OF_4(1), OF_4(2), OF_4(3), OF_4(4), OF_4(5), OF_4(6), OF_4(7), OF_4(8), OF_4(9),
                         OF_4(10), OF_4(11), OF_4(12), OF_4(13), OF_4(14), OF_4(15)}},
    [NUMBER_WIDTH_8] = {{TWICE(TWICE(TWICE(FROM_8)))},
                        {OF_8(0), OF_8(1), OF_8(2), OF_8(3), OF_8(4), OF_8(5), OF_8(6), OF_8(7)}},
    [NUMBER_WIDTH_16] = {{TWICE(TWICE(FROM_16))}, {OF_16(0), OF_16(1), OF_16(2), OF_16(3)}},
    [NUMBER_WIDTH_32] = {{TWICE(FROM_32)}, {OF_32(0), OF_32(1)}},
};

/* The places of a mask's bits, in order; behind them zeros. */
SLOTS_INLINE __m512i places(uint64_t mask)
{
    static const _Alignas(64) unsigned char bytes[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    return _mm512_maskz_compress_epi8(mask, _mm512_load_si512(bytes));
}

static const unsigned numbers_at_once[] = {32, 8, 8, 4};

SLOTS_INLINE void put_digits(struct number_batch *batch, size_t count, const char *at, const struct block *block,
                             enum number_width width)
{
    const unsigned at_once = numbers_at_once[width];
    const unsigned slot_bytes = number_slot_bytes(width), slots_each = 64 / slot_bytes;
    const struct slot_layout *layout = &slot_layouts[width];
    const __m512i text = _mm512_loadu_si512(at), from = _mm512_load_si512(layout->from);
    const __m512i starts = places(block->starts), ends = places(block->digit_ends);
    __m512i points = _mm512_set1_epi8(-1), of = _mm512_load_si512(layout->of);
    char *slots = batch->slots + slot_bytes * count;
    if (width != NUMBER_WIDTH_4) {
        const __m512i marks = places(block->points), gaps = _mm512_sub_epi8(ends, marks);
        points = _mm512_mask_mov_epi8(points, _mm512_test_epi8_mask(gaps, gaps), marks);
        _mm512_storeu_si512(batch->gaps + count, gaps);
    }
    for (unsigned done = 0; done < at_once || done < block->count; done += slots_each) {
        __m512i source = _mm512_add_epi8(_mm512_permutexvar_epi8(of, ends), from);
        if (width != NUMBER_WIDTH_4) {
            const __mmask64 early = _mm512_cmple_epi8_mask(source, _mm512_permutexvar_epi8(of, points));
            source = _mm512_mask_sub_epi8(source, early, source, _mm512_set1_epi8(1));
        }
        const __mmask64 inside = _mm512_cmpge_epi8_mask(source, _mm512_permutexvar_epi8(of, starts));
        _mm512_storeu_si512(slots + slot_bytes * done, _mm512_maskz_permutexvar_epi8(inside, source, text));
        of = _mm512_add_epi8(of, _mm512_set1_epi8((char)slots_each));
    }
}

SLOTS_INLINE void put_signs(signed char *signs, uint64_t negative)
{
    _mm512_storeu_si512(signs, _mm512_movm_epi8(negative));
}

#else

/* Beyond the last number each mark is at 64, which gives bytes that nobody looks at. */
struct place {
    uint64_t end, gap, digits;
};

struct places {
    uint64_t starts, points, ends;
};

SLOTS_INLINE struct place next_place(struct places *places)
{
    const uint64_t end = _tzcnt_u64(places->ends), gap = end - _tzcnt_u64(places->points);
    const uint64_t digits = end - _tzcnt_u64(places->starts) - (gap != 0);
    places->starts = _blsr_u64(places->starts);
    places->points = _blsr_u64(places->points);
    places->ends = _blsr_u64(places->ends);
    return (struct place){end, gap, digits};
}

/* Bytes from index 32 on. */
#define NONE_8 0, 0, 0, 0, 0, 0, 0, 0
#define FULL_8 -1, -1, -1, -1, -1, -1, -1, -1
static const signed char sliding[96] = {NONE_8, NONE_8, NONE_8, NONE_8, FULL_8, FULL_8,
                                        FULL_8, FULL_8, FULL_8, FULL_8, FULL_8, FULL_8};

/* Which bytes of a slot stand behind the point: the last bytes of 32. Without a point all do. */
SLOTS_INLINE const signed char *behind_point(uint64_t gap)
{
    return sliding + ((gap - 1) & 63);
}

SLOTS_INLINE void put_one(struct number_batch *batch, size_t index, const char *at, struct place place,
                          enum number_width width)
{
    const signed char *behind = behind_point(place.gap), *kept = sliding + place.digits;
    const char *end = at + place.end;
    char *slot = batch->slots + number_slot_bytes(width) * index;
    if (width == NUMBER_WIDTH_4) {
        uint32_t word;
        memcpy(&word, end - 4, 4);
        word &= ~(uint32_t)0 << ((32 - 8 * place.digits) & 31);
        memcpy(slot, &word, 4);
        return;
    }
    batch->gaps[index] = (unsigned char)place.gap;
    if (width == NUMBER_WIDTH_8) {
        uint64_t word, earlier, late;
        memcpy(&word, end - 8, 8);
        memcpy(&earlier, end - 9, 8);
        memcpy(&late, behind + 24, 8);
        word = (word & late) | (earlier & ~late);
        word &= ~(uint64_t)0 << ((64 - 8 * place.digits) & 63);
        memcpy(slot, &word, 8);
    } else if (width == NUMBER_WIDTH_16) {
        const __m128i word = _mm_loadu_si128((const void *)(end - 16));
        const __m128i earlier = _mm_loadu_si128((const void *)(end - 17));
        const __m128i late = _mm_loadu_si128((const void *)(behind + 16));
        const __m128i mine = _mm_loadu_si128((const void *)(kept + 16));
        _mm_store_si128((void *)slot, _mm_and_si128(_mm_blendv_epi8(earlier, word, late), mine));
    } else {
        const __m256i word = _mm256_loadu_si256((const void *)(end - 32));
        const __m256i earlier = _mm256_loadu_si256((const void *)(end - 33));
        const __m256i late = _mm256_loadu_si256((const void *)behind);
        const __m256i mine = _mm256_loadu_si256((const void *)kept);
        _mm256_store_si256((void *)slot, _mm256_and_si256(_mm256_blendv_epi8(earlier, word, late), mine));
    }
}

static const unsigned numbers_at_once[] = {1, 1, 3, 3};

SLOTS_INLINE void put_digits(struct number_batch *batch, size_t count, const char *at, const struct block *block,
                             enum number_width width)
{
    const unsigned at_once = numbers_at_once[width];
    struct places places = {block->starts, width == NUMBER_WIDTH_4 ? block->digit_ends : block->points,
                            block->digit_ends};
    /* Of short numbers as many as the fullest block of the batch had. */
    if (width <= NUMBER_WIDTH_8 && batch->most < block->count)
        batch->most = block->count;
    const unsigned most = width <= NUMBER_WIDTH_8 ? batch->most : block->count;
    for (unsigned done = 0; done < most; done += at_once) {
        for (unsigned i = 0; i < at_once; i++)
            put_one(batch, count + done + i, at, next_place(&places), width);
    }
}

/* For at most 32 numbers. */
SLOTS_INLINE void put_signs(signed char *signs, uint64_t negative)
{
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32((int)negative), byte);
    _mm256_storeu_si256((void *)signs, _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit));
}

#endif

/* Whether some exponent has five characters or more. */
SLOTS_INLINE bool has_long_exponent(const struct block *block)
{
    const uint64_t inside = block->digits_and_points, second = block->exponents << 2 & inside;
    return second & inside >> 1 & inside >> 2 & inside >> 3;
}

SLOTS_INLINE void put_exponents(struct number_batch *batch, size_t count, const char *at, const struct block *block)
{
    static const uint32_t kept[8] = {0, 0, 0xff000000, 0xffff0000, 0xffffff00, 0xffffffff}; /* by bytes from the e on */
    uint64_t ends = block->ends, digit_ends = block->digit_ends;
    if (!batch->exponents)
        memset(batch->exponent_texts, 0, count * sizeof *batch->exponent_texts);
    batch->exponents = true;
    for (unsigned done = 0; done < block->count; done += 4) {
        for (unsigned i = 0; i < 4; i++) {
            const uint64_t end = _tzcnt_u64(ends);
            uint32_t word;
            memcpy(&word, at + end - 4, 4);
            batch->exponent_texts[count + done + i] = word & kept[(end - _tzcnt_u64(digit_ends)) & 7];
            ends = _blsr_u64(ends);
            digit_ends = _blsr_u64(digit_ends);
        }
    }
}

/* At place `count` of the batch, all at most as long as `width` has it. */
SLOTS_INLINE void put_block(struct number_batch *batch, size_t count, const char *at, const struct block *block,
                            enum number_width width)
{
    put_digits(batch, count, at, block, width);
    if (width == NUMBER_WIDTH_16 || width == NUMBER_WIDTH_32) {
        if (block->exponents)
            put_exponents(batch, count, at, block);
        else if (batch->exponents)
            memset(batch->exponent_texts + count, 0, block->count * sizeof *batch->exponent_texts);
    }
    put_signs(batch->signs + count, block->negative);
}

#endif
#endif
