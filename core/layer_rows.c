/* SPDX-License-Identifier: MIT */
/* Units whose groups make one or two rows (output channels): depthwise layers above all. Panels would leave most registers
 * empty, so here the filters' blocks make many rows of places at once, each input row serving all windows that hold it. */
#include "core/layer_state.h"

#include <string.h>

/* How a unit's taps become a block's. */
struct rows_plan {
    bool shared; /* consecutive input rows serve consecutive windows; else every row of taps is a plane of its own */
    bool backwards; /* rows of places are made from the last to the first, since taps go backwards in the source */
    size_t planes, row_taps, row_step, entries; /* entries: input rows of a plane */
};

static struct rows_plan plan_rows(const struct layer_unit *unit)
{
    const struct layer_cut *y = &unit->state->cut[1];
    const size_t z_taps = unit->phase[0].taps, y_taps = unit->phase[1].taps, channels = unit->state->channels;
    struct rows_plan plan = {.planes = channels * z_taps * y_taps, .row_taps = 1, .row_step = 1};
    plan.shared = (y->delta == 1 || y->delta == -1) && !y->slot_each_tap && y_taps > 1;
    if (plan.shared) {
        plan.planes = channels * z_taps;
        plan.row_taps = y_taps;
        plan.row_step = y->step;
        plan.backwards = y->delta < 0;
    }
    plan.entries = (unit->count[1] - 1) * plan.row_step + plan.row_taps;
    return plan;
}

/* The input row `entry` of a plane whose first tap has the offset `offsets[0]`; without taps along x, which then are none at all,
 * any row. */
static const unsigned char *input_row(const struct layer_unit *unit, const struct rows_plan *plan,
                                      const unsigned char *channel, const ptrdiff_t *offsets, size_t entry)
{
    const size_t taps = unit->phase[2].taps, last = plan->row_taps - 1;
    size_t row = entry <= last ? 0 : (entry - last + plan->row_step - 1) / plan->row_step;
    const size_t tap = entry >= row * plan->row_step ? entry - row * plan->row_step : 0; /* between windows: any */
    if (taps == 0)
        return channel;
    if (plan->backwards)
        row = unit->count[1] - 1 - row;
    return channel + ((size_t)offsets[tap * taps] + row * unit->row_pitch) * unit->state->element_bytes;
}

static void list_inputs(const struct layer_unit *unit, const struct rows_plan *plan, const void **rows)
{
    const size_t planes = plan->planes / unit->state->channels;
    for (size_t c = 0; c < unit->state->channels; c++) {
        const unsigned char *const channel =
            (const unsigned char *)unit->copy + c * unit->channel_pitch * unit->state->element_bytes;
        for (size_t plane = 0; plane < planes; plane++) {
            const ptrdiff_t *const offsets = unit->offsets + plane * plan->row_taps * unit->phase[2].taps;
            for (size_t i = 0; i < plan->entries; i++)
                *rows++ = input_row(unit, plan, channel, offsets, i);
        }
    }
}

/* The taps of one row, out of those of all rows side by side. */
static const void *row_values(const struct layer_unit *unit, const unsigned char *packed, size_t row,
                              unsigned char *room)
{
    const size_t bytes = unit->state->element_bytes, count = unit->state->channels * unit->tap_count;
    if (unit->state->rows == 1)
        return packed;
    for (size_t i = 0; i < count; i++) {
        const unsigned char *const from = packed + (i * unit->state->rows + row) * bytes;
        if (bytes == 4)
            memcpy(room + i * 4, from, 4);
        else
            memcpy(room + i * 8, from, 8);
    }
    return room;
}

static void add_bias(const struct layer_state *state, void *row, const void *bias, size_t count)
{
#define ADD_BIAS(type)                                                                                                 \
    for (size_t i = 0; i < count; i++)                                                                                 \
        ((type *)row)[i] += *(const type *)bias;
    if (state->element == LAYER_F32)
        ADD_BIAS(float)
    else if (state->element == LAYER_F64)
        ADD_BIAS(double)
    else
        ADD_BIAS(uint64_t)
#undef ADD_BIAS
}

/* Parts of complex values would be rows and channels of each other. */
bool layer_rows_suit(const struct layer_state *state)
{
    return state->rows <= LAYER_ROWS_MOST && state->parts == 1;
}

/* Input rows are listed at most once for each row of taps and of places: where they are shared, the step is below the taps. */
bool layer_rows_scratch(const struct layer_state *state, size_t *bytes)
{
    size_t entries = state->channels;
    return !__builtin_mul_overflow(entries, state->cut[0].taps, &entries) &&
           !__builtin_mul_overflow(entries, state->cut[1].taps, &entries) &&
           !__builtin_mul_overflow(entries, state->cut[1].unit, &entries) &&
           plan_size_add(bytes, entries, sizeof(void *)) && plan_size_add(bytes, state->cut[1].unit, sizeof(void *)) &&
           plan_size_add(bytes, state->channels * state->tap_count, state->element_bytes);
}

void layer_make_by_rows(const struct layer_unit *unit, const void *packed, void *scratch)
{
    const struct layer_state *state = unit->state;
    const struct simd_routines *const routines = unit->plan->routines;
    const struct rows_plan plan = plan_rows(unit);
    const size_t high = unit->count[1], x_taps = unit->phase[2].taps;
    unsigned char *cursor = scratch;
    const void **const rows = plan_scratch_take(&cursor, plan.planes * plan.entries, sizeof(void *));
    void **const outputs = plan_scratch_take(&cursor, high, sizeof(void *));
    bool neighbours = true;
    list_inputs(unit, &plan, rows);
    for (size_t k = 1; k < x_taps; k++)
        neighbours &= unit->offsets[k] - unit->offsets[0] == (ptrdiff_t)k;
    /* What a row begins with: offsets of the taps along x are those of its first tap, and the way from there. */
    ptrdiff_t *const offsets = unit->offsets;
    const ptrdiff_t first = x_taps ? offsets[0] : 0;
    for (size_t k = 0; k < x_taps; k++)
        offsets[k] -= first;
    for (size_t row = 0; row < unit->rows; row++) {
        size_t pitch;
        unsigned char *const made = layer_made_row(unit, unit->row + row, &pitch);
        for (size_t r = 0; r < high; r++)
            outputs[r] = made + (plan.backwards ? high - 1 - r : r) * pitch;
        const struct simd_block block = {
            .rows = rows,
            .rows_pitch = plan.entries,
            .planes = unit->tap_count ? plan.planes : 0,
            .row_taps = plan.row_taps,
            .row_step = plan.row_step,
            .taps = x_taps,
            .values = row_values(unit, packed, row, cursor),
            .plane_pitch = plan.row_taps * x_taps,
            .row_pitch = x_taps,
            .offsets = neighbours ? NULL : offsets,
            .output = outputs,
            .output_rows = high,
            .count = unit->count[2],
        };
        (state->element == LAYER_F32   ? routines->block_f32
         : state->element == LAYER_F64 ? routines->block_f64
                                       : routines->block_u64)(&block);
        if (unit->run->bias)
            for (size_t r = 0; r < high; r++)
                add_bias(state, outputs[r],
                         (const unsigned char *)unit->run->bias +
                             (unit->group * state->rows + unit->row + row) * state->element_bytes,
                         unit->count[2]);
    }
}
