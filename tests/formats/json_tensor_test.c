/* SPDX-License-Identifier: MIT */
/* Tensors in every notation: shapes and values, and each fault with its slug and its pointer, whole and cut everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/formats/json_typed.h"
#include "tests/formats/json_feed.h"

struct tensor_case {
    const char *input; /* the value of the member `input` */
    const char *expected; /* what follows "input=", asked for as float64 */
};

static const struct tensor_case nested[] = {
    {"5", "[] 5"},
    {"-0.5e1", "[] -5"},
    {"[5]", "[1] 5"},
    {"[[1,2],[3,4]]", "[2,2] 1 2 3 4"},
    {" [ [ 1 , 2 ] , [ 3 , 4 ] ] ", "[2,2] 1 2 3 4"},
    {"[[[1,2,3]],[[4,5,6]]]", "[2,1,3] 1 2 3 4 5 6"},
    {"[[[[[[[[1],[2]]]]]]]]", "[1,1,1,1,1,1,2,1] 1 2"},
    {"[]", "[0]"},
    {"[[]]", "[1,0]"},
    {"[[],[]]", "[2,0]"},
    {"[[[]],[[]]]", "[2,1,0]"},
    {"[[1,2],[3]]", "ragged-array /input/1"},
    {"[[1,2],[3,4],[5,6,7]]", "ragged-array /input/2"},
    {"[[1,2],[]]", "ragged-array /input/1"},
    {"[[],[1]]", "ragged-array /input/1"},
    {"[[[1],[2]],[[3]]]", "ragged-array /input/1"},
    {"[[[1],[2]],[[3],[4,5]]]", "ragged-array /input/1/1"},
    {"[[1],2]", "ragged-array /input/1"},
    {"[1,[2]]", "ragged-array /input/1"},
    {"[[1,2],[3,[4]]]", "ragged-array /input/1/1"},
    {"[[1,2],[[3],[4]]]", "ragged-array /input/1/0"},
    {"[[[1]],[2]]", "ragged-array /input/1/0"},
    {"[[],1]", "ragged-array /input/1"},
    {"[[],[[]]]", "ragged-array /input/1/0"},
    {"[null,[1]]", "ragged-array /input/1"},
    {"[\"1\"]", "not-a-number /input/0"},
    {"[[1,2,3],[4,\"5\",6]]", "not-a-number /input/1/1"},
    {"[[1,2,3],[4,5,true]]", "not-a-number /input/1/2"},
    {"[[1,2,3],[4,5,false],\"\\u0000\"]", "not-a-number /input/1/2"},
    {"[1,{}]", "not-a-number /input/1"},
    {"[1,{\"a\":[[1]]},\"x\"]", "not-a-number /input/1"},
    {"[[1,2],\"x\"]", "not-a-number /input/1"},
    {"[[1,2],[3],\"x\"]", "ragged-array /input/1"},
    {"[[1,2],[3,1e999]]", "invalid-value /input/1/1"},
    {"[[1,2],[3,-1e400],[5]]", "invalid-value /input/1/1"},
    {"1e999", "invalid-value /input"},
    {"[[1,2],[3,null]]", "[2,2] not-a-number /input/1/1"},
    {"[null,2,null]", "[3] not-a-number /input/0"},
    {"[[[[[[[[[1]]]]]]]]]", "shape-mismatch /input"},
    {"[[[[[[[[[]]]]]]]]]", "shape-mismatch /input"},
    {"null", "invalid-value /input"},
    {"true", "invalid-value /input"},
};

