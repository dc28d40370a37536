/* SPDX-License-Identifier: MIT */
/* libconvolve: N-dimensional convolution and cross-correlation with SciPy's meaning.
 *
 * The order of calls: fill a `convolve_spec` (what is asked, shapes only), ask `convolve_cost` what it would cost,
 * make a plan with `convolve_plan_create`, and either execute it at once with `convolve_plan_execute` or, from as
 * many threads as you like, stage by stage and tile by tile. The library starts no thread, allocates nothing while
 * tiles run, writes no file and keeps no state but the table of SIMD routines.
 *
 * The definition, for every operation here. Along a convolved axis with input x of length n, kernel k of length m,
 * stride s, dilation d and `before` cells of boundary in front of the input:
 *
 *     output[o] = sum over taps t = 0 .. m-1, in this order, of  kernel'[t] * x[o*s + t*d - before]
 *
 * kernel' is k reversed for convolve, k itself (conjugated, where complex) for correlate; x outside 0 .. n-1 is what
 * the boundary supplies. Several axes: taps in row-major order of kernel'. Every real output is one chain of fused
 * multiply-adds in that order, starting from +0, so `direct` gives the same bits on every instruction set, thread
 * count and tile. A complex output is two such chains over the taps w = kernel'[t] (conjugated first) and the inputs x,
 * two steps a tap:
 *
 *     re = fma(w.re, x.re, re);  re = fma(-w.im, x.im, re);  im = fma(w.re, x.im, im);  im = fma(w.im, x.re, im)
 *
 * Where `valid` finds the input within the dilated kernel, x outside 0 .. n-1 is no term at all. */
#ifndef CORE_CONVOLVE_H
#define CORE_CONVOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* the library exports what is declared here, and nothing else */

enum { CONVOLVE_RANK_MAX = 8, CONVOLVE_ALIGNMENT = 64 };

/* ---- Errors --------------------------------------------------------------------------------------------------- */

/* What went wrong, in the words of the HTTP contract. `slug` names the problem ("shape-mismatch"), `pointer` is the JSON
 * Pointer of the member at fault ("/kernel", or "" for the whole), `detail` says what was found and what would be
 * right. `limit` is set only with "too-large": the limit's name, what it allows and what was asked. */
struct convolve_error {
    const char *slug; /* a string constant; NULL while nothing is wrong */
    char pointer[256];
    char detail[512];
    const char *limit;
    uint64_t allowed, requested;
};

/* Fills `error` (which may be NULL) and returns false, so that a check is one line. */
bool convolve_fail(struct convolve_error *error, const char *slug, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));

/* ---- Types and shapes ----------------------------------------------------------------------------------------- */

enum convolve_dtype {
    CONVOLVE_FLOAT64,
    CONVOLVE_FLOAT32,
    CONVOLVE_INT64,
    CONVOLVE_COMPLEX128, /* interleaved pairs of float64 */
    CONVOLVE_COMPLEX64, /* interleaved pairs of float32 */
};
enum { CONVOLVE_DTYPE_COUNT = 5 };

size_t convolve_dtype_bytes(enum convolve_dtype dtype);
const char *convolve_dtype_name(enum convolve_dtype dtype); /* "float64", ... */
bool convolve_dtype_is_complex(enum convolve_dtype dtype);

/* Row-major, contiguous. Rank 0 is a single value. */
struct convolve_shape {
    unsigned rank;
    size_t size[CONVOLVE_RANK_MAX];
};

/* The number of elements; false where it does not fit size_t. */
bool convolve_shape_count(const struct convolve_shape *shape, size_t *count);

/* A shape as a client writes it: "[2, 3]". */
struct convolve_shape_text {
    char text[CONVOLVE_RANK_MAX * 23 + 3];
};
struct convolve_shape_text convolve_shape_text(const struct convolve_shape *shape);

/* One value of any dtype: `integer` for int64, else `real` and, for complex, `imag`. */
struct convolve_scalar {
    int64_t integer;
    double real, imag;
};

/* ---- What is asked -------------------------------------------------------------------------------------------- */

