/* SPDX-License-Identifier: MIT */
/* The methods `fft` and `overlap_add` as plans see them. Both cut the request into blocks and differ in the blocks alone. The
 * stages: the kernel is brought into canonical order (by direct, whose plan lies inside this one); each slice of the taps
 * is looked at and transformed, in one tile or, where it is large, in stages; then tiles run whole jobs, or, where jobs are few
 * and large, each job takes stages of its own, which share one job's memory. With ignore_missing direct's last stage comes last. */
#include "core/fft_convolve.h"

#include "core/direct.h"
#include "core/fft_cost.h"
#include "core/fft_state.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Sizes ------------------------------------------------------------------------------------------------------------ */

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t divide_up(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

static bool state_bytes(const struct fft_layout *layout, size_t *bytes)
{
    *bytes = 0;
    return plan_size_add(bytes, 1, sizeof(struct fft_state)) &&
           (!layout->single || fft_tables_bytes(layout, true, bytes)) && fft_tables_bytes(layout, false, bytes) &&
           (!layout->complex || plan_size_add(bytes, 2 * layout->axis[layout->row].taps, sizeof(ptrdiff_t)));
}

/* Arrays of one job, as wide as doubles need them. */
static bool arrays_bytes(const struct fft_layout *layout, size_t *bytes)
{
    return plan_size_add(bytes, layout->cells, sizeof(double)) && plan_size_add(bytes, layout->cells, sizeof(double));
}

static size_t spectra_bytes(const struct fft_layout *layout)
{
    return fft_single_bytes(layout) + 2 * layout->spectrum * sizeof(double);
}

static bool scratch_bytes(const struct fft_layout *layout, size_t *bytes)
{
    return plan_size_add(bytes, layout->tap_slices, sizeof(struct fft_taps)) &&
           (!layout->taps_staged ||
            (plan_size_add(bytes, 1, fft_shared_bytes()) && arrays_bytes(layout, bytes) &&
             plan_size_add(bytes, layout->tap_slices * layout->scan_parts, sizeof(struct fft_taps)))) &&
           plan_size_add(bytes, layout->staged ? 1 : layout->tap_slices, spectra_bytes(layout));
}

static size_t strip_elements(const struct fft_layout *layout)
{
    return (divide_up(layout->dim[layout->dims - 1], SIMD_FFT_WIDTH_f32) * SIMD_FFT_WIDTH_f32) * SIMD_FFT_WIDTH_f32 +
           48;
}

static size_t row_cells(const struct fft_layout *layout)
{
    return most(layout->axis[layout->row].length, layout->axis[layout->row].taps) * layout->parts;
}

static bool workspace_bytes(const struct fft_layout *layout, size_t *bytes)
{
    *bytes = 0;
    return plan_size_add(bytes, strip_elements(layout), sizeof(float)) &&
           plan_size_add(bytes, strip_elements(layout), sizeof(float)) &&
           plan_size_add(bytes, layout->pitch[layout->dims - 2], sizeof(double)) &&
           plan_size_add(bytes, layout->pitch[layout->dims - 2], sizeof(double)) &&
           plan_size_add(bytes, 2 * row_cells(layout), sizeof(double)) &&
           plan_size_add(bytes, row_cells(layout), sizeof(double)) &&
           plan_size_add(bytes, row_cells(layout), sizeof(double)) &&
           plan_size_add(bytes, layout->blocks_per_job, sizeof(struct fft_block)) &&
           (layout->staged || arrays_bytes(layout, bytes));
}

static struct fft_workspace take_workspace(const struct fft_layout *layout, void *tile_scratch)
{
    unsigned char *cursor = tile_scratch;
    struct fft_workspace work;
    work.strip_re = plan_scratch_take(&cursor, strip_elements(layout), sizeof(float));
    work.strip_im = plan_scratch_take(&cursor, strip_elements(layout), sizeof(float));
    work.zeros = plan_scratch_take(&cursor, layout->pitch[layout->dims - 2], sizeof(double));
    work.waste = plan_scratch_take(&cursor, layout->pitch[layout->dims - 2], sizeof(double));
    work.row = plan_scratch_take(&cursor, 2 * row_cells(layout), sizeof(double));
    work.cells = plan_scratch_take(&cursor, row_cells(layout), sizeof(double));
    work.sums = plan_scratch_take(&cursor, row_cells(layout), sizeof(double));
    work.blocks = plan_scratch_take(&cursor, layout->blocks_per_job, sizeof(struct fft_block));
    work.arrays = cursor;
    return work;
}

/* What follows direct's part of the scratch. */
struct parts {
    struct fft_taps *taps, *scanned; /* scanned: part by part */
    struct fft_shared *shared;
    unsigned char *arrays, *spectra;
};

static struct parts take_parts(const struct fft_state *state, void *scratch)
{
    const struct fft_layout *layout = &state->layout;
    unsigned char *cursor = scratch;
    struct parts parts = {0};
    plan_scratch_take(&cursor, state->facts.sizes.scratch_bytes, 1);
    parts.taps = plan_scratch_take(&cursor, layout->tap_slices, sizeof(struct fft_taps));
    if (layout->taps_staged) {
        parts.shared = plan_scratch_take(&cursor, 1, fft_shared_bytes());
        parts.arrays = plan_scratch_take(&cursor, layout->cells, sizeof(double));
        plan_scratch_take(&cursor, layout->cells, sizeof(double));
        parts.scanned = plan_scratch_take(&cursor, layout->tap_slices * layout->scan_parts, sizeof(struct fft_taps));
    }
    parts.spectra = cursor;
    return parts;
}

/* ---- Creation --------------------------------------------------------------------------------------------------------- */

static bool refuse_integers(const struct convolve_spec *spec, const struct geometry *geometry,
                            struct convolve_error *error)
{
    (void)geometry;
    if (spec->dtype != CONVOLVE_INT64)
        return true;
    return convolve_fail(error, "invalid-value", "/method",
                         "method %s computes in floating point: for dtype int64 take auto or direct",
                         convolve_method_name(spec->method));
}

static bool measure_layout(const struct fft_layout *layout, const struct convolve_spec *spec,
                           const struct geometry *geometry, struct plan_sizes *sizes)
{
    struct plan_sizes facts;
    *sizes = (struct plan_sizes){0};
    if (!direct_method.measure(spec, geometry, &facts) ||
        (layout->staged && layout->job_count > (INT_MAX - 3) / fft_steps_of_job(layout)))
        return false;
    return state_bytes(layout, &sizes->plan_bytes) && plan_size_add(&sizes->plan_bytes, facts.plan_bytes, 1) &&
           plan_size_add(&sizes->scratch_bytes, facts.scratch_bytes, 1) &&
           scratch_bytes(layout, &sizes->scratch_bytes) && workspace_bytes(layout, &sizes->tile_scratch_bytes);
}

static bool measure(const struct convolve_spec *spec, const struct geometry *geometry, struct plan_sizes *sizes,
                    enum convolve_method method)
{
    struct fft_layout layout;
    return fft_layout_derive(&layout, spec->dtype, spec->boundary, geometry, method) &&
           measure_layout(&layout, spec, geometry, sizes);
}

static bool fft_measure(const struct convolve_spec *spec, const struct geometry *geometry, struct plan_sizes *sizes)
{
    return measure(spec, geometry, sizes, CONVOLVE_FFT);
}

static bool overlap_add_measure(const struct convolve_spec *spec, const struct geometry *geometry,
                                struct plan_sizes *sizes)
{
    return measure(spec, geometry, sizes, CONVOLVE_OVERLAP_ADD);
}

/* The search for blocks is not to be made twice. */
static bool draft(struct convolve_plan *plan, void *room)
{
    struct fft_layout *const layout = room;
    static_assert(sizeof *layout <= PLAN_ROOM_BYTES, "a draft has room for it");
    plan->drafted = layout;
    return fft_layout_derive(layout, plan->spec.dtype, plan->spec.boundary, &plan->geometry, plan->method->id) &&
           measure_layout(layout, &plan->spec, &plan->geometry, &plan->sizes);
}

static void fill_state(struct fft_state *state)
{
    const struct fft_layout *layout = &state->layout;
    unsigned char *cursor = (unsigned char *)state;
    plan_scratch_take(&cursor, 1, sizeof *state);
    fft_fill_tables(state, &cursor);
    state->spectrum_units = layout->split ? 6.1 * 1.1 : 0;
    for (unsigned i = layout->mode == FFT_ROWS ? 1 : 0; i < layout->dims; i++)
        state->spectrum_units += fft_path_error_units(&state->twice.fft[i]);
    if (!layout->complex)
        return;
    const struct fft_axis *row = &layout->axis[layout->row];
    state->offsets = (ptrdiff_t *)(void *)cursor;
    for (size_t t = 0; t < row->taps; t++) {
        state->offsets[2 * t] = (ptrdiff_t)(2 * t);
        state->offsets[2 * t + 1] = (ptrdiff_t)(2 * t + 2 * row->length);
    }
}

static bool create(struct convolve_plan *plan, const void *kernel, struct convolve_error *error)
{
    struct fft_layout layout;
    size_t bytes;
    if (plan->drafted)
        layout = *(const struct fft_layout *)plan->drafted;
    else
        fft_layout_derive(&layout, plan->spec.dtype, plan->spec.boundary, &plan->geometry, plan->method->id);
    state_bytes(&layout, &bytes); /* measure, or draft, has seen both succeed */
    struct fft_state *const state = aligned_alloc(CONVOLVE_ALIGNMENT, bytes);
    if (!state)
        return convolve_fail(error, "overloaded", "", "out of memory");
    memset(state, 0, sizeof *state);
    state->layout = layout;
    state->facts = *plan;
    state->facts.method = &direct_method;
    state->facts.sizes = (struct plan_sizes){0};
    state->facts.drafted = NULL;
    direct_method.measure(&plan->spec, &plan->geometry, &state->facts.sizes);
    if (!direct_method.create(&state->facts, kernel, error)) {
        free(state);
        return false;
    }
    fill_state(state);
    plan->state = state;
    return true;
}

static void destroy(struct convolve_plan *plan)
{
    struct fft_state *const state = plan->state;
    direct_method.destroy(&state->facts);
    free(state);
}

/* ---- Jobs ------------------------------------------------------------------------------------------------------------- */

/* Where the slice of a job lies. False where this plan does not make it. */
static bool place_slice(struct fft_job *job, size_t slice)
{
    const struct fft_layout *layout = &job->state->layout;
    for (unsigned i = layout->outer_count; i-- > 0;) {
        const struct fft_outer *outer = &layout->outer[i];
        const size_t index = slice % outer->outputs;
        slice /= outer->outputs;
        job->signal_offset += index * outer->signal_pitch;
        job->output_offset += index * outer->output_pitch;
        job->tap_slice += index * outer->tap_slice_pitch;
        job->kernel_slice += index * outer->kernel_slice_pitch;
    }
    return !job->plan->slices || job->plan->slices[job->kernel_slice];
}

/* `shared`: of a stage whose tiles work on the same arrays. */
static struct fft_job begin_job(const struct convolve_plan *plan, const struct convolve_run *run, void *tile_scratch,
                                bool shared)
{
    const struct fft_state *state = fft_state(plan);
    struct fft_job job = {
        .plan = plan, .run = run, .state = state, .work = take_workspace(&state->layout, tile_scratch)};
    unsigned char *cursor = shared ? take_parts(state, run->scratch).arrays : job.work.arrays;
    job.re = plan_scratch_take(&cursor, state->layout.cells, sizeof(double));
    job.im = cursor;
    return job;
}

/* False where there is nothing to do. */
static bool place_job(struct fft_job *job, size_t number)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct parts parts = take_parts(job->state, job->run->scratch);
    job->first_block = number % layout->jobs_per_slice * layout->blocks_per_job;
    const bool made = place_slice(job, number / layout->jobs_per_slice);
    job->taps = &parts.taps[job->tap_slice];
    job->spectra = parts.spectra + (layout->staged ? 0 : job->tap_slice * spectra_bytes(layout));
    for (size_t b = 0; b < layout->blocks_per_job && made; b++)
        fft_locate(job, b, &job->work.blocks[b]);
    return made;
}

