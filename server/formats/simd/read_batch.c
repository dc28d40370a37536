/* SPDX-License-Identifier: MIT */
/* Slots of digits to values, a vector of numbers at a time: pairs of digits, fours and eights by multiply-and-add, then one division
 * by a power of ten. Up to 15 digits and 10^22 both are doubles, so one division rounds once (Clinger, 1990). Up to 19 digits an
 * approximate quotient is mended by what is missing, which is known far more exactly than to the last bit; where even that could
 * matter, and for other powers, number_read.c decides. */
#include "server/formats/simd/read_batch.h"

#if defined ISA_avx512 || defined ISA_avx2

#include <math.h>
#include <string.h>

#include "server/formats/number_read.h"
#include "server/formats/simd/lanes.h"

#if defined ISA_avx512
typedef __m512i vector;
#define VECTOR(op) _mm512_##op
#define LOAD(at)   _mm512_load_si512(at)
#define AND(a, b)  _mm512_and_si512(a, b)
#else
typedef __m256i vector;
#define VECTOR(op) _mm256_##op
#define LOAD(at)   _mm256_load_si256((const void *)(at))
#define AND(a, b)  _mm256_and_si256(a, b)
#endif

/* By gap, of which five bits are looked at: behind a batch's numbers stands anything. */
static const _Alignas(64) double powers[32] = {1,    1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10,
                                               1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const _Alignas(64) double inverse_powers[32] = {1,     1,     1e-1,  1e-2,  1e-3,  1e-4,  1e-5,  1e-6,
                                                       1e-7,  1e-8,  1e-9,  1e-10, 1e-11, 1e-12, 1e-13, 1e-14,
                                                       1e-15, 1e-16, 1e-17, 1e-18, 1e-19, 1e-20, 1e-21, 1e-22};

static const uint64_t whole_max = (uint64_t)1 << 53;

/* ---- Digits to integers ---- */

/* Each four characters to one 32-bit integer. */
LANES_INLINE vector fours(const char *slots)
{
    const vector digits = AND(LOAD(slots), VECTOR(set1_epi8)(0x0f)); /* 0 where no character is */
    const vector pairs = VECTOR(maddubs_epi16)(digits, VECTOR(set1_epi16)(10 | 1 << 8));
    return VECTOR(madd_epi16)(pairs, VECTOR(set1_epi32)(100 | 1 << 16));
}

/* Each sixteen characters of a and of b to two 32-bit integers side by side, within 128 bits those of a first. */
LANES_INLINE lanes eights(vector a, vector b)
{
    return (lanes)VECTOR(madd_epi16)(VECTOR(packus_epi32)(a, b), VECTOR(set1_epi32)(10000 | 1 << 16));
}

/* Two 32-bit integers side by side, the first times `scale`. */
LANES_INLINE lanes join(lanes parts, uint64_t scale)
{
    return multiply_low(parts, all_lanes(scale)) + (parts >> 32);
}

LANES_INLINE lanes integers_8(const char *slots)
{
    return join((lanes)fours(slots), 10000);
}

LANES_INLINE lanes integers_16(const char *slots)
{
    const lanes parts = eights(fours(slots), fours(slots + 8 * LANES));
#if defined ISA_avx512
    const vector order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    return join((lanes)_mm512_permutexvar_epi64(order, (vector)parts), 100000000);
#else
    return join((lanes)_mm256_permute4x64_epi64((vector)parts, 0xd8), 100000000);
#endif
}

/* `high` is what stands before the last sixteen digits. */
LANES_INLINE void integers_32(const char *slots, lanes *high, lanes *low)
{
    const lanes ab = eights(fours(slots), fours(slots + 8 * LANES));
    const lanes cd = eights(fours(slots + 16 * LANES), fours(slots + 24 * LANES));
    lanes upper, lower;
#if defined ISA_avx512
    /* Of slots 0 and 2, upper and lower halves, then of 1 and 3. */
    const vector upper_order = _mm512_setr_epi64(0, 4, 1, 5, 8, 12, 9, 13);
    const vector lower_order = _mm512_setr_epi64(2, 6, 3, 7, 10, 14, 11, 15);
    upper = (lanes)_mm512_permutex2var_epi64((vector)ab, upper_order, (vector)cd);
    lower = (lanes)_mm512_permutex2var_epi64((vector)ab, lower_order, (vector)cd);
#else
    upper = (lanes)_mm256_permute2x128_si256((vector)ab, (vector)cd, 0x20);
    lower = (lanes)_mm256_permute2x128_si256((vector)ab, (vector)cd, 0x31);
#endif
    *high = upper >> 32; /* no slot has more than 24 digits */
    *low = join(lower, 100000000);
}

/* ---- Powers and signs ---- */

LANES_INLINE lanes_f64 pick_powers(const double *of, const unsigned char *gaps, enum number_width width)
{
#if defined ISA_avx512
    const __m512i index = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const void *)gaps));
    const __m512d low = _mm512_load_pd(of), middle = _mm512_load_pd(of + 8);
    if (width == NUMBER_WIDTH_8)
        return (lanes_f64)_mm512_permutexvar_pd(index, low);
    const __m512d lower = _mm512_permutex2var_pd(low, index, middle);
    if (width == NUMBER_WIDTH_16)
        return (lanes_f64)lower;
    const __mmask8 is_high = _mm512_cmpge_epi64_mask(index, _mm512_set1_epi64(16));
    return (lanes_f64)_mm512_mask_permutexvar_pd(lower, is_high, index, _mm512_load_pd(of + 16));
