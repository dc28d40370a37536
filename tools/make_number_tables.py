#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes server/formats/number_tables.c: the powers of ten that number_read.c and number_write.c multiply by.

    tools/make_number_tables.py > server/formats/number_tables.c

Every entry is computed in exact integers, so the output depends on nothing but this file.
"""

FIRST, LAST = -342, 326
# 5^55 is the last power of five that fits 128 bits: up to there the entries are exact.


def power_of_ten(k):
    """10^k = m * 2^e with 2^127 <= m < 2^128: m, rounded down for k >= 0 and up for k < 0."""
    if k >= 0:
        power = 5 ** k
        excess = power.bit_length() - 128
        return power >> excess if excess >= 0 else power << -excess
    power = 5 ** -k
    # 2^(bits + 127) / 5^-k lies between 2^127 and 2^128; it is never whole.
    return (1 << (power.bit_length() + 127)) // power + 1


def scale_float32(power, narrow):
    """2^power / 10^k in units of 2^-60, rounded up; k is that of exponent_of_width in number_write.c."""
    k = power * 1262611 - (524031 if narrow else 0) >> 22
    numerator = 2 ** (60 + max(power, 0)) * 10 ** max(-k, 0)
    denominator = 2 ** max(-power, 0) * 10 ** max(k, 0)
    return -(-numerator // denominator)


def main():
    print("/* SPDX-License-Identifier: MIT */")
    print("/* Written by tools/make_number_tables.py: change that, not this. */")
    print('#include "server/formats/number_tables.h"')
    print()
    print("/* clang-format off */")
    print()
    print("const struct number_power number_powers[NUMBER_POWER_LAST - NUMBER_POWER_FIRST + 1] = {")
    entries = [power_of_ten(k) for k in range(FIRST, LAST + 1)]
    assert all(entry.bit_length() == 128 for entry in entries)
    texts = [f"{{0x{entry >> 64:016x}, 0x{entry & (2 ** 64 - 1):016x}}}," for entry in entries]
    for first in range(0, len(texts), 2):
        print("    " + " ".join(texts[first : first + 2]))
    print("};")
    print()
    print("const uint64_t number_scales_float32[2][256] = {")
    for narrow in (False, True):
        # The first exponent is that of the denormals, with the same width as the second; the last stands for no number.
        scales = [scale_float32(max(biased, 1) - 150, narrow) for biased in range(255)] + [0]
        texts = [f"0x{scale:016x}," for scale in scales]
        print("    {")
        for first in range(0, len(texts), 4):
            print("        " + " ".join(texts[first : first + 4]))
        print("    },")
    print("};")


if __name__ == "__main__":
    main()
