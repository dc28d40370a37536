/* SPDX-License-Identifier: MIT */
/* cJSON, as wire_bench's peer. */
#include <string.h>

#include <cjson/cJSON.h>

#include "tests/bench/wire_peers.h"

static size_t print_array(char *text, cJSON *array)
{
    char *const printed = cJSON_PrintUnformatted(array);
    const size_t length = printed == NULL ? 0 : strlen(printed);
    memcpy(text, printed, length);
    cJSON_free(printed);
    cJSON_Delete(array);
    return length;
}

static size_t write_f64(char *text, const double *values, size_t count)
{
    return print_array(text, cJSON_CreateDoubleArray(values, (int)count));
}

static size_t write_f32(char *text, const float *values, size_t count)
{
    return print_array(text, cJSON_CreateFloatArray(values, (int)count));
}

static size_t read_f64(double *values, const char *text, size_t bytes)
{
    cJSON *const array = cJSON_ParseWithLength(text, bytes);
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, array) values[count++] = item->valuedouble;
    cJSON_Delete(array);
    return count;
}

static size_t collect_numbers(double *values, const cJSON *item)
{
    size_t count = 0;
    const cJSON *child;
    if (cJSON_IsNumber(item))
        values[count++] = item->valuedouble;
    cJSON_ArrayForEach(child, item) count += collect_numbers(values + count, child);
    return count;
}

static size_t read_request(double *values, const char *text, size_t bytes)
{
    cJSON *const request = cJSON_ParseWithLength(text, bytes);
    const size_t count = collect_numbers(values, request);
    cJSON_Delete(request);
    return count;
}

const struct wire_peer wire_peer_cjson = {"cJSON", write_f64, write_f32, read_f64, read_request};
