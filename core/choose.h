/* SPDX-License-Identifier: MIT */
/* The method that `auto` stands for: a function of shapes, dtype and the other members alone, never of values, load or
 * clock, so that the same request always gets the same method. */
#ifndef CORE_CHOOSE_H
#define CORE_CHOOSE_H

#include "core/convolve.h"
#include "core/geometry.h"

enum convolve_method choose_method(const struct convolve_spec *spec, const struct geometry *geometry);

#endif
