/* SPDX-License-Identifier: MIT */
/* Pictures: PNG and JPEG to samples and back. The bytes decide which it is. Reading and writing go by steps of some tenths of a
 * millisecond, so that a caller can look at a deadline between two; the header is known before any memory is taken for what it
 * announces. Everything is the arena's, which the two libraries draw from too, and nothing is left behind by a fault.
 *
 * What is kept: grey, RGB and RGBA in 8 or 16 bits. Palettes and grey of 1 to 4 bits become 8 bits; what is transparent by a
 * colour or a palette, and grey with alpha, becomes RGBA (grey with alpha always of 8 bits); CMYK becomes RGB. Colour profiles,
 * gamma, orientation and texts are not looked at. */
#ifndef SERVER_FORMATS_IMAGE_H
#define SERVER_FORMATS_IMAGE_H

#include "core/convolve.h"
#include "server/arena.h"

enum image_format { IMAGE_PNG, IMAGE_JPEG };

/* Samples are row-major, channels side by side; those of two bytes are in the machine's order. */
struct image {
    enum image_format format;
    size_t width, height;
    unsigned channels; /* 1 (grey), 3 (RGB), 4 (RGBA) */
    unsigned sample_bytes; /* 1 or 2 */
};

enum { IMAGE_JPEG_SIDE_MAX = 65500 };

/* All samples; false where that does not fit size_t. */
bool image_bytes(const struct image *image, size_t *bytes);

enum image_step { IMAGE_MORE, IMAGE_DONE, IMAGE_FAULT };

/* ---- Reading ---- */

struct image_reader;

/* Reads the header of a picture, which has to stay where it is. NULL: "malformed-image" without a pointer, or no memory. */
struct image_reader *image_reader_open(struct arena *arena, const void *bytes, size_t count, struct image *image,
                                       struct convolve_error *error);
/* What reading takes beside the samples, at most. */
uint64_t image_reader_scratch_bytes(const struct image_reader *reader);
/* A part of the samples to where image_bytes() are; the same place each time. IMAGE_FAULT: the picture does not decode whole, or
 * no memory; not to be called again then. */
enum image_step image_reader_step(struct image_reader *reader, void *samples, struct convolve_error *error);
void image_reader_close(struct image_reader *reader); /* gives back what it holds; NULL is fine */

/* ---- Writing ---- */

struct image_writer;

/* The samples have to stay. A JPEG has no alpha and no 16 bits: the one is left out, the other scaled down. NULL: no memory. */
struct image_writer *image_writer_open(struct arena *arena, enum image_format format, const struct image *image,
                                       const void *samples, struct convolve_error *error);
/* What writing takes, the file included, at most or nearly so. */
uint64_t image_writer_scratch_bytes(enum image_format format, const struct image *image);
enum image_step image_writer_step(struct image_writer *writer, struct convolve_error *error);
/* After IMAGE_DONE: the file, a block of the arena, which stays when the writer is closed. */
const char *image_writer_file(const struct image_writer *writer, size_t *count);
void image_writer_close(struct image_writer *writer); /* NULL is fine */

#endif