static const struct tensor_case objects[] = {
    {"{\"shape\":[2,2],\"data\":[1,2,3,4]}", "[2,2] 1 2 3 4"},
    {"{\"data\":[1,2,3,4],\"shape\":[4]}", "[4] 1 2 3 4"},
    {"{\"sh\\u0061pe\":[],\"data\":[7]}", "[] 7"},
    {"{\"shape\":[0],\"data\":[]}", "[0]"},
    {"{\"shape\":[9007199254740992,9007199254740992,0],\"data\":[]}", "[9007199254740992,9007199254740992,0]"},
    {"{\"shape\":[2.0,1e0],\"data\":[1,2]}", "[2,1] 1 2"},
    {"{\"shape\":[1,1,1,1,1,1,1,1],\"data\":[1]}", "[1,1,1,1,1,1,1,1] 1"},
    {"{\"shape\":[1,1,1,1,1,1,1,1,1],\"data\":[1]}", "shape-mismatch /input/shape"},
    {"{\"shape\":[-1],\"data\":[1]}", "invalid-value /input/shape/0"},
    {"{\"shape\":[1,0.5],\"data\":[1]}", "invalid-value /input/shape/1"},
    {"{\"shape\":[1,\"1\"],\"data\":[1]}", "invalid-value /input/shape/1"},
    {"{\"shape\":[1,null],\"data\":[1]}", "invalid-value /input/shape/1"},
    {"{\"shape\":[[1]],\"data\":[1]}", "invalid-value /input/shape/0"},
    {"{\"shape\":[{}],\"data\":[1]}", "invalid-value /input/shape/0"},
    {"{\"shape\":[9007199254740993],\"data\":[1]}", "invalid-value /input/shape/0"},
    {"{\"shape\":[1e30],\"data\":[1]}", "invalid-value /input/shape/0"},
    {"{\"shape\":[-1e30],\"data\":[1]}", "invalid-value /input/shape/0"},
    {"{\"shape\":2,\"data\":[1,2]}", "invalid-value /input/shape"},
    {"{\"shape\":null,\"data\":[1,2]}", "invalid-value /input/shape"},
    {"{\"shape\":\"2\",\"data\":[1,2]}", "invalid-value /input/shape"},
    {"{\"shape\":{},\"data\":[1,2]}", "invalid-value /input/shape"},
    {"{\"shape\":[2,2],\"data\":[1,2,3]}", "shape-mismatch /input/data"},
    {"{\"shape\":[2,2],\"data\":[1,2,3,4,5]}", "shape-mismatch /input/data"},
    {"{\"shape\":[4294967296,4294967296],\"data\":[1]}", "shape-mismatch /input/data"},
    {"{\"shape\":[4294967296,4294967296],\"data\":[]}", "shape-mismatch /input/data"},
    {"{\"shape\":[3037000500,3037000500,1],\"data\":[1]}", "shape-mismatch /input/data"},
    {"{\"shape\":[9007199254740992,9007199254740992,9007199254740992],\"dtype\":\"int8\",\"base64\":\"\"}",
     "shape-mismatch /input/base64"},
    {"{\"shape\":[2305843009213693952],\"dtype\":\"float64\",\"base64\":\"\"}", "invalid-value /input/shape/0"},
    {"{\"shape\":[2],\"data\":[1,\"2\"]}", "not-a-number /input/data/1"},
    {"{\"shape\":[2],\"data\":[1,[2]]}", "not-a-number /input/data/1"},
    {"{\"shape\":[2],\"data\":[[1,2]]}", "not-a-number /input/data/0"},
    {"{\"shape\":[2],\"data\":[1,{\"x\":1}]}", "not-a-number /input/data/1"},
    {"{\"shape\":[2],\"data\":[1,1e999]}", "invalid-value /input/data/1"},
    {"{\"shape\":[2],\"data\":[1,null]}", "[2] not-a-number /input/data/1"},
    {"{\"shape\":[2],\"data\":1}", "invalid-value /input/data"},
    {"{\"shape\":[2],\"data\":null}", "invalid-value /input/data"},
    {"{\"shape\":[2],\"data\":\"1\"}", "invalid-value /input/data"},
    {"{\"shape\":[2],\"data\":{}}", "invalid-value /input/data"},
    {"{}", "missing-member /input/shape"},
    {"{\"data\":[1]}", "missing-member /input/shape"},
    {"{\"data\":[\"x\"]}", "missing-member /input/shape"},
    {"{\"shape\":[1]}", "missing-member /input/data"},
    {"{\"shape\":[1],\"dtype\":\"float64\"}", "missing-member /input/base64"},
    {"{\"shape\":[1],\"base64\":\"AA==\"}", "missing-member /input/dtype"},
    {"{\"shape\":[1],\"real\":[1]}", "missing-member /input/imag"},
    {"{\"shape\":[1],\"imag\":[1]}", "missing-member /input/real"},
    {"{\"shape\":[1],\"real\":[1],\"imag\":[1,2]}", "shape-mismatch /input/imag"},
    {"{\"shape\":[1],\"real\":[],\"imag\":[1]}", "shape-mismatch /input/real"},
    {"{\"shape\":[1],\"real\":[1],\"imag\":[\"x\"]}", "not-a-number /input/imag/0"},
    {"{\"shape\":[1],\"data\":[1],\"real\":[1],\"imag\":[1]}", "invalid-value /input/data"},
    {"{\"shape\":[1],\"data\":[1],\"dtype\":\"int8\",\"base64\":\"AA==\"}", "invalid-value /input/base64"},
    {"{\"shape\":[1],\"data\":[1],\"dtype\":\"int8\"}", "invalid-value /input/dtype"},
    {"{\"name\":\"box\"}", "an object(name:a string box)"},
};

