/* SPDX-License-Identifier: MIT */
/* The error bound that a request's values tell before anything is computed: plans answer `plan: true` from it. */
#include "core/plan.h"

#include <math.h>
#include <stdlib.h>

bool convolve_predict(const struct convolve_spec *spec, const void *input, const void *kernel, double *error_bound,
                      enum convolve_method *method, struct convolve_error *error)
{
    struct convolve_plan *plan;
    if (!convolve_plan_create(&plan, spec, kernel, error))
        return false;
    *method = plan->method->id;
    *error_bound = plan->geometry.empty ? 0 : NAN;
    size_t bytes = 0;
    void *scratch = NULL;
    const bool predicts = !plan->geometry.empty && plan->method->predict;
    const bool ready = !predicts || (plan_size_add(&bytes, plan->sizes.scratch_bytes, 1) &&
                                     (bytes == 0 || (scratch = aligned_alloc(CONVOLVE_ALIGNMENT, bytes))));
    if (ready && predicts) {
        const struct convolve_run run = {.input = input, .kernel = kernel, .scratch = scratch};
        *error_bound = plan->method->predict(plan, &run);
    }
    free(scratch);
    convolve_plan_destroy(plan);
    return ready || convolve_fail(error, "overloaded", "", "out of memory");
}
