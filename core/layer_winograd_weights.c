/* SPDX-License-Identifier: MIT */
/* The transformed weights of winograd. A block is some output channels, side by side in whole lines of 64 bytes, zeros in the
 * lanes that have none: product by product, channel by channel, tap along z by tap. Where they are many, blocks are made by
 * the tiles that multiply with them, some channels at a time, and so never leave the second-level cache. */
#include "core/layer_winograd.h"

#include <string.h>

enum {
    TAPS = 9, /* along y and x */
    TURNED_BYTES = 24 << 10, /* of the first-level cache, for taps between the tensor and their transforms */
};

size_t layer_winograd_width(const struct layer_state *state, size_t row)
{
    const size_t line = 64 / state->element_bytes;
    return layer_least(state->winograd.lanes, (state->rows - row + line - 1) / line * line);
}

/* Channels that are turned at a time. */
static size_t channels_turned(const struct layer_state *state)
{
    const struct layer_winograd *w = &state->winograd;
    const size_t bytes = TAPS * w->lanes * state->element_bytes;
    return w->taps > TURNED_BYTES / bytes ? 1 : TURNED_BYTES / bytes / w->taps;
}

bool layer_winograd_turned(const struct layer_state *state, size_t *elements)
{
    return !__builtin_mul_overflow(channels_turned(state) * TAPS * state->winograd.lanes, state->winograd.taps,
                                   elements);
}

/* The taps of some channels, [channel][tap][lane]. */
static void turn_taps(const struct convolve_plan *plan, const struct convolve_run *run, unsigned char *out,
                      size_t group, size_t row, size_t channel, size_t channels)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_weight *weight = &state->geometry.w;
    const size_t bytes = state->element_bytes, taps = state->winograd.taps * TAPS;
    const size_t width = layer_winograd_width(state, row), rows = layer_least(width, state->rows - row);
    const size_t base = group * state->weight_group_pitch + row * state->weight_row_pitch;
    const size_t pitch = state->weight_channel_pitch;
    if (rows < width)
        memset(out, 0, channels * taps * width * bytes);
    if (weight->axis_pitch[2] == 1) {
        const size_t once = pitch == taps ? channels : 1;
        for (size_t c = 0; c < channels; c += once)
            layer_pack_turn(plan, out + c * taps * width * bytes, width, run->kernel, base + (channel + c) * pitch,
                            rows, once * taps);
        return;
    }
    for (size_t tap = 0; tap < taps; tap++, out += width * bytes) {
        const size_t from = base + tap / TAPS * weight->axis_pitch[0] + tap / 3 % 3 * weight->axis_pitch[1] +
                            tap % 3 * weight->axis_pitch[2];
        if (pitch == 1)
            layer_pack_turn(plan, out, taps * width, run->kernel, from + channel, rows, channels);
        else
            for (size_t c = 0; c < channels; c++)
                layer_pack_turn(plan, out + c * taps * width * bytes, width, run->kernel, from + (channel + c) * pitch,
                                rows, 1);
    }
}

void layer_winograd_transform(const struct convolve_plan *plan, const struct convolve_run *run, void *out, size_t pitch,
                              void *turned, size_t group, size_t row, size_t channel, size_t channels)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_winograd *w = &state->winograd;
    const size_t width = layer_winograd_width(state, row), once = channels_turned(state);
    const bool flip = layer_reads_y(&state->geometry);
    for (size_t c = 0; c < channels; c += once) {
        const size_t taken = layer_least(once, channels - c);
        turn_taps(plan, run, turned, group, row, channel + c, taken);
        for (size_t i = 0; i < taken * w->taps; i++) {
            const size_t from = i * TAPS * width, to = (c * w->taps + i) * width;
            if (state->element == LAYER_F32)
                plan->routines->winograd_weights_f32(w->m, (float *)out + to, pitch, (const float *)turned + from,
                                                     width, flip);
            else
                plan->routines->winograd_weights_f64(w->m, (double *)out + to, pitch, (const double *)turned + from,
                                                     width, flip);
        }
    }
}

void layer_winograd_fetch(const struct convolve_plan *plan, const struct convolve_run *run, size_t group, size_t row,
                          size_t channel, size_t product)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_winograd *w = &state->winograd;
    const size_t taps = w->taps * TAPS, all = (w->m + 2) * (w->m + 2);
    if (channel >= state->channels || state->geometry.w.axis_pitch[2] != 1 || state->weight_channel_pitch != taps)
        return;
    const size_t rows = layer_least(layer_winograd_width(state, row), state->rows - row);
    const size_t bytes = layer_least(w->chunk, state->channels - channel) * taps * state->element_bytes;
    for (size_t r = rows * product / all; r < rows * (product + 1) / all; r++) {
        const unsigned char *const from =
            (const unsigned char *)run->kernel +
            (group * state->weight_group_pitch + (row + r) * state->weight_row_pitch + channel * taps) *
                state->element_bytes;
        for (size_t i = 0; i < bytes; i += 64)
            __builtin_prefetch(from + i, 0, 2);
    }
}

void *layer_winograd_block(const struct layer_state *state, const struct layer_scratch *scratch, size_t group,
                           size_t row)
{
    const struct layer_winograd *w = &state->winograd;
    const size_t blocks = (state->rows - 1) / w->lanes + 1;
    return (unsigned char *)scratch->transformed + (group * blocks + row / w->lanes) * w->block * state->element_bytes;
}

void layer_winograd_pack(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile,
                         void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_winograd *w = &state->winograd;
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    const size_t blocks = (state->rows - 1) / w->lanes + 1, group = tile / blocks, row = tile % blocks * w->lanes;
    layer_winograd_transform(plan, run, layer_winograd_block(state, &scratch, group, row),
                             w->block / ((w->m + 2) * (w->m + 2)), tile_scratch, group, row, 0, state->channels);
}
