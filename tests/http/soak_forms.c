/* SPDX-License-Identifier: MIT */
#include "tests/http/soak_forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TARGET_BYTES = 6000 };

/* ---- The notations ---- */

static const char *const members[] = {"dtype",     "method", "padding",  "mode", "boundary",
                                      "fillvalue", "stride", "dilation", "axes"};
enum { MEMBERS = sizeof members / sizeof *members };

static void append(char **at, const char *bytes, size_t count)
{
    memcpy(*at, bytes, count);
    *at += count;
}

static void append_part(char **at, const char *name, const char *disposition, struct bytes content)
{
    *at += sprintf(*at, "--soak-boundary\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n", name, disposition);
    append(at, content.bytes, content.count);
    append(at, "\r\n", 2);
}

/* Two files and the members of `body`, a JSON object. */
static struct bytes form_of(const char *body, const char *kernel_name, struct bytes input, struct bytes kernel)
{
    char *form = text_room(input.count + kernel.count + strlen(body) + 4096), *at = form;
    append_part(&at, "input", "; filename=\"input.npy\"", input);
    for (unsigned i = 0; i < MEMBERS; i++) {
        const char *text = member_text(body, members[i]);
        if (text != NULL)
            append_part(&at, members[i], "", (struct bytes){text, strlen(text)});
    }
    append_part(&at, kernel_name, "; filename=\"kernel.npy\"", kernel);
    at += sprintf(at, "--soak-boundary--\r\n");
    return (struct bytes){form, (size_t)(at - form)};
}

static const char *target_of(const char *path, const char *body)
{
    const char *kernel = member_text(body, "kernel");
    char *target = text_room(strlen(path) + 2 * strlen(body) + 256);
    char *at = target + sprintf(target, "%s?kernel=%s", path, kernel);
    for (unsigned i = 0; i < MEMBERS; i++) {
        const char *text = member_text(body, members[i]);
        if (text != NULL)
            at += sprintf(at, "&%s=%s", members[i], text);
    }
    return npy_target(target);
}

static const char *descr_of(enum convolve_dtype dtype)
{
    switch (dtype) {
    case CONVOLVE_FLOAT32:
        return "<f4";
    case CONVOLVE_FLOAT64:
        return "<f8";
    case CONVOLVE_INT64:
        return "<i8";
    case CONVOLVE_COMPLEX64:
        return "<c8";
    default:
        return "<c16";
    }
}

static const char *tuple_of(const struct convolve_shape *shape)
{
    char *text = text_room(256), *at = text + sprintf(text, "(");
    for (unsigned axis = 0; axis < shape->rank; axis++)
        at += sprintf(at, "%zu, ", shape->size[axis]);
    if (shape->rank > 1)
        at -= 2;
    else if (shape->rank == 1)
        at -= 1;
    sprintf(at, ")");
    return text;
}

static struct bytes file_of(enum convolve_dtype dtype, const struct convolve_shape *shape, const void *values)
{
    size_t count = 0;
    assert_true(convolve_shape_count(shape, &count));
    return npy_file(descr_of(dtype), tuple_of(shape), values, count * convolve_dtype_bytes(dtype));
}

/* ---- The answer ---- */

/* The values of a JSON answer's list as `dtype`, `pitch` apart from `first` on. */
static size_t read_values(const char *text, enum convolve_dtype dtype, void *values, size_t first, size_t pitch)
{
    size_t count = 0;
    for (size_t at = first;; at += pitch, count++) {
        char *end = NULL;
        text += strspn(text, "[],");
        if (*text == '\0')
            return count;
        if (dtype == CONVOLVE_INT64)
            ((int64_t *)values)[at] = strtoll(text, &end, 10);
        else if (dtype == CONVOLVE_FLOAT64 || dtype == CONVOLVE_COMPLEX128)
            ((double *)values)[at] = strtod(text, &end);
        else
            ((float *)values)[at] = strtof(text, &end);
        assert_true(end != text);
        text = end;
    }
}

