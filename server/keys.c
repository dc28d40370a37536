/* SPDX-License-Identifier: MIT */
/* All hashes are compared, each in full, so that the time it takes tells nothing about how much of a key was right. */
#include "server/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
        return (digit | 0x20) - 'a' + 10;
    return -1;
}

static bool read_hash(uint8_t out[TLS_SHA256_BYTES], const char *text)
{
    if (strlen(text) != 2 * TLS_SHA256_BYTES)
        return false;
    for (size_t i = 0; i < TLS_SHA256_BYTES; i++) {
        const int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool add(struct keys *keys, const char *line, size_t number, char *reason, size_t reason_bytes)
{
    if ((keys->count & (keys->count - 1)) == 0) { /* full at each power of two */
        const size_t room = keys->count == 0 ? 1 : keys->count * 2;
        void *grown = reallocarray(keys->hashes, room, sizeof keys->hashes[0]);
        if (grown == NULL) {
            snprintf(reason, reason_bytes, "there is no memory for its keys");
            return false;
        }
        keys->hashes = grown;
    }
    const bool is_hash = strncmp(line, "sha256:", 7) == 0;
    const bool added = is_hash ? read_hash(keys->hashes[keys->count], line + 7)
                               : tls_sha256(keys->hashes[keys->count], line, strlen(line));
    if (added)
        keys->count++;
    else if (is_hash)
        snprintf(reason, reason_bytes, "line %zu: after \"sha256:\" stand 64 hexadecimal digits", number);
    else
        snprintf(reason, reason_bytes, "line %zu: GnuTLS cannot hash it", number);
    return added;
}

bool keys_read(struct keys *keys, const char *path, char *reason, size_t reason_bytes)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    bool fine = true;
    FILE *file = fopen(path, "re");

    *keys = (struct keys){0};
    if (file == NULL) {
        snprintf(reason, reason_bytes, "cannot be opened: %s", strerror(errno));
        return false;
    }
    while (fine && getline(&line, &room, file) >= 0) {
        number++;
        line[strcspn(line, "\r\n")] = '\0';
        if (line[strspn(line, " \t")] != '\0' && line[0] != '#')
            fine = add(keys, line, number, reason, reason_bytes);
    }
    if (fine && ferror(file)) {
        snprintf(reason, reason_bytes, "cannot be read: %s", strerror(errno));
        fine = false;
    }
    if (line != NULL)
        explicit_bzero(line, room);
    free(line);
    fclose(file);
    if (!fine)
        keys_release(keys);
    return fine;
}

void keys_release(struct keys *keys)
{
    free(keys->hashes);
    *keys = (struct keys){0};
}

static bool same_hash(const uint8_t *a, const uint8_t *b)
{
    unsigned difference = 0;
    for (size_t i = 0; i < TLS_SHA256_BYTES; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

bool keys_hold(const struct keys *keys, const char *text, uint8_t hash[TLS_SHA256_BYTES])
{
    bool known = false;
    if (!tls_sha256(hash, text, strlen(text)))
        return false;
    for (size_t i = 0; i < keys->count; i++)
        known |= same_hash(hash, keys->hashes[i]);
    return known;
}
