/* SPDX-License-Identifier: MIT */
/* Pictures for tests, made by libpng and libjpeg themselves: every colour type, depth and coding, as files in memory. The caller
 * frees them. */
#ifndef TESTS_FORMATS_IMAGE_MAKE_H
#define TESTS_FORMATS_IMAGE_MAKE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

struct made {
    char *bytes;
    size_t count;
};

struct made_png {
    unsigned width, height;
    int colour, depth; /* libpng's */
    bool interlaced;
    const unsigned char *rows; /* packed as PNG has them: big-endian, several samples a byte */
    const unsigned char (*palette)[3];
    unsigned palette_count;
    const unsigned char *alphas; /* tRNS of a palette */
    unsigned alpha_count;
    bool transparent; /* tRNS of grey or RGB: this colour */
    uint16_t transparent_colour[3];
    bool texts; /* chunks that say nothing of the samples */
};

struct made_jpeg {
    unsigned width, height;
    int channels; /* 1, 3 or 4 (inks) */
    bool progressive, arithmetic, separate_scans;
    int restart_rows, quality; /* 0: 90 */
    const unsigned char *samples;
};

/* ---- PNG ---- */

static inline void append(png_structp png, png_bytep bytes, size_t count)
{
    struct made *made = png_get_io_ptr(png);
    made->bytes = realloc(made->bytes, made->count + count);
    memcpy(made->bytes + made->count, bytes, count);
    made->count += count;
}

static inline void set_transparency(png_structp png, png_infop info, const struct made_png *what)
{
    const uint16_t *colour = what->transparent_colour;
    png_color_16 one = {.red = colour[0], .green = colour[1], .blue = colour[2], .gray = colour[0]};
    if (what->alpha_count > 0)
        png_set_tRNS(png, info, what->alphas, (int)what->alpha_count, NULL);
    if (what->transparent)
        png_set_tRNS(png, info, NULL, 0, &one);
}

static inline struct made make_png(const struct made_png *what)
{
    struct made made = {0};
    png_color palette[256];
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    if (setjmp(png_jmpbuf(png)) != 0)
        abort();
    png_set_write_fn(png, &made, append, NULL);
    png_set_IHDR(png, info, what->width, what->height, what->depth, what->colour,
                 what->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE,
                 PNG_FILTER_TYPE_BASE);
    for (unsigned i = 0; i < what->palette_count; i++)
        palette[i] = (png_color){what->palette[i][0], what->palette[i][1], what->palette[i][2]};
    if (what->palette_count > 0)
        png_set_PLTE(png, info, palette, (int)what->palette_count);
    set_transparency(png, info, what);
    if (what->texts) {
        char key[] = "Comment", text[] = "not looked at";
        png_text one = {
            .compression = PNG_TEXT_COMPRESSION_zTXt, .key = key, .text = text, .text_length = strlen(text)};
        png_set_text(png, info, &one, 1);
        png_set_gAMA(png, info, 0.5);
    }
    png_write_info(png, info);
    const size_t pitch = png_get_rowbytes(png, info);
    const int passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < passes; pass++)
        for (unsigned row = 0; row < what->height; row++)
            png_write_row(png, what->rows + row * pitch);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return made;
}

struct back {
    const unsigned char *bytes;
    size_t left;
};

static inline void take(png_structp png, png_bytep out, size_t count)
{
    struct back *back = png_get_io_ptr(png);
    if (count > back->left)
        png_error(png, "cut");
    memcpy(out, back->bytes, count);
    back->bytes += count;
    back->left -= count;
}

/* Samples as the file has them (16 bits in the machine's order); the caller frees them. NULL: it does not decode. */
static inline unsigned char *read_png_back(const void *bytes, size_t count, unsigned *width, unsigned *height,
                                           int *channels, int *depth)
{
    struct back back = {bytes, count};
    unsigned char *volatile samples = NULL;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    if (setjmp(png_jmpbuf(png)) != 0) {
        png_destroy_read_struct(&png, &info, NULL);
        free(samples);
        return NULL;
    }
    png_set_read_fn(png, &back, take);
    png_read_info(png, info);
    *width = png_get_image_width(png, info);
    *height = png_get_image_height(png, info);
    *channels = png_get_channels(png, info);
    *depth = png_get_bit_depth(png, info);
    if (*depth == 16)
        png_set_swap(png);
    png_read_update_info(png, info);
    const size_t pitch = png_get_rowbytes(png, info);
    samples = malloc(pitch * *height);
    for (unsigned row = 0; row < *height; row++)
        png_read_row(png, samples + row * pitch, NULL);
    png_read_end(png, NULL);
    png_destroy_read_struct(&png, &info, NULL);
    return samples;
}

/* ---- JPEG ---- */

static inline struct made make_jpeg(const struct made_jpeg *what)
{
    struct jpeg_compress_struct jpeg = {0};
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long count = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &count);
    jpeg.image_width = what->width;
    jpeg.image_height = what->height;
    jpeg.input_components = what->channels;
    jpeg.in_color_space = what->channels == 1 ? JCS_GRAYSCALE : what->channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, what->quality > 0 ? what->quality : 90, TRUE);
    jpeg.arith_code = what->arithmetic;
    jpeg.restart_in_rows = what->restart_rows;
    if (what->progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_scan_info scans[4] = {0};
    if (what->separate_scans) {
        for (int i = 0; i < what->channels; i++)
            scans[i] = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {i}, .Se = 63};
        jpeg.scan_info = scans;
        jpeg.num_scans = what->channels;
    }
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < what->height) {
        JSAMPROW row =
            (JSAMPROW)(uintptr_t)what->samples + (size_t)jpeg.next_scanline * what->width * (size_t)what->channels;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return (struct made){(char *)bytes, count};
}

struct jumper {
    struct jpeg_error_mgr manager;
    jmp_buf jump;
};

static inline void jump(j_common_ptr jpeg)
{
    longjmp(((struct jumper *)jpeg->err)->jump, 1);
}

static inline void jump_at_warnings(j_common_ptr jpeg, int level)
{
    if (level < 0)
        jump(jpeg);
}

/* Likewise, as the library reads it; NULL after a warning too. */
static inline unsigned char *read_jpeg_back(const void *bytes, size_t count, unsigned *width, unsigned *height,
                                            int *channels)
{
    struct jpeg_decompress_struct jpeg = {0};
    struct jumper jumper;
    unsigned char *volatile samples = NULL;
    jpeg.err = jpeg_std_error(&jumper.manager);
    jumper.manager.error_exit = jump;
    jumper.manager.emit_message = jump_at_warnings;
    if (setjmp(jumper.jump) != 0) {
        jpeg_destroy_decompress(&jpeg);
        free(samples);
        return NULL;
    }
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, bytes, count);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&jpeg);
    *width = jpeg.output_width;
    *height = jpeg.output_height;
    *channels = jpeg.output_components;
    samples = malloc((size_t)*width * *height * (size_t)*channels);
    while (jpeg.output_scanline < *height) {
        JSAMPROW row = samples + (size_t)jpeg.output_scanline * *width * (size_t)*channels;
        jpeg_read_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    return samples;
}

#endif
