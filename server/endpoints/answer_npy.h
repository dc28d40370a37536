/* SPDX-License-Identifier: MIT */
/* A result tensor as a .npy file, what is known of it in headers. */
#ifndef SERVER_ENDPOINTS_ANSWER_NPY_H
#define SERVER_ENDPOINTS_ANSWER_NPY_H

#include "server/endpoints/computation.h"

extern const struct computation_output npy_output;

#endif
