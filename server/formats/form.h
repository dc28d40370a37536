/* SPDX-License-Identifier: MIT */
/* Members that come one by one instead of in one JSON object: query parameters, and parts of multipart/form-data. Each value is
 * JSON, a bare word (mode=same), or a .npy file, told apart by its first byte; together they are what a JSON body would be. */
#ifndef SERVER_FORMATS_FORM_H
#define SERVER_FORMATS_FORM_H

#include "server/formats/json_tensor.h"

struct form;

/* NULL: no memory. All memory is the arena's; `schema` must outlive it. */
struct form *form_create(struct arena *arena, const struct json_schema *schema);

enum form_value {
    FORM_ANY,
    FORM_NPY_BODY, /* a .npy file that is the whole body: faults of it have no pointer */
};

/* One member after another: its name, its value in pieces, its end. False: a fault of syntax ("malformed-json" with form_offset,
 * "malformed-npy", each with the member's pointer), or no memory; nothing more need be fed then. */
bool form_begin(struct form *form, const char *name, size_t bytes, enum form_value kind, struct convolve_error *error);
bool form_feed(struct form *form, const char *bytes, size_t count, struct convolve_error *error);
bool form_end(struct form *form, struct convolve_error *error);

/* As json_decoder_finish: there are no more members. */
struct json_body *form_finish(struct form *form, struct convolve_error *error);
int64_t form_offset(const struct form *form); /* of malformed JSON: the byte within the member's value; else -1 */

#endif
