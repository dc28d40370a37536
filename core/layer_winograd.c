/* SPDX-License-Identifier: MIT */
/* Which layers Winograd's F(m x m, 3 x 3) can do, which it pays for, and what the values of each item allow.
 *
 * The bound. F(m, 3) is a sum of products along paths: an output is the sum over channels, cells l, taps k and products j of
 * A_ij * (G_jk * tap) * (B_jl * cell). Every rounding multiplies the paths through it by 1 + d, |d| <= u, and no path meets
 * more than `roundings` of them: 4 along an axis in G (a constant, a product, two sums), 4 in B^T, 5 in A^T, twice each, and
 * one for each channel (and tap along z). So an output is within expm1(roundings*u) * C * K^2 * max|tap| * max|cell| of the exact one, K the
 * largest over i of sum_j |A_ij| sum_k |G_jk| sum_l |B_jl|: 8 for m of 2, 48 for m of 4. Where a step underflows it is off by
 * `tiny` at most, which what follows multiplies by less than 2^24 and the other factor.
 *
 * What the transforms would not keep is kept item by item: where an item (or the weight, or the bias) holds a NaN or an
 * infinity, is all integers, or so large that a step could overflow, it is made by `direct`; where nothing is negative,
 * outputs below 0 become 0; and windows of zeros are looked for wherever an item holds one. */
#include "core/layer_winograd.h"

#include <float.h>
#include <math.h>

enum {
    UNIT_BYTES = 11 << 17, /* of the second-level cache, for what is transformed of a unit */
    UNIT_WORK = 1 << 27, /* multiply-adds */
    UNIT_TILES_LEAST = 12,
    BAND_TILES = 56, /* about as many are made at a time */
    DEEP_LEAST = 4,
    HIGH_LEAST = 2, /* planes and strips that a unit has where there are as many */
    WIDE_LEAST = 8, /* tiles of a strip, where it is cut */
    ODD_UNITS = 10, /* below which one too many is a tenth or more of what one of two threads makes */
    CHUNK_BYTES = 5 << 15, /* of the second-level cache, for the transformed weights of some channels */
    LATE_WEIGHTS = 1 << 18, /* transformed real numbers, from which on blocks are made by those who multiply */
    CELL_TILES = 8, /* of the only unit */
    SCAN_VALUES = 1 << 16,
};

/* ---- What it can do ---------------------------------------------------------------------------------------------------- */

bool layer_winograd_accepts(const struct layer_geometry *geometry, struct convolve_error *error)
{
    const char *why = NULL;
    if (geometry->dtype != CONVOLVE_FLOAT32 && geometry->dtype != CONVOLVE_FLOAT64)
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

bool layer_winograd_can(const struct layer_geometry *geometry)
{
    if (geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT)
        return layer_winograd_accepts(geometry, NULL);
    if (geometry->dtype != CONVOLVE_FLOAT32 || geometry->spatial < 2)
        return false;
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const struct layer_axis *axis = &geometry->axis[i];
        const size_t target = layer_reads_y(geometry) ? axis->x : axis->y;
        if (axis->stride != 1 || axis->dilation > (i ? target : 1) ||
            (i ? axis->kernel != 3 : axis->kernel > LAYER_WINOGRAD_TAPS))
            return false;
    }
    return true;
}

/* ---- What it pays for ------------------------------------------------------------------------------------------------- */

/* Steps of one item and group as measured, a step being as long as a multiply-add at the peak: for each product of a tile, of
 * a channel and a row; for each product, of the cells of a vector of tiles, of the tiles of a row, and of the taps; for
 * each value that is looked at; for each call. Rows are those of whole vectors. */
struct steps {
    double multiply, cell, output, tap, value, call;
};
static const struct steps small_tiles = {1.5, 19.5, 6.8, 0, 45, 270000},
                          large_tiles = {1.66, 21.5, 9.8, 1.4, 73, 290000};

