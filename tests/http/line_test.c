/* SPDX-License-Identifier: MIT */
/* Large requests of one I/O thread take turns; whoever stops in the middle of one keeps nobody else from his turn, and has his own
 * when he goes on. All callers are moved on by one loop, so that each does what the test says at the moment that it says. */
#include "tests/http/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

enum { SIDE = 700, HUGE_BYTES = 48 << 20, BUSY = 6, ROUNDS = 4, CALLERS_MAX = 16, PATIENCE_MS = 60000 };

struct caller {
    const char *name, *request, *expected; /* expected: the body of the answer */
    size_t request_bytes;
    size_t sends, reads; /* no more than so many bytes for now */
    int rounds; /* requests still to be answered */
    bool closes; /* once it has sent and read what it may */
    int window; /* of its socket; 0: as usual */

    int fd;
    size_t sent, got, room;
    char *bytes;
    int wrong, lost;
};

static void begin(struct caller *caller, const struct child *child)
{
    caller->fd = raw_open_window(child, caller->window);
    assert_true(caller->fd >= 0);
    fcntl(caller->fd, F_SETFL, O_NONBLOCK);
    caller->sent = caller->got = 0;
}

static void end(struct caller *caller)
{
    close(caller->fd);
    caller->fd = -1;
}

/* The body of an answer in chunks; NULL where it is none. */
static char *unchunked(const char *bytes, size_t count)
{
    const char *at = memmem(bytes, count, "\r\n\r\n", 4), *stop = bytes + count;
    char *body = malloc(count + 1), *to = body;
    if (strncmp(bytes, "HTTP/1.1 200 ", 13) != 0 || at == NULL || body == NULL) {
        free(body);
        return NULL;
    }
    for (at += 4; at < stop;) {
        char *text;
        const size_t size = strtoul(at, &text, 16);
        if (size == 0 || size > (size_t)(stop - text) - 2)
            break;
        memcpy(to, text + 2, size);
        to += size;
        at = text + 2 + size + 2;
    }
    *to = '\0';
    return body;
}

static bool is_whole(const struct caller *caller)
{
    return caller->got >= 7 && memcmp(caller->bytes + caller->got - 7, "\r\n0\r\n\r\n", 7) == 0;
}

static void judge(struct caller *caller)
{
    char *body = unchunked(caller->bytes, caller->got);
    caller->wrong += body == NULL || strcmp(body, caller->expected) != 0;
    free(body);
    caller->rounds--;
    caller->sent = caller->got = 0;
    if (caller->rounds == 0)
        end(caller);
}

static bool wants_to_send(const struct caller *caller)
{
    return caller->sent < caller->request_bytes && caller->sent < caller->sends;
}

static void move_on(struct caller *caller, short events)
{
    if (events & POLLOUT && wants_to_send(caller)) {
        const size_t end = caller->sends < caller->request_bytes ? caller->sends : caller->request_bytes;
        const ssize_t count = send(caller->fd, caller->request + caller->sent, end - caller->sent, MSG_NOSIGNAL);
        caller->sent += count > 0 ? (size_t)count : 0;
    }
    if (events & (POLLIN | POLLHUP | POLLERR) && caller->got < caller->reads) {
        if (caller->room - caller->got < 65536)
            assert_non_null(caller->bytes = realloc(caller->bytes, caller->room = 2 * caller->room + 131072));
        const ssize_t count = recv(caller->fd, caller->bytes + caller->got, 65536, 0);
        caller->got += count > 0 ? (size_t)count : 0;
        if (count <= 0) {
            caller->lost++;
            caller->rounds = 0;
            end(caller);
        } else if (is_whole(caller)) {
            judge(caller);
        }
    }
    if (caller->fd >= 0 && caller->closes && !wants_to_send(caller) && caller->got >= caller->reads) {
        caller->rounds = 0;
        end(caller);
    }
}

static void move_all(struct caller *callers, size_t count)
{
    struct pollfd polls[CALLERS_MAX];
    for (size_t i = 0; i < count; i++) {
        const struct caller *caller = &callers[i];
        polls[i] = (struct pollfd){.fd = caller->fd};
        if (wants_to_send(caller))
            polls[i].events |= POLLOUT;
        if (caller->got < caller->reads)
            polls[i].events |= POLLIN;
        if (polls[i].events == 0)
            polls[i].fd = -1;
    }
    poll(polls, count, 100);
    for (size_t i = 0; i < count; i++)
        if (polls[i].fd >= 0)
            move_on(&callers[i], polls[i].revents);
}

