/* SPDX-License-Identifier: MIT */
/* Large jobs of which there are few take stages of their own, which share one job's memory, so that several threads work on
 * one: the signal is looked at and judged, the taps are transformed, then the signal; there, product, back, out. Spectra of
 * few large slices of taps take stages of their own where jobs do not. */
#include "core/fft_state.h"

#include <assert.h>
#include <math.h>

enum { TILES_MAX = 64 }; /* the most stage_tiles that there are */

/* What the stages hand on. */
struct fft_shared {
    struct fft_judgement judgement;
    struct fft_judgement parts[TILES_MAX]; /* facts of the tiles that gather */
    size_t spectrum_slice; /* whose spectrum there is, SIZE_MAX at first, ... */
    bool spectrum_single; /* ... and of which type */
    bool spectrum_wanted;
    bool gathered; /* what was looked at is what is transformed */
};

size_t fft_shared_bytes(void)
{
    return sizeof(struct fft_shared);
}

void fft_begin_shared(struct fft_shared *shared)
{
    shared->spectrum_slice = SIZE_MAX;
}

static size_t divide_up(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

/* ---- Steps of a job ---------------------------------------------------------------------------------------------------- */

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
    STEP_DIRECT,
    STEP_WINDOWS
};

struct step {
    enum step_kind kind;
    unsigned dim; /* of STEP_WINDOWS, which of their steps */
};

unsigned fft_steps_of_job(const struct fft_layout *layout)
{
    return 8 + 3 * (layout->dims - 1) + fft_window_steps(layout);
}

static struct step step_at(const struct fft_layout *layout, unsigned number)
{
    const unsigned columns = layout->dims - 1;
    const struct {
        enum step_kind kind;
        unsigned count;
    } steps[] = {
        {STEP_LOOK, 1},       {STEP_JUDGE, 1},  {STEP_PLACE, 1},         {STEP_TAP_COLUMNS, columns},
        {STEP_TAP_GROUPS, 1}, {STEP_GATHER, 1}, {STEP_COLUMNS, columns}, {STEP_GROUPS, 1},
        {STEP_BACK, columns}, {STEP_EMIT, 1},   {STEP_DIRECT, 1},        {STEP_WINDOWS, fft_window_steps(layout)}};
    for (unsigned i = 0;; i++) {
        assert(i < sizeof steps / sizeof steps[0]);
        if (number < steps[i].count)
            return (struct step){steps[i].kind, steps[i].kind == STEP_BACK ? columns - 1 - number : number};
        number -= steps[i].count;
    }
}

unsigned fft_tap_steps(const struct fft_layout *layout)
{
    return 2 + layout->dims - 1;
}

static struct step tap_step_at(const struct fft_layout *layout, unsigned number)
{
    if (number == 0)
        return (struct step){STEP_PLACE, 0};
    return number < layout->dims ? (struct step){STEP_TAP_COLUMNS, number - 1} : (struct step){STEP_TAP_GROUPS, 0};
}

static size_t step_items(const struct fft_layout *layout, struct step step)
{
    switch (step.kind) {
    case STEP_JUDGE:
        return 1;
    case STEP_WINDOWS:
        return fft_window_items(layout, step.dim);
    case STEP_LOOK:
    case STEP_PLACE:
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
        return fft_emit_items(layout, fft_emit_piece(layout));
    case STEP_DIRECT:
        return fft_emit_items(layout, layout->piece);
    }
    return 1;
}

#define DIRECT_TERMS 0x1p26 /* of a tile: some hundredths of a second */

/* Tiles of as many items each; of outputs that are summed directly so few that a tile does not take long. */
static size_t items_of_tile(const struct fft_layout *layout, struct step step)
{
    const size_t items = step_items(layout, step), share = divide_up(items, layout->stage_tiles);
    if (step.kind != STEP_DIRECT)
        return share;
    const double terms = (double)layout->piece * (double)layout->tap_count;
    return terms * (double)share < DIRECT_TERMS ? share : terms < DIRECT_TERMS ? (size_t)(DIRECT_TERMS / terms) : 1;
}

