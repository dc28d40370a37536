/* SPDX-License-Identifier: MIT */
/* What image.c and the two formats share. A format is a reader and a writer that begin with the structs here. */
#ifndef SERVER_FORMATS_IMAGE_CODEC_H
#define SERVER_FORMATS_IMAGE_CODEC_H

#include "server/formats/image.h"

enum { IMAGE_STEP_BYTES = 64 << 10 }; /* of samples: some tenths of a millisecond */

struct image_source {
    const unsigned char *bytes;
    size_t count, used;
};

struct image_reader {
    const struct image_codec *codec;
    struct arena *arena;
    struct image_source source;
    struct image image;
    uint64_t scratch_bytes;
    struct convolve_error *error; /* of the present call */
};

struct image_writer {
    const struct image_codec *codec;
    struct arena *arena;
    struct image image;
    const unsigned char *samples;
    size_t row; /* the next */
    char *file;
    size_t file_bytes, file_capacity;
    struct convolve_error *error; /* of the present call */
};

struct image_codec {
    size_t signature_bytes;
    unsigned char signature[8];
    size_t reader_bytes, writer_bytes;
    bool (*open)(struct image_reader *reader);
    enum image_step (*read)(struct image_reader *reader, unsigned char *samples);
    void (*close_reader)(struct image_reader *reader);
    bool (*create)(struct image_writer *writer);
    enum image_step (*write)(struct image_writer *writer);
    void (*close_writer)(struct image_writer *writer);
    uint64_t (*writer_scratch_bytes)(const struct image *image);
};

extern const struct image_codec image_png, image_jpeg;

/* "malformed-image", unless the error tells of memory already. Always false. */
bool image_fail(struct convolve_error *error, const char *message);

/* How many rows a step takes. */
size_t image_step_rows(const struct image *image);

/* Room for at least `count` more bytes of the file; NULL: no memory, and the error is filled. */
char *image_file_extend(struct image_writer *writer, size_t count);

#endif
