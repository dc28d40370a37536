/* SPDX-License-Identifier: MIT */
/* What all requests share. One per process, made by main.c, passed by pointer: there are no globals but this one's owners'. */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/arena.h"
#include "server/config.h"

struct daemon {
    const struct config
        *_Atomic config; /* replaced whole by SIGHUP; old ones are kept until exit, readers hold no lock */
    struct pool *pool;
    struct memory_budget budget;
    unsigned threads, io_threads; /* as resolved from the configuration and the cores */
    _Atomic bool draining;
    _Atomic size_t connections, in_flight; /* in_flight: requests whose headers are known and whose answer is not out */
    uint64_t started_ns;
};

#define CONVOLVED_VERSION "0.1.0"

#endif
