/* SPDX-License-Identifier: MIT */
/* Long lists of numbers: whatever the instruction set and however the text is cut, what comes of it is what the scalar set makes
 * of the whole, and what strtod makes of each number. Regular and spoiled texts, every shape, mixed kinds of numbers.
 * json_runs_test [ROUNDS [SEED]]: other texts, and more than usual; 20,000 rounds are some ten million numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/formats/json_feed.h"

enum { NUMBERS_MAX = 3000, TEXT_BYTES = 1 << 18, CUTS = 4 };

static unsigned rounds = 250;
static uint64_t random_state = 1, seed = 11;
static int failures;

static uint64_t draw(uint64_t below)
{
    return feed_random(&random_state) % below;
}

/* ---- Texts ---- */

enum kind {
    KIND_PIXEL,
    KIND_SMALL,
    KIND_INTEGER,
    KIND_WHOLE, /* 12.0, 1e3 */
    KIND_LARGE, /* around 2^53 and 2^63 */
    KIND_DECIMALS,
    KIND_FLOAT32,
    KIND_FLOAT64,
    KIND_DIGITS, /* many, with the point anywhere */
    KIND_EXPONENT,
    KIND_ANY_DOUBLE,
    KIND_ZERO,
    KINDS
};

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static char *put_digits(char *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *out++ = (char)('0' + draw(10));
    return out;
}

static char *put_many_digits(char *out)
{
    const size_t whole = draw(4) ? draw(3) : draw(26), places = draw(24);
    if (whole == 0)
        *out++ = '0';
    else
        *out++ = (char)('1' + draw(9));
    out = put_digits(out, whole > 1 ? whole - 1 : 0);
    if (places > 0) {
        *out++ = '.';
        out = put_digits(out, places);
    }
    return out;
}

static char *put_number(char *out, enum kind kind)
{
    static const char *const zeros[] = {"0", "-0", "0.0", "-0.0", "0e5", "-0E-7", "0.000000000000"};
    static const uint64_t edges[] = {(uint64_t)1 << 53, (uint64_t)INT64_MAX, (uint64_t)1 << 63, UINT64_MAX};
    const uint64_t bits = feed_random(&random_state);
    const char *sign = draw(3) ? "" : "-";
    switch (kind) {
    case KIND_PIXEL:
        return out + sprintf(out, "%u", (unsigned)draw(256));
    case KIND_SMALL:
        return out + sprintf(out, "%d", (int)draw(19) - 9);
    case KIND_INTEGER:
        return out + sprintf(out, "%s%" PRIu64, sign, bits >> draw(64));
    case KIND_WHOLE:
        return out +
               sprintf(out, draw(2) ? "%s%u.%.*s" : "%s%ue%.*s", sign, (unsigned)draw(1000), 1 + (int)draw(2), "00");
    case KIND_LARGE:
        return out + sprintf(out, "%s%" PRIu64, sign, edges[draw(4)] - draw(3));
    case KIND_DECIMALS:
        return out + sprintf(out, "%s%.*f", sign, (int)draw(8), (double)draw(2000000) / 1e6);
    case KIND_FLOAT32:
        return out + sprintf(out, "%s%.*g", sign, 6 + (int)draw(4), (double)(bits >> 11) * 0x1p-53);
    case KIND_FLOAT64:
        return out + sprintf(out, "%s%.*g", sign, 15 + (int)draw(3), (double)(bits >> 11) * 0x1p-53);
    case KIND_DIGITS:
        return put_many_digits(stpcpy(out, sign));
    case KIND_EXPONENT:
        out = put_many_digits(stpcpy(out, sign));
        return out + sprintf(out, "%c%s%0*d", draw(2) ? 'e' : 'E',
                             draw(2)   ? "-"
                             : draw(2) ? "+"
                                       : "",
                             1 + (int)draw(4), (int)(draw(3) ? draw(25) : draw(320)));
    case KIND_ANY_DOUBLE:
        return out + sprintf(out, "%.17g", bits >> 52 % 2048 == 2047 ? 1 : double_of(bits & ~((uint64_t)1 << 62)));
    default:
        return stpcpy(out, zeros[draw(sizeof zeros / sizeof zeros[0])]);
    }
}

