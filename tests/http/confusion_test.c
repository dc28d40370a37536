/* SPDX-License-Identifier: MIT */
/* What confuses people about convolution, each question a test with its numbers, over HTTP, digit for digit. The numbers that
 * no question gives were computed with SciPy 1.10. */
#include "tests/http/harness.h"

#define PATCH   "[[0,0,0],[1,1,2],[1,3,0]]"
#define FILTER  "[[4,1,1],[0,3,3],[2,1,2]]"
#define TURNED  "[[2,1,2],[3,3,0],[1,1,4]]"
#define VALUES  "[[2,1,-3,-4,-4],[2,-3,3,1,2],[2,5,-6,6,-2],[-5,4,1,5,4],[0,0,1,-3,-4]]"
#define FILTERS "[[[0,1,-1],[1,-1,0],[0,0,0]],[[1,0,0],[0,-1,1],[1,0,1]],[[1,-1,0],[-1,0,-1],[-1,0,1]]]"

static void correlate_is_the_sum_of_products(void **state)
{
    (void)state;
    struct answer answer = check_output(daemon_child, "correlate valid", "/v1/correlate",
                                        "{'input':" PATCH ",'kernel':" FILTER ",'mode':'valid'}", "[[14]]");
    check_member("correlate valid", &answer, "flipped", "false");
    check_member("correlate valid", &answer, "shape", "[1,1]");
}

static void convolve_flips_the_kernel(void **state)
{
    (void)state;
    struct answer answer = check_output(daemon_child, "convolve valid", "/v1/convolve",
                                        "{'input':" PATCH ",'kernel':" FILTER ",'mode':'valid'}", "[[10]]");
    check_member("convolve valid", &answer, "flipped", "true");
}

static void convolve_with_the_reversed_kernel_is_correlate(void **state)
{
    (void)state;
    static const char full[] = "[[0,0,0,0,0],[2,3,7,4,4],[5,13,14,12,0],[4,14,16,6,8],[1,4,7,12,0]]";
    check_output(daemon_child, "convolve, kernel turned", "/v1/convolve",
                 "{'input':" PATCH ",'kernel':" TURNED ",'mode':'full'}", full);
    check_output(daemon_child, "full is the default", "/v1/convolve", "{'input':" PATCH ",'kernel':" TURNED "}", full);
    check_output(daemon_child, "correlate, kernel as it is", "/v1/correlate", "{'input':" PATCH ",'kernel':" FILTER "}",
                 full);
}

/* Every filter scaled by each value and added up. */
static void backwards_correlation_is_a_full_convolution(void **state)
{
    (void)state;
    struct answer answer = check_output(
        daemon_child, "full", "/v1/convolve", "{'input':" VALUES ",'kernel':" FILTERS ",'axes':[1,2],'mode':'full'}",
        "[[[0,2,-1,-4,-1,0,4],[2,1,-9,5,-2,5,-2],[2,-3,9,-13,13,-10,2],[2,-2,-2,9,-4,1,-4],[-5,9,-3,5,-5,-5,4],"
        "[0,0,1,-4,-1,4,0],[0,0,0,0,0,0,0]],"
        "[[2,1,-3,-4,-4,0,0],[2,-5,4,5,3,0,-4],[4,4,-2,-3,-7,-5,-2],[-3,-1,3,14,-3,9,0],[2,10,-12,11,-16,7,2],"
        "[-5,4,-4,8,9,6,0],[0,0,1,-3,-3,-3,-4]],"
        "[[2,-1,-4,-1,0,4,0],[0,-6,7,1,8,2,4],[-2,5,-11,19,-12,-3,-6],[-9,7,0,-11,8,-9,4],[3,-9,13,-14,-10,5,-6],"
        "[5,-4,-7,2,0,8,8],[0,0,-1,3,5,-3,-4]]]");
    check_member("full", &answer, "shape", "[3,7,7]");
}

static void the_inside_of_backwards_correlation(void **state)
{
    (void)state;
    static const char inside[] = "[[[1,-9,5,-2,5],[-3,9,-13,13,-10],[-2,-2,9,-4,1],[9,-3,5,-5,-5],[0,1,-4,-1,4]],"
                                 "[[-5,4,5,3,0],[4,-2,-3,-7,-5],[-1,3,14,-3,9],[10,-12,11,-16,7],[4,-4,8,9,6]],"
                                 "[[-6,7,1,8,2],[5,-11,19,-12,-3],[7,0,-11,8,-9],[-9,13,-14,-10,5],[-4,-7,2,0,8]]]";
    struct answer answer = check_output(daemon_child, "same", "/v1/convolve",
                                        "{'input':" VALUES ",'kernel':" FILTERS ",'axes':[1,2],'mode':'same'}", inside);
    check_member("same", &answer, "shape", "[3,5,5]");
    check_output(daemon_child, "padding 1", "/v1/convolve",
                 "{'input':" VALUES ",'kernel':" FILTERS ",'axes':[1,2],'padding':1}", inside);
}