static void note_whole(struct fft_job *job, size_t slice)
{
    const struct convolve_plan *facts = &job->state->facts;
    const struct direct_scratch scratch = direct_scratch_parts(&direct_state(facts)->layout, job->run->scratch);
    if (job->plan->spec.ignore_missing && (!job->plan->slices || job->plan->slices[slice]) &&
        direct_whole_is_zero(facts, scratch.values, slice))
        direct_note(&scratch.findings->whole_zero);
}

/* A tile for each slice of the taps, and for each of the kernel; where taps are staged, for each part of a slice. */
static void taps_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile, void *tile_scratch)
{
    struct fft_job job = begin_job(plan, run, tile_scratch, false);
    const struct fft_layout *layout = &job.state->layout;
    const struct parts parts = take_parts(job.state, run->scratch);
    if (tile < direct_state(&job.state->facts)->layout.kernel_groups)
        note_whole(&job, tile);
    if (layout->taps_staged) {
        job.tap_slice = tile / layout->scan_parts;
        if (job.tap_slice < layout->tap_slices)
            fft_scan_taps(&job, tile % layout->scan_parts, &parts.scanned[tile]);
        return;
    }
    if (tile >= layout->tap_slices)
        return;
    job.tap_slice = tile;
    job.taps = &parts.taps[tile];
    *job.taps = (struct fft_taps){0};
    for (size_t part = 0; part < layout->scan_parts; part++) {
        struct fft_taps found;
        fft_scan_taps(&job, part, &found);
        fft_join_taps(job.taps, &found);
    }
    fft_scale_taps(layout, job.taps);
    job.spectra = parts.spectra + tile * spectra_bytes(layout);
    if (!job.taps->nonfinite)
        fft_make_spectra(&job);
}