#else
    (void)width;
    return (lanes_f64){of[gaps[0] & 31], of[gaps[1] & 31], of[gaps[2] & 31], of[gaps[3] & 31]};
#endif
}

LANES_INLINE lanes sign_lanes(const signed char *signs)
{
#if defined ISA_avx512
    return (lanes)_mm512_cvtepi8_epi64(_mm_loadl_epi64((const void *)signs));
#else
    return (lanes)_mm256_cvtepi8_epi64(_mm_loadu_si32(signs));
#endif
}

LANES_INLINE lanes_f64 with_signs(lanes_f64 values, const signed char *signs)
{
    return (lanes_f64)((lanes)values | (sign_lanes(signs) & all_lanes((uint64_t)1 << 63)));
}

/* ---- Into the reading's form ---- */

LANES_INLINE void store_reals(struct number_reading *reading, size_t index, lanes_f64 values)
{
    if (reading->form == NUMBERS_FLOAT32) {
        float *to = (float *)reading->values + reading->count + index;
#if defined ISA_avx512
        _mm256_storeu_ps(to, _mm512_cvtpd_ps((__m512d)values));
#else
        _mm_storeu_ps(to, _mm256_cvtpd_ps((__m256d)values));
#endif
    } else {
        store_lanes((double *)reading->values + reading->count + index, (lanes)values);
    }
}

LANES_INLINE void store_integers(struct number_reading *reading, size_t index, lanes integers, const signed char *signs)
{
    const lanes sign = sign_lanes(signs);
    lanes values = (integers ^ sign) - sign;
    values |= sign & (lanes)(integers == 0) & all_lanes((uint64_t)1 << 63); /* -0 */
    store_lanes((int64_t *)reading->values + reading->count + index, values);
}

/* Whether the first numbers of a batch that was just stored hold a negative zero. */
static void note_negative_zero(struct number_reading *reading, size_t count)
{
    const int64_t *values = (const int64_t *)reading->values + reading->count;
    bool found = false;
    for (size_t i = 0; i < count; i++)
        found |= values[i] == INT64_MIN;
    reading->negative_zero |= found;
}

/* Of a batch of doubles that are exact where they are integers: the first that is none ends the whole ones. */
static void note_fraction(struct number_reading *reading, size_t count)
{
    const double *values = (const double *)reading->values + reading->count;
    for (size_t i = 0; i < count; i++) {
        if (values[i] != (double)(int64_t)values[i]) {
            reading->form = NUMBERS_FLOAT64;
            reading->fraction_index = reading->count + i;
            return;
        }
    }
}

/* ---- By width ---- */

