/* SPDX-License-Identifier: MIT */
/* One request of the soak in every notation: .npy with a query, multipart, JSON in gzip; and its answer as .npy. */
#ifndef TESTS_HTTP_SOAK_FORMS_H
#define TESTS_HTTP_SOAK_FORMS_H

#include "tests/http/npy.h"
#include "tests/http/random_case.h"

#define SOAK_FORM_TYPE "Content-Type: multipart/form-data; boundary=soak-boundary\r\n"

/* All of it lives until the test ends. */
struct soak_forms {
    const char *target; /* path and query beside the file; NULL: too long for a request line */
    struct bytes file, form, packed;
    struct bytes answer; /* where the JSON answer is a 200 and `target` is there; else count is 0 */
};

/* Of a request with its JSON answer. The answer as .npy is asked of `child` with this header, and held against the JSON answer. */
void soak_forms_make(struct soak_forms *forms, struct child *child, const char *key_header,
                     const struct request_case *request);

/* A request that takes some milliseconds, and its answers, by a plain loop. */
struct soak_large {
    struct bytes json, packed, form, file;
    const char *target; /* beside the file */
    const char *output; /* how the JSON answer begins */
    struct bytes values; /* how the .npy answer ends */
};
void soak_large_make(struct soak_large *large, unsigned seed);

#endif
