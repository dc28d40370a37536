/* SPDX-License-Identifier: MIT */
/* The methods `fft` and `overlap_add`: every float and complex request by transforms of our own. */
#ifndef CORE_FFT_CONVOLVE_H
#define CORE_FFT_CONVOLVE_H

#include "core/plan.h"

extern const struct plan_method fft_method, overlap_add_method;

/* What a method, CONVOLVE_FFT or CONVOLVE_OVERLAP_ADD, is estimated to take on one thread with the blocks it would choose, in
 * nanoseconds; infinite where it cannot do the request. From shapes and dtype alone. */
double fft_estimate_ns(const struct convolve_spec *spec, const struct geometry *geometry, enum convolve_method method);

#endif
