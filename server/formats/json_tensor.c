/* SPDX-License-Identifier: MIT */
/* The push parser: takes the byte machine's events and sends each value where it belongs, its sink: numbers of tensors to the
 * tensor (json_collect.c, json_fields.c), everything else that the endpoint knows to the envelope, the rest nowhere. What decides
 * are the names (json_members.c), compared at every level, in what is thrown away too. */
#include "server/formats/json_tensor.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "server/formats/json_decoder.h"
#include "server/formats/json_small.h"

bool json_fail_memory(const struct arena *arena, struct convolve_error *error)
{
    if (arena->failure != ARENA_TOO_LARGE)
        return convolve_fail(error, "overloaded", "",
                             "there is no memory for this request beside the others: try again");
    const size_t limit = arena->budget->limit;
    convolve_fail(error, "too-large", "", "the request alone would need %zu bytes of memory, the server has %zu",
                  arena->failure_bytes, limit);
    error->limit = "max_memory_bytes";
    error->allowed = limit;
    error->requested = arena->failure_bytes;
    return false;
}

/* ---- Containers ---- */

/* While a list of numbers is open the byte machine may hand over whole stretches of it. */
static void update_runs(struct json_decoder *decoder)
{
    const struct level *level = decoder->depth ? decoder_top(decoder) : NULL;
    decoder->syntax.runs = level && !level->object && (level->sink == SINK_NESTED || level->sink == SINK_FLAT);
}

static bool push_level(struct json_decoder *decoder, bool object, enum sink sink)
{
    struct level **level = &decoder->levels[decoder->depth];
    if (!*level)
        *level = arena_alloc(decoder->arena, sizeof **level);
    if (!*level)
        return false;
    const size_t name_at = decoder->depth ? decoder_top(decoder)->name_end : 0;
    (*level)->sink = sink;
    (*level)->object = object;
    (*level)->items = 0;
    (*level)->name_at = (*level)->name_end = name_at;
    (*level)->names.table = NULL;
    (*level)->names.count = (*level)->names.capacity = 0;
    decoder->depth++;
    update_runs(decoder);
    return true;
}

/* A value begins: counts it where it is an item of a list, and tells where it goes. False: no memory. */
static bool begin_value(struct json_decoder *decoder, enum sink *sink)
{
    if (decoder->depth == 0) {
        *sink = SINK_BODY;
        return true;
    }
    struct level *level = decoder_top(decoder);
    *sink = level->object ? decoder->next : level->sink;
    level->items += !level->object;
    return *sink != SINK_ENVELOPE || decoder_check_size(decoder, level->items);
}

static bool begin_tensor(struct json_decoder *decoder, bool object)
{
    decoder->tensor = json_collect_create(decoder->arena, object, decoder->form);
    if (!decoder->tensor)
        return false;
    decoder->has_name = false;
    decoder->other = NULL;
    const size_t index = decoder->tensor_count++;
    decoder->tensors[index] = decoder->tensor;
    if (!object)
        return envelope_tensor(&decoder->envelope, index);
    /* A member no client can write tells json_read.c which tensor the object is. */
    return envelope_open(&decoder->envelope, true) && envelope_literal(&decoder->envelope, "\"\\u0001\":") &&
           envelope_tensor(&decoder->envelope, index);
}

/* An item that is no number: a container, a string or a literal in a list of numbers, or in place of a field. */
static bool note_no_number(struct json_decoder *decoder, enum sink sink, const char *what)
{
    struct json_tensor *tensor = decoder->tensor;
    switch (sink) {
    case SINK_NESTED:
        return tensor->fault || json_nested_other(tensor, what);
    case SINK_FLAT:
        return tensor->fault || json_flat_other(tensor, decoder->field, what);
    case SINK_SHAPE:
        return json_shape_item(tensor, NULL);
    case SINK_FIELD:
        return json_field_other(tensor, decoder->field, what);
    default:
        return true;
    }
}

static bool begin_nested(struct json_decoder *decoder)
{
    if (!decoder->tensor->fault && !json_nested_open(decoder->tensor))
        return false;
    return push_level(decoder, false, decoder->tensor->fault ? SINK_FAULTY : SINK_NESTED);
}

