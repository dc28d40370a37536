/* SPDX-License-Identifier: MIT */
/* A part ends at CR LF, two hyphens and the boundary. The delimiter begins with its only CR, so after a mismatch nothing but the
 * present byte can begin it anew, and what had matched is content: the delimiter's own beginning. The first one may stand at the
 * very start, as if a line had ended before. */
#include "server/formats/multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/formats/json_body.h"

enum { LINE_END_BYTES = 2 };

static bool fail_multipart(struct convolve_error *error, const char *detail)
{
    return convolve_fail(error, "malformed-multipart", "", "%s", detail);
}

/* ---- Parameters of a header: ; name=token, name="quoted \" text" ---- */

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* The value behind the "=" into `out`, NUL-terminated, where that is not NULL; returns behind it, NULL where it is none or does
 * not fit. Boundaries are sent with characters that no token has, so an unquoted value ends at a semicolon or space only. */
static const char *parameter_value(const char *at, char *out, size_t room, size_t *count)
{
    const bool quoted = *at == '"';
    size_t used = 0;
    at += quoted;
    while (*at != '\0' && (quoted ? *at != '"' : !strchr("; \t", *at))) {
        at += quoted && *at == '\\' && (at[1] == '"' || at[1] == '\\');
        if (out && used + 1 >= room)
            return NULL;
        if (out)
            out[used++] = *at;
        at++;
    }
    if (out) {
        out[used] = '\0';
        *count = used;
    }
    if (quoted && *at++ != '"')
        return NULL;
    return at;
}

enum found { FOUND_NOTHING, FOUND_ONE, FOUND_FAULT };

/* Looks for the parameter `name` behind the first word of a header's value; all of them are read, so that a fault in any is
 * found. */
static enum found find_parameter(const char *value, const char *name, char *out, size_t room, size_t *count)
{
    enum found found = FOUND_NOTHING;
    const char *at = value + strcspn(value, "; \t");
    for (;;) {
        at += strspn(at, " \t");
        if (*at == '\0')
            return found;
        if (*at++ != ';')
            return FOUND_FAULT;
        at += strspn(at, " \t");
        if (*at == ';' || *at == '\0')
            continue;
        const char *const word = at;
        while (is_token(*at))
            at++;
        const size_t bytes = (size_t)(at - word);
        if (bytes == 0 || *at++ != '=')
            return FOUND_FAULT;
        const bool wanted = bytes == strlen(name) && strncasecmp(word, name, bytes) == 0;
        if (wanted && found != FOUND_NOTHING)
            return FOUND_FAULT;
        at = parameter_value(at, wanted ? out : NULL, room, count);
        if (at == NULL)
            return FOUND_FAULT;
        found = wanted ? FOUND_ONE : found;
    }
}

bool multipart_boundary(const char *content_type, char boundary[MULTIPART_BOUNDARY_MAX + 1],
                        struct convolve_error *error)
{
    size_t count = 0;
    if (find_parameter(content_type, "boundary", boundary, MULTIPART_BOUNDARY_MAX + 1, &count) != FOUND_ONE ||
        count == 0)
        return fail_multipart(error, "Content-Type names no boundary of 1 to 70 characters, once: "
                                     "multipart/form-data; boundary=...");
    for (size_t i = 0; i < count; i++)
        if (boundary[i] < ' ' || boundary[i] > '~')
            return fail_multipart(error, "the boundary in Content-Type has characters beyond ASCII");
    if (boundary[count - 1] == ' ')
        return fail_multipart(error, "the boundary in Content-Type ends with a space");
    return true;
}

/* ---- Headers of a part ---- */

/* Takes the next line of the headers, NUL-terminated in place; NULL at the empty one, or where one is no header. */
static char *next_line(char **at)
{
    char *const line = *at, *const end = strstr(line, "\r\n");
    if (!end || end == line)
        return NULL;
    *end = '\0';
    *at = end + 2;
    return line;
}

