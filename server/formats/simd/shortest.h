/* SPDX-License-Identifier: MIT */
/* The shortest digits of several numbers at once: number_write.c's arithmetic step by step, with 32-bit products in place of
 * 128-bit ones. Everything before the digits become characters. */
#ifndef SERVER_FORMATS_SIMD_SHORTEST_H
#define SERVER_FORMATS_SIMD_SHORTEST_H

#include "server/formats/number_tables.h"
#include "server/formats/simd/lanes.h"

#if defined ISA_avx512 || defined ISA_avx2

/* What is known of a number beside its digits, in one word: the exponent of the last of seventeen digits (biased), how many of
 * these are zeros in front, the sign, where the last that is not 0 ends. STATE_FIXED marks words that are complete before there
 * are digits. */
enum { STATE_FIRST = 10, STATE_SIGN = 14, STATE_FIXED = 15, STATE_END = 16, STATE_EXPONENT_BIAS = 400 };
enum {
    /* Seventeen digits before the point: what write.c leaves to number_write.c. */
    STATE_ALONE = 1 << STATE_FIXED | STATE_EXPONENT_BIAS,
    /* One 0 before the point, and no more. */
    STATE_ZERO = 1 << STATE_FIXED | 2 << STATE_END | 1 << STATE_FIRST | (STATE_EXPONENT_BIAS + 1 + 1 - 17)
};

/* high * 10^8 + low */
struct digits {
    lanes high, low, state;
};

/* floor(log10(2^power)) or, where narrow, of three quarters of that, biased. */
#define FIND_EXPONENT(biased, bias, narrow)                                                                            \
    ((multiply_low(biased, ALL(1262611)) + ALL(((uint64_t)STATE_EXPONENT_BIAS << 22) - (bias)*1262611) -               \
      keep_lanes(narrow, ALL(524031))) >>                                                                              \
     22)

LANES_INLINE lanes fixed_states(lanes state, lanes sign, lanes_mask zero, lanes_mask alone)
{
    state = select_lanes(alone, ALL(STATE_ALONE), state); /* zeros as well */
    return select_lanes(zero, ALL(STATE_ZERO), state) + (sign << STATE_SIGN);
}

LANES_INLINE struct digits find_digits_f64(const double *values)
{
    const lanes bits = load_lanes(values), one = ALL(1), low_mask = ALL(UINT32_MAX);
    const lanes fraction = bits & ALL(((uint64_t)1 << 52) - 1), magnitude = bits & ALL(INT64_MAX);
    const lanes_mask zero = lanes_zero(magnitude), narrow = lanes_zero(fraction);
    lanes biased = magnitude >> 52;
    const lanes_mask alone =
        lanes_above(biased - ALL(2), ALL(0x7fc)); /* denormals, the first normal, infinities, NaN */
    biased = select_lanes(alone, ALL(1023), biased);

    /* The power of ten, and how far to shift the mantissa: 1 to 4. */
    const lanes exponent = FIND_EXPONENT(biased, 1075, narrow);
    const lanes opposite = ALL(2 * STATE_EXPONENT_BIAS) - exponent; /* of the exponent, biased */
    const lanes index = (opposite << 1) - ALL((uint64_t)(2 * (STATE_EXPONENT_BIAS + NUMBER_POWER_FIRST)));
    const lanes ten_high = gather_lanes(&number_powers->high, index);
    const lanes inexact = keep_lanes(lanes_above(ALL(STATE_EXPONENT_BIAS - NUMBER_POWER_EXACT_LAST), exponent), one);
    const lanes ten_low = gather_lanes(&number_powers->low, index) + inexact;
    const lanes log2 = (multiply_low(opposite, ALL(217706)) + ALL((2000 << 16) - STATE_EXPONENT_BIAS * 217706)) >> 16;
    const lanes shift = biased + log2 - ALL(1075 + 2000 - 1);

    /* The product's upper two words of three: units and fraction. */
    const lanes scaled = (fraction | ALL((uint64_t)1 << 52)) << shift, scaled_high = scaled >> 32;
    lanes t = multiply_low(scaled_high, ten_low) + (multiply_low(scaled, ten_low) >> 32);
    lanes u = multiply_low(scaled, ten_low >> 32) + (t & low_mask);
    const lanes carried = multiply_low(scaled_high, ten_low >> 32) + (t >> 32) + (u >> 32);
    const lanes lowest = multiply_low(scaled, ten_high);
    t = multiply_low(scaled_high, ten_high) + (lowest >> 32);
    u = multiply_low(scaled, ten_high >> 32) + (t & low_mask);
    const lanes remaining = (u << 32) + (lowest & low_mask) + carried;
    const lanes units = multiply_low(scaled_high, ten_high >> 32) + (t >> 32) + (u >> 32) +
                        keep_lanes(lanes_above(carried, remaining), one);

    /* units = high * 10^8 + low. The quotient of 49 and 19 bits is rounded from half a step above its lower end. */
    const lanes_f64 quotient =
        multiply_add(lanes_to_f64(units >> 8), (lanes_f64){0} + 1.0 / 390625, (lanes_f64){0} + (0.5 / 390625 - 0.5));
    lanes high = f64_to_lanes(quotient);
    lanes low = units - multiply_low(high, ALL(100000000));
    const lanes tens = multiply_low(low, ALL(0xcccccccd)) >> 35;
    const lanes last = low - (tens << 3) - (tens << 1);

    const lanes rest = (last << 60) + (remaining >> 4);
    const lanes above = ten_high >> (ALL(5) - shift);
    const lanes below = select_lanes(narrow, above >> 1, above);
    const lanes odd = fraction & one;
    const lanes_mask not_down = lanes_above(rest + odd, below);
    const lanes_mask not_up = lanes_above(ALL((uint64_t)10 << 60) - rest + odd + odd, above + one);
    const lanes_mask nearer_up =
        lanes_above(remaining, ALL((uint64_t)1 << 63) - (low & one)) | lanes_above(remaining >> 4, below);
    const lanes nearest = low + keep_lanes(nearer_up, one);
    low -= last;
    low = select_lanes(not_down, select_lanes(not_up, nearest, low + ALL(10)), low);
    const lanes_mask full = lanes_equal(low, ALL(100000000));
    return (struct digits){high + keep_lanes(full, one), select_lanes(full, (lanes){0}, low),
                           fixed_states(exponent, bits >> 63, zero, alone)};
}

