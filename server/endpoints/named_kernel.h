/* SPDX-License-Identifier: MIT */
/* A kernel by name, as the member `kernel` gives it: "sobel_x" or {"name": "gaussian", "sigma": 1.5}. */
#ifndef SERVER_ENDPOINTS_NAMED_KERNEL_H
#define SERVER_ENDPOINTS_NAMED_KERNEL_H

#include "core/convolve.h"

struct json_value;
struct request;

struct named_kernel {
    const struct convolve_named_kernel *kernel;
    double parameters[4]; /* NaN: the default */
    unsigned axes; /* the caller's */
};

/* The name in a value that json_names_kernel, and where it stands. */
bool named_kernel_name(const struct json_value *value, const char **name, const char **pointer,
                       struct convolve_error *error);
/* Fills all but `axes`. `others` (NULL-terminated, may be NULL): names that the path knows beside the kernels'. */
bool named_kernel_read(struct named_kernel *named, const struct json_value *value, const char *const *others,
                       struct convolve_error *error);
/* The values as `dtype` in the request's arena; a fraction under int64 is a fault of the kernel. */
bool named_kernel_values(const struct named_kernel *named, const struct convolve_shape *shape,
                         enum convolve_dtype dtype, struct request *request, void **values,
                         struct convolve_error *error);

#endif
