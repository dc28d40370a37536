/* SPDX-License-Identifier: MIT */
/* Many numbers to text. A batch is first worked out side by side: which digits (as in number_write.c, step by step the same), the
 * digits as characters, where the point goes and how long the text is. Then each number is two overlapping copies and a point.
 * What is rare (denormals, infinities, NaN) goes through number_write.c one by one. */
#include "server/formats/simd/routines.h"

#include <stdbool.h>
#include <string.h>

#include "server/formats/number_tables.h"
#include "server/formats/number_write.h"

static char *write_one_f64(char *out, double value)
{
    if (value - value == 0)
        return number_write_float64(out, value);
    memcpy(out, "null", 4);
    return out + 4;
}

static char *write_one_f32(char *out, float value)
{
    if (value - value == 0)
        return number_write_float32(out, value);
    memcpy(out, "null", 4);
    return out + 4;
}

static char *write_one_i64(char *out, int64_t value)
{
    return number_write_int64(out, value);
}

#if !defined ISA_avx512 && !defined ISA_avx2

#define DEFINE_ROUTINE(suffix, type, tail)                                                                             \
    static char *write_##suffix(char *out, const type *values, size_t count, struct number_rows *rows)                 \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++) {                                                                           \
            out = write_one_##suffix(out, values[i]);                                                                  \
            *out++ = ',';                                                                                              \
            if (--rows->left == 0)                                                                                     \
                out = rows->end_row(rows, out);                                                                        \
        }                                                                                                              \
        return out;                                                                                                    \
    }

#else

#include "server/formats/simd/lanes.h"

enum { BATCH = 32, SLOT_BYTES = 32, SLOT_FIRST = 7 /* of seventeen digits; before and after them are zeros */ };

/* A number of a batch: where its text begins in the slot, how many digits stand before the point, how long the text is, the sign.
 * Above these the exponent (biased, so never 0) of a text that has one, or PLACE_ALONE. */
enum { PLACE_POINT = 5, PLACE_LENGTH = 10, PLACE_SIGN = 15, PLACE_EXPONENT = 16, PLACE_ALONE = 28 };
enum { EXPONENT_BIAS = 1024 };

/* An integer of a batch is its eight digits; two marks are where the characters '0' to '9' have set bits anyway. */
enum { WORD_SIGN = 60, WORD_ALONE = 61 };

struct batch {
    unsigned char slots[BATCH * SLOT_BYTES + SLOT_BYTES];
    uint32_t places[BATCH];
    uint64_t words[BATCH];
};

/* ---- Digits to characters ------------------------------------------------------------------------------------- */

/* The eight digits of numbers below 10^8, one in a byte, the first in the lowest. */
LANES_INLINE lanes spread_digits(lanes number)
{
    const lanes fours = multiply_low(number, all_lanes(109951163)) >> 40; /* / 10^4 */
    const lanes split = fours + ((number - multiply_low(fours, all_lanes(10000))) << 32);
    const lanes hundreds = multiply_high_u16(split, 20972) >> 5 & all_lanes(UINT64_C(0xff000000ff)); /* / 100 */
    const lanes pairs = hundreds + ((split - multiply_u16(hundreds, 100)) << 16);
    const lanes tens = multiply_high_u16(pairs, 6554); /* / 10 */
    return (pairs << 8) - multiply_u16(tens, 2559); /* tens + (pairs - 10 * tens) * 256 */
}

/* The place of the last digit that is not 0; numbers are not 0. */
LANES_INLINE lanes last_nonzero(lanes digits)
{
    const lanes upper = digits >> 32;
    const lanes_mask low = lanes_equal(upper, all_lanes(0));
    const lanes_f64 half = lanes_to_f64(select_lanes(low, digits, upper));
    /* An exponent e of the double is stored as e + 1023, and (e + 1024) / 8 is 128 more than the byte. */
    const lanes byte = ((lanes)half + all_lanes((uint64_t)1 << 52)) >> 55;
    return byte - select_lanes(low, all_lanes(128), all_lanes(124));
}