/* Seven to nine digits, all in `high`. */
LANES_INLINE struct digits find_digits_f32(const float *values)
{
    const lanes bits = load_u32(values), one = ALL(1);
    const lanes fraction = bits & ALL(0x7fffff), magnitude = bits & ALL(INT32_MAX);
    const lanes_mask zero = lanes_zero(magnitude), narrow = lanes_zero(fraction);
    lanes biased = magnitude >> 23;
    const lanes_mask alone = lanes_above(biased - ALL(2), ALL(0xfc));
    biased = select_lanes(alone, ALL(127), biased);
    const lanes exponent = FIND_EXPONENT(biased, 150, narrow);
    const lanes scale = gather_lanes(number_scales_float32[0], biased + keep_lanes(narrow, ALL(256)));

    const lanes scaled = (fraction << 8) | ALL((uint64_t)1 << 31);
    const lanes product = multiply_low(scaled, scale >> 32) + (multiply_low(scaled, scale) >> 32);
    const lanes units = product >> 36, remaining = product & ALL(((uint64_t)1 << 36) - 1);
    const lanes tens = multiply_low(units, ALL(0xcccccccd)) >> 35;
    const lanes last = units - (tens << 3) - (tens << 1);

    const lanes rest = (last << 36) + remaining;
    const lanes above = scale >> 25;
    const lanes below = select_lanes(narrow, above >> 1, above);
    const lanes odd = (fraction & one) << 3;
    const lanes_mask not_down = lanes_above(rest + odd, below + ALL(4));
    const lanes_mask not_up = lanes_above(ALL(((uint64_t)10 << 36) - 4) + odd, rest + above);
    const lanes_mask nearer_up =
        lanes_above(remaining + ((units & one) << 2), ALL(((uint64_t)1 << 35) + 2)) | lanes_above(remaining, below);
    const lanes nearest = units + keep_lanes(nearer_up, one);
    const lanes down = units - last;
    const lanes digits = select_lanes(not_down, select_lanes(not_up, nearest, down + ALL(10)), down);
    /* As if eight zeros followed. */
    return (struct digits){digits, (lanes){0}, fixed_states(exponent - ALL(8), bits >> 31, zero, alone)};
}

#endif
#endif
