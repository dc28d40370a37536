/* SPDX-License-Identifier: MIT */
/* /v1/conv, /v1/conv_transpose and the two gradients over HTTP: every member, every dtype and notation, and each fault with its
 * pointer. That the numbers are PyTorch's is tests/core/layer_golden_test.c's; those here can be added up by hand. */
#include "tests/http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONV            "/v1/conv"
#define TRANSPOSE       "/v1/conv_transpose"
#define BACKWARD_INPUT  "/v1/conv_backward_input"
#define BACKWARD_WEIGHT "/v1/conv_backward_weight"

struct row {
    const char *name, *path, *request, *expected;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_output(daemon_child, rows[i].name, rows[i].path, rows[i].request, rows[i].expected);
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

#define ROW  "[[[1,2,3,4]]]" /* [1, 1, 4] */
#define PAIR "[[[1,10]]]" /* [1, 1, 2] */

static void conv(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"one axis", CONV, "{'input':" ROW ",'weight':" PAIR "}", "[[[21,32,43]]]"},
        {"unbatched", CONV, "{'input':[[1,2,3,4]],'weight':" PAIR "}", "[[21,32,43]]"},
        {"two axes", CONV, "{'input':[[[[1,2],[3,4]]]],'weight':[[[[1,10],[100,1000]]]]}", "[[[[4321]]]]"},
        {"three axes", CONV, "{'input':[[[[1,2]],[[3,4]]]],'weight':[[[[[1,10]],[[100,1000]]]]]}", "[[[[4321]]]]"},
        {"channels add up", CONV, "{'input':[[1,2],[3,4]],'weight':[[[1,10],[100,1000]]]}", "[[4321]]"},
        {"each filter a channel", CONV, "{'input':[[1,2,3]],'weight':[[[1]],[[10]],[[100]]]}",
         "[[1,2,3],[10,20,30],[100,200,300]]"},
        {"bias", CONV, "{'input':[[1,2,3]],'weight':[[[1]],[[10]]],'bias':[0.5,-1]}", "[[1.5,2.5,3.5],[9,19,29]]"},
        {"items alone", CONV, "{'input':[[[1,2]],[[3,4]]],'weight':" PAIR "}", "[[[21]],[[43]]]"},
        {"stride", CONV, "{'input':" ROW ",'weight':" PAIR ",'stride':2}", "[[[21,43]]]"},
        {"dilation", CONV, "{'input':" ROW ",'weight':" PAIR ",'dilation':[2]}", "[[[31,42]]]"},
        {"padding", CONV, "{'input':" ROW ",'weight':" PAIR ",'padding':1}", "[[[10,21,32,43,4]]]"},
        {"padding of each axis", CONV, "{'input':[[[1,2]]],'weight':[[[[1]]]],'padding':[1,0]}",
         "[[[0,0],[1,2],[0,0]]]"},
        {"padding of each side", CONV, "{'input':" ROW ",'weight':" PAIR ",'padding':[[0,2]]}", "[[[21,32,43,4,0]]]"},
        {"padding valid", CONV, "{'input':" ROW ",'weight':" PAIR ",'padding':'valid'}", "[[[21,32,43]]]"},
        {"padding same", CONV, "{'input':" ROW ",'weight':" PAIR ",'padding':'same'}", "[[[21,32,43,4]]]"},
        {"padding same_lower", CONV, "{'input':" ROW ",'weight':" PAIR ",'padding':'same_lower'}", "[[[10,21,32,43]]]"},
        {"same with a stride", CONV, "{'input':[[1,2,3,4,5]],'weight':[[[1,10]]],'padding':'same','stride':2}",
         "[[21,43,5]]"},
        {"reflect", CONV, "{'input':" ROW ",'weight':[[[1]]],'padding':2,'padding_mode':'reflect'}",
         "[[[3,2,1,2,3,4,3,2]]]"},
        {"replicate", CONV, "{'input':" ROW ",'weight':[[[1]]],'padding':2,'padding_mode':'replicate'}",
         "[[[1,1,1,2,3,4,4,4]]]"},
        {"circular", CONV, "{'input':" ROW ",'weight':[[[1]]],'padding':2,'padding_mode':'circular'}",
         "[[[3,4,1,2,3,4,1,2]]]"},
        {"reflect, more than the input", CONV,
         "{'input':[[1,2,3]],'weight':[[[1]]],'padding':[[5,0]],'padding_mode':'reflect'}", "[[2,1,2,3,2,1,2,3]]"},
        {"zeros", CONV, "{'input':[[1]],'weight':[[[1]]],'padding':1,'padding_mode':'zeros'}", "[[0,1,0]]"},
        {"groups", CONV, "{'input':[[1,2],[3,4]],'weight':[[[1,10]],[[100,1000]]],'groups':2}", "[[21],[4300]]"},
        {"a depth multiplier", CONV, "{'input':[[1],[2]],'weight':[[[1]],[[10]],[[100]],[[1001]]],'groups':2}",
         "[[1],[10],[200],[2002]]"},
        {"channels last", CONV,
         "{'input':[[[1,3],[2,4]]],'weight':[[[1,100],[10,1000]],[[1,0],[0,0]]],'layout':'channels_last'}",
         "[[[4321,1]]]"},
        {"channels last, unbatched", CONV,
         "{'input':[[1,3],[2,4]],'weight':[[[1,100],[10,1000]]],'layout':'channels_last'}", "[[4321]]"},
        {"direct", CONV, "{'input':" ROW ",'weight':" PAIR ",'method':'direct'}", "[[[21,32,43]]]"},
        {"winograd", CONV,
         "{'input':[[[1,2,3],[4,5,6],[7,8,9]]],'weight':[[[[1,0,0],[0,1,0],[0,0,1]]]],'method':'winograd'}",
         "[[[15]]]"},
        {"fft", CONV, "{'input':" ROW ",'weight':" PAIR ",'method':'fft'}", "[[[21,32,43]]]"},
        {"int64", CONV, "{'input':[[9007199254740993]],'weight':[[[1]]],'bias':[1],'dtype':'int64'}",
         "[[9007199254740994]]"},
        {"float32", CONV, "{'input':[[0.1]],'weight':[[[1]]],'dtype':'float32'}", "[[0.1]]"},
        {"partial sums may overflow", CONV,
         "{'input':[[9223372036854775807],[9223372036854775807]],'weight':[[[2],[-2]]],'dtype':'int64'}", "[[0]]"},
    };
    CHECK_ROWS(rows);
    static const char complex_request[] =
        "{'input':{'shape':[1,2],'real':[1,0],'imag':[2,1]},'weight':{'shape':[1,1,1],'real':[3],'imag':[4]},"
        "'dtype':'complex128','bias':{'shape':[1],'real':[0.5],'imag':[0]}}";
    struct answer answer = http_post(daemon_child, CONV, complex_request);
    check_member("complex, nothing conjugated", &answer, "output/real", "[-4.5,-3.5]");
    check_member("complex, nothing conjugated", &answer, "output/imag", "[10,3]");
}

