/* SPDX-License-Identifier: MIT */
/* Plain loops: they move a few bytes a sample, beside decoding and encoding that take many times as long. */
#include "server/endpoints/image_samples.h"

#include <math.h>
#include <stdint.h>

#include "server/formats/image.h"

void image_samples_to_plane(const struct image *image, const void *samples, unsigned channel, double *plane,
                            size_t begin, size_t end)
{
    const size_t pitch = image->channels;
    if (image->sample_bytes == 1) {
        const uint8_t *in = (const uint8_t *)samples + channel;
        for (size_t i = begin; i < end; i++)
            plane[i] = in[i * pitch];
    } else {
        const uint16_t *in = (const uint16_t *)samples + channel;
        for (size_t i = begin; i < end; i++)
            plane[i] = in[i * pitch];
    }
}

/* Squares of what 16 bits give are exact, so the magnitude is too, but for the root's rounding; hypot would take ten times as long
 * for ranges that do not come. */
void image_samples_finish(const struct image_finish *finish, double *plane, const double *second, size_t begin,
                          size_t end)
{
    if (second != NULL)
        for (size_t i = begin; i < end; i++)
            plane[i] = sqrt(plane[i] * plane[i] + second[i] * second[i]);
    if (finish->absolute)
        for (size_t i = begin; i < end; i++)
            plane[i] = fabs(plane[i]);
    if (finish->scale != 1 || finish->offset != 0)
        for (size_t i = begin; i < end; i++)
            plane[i] = finish->scale * plane[i] + finish->offset;
}

/* To the nearest integer, halves to the even one, as OpenCV's cvRound, NumPy's rint and the processor do: 0.5 becomes 0, 1.5 and 2.5
 * become 2. Below 2^51 the sum with this number has no bits for a fraction, so adding rounds. */
static inline double round_half_even(double value)
{
    static const double no_fraction = 0x1p52;
    return (value + no_fraction) - no_fraction;
}

bool image_samples_from_plane(const struct image *image, void *samples, unsigned channel, const double *plane,
                              size_t begin, size_t end)
{
    const size_t pitch = image->channels;
    const double most = image->sample_bytes == 1 ? UINT8_MAX : UINT16_MAX;
    bool fine = true;
    for (size_t i = begin; i < end; i++) {
        const double value = plane[i];
        const double within = value > 0 ? value < most ? value : most : 0;
        const unsigned rounded = (unsigned)round_half_even(within);
        fine = fine && !isnan(value);
        if (image->sample_bytes == 1)
            ((uint8_t *)samples)[i * pitch + channel] = (uint8_t)rounded;
        else
            ((uint16_t *)samples)[i * pitch + channel] = (uint16_t)rounded;
    }
    return fine;
}

void image_samples_to_array(const struct image *image, unsigned channel, const double *plane, double *array,
                            size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        array[i * image->channels + channel] = plane[i];
}

void image_samples_copy_to_array(const struct image *image, const void *samples, unsigned channel, double *array,
                                 size_t begin, size_t end)
{
    const size_t pitch = image->channels;
    for (size_t i = begin; i < end; i++)
        array[i * pitch + channel] = image->sample_bytes == 1 ? ((const uint8_t *)samples)[i * pitch + channel]
                                                              : ((const uint16_t *)samples)[i * pitch + channel];
}
