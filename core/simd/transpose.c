/* SPDX-License-Identifier: MIT */
/* Rows become columns: squares of as many rows as a vector has lanes, in log2(lanes) rounds of shuffles; what is left at the
 * edges in narrower loads and stores. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#if VEC_BYTES == 64
#define EACH_u32(F, s)                                                                                                 \
    F(0, s), F(1, s), F(2, s), F(3, s), F(4, s), F(5, s), F(6, s), F(7, s), F(8, s), F(9, s), F(10, s), F(11, s),      \
        F(12, s), F(13, s), F(14, s), F(15, s)
#define EACH_u64(F, s) F(0, s), F(1, s), F(2, s), F(3, s), F(4, s), F(5, s), F(6, s), F(7, s)
#elif VEC_BYTES == 32
#define EACH_u32(F, s) F(0, s), F(1, s), F(2, s), F(3, s), F(4, s), F(5, s), F(6, s), F(7, s)
#define EACH_u64(F, s) F(0, s), F(1, s), F(2, s), F(3, s)
#elif VEC_BYTES == 16
#define EACH_u32(F, s) F(0, s), F(1, s), F(2, s), F(3, s)
#define EACH_u64(F, s) F(0, s), F(1, s)
#endif

#ifdef VEC_SCALAR
#define SQUARE_u32(v) (void)(v)
#define SQUARE_u64(v) (void)(v)
#else
#ifdef __clang__
#define SHUFFLE(suffix, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(suffix, a, b, ...) __builtin_shuffle(a, b, (vec_##suffix){__VA_ARGS__})
#endif
/* In the round of step s, rows s apart swap the lanes whose number has the bit s. LANES is that of the vectors at hand. */
#define LOW(i, s)  ((i) & (s) ? LANES + (i) - (s) : (i))
#define HIGH(i, s) ((i) & (s) ? LANES + (i) : (i) + (s))
#define ROUND(suffix, v, s)                                                                                            \
    if ((s) < LANES) {                                                                                                 \
        _Pragma("GCC unroll 16") for (unsigned r = 0; r < LANES; r++) if (!(r & (s)))                                  \
        {                                                                                                              \
            const vec_##suffix a = (v)[r], b = (v)[r + (s)];                                                           \
            (v)[r] = SHUFFLE(suffix, a, b, EACH_##suffix(LOW, (s) < LANES ? (s) : 1));                                 \
            (v)[r + (s)] = SHUFFLE(suffix, a, b, EACH_##suffix(HIGH, (s) < LANES ? (s) : 1));                          \
        }                                                                                                              \
    }
#define SQUARE(suffix, v) ROUND(suffix, v, 8) ROUND(suffix, v, 4) ROUND(suffix, v, 2) ROUND(suffix, v, 1)
#define SQUARE_u32(v)     SQUARE(u32, v)
#define SQUARE_u64(v)     SQUARE(u64, v)
#endif

/* A square of `rows` by `columns` at most; whole where both are 0. */
#define DEFINE_TRANSPOSE(type, suffix)                                                                                 \
    VEC_INLINE void move_square_##suffix(type *out, size_t out_pitch, const type *in, size_t in_pitch, size_t rows,    \
                                         size_t columns)                                                               \
    {                                                                                                                  \
        enum { LANES = LANES_##suffix };                                                                               \
        vec_##suffix v[LANES];                                                                                         \
        _Pragma("GCC unroll 16") for (size_t r = 0; r < LANES; r++)                                                    \
        {                                                                                                              \
            if (rows && r >= rows)                                                                                     \
                v[r] = all_##suffix(0);                                                                                \
            else                                                                                                       \
                v[r] = columns ? load_part_##suffix(in + r * in_pitch, columns) : load_##suffix(in + r * in_pitch);    \
        }                                                                                                              \
        SQUARE_##suffix(v);                                                                                            \
        _Pragma("GCC unroll 16") for (size_t r = 0; r < LANES; r++)                                                    \
        {                                                                                                              \
            if (columns && r >= columns)                                                                               \
                break;                                                                                                 \
            if (rows)                                                                                                  \
                store_part_##suffix(out + r * out_pitch, v[r], rows);                                                  \
            else                                                                                                       \
                store_##suffix(out + r * out_pitch, v[r]);                                                             \
        }                                                                                                              \
    }                                                                                                                  \
    /* On its own, since addresses of every row that go on from square to square are too many for the registers. */    \
    static __attribute__((noinline)) void move_whole_##suffix(type *out, size_t out_pitch, const type *in,             \
                                                              size_t in_pitch)                                         \
    {                                                                                                                  \
        move_square_##suffix(out, out_pitch, in, in_pitch, 0, 0);                                                      \
    }                                                                                                                  \
    static __attribute__((noinline)) void move_edge_##suffix(type *out, size_t out_pitch, const type *in,              \
                                                             size_t in_pitch, size_t rows, size_t columns)             \
    {                                                                                                                  \
        move_square_##suffix(out, out_pitch, in, in_pitch, rows, columns);                                             \
    }                                                                                                                  \
    void ROUTINE(transpose_##suffix)(void *out, size_t out_pitch, const void *in, size_t in_pitch, size_t rows,        \
                                     size_t columns)                                                                   \
    {                                                                                                                  \
        enum { LANES = LANES_##suffix };                                                                               \
        for (size_t r = 0; r < rows; r += LANES) {                                                                     \
            const size_t high = rows - r < LANES ? rows - r : 0;                                                       \
            for (size_t c = 0; c < columns; c += LANES) {                                                              \
                const size_t wide = columns - c < LANES ? columns - c : 0;                                             \
                type *const to = (type *)out + c * out_pitch + r;                                                      \
                const type *const from = (const type *)in + r * in_pitch + c;                                          \
                if (high || wide)                                                                                      \
                    move_edge_##suffix(to, out_pitch, from, in_pitch, high, wide);                                     \
                else                                                                                                   \
                    move_whole_##suffix(to, out_pitch, from, in_pitch);                                                \
            }                                                                                                          \
        }                                                                                                              \
    }
/* What is moved may be floats of that size; the loads and stores alias. */
DEFINE_TRANSPOSE(uint32_t, u32)
DEFINE_TRANSPOSE(uint64_t, u64)