static double winograd_steps(const struct layer_state *state, unsigned m)
{
    enum { LANES = 16 };
    const struct steps *const steps = m == 2 ? &small_tiles : &large_tiles;
    const double channels = (double)state->channels, taps = (double)state->cut[0].kernel;
    const double rows = (double)(layer_divide_up(state->rows, LANES) * LANES), products = (m + 2) * (m + 2);
    double strips = (double)state->cut[0].target, values = 1;
    size_t tiles = 1; /* of a strip */
    for (unsigned i = 1; i < LAYER_AXES; i++) {
        const size_t step = state->cut[i].dilation;
        tiles = layer_divide_up(layer_divide_up(state->cut[i].target, step), m);
        strips *= (double)step * (i == 1 ? (double)tiles : 1);
    }
    for (unsigned i = 0; i < LAYER_AXES; i++)
        values *= (double)state->cut[i].source;
    const double vectors = strips * (double)layer_divide_up(tiles, LANES) * (taps > 1 ? 1.5 : 1);
    return products * (steps->multiply * strips * (double)tiles * channels * taps * rows +
                       steps->cell * channels * vectors * LANES + steps->output * strips * (double)tiles * rows +
                       steps->tap * channels * taps * rows) +
           steps->value * channels * (values + 9 * taps * (double)state->rows) + steps->call;
}

/* The same of `direct`; of three axes its rows of places are short. */
static double direct_steps(const struct layer_state *state)
{
    const double channels = (double)state->channels, rows = (double)state->rows, taps = (double)state->cut[0].kernel;
    const double places = (double)state->cut[0].target * (double)state->cut[1].target * (double)state->cut[2].target;
    return (taps > 1 ? 1.4 : 1.13) * places * 9 * taps * channels * rows + 28 * 9 * taps * channels * rows +
           68 * channels * places + 530000;
}

/* By the shapes of one item alone, so that it has the bits that it has in any batch. */
bool layer_winograd_pays(const struct layer_state *state)
{
    if (state->geometry.operation == CONVOLVE_LAYER_BACKWARD_WEIGHT)
        return layer_winograd_gradient_pays(state);
    return state->element == LAYER_F32 && state->channels >= 16 && state->rows >= 16 &&
           winograd_steps(state, layer_winograd_tile(state)) < direct_steps(state);
}

unsigned layer_winograd_tile(const struct layer_state *state)
{
    return winograd_steps(state, 4) < winograd_steps(state, 2) ? 4 : 2;
}

/* ---- How it is cut up -------------------------------------------------------------------------------------------------- */

/* Tiles of a unit, such that what is transformed stays in the second-level cache beside the weights of a block. */
static size_t tiles_that_fit(const struct layer_state *state)
{
    const struct layer_winograd *w = &state->winograd;
    const double products = (w->m + 2) * (w->m + 2), channels = (double)state->channels;
    const double values = channels * (w->taps > 1 ? 1.5 : 1) + (w->late ? (double)w->lanes : 0);
    const double work = products * channels * (double)w->taps * (double)state->rows;
    const double room = w->late ? UNIT_BYTES : UNIT_BYTES / 2; /* the weights of all blocks stay there as well */
    const double fit = fmin(room / (products * values * (double)state->element_bytes), UNIT_WORK / work);
    return fit < UNIT_TILES_LEAST ? UNIT_TILES_LEAST : (size_t)fit;
}

/* Units of about the same size, an even number where they are few, strips as long as may be: those below each other share
 * cells, and so do planes. */
