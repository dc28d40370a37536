/* SPDX-License-Identifier: MIT */
/* Both are forms (server/formats/form.h). The query comes first, so that a body's part of the same name is the second one. */
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

static bool multipart_begin(struct request *request, const struct json_schema *schema, void **reader_out,
                            struct convolve_error *error)
{
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    if (!multipart_boundary(request_header(request, "Content-Type"), boundary, error) ||
        !form_input_begin(request, schema, reader_out, error))
        return false;
    struct form_reader *reader = *reader_out;
    return multipart_init(&reader->multipart, &request->arena, boundary, &part_events, reader, error);
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

const struct computation_input npy_input = {npy_begin, npy_feed, npy_finish};
const struct computation_input multipart_input = {multipart_begin, multipart_input_feed, multipart_finish};
