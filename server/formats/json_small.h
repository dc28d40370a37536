/* SPDX-License-Identifier: MIT */
/* A small body that came in one piece, read in one pass: what the decoder of json_tensor.c spends on cutting, on events and on the
 * envelope is most of what a tiny request takes. */
#ifndef SERVER_FORMATS_JSON_SMALL_H
#define SERVER_FORMATS_JSON_SMALL_H

#include "server/arena.h"
#include "server/formats/json_tensor.h"

enum { JSON_SMALL_BYTES_MAX = 1 << 10 }; /* from here on the decoder is as fast */

/* The members of a plain body: an object of known members, each once, that are nested arrays of numbers, or numbers, lists of
 * numbers, true, false, and strings of printable ASCII without escapes. NULL: it is something else, or there is no memory; the
 * decoder, which alone tells faults, is to read it from the start. */
struct json_body *json_small_read(struct arena *arena, const struct json_schema *schema, const char *bytes,
                                  size_t count);

#endif
