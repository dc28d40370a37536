/* SPDX-License-Identifier: MIT */
/* "did you mean ...?": which known name a mistaken one is closest to. Case and the choice of - or _ do not count. */
#ifndef SERVER_NEAREST_H
#define SERVER_NEAREST_H

#include <stddef.h>

/* Keep one, offer it every known name, read `name`: the nearest so far, NULL while none is near enough to be meant. */
struct nearest {
    const char *wanted;
    const char *name;
    unsigned distance;
};

void nearest_offer(struct nearest *nearest, const char *known);

#endif
