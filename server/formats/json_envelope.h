/* SPDX-License-Identifier: MIT */
/* The envelope: a request without its tensors, as a small valid JSON text for cJSON. Two things would not survive cJSON as they
 * are, so they are strings that begin with U+0001, which no client can make, because his own U+0001s are doubled into "U+0001 1":
 * numbers ("U+0001 n" and their text: exact, whatever cJSON and the locale make of numbers) and tensors ("U+0001 t" and an
 * index). Zero bytes ("U+0001 0") and lone surrogates ("U+0001 s" and four hexadecimal digits) are written likewise. */
#ifndef SERVER_FORMATS_JSON_ENVELOPE_H
#define SERVER_FORMATS_JSON_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/arena.h"

#define ENVELOPE_NUMBER "\001n"
#define ENVELOPE_TENSOR "\001t"

enum { JSON_ENVELOPE_BYTES_MAX = 256 << 10 };

struct json_envelope {
    struct arena *arena;
    char *text; /* an arena block, not NUL-terminated */
    size_t count, capacity;
    bool full; /* more than JSON_ENVELOPE_BYTES_MAX were to be written; nothing is any more */
};

/* Each returns false where there is no memory. Commas come by themselves. */
bool envelope_open(struct json_envelope *envelope, bool object);
bool envelope_close(struct json_envelope *envelope, bool object);
bool envelope_name(struct json_envelope *envelope, const char *name, size_t count); /* as events give it */
bool envelope_literal(struct json_envelope *envelope, const char *text);
bool envelope_number(struct json_envelope *envelope, const char *text, size_t count);
bool envelope_tensor(struct json_envelope *envelope, size_t index);
/* A string in pieces: begin, pieces as events give them, end. */
bool envelope_string_begin(struct json_envelope *envelope);
bool envelope_string_piece(struct json_envelope *envelope, const char *text, size_t count);
bool envelope_string_end(struct json_envelope *envelope);

/* A name as events give it, made presentable: zero bytes and lone surrogates, which no text of ours can hold, as \u escapes, and
 * control characters too; cut where it is too long, always NUL-terminated. With `pointer` as JSON Pointers have it: ~ and / their
 * way, control characters as they are. Returns the length. */
size_t json_show_name(char *out, size_t bytes, const char *name, size_t count, bool pointer);
/* The same from a text of the envelope. */
size_t json_show_text(char *out, size_t bytes, const char *text);

#endif
