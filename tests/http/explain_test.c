/* SPDX-License-Identifier: MIT */
/* /v1/explain: values, terms and formulas that can be worked by hand, what is not always in the answer, each fault, other notations,
 * limits. explain_every_test.c compares it with the operations. */
#include "tests/http/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#define EXPLAIN "/v1/explain"

/* ---- By hand ---- */

struct row {
    const char *name, *request, *value, *terms, *formula; /* the last two may be NULL */
};

/* Five words a term: input_index, input, kernel_index, kernel, product. */
static const char *terms_of(const char *words)
{
    static const char *const names[] = {"input_index", "input", "kernel_index", "kernel", "product"};
    const char *terms = "[";
    for (unsigned i = 0; *words; i++) {
        const size_t bytes = strcspn(words, " ;");
        terms = textf("%s%s'%s':%.*s", terms, i == 0 ? "{" : i % 5 == 0 ? "},{" : ",", names[i % 5], (int)bytes, words);
        words += bytes;
        words += strspn(words, " ;");
    }
    return textf("%s%s]", terms, strlen(terms) > 1 ? "}" : "");
}

#define PICTURE "'input':[[0,0,0],[1,1,2],[1,3,0]],'kernel':[[4,1,1],[0,3,3],[2,1,2]]"

static void by_hand(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"the contract's", "{'op':'correlate','index':[0,0]," PICTURE ",'mode':'valid'}", "14",
         "[0,0] 0 [0,0] 4 0; [0,1] 0 [0,1] 1 0; [0,2] 0 [0,2] 1 0; [1,0] 1 [1,0] 0 0; [1,1] 1 [1,1] 3 3; [1,2] 2 [1,2] "
         "3 6; [2,0] 1 [2,0] 2 2; [2,1] 3 [2,1] 1 3; [2,2] 0 [2,2] 2 0",
         "0·4 + 0·1 + 0·1 + 1·0 + 1·3 + 2·3 + 1·2 + 3·1 + 0·2 = 14"},
        {"flipped", "{'op':'convolve','index':[0,0]," PICTURE ",'mode':'valid'}", "10", NULL,
         "0·2 + 0·1 + 0·2 + 1·3 + 1·3 + 2·0 + 1·1 + 3·1 + 0·4 = 10"},
        {"outside is 0", "{'op':'convolve','index':[0],'input':[1,2],'kernel':[3,4]}", "3",
         "null 0 [1] 4 0; [0] 1 [0] 3 3", "0·4 + 1·3 = 3"},
        {"a fillvalue", "{'op':'correlate','index':[0],'input':[1,2],'kernel':[3,4],'fillvalue':-5}", "-11",
         "null -5 [0] 3 -15; [0] 1 [1] 4 4", "(-5)·3 + 1·4 = -11"},
        {"a boundary", "{'op':'correlate','index':[0],'input':[1,2],'kernel':[3,4],'boundary':'wrap'}", "10",
         "null 2 [0] 3 6; [0] 1 [1] 4 4", NULL},
        {"stride and dilation",
         "{'op':'correlate','index':[1],'input':[1,2,3,4,5],'kernel':[1,10],'mode':'valid','stride':2,'dilation':2}",
         "53", "[2] 3 [0] 1 3; [4] 5 [1] 10 50", "3·1 + 5·10 = 53"},
        {"places changed", "{'op':'correlate','index':[0],'input':[1,2],'kernel':[1,10,100],'mode':'valid'}", "210",
         "[0] 1 [1] 10 10; [1] 2 [2] 100 200", NULL},
        {"a slice", "{'op':'correlate','index':[1,0],'input':[[1,2],[3,4]],'kernel':[1,10],'axes':1,'mode':'valid'}",
         "43", "[1,0] 3 [0] 1 3; [1,1] 4 [1] 10 40", NULL},
        {"a kernel by name", "{'op':'correlate','index':[1],'input':[1,2,4],'kernel':'laplacian','mode':'same'}", "1",
         NULL, "1·1 + 2·(-2) + 4·1 = 1"},
        {"rank 0", "{'op':'convolve','index':[],'input':2,'kernel':3}", "6", "[] 2 [] 3 6", "2·3 = 6"},
        {"an integer for one axis", "{'op':'convolve','index':1,'input':[1,2],'kernel':[3]}", "6", NULL, "2·3 = 6"},
        {"fractions", "{'op':'convolve','index':[0],'input':[0.1],'kernel':[0.2]}", "0.020000000000000004", NULL,
         "0.1·0.2 = 0.020000000000000004"},
        {"float32", "{'op':'convolve','index':[0],'input':[0.1],'kernel':[0.2],'dtype':'float32'}", "0.020000001",
         "[0] 0.1 [0] 0.2 0.020000001", NULL},
        {"beyond int64 and back",
         "{'op':'correlate','index':[0],'input':[9223372036854775807,9223372036854775807],'kernel':[-4,4],"
         "'mode':'valid','dtype':'int64'}",
         "0",
         "[0] 9223372036854775807 [0] -4 -36893488147419103228; [1] 9223372036854775807 [1] 4 36893488147419103228",
         NULL},
        {"infinity as null", "{'op':'convolve','index':[0],'input':[1e200],'kernel':[1e200],'nonfinite':'null'}",
         "null", "[0] 1e200 [0] 1e200 null", "1e200·1e200 = inf"},
        {"other outputs may be infinite", "{'op':'convolve','index':[1],'input':[1e200,1],'kernel':[1e200]}", "1e200",
         NULL, NULL},
        {"a method and a format change nothing",
         "{'op':'convolve','index':[0],'input':[0.1],'kernel':[0.2],'method':'fft','format':'base64'}",
         "0.020000000000000004", NULL, NULL},
        {"conv", "{'op':'conv','index':[0,0],'input':[[1,2],[3,4]],'weight':[[[1,10],[100,1000]]],'bias':[-1]}", "4320",
         "[0,0] 1 [0,0,0] 1 1; [0,1] 2 [0,0,1] 10 20; [1,0] 3 [0,1,0] 100 300; [1,1] 4 [0,1,1] 1000 4000",
         "1·1 + 2·10 + 3·100 + 4·1000 + (-1) = 4320"},
        {"padding", "{'op':'conv','index':[0,0],'input':[[1,2]],'weight':[[[1,10]]],'padding':1}", "10",
         "null 0 [0,0,0] 1 0; [0,0] 1 [0,0,1] 10 10", NULL},
        {"circular padding",
         "{'op':'conv','index':[0,0],'input':[[1,2]],'weight':[[[1,10]]],'padding':1,'padding_mode':'circular'}", "12",
         "null 2 [0,0,0] 1 2; [0,0] 1 [0,0,1] 10 10", NULL},
        {"channels last",
         "{'op':'conv','index':[0,0],'input':[[1,3],[2,4]],'weight':[[[1,100],[10,1000]]],'layout':'channels_last'}",
         "4321", "[0,0] 1 [0,0,0] 1 1; [1,0] 2 [0,1,0] 10 20; [0,1] 3 [0,0,1] 100 300; [1,1] 4 [0,1,1] 1000 4000",
         NULL},
        {"conv_transpose", "{'op':'conv_transpose','index':[0,1],'input':[[1,2,3]],'weight':[[[1,10]]]}", "12",
         "[0,1] 2 [0,0,0] 1 2; [0,0] 1 [0,0,1] 10 10", "2·1 + 1·10 = 12"},
        {"no term", "{'op':'conv_transpose','index':[0,1],'input':[[1,2]],'weight':[[[1]]],'stride':3,'bias':[7]}", "7",
         "", "0 + 7 = 7"},
        {"no term and no bias", "{'op':'conv_transpose','index':[0,1],'input':[[1,2]],'weight':[[[1]]],'stride':3}",
         "0", "", "0 = 0"},
        {"backward_input",
         "{'op':'conv_backward_input','index':[0,1],'grad_output':[[1,10]],'weight':[[[2,3]]],'input_shape':[1,3]}",
         "23", "[0,1] 10 [0,0,0] 2 20; [0,0] 1 [0,0,1] 3 3", NULL},
        {"backward_weight",
         "{'op':'conv_backward_weight','index':[0,0,1],'grad_output':[[1,10]],'input':[[1,2,3]],"
         "'weight_shape':[1,1,2]}",
         "32", "[0,1] 2 [0,0] 1 2; [0,2] 3 [0,1] 10 30", "2·1 + 3·10 = 32"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct answer answer = http_post(daemon_child, EXPLAIN, row->request);
        check_number(row->name, "status", answer.status, 200);
        check_member(row->name, &answer, "value", row->value);
        if (row->terms)
            check_member(row->name, &answer, "terms", terms_of(row->terms));
        if (row->formula)
            check_member(row->name, &answer, "formula", textf("'%s'", row->formula));
    }
}

