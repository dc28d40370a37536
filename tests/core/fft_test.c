/* SPDX-License-Identifier: MIT */
/* The transforms of every length 2^a 3^b 5^c to 2000, both types, on every instruction set this CPU has, against the
 * definition in long double, within the bound that fft.c proves; and the routines around them against plain loops. */
#include "core/fft.h"
#include "tests/core/fft_fill.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LENGTH_MAX = 2000, COLUMNS = 2 * SIMD_FFT_WIDTH_f32, PITCH = COLUMNS + 16 };

static uint64_t seed = 1;
static uint64_t random_word(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static void *allocate(size_t bytes)
{
    void *const memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(memory);
    return memory;
}

/* Small integers: a lane's multiple of them is exact. */
static long double signal_re[LENGTH_MAX], signal_im[LENGTH_MAX];
static long double exact_re[LENGTH_MAX], exact_im[LENGTH_MAX], root_re[LENGTH_MAX], root_im[LENGTH_MAX];

static void transform_plainly(size_t length)
{
    for (size_t i = 0; i < length; i++) {
        signal_re[i] = (long double)(random_word() % 17) - 8;
        signal_im[i] = (long double)(random_word() % 17) - 8;
        const long double angle = -2 * 3.14159265358979323846264L * (long double)i / (long double)length;
        root_re[i] = cosl(angle);
        root_im[i] = sinl(angle);
    }
    for (size_t k = 0; k < length; k++) {
        long double re = 0, im = 0;
        for (size_t i = 0, at = 0; i < length; i++, at = (at + k) % length) {
            re += signal_re[i] * root_re[at] - signal_im[i] * root_im[at];
            im += signal_re[i] * root_im[at] + signal_im[i] * root_re[at];
        }
        exact_re[k] = re;
        exact_im[k] = im;
    }
}

/* A strip of the signal's first columns, filtered, has the bits of the three passes apart. `re` and `im` are the transform.
 * The factors are powers of two, so that no product is rounded. */
#define DEFINE_FILTER(type, bits)                                                                                      \
    static void check_filter_##bits(const struct simd_routines *set, const struct simd_fft *fft, const type *from,     \
                                    const type *re, const type *im)                                                    \
    {                                                                                                                  \
        enum { WIDTH = SIMD_FFT_WIDTH_##bits };                                                                        \
        const size_t length = fft->length, cells = length * WIDTH;                                                     \
        type *const strip = allocate(6 * cells * sizeof *strip), *const by = strip + 2 * cells;                        \
        type *const expected = strip + 4 * cells;                                                                      \
        for (unsigned each = 0; each < 2; each++) {                                                                    \
            for (size_t i = 0; i < cells; i++) {                                                                       \
                by[i] = (type)ldexp(1, (int)(random_word() % 5));                                                      \
                by[cells + i] = 0;                                                                                     \
                if (random_word() & 1) {                                                                               \
                    by[cells + i] = -by[i];                                                                            \
                    by[i] = 0;                                                                                         \
                }                                                                                                      \
            }                                                                                                          \
            for (size_t i = 0; i < cells; i++) {                                                                       \
                const size_t element = i / WIDTH, x = i % WIDTH, factor = each ? element : i;                          \
                const type a = re[element * PITCH + x], b = im[element * PITCH + x];                                   \
                const type c = by[factor], d = by[cells + factor];                                                     \
                strip[i] = from[element * COLUMNS + x];                                                                \
                strip[cells + i] = from[(length + element) * COLUMNS + x];                                             \
                expected[i] = a * c - b * d;                                                                           \
                expected[cells + i] = a * d + b * c;                                                                   \
            }                                                                                                          \
            set->fft_inverse_##bits(fft, expected, expected + cells, WIDTH, WIDTH);                                    \
            set->fft_filter_##bits(fft, strip, strip + cells, by, by + cells, each);                                   \
            for (size_t i = 0; i < 2 * cells; i++)                                                                     \
                if (strip[i] != expected[i])                                                                           \
                    fail_msg("%s filter %s length %zu each %u: value %zu is %.17g, expected %.17g", set->name, #bits,  \
                             length, each, i, (double)strip[i], (double)expected[i]);                                  \
        }                                                                                                              \
        free(strip);                                                                                                   \
    }
DEFINE_FILTER(float, f32)
DEFINE_FILTER(double, f64)

/* Transforms COLUMNS multiples of the signal, looks at each output, and goes back. */
#define DEFINE_CHECK(type, bits, roundoff)                                                                             \
    static void check_##bits(const struct simd_routines *set, size_t length)                                           \
    {                                                                                                                  \
        struct simd_fft fft;                                                                                           \
        type *const turns = allocate((fft_turns_count(length) + 1) * sizeof *turns);                                   \
        type *const from = allocate(2 * length * COLUMNS * sizeof *from);                                              \
        type *const to = allocate(2 * length * PITCH * sizeof *to);                                                    \
        type *const re = to, *const im = to + length * PITCH;                                                          \
        fill_##bits(&fft, length, turns);                                                                              \
        for (size_t i = 0; i < length; i++)                                                                            \
            for (size_t x = 0; x < COLUMNS; x++) {                                                                     \
                from[i * COLUMNS + x] = (type)(signal_re[i] * (long double)(x + 1));                                   \
                from[(length + i) * COLUMNS + x] = (type)(signal_im[i] * (long double)(x + 1));                        \
                re[i * PITCH + x] = from[i * COLUMNS + x];                                                             \
                im[i * PITCH + x] = from[(length + i) * COLUMNS + x];                                                  \
            }                                                                                                          \
        set->fft_forward_##bits(&fft, re, im, PITCH, COLUMNS);                                                         \
        long double errors[COLUMNS] = {0}, norm = 0, sum = 0, worst = 0;                                               \
        for (size_t k = 0; k < length; k++) {                                                                          \
            const size_t place = fft_place(&fft, k) * PITCH;                                                           \
            norm += exact_re[k] * exact_re[k] + exact_im[k] * exact_im[k];                                             \
            sum += hypotl(signal_re[k], signal_im[k]);                                                                 \
            for (size_t x = 0; x < COLUMNS; x++) {                                                                     \
                const long double error = hypotl(re[place + x] / (long double)(x + 1) - exact_re[k],                   \
                                                 im[place + x] / (long double)(x + 1) - exact_im[k]);                  \
                errors[x] += error * error;                                                                            \
                worst = fmaxl(worst, error);                                                                           \
            }                                                                                                          \
        }                                                                                                              \
        const long double bound = fft_error_units(&fft) * roundoff * sqrtl(norm) + 1e-15L * sum;                       \
        for (size_t x = 0; x < COLUMNS; x++)                                                                           \
            if (!(sqrtl(errors[x]) <= bound))                                                                          \
                fail_msg("%s %s length %zu lane %zu: error %Lg, bound %Lg", set->name, #bits, length, x,               \
                         sqrtl(errors[x]), bound);                                                                     \
        if (!(worst <= fft_path_error_units(&fft) * roundoff * sum + 1e-15L * sum))                                    \
            fail_msg("%s %s length %zu: an output is %Lg off", set->name, #bits, length, worst);                       \
        check_filter_##bits(set, &fft, from, re, im);                                                                  \
        set->fft_inverse_##bits(&fft, re, im, PITCH, COLUMNS);                                                         \
        for (size_t i = 0; i < length; i++)                                                                            \
            for (size_t x = 0; x < COLUMNS; x++) {                                                                     \
                const long double back =                                                                               \
                    hypotl(re[i * PITCH + x] / (long double)length - from[i * COLUMNS + x],                            \
                           im[i * PITCH + x] / (long double)length - from[(length + i) * COLUMNS + x]);                \
                if (!(back <= 2 * bound * (long double)(x + 1)))                                                       \
                    fail_msg("%s %s length %zu: element %zu of lane %zu comes back %Lg off", set->name, #bits, length, \
                             i, x, back);                                                                              \
            }                                                                                                          \
        free(turns);                                                                                                   \
        free(from);                                                                                                    \
        free(to);                                                                                                      \
    }
DEFINE_CHECK(float, f32, 0x1p-24L)
DEFINE_CHECK(double, f64, 0x1p-53L)

static void test_every_length(void **state)
{
    (void)state;
    size_t lengths = 0;
    for (size_t length = 1; length <= LENGTH_MAX; length = fft_length_next(length + 1), lengths++) {
        transform_plainly(length);
        for (size_t i = 0; simd_routines_at(i); i++) {
            check_f32(simd_routines_at(i), length);
            check_f64(simd_routines_at(i), length);
        }
    }
    assert_int_equal(lengths, 108); /* all there are */
}

static void test_lengths_are_smooth(void **state)
{
    (void)state;
    for (size_t least = 1; least <= 4000; least++) {
        size_t expected = least;
        for (;; expected++) {
            size_t rest = expected;
            while (rest % 2 == 0)
                rest /= 2;
            while (rest % 3 == 0)
                rest /= 3;
            while (rest % 5 == 0)
                rest /= 5;
            if (rest == 1)
                break;
        }
        assert_int_equal(fft_length_next(least), expected);
    }
    assert_int_equal(fft_length_next(FFT_LENGTH_MAX), FFT_LENGTH_MAX);
    assert_int_equal(fft_length_next(FFT_LENGTH_MAX + 1), 0);
}

static void test_roots_have_all_their_digits(void **state)
{
    (void)state;
    const size_t lengths[] = {1,    2,    3,    4,    8,     12,      15,      96,
                              1000, 3645, 8192, 8200, 46080, 1 << 20, 1594323, (size_t)1 << 30};
    struct fft_roots *const roots = allocate(sizeof *roots);
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        fft_fill_roots(roots, lengths[l]);
        for (size_t i = 0; i < 3000; i++) {
            const size_t index = i < 1000 ? i : i < 2000 ? lengths[l] - 1 - i : random_word();
            const size_t within = index % lengths[l];
            const long double angle = -2 * 3.14159265358979323846264L * (long double)within / (long double)lengths[l];
            const struct fft_root root = fft_root(within, lengths[l]), found = fft_find_root(roots, within);
            assert_true(fabsl(root.re - cosl(angle)) <= 0x1p-53L);
            assert_true(fabsl(root.im - sinl(angle)) <= 0x1p-53L);
            assert_true(fabsl(found.re - root.re) <= 0x1p-53L);
            assert_true(fabsl(found.im - root.im) <= 0x1p-53L);
        }
    }
    free(roots);
}

/* What lies around the transforms, against loops: every count to 70, odd alignments. */
#define DEFINE_ROWS(type, bits)                                                                                        \
    static void check_rows_##bits(const struct simd_routines *set, size_t count)                                       \
    {                                                                                                                  \
        enum { WIDTH = SIMD_FFT_WIDTH_##bits, ROOM = 80 };                                                             \
        type *const rows = allocate(WIDTH * ROOM * sizeof *rows), *const strip =                                       \
                                                                      allocate(WIDTH * ROOM * sizeof *strip);          \
        type *const back = allocate(WIDTH * ROOM * sizeof *back);                                                      \
        const type *in[WIDTH];                                                                                         \
        type *out[WIDTH];                                                                                              \
        for (size_t i = 0; i < WIDTH * ROOM; i++) {                                                                    \
            rows[i] = (type)((int)(random_word() % 9) - 4);                                                            \
            back[i] = strip[i] = 77;                                                                                   \
        }                                                                                                              \
        for (size_t r = 0; r < WIDTH; r++) {                                                                           \
            in[r] = rows + r * ROOM + r % 7;                                                                           \
            out[r] = back + r * ROOM + r % 5;                                                                          \
        }                                                                                                              \
        set->gather_rows_##bits(strip, in, count);                                                                     \
        set->scatter_rows_##bits(out, strip, count, count % 2);                                                        \
        for (size_t r = 0; r < WIDTH; r++) {                                                                           \
            for (size_t x = 0; x < count; x++)                                                                         \
                if (strip[x * WIDTH + r] != in[r][x] || out[r][x] != in[r][x])                                         \
                    fail_msg("%s rows %s count %zu: row %zu place %zu is %g in the strip, %g back, expected %g",       \
                             set->name, #bits, count, r, x, (double)strip[x * WIDTH + r], (double)out[r][x],           \
                             (double)in[r][x]);                                                                        \
            assert_true(out[r][count] == 77);                                                                          \
        }                                                                                                              \
        assert_true(strip[count * WIDTH] == 77);                                                                       \
        struct simd_fft_facts facts = {0};                                                                             \
        double most = 0, least = 0;                                                                                    \
        size_t zeros = 0;                                                                                              \
        for (size_t x = 0; x < count; x++) {                                                                           \
            most = fmax(most, in[3][x]);                                                                               \
            least = fmin(least, in[3][x]);                                                                             \
            zeros += in[3][x] == 0;                                                                                    \
        }                                                                                                              \
        set->fft_facts_##bits(&facts, in[3], 0, 1, count);                                                             \
        assert_true(facts.most == most && facts.least == least && !facts.nonfinite && !facts.fractional);              \
        assert_int_equal(facts.zeros, zeros);                                                                          \
        facts = (struct simd_fft_facts){0};                                                                            \
        set->fft_copy_##bits(&facts, back + 1, ROOM, in[3], 0, 3, count);                                              \
        assert_true(facts.most == most && facts.least == least && facts.zeros == 3 * zeros && !facts.fractional);      \
        for (size_t x = 0; x < 3 * count; x++)                                                                         \
            assert_true(back[1 + x / count * ROOM + x % count] == in[3][x % count]);                                   \
        if (count) {                                                                                                   \
            type *const odd = rows + 3 * ROOM + 3 + random_word() % count;                                             \
            *odd = (type)0.5;                                                                                          \
            set->fft_facts_##bits(&facts, in[3], 0, 1, count);                                                         \
            assert_true(facts.fractional && !facts.nonfinite);                                                         \
            const type strange[] = {(type)NAN, (type)INFINITY, -(type)INFINITY};                                       \
            *odd = strange[random_word() % 3];                                                                         \
            facts = (struct simd_fft_facts){.fractional = random_word() & 1};                                          \
            set->fft_facts_##bits(&facts, in[3], 0, 1, count);                                                         \
            assert_true(facts.nonfinite);                                                                              \
        }                                                                                                              \
        set->fft_cut_##bits(out[1], ROOM, in[2], ROOM, 0, 2, count);                                                   \
        for (size_t x = 0; x < count; x++)                                                                             \
            assert_true(out[1][x] == (in[2][x] > 0 ? in[2][x] : 0) &&                                                  \
                        out[1][ROOM + x] == (in[2][ROOM + x] > 0 ? in[2][ROOM + x] : 0));                              \
        assert_true(out[1][count] == 77);                                                                              \
        free(rows);                                                                                                    \
        free(strip);                                                                                                   \
        free(back);                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    static void check_spectrum_##bits(const struct simd_routines *set, size_t count)                                   \
    {                                                                                                                  \
        enum { WIDTH = SIMD_FFT_WIDTH_f64, APART = WIDTH + 3 };                                                        \
        double *const from = allocate(2 * (count * WIDTH + 1) * sizeof *from), *const imag = from + count * WIDTH;     \
        type *const to = allocate(2 * (count * APART + 1) * sizeof *to), *const im = to + count * APART + 1;           \
        double peak = 0;                                                                                               \
        for (size_t i = 0; i < 2 * count * WIDTH; i++)                                                                 \
            from[i] = (double)random_word() * 0x1p-64 - 0.5;                                                           \
        for (size_t i = 0; i < count * WIDTH; i++)                                                                     \
            peak = fmax(peak, from[i] * from[i] + imag[i] * imag[i]);                                                  \
        for (size_t i = 0; i < 2 * (count * APART + 1); i++)                                                           \
            to[i] = 77;                                                                                                \
        assert_true(set->fft_spectrum_##bits(to, im, APART, from, imag, count, 0.7) == peak);                          \
        for (size_t i = 0; i < count * APART; i++) {                                                                   \
            const size_t at = i / APART * WIDTH + i % APART;                                                           \
            const bool lane = i % APART < WIDTH;                                                                       \
            assert_true(to[i] == (lane ? (type)(from[at] * 0.7) : 77) &&                                               \
                        im[i] == (lane ? (type)(imag[at] * 0.7) : 77));                                                \
        }                                                                                                              \
        assert_true(to[count * APART] == 77 && im[count * APART] == 77);                                               \
        free(from);                                                                                                    \
        free(to);                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    /* Small integers, so that every product is exact. */                                                              \
    static void check_twist_##bits(const struct simd_routines *set)                                                    \
    {                                                                                                                  \
        enum { WIDTH = SIMD_FFT_WIDTH_##bits, LENGTH = 23, CELLS = LENGTH * WIDTH, FINE = 6 };                         \
        type x[2][CELLS], to[2][CELLS], coarse[4 * 2 * WIDTH], fine[FINE * 2 * WIDTH];                                 \
        for (size_t i = 0; i < CELLS; i++)                                                                             \
            for (size_t part = 0; part < 2; part++)                                                                    \
                x[part][i] = (type)((int)(random_word() % 9) - 4);                                                     \
        for (size_t i = 0; i < sizeof coarse / sizeof *coarse; i++)                                                    \
            coarse[i] = (type)((int)(random_word() % 9) - 4);                                                          \
        for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)                                                        \
            fine[i] = (type)((int)(random_word() % 9) - 4);                                                            \
        for (unsigned inverse = 0; inverse < 2; inverse++) {                                                           \
            for (size_t i = 0; i < CELLS; i++) {                                                                       \
                to[0][i] = x[0][i];                                                                                    \
                to[1][i] = x[1][i];                                                                                    \
            }                                                                                                          \
            set->fft_twist_##bits(to[0], to[1], coarse, fine, FINE, LENGTH, inverse);                                  \
            for (size_t i = 0; i < CELLS; i++) {                                                                       \
                const size_t element = i / WIDTH, lane = i % WIDTH;                                                    \
                const type *const c = coarse + element / FINE * 2 * WIDTH + lane;                                      \
                const type *const f = fine + element % FINE * 2 * WIDTH + lane;                                        \
                const type re = c[0] * f[0] - c[WIDTH] * f[WIDTH], turned = c[0] * f[WIDTH] + c[WIDTH] * f[0];         \
                const type im = inverse ? -turned : turned;                                                            \
                if (to[0][i] != x[0][i] * re - x[1][i] * im || to[1][i] != x[0][i] * im + x[1][i] * re)                \
                    fail_msg("%s twist %u %s: element %zu lane %zu", set->name, inverse, #bits, element, lane);        \
            }                                                                                                          \
        }                                                                                                              \
    }
DEFINE_ROWS(float, f32)
DEFINE_ROWS(double, f64)

static void test_rows_and_twists(void **state)
{
    (void)state;
    for (size_t i = 0; simd_routines_at(i); i++) {
        for (size_t count = 0; count <= 70; count++) {
            check_rows_f32(simd_routines_at(i), count);
            check_rows_f64(simd_routines_at(i), count);
            check_spectrum_f32(simd_routines_at(i), count);
            check_spectrum_f64(simd_routines_at(i), count);
        }
        check_twist_f32(simd_routines_at(i));
        check_twist_f64(simd_routines_at(i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths_are_smooth),
        cmocka_unit_test(test_roots_have_all_their_digits),
        cmocka_unit_test(test_rows_and_twists),
        cmocka_unit_test(test_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
