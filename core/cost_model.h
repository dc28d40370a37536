/* SPDX-License-Identifier: MIT */
/* What the methods are estimated to take on one thread with their plans, in nanoseconds, from layouts and measured tables. */
#ifndef CORE_COST_MODEL_H
#define CORE_COST_MODEL_H

#include "core/geometry.h"

double direct_estimate_ns(const struct convolve_spec *spec, const struct geometry *geometry);

/* Infinite where separable cannot do the request; with fewer than two axes that have taps it is direct's. */
double separable_estimate_ns(const struct convolve_spec *spec, const struct geometry *geometry);
double separable_least_ns(enum convolve_dtype dtype); /* no estimate with two such axes is below */

/* Of CONVOLVE_FFT or CONVOLVE_OVERLAP_ADD: infinite where they cannot. */
double transform_estimate_ns(const struct convolve_spec *spec, const struct geometry *geometry,
                             enum convolve_method method);
double transform_least_ns(const struct convolve_spec *spec, const struct geometry *geometry); /* no estimate is below */

#endif
