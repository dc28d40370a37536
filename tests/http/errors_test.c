/* SPDX-License-Identifier: MIT */
/* What is wrong with the members and values of a request, and how it is told: status, slug, pointer, a detail that helps; which
 * fault is told where there are several; and that no fault costs the connection. */
#include "tests/http/harness.h"

#include <string.h>

struct fault {
    const char *name, *request, *slug, *pointer, *word;
};

/* All on one connection: a fault that closed it would show as a second connect. */
static void check_faults(const struct fault *faults, size_t count)
{
    http_get(daemon_child, "/healthz");
    for (size_t i = 0; i < count; i++) {
        struct answer answer = check_problem(daemon_child, faults[i].name, "/v1/convolve", faults[i].request, 422,
                                             faults[i].slug, faults[i].pointer, NO_OFFSET, faults[i].word);
        check_number(faults[i].name, "new connections", answer.connects, 0);
    }
    check_output(daemon_child, "afterwards", "/v1/convolve", "{'input':[1],'kernel':[2]}", "[2]");
}
#define CHECK_FAULTS(faults) check_faults(faults, sizeof(faults) / sizeof *(faults))

static void members(void **state)
{
    (void)state;
    static const struct fault faults[] = {
        {"nothing", "{}", "missing-member", "/input", NULL},
        {"no kernel", "{'input':[1]}", "missing-member", "/kernel", NULL},
        {"no input", "{'kernel':[1]}", "missing-member", "/input", NULL},
        {"unknown", "{'input':[1],'kernel':[1],'strid':2}", "unknown-member", "/strid", "stride"},
        {"unknown, far from all", "{'input':[1],'kernel':[1],'zzzzzzzzzz':{'a':[1]}}", "unknown-member", "/zzzzzzzzzz",
         NULL},
        {"names have their case", "{'Input':[1],'kernel':[1]}", "unknown-member", "/Input", "input"},
        {"a NUL does not end a name", "{'input\\u0000':[1],'kernel':[1]}", "unknown-member", ANY_POINTER, NULL},
        {"a lone surrogate is no known name", "{'input\\ud800':[1],'kernel':[1]}", "unknown-member", ANY_POINTER, NULL},
        {"pointers are escaped", "{'a/b~c':1,'input':[1],'kernel':[1]}", "unknown-member", "/a~1b~0c", NULL},
        {"the empty name", "{'':1,'input':[1],'kernel':[1]}", "unknown-member", "/", NULL},
        {"of a layer", "{'input':[1],'weight':[1]}", "unknown-member", "/weight", NULL},
        {"twice", "{'input':[1],'kernel':[1],'input':[1]}", "duplicate-member", "/input", NULL},
        {"twice, written otherwise", "{'input':[1],'kernel':[1],'\\u0069nput':[1]}", "duplicate-member", "/input",
         NULL},
        {"mode twice", "{'mode':'full','input':[1],'kernel':[1],'mode':'full'}", "duplicate-member", "/mode", NULL},
        {"twice in a tensor", "{'input':{'shape':[1],'shape':[1],'data':[1]},'kernel':[1]}", "duplicate-member",
         "/input/shape", NULL},
        {"twice in a tensor, written otherwise", "{'input':{'shape':[1],'sh\\u0061pe':[1],'data':[1]},'kernel':[1]}",
         "duplicate-member", "/input/shape", NULL},
        {"twice deep in an unknown member", "{'input':[1],'kernel':[1],'zz':[0,{'q':1,'q':2}]}", "duplicate-member",
         "/zz/1/q", NULL},
        {"twice, beside a tensor of rank 9", "{'input':[[[[[[[[[1]]]]]]]]],'kernel':[1],'mode':'full','mode':'full'}",
         "duplicate-member", "/mode", NULL},
        {"twice in a value", "{'fillvalue':{'real':1,'real':1,'imag':1},'dtype':'complex128','input':[1],'kernel':[1]}",
         "duplicate-member", "/fillvalue/real", NULL},
        {"a list", "[1,2]", "invalid-value", NULL, NULL},
        {"a string", "'input'", "invalid-value", NULL, NULL},
        {"a number", "1", "invalid-value", NULL, NULL},
        {"null", "null", "invalid-value", NULL, NULL},
        {"true", " true ", "invalid-value", NULL, NULL},
    };
    CHECK_FAULTS(faults);
    static const char *const names[] = {"input",     "kernel", "mode",      "padding",    "boundary",
                                        "fillvalue", "stride", "dilation",  "axes",       "method",
                                        "dtype",     "format", "nonfinite", "timeout_ms", "plan"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *request = textf("{%s%s'%s':null}", strcmp(names[i], "input") ? "'input':[1]," : "",
                                    strcmp(names[i], "kernel") ? "'kernel':[1]," : "", names[i]);
        check_problem(daemon_child, request, "/v1/convolve", request, 422, "invalid-value", textf("/%s", names[i]),
                      NO_OFFSET, NULL);
    }
}