/* ---- Which digits --------------------------------------------------------------------------------------------- */

/* What both types need to scale mantissa * 2^power: a power of ten, and how far to shift. */
struct scale {
    lanes exponent; /* 400 more than that of the unit */
    lanes ten_high, ten_low;
    lanes shift; /* of the mantissa, 1 to 4 */
};

LANES_INLINE struct scale find_scale(lanes biased, uint64_t bias, lanes_mask narrow)
{
    struct scale scale;
    const lanes offset = all_lanes(((uint64_t)400 << 22) - bias * 1262611);
    scale.exponent = (multiply_low(biased, all_lanes(1262611)) + offset - keep_lanes(narrow, all_lanes(524031))) >> 22;
    const lanes opposite = all_lanes(800) - scale.exponent; /* 400 more than its negative */
    const lanes index = (opposite - all_lanes((uint64_t)(400 + NUMBER_POWER_FIRST))) << 1;
    scale.ten_high = gather_lanes(&number_powers->high, index);
    scale.ten_low = gather_lanes(&number_powers->low, index);
    const lanes log2 = (multiply_low(opposite, all_lanes(217706)) + all_lanes((2000 << 16) - 400 * 217706)) >> 16;
    scale.shift = biased + log2 - all_lanes(bias + 2000 - 1);
    return scale;
}

/* Seventeen digits: the first, then twice eight as spread_digits gives them. */
struct decimals {
    lanes top, high, low;
    lanes first; /* how many of them are zeros in front */
    lanes exponent; /* of the last, biased by 400 */
    lanes_mask zero, alone;
    lanes sign;
};

LANES_INLINE struct decimals find_decimals_f64(const double *values)
{
    struct decimals found;
    const lanes bits = load_lanes(values), one = all_lanes(1);
    const lanes fraction = bits & all_lanes(((uint64_t)1 << 52) - 1);
    lanes biased = bits >> 52 & all_lanes(0x7ff);
    found.sign = bits >> 63;
    found.zero = lanes_equal(bits << 1, all_lanes(0));
    found.alone = lanes_above(biased - all_lanes(2), all_lanes(0x7fc)); /* zeros as well, which are told first */
    biased = select_lanes(found.alone, all_lanes(1023), biased);
    const lanes_mask narrow = lanes_equal(fraction, all_lanes(0));
    const struct scale scale = find_scale(biased, 1075, narrow);
    found.exponent = scale.exponent;

    /* mantissa * power of ten: units and fraction are the upper two of three words. */
    const lanes scaled = (fraction | all_lanes((uint64_t)1 << 52)) << scale.shift, scaled_high = scaled >> 32;
    const lanes inexact = keep_lanes(lanes_above(all_lanes(400 - NUMBER_POWER_EXACT_LAST), scale.exponent), one);
    const lanes ten_low = scale.ten_low + inexact;
    const lanes low_mask = all_lanes(UINT32_MAX);
    lanes t = multiply_low(scaled_high, ten_low) + (multiply_low(scaled, ten_low) >> 32);
    lanes u = multiply_low(scaled, ten_low >> 32) + (t & low_mask);
    const lanes carried = multiply_low(scaled_high, ten_low >> 32) + (t >> 32) + (u >> 32);
    const lanes lowest = multiply_low(scaled, scale.ten_high);
    t = multiply_low(scaled_high, scale.ten_high) + (lowest >> 32);
    u = multiply_low(scaled, scale.ten_high >> 32) + (t & low_mask);
    const lanes remaining = (u << 32) + (lowest & low_mask) + carried;
    const lanes units = multiply_low(scaled_high, scale.ten_high >> 32) + (t >> 32) + (u >> 32) +
                        keep_lanes(lanes_above(carried, remaining), one);

    /* units = high * 10^8 + low. The quotient of 49 and 19 bits is rounded from half a step above its lower end. */
    const lanes_f64 quotient = multiply_add(lanes_to_f64(units >> 8), (lanes_f64)all_lanes(0) + 1.0 / 390625,
                                            (lanes_f64)all_lanes(0) + (0.5 / 390625 - 0.5));
    lanes high = f64_to_lanes(quotient);
    lanes low = units - multiply_low(high, all_lanes(100000000));
    const lanes tens = multiply_low(low, all_lanes(0xcccccccd)) >> 35;
    const lanes last = low - (tens << 3) - (tens << 1);

    const lanes rest = (last << 60) + (remaining >> 4);
    const lanes above = scale.ten_high >> (all_lanes(5) - scale.shift);
    const lanes below = select_lanes(narrow, above >> 1, above);
    const lanes odd = fraction & one, half = all_lanes((uint64_t)1 << 63);
    const lanes_mask not_down = lanes_above(rest + odd, below);
    const lanes_mask not_up = lanes_above(all_lanes((uint64_t)10 << 60) - rest + odd + odd, above + one);
    const lanes_mask nearer_up =
        either_mask(lanes_above(remaining, half - (low & one)), lanes_above(remaining >> 4, below));
    const lanes nearest = low + keep_lanes(nearer_up, one);
    low -= last;
    low = select_lanes(not_down, select_lanes(not_up, nearest, low + all_lanes(10)), low);
    const lanes_mask full = lanes_equal(low, all_lanes(100000000));
    low = select_lanes(full, all_lanes(0), low);
    high += keep_lanes(full, one);

    found.top = multiply_low(high, all_lanes(1441151881)) >> 57; /* / 10^8 */
    found.first = keep_lanes(lanes_equal(found.top, all_lanes(0)), one); /* units have 16 or 17 digits */
    found.high = spread_digits(high - multiply_low(found.top, all_lanes(100000000)));
    found.low = spread_digits(low);
    return found;
}

