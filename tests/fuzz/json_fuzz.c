/* SPDX-License-Identifier: MIT */
/* Any body has one outcome, however it is cut: members, values, slug, pointer, offset and detail. And what is JSON to us is JSON
 * to cJSON, which is otherwise far more lenient. The first byte says how the body is cut, the second what is asked for. */
#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/formats/json_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What cJSON 1.7.15 refuses although it is JSON: numbers of 64 characters, lone surrogates, zero bytes by escape; and texts
 * that we need not read to the end, because a tensor in them is nested too deep. */
static bool is_beyond_cjson(const char *text, size_t count)
{
    size_t number = 0, brackets = 0;
    for (size_t i = 0; i < count; i++) {
        number = strchr("0123456789+-.eE", text[i]) && text[i] ? number + 1 : 0;
        brackets += text[i] == '[' || text[i] == '{';
        const bool escape = text[i] == '\\' && i + 2 < count && text[i + 1] == 'u';
        if (number > 60 || brackets > 60 || (escape && strchr("dD0", text[i + 2])))
            return true;
    }
    return false;
}

static void check_cjson(const char *text, size_t count)
{
    if (is_beyond_cjson(text, count))
        return;
    const char *end = NULL;
    cJSON *parsed = cJSON_ParseWithLengthOpts(text, count, &end, 0);
    if (!parsed) {
        fprintf(stderr, "taken, and refused by cJSON: %.*s\n", (int)count, text);
        abort();
    }
    cJSON_Delete(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const uint64_t way = data[0];
    const enum convolve_dtype dtype = data[1] % CONVOLVE_DTYPE_COUNT;
    const bool missing = data[1] & 0x80;
    const char *text = (const char *)data + 2;
    char *whole = feed_outcome(text, size - 2, FEED_WHOLE, dtype, missing, true);
    char *cut = feed_outcome(text, size - 2, way, dtype, missing, true);
    char *bytes = feed_outcome(text, size - 2, FEED_BYTES, dtype, missing, true);
    if (strcmp(whole, cut) != 0 || strcmp(whole, bytes) != 0) {
        fprintf(stderr, "whole:   %s\ncut:     %s\nby byte: %s\n", whole, cut, bytes);
        abort();
    }
    if (strncmp(whole, "malformed-json ", 15) != 0)
        check_cjson(text, size - 2);
    free(whole);
    free(cut);
    free(bytes);
    return 0;
}
