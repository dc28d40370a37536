/* SPDX-License-Identifier: MIT */
/* API keys and CORS origins. Only hashes of keys are held, and all of them are compared in full, so that the time it takes tells
 * nothing about how much of a key was right. */
#include "server/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/access_parts.h"
#include "server/config.h"
#include "server/log.h"
#include "server/request.h"

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
        return (digit | 0x20) - 'a' + 10;
    return -1;
}

static bool read_hash(uint8_t out[SHA256_BYTES], const char *text)
{
    if (strlen(text) != 2 * SHA256_BYTES)
        return false;
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        const int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool keys_add(struct access_keys *keys, const char *line, size_t number, char *error, size_t error_bytes)
{
    if ((keys->count & (keys->count - 1)) == 0) { /* full at each power of two */
        const size_t room = keys->count == 0 ? 1 : keys->count * 2;
        void *grown = realloc(keys->hashes, room * sizeof keys->hashes[0]);
        if (grown == NULL) {
            snprintf(error, error_bytes, "no memory for its keys");
            return false;
        }
        keys->hashes = grown;
    }
    if (strncmp(line, "sha256:", 7) != 0) {
        sha256(keys->hashes[keys->count++], line, strlen(line));
        return true;
    }
    if (read_hash(keys->hashes[keys->count], line + 7)) {
        keys->count++;
        return true;
    }
    snprintf(error, error_bytes, "line %zu: sha256: is followed by 64 hexadecimal digits", number);
    return false;
}

static void keys_release(struct access_keys *keys)
{
    free(keys->hashes);
    *keys = (struct access_keys){0};
}

/* False: `error` says what is wrong, and the keys are empty. */
static bool keys_read(struct access_keys *keys, const char *path, char *error, size_t error_bytes)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    bool fine = true;
    FILE *file = fopen(path, "re");

    *keys = (struct access_keys){.required = true};
    if (file == NULL) {
        snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
        return false;
    }
    for (ssize_t bytes; fine && (bytes = getline(&line, &room, file)) >= 0;) {
        number++;
        while (bytes > 0 && (line[bytes - 1] == '\n' || line[bytes - 1] == '\r'))
            line[--bytes] = '\0';
        if (line[strspn(line, " \t")] == '\0' || line[0] == '#')
            continue;
        fine = keys_add(keys, line, number, error, error_bytes);
    }
    if (fine && ferror(file)) {
        snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
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

struct access *access_create(const struct config *config, char *error, size_t error_bytes)
{
    struct access *access = calloc(1, sizeof *access);
    if (access == NULL) {
        snprintf(error, error_bytes, "no memory");
        return NULL;
    }
    if (config->api_keys_file != NULL) {
        const bool read = keys_read(&access->keys, config->api_keys_file, error, error_bytes);
        if (read && access->keys.count == 0)
            snprintf(error, error_bytes, "%s: holds no key", config->api_keys_file);
        if (!read || access->keys.count == 0) {
            free(access);
            return NULL;
        }
    }
    pthread_rwlock_init(&access->lock, NULL);
    pthread_mutex_init(&access->buckets_lock, NULL);
    return access;
}

void access_destroy(struct access *access)
{
    if (access == NULL)
        return;
    keys_release(&access->keys);
    pthread_rwlock_destroy(&access->lock);
    pthread_mutex_destroy(&access->buckets_lock);
    free(access);
}

void access_reload(struct access *access, const struct config *config)
{
    struct access_keys fresh = {0}, old;
    char error[256];

    if (config->api_keys_file != NULL) {
        if (!keys_read(&fresh, config->api_keys_file, error, sizeof error)) {
            log_event(LOG_ERROR, "api_keys_file: %s; the keys stay as they were", error);
            return;
        }
        if (fresh.count == 0)
            log_event(LOG_WARNING, "api_keys_file: holds no key; nobody is let in");
    }
    pthread_rwlock_wrlock(&access->lock);
    old = access->keys;
    access->keys = fresh;
    pthread_rwlock_unlock(&access->lock);
    keys_release(&old);
}

static bool same_hash(const uint8_t *a, const uint8_t *b)
{
    unsigned difference = 0;
    for (size_t i = 0; i < SHA256_BYTES; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

bool access_check_key(struct access *access, const struct request *request, uint64_t *key, struct convolve_error *error)
{
    const char *sent = request_header(request, "Authorization");
    uint8_t hash[SHA256_BYTES];
    bool known = false;

    *key = 0;
    pthread_rwlock_rdlock(&access->lock);
    const bool required = access->keys.required;
    if (required && sent != NULL && request_header_count(request, "Authorization") == 1 &&
        strncasecmp(sent, "Bearer ", 7) == 0) {
        sent += 7 + strspn(sent + 7, " ");
        sha256(hash, sent, strlen(sent));
        for (size_t i = 0; i < access->keys.count; i++)
            known |= same_hash(hash, access->keys.hashes[i]);
    }
    pthread_rwlock_unlock(&access->lock);
    if (!required)
        return true;
    if (!known)
        return convolve_fail(error, "unauthorized", "", "%s",
                             sent == NULL ? "send the header Authorization: Bearer KEY"
                                          : "the key in Authorization is none of this daemon's");
    memcpy(key, hash, sizeof *key);
    *key |= 1; /* never 0 */
    return true;
}

const char *access_allowed_origin(const struct config *config, const char *origin)
{
    for (size_t i = 0; i < config->cors_origins.count; i++) {
        if (strcmp(config->cors_origins.items[i], "*") == 0)
            return "*";
        if (origin != NULL && strcmp(config->cors_origins.items[i], origin) == 0)
            return config->cors_origins.items[i];
    }
    return NULL;
}
