/* SPDX-License-Identifier: MIT */
/* What is promised about values whatever the method, and what it takes here: a job is judged by its values before anything
 * is transformed.
 *
 * The error of a job. Let z be its complex cells, N their number, k the taps, K their exact spectrum, u the unit roundoff of
 * the type that is transformed in. Relative errors in the 2-norm: forward e, product 2.3 u (Brent, Percival and Zimmermann
 * 2007), rounding of the spectrum u, inverse e, where e is what fft_error_units adds up over the dimensions (and the turns
 * of a split one). The computed spectrum, made in double, is off by at most s = units * 2^-53 * sum|k| in each place
 * (fft_path_error_units). By Parseval, with P = max|K| <= peak + s, the result is off in the 2-norm, so in every output, by at
 * most
 *
 *     |z|_2 * (P * (2e + 3.3 u) * 1.1 + s),     |z|_2 <= sqrt(2 N) * max|x|
 *
 * to which come the results' own last rounding where the types differ, and denormals, which scaling keeps below 2^-80 of max|x| *
 * sum|k|. (Each output is charged with the error of all: hence it is some ten times the error that occurs.)
 *
 * Integers. If that is below 1/4 in double, rounding to the nearest integer gives the exact one. Where it is not and the
 * products might still add up to less than 2^53 (2^24), the outputs are summed as they are defined. So are those of a job
 * that holds a NaN or an infinity: it then reaches no more than it should, and turns into what it should. And so are those
 * whose sums may leave the range of the type.
 *
 * `max_error` under auto: a job whose transform might not keep it (whatever its spectrum, for that is not always known yet) is
 * summed where sums surely do. So auto keeps what direct would: a job's largest value is none larger than its slice's. */
#include "core/fft_state.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Bounds ----------------------------------------------------------------------------------------------------------- */

static double exact_below(const struct fft_layout *layout)
{
    return layout->single ? 0x1p24 : 0x1p53;
}

/* The largest absolute value of the signal. */
static double largest_of(const struct simd_fft_facts *facts)
{
    return fmax(facts->most, -facts->least);
}

/* The largest product first: where that leaves the range there is nothing to tell, where it is lost it does not count. */
static double transform_bound(const struct fft_state *state, bool single, double largest, double sum, double peak)
{
    const double u = single ? 0x1p-24 : 0x1p-53, tables = single ? state->single.units : state->twice.units;
    const double norm = sqrt(2 * (double)state->layout.transformed), spectrum = state->spectrum_units * 0x1p-53;
    const double products = largest * sum, peaks = largest * peak;
    return norm * ((peaks + spectrum * products) * tables * u + spectrum * products) * (1 + 0x1p-20) +
           0x1p-80 * products;
}

static double least_denormal(const struct fft_layout *layout)
{
    return layout->single ? (double)FLT_TRUE_MIN : DBL_TRUE_MIN;
}

/* Whatever the spectrum is. */
static double transform_bound_most(const struct fft_state *state, double largest, double sum)
{
    return transform_bound(state, state->layout.single, largest, sum, sum) + 2 * least_denormal(&state->layout);
}

/* Of the outputs that are summed as they are defined. */
static double chain_bound(const struct fft_job *job)
{
    const struct convolve_plan *facts = &job->state->facts;
    const double sum =
        job->state->layout.exchanged ? job->taps->sum : direct_kernel_sum(facts, job->run, job->kernel_slice);
    return direct_chain_bound(facts, largest_of(&job->judgement.facts), sum);
}

/* max|K|, measured. */
static double peak_of(const struct fft_job *job)
{
    double square;
    const uint64_t bits = __atomic_load_n(&job->taps->peak, __ATOMIC_RELAXED);
    memcpy(&square, &bits, sizeof square);
    const double peak = scalbn(sqrt(square) * (1 + 0x1p-40), job->taps->exponent);
    return peak < 0x1p-1000 ? job->taps->sum : fmin(peak, job->taps->sum); /* a denormal has lost digits */
}

