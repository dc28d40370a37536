/* SPDX-License-Identifier: MIT */
/* The body of butterflies.c for one type; included with REAL (float), BITS (f32) set. Lanes are independent transforms; a
 * transform's elements lie `pitch` apart, real and imaginary parts in arrays of their own, so no step shuffles lanes. */

#define JOIN2(a, b) a##_##b
#define JOIN(a, b)  JOIN2(a, b)
#define S(name)     JOIN(name, BITS)
#define VEC         S(vec)
#define LOAD        S(load)
#define STORE       S(store)
#define LANES       S(LANES)
#define WIDTH       S(SIMD_FFT_WIDTH)

/* One complex number per lane. */
struct S(pair) {
    VEC re, im;
};
#define PAIR struct S(pair)

/* Where a transform's elements lie. */
struct S(place) {
    REAL *re, *im;
    size_t pitch;
};
#define PLACE struct S(place)

VEC_INLINE PAIR S(add)(PAIR a, PAIR b)
{
    return (PAIR){a.re + b.re, a.im + b.im};
}
VEC_INLINE PAIR S(sub)(PAIR a, PAIR b)
{
    return (PAIR){a.re - b.re, a.im - b.im};
}
/* a - i*b and a + i*b: a quarter turn costs nothing but names. */
VEC_INLINE PAIR S(sub_turned)(PAIR a, PAIR b)
{
    return (PAIR){a.re + b.im, a.im - b.re};
}
VEC_INLINE PAIR S(add_turned)(PAIR a, PAIR b)
{
    return (PAIR){a.re - b.im, a.im + b.re};
}
/* c + a * scale, scale real */
VEC_INLINE PAIR S(grow)(PAIR c, PAIR a, REAL scale)
{
    const VEC s = S(all)(scale);
    return (PAIR){MULTIPLY_ADD(BITS)(a.re, s, c.re), MULTIPLY_ADD(BITS)(a.im, s, c.im)};
}
VEC_INLINE PAIR S(scale)(PAIR a, REAL scale)
{
    const VEC s = S(all)(scale);
    return (PAIR){a.re * s, a.im * s};
}
/* a * (re + i*im), or times its conjugate */
VEC_INLINE PAIR S(rotate)(PAIR a, VEC re, VEC im, bool conjugate)
{
    const VEC cross_re = a.im * im, cross_im = a.re * im;
    return conjugate ? (PAIR){MULTIPLY_ADD(BITS)(a.re, re, cross_re), MULTIPLY_ADD(BITS)(a.im, re, -cross_im)}
                     : (PAIR){MULTIPLY_ADD(BITS)(a.re, re, -cross_re), MULTIPLY_ADD(BITS)(a.im, re, cross_im)};
}

/* ---- Transforms of a radix, forward (e^-i) or inverse (e^+i), in place in `x`. ---- */

