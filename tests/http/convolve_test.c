/* SPDX-License-Identifier: MIT */
/* /v1/convolve and /v1/correlate: every member, every notation of tensors, every dtype. expected.def holds the requests whose
 * answers SciPy and NumPy gave (make_expected.py); the rest is what SciPy has no word for: notations, exactness, notes. */
#include "tests/http/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name, *path, *request, *expected;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_output(daemon_child, rows[i].name, rows[i].path, rows[i].request, rows[i].expected);
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

static void agrees_with_scipy(void **state)
{
    (void)state;
    static const struct {
        const char *name, *path, *request, *expected, *shape, *dtype;
    } cases[] = {
#define EXPECTED(...) {__VA_ARGS__},
#include "tests/http/expected.def"
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = cases[i].name;
        struct answer answer = http_post(daemon_child, cases[i].path, cases[i].request);
        if (answer.status != 200) {
            complain(name, "status\n        found    %ld %s\n        expected 200", answer.status, answer.body);
            continue;
        }
        const char *expected = json(cases[i].expected);
        if (expected[0] == '{') {
            static const char *const parts[] = {"shape", "real", "imag"};
            for (size_t part = 0; part < 3; part++)
                check_member(name, &answer, textf("output/%s", parts[part]), member_text(expected, parts[part]));
        } else {
            check_text(name, "output", member_text(answer.body, "output"), expected);
        }
        check_member(name, &answer, "shape", cases[i].shape);
        check_member(name, &answer, "dtype", textf("'%s'", cases[i].dtype));
        check_member(name, &answer, "flipped", strstr(cases[i].path, "convolve") ? "true" : "false");
        if (!strchr(cases[i].request, '.'))
            check_member(name, &answer, "error_bound", "0");
    }
}

static void tensors_in_every_notation(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"nested", "/v1/convolve", "{'input':[[1,2],[3,4]],'kernel':[[1,1]],'mode':'valid'}", "[[3],[7]]"},
        {"flat", "/v1/convolve",
         "{'input':{'shape':[2,2],'data':[1,2,3,4]},'kernel':{'data':[1,1],'shape':[1,2]},'mode':'valid'}",
         "[[3],[7]]"},
        {"base64", "/v1/convolve",
         "{'input':{'shape':[2,2],'dtype':'float32','base64':'AACAPwAAAEAAAEBAAACAQA=='},'kernel':[[1,1]],"
         "'mode':'valid'}",
         "[[3],[7]]"},
        {"base64, members in another order", "/v1/convolve",
         "{'kernel':[1],'input':{'base64':'AAAAAAAA8D8AAAAAAAAAQA==','dtype':'float64','shape':[2]}}", "[1,2]"},
        {"base64 int64", "/v1/convolve",
         "{'kernel':[1],'dtype':'int64','input':{'base64':'AQAAAAAAIAD//////////w==','dtype':'int64','shape':[2]}}",
         "[9007199254740993,-1]"},
        {"a typed tensor converts by value", "/v1/convolve",
         "{'kernel':[1],'dtype':'int64','input':{'base64':'AAAAAAAA8D8AAAAAAAAAQA==','dtype':'float64','shape':[2]}}",
         "[1,2]"},
        {"rank 0", "/v1/convolve", "{'input':3,'kernel':-4}", "-12"},
        {"rank 0 flat", "/v1/correlate", "{'input':{'shape':[],'data':[3]},'kernel':{'shape':[],'data':[2]}}", "6"},
        {"white space", "/v1/convolve", " \t\r\n{ 'input' :\n[ 1 ,\t2 ] , 'kernel':\r[ 1 ] }\n \t", "[1,2]"},
        {"escaped names", "/v1/convolve", "{'\\u0069nput':[1,2],'ker\\u006eel':[1],'mode':'f\\u0075ll'}", "[1,2]"},
        {"numbers in every form", "/v1/convolve", "{'input':[1E2,1e+2,10e-1,0.5e1,1.50,-0.25,0,0e5],'kernel':[1]}",
         "[100,100,1,5,1.5,-0.25,0,0]"},
        {"solidus escaped", "/v1/correlate",
         "{'input':{'shape':[2],'dtype':'int64','base64':"
         "'AQAAAAAAIAD\\/\\/\\/\\/\\/\\/\\/\\/\\/\\/w=='},'kernel':[1],'dtype':'int64'}",
         "[9007199254740993,-1]"},
    };
    CHECK_ROWS(rows);
}

