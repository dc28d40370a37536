/* SPDX-License-Identifier: MIT */
/* PNG and JPEG: every colour type, depth and coding to the samples that the contract promises; there and back; what is damaged or
 * cut anywhere is refused; nothing is left in the budget, and every failing allocation is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <png.h>

#include "server/formats/image.h"
#include "tests/formats/image_make.h"

struct read {
    struct image image;
    struct convolve_error error;
    unsigned char *samples; /* NULL: a fault */
    size_t count, steps;
};

/* Reads within `limit` bytes of memory; the budget is empty afterwards. */
static struct read read_image(const void *bytes, size_t count, size_t limit)
{
    struct memory_budget budget = {.limit = limit};
    struct arena arena;
    struct read read = {0};
    /* A copy of exactly so many bytes: reading behind it is seen. */
    char *const copy = malloc(count + 1) /* one more: malloc(0) may be NULL */;
    memcpy(copy, bytes, count);
    arena_init(&arena, &budget);
    struct image_reader *reader = image_reader_open(&arena, copy, count, &read.image, &read.error);
    if (reader != NULL && image_bytes(&read.image, &read.count) && read.count < (size_t)1 << 24) {
        enum image_step step = IMAGE_MORE;
        read.samples = calloc(1, read.count);
        for (; step == IMAGE_MORE; read.steps++)
            step = image_reader_step(reader, read.samples, &read.error);
        if (step == IMAGE_FAULT) {
            free(read.samples);
            read.samples = NULL;
        }
    }
    image_reader_close(reader);
    arena_release(&arena);
    assert_int_equal(budget.used, 0);
    free(copy);
    if (read.samples == NULL && read.error.slug == NULL)
        fail_msg("a fault without an error");
    return read;
}

static const size_t plenty = (size_t)1 << 28;

static void check_samples(const char *name, struct made file, unsigned channels, unsigned sample_bytes,
                          const void *expected, size_t count)
{
    struct read read = read_image(file.bytes, file.count, plenty);
    if (read.samples == NULL)
        fail_msg("%s: %s", name, read.error.detail);
    if (read.image.channels != channels || read.image.sample_bytes != sample_bytes || read.count != count)
        fail_msg("%s: %u channels of %u bytes, %zu in all", name, read.image.channels, read.image.sample_bytes,
                 read.count);
    if (memcmp(read.samples, expected, count) != 0)
        fail_msg("%s: other samples", name);
    free(read.samples);
    free(file.bytes);
}

/* ---- What PNG has ---- */

