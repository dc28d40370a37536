/* SPDX-License-Identifier: MIT */
/* Reads answers by their Content-Length or their chunks. */
#include "tests/http/soak_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

void soak_client_init(struct soak_client *client, const struct child *child)
{
    *client = (struct soak_client){.child = child, .fd = -1, .room = 1 << 16};
    client->bytes = malloc(client->room);
    assert_non_null(client->bytes);
}

void soak_client_close(struct soak_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->count = 0;
}

void soak_client_release(struct soak_client *client)
{
    soak_client_close(client);
    free(client->bytes);
    free(client->body);
}

bool soak_client_send(struct soak_client *client, const char *bytes, size_t count)
{
    if (client->fd < 0) {
        const struct timeval patience = {.tv_sec = (time_t)(30 * slowness())};
        client->count = 0;
        client->fd = raw_open(client->child);
        if (client->fd < 0)
            return false;
        setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    return raw_send(client->fd, bytes, count);
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
        const ssize_t got = recv(client->fd, client->bytes + client->count, client->room - 1 - client->count, 0);
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

/* What was given out last is thrown away. */
static void drop_last(struct soak_client *client, size_t end)
{
    memmove(client->bytes, client->bytes + end, client->count - end);
    client->count -= end;
}

int soak_client_answer(struct soak_client *client)
{
    size_t end;

    const size_t head = client->fd >= 0 ? after_mark(client, 0, "\r\n\r\n") : 0;
    if (head == 0 || strncmp(client->bytes, "HTTP/1.1 ", 9) != 0) {
        soak_client_close(client);
        return 0;
    }
    const int status = atoi(client->bytes + 9);
    client->bytes[head - 1] = '\0';
    const char *length = strcasestr(client->bytes, "\r\nContent-Length: ");
    const bool closes = strcasestr(client->bytes, "\r\nConnection: close") != NULL;
    const bool chunked = strcasestr(client->bytes, "\r\nTransfer-Encoding: chunked") != NULL;
    client->has_retry_after = strcasestr(client->bytes, "\r\nRetry-After: ") != NULL;
    client->body_bytes = length != NULL ? strtoul(length + 18, NULL, 10) : 0;
    end = head + client->body_bytes;
    if (chunked ? !join_chunks(client, head, &end) : !fill(client, end)) {
        soak_client_close(client);
        return 0;
    }
    if (client->body_room < client->body_bytes + 1) {
        free(client->body);
        client->body_room = client->body_bytes + 1;
        client->body = malloc(client->body_room);
        assert_non_null(client->body);
    }
    memcpy(client->body, client->bytes + head, client->body_bytes);
    client->body[client->body_bytes] = '\0';
    drop_last(client, end);
    if (closes)
        soak_client_close(client);
    return status;
}
