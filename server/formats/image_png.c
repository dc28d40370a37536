/* SPDX-License-Identifier: MIT */
/* PNG: the only file that knows libpng. libpng reports a fault by a long jump to where a call of ours began, so everything that has
 * to outlive one lies in the struct. All its memory is the arena's and is kept in the arena's list, so a jump loses nothing that the
 * arena would not give back. Chunks that say nothing of the samples are passed over unread. */
#include "server/formats/image_codec.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "server/formats/json_body.h"

/* libpng's own structs, zlib's window and states, and buffers of IDAT chunks; of rows it holds a few. */
enum { RUNS_ALONE = 3 /* zlib's Z_RLE */, READ_BYTES = 128 << 10, WRITE_BYTES = 384 << 10, ROWS_HELD = 4 };

/* ---- What reading and writing share ---- */

/* libpng wants a message; which kind of fault it was is known already where memory was missing. */
static png_voidp png_take(png_structp png, png_alloc_size_t bytes)
{
    struct arena *arena = png_get_mem_ptr(png);
    return arena_block(arena, bytes);
}

static void png_give(png_structp png, png_voidp block)
{
    arena_block_free(png_get_mem_ptr(png), block);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

struct fault {
    struct convolve_error **error;
    struct arena *arena;
    const char *what; /* "the PNG does not decode" */
};

static _Noreturn void on_error(png_structp png, png_const_charp message)
{
    const struct fault *fault = png_get_error_ptr(png);
    struct convolve_error *error = *fault->error;
    if (fault->arena->failure != ARENA_FINE) {
        if (error->slug == NULL)
            json_fail_memory(fault->arena, error);
    } else {
        char text[256];
        snprintf(text, sizeof text, "%s: %.200s", fault->what, message);
        image_fail(error, text);
    }
    png_longjmp(png, 1);
}

/* ---- Reading ---- */

struct reader {
    struct image_reader base;
    struct fault fault;
    png_structp png;
    png_infop info;
    size_t row_bytes;
    size_t row; /* the next, of all passes together */
    unsigned passes;
};

static void read_bytes(png_structp png, png_bytep out, size_t count)
{
    struct image_source *source = png_get_io_ptr(png);
    if (source->count - source->used < count)
        png_error(png, "it ends too early");
    memcpy(out, source->bytes + source->used, count);
    source->used += count;
}

/* To grey, RGB or RGBA, of 8 bits but where all of it has 16. */
static void set_expansion(struct reader *reader)
{
    const png_structp png = reader->png;
    struct image *image = &reader->base.image;
    const int colour = png_get_color_type(png, reader->info), depth = png_get_bit_depth(png, reader->info);
    const bool is_grey = (colour & PNG_COLOR_MASK_COLOR) == 0;
    const bool has_alpha = (colour & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png, reader->info, PNG_INFO_tRNS) != 0;

    if (colour == PNG_COLOR_TYPE_PALETTE || (is_grey && depth < 8) || has_alpha)
        png_set_expand(png);
    if (is_grey && has_alpha) {
        png_set_gray_to_rgb(png);
        if (depth == 16)
            png_set_scale_16(png);
    }
    image->channels = has_alpha ? 4 : is_grey ? 1 : 3;
    image->sample_bytes = depth == 16 && !(is_grey && has_alpha) ? 2 : 1;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (image->sample_bytes == 2)
        png_set_swap(png);
#endif
}

static bool open_png(struct image_reader *base)
{
    struct reader *reader = (struct reader *)base;
    reader->fault = (struct fault){&base->error, base->arena, "the PNG does not decode"};
    reader->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &reader->fault, on_error, on_warning, base->arena,
                                           png_take, png_give);
    reader->info = reader->png != NULL ? png_create_info_struct(reader->png) : NULL;
    if (reader->info == NULL)
        return json_fail_memory(base->arena, base->error);
    if (setjmp(png_jmpbuf(reader->png)) != 0)
        return false;
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_user_limits(reader->png, 0x7fffffff, 0x7fffffff); /* the caller's limits are others, and say more */
    png_set_chunk_malloc_max(reader->png, 0); /* those that may be long are not kept */
    png_set_read_fn(reader->png, &base->source, read_bytes);
    png_read_info(reader->png, reader->info);
    base->image.format = IMAGE_PNG;
    base->image.width = png_get_image_width(reader->png, reader->info);
    base->image.height = png_get_image_height(reader->png, reader->info);
    set_expansion(reader);
    reader->passes = (unsigned)png_set_interlace_handling(reader->png);
    /* What a row may have while it is expanded: four samples of two bytes. */
    base->scratch_bytes = READ_BYTES + (uint64_t)ROWS_HELD * 8 * base->image.width;
    return true;
}

