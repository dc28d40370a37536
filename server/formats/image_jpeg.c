/* SPDX-License-Identifier: MIT */
/* JPEG: with its memory, the only file that knows libjpeg. The library goes on where data is damaged or missing, with a warning and
 * grey cells; here that is a fault, because half a picture would be filtered without a word. Faults are long jumps to where a call of
 * ours began, so what has to outlive one lies in the struct. */
#include "server/formats/image_codec.h"
#include "server/formats/image_jpeg_memory.h"

#include <jerror.h>
#include <setjmp.h>
#include <string.h>

#include "server/formats/json_body.h"

enum {
    QUALITY = 95, /* OpenCV's default */
    FIXED_BYTES = 256 << 10, /* tables, and what the library takes before its memory is ours */
    STRIP_ROWS = 64, /* a few rows of blocks, before and after scaling and conversion */
    SCANS_MAX =
        256, /* encoders write some ten; each goes over the whole picture, which a small file could ask for often */
};

/* ---- Faults ---- */

struct fault {
    struct jpeg_error_mgr manager; /* what cinfo->err points to: the first member */
    jmp_buf jump;
    struct convolve_error **error;
    struct arena *arena;
    const char *what;
};

static void fail(j_common_ptr jpeg)
{
    struct fault *fault = (struct fault *)jpeg->err;
    struct convolve_error *error = *fault->error;
    if (jpeg->err->msg_code == JERR_OUT_OF_MEMORY) {
        if (error->slug == NULL)
            json_fail_memory(fault->arena, error);
    } else {
        char message[JMSG_LENGTH_MAX], text[64 + JMSG_LENGTH_MAX];
        jpeg->err->format_message(jpeg, message);
        snprintf(text, sizeof text, "%s: %s", fault->what, message);
        image_fail(error, text);
    }
    longjmp(fault->jump, 1);
}

/* Whether a warning says that samples are missing or wrong. */
static bool loses_samples(int code)
{
    return code == JWRN_ARITH_BAD_CODE || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
           code == JWRN_JPEG_EOF || code == JWRN_MUST_RESYNC;
}

static void emit(j_common_ptr jpeg, int level)
{
    if (level < 0 && loses_samples(jpeg->err->msg_code))
        fail(jpeg);
}

static void output_nothing(j_common_ptr jpeg)
{
    (void)jpeg;
}

static struct jpeg_error_mgr *fault_init(struct fault *fault, struct convolve_error **error, struct arena *arena,
                                         const char *what)
{
    jpeg_std_error(&fault->manager);
    fault->manager.error_exit = fail;
    fault->manager.emit_message = emit;
    fault->manager.output_message = output_nothing;
    fault->error = error;
    fault->arena = arena;
    fault->what = what;
    return &fault->manager;
}

/* ---- Reading ---- */

struct reader {
    struct image_reader base;
    struct fault fault;
    struct jpeg_memory memory;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_source_mgr source;
    bool created, started, consumed, output_started;
    JSAMPARRAY ink_row; /* of a CMYK picture */
};

static void begin_source(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

static boolean source_ends(j_decompress_ptr jpeg)
{
    ERREXIT(jpeg, JERR_INPUT_EOF);
    return FALSE;
}

static void skip_source(j_decompress_ptr jpeg, long count)
{
    if (count <= 0)
        return;
    if ((size_t)count > jpeg->src->bytes_in_buffer)
        ERREXIT(jpeg, JERR_INPUT_EOF);
    jpeg->src->next_input_byte += count;
    jpeg->src->bytes_in_buffer -= (size_t)count;
}

static void end_source(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

/* Beside the samples: strips, and of what comes in several scans all coefficients. */
static uint64_t reading_bytes(const struct jpeg_decompress_struct *jpeg, bool several_scans)
{
    uint64_t bytes = FIXED_BYTES + (uint64_t)jpeg->image_width * 4 * STRIP_ROWS;
    for (int i = 0; several_scans && i < jpeg->num_components; i++) {
        const jpeg_component_info *component = &jpeg->comp_info[i];
        const uint64_t columns = component->width_in_blocks + (uint64_t)component->h_samp_factor;
        const uint64_t rows = component->height_in_blocks + (uint64_t)component->v_samp_factor;
        bytes += columns * rows * sizeof(JBLOCK);
    }
    return bytes;
}

static bool open_jpeg(struct image_reader *base)
{
    struct reader *reader = (struct reader *)base;
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    jpeg->err = fault_init(&reader->fault, &base->error, base->arena, "the JPEG does not decode");
    if (setjmp(reader->fault.jump) != 0)
        return false;
    jpeg_create_decompress(jpeg);
    reader->created = true;
    jpeg_memory_attach(&reader->memory, base->arena, (j_common_ptr)jpeg);
    reader->source = (struct jpeg_source_mgr){
        .next_input_byte = base->source.bytes,
        .bytes_in_buffer = base->source.count,
        .init_source = begin_source,
        .fill_input_buffer = source_ends,
        .skip_input_data = skip_source,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = end_source,
    };
    jpeg->src = &reader->source;
    jpeg_read_header(jpeg, TRUE);
    const bool several_scans = jpeg_has_multiple_scans(jpeg);
    const bool is_ink = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = is_ink ? JCS_CMYK : jpeg->jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->buffered_image = several_scans; /* so that the scans can be taken in by and by */
    base->image = (struct image){IMAGE_JPEG, jpeg->image_width, jpeg->image_height,
                                 jpeg->out_color_space == JCS_GRAYSCALE ? 1 : 3, 1};
    base->scratch_bytes = reading_bytes(jpeg, several_scans);
    return true;
}

/* Inks as Adobe's programs write them, inverted, or as they are. */
static void inks_to_colours(unsigned char *out, const JSAMPLE *inks, size_t count, bool inverted)
{
    for (size_t i = 0; i < count; i++) {
        const unsigned black = inverted ? inks[4 * i + 3] : 255u - inks[4 * i + 3];
        for (size_t channel = 0; channel < 3; channel++) {
            const unsigned ink = inverted ? inks[4 * i + channel] : 255u - inks[4 * i + channel];
            out[3 * i + channel] = (unsigned char)((ink * black + 127) / 255);
        }
    }
}

static void start(struct reader *reader)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    if (!jpeg_start_decompress(jpeg))
        ERREXIT(jpeg, JERR_INPUT_EOF);
    if (jpeg->out_color_space == JCS_CMYK)
        reader->ink_row = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, 4 * jpeg->output_width, 1);
    reader->started = true;
}

