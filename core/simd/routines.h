/* SPDX-License-Identifier: MIT */
/* The list of SIMD routines. Each row declares a routine for every instruction set, a member of the table, the line that
 * fills it and the test that checks it (check_simd calls check_NAME for every row). A file of core/simd that is compiled
 * per instruction set includes only this and vec.h, so that nothing else is built for instructions the CPU may lack. */
#ifndef CORE_SIMD_ROUTINES_H
#define CORE_SIMD_ROUTINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A block of output rows, each a chain of multiply-adds over all taps. Output row r, element x:
 *
 *     acc = accumulate ? output[r][x] : +0
 *     for p in 0 .. planes-1, t in 0 .. row_taps-1, k in 0 .. taps-1:
 *         acc = fma(rows[p*rows_pitch + r*row_step + t][x + offsets[k]], values[p*plane_pitch + t*row_pitch + k], acc)
 *     output[r][x] = acc
 *
 * Pitches and offsets count elements (of `rows`: pointers). Only elements that some tap of a written output reads are read.
 * Output rows overlap no input. */
struct simd_block {
    const void *const *rows;
    size_t rows_pitch;
    size_t planes, row_taps, row_step, taps;
    const void *values;
    size_t plane_pitch, row_pitch;
    const ptrdiff_t *offsets; /* NULL: offsets[k] is k */
    bool accumulate;
    void *const *output;
    size_t output_rows; /* any number; best a multiple of the set's block_rows */
    size_t count; /* elements of a row */
    bool stream; /* a hint, heeded where taps pass along one row: the output need not stay in caches */
};

/* What a pass over values tells; `scan` routines add to what is there. */
struct simd_facts {
    double largest; /* the largest finite absolute value */
    bool fractional; /* a finite value that is no integer */
    bool nonfinite; /* a NaN or an infinity */
};

/* Rows of the output under a dense kernel: the chains of struct simd_block with a row_step of 1, taps that are neighbours and
 * no output to go on from, for rows with ends. Output row r, element x reads for plane p and tap (t, k) the input x + k of row
 * i = p*rows_pitch + r + t. Input n is
 *
 *     left[i][n]                       where n < inside_first, which is below `taps`,
 *     rows[i][n - inside_first]        up to inside_end,
 *     right[i][n - inside_end]         from there on. */
struct simd_strips {
    const void *const *rows, *const *left, *const *right;
    size_t rows_pitch, planes, row_taps, taps;
    const void *values; /* planes * row_taps * taps, one after another */
    void *const *output;
    size_t output_rows, count; /* rows up to SIMD_STRIP_ROWS_MAX */
    size_t inside_first, inside_end; /* the latter at most the count of inputs, count + taps - 1 */
    bool stream; /* nobody will read the output soon: it need not stay in caches; stream_end must follow */
    bool bands; /* some rows at a time along all columns, not some columns down all rows: of 3 rows of 3 taps */
    struct simd_facts *facts; /* NULL, or adds what the inputs of the plane tell */
    size_t facts_plane, facts_rows; /* rows of it to look at, no fewer than those of outputs; more may be */
};
enum { SIMD_STRIP_ROWS_MAX = 64, SIMD_STRIP_TAPS_MAX = 16 };

/* Some output rows, each a chain of multiply-adds over all channels and taps, on the same places of the input: the output
 * channels of a layer. Row r, place x, b the block r / SIMD_PANEL_ROWS of rows and w how many rows that block has:
 *
 *     acc = accumulate ? output[r*output_pitch + x] : +0
 *     for c in 0 .. channels-1, t in 0 .. taps-1:
 *         acc = fma(input[c*channel_pitch + offsets[t] + x],
 *                   weights[b*block_pitch + (skipped + c*taps + t)*w + r % SIMD_PANEL_ROWS], acc)
 *     output[r*output_pitch + x] = bias ? acc + bias[r] : acc
 *
 * Everything counts elements. The output overlaps no input. Returns true only if all that is made is finite. */
struct simd_panel {
    const void *input;
    size_t channels, channel_pitch;
    const ptrdiff_t *offsets;
    size_t taps;
    const void *weights, *bias;
    size_t block_pitch, skipped;
    bool accumulate;
    void *output;
    size_t output_pitch, rows;
    size_t count, stretch; /* places of which all rows are made before the next; 0: as many as registers hold */
    bool stream; /* the output need not stay in caches; its rows begin at multiples of 64 bytes */
};
enum { SIMD_PANEL_ROWS = 8 };

