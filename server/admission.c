/* SPDX-License-Identifier: MIT */
/* Admission: a request's cost is known from its shapes; each part of it is held against its member of the configuration. */
#include "server/admission.h"

#include <inttypes.h>
#include <string.h>

#include "server/daemon.h"
#include "server/request.h"
#include "server/saturating.h"

/* Multiply-adds and bytes below which a job runs where it was decoded: some tens of microseconds on one core. */
enum { TINY_WORK = 65536 };

static bool fail_too_large(struct convolve_error *error, const char *limit, uint64_t allowed, uint64_t requested,
                           const char *what)
{
    convolve_fail(error, "too-large", "",
                  "the request needs %" PRIu64 " %s, %s allows %" PRIu64 "; cut it into smaller pieces", requested,
                  what, limit, allowed);
    error->limit = limit;
    error->allowed = allowed;
    error->requested = requested;
    return false;
}

uint64_t admission_bytes(const struct request *request, const struct convolve_cost *cost)
{
    (void)request;
    return saturating_add(cost->tensor_bytes, cost->scratch_bytes);
}

bool admission_check(const struct request *request, const struct convolve_cost *cost, struct convolve_error *error)
{
    uint64_t output_bytes;

    if (__builtin_mul_overflow(cost->output_count, convolve_dtype_bytes(cost->dtype), &output_bytes))
        output_bytes = UINT64_MAX;
    return admission_check_output(request, cost, output_bytes, error);
}

bool admission_check_output(const struct request *request, const struct convolve_cost *cost, uint64_t output_bytes,
                            struct convolve_error *error)
{
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);
    const uint64_t bytes = admission_bytes(request, cost);

    if (output_bytes > config->max_output_bytes)
        return fail_too_large(error, "max_output_bytes", config->max_output_bytes, output_bytes, "bytes of output");
    if (bytes > config->max_memory_bytes)
        return fail_too_large(error, "max_memory_bytes", config->max_memory_bytes, bytes, "bytes of memory");
    if (cost->multiply_adds > config->max_work)
        return fail_too_large(error, "max_work", config->max_work, cost->multiply_adds, "multiply-adds");
    return true;
}

uint64_t admission_limit(const struct request *request, const char *name)
{
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);

    if (name && !strcmp(name, "max_output_bytes"))
        return config->max_output_bytes;
    if (name && !strcmp(name, "max_memory_bytes"))
        return config->max_memory_bytes;
    return name && !strcmp(name, "max_work") ? config->max_work : 0;
}

bool admission_fail_cost(const struct request *request, bool plan, struct convolve_error *error)
{
    if (error->slug && !strcmp(error->slug, "too-large")) {
        if (plan)
            error->slug = "invalid-value", error->limit = NULL;
        else
            error->allowed = admission_limit(request, error->limit);
    }
    return false;
}

bool admission_is_tiny(const struct convolve_cost *cost)
{
    return saturating_add(cost->multiply_adds, cost->tensor_bytes) <= TINY_WORK;
}

bool admission_fail_memory(const struct request *request, struct convolve_error *error)
{
    const struct arena *arena = &request->arena;
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);

    if (arena->failure == ARENA_TOO_LARGE)
        return fail_too_large(error, "max_memory_bytes", config->max_memory_bytes, arena->failure_bytes,
                              "bytes of memory");
    return convolve_fail(error, "overloaded", "",
                         "other requests hold the memory that this one needs (%zu bytes); try again in a moment",
                         arena->failure_bytes);
}
