/* SPDX-License-Identifier: MIT */
/* GET /v1/kernels and /v1/kernels/{name}: the named kernels, and one kernel's values. A kernel of many values (a wide gaussian of
 * three axes) is computed by the pool and encoded piece by piece, as any result is. */
#include "server/endpoints/about.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/convolve.h"
#include "server/admission.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/endpoint.h"
#include "server/endpoints/text.h"
#include "server/formats/number_read.h"
#include "server/formats/number_write.h"
#include "server/nearest.h"
#include "server/request.h"
#include "server/response.h"

enum { PARAMETERS_MAX = 4, VALUES_AT_ONCE = 4096, PIECE_VALUES = 4096 };

/* ---- All of them ---------------------------------------------------------------------------------------------- */

static void write_parameters(struct text *text, const struct convolve_named_kernel *kernel, const double *values)
{
    text_add(text, "{");
    for (unsigned i = 0; i < kernel->parameter_count; i++) {
        text_add(text, "%s\"%s\": ", i == 0 ? "" : ", ", kernel->parameters[i].name);
        text_add_json_number(text, values == NULL ? kernel->parameters[i].standard : values[i]);
    }
    text_add(text, "}");
}

static enum endpoint_answer answer_kernels(struct request *request, struct response *response,
                                           struct convolve_error *error)
{
    struct text text = {.arena = &request->arena};
    text_add(&text, "{\"kernels\": [");
    for (size_t i = 0; i < convolve_named_kernel_count(); i++) {
        const struct convolve_named_kernel *kernel = convolve_named_kernel_at(i);
        text_add(&text, "%s{\"name\": \"%s\", \"parameters\": ", i == 0 ? "" : ", ", kernel->name);
        write_parameters(&text, kernel, NULL);
        text_add(&text, ", \"axes\": [");
        for (unsigned axes = kernel->axes_min; axes <= kernel->axes_max; axes++)
            text_add(&text, "%s%u", axes == kernel->axes_min ? "" : ", ", axes);
        text_add(&text, "], \"description\": ");
        text_add_json_string(&text, kernel->description);
        text_add(&text, "}");
    }
    text_add(&text, "]}\n");
    return text_answer(&text, request, response, "application/json", error) ? ENDPOINT_ANSWERED : ENDPOINT_FAILED;
}

/* ---- One: the query ------------------------------------------------------------------------------------------- */

struct kernel_state {
    const struct convolve_named_kernel *kernel;
    double parameters[PARAMETERS_MAX]; /* NaN: the default */
    unsigned axes;
    struct convolve_shape shape;
    size_t count;
    double *values;
};

static bool fail_unknown_kernel(const char *name, struct convolve_error *error)
{
    struct nearest nearest = {.wanted = name};
    for (size_t i = 0; i < convolve_named_kernel_count(); i++)
        nearest_offer(&nearest, convolve_named_kernel_at(i)->name);
    if (nearest.name == NULL)
        return convolve_fail(error, "not-found", "", "there is no kernel \"%.60s\"; GET /v1/kernels lists all", name);
    return convolve_fail(error, "not-found", "", "there is no kernel \"%.60s\"; did you mean \"%s\"?", name,
                         nearest.name);
}

/* The place of a query parameter in the kernel's row; parameter_count for "axes"; -1 where there is none. */
static int parameter_index(const struct convolve_named_kernel *kernel, const char *name)
{
    for (unsigned i = 0; i < kernel->parameter_count; i++)
        if (strcmp(kernel->parameters[i].name, name) == 0)
            return (int)i;
    return strcmp(name, "axes") == 0 ? (int)kernel->parameter_count : -1;
}

static bool fail_unknown_parameter(const struct convolve_named_kernel *kernel, const char *name, const char *pointer,
                                   struct convolve_error *error)
{
    struct nearest nearest = {.wanted = name};
    for (unsigned i = 0; i < kernel->parameter_count; i++)
        nearest_offer(&nearest, kernel->parameters[i].name);
    nearest_offer(&nearest, "axes");
    return convolve_fail(error, "unknown-member", pointer, "%s has no parameter \"%.60s\"%s%s%s", kernel->name, name,
                         nearest.name == NULL ? "" : "; did you mean \"", nearest.name == NULL ? "" : nearest.name,
                         nearest.name == NULL ? "" : "\"?");
}

