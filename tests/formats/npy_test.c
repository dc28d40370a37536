/* SPDX-License-Identifier: MIT */
/* .npy: files as NumPy writes them, in every way of cutting them, against what they hold; what must be refused; headers that lie;
 * and files of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/formats/form.h"
#include "server/formats/json_read.h"
#include "server/formats/npy.h"
#include "tests/formats/npy_cases.h"

static const struct json_schema_member members[] = {{"input", true}, {"mode", false}};
static const struct json_schema schema = {members, 2, "{\"input\": [1]}"};

/* What came of a file: its slug, or "" with shape and values. */
struct outcome {
    struct memory_budget budget;
    struct arena arena;
    struct convolve_error error;
    struct convolve_shape shape;
    void *values;
    size_t most; /* memory it held before its values were asked for */
};

static enum convolve_dtype dtype_named(const char *name)
{
    unsigned dtype = 0;
    while (dtype < CONVOLVE_DTYPE_COUNT && strcmp(convolve_dtype_name((enum convolve_dtype)dtype), name) != 0)
        dtype++;
    assert_int_not_equal(dtype, CONVOLVE_DTYPE_COUNT);
    return (enum convolve_dtype)dtype;
}

/* Each piece stands in memory of its own, so that a sanitizer sees a read beyond it. */
static bool feed_piece(struct form *form, const unsigned char *bytes, size_t count, struct convolve_error *error)
{
    char *copy = malloc(count + 1);
    memcpy(copy, bytes, count);
    const bool fine = form_feed(form, copy, count, error);
    free(copy);
    return fine;
}

/* Pieces of `piece` bytes each, the first one of `first`. */
static const char *read_file(struct outcome *outcome, const unsigned char *file, size_t count, size_t first,
                             size_t piece, enum convolve_dtype dtype)
{
    struct convolve_error *error = &outcome->error;
    bool fine, shape_only;
    *outcome = (struct outcome){.budget.limit = 1 << 24};
    arena_init(&outcome->arena, &outcome->budget);
    struct form *form = form_create(&outcome->arena, &schema);
    assert_non_null(form);
    fine = form_begin(form, "input", 5, FORM_NPY_BODY, error);
    for (size_t at = 0, next = first; fine && at < count; next = piece) {
        next = next < count - at ? next : count - at;
        fine = feed_piece(form, file + at, next, error);
        at += next;
    }
    outcome->most = outcome->budget.used;
    fine = fine && form_end(form, error);
    const struct json_body *body = fine ? form_finish(form, error) : NULL;
    const struct json_value *input = body ? json_member(body, "input") : NULL;
    if (input && json_tensor_shape(input, "/input", false, &shape_only, &outcome->shape, error) &&
        json_tensor_values(input, "/input", dtype, false, &outcome->arena, &outcome->values, error))
        return "";
    assert_non_null(error->slug);
    return error->slug;
}

static void release(struct outcome *outcome)
{
    arena_release(&outcome->arena);
    assert_int_equal(outcome->budget.used, 0);
}

static void check_case(const struct npy_case *row, size_t first, size_t piece)
{
    struct outcome outcome;
    const enum convolve_dtype dtype = row->refused[0] ? CONVOLVE_FLOAT64 : dtype_named(row->as);
    const char *slug = read_file(&outcome, row->file, row->file_bytes, first, piece, dtype);
    if (strcmp(slug, row->refused) != 0)
        fail_msg("%s, pieces of %zu after %zu: found \"%s\" (%s), expected \"%s\"", row->name, piece, first, slug,
                 outcome.error.detail, row->refused);
    if (!row->refused[0]) {
        char shape[64] = "";
        size_t count;
        for (unsigned axis = 0; axis < outcome.shape.rank; axis++)
            snprintf(shape + strlen(shape), sizeof shape - strlen(shape), axis ? ",%zu" : "%zu",
                     outcome.shape.size[axis]);
        assert_string_equal(shape, row->shape);
        assert_true(convolve_shape_count(&outcome.shape, &count));
        assert_int_equal(count * convolve_dtype_bytes(dtype), row->value_bytes);
        assert_int_equal((uintptr_t)outcome.values % CONVOLVE_ALIGNMENT, 0);
        if (memcmp(outcome.values, row->values, row->value_bytes) != 0)
            fail_msg("%s, pieces of %zu after %zu: other values", row->name, piece, first);
    }
    release(&outcome);
}

static void golden_files(void **state)
{
    (void)state;
    FILE *golden = fopen("tests/golden/npy.txt", "r");
    struct npy_case row;
    unsigned cases = 0;
    assert_non_null(golden);
    while (npy_case_next(golden, &row)) {
        check_case(&row, row.file_bytes + 1, 1);
        for (size_t piece = 1; piece < 9; piece++)
            check_case(&row, piece, piece);
        for (size_t first = 1; first < row.file_bytes; first++)
            check_case(&row, first, row.file_bytes);
        free(row.file);
        free(row.values);
        cases++;
    }
    fclose(golden);
    assert_true(cases > 140);
}

