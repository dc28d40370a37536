/* SPDX-License-Identifier: MIT */
/* Start, drain and stop. One instance of libmicrohttpd serves all addresses: its threads speak HTTP, and get their connections
 * from the watch thread. */
#include "server/listener.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "server/listener_parts.h"
#include "server/listener_request.h"
#include "server/log.h"
#include "server/tls.h"
#include "server/turns.h"

/* Descriptors kept from connections that count: those that are served health alone, log, sockets, epoll. After drain_timeout_ms
 * what is cut has this long to go. */
enum { DESCRIPTORS_RESERVED = 192, DESCRIPTORS_CAP = 1 << 20, CUT_TIMEOUT_MS = 2000 };

/* ---- libmicrohttpd ------------------------------------------------------------------------------------------------ */

struct connection *connection_of(struct MHD_Connection *library)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(library, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* The calls of libmicrohttpd are the only places where its threads are at hand. */
static void take_short_turns(void)
{
    static _Thread_local bool taken;
    if (!taken)
        turns_be_short(0);
    taken = true;
}

static void connection_changes(void *context, struct MHD_Connection *library, void **slot,
                               enum MHD_ConnectionNotificationCode change)
{
    struct listener *listener = context;
    if (change == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*slot != NULL)
            connection_end(*slot);
        *slot = NULL;
        return;
    }
    take_short_turns();
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(library, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *connection = connection_start(listener, info->connect_fd);
    *slot = connection;
    if (connection != NULL && !connection->is_tcp) {
        const struct config *config = atomic_load_explicit(&listener->daemon->config, memory_order_acquire);
        MHD_set_connection_option(library, MHD_CONNECTION_OPTION_TIMEOUT,
                                  (unsigned)(config->idle_timeout_ms / 1000 + 1));
    }
}

static void library_logs(void *context, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));
static void library_logs(void *context, const char *format, va_list arguments)
{
    char text[256];
    (void)context;
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\r\n")] = '\0';
    log_event(LOG_DEBUG, "http: %s", text);
}

static struct MHD_Daemon *start_library(struct listener *listener, const struct config *config, char *error,
                                        size_t error_bytes)
{
    const unsigned threads = listener->daemon->io_threads;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG;
    struct MHD_OptionItem options[8];
    size_t count = 0;

    if (threads > 1)
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL};
    if (config->tls_certificate != NULL) {
        if (!tls_show_files(config->tls_certificate, config->tls_key, error, error_bytes))
            return NULL;
        flags |= MHD_USE_TLS;
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_certificate_callback()};
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES};
    }
    options[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    struct MHD_Daemon *library = MHD_start_daemon(
        flags, 0, NULL, NULL, request_callbacks.handle, listener, /* the log first: it tells of faults of the options */
        MHD_OPTION_EXTERNAL_LOGGER, library_logs, NULL, MHD_OPTION_ARRAY, options, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)listener->descriptors_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_NOTIFY_CONNECTION, connection_changes, listener,
        MHD_OPTION_URI_LOG_CALLBACK, request_callbacks.begins, listener, MHD_OPTION_NOTIFY_COMPLETED,
        request_callbacks.ends, listener, MHD_OPTION_END);
    if (library == NULL)
        snprintf(error, error_bytes, "the HTTP library cannot be started");
    return library;
}

/* ---- Start -------------------------------------------------------------------------------------------------------- */

/* Raises the limit of descriptors to what max_connections needs, as far as the system lets us. */
static void reserve_descriptors(struct listener *listener, const struct config *config)
{
    struct rlimit limit = {1024, 1024};
    const uint64_t needed = config->max_connections + DESCRIPTORS_RESERVED;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < needed) {
        limit.rlim_cur = needed < limit.rlim_max ? (rlim_t)needed : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    listener->descriptors_max = limit.rlim_cur < DESCRIPTORS_CAP ? (size_t)limit.rlim_cur : DESCRIPTORS_CAP;
    const size_t reserved =
        listener->descriptors_max > 4 * DESCRIPTORS_RESERVED ? DESCRIPTORS_RESERVED : listener->descriptors_max / 4;
    listener->connections_max = listener->descriptors_max - reserved;
    if (listener->connections_max < config->max_connections)
        log_event(LOG_WARNING, "max_connections is lowered from %llu to %zu: the system allows %zu descriptors",
                  (unsigned long long)config->max_connections, listener->connections_max, listener->descriptors_max);
}

bool listener_start(struct listener **out, struct daemon *daemon, char *error, size_t error_bytes)
{
    const struct config *config = atomic_load(&daemon->config);
    struct listener *listener = calloc(1, sizeof *listener);

    *out = NULL;
    if (listener == NULL) {
        snprintf(error, error_bytes, "no memory");
        return false;
    }
    listener->daemon = daemon;
    listener->reserve.limit = RESERVE_BYTES;
    listener->is_tls = config->tls_certificate != NULL;
    listener->epoll = listener->wake = -1;
    pthread_mutex_init(&listener->lock, NULL);
    reserve_descriptors(listener, config);
    listener->table = calloc(listener->descriptors_max, sizeof *listener->table);
    if (listener->table == NULL)
        snprintf(error, error_bytes, "no memory");
    else if ((listener->access = access_create(config, error, error_bytes)) != NULL &&
             doors_open(listener, error, error_bytes) &&
             (listener->library = start_library(listener, config, error, error_bytes)) != NULL &&
             watch_start(listener, error, error_bytes)) {
        *out = listener;
        return true;
    }
    listener_stop(listener);
    return false;
}