struct text {
    char *text;
    size_t count, numbers;
    double expected[NUMBERS_MAX];
};

/* A nested array of that shape; the numbers' kinds from `kinds`. */
static char *put_array(struct text *text, char *at, const size_t *size, unsigned rank, const enum kind kinds[3],
                       const char *comma)
{
    *at++ = '[';
    for (size_t i = 0; i < size[0]; i++) {
        if (i > 0)
            at = stpcpy(at, draw(200) ? comma : " ,\t");
        if (rank > 1) {
            at = put_array(text, at, size + 1, rank - 1, kinds, comma);
            continue;
        }
        char *number = at;
        at = put_number(at, kinds[draw(16) ? 0 : draw(3)]);
        *at = '\0';
        if (text->numbers < NUMBERS_MAX)
            text->expected[text->numbers++] = strtod(number, NULL);
    }
    *at++ = ']';
    return at;
}

static void make_text(struct text *text)
{
    static const char *const dtypes[] = {"", "", "float64", "float32", "int64", "complex64"};
    static const char *const commas[] = {",", ", ", ",", ",\n  ", ",  \r\n\t"};
    const char *dtype = dtypes[draw(6)], *comma = commas[draw(5)];
    const bool before = draw(2), flat = draw(5) == 0;
    const enum kind kinds[3] = {(enum kind)draw(KINDS), (enum kind)draw(KINDS), (enum kind)draw(KINDS)};
    const unsigned rank = flat ? 1 : 1 + (unsigned)draw(4);
    size_t size[4], left = 1 + draw(draw(4) ? 300 : NUMBERS_MAX);
    char *at = text->text;
    for (unsigned axis = rank; axis-- > 0;) {
        size[axis] = axis == 0 ? left : 1 + draw(draw(2) ? 5 : left < 90 ? left : 90);
        size[axis] = size[axis] < left ? size[axis] : left;
        left /= size[axis];
    }
    text->numbers = 0;
    *at++ = '{';
    if (*dtype && before)
        at += sprintf(at, "\"dtype\":\"%s\",", dtype);
    at = stpcpy(at, "\"input\":");
    if (flat)
        at += sprintf(at, "{\"shape\":[%zu],\"data\":", size[0]);
    at = put_array(text, at, size, rank, kinds, comma);
    if (flat)
        *at++ = '}';
    if (*dtype && !before)
        at += sprintf(at, ",\"dtype\":\"%s\"", dtype);
    *at++ = '}';
    text->count = (size_t)(at - text->text);
}

/* One byte is another, or some are missing. */
static void spoil_text(struct text *text)
{
    static const char bytes[] = "0123456789.,,,-+eE[[]] \n\"x{}n\x80";
    const size_t at = 1 + draw(text->count - 1);
    if (draw(2)) {
        text->text[at] = bytes[draw(sizeof bytes - 1)];
        return;
    }
    const size_t removed = 1 + draw(draw(2) ? 3 : 40);
    if (at + removed < text->count) {
        memmove(text->text + at, text->text + at + removed, text->count - at - removed);
        text->count -= removed;
    }
}

/* ---- Outcomes ---- */

struct outcome {
    char head[700]; /* all but the values */
    size_t bytes;
    void *values;
};

static void feed_cut(struct feed *feed, const struct text *text, unsigned cut)
{
    static const size_t pieces_max[CUTS] = {SIZE_MAX, 400, 3000, 40};
    size_t at = 0;
    bool going = true;
    feed_begin(feed, (size_t)1 << 30);
    if (draw(2))
        json_decoder_expect(feed->decoder, draw(4) ? text->count : draw(1 << 20));
    while (going && at < text->count) {
        const size_t left = text->count - at, most = pieces_max[cut];
        const size_t piece = most == SIZE_MAX ? left : 1 + draw(most < left ? most : left);
        char *copy = malloc(piece); /* of its own, so that a sanitizer sees a read beyond it */
        memcpy(copy, text->text + at, piece);
        going = json_decoder_feed(feed->decoder, copy, piece, &feed->error);
        free(copy);
        at += piece;
    }
    if (going)
        feed->body = json_decoder_finish(feed->decoder, &feed->error);
    feed->offset = json_decoder_offset(feed->decoder);
}

