/* SPDX-License-Identifier: MIT */
/* What an answer must say. Values are compared as text, digit for digit: the promise is about digits, and a parser between
 * would hide a wrong one. Only white space between tokens is passed over. */
#include "tests/http/harness.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cjson/cJSON.h>

/* The end of the JSON value at `at`, which is known to be well formed. */
static const char *value_end(const char *at)
{
    int depth = 0;
    for (; *at; at++) {
        if (*at == '"') {
            for (at++; *at && *at != '"'; at++)
                if (*at == '\\' && at[1])
                    at++;
            if (!*at)
                return at;
        } else if (*at == '[' || *at == '{') {
            depth++;
        } else if (*at == ']' || *at == '}') {
            if (depth == 0)
                return at;
            depth--;
        } else if (*at == ',' && depth == 0) {
            return at;
        }
    }
    return at;
}

static char *without_space(const char *text, size_t count)
{
    char *bare = text_copy(text, count), *to = bare;
    bool inside = false;
    for (const char *from = bare; *from; from++) {
        if (*from == '"' && (from == bare || from[-1] != '\\'))
            inside = !inside;
        if (inside || !isspace((unsigned char)*from))
            *to++ = *from;
    }
    *to = 0;
    return bare;
}

const char *member_text(const char *body, const char *path)
{
    const char *at = without_space(body, strlen(body));
    while (*path) {
        size_t name_bytes = strcspn(path, "/");
        if (*at++ != '{')
            return NULL;
        bool found = false;
        while (!found && *at == '"') {
            const char *name = at + 1, *name_end = strchr(name, '"');
            if (!name_end || name_end[1] != ':')
                return NULL;
            at = name_end + 2;
            found = (size_t)(name_end - name) == name_bytes && !strncmp(name, path, name_bytes);
            if (!found) {
                at = value_end(at);
                if (*at == ',')
                    at++;
            }
        }
        if (!found)
            return NULL;
        path += name_bytes;
        if (*path == '/')
            path++;
    }
    return text_copy(at, (size_t)(value_end(at) - at));
}

void check_member(const char *name, const struct answer *answer, const char *path, const char *expected)
{
    const char *bare = json(expected);
    check_text(name, path, member_text(answer->body, path), without_space(bare, strlen(bare)));
}

static bool answered_200(const char *name, const struct answer *answer)
{
    if (answer->status == 200)
        return true;
    complain(name, "status\n        found    %ld %s %.600s\n        expected 200", answer->status,
             answer->failure ? answer->failure : "", answer->body);
    return false;
}

struct answer check_output(struct child *child, const char *name, const char *path, const char *quoted,
                           const char *expected)
{
    struct answer answer = http_post(child, path, quoted);
    if (!answered_200(name, &answer))
        return answer;
    check_member(name, &answer, "output", expected);
    check_text(name, "Content-Type", header_of(&answer, "Content-Type"), "application/json");
    if (!answer.body_bytes || answer.body[answer.body_bytes - 1] != '\n')
        complain(name, "the answer does not end with a newline");
    if (!header_of(&answer, "X-Request-Id"))
        complain(name, "the answer has no X-Request-Id");
    return answer;
}

size_t numbers_of(const char *text, double *numbers, size_t count_max)
{
    size_t count = 0;
    while (text && *text && count < count_max) {
        if (*text == '-' || isdigit((unsigned char)*text)) {
            char *end;
            numbers[count++] = strtod(text, &end);
            text = end;
        } else {
            text++;
        }
    }
    return count;
}

void check_near(struct child *child, const char *name, const char *path, const char *quoted, const double *expected,
                size_t count, double tolerance)
{
    double found[256];
    struct answer answer = http_post(child, path, quoted);
    if (!answered_200(name, &answer))
        return;
    size_t found_count = numbers_of(member_text(answer.body, "output"), found, 256);
    check_number(name, "how many numbers", (long long)found_count, (long long)count);
    for (size_t i = 0; i < count && i < found_count; i++)
        if (!(fabs(found[i] - expected[i]) <= tolerance))
            complain(name, "number %zu\n        found    %.17g\n        expected %.17g", i, found[i], expected[i]);
}

