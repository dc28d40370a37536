/* SPDX-License-Identifier: MIT */
/* A packed piece is raw deflate that ends with an empty stored block, so that it ends on a byte and the next one can begin anew
 * (as pigz does it); the trailer is an empty last block, the check sum of all, combined from those of the pieces, and the length. */
#include "server/formats/gzip.h"

#include <string.h>
#include <zlib.h>

#include "server/formats/json_body.h"

/* Packing is as fast as zlib can: digits shrink to about half by their frequencies alone, whatever the effort. */
enum { UNPACKED_BYTES = 64 << 10, GZIP_FORMAT = 16, LEVEL = 1, MEMORY = 8, STORED_BYTES_MAX = 65535 };

/* ---- Unpacking ---- */

struct gzip_reader {
    struct arena *arena;
    gzip_sink *sink;
    void *context;
    z_stream stream;
    bool within; /* a member */
    bool any; /* has been whole */
    char unpacked[UNPACKED_BYTES];
};

static void *take_memory(void *arena, unsigned items, unsigned bytes)
{
    size_t whole;
    return __builtin_mul_overflow((size_t)items, (size_t)bytes, &whole) ? NULL : arena_block(arena, whole);
}

static void give_memory(void *arena, void *block)
{
    arena_block_free(arena, block);
}

struct gzip_reader *gzip_reader_create(struct arena *arena, gzip_sink *sink, void *context)
{
    struct gzip_reader *reader = arena_block(arena, sizeof *reader);
    if (!reader)
        return NULL;
    reader->arena = arena;
    reader->sink = sink;
    reader->context = context;
    reader->within = reader->any = false;
    reader->stream = (z_stream){.zalloc = take_memory, .zfree = give_memory, .opaque = arena};
    return inflateInit2(&reader->stream, MAX_WBITS + GZIP_FORMAT) == Z_OK ? reader : NULL;
}

static bool fail_coding(const struct gzip_reader *reader, int status, struct convolve_error *error)
{
    if (status == Z_MEM_ERROR)
        return json_fail_memory(reader->arena, error);
    if (!reader->within && reader->any)
        return convolve_fail(error, "malformed-encoding", "", "bytes that are no gzip follow the gzip body");
    return convolve_fail(error, "malformed-encoding", "", "the gzip body does not unpack: %s",
                         reader->stream.msg ? reader->stream.msg : "it is broken");
}

bool gzip_reader_feed(struct gzip_reader *reader, const char *bytes, size_t count, struct convolve_error *error)
{
    z_stream *stream = &reader->stream;
    while (count > 0) {
        const unsigned piece = count < UINT32_MAX ? (unsigned)count : UINT32_MAX;
        stream->next_in = (unsigned char *)(uintptr_t)bytes;
        stream->avail_in = piece;
        bytes += piece;
        count -= piece;
        do {
            stream->next_out = (unsigned char *)reader->unpacked;
            stream->avail_out = UNPACKED_BYTES;
            const int status = inflate(stream, Z_NO_FLUSH);
            const size_t unpacked = UNPACKED_BYTES - stream->avail_out;
            if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
                return fail_coding(reader, status, error);
            reader->within = status != Z_STREAM_END;
            reader->any |= !reader->within;
            if (unpacked > 0 && !reader->sink(reader->context, reader->unpacked, unpacked))
                return false;
            if (!reader->within)
                inflateReset(stream);
        } while (stream->avail_in > 0 || (reader->within && stream->avail_out == 0));
    }
    return true;
}

bool gzip_reader_end(struct gzip_reader *reader, struct convolve_error *error)
{
    inflateEnd(&reader->stream);
    if (reader->any && !reader->within)
        return true;
    return convolve_fail(error, "malformed-encoding", "",
                         reader->within || reader->any ? "the gzip body is cut, or bytes follow it"
                                                       : "the body is said to be gzip, and it is empty");
}

/* ---- Packing ---- */

const char gzip_header[GZIP_HEADER_BYTES] = {0x1f, (char)0x8b, Z_DEFLATED,      0, 0, 0,
                                             0,    0,          4 /* fastest */, 3 /* Unix */};

static size_t stored_bound(size_t count)
{
    return count + (count / STORED_BYTES_MAX + 1) * 5;
}

size_t gzip_pack_bound(size_t count)
{
    /* compressBound, and room for the block that ends a piece. */
    const size_t packed = count + (count >> 12) + (count >> 14) + (count >> 25) + 32;
    const size_t stored = stored_bound(count);
    return packed > stored ? packed : stored;
}

static size_t store(char *out, const char *text, size_t count)
{
    char *at = out;
    do {
        const unsigned block = count < STORED_BYTES_MAX ? (unsigned)count : STORED_BYTES_MAX;
        const char head[5] = {0, (char)block, (char)(block >> 8), (char)~block, (char)(~block >> 8)};
        at = mempcpy(mempcpy(at, head, sizeof head), text, block);
        text += block;
        count -= block;
    } while (count > 0);
    return (size_t)(at - out);
}

size_t gzip_pack(char *out, const char *text, size_t count, struct gzip_piece *piece)
{
    const size_t room = gzip_pack_bound(count);
    z_stream stream = {0};
    size_t packed = 0;
    *piece = (struct gzip_piece){(uint32_t)crc32_z(0, (const unsigned char *)text, count), count};
    if (count > UINT32_MAX / 2 ||
        deflateInit2(&stream, LEVEL, Z_DEFLATED, -MAX_WBITS, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return store(out, text, count);
    stream.next_in = (unsigned char *)(uintptr_t)text;
    stream.avail_in = (unsigned)count;
    stream.next_out = (unsigned char *)out;
    stream.avail_out = (unsigned)room;
    /* A flush is whole only where room is left behind it. */
    if (deflate(&stream, Z_SYNC_FLUSH) == Z_OK && stream.avail_in == 0 && stream.avail_out > 0)
        packed = room - stream.avail_out;
    deflateEnd(&stream);
    return packed > 0 ? packed : store(out, text, count);
}

void gzip_pack_end(char out[GZIP_TRAILER_BYTES], const struct gzip_piece *pieces, size_t count)
{
    unsigned long crc = crc32(0, NULL, 0);
    uint32_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        crc = crc32_combine(crc, pieces[i].crc, (z_off_t)pieces[i].count);
        bytes += (uint32_t)pieces[i].count;
    }
    out[0] = 3; /* an empty block of fixed codes, the last */
    out[1] = 0;
    for (unsigned i = 0; i < 4; i++) {
        out[2 + i] = (char)(crc >> (8 * i));
        out[6 + i] = (char)(bytes >> (8 * i));
    }
}
