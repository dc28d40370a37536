/* SPDX-License-Identifier: MIT */
/* The mistakes that people make on their first day, and the word in each answer that leads on: what is sent by shells, by forms, by
 * Python's print, by who knows SciPy, PyTorch or OpenCV, or nothing of it all. */
#include "tests/http/npy.h"

#include <string.h>

struct mistake {
    const char *name, *body; /* with its own quotes, since quotes are what many get wrong */
    int status;
    const char *slug, *word;
};

static void check_mistakes(const struct mistake *mistakes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct call call = {.path = "/v1/convolve", .body = mistakes[i].body};
        const struct answer answer = http_call(daemon_child, &call);
        const bool has_offset = mistakes[i].status == 400;
        check_problem_in(mistakes[i].name, &answer, mistakes[i].status, mistakes[i].slug, ANY_POINTER,
                         has_offset ? ANY_OFFSET : NO_OFFSET, mistakes[i].word);
    }
}
#define CHECK_MISTAKES(mistakes) check_mistakes(mistakes, sizeof(mistakes) / sizeof *(mistakes))

static void what_is_no_json(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"a form, as curl -d is made for", "input=[1,2]&kernel=[1]", 400, "malformed-json", "a JSON object, as in"},
        {"YAML", "input: [1]", 400, "malformed-json", "a JSON object, as in"},
        {"a file's name", "@request.json", 400, "malformed-json", "a JSON object, as in"},
        {"two arrays", "[[1,2]],[[1]]", 400, "malformed-json", "one JSON object, as in"},
        {"lines of numbers", "1,2,3\n4,5,6\n", 400, "malformed-json", "one JSON object, as in"},
        {"quotes eaten by the shell", "{input:[1],kernel:[1]}", 400, "malformed-json", "double quotes"},
        {"single quotes", "{'input':[1],'kernel':[1]}", 400, "malformed-json", "double quotes"},
        {"single quotes around a value", "{\"input\":[1],\"kernel\":'box'}", 400, "malformed-json", "double quotes"},
        {"quotes from a word processor", "{\xe2\x80\x9cinput\xe2\x80\x9d:[1]}", 400, "malformed-json", "typographic"},
        {"the same around a value",
         "{\"input\":[1],\"kernel\":\xe2\x80\x9c"
         "box\xe2\x80\x9d}",
         400, "malformed-json", "typographic"},
        {"a tuple", "{\"input\":(1,2),\"kernel\":[1]}", 400, "malformed-json", "[ and ]"},
        {"NaN", "{\"input\":[1,NaN],\"kernel\":[1]}", 400, "malformed-json", "null"},
        {"nan", "{\"input\":[1,nan],\"kernel\":[1]}", 400, "malformed-json", "null"},
        {"Infinity", "{\"input\":[-Infinity],\"kernel\":[1]}", 400, "malformed-json", "base64"},
        {"None", "{\"input\":[1],\"kernel\":None}", 400, "malformed-json", "None"},
        {"True", "{\"input\":[1],\"kernel\":[1],\"plan\":True}", 400, "malformed-json", "small letters"},
        {"a comma too many", "{\"input\":[1,2,],\"kernel\":[1]}", 400, "malformed-json", "no comma after the last"},
        {"and in the object", "{\"input\":[1],\"kernel\":[1],}", 400, "malformed-json", "no comma after the last"},
        {"a comma too few", "{\"input\":[1] \"kernel\":[1]}", 400, "malformed-json", "expected a comma"},
        {"print of NumPy", "{\"input\":[1 2 3],\"kernel\":[1]}", 400, "malformed-json", "expected a comma"},
        {"a bracket too few", "{\"input\":[1],\"kernel\":[1]", 400, "malformed-json", "the end of the text"},
        {"a comment", "{\"input\":[1], // mine\n\"kernel\":[1]}", 400, "malformed-json", "no comments"},
        {".5", "{\"input\":[.5],\"kernel\":[1]}", 400, "malformed-json", "0.5, not .5"},
        {"a .npy without its type", "\x93NUMPY", 400, "malformed-json", "application/x-npy"},
        {"gzip without its coding", "\x1f\x8b\x08", 400, "malformed-json", "Content-Encoding: gzip"},
        {"a PNG", "\x89PNG\r\n\x1a\n", 400, "malformed-json", "pixels"},
        {"a JPEG", "\xff\xd8\xff\xe0", 400, "malformed-json", "pixels"},
        {"nothing", " ", 400, "malformed-json", "the end of the text"},
    };
    CHECK_MISTAKES(mistakes);
    const struct call call = {.method = "POST", .path = "/v1/convolve"};
    const struct answer answer = http_call(daemon_child, &call);
    check_problem_in("no body at all", &answer, 400, "malformed-json", NULL, 0, "empty");
}

