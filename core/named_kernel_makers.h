/* SPDX-License-Identifier: MIT */
/* How the values of the named kernels come about. For the table in core/named_kernels.c only. */
#ifndef CORE_NAMED_KERNEL_MAKERS_H
#define CORE_NAMED_KERNEL_MAKERS_H

#include <stddef.h>

/* Fills length^axes values, row-major. `parameters` has one sound value for each of the row, a NaN only for a size that
 * follows from the others. Every length is odd. */
typedef void named_kernel_maker(const double *parameters, unsigned axes, size_t length, double *values);

named_kernel_maker make_identity, make_box, make_disk, make_gaussian, make_unsharp, make_laplacian,
    make_laplacian_of_gaussian, make_motion_blur;

#endif
