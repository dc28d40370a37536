/* SPDX-License-Identifier: MIT */
/* Bytes on a socket, for what libcurl would never send: broken framing, pieces of one byte, pipelines, early hang-ups. */
#include "tests/http/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int raw_open(const struct child *child)
{
    return raw_open_window(child, 0);
}

int raw_open_window(const struct child *child, int bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)child->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    if (bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

bool raw_send(int fd, const char *bytes, size_t count)
{
    while (count) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        bytes += sent;
        count -= (size_t)sent;
    }
    return true;
}

bool raw_send_text(int fd, const char *text)
{
    return raw_send(fd, text, strlen(text));
}

/* One read; -1 where nothing comes in time, 0 where the other side has closed (or reset). */
static ssize_t read_some(int fd, char *bytes, size_t room, int milliseconds)
{
    double until = now_ms() + milliseconds * slowness();
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        double left = until - now_ms();
        int ready = poll(&poll_fd, 1, left > 0 ? (int)left + 1 : 0);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return -1;
        ssize_t taken = recv(fd, bytes, room, 0);
        if (taken < 0 && errno == EINTR)
            continue;
        return taken < 0 ? 0 : taken;
    }
}

const char *raw_read_to_close(int fd, size_t *count, int milliseconds)
{
    size_t room = 65536, taken = 0;
    char *bytes = malloc(room);
    const char *text = NULL;
    for (;;) {
        assert_non_null(bytes);
        ssize_t got = read_some(fd, bytes + taken, room - taken, milliseconds);
        if (got < 0)
            break;
        if (got == 0) {
            text = text_copy(bytes, taken);
            break;
        }
        taken += (size_t)got;
        if (taken == room)
            bytes = realloc(bytes, room *= 2);
    }
    free(bytes);
    if (count)
        *count = taken;
    return text;
}

/* Reads byte by byte up to the blank line: slow, and never takes what belongs to the next answer. */
static bool read_head(int fd, char *head, size_t room)
{
    size_t count = 0;
    while (count + 1 < room) {
        if (read_some(fd, head + count, 1, 120000) != 1)
            return false;
        head[++count] = 0;
        if (count >= 4 && !memcmp(head + count - 4, "\r\n\r\n", 4))
            return true;
    }
    return false;
}

/* Exactly so many bytes after those that `body` has; false where fewer come. */
static bool read_exactly(int fd, char **body, size_t *taken, size_t bytes)
{
    char *larger = realloc(*body, *taken + bytes + 1);
    assert_non_null(larger);
    *body = larger;
    for (size_t end = *taken + bytes; *taken < end;) {
        ssize_t got = read_some(fd, *body + *taken, end - *taken, 120000);
        if (got <= 0)
            return false;
        *taken += (size_t)got;
    }
    return true;
}

static bool read_chunk_line(int fd, char *line, size_t room)
{
    for (size_t count = 0; count + 1 < room; count++) {
        if (read_some(fd, line + count, 1, 120000) != 1)
            return false;
        line[count + 1] = 0;
        if (line[count] == '\n')
            return true;
    }
    return false;
}

static bool read_chunks(int fd, char **body, size_t *taken)
{
    char line[256];
    while (read_chunk_line(fd, line, sizeof line)) {
        size_t bytes = (size_t)strtoull(line, NULL, 16);
        if (bytes && !read_exactly(fd, body, taken, bytes))
            return false;
        if (!read_chunk_line(fd, line, sizeof line)) /* the end of the chunk, or the blank line after the last */
            return false;
        if (!bytes)
            return true;
    }
    return false;
}

struct answer raw_read_answer(int fd, bool head)
{
    struct answer answer = {.head = "", .body = ""};
    static __thread char text[65536];
    do {
        if (!read_head(fd, text, sizeof text))
            return answer;
        if (strlen(text) < 12 || strncmp(text, "HTTP/1.", 7) != 0)
            return answer;
        answer.status = atol(text + 9);
    } while (answer.status == 100);
    answer.head = text_copy(text, strlen(text));
    const char *length = header_of(&answer, "Content-Length");
    const char *coding = header_of(&answer, "Transfer-Encoding");
    if (head || answer.status == 204 || (!length && !coding))
        return answer;
    char *body = NULL;
    size_t taken = 0;
    bool whole =
        coding ? read_chunks(fd, &body, &taken) : read_exactly(fd, &body, &taken, (size_t)strtoull(length, NULL, 10));
    answer.body = text_copy(body, taken);
    answer.body_bytes = taken;
    if (!whole)
        answer.status = 0;
    free(body);
    return answer;
}

struct answer raw_exchange(const struct child *child, const char *request)
{
    int fd = raw_open(child);
    struct answer answer = {.head = "", .body = ""};
    if (fd < 0)
        return answer;
    raw_send_text(fd, request);
    answer = raw_read_answer(fd, !strncmp(request, "HEAD ", 5));
    close(fd);
    return answer;
}

bool raw_is_closed(int fd, int milliseconds)
{
    char byte[256];
    ssize_t got;
    while ((got = read_some(fd, byte, sizeof byte, milliseconds)) > 0)
        continue;
    return got == 0;
}
