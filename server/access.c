/* SPDX-License-Identifier: MIT */
/* API keys and CORS origins. */
#include "server/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/access_parts.h"
#include "server/config.h"
#include "server/log.h"
#include "server/request.h"

struct access *access_create(const struct config *config, char *error, size_t error_bytes)
{
    struct access *access = calloc(1, sizeof *access);
    if (access == NULL) {
        snprintf(error, error_bytes, "no memory");
        return NULL;
    }
    if (config->api_keys_file != NULL) {
        char reason[200] = "has no key in it";
        access->required = true;
        if (!keys_read(&access->keys, config->api_keys_file, reason, sizeof reason) || access->keys.count == 0) {
            snprintf(error, error_bytes, "%s %s", config->api_keys_file, reason);
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
    struct keys fresh = {0}, old;
    char reason[200];

    if (config->api_keys_file != NULL) {
        if (!keys_read(&fresh, config->api_keys_file, reason, sizeof reason)) {
            log_event(LOG_ERROR, "api_keys_file: %s %s; the keys stay as they were", config->api_keys_file, reason);
            return;
        }
        if (fresh.count == 0)
            log_event(LOG_WARNING, "api_keys_file: %s has no key in it; nobody is let in", config->api_keys_file);
    }
    pthread_rwlock_wrlock(&access->lock);
    old = access->keys;
    access->keys = fresh;
    access->required = config->api_keys_file != NULL;
    pthread_rwlock_unlock(&access->lock);
    keys_release(&old);
}

/* The one key that was sent, or NULL. */
static const char *bearer(const struct request *request)
{
    const char *sent = request_header(request, "Authorization");
    if (sent == NULL || request_header_count(request, "Authorization") != 1 || strncasecmp(sent, "Bearer ", 7) != 0)
        return NULL;
    return sent + 7 + strspn(sent + 7, " ");
}

bool access_check_key(struct access *access, const struct request *request, uint64_t *key, struct convolve_error *error)
{
    uint8_t hash[TLS_SHA256_BYTES];

    *key = 0;
    if (!access->required)
        return true;
    pthread_rwlock_rdlock(&access->lock);
    const char *sent = bearer(request);
    const bool known = sent != NULL && keys_hold(&access->keys, sent, hash);
    pthread_rwlock_unlock(&access->lock);
    if (!known)
        return convolve_fail(error, "unauthorized", "", "%s",
                             sent == NULL ? "send the header Authorization: Bearer KEY, once"
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
