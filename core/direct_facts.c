/* SPDX-License-Identifier: MIT */
/* What the values of input and kernel tell about the outputs: whether integers are exact, and how far floats may be off.
 *
 * A chain of n fused multiply-adds s_j = (s_(j-1) + x_j*k_j)(1 + d_j) + e_j, |d_j| <= u, |e_j| <= tiny/2 (one of them 0),
 * ends within
 *
 *     ((1+u)^n - 1) * sum|x_j*k_j| + n * tiny * (1+u)^n     <=     expm1(n*u) * M*S + n * tiny * exp(n*u)
 *
 * of the exact sum, for every product carries at most n factors 1 + d and every e_j as many; M is the largest |x| of
 * the input's slice and the fillvalue, S the sum of |k| over the kernel's slice. Where the result is finite so was every
 * s_j, and each rounding was at most u*|s_j|: hence never more than n*(u*max + tiny) either. A complex value is two
 * chains of 2n steps, whose products |re*re| and |im*im| are covered by S = sum(|re| + |im|); its distance is at most
 * sqrt(2) times the larger error of the two. The factor 1 + 2^-40 pays for the roundings of these lines themselves.
 *
 * Where all values are integers and M*S < 2^53 (2^24) no step rounds: the bound is 0. Where M*S is larger but the products
 * of no single output add up to so much, neither does any: that is found out output by output. */
#include "core/direct_state.h"
#include "core/layout_math.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define SLACK (1 + 0x1p-40)

/* ---- Findings --------------------------------------------------------------------------------------------------------- */

void direct_note(uint64_t *finding)
{
    __atomic_store_n(finding, 1, __ATOMIC_RELAXED);
}

