/* SPDX-License-Identifier: MIT */
/* The methods `fft` and `overlap_add` as plans see them. Both cut the request into blocks and differ in the blocks alone. The
 * stages: the kernel is brought into canonical order (by direct, whose plan lies inside this one); each slice of the taps
 * is looked at and transformed; then tiles run whole jobs, or, where jobs are few and large, each job takes stages of its
 * own, which share one job's memory. */
#include "core/fft_convolve.h"

#include "core/direct.h"
#include "core/fft_cost.h"
#include "core/fft_state.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILES_MAX = 64 }; /* of a stage of a staged job, but for the last, which may sum directly */

/* What the stages of a staged job hand on. */
struct fft_shared {
    struct fft_judgement judgement;
    struct fft_judgement parts[TILES_MAX]; /* facts of the tiles that gather */
    size_t spectrum_slice; /* whose spectrum there is, SIZE_MAX at first, ... */
    bool spectrum_single; /* ... and of which type */
    bool spectrum_wanted;
};

/* ---- Sizes ------------------------------------------------------------------------------------------------------------ */

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t divide_up(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

/* Tables of one type: a part for each dimension, then the turns of a split one. */
static bool tables_bytes(const struct fft_layout *layout, bool single, size_t *bytes)
{
    const size_t real = single ? sizeof(float) : sizeof(double), width = fft_width(single);
    for (unsigned i = layout->mode == FFT_ROWS ? 1 : 0; i < layout->dims; i++)
        if (!plan_size_add(bytes, fft_turns_count(layout->dim[i]), real))
            return false;
    return !layout->split ||
           plan_size_add(
               bytes, divide_up(layout->rows, width) * 2 * width * (layout->coarse_count + layout->fine_count), real);
}

static bool state_bytes(const struct fft_layout *layout, size_t *bytes)
{
    *bytes = 0;
    return plan_size_add(bytes, 1, sizeof(struct fft_state)) &&
           (!layout->single || tables_bytes(layout, true, bytes)) && tables_bytes(layout, false, bytes) &&
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
           (!layout->staged || (plan_size_add(bytes, 1, sizeof(struct fft_shared)) && arrays_bytes(layout, bytes))) &&
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
    struct fft_taps *taps;
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
    if (layout->staged) {
        parts.shared = plan_scratch_take(&cursor, 1, sizeof(struct fft_shared));
        parts.arrays = plan_scratch_take(&cursor, layout->cells, sizeof(double));
        plan_scratch_take(&cursor, layout->cells, sizeof(double));
    }
    parts.spectra = cursor;
    return parts;
}

/* ---- Stages of a staged job ------------------------------------------------------------------------------------------- */

enum step_kind {
    STEP_LOOK,
    STEP_JUDGE,
    STEP_PLACE,
    STEP_TAP_COLUMNS,
    STEP_TAP_GROUPS,
    STEP_GATHER,
    STEP_COLUMNS,
    STEP_GROUPS,
    STEP_BACK,
    STEP_EMIT,
    STEP_WINDOWS
};

struct step {
    enum step_kind kind;
    unsigned dim;
};

static unsigned steps_of_job(const struct fft_layout *layout)
{
    return 8 + 3 * (layout->dims - 1);
}

static struct step step_at(const struct fft_layout *layout, unsigned number)
{
    const unsigned columns = layout->dims - 1;
    const struct {
        enum step_kind kind;
        unsigned count;
    } steps[] = {{STEP_LOOK, 1},       {STEP_JUDGE, 1},  {STEP_PLACE, 1},         {STEP_TAP_COLUMNS, columns},
                 {STEP_TAP_GROUPS, 1}, {STEP_GATHER, 1}, {STEP_COLUMNS, columns}, {STEP_GROUPS, 1},
                 {STEP_BACK, columns}, {STEP_EMIT, 1},   {STEP_WINDOWS, 1}};
    for (unsigned i = 0;; i++) {
        assert(i < sizeof steps / sizeof steps[0]);
        if (number < steps[i].count)
            return (struct step){steps[i].kind, steps[i].kind == STEP_BACK ? columns - 1 - number : number};
        number -= steps[i].count;
    }
}

static size_t step_items(const struct fft_layout *layout, struct step step)
{
    switch (step.kind) {
    case STEP_JUDGE:
    case STEP_PLACE:
    case STEP_WINDOWS:
        return 1;
    case STEP_LOOK:
    case STEP_GATHER:
        return layout->rows;
    case STEP_TAP_COLUMNS:
    case STEP_COLUMNS:
    case STEP_BACK:
        return fft_column_items(layout, step.dim);
    case STEP_TAP_GROUPS:
        return fft_group_items(layout, false);
    case STEP_GROUPS:
        return fft_group_items(layout, layout->single);
    case STEP_EMIT:
        return fft_emit_items(layout);
    }
    return 1;
}

/* Tiles of as many items each; of outputs so few that they could be summed directly. */
static size_t items_of_tile(const struct fft_layout *layout, struct step step)
{
    const size_t items = step_items(layout, step), share = divide_up(items, TILES_MAX);
    if (step.kind != STEP_EMIT)
        return share;
    const double terms = (double)layout->piece * (double)layout->tap_count;
    return terms * (double)share < 0x1p24 ? share : terms < 0x1p24 ? (size_t)(0x1p24 / terms) : 1;
}

static size_t step_tiles(const struct fft_layout *layout, struct step step)
{
    return divide_up(step_items(layout, step), items_of_tile(layout, step));
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

static bool measure(const struct convolve_spec *spec, const struct geometry *geometry, struct plan_sizes *sizes,
                    enum convolve_method method)
{
    struct fft_layout layout;
    struct plan_sizes facts;
    *sizes = (struct plan_sizes){0};
    if (!fft_layout_derive(&layout, spec->dtype, spec->boundary, geometry, method) ||
        !direct_method.measure(spec, geometry, &facts))
        return false;
    if (layout.staged && layout.job_count > (INT_MAX - 2) / steps_of_job(&layout))
        return false;
    return state_bytes(&layout, &sizes->plan_bytes) && plan_size_add(&sizes->plan_bytes, facts.plan_bytes, 1) &&
           plan_size_add(&sizes->scratch_bytes, facts.scratch_bytes, 1) &&
           scratch_bytes(&layout, &sizes->scratch_bytes) && workspace_bytes(&layout, &sizes->tile_scratch_bytes);
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

/* Row k1 of a split transform holds frequency k1' (its digits reversed): element i is turned by e^(-2 pi i k1' i / length). */
static void fill_turns(const struct fft_layout *layout, struct fft_tables *tables, bool single)
{
    const size_t width = fft_width(single), length = layout->dim[0] * layout->dim[1], rows = layout->dim[0];
    for (size_t k = 0; k < divide_up(rows, width) * width; k++) {
        const size_t place = k < rows ? fft_place(&tables->fft[0], k) : k;
        const size_t group = place / width, lane = place % width;
        const size_t elements = layout->coarse_count + layout->fine_count, frequency = k < rows ? k : 0;
        for (size_t i = 0; i < elements; i++) {
            const size_t index = i < layout->coarse_count ? i * layout->fine_count : i - layout->coarse_count;
            const struct fft_root root = fft_root(frequency * index % length, length);
            const size_t at = (group * elements + i) * 2 * width + lane;
            if (single) {
                ((float *)tables->turns)[at] = (float)root.re;
                ((float *)tables->turns)[at + width] = (float)root.im;
            } else {
                ((double *)tables->turns)[at] = root.re;
                ((double *)tables->turns)[at + width] = root.im;
            }
        }
    }
}

/* See fft_promises.c. A turn is by the product of two rounded roots: 2 * 0.73 + 2.3 and 2.3 for the product with it. */
static void fill_tables(const struct fft_state *state, struct fft_tables *tables, bool single, unsigned char **cursor)
{
    const struct fft_layout *layout = &state->layout;
    const size_t real = single ? sizeof(float) : sizeof(double), width = fft_width(single);
    double units = layout->split ? 6.1 * 1.1 : 0;
    for (unsigned i = layout->mode == FFT_ROWS ? 1 : 0; i < layout->dims; i++) {
        void *const turns = plan_scratch_take(cursor, fft_turns_count(layout->dim[i]), real);
        fft_fill(&tables->fft[i], layout->dim[i], state->facts.routines, single, turns);
        units += fft_error_units(&tables->fft[i]);
    }
    if (layout->split) {
        tables->turns = plan_scratch_take(
            cursor, divide_up(layout->rows, width) * 2 * width * (layout->coarse_count + layout->fine_count), real);
        fill_turns(layout, tables, single);
    }
    tables->units = 2 * units + 3.3 * 1.1;
}

static void fill_state(struct fft_state *state)
{
    const struct fft_layout *layout = &state->layout;
    unsigned char *cursor = (unsigned char *)state;
    plan_scratch_take(&cursor, 1, sizeof *state);
    if (layout->single)
        fill_tables(state, &state->single, true, &cursor);
    fill_tables(state, &state->twice, false, &cursor);
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
    fft_layout_derive(&layout, plan->spec.dtype, plan->spec.boundary, &plan->geometry, plan->method->id);
    state_bytes(&layout, &bytes); /* measure has seen both succeed */
    struct fft_state *const state = aligned_alloc(CONVOLVE_ALIGNMENT, bytes);
    if (!state)
        return convolve_fail(error, "overloaded", "", "out of memory");
    memset(state, 0, sizeof *state);
    state->layout = layout;
    state->facts = *plan;
    state->facts.method = &direct_method;
    state->facts.sizes = (struct plan_sizes){0};
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

static struct fft_job begin_job(const struct convolve_plan *plan, const struct convolve_run *run, void *tile_scratch)
{
    const struct fft_state *state = fft_state(plan);
    struct fft_job job = {
        .plan = plan, .run = run, .state = state, .work = take_workspace(&state->layout, tile_scratch)};
    unsigned char *cursor = state->layout.staged ? take_parts(state, run->scratch).arrays : job.work.arrays;
    job.re = plan_scratch_take(&cursor, state->layout.cells, sizeof(double));
    job.im = cursor;
    memset(job.work.zeros, 0, state->layout.pitch[state->layout.dims - 2] * sizeof(double));
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

/* A tile for each slice of the taps, and for each of the kernel. */
static void taps_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile, void *tile_scratch)
{
    struct fft_job job = begin_job(plan, run, tile_scratch);
    const struct fft_layout *layout = &job.state->layout;
    const struct parts parts = take_parts(job.state, run->scratch);
    if (tile < direct_state(&job.state->facts)->layout.kernel_groups)
        note_whole(&job, tile);
    if (tile >= layout->tap_slices)
        return;
    job.tap_slice = tile;
    job.taps = &parts.taps[tile];
    fft_scan_taps(&job);
    if (layout->staged) {
        if (tile == 0)
            parts.shared->spectrum_slice = SIZE_MAX;
        return;
    }
    job.spectra = parts.spectra + tile * spectra_bytes(layout);
    if (!job.taps->nonfinite)
        fft_make_spectra(&job);
}

static void jobs_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile, void *tile_scratch)
{
    const struct fft_layout *layout = &fft_state(plan)->layout;
    const size_t first = tile * layout->jobs_per_tile;
    const struct fft_job begun = begin_job(plan, run, tile_scratch);
    for (size_t i = first; i < layout->job_count && i < first + layout->jobs_per_tile; i++) {
        struct fft_job job = begun;
        if (place_job(&job, i))
            fft_run_job(&job);
    }
}

/* ---- Staged jobs ------------------------------------------------------------------------------------------------------ */

static void join_facts(struct fft_judgement *into, const struct fft_judgement *part)
{
    into->facts.most = fmax(into->facts.most, part->facts.most);
    into->facts.least = fmin(into->facts.least, part->facts.least);
    into->facts.zeros += part->facts.zeros;
    into->facts.fractional |= part->facts.fractional;
    into->facts.nonfinite |= part->facts.nonfinite;
    into->constant_zeros += part->constant_zeros;
}

/* Joins the facts and judges; then the spectrum may have to be made (again). */
static void judge_step(struct fft_job *job, struct fft_shared *shared)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t tiles = step_tiles(layout, (struct step){STEP_LOOK, 0});
    job->judgement = (struct fft_judgement){0};
    for (size_t i = 0; i < tiles; i++)
        join_facts(&job->judgement, &shared->parts[i]);
    fft_judge(job);
    shared->judgement = job->judgement;
    const bool single = fft_in_single(job);
    shared->spectrum_wanted = job->judgement.verdict != FFT_DIRECT &&
                              (shared->spectrum_slice != job->tap_slice || shared->spectrum_single != single);
    if (shared->spectrum_wanted) {
        shared->spectrum_slice = job->tap_slice;
        shared->spectrum_single = single;
    }
}

static void transform_step(struct fft_job *job, const struct fft_shared *shared, struct step step, size_t first,
                           size_t end)
{
    const bool single = fft_in_single(job),
               taps = step.kind == STEP_PLACE || step.kind == STEP_TAP_COLUMNS || step.kind == STEP_TAP_GROUPS;
    if (job->judgement.verdict == FFT_DIRECT || (taps && !shared->spectrum_wanted))
        return;
    fft_use_spectrum(job, single);
    switch (step.kind) {
    case STEP_PLACE:
        fft_place_taps(job);
        break;
    case STEP_TAP_COLUMNS:
        fft_columns(job, false, step.dim, false, first, end);
        break;
    case STEP_TAP_GROUPS:
        fft_tap_groups(job, single, first, end);
        break;
    case STEP_GATHER:
        fft_gather(job, false, first, end);
        break;
    case STEP_COLUMNS:
    case STEP_BACK:
        fft_columns(job, single, step.dim, step.kind == STEP_BACK, first, end);
        break;
    case STEP_GROUPS:
        fft_groups(job, first, end);
        break;
    default:
        break;
    }
}

static void staged_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t number,
                        struct step step, size_t tile, void *tile_scratch)
{
    struct fft_job job = begin_job(plan, run, tile_scratch);
    const struct fft_layout *layout = &job.state->layout;
    struct fft_shared *const shared = take_parts(job.state, run->scratch).shared;
    size_t items = step_items(layout, step), each = items_of_tile(layout, step);
    if (!place_job(&job, number))
        return;
    if (step.kind == STEP_GROUPS && shared->judgement.verdict == FFT_ROUND && layout->single) {
        /* Groups of doubles are half as wide; the tiles are those of floats. */
        items = fft_group_items(layout, false);
        each *= 2;
    }
    const size_t first = tile * each < items ? tile * each : items, end = items - first < each ? items : first + each;
    if (step.kind == STEP_LOOK) {
        fft_gather(&job, true, first, end);
        shared->parts[tile] = job.judgement;
        return;
    }
    if (step.kind == STEP_JUDGE) {
        judge_step(&job, shared);
        return;
    }
    job.judgement = shared->judgement;
    if (step.kind == STEP_EMIT && job.judgement.verdict == FFT_DIRECT)
        fft_emit_direct(&job, first, end);
    else if (step.kind == STEP_EMIT)
        fft_emit(&job, first, end);
    else if (step.kind == STEP_WINDOWS)
        fft_mend_zero_windows(&job);
    else
        transform_step(&job, shared, step, first, end);
}

/* ---- Stages ----------------------------------------------------------------------------------------------------------- */

enum { STAGE_PACK, STAGE_TAPS, STAGE_JOBS };

static unsigned stage_count(const struct convolve_plan *plan)
{
    const struct fft_layout *layout = &fft_state(plan)->layout;
    return STAGE_JOBS + (layout->staged ? (unsigned)layout->job_count * steps_of_job(layout) : 1);
}

static size_t tile_count(const struct convolve_plan *plan, unsigned stage)
{
    const struct fft_state *state = fft_state(plan);
    const struct fft_layout *layout = &state->layout;
    if (stage == STAGE_PACK)
        return direct_method.tile_count(&state->facts, 0);
    if (stage == STAGE_TAPS)
        return most(layout->tap_slices, direct_state(&state->facts)->layout.kernel_groups);
    if (!layout->staged)
        return layout->tile_count;
    return step_tiles(layout, step_at(layout, (stage - STAGE_JOBS) % steps_of_job(layout)));
}

static void run_tile(const struct convolve_plan *plan, const struct convolve_run *run, unsigned stage, size_t tile,
                     void *tile_scratch)
{
    const struct fft_state *state = fft_state(plan);
    const struct fft_layout *layout = &state->layout;
    const unsigned steps = steps_of_job(layout);
    if (stage == STAGE_PACK)
        direct_method.run_tile(&state->facts, run, 0, tile, tile_scratch);
    else if (stage == STAGE_TAPS)
        taps_tile(plan, run, tile, tile_scratch);
    else if (!layout->staged)
        jobs_tile(plan, run, tile, tile_scratch);
    else
        staged_tile(plan, run, (stage - STAGE_JOBS) / steps, step_at(layout, (stage - STAGE_JOBS) % steps), tile,
                    tile_scratch);
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
    .create = create,
    .destroy = destroy,
    .stage_count = stage_count,
    .tile_count = tile_count,
    .run_tile = run_tile,
    .finish = finish,
};

const struct plan_method overlap_add_method = {
    .id = CONVOLVE_OVERLAP_ADD,
    .answers_empty = true,
    .accepts = refuse_integers,
    .measure = overlap_add_measure,
    .create = create,
    .destroy = destroy,
    .stage_count = stage_count,
    .tile_count = tile_count,
    .run_tile = run_tile,
    .finish = finish,
};

double fft_estimate_ns(const struct convolve_spec *spec, const struct geometry *geometry, enum convolve_method method)
{
    struct fft_layout layout;
    if (spec->dtype == CONVOLVE_INT64 || geometry->empty ||
        !fft_layout_derive(&layout, spec->dtype, spec->boundary, geometry, method))
        return (double)INFINITY;
    return layout.cost_ns;
}