static const struct tensor_case base64[] = {
    {"{\"shape\":[1],\"dtype\":\"float64\",\"base64\":\"AAAAAAAA+D8=\"}", "[1] 1.5"},
    {"{\"base64\":\"AAAAAAAA+D8=\",\"dtype\":\"float64\",\"shape\":[1]}", "[1] 1.5"},
    {"{\"shape\":[2],\"dtype\":\"float32\",\"base64\":\"AADAPwAAIMA=\"}", "[2] 1.5 -2.5"},
    {"{\"shape\":[3],\"dtype\":\"float16\",\"base64\":\"AD4BAAD8\"}", "[3] 1.5 5.9604644775390625e-08 -inf"},
    {"{\"shape\":[2],\"dtype\":\"bfloat16\",\"base64\":\"wD8gwA==\"}", "[2] 1.5 -2.5"},
    {"{\"shape\":[3],\"dtype\":\"int8\",\"base64\":\"AX+A\"}", "[3] 1 127 -128"},
    {"{\"shape\":[3],\"dtype\":\"uint8\",\"base64\":\"AX+A\"}", "[3] 1 127 128"},
    {"{\"shape\":[2],\"dtype\":\"bool\",\"base64\":\"AAE=\"}", "[2] 0 1"},
    {"{\"shape\":[2],\"dtype\":\"int16\",\"base64\":\"AQD\\/\\/w==\"}", "[2] 1 -1"},
    {"{\"shape\":[2],\"dtype\":\"uint16\",\"base64\":\"AQD\\/\\u002Fw==\"}", "[2] 1 65535"},
    {"{\"shape\":[1],\"dtype\":\"int32\",\"base64\":\"/v///w==\"}", "[1] -2"},
    {"{\"shape\":[1],\"dtype\":\"uint32\",\"base64\":\"/v///w==\"}", "[1] 4294967294"},
    {"{\"shape\":[1],\"dtype\":\"int64\",\"base64\":\"/v////////8=\"}", "[1] -2"},
    {"{\"shape\":[1],\"dtype\":\"uint64\",\"base64\":\"/v////////8=\"}", "[1] 1.8446744073709552e+19"},
    {"{\"shape\":[],\"dtype\":\"uint8\",\"base64\":\"Bw==\"}", "[] 7"},
    {"{\"shape\":[0,3],\"dtype\":\"uint8\",\"base64\":\"\"}", "[0,3]"},
    {"{\"shape\":[1],\"dtype\":\"complex64\",\"base64\":\"AADAPwAAIMA=\"}", "[1] invalid-value /input/dtype"},
    {"{\"shape\":[2],\"dtype\":\"uint8\",\"base64\":\"Bw==\"}", "shape-mismatch /input/base64"},
    {"{\"shape\":[1],\"dtype\":\"uint16\",\"base64\":\"BwcH\"}", "shape-mismatch /input/base64"},
    {"{\"shape\":[1],\"dtype\":\"uint8\",\"base64\":\"Bw=\"}", "invalid-value /input/base64"},
    {"{\"shape\":[1],\"dtype\":\"uint8\",\"base64\":\"Bw\"}", "invalid-value /input/base64"},
    {"{\"shape\":[1],\"dtype\":\"uint8\",\"base64\":\"B w==\"}", "invalid-value /input/base64"},
    {"{\"shape\":[1],\"dtype\":\"uint8\",\"base64\":\"B\\nw==\"}", "invalid-value /input/base64"},
    {"{\"shape\":[1],\"dtype\":\"uint8\",\"base64\":\"B_==\"}", "invalid-value /input/base64"},
    {"{\"shape\":[1],\"dtype\":\"uint8\",\"base64\":\"\\u0000w==\"}", "invalid-value /input/base64"},
    {"{\"shape\":[1],\"dtype\":\"uint8\",\"base64\":7}", "invalid-value /input/base64"},
    {"{\"shape\":[1],\"dtype\":\"uint8\",\"base64\":[\"Bw==\"]}", "invalid-value /input/base64"},
    {"{\"shape\":[1],\"dtype\":\"float128\",\"base64\":\"Bw==\"}", "invalid-value /input/dtype"},
    {"{\"shape\":[1],\"dtype\":\"Float64\",\"base64\":\"Bw==\"}", "invalid-value /input/dtype"},
    {"{\"shape\":[1],\"dtype\":\"uint8\\u0000\",\"base64\":\"Bw==\"}", "invalid-value /input/dtype"},
    {"{\"shape\":[1],\"dtype\":\"uint8 and much more than any name\",\"base64\":\"Bw==\"}",
     "invalid-value /input/dtype"},
    {"{\"shape\":[1],\"dtype\":null,\"base64\":\"Bw==\"}", "invalid-value /input/dtype"},
    {"{\"shape\":[1],\"dtype\":[\"uint8\"],\"base64\":\"Bw==\"}", "invalid-value /input/dtype"},
};

