/* SPDX-License-Identifier: MIT */
/* What the two files of the byte machine share: json_syntax.c (structure, numbers) and json_syntax_text.c (names, strings). Each
 * function takes bytes from `at` on and returns where it stopped, or NULL after a failure. */
#ifndef SERVER_FORMATS_JSON_SYNTAX_PARTS_H
#define SERVER_FORMATS_JSON_SYNTAX_PARTS_H

#include "server/formats/json_syntax.h"

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* Both return NULL, for the caller to return. */
const char *syntax_fail(struct json_syntax *syntax, const char *at, enum json_failure failure);
const char *syntax_stop(struct json_syntax *syntax); /* an event returned false */

const char *syntax_string(struct json_syntax *syntax, const char *at, const char *end);
const char *syntax_escape(struct json_syntax *syntax, const char *at); /* behind the backslash */
const char *syntax_hex(struct json_syntax *syntax, const char *at);

#endif
