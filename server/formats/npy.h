/* SPDX-License-Identifier: MIT */
/* NumPy's file format (numpy.lib.format, versions 1 to 3): a push parser whose values end as the bytes of a row-major,
 * little-endian array, and the header of a file that is written. Header and values are held to each other: no byte may be missing
 * or follow. A header that announces much costs nothing until it comes. */
#ifndef SERVER_FORMATS_NPY_H
#define SERVER_FORMATS_NPY_H

#include "core/convolve.h"
#include "server/arena.h"
#include "server/formats/json_typed.h"

enum { NPY_HEADER_BYTES_MAX = 16 << 10, NPY_HEADER_WRITTEN_MAX = 320, NPY_MAGIC = 0x93 /* the first byte */ };

/* What the header says. */
struct npy_header {
    const struct json_typed *typed;
    bool big_endian, fortran;
    unsigned rank; /* may be more than CONVOLVE_RANK_MAX: then `shape` has its first axes only */
    struct convolve_shape shape;
    size_t value_bytes; /* of all values */
};

/* Reads the dictionary of a header, `count` bytes. False: "malformed-npy", without a pointer. */
bool npy_header_read(struct npy_header *header, const char *text, size_t count, struct convolve_error *error);

enum npy_state { NPY_START, NPY_HEADER, NPY_VALUES };
struct npy_reader {
    struct arena *arena;
    bool discard; /* only hold it to the format; keep no values */
    enum npy_state state;
    unsigned char start[12]; /* magic, version, length of the header */
    size_t start_count;
    char *header_text;
    size_t header_bytes, header_count;
    struct npy_header header;
    unsigned char *values; /* an arena block once a byte of them has come */
    size_t value_count, capacity; /* bytes */
};

void npy_reader_init(struct npy_reader *reader, struct arena *arena, bool discard);
/* False: "malformed-npy" without a pointer, or no memory. Not to be fed again then. */
bool npy_reader_feed(struct npy_reader *reader, const char *bytes, size_t count, struct convolve_error *error);
/* The file is whole: `values` are row-major and little-endian, or NULL where there are none. */
bool npy_reader_end(struct npy_reader *reader, struct convolve_error *error);

/* Magic, version and header as numpy.save writes them; a multiple of 64 bytes, the values go right behind. */
size_t npy_write_header(char out[NPY_HEADER_WRITTEN_MAX], enum convolve_dtype dtype,
                        const struct convolve_shape *shape);

#endif