static bool on_begin(void *context, bool object)
{
    struct json_decoder *decoder = context;
    const enum json_field field = decoder->field;
    enum sink sink;
    if (!begin_value(decoder, &sink))
        return false;
    switch (sink) {
    case SINK_BODY:
        decoder->no_object = !object;
        if (!object)
            return push_level(decoder, object, SINK_SKIP);
        return envelope_open(&decoder->envelope, true) && push_level(decoder, object, SINK_TOP);
    case SINK_ENVELOPE:
        return envelope_open(&decoder->envelope, object) && push_level(decoder, object, sink);
    case SINK_TENSOR:
        if (!begin_tensor(decoder, object))
            return false;
        return object ? push_level(decoder, object, SINK_FIELDS) : begin_nested(decoder);
    case SINK_NESTED:
        if (!object)
            return begin_nested(decoder);
        break;
    case SINK_FIELD:
        if (!object && field == FIELD_SHAPE)
            return push_level(decoder, object, SINK_SHAPE);
        if (!object && (field == FIELD_DATA || field == FIELD_REAL || field == FIELD_IMAG))
            return push_level(decoder, object, SINK_FLAT);
        break;
    case SINK_SHAPE:
    case SINK_FLAT:
        break;
    default:
        return push_level(decoder, object, sink);
    }
    return note_no_number(decoder, sink, object ? "an object" : "a list") && push_level(decoder, object, SINK_FAULTY);
}

static bool on_end(void *context, bool object)
{
    struct json_decoder *decoder = context;
    struct level *level = decoder_top(decoder);
    if (object)
        json_names_release(&level->names, decoder->arena);
    decoder->depth--;
    update_runs(decoder);
    switch (level->sink) {
    case SINK_FIELDS:
        if (!decoder->has_name && !decoder->unknown)
            decoder->unknown = decoder->other;
        return envelope_close(&decoder->envelope, true);
    case SINK_TOP:
    case SINK_ENVELOPE:
        return envelope_close(&decoder->envelope, object);
    case SINK_NESTED:
        return decoder->tensor->fault || json_nested_close(decoder->tensor);
    case SINK_FLAT:
        json_numbers_trim(json_field_numbers(decoder->tensor, decoder->field));
        return true;
    default:
        return true;
    }
}

/* ---- Other values ---- */

/* The request's dtype is known: later tensors go straight into its form. */
static void dtype_ended(struct json_decoder *decoder)
{
    static const enum number_form forms[CONVOLVE_DTYPE_COUNT] = {
        [CONVOLVE_FLOAT64] = NUMBERS_FLOAT64,   [CONVOLVE_FLOAT32] = NUMBERS_FLOAT32,
        [CONVOLVE_INT64] = NUMBERS_INT64,       [CONVOLVE_COMPLEX128] = NUMBERS_FLOAT64,
        [CONVOLVE_COMPLEX64] = NUMBERS_FLOAT32,
    };
    const char *text = decoder->envelope.text + decoder->string_at;
    const size_t count = decoder->envelope.count - decoder->string_at;
    for (unsigned dtype = 0; dtype < CONVOLVE_DTYPE_COUNT; dtype++) {
        const char *name = convolve_dtype_name((enum convolve_dtype)dtype);
        if (strlen(name) == count && memcmp(name, text, count) == 0)
            decoder->form = forms[dtype];
    }
}

static bool begin_string(struct json_decoder *decoder)
{
    enum sink sink;
    if (!begin_value(decoder, &sink))
        return false;
    /* A string's sink is that of its pieces: nowhere else does `next` matter until it has ended. */
    decoder->next = sink;
    if (sink == SINK_BODY)
        decoder->no_object = true;
    if (sink == SINK_ENVELOPE || sink == SINK_TENSOR) {
        const bool begun = envelope_string_begin(&decoder->envelope);
        decoder->string_at = decoder->envelope.count;
        return begun;
    }
    if (sink == SINK_FIELD && (decoder->field == FIELD_DTYPE || decoder->field == FIELD_BASE64))
        return true;
    return note_no_number(decoder, sink, "a string");
}

static bool on_string(void *context, const char *text, size_t count, bool last)
{
    struct json_decoder *decoder = context;
    if (!decoder->in_string && !begin_string(decoder))
        return false;
    decoder->in_string = !last;
    if (decoder->next == SINK_ENVELOPE || decoder->next == SINK_TENSOR) {
        if (!envelope_string_piece(&decoder->envelope, text, count) || !decoder_check_size(decoder, 0))
            return false;
        if (last && decoder->at_dtype && decoder->depth == 1)
            dtype_ended(decoder);
        return !last || envelope_string_end(&decoder->envelope);
    }
    if (decoder->next != SINK_FIELD || decoder->tensor->fault)
        return true;
    if (decoder->field == FIELD_BASE64)
        return json_base64_piece(decoder->tensor, text, count, last);
    return decoder->field != FIELD_DTYPE || json_dtype_piece(decoder->tensor, text, count, last);
}

