/* SPDX-License-Identifier: MIT */
/* The JSON answer of a compute path. Its text is: a head, the elements in pieces of equal count, a tail. A piece is written
 * from its own range of elements alone, so pieces may be written by any threads in any order.
 *
 * A complex tensor is two flat lists, so its pieces run twice over the elements: the real parts, then the imaginary ones. */
#include "server/endpoints/answer.h"

#include <math.h>
#include <string.h>

#include "server/admission.h"
#include "server/append.h"
#include "server/formats/base64.h"
#include "server/formats/number_write.h"
#include "server/request.h"
#include "server/response.h"

/* A multiple of 3, so that pieces of base64 join without padding between them. */
enum { PIECE_ELEMENTS = 3 * 1024, INLINE_PIECES = 4, ENVELOPE_BYTES = 2048 };

static const char imag_glue[] = ", \"imag\": ";

/* What the pieces are written from; lives in the request's arena. */
struct answer_pieces {
    const void *values;
    enum convolve_dtype dtype, part_dtype; /* part_dtype: of one part of a complex pair */
    struct convolve_shape shape;
    enum answer_format format;
    size_t count, per_part; /* elements; pieces of one part */
    unsigned parts;
};

/* Of a piece of so many elements. */
static size_t piece_bytes_max(const struct answer_pieces *pieces, size_t elements)
{
    if (pieces->format == ANSWER_BASE64)
        return (elements * convolve_dtype_bytes(pieces->dtype) + 2) / 3 * 4;
    return elements * (NUMBER_BYTES_MAX + 2 * (size_t)pieces->shape.rank) + sizeof imag_glue + 2;
}

static size_t write_piece(const struct response_stream *stream, size_t piece, char *out)
{
    const struct answer_pieces *pieces = stream->context;
    const size_t part = piece / pieces->per_part;
    const size_t begin = piece % pieces->per_part * PIECE_ELEMENTS;
    const size_t end = pieces->count - begin < PIECE_ELEMENTS ? pieces->count : begin + PIECE_ELEMENTS;
    const size_t element = convolve_dtype_bytes(pieces->dtype);
    char *at = out;

    if (pieces->format == ANSWER_BASE64)
        return base64_encode(out, (const char *)pieces->values + begin * element, (end - begin) * element);
    if (pieces->parts == 2) {
        const char *values = (const char *)pieces->values + part * convolve_dtype_bytes(pieces->part_dtype);
        if (part == 1 && begin == 0)
            at = mempcpy(at, imag_glue, sizeof imag_glue - 1);
        at = number_write_flat(at, pieces->part_dtype, values, 2, pieces->count, begin, end);
    } else if (pieces->format == ANSWER_FLAT) {
        at = number_write_flat(at, pieces->dtype, pieces->values, 1, pieces->count, begin, end);
    } else {
        at = number_write_nested(at, pieces->dtype, pieces->values, &pieces->shape, begin, end);
    }
    return (size_t)(at - out);
}

/* A text of bounded length under construction; what does not fit is an own mistake, kept from writing past the end. */
struct text {
    char bytes[ENVELOPE_BYTES];
    size_t length;
};

static inline void text_add_bytes(struct text *text, const char *bytes, size_t count)
{
    if (count > sizeof text->bytes - text->length)
        return;
    memcpy(text->bytes + text->length, bytes, count);
    text->length += count;
}

/* Of a constant the compiler knows the length. */
static inline __attribute__((always_inline)) void text_add(struct text *text, const char *more)
{
    text_add_bytes(text, more, strlen(more));
}

static void text_add_number(struct text *text, uint64_t value)
{
    char digits[APPEND_UNSIGNED_MAX];
    text_add_bytes(text, digits, (size_t)(append_unsigned(digits, value) - digits));
}

/* `before` ends in the quote that opens; `word` needs no escapes. */
static void text_add_word(struct text *text, const char *before, const char *word)
{
    text_add(text, before);
    text_add(text, word);
    text_add(text, "\"");
}

static void text_add_shape(struct text *text, const struct convolve_shape *shape)
{
    text_add(text, "\"shape\": [");
    for (unsigned i = 0; i < shape->rank; i++) {
        text_add(text, i ? ", " : "");
        text_add_number(text, shape->size[i]);
    }
    text_add(text, "]");
}

static void text_add_bound(struct text *text, double error_bound)
{
    char number[NUMBER_BYTES_MAX];

    text_add(text, "\"error_bound\": ");
    if (isfinite(error_bound))
        text_add_bytes(text, number, (size_t)(number_write_float64(number, error_bound) - number));
    else
        text_add(text, "null");
}

static void write_head(struct text *head, const struct answer *answer, bool complex)
{
    const bool object = answer->format != ANSWER_NESTED || complex;

    text_add(head, "{\"output\": ");
    if (!object)
        return;
    text_add(head, "{");
    text_add_shape(head, &answer->shape);
    if (answer->format == ANSWER_BASE64) {
        text_add_word(head, ", \"dtype\": \"", convolve_dtype_name(answer->dtype));
        text_add(head, ", \"base64\": \"");
    } else {
        text_add(head, complex ? ", \"real\": " : ", \"data\": ");
    }
}