static void colour_types(void **state)
{
    (void)state;
    static const unsigned char bits[] = {0xa0, 0x40}; /* 1 0 1 / 0 1 0 */
    static const unsigned char twos[] = {0x1b, 0xe4}; /* 0 1 2 3 / 3 2 1 0 */
    static const unsigned char fours[] = {0x0f, 0x50, 0x93, 0xc0}; /* 0 15 5 / 9 3 12 */
    static const unsigned char eights[] = {0, 1, 127, 128, 254, 255};
    static const unsigned char palette[][3] = {{1, 2, 3}, {40, 50, 60}, {255, 0, 128}, {9, 9, 9}};
    static const unsigned char alphas[] = {0, 77};
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        const bool i = interlaced;
        check_samples("1 bit",
                      make_png(&(struct made_png){3, 2, PNG_COLOR_TYPE_GRAY, 1, .interlaced = i, .rows = bits}), 1, 1,
                      (unsigned char[]){255, 0, 255, 0, 255, 0}, 6);
        check_samples("2 bits",
                      make_png(&(struct made_png){4, 2, PNG_COLOR_TYPE_GRAY, 2, .interlaced = i, .rows = twos}), 1, 1,
                      (unsigned char[]){0, 85, 170, 255, 255, 170, 85, 0}, 8);
        check_samples("4 bits",
                      make_png(&(struct made_png){3, 2, PNG_COLOR_TYPE_GRAY, 4, .interlaced = i, .rows = fours}), 1, 1,
                      (unsigned char[]){0, 255, 85, 153, 51, 204}, 6);
        check_samples(
            "8 bits",
            make_png(&(struct made_png){3, 2, PNG_COLOR_TYPE_GRAY, 8, .interlaced = i, .rows = eights, .texts = true}),
            1, 1, eights, 6);
        check_samples("16 bits",
                      make_png(&(struct made_png){3, 1, PNG_COLOR_TYPE_GRAY, 16, .interlaced = i, .rows = eights}), 1,
                      2, (uint16_t[]){0x0001, 0x7f80, 0xfeff}, 6);
        check_samples("RGB", make_png(&(struct made_png){1, 2, PNG_COLOR_TYPE_RGB, 8, .interlaced = i, .rows = eights}),
                      3, 1, eights, 6);
        check_samples("RGB of 16 bits",
                      make_png(&(struct made_png){1, 1, PNG_COLOR_TYPE_RGB, 16, .interlaced = i, .rows = eights}), 3, 2,
                      (uint16_t[]){0x0001, 0x7f80, 0xfeff}, 6);
        check_samples("RGBA",
                      make_png(&(struct made_png){1, 1, PNG_COLOR_TYPE_RGBA, 8, .interlaced = i, .rows = eights}), 4, 1,
                      eights, 4);
        check_samples("grey with alpha",
                      make_png(&(struct made_png){3, 1, PNG_COLOR_TYPE_GRAY_ALPHA, 8, .interlaced = i, .rows = eights}),
                      4, 1, (unsigned char[]){0, 0, 0, 1, 127, 127, 127, 128, 254, 254, 254, 255}, 12);
        check_samples("grey with alpha of 16 bits",
                      make_png(&(struct made_png){1, 1, PNG_COLOR_TYPE_GRAY_ALPHA, 16, .interlaced = i,
                                                  .rows = (const unsigned char[]){0x80, 0x80, 0xff, 0xff}}),
                      4, 1, (unsigned char[]){128, 128, 128, 255}, 4);
        check_samples("a palette",
                      make_png(&(struct made_png){4, 1, PNG_COLOR_TYPE_PALETTE, 2, .interlaced = i, .rows = twos,
                                                  .palette = palette, .palette_count = 4}),
                      3, 1, (unsigned char[]){1, 2, 3, 40, 50, 60, 255, 0, 128, 9, 9, 9}, 12);
        check_samples(
            "a palette with alpha",
            make_png(&(struct made_png){4, 1, PNG_COLOR_TYPE_PALETTE, 2, .interlaced = i, .rows = twos,
                                        .palette = palette, .palette_count = 4, .alphas = alphas, .alpha_count = 2}),
            4, 1, (unsigned char[]){1, 2, 3, 0, 40, 50, 60, 77, 255, 0, 128, 255, 9, 9, 9, 255}, 16);
        check_samples("a palette of 8 bits",
                      make_png(&(struct made_png){3, 1, PNG_COLOR_TYPE_PALETTE, 8, .interlaced = i,
                                                  .rows = (const unsigned char[]){2, 0, 1}, .palette = palette,
                                                  .palette_count = 4}),
                      3, 1, (unsigned char[]){255, 0, 128, 1, 2, 3, 40, 50, 60}, 9);
        check_samples("one grey is transparent",
                      make_png(&(struct made_png){2, 1, PNG_COLOR_TYPE_GRAY, 8, .interlaced = i, .rows = eights,
                                                  .transparent = true, .transparent_colour = {1}}),
                      4, 1, (unsigned char[]){0, 0, 0, 255, 1, 1, 1, 0}, 8);
        check_samples("one colour is transparent",
                      make_png(&(struct made_png){2, 1, PNG_COLOR_TYPE_RGB, 8, .interlaced = i, .rows = eights,
                                                  .transparent = true, .transparent_colour = {128, 254, 255}}),
                      4, 1, (unsigned char[]){0, 1, 127, 255, 128, 254, 255, 0}, 8);
    }
}

static unsigned char *noise(size_t count, unsigned seed)
{
    unsigned char *bytes = malloc(count);
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(seed >> 24);
    }
    return bytes;
}

