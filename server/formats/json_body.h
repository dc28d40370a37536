/* SPDX-License-Identifier: MIT */
/* What the decoder leaves behind, for json_read.c (members) and json_values.c (tensors) only. Everything is the arena's. */
#ifndef SERVER_FORMATS_JSON_BODY_H
#define SERVER_FORMATS_JSON_BODY_H

#include <stdint.h>

#include "server/formats/json_collect.h"
#include "server/formats/json_read.h"

struct json_value {
    enum json_type type;
    bool boolean;
    struct json_number number;
    const char *name; /* of a member, as the envelope has it; NULL for items */
    const char *text; /* of a string, as the envelope has it */
    size_t count; /* items of a list, members of an object */
    struct json_value *items;
    struct json_tensor *tensor; /* of a JSON_TENSOR, and of an object that might have been one but has a `name` */
};

struct json_body {
    struct json_value root;
    uint64_t letters; /* the json_letter of each member: most members asked for are absent */
};

/* A bit for what a name begins with, of the contract's members nearly each its own. */
static inline uint64_t json_letter(const char *name)
{
    return (uint64_t)1 << (((unsigned)(unsigned char)name[0] * 13 + (unsigned char)(name[0] ? name[1] : 0)) % 64);
}

/* Reads a finished envelope. NULL: no memory (arena->failure, or the system's). */
struct json_body *json_body_create(struct arena *arena, const char *envelope, size_t count,
                                   struct json_tensor *const *tensors);

/* The error for memory that cannot be had. Returns false. */
bool json_fail_memory(const struct arena *arena, struct convolve_error *error);

#endif
