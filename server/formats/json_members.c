/* SPDX-License-Identifier: MIT */
/* Names: where the value behind each goes, which one comes twice, which one nobody knows. Faults found here wait in the decoder
 * until the text is whole, because syntax comes first. */
#include "server/formats/json_decoder.h"

#include <stdio.h>
#include <string.h>

#include "server/formats/json_hints.h"

static bool is_name(const struct json_decoder *decoder, const char *name)
{
    return decoder->name[0] == name[0] && decoder->name_bytes == strlen(name) &&
           memcmp(decoder->name, name, decoder->name_bytes) == 0;
}

/* ---- Faults ---- */

void decoder_pointer(const struct json_decoder *decoder, char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (unsigned d = 0; d < decoder->depth && used < bytes; d++) {
        const struct level *level = decoder->levels[d];
        if (level->object)
            used += (size_t)snprintf(out + used, bytes - used, "/%.*s", (int)(level->name_end - level->name_at),
                                     decoder->path + level->name_at);
        else
            used += (size_t)snprintf(out + used, bytes - used, "/%zu", level->items - 1);
    }
}

/* An error at the value that is being read; NULL: no memory. */
static struct convolve_error *make_fault(struct json_decoder *decoder, const char *slug)
{
    struct convolve_error *fault = arena_alloc(decoder->arena, sizeof *fault);
    if (!fault)
        return NULL;
    *fault = (struct convolve_error){.slug = slug};
    decoder_pointer(decoder, fault->pointer, sizeof fault->pointer);
    return fault;
}

static bool note_duplicate(struct json_decoder *decoder)
{
    if (decoder->duplicate)
        return true;
    decoder->duplicate = make_fault(decoder, "duplicate-member");
    if (!decoder->duplicate)
        return false;
    char shown[200];
    json_show_name(shown, sizeof shown, decoder->name, decoder->name_bytes, false);
    snprintf(decoder->duplicate->detail, sizeof decoder->duplicate->detail, "the member \"%s\" comes more than once",
             shown);
    return true;
}

/* An unknown member of the request, or of a tensor. */
static bool note_unknown(struct json_decoder *decoder, struct convolve_error **fault, bool of_tensor)
{
    if (*fault)
        return true;
    *fault = make_fault(decoder, "unknown-member");
    if (!*fault)
        return false;
    char shown[100];
    json_show_name(shown, sizeof shown, decoder->name, decoder->name_bytes, false);
    const bool plain = strlen(decoder->name) == decoder->name_bytes;
    const char *name = plain ? decoder->name : "";
    if (of_tensor)
        json_hint_field((*fault)->detail, sizeof(*fault)->detail, name, shown);
    else
        json_hint_member((*fault)->detail, sizeof(*fault)->detail, decoder->schema, name, shown);
    return true;
}

static bool note_oversize(struct json_decoder *decoder, const char *what)
{
    if (decoder->oversize)
        return true;
    const unsigned depth = decoder->depth;
    decoder->depth = 1; /* the member of the request is what is named */
    decoder->oversize = make_fault(decoder, "invalid-value");
    decoder->depth = depth;
    if (!decoder->oversize)
        return false;
    snprintf(decoder->oversize->detail, sizeof decoder->oversize->detail, "%s", what);
    return true;
}

bool decoder_check_size(struct json_decoder *decoder, size_t items)
{
    if (items > LIST_ITEMS_MAX)
        return note_oversize(decoder, "a list or object of this member has more than 64 items");
    if (decoder->envelope.full)
        return note_oversize(decoder, "the members that are no tensors are larger than 256 KiB together");
    return true;
}

/* ---- Names ---- */

static const struct json_schema_member *find_member(const struct json_decoder *decoder)
{
    for (size_t i = 0; i < decoder->schema->count; i++) {
        if (is_name(decoder, decoder->schema->members[i].name))
            return &decoder->schema->members[i];
    }
    return NULL;
}

static bool top_name_ended(struct json_decoder *decoder)
{
    const struct json_schema_member *member = find_member(decoder);
    decoder->next = SINK_SKIP;
    if (!member)
        return note_unknown(decoder, &decoder->unknown, false);
    decoder->next = member->tensor ? SINK_TENSOR : SINK_ENVELOPE;
    decoder->at_dtype = !member->tensor && is_name(decoder, "dtype");
    return envelope_name(&decoder->envelope, decoder->name, decoder->name_bytes);
}

static bool field_name_ended(struct json_decoder *decoder)
{
    const bool plain = strlen(decoder->name) == decoder->name_bytes;
    const int field = plain ? json_field_find(decoder->name) : -1;
    if (!envelope_name(&decoder->envelope, decoder->name, decoder->name_bytes))
        return false;
    if (field >= 0) {
        decoder->field = (enum json_field)field;
        decoder->tensor->has[field] = true;
        decoder->next = SINK_FIELD;
        return envelope_tensor(&decoder->envelope, decoder->tensor_count - 1);
    }
    decoder->next = SINK_ENVELOPE;
    if (is_name(decoder, "name"))
        decoder->has_name = true;
    else if (!note_unknown(decoder, &decoder->other, true))
        return false;
    return true;
}

/* Keeps the name for pointers: as much of it as there is room for. */
static void keep_path(struct json_decoder *decoder, struct level *level)
{
    const size_t room = sizeof decoder->path - level->name_at;
    level->name_end = level->name_at;
    if (room >= 16)
        level->name_end +=
            json_show_name(decoder->path + level->name_at, room, decoder->name, decoder->name_bytes, true);
}

static bool name_ended(struct json_decoder *decoder)
{
    struct level *level = decoder_top(decoder);
    decoder->name[decoder->name_bytes] = '\0';
    keep_path(decoder, level);
    decoder->next = level->sink;
    switch (json_names_add(&level->names, decoder->arena, json_name_hash_end(&decoder->name_hash))) {
    case JSON_NAME_NO_MEMORY:
        return false;
    case JSON_NAME_TWICE:
        decoder->next = SINK_SKIP;
        return note_duplicate(decoder);
    case JSON_NAME_NEW:
        break;
    }
    if (level->sink == SINK_TOP)
        return top_name_ended(decoder);
    if (level->sink == SINK_FIELDS)
        return field_name_ended(decoder);
    if (level->sink == SINK_ENVELOPE)
        return decoder_check_size(decoder, level->names.count) &&
               envelope_name(&decoder->envelope, decoder->name, decoder->name_bytes);
    return true;
}

bool decoder_on_name(void *context, const char *text, size_t count, bool last)
{
    struct json_decoder *decoder = context;
    if (!decoder->in_name) {
        json_name_hash_begin(&decoder->name_hash);
        decoder->name_bytes = 0;
    }
    decoder->in_name = !last;
    json_name_hash_add(&decoder->name_hash, text, count);
    const size_t room = NAME_BYTES_MAX - decoder->name_bytes;
    const size_t kept = count < room ? count : room;
    memcpy(decoder->name + decoder->name_bytes, text, kept);
    decoder->name_bytes += kept;
    return !last || name_ended(decoder);
}
