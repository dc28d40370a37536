/* SPDX-License-Identifier: MIT */
/* All are forms (server/formats/form.h). The query comes first, so that a body's part of the same name is the second one. */
#include "server/endpoints/inputs.h"

#include <string.h>

#include "server/admission.h"
#include "server/formats/form.h"
#include "server/formats/multipart.h"
#include "server/request.h"

struct form_reader {
    struct request *request;
    struct form *form;
    struct multipart_reader multipart;
    struct picture picture;
    unsigned picture_parts; /* that have begun */
    bool in_picture;
};

/* Of a call that has failed: where it was. */
static bool note_offset(struct form_reader *reader, bool fine)
{
    if (!fine && form_offset(reader->form) >= 0)
        reader->request->error_offset = form_offset(reader->form);
    return fine;
}

static bool add_query(struct form_reader *reader, struct convolve_error *error)
{
    const char *name, *value;
    for (size_t i = 0; request_query_at(reader->request, i, &name, &value); i++)
        if (!form_begin(reader->form, name, strlen(name), FORM_ANY, error) ||
            !form_feed(reader->form, value, strlen(value), error) || !form_end(reader->form, error))
            return note_offset(reader, false);
    return true;
}

static bool form_input_begin(struct request *request, const struct json_schema *schema, void **reader_out,
                             struct convolve_error *error)
{
    struct form_reader *reader = arena_alloc(&request->arena, sizeof *reader);
    if (!reader)
        return admission_fail_memory(request, error);
    *reader = (struct form_reader){.request = request, .form = form_create(&request->arena, schema)};
    *reader_out = reader;
    if (!reader->form)
        return admission_fail_memory(request, error);
    return add_query(reader, error);
}

static const struct json_body *form_input_finish(struct request *request, struct form_reader *reader,
                                                 struct convolve_error *error)
{
    (void)request;
    return form_finish(reader->form, error);
}

/* ---- .npy ---- */

static bool npy_begin(struct request *request, const struct json_schema *schema, void **reader,
                      struct convolve_error *error)
{
    return form_input_begin(request, schema, reader, error) &&
           form_begin(((struct form_reader *)*reader)->form, "input", strlen("input"), FORM_NPY_BODY, error);
}

static bool npy_feed(struct request *request, void *reader, const char *bytes, size_t count,
                     struct convolve_error *error)
{
    (void)request;
    return form_feed(((struct form_reader *)reader)->form, bytes, count, error);
}

static const struct json_body *npy_finish(struct request *request, void *reader, struct convolve_error *error)
{
    return form_end(((struct form_reader *)reader)->form, error) ? form_input_finish(request, reader, error) : NULL;
}

/* ---- multipart/form-data ---- */

static bool part_begin(void *context, const struct multipart_part *part, struct convolve_error *error)
{
    struct form_reader *reader = context;
    return form_begin(reader->form, part->name, part->name_bytes, FORM_ANY, error);
}

static bool part_content(void *context, const char *bytes, size_t count, struct convolve_error *error)
{
    struct form_reader *reader = context;
    return note_offset(reader, form_feed(reader->form, bytes, count, error));
}

static bool part_end(void *context, struct convolve_error *error)
{
    struct form_reader *reader = context;
    return note_offset(reader, form_end(reader->form, error));
}

static const struct multipart_events part_events = {part_begin, part_content, part_end};

static bool multipart_begin_with(struct request *request, const struct json_schema *schema,
                                 const struct multipart_events *events, void **reader_out, struct convolve_error *error)
{
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    if (!multipart_boundary(request_header(request, "Content-Type"), boundary, error) ||
        !form_input_begin(request, schema, reader_out, error))
        return false;
    struct form_reader *reader = *reader_out;
    return multipart_init(&reader->multipart, &request->arena, boundary, events, reader, error);
}

static bool multipart_begin(struct request *request, const struct json_schema *schema, void **reader,
                            struct convolve_error *error)
{
    return multipart_begin_with(request, schema, &part_events, reader, error);
}

static bool multipart_input_feed(struct request *request, void *reader, const char *bytes, size_t count,
                                 struct convolve_error *error)
{
    (void)request;
    return multipart_feed(&((struct form_reader *)reader)->multipart, bytes, count, error);
}

