/* SPDX-License-Identifier: MIT */
/* The protocols of sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3), spoken without libsystemd. */
#include "server/systemd.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* A variable that holds a whole decimal number; 0 where it is absent or none. */
static uint64_t variable_number(const char *name)
{
    const char *text = getenv(name);
    uint64_t value = 0;
    if (text == NULL || *text == '\0')
        return 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return 0;
    }
    return value;
}

unsigned systemd_sockets(void)
{
    const uint64_t count = variable_number("LISTEN_FDS");
    if (count == 0 || count > 64 || variable_number("LISTEN_PID") != (uint64_t)getpid())
        return 0;
    for (uint64_t i = 0; i < count; i++) {
        const int descriptor = SYSTEMD_FIRST_SOCKET + (int)i;
        const int flags = fcntl(descriptor, F_GETFD);
        if (flags < 0 || fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) < 0)
            return 0;
    }
    return (unsigned)count;
}

/* Where systemd wants to be told; -1: nowhere. */
static struct {
    int descriptor;
    socklen_t bytes;
    struct sockaddr_un address;
} notify = {.descriptor = -1};

void systemd_start(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    const size_t length = path == NULL ? 0 : strlen(path);
    if (length < 2 || length >= sizeof notify.address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    notify.address.sun_family = AF_UNIX;
    memcpy(notify.address.sun_path, path, length);
    if (path[0] == '@') /* the abstract namespace: a name that begins with NUL and has no end mark */
        notify.address.sun_path[0] = '\0';
    notify.bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    notify.descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify.descriptor >= 0)
        (void)setsockopt(notify.descriptor, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 1},
                         sizeof(struct timeval));
}

void systemd_notify(const char *state)
{
    /* A queue that is full loses a sign of life, since another follows, but no state. */
    const int flags = strcmp(state, "WATCHDOG=1") == 0 ? MSG_NOSIGNAL | MSG_DONTWAIT : MSG_NOSIGNAL;
    if (notify.descriptor >= 0)
        (void)!sendto(notify.descriptor, state, strlen(state), flags, (const struct sockaddr *)&notify.address,
                      notify.bytes);
}

uint64_t systemd_watchdog_ns(void)
{
    const uint64_t microseconds = variable_number("WATCHDOG_USEC");
    uint64_t nanoseconds = 0;
    if (getenv("WATCHDOG_PID") != NULL && variable_number("WATCHDOG_PID") != (uint64_t)getpid())
        return 0;
    return __builtin_mul_overflow(microseconds, 1000, &nanoseconds) ? 0 : nanoseconds;
}
