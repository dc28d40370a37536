/* SPDX-License-Identifier: MIT */
/* What the files of direct share: the plan's state, and how a run's scratch is divided. */
#ifndef CORE_DIRECT_STATE_H
#define CORE_DIRECT_STATE_H

#include "core/direct_layout.h"
#include "core/plan.h"

/* The plan's own; `offsets` follow it in the same allocation. */
struct direct_state {
    struct direct_layout layout;
    ptrdiff_t *place_offsets, *copy_offsets; /* of the taps of a pass, in a row in place and in a copied one */
    double unit_roundoff, tiny, exact_below; /* of the dtype: 2^-53 or 2^-24, the least denormal, 2^53 or 2^24 */

    /* Another method may make the outputs and leave to direct what the values tell: it then gives the bound for input values
     * up to `largest`, times its slice of the kernel. NULL: those of direct's own chains. */
    double (*bound)(const void *maker, size_t kernel_slice, double largest);
    const void *maker;
};

/* What a chunk of values tells. Of the kernel `largest` is no maximum but the sum of absolute values. */
struct direct_facts {
    double largest;
    uint64_t integer; /* of int64: the largest absolute value, or the sum, saturating */
    bool fractional, nonfinite;
};

/* Found while tiles run; touched by __atomic operations only, each a maximum or minimum, so that order cannot show. */
struct direct_findings {
    uint64_t first_nonfinite; /* index of a value; UINT64_MAX where there is none */
    uint64_t bound; /* bits of a double that is not negative */
    uint64_t overflow; /* an int64 result does not fit */
    uint64_t input_largest, input_fractional, input_nonfinite; /* where it is looked at beside */
    uint64_t look_needed; /* outputs may be NaN or infinite */
    uint64_t check_needed; /* some slice is to be looked at one output at a time */
    uint64_t empty_windows; /* ignore_missing gave a NaN, as it was asked to */
    uint64_t whole_zero; /* ignore_missing with a kernel that sums to 0 */
};

struct direct_scratch {
    struct direct_findings *findings;
    void *values; /* every kernel slice in canonical order, complex values as pairs */
    struct direct_facts *kernel_facts, *input_facts; /* group by group, chunk by chunk */
};

bool direct_scratch_size(const struct direct_layout *layout, size_t *bytes);
struct direct_scratch direct_scratch_parts(const struct direct_layout *layout, void *scratch);

static inline const struct direct_state *direct_state(const struct convolve_plan *plan)
{
    return plan->state;
}

/* ---- direct_unit.c: the vectorised way; `facts` are only found where direct_looks_beside ---- */
void direct_run_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t unit, size_t pass,
                     void *tile_scratch, struct simd_facts *facts);

/* ---- direct_strips.c: whether the units are made as strips, and what the input tells is found beside ---- */
bool direct_has_strips(const struct convolve_plan *plan);
bool direct_looks_beside(const struct convolve_plan *plan);

/* Notes which of `count` values of the output from row-major `index` on are not finite; mends them with ignore_missing. */
void direct_look_at(const struct convolve_plan *plan, const struct convolve_run *run, size_t index, size_t count);

/* ---- direct_plain.c: one output at a time ---- */

/* Whether the weights of a slice of the packed kernel sum to 0. */
bool direct_whole_is_zero(const struct convolve_plan *plan, const void *values, size_t slice);

/* Writes the output at row-major `index`. For int64 it is exact, or its overflow noted in the findings. */
void direct_plain_output(const struct convolve_plan *plan, const struct convolve_run *run, size_t index);

/* With ignore_missing: makes the output again if its window has holes, and notes what that tells. */
void direct_mend_output(const struct convolve_plan *plan, const struct convolve_run *run, size_t index);

/* The sum of the absolute products of one output, in double; exact, or at least 2^53. */
double direct_absolute_sum(const struct convolve_plan *plan, const struct convolve_run *run, size_t index);

/* ---- direct_facts.c: what the values tell ---- */

/* Brings one chunk of a kernel slice into canonical order and gathers its facts; chunks are counted slice by slice. */
void direct_pack_chunk(const struct convolve_plan *plan, const struct convolve_run *run, size_t chunk);
void direct_scan_chunk(const struct convolve_plan *plan, const struct convolve_run *run, size_t chunk);

/* Whether the output at row-major `index` is one of this plan's (see plan->slices). */
bool direct_makes(const struct convolve_plan *plan, size_t index);

/* Joins the chunks' facts, notes the bounds that follow from them, and whether outputs are to be checked one by one. */
void direct_conclude(const struct convolve_plan *plan, const struct convolve_run *run);

/* The bound of direct's chains over values up to `largest`, weights whose absolute values add up to `sum`. That sum is at most
 * direct_sum_above what was added up in double; of a slice of the kernel that is packed, direct_kernel_sum. */
double direct_chain_bound(const struct convolve_plan *plan, double largest, double sum);
double direct_sum_above(const struct convolve_plan *plan, double sum);
double direct_kernel_sum(const struct convolve_plan *plan, const struct convolve_run *run, size_t kernel_slice);

/* The bound that the facts alone give (see convolve_predict). */
double direct_predict(const struct convolve_plan *plan, const struct convolve_run *run);

/* Looks at one output if its slices call for it: an int64 is made again exactly; the bound of a float of integers is
 * noted unless its products show that it is exact. */
void direct_check_output(const struct convolve_plan *plan, const struct convolve_run *run, size_t index);

/* The input's facts, gathered by units in any order instead of chunk by chunk. */
void direct_clear_facts(const struct convolve_plan *plan, const struct convolve_run *run);
void direct_add_facts(const struct convolve_plan *plan, const struct convolve_run *run, const struct simd_facts *facts);

void direct_note_bound(struct direct_findings *findings, double bound);
void direct_note_nonfinite(struct direct_findings *findings, size_t index);
void direct_note(uint64_t *finding);

#endif
