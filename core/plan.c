/* SPDX-License-Identifier: MIT */
/* Plans: from a spec to the method that answers it, and the public functions that hand on to that method. The table below
 * is the one place that knows which methods this build has. */
#include "core/plan.h"

#include "core/choose.h"
#include "core/direct.h"
#include "core/error.h"
#include "core/fft_convolve.h"
#include "core/separable.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const struct plan_method *const methods[] = {
    &direct_method,
    &separable_method,
    &fft_method,
    &overlap_add_method,
};
enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

const struct plan_method *plan_method_find(enum convolve_method id)
{
    for (unsigned i = 0; i < METHOD_COUNT; i++)
        if (methods[i]->id == id)
            return methods[i];
    return NULL;
}

bool plan_size_add(size_t *total, size_t count, size_t element_bytes)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, element_bytes, &bytes) ||
        __builtin_add_overflow(bytes, CONVOLVE_ALIGNMENT - 1, &bytes))
        return false;
    bytes -= bytes % CONVOLVE_ALIGNMENT;
    return !__builtin_add_overflow(*total, bytes, total);
}

/* ---- From a spec to a method ------------------------------------------------------------------------------------------ */

static bool fail_method(enum convolve_method id, struct convolve_error *error)
{
    char names[128] = "auto";
    size_t used = 4;
    for (unsigned i = 0; i < METHOD_COUNT && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, ", %s", convolve_method_name(methods[i]->id));
    return convolve_fail(error, "invalid-value", "/method", "method %s is not built in: there are %s",
                         convolve_method_name(id), names);
}

static bool fail_memory(struct convolve_error *error)
{
    return convolve_fail(error, "overloaded", "", "out of memory");
}

bool plan_fail_uncountable(struct convolve_error *error)
{
    return fail_uncountable(error, "", "max_memory_bytes", "the scratch memory");
}

/* The plan up to its sizes. A zero-length axis leaves them 0. */
static bool prepare(struct convolve_draft *draft, const struct convolve_spec *spec, struct convolve_error *error)
{
    struct convolve_plan *const plan = &draft->plan;
    *plan = (struct convolve_plan){
        .spec = *spec,
        .keeps_max_error = spec->method == CONVOLVE_AUTO && spec->max_error_given,
    };
    draft->may_separate = false;
    if (!geometry_derive(&plan->geometry, spec, error))
        return false;
    const struct choice choice = choose(spec, &plan->geometry);
    plan->method = plan_method_find(choice.method);
    if (!plan->method)
        return fail_method(choice.method, error);
    if (plan->geometry.empty) {
        assert(plan->method->answers_empty); /* geometry_derive refuses the others */
        return true;
    }
    if (!plan->method->accepts(spec, &plan->geometry, error))
        return false;
    plan->routines = simd_routines();
    draft->may_separate = choice.separable && separable_method.accepts(spec, &plan->geometry, NULL) &&
                          separable_method.measure(spec, &plan->geometry, &draft->separable);
    const bool counted = plan->method->draft ? plan->method->draft(plan, draft->room)
                                             : plan->method->measure(spec, &plan->geometry, &plan->sizes);
    return counted || plan_fail_uncountable(error);
}

uint64_t plan_count_add(uint64_t a, uint64_t b)
{
    return __builtin_add_overflow(a, b, &a) ? UINT64_MAX : a;
}

uint64_t plan_count_multiply(uint64_t a, uint64_t b)
{
    return __builtin_mul_overflow(a, b, &a) ? UINT64_MAX : a;
}

uint64_t plan_bytes(const struct plan_sizes *sizes, unsigned threads)
{
    return plan_count_add(plan_count_add(sizes->plan_bytes, sizes->scratch_bytes),
                          plan_count_multiply(sizes->tile_scratch_bytes, threads));
}

size_t convolve_draft_bytes(void)
{
    return sizeof(struct convolve_draft);
}

bool convolve_draft_derive(struct convolve_draft *draft, struct convolve_cost *cost, const struct convolve_spec *spec,
                           unsigned threads, struct convolve_error *error)
{
    const struct geometry *const geometry = &draft->plan.geometry;
    *cost = (struct convolve_cost){0};
    if (!prepare(draft, spec, error))
        return false;
    size_t input = 0, kernel = 0;
    convolve_shape_count(&spec->input, &input); /* geometry_derive has found that they fit */
    convolve_shape_count(&spec->kernel, &kernel);
    cost->dtype = spec->dtype;
    cost->exchanged = geometry->exchanged;
    cost->output = geometry->output;
    cost->output_count = geometry->output_count;
    cost->method = draft->plan.method->id;
    cost->multiply_adds = geometry->multiply_adds;
    cost->tensor_bytes = plan_count_multiply(plan_count_add(plan_count_add(input, kernel), cost->output_count),
                                             convolve_dtype_bytes(spec->dtype));
    cost->scratch_bytes = plan_bytes(&draft->plan.sizes, threads);
    if (draft->may_separate && cost->scratch_bytes < plan_bytes(&draft->separable, threads))
        cost->scratch_bytes = plan_bytes(&draft->separable, threads);
    return true;
}

