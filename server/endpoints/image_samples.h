/* SPDX-License-Identifier: MIT */
/* Between a picture's samples, channels side by side, and planes of float64, one for each colour. */
#ifndef SERVER_ENDPOINTS_IMAGE_SAMPLES_H
#define SERVER_ENDPOINTS_IMAGE_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>

struct image;

/* What becomes of a result: scale * value + offset, the absolute value taken first. */
struct image_finish {
    bool absolute;
    double scale, offset;
};

/* The samples of one channel from cell `begin` to `end`, row-major, to their places in a plane. */
void image_samples_to_plane(const struct image *image, const void *samples, unsigned channel, double *plane,
                            size_t begin, size_t end);

/* Results to finished values, in place. `second`, where not NULL, is the other direction of a gradient, whose magnitude is the
 * value then. */
void image_samples_finish(const struct image_finish *finish, double *plane, const double *second, size_t begin,
                          size_t end);

/* Finished values to samples of a channel, rounded and saturated. False: there was a NaN, which became 0. */
bool image_samples_from_plane(const struct image *image, void *samples, unsigned channel, const double *plane,
                              size_t begin, size_t end);

/* The values themselves, or of a channel that is not filtered the samples, into an array of `image`'s shape. */
void image_samples_to_array(const struct image *image, unsigned channel, const double *plane, double *array,
                            size_t begin, size_t end);
void image_samples_copy_to_array(const struct image *image, const void *samples, unsigned channel, double *array,
                                 size_t begin, size_t end);

#endif