static void output_in_every_format(void **state)
{
    (void)state;
    static const struct {
        const char *name, *request, *path, *expected;
    } cases[] = {
        {"nested", "{'input':[[1,2]],'kernel':[[3]],'format':'nested'}", "output", "[[3,6]]"},
        {"flat shape", "{'input':[[1,2]],'kernel':[[3]],'format':'flat'}", "output/shape", "[1,2]"},
        {"flat data", "{'input':[[1,2]],'kernel':[[3]],'format':'flat'}", "output/data", "[3,6]"},
        {"flat rank 0", "{'input':2,'kernel':3,'format':'flat'}", "output/data", "[6]"},
        {"base64 shape", "{'input':[1],'kernel':[3],'format':'base64'}", "output/shape", "[1]"},
        {"base64 float64", "{'input':[1],'kernel':[3],'format':'base64'}", "output/base64", "'AAAAAAAACEA='"},
        {"base64 float32", "{'input':[1],'kernel':[3],'format':'base64','dtype':'float32'}", "output/base64",
         "'AABAQA=='"},
        {"base64 dtype", "{'input':[1],'kernel':[3],'format':'base64','dtype':'float32'}", "output/dtype", "'float32'"},
        {"base64 int64", "{'input':[1],'kernel':[3],'format':'base64','dtype':'int64'}", "output/base64",
         "'AwAAAAAAAAA='"},
        {"base64 complex128",
         "{'input':{'shape':[1],'real':[-1],'imag':[2]},'kernel':[1],'format':'base64',"
         "'dtype':'complex128'}",
         "output/base64", "'AAAAAAAA8L8AAAAAAAAAQA=='"},
        {"base64 complex64",
         "{'input':{'shape':[1],'real':[-1],'imag':[2]},'kernel':[1],'format':'base64',"
         "'dtype':'complex64'}",
         "output/base64", "'AACAvwAAAEA='"},
        {"complex flat real",
         "{'input':{'shape':[1,1],'real':[-1],'imag':[2]},'kernel':[[1]],'format':'flat',"
         "'dtype':'complex128'}",
         "output/real", "[-1]"},
        {"complex flat imag",
         "{'input':{'shape':[1,1],'real':[-1],'imag':[2]},'kernel':[[1]],'format':'flat',"
         "'dtype':'complex128'}",
         "output/imag", "[2]"},
        {"complex flat shape",
         "{'input':{'shape':[1,1],'real':[-1],'imag':[2]},'kernel':[[1]],'format':'flat',"
         "'dtype':'complex128'}",
         "output/shape", "[1,1]"},
        {"complex base64 in",
         "{'input':{'shape':[1],'dtype':'complex128','base64':'AAAAAAAA8D8AAAAAAAAAQA=='},"
         "'kernel':[1],'dtype':'complex128'}",
         "output/imag", "[2]"},
        {"complex kernel conjugated",
         "{'kernel':{'shape':[1],'dtype':'complex64','base64':'AACAvwAAAEA='},"
         "'input':[1],'dtype':'complex64'}",
         "output/imag", "[-2]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = http_post(daemon_child, "/v1/correlate", cases[i].request);
        check_number(cases[i].name, "status", answer.status, 200);
        check_member(cases[i].name, &answer, cases[i].path, cases[i].expected);
    }
}

/* Values of any number come back from a kernel of one 1 as they went in, however many pieces their text is made of. */
static void base64_of_every_length(void **state)
{
    (void)state;
    static const struct {
        const char *dtype;
        size_t bytes;
    } dtypes[] = {{"float32", 4}, {"float64", 8}, {"int64", 8}, {"complex64", 8}, {"complex128", 16}};
    static const size_t counts[] = {1, 2, 3, 100, 101, 500, 1000, 3071, 3072, 3073, 6143, 9216, 12288, 12289};
    static const char *const ends[] = {"", "PA==", "PPM="};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++) {
            const size_t bytes = dtypes[i].bytes * counts[j];
            const char *name = textf("%zu of %s", counts[j], dtypes[i].dtype);
            char *expected = text_room(bytes / 3 * 4 + 8);
            expected[0] = '\'';
            memset(expected + 1, 'P', bytes / 3 * 4);
            sprintf(expected + 1 + bytes / 3 * 4, "%s'", ends[bytes % 3]);
            struct answer answer =
                http_post(daemon_child, "/v1/convolve",
                          textf("{'input':{'shape':[%zu],'dtype':'%s','base64':%s},'kernel':[1],'dtype':'%s',"
                                "'format':'base64'}",
                                counts[j], dtypes[i].dtype, expected, dtypes[i].dtype));
            check_number(name, "status", answer.status, 200);
            check_member(name, &answer, "output/base64", expected);
        }
}