bool convolve_cost(struct convolve_cost *cost, const struct convolve_spec *spec, unsigned threads,
                   struct convolve_error *error)
{
    struct convolve_draft draft;
    return convolve_draft_derive(&draft, cost, spec, threads, error);
}

/* ---- Plans ------------------------------------------------------------------------------------------------------------ */

/* A tile of direct takes a fraction of a millisecond, its other stages less. */
static bool is_as_one(const struct convolve_plan *plan)
{
    if (plan->geometry.empty || plan->method != &direct_method)
        return false;
    for (unsigned stage = plan->method->stage_count(plan); stage-- > 0;)
        if (plan->method->tile_count(plan, stage) > 1)
            return false;
    return true;
}

bool convolve_draft_plan(struct convolve_plan **plan, struct convolve_draft *draft, const void *kernel,
                         struct convolve_error *error)
{
    struct convolve_plan *const made = &draft->plan;
    *plan = NULL;
    if (kernel && draft->may_separate) {
        made->method = &separable_method; /* which hands on to another where it finds that it cannot */
        made->sizes = draft->separable;
        made->drafted = NULL;
    }
    if (!made->geometry.empty && !made->method->create(made, kernel, error))
        return false;
    made->as_one = is_as_one(made);
    *plan = made;
    return true;
}

bool convolve_draft_suits_every_kernel(const struct convolve_draft *draft)
{
    return draft->plan.method == &direct_method && !draft->may_separate;
}

bool convolve_plan_create(struct convolve_plan **plan, const struct convolve_spec *spec, const void *kernel,
                          struct convolve_error *error)
{
    struct convolve_draft *const draft = malloc(sizeof *draft);
    *plan = NULL;
    if (!draft)
        return fail_memory(error);
    if (!prepare(draft, spec, error) || !convolve_draft_plan(plan, draft, kernel, error)) {
        free(draft);
        return false;
    }
    (*plan)->memory = draft;
    return true;
}

void convolve_plan_destroy(struct convolve_plan *plan)
{
    if (!plan)
        return;
    if (!plan->geometry.empty)
        plan->method->destroy(plan);
    free(plan->memory);
}

const struct convolve_shape *convolve_plan_output(const struct convolve_plan *plan)
{
    return &plan->geometry.output;
}

enum convolve_method convolve_plan_method(const struct convolve_plan *plan)
{
    return plan->method->id;
}

size_t convolve_plan_scratch_bytes(const struct convolve_plan *plan)
{
    return plan->sizes.scratch_bytes;
}

size_t convolve_plan_tile_scratch_bytes(const struct convolve_plan *plan)
{
    return plan->sizes.tile_scratch_bytes;
}

unsigned convolve_plan_stage_count(const struct convolve_plan *plan)
{
    return plan->as_one ? 1 : plan->geometry.empty ? 0 : plan->method->stage_count(plan);
}

size_t convolve_plan_tile_count(const struct convolve_plan *plan, unsigned stage)
{
    return plan->as_one ? 1 : plan->method->tile_count(plan, stage);
}

void convolve_plan_run_tile(const struct convolve_plan *plan, const struct convolve_run *run, unsigned stage,
                            size_t tile, void *tile_scratch)
{
    const unsigned end = plan->as_one ? plan->method->stage_count(plan) : stage + 1;
    for (; stage < end; stage++)
        plan->method->run_tile(plan, run, stage, tile, tile_scratch);
}

bool convolve_plan_finish(const struct convolve_plan *plan, const struct convolve_run *run,
                          struct convolve_outcome *outcome, struct convolve_error *error)
{
    struct convolve_outcome found = {0};
    if (!plan->geometry.empty && !plan->method->finish(plan, run, &found, error))
        return false;
    if (outcome)
        *outcome = found;
    if (plan->spec.max_error_given && found.error_bound > plan->spec.max_error)
        return convolve_fail(error, "invalid-value", "/max_error",
                             "method %s keeps within %.3g of the exact result here, not within max_error %.3g",
                             convolve_method_name(plan->method->id), found.error_bound, plan->spec.max_error);
    return true;
}

bool convolve_plan_execute(const struct convolve_plan *plan, const void *input, const void *kernel, void *output,
                           struct convolve_outcome *outcome, struct convolve_error *error)
{
    size_t bytes = 0;
    unsigned char *memory = NULL;
    if (!plan_size_add(&bytes, plan->sizes.scratch_bytes, 1) ||
        !plan_size_add(&bytes, plan->sizes.tile_scratch_bytes, 1) ||
        (bytes && !(memory = aligned_alloc(CONVOLVE_ALIGNMENT, bytes))))
        return fail_memory(error);
    unsigned char *cursor = memory;
    void *const scratch = plan_scratch_take(&cursor, plan->sizes.scratch_bytes, 1);
    const struct convolve_run run = {.input = input, .kernel = kernel, .output = output, .scratch = scratch};
    for (unsigned stage = 0; stage < convolve_plan_stage_count(plan); stage++)
        for (size_t tile = 0; tile < convolve_plan_tile_count(plan, stage); tile++)
            convolve_plan_run_tile(plan, &run, stage, tile, cursor);
    const bool finished = convolve_plan_finish(plan, &run, outcome, error);
    free(memory);
    return finished;
}
