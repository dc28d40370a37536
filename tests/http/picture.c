/* SPDX-License-Identifier: MIT */
#include "tests/http/picture.h"

#include <zlib.h>

static struct bytes keep(struct made made)
{
    struct bytes kept = {text_copy(made.bytes, made.count), made.count};
    free(made.bytes);
    return kept;
}

struct bytes picture_png(const struct made_png *png)
{
    return keep(make_png(png));
}

struct bytes picture_jpeg(const struct made_jpeg *jpeg)
{
    return keep(make_jpeg(jpeg));
}

struct bytes picture_of_samples(unsigned width, unsigned height, unsigned channels, unsigned bits, const void *samples)
{
    static const int colours[] = {[1] = PNG_COLOR_TYPE_GRAY, [3] = PNG_COLOR_TYPE_RGB, [4] = PNG_COLOR_TYPE_RGB_ALPHA};
    const size_t count = (size_t)width * height * channels;
    unsigned char *rows = (unsigned char *)text_room(count * bits / 8 + 1);
    const uint16_t *wide = samples;
    for (size_t i = 0; bits == 16 && i < count; i++) {
        rows[2 * i] = (unsigned char)(wide[i] >> 8);
        rows[2 * i + 1] = (unsigned char)wide[i];
    }
    return picture_png(&(struct made_png){.width = width,
                                          .height = height,
                                          .colour = colours[channels],
                                          .depth = (int)bits,
                                          .rows = bits == 16 ? rows : samples});
}

unsigned char *picture_noise(size_t count, unsigned seed)
{
    unsigned char *bytes = (unsigned char *)text_room(count + 1);
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(seed >> 24);
    }
    return bytes;
}

static void put(char *at, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(number >> (24 - 8 * i));
}

struct bytes picture_resized(struct bytes png, uint32_t width, uint32_t height)
{
    enum { HEADER_AT = 12, WIDTH_AT = 16, HEADER_BYTES = 17 };
    char *copy = text_copy(png.bytes, png.count);
    put(copy + WIDTH_AT, width);
    put(copy + WIDTH_AT + 4, height);
    put(copy + HEADER_AT + HEADER_BYTES, (uint32_t)crc32(0, (const unsigned char *)copy + HEADER_AT, HEADER_BYTES));
    return (struct bytes){copy, png.count};
}

struct answer picture_post(struct child *child, const char *query, struct bytes file, const char *accept)
{
    const char *const headers[] = {"Content-Type: application/octet-stream",
                                   accept ? textf("Accept: %s", accept) : NULL, NULL};
    return http_call(child, &(struct call){.path = npy_target(textf("/v1/image%s", query)),
                                           .body = file.bytes,
                                           .body_bytes = file.count,
                                           .headers = headers});
}

struct picture_back picture_back(const char *name, const struct answer *answer, const char *type)
{
    struct picture_back back = {.depth = 8};
    unsigned char *samples;
    if (answer->status != 200) {
        complain(name, "no picture: %ld %.400s", answer->status, answer->body);
        return back;
    }
    check_text(name, "Content-Type", header_of(answer, "Content-Type"), type);
    if (!strcmp(type, "image/png"))
        samples =
            read_png_back(answer->body, answer->body_bytes, &back.width, &back.height, &back.channels, &back.depth);
    else
        samples = read_jpeg_back(answer->body, answer->body_bytes, &back.width, &back.height, &back.channels);
    if (!samples) {
        complain(name, "the answer is no %s", type);
        return back;
    }
    back.samples = (unsigned char *)text_copy((char *)samples, (size_t)back.width * back.height *
                                                                   (size_t)back.channels * (size_t)back.depth / 8);
    free(samples);
    return back;
}