/* Sums whose lanes are output channels of a layer, on neighbouring places of some rows of the input. Place x of row y, lane
 * l of W, which are the elements of `lines` times 64 bytes on every instruction set:
 *
 *     acc = accumulate ? output[(y*count + x)*W + l] : +0
 *     for c in 0 .. channels-1, t in 0 .. taps-1:
 *         acc = fma(input[c*channel_pitch + y*row_pitch + offsets[t] + x*(1 + skip)], weights[(c*taps + t)*W + l], acc)
 *     output[(y*count + x)*W + l] = bias ? acc + bias[l] : acc
 *
 * Everything counts elements. The output overlaps no input. */
struct simd_outer {
    const void *input;
    size_t channels, channel_pitch;
    const ptrdiff_t *offsets;
    size_t taps;
    const void *weights, *bias;
    size_t lines; /* best 2 */
    bool accumulate;
    void *output;
    size_t rows, row_pitch, count, skip; /* skip: 0 or 1 */
    /* Lines of 64 bytes that are brought into the second-level cache meanwhile: of as many rows as there are channels,
     * `ahead_pitch` bytes apart, the first ones, as far as there are blocks of places. */
    const void *ahead;
    size_t ahead_pitch, ahead_lines;
};

/* Sums whose lanes have nothing in common, as the channels of a depthwise layer's weight gradient. Lane l of tap t:
 *
 *     for p in 0 .. places-1:  sums[t*W + l] = fma(input[p*step + offsets[t] + l], factors[p*W + l], sums[t*W + l])
 *
 * with W lanes on every instruction set, 64 bytes. Everything counts elements. */
struct simd_lanes {
    const void *input, *factors;
    size_t places, step;
    const ptrdiff_t *offsets;
    size_t taps;
    void *sums;
};
enum { SIMD_LANES_f32 = 16, SIMD_LANES_f64 = 8 };

/* Sums over places, as the weight gradient of a layer: lanes are output channels, rows its input channels under its taps.
 * Lane l of row r:
 *
 *     acc = accumulate ? sums[r*sums_pitch + l] : +0
 *     for run in 0 .. runs-1, p in 0 .. places-1:
 *         acc = fma(input[offsets[r] + run*run_pitch + p*step], lanes[(run*places + p)*width + l], acc)
 *     sums[r*sums_pitch + l] = acc
 *
 * Everything counts elements; `width` is a multiple of 64 bytes, best of 256. The sums overlap nothing that is read. */
struct simd_cross {
    const void *input;
    const ptrdiff_t *offsets;
    size_t rows, runs, run_pitch, places, step;
    size_t ahead; /* 0, or so far behind what is read lies what will be read next */
    const void *lanes;
    size_t width;
    bool accumulate;
    void *sums;
    size_t sums_pitch;
};

/* Planes of a layer whose groups are small, from a copy of its input with the padding. Output row r, place x of filter f:
 *
 *     acc = +0
 *     for c in 0 .. channels-1, t in 0 .. taps-1:
 *         acc = fma(input[c*channel_pitch + r*input_pitch + offsets[t] + x],
 *                   weights[f*filter_pitch + c*weight_pitch + t], acc)
 *     output[f*plane_pitch + r*output_pitch + x] = bias ? acc + bias[f] : acc
 *
 * Everything counts elements. Rows are read in whole vectors of at most 64 bytes: the input has room for that. The output
 * overlaps no input. The routine returns whether all outputs are finite. */
struct simd_plane {
    const void *input;
    size_t channels, channel_pitch;
    ptrdiff_t input_pitch;
    const ptrdiff_t *offsets;
    size_t taps;
    size_t
        side; /* not 0: offsets[t*side + k] is offsets[0] + t*input_pitch + k*(offsets[1] - offsets[0]), taps side^2 */
    const void *weights, *bias;
    size_t weight_pitch, filter_pitch;
    void *output;
    ptrdiff_t output_pitch;
    size_t plane_pitch;
    size_t filters, rows, count;
};

/* A transform of `length` elements as a chain of steps, each of a radix 2, 3, 4 or 5 over blocks of `span` elements.
 * `turns` has, for each j from 1 to span/radix - 1, e^(-2 pi i j q / span) for q = 1 .. radix-1, real and imaginary part. */
enum { SIMD_FFT_STEPS_MAX = 40 };
struct simd_fft {
    size_t length;
    unsigned step_count;
    struct simd_fft_step {
        unsigned radix;
        size_t span;
        const void *turns;
    } steps[SIMD_FFT_STEPS_MAX];
};

/* The lanes of a strip, the same on every instruction set: 64 bytes. */
enum { SIMD_FFT_WIDTH_f32 = 16, SIMD_FFT_WIDTH_f64 = 8 };

