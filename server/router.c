/* SPDX-License-Identifier: MIT */
/* The table of routes and the search in it. A dozen rows are compared one after another: that costs less than a hash. */
#include "server/router.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/convolve.h"
#include "server/arena.h"
#include "server/endpoint.h"
#include "server/nearest.h"

#define ROUTE(method, path, symbol, flags) extern const struct endpoint symbol;
#include "server/routes.def"
#undef ROUTE

static const struct route routes[] = {
#define ROUTE(method, path, symbol, flags) {method, path, sizeof(path) - 1, &symbol, flags},
#include "server/routes.def"
#undef ROUTE
};

size_t router_count(void)
{
    return sizeof routes / sizeof routes[0];
}

const struct route *router_at(size_t index)
{
    return &routes[index];
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

static bool is_unreserved(int byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

static void decode_unreserved(char *path)
{
    char *out = path;
    for (const char *in = path; *in != '\0'; in++) {
        const int high = *in == '%' ? hex_value(in[1]) : -1;
        const int low = high >= 0 ? hex_value(in[2]) : -1;
        if (low >= 0 && is_unreserved(high * 16 + low)) {
            *out++ = (char)(high * 16 + low);
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
}

bool router_split_target(struct arena *arena, const char *target, const char **path, const char **query)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; target[0] != '/' && i < sizeof schemes / sizeof schemes[0]; i++) {
        const size_t bytes = strlen(schemes[i]);
        if (strncasecmp(target, schemes[i], bytes) == 0) {
            target += bytes;
            target += strcspn(target, "/?");
            break;
        }
    }
    const size_t path_bytes = strcspn(target, "?");
    const bool is_bare = path_bytes == 0; /* the absolute form may leave the root's slash out */
    char *copy = is_bare ? arena_copy_text(arena, "/", 1) : arena_copy_text(arena, target, path_bytes);
    if (copy == NULL)
        return false;
    if (strchr(copy, '%') != NULL)
        decode_unreserved(copy);
    *path = copy;
    if (target[path_bytes] == '\0') {
        *query = "";
        return true;
    }
    *query = arena_copy_text(arena, target + path_bytes + 1, strlen(target + path_bytes + 1));
    return *query != NULL;
}

/* Whether the route's path is this one; `rest` is what the "{...}" at its end stands for. A segment of dots is never a name. */
static bool route_matches(const struct route *route, const char *path, size_t path_bytes, const char **rest)
{
    *rest = NULL;
    if (route->path[route->path_bytes - 1] != '}')
        return route->path_bytes == path_bytes && memcmp(route->path, path, path_bytes) == 0;
    const size_t bytes = (size_t)(strchr(route->path, '{') - route->path);
    if (strncmp(route->path, path, bytes) != 0)
        return false;
    const char *name = path + bytes;
    if (name[0] == '\0' || strpbrk(name, "/%\\") != NULL || strspn(name, ".") == strlen(name))
        return false;
    *rest = name;
    return true;
}

static void allow_add(char allow[ROUTER_ALLOW_MAX], const char *method)
{
    const size_t used = strlen(allow);
    if (used + 2 + strlen(method) < ROUTER_ALLOW_MAX)
        strcpy(stpcpy(allow + used, used == 0 ? "" : ", "), method);
}

/* Which methods the path knows, where it does not know this one. */
static enum router_verdict find_others(struct router_match *match, const char *method, const char *path)
{
    if (path[0] != '/' && (strcmp(method, "CONNECT") == 0 || strcmp(method, "OPTIONS") == 0)) { /* a host, or "*" */
        snprintf(match->allow, sizeof match->allow, "GET, HEAD, POST, OPTIONS");
        return strcmp(path, "*") == 0 ? ROUTER_OPTIONS : ROUTER_NO_METHOD;
    }
    for (size_t i = 0; i < router_count(); i++) {
        const char *rest;
        if (!route_matches(&routes[i], path, strlen(path), &rest))
            continue;
        allow_add(match->allow, routes[i].method);
        if (strcmp(routes[i].method, "GET") == 0)
            allow_add(match->allow, "HEAD");
        match->route = &routes[i];
        match->rest = rest;
    }
    if (match->route == NULL)
        return ROUTER_NO_PATH;
    allow_add(match->allow, "OPTIONS");
    return strcmp(method, "OPTIONS") == 0 ? ROUTER_OPTIONS : ROUTER_NO_METHOD;
}

enum router_verdict router_find(struct router_match *match, const char *method, const char *path)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const size_t path_bytes = strlen(path);

    *match = (struct router_match){0};
    for (size_t i = 0; i < router_count(); i++) {
        if (route_matches(&routes[i], path, path_bytes, &match->rest) && strcmp(routes[i].method, wanted) == 0) {
            match->route = &routes[i];
            return ROUTER_FOUND;
        }
    }
    match->rest = NULL;
    return find_others(match, method, path);
}

bool router_fail_path(struct convolve_error *error, const char *path)
{
    struct nearest nearest = {.wanted = path};
    for (size_t i = 0; i < router_count(); i++)
        if (strchr(routes[i].path, '{') == NULL)
            nearest_offer(&nearest, routes[i].path);
    if (nearest.name != NULL)
        return convolve_fail(error, "not-found", "", "there is no %.200s; did you mean %s?", path, nearest.name);
    return convolve_fail(error, "not-found", "",
                         "there is no %.200s; computations are at /v1/convolve and /v1/correlate", path);
}

bool router_fail_method(struct convolve_error *error, const struct router_match *match, const char *method)
{
    const bool computes = match->route != NULL && (match->route->flags & ENDPOINT_COMPUTE) != 0;
    const bool pictures = computes && (match->route->flags & ENDPOINT_PICTURE) != 0;
    const bool posted = strcmp(method, "POST") == 0;
    return convolve_fail(error, "method-not-allowed", "", "%s does not take %.40s; it takes %s%s",
                         match->route != NULL ? match->route->path : "this daemon", method, match->allow,
                         pictures   ? ": POST the bytes of a PNG or a JPEG, with the members in the query"
                         : computes ? ": POST a JSON object, as in {\"input\": ..., ...}"
                         : posted   ? "; computations are POSTed to /v1/convolve and the like"
                                    : "");
}
