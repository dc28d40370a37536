/* SPDX-License-Identifier: MIT */
/* An answer that is encoded while it is sent. The parts of a ring take turns: while the pieces of one are sent, the pool writes
 * those of the others, each part a small job and each piece a tile of it. So memory is bounded whatever the size of the answer,
 * and a slow reader holds the ring and no thread. Where the reader is faster, the connection is suspended until some parts are
 * ready: waking it for each would cost as much as sending that one does. */
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "server/listener_parts.h"
#include "server/listener_request.h"
#include "server/turns.h"

/* A part has a piece for each thread, and the ring little more than the caches hold. */
enum { RING_PARTS = 8, RING_PARTS_MIN = 2, RESUME_PARTS = 3, RING_BYTES = 2 << 20, BLOCK_BYTES = 32 << 10 };

struct part {
    struct job job;
    struct stream *stream;
    char *room; /* per_part pieces of piece_bytes_max */
    size_t *bytes; /* of each piece written */
    size_t first, count; /* pieces of the whole; 0: there was nothing left for it */
    bool ready; /* guarded by stream->lock */
};

struct stream {
    struct exchange *exchange;
    struct response_stream source;
    size_t per_part, next_piece; /* next_piece: the first that no part has */
    struct part ring[RING_PARTS];
    unsigned part_count; /* of the ring, in use */
    pthread_mutex_t lock;
    bool waiting; /* suspended until it has enough; guarded by lock */

    /* Where the sending is; only the connection's thread looks, and who wakes it. */
    enum { SEND_HEAD, SEND_PIECES, SEND_TAIL } state;
    unsigned turn;
    size_t piece, offset; /* the piece within the part; the byte within piece, head or tail */
};

static size_t part_tile_count(struct job *job, unsigned stage)
{
    (void)stage;
    return ((const struct part *)job)->count;
}

static void part_run_tile(struct job *job, unsigned stage, size_t tile, void *scratch)
{
    struct part *part = (struct part *)job;
    const struct response_stream *source = &part->stream->source;
    (void)stage, (void)scratch;
    part->bytes[tile] = source->write(source, part->first + tile, part->room + tile * source->piece_bytes_max);
}

/* Whether a sender that waits has enough to go on with: some parts in a row, or all that there are. The very first is enough
 * alone, so that the answer begins. */
static bool has_enough(const struct stream *stream)
{
    const bool begins = stream->ring[stream->turn].first == 0;
    for (unsigned i = 0; i < (begins ? 1 : RESUME_PARTS) && i < stream->part_count; i++) {
        const struct part *part = &stream->ring[(stream->turn + i) % stream->part_count];
        if (part->count == 0)
            break;
        if (!part->ready)
            return false;
    }
    return true;
}

static void part_done(struct job *job)
{
    struct part *part = (struct part *)job;
    struct stream *stream = part->stream;
    struct exchange *exchange = stream->exchange;

    pthread_mutex_lock(&stream->lock);
    part->ready = true;
    const bool wakes = stream->waiting && has_enough(stream);
    if (wakes)
        stream->waiting = false;
    pthread_mutex_unlock(&stream->lock);
    if (wakes)
        exchange_resume(exchange);
    exchange_drop(exchange);
}

