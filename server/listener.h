/* SPDX-License-Identifier: MIT */
/* The only file that knows libmicrohttpd: sockets, TLS, bytes in and out, deadlines of connections, callers that hang up. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

struct daemon;
struct listener;

/* Binds what config->listen says, or takes the sockets in LISTEN_FDS; false: `error` says which address and why. */
bool listener_start(struct listener **listener, struct daemon *daemon, char *error, size_t error_bytes);
/* Calls `each` with "http://127.0.0.1:43211" or "unix:PATH" for every address, in order. */
void listener_addresses(const struct listener *listener, void (*each)(void *context, const char *address),
                        void *context);
/* Whether a Unix socket's file is to be removed at the end. */
bool listener_owns_files(const struct listener *listener);
/* Logs what is dangerous about where it listens: addresses that other machines reach, without keys or without TLS. */
void listener_warn(const struct listener *listener);
/* Whether the watch thread has gone round since it was asked last, or is asked for the first time: it takes every lock that
 * connections take, so it stands still where they do. For the main thread, at intervals longer than a round. */
bool listener_is_alive(struct listener *listener);
/* Stops accepting, answers what was accepted, refuses what is new, closes idle connections; returns when none is left or
 * drain_timeout_ms has passed. daemon->draining is set by the caller before. */
void listener_drain(struct listener *listener);
void listener_stop(struct listener *listener); /* frees all; after listener_drain */
/* To be called after daemon->config was replaced (certificates, limits). */
void listener_reload(struct listener *listener);

#endif
