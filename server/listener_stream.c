/* SPDX-License-Identifier: MIT */
/* An answer that is encoded while it is sent. Two halves of a ring take turns: while the pieces of one are sent, the pool writes
 * those of the other, each piece a tile of a small job. So memory is bounded whatever the size of the answer, and a slow reader
 * holds two halves and no thread. Where the reader is faster, the connection is suspended until the next half is ready. */
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "server/listener_parts.h"
#include "server/listener_request.h"

/* A half is many pieces, so that waking threads for it costs little beside writing it. */
enum { HALF_BYTES = 1 << 20, PIECES_PER_THREAD = 4, BLOCK_BYTES = 32 << 10 };

struct half {
    struct job job;
    struct stream *stream;
    char *room; /* per_half pieces of piece_bytes_max */
    size_t *bytes; /* of each piece written */
    size_t first, count; /* pieces of the whole */
    bool ready; /* guarded by stream->lock */
};

struct stream {
    struct exchange *exchange;
    struct response_stream source;
    size_t per_half, next_piece; /* next_piece: the first that no half has */
    struct half halves[2];
    pthread_mutex_t lock;
    bool waiting; /* suspended until halves[turn] is ready; guarded by lock */

    /* Where the sending is; only the connection's thread looks. */
    enum { SEND_HEAD, SEND_PIECES, SEND_TAIL } part;
    unsigned turn;
    size_t piece, offset; /* the piece within the half; the byte within piece, head or tail */
};

static size_t half_tile_count(struct job *job, unsigned stage)
{
    (void)stage;
    return ((const struct half *)job)->count;
}

static void half_run_tile(struct job *job, unsigned stage, size_t tile, void *scratch)
{
    struct half *half = (struct half *)job;
    const struct response_stream *source = &half->stream->source;
    (void)stage, (void)scratch;
    half->bytes[tile] = source->write(source, half->first + tile, half->room + tile * source->piece_bytes_max);
}

static void half_done(struct job *job)
{
    struct half *half = (struct half *)job;
    struct stream *stream = half->stream;
    struct exchange *exchange = stream->exchange;

    pthread_mutex_lock(&stream->lock);
    half->ready = true;
    const bool was_waiting = stream->waiting && half == &stream->halves[stream->turn];
    if (was_waiting)
        stream->waiting = false;
    pthread_mutex_unlock(&stream->lock);
    if (was_waiting)
        exchange_resume(exchange);
    exchange_drop(exchange);
}

/* Lets the pool write the next pieces into a half whose old ones are sent. */
static void half_begin(struct stream *stream, struct half *half)
{
    const size_t left = stream->source.piece_count - stream->next_piece;
    struct pool *pool = stream->exchange->request.daemon->pool;

    half->first = stream->next_piece;
    half->count = left < stream->per_half ? left : stream->per_half;
    stream->next_piece += half->count;
    if (half->count == 0)
        return;
    half->job = (struct job){.stage_count = 1,
                             .tile_count = half_tile_count,
                             .run_tile = half_run_tile,
                             .done = half_done,
                             .follows = true,
                             .work = half->count * stream->source.piece_bytes_max};
    pthread_mutex_lock(&stream->lock);
    half->ready = false;
    pthread_mutex_unlock(&stream->lock);
    exchange_hold(stream->exchange);
    if (pool_submit(pool, &half->job))
        return;
    /* There is no memory; an answer that has begun cannot be refused any more, so this thread writes. */
    for (size_t tile = 0; tile < half->count; tile++)
        half_run_tile(&half->job, 0, tile, NULL);
    half_done(&half->job);
}

/* Copies from a fixed text; moves on to `next` at its end. */
static size_t copy_text(struct stream *stream, char *out, size_t room, const char *text, size_t bytes)
{
    size_t count = bytes - stream->offset;
    if (count > room)
        count = room;
    if (count > 0)
        memcpy(out, text + stream->offset, count);
    stream->offset += count;
    return count;
}

static bool half_is_ready(struct stream *stream, const struct half *half)
{
    pthread_mutex_lock(&stream->lock);
    const bool ready = half->ready;
    pthread_mutex_unlock(&stream->lock);
    return ready;
}

static size_t copy_pieces(struct stream *stream, char *out, size_t room)
{
    size_t used = 0;
    while (used < room) {
        struct half *half = &stream->halves[stream->turn];
        if (half->count == 0) { /* there was nothing left for it */
            if (stream->source.finish != NULL)
                stream->source.finish(&stream->source);
            stream->part = SEND_TAIL;
            stream->offset = 0;
            break;
        }
        if (!half_is_ready(stream, half))
            break;
        used += copy_text(stream, out + used, room - used, half->room + stream->piece * stream->source.piece_bytes_max,
                          half->bytes[stream->piece]);
        if (stream->offset < half->bytes[stream->piece])
            break;
        stream->offset = 0;
        if (++stream->piece < half->count)
            continue;
        stream->piece = 0;
        half_begin(stream, half);
        stream->turn = !stream->turn;
    }
    return used;
}

