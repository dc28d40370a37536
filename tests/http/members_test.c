/* SPDX-License-Identifier: MIT */
/* The members that shape no single number: `plan`, named kernels, `timeout_ms`; bodies of any media type, in any pieces; and
 * arrays large enough to pass through every buffer on the way. */
#include "tests/http/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

/* ---- plan ---- */

static void check_plan(const char *name, const char *request, const char *shape, const char *dtype,
                       const char *multiply_adds, bool bound_is_null)
{
    struct answer answer = http_post(daemon_child, "/v1/correlate", request);
    check_number(name, "status", answer.status, 200);
    check_member(name, &answer, "shape", shape);
    check_member(name, &answer, "dtype", dtype);
    if (multiply_adds)
        check_member(name, &answer, "multiply_adds", multiply_adds);
    const char *bytes = member_text(answer.body, "bytes");
    if (!bytes || !(atof(bytes) > 0))
        check_text(name, "bytes", bytes, "a number above 0");
    const char *bound = member_text(answer.body, "error_bound");
    if (bound_is_null ? !bound || strcmp(bound, "null") : !bound)
        check_text(name, "error_bound", bound, bound_is_null ? "null" : "present");
    if (!member_text(answer.body, "method"))
        complain(name, "no method in %s", answer.body);
    check_text(name, "output", member_text(answer.body, "output"), NULL);
    cJSON *document = cJSON_Parse(answer.body);
    check_number(name, "how many members", cJSON_GetArraySize(document), 6);
    cJSON_Delete(document);
}

static void plans(void **state)
{
    (void)state;
    check_plan("shapes alone", "{'plan':true,'input':{'shape':[4,4]},'kernel':{'shape':[3,3]},'method':'direct'}",
               "[6,6]", "'float64'", "324", true);
    check_plan("with values", "{'plan':true,'input':[1,2,3],'kernel':[1,2],'mode':'valid','dtype':'float32'}", "[2]",
               "'float32'", "4", false);
    check_plan("one shape, one named", "{'plan':true,'input':{'shape':[10,10]},'kernel':'sobel_x','mode':'same'}",
               "[10,10]", "'float64'", "900", true);
    check_plan("stride and dilation",
               "{'plan':true,'input':{'shape':[10]},'kernel':{'shape':[2]},'padding':0,'dilation':4,'stride':2}", "[3]",
               "'float64'", "6", true);
    check_plan("axes", "{'plan':true,'input':{'shape':[2,8,8]},'kernel':{'shape':[3,3]},'axes':[1,2],'padding':1}",
               "[2,8,8]", "'float64'", "1152", true);
    check_plan("never too large",
               "{'plan':true,'input':{'shape':[10000000,1000000]},'kernel':{'shape':[1000,1000]},'mode':'same',"
               "'dtype':'int64'}",
               "[10000000,1000000]", "'int64'", NULL, true);
    check_output(daemon_child, "plan false computes", "/v1/correlate", "{'plan':false,'input':[1],'kernel':[2]}",
                 "[2]");
}