static void what_is_no_request(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"an array alone", "[[1,2],[3,4]]", 422, "invalid-value", "\"input\""},
        {"JSON packed twice", "\"{}\"", 422, "invalid-value", "\"input\""},
        {"an array in quotes", "{\"input\":\"[1,2,3]\",\"kernel\":[1]}", 422, "invalid-value", "without quotes"},
        {"numbers in quotes", "{\"input\":[\"1\",\"2\"],\"kernel\":[1]}", 422, "not-a-number", "without quotes"},
        {"an integer in quotes", "{\"input\":[1],\"kernel\":[1],\"stride\":\"2\"}", 422, "invalid-value",
         "without quotes"},
        {"true in quotes", "{\"input\":[1],\"kernel\":[1],\"plan\":\"true\"}", 422, "invalid-value", "without quotes"},
        {"SciPy's names", "{\"in1\":[1],\"in2\":[1]}", 422, "unknown-member", "called input"},
        {"NumPy's names", "{\"a\":[1],\"v\":[1]}", 422, "unknown-member", "called input"},
        {"names of lectures", "{\"x\":[1],\"h\":[1]}", 422, "unknown-member", "called input"},
        {"a signal", "{\"signal\":[1],\"kernel\":[1]}", 422, "unknown-member", "called input"},
        {"an image", "{\"image\":[[1]],\"kernel\":[[1]]}", 422, "unknown-member", "called input"},
        {"a mask", "{\"input\":[[1]],\"mask\":[[1]]}", 422, "unknown-member", "called kernel"},
        {"a filter", "{\"input\":[[1]],\"filter\":[[1]]}", 422, "unknown-member", "called kernel"},
        {"a layer's names", "{\"input\":[[1]],\"weight\":[[1]]}", 422, "unknown-member", "/v1/conv"},
        {"a misspelt one", "{\"input\":[1],\"kernal\":[1]}", 422, "unknown-member", "did you mean \"kernel\"?"},
        {"names in capitals", "{\"Input\":[1],\"Kernel\":[1]}", 422, "unknown-member", "did you mean \"input\"?"},
        {"one of two", "{\"input\":[1]}", 422, "missing-member", "required"},
        {"the values of a flat tensor alone", "{\"input\":{\"data\":[1,2]},\"kernel\":[1]}", 422, "missing-member",
         "shape"},
        {"rows of different length", "{\"input\":[[1,2],[3]],\"kernel\":[[1]]}", 422, "ragged-array", "row 1"},
        {"no rows", "{\"input\":[],\"kernel\":[1]}", 422, "empty-tensor", "length 0"},
        {"a hole", "{\"input\":[1,null],\"kernel\":[1]}", 422, "not-a-number", "missing"},
        {"an image of colours", "{\"input\":[[[1,2,3]]],\"kernel\":[[1]]}", 422, "shape-mismatch", "axes"},
        {"a filter for channels", "{\"input\":[[[1]]],\"kernel\":[[[[1]]]]}", 422, "shape-mismatch", "/v1/conv"},
        {"same as padding", "{\"input\":[1],\"kernel\":[1],\"padding\":\"same\"}", 422, "invalid-value", "mode"},
        {"OpenCV's border", "{\"input\":[1],\"kernel\":[1],\"boundary\":\"replicate\"}", 422, "invalid-value",
         "did you mean \"edge\"?"},
        {"ndimage's nearest", "{\"input\":[1],\"kernel\":[1],\"boundary\":\"nearest\"}", 422, "invalid-value",
         "did you mean \"edge\"?"},
        {"ndimage's mirror", "{\"input\":[1],\"kernel\":[1],\"boundary\":\"mirror\"}", 422, "invalid-value",
         "did you mean \"reflect\"?"},
        {"zeros", "{\"input\":[1],\"kernel\":[1],\"boundary\":\"zeros\"}", 422, "invalid-value",
         "did you mean \"constant\"?"},
        {"PyTorch's circular", "{\"input\":[1],\"kernel\":[1],\"boundary\":\"circular\"}", 422, "invalid-value",
         "did you mean \"wrap\"?"},
        {"a dtype that is none here", "{\"input\":[1],\"kernel\":[1],\"dtype\":\"int32\"}", 422, "invalid-value",
         "int64"},
        {"half of a kernel's name", "{\"input\":[[1]],\"kernel\":\"sobel\"}", 422, "unknown-kernel", "sobel_x"},
        {"an even size", "{\"input\":[[1]],\"kernel\":{\"name\":\"box\",\"size\":4}}", 422, "invalid-value", "odd"},
        {"a huge result", "{\"input\":[1],\"kernel\":[1],\"padding\":100000000000}", 413, "too-large",
         "smaller pieces"},
    };
    CHECK_MISTAKES(mistakes);
}