static void write_tail(struct text *tail, const struct answer *answer, bool complex)
{
    if (answer->format == ANSWER_BASE64)
        text_add(tail, "\"}");
    else if (answer->format != ANSWER_NESTED || complex)
        text_add(tail, "}");
    text_add(tail, ", ");
    text_add_shape(tail, &answer->shape);
    text_add_word(tail, ", \"dtype\": \"", convolve_dtype_name(answer->dtype));
    text_add_word(tail, ", \"method\": \"", answer->method);
    if (answer->flipped != FLIPPED_ABSENT)
        text_add(tail, answer->flipped == FLIPPED_TRUE ? ", \"flipped\": true" : ", \"flipped\": false");
    text_add(tail, ", ");
    text_add_bound(tail, answer->error_bound);
    for (size_t i = 0; i < answer->note_count; i++) {
        text_add(tail, i ? ", " : ", \"notes\": [");
        text_add_word(tail, "{\"type\": \"/problems/", answer->notes[i].slug);
        text_add_word(tail, ", \"detail\": \"", answer->notes[i].detail);
        text_add(tail, "}");
    }
    text_add(tail, answer->note_count ? "]}\n" : "}\n");
}

/* Few elements: head, pieces and tail in one buffer. */
static bool write_whole(struct request *request, struct response *response, const struct response_stream *stream,
                        const struct answer_pieces *pieces, const struct text *head, const struct text *tail,
                        struct convolve_error *error)
{
    const size_t share = pieces->count < PIECE_ELEMENTS ? pieces->count : PIECE_ELEMENTS;
    const size_t bytes = head->length + stream->piece_count * piece_bytes_max(pieces, share) + tail->length;
    char *body = arena_alloc(&request->arena, bytes);
    char *at = body;

    if (!body)
        return admission_fail_memory(request, error);
    at = mempcpy(at, head->bytes, head->length);
    for (size_t i = 0; i < stream->piece_count; i++)
        at += stream->write(stream, i, at);
    at = mempcpy(at, tail->bytes, tail->length);
    response_text(response, 200, "application/json", body, (size_t)(at - body));
    return true;
}

bool answer_write(struct request *request, struct response *response, const struct answer *answer,
                  struct convolve_error *error)
{
    const bool complex = convolve_dtype_is_complex(answer->dtype);
    struct answer_pieces *pieces = arena_alloc(&request->arena, sizeof *pieces);
    struct text head, tail;

    if (!pieces)
        return admission_fail_memory(request, error);
    *pieces = (struct answer_pieces){.values = answer->values,
                                     .dtype = answer->dtype,
                                     .shape = answer->shape,
                                     .format = answer->format,
                                     .parts = 1,
                                     .per_part = 1};
    if (complex && answer->format != ANSWER_BASE64) {
        pieces->parts = 2;
        pieces->part_dtype = answer->dtype == CONVOLVE_COMPLEX64 ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64;
    }
    if (!convolve_shape_count(&answer->shape, &pieces->count))
        return convolve_fail(error, "too-large", "", "the output's size cannot be counted");
    if (pieces->count > PIECE_ELEMENTS)
        pieces->per_part = (pieces->count - 1) / PIECE_ELEMENTS + 1;
    head.length = tail.length = 0;
    write_head(&head, answer, complex);
    write_tail(&tail, answer, complex);

    const struct response_stream stream = {.piece_count = pieces->per_part * pieces->parts,
                                           .piece_bytes_max = piece_bytes_max(pieces, PIECE_ELEMENTS),
                                           .write = write_piece,
                                           .context = pieces};
    if (stream.piece_count <= INLINE_PIECES)
        return write_whole(request, response, &stream, pieces, &head, &tail, error);

    char *head_text = arena_copy_text(&request->arena, head.bytes, head.length);
    char *tail_text = arena_copy_text(&request->arena, tail.bytes, tail.length);
    if (!head_text || !tail_text)
        return admission_fail_memory(request, error);
    response_text(response, 200, "application/json", head_text, head.length);
    response->has_stream = true;
    response->stream = stream;
    response->tail = tail_text;
    response->tail_bytes = tail.length;
    return true;
}

bool answer_write_plan(struct request *request, struct response *response, const struct convolve_cost *cost,
                       double error_bound, struct convolve_error *error)
{
    struct text text;

    text.length = 0;

    text_add(&text, "{");
    text_add_shape(&text, &cost->output);
    text_add_word(&text, ", \"dtype\": \"", convolve_dtype_name(cost->dtype));
    text_add_word(&text, ", \"method\": \"", convolve_method_name(cost->method));
    text_add(&text, ", \"multiply_adds\": ");
    text_add_number(&text, cost->multiply_adds);
    text_add(&text, ", \"bytes\": ");
    text_add_number(&text, admission_bytes(request, cost));
    text_add(&text, ", ");
    text_add_bound(&text, error_bound);
    text_add(&text, "}\n");
    char *body = arena_copy_text(&request->arena, text.bytes, text.length);
    if (!body)
        return admission_fail_memory(request, error);
    response_text(response, 200, "application/json", body, text.length);
    return true;
}
