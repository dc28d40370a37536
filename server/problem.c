/* SPDX-License-Identifier: MIT */
/* Problem documents. Names and remedies come from problem.def; what is particular comes from the error. The text is written by
 * hand, because it has to be valid JSON and UTF-8 whatever bytes of the client's an error quotes. */
#include "server/problem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct problem problems[] = {
#define PROBLEM(status, slug, title, remedy) {slug, status, title, remedy},
#include "server/problem.def"
#undef PROBLEM
};

size_t problem_count(void)
{
    return sizeof problems / sizeof problems[0];
}

const struct problem *problem_at(size_t index)
{
    return &problems[index];
}

const struct problem *problem_find(const char *slug)
{
    for (size_t i = 0; i < problem_count(); i++)
        if (strcmp(problems[i].slug, slug) == 0)
            return &problems[i];
    return NULL;
}

struct text {
    char *at, *end;
};

static void text_put(struct text *text, const char *bytes, size_t count)
{
    if (count > (size_t)(text->end - text->at))
        count = (size_t)(text->end - text->at);
    memcpy(text->at, bytes, count);
    text->at += count;
}

static void text_put_plain(struct text *text, const char *string)
{
    text_put(text, string, strlen(string));
}

/* The length of the UTF-8 sequence at `bytes`, 0 where there is none (RFC 3629: no surrogates, nothing too long). */
static size_t utf8_length(const unsigned char *bytes)
{
    static const struct {
        unsigned char first_min, first_max, second_min, second_max, length;
    } forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
                 {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                 {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};

    if (bytes[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (bytes[0] < forms[i].first_min || bytes[0] > forms[i].first_max)
            continue;
        if (bytes[1] < forms[i].second_min || bytes[1] > forms[i].second_max)
            return 0;
        for (size_t k = 2; k < forms[i].length; k++) /* the terminating NUL is no continuation, so this stops in time */
            if ((bytes[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

static void text_put_control(struct text *text, unsigned char byte)
{
    static const char letters[] = "btnvfr", digits[] = "0123456789abcdef"; /* from \b on; JSON has no \v */
    if (byte >= '\b' && byte <= '\r' && byte != '\v') {
        text_put(text, (const char[]){'\\', letters[byte - '\b']}, 2);
        return;
    }
    text_put(text, (const char[]){'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]}, 6);
}

static void text_put_string(struct text *text, const char *string)
{
    text_put_plain(text, "\"");
    for (const unsigned char *at = (const unsigned char *)string; *at != '\0';) {
        const size_t length = utf8_length(at);
        if (length == 0) {
            text_put_plain(text, "\xef\xbf\xbd"); /* the replacement character */
            at++;
            continue;
        }
        if (*at == '"' || *at == '\\') {
            text_put_plain(text, "\\");
        } else if (*at < 0x20 || *at == 0x7f) {
            text_put_control(text, *at++);
            continue;
        }
        text_put(text, (const char *)at, length);
        at += length;
    }
    text_put_plain(text, "\"");
}

static void text_put_member(struct text *text, const char *name, const char *value)
{
    text_put_plain(text, ", \"");
    text_put_plain(text, name);
    text_put_plain(text, "\": ");
    text_put_string(text, value);
}

static void text_put_number(struct text *text, const char *name, uint64_t value)
{
    char number[64];
    snprintf(number, sizeof number, ", \"%s\": %" PRIu64, name, value);
    text_put_plain(text, number);
}

size_t problem_write(char out[PROBLEM_BYTES_MAX], const struct convolve_error *error, int64_t offset,
                     const char *request_id)
{
    struct text text = {out, out + PROBLEM_BYTES_MAX};
    const struct problem *problem = error->slug != NULL ? problem_find(error->slug) : NULL;
    char type[96];

    if (problem == NULL) /* a slug without a row is our own mistake; the client still gets a document */
        problem = problem_find("overloaded");
    snprintf(type, sizeof type, "{\"type\": \"/problems/%s\"", problem->slug);
    text_put_plain(&text, type);
    text_put_member(&text, "title", problem->title);
    text_put_number(&text, "status", problem->status);
    if (error->detail[0] != '\0')
        text_put_member(&text, "detail", error->detail);
    if (error->pointer[0] != '\0')
        text_put_member(&text, "pointer", error->pointer);
    if (offset >= 0 && strcmp(problem->slug, "malformed-json") == 0)
        text_put_number(&text, "offset", (uint64_t)offset);
    if (error->limit != NULL && strcmp(problem->slug, "too-large") == 0) {
        text_put_member(&text, "limit", error->limit);
        text_put_number(&text, "allowed", error->allowed);
        text_put_number(&text, "requested", error->requested);
    }
    if (request_id != NULL && request_id[0] != '\0')
        text_put_member(&text, "request_id", request_id);
    text_put_plain(&text, "}\n");
    return (size_t)(text.at - out);
}
