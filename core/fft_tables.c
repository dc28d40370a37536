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
void fft_fill_tables(const struct fft_state *state, struct fft_tables *tables, bool single, unsigned char **cursor)
{
    const struct fft_layout *layout = &state->layout;
    const size_t real = single ? sizeof(float) : sizeof(double), width = fft_width(single);
    double units = layout->split ? 6.1 * 1.1 : 0;
    for (unsigned i = layout->mode == FFT_ROWS ? 1 : 0; i < layout->dims; i++) {
        void *const turns = plan_scratch_take(cursor, fft_turns_count(layout->dim[i]), real);
        fft_fill(&tables->fft[i], layout->dim[i], single, turns);
        units += fft_error_units(&tables->fft[i]);
    }
    if (layout->split) {
        tables->turns = plan_scratch_take(
            cursor, divide_up(layout->rows, width) * 2 * width * (layout->coarse_count + layout->fine_count), real);
        fill_turns(layout, tables, single);
    }
    tables->units = 2 * units + 3.3 * 1.1;
}
