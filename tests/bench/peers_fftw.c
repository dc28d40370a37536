/* SPDX-License-Identifier: MIT */
/* A floor for peers_bench.py: overlap-save with FFTW, as one writes it in an afternoon. Blocks of one length per axis are cut
 * out with zeros outside, transformed, multiplied, transformed back; of each what is not wrapped around is kept. */
#include "tests/bench/peers.h"

#ifdef HAVE_FFTW

#include <fftw3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One length of blocks, planned. */
struct blocks {
    size_t length[3], padded; /* padded: a row in place, with room for its transform */
    double *values, *kernel; /* of either type */
    void *forward, *backward;
};

struct bench_fftw {
    bool f64;
    size_t n[3], m[3];
    struct blocks blocks;
};

#define OVERLAP_SAVE(real, fftw, suffix)                                                                               \
    static void transform_kernel_##suffix(const struct bench_fftw *f, const real *kernel)                              \
    {                                                                                                                  \
        const struct blocks *const b = &f->blocks;                                                                     \
        real *const values = (real *)b->kernel;                                                                        \
        const real scale = (real)1 / (real)(b->length[0] * b->length[1] * b->length[2]);                               \
        memset(values, 0, b->length[0] * b->length[1] * b->padded * sizeof(real));                                     \
        for (size_t z = 0; z < f->m[0]; z++)                                                                           \
            for (size_t y = 0; y < f->m[1]; y++)                                                                       \
                for (size_t x = 0; x < f->m[2]; x++)                                                                   \
                    values[(z * b->length[1] + y) * b->padded + x] = kernel[(z * f->m[1] + y) * f->m[2] + x] * scale;  \
        fftw##_execute_dft_r2c(b->forward, values, (fftw##_complex *)values);                                          \
    }                                                                                                                  \
                                                                                                                       \
    /* `from` may lie outside; only what is inside is copied. */                                                       \
    static void cut_row_##suffix(const struct bench_fftw *f, real *to, const real *row, ptrdiff_t from)                \
    {                                                                                                                  \
        const ptrdiff_t n = (ptrdiff_t)f->n[2], length = (ptrdiff_t)f->blocks.length[2];                               \
        const ptrdiff_t begin = from < 0 ? -from : 0, end = from + length > n ? n - from : length;                     \
        memset(to, 0, (size_t)length * sizeof(real));                                                                  \
        if (end > begin)                                                                                               \
            memcpy(to + begin, row + from + begin, (size_t)(end - begin) * sizeof(real));                              \
    }                                                                                                                  \
                                                                                                                       \
    static void cut_##suffix(const struct bench_fftw *f, const real *input, const size_t *at)                          \
    {                                                                                                                  \
        const struct blocks *const b = &f->blocks;                                                                     \
        ptrdiff_t from[3];                                                                                             \
        for (unsigned i = 0; i < 3; i++)                                                                               \
            from[i] = (ptrdiff_t)(at[i] + (f->m[i] - 1) / 2) - (ptrdiff_t)(f->m[i] - 1);                               \
        for (size_t z = 0; z < b->length[0]; z++)                                                                      \
            for (size_t y = 0; y < b->length[1]; y++) {                                                                \
                real *const to = (real *)b->values + (z * b->length[1] + y) * b->padded;                               \
                const size_t i = (size_t)from[0] + z, j = (size_t)from[1] + y;                                         \
                if (i < f->n[0] && j < f->n[1])                                                                        \
                    cut_row_##suffix(f, to, input + (i * f->n[1] + j) * f->n[2], from[2]);                             \
                else                                                                                                   \
                    memset(to, 0, b->length[2] * sizeof(real));                                                        \
            }                                                                                                          \
    }                                                                                                                  \
                                                                                                                       \
    static void multiply_##suffix(const struct blocks *b)                                                              \
    {                                                                                                                  \
        real *restrict values = (real *)b->values;                                                                     \
        const real *restrict kernel = (const real *)b->kernel;                                                         \
        const size_t count = b->length[0] * b->length[1] * b->padded;                                                  \
        for (size_t i = 0; i < count; i += 2) {                                                                        \
            const real re = values[i] * kernel[i] - values[i + 1] * kernel[i + 1];                                     \
            values[i + 1] = values[i] * kernel[i + 1] + values[i + 1] * kernel[i];                                     \
            values[i] = re;                                                                                            \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    static void keep_##suffix(const struct bench_fftw *f, real *output, const size_t *at)                              \
    {                                                                                                                  \
        const struct blocks *const b = &f->blocks;                                                                     \
        size_t count[3];                                                                                               \
        for (unsigned i = 0; i < 3; i++) {                                                                             \
            count[i] = b->length[i] - f->m[i] + 1;                                                                     \
            count[i] = f->n[i] - at[i] < count[i] ? f->n[i] - at[i] : count[i];                                        \
        }                                                                                                              \
        for (size_t z = 0; z < count[0]; z++)                                                                          \
            for (size_t y = 0; y < count[1]; y++)                                                                      \
                memcpy(output + ((at[0] + z) * f->n[1] + at[1] + y) * f->n[2] + at[2],                                 \
                       (real *)b->values + ((f->m[0] - 1 + z) * b->length[1] + f->m[1] - 1 + y) * b->padded +          \
                           f->m[2] - 1,                                                                                \
                       count[2] * sizeof(real));                                                                       \
    }                                                                                                                  \
                                                                                                                       \
    static void run_##suffix(const struct bench_fftw *f, const real *input, const real *kernel, real *output)          \
    {                                                                                                                  \
        const struct blocks *const b = &f->blocks;                                                                     \
        size_t at[3];                                                                                                  \
        transform_kernel_##suffix(f, kernel);                                                                          \
        for (at[0] = 0; at[0] < f->n[0]; at[0] += b->length[0] - f->m[0] + 1)                                          \
            for (at[1] = 0; at[1] < f->n[1]; at[1] += b->length[1] - f->m[1] + 1)                                      \
                for (at[2] = 0; at[2] < f->n[2]; at[2] += b->length[2] - f->m[2] + 1) {                                \
                    cut_##suffix(f, input, at);                                                                        \
                    fftw##_execute(b->forward);                                                                        \
                    multiply_##suffix(b);                                                                              \
                    fftw##_execute(b->backward);                                                                       \
                    keep_##suffix(f, output, at);                                                                      \
                }                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    static bool plan_##suffix(struct blocks *b)                                                                        \
    {                                                                                                                  \
        const int n[3] = {(int)b->length[0], (int)b->length[1], (int)b->length[2]};                                    \
        fftw##_set_timelimit(2);                                                                                       \
        b->forward = fftw##_plan_dft_r2c(3, n, (real *)b->values, (fftw##_complex *)b->values, FFTW_MEASURE);          \
        b->backward = fftw##_plan_dft_c2r(3, n, (fftw##_complex *)b->values, (real *)b->values, FFTW_MEASURE);         \
        return b->forward && b->backward;                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    static void destroy_##suffix(struct blocks *b)                                                                     \
    {                                                                                                                  \
        if (b->forward)                                                                                                \
            fftw##_destroy_plan(b->forward);                                                                           \
        if (b->backward)                                                                                               \
            fftw##_destroy_plan(b->backward);                                                                          \
    }
OVERLAP_SAVE(float, fftwf, f32)
OVERLAP_SAVE(double, fftw, f64)

static void blocks_release(struct bench_fftw *f)
{
    if (f->f64)
        destroy_f64(&f->blocks);
    else
        destroy_f32(&f->blocks);
    free(f->blocks.values);
    free(f->blocks.kernel);
    f->blocks = (struct blocks){0};
}

static bool blocks_init(struct bench_fftw *f, const size_t *length)
{
    struct blocks *const b = &f->blocks;
    memcpy(b->length, length, sizeof b->length);
    b->padded = 2 * (length[2] / 2 + 1);
    const size_t bytes = (length[0] * length[1] * b->padded * sizeof(double) + 63) & ~(size_t)63;
    b->values = aligned_alloc(64, bytes);
    b->kernel = aligned_alloc(64, bytes);
    return b->values && b->kernel && (f->f64 ? plan_f64(b) : plan_f32(b));
}

void bench_fftw_run(struct bench_fftw *fftw, const void *input, const void *kernel, void *output)
{
    if (fftw->f64)
        run_f64(fftw, input, kernel, output);
    else
        run_f32(fftw, input, kernel, output);
}

/* Powers of two, but no longer than what the whole axis takes. */
static void choose_length(const struct bench_fftw *f, size_t factor, size_t *length)
{
    for (unsigned i = 0; i < 3; i++) {
        const size_t whole = f->n[i] + f->m[i] - 1;
        size_t power = 1;
        while (power < factor * f->m[i] || (f->m[i] > 1 && power < 32))
            power *= 2;
        length[i] = f->n[i] == 1 ? 1 : power < whole ? power : (whole + 31) / 32 * 32;
    }
}

static double seconds_of(struct bench_fftw *f, const void *input, const void *kernel, void *output)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    bench_fftw_run(f, input, kernel, output);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
}

struct bench_fftw *bench_fftw_create(const size_t *input, const size_t *kernel, bool f64)
{
    static const size_t factors[] = {2, 4, 8, 16, 64, 256};
    const size_t count = input[0] * input[1] * input[2], taps = kernel[0] * kernel[1] * kernel[2];
    struct bench_fftw *const f = calloc(1, sizeof *f);
    double *const x = calloc(count, sizeof *x), *const k = calloc(taps, sizeof *k), *const y = calloc(count, sizeof *y);
    size_t length[3], before[3] = {0}, best[3] = {0};
    double least = 0;
    bool made = f && x && k && y;
    if (made) {
        memcpy(f->n, input, sizeof f->n);
        memcpy(f->m, kernel, sizeof f->m);
        f->f64 = f64;
    }
    for (size_t i = 0; made && i < sizeof factors / sizeof factors[0]; i++) {
        choose_length(f, factors[i], length);
        if (memcmp(length, before, sizeof length) == 0)
            break;
        memcpy(before, length, sizeof length);
        made = blocks_init(f, length);
        if (made) {
            seconds_of(f, x, k, y);
            const double seconds = seconds_of(f, x, k, y);
            if (best[2] == 0 || seconds < least) {
                least = seconds;
                memcpy(best, length, sizeof best);
            }
        }
        blocks_release(f);
    }
    made = made && blocks_init(f, best);
    free(x), free(k), free(y);
    if (made)
        return f;
    bench_fftw_destroy(f);
    return NULL;
}

void bench_fftw_destroy(struct bench_fftw *fftw)
{
    if (fftw)
        blocks_release(fftw);
    free(fftw);
}

#else

struct bench_fftw *bench_fftw_create(const size_t *input, const size_t *kernel, bool f64)
{
    (void)input, (void)kernel, (void)f64;
    return NULL;
}

void bench_fftw_run(struct bench_fftw *fftw, const void *input, const void *kernel, void *output)
{
    (void)fftw, (void)input, (void)kernel, (void)output;
}

void bench_fftw_destroy(struct bench_fftw *fftw)
{
    (void)fftw;
}

#endif
