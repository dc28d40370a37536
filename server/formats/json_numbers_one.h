/* SPDX-License-Identifier: MIT */
/* Between json_numbers_run.c and those who take numbers one by one: json_numbers_one.c, which knows every simple form, and
 * json_numbers_quick.c, which knows only the most usual ones. */
#ifndef SERVER_FORMATS_JSON_NUMBERS_ONE_H
#define SERVER_FORMATS_JSON_NUMBERS_ONE_H

#include "server/formats/json_numbers.h"

/* What stopped numbers from being taken one by one. */
enum json_stop {
    STOP_COUNT, /* as many as wanted: behind a number */
    STOP_VALUE, /* at a value that is not for here, or that may be cut */
    STOP_AFTER, /* behind a number that no comma follows */
    STOP_MEMORY,
    STOP_FORM, /* at a value that has changed the form */
};

struct json_run {
    struct json_numbers *numbers;
    const struct json_stretch *stretch;
    const char *began; /* where this run did */
    size_t budget; /* how many to take one by one before the others are tried again; SIZE_MAX: there are no others */
};

/* Room for `count` numbers from `at` on. False: no memory. */
bool json_run_room(const struct json_run *run, const char *at, size_t count);

/* From a value on; *place is where it stopped. */
enum json_stop json_numbers_one_by_one(struct json_run *run, const char **place);

/* Numbers as long as they are of the usual forms and there is room. From a value to a value, that which could not be taken so, or
 * to where one would begin. Integers go where the numbers' form is NUMBERS_WHOLE or NUMBERS_INT64, reals where it is another. */
const char *json_quick_integers(const struct json_run *run, const char *at);
const char *json_quick_reals(const struct json_run *run, const char *at);

static inline const char *json_skip_space(const char *at, const char *limit)
{
    while (at < limit && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* Behind a number: over the comma to the next value. False: there is none before `limit`, or no comma. */
static inline bool json_next_value(const char **at, const char *limit, bool *after)
{
    const char *p = *at;
    if (__builtin_expect(*p != ',', 0))
        p = json_skip_space(p, limit);
    *after = p >= limit || *p != ',';
    if (*after) {
        *at = p;
        return false;
    }
    p += p[1] == ' ' ? 2 : 1; /* p[1] is at most the byte at `limit` */
    if (p < limit && (unsigned char)*p <= ' ')
        p = json_skip_space(p, limit);
    *at = p;
    return p < limit;
}

#endif