static void conv_transpose(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"one axis", TRANSPOSE, "{'input':[[1,2,3]],'weight':[[[1,10]]]}", "[[1,12,23,30]]"},
        {"channels are the first axis", TRANSPOSE, "{'input':[[1],[2]],'weight':[[[1,10]],[[100,1000]]]}",
         "[[201,2010]]"},
        {"filters are the second", TRANSPOSE, "{'input':[[1,2]],'weight':[[[1],[10]]]}", "[[1,2],[10,20]]"},
        {"stride", TRANSPOSE, "{'input':[[1,2,3]],'weight':[[[1,10]]],'stride':2}", "[[1,10,2,20,3,30]]"},
        {"stride beyond the kernel", TRANSPOSE, "{'input':[[1,2]],'weight':[[[1]]],'stride':3}", "[[1,0,0,2]]"},
        {"bias", TRANSPOSE, "{'input':[[1,2]],'weight':[[[1]]],'stride':3,'bias':[7]}", "[[8,7,7,9]]"},
        {"dilation", TRANSPOSE, "{'input':[[1,2]],'weight':[[[1,10]]],'dilation':2}", "[[1,2,10,20]]"},
        {"padding cuts", TRANSPOSE, "{'input':[[1,2,3]],'weight':[[[1,10]]],'padding':1}", "[[12,23]]"},
        {"padding cuts each side", TRANSPOSE, "{'input':[[1,2,3]],'weight':[[[1,10]]],'padding':[[0,2]]}", "[[1,12]]"},
        {"output_padding", TRANSPOSE, "{'input':[[1,2]],'weight':[[[1]]],'stride':2,'output_padding':1,'bias':[5]}",
         "[[6,5,7,5]]"},
        {"same", TRANSPOSE, "{'input':[[1,2,3]],'weight':[[[1,10,100]]],'stride':2,'padding':'same'}",
         "[[1,10,102,20,203,30]]"},
        {"same_lower", TRANSPOSE, "{'input':[[1,2,3]],'weight':[[[1,10,100]]],'stride':2,'padding':'same_lower'}",
         "[[10,102,20,203,30,300]]"},
        {"same, less than nothing cut", TRANSPOSE,
         "{'input':[[1,2]],'weight':[[[1]]],'stride':2,'padding':'same_lower','bias':[5]}", "[[6,5,7,5]]"},
        {"same, a row of zeros before", TRANSPOSE, "{'input':[[1,2]],'weight':[[[1]]],'stride':2,'padding':'same'}",
         "[[0,1,0,2]]"},
        {"output_shape", TRANSPOSE, "{'input':[[1,2,3]],'weight':[[[1,10]]],'output_shape':[3]}", "[[12,23,30]]"},
        {"output_shape same", TRANSPOSE, "{'input':[[1,2,3]],'weight':[[[1,10]]],'output_shape':[3],'padding':'same'}",
         "[[1,12,23]]"},
        {"output_shape beyond the full result", TRANSPOSE,
         "{'input':[[1,2]],'weight':[[[1]]],'output_shape':[6],'padding':'same','bias':[1]}", "[[1,1,2,3,1,1]]"},
        {"groups", TRANSPOSE, "{'input':[[1],[2]],'weight':[[[1,10]],[[100,1001]]],'groups':2}", "[[1,10],[200,2002]]"},
        {"channels last", TRANSPOSE, "{'input':[[1,2]],'weight':[[[1],[10]],[[100],[1000]]],'layout':'channels_last'}",
         "[[201],[2010]]"},
        {"int64", TRANSPOSE, "{'input':[[9007199254740993]],'weight':[[[1]]],'dtype':'int64'}", "[[9007199254740993]]"},
    };
    CHECK_ROWS(rows);
}

