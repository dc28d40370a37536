/* SPDX-License-Identifier: MIT */
/* The numbers of one tensor on their way from text to memory. What dtype they will have may not be known yet, so they are kept
 * in the widest form that is exact: int64 while all are integers that fit, float64 from the first that is not. That loses
 * nothing: from then on int64 is out of the question, and every other dtype is reached through float64 anyhow. 1.0 and 1e3 are
 * integers. Where dtype is known beforehand the numbers go straight into its form. */
#ifndef SERVER_FORMATS_JSON_NUMBERS_H
#define SERVER_FORMATS_JSON_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/arena.h"

enum json_number_kind {
    JSON_NUMBER_INTEGER, /* fits int64; `real` is it too, rounded */
    JSON_NUMBER_FRACTION, /* not integral */
    JSON_NUMBER_BEYOND_INT64, /* integral */
    JSON_NUMBER_BEYOND_DOUBLE,
    JSON_NUMBER_NULL, /* null among the numbers */
};

/* One number by its text, exactly, however it is written. -0 is the integer 0 and the real -0. */
struct json_number {
    enum json_number_kind kind;
    int64_t integer;
    double real;
};
struct json_number json_number_parse(const char *text, size_t count); /* a valid JSON number */

enum json_form { JSON_INTEGERS, JSON_FLOAT64S, JSON_FLOAT32S };

/* In JSON_INTEGERS a negative zero is stored as INT64_MIN, and the places of true INT64_MINs, rarer still, are listed. */
struct json_numbers {
    struct arena *arena;
    void *values; /* an arena block */
    size_t count, capacity;
    enum json_form form;
    bool negative_zero; /* there may be one among the integers */
    size_t *minimums; /* an arena block: the indices of true INT64_MINs among the integers, in order */
    size_t minimum_count, minimum_capacity;
    size_t null_index; /* the first null, stored as NaN, or SIZE_MAX */
    size_t inexact_index; /* the first that int64 cannot hold, or SIZE_MAX, and why. Not kept where dtype was known. */
    enum json_number_kind inexact_kind;
    size_t beyond_float32_index; /* JSON_FLOAT32S only: the first that is infinite there, or SIZE_MAX */
};

void json_numbers_init(struct json_numbers *numbers, struct arena *arena, enum json_form form);
void json_numbers_discard(struct json_numbers *numbers); /* frees the memory; may be used again */
/* Appends a number that is not beyond a double, or a null. False: no memory. */
bool json_numbers_append(struct json_numbers *numbers, const struct json_number *number);
/* json_events.run of json_syntax.h for one list; leaves what is not simple (more than 19 digits, beyond the form) to others. */
const char *json_numbers_run(struct json_numbers *numbers, const char *at, const char *limit, const char *end,
                             bool *after);

/* From JSON_INTEGERS on, in place. */
void json_numbers_to_float64(struct json_numbers *numbers);
/* Makes INT64_MINs that stand for a negative zero 0: then the integers can be used as they are. */
void json_numbers_settle_integers(struct json_numbers *numbers);

/* Memory for `count` numbers more. */
bool json_numbers_reserve(struct json_numbers *numbers, size_t count);

#endif
