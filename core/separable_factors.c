/* SPDX-License-Identifier: MIT */
/* Finds the factors through the pivot, the value of largest magnitude: the lines of values that cross there are the factors but
 * for their scale. Floats are divided by the pivot; integers by the greatest common divisor of each line, and the first
 * line by what the others have at the pivot. Then every value is compared with its product. */
#include "core/separable_factors.h"

#include <float.h>
#include <math.h>

__extension__ typedef __int128 wide;

/* A value of any dtype, and products of them. */
struct value {
    long double real, imag;
};

struct gaussian {
    wide real, imag;
};

/* One entry of a factor, before it is stored. */
union entry {
    struct value value;
    struct gaussian integer;
};

struct search {
    const struct factors_slice *slice;
    struct factors *factors;
    union entry *line[CONVOLVE_RANK_MAX];
    size_t pivot[CONVOLVE_RANK_MAX];
    struct value pivot_value;
    long double sum, largest; /* of absolute values */
    bool integral, complex;
    bool large; /* no product with a value is below what is exact, unless one of them is 0 */
};

bool factors_work_bytes(const size_t *taps, unsigned axis_count, size_t *bytes)
{
    size_t count = 0;
    for (unsigned i = 0; i < axis_count; i++)
        if (__builtin_add_overflow(count, taps[i], &count))
            return false;
    return !__builtin_mul_overflow(count, sizeof(union entry), bytes);
}

static struct value value_at(const struct factors_slice *slice, ptrdiff_t element)
{
    struct value value = {0};
    switch (slice->dtype) {
    case CONVOLVE_FLOAT64:
        value.real = (long double)((const double *)slice->values)[element];
        break;
    case CONVOLVE_FLOAT32:
        value.real = (long double)((const float *)slice->values)[element];
        break;
    case CONVOLVE_INT64:
        value.real = (long double)((const int64_t *)slice->values)[element];
        break;
    case CONVOLVE_COMPLEX128:
        value.real = (long double)((const double *)slice->values)[2 * element];
        value.imag = (long double)((const double *)slice->values)[2 * element + 1];
        break;
    case CONVOLVE_COMPLEX64:
        value.real = (long double)((const float *)slice->values)[2 * element];
        value.imag = (long double)((const float *)slice->values)[2 * element + 1];
        break;
    }
    if (slice->conjugated)
        value.imag = -value.imag;
    return value;
}

/* The next tap in row-major order and its element; false after the last. */
static bool next_tap(const struct factors_slice *slice, size_t *tap, ptrdiff_t *element)
{
    for (unsigned i = slice->axis_count; i-- > 0;) {
        *element += slice->pitch[i];
        if (++tap[i] < slice->taps[i])
            return true;
        *element -= slice->pitch[i] * (ptrdiff_t)slice->taps[i];
        tap[i] = 0;
    }
    return false;
}

/* ---- Gaussian integers ------------------------------------------------------------------------------------------------ */

static bool is_zero(struct gaussian a)
{
    return a.real == 0 && a.imag == 0;
}

static wide rounded_quotient(wide a, wide b)
{
    const wide half = b / 2;
    return (a >= 0 ? a + half : a - half) / b;
}

static struct gaussian times(struct gaussian a, struct gaussian b)
{
    return (struct gaussian){a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real};
}

/* a / b to the nearest Gaussian integer. b is not 0. */
static struct gaussian nearest_quotient(struct gaussian a, struct gaussian b)
{
    const wide square = b.real * b.real + b.imag * b.imag;
    const struct gaussian product = times(a, (struct gaussian){b.real, -b.imag});
    return (struct gaussian){rounded_quotient(product.real, square), rounded_quotient(product.imag, square)};
}

static struct gaussian remainder_of(struct gaussian a, struct gaussian b)
{
    const struct gaussian product = times(nearest_quotient(a, b), b);
    return (struct gaussian){a.real - product.real, a.imag - product.imag};
}

/* Of real ones it is positive. */
static struct gaussian common_divisor(struct gaussian a, struct gaussian b)
{
    while (!is_zero(b)) {
        const struct gaussian rest = remainder_of(a, b);
        a = b;
        b = rest;
    }
    if (a.real < 0)
        a = (struct gaussian){-a.real, -a.imag};
    return a;
}

static bool divide_exactly(struct gaussian *a, struct gaussian b)
{
    if (!is_zero(remainder_of(*a, b)))
        return false;
    *a = nearest_quotient(*a, b);
    return true;
}

/* ---- Lines ------------------------------------------------------------------------------------------------------------ */

static bool is_single(const struct factors_slice *slice)
{
    return slice->dtype == CONVOLVE_FLOAT32 || slice->dtype == CONVOLVE_COMPLEX64;
}

