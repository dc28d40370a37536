/* SPDX-License-Identifier: MIT */
/* fft and overlap_add beside an overlap-save made of FFTW: real transforms, FFTW_MEASURE, one thread, the best of its block
 * sizes. Both hold their plans and transform the kernel in every call. Runs alternate; medians and their ratio. FFTW is
 * loaded while this runs, so that the build does not depend on it. `bench_fft 1d` runs the rows whose names hold "1d". */
#if __has_include(<fftw3.h>)
#include <fftw3.h>
#define HAVE_FFTW 1
#endif

#include "core/convolve.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RANK_MAX = 3, RUNS = 15, TRIAL_RUNS = 3 };

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* waiting for a core does not count */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *allocate(size_t bytes)
{
    void *const memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!memory) {
        fprintf(stderr, "bench_fft: out of memory\n");
        exit(1);
    }
    memset(memory, 0, bytes);
    return memory;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

/* One row: an input and a kernel of `rank` equal sides, `valid`. */
struct row {
    const char *name;
    bool single;
    unsigned rank;
    size_t input, kernel;
};

static const struct row rows[] = {
    {"2d f32 1024 3", true, 2, 1024, 3},
    {"2d f32 1024 7", true, 2, 1024, 7},
    {"2d f32 1024 11", true, 2, 1024, 11},
    {"2d f32 1024 15", true, 2, 1024, 15},
    {"2d f32 1024 31", true, 2, 1024, 31},
    {"2d f32 2048 63", true, 2, 2048, 63},
    {"2d f64 1024 15", false, 2, 1024, 15},
    {"2d f64 1024 31", false, 2, 1024, 31},
    {"2d f64 2048 63", false, 2, 2048, 63},
    {"1d f32 1000000 16", true, 1, 1000000, 16},
    {"1d f32 1000000 64", true, 1, 1000000, 64},
    {"1d f32 1000000 512", true, 1, 1000000, 512},
    {"1d f32 1000000 4096", true, 1, 1000000, 4096},
    {"1d f32 1000000 65536", true, 1, 1000000, 65536},
    {"1d f64 1000000 64", false, 1, 1000000, 64},
    {"1d f64 1000000 4096", false, 1, 1000000, 4096},
    {"3d f32 128 3", true, 3, 128, 3},
    {"3d f32 128 7", true, 3, 128, 7},
    {"3d f32 128 15", true, 3, 128, 15},
    {"3d f64 128 7", false, 3, 128, 7},
};

static size_t power(size_t side, unsigned rank)
{
    size_t count = 1;
    for (unsigned i = 0; i < rank; i++)
        count *= side;
    return count;
}

/* ---- Ours ------------------------------------------------------------------------------------------------------------- */

struct ours {
    struct convolve_plan *plan;
    void *scratch, *tile_scratch;
};

static bool ours_begin(struct ours *ours, const struct row *row, enum convolve_method method)
{
    struct convolve_spec spec = {.operation = CONVOLVE_OP_CORRELATE,
                                 .dtype = row->single ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64,
                                 .mode = CONVOLVE_VALID,
                                 .method = method};
    struct convolve_error error;
    spec.input.rank = spec.kernel.rank = row->rank;
    for (unsigned i = 0; i < row->rank; i++) {
        spec.input.size[i] = row->input;
        spec.kernel.size[i] = row->kernel;
    }
    if (!convolve_plan_create(&ours->plan, &spec, NULL, &error)) {
        fprintf(stderr, "bench_fft: %s: %s\n", row->name, error.detail);
        return false;
    }
    ours->scratch = allocate(convolve_plan_scratch_bytes(ours->plan) + 64);
    ours->tile_scratch = allocate(convolve_plan_tile_scratch_bytes(ours->plan) + 64);
    return true;
}

static double ours_run(const struct ours *ours, const void *input, const void *kernel, void *output)
{
    const struct convolve_run run = {.input = input, .kernel = kernel, .output = output, .scratch = ours->scratch};
    struct convolve_outcome outcome;
    const double begin = now_ns();
    for (unsigned stage = 0; stage < convolve_plan_stage_count(ours->plan); stage++)
        for (size_t tile = 0; tile < convolve_plan_tile_count(ours->plan, stage); tile++)
            convolve_plan_run_tile(ours->plan, &run, stage, tile, ours->tile_scratch);
    if (!convolve_plan_finish(ours->plan, &run, &outcome, NULL))
        exit(1);
    return now_ns() - begin;
}

