/* SPDX-License-Identifier: MIT */
/* What `auto` does. As long as direct is the only method there is nothing to weigh. */
#include "core/choose.h"

enum convolve_method choose_method(const struct convolve_spec *spec, const struct geometry *geometry)
{
    (void)geometry;
    return spec->method == CONVOLVE_AUTO ? CONVOLVE_DIRECT : spec->method;
}
