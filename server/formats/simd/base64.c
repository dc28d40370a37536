/* SPDX-License-Identifier: MIT */
/* base64, 32 characters or 24 bytes at a time. The six-bit values are put together and taken apart by multiplications, as Mula
 * and Lemire do it ("Faster Base64 Encoding and Decoding using AVX2 Instructions", 2018). */
#include "server/formats/simd/base64.h"

#if defined ISA_avx512 || defined ISA_avx2

#include <immintrin.h>

enum { BLOCK_TEXT = 32, BLOCK_BYTES = 24, STORED_BYTES = 28 /* written or read for one block */ };

static inline __m256i all_bytes(int value)
{
    return _mm256_set1_epi8((char)value);
}

/* All ones where first <= byte <= last; bytes above 127 are negative, so never. */
static inline __m256i bytes_between(__m256i bytes, int first, int last)
{
    return _mm256_and_si256(_mm256_cmpgt_epi8(bytes, all_bytes(first - 1)),
                            _mm256_cmpgt_epi8(all_bytes(last + 1), bytes));
}

static size_t decode(unsigned char *out, const char *text, size_t count)
{
    const __m256i order = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1, 2, 1, 0, 6, 5, 4, 10,
                                           9, 8, 14, 13, 12, -1, -1, -1, -1);
    size_t taken = 0;
    /* Eight characters more stand for the room that the last bytes stored take. */
    for (; count - taken >= BLOCK_TEXT + 8; taken += BLOCK_TEXT, out += BLOCK_BYTES) {
        const __m256i in = _mm256_loadu_si256((const void *)(text + taken));
        const __m256i upper = bytes_between(in, 'A', 'Z'), lower = bytes_between(in, 'a', 'z');
        const __m256i digit = bytes_between(in, '0', '9');
        const __m256i plus = _mm256_cmpeq_epi8(in, all_bytes('+')), slash = _mm256_cmpeq_epi8(in, all_bytes('/'));
        const __m256i letter = upper | lower, mark = plus | slash;
        if (_mm256_movemask_epi8(letter | digit | mark) != -1)
            break;
        const __m256i offset = (upper & all_bytes(-'A')) | (lower & all_bytes(26 - 'a')) |
                               (digit & all_bytes(52 - '0')) | (plus & all_bytes(62 - '+')) |
                               (slash & all_bytes(63 - '/'));
        const __m256i values = _mm256_add_epi8(in, offset);
        const __m256i pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140)); /* 64 * a + b */
        const __m256i groups = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000)); /* 4096 * ab + cd */
        const __m256i bytes = _mm256_shuffle_epi8(groups, order);
        _mm_storeu_si128((void *)out, _mm256_castsi256_si128(bytes));
        _mm_storeu_si128((void *)(out + BLOCK_BYTES / 2), _mm256_extracti128_si256(bytes, 1));
    }
    return taken;
}

static size_t encode(char *out, const unsigned char *bytes, size_t count)
{
    /* Bytes a b c as b a c b, whose two halves hold two values each. */
    const __m256i order = _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10, 1, 0, 2, 1, 4, 3, 5, 4, 7,
                                           6, 8, 7, 10, 9, 11, 10);
    size_t taken = 0;
    for (; count - taken >= STORED_BYTES; taken += BLOCK_BYTES, out += BLOCK_TEXT) {
        const __m128i first = _mm_loadu_si128((const void *)(bytes + taken));
        const __m128i second = _mm_loadu_si128((const void *)(bytes + taken + BLOCK_BYTES / 2));
        const __m256i in = _mm256_shuffle_epi8(_mm256_set_m128i(second, first), order);
        /* Values 0 and 2 of a group are shifted down, 1 and 3 up, each by a multiplication. */
        const __m256i even = _mm256_mulhi_epu16(in & _mm256_set1_epi32(0x0fc0fc00), _mm256_set1_epi32(0x04000040));
        const __m256i odd = _mm256_mullo_epi16(in & _mm256_set1_epi32(0x003f03f0), _mm256_set1_epi32(0x01000010));
        const __m256i values = even | odd;
        const __m256i lower = _mm256_cmpgt_epi8(values, all_bytes(25)),
                      digit = _mm256_cmpgt_epi8(values, all_bytes(51));
        const __m256i plus = _mm256_cmpeq_epi8(values, all_bytes(62)), slash = _mm256_cmpeq_epi8(values, all_bytes(63));
        __m256i text = _mm256_add_epi8(values, all_bytes('A'));
        text = _mm256_add_epi8(text, lower & all_bytes('a' - 'Z' - 1));
        text = _mm256_add_epi8(text, digit & all_bytes('0' - 'z' - 1));
        text = _mm256_add_epi8(text, plus & all_bytes('+' - '9' - 1));
        text = _mm256_add_epi8(text, slash & all_bytes('/' - '9' - 2));
        _mm256_storeu_si256((void *)out, text);
    }
    return taken;
}

#else

static size_t decode(unsigned char *out, const char *text, size_t count)
{
    (void)out, (void)text, (void)count;
    return 0;
}

static size_t encode(char *out, const unsigned char *bytes, size_t count)
{
    (void)out, (void)bytes, (void)count;
    return 0;
}

#endif

#define PASTE(a, b)    a##b
#define EXPAND(a, b)   PASTE(a, b)
#define QUOTE(name)    #name
#define TO_STRING(isa) QUOTE(isa)

const struct base64_blocks EXPAND(base64_blocks_, ISA) = {TO_STRING(ISA), decode, encode};