/* Lets the pool write the next pieces into a part whose old ones are sent. */
static void part_begin(struct stream *stream, struct part *part)
{
    const size_t left = stream->source.piece_count - stream->next_piece;
    struct pool *pool = stream->exchange->request.daemon->pool;

    part->first = stream->next_piece;
    part->count = left < stream->per_part ? left : stream->per_part;
    stream->next_piece += part->count;
    if (part->count == 0)
        return;
    part->job = (struct job){.stage_count = 1,
                             .tile_count = part_tile_count,
                             .run_tile = part_run_tile,
                             .done = part_done,
                             .follows = true,
                             .work = part->count * stream->source.piece_bytes_max};
    pthread_mutex_lock(&stream->lock);
    part->ready = false;
    pthread_mutex_unlock(&stream->lock);
    exchange_hold(stream->exchange);
    if (pool_submit(pool, &part->job))
        return;
    /* There is no memory; an answer that has begun cannot be refused any more, so this thread writes. */
    for (size_t tile = 0; tile < part->count; tile++)
        part_run_tile(&part->job, 0, tile, NULL);
    part_done(&part->job);
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

static bool part_is_ready(struct stream *stream, const struct part *part)
{
    pthread_mutex_lock(&stream->lock);
    const bool ready = part->ready;
    pthread_mutex_unlock(&stream->lock);
    return ready;
}

static size_t copy_pieces(struct stream *stream, char *out, size_t room)
{
    size_t used = 0;
    while (used < room) {
        struct part *part = &stream->ring[stream->turn];
        if (part->count == 0) { /* all pieces are sent, so all are written */
            if (stream->source.finish != NULL)
                stream->source.finish(&stream->source);
            stream->state = SEND_TAIL;
            stream->offset = 0;
            break;
        }
        if (!part_is_ready(stream, part))
            break;
        used += copy_text(stream, out + used, room - used, part->room + stream->piece * stream->source.piece_bytes_max,
                          part->bytes[stream->piece]);
        if (stream->offset < part->bytes[stream->piece])
            break;
        stream->offset = 0;
        if (++stream->piece < part->count)
            continue;
        stream->piece = 0;
        part_begin(stream, part);
        stream->turn = (stream->turn + 1) % stream->part_count;
    }
    return used;
}

/* Nothing is ready: sleeps until it is. False: it has become ready meanwhile. */
static bool wait_for_part(struct stream *stream)
{
    struct connection *connection = stream->exchange->connection;
    pthread_mutex_lock(&stream->lock);
    const bool wait = !stream->ring[stream->turn].ready;
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
        if (stream->state == SEND_HEAD) {
            used = copy_text(stream, out, room, response->body, response->body_bytes);
            if (stream->offset == response->body_bytes) {
                stream->state = SEND_PIECES;
                stream->offset = 0;
            }
        }
        if (stream->state == SEND_PIECES)
            used += copy_pieces(stream, out + used, room - used);
        if (stream->state == SEND_TAIL)
            used += copy_text(stream, out + used, room - used, response->tail, response->tail_bytes);
        if (used > 0) {
            turns_give_way();
            return (ssize_t)used;
        }
        if (stream->state == SEND_TAIL)
            return MHD_CONTENT_READER_END_OF_STREAM;
    } while (!wait_for_part(stream));
    return 0;
}

static void stream_freed(void *context)
{
    exchange_drop(((struct stream *)context)->exchange); /* parts that are still being written hold it too */
}

/* Room for the parts, and for the length of each of their pieces. */
static bool ring_take(struct stream *stream, struct arena *arena, unsigned parts, size_t per_part)
{
    size_t pieces = parts * per_part, bytes;
    if (__builtin_mul_overflow(pieces, stream->source.piece_bytes_max, &bytes))
        return false;
    char *room = arena_block(arena, bytes);
    size_t *lengths = arena_alloc(arena, pieces * sizeof *lengths);
    if (room == NULL || lengths == NULL) {
        arena_block_free(arena, room);
        return false;
    }
    stream->part_count = parts;
    stream->per_part = per_part;
    for (unsigned i = 0; i < parts; i++)
        stream->ring[i] =
            (struct part){.stream = stream, .room = room + i * (bytes / parts), .bytes = lengths + i * per_part};
    return true;
}

struct MHD_Response *stream_open(struct exchange *exchange)
{
    struct arena *arena = &exchange->request.arena;
    const struct response_stream *source = &exchange->response.stream;
    struct stream *stream = arena_alloc(arena, sizeof *stream);
    const size_t threads = exchange->request.daemon->threads;
    size_t per_part = source->piece_bytes_max > 0 ? RING_BYTES / RING_PARTS / source->piece_bytes_max : 1;
    unsigned parts = RING_PARTS;

    if (per_part > threads)
        per_part = threads;
    if (per_part < 1)
        per_part = 1;
    if (stream == NULL)
        return NULL;
    memset(stream, 0, sizeof *stream);
    stream->exchange = exchange;
    stream->source = *source;
    while (!ring_take(stream, arena, parts, per_part)) {
        /* Where memory is short a result that is there is sent by less at a time. */
        if (per_part > 1)
            per_part /= 2;
        else if ((parts /= 2) < RING_PARTS_MIN)
            return NULL;
    }
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
    for (unsigned i = 0; i < parts; i++)
        part_begin(stream, &stream->ring[i]);
    return made;
}

void stream_close(struct stream *stream)
{
    if (stream != NULL)
        pthread_mutex_destroy(&stream->lock);
}