static unsigned char *smooth(unsigned width, unsigned height, unsigned channels)
{
    unsigned char *bytes = malloc((size_t)width * height * channels), *at = bytes;
    for (unsigned y = 0; y < height; y++)
        for (unsigned x = 0; x < width; x++)
            for (unsigned c = 0; c < channels; c++)
                *at++ = (unsigned char)(x * 3 + y * (c + 1) + 40 * c);
    return bytes;
}

/* Many rows and passes: more than one step. */
static void large_pngs(void **state)
{
    (void)state;
    enum { WIDTH = 301, HEIGHT = 403 };
    unsigned char *samples = noise(WIDTH * HEIGHT * 3, 1);
    for (int interlaced = 0; interlaced < 2; interlaced++)
        check_samples("large",
                      make_png(&(struct made_png){WIDTH, HEIGHT, PNG_COLOR_TYPE_RGB, 8, .interlaced = interlaced,
                                                  .rows = samples}),
                      3, 1, samples, WIDTH * HEIGHT * 3);
    free(samples);
}

/* ---- What JPEG has ---- */

static void codings(void **state)
{
    (void)state;
    static const struct made_jpeg cases[] = {
        {317, 211, 1, .quality = 90},
        {317, 211, 3, .quality = 90},
        {317, 211, 3, .restart_rows = 1},
        {317, 211, 3, .progressive = true},
        {317, 211, 1, .progressive = true},
        {317, 211, 3, .arithmetic = true},
        {317, 211, 3, .arithmetic = true, .progressive = true},
        {317, 211, 3, .separate_scans = true},
        {1, 1, 3, .quality = 100},
        {8, 9, 1, .progressive = true},
        {2000, 3, 3, .progressive = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_jpeg what = cases[i];
        char name[32];
        unsigned width, height;
        int channels;
        unsigned char *samples = smooth(what.width, what.height, (unsigned)what.channels);
        what.samples = samples;
        struct made file = make_jpeg(&what);
        unsigned char *expected = read_jpeg_back(file.bytes, file.count, &width, &height, &channels);
        assert_non_null(expected);
        snprintf(name, sizeof name, "jpeg %zu", i);
        check_samples(name, file, (unsigned)channels, 1, expected, (size_t)width * height * (size_t)channels);
        free(expected);
        free(samples);
    }
}

/* Four inks, which programs of Adobe, and libjpeg, write inverted. */
static void inks(void **state)
{
    (void)state;
    enum { WIDTH = 16, HEIGHT = 8 };
    static const unsigned char plain[4] = {255, 128, 0, 255}, dark[4] = {200, 100, 50, 51};
    static const unsigned char colours[2][3] = {{255, 128, 0}, {40, 20, 10}};
    for (int which = 0; which < 2; which++) {
        unsigned char samples[WIDTH * HEIGHT * 4];
        for (size_t i = 0; i < sizeof samples; i++)
            samples[i] = (which == 0 ? plain : dark)[i % 4];
        struct made file = make_jpeg(&(struct made_jpeg){WIDTH, HEIGHT, 4, .quality = 100, .samples = samples});
        struct read read = read_image(file.bytes, file.count, plenty);
        assert_non_null(read.samples);
        assert_int_equal(read.image.channels, 3);
        for (size_t i = 0; i < WIDTH * HEIGHT * 3; i++)
            assert_in_range(read.samples[i] + 2, colours[which][i % 3], colours[which][i % 3] + 4);
        free(read.samples);
        free(file.bytes);
    }
}

/* ---- Writing ---- */

static struct made write_image(enum image_format format, const struct image *image, const void *samples, size_t limit,
                               struct convolve_error *error)
{
    struct memory_budget budget = {.limit = limit};
    struct arena arena;
    struct made made = {0};
    arena_init(&arena, &budget);
    struct image_writer *writer = image_writer_open(&arena, format, image, samples, error);
    enum image_step step = writer != NULL ? IMAGE_MORE : IMAGE_FAULT;
    while (step == IMAGE_MORE)
        step = image_writer_step(writer, error);
    if (step == IMAGE_DONE) {
        const char *file = image_writer_file(writer, &made.count);
        made.bytes = malloc(made.count);
        memcpy(made.bytes, file, made.count);
    } else if (error->slug == NULL) {
        fail_msg("a fault without an error");
    }
    image_writer_close(writer);
    arena_release(&arena);
    assert_int_equal(budget.used, 0);
    return made;
}

static void there_and_back(void **state)
{
    (void)state;
    static const unsigned channel_counts[] = {1, 3, 4};
    static const size_t sides[][2] = {{1, 1}, {7, 5}, {640, 331}};
    for (size_t c = 0; c < 3; c++)
        for (unsigned sample_bytes = 1; sample_bytes <= 2; sample_bytes++)
            for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
                const struct image image = {IMAGE_PNG, sides[s][0], sides[s][1], channel_counts[c], sample_bytes};
                struct convolve_error error = {0};
                size_t count;
                unsigned width, height;
                int channels, depth;
                assert_true(image_bytes(&image, &count));
                unsigned char *samples = noise(count, 7);
                struct made file = write_image(IMAGE_PNG, &image, samples, plenty, &error);
                unsigned char *back = read_png_back(file.bytes, file.count, &width, &height, &channels, &depth);
                assert_non_null(back);
                assert_int_equal(width, image.width);
                assert_int_equal(height, image.height);
                assert_int_equal(channels, image.channels);
                assert_int_equal(depth, 8 * sample_bytes);
                assert_memory_equal(back, samples, count);
                free(back);
                check_samples("back", file, image.channels, sample_bytes, samples, count);
                free(samples);
            }
}