/* What the parts of the taps have told. */
static void join_tile(const struct convolve_plan *plan, const struct convolve_run *run)
{
    const struct fft_layout *layout = &fft_state(plan)->layout;
    const struct parts parts = take_parts(fft_state(plan), run->scratch);
    for (size_t slice = 0; slice < layout->tap_slices; slice++) {
        parts.taps[slice] = (struct fft_taps){0};
        for (size_t part = 0; part < layout->scan_parts; part++)
            fft_join_taps(&parts.taps[slice], &parts.scanned[slice * layout->scan_parts + part]);
        fft_scale_taps(layout, &parts.taps[slice]);
    }
    fft_begin_shared(parts.shared);
}

static void tap_step_tile(const struct convolve_plan *plan, const struct convolve_run *run, unsigned number,
                          size_t tile, void *tile_scratch)
{
    struct fft_job job = begin_job(plan, run, tile_scratch, true);
    const struct fft_layout *layout = &job.state->layout;
    const struct parts parts = take_parts(job.state, run->scratch);
    job.tap_slice = number / fft_tap_steps(layout);
    job.taps = &parts.taps[job.tap_slice];
    job.spectra = parts.spectra + job.tap_slice * spectra_bytes(layout);
    if (!job.taps->nonfinite)
        fft_run_tap_step(&job, number % fft_tap_steps(layout), tile);
}

