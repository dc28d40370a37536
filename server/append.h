/* SPDX-License-Identifier: MIT */
/* Text put together without printf, for what every request needs: no locale, no parsing of formats. Each function writes at `at`,
 * where the caller has made room, and returns the end; no NUL. */
#ifndef SERVER_APPEND_H
#define SERVER_APPEND_H

#include <stddef.h>
#include <stdint.h>

enum {
    APPEND_UNSIGNED_MAX = 20, /* bytes of any one number */
    APPEND_MILLISECONDS_MAX = 18,
};

char *append_text(char *at, const char *text);
char *append_unsigned(char *at, uint64_t value);
char *append_digits(char *at, uint64_t value, unsigned count); /* the last `count` ones, zeros in front */
char *append_hex(char *at, uint64_t value, unsigned count); /* the last `count` digits */
char *append_milliseconds(char *at, uint64_t ns); /* three decimals, cut off */

#endif
