/* SPDX-License-Identifier: MIT */
/* /v1/explain against what it explains: for every output of a table of requests, and for random ones, the value is the operation's
 * own, digit for digit, and the terms are what the tensors hold, and sum to it. */
#include "tests/http/random_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

/* The number at `index` of a tensor in any notation but base64; NaN where it cannot be told. */
static double element(const cJSON *tensor, const cJSON *index, bool imag)
{
    if (cJSON_IsObject(tensor)) {
        const cJSON *shape = cJSON_GetObjectItem(tensor, "shape");
        const cJSON *data = cJSON_GetObjectItem(tensor, "data");
        int place = 0;
        if (!data)
            data = cJSON_GetObjectItem(tensor, imag ? "imag" : "real");
        for (int i = 0; i < cJSON_GetArraySize(index); i++)
            place = place * cJSON_GetArrayItem(shape, i)->valueint + cJSON_GetArrayItem(index, i)->valueint;
        tensor = data ? cJSON_GetArrayItem(data, place) : NULL;
    } else {
        for (int i = 0; tensor && i < cJSON_GetArraySize(index); i++)
            tensor = cJSON_GetArrayItem(tensor, cJSON_GetArrayItem(index, i)->valueint);
    }
    return cJSON_IsNumber(tensor) ? tensor->valuedouble : NAN;
}

static double part(const cJSON *number, bool imag)
{
    if (cJSON_IsObject(number))
        number = cJSON_GetObjectItem(number, imag ? "imag" : "real");
    else if (imag)
        return 0;
    return cJSON_IsNumber(number) ? number->valuedouble : NAN;
}

static bool differ(double a, double b, double scale)
{
    return !(fabs(a - b) <= 1e-5 * scale);
}

struct question {
    const char *name, *op;
    const cJSON *request; /* of the operation */
};

static void check_terms(const struct question *question, const char *body)
{
    static const struct {
        const char *op, *input, *kernel;
    } tensors[] = {{"convolve", "input", "kernel"},
                   {"correlate", "input", "kernel"},
                   {"conv", "input", "weight"},
                   {"conv_transpose", "input", "weight"},
                   {"conv_backward_input", "grad_output", "weight"},
                   {"conv_backward_weight", "input", "grad_output"}};
    size_t at = 0;
    while (strcmp(tensors[at].op, question->op) != 0)
        at++;
    const cJSON *inputs = cJSON_GetObjectItem(question->request, tensors[at].input);
    const cJSON *kernels = cJSON_GetObjectItem(question->request, tensors[at].kernel);
    const double conjugated = strcmp(question->op, "correlate") == 0 ? -1 : 1;
    cJSON *answer = cJSON_Parse(body);
    const cJSON *bias = cJSON_GetObjectItem(answer, "bias"), *value = cJSON_GetObjectItem(answer, "value"), *term;
    double real = bias ? part(bias, false) : 0, imag = bias ? part(bias, true) : 0, absolute = fabs(real) + fabs(imag);
    cJSON_ArrayForEach(term, cJSON_GetObjectItem(answer, "terms"))
    {
        const cJSON *input_index = cJSON_GetObjectItem(term, "input_index");
        const cJSON *kernel_index = cJSON_GetObjectItem(term, "kernel_index");
        const cJSON *input = cJSON_GetObjectItem(term, "input"), *kernel = cJSON_GetObjectItem(term, "kernel");
        const cJSON *product = cJSON_GetObjectItem(term, "product");
        const double x = part(input, false), xi = part(input, true), w = part(kernel, false), wi = part(kernel, true);
        const double size = (fabs(x) + fabs(xi)) * (fabs(w) + fabs(wi));
        real += part(product, false);
        imag += part(product, true);
        absolute += size;
        if (differ(part(product, false), x * w - xi * wi, size) || differ(part(product, true), x * wi + xi * w, size))
            complain(question->name, "a product of %s", cJSON_PrintUnformatted(term));
        if (cJSON_IsArray(input_index) &&
            (differ(element(inputs, input_index, false), x, fabs(x)) ||
             (cJSON_IsObject(input) && differ(element(inputs, input_index, true), xi, fabs(xi)))))
            complain(question->name, "input of %s", cJSON_PrintUnformatted(term));
        if (differ(element(kernels, kernel_index, false), w, fabs(w)) ||
            (cJSON_IsObject(kernel) && differ(conjugated * element(kernels, kernel_index, true), wi, fabs(wi))))
            complain(question->name, "kernel of %s", cJSON_PrintUnformatted(term));
    }
    if (differ(real, part(value, false), absolute) || differ(imag, part(value, true), absolute))
        complain(question->name, "the terms sum to %.17g %.17g, the value is %.17g %.17g", real, imag,
                 part(value, false), part(value, true));
    cJSON_Delete(answer);
}

