/* SPDX-License-Identifier: MIT */
/* The cost of a picture from that of one of its planes, and the bound on what becomes of its results. */
#include "server/endpoints/image_cost.h"

#include <math.h>

#include "server/admission.h"
#include "server/daemon.h"
#include "server/endpoints/image_members.h"
#include "server/endpoints/inputs.h"
#include "server/request.h"
#include "server/saturating.h"

enum { SAMPLE_WORK = 64 }; /* multiply-adds that decoding and encoding a sample take as long as */

/* What the members make of a bound on a plane's results: `*factor` times it, and the result of this call beside. Both kernels of a
 * gradient count into its magnitude. Without values of the kernel there is nothing to tell. */
static double bound_beside(const struct image_members *members, const struct image *image, double *factor)
{
    const double scale = fabs(members->scale), offset = fabs(members->offset), unit = 0x1p-53;
    const double sample_max = image->sample_bytes == 1 ? 255 : 65535;
    double magnitude = 0, beside = 0;
    size_t count = 0;
    bool exact = scale == rint(scale) && offset == rint(offset);

    convolve_shape_count(&members->kernel, &count);
    for (size_t i = 0; members->values && i < count; i++) {
        magnitude += fabs(members->values[i]);
        exact = exact && members->values[i] == rint(members->values[i]);
    }
    const double outside = members->boundary == CONVOLVE_CONSTANT ? fabs(members->fillvalue) : 0;
    const double value_max = magnitude * (sample_max > outside ? sample_max : outside);
    if (members->is_gradient) /* two squares, a sum and a root */
        beside += 3 * unit * value_max;
    if (members->normalize) /* a quotient of a sum in more digits */
        beside += (2 + (double)count * magnitude * 0x1p-10) * unit * value_max;
    exact = exact && !members->is_gradient && !members->normalize && outside == rint(outside) &&
            scale * value_max + offset < 0x1p53;
    *factor = scale * (members->is_gradient ? M_SQRT2 * (1 + 4 * unit) : 1);
    if ((members->scale != 1 || members->offset != 0) && !exact)
        beside = scale * beside + 2 * unit * (2 * scale * value_max + offset);
    else
        beside *= scale;
    return beside;
}

double image_cost_bound(const struct image_members *members, const struct image *image, double plane_bound)
{
    double factor;
    const double beside = bound_beside(members, image, &factor);
    return factor * plane_bound + beside;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The cost of one plane to that of the picture. What is held at once while decoding, computing and encoding differs. */
static void scale_cost(struct image_cost *cost, const struct request *request, const struct picture *picture,
                       uint64_t sample_bytes)
{
    const struct image *image = &picture->image;
    struct convolve_cost *whole = &cost->whole;
    const bool npy = request->media.picture == MEDIA_ANSWER_NPY;
    const uint64_t samples = saturating_multiply(cost->cells, image->channels);
    const uint64_t array = npy ? saturating_multiply(samples, sizeof(double)) : 0;
    const uint64_t decoding = saturating_add(picture->capacity, image_reader_scratch_bytes(picture->reader));
    const uint64_t computing = saturating_add(saturating_add(whole->tensor_bytes, whole->scratch_bytes), array);
    const enum image_format format = request->media.picture == MEDIA_ANSWER_JPEG ? IMAGE_JPEG : IMAGE_PNG;
    const uint64_t encoding = npy ? 0 : image_writer_scratch_bytes(format, image);

    whole->tensor_bytes = saturating_add(sample_bytes, larger(decoding, larger(computing, encoding)));
    whole->scratch_bytes = 0;
    whole->multiply_adds = saturating_multiply(whole->multiply_adds, cost->planes);
    whole->output =
        (struct convolve_shape){image->channels > 1 ? 3 : 2, {image->height, image->width, image->channels}};
    whole->output_count = samples;
    cost->work = saturating_add(whole->multiply_adds, saturating_multiply(samples, SAMPLE_WORK));
}

/* What is left of `max_error` for a plane's results. */
static bool set_max_error(struct convolve_spec *spec, const struct image_members *members, const struct image *image,
                          struct convolve_error *error)
{
    const struct options *options = &members->options;
    double factor;
    const double beside = bound_beside(members, image, &factor);

    if (!options->max_error_given)
        return true;
    if (beside > options->max_error)
        return convolve_fail(error, "invalid-value", "/max_error",
                             "what scale, offset, normalize and the root of a gradient round alone may come to %.3g",
                             beside);
    spec->max_error_given = true;
    spec->max_error = factor > 0 ? (options->max_error - beside) / factor : INFINITY;
    return true;
}

static void fill_spec(struct convolve_spec *spec, const struct image_members *members, const struct image *image)
{
    *spec = (struct convolve_spec){
        .operation = CONVOLVE_OP_CORRELATE,
        .dtype = CONVOLVE_FLOAT64,
        .input = {2, {image->height, image->width}},
        .kernel = members->kernel,
        .mode = CONVOLVE_SAME,
        .mode_given = true,
        .boundary = members->boundary,
        .fillvalue = {.real = members->fillvalue},
        .method = members->method,
    };
    if (members->is_gradient) { /* along the first axis the plane meets both kernels */
        spec->input = (struct convolve_shape){3, {1, image->height, image->width}};
        spec->axes_given = true;
        spec->axis_count = 2;
        spec->axes[0] = 1;
        spec->axes[1] = 2;
    }
}

bool image_cost_check(struct image_cost *cost, struct request *request, const struct image_members *members,
                      const struct picture *picture, struct convolve_error *error)
{
    const struct image *image = &picture->image;
    struct convolve_spec spec;
    size_t bytes;

    fill_spec(&spec, members, image);
    if (!cost->draft)
        cost->draft = arena_alloc(&request->arena, convolve_draft_bytes());
    if (!cost->draft)
        return admission_fail_memory(request, error);
    if (!set_max_error(&spec, members, image, error))
        return false;
    if (!convolve_draft_derive(cost->draft, &cost->whole, &spec, request->daemon->threads, error))
        return admission_fail_cost(request, members->options.plan, error);
    cost->planes = image->channels == 1 ? 1 : 3;
    cost->cells = image->width * image->height; /* as much as a tensor that has just been counted */
    if (!image_bytes(image, &bytes))
        bytes = SIZE_MAX;
    scale_cost(cost, request, picture, bytes);
    const uint64_t output = request->media.picture == MEDIA_ANSWER_NPY
                                ? saturating_multiply(cost->whole.output_count, sizeof(double))
                                : bytes;
    return members->options.plan || admission_check_output(request, &cost->whole, output, error);
}
