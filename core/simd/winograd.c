/* SPDX-License-Identifier: MIT */
/* The transforms of Winograd's F(m x m, 3 x 3) for m of 2 and 4 (S. Winograd, 1980; A. Lavin and S. Gray, "Fast Algorithms
 * for Convolutional Neural Networks", 2015: points 0, 1, -1 and, for m of 4, 2, -2). Along one axis m outputs are
 *
 *     A^T ((G taps) * (B^T cells))          m+2 cells, the product element by element
 *
 * and along two the transforms are applied to columns, then rows. Lanes are tiles (of the weights: rows), so nothing depends
 * on their number. No step is fused: the error bound (layer_winograd.c) counts roundings as they are written here. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define UNROLL _Pragma("GCC unroll 16")

enum { TILE_MOST = 6 };

#define DEFINE_WINOGRAD(type, suffix)                                                                                  \
    /* B^T: cells of a tile; neighbours are `step` apart in both. */                                                   \
    VEC_INLINE void cells_##suffix(vec_##suffix *out, const vec_##suffix *d, const int step, const int m)              \
    {                                                                                                                  \
        const vec_##suffix two = all_##suffix(2), four = all_##suffix(4), five = all_##suffix(5);                      \
        if (m == 2) {                                                                                                  \
            out[0] = d[0] - d[2 * step];                                                                               \
            out[step] = d[step] + d[2 * step];                                                                         \
            out[2 * step] = d[2 * step] - d[step];                                                                     \
            out[3 * step] = d[step] - d[3 * step];                                                                     \
            return;                                                                                                    \
        }                                                                                                              \
        const vec_##suffix a = d[4 * step] - four * d[2 * step], b = d[3 * step] - four * d[step];                     \
        const vec_##suffix c = d[4 * step] - d[2 * step], e = two * (d[3 * step] - d[step]);                           \
        out[0] = (four * d[0] - five * d[2 * step]) + d[4 * step];                                                     \
        out[step] = a + b;                                                                                             \
        out[2 * step] = a - b;                                                                                         \
        out[3 * step] = c + e;                                                                                         \
        out[4 * step] = c - e;                                                                                         \
        out[5 * step] = (four * d[step] - five * d[3 * step]) + d[5 * step];                                           \
    }                                                                                                                  \
    /* A^T: from the products to the outputs. */                                                                       \
    VEC_INLINE void outputs_##suffix(vec_##suffix *out, const int out_step, const vec_##suffix *p, const int step,     \
                                     const int m)                                                                      \
    {                                                                                                                  \
        const vec_##suffix s = p[step] + p[2 * step], d = p[step] - p[2 * step];                                       \
        if (m == 2) {                                                                                                  \
            out[0] = p[0] + s;                                                                                         \
            out[out_step] = d - p[3 * step];                                                                           \
            return;                                                                                                    \
        }                                                                                                              \
        const vec_##suffix t = p[3 * step] + p[4 * step], e = p[3 * step] - p[4 * step];                               \
        out[0] = (p[0] + s) + t;                                                                                       \
        out[out_step] = d + all_##suffix(2) * e;                                                                       \
        out[2 * out_step] = s + all_##suffix(4) * t;                                                                   \
        out[3 * out_step] = (d + all_##suffix(8) * e) + p[5 * step];                                                   \
    }                                                                                                                  \
    VEC_INLINE void input_##suffix(type *out, size_t out_pitch, const type *in, size_t row_pitch, size_t phase_pitch,  \
                                   size_t count, const int m)                                                          \
    {                                                                                                                  \
        enum { N = TILE_MOST };                                                                                        \
        for (size_t t = 0; t < count; t += LANES_##suffix) {                                                           \
            const size_t part = count - t < LANES_##suffix ? count - t : 0;                                            \
            vec_##suffix d[N * N], e[N * N], f[N * N];                                                                 \
            UNROLL for (int i = 0; i < m + 2; i++)                                                                     \
            {                                                                                                          \
                UNROLL for (int j = 0; j < m + 2; j++) d[i * N + j] =                                                  \
                    load_##suffix(in + (size_t)i * row_pitch + (size_t)(j % m) * phase_pitch + t + (size_t)(j / m));   \
            }                                                                                                          \
            UNROLL for (int j = 0; j < m + 2; j++) cells_##suffix(e + j, d + j, N, m);                                 \
            UNROLL for (int i = 0; i < m + 2; i++)                                                                     \
            {                                                                                                          \
                cells_##suffix(f + i * N, e + i * N, 1, m);                                                            \
                UNROLL for (int j = 0; j < m + 2; j++)                                                                 \
                {                                                                                                      \
                    type *const to = out + (size_t)(i * (m + 2) + j) * out_pitch + t;                                  \
                    if (part)                                                                                          \
                        store_part_##suffix(to, f[i * N + j], part);                                                   \
                    else                                                                                               \
                        store_##suffix(to, f[i * N + j]);                                                              \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    VEC_INLINE void output_##suffix(type *out, size_t row_pitch, size_t phase_pitch, const type *in, size_t in_pitch,  \
                                    size_t count, const int m)                                                         \
    {                                                                                                                  \
        enum { N = TILE_MOST };                                                                                        \
        for (size_t t = 0; t < count; t += LANES_##suffix) {                                                           \
            vec_##suffix p[N * N], e[N * N], y[N];                                                                     \
            UNROLL for (int i = 0; i < (m + 2) * (m + 2); i++) p[i / (m + 2) * N + i % (m + 2)] =                      \
                load_##suffix(in + (size_t)i * in_pitch + t);                                                          \
            UNROLL for (int j = 0; j < m + 2; j++) outputs_##suffix(e + j, N, p + j, N, m);                            \
            UNROLL for (int i = 0; i < m; i++)                                                                         \
            {                                                                                                          \
                outputs_##suffix(y, 1, e + i * N, 1, m);                                                               \
                UNROLL for (int j = 0; j < m; j++)                                                                     \
                    store_##suffix(out + (size_t)i * row_pitch + (size_t)j * phase_pitch + t, y[j]);                   \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    void ROUTINE(winograd_input_##suffix)(unsigned m, type *out, size_t out_pitch, const type *in, size_t row_pitch,   \
                                          size_t phase_pitch, size_t count)                                            \
    {                                                                                                                  \
        if (m == 2)                                                                                                    \
            input_##suffix(out, out_pitch, in, row_pitch, phase_pitch, count, 2);                                      \
        else                                                                                                           \
            input_##suffix(out, out_pitch, in, row_pitch, phase_pitch, count, 4);                                      \
    }                                                                                                                  \
    void ROUTINE(winograd_output_##suffix)(unsigned m, type *out, size_t row_pitch, size_t phase_pitch,                \
                                           const type *in, size_t in_pitch, size_t count)                              \
    {                                                                                                                  \
        if (m == 2)                                                                                                    \
            output_##suffix(out, row_pitch, phase_pitch, in, in_pitch, count, 2);                                      \
        else                                                                                                           \
            output_##suffix(out, row_pitch, phase_pitch, in, in_pitch, count, 4);                                      \
    }                                                                                                                  \
    /* G: the taps of some rows. */                                                                                    \
    VEC_INLINE void taps_##suffix(vec_##suffix *out, const vec_##suffix *g, const int step, const int m)               \
    {                                                                                                                  \
        const vec_##suffix ends = g[0] + g[2 * step];                                                                  \
        if (m == 2) {                                                                                                  \
            out[0] = g[0];                                                                                             \
            out[step] = (ends + g[step]) * all_##suffix((type)0.5);                                                    \
            out[2 * step] = (ends - g[step]) * all_##suffix((type)0.5);                                                \
            out[3 * step] = g[2 * step];                                                                               \
            return;                                                                                                    \
        }                                                                                                              \
        const vec_##suffix a = g[0] * all_##suffix((type)(1.0 / 24)) + g[2 * step] * all_##suffix((type)(1.0 / 6));    \
        const vec_##suffix b = g[step] * all_##suffix((type)(1.0 / 12));                                               \
        out[0] = g[0] * all_##suffix((type)0.25);                                                                      \
        out[step] = (ends + g[step]) * all_##suffix((type)(-1.0 / 6));                                                 \
        out[2 * step] = (ends - g[step]) * all_##suffix((type)(-1.0 / 6));                                             \
        out[3 * step] = a + b;                                                                                         \
        out[4 * step] = a - b;                                                                                         \
        out[5 * step] = g[2 * step];                                                                                   \
    }                                                                                                                  \
    VEC_INLINE void weights_##suffix(type *out, size_t out_pitch, const type *taps, size_t width, bool flip,           \
                                     const int m)                                                                      \
    {                                                                                                                  \
        enum { N = TILE_MOST };                                                                                        \
        for (size_t r = 0; r < width; r += LANES_##suffix) {                                                           \
            const size_t part = width - r < LANES_##suffix ? width - r : 0;                                            \
            vec_##suffix g[N * 3], e[N * N], u[N];                                                                     \
            UNROLL for (int k = 0; k < 9; k++)                                                                         \
            {                                                                                                          \
                const type *const from = taps + (size_t)(flip ? 8 - k : k) * width + r;                                \
                g[k] = part ? load_part_##suffix(from, part) : load_##suffix(from);                                    \
            }                                                                                                          \
            UNROLL for (int j = 0; j < 3; j++) taps_##suffix(e + j, g + j, 3, m);                                      \
            UNROLL for (int i = 0; i < m + 2; i++)                                                                     \
            {                                                                                                          \
                taps_##suffix(u, e + i * 3, 1, m);                                                                     \
                UNROLL for (int j = 0; j < m + 2; j++)                                                                 \
                {                                                                                                      \
                    type *const to = out + (size_t)(i * (m + 2) + j) * out_pitch + r;                                  \
                    if (part)                                                                                          \
                        store_part_##suffix(to, u[j], part);                                                           \
                    else                                                                                               \
                        store_##suffix(to, u[j]);                                                                      \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    void ROUTINE(winograd_weights_##suffix)(unsigned m, type *out, size_t out_pitch, const type *taps, size_t width,   \
                                            bool flip)                                                                 \
    {                                                                                                                  \
        if (m == 2)                                                                                                    \
            weights_##suffix(out, out_pitch, taps, width, flip, 2);                                                    \
        else                                                                                                           \
            weights_##suffix(out, out_pitch, taps, width, flip, 4);                                                    \
    }
/* The same with channels as lanes, one line of 64 bytes of them, and transposed, for gradients of the weight. */
#define DEFINE_WINOGRAD_WEIGHT(type, suffix)                                                                           \
    /* A: from gradients, as if from outputs back to the products. */                                                  \
    VEC_INLINE void spread_##suffix(vec_##suffix *out, const int out_step, const vec_##suffix *g, const int step,      \
                                    const int m)                                                                       \
    {                                                                                                                  \
        out[0] = g[0];                                                                                                 \
        if (m == 2) {                                                                                                  \
            out[out_step] = g[0] + g[step];                                                                            \
            out[2 * out_step] = g[0] - g[step];                                                                        \
            out[3 * out_step] = -g[step];                                                                              \
            return;                                                                                                    \
        }                                                                                                              \
        const vec_##suffix a = g[0] + g[2 * step], b = g[step] + g[3 * step];                                          \
        const vec_##suffix c = g[0] + all_##suffix(4) * g[2 * step],                                                   \
                           d = all_##suffix(2) * g[step] + all_##suffix(8) * g[3 * step];                              \
        out[out_step] = a + b;                                                                                         \
        out[2 * out_step] = a - b;                                                                                     \
        out[3 * out_step] = c + d;                                                                                     \
        out[4 * out_step] = c - d;                                                                                     \
        out[5 * out_step] = g[3 * step];                                                                               \
    }                                                                                                                  \
    /* G^T: from the products to the taps. */                                                                          \
    VEC_INLINE void gather_##suffix(vec_##suffix *out, const int out_step, const vec_##suffix *p, const int step,      \
                                    const int m)                                                                       \
    {                                                                                                                  \
        if (m == 2) {                                                                                                  \
            const vec_##suffix half = (p[step] + p[2 * step]) * all_##suffix((type)0.5);                               \
            out[0] = p[0] + half;                                                                                      \
            out[out_step] = (p[step] - p[2 * step]) * all_##suffix((type)0.5);                                         \
            out[2 * out_step] = half + p[3 * step];                                                                    \
            return;                                                                                                    \
        }                                                                                                              \
        const vec_##suffix sixth = all_##suffix((type)(1.0 / 6));                                                      \
        const vec_##suffix s = (p[step] + p[2 * step]) * sixth, t = p[3 * step] + p[4 * step];                         \
        out[0] = (p[0] * all_##suffix((type)0.25) - s) + t * all_##suffix((type)(1.0 / 24));                           \
        out[out_step] =                                                                                                \
            (p[2 * step] - p[step]) * sixth + (p[3 * step] - p[4 * step]) * all_##suffix((type)(1.0 / 12));            \
        out[2 * out_step] = (t * sixth - s) + p[5 * step];                                                             \
    }                                                                                                                  \
    /* Of tiles side by side, from `side` cells each way. */                                                           \
    VEC_INLINE void tiles_##suffix(type *out, size_t out_pitch, size_t step, const type *in, size_t row_pitch,         \
                                   size_t count, const int m, const int side)                                          \
    {                                                                                                                  \
        enum { N = TILE_MOST, LINE = 64 / sizeof(type) };                                                              \
        for (size_t t = 0; t < count; t++, in += (size_t)m * LINE, out += step)                                        \
            for (size_t lane = 0; lane < LINE; lane += LANES_##suffix) {                                               \
                vec_##suffix e[N * N];                                                                                 \
                UNROLL for (int j = 0; j < side; j++)                                                                  \
                {                                                                                                      \
                    vec_##suffix d[N], c[N];                                                                           \
                    UNROLL for (int i = 0; i < side; i++) d[i] =                                                       \
                        load_##suffix(in + (size_t)i * row_pitch + (size_t)j * LINE + lane);                           \
                    if (side == m)                                                                                     \
                        spread_##suffix(c, 1, d, 1, m);                                                                \
                    else                                                                                               \
                        cells_##suffix(c, d, 1, m);                                                                    \
                    UNROLL for (int i = 0; i < m + 2; i++) e[i * N + j] = c[i];                                        \
                }                                                                                                      \
                UNROLL for (int i = 0; i < m + 2; i++)                                                                 \
                {                                                                                                      \
                    vec_##suffix f[N];                                                                                 \
                    if (side == m)                                                                                     \
                        spread_##suffix(f, 1, e + i * N, 1, m);                                                        \
                    else                                                                                               \
                        cells_##suffix(f, e + i * N, 1, m);                                                            \
                    UNROLL for (int j = 0; j < m + 2; j++)                                                             \
                        store_##suffix(out + (size_t)(i * (m + 2) + j) * out_pitch + lane, f[j]);                      \
                }                                                                                                      \
            }                                                                                                          \
    }                                                                                                                  \
    VEC_INLINE void taps_of_##suffix(type *out, size_t out_pitch, const type *in, size_t in_pitch, size_t count,       \
                                     const int m)                                                                      \
    {                                                                                                                  \
        enum { N = TILE_MOST };                                                                                        \
        for (size_t lane = 0; lane < count; lane += LANES_##suffix) {                                                  \
            vec_##suffix e[3 * N];                                                                                     \
            UNROLL for (int j = 0; j < m + 2; j++)                                                                     \
            {                                                                                                          \
                vec_##suffix p[N];                                                                                     \
                UNROLL for (int i = 0; i < m + 2; i++) p[i] =                                                          \
                    load_##suffix(in + (size_t)(i * (m + 2) + j) * in_pitch + lane);                                   \
                gather_##suffix(e + j, N, p, 1, m);                                                                    \
            }                                                                                                          \
            UNROLL for (int i = 0; i < 3; i++)                                                                         \
            {                                                                                                          \
                vec_##suffix taps[3];                                                                                  \
                gather_##suffix(taps, 1, e + i * N, 1, m);                                                             \
                UNROLL for (int j = 0; j < 3; j++)                                                                     \
                    store_##suffix(out + (size_t)(i * 3 + j) * out_pitch + lane, taps[j]);                             \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    void ROUTINE(winograd_cells_##suffix)(unsigned m, type *out, size_t out_pitch, size_t step, const type *in,        \
                                          size_t row_pitch, size_t count)                                              \
    {                                                                                                                  \
        if (m == 2)                                                                                                    \
            tiles_##suffix(out, out_pitch, step, in, row_pitch, count, 2, 4);                                          \
        else                                                                                                           \
            tiles_##suffix(out, out_pitch, step, in, row_pitch, count, 4, 6);                                          \
    }                                                                                                                  \
    void ROUTINE(winograd_tiles_##suffix)(unsigned m, type *out, size_t out_pitch, size_t step, const type *in,        \
                                          size_t row_pitch, size_t count)                                              \
    {                                                                                                                  \
        if (m == 2)                                                                                                    \
            tiles_##suffix(out, out_pitch, step, in, row_pitch, count, 2, 2);                                          \
        else                                                                                                           \
            tiles_##suffix(out, out_pitch, step, in, row_pitch, count, 4, 4);                                          \
    }                                                                                                                  \
    void ROUTINE(winograd_taps_##suffix)(unsigned m, type *out, size_t out_pitch, const type *in, size_t in_pitch,     \
                                         size_t count)                                                                 \
    {                                                                                                                  \
        if (m == 2)                                                                                                    \
            taps_of_##suffix(out, out_pitch, in, in_pitch, count, 2);                                                  \
        else                                                                                                           \
            taps_of_##suffix(out, out_pitch, in, in_pitch, count, 4);                                                  \
    }
DEFINE_WINOGRAD(float, f32)
DEFINE_WINOGRAD(double, f64)
DEFINE_WINOGRAD_WEIGHT(float, f32)
DEFINE_WINOGRAD_WEIGHT(double, f64)