static void note_larger(uint64_t *finding, uint64_t value)
{
    uint64_t seen = __atomic_load_n(finding, __ATOMIC_RELAXED);
    while (seen < value &&
           !__atomic_compare_exchange_n(finding, &seen, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* Doubles that are not negative are ordered as their bits are. */
void direct_note_bound(struct direct_findings *findings, double bound)
{
    union {
        double value;
        uint64_t bits;
    } bound_bits = {.value = bound};
    note_larger(&findings->bound, bound_bits.bits);
}

void direct_note_nonfinite(struct direct_findings *findings, size_t index)
{
    uint64_t seen = __atomic_load_n(&findings->first_nonfinite, __ATOMIC_RELAXED);
    while (seen > index && !__atomic_compare_exchange_n(&findings->first_nonfinite, &seen, index, true,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* ---- Gathering -------------------------------------------------------------------------------------------------------- */

/* The element of the kernel tensor that is tap `tap` (row-major, canonical) of slice `slice`. */
static size_t kernel_element(const struct geometry *geometry, size_t slice, size_t tap)
{
    size_t element = 0;
    for (unsigned i = geometry->rank; i-- > 0;) {
        const struct geometry_axis *axis = &geometry->axis[i];
        size_t index;
        if (axis->convolved) {
            index = tap % axis->kernel;
            tap /= axis->kernel;
            index = geometry->flipped ? axis->kernel - 1 - index : index;
        } else if (axis->kernel_pitch != 0) {
            index = slice % axis->kernel;
            slice /= axis->kernel;
        } else
            continue;
        element += index * axis->kernel_pitch;
    }
    return element;
}

static inline void add_weight(struct direct_facts *facts, double value)
{
    const double magnitude = fabs(value);
    if (!isfinite(value)) {
        facts->nonfinite = true;
        return;
    }
    facts->largest += magnitude;
    facts->fractional |= magnitude < 0x1p52 && value != (double)(int64_t)value;
}

static void add_integer(struct direct_facts *facts, int64_t value)
{
    const uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    if (__builtin_add_overflow(facts->integer, magnitude, &facts->integer))
        facts->integer = UINT64_MAX;
}

/* Taps first .. end of a slice of real values, to `values` on. Neighbouring taps of the last axis are neighbours in the tensor: only
 * its ends are looked up. */
static void pack_reals(const struct convolve_plan *plan, const void *kernel, size_t slice, size_t first, size_t end,
                       void *values, struct direct_facts *facts)
{
    const struct geometry *const geometry = &plan->geometry;
    const struct geometry_axis *const axis = &geometry->axis[geometry->rank ? geometry->rank - 1 : 0];
    const bool f32 = direct_state(plan)->layout.element == DIRECT_F32;
    const size_t row = geometry->rank && axis->convolved ? axis->kernel : 1;
    const ptrdiff_t pitch = (ptrdiff_t)axis->kernel_pitch, step = geometry->flipped ? -pitch : pitch;
    for (size_t tap = first, row_end = first - first % row; tap < end;) {
        ptrdiff_t from = (ptrdiff_t)kernel_element(geometry, slice, tap);
        row_end += row;
        for (; tap < row_end && tap < end; tap++, from += step) {
            const double value = f32 ? (double)((const float *)kernel)[from] : ((const double *)kernel)[from];
            if (f32)
                ((float *)values)[tap - first] = (float)value;
            else
                ((double *)values)[tap - first] = value;
            add_weight(facts, value);
        }
    }
}

/* The same for integers, and for complex values as pairs: elements first .. end. */
static void pack_parts(const struct convolve_plan *plan, const void *kernel, size_t slice, size_t first, size_t end,
                       void *values, struct direct_facts *facts)
{
    const struct direct_layout *const layout = &direct_state(plan)->layout;
    const struct geometry *const geometry = &plan->geometry;
    const struct geometry_axis *const axis = &geometry->axis[geometry->rank ? geometry->rank - 1 : 0];
    const unsigned parts = layout->parts;
    size_t run_end = first, from = 0;
    for (size_t i = first; i < end; i++) {
        const size_t tap = i / parts;
        if (i >= run_end) {
            from = kernel_element(geometry, slice, tap);
            const size_t length = geometry->rank && axis->convolved ? axis->kernel - tap % axis->kernel : 1;
            run_end = (tap + length) * parts;
        } else if (i % parts == 0)
            from = geometry->flipped ? from - axis->kernel_pitch : from + axis->kernel_pitch;
        const size_t source = from * parts + i % parts;
        const double sign = geometry->conjugated && i % parts ? -1 : 1;
        switch (layout->element) {
        case DIRECT_F32:
            ((float *)values)[i - first] = (float)sign * ((const float *)kernel)[source];
            add_weight(facts, (double)((const float *)kernel)[source]);
            break;
        case DIRECT_F64:
            ((double *)values)[i - first] = sign * ((const double *)kernel)[source];
            add_weight(facts, ((const double *)kernel)[source]);
            break;
        case DIRECT_U64:
            ((int64_t *)values)[i - first] = ((const int64_t *)kernel)[source];
            add_integer(facts, ((const int64_t *)kernel)[source]);
            break;
        }
    }
}

void direct_pack_chunk(const struct convolve_plan *plan, const struct convolve_run *run, size_t chunk)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const struct direct_scratch scratch = direct_scratch_parts(layout, run->scratch);
    const size_t slice = chunk / layout->kernel_chunks, first = chunk % layout->kernel_chunks * layout->chunk_elements;
    const size_t end = first + layout->chunk_elements < layout->kernel_group_elements ? first + layout->chunk_elements
                                                                                      : layout->kernel_group_elements;
    const size_t base = slice * layout->kernel_group_elements;
    struct direct_facts facts = {0};
    if (layout->parts == 1 && layout->element != DIRECT_U64)
        pack_reals(plan, run->kernel, slice, first, end,
                   (unsigned char *)scratch.values + (base + first) * layout->element_bytes, &facts);
    else
        pack_parts(plan, run->kernel, slice, first, end,
                   (unsigned char *)scratch.values + (base + first) * layout->element_bytes, &facts);
    scratch.kernel_facts[chunk] = facts;
}

void direct_scan_chunk(const struct convolve_plan *plan, const struct convolve_run *run, size_t chunk)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const struct direct_scratch scratch = direct_scratch_parts(layout, run->scratch);
    const size_t first = chunk % layout->input_chunks * layout->chunk_elements;
    const size_t rest = layout->input_group_elements - first;
    const size_t count = rest < layout->chunk_elements ? rest : layout->chunk_elements;
    const size_t at = chunk / layout->input_chunks * layout->input_group_elements + first;
    struct simd_facts facts = {0};
    uint64_t integer = 0;
    switch (layout->element) {
    case DIRECT_F32:
        plan->routines->scan_f32(&facts, (const float *)run->input + at, count);
        break;
    case DIRECT_F64:
        plan->routines->scan_f64(&facts, (const double *)run->input + at, count);
        break;
    case DIRECT_U64:
        integer = plan->routines->largest_i64((const int64_t *)run->input + at, count);
        break;
    }
    scratch.input_facts[chunk] = (struct direct_facts){
        .largest = facts.largest, .integer = integer, .fractional = facts.fractional, .nonfinite = facts.nonfinite};
}

void direct_clear_facts(const struct convolve_plan *plan, const struct convolve_run *run)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    memset(direct_scratch_parts(layout, run->scratch).input_facts, 0,
           layout->input_groups * layout->input_chunks * sizeof(struct direct_facts));
}

void direct_add_facts(const struct convolve_plan *plan, const struct convolve_run *run, const struct simd_facts *facts)
{
    const struct direct_scratch scratch = direct_scratch_parts(&direct_state(plan)->layout, run->scratch);
    const union {
        double value;
        uint64_t bits;
    } largest = {.value = facts->largest};
    note_larger(&scratch.findings->input_largest, largest.bits);
    if (facts->fractional)
        direct_note(&scratch.findings->input_fractional);
    if (facts->nonfinite)
        direct_note(&scratch.findings->input_nonfinite);
}

/* ---- Concluding ------------------------------------------------------------------------------------------------------- */

/* Joins the chunks of a group in its first one. */
static void join_chunks(struct direct_facts *facts, size_t chunks, bool sums)
{
    for (size_t i = 1; i < chunks; i++) {
        if (sums) {
            facts[0].largest += facts[i].largest;
            if (__builtin_add_overflow(facts[0].integer, facts[i].integer, &facts[0].integer))
                facts[0].integer = UINT64_MAX;
        } else {
            facts[0].largest = fmax(facts[0].largest, facts[i].largest);
            facts[0].integer = facts[0].integer > facts[i].integer ? facts[0].integer : facts[i].integer;
        }
        facts[0].fractional |= facts[i].fractional;
        facts[0].nonfinite |= facts[i].nonfinite;
    }
}

/* What units have found beside, if they have: then there is one group. */
static void join_findings(struct direct_facts *facts, const struct direct_findings *findings)
{
    double largest;
    memcpy(&largest, &findings->input_largest, sizeof largest);
    facts->largest = fmax(facts->largest, largest);
    facts->fractional |= findings->input_fractional != 0;
    facts->nonfinite |= findings->input_nonfinite != 0;
}

/* The constant is an input value too. */
static void join_fillvalue(struct direct_facts *facts, const struct convolve_plan *plan)
{
    const struct convolve_scalar fill = plan->spec.fillvalue;
    const struct direct_layout *layout = &direct_state(plan)->layout;
    struct direct_facts integer = {0};
    if (plan->spec.boundary != CONVOLVE_CONSTANT || plan->geometry.exchanged)
        return;
    add_integer(&integer, fill.integer);
    if (layout->element == DIRECT_U64) {
        facts->integer = facts->integer > integer.integer ? facts->integer : integer.integer;
        return;
    }
    const double parts[2] = {fill.real, layout->parts == 2 ? fill.imag : 0};
    for (unsigned i = 0; i < 2; i++) {
        const double value = layout->element == DIRECT_F32 ? (double)(float)parts[i] : parts[i];
        facts->nonfinite |= !isfinite(value);
        if (!isfinite(value))
            continue;
        facts->largest = fmax(facts->largest, fabs(value));
        facts->fractional |= value != rint(value);
    }
}

/* Whether outputs may be NaN or infinite: not where all values are finite and even (1+u)^n * M*S, which no partial sum
 * exceeds by more than denormals, is in range. */
static bool may_overflow(const struct convolve_plan *plan, const struct direct_facts *input,
                         const struct direct_facts *kernel)
{
    const struct direct_state *state = direct_state(plan);
    const double n = (double)plan->geometry.tap_count * state->layout.parts;
    const double most = state->layout.element == DIRECT_F32 ? (double)FLT_MAX : DBL_MAX;
    if (state->layout.element == DIRECT_U64)
        return false;
    if (input->nonfinite || kernel->nonfinite)
        return true;
    const double product = input->largest * kernel->largest, growth = n * state->unit_roundoff;
    if (growth < 1 && product < most / 16) /* as nearly all are: e is below 4 */
        return false;
    return !(product * exp(growth) < most / 4);
}

double direct_chain_bound(const struct convolve_plan *plan, double largest, double sum)
{
    const struct direct_state *state = direct_state(plan);
    const double n = (double)plan->geometry.tap_count * state->layout.parts, u = state->unit_roundoff;
    const double most = state->layout.element == DIRECT_F32 ? (double)FLT_MAX : DBL_MAX;
    const double products = largest == 0 || sum == 0 ? 0 : expm1(n * u) * (largest * sum);
    const double by_products = products + n * state->tiny * exp(n * u), by_range = n * u * most + n * state->tiny;
    const double part = (by_products < by_range ? by_products : by_range) * SLACK;
    const double bound = state->layout.parts == 2 ? part * 1.4142135623730952 : part;
    return bound < DBL_MAX ? bound : DBL_MAX;
}

/* Sums of doubles that are not negative, none of them off by more than n*2^-53. */
double direct_sum_above(const struct convolve_plan *plan, double sum)
{
    return sum * (1 + (double)plan->geometry.tap_count * 0x1p-51);
}

double direct_kernel_sum(const struct convolve_plan *plan, const struct convolve_run *run, size_t kernel_slice)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const struct direct_facts *facts =
        direct_scratch_parts(layout, run->scratch).kernel_facts + kernel_slice * layout->kernel_chunks;
    double sum = facts[0].largest;
    for (size_t i = 1; i < layout->kernel_chunks; i++)
        sum += facts[i].largest;
    return direct_sum_above(plan, sum);
}

enum verdict { VERDICT_EXACT, VERDICT_CHECK, VERDICT_BOUND };

/* What the facts of two slices say about the outputs made of them. */
static enum verdict judge(const struct convolve_plan *plan, const struct direct_facts *input,
                          const struct direct_facts *kernel, size_t kernel_slice, double *bound)
{
    const struct direct_state *state = direct_state(plan);
    *bound = 0;
    if (plan->slices && !plan->slices[kernel_slice])
        return VERDICT_EXACT; /* none of these */
    if (state->layout.element == DIRECT_U64)
        return kernel->integer < UINT64_MAX && (wide)input->integer * kernel->integer <= INT64_MAX ? VERDICT_EXACT
                                                                                                   : VERDICT_CHECK;
    const double sum = direct_sum_above(plan, kernel->largest);
    const bool integral = !input->fractional && !kernel->fractional && !input->nonfinite && !kernel->nonfinite;
    if (integral && (input->largest == 0 || input->largest * sum < state->exact_below))
        return VERDICT_EXACT;
    *bound = state->bound ? state->bound(state->maker, kernel_slice, input->largest)
                          : direct_chain_bound(plan, input->largest, sum);
    return integral ? VERDICT_CHECK : VERDICT_BOUND;
}

/* The slices that the output at row-major `index` is made of. */
static void slices_of(const struct convolve_plan *plan, size_t index, size_t *input_group, size_t *kernel_group)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    *input_group = *kernel_group = 0;
    for (unsigned i = 0; i < layout->outer_count; i++) {
        const struct direct_axis *axis = &layout->outer[i];
        const size_t place = index / axis->output_pitch % axis->output;
        *input_group += place * axis->input_groups_pitch;
        *kernel_group += place * axis->kernel_groups_pitch;
    }
}

bool direct_makes(const struct convolve_plan *plan, size_t index)
{
    size_t input_group, kernel_group;
    slices_of(plan, index, &input_group, &kernel_group);
    return !plan->slices || plan->slices[kernel_group];
}

static enum verdict judge_slices(const struct convolve_plan *plan, const struct direct_scratch *scratch,
                                 size_t input_group, size_t kernel_group, double *bound)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    return judge(plan, scratch->input_facts + input_group * layout->input_chunks,
                 scratch->kernel_facts + kernel_group * layout->kernel_chunks, kernel_group, bound);
}

