/* SPDX-License-Identifier: MIT */
/* .npy bodies, members in the query, .npy answers: files as NumPy writes them, what is told in headers, the dtype that a result
 * gets, NaN and infinity, and faults with their pointers. */
#include "tests/http/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/formats/npy_cases.h"

static const float four[] = {1, 2, 3, 4};

static struct bytes four_floats(void)
{
    return npy_file("<f4", "(4,)", four, sizeof four);
}

/* ---- Files as NumPy writes them ---- */

/* A kernel of one tap for the rank that the shape "2,3,4" has. */
static const char *one_tap(const char *shape)
{
    const char *kernel = "1";
    if (shape[0])
        kernel = textf("[%s]", kernel);
    for (; *shape; shape++)
        if (*shape == ',')
            kernel = textf("[%s]", kernel);
    return kernel;
}

static const char *tuple(const char *shape)
{
    const char *text = "";
    for (const char *c = shape; *c; c++)
        text = textf(*c == ',' ? "%s%c " : "%s%c", text, *c);
    return textf(shape[0] && !strchr(shape, ',') ? "(%s,)" : "(%s)", text);
}

static void check_golden(const struct npy_case *row)
{
    static const char *const descrs[][2] = {
        {"float64", "<f8"}, {"float32", "<f4"}, {"int64", "<i8"}, {"complex128", "<c16"}, {"complex64", "<c8"}};
    const struct bytes file = {(const char *)row->file, row->file_bytes};
    if (row->refused[0]) {
        struct answer answer = npy_post(daemon_child, "/v1/convolve?kernel=1", file, "application/x-npy");
        const bool malformed = !strcmp(row->refused, "malformed-npy");
        check_problem_in(row->name, &answer, malformed ? 400 : 422, row->refused, malformed ? NULL : "/input",
                         NO_OFFSET, NULL);
        return;
    }
    const char *target = textf("/v1/correlate?kernel=%s&dtype=%s&method=direct", one_tap(row->shape), row->as);
    struct answer answer = npy_post(daemon_child, target, file, "application/x-npy");
    if (row->value_bytes == 0) {
        check_problem_in(row->name, &answer, 422, "empty-tensor", "/input", NO_OFFSET, NULL);
        return;
    }
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++) {
        size_t count;
        if (strcmp(descrs[i][0], row->as) != 0)
            continue;
        const void *values = npy_values(row->name, &answer, descrs[i][1], tuple(row->shape), &count);
        if (values && (count != row->value_bytes || memcmp(values, row->values, count) != 0))
            complain(row->name, "other values");
    }
}

static void files_of_numpy(void **state)
{
    (void)state;
    FILE *golden = fopen("tests/golden/npy.txt", "r");
    struct npy_case row;
    if (!golden) {
        complain("golden", "tests/golden/npy.txt cannot be read");
        return;
    }
    while (npy_case_next(golden, &row)) {
        if (strcmp(row.name, "nothing") != 0) /* a call without a body is another test */
            check_golden(&row);
        free(row.file);
        free(row.values);
    }
    fclose(golden);
    const char *const headers[] = {"Content-Type: application/x-npy", NULL};
    struct call call = {.path = "/v1/convolve", .body = "", .headers = headers};
    struct answer answer = http_call(daemon_child, &call);
    check_problem_in("no body", &answer, 400, "malformed-npy", NULL, NO_OFFSET, NULL);
}

/* ---- Members in the query ---- */