static void take_4(const struct number_batch *batch, struct number_reading *reading)
{
    for (size_t i = 0; i < batch->count; i += 2 * LANES) {
        const vector integers = fours(batch->slots + 4 * i);
        const signed char *signs = batch->signs + i;
#if defined ISA_avx512
        const __m256i low = _mm512_castsi512_si256(integers), high = _mm512_extracti64x4_epi64(integers, 1);
#else
        const __m128i low = _mm256_castsi256_si128(integers), high = _mm256_extracti128_si256(integers, 1);
#endif
        if (reading->form == NUMBERS_INT64) {
            store_integers(reading, i, (lanes)VECTOR(cvtepi32_epi64)(low), signs);
            store_integers(reading, i + LANES, (lanes)VECTOR(cvtepi32_epi64)(high), signs + LANES);
        } else {
            store_reals(reading, i, with_signs((lanes_f64)VECTOR(cvtepi32_pd)(low), signs));
            store_reals(reading, i + LANES, with_signs((lanes_f64)VECTOR(cvtepi32_pd)(high), signs + LANES));
        }
    }
}

LANES_INLINE void take_exact(const struct number_batch *batch, struct number_reading *reading, enum number_width width)
{
    for (size_t i = 0; i < batch->count; i += LANES) {
        const lanes integers =
            width == NUMBER_WIDTH_16 ? integers_16(batch->slots + 16 * i) : integers_8(batch->slots + 8 * i);
        const signed char *signs = batch->signs + i;
        if (reading->form == NUMBERS_INT64) {
            store_integers(reading, i, integers, signs);
            continue;
        }
        lanes_f64 values = lanes_to_f64(integers);
        if (batch->points)
            values /= pick_powers(powers, batch->gaps + i, width);
        store_reals(reading, i, with_signs(values, signs));
    }
    if (reading->form == NUMBERS_WHOLE && batch->points)
        note_fraction(reading, batch->count);
}

/* ---- Exponents ---- */

typedef signed char lanes_i8 __attribute__((vector_size(8 * LANES)));

enum { CHUNK = 64 }; /* numbers that are looked at together */

/* Of a chunk of a batch: each number is its digits times 10^exponent, and divided by 10^(gap - 1) where that is not -1. A hard one
 * has gap 0: its exponent is above 0 or below -22. */
struct scales {
    _Alignas(64) int exponents[CHUNK];
    _Alignas(64) unsigned char gaps[CHUNK];
    uint64_t hard; /* a bit for each number */
};

static void find_scales(struct scales *scales, const struct number_batch *batch, size_t from)
{
    _Alignas(64) int gaps[CHUNK];
    scales->hard = 0;
    for (size_t i = 0; i < CHUNK; i += 2 * LANES) {
        const lanes_i8 text = (lanes_i8)load_lanes(batch->exponent_texts + from + i);
        const vector digits = (vector)((lanes_i8)(text > '/') & text & 0x0f);
        const vector pairs = VECTOR(maddubs_epi16)(digits, VECTOR(set1_epi16)(10 | 1 << 8));
        const lanes_i32 magnitude = (lanes_i32)VECTOR(madd_epi16)(pairs, VECTOR(set1_epi32)(100 | 1 << 16));
        const lanes_i32 sign = (lanes_i32)((lanes_i32)(text == '-') != 0);
        const lanes_i32 gap = bytes_to_i32(batch->gaps + from + i);
        const lanes_i32 exponent = (magnitude ^ sign) - sign - (gap + (lanes_i32)(gap != 0)), after = 1 - exponent;
        const lanes_i32 easy = (lanes_i32)(after > 0) & (lanes_i32)(after <= NUMBER_POWER_MAX + 1);
        store_lanes(scales->exponents + i, (lanes)exponent);
        store_lanes(gaps + i, (lanes)(after & easy));
        scales->hard |= sign_bits_i32(~easy) << i;
    }
    for (size_t i = 0; i < CHUNK; i++)
        scales->gaps[i] = (unsigned char)gaps[i];
}

/* ---- Many digits, or exponents ---- */

