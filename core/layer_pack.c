/* SPDX-License-Identifier: MIT */
/* Brings the weights into the order in which panels take them: by phase (its taps lie together), group and block of rows;
 * within it channel by channel, tap by tap, the rows of the block side by side. Complex weights become two rows and two
 * taps: what multiplies the real part of an input, then the imaginary one. Where lanes are output channels, a block is two
 * lines of 64 bytes (the last perhaps one), zeros in the lanes that have no row. */
#include "core/layer_state.h"

#include <string.h>

enum {
    TAPS_TURNED = 32, /* of a channel, that rows become columns of at a time */
    LOOK_VALUES = 1024, /* of a block, from which on it is looked at while it is packed */
};

/* Taps of the phases before the one whose first tap is `first`, phases being ordered by their first tap. */
static size_t taps_before(const struct layer_cut *cut, size_t first)
{
    return first >= cut->kernel ? cut->kernel
                                : cut->kernel / cut->tap_step * first + layer_least(cut->kernel % cut->tap_step, first);
}

/* Whether a row's chain is the tensor's, so that blocks are pieces of it. */
static bool packs_rows(const struct layer_state *state)
{
    return state->geometry.operation == CONVOLVE_LAYER_CONV && state->parts == 1 && !state->geometry.channels_last;
}

/* What is looked at chunk by chunk, or by packing. */
static void count_scans(struct layer_state *state)
{
    const size_t weights = state->pack_looks ? 0 : (state->weight_values - 1) / LAYER_CHUNK + 1;
    state->weight_chunks = state->pack_looks ? state->pack_tiles : weights;
    state->scan_tiles = (state->source_chunks + weights + state->bias_chunks - 1) / 16 + 1;
}

void layer_pack_shape(struct layer_state *state, bool outer)
{
    const size_t line = 64 / state->element_bytes;
    state->outer = outer;
    state->block_rows = outer ? 2 * line : SIMD_PANEL_ROWS;
    state->packed_rows = outer ? (state->rows + line - 1) / line * line : state->rows;
    state->pack_tiles = ((state->rows - 1) / state->block_rows + 1) * state->geometry.groups;
    state->pack_looks =
        packs_rows(state) && layer_least(state->block_rows, state->rows) >= LOOK_VALUES / state->weight_row_pitch;
    state->packs_late = false;
    count_scans(state);
}

void layer_pack_nothing(struct layer_state *state)
{
    state->pack_tiles = 0;
    state->pack_looks = false;
    count_scans(state);
}

void layer_pack_late(struct layer_state *state)
{
    state->packs_late = true;
    state->pack_tiles = 0;
}

