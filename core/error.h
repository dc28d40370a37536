/* SPDX-License-Identifier: MIT */
/* Faults that several parts of the core tell alike. */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

#include "core/convolve.h"

/* "too-large", because `what` ("the output's size") cannot be counted in 64 bits; `limit` is the configuration's member that it
 * would exceed. Returns false. */
bool fail_uncountable(struct convolve_error *error, const char *pointer, const char *limit, const char *what);

#endif