/* What the values of a transform's input tell; the routine adds to what is there. `fractional` is not looked for any more
 * once it is set; where `nonfinite` is, `most` and `least` mean nothing. */
struct simd_fft_facts {
    double most, least; /* of the values and 0 */
    size_t zeros;
    bool fractional, nonfinite;
};

/* The rows of the FFT: X(result, name, parameters). They need not give the same bits on every set. Elements of a transform
 * are `pitch` apart, `count` transforms (a multiple of the width) lie side by side; a strip is [length][width].
 *   fft_forward, fft_inverse
 *   fft_filter         a strip: there, times a spectrum of a factor for every element of the strip, or (`each`) for all lanes
 *                      of an element, and back
 *   fft_twist          a strip of `count` elements, element i by coarse[i / fine_count] * fine[i % fine_count], which
 *                      are [.][re, im][width]; `inverse` by the conjugate
 *   gather_rows        makes rows lanes of a strip; scatter_rows the way back, past the caches (`stream`) where rows begin at
 *                      multiples of a vector's bytes
 *   fft_facts          looks at `rows` rows of `count` values, `pitch` apart
 *   fft_copy           likewise, and copies them
 *   fft_cut            rows likewise: out = in where that is above `least`, else `least`
 *   fft_spectrum       `count` elements of a strip of doubles times `scale`, the lanes of an element side by side and elements
 *                      `pitch` apart; returns the largest |element|^2 before that */
