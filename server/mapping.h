/* SPDX-License-Identifier: MIT */
/* Large pieces of memory straight from the system, for arenas: they grow without a copy, and those freed lately are kept for
 * reuse, because the page faults of a fresh one cost as much as filling it does. */
#ifndef SERVER_MAPPING_H
#define SERVER_MAPPING_H

#include <stdbool.h>
#include <stddef.h>

struct mapping {
    void *address; /* page aligned, not zeroed */
    size_t space_bytes; /* address space */
    size_t bytes; /* that may be touched, whole pages */
    size_t spare_bytes; /* behind them, perhaps resident: the store's still. No page beyond is resident. */
};

bool mapping_round(size_t bytes,
                   size_t *rounded); /* to whole pages, huge ones where it is large; false beyond any address space */

/* `bytes` must be rounded, and not 0. False where the system has no memory; resize leaves the mapping as it was then. `expected`,
 * rounded, is what it will probably grow to: it gets the address space for that, and a kept mapping of that size keeps its pages. */
bool mapping_take(struct mapping *mapping, size_t bytes, size_t expected);
bool mapping_resize(struct mapping *mapping, size_t bytes); /* may move it, what it holds stays */
void mapping_give(struct mapping *mapping);

/* Gives what is kept (at most 32 MiB) back to the system: for idle times. */
void mapping_trim(void);

#endif
