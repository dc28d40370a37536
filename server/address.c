/* SPDX-License-Identifier: MIT */
/* Addresses as text and as sockaddr. Only digits are understood (and "localhost", which is 127.0.0.1): a daemon that asks a
 * name server before it can start is one that does not start when the name server is away. */
#include "server/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* Decimal digits only, all of the text; -1 where it is none or above `maximum`. */
static long parse_small(const char *text, long maximum)
{
    long value = 0;
    if (*text == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (*text - '0');
        if (value > maximum)
            return -1;
    }
    return value;
}

static bool parse_unix(struct address *address, const char *path, char *reason, size_t reason_bytes)
{
    struct sockaddr_un *socket = (struct sockaddr_un *)&address->socket;
    const size_t length = strlen(path);
    if (length == 0 || length >= sizeof socket->sun_path) {
        snprintf(reason, reason_bytes, "a socket's path has 1 to %zu bytes, this one has %zu",
                 sizeof socket->sun_path - 1, length);
        return false;
    }
    socket->sun_family = AF_UNIX;
    memcpy(socket->sun_path, path, length + 1);
    address->bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return true;
}

bool address_parse(struct address *address, const char *text, char *reason, size_t reason_bytes)
{
    memset(address, 0, sizeof *address);
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(address, text + 5, reason, reason_bytes);

    const char *colon = strrchr(text, ':');
    const bool bracketed = text[0] == '[';
    const size_t host_bytes = colon == NULL ? strlen(text) : (size_t)(colon - text);
    char host[64] = "";
    if (colon == NULL || host_bytes == 0 || host_bytes >= sizeof host || (bracketed && colon[-1] != ']')) {
        snprintf(reason, reason_bytes, "write ADDRESS:PORT (127.0.0.1:8080), [ADDRESS]:PORT ([::1]:8080) or unix:PATH");
        return false;
    }
    const long port = parse_small(colon + 1, 65535);
    if (port < 0) {
        snprintf(reason, reason_bytes, "the port is a number from 0 to 65535 (0: the system chooses)");
        return false;
    }
    if (bracketed) {
        struct sockaddr_in6 *socket = (struct sockaddr_in6 *)&address->socket;
        memcpy(host, text + 1, host_bytes - 2);
        socket->sin6_family = AF_INET6;
        socket->sin6_port = htons((uint16_t)port);
        address->bytes = sizeof *socket;
        if (inet_pton(AF_INET6, host, &socket->sin6_addr) == 1)
            return true;
        snprintf(reason, reason_bytes, "between the brackets stands no IPv6 address");
        return false;
    }
    struct sockaddr_in *socket = (struct sockaddr_in *)&address->socket;
    memcpy(host, text, host_bytes);
    socket->sin_family = AF_INET;
    socket->sin_port = htons((uint16_t)port);
    address->bytes = sizeof *socket;
    if (strcmp(host, "localhost") == 0)
        memcpy(host, "127.0.0.1", sizeof "127.0.0.1");
    if (inet_pton(AF_INET, host, &socket->sin_addr) == 1)
        return true;
    if (memchr(host, ':', host_bytes) != NULL)
        snprintf(reason, reason_bytes, "an IPv6 address stands in brackets, as in [::1]:8080");
    else
        snprintf(reason, reason_bytes,
                 "the address is written in digits, as in 127.0.0.1:8080 (names are not looked up)");
    return false;
}

void address_format(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->socket.ss_family == AF_UNIX) {
        snprintf(out, ADDRESS_TEXT_MAX, "unix:%s", ((const struct sockaddr_un *)&address->socket)->sun_path);
    } else if (address->socket.ss_family == AF_INET6) {
        const struct sockaddr_in6 *socket = (const struct sockaddr_in6 *)&address->socket;
        inet_ntop(AF_INET6, &socket->sin6_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", host, (unsigned)ntohs(socket->sin6_port));
    } else {
        const struct sockaddr_in *socket = (const struct sockaddr_in *)&address->socket;
        inet_ntop(AF_INET, &socket->sin_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", host, (unsigned)ntohs(socket->sin_port));
    }
}

void address_make_local(struct address *address)
{
    if (address->socket.ss_family == AF_INET) {
        struct sockaddr_in *socket = (struct sockaddr_in *)&address->socket;
        if (socket->sin_addr.s_addr == htonl(INADDR_ANY))
            socket->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (address->socket.ss_family == AF_INET6) {
        struct sockaddr_in6 *socket = (struct sockaddr_in6 *)&address->socket;
        if (IN6_IS_ADDR_UNSPECIFIED(&socket->sin6_addr))
            socket->sin6_addr = in6addr_loopback;
    }
}

bool address_is_local(const struct address *address)
{
    if (address->socket.ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)&address->socket)->sin_addr.s_addr) >> 24 == 127;
    if (address->socket.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&address->socket)->sin6_addr);
    return address->socket.ss_family == AF_UNIX;
}

bool address_is_network(const char *text)
{
    char host[INET6_ADDRSTRLEN + 1] = "";
    unsigned char binary[16];
    const char *slash = strchr(text, '/');
    const size_t host_bytes = slash == NULL ? strlen(text) : (size_t)(slash - text);
    if (host_bytes >= sizeof host)
        return false;
    memcpy(host, text, host_bytes);
    if (inet_pton(AF_INET, host, binary) == 1)
        return slash == NULL || parse_small(slash + 1, 32) >= 0;
    if (inet_pton(AF_INET6, host, binary) == 1)
        return slash == NULL || parse_small(slash + 1, 128) >= 0;
    return false;
}