void fft_note_transformed(struct fft_job *job, double largest)
{
    const struct fft_layout *layout = &job->state->layout;
    if (job->judgement.verdict == FFT_ROUND) {
        /* Exact in double; a float may have no room for it. */
        if (largest > exact_below(layout))
            direct_note_bound(fft_findings(job), largest * (layout->single ? 0x1p-24 : 0x1p-53) * layout->parts);
        return;
    }
    const double input = largest_of(&job->judgement.facts);
    if (input == 0 || job->taps->sum == 0)
        return;
    const double bound =
        transform_bound(job->state, layout->single, input, job->taps->sum, peak_of(job)) + 2 * least_denormal(layout);
    direct_note_bound(fft_findings(job), bound < DBL_MAX ? bound : DBL_MAX);
}

/* ---- Before anything is computed ---- */

struct prediction {
    const struct fft_state *state;
    const struct convolve_run *run;
};

/* Whatever becomes of the jobs: transformed, or summed as they are defined. Exchanged, the taps are the input. */
static double predict_slice(const void *context, size_t kernel_slice, double largest)
{
    const struct prediction *prediction = context;
    const struct fft_layout *layout = &prediction->state->layout;
    const struct convolve_plan *facts = &prediction->state->facts;
    const struct direct_layout *direct = &direct_state(facts)->layout;
    const double count = (double)layout->tap_count * layout->parts;
    double sum = direct_scratch_parts(direct, prediction->run->scratch)
                     .kernel_facts[kernel_slice * direct->kernel_chunks]
                     .largest;
    if (layout->exchanged) {
        const double kernel = sum;
        sum = count * largest;
        largest = kernel;
    }
    const double chain_sum = layout->exchanged ? sum * (1 + count * 0x1p-49) : direct_sum_above(facts, sum);
    const double bound = transform_bound_most(prediction->state, largest, sum * (1 + count * 0x1p-49));
    const double chain = direct_chain_bound(facts, largest, chain_sum);
    if (facts->keeps_max_error && chain <= facts->spec.max_error)
        return fmin(fmax(bound, chain), facts->spec.max_error);
    return fmin(fmax(bound, chain), DBL_MAX);
}

double fft_predict(const struct convolve_plan *plan, const struct convolve_run *run)
{
    const struct fft_state *state = fft_state(plan);
    const struct prediction prediction = {state, run};
    struct direct_state direct = *direct_state(&state->facts);
    struct convolve_plan facts = state->facts;
    direct.bound = predict_slice;
    direct.maker = &prediction;
    facts.state = &direct;
    return direct_predict(&facts, run);
}

/* ---- Judging ---------------------------------------------------------------------------------------------------------- */

/* Whether some output surely meets the largest value with the largest tap: a block so far inside that all windows around each
 * of its cells are outputs. */
static bool lies_inside(const struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    for (size_t b = 0; b < layout->blocks_per_job; b++) {
        const struct fft_block *block = &job->work.blocks[b];
        for (unsigned i = 0; i < layout->axis_count; i++) {
            const struct fft_axis *axis = &layout->axis[i];
            const int64_t reach = (int64_t)((axis->taps - 1) * axis->step);
            const int64_t end = block->begin[i] + (int64_t)(axis->length * axis->step);
            if (axis->stride != 1 || block->begin[i] < reach || end + reach > (int64_t)axis->signal)
                return false;
        }
    }
    return !layout->exchanged;
}

static enum fft_verdict judge_integers(const struct fft_job *job, double largest)
{
    const struct fft_layout *layout = &job->state->layout;
    const double products = largest * job->taps->sum;
    if (products < 0x1p52 && transform_bound(job->state, false, largest, job->taps->sum, job->taps->sum) < 0.25)
        return FFT_ROUND;
    /* No promise where one product alone is too large. */
    if (largest * job->taps->largest >= 4 * exact_below(layout) && lies_inside(job))
        return FFT_FLOAT;
    return FFT_DIRECT;
}

