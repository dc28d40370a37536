/* SPDX-License-Identifier: MIT */
/* Units that are made strip by strip (struct simd_strips): of small dense kernels over rows in place. Only what lies near the ends of
 * a row is copied, with its boundary, so that vectors of the output begin at multiples of their size wherever its rows do.
 * What the input's values tell is found out beside, since they are in registers anyway. */
#include "core/direct_unit.h"
#include "core/layout_math.h"

#include <string.h>

enum { FILL_BYTES_MAX = 256 };

/* ---- Which layouts have them ---- */

void direct_find_strips(struct direct_layout *layout)
{
    enum { ROW_TAPS_MAX = 11, ROW_BYTES_MIN = 1024, STREAM_BYTES_MIN = 2 << 20 /* about what L2 caches hold */ };
    const size_t granule = CONVOLVE_ALIGNMENT / layout->element_bytes;
    layout->strips = layout->mode == DIRECT_IN_PLACE && layout->element != DIRECT_U64 && layout->cell == 1 &&
                     layout->dilation == 1 && layout->shared >= 0 && layout->row_step == 1 && layout->row_unit == 1 &&
                     layout->row_apart == 1 && layout->row_taps > 1 && layout->row_taps <= ROW_TAPS_MAX &&
                     layout->taps <= SIMD_STRIP_TAPS_MAX && (layout->row_taps > 3 || layout->taps == 3) &&
                     layout->unit_rows <= SIMD_STRIP_ROWS_MAX && layout->pass_taps == layout->taps &&
                     layout->pass_rows == layout->row_taps && layout->pass_planes == layout->planes;
    layout->strip_reach = divide_up(layout->taps - 1, granule) * granule;
    const size_t after = most(layout->cells_out + layout->taps - 1, layout->cells_in + layout->before) -
                         layout->cells_in - layout->before;
    layout->strip_copies =
        (divide_up(layout->before, granule) + divide_up(after, granule) + 3) * granule + 2 * layout->strip_reach;
    layout->streams =
        layout->shared_output >= STREAM_BYTES_MIN / layout->element_bytes / layout->loop_count / layout->cells_out;
    /* Of few cells most are ends; few taps wait for memory, which strips keep busy only where they can stream. */
    layout->strips = layout->strips && layout->planes == 1 &&
                     layout->cells_out * layout->element_bytes >= ROW_BYTES_MIN &&
                     (layout->row_taps > 3 || !layout->streams || layout->cells_out % granule == 0);
    /* Each row of the input is some unit's own, and its own cells are all of it. */
    layout->looks_beside = layout->strips && layout->input_groups == 1 && layout->kernel_groups == 1 &&
                           layout->cells_out + layout->taps - 1 >= layout->cells_in + layout->before;
    for (unsigned i = 0; i < layout->outer_count; i++) {
        const struct direct_axis *axis = &layout->outer[i];
        const size_t own = (int)i == layout->shared ? axis->taps - 1 : 0;
        layout->looks_beside = layout->looks_beside && axis->stride == 1 && axis->before < axis->taps &&
                               axis->output + own >= axis->input + ((int)i == layout->shared ? axis->before : 0);
    }
}

