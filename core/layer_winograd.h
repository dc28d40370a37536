/* SPDX-License-Identifier: MIT */
/* Layers by Winograd's F(2 x 2, 3 x 3) and F(4 x 4, 3 x 3): what layer.c calls. The rules are in layer_winograd.c, a unit's
 * work in layer_winograd_unit.c. */
#ifndef CORE_LAYER_WINOGRAD_H
#define CORE_LAYER_WINOGRAD_H

#include "core/layer_state.h"

enum { LAYER_WINOGRAD_TAPS = 16 /* along z, at most */ };

/* Fails with "invalid-value" at /method and the reason. */
bool layer_winograd_accepts(const struct layer_geometry *geometry, struct convolve_error *error);
/* The same without the reason, and with dilations and a third axis of few taps, of which `winograd` by name knows nothing. */
bool layer_winograd_can(const struct layer_geometry *geometry);
/* Of a state that layer_cut_derive has filled: whether it is faster, and which m. */
bool layer_winograd_pays(const struct layer_state *state);
unsigned layer_winograd_tile(const struct layer_state *state);

/* Fills state->winograd; false where a size cannot be counted. */
bool layer_winograd_derive(struct layer_state *state);
/* Nothing but biases is left for layer_scan_tile to look at. */
void layer_winograd_count_chunks(struct layer_state *state);
/* `elements` rounded up to an odd number of lines of 64 bytes, so that what lies so far apart does not share the caches' sets. */
size_t layer_winograd_odd_lines(const struct layer_state *state, size_t elements);
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
/* Transforms a block of weights; the cells of the only unit. Nothing where no item needs it. */
void layer_winograd_pack(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile,
                         void *tile_scratch);
void layer_winograd_cells(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile,
                          void *tile_scratch);
/* Makes a unit, or a block of rows of the only one, unless its item is made by `direct`. */
void layer_winograd_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t number,
                         void *tile_scratch);

/* ---- layer_winograd_weights.c ---- */

/* Lanes of the block that begins with `row`, with and without one. */
size_t layer_winograd_width(const struct layer_state *state, size_t row);
/* Real numbers of the room that weights need on their way. */
bool layer_winograd_turned(const struct layer_state *state, size_t *elements);
/* Some channels of a block, by way of `turned`; products are `pitch` apart. */
void layer_winograd_transform(const struct convolve_plan *plan, const struct convolve_run *run, void *out, size_t pitch,
                              void *turned, size_t group, size_t row, size_t channel, size_t channels);
/* Asks the memory for a share of the chunk of weights that begins with `channel`, while another one is multiplied with. */
void layer_winograd_fetch(const struct convolve_plan *plan, const struct convolve_run *run, size_t group, size_t row,
                          size_t channel, size_t product);
/* Where a block is that was transformed before. */
void *layer_winograd_block(const struct layer_state *state, const struct layer_scratch *scratch, size_t group,
                           size_t row);

/* ---- layer_winograd_unit.c ---- */
bool layer_winograd_shared_scratch(const struct layer_state *state, size_t *bytes);

/* ---- layer_winograd_gradient.c: gradients of the weight. Nothing is done where they are made by `direct`. ---- */
bool layer_winograd_gradient_pays(const struct layer_state *state);
bool layer_winograd_gradient_derive(struct layer_state *state);
bool layer_winograd_gradient_tile_scratch(const struct layer_state *state, size_t *bytes);
void layer_winograd_gradient_transform(const struct convolve_plan *plan, const struct convolve_run *run, size_t pass,
                                       size_t unit, void *tile_scratch);
/* After it, in the same pass. */
void layer_winograd_gradient_sum(const struct convolve_plan *plan, const struct convolve_run *run, size_t pass,
                                 size_t unit);
void layer_winograd_gradient_emit(const struct convolve_plan *plan, const struct convolve_run *run, size_t unit,
                                  void *tile_scratch);

#endif
