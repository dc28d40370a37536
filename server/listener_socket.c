/* SPDX-License-Identifier: MIT */
/* The sockets that listen: bound as the configuration says, or handed over by systemd. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/listener_parts.h"
#include "server/systemd.h"

enum { BACKLOG = 4096 };

static const char *socket_path(const struct address *address)
{
    return ((const struct sockaddr_un *)&address->socket)->sun_path;
}

/* A socket that nobody listens on is left over from a daemon that died; anything else is somebody's. */
static bool clear_path(const struct address *address, char *reason, size_t reason_bytes)
{
    struct stat status;
    if (lstat(socket_path(address), &status) < 0)
        return true;
    if (!S_ISSOCK(status.st_mode)) {
        snprintf(reason, reason_bytes, "there is a file that is no socket");
        return false;
    }
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return true;
    const bool answered = connect(probe, (const struct sockaddr *)&address->socket, address->bytes) == 0;
    const int why = errno;
    close(probe);
    if (!answered && why == ECONNREFUSED)
        return unlink(socket_path(address)) == 0 || errno == ENOENT ||
               (snprintf(reason, reason_bytes, "the old socket cannot be removed: %s", strerror(errno)), false);
    snprintf(reason, reason_bytes, "%s", answered ? "another process listens there" : strerror(why));
    return false;
}

static bool door_bind(struct door *door, char *reason, size_t reason_bytes)
{
    const int family = door->address.socket.ss_family, on = 1;
    struct stat status;

    if (family == AF_UNIX && !clear_path(&door->address, reason, reason_bytes))
        return false;
    door->descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (door->descriptor >= 0 && family != AF_UNIX)
        setsockopt(door->descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (door->descriptor >= 0 && family == AF_INET6) /* [::] and 0.0.0.0 may both be listed */
        setsockopt(door->descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (door->descriptor < 0 ||
        bind(door->descriptor, (const struct sockaddr *)&door->address.socket, door->address.bytes) < 0 ||
        listen(door->descriptor, BACKLOG) < 0) {
        snprintf(reason, reason_bytes, "%s", strerror(errno));
        if (door->descriptor >= 0)
            close(door->descriptor);
        door->descriptor = -1;
        return false;
    }
    if (family == AF_UNIX && stat(socket_path(&door->address), &status) == 0) {
        door->device = status.st_dev;
        door->inode = status.st_ino;
    } else if (family != AF_UNIX) { /* with port 0 the system has chosen one */
        door->address.bytes = sizeof door->address.socket;
        getsockname(door->descriptor, (struct sockaddr *)&door->address.socket, &door->address.bytes);
    }
    return true;
}

static bool open_one(struct listener *listener, const char *text, bool only_metrics, char *error, size_t error_bytes)
{
    char reason[200];
    if (listener->door_count == DOORS_MAX) {
        snprintf(error, error_bytes, "listen: more than %d addresses", DOORS_MAX);
        return false;
    }
    struct door *door = &listener->doors[listener->door_count];
    *door = (struct door){.descriptor = -1, .only_metrics = only_metrics};
    if (!address_parse(&door->address, text, reason, sizeof reason) || !door_bind(door, reason, sizeof reason)) {
        snprintf(error, error_bytes, "cannot listen on %s: %s", text, reason);
        return false;
    }
    listener->door_count++;
    return true;
}

static bool take_inherited(struct listener *listener, unsigned count, char *error, size_t error_bytes)
{
    for (unsigned i = 0; i < count && i < DOORS_MAX; i++) {
        const int descriptor = SYSTEMD_FIRST_SOCKET + (int)i;
        struct door *door = &listener->doors[i];
        int listens = 0;
        socklen_t bytes = sizeof listens;
        *door = (struct door){.descriptor = descriptor, .inherited = true};
        door->address.bytes = sizeof door->address.socket;
        if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) < 0 || !listens ||
            getsockname(descriptor, (struct sockaddr *)&door->address.socket, &door->address.bytes) < 0) {
            snprintf(error, error_bytes, "LISTEN_FDS: descriptor %d is no stream socket that listens", descriptor);
            return false;
        }
        const int flags = fcntl(descriptor, F_GETFL);
        if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0) {
            snprintf(error, error_bytes, "LISTEN_FDS: descriptor %d: %s", descriptor, strerror(errno));
            return false;
        }
        listener->door_count++;
    }
    return true;
}

bool doors_open(struct listener *listener, char *error, size_t error_bytes)
{
    const struct config *config = atomic_load(&listener->daemon->config);
    const unsigned inherited = systemd_sockets();

    if (inherited > 0) {
        if (!take_inherited(listener, inherited, error, error_bytes))
            return false;
    } else {
        for (size_t i = 0; i < config->listen.count; i++)
            if (!open_one(listener, config->listen.items[i], false, error, error_bytes))
                return false;
    }
    return config->metrics_listen == NULL || open_one(listener, config->metrics_listen, true, error, error_bytes);
}

void door_close(struct door *door)
{
    struct stat status;
    if (door->descriptor < 0)
        return;
    if (door->address.socket.ss_family == AF_UNIX && !door->inherited && door->inode != 0 &&
        stat(socket_path(&door->address), &status) == 0 && status.st_dev == door->device &&
        status.st_ino == door->inode)
        unlink(socket_path(&door->address));
    close(door->descriptor);
    door->descriptor = -1;
}
