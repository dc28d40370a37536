/* SPDX-License-Identifier: MIT */
/* Rate limits: a token bucket for each client, which holds one second's worth, and whom a request counts for where proxies stand
 * between. */
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/access.h"
#include "server/access_parts.h"
#include "server/config.h"
#include "server/request.h"

/* The client's bucket, or the place that it may take: an unused one, or that of the client who has been quiet longest. */
static struct bucket *bucket_find(struct access *access, uint64_t client)
{
    struct bucket *set = access->buckets[(client ^ client >> 29) % BUCKET_SETS], *oldest = &set[0];
    for (size_t i = 0; i < BUCKET_WAYS; i++) {
        if (set[i].client == client && set[i].filled_ns != 0)
            return &set[i];
        if (set[i].filled_ns < oldest->filled_ns)
            oldest = &set[i];
    }
    *oldest = (struct bucket){.client = client};
    return oldest;
}

bool access_take(struct access *access, const struct config *config, uint64_t client, struct access_rate *rate,
                 struct convolve_error *error)
{
    const double limit = (double)config->rate_limit_per_second;

    *rate = (struct access_rate){.limit = config->rate_limit_per_second};
    if (rate->limit == 0)
        return true;
    const uint64_t now = clock_now_ns();
    pthread_mutex_lock(&access->buckets_lock);
    struct bucket *bucket = bucket_find(access, client);
    if (bucket->filled_ns == 0)
        bucket->tokens = limit;
    else if (now > bucket->filled_ns)
        bucket->tokens = fmin(limit, bucket->tokens + (double)(now - bucket->filled_ns) / 1e9 * limit);
    bucket->filled_ns = now;
    const bool taken = bucket->tokens >= 1;
    if (taken)
        bucket->tokens -= 1;
    rate->left = (uint64_t)bucket->tokens;
    rate->wait_s = 1; /* a bucket refills in a second */
    pthread_mutex_unlock(&access->buckets_lock);
    if (!taken)
        return convolve_fail(error, "rate-limited", "",
                             "more than %llu compute requests in a second; wait, then repeat the request",
                             (unsigned long long)rate->limit);
    return true;
}

/* An address as 16 bytes; IPv4 in its mapped form. Accepts a port behind it ("10.0.0.1:80", "[::1]:80"). */
static bool read_address(const char *text, size_t bytes, uint8_t out[16])
{
    char copy[INET6_ADDRSTRLEN + 10];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (bytes == 0 || bytes >= sizeof copy)
        return false;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    char *start = copy, *colon = strchr(copy, ':');
    if (copy[0] == '[') {
        char *bracket = strchr(++start, ']');
        if (bracket == NULL)
            return false;
        *bracket = '\0';
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    if (inet_pton(AF_INET6, start, out) == 1)
        return true;
    memcpy(out, mapped, sizeof mapped);
    return inet_pton(AF_INET, start, out + 12) == 1;
}

static bool network_holds(const char *network, const uint8_t address[16])
{
    const char *slash = strchr(network, '/');
    const size_t bytes = slash != NULL ? (size_t)(slash - network) : strlen(network);
    uint8_t base[16];

    if (!read_address(network, bytes, base))
        return false;
    unsigned long bits = 128;
    if (slash != NULL)
        bits = strtoul(slash + 1, NULL, 10) + (memchr(network, ':', bytes) != NULL ? 0 : 96);
    for (unsigned i = 0; i < 16; i++) {
        const unsigned here = bits >= 8 ? 8 : (unsigned)bits;
        const uint8_t mask = (uint8_t)(0xff00u >> here);
        if ((address[i] ^ base[i]) & mask)
            return false;
        bits -= here;
    }
    return true;
}

static bool is_trusted(const struct config *config, const uint8_t address[16])
{
    for (size_t i = 0; i < config->trusted_proxies.count; i++)
        if (network_holds(config->trusted_proxies.items[i], address))
            return true;
    return false;
}

uint64_t access_hash(const char *client)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *client != '\0'; client++)
        hash = (hash ^ (uint8_t)*client) * UINT64_C(0x100000001b3);
    return hash;
}

/* Reads one list of X-Forwarded-For from its right end for as long as the client so far is a proxy. False: what stands there is
 * no address, and what is further left was written by who knows whom. */
static bool go_left(const struct config *config, const char *text, uint8_t client[16])
{
    for (size_t end = strlen(text); end > 0 && is_trusted(config, client);) {
        size_t start = end, last = end;
        while (start > 0 && text[start - 1] != ',')
            start--;
        end = start > 0 ? start - 1 : 0;
        while (start < last && (text[start] == ' ' || text[start] == '\t'))
            start++;
        while (last > start && (text[last - 1] == ' ' || text[last - 1] == '\t'))
            last--;
        uint8_t named[16];
        if (!read_address(text + start, last - start, named))
            return false;
        memcpy(client, named, sizeof named);
    }
    return true;
}

const char *access_client(const struct config *config, struct request *request, const char *peer)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN];
    uint8_t client[16];

    if (config->trusted_proxies.count == 0 || !read_address(peer, strlen(peer), client) || !is_trusted(config, client))
        return peer; /* a Unix socket's callers are all one */
    for (size_t i = request->header_count; i-- > 0;)
        if (request_field_is(&request->headers[i], "X-Forwarded-For") &&
            !go_left(config, request->headers[i].value, client))
            break;
    if (memcmp(client, mapped, sizeof mapped) == 0)
        inet_ntop(AF_INET, client + sizeof mapped, text, sizeof text);
    else
        inet_ntop(AF_INET6, client, text, sizeof text);
    const char *copy = arena_copy_text(&request->arena, text, strlen(text));
    return copy != NULL ? copy : peer;
}
