/* SPDX-License-Identifier: MIT */
/* gzip (RFC 1952) both ways, in pieces; gzip.c is the only file that knows zlib. Unpacking takes bytes as they come and hands on what
 * they hold. Packing makes pieces of a text apart from one another, on any threads: header, pieces and trailer are one member. */
#ifndef SERVER_FORMATS_GZIP_H
#define SERVER_FORMATS_GZIP_H

#include "core/convolve.h"
#include "server/arena.h"

/* ---- Unpacking ---- */

struct gzip_reader;

/* Takes unpacked bytes; false stops the reader. */
typedef bool gzip_sink(void *context, const char *bytes, size_t count);

struct gzip_reader *gzip_reader_create(struct arena *arena, gzip_sink *sink, void *context); /* NULL: no memory */
/* False: "malformed-encoding", no memory, or the sink has stopped it (then `error` is as it was). Not to be fed again then. */
bool gzip_reader_feed(struct gzip_reader *reader, const char *bytes, size_t count, struct convolve_error *error);
/* The body is whole: one or more members, each of the length and check sum that it says. */
bool gzip_reader_end(struct gzip_reader *reader, struct convolve_error *error);

/* ---- Packing ---- */

enum { GZIP_HEADER_BYTES = 10, GZIP_TRAILER_BYTES = 10 };
extern const char gzip_header[GZIP_HEADER_BYTES];

struct gzip_piece {
    uint32_t crc;
    size_t count; /* bytes of text */
};

/* Room that gzip_pack needs for a piece of `count` bytes. */
size_t gzip_pack_bound(size_t count);
/* One piece; returns its length. Where there is no memory to pack with it is stored as it is. */
size_t gzip_pack(char *out, const char *text, size_t count, struct gzip_piece *piece);
/* The end of a member, from its pieces in order. */
void gzip_pack_end(char out[GZIP_TRAILER_BYTES], const struct gzip_piece *pieces, size_t count);

#endif
