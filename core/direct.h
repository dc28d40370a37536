/* SPDX-License-Identifier: MIT */
/* The method `direct`: the sum as it is defined, for every request. */
#ifndef CORE_DIRECT_H
#define CORE_DIRECT_H

#include "core/plan.h"

extern const struct plan_method direct_method;

#endif
