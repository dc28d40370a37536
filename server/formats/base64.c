/* SPDX-License-Identifier: MIT */
/* base64 in pieces. Strict: no white space, no missing padding, and the bits that padding leaves over must be 0, so that every
 * byte string has one text only. */
#include "server/formats/base64.h"

#include <stdint.h>

#include "server/formats/simd/base64.h"

static const char alphabet[64] = {'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
                                  'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
                                  'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
                                  'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '+', '/'};

/* One more than the value; 0 where the character is not of the alphabet. */
static const unsigned char places[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64};

/* The value of a character; above 63 where it is none of the alphabet. */
static uint32_t value_of(char character)
{
    return places[(unsigned char)character] - 1u;
}

/* Whole groups of four, as far as they hold no padding and no fault. Returns how many characters were taken. */
static size_t decode_groups(const char *text, size_t count, unsigned char *out)
{
    size_t taken = base64_blocks()->decode(out, text, count);
    out += taken / 4 * 3;
    for (; count - taken >= 4; taken += 4, out += 3) {
        const uint32_t a = value_of(text[taken]), b = value_of(text[taken + 1]);
        const uint32_t c = value_of(text[taken + 2]), d = value_of(text[taken + 3]);
        if ((a | b | c | d) > 63)
            break;
        out[0] = (unsigned char)(a << 2 | b >> 4);
        out[1] = (unsigned char)(b << 4 | c >> 2);
        out[2] = (unsigned char)(c << 6 | d);
    }
    return taken;
}

/* The bytes of a group that '=' has ended, of two characters if it is the second '='; false where bits are left over. */
static bool finish_group(struct base64_decoder *decoder, unsigned char **out)
{
    const unsigned spare = decoder->padded ? 4 : 2;
    const unsigned bits = decoder->bits >> spare;
    if (decoder->bits & ((1u << spare) - 1))
        return false;
    if (!decoder->padded)
        *(*out)++ = (unsigned char)(bits >> 8);
    *(*out)++ = (unsigned char)bits;
    return true;
}

static bool decode_character(struct base64_decoder *decoder, char character, unsigned char **out)
{
    if (decoder->ended)
        return false;
    if (character == '=') {
        decoder->ended = decoder->held == 3;
        const bool fits = decoder->ended ? finish_group(decoder, out) : decoder->held == 2;
        decoder->padded = true;
        decoder->held = (decoder->held + 1) % 4;
        return fits;
    }
    const uint32_t value = value_of(character);
    if (value > 63 || decoder->padded)
        return false;
    decoder->bits = decoder->bits << 6 | value;
    if (++decoder->held == 4) {
        *(*out)++ = (unsigned char)(decoder->bits >> 16);
        *(*out)++ = (unsigned char)(decoder->bits >> 8);
        *(*out)++ = (unsigned char)decoder->bits;
        decoder->bits = 0;
        decoder->held = 0;
    }
    return true;
}

ptrdiff_t base64_decode(struct base64_decoder *decoder, const char *text, size_t count, unsigned char *out)
{
    unsigned char *const begin = out;
    for (size_t at = 0; at < count;) {
        if (decoder->held == 0 && !decoder->ended) {
            const size_t taken = decode_groups(text + at, count - at, out);
            at += taken;
            out += taken / 4 * 3;
            if (at == count)
                break;
        }
        if (!decode_character(decoder, text[at++], &out))
            return -1;
    }
    return out - begin;
}

bool base64_decode_end(const struct base64_decoder *decoder)
{
    return decoder->held == 0;
}

size_t base64_encode(char *out, const void *data, size_t bytes)
{
    const unsigned char *in = data;
    char *const begin = out;
    const size_t taken = base64_blocks()->encode(out, in, bytes);
    in += taken;
    bytes -= taken;
    out += taken / 3 * 4;
    for (; bytes >= 3; bytes -= 3, in += 3, out += 4) {
        const uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = alphabet[bits >> 6 & 63];
        out[3] = alphabet[bits & 63];
    }
    if (bytes > 0) {
        const uint32_t bits = (uint32_t)in[0] << 16 | (bytes > 1 ? (uint32_t)in[1] << 8 : 0);
        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = bytes > 1 ? alphabet[bits >> 6 & 63] : '=';
        out[3] = '=';
        out += 4;
    }
    return (size_t)(out - begin);
}
