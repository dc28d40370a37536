/* SPDX-License-Identifier: MIT */
/* The routines that write many numbers side by side: one table for each instruction set, made from one source as in core/simd.
 * A file that is compiled per instruction set includes only headers without inline code, so that nothing else is built for
 * instructions the CPU may lack. */
#ifndef SERVER_FORMATS_SIMD_ROUTINES_H
#define SERVER_FORMATS_SIMD_ROUTINES_H

#include <stddef.h>
#include <stdint.h>

/* Where a number stands in its row, and what is to be written in place of the comma behind a row's last number. */
struct number_rows {
    size_t left; /* numbers of the row that are still to come; at least 1 */
    char *(*end_row)(struct number_rows *rows, char *out); /* sets `left` again */
};

enum {
    NUMBER_TEXT_MAX = 25, /* what a number and its comma take at most */
    NUMBER_OVERRUN = 48 /* bytes behind a number and its comma that may be scribbled on */
};

/* X(name, type): char *name(char *out, const type *values, size_t count, struct number_rows *rows) writes the texts of
 * number_write.h, each with a comma; NaN and infinity as null. */
#define FOR_EACH_NUMBER_ROUTINE(X)                                                                                     \
    X(write_f64, double)                                                                                               \
    X(write_f32, float)                                                                                                \
    X(write_i64, int64_t)

struct number_routines {
    const char *name; /* of the instruction set */
#define NUMBER_MEMBER(name, type) char *(*name)(char *out, const type *values, size_t count, struct number_rows *rows);
    FOR_EACH_NUMBER_ROUTINE(NUMBER_MEMBER)
#undef NUMBER_MEMBER
};

/* Those of the instruction set that the core has chosen. */
const struct number_routines *number_routines(void);

extern const struct number_routines number_routines_scalar, number_routines_avx2, number_routines_avx512,
    number_routines_neon;

#endif
