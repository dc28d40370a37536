/* SPDX-License-Identifier: MIT */
/* The byte machine. One function per group of states takes bytes from `at` on and returns where it stopped, or NULL after a
 * failure. Stretches of plain bytes (digits, text of strings) are taken in inner loops; everything else byte by byte. */
#include "server/formats/json_syntax.h"

#include <string.h>

#include "server/formats/json_syntax_parts.h"

void json_syntax_init(struct json_syntax *syntax, const struct json_events *events, void *context, struct arena *arena)
{
    *syntax = (struct json_syntax){.events = events, .context = context, .arena = arena, .fault_offset = -1};
}

const char *syntax_fail(struct json_syntax *syntax, const char *at, enum json_failure failure)
{
    syntax->failure = failure;
    syntax->fault_offset = (int64_t)(syntax->position + (uint64_t)(at - syntax->piece));
    syntax->fault_byte = (unsigned char)*at;
    return NULL;
}

const char *syntax_stop(struct json_syntax *syntax)
{
    syntax->failure = JSON_STOPPED;
    return NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool in_object(const struct json_syntax *syntax)
{
    return syntax->depth > 0 && (syntax->objects >> (syntax->depth - 1) & 1);
}

static void value_ended(struct json_syntax *syntax, enum json_last last)
{
    syntax->state = STATE_AFTER;
    syntax->last = last;
}

/* ---- Containers ---- */

static const char *open_container(struct json_syntax *syntax, const char *at, bool object)
{
    if (syntax->depth == JSON_DEPTH_MAX)
        return syntax_fail(syntax, at, JSON_TOO_DEEP);
    if (!syntax->events->begin(syntax->context, object))
        return syntax_stop(syntax);
    const uint64_t bit = (uint64_t)1 << syntax->depth++;
    syntax->objects = object ? syntax->objects | bit : syntax->objects & ~bit;
    syntax->state = object ? STATE_FIRST_NAME : STATE_FIRST_ITEM;
    return at + 1;
}

static const char *close_container(struct json_syntax *syntax, const char *at)
{
    const bool object = in_object(syntax);
    if (!syntax->events->end(syntax->context, object))
        return syntax_stop(syntax);
    syntax->depth--;
    value_ended(syntax, object ? LAST_OBJECT : LAST_LIST);
    return at + 1;
}

static const char *take_after(struct json_syntax *syntax, const char *at)
{
    if (is_space(*at))
        return at + 1;
    if (syntax->depth == 0)
        return syntax_fail(syntax, at, JSON_FAULT);
    if (*at == ',') {
        syntax->state = in_object(syntax) ? STATE_NAME : STATE_VALUE;
        syntax->last = LAST_COMMA;
        return at + 1;
    }
    if (*at != (in_object(syntax) ? '}' : ']'))
        return syntax_fail(syntax, at, JSON_FAULT);
    return close_container(syntax, at);
}

/* ---- Values ---- */

static const char *begin_string(struct json_syntax *syntax, const char *at, bool name)
{
    syntax->in_name = name;
    syntax->state = STATE_STRING;
    return at + 1;
}

static const char *begin_literal(struct json_syntax *syntax, const char *at, const char *literal)
{
    syntax->literal = literal;
    syntax->literal_at = 1;
    syntax->state = STATE_LITERAL;
    return at + 1;
}

/* From `at` on, the first byte, at `from`, being known by the state. */
static const char *take_number(struct json_syntax *syntax, const char *at, const char *end, const char *from);

static const char *take_value(struct json_syntax *syntax, const char *at, const char *end)
{
    if (is_space(*at))
        return at + 1;
    if (syntax->runs && at < syntax->limit) {
        bool after = false;
        const char *stopped = syntax->events->run(syntax->context, at, syntax->limit, end, &after);
        if (!stopped)
            return syntax_stop(syntax);
        if (after) {
            value_ended(syntax, LAST_NUMBER);
            return stopped;
        }
        if (stopped != at) {
            syntax->state = STATE_VALUE;
            syntax->last = LAST_COMMA;
            return stopped;
        }
    }
    switch (*at) {
    case '{':
        return open_container(syntax, at, true);
    case '[':
        return open_container(syntax, at, false);
    case '"':
        return begin_string(syntax, at, false);
    case 't':
        return begin_literal(syntax, at, "true");
    case 'f':
        return begin_literal(syntax, at, "false");
    case 'n':
        return begin_literal(syntax, at, "null");
    case ']':
        if (syntax->state == STATE_FIRST_ITEM)
            return close_container(syntax, at);
        return syntax_fail(syntax, at, JSON_FAULT);
    case '-':
        syntax->state = STATE_MINUS;
        break;
    case '0':
        syntax->state = STATE_ZERO;
        break;
    default:
        if (!is_digit(*at))
            return syntax_fail(syntax, at, JSON_FAULT);
        syntax->state = STATE_INTEGER;
    }
    syntax->cut_count = 0;
    return take_number(syntax, at + 1, end, at);
}

static const char *take_name(struct json_syntax *syntax, const char *at)
{
    if (is_space(*at))
        return at + 1;
    if (*at == '"')
        return begin_string(syntax, at, true);
    if (*at == '}' && syntax->state == STATE_FIRST_NAME)
        return close_container(syntax, at);
    return syntax_fail(syntax, at, JSON_FAULT);
}

static const char *take_colon(struct json_syntax *syntax, const char *at)
{
    if (is_space(*at))
        return at + 1;
    if (*at != ':')
        return syntax_fail(syntax, at, JSON_FAULT);
    syntax->state = STATE_VALUE;
    syntax->last = LAST_COLON;
    return at + 1;
}

static const char *take_literal(struct json_syntax *syntax, const char *at)
{
    if (*at != syntax->literal[syntax->literal_at])
        return syntax_fail(syntax, at, JSON_FAULT);
    if (syntax->literal[++syntax->literal_at] == '\0') {
        const char first = syntax->literal[0];
        value_ended(syntax, LAST_LITERAL);
        if (!syntax->events->literal(syntax->context, first == 't'   ? JSON_LITERAL_TRUE
                                                      : first == 'f' ? JSON_LITERAL_FALSE
                                                                     : JSON_LITERAL_NULL))
            return syntax_stop(syntax);
    }
    return at + 1;
}

/* ---- Numbers ---- */

static bool keep_cut(struct json_syntax *syntax, const char *from, size_t count)
{
    size_t needed;
    if (__builtin_add_overflow(syntax->cut_count, count, &needed))
        return false;
    if (needed > syntax->cut_capacity) {
        size_t capacity;
        if (__builtin_mul_overflow(needed, 2, &capacity))
            return false;
        capacity = capacity < 64 ? 64 : capacity;
        char *grown = arena_block_resize(syntax->arena, syntax->cut, capacity);
        if (!grown)
            return false;
        syntax->cut = grown;
        syntax->cut_capacity = capacity;
    }
    memcpy(syntax->cut + syntax->cut_count, from, count);
    syntax->cut_count = needed;
    return true;
}

static bool number_may_end(enum json_state state)
{
    return state == STATE_ZERO || state == STATE_INTEGER || state == STATE_FRACTION || state == STATE_EXPONENT;
}

/* The number, from its first byte in this piece to `at`. */
static bool emit_number(struct json_syntax *syntax, const char *from, const char *at)
{
    value_ended(syntax, LAST_NUMBER);
    if (syntax->cut_count == 0)
        return syntax->events->number(syntax->context, from, (size_t)(at - from));
    if (!keep_cut(syntax, from, (size_t)(at - from)))
        return false;
    return syntax->events->number(syntax->context, syntax->cut, syntax->cut_count);
}

/* The state after `c`, or -1 where the number ends before it, or -2 where it cannot stand there. */
static int number_step(enum json_state state, char c)
{
    const bool digit = is_digit(c), exponent = c == 'e' || c == 'E';
    switch (state) {
    case STATE_MINUS:
        return c == '0' ? STATE_ZERO : digit ? STATE_INTEGER : -2;
    case STATE_ZERO:
        return c == '.' ? STATE_POINT : exponent ? STATE_E : digit ? -2 : -1;
    case STATE_INTEGER:
        return digit ? STATE_INTEGER : c == '.' ? STATE_POINT : exponent ? STATE_E : -1;
    case STATE_POINT:
        return digit ? STATE_FRACTION : -2;
    case STATE_FRACTION:
        return digit ? STATE_FRACTION : exponent ? STATE_E : -1;
    case STATE_E:
        return digit ? STATE_EXPONENT : c == '+' || c == '-' ? STATE_E_SIGN : -2;
    case STATE_E_SIGN:
        return digit ? STATE_EXPONENT : -2;
    default:
        return digit ? STATE_EXPONENT : -1;
    }
}

static const char *take_number(struct json_syntax *syntax, const char *at, const char *end, const char *from)
{
    for (; at < end; at++) {
        const int next = number_step(syntax->state, *at);
        if (next == -2)
            return syntax_fail(syntax, at, JSON_FAULT);
        if (next == -1)
            return emit_number(syntax, from, at) ? at : syntax_stop(syntax);
        syntax->state = (enum json_state)next;
    }
    return keep_cut(syntax, from, (size_t)(end - from)) ? end : syntax_stop(syntax);
}

/* ---- The text ---- */

/* Behind the last byte of the piece that cannot be part of a number, no run may begin one. */
static const char *last_number_end(const char *bytes, const char *end)
{
    while (end > bytes) {
        const char c = *--end;
        if (!is_digit(c) && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E')
            break;
    }
    return end;
}

bool json_syntax_feed(struct json_syntax *syntax, const char *bytes, size_t count)
{
    const char *at = bytes, *end = bytes + count;
    if (count == 0)
        return syntax->failure == JSON_FINE;
    syntax->piece = bytes;
    syntax->limit = last_number_end(bytes, end);
    while (at && at < end) {
        switch (syntax->state) {
        case STATE_VALUE:
        case STATE_FIRST_ITEM:
            at = take_value(syntax, at, end);
            break;
        case STATE_FIRST_NAME:
        case STATE_NAME:
            at = take_name(syntax, at);
            break;
        case STATE_COLON:
            at = take_colon(syntax, at);
            break;
        case STATE_AFTER:
            at = take_after(syntax, at);
            break;
        case STATE_STRING:
        case STATE_UTF8:
            at = syntax_string(syntax, at, end);
            break;
        case STATE_ESCAPE:
            at = syntax_escape(syntax, at);
            break;
        case STATE_HEX:
            at = syntax_hex(syntax, at);
            break;
        case STATE_LITERAL:
            at = take_literal(syntax, at);
            break;
        default:
            at = take_number(syntax, at, end, at);
        }
    }
    syntax->position += count;
    return at != NULL;
}

bool json_syntax_end(struct json_syntax *syntax)
{
    if (syntax->failure != JSON_FINE)
        return false;
    if (syntax->depth == 0 && number_may_end(syntax->state) && !emit_number(syntax, syntax->cut, syntax->cut))
        return syntax_stop(syntax);
    if (syntax->depth == 0 && syntax->state == STATE_AFTER)
        return true;
    syntax->failure = JSON_FAULT;
    syntax->fault_offset = (int64_t)syntax->position;
    syntax->fault_byte = -1;
    return false;
}