static void ours_end(struct ours *ours)
{
    convolve_plan_destroy(ours->plan);
    free(ours->scratch);
    free(ours->tile_scratch);
}

/* ---- FFTW ------------------------------------------------------------------------------------------------------------- */

#ifdef HAVE_FFTW

/* Overlap-save with cubes of `block` cells a side. */
#define DEFINE_PEER(type, prefix, library)                                                                             \
    struct peer_##prefix {                                                                                             \
        const struct row *row;                                                                                         \
        size_t block;                                                                                                  \
        type *cells;                                                                                                   \
        prefix##_complex *freq, *spectrum;                                                                             \
        prefix##_plan there, back, kernel_there;                                                                       \
    };                                                                                                                 \
    static struct {                                                                                                    \
        __typeof__(&prefix##_plan_dft_r2c) plan_there;                                                                 \
        __typeof__(&prefix##_plan_dft_c2r) plan_back;                                                                  \
        __typeof__(&prefix##_execute) execute;                                                                         \
        __typeof__(&prefix##_destroy_plan) destroy;                                                                    \
    } prefix##_calls;                                                                                                  \
                                                                                                                       \
    static bool prefix##_load(void)                                                                                    \
    {                                                                                                                  \
        void *const handle = dlopen(library, RTLD_NOW);                                                                \
        if (!handle)                                                                                                   \
            return false;                                                                                              \
        *(void **)&prefix##_calls.plan_there = dlsym(handle, #prefix "_plan_dft_r2c");                                 \
        *(void **)&prefix##_calls.plan_back = dlsym(handle, #prefix "_plan_dft_c2r");                                  \
        *(void **)&prefix##_calls.execute = dlsym(handle, #prefix "_execute");                                         \
        *(void **)&prefix##_calls.destroy = dlsym(handle, #prefix "_destroy_plan");                                    \
        return prefix##_calls.plan_there && prefix##_calls.plan_back && prefix##_calls.execute &&                      \
               prefix##_calls.destroy;                                                                                 \
    }                                                                                                                  \
                                                                                                                       \
    static size_t prefix##_frequencies(const struct peer_##prefix *peer)                                               \
    {                                                                                                                  \
        return power(peer->block, peer->row->rank - 1) * (peer->block / 2 + 1);                                        \
    }                                                                                                                  \
                                                                                                                       \
    static void prefix##_begin(struct peer_##prefix *peer, const struct row *row, size_t block)                        \
    {                                                                                                                  \
        const int sides[RANK_MAX] = {(int)block, (int)block, (int)block};                                              \
        *peer = (struct peer_##prefix){.row = row, .block = block};                                                    \
        peer->cells = allocate(power(block, row->rank) * sizeof(type));                                                \
        peer->freq = allocate(prefix##_frequencies(peer) * sizeof *peer->freq);                                        \
        peer->spectrum = allocate(prefix##_frequencies(peer) * sizeof *peer->spectrum);                                \
        peer->there = prefix##_calls.plan_there((int)row->rank, sides, peer->cells, peer->freq, FFTW_MEASURE);         \
        peer->back = prefix##_calls.plan_back((int)row->rank, sides, peer->freq, peer->cells, FFTW_MEASURE);           \
        peer->kernel_there =                                                                                           \
            prefix##_calls.plan_there((int)row->rank, sides, peer->cells, peer->spectrum, FFTW_MEASURE);               \
    }                                                                                                                  \
                                                                                                                       \
    static void prefix##_end(struct peer_##prefix *peer)                                                               \
    {                                                                                                                  \
        prefix##_calls.destroy(peer->there);                                                                           \
        prefix##_calls.destroy(peer->back);                                                                            \
        prefix##_calls.destroy(peer->kernel_there);                                                                    \
        free(peer->cells), free(peer->freq), free(peer->spectrum);                                                     \
    }                                                                                                                  \
                                                                                                                       \
    static void prefix##_multiply(struct peer_##prefix *peer)                                                          \
    {                                                                                                                  \
        const size_t count = prefix##_frequencies(peer);                                                               \
        for (size_t i = 0; i < count; i++) {                                                                           \
            const type a = peer->freq[i][0], b = peer->freq[i][1];                                                     \
            const type c = peer->spectrum[i][0], d = peer->spectrum[i][1];                                             \
            peer->freq[i][0] = a * c - b * d;                                                                          \
            peer->freq[i][1] = a * d + b * c;                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    /* Copies a cube of `side` cells between two arrays of other sides, axes before RANK_MAX - rank being one cell. */ \
    static void prefix##_copy(unsigned rank, type *to, size_t to_side, const type *from, size_t from_side,             \
                              const size_t *extent)                                                                    \
    {                                                                                                                  \
        const size_t planes = rank > 2 ? extent[0] : 1, lines = rank > 1 ? extent[rank - 2] : 1;                       \
        for (size_t z = 0; z < planes; z++)                                                                            \
            for (size_t y = 0; y < lines; y++)                                                                         \
                memcpy(to + (z * to_side + y) * to_side, from + (z * from_side + y) * from_side,                       \
                       extent[rank - 1] * sizeof(type));                                                               \
    }                                                                                                                  \
                                                                                                                       \
    static void prefix##_make_spectrum(struct peer_##prefix *peer, const type *kernel)                                 \
    {                                                                                                                  \
        const size_t block = peer->block, m = peer->row->kernel, taps = power(m, peer->row->rank);                     \
        const type scale = 1 / (type)power(block, peer->row->rank);                                                    \
        memset(peer->cells, 0, power(block, peer->row->rank) * sizeof(type));                                          \
        for (size_t t = 0; t < taps; t++) {                                                                            \
            size_t at = 0, rest = t, pitch = 1;                                                                        \
            for (unsigned i = 0; i < peer->row->rank; i++, rest /= m, pitch *= block)                                  \
                at += (block - rest % m) % block * pitch;                                                              \
            peer->cells[at] = kernel[t] * scale;                                                                       \
        }                                                                                                              \
        prefix##_calls.execute(peer->kernel_there);                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    static double prefix##_run(void *context, const void *input, const void *kernel, void *output)                     \
    {                                                                                                                  \
        struct peer_##prefix *const peer = context;                                                                    \
        const struct row *row = peer->row;                                                                             \
        const size_t n = row->input, hop = peer->block - row->kernel + 1, out = n - row->kernel + 1;                   \
        const size_t blocks = (out + hop - 1) / hop;                                                                   \
        const double begin = now_ns();                                                                                 \
        prefix##_make_spectrum(peer, kernel);                                                                          \
        for (size_t b = 0; b < power(blocks, row->rank); b++) {                                                        \
            size_t at = 0, to = 0, rest = b, in_pitch = 1, out_pitch = 1, cells[RANK_MAX], outputs[RANK_MAX];          \
            bool whole = true;                                                                                         \
            for (unsigned i = row->rank; i-- > 0; rest /= blocks, in_pitch *= n, out_pitch *= out) {                   \
                const size_t first = rest % blocks * hop;                                                              \
                at += first * in_pitch;                                                                                \
                to += first * out_pitch;                                                                               \
                cells[i] = n - first < peer->block ? n - first : peer->block;                                          \
                outputs[i] = out - first < hop ? out - first : hop;                                                    \
                whole = whole && cells[i] == peer->block;                                                              \
            }                                                                                                          \
            if (!whole)                                                                                                \
                memset(peer->cells, 0, power(peer->block, row->rank) * sizeof(type));                                  \
            prefix##_copy(row->rank, peer->cells, peer->block, (const type *)input + at, n, cells);                    \
            prefix##_calls.execute(peer->there);                                                                       \
            prefix##_multiply(peer);                                                                                   \
            prefix##_calls.execute(peer->back);                                                                        \
            prefix##_copy(row->rank, (type *)output + to, out, peer->cells, peer->block, outputs);                     \
        }                                                                                                              \
        return now_ns() - begin;                                                                                       \
    }                                                                                                                  \
                                                                                                                       \
    /* The best block size, by trial. */                                                                               \
    static bool prefix##_choose(struct peer_##prefix *best, const struct row *row, const void *input,                  \
                                const void *kernel, void *output)                                                      \
    {                                                                                                                  \
        double best_ns = INFINITY;                                                                                     \
        if (!prefix##_load())                                                                                          \
            return false;                                                                                              \
        for (size_t block = row->rank == 1 ? 64 : 16; block <= (row->rank == 1 ? 1u << 19 : 512u);                     \
             block = block & (block - 1) ? block / 3 * 4 : block / 2 * 3) {                                            \
            struct peer_##prefix peer;                                                                                 \
            double ns = INFINITY;                                                                                      \
            if (block < row->kernel + row->kernel / 8 || block > 40 * row->kernel + 256 ||                             \
                (row->rank == 3 && block > 128))                                                                       \
                continue;                                                                                              \
            prefix##_begin(&peer, row, block);                                                                         \
            for (unsigned i = 0; i < TRIAL_RUNS; i++)                                                                  \
                ns = fmin(ns, prefix##_run(&peer, input, kernel, output));                                             \
            if (ns < best_ns) {                                                                                        \
                if (best_ns < (double)INFINITY)                                                                        \
                    prefix##_end(best);                                                                                \
                *best = peer;                                                                                          \
                best_ns = ns;                                                                                          \
            } else                                                                                                     \
                prefix##_end(&peer);                                                                                   \
        }                                                                                                              \
        return best_ns < (double)INFINITY;                                                                             \
    }
DEFINE_PEER(float, fftwf, "libfftw3f.so.3")
DEFINE_PEER(double, fftw, "libfftw3.so.3")

#endif

/* ---- Rows ------------------------------------------------------------------------------------------------------------- */

struct peer {
    double (*run)(void *context, const void *input, const void *kernel, void *output);
    void *context;
    size_t block;
};

static double worst_difference(const struct row *row, const void *a, const void *b, size_t count)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++)
        worst = fmax(worst, row->single ? fabs((double)((const float *)a)[i] - (double)((const float *)b)[i])
                                        : fabs(((const double *)a)[i] - ((const double *)b)[i]));
    return worst;
}

static void fill(const struct row *row, void *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double value = drand48() - 0.5;
        if (row->single)
            ((float *)values)[i] = (float)value;
        else
            ((double *)values)[i] = value;
    }
}

static void bench_row(const struct row *row)
{
    const size_t value_bytes = row->single ? sizeof(float) : sizeof(double);
    const size_t inputs = power(row->input, row->rank), taps = power(row->kernel, row->rank);
    const size_t outputs = power(row->input - row->kernel + 1, row->rank);
    void *const input = allocate(inputs * value_bytes), *const kernel = allocate(taps * value_bytes);
    void *const output = allocate(outputs * value_bytes), *const peers = allocate(outputs * value_bytes);
    double whole_ns[RUNS], overlap_ns[RUNS], peer_ns[RUNS];
    struct ours whole, overlap;
    struct peer peer = {0};
    fill(row, input, inputs);
    fill(row, kernel, taps);
    if (!ours_begin(&whole, row, CONVOLVE_FFT) || !ours_begin(&overlap, row, CONVOLVE_OVERLAP_ADD))
        exit(1);
#ifdef HAVE_FFTW
    struct peer_fftwf single;
    struct peer_fftw twice;
    if (row->single && fftwf_choose(&single, row, input, kernel, peers))
        peer = (struct peer){fftwf_run, &single, single.block};
    else if (!row->single && fftw_choose(&twice, row, input, kernel, peers))
        peer = (struct peer){fftw_run, &twice, twice.block};
#endif
    for (unsigned i = 0; i < RUNS; i++) {
        peer_ns[i] = peer.run ? peer.run(peer.context, input, kernel, peers) : (double)NAN;
        overlap_ns[i] = ours_run(&overlap, input, kernel, output);
        whole_ns[i] = ours_run(&whole, input, kernel, output);
    }
    const double difference = peer.run ? worst_difference(row, output, peers, outputs) : 0;
    const double ours = median(overlap_ns, RUNS), theirs = median(peer_ns, RUNS), all = median(whole_ns, RUNS);
    printf("%-22s overlap_add %8.0f us  fft %8.0f us  FFTW %8.0f us (blocks of %zu)  FFTW / overlap_add %5.2f  "
           "difference %.1g\n",
           row->name, ours / 1e3, all / 1e3, theirs / 1e3, peer.block, theirs / ours, difference);
    fflush(stdout);
    ours_end(&whole), ours_end(&overlap);
#ifdef HAVE_FFTW
    if (peer.run && row->single)
        fftwf_end(&single);
    else if (peer.run)
        fftw_end(&twice);
#endif
    free(input), free(kernel), free(output), free(peers);
}

int main(int argc, char **argv)
{
    printf("set %s\n", convolve_simd_name());
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (argc < 2 || strstr(rows[i].name, argv[1]))
            bench_row(&rows[i]);
    return 0;
}