static void tensors(void **state)
{
    (void)state;
    static const struct fault faults[] = {
        {"ragged, short row", "{'input':[[1,2],[3]],'kernel':[[1]]}", "ragged-array", "/input/1*", NULL},
        {"ragged, long row", "{'input':[[1,2],[3,4,5]],'kernel':[[1]]}", "ragged-array", "/input/1*", NULL},
        {"ragged, number among rows", "{'input':[[1,2],3],'kernel':[[1]]}", "ragged-array", "/input/1*", NULL},
        {"ragged, row among numbers", "{'input':[1,[2]],'kernel':[[1]]}", "ragged-array", "/input/1*", NULL},
        {"ragged, deep", "{'input':[[[1,2],[3,4]],[[5,6],[7]]],'kernel':[[[1]]]}", "ragged-array", "/input/1/1*", NULL},
        {"ragged kernel", "{'input':[[1]],'kernel':[[],[1]]}", "ragged-array", "/kernel*", NULL},
        {"a string among numbers", "{'input':[1,'2'],'kernel':[1]}", "not-a-number", "/input/1", NULL},
        {"a boolean among numbers", "{'input':[[1,2],[3,true]],'kernel':[[1]]}", "not-a-number", "/input/1/1", NULL},
        {"a null among numbers", "{'input':[1,null],'kernel':[1]}", "not-a-number|invalid-value", "/input/1", NULL},
        {"an object among numbers", "{'input':[1,{}],'kernel':[1]}", "not-a-number", "/input/1*", NULL},
        {"a string for an input", "{'input':'box','kernel':[1]}", "not-a-number|invalid-value", "/input", NULL},
        {"a boolean for a kernel", "{'input':[1],'kernel':true}", "not-a-number|invalid-value", "/kernel", NULL},
        {"beyond a double", "{'input':[1,1e999],'kernel':[1]}", "invalid-value", "/input/1", NULL},
        {"beyond a double, negative", "{'input':[1],'kernel':[[-1e309]]}", "invalid-value", "/kernel/0/0", NULL},
        {"beyond a double, flat", "{'input':{'shape':[2],'data':[1,1e999]},'kernel':[1]}", "invalid-value",
         "/input/data/1", NULL},
        {"beyond float32", "{'input':[1,1e39],'kernel':[1],'dtype':'float32'}", "invalid-value", "/input/1", NULL},
        {"beyond complex64", "{'input':{'shape':[1],'real':[0],'imag':[-4e38]},'kernel':[1],'dtype':'complex64'}",
         "invalid-value", "/input/imag/0", NULL},
        {"empty", "{'input':[],'kernel':[1]}", "empty-tensor", "/input", NULL},
        {"empty row", "{'input':[[1]],'kernel':[[]]}", "empty-tensor", "/kernel", NULL},
        {"empty flat", "{'input':{'shape':[2,0],'data':[]},'kernel':[[1]]}", "empty-tensor", "/input", NULL},
        {"rank 9", "{'input':[[[[[[[[[1]]]]]]]]],'kernel':[1]}", "shape-mismatch", "/input", NULL},
        {"rank 9 kernel", "{'input':[1],'kernel':[[[[[[[[[1]]]]]]]]]}", "shape-mismatch", "/kernel", NULL},
        {"rank 9 flat", "{'input':{'shape':[1,1,1,1,1,1,1,1,1],'data':[1]},'kernel':[1]}",
         "shape-mismatch|invalid-value", "/input*", NULL},
        {"other length", "{'input':{'shape':[2,2],'data':[1,2,3]},'kernel':[[1]]}", "shape-mismatch", "/input/data",
         NULL},
        {"other length, base64", "{'input':{'shape':[2],'dtype':'float64','base64':'AAAAAAAACEA='},'kernel':[1]}",
         "shape-mismatch", "/input/base64", NULL},
        {"no whole element", "{'input':{'shape':[1],'dtype':'float64','base64':'AAAA'},'kernel':[1]}", "shape-mismatch",
         "/input/base64", NULL},
        {"a product past 2^63", "{'input':{'shape':[4294967296,4294967296,2],'data':[1]},'kernel':[[[1]]]}",
         "shape-mismatch", "/input/data", NULL},
        {"a product that wraps to 1 and more", "{'input':{'shape':[4294967296,4294967296],'data':[]},'kernel':[[1]]}",
         "shape-mismatch", "/input/data", NULL},
        {"a product past 2^63, base64",
         "{'input':{'shape':[9007199254740991,9007199254740991],'dtype':'float32','base64':'AABAQA=='},"
         "'kernel':[[1]]}",
         "shape-mismatch", "/input/base64", NULL},
        {"negative size", "{'input':{'shape':[-1],'data':[1]},'kernel':[1]}", "invalid-value", "/input/shape/0", NULL},
        {"fractional size", "{'input':{'shape':[1,1.5],'data':[1]},'kernel':[1]}", "invalid-value", "/input/shape/1",
         NULL},
        {"size beyond 2^53", "{'input':{'shape':[9007199254740993],'data':[1]},'kernel':[1]}", "invalid-value",
         "/input/shape/0", NULL},
        {"size a string", "{'input':{'shape':['1'],'data':[1]},'kernel':[1]}", "invalid-value", "/input/shape/0", NULL},
        {"size null", "{'input':{'shape':[null],'data':[1]},'kernel':[1]}", "invalid-value", "/input/shape/0", NULL},
        {"size a list", "{'input':{'shape':[1,[1]],'data':[1]},'kernel':[1]}", "invalid-value", "/input/shape/1", NULL},
        {"size beyond a double", "{'input':{'shape':[1e400],'data':[1]},'kernel':[1]}", "invalid-value",
         "/input/shape/0", NULL},
        {"no axes, two values", "{'input':{'shape':[],'data':[1,2]},'kernel':1}", "shape-mismatch", "/input/data",
         NULL},
        {"shape null", "{'input':{'shape':null,'data':[1]},'kernel':[1]}", "invalid-value", "/input/shape", NULL},
        {"data null", "{'input':{'shape':[1],'data':null},'kernel':[1]}", "invalid-value", "/input/data", NULL},
        {"data nested", "{'input':{'shape':[1],'data':[[1]]},'kernel':[1]}", "not-a-number|ragged-array|invalid-value",
         "/input/data/0", NULL},
        {"base64 null", "{'input':{'shape':[1],'dtype':'uint8','base64':null},'kernel':[1]}", "invalid-value",
         "/input/base64", NULL},
        {"base64 with bits left over", "{'input':{'shape':[1],'dtype':'uint8','base64':'AR=='},'kernel':[1]}",
         "invalid-value", "/input/base64", NULL},
        {"base64 padded too far", "{'input':{'shape':[1],'dtype':'uint8','base64':'AQ==='},'kernel':[1]}",
         "invalid-value", "/input/base64", NULL},
        {"base64 with a space", "{'input':{'shape':[1],'dtype':'uint8','base64':'AQ ='},'kernel':[1]}", "invalid-value",
         "/input/base64", NULL},
        {"base64 of nothing", "{'input':{'shape':[1],'dtype':'uint8','base64':''},'kernel':[1]}", "shape-mismatch",
         "/input/base64", NULL},
        {"dtype null", "{'input':{'shape':[1],'dtype':null,'base64':'AQ=='},'kernel':[1]}", "invalid-value",
         "/input/dtype", NULL},
        {"real without imag", "{'input':{'shape':[1],'real':[1]},'kernel':[1],'dtype':'complex128'}", "missing-member",
         "/input/imag", NULL},
        {"a hole in a kernel", "{'input':[1],'kernel':[1,null],'missing':'ignore'}", "not-a-number|invalid-value",
         "/kernel/1", NULL},
        {"a hole under int64", "{'dtype':'int64','input':[1,null],'kernel':[1],'missing':'ignore'}", "invalid-value",
         "/input/1", NULL},
        {"of two ragged rows the first", "{'input':[[1,2],[3],['x']],'kernel':[[1]]}", "ragged-array", "/input/1*",
         NULL},
        {"shape is no list", "{'input':{'shape':1,'data':[1]},'kernel':[1]}", "invalid-value", "/input/shape", NULL},
        {"no shape", "{'input':{'data':[1]},'kernel':[1]}", "missing-member", "/input/shape", NULL},
        {"no values", "{'input':{'shape':[1]},'kernel':[1]}", "missing-member", "/input*", NULL},
        {"data and base64", "{'input':{'shape':[1],'data':[3],'dtype':'float64','base64':'AAAAAAAACEA='},'kernel':[1]}",
         "invalid-value", "/input*", NULL},
        {"unknown member of a tensor", "{'input':{'shape':[1],'data':[3],'order':'C'},'kernel':[1]}", "unknown-member",
         "/input/order", NULL},
        {"base64 without a dtype", "{'input':{'shape':[1],'base64':'AAAAAAAACEA='},'kernel':[1]}", "missing-member",
         "/input/dtype", NULL},
        {"unknown dtype", "{'input':{'shape':[1],'dtype':'float','base64':'AAAAAAAACEA='},'kernel':[1]}",
         "invalid-value", "/input/dtype", "float64"},
        {"base64 without padding", "{'input':{'shape':[1],'dtype':'float64','base64':'AAAAAAAACEA'},'kernel':[1]}",
         "invalid-value", "/input/base64", NULL},
        {"base64 with a line break",
         "{'input':{'shape':[1],'dtype':'float64','base64':'AAAAAAAA\\nCEA='},'kernel':[1]}", "invalid-value",
         "/input/base64", NULL},
        {"base64 of URLs", "{'input':{'shape':[1],'dtype':'float64','base64':'__-_AAAACEA='},'kernel':[1]}",
         "invalid-value", "/input/base64", NULL},
        {"complex under a real dtype", "{'input':{'shape':[1],'real':[1],'imag':[0]},'kernel':[1]}", "invalid-value",
         "/input*", NULL},
        {"typed complex into a real dtype",
         "{'input':{'shape':[1],'dtype':'complex64','base64':'AABAQAAAAAA='},'kernel':[1],'dtype':'float64'}",
         "invalid-value", "/input*", NULL},
        {"imag of another length", "{'input':{'shape':[1],'real':[1],'imag':[]},'kernel':[1],'dtype':'complex64'}",
         "shape-mismatch", "/input/imag", NULL},
    };
    CHECK_FAULTS(faults);
}

