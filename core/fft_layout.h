/* SPDX-License-Identifier: MIT */
/* How fft and overlap_add cut a request up, from shapes alone.
 *
 * Along each convolved axis outputs are dealt into classes whose windows read the same residue of the dilation: within a
 * class the kernel's taps are neighbours. Each class is cut into blocks of `hop` outputs; a block reads `length` cells, of
 * which a cyclic convolution gives the first length - taps + 1 right (overlap-save). Two real blocks of a slice are
 * transformed as one complex block, real and imaginary part: the kernel is real, so they do not mix. A complex block stands
 * alone. Which blocks go together follows from their numbers within the slice, so a slice's bits are its own.
 *
 * A job is what is transformed at once. Where one axis is transformed and not too long, it is a strip of blocks, a block in
 * each lane (FFT_ROWS); else it is one block or pair, an array of `dim` cells whose last dimension is handled strip by strip
 * of lanes (FFT_BLOCK). A long single axis is split into two dimensions, with a turn between their transforms.
 *
 * Where input and kernel have changed places the signal is the dilated kernel, read backwards, and the taps are the input,
 * backwards too: then the same holds, with neither boundary nor dilation. */
#ifndef CORE_FFT_LAYOUT_H
#define CORE_FFT_LAYOUT_H

#include "core/convolve.h"
#include "core/fft.h"
#include "core/geometry.h"

enum fft_mode { FFT_ROWS, FFT_BLOCK };

/* One convolved axis. A request without any has one of length 1. */
struct fft_axis {
    size_t signal, taps, outputs; /* lengths; of an exchanged signal that of the dilated kernel */
    size_t signal_pitch, taps_pitch, output_pitch; /* in elements of their tensors */
    size_t stride, before; /* output o's window begins at o*stride - before */
    size_t step; /* of a window's cells: the dilation */
    size_t spread; /* exchanged: the dilation; only every spread-th cell from the end holds an element. Else 1 */
    size_t classes, class_pitch; /* outputs c, c + class_pitch, ... are class c */
    bool innermost; /* of the convolved axes: its outputs are neighbours in memory where a slice is alone */
    size_t cell_stride; /* cells between the windows of neighbouring outputs of a class */
    size_t length, hop, blocks; /* blocks of each class */
};

enum { FFT_DIMS_MAX = CONVOLVE_RANK_MAX + 1 };

struct fft_layout {
    bool single, complex, exchanged, wraps; /* wraps: a boundary other than the constant */
    bool lonely; /* there may be windows without any cell of the input */
    unsigned parts;
    enum convolve_boundary boundary;
    enum fft_mode mode;
    unsigned axis_count, row; /* row: the axis of the last dimension */
    struct fft_axis axis[CONVOLVE_RANK_MAX];
    size_t tap_count;

    bool split;
    unsigned dims;
    size_t dim[FFT_DIMS_MAX], pitch[FFT_DIMS_MAX]; /* pitch: elements between neighbours */
    unsigned dim_axis[FFT_DIMS_MAX]; /* the axis a dimension belongs to */
    size_t cells; /* elements of an array's real or imaginary part, padding included */
    size_t transformed; /* product of the dimensions, or of a row: the cells that one output depends on */
    size_t rows; /* product of the dimensions but the last; of FFT_ROWS the lanes */
    size_t spectrum; /* elements of a spectrum's real or imaginary part */
    size_t fine_count, coarse_count; /* split: of the tables of turns, for each row */

    size_t blocks_per_job, blocks, jobs_per_slice, slices, job_count;
    size_t tap_slices, tap_elements;
    unsigned outer_count; /* axes that are not convolved */
    struct fft_outer {
        size_t outputs, output_pitch, signal_pitch, taps_pitch, tap_slice_pitch, kernel_slice_pitch;
    } outer[CONVOLVE_RANK_MAX];

    bool staged; /* a job is cut into stages that share its memory; else a tile runs whole jobs */
    bool taps_staged; /* so are the spectra of the taps; always where `staged` */
    size_t stage_tiles; /* of a stage, at most, but for the one that sums directly */
    size_t scan_taps, scan_parts; /* taps are looked at so many at a time */
    size_t piece; /* outputs of a row that are summed directly at once */
    size_t jobs_per_tile, tile_count;
    double cost_ns;
};

/* False where a size does not fit size_t. `method` is CONVOLVE_FFT (two blocks that cover everything) or
 * CONVOLVE_OVERLAP_ADD (the blocks that cost least). */
bool fft_layout_derive(struct fft_layout *layout, enum convolve_dtype dtype, enum convolve_boundary boundary,
                       const struct geometry *geometry, enum convolve_method method);

/* How many outputs block `block` (class by class) of an axis has; and its first output. */
size_t fft_block_outputs(const struct fft_axis *axis, size_t block, size_t *first);

/* The lanes of a strip of floats, or of doubles. */
static inline size_t fft_width(bool single)
{
    return single ? SIMD_FFT_WIDTH_f32 : SIMD_FFT_WIDTH_f64;
}

#endif
