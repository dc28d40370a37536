/* SPDX-License-Identifier: MIT */
/* Pictures for the tests of /v1/image: made, sent, and read from an answer. All live until the test ends. */
#ifndef TESTS_HTTP_PICTURE_H
#define TESTS_HTTP_PICTURE_H

#include "tests/formats/image_make.h"
#include "tests/http/npy.h"

struct bytes picture_png(const struct made_png *png);
struct bytes picture_jpeg(const struct made_jpeg *jpeg);
/* Samples as the daemon reads them: channels 1, 3 or 4, bits 8 or 16 (in the machine's order). */
struct bytes picture_of_samples(unsigned width, unsigned height, unsigned channels, unsigned bits, const void *samples);
unsigned char *picture_noise(size_t count, unsigned seed);
/* A PNG that says it is of another size, its check sum right. */
struct bytes picture_resized(struct bytes png, uint32_t width, uint32_t height);

/* POSTs it to /v1/image and this query, which is %-coded here. `accept` may be NULL. */
struct answer picture_post(struct child *child, const char *query, struct bytes file, const char *accept);

struct picture_back {
    unsigned width, height;
    int channels, depth;
    const unsigned char *samples; /* NULL, and a complaint: the answer is no such picture */
};
struct picture_back picture_back(const char *name, const struct answer *answer, const char *type);

#endif