static void integers(void **state)
{
    (void)state;
    static const struct fault faults[] = {
        {"a fraction", "{'dtype':'int64','input':[1,1.5],'kernel':[1]}", "invalid-value", "/input/1", NULL},
        {"a small fraction", "{'dtype':'int64','input':[1],'kernel':[[1,1e-3]]}", "invalid-value", "/kernel/0/1", NULL},
        {"beyond int64", "{'dtype':'int64','input':[9223372036854775808],'kernel':[1]}", "integer-overflow", "/input/0",
         NULL},
        {"below int64", "{'input':[0,-9223372036854775809],'kernel':[1],'dtype':'int64'}", "integer-overflow",
         "/input/1", NULL},
        {"beyond a double under int64", "{'dtype':'int64','input':[1e999],'kernel':[1]}", "invalid-value", "/input/0",
         NULL},
        {"a fraction in a row", "{'input':[[1,2],[3,4.5]],'kernel':[[1]],'dtype':'int64'}", "invalid-value",
         "/input/1/1", NULL},
        {"beyond int64 with an exponent", "{'dtype':'int64','input':[1e19],'kernel':[1]}", "integer-overflow",
         "/input/0", NULL},
        {"a typed NaN",
         "{'dtype':'int64','input':{'shape':[1],'dtype':'float64','base64':'AAAAAAAA+H8='},'kernel':[1]}",
         "invalid-value", "/input*", NULL},
        {"a typed fraction",
         "{'dtype':'int64','input':{'shape':[1],'dtype':'float64','base64':'AAAAAAAA4D8='},'kernel':[1]}",
         "invalid-value", "/input*", NULL},
        {"a kernel of fractions", "{'dtype':'int64','input':[1],'kernel':'gaussian'}", "invalid-value", "/kernel*",
         NULL},
        {"a product beyond", "{'dtype':'int64','input':[9223372036854775807],'kernel':[2]}", "integer-overflow",
         ANY_POINTER, NULL},
        {"a sum beyond", "{'dtype':'int64','input':[9223372036854775807,1],'kernel':[1,1]}", "integer-overflow",
         ANY_POINTER, NULL},
        {"the lowest, negated", "{'dtype':'int64','input':[-9223372036854775808],'kernel':[-1]}", "integer-overflow",
         ANY_POINTER, NULL},
        {"a fraction to fill with", "{'dtype':'int64','input':[1],'kernel':[1],'fillvalue':0.5}", "invalid-value",
         "/fillvalue", NULL},
    };
    CHECK_FAULTS(faults);
}