/* Every truncation of a file is refused. */
static void cut_files(void **state)
{
    (void)state;
    char file[NPY_HEADER_WRITTEN_MAX + 24];
    const struct convolve_shape shape = {.rank = 2, .size = {3, 2}};
    const size_t bytes = npy_write_header(file, CONVOLVE_FLOAT32, &shape) + 24;
    memset(file + bytes - 24, 0, 24);
    for (size_t count = 0; count <= bytes; count++) {
        struct outcome outcome;
        const char *slug = read_file(&outcome, (unsigned char *)file, count, count + 1, 1, CONVOLVE_FLOAT32);
        assert_string_equal(slug, count == bytes ? "" : "malformed-npy");
        release(&outcome);
    }
}

/* What a header announces costs nothing: memory is what came, and a little. */
static void lying_headers(void **state)
{
    (void)state;
    char file[NPY_HEADER_WRITTEN_MAX + 8] = {0};
    const struct convolve_shape shape = {.rank = 2, .size = {(size_t)1 << 40, 1 << 10}};
    const size_t bytes = npy_write_header(file, CONVOLVE_FLOAT64, &shape) + 8;
    struct outcome outcome;
    assert_string_equal(read_file(&outcome, (unsigned char *)file, bytes, bytes, 1, CONVOLVE_FLOAT64), "malformed-npy");
    assert_true(outcome.most < 256 << 10);
    release(&outcome);
}

static void files_of_ours(void **state)
{
    static const struct {
        enum convolve_dtype dtype;
        struct convolve_shape shape;
        const char *header;
    } cases[] = {
        {CONVOLVE_FLOAT64, {.rank = 0}, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }"},
        {CONVOLVE_FLOAT32, {.rank = 1, .size = {7}}, "{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }"},
        {CONVOLVE_INT64, {.rank = 2, .size = {7, 0}}, "{'descr': '<i8', 'fortran_order': False, 'shape': (7, 0), }"},
        {CONVOLVE_COMPLEX128,
         {.rank = 3, .size = {1, 2, 3}},
         "{'descr': '<c16', 'fortran_order': False, 'shape': (1, 2, 3), }"},
        {CONVOLVE_COMPLEX64,
         {.rank = 8, .size = {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX}},
         "{'descr': '<c8', 'fortran_order': False, 'shape': (18446744073709551615, 18446744073709551615, "
         "18446744073709551615, 18446744073709551615, 18446744073709551615, 18446744073709551615, "
         "18446744073709551615, 18446744073709551615), }"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[NPY_HEADER_WRITTEN_MAX];
        const size_t bytes = npy_write_header(out, cases[i].dtype, &cases[i].shape);
        assert_int_equal(bytes % 64, 0);
        assert_memory_equal(out, "\x93NUMPY\1\0", 8);
        assert_int_equal((unsigned char)out[8] + 256 * (unsigned char)out[9], bytes - 10);
        assert_memory_equal(out + 10, cases[i].header, strlen(cases[i].header));
        assert_int_equal(out[bytes - 1], '\n');
        for (size_t at = 10 + strlen(cases[i].header); at + 1 < bytes; at++)
            assert_int_equal(out[at], ' ');
    }
}

/* Typed values that the dtype cannot hold point at the member and name the element. */
static void values_that_do_not_fit(void **state)
{
    static const struct {
        const char *descr;
        unsigned char bytes[32];
        unsigned count;
        enum convolve_dtype dtype;
        const char *slug, *detail;
    } cases[] = {
        {"<u8",
         {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80},
         2,
         CONVOLVE_INT64,
         "integer-overflow",
         "element 1"},
        {"<f8", {0, 0, 0, 0, 0, 0, 0xf8, 0x3f}, 1, CONVOLVE_INT64, "invalid-value", "element 0"},
        {"<f8", {0, 0, 0, 0, 0, 0, 0xf8, 0x7f}, 1, CONVOLVE_INT64, "invalid-value", "element 0"},
        {"<f8", {0, 0, 0, 0, 0, 0, 0xe0, 0x43}, 1, CONVOLVE_INT64, "integer-overflow", "element 0"},
        {"<f4", {0, 0, 0x80, 0x7f}, 1, CONVOLVE_INT64, "invalid-value", "element 0"},
        {"<f8",
         {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x47},
         2,
         CONVOLVE_FLOAT32,
         "invalid-value",
         "element 1"},
        {"<c8", {0}, 1, CONVOLVE_FLOAT64, "invalid-value", "complex"},
        {"<c16",
         {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x47},
         1,
         CONVOLVE_COMPLEX64,
         "invalid-value",
         "element 0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char file[160] = "\x93NUMPY\1\0\x76";
        const size_t item = (size_t)atoi(cases[i].descr + 2);
        struct outcome outcome;
        memset(file + 10, ' ', 118);
        const int used = snprintf((char *)file + 10, 118, "{'descr': '%s', 'fortran_order': False, 'shape': (%u,)}",
                                  cases[i].descr, cases[i].count);
        file[10 + used] = ' ';
        memcpy(file + 128, cases[i].bytes, item * cases[i].count);
        const char *slug = read_file(&outcome, file, 128 + item * cases[i].count, 200, 1, cases[i].dtype);
        if (strcmp(slug, cases[i].slug) != 0 || strcmp(outcome.error.pointer, "/input") != 0 ||
            !strstr(outcome.error.detail, cases[i].detail))
            fail_msg("row %zu: found %s at %s: %s", i, slug, outcome.error.pointer, outcome.error.detail);
        release(&outcome);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files),           cmocka_unit_test(cut_files),
        cmocka_unit_test(lying_headers),          cmocka_unit_test(files_of_ours),
        cmocka_unit_test(values_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
