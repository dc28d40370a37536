/* SPDX-License-Identifier: MIT */
/* libmicrohttpd with nothing behind it, in this process. */
#include "tests/bench/http_bare.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/listener_parts.h"

enum { THREADS = 2, HEADERS_MAX = 16, BACKLOG = 511 };

struct bare {
    struct MHD_Daemon *library;
    const struct text *body;
    int door; /* -1: the library accepts */
    pthread_t acceptor;
    char *head; /* cut up into what follows */
    const char *names[HEADERS_MAX], *values[HEADERS_MAX];
    size_t header_count;
};

static enum MHD_Result answer_fixed(void *context, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *bytes, size_t *count,
                                    void **slot)
{
    static char seen;
    const struct bare *bare = context;
    (void)url, (void)method, (void)version, (void)bytes;
    if (*slot != &seen) {
        *slot = &seen;
        return MHD_YES;
    }
    if (*count) {
        *count = 0;
        return MHD_YES;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(bare->body->count, bare->body->bytes, MHD_RESPMEM_PERSISTENT);
    for (size_t i = 0; i < bare->header_count; i++)
        MHD_add_response_header(response, bare->names[i], bare->values[i]);
    const enum MHD_Result result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

static struct bare *create(const struct text *body)
{
    struct bare *bare = calloc(1, sizeof *bare);
    if (!bare)
        die("no memory");
    bare->body = body;
    bare->door = -1;
    return bare;
}

struct bare *bare_start(unsigned *port, const struct text *body)
{
    struct bare *bare = create(body);
    bare->library = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer_fixed, bare,
                                     MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        bare->library ? MHD_get_daemon_info(bare->library, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info)
        die("the bare server did not start");
    *port = info->port;
    return bare;
}

/* ---- As ours ------------------------------------------------------------------------------------------------------ */

static void *note_begin(void *context, const char *target, struct MHD_Connection *connection)
{
    (void)context, (void)target, (void)connection;
    return NULL;
}

static void note_end(void *context, struct MHD_Connection *connection, void **slot,
                     enum MHD_RequestTerminationCode reason)
{
    (void)context, (void)connection, (void)slot, (void)reason;
}

static void note_connection(void *context, struct MHD_Connection *connection, void **slot,
                            enum MHD_ConnectionNotificationCode change)
{
    (void)context, (void)connection, (void)slot, (void)change;
}

/* Until the door is shut. */
static void *accept_all(void *context)
{
    struct bare *bare = context;
    struct sockaddr_in peer;
    socklen_t bytes = sizeof peer;
    const int on = 1;
    for (int connection;
         (connection = accept4(bare->door, (struct sockaddr *)&peer, &bytes, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;
         bytes = sizeof peer) {
        setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        MHD_add_connection(bare->library, connection, (struct sockaddr *)&peer, bytes);
    }
    return NULL;
}

static void open_door(struct bare *bare, unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    bare->door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bare->door < 0 || bind(bare->door, (struct sockaddr *)&address, bytes) != 0 ||
        listen(bare->door, BACKLOG) != 0 || getsockname(bare->door, (struct sockaddr *)&address, &bytes) != 0)
        die("the bare server cannot listen");
    *port = ntohs(address.sin_port);
}

/* All but those that the library adds itself. */
static void take_headers(struct bare *bare, const struct text *answer)
{
    static const char *const own[] = {"Date", "Connection", "Content-Length"};
    char *rest = bare->head = strndup(answer->bytes, answer->count);
    strsep(&rest, "\n");
    for (char *name; (name = strsep(&rest, "\n")) && *name != '\r' && bare->header_count < HEADERS_MAX;) {
        char *value = strchr(name, ':');
        bool is_own = !value;
        for (size_t i = 0; i < sizeof own / sizeof *own && !is_own; i++)
            is_own = strncasecmp(name, own[i], (size_t)(value - name)) == 0;
        if (is_own)
            continue;
        *value = '\0';
        value += 2;
        value[strcspn(value, "\r")] = '\0';
        bare->names[bare->header_count] = name;
        bare->values[bare->header_count++] = value;
    }
}

struct bare *bare_start_as_ours(unsigned *port, const struct text *body, const struct text *answer)
{
    struct bare *bare = create(body);
    take_headers(bare, answer);
    open_door(bare, port);
    bare->library = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL,
        NULL, answer_fixed, bare, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_URI_LOG_CALLBACK, note_begin, NULL, MHD_OPTION_NOTIFY_COMPLETED, note_end,
        NULL, MHD_OPTION_NOTIFY_CONNECTION, note_connection, NULL, MHD_OPTION_END);
    if (!bare->library || pthread_create(&bare->acceptor, NULL, accept_all, bare) != 0)
        die("the bare server did not start");
    return bare;
}

void bare_stop(struct bare *bare)
{
    if (bare->door >= 0) {
        shutdown(bare->door, SHUT_RDWR);
        pthread_join(bare->acceptor, NULL);
        close(bare->door);
    }
    MHD_stop_daemon(bare->library);
    free(bare->head);
    free(bare);
}