/* Alpha is left out, 16 bits are scaled to 8. */
static void jpeg_writing(void **state)
{
    (void)state;
    static const unsigned channel_counts[] = {1, 3, 4};
    enum { WIDTH = 321, HEIGHT = 200 };
    for (size_t c = 0; c < 3; c++)
        for (unsigned sample_bytes = 1; sample_bytes <= 2; sample_bytes++) {
            const unsigned channels = channel_counts[c], colours = channels == 4 ? 3 : channels;
            const struct image image = {IMAGE_PNG, WIDTH, HEIGHT, channels, sample_bytes};
            struct convolve_error error = {0};
            unsigned width, height;
            int found;
            unsigned char *eights = smooth(WIDTH, HEIGHT, channels);
            uint16_t *wide = malloc(sizeof *wide * WIDTH * HEIGHT * channels);
            for (size_t i = 0; i < (size_t)WIDTH * HEIGHT * channels; i++)
                wide[i] = (uint16_t)(eights[i] * 257 + (i % 3 ? 100 : 0) * (eights[i] < 255));
            const void *samples = sample_bytes == 1 ? (const void *)eights : wide;
            struct made file = write_image(IMAGE_JPEG, &image, samples, plenty, &error);
            unsigned char *back = read_jpeg_back(file.bytes, file.count, &width, &height, &found);
            assert_non_null(back);
            assert_int_equal(width, WIDTH);
            assert_int_equal(height, HEIGHT);
            assert_int_equal(found, colours);
            double difference = 0;
            for (size_t i = 0; i < (size_t)WIDTH * HEIGHT; i++)
                for (unsigned k = 0; k < colours; k++)
                    difference += abs(back[i * colours + k] - eights[i * channels + k]);
            assert_true(difference / (WIDTH * HEIGHT * colours) < 6);
            free(back);
            free(file.bytes);
            free(wide);
            free(eights);
        }
}

/* ---- Faults ---- */

static struct made sample_file(int which)
{
    unsigned char *samples = smooth(20, 18, 3);
    struct made file = {0};
    switch (which) {
    case 0:
    case 1:
        file = make_png(&(struct made_png){20, 18, PNG_COLOR_TYPE_RGB, 8, .interlaced = which == 1, .rows = samples,
                                           .texts = true});
        break;
    case 2:
        file = make_jpeg(&(struct made_jpeg){20, 18, 3, .samples = samples});
        break;
    case 3:
        file = make_jpeg(&(struct made_jpeg){20, 18, 3, .progressive = true, .samples = samples});
        break;
    default:
        file = make_jpeg(&(struct made_jpeg){20, 18, 3, .restart_rows = 1, .arithmetic = true, .samples = samples});
        break;
    }
    free(samples);
    return file;
}
enum { SAMPLE_FILES = 5 };

