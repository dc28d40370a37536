/* SPDX-License-Identifier: MIT */
/* The table of connections, and what the clock says to each of them. libmicrohttpd knows one timeout, of silence, in whole seconds,
 * and none while a connection is suspended, so it is told of none: the kernel's own counters say when bytes last moved.
 * A Unix socket has no such counters; there the library's timeout, set in listener.c, closes who is silent. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/listener_parts.h"
#include "server/problem.h"

/* Silence that a connection beyond the limits is allowed, and when newcomers wait for its descriptor; how long a byte that came
 * just before a phase began may look as though it came after (the kernel's clock ticks coarsely); in a drain, how long bytes may be
 * on their way, and how long there are none before a request counts as half received; silence that a connection is allowed whose
 * memory others need, and how many are not charged; how long what a caller sent before the end may take to be noticed. */
enum {
    UNCOUNTED_SILENCE_MS = 1000,
    EXHAUSTED_SILENCE_MS = 100,
    CLOCK_SLACK_MS = 12,
    DRAIN_GRACE_MS = 500,
    HALF_RECEIVED_MS = 100,
    LINGER_MS = 2000,
    PRESSED_SILENCE_MS = 1000,
    KEPT_FREE_MAX = 256,
    GONE_MS = 40,
    LINGER_BYTES = 16 << 20
};