static void jobs_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile, void *tile_scratch)
{
    const struct fft_layout *layout = &fft_state(plan)->layout;
    const size_t first = tile * layout->jobs_per_tile;
    const struct fft_job begun = begin_job(plan, run, tile_scratch, false);
    for (size_t i = first; i < layout->job_count && i < first + layout->jobs_per_tile; i++) {
        struct fft_job job = begun;
        if (place_job(&job, i))
            fft_run_job(&job);
    }
}

static void staged_tile(const struct convolve_plan *plan, const struct convolve_run *run, unsigned number, size_t tile,
                        void *tile_scratch)
{
    const struct fft_state *state = fft_state(plan);
    struct fft_shared *const shared = take_parts(state, run->scratch).shared;
    if (fft_step_is_idle(&state->layout, shared, number))
        return;
    struct fft_job job = begin_job(plan, run, tile_scratch, true);
    if (place_job(&job, number / fft_steps_of_job(&state->layout)))
        fft_run_step(&job, shared, number, tile);
}

/* ---- Stages ----------------------------------------------------------------------------------------------------------- */

enum { STAGE_PACK, STAGE_TAPS, STAGE_JOIN };

/* Where taps are staged, their parts are joined, and their spectra made unless that is up to the jobs. */
static unsigned spectrum_stages(const struct fft_layout *layout)
{
    return layout->taps_staged && !layout->staged ? (unsigned)layout->tap_slices * fft_tap_steps(layout) : 0;
}

static unsigned first_job_stage(const struct fft_layout *layout)
{
    return STAGE_JOIN + (layout->taps_staged ? 1 : 0) + spectrum_stages(layout);
}

