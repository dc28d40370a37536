/* SPDX-License-Identifier: MIT */
/* The watch thread: accepts connections, hears of callers that hang up, and looks at the clock. Accepting ourselves, rather than
 * letting libmicrohttpd do it, keeps newcomers from being lost at a drain and from hanging when descriptors run out. */
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/listener_parts.h"
#include "server/log.h"

/* Newcomers taken at a time; pause after running out of descriptors; how often a lingerer is read, and how often connections are
 * looked at while some are there whose callers have gone. */
enum { ACCEPTS_AT_ONCE = 64, ACCEPT_PAUSE_MS = 50, LINGER_PAUSE_MS = 5, EVENTS_MAX = 128, LEAVING_PAUSE_MS = 20 };

/* What an event is about: a connection, by descriptor and generation; a door or the wake-up, by generation 0. */
static uint64_t event_tag(int descriptor, uint32_t generation)
{
    return (uint64_t)generation << 32 | (uint32_t)descriptor;
}

static bool watch_descriptor(struct listener *listener, int descriptor, uint32_t generation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = event_tag(descriptor, generation)};
    return epoll_ctl(listener->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

bool watch_connection(struct listener *listener, const struct connection *connection)
{
    return watch_descriptor(listener, connection->descriptor, connection->generation, EPOLLRDHUP | EPOLLET);
}

void watch_wake(struct listener *listener)
{
    const uint64_t one = 1;
    if (write(listener->wake, &one, sizeof one) < 0 && errno != EAGAIN)
        log_event(LOG_ERROR, "the watch thread cannot be woken: %s", strerror(errno));
}

/* ---- Accepting --------------------------------------------------------------------------------------------------- */

/* Takes one newcomer. False: there is none, or (`*exhausted`) no descriptor for it. */
static bool accept_one(struct listener *listener, struct door *door, bool *exhausted)
{
    struct address peer = {.bytes = sizeof peer.socket};
    const int descriptor =
        accept4(door->descriptor, (struct sockaddr *)&peer.socket, &peer.bytes, SOCK_CLOEXEC | SOCK_NONBLOCK);
    const int on = 1;

    if (descriptor < 0) {
        *exhausted = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        return errno == ECONNABORTED || errno == EINTR || errno == EPROTO || errno == EPERM;
    }
    if (door->address.socket.ss_family != AF_UNIX)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    else
        peer.socket.ss_family = AF_UNIX;
    if (!connection_enter(listener, descriptor, &peer, door)) {
        close(descriptor);
        return true;
    }
    if (MHD_add_connection(listener->library, descriptor, (struct sockaddr *)&peer.socket, peer.bytes) != MHD_YES)
        connection_forget(listener, descriptor); /* the library has closed it */
    return true;
}

/* What a door's event, or the end of a pause, asks for. */
static void accept_some(struct listener *listener, struct door *door, size_t count, uint64_t *paused_until)
{
    bool exhausted = false;
    while (count-- > 0 && accept_one(listener, door, &exhausted))
        ;
    listener->exhausted = exhausted;
    if (!exhausted)
        return;
    log_event(LOG_WARNING, "no descriptor is left for a new connection");
    *paused_until = clock_now_ns() + (uint64_t)ACCEPT_PAUSE_MS * 1000000;
    for (unsigned i = 0; i < listener->door_count; i++)
        epoll_ctl(listener->epoll, EPOLL_CTL_DEL, listener->doors[i].descriptor, NULL);
}

static void open_doors(struct listener *listener)
{
    for (unsigned i = 0; i < listener->door_count; i++)
        watch_descriptor(listener, listener->doors[i].descriptor, 0, EPOLLIN);
}

/* What is in the backlog has been accepted by the system already, so it is taken in; but with sockets from systemd newcomers
 * wait for our successor. */
static void close_doors(struct listener *listener)
{
    uint64_t ignored = 0;
    for (unsigned i = 0; i < listener->door_count; i++) {
        struct door *door = &listener->doors[i];
        epoll_ctl(listener->epoll, EPOLL_CTL_DEL, door->descriptor, NULL);
        if (!door->inherited)
            accept_some(listener, door, SIZE_MAX, &ignored);
        door_close(door);
    }
    atomic_store(&listener->doors_closed, true);
}

/* ---- Looking around ---------------------------------------------------------------------------------------------- */

static void hear(struct listener *listener, int descriptor, uint32_t generation)
{
    pthread_mutex_lock(&listener->lock);
    struct connection *connection = (size_t)descriptor < listener->descriptors_max ? listener->table[descriptor] : NULL;
    if (connection != NULL && connection->generation == generation)
        connection_hang_up(connection);
    pthread_mutex_unlock(&listener->lock);
}

/* Whether there are connections whose callers have gone. */
static bool judge_all(struct listener *listener, uint64_t now)
{
    bool any_gone = false;
    const struct config *config = atomic_load_explicit(&listener->daemon->config, memory_order_acquire);
    const enum listener_mode mode = (enum listener_mode)atomic_load(&listener->mode);

    pthread_mutex_lock(&listener->lock);
    for (size_t i = 0; i < listener->table_end; i++) {
        struct connection *connection = listener->table[i];
        if (connection == NULL || !connection->started)
            continue;
        pthread_mutex_lock(&connection->lock);
        connection_judge(connection, config, mode, now);
        any_gone = any_gone || (connection->gone && !connection->cut);
        pthread_mutex_unlock(&connection->lock);
    }
    pthread_mutex_unlock(&listener->lock);
    return any_gone;
}

/* Whether the caller has still not closed its side; what it sends is thrown away. */
static bool lingers_on(struct lingerer *lingerer, uint64_t now)
{
    char waste[16384];
    struct tcp_info info;
    socklen_t bytes = sizeof info;
    ssize_t count;

    while ((count = recv(lingerer->descriptor, waste, sizeof waste, MSG_DONTWAIT)) > 0) {
        if ((uint64_t)count > lingerer->bytes_left)
            return false;
        lingerer->bytes_left -= (uint64_t)count;
    }
    if (now >= lingerer->until_ns || (count < 0 && errno != EAGAIN))
        return false;
    /* After our own shutdown recv gives 0 at once; only the state tells whether the caller has closed too. */
    if (count == 0 && getsockopt(lingerer->descriptor, IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0)
        return info.tcpi_state == TCP_FIN_WAIT1 || info.tcpi_state == TCP_FIN_WAIT2;
    return count != 0;
}

static bool linger_all(struct listener *listener, uint64_t now, bool end)
{
    pthread_mutex_lock(&listener->lock);
    for (size_t i = listener->lingerer_count; i-- > 0;) {
        if (!end && lingers_on(&listener->lingerers[i], now))
            continue;
        close(listener->lingerers[i].descriptor);
        listener->lingerers[i] = listener->lingerers[--listener->lingerer_count];
    }
    const bool any = listener->lingerer_count > 0;
    pthread_mutex_unlock(&listener->lock);
    return any;
}

static bool has_connections(struct listener *listener)
{
    pthread_mutex_lock(&listener->lock);
    const bool any = listener->table_end > 0;
    pthread_mutex_unlock(&listener->lock);
    return any;
}

static void handle_event(struct listener *listener, const struct epoll_event *event, uint64_t *paused_until,
                         bool *leaving)
{
    const int descriptor = (int)(uint32_t)event->data.u64;
    const uint32_t generation = (uint32_t)(event->data.u64 >> 32);
    uint64_t drained;

    if (generation != 0) {
        hear(listener, descriptor, generation);
        *leaving = true;
    } else if (descriptor == listener->wake) {
        if (read(listener->wake, &drained, sizeof drained) < 0)
            return;
    } else {
        for (unsigned i = 0; i < listener->door_count; i++)
            if (listener->doors[i].descriptor == descriptor)
                accept_some(listener, &listener->doors[i], ACCEPTS_AT_ONCE, paused_until);
    }
}

static void *watch_run(void *context)
{
    struct listener *listener = context;
    struct epoll_event events[EVENTS_MAX];
    uint64_t paused_until = 0, judged_ns = 0;
    bool lingering = false, leaving = false;

    pthread_setname_np(pthread_self(), "watch");
    for (enum listener_mode mode; (mode = (enum listener_mode)atomic_load(&listener->mode)) != LISTENER_STOPPING;) {
        const struct config *config = atomic_load_explicit(&listener->daemon->config, memory_order_acquire);
        uint64_t every = mode != LISTENER_OPEN ? 10 * 1000000 : connection_look_every_ns(config);
        if (leaving && every > LEAVING_PAUSE_MS * 1000000)
            every = LEAVING_PAUSE_MS * 1000000;
        if (listener->exhausted && every > ACCEPT_PAUSE_MS * 1000000)
            every = ACCEPT_PAUSE_MS * 1000000;
        int pause = has_connections(listener) ? (int)(every / 1000000) : -1;
        if (lingering)
            pause = LINGER_PAUSE_MS;
        if (paused_until != 0 && (pause < 0 || pause > ACCEPT_PAUSE_MS))
            pause = ACCEPT_PAUSE_MS;
        const int count = epoll_wait(listener->epoll, events, EVENTS_MAX, pause);
        for (int i = 0; i < count; i++)
            handle_event(listener, &events[i], &paused_until, &leaving);

        const uint64_t now = clock_now_ns();
        mode = (enum listener_mode)atomic_load(&listener->mode);
        if (mode != LISTENER_OPEN && !atomic_load(&listener->doors_closed)) {
            close_doors(listener);
        } else if (paused_until != 0 && now >= paused_until) {
            paused_until = 0;
            if (mode == LISTENER_OPEN)
                open_doors(listener);
        }
        if (now - judged_ns >= every || mode != LISTENER_OPEN) {
            judged_ns = now;
            leaving = judge_all(listener, now);
        }
        lingering = linger_all(listener, now, listener->exhausted); /* newcomers need the descriptors more */
        atomic_fetch_add_explicit(&listener->rounds, 1, memory_order_relaxed);
    }
    linger_all(listener, 0, true);
    return NULL;
}

bool watch_start(struct listener *listener, char *error, size_t error_bytes)
{
    listener->epoll = epoll_create1(EPOLL_CLOEXEC);
    listener->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (listener->epoll < 0 || listener->wake < 0 || !watch_descriptor(listener, listener->wake, 0, EPOLLIN)) {
        snprintf(error, error_bytes, "epoll: %s", strerror(errno));
        return false;
    }
    open_doors(listener);
    listener->watching = pthread_create(&listener->watcher, NULL, watch_run, listener) == 0;
    if (!listener->watching)
        snprintf(error, error_bytes, "a thread cannot be started");
    return listener->watching;
}

void watch_stop(struct listener *listener)
{
    if (listener->watching) {
        atomic_store(&listener->mode, LISTENER_STOPPING);
        watch_wake(listener);
        pthread_join(listener->watcher, NULL);
        listener->watching = false;
    }
    if (listener->epoll >= 0)
        close(listener->epoll);
    if (listener->wake >= 0)
        close(listener->wake);
    listener->epoll = listener->wake = -1;
}