/* One chunk of a batch, the numbers from `from` on. */
struct wide {
    const struct number_batch *batch;
    struct scales scales; /* where there are exponents */
    size_t from, count;
    _Alignas(64) uint64_t digits[CHUNK];
    _Alignas(64) double values[CHUNK];
    uint64_t too_long; /* 20 digits or more: not known */
    uint64_t open; /* the value is not known */
};

/* digits / 10^(gap - 1), correctly rounded; false lanes of the answer are not known to be. */
LANES_INLINE lanes_mask divide(lanes digits, const unsigned char *gaps, lanes_f64 *quotient)
{
    const lanes_f64 power = pick_powers(powers, gaps, NUMBER_WIDTH_32);
    const lanes_f64 inverse = pick_powers(inverse_powers, gaps, NUMBER_WIDTH_32);
    /* Both halves as doubles, by the last bit of 2^84 and 2^52; then their sum and its rounding error. */
    const lanes high_one = all_lanes((uint64_t)0x453 << 52), low_one = all_lanes((uint64_t)0x433 << 52);
    const lanes_f64 high = (lanes_f64)((digits >> 32) | high_one) - (lanes_f64)high_one;
    const lanes_f64 low = (lanes_f64)((digits & all_lanes(UINT32_MAX)) | low_one) - (lanes_f64)low_one;
    const lanes_f64 rounded = high + low, left = (high - rounded) + low;
    /* `about` is off by two units in its last place at most. What is missing is known to some 2^-52 of such a unit: the sum is
     * right unless that could carry it over the middle between two doubles. */
    const lanes_f64 about = rounded * inverse;
    const lanes_f64 rest = multiply_add(-about, power, rounded);
    const lanes_f64 more = (rest + left) * inverse;
    const lanes_f64 doubt = more * 0x1p-46;
    *quotient = about + more;
    const lanes_f64 above = about + (more + doubt), below = about + (more - doubt);
    return lanes_equal((lanes)above, (lanes)below);
}

LANES_INLINE uint64_t mask_bits(lanes_mask mask)
{
#if defined ISA_avx512
    return mask;
#else
    return (uint64_t)_mm256_movemask_pd((__m256d)mask);
#endif
}

static void find_wide(struct wide *wide, const struct number_batch *batch, size_t from)
{
    const unsigned char *const gaps = batch->exponents ? wide->scales.gaps : batch->gaps + from;
    wide->batch = batch;
    wide->from = from;
    wide->count = batch->count - from < CHUNK ? batch->count - from : CHUNK;
    wide->too_long = wide->open = 0;
    if (batch->exponents)
        find_scales(&wide->scales, batch, from);
    for (size_t i = 0; i < wide->count; i += LANES) {
        lanes digits;
        lanes_f64 quotient;
        if (batch->width == NUMBER_WIDTH_16) {
            digits = integers_16(batch->slots + 16 * (from + i));
            quotient = lanes_to_f64(digits) / pick_powers(powers, gaps + i, NUMBER_WIDTH_32);
        } else {
            lanes high, low;
            integers_32(batch->slots + 32 * (from + i), &high, &low);
            /* high * 10^16 without 64-bit products; high is below 1844 where the whole fits. */
            const uint64_t scale = 10000000000000000;
            digits = low + multiply_low(high, all_lanes(scale & UINT32_MAX)) +
                     (multiply_low(high, all_lanes(scale >> 32)) << 32);
            const lanes_mask known = divide(digits, gaps + i, &quotient);
            wide->too_long |= mask_bits(lanes_above(high, all_lanes(1843))) << i;
            wide->open |= (mask_bits(known) ^ ((1 << LANES) - 1)) << i;
        }
        store_lanes(wide->digits + i, digits);
        store_lanes(wide->values + i, (lanes)with_signs(quotient, batch->signs + from + i));
    }
    const uint64_t mine = ~(uint64_t)0 >> (CHUNK - wide->count);
    wide->too_long &= mine;
    wide->open = (wide->open | (batch->exponents ? wide->scales.hard : 0)) & mine;
    if (wide->too_long)
        wide->count = (size_t)__builtin_ctzll(wide->too_long);
}

