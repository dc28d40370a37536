/* SPDX-License-Identifier: MIT */
/* Random cases under a sanitizer or an emulator, where each takes many times as long: fewer of the same. */
#ifndef TESTS_CORE_FEWER_H
#define TESTS_CORE_FEWER_H

#include <stdlib.h>

/* Of `count` cases as many as TEST_SLOWNESS, which tests/run tells, leaves time for; at least one. */
static inline size_t fewer(size_t count)
{
    const char *const text = getenv("TEST_SLOWNESS");
    const size_t slowness = text ? strtoul(text, NULL, 10) : 1;
    return slowness > 1 ? (count - 1) / slowness + 1 : count;
}

#endif