static bool is_safer_summed(const struct fft_job *job, double largest)
{
    const double max_error = job->plan->spec.max_error;
    return job->plan->keeps_max_error && transform_bound_most(job->state, largest, job->taps->sum) > max_error &&
           chain_bound(job) <= max_error;
}

void fft_judge(struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_taps *taps = job->taps;
    struct fft_judgement *const judgement = &job->judgement;
    if (judgement->facts.nonfinite && !layout->staged)
        fft_find_largest(job);
    const struct simd_fft_facts *facts = &judgement->facts;
    const double largest = largest_of(facts), most = layout->single ? (double)FLT_MAX : DBL_MAX;
    const int range = layout->single ? 40 : 300;
    judgement->verdict = FFT_FLOAT;
    judgement->exponent = 0;
    /* Where sums may overflow the error of a transform would spread over outputs that do not. */
    if (facts->nonfinite || taps->nonfinite || !(largest * taps->sum < most / 4))
        judgement->verdict = FFT_DIRECT;
    else if (!facts->fractional && !taps->fractional)
        judgement->verdict = judge_integers(job, largest);
    if (judgement->verdict == FFT_FLOAT && is_safer_summed(job, largest))
        judgement->verdict = FFT_DIRECT;
    judgement->cut = !layout->complex && facts->least >= 0 && !taps->negative;
    judgement->zero_windows = (facts->zeros > 0 || layout->lonely) &&
                              facts->zeros + judgement->constant_zeros >= layout->tap_count &&
                              (layout->exchanged || fft_find_zero_windows(job));
    if (layout->exchanged) {
        judgement->zero_windows = taps->zeros;
        for (unsigned i = 0; i < layout->axis_count; i++)
            judgement->zero_windows |= layout->axis[i].spread > layout->axis[i].taps; /* they may meet nothing */
    }
    if (judgement->verdict == FFT_FLOAT && largest > 0 && abs(ilogb(largest)) > range)
        judgement->exponent = ilogb(largest);
}

/* ---- The sum as it is defined ----------------------------------------------------------------------------------------- */

/* Looks at an output that was summed: finite, and exact or not. */
static void look_at_output(struct fft_job *job, size_t index, bool integral, double bound)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_state *state = job->state;
    bool finite = true, nan = false;
    for (unsigned part = 0; part < layout->parts; part++) {
        const size_t at = index * layout->parts + part;
        const double value =
            layout->single ? (double)((const float *)job->run->output)[at] : ((const double *)job->run->output)[at];
        finite &= isfinite(value) != 0;
        nan |= isnan(value) != 0;
    }
    if (!finite && nan && job->plan->spec.ignore_missing)
        direct_note(&fft_findings(job)->look_needed); /* holes are mended by tiles of their own, since it takes long */
    else if (!finite)
        direct_note_nonfinite(fft_findings(job), index);
    if (integral && direct_absolute_sum(&state->facts, job->run, index) >= exact_below(layout))
        direct_note_bound(fft_findings(job), bound);
}

/* The next row of taps; false after the last. */
static bool next_row(const struct fft_layout *layout, size_t *tap)
{
    for (unsigned i = layout->axis_count; i-- > 0;) {
        if (i == layout->row)
            continue;
        if (++tap[i] < layout->axis[i].taps)
            return true;
        tap[i] = 0;
    }
    return false;
}

/* Complex cells as pairs, then the same turned by a quarter: their real chains are those of the parts. */
static void interleave(struct fft_job *job, void *cells, const void *re, const void *im, size_t count, size_t room)
{
    const struct simd_routines *routines = job->plan->routines;
    if (job->state->layout.single) {
        float *const out = cells;
        for (size_t i = 0; i < count; i++) {
            out[2 * i] = ((const float *)re)[i];
            out[2 * i + 1] = ((const float *)im)[i];
        }
        routines->turn_f32(out + 2 * room, out, count);
    } else {
        double *const out = cells;
        for (size_t i = 0; i < count; i++) {
            out[2 * i] = ((const double *)re)[i];
            out[2 * i + 1] = ((const double *)im)[i];
        }
        routines->turn_f64(out + 2 * room, out, count);
    }
}

