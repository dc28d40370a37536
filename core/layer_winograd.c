/* SPDX-License-Identifier: MIT */
/* Which layers Winograd's F(m x m, 3 x 3) can do, which it pays for, and what the values of each item allow.
 *
 * The bound. F(m, 3) is a sum of products along paths: an output is the sum over channels, cells l, taps k and products j of
 * A_ij * (G_jk * tap) * (B_jl * cell). Every rounding multiplies the paths through it by 1 + d, |d| <= u, and no path meets
 * more than `roundings` of them: 4 along an axis in G (a constant, a product, two sums), 4 in B^T, 5 in A^T, twice each, and
 * one for each channel. So an output is within expm1(roundings*u) * C * K^2 * max|tap| * max|cell| of the exact one, K the
 * largest over i of sum_j |A_ij| sum_k |G_jk| sum_l |B_jl|: 8 for m of 2, 48 for m of 4. Where a step underflows it is off by
 * `tiny` at most, which what follows multiplies by less than 2^24 and the other factor.
 *
 * What the transforms would not keep is kept item by item: where an item (or the weight, or the bias) holds a NaN or an
 * infinity, is all integers, or so large that a step could overflow, it is made by `direct`; where nothing is negative,
 * outputs below 0 become 0; and windows of zeros are looked for wherever an item holds one. */
#include "core/layer_winograd.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { UNIT_TILES = 112, UNIT_WORK = 1 << 26, ROW_BLOCK = 32, SCAN_VALUES = 1 << 16 };

static size_t divide_up(size_t a, size_t b)
{
    return (a - 1) / b + 1;
}

/* ---- What it can do ---------------------------------------------------------------------------------------------------- */

bool layer_winograd_accepts(const struct layer_geometry *geometry, struct convolve_error *error)
{
    const char *why = NULL;
    if (geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT)
        why = "makes no gradients of the weight";
    else if (geometry->dtype != CONVOLVE_FLOAT32 && geometry->dtype != CONVOLVE_FLOAT64)
        why = "computes in float32 and float64 only";
    else if (geometry->spatial != 2)
        why = "needs two spatial axes";
    for (unsigned i = 1; i < LAYER_AXES && !why; i++)
        why = geometry->axis[i].kernel != 3     ? "needs a weight of 3 x 3"
              : geometry->axis[i].stride != 1   ? "needs stride 1"
              : geometry->axis[i].dilation != 1 ? "needs dilation 1"
                                                : NULL;
    return !why || convolve_fail(error, "invalid-value", "/method", "method winograd %s: use auto or direct", why);
}

/* Multiplications for each channel and row. */
static double products(const struct layer_state *state, unsigned m)
{
    return (double)divide_up(state->cut[1].target, m) * (double)divide_up(state->cut[2].target, m) * (m + 2) * (m + 2);
}

/* In steps of a multiply-add, as measured: transforms cost some of them for each tile and channel or row, and for each weight;
 * `direct` is nearer to the peak. */
bool layer_winograd_pays(const struct layer_state *state)
{
    const double channels = (double)state->channels, rows = (double)state->rows;
    const double items = (double)state->geometry.items,
                 places = (double)state->cut[1].target * (double)state->cut[2].target;
    if (state->element != LAYER_F32 || channels < 16 || rows < 16)
        return false;
    const unsigned m = layer_winograd_tile(state);
    const double tiles = products(state, m) / ((m + 2) * (m + 2));
    const double winograd = items * (1.4 * products(state, m) * channels * rows + 600 * tiles * (channels + rows)) +
                            30 * (m + 2) * (m + 2) * channels * rows;
    return winograd < 0.9 * items * 1.15 * places * 9 * channels * rows;
}

unsigned layer_winograd_tile(const struct layer_state *state)
{
    return products(state, 4) < products(state, 2) ? 4 : 2;
}

