/* SPDX-License-Identifier: MIT */
/* Where values come from and where they go: cells of the signal with what stands beyond its ends, taps in the order of the
 * sum, and the element of each output. */
#include "core/boundary.h"
#include "core/fft_state.h"

#include <string.h>

void fft_locate(const struct fft_job *job, size_t block, struct fft_block *place)
{
    const struct fft_layout *layout = &job->state->layout;
    size_t rest = job->first_block + block;
    const bool beyond = rest >= layout->blocks;
    for (unsigned i = layout->axis_count; i-- > 0;) {
        const struct fft_axis *axis = &layout->axis[i];
        const size_t blocks = axis->blocks * axis->classes;
        place->outputs[i] = fft_block_outputs(axis, beyond ? 0 : rest % blocks, &place->first[i]);
        place->begin[i] = (int64_t)(place->first[i] * axis->stride) - (int64_t)axis->before;
        rest = beyond ? 0 : rest / blocks;
    }
    /* One axis without outputs leaves none. */
    bool empty = beyond;
    for (unsigned i = 0; i < layout->axis_count; i++)
        empty |= place->outputs[i] == 0;
    for (unsigned i = 0; empty && i < layout->axis_count; i++)
        place->outputs[i] = 0;
}

size_t fft_output_index(const struct fft_job *job, const struct fft_block *block, const size_t *h)
{
    const struct fft_layout *layout = &job->state->layout;
    size_t index = job->output_offset;
    for (unsigned i = 0; i < layout->axis_count; i++)
        index += (block->first[i] + h[i] * layout->axis[i].class_pitch) * layout->axis[i].output_pitch;
    return index;
}

/* ---- The signal ------------------------------------------------------------------------------------------------------- */

/* The element along one axis that stands at `place`, in elements of the tensor; BOUNDARY_NONE where none does. */
static size_t element_at(const struct fft_job *job, const struct fft_axis *axis, int64_t place)
{
    const struct fft_layout *layout = &job->state->layout;
    size_t index;
    if (layout->exchanged) {
        if (place < 0 || (size_t)place >= axis->signal || (axis->signal - 1 - (size_t)place) % axis->spread != 0)
            return BOUNDARY_NONE;
        index = (axis->signal - 1 - (size_t)place) / axis->spread; /* the tap of the kernel as it is applied */
        if (job->plan->geometry.flipped)
            index = (axis->signal - 1) / axis->spread - index;
    } else {
        index = boundary_index(layout->boundary, place, axis->signal);
    }
    return index == BOUNDARY_NONE ? BOUNDARY_NONE : index * axis->signal_pitch;
}

static size_t row_element(const struct fft_job *job, const int64_t *begin)
{
    const struct fft_layout *layout = &job->state->layout;
    size_t offset = job->signal_offset;
    for (unsigned i = 0; i < layout->axis_count; i++) {
        if (i == layout->row)
            continue;
        const size_t element = element_at(job, &layout->axis[i], begin[i]);
        if (element == BOUNDARY_NONE)
            return BOUNDARY_NONE;
        offset += element;
    }
    return offset;
}

static const void *signal_of(const struct fft_job *job)
{
    return job->state->layout.exchanged ? job->run->kernel : job->run->input;
}

/* Where a value is read and written: `apart` elements between values of the tensor. */
#define DEFINE_COPY(name, from_type, to_type)                                                                          \
    static void name(void *to, size_t at, const void *from, size_t first, ptrdiff_t apart, size_t count, bool negate)  \
    {                                                                                                                  \
        to_type *const out = (to_type *)to + at;                                                                       \
        const from_type *const in = (const from_type *)from + first;                                                   \
        if (apart == 1 && !negate && sizeof *in == sizeof *out)                                                        \
            memcpy(out, in, count * sizeof *out);                                                                      \
        else                                                                                                           \
            for (size_t i = 0; i < count; i++)                                                                         \
                out[i] = (to_type)(negate ? -in[(ptrdiff_t)i * apart] : in[(ptrdiff_t)i * apart]);                     \
    }
DEFINE_COPY(copy_f32_f32, float, float)
DEFINE_COPY(copy_f32_f64, float, double)
DEFINE_COPY(copy_f64_f64, double, double)

/* `count` values from element `first` on, into place `at` of both parts. */
static void copy_values(const struct fft_job *job, const void *tensor, size_t first, ptrdiff_t apart, size_t count,
                        bool conjugate, bool single, void *re, void *im, size_t at)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t parts = layout->parts;
    for (size_t part = 0; part < parts; part++) {
        void *const to = part ? im : re;
        const bool negate = part && conjugate;
        if (!layout->single)
            copy_f64_f64(to, at, tensor, first * parts + part, apart * (ptrdiff_t)parts, count, negate);
        else if (single)
            copy_f32_f32(to, at, tensor, first * parts + part, apart * (ptrdiff_t)parts, count, negate);
        else
            copy_f32_f64(to, at, tensor, first * parts + part, apart * (ptrdiff_t)parts, count, negate);
    }
}

