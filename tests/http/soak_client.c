/* SPDX-License-Identifier: MIT */
/* Reads answers by their Content-Length or their chunks. */
#include "tests/http/soak_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/http/tls.h"

void soak_client_init(struct soak_client *client, const struct child *child)
{
    *client = (struct soak_client){.child = child, .fd = -1, .room = 1 << 16};
    client->speaks_tls = strncmp(child->address, "https:", 6) == 0;
    client->bytes = malloc(client->room);
    assert_non_null(client->bytes);
}

void soak_client_close(struct soak_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    tls_close(client->tls);
    client->fd = -1;
    client->tls = NULL;
    client->count = 0;
}

void soak_client_release(struct soak_client *client)
{
    soak_client_close(client);
    free(client->bytes);
    free(client->body);
}

static bool is_open(const struct soak_client *client)
{
    return client->fd >= 0 || client->tls != NULL;
}

static bool open_connection(struct soak_client *client)
{
    const struct timeval patience = {.tv_sec = (time_t)(120 * slowness())};
    const char *reason;
    client->count = 0;
    if (client->speaks_tls) {
        client->tls = tls_open(client->child, "NORMAL", &reason);
        return client->tls != NULL;
    }
    client->fd = raw_open(client->child);
    if (client->fd < 0)
        return false;
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return true;
}

bool soak_client_send(struct soak_client *client, const char *bytes, size_t count)
{
    if (!is_open(client) && !open_connection(client))
        return false;
    return client->tls != NULL ? tls_send(client->tls, bytes, count) : raw_send(client->fd, bytes, count);
}

/* Receives until `count` bytes are there. */
static bool fill(struct soak_client *client, size_t count)
{
    while (client->count < count) {
        if (client->room < count + 1) {
            client->room = 2 * count + 1;
            client->bytes = realloc(client->bytes, client->room);
            assert_non_null(client->bytes);
        }
        char *to = client->bytes + client->count;
        const size_t room = client->room - 1 - client->count;
        const ssize_t got = client->tls != NULL ? tls_receive(client->tls, to, room) : recv(client->fd, to, room, 0);
        if (got <= 0)
            return false;
        client->count += (size_t)got;
    }
    return true;
}

/* The place after the next `mark` from `from` on; 0: it never came. */
static size_t after_mark(struct soak_client *client, size_t from, const char *mark)
{
    for (;;) {
        client->bytes[client->count] = '\0';
        const char *found = client->count > from ? strstr(client->bytes + from, mark) : NULL;
        if (found != NULL)
            return (size_t)(found - client->bytes) + strlen(mark);
        if (!fill(client, client->count + 1))
            return 0;
    }
}

/* Joins the chunks that begin at `head`, in place; `*end` is then where the next answer begins. False: cut. */
static bool join_chunks(struct soak_client *client, size_t head, size_t *end)
{
    size_t at = head, joined = head;
    for (;;) {
        const size_t data = after_mark(client, at, "\r\n");
        if (data == 0)
            return false;
        const size_t bytes = strtoul(client->bytes + at, NULL, 16);
        if (!fill(client, data + bytes + 2))
            return false;
        memmove(client->bytes + joined, client->bytes + data, bytes);
        joined += bytes;
        at = data + bytes + 2;
        if (bytes == 0)
            break;
    }
    client->body_bytes = joined - head;
    *end = at;
    return true;
}

static void make_room(struct soak_client *client, size_t bytes)
{
    if (client->body_room >= bytes + 1)
        return;
    client->body_room = 2 * bytes + 1;
    client->body = realloc(client->body, client->body_room);
    assert_non_null(client->body);
}

static void keep_body(struct soak_client *client, const char *bytes)
{
    make_room(client, client->body_bytes);
    memcpy(client->body, bytes, client->body_bytes);
    client->body[client->body_bytes] = '\0';
}

/* False: it is not one whole gzip member. */
static bool unpack_body(struct soak_client *client, const char *bytes)
{
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)bytes, .avail_in = (unsigned)client->body_bytes};
    int result = Z_OK;
    assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
    while (result == Z_OK) {
        make_room(client, 2 * stream.total_out + 1024);
        stream.next_out = (unsigned char *)client->body + stream.total_out;
        stream.avail_out = (unsigned)(client->body_room - 1 - stream.total_out);
        result = inflate(&stream, Z_NO_FLUSH);
    }
    client->body_bytes = stream.total_out;
    client->body[client->body_bytes] = '\0';
    inflateEnd(&stream);
    return result == Z_STREAM_END && stream.avail_in == 0;
}

/* What was given out last is thrown away. */
static void drop_last(struct soak_client *client, size_t end)
{
    memmove(client->bytes, client->bytes + end, client->count - end);
    client->count -= end;
}

int soak_client_answer(struct soak_client *client)
{
    size_t end;

    const size_t head = is_open(client) ? after_mark(client, 0, "\r\n\r\n") : 0;
    if (head == 0 || strncmp(client->bytes, "HTTP/1.1 ", 9) != 0) {
        soak_client_close(client);
        return 0;
    }
    int status = atoi(client->bytes + 9);
    client->bytes[head - 1] = '\0';
    const char *length = strcasestr(client->bytes, "\r\nContent-Length: ");
    const bool closes = strcasestr(client->bytes, "\r\nConnection: close") != NULL;
    const bool chunked = strcasestr(client->bytes, "\r\nTransfer-Encoding: chunked") != NULL;
    client->has_retry_after = strcasestr(client->bytes, "\r\nRetry-After: ") != NULL;
    client->was_packed = strcasestr(client->bytes, "\r\nContent-Encoding: gzip") != NULL;
    client->body_bytes = length != NULL ? strtoul(length + 18, NULL, 10) : 0;
    end = head + client->body_bytes;
    if (chunked ? !join_chunks(client, head, &end) : !fill(client, end)) {
        soak_client_close(client);
        return 0;
    }
    if (!client->was_packed)
        keep_body(client, client->bytes + head);
    else if (!unpack_body(client, client->bytes + head))
        status = 0;
    drop_last(client, end);
    if (closes)
        soak_client_close(client);
    return status;
}
