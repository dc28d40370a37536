/* SPDX-License-Identifier: MIT */
/* The members of /v1/convolve and /v1/correlate (section 3 of the contract) to a spec and its tensors. */
#ifndef SERVER_ENDPOINTS_CONVOLVE_MEMBERS_H
#define SERVER_ENDPOINTS_CONVOLVE_MEMBERS_H

#include "core/convolve.h"
#include "server/endpoints/named_kernel.h"
#include "server/endpoints/options.h"

struct request;

extern const struct json_schema convolve_schema;

struct convolve_members {
    struct options options;
    struct convolve_spec spec;
    void *input, *kernel; /* blocks of the request's arena; NULL where a plan came with shapes alone */
    struct named_kernel
        named; /* whose values are still to be made; its `kernel` is NULL where there are none to make */
};

/* `operation` comes from the path. Faults are told in the order of the contract. */
bool convolve_members_read(struct convolve_members *members, enum convolve_operation operation,
                           const struct json_body *body, struct request *request, struct convolve_error *error);

/* The values of a large named kernel, for which few bytes of a body may ask: made once the cost is admitted, by a worker. */
bool convolve_members_make_kernel(struct convolve_members *members, struct request *request,
                                  struct convolve_error *error);

#endif