LANES_INLINE struct decimals find_decimals_f32(const float *values)
{
    struct decimals found;
    const lanes bits = load_u32(values), one = all_lanes(1);
    const lanes fraction = bits & all_lanes(0x7fffff);
    lanes biased = bits >> 23 & all_lanes(0xff);
    found.sign = bits >> 31;
    found.zero = lanes_equal(bits << 33, all_lanes(0));
    found.alone = lanes_above(biased - all_lanes(2), all_lanes(0xfc));
    biased = select_lanes(found.alone, all_lanes(127), biased);
    const lanes_mask narrow = lanes_equal(fraction, all_lanes(0));
    const struct scale scale = find_scale(biased, 150, narrow);
    found.exponent = scale.exponent - all_lanes(8);

    const lanes scaled = (fraction | all_lanes(0x800000)) << scale.shift;
    const lanes_mask exact = lanes_equal(scale.ten_low, all_lanes(0));
    const lanes ten = scale.ten_high + select_lanes(exact, all_lanes(0), one);
    const lanes lowest = multiply_low(scaled, ten);
    const lanes upper = multiply_low(scaled, ten >> 32) + (lowest >> 32);
    const lanes units = upper >> 32;
    const lanes remaining = upper & all_lanes(UINT32_MAX); /* 2^-32 */
    const lanes tens = multiply_low(units, all_lanes(0xcccccccd)) >> 35;
    const lanes last = units - (tens << 3) - (tens << 1);

    const lanes rest = (last << 32) + remaining;
    const lanes above = ten >> (all_lanes(33) - scale.shift);
    const lanes below = select_lanes(narrow, above >> 1, above);
    const lanes margin = (fraction & one) << 2; /* 4 less what number_write.c calls so */
    const lanes_mask not_down = lanes_above(rest + margin, below + all_lanes(2));
    const lanes_mask not_up = lanes_above(all_lanes(((uint64_t)10 << 32) - 2) + margin, rest + above);
    const lanes half = all_lanes((uint64_t)1 << 32);
    const lanes_mask nearer_up =
        either_mask(lanes_above((remaining << 1) + ((lowest & all_lanes(UINT32_MAX)) >> 31), half - (units & one)),
                    lanes_above(remaining, below));
    const lanes nearest = units + keep_lanes(nearer_up, one);
    lanes digits = units - last;
    digits = select_lanes(not_down, select_lanes(not_up, nearest, digits + all_lanes(10)), digits);

    const lanes_mask nine = lanes_above(digits, all_lanes(99999999)); /* 7 to 9 digits */
    const lanes_mask seven = lanes_above(all_lanes(10000000), digits);
    found.top = keep_lanes(nine, one);
    found.first = one - found.top + keep_lanes(seven, one);
    found.high = spread_digits(digits - keep_lanes(nine, all_lanes(100000000)));
    found.low = all_lanes(0);
    return found;
}