static void gradients(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"of the input", BACKWARD_INPUT, "{'grad_output':[[1,2]],'weight':[[[1,10]]],'input_shape':[1,3]}",
         "[[1,12,20]]"},
        {"of the input, a stride that leaves a rest", BACKWARD_INPUT,
         "{'grad_output':[[1]],'weight':[[[1,10]]],'input_shape':[1,3],'stride':2}", "[[1,10,0]]"},
        {"of the input, replicated", BACKWARD_INPUT,
         "{'grad_output':[[1,2,4,8]],'weight':[[[1]]],'input_shape':[1,2],'padding':1,'padding_mode':'replicate'}",
         "[[3,12]]"},
        {"of the input, reflected", BACKWARD_INPUT,
         "{'grad_output':[[1,2,4,8]],'weight':[[[1]]],'input_shape':[1,2],'padding':1,'padding_mode':'reflect'}",
         "[[10,5]]"},
        {"of the input, circular", BACKWARD_INPUT,
         "{'grad_output':[[1,2,4,8,16]],'weight':[[[1]]],'input_shape':[1,3],'padding':1,'padding_mode':'circular'}",
         "[[18,4,9]]"},
        {"of the input, in groups", BACKWARD_INPUT,
         "{'grad_output':[[1],[2]],'weight':[[[1,10]],[[100,1001]]],'input_shape':[2,2],'groups':2}",
         "[[1,10],[200,2002]]"},
        {"of the input, channels last", BACKWARD_INPUT,
         "{'grad_output':[[[1]]],'weight':[[[1,100],[10,1001]]],'input_shape':[1,2,2],'layout':'channels_last'}",
         "[[[1,100],[10,1001]]]"},
        {"of the weight", BACKWARD_WEIGHT, "{'grad_output':[[1,10]],'input':[[1,2,3]],'weight_shape':[1,1,2]}",
         "[[[21,32]]]"},
        {"of the weight, over a batch", BACKWARD_WEIGHT,
         "{'grad_output':[[[1]],[[10]]],'input':[[[1,2]],[[3,4]]],'weight_shape':[1,1,2]}", "[[[31,42]]]"},
        {"of the weight, same", BACKWARD_WEIGHT,
         "{'grad_output':[[1,1,1]],'input':[[1,2,3]],'weight_shape':[1,1,2],'padding':'same'}", "[[[6,5]]]"},
        {"of the weight, circular", BACKWARD_WEIGHT,
         "{'grad_output':[[1,0]],'input':[[1,2,3]],'weight_shape':[1,1,4],'padding':[[1,1]],'padding_mode':'circular'}",
         "[[[3,1,2,3]]]"},
        {"of the weight, in groups", BACKWARD_WEIGHT,
         "{'grad_output':[[1],[10]],'input':[[1],[2]],'weight_shape':[2,1,1],'groups':2}", "[[[1]],[[20]]]"},
        {"of the weight, channels last", BACKWARD_WEIGHT,
         "{'grad_output':[[[1]]],'input':[[[1,2],[3,4]]],'weight_shape':[1,2,2],'layout':'channels_last'}",
         "[[[1,2],[3,4]]]"},
    };
    CHECK_ROWS(rows);
}