size_t layer_pack_offset(const struct layer_state *state, const struct layer_phase *phases, size_t group, size_t row)
{
    const struct layer_cut *cut = state->cut;
    const size_t z = taps_before(&cut[0], phases[0].tap_first), y = taps_before(&cut[1], phases[1].tap_first),
                 x = taps_before(&cut[2], phases[2].tap_first);
    const size_t all = cut[0].kernel * cut[1].kernel * cut[2].kernel, chain = state->channels * state->parts;
    const size_t taps = phases[0].taps * phases[1].taps * phases[2].taps;
    const size_t before = z * cut[1].kernel * cut[2].kernel + phases[0].taps * (y * cut[2].kernel + phases[1].taps * x);
    return chain * (group * state->packed_rows * all + before * state->packed_rows + taps * row);
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

/* Rows and lanes without one, of the block that begins with `row`. */
static size_t block_width(const struct layer_state *state, size_t row)
{
    return layer_least(state->block_rows, state->packed_rows - row);
}

/* A block of one phase. */
static void pack_block(const struct layer_state *state, void *packed, const void *weights,
                       const struct layer_phase *phases, size_t group, size_t row)
{
    const size_t rows = layer_least(state->block_rows, state->rows - row), width = block_width(state, row);
    const struct layer_weight *w = &state->geometry.w;
    const struct layer_cut *cut = state->cut;
    size_t to = layer_pack_offset(state, phases, group, row);
    for (size_t channel = 0; channel < state->channels; channel++) {
        const size_t base = group * state->weight_group_pitch + channel * state->weight_channel_pitch;
        for (size_t z = 0; z < phases[0].taps; z++)
            for (size_t y = 0; y < phases[1].taps; y++)
                for (size_t x = 0; x < phases[2].taps; x++, to += width * state->parts)
                    pack_tap(state, packed, to, weights,
                             base + (phases[0].tap_first + z * cut[0].tap_step) * w->axis_pitch[0] +
                                 (phases[1].tap_first + y * cut[1].tap_step) * w->axis_pitch[1] +
                                 (phases[2].tap_first + x * cut[2].tap_step) * w->axis_pitch[2],
                             row, rows);
    }
}

void layer_pack_turn(const struct convolve_plan *plan, void *out, size_t width, const void *weights, size_t from,
                     size_t rows, size_t columns)
{
    const struct layer_state *state = layer_state(plan);
    const size_t pitch = state->weight_row_pitch;
    const unsigned char *const in = (const unsigned char *)weights + from * state->element_bytes;
    if (state->element_bytes == 4)
        plan->routines->transpose_u32(out, width, in, pitch, rows, columns);
    else
        plan->routines->transpose_u64(out, width, in, pitch, rows, columns);
}

void layer_pack_steps(const struct convolve_plan *plan, const struct convolve_run *run, void *out, size_t group,
                      size_t row, size_t first, size_t count, struct layer_facts *facts)
{
    const struct layer_state *state = layer_state(plan);
    const size_t rows = layer_least(state->block_rows, state->rows - row), chain = state->weight_row_pitch;
    const size_t width = block_width(state, row), from = group * state->weight_group_pitch + row * chain + first;
    const unsigned char *const weights = (const unsigned char *)run->kernel + from * state->element_bytes;
    for (size_t r = 0; state->pack_looks && r < rows; r++)
        layer_look(plan, weights + r * chain * state->element_bytes, count, facts);
    if (rows < width)
        memset(out, 0, count * width * state->element_bytes);
    layer_pack_turn(plan, out, width, run->kernel, from, rows, count);
}

void layer_pack_look(const struct convolve_plan *plan, const struct convolve_run *run, size_t block)
{
    const struct layer_state *state = layer_state(plan);
    const size_t blocks = (state->rows - 1) / state->block_rows + 1, row = block % blocks * state->block_rows;
    const size_t from = block / blocks * state->weight_group_pitch + row * state->weight_row_pitch;
    struct layer_facts facts = {0};
    layer_look(plan, (const unsigned char *)run->kernel + from * state->element_bytes,
               layer_least(state->block_rows, state->rows - row) * state->weight_row_pitch, &facts);
    layer_scratch_parts(state, run->scratch).weight[block] = facts;
}

/* What reads y: all taps of a channel at a time, then each to its phase. */
static void turn_taps(const struct convolve_plan *plan, unsigned char *packed, const void *weights, size_t group,
                      size_t row)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_cut *cut = state->cut;
    const size_t rows = layer_least(state->block_rows, state->rows - row), width = block_width(state, row);
    const size_t bytes = width * state->element_bytes, kernel[] = {cut[0].kernel, cut[1].kernel, cut[2].kernel};
    const size_t taps = kernel[0] * kernel[1] * kernel[2];
    _Alignas(64) unsigned char turned[TAPS_TURNED * 128];
    size_t to[TAPS_TURNED], apart[TAPS_TURNED];
    for (size_t tap = 0; tap < taps; tap++) {
        const size_t place[LAYER_AXES] = {tap / kernel[2] / kernel[1], tap / kernel[2] % kernel[1], tap % kernel[2]};
        struct layer_phase phases[LAYER_AXES];
        size_t before = 0, count = 1;
        for (unsigned i = 0; i < LAYER_AXES; i++) {
            const size_t first = place[i] % cut[i].tap_step;
            phases[i] = (struct layer_phase){.tap_first = first, .taps = (kernel[i] - first - 1) / cut[i].tap_step + 1};
            before = before * phases[i].taps + place[i] / cut[i].tap_step;
            count *= phases[i].taps;
        }
        to[tap] = layer_pack_offset(state, phases, group, row) * state->element_bytes + before * bytes;
        apart[tap] = count * bytes;
    }
    for (size_t channel = 0; channel < state->channels; channel++) {
        layer_pack_turn(plan, turned, width, weights,
                        group * state->weight_group_pitch + channel * state->weight_channel_pitch +
                            row * state->weight_row_pitch,
                        rows, taps);
        for (size_t tap = 0; tap < taps; tap++)
            memcpy(packed + to[tap] + channel * apart[tap], turned + tap * bytes, bytes);
    }
}

/* What has no way of its own, set of taps by set of taps: those that begin at the first taps below tap_step. Lanes that have no
 * row are cleared. */
static void pack_sets(const struct layer_state *state, unsigned char *packed, const void *weights, size_t group,
                      size_t row, bool turned)
{
    const struct layer_cut *cut = state->cut;
    const size_t width = block_width(state, row);
    struct layer_phase phases[LAYER_AXES];
    size_t ends[LAYER_AXES];
    for (unsigned i = 0; i < LAYER_AXES; i++)
        ends[i] = layer_least(cut[i].tap_step, cut[i].kernel);
    for (size_t z = 0; z < ends[0]; z++)
        for (size_t y = 0; y < ends[1]; y++)
            for (size_t x = 0; x < ends[2]; x++) {
                const size_t firsts[LAYER_AXES] = {z, y, x};
                size_t values = width * state->channels * state->parts;
                for (unsigned i = 0; i < LAYER_AXES; i++) {
                    phases[i] = (struct layer_phase){.tap_first = firsts[i],
                                                     .taps = (cut[i].kernel - firsts[i] - 1) / cut[i].tap_step + 1};
                    values *= phases[i].taps;
                }
                if (row + width > state->rows)
                    memset(packed + layer_pack_offset(state, phases, group, row) * state->element_bytes, 0,
                           values * state->element_bytes);
                if (!turned)
                    pack_block(state, packed, weights, phases, group, row);
            }
}

void layer_pack_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    unsigned char *const packed = scratch.packed;
    const size_t blocks = (state->rows - 1) / state->block_rows + 1;
    const size_t group = tile / blocks, row = tile % blocks * state->block_rows;
    if (packs_rows(state)) {
        const size_t chain = state->weight_row_pitch;
        struct layer_facts facts = {0};
        layer_pack_steps(plan, run, packed + (group * state->packed_rows + row) * chain * state->element_bytes, group,
                         row, 0, chain, &facts);
        if (state->pack_looks)
            scratch.weight[tile] = facts;
        return;
    }
    const bool by_taps = state->parts == 1 && !state->geometry.channels_last &&
                         state->geometry.operation != CONVOLVE_LAYER_CONV && state->weight_row_pitch <= TAPS_TURNED;
    if (!by_taps || row + block_width(state, row) > state->rows)
        pack_sets(state, packed, run->kernel, group, row, by_taps);
    if (by_taps)
        turn_taps(plan, packed, run->kernel, group, row);
}