/* Where every tensor comes with a type, the result has the one that SciPy's would. */
static void the_dtype_follows_typed_tensors(void **state)
{
    (void)state;
#define F64 "{'shape':[1],'dtype':'float64','base64':'AAAAAAAACEA='}"
#define F32 "{'shape':[1],'dtype':'float32','base64':'AABAQA=='}"
#define I64 "{'shape':[1],'dtype':'int64','base64':'AwAAAAAAAAA='}"
#define C64 "{'shape':[1],'dtype':'complex64','base64':'AABAQAAAAAA='}"
    static const struct {
        const char *input, *kernel, *expected;
    } cases[] = {
        {F64, F64, "'float64'"},   {F32, F32, "'float32'"},     {I64, I64, "'int64'"},
        {C64, C64, "'complex64'"}, {F32, F64, "'float64'"},     {F32, I64, "'float64'"},
        {C64, F32, "'complex64'"}, {C64, F64, "'complex128'"},  {F32, "[1]", "'float64'"},
        {"[1]", I64, "'float64'"}, {F32, "'box'", "'float32'"}, {"[1]", "'box'", "'float64'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *request = textf("{'input':%s,'kernel':%s}", cases[i].input, cases[i].kernel);
        struct answer answer = http_post(daemon_child, "/v1/convolve", request);
        check_number(request, "status", answer.status, 200);
        check_member(request, &answer, "dtype", cases[i].expected);
    }
}

static void int64_is_exact(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"beyond 2^53", "/v1/convolve", "{'dtype':'int64','input':[9007199254740993,-9007199254740995],'kernel':[1]}",
         "[9007199254740993,-9007199254740995]"},
        {"dtype after the numbers", "/v1/convolve", "{'input':[9007199254740993],'kernel':[3],'dtype':'int64'}",
         "[27021597764222979]"},
        {"the ends of int64", "/v1/convolve",
         "{'dtype':'int64','input':[9223372036854775807,-9223372036854775808],'kernel':[1]}",
         "[9223372036854775807,-9223372036854775808]"},
        {"whole numbers written otherwise", "/v1/convolve",
         "{'dtype':'int64','input':[1.0,1.2e2,-2.50e1],'kernel':[1]}", "[1,120,-25]"},
        {"partial sums may pass beyond", "/v1/correlate",
         "{'dtype':'int64','input':[9223372036854775807,9223372036854775807,-9223372036854775807],"
         "'kernel':[1,1,1],'mode':'valid'}",
         "[9223372036854775807]"},
        {"products may pass beyond", "/v1/correlate",
         "{'dtype':'int64','input':[4611686018427387904,4611686018427387904],'kernel':[4,-4],'mode':'valid'}", "[0]"},
        {"float64 rounds the same numbers", "/v1/convolve", "{'input':[9007199254740993],'kernel':[1]}",
         "[9007199254740992]"},
    };
    CHECK_ROWS(rows);
}