/* ---- Where they go -------------------------------------------------------------------------------------------- */

/* Plain text or with an exponent: the rule of number_write.c. */
LANES_INLINE void place_decimals(struct batch *batch, size_t at, const struct decimals *found)
{
    const lanes none = all_lanes(0), one = all_lanes(1);
    const lanes_mask no_low = lanes_equal(found->low, none), no_high = lanes_equal(found->high, none);
    const lanes last = last_nonzero(select_lanes(no_low, found->high, found->low));
    lanes end = last + select_lanes(no_low, all_lanes(2), all_lanes(10)); /* of what is not 0 */
    end = select_lanes(both_masks(no_low, no_high), one, end);
    const lanes count = end - found->first;
    const lanes point = found->exponent - all_lanes(400 - 17) - found->first; /* digits before it; may be negative */
    const lanes zeros = none - point;
    const lanes start = found->first + all_lanes(SLOT_FIRST);

    const lanes exponent = (point - count + all_lanes(EXPONENT_BIAS)) << PLACE_EXPONENT;
    lanes place = start + (count << PLACE_LENGTH) + exponent;
    /* 0.012: the zeros are those before the digits. */
    const lanes_mask not_small = lanes_above(zeros, one + keep_lanes(lanes_above(count, all_lanes(7)), one));
    const lanes small = start - zeros - one + (one << PLACE_POINT) + ((count + zeros + all_lanes(2)) << PLACE_LENGTH);
    place = select_lanes(not_small, place, small);
    const lanes_mask fraction = lanes_above(count, point);
    const lanes length = select_lanes(fraction, count + one, point);
    const lanes plain = start + (point << PLACE_POINT) + (length << PLACE_LENGTH);
    const lanes_mask not_plain = lanes_above(point - one, count + one);
    place = select_lanes(not_plain, place, plain);
    /* More than sixteen digits before the point would need longer copies. */
    const lanes_mask far = both_masks(lanes_above(point, all_lanes(16)), lanes_above(all_lanes(20), point));
    place = select_lanes(either_mask(far, found->alone), all_lanes(1 << PLACE_ALONE), place);
    const uint64_t zero = (SLOT_FIRST + 1) + (1 << PLACE_POINT) + (1 << PLACE_LENGTH);
    place = select_lanes(found->zero, all_lanes(zero), place);
    store_u32(batch->places + at, place + (found->sign << PLACE_SIGN));

    const lanes characters = all_lanes(UINT64_C(0x3030303030303030));
    const lanes_mask shown = lanes_equal(keep_lanes(found->zero, one), none);
    store_four((uint64_t *)(void *)(batch->slots + at * SLOT_BYTES), (found->top << 56) + characters,
               keep_lanes(shown, found->high) + characters, keep_lanes(shown, found->low) + characters, characters);
}

