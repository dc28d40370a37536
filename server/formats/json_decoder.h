/* SPDX-License-Identifier: MIT */
/* The decoder's inside, shared by json_tensor.c (values) and json_members.c (names, and the faults that are kept). */
#ifndef SERVER_FORMATS_JSON_DECODER_H
#define SERVER_FORMATS_JSON_DECODER_H

#include "server/formats/json_body.h"
#include "server/formats/json_envelope.h"
#include "server/formats/json_names.h"
#include "server/formats/json_syntax.h"
#include "server/formats/json_tensor.h"

enum { NAME_BYTES_MAX = 255, NAMES_BYTES_MAX = 512, LIST_ITEMS_MAX = 64 };

/* Where a value goes; of a container: where its items go, or whose members it has. */
enum sink {
    SINK_BODY, /* the value of the whole text */
    SINK_TOP, /* its members */
    SINK_SKIP, /* nowhere: an unknown member, a second one of the same name */
    SINK_FAULTY, /* nowhere, in a tensor that has a fault */
    SINK_ENVELOPE,
    SINK_TENSOR, /* the value of a tensor member */
    SINK_NESTED, /* an item of a nested array */
    SINK_FIELDS, /* members of a tensor that is an object */
    SINK_FIELD, /* the value of one that it knows */
    SINK_SHAPE, /* an item of `shape` */
    SINK_FLAT, /* an item of `data`, `real`, `imag` */
};

/* One open container. */
struct level {
    enum sink sink;
    bool object;
    size_t items; /* of a list, the one that is being read included */
    size_t name_at, name_end; /* of an object: the present member's name in decoder->path */
    struct json_names names;
};

struct json_decoder {
    struct arena *arena;
    const struct json_schema *schema;
    struct json_syntax syntax;
    struct json_envelope envelope;
    struct level
        *levels[JSON_DEPTH_MAX + 1]; /* allocated when first that deep; a form (form.c) is a level around its texts */
    unsigned depth;
    uint64_t expected_bytes; /* of the whole text, 0 where unknown */
    enum sink next; /* of the value behind the last name */
    enum json_field field; /* for SINK_FIELD and what is below */

    struct json_tensor **tensors; /* room for every member of the schema */
    size_t tensor_count;
    struct json_tensor *tensor; /* the present one */
    enum number_form form; /* of the next: what dtype asks for, if it came already */
    bool has_name; /* the present tensor names a kernel */
    struct convolve_error *other; /* its first member that no tensor has */

    size_t name_bytes;
    struct json_name_hash name_hash;
    bool in_name, in_string; /* a piece has come */
    bool at_dtype; /* the value is that of the request's dtype */
    size_t string_at; /* where the present string begins in the envelope */
    bool no_object;
    struct convolve_error *duplicate, *unknown, *oversize; /* the first of each */
    bool stopped_in_tensor;
    struct json_body *small; /* read already, in one pass */

    /* From here on nothing is zeroed at the beginning. */
    char name[NAME_BYTES_MAX + 1]; /* the present name, cut where it is too long for any known one */
    char path[NAMES_BYTES_MAX]; /* names of the present members of all open objects, as pointers write them */
};

static inline struct level *decoder_top(const struct json_decoder *decoder)
{
    return decoder->levels[decoder->depth - 1];
}

/* The two halves of json_decoder_finish: the text is whole; all of them are. */
bool decoder_end_text(struct json_decoder *decoder, struct convolve_error *error);
struct json_body *decoder_make_body(struct json_decoder *decoder, struct convolve_error *error);

/* json_events.name of json_syntax.h. */
bool decoder_on_name(void *context, const char *text, size_t count, bool last);

/* The JSON Pointer of the value that is being read. */
void decoder_pointer(const struct json_decoder *decoder, char *out, size_t bytes);
/* No member that is no tensor is ever large: what is, is refused before it costs anything. `items`: of the list or object that is
 * being read. False: no memory. */
bool decoder_check_size(struct json_decoder *decoder, size_t items);

#endif