static void where_it_was_sent(void **state)
{
    (void)state;
    static const char body[] = "{\"input\":[1],\"kernel\":[1]}";
    static const struct {
        const char *method, *path, *type;
        int status;
        const char *slug, *word;
    } cases[] = {
        {"GET", "/v1/convolve", NULL, 405, "method-not-allowed", "POST a JSON object"},
        {"GET", "/v1/conv?input=[1]", NULL, 405, "method-not-allowed", "POST a JSON object"},
        {"PUT", "/v1/convolve", NULL, 405, "method-not-allowed", "POST"},
        {"POST", "/healthz", NULL, 405, "method-not-allowed", "GET"},
        {"POST", "/", NULL, 405, "method-not-allowed", "/v1/convolve"},
        {"POST", "/convolve", NULL, 404, "not-found", "did you mean /v1/convolve?"},
        {"POST", "/v1/convolve/", NULL, 404, "not-found", "did you mean /v1/convolve?"},
        {"POST", "/v1/convolve2d", NULL, 404, "not-found", "did you mean /v1/convolve?"},
        {"GET", "/health", NULL, 404, "not-found", "did you mean /healthz?"},
        {"POST", "/nowhere", NULL, 404, "not-found", "/v1/convolve"},
        {"POST", "/v1/convolve", "Content-Type: image/png", 415, "unsupported-media-type", "application/json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = textf("%s %s", cases[i].method, cases[i].path);
        const char *const headers[] = {cases[i].type, NULL};
        const struct answer answer =
            http_call(daemon_child, &(struct call){.method = cases[i].method,
                                                   .path = cases[i].path,
                                                   .body = strcmp(cases[i].method, "GET") ? body : NULL,
                                                   .headers = headers});
        check_problem_in(name, &answer, cases[i].status, cases[i].slug, NULL, NO_OFFSET, cases[i].word);
    }
    static const char *const harmless[] = {"Content-Type: application/x-www-form-urlencoded",
                                           "Content-Type: text/plain", "Content-Type: application/octet-stream",
                                           "Content-Type: nonsense"};
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        const char *const headers[] = {harmless[i], NULL};
        const struct answer answer =
            http_call(daemon_child, &(struct call){.path = "/v1/convolve", .body = body, .headers = headers});
        check_number(harmless[i], "status", answer.status, 200);
    }
}

/* The request that a detail shows: what stands behind "as in ". */
static const char *example_in(const char *body)
{
    const char *at = strstr(body, "as in {");
    char *example = text_room(strlen(body)), *end = example;
    if (!at)
        return NULL;
    for (at += strlen("as in "); *at && *at != '"'; at++)
        if (*at != '\\' || *++at)
            *end++ = *at;
    *end = 0;
    return example;
}

/* Who sends nothing is shown a request of that path, which works. */
static void examples_work(void **state)
{
    (void)state;
    static const char *const paths[] = {"/v1/convolve",       "/v1/correlate",           "/v1/conv",
                                        "/v1/conv_transpose", "/v1/conv_backward_input", "/v1/conv_backward_weight",
                                        "/v1/explain"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct answer answer = http_call(daemon_child, &(struct call){.method = "POST", .path = paths[i], .body = ""});
        check_problem_in(paths[i], &answer, 400, "malformed-json", NULL, 0, "the text is empty");
        const char *example = example_in(answer.body);
        if (!example) {
            complain(paths[i], "shows no request: %s", answer.body);
            continue;
        }
        answer = http_call(daemon_child, &(struct call){.path = paths[i], .body = example});
        check_number(paths[i], "status", answer.status, 200);
    }
}

/* Beside a .npy file, in a query. */
static void queries(void **state)
{
    (void)state;
    const double two[] = {1, 2};
    static const struct {
        const char *query;
        int status;
        const char *slug, *pointer, *word;
    } cases[] = {
        {"", 422, "missing-member", "/kernel", "required"},
        {"?kernel=[1]&mode=", 400, "malformed-json", "/mode", "the value is empty"},
        {"?kernel=(1,2)", 400, "malformed-json", "/kernel", "[ and ]"},
        {"?kernel=;", 400, "malformed-json", "/kernel", "expected a value, found ';'"},
        {"?kernel=[1]&mode=%ff", 400, "malformed-json", "/mode", "expected a value, found the byte 0xff"},
        {"?kernel=[1]]", 400, "malformed-json", "/kernel", "white space"},
        {"?kernel=[1]&stride=two", 422, "invalid-value", "/stride", "expected an integer"},
        {"?kernel=[1]&Mode=full", 422, "unknown-member", "/Mode", "did you mean \"mode\"?"},
        {"?kernel=[1]&input=[1]", 422, "duplicate-member", "/input", "more than once"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct answer answer = npy_post(daemon_child, textf("/v1/convolve%s", cases[i].query),
                                              npy_file("<f8", "(2,)", two, sizeof two), NULL);
        check_problem_in(cases[i].query, &answer, cases[i].status, cases[i].slug, cases[i].pointer,
                         cases[i].status == 400 ? ANY_OFFSET : NO_OFFSET, cases[i].word);
        if (strstr(answer.body, "as in {") != NULL)
            complain(cases[i].query, "was told of a body: %s", answer.body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(what_is_no_json),   HTTP_TEST(what_is_no_request),
        HTTP_TEST(where_it_was_sent), HTTP_TEST(examples_work),
        HTTP_TEST(queries),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
