/* SPDX-License-Identifier: MIT */
/* The byte machine: holds a text that comes in pieces of any size to RFC 8259, byte by byte, and tells what it finds as events.
 * A number, an escape or a UTF-8 sequence may be cut anywhere. It keeps no values: only where it is, and the text of a number
 * that was cut. Lists of numbers need not pass through it: `run` may take a whole stretch of them at once. */
#ifndef SERVER_FORMATS_JSON_SYNTAX_H
#define SERVER_FORMATS_JSON_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/arena.h"

enum { JSON_DEPTH_MAX = 64 };
enum json_literal { JSON_LITERAL_NULL, JSON_LITERAL_TRUE, JSON_LITERAL_FALSE };

/* Each returns false to stop the machine (no memory). Texts of names and strings are unescaped and come in any number of
 * pieces, the last (often empty) with `last`. \u0000 is a zero byte and a lone surrogate its three bytes of generalised UTF-8,
 * each whole within one piece; neither can come from anything else, so that equal texts are equal bytes. */
struct json_events {
    bool (*begin)(void *context, bool object);
    bool (*end)(void *context, bool object);
    bool (*name)(void *context, const char *text, size_t count, bool last);
    bool (*string)(void *context, const char *text, size_t count, bool last);
    bool (*number)(void *context, const char *text, size_t count); /* the whole text of one number */
    bool (*literal)(void *context, enum json_literal literal);
    /* Asked at a value in a list while json_syntax.runs is set: takes numbers and the commas between them. No number that begins
     * before `limit` goes beyond it, and the byte at `limit` may be read. Returns where it stopped: at a value, or behind a number
     * (then *after is set); NULL to stop the machine. */
    const char *(*run)(void *context, const char *at, const char *limit, const char *end, bool *after);
};

enum json_state {
    STATE_VALUE,
    STATE_FIRST_ITEM, /* or ] */
    STATE_FIRST_NAME, /* or } */
    STATE_NAME,
    STATE_COLON,
    STATE_AFTER, /* a value: a comma or the end of what holds it */
    STATE_STRING,
    STATE_UTF8, /* inside a sequence of a string */
    STATE_ESCAPE,
    STATE_HEX,
    STATE_LITERAL,
    STATE_MINUS, /* from here on: numbers */
    STATE_ZERO,
    STATE_INTEGER,
    STATE_POINT,
    STATE_FRACTION,
    STATE_E,
    STATE_E_SIGN,
    STATE_EXPONENT,
};

/* What stands before the place where the machine is. */
enum json_last { LAST_START, LAST_COMMA, LAST_COLON, LAST_NUMBER, LAST_STRING, LAST_LITERAL, LAST_LIST, LAST_OBJECT };

enum json_failure {
    JSON_FINE,
    JSON_FAULT, /* the text is no JSON */
    JSON_TOO_DEEP, /* a bracket beyond JSON_DEPTH_MAX */
    JSON_STOPPED, /* an event returned false */
};

struct json_syntax {
    const struct json_events *events;
    void *context;
    struct arena *arena;
    const char *example; /* for json_syntax_describe: a text as it should be; NULL: a value of a form or a query */
    bool runs; /* set by the events' owner while a list of numbers is open */

    enum json_state state;
    enum json_last last;
    unsigned depth;
    uint64_t objects; /* bit d: the container at depth d + 1 is an object */
    bool in_name;
    unsigned hex, hex_left, high; /* of a \u escape; the high surrogate before it */
    unsigned utf8_left;
    unsigned char utf8_from, utf8_to; /* what the next byte of the sequence may be */
    const char *literal; /* the one being read, and how far */
    unsigned literal_at;
    char *cut; /* the part of a number that came with earlier pieces */
    size_t cut_count, cut_capacity;

    uint64_t position; /* bytes before the current piece */
    const char *piece, *limit;
    enum json_failure failure;
    int64_t fault_offset; /* the first byte that cannot be part of a valid text; its length where it ends too early */
    int fault_byte; /* what stands there, or -1 */
};

void json_syntax_init(struct json_syntax *syntax, const struct json_events *events, void *context, struct arena *arena);
/* False: see `failure`. Not to be fed again then. */
bool json_syntax_feed(struct json_syntax *syntax, const char *bytes, size_t count);
bool json_syntax_end(struct json_syntax *syntax); /* the text is whole */

/* What is wrong, in plain words, after JSON_FAULT or JSON_TOO_DEEP. The same however the text was cut. */
void json_syntax_describe(const struct json_syntax *syntax, char *out, size_t bytes);

#endif