/* The whole text, and what is not always there. */
static void members_of_the_answer(void **state)
{
    (void)state;
    struct answer answer =
        http_post(daemon_child, EXPLAIN, "{'op':'conv','index':[0,0],'input':[[2]],'weight':[[[3]]],'bias':[1]}");
    check_text("bias", "answer", answer.body,
               json("{'value': 7, 'bias': 1, 'terms': [{'input_index': [0, 0], 'input': 2, 'kernel_index': [0, 0, 0], "
                    "'kernel': 3, 'product': 6}], 'formula': '2·3 + 1 = 7'}\n"));
    check_text("bias", "Content-Type", header_of(&answer, "Content-Type"), "application/json");
    answer = http_post(daemon_child, EXPLAIN, "{'op':'convolve','index':[0],'input':[2],'kernel':[3]}");
    check_text("no layer", "bias", member_text(answer.body, "bias"), NULL);
    check_text("nothing missing", "scale", member_text(answer.body, "scale"), NULL);

    static const char complex_request[] =
        "{'op':'%s','index':[0],'input':{'shape':[1],'real':[1],'imag':[2]},'kernel':{'shape':[1],'real':[3],"
        "'imag':[4]},'dtype':'%s'}";
    answer = http_post(daemon_child, EXPLAIN, textf(complex_request, "convolve", "complex128"));
    check_member("complex", &answer, "value", "{'real':-5,'imag':10}");
    check_member("complex", &answer, "formula", "'(1+2i)·(3+4i) = -5+10i'");
    answer = http_post(daemon_child, EXPLAIN, textf(complex_request, "correlate", "complex64"));
    check_member("conjugated", &answer, "value", "{'real':11,'imag':2}");
    check_member("conjugated", &answer, "terms",
                 terms_of("[0] {'real':1,'imag':2} [0] {'real':3,'imag':-4} {'real':11,'imag':2}"));

    /* Holes: 1 + 2 * 3, scaled from 3 of 4 weights to all. */
    answer = http_post(daemon_child, EXPLAIN,
                       "{'op':'correlate','index':[1],'input':[1,null,3],'kernel':[1,1,2],'mode':'same',"
                       "'missing':'ignore'}");
    check_member("a hole", &answer, "value", "9.333333333333334");
    check_member("a hole", &answer, "scale", "1.3333333333333333");
    check_member("a hole", &answer, "terms",
                 terms_of("[0] 1 [0] 1 1.3333333333333333; [1] null [1] 1 0; [2] 3 [2] 2 8"));
    check_member("a hole", &answer, "formula", "'(1·1 + 3·2)·1.3333333333333333 = 9.333333333333334'");
    answer = http_post(daemon_child, EXPLAIN,
                       "{'op':'correlate','index':[0],'input':[null],'kernel':[2],'missing':'ignore'}");
    check_member("nothing left", &answer, "value", "null");
    check_member("nothing left", &answer, "scale", "null");
    check_member("nothing left", &answer, "formula", "'(0)·NaN = NaN'");

    /* Many terms: all are told, the formula is cut. */
    answer =
        http_post(daemon_child, EXPLAIN,
                  "{'op':'correlate','index':[0],'input':[1],'kernel':{'name':'box','size':5001},'boundary':'edge',"
                  "'dtype':'float32'}");
    check_number("many", "status", answer.status, 200);
    cJSON *document = cJSON_Parse(answer.body);
    check_number("many", "terms", cJSON_GetArraySize(cJSON_GetObjectItem(document, "terms")), 5001);
    const cJSON *formula = cJSON_GetObjectItem(document, "formula");
    if (!cJSON_IsString(formula) || strlen(formula->valuestring) > 1000 || !strstr(formula->valuestring, " + … = "))
        complain("many", "formula %.100s", formula ? formula->valuestring : "(absent)");
    cJSON_Delete(document);

    answer = http_post(daemon_child, EXPLAIN,
                       "{'op':'convolve','index':[0,3],'input':[[1,2],[3,4]],'kernel':[[1,2,3]],'plan':true}");
    check_member("plan", &answer, "shape", "[2,4]");
    check_member("plan", &answer, "method", "'direct'");
    check_member("plan", &answer, "multiply_adds", "3");
    check_member("plan", &answer, "error_bound", "0");
    answer = http_post(daemon_child, EXPLAIN,
                       "{'op':'conv','index':[0,0,0],'input':{'shape':[64,56,56]},'weight':{'shape':[64,64,3,3]},"
                       "'plan':true}");
    check_member("plan of shapes", &answer, "shape", "[64,54,54]");
    check_member("plan of shapes", &answer, "error_bound", "null");
}