VEC_INLINE PAIR S(quarter_sub)(PAIR a, PAIR b, bool inverse)
{
    return inverse ? S(add_turned)(a, b) : S(sub_turned)(a, b);
}
VEC_INLINE PAIR S(quarter_add)(PAIR a, PAIR b, bool inverse)
{
    return inverse ? S(sub_turned)(a, b) : S(add_turned)(a, b);
}
VEC_INLINE void S(radix2)(PAIR *x)
{
    const PAIR sum = S(add)(x[0], x[1]);
    x[1] = S(sub)(x[0], x[1]);
    x[0] = sum;
}
VEC_INLINE void S(radix3)(PAIR *x, bool inverse)
{
    const PAIR sum = S(add)(x[1], x[2]), turned = S(scale)(S(sub)(x[1], x[2]), (REAL)0.86602540378443864676);
    const PAIR middle = S(grow)(x[0], sum, (REAL)-0.5);
    x[0] = S(add)(x[0], sum);
    x[1] = S(quarter_sub)(middle, turned, inverse);
    x[2] = S(quarter_add)(middle, turned, inverse);
}
VEC_INLINE void S(radix4)(PAIR *x, bool inverse)
{
    const PAIR even = S(add)(x[0], x[2]), odd = S(add)(x[1], x[3]);
    const PAIR even_less = S(sub)(x[0], x[2]), odd_less = S(sub)(x[1], x[3]);
    x[0] = S(add)(even, odd);
    x[1] = S(quarter_sub)(even_less, odd_less, inverse);
    x[2] = S(sub)(even, odd);
    x[3] = S(quarter_add)(even_less, odd_less, inverse);
}
VEC_INLINE void S(radix5)(PAIR *x, bool inverse)
{
    const REAL c1 = (REAL)0.30901699437494742410, c2 = (REAL)-0.80901699437494742410;
    const REAL s1 = (REAL)0.95105651629515357212, s2 = (REAL)0.58778525229247312917;
    const PAIR outer = S(add)(x[1], x[4]), inner = S(add)(x[2], x[3]);
    const PAIR outer_less = S(sub)(x[1], x[4]), inner_less = S(sub)(x[2], x[3]);
    const PAIR a = S(grow)(S(grow)(x[0], outer, c1), inner, c2), b = S(grow)(S(grow)(x[0], outer, c2), inner, c1);
    const PAIR p = S(grow)(S(scale)(outer_less, s1), inner_less, s2);
    const PAIR q = S(grow)(S(scale)(outer_less, s2), inner_less, -s1);
    x[0] = S(add)(x[0], S(add)(outer, inner));
    x[1] = S(quarter_sub)(a, p, inverse);
    x[2] = S(quarter_sub)(b, q, inverse);
    x[3] = S(quarter_add)(b, q, inverse);
    x[4] = S(quarter_add)(a, p, inverse);
}
VEC_INLINE void S(radix8)(PAIR *x, bool inverse)
{
    const REAL half = (REAL)0.70710678118654752440;
    PAIR even[4], odd[4];
    for (int i = 0; i < 4; i++) {
        even[i] = S(add)(x[i], x[i + 4]);
        odd[i] = S(sub)(x[i], x[i + 4]);
    }
    /* the odd half is turned by eighths: 1, (1-i)/sqrt 2, -i, (-1-i)/sqrt 2 (forward) */
    const PAIR one = S(scale)(S(quarter_sub)(odd[1], odd[1], inverse), half);
    const PAIR three = S(scale)(S(quarter_sub)((PAIR){-odd[3].re, -odd[3].im}, odd[3], inverse), half);
    const PAIR odd_even = S(quarter_sub)(odd[0], odd[2], inverse), odd_odd = S(quarter_add)(odd[0], odd[2], inverse);
    const PAIR sum = S(add)(one, three), less = S(sub)(one, three);
    S(radix4)(even, inverse);
    x[0] = even[0];
    x[2] = even[1];
    x[4] = even[2];
    x[6] = even[3];
    x[1] = S(add)(odd_even, sum);
    x[5] = S(sub)(odd_even, sum);
    x[3] = S(quarter_sub)(odd_odd, less, inverse);
    x[7] = S(quarter_add)(odd_odd, less, inverse);
}
VEC_INLINE void S(radix)(PAIR *x, unsigned radix, bool inverse)
{
    if (radix == 2)
        S(radix2)(x);
    else if (radix == 3)
        S(radix3)(x, inverse);
    else if (radix == 4)
        S(radix4)(x, inverse);
    else if (radix == 5)
        S(radix5)(x, inverse);
    else
        S(radix8)(x, inverse);
}

/* One butterfly: `radix` elements, `apart` elements of the transform between neighbours, element 0 being number `first`. */
VEC_INLINE void S(butterfly)(PLACE to, PLACE from, size_t first, size_t apart, const REAL *turn, unsigned radix,
                             bool inverse)
{
    PAIR x[8];
    for (unsigned q = 0; q < radix; q++) {
        const size_t at = (first + q * apart) * from.pitch;
        x[q] = (PAIR){LOAD(from.re + at), LOAD(from.im + at)};
    }
    if (inverse && turn)
        for (unsigned q = 1; q < radix; q++)
            x[q] = S(rotate)(x[q], S(all)(turn[2 * q - 2]), S(all)(turn[2 * q - 1]), true);
    S(radix)(x, radix, inverse);
    if (!inverse && turn)
        for (unsigned q = 1; q < radix; q++)
            x[q] = S(rotate)(x[q], S(all)(turn[2 * q - 2]), S(all)(turn[2 * q - 1]), false);
    for (unsigned q = 0; q < radix; q++) {
        const size_t at = (first + q * apart) * to.pitch;
        STORE(to.re + at, x[q].re);
        STORE(to.im + at, x[q].im);
    }
}

/* One step of a transform on one vector of lanes, for every block of `span` elements. Forward by decimation in frequency:
 * transform, then turn; inverse by decimation in time: turn back, then transform. */
