/* SPDX-License-Identifier: MIT */
/* A table with open addressing. The hash is SipHash-1-3 (Aumasson and Bernstein, 2012) under a key drawn once per process, so that
 * nobody can choose names that meet in one place. */
#include "server/formats/json_names.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>

static uint64_t hash_key[2];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void draw_hash_key(void)
{
    /* Early in the life of a machine there may be no random bytes: an address is better than a constant. */
    if (getrandom(hash_key, sizeof hash_key, GRND_NONBLOCK) != (ssize_t)sizeof hash_key)
        hash_key[0] = (uint64_t)(uintptr_t)&hash_key * 0x9e3779b97f4a7c15;
}

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void hash_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

void json_name_hash_begin(struct json_name_hash *hash)
{
    pthread_once(&hash_key_once, draw_hash_key);
    *hash = (struct json_name_hash){.v = {hash_key[0] ^ 0x736f6d6570736575, hash_key[1] ^ 0x646f72616e646f6d,
                                          hash_key[0] ^ 0x6c7967656e657261, hash_key[1] ^ 0x7465646279746573}};
}

void json_name_hash_add(struct json_name_hash *hash, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hash->word |= (uint64_t)(unsigned char)bytes[i] << (hash->count % 8 * 8);
        if (++hash->count % 8 == 0) {
            hash->v[3] ^= hash->word;
            hash_round(hash->v);
            hash->v[0] ^= hash->word;
            hash->word = 0;
        }
    }
}

uint64_t json_name_hash_end(struct json_name_hash *hash)
{
    const uint64_t last = hash->word | hash->count << 56;
    hash->v[3] ^= last;
    hash_round(hash->v);
    hash->v[0] ^= last;
    hash->v[2] ^= 0xff;
    for (unsigned i = 0; i < 3; i++)
        hash_round(hash->v);
    const uint64_t result = hash->v[0] ^ hash->v[1] ^ hash->v[2] ^ hash->v[3];
    return result ? result : 1;
}

/* Where the hash is, or the free place where it belongs. The capacity is a power of two. */
static uint64_t *find_place(uint64_t *table, size_t capacity, uint64_t hash)
{
    size_t place = hash & (capacity - 1);
    while (table[place] != 0 && table[place] != hash)
        place = (place + 1) & (capacity - 1);
    return &table[place];
}

static bool grow(struct json_names *names, struct arena *arena)
{
    const uint64_t *old = names->table ? names->table : names->few;
    const size_t old_places = names->table ? names->capacity : names->count;
    size_t capacity, bytes;
    if (__builtin_mul_overflow(names->capacity, 4, &capacity))
        return false;
    capacity = capacity ? capacity : 4 * JSON_NAMES_FEW;
    if (__builtin_mul_overflow(capacity, sizeof *names->table, &bytes))
        return false;
    uint64_t *table = arena_block(arena, bytes);
    if (!table)
        return false;
    memset(table, 0, bytes);
    for (size_t i = 0; i < old_places; i++) {
        if (old[i] != 0)
            *find_place(table, capacity, old[i]) = old[i];
    }
    arena_block_free(arena, names->table);
    names->table = table;
    names->capacity = capacity;
    return true;
}

enum json_names_added json_names_add(struct json_names *names, struct arena *arena, uint64_t hash)
{
    if (!names->table) {
        for (size_t i = 0; i < names->count; i++) {
            if (names->few[i] == hash)
                return JSON_NAME_TWICE;
        }
        if (names->count < JSON_NAMES_FEW) {
            names->few[names->count++] = hash;
            return JSON_NAME_NEW;
        }
    }
    if (names->count >= names->capacity / 2 && !grow(names, arena))
        return JSON_NAME_NO_MEMORY;
    uint64_t *place = find_place(names->table, names->capacity, hash);
    if (*place == hash)
        return JSON_NAME_TWICE;
    *place = hash;
    names->count++;
    return JSON_NAME_NEW;
}

void json_names_release(struct json_names *names, struct arena *arena)
{
    arena_block_free(arena, names->table);
    names->table = NULL;
    names->count = names->capacity = 0;
}
