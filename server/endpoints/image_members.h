/* SPDX-License-Identifier: MIT */
/* The members of /v1/image (section 7 of the contract): a kernel, what stands outside the picture, and what becomes of a result. */
#ifndef SERVER_ENDPOINTS_IMAGE_MEMBERS_H
#define SERVER_ENDPOINTS_IMAGE_MEMBERS_H

#include "core/convolve.h"
#include "server/endpoints/named_kernel.h"
#include "server/endpoints/options.h"

struct request;

extern const struct json_schema image_schema;

struct image_members {
    struct options options;
    bool is_gradient; /* the magnitude of a gradient: two kernels, a result for each */
    struct named_kernel
        named; /* whose values are still to be made; its `kernel` is NULL where there are none to make */
    struct convolve_shape kernel; /* [h, w], of a gradient [2, h, w] */
    double *values; /* NULL where they are to be made, or a plan came with a shape alone */
    enum convolve_boundary boundary;
    enum convolve_method method;
    double fillvalue;
    bool normalize, absolute;
    double scale, offset;
};

/* Faults are told in the order of the contract. */
bool image_members_read(struct image_members *members, const struct json_body *body, struct request *request,
                        struct convolve_error *error);

/* The kernel's values, normalised where that is asked for; once the cost is admitted. */
bool image_members_make_kernel(struct image_members *members, struct request *request, struct convolve_error *error);

#endif