/* One pass over the values: the pivot, the sum, and whether all are integers. False where one is not finite. */
static bool look_at_values(struct search *search)
{
    const struct factors_slice *slice = search->slice;
    const long double exact_below = is_single(slice) ? 0x1p24L : 0x1p53L;
    size_t tap[CONVOLVE_RANK_MAX] = {0};
    ptrdiff_t element = 0;
    search->integral = search->large = true;
    do {
        const struct value value = value_at(slice, element);
        const long double magnitude = fabsl(value.real) + fabsl(value.imag);
        if (!isfinite(magnitude))
            return false;
        search->sum += magnitude;
        search->complex |= value.imag != 0;
        search->integral &= value.real == rintl(value.real) && value.imag == rintl(value.imag);
        search->large &= magnitude == 0 || magnitude >= exact_below;
        if (magnitude <= search->largest)
            continue;
        search->largest = magnitude;
        search->pivot_value = value;
        for (unsigned i = 0; i < slice->axis_count; i++)
            search->pivot[i] = tap[i];
    } while (next_tap(slice, tap, &element));
    return true;
}

static struct value line_value(const struct search *search, unsigned axis, size_t tap)
{
    const struct factors_slice *slice = search->slice;
    ptrdiff_t element = 0;
    for (unsigned i = 0; i < slice->axis_count; i++)
        element += slice->pitch[i] * (ptrdiff_t)(i == axis ? tap : search->pivot[i]);
    return value_at(slice, element);
}

static struct value divided(struct value a, struct value b)
{
    if (b.imag == 0)
        return (struct value){a.real / b.real, a.imag / b.real};
    const long double square = b.real * b.real + b.imag * b.imag;
    return (struct value){(a.real * b.real + a.imag * b.imag) / square, (a.imag * b.real - a.real * b.imag) / square};
}

static bool find_integer_lines(struct search *search)
{
    const struct factors_slice *slice = search->slice;
    const long double integer_end = LDBL_MANT_DIG >= 64 ? 0x1p62L : 0x1p53L;
    if (search->largest >= integer_end)
        return false; /* no room to be multiplied in */
    struct gaussian others = {1, 0};
    for (unsigned i = slice->axis_count; i-- > 0;) {
        struct gaussian divisor = {0};
        for (size_t t = 0; t < slice->taps[i]; t++) {
            const struct value value = line_value(search, i, t);
            search->line[i][t].integer = (struct gaussian){(wide)value.real, (wide)value.imag};
            if (i > 0)
                divisor = common_divisor(search->line[i][t].integer, divisor);
        }
        for (size_t t = 0; t < slice->taps[i]; t++)
            if (search->sum > 0 && !divide_exactly(&search->line[i][t].integer, i > 0 ? divisor : others))
                return false;
        if (i > 0) /* divides the pivot, or the slice is not separable: never larger */
            others = times(others, search->line[i][search->pivot[i]].integer);
        const wide limit = (wide)1 << 62;
        if (others.real > limit || others.real < -limit || others.imag > limit || others.imag < -limit)
            return false;
    }
    return true;
}

static void find_float_lines(struct search *search)
{
    const struct factors_slice *slice = search->slice;
    for (unsigned i = 0; i < slice->axis_count; i++)
        for (size_t t = 0; t < slice->taps[i]; t++) {
            const struct value value = line_value(search, i, t);
            search->line[i][t].value = i > 0 ? divided(value, search->pivot_value) : value;
        }
}

/* Integers become values; of floats all factors but the last are scaled, and the last takes the scales back. */
static void scale_lines(struct search *search)
{
    const struct factors_slice *slice = search->slice;
    int taken = 0;
    for (unsigned i = 0; i < slice->axis_count; i++) {
        long double sum = 0;
        for (size_t t = 0; t < slice->taps[i]; t++) {
            union entry *const entry = &search->line[i][t];
            if (search->integral)
                entry->value = (struct value){(long double)entry->integer.real, (long double)entry->integer.imag};
            sum += fabsl(entry->value.real) + fabsl(entry->value.imag);
        }
        int exponent = 0;
        if (slice->dtype != CONVOLVE_INT64 && i + 1 < slice->axis_count)
            frexpl(sum, &exponent), exponent++;
        taken += exponent;
        const int shift = i + 1 < slice->axis_count ? -exponent : taken;
        for (size_t t = 0; t < slice->taps[i]; t++) {
            struct value *const value = &search->line[i][t].value;
            *value = (struct value){scalbnl(value->real, shift), scalbnl(value->imag, shift)};
        }
    }
}

/* ---- Storing and comparing -------------------------------------------------------------------------------------------- */

