/* SPDX-License-Identifier: MIT */
/* The method `separable`: kernels that are outer products, one pass per axis. */
#ifndef CORE_SEPARABLE_H
#define CORE_SEPARABLE_H

#include "core/plan.h"

/* Where a plan's method is auto its slices of the kernel are judged one by one: `create` leaves those that are not outer
 * products to the method that choose names, and the whole plan, its `method` too, if none is. */
extern const struct plan_method separable_method;

#endif
