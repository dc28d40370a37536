/* SPDX-License-Identifier: MIT */
/* The notation of addresses in the configuration: 127.0.0.1:8080, [::1]:8080, localhost:8080, unix:PATH. Read here and nowhere
 * else, so that what a check accepts is what a start binds and what a health check asks. No name is ever looked up. */
#ifndef SERVER_ADDRESS_H
#define SERVER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct address {
    struct sockaddr_storage socket; /* AF_INET, AF_INET6 or AF_UNIX */
    socklen_t bytes;
};

enum { ADDRESS_TEXT_MAX = 128 };

/* False: `reason` says what is wrong with the text and what would be right. */
bool address_parse(struct address *address, const char *text, char *reason, size_t reason_bytes);

/* The same notation back: "127.0.0.1:43211", "[::1]:8080", "unix:PATH". */
void address_format(const struct address *address, char out[ADDRESS_TEXT_MAX]);

/* Where a client of this machine reaches it: 0.0.0.0 becomes 127.0.0.1, [::] becomes [::1]; the rest stays. */
void address_make_local(struct address *address);

/* Whether only this machine reaches it: a Unix socket, 127.0.0.0/8, ::1. */
bool address_is_local(const struct address *address);

/* Whether the text is an address (10.0.0.1) or a network (10.0.0.0/8), as `trusted_proxies` lists them. */
bool address_is_network(const char *text);

#endif
