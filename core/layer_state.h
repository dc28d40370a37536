/* SPDX-License-Identifier: MIT */
/* What the files of the layers' `direct` share: how a request is cut up, and how a run's scratch is divided.
 *
 * conv, conv_transpose and backward_input are one thing here, a correlation: a source, a target, and along each axis
 *
 *     place in source = place in target * step + first + tap * delta
 *
 * conv is one such correlation. conv_transpose and backward_input are one for each phase, the target's places that are equal
 * modulo the stride: only every (stride / gcd)th tap falls on them, and those have step 1. With a padding_mode other than
 * zeros backward_input has as target the padded cells, in scratch, which are folded afterwards.
 *
 * A unit is one item, one group, one phase (or both along x), some rows (output channels, two for complex ones) by a
 * rectangle of places in one plane. Its input is copied, boundary included, into rows without gaps between the places of a
 * phase of the step, or as it lies where lanes are output channels, so that all taps are offsets; panels then make all rows
 * from it. A tile is some units. */
#ifndef CORE_LAYER_STATE_H
#define CORE_LAYER_STATE_H

#include "core/layer_geometry.h"
#include "core/plan.h"

enum layer_element { LAYER_F32, LAYER_F64, LAYER_U64 };

/* The target's places that are equal modulo the stride, along one axis, and the taps that fall on them. */
struct layer_phase {
    size_t places, taps, tap_first;
    int64_t first;
};

/* Along one axis. */
struct layer_cut {
    size_t source, target; /* lengths */
    size_t step, phases, tap_step; /* tap_step: between two taps of a phase */
    size_t phases_apart; /* places of the target between two of a phase */
    int64_t delta;
    size_t kernel, stride, dilation;
    int64_t before;
    size_t places, taps; /* of the largest phase */
    size_t unit, units; /* places of a unit; units of the largest phase */
    /* Copied rows: a slot holds the cells of one phase of the step, or of one tap, or all, where the source's are copied as
     * they lie, so that places are `step` cells apart. */
    bool slot_each_tap, whole;
    size_t slots, slot_step, cells;
};

struct layer_tensor {
    size_t item_pitch, channel_pitch, axis_pitch[LAYER_AXES]; /* in values */
};

/* How backward_weight is cut up (layer_weight.c). Counts are of real numbers. */
struct layer_sweep {
    size_t cells[LAYER_AXES]; /* of the padded input that windows reach */
    size_t plane, copied; /* of one item and group, each part; of all */
    bool joined; /* the taps of the last axis lie beside the channels of one cell */
    size_t lanes, units, units_per_tile; /* a unit: a block of rows by the lanes of some taps */
    size_t segment, segments; /* of a row of places, and how many there are in all */
    size_t pass, passes; /* segments of a pass */
    size_t copy_tiles, pack_tiles, tiles, emit_tiles;
    bool
        by_lanes; /* layer_lanes.c; `cells`, `segment` and `segments` (of a row) are then those of a window and a pass */
    bool gathers; /* tiles look at all values: */
    size_t looked[2]; /* so many of them at x, and so many at grad_output */
    bool
        by_cross; /* layer_cross.c; `segment` and `high` are then those of a block of places, of which `segments` counts all */
    bool in_place; /* x is read as it lies */
    size_t unit_rows, packed; /* packed: lanes of all places */
    size_t high; /* rows of places of a pass */
};

/* How winograd cuts a layer up (layer_winograd.c); m is 0 under another method. Lengths in cells count real numbers. Along y
 * and x the places of a phase are `step` apart, so that what they see has no gaps; along z all taps are summed, each a plane of
 * tiles away. A strip is a row of tiles of one phase. */
