/* SPDX-License-Identifier: MIT */
/* Units that are made strip by strip (struct simd_strips): of small dense kernels over rows in place. Only the few cells that the
 * boundary supplies beyond the ends of a row are copied. What the input's values tell is found out beside, since they are
 * in registers anyway. */
#include "core/boundary.h"
#include "core/direct_unit.h"
#include "core/layout_math.h"

#include <string.h>

enum { ROW_BYTES_MIN = 384 /* as many vectors as a strip with each end, and all taps, at least */ };

/* ---- Which layouts have them ---- */

void direct_find_strips(struct direct_layout *layout)
{
    /* About what L2 caches hold, and half of it: then input and output do not fit together. */
    enum { ROW_TAPS_MAX = 11, LARGE_BYTES_MIN = 2 << 20, STREAM_BYTES_MIN = 1 << 20 };
    const size_t after = most(layout->cells_out + layout->taps - 1, layout->cells_in + layout->before) -
                         layout->cells_in - layout->before;
    layout->strips = layout->mode == DIRECT_IN_PLACE && layout->element != DIRECT_U64 && layout->cell == 1 &&
                     layout->dilation == 1 && layout->shared >= 0 && layout->row_step == 1 && layout->row_unit == 1 &&
                     layout->row_apart == 1 && layout->row_taps > 1 && layout->row_taps <= ROW_TAPS_MAX &&
                     layout->taps <= SIMD_STRIP_TAPS_MAX && (layout->row_taps > 3 || layout->taps == 3) &&
                     layout->unit_rows <= SIMD_STRIP_ROWS_MAX && layout->pass_taps == layout->taps &&
                     layout->pass_rows == layout->row_taps && layout->pass_planes == layout->planes &&
                     layout->before < layout->taps && after < layout->taps;
    layout->strip_copies = layout->before + after;
    const size_t plane_elements = layout->loop_count * layout->cells_out; /* one row of each group that shares */
    layout->large = layout->shared_output >= LARGE_BYTES_MIN / layout->element_bytes / plane_elements;
    layout->streams = layout->shared_output >= STREAM_BYTES_MIN / layout->element_bytes / plane_elements;
    layout->strips = layout->strips && layout->cells_out * layout->element_bytes >= ROW_BYTES_MIN;
    /* Each row of the input is some unit's own, and its own cells are all of it. */
    layout->looks_beside = layout->strips && layout->input_groups == 1 && layout->kernel_groups == 1 &&
                           layout->cells_out + layout->taps - 1 >= layout->cells_in + layout->before;
    for (unsigned i = 0; i < layout->outer_count; i++) {
        const struct direct_axis *axis = &layout->outer[i];
        const size_t own = (int)i == layout->shared ? axis->taps - 1 : 0;
        layout->looks_beside = layout->looks_beside && axis->stride == 1 && axis->dilation == 1 &&
                               axis->before < axis->taps &&
                               axis->output + own >= axis->input + ((int)i == layout->shared ? axis->before : 0);
    }
}

/* ---- A unit ---- */

bool direct_has_strips(const struct convolve_plan *plan)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    return layout->strips && plan->routines->strip_kernels >> layout->row_taps & 1;
}

bool direct_looks_beside(const struct convolve_plan *plan)
{
    return direct_state(plan)->layout.looks_beside && direct_has_strips(plan);
}

/* Copies what the boundary supplies for the cells first .. first + cells of each row, which lie beyond an end and are fewer than
 * the taps; rows that are the constant are never met there. */
static void copy_ends(const struct direct_unit *u, unsigned char *copies, int64_t first, size_t cells)
{
    const size_t bytes = u->layout->element_bytes, total = u->planes * u->input_rows;
    size_t from[SIMD_STRIP_TAPS_MAX];
    for (size_t c = 0; c < cells; c++)
        from[c] = boundary_index(u->plan->spec.boundary, first + (int64_t)c, u->layout->cells_in);
    for (size_t i = 0; i < total; i++)
        for (size_t c = 0; c < cells; c++, copies += bytes)
            if (bytes == 4)
                memcpy(copies, u->bases[i] + from[c] * 4, 4);
            else
                memcpy(copies, u->bases[i] + from[c] * 8, 8);
}

/* The table of such copies; of constants all are one. */
static const void **find_ends(const struct direct_unit *u, const void **table, unsigned char *copies, int64_t first,
                              size_t cells)
{
    const bool constant = u->plan->spec.boundary == CONVOLVE_CONSTANT;
    const size_t pitch = cells * u->layout->element_bytes, total = u->planes * u->input_rows;
    if (!constant)
        copy_ends(u, copies, first, cells);
    for (size_t i = 0; i < total; i++)
        table[i] = constant ? u->constant : copies + i * pitch;
    return table;
}