/* The next place along the axes that slices lie on; false after the last. */
static bool next_slices(const struct direct_layout *layout, size_t *place)
{
    for (unsigned i = layout->outer_count; i-- > 0;) {
        const struct direct_axis *axis = &layout->outer[i];
        if ((axis->input_groups_pitch || axis->kernel_groups_pitch) && ++place[i] < axis->output)
            return true;
        place[i] = 0;
    }
    return false;
}

static void judge_all(const struct convolve_plan *plan, const struct direct_scratch *scratch, bool predict)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    size_t place[CONVOLVE_RANK_MAX] = {0};
    for (;;) {
        size_t input_group = 0, kernel_group = 0;
        for (unsigned i = 0; i < layout->outer_count; i++) {
            input_group += place[i] * layout->outer[i].input_groups_pitch;
            kernel_group += place[i] * layout->outer[i].kernel_groups_pitch;
        }
        double bound;
        const enum verdict verdict = judge_slices(plan, scratch, input_group, kernel_group, &bound);
        if (verdict == VERDICT_CHECK && !predict)
            direct_note(&scratch->findings->check_needed);
        else if (verdict != VERDICT_EXACT)
            direct_note_bound(scratch->findings, bound);
        if ((!plan->slices || plan->slices[kernel_group]) &&
            may_overflow(plan, scratch->input_facts + input_group * layout->input_chunks,
                         scratch->kernel_facts + kernel_group * layout->kernel_chunks))
            direct_note(&scratch->findings->look_needed);
        if (!next_slices(layout, place))
            return;
    }
}

