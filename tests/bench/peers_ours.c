/* SPDX-License-Identifier: MIT */
/* Our side of peers_bench.py: a request as a caller of the library makes it. In C, so that no layout of the public header's
 * structs is written down a second time. */
#include "core/convolve.h"
#include "tests/bench/fma_peak.h"
#include "tests/bench/peers.h"

#include <stdio.h>
#include <stdlib.h>

struct bench_ours {
    struct convolve_spec spec;
    enum convolve_method method;
};

struct bench_ours *bench_ours_create(const size_t *input, const size_t *kernel, bool f64, const char *method)
{
    struct bench_ours *const ours = calloc(1, sizeof *ours);
    if (!ours)
        return NULL;
    ours->spec.dtype = f64 ? CONVOLVE_FLOAT64 : CONVOLVE_FLOAT32;
    ours->spec.mode = CONVOLVE_SAME;
    for (unsigned i = 0; i < 3; i++) {
        if (input[i] == 1 && ours->spec.input.rank == 0 && i < 2)
            continue;
        ours->spec.input.size[ours->spec.input.rank++] = input[i];
        ours->spec.kernel.size[ours->spec.kernel.rank++] = kernel[i];
    }
    for (unsigned i = CONVOLVE_AUTO; i <= CONVOLVE_OVERLAP_ADD; i++) {
        if (strcmp(convolve_method_name(i), method) == 0) {
            ours->spec.method = i;
            return ours;
        }
    }
    free(ours);
    return NULL;
}

bool bench_ours_run(struct bench_ours *ours, const void *input, const void *kernel, void *output)
{
    struct convolve_plan *plan;
    struct convolve_outcome outcome;
    struct convolve_error error = {0};
    bool done = convolve_plan_create(&plan, &ours->spec, kernel, &error);
    if (done) {
        done = convolve_plan_execute(plan, input, kernel, output, &outcome, &error);
        ours->method = convolve_plan_method(plan);
        convolve_plan_destroy(plan);
    }
    if (!done)
        fprintf(stderr, "%s %s: %s\n", error.slug, error.pointer, error.detail);
    return done;
}

const char *bench_ours_method(const struct bench_ours *ours)
{
    return convolve_method_name(ours->method);
}

void bench_ours_destroy(struct bench_ours *ours)
{
    free(ours);
}

double bench_fma_peak(void)
{
    return fma_peak(convolve_simd_name());
}
