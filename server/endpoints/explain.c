/* SPDX-License-Identifier: MIT */
/* POST /v1/explain: one output of an operation, term by term. Its members are those of the operation, read by the same code, with
 * `op` and `index` beside them. What is computed is the definition, in steps: once round for the value, which tells how holes scale
 * the others, and once more for the text. */
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/convolve.h"
#include "server/admission.h"
#include "server/daemon.h"
#include "server/endpoint.h"
#include "server/endpoints/computation.h"
#include "server/endpoints/convolve_members.h"
#include "server/endpoints/explain_text.h"
#include "server/endpoints/layers_members.h"
#include "server/formats/json_hints.h"
#include "server/request.h"
#include "server/response.h"
#include "server/saturating.h"

/* Of a piece of the job: walking takes some tens of nanoseconds, writing some hundred more. */
enum { STEPS_WALKED = 8192, STEPS_WRITTEN = 1024, STEP_WORK = 64 };

static const char *const op_names[] = {
    "convolve", "correlate", "conv", "conv_transpose", "conv_backward_input", "conv_backward_weight", NULL};
enum { FIRST_LAYER = 2 };

struct explain_state {
    struct computation computation;
    unsigned op;
    bool index_listed;
    unsigned index_count;
    int64_t index[CONVOLVE_RANK_MAX];
    union {
        struct convolve_members convolve;
        struct layers_members layers;
    } members;
    struct convolve_explanation *explanation;
    bool valued; /* the value is known, the terms are being written */
    struct explain_text text;
};

static bool is_layer(const struct explain_state *state)
{
    return state->op >= FIRST_LAYER;
}

/* ---- Members ---- */

static const struct json_schema *schema_of(unsigned op)
{
    return op < FIRST_LAYER ? &convolve_schema : &layers_schemas[op - FIRST_LAYER];
}

static bool knows(const struct json_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->count; i++)
        if (!strcmp(schema->members[i].name, name))
            return true;
    return false;
}

/* The members of all operations, since `op` may come last. */
enum { ROWS_MAX = 64 };
static struct json_schema_member rows[ROWS_MAX] = {{"op", false}, {"index", false}};
static struct json_schema schema = {
    rows, 2, "{\"op\": \"correlate\", \"index\": [0], \"input\": [1, 2, 3], \"kernel\": [1, 1]}"};
static pthread_once_t schema_once = PTHREAD_ONCE_INIT;

static void make_schema(void)
{
    for (unsigned op = 0; op_names[op]; op++) {
        const struct json_schema *known = schema_of(op);
        for (size_t i = 0; i < known->count; i++)
            if (schema.count < ROWS_MAX && !knows(&schema, known->members[i].name))
                rows[schema.count++] = known->members[i];
    }
}

/* A member that another operation has. */
static bool check_known(unsigned op, const struct json_body *body, struct convolve_error *error)
{
    const struct json_schema *known = schema_of(op);

    for (size_t i = 2; i < schema.count; i++) {
        const char *name = schema.members[i].name;
        char pointer[64], detail[sizeof error->detail];
        if (!json_member(body, name) || knows(known, name))
            continue;
        snprintf(pointer, sizeof pointer, "/%s", name);
        json_hint_member(detail, sizeof detail, known, name, name);
        return convolve_fail(error, "unknown-member", pointer, "with op %s: %s", op_names[op], detail);
    }
    return true;
}

static bool index_read(struct explain_state *state, const struct json_value *value, struct convolve_error *error)
{
    const int64_t most = INT64_C(1) << 53;

    state->index_listed = json_type_of(value) == JSON_LIST;
    if (!state->index_listed) {
        state->index_count = 1;
        return json_read_integer(value, "/index", -most, most, &state->index[0], error);
    }
    const size_t count = json_list_count(value);
    if (count > CONVOLVE_RANK_MAX)
        return convolve_fail(error, "invalid-value", "/index",
                             "a list of %zu; it has one integer for each axis of the output, at most %d", count,
                             CONVOLVE_RANK_MAX);
    state->index_count = (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        char pointer[64];
        snprintf(pointer, sizeof pointer, "/index/%zu", i);
        if (!json_read_integer(json_list_at(value, i), pointer, -most, most, &state->index[i], error))
            return false;
    }
    return true;
}