/* ignore_missing scales to the kernel's whole sum, which therefore must not be 0. */
static void sum_weights(const struct convolve_plan *plan, const struct direct_scratch *scratch)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    for (size_t slice = 0; slice < layout->kernel_groups; slice++)
        if (direct_whole_is_zero(plan, scratch->values, slice))
            direct_note(&scratch->findings->whole_zero);
}

static void join_facts(const struct convolve_plan *plan, const struct direct_scratch *scratch)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    for (size_t group = 0; group < layout->kernel_groups; group++)
        join_chunks(scratch->kernel_facts + group * layout->kernel_chunks, layout->kernel_chunks, true);
    for (size_t group = 0; group < layout->input_groups; group++) {
        join_chunks(scratch->input_facts + group * layout->input_chunks, layout->input_chunks, false);
        if (group == 0)
            join_findings(scratch->input_facts, scratch->findings);
        join_fillvalue(scratch->input_facts + group * layout->input_chunks, plan);
    }
}

void direct_conclude(const struct convolve_plan *plan, const struct convolve_run *run)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const struct direct_scratch scratch = direct_scratch_parts(layout, run->scratch);
    join_facts(plan, &scratch);
    judge_all(plan, &scratch, false);
    if (plan->spec.ignore_missing && layout->element != DIRECT_U64)
        sum_weights(plan, &scratch);
}