/* The text of the number at row-major `place` of a list in brackets without white space. */
static const char *number_text(const char *list, size_t place)
{
    list += strspn(list, "[],");
    for (; place > 0; place--) {
        list += strcspn(list, "[],");
        list += strspn(list, "[],");
    }
    return text_copy(list, strcspn(list, "[],"));
}

/* Asks for the output at `place` of `output`, the operation's own, and compares. `body` begins with a brace. */
static void check_output_at(const struct question *question, const char *body, const char *output, const cJSON *shape,
                            size_t place)
{
    const bool complex = strstr(output, "\"imag\"") != NULL;
    char index[256] = "";
    size_t left = place;
    for (int axis = cJSON_GetArraySize(shape) - 1; axis >= 0; axis--) {
        const size_t size = (size_t)cJSON_GetArrayItem(shape, axis)->valueint;
        char longer[256];
        snprintf(longer, sizeof longer, "%zu%s%.200s", left % size, *index ? "," : "", index);
        strcpy(index, longer);
        left /= size;
    }
    const size_t room = strlen(body) + 400;
    char *request = text_room(room);
    snprintf(request, room, "{\"op\":\"%s\",\"index\":[%s],%s", question->op, index, body + 1);
    struct answer answer = http_call(daemon_child, &(struct call){.path = "/v1/explain", .body = request});
    if (answer.status != 200) {
        complain(question->name, "at [%s]\n        found    %ld %s\n        expected 200", index, answer.status,
                 answer.body);
        return;
    }
    const char *real = number_text(complex ? member_text(output, "real") : output, place);
    check_text(question->name, "value", member_text(answer.body, complex ? "value/real" : "value"), real);
    if (complex)
        check_text(question->name, "imaginary part", member_text(answer.body, "value/imag"),
                   number_text(member_text(output, "imag"), place));
    check_terms(question, answer.body);
}

