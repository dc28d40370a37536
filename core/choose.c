/* SPDX-License-Identifier: MIT */
/* What `auto` does. As long as direct is the only method there is nothing to weigh. */
#include "core/choose.h"

#include "core/separable_layout.h"

enum convolve_method choose_method(const struct convolve_spec *spec, const struct geometry *geometry)
{
    (void)geometry;
    return spec->method == CONVOLVE_AUTO ? CONVOLVE_DIRECT : spec->method;
}

bool choose_separable(const struct convolve_spec *spec, const struct geometry *geometry)
{
    return spec->method == CONVOLVE_AUTO && !geometry->empty && !geometry->exchanged &&
           separable_axis_count(geometry) >= 2 && geometry->tap_count >= 25;
}