static char *write_exponent(char *out, int exponent)
{
    *out++ = 'e';
    *out = '-';
    out += exponent < 0;
    unsigned rest = (unsigned)(exponent < 0 ? -exponent : exponent);
    if (rest >= 100) {
        *out++ = (char)('0' + rest / 100);
        rest %= 100;
        *out++ = (char)('0' + rest / 10);
    } else if (rest >= 10) {
        *out++ = (char)('0' + rest / 10);
    }
    *out++ = (char)('0' + rest % 10);
    return out;
}

/* ---- Integers ------------------------------------------------------------------------------------------------- */

/* Values below 10^8. `exponents`: thousands and the like are shorter with an exponent, so they go alone. */
LANES_INLINE void place_integers(struct batch *batch, size_t at, lanes number, lanes sign, bool exponents)
{
    lanes word = spread_digits(number) + (sign << WORD_SIGN);
    if (exponents) {
        const lanes digits = word & all_lanes(UINT64_C(0x0f0f0f0f0f0f0f0f));
        const lanes_mask some = lanes_above(digits, all_lanes(0));
        const lanes_mask three_zeros = lanes_above(all_lanes((uint64_t)1 << 40), digits);
        word |= keep_lanes(both_masks(some, three_zeros), all_lanes((uint64_t)1 << WORD_ALONE));
    }
    store_lanes(batch->words + at, word);
}

LANES_INLINE bool place_if_integers_f64(struct batch *batch, size_t at, lanes_f64 values, uint64_t largest)
{
    const lanes sign = (lanes)values >> 63;
    const lanes magnitude = (lanes)values & all_lanes(INT64_MAX);
    const lanes number = f64_to_lanes((lanes_f64)magnitude);
    const lanes_mask whole = lanes_equal_f64(lanes_to_f64(number), (lanes_f64)magnitude);
    const lanes_mask fits = lanes_above((lanes)lanes_to_f64(all_lanes(largest + 1)), magnitude);
    if (!mask_is_full(both_masks(whole, fits)))
        return false;
    place_integers(batch, at, number, sign, true);
    return true;
}

/* ---- Batches -------------------------------------------------------------------------------------------------- */

static bool place_integers_f64(struct batch *batch, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i += LANES)
        if (!place_if_integers_f64(batch, i, (lanes_f64)load_lanes(values + i), 99999999))
            return false;
    return true;
}

static bool place_integers_f32(struct batch *batch, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i += LANES)
        if (!place_if_integers_f64(batch, i, load_f32(values + i), 16777215))
            return false;
    return true;
}

static bool place_integers_i64(struct batch *batch, const int64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        const lanes bits = load_lanes(values + i), sign = bits >> 63;
        const lanes number = (bits ^ (all_lanes(0) - sign)) + sign;
        if (!mask_is_full(lanes_above(all_lanes(100000000), number)))
            return false;
        place_integers(batch, i, number, sign, false);
    }
    return true;
}

static void place_any_f64(struct batch *batch, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        const struct decimals found = find_decimals_f64(values + i);
        place_decimals(batch, i, &found);
    }
}

static void place_any_f32(struct batch *batch, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        const struct decimals found = find_decimals_f32(values + i);
        place_decimals(batch, i, &found);
    }
}

/* Large integers are written one by one. */
static void place_any_i64(struct batch *batch, const int64_t *values, size_t count)
{
    (void)values;
    for (size_t i = 0; i < count; i++)
        batch->places[i] = 1u << PLACE_ALONE;
}

