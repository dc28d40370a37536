#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows that the comparisons in server/formats/number_write.c decide as exact arithmetic would, for every float64 and float32.

For each binary exponent `power` the value is mantissa * 2^power, one unit is 10^k with k = floor(log10(2^power)), and with
a = 2^(power - 1) / 10^k (half the interval, 1/2 to 5 units) everything compared is a multiple of a:

    an end of the interval, (2 * mantissa -+ 1) * a, against the multiples of 10;
    the value, 2 * mantissa * a, against the halves of a unit.

How near such a multiple comes without being equal is told exactly by the continued fraction of a. The distances found are
compared with the errors of the arithmetic, which rounds both terms of a comparison down. After powers of two the interval is
narrower below: those few values are tested one by one (tests/formats/number_write_test.c).
"""

from fractions import Fraction
from math import floor, log2

import make_number_tables as tables


def floor_log10_of_two(power):
    k = power * 1262611 >> 22
    assert Fraction(10) ** k <= Fraction(2) ** power < Fraction(10) ** (k + 1)
    return k


def floor_log2_of_ten(k):
    e = k * 217706 >> 16
    assert Fraction(2) ** e <= Fraction(10) ** k < Fraction(2) ** (e + 1)
    return e


def nearest(ratio, limit):
    """How little n * ratio, n = 1 .. limit, is above a whole number, with that n, and how little below one; never 0."""
    if ratio.denominator <= limit:
        return Fraction(1, ratio.denominator), None, Fraction(1, ratio.denominator)
    # Convergents p / q, whose distances q * ratio - p alternate in sign and shrink; between two of one sign the best on that
    # side are q0 + n * q1.
    numerator, denominator = ratio.numerator, ratio.denominator
    q0, d0, q1, d1 = 0, Fraction(-1), 1, ratio - floor(ratio)
    numerator, denominator = denominator, numerator % denominator
    while True:
        whole, rest = divmod(numerator, denominator)
        if q0 + whole * q1 > limit:
            break
        numerator, denominator = denominator, rest
        q0, d0, q1, d1 = q1, d1, q0 + whole * q1, d0 + whole * d1
    steps = (limit - q0) // q1
    q0, d0 = q0 + steps * q1, d0 + steps * d1
    if d0 > 0:
        return d0, q0, -d1
    return d1, q1, -d0


def unit_float64(power, k):
    """What number_write.c multiplies a mantissa by, 2^power / 10^k rounded up a little."""
    shift = power + floor_log2_of_ten(-k)
    entry = tables.power_of_ten(-k) + (-k > 55)
    assert 0 <= shift <= 3 and (-k <= 55 or entry % 2**64 != 0)  # the low word does not overflow
    return Fraction(entry << shift, 2**127)


def unit_float32(power, k):
    scale = tables.scale_float32(power, False)
    assert scale < 2**64
    return Fraction(scale, 2**60)


def prove(name, powers, mantissa_bits, used_unit, end_bits, slack, half_bits, half_slack):
    """Ends are compared in units of 2^-end_bits, and count as equal when they differ by no more than `slack` of these;
    likewise the fraction with a half."""
    limit = 2 ** (mantissa_bits + 1)
    least_end, least_half, ties = Fraction(10), Fraction(1), 0
    for power in powers:
        k = floor_log10_of_two(power)
        half_width = Fraction(2) ** (power - 1) / Fraction(10) ** k
        assert Fraction(1, 2) <= half_width < 5
        # How far a product may be above the exact one, in units of 10^k.
        error = 2**mantissa_bits * (used_unit(power, k) - 2 * half_width)
        assert error >= 0

        unit = Fraction(1, 2**end_bits)
        above, _, below = (distance and distance * 10 / unit for distance in nearest(half_width / 10, limit))
        least_end = min(least_end, above * unit, below * unit)
        if slack:
            assert above > slack + 3 and below > slack + 3 and error / unit <= 1
        else:
            # Below: floor(rest) <= floor(width) errs by less than one unit either way. Above: the sum of the two is short by
            # less than two, so an end above the multiple of 10 must be two units above it.
            assert error / unit < Fraction(1, 1000) and above > 2.01 and below > 1.01
        if (half_width / 10).denominator <= limit:
            ties += 1
            # Both terms are rounded down from the same value (or from one and 10 less it): the error must not carry one of
            # them over a whole unit.
            part = half_width / unit - floor(half_width / unit)
            assert slack or error == 0 or error / unit < part < 1 - error / unit

        unit = Fraction(1, 2**half_bits)
        above, mantissa, below = nearest(4 * half_width, 2**mantissa_bits)
        above, below = above / 2, below / 2
        least_half = min(least_half, above, below)
        assert below > error + half_slack * unit  # nothing below the half is lifted onto it
        if half_slack:
            assert error <= unit and above > (half_slack + 1) * unit
        elif above + error <= unit and mantissa is not None:
            # Taken for the half, which goes to the even side: right only if the odd one is below. There is one such mantissa,
            # since two would differ by one that is nearer still.
            assert above > unit / 2
            twice = floor(mantissa * 4 * half_width)
            assert twice % 2 == 0 or twice // 2 % 2 == 1
    print(f"{name}: ends no nearer than 2^{log2(least_end):.2f}, halves than 2^{log2(least_half):.2f}; {ties} powers with ties")


def main():
    prove("float64", range(-1074, 972), 53, unit_float64, 60, 0, 64, 0)
    prove("float32", range(-149, 105), 24, unit_float32, 36, 4, 36, 2)


if __name__ == "__main__":
    main()
