/* SPDX-License-Identifier: MIT */
/* How a method plugs into plans. plan.c knows the methods by one table of `struct plan_method`; a method knows plans by
 * `struct convolve_plan`. Whatever a method keeps beside the shapes hangs on `state`, is made by `create` and read-only
 * afterwards; what changes while tiles run lies in the run's scratch, whose size follows from shapes alone. */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "core/convolve.h"
#include "core/geometry.h"
#include "core/simd/routines.h"

#include <stddef.h>

/* What a plan needs beside the tensors. */
struct plan_sizes {
    size_t plan_bytes; /* allocated by `create`, kept until `destroy` */
    size_t scratch_bytes; /* of one run, shared by its threads */
    size_t tile_scratch_bytes; /* of each thread of a run */
};

struct plan_method {
    enum convolve_method id;
    bool answers_empty; /* a zero-length axis gives shape [0] instead of an error; no other function then sees it */

    /* Whether the method can do the request. Where not: "invalid-value" at /method, and the reason. */
    bool (*accepts)(const struct convolve_spec *spec, const struct geometry *geometry, struct convolve_error *error);

    /* From shapes and dtype alone, allocating nothing; false where a size does not fit size_t. */
    bool (*measure)(const struct convolve_spec *spec, const struct geometry *geometry, struct plan_sizes *sizes);

    /* As measure, of plan->spec into plan->sizes, and leaves in `room` (PLAN_ROOM_BYTES), as plan->drafted, what it has derived, for
     * `create` to go on from. May be NULL. */
    bool (*draft)(struct convolve_plan *plan, void *room);

    /* Sets plan->state from the other members, which are filled. `kernel` may be NULL. On failure everything is freed again. */
    bool (*create)(struct convolve_plan *plan, const void *kernel, struct convolve_error *error);
    void (*destroy)(struct convolve_plan *plan);

    unsigned (*stage_count)(const struct convolve_plan *plan);
    size_t (*tile_count)(const struct convolve_plan *plan, unsigned stage);
    void (*run_tile)(const struct convolve_plan *plan, const struct convolve_run *run, unsigned stage, size_t tile,
                     void *tile_scratch);

    /* Fills the outcome; false with "integer-overflow". `max_error` is compared by plan.c, for every method alike. */
    bool (*finish)(const struct convolve_plan *plan, const struct convolve_run *run, struct convolve_outcome *outcome,
                   struct convolve_error *error);

    /* The error_bound that the values tell before anything is computed (see convolve_predict). `run` has no output. NULL: the
     * method cannot tell. */
    double (*predict)(const struct convolve_plan *plan, const struct convolve_run *run);
};

struct convolve_plan {
    const struct plan_method *method;
    const struct simd_routines *routines; /* those of the set in use when the plan was made */
    struct convolve_spec spec;
    struct geometry geometry;
    struct plan_sizes sizes;
    bool keeps_max_error; /* auto with max_error: whatever may keep it is to be tried */
    const bool
        *slices; /* of the kernel, row-major over its axes that are not convolved: those this plan makes; NULL: all */
    void
        *drafted; /* what the method's `draft` left; NULL where the plan is none of a draft's, or the method has none */
    void *state; /* the method's own */
    bool as_one; /* its stages, of one tile each, are one to others: handing them out would take longer than they do */
    void *memory; /* what plan.c frees with the plan; NULL where the caller has the draft */
};

/* The plan to be, and all that a method may keep for it without an allocation. */
enum { PLAN_ROOM_BYTES = 2304 };
struct convolve_draft {
    struct convolve_plan plan;
    bool may_separate; /* whether the kernel's values may yet make the plan one of separable; what that takes */
    struct plan_sizes separable;
    _Alignas(max_align_t) unsigned char room[PLAN_ROOM_BYTES];
};

/* The method of this name in this build, or NULL. */
const struct plan_method *plan_method_find(enum convolve_method id);

/* Rounds up to CONVOLVE_ALIGNMENT and adds: sizes of scratch are sums of such parts. False on overflow. */
bool plan_size_add(size_t *total, size_t count, size_t element_bytes);

/* Counts for a cost: what does not fit 64 bits is UINT64_MAX, beyond every limit. plan_bytes is all that the sizes come to. */
uint64_t plan_count_add(uint64_t a, uint64_t b);
uint64_t plan_count_multiply(uint64_t a, uint64_t b);
uint64_t plan_bytes(const struct plan_sizes *sizes, unsigned threads);
bool plan_fail_uncountable(struct convolve_error *error); /* sizes that do not fit size_t; returns false */

/* Takes the next part of a scratch area that plan_size_add measured: returns *cursor and moves it on. */
static inline void *plan_scratch_take(unsigned char **cursor, size_t count, size_t element_bytes)
{
    unsigned char *const part = *cursor;
    const size_t bytes = count * element_bytes; /* plan_size_add has found that it fits */
    *cursor += (bytes + CONVOLVE_ALIGNMENT - 1) / CONVOLVE_ALIGNMENT * CONVOLVE_ALIGNMENT;
    return part;
}

#endif