struct direct_ends direct_find_ends(const struct direct_layout *layout, size_t cell_first, size_t cells)
{
    const size_t granule = CONVOLVE_ALIGNMENT / layout->element_bytes, whole = divide_up(cells, granule) * granule;
    const size_t beyond = cell_first + layout->taps - 1; /* the last cell that the first output reads */
    const size_t before = layout->before > cell_first ? layout->before - cell_first : 0;
    const size_t inside = layout->cells_in + layout->before > beyond ? layout->cells_in + layout->before - beyond : 0;
    struct direct_ends ends = {.left_end = divide_up(before, granule) * granule};
    ends.right_begin = least(least(inside, cells) / granule * granule, whole - granule);
    if (ends.right_begin < ends.left_end)
        ends.left_end = ends.right_begin = whole;
    ends.right = whole - ends.right_begin;
    return ends;
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

/* 64 bytes at a time, for few cells, of which there are as many at least. */
static void copy_cells(unsigned char *out, const unsigned char *from, size_t bytes)
{
    if (bytes < CONVOLVE_ALIGNMENT) {
        memcpy(out, from, bytes);
        return;
    }
    for (size_t i = 0; i + CONVOLVE_ALIGNMENT <= bytes; i += CONVOLVE_ALIGNMENT)
        memcpy(out + i, from + i, CONVOLVE_ALIGNMENT);
    memcpy(out + bytes - CONVOLVE_ALIGNMENT, from + bytes - CONVOLVE_ALIGNMENT, CONVOLVE_ALIGNMENT);
}

static void copy_few(unsigned char *out, const unsigned char *from, size_t bytes, size_t element_bytes)
{
    if (element_bytes == 4)
        for (size_t i = 0; i < bytes; i += 4)
            memcpy(out + i, from + i, 4);
    else
        for (size_t i = 0; i < bytes; i += 8)
            memcpy(out + i, from + i, 8);
}

/* Copies the cells of every row from `first` on, relative to what the unit's first output reads; rows that are the constant too. */
static void copy_ends(const struct direct_unit *u, unsigned char *copies, size_t pitch, size_t first, size_t cells)
{
    const struct direct_layout *layout = u->layout;
    const int64_t start = (int64_t)(u->cell_first + first) - (int64_t)layout->before;
    const struct direct_span span = direct_find_span(layout, start, 1, cells);
    const size_t bytes = layout->element_bytes, total = u->planes * u->input_rows;
    const size_t inside = span.inside * bytes, end = span.end * bytes, all = cells * bytes;
    const bool constant = u->plan->spec.boundary == CONVOLVE_CONSTANT && span.inside < span.end;
    const ptrdiff_t from = (ptrdiff_t)start * (ptrdiff_t)bytes;
    unsigned char fill[FILL_BYTES_MAX];
    direct_fill_constant(u, fill, least(most(inside, all - end), sizeof fill) / bytes);
    for (size_t i = 0; i < total; i++, copies += pitch * bytes) {
        if (!u->bases[i])
            direct_fill_constant(u, copies, cells);
        else if (constant && inside <= sizeof fill && all - end <= sizeof fill) {
            copy_cells(copies + inside, u->bases[i] + (from + (ptrdiff_t)inside), end - inside);
            copy_few(copies, fill, inside, bytes);
            copy_few(copies + end, fill, all - end, bytes);
        } else
            direct_fill_span(u, copies, u->bases[i], &span);
        memset(copies + all, 0, pitch * bytes - all);
    }
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

bool direct_make_strips(struct direct_unit *u, struct simd_facts *facts)
{
    const struct direct_layout *layout = u->layout;
    const size_t bytes = layout->element_bytes, total = u->planes * u->input_rows, reach = layout->taps - 1;
    const struct direct_ends ends = direct_find_ends(layout, u->cell_first, u->cells);
    if (u->rows < layout->row_taps) {
        if (facts)
            scan_rows(u, facts);
        return false;
    }
    const size_t left_pitch = ends.left_end + layout->strip_reach, right_pitch = ends.right + layout->strip_reach;
    unsigned char *const left = u->copies, *const right = left + total * left_pitch * bytes;
    bool with_constant = false;
    for (size_t i = 0; i < total; i++)
        with_constant |= !u->bases[i];
    if (with_constant)
        direct_fill_constant(u, u->constant, u->cells + reach);
    if (ends.left_end > 0)
        copy_ends(u, left, left_pitch, 0, least(ends.left_end, u->cells) + reach);
    if (ends.right > 0)
        copy_ends(u, right, right_pitch, ends.right_begin, u->cells - ends.right_begin + reach);
    const size_t shift = (u->cell_first + ends.left_end - layout->before) * bytes;
    const void **const lefts = u->table + total, **const rights = lefts + total;
    for (size_t i = 0; i < total; i++) {
        u->table[i] = u->bases[i] ? u->bases[i] + shift : u->constant;
        lefts[i] = left + i * left_pitch * bytes;
        rights[i] = right + i * right_pitch * bytes;
    }
    for (size_t row = 0; row < u->rows; row++)
        u->outputs[row] = u->output + row * u->output_row_pitch * bytes;
    const struct simd_strips strips = {
        .rows = u->table,
        .left = lefts,
        .right = rights,
        .rows_pitch = u->input_rows,
        .planes = u->planes,
        .row_taps = u->row_taps,
        .taps = u->taps,
        .values = u->values,
        .output = u->outputs,
        .output_rows = u->rows,
        .count = u->cells,
        .left_end = ends.left_end,
        .right_begin = ends.right_begin,
        .stream = streams(u),
        .facts = facts,
        .facts_plane = own_plane(layout),
    };
    if (facts) { /* the strips look only as far as the first taps reach */
        const size_t rows = strips.facts_plane * u->input_rows, pitch = ends.right > 0 ? right_pitch : left_pitch;
        scan(u, facts, (ends.right > 0 ? right : left) + rows * pitch * bytes, u->input_rows * pitch);
    }
    if (layout->element == DIRECT_F32)
        u->plan->routines->strips_f32(&strips);
    else
        u->plan->routines->strips_f64(&strips);
    return true;
}