bool layer_winograd_derive(struct layer_state *state)
{
    struct layer_winograd *const w = &state->winograd;
    const unsigned m = layer_winograd_tile(state), n = m + 2;
    const size_t line = 64 / state->element_bytes;
    *w = (struct layer_winograd){.m = m};
    layer_pack_shape(state, false);
    /* What is looked at for each item tells what layer_facts.c wants to know as well. */
    state->pack_looks = false;
    state->source_chunks = state->weight_chunks = 0;
    state->scan_tiles = state->bias_chunks ? divide_up(state->bias_chunks, 16) : 0;
    w->tiles[0] = divide_up(state->cut[1].target, m);
    w->tiles[1] = divide_up(state->cut[2].target, m);
    const size_t work = n * n * state->channels * state->rows;
    size_t most = work < UNIT_WORK / UNIT_TILES ? UNIT_TILES : UNIT_WORK / work;
    most = most < 24 ? 24 : most;
    w->wide = layer_least(w->tiles[1], most);
    w->high = layer_least(w->tiles[0], most / w->wide);
    w->row_units = divide_up(w->tiles[0], w->high);
    w->column_units = divide_up(w->tiles[1], w->wide);
    w->rows = layer_least(ROW_BLOCK, state->rows);
    w->lines = m * w->high + 2;
    w->phase = (divide_up(w->wide + 1, line) + 1) * line;
    w->pitch = ((divide_up(w->high * w->wide, line) + 1) | 1) * line;
    /* Products lie an odd number of cache lines apart, so that they do not share sets. */
    size_t cells;
    if (__builtin_mul_overflow(w->pitch, state->channels, &cells) || cells > SIZE_MAX / 2)
        return false;
    w->cell_pitch = (cells / line | 1) * line;
    w->made_pitch = (w->pitch * w->rows / line | 1) * line;
    w->item_values = state->geometry.items ? state->source_values / state->geometry.items : 0;
    w->item_chunks = divide_up(w->item_values, SCAN_VALUES);
    w->weight_chunks = divide_up(state->weight_values, SCAN_VALUES);
    w->block = ((divide_up(state->channels * SIMD_PANEL_ROWS, line)) | 1) * line * n * n;
    if (__builtin_mul_overflow(w->block, divide_up(state->rows, SIMD_PANEL_ROWS) * state->geometry.groups, &w->weights))
        return false;
    w->units = state->geometry.items * state->geometry.groups * w->row_units * w->column_units;
    return true;
}

bool layer_winograd_scratch(const struct layer_state *state, size_t *bytes)
{
    const struct layer_winograd *w = &state->winograd;
    const size_t items = state->geometry.items;
    return plan_size_add(bytes, items * w->item_chunks + w->weight_chunks, sizeof(struct simd_fft_facts)) &&
           plan_size_add(bytes, items, sizeof(struct layer_item)) &&
           plan_size_add(bytes, w->weights, state->element_bytes);
}

void layer_winograd_parts(const struct layer_state *state, unsigned char *cursor, struct layer_scratch *parts)
{
    const struct layer_winograd *w = &state->winograd;
    const size_t items = state->geometry.items;
    parts->item_facts =
        plan_scratch_take(&cursor, items * w->item_chunks + w->weight_chunks, sizeof *parts->item_facts);
    parts->items = plan_scratch_take(&cursor, items, sizeof *parts->items);
    parts->transformed = cursor;
}

/* ---- What the values allow --------------------------------------------------------------------------------------------- */

size_t layer_winograd_scan_tiles(const struct layer_state *state)
{
    return state->geometry.items * state->winograd.item_chunks + state->winograd.weight_chunks;
}

/* Chunks of the items, then of the weight. */
void layer_winograd_scan(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_winograd *w = &state->winograd;
    const size_t sources = state->geometry.items * w->item_chunks;
    const bool source = tile < sources;
    const size_t chunk = source ? tile % w->item_chunks : tile - sources;
    const size_t all = source ? w->item_values : state->weight_values, first = chunk * SCAN_VALUES;
    const size_t from = (source ? tile / w->item_chunks * w->item_values : 0) + first;
    const void *const values = source ? layer_source(state, run) : layer_factors(state, run);
    struct simd_fft_facts facts = {0};
    const size_t count = layer_least(SCAN_VALUES, all - first);
    if (state->element == LAYER_F32)
        plan->routines->fft_facts_f32(&facts, (const float *)values + from, count, 1, count);
    else
        plan->routines->fft_facts_f64(&facts, (const double *)values + from, count, 1, count);
    layer_scratch_parts(state, run->scratch).item_facts[tile] = facts;
}