void listener_addresses(const struct listener *listener, void (*each)(void *context, const char *address),
                        void *context)
{
    for (unsigned i = 0; i < listener->door_count; i++) {
        const struct address *address = &listener->doors[i].address;
        char text[ADDRESS_TEXT_MAX], whole[ADDRESS_TEXT_MAX + 16];
        address_format(address, text);
        snprintf(whole, sizeof whole, "%s%s",
                 strncmp(text, "unix:", 5) == 0 ? ""
                 : listener->is_tls             ? "https://"
                                                : "http://",
                 text);
        each(context, whole);
    }
}

bool listener_is_alive(struct listener *listener)
{
    const uint64_t rounds = atomic_load_explicit(&listener->rounds, memory_order_relaxed) + 1;
    const bool alive = rounds != listener->rounds_seen;
    listener->rounds_seen = rounds;
    watch_wake(listener);
    return alive;
}

bool listener_owns_files(const struct listener *listener)
{
    for (unsigned i = 0; i < listener->door_count; i++)
        if (listener->doors[i].address.socket.ss_family == AF_UNIX && !listener->doors[i].inherited)
            return true;
    return false;
}

void listener_warn(const struct listener *listener)
{
    const struct config *config = atomic_load(&listener->daemon->config);
    const bool has_keys = config->api_keys_file != NULL;
    const char *danger =
        has_keys ? "what is sent can be read on the way: set tls_certificate and tls_key"
        : listener->is_tls
            ? "whoever reaches it may compute: set api_keys_file"
            : "whoever reaches it may compute, and what is sent can be read on the way: set api_keys_file, "
              "tls_certificate and tls_key";
    char text[ADDRESS_TEXT_MAX];

    for (unsigned i = 0; i < listener->door_count && !(has_keys && listener->is_tls); i++) {
        if (listener->doors[i].only_metrics || address_is_local(&listener->doors[i].address))
            continue;
        address_format(&listener->doors[i].address, text);
        log_event(LOG_WARNING,
                  "%s is open to other machines, and %s, or listen on 127.0.0.1 behind a proxy that sees to it", text,
                  danger);
    }
}

/* ---- Reload ------------------------------------------------------------------------------------------------------- */

static void renew_certificate(const struct listener *listener, const struct config *config)
{
    char reason[200];
    if (listener->is_tls != (config->tls_certificate != NULL))
        log_event(LOG_WARNING, "reload: TLS is switched %s by a restart only", listener->is_tls ? "off" : "on");
    else if (listener->is_tls && !tls_show_files(config->tls_certificate, config->tls_key, reason, sizeof reason))
        log_event(LOG_ERROR, "reload: the certificate stays as it was: %s", reason);
}

void listener_reload(struct listener *listener)
{
    const struct config *config = atomic_load(&listener->daemon->config);
    access_reload(listener->access, config);
    renew_certificate(listener, config);
    watch_wake(listener);
}

/* ---- Drain and stop ------------------------------------------------------------------------------------------------ */

/* Those that the library has, and those that it was given and has not begun with: its threads may be late. */
static size_t open_connections(struct listener *listener)
{
    pthread_mutex_lock(&listener->lock);
    size_t open = listener->open;
    for (size_t i = 0; i < listener->table_end; i++)
        open += listener->table[i] != NULL && !listener->table[i]->started &&
                fcntl(listener->table[i]->descriptor, F_GETFD) >= 0; /* else the library gave it up without a word */
    pthread_mutex_unlock(&listener->lock);
    return open;
}

static void wait_a_little(void)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000000};
    nanosleep(&pause, NULL);
}

/* Until no connection is left; false: the time is up. */
static bool wait_until_closed(struct listener *listener, uint64_t timeout_ms)
{
    const uint64_t until = clock_now_ns() + timeout_ms * 1000000;
    while (!atomic_load(&listener->doors_closed) || open_connections(listener) > 0) {
        if (clock_now_ns() >= until)
            return false;
        wait_a_little();
    }
    return true;
}

void listener_drain(struct listener *listener)
{
    const struct config *config = atomic_load(&listener->daemon->config);
    const uint64_t began = clock_now_ns();

    atomic_store(&listener->mode, LISTENER_DRAINING);
    watch_wake(listener);
    if (wait_until_closed(listener, config->drain_timeout_ms))
        return;
    log_event(LOG_WARNING, "drain: %zu connections are left after %llu ms and are closed", open_connections(listener),
              (unsigned long long)((clock_now_ns() - began) / 1000000));
    atomic_store(&listener->mode, LISTENER_CUTTING);
    watch_wake(listener);
    wait_until_closed(listener, CUT_TIMEOUT_MS);
}

/* libmicrohttpd aborts the process where a connection is suspended at its end, so jobs are waited for. */
static void wait_until_resumed(struct listener *listener)
{
    while (atomic_load(&listener->suspended) > 0)
        wait_a_little();
}

void listener_stop(struct listener *listener)
{
    if (listener == NULL)
        return;
    if (listener->watching) {
        atomic_store(&listener->mode, LISTENER_CUTTING);
        watch_wake(listener);
        wait_until_closed(listener, CUT_TIMEOUT_MS);
        wait_until_resumed(listener);
    }
    watch_stop(listener);
    if (listener->library != NULL)
        MHD_stop_daemon(listener->library);
    tls_show_none();
    if (listener->daemon->pool != NULL)
        pool_finish(listener->daemon->pool); /* pieces still being written hold requests, which hold our memory */
    for (unsigned i = 0; i < listener->door_count; i++)
        door_close(&listener->doors[i]);
    for (size_t i = 0; listener->table != NULL && i < listener->descriptors_max; i++)
        if (listener->table[i] != NULL)
            connection_forget(listener, (int)i);
    free(listener->table);
    access_destroy(listener->access);
    pthread_mutex_destroy(&listener->lock);
    free(listener);
}