static void every_output(void **state)
{
    (void)state;
    static const struct {
        const char *op, *request;
    } rows[] = {
        {"convolve", "{'input':[[1,2,3],[4,5,6]],'kernel':[[1,-1],[0.5,2]]}"},
        {"convolve", "{'input':[1,2,3,4,5],'kernel':[1,10,100],'boundary':'symmetric','stride':2,'mode':'same'}"},
        {"correlate", "{'input':[0.1,0.2,0.3],'kernel':[0.7,-0.9],'padding':[[2,3]],'boundary':'reflect'}"},
        {"correlate", "{'input':[[1,2],[3,4]],'kernel':[[[1,1]],[[1,-1]]],'axes':[1,2]}"},
        {"correlate", "{'input':[1,2],'kernel':[1,2,3,4,5],'mode':'valid','dilation':2}"},
        {"conv", "{'input':[[[1,2,3],[4,5,6],[7,8,9]]],'weight':[[[[1,2],[3,4]]],[[[0,1],[-1,0.1]]]],'bias':[1,0.3]}"},
        {"conv", "{'input':[[1,2],[3,4]],'weight':[[[1,10]],[[100,1000]]],'groups':2,'padding':1}"},
        {"conv", "{'input':[[[1,2],[3,4],[5,6]]],'weight':[[[1,2],[3,4]]],'layout':'channels_last','padding':'same'}"},
        {"conv", "{'input':[[[1,2,3]],[[4,5,6]]],'weight':[[[1,2]]],'padding':3,'padding_mode':'reflect','stride':2}"},
        {"conv", "{'input':[[[[1,2]],[[3,4]]]],'weight':[[[[[1,10]],[[100,1000]]]]],'dtype':'int64'}"},
        {"conv", "{'input':[[0.1,0.2,0.3]],'weight':[[[0.3,0.7]]],'padding':[[2,1]],'padding_mode':'replicate',"
                 "'dtype':'float32','dilation':2}"},
        {"conv", "{'input':{'shape':[1,2],'real':[1,0],'imag':[2,1]},'weight':{'shape':[1,1,1],'real':[3],'imag':[4]},"
                 "'dtype':'complex128','bias':{'shape':[1],'real':[0.5],'imag':[0]}}"},
        {"conv_transpose", "{'input':[[[1,2],[3,4]],[[5,6],[7,8]]],'weight':[[[[1,2],[3,4]],[[0,1],[1,0]]],"
                           "[[[1,0],[0,1]],[[2,2],[2,2]]]],'stride':2,'padding':1,'output_padding':1,'bias':[1,2]}"},
        {"conv_transpose", "{'input':[[1,2,3]],'weight':[[[1,10,100]]],'stride':2,'padding':'same_lower'}"},
        {"conv_transpose",
         "{'input':[[1],[2]],'weight':[[[1]],[[10]]],'groups':2,'output_shape':[3],'padding':'same'}"},
        {"conv_backward_input", "{'grad_output':[[1,2,3,4,5]],'weight':[[[1,10]]],'input_shape':[1,4],'padding':1,"
                                "'padding_mode':'circular'}"},
        {"conv_backward_input",
         "{'grad_output':[[[1,2],[3,4]]],'weight':[[[[1,2],[3,4]]]],'input_shape':[1,3,4],'stride':[1,2]}"},
        {"conv_backward_input",
         "{'grad_output':[[0.1,0.2,0.3,0.4,0.5,0.6,0.7]],'weight':[[[0.1,0.3,0.7]]],'input_shape':[1,3],'padding':3,"
         "'padding_mode':'replicate'}"},
        {"conv_backward_weight", "{'grad_output':[[[1]],[[10]]],'input':[[[1,2]],[[3,4]]],'weight_shape':[1,1,2]}"},
        {"conv_backward_weight", "{'grad_output':[[1,0]],'input':[[1,2,3]],'weight_shape':[1,1,4],'padding':[[1,1]],"
                                 "'padding_mode':'circular'}"},
        {"conv_backward_weight",
         "{'grad_output':[[[1]]],'input':[[[1,2],[3,4]]],'weight_shape':[1,2,2],'layout':'channels_last'}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *body = json(rows[i].request);
        const struct question question = {textf("%s %s", rows[i].op, body), rows[i].op, cJSON_Parse(body)};
        char *direct = textf("%.*s,\"method\":\"direct\"}", (int)strlen(body) - 1, body);
        struct answer answer =
            http_call(daemon_child, &(struct call){.path = textf("/v1/%s", rows[i].op), .body = direct});
        check_number(question.name, "status", answer.status, 200);
        cJSON *shape = cJSON_Parse(member_text(answer.body, "shape"));
        size_t count = 1;
        for (int axis = 0; axis < cJSON_GetArraySize(shape); axis++)
            count *= (size_t)cJSON_GetArrayItem(shape, axis)->valueint;
        for (size_t place = 0; place < count; place++)
            check_output_at(&question, body, member_text(answer.body, "output"), shape, place);
        cJSON_Delete(shape);
        cJSON_Delete((cJSON *)question.request);
    }
}

static void random_outputs(void **state)
{
    (void)state;
    const char *seed = getenv("TEST_SEED");
    random_seed(seed ? strtoull(seed, NULL, 0) : 20261201);
    unsigned asked = 0;
    for (unsigned i = 0; i < 150; i++) {
        struct request_case request;
        struct convolve_cost cost;
        random_case_make(&request);
        const char *path = random_case_path(&request);
        struct answer answer = http_call(daemon_child, &(struct call){.path = path, .body = request.body});
        if (answer.status == 200 && convolve_cost(&cost, &request.spec, 1, NULL)) {
            const struct question question = {textf("request %u, %.700s", i, request.body), path + strlen("/v1/"),
                                              cJSON_Parse(request.body)};
            cJSON *shape = cJSON_Parse(member_text(answer.body, "shape"));
            for (unsigned sample = 0; sample < 4; sample++, asked++)
                check_output_at(&question, request.body, member_text(answer.body, "output"), shape,
                                sample < 2 ? sample * (cost.output_count - 1)
                                           : (size_t)i * 7919 * sample % cost.output_count);
            cJSON_Delete(shape);
            cJSON_Delete((cJSON *)question.request);
        }
        random_case_release(&request);
    }
    if (asked < 200)
        complain("random outputs", "only %u were asked for", asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(every_output),
        HTTP_TEST(random_outputs),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
