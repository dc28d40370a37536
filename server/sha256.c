/* SPDX-License-Identifier: MIT */
/* SHA-256 as the standard writes it. The constants are the fractional parts of the roots of the first primes, so they are
 * computed, in integers, rather than listed: the cube and square roots of p, scaled by 2^32 and cut. */
#include "server/sha256.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static uint32_t round_constants[64], initial_state[8];
static pthread_once_t constants_once = PTHREAD_ONCE_INIT;

/* The first 32 bits behind the point of the root of `prime`: the largest r whose power is at most prime * 2^(32 * power). */
static uint32_t root_fraction(unsigned prime, unsigned power)
{
    const unsigned __int128 target = (unsigned __int128)prime << (32 * power);
    uint64_t root = 0;
    for (int bit = 36; bit >= 0; bit--) {
        const uint64_t candidate = root | (UINT64_C(1) << bit);
        unsigned __int128 product = candidate;
        for (unsigned i = 1; i < power; i++)
            product *= candidate;
        if (product <= target)
            root = candidate;
    }
    return (uint32_t)root;
}

static void make_constants(void)
{
    unsigned count = 0;
    for (unsigned candidate = 2; count < 64; candidate++) {
        bool is_prime = true;
        for (unsigned divisor = 2; divisor * divisor <= candidate; divisor++)
            is_prime = is_prime && candidate % divisor != 0;
        if (!is_prime)
            continue;
        if (count < 8)
            initial_state[count] = root_fraction(candidate, 2);
        round_constants[count++] = root_fraction(candidate, 3);
    }
}

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word >> bits | word << (32 - bits);
}

static void digest_block(uint32_t state[8], const uint8_t block[64])
{
    uint32_t w[64], v[8];

    for (size_t i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (size_t i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(v, state, sizeof v);
    for (size_t i = 0; i < 64; i++) {
        const uint32_t first = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
                               ((v[4] & v[5]) ^ (~v[4] & v[6])) + round_constants[i] + w[i];
        const uint32_t second =
            (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += first;
        v[0] = first + second;
    }
    for (size_t i = 0; i < 8; i++)
        state[i] += v[i];
}

void sha256(uint8_t out[SHA256_BYTES], const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    uint8_t last[128] = {0};
    uint32_t state[8];
    size_t left = count;

    pthread_once(&constants_once, make_constants);
    memcpy(state, initial_state, sizeof state);
    for (; left >= 64; left -= 64, at += 64)
        digest_block(state, at);
    memcpy(last, at, left);
    last[left] = 0x80;
    const size_t blocks = left < 56 ? 1 : 2;
    for (size_t i = 0; i < 8; i++)
        last[64 * blocks - 1 - i] = (uint8_t)((uint64_t)count * 8 >> (8 * i));
    for (size_t i = 0; i < blocks; i++)
        digest_block(state, last + 64 * i);
    for (size_t i = 0; i < SHA256_BYTES; i++)
        out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}