static bool on_number(void *context, const char *text, size_t count)
{
    struct json_decoder *decoder = context;
    enum sink sink;
    if (!begin_value(decoder, &sink))
        return false;
    if (sink == SINK_TENSOR && !begin_tensor(decoder, false))
        return false;
    struct json_tensor *tensor = decoder->tensor;
    struct json_number number;
    switch (sink) {
    case SINK_BODY:
        decoder->no_object = true;
        return true;
    case SINK_ENVELOPE:
        return envelope_number(&decoder->envelope, text, count) && decoder_check_size(decoder, 0);
    case SINK_TENSOR:
    case SINK_NESTED:
    case SINK_FLAT:
        if (tensor->fault)
            return true;
        number = json_number_parse(text, count);
        return sink == SINK_FLAT ? json_flat_number(tensor, decoder->field, &number)
                                 : json_nested_number(tensor, &number);
    case SINK_SHAPE:
        number = json_number_parse(text, count);
        return json_shape_item(tensor, &number);
    default:
        return note_no_number(decoder, sink, "a number");
    }
}

static bool on_literal(void *context, enum json_literal literal)
{
    static const char *const texts[] = {
        [JSON_LITERAL_NULL] = "null", [JSON_LITERAL_TRUE] = "true", [JSON_LITERAL_FALSE] = "false"};
    static const struct json_number hole = {.kind = JSON_NUMBER_NULL};
    struct json_decoder *decoder = context;
    enum sink sink;
    if (!begin_value(decoder, &sink))
        return false;
    if (sink == SINK_BODY)
        decoder->no_object = true;
    if (sink == SINK_ENVELOPE || sink == SINK_TENSOR)
        return envelope_literal(&decoder->envelope, texts[literal]);
    /* Whether holes are allowed is known only when the values are asked for. */
    if (literal == JSON_LITERAL_NULL && sink == SINK_NESTED)
        return decoder->tensor->fault || json_nested_number(decoder->tensor, &hole);
    if (literal == JSON_LITERAL_NULL && sink == SINK_FLAT)
        return decoder->tensor->fault || json_flat_number(decoder->tensor, decoder->field, &hole);
    return note_no_number(decoder, sink, texts[literal]);
}

/* What the levels of a nested array would count if each item came alone: pointers are made of it. */
static void count_items(struct json_decoder *decoder, const struct json_rows *rows)
{
    for (unsigned axis = 0; axis < rows->depth; axis++) {
        struct level *level = decoder->levels[decoder->depth - rows->depth + axis];
        level->items = rows->index[axis] + (axis + 1 < rows->depth);
    }
}

static const char *on_run(void *context, const char *at, const char *limit, const char *end, bool *after)
{
    struct json_decoder *decoder = context;
    struct json_tensor *tensor = decoder->tensor;
    *after = false;
    if (tensor->fault)
        return at;
    const struct json_syntax *syntax = &decoder->syntax;
    const uint64_t fed = syntax->position + (uint64_t)(end - syntax->piece);
    const struct json_stretch stretch = {.begin = syntax->piece,
                                         .end = end,
                                         .limit = limit,
                                         .left = decoder->expected_bytes > fed ? decoder->expected_bytes - fed : 0};
    if (decoder_top(decoder)->sink == SINK_NESTED) {
        at = json_nested_run(tensor, &stretch, at, after);
        count_items(decoder, &tensor->rows);
        return at;
    }
    struct json_numbers *numbers = json_field_numbers(tensor, decoder->field);
    const size_t before = numbers->count;
    at = json_numbers_run(numbers, NULL, &stretch, at, after);
    decoder_top(decoder)->items += numbers->count - before;
    return at;
}

/* ---- The decoder ---- */

static const struct json_events decoder_events = {on_begin,  on_end,     decoder_on_name, on_string,
                                                  on_number, on_literal, on_run};

