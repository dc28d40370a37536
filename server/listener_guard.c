/* SPDX-License-Identifier: MIT */
/* The rules of RFC 9112 about framing, held against all headers of a request before any byte of its body is believed. */
#include "server/listener_guard.h"

#include <string.h>
#include <strings.h>

#include "server/request.h"

/* What RFC 9110 allows: in a value all but controls, the tabulator allowed; in a token less. NUL ends both. */
enum { VALUE = 1, TOKEN = 2, BOTH = VALUE | TOKEN };
static const unsigned char allowed[256] = {
    ['\t'] = VALUE,        [' '] = VALUE,         ['!'] = BOTH,         ['"'] = VALUE,         ['#' ... '\''] = BOTH,
    ['(' ... ')'] = VALUE, ['*' ... '+'] = BOTH,  [','] = VALUE,        ['-' ... '.'] = BOTH,  ['/'] = VALUE,
    ['0' ... '9'] = BOTH,  [':' ... '@'] = VALUE, ['A' ... 'Z'] = BOTH, ['[' ... ']'] = VALUE, ['^' ... 'z'] = BOTH,
    ['{'] = VALUE,         ['|'] = BOTH,          ['}'] = VALUE,        ['~'] = BOTH,          [0x80 ... 0xff] = VALUE,
};

static bool is_allowed(const char *text, unsigned where)
{
    const unsigned char *at = (const unsigned char *)text;
    while (allowed[*at] & where)
        at++;
    return *at == '\0';
}

static bool fail(struct convolve_error *error, const char *detail)
{
    return convolve_fail(error, "malformed-request", "", "%s", detail);
}

static bool read_length(uint64_t *length, const char *text)
{
    *length = 0;
    if (text[0] == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(*length, 10, length) ||
            __builtin_add_overflow(*length, (uint64_t)(*text - '0'), length))
            return false;
    return true;
}

bool guard_check(struct guard_framing *framing, const struct request_field *headers, size_t count, const char *version,
                 struct convolve_error *error)
{
    const bool is_1_0 = strcmp(version, "HTTP/1.0") == 0;
    unsigned hosts = 0, lengths = 0, codings = 0;

    *framing = (struct guard_framing){0};
    for (size_t i = 0; i < count; i++) {
        const char *name = headers[i].name, *value = headers[i].value;
        if (name[0] == '\0' || !is_allowed(name, TOKEN))
            return fail(error, "a header's name is no token: it holds a space, a control character, or nothing");
        if (!is_allowed(value, VALUE))
            return convolve_fail(error, "malformed-request", "", "the header %.64s holds a control character", name);
        if (request_field_is(&headers[i], "Host")) {
            hosts++;
        } else if (request_field_is(&headers[i], "Content-Length")) {
            lengths++;
            framing->has_length = true;
            if (!read_length(&framing->length, value))
                return fail(error, "Content-Length is no number of bytes");
        } else if (request_field_is(&headers[i], "Transfer-Encoding")) {
            codings++;
            framing->chunked = true;
            if (strcasecmp(value, "chunked") != 0)
                return fail(error, "the only transfer coding understood is `chunked`");
        }
    }
    if (lengths > 1)
        return fail(error, "Content-Length is there more than once");
    if (codings > 1)
        return fail(error, "Transfer-Encoding is there more than once");
    if (lengths > 0 && codings > 0)
        return fail(error, "Content-Length and Transfer-Encoding exclude each other");
    if (codings > 0 && is_1_0)
        return fail(error, "HTTP/1.0 has no Transfer-Encoding");
    if (hosts > 1)
        return fail(error, "Host is there more than once");
    if (hosts == 0 && !is_1_0)
        return fail(error, "HTTP/1.1 requires a Host header");
    return true;
}