/* `tail`: more than sixteen digits may stand behind the point. */
#define DEFINE_ROUTINE(suffix, type, tail)                                                                             \
    static char *put_integers_##suffix(char *out, const struct batch *batch, const type *values, size_t from,          \
                                       size_t to)                                                                      \
    {                                                                                                                  \
        for (size_t i = from; i < to; i++) {                                                                           \
            uint64_t word = batch->words[i];                                                                           \
            if (word >> WORD_ALONE) {                                                                                  \
                out = write_one_##suffix(out, values[i]);                                                              \
            } else {                                                                                                   \
                const unsigned skip = (unsigned)__builtin_ctzll(word | (uint64_t)1 << 56) & 56;                        \
                *out = '-';                                                                                            \
                out += word >> WORD_SIGN;                                                                              \
                word = (word | UINT64_C(0x3030303030303030)) >> skip;                                                  \
                memcpy(out, &word, 8);                                                                                 \
                out += 8 - skip / 8;                                                                                   \
            }                                                                                                          \
            *out++ = ',';                                                                                              \
        }                                                                                                              \
        return out;                                                                                                    \
    }                                                                                                                  \
    static char *put_any_##suffix(char *out, const struct batch *batch, const type *values, size_t from, size_t to)    \
    {                                                                                                                  \
        for (size_t i = from; i < to; i++) {                                                                           \
            const uint32_t place = batch->places[i];                                                                   \
            const unsigned char *const text = batch->slots + i * SLOT_BYTES + (place & 31);                            \
            const uint32_t point = place >> PLACE_POINT & 31;                                                          \
            if (place >> PLACE_ALONE) {                                                                                \
                out = write_one_##suffix(out, values[i]);                                                              \
                *out++ = ',';                                                                                          \
                continue;                                                                                              \
            }                                                                                                          \
            *out = '-';                                                                                                \
            out += place >> PLACE_SIGN & 1;                                                                            \
            memcpy(out, text, 16);                                                                                     \
            if (place >> PLACE_EXPONENT) {                                                                             \
                out[16] = (char)text[16];                                                                              \
                out += place >> PLACE_LENGTH & 31;                                                                     \
                out = write_exponent(out, (int)(place >> PLACE_EXPONENT) - EXPONENT_BIAS);                             \
            } else {                                                                                                   \
                memcpy(out + point + 1, text + point, tail);                                                           \
                out[point] = '.';                                                                                      \
                out += place >> PLACE_LENGTH & 31;                                                                     \
            }                                                                                                          \
            *out++ = ',';                                                                                              \
        }                                                                                                              \
        return out;                                                                                                    \
    }                                                                                                                  \
    static char *write_##suffix(char *out, const type *values, size_t count, struct number_rows *rows)                 \
    {                                                                                                                  \
        struct batch batch;                                                                                            \
        type padded[BATCH] = {0};                                                                                      \
        for (size_t done = 0; done < count;) {                                                                         \
            const size_t now = count - done < BATCH ? count - done : BATCH;                                            \
            const type *numbers = values + done;                                                                       \
            if (now % LANES) {                                                                                         \
                memcpy(padded, numbers, now * sizeof *numbers);                                                        \
                numbers = padded;                                                                                      \
            }                                                                                                          \
            const bool integers = place_integers_##suffix(&batch, numbers, now);                                       \
            if (!integers)                                                                                             \
                place_any_##suffix(&batch, numbers, now);                                                              \
            for (size_t from = 0; from < now;) {                                                                       \
                const size_t to = now - from < rows->left ? now : from + rows->left;                                   \
                out = integers ? put_integers_##suffix(out, &batch, numbers, from, to)                                 \
                               : put_any_##suffix(out, &batch, numbers, from, to);                                     \
                rows->left -= to - from;                                                                               \
                from = to;                                                                                             \
                if (rows->left == 0)                                                                                   \
                    out = rows->end_row(rows, out);                                                                    \
            }                                                                                                          \
            done += now;                                                                                               \
        }                                                                                                              \
        return out;                                                                                                    \
    }

#endif

DEFINE_ROUTINE(f64, double, 24)
DEFINE_ROUTINE(f32, float, 16)
DEFINE_ROUTINE(i64, int64_t, 24)

#define PASTE(a, b)    a##b
#define EXPAND(a, b)   PASTE(a, b)
#define QUOTE(name)    #name
#define TO_STRING(isa) QUOTE(isa)

const struct number_routines EXPAND(number_routines_, ISA) = {TO_STRING(ISA), write_f64, write_f32, write_i64};