/* {'input': ..., 'kernel': ..., and this}. */
#define ONE(rest) "{'input':[1,2,3],'kernel':[1,2]," rest "}"
#define TWO(rest) "{'input':[[1,2],[3,4]],'kernel':[[1,2]]," rest "}"

static void values(void **state)
{
    (void)state;
    static const struct fault faults[] = {
        {"dtype", ONE("'dtype':'float16'"), "invalid-value", "/dtype", "float32"},
        {"dtype has its case", ONE("'dtype':'Float64'"), "invalid-value", "/dtype", "float64"},
        {"dtype a number", ONE("'dtype':64"), "invalid-value", "/dtype", NULL},
        {"format", ONE("'format':'json'"), "invalid-value", "/format", "nested"},
        {"nonfinite", ONE("'nonfinite':1"), "invalid-value", "/nonfinite", NULL},
        {"nonfinite", ONE("'nonfinite':'nan'"), "invalid-value", "/nonfinite", "error"},
        {"timeout 0", ONE("'timeout_ms':0"), "invalid-value", "/timeout_ms", NULL},
        {"timeout negative", ONE("'timeout_ms':-1"), "invalid-value", "/timeout_ms", NULL},
        {"timeout fractional", ONE("'timeout_ms':1.5"), "invalid-value", "/timeout_ms", NULL},
        {"timeout a string", ONE("'timeout_ms':'5'"), "invalid-value", "/timeout_ms", NULL},
        {"timeout beyond 2^53", ONE("'timeout_ms':9007199254740994"), "invalid-value", "/timeout_ms", NULL},
        {"timeout beyond a double", ONE("'timeout_ms':1e999"), "invalid-value", "/timeout_ms", NULL},
        {"mode", ONE("'mode':'sam'"), "invalid-value", "/mode", "same"},
        {"mode with a NUL", ONE("'mode':'full\\u0000'"), "invalid-value", "/mode", NULL},
        {"mode with a lone surrogate", ONE("'mode':'\\udc00'"), "invalid-value", "/mode", NULL},
        {"mode a list", ONE("'mode':['full']"), "invalid-value", "/mode", NULL},
        {"padding with mode", ONE("'padding':1,'mode':'full'"), "invalid-value", "/padding", NULL},
        {"padding negative", ONE("'padding':-1"), "invalid-value", "/padding", NULL},
        {"padding fractional", ONE("'padding':0.5"), "invalid-value", "/padding", NULL},
        {"padding by name", ONE("'padding':'same'"), "invalid-value", "/padding", NULL},
        {"padding of two for one axis", ONE("'padding':[1,1]"), "invalid-value", "/padding", NULL},
        {"padding negative in a list", TWO("'padding':[1,-1]"), "invalid-value", "/padding*", NULL},
        {"padding of three ends", ONE("'padding':[[1,1,1]]"), "invalid-value", "/padding*", NULL},
        {"padding beyond 2^53", ONE("'padding':9007199254740994"), "invalid-value", "/padding", NULL},
        {"boundary", ONE("'boundary':'mirror'"), "invalid-value", "/boundary", "reflect"},
        {"fillvalue a string", ONE("'fillvalue':'0'"), "invalid-value", "/fillvalue", NULL},
        {"fillvalue complex, dtype real", ONE("'fillvalue':{'real':1,'imag':-2}"), "invalid-value", "/fillvalue*",
         NULL},
        {"fillvalue beyond a double", ONE("'fillvalue':1e999"), "invalid-value", "/fillvalue", NULL},
        {"stride 0", ONE("'stride':0"), "invalid-value", "/stride", NULL},
        {"stride of two for one axis", ONE("'stride':[1,1]"), "invalid-value", "/stride", NULL},
        {"stride of one for two axes", TWO("'stride':[1]"), "invalid-value", "/stride", NULL},
        {"stride a string", ONE("'stride':'2'"), "invalid-value", "/stride", NULL},
        {"stride beyond 2^53", ONE("'stride':9007199254740994"), "invalid-value", "/stride", NULL},
        {"dilation 0", ONE("'dilation':0"), "invalid-value", "/dilation", NULL},
        {"dilation fractional", ONE("'dilation':1.5"), "invalid-value", "/dilation", NULL},
        {"dilation of none", ONE("'dilation':[]"), "invalid-value", "/dilation", NULL},
        {"axes beyond", ONE("'axes':1"), "invalid-value", "/axes*", NULL},
        {"axes below", TWO("'axes':[-3]"), "invalid-value", "/axes*", NULL},
        {"axes none", ONE("'axes':[]"), "invalid-value", "/axes", NULL},
        {"axes twice", TWO("'axes':[0,0]"), "invalid-value", "/axes*", NULL},
        {"axes twice, once from the end", TWO("'axes':[1,-1]"), "invalid-value", "/axes*", NULL},
        {"axes a string", ONE("'axes':'0'"), "invalid-value", "/axes", NULL},
        {"axes fractional", ONE("'axes':0.5"), "invalid-value", "/axes", NULL},
        {"method", ONE("'method':'magic'"), "invalid-value", "/method", "direct"},
        {"method of a layer", ONE("'method':'winograd'"), "invalid-value", "/method", NULL},
        {"an unknown kernel", "{'input':[1],'kernel':'nope'}", "unknown-kernel", "/kernel", NULL},
    };
    CHECK_FAULTS(faults);
}