static void ask_for_file(struct soak_forms *forms, struct child *child, const char *key_header,
                         const struct request_case *request)
{
    const enum convolve_dtype dtype = request->spec.dtype;
    const bool complex = convolve_dtype_is_complex(dtype);
    const char *const headers[] = {key_header, "Content-Type: application/x-npy", "Accept: application/x-npy",
                                   "Connection: close", NULL};
    const struct call call = {
        .path = forms->target, .body = forms->file.bytes, .body_bytes = forms->file.count, .headers = headers};
    struct convolve_cost cost;
    struct answer answer;
    size_t bytes = 0;

    do
        answer = http_call(child, &call);
    while (answer.status == 503);
    assert_true(convolve_cost(&cost, &request->spec, 1, NULL));
    const void *values = npy_values(request->name, &answer, descr_of(dtype), tuple_of(&cost.output), &bytes);
    const size_t expected_bytes = cost.output_count * convolve_dtype_bytes(dtype);
    char *expected = text_room(expected_bytes + 1);
    const char *real = member_text(request->answer.body, complex ? "output/real" : "output");
    read_values(real, dtype, expected, 0, complex ? 2 : 1);
    if (complex)
        read_values(member_text(request->answer.body, "output/imag"), dtype, expected, 1, 2);
    if (values == NULL || bytes != expected_bytes || memcmp(values, expected, bytes) != 0)
        complain(request->name, "the .npy answer holds other values than the JSON answer");
    forms->answer = (struct bytes){answer.body, answer.body_bytes};
}

void soak_forms_make(struct soak_forms *forms, struct child *child, const char *key_header,
                     const struct request_case *request)
{
    const struct convolve_spec *spec = &request->spec;
    *forms = (struct soak_forms){0};
    forms->file = file_of(spec->dtype, &spec->input, request->input);
    forms->form = form_of(request->body, "kernel", forms->file, file_of(spec->dtype, &spec->kernel, request->kernel));
    forms->packed = gzip_of(request->body, strlen(request->body));
    forms->target = target_of(random_case_path(request), request->body);
    if (strlen(forms->target) > TARGET_BYTES)
        forms->target = NULL;
    else if (request->answer.status == 200)
        ask_for_file(forms, child, key_header, request);
}

/* ---- The large one: whole numbers, full convolution ---- */

enum { SIZE = 160, KERNEL = 7, OUT = SIZE + KERNEL - 1 };

static char *append_rows(char *at, const int64_t *values, int rows, int columns)
{
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++)
            at += sprintf(at, "%s%lld", x > 0 ? "," : y > 0 ? "],[" : "[[", (long long)values[y * columns + x]);
    return at + sprintf(at, "]]");
}

void soak_large_make(struct soak_large *large, unsigned seed)
{
    int64_t(*input)[SIZE] = (void *)text_room(SIZE * sizeof *input);
    int64_t(*output)[OUT] = (void *)text_room(OUT * sizeof *output);
    int64_t kernel[KERNEL][KERNEL];
    memset(output, 0, OUT * sizeof *output);
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++)
            input[y][x] = (int64_t)(((unsigned)(y * 31 + x) * (seed | 1) * 2654435761u) >> 22) - 500;
    for (int y = 0; y < KERNEL; y++)
        for (int x = 0; x < KERNEL; x++)
            kernel[y][x] = (y * 5 + x * 3 + (int)seed) % 19 - 9;
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++)
            for (int v = 0; v < KERNEL; v++)
                for (int u = 0; u < KERNEL; u++)
                    output[y + v][x + u] += input[y][x] * kernel[v][u];

    char *body = text_room(SIZE * SIZE * 5 + 2000), *at = body + sprintf(body, "{\"dtype\":\"int64\",\"input\":");
    at = append_rows(at, *input, SIZE, SIZE);
    at += sprintf(at, ",\"kernel\":");
    char *kernel_text = at;
    at = append_rows(at, *kernel, KERNEL, KERNEL);
    large->target = npy_target(textf("/v1/convolve?dtype=int64&kernel=%s", kernel_text));
    sprintf(at, "}");
    large->json = (struct bytes){body, strlen(body)};
    large->packed = gzip_of(body, strlen(body));
    large->file = npy_file("<i8", textf("(%d, %d)", SIZE, SIZE), input, SIZE * sizeof *input);
    large->form = form_of(body, "kernel", large->file, npy_file("<i8", "(7, 7)", kernel, sizeof kernel));
    large->values = (struct bytes){(const char *)output, OUT * sizeof *output};
    char *out = text_room(OUT * OUT * 9 + 2000);
    large->output = out;
    out = append_rows(out + sprintf(out, "{\"output\": "), *output, OUT, OUT);
    sprintf(out, ", \"shape\": [%d, %d], \"dtype\": \"int64\"", OUT, OUT);
}