enum convolve_operation { CONVOLVE_OP_CONVOLVE, CONVOLVE_OP_CORRELATE };
enum convolve_mode { CONVOLVE_FULL, CONVOLVE_SAME, CONVOLVE_VALID };
enum convolve_boundary {
    CONVOLVE_CONSTANT, /* fillvalue */
    CONVOLVE_WRAP, /* a b c d | a b c d | a b c d */
    CONVOLVE_SYMMETRIC, /* d c b a | a b c d | d c b a */
    CONVOLVE_REFLECT, /*   d c b | a b c d | c b a */
    CONVOLVE_EDGE, /* a a a a | a b c d | d d d d */
};
enum convolve_method {
    CONVOLVE_AUTO,
    CONVOLVE_DIRECT,
    CONVOLVE_SEPARABLE,
    CONVOLVE_FFT,
    CONVOLVE_OVERLAP_ADD,
    CONVOLVE_WINOGRAD, /* of layers only */
};
const char *convolve_method_name(enum convolve_method method); /* "direct", ... */

/* An integer for every convolved axis (`scalar`, value[0]), or one per convolved axis in increasing order of the axes.
 * `given` false stands for the default. */
struct convolve_per_axis {
    bool given, scalar;
    unsigned count;
    size_t value[CONVOLVE_RANK_MAX];
};

/* Likewise with a number of cells before and after. */
struct convolve_padding {
    bool given, scalar;
    unsigned count;
    size_t before[CONVOLVE_RANK_MAX], after[CONVOLVE_RANK_MAX];
};

/* A request without its values. Everything zero is: convolve, float64, full, constant 0, every axis, auto. Values that
 * an enum or an unsigned number cannot express (negative strides) are the caller's to refuse; everything else is
 * checked here, and named in the error. */
struct convolve_spec {
    enum convolve_operation operation;
    enum convolve_dtype dtype; /* of input, kernel and output */
    struct convolve_shape input, kernel;
    enum convolve_mode mode;
    bool mode_given; /* only to refuse `mode` together with `padding` */
    struct convolve_padding padding;
    enum convolve_boundary boundary;
    struct convolve_scalar fillvalue;
    struct convolve_per_axis stride, dilation; /* each value at least 1 */
    bool axes_given;
    unsigned axis_count;
    int64_t axes[CONVOLVE_RANK_MAX]; /* of the tensor of higher rank; negative ones count from the end */
    enum convolve_method method;
    bool ignore_missing; /* a NaN of the input is left out, the rest of the window's weights scaled up */
    bool max_error_given;
    double max_error;
};

/* ---- What it would cost --------------------------------------------------------------------------------------- */

struct convolve_cost {
    enum convolve_dtype dtype;
    struct convolve_shape output;
    size_t output_count;
    enum convolve_method method; /* the one that would run */
    bool exchanged; /* `valid`, and input and kernel have changed places */
    uint64_t multiply_adds;
    uint64_t tensor_bytes; /* input, kernel and output */
    uint64_t scratch_bytes; /* what the plan needs beside them, with `threads` threads */
};

/* The values of the members `mode` to `axes`, without a look at how the shapes fit; convolve_cost does it too. A caller that
 * reads members one after another (`method` comes after `axes`) calls it in between, to tell the first fault first. */
bool convolve_check_members(const struct convolve_spec *spec, struct convolve_error *error);

/* From the spec alone; allocates nothing. Fails with the faults of shapes and members ("shape-mismatch", "invalid-value",
 * "empty-tensor"), in the order of the contract: members as its tables list them, then shapes. */
bool convolve_cost(struct convolve_cost *cost, const struct convolve_spec *spec, unsigned threads,
                   struct convolve_error *error);

/* ---- Plans ---------------------------------------------------------------------------------------------------- */

/* Immutable once created, so threads share it. It does not own the tensors. */
struct convolve_plan;

/* One execution of a plan. Tensors are row-major, aligned to CONVOLVE_ALIGNMENT, and not written while it runs, but
 * for `output`. `scratch` has convolve_plan_scratch_bytes, aligned likewise, and need not be zeroed. The results are
 * set when the last stage has ended. */
struct convolve_run {
    const void *input, *kernel; /* kernel: a layer's weight */
    void *output;
    void *scratch;
    const void *bias, *grad_output; /* of layers, where the operation has them */
};

/* What only the values tell. */
struct convolve_outcome {
    double error_bound; /* no output is further from the exact result; NaN where the result is not finite */
    bool nonfinite; /* the output holds a NaN or an infinity that was not asked for by `ignore_missing` */
    size_t nonfinite_index; /* the first such, row-major */
};