struct layer_winograd {
    unsigned m;
    size_t step[2]; /* along y and x, of which there are as many phases */
    size_t taps; /* along z */
    size_t tiles[2]; /* of a phase: strips, and tiles of one */
    size_t strips; /* of a plane, phase by phase */
    size_t deep, high, wide; /* of a unit: planes, strips of each, tiles of a strip */
    size_t plane_units, strip_units, column_units, units; /* of a slice along each axis, and of all */
    size_t high_units; /* the first along the strips, which have `high` of them; the others have one less */
    size_t planes; /* of the source, that a unit sees */
    size_t lines,
        phase; /* rows of cells of strips below each other, and from one of the m phases of a row to the next */
    size_t filled; /* rows of cells of a plane of a unit, each strip's own */
    size_t lanes; /* output channels side by side, of a block */
    size_t pitch; /* from a channel's tiles to the next one's */
    size_t cell_pitch, made_pitch; /* from one product to the next, of the cells and of what is made */
    size_t chunk, chunk_pitch; /* channels whose weights are transformed at a time, and from one product to the next */
    size_t block, weights; /* transformed: of a block of rows, and of all */
    size_t band; /* strips that are made at a time, all planes' one behind the other */
    bool shared; /* there is one unit, whose cells all tiles share; each makes a block of rows */
    bool late; /* blocks of weights are transformed by those that multiply with them */
    size_t cell_tiles, weight_tiles, tiles_made;
    size_t item_values, item_chunks, weight_chunks; /* to look at */
};

/* How winograd cuts a gradient of the weight up (layer_winograd_gradient.c). Tiles are of m by m gradients. */
struct layer_gradient {
    bool used;
    size_t m, rows, wide; /* rows of tiles of an item, and tiles of one */
    size_t high, bands, passes; /* rows of a pass; passes of an item, and of all */
    size_t lines; /* rows of cells of a pass */
    size_t cell_pitch, made_pitch; /* from one product to the next, of cells and of gradients */
    size_t source_lines; /* lines of channels of a group that are the input's; the gradient's follow */
    size_t units, sum_units, emit_units; /* lines of channels, products, and some input channels, of all groups */
    size_t sums; /* real numbers */
};

/* How fft sums filters up (layer_fft.c). Elements are those of one slice, in values. */
struct layer_fft {
    bool used;
    size_t slices, planes;
    size_t plane, factors, result;
    struct plan_sizes sizes; /* of the filter */
    struct convolve_plan *plan; /* the filter's */
};

/* How layers of small groups are cut up (layer_planes.c). Lengths of copies are in elements. */
struct layer_planes {
    bool used;
    bool gathers; /* units look at all values of the source */
    size_t high, wide, bands, strips; /* rows and places of a unit; units along y and x */
    size_t units, units_per_tile, tiles;
    size_t row, slot, plane, copy; /* of a row, of its even cells (0: not split), of a channel, of all */
    size_t origin; /* where the first cell is */
    int64_t
        least[LAYER_AXES]; /* along an axis the least place of the source under the windows of place 0 of any phase, */
    size_t reach[LAYER_AXES]; /* and from there to the largest */
    size_t packed, made, made_row; /* of several phases: weights of a group, and rows before they come together */
};

/* What winograd knows of an item's values. */
struct layer_item {
    bool direct; /* is made by `direct` */
    bool judged; /* integers, whose outputs are to be looked at one by one */
    bool positive, zeros; /* nothing negative; some zeros */
};

struct layer_state {
    struct layer_geometry geometry;
    enum layer_element element;
    size_t element_bytes; /* of a real number */
    unsigned parts; /* real numbers of one value */
    bool plain; /* one output at a time, by the definition */
    bool by_rows; /* units are made by filters' blocks (layer_rows.c) */
    bool outer; /* lanes are output channels (layer_outer.c) */
    bool pairs; /* units make both phases along x, which come together on the way to the target */
    bool in_place; /* units read the source where it lies */
    bool looks; /* units of `direct` look at what they copy, which is all that is summed */
    bool pack_looks; /* packing looks at the weights' values as well, block by block */
    bool packs_late; /* units pack their weights, since no other unit needs them */
    bool fold;
    double unit_roundoff, tiny, exact_below;

