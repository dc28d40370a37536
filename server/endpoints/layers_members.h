/* SPDX-License-Identifier: MIT */
/* The members of /v1/conv and its family (section 4 of the contract) to a spec and its tensors. */
#ifndef SERVER_ENDPOINTS_LAYERS_MEMBERS_H
#define SERVER_ENDPOINTS_LAYERS_MEMBERS_H

#include "core/convolve.h"
#include "server/endpoints/options.h"

struct request;

extern const struct json_schema layers_schemas[]; /* by enum convolve_layer_operation */

struct layers_members {
    struct options options;
    struct convolve_layer_spec spec;
    struct convolve_run
        tensors; /* blocks of the request's arena; NULL where absent, or a plan came with shapes alone */
    bool shape_only; /* a tensor has no values */
};

/* `operation` comes from the path. Faults are told in the order of the contract. */
bool layers_members_read(struct layers_members *members, enum convolve_layer_operation operation,
                         const struct json_body *body, struct request *request, struct convolve_error *error);

#endif