static void find_outcome(struct outcome *outcome, const struct text *text, enum convolve_dtype otherwise, unsigned cut)
{
    struct feed feed;
    struct convolve_shape shape = {0};
    bool shape_only;
    void *values = NULL;
    size_t count = 0;
    *outcome = (struct outcome){0};
    feed_cut(&feed, text, cut);
    const enum convolve_dtype dtype = feed_dtype(feed.body, otherwise);
    const struct json_value *input = feed.body ? json_member(feed.body, "input") : NULL;
    if (input && json_tensor_shape(input, "/input", false, &shape_only, &shape, &feed.error) &&
        json_tensor_values(input, "/input", dtype, false, &feed.arena, &values, &feed.error)) {
        convolve_shape_count(&shape, &count);
        outcome->bytes = count * convolve_dtype_bytes(dtype);
        outcome->values = malloc(outcome->bytes + 1);
        memcpy(outcome->values, values, outcome->bytes);
    }
    int used = snprintf(outcome->head, sizeof outcome->head,
                        "%s %s %s @%" PRId64 " %d:", feed.error.slug ? feed.error.slug : "fine", feed.error.pointer,
                        feed.error.detail, feed.offset, (int)dtype);
    for (unsigned axis = 0; axis < shape.rank && used < 600; axis++)
        used += snprintf(outcome->head + used, sizeof outcome->head - (size_t)used, " %zu", shape.size[axis]);
    feed_release(&feed);
}

static void fail_text(const struct text *text, unsigned round, const char *set, unsigned cut, const char *what)
{
    if (failures++ < 5)
        fprintf(stderr, "round %u, %s, cut %u: %s\n  %.*s\n", round, set, cut, what,
                (int)(text->count < 300 ? text->count : 300), text->text);
}

static void compare(const struct text *text, unsigned round, const char *set, unsigned cut, const struct outcome *found,
                    const struct outcome *expected)
{
    char what[1500];
    if (strcmp(found->head, expected->head) != 0) {
        snprintf(what, sizeof what, "found \"%s\", expected \"%s\"", found->head, expected->head);
        fail_text(text, round, set, cut, what);
    } else if (found->bytes != expected->bytes || memcmp(found->values ? found->values : "",
                                                         expected->values ? expected->values : "", found->bytes) != 0) {
        size_t i = 0;
        while (i < found->bytes && ((char *)found->values)[i] == ((char *)expected->values)[i])
            i++;
        snprintf(what, sizeof what, "found %zu bytes, expected %zu, the first other one is %zu", found->bytes,
                 expected->bytes, i);
        fail_text(text, round, set, cut, what);
    }
}

/* Doubles are those of strtod. */
static void check_values(const struct text *text, unsigned round, const struct outcome *outcome)
{
    if (!strstr(outcome->head, " 0:") || outcome->bytes == 0)
        return;
    if (outcome->bytes != text->numbers * sizeof(double) ||
        memcmp(outcome->values, text->expected, outcome->bytes) != 0)
        fail_text(text, round, "scalar", 0, "not the values of strtod");
}

static void check_text(const struct text *text, unsigned round, bool spoiled)
{
    static const char *const sets[] = {"scalar", "avx2", "avx512", "neon"};
    struct outcome expected;
    const enum convolve_dtype otherwise = draw(3) ? CONVOLVE_FLOAT64 : (enum convolve_dtype)draw(CONVOLVE_DTYPE_COUNT);
    assert_true(convolve_simd_select("scalar"));
    find_outcome(&expected, text, otherwise, 0);
    if (!spoiled)
        check_values(text, round, &expected);
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        if (!convolve_simd_select(sets[s]))
            continue;
        for (unsigned cut = 0; cut < CUTS; cut++) {
            struct outcome found;
            find_outcome(&found, text, otherwise, cut);
            compare(text, round, sets[s], cut, &found, &expected);
            free(found.values);
        }
    }
    free(expected.values);
    convolve_simd_select("auto");
}