static int exponent_of(const struct wide *wide, size_t index)
{
    const struct number_batch *batch = wide->batch;
    if (batch->exponents)
        return wide->scales.exponents[index];
    return batch->gaps[wide->from + index] ? 1 - batch->gaps[wide->from + index] : 0;
}

/* The values that the division left open. Fewer remain where one is not for us. */
static void close_wide(struct wide *wide)
{
    for (uint64_t open = wide->open; open; open &= open - 1) {
        const size_t i = (size_t)__builtin_ctzll(open);
        if (i >= wide->count)
            break;
        if (!number_from_digits(wide->digits[i], exponent_of(wide, i), wide->batch->signs[wide->from + i] != 0,
                                &wide->values[i]) ||
            isinf(wide->values[i]))
            wide->count = i;
    }
}

enum wholeness { WHOLE, WITH_FRACTION, TOO_LARGE };

static enum wholeness judge_whole(uint64_t digits, int exponent)
{
    for (; exponent < 0 && digits != 0; exponent++) {
        if (digits % 10 != 0)
            return WITH_FRACTION;
        digits /= 10;
    }
    for (; exponent > 0 && digits != 0 && digits <= whole_max; exponent--)
        digits *= 10;
    return digits <= whole_max ? WHOLE : TOO_LARGE;
}

/* What a list of whole numbers can take; a fraction ends it. */
static void check_whole(struct wide *wide, struct number_reading *reading)
{
    for (size_t i = 0; i < wide->count; i++) {
        switch (judge_whole(wide->digits[i], exponent_of(wide, i))) {
        case WHOLE:
            break;
        case WITH_FRACTION:
            reading->form = NUMBERS_FLOAT64;
            reading->fraction_index = reading->count + wide->from + i;
            return;
        case TOO_LARGE:
            wide->count = i;
        }
    }
}

static void note_beyond_float32(struct number_reading *reading, size_t from, size_t count)
{
    const float *values = (const float *)reading->values + reading->count + from;
    for (size_t i = 0; i < count && reading->beyond_index == SIZE_MAX; i++) {
        if (isinf(values[i]))
            reading->beyond_index = reading->count + from + i;
    }
}

static void store_wide(struct wide *wide, struct number_reading *reading)
{
    if (reading->form == NUMBERS_INT64) {
        for (size_t i = 0; i < wide->count; i++) {
            if (wide->digits[i] > INT64_MAX)
                wide->count = i;
        }
        for (size_t i = 0; i < wide->count; i += LANES)
            store_integers(reading, wide->from + i, load_lanes(wide->digits + i), wide->batch->signs + wide->from + i);
        return;
    }
    if (wide->open)
        close_wide(wide);
    if (reading->form == NUMBERS_WHOLE)
        check_whole(wide, reading);
    for (size_t i = 0; i < wide->count; i += LANES)
        store_reals(reading, wide->from + i, (lanes_f64)load_lanes(wide->values + i));
    if (reading->form == NUMBERS_FLOAT32)
        note_beyond_float32(reading, wide->from, wide->count);
}

static size_t take_wide(const struct number_batch *batch, struct number_reading *reading)
{
    struct wide wide;
    for (size_t from = 0; from < batch->count; from += CHUNK) {
        find_wide(&wide, batch, from);
        store_wide(&wide, reading);
        if (wide.count < CHUNK)
            return from + wide.count;
    }
    return batch->count;
}

size_t NUMBER_ROUTINE(number_batch_take)(const struct number_batch *batch, struct number_reading *reading)
{
    size_t count = batch->count;
    if (batch->width == NUMBER_WIDTH_4)
        take_4(batch, reading);
    else if (batch->width == NUMBER_WIDTH_8)
        take_exact(batch, reading, NUMBER_WIDTH_8);
    else if (batch->width == NUMBER_WIDTH_16 && !batch->exponents)
        take_exact(batch, reading, NUMBER_WIDTH_16);
    else
        count = take_wide(batch, reading);
    if (reading->form == NUMBERS_INT64 && !reading->negative_zero)
        note_negative_zero(reading, count);
    reading->count += count;
    return count;
}

#endif
