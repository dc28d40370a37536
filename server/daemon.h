/* SPDX-License-Identifier: MIT */
/* What all requests share. One per process, made by main.c, passed by pointer: there are no globals but this one's owners'. */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/arena.h"
#include "server/config.h"

/* What each request changes lies apart from what it only reads, or every core would fetch the latter anew after each change. */
enum { CACHE_LINE_BYTES = 64 };

struct daemon {
    const struct config
        *_Atomic config; /* replaced whole by SIGHUP; old ones are kept until exit, readers hold no lock */
    struct pool *pool;
    unsigned threads, io_threads; /* as resolved from the configuration and the cores */
    _Atomic bool draining;
    _Atomic size_t connections;
    uint64_t started_ns;
    _Alignas(CACHE_LINE_BYTES) struct memory_budget budget;
};

#define CONVOLVED_VERSION "0.1.0"

#endif