static void choose_unit(struct layer_state *state)
{
    struct layer_winograd *const w = &state->winograd;
    const size_t most = tiles_that_fit(state), depth = state->cut[0].target;
    const size_t deep = w->taps == 1 ? 1 : layer_least(depth, DEEP_LEAST);
    const size_t rest = most / deep / layer_least(w->tiles[0], HIGH_LEAST);
    w->column_units = layer_divide_up(w->tiles[1], rest < WIDE_LEAST ? WIDE_LEAST : rest);
    w->wide = layer_divide_up(w->tiles[1], w->column_units);
    w->high = layer_least(w->strips, most / deep > w->wide ? most / deep / w->wide : 1);
    w->strip_units = layer_divide_up(w->strips, w->high);
    const size_t units = layer_divide_up(depth, deep) * w->column_units * state->geometry.groups * w->strip_units;
    if (units % 2 && units < ODD_UNITS && w->strip_units > 1 && w->strip_units < w->strips)
        w->strip_units += w->strip_units == 3 ? 1 : -(size_t)1;
    w->high = layer_divide_up(w->strips, w->strip_units);
    w->high_units = w->strip_units - (w->strip_units * w->high - w->strips);
    const size_t plane = w->high * w->wide;
    w->deep = w->strip_units * w->column_units > 1 ? deep : layer_least(depth, most > plane ? most / plane : 1);
    w->plane_units = layer_divide_up(depth, w->deep);
    w->deep = layer_divide_up(depth, w->plane_units);
    w->planes = w->deep + w->taps - 1;
    const size_t strips = w->deep * w->high, band = layer_divide_up(BAND_TILES, w->wide);
    w->band = w->late ? strips : layer_least(band, strips);
}

size_t layer_winograd_odd_lines(const struct layer_state *state, size_t elements)
{
    const size_t line = 64 / state->element_bytes;
    return (layer_divide_up(elements, line) | 1) * line;
}

static bool choose_pitches(struct layer_state *state)
{
    struct layer_winograd *const w = &state->winograd;
    const size_t line = 64 / state->element_bytes, n = w->m + 2, tiles = w->planes * w->high * w->wide;
    size_t cells, factors;
    w->lines = w->m * layer_least(w->high, w->tiles[0]) + 2;
    w->phase = (layer_divide_up(w->wide + 1, line) + 1) * line;
    w->filled = (w->m + 2) * w->high;
    w->pitch = tiles;
    if (__builtin_mul_overflow(w->pitch, state->channels, &cells) || cells > SIZE_MAX / 2 ||
        __builtin_mul_overflow(state->channels, w->lanes * w->taps, &factors) || factors > SIZE_MAX / 64)
        return false;
    w->cell_pitch = layer_winograd_odd_lines(state, cells);
    w->made_pitch = layer_winograd_odd_lines(state, w->band * w->wide * w->lanes);
    w->block = layer_winograd_odd_lines(state, factors) * n * n;
    const size_t blocks = layer_divide_up(state->rows, w->lanes);
    const size_t fit = CHUNK_BYTES / (n * n * w->taps * w->lanes * state->element_bytes);
    const size_t chunks = layer_divide_up(state->channels, fit < 1 ? 1 : fit);
    w->chunk = layer_divide_up(state->channels, chunks);
    w->chunk_pitch = layer_winograd_odd_lines(state, w->chunk * w->taps * w->lanes);
    w->weight_tiles = w->late ? 0 : blocks * state->geometry.groups;
    w->weights = 0;
    return w->late || !__builtin_mul_overflow(w->block, w->weight_tiles, &w->weights);
}

void layer_winograd_count_chunks(struct layer_state *state)
{
    struct layer_winograd *const w = &state->winograd;
    const size_t items = state->geometry.items;
    /* What is looked at for each item tells what layer_facts.c wants to know as well. */
    state->pack_looks = false;
    state->source_chunks = state->weight_chunks = 0;
    state->scan_tiles = state->bias_chunks ? layer_divide_up(state->bias_chunks, 16) : 0;
    w->item_values = items ? state->source_values / items : 0;
    w->item_chunks = layer_divide_up(w->item_values, SCAN_VALUES);
    w->weight_chunks = layer_divide_up(state->weight_values, SCAN_VALUES);
}

