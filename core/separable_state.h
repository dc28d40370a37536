/* SPDX-License-Identifier: MIT */
/* What the files of separable share: the plan's state. */
#ifndef CORE_SEPARABLE_STATE_H
#define CORE_SEPARABLE_STATE_H

#include "core/plan.h"
#include "core/separable_factors.h"
#include "core/separable_layout.h"

/* The plan's own; the arrays follow it in the same allocation. */
struct separable_state {
    struct separable_layout layout;
    struct convolve_plan facts; /* of direct: gathers what the values tell, and makes single outputs where it must */
    struct convolve_plan
        rest; /* of another method: makes the slices that are not separable; method NULL where all are */
    bool *mine, *others; /* slices of the kernel; others is the opposite */
    struct factors *factors; /* of each slice that is mine */
    ptrdiff_t *offsets; /* of the taps of a part of a row; NULL: tap k lies at k */
    double largest; /* values beyond may overflow on their way to an output that would not */
};

static inline const struct separable_state *separable_state(const struct convolve_plan *plan)
{
    return plan->state;
}

/* Beside the facts' scratch. */
struct separable_findings {
    uint64_t recheck; /* values so large that sums may overflow on the way to an output that does not */
};

/* ---- separable_create.c: the plan_method's functions of these names ---- */
bool separable_accepts(const struct convolve_spec *spec, const struct geometry *geometry, struct convolve_error *error);
bool separable_measure(const struct convolve_spec *spec, const struct geometry *geometry, struct plan_sizes *sizes);
bool separable_create(struct convolve_plan *plan, const void *kernel, struct convolve_error *error);
void separable_destroy(struct convolve_plan *plan);

/* ---- separable_unit.c ---- */

/* Makes the outputs of one unit. */
void separable_run_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t unit,
                        void *tile_scratch);

#endif