static void the_gradient_of_the_filter(void **state)
{
    (void)state;
    struct answer answer =
        check_output(daemon_child, "each slice against vals", "/v1/correlate",
                     "{'input':[[[1,2,-3,2,0],[0,1,-1,3,-3],[-2,-1,0,-1,-3],[-3,-3,-3,-2,3],[-2,1,2,-2,-2]],"
                     "[[0,-2,3,-2,3],[2,2,-3,-1,1],[0,1,1,1,-3],[3,0,3,-2,-1],[3,-2,-3,-1,1]],"
                     "[[-3,3,-1,-2,0],[3,3,3,-1,-3],[2,1,2,-3,-3],[0,-1,0,3,-2],[0,-1,-1,2,-2]]],"
                     "'kernel':" VALUES ",'axes':[1,2],'padding':1}",
                     "[[[-13,4,-42],[-30,5,12],[-26,-27,-4]],[[-16,54,-29],[25,-44,-12],[46,-39,22]],"
                     "[[24,-49,6],[28,-4,20],[-19,28,-31]]]");
    check_member("each slice against vals", &answer, "shape", "[3,3,3]");
}

/* 6 x 6 x 3 and 3 x 3 x 3 give 4 x 4, and convolve reverses the channels too. */
static void channels_are_reversed_by_convolve(void **state)
{
    (void)state;
#define IMAGE                                                                                                          \
    "[[[3,1,1,2,6],[5,4,1,7,7],[2,0,3,1,7],[5,5,2,5,9],[2,7,0,3,9]],"                                                  \
    "[[8,0,8,8,4],[3,9,9,6,3],[2,9,2,5,6],[2,3,7,1,6],[9,6,6,4,9]],"                                                   \
    "[[2,3,6,6,1],[1,6,8,6,9],[3,3,7,0,1],[1,3,1,7,8],[3,0,7,1,6]]]"
    static const char in_reverse[] = "[[[11,25,44,7],[19,44,57,27],[-12,33,7,-25],[15,2,46,-4]]]";
    struct answer answer = check_output(
        daemon_child, "all three axes", "/v1/convolve",
        "{'input':" IMAGE ",'kernel':[[[-2,3],[1,3]],[[1,2],[-1,2]],[[-3,-2],[-1,1]]],'mode':'valid'}", in_reverse);
    check_holds("all three axes", "notes", member_text(answer.body, "notes"), "/problems/channels-flipped");
    check_output(daemon_child, "filters in reverse order, in order", "/v1/convolve",
                 "{'input':" IMAGE ",'kernel':[[[-3,-2],[-1,1]],[[1,2],[-1,2]],[[-2,3],[1,3]]],'mode':'valid'}",
                 "[[[27,-6,-8,12],[15,7,26,36],[2,30,4,-20],[29,36,11,7]]]");
    answer = check_output(daemon_child, "correlate goes in order, unflipped", "/v1/correlate",
                          "{'input':" IMAGE ",'kernel':[[[-2,3],[1,3]],[[1,2],[-1,2]],[[-3,-2],[-1,1]]],"
                          "'mode':'valid'}",
                          "[[[30,14,21,41],[26,-4,11,13],[27,19,6,78],[27,22,8,42]]]");
    check_text("correlate goes in order, unflipped", "notes", member_text(answer.body, "notes"), NULL);
}

static void vertical_edges(void **state)
{
    (void)state;
#define EDGE_IMAGE                                                                                                     \
    "[[10,10,10,0,0,0],[10,10,10,0,0,0],[10,10,10,0,0,0],[10,10,10,0,0,0],[10,10,10,0,0,0],[10,10,10,0,0,0]]"
#define EDGE_FILTER "[[1,0,-1],[1,0,-1],[1,0,-1]]"
    check_output(daemon_child, "correlate", "/v1/correlate",
                 "{'input':" EDGE_IMAGE ",'kernel':" EDGE_FILTER ",'mode':'valid'}",
                 "[[0,30,30,0],[0,30,30,0],[0,30,30,0],[0,30,30,0]]");
    check_output(daemon_child, "convolve turns the sign", "/v1/convolve",
                 "{'input':" EDGE_IMAGE ",'kernel':" EDGE_FILTER ",'mode':'valid'}",
                 "[[0,-30,-30,0],[0,-30,-30,0],[0,-30,-30,0],[0,-30,-30,0]]");
    check_output(daemon_child, "by name", "/v1/correlate",
                 "{'input':" EDGE_IMAGE ",'kernel':'vertical_edge','mode':'valid'}",
                 "[[0,30,30,0],[0,30,30,0],[0,30,30,0],[0,30,30,0]]");
}

