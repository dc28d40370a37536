/* SPDX-License-Identifier: MIT */
/* Lengths, their factors, and the roots of unity. Roots are made from short tables of long doubles by products, so that a
 * long transform's table costs multiplications, not sines. */
#include "core/fft.h"

#include <assert.h>
#include <math.h>

size_t fft_length_next(size_t least)
{
    size_t best = 0;
    for (size_t fives = 1; fives <= FFT_LENGTH_MAX; fives *= 5)
        for (size_t odd = fives; odd <= FFT_LENGTH_MAX; odd *= 3) {
            size_t length = odd;
            if (odd < least) {
                length <<= __builtin_clzll(odd) - __builtin_clzll(least); /* as many digits as `least` */
                length <<= length < least;
            }
            if (length <= FFT_LENGTH_MAX && (best == 0 || length < best))
                best = length;
            if (odd >= least)
                break;
        }
    return best;
}

/* The steps' radixes, largest spans first: odd ones, then a 2 where the power of two leaves one, then fours. Eights do not fit
 * 16 registers, and every set takes the same steps, so that the sets with fused multiply-adds give the same bits. */
static unsigned find_radixes(size_t length, unsigned *radixes)
{
    unsigned count = 0, twos = 0;
    assert(length >= 1);
    for (; length % 5 == 0; length /= 5)
        radixes[count++] = 5;
    for (; length % 3 == 0; length /= 3)
        radixes[count++] = 3;
    for (; length % 2 == 0; length /= 2)
        twos++;
    assert(length == 1);
    if (twos % 2)
        radixes[count++] = 2;
    for (; twos >= 2; twos -= 2)
        radixes[count++] = 4;
    return count;
}

/* A step over a span s has less than 2 (radix - 1) s / radix, and the next span is s / radix. */
size_t fft_turns_count(size_t length)
{
    return 2 * length;
}

/* ---- Roots ---- */

/* Exact symmetries bring the angle below an eighth of a turn, where its own rounding does no harm. */
static struct fft_wide_root compute_root(size_t index, size_t length)
{
    const size_t turn = index % length * 8; /* in eighths of 1/length */
    const unsigned eighth = (unsigned)(turn / length);
    const size_t rest = turn % length, part = eighth & 1 ? length - rest : rest;
    const long double angle = (long double)part / (long double)length * 0.78539816339744830961566L;
    const long double c = cosl(angle), s = sinl(angle);
    switch (eighth) {
    case 0:
        return (struct fft_wide_root){c, -s};
    case 1:
        return (struct fft_wide_root){s, -c};
    case 2:
        return (struct fft_wide_root){-s, -c};
    case 3:
        return (struct fft_wide_root){-c, -s};
    case 4:
        return (struct fft_wide_root){-c, s};
    case 5:
        return (struct fft_wide_root){-s, c};
    case 6:
        return (struct fft_wide_root){s, c};
    default:
        return (struct fft_wide_root){c, s};
    }
}

struct fft_root fft_root(size_t index, size_t length)
{
    const struct fft_wide_root root = compute_root(index, length);
    return (struct fft_root){(double)root.re, (double)root.im};
}

/* Roots of the order `length`: those of the first eighth of a turn, of which symmetries give the others, are products of three
 * short tables; where there are few of them, all of them are kept. Three roundings to long double leave no more than 0.01
 * units in the last place of a double, for in that eighth neither part cancels. */
