/* SPDX-License-Identifier: MIT */
/* Our side of the layers' benches: bench_layers.c and, beside PyTorch, bench_layers.py. */
#include "core/convolve.h"
#include "tests/bench/layer_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench_layer_ours {
    struct convolve_layer_spec spec;
    enum convolve_method method;
    void *scratch, *tile_scratch;
};

size_t bench_layer_output_length(const struct bench_layer *layer)
{
    return (layer->size + 2 * layer->padding - (layer->kernel - 1) * layer->dilation - 1) / layer->stride + 1;
}

struct bench_layer_sizes bench_layer_sizes(const struct bench_layer *layer)
{
    struct bench_layer_sizes sizes = {.input = layer->channels,
                                      .weight = layer->filters * layer->channels / layer->groups,
                                      .gradient = layer->filters};
    for (size_t i = 0; i < layer->spatial; i++) {
        sizes.input *= layer->size;
        sizes.weight *= layer->kernel;
        sizes.gradient *= bench_layer_output_length(layer);
    }
    sizes.multiply_adds = (double)sizes.gradient * (double)sizes.weight / (double)layer->filters;
    return sizes;
}

static void *take(size_t bytes)
{
    return aligned_alloc(CONVOLVE_ALIGNMENT,
                         (bytes + 2 * CONVOLVE_ALIGNMENT - 1) / CONVOLVE_ALIGNMENT * CONVOLVE_ALIGNMENT);
}

struct convolve_layer_spec bench_layer_spec(const struct bench_layer *layer, const char *method)
{
    static const enum convolve_layer_operation operations[] = {CONVOLVE_LAYER_CONV, CONVOLVE_LAYER_BACKWARD_INPUT,
                                                               CONVOLVE_LAYER_BACKWARD_WEIGHT};
    const unsigned rank = (unsigned)layer->spatial + 2;
    struct convolve_layer_spec spec = {
        .operation = operations[layer->operation],
        .dtype = layer->f64 ? CONVOLVE_FLOAT64 : CONVOLVE_FLOAT32,
        .input = {.rank = rank, .size = {1, layer->channels}},
        .weight = {.rank = rank, .size = {layer->filters, layer->channels / layer->groups}},
        .grad_output = {.rank = rank, .size = {1, layer->filters}},
        .stride = {.given = true, .scalar = true, .count = 1, .value = {layer->stride}},
        .dilation = {.given = true, .scalar = true, .count = 1, .value = {layer->dilation}},
        .cells = {.given = true, .scalar = true, .count = 1, .before = {layer->padding}, .after = {layer->padding}},
        .groups = layer->groups,
    };
    for (unsigned i = 2; i < rank; i++) {
        spec.input.size[i] = layer->size;
        spec.weight.size[i] = layer->kernel;
        spec.grad_output.size[i] = bench_layer_output_length(layer);
    }
    for (unsigned i = CONVOLVE_AUTO; i <= CONVOLVE_WINOGRAD; i++)
        if (strcmp(convolve_method_name(i), method) == 0)
            spec.method = i;
    return spec;
}

struct bench_layer_ours *bench_layer_ours_create(const struct bench_layer *layer, const char *method)
{
    struct bench_layer_ours *const ours = calloc(1, sizeof *ours);
    struct convolve_plan *plan = NULL;
    if (!ours)
        return NULL;
    ours->spec = bench_layer_spec(layer, method);
    if (!convolve_layer_plan_create(&plan, &ours->spec, NULL, NULL))
        goto failed;
    ours->method = convolve_plan_method(plan);
    ours->scratch = take(convolve_plan_scratch_bytes(plan));
    ours->tile_scratch = take(convolve_plan_tile_scratch_bytes(plan));
    convolve_plan_destroy(plan);
    if (ours->scratch && ours->tile_scratch)
        return ours;
failed:
    bench_layer_ours_destroy(ours);
    return NULL;
}

bool bench_layer_ours_run(struct bench_layer_ours *ours, const struct bench_layer_tensors *tensors)
{
    struct convolve_plan *plan;
    struct convolve_outcome outcome;
    struct convolve_error error = {0};
    const struct convolve_run run = {.input = tensors->input,
                                     .kernel = tensors->weight,
                                     .grad_output = tensors->gradient,
                                     .output = tensors->output,
                                     .scratch = ours->scratch};
    bool done = convolve_layer_plan_create(&plan, &ours->spec, run.kernel, &error);
    if (done) {
        for (unsigned stage = 0; stage < convolve_plan_stage_count(plan); stage++)
            for (size_t tile = 0, count = convolve_plan_tile_count(plan, stage); tile < count; tile++)
                convolve_plan_run_tile(plan, &run, stage, tile, ours->tile_scratch);
        done = convolve_plan_finish(plan, &run, &outcome, &error);
        convolve_plan_destroy(plan);
    }
    if (!done)
        fprintf(stderr, "%s %s: %s\n", error.slug, error.pointer, error.detail);
    return done;
}

const char *bench_layer_ours_method(const struct bench_layer_ours *ours)
{
    return convolve_method_name(ours->method);
}

void bench_layer_ours_destroy(struct bench_layer_ours *ours)
{
    if (!ours)
        return;
    free(ours->scratch);
    free(ours->tile_scratch);
    free(ours);
}