/* A part of what comes in several scans. True once all of them are there. */
static bool consume(struct reader *reader)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    const size_t row_bytes = (size_t)jpeg->image_width * (size_t)jpeg->num_components * DCTSIZE;
    for (size_t bytes = 0; bytes < 4 * IMAGE_STEP_BYTES; bytes += row_bytes) {
        if (jpeg->input_scan_number > SCANS_MAX) {
            image_fail(*reader->fault.error, "the JPEG has more than 256 scans");
            longjmp(reader->fault.jump, 1);
        }
        switch (jpeg_consume_input(jpeg)) {
        case JPEG_REACHED_EOI:
            return true;
        case JPEG_SUSPENDED:
            ERREXIT(jpeg, JERR_INPUT_EOF);
        default:
            break;
        }
    }
    return false;
}

static void read_row(struct reader *reader, unsigned char *out)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    if (reader->ink_row != NULL) {
        jpeg_read_scanlines(jpeg, reader->ink_row, 1);
        inks_to_colours(out, reader->ink_row[0], jpeg->output_width, jpeg->saw_Adobe_marker);
    } else {
        jpeg_read_scanlines(jpeg, &out, 1);
    }
}

static enum image_step read_jpeg(struct image_reader *base, unsigned char *samples)
{
    struct reader *reader = (struct reader *)base;
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    const struct image *image = &base->image;
    if (setjmp(reader->fault.jump) != 0)
        return IMAGE_FAULT;
    if (!reader->started) {
        start(reader);
        return IMAGE_MORE;
    }
    if (jpeg->buffered_image && !reader->consumed) {
        reader->consumed = consume(reader);
        return IMAGE_MORE;
    }
    if (jpeg->buffered_image && !reader->output_started) {
        jpeg_start_output(jpeg, jpeg->input_scan_number);
        reader->output_started = true;
    }
    for (size_t left = image_step_rows(image); left > 0 && jpeg->output_scanline < image->height; left--)
        read_row(reader, samples + jpeg->output_scanline * image->width * image->channels);
    if (jpeg->output_scanline < image->height)
        return IMAGE_MORE;
    if (jpeg->buffered_image)
        jpeg_finish_output(jpeg);
    jpeg_finish_decompress(jpeg); /* looks for the end of the file too */
    return IMAGE_DONE;
}

static void close_reader(struct image_reader *base)
{
    struct reader *reader = (struct reader *)base;
    if (reader->created) {
        jpeg_memory_detach(&reader->memory, (j_common_ptr)&reader->jpeg);
        jpeg_destroy_decompress(&reader->jpeg);
    }
    reader->created = false;
}

/* ---- Writing ---- */

struct writer {
    struct image_writer base;
    struct fault fault;
    struct jpeg_memory memory;
    struct jpeg_compress_struct jpeg;
    struct jpeg_destination_mgr destination;
    bool created;
    JSAMPARRAY row; /* where a row of samples is no row of a JPEG */
};

enum { OUT_BYTES = 16 << 10 };

static struct writer *writer_of(j_compress_ptr jpeg)
{
    return jpeg->client_data;
}