static void scan(const struct direct_unit *u, struct simd_facts *facts, const void *values, size_t count)
{
    if (u->layout->element == DIRECT_F32)
        u->plan->routines->scan_f32(facts, values, count);
    else
        u->plan->routines->scan_f64(facts, values, count);
}

/* The number of the plane whose rows lie where the outputs do: between all units each row of the input is there once. */
static size_t own_plane(const struct direct_layout *layout)
{
    size_t plane = 0;
    for (unsigned i = 0; i < layout->outer_count; i++)
        if ((int)i != layout->shared)
            plane = plane * layout->outer[i].taps + layout->outer[i].before;
    return plane;
}

/* The same values where there are too few rows for strips. */
static void scan_rows(const struct direct_unit *u, struct simd_facts *facts)
{
    const struct direct_layout *layout = u->layout;
    const size_t first = u->cell_first > layout->before ? u->cell_first - layout->before : 0;
    const size_t end = least(layout->cells_in, u->cell_first + u->cells + layout->taps - 1 - layout->before);
    const unsigned char *const *const bases = u->bases + own_plane(layout) * u->input_rows;
    for (size_t i = 0; i < u->input_rows; i++)
        if (bases[i])
            scan(u, facts, bases[i] + first * layout->element_bytes, end - first);
}

/* Whether rows are long, lie at multiples of cache lines, and are so many that they would drive out what is needed soon. */
static bool streams(const struct direct_unit *u)
{
    const size_t bytes = u->layout->element_bytes;
    return u->layout->streams && (uintptr_t)u->output % CONVOLVE_ALIGNMENT == 0 &&
           u->output_row_pitch * bytes % CONVOLVE_ALIGNMENT == 0;
}

/* Bands where memory is what few taps wait for: they read and store in fewer places at a time. Where rows are as far apart as the
 * lines that share a place in the first cache, strips find nothing in it of what the strip before them has read; where rows cannot
 * be stored past the caches, strips have each line of the output fetched from memory by itself. */
static bool bands(const struct direct_unit *u)
{
    enum { CACHE_WAY_BYTES = 4096 };
    const size_t pitch = u->output_row_pitch * u->layout->element_bytes;
    return streams(u) ? pitch % CACHE_WAY_BYTES == 0 : u->layout->large;
}

bool direct_make_strips(struct direct_unit *u, struct simd_facts *facts)
{
    const struct direct_layout *layout = u->layout;
    const size_t bytes = layout->element_bytes, total = u->planes * u->input_rows, inputs = u->cells + layout->taps - 1;
    if (u->rows < layout->row_taps || u->cells * bytes < ROW_BYTES_MIN) {
        if (facts)
            scan_rows(u, facts);
        return false;
    }
    const int64_t start = (int64_t)u->cell_first - (int64_t)layout->before;
    const struct direct_span span = direct_find_span(layout, start, 1, inputs);
    const size_t beyond = inputs - span.end;
    const bool last =
        u->coordinate[layout->shared] + u->rows == layout->shared_output; /* others leave some to the next */
    bool with_constant = false;
    for (size_t i = 0; i < total; i++)
        with_constant |= !u->bases[i];
    if (with_constant || u->plan->spec.boundary == CONVOLVE_CONSTANT)
        direct_fill_constant(u, u->constant, with_constant ? inputs : most(span.inside, beyond));
    const size_t shift = (size_t)(start + (int64_t)span.inside) * bytes;
    for (size_t i = 0; i < total; i++)
        u->table[i] = u->bases[i] ? u->bases[i] + shift : u->constant;
    for (size_t row = 0; row < u->rows; row++)
        u->outputs[row] = u->output + row * u->output_row_pitch * bytes;
    const struct simd_strips strips = {
        .rows = u->table,
        .left = find_ends(u, u->table + total, u->copies, start, span.inside),
        .right = find_ends(u, u->table + 2 * total, u->copies + total * span.inside * bytes, start + (int64_t)span.end,
                           beyond),
        .rows_pitch = u->input_rows,
        .planes = u->planes,
        .row_taps = u->row_taps,
        .taps = u->taps,
        .values = u->values,
        .output = u->outputs,
        .output_rows = u->rows,
        .count = u->cells,
        .inside_first = span.inside,
        .inside_end = span.end,
        .stream = streams(u),
        .bands = bands(u),
        .facts = facts,
        .facts_plane = own_plane(layout),
        .facts_rows = last ? u->input_rows : u->rows,
    };
    if (layout->element == DIRECT_F32)
        u->plan->routines->strips_f32(&strips);
    else
        u->plan->routines->strips_f64(&strips);
    return true;
}
