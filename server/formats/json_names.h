/* SPDX-License-Identifier: MIT */
/* The names an object has had so far, to find one that comes twice in constant time each and sixteen bytes or so, however many
 * and however long they are. A name is known by a keyed 64-bit hash, which is fed its bytes as they come. */
#ifndef SERVER_FORMATS_JSON_NAMES_H
#define SERVER_FORMATS_JSON_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/arena.h"

struct json_name_hash {
    uint64_t v[4];
    uint64_t word; /* bytes that do not fill eight yet */
    uint64_t count;
};
void json_name_hash_begin(struct json_name_hash *hash);
void json_name_hash_add(struct json_name_hash *hash, const char *bytes, size_t count);
uint64_t json_name_hash_end(struct json_name_hash *hash); /* never 0 */

enum { JSON_NAMES_FEW = 8 };
struct json_names {
    uint64_t few[JSON_NAMES_FEW]; /* as long as there are no more */
    uint64_t *table; /* then: an arena block, 0 where free */
    size_t count, capacity;
};
enum json_names_added { JSON_NAME_NEW, JSON_NAME_TWICE, JSON_NAME_NO_MEMORY };

/* Zero-initialise; release when the object ends. */
enum json_names_added json_names_add(struct json_names *names, struct arena *arena, uint64_t hash);
void json_names_release(struct json_names *names, struct arena *arena);

#endif