static bool read_disposition(struct multipart_part *part, const char *value, struct convolve_error *error)
{
    if (strncasecmp(value, "form-data", 9) != 0 || !strchr("; \t", value[9]))
        return fail_multipart(error, "a part's Content-Disposition is not form-data");
    switch (find_parameter(value, "name", part->name, sizeof part->name, &part->name_bytes)) {
    case FOUND_ONE:
        return true;
    case FOUND_NOTHING:
        return fail_multipart(error, "a part's Content-Disposition has no name");
    default:
        return fail_multipart(error,
                              "a part's Content-Disposition cannot be read, or its name is longer than 255 bytes");
    }
}

/* What is sent as it is. */
static bool check_coding(const char *value, struct convolve_error *error)
{
    static const char *const plain[] = {"binary", "8bit", "7bit"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (strcasecmp(value, plain[i]) == 0)
            return true;
    return fail_multipart(error, "a part has a Content-Transfer-Encoding; send its bytes as they are");
}

static bool read_headers(struct multipart_reader *reader, struct multipart_part *part, struct convolve_error *error)
{
    char *at = reader->headers, *line;
    bool named = false;
    reader->headers[reader->header_bytes] = '\0';
    if (strlen(reader->headers) != reader->header_bytes)
        return fail_multipart(error, "a part's headers have a zero byte");
    while ((line = next_line(&at)) != NULL) {
        char *value = line;
        while (is_token(*value))
            value++;
        if (value == line || *value != ':')
            return fail_multipart(error, "a line of a part's headers is no header");
        *value++ = '\0';
        value += strspn(value, " \t");
        for (size_t length = strlen(value); length > 0 && strchr(" \t", value[length - 1]); length--)
            value[length - 1] = '\0';
        if (strcasecmp(line, "Content-Disposition") == 0) {
            if (named)
                return fail_multipart(error, "a part has more than one Content-Disposition");
            if (!read_disposition(part, value, error))
                return false;
            named = true;
        } else if (strcasecmp(line, "Content-Transfer-Encoding") == 0 && !check_coding(value, error)) {
            return false;
        }
    }
    return named || fail_multipart(error, "a part has no Content-Disposition, so it has no name");
}

/* ---- The body ---- */

bool multipart_init(struct multipart_reader *reader, struct arena *arena, const char *boundary,
                    const struct multipart_events *events, void *context, struct convolve_error *error)
{
    *reader = (struct multipart_reader){.arena = arena, .events = events, .context = context};
    reader->matched = reader->assumed = LINE_END_BYTES;
    reader->delimiter_bytes =
        (size_t)snprintf(reader->delimiter, sizeof reader->delimiter, "\r\n--%.*s", MULTIPART_BOUNDARY_MAX, boundary);
    reader->headers = arena_alloc(arena, MULTIPART_HEADERS_MAX + 1);
    return reader->headers || json_fail_memory(arena, error);
}

static bool pass_on(struct multipart_reader *reader, const char *bytes, size_t count, struct convolve_error *error)
{
    return count == 0 || reader->state != MULTIPART_CONTENT ||
           reader->events->content(reader->context, bytes, count, error);
}

static bool boundary_met(struct multipart_reader *reader, struct convolve_error *error)
{
    const bool part_ends = reader->state == MULTIPART_CONTENT;
    reader->state = MULTIPART_BEHIND;
    reader->matched = reader->assumed = 0;
    reader->dashes = 0;
    reader->padded = reader->returned = false;
    return !part_ends || reader->events->end(reader->context, error);
}

/* The delimiter's next bytes at `at`: how many are there. */
static size_t match_on(struct multipart_reader *reader, const char *at, const char *end)
{
    const size_t left = reader->delimiter_bytes - reader->matched, there = (size_t)(end - at);
    const size_t count = left < there ? left : there;
    size_t same = 0;
    while (same < count && at[same] == reader->delimiter[reader->matched + same])
        same++;
    return same;
}

/* Preamble or content up to the next delimiter. Returns where it stopped, NULL after a fault. */
static const char *feed_content(struct multipart_reader *reader, const char *at, const char *end,
                                struct convolve_error *error)
{
    if (reader->matched > 0) { /* the last piece ended within what may be a delimiter */
        const size_t same = match_on(reader, at, end), before = reader->matched;
        if (before + same == reader->delimiter_bytes)
            return boundary_met(reader, error) ? at + same : NULL;
        if (at + same == end) {
            reader->matched += same;
            return end;
        }
        reader->matched = 0;
        if (!pass_on(reader, reader->delimiter + reader->assumed, before - reader->assumed, error))
            return NULL;
        reader->assumed = 0;
    }
    for (const char *from = at;;) {
        const char *const found = memchr(at, '\r', (size_t)(end - at));
        const char *const stop = found ? found : end;
        const size_t same = match_on(reader, stop, end);
        if (same == reader->delimiter_bytes || stop + same == end) {
            if (!pass_on(reader, from, (size_t)(stop - from), error))
                return NULL;
            reader->matched = same;
            if (same < reader->delimiter_bytes)
                return end;
            return boundary_met(reader, error) ? stop + same : NULL;
        }
        at = stop + 1;
    }
}

/* Behind a boundary: two hyphens end the body; else spaces and tabs, then the end of the line. */
static bool feed_behind(struct multipart_reader *reader, char byte, struct convolve_error *error)
{
    if (reader->returned) {
        if (byte != '\n')
            return fail_multipart(error, "a line that begins like the boundary does not end like one");
        reader->state = MULTIPART_HEADERS;
        reader->header_bytes = 0;
    } else if (byte == '-' && !reader->padded) {
        if (++reader->dashes == 2)
            reader->state = MULTIPART_EPILOGUE;
    } else if (reader->dashes == 1) {
        return fail_multipart(error, "a line that begins like the boundary does not end like one");
    } else if (byte == ' ' || byte == '\t') {
        reader->padded = true;
    } else if (byte == '\r') {
        reader->returned = true;
    } else {
        return fail_multipart(error, "a line that begins like the boundary does not end like one");
    }
    return true;
}

static bool feed_header(struct multipart_reader *reader, char byte, struct convolve_error *error)
{
    struct multipart_part part;
    const char *const headers = reader->headers;
    if (reader->header_bytes == MULTIPART_HEADERS_MAX)
        return fail_multipart(error, "a part's headers are longer than 4096 bytes");
    reader->headers[reader->header_bytes++] = byte;
    const size_t count = reader->header_bytes;
    const bool ended =
        count == 2 ? memcmp(headers, "\r\n", 2) == 0 : count > 3 && memcmp(headers + count - 4, "\r\n\r\n", 4) == 0;
    if (!ended)
        return true;
    if (!read_headers(reader, &part, error))
        return false;
    reader->state = MULTIPART_CONTENT;
    reader->matched = reader->assumed = LINE_END_BYTES; /* the boundary may follow at once */
    return reader->events->begin(reader->context, &part, error);
}

bool multipart_feed(struct multipart_reader *reader, const char *bytes, size_t count, struct convolve_error *error)
{
    const char *at = bytes, *const end = bytes + count;
    while (at && at < end) {
        switch (reader->state) {
        case MULTIPART_PREAMBLE:
        case MULTIPART_CONTENT:
            at = feed_content(reader, at, end, error);
            break;
        case MULTIPART_BEHIND:
            at = feed_behind(reader, *at, error) ? at + 1 : NULL;
            break;
        case MULTIPART_HEADERS:
            at = feed_header(reader, *at, error) ? at + 1 : NULL;
            break;
        case MULTIPART_EPILOGUE:
            return true;
        }
    }
    return at != NULL;
}

bool multipart_end(const struct multipart_reader *reader, struct convolve_error *error)
{
    switch (reader->state) {
    case MULTIPART_EPILOGUE:
        return true;
    case MULTIPART_PREAMBLE:
        return fail_multipart(error, "the boundary of Content-Type does not occur in the body");
    default:
        return fail_multipart(error, "the body ends before the last boundary, which has two hyphens behind it");
    }
}