static void check_string(const char *name, const cJSON *document, const char *member, const char *expected)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(document, member);
    if (item && !cJSON_IsString(item))
        complain(name, "%s is no string", member);
    else
        check_text(name, member, item ? item->valuestring : NULL, expected);
}

/* `slugs` are one, or several with | between where the contract leaves it open. */
static void check_type(const char *name, const cJSON *document, const char *slugs)
{
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(document, "type");
    const char *found = cJSON_IsString(type) ? type->valuestring : "(absent)";
    char *rest = text_copy(slugs, strlen(slugs));
    for (char *slug; (slug = strsep(&rest, "|"));)
        if (!strcmp(found, textf("/problems/%s", slug)))
            return;
    check_text(name, "type", found, textf("/problems/%s", slugs));
}

/* `expected` may end in *: then it is a beginning. */
static void check_pointer(const char *name, const cJSON *document, const char *expected)
{
    const cJSON *pointer = cJSON_GetObjectItemCaseSensitive(document, "pointer");
    const char *found = cJSON_IsString(pointer) ? pointer->valuestring : NULL;
    size_t bytes = expected ? strlen(expected) : 0;
    if (!bytes || expected[bytes - 1] != '*')
        check_text(name, "pointer", found, expected);
    else if (bytes > 1 && (!found || strncmp(found, expected, bytes - 1) != 0))
        check_text(name, "pointer", found, expected);
}

static void check_document(const char *name, const cJSON *document, const struct answer *answer, int status,
                           const char *slug, const char *pointer, long long offset, const char *word)
{
    check_type(name, document, slug);
    check_string(name, document, "request_id", header_of(answer, "X-Request-Id"));
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(document, "status");
    check_number(name, "member status", cJSON_IsNumber(number) ? number->valueint : -1, status);
    const cJSON *title = cJSON_GetObjectItemCaseSensitive(document, "title");
    if (!cJSON_IsString(title) || !title->valuestring[0])
        complain(name, "no title in %s", answer->body);
    check_pointer(name, document, pointer);
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(document, "offset");
    if (offset == NO_OFFSET && at)
        complain(name, "an offset (%d) where none belongs", at->valueint);
    else if (offset == ANY_OFFSET && !cJSON_IsNumber(at))
        complain(name, "no offset in %s", answer->body);
    else if (offset >= 0)
        check_number(name, "offset", cJSON_IsNumber(at) ? (long long)at->valuedouble : -1, offset);
    const cJSON *detail = cJSON_GetObjectItemCaseSensitive(document, "detail");
    if (!cJSON_IsString(detail) || !detail->valuestring[0])
        complain(name, "no detail in %s", answer->body);
    else if (word)
        check_holds(name, "detail", detail->valuestring, word);
}

void check_problem_in(const char *name, const struct answer *answer, int status, const char *slug, const char *pointer,
                      long long offset, const char *word)
{
    const char *type = header_of(answer, "Content-Type");
    if (answer->status != status) {
        complain(name, "status\n        found    %ld %s %.400s\n        expected %d %s", answer->status,
                 answer->failure ? answer->failure : "", answer->body, status, slug);
        return;
    }
    if (!type || strncasecmp(type, "application/problem+json", 24) != 0)
        check_text(name, "Content-Type", type, "application/problem+json");
    if (!header_of(answer, "X-Request-Id"))
        complain(name, "no X-Request-Id");
    cJSON *document = cJSON_Parse(answer->body);
    if (document)
        check_document(name, document, answer, status, slug, pointer, offset, word);
    else
        complain(name, "no JSON: %.400s", answer->body);
    cJSON_Delete(document);
}

struct answer check_problem(struct child *child, const char *name, const char *path, const char *quoted, int status,
                            const char *slug, const char *pointer, long long offset, const char *word)
{
    struct answer answer = http_post(child, path, quoted);
    check_problem_in(name, &answer, status, slug, pointer, offset, word);
    return answer;
}