static void plans_find_faults(void **state)
{
    (void)state;
    static const struct {
        const char *name, *request, *slug, *pointer;
    } cases[] = {
        {"no plan", "{'input':{'shape':[4]},'kernel':[1]}", "missing-member", ANY_POINTER},
        {"plan false", "{'plan':false,'input':[1],'kernel':{'shape':[4]}}", "missing-member", ANY_POINTER},
        {"ranks", "{'plan':true,'input':{'shape':[4]},'kernel':{'shape':[3,3]}}", "shape-mismatch", ANY_POINTER},
        {"beyond 64 bits", "{'plan':true,'input':{'shape':[1099511627776,1099511627776]},'kernel':{'shape':[1,1]}}",
         "invalid-value", ANY_POINTER},
        {"beyond 2^53", "{'plan':true,'input':{'shape':[9223372036854775807]},'kernel':{'shape':[1]}}", "invalid-value",
         "/input/shape/0"},
        {"negative", "{'plan':true,'input':{'shape':[4]},'kernel':{'shape':[-1]}}", "invalid-value", "/kernel/shape/0"},
        {"no boolean", "{'plan':1,'input':{'shape':[4]},'kernel':{'shape':[1]}}", "invalid-value", "/plan"},
        {"empty", "{'plan':true,'input':{'shape':[0]},'kernel':{'shape':[1]}}", "empty-tensor", "/input"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_problem(daemon_child, cases[i].name, "/v1/convolve", cases[i].request, 422, cases[i].slug,
                      cases[i].pointer, NO_OFFSET, NULL);
}

/* ---- named kernels ---- */

static void named_kernels_of_integers(void **state)
{
    (void)state;
    /* A single 1 under `full` correlation shows the kernel turned around; under `full` convolution as it is. */
    static const struct {
        const char *name, *values;
    } kernels[] = {
        {"sharpen", "[[0,-1,0],[-1,5,-1],[0,-1,0]]"},      {"outline", "[[-1,-1,-1],[-1,8,-1],[-1,-1,-1]]"},
        {"emboss", "[[-2,-1,0],[-1,1,1],[0,1,2]]"},        {"laplacian", "[[0,1,0],[1,-4,1],[0,1,0]]"},
        {"sobel_x", "[[-1,0,1],[-2,0,2],[-1,0,1]]"},       {"sobel_y", "[[-1,-2,-1],[0,0,0],[1,2,1]]"},
        {"prewitt_x", "[[-1,0,1],[-1,0,1],[-1,0,1]]"},     {"prewitt_y", "[[-1,-1,-1],[0,0,0],[1,1,1]]"},
        {"scharr_x", "[[-3,0,3],[-10,0,10],[-3,0,3]]"},    {"scharr_y", "[[-3,-10,-3],[0,0,0],[3,10,3]]"},
        {"vertical_edge", "[[1,0,-1],[1,0,-1],[1,0,-1]]"}, {"horizontal_edge", "[[1,1,1],[0,0,0],[-1,-1,-1]]"},
    };
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        check_output(daemon_child, kernels[i].name, "/v1/convolve",
                     textf("{'input':[[1]],'kernel':'%s'}", kernels[i].name), kernels[i].values);
        check_output(daemon_child, textf("%s as an object", kernels[i].name), "/v1/convolve",
                     textf("{'input':[[1]],'kernel':{'name':'%s'}}", kernels[i].name), kernels[i].values);
    }
    check_output(daemon_child, "correlate turns around what is seen", "/v1/correlate",
                 "{'input':[[1]],'kernel':'emboss'}", "[[2,1,0],[1,1,-1],[0,-1,-2]]");
    check_output(daemon_child, "laplacian of one axis", "/v1/convolve", "{'input':[1],'kernel':'laplacian'}",
                 "[1,-2,1]");
    check_output(daemon_child, "laplacian of three axes", "/v1/convolve", "{'input':[[[1]]],'kernel':'laplacian'}",
                 "[[[0,0,0],[0,1,0],[0,0,0]],[[0,1,0],[1,-6,1],[0,1,0]],[[0,0,0],[0,1,0],[0,0,0]]]");
    check_output(daemon_child, "a kernel takes the rank of the axes", "/v1/convolve",
                 "{'input':[[1],[2]],'kernel':'laplacian','axes':1}", "[[1,-2,1],[2,-4,2]]");
    check_output(daemon_child, "identity", "/v1/correlate", "{'input':[[1,2],[3,4]],'kernel':'identity','mode':'same'}",
                 "[[1,2],[3,4]]");
    check_output(daemon_child, "identity of three axes", "/v1/correlate",
                 "{'input':[[[1,2],[3,4]]],'kernel':'identity','mode':'same'}", "[[[1,2],[3,4]]]");
    check_output(daemon_child, "under int64", "/v1/convolve", "{'input':[[2]],'kernel':'sobel_x','dtype':'int64'}",
                 "[[-2,0,2],[-4,0,4],[-2,0,2]]");
}

static void named_kernels_of_fractions(void **state)
{
    (void)state;
    static const double gaussian[] = {0.00013383062461474175, 0.004431861620031266, 0.053991127420704395,
                                      0.24197144565660073,    0.39894346935609776,  0.24197144565660073,
                                      0.053991127420704395,   0.004431861620031266, 0.00013383062461474175};
    check_near(daemon_child, "gaussian", "/v1/convolve", "{'input':[1],'kernel':'gaussian'}", gaussian, 9, 1e-15);
    static const double of_half[] = {0.00026386508273735414, 0.10645077197359151, 0.7865707258873423,
                                     0.10645077197359151, 0.00026386508273735414};
    check_near(daemon_child, "gaussian, sigma 0.5", "/v1/convolve",
               "{'input':[1],'kernel':{'name':'gaussian','sigma':0.5}}", of_half, 5, 1e-15);
    static const double sized[] = {0.011343736558495075, 0.08381950580221062, 0.011343736558495075,
                                   0.08381950580221062,  0.6193470305571774,  0.08381950580221062,
                                   0.011343736558495075, 0.08381950580221062, 0.011343736558495075};
    check_near(daemon_child, "gaussian, sigma 0.5, size 3", "/v1/convolve",
               "{'input':[[1]],'kernel':{'name':'gaussian','size':3,'sigma':0.5}}", sized, 9, 1e-15);
    static const double laplace[] = {
        0.0020074593692211264, 0.03545489296025013, 0.1619733822621132,   0, -0.39894346935609776, 0,
        0.1619733822621132,    0.03545489296025013, 0.0020074593692211264};
    check_near(daemon_child, "laplacian_of_gaussian", "/v1/convolve", "{'input':[1],'kernel':'laplacian_of_gaussian'}",
               laplace, 9, 1e-15);
    static const double unsharp[] = {
        -1.392495637759815e-07, -5.617728350853389e-05, -0.0004150970993300886, -5.617728350853389e-05,
        -1.392495637759815e-07, -5.617728350853389e-05, -0.022663533707547152,  -0.16746212196507168,
        -0.022663533707547152,  -5.617728350853389e-05, -0.0004150970993300886, -0.16746212196507168,
        1.7626129863541187,     -0.16746212196507168,   -0.0004150970993300886, -5.617728350853389e-05,
        -0.022663533707547152,  -0.16746212196507168,   -0.022663533707547152,  -5.617728350853389e-05,
        -1.392495637759815e-07, -5.617728350853389e-05, -0.0004150970993300886, -5.617728350853389e-05,
        -1.392495637759815e-07};
    check_near(daemon_child, "unsharp", "/v1/convolve",
               "{'input':[[1]],'kernel':{'name':'unsharp','sigma':0.5,'amount':2}}", unsharp, 25, 1e-14);
    static const double fifths[] = {0.2, 0.2, 0.2, 0.2, 0.2};
    check_near(daemon_child, "box", "/v1/convolve", "{'input':[1],'kernel':{'name':'box','size':5}}", fifths, 5, 1e-16);
    static const double one[] = {1};
    static const char *const summed[] = {"'box'",
                                         "'disk'",
                                         "'motion_blur'",
                                         "'gaussian'",
                                         "{'name':'disk','radius':3}",
                                         "{'name':'motion_blur','size':7,'angle':30}"};
    for (size_t i = 0; i < sizeof summed / sizeof *summed; i++) /* edge repeats the 1 however far */
        check_near(daemon_child, summed[i], "/v1/correlate",
                   textf("{'input':[[1]],'kernel':%s,'boundary':'edge','mode':'same'}", summed[i]), one, 1, 1e-14);
}

static void named_kernels_with_faults(void **state)
{
    (void)state;
    static const struct {
        const char *name, *kernel, *slug, *pointer, *word;
    } cases[] = {
        {"unknown, with the nearest", "'sobel_z'", "unknown-kernel", "/kernel", "sobel_"},
        {"unknown, as an object", "{'name':'gausian'}", "unknown-kernel", ANY_POINTER, "gaussian"},
        {"even size", "{'name':'box','size':4}", "invalid-value", "/kernel/size", NULL},
        {"size below 1", "{'name':'box','size':0}", "invalid-value", "/kernel/size", NULL},
        {"negative sigma", "{'name':'gaussian','sigma':-1}", "invalid-value", "/kernel/sigma", NULL},
        {"sigma 0", "{'name':'gaussian','sigma':0}", "invalid-value", "/kernel/sigma", NULL},
        {"a parameter of another kernel", "{'name':'box','sigma':1}", "unknown-member", "/kernel/sigma", NULL},
        {"unknown parameter", "{'name':'gaussian','sgima':1}", "unknown-member", "/kernel/sgima", "sigma"},
        {"parameter twice", "{'name':'box','size':3,'size':3}", "duplicate-member", "/kernel/size", NULL},
        {"parameter no number", "{'name':'gaussian','sigma':'1'}", "invalid-value", "/kernel/sigma", NULL},
        {"name no string", "{'name':1}", "invalid-value", "/kernel/name", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_problem(daemon_child, cases[i].name, "/v1/convolve",
                      textf("{'input':[[1]],'kernel':%s}", cases[i].kernel), 422, cases[i].slug, cases[i].pointer,
                      NO_OFFSET, cases[i].word);
    check_problem(daemon_child, "only for two axes", "/v1/convolve", "{'input':[1],'kernel':'sobel_x'}", 422,
                  "invalid-value", ANY_POINTER, NO_OFFSET, NULL);
    check_problem(daemon_child, "only for three axes", "/v1/convolve", "{'input':[[[[1]]]],'kernel':'box'}", 422,
                  "invalid-value", ANY_POINTER, NO_OFFSET, NULL);
}

/* ---- bodies ---- */

static void any_media_type_is_json(void **state)
{
    (void)state;
    static const char *const types[] = {
        "Content-Type: application/json",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type: application/json; charset=utf-8",
        "Content-Type:",
        "Content-Type: application/octet-stream",
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *const headers[] = {types[i], NULL};
        struct call call = {.path = "/v1/convolve", .body = "{\"input\":[1,2],\"kernel\":[3]}", .headers = headers};
        struct answer answer = http_call(daemon_child, &call);
        check_number(types[i], "status", answer.status, 200);
        check_text(types[i], "output", member_text(answer.body, "output"), "[3,6]");
    }
}

/* Random odd numbers in a nested array of this shape: their digits are their shortest text. */
static char *random_array(size_t rows, size_t columns, long span)
{
    char *text = malloc(rows * columns * 24 + rows * 4 + 16), *to = text;
    assert_non_null(text);
    *to++ = '[';
    for (size_t row = 0; row < rows; row++) {
        to += sprintf(to, "%s[", row ? "," : "");
        for (size_t column = 0; column < columns; column++)
            to += sprintf(to, "%s%ld", column ? "," : "", (random() % (2 * span + 1) - span) | 1);
        *to++ = ']';
    }
    *to++ = ']';
    *to = 0;
    return text;
}

/* A kernel of one 1 gives the input back: its text must come back byte for byte, through every buffer. */
static void large_arrays_come_back(void **state)
{
    (void)state;
    static const struct {
        const char *name, *dtype;
        size_t rows, columns;
        long span;
    } cases[] = {
        {"float64, 300 x 300", "float64", 300, 300, 999},
        {"int64, 200 x 150", "int64", 200, 150, 4000000000000000000},
        {"float32, one long row", "float32", 1, 60000, 9999},
        {"float64, one long column", "float64", 30000, 1, 9999999},
    };
    srandom(7);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *array = random_array(cases[i].rows, cases[i].columns, cases[i].span);
        struct call call = {.path = "/v1/correlate"};
        call.body = textf("{\"input\":%s,\"kernel\":[[1]],\"dtype\":\"%s\"}", array, cases[i].dtype);
        for (int chunked = 0; chunked < 2; chunked++) {
            call.chunked = chunked;
            struct answer answer = http_call(daemon_child, &call);
            const char *name = textf("%s%s", cases[i].name, chunked ? ", chunked" : "");
            check_number(name, "status", answer.status, 200);
            const char *found = member_text(answer.body, "output");
            if (!found || strcmp(found, array) != 0)
                complain(name, "the output is not the input: %.200s... for %.200s...", found ? found : "(absent)",
                         array);
        }
        free(array);
    }
}

static void deadlines_that_hold(void **state)
{
    (void)state;
    check_output(daemon_child, "a minute", "/v1/convolve", "{'input':[1],'kernel':[2],'timeout_ms':60000}", "[2]");
    check_output(daemon_child, "more than the server's", "/v1/convolve",
                 "{'input':[1],'kernel':[2],'timeout_ms':9007199254740992}", "[2]");
    check_output(daemon_child, "a whole number written otherwise", "/v1/convolve",
                 "{'input':[1],'kernel':[2],'timeout_ms':1e4}", "[2]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(plans),
        HTTP_TEST(plans_find_faults),
        HTTP_TEST(named_kernels_of_integers),
        HTTP_TEST(named_kernels_of_fractions),
        HTTP_TEST(named_kernels_with_faults),
        HTTP_TEST(any_media_type_is_json),
        HTTP_TEST(large_arrays_come_back),
        HTTP_TEST(deadlines_that_hold),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