static void numbers_are_the_shortest(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0.1 + 0.2", "/v1/correlate", "{'input':[0.1,0.2],'kernel':[1,1],'mode':'valid'}", "[0.30000000000000004]"},
        {"0.1 + 0.2 in float32", "/v1/correlate", "{'input':[0.1,0.2],'kernel':[1,1],'mode':'valid','dtype':'float32'}",
         "[0.3]"},
        {"thirds", "/v1/convolve", "{'input':[0.3333333333333333,0.6666666666666666],'kernel':[1]}",
         "[0.3333333333333333,0.6666666666666666]"},
        {"float32 thirds", "/v1/convolve", "{'input':[0.3333333333333333,0.1,16777216],'kernel':[1],'dtype':'float32'}",
         "[0.33333334,0.1,16777216]"},
        {"an integral value has no fraction", "/v1/convolve", "{'input':[2.0,0.5],'kernel':[2]}", "[4,1]"},
        {"more digits than a double holds", "/v1/convolve",
         "{'input':[0.1000000000000000055511151231257827,123456789.123],'kernel':[1]}", "[0.1,123456789.123]"},
        {"a product below every double keeps its sign", "/v1/convolve", "{'input':[-1e-200],'kernel':[1e-200]}",
         "[-0]"},
    };
    CHECK_ROWS(rows);
    static const char *const extremes[] = {"5e-324",
                                           "1.7976931348623157e308",
                                           "2.2250738585072014e-308",
                                           "1e23",
                                           "-1e-7",
                                           "9.999999999999999e22",
                                           "1.2345e-10",
                                           "1e300"};
    for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++) {
        struct answer answer = http_post(daemon_child, "/v1/convolve", textf("{'input':%s,'kernel':1}", extremes[i]));
        const char *found = member_text(answer.body, "output");
        if (!found || strtod(found, NULL) != atof(extremes[i]) || strlen(found) > strlen(extremes[i]) + 1)
            check_text(extremes[i], "output", found, extremes[i]);
    }
}