/* `kernel` holds the kernel's values where they are known (methods may depend on them), or is NULL: then the plan
 * suits every kernel of that shape. The values are read during the call only. */
bool convolve_plan_create(struct convolve_plan **plan, const struct convolve_spec *spec, const void *kernel,
                          struct convolve_error *error);
void convolve_plan_destroy(struct convolve_plan *plan); /* NULL is fine */

/* A plan in two steps, for a caller who asks what a request costs before he allows it and would not have everything derived
 * twice. A draft is what shapes alone tell. It lies in convolve_draft_bytes() bytes of the caller's, aligned for any type, and
 * holds nothing beside them, so it may be dropped at any time; convolve_draft_derive is otherwise convolve_cost. */
struct convolve_draft;
size_t convolve_draft_bytes(void);
bool convolve_draft_derive(struct convolve_draft *draft, struct convolve_cost *cost, const struct convolve_spec *spec,
                           unsigned threads, struct convolve_error *error);

/* Once: the draft becomes the plan, as convolve_plan_create makes it. The plan lies where the draft lay, and is to be destroyed
 * before that memory goes. */
bool convolve_draft_plan(struct convolve_plan **plan, struct convolve_draft *draft, const void *kernel,
                         struct convolve_error *error);

/* Whether its plan would be the same for every kernel of the shape, whose values may then change from run to run. */
bool convolve_draft_suits_every_kernel(const struct convolve_draft *draft);

const struct convolve_shape *convolve_plan_output(const struct convolve_plan *plan);
enum convolve_method convolve_plan_method(const struct convolve_plan *plan);
size_t convolve_plan_scratch_bytes(const struct convolve_plan *plan); /* shared by all threads of one run */
size_t convolve_plan_tile_scratch_bytes(const struct convolve_plan *plan); /* per thread, beside it; aligned likewise */

/* A plan has stages, run one after another; a stage has tiles, run in any order by any threads. The caller keeps the
 * order of stages: no tile of a stage starts before every tile of the one before it has returned. A tile takes some
 * tenths of a millisecond, so that between two of them a caller can look at a deadline. */
unsigned convolve_plan_stage_count(const struct convolve_plan *plan);
size_t convolve_plan_tile_count(const struct convolve_plan *plan, unsigned stage);
void convolve_plan_run_tile(const struct convolve_plan *plan, const struct convolve_run *run, unsigned stage,
                            size_t tile, void *tile_scratch);

/* After the last stage: "integer-overflow" where an int64 result does not fit, "invalid-value" where the bound exceeds
 * `max_error`, else true and the outcome. */
bool convolve_plan_finish(const struct convolve_plan *plan, const struct convolve_run *run,
                          struct convolve_outcome *outcome, struct convolve_error *error);

/* The error_bound that an execution with these values could tell beforehand: 0 where exactness is certain, else at least the
 * bound of the result; NaN where an input is not finite. And the method that would run, which may depend on the kernel's
 * values. Reads the tensors once, computes nothing. */
bool convolve_predict(const struct convolve_spec *spec, const void *input, const void *kernel, double *error_bound,
                      enum convolve_method *method, struct convolve_error *error);

/* All stages and tiles on this thread, scratch allocated and freed inside. */
bool convolve_plan_execute(const struct convolve_plan *plan, const void *input, const void *kernel, void *output,
                           struct convolve_outcome *outcome, struct convolve_error *error);

/* ---- Layers --------------------------------------------------------------------------------------------------- */

