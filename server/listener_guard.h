/* SPDX-License-Identifier: MIT */
/* Whether the headers of a request say one thing only about where it ends. libmicrohttpd leaves this to its caller: of two
 * lengths it takes the first, and what is left of the body would be read as the next request. Knows no library. */
#ifndef SERVER_LISTENER_GUARD_H
#define SERVER_LISTENER_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request_field;
struct convolve_error;

struct guard_framing {
    bool has_length, chunked;
    uint64_t length; /* with has_length */
};

/* False: "malformed-request", and the connection is to be closed after the answer. `version` is "HTTP/1.1" or "HTTP/1.0". */
bool guard_check(struct guard_framing *framing, const struct request_field *headers, size_t count, const char *version,
                 struct convolve_error *error);

#endif
