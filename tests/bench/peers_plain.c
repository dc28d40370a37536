/* SPDX-License-Identifier: MIT */
/* A floor for peers_bench.py: the loop that one writes, tap by tap over rows of the output, which compilers turn into vector
 * code. Built with -O3 -march=native and free to fuse. */
#include "tests/bench/peers.h"

#include <string.h>

/* The part of 0 .. n-1 where o + shift lies in 0 .. n-1. */
static void clip(size_t n, ptrdiff_t shift, size_t *begin, size_t *end)
{
    *begin = shift < 0 ? (size_t)-shift : 0;
    *end = shift > 0 ? n - (size_t)shift : n;
    *begin = *begin > n ? n : *begin;
    *end = (ptrdiff_t)n < shift ? 0 : *end;
}

#define PLAIN(type, name)                                                                                              \
    static void name(const type *restrict x, const type *restrict k, type *restrict out, const size_t *n,              \
                     const size_t *m)                                                                                  \
    {                                                                                                                  \
        for (size_t z = 0; z < n[0]; z++)                                                                              \
            for (size_t y = 0; y < n[1]; y++) {                                                                        \
                type *restrict row = out + (z * n[1] + y) * n[2];                                                      \
                memset(row, 0, n[2] * sizeof(type));                                                                   \
                for (size_t a = 0; a < m[0]; a++)                                                                      \
                    for (size_t b = 0; b < m[1]; b++) {                                                                \
                        const size_t i = z + (m[0] - 1) / 2 - a, j = y + (m[1] - 1) / 2 - b;                           \
                        if (i >= n[0] || j >= n[1])                                                                    \
                            continue;                                                                                  \
                        for (size_t c = 0; c < m[2]; c++) {                                                            \
                            const ptrdiff_t shift = (ptrdiff_t)((m[2] - 1) / 2) - (ptrdiff_t)c;                        \
                            const type tap = k[(a * m[1] + b) * m[2] + c];                                             \
                            const type *restrict from = x + (i * n[1] + j) * n[2];                                     \
                            size_t begin, end;                                                                         \
                            clip(n[2], shift, &begin, &end);                                                           \
                            for (size_t o = begin; o < end; o++)                                                       \
                                row[o] += from[(ptrdiff_t)o + shift] * tap;                                            \
                        }                                                                                              \
                    }                                                                                                  \
            }                                                                                                          \
    }
PLAIN(float, plain_f32)
PLAIN(double, plain_f64)

void bench_plain_run(const void *input, const void *kernel, void *output, const size_t *n, const size_t *m, bool f64)
{
    if (f64)
        plain_f64(input, kernel, output, n, m);
    else
        plain_f32(input, kernel, output, n, m);
}
