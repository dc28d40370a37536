/* SPDX-License-Identifier: MIT */
/* Method and path to endpoint. Paths are exact; routes.def lists them, and nothing else names an endpoint. */
#ifndef SERVER_ROUTER_H
#define SERVER_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct endpoint;
struct convolve_error;

struct route {
    const char *method, *path;
    size_t path_bytes;
    const struct endpoint *endpoint;
    unsigned flags; /* enum endpoint_flags */
};

enum router_verdict {
    ROUTER_FOUND,
    ROUTER_NO_PATH,
    ROUTER_NO_METHOD, /* `allow` lists those there are */
    ROUTER_OPTIONS, /* an OPTIONS request to a path that exists: answered from `allow`, without an endpoint */
};

enum { ROUTER_ALLOW_MAX = 64 };
struct router_match {
    const struct route *route; /* NULL where there is no such path; else the one found, or one of the path's others */
    const char *rest; /* what "{...}" stands for, or NULL */
    char allow[ROUTER_ALLOW_MAX]; /* "GET, HEAD, OPTIONS"; "" where the path is unknown, or found with its method */
};

/* The path of a request target as sent, in `arena`: the absolute form's scheme and host and the query cut off, percent-coded
 * letters, digits and -._~ decoded, all else left as it is (so that no other spelling of a path ever matches). `query` is what
 * follows the first "?", or "". False: no memory. */
bool router_split_target(struct arena *arena, const char *target, const char **path, const char **query);

enum router_verdict router_find(struct router_match *match, const char *method, const char *path);

/* not-found, with the nearest path there is. Always false. */
bool router_fail_path(struct convolve_error *error, const char *path);
/* method-not-allowed, with what would be right. Always false. */
bool router_fail_method(struct convolve_error *error, const struct router_match *match, const char *method);

size_t router_count(void);
const struct route *router_at(size_t index);

#endif