static bool read_members(struct request *request, const struct json_body *body, struct convolve_error *error)
{
    struct explain_state *state = request->state;
    struct computation *computation = &state->computation;

    if (!member_required(body, "op", "the path whose output is explained, such as \"correlate\"", error) ||
        !json_read_choice(json_member(body, "op"), "/op", op_names, &state->op, error) ||
        !check_known(state->op, body, error) ||
        !member_required(body, "index", "one integer for each axis of the output, such as [0, 0]", error))
        return false;
    if (is_layer(state)) {
        struct layers_members *layers = &state->members.layers;
        if (!layers_members_read(layers, (enum convolve_layer_operation)(state->op - FIRST_LAYER), body, request,
                                 error))
            return false;
        computation->options = layers->options;
        computation->run = layers->tensors;
    } else {
        struct convolve_members *convolve = &state->members.convolve;
        if (!convolve_members_read(convolve, (enum convolve_operation)state->op, body, request, error))
            return false;
        computation->options = convolve->options;
        computation->run.input = convolve->input;
        computation->run.kernel = convolve->kernel;
    }
    return index_read(state, json_member(body, "index"), error);
}

static bool make_inputs(struct request *request, struct convolve_error *error)
{
    struct explain_state *state = request->state;
    if (is_layer(state))
        return true;
    const bool made = convolve_members_make_kernel(&state->members.convolve, request, error);
    state->computation.run.kernel = state->members.convolve.kernel;
    return made;
}

/* ---- Cost ---- */

/* The place in the output that `index` names, row-major. */
static bool find_output(const struct explain_state *state, const struct convolve_shape *shape, size_t *place,
                        struct convolve_error *error)
{
    const struct convolve_shape_text shown = convolve_shape_text(shape);
    char pointer[64];

    *place = 0;
    if (state->index_count != shape->rank)
        return convolve_fail(error, "invalid-value", "/index",
                             "%s of %u; the output has the shape %s, so index is a list of %u integer%s",
                             state->index_listed ? "a list" : "an integer in place of a list", state->index_count,
                             shown.text, shape->rank, shape->rank == 1 ? "" : "s");
    for (unsigned i = 0; i < shape->rank; i++) {
        const int64_t index = state->index[i];
        if (index < 0 || (uint64_t)index >= shape->size[i]) {
            snprintf(pointer, sizeof pointer, state->index_listed ? "/index/%u" : "/index", i);
            if (shape->size[i] == 0)
                return convolve_fail(error, "invalid-value", pointer,
                                     "the output is empty: there is nothing to explain");
            return convolve_fail(error, "invalid-value", pointer,
                                 "%lld is not in the output, whose shape is %s: along axis %u it is 0 to %zu",
                                 (long long)index, shown.text, i, shape->size[i] - 1);
        }
        *place = *place * shape->size[i] + (size_t)index;
    }
    return true;
}

static bool derive_operation(struct request *request, struct convolve_error *error)
{
    struct explain_state *state = request->state;
    struct computation *computation = &state->computation;

    if (is_layer(state))
        return convolve_layer_draft_derive(computation->draft, &computation->cost, &state->members.layers.spec,
                                           request->daemon->threads, error);
    return convolve_draft_derive(computation->draft, &computation->cost, &state->members.convolve.spec,
                                 request->daemon->threads, error);
}

/* The operation's own cost tells the output's shape, and whether the method could do it. What is spent is one window, and a text
 * in place of the output. */