static struct simd_fft_facts join(const struct simd_fft_facts *facts, size_t count)
{
    struct simd_fft_facts all = {0};
    for (size_t i = 0; i < count; i++) {
        all.most = fmax(all.most, facts[i].most);
        all.least = fmin(all.least, facts[i].least);
        all.zeros += facts[i].zeros;
        all.fractional |= facts[i].fractional;
        all.nonfinite |= facts[i].nonfinite;
    }
    return all;
}

static double largest_of(const struct simd_fft_facts *facts)
{
    return fmax(facts->most, -facts->least);
}

/* Where some values are not finite, the others count as the largest there are. */
static struct layer_facts facts_of(const struct layer_state *state, const struct simd_fft_facts *facts)
{
    const double range = state->element == LAYER_F32 ? (double)FLT_MAX : DBL_MAX;
    return (struct layer_facts){.largest = facts->nonfinite ? range : largest_of(facts),
                                .fractional = facts->fractional,
                                .nonfinite = facts->nonfinite};
}

void layer_winograd_facts(const struct layer_state *state, const struct layer_scratch *scratch,
                          struct layer_findings *found)
{
    const struct layer_winograd *w = &state->winograd;
    const size_t chunks = state->geometry.items * w->item_chunks;
    const struct simd_fft_facts source = join(scratch->item_facts, chunks),
                                weight = join(scratch->item_facts + chunks, w->weight_chunks);
    found->source = facts_of(state, &source);
    found->weight = facts_of(state, &weight);
}

/* The bound of an item's outputs; infinity where a step may overflow. */
static double bound_of(const struct layer_state *state, double cell, double tap, double bias)
{
    const double growth = state->winograd.m == 2 ? 8 : 48, u = state->unit_roundoff, channels = (double)state->channels;
    const double range = state->element == LAYER_F32 ? (double)FLT_MAX : DBL_MAX, roundings = channels + 27;
    /* Of B^T, of G and of A^T no row sums to more than 10, 1.5 and 19. */
    if (!(cell < range / 1024) || !(tap < range / 1024) || !(channels * cell * tap < range / (1 << 20)) ||
        !(bias < range / 4))
        return INFINITY;
    const double folds = (double)state->fold_most, absolute = channels * growth * growth * cell * tap;
    const double lost = roundings * channels * state->tiny * 0x1p24 * (1 + cell) * (1 + tap);
    const double one = expm1(roundings * u) * absolute + lost;
    const double more = expm1((folds + 1) * u) * (folds * (absolute + one) + bias) + folds * state->tiny;
    return (folds * one + more) * (1 + 0x1p-40);
}

void layer_winograd_conclude(const struct convolve_plan *plan, const struct convolve_run *run)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_winograd *w = &state->winograd;
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    struct layer_findings *const found = scratch.findings;
    const size_t items = state->geometry.items;
    const struct simd_fft_facts weight = join(scratch.item_facts + items * w->item_chunks, w->weight_chunks);
    const double terms = (double)state->geometry.terms * (double)state->fold_most, direct_bound = found->bound;
    double floor = 0;
    found->check = false;
    for (size_t i = 0; i < items; i++) {
        const struct simd_fft_facts facts = join(scratch.item_facts + i * w->item_chunks, w->item_chunks);
        const double cell = largest_of(&facts), tap = largest_of(&weight), bias = found->bias.largest;
        const double bound = bound_of(state, cell, tap, bias);
        const bool finite = !facts.nonfinite && !weight.nonfinite && !found->bias.nonfinite;
        const bool integral = finite && !facts.fractional && !weight.fractional && !found->bias.fractional;
        const bool exact = (terms * cell * tap + bias) * (1 + 0x1p-50) < state->exact_below;
        struct layer_item *const item = &scratch.items[i];
        *item = (struct layer_item){.direct = !finite || integral || !(bound < INFINITY),
                                    .judged = integral && !exact,
                                    .positive = facts.least >= 0 && weight.least >= 0,
                                    .zeros = facts.zeros > 0};
        found->check |= item->judged;
        if (!integral)
            floor = fmax(floor, item->direct ? direct_bound : bound);
    }
    found->floor = floor;
    if (!found->check)
        found->bound = floor;
}
