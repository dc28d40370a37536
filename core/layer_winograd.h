/* SPDX-License-Identifier: MIT */
/* Layers by Winograd's F(2 x 2, 3 x 3) and F(4 x 4, 3 x 3): what layer.c calls. The rules are in layer_winograd.c, a unit's
 * work in layer_winograd_unit.c. */
#ifndef CORE_LAYER_WINOGRAD_H
#define CORE_LAYER_WINOGRAD_H

#include "core/layer_state.h"

/* Fails with "invalid-value" at /method and the reason. */
bool layer_winograd_accepts(const struct layer_geometry *geometry, struct convolve_error *error);
/* Of a state that layer_cut_derive has filled: whether it is faster, and which m. */
bool layer_winograd_pays(const struct layer_state *state);
unsigned layer_winograd_tile(const struct layer_state *state);

/* Fills state->winograd; false where a size cannot be counted. */
bool layer_winograd_derive(struct layer_state *state);
bool layer_winograd_scratch(const struct layer_state *state, size_t *bytes);
bool layer_winograd_tile_scratch(const struct layer_state *state, size_t *bytes);
void layer_winograd_parts(const struct layer_state *state, unsigned char *cursor, struct layer_scratch *parts);

size_t layer_winograd_scan_tiles(const struct layer_state *state);
void layer_winograd_scan(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile);
/* What it has looked at, as layer_conclude wants it. */
void layer_winograd_facts(const struct layer_state *state, const struct layer_scratch *scratch,
                          struct layer_findings *found);
/* After layer_conclude. */
void layer_winograd_conclude(const struct convolve_plan *plan, const struct convolve_run *run);
/* Transforms the weights of a block of rows that layer_pack_tile has packed. */
void layer_winograd_pack(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile);
/* Makes a unit, unless its item is made by `direct`. */
void layer_winograd_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t number,
                         void *tile_scratch);

#endif
