/* SPDX-License-Identifier: MIT */
/* oneDNN's side of bench_layers.c. The convolution chooses the layouts it likes; where they are not the plain ones, reorders
 * stand before and behind it. Without its header (HAVE_DNNL) there is no such side. */
#include "tests/bench/layer_row.h"

#include <stdlib.h>

#ifdef HAVE_DNNL

#include <oneapi/dnnl/dnnl.h>

enum { SOURCE, WEIGHT, TARGET, TENSORS };

/* A tensor as the caller has it, and as the convolution wants it. Without a reorder both are one. */
struct tensor {
    dnnl_memory_t plain, own;
    dnnl_primitive_t reorder;
};

struct bench_layer_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t convolution;
    struct tensor tensor[TENSORS];
    int operation;
};

static dnnl_format_tag_t plain_tag(size_t dimensions)
{
    static const dnnl_format_tag_t tags[] = {dnnl_abc, dnnl_abcd, dnnl_abcde, dnnl_abcdef};
    return tags[dimensions - 3];
}

static bool describe(const struct bench_layer *layer, dnnl_memory_desc_t plain[TENSORS],
                     dnnl_memory_desc_t any[TENSORS])
{
    const bool grouped = layer->groups > 1;
    dnnl_dims_t dims[TENSORS] = {{1, (dnnl_dim_t)layer->channels}, {0}, {1, (dnnl_dim_t)layer->filters}};
    const int count[TENSORS] = {(int)layer->spatial + 2, (int)layer->spatial + 2 + grouped, (int)layer->spatial + 2};
    dnnl_dim_t *weight = dims[WEIGHT];
    if (grouped)
        *weight++ = (dnnl_dim_t)layer->groups;
    *weight++ = (dnnl_dim_t)(layer->filters / layer->groups);
    *weight++ = (dnnl_dim_t)(layer->channels / layer->groups);
    for (size_t i = 0; i < layer->spatial; i++) {
        dims[SOURCE][2 + i] = (dnnl_dim_t)layer->size;
        dims[TARGET][2 + i] = (dnnl_dim_t)bench_layer_output_length(layer);
        *weight++ = (dnnl_dim_t)layer->kernel;
    }
    for (int i = 0; i < TENSORS; i++)
        if (dnnl_memory_desc_init_by_tag(&plain[i], count[i], dims[i], dnnl_f32, plain_tag((size_t)count[i])) ||
            dnnl_memory_desc_init_by_tag(&any[i], count[i], dims[i], dnnl_f32, dnnl_format_tag_any))
            return false;
    return true;
}

/* The descriptor of the operation; gradients go by the forward one. */
static bool describe_convolution(struct bench_layer_dnnl *dnnl, const struct bench_layer *layer, bool winograd,
                                 const dnnl_memory_desc_t any[TENSORS], dnnl_primitive_desc_t *found)
{
    const dnnl_alg_kind_t algorithm = winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
    dnnl_dims_t strides = {0}, dilates = {0}, padding = {0};
    dnnl_convolution_desc_t forward, description;
    dnnl_primitive_desc_t hint = NULL;
    for (size_t i = 0; i < layer->spatial; i++) {
        strides[i] = (dnnl_dim_t)layer->stride;
        dilates[i] = (dnnl_dim_t)layer->dilation - 1;
        padding[i] = (dnnl_dim_t)layer->padding;
    }
    const bool training = layer->operation != BENCH_CONV;
    if (dnnl_dilated_convolution_forward_desc_init(&forward, training ? dnnl_forward_training : dnnl_forward_inference,
                                                   algorithm, &any[SOURCE], &any[WEIGHT], NULL, &any[TARGET], strides,
                                                   dilates, padding, padding) ||
        dnnl_primitive_desc_create(training ? &hint : found, &forward, NULL, dnnl->engine, NULL))
        return false;
    if (!training)
        return true;
    const bool described =
        !(layer->operation == BENCH_BACKWARD_INPUT
              ? dnnl_dilated_convolution_backward_data_desc_init(&description, algorithm, &any[SOURCE], &any[WEIGHT],
                                                                 &any[TARGET], strides, dilates, padding, padding)
              : dnnl_dilated_convolution_backward_weights_desc_init(&description, algorithm, &any[SOURCE], &any[WEIGHT],
                                                                    NULL, &any[TARGET], strides, dilates, padding,
                                                                    padding)) &&
        !dnnl_primitive_desc_create(found, &description, NULL, dnnl->engine, hint);
    dnnl_primitive_desc_destroy(hint);
    return described;
}

/* Which of the three an operation writes. */
static int written(int operation)
{
    return operation == BENCH_CONV ? TARGET : operation == BENCH_BACKWARD_INPUT ? SOURCE : WEIGHT;
}

static const dnnl_memory_desc_t *wanted(dnnl_primitive_desc_t convolution, int operation, int tensor)
{
    static const dnnl_query_t queries[TENSORS] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md};
    static const dnnl_query_t gradients[TENSORS] = {dnnl_query_diff_src_md, dnnl_query_diff_weights_md,
                                                    dnnl_query_diff_dst_md};
    const bool gradient = operation != BENCH_CONV && (tensor == TARGET || tensor == written(operation));
    return dnnl_primitive_desc_query_md(convolution, (gradient ? gradients : queries)[tensor], 0);
}

