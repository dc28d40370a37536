/* SPDX-License-Identifier: MIT */
/* 64 bytes of text as one bit for each byte and kind, and the grammar of numbers by arithmetic on these: where each number of the
 * block begins, has its point and ends. The classification by one shuffle is Langdale and Lemire's ("Parsing gigabytes of JSON per
 * second", 2019); a sum that carries to the end of a run of bits is a common trick. */
#ifndef SERVER_FORMATS_SIMD_READ_MARKS_H
#define SERVER_FORMATS_SIMD_READ_MARKS_H

#include <stdbool.h>
#include <stdint.h>

#if defined ISA_avx512 || defined ISA_avx2
#include <immintrin.h>

#define MARKS_INLINE static inline __attribute__((always_inline))

/* ---- One bit for each of 64 bytes ---- */

struct marks {
    uint64_t digit, zero, comma, point, minus, space;
};
struct rare_marks {
    uint64_t opening, closing, exponent, plus;
};

/* At each low half of a byte the white space that has it, and elsewhere a byte that has another. */
#define SPACES ' ', -1, -1, -1, -1, -1, -1, -1, -1, '\t', '\n', -1, -1, '\r', -1, -1

/* Constants come from memory: GCC would make them anew from immediates for every block, which takes longer. */
#define ALL_32(c)        c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c
#define ALL_64(c)        ALL_32(c), ALL_32(c)
#define BYTES(name, ...) static const _Alignas(64) signed char name[64] = {__VA_ARGS__}
BYTES(all_zero, ALL_64('0'));
BYTES(all_nine, ALL_64(9));
BYTES(all_comma, ALL_64(','));
BYTES(all_point, ALL_64('.'));
BYTES(all_minus, ALL_64('-'));
BYTES(all_spaces, SPACES, SPACES, SPACES, SPACES);

#if defined ISA_avx512

/* The compiler must not know what is there. */
MARKS_INLINE __m512i constant(const signed char bytes[64])
{
    __asm__("" : "+r"(bytes));
    return _mm512_load_si512(bytes);
}

MARKS_INLINE uint64_t equal_marks(const char *at, __m512i wanted)
{
    return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(at), wanted);
}

MARKS_INLINE uint64_t rare_mark(const char *at, char c)
{
    return equal_marks(at, _mm512_set1_epi8(c));
}

MARKS_INLINE void find_marks(struct marks *marks, const char *at)
{
    const __m512i bytes = _mm512_loadu_si512(at), zero = constant(all_zero);
    marks->digit = _mm512_cmple_epu8_mask(_mm512_sub_epi8(bytes, zero), constant(all_nine));
    marks->zero = equal_marks(at, zero);
    marks->comma = equal_marks(at, constant(all_comma));
    marks->point = equal_marks(at, constant(all_point));
    marks->minus = equal_marks(at, constant(all_minus));
    marks->space = equal_marks(at, _mm512_shuffle_epi8(constant(all_spaces), bytes));
}

#else

MARKS_INLINE __m256i constant(const signed char bytes[64])
{
    __asm__("" : "+r"(bytes));
    return _mm256_load_si256((const void *)bytes);
}

MARKS_INLINE __m256i half(const char *at, unsigned which)
{
    return _mm256_loadu_si256((const void *)(at + 32 * which));
}