static const struct json_body *multipart_finish(struct request *request, void *reader, struct convolve_error *error)
{
    return multipart_end(&((struct form_reader *)reader)->multipart, error) ? form_input_finish(request, reader, error)
                                                                            : NULL;
}

/* ---- A picture ---- */

enum { PICTURE_GROW_BYTES = 64 << 10 };

/* Its bytes are kept as they come: most of the work of reading them is the pool's. */
static bool keep_picture(struct form_reader *reader, const char *bytes, size_t count, struct convolve_error *error)
{
    struct picture *picture = &reader->picture;
    struct request *request = reader->request;
    if (picture->capacity - picture->count < count) {
        const uint64_t announced = request->media.gzip ? 0 : request->announced_bytes;
        const size_t left = announced > picture->count ? announced - picture->count : 0;
        const size_t more = count < left && left < PICTURE_GROW_BYTES ? left
                            : count < PICTURE_GROW_BYTES              ? PICTURE_GROW_BYTES
                                                                      : count;
        char *const larger = arena_block_grow(&request->arena, picture->bytes, picture->count + more, announced);
        if (!larger)
            return admission_fail_memory(request, error);
        picture->bytes = larger;
        picture->capacity = picture->count + more;
    }
    memcpy(picture->bytes + picture->count, bytes, count);
    picture->count += count;
    return true;
}

/* To the members it is one that is there. */
static bool note_picture(struct form_reader *reader, struct convolve_error *error)
{
    reader->picture_parts++;
    return form_begin(reader->form, "image", strlen("image"), FORM_ANY, error) &&
           form_feed(reader->form, "true", strlen("true"), error) && form_end(reader->form, error);
}

static bool picture_part_begin(void *context, const struct multipart_part *part, struct convolve_error *error)
{
    struct form_reader *reader = context;
    reader->in_picture = part->name_bytes == strlen("image") && memcmp(part->name, "image", part->name_bytes) == 0;
    return reader->in_picture ? note_picture(reader, error) : part_begin(context, part, error);
}

static bool picture_part_content(void *context, const char *bytes, size_t count, struct convolve_error *error)
{
    struct form_reader *reader = context;
    if (!reader->in_picture)
        return part_content(context, bytes, count, error);
    return reader->picture_parts > 1 || keep_picture(reader, bytes, count, error);
}

static bool picture_part_end(void *context, struct convolve_error *error)
{
    const struct form_reader *reader = context;
    return reader->in_picture || part_end(context, error);
}

static const struct multipart_events picture_part_events = {picture_part_begin, picture_part_content, picture_part_end};

static bool picture_begin(struct request *request, const struct json_schema *schema, void **reader,
                          struct convolve_error *error)
{
    if (request->media.body != MEDIA_MULTIPART)
        return form_input_begin(request, schema, reader, error) && note_picture(*reader, error);
    return multipart_begin_with(request, schema, &picture_part_events, reader, error);
}

static bool picture_feed(struct request *request, void *reader, const char *bytes, size_t count,
                         struct convolve_error *error)
{
    if (request->media.body != MEDIA_MULTIPART)
        return keep_picture(reader, bytes, count, error);
    return multipart_input_feed(request, reader, bytes, count, error);
}

/* What no picture is comes before what is wrong with the members, as other faults of syntax do. */
static const struct json_body *picture_finish(struct request *request, void *context, struct convolve_error *error)
{
    struct form_reader *reader = context;
    struct picture *picture = &reader->picture;
    const bool is_form = request->media.body == MEDIA_MULTIPART;
    if (is_form && !multipart_end(&reader->multipart, error))
        return NULL;
    if (reader->picture_parts > 0) {
        picture->reader = image_reader_open(&request->arena, picture->bytes, picture->count, &picture->image, error);
        if (!picture->reader) {
            picture_place_fault(request, error);
            return NULL;
        }
    }
    return form_input_finish(request, reader, error);
}

void picture_place_fault(const struct request *request, struct convolve_error *error)
{
    if (request->media.body == MEDIA_MULTIPART && !strcmp(error->slug, "malformed-image"))
        strcpy(error->pointer, "/image");
}

struct picture *picture_of(void *reader)
{
    return &((struct form_reader *)reader)->picture;
}

const struct computation_input picture_input = {picture_begin, picture_feed, picture_finish};
const struct computation_input npy_input = {npy_begin, npy_feed, npy_finish};
const struct computation_input multipart_input = {multipart_begin, multipart_input_feed, multipart_finish};
