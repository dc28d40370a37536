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

#include "server/formats/simd/shortest.h"

enum { BATCH = 64, SLOT_BYTES = 32, SLOT_FIRST = 7 /* of seventeen digits; before and after them are zeros */ };

/* A number of a batch: where its text begins in the slot, how many digits stand before the point, how long the text is, the sign.
 * Above these the exponent (biased, so never 0) of a text that has one, or PLACE_ALONE. */
enum { PLACE_POINT = 5, PLACE_LENGTH = 10, PLACE_SIGN = 15, PLACE_EXPONENT = 16, PLACE_ALONE = 28 };
enum { EXPONENT_BIAS = 1024 };

/* An integer of a batch is its eight digits; the sign is where the characters '0' to '9' have a set bit anyway. */
enum { WORD_SIGN = 60 };

/* Each step goes over the whole batch, so that the steps of several numbers overlap in time. */
struct batch {
    unsigned char slots[BATCH * SLOT_BYTES + SLOT_BYTES];
    uint64_t high[BATCH], low[BATCH], states[BATCH]; /* struct digits */
    uint32_t places[BATCH]; /* first what is in `states` */
    uint64_t words[BATCH], lengths[BATCH];
};

/* ---- Digits to characters ------------------------------------------------------------------------------------- */

/* The eight digits of numbers below 10^8, one in a byte, the first in the lowest. */
LANES_INLINE lanes spread_digits(lanes number)
{
    const lanes fours = multiply_low(number, ALL(109951163)) >> 40; /* / 10^4 */
    const lanes split = fours + ((number - multiply_low(fours, ALL(10000))) << 32);
    const lanes hundreds = multiply_high_u16(split, 20972) >> 5 & ALL(UINT64_C(0xff000000ff)); /* / 100 */
    const lanes pairs = hundreds + ((split - multiply_u16(hundreds, 100)) << 16);
    const lanes tens = multiply_high_u16(pairs, 6554); /* / 10 */
    return (pairs << 8) - multiply_u16(tens, 2559); /* tens + (pairs - 10 * tens) * 256 */
}

LANES_INLINE void spread_batch(struct batch *batch, size_t count, bool single)
{
    const lanes none = {0}, one = ALL(1), characters = ALL(UINT64_C(0x3030303030303030));
    for (size_t i = 0; i < count; i += LANES) {
        const lanes digits = load_lanes(batch->high + i);
        lanes state = load_lanes(batch->states + i);
        const lanes_mask fixed = lanes_zero(state & ALL(1 << STATE_FIXED));
        const lanes top = multiply_low(digits, ALL(1441151881)) >> 57; /* / 10^8 */
        const lanes high = spread_digits(digits - multiply_low(top, ALL(100000000)));
        const lanes low = single ? none : spread_digits(load_lanes(batch->low + i));
        lanes first = keep_lanes(lanes_zero(top), one);
        if (single)
            first += keep_lanes(lanes_above(ALL(10000000), digits), one);
        lanes end = ALL(2);
        lanes last = high;
        if (!single) {
            const lanes_mask no_low = lanes_zero(low);
            last = select_lanes(no_low, high, low);
            end = select_lanes(no_low, end, ALL(10));
        }
        end = select_lanes(lanes_zero(last), one, end + last_byte(last));
        const lanes whole = state + (first << STATE_FIRST) + (end << STATE_END);
        state = select_lanes(fixed, whole, state);
        store_u32(batch->places + i, state);
        /* A zero, whose state is fixed, must have zeros for digits. */
        store_four((uint64_t *)(void *)(batch->slots + i * SLOT_BYTES), (top << 56) + characters,
                   keep_lanes(fixed, high) + characters, keep_lanes(fixed, low) + characters, characters);
    }
}

/* ---- Where they go -------------------------------------------------------------------------------------------- */

