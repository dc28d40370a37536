/* SPDX-License-Identifier: MIT */
/* What the files of fft and overlap_add share: the plan's state, a run's scratch, a job on its way. */
#ifndef CORE_FFT_STATE_H
#define CORE_FFT_STATE_H

#include "core/direct_state.h"
#include "core/fft_layout.h"
#include "core/plan.h"

/* The tables of one type. */
struct fft_tables {
    struct simd_fft fft[FFT_DIMS_MAX]; /* of each dimension; of FFT_ROWS the last alone */
    void *turns; /* split: of each group of rows coarse_count, then fine_count elements [re, im][width] */
    double units; /* how far forward, product and inverse may be off, in the type's unit roundoffs, in the 2-norm */
};

/* The plan's own; the tables follow it in the same allocation. */
struct fft_state {
    struct fft_layout layout;
    struct convolve_plan
        facts; /* of direct: packs the kernel, keeps the findings, makes single outputs where it must */
    struct fft_tables single, twice; /* twice is always there: spectra of taps are made in it */
    double spectrum_units; /* how far a spectrum in double may be off, in 2^-53 times the sum of the absolute taps */
    ptrdiff_t *offsets; /* complex: of the taps of a row in its plain and its turned copy */
};

/* What a slice of the taps tells. */
struct fft_taps {
    double sum, largest; /* of absolute values, of all parts */
    uint64_t
        peak; /* the largest |spectrum|^2, as bits of a double: a maximum over threads; of taps times 2^-exponent */
    int exponent;
    bool fractional, nonfinite, negative, zeros;
};

enum fft_verdict {
    FFT_FLOAT, /* transform in the dtype's precision */
    FFT_ROUND, /* transform in double and round to integers, which are exact */
    FFT_DIRECT, /* the sum as it is defined */
};

/* What a job's values tell, and what is to be done with them. */
struct fft_judgement {
    enum fft_verdict verdict;
    struct simd_fft_facts facts;
    size_t constant_zeros; /* cells that the boundary fills with 0, beside those of the facts */
    int exponent; /* FFT_FLOAT: the signal is multiplied by 2^-exponent on its way in */
    bool cut; /* nothing is negative */
    bool zero_windows; /* there may be windows of zeros only */
};

/* Where a block lies, axis by axis. */
struct fft_block {
    int64_t begin[CONVOLVE_RANK_MAX]; /* the signal's cell that is the block's first; may lie outside */
    size_t first[CONVOLVE_RANK_MAX],
        outputs[CONVOLVE_RANK_MAX]; /* the first output; how many: 0 where the block is empty */
};

/* A thread's own memory. */
struct fft_workspace {
    void *strip_re, *strip_im; /* [last dimension][width] */
    void *zeros, *waste; /* a row to read, a row to write */
    void *row; /* cells of a block's row: twice, with all parts */
    void *cells, *sums; /* once, with all parts */
    struct fft_block *blocks; /* those of the job */
    unsigned char *arrays; /* of a job that is not staged */
};

struct fft_job {
    const struct convolve_plan *plan;
    const struct convolve_run *run;
    const struct fft_state *state;
    size_t first_block, tap_slice, kernel_slice;
    size_t signal_offset, output_offset; /* of the slice, in elements */
    struct fft_taps *taps;
    void *re, *im; /* the arrays */
    unsigned char *spectra; /* of the slice of taps: in float, then in double; where staged, whichever was made last */
    void *spectrum_re, *spectrum_im; /* the one in use */
    struct fft_judgement judgement;
    struct fft_workspace work;
};

static inline const struct fft_state *fft_state(const struct convolve_plan *plan)
{
    return plan->state;
}

static inline struct direct_findings *fft_findings(const struct fft_job *job)
{
    return direct_scratch_parts(&direct_state(&job->state->facts)->layout, job->run->scratch).findings;
}

/* Whether the job is transformed in float. */
static inline bool fft_in_single(const struct fft_job *job)
{
    return job->state->layout.single && job->judgement.verdict != FFT_ROUND;
}

/* What a spectrum in float takes, where there is one beside that in double. */
static inline size_t fft_single_bytes(const struct fft_layout *layout)
{
    return layout->single && !layout->staged ? 2 * layout->spectrum * sizeof(float) : 0; /* a multiple of 128 */
}

static inline void fft_use_spectrum(struct fft_job *job, bool single)
{
    const struct fft_layout *layout = &job->state->layout;
    job->spectrum_re = job->spectra + (single ? 0 : fft_single_bytes(layout));
    job->spectrum_im = (unsigned char *)job->spectrum_re + layout->spectrum * (single ? sizeof(float) : sizeof(double));
}

/* ---- fft_tables.c ---- */
bool fft_tables_bytes(const struct fft_layout *layout, bool single, size_t *bytes); /* adds to `bytes` */
void fft_fill_tables(struct fft_state *state, unsigned char **cursor);

/* ---- fft_staged.c: large jobs, and spectra, step by step ---- */
unsigned fft_tap_steps(const struct fft_layout *layout);
size_t fft_tap_step_tiles(const struct fft_layout *layout, unsigned number);
void fft_run_tap_step(struct fft_job *job, unsigned number, size_t tile); /* of taps that are all finite */

struct fft_shared; /* between the steps of a run's jobs, in its scratch */
size_t fft_shared_bytes(void);
void fft_begin_shared(struct fft_shared *shared);
unsigned fft_steps_of_job(const struct fft_layout *layout);
size_t fft_step_tiles(const struct fft_layout *layout,
                      unsigned number); /* of step `number`, counted through all jobs */