/* ---- Faults, forms and limits ---- */

static void faults(void **state)
{
    (void)state;
    static const struct {
        const char *name, *request, *slug, *pointer, *word;
    } rows[] = {
        {"no op", "{'index':[0],'input':[1],'kernel':[1]}", "missing-member", "/op", NULL},
        {"no index", "{'op':'convolve','input':[1],'kernel':[1]}", "missing-member", "/index", NULL},
        {"no kernel", "{'op':'convolve','index':[0],'input':[1]}", "missing-member", "/kernel", NULL},
        {"no weight", "{'op':'conv','index':[0],'input':[1]}", "missing-member", "/weight", NULL},
        {"an op that is none", "{'op':'corelate','index':[0],'input':[1],'kernel':[1]}", "invalid-value", "/op",
         "did you mean \"correlate\""},
        {"a number for op", "{'op':1,'index':[0],'input':[1],'kernel':[1]}", "invalid-value", "/op", NULL},
        {"image", "{'op':'image','index':[0],'input':[1],'kernel':[1]}", "invalid-value", "/op", NULL},
        {"null", "{'op':null,'index':[0],'input':[1],'kernel':[1]}", "invalid-value", "/op", NULL},
        {"a member of none", "{'op':'convolve','index':[0],'input':[1],'kernal':[1]}", "unknown-member", "/kernal",
         "kernel"},
        {"a layer's member", "{'op':'convolve','index':[0],'input':[1],'weight':[1]}", "unknown-member", "/weight",
         "convolve"},
        {"a layer with kernel", "{'op':'conv','index':[0,0],'input':[[1]],'kernel':[[[1]]]}", "unknown-member",
         "/kernel", "weight"},
        {"output_padding of conv", "{'op':'conv','index':[0,0],'input':[[1]],'weight':[[[1]]],'output_padding':0}",
         "unknown-member", "/output_padding", NULL},
        {"twice", "{'op':'convolve','index':[0],'op':'convolve','input':[1],'kernel':[1]}", "duplicate-member", "/op",
         NULL},
        {"index a word", "{'op':'convolve','index':'first','input':[1],'kernel':[1]}", "invalid-value", "/index", NULL},
        {"index null", "{'op':'convolve','index':null,'input':[1],'kernel':[1]}", "invalid-value", "/index", NULL},
        {"index a fraction", "{'op':'convolve','index':[0.5],'input':[1],'kernel':[1]}", "invalid-value", "/index/0",
         NULL},
        {"index a list of lists", "{'op':'convolve','index':[[0]],'input':[1],'kernel':[1]}", "invalid-value",
         "/index/0", NULL},
        {"beyond the first axis", "{'op':'convolve','index':[2,0],'input':[[1,2],[3,4]],'kernel':[[1]]}",
         "invalid-value", "/index/0", "0 to 1"},
        {"beyond the second axis", "{'op':'convolve','index':[1,2],'input':[[1,2],[3,4]],'kernel':[[1]]}",
         "invalid-value", "/index/1", "0 to 1"},
        {"below 0", "{'op':'convolve','index':[0,-1],'input':[[1,2],[3,4]],'kernel':[[1]]}", "invalid-value",
         "/index/1", "0 to 1"},
        {"too few", "{'op':'convolve','index':[0],'input':[[1,2],[3,4]],'kernel':[[1]]}", "invalid-value", "/index",
         "[2, 2]"},
        {"too many", "{'op':'convolve','index':[0,0,0],'input':[[1,2],[3,4]],'kernel':[[1]]}", "invalid-value",
         "/index", "2 integers"},
        {"nine", "{'op':'convolve','index':[0,0,0,0,0,0,0,0,0],'input':[1],'kernel':[1]}", "invalid-value", "/index",
         NULL},
        {"an integer for two axes", "{'op':'convolve','index':0,'input':[[1,2],[3,4]],'kernel':[[1]]}", "invalid-value",
         "/index", "list of 2"},
        {"values come first", "{'op':'convolve','index':[7],'input':[1],'kernel':[1],'stride':0}", "invalid-value",
         "/stride", NULL},
        {"shapes come before the output's", "{'op':'convolve','index':[7],'input':[1],'kernel':[[1]]}",
         "shape-mismatch", "/kernel", NULL},
        {"a method that cannot", "{'op':'conv','index':[0,0],'input':[[1]],'weight':[[[1]]],'method':'winograd'}",
         "invalid-value", "/method", NULL},
        {"nothing", "{'op':'convolve','index':[0],'input':[],'kernel':[1]}", "empty-tensor", "/input", NULL},
        {"an output of nothing", "{'op':'convolve','index':[0],'input':[],'kernel':[1],'method':'fft'}",
         "invalid-value", "/index/0", "empty"},
        {"overflow", "{'op':'convolve','index':[0],'input':[9223372036854775807],'kernel':[2],'dtype':'int64'}",
         "integer-overflow", NULL, NULL},
        {"infinity", "{'op':'convolve','index':[0],'input':[1e200],'kernel':[1e200]}", "non-finite-result", NULL,
         "nonfinite"},
        {"a kernel that sums to 0",
         "{'op':'correlate','index':[0],'input':[1,null],'kernel':[1,-1],'missing':'ignore'}", "invalid-value",
         "/missing", NULL},
        {"null is no number", "{'op':'correlate','index':[0],'input':[1,null],'kernel':[1]}", "not-a-number",
         "/input/1", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_problem(daemon_child, rows[i].name, EXPLAIN, rows[i].request, 422, rows[i].slug, rows[i].pointer,
                      NO_OFFSET, rows[i].word);
    struct answer answer = http_get(daemon_child, EXPLAIN);
    check_problem_in("GET", &answer, 405, "method-not-allowed", NULL, NO_OFFSET, NULL);
}

static void forms(void **state)
{
    (void)state;
    const float values[] = {1, 2, 3};
    const struct bytes file = npy_file("<f4", "(3,)", values, sizeof values);
    struct answer answer =
        npy_post(daemon_child, EXPLAIN "?op=correlate&index=[1]&kernel=[1,10]&mode=valid", file, NULL);
    check_number(".npy", "status", answer.status, 200);
    check_member(".npy", &answer, "value", "32");
    answer = npy_post(daemon_child, EXPLAIN "?op=correlate&index=1&kernel=box", file, NULL);
    check_member("a typed input and a name", &answer, "value", "1");
    answer = npy_post(daemon_child, EXPLAIN "?op=nope&index=1&kernel=box", file, NULL);
    check_problem_in("op in the query", &answer, 422, "invalid-value", "/op", NO_OFFSET, NULL);
    answer = npy_post(daemon_child, EXPLAIN "?op=convolve&index=[0]&kernel=[1]", file, "application/x-npy");
    check_problem_in("no .npy answer", &answer, 406, "not-acceptable", NULL, NO_OFFSET, NULL);

    static const char form[] = "--b\r\nContent-Disposition: form-data; name=\"op\"\r\n\r\nconvolve\r\n"
                               "--b\r\nContent-Disposition: form-data; name=\"index\"\r\n\r\n[1]\r\n"
                               "--b\r\nContent-Disposition: form-data; name=\"input\"\r\n\r\n[1,2]\r\n"
                               "--b\r\nContent-Disposition: form-data; name=\"kernel\"\r\n\r\n[3]\r\n--b--\r\n";
    const char *const headers[] = {"Content-Type: multipart/form-data; boundary=b", NULL};
    answer = http_call(daemon_child, &(struct call){.path = EXPLAIN, .body = form, .headers = headers});
    check_member("a form", &answer, "value", "6");
}

#define LARGE "{'op':'correlate','index':[500,500],'input':[[1]],'kernel':{'name':'box','size':1001},'boundary':'wrap'"

static void limits(void **state)
{
    (void)state;
    const char *const flags[] = {"--max-output-bytes", "4000", "--max-work", "1000", NULL};
    struct child *child = child_start(flags, NULL, NULL);
    struct answer answer = check_problem(child, "a long text", EXPLAIN,
                                         "{'op':'convolve','index':[0],'input':[1],'kernel':{'name':'box','size':101}}",
                                         413, "too-large", NULL, NO_OFFSET, "max_output_bytes");
    check_member("a long text", &answer, "limit", "'max_output_bytes'");
    check_member("a long text", &answer, "allowed", "4000");
    /* Few terms of a window that is long to walk. */
    check_problem(child, "a long walk", EXPLAIN,
                  "{'op':'convolve','index':[0],'input':[1],'kernel':{'name':'box','size':2001},'mode':'valid'}", 413,
                  "too-large", NULL, NO_OFFSET, "max_work");
    answer = http_post(child, EXPLAIN, LARGE ",'plan':true}");
    check_number("a plan is never too large", "status", answer.status, 200);
    check_member("a plan is never too large", &answer, "multiply_adds", "1002001");
    answer = http_post(child, EXPLAIN, "{'op':'convolve','index':[0],'input':[1],'kernel':[2,3]}");
    check_number("a small one", "status", answer.status, 200);
    check_number("limits", "exit", child_stop(child), 0);

    answer = http_post(daemon_child, EXPLAIN, LARGE ",'timeout_ms':20}");
    check_problem_in("a deadline", &answer, 504, "deadline-exceeded", NULL, NO_OFFSET, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(by_hand), HTTP_TEST(members_of_the_answer),

        HTTP_TEST(faults),  HTTP_TEST(forms),
        HTTP_TEST(limits),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