double direct_predict(const struct convolve_plan *plan, const struct convolve_run *run)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const struct direct_scratch scratch = direct_scratch_parts(layout, run->scratch);
    const size_t kernel_chunks = layout->kernel_groups * layout->kernel_chunks;
    const size_t input_chunks = layout->input_groups * layout->input_chunks;
    bool nonfinite = false;
    double bound;
    *scratch.findings = (struct direct_findings){.first_nonfinite = UINT64_MAX};
    for (size_t chunk = 0; chunk < kernel_chunks; chunk++) {
        direct_pack_chunk(plan, run, chunk);
        nonfinite |= scratch.kernel_facts[chunk].nonfinite;
    }
    for (size_t chunk = 0; chunk < input_chunks; chunk++) {
        direct_scan_chunk(plan, run, chunk);
        nonfinite |= scratch.input_facts[chunk].nonfinite;
    }
    if (nonfinite || layout->element == DIRECT_U64)
        return nonfinite ? NAN : 0;
    join_facts(plan, &scratch);
    judge_all(plan, &scratch, true);
    memcpy(&bound, &scratch.findings->bound, sizeof bound);
    return bound;
}

void direct_check_output(const struct convolve_plan *plan, const struct convolve_run *run, size_t index)
{
    const struct direct_state *state = direct_state(plan);
    const struct direct_scratch scratch = direct_scratch_parts(&state->layout, run->scratch);
    size_t input_group, kernel_group;
    double bound;
    slices_of(plan, index, &input_group, &kernel_group);
    if (judge_slices(plan, &scratch, input_group, kernel_group, &bound) != VERDICT_CHECK)
        return;
    if (state->layout.element == DIRECT_U64)
        direct_plain_output(plan, run, index);
    else if (direct_absolute_sum(plan, run, index) >= state->exact_below)
        direct_note_bound(scratch.findings, bound);
}

/* ---- What came out ---------------------------------------------------------------------------------------------------- */

static bool all_finite(const struct convolve_plan *plan, const void *values, size_t elements)
{
    return direct_state(plan)->layout.element == DIRECT_F32 ? plan->routines->finite_f32(values, elements)
                                                            : plan->routines->finite_f64(values, elements);
}

void direct_look_at(const struct convolve_plan *plan, const struct convolve_run *run, size_t index, size_t count)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const size_t value_bytes = layout->element_bytes * layout->parts;
    struct direct_findings *const findings = direct_scratch_parts(layout, run->scratch).findings;
    const unsigned char *const values = (const unsigned char *)run->output + index * value_bytes;
    if (layout->element == DIRECT_U64 || all_finite(plan, values, count * layout->parts))
        return;
    for (size_t i = 0; i < count; i++) {
        if (all_finite(plan, values + i * value_bytes, layout->parts))
            continue;
        if (plan->spec.ignore_missing) {
            direct_mend_output(plan, run, index + i);
            continue;
        }
        direct_note_nonfinite(findings, index + i);
        return;
    }
}