/* Plain text or with an exponent: the rule of number_write.c, but that integers from 10^16 on go alone. */
LANES_INLINE void place_batch(struct batch *batch, size_t count)
{
    for (size_t i = 0; i < count; i += 2 * LANES) {
        const lanes_i32 state = (lanes_i32)load_lanes(batch->places + i), one = ALL_I32(1), none = {0};
        const lanes_i32 first = state >> STATE_FIRST & ALL_I32(3);
        const lanes_i32 digits = (state >> STATE_END) - first;
        const lanes_i32 point = (state & ALL_I32(0x3ff)) - ALL_I32(STATE_EXPONENT_BIAS - 17) - first;
        const lanes_i32 start = first + ALL_I32(SLOT_FIRST);

        /* 0.012: the text begins with some of the zeros before the digits. */
        const lanes_i32 zeros = larger_i32(one - point, none);
        const lanes_i32 before = point + zeros, all = digits + zeros;
        const lanes_i32 length = select_above_i32(all, before, all + one, before);
        const lanes_i32 plain = start - zeros + (before << PLACE_POINT) + (length << PLACE_LENGTH);
        const lanes_i32 exponent = (point - one + ALL_I32(EXPONENT_BIAS)) << PLACE_EXPONENT;
        const lanes_i32 scientific = start + (digits << PLACE_LENGTH) + exponent;

        const lanes_i32 many = (digits + ALL_I32(32 - 2)) >> 5; /* 1 from 2 digits on */
        const lanes_i32 least = none - one - many;
        lanes_i32 place = select_above_i32(least, point, scientific, plain);
        /* More than sixteen digits before the point would need longer copies, and another rule. */
        place = select_above_i32(point, ALL_I32(16), ALL_I32(1 << PLACE_ALONE), place);
        place += (state >> STATE_SIGN & one) << PLACE_SIGN;
        store_lanes(batch->places + i, (lanes)place);
    }
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

enum integers { INTEGERS_NONE, INTEGERS_LARGE, INTEGERS_SMALL };

/* `large`: set where an integer of the batch is 10^6 or more. */
LANES_INLINE void place_integers(struct batch *batch, size_t at, lanes number, lanes sign, lanes *large)
{
    const lanes digits = spread_digits(number);
    *large |= digits & ALL(0xffff);
    store_lanes(batch->words + at, digits + (sign << WORD_SIGN));
}

/* False where one of the numbers is no integer below the limit. */
LANES_INLINE bool place_integers_f64(struct batch *batch, size_t at, lanes_f64 values, uint64_t limit, lanes *large)
{
    const lanes magnitude = (lanes)values & ALL(INT64_MAX);
    const lanes number = f64_to_lanes((lanes_f64)magnitude);
    const lanes_mask whole = lanes_equal_f64(lanes_to_f64(number), (lanes_f64)magnitude);
    if (!mask_is_full(whole & lanes_above(all_lanes(limit), number)))
        return false;
    place_integers(batch, at, number, (lanes)values >> 63, large);
    return true;
}

/* Small ones once more: text and comma in one word, and how long that is. */
LANES_INLINE void align_integers(struct batch *batch, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        const lanes word = load_lanes(batch->words + i);
        const lanes digits = word & ALL(UINT64_C(0x0f0f0f0f0f0f0f0f));
        const lanes sign = word >> WORD_SIGN;
        const lanes some = digits | ALL((uint64_t)1 << 56); /* 0 has a digit as well */
        const lanes skip = last_byte(some & ((lanes){0} - some)) << 3;
        const lanes length = ALL(64) - skip; /* bits */
        const lanes text = (digits + ALL(UINT64_C(0x3030303030303030))) >> skip | ALL(',') << length;
        const lanes minus = ALL('-') & ((lanes){0} - sign);
        store_lanes(batch->words + i, text << (sign << 3) | minus);
        store_lanes(batch->lengths + i, (length >> 3) + ALL(1) + sign);
    }
}

LANES_INLINE enum integers judge_integers(struct batch *batch, size_t count, lanes large)
{
    if (!mask_is_full(lanes_zero(large)))
        return INTEGERS_LARGE;
    align_integers(batch, count);
    return INTEGERS_SMALL;
}

/* ---- Batches -------------------------------------------------------------------------------------------------- */

static enum integers judge_f64(struct batch *batch, const double *values, size_t count)
{
    lanes large = {0};
    for (size_t i = 0; i < count; i += LANES)
        if (!place_integers_f64(batch, i, (lanes_f64)load_lanes(values + i), 100000000, &large))
            return INTEGERS_NONE;
    return judge_integers(batch, count, large);
}