bool layer_winograd_derive(struct layer_state *state)
{
    if (state->geometry.operation == CONVOLVE_LAYER_BACKWARD_WEIGHT)
        return state->plain || layer_winograd_gradient_derive(state);
    struct layer_winograd *const w = &state->winograd;
    const struct layer_geometry *geometry = &state->geometry;
    const size_t line = 64 / state->element_bytes;
    *w = (struct layer_winograd){.m = layer_winograd_tile(state), .taps = state->cut[0].kernel};
    layer_pack_shape(state, false);
    layer_winograd_count_chunks(state);
    for (unsigned i = 0; i < 2; i++) {
        w->step[i] = state->cut[i + 1].dilation;
        w->tiles[i] = layer_divide_up(layer_divide_up(state->cut[i + 1].target, w->step[i]), w->m);
    }
    w->strips = w->tiles[0] * w->step[0] * w->step[1];
    w->lanes = state->rows > line ? 2 * line : line;
    const double weights = (double)state->channels * (double)w->taps * (double)state->rows * (w->m + 2) * (w->m + 2);
    w->late = weights > LATE_WEIGHTS;
    choose_unit(state);
    const size_t slice = w->plane_units * w->strip_units * w->column_units;
    w->shared = geometry->items * geometry->groups == 1 && slice == 1;
    w->units = geometry->items * geometry->groups * slice;
    w->tiles_made = w->shared ? layer_divide_up(state->rows, w->lanes) : w->units;
    w->cell_tiles = w->shared ? 1 + layer_least(CELL_TILES, state->channels) : 0;
    return choose_pitches(state);
}

bool layer_winograd_scratch(const struct layer_state *state, size_t *bytes)
{
    const struct layer_winograd *w = &state->winograd;
    const size_t items = state->geometry.items;
    return plan_size_add(bytes, items * w->item_chunks + w->weight_chunks, sizeof(struct simd_fft_facts)) &&
           plan_size_add(bytes, items, sizeof(struct layer_item)) &&
           plan_size_add(bytes, w->weights, state->element_bytes) &&
           plan_size_add(bytes, state->gradient.sums, state->element_bytes) &&
           (!w->shared || layer_winograd_shared_scratch(state, bytes));
}

void layer_winograd_parts(const struct layer_state *state, unsigned char *cursor, struct layer_scratch *parts)
{
    const struct layer_winograd *w = &state->winograd;
    const size_t items = state->geometry.items;
    parts->item_facts =
        plan_scratch_take(&cursor, items * w->item_chunks + w->weight_chunks, sizeof *parts->item_facts);
    parts->items = plan_scratch_take(&cursor, items, sizeof *parts->items);
    parts->transformed = plan_scratch_take(&cursor, w->weights, state->element_bytes);
    parts->sums = plan_scratch_take(&cursor, state->gradient.sums, state->element_bytes);
    parts->cells = cursor;
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

/* The bound of an item's outputs, or of a gradient's; infinity where a step may overflow. */
static double bound_of(const struct layer_state *state, double cell, double tap, double bias)
{
    const struct layer_gradient *const gradient = &state->gradient;
    const bool small = state->winograd.m == 2;
    const double growth = gradient->used ? (small ? 6 : 54) : small ? 8 : 48, u = state->unit_roundoff;
    /* What each product is summed over. */
    const double channels = gradient->used
                                ? (double)state->geometry.items * (double)gradient->rows * (double)gradient->wide
                                : (double)state->channels * (double)state->winograd.taps;
    const double range = state->element == LAYER_F32 ? (double)FLT_MAX : DBL_MAX, roundings = channels + 27;
    /* Of B^T, of G and of A^T no row sums to more than 10, 1.5 and 19, of A and of G^T to more than 15 and 2. */
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
    /* A gradient of the weight is summed over all items. */
    const struct simd_fft_facts all = join(scratch.item_facts, state->gradient.used ? items * w->item_chunks : 0);
    double floor = 0;
    found->check = false;
    for (size_t i = 0; i < items; i++) {
        const struct simd_fft_facts facts =
            state->gradient.used ? all : join(scratch.item_facts + i * w->item_chunks, w->item_chunks);
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
        found->some_direct |= item->direct;
        found->some_winograd |= !item->direct;
        if (!integral)
            floor = fmax(floor, item->direct ? direct_bound : bound);
    }
    found->floor = floor;
    if (!found->check)
        found->bound = floor;
}