bool fft_step_is_idle(const struct fft_layout *layout, const struct fft_shared *shared, unsigned number);
void fft_run_step(struct fft_job *job, struct fft_shared *shared, unsigned number, size_t tile);

/* ---- fft_signal.c: values in and out ---- */

/* Block number `block` of the job; one beyond the slice's last has no outputs. */
void fft_locate(const struct fft_job *job, size_t block, struct fft_block *place); /* for the workspace */

/* Cells of the signal from `begin` on (one place per axis, steps along the layout's row): real parts, and for complex values
 * imaginary ones; in float or double. */
struct fft_span {
    size_t first, end; /* the cells that are no constant */
};
struct fft_span fft_fetch(const struct fft_job *job, const int64_t *begin, size_t count, bool single, void *re,
                          void *im);

/* Where real cells lie in the tensor as a transform wants them: those of `span`, of `count` from `begin` on. Else NULL. */
const void *fft_plain(const struct fft_job *job, const int64_t *begin, size_t count, struct fft_span *span);

/* Reads `count` taps along the layout's row, from `tap` on, in double. */
void fft_fetch_taps(const struct fft_job *job, const size_t *tap, size_t count, double *re, double *im);

/* Where outputs of a block go: index of the element of output `h` (one count per axis). */
size_t fft_output_index(const struct fft_job *job, const struct fft_block *block, const size_t *h);

/* ---- fft_transform.c: arrays there and back ---- */

/* Stages of a job's transform; each does the items first .. end-1 of a dimension. */
size_t fft_column_items(const struct fft_layout *layout, unsigned dim);
size_t fft_group_items(const struct fft_layout *layout, bool single);
void fft_columns(const struct fft_job *job, bool single, unsigned dim, bool inverse, size_t first, size_t end);
bool fft_columns_hold_taps(const struct fft_layout *layout, unsigned dim, size_t item); /* where not, all is 0 */
void fft_groups(const struct fft_job *job, size_t first, size_t end); /* rows: there, product, back */
void fft_tap_groups(const struct fft_job *job, bool single, size_t first, size_t end); /* rows of the taps: there */

/* FFT_ROWS: rows in, the first `count` cells of rows out. */
void fft_lanes(const struct fft_job *job, const void *const *from_re, const void *const *from_im, void *const *to_re,
               void *const *to_im, size_t count);

/* The place of row `row` of an array, in elements. */
size_t fft_row_offset(const struct fft_layout *layout, size_t row);

/* ---- fft_blocks.c: the two ends of a job ---- */

/* Items are rows of the arrays; with `look` the job's facts grow by what they hold. */
void fft_gather(struct fft_job *job, bool look, size_t first, size_t end);

/* Items are pieces of output rows, `piece` outputs each; of what was transformed, as many as fft_emit_piece says. */
size_t fft_emit_piece(const struct fft_layout *layout);
size_t fft_emit_items(const struct fft_layout *layout, size_t piece);
void fft_emit(struct fft_job *job, size_t first, size_t end);

/* The piece of an output row that is item `item`: false where it is empty. */
struct fft_piece {
    const struct fft_block *block;
    size_t number; /* of the block in the job */
    size_t h[CONVOLVE_RANK_MAX]; /* the first output */
    size_t count; /* outputs, along the layout's row */
};
bool fft_find_piece(const struct fft_job *job, size_t item, size_t length, struct fft_piece *piece);

/* ---- fft_job.c ---- */
void fft_run_job(struct fft_job *job); /* all of a job that is not staged */

/* ---- fft_taps.c: the taps and their spectrum ---- */
void fft_scan_taps(const struct fft_job *job, size_t part, struct fft_taps *found); /* what a part of them tells */
void fft_join_taps(struct fft_taps *into, const struct fft_taps *part);
void fft_scale_taps(const struct fft_layout *layout, struct fft_taps *taps); /* once all parts are joined */
void fft_place_taps(struct fft_job *job, size_t first, size_t end); /* into rows of the arrays, which it clears */
void fft_tap_columns(const struct fft_job *job, unsigned dim, size_t first, size_t end); /* leaves out those of zeros */
void fft_store_spectra(struct fft_job *job, size_t first,
                       size_t end); /* groups of those that a run not staged may need */
void fft_make_spectra(struct fft_job *job); /* all of that at once */

/* ---- fft_promises.c: what holds for every method ---- */
void fft_judge(struct fft_job *job);
double fft_predict(const struct convolve_plan *plan, const struct convolve_run *run); /* see convolve_predict */
void fft_note_transformed(struct fft_job *job, double largest); /* the bound; `largest` output, of FFT_ROUND */
void fft_emit_direct(struct fft_job *job, size_t first, size_t end); /* FFT_DIRECT: pieces of the layout's length */

/* ---- fft_windows.c: second looks at the signal, window by window ---- */
void fft_find_largest(struct fft_job *job); /* the facts' extremes, of the finite values alone */
void fft_find_largest_of_rows(struct fft_job *job, size_t first,
                              size_t end); /* the same of rows of the arrays, as gathered */

/* Whether a window may hold zeros only, as far as some of the rows tell. */
bool fft_find_zero_windows(const struct fft_job *job);

/* Outputs of windows of zeros become 0, step by step or all at once; both use the arrays. */
bool fft_windows_matter(const struct fft_judgement *judgement);
unsigned fft_window_steps(const struct fft_layout *layout);
size_t fft_window_items(const struct fft_layout *layout, unsigned step);
void fft_mend_windows(const struct fft_job *job, unsigned step, size_t first, size_t end);
void fft_mend_zero_windows(const struct fft_job *job);

#endif
