/* SPDX-License-Identifier: MIT */
/* Finds out which format a picture has, and hands it on. */
#include "server/formats/image.h"

#include <string.h>

#include "server/formats/image_codec.h"
#include "server/formats/json_body.h"

static const struct image_codec *const codecs[] = {[IMAGE_PNG] = &image_png, [IMAGE_JPEG] = &image_jpeg};
enum { CODEC_COUNT = sizeof codecs / sizeof *codecs };

bool image_bytes(const struct image *image, size_t *bytes)
{
    return !__builtin_mul_overflow(image->width, image->height, bytes) &&
           !__builtin_mul_overflow(*bytes, (size_t)image->channels * image->sample_bytes, bytes);
}

size_t image_step_rows(const struct image *image)
{
    const size_t rows = IMAGE_STEP_BYTES / (image->width * image->channels * image->sample_bytes);
    return rows > 0 ? rows : 1;
}

bool image_fail(struct convolve_error *error, const char *message)
{
    return error->slug != NULL ? false : convolve_fail(error, "malformed-image", "", "%s", message);
}

/* ---- Reading ---- */

static const struct image_codec *find_codec(const void *bytes, size_t count)
{
    for (size_t i = 0; i < CODEC_COUNT; i++)
        if (count >= codecs[i]->signature_bytes && memcmp(bytes, codecs[i]->signature, codecs[i]->signature_bytes) == 0)
            return codecs[i];
    return NULL;
}

struct image_reader *image_reader_open(struct arena *arena, const void *bytes, size_t count, struct image *image,
                                       struct convolve_error *error)
{
    const struct image_codec *codec = find_codec(bytes, count);
    if (codec == NULL) {
        convolve_fail(error, "malformed-image", "", "%s",
                      count == 0 ? "there is no picture: no byte of it has come"
                                 : "the bytes are neither a PNG nor a JPEG: they begin like neither");
        return NULL;
    }
    struct image_reader *reader = arena_alloc(arena, codec->reader_bytes);
    if (reader == NULL) {
        json_fail_memory(arena, error);
        return NULL;
    }
    memset(reader, 0, codec->reader_bytes);
    *reader = (struct image_reader){.codec = codec, .arena = arena, .source = {bytes, count, 0}, .error = error};
    if (!codec->open(reader)) {
        image_reader_close(reader);
        return NULL;
    }
    *image = reader->image;
    return reader;
}

uint64_t image_reader_scratch_bytes(const struct image_reader *reader)
{
    return reader->scratch_bytes;
}

enum image_step image_reader_step(struct image_reader *reader, void *samples, struct convolve_error *error)
{
    reader->error = error;
    return reader->codec->read(reader, samples);
}

void image_reader_close(struct image_reader *reader)
{
    if (reader != NULL)
        reader->codec->close_reader(reader);
}

/* ---- Writing ---- */

char *image_file_extend(struct image_writer *writer, size_t count)
{
    enum { GROW_BYTES = 64 << 10 };
    if (writer->file_capacity - writer->file_bytes < count) {
        const size_t capacity = writer->file_bytes + count + GROW_BYTES;
        char *const larger = arena_block_resize(writer->arena, writer->file, capacity);
        if (larger == NULL) {
            json_fail_memory(writer->arena, writer->error);
            return NULL;
        }
        writer->file = larger;
        writer->file_capacity = capacity;
    }
    return writer->file + writer->file_bytes;
}

struct image_writer *image_writer_open(struct arena *arena, enum image_format format, const struct image *image,
                                       const void *samples, struct convolve_error *error)
{
    const struct image_codec *codec = codecs[format];
    struct image_writer *writer = arena_alloc(arena, codec->writer_bytes);
    if (writer == NULL) {
        json_fail_memory(arena, error);
        return NULL;
    }
    memset(writer, 0, codec->writer_bytes);
    *writer =
        (struct image_writer){.codec = codec, .arena = arena, .image = *image, .samples = samples, .error = error};
    if (!codec->create(writer)) {
        image_writer_close(writer);
        return NULL;
    }
    return writer;
}

uint64_t image_writer_scratch_bytes(enum image_format format, const struct image *image)
{
    return codecs[format]->writer_scratch_bytes(image);
}

enum image_step image_writer_step(struct image_writer *writer, struct convolve_error *error)
{
    writer->error = error;
    return writer->codec->write(writer);
}

const char *image_writer_file(const struct image_writer *writer, size_t *count)
{
    *count = writer->file_bytes;
    return writer->file;
}

void image_writer_close(struct image_writer *writer)
{
    if (writer != NULL)
        writer->codec->close_writer(writer);
}