static void shapes(void **state)
{
    (void)state;
    static const struct fault faults[] = {
        {"a kernel of higher rank", "{'input':[[1,2]],'kernel':[[[1]]]}", "shape-mismatch", "/kernel", "rank"},
        {"told about conv", "{'input':[[1]],'kernel':[[[[1]]]]}", "shape-mismatch", "/kernel", "conv"},
        {"a number and a list", "{'input':1,'kernel':[1]}", "shape-mismatch", ANY_POINTER, NULL},
        {"valid, neither within the other", "{'input':[[1],[2]],'kernel':[[1,2]],'mode':'valid'}", "shape-mismatch",
         ANY_POINTER, NULL},
        {"padded and still shorter", "{'input':[1,2],'kernel':[1,2,3,4],'padding':[[1,0]]}", "shape-mismatch",
         ANY_POINTER, NULL},
        {"dilated beyond the padded input", "{'input':[1,2,3],'kernel':[1,2],'padding':0,'dilation':3}",
         "shape-mismatch", ANY_POINTER, NULL},
        {"neither 1 nor equal", "{'input':[[1,2],[3,4]],'kernel':[[1],[1],[1]],'axes':1}", "shape-mismatch",
         ANY_POINTER, NULL},
        {"rank neither equal nor the number of axes", "{'input':[[[1]]],'kernel':[[1]],'axes':[0]}", "shape-mismatch",
         ANY_POINTER, NULL},
    };
    CHECK_FAULTS(faults);
}

