/* SPDX-License-Identifier: MIT */
/* Random requests over every member of /v1/convolve and /v1/correlate, and their answers by the definition (core/explain.h). */
#include "tests/http/random_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/explain.h"

enum { TEXT_BYTES = 1 << 18 };

static uint64_t random_state;

void random_seed(uint64_t seed)
{
    random_state = seed | 1;
}

static uint64_t random_bits(void) /* xorshift64*: the same everywhere */
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 2685821657736338717u;
}

static unsigned below(unsigned limit)
{
    return (unsigned)(random_bits() >> 33) % limit;
}

/* ---- A request ---- */

struct writer {
    char *text;
    size_t count;
};

static void add(struct writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct writer *writer, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    writer->count += (size_t)vsnprintf(writer->text + writer->count, TEXT_BYTES - writer->count, format, list);
    va_end(list);
    assert_true(writer->count < TEXT_BYTES);
}

static bool is_double(enum convolve_dtype dtype)
{
    return dtype == CONVOLVE_FLOAT64 || dtype == CONVOLVE_COMPLEX128;
}

/* One value or one part of a complex one, as text; what the text means is stored as element `index`. */
static void add_value(struct writer *writer, enum convolve_dtype dtype, bool whole, void *values, size_t index)
{
    int64_t integer = (int64_t)below(41) - 20;
    double number = (double)integer;
    if (dtype == CONVOLVE_INT64) {
        if (below(8) == 0)
            integer = (int64_t)(random_bits() >> 12) - (INT64_C(1) << 51);
        ((int64_t *)values)[index] = integer;
        add(writer, "%lld", (long long)integer);
        return;
    }
    if (!whole && below(4))
        number = ((double)random_bits() * 0x1p-63 - 1) * (below(8) ? 1 : 1e6);
    char text[64];
    snprintf(text, sizeof text, is_double(dtype) ? "%.17g" : "%.9g", number);
    if (is_double(dtype))
        ((double *)values)[index] = strtod(text, NULL);
    else
        ((float *)values)[index] = strtof(text, NULL);
    add(writer, "%s", text);
}

static void add_nested(struct writer *writer, const struct convolve_spec *spec, const struct convolve_shape *shape,
                       bool whole, void *values, size_t *index, unsigned axis)
{
    if (axis == shape->rank) {
        add_value(writer, spec->dtype, whole, values, (*index)++);
        return;
    }
    for (size_t i = 0; i < shape->size[axis]; i++) {
        add(writer, i ? "," : "[");
        add_nested(writer, spec, shape, whole, values, index, axis + 1);
    }
    add(writer, "]");
}

static void add_list(struct writer *writer, const struct convolve_spec *spec, const char *name, size_t count,
                     bool whole, void *values, size_t first, size_t pitch)
{
    add(writer, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        add(writer, i ? "," : "");
        add_value(writer, spec->dtype, whole, values, first + i * pitch);
    }
    add(writer, "]");
}

static void *add_tensor(struct writer *writer, const struct convolve_spec *spec, const struct convolve_shape *shape,
                        bool whole)
{
    size_t count = 0, index = 0;
    assert_true(convolve_shape_count(shape, &count));
    size_t bytes = (count * convolve_dtype_bytes(spec->dtype) + 64) / 64 * 64;
    void *values = aligned_alloc(64, bytes);
    assert_non_null(values);
    bool complex = convolve_dtype_is_complex(spec->dtype);
    if (!complex && below(2)) {
        add_nested(writer, spec, shape, whole, values, &index, 0);
        return values;
    }
    add(writer, "{\"shape\":[");
    for (unsigned axis = 0; axis < shape->rank; axis++)
        add(writer, axis ? ",%zu" : "%zu", shape->size[axis]);
    add(writer, "]");
    if (complex) {
        add_list(writer, spec, "real", count, whole, values, 0, 2);
        add_list(writer, spec, "imag", count, whole, values, 1, 2);
    } else {
        add_list(writer, spec, "data", count, whole, values, 0, 1);
    }
    add(writer, "}");
    return values;
}

/* A member with an integer or one per convolved axis. */
static void add_per_axis(struct writer *writer, const char *name, struct convolve_per_axis *value, unsigned axis_count,
                         unsigned largest)
{
    if (below(3))
        return;
    value->given = true;
    value->scalar = below(2);
    value->count = value->scalar ? 1 : axis_count;
    add(writer, ",\"%s\":%s", name, value->scalar ? "" : "[");
    for (unsigned i = 0; i < value->count; i++) {
        value->value[i] = 1 + below(largest);
        add(writer, i ? ",%zu" : "%zu", value->value[i]);
    }
    add(writer, "%s", value->scalar ? "" : "]");
}

