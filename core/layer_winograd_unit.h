/* SPDX-License-Identifier: MIT */
/* A unit of winograd, as layer_winograd_cells.c fills it and layer_winograd_unit.c makes outputs from it. */
#ifndef CORE_LAYER_WINOGRAD_UNIT_H
#define CORE_LAYER_WINOGRAD_UNIT_H

#include "core/layer_winograd.h"

struct winograd_unit {
    const struct convolve_plan *plan;
    const struct layer_state *state;
    const struct convolve_run *run;
    size_t item, group, first[3], deep, high, wide; /* planes, strips, tiles */
    size_t planes; /* of the source */
    struct layer_item facts;
    unsigned char *line, *cells, *transformed;
    uint32_t
        *filled; /* of every cell, bits that are set where a channel holds something else than 0; NULL: unknown, all */
};

/* Strips of one phase, one below the other: the cells of neighbours overlap. */
struct strip_run {
    size_t strip, high; /* counted from the unit's first one */
    size_t phase[2], tile; /* the first row of tiles */
};

static inline bool winograd_backwards(const struct layer_state *state)
{
    return layer_reads_y(&state->geometry);
}

/* Real numbers of a row of cells. */
static inline size_t winograd_row(const struct layer_state *state)
{
    return state->winograd.m * state->winograd.phase;
}

/* From a strip of the unit on. */
struct strip_run winograd_run_from(const struct winograd_unit *unit, size_t strip);
/* Row `line` of a strip's own, which has m+2 of them. */
uint32_t *winograd_filled_row(const struct winograd_unit *unit, size_t plane, size_t strip, size_t line);

bool winograd_cells_scratch(const struct layer_state *state, size_t *bytes);
/* The unit's parts of the tile's scratch, or of the run's, where all tiles have the transformed ones in common. */
void winograd_take_cells(struct winograd_unit *unit, unsigned char **cursor);
/* Some channels of the unit. Which cells are filled has to be cleared before it is noted. */
void winograd_take_channels(const struct winograd_unit *unit, size_t channel, size_t channels, bool transform,
                            bool note);
void winograd_clear_filled(const struct winograd_unit *unit);

#endif