static size_t step_tiles(const struct fft_layout *layout, struct step step)
{
    return divide_up(step_items(layout, step), items_of_tile(layout, step));
}

size_t fft_step_tiles(const struct fft_layout *layout, unsigned number)
{
    return step_tiles(layout, step_at(layout, number % fft_steps_of_job(layout)));
}

/* ---- Tiles -------------------------------------------------------------------------------------------------------------- */

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
    shared->gathered = !shared->spectrum_wanted && single == layout->single && job->judgement.exponent == 0;
}

static void run_items(struct fft_job *job, struct fft_shared *shared, struct step step, size_t first, size_t end)
{
    const bool single = fft_in_single(job);
    fft_use_spectrum(job, single);
    switch (step.kind) {
    case STEP_PLACE:
        fft_place_taps(job, first, end);
        break;
    case STEP_TAP_COLUMNS:
        fft_tap_columns(job, step.dim, first, end);
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
    case STEP_EMIT:
        fft_emit(job, first, end);
        break;
    case STEP_DIRECT:
        fft_emit_direct(job, first, end);
        break;
    case STEP_WINDOWS:
        fft_mend_windows(job, step.dim, first, end);
        break;
    case STEP_LOOK:
        fft_gather(job, true, first, end);
        if (job->judgement.facts.nonfinite)
            fft_find_largest_of_rows(job, first, end);
        break;
    case STEP_JUDGE:
        judge_step(job, shared);
        break;
    }
}

static bool is_idle(const struct fft_shared *shared, enum step_kind kind)
{
    switch (kind) {
    case STEP_LOOK:
    case STEP_JUDGE:
        return false;
    case STEP_DIRECT:
        return shared->judgement.verdict != FFT_DIRECT;
    case STEP_WINDOWS:
        return !fft_windows_matter(&shared->judgement);
    case STEP_PLACE:
    case STEP_TAP_COLUMNS:
    case STEP_TAP_GROUPS:
        return !shared->spectrum_wanted;
    case STEP_GATHER:
        return shared->gathered || shared->judgement.verdict == FFT_DIRECT;
    default:
        return shared->judgement.verdict == FFT_DIRECT;
    }
}

bool fft_step_is_idle(const struct fft_layout *layout, const struct fft_shared *shared, unsigned number)
{
    return is_idle(shared, step_at(layout, number % fft_steps_of_job(layout)).kind);
}

void fft_run_step(struct fft_job *job, struct fft_shared *shared, unsigned number, size_t tile)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct step step = step_at(layout, number % fft_steps_of_job(layout));
    size_t items = step_items(layout, step), each = items_of_tile(layout, step);
    if (step.kind == STEP_GROUPS && shared->judgement.verdict == FFT_ROUND && layout->single) {
        /* Groups of doubles are half as wide; the tiles are those of floats. */
        items = fft_group_items(layout, false);
        each *= 2;
    }
    const size_t first = tile * each < items ? tile * each : items, end = items - first < each ? items : first + each;
    if (step.kind != STEP_LOOK && step.kind != STEP_JUDGE)
        job->judgement = shared->judgement;
    run_items(job, shared, step, first, end);
    if (step.kind == STEP_LOOK)
        shared->parts[tile] = job->judgement;
}

/* ---- Spectra alone ------------------------------------------------------------------------------------------------------ */

size_t fft_tap_step_tiles(const struct fft_layout *layout, unsigned number)
{
    return step_tiles(layout, tap_step_at(layout, number));
}

void fft_run_tap_step(struct fft_job *job, unsigned number, size_t tile)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct step step = tap_step_at(layout, number);
    const size_t items = step_items(layout, step), each = items_of_tile(layout, step), first = tile * each;
    const size_t end = items - first < each ? items : first + each;
    if (step.kind == STEP_PLACE)
        fft_place_taps(job, first, end);
    else if (step.kind == STEP_TAP_COLUMNS)
        fft_tap_columns(job, step.dim, first, end);
    else
        fft_store_spectra(job, first, end);
}
