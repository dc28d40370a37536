/* SPDX-License-Identifier: MIT */
/* What `auto` does: each method estimates what it would take, and the least wins. `max_error` changes the choice only where input
 * and kernel have changed places: transforms then keep it by summing what they must (see fft_promises.c), and separable's
 * bound is compared with direct's once the kernel's values are known. int64 has no transforms. */
#include "core/choose.h"

#include "core/cost_model.h"
#include "core/cost_table.h"
#include "core/separable_layout.h"

/* The request as if one slice were sent alone: the convolved axes only. False where there is nothing to choose. */
static bool slice_alone(struct convolve_spec *slice, struct geometry *geometry, const struct convolve_spec *spec,
                        const struct geometry *whole)
{
    *slice = *spec;
    slice->axes_given = false;
    slice->axis_count = 0;
    slice->method = CONVOLVE_AUTO;
    slice->input.rank = slice->kernel.rank = 0;
    for (unsigned i = 0; i < whole->rank; i++) {
        if (!whole->axis[i].convolved)
            continue;
        slice->input.size[slice->input.rank++] = whole->axis[i].input;
        slice->kernel.size[slice->kernel.rank++] = whole->axis[i].kernel;
    }
    return geometry_derive(geometry, slice, NULL) && !geometry->empty;
}

/* The best that suits every kernel of the shape. */
static enum convolve_method cheapest(const struct convolve_spec *slice, const struct geometry *geometry, double *ns)
{
    static const enum convolve_method transforms[] = {CONVOLVE_FFT, CONVOLVE_OVERLAP_ADD};
    enum convolve_method best = CONVOLVE_DIRECT;
    *ns = direct_estimate_ns(slice, geometry);
    if (slice->dtype == CONVOLVE_INT64 || (slice->max_error_given && geometry->exchanged) ||
        *ns <= transform_least_ns(slice, geometry))
        return best; /* without an estimate of transforms, which takes a search */
    for (unsigned i = 0; i < sizeof transforms / sizeof transforms[0]; i++) {
        const double other = transform_estimate_ns(slice, geometry, transforms[i]);
        if (other < *ns) {
            best = transforms[i];
            *ns = other;
        }
    }
    return best;
}

/* separable costs its plan at least. */
static bool is_separable_worth(const struct convolve_spec *slice, const struct geometry *geometry, double ns)
{
    return !geometry->exchanged && separable_axis_count(geometry) >= 2 && ns > separable_least_ns(slice->dtype) &&
           separable_estimate_ns(slice, geometry) < ns;
}

struct choice choose(const struct convolve_spec *spec, const struct geometry *geometry)
{
    struct convolve_spec slice;
    struct geometry alone;
    struct choice choice = {.method = spec->method};
    bool all_convolved = true;
    double ns;
    if (spec->method != CONVOLVE_AUTO)
        return choice;
    choice.method = CONVOLVE_DIRECT;
    if (geometry->empty)
        return choice;
    for (unsigned i = 0; i < geometry->rank; i++)
        all_convolved &= geometry->axis[i].convolved;
    if (!all_convolved) {
        if (!slice_alone(&slice, &alone, spec, geometry))
            return choice;
        spec = &slice;
        geometry = &alone;
    }
    choice.method = cheapest(spec, geometry, &ns);
    choice.separable = is_separable_worth(spec, geometry, ns);
    return choice;
}
