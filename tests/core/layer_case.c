/* SPDX-License-Identifier: MIT */
/* Layers with random members and values, by the definition and by plans. */
#include "tests/core/layer_case.h"

#include "tests/core/golden_read.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t random_state = 1;

void layer_seed(uint64_t seed)
{
    random_state = seed;
}

uint64_t layer_random(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

size_t layer_random_below(size_t bound)
{
    return (size_t)(layer_random() % bound);
}

static double random_value(enum layer_values values)
{
    const double value = (double)(int64_t)layer_random() * 0x1p-61;
    if (values == LAYER_VALUES_INTEGERS)
        return (double)(int)(value * 4);
    if (values == LAYER_VALUES_WIDE)
        return ldexp(value, (int)layer_random_below(130) - 75);
    return values == LAYER_VALUES_POSITIVE && value < 0 ? -value : value;
}

void *layer_random_tensor(enum convolve_dtype dtype, const struct convolve_shape *shape, enum layer_values values)
{
    size_t count;
    assert_true(convolve_shape_count(shape, &count));
    void *const tensor = tensor_memory(count * convolve_dtype_bytes(dtype));
    const size_t numbers = count * (convolve_dtype_is_complex(dtype) ? 2 : 1);
    for (size_t i = 0; i < numbers; i++) {
        const double value = random_value(values);
        if (dtype == CONVOLVE_INT64)
            ((int64_t *)tensor)[i] = (int64_t)(value * 1000);
        else if (dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64)
            ((float *)tensor)[i] = (float)value;
        else
            ((double *)tensor)[i] = value;
    }
    return tensor;
}

double layer_number(enum convolve_dtype dtype, const void *tensor, size_t i)
{
    if (dtype == CONVOLVE_INT64)
        return (double)((const int64_t *)tensor)[i];
    return dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64 ? (double)((const float *)tensor)[i]
                                                                    : ((const double *)tensor)[i];
}

/* ---- Cases ------------------------------------------------------------------------------------------------------------ */

static size_t add_shape(char *text, size_t used, size_t size, const char *name, const struct convolve_shape *shape)
{
    used += (size_t)snprintf(text + used, size - used, " %s", name);
    for (unsigned i = 0; i < shape->rank; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%zu", i ? "x" : " ", shape->size[i]);
    return used;
}

static size_t add_list(char *text, size_t used, size_t size, const char *name, const struct convolve_per_axis *member)
{
    if (!member->given)
        return used;
    used += (size_t)snprintf(text + used, size - used, " %s", name);
    for (unsigned i = 0; i < member->count; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%zu", i ? "," : " ", member->value[i]);
    return used;
}

static void name_case(struct layer_case *c)
{
    static const char *const operations[] = {"conv", "transpose", "backward_input", "backward_weight"};
    static const char *const paddings[] = {"cells", "valid", "same", "same_lower"};
    const struct convolve_layer_spec *spec = &c->spec;
    const size_t size = sizeof c->name;
    size_t used =
        (size_t)snprintf(c->name, size, "%s %s", operations[spec->operation], convolve_dtype_name(spec->dtype));
    used = add_shape(c->name, used, size, "input", &spec->input);
    used = add_shape(c->name, used, size, "weight", &spec->weight);
    used = add_list(c->name, used, size, "stride", &spec->stride);
    used = add_list(c->name, used, size, "dilation", &spec->dilation);
    used = add_list(c->name, used, size, "output_padding", &spec->output_padding);
    used = add_list(c->name, used, size, "output_shape", &spec->output_shape);
    used += (size_t)snprintf(c->name + used, size - used, " groups %zu mode %d %s%s%s", spec->groups,
                             (int)spec->padding_mode, paddings[spec->padding], spec->bias_given ? " bias" : "",
                             spec->channels_last ? " last" : "");
    for (unsigned i = 0; spec->cells.given && i < spec->cells.count; i++)
        used += (size_t)snprintf(c->name + used, size - used, " %zu:%zu", spec->cells.before[i], spec->cells.after[i]);
}

bool layer_case_make(struct layer_case *c, const struct convolve_layer_spec *spec, enum layer_values values)
{
    struct convolve_cost cost;
    *c = (struct layer_case){.spec = *spec};
    if (spec->operation >= CONVOLVE_LAYER_BACKWARD_INPUT) {
        struct convolve_layer_spec forward = *spec;
        forward.operation = CONVOLVE_LAYER_CONV;
        if (!convolve_layer_cost(&cost, &forward, 1, NULL))
            return false;
        c->spec.grad_output = cost.output;
    }
    if (!convolve_layer_cost(&cost, &c->spec, 1, NULL))
        return false;
    name_case(c);
    c->output = cost.output;
    c->output_count = cost.output_count;
    c->output_bytes = cost.output_count * convolve_dtype_bytes(spec->dtype);
    if (spec->operation != CONVOLVE_LAYER_BACKWARD_INPUT)
        c->tensors.input = layer_random_tensor(spec->dtype, &spec->input, values);
    if (spec->operation != CONVOLVE_LAYER_BACKWARD_WEIGHT)
        c->tensors.kernel = layer_random_tensor(spec->dtype, &spec->weight, values);
    if (spec->operation >= CONVOLVE_LAYER_BACKWARD_INPUT)
        c->tensors.grad_output = layer_random_tensor(spec->dtype, &c->spec.grad_output, values);
    if (spec->bias_given)
        c->tensors.bias = layer_random_tensor(spec->dtype, &spec->bias, values);
    return true;
}

void layer_case_release(struct layer_case *c)
{
    free((void *)c->tensors.input);
    free((void *)c->tensors.kernel);
    free((void *)c->tensors.bias);
    free((void *)c->tensors.grad_output);
    c->tensors = (struct convolve_run){0};
}

static struct convolve_per_axis random_list(unsigned count, size_t minimum, size_t bound)
{
    struct convolve_per_axis list = {.given = true, .count = count};
    for (unsigned i = 0; i < count; i++)
        list.value[i] = minimum + layer_random_below(bound);
    return list;
}

struct convolve_layer_spec layer_random_spec(void)
{
    static const enum convolve_boundary modes[] = {CONVOLVE_CONSTANT, CONVOLVE_REFLECT, CONVOLVE_EDGE, CONVOLVE_WRAP};
    static const size_t longest[] = {0, 90, 20, 9};
    const unsigned spatial = 1 + (unsigned)layer_random_below(3);
    struct convolve_layer_spec spec = {.operation = (enum convolve_layer_operation)layer_random_below(4),
                                       .dtype = (enum convolve_dtype)layer_random_below(5),
                                       .groups = layer_random_below(2) ? 1 : 1 + layer_random_below(4),
                                       .channels_last = layer_random_below(3) == 0};
    const bool transpose = spec.operation == CONVOLVE_LAYER_TRANSPOSE, last = spec.channels_last;
    const size_t first = spec.groups * (1 + layer_random_below(layer_random_below(4) ? 5 : 20));
    const size_t second = 1 + layer_random_below(layer_random_below(4) ? 5 : 20);
    spec.weight.size[spec.weight.rank++] = first;
    if (!last)
        spec.weight.size[spec.weight.rank++] = second;
    for (unsigned i = 0; i < spatial; i++)
        spec.weight.size[spec.weight.rank++] = 1 + layer_random_below(spatial == 1 ? 9 : 4);
    if (last)
        spec.weight.size[spec.weight.rank++] = second;
    if (layer_random_below(4))
        spec.input.size[spec.input.rank++] = 1 + layer_random_below(3);
    if (!last)
        spec.input.size[spec.input.rank++] = transpose ? first : second * spec.groups;
    for (unsigned i = 0; i < spatial; i++)
        spec.input.size[spec.input.rank++] = 1 + layer_random_below(longest[spatial]);
    if (last)
        spec.input.size[spec.input.rank++] = transpose ? first : second * spec.groups;
    if (spec.operation < CONVOLVE_LAYER_BACKWARD_INPUT && layer_random_below(2)) {
        spec.bias_given = true;
        spec.bias = (struct convolve_shape){.rank = 1, .size = {transpose ? second * spec.groups : first}};
    }
    if (layer_random_below(2))
        spec.stride = random_list(spatial, 1, 4);
    if (layer_random_below(2))
        spec.dilation = random_list(spatial, 1, layer_random_below(8) ? 4 : 40);
    spec.padding = (enum convolve_layer_padding)(layer_random_below(2) ? 0 : layer_random_below(4));
    if (spec.padding == CONVOLVE_LAYER_CELLS && layer_random_below(4)) {
        const size_t bound = layer_random_below(4) ? 4 : 50;
        spec.cells = (struct convolve_padding){.given = true, .count = spatial};
        for (unsigned i = 0; i < spatial; i++) {
            spec.cells.before[i] = layer_random_below(bound);
            spec.cells.after[i] = layer_random_below(bound);
        }
    }
    if (!transpose)
        spec.padding_mode = modes[layer_random_below(2) ? 0 : layer_random_below(4)];
    if (transpose && layer_random_below(3) == 0)
        spec.output_padding = random_list(spatial, 0, 3);
    if (transpose && layer_random_below(3) == 0)
        spec.output_shape = random_list(spatial, 1, 30);
    return spec;
}

/* ---- Outputs ---------------------------------------------------------------------------------------------------------- */

bool layer_case_define(const struct layer_case *c, void *output)
{
    struct layer_geometry geometry;
    bool fits = true;
    assert_true(layer_geometry_derive(&geometry, &c->spec, NULL));
    for (size_t i = 0; i < c->output_count; i++) {
        const struct layer_value made = layer_define(&geometry, &c->tensors, i);
        fits &= !made.overflow;
        tensor_put(c->spec.dtype, output, i, made.value);
    }
    return fits;
}

bool layer_case_run(const struct layer_case *c, void *output, struct convolve_outcome *outcome,
                    struct convolve_error *error)
{
    struct convolve_plan *plan;
    struct convolve_run run = c->tensors;
    struct convolve_cost cost;
    struct convolve_draft *const draft = layer_random_below(2) ? tensor_memory(convolve_draft_bytes()) : NULL;
    if (draft ? !convolve_layer_draft_derive(draft, &cost, &c->spec, 1, error) ||
                    !convolve_draft_plan(&plan, draft, c->tensors.kernel, error)
              : !convolve_layer_plan_create(&plan, &c->spec, c->tensors.kernel, error))
        fail_msg("%s: %s at \"%s\": %s", c->name, error->slug, error->pointer, error->detail);
    const size_t scratch_bytes = convolve_plan_scratch_bytes(plan);
    const size_t tile_bytes = convolve_plan_tile_scratch_bytes(plan);
    void *const tile_scratch = tensor_memory(tile_bytes);
    run.scratch = tensor_memory(scratch_bytes);
    run.output = output;
    memset(run.scratch, 0xff, scratch_bytes);
    memset(output, 0xff, c->output_bytes);
    for (unsigned stage = 0; stage < convolve_plan_stage_count(plan); stage++) {
        const size_t count = convolve_plan_tile_count(plan, stage);
        const size_t turn = count ? layer_random_below(count) : 0;
        for (size_t i = 0; i < count; i++) {
            if (tile_bytes < 1 << 16 || i % 16 == 0) /* else it would take longer than the tile */
                memset(tile_scratch, 0xff, tile_bytes);
            convolve_plan_run_tile(plan, &run, stage, count - 1 - (i + turn) % count, tile_scratch);
        }
    }
    const bool finished = convolve_plan_finish(plan, &run, outcome, error);
    free(run.scratch);
    free(tile_scratch);
    convolve_plan_destroy(plan);
    free(draft);
    return finished;
}
