/* SPDX-License-Identifier: MIT */
/* The values of the named kernels that are not fixed digits. They are made in place, without scratch; sums are made 1 by
 * dividing, so they are 1 but for rounding. */
#include "core/named_kernel_makers.h"

#include <math.h>

static size_t count_of(unsigned axes, size_t length)
{
    size_t count = 1;
    for (unsigned axis = 0; axis < axes; axis++)
        count *= length;
    return count;
}

static void fill(double *values, size_t count, double value)
{
    for (size_t i = 0; i < count; i++)
        values[i] = value;
}

void make_identity(const double *parameters, unsigned axes, size_t length, double *values)
{
    (void)parameters;
    const size_t count = count_of(axes, length);
    fill(values, count, 0);
    values[count / 2] = 1;
}

void make_box(const double *parameters, unsigned axes, size_t length, double *values)
{
    (void)parameters;
    const size_t count = count_of(axes, length);
    fill(values, count, 1 / (double)count);
}

/* Equal weights on the cells whose centres are at most `radius` from the centre. */
void make_disk(const double *parameters, unsigned axes, size_t length, double *values)
{
    (void)axes;
    const double centre = (double)(length / 2), square = parameters[0] * parameters[0];
    size_t inside = 0;
    for (size_t row = 0; row < length; row++) {
        for (size_t column = 0; column < length; column++) {
            const double y = (double)row - centre, x = (double)column - centre;
            const double value = x * x + y * y <= square;
            values[row * length + column] = value;
            inside += value != 0;
        }
    }
    for (size_t i = 0; i < length * length; i++)
        values[i] /= (double)inside;
}

/* The one-dimensional profile first, in the first row of the values; then the products of it, from the last value to the
 * first, so that the profile is overwritten only when nothing needs it any more. */
void make_gaussian(const double *parameters, unsigned axes, size_t length, double *values)
{
    const double centre = (double)(length / 2);
    double sum = 0;
    for (size_t i = 0; i < length; i++) {
        const double z = ((double)i - centre) / parameters[0];
        values[i] = exp(-0.5 * z * z);
        sum += values[i];
    }
    for (size_t i = 0; i < length; i++)
        values[i] /= sum;
    const double first = values[0];
    for (size_t i = count_of(axes, length); axes > 1 && i-- > 0;) {
        double product = values[i % length];
        size_t rest = i / length;
        for (unsigned axis = 1; axis < axes; axis++, rest /= length)
            product *= rest % length == 0 ? first : values[rest % length];
        values[i] = product;
    }
}

void make_unsharp(const double *parameters, unsigned axes, size_t length, double *values)
{
    const size_t count = count_of(axes, length);
    make_gaussian(parameters, axes, length, values);
    for (size_t i = 0; i < count; i++) {
        const double identity = i == count / 2;
        values[i] = identity + parameters[1] * (identity - values[i]);
    }
}

void make_laplacian(const double *parameters, unsigned axes, size_t length, double *values)
{
    (void)parameters;
    const size_t count = count_of(axes, length);
    fill(values, count, 0);
    for (size_t axis = 0, pitch = 1; axis < axes; axis++, pitch *= length) {
        values[count / 2 - pitch] += 1;
        values[count / 2] -= 2;
        values[count / 2 + pitch] += 1;
    }
}

/* The sum over the axes of a gaussian derived twice along that axis. The second derivative of a gaussian is the gaussian
 * itself times (x^2 / sigma^2 - 1) / sigma^2, so it is one factor on the product of the profiles. */
void make_laplacian_of_gaussian(const double *parameters, unsigned axes, size_t length, double *values)
{
    const double sigma = parameters[0], centre = (double)(length / 2);
    const size_t count = count_of(axes, length);
    make_gaussian(parameters, axes, length, values);
    for (size_t i = 0; i < count; i++) {
        double factor = 0;
        size_t rest = i;
        for (unsigned axis = 0; axis < axes; axis++, rest /= length) {
            const double z = ((double)(rest % length) - centre) / sigma;
            factor += (z * z - 1) / (sigma * sigma);
        }
        values[i] *= factor;
    }
}

/* The direction of an angle in degrees; exact at multiples of 90, so that no dust falls beside a straight line. */
static void direction(double degrees, double *cosine, double *sine)
{
    int quarter;
    const double rest = remquo(fmod(degrees, 360), 90, &quarter) * (3.14159265358979323846 / 180);
    const double c = cos(rest), s = sin(rest);
    switch (quarter & 3) {
    case 0:
        *cosine = c, *sine = s;
        break;
    case 1:
        *cosine = -s, *sine = c;
        break;
    case 2:
        *cosine = -c, *sine = -s;
        break;
    default:
        *cosine = s, *sine = -c;
        break;
    }
}

/* `size` points one cell apart on a line through the centre, each shared out between the four cells around it by how near
 * they are. Rows count downwards, angles counter-clockwise. */
void make_motion_blur(const double *parameters, unsigned axes, size_t length, double *values)
{
    (void)axes;
    const double centre = (double)(length / 2);
    double cosine, sine;
    direction(parameters[1], &cosine, &sine);
    fill(values, length * length, 0);
    for (size_t point = 0; point < length; point++) {
        const double distance = (double)point - centre;
        const double x = centre + distance * cosine, y = centre - distance * sine;
        const double column = floor(x), row = floor(y), right = x - column, below = y - row;
        double *const cell = values + (size_t)row * length + (size_t)column;
        cell[0] += (1 - right) * (1 - below);
        if (right > 0)
            cell[1] += right * (1 - below);
        if (below > 0)
            cell[length] += (1 - right) * below;
        if (right > 0 && below > 0)
            cell[length + 1] += right * below;
    }
    for (size_t i = 0; i < length * length; i++)
        values[i] /= (double)length;
}
