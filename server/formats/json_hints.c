/* SPDX-License-Identifier: MIT */
/* Two sources: a table of names that people bring from other libraries, or from the neighbour endpoint; else the nearest name. */
#include "server/formats/json_hints.h"

#include <stdio.h>
#include <string.h>

#include "server/formats/json_collect.h"
#include "server/nearest.h"

/* A row counts where the endpoint knows `where`. */
static const struct {
    const char *name, *where, *sentence;
} hints[] = {
    {"weight", "kernel", "it belongs to /v1/conv (a layer: channels and batches); here the tensor is called kernel"},
    {"weights", "kernel", "here the tensor is called kernel"},
    {"bias", "kernel", "it belongs to /v1/conv"},
    {"groups", "kernel", "it belongs to /v1/conv"},
    {"layout", "kernel", "it belongs to /v1/conv"},
    {"padding_mode", "boundary", "it belongs to /v1/conv; here it is boundary"},
    {"output_padding", "kernel", "it belongs to /v1/conv_transpose"},
    {"output_shape", "kernel", "it belongs to /v1/conv_transpose"},
    {"grad_output", "kernel", "it belongs to /v1/conv_backward_input and /v1/conv_backward_weight"},
    {"filter", "kernel", "the filter is called kernel"},
    {"filters", "kernel", "the filter is called kernel"},
    {"in1", "kernel", "SciPy's in1 is called input"},
    {"in2", "kernel", "SciPy's in2 is called kernel"},
    {"a", "kernel", "the first array is called input"},
    {"v", "kernel", "the second array is called kernel"},
    {"x", "kernel", "the array that is filtered is called input"},
    {"signal", "kernel", "the array that is filtered is called input"},
    {"image", "kernel", "the array that is filtered is called input"},
    {"img", "kernel", "the array that is filtered is called input"},
    {"array", "kernel", "the array that is filtered is called input"},
    {"src", "kernel", "the array that is filtered is called input"},
    {"h", "kernel", "the filter is called kernel"},
    {"taps", "kernel", "the filter is called kernel"},
    {"mask", "kernel", "the filter is called kernel"},
    {"window", "kernel", "the filter is called kernel"},
    {"cval", "fillvalue", "here it is fillvalue"},
    {"constant_values", "fillvalue", "here it is fillvalue"},
    {"border", "boundary", "here it is boundary"},
    {"flip", "kernel", "/v1/convolve flips the kernel, /v1/correlate does not"},
    {"kernel", "weight", "in a layer it is called weight; one kernel for all is /v1/convolve or /v1/correlate"},
    {"mode", "weight", "it belongs to /v1/convolve and /v1/correlate; a layer has padding: \"valid\", \"same\""},
    {"boundary", "padding_mode", "it belongs to /v1/convolve and /v1/correlate; a layer has padding_mode"},
    {"fillvalue", "padding_mode", "it belongs to /v1/convolve and /v1/correlate; a layer is padded with zeros"},
    {"axes", "weight", "it belongs to /v1/convolve and /v1/correlate"},
    {"strides", "stride", "here it is stride"},
    {"dilations", "dilation", "here it is dilation"},
    {"rate", "dilation", "here it is dilation"},
    {"pads", "padding", "here it is padding"},
    {"pad", "padding", "here it is padding"},
    {"type", "dtype", "here it is dtype"},
    {"timeout", "timeout_ms", "here it is timeout_ms, in milliseconds"},
    {"nan", "nonfinite", "see nonfinite and missing"},
    {"data", "input", "a tensor's data stands inside it: \"input\": {\"shape\": [...], \"data\": [...]}"},
    {"shape", "input", "a tensor's shape stands inside it: \"input\": {\"shape\": [...], \"data\": [...]}"},
    {"base64", "input", "a tensor's base64 stands inside it: \"input\": {\"shape\", \"dtype\", \"base64\"}"},
};

static bool knows(const struct json_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->count; i++) {
        if (strcmp(schema->members[i].name, name) == 0)
            return true;
    }
    return false;
}

/* The names, separated by commas, as many as fit. */
static void list_members(char *out, size_t bytes, const struct json_schema *schema)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < schema->count; i++) {
        const int written = snprintf(out + used, bytes - used, "%s%s", i ? ", " : "", schema->members[i].name);
        if (written < 0 || (size_t)written >= bytes - used) {
            out[used] = '\0';
            return;
        }
        used += (size_t)written;
    }
}

void json_hint_member(char *out, size_t bytes, const struct json_schema *schema, const char *name, const char *shown)
{
    struct nearest nearest = {.wanted = name};
    char known[320];
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        if (strcmp(hints[i].name, name) == 0 && knows(schema, hints[i].where)) {
            snprintf(out, bytes, "unknown member \"%s\": %s", shown, hints[i].sentence);
            return;
        }
    }
    for (size_t i = 0; i < schema->count; i++)
        nearest_offer(&nearest, schema->members[i].name);
    list_members(known, sizeof known, schema);
    if (nearest.name)
        snprintf(out, bytes, "unknown member \"%s\"; did you mean \"%s\"?", shown, nearest.name);
    else
        snprintf(out, bytes, "unknown member \"%s\"; known are %s", shown, known);
}

void json_hint_field(char *out, size_t bytes, const char *name, const char *shown)
{
    struct nearest nearest = {.wanted = name};
    for (int field = 0; field < FIELD_COUNT; field++)
        nearest_offer(&nearest, json_field_names[field]);
    if (nearest.name)
        snprintf(out, bytes, "unknown member \"%s\" of a tensor; did you mean \"%s\"?", shown, nearest.name);
    else
        snprintf(out, bytes,
                 "unknown member \"%s\" of a tensor; it is a nested array, or an object of shape and data, real and "
                 "imag, or "
                 "dtype and base64",
                 shown);
}