/* Adds all rows of taps into `work.sums`, one place for every cell that begins a window. */
static void sum_piece(struct fft_job *job, const struct fft_piece *piece, size_t places)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *row = &layout->axis[layout->row];
    const size_t bytes = layout->single ? sizeof(float) : sizeof(double), cells = places + row->taps - 1;
    const struct direct_scratch scratch =
        direct_scratch_parts(&direct_state(&job->state->facts)->layout, job->run->scratch);
    const unsigned char *values =
        (const unsigned char *)scratch.values + job->kernel_slice * layout->tap_count * layout->parts * bytes;
    size_t tap[CONVOLVE_RANK_MAX] = {0};
    bool accumulate = false;
    unsigned char *const pairs = job->work.row; /* [plain, turned][row's length][re, im] */
    unsigned char *const re = layout->complex ? job->work.cells : job->work.row;
    unsigned char *const im = re + cells * bytes;
    do {
        int64_t begin[CONVOLVE_RANK_MAX];
        for (unsigned i = 0; i < layout->axis_count; i++) {
            const struct fft_axis *axis = &layout->axis[i];
            const size_t cell = piece->h[i] * axis->cell_stride + (i == layout->row ? 0 : tap[i]);
            begin[i] = piece->block->begin[i] + (int64_t)(cell * axis->step);
        }
        fft_fetch(job, begin, cells, layout->single, re, im);
        if (layout->complex)
            interleave(job, pairs, re, im, cells, row->length);
        const void *const rows[1] = {layout->complex ? pairs : re};
        void *const output[1] = {job->work.sums};
        const struct simd_block block = {.rows = rows,
                                         .planes = 1,
                                         .row_taps = 1,
                                         .taps = row->taps * layout->parts,
                                         .values = values,
                                         .offsets = job->state->offsets,
                                         .accumulate = accumulate,
                                         .output = output,
                                         .output_rows = 1,
                                         .count = places * layout->parts};
        if (layout->single)
            job->plan->routines->block_f32(&block);
        else
            job->plan->routines->block_f64(&block);
        accumulate = true;
        values += row->taps * layout->parts * bytes;
    } while (next_row(layout, tap));
}

void fft_emit_direct(struct fft_job *job, size_t first, size_t end)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *row = &layout->axis[layout->row];
    const double bound = chain_bound(job), products = largest_of(&job->judgement.facts) * job->taps->sum;
    const bool integral = !job->judgement.facts.fractional && !job->taps->fractional;
    const bool check = integral && !(products < exact_below(layout));
    const size_t apart = row->class_pitch * row->output_pitch, stride = row->cell_stride;
    const size_t bytes = (layout->single ? sizeof(float) : sizeof(double)) * layout->parts;
    if (!integral)
        direct_note_bound(fft_findings(job), bound);
    for (size_t item = first; item < end; item++) {
        struct fft_piece piece;
        if (!fft_find_piece(job, item, layout->piece, &piece))
            continue;
        const size_t index = fft_output_index(job, piece.block, piece.h);
        if (!layout->exchanged)
            sum_piece(job, &piece, (piece.count - 1) * stride + 1);
        for (size_t i = 0; i < piece.count; i++) {
            if (layout->exchanged)
                direct_plain_output(&job->state->facts, job->run, index + i * apart);
            else
                memcpy((unsigned char *)job->run->output + (index + i * apart) * bytes,
                       (const unsigned char *)job->work.sums + i * stride * bytes, bytes);
            look_at_output(job, index + i * apart, check, bound);
        }
    }
}
