/* SPDX-License-Identifier: MIT */
/* Plans of tiny requests that each thread keeps, since callers send the same shapes again and again: what a spec costs, which method
 * is best and how its rows lie then need not be found anew. Only a plan that is the same for every kernel of the shape is kept. */
#ifndef SERVER_ENDPOINTS_KEPT_PLAN_H
#define SERVER_ENDPOINTS_KEPT_PLAN_H

#include "core/convolve.h"

struct kept_plan {
    const struct convolve_plan *plan;
    const struct convolve_cost *cost;
};

/* The plan of exactly this spec, made now where this thread has none. It is this thread's, until it calls this again. False: the
 * spec is at fault, its work is not tiny, its plan depends on the kernel, or there is no memory; the request is then to go the
 * usual way, which tells faults. */
bool kept_plan_find(struct kept_plan *found, const struct convolve_spec *spec, unsigned threads);

#endif