static int failures; /* of the running test */

static void check_case(const struct tensor_case *tensor, enum convolve_dtype dtype)
{
    char text[600], expected[200];
    const size_t count = (size_t)snprintf(text, sizeof text, "{\"input\":%s}", tensor->input);
    snprintf(expected, sizeof expected, "input=%s", tensor->expected);
    char *detail = NULL;
    for (unsigned way = 0; way < FEED_WAYS; way++) {
        char *found = feed_outcome(text, count, feed_ways[way], dtype, false, false);
        if (strcmp(found, expected) != 0) {
            fprintf(stderr, "%s, fed %" PRIu64 ": found \"%s\", expected \"%s\"\n", text, feed_ways[way], found,
                    expected);
            failures++;
        }
        free(found);
        found = feed_outcome(text, count, feed_ways[way], dtype, false, true);
        if (detail && strcmp(found, detail) != 0) {
            fprintf(stderr, "%s, fed %" PRIu64 ": says \"%s\", whole it was \"%s\"\n", text, feed_ways[way], found,
                    detail);
            failures++;
        }
        free(detail);
        detail = found;
    }
    free(detail);
}

static void test_nested(void **state)
{
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof nested / sizeof nested[0]; i++)
        check_case(&nested[i], CONVOLVE_FLOAT64);
    assert_int_equal(failures, 0);
}

static void test_objects(void **state)
{
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
        check_case(&objects[i], CONVOLVE_FLOAT64);
    assert_int_equal(failures, 0);
}

static void test_base64(void **state)
{
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof base64 / sizeof base64[0]; i++)
        check_case(&base64[i], CONVOLVE_FLOAT64);
    assert_int_equal(failures, 0);
}

