/* SPDX-License-Identifier: MIT */
/* Plays the events of an object around values that are texts of their own: the JSON decoder does the rest, so that duplicates,
 * unknown members, envelopes and tensors are the same however they came. */
#include "server/formats/form.h"

#include <stdio.h>
#include <string.h>

#include "server/formats/json_decoder.h"
#include "server/formats/npy.h"

enum { WORD_BYTES_MAX = 1000 };

enum form_state { FORM_START, FORM_JSON, FORM_WORD, FORM_NPY };

struct form {
    struct arena *arena;
    struct json_decoder *decoder;
    enum form_value kind;
    enum form_state state;
    bool tensor; /* the member may be a tensor */
    char pointer[256]; /* of the present member */
    size_t space_count; /* white space before the value */
    char word[WORD_BYTES_MAX];
    size_t word_count;
    struct npy_reader npy;
    int64_t offset;
};

struct form *form_create(struct arena *arena, const struct json_schema *schema)
{
    struct form *form = arena_alloc(arena, sizeof *form);
    if (!form)
        return NULL;
    *form = (struct form){.arena = arena, .offset = -1, .decoder = json_decoder_create(arena, schema)};
    if (!form->decoder || !form->decoder->syntax.events->begin(form->decoder, true))
        return NULL;
    return form;
}

bool form_begin(struct form *form, const char *name, size_t bytes, enum form_value kind, struct convolve_error *error)
{
    struct json_decoder *decoder = form->decoder;
    const struct json_events *events = decoder->syntax.events;
    form->kind = kind;
    form->space_count = form->word_count = 0;
    if (!events->name(decoder, name, bytes, true))
        return json_fail_memory(form->arena, error);
    decoder_pointer(decoder, form->pointer, sizeof form->pointer);
    json_syntax_init(&decoder->syntax, events, decoder, form->arena);
    form->tensor = decoder->next == SINK_TENSOR;
    /* What is thrown away is held to its format all the same: a fault of syntax comes before that of the name. */
    npy_reader_init(&form->npy, form->arena, !form->tensor && decoder->next != SINK_ENVELOPE);
    form->state = kind == FORM_NPY_BODY ? FORM_NPY : FORM_START;
    return true;
}

/* ---- JSON and words ---- */

/* After a fault in the member's text. */
static bool fail_text(struct form *form, struct convolve_error *error)
{
    if (error && error->slug && strcmp(error->slug, "malformed-json") == 0) {
        snprintf(error->pointer, sizeof error->pointer, "%s", form->pointer);
        form->offset = json_decoder_offset(form->decoder);
    }
    return false;
}

static bool feed_json(struct form *form, const char *bytes, size_t count, struct convolve_error *error)
{
    return json_decoder_feed(form->decoder, bytes, count, error) || fail_text(form, error);
}

static bool fail_word(struct form *form, size_t index, struct convolve_error *error)
{
    convolve_fail(error, "malformed-json", form->pointer, "the value is neither JSON nor a word nor a .npy file");
    form->offset = (int64_t)(form->space_count + index);
    return false;
}

static bool feed_word(struct form *form, const char *bytes, size_t count, struct convolve_error *error)
{
    if (count > WORD_BYTES_MAX - form->word_count)
        return fail_word(form, 0, error);
    memcpy(form->word + form->word_count, bytes, count);
    form->word_count += count;
    return true;
}

/* A word becomes the JSON string that it stands for. */
static bool end_word(struct form *form, struct convolve_error *error)
{
    struct json_decoder *decoder = form->decoder;
    while (form->word_count > 0 && memchr(" \t\r\n", form->word[form->word_count - 1], 4))
        form->word_count--;
    /* No member may be null, and one (nonfinite) may be "null", so there the word is what is meant. */
    static const char *const literals[] = {"true", "false", "null"};
    for (size_t i = 0; i < (form->tensor ? 3 : 2); i++)
        if (strlen(literals[i]) == form->word_count && memcmp(literals[i], form->word, form->word_count) == 0)
            return feed_json(form, form->word, form->word_count, error);
    bool fine = json_decoder_feed(decoder, "\"", 1, error);
    for (size_t i = 0; fine && i < form->word_count; i++) {
        const bool escaped = form->word[i] == '"' || form->word[i] == '\\';
        fine = (!escaped || json_decoder_feed(decoder, "\\", 1, error)) &&
               json_decoder_feed(decoder, form->word + i, 1, error);
        if (!fine && decoder->syntax.failure == JSON_FAULT)
            return fail_word(form, i, error);
    }
    fine = fine && json_decoder_feed(decoder, "\"", 1, error);
    if (!fine && decoder->syntax.failure == JSON_FAULT)
        return fail_word(form, form->word_count, error);
    return fine;
}

