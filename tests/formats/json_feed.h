/* SPDX-License-Identifier: MIT */
/* For the tests of the JSON decoder: feeds a body whole or in pieces and writes down everything that came of it as one text, so
 * that two ways of feeding can be compared and tables can say what they expect. In a header, since the helpers that are
 * linked into every test must not need the server. */
#ifndef TESTS_FORMATS_JSON_FEED_H
#define TESTS_FORMATS_JSON_FEED_H

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/formats/json_read.h"
#include "server/formats/json_tensor.h"

static const struct json_schema_member feed_members[] = {
    {"dtype", false},  {"format", false},   {"timeout_ms", false}, {"plan", false},     {"input", true},
    {"kernel", true},  {"mode", false},     {"padding", false},    {"boundary", false}, {"fillvalue", false},
    {"stride", false}, {"dilation", false}, {"axes", false},       {"method", false},
};
static const struct json_schema feed_schema = {feed_members, sizeof feed_members / sizeof feed_members[0],
                                               "{\"input\": [1, 2, 3], \"kernel\": [1, 1]}"};

/* How a body is fed: 0 whole, 1 byte by byte, whole and known to be so, anything else in random pieces from that seed. */
enum { FEED_WHOLE = 0, FEED_BYTES = 1, FEED_KNOWN_WHOLE = 1000 };
static const uint64_t feed_ways[] = {FEED_WHOLE, FEED_BYTES, FEED_KNOWN_WHOLE, 2, 3, 4};
enum { FEED_WAYS = 6 };

static inline uint64_t feed_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

struct feed {
    struct memory_budget budget;
    struct arena arena;
    struct json_decoder *decoder;
    struct json_body *body; /* NULL: see error */
    struct convolve_error error;
    int64_t offset;
};

/* The size of the next piece, `left` at most. */
static inline size_t feed_piece_bytes(uint64_t way, uint64_t *state, size_t left)
{
    const uint64_t draw = feed_random(state);
    const size_t piece = way == FEED_WHOLE || way == FEED_KNOWN_WHOLE ? left
                         : way == FEED_BYTES                          ? 1
                         : draw % 4 == 0                              ? 1 + draw / 4 % 200
                                                                      : 1 + draw / 4 % 12;
    return piece < left ? piece : left;
}

/* Each piece stands in memory of its own, so that a sanitizer sees a read beyond it. */
static inline void feed_pieces(struct feed *feed, const char *text, size_t count, uint64_t way)
{
    uint64_t state = way;
    size_t at = 0;
    bool going = true;
    while (going && at < count) {
        const size_t piece = feed_piece_bytes(way, &state, count - at);
        char *copy = malloc(piece);
        memcpy(copy, text + at, piece);
        going = way == FEED_KNOWN_WHOLE ? json_decoder_feed_whole(feed->decoder, copy, piece, &feed->error)
                                        : json_decoder_feed(feed->decoder, copy, piece, &feed->error);
        free(copy);
        at += piece;
    }
    if (going)
        feed->body = json_decoder_finish(feed->decoder, &feed->error);
    feed->offset = json_decoder_offset(feed->decoder);
}

static inline void feed_begin(struct feed *feed, size_t budget_bytes)
{
    memset(feed, 0, sizeof *feed);
    feed->offset = -1;
    feed->budget.limit = budget_bytes;
    arena_init(&feed->arena, &feed->budget);
    feed->decoder = json_decoder_create(&feed->arena, &feed_schema);
}

static inline void feed_body(struct feed *feed, const char *text, size_t count, uint64_t way)
{
    feed_begin(feed, (size_t)1 << 30);
    feed_pieces(feed, text, count, way);
}

static inline void feed_release(struct feed *feed)
{
    arena_release(&feed->arena);
    if (feed->budget.used != 0) {
        fprintf(stderr, "%zu bytes were never given back\n", (size_t)feed->budget.used);
        abort();
    }
}

/* ---- Everything as text ---- */

struct feed_text {
    char *text;
    size_t count, capacity;
};

