/* SPDX-License-Identifier: MIT */
/* Brings the weights into the order in which panels take them: by phase (its taps lie together), group and block of rows;
 * within it channel by channel, tap by tap, the rows of the block side by side. Complex weights become two rows and two
 * taps: what multiplies the real part of an input, then the imaginary one. */
#include "core/layer_state.h"

/* Taps of the phases before the one whose first tap is `first`, phases being ordered by their first tap. */
static size_t taps_before(const struct layer_cut *cut, size_t first)
{
    return first >= cut->kernel ? cut->kernel
                                : cut->kernel / cut->tap_step * first + layer_least(cut->kernel % cut->tap_step, first);
}

size_t layer_pack_offset(const struct layer_state *state, const struct layer_phase *phases, size_t group, size_t row)
{
    const struct layer_cut *cut = state->cut;
    const size_t z = taps_before(&cut[0], phases[0].tap_first), y = taps_before(&cut[1], phases[1].tap_first),
                 x = taps_before(&cut[2], phases[2].tap_first);
    const size_t all = cut[0].kernel * cut[1].kernel * cut[2].kernel, chain = state->channels * state->parts;
    const size_t taps = phases[0].taps * phases[1].taps * phases[2].taps;
    const size_t before = z * cut[1].kernel * cut[2].kernel + phases[0].taps * (y * cut[2].kernel + phases[1].taps * x);
    return chain * (group * state->rows * all + before * state->rows + taps * row);
}

#define DEFINE_PACK(type, suffix)                                                                                      \
    static void pack_##suffix(const struct layer_state *state, type *out, const type *weights, size_t pitch,           \
                              size_t first, size_t rows)                                                               \
    {                                                                                                                  \
        const unsigned parts = state->parts;                                                                           \
        for (unsigned part = 0; part < parts; part++) {                                                                \
            for (size_t r = 0; r < rows; r++) {                                                                        \
                const size_t row = first + r;                                                                          \
                const type *const w = weights + row / parts * pitch * parts;                                           \
                if (parts == 1)                                                                                        \
                    *out++ = w[0];                                                                                     \
                else if (part == 0)                                                                                    \
                    *out++ = w[row % 2];                                                                               \
                else                                                                                                   \
                    *out++ = row % 2 ? w[0] : -w[1];                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }
DEFINE_PACK(float, f32)
DEFINE_PACK(double, f64)
DEFINE_PACK(uint64_t, u64)
#undef DEFINE_PACK

/* The weights of one channel and tap, for every row of the block. */
static void pack_tap(const struct layer_state *state, void *packed, size_t to, const void *weights, size_t from,
                     size_t row, size_t rows)
{
    const size_t pitch = state->weight_row_pitch;
    if (state->element == LAYER_F32)
        pack_f32(state, (float *)packed + to, (const float *)weights + from * state->parts, pitch, row, rows);
    else if (state->element == LAYER_F64)
        pack_f64(state, (double *)packed + to, (const double *)weights + from * state->parts, pitch, row, rows);
    else
        pack_u64(state, (uint64_t *)packed + to, (const uint64_t *)weights + from, pitch, row, rows);
}

/* A block of one phase. */
static void pack_block(const struct layer_state *state, void *packed, const void *weights,
                       const struct layer_phase *phases, size_t group, size_t row)
{
    const size_t rows = layer_least(SIMD_PANEL_ROWS, state->rows - row);
    const struct layer_weight *w = &state->geometry.w;
    const struct layer_cut *cut = state->cut;
    size_t to = layer_pack_offset(state, phases, group, row);
    for (size_t channel = 0; channel < state->channels; channel++) {
        const size_t base = group * state->weight_group_pitch + channel * state->weight_channel_pitch;
        for (size_t z = 0; z < phases[0].taps; z++)
            for (size_t y = 0; y < phases[1].taps; y++)
                for (size_t x = 0; x < phases[2].taps; x++, to += rows * state->parts)
                    pack_tap(state, packed, to, weights,
                             base + (phases[0].tap_first + z * cut[0].tap_step) * w->axis_pitch[0] +
                                 (phases[1].tap_first + y * cut[1].tap_step) * w->axis_pitch[1] +
                                 (phases[2].tap_first + x * cut[2].tap_step) * w->axis_pitch[2],
                             row, rows);
    }
}

/* One phase, the rows as they lie in the tensor: rows become columns. */
static void turn_block(const struct convolve_plan *plan, void *packed, const void *weights, size_t group, size_t row)
{
    const struct layer_state *state = layer_state(plan);
    const size_t rows = layer_least(SIMD_PANEL_ROWS, state->rows - row), chain = state->weight_row_pitch;
    const size_t from = group * state->weight_group_pitch + row * chain;
    unsigned char *const out = (unsigned char *)packed + from * state->element_bytes;
    const unsigned char *const in = (const unsigned char *)weights + from * state->element_bytes;
    if (state->element_bytes == 4)
        plan->routines->transpose_u32(out, rows, in, chain, rows, chain);
    else
        plan->routines->transpose_u64(out, rows, in, chain, rows, chain);
}

void layer_pack_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    void *const packed = layer_scratch_parts(state, run->scratch).packed;
    const size_t blocks = (state->rows + SIMD_PANEL_ROWS - 1) / SIMD_PANEL_ROWS;
    const size_t group = tile / blocks, row = tile % blocks * SIMD_PANEL_ROWS;
    if (state->geometry.operation == CONVOLVE_LAYER_CONV && state->parts == 1 && !state->geometry.channels_last) {
        turn_block(plan, packed, run->kernel, group, row);
        return;
    }
    /* Each set of taps once: those that begin at the first taps below tap_step. */
    const struct layer_cut *cut = state->cut;
    struct layer_phase phases[LAYER_AXES];
    size_t ends[LAYER_AXES];
    for (unsigned i = 0; i < LAYER_AXES; i++)
        ends[i] = layer_least(cut[i].tap_step, cut[i].kernel);
    for (size_t z = 0; z < ends[0]; z++)
        for (size_t y = 0; y < ends[1]; y++)
            for (size_t x = 0; x < ends[2]; x++) {
                const size_t firsts[LAYER_AXES] = {z, y, x};
                for (unsigned i = 0; i < LAYER_AXES; i++)
                    phases[i] = (struct layer_phase){.tap_first = firsts[i],
                                                     .taps = (cut[i].kernel - firsts[i] - 1) / cut[i].tap_step + 1};
                pack_block(state, packed, run->kernel, phases, group, row);
            }
}