/* Every word that means something begins so, and true, false and null are words here first. */
static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool feed_start(struct form *form, const char *bytes, size_t count, struct convolve_error *error)
{
    size_t space = 0;
    while (space < count && memchr(" \t\r\n", bytes[space], 4))
        space++;
    form->space_count += space;
    if (space > 0 && !feed_json(form, bytes, space, error))
        return false;
    if (space == count)
        return true;
    if ((unsigned char)bytes[space] == NPY_MAGIC && form->space_count == 0)
        form->state = FORM_NPY;
    else
        form->state = is_word_start(bytes[space]) ? FORM_WORD : FORM_JSON;
    return form_feed(form, bytes + space, count - space, error);
}

/* ---- .npy ---- */

static bool fail_npy(const struct form *form, struct convolve_error *error)
{
    if (error && error->slug && strcmp(error->slug, "malformed-npy") == 0 && form->kind != FORM_NPY_BODY)
        snprintf(error->pointer, sizeof error->pointer, "%s", form->pointer);
    return false;
}

static bool end_npy(struct form *form, struct convolve_error *error)
{
    struct json_decoder *decoder = form->decoder;
    struct npy_reader *npy = &form->npy;
    if (!npy_reader_end(npy, error))
        return fail_npy(form, error);
    if (npy->discard)
        return true;
    struct json_tensor *tensor = json_collect_create(form->arena, true, decoder->form);
    if (!tensor)
        return json_fail_memory(form->arena, error);
    tensor->file = tensor->has[FIELD_SHAPE] = tensor->has[FIELD_DTYPE] = tensor->has[FIELD_BASE64] = true;
    tensor->typed = npy->header.typed;
    tensor->shape = npy->header.shape;
    tensor->bytes = npy->values;
    tensor->byte_count = npy->value_count;
    tensor->byte_capacity = npy->capacity;
    if (npy->header.rank > CONVOLVE_RANK_MAX &&
        !json_collect_fail(tensor, "shape-mismatch", "", "the .npy file has %u axes: a tensor has at most %d",
                           npy->header.rank, CONVOLVE_RANK_MAX))
        return json_fail_memory(form->arena, error);
    decoder->tensors[decoder->tensor_count] = tensor;
    return envelope_tensor(&decoder->envelope, decoder->tensor_count++) || json_fail_memory(form->arena, error);
}

/* ---- The members ---- */

bool form_feed(struct form *form, const char *bytes, size_t count, struct convolve_error *error)
{
    switch (form->state) {
    case FORM_START:
        return feed_start(form, bytes, count, error);
    case FORM_JSON:
        return feed_json(form, bytes, count, error);
    case FORM_WORD:
        return feed_word(form, bytes, count, error);
    case FORM_NPY:
        break;
    }
    return npy_reader_feed(&form->npy, bytes, count, error) || fail_npy(form, error);
}

bool form_end(struct form *form, struct convolve_error *error)
{
    if (form->state == FORM_NPY)
        return end_npy(form, error);
    return (form->state != FORM_WORD || end_word(form, error)) &&
           (decoder_end_text(form->decoder, error) || fail_text(form, error));
}

struct json_body *form_finish(struct form *form, struct convolve_error *error)
{
    struct json_decoder *decoder = form->decoder;
    if (!decoder->syntax.events->end(decoder, true)) {
        json_fail_memory(form->arena, error);
        return NULL;
    }
    return decoder_make_body(decoder, error);
}

int64_t form_offset(const struct form *form)
{
    return form->offset;
}
