/* SPDX-License-Identifier: MIT */
/* A form has one outcome, however it is cut: parts of JSON, words and .npy files, between boundaries of "b". */
#include "tests/fuzz/form_outcome.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    form_fuzz("b", data, size);
    return 0;
}
