/* SPDX-License-Identifier: MIT */
/* multipart/form-data: bodies in every way of cutting them in three, what must be refused, and what Content-Type may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/formats/multipart.h"

/* What came, as text: "name=content;" for each part, control characters as they are. */
struct record {
    char text[2048];
    size_t count;
};

static void add(struct record *record, const char *bytes, size_t count)
{
    assert_true(count < sizeof record->text - record->count);
    memcpy(record->text + record->count, bytes, count);
    record->count += count;
    record->text[record->count] = '\0';
}

static bool on_begin(void *context, const struct multipart_part *part, struct convolve_error *error)
{
    (void)error;
    assert_int_equal(strlen(part->name), part->name_bytes);
    add(context, part->name, part->name_bytes);
    add(context, "=", 1);
    return true;
}

static bool on_content(void *context, const char *bytes, size_t count, struct convolve_error *error)
{
    (void)error;
    assert_true(count > 0);
    add(context, bytes, count);
    return true;
}

static bool on_end(void *context, struct convolve_error *error)
{
    (void)error;
    add(context, ";", 1);
    return true;
}

static const struct multipart_events events = {on_begin, on_content, on_end};

/* Each piece stands in memory of its own, so that a sanitizer sees a read beyond it. */
static bool feed_piece(struct multipart_reader *reader, const char *bytes, size_t count, struct convolve_error *error)
{
    char *copy = malloc(count + 1);
    memcpy(copy, bytes, count);
    const bool fine = multipart_feed(reader, copy, count, error);
    free(copy);
    return fine;
}

/* The body in pieces that end at the two cuts; "refused" where it is. */
static const char *read_cut(const char *boundary, const char *body, size_t first, size_t second, struct record *record,
                            struct convolve_error *error)
{
    struct memory_budget budget = {.limit = 1 << 20};
    struct arena arena;
    struct multipart_reader reader;
    arena_init(&arena, &budget);
    *record = (struct record){.count = 0};
    *error = (struct convolve_error){.slug = NULL};
    assert_true(multipart_init(&reader, &arena, boundary, &events, record, error));
    const bool fine = feed_piece(&reader, body, first, error) &&
                      feed_piece(&reader, body + first, second - first, error) &&
                      feed_piece(&reader, body + second, strlen(body) - second, error) && multipart_end(&reader, error);
    arena_release(&arena);
    assert_int_equal(budget.used, 0);
    if (fine)
        return record->text;
    assert_string_equal(error->slug, "malformed-multipart");
    return "refused";
}

static void check_cuts(const char *name, const char *boundary, const char *body, const char *expected)
{
    struct record record;
    struct convolve_error error;
    const size_t count = strlen(body);
    for (size_t first = 0; first <= count; first++)
        for (size_t second = first; second <= count; second++) {
            const char *found = read_cut(boundary, body, first, second, &record, &error);
            if (strcmp(found, expected) != 0)
                fail_msg("%s, cut at %zu and %zu: found \"%s\" (%s), expected \"%s\"", name, first, second, found,
                         error.detail, expected);
        }
}

#define HEAD(name) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"