static enum integers judge_f32(struct batch *batch, const float *values, size_t count)
{
    lanes large = {0};
    for (size_t i = 0; i < count; i += LANES)
        if (!place_integers_f64(batch, i, load_f32(values + i), 1 << 24, &large))
            return INTEGERS_NONE;
    return judge_integers(batch, count, large);
}

static enum integers judge_i64(struct batch *batch, const int64_t *values, size_t count)
{
    lanes large = {0};
    for (size_t i = 0; i < count; i += LANES) {
        const lanes bits = load_lanes(values + i), sign = bits >> 63;
        const lanes number = (bits ^ ((lanes){0} - sign)) + sign;
        if (!mask_is_full(lanes_above(ALL(100000000), number)))
            return INTEGERS_NONE;
        place_integers(batch, i, number, sign, &large);
    }
    return judge_integers(batch, count, large);
}

static void place_any_f64(struct batch *batch, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        const struct digits found = find_digits_f64(values + i);
        store_lanes(batch->high + i, found.high);
        store_lanes(batch->low + i, found.low);
        store_lanes(batch->states + i, found.state);
    }
    spread_batch(batch, count, false);
    place_batch(batch, count);
}

static void place_any_f32(struct batch *batch, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        const struct digits found = find_digits_f32(values + i);
        store_lanes(batch->high + i, found.high);
        store_lanes(batch->states + i, found.state);
    }
    spread_batch(batch, count, true);
    place_batch(batch, count);
}

/* Large integers are written one by one. */
static void place_any_i64(struct batch *batch, const int64_t *values, size_t count)
{
    (void)values;
    for (size_t i = 0; i < count; i++)
        batch->places[i] = 1u << PLACE_ALONE;
}

static char *put_small(char *out, const struct batch *batch, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        memcpy(out, &batch->words[i], 8);
        out += batch->lengths[i];
    }
    return out;
}

/* `tail`: more than sixteen digits may stand behind the point. */
#define DEFINE_ROUTINE(suffix, type, tail)                                                                             \
    static char *put_large_##suffix(char *out, const struct batch *batch, size_t from, size_t to)                      \
    {                                                                                                                  \
        for (size_t i = from; i < to; i++) {                                                                           \
            uint64_t word = batch->words[i];                                                                           \
            const unsigned skip = (unsigned)__builtin_ctzll(word | (uint64_t)1 << 56) & 56;                            \
            *out = '-';                                                                                                \
            out += word >> WORD_SIGN;                                                                                  \
            word = (word | UINT64_C(0x3030303030303030)) >> skip;                                                      \
            memcpy(out, &word, 8);                                                                                     \
            out += 8 - skip / 8;                                                                                       \
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
            if (place >> PLACE_EXPONENT) { /* one digit before the point */                                            \
                const uint32_t digits = place >> PLACE_LENGTH & 31;                                                    \
                out[0] = (char)text[0];                                                                                \
                out[1] = '.';                                                                                          \
                memcpy(out + 2, text + 1, 16);                                                                         \
                out += digits + (digits > 1);                                                                          \
                out = write_exponent(out, (int)(place >> PLACE_EXPONENT) - EXPONENT_BIAS);                             \
            } else {                                                                                                   \
                memcpy(out, text, 16);                                                                                 \
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
            const size_t padded_count = (now + 2 * LANES - 1) / (2 * LANES) * (2 * LANES);                             \
            if (now < padded_count) {                                                                                  \
                memcpy(padded, numbers, now * sizeof *numbers);                                                        \
                numbers = padded;                                                                                      \
            }                                                                                                          \
            const enum integers integers = judge_##suffix(&batch, numbers, padded_count);                              \
            if (integers == INTEGERS_NONE)                                                                             \
                place_any_##suffix(&batch, numbers, padded_count);                                                     \
            for (size_t from = 0; from < now;) {                                                                       \
                const size_t to = now - from < rows->left ? now : from + rows->left;                                   \
                if (integers == INTEGERS_SMALL)                                                                        \
                    out = put_small(out, &batch, from, to);                                                            \
                else if (integers == INTEGERS_LARGE)                                                                   \
                    out = put_large_##suffix(out, &batch, from, to);                                                   \
                else                                                                                                   \
                    out = put_any_##suffix(out, &batch, numbers, from, to);                                            \
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
