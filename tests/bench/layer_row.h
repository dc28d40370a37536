/* SPDX-License-Identifier: MIT */
/* One layer of the benches, batch 1, plain NCHW in and out, square: what bench_layers.c lists, and the sides that run it. Every
 * side takes the weights as they lie in the tensor in every call. Tensors are aligned to 64 bytes. */
#ifndef TESTS_BENCH_LAYER_ROW_H
#define TESTS_BENCH_LAYER_ROW_H

#include "core/convolve.h"

#include <stdbool.h>
#include <stddef.h>

enum bench_layer_operation { BENCH_CONV, BENCH_BACKWARD_INPUT, BENCH_BACKWARD_WEIGHT };

struct bench_layer {
    size_t spatial, channels, filters, size, kernel, stride, dilation, groups, padding;
    int operation;
    int f64;
};

/* `input` is read by conv and backward_weight, `weight` by conv and backward_input, `gradient` by both gradients. */
struct bench_layer_tensors {
    const void *input, *weight, *gradient;
    void *output;
};

/* Values of the three tensors and multiply-adds of the layer. */
struct bench_layer_sizes {
    size_t input, weight, gradient;
    double multiply_adds;
};
size_t bench_layer_output_length(const struct bench_layer *layer);
struct bench_layer_sizes bench_layer_sizes(const struct bench_layer *layer);

/* As a request to us; `method` as convolve_method_name has it. */
struct convolve_layer_spec bench_layer_spec(const struct bench_layer *layer, const char *method);

/* Ours: a call makes the plan, packs and runs; scratch memory is kept between calls. NULL where the method cannot do it. */
struct bench_layer_ours;
struct bench_layer_ours *bench_layer_ours_create(const struct bench_layer *layer, const char *method);
bool bench_layer_ours_run(struct bench_layer_ours *ours, const struct bench_layer_tensors *tensors);
const char *bench_layer_ours_method(const struct bench_layer_ours *ours); /* that runs */
void bench_layer_ours_destroy(struct bench_layer_ours *ours);

/* oneDNN: a call brings the tensors into the layout that its convolution asks for, where that is another, and back. NULL where
 * the build found no oneDNN or it has no such layer; `winograd` asks for that algorithm, which it has for some CPUs. */
struct bench_layer_dnnl;
struct bench_layer_dnnl *bench_layer_dnnl_create(const struct bench_layer *layer, bool winograd);
void bench_layer_dnnl_run(struct bench_layer_dnnl *dnnl, const struct bench_layer_tensors *tensors);
void bench_layer_dnnl_destroy(struct bench_layer_dnnl *dnnl);

#endif