/* Rounds one part to the dtype, in the array and in the line. False where that is not finite, or changes an integer. */
static bool store(const struct search *search, void *array, size_t index, long double *value)
{
    const long double exact = *value;
    switch (search->slice->dtype) {
    case CONVOLVE_INT64:
        ((int64_t *)array)[index] = (int64_t)*value;
        return true;
    case CONVOLVE_FLOAT32:
    case CONVOLVE_COMPLEX64:
        ((float *)array)[index] = (float)*value;
        *value = (long double)((float *)array)[index];
        break;
    default:
        ((double *)array)[index] = (double)*value;
        *value = (long double)((double *)array)[index];
    }
    return isfinite(*value) && !(search->integral && *value != exact);
}

static bool store_factors(struct search *search)
{
    struct factors *const factors = search->factors;
    for (unsigned i = 0; i < search->slice->axis_count; i++) {
        long double sum = 0;
        factors->complex[i] = false;
        for (size_t t = 0; t < search->slice->taps[i]; t++) {
            struct value *const value = &search->line[i][t].value;
            if (!store(search, factors->real[i], t, &value->real))
                return false;
            if (convolve_dtype_is_complex(search->slice->dtype) && !store(search, factors->imag[i], t, &value->imag))
                return false;
            factors->complex[i] |= value->imag != 0;
            sum += fabsl(value->real) + fabsl(value->imag);
        }
        factors->sum[i] = (double)sum * (1 + 0x1p-40);
    }
    return true;
}

static struct value product_at(const struct search *search, const size_t *tap, unsigned axes)
{
    struct value product = search->line[0][tap[0]].value;
    for (unsigned i = 1; i < axes; i++) {
        const struct value a = product, b = search->line[i][tap[i]].value;
        product.real = a.real * b.real;
        product.imag = 0;
        if (search->complex) {
            product.real -= a.imag * b.imag;
            product.imag = a.real * b.imag + a.imag * b.real;
        }
    }
    return product;
}

/* Integers, while they are: every product is the value. */
static bool compare_integers(const struct search *search)
{
    const struct factors_slice *slice = search->slice;
    size_t tap[CONVOLVE_RANK_MAX] = {0};
    ptrdiff_t element = 0;
    const wide limit = (wide)1 << 62;
    do {
        struct gaussian product = search->line[0][tap[0]].integer;
        for (unsigned i = 1; i < slice->axis_count; i++) {
            if (product.real > limit || product.real < -limit || product.imag > limit || product.imag < -limit)
                return false;
            product = times(product, search->line[i][tap[i]].integer);
        }
        const struct value value = value_at(slice, element);
        if (product.real != (wide)value.real || product.imag != (wide)value.imag)
            return false;
    } while (next_tap(slice, tap, &element));
    return true;
}

/* Floats, after they were stored. Each product of m factors in long double is within 2m roundings of itself. */
static bool compare_floats(struct search *search)
{
    const struct factors_slice *slice = search->slice;
    const long double tolerance = FACTORS_TOLERANCE * (is_single(slice) ? 0x1p-24L : 0x1p-53L) * search->sum;
    const long double roundings = 4 * (long double)slice->axis_count * LDBL_EPSILON;
    size_t tap[CONVOLVE_RANK_MAX] = {0};
    ptrdiff_t element = 0;
    long double missing = 0;
    do {
        const struct value value = value_at(slice, element), product = product_at(search, tap, slice->axis_count);
        missing += fabsl(value.real - product.real) + fabsl(value.imag - product.imag);
        missing += roundings * (fabsl(product.real) + fabsl(product.imag));
        if (missing > tolerance)
            return false;
    } while (next_tap(slice, tap, &element));
    search->factors->missing = missing * (1 + 0x1p-40L);
    return true;
}

bool factors_find(struct factors *factors, const struct factors_slice *slice, void *work)
{
    struct search search = {.slice = slice, .factors = factors};
    union entry *entry = work;
    for (unsigned i = 0; i < slice->axis_count; i++) {
        search.line[i] = entry;
        entry += slice->taps[i];
    }
    if (!look_at_values(&search))
        return false;
    factors->missing = 0;
    factors->kernel_sum = (double)search.sum * (1 + 0x1p-40);
    if (search.integral && find_integer_lines(&search) && compare_integers(&search)) {
        scale_lines(&search);
        if (store_factors(&search))
            return true;
    }
    /* Large floats are integers by accident. */
    if (search.integral && (slice->dtype == CONVOLVE_INT64 || !search.large))
        return false;
    search.integral = false;
    find_float_lines(&search); /* some value is not 0: a fraction, or a large one */
    scale_lines(&search);
    return store_factors(&search) && compare_floats(&search);
}
