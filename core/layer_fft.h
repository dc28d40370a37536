/* SPDX-License-Identifier: MIT */
/* Layers as sums of filters that run by `fft`, so that they keep what filters promise: what layer.c calls. */
#ifndef CORE_LAYER_FFT_H
#define CORE_LAYER_FFT_H

#include "core/layer_state.h"

/* Fails with "invalid-value" at /method and the reason. */
bool layer_fft_accepts(const struct layer_geometry *geometry, struct convolve_error *error);
/* Of a state that layer_cut_derive has filled: whether a depthwise layer's kernel is large enough. */
bool layer_fft_pays(const struct layer_state *state);

/* Fills state->fft, and takes from the state what only `direct` needs; false where a size cannot be counted. */
bool layer_fft_derive(struct layer_state *state);
bool layer_fft_tile_scratch(const struct layer_state *state, size_t *bytes);

/* Makes and destroys the filters' plan. */
bool layer_fft_create(struct layer_state *state, struct convolve_error *error);
void layer_fft_destroy(struct layer_state *state);

/* Adds one slice to one plane of the target. */
void layer_fft_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t slice, size_t tile,
                    void *tile_scratch);
/* After the last slice. */
double layer_fft_bound(const struct layer_state *state, const struct layer_scratch *scratch);

#endif
