/* SPDX-License-Identifier: MIT */
/* What tests of load and abuse have in common: a well-behaved caller beside the others, and what a process holds. */
#ifndef TESTS_HTTP_BESIDE_H
#define TESTS_HTTP_BESIDE_H

#include "tests/http/harness.h"

/* Calls again and again on a thread of its own, and checks each answer. */
struct beside *beside_start(struct child *child);
/* Complains where an answer was wrong, where there was none for `milliseconds` (scaled by slowness), or fewer than `least` in all. */
void beside_stop(struct beside *beside, const char *name, double milliseconds, int least);

struct held {
    long rss_kib, descriptors, threads;
};
struct held held_by(const struct child *child);
/* Waits until no more is held than `before`, with `rss_kib` more allowed; complains where that does not come. */
void check_given_back(const char *name, struct child *child, struct held before, long rss_kib);

/* child_start through a shell: `commands` come before `exec`, which `redirections` end. */
struct child *child_start_by_shell(const char *commands, const char *redirections, const char *const *flags);

/* A request with this body, which has its quotes in place; NULL: POST without a body. */
const char *post_of(const char *path, const char *body);

#endif
