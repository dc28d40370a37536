/* SPDX-License-Identifier: MIT */
/* The last step of backward_input under a padding_mode that repeats the input: the gradients of all cells of the padded input
 * that stand for one element are added to the first of them, row-major. */
#include "core/layer_state.h"

#include "core/boundary.h"

/* One axis of the padded input. */
struct axis_cells {
    enum convolve_boundary boundary;
    int64_t before, cells, length;
};

/* The least number above `above` that is `like` modulo `period`. */
static int64_t next_like(int64_t above, int64_t like, int64_t period)
{
    const int64_t rest = (like - above - 1) % period;
    return above + 1 + (rest < 0 ? rest + period : rest);
}

/* The first cell after `cell` that stands for element `index`; at least `cells` where there is none. */
static int64_t next_cell(const struct axis_cells *axis, int64_t index, int64_t cell)
{
    const int64_t own = index + axis->before;
    if (axis->boundary == CONVOLVE_WRAP)
        return next_like(cell, own, axis->length);
    if (axis->boundary == CONVOLVE_REFLECT && axis->length > 1) {
        const int64_t period = 2 * (axis->length - 1);
        const int64_t a = next_like(cell, own, period), b = next_like(cell, axis->before - index, period);
        return a < b ? a : b;
    }
    /* replicate; and what a single element is reflected to */
    if (cell + 1 <= own && index == 0)
        return cell + 1;
    if (cell < own)
        return own;
    return index == axis->length - 1 ? cell + 1 : axis->cells;
}

#define DEFINE_FOLD(type, suffix)                                                                                      \
    static void fold_##suffix(const struct layer_state *state, const type *cells, type *out, const int64_t *index)     \
    {                                                                                                                  \
        struct axis_cells axis[LAYER_AXES];                                                                            \
        bool first = true;                                                                                             \
        for (unsigned i = 0; i < LAYER_AXES; i++)                                                                      \
            axis[i] = (struct axis_cells){state->geometry.boundary, state->geometry.axis[i].before,                    \
                                          (int64_t)state->cut[i].target, (int64_t)state->geometry.axis[i].x};          \
        for (unsigned part = 0; part < state->parts; part++)                                                           \
            out[part] = 0;                                                                                             \
        for (int64_t z = next_cell(&axis[0], index[0], -1); z < axis[0].cells; z = next_cell(&axis[0], index[0], z))   \
            for (int64_t y = next_cell(&axis[1], index[1], -1); y < axis[1].cells;                                     \
                 y = next_cell(&axis[1], index[1], y))                                                                 \
                for (int64_t x = next_cell(&axis[2], index[2], -1); x < axis[2].cells;                                 \
                     x = next_cell(&axis[2], index[2], x)) {                                                           \
                    const type *const cell = cells + ((size_t)z * state->target.axis_pitch[0] +                        \
                                                      (size_t)y * state->target.axis_pitch[1] + (size_t)x) *           \
                                                         state->parts;                                                 \
                    for (unsigned part = 0; part < state->parts; part++)                                               \
                        out[part] = first ? cell[part] : out[part] + cell[part];                                       \
                    first = false;                                                                                     \
                }                                                                                                      \
    }
DEFINE_FOLD(float, f32)
DEFINE_FOLD(double, f64)
DEFINE_FOLD(uint64_t, u64)
#undef DEFINE_FOLD

void layer_fold_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_side *side = &geometry->x;
    const size_t channels = side->channels * geometry->groups, all = geometry->output_count;
    const size_t first = tile << 12, count = layer_least((size_t)1 << 12, all - first);
    const void *const target = layer_scratch_parts(state, run->scratch).target;
    for (size_t i = first; i < first + count; i++) {
        const size_t cells = i / side->item_pitch * state->target.item_pitch +
                             i / side->channel_pitch % channels * state->target.channel_pitch;
        int64_t index[LAYER_AXES];
        for (unsigned a = 0; a < LAYER_AXES; a++)
            index[a] = (int64_t)(i / side->axis_pitch[a] % geometry->axis[a].x);
        const size_t from = cells * state->parts, to = i * state->parts;
        if (state->element == LAYER_F32)
            fold_f32(state, (const float *)target + from, (float *)run->output + to, index);
        else if (state->element == LAYER_F64)
            fold_f64(state, (const double *)target + from, (double *)run->output + to, index);
        else
            fold_u64(state, (const uint64_t *)target + from, (uint64_t *)run->output + to, index);
    }
    if (state->element != LAYER_U64)
        layer_look_at(plan, run, first, count);
}