static void stride_two(void **state)
{
    (void)state;
    check_output(daemon_child, "stride 2", "/v1/correlate",
                 "{'input':[[2,3,7,4,6,2,9],[6,6,9,8,7,4,3],[3,4,8,3,8,9,7],[7,8,3,6,6,3,4],[4,2,1,8,3,4,6],"
                 "[3,2,4,1,9,8,3],[0,1,3,9,2,1,4]],'kernel':[[3,4,4],[1,0,2],[-1,0,3]],'mode':'valid','stride':2}",
                 "[[91,100,88],[69,91,117],[44,72,74]]");
}

/* The kernel's powers of ten (999 where 1e3 would be the shorter text) show which place of the input met which tap. */
static void where_the_centre_of_an_even_kernel_is(void **state)
{
    (void)state;
    static const struct {
        const char *name, *path, *request, *expected;
    } cases[] = {
        {"convolve 5 by 2", "/v1/convolve", "{'input':[1,2,3,4,5],'kernel':[1,10],'mode':'same'}", "[1,12,23,34,45]"},
        {"correlate 5 by 2", "/v1/correlate", "{'input':[1,2,3,4,5],'kernel':[1,10],'mode':'same'}",
         "[10,21,32,43,54]"},
        {"convolve 5 by 4", "/v1/convolve", "{'input':[1,2,3,4,5],'kernel':[1,10,100,1000],'mode':'same'}",
         "[12,123,1234,2345,3450]"},
        {"correlate 5 by 4", "/v1/correlate", "{'input':[1,2,3,4,5],'kernel':[1,10,100,1000],'mode':'same'}",
         "[2100,3210,4321,5432,543]"},
        {"convolve 4 by 2", "/v1/convolve", "{'input':[1,2,3,4],'kernel':[1,10],'mode':'same'}", "[1,12,23,34]"},
        {"correlate 4 by 2", "/v1/correlate", "{'input':[1,2,3,4],'kernel':[1,10],'mode':'same'}", "[10,21,32,43]"},
        {"convolve 3 by 4", "/v1/convolve", "{'input':[1,2,3],'kernel':[1,10,100,1000],'mode':'same'}",
         "[12,123,1230]"},
        {"correlate 3 by 4", "/v1/correlate", "{'input':[1,2,3],'kernel':[1,10,100,1000],'mode':'same'}",
         "[2100,3210,321]"},
        {"convolve 4 x 4 by 2 x 2", "/v1/convolve",
         "{'input':[[1,2,3,4],[5,6,7,8],[9,10,11,12],[13,14,15,16]],'kernel':[[1,10],[100,999]],'mode':'same'}",
         "[[1,12,23,34],[105,1255,2365,3475],[509,5695,6805,7915],[913,10135,11245,12355]]"},
        {"correlate 4 x 4 by 2 x 2", "/v1/correlate",
         "{'input':[[1,2,3,4],[5,6,7,8],[9,10,11,12],[13,14,15,16]],'kernel':[[1,10],[100,999]],'mode':'same'}",
         "[[999,2098,3197,4296],[5005,6515,7625,8735],[9041,10955,12065,13175],[13077,15395,16505,17615]]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_output(daemon_child, cases[i].name, cases[i].path, cases[i].request, cases[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(correlate_is_the_sum_of_products),
        HTTP_TEST(convolve_flips_the_kernel),
        HTTP_TEST(convolve_with_the_reversed_kernel_is_correlate),
        HTTP_TEST(backwards_correlation_is_a_full_convolution),
        HTTP_TEST(the_inside_of_backwards_correlation),
        HTTP_TEST(the_gradient_of_the_filter),
        HTTP_TEST(channels_are_reversed_by_convolve),
        HTTP_TEST(vertical_edges),
        HTTP_TEST(stride_two),
        HTTP_TEST(where_the_centre_of_an_even_kernel_is),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