static void cut_anywhere(void **state)
{
    (void)state;
    for (int which = 0; which < SAMPLE_FILES; which++) {
        struct made file = sample_file(which);
        for (size_t count = 0; count < file.count; count++) {
            struct read read = read_image(file.bytes, count, plenty);
            if (read.samples != NULL)
                fail_msg("file %d decodes when cut to %zu of %zu bytes", which, count, file.count);
            assert_string_equal(read.error.slug, "malformed-image");
            assert_string_equal(read.error.pointer, "");
        }
        struct read whole = read_image(file.bytes, file.count, plenty);
        assert_non_null(whole.samples);
        free(whole.samples);
        /* What follows the end is not looked at. */
        file.bytes = realloc(file.bytes, file.count + 5);
        memcpy(file.bytes + file.count, "after", 5);
        whole = read_image(file.bytes, file.count + 5, plenty);
        assert_non_null(whole.samples);
        free(whole.samples);
        free(file.bytes);
    }
}

/* Whatever a changed byte does, it does no harm. */
static void damaged_anywhere(void **state)
{
    (void)state;
    for (int which = 0; which < SAMPLE_FILES; which++) {
        struct made file = sample_file(which);
        for (size_t at = 0; at < file.count; at++) {
            static const unsigned char changes[] = {0x01, 0x80, 0xff, 0x10};
            for (size_t change = 0; change < sizeof changes; change++) {
                file.bytes[at] = (char)(file.bytes[at] ^ changes[change]);
                struct read read = read_image(file.bytes, file.count, plenty);
                free(read.samples);
                file.bytes[at] = (char)(file.bytes[at] ^ changes[change]);
            }
        }
        free(file.bytes);
    }
}

static void others(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bytes;
        size_t count;
    } cases[] = {
        {"nothing", "", 0},
        {"one byte", "\x89", 1},
        {"text", "hello, world", 12},
        {"a GIF", "GIF89a\1\0\1\0\0\0\0;", 14},
        {"a PNG after a line", "\n\x89PNG\r\n\x1a\n", 9},
        {"a PNG as text", "\x89PNG\n\x1a\n\0\0\0", 10},
        {"a JPEG's first two bytes", "\xff\xd8", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct read read = read_image(cases[i].bytes, cases[i].count, plenty);
        if (read.samples != NULL || strcmp(read.error.slug, "malformed-image") != 0)
            fail_msg("%s: %s", cases[i].name, read.error.slug);
    }
}

/* Whatever memory there is, it is read right or refused for memory. */
static void little_memory(void **state)
{
    (void)state;
    for (int which = 0; which < SAMPLE_FILES; which++) {
        struct made file = sample_file(which);
        bool enough = false;
        for (size_t limit = 0; limit < (1 << 20) && !enough; limit += 1021) {
            struct read read = read_image(file.bytes, file.count, limit);
            if (read.samples == NULL)
                assert_string_equal(read.error.slug, "too-large");
            enough = read.samples != NULL;
            free(read.samples);
        }
        assert_true(enough);
        free(file.bytes);
    }
    unsigned char *samples = smooth(200, 100, 4);
    for (int format = 0; format < 2; format++) {
        const struct image image = {IMAGE_PNG, 200, 100, 4, 1};
        bool enough = false;
        for (size_t limit = 0; limit < (1 << 20) && !enough; limit += 4093) {
            struct convolve_error error = {0};
            struct made file = write_image((enum image_format)format, &image, samples, limit, &error);
            if (file.bytes == NULL)
                assert_string_equal(error.slug, "too-large");
            enough = file.bytes != NULL;
            free(file.bytes);
        }
        assert_true(enough);
    }
    free(samples);
}

