/* SPDX-License-Identifier: MIT */
/* What /v1/image would cost, from the picture's header and the members. */
#ifndef SERVER_ENDPOINTS_IMAGE_COST_H
#define SERVER_ENDPOINTS_IMAGE_COST_H

#include "core/convolve.h"

struct image;
struct image_members;
struct picture;
struct request;

struct image_cost {
    struct convolve_draft *draft; /* of one plane */
    struct convolve_cost whole; /* of the picture */
    uint64_t work; /* with decoding and encoding, for urgency */
    unsigned planes; /* colours */
    size_t cells; /* of a plane */
};

/* Fills it, and holds it against the limits unless a plan was asked for. To be called again once the kernel's values are there,
 * where `max_error` was given. */
bool image_cost_check(struct image_cost *cost, struct request *request, const struct image_members *members,
                      const struct picture *picture, struct convolve_error *error);

/* The bound on the finished values, before rounding, from that on a plane's results. */
double image_cost_bound(const struct image_members *members, const struct image *image, double plane_bound);

#endif
