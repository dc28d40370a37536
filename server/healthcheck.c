/* SPDX-License-Identifier: MIT */
/* A client of one request over a plain socket, or over TLS where a certificate is configured. */
#include "server/healthcheck.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "server/address.h"
#include "server/config.h"
#include "server/tls.h"

enum { TIMEOUT_MS = 5000 };

static int fail(const char *address, const char *reason)
{
    fprintf(stderr, "convolved: %s: %s\n", address, reason);
    return 1;
}

static int connect_to(const struct address *address)
{
    const struct timeval timeout = {.tv_sec = TIMEOUT_MS / 1000};
    const int descriptor = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    /* The timeout of sending is also that of connecting. */
    if (setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0 &&
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
        connect(descriptor, (const struct sockaddr *)&address->socket, address->bytes) == 0)
        return descriptor;
    const int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

/* The beginning of the answer, enough for the status; -1 on failure. */
static ptrdiff_t exchange(int descriptor, const char *request, char *answer, size_t answer_bytes)
{
    const size_t request_bytes = strlen(request);
    size_t received = 0;
    if (send(descriptor, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes)
        return -1;
    while (received < answer_bytes) {
        const ssize_t count = recv(descriptor, answer + received, answer_bytes - received, 0);
        if (count <= 0)
            return received > 0 ? (ptrdiff_t)received : -1;
        received += (size_t)count;
    }
    return (ptrdiff_t)received;
}

int healthcheck_run(const struct config *config)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const char *text = config->listen.items[0];
    struct address address;
    char reason[200], answer[64] = "";
    if (!address_parse(&address, text, reason, sizeof reason))
        return fail(text, reason);
    address_make_local(&address);
    const int descriptor = connect_to(&address);
    if (descriptor < 0)
        return fail(text, strerror(errno));
    const ptrdiff_t received = config->tls_certificate != NULL
                                   ? tls_exchange(descriptor, request, answer, sizeof answer - 1, TIMEOUT_MS)
                                   : exchange(descriptor, request, answer, sizeof answer - 1);
    close(descriptor);
    if (received < 12 || strncmp(answer, "HTTP/1.1 ", 9) != 0)
        return fail(text, "gave no HTTP answer");
    if (strncmp(answer + 9, "200", 3) == 0)
        return 0;
    snprintf(reason, sizeof reason, "/readyz answered %.3s", answer + 9);
    return fail(text, reason);
}
