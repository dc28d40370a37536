/* SPDX-License-Identifier: MIT */
/* Reads tests/golden/npy.txt (see make_npy.py for its form), for the tests of the format and of the daemon. */
#ifndef TESTS_FORMATS_NPY_CASES_H
#define TESTS_FORMATS_NPY_CASES_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct npy_case {
    char name[40], as[16], shape[48], refused[24]; /* `refused`: "" where it is read */
    unsigned char *file, *values; /* from malloc */
    size_t file_bytes, value_bytes;
};

static inline unsigned char *npy_case_bytes(const char *line, size_t *bytes)
{
    const size_t count = line[0] == '-' ? 0 : strcspn(line, "\n") / 2;
    unsigned char *out = malloc(count + 1);
    for (size_t i = 0; out && i < count; i++) {
        const char digits[3] = {line[2 * i], line[2 * i + 1], 0};
        out[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    *bytes = count;
    return out;
}

static inline void npy_case_member(const char *line, const char *name, char *out, size_t room)
{
    const char *at = strstr(line, name);
    out[0] = '\0';
    if (at && room > 0)
        snprintf(out, room, "%.*s", (int)strcspn(at + strlen(name), " \n"), at + strlen(name));
}

/* False at the end. The caller frees `file` and `values`. */
static inline bool npy_case_next(FILE *golden, struct npy_case *next)
{
    char *line = NULL;
    size_t room = 0;
    bool read = false;
    if (getline(&line, &room, golden) > 0) {
        npy_case_member(line, "case=", next->name, sizeof next->name);
        npy_case_member(line, " as=", next->as, sizeof next->as);
        npy_case_member(line, " shape=", next->shape, sizeof next->shape);
        npy_case_member(line, " refused=", next->refused, sizeof next->refused);
        read = getline(&line, &room, golden) > 0;
        next->file = npy_case_bytes(read ? line : "-", &next->file_bytes);
        read = read && getline(&line, &room, golden) > 0;
        next->values = npy_case_bytes(read ? line : "-", &next->value_bytes);
    }
    free(line);
    return read && next->file && next->values;
}

#endif
