/* SPDX-License-Identifier: MIT */
/* A .npy file has one outcome, however it is cut. */
#include "tests/fuzz/form_outcome.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    form_fuzz(NULL, data, size);
    return 0;
}