    struct layer_cut cut[LAYER_AXES];
    struct layer_tensor source, target;
    size_t channels, rows, row_channels; /* of a group: summed; rows = row_channels * parts */
    size_t weight_channel_pitch, weight_row_pitch, weight_group_pitch; /* in values, of summed and of output channels */
    size_t block_rows, packed_rows; /* of a packed block, and of all, whole lines where lanes are output channels */
    size_t unit_rows, row_units, unit_channels; /* unit_channels: copied at a time */
    size_t unit_count, units_per_tile, tile_count;
    size_t copy_channel; /* real numbers of one channel in a copy */
    size_t copy_elements, tap_count; /* of a unit */
    size_t made_rows, made_row; /* rows that do not go straight to the target, and real numbers of one */

    size_t source_values, weight_values, bias_values; /* real numbers to look at */
    size_t source_chunks, weight_chunks, bias_chunks;
    size_t pack_tiles, scan_tiles, fold_tiles, plain_outputs, plain_tiles;
    size_t target_values; /* of the folded target in scratch */
    struct layer_sweep sweep; /* of backward_weight */
    struct layer_winograd winograd;
    struct layer_gradient gradient;
    struct layer_fft fft;
    struct layer_planes planes;
    size_t fold_most; /* cells that may stand for one element */
};

/* What a chunk of values tells. */
struct layer_facts {
    double largest;
    uint64_t integer; /* the largest absolute int64 */
    bool fractional, nonfinite;
};

struct layer_findings {
    struct layer_facts source, weight, bias; /* joined */
    double bound; /* of every output */
    double floor; /* of those that are not looked at */
    bool check; /* outputs are to be looked at one by one */
    bool some_winograd, some_direct; /* of the items under winograd */
    /* Found while tiles run; by __atomic operations only. */
    uint64_t first_nonfinite, checked_bound, overflow;
};

struct layer_scratch {
    struct layer_findings *findings;
    struct layer_facts *source, *weight, *bias;
    struct layer_facts *
        gathered; /* of the source, by tiles of planes or by units; or of the source, then the gradient, by those of backward_weight */
    void *packed; /* of backward_weight: grad_output */
    void *target; /* of fold; of backward_weight the sums, before they are brought into order */
    void *copied; /* of backward_weight: the input, channels last, with its padding */
    struct simd_fft_facts *item_facts; /* of winograd: of chunks of the items, then of the weight */
    struct layer_item *items;
    void *transformed, *cells; /* of winograd: weights; the only unit's cells. Of a gradient: tiles; */
    void *sums; /* and the sums of their products */
    double *plane_bounds; /* of fft: of every plane of the target */
};

enum {
    LAYER_CHUNK = 1 << 14,
    LAYER_PHASES_MAX = 1 << 12,
    LAYER_OUTER_PLACES = 256, /* of an item, that units whose lanes are output channels do not cut */
    LAYER_ROWS_MOST = 2, /* of a group, that filters' blocks make */
    LAYER_PLANES_MOST = 32, /* channels of either side of a group that is made in planes */
    LAYER_PLANES_SINGLE = 16, /* the same of the only group, */
    LAYER_PLANES_PHASES = 8, /* and where there are several phases */
};

static inline const struct layer_state *layer_state(const struct convolve_plan *plan)
{
    return plan->state;
}

static inline size_t layer_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Of `a` above 0. */
static inline size_t layer_divide_up(size_t a, size_t b)
{
    return (a - 1) / b + 1;
}

/* Real numbers from channel to channel of a copy, of which a channel has `elements`: an odd number of 64-byte lines, so that
 * channels spread over the cache's sets. */
static inline size_t layer_copy_pitch(const struct layer_state *state, size_t elements)
{
    const size_t line = 64 / state->element_bytes;
    return state->channels == 1 ? elements : ((elements + line - 1) / line | 1) * line;
}

/* Real numbers that a unit makes beside the target. */
static inline size_t layer_made_size(const struct layer_state *state)
{
    return state->made_rows * state->made_row * (state->pairs ? 2 : 1);
}

static inline bool layer_units_look(const struct layer_state *state)
{
    return state->looks && !state->winograd.m && !state->fft.used && !state->planes.used;
}