static void fill(bool single, void *to, size_t at, size_t count, double value)
{
    if (single)
        for (size_t i = 0; i < count; i++)
            ((float *)to)[at + i] = (float)value;
    else
        for (size_t i = 0; i < count; i++)
            ((double *)to)[at + i] = value;
}

/* The constant, in the dtype that is computed in; beyond an exchanged signal there is nothing. */
static void fill_constant(const struct fft_job *job, bool single, void *re, void *im, size_t at, size_t count)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct convolve_scalar fillvalue = job->plan->spec.fillvalue;
    const double real = layout->exchanged ? 0 : fillvalue.real, imag = layout->exchanged ? 0 : fillvalue.imag;
    fill(single, re, at, count, layout->single ? (double)(float)real : real);
    if (layout->complex)
        fill(single, im, at, count, layout->single ? (double)(float)imag : imag);
}

/* Cells one by one: beyond the ends, and in an exchanged signal. */
static void fetch_cells(const struct fft_job *job, size_t offset, int64_t begin, size_t first, size_t end, bool single,
                        void *re, void *im)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    const bool conjugate = layout->exchanged && job->plan->geometry.conjugated;
    for (size_t i = first; i < end; i++) {
        const size_t element = element_at(job, axis, begin + (int64_t)(i * axis->step));
        if (element == BOUNDARY_NONE)
            fill_constant(job, single, re, im, i, 1);
        else
            copy_values(job, signal_of(job), offset + element, 0, 1, conjugate, single, re, im, i);
    }
}

/* The cells that lie inside the signal. */
static struct fft_span span_inside(const struct fft_axis *axis, int64_t begin, size_t count)
{
    const int64_t step = (int64_t)axis->step, length = (int64_t)axis->signal;
    struct fft_span span = {.first = 0, .end = 0};
    if (begin < 0)
        span.first = (size_t)((-begin + step - 1) / step);
    if (begin < length)
        span.end = (size_t)((length - begin + step - 1) / step);
    span.end = span.end < count ? span.end : count;
    span.first = span.first < span.end ? span.first : span.end;
    return span;
}

struct fft_span fft_fetch(const struct fft_job *job, const int64_t *begin, size_t count, bool single, void *re,
                          void *im)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    const size_t offset = row_element(job, begin);
    const int64_t first = begin[layout->row];
    if (offset == BOUNDARY_NONE) {
        fill_constant(job, single, re, im, 0, count);
        return (struct fft_span){0, 0};
    }
    if (layout->exchanged) {
        fetch_cells(job, offset, first, 0, count, single, re, im);
        return (struct fft_span){0, count};
    }
    const struct fft_span span = span_inside(axis, first, count);
    if (span.first < span.end)
        copy_values(
            job, signal_of(job), offset + (size_t)(first + (int64_t)(span.first * axis->step)) * axis->signal_pitch,
            (ptrdiff_t)(axis->step * axis->signal_pitch), span.end - span.first, false, single, re, im, span.first);
    if (!layout->wraps) {
        fill_constant(job, single, re, im, 0, span.first);
        fill_constant(job, single, re, im, span.end, count - span.end);
        return span;
    }
    fetch_cells(job, offset, first, 0, span.first, single, re, im);
    fetch_cells(job, offset, first, span.end, count, single, re, im);
    return (struct fft_span){0, count};
}

const void *fft_plain(const struct fft_job *job, const int64_t *begin, size_t count, struct fft_span *span)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    const int64_t first = begin[layout->row];
    if (layout->exchanged || layout->complex || axis->step * axis->signal_pitch != 1)
        return NULL;
    const size_t offset = row_element(job, begin);
    *span = span_inside(axis, first, count);
    if (offset == BOUNDARY_NONE || span->first == span->end)
        return NULL;
    return (const unsigned char *)job->run->input +
           (offset + (size_t)(first + (int64_t)span->first)) * (layout->single ? sizeof(float) : sizeof(double));
}

/* ---- Taps ------------------------------------------------------------------------------------------------------------- */

void fft_fetch_taps(const struct fft_job *job, const size_t *tap, size_t count, double *re, double *im)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct geometry *geometry = &job->plan->geometry;
    const bool backwards = layout->exchanged || geometry->flipped;
    const void *const tensor = layout->exchanged ? job->run->input : job->run->kernel;
    size_t element = 0, rest = job->tap_slice;
    for (unsigned i = layout->outer_count; i-- > 0;) {
        const struct fft_outer *outer = &layout->outer[i];
        if (outer->tap_slice_pitch == 0)
            continue;
        element += rest % outer->outputs * outer->taps_pitch;
        rest /= outer->outputs;
    }
    for (unsigned i = 0; i < layout->axis_count; i++) {
        const struct fft_axis *axis = &layout->axis[i];
        element += (backwards ? axis->taps - 1 - tap[i] : tap[i]) * axis->taps_pitch;
    }
    const struct fft_axis *row = &layout->axis[layout->row];
    const ptrdiff_t apart = backwards ? -(ptrdiff_t)row->taps_pitch : (ptrdiff_t)row->taps_pitch;
    copy_values(job, tensor, element, apart, count, geometry->conjugated && !layout->exchanged, false, re, im, 0);
}