static void bodies(void **state)
{
    static const struct {
        const char *name, *boundary, *body, *expected;
    } cases[] = {
        {"one part", "b", "--b\r\n" HEAD("mode") "same\r\n--b--\r\n", "mode=same;"},
        {"two parts", "b", "--b\r\n" HEAD("a") "1\r\n--b\r\n" HEAD("c") "2\r\n--b--\r\n", "a=1;c=2;"},
        {"no line end at the end", "b", "--b\r\n" HEAD("a") "1\r\n--b--", "a=1;"},
        {"no part", "b", "--b--\r\n", ""},
        {"preamble and epilogue", "b", "hear\r\nye\r\n--b\r\n" HEAD("a") "1\r\n--b--\r\nthe end\r\n--b\r\n", "a=1;"},
        {"padding behind the boundary", "b", "--b \t\r\n" HEAD("a") "1\r\n--b \r\n" HEAD("c") "2\r\n--b--  \r\n",
         "a=1;c=2;"},
        {"an empty part", "b", "--b\r\n" HEAD("a") "\r\n--b--", "a=;"},
        {"no line for the content", "b", "--b\r\n" HEAD("a") "--b--", "a=;"},
        {"content that looks like a delimiter", "b", "--b\r\n" HEAD("a") "\r\n-\r\n--\r\n-- b\r\r\n\n--b\r\n--b--",
         "a=\r\n-\r\n--\r\n-- b\r\r\n\n--b;"},
        {"line ends in content", "b", "--b\r\n" HEAD("a") "\r\n\r\n\r\n--b--", "a=\r\n\r\n;"},
        {"hyphens at the start of content", "b", "--b\r\n" HEAD("a") "-- b\r\n--b--", "a=-- b;"},
        {"a CR before the delimiter", "b", "--b\r\n" HEAD("a") "x\r\r\n--b--", "a=x\r;"},
        {"a boundary of hyphens", "--", "----\r\n" HEAD("a") "1\r\n---\r\n------", "a=1\r\n---;"},
        {"as curl sends a file", "----x",
         "------x\r\nContent-Disposition: form-data; name=\"input\"; filename=\"in.npy\"\r\n"
         "Content-Type: application/octet-stream\r\n\r\n1\r\n------x--\r\n",
         "input=1;"},
        {"name after filename, unquoted", "b",
         "--b\r\ncontent-disposition:FORM-DATA;filename=\"a;name=\\\"x\\\"\" ; name=a\r\n\r\n1\r\n--b--", "a=1;"},
        {"escapes in a name", "b", "--b\r\nContent-Disposition: form-data; name=\"a\\\"\\\\\\b\"\r\n\r\n1\r\n--b--",
         "a\"\\\\b=1;"},
        {"the name of RFC 5987 does not count", "b",
         "--b\r\nContent-Disposition: form-data; name*=UTF-8''z; name=a\r\n\r\n1\r\n--b--", "a=1;"},
        {"other headers", "b",
         "--b\r\nX-A: 1\r\nContent-Transfer-Encoding: BINARY \r\nContent-Disposition: form-data; name=a\r\n"
         "Content-Length: 1\r\n\r\n1\r\n--b--",
         "a=1;"},

        {"nothing", "b", "", "refused"},
        {"no boundary", "b", "hear ye\r\n-b--", "refused"},
        {"the boundary within a line", "b", "x--b\r\n", "refused"},
        {"cut in content", "b", "--b\r\n" HEAD("a") "1\r\n--b", "refused"},
        {"cut behind a part", "b", "--b\r\n" HEAD("a") "1\r\n--b\r\n", "refused"},
        {"cut in the headers", "b", "--b\r\nContent-Disposition: form-data; name=a\r\n", "refused"},
        {"one hyphen", "b", "--b\r\n" HEAD("a") "1\r\n--b-\r\n", "refused"},
        {"a longer boundary", "b", "--b\r\n" HEAD("a") "1\r\n--bc\r\n", "refused"},
        {"a CR alone behind the boundary", "b", "--b\rx", "refused"},
        {"a space before the hyphens", "b", "--b\r\n" HEAD("a") "1\r\n--b --", "refused"},
        {"no headers", "b", "--b\r\n\r\n1\r\n--b--", "refused"},
        {"no disposition", "b", "--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--", "refused"},
        {"no name", "b", "--b\r\nContent-Disposition: form-data; filename=a\r\n\r\n1\r\n--b--", "refused"},
        {"two names", "b", "--b\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n1\r\n--b--", "refused"},
        {"two dispositions", "b",
         "--b\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--",
         "refused"},
        {"another disposition", "b", "--b\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--b--", "refused"},
        {"an open quote", "b", "--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--b--", "refused"},
        {"no equals sign", "b", "--b\r\nContent-Disposition: form-data; name\r\n\r\n1\r\n--b--", "refused"},
        {"a line that is no header", "b", "--b\r\nnonsense\r\n" HEAD("a") "1\r\n--b--", "refused"},
        {"a folded line", "b", "--b\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\n1\r\n--b--", "refused"},
        {"base64", "b", "--b\r\nContent-Transfer-Encoding: base64\r\n" HEAD("a") "MQ==\r\n--b--", "refused"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_cuts(cases[i].name, cases[i].boundary, cases[i].body, cases[i].expected);
}

static void boundaries(void **state)
{
#define SEVENTY "0123456789012345678901234567890123456789012345678901234567890123456789"
    static const struct {
        const char *type, *expected; /* NULL: refused */
    } cases[] = {
        {"multipart/form-data; boundary=b", "b"},
        {"multipart/form-data;boundary=b", "b"},
        {"multipart/form-data; BOUNDARY=b", "b"},
        {"multipart/form-data; charset=utf-8; boundary=b;", "b"},
        {"multipart/form-data; boundary=\"a b:c\"", "a b:c"},
        {"multipart/form-data; boundary=a=b/c?d", "a=b/c?d"},
        {"multipart/form-data; boundary=" SEVENTY, SEVENTY},
        {"multipart/form-data", NULL},
        {"multipart/form-data; boundary=", NULL},
        {"multipart/form-data; boundary=\"\"", NULL},
        {"multipart/form-data; boundary=\"a", NULL},
        {"multipart/form-data; boundary=\"a \"", NULL},
        {"multipart/form-data; boundary=a; boundary=a", NULL},
        {"multipart/form-data; boundary=a b", NULL},
        {"multipart/form-data boundary=a", NULL},
        {"multipart/form-data; boundary=\xc3\xa9", NULL},
        {"multipart/form-data; boundary=" SEVENTY "0", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char boundary[MULTIPART_BOUNDARY_MAX + 1];
        struct convolve_error error = {.slug = NULL};
        const bool fine = multipart_boundary(cases[i].type, boundary, &error);
        if (fine != (cases[i].expected != NULL) || (fine && strcmp(boundary, cases[i].expected) != 0))
            fail_msg("%s: found %s, expected %s", cases[i].type, fine ? boundary : "refused",
                     cases[i].expected ? cases[i].expected : "refused");
        if (!fine)
            assert_string_equal(error.slug, "malformed-multipart");
    }
}

/* Headers and names are bounded, whatever comes. */
static void long_headers(void **state)
{
    static const struct {
        size_t name, other;
        bool fine;
    } cases[] = {{255, 0, true}, {256, 0, false}, {1, 3900, true}, {1, 5000, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[8192], padding[8192];
        struct record record;
        struct convolve_error error;
        memset(padding, 'x', sizeof padding);
        snprintf(body, sizeof body, "--b\r\nX: %.*s\r\nContent-Disposition: form-data; name=%.*s\r\n\r\n1\r\n--b--",
                 (int)cases[i].other, padding, (int)cases[i].name, padding);
        const bool fine = strcmp(read_cut("b", body, 1, 2, &record, &error), "refused") != 0;
        assert_int_equal(fine, cases[i].fine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies),
        cmocka_unit_test(boundaries),
        cmocka_unit_test(long_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