/* Whether tiles that make outputs look at the values that are summed. */
static inline bool layer_gathers(const struct layer_state *state)
{
    return state->planes.gathers || state->sweep.gathers || layer_units_look(state);
}

/* Whether what the values tell is joined after the outputs are made. */
static inline bool layer_joins(const struct layer_state *state)
{
    return layer_gathers(state) || state->packs_late;
}

bool layer_scratch_size(const struct layer_state *state, size_t *bytes);
struct layer_scratch layer_scratch_parts(const struct layer_state *state, void *scratch);

/* The tensor that is summed over, and what multiplies it. */
const void *layer_source(const struct layer_state *state, const struct convolve_run *run);
const void *layer_factors(const struct layer_state *state, const struct convolve_run *run);

/* ---- layer_cut.c: from the geometry to units; false where a size cannot be counted ---- */
bool layer_cut_derive(struct layer_state *state, const struct layer_geometry *geometry);
bool layer_tile_scratch(const struct layer_state *state, size_t *bytes);
struct layer_phase layer_phase_at(const struct layer_state *state, unsigned axis, size_t phase);

/* ---- layer_pack.c: weights in the order of the panels ---- */

/* How blocks of rows are packed: as panels take them, or whole lines of lanes. */
void layer_pack_shape(struct layer_state *state, bool outer);
/* Where the weights of a block of rows begin, of which `row` is the first, in real numbers. */
size_t layer_pack_offset(const struct layer_state *state, const struct layer_phase *phases, size_t group, size_t row);
/* Nothing is packed. */
void layer_pack_nothing(struct layer_state *state);
/* By the units that make the rows. */
void layer_pack_late(struct layer_state *state);
void layer_pack_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile);
/* Looks at the weights of a block, where packing does. */
void layer_pack_look(const struct convolve_plan *plan, const struct convolve_run *run, size_t block);
/* Rows of the weight as they lie in the tensor, the first from value `from` on, become columns: `columns` of them, `width`
 * apart. */
void layer_pack_turn(const struct convolve_plan *plan, void *out, size_t width, const void *weights, size_t from,
                     size_t rows, size_t columns);
/* Steps first .. first+count-1 of the block that begins with `row`, which is conv's, and what they tell: adds to the facts. */
void layer_pack_steps(const struct convolve_plan *plan, const struct convolve_run *run, void *out, size_t group,
                      size_t row, size_t first, size_t count, struct layer_facts *facts);

/* ---- layer_unit.c, layer_copy.c ---- */
struct layer_unit {
    const struct convolve_plan *plan;
    const struct layer_state *state;
    const struct convolve_run *run;
    size_t phase_number[LAYER_AXES], item, group, row, rows;
    struct layer_phase phase[LAYER_AXES];
    size_t first[LAYER_AXES], count[LAYER_AXES]; /* places of the phase */
    void *space, *made; /* what is copied goes into `space` */
    const void *copy; /* its beginning, or the source's where that is read in place */
    ptrdiff_t *offsets;
    size_t tap_count, row_pitch, channel_pitch, made_pitch; /* of the copy, but for the last; real numbers */
    bool flat; /* all rows of places as one */
    bool straight; /* panels write to the target */
    const void *ahead; /* of the source, what will be copied next: so many lines of 64 bytes of each channel */
    size_t ahead_pitch, ahead_lines; /* the pitch in bytes */
};
void layer_run_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t unit, void *tile_scratch);
/* Where the first row of places of a row (counted in the group) is made, and bytes from there to the next. */
unsigned char *layer_made_row(const struct layer_unit *unit, size_t row, size_t *pitch);
/* Where in the target a row's row of places y begins. */
unsigned char *layer_target_row(const struct layer_unit *unit, size_t row, size_t y);
/* Fills unit->space with `channels` channels from `channel` on. */
void layer_copy_input(const struct layer_unit *unit, size_t channel, size_t channels);
/* Fills what is ahead: from `channel` on, or, after the last one, for the unit below. */
void layer_copy_ahead(struct layer_unit *unit, size_t channel);
/* `count` places of a row of the source, which begins at `base`: from `start` on, `step` apart, with what stands outside. */
void layer_copy_row(const struct layer_state *state, void *out, const void *base, int64_t start, size_t step,
                    size_t count);