static uint64_t ms(uint64_t milliseconds)
{
    return milliseconds * 1000000;
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

static void describe_peer(struct connection *connection, const struct address *peer)
{
    address_format(peer, connection->peer);
    char *colon = strrchr(connection->peer, ':');
    if (!connection->is_tcp)
        strcpy(connection->peer, "unix");
    else if (colon != NULL)
        *colon = '\0';
    if (connection->peer[0] == '[') { /* of IPv6: "[::1]" */
        const size_t bytes = strcspn(connection->peer + 1, "]");
        memmove(connection->peer, connection->peer + 1, bytes);
        connection->peer[bytes] = '\0';
    }
}

bool connection_enter(struct listener *listener, int descriptor, const struct address *peer, const struct door *door)
{
    struct connection *connection = NULL;
    if ((size_t)descriptor < listener->descriptors_max)
        connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return false;
    connection->listener = listener;
    connection->descriptor = descriptor;
    connection->is_tcp = door->address.socket.ss_family != AF_UNIX;
    connection->only_metrics = door->only_metrics;
    connection->since_ns = clock_now_ns();
    arena_init(&connection->memory, &listener->daemon->budget);
    describe_peer(connection, peer);
    pthread_mutex_init(&connection->lock, NULL);

    pthread_mutex_lock(&listener->lock);
    struct connection *stale = listener->table[descriptor]; /* one that the library gave up without a word */
    connection->generation = ++listener->generation == 0 ? ++listener->generation : listener->generation;
    listener->table[descriptor] = connection;
    if (listener->table_end <= (size_t)descriptor)
        listener->table_end = (size_t)descriptor + 1;
    const bool watched = watch_connection(listener, connection);
    if (!watched)
        listener->table[descriptor] = NULL;
    pthread_mutex_unlock(&listener->lock);
    if (stale != NULL) {
        pthread_mutex_destroy(&stale->lock);
        free(stale);
    }
    if (watched)
        return true;
    pthread_mutex_destroy(&connection->lock);
    free(connection);
    return false;
}

void connection_forget(struct listener *listener, int descriptor)
{
    pthread_mutex_lock(&listener->lock);
    struct connection *connection = listener->table[descriptor];
    listener->table[descriptor] = NULL;
    pthread_mutex_unlock(&listener->lock);
    if (connection != NULL) {
        pthread_mutex_destroy(&connection->lock);
        free(connection);
    }
}

/* Whether there is room for it within the limits (listener->lock is held). */
static bool has_room(const struct connection *connection)
{
    const struct listener *listener = connection->listener;
    const struct config *config = atomic_load_explicit(&listener->daemon->config, memory_order_acquire);
    const size_t limit =
        config->max_connections < listener->connections_max ? config->max_connections : listener->connections_max;
    size_t same = 0;

    if (listener->counted >= limit)
        return false;
    if (config->max_connections_per_ip == 0 || !connection->is_tcp)
        return true;
    for (size_t i = 0; i < listener->table_end; i++) {
        const struct connection *other = listener->table[i];
        same += other != NULL && other->counted && strcmp(other->peer, connection->peer) == 0;
    }
    return same < config->max_connections_per_ip;
}

static bool count_if_room(struct connection *connection)
{
    if (!connection->counted && has_room(connection)) {
        connection->counted = true;
        connection->listener->counted++;
    }
    return connection->counted;
}

bool connection_is_counted(struct connection *connection)
{
    if (atomic_load_explicit(&connection->counted, memory_order_relaxed))
        return true;
    pthread_mutex_lock(&connection->listener->lock);
    const bool counted = count_if_room(connection);
    pthread_mutex_unlock(&connection->listener->lock);
    return counted;
}

/* Idle connections may take three quarters of all memory, no more. */
static bool memory_is_pressed(const struct listener *listener)
{
    const struct memory_budget *budget = &listener->daemon->budget;
    return budget->used > budget->limit / 4 * 3;
}

bool connection_keep(struct connection *connection)
{
    struct listener *listener = connection->listener;
    if (atomic_load_explicit(&connection->kept, memory_order_relaxed) != MEMORY_NONE)
        return true;
    pthread_mutex_lock(&listener->lock);
    pthread_mutex_lock(&connection->lock);
    if (connection->kept == MEMORY_NONE && listener->kept_free < KEPT_FREE_MAX) {
        connection->kept = MEMORY_FREE;
        listener->kept_free++;
    } else if (connection->kept == MEMORY_NONE && !memory_is_pressed(listener) &&
               arena_charge(&connection->memory, CONNECTION_BYTES)) {
        connection->kept = MEMORY_CHARGED;
    }
    const bool kept = connection->kept != MEMORY_NONE;
    pthread_mutex_unlock(&connection->lock);
    pthread_mutex_unlock(&listener->lock);
    return kept;
}

struct connection *connection_start(struct listener *listener, int descriptor)
{
    pthread_mutex_lock(&listener->lock);
    struct connection *connection = listener->table[descriptor];
    if (connection != NULL) {
        connection->started = true;
        count_if_room(connection);
        listener->open++;
        atomic_store_explicit(&listener->daemon->connections, listener->open, memory_order_relaxed);
    }
    pthread_mutex_unlock(&listener->lock);
    return connection;
}

/* Keeps the description open under another descriptor until the caller has read the answer (listener->lock is held). */
static void linger(struct connection *connection)
{
    struct listener *listener = connection->listener;
    if (listener->lingerer_count == LINGERERS_MAX)
        return;
    const int copy = fcntl(connection->descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return;
    listener->lingerers[listener->lingerer_count++] =
        (struct lingerer){copy, clock_now_ns() + ms(LINGER_MS), LINGER_BYTES};
    watch_wake(listener);
}

void connection_end(struct connection *connection)
{
    struct listener *listener = connection->listener;

    pthread_mutex_lock(&listener->lock);
    listener->table[connection->descriptor] = NULL;
    while (listener->table_end > 0 && listener->table[listener->table_end - 1] == NULL)
        listener->table_end--;
    listener->counted -= connection->counted;
    listener->open--;
    atomic_store_explicit(&listener->daemon->connections, listener->open, memory_order_relaxed);
    epoll_ctl(listener->epoll, EPOLL_CTL_DEL, connection->descriptor, NULL);
    pthread_mutex_lock(&connection->lock);
    const bool lingers = connection->linger && !connection->gone;
    listener->kept_free -= connection->kept == MEMORY_FREE;
    pthread_mutex_unlock(&connection->lock);
    if (lingers)
        linger(connection);
    pthread_mutex_unlock(&listener->lock);
    arena_release(&connection->memory);
    pthread_mutex_destroy(&connection->lock);
    free(connection);
}

/* ---- Closing ---------------------------------------------------------------------------------------------------- */

/* A whole answer by our own hand, for when the library cannot give one. The socket's buffer takes it or it is lost. */
static void write_problem(struct connection *connection, const struct convolve_error *error)
{
    char document[PROBLEM_BYTES_MAX], text[PROBLEM_BYTES_MAX + 512], date[64];
    const struct problem *problem = problem_find(error->slug);
    const time_t now = time(NULL);
    struct tm parts;

    if (connection->id[0] == '\0')
        request_make_id(connection->id, sizeof connection->id);
    const size_t bytes = problem_write(document, error, -1, connection->id);
    gmtime_r(&now, &parts);
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    snprintf(date, sizeof date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * parts.tm_wday, parts.tm_mday,
             months + 3 * parts.tm_mon, parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
    const int head =
        snprintf(text, sizeof text,
                 "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\n%sContent-Type: "
                 "application/problem+json\r\nX-Request-Id: %s\r\nContent-Length: %zu\r\n\r\n%.*s",
                 problem->status,
                 problem->status == 408   ? "Request Timeout"
                 : problem->status == 413 ? "Content Too Large"
                                          : "Service Unavailable",
                 date, problem->status == 503 ? "Retry-After: 1\r\n" : "", connection->id, bytes, (int)bytes, document);
    if (head > 0 && (size_t)head < sizeof text)
        (void)!send(connection->descriptor, text, (size_t)head, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void connection_cut(struct connection *connection, const struct convolve_error *error)
{
    if (connection->cut)
        return;
    connection->cut = true;
    if (error != NULL)
        connection->cut_status = problem_find(error->slug)->status;
    if (error != NULL && !connection->listener->is_tls &&
        (connection->phase == PHASE_WAITING || connection->phase == PHASE_READING)) {
        write_problem(connection, error);
        connection->linger = true;
    }
    shutdown(connection->descriptor, SHUT_RDWR);
}

static void cut_with(struct connection *connection, const char *slug, const char *detail)
{
    struct convolve_error error;
    convolve_fail(&error, slug, "", "%s", detail);
    connection_cut(connection, &error);
}

void connection_hang_up(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    connection->gone = !connection->cut; /* our own shutdown looks the same from here */
    if (connection->job != NULL)
        job_cancel(connection->job);
    pthread_mutex_unlock(&connection->lock);
}

/* ---- The clock --------------------------------------------------------------------------------------------------- */

struct traffic {
    bool any; /* something has ever come */
    uint64_t received_ns; /* when the last byte came */
    uint64_t taken; /* grows, or changes, as the caller takes what is sent */
};

static struct traffic ask_traffic(const struct connection *connection, uint64_t now)
{
    struct traffic traffic = {0};
    struct tcp_info info;
    socklen_t bytes = sizeof info;
    int queued = 0;

    memset(&info, 0, sizeof info);
    if (connection->is_tcp && getsockopt(connection->descriptor, IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0) {
        traffic.any = info.tcpi_bytes_received > 0;
        traffic.received_ns = now - ms(info.tcpi_last_data_recv);
        traffic.taken = info.tcpi_bytes_acked;
    } else if (ioctl(connection->descriptor, SIOCOUTQ, &queued) == 0) {
        traffic.taken = (uint64_t)queued;
    }
    return traffic;
}

uint64_t connection_look_every_ns(const struct config *config)
{
    const uint64_t shorter =
        config->idle_timeout_ms < config->request_timeout_ms ? config->idle_timeout_ms : config->request_timeout_ms;
    return ms(shorter / 16 < 10 ? 10 : shorter / 16 > 250 ? 250 : shorter / 16);
}

static bool has_unread(const struct connection *connection)
{
    char byte;
    return recv(connection->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* Whether nothing has come for too long at two looks in turn. Where the daemon itself was late, what came in time may be unread,
 * or just being read, and at the next look it is something else. */
static bool is_silent(struct connection *connection, bool nothing_has_come)
{
    const bool before = connection->silent;
    connection->silent = nothing_has_come && !has_unread(connection);
    return before && connection->silent;
}

static void judge_waiting(struct connection *connection, const struct config *config, uint64_t now)
{
    const uint64_t idle = ms(config->idle_timeout_ms), whole = ms(config->request_timeout_ms);
    const uint64_t allowed = ms(connection->listener->exhausted ? EXHAUSTED_SILENCE_MS : UNCOUNTED_SILENCE_MS);
    const bool in_the_way = !connection->counted && now - connection->since_ns >= allowed;
    if (now < connection->look_ns && !in_the_way)
        return;
    connection->look_ns = now + connection_look_every_ns(config);
    const struct traffic traffic = ask_traffic(connection, now);
    const bool arrived =
        traffic.any && (!connection->answered || traffic.received_ns > connection->since_ns + ms(CLOCK_SLACK_MS));

    if (arrived && connection->began_ns == 0)
        connection->began_ns = traffic.received_ns > connection->since_ns ? traffic.received_ns : connection->since_ns;
    if (connection->began_ns != 0) {
        if (now - connection->began_ns >= whole)
            cut_with(connection, "request-timeout", "the headers have not arrived within request_timeout_ms");
        else if (is_silent(connection, now > traffic.received_ns + idle))
            cut_with(connection, "request-timeout", "nothing has come for idle_timeout_ms");
    } else if (!connection->is_tcp) {
        if (now - connection->since_ns >= idle + whole) /* silence would have ended it before: bytes are dripping in */
            cut_with(connection, "request-timeout", "the headers have not arrived within request_timeout_ms");
    } else if (in_the_way) {
        cut_with(connection, "overloaded", "max_connections are open");
    } else if (connection->kept == MEMORY_CHARGED && memory_is_pressed(connection->listener) &&
               now - connection->since_ns >= ms(PRESSED_SILENCE_MS)) {
        connection_cut(connection, NULL); /* its memory is needed more than it is */
    } else if (now - connection->since_ns >= idle) {
        if (connection->answered)
            connection_cut(connection, NULL); /* it has nothing to wait for */
        else
            cut_with(connection, "request-timeout", "nothing has come for idle_timeout_ms");
    }
}

static void judge_reading(struct connection *connection, const struct config *config, uint64_t now)
{
    const uint64_t idle = ms(config->idle_timeout_ms);

    if (now - connection->began_ns >= ms(config->request_timeout_ms)) {
        cut_with(connection, "request-timeout", "the request has not arrived within request_timeout_ms");
    } else if (now - connection->since_ns >= idle) {
        const struct traffic traffic = ask_traffic(connection, now);
        if (traffic.received_ns > connection->since_ns)
            connection->since_ns = traffic.received_ns;
        if (is_silent(connection, now - connection->since_ns >= idle))
            cut_with(connection, "request-timeout", "nothing has come for idle_timeout_ms");
    }
}

static void judge_sending(struct connection *connection, const struct config *config, uint64_t now)
{
    const struct traffic traffic = ask_traffic(connection, now);
    if (connection->blocked || traffic.taken != connection->moved) {
        connection->moved = traffic.taken;
        connection->since_ns = now;
    } else if (now - connection->since_ns >= ms(config->idle_timeout_ms)) {
        connection_cut(connection, NULL);
    }
}

/* Whether nothing has been there to read for a while. In a drain looks follow each other as fast as callers leave, so it is the
 * time between them that counts. */
static bool is_silent_in_drain(struct connection *connection, bool nothing_expected, uint64_t now)
{
    if (!nothing_expected || has_unread(connection))
        connection->silent_ns = 0;
    else if (connection->silent_ns == 0)
        connection->silent_ns = now;
    return connection->silent_ns != 0 && now - connection->silent_ns >= ms(HALF_RECEIVED_MS);
}

/* What has been asked of us is finished; all else goes. A request whose bytes are on their way is answered, with 503. */
static void judge_draining(struct connection *connection, enum listener_mode mode, uint64_t now)
{
    const struct traffic traffic = ask_traffic(connection, now);
    const bool cutting = mode == LISTENER_CUTTING, begun = connection->began_ns != 0;
    const bool fresh = !connection->answered && now - connection->since_ns < ms(DRAIN_GRACE_MS);
    const bool arriving = traffic.any && now - traffic.received_ns < ms(DRAIN_GRACE_MS) &&
                          (!connection->answered || traffic.received_ns > connection->since_ns + ms(CLOCK_SLACK_MS));
    const bool reading = connection->phase == PHASE_READING, waiting = connection->phase == PHASE_WAITING;
    const bool silent = is_silent_in_drain(connection, reading || (waiting && !fresh && !arriving), now) || cutting;

    if (silent && (reading || (waiting && (begun || arriving))))
        cut_with(connection, "draining", "the daemon is stopping; another will answer");
    else if (silent && waiting)
        connection_cut(connection, NULL);
    else if (cutting && connection->phase == PHASE_WORKING && connection->job != NULL)
        job_cancel(connection->job); /* then its own thread answers */
    else if (cutting && connection->phase == PHASE_SENDING)
        connection_cut(connection, NULL);
}

void connection_judge(struct connection *connection, const struct config *config, enum listener_mode mode, uint64_t now)
{
    if (connection->cut)
        return;
    /* `now` was read before the lock was had: what happened since must not look as if it lay an age back. */
    if (now < connection->since_ns)
        now = connection->since_ns;
    if (now < connection->began_ns)
        now = connection->began_ns;
    if (mode >= LISTENER_DRAINING)
        judge_draining(connection, mode, now);
    if (connection->cut || connection->phase == PHASE_WORKING)
        return;
    /* The library does not look again when bytes and the end came as one. */
    const bool receiving = connection->phase == PHASE_WAITING || connection->phase == PHASE_READING;
    if (receiving && connection->gone && now - connection->since_ns >= ms(GONE_MS))
        connection_cut(connection, NULL);
    else if (connection->phase == PHASE_WAITING)
        judge_waiting(connection, config, now);
    else if (connection->phase == PHASE_READING)
        judge_reading(connection, config, now);
    else
        judge_sending(connection, config, now);
}