static enum image_step read_png(struct image_reader *base, unsigned char *samples)
{
    struct reader *reader = (struct reader *)base;
    const struct image *image = &base->image;
    if (setjmp(png_jmpbuf(reader->png)) != 0)
        return IMAGE_FAULT;
    if (reader->row_bytes == 0) {
        png_read_update_info(reader->png, reader->info);
        reader->row_bytes = png_get_rowbytes(reader->png, reader->info);
        if (reader->row_bytes != image->width * image->channels * image->sample_bytes)
            png_error(reader->png, "its rows are not as long as its header says");
    }
    const size_t end = reader->passes * image->height;
    for (size_t left = image_step_rows(image); left > 0 && reader->row < end; left--, reader->row++)
        png_read_row(reader->png, samples + reader->row % image->height * reader->row_bytes, NULL);
    if (reader->row < end)
        return IMAGE_MORE;
    png_read_end(reader->png, NULL);
    return IMAGE_DONE;
}

static void close_reader(struct image_reader *base)
{
    struct reader *reader = (struct reader *)base;
    if (reader->png != NULL)
        png_destroy_read_struct(&reader->png, &reader->info, NULL);
}

/* ---- Writing ---- */

struct writer {
    struct image_writer base;
    struct fault fault;
    png_structp png;
    png_infop info;
};

static void write_bytes(png_structp png, png_bytep bytes, size_t count)
{
    struct image_writer *writer = png_get_io_ptr(png);
    char *const out = image_file_extend(writer, count);
    if (out == NULL)
        png_error(png, "no memory");
    memcpy(out, bytes, count);
    writer->file_bytes += count;
}

static void flush_nothing(png_structp png)
{
    (void)png;
}

static bool create_png(struct image_writer *base)
{
    static const int colours[] = {[1] = PNG_COLOR_TYPE_GRAY, [3] = PNG_COLOR_TYPE_RGB, [4] = PNG_COLOR_TYPE_RGB_ALPHA};
    struct writer *writer = (struct writer *)base;
    writer->fault = (struct fault){&base->error, base->arena, "the PNG cannot be written"};
    writer->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &writer->fault, on_error, on_warning, base->arena,
                                            png_take, png_give);
    writer->info = writer->png != NULL ? png_create_info_struct(writer->png) : NULL;
    if (writer->info == NULL)
        return json_fail_memory(base->arena, base->error);
    if (setjmp(png_jmpbuf(writer->png)) != 0)
        return false;
    png_set_write_fn(writer->png, base, write_bytes, flush_nothing);
    png_set_user_limits(writer->png, 0x7fffffff, 0x7fffffff);
    png_set_IHDR(writer->png, writer->info, (png_uint_32)base->image.width, (png_uint_32)base->image.height,
                 (int)base->image.sample_bytes * 8, colours[base->image.channels], PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
    /* One filter and runs alone, as OpenCV writes them: many times as fast as libpng's own choice, and a few per cent longer. */
    png_set_filter(writer->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
    png_set_compression_level(writer->png, 1);
    png_set_compression_strategy(writer->png, RUNS_ALONE);
    png_write_info(writer->png, writer->info);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (base->image.sample_bytes == 2)
        png_set_swap(writer->png);
#endif
    return true;
}

static enum image_step write_png(struct image_writer *base)
{
    struct writer *writer = (struct writer *)base;
    const struct image *image = &base->image;
    const size_t row_bytes = image->width * image->channels * image->sample_bytes;
    if (setjmp(png_jmpbuf(writer->png)) != 0)
        return IMAGE_FAULT;
    for (size_t left = image_step_rows(image); left > 0 && base->row < image->height; left--, base->row++)
        png_write_row(writer->png, base->samples + base->row * row_bytes);
    if (base->row < image->height)
        return IMAGE_MORE;
    png_write_end(writer->png, NULL);
    return IMAGE_DONE;
}

static void close_writer(struct image_writer *base)
{
    struct writer *writer = (struct writer *)base;
    if (writer->png != NULL)
        png_destroy_write_struct(&writer->png, &writer->info);
}

static uint64_t writer_scratch_bytes(const struct image *image)
{
    const uint64_t row = (uint64_t)image->width * image->channels * image->sample_bytes;
    return WRITE_BYTES + ROWS_HELD * row + row * image->height / 1000 * 1001;
}

const struct image_codec image_png = {
    .signature_bytes = 8,
    .signature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'},
    .reader_bytes = sizeof(struct reader),
    .writer_bytes = sizeof(struct writer),
    .open = open_png,
    .read = read_png,
    .close_reader = close_reader,
    .create = create_png,
    .write = write_png,
    .close_writer = close_writer,
    .writer_scratch_bytes = writer_scratch_bytes,
};