static void test_random_texts(void **state)
{
    struct text text = {.text = malloc(TEXT_BYTES)};
    (void)state;
    failures = 0;
    random_state = seed;
    for (unsigned round = 0; round < rounds; round++) {
        make_text(&text);
        check_text(&text, round, false);
        for (unsigned i = 0; i < 3; i++) {
            const uint64_t before = random_state;
            make_text(&text);
            spoil_text(&text);
            check_text(&text, round, true);
            random_state = before + i + 1;
        }
    }
    free(text.text);
    assert_int_equal(failures, 0);
}

/* Each kind of number at each place of the blocks that routines work in. */
static void test_places(void **state)
{
    static const char *const numbers[] = {"7",
                                          "-0",
                                          "12345678",
                                          "0.5",
                                          "1.25",
                                          "123456789012345678",
                                          "1e5",
                                          "-2.5E-3",
                                          "0.30000000000000004",
                                          "1e999",
                                          "01",
                                          "1.",
                                          "9007199254740993",
                                          "1234567890123456789012345",
                                          "-",
                                          "1e",
                                          "1.2.3",
                                          "[1]",
                                          "null",
                                          "1e00001",
                                          "1e5.5",
                                          "1e5e5",
                                          "1e+5-",
                                          "2e-0003"};
    struct text text = {.text = malloc(TEXT_BYTES)};
    (void)state;
    failures = 0;
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
        for (unsigned before = 0; before < 70; before++) {
            char *at = stpcpy(text.text, "{\"input\":[1000");
            for (unsigned i = 0; i < 60 + before / 2; i++)
                at = stpcpy(at, i < before % 2 ? ",11" : ",1");
            at += sprintf(at, ",%s", numbers[n]);
            for (unsigned i = 0; i < 150; i++)
                at = stpcpy(at, ",2");
            at = stpcpy(at, "]}");
            text.count = (size_t)(at - text.text);
            check_text(&text, before, true);
        }
    }
    free(text.text);
    assert_int_equal(failures, 0);
}

/* What may and may not stand between two rows, and how a row may be, at each place. */
static void test_rows(void **state)
{
    static const char *const gaps[] = {"],[",
                                       "], [",
                                       "],\n[",
                                       "] ,[",
                                       "],,[",
                                       "][",
                                       "]2,[",
                                       "],[[",
                                       "]],[",
                                       "],",
                                       ",[",
                                       "],[],[",
                                       "],[ ",
                                       "],[,",
                                       "],[4],[",
                                       "],[1,",
                                       "],[-",
                                       "]e,[",
                                       "]],[[",
                                       "],[null,3,4],[",
                                       "],[1,{\"a\":0,\"a\":0}],[",
                                       "],\"x\",[",
                                       "],[1,2,3,4],["};
    struct text text = {.text = malloc(TEXT_BYTES)};
    (void)state;
    failures = 0;
    for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++) {
        for (unsigned before = 0; before < 70; before++) {
            char *at = stpcpy(text.text, before % 2 ? "{\"input\":[[[1,2,3]],[[" : "{\"input\":[[");
            for (unsigned i = 0; i < 30; i++)
                at += sprintf(at, "%s%s", i < before / 2 ? "12,34,56" : "1,2,-3",
                              i < 29 ? before % 2 ? "]],[[" : "],[" : "");
            at = stpcpy(at, gaps[g]);
            for (unsigned i = 0; i < 30; i++)
                at += sprintf(at, "7,8,9%s", i < 29 ? before % 2 ? "]],[[" : "],[" : "");
            at = stpcpy(at, before % 2 ? "]]]}" : "]]}");
            text.count = (size_t)(at - text.text);
            check_text(&text, before, true);
        }
    }
    free(text.text);
    assert_int_equal(failures, 0);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_texts), cmocka_unit_test(test_places),
                                       cmocka_unit_test(test_rows)};
    if (count > 1)
        rounds = (unsigned)strtoul(arguments[1], NULL, 10);
    if (count > 2)
        seed = strtoull(arguments[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
