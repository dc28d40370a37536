/* SPDX-License-Identifier: MIT */
/* Long lists of numbers to values, many at a time, rows and all: what read.c offers to json_numbers_run.c, once for each
 * instruction set. A file that is compiled per instruction set includes only headers without inline code. */
#ifndef SERVER_FORMATS_SIMD_READ_H
#define SERVER_FORMATS_SIMD_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a list of numbers is kept as. */
enum number_form {
    NUMBERS_WHOLE, /* float64, but all so far are integers of at most 2^53 */
    NUMBERS_INT64, /* a negative zero is INT64_MIN */
    NUMBERS_FLOAT64,
    NUMBERS_FLOAT32,
};

enum { NUMBER_AXES_MAX = 8 };

enum {
    NUMBER_READ_BEHIND = 40, /* bytes before the place where a reader begins that must be there to be read */
    NUMBER_READ_AHEAD = 64, /* and behind it; with fewer it does nothing */
    NUMBER_READ_SPARE = 32, /* elements behind those it counts that may be scribbled on */
    NUMBER_READ_ROOM = 640, /* elements; with less room it stops, but where the whole text cannot need more */
};

struct number_reading {
    const char *end; /* of what may be read */
    void *values; /* of the form's type; behind `count` of them there is room */
    size_t count, room; /* `room` from values on */
    enum number_form form; /* NUMBERS_WHOLE becomes NUMBERS_FLOAT64 at a fraction */
    /* Axes of a nested array, the innermost last; a flat list has one. How many elements (numbers, or lists) an open list still
     * lacks, the open one included, and how many one has; SIZE_MAX where that is not known yet. */
    unsigned axes;
    size_t left[NUMBER_AXES_MAX], size[NUMBER_AXES_MAX];
    /* Set where one is met */
    size_t fraction_index; /* the first that made a float64 list of a whole one */
    size_t beyond_index; /* NUMBERS_FLOAT32: the first that is infinite there; SIZE_MAX before */
    bool negative_zero; /* NUMBERS_INT64 */
    bool full; /* stopped for want of room */
};

/* Room that is enough for so many bytes of text. */
#define NUMBER_READ_ROOM_FOR(bytes) ((bytes) / 2 + NUMBER_READ_SPARE)

/* `at` is behind a number. Takes numbers and what stands between them as long as all is regular: digits not too many, values
 * within the form, brackets where the shape has them. Returns behind the last number taken, which has been looked at up to the
 * byte that ends it. */
typedef const char *number_read_run(struct number_reading *reading, const char *at);

struct number_reader {
    const char *name; /* of the instruction set */
    number_read_run *run; /* NULL: reading one by one is as fast */
};

/* That of the instruction set that the core has chosen. */
const struct number_reader *number_reader(void);

extern const struct number_reader number_reader_scalar, number_reader_avx2, number_reader_avx512, number_reader_neon;

#endif