static inline void feed_print(struct feed_text *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void feed_print(struct feed_text *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (out->capacity - out->count < 1200) {
        out->capacity = 2 * out->capacity + 4096;
        out->text = realloc(out->text, out->capacity);
    }
    const int written = vsnprintf(out->text + out->count, out->capacity - out->count, format, arguments);
    out->count += (size_t)written < out->capacity - out->count ? (size_t)written : out->capacity - out->count - 1;
    va_end(arguments);
}

static inline void feed_print_element(struct feed_text *out, enum convolve_dtype dtype, const void *values,
                                      size_t index)
{
    switch (dtype) {
    case CONVOLVE_INT64:
        feed_print(out, "%" PRId64, ((const int64_t *)values)[index]);
        break;
    case CONVOLVE_FLOAT32:
        feed_print(out, "%.9g", (double)((const float *)values)[index]);
        break;
    case CONVOLVE_FLOAT64:
        feed_print(out, "%.17g", ((const double *)values)[index]);
        break;
    case CONVOLVE_COMPLEX64:
        feed_print(out, "%.9g%+.9gi", (double)((const float *)values)[2 * index],
                   (double)((const float *)values)[2 * index + 1]);
        break;
    case CONVOLVE_COMPLEX128:
        feed_print(out, "%.17g%+.17gi", ((const double *)values)[2 * index], ((const double *)values)[2 * index + 1]);
        break;
    }
}

static inline void feed_print_error(struct feed_text *out, const struct convolve_error *error, int64_t offset)
{
    feed_print(out, "%s %s", error->slug, error->pointer);
    if (offset >= 0)
        feed_print(out, "@%" PRId64, offset);
}

/* A tensor: "[2,3] 1 2 3 4 5 6", or "slug pointer". The detail goes to `error`. */
static inline void feed_print_tensor(struct feed_text *out, const struct json_value *value, const char *pointer,
                                     enum convolve_dtype dtype, bool missing, struct arena *arena,
                                     struct convolve_error *error)
{
    struct convolve_shape shape;
    bool shape_only;
    void *values;
    size_t count;
    if (!json_tensor_shape(value, pointer, false, &shape_only, &shape, error)) {
        feed_print_error(out, error, -1);
        return;
    }
    feed_print(out, "[");
    for (unsigned axis = 0; axis < shape.rank; axis++)
        feed_print(out, "%s%zu", axis ? "," : "", shape.size[axis]);
    feed_print(out, "]");
    if (!json_tensor_values(value, pointer, dtype, missing, arena, &values, error)) {
        feed_print(out, " ");
        feed_print_error(out, error, -1);
        return;
    }
    if ((uintptr_t)values % CONVOLVE_ALIGNMENT != 0)
        feed_print(out, " unaligned");
    convolve_shape_count(&shape, &count);
    for (size_t i = 0; i < count; i++) {
        feed_print(out, " ");
        feed_print_element(out, dtype, values, i);
    }
}

static inline void feed_print_value(struct feed_text *out, const struct json_value *value)
{
    struct convolve_error error;
    const char *text = NULL;
    double number;
    feed_print(out, "%s", json_type_name(value));
    if (json_read_text(value, "", &text, &error))
        feed_print(out, " %s", text);
    else if (json_type_of(value) == JSON_NUMBER && json_read_number(value, "", &number, &error))
        feed_print(out, " %.17g", number);
    for (size_t i = 0; i < json_list_count(value); i++) {
        feed_print(out, i ? "," : "(");
        feed_print_value(out, json_list_at(value, i));
    }
    for (size_t i = 0; i < json_object_count(value); i++) {
        const char *name;
        const struct json_value *member = json_object_at(value, i, &name);
        feed_print(out, "%s%s:", i ? "," : "(", name);
        feed_print_value(out, member);
    }
    if (json_list_count(value) + json_object_count(value) > 0)
        feed_print(out, ")");
}

/* What the body itself asks for, as an endpoint would read it. */
static inline enum convolve_dtype feed_dtype(const struct json_body *body, enum convolve_dtype otherwise)
{
    static const char *const names[] = {"float64", "float32", "int64", "complex128", "complex64", NULL};
    const struct json_value *value = body ? json_member(body, "dtype") : NULL;
    unsigned dtype;
    return value && json_read_choice(value, "", names, &dtype, NULL) ? (enum convolve_dtype)dtype : otherwise;
}

/* Every member that came. */
static inline void feed_print_body(struct feed_text *out, const struct json_body *body, enum convolve_dtype dtype,
                                   bool missing, struct arena *arena, struct convolve_error *error)
{
    for (size_t i = 0; i < feed_schema.count; i++) {
        const struct json_value *value = json_member(body, feed_members[i].name);
        char pointer[40];
        if (!value)
            continue;
        snprintf(pointer, sizeof pointer, "/%s", feed_members[i].name);
        feed_print(out, "%s%s=", out->count ? "; " : "", feed_members[i].name);
        if (feed_members[i].tensor && !json_names_kernel(value))
            feed_print_tensor(out, value, pointer, dtype, missing, arena, error);
        else
            feed_print_value(out, value);
    }
}

/* The whole outcome: "slug pointer@offset" (and ": detail" where `details`), or every member. The caller frees it. */
static inline char *feed_outcome(const char *text, size_t count, uint64_t way, enum convolve_dtype dtype, bool missing,
                                 bool details)
{
    struct feed feed;
    struct feed_text out = {0};
    feed_body(&feed, text, count, way);
    dtype = feed_dtype(feed.body, dtype);
    if (feed.body)
        feed_print_body(&out, feed.body, dtype, missing, &feed.arena, &feed.error);
    else
        feed_print_error(&out, &feed.error, feed.offset);
    if (details && feed.error.slug)
        feed_print(&out, ": %s", feed.error.detail);
    feed_print(&out, "%s", "");
    feed_release(&feed);
    return out.text;
}

#endif
