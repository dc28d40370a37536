/* SPDX-License-Identifier: MIT */
/* Bodies that are no JSON, as ways into a computation: a .npy file that is `input`, with the other members in the query; and
 * multipart/form-data, a part for each member. Either ends in the members that a JSON body would have. */
#ifndef SERVER_ENDPOINTS_INPUTS_H
#define SERVER_ENDPOINTS_INPUTS_H

#include "server/endpoints/computation.h"

extern const struct computation_input npy_input, multipart_input;

#endif