/* Joins what the copied channels tell to the facts. */
void layer_copy_look(const struct layer_unit *unit, size_t channels, struct layer_facts *facts);
/* Fills the offsets and what the copy's pitches are. */
void layer_copy_offsets(struct layer_unit *unit);

/* ---- layer_rows.c: units of one or two rows; `packed` are the weights of the unit's rows ---- */
bool layer_rows_suit(const struct layer_state *state);
bool layer_rows_scratch(const struct layer_state *state, size_t *bytes);
void layer_make_by_rows(const struct layer_unit *unit, const void *packed, void *scratch);

/* ---- layer_planes.c: small groups. Decides whether state->planes is used. ---- */
void layer_planes_derive(struct layer_state *state);
bool layer_planes_scratch(const struct layer_state *state, size_t *bytes);
void layer_planes_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile,
                       void *tile_scratch);

/* ---- layer_outer.c: units whose lanes are output channels ---- */
bool layer_outer_suits(const struct layer_state *state);
/* Whether no unit's weights are those of another unit. */
bool layer_outer_packs_late(const struct layer_state *state);
bool layer_outer_scratch(const struct layer_state *state, size_t *bytes);
/* Adds `channels` copied channels, `channel` the first of them, to what is made. */
void layer_outer_make(const struct layer_unit *unit, const void *packed, size_t channel, size_t channels,
                      void *scratch);
/* Brings to the target what is made, by both units where they are a pair; whether all of it is finite. */
bool layer_outer_emit(const struct layer_unit *unit, const struct layer_unit *second, void *scratch);

/* ---- layer_weight.c: backward_weight where it is not plain. False where a size cannot be counted. ---- */
bool layer_sweep_derive(struct layer_state *state);
void layer_sweep_prepare(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile);
void layer_sweep_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t pass, size_t tile,
                      void *tile_scratch);
void layer_sweep_emit(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile);

/* ---- layer_cross.c: the same with output channels as lanes, after the cells have been counted ---- */
bool layer_cross_suits(const struct layer_state *state);
bool layer_cross_derive(struct layer_state *state);
bool layer_cross_scratch(const struct layer_state *state, size_t *bytes);
void layer_cross_prepare(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile);
void layer_cross_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t pass, size_t tile,
                      void *tile_scratch);
void layer_cross_emit(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile);

/* ---- layer_lanes.c: the same of depthwise layers. False where a request is not of that kind. ---- */
bool layer_lanes_derive(struct layer_state *state);
bool layer_lanes_scratch(const struct layer_state *state, size_t *bytes);
void layer_lanes_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t pass, size_t tile,
                      void *tile_scratch);
void layer_lanes_emit(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile);

/* Brings `count` made values to where they are `pitch` apart. */
void layer_move_row(const struct layer_state *state, unsigned char *to, const unsigned char *from, size_t count,
                    size_t pitch);

/* ---- layer_facts.c ---- */
/* Joins what values tell to the facts. */
void layer_look(const struct convolve_plan *plan, const void *values, size_t count, struct layer_facts *facts);
/* Chunks of values, which are counted through the source, the weight and the bias, from `first` on: a tile of them. */
void layer_scan_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t first, size_t tile);
/* Nothing found. */
void layer_begin(const struct convolve_plan *plan, const struct convolve_run *run);
/* From what was looked at; `gathered`: by tiles that make outputs. */
void layer_conclude(const struct convolve_plan *plan, const struct convolve_run *run, bool gathered);
void layer_look_at(const struct convolve_plan *plan, const struct convolve_run *run, size_t index, size_t count);
/* Outputs of a plain tile: made by the definition; or, where `check`, judged by it. */
void layer_plain_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile, bool check);
void layer_fold_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile);

#endif