static void offer_room(struct writer *writer)
{
    char *const room = image_file_extend(&writer->base, OUT_BYTES);
    if (room == NULL)
        ERREXIT1(&writer->jpeg, JERR_OUT_OF_MEMORY, 0);
    writer->destination.next_output_byte = (JOCTET *)room;
    writer->destination.free_in_buffer = OUT_BYTES;
}

static void begin_destination(j_compress_ptr jpeg)
{
    offer_room(writer_of(jpeg));
}

/* Called when all of the room is used, whatever the pointers say. */
static boolean destination_full(j_compress_ptr jpeg)
{
    struct writer *writer = writer_of(jpeg);
    writer->base.file_bytes += OUT_BYTES;
    offer_room(writer);
    return TRUE;
}

static void end_destination(j_compress_ptr jpeg)
{
    struct writer *writer = writer_of(jpeg);
    writer->base.file_bytes += OUT_BYTES - writer->destination.free_in_buffer;
}

static bool create_jpeg(struct image_writer *base)
{
    struct writer *writer = (struct writer *)base;
    struct jpeg_compress_struct *jpeg = &writer->jpeg;
    const struct image *image = &base->image;
    jpeg->err = fault_init(&writer->fault, &base->error, base->arena, "the JPEG cannot be written");
    if (setjmp(writer->fault.jump) != 0)
        return false;
    jpeg_create_compress(jpeg);
    writer->created = true;
    jpeg->client_data = writer;
    jpeg_memory_attach(&writer->memory, base->arena, (j_common_ptr)jpeg);
    writer->destination = (struct jpeg_destination_mgr){.init_destination = begin_destination,
                                                        .empty_output_buffer = destination_full,
                                                        .term_destination = end_destination};
    jpeg->dest = &writer->destination;
    jpeg->image_width = (JDIMENSION)image->width;
    jpeg->image_height = (JDIMENSION)image->height;
    jpeg->input_components = image->channels == 1 ? 1 : 3;
    jpeg->in_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, QUALITY, TRUE);
    jpeg->dct_method = JDCT_ISLOW;
    jpeg_start_compress(jpeg, TRUE);
    if (image->channels == 4 || image->sample_bytes == 2)
        writer->row = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE,
                                              jpeg->image_width * (JDIMENSION)jpeg->input_components, 1);
    return true;
}

/* The colours of a row in 8 bits. */
static void fill_row(unsigned char *out, const unsigned char *samples, const struct image *image)
{
    const unsigned colours = image->channels == 1 ? 1 : 3;
    const uint16_t *const wide = (const uint16_t *)(const void *)samples;
    for (size_t x = 0; x < image->width; x++)
        for (unsigned channel = 0; channel < colours; channel++) {
            const size_t at = x * image->channels + channel;
            *out++ = image->sample_bytes == 2 ? (unsigned char)((wide[at] + 128u) / 257u) : samples[at];
        }
}

static enum image_step write_jpeg(struct image_writer *base)
{
    struct writer *writer = (struct writer *)base;
    struct jpeg_compress_struct *jpeg = &writer->jpeg;
    const struct image *image = &base->image;
    const size_t row_bytes = image->width * image->channels * image->sample_bytes;
    if (setjmp(writer->fault.jump) != 0)
        return IMAGE_FAULT;
    for (size_t left = image_step_rows(image); left > 0 && jpeg->next_scanline < image->height; left--) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)base->samples + jpeg->next_scanline * row_bytes;
        if (writer->row != NULL) {
            fill_row(writer->row[0], row, image);
            row = writer->row[0];
        }
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    if (jpeg->next_scanline < image->height)
        return IMAGE_MORE;
    jpeg_finish_compress(jpeg);
    return IMAGE_DONE;
}

static void close_writer(struct image_writer *base)
{
    struct writer *writer = (struct writer *)base;
    if (writer->created) {
        jpeg_memory_detach(&writer->memory, (j_common_ptr)&writer->jpeg);
        jpeg_destroy_compress(&writer->jpeg);
    }
    writer->created = false;
}

/* A file is seldom longer than half its samples at this quality. */
static uint64_t writer_scratch_bytes(const struct image *image)
{
    const unsigned colours = image->channels == 1 ? 1 : 3;
    return FIXED_BYTES + (uint64_t)image->width * colours * STRIP_ROWS +
           (uint64_t)image->width * image->height * colours;
}

const struct image_codec image_jpeg = {
    .signature_bytes = 3,
    .signature = {0xff, 0xd8, 0xff},
    .reader_bytes = sizeof(struct reader),
    .writer_bytes = sizeof(struct writer),
    .open = open_jpeg,
    .read = read_jpeg,
    .close_reader = close_reader,
    .create = create_jpeg,
    .write = write_jpeg,
    .close_writer = close_writer,
    .writer_scratch_bytes = writer_scratch_bytes,
};