/* Nothing is ready: sleeps until it is. False: it has become ready meanwhile. */
static bool wait_for_half(struct stream *stream)
{
    struct connection *connection = stream->exchange->connection;
    pthread_mutex_lock(&stream->lock);
    const bool wait = !stream->halves[stream->turn].ready;
    if (wait) {
        pthread_mutex_lock(&connection->lock);
        connection->blocked = true;
        pthread_mutex_unlock(&connection->lock);
        stream->waiting = true;
        exchange_suspend(stream->exchange);
    }
    pthread_mutex_unlock(&stream->lock);
    return wait;
}

/* False: nobody wants the rest. Then the socket is dead, so that whatever is written next fails: a reader that reports an error
 * makes libmicrohttpd 0.9.75 forget the connection (closed, but never cleaned up); a write that fails does not. */
static bool may_go_on(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    const bool wanted = !connection->gone && !connection->cut;
    if (!wanted)
        shutdown(connection->descriptor, SHUT_RDWR);
    if (connection->blocked) {
        connection->blocked = false;
        connection->since_ns = clock_now_ns();
    }
    pthread_mutex_unlock(&connection->lock);
    return wanted;
}

static ssize_t stream_read(void *context, uint64_t position, char *out, size_t room)
{
    struct stream *stream = context;
    const struct response *response = &stream->exchange->response;
    size_t used = 0;
    (void)position;

    if (!may_go_on(stream->exchange->connection)) {
        out[0] = '\n';
        return 1;
    }
    do {
        if (stream->part == SEND_HEAD) {
            used = copy_text(stream, out, room, response->body, response->body_bytes);
            if (stream->offset == response->body_bytes) {
                stream->part = SEND_PIECES;
                stream->offset = 0;
            }
        }
        if (stream->part == SEND_PIECES)
            used += copy_pieces(stream, out + used, room - used);
        if (stream->part == SEND_TAIL)
            used += copy_text(stream, out + used, room - used, response->tail, response->tail_bytes);
        if (used > 0)
            return (ssize_t)used;
        if (stream->part == SEND_TAIL)
            return MHD_CONTENT_READER_END_OF_STREAM;
    } while (!wait_for_half(stream));
    return 0;
}

static void stream_freed(void *context)
{
    exchange_drop(((struct stream *)context)->exchange); /* halves that are still being written hold it too */
}

/* Room for both halves, and for the length of each of their pieces. */
static bool halves_take(struct stream *stream, struct arena *arena, size_t per_half)
{
    size_t bytes;
    if (__builtin_mul_overflow(per_half, stream->source.piece_bytes_max, &bytes))
        return false;
    for (size_t i = 0; i < 2; i++) {
        struct half *half = &stream->halves[i];
        half->stream = stream;
        half->room = arena_block(arena, bytes);
        half->bytes = arena_alloc(arena, per_half * sizeof *half->bytes);
        if (half->room != NULL && half->bytes != NULL)
            continue;
        for (size_t k = 0; k <= i; k++)
            arena_block_free(arena, stream->halves[k].room);
        return false;
    }
    stream->per_half = per_half;
    return true;
}

struct MHD_Response *stream_open(struct exchange *exchange)
{
    struct arena *arena = &exchange->request.arena;
    const struct response_stream *source = &exchange->response.stream;
    struct stream *stream = arena_alloc(arena, sizeof *stream);
    size_t per_half = source->piece_bytes_max > 0 ? HALF_BYTES / source->piece_bytes_max : 1;

    if (per_half > (size_t)PIECES_PER_THREAD * exchange->request.daemon->threads)
        per_half = (size_t)PIECES_PER_THREAD * exchange->request.daemon->threads;
    if (per_half < 1)
        per_half = 1;
    if (stream == NULL)
        return NULL;
    memset(stream, 0, sizeof *stream);
    stream->exchange = exchange;
    stream->source = *source;
    while (!halves_take(stream, arena,
                        per_half)) /* where memory is short a result that is there is sent by less at a time */
        if ((per_half /= 2) == 0)
            return NULL;
    struct MHD_Response *made = NULL;
    exchange_hold(exchange);
    pthread_mutex_init(&stream->lock, NULL);
    exchange->stream = stream;
    made = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_read, stream, stream_freed);
    if (made == NULL) {
        exchange_drop(exchange);
        return NULL;
    }
    /* From here on the response owns a hold: the library calls stream_freed. */
    for (size_t i = 0; i < 2; i++)
        half_begin(stream, &stream->halves[i]);
    return made;
}

void stream_close(struct stream *stream)
{
    if (stream != NULL)
        pthread_mutex_destroy(&stream->lock);
}
