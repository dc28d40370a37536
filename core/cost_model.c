/* SPDX-License-Identifier: MIT */
/* Counts what the layouts of direct and separable make the routines do, and multiplies by the table of the set in use. */
#include "core/cost_model.h"

#include "core/cost_table.h"
#include "core/direct_layout.h"
#include "core/fft_convolve.h"
#include "core/separable_layout.h"

#include <math.h>

static const struct cost_table *table_of(const struct cost_set *set, enum direct_element element)
{
    return element == DIRECT_F32 ? &set->f32 : element == DIRECT_F64 ? &set->f64 : &set->u64;
}

/* Between the points of a table, by the logarithm of the taps; constant beyond its ends. */
static double interpolate(const float *values, const unsigned *points, unsigned count, double taps)
{
    unsigned i = 0;
    while (i < count && (double)points[i] < taps)
        i++;
    if (i == 0 || i == count)
        return (double)values[i == 0 ? 0 : count - 1];
    const double part = log(taps / points[i - 1]) / log((double)points[i] / points[i - 1]);
    return (double)values[i - 1] * (1 - part) + (double)values[i] * part;
}

/* The elements that a row of `count` counts as: what does not fill a block is made vector by vector, each at about twice the
 * cost, unless a whole block can begin earlier. */
static double block_width(const struct cost_set *set, double count, size_t element_bytes)
{
    const double block = (double)(set->block_bytes / element_bytes),
                 vector = (double)(set->vector_bytes / element_bytes);
    if (count <= 0)
        return 0;
    return count >= block ? ceil(count / block) * block : ceil(count / vector) * vector * 2;
}

/* ---- direct ----------------------------------------------------------------------------------------------------------- */

/* A row's width in place: the middle, and both ends, made as columns or from copies. */
static double row_width(const struct cost_set *set, const struct direct_layout *layout)
{
    const double all = (double)layout->cells_out, reach = (double)(layout->taps - 1) * (double)layout->dilation;
    double inner = (double)layout->cells_in - reach;
    if (layout->mode != DIRECT_IN_PLACE)
        return block_width(set, (double)layout->unit_cells * (double)layout->cell, layout->element_bytes) *
               (all / (double)layout->unit_cells);
    inner = inner > all ? all : inner;
    const double ends = (all - inner) * (double)layout->cell;
    return block_width(set, inner * (double)layout->cell, layout->element_bytes) +
           (layout->edge_cells > 0 ? ends : 2 * block_width(set, ends / 2, layout->element_bytes));
}

/* One element of the output. */
static double element_ns(const struct direct_layout *layout, const struct cost_table *table)
{
    const double planes = (double)layout->planes, rows = (double)layout->row_taps;
    const double taps = (double)layout->taps * layout->parts;
    if (layout->mode == DIRECT_PHASES || rows == 1)
        return rows * taps * interpolate(table->line, cost_line_taps, COST_LINE_POINTS, rows * taps);
    const bool square = layout->mode == DIRECT_IN_PLACE && layout->planes == 1 && layout->cell == 1 &&
                        layout->dilation == 1 && layout->row_taps == layout->taps && layout->taps % 2 == 1;
    if (square && layout->taps >= 3 && layout->taps <= (layout->strips ? 11 : 7))
        return (double)table->square[(layout->taps - 3) / 2];
    return planes * (interpolate(table->plane, cost_row_taps, COST_ROW_POINTS, taps) +
                     rows * taps * interpolate(table->tap, cost_row_taps, COST_ROW_POINTS, taps));
}

double direct_estimate_ns(const struct convolve_spec *spec, const struct geometry *geometry)
{
    struct direct_layout layout;
    size_t inputs = 0;
    if (!direct_layout_derive(&layout, spec, geometry))
        return INFINITY;
    const struct cost_set *const set = cost_set();
    const struct cost_table *const table = table_of(set, layout.element);
    convolve_shape_count(&spec->input, &inputs);
    const double values = ((double)inputs + (double)geometry->output_count) * layout.parts;
    if (layout.mode == DIRECT_PLAIN)
        return (double)geometry->output_count * (double)geometry->tap_count * (double)table->term * layout.parts;
    const double rows =
        (double)geometry->output_count * layout.parts / ((double)layout.cells_out * (double)layout.cell);
    const double copies =
        (double)layout.unit_count * (double)layout.pass_count *
        (double)(layout.mode == DIRECT_PHASES ? layout.pass_planes * layout.unit_rows : layout.table_rows) *
        (double)layout.row_elements;
    return rows * row_width(set, &layout) * element_ns(&layout, table) + values * (double)table->value +
           rows * (double)layout.pass_count * (double)table->row + copies * (double)table->copied +
           (double)table->direct_plan;
}

/* ---- separable -------------------------------------------------------------------------------------------------------- */

/* How much of all its units is filled. */
static double filled_part(const struct separable_layout *layout)
{
    double part = (double)layout->cells_out / ((double)layout->segments * (double)layout->segment_cells);
    for (unsigned i = 0; i < layout->pass_count; i++) {
        const struct separable_axis *axis = &layout->axis[i];
        part *= (double)axis->output / ((double)axis->apart * (double)axis->groups * (double)axis->rows);
    }
    return part;
}