/* Typed values convert by value, whatever they came as. */
static void test_base64_conversions(void **state)
{
    static const struct {
        struct tensor_case tensor;
        enum convolve_dtype dtype;
    } cases[] = {
        {{"{\"shape\":[2],\"dtype\":\"int8\",\"base64\":\"Af4=\"}", "[2] 1 -2"}, CONVOLVE_INT64},
        {{"{\"shape\":[2],\"dtype\":\"int8\",\"base64\":\"Af4=\"}", "[2] 1 -2"}, CONVOLVE_FLOAT32},
        {{"{\"shape\":[2],\"dtype\":\"int8\",\"base64\":\"Af4=\"}", "[2] 1+0i -2+0i"}, CONVOLVE_COMPLEX128},
        {{"{\"shape\":[2],\"dtype\":\"float32\",\"base64\":\"AADAPwAAIMA=\"}", "[2] invalid-value /input/base64"},
         CONVOLVE_INT64},
        {{"{\"shape\":[2],\"dtype\":\"float32\",\"base64\":\"AACAPwAAAMA=\"}", "[2] 1 -2"}, CONVOLVE_INT64},
        {{"{\"shape\":[2],\"dtype\":\"float32\",\"base64\":\"AADAPwAAIMA=\"}", "[2] 1.5+0i -2.5+0i"},
         CONVOLVE_COMPLEX64},
        {{"{\"shape\":[1],\"dtype\":\"complex64\",\"base64\":\"AADAPwAAIMA=\"}", "[1] 1.5-2.5i"}, CONVOLVE_COMPLEX64},
        {{"{\"shape\":[1],\"dtype\":\"complex64\",\"base64\":\"AADAPwAAIMA=\"}", "[1] 1.5-2.5i"}, CONVOLVE_COMPLEX128},
        {{"{\"shape\":[1],\"dtype\":\"complex64\",\"base64\":\"AADAPwAAIMA=\"}", "[1] invalid-value /input/dtype"},
         CONVOLVE_INT64},
        {{"{\"shape\":[1],\"dtype\":\"uint64\",\"base64\":\"AAAAAAAAAIA=\"}", "[1] integer-overflow /input/base64"},
         CONVOLVE_INT64},
        {{"{\"shape\":[1],\"dtype\":\"int64\",\"base64\":\"AQAAAAAAIAA=\"}", "[1] 9007199254740993"}, CONVOLVE_INT64},
        {{"{\"shape\":[1],\"dtype\":\"float64\",\"base64\":\"AAAAAAAA4EM=\"}", "[1] integer-overflow /input/base64"},
         CONVOLVE_INT64},
        {{"{\"shape\":[1],\"dtype\":\"float64\",\"base64\":\"AAAAAAAA4MM=\"}", "[1] -9223372036854775808"},
         CONVOLVE_INT64},
        {{"{\"shape\":[1],\"dtype\":\"float64\",\"base64\":\"AAAAAAAA8H8=\"}", "[1] invalid-value /input/base64"},
         CONVOLVE_INT64},
        {{"{\"shape\":[1],\"dtype\":\"float64\",\"base64\":\"AAAAAAAA8H8=\"}", "[1] inf"}, CONVOLVE_FLOAT32},
        {{"{\"shape\":[1],\"dtype\":\"float64\",\"base64\":\"AAAAAAAA+H8=\"}", "[1] nan"}, CONVOLVE_FLOAT32},
        {{"{\"shape\":[1],\"dtype\":\"float64\",\"base64\":\"nHUAiDzkN34=\"}", "[1] invalid-value /input/base64"},
         CONVOLVE_FLOAT32},
        {{"{\"shape\":[1],\"dtype\":\"float64\",\"base64\":\"AAAAAAAAAIA=\"}", "[1] -0"}, CONVOLVE_FLOAT32},
        {{"{\"shape\":[1],\"dtype\":\"float64\",\"base64\":\"AAAAAAAAAIA=\"}", "[1] 0"}, CONVOLVE_INT64},
    };
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_case(&cases[i].tensor, cases[i].dtype);
    assert_int_equal(failures, 0);
}