/* What is told beforehand covers what is taken. */
static void memory_is_foretold(void **state)
{
    (void)state;
    for (int which = 0; which < SAMPLE_FILES; which++) {
        enum { WIDTH = 1500, HEIGHT = 700 };
        unsigned char *samples = noise((size_t)WIDTH * HEIGHT * 3, 3);
        struct made file = which < 2 ? make_png(&(struct made_png){WIDTH, HEIGHT, PNG_COLOR_TYPE_RGB, 8,
                                                                   .interlaced = which == 1, .rows = samples})
                                     : make_jpeg(&(struct made_jpeg){WIDTH, HEIGHT, 3, .progressive = which == 3,
                                                                     .separate_scans = which == 4, .samples = samples});
        struct memory_budget budget = {.limit = plenty};
        struct arena arena;
        struct image image;
        struct convolve_error error = {0};
        size_t most = 0;
        arena_init(&arena, &budget);
        struct image_reader *reader = image_reader_open(&arena, file.bytes, file.count, &image, &error);
        assert_non_null(reader);
        while (image_reader_step(reader, samples, &error) == IMAGE_MORE)
            most = budget.used > most ? budget.used : most;
        assert_null(error.slug);
        if (most > image_reader_scratch_bytes(reader))
            fail_msg("file %d: %zu bytes, %llu foretold", which, most,
                     (unsigned long long)image_reader_scratch_bytes(reader));
        image_reader_close(reader);
        arena_release(&arena);
        for (int format = 0; format < 2; format++) {
            arena_init(&arena, &budget);
            struct image_writer *writer = image_writer_open(&arena, (enum image_format)format, &image, samples, &error);
            assert_non_null(writer);
            while (image_writer_step(writer, &error) == IMAGE_MORE)
                ;
            assert_null(error.slug);
            if (budget.used > image_writer_scratch_bytes((enum image_format)format, &image))
                fail_msg("format %d: %zu bytes, %llu foretold", format, budget.used,
                         (unsigned long long)image_writer_scratch_bytes((enum image_format)format, &image));
            image_writer_close(writer);
            arena_release(&arena);
        }
        free(samples);
        free(file.bytes);
    }
}

/* A header that announces much takes nothing for it. */
static void bombs(void **state)
{
    (void)state;
    unsigned char *row = calloc(1, 8192);
    struct made png = make_png(&(struct made_png){65535, 1, PNG_COLOR_TYPE_GRAY, 1, .interlaced = false, .rows = row});
    /* The height, and the check sum of the header. */
    memcpy(png.bytes + 20, "\x7f\xff\xff\xff", 4);
    const uint32_t sum = (uint32_t)({
        uint32_t crc = 0xffffffff;
        for (size_t i = 12; i < 29; i++) {
            crc ^= (unsigned char)png.bytes[i];
            for (int bit = 0; bit < 8; bit++)
                crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
        }
        ~crc;
    });
    for (size_t i = 0; i < 4; i++)
        png.bytes[29 + i] = (char)(sum >> (24 - 8 * i));
    struct memory_budget budget = {.limit = 1 << 20};
    struct arena arena;
    struct image image;
    struct convolve_error error = {0};
    arena_init(&arena, &budget);
    struct image_reader *reader = image_reader_open(&arena, png.bytes, png.count, &image, &error);
    assert_non_null(reader);
    assert_int_equal(image.width, 65535);
    assert_int_equal(image.height, 0x7fffffff);
    assert_true(budget.used < 64 << 10);
    image_reader_close(reader);
    arena_release(&arena);
    free(png.bytes);
    free(row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colour_types),  cmocka_unit_test(large_pngs),         cmocka_unit_test(codings),
        cmocka_unit_test(inks),          cmocka_unit_test(there_and_back),     cmocka_unit_test(jpeg_writing),
        cmocka_unit_test(cut_anywhere),  cmocka_unit_test(damaged_anywhere),   cmocka_unit_test(others),
        cmocka_unit_test(little_memory), cmocka_unit_test(memory_is_foretold), cmocka_unit_test(bombs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