static void answers(void **state)
{
    (void)state;
    static const char *const request = "{'input':[[1,2,3]],'weight':[[[1,10]]]}";
    struct answer answer = http_post(daemon_child, CONV, request);
    check_member("conv", &answer, "shape", "[1,2]");
    check_member("conv", &answer, "dtype", "'float64'");
    check_member("conv", &answer, "method", "'direct'");
    check_text("conv", "flipped", member_text(answer.body, "flipped"), NULL);
    check_member("conv", &answer, "error_bound", "0");
    answer = http_post(daemon_child, CONV, "{'input':[[1,2,3]],'weight':[[[1,10]]],'plan':true}");
    check_member("plan", &answer, "shape", "[1,2]");
    check_member("plan", &answer, "multiply_adds", "4");
    check_member("plan", &answer, "error_bound", "0");
    answer = http_post(daemon_child, CONV,
                       "{'input':{'shape':[64,56,56]},'weight':{'shape':[64,64,3,3]},'padding':1,'plan':true}");
    check_member("plan of shapes", &answer, "shape", "[64,56,56]");
    check_member("plan of shapes", &answer, "multiply_adds", "115605504");
    check_member("plan of shapes", &answer, "error_bound", "null");
    answer = http_post(daemon_child, CONV, "{'input':[[0.1]],'weight':[[[0.1]]],'format':'base64','dtype':'float32'}");
    check_member("base64", &answer, "output/shape", "[1,1]");
    answer = http_post(daemon_child, CONV, "{'input':[[1e200]],'weight':[[[1e200]]],'nonfinite':'null'}");
    check_member("infinity", &answer, "output", "[[null]]");
    check_member("infinity", &answer, "error_bound", "null");
    answer = http_post(daemon_child, CONV,
                       "{'input':{'shape':[1,1],'dtype':'float32','base64':'AACAPw=='},"
                       "'weight':{'shape':[1,1,1],'dtype':'float32','base64':'AACAPw=='}}");
    check_member("typed tensors", &answer, "dtype", "'float32'");
    /* Large enough for the pool: its sum tells that every place was made. */
    char *const large = text_room(400000);
    size_t used = (size_t)snprintf(large, 400000, "{'format':'flat','input':{'shape':[4,64,64],'data':[");
    for (unsigned i = 0; i < 4 * 64 * 64; i++)
        used += (size_t)snprintf(large + used, 400000 - used, "%s1", i ? "," : "");
    used += (size_t)snprintf(large + used, 400000 - used, "]},'padding':1,'weight':{'shape':[8,4,3,3],'data':[");
    for (unsigned i = 0; i < 8 * 4 * 9; i++)
        used += (size_t)snprintf(large + used, 400000 - used, "%s1", i ? "," : "");
    snprintf(large + used, 400000 - used, "]}}");
    answer = http_post(daemon_child, CONV, large);
    check_number("a larger one", "status", answer.status, 200);
    static double numbers[8 * 64 * 64 + 8];
    const size_t count = numbers_of(member_text(answer.body, "output/data"), numbers, sizeof numbers / sizeof *numbers);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += numbers[i];
    check_number("a larger one", "count", (long long)count, 8 * 64 * 64);
    check_number("a larger one", "sum", (long long)sum, 8LL * 4 * (3 * 64 - 2) * (3 * 64 - 2));
}

/* ---- Faults ---- */

struct fault {
    const char *name, *path, *request, *slug, *pointer, *word;
};

static void check_faults(const struct fault *faults, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_problem(daemon_child, faults[i].name, faults[i].path, faults[i].request, 422, faults[i].slug,
                      faults[i].pointer, NO_OFFSET, faults[i].word);
}
#define CHECK_FAULTS(faults) check_faults(faults, sizeof(faults) / sizeof *(faults))

