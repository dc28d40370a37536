/* SPDX-License-Identifier: MIT */
/* A file of API keys: one key in a line, or "sha256:" and the hash of one. Read here and nowhere else, so that what a check accepts
 * is what a start takes. Only hashes are kept. */
#ifndef SERVER_KEYS_H
#define SERVER_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/tls.h"

struct keys {
    size_t count;
    uint8_t (*hashes)[TLS_SHA256_BYTES];
};

/* Reads a whole file; it may hold no key at all. False: `reason` says what is wrong with it, in words that follow its name, and
 * `keys` is empty. */
bool keys_read(struct keys *keys, const char *path, char *reason, size_t reason_bytes);
void keys_release(struct keys *keys); /* an empty one is fine */

/* Whether the text is one of the keys; `hash` is then its hash. Takes as long whichever it is, or is not. */
bool keys_hold(const struct keys *keys, const char *text, uint8_t hash[TLS_SHA256_BYTES]);

#endif