/* The rows that pass `j` writes in a unit. */
static double pass_rows(const struct separable_layout *layout, unsigned j)
{
    double rows = 1;
    for (unsigned i = 0; i < layout->pass_count; i++)
        rows *= (double)(i <= j ? layout->axis[i].rows : layout->axis[i].positions);
    return rows;
}

/* The cells of a row, of all its segments, that lie beyond the ends of the input. */
static double cells_beyond(const struct separable_layout *layout)
{
    if (!layout->row_pass)
        return 0;
    const struct separable_axis *row = &layout->axis[layout->axis_count - 1];
    const double all =
        (double)(row->output - 1) * (double)row->stride + (double)(row->taps - 1) * (double)row->dilation + 1;
    if (layout->pitch_in != layout->cell)
        return all;
    return all > (double)row->input ? all - (double)row->input : 0;
}

/* The blocks of a unit: of the first pass one for each row of positions, and two more where its ends are copied. */
static double block_calls(const struct separable_layout *layout, bool beyond)
{
    double calls = layout->row_pass;
    for (unsigned j = 0; j < layout->pass_count; j++)
        calls += pass_rows(layout, j) / (double)layout->axis[j].rows * (j == 0 && beyond ? 3 : 1);
    return calls;
}

/* The cells of the longest axis, of which fft's plan computes as many roots of unity. */
static double turn_count(const struct geometry *geometry)
{
    size_t longest = 0;
    for (unsigned i = 0; i < geometry->rank; i++) {
        const struct geometry_axis *axis = &geometry->axis[i];
        const size_t cells = axis->convolved ? axis->input + axis->kernel : 1;
        longest = cells > longest ? cells : longest;
    }
    return (double)(longest < COST_TURNS_MAX ? longest : COST_TURNS_MAX);
}

double transform_estimate_ns(const struct convolve_spec *spec, const struct geometry *geometry,
                             enum convolve_method method)
{
    const struct cost_transforms *const costs = &cost_set()->transforms;
    const bool whole = method == CONVOLVE_FFT;
    return (double)costs->plan[!whole] + (whole ? (double)costs->turn * turn_count(geometry) : 0) +
           (double)costs->scale * fft_estimate_ns(spec, geometry, method);
}

double transform_least_ns(const struct convolve_spec *spec, const struct geometry *geometry)
{
    const struct cost_transforms *const costs = &cost_set()->transforms;
    const bool single = spec->dtype == CONVOLVE_FLOAT32 || spec->dtype == CONVOLVE_COMPLEX64;
    const double each = (double)(single ? costs->least_f32 : costs->least_f64);
    return (double)costs->plan[0] + each * (double)geometry->output_count;
}

double separable_least_ns(enum convolve_dtype dtype)
{
    const bool single = dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64;
    const enum direct_element element = dtype == CONVOLVE_INT64 ? DIRECT_U64 : single ? DIRECT_F32 : DIRECT_F64;
    return (double)table_of(cost_set(), element)->separable_plan;
}

double separable_estimate_ns(const struct convolve_spec *spec, const struct geometry *geometry)
{
    struct separable_layout layout;
    size_t inputs = 0;
    if (geometry->exchanged || geometry->empty)
        return INFINITY;
    if (separable_axis_count(geometry) < 2)
        return direct_estimate_ns(spec, geometry);
    if (!separable_layout_derive(&layout, spec, geometry))
        return INFINITY;
    const struct cost_set *const set = cost_set();
    const struct cost_table *const table = table_of(set, layout.element);
    convolve_shape_count(&spec->input, &inputs);
    const double parts = ceil((double)layout.axis[layout.axis_count - 1].taps / (double)layout.chunk_taps);
    const double beyond = cells_beyond(&layout) / (double)layout.segments * (double)layout.cell; /* of a unit's row */
    const double inside = (double)layout.span * (double)layout.cell - beyond;
    const double span = block_width(set, inside > 0 ? inside : 0, layout.element_bytes) +
                        2 * block_width(set, beyond / 2, layout.element_bytes);
    const double width = block_width(set, (double)layout.segment_cells * (double)layout.cell, layout.element_bytes);
    double unit = 0;
    for (unsigned j = 0; j < layout.axis_count; j++) {
        const struct separable_axis *axis = &layout.axis[j];
        const double taps = (double)axis->taps * layout.parts, rows = pass_rows(&layout, j);
        const bool along = j >= layout.pass_count;
        const bool apart = along && (axis->stride > 1 || axis->dilation * layout.cell > 1);
        const double tap = (double)(apart ? table->along_apart : along ? table->along_tap : table->down_tap);
        unit += rows * (along ? width : span * parts) * ((double)(along ? table->along : table->down) + taps * tap);
        unit += rows * (double)table->row;
        if (along && layout.slots > 0)
            unit += rows * (double)layout.slots * (double)layout.slot_cells * (double)table->copied;
    }
    double gathered = beyond * parts;
    for (unsigned i = 0; i < layout.pass_count; i++)
        gathered *= (double)layout.axis[i].positions;
    unit += gathered * (double)table->gathered + block_calls(&layout, beyond > 0) * parts * (double)table->call;
    const double values = ((double)inputs + (double)geometry->output_count) * layout.parts;
    return (double)layout.unit_count * filled_part(&layout) * unit + values * (double)table->value +
           (double)table->separable_plan;
}