/* Larger than any first capacity, so that every list and block must grow while pieces are cut. */
static void test_large(void **state)
{
    enum { ROWS = 300, COLUMNS = 401 };
    char *text = malloc((size_t)ROWS * COLUMNS * 12 + 64), *at = stpcpy(text, "{\"input\":[");
    (void)state;
    assert_non_null(text);
    for (int row = 0; row < ROWS; row++) {
        at = stpcpy(at, row ? ",[" : "[");
        for (int column = 0; column < COLUMNS; column++)
            at += sprintf(at, column ? ", %d" : "%d", row * 1000 - column);
        at = stpcpy(at, "]");
    }
    at = stpcpy(at, "]}");
    for (unsigned way = 0; way < 3; way++) {
        struct feed feed;
        struct convolve_shape shape;
        bool shape_only;
        void *values;
        feed_body(&feed, text, (size_t)(at - text), feed_ways[way]);
        assert_non_null(feed.body);
        const struct json_value *input = json_member(feed.body, "input");
        assert_true(json_tensor_shape(input, "/input", false, &shape_only, &shape, &feed.error));
        assert_int_equal(shape.rank, 2);
        assert_int_equal(shape.size[0], ROWS);
        assert_int_equal(shape.size[1], COLUMNS);
        assert_true(json_tensor_values(input, "/input", CONVOLVE_INT64, false, &feed.arena, &values, &feed.error));
        for (int64_t i = 0; i < ROWS * COLUMNS; i++)
            assert_int_equal(((int64_t *)values)[i], i / COLUMNS * 1000 - i % COLUMNS);
        feed_release(&feed);
    }
    free(text);
}

static void test_shape_only(void **state)
{
    static const struct {
        const char *text;
        bool allowed, fine, only;
    } cases[] = {
        {"{\"input\":{\"shape\":[2,3]}}", true, true, true},
        {"{\"input\":{\"shape\":[9007199254740992,9007199254740992]}}", true, true, true},
        {"{\"input\":{\"shape\":[2,3]}}", false, false, false},
        {"{\"input\":{\"shape\":[1],\"data\":[1]}}", true, true, false},
        {"{\"input\":{\"shape\":[2],\"data\":[1]}}", true, false, false},
        {"{\"input\":[1]}", true, true, false},
        {"{\"input\":{}}", true, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct feed feed;
        struct convolve_shape shape;
        bool only;
        feed_body(&feed, cases[i].text, strlen(cases[i].text), FEED_WHOLE);
        assert_non_null(feed.body);
        const bool fine =
            json_tensor_shape(json_member(feed.body, "input"), "/input", cases[i].allowed, &only, &shape, &feed.error);
        if (fine != cases[i].fine || (fine && only != cases[i].only))
            fail_msg("%s: fine %d only %d", cases[i].text, fine, only);
        feed_release(&feed);
    }
}

static void test_dtype(void **state)
{
    static const struct {
        const char *dtype;
        bool known;
    } cases[] = {{"float64", true}, {"bfloat16", true}, {"bool", true}, {"complex64", true}, {"float80", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[160];
        struct feed feed;
        snprintf(text, sizeof text, "{\"input\":{\"shape\":[0],\"dtype\":\"%s\",\"base64\":\"\"},\"kernel\":[1]}",
                 cases[i].dtype);
        feed_body(&feed, text, strlen(text), FEED_WHOLE);
        assert_non_null(feed.body);
        const struct json_typed *typed = json_tensor_typed(json_member(feed.body, "input"));
        assert_int_equal(typed != NULL, cases[i].known);
        if (typed)
            assert_string_equal(typed->name, cases[i].dtype);
        assert_null(json_tensor_typed(json_member(feed.body, "kernel")));
        feed_release(&feed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nested), cmocka_unit_test(test_objects),
        cmocka_unit_test(test_base64), cmocka_unit_test(test_base64_conversions),
        cmocka_unit_test(test_large),  cmocka_unit_test(test_shape_only),
        cmocka_unit_test(test_dtype),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