#define FOR_EACH_FFT_ROUTINE_OF(X, type, bits)                                                                         \
    X(void, fft_forward_##bits, (const struct simd_fft *fft, type *re, type *im, size_t pitch, size_t count))          \
    X(void, fft_inverse_##bits, (const struct simd_fft *fft, type *re, type *im, size_t pitch, size_t count))          \
    X(void, fft_filter_##bits,                                                                                         \
      (const struct simd_fft *fft, type *re, type *im, const type *by_re, const type *by_im, bool each))               \
    X(void, fft_twist_##bits,                                                                                          \
      (type * re, type * im, const type *coarse, const type *fine, size_t fine_count, size_t count, bool inverse))     \
    X(void, gather_rows_##bits, (type * strip, const type *const *rows, size_t count))                                 \
    X(void, scatter_rows_##bits, (type *const *rows, const type *strip, size_t count, bool stream))                    \
    X(void, fft_facts_##bits,                                                                                          \
      (struct simd_fft_facts * facts, const type *values, size_t pitch, size_t rows, size_t count))                    \
    X(void, fft_copy_##bits,                                                                                           \
      (struct simd_fft_facts * facts, type * out, size_t out_pitch, const type *values, size_t pitch, size_t rows,     \
       size_t count))                                                                                                  \
    X(void, fft_cut_##bits,                                                                                            \
      (type * out, size_t out_pitch, const type *in, size_t in_pitch, type least, size_t rows, size_t count))          \
    X(double, fft_spectrum_##bits,                                                                                     \
      (type * re, type * im, size_t pitch, const double *from_re, const double *from_im, size_t count, double scale))
#define FOR_EACH_FFT_ROUTINE(X) FOR_EACH_FFT_ROUTINE_OF(X, float, f32) FOR_EACH_FFT_ROUTINE_OF(X, double, f64)

/* The rows of Winograd's F(m, 3), m of 2 or 4 and n of m + 2. Not fused, so alike on every set. `count` tiles side by side
 * are made in whole vectors of at most 64 bytes: what is read, and what winograd_output writes, has room for that.
 *   winograd_input    out[(i*n + j)*out_pitch + t] from the cells in[i*row_pitch + j % m * phase_pitch + t + j / m]
 *   winograd_output   out[i*row_pitch + j*phase_pitch + t], i and j below m, from in[(i*n + j)*in_pitch + t]
 *   winograd_weights  out[(i*n + j)*out_pitch + r] from taps[k*width + r], 9 taps (backwards where `flip`) of `width` rows
 * And transposed, lanes being channels, of which a line is 64 bytes of them:
 *   winograd_cells    out[(i*n + j)*out_pitch + t*step + l] from the cells in[i*row_pitch + (t*m + j)*line + l] of `count` tiles
 *   winograd_tiles    likewise from gradients, i and j below m there
 *   winograd_taps     9 taps out[k*out_pitch + l] from in[(i*n + j)*in_pitch + l]; l below `count`, a multiple of a line */
#define FOR_EACH_WINOGRAD_ROUTINE_OF(X, type, bits)                                                                    \
    X(void, winograd_input_##bits,                                                                                     \
      (unsigned m, type *out, size_t out_pitch, const type *in, size_t row_pitch, size_t phase_pitch, size_t count))   \
    X(void, winograd_output_##bits,                                                                                    \
      (unsigned m, type *out, size_t row_pitch, size_t phase_pitch, const type *in, size_t in_pitch, size_t count))    \
    X(void, winograd_weights_##bits,                                                                                   \
      (unsigned m, type *out, size_t out_pitch, const type *taps, size_t width, bool flip))                            \
    X(void, winograd_cells_##bits,                                                                                     \
      (unsigned m, type *out, size_t out_pitch, size_t step, const type *in, size_t row_pitch, size_t count))          \
    X(void, winograd_tiles_##bits,                                                                                     \
      (unsigned m, type *out, size_t out_pitch, size_t step, const type *in, size_t row_pitch, size_t count))          \
    X(void, winograd_taps_##bits,                                                                                      \
      (unsigned m, type *out, size_t out_pitch, const type *in, size_t in_pitch, size_t count))
#define FOR_EACH_WINOGRAD_ROUTINE(X)                                                                                   \
    FOR_EACH_WINOGRAD_ROUTINE_OF(X, float, f32) FOR_EACH_WINOGRAD_ROUTINE_OF(X, double, f64)

/* X(result, name, parameters) */
#define FOR_EACH_ROUTINE(X)                                                                                             \
    /* see struct simd_panel; u64 wraps around */                                                                       \
    X(bool, panel_f32, (const struct simd_panel *panel))                                                                \
    X(bool, panel_f64, (const struct simd_panel *panel))                                                                \
    X(bool, panel_u64, (const struct simd_panel *panel))                                                                \
    /* see struct simd_outer */                                                                                         \
    X(void, outer_f32, (const struct simd_outer *outer))                                                                \
    X(void, outer_f64, (const struct simd_outer *outer))                                                                \
    /* see struct simd_lanes */                                                                                         \
    X(void, lanes_f32, (const struct simd_lanes *lanes))                                                                \
    X(void, lanes_f64, (const struct simd_lanes *lanes))                                                                \
    /* see struct simd_cross */                                                                                         \
    X(void, cross_f32, (const struct simd_cross *cross))                                                                \
    X(void, cross_f64, (const struct simd_cross *cross))                                                                \
    /* see struct simd_plane */                                                                                         \
    X(bool, plane_f32, (const struct simd_plane *plane))                                                                \
    X(bool, plane_f64, (const struct simd_plane *plane))                                                                \
    /* copies rows of `count` values and looks at them as scan does; with `odd` each second value goes there */         \
    X(void, plane_copy_f32,                                                                                             \
      (struct simd_facts * facts, float *out, float *odd, size_t out_pitch, const float *in, size_t in_pitch,           \
       size_t rows, size_t count))                                                                                      \
    X(void, plane_copy_f64,                                                                                             \
      (struct simd_facts * facts, double *out, double *odd, size_t out_pitch, const double *in, size_t in_pitch,        \
       size_t rows, size_t count))                                                                                      \
    /* see struct simd_block; u64 wraps around */                                                                       \
    X(void, block_f32, (const struct simd_block *block))                                                                \
    X(void, block_f64, (const struct simd_block *block))                                                                \
    X(void, block_u64, (const struct simd_block *block))                                                                \
    X(void, strips_f32, (const struct simd_strips *strips))                                                             \
    X(void, strips_f64, (const struct simd_strips *strips))                                                             \
    /* makes what strips have stored past the caches seen by other threads before whatever follows */                   \
    X(void, stream_end, (void))                                                                                         \
    X(void, scan_f32, (struct simd_facts * facts, const float *values, size_t count))                                   \
    X(void, scan_f64, (struct simd_facts * facts, const double *values, size_t count))                                  \
    /* whether every value is finite */                                                                                 \
    X(bool, finite_f32, (const float *values, size_t count))                                                            \
    X(bool, finite_f64, (const double *values, size_t count))                                                           \
    /* the largest absolute value: 2^63 for the least int64 */                                                          \
    X(uint64_t, largest_i64, (const int64_t *values, size_t count))                                                     \
    /* out[phase*pitch + i] = in[i*phases + phase] wherever that is below count; values of 4 or 8 bytes; 2 <= phases */ \
    X(void, split_u32, (void *out, size_t pitch, const void *in, size_t count, size_t phases))                          \
    X(void, split_u64, (void *out, size_t pitch, const void *in, size_t count, size_t phases))                          \
    /* the way back: out[i*phases + phase] = in[phase*pitch + i] wherever that is below count */                        \
    X(void, merge_u32, (void *out, const void *in, size_t pitch, size_t count, size_t phases))                          \
    X(void, merge_u64, (void *out, const void *in, size_t pitch, size_t count, size_t phases))                          \
    /* out[i*step] = in[i]; values of 4 or 8 bytes */                                                                   \
    X(void, spread_u32, (void *out, size_t step, const void *in, size_t count))                                         \
    X(void, spread_u64, (void *out, size_t step, const void *in, size_t count))                                         \
    /* out[row*out_pitch + i] = in[row*in_pitch + i - before] for `count` i from `before` on; around them, zeros */     \
    X(void, pad_u32,                                                                                                    \
      (void *out, size_t out_pitch, const void *in, size_t in_pitch, size_t rows, size_t before, size_t count,          \
       size_t after))                                                                                                   \
    X(void, pad_u64,                                                                                                    \
      (void *out, size_t out_pitch, const void *in, size_t in_pitch, size_t rows, size_t before, size_t count,          \
       size_t after))                                                                                                   \
    /* out[column*out_pitch + row] = in[row*in_pitch + column]; values of 4 or 8 bytes */                               \
    X(void, transpose_u32,                                                                                              \
      (void *out, size_t out_pitch, const void *in, size_t in_pitch, size_t rows, size_t columns))                      \
    X(void, transpose_u64,                                                                                              \
      (void *out, size_t out_pitch, const void *in, size_t in_pitch, size_t rows, size_t columns))                      \
    /* complex numbers times the imaginary unit: (re, im) becomes (-im, re); `count` numbers */                         \
    X(void, turn_f32, (float *out, const float *in, size_t count))                                                      \
    X(void, turn_f64, (double *out, const double *in, size_t count))

struct simd_routines {
    const char *name; /* "scalar", "avx2", ... */
    unsigned block_rows_f32, block_rows_f64, block_rows_u64; /* the rows a block holds at best */
    uint32_t strip_kernels; /* bit n: strips are better than blocks for kernels of n rows */
#define SIMD_MEMBER(result, name, parameters) result(*name) parameters;
    FOR_EACH_ROUTINE(SIMD_MEMBER)
    FOR_EACH_FFT_ROUTINE(SIMD_MEMBER)
    FOR_EACH_WINOGRAD_ROUTINE(SIMD_MEMBER)
#undef SIMD_MEMBER
};

/* Worst first. The bits are in the order of the rows. */
#ifdef HAVE_ISA_scalar
#define SIMD_WITH_scalar(X) X(scalar)
#else
#define SIMD_WITH_scalar(X)
#endif
#ifdef HAVE_ISA_avx2
#define SIMD_WITH_avx2(X) X(avx2)
#else
#define SIMD_WITH_avx2(X)
#endif
#ifdef HAVE_ISA_avx512
#define SIMD_WITH_avx512(X) X(avx512)
#else
#define SIMD_WITH_avx512(X)
#endif
#ifdef HAVE_ISA_neon
#define SIMD_WITH_neon(X) X(neon)
#else
#define SIMD_WITH_neon(X)
#endif
#define FOR_EACH_ISA(X) SIMD_WITH_scalar(X) SIMD_WITH_avx2(X) SIMD_WITH_avx512(X) SIMD_WITH_neon(X)

#define SIMD_PROTOTYPES(isa) void simd_fill_##isa(struct simd_routines *table);
FOR_EACH_ISA(SIMD_PROTOTYPES)
#undef SIMD_PROTOTYPES

/* The set in use. */
const struct simd_routines *simd_routines(void);

/* The sets this CPU has, worst first; NULL from the end on. For tests. */
const struct simd_routines *simd_routines_at(size_t index);

#ifdef ISA
#define SIMD_PASTE(name, isa)                  name##_##isa
#define SIMD_EXPAND(name, isa)                 SIMD_PASTE(name, isa)
#define ROUTINE(name)                          SIMD_EXPAND(simd_##name, ISA)
#define SIMD_DECLARE(result, name, parameters) result ROUTINE(name) parameters;
FOR_EACH_ROUTINE(SIMD_DECLARE)
FOR_EACH_FFT_ROUTINE(SIMD_DECLARE)
FOR_EACH_WINOGRAD_ROUTINE(SIMD_DECLARE)
#undef SIMD_DECLARE
extern const unsigned ROUTINE(block_rows_f32), ROUTINE(block_rows_f64), ROUTINE(block_rows_u64);
extern const uint32_t ROUTINE(strip_kernels);
#endif

#endif
