/* SPDX-License-Identifier: MIT */
/* .npy files for the tests of what takes and gives them. */
#ifndef TESTS_HTTP_NPY_H
#define TESTS_HTTP_NPY_H

#include "tests/http/harness.h"

struct bytes {
    const char *bytes;
    size_t count;
};

/* A file with this header ("<f4", "(2, 3)") and these values; lives until the test ends. */
struct bytes npy_file(const char *descr, const char *shape, const void *values, size_t count);

/* A path and its query with everything %-coded but what queries are made of. */
const char *npy_target(const char *target);

/* POSTs a file to `target` (path and query, %-coded here where it must be), asking for `accept` (NULL: nothing). */
struct answer npy_post(struct child *child, const char *target, struct bytes file, const char *accept);

/* One gzip member; lives until the test ends. */
struct bytes gzip_of(const char *bytes, size_t count);

/* The values of a .npy answer; NULL (and a complaint) where it is none with this header's part ("'<f8'", "(2, 3)"). */
const void *npy_values(const char *name, const struct answer *answer, const char *descr, const char *shape,
                       size_t *count);

#endif
