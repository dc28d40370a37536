/* SPDX-License-Identifier: MIT */
/* base64: the vectors of RFC 4648, what must be refused, and every cut, under every instruction set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/convolve.h"
#include "server/formats/base64.h"
#include "tests/formats/every_set.h"

/* The length of what `text` decodes to in pieces that end at the two cuts; -1 where it is refused. */
static ptrdiff_t decode_cut(const char *text, size_t first, size_t second, unsigned char *out)
{
    const size_t cuts[] = {0, first, second, strlen(text)};
    struct base64_decoder decoder = {0};
    ptrdiff_t length = 0;
    for (unsigned piece = 0; piece < 3; piece++) {
        const size_t count = cuts[piece + 1] - cuts[piece];
        /* No more memory than the header promises to suffice. */
        char *const in = malloc(count + 1);
        unsigned char *const bytes = malloc((count + 3) / 4 * 3 + 1);
        assert_true(in != NULL && bytes != NULL);
        memcpy(in, text + cuts[piece], count);
        const ptrdiff_t written = base64_decode(&decoder, in, count, bytes);
        if (written > 0)
            memcpy(out + length, bytes, (size_t)written);
        free(in);
        free(bytes);
        if (written < 0)
            return -1;
        assert_true((size_t)written <= (count + 3) / 4 * 3);
        length += written;
    }
    return base64_decode_end(&decoder) ? length : -1;
}

static void test_vectors(void **state)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfd\xfc", "//79/A=="},
        {"\xfb\xef\xbe", "++++"},
        {"Many hands make light work, and a longer text.",
         "TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmssIGFuZCBhIGxvbmdlciB0ZXh0Lg=="},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t bytes = strlen(cases[i].bytes), length = strlen(cases[i].text);
        char text[128];
        assert_int_equal(base64_encode(text, cases[i].bytes, bytes), length);
        assert_memory_equal(text, cases[i].text, length);
        for (size_t first = 0; first <= length; first++)
            for (size_t second = first; second <= length; second++) {
                unsigned char out[128];
                assert_int_equal(decode_cut(cases[i].text, first, second, out), bytes);
                assert_memory_equal(out, cases[i].bytes, bytes);
            }
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"one character", "Z"},
        {"two without padding", "Zg"},
        {"three without padding", "Zm8"},
        {"one pad of two", "Zg="},
        {"pad alone", "="},
        {"pads alone", "===="},
        {"a pad after one", "Z==="},
        {"three pads after two", "Zg==="},
        {"two pads after three", "Zm8=="},
        {"a pad after four", "Zm9v="},
        {"four pads after four", "Zm9v===="},
        {"bits left over, two", "Zh=="},
        {"bits left over, three", "Zm9="},
        {"padding in the middle", "Zg==Zg=="},
        {"a character after padding", "Zg==A"},
        {"a character within padding", "Zg=A"},
        {"a line break", "Zm9v\nYmFy"},
        {"a line break at the end", "Zm9v\n"},
        {"a space", "Zm 9v"},
        {"the alphabet of URLs", "-_-_"},
        {"a byte above 127", "Zm9\xc3"},
        {"the byte after Z", "Zm9["},
        {"deep in a long text", "TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmssIGFuZCBhIG.vbmdlciB0ZXh0Lg=="},
    };
    (void)state;
    unsigned failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t length = strlen(cases[i].text);
        for (size_t first = 0; first <= length; first++)
            for (size_t second = first; second <= length; second++) {
                unsigned char out[128];
                const ptrdiff_t found = decode_cut(cases[i].text, first, second, out);
                if (found >= 0) {
                    print_error("%s, cut at %zu and %zu: accepted, %td bytes\n", cases[i].name, first, second, found);
                    failures++;
                }
            }
    }
    assert_int_equal(failures, 0);
}

/* Every length to 300, so that blocks of every size have every rest; each byte value replaced by one that does not belong. */
static void test_lengths(void **state)
{
    unsigned char bytes[300], out[304];
    char text[404];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 167 + i / 7);
    for (size_t count = 0; count <= sizeof bytes; count++) {
        const size_t length = base64_encode(text, bytes, count);
        assert_int_equal(length, (count + 2) / 3 * 4);
        text[length] = 0;
        assert_int_equal(decode_cut(text, length / 3, length / 2, out), count);
        assert_memory_equal(out, bytes, count);
        /* In two parts, the first a multiple of 3. */
        char parts[404];
        const size_t first = count / 6 * 3;
        size_t put = base64_encode(parts, bytes, first);
        put += base64_encode(parts + put, bytes + first, count - first);
        assert_int_equal(put, length);
        assert_memory_equal(parts, text, length);
    }
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t length = base64_encode(text, bytes, 150);
    text[length] = 0;
    for (unsigned character = 1; character < 256; character++)
        for (size_t at = 0; at < length; at += 13) {
            const char kept = text[at];
            text[at] = (char)character;
            const bool belongs = strchr(alphabet, (int)character) != NULL;
            assert_int_equal(decode_cut(text, 0, length, out) >= 0, belongs);
            text[at] = kept;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lengths),
    };
    return RUN_ON_EVERY_SET(tests);
}