/* A CNN layer and its gradients: cross-correlation over 1 to 3 spatial axes, summed over channels, in batches; nothing is
 * flipped or conjugated. Indices n item, g group, c input channel of the group, m output channel of the group, k tap, o
 * output place, along each spatial axis with stride s, dilation d and `before` cells in front:
 *
 *     conv             output[n][g,m][o] = sum over c, k of  x[n][g,c][o*s + k*d - before] * weight[g,m][c][k]  + bias[g,m]
 *     conv_transpose   output[n][g,m][i] = sum over c, k, o with o*s + k*d - before = i of  x[n][g,c][o] * weight[g,c][m][k]
 *                                          + bias[g,m]
 *     backward_input   grad_input[n][g,c][i] = sum over m, k, o, where o*s + k*d - before stands for i, of
 *                                          grad_output[n][g,m][o] * weight[g,m][c][k]
 *     backward_weight  grad_weight[g,m][c][k] = sum over n, o of  x[n][g,c][o*s + k*d - before] * grad_output[n][g,m][o]
 *
 * Every real output is one chain of fused multiply-adds in the order in which the sums name their indices, k and o
 * row-major, starting from +0; then the bias is added with one rounding. Zeros of the padding are values like any other;
 * where conv_transpose and backward_input find no o there is no term. backward_input under another padding_mode makes a
 * chain for every cell of the padded input first, then adds the cells that stand for one element, row-major, to the first
 * of them. A complex output is two such chains over the weights w (of backward_weight: the gradients) and inputs x, two
 * steps a term:
 *
 *     re = fma(w.re, x.re, re);  re = fma(-w.im, x.im, re);  im = fma(w.im, x.re, im);  im = fma(w.re, x.im, im)  */
enum convolve_layer_operation {
    CONVOLVE_LAYER_CONV,
    CONVOLVE_LAYER_TRANSPOSE,
    CONVOLVE_LAYER_BACKWARD_INPUT,
    CONVOLVE_LAYER_BACKWARD_WEIGHT,
};

/* How much stands around the input. SAME and SAME_LOWER are ONNX's SAME_UPPER and SAME_LOWER. */
enum convolve_layer_padding {
    CONVOLVE_LAYER_CELLS, /* as the numbers say; none where they are not given */
    CONVOLVE_LAYER_VALID,
    CONVOLVE_LAYER_SAME,
    CONVOLVE_LAYER_SAME_LOWER,
};

/* A layer's request without its values. Everything zero but shapes, groups and dtype is a plain conv. Shapes are those of
 * the tensors in the request's layout; `input` is input_shape for backward_input, `weight` is weight_shape for
 * backward_weight. Batched where `input` has the rank of `weight`, unbatched where one less. */
struct convolve_layer_spec {
    enum convolve_layer_operation operation;
    enum convolve_dtype dtype; /* of every tensor */
    struct convolve_shape input, weight, bias, grad_output;
    bool bias_given;
    struct convolve_per_axis stride, dilation;
    enum convolve_layer_padding padding;
    struct convolve_padding cells;
    enum convolve_boundary padding_mode; /* CONSTANT (zeros), REFLECT, EDGE (replicate) or WRAP (circular) */
    size_t groups; /* at least 1 */
    bool channels_last;
    struct convolve_per_axis output_padding, output_shape; /* conv_transpose only */
    enum convolve_method method; /* AUTO, DIRECT, WINOGRAD or FFT */
    bool max_error_given;
    double max_error;
};

/* As convolve_check_members: the values of the members that the weight's rank, where it is known (not 0), gives a meaning. */
bool convolve_layer_check_members(const struct convolve_layer_spec *spec, struct convolve_error *error);

/* As convolve_cost and convolve_predict. A run's tensors are `input`, `kernel` (the weight), `bias` and `grad_output`, as far
 * as the operation has them. */
bool convolve_layer_cost(struct convolve_cost *cost, const struct convolve_layer_spec *spec, unsigned threads,
                         struct convolve_error *error);
bool convolve_layer_predict(const struct convolve_layer_spec *spec, const struct convolve_run *tensors,
                            double *error_bound, struct convolve_error *error);

/* The plan is run, finished and destroyed like any other. `weight` may be NULL. A draft becomes a plan by
 * convolve_draft_plan, with the weight as its kernel. */
bool convolve_layer_plan_create(struct convolve_plan **plan, const struct convolve_layer_spec *spec, const void *weight,
                                struct convolve_error *error);
bool convolve_layer_draft_derive(struct convolve_draft *draft, struct convolve_cost *cost,
                                 const struct convolve_layer_spec *spec, unsigned threads,
                                 struct convolve_error *error);

/* ---- How an output comes about -------------------------------------------------------------------------------- */

/* One product of the sum that makes an output. Of a layer `kernel` is the weight; where an operation reads grad_output, that
 * stands in place of the tensor that it has not: of the input in backward_input, of the weight in backward_weight. */
