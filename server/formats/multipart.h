/* SPDX-License-Identifier: MIT */
/* multipart/form-data (RFC 7578, RFC 2046): a push parser that tells of parts as they come, in pieces of any size. It keeps a part's
 * headers while they come, and nothing of its content. */
#ifndef SERVER_FORMATS_MULTIPART_H
#define SERVER_FORMATS_MULTIPART_H

#include "core/convolve.h"
#include "server/arena.h"

enum { MULTIPART_BOUNDARY_MAX = 70, MULTIPART_HEADERS_MAX = 4096, MULTIPART_NAME_MAX = 256 };

struct multipart_part {
    char name[MULTIPART_NAME_MAX];
    size_t name_bytes;
};

/* Each returns false to stop the parser, with the error filled. */
struct multipart_events {
    bool (*begin)(void *context, const struct multipart_part *part, struct convolve_error *error);
    bool (*content)(void *context, const char *bytes, size_t count, struct convolve_error *error);
    bool (*end)(void *context, struct convolve_error *error);
};

enum multipart_state {
    MULTIPART_PREAMBLE, /* before the first boundary */
    MULTIPART_BEHIND, /* a boundary: "--" or the end of its line */
    MULTIPART_HEADERS,
    MULTIPART_CONTENT,
    MULTIPART_EPILOGUE, /* behind the last boundary: not looked at */
};

struct multipart_reader {
    struct arena *arena;
    const struct multipart_events *events;
    void *context;
    char delimiter[4 + MULTIPART_BOUNDARY_MAX]; /* CR LF - - boundary */
    size_t delimiter_bytes;
    enum multipart_state state;
    size_t matched; /* bytes of the delimiter at the end of what has come */
    size_t assumed; /* the first of them that are no content: a line that has ended already */
    unsigned dashes; /* behind a boundary */
    bool padded, returned; /* a space or tab, a CR has come there */
    char *headers; /* of the part that begins, MULTIPART_HEADERS_MAX bytes */
    size_t header_bytes;
};

/* The boundary that a Content-Type names, between its quotes. False: "malformed-multipart". */
bool multipart_boundary(const char *content_type, char boundary[MULTIPART_BOUNDARY_MAX + 1],
                        struct convolve_error *error);

/* False: no memory. */
bool multipart_init(struct multipart_reader *reader, struct arena *arena, const char *boundary,
                    const struct multipart_events *events, void *context, struct convolve_error *error);
/* False: "malformed-multipart", or what an event says. Not to be fed again then. */
bool multipart_feed(struct multipart_reader *reader, const char *bytes, size_t count, struct convolve_error *error);
bool multipart_end(const struct multipart_reader *reader, struct convolve_error *error); /* the body is whole */

#endif