static void members(void **state)
{
    (void)state;
    static const struct {
        const char *target, *output, *dtype;
    } cases[] = {
        {"/v1/convolve?kernel=[1,10]&mode=valid", "[12,23,34]", "'float64'"},
        {"/v1/convolve?kernel=[1,10]&mode=\"valid\"", "[12,23,34]", "'float64'"},
        {"/v1/convolve?mode=valid&kernel= [1, 10] ", "[12,23,34]", "'float64'"},
        {"/v1/convolve?kernel={\"shape\":[2],\"data\":[1,10]}&mode=valid", "[12,23,34]", "'float64'"},
        {"/v1/correlate?kernel=laplacian&boundary=edge&mode=same&dtype=float64", "[1,0,0,-1]", "'float64'"},
        {"/v1/correlate?kernel={\"name\":\"box\",\"size\":1}", "[1,2,3,4]", "'float32'"},
        {"/v1/convolve?kernel=[1]&stride=2", "[1,3]", "'float64'"},
        {"/v1/convolve?kernel=[1]&padding=[[0,1]]&fillvalue=-7", "[1,2,3,4,-7]", "'float64'"},
        {"/v1/convolve?kernel=[2]&dtype=int64", "[2,4,6,8]", "'int64'"},
        {"/v1/convolve?kernel=[1]&plan=false&timeout_ms=10000", "[1,2,3,4]", "'float64'"},
        {"/v1/convolve?kernel=[1]&format=flat", "{'shape':[4],'data':[1,2,3,4]}", "'float64'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = npy_post(daemon_child, cases[i].target, four_floats(), NULL);
        check_number(cases[i].target, "status", answer.status, 200);
        check_member(cases[i].target, &answer, "output", cases[i].output);
        check_member(cases[i].target, &answer, "dtype", cases[i].dtype);
    }
    struct answer answer = npy_post(daemon_child, "/v1/convolve?kernel=[1,2]&plan=true", four_floats(), NULL);
    check_member("a plan", &answer, "shape", "[5]");
    const float picture[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    answer = npy_post(daemon_child, "/v1/conv?weight=[[[[1,2],[3,4]]]]&bias=[1]",
                      npy_file("<f4", "(1, 3, 3)", picture, sizeof picture), NULL);
    check_member("a layer", &answer, "output", "[[[38,48],[68,78]]]");
}

static void faults(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        int status;
        const char *slug, *pointer;
        long long offset;
        const char *word;
    } cases[] = {
        {"/v1/convolve", 422, "missing-member", "/kernel", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=[1]&mod=same", 422, "unknown-member", "/mod", NO_OFFSET, "mode"},
        {"/v1/convolve?kernel=[1]&weight=[1]", 422, "unknown-member", "/weight", NO_OFFSET, "/v1/conv"},
        {"/v1/convolve?kernel=[1]&a/b=1", 422, "unknown-member", "/a~1b", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=[1]&kernel=[1]", 422, "duplicate-member", "/kernel", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=[1]&input=[1]", 422, "duplicate-member", "/input", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=[1]&mode=sam", 422, "invalid-value", "/mode", NO_OFFSET, "same"},
        {"/v1/convolve?kernel=[1]&mode=1", 422, "invalid-value", "/mode", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=[1]&mode=null", 422, "invalid-value", "/mode", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=null", 422, "invalid-value", "/kernel", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=true", 422, "invalid-value", "/kernel", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=[1]&stride=two", 422, "invalid-value", "/stride", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=[[1],[1,2]]", 422, "ragged-array", "/kernel/1", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=[1,true]", 422, "not-a-number", "/kernel/1", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=soble_x", 422, "unknown-kernel", "/kernel", NO_OFFSET, "sobel_x"},
        {"/v1/convolve?kernel={\"name\":\"box\",\"name\":1}", 422, "duplicate-member", "/kernel/name", NO_OFFSET, NULL},
        {"/v1/convolve?kernel=[[1]]", 422, "shape-mismatch", ANY_POINTER, NO_OFFSET, NULL},
        {"/v1/convolve?kernel=[1,2", 400, "malformed-json", "/kernel", 4, NULL},
        {"/v1/convolve?kernel=[1,]", 400, "malformed-json", "/kernel", 3, NULL},
        {"/v1/convolve?kernel=[1]x", 400, "malformed-json", "/kernel", 3, NULL},
        {"/v1/convolve?kernel=[1]&stride= 1 1", 400, "malformed-json", "/stride", 3, NULL},
        {"/v1/convolve?kernel=[1]&mode=", 400, "malformed-json", "/mode", 0, NULL},
        {"/v1/convolve?kernel=[1]&mode=\"same", 400, "malformed-json", "/mode", 5, NULL},
        {"/v1/convolve?kernel=[1]&mode=sa%FFme", 400, "malformed-json", "/mode", 2, NULL},
        {"/v1/convolve?kernel=(1,2)", 400, "malformed-json", "/kernel", 0, NULL},
        {"/v1/convolve?kernel=%EF%BB%BF[1]", 400, "malformed-json", "/kernel", 0, NULL},
        {"/v1/convolve?kernel=[1]&fillvalue=-inf", 400, "malformed-json", "/fillvalue", 1, NULL},
        /* Syntax comes before every other fault, wherever it is. */
        {"/v1/convolve?mod=1&mod=1&kernel=[", 400, "malformed-json", "/kernel", 1, NULL},
        {"/v1/convolve?kernel=[1]&mod=[", 400, "malformed-json", "/mod", 1, NULL},
    };
    http_get(daemon_child, "/healthz");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = npy_post(daemon_child, cases[i].target, four_floats(), "application/x-npy");
        check_problem_in(cases[i].target, &answer, cases[i].status, cases[i].slug, cases[i].pointer, cases[i].offset,
                         cases[i].word);
        check_number(cases[i].target, "new connections", answer.connects, 0);
    }
    const struct bytes cut = {four_floats().bytes, four_floats().count - 1};
    struct answer answer = npy_post(daemon_child, "/v1/convolve?mod=1", cut, NULL);
    check_problem_in("a cut file before an unknown member", &answer, 400, "malformed-npy", NULL, NO_OFFSET, "cut");
}

/* Values that the dtype cannot hold. */
static void values(void **state)
{
    (void)state;
    const uint64_t large[] = {1, UINT64_MAX};
    const double fraction[] = {1, 2.5}, beyond[] = {1e300}, infinity[] = {INFINITY}, whole[] = {3, -4e15};
    const float pair[] = {1, 2};
    const struct {
        const char *name, *dtype;
        struct bytes file;
        const char *slug; /* NULL: read */
        const char *output;
    } cases[] = {
        {"uint64 beyond int64", "int64", npy_file("<u8", "(2,)", large, 16), "integer-overflow", NULL},
        {"uint64 in float64", "float64", npy_file("<u8", "(2,)", large, 16), NULL, "[1,18446744073709552000]"},
        {"a fraction in int64", "int64", npy_file("<f8", "(2,)", fraction, 16), "invalid-value", NULL},
        {"infinity in int64", "int64", npy_file("<f8", "(1,)", infinity, 8), "invalid-value", NULL},
        {"whole numbers in int64", "int64", npy_file("<f8", "(2,)", whole, 16), NULL, "[3,-4000000000000000]"},
        {"beyond float32", "float32", npy_file("<f8", "(1,)", beyond, 8), "invalid-value", NULL},
        {"complex in float64", "float64", npy_file("<c8", "(1,)", pair, 8), "invalid-value", NULL},
        {"complex in int64", "int64", npy_file("<c8", "(1,)", pair, 8), "invalid-value", NULL},
        {"complex in complex128", "complex128", npy_file("<c8", "(1,)", pair, 8), NULL,
         "{'shape':[1],'real':[1],'imag':[2]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer =
            npy_post(daemon_child, textf("/v1/convolve?kernel=[1]&dtype=%s", cases[i].dtype), cases[i].file, NULL);
        if (cases[i].slug)
            check_problem_in(cases[i].name, &answer, 422, cases[i].slug, "/input", NO_OFFSET, NULL);
        else
            check_member(cases[i].name, &answer, "output", cases[i].output);
    }
}

/* ---- Answers ---- */

static void headers_of_answers(void **state)
{
    (void)state;
    static const double cube[27] = {1};
    const struct bytes floats = four_floats(), shape3 = npy_file("<f8", "(3, 3, 3)", cube, sizeof cube);
    const float infinite[] = {INFINITY};
    const struct {
        const char *name, *target;
        struct bytes file;
        const char *method, *flipped, *bound, *notes; /* NULL: absent; "*": any */
    } cases[] = {
        {"convolve", "/v1/convolve?kernel=[1,2]", floats, "direct", "true", "0", NULL},
        {"correlate", "/v1/correlate?kernel=[1,2]&method=fft", floats, "fft", "false", "*", NULL},
        {"a bound", "/v1/correlate?kernel=[0.1,0.2]", floats, "direct", "false", "*", NULL},
        {"no bound", "/v1/correlate?kernel=[1]", npy_file("<f4", "(1,)", infinite, 4), "direct", "false", NULL, NULL},
        {"channels", "/v1/convolve?mode=valid&kernel=[[[1]],[[1]],[[1]]]", shape3, "*", "true", "0",
         "channels-flipped"},
        {"places", "/v1/convolve?mode=valid&kernel=[1,2,3,4,5]", floats, "direct", "true", "0", "places-changed"},
        {"a layer", "/v1/conv?weight=[[[1]]]", npy_file("<f4", "(1, 4)", four, sizeof four), "direct", NULL, "0", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const names[] = {"Convolved-Method", "Convolved-Flipped", "Convolved-Error-Bound",
                                     "Convolved-Notes"};
        const char *const expected[] = {cases[i].method, cases[i].flipped, cases[i].bound, cases[i].notes};
        struct answer answer = npy_post(daemon_child, cases[i].target, cases[i].file, "application/x-npy");
        check_number(cases[i].name, "status", answer.status, 200);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            const char *found = header_of(&answer, names[k]);
            if (!expected[k] || strcmp(expected[k], "*") != 0)
                check_text(cases[i].name, names[k], found, expected[k]);
            else if (!found || !found[0])
                complain(cases[i].name, "no %s", names[k]);
        }
    }
    struct answer answer = npy_post(daemon_child, cases[0].target, floats, NULL);
    check_text("JSON", "Convolved-Method", header_of(&answer, "Convolved-Method"), NULL);
}

static void accept(void **state)
{
    (void)state;
    static const struct {
        const char *accept, *type;
    } cases[] = {
        {"*/*", "application/json"},
        {"application/x-npy", "application/x-npy"},
        {"application/x-npy;q=0.5", "application/x-npy"},
        {"application/x-npy, */*;q=0.1", "application/x-npy"},
        {"application/json, application/x-npy;q=0.9", "application/json"},
        {"image/png, application/x-npy", "application/x-npy"},
        {"application/x-npy;q=0", NULL},
        {"image/png", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = npy_post(daemon_child, "/v1/convolve?kernel=[1]", four_floats(), cases[i].accept);
        if (cases[i].type)
            check_text(cases[i].accept, "Content-Type", header_of(&answer, "Content-Type"), cases[i].type);
        else
            check_problem_in(cases[i].accept, &answer, 406, "not-acceptable", NULL, NO_OFFSET, "application/x-npy");
        check_text(cases[i].accept, "Vary", header_of(&answer, "Vary"), "Accept");
    }
    const char *const headers[] = {"Accept: application/x-npy", NULL};
    struct call call = {.path = "/v1/convolve", .body = json("{'input':[1,2],'kernel':[3]}"), .headers = headers};
    struct answer answer = http_call(daemon_child, &call);
    size_t count;
    const double *found = npy_values("JSON in", &answer, "<f8", "(2,)", &count);
    if (found && (count != 16 || found[0] != 3 || found[1] != 6))
        complain("JSON in", "other values");
    call = (struct call){.path = "/v1/info", .headers = headers};
    answer = http_call(daemon_child, &call);
    check_problem_in("info has no .npy", &answer, 406, "not-acceptable", NULL, NO_OFFSET, NULL);
}

/* NaN and infinity pass through, whatever `nonfinite` says; JSON has its own rule. */
static void nonfinite(void **state)
{
    (void)state;
    const double values[] = {1, NAN, INFINITY, -INFINITY, -2};
    const struct bytes file = npy_file("<f8", "(5,)", values, sizeof values);
    static const char *const targets[] = {"/v1/correlate?kernel=[2]", "/v1/correlate?kernel=[2]&nonfinite=error"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct answer answer = npy_post(daemon_child, targets[i], file, "application/x-npy");
        size_t count;
        const double *found = npy_values(targets[i], &answer, "<f8", "(5,)", &count);
        if (found && (count != 40 || found[0] != 2 || !isnan(found[1]) || found[2] != INFINITY ||
                      found[3] != -INFINITY || found[4] != -4))
            complain(targets[i], "other values");
    }
    struct answer answer = npy_post(daemon_child, targets[0], file, NULL);
    check_problem_in("as JSON", &answer, 422, "non-finite-result", ANY_POINTER, NO_OFFSET, NULL);
    answer = npy_post(daemon_child, "/v1/correlate?kernel=[2]&nonfinite=null", file, NULL);
    check_member("null", &answer, "output", "[2,null,null,null,-4]");
    answer = npy_post(daemon_child, "/v1/correlate?kernel=[1,1]&missing=ignore&mode=valid",
                      npy_file("<f8", "(2,)", values, 16), NULL);
    check_member("missing", &answer, "output", "[2]");
}

/* What is sent from where the output lies, in many pieces of the socket's. */
static void large_answers(void **state)
{
    (void)state;
    enum { SIDE = 1500 };
    float *picture = (float *)(void *)text_room(sizeof *picture * SIDE * SIDE);
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++)
        picture[i] = (float)(i % 4099);
    const struct bytes file = npy_file("<f4", "(1500, 1500)", picture, sizeof *picture * SIDE * SIDE);
    size_t count;
    struct answer answer =
        npy_post(daemon_child, "/v1/convolve?kernel=[[0,0,0],[0,3,0],[0,0,0]]&mode=same&dtype=float32", file,
                 "application/x-npy");
    const float *found = npy_values("large", &answer, "<f4", "(1500, 1500)", &count);
    check_number("large", "bytes", (long long)count, (long long)(file.count - 128));
    for (size_t i = 0; found && i < count / sizeof *found; i++)
        if (found[i] != 3 * picture[i]) {
            complain("large", "value %zu is %g", i, (double)found[i]);
            break;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(files_of_numpy),     HTTP_TEST(members), HTTP_TEST(faults),    HTTP_TEST(values),
        HTTP_TEST(headers_of_answers), HTTP_TEST(accept),  HTTP_TEST(nonfinite), HTTP_TEST(large_answers),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
