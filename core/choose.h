/* SPDX-License-Identifier: MIT */
/* The method that `auto` stands for: a function of shapes, dtype and the other members alone, never of load or clock, so that
 * the same request always gets the same method. Only what one slice alone is made of counts: the lengths of batches and of
 * other axes that are not convolved do not, so that a slice gets the method it would get alone. */
#ifndef CORE_CHOOSE_H
#define CORE_CHOOSE_H

#include "core/convolve.h"
#include "core/geometry.h"

struct choice {
    enum convolve_method method; /* what suits every kernel of the shape; where a method is named, that one */
    bool separable; /* under auto: a slice whose kernel is an outer product is rather made by separable */
};
struct choice choose(const struct convolve_spec *spec, const struct geometry *geometry);

#endif