static void nonfinite_results(void **state)
{
    (void)state;
#define NAN_AND_INFINITY                                                                                               \
    "{'shape':[5],'dtype':'float64','base64':'AAAAAAAA+H8AAAAAAADwPwAAAAAAAABAAAAAAAAA8H8AAAAAAAAUQA=='}"
    struct answer answer = check_output(
        daemon_child, "null", "/v1/convolve",
        "{'input':" NAN_AND_INFINITY ",'kernel':[1,1],'mode':'valid','nonfinite':'null'}", "[null,3,null,null]");
    check_member("null", &answer, "error_bound", "null");
    check_output(daemon_child, "overflow to null", "/v1/convolve",
                 "{'input':[1e308,1],'kernel':[10],'nonfinite':'null'}", "[null,10]");
    check_output(daemon_child, "null where nothing is", "/v1/convolve",
                 "{'input':[1],'kernel':[10],'nonfinite':'null'}", "[10]");
    static const char *const refused[] = {
        "{'input':" NAN_AND_INFINITY ",'kernel':[1,1],'mode':'valid','nonfinite':'error'}",
        "{'input':" NAN_AND_INFINITY ",'kernel':[1,1]}",
        "{'input':[1e308],'kernel':[10]}",
        "{'input':[3e38],'kernel':[10],'dtype':'float32'}",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        check_problem(daemon_child, refused[i], "/v1/convolve", refused[i], 422, "non-finite-result", ANY_POINTER,
                      NO_OFFSET, NULL);
}

static void error_bounds(void **state)
{
    (void)state;
    struct answer answer =
        check_output(daemon_child, "integers", "/v1/convolve", "{'input':[3,4],'kernel':[5,-6]}", "[15,2,-24]");
    check_member("integers", &answer, "error_bound", "0");
    answer = http_post(daemon_child, "/v1/correlate", "{'input':[0.1,0.2],'kernel':[1,1],'mode':'valid'}");
    const char *text = member_text(answer.body, "error_bound");
    double bound = text ? atof(text) : NAN;
    if (!(bound >= 2.77e-17 && bound < 1e-14)) /* the sum of the two doubles is that far from 0.30000000000000004 */
        check_text("0.1 + 0.2", "error_bound", text, "between 2.77e-17 and 1e-14");
    answer =
        http_post(daemon_child, "/v1/correlate", "{'input':[0.1,0.2],'kernel':[1,1],'mode':'valid','dtype':'float32'}");
    text = member_text(answer.body, "error_bound");
    bound = text ? atof(text) : NAN;
    if (!(bound >= 0 && bound < 1e-5))
        check_text("0.1 + 0.2 in float32", "error_bound", text, "between 0 and 1e-5");
}

static void methods(void **state)
{
    (void)state;
    struct answer answer =
        check_output(daemon_child, "direct", "/v1/convolve", "{'input':[1,2],'kernel':[1],'method':'direct'}", "[1,2]");
    check_member("direct", &answer, "method", "'direct'");
    answer =
        check_output(daemon_child, "auto", "/v1/convolve", "{'input':[1,2],'kernel':[1],'method':'auto'}", "[1,2]");
    const char *method = member_text(answer.body, "method");
    if (!method || !strstr("\"direct\" \"separable\" \"fft\" \"overlap_add\"", method))
        check_text("auto", "method", method, "the method that ran");
}

static void notes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *path, *request, *note; /* NULL: no notes */
    } cases[] = {
        {"places changed", "/v1/convolve", "{'input':[1,2],'kernel':[1,2,3],'mode':'valid'}", "places-changed"},
        {"places changed, correlate", "/v1/correlate", "{'input':[1,2],'kernel':[1,2,3],'mode':'valid'}",
         "places-changed"},
        {"places changed by dilation", "/v1/correlate", "{'input':[1,2],'kernel':[1,2],'dilation':3,'mode':'valid'}",
         "places-changed"},
        {"equally long", "/v1/convolve", "{'input':[1,2],'kernel':[1,2],'mode':'valid'}", NULL},
        {"shorter input, full", "/v1/convolve", "{'input':[1,2],'kernel':[1,2,3]}", NULL},
        {"channels first", "/v1/convolve", "{'input':[[[1,2]],[[3,4]]],'kernel':[[[1]],[[1]]],'mode':'valid'}",
         "channels-flipped"},
        {"channels last", "/v1/convolve", "{'input':[[[1,2,3]],[[3,4,5]]],'kernel':[[[1,1,1]]],'mode':'valid'}",
         "channels-flipped"},
        {"channels, correlate", "/v1/correlate", "{'input':[[[1,2]],[[3,4]]],'kernel':[[[1]],[[1]]],'mode':'valid'}",
         NULL},
        {"channels, full", "/v1/convolve", "{'input':[[[1,2]],[[3,4]]],'kernel':[[[1]],[[1]]]}", NULL},
        {"rank 2", "/v1/convolve", "{'input':[[1,2],[3,4]],'kernel':[[1],[1]],'mode':'valid'}", NULL},
        {"one channel", "/v1/convolve", "{'input':[[[1,2]]],'kernel':[[[1]]],'mode':'valid'}", NULL},
        {"five channels", "/v1/convolve",
         "{'input':[[[1]],[[2]],[[3]],[[4]],[[5]]],'kernel':[[[1]],[[1]],[[1]],[[1]],[[1]]],'mode':'valid'}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = http_post(daemon_child, cases[i].path, cases[i].request);
        const char *found = member_text(answer.body, "notes");
        check_number(cases[i].name, "status", answer.status, 200);
        if (!cases[i].note)
            check_text(cases[i].name, "notes", found, NULL);
        else
            check_holds(cases[i].name, "notes", found, textf("\"/problems/%s\"", cases[i].note));
        if (found)
            check_holds(cases[i].name, "notes", found, "\"detail\":\"");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(agrees_with_scipy),
        HTTP_TEST(tensors_in_every_notation),
        HTTP_TEST(output_in_every_format),
        HTTP_TEST(base64_of_every_length),
        HTTP_TEST(the_dtype_follows_typed_tensors),
        HTTP_TEST(int64_is_exact),
        HTTP_TEST(numbers_are_the_shortest),
        HTTP_TEST(nonfinite_results),
        HTTP_TEST(error_bounds),
        HTTP_TEST(methods),
        HTTP_TEST(notes),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
