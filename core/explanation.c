/* SPDX-License-Identifier: MIT */
/* The two definitions, of convolutions and of layers, behind one face that the daemon can pause. */
#include "core/explain.h"
#include "core/layer_explain.h"

struct convolve_explanation {
    bool of_layer;
    struct explain_walk walk;
    struct layer_geometry geometry;
    struct layer_walk layer;
    size_t index; /* of a layer's output */
};

size_t convolve_explanation_bytes(void)
{
    return sizeof(struct convolve_explanation);
}

bool convolve_explain_begin(struct convolve_explanation *explanation, struct convolve_explain_cost *cost,
                            const struct convolve_spec *spec, const struct convolve_run *tensors, size_t index,
                            struct convolve_error *error)
{
    const struct geometry *geometry = &explanation->walk.geometry;
    explanation->of_layer = false;
    *cost = (struct convolve_explain_cost){.steps = 1, .input = spec->input, .kernel = spec->kernel};
    if (!explain_begin(&explanation->walk, spec, tensors, index, error))
        return false;
    for (unsigned i = 0; i < geometry->rank; i++)
        if (geometry->axis[i].convolved)
            cost->steps *= geometry->axis[i].kernel;
    cost->terms = geometry->tap_count;
    return true;
}

bool convolve_explain_layer_begin(struct convolve_explanation *explanation, struct convolve_explain_cost *cost,
                                  const struct convolve_layer_spec *spec, const struct convolve_run *tensors,
                                  size_t index, struct convolve_error *error)
{
    explanation->of_layer = true;
    explanation->index = index;
    *cost = (struct convolve_explain_cost){.input = spec->input, .kernel = spec->weight};
    if (spec->operation == CONVOLVE_LAYER_BACKWARD_INPUT)
        cost->input = spec->grad_output;
    if (spec->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT)
        cost->kernel = spec->grad_output;
    if (!layer_geometry_derive(&explanation->geometry, spec, error))
        return false;
    if (index >= explanation->geometry.output_count)
        return convolve_fail(error, "invalid-value", "/index", "the output has %zu values: there is none at %zu",
                             explanation->geometry.output_count, index);
    layer_walk_begin(&explanation->layer, &explanation->geometry, tensors, index);
    layer_walk_counts(&explanation->layer, &cost->steps, &cost->terms);
    return true;
}

bool convolve_explain_step(struct convolve_explanation *explanation, struct convolve_term *term)
{
    return explanation->of_layer ? layer_walk_step(&explanation->layer, term) : explain_step(&explanation->walk, term);
}

bool convolve_explain_ended(const struct convolve_explanation *explanation)
{
    return explanation->of_layer ? explanation->layer.ended : explanation->walk.ended;
}

bool convolve_explain_conclude(struct convolve_explanation *explanation, struct convolve_explained *found,
                               struct convolve_error *error)
{
    if (!explanation->of_layer)
        return explain_conclude(&explanation->walk, found, error);
    const struct layer_value made = layer_walk_value(&explanation->layer);
    *found = (struct convolve_explained){.value = made.value, .bias = made.bias, .scale = {.real = 1}};
    layer_walk_begin(&explanation->layer, &explanation->geometry, explanation->layer.tensors, explanation->index);
    return !made.overflow || convolve_fail(error, "integer-overflow", "",
                                           "the exact output does not fit int64: dtype float64 holds it approximately");
}
