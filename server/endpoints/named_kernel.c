/* SPDX-License-Identifier: MIT */
/* Named kernels in requests: the name and its parameters, then, once the cost is admitted, the values. */
#include "server/endpoints/named_kernel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/admission.h"
#include "server/formats/json_read.h"
#include "server/nearest.h"
#include "server/request.h"

static bool fail_unknown_kernel(const char *name, const char *pointer, const char *const *others,
                                struct convolve_error *error)
{
    struct nearest nearest = {.wanted = name};

    for (; others && *others; others++)
        nearest_offer(&nearest, *others);
    for (size_t i = 0; i < convolve_named_kernel_count(); i++)
        nearest_offer(&nearest, convolve_named_kernel_at(i)->name);
    return convolve_fail(error, "unknown-kernel", pointer,
                         "there is no kernel of that name%s%s%s. /v1/kernels lists them; a kernel may also be "
                         "given by its values",
                         nearest.name ? " (did you mean \"" : "", nearest.name ? nearest.name : "",
                         nearest.name ? "\"?)" : "");
}

bool named_kernel_name(const struct json_value *value, const char **name, const char **pointer,
                       struct convolve_error *error)
{
    const bool is_object = json_type_of(value) == JSON_OBJECT;

    *pointer = is_object ? "/kernel/name" : "/kernel";
    return json_read_text(is_object ? json_object_member(value, "name") : value, *pointer, name, error);
}

bool named_kernel_read(struct named_kernel *named, const struct json_value *value, const char *const *others,
                       struct convolve_error *error)
{
    const char *pointer, *name;

    if (!named_kernel_name(value, &name, &pointer, error))
        return false;
    named->kernel = convolve_named_kernel_find(name);
    if (!named->kernel)
        return fail_unknown_kernel(name, pointer, others, error);
    for (size_t p = 0; p < 4; p++)
        named->parameters[p] = NAN;
    if (json_type_of(value) != JSON_OBJECT)
        return true;
    for (size_t i = 0; i < json_object_count(value); i++) {
        const char *member;
        const struct json_value *item = json_object_at(value, i, &member);
        char at[160];
        struct nearest nearest = {.wanted = member};
        unsigned p = 0;

        if (!strcmp(member, "name"))
            continue;
        snprintf(at, sizeof at, "/kernel/%.140s", member);
        for (; p < named->kernel->parameter_count && strcmp(member, named->kernel->parameters[p].name) != 0; p++)
            nearest_offer(&nearest, named->kernel->parameters[p].name);
        if (p == named->kernel->parameter_count)
            return convolve_fail(error, "unknown-member", at, "the kernel %s has no such parameter%s%s%s",
                                 named->kernel->name, nearest.name ? "; did you mean " : "",
                                 nearest.name ? nearest.name : "", nearest.name ? "?" : "");
        if (!json_read_number(item, at, &named->parameters[p], error))
            return false;
    }
    return true;
}

bool named_kernel_values(const struct named_kernel *named, const struct convolve_shape *shape,
                         enum convolve_dtype dtype, struct request *request, void **values,
                         struct convolve_error *error)
{
    const size_t element = convolve_dtype_bytes(dtype);
    size_t count, bytes;

    if (!convolve_shape_count(shape, &count) || __builtin_mul_overflow(count, element, &bytes) ||
        __builtin_mul_overflow(count, sizeof(double), &(size_t){0}))
        return convolve_fail(error, "too-large", "/kernel", "the kernel's size cannot be counted");
    double *exact = arena_block(&request->arena, count * sizeof *exact);
    void *typed = arena_block(&request->arena, bytes);
    if (!exact || !typed)
        return admission_fail_memory(request, error);
    convolve_named_kernel_values(named->kernel, named->parameters, named->axes, exact);
    for (size_t i = 0; i < count; i++)
        switch (dtype) {
        case CONVOLVE_FLOAT64:
            ((double *)typed)[i] = exact[i];
            break;
        case CONVOLVE_FLOAT32:
            ((float *)typed)[i] = (float)exact[i];
            break;
        case CONVOLVE_INT64:
            if (exact[i] != rint(exact[i]) || fabs(exact[i]) >= 0x1p63)
                return convolve_fail(error, "invalid-value", "/kernel",
                                     "the kernel %s has fractions, which int64 cannot hold; ask for dtype float64",
                                     named->kernel->name);
            ((int64_t *)typed)[i] = (int64_t)exact[i];
            break;
        case CONVOLVE_COMPLEX128:
            ((double *)typed)[2 * i] = exact[i];
            ((double *)typed)[2 * i + 1] = 0;
            break;
        case CONVOLVE_COMPLEX64:
            ((float *)typed)[2 * i] = (float)exact[i];
            ((float *)typed)[2 * i + 1] = 0;
            break;
        }
    arena_block_free(&request->arena, exact);
    *values = typed;
    return true;
}
