/* SPDX-License-Identifier: MIT */
/* What an unknown member was probably meant to be. */
#ifndef SERVER_FORMATS_JSON_HINTS_H
#define SERVER_FORMATS_JSON_HINTS_H

#include <stddef.h>

#include "server/formats/json_tensor.h"

/* Writes a sentence that begins with "unknown member", and names the nearest known one or where the member belongs. `name` as it
 * is compared, `shown` as it is printed. */
void json_hint_member(char *out, size_t bytes, const struct json_schema *schema, const char *name, const char *shown);
/* The same for a member of a tensor object. */
void json_hint_field(char *out, size_t bytes, const char *name, const char *shown);

#endif
