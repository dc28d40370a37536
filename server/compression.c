/* SPDX-License-Identifier: MIT */
/* A packed answer is one gzip member of pieces that know nothing of one another (server/formats/gzip.h): slices of what lay before
 * the stream, the stream's own pieces, slices of what lay behind it. So packing is spread over the pool like writing. */
#include "server/compression.h"

#include <string.h>

#include "server/formats/gzip.h"
#include "server/request.h"
#include "server/response.h"

enum {
    PACKED_BYTES_MIN = 1 << 10, /* below it a packet carries either */
    AT_ONCE_BYTES_MAX = 32 << 10, /* packed where it was made */
    SLICE_BYTES = 64 << 10,
    SAMPLE_BYTES = 8 << 10,
};

struct packing {
    const char *before, *behind;
    size_t before_bytes, behind_bytes, before_pieces, behind_pieces;
    struct response_stream inner; /* no pieces where there is none */
    struct gzip_piece *pieces;
    char *trailer;
};

static size_t slice_count(size_t bytes)
{
    return (bytes + SLICE_BYTES - 1) / SLICE_BYTES;
}

static size_t pack_slice(char *out, const char *text, size_t bytes, size_t slice, struct gzip_piece *piece)
{
    const size_t begin = slice * SLICE_BYTES;
    return gzip_pack(out, text + begin, bytes - begin < SLICE_BYTES ? bytes - begin : SLICE_BYTES, piece);
}

/* The text of an inner piece stands behind the room that it is packed into. */
static size_t write_piece(const struct response_stream *stream, size_t index, char *out)
{
    const struct packing *packing = stream->context;
    struct gzip_piece *piece = &packing->pieces[index];
    if (index < packing->before_pieces)
        return pack_slice(out, packing->before, packing->before_bytes, index, piece);
    index -= packing->before_pieces;
    if (index >= packing->inner.piece_count)
        return pack_slice(out, packing->behind, packing->behind_bytes, index - packing->inner.piece_count, piece);
    char *const text = out + gzip_pack_bound(packing->inner.piece_bytes_max);
    return gzip_pack(out, text, packing->inner.write(&packing->inner, index, text), piece);
}

static void finish(const struct response_stream *stream)
{
    const struct packing *packing = stream->context;
    gzip_pack_end(packing->trailer, packing->pieces, stream->piece_count);
}

static bool pack_stream(struct response *response, struct request *request)
{
    struct packing *packing = arena_alloc(&request->arena, sizeof *packing);
    size_t piece_bytes = gzip_pack_bound(SLICE_BYTES), inner_bytes, bytes;
    if (packing == NULL)
        return false;
    *packing = (struct packing){.before = response->body,
                                .behind = response->tail,
                                .before_bytes = response->body_bytes,
                                .behind_bytes = response->tail_bytes,
                                .before_pieces = slice_count(response->body_bytes),
                                .behind_pieces = slice_count(response->tail_bytes)};
    if (response->has_stream)
        packing->inner = response->stream;
    const size_t count = packing->before_pieces + packing->inner.piece_count + packing->behind_pieces;
    inner_bytes = gzip_pack_bound(packing->inner.piece_bytes_max) + packing->inner.piece_bytes_max;
    piece_bytes = packing->inner.piece_count > 0 && inner_bytes > piece_bytes ? inner_bytes : piece_bytes;
    if (__builtin_mul_overflow(count, sizeof *packing->pieces, &bytes))
        return false;
    packing->pieces = arena_alloc(&request->arena, bytes);
    packing->trailer = arena_alloc(&request->arena, GZIP_TRAILER_BYTES);
    if (packing->pieces == NULL || packing->trailer == NULL)
        return false;
    response->body = gzip_header;
    response->body_bytes = GZIP_HEADER_BYTES;
    response->has_stream = true;
    response->stream = (struct response_stream){.piece_count = count,
                                                .piece_bytes_max = piece_bytes,
                                                .write = write_piece,
                                                .finish = finish,
                                                .context = packing};
    response->tail = packing->trailer;
    response->tail_bytes = GZIP_TRAILER_BYTES;
    return true;
}

static bool pack_at_once(struct response *response, struct request *request)
{
    struct gzip_piece piece;
    char *const packed =
        arena_alloc(&request->arena, GZIP_HEADER_BYTES + gzip_pack_bound(response->body_bytes) + GZIP_TRAILER_BYTES);
    if (packed == NULL)
        return false;
    char *at = mempcpy(packed, gzip_header, GZIP_HEADER_BYTES);
    at += gzip_pack(at, response->body, response->body_bytes, &piece);
    gzip_pack_end(at, &piece, 1);
    response->body = packed;
    response->body_bytes = (size_t)(at - packed) + GZIP_TRAILER_BYTES;
    return true;
}

/* Values of measurements are noise and stay as long as they are; those of masks and counts shrink. From the middle, since arrays
 * often begin with nothing. */
static bool shrinks(const struct response *response, struct request *request)
{
    const size_t bytes = response->body_bytes < SAMPLE_BYTES ? response->body_bytes : SAMPLE_BYTES;
    char *const packed = arena_alloc(&request->arena, gzip_pack_bound(SAMPLE_BYTES));
    struct gzip_piece piece;
    return packed != NULL &&
           gzip_pack(packed, response->body + (response->body_bytes - bytes) / 2, bytes, &piece) < bytes / 4 * 3;
}

void compression_apply(struct response *response, struct request *request)
{
    const bool is_npy = response->content_type != NULL && strcmp(response->content_type, "application/x-npy") == 0;
    const bool is_picture = response->content_type != NULL && strncmp(response->content_type, "image/", 6) == 0;
    if ((!response->has_stream && response->body_bytes < PACKED_BYTES_MIN) || is_picture) /* which is packed already */
        return;
    response->varies |= VARIES_ACCEPT_ENCODING;
    if (!media_asks_gzip(request) || (is_npy && !shrinks(response, request)))
        return;
    const bool at_once =
        !response->has_stream && response->tail_bytes == 0 && response->body_bytes <= AT_ONCE_BYTES_MAX;
    if (at_once ? pack_at_once(response, request) : pack_stream(response, request))
        response_header(response, "Content-Encoding", "gzip");
}
