/* SPDX-License-Identifier: MIT */
/* The few outputs of each row whose windows reach beyond its ends. As rows they would leave vectors almost empty, so they are
 * made as columns: what their windows read is transposed, and a vector's lanes are as many rows of the output. The taps
 * keep their order: the rows of the window, which are the innermost axis there, count as planes. */
#include "core/boundary.h"
#include "core/direct_unit.h"

#include <string.h>

enum { EDGE_ROWS_MIN = 8, BAND_ROWS = 16 /* of the input, read while their cache lines last */ };

/* One value of each of `count` rows. */
static void copy_column(const struct direct_unit *u, unsigned char *column, const unsigned char *const *bases,
                        size_t count, size_t cell)
{
    if (u->layout->element_bytes == 4)
        for (size_t i = 0; i < count; i++)
            memcpy(column + i * 4, bases[i] ? bases[i] + cell * 4 : u->constant, 4);
    else
        for (size_t i = 0; i < count; i++)
            memcpy(column + i * 8, bases[i] ? bases[i] + cell * 8 : u->constant, 8);
}

/* Column c of the copy is cell start + c of every row of the table. */
static void copy_columns(const struct direct_unit *u, int64_t start, size_t columns)
{
    const struct direct_layout *layout = u->layout;
    const size_t bytes = layout->element_bytes, total = u->planes * u->input_rows;
    for (size_t first = 0; first < total; first += BAND_ROWS) {
        const size_t count = total - first < BAND_ROWS ? total - first : BAND_ROWS;
        for (size_t c = 0; c < columns; c++) {
            const size_t cell = boundary_index(u->plan->spec.boundary, start + (int64_t)c, layout->cells_in);
            unsigned char *const column = u->copies + (c * total + first) * bytes;
            if (cell == BOUNDARY_NONE)
                direct_fill_constant(u, column, count);
            else
                copy_column(u, column, u->bases + first, count, cell);
        }
    }
}

static void point_at_columns(const struct direct_unit *u, size_t cells)
{
    const size_t bytes = u->layout->element_bytes, total = u->planes * u->input_rows, columns = cells + u->taps - 1;
    for (size_t plane = 0; plane < u->planes; plane++)
        for (size_t tap = 0; tap < u->row_taps; tap++)
            for (size_t c = 0; c < columns; c++)
                u->edge_table[(plane * u->row_taps + tap) * columns + c] =
                    u->copies + (c * total + plane * u->input_rows + tap) * bytes;
    for (size_t c = 0; c < cells; c++)
        u->outputs[c] = u->edge_outputs + c * u->layout->unit_rows * bytes;
}

/* Back from columns to rows. */
static void put_columns(const struct direct_unit *u, size_t first, size_t cells)
{
    const size_t bytes = u->layout->element_bytes, pitch = u->output_row_pitch * bytes;
    for (size_t c = 0; c < cells; c++) {
        const unsigned char *const column = u->outputs[c];
        unsigned char *const output = u->output + (first - u->cell_first + c) * bytes;
        if (bytes == 4)
            for (size_t row = 0; row < u->rows; row++)
                memcpy(output + row * pitch, column + row * 4, 4);
        else
            for (size_t row = 0; row < u->rows; row++)
                memcpy(output + row * pitch, column + row * 8, 8);
    }
}

bool direct_make_edge(struct direct_unit *u, size_t first, size_t cells)
{
    const struct direct_layout *layout = u->layout;
    if (u->rows < EDGE_ROWS_MIN || cells > layout->edge_cells || u->accumulate)
        return false;
    direct_fill_constant(u, u->constant, 1);
    copy_columns(u, (int64_t)first - (int64_t)layout->before, cells + u->taps - 1);
    point_at_columns(u, cells);
    struct simd_block block = direct_describe_block(u);
    block.rows = u->edge_table;
    block.planes = u->planes * u->row_taps;
    block.rows_pitch = cells + u->taps - 1;
    block.row_taps = u->taps;
    block.taps = 1;
    block.plane_pitch = block.row_pitch;
    block.row_pitch = 1;
    block.output_rows = cells;
    block.count = u->rows;
    direct_run_block(u, &block);
    put_columns(u, first, cells);
    return true;
}
