/* SPDX-License-Identifier: MIT */
/* The numbers of one tensor on their way from text to memory. What dtype they will have may not be known yet, so they are kept
 * in a form that loses nothing: float64 while all are integers that it holds, int64 from the first larger one, float64 for good
 * from the first that is no int64: from then on int64 is out of the question, and every other dtype is reached through float64
 * anyhow. 1.0 and 1e3 are integers. Where dtype is known beforehand the numbers go straight into its form. */
#ifndef SERVER_FORMATS_JSON_NUMBERS_H
#define SERVER_FORMATS_JSON_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/arena.h"
#include "server/formats/simd/read.h"

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

enum { JSON_INTEGER_EXACT_MAX_BITS = 53 }; /* what a float64 holds */

struct json_numbers {
    struct arena *arena;
    void *values; /* an arena block */
    size_t count, capacity;
    enum number_form form;
    bool negative_zero; /* NUMBERS_INT64: there may be one, stored as INT64_MIN */
    size_t *minimums; /* an arena block: the indices of true INT64_MINs, rarer still, in order */
    size_t minimum_count, minimum_capacity;
    size_t null_index; /* the first null, stored as NaN, or SIZE_MAX */
    size_t inexact_index; /* the first that int64 cannot hold, or SIZE_MAX, and why. Not kept where dtype was known. */
    enum json_number_kind inexact_kind;
    size_t beyond_float32_index; /* NUMBERS_FLOAT32 only: the first that is infinite there, or SIZE_MAX */
    uint64_t text_taken; /* bytes that came by runs: how densely numbers stand */
};

/* The lists that are open in a nested array, and what is known of its shape. Axis d holds the items of lists at depth d + 1. */
struct json_rows {
    unsigned depth; /* lists open */
    unsigned rank; /* the depth of lists of numbers, once known; 0: not yet, or a bare number */
    size_t size[NUMBER_AXES_MAX]; /* of the first list closed at each depth */
    bool size_known[NUMBER_AXES_MAX];
    size_t index[NUMBER_AXES_MAX]; /* items so far in the open list at each depth */
};

void json_numbers_init(struct json_numbers *numbers, struct arena *arena, enum number_form form);
void json_numbers_discard(struct json_numbers *numbers); /* frees the memory; may be used again */
/* Appends a number that is not beyond a double, or a null. False: no memory. */
bool json_numbers_append(struct json_numbers *numbers, const struct json_number *number);
void json_numbers_trim(struct json_numbers *numbers); /* gives back memory that was taken for more: none follows */

/* A stretch of text for json_numbers_run. */
struct json_stretch {
    const char *begin, *end; /* bytes that may be read, and more for a number at `limit` */
    const char *limit; /* no number that begins before it goes beyond it; before `end` */
    uint64_t left; /* bytes of the whole text behind `end`, as far as is known */
};
/* json_events.run of json_syntax.h; leaves what is not simple (more than 19 digits, beyond the form) to others. `rows`: of a
 * nested array, whose depth is its rank: its index is kept, and lists that end and begin as its shape has it are taken too.
 * NULL for a flat list. */
const char *json_numbers_run(struct json_numbers *numbers, struct json_rows *rows, const struct json_stretch *stretch,
                             const char *at, bool *after);

/* From NUMBERS_WHOLE to NUMBERS_INT64, and from that to NUMBERS_FLOAT64, in place. */
void json_numbers_to_int64(struct json_numbers *numbers);
void json_numbers_to_float64(struct json_numbers *numbers);
/* NUMBERS_INT64: makes INT64_MINs that stand for a negative zero 0: then the integers can be used as they are. */
void json_numbers_settle_integers(struct json_numbers *numbers);

/* Memory for `count` numbers more, where `expected` more will probably come: no more is charged than a part of what came. */
bool json_numbers_reserve(struct json_numbers *numbers, size_t count, size_t expected);

#endif