/* After the jobs. */
static unsigned mending_stage(const struct fft_layout *layout)
{
    return first_job_stage(layout) + (layout->staged ? (unsigned)layout->job_count * fft_steps_of_job(layout) : 1);
}

static unsigned stage_count(const struct convolve_plan *plan)
{
    return mending_stage(&fft_state(plan)->layout) + (plan->spec.ignore_missing ? 1 : 0);
}

/* Outputs with holes in their windows, by the last stage of direct. */
static unsigned check_stage(const struct fft_state *state)
{
    return direct_method.stage_count(&state->facts) - 1;
}

static void mending_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    struct convolve_plan facts = fft_state(plan)->facts;
    facts.slices = plan->slices;
    direct_method.run_tile(&facts, run, check_stage(fft_state(plan)), tile, NULL);
}

static size_t tile_count(const struct convolve_plan *plan, unsigned stage)
{
    const struct fft_state *state = fft_state(plan);
    const struct fft_layout *layout = &state->layout;
    const unsigned jobs = first_job_stage(layout);
    if (stage == STAGE_PACK)
        return direct_method.tile_count(&state->facts, 0);
    if (stage == STAGE_TAPS)
        return most(layout->tap_slices * (layout->taps_staged ? layout->scan_parts : 1),
                    direct_state(&state->facts)->layout.kernel_groups);
    if (stage == mending_stage(layout))
        return direct_method.tile_count(&state->facts, check_stage(state));
    if (stage >= jobs)
        return layout->staged ? fft_step_tiles(layout, stage - jobs) : layout->tile_count;
    return stage == STAGE_JOIN ? 1 : fft_tap_step_tiles(layout, (stage - STAGE_JOIN - 1) % fft_tap_steps(layout));
}

static void run_tile(const struct convolve_plan *plan, const struct convolve_run *run, unsigned stage, size_t tile,
                     void *tile_scratch)
{
    const struct fft_state *state = fft_state(plan);
    const struct fft_layout *layout = &state->layout;
    const unsigned jobs = first_job_stage(layout);
    if (stage == STAGE_PACK)
        direct_method.run_tile(&state->facts, run, 0, tile, tile_scratch);
    else if (stage == STAGE_TAPS)
        taps_tile(plan, run, tile, tile_scratch);
    else if (stage == mending_stage(layout))
        mending_tile(plan, run, tile);
    else if (stage >= jobs && layout->staged)
        staged_tile(plan, run, stage - jobs, tile, tile_scratch);
    else if (stage >= jobs)
        jobs_tile(plan, run, tile, tile_scratch);
    else if (stage == STAGE_JOIN)
        join_tile(plan, run);
    else
        tap_step_tile(plan, run, stage - STAGE_JOIN - 1, tile, tile_scratch);
}

static bool finish(const struct convolve_plan *plan, const struct convolve_run *run, struct convolve_outcome *outcome,
                   struct convolve_error *error)
{
    return direct_method.finish(&fft_state(plan)->facts, run, outcome, error);
}

const struct plan_method fft_method = {
    .id = CONVOLVE_FFT,
    .answers_empty = true,
    .accepts = refuse_integers,
    .measure = fft_measure,
    .draft = draft,
    .create = create,
    .destroy = destroy,
    .stage_count = stage_count,
    .tile_count = tile_count,
    .run_tile = run_tile,
    .finish = finish,
    .predict = fft_predict,
};

const struct plan_method overlap_add_method = {
    .id = CONVOLVE_OVERLAP_ADD,
    .answers_empty = true,
    .accepts = refuse_integers,
    .measure = overlap_add_measure,
    .draft = draft,
    .create = create,
    .destroy = destroy,
    .stage_count = stage_count,
    .tile_count = tile_count,
    .run_tile = run_tile,
    .finish = finish,
    .predict = fft_predict,
};

double fft_estimate_ns(const struct convolve_spec *spec, const struct geometry *geometry, enum convolve_method method)
{
    struct fft_layout layout;
    if (spec->dtype == CONVOLVE_INT64 || geometry->empty ||
        !fft_layout_derive(&layout, spec->dtype, spec->boundary, geometry, method))
        return (double)INFINITY;
    return layout.cost_ns;
}
