/* SPDX-License-Identifier: MIT */
/* A gzip body unpacks to what zlib makes of its members one by one, however it is cut, or is refused where that is; and whatever is
 * packed unpacks again. The first byte says how it is cut. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "server/formats/gzip.h"
#include "tests/formats/json_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 64 << 10 };

struct unpacked {
    bool fine, full; /* full: there was more than ROOM */
    size_t count;
    char bytes[ROOM];
};

static bool take(void *context, const char *bytes, size_t count)
{
    struct unpacked *unpacked = context;
    unpacked->full |= count > ROOM - unpacked->count;
    if (unpacked->full)
        return false;
    memcpy(unpacked->bytes + unpacked->count, bytes, count);
    unpacked->count += count;
    return true;
}

static void unpack(struct unpacked *out, const char *body, size_t count, uint64_t way)
{
    struct memory_budget budget = {.limit = 1 << 20};
    struct arena arena;
    struct convolve_error error = {.slug = NULL};
    uint64_t state = way;
    arena_init(&arena, &budget);
    out->full = false;
    out->count = 0;
    struct gzip_reader *reader = gzip_reader_create(&arena, take, out);
    out->fine = reader != NULL;
    for (size_t at = 0; out->fine && at < count;) {
        const size_t piece = feed_piece_bytes(way, &state, count - at);
        char *copy = malloc(piece);
        memcpy(copy, body + at, piece);
        out->fine = gzip_reader_feed(reader, copy, piece, &error);
        free(copy);
        at += piece;
    }
    out->fine = out->fine && gzip_reader_end(reader, &error);
    if (!out->fine && !out->full && strcmp(error.slug, "malformed-encoding") != 0)
        abort();
    arena_release(&arena);
}

static void unpack_by_zlib(struct unpacked *out, const char *body, size_t count)
{
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)body,
                       .avail_in = (unsigned)count,
                       .next_out = (unsigned char *)out->bytes,
                       .avail_out = ROOM};
    int status;
    if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK)
        abort();
    do
        status = inflate(&stream, Z_FINISH);
    while (status == Z_STREAM_END && stream.avail_in > 0 && inflateReset(&stream) == Z_OK);
    out->fine = status == Z_STREAM_END;
    out->full = status == Z_BUF_ERROR && stream.avail_out == 0;
    out->count = ROOM - stream.avail_out;
    inflateEnd(&stream);
}

static void check_packing(const char *text, size_t count)
{
    struct gzip_piece pieces[2];
    const size_t half = count / 3;
    char *packed = malloc(GZIP_HEADER_BYTES + 2 * gzip_pack_bound(count) + GZIP_TRAILER_BYTES);
    struct unpacked *unpacked = malloc(sizeof *unpacked);
    char *at = mempcpy(packed, gzip_header, GZIP_HEADER_BYTES);
    at += gzip_pack(at, text, half, &pieces[0]);
    at += gzip_pack(at, text + half, count - half, &pieces[1]);
    gzip_pack_end(at, pieces, 2);
    unpack(unpacked, packed, (size_t)(at - packed) + GZIP_TRAILER_BYTES, FEED_WHOLE);
    if (!unpacked->fine || unpacked->count != count || memcmp(unpacked->bytes, text, count) != 0)
        abort();
    free(packed);
    free(unpacked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct unpacked theirs, ours;
    if (size < 1)
        return 0;
    const char *body = (const char *)data + 1;
    const uint64_t ways[] = {FEED_WHOLE, FEED_BYTES, data[0]};
    unpack_by_zlib(&theirs, body, size - 1);
    for (size_t i = 0; i < sizeof ways / sizeof *ways && !theirs.full; i++) {
        unpack(&ours, body, size - 1, ways[i]);
        if (ours.full)
            continue;
        if (ours.fine != theirs.fine ||
            (ours.fine && (ours.count != theirs.count || memcmp(ours.bytes, theirs.bytes, ours.count) != 0))) {
            fprintf(stderr, "way %d: fine %d, %zu bytes; zlib: fine %d, %zu bytes\n", (int)ways[i], ours.fine,
                    ours.count, theirs.fine, theirs.count);
            abort();
        }
    }
    check_packing(body, size - 1);
    return 0;
}