static void members(void **state)
{
    (void)state;
    static const struct fault faults[] = {
        {"no input", CONV, "{'weight':[[[1]]]}", "missing-member", "/input", NULL},
        {"no weight", CONV, "{'input':[[1]]}", "missing-member", "/weight", "M, C/groups"},
        {"no weight", TRANSPOSE, "{'input':[[1]]}", "missing-member", "/weight", "C, M/groups"},
        {"no grad_output", BACKWARD_INPUT, "{'weight':[[[1]]],'input_shape':[1,1]}", "missing-member", "/grad_output",
         NULL},
        {"no input_shape", BACKWARD_INPUT, "{'weight':[[[1]]],'grad_output':[[1]]}", "missing-member", "/input_shape",
         NULL},
        {"no weight_shape", BACKWARD_WEIGHT, "{'input':[[1]],'grad_output':[[1]]}", "missing-member", "/weight_shape",
         NULL},
        {"a kernel", CONV, "{'input':[[1]],'kernel':[[[1]]]}", "unknown-member", "/kernel", NULL},
        {"output_padding of conv", CONV, "{'input':[[1]],'weight':[[[1]]],'output_padding':1}", "unknown-member",
         "/output_padding", NULL},
        {"bias of a gradient", BACKWARD_WEIGHT, "{'input':[[1]],'grad_output':[[1]],'weight_shape':[1,1,1],'bias':[1]}",
         "unknown-member", "/bias", NULL},
        {"input of a gradient", BACKWARD_INPUT,
         "{'input':[[1]],'grad_output':[[1]],'weight':[[[1]]],'input_shape':[1,1]}", "unknown-member", "/input",
         "input_shape"},
        {"stride 0", CONV, "{'input':[[1]],'weight':[[[1]]],'stride':0}", "invalid-value", "/stride", NULL},
        {"stride -1", CONV, "{'input':[[1]],'weight':[[[1]]],'stride':[-1]}", "invalid-value", "/stride/0", NULL},
        {"stride of two axes", CONV, "{'input':[[1]],'weight':[[[1]]],'stride':[1,1]}", "invalid-value", "/stride",
         "1 spatial axis"},
        {"dilation of two axes", CONV, "{'input':[[1]],'weight':[[[1]]],'dilation':[1,1]}", "invalid-value",
         "/dilation", NULL},
        {"dilation 0", CONV, "{'input':[[1]],'weight':[[[1]]],'dilation':0}", "invalid-value", "/dilation", NULL},
        {"padding of two axes", CONV, "{'input':[[1]],'weight':[[[1]]],'padding':[1,1]}", "invalid-value", "/padding",
         NULL},
        {"padding -1", CONV, "{'input':[[1]],'weight':[[[1]]],'padding':-1}", "invalid-value", "/padding", NULL},
        {"padding -1 after", CONV, "{'input':[[1]],'weight':[[[1]]],'padding':[[0,-1]]}", "invalid-value",
         "/padding/0/1", NULL},
        {"padding full", CONV, "{'input':[[1]],'weight':[[[1]]],'padding':'full'}", "invalid-value", "/padding",
         "same_lower"},
        {"padding_mode constant", CONV, "{'input':[[1]],'weight':[[[1]]],'padding_mode':'constant'}", "invalid-value",
         "/padding_mode", "zeros"},
        {"padding_mode of conv_transpose", TRANSPOSE, "{'input':[[1]],'weight':[[[1]]],'padding_mode':'reflect'}",
         "invalid-value", "/padding_mode", "zeros"},
        {"groups 0", CONV, "{'input':[[1]],'weight':[[[1]]],'groups':0}", "invalid-value", "/groups", NULL},
        {"groups 1.5", CONV, "{'input':[[1]],'weight':[[[1]]],'groups':1.5}", "invalid-value", "/groups", NULL},
        {"layout", CONV, "{'input':[[1]],'weight':[[[1]]],'layout':'nhwc'}", "invalid-value", "/layout",
         "channels_last"},
        {"output_padding as the stride", TRANSPOSE, "{'input':[[1]],'weight':[[[1]]],'stride':2,'output_padding':2}",
         "invalid-value", "/output_padding", "at most 1"},
        {"output_padding of the second axis", TRANSPOSE,
         "{'input':[[[1]]],'weight':[[[[1]]]],'stride':[3,1],'output_padding':[2,1]}", "invalid-value",
         "/output_padding/1", NULL},
        {"output_padding of two axes", TRANSPOSE, "{'input':[[1]],'weight':[[[1]]],'output_padding':[0,0]}",
         "invalid-value", "/output_padding", NULL},
        {"output_shape 0", TRANSPOSE, "{'input':[[1]],'weight':[[[1]]],'output_shape':[0]}", "invalid-value",
         "/output_shape/0", NULL},
        {"output_shape of two axes", TRANSPOSE, "{'input':[[1]],'weight':[[[1]]],'output_shape':[1,1]}",
         "invalid-value", "/output_shape", NULL},
        {"output_shape and padding", TRANSPOSE, "{'input':[[1]],'weight':[[[1]]],'output_shape':[1],'padding':0}",
         "invalid-value", "/output_shape", "place"},
        {"input_shape no list", BACKWARD_INPUT, "{'grad_output':[[1]],'weight':[[[1]]],'input_shape':3}",
         "invalid-value", "/input_shape", NULL},
        {"input_shape with 0", BACKWARD_INPUT, "{'grad_output':[[1]],'weight':[[[1]]],'input_shape':[1,0]}",
         "invalid-value", "/input_shape/1", NULL},
        {"weight_shape with a string", BACKWARD_WEIGHT, "{'grad_output':[[1]],'input':[[1]],'weight_shape':[1,1,'1']}",
         "invalid-value", "/weight_shape/2", NULL},
        {"method separable", CONV, "{'input':[[1]],'weight':[[[1]]],'method':'separable'}", "invalid-value", "/method",
         "direct"},
        {"winograd of one axis", CONV, "{'input':[[1]],'weight':[[[1]]],'method':'winograd'}", "invalid-value",
         "/method", NULL},
        {"fft of int64", CONV, "{'input':[[1]],'weight':[[[1]]],'dtype':'int64','method':'fft'}", "invalid-value",
         "/method", "int64"},
        {"winograd with a stride", CONV,
         "{'input':[[[1,2,3],[4,5,6],[7,8,9]]],'weight':[[[[1,0,0],[0,1,0],[0,0,1]]]],'stride':2,'method':'winograd'}",
         "invalid-value", "/method", "stride 1"},
        {"the stride's list comes before the layout", CONV,
         "{'layout':'nhwc','input':[[1]],'weight':[[[1]]],'stride':[1,1]}", "invalid-value", "/stride", NULL},
        {"weight_shape counts the axes", BACKWARD_WEIGHT,
         "{'grad_output':[[1]],'input':[[1]],'weight_shape':[1,1,1],'stride':[1,1]}", "invalid-value", "/stride", NULL},
        {"max_error", CONV, "{'input':[[0.1]],'weight':[[[0.1]]],'max_error':0}", "invalid-value", "/max_error", NULL},
        {"infinity", CONV, "{'input':[[1e200]],'weight':[[[1e200]]]}", "non-finite-result", NULL, NULL},
        {"overflow", CONV, "{'input':[[9223372036854775807]],'weight':[[[2]]],'dtype':'int64'}", "integer-overflow",
         NULL, NULL},
        {"a fraction in the bias", CONV, "{'input':[[1]],'weight':[[[1]]],'bias':[0.5],'dtype':'int64'}",
         "invalid-value", "/bias/0", NULL},
    };
    CHECK_FAULTS(faults);
}

