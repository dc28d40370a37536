/* SPDX-License-Identifier: MIT */
/* Who may ask, from where, and how often: API keys, CORS origins, rate limits. The limits and origins are read from the
 * configuration at each request; keys come from a file that is read at start and at each reload. */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct request;
struct convolve_error;
struct access;

/* Reads config->api_keys_file, where there is one. NULL: `error` says what is wrong with it. */
struct access *access_create(const struct config *config, char *error, size_t error_bytes);
void access_destroy(struct access *access); /* NULL is fine */
/* After a reload. A file that cannot be read changes nothing and is logged; one without a key refuses everybody. */
void access_reload(struct access *access, const struct config *config);

/* False: "unauthorized". `key` is then, or with no keys at all, 0; else a number that stands for the key. */
bool access_check_key(struct access *access, const struct request *request, uint64_t *key,
                      struct convolve_error *error);

/* What is left to a client in this second, for the RateLimit headers. */
struct access_rate {
    uint64_t limit, left, wait_s;
};
/* Takes one request from the bucket of `client` (a key's number, or access_hash of an address); false: "rate-limited", and
 * rate->wait_s is Retry-After. A limit of 0 is none. */
bool access_take(struct access *access, const struct config *config, uint64_t client, struct access_rate *rate,
                 struct convolve_error *error);

/* The client's address: `peer`, or behind trusted proxies what X-Forwarded-For says of it, counted from the right; then it lies
 * in the request's arena. */
const char *access_client(const struct config *config, struct request *request, const char *peer);
uint64_t access_hash(const char *client); /* as access_take wants it */

/* What Access-Control-Allow-Origin is to say to this origin: "*", the origin itself, or NULL for nothing. */
const char *access_allowed_origin(const struct config *config, const char *origin);

#endif
