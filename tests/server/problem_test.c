/* SPDX-License-Identifier: MIT */
/* Problem documents: every row is whole, and whatever bytes an error quotes, the document is one line of valid JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "server/problem.h"

static void every_row_is_whole(void **state)
{
    static const unsigned statuses[] = {200, 400, 401, 404, 405, 406, 408, 413, 415, 422, 429, 431, 503, 504};
    (void)state;

    for (size_t i = 0; i < problem_count(); i++) {
        const struct problem *problem = problem_at(i);
        bool known = false;
        for (size_t k = 0; k < sizeof statuses / sizeof statuses[0]; k++)
            known = known || statuses[k] == problem->status;
        if (!known)
            fail_msg("%s: status %u", problem->slug, problem->status);
        if (problem_find(problem->slug) != problem)
            fail_msg("%s: found twice, or not at all", problem->slug);
        if (strspn(problem->slug, "abcdefghijklmnopqrstuvwxyz-") != strlen(problem->slug))
            fail_msg("%s: the slug is no slug", problem->slug);
        if (problem->title[0] == '\0' || strlen(problem->remedy) < 20 ||
            problem->remedy[strlen(problem->remedy) - 1] != '.')
            fail_msg("%s: title or remedy is no sentence", problem->slug);
    }
    assert_null(problem_find("no-such-problem"));
}

static cJSON *write_and_parse(const struct convolve_error *error, int64_t offset, const char *id)
{
    char out[PROBLEM_BYTES_MAX];
    const size_t bytes = problem_write(out, error, offset, id);
    assert_true(bytes > 2 && bytes <= sizeof out);
    assert_memory_equal(out + bytes - 2, "}\n", 2);
    assert_null(memchr(out, '\n', bytes - 1));
    cJSON *parsed = cJSON_ParseWithLength(out, bytes);
    if (parsed == NULL)
        fail_msg("no JSON: %.*s", (int)bytes, out);
    return parsed;
}

static void check_text(const cJSON *document, const char *name, const char *expected)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(document, name);
    const char *found = cJSON_IsString(member) ? member->valuestring : NULL;
    if ((found == NULL) != (expected == NULL) || (found != NULL && strcmp(found, expected) != 0))
        fail_msg("%s: found %s, expected %s", name, found != NULL ? found : "nothing",
                 expected != NULL ? expected : "nothing");
}

static void check_number(const cJSON *document, const char *name, double expected)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(document, name);
    if (expected < 0 ? member != NULL : !cJSON_IsNumber(member) || member->valuedouble != expected)
        fail_msg("%s: found %g, expected %g", name, cJSON_IsNumber(member) ? member->valuedouble : -1, expected);
}

static void members_are_those_that_apply(void **state)
{
    struct convolve_error error;
    (void)state;

    convolve_fail(&error, "shape-mismatch", "/kernel", "kernel has rank %d", 3);
    cJSON *document = write_and_parse(&error, 5, "id-1");
    check_text(document, "type", "/problems/shape-mismatch");
    check_text(document, "title", "Shapes do not fit");
    check_number(document, "status", 422);
    check_text(document, "detail", "kernel has rank 3");
    check_text(document, "pointer", "/kernel");
    check_text(document, "request_id", "id-1");
    check_number(document, "offset", -1);
    check_number(document, "allowed", -1);
    cJSON_Delete(document);

    convolve_fail(&error, "malformed-json", "", "a comma is missing");
    document = write_and_parse(&error, 0, "id-2");
    check_number(document, "offset", 0);
    check_text(document, "pointer", NULL);
    cJSON_Delete(document);

    convolve_fail(&error, "too-large", "", "too much");
    error.limit = "max_work";
    error.allowed = 1000;
    error.requested = 123456789012345;
    document = write_and_parse(&error, -1, "");
    check_text(document, "limit", "max_work");
    check_number(document, "allowed", 1000);
    check_number(document, "requested", 123456789012345);
    check_text(document, "request_id", NULL);
    cJSON_Delete(document);
}

static void quoted_bytes_become_valid_text(void **state)
{
    static const struct {
        const char *name, *bytes, *expected;
    } cases[] = {
        {"plain", "abc", "abc"},
        {"quotes and backslashes", "\"a\\b\"", "\"a\\b\""},
        {"control characters", "a\n\t\x01\x1f\x7f", "a\n\t\x01\x1f\x7f"},
        {"valid UTF-8", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"stray continuation", "a\x80z", "a\xef\xbf\xbdz"},
        {"cut sequence", "a\xe2\x82", "a\xef\xbf\xbd\xef\xbf\xbd"},
        {"too long for its value", "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"surrogate", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"beyond Unicode", "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"no byte of UTF-8", "\xff", "\xef\xbf\xbd"},
    };
    struct convolve_error error;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        convolve_fail(&error, "unknown-member", cases[i].bytes, "%s", cases[i].bytes);
        cJSON *document = write_and_parse(&error, -1, NULL);
        check_text(document, "detail", cases[i].expected);
        check_text(document, "pointer", cases[i].expected);
        cJSON_Delete(document);
    }
}

static void the_longest_document_fits(void **state)
{
    struct convolve_error error;
    (void)state;

    convolve_fail(&error, "too-large", "", "x");
    memset(error.pointer, 1, sizeof error.pointer - 1);
    memset(error.detail, 1, sizeof error.detail - 1);
    error.limit = "max_body_bytes";
    error.allowed = error.requested = UINT64_MAX;
    char id[129] = "";
    memset(id, 'a', 128);
    cJSON_Delete(write_and_parse(&error, INT64_MAX, id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(members_are_those_that_apply),
        cmocka_unit_test(quoted_bytes_become_valid_text),
        cmocka_unit_test(the_longest_document_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