MARKS_INLINE uint64_t both_halves(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

MARKS_INLINE uint64_t equal_marks(const char *at, __m256i wanted)
{
    return both_halves(_mm256_cmpeq_epi8(half(at, 0), wanted), _mm256_cmpeq_epi8(half(at, 1), wanted));
}

MARKS_INLINE uint64_t rare_mark(const char *at, char c)
{
    return equal_marks(at, _mm256_set1_epi8(c));
}

MARKS_INLINE __m256i digit_bytes(__m256i bytes)
{
    const __m256i value = _mm256_sub_epi8(bytes, constant(all_zero));
    return _mm256_cmpeq_epi8(_mm256_min_epu8(value, constant(all_nine)), value);
}

MARKS_INLINE __m256i space_bytes(__m256i bytes)
{
    return _mm256_cmpeq_epi8(bytes, _mm256_shuffle_epi8(constant(all_spaces), bytes));
}

MARKS_INLINE void find_marks(struct marks *marks, const char *at)
{
    marks->digit = both_halves(digit_bytes(half(at, 0)), digit_bytes(half(at, 1)));
    marks->zero = equal_marks(at, constant(all_zero));
    marks->comma = equal_marks(at, constant(all_comma));
    marks->point = equal_marks(at, constant(all_point));
    marks->minus = equal_marks(at, constant(all_minus));
    marks->space = both_halves(space_bytes(half(at, 0)), space_bytes(half(at, 1)));
}

#endif

/* ---- Grammar ---- */

/* The numbers of a block: as many bits as numbers in each of the first masks. */
struct block {
    unsigned count;
    unsigned bytes; /* up to the end of the last number */
    uint64_t starts; /* first digits */
    uint64_t points; /* points; of numbers that have none, what ends their digits */
    uint64_t digit_ends; /* what ends the digits: an e, or what ends the number */
    uint64_t ends; /* the byte behind each */
    uint64_t negative; /* by number, not by byte */
    uint64_t digits_and_points; /* bytes, of exponents too */
    uint64_t opening, closing, exponents;
    uint64_t points_alone; /* without what stands for one in `points` */
    bool spoiled; /* something follows that is not for this file */
};

MARKS_INLINE uint64_t bits_below(unsigned count)
{
    return ((uint64_t)1 << count) - 1;
}

/* False: no whole number stands in the block. */
MARKS_INLINE bool judge_marks(struct block *block, const struct marks *marks, const struct rare_marks *rare,
                              uint64_t unknown)
{
    const uint64_t digit = marks->digit, point = marks->point, comma = marks->comma, minus = marks->minus;
    /* What may stand before each; before the first byte stands a number. */
    const uint64_t after_digit = digit << 1, after_value = after_digit | rare->closing << 1 | 1;
    const uint64_t after_gap = (comma | marks->space | rare->opening) << 1, after_e = rare->exponent << 1;
    const uint64_t first = digit & (after_gap | (minus & after_gap) << 1);
    /* Adding the first digit of a run to the mask carries to what is behind the run. */
    const uint64_t fraction_ends = ((point << 1) + digit) & ~digit;
    const uint64_t exponent_digits = digit & (after_e | ((minus | rare->plus) & after_e) << 1);
    const uint64_t exponent_ends = (exponent_digits + digit) & ~digit;
    const uint64_t wrong = unknown | ((point | rare->exponent) & ~after_digit) |
                           ((comma | rare->closing) & ~after_value) | ((marks->space | rare->opening) & ~after_gap) |
                           (minus & ~(after_gap | after_e)) | (rare->plus & ~after_e) | (digit & rare->closing << 1) |
                           ((marks->zero & first) << 1 & digit) | (fraction_ends & point) |
                           (exponent_ends & (point | rare->exponent));
    uint64_t ends = after_digit & ~(digit | point | rare->exponent);
    if (__builtin_expect(wrong != 0, 0))
        ends &= wrong ^ (wrong - 1); /* up to the first wrong byte */
    if (__builtin_expect(ends == 0, 0))
        return false;
    block->bytes = 63 - (unsigned)_lzcnt_u64(ends);
    const uint64_t inside = bits_below(block->bytes);
    block->ends = ends;
    block->exponents = rare->exponent & inside;
    block->digit_ends = block->exponents | (ends & ~exponent_ends);
    block->points_alone = point & inside;
    block->points = block->points_alone | (block->digit_ends & ~fraction_ends);
    block->starts = first & inside;
    block->count = (unsigned)__builtin_popcountll(ends);
    block->negative = _pext_u64(minus << 1, block->starts);
    block->digits_and_points = (digit | point) & inside;
    block->opening = rare->opening & inside;
    block->closing = rare->closing & inside;
    block->spoiled = wrong != 0;
    return true;
}

MARKS_INLINE bool find_numbers(struct block *block, const char *at)
{
    struct marks marks;
    struct rare_marks rare = {0, 0, 0, 0};
    find_marks(&marks, at);
    const uint64_t unknown = ~(marks.digit | marks.comma | marks.point | marks.minus | marks.space);
    if (!unknown)
        return judge_marks(block, &marks, &rare, 0);
    rare.opening = rare_mark(at, '[');
    rare.closing = rare_mark(at, ']');
    rare.exponent = rare_mark(at, 'e') | rare_mark(at, 'E');
    rare.plus = rare_mark(at, '+');
    return judge_marks(block, &marks, &rare, unknown & ~(rare.opening | rare.closing | rare.exponent | rare.plus));
}

#endif
#endif