static void the_first_fault_is_told(void **state)
{
    (void)state;
    static const struct fault faults[] = {
        {"duplicate before unknown", "{'foo':1,'input':[1],'input':[1]}", "duplicate-member", "/input", NULL},
        {"unknown before missing", "{'foo':1}", "unknown-member", "/foo", NULL},
        {"missing before values", "{'input':[1],'mode':'x'}", "missing-member", "/kernel", NULL},
        {"missing before what is in tensors", "{'input':[[1],[1,2]]}", "missing-member", "/kernel", NULL},
        {"unknown before what is in tensors", "{'input':['a'],'kernel':[1],'foo':1}", "unknown-member", "/foo", NULL},
        {"dtype before input", "{'input':[[1],[1,2]],'kernel':[1],'dtype':'x'}", "invalid-value", "/dtype", NULL},
        {"format before mode", ONE("'mode':'x','format':'x'"), "invalid-value", "/format", NULL},
        {"input before kernel", "{'kernel':['a'],'input':['a']}", "not-a-number", "/input/0", NULL},
        {"input before mode", "{'mode':'x','input':['a'],'kernel':[1]}", "not-a-number", "/input/0", NULL},
        {"mode before boundary", ONE("'boundary':'x','mode':'x'"), "invalid-value", "/mode", NULL},
        {"stride before dilation", ONE("'dilation':0,'stride':0"), "invalid-value", "/stride", NULL},
        {"dilation before axes", ONE("'axes':[],'dilation':0"), "invalid-value", "/dilation", NULL},
        {"axes before method", ONE("'method':'x','axes':[]"), "invalid-value", "/axes", NULL},
        {"values before shapes", "{'input':[[1]],'kernel':[[[1]]],'method':'x'}", "invalid-value", "/method", NULL},
    };
    CHECK_FAULTS(faults);
    check_problem(daemon_child, "syntax before all", "/v1/convolve", "{'foo':1,'foo':[1,'a'],'mode':'x'", 400,
                  "malformed-json", ANY_POINTER, 33, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(members), HTTP_TEST(tensors), HTTP_TEST(integers),
        HTTP_TEST(values),  HTTP_TEST(shapes),  HTTP_TEST(the_first_fault_is_told),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
