/* SPDX-License-Identifier: MIT */
/* Bytes that may be a picture: whatever they are, reading them ends in samples or in an error, takes no more than it is given and leaves
 * nothing behind; what was read can be written, as a PNG without loss. The first byte says how much memory there is, and whether the
 * check sums of PNG chunks are set right first, so that what stands behind them is reached. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "server/formats/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SAMPLES_MAX = 1 << 18 };

static uint32_t number_at(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void repair(unsigned char *bytes, size_t count)
{
    enum { SIGNATURE_BYTES = 8, AROUND_BYTES = 12 }; /* length, name, check sum */
    for (size_t at = SIGNATURE_BYTES; count >= AROUND_BYTES && at <= count - AROUND_BYTES;) {
        const uint32_t length = number_at(bytes + at);
        if (length > count - AROUND_BYTES - at)
            return;
        const uint32_t sum = (uint32_t)crc32(0, bytes + at + 4, length + 4);
        for (unsigned i = 0; i < 4; i++)
            bytes[at + 8 + length + i] = (unsigned char)(sum >> (24 - 8 * i));
        at += AROUND_BYTES + length;
    }
}

/* The samples; NULL: a fault. */
static unsigned char *read_all(const unsigned char *bytes, size_t count, size_t limit, struct image *image,
                               size_t *samples_count)
{
    struct memory_budget budget = {.limit = limit};
    struct arena arena;
    struct convolve_error error = {0};
    unsigned char *samples = NULL;
    enum image_step step = IMAGE_FAULT;
    arena_init(&arena, &budget);
    struct image_reader *reader = image_reader_open(&arena, bytes, count, image, &error);
    const bool is_small =
        reader != NULL && image_bytes(image, samples_count) && *samples_count > 0 && *samples_count <= SAMPLES_MAX;
    if (is_small) {
        samples = calloc(1, *samples_count);
        do
            step = image_reader_step(reader, samples, &error);
        while (step == IMAGE_MORE);
    }
    if ((reader == NULL || (is_small && step == IMAGE_FAULT)) != (error.slug != NULL))
        abort();
    image_reader_close(reader);
    arena_release(&arena);
    if (budget.used != 0)
        abort();
    if (step == IMAGE_DONE)
        return samples;
    free(samples);
    return NULL;
}

/* NULL: no memory, of which there is plenty where the limit is. */
static char *write_all(enum image_format format, const struct image *image, const unsigned char *samples, size_t limit,
                       size_t *count)
{
    struct memory_budget budget = {.limit = limit};
    struct arena arena;
    struct convolve_error error = {0};
    char *copy = NULL;
    arena_init(&arena, &budget);
    struct image_writer *writer = image_writer_open(&arena, format, image, samples, &error);
    enum image_step step = writer != NULL ? IMAGE_MORE : IMAGE_FAULT;
    while (step == IMAGE_MORE)
        step = image_writer_step(writer, &error);
    if (step == IMAGE_DONE) {
        const char *file = image_writer_file(writer, count);
        copy = malloc(*count);
        memcpy(copy, file, *count);
    }
    if ((copy == NULL) != (error.slug != NULL))
        abort();
    image_writer_close(writer);
    arena_release(&arena);
    if (budget.used != 0)
        abort();
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t plenty = (size_t)1 << 26;
    struct image image, back;
    size_t count, file_count, back_count;
    if (size < 1)
        return 0;
    const size_t limit = data[0] & 2 ? (size_t)data[0] << 12 : plenty;
    unsigned char *bytes = malloc(size);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & 1)
        repair(bytes, size - 1);
    unsigned char *samples = read_all(bytes, size - 1, limit, &image, &count);
    free(bytes);
    if (samples == NULL)
        return 0;
    char *file = write_all(IMAGE_PNG, &image, samples, plenty, &file_count);
    if (file == NULL)
        abort();
    unsigned char *again = read_all((unsigned char *)file, file_count, plenty, &back, &back_count);
    if (again == NULL || back_count != count || memcmp(again, samples, count) != 0 || back.width != image.width)
        abort();
    free(again);
    free(file);
    free(write_all(IMAGE_PNG, &image, samples, limit, &file_count));
    if (image.width <= IMAGE_JPEG_SIDE_MAX && image.height <= IMAGE_JPEG_SIDE_MAX) {
        file = write_all(IMAGE_JPEG, &image, samples, plenty, &file_count);
        again = file != NULL ? read_all((unsigned char *)file, file_count, plenty, &back, &back_count) : NULL;
        if (again == NULL || back.width != image.width || back.height != image.height)
            abort();
        free(again);
        free(file);
    }
    free(samples);
    return 0;
}