struct convolve_term {
    bool inside; /* false: the boundary or the padding supplied the input value */
    bool missing; /* a hole that `ignore_missing` leaves out of the sum */
    size_t input_index[CONVOLVE_RANK_MAX]; /* in the tensor as given; set where inside */
    size_t kernel_index[CONVOLVE_RANK_MAX]; /* likewise, always */
    struct convolve_scalar input, kernel, product; /* kernel conjugated where the operation conjugates */
    int64_t product_high; /* int64: a product is product_high * 2^64 + (uint64_t)product.integer, as it may not fit */
};

/* What an output is explained to be. Without holes the products sum to value - bias, but for roundings; `scale` is then 1. */
struct convolve_explained {
    struct convolve_scalar value, bias;
    struct convolve_scalar scale; /* what `ignore_missing` has multiplied the weights beside the holes with */
    bool scaled; /* there were holes */
    bool undefined; /* nothing was left, or weights that sum to 0: value and scale are NaN */
};

/* At most. `input` and `kernel` are the shapes that the terms' indices count in. */
struct convolve_explain_cost {
    uint64_t steps, terms;
    struct convolve_shape input, kernel;
};

/* A walk over the terms of one output, in the order they are added, that may pause after any step. It lies in
 * convolve_explanation_bytes() of the caller's, aligned for any type, and holds nothing beside them. */
struct convolve_explanation;
size_t convolve_explanation_bytes(void);

/* Of the output at row-major `index`. Reads no tensor yet; spec and tensors must stay until the last step. False with
 * "invalid-value" at "/index" beyond the output, or with the faults of convolve_cost, but for those of methods. */
bool convolve_explain_begin(struct convolve_explanation *explanation, struct convolve_explain_cost *cost,
                            const struct convolve_spec *spec, const struct convolve_run *tensors, size_t index,
                            struct convolve_error *error);
bool convolve_explain_layer_begin(struct convolve_explanation *explanation, struct convolve_explain_cost *cost,
                                  const struct convolve_layer_spec *spec, const struct convolve_run *tensors,
                                  size_t index, struct convolve_error *error);

/* A step, in constant time; whether it met a term, which is then filled. Not to be called once it has ended. */
bool convolve_explain_step(struct convolve_explanation *explanation, struct convolve_term *term);
bool convolve_explain_ended(const struct convolve_explanation *explanation);

/* Once it has ended: the output as `direct` computes it, bit for bit. False with "integer-overflow", or "invalid-value" at
 * "/missing" where the kernel sums to 0. Then it begins anew, and where there were holes, products are 0 for them and scaled
 * for the others, so that they sum to the value. */
bool convolve_explain_conclude(struct convolve_explanation *explanation, struct convolve_explained *found,
                               struct convolve_error *error);

/* ---- Named kernels -------------------------------------------------------------------------------------------- */

/* The row of one named kernel: sobel_x, gaussian, ... Written for correlation, as image libraries write them. */
struct convolve_named_kernel {
    const char *name, *description;
    unsigned axes_min, axes_max; /* for how many convolved axes it exists */
    unsigned parameter_count;
    struct convolve_named_parameter {
        const char *name; /* "sigma", "size", ... */
        double standard; /* its default; NaN where it follows from the others */
    } parameters[4];
};

size_t convolve_named_kernel_count(void);
const struct convolve_named_kernel *convolve_named_kernel_at(size_t index);
const struct convolve_named_kernel *convolve_named_kernel_find(const char *name); /* NULL where there is none */

/* The shape, then the values (float64, row-major) of a named kernel for `axes` axes. `parameters` has one value per row
 * parameter, NaN for the default. Faults are "invalid-value" at "/NAME" below `pointer` for a parameter, at `pointer` for
 * the number of axes. */
bool convolve_named_kernel_shape(const struct convolve_named_kernel *kernel, const double *parameters, unsigned axes,
                                 const char *pointer, struct convolve_shape *shape, struct convolve_error *error);
void convolve_named_kernel_values(const struct convolve_named_kernel *kernel, const double *parameters, unsigned axes,
                                  double *values);

/* ---- SIMD ----------------------------------------------------------------------------------------------------- */

/* Restricts the routines to one instruction set ("scalar", "avx2", "avx512", "neon") or to the best ("auto"). To be
 * called before any plan is created; false where the CPU does not have it. Without a call it is "auto". */
bool convolve_simd_select(const char *name);
const char *convolve_simd_name(void); /* the set in use */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