static void add_padding(struct writer *writer, struct convolve_padding *padding, unsigned axis_count)
{
    padding->given = true;
    padding->scalar = below(2);
    padding->count = padding->scalar ? 1 : axis_count;
    bool pairs = !padding->scalar && below(2);
    add(writer, ",\"padding\":%s", padding->scalar ? "" : "[");
    for (unsigned i = 0; i < padding->count; i++) {
        padding->before[i] = below(6);
        padding->after[i] = pairs ? below(6) : padding->before[i];
        add(writer, pairs ? "%s[%zu,%zu]" : "%s%zu", i ? "," : "", padding->before[i], padding->after[i]);
    }
    add(writer, "%s", padding->scalar ? "" : "]");
}

static void choose_shapes(struct convolve_spec *spec, unsigned *axis_count)
{
    static const unsigned longest[] = {0, 40, 9, 5, 3, 2, 2, 2, 2};
    unsigned rank = below(8) ? 1 + below(3) : 1 + below(8);
    spec->input.rank = spec->kernel.rank = rank;
    for (unsigned axis = 0; axis < rank; axis++) {
        spec->input.size[axis] = 1 + below(longest[rank]);
        spec->kernel.size[axis] = 1 + below(below(4) ? (longest[rank] + 2) / 3 + 1 : longest[rank]);
    }
    *axis_count = rank;
    if (below(2))
        return;
    /* Some axes, in random order and sign; along the others the two broadcast, or one has only the named axes. */
    spec->axes_given = true;
    unsigned kind = below(3), mask = 1 + below((1u << rank) - 1), count = 0, named[CONVOLVE_RANK_MAX];
    for (unsigned axis = 0; axis < rank; axis++) {
        if (mask >> axis & 1)
            named[count++] = axis;
        else if (kind == 0)
            spec->kernel.size[axis] = below(2) ? 1 : spec->input.size[axis];
    }
    struct convolve_shape *lower = kind == 1 ? &spec->kernel : kind == 2 ? &spec->input : NULL;
    if (lower) {
        for (unsigned i = 0; i < count; i++)
            lower->size[i] = lower->size[named[i]];
        lower->rank = count;
    }
    for (unsigned i = count; i > 1; i--) {
        unsigned other = below(i), swapped = named[i - 1];
        named[i - 1] = named[other];
        named[other] = swapped;
    }
    for (unsigned i = 0; i < count; i++)
        spec->axes[i] = (int64_t)named[i] - (below(2) ? (int64_t)rank : 0);
    spec->axis_count = *axis_count = count;
}

static void add_fillvalue(struct writer *writer, struct convolve_spec *spec)
{
    int whole = (int)below(19) - 9;
    spec->fillvalue = (struct convolve_scalar){.integer = whole, .real = whole};
    if (convolve_dtype_is_complex(spec->dtype) && below(2)) {
        spec->fillvalue.imag = (int)below(9) - 4;
        add(writer, ",\"fillvalue\":{\"real\":%d,\"imag\":%d}", whole, (int)spec->fillvalue.imag);
    } else {
        add(writer, ",\"fillvalue\":%d", whole);
    }
}

static void make_case(struct request_case *request)
{
    static const char *const modes[] = {"full", "same", "valid"};
    static const char *const boundaries[] = {"constant", "wrap", "symmetric", "reflect", "edge"};
    struct convolve_spec *spec = &request->spec;
    struct writer writer = {.text = malloc(TEXT_BYTES)};
    unsigned axis_count;
    assert_non_null(writer.text);
    memset(request, 0, sizeof *request);
    spec->operation = below(2) ? CONVOLVE_OP_CONVOLVE : CONVOLVE_OP_CORRELATE;
    spec->dtype = (enum convolve_dtype)below(CONVOLVE_DTYPE_COUNT);
    bool whole = below(3) == 0, direct = !whole || below(2); /* whole numbers are exact whichever method runs */
    choose_shapes(spec, &axis_count);
    add(&writer, "{\"input\":");
    request->input = add_tensor(&writer, spec, &spec->input, whole);
    add(&writer, ",\"kernel\":");
    request->kernel = add_tensor(&writer, spec, &spec->kernel, whole);
    add(&writer, ",\"dtype\":\"%s\"", convolve_dtype_name(spec->dtype));
    if (direct) {
        spec->method = CONVOLVE_DIRECT;
        add(&writer, ",\"method\":\"direct\"");
    }
    if (below(3) == 0) {
        add_padding(&writer, &spec->padding, axis_count);
    } else if (below(4)) {
        spec->mode = (enum convolve_mode)below(3);
        spec->mode_given = true;
        add(&writer, ",\"mode\":\"%s\"", modes[spec->mode]);
    }
    if (below(2)) {
        spec->boundary = (enum convolve_boundary)below(5);
        add(&writer, ",\"boundary\":\"%s\"", boundaries[spec->boundary]);
    }
    if (below(4) == 0)
        add_fillvalue(&writer, spec);
    add_per_axis(&writer, "stride", &spec->stride, axis_count, 4);
    add_per_axis(&writer, "dilation", &spec->dilation, axis_count, 3);
    if (spec->axes_given) {
        add(&writer, ",\"axes\":[");
        for (unsigned i = 0; i < axis_count; i++)
            add(&writer, i ? ",%d" : "%d", (int)spec->axes[i]);
        add(&writer, "]");
    }
    add(&writer, "}");
    request->body = writer.text;
}