static void shapes(void **state)
{
    (void)state;
    static const struct fault faults[] = {
        {"weight of rank 2", CONV, "{'input':[[1]],'weight':[[1]]}", "shape-mismatch", "/weight", "correlate"},
        {"weight of rank 6", CONV, "{'input':[[1]],'weight':[[[[[[1]]]]]]}", "shape-mismatch", "/weight", "3 to 5"},
        {"input of rank 1", CONV, "{'input':[1],'weight':[[[1]]]}", "shape-mismatch", "/input", NULL},
        {"input of rank 4", CONV, "{'input':[[[[1]]]],'weight':[[[1]]]}", "shape-mismatch", "/input", "rank 3"},
        {"an empty input", CONV, "{'input':[[]],'weight':[[[1]]]}", "empty-tensor", "/input", NULL},
        {"an empty weight", CONV, "{'input':[[1]],'weight':[[[]]]}", "empty-tensor", "/weight", NULL},
        {"an empty bias", CONV, "{'input':[[1]],'weight':[[[1]]],'bias':[]}", "empty-tensor", "/bias", NULL},
        {"groups that do not divide C", CONV, "{'input':[[1],[2],[3]],'weight':[[[1]],[[1]]],'groups':2}",
         "shape-mismatch", "/groups", "3 channels"},
        {"groups that do not divide M", CONV, "{'input':[[1],[2]],'weight':[[[1]],[[1]],[[1]]],'groups':2}",
         "shape-mismatch", "/groups", "3 output channels"},
        {"channels", CONV, "{'input':[[1],[2]],'weight':[[[1]]]}", "shape-mismatch", "/weight", "must be 2"},
        {"channels in groups", CONV, "{'input':[[1],[2]],'weight':[[[1],[1]],[[1],[1]]],'groups':2}", "shape-mismatch",
         "/weight", "must be 1"},
        {"channels of conv_transpose", TRANSPOSE, "{'input':[[1],[2]],'weight':[[[1]]]}", "shape-mismatch", "/weight",
         "must be 2"},
        {"channels last", CONV, "{'input':[[1,2]],'weight':[[[1]]],'layout':'channels_last'}", "shape-mismatch",
         "/weight", "channels_last"},
        {"bias of two", CONV, "{'input':[[1]],'weight':[[[1]]],'bias':[1,2]}", "shape-mismatch", "/bias", "[1]"},
        {"bias of rank 2", CONV, "{'input':[[1]],'weight':[[[1]]],'bias':[[1]]}", "shape-mismatch", "/bias", NULL},
        {"a kernel too long", CONV, "{'input':[[1,2]],'weight':[[[1,2,3]]]}", "shape-mismatch", "/weight",
         "at most 2 taps"},
        {"a dilated kernel too long", CONV, "{'input':[[1,2,3,4]],'weight':[[[1,2,3]]],'dilation':2}", "shape-mismatch",
         "/weight", "at most 2 taps"},
        {"all cut away", TRANSPOSE, "{'input':[[1,2]],'weight':[[[1]]],'padding':1}", "shape-mismatch", "/padding",
         "at most 1"},
        {"grad_output too long", BACKWARD_INPUT, "{'grad_output':[[1,2,3]],'weight':[[[1,1]]],'input_shape':[1,3]}",
         "shape-mismatch", "/grad_output", "[1, 2]"},
        {"grad_output of other channels", BACKWARD_WEIGHT,
         "{'grad_output':[[1],[1]],'input':[[1]],'weight_shape':[1,1,1]}", "shape-mismatch", "/grad_output", "[1, 1]"},
        {"input_shape with N", BACKWARD_INPUT, "{'grad_output':[[1]],'weight':[[[1]]],'input_shape':[1,1,1]}",
         "shape-mismatch", "/input_shape", NULL},
        {"grad_output with N", BACKWARD_WEIGHT, "{'grad_output':[[[1]]],'input':[[1]],'weight_shape':[1,1,1]}",
         "shape-mismatch", "/grad_output", NULL},
        {"weight_shape of rank 2", BACKWARD_WEIGHT, "{'grad_output':[[1]],'input':[[1]],'weight_shape':[1,1]}",
         "shape-mismatch", "/weight_shape", NULL},
        {"weight_shape of other channels", BACKWARD_WEIGHT,
         "{'grad_output':[[1]],'input':[[1]],'weight_shape':[1,2,1]}", "shape-mismatch", "/weight_shape", "must be 1"},
        {"a plan that nobody can count", CONV,
         "{'plan':true,'input':{'shape':[1,9007199254740992]},'weight':{'shape':[9007199254740992,1,1]}}",
         "invalid-value", "*", NULL},
        {"a place nobody can count", TRANSPOSE,
         "{'plan':true,'input':{'shape':[1,9007199254740992]},'weight':{'shape':[1,1,1]},'stride':9007199254740992}",
         "invalid-value", "*", NULL},
    };
    CHECK_FAULTS(faults);
    check_problem(daemon_child, "a larger output than allowed", CONV,
                  "{'input':[[1]],'weight':[[[1]]],'padding':1000000000}", 413, "too-large", NULL, NO_OFFSET, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(conv),    HTTP_TEST(conv_transpose), HTTP_TEST(gradients),
        HTTP_TEST(answers), HTTP_TEST(members),        HTTP_TEST(shapes),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