struct json_decoder *json_decoder_create(struct arena *arena, const struct json_schema *schema)
{
    struct json_decoder *decoder = arena_alloc(arena, sizeof *decoder);
    size_t bytes;
    if (!decoder || __builtin_mul_overflow(schema->count, sizeof(struct json_tensor *), &bytes))
        return NULL;
    memset(decoder, 0, offsetof(struct json_decoder, name));
    decoder->arena = decoder->envelope.arena = arena;
    decoder->schema = schema;
    decoder->tensors = arena_alloc(arena, bytes);
    if (!decoder->tensors)
        return NULL;
    json_syntax_init(&decoder->syntax, &decoder_events, decoder, arena);
    decoder->syntax.example = schema->example;
    return decoder;
}

void json_decoder_expect(struct json_decoder *decoder, uint64_t body_bytes)
{
    decoder->expected_bytes = body_bytes;
}

uint64_t json_decoder_expected(const struct json_decoder *decoder)
{
    return decoder->expected_bytes;
}

/* A tensor so deep that syntax is followed no further. Its fault was found at rank 9, if not before. */
static bool fail_deep_tensor(struct json_decoder *decoder, struct convolve_error *error)
{
    const struct convolve_error *fault = decoder->tensor->fault;
    decoder->stopped_in_tensor = true;
    if (decoder->duplicate || decoder->unknown) {
        *error = decoder->duplicate ? *decoder->duplicate : *decoder->unknown;
        return false;
    }
    decoder->depth = 1;
    char pointer[sizeof error->pointer];
    decoder_pointer(decoder, pointer, sizeof pointer);
    convolve_fail(error, fault->slug, pointer, "%s", fault->detail);
    const size_t used = strlen(error->pointer);
    snprintf(error->pointer + used, sizeof error->pointer - used, "%s", fault->pointer);
    return false;
}

static bool fail_syntax(struct json_decoder *decoder, struct convolve_error *error)
{
    char detail[sizeof error->detail];
    if (decoder->syntax.failure == JSON_STOPPED)
        return json_fail_memory(decoder->arena, error);
    if (decoder->syntax.failure == JSON_TOO_DEEP &&
        (decoder->stopped_in_tensor || decoder_top(decoder)->sink == SINK_FAULTY))
        return fail_deep_tensor(decoder, error);
    json_syntax_describe(&decoder->syntax, detail, sizeof detail);
    return convolve_fail(error, "malformed-json", "", "%s", detail);
}

bool json_decoder_feed_whole(struct json_decoder *decoder, const char *bytes, size_t count,
                             struct convolve_error *error)
{
    if (count <= JSON_SMALL_BYTES_MAX)
        decoder->small = json_small_read(decoder->arena, decoder->schema, bytes, count);
    return decoder->small || json_decoder_feed(decoder, bytes, count, error);
}

bool json_decoder_feed(struct json_decoder *decoder, const char *bytes, size_t count, struct convolve_error *error)
{
    if (decoder->syntax.failure == JSON_FINE && json_syntax_feed(&decoder->syntax, bytes, count))
        return true;
    return fail_syntax(decoder, error);
}

bool decoder_end_text(struct json_decoder *decoder, struct convolve_error *error)
{
    return json_syntax_end(&decoder->syntax) || fail_syntax(decoder, error);
}

struct json_body *json_decoder_finish(struct json_decoder *decoder, struct convolve_error *error)
{
    if (decoder->small)
        return decoder->small;
    return decoder_end_text(decoder, error) ? decoder_make_body(decoder, error) : NULL;
}

struct json_body *decoder_make_body(struct json_decoder *decoder, struct convolve_error *error)
{
    if (decoder->no_object) {
        convolve_fail(error, "invalid-value", "", "expected a JSON object, as in %s", decoder->schema->example);
        return NULL;
    }
    if (decoder->envelope.full && !decoder_check_size(decoder, 0)) {
        json_fail_memory(decoder->arena, error);
        return NULL;
    }
    const struct convolve_error *fault = decoder->duplicate ? decoder->duplicate
                                         : decoder->unknown ? decoder->unknown
                                                            : decoder->oversize;
    if (fault) {
        *error = *fault;
        return NULL;
    }
    struct json_body *body =
        json_body_create(decoder->arena, decoder->envelope.text, decoder->envelope.count, decoder->tensors);
    if (!body)
        json_fail_memory(decoder->arena, error);
    return body;
}

int64_t json_decoder_offset(const struct json_decoder *decoder)
{
    const enum json_failure failure = decoder->syntax.failure;
    const bool malformed = failure == JSON_FAULT || (failure == JSON_TOO_DEEP && !decoder->stopped_in_tensor);
    return malformed ? decoder->syntax.fault_offset : -1;
}
