/* SPDX-License-Identifier: MIT */
/* What access.c and access_rate.c share. */
#ifndef SERVER_ACCESS_PARTS_H
#define SERVER_ACCESS_PARTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/keys.h"

/* Token buckets by client. The table has a fixed size: a client takes the place of one whose bucket is full again, since a full
 * bucket says nothing. */
enum { BUCKET_SETS = 4096, BUCKET_WAYS = 4 };
struct bucket {
    uint64_t client, filled_ns; /* 0: never used */
    double tokens;
};

struct access {
    pthread_rwlock_t lock;
    struct keys keys; /* guarded by `lock` */
    _Atomic bool required; /* a file is configured: without a key nobody is let in */
    pthread_mutex_t buckets_lock;
    struct bucket buckets[BUCKET_SETS][BUCKET_WAYS];
};

#endif