/* -?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)? and nothing after it. */
static bool is_json_number(const char *text)
{
    static const char digits[] = "0123456789";
    text += *text == '-';
    const size_t whole = strspn(text, digits);
    if (whole == 0 || (whole > 1 && *text == '0'))
        return false;
    text += whole;
    if (*text == '.') {
        const size_t fraction = strspn(++text, digits);
        if (fraction == 0)
            return false;
        text += fraction;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        const size_t exponent = strspn(text, digits);
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return *text == '\0';
}

/* A JSON Pointer to a name: "/a~1b". */
static void write_pointer(char out[128], const char *name)
{
    size_t length = 0;
    out[length++] = '/';
    for (; *name != '\0' && length + 3 < 128; name++) {
        if (*name == '~' || *name == '/') {
            out[length++] = '~';
            out[length++] = *name == '~' ? '0' : '1';
        } else {
            out[length++] = *name;
        }
    }
    out[length] = '\0';
}

static bool read_value(struct kernel_state *state, int index, const char *text, const char *pointer,
                       struct convolve_error *error)
{
    const double value = is_json_number(text) ? number_read_text(text, strlen(text)) : NAN;
    const bool is_axes = index == (int)state->kernel->parameter_count;
    if (!isfinite(value))
        return convolve_fail(error, "invalid-value", pointer, "found \"%.60s\", must be a number", text);
    if (is_axes && (value < 1 || value > INT32_MAX || value != floor(value)))
        return convolve_fail(error, "invalid-value", pointer, "found %.60s, must be a count of axes, 1 or more", text);
    if (is_axes)
        state->axes = (unsigned)value;
    else
        state->parameters[index] = value;
    return true;
}

/* Duplicates come before unknown names, both before values, as in bodies. */
static bool read_query(struct kernel_state *state, const struct request *request, struct convolve_error *error)
{
    const char *name, *value, *other, *ignored;
    char pointer[128];
    for (size_t i = 0; request_query_at(request, i, &name, &value); i++) {
        for (size_t j = 0; j < i && request_query_at(request, j, &other, &ignored); j++) {
            if (strcmp(name, other) != 0)
                continue;
            write_pointer(pointer, name);
            return convolve_fail(error, "duplicate-member", pointer, "\"%.60s\" is there twice", name);
        }
    }
    for (size_t i = 0; request_query_at(request, i, &name, &value); i++) {
        write_pointer(pointer, name);
        if (parameter_index(state->kernel, name) < 0)
            return fail_unknown_parameter(state->kernel, name, pointer, error);
    }
    for (size_t i = 0; request_query_at(request, i, &name, &value); i++) {
        write_pointer(pointer, name);
        if (!read_value(state, parameter_index(state->kernel, name), value, pointer, error))
            return false;
    }
    return true;
}

/* ---- One: the answer ------------------------------------------------------------------------------------------ */

/* The values in effect: given, or the row's default, or (a size that follows from sigma) what came of it. */
static void resolve_parameters(const struct kernel_state *state, double *resolved)
{
    for (unsigned i = 0; i < state->kernel->parameter_count; i++) {
        resolved[i] = state->parameters[i];
        if (isnan(resolved[i]))
            resolved[i] = state->kernel->parameters[i].standard;
        if (isnan(resolved[i]) && state->shape.rank > 0)
            resolved[i] = (double)state->shape.size[0];
    }
}

static size_t write_piece(const struct response_stream *stream, size_t piece, char *out)
{
    const struct kernel_state *state = stream->context;
    const size_t begin = piece * PIECE_VALUES;
    const size_t end = state->count - begin < PIECE_VALUES ? state->count : begin + PIECE_VALUES;
    return (size_t)(number_write_nested(out, CONVOLVE_FLOAT64, state->values, &state->shape, begin, end) - out);
}

static bool complete_kernel(struct request *request, struct response *response, struct convolve_error *error)
{
    struct kernel_state *state = request->state;
    struct text text = {.arena = &request->arena};
    double resolved[PARAMETERS_MAX];
    resolve_parameters(state, resolved);
    text_add(&text, "{\"name\": \"%s\", \"parameters\": ", state->kernel->name);
    write_parameters(&text, state->kernel, resolved);
    text_add(&text, ", \"shape\": [");
    for (unsigned axis = 0; axis < state->shape.rank; axis++)
        text_add(&text, "%s%zu", axis == 0 ? "" : ", ", state->shape.size[axis]);
    text_add(&text, "], \"values\": ");
    if (!text_answer(&text, request, response, "application/json", error))
        return false;
    response->has_stream = true;
    response->stream = (struct response_stream){
        .piece_count = (state->count + PIECE_VALUES - 1) / PIECE_VALUES,
        .piece_bytes_max = PIECE_VALUES * (NUMBER_BYTES_MAX + 2 * (size_t)state->shape.rank),
        .write = write_piece,
        .context = state,
    };
    response->tail = "}\n";
    response->tail_bytes = 2;
    return true;
}

static size_t one_tile(struct job *job, unsigned stage)
{
    (void)job, (void)stage;
    return 1;
}

static void compute_values(struct job *job, unsigned stage, size_t tile, void *scratch)
{
    const struct request *request = (const struct request *)((const char *)job - offsetof(struct request, job));
    const struct kernel_state *state = request->state;
    (void)stage, (void)tile, (void)scratch;
    convolve_named_kernel_values(state->kernel, state->parameters, state->axes, state->values);
}

static bool prepare(struct kernel_state *state, struct request *request, struct convolve_error *error)
{
    const struct config *config = atomic_load(&request->daemon->config);
    size_t bytes;
    if (!convolve_named_kernel_shape(state->kernel, state->parameters, state->axes, "", &state->shape, error)) {
        if (error->pointer[0] == '\0')
            strcpy(error->pointer, "/axes");
        return false;
    }
    if (!convolve_shape_count(&state->shape, &state->count) ||
        __builtin_mul_overflow(state->count, sizeof(double), &bytes) || bytes > config->max_output_bytes) {
        convolve_fail(error, "too-large", "", "the kernel has more values than one answer may hold");
        error->limit = "max_output_bytes";
        error->allowed = config->max_output_bytes;
        error->requested = __builtin_mul_overflow(state->count, sizeof(double), &bytes) ? UINT64_MAX : bytes;
        return false;
    }
    state->values = arena_block(&request->arena, bytes);
    return state->values != NULL || admission_fail_memory(request, error);
}

static enum endpoint_answer answer_kernel(struct request *request, struct response *response,
                                          struct convolve_error *error)
{
    const struct convolve_named_kernel *kernel = convolve_named_kernel_find(request->path_rest);
    if (kernel == NULL) {
        fail_unknown_kernel(request->path_rest, error);
        return ENDPOINT_FAILED;
    }
    struct kernel_state *state = arena_alloc(&request->arena, sizeof *state);
    if (state == NULL) {
        admission_fail_memory(request, error);
        return ENDPOINT_FAILED;
    }
    *state = (struct kernel_state){.kernel = kernel, .parameters = {NAN, NAN, NAN, NAN}};
    state->axes = kernel->axes_max < 2 ? kernel->axes_max : 2;
    request->state = state;
    if (!read_query(state, request, error) || !prepare(state, request, error))
        return ENDPOINT_FAILED;
    request->job = (struct job){
        .stage_count = 1,
        .tile_count = one_tile,
        .run_tile = compute_values,
        .work = state->count,
        .deadline_ns = request->deadline_ns,
    };
    if (state->count > VALUES_AT_ONCE)
        return ENDPOINT_PENDING;
    compute_values(&request->job, 0, 0, NULL);
    return complete_kernel(request, response, error) ? ENDPOINT_ANSWERED : ENDPOINT_FAILED;
}

const struct endpoint endpoint_kernels = {.answer = answer_kernels};
const struct endpoint endpoint_kernel = {.answer = answer_kernel, .complete = complete_kernel};
