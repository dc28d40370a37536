/* SPDX-License-Identifier: MIT */
/* Any body has one outcome, on every instruction set and however it is cut: members, values, slug, pointer, offset and detail. It is
 * malformed where a plain recogniser of RFC 8259 says so, at the same byte, and nowhere else. What is JSON to us is JSON to cJSON,
 * with the same numbers; cJSON takes much that is none. The first byte says how the body is cut, the second what is asked for. */
#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/formats/json_feed.h"
#include "tests/formats/json_recogniser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Deeper than this we may stop: at rank 9, or beyond 64 elsewhere. */
enum { DEPTH_SURE = 9 };

static void stop(const char *what, const char *text, size_t count)
{
    fprintf(stderr, "%s: %.*s\n", what, (int)count, text);
    abort();
}

/* ---- Against the recogniser ---- */

/* Returns whether the text is JSON. */
static bool check_syntax(const char *outcome, const char *text, size_t count)
{
    static const char slug[] = "malformed-json @";
    struct recogniser r;
    const bool is_json = recognise(&r, text, count);
    const bool refused = strncmp(outcome, slug, sizeof slug - 1) == 0;
    if (r.depth_max > DEPTH_SURE)
        return is_json;
    if (refused == is_json)
        stop(is_json ? "JSON, and refused" : "no JSON, and taken", text, count);
    if (refused && strtoull(outcome + sizeof slug - 1, NULL, 10) != r.at) {
        fprintf(stderr, "%s, expected byte %zu\n", outcome, r.at);
        stop("another byte at fault", text, count);
    }
    return is_json;
}

/* ---- Against cJSON ---- */

/* What cJSON 1.7.15 refuses or changes although it is JSON: numbers of 64 characters, lone surrogates, zero bytes by escape, depth. */
static bool is_beyond_cjson(const char *text, size_t count)
{
    size_t number = 0, brackets = 0;
    for (size_t i = 0; i < count; i++) {
        number = strchr("0123456789+-.eE", text[i]) && text[i] ? number + 1 : 0;
        brackets += text[i] == '[' || text[i] == '{';
        const bool escape = text[i] == '\\' && i + 2 < count && text[i + 1] == 'u';
        if (number > 60 || brackets > 900 || (escape && strchr("dD0", text[i + 2])))
            return true;
    }
    return false;
}

static void compare_numbers(const cJSON *item, const double **ours, const double *end)
{
    const cJSON *child;
    if (cJSON_IsNumber(item)) {
        if (*ours == end || memcmp(*ours, &item->valuedouble, sizeof **ours) != 0) {
            fprintf(stderr, "cJSON %a, ours %a\n", item->valuedouble, *ours == end ? 0 : **ours);
            abort();
        }
        ++*ours;
    }
    cJSON_ArrayForEach(child, item) compare_numbers(child, ours, end);
}

/* The tensor `input`, nested or flat, as doubles. */
static void check_numbers(const cJSON *parsed, const char *text, size_t count)
{
    struct feed feed;
    struct convolve_shape shape;
    bool shape_only;
    void *values;
    size_t numbers;
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(parsed, "input");
    if (cJSON_IsObject(input))
        input = cJSON_GetObjectItemCaseSensitive(input, "data");
    feed_body(&feed, text, count, FEED_WHOLE);
    const struct json_value *value = feed.body ? json_member(feed.body, "input") : NULL;
    if (input && value && !json_names_kernel(value) && feed_dtype(feed.body, CONVOLVE_FLOAT64) == CONVOLVE_FLOAT64 &&
        json_tensor_shape(value, "/input", false, &shape_only, &shape, &feed.error) &&
        json_tensor_values(value, "/input", CONVOLVE_FLOAT64, false, &feed.arena, &values, &feed.error) &&
        convolve_shape_count(&shape, &numbers)) {
        const double *ours = values, *const end = ours + numbers;
        compare_numbers(input, &ours, end);
        if (ours != end)
            stop("cJSON has fewer numbers", text, count);
    }
    feed_release(&feed);
}

static void check_cjson(const char *text, size_t count)
{
    if (is_beyond_cjson(text, count))
        return;
    const char *end = NULL;
    cJSON *parsed = cJSON_ParseWithLengthOpts(text, count, &end, 0);
    if (!parsed)
        stop("JSON, and refused by cJSON", text, count);
    check_numbers(parsed, text, count);
    cJSON_Delete(parsed);
}

/* ---- Against ourselves ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const uint64_t ways[] = {FEED_WHOLE, data[0], FEED_BYTES, FEED_KNOWN_WHOLE};
    static const char *const sets[] = {"scalar", "auto"};
    const enum convolve_dtype dtype = data[1] % CONVOLVE_DTYPE_COUNT;
    const bool missing = data[1] & 0x80;
    const char *text = (const char *)data + 2;
    const size_t count = size - 2;
    char *expected = NULL;
    for (unsigned s = 0; s < sizeof sets / sizeof *sets; s++) {
        convolve_simd_select(sets[s]);
        for (unsigned w = 0; w < sizeof ways / sizeof *ways; w++) {
            char *found = feed_outcome(text, count, ways[w], dtype, missing, true);
            if (expected && strcmp(found, expected) != 0) {
                fprintf(stderr, "whole: %s\n%s, way %u: %s\n", expected, sets[s], w, found);
                abort();
            }
            if (expected)
                free(found);
            else
                expected = found;
        }
    }
    if (check_syntax(expected, text, count))
        check_cjson(text, count);
    free(expected);
    return 0;
}
