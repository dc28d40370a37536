/* SPDX-License-Identifier: MIT */
/* The tables that a plan of fft or overlap_add keeps: the transforms of each dimension, and the turns between the two of a
 * split one. */
#include "core/fft_state.h"

static size_t divide_up(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

/* Tables of one type: a part for each dimension, then the turns of a split one. */
bool fft_tables_bytes(const struct fft_layout *layout, bool single, size_t *bytes)
{
    const size_t real = single ? sizeof(float) : sizeof(double), width = fft_width(single);
    for (unsigned i = layout->mode == FFT_ROWS ? 1 : 0; i < layout->dims; i++)
        if (!plan_size_add(bytes, fft_turns_count(layout->dim[i]), real))
            return false;
    return !layout->split ||
           plan_size_add(
               bytes, divide_up(layout->rows, width) * 2 * width * (layout->coarse_count + layout->fine_count), real);
}

/* Row k1 of a split transform holds frequency k1' (its digits reversed): element i is turned by e^(-2 pi i k1' i / length). */
static void fill_turns(const struct fft_state *state, float *single, double *twice)
{
    const struct fft_layout *layout = &state->layout;
    const struct simd_fft *fft = &state->twice.fft[0];
    const size_t length = layout->dim[0] * layout->dim[1], rows = layout->dim[0];
    const size_t elements = layout->coarse_count + layout->fine_count;
    const size_t wide = SIMD_FFT_WIDTH_f32, narrow = SIMD_FFT_WIDTH_f64;
    struct fft_roots roots;
    fft_fill_roots(&roots, length);
    for (size_t k = 0; k < divide_up(rows, wide) * wide; k++) {
        const size_t place = k < rows ? fft_place(fft, k) : k, frequency = k < rows ? k : 0;
        for (size_t i = 0; i < elements; i++) {
            const size_t index = i < layout->coarse_count ? i * layout->fine_count : i - layout->coarse_count;
            const struct fft_root root = fft_find_root(&roots, frequency * index % length);
            const size_t at = (place / narrow * elements + i) * 2 * narrow + place % narrow;
            if (k < divide_up(rows, narrow) * narrow) {
                twice[at] = root.re;
                twice[at + narrow] = root.im;
            }
            if (!single)
                continue;
            float *const to = single + (place / wide * elements + i) * 2 * wide + place % wide;
            to[0] = (float)root.re;
            to[wide] = (float)root.im;
        }
    }
}

static void *take_turns(const struct fft_layout *layout, bool single, unsigned char **cursor)
{
    const size_t width = fft_width(single), elements = layout->coarse_count + layout->fine_count;
    return plan_scratch_take(cursor, divide_up(layout->rows, width) * 2 * width * elements,
                             single ? sizeof(float) : sizeof(double));
}

/* See fft_promises.c. A turn is by the product of two rounded roots: 2 * 0.73 + 2.3 and 2.3 for the product with it. */
void fft_fill_tables(struct fft_state *state, unsigned char **cursor)
{
    const struct fft_layout *layout = &state->layout;
    struct fft_tables *const single = &state->single, *const twice = &state->twice;
    double units = layout->split ? 6.1 * 1.1 : 0;
    for (unsigned i = layout->mode == FFT_ROWS ? 1 : 0; i < layout->dims; i++) {
        const size_t count = fft_turns_count(layout->dim[i]);
        double *const turns = plan_scratch_take(cursor, count, sizeof *turns);
        fft_fill(&twice->fft[i], layout->dim[i], turns);
        if (layout->single)
            fft_narrow(&single->fft[i], &twice->fft[i], plan_scratch_take(cursor, count, sizeof(float)));
        units += fft_error_units(&twice->fft[i]);
    }
    single->units = twice->units = 2 * units + 3.3 * 1.1;
    if (!layout->split)
        return;
    twice->turns = take_turns(layout, false, cursor);
    single->turns = layout->single ? take_turns(layout, true, cursor) : NULL;
    fill_turns(state, single->turns, twice->turns);
}