static bool is_answered(const struct caller *caller)
{
    return caller->rounds == 0;
}

static bool has_sent_much(const struct caller *caller)
{
    return caller->sent > 1 << 20 || caller->fd < 0;
}

/* Moves all until the first `needed` are as they should be, or patience ends. */
static void run(struct caller *callers, size_t count, size_t needed, bool is_done(const struct caller *caller))
{
    const double until = now_ms() + PATIENCE_MS * slowness();
    for (size_t done = 0; done < needed && now_ms() < until;) {
        move_all(callers, count);
        for (done = 0; done < needed && is_done(&callers[done]);)
            done++;
    }
}

static const char *body_of(size_t side)
{
    char *body = text_room(2 * side * side + 4 * side + 64), *to = stpcpy(body, "{\"kernel\":[[2]],\"input\":[");
    for (size_t y = 0; y < side; y++) {
        to = stpcpy(to, y ? ",[" : "[");
        for (size_t x = 0; x < side; x++)
            to += sprintf(to, "%s%zu", x ? "," : "", (x * 7 + y * 3) % 10);
        to = stpcpy(to, "]");
    }
    stpcpy(to, "]}");
    return body;
}

static const char *request_of(const char *body)
{
    return textf("POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
}

static void nobody_holds_up_the_line(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--io-threads", "1"), NULL, NULL);
    const char *body = body_of(SIDE), *request = request_of(body);
    const struct answer answer = http_call(child, &(struct call){.path = "/v1/convolve", .body = body});
    check_number("alone", "status", answer.status, 200);

    const size_t all = strlen(request), half = all / 2;
    const struct caller busy = {"one who never stops", request, answer.body, all, SIZE_MAX, SIZE_MAX, .rounds = ROUNDS};
    struct caller callers[CALLERS_MAX];
    size_t count = 0;
    while (count < BUSY)
        callers[count++] = busy;
    const struct caller others[] = {
        {"one who stops in his body", request, answer.body, all, half, SIZE_MAX, .rounds = 1},
        {"another who does", request, answer.body, all, all - 1, SIZE_MAX, .rounds = 1},
        {"one who stops reading", request, answer.body, all, SIZE_MAX, half, .rounds = 1, .window = 4096},
        {"one who does not begin to read", request, answer.body, all, SIZE_MAX, 0, .rounds = 1, .window = 4096},
        {"one who leaves in his body", request, NULL, all, half, 0, .rounds = 1, .closes = true},
        {"one who leaves in his answer", request, NULL, all, SIZE_MAX, half, .rounds = 1, .closes = true},
    };
    const size_t stopped = count;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        callers[count++] = others[i];
    for (size_t i = 0; i < count; i++)
        begin(&callers[i], child);

    run(callers, count, BUSY, is_answered);
    for (size_t i = stopped; i < count; i++)
        if (!callers[i].closes)
            callers[i].sends = callers[i].reads = SIZE_MAX;
    run(callers, count, count, is_answered);

    for (size_t i = 0; i < count; i++) {
        check_number(callers[i].name, "answers still missing", callers[i].rounds, 0);
        check_number(callers[i].name, "wrong answers", callers[i].wrong, 0);
        check_number(callers[i].name, "lost connections", callers[i].lost, 0);
        if (callers[i].fd >= 0)
            end(&callers[i]);
        free(callers[i].bytes);
    }
    check_number("daemon", "exit status", child_stop(child), 0);
}

/* Those in the line are cut where bytes of theirs wait, and nobody may be forgotten there: the daemon would never end. */
static void the_line_ends(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--io-threads", "1", "--drain-timeout-ms", "20"), NULL, NULL);
    char *body = text_room(HUGE_BYTES + 1);
    memset(body, ' ', HUGE_BYTES);
    body[HUGE_BYTES] = '\0';
    const char *request = request_of(body);
    struct caller callers[BUSY];
    for (size_t i = 0; i < BUSY; i++) {
        callers[i] =
            (struct caller){"one who has much to say", request, "", strlen(request), SIZE_MAX, SIZE_MAX, .rounds = 1};
        begin(&callers[i], child);
    }
    run(callers, BUSY, BUSY, has_sent_much);
    kill(child->pid, SIGTERM);
    run(callers, BUSY, BUSY, is_answered);
    check_number("daemon", "exit status", child_wait(child), 0);
    for (size_t i = 0; i < BUSY; i++)
        free(callers[i].bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(nobody_holds_up_the_line),
        HTTP_TEST(the_line_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