static struct fft_wide_root multiply(struct fft_wide_root a, struct fft_wide_root b)
{
    return (struct fft_wide_root){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static struct fft_root product_root(const struct fft_roots *roots, size_t number)
{
    const size_t mask = ((size_t)1 << roots->bits) - 1;
    const struct fft_wide_root high = roots->level[2][number >> 2 * roots->bits],
                               middle = roots->level[1][number >> roots->bits & mask],
                               low = roots->level[0][number & mask];
    const struct fft_wide_root root = multiply(multiply(high, middle), low);
    return (struct fft_root){(double)root.re, (double)root.im};
}

void fft_fill_roots(struct fft_roots *roots, size_t length)
{
    const unsigned shared = length % 8 == 0 ? 3 : (unsigned)__builtin_ctzll(length);
    const size_t count = (length >> shared) + 1;
    roots->length = length;
    roots->shared = shared;
    roots->bits = 3;
    while (roots->bits && count > (size_t)1 << FFT_ROOT_LEVELS * roots->bits)
        roots->bits = (size_t)1 << roots->bits < FFT_ROOT_DIGITS ? roots->bits + 1 : 0;
    for (unsigned i = 0; i < FFT_ROOT_LEVELS && roots->bits; i++)
        for (size_t digit = 0; digit >> roots->bits == 0 && digit << i * roots->bits < count; digit++)
            roots->level[i][digit] = compute_root(digit << i * roots->bits, ((size_t)8 >> shared) * length);
    roots->flat = count <= FFT_ROOT_FLAT;
    for (size_t number = 0; number < count && roots->flat; number++)
        roots->all[number] = product_root(roots, number);
}

struct fft_root fft_find_root(const struct fft_roots *roots, size_t index)
{
    const size_t length = roots->length, turn = index * 8;
    if (!roots->bits)
        return fft_root(index, length);
    const unsigned eighth = (unsigned)(turn / length);
    const size_t rest = turn - eighth * length, number = (eighth & 1 ? length - rest : rest) >> roots->shared;
    const struct fft_root root = roots->flat ? roots->all[number] : product_root(roots, number);
    const double c = root.re, s = -root.im;
    const bool crossed = (eighth + 1) & 2;
    const double x = crossed ? s : c, y = crossed ? c : s;
    return (struct fft_root){eighth >= 2 && eighth < 6 ? -x : x, eighth < 4 ? -y : y};
}

static size_t fill_step(const struct fft_roots *roots, size_t span, unsigned radix, double *turns)
{
    const size_t apart = span / radix, scale = roots->length / span;
    size_t at = 0;
    for (size_t j = 1; j < apart; j++)
        for (size_t q = 1; q < radix; q++, at += 2) {
            const struct fft_root root = fft_find_root(roots, j * q * scale);
            turns[at] = root.re;
            turns[at + 1] = root.im;
        }
    return at;
}

void fft_fill(struct simd_fft *fft, size_t length, double *turns)
{
    struct fft_roots roots;
    unsigned radixes[SIMD_FFT_STEPS_MAX];
    size_t span = length;
    fft_fill_roots(&roots, length);
    *fft = (struct simd_fft){.length = length, .step_count = find_radixes(length, radixes)};
    for (unsigned i = 0; i < fft->step_count; i++) {
        fft->steps[i] = (struct simd_fft_step){.radix = radixes[i], .span = span, .turns = turns};
        turns += fill_step(&roots, span, radixes[i], turns);
        span /= radixes[i];
    }
}

void fft_narrow(struct simd_fft *fft, const struct simd_fft *twice, float *turns)
{
    *fft = *twice;
    for (unsigned i = 0; i < fft->step_count; i++) {
        const unsigned radix = fft->steps[i].radix;
        const size_t count = 2 * (radix - 1) * (fft->steps[i].span / radix - 1);
        const double *const from = twice->steps[i].turns;
        for (size_t at = 0; at < count; at++)
            turns[at] = (float)from[at];
        fft->steps[i].turns = turns;
        turns += count;
    }
}

size_t fft_place(const struct simd_fft *fft, size_t k)
{
    size_t place = 0;
    for (unsigned i = 0; i < fft->step_count; i++) {
        const unsigned radix = fft->steps[i].radix;
        place += k % radix * (fft->steps[i].span / radix);
        k /= radix;
    }
    return place;
}

/* ---- Errors ----
 *
 * u is the unit roundoff, |.| the 2-norm. A transform is a chain of butterflies and turns, each a multiple of a unitary matrix.
 * Relative errors in the 2-norm pass through those unchanged, so those of the parts add up (Higham, Accuracy and Stability
 * of Numerical Algorithms, theorem 24.2, for other radixes); a tenth more covers the higher orders of u. The parts:
 *   An addition's error is relative to its result: each level of additions and subtractions of pairs is 1 u. Radix 2 has one
 * level, radix 4 two.
 *   Radix 3: with s = x1 + x2 and d = x1 - x2, |s|, |d| <= sqrt(2) |x|, the exact result has norm sqrt(3) |x|. Errors of s
 * reach the outputs with norm sqrt(1.5) u |s|: 1 u; those of sqrt(3/4) d (difference, constant, product) with
 * 3 sqrt(1.5) u |d|: 3 u; x0 - s/2, twice sqrt(1.5) u |x|: 1 u; the last additions 1 u.
 *   Radix 5, likewise, the sums counted as if not fused, Cauchy-Schwarz over |x|, the exact norm sqrt(5) |x|: both sums of
 * pairs 1.5, the two cosine parts 4.3, the two sine parts 5.7, the zeroth output's inner sum 0.9, the last additions 1.
 *   A turn: the root is off by at most 0.73 u (0.51 units in the last place of each part), the product by sqrt(5) u (Brent,
 * Percival and Zimmermann, 2007). */
static double radix_units(unsigned radix)
{
    switch (radix) {
    case 2:
        return 1;
    case 3:
        return 6;
    case 4:
        return 2;
    default:
        return 13.5;
    }
}

/* Along each path from an input to an output, as multiples of that input: additions 1 u each; of
 * the radixes 3 and 5 the roundings that a term meets, times the real and the imaginary factor it is split into. */
static double radix_path_units(unsigned radix)
{
    switch (radix) {
    case 2:
        return 1;
    case 3:
        return 5.2;
    case 4:
        return 2;
    default:
        return 7.5;
    }
}

static double sum_units(const struct simd_fft *fft, double (*units_of)(unsigned radix))
{
    double units = 0;
    for (unsigned i = 0; i < fft->step_count; i++)
        units += units_of(fft->steps[i].radix) + 3;
    return units * 1.1;
}

double fft_error_units(const struct simd_fft *fft)
{
    return sum_units(fft, radix_units);
}

double fft_path_error_units(const struct simd_fft *fft)
{
    return sum_units(fft, radix_path_units);
}