void random_case_release(struct request_case *request)
{
    free(request->input);
    free(request->kernel);
    free(request->body);
}

void random_case_make(struct request_case *request)
{
    struct convolve_cost cost;
    for (;;) {
        make_case(request);
        if (!convolve_cost(&cost, &request->spec, 1, NULL) || cost.multiply_adds < 100000)
            return;
        random_case_release(request);
    }
}

const char *random_case_path(const struct request_case *request)
{
    return request->spec.operation == CONVOLVE_OP_CONVOLVE ? "/v1/convolve" : "/v1/correlate";
}

/* ---- Comparison ---- */

/* How many digits a text has between the first and the last that is not 0. */
static unsigned digits_of(const char *text, size_t count)
{
    unsigned digits = 0, zeros = 0;
    for (size_t i = 0; i < count && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '0') {
            zeros += digits != 0;
        } else if (text[i] >= '1' && text[i] <= '9') {
            digits += zeros + 1;
            zeros = 0;
        }
    }
    return digits;
}

/* The fewest digits that read back to the value. */
static unsigned fewest_digits(double value, bool wide)
{
    char text[64];
    for (int digits = 1; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (wide ? strtod(text, NULL) == value : strtof(text, NULL) == (float)value)
            return digits_of(text, strlen(text));
    }
    return 17;
}

/* The number at *text is this value, in as few digits as it needs; steps over it. */
static bool same_number(const char **text, enum convolve_dtype dtype, const struct convolve_scalar *value, double part)
{
    char *end;
    while (**text == '[' || **text == ']' || **text == ',')
        ++*text;
    if (dtype == CONVOLVE_INT64) {
        bool same = strtoll(*text, &end, 10) == value->integer && end != *text;
        *text = end;
        return same;
    }
    double found = is_double(dtype) ? strtod(*text, &end) : strtof(*text, &end);
    bool same = end != *text && memcmp(&found, &part, sizeof found) == 0 &&
                digits_of(*text, (size_t)(end - *text)) <= fewest_digits(part, is_double(dtype));
    *text = end;
    return same;
}

/* Every output against the definition. False with `error` filled where the definition refuses. */
static bool compare_values(const struct request_case *request, size_t count, struct convolve_error *error)
{
    enum convolve_dtype dtype = request->spec.dtype;
    bool complex = convolve_dtype_is_complex(dtype);
    const char *real = member_text(request->answer.body, complex ? "output/real" : "output");
    const char *imag = complex ? member_text(request->answer.body, "output/imag") : "";
    if (request->answer.status == 200 && (!real || !imag)) {
        complain(request->name, "no output in %.300s", request->answer.body);
        return true;
    }
    for (size_t index = 0; index < count; index++) {
        struct convolve_scalar value;
        if (!convolve_explain(&request->spec, request->input, request->kernel, index, NULL, NULL, &value, error))
            return false;
        if (request->answer.status != 200)
            continue;
        const char *real_at = real, *imag_at = imag;
        if (same_number(&real, dtype, &value, value.real) &&
            (!complex || same_number(&imag, dtype, &value, value.imag)))
            continue;
        if (dtype == CONVOLVE_INT64)
            complain(request->name, "output %zu\n        found    %.40s\n        expected %lld", index, real_at,
                     (long long)value.integer);
        else
            complain(request->name, "output %zu\n        found    %.40s %.40s\n        expected %.17g %.17g", index,
                     real_at, imag_at, value.real, value.imag);
        return true;
    }
    return true;
}

void random_case_compare(const struct request_case *request)
{
    struct convolve_cost cost;
    struct convolve_error error = {0};
    bool right = convolve_cost(&cost, &request->spec, 1, &error) && compare_values(request, cost.output_count, &error);
    if (!right) {
        check_problem_in(request->name, &request->answer, 422, error.slug, ANY_POINTER, NO_OFFSET, NULL);
        return;
    }
    if (request->answer.status != 200) {
        complain(request->name, "status\n        found    %ld %s\n        expected 200", request->answer.status,
                 request->answer.body);
        return;
    }
    char shape[256] = "[";
    for (unsigned axis = 0; axis < cost.output.rank; axis++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), axis ? ",%zu" : "%zu", cost.output.size[axis]);
    check_text(request->name, "shape", member_text(request->answer.body, "shape"), strcat(shape, "]"));
}