static bool connect(struct bench_layer_dnnl *dnnl, struct tensor *tensor, const dnnl_memory_desc_t *plain,
                    const dnnl_memory_desc_t *own, bool output)
{
    dnnl_primitive_desc_t reorder;
    if (dnnl_memory_create(&tensor->plain, plain, dnnl->engine, DNNL_MEMORY_NONE))
        return false;
    if (dnnl_memory_desc_equal(plain, own)) {
        tensor->own = tensor->plain;
        return true;
    }
    if (dnnl_memory_create(&tensor->own, own, dnnl->engine, DNNL_MEMORY_ALLOCATE) ||
        dnnl_reorder_primitive_desc_create(&reorder, output ? own : plain, dnnl->engine, output ? plain : own,
                                           dnnl->engine, NULL))
        return false;
    const bool made = !dnnl_primitive_create(&tensor->reorder, reorder);
    dnnl_primitive_desc_destroy(reorder);
    return made;
}

struct bench_layer_dnnl *bench_layer_dnnl_create(const struct bench_layer *layer, bool winograd)
{
    struct bench_layer_dnnl *const dnnl = calloc(1, sizeof *dnnl);
    dnnl_memory_desc_t plain[TENSORS], any[TENSORS];
    dnnl_primitive_desc_t convolution = NULL;
    if (!dnnl)
        return NULL;
    dnnl->operation = layer->operation;
    bool made = !dnnl_engine_create(&dnnl->engine, dnnl_cpu, 0) &&
                !dnnl_stream_create(&dnnl->stream, dnnl->engine, dnnl_stream_default_flags) &&
                describe(layer, plain, any) && describe_convolution(dnnl, layer, winograd, any, &convolution) &&
                !dnnl_primitive_create(&dnnl->convolution, convolution);
    for (int i = 0; made && i < TENSORS; i++)
        made = connect(dnnl, &dnnl->tensor[i], &plain[i], wanted(convolution, layer->operation, i),
                       i == written(layer->operation));
    if (convolution)
        dnnl_primitive_desc_destroy(convolution);
    if (made)
        return dnnl;
    bench_layer_dnnl_destroy(dnnl);
    return NULL;
}

static void bring(const struct bench_layer_dnnl *dnnl, const struct tensor *tensor, bool output)
{
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, output ? tensor->own : tensor->plain},
                                         {DNNL_ARG_TO, output ? tensor->plain : tensor->own}};
    if (tensor->reorder)
        dnnl_primitive_execute(tensor->reorder, dnnl->stream, 2, arguments);
}

void bench_layer_dnnl_run(struct bench_layer_dnnl *dnnl, const struct bench_layer_tensors *tensors)
{
    static const int names[][TENSORS] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                         {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                         {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
    const int output = written(dnnl->operation);
    void *data[TENSORS] = {(void *)tensors->input, (void *)tensors->weight, (void *)tensors->gradient};
    dnnl_exec_arg_t arguments[TENSORS];
    data[output] = tensors->output;
    for (int i = 0; i < TENSORS; i++) {
        dnnl_memory_set_data_handle(dnnl->tensor[i].plain, data[i]);
        arguments[i] = (dnnl_exec_arg_t){names[dnnl->operation][i], dnnl->tensor[i].own};
        if (i != output)
            bring(dnnl, &dnnl->tensor[i], false);
    }
    dnnl_primitive_execute(dnnl->convolution, dnnl->stream, TENSORS, arguments);
    bring(dnnl, &dnnl->tensor[output], true);
    dnnl_stream_wait(dnnl->stream);
}

void bench_layer_dnnl_destroy(struct bench_layer_dnnl *dnnl)
{
    if (!dnnl)
        return;
    for (int i = 0; i < TENSORS; i++) {
        if (dnnl->tensor[i].reorder)
            dnnl_primitive_destroy(dnnl->tensor[i].reorder);
        if (dnnl->tensor[i].own != dnnl->tensor[i].plain)
            dnnl_memory_destroy(dnnl->tensor[i].own);
        dnnl_memory_destroy(dnnl->tensor[i].plain);
    }
    dnnl_primitive_destroy(dnnl->convolution);
    dnnl_stream_destroy(dnnl->stream);
    dnnl_engine_destroy(dnnl->engine);
    free(dnnl);
}

#else

struct bench_layer_dnnl *bench_layer_dnnl_create(const struct bench_layer *layer, bool winograd)
{
    (void)layer;
    (void)winograd;
    return NULL;
}

void bench_layer_dnnl_run(struct bench_layer_dnnl *dnnl, const struct bench_layer_tensors *tensors)
{
    (void)dnnl;
    (void)tensors;
}

void bench_layer_dnnl_destroy(struct bench_layer_dnnl *dnnl)
{
    (void)dnnl;
}

#endif