static bool derive(struct request *request, struct convolve_error *error)
{
    struct explain_state *state = request->state;
    struct convolve_cost *cost = &state->computation.cost;
    const struct convolve_run *tensors = &state->computation.run;
    struct convolve_explain_cost walk;
    size_t place;

    if (!derive_operation(request, error) || !find_output(state, &cost->output, &place, error))
        return false;
    state->explanation = arena_alloc(&request->arena, convolve_explanation_bytes());
    if (!state->explanation)
        return admission_fail_memory(request, error);
    if (!(is_layer(state) ? convolve_explain_layer_begin(state->explanation, &walk, &state->members.layers.spec,
                                                         tensors, place, error)
                          : convolve_explain_begin(state->explanation, &walk, &state->members.convolve.spec, tensors,
                                                   place, error)))
        return false;
    const size_t element = convolve_dtype_bytes(cost->dtype);
    const uint64_t text_bytes = explain_text_bytes(&walk, cost->dtype);
    cost->tensor_bytes = saturating_add(cost->tensor_bytes - cost->output_count * element, text_bytes);
    cost->scratch_bytes = 0;
    cost->output_count = (size_t)(text_bytes / element + 1);
    cost->multiply_adds = walk.steps;
    cost->method = CONVOLVE_DIRECT;
    state->text = (struct explain_text){.request = request,
                                        .dtype = cost->dtype,
                                        .input_rank = walk.input.rank,
                                        .kernel_rank = walk.kernel.rank,
                                        .bias = is_layer(state) && state->members.layers.spec.bias_given,
                                        .nonfinite_null = state->computation.options.nonfinite_null,
                                        .bytes_max = (size_t)text_bytes};
    return true;
}

/* Of `direct`, whose value is told. */
static bool predict(struct request *request, double *error_bound, struct convolve_error *error)
{
    const struct explain_state *state = request->state;
    const struct convolve_run *run = &state->computation.run;
    enum convolve_method method;

    if (is_layer(state)) {
        struct convolve_layer_spec spec = state->members.layers.spec;
        spec.method = CONVOLVE_DIRECT;
        return state->members.layers.shape_only || convolve_layer_predict(&spec, run, error_bound, error);
    }
    struct convolve_spec spec = state->members.convolve.spec;
    spec.method = CONVOLVE_DIRECT;
    return !run->input || !run->kernel || convolve_predict(&spec, run->input, run->kernel, error_bound, &method, error);
}

/* ---- Steps ---- */

static void begin_steps(struct request *request)
{
    const struct explain_state *state = request->state;
    request->log_method = convolve_method_name(CONVOLVE_DIRECT);
    request->job.work = saturating_add(state->computation.cost.multiply_adds * STEP_WORK, state->text.bytes_max);
}

static bool run_step(struct request *request, bool *more, struct convolve_error *error)
{
    struct explain_state *state = request->state;
    struct convolve_term term;
    unsigned left = state->valued ? STEPS_WRITTEN : STEPS_WALKED;

    for (; left > 0 && !convolve_explain_ended(state->explanation); left--)
        if (convolve_explain_step(state->explanation, &term) && state->valued &&
            !explain_text_term(&state->text, &term, error))
            return false;
    const bool ended = convolve_explain_ended(state->explanation);
    *more = !ended || !state->valued;
    if (!ended)
        return true;
    if (state->valued)
        return explain_text_end(&state->text, error);
    struct convolve_explained found;
    state->valued = true;
    return convolve_explain_conclude(state->explanation, &found, error) &&
           explain_text_begin(&state->text, &found, error);
}

static bool answer(struct request *request, struct response *response, struct convolve_error *error)
{
    const struct explain_state *state = request->state;
    (void)error;
    response_text(response, 200, "application/json", state->text.bytes, state->text.count);
    return true;
}

static const struct computation_steps steps = {begin_steps, run_step, answer};

static const struct computation_operation explain = {
    .state_bytes = sizeof(struct explain_state),
    .schema = &schema,
    .read = read_members,
    .derive = derive,
    .make_inputs = make_inputs,
    .predict = predict,
    .steps = &steps,
};

static bool begin(struct request *request, struct convolve_error *error)
{
    pthread_once(&schema_once, make_schema);
    return computation_begin(request, &explain, error);
}

const struct endpoint endpoint_explain = {begin, computation_feed, computation_answer, computation_complete,
                                          computation_release};
