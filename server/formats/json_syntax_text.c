/* SPDX-License-Identifier: MIT */
/* The byte machine's states inside names and strings: plain text in stretches, escapes, UTF-8 held to RFC 3629. Surrogates that
 * come as escapes are joined; one that is alone goes on as what it is. */
#include <string.h>

#include "server/formats/json_syntax_parts.h"

static bool emit_text(struct json_syntax *syntax, const char *text, size_t count, bool last)
{
    return syntax->in_name ? syntax->events->name(syntax->context, text, count, last)
                           : syntax->events->string(syntax->context, text, count, last);
}

static bool emit_code(struct json_syntax *syntax, unsigned code)
{
    char text[4];
    size_t count = 0;
    if (code < 0x80) {
        text[count++] = (char)code;
    } else {
        if (code < 0x800) {
            text[count++] = (char)(0xc0 | code >> 6);
        } else {
            if (code < 0x10000) {
                text[count++] = (char)(0xe0 | code >> 12);
            } else {
                text[count++] = (char)(0xf0 | code >> 18);
                text[count++] = (char)(0x80 | (code >> 12 & 0x3f));
            }
            text[count++] = (char)(0x80 | (code >> 6 & 0x3f));
        }
        text[count++] = (char)(0x80 | (code & 0x3f));
    }
    return emit_text(syntax, text, count, false);
}

/* A high surrogate waits for its other half; when something else comes it stands alone. */
static bool emit_lone(struct json_syntax *syntax)
{
    const unsigned high = syntax->high;
    syntax->high = 0;
    return high == 0 || emit_code(syntax, high);
}

static bool emit_escaped(struct json_syntax *syntax, unsigned code)
{
    if (syntax->high && code >= 0xdc00 && code <= 0xdfff) {
        const unsigned whole = 0x10000 + ((syntax->high - 0xd800) << 10) + (code - 0xdc00);
        syntax->high = 0;
        return emit_code(syntax, whole);
    }
    if (!emit_lone(syntax))
        return false;
    if (code >= 0xd800 && code <= 0xdbff) {
        syntax->high = code;
        return true;
    }
    return emit_code(syntax, code);
}

/* The first byte at or after `at` that is no plain ASCII of a string, or a place up to seven bytes before it. */
static const char *skip_plain(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        const uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
        if (((word - ones * 0x20) | (quote - ones) | (backslash - ones) | word) & tops)
            break;
    }
    return at;
}

/* The first byte of a UTF-8 sequence decides what the second may be: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static bool begin_utf8(struct json_syntax *syntax, unsigned char lead)
{
    if (lead < 0xc2 || lead > 0xf4)
        return false;
    syntax->utf8_left = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    syntax->utf8_from = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    syntax->utf8_to = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    syntax->state = STATE_UTF8;
    return true;
}

static bool step_utf8(struct json_syntax *syntax, unsigned char byte)
{
    if (byte < syntax->utf8_from || byte > syntax->utf8_to)
        return false;
    syntax->utf8_from = 0x80;
    syntax->utf8_to = 0xbf;
    if (--syntax->utf8_left == 0)
        syntax->state = STATE_STRING;
    return true;
}

const char *syntax_string(struct json_syntax *syntax, const char *at, const char *end)
{
    const char *from = at;
    if (syntax->high && *at != '\\' && !emit_lone(syntax))
        return syntax_stop(syntax);
    while (at < end) {
        if (syntax->state == STATE_UTF8) {
            if (!step_utf8(syntax, (unsigned char)*at))
                return syntax_fail(syntax, at, JSON_FAULT);
            at++;
            continue;
        }
        at = skip_plain(at, end);
        if (at == end)
            break;
        const unsigned char c = (unsigned char)*at;
        if (c == '"') {
            syntax->state = syntax->in_name ? STATE_COLON : STATE_AFTER;
            syntax->last = LAST_STRING;
            return emit_text(syntax, from, (size_t)(at - from), true) ? at + 1 : syntax_stop(syntax);
        }
        if (c == '\\') {
            syntax->state = STATE_ESCAPE;
            if (at > from && !emit_text(syntax, from, (size_t)(at - from), false))
                return syntax_stop(syntax);
            return at + 1;
        }
        if (c < 0x20 || (c >= 0x80 && !begin_utf8(syntax, c)))
            return syntax_fail(syntax, at, JSON_FAULT);
        at++;
    }
    return emit_text(syntax, from, (size_t)(at - from), false) ? at : syntax_stop(syntax);
}

const char *syntax_escape(struct json_syntax *syntax, const char *at)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (*at == 'u') {
        syntax->hex = 0;
        syntax->hex_left = 4;
        syntax->state = STATE_HEX;
        return at + 1;
    }
    const char *found = *at ? strchr(escapes, *at) : NULL;
    if (!found)
        return syntax_fail(syntax, at, JSON_FAULT);
    syntax->state = STATE_STRING;
    return emit_escaped(syntax, (unsigned char)meanings[found - escapes]) ? at + 1 : syntax_stop(syntax);
}

const char *syntax_hex(struct json_syntax *syntax, const char *at)
{
    const unsigned char c = (unsigned char)*at, lower = c | 0x20;
    unsigned digit;
    if (is_digit(*at))
        digit = c - '0';
    else if (lower >= 'a' && lower <= 'f')
        digit = lower - 'a' + 10u;
    else
        return syntax_fail(syntax, at, JSON_FAULT);
    syntax->hex = syntax->hex << 4 | digit;
    if (--syntax->hex_left == 0) {
        syntax->state = STATE_STRING;
        if (!emit_escaped(syntax, syntax->hex))
            return syntax_stop(syntax);
    }
    return at + 1;
}