VEC_INLINE void S(step)(PLACE to, PLACE from, size_t length, size_t span, const REAL *turns, unsigned radix,
                        bool inverse)
{
    const size_t apart = span / radix;

    for (size_t block = 0; block < length; block += span)
        S(butterfly)(to, from, block, apart, NULL, radix, inverse);
    for (size_t j = 1; j < apart; j++)
        for (size_t block = 0; block < length; block += span)
            S(butterfly)(to, from, block + j, apart, turns + (j - 1) * 2 * (radix - 1), radix, inverse);
}

static void S(run_step)(const struct simd_fft *fft, unsigned index, PLACE to, PLACE from, bool inverse)
{
    const struct simd_fft_step *step = &fft->steps[index];

#define RADIX(r)                                                                                                       \
    case r:                                                                                                            \
        if (inverse)                                                                                                   \
            S(step)(to, from, fft->length, step->span, step->turns, r, true);                                          \
        else                                                                                                           \
            S(step)(to, from, fft->length, step->span, step->turns, r, false);                                         \
        break;
    switch (step->radix) {
        RADIX(2)
        RADIX(3)
        RADIX(4)
        RADIX(5)
        RADIX(8)
    }
#undef RADIX
}

/* A transform of length 1 has no step, but its input may still have to come from elsewhere. */
static void S(take)(PLACE to, PLACE from)
{
    STORE(to.re, LOAD(from.re));
    STORE(to.im, LOAD(from.im));
}

void ROUTINE_OF(S(fft_forward))(const struct simd_fft *fft, REAL *re, REAL *im, size_t pitch, const REAL *from_re,
                                const REAL *from_im, size_t from_pitch, size_t count)
{
    for (size_t x = 0; x < count; x += LANES) {
        const PLACE to = {re + x, im + x, pitch};
        const PLACE from = {(REAL *)from_re + x, (REAL *)from_im + x, from_pitch}; /* only read */
        if (fft->step_count == 0)
            S(take)(to, from);
        for (unsigned i = 0; i < fft->step_count; i++)
            S(run_step)(fft, i, to, i == 0 ? from : to, false);
    }
}

void ROUTINE_OF(S(fft_inverse))(const struct simd_fft *fft, REAL *re, REAL *im, size_t pitch, size_t count)
{
    for (size_t x = 0; x < count; x += LANES) {
        const PLACE place = {re + x, im + x, pitch};
        for (unsigned i = fft->step_count; i-- > 0;)
            S(run_step)(fft, i, place, place, true);
    }
}

/* ---- Products of spectra ---- */

VEC_INLINE void S(multiply_at)(REAL *re, REAL *im, VEC by_re, VEC by_im, bool conjugate)
{
    const PAIR product = S(rotate)((PAIR){LOAD(re), LOAD(im)}, by_re, by_im, conjugate);
    STORE(re, product.re);
    STORE(im, product.im);
}

void ROUTINE_OF(S(fft_multiply))(REAL *re, REAL *im, const REAL *by_re, const REAL *by_im, size_t count)
{
    for (size_t x = 0; x < count; x += LANES)
        S(multiply_at)(re + x, im + x, LOAD(by_re + x), LOAD(by_im + x), false);
}

void ROUTINE_OF(S(fft_multiply_each))(REAL *re, REAL *im, const REAL *by_re, const REAL *by_im, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t x = 0; x < WIDTH; x += LANES)
            S(multiply_at)(re + i * WIDTH + x, im + i * WIDTH + x, S(all)(by_re[i]), S(all)(by_im[i]), false);
}

void ROUTINE_OF(S(fft_twist))(REAL *re, REAL *im, const REAL *coarse, const REAL *fine, size_t fine_count, size_t count,
                              bool inverse)
{
    for (size_t i = 0; i < count; i += fine_count) {
        const size_t end = count - i < fine_count ? count - i : fine_count;
        const REAL *const turn = coarse + i / fine_count * 2 * WIDTH;
        for (size_t x = 0; x < WIDTH; x += LANES) {
            const PAIR base = {LOAD(turn + x), LOAD(turn + WIDTH + x)};
            for (size_t j = 0; j < end; j++) {
                const REAL *const part = fine + j * 2 * WIDTH + x;
                const PAIR by = S(rotate)(base, LOAD(part), LOAD(part + WIDTH), false);
                const size_t at = (i + j) * WIDTH + x;
                if (inverse)
                    S(multiply_at)(re + at, im + at, by.re, by.im, true);
                else
                    S(multiply_at)(re + at, im + at, by.re, by.im, false);
            }
        }
    }
}

#undef PLACE
#undef PAIR
#undef VEC
#undef LOAD
#undef STORE
#undef LANES
#undef WIDTH
#undef S
#undef JOIN
#undef JOIN2
