/* SPDX-License-Identifier: MIT */
/* What the daemon says of itself: the kernels by name, the pages of problems, the root page. Every slug there is must have its
 * page, in both forms. */
#include "tests/http/harness.h"

#include <stdlib.h>
#include <string.h>

static void all_kernels(void **state)
{
    (void)state;
    static const char *const names[] = {
        "identity",      "box",
        "disk",          "gaussian",
        "sharpen",       "unsharp",
        "emboss",        "outline",
        "laplacian",     "sobel_x",
        "sobel_y",       "prewitt_x",
        "scharr_x",      "laplacian_of_gaussian",
        "prewitt_y",     "scharr_y",
        "vertical_edge", "horizontal_edge",
        "motion_blur",
    };
    struct answer answer = http_get(daemon_child, "/v1/kernels");
    check_number("/v1/kernels", "status", answer.status, 200);
    check_holds("/v1/kernels", "Content-Type", header_of(&answer, "Content-Type"), "application/json");
    const char *kernels = member_text(answer.body, "kernels");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_holds("/v1/kernels", "kernels", kernels, textf("\"name\":\"%s\"", names[i]));
    check_holds("/v1/kernels", "the axes of box", kernels,
                "{\"name\":\"box\",\"parameters\":{\"size\":3},\"axes\":[1,2,3],");
    check_holds("/v1/kernels", "the axes of sobel_x", kernels, "{\"name\":\"sobel_x\",\"parameters\":{},\"axes\":[2],");
}

static void one_kernel(void **state)
{
    (void)state;
    static const struct {
        const char *path, *parameters, *shape, *values;
    } cases[] = {
        {"/v1/kernels/sobel_x", "{}", "[3,3]", "[[-1,0,1],[-2,0,2],[-1,0,1]]"},
        {"/v1/kernels/sharpen", "{}", "[3,3]", "[[0,-1,0],[-1,5,-1],[0,-1,0]]"},
        {"/v1/kernels/laplacian?axes=1", "{}", "[3]", "[1,-2,1]"},
        {"/v1/kernels/laplacian?axes=2", "{}", "[3,3]", "[[0,1,0],[1,-4,1],[0,1,0]]"},
        {"/v1/kernels/box?size=1&axes=3", "{'size':1}", "[1,1,1]", "[[[1]]]"},
        {"/v1/kernels/box?axes=1&size=5.0", "{'size':5}", "[5]", "[0.2,0.2,0.2,0.2,0.2]"},
        {"/v1/kernels/sobel%5Fx", "{}", "[3,3]", "[[-1,0,1],[-2,0,2],[-1,0,1]]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = http_get(daemon_child, cases[i].path);
        check_number(cases[i].path, "status", answer.status, 200);
        check_member(cases[i].path, &answer, "parameters", cases[i].parameters);
        check_member(cases[i].path, &answer, "shape", cases[i].shape);
        check_member(cases[i].path, &answer, "values", cases[i].values);
    }
    /* A default that follows from another parameter is told as what came of it. */
    struct answer answer = http_get(daemon_child, "/v1/kernels/gaussian?sigma=2&axes=1");
    check_member("gaussian", &answer, "parameters", "{'sigma':2,'size':17}");
    check_member("gaussian", &answer, "shape", "[17]");
}

/* More values than are computed where the request was read, and more than one piece of the answer holds. */
static void large_kernel(void **state)
{
    (void)state;
    struct answer answer = http_get(daemon_child, "/v1/kernels/box?axes=2&size=101");
    check_number("box of 101", "status", answer.status, 200);
    double *numbers = calloc(101 * 101, sizeof *numbers);
    assert_non_null(numbers);
    check_number("box of 101", "values", (long long)numbers_of(member_text(answer.body, "values"), numbers, 101 * 101),
                 101 * 101);
    for (size_t i = 0; i < 101 * 101; i++)
        if (numbers[i] < 0.99 / (101 * 101) || numbers[i] > 1.01 / (101 * 101)) {
            complain("box of 101", "value %zu: found %g", i, numbers[i]);
            break;
        }
    free(numbers);
}

static void kernel_faults(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int status;
        const char *slug, *pointer, *word;
    } cases[] = {
        {"/v1/kernels/nope", 404, "not-found", NULL, "nope"},
        {"/v1/kernels/gausian", 404, "not-found", NULL, "\"gaussian\""},
        {"/v1/kernels/box?sise=3", 422, "unknown-member", "/sise", "size"},
        {"/v1/kernels/box?size=3&size=3", 422, "duplicate-member", "/size", "size"},
        {"/v1/kernels/box?sise=3&size=3&size=3", 422, "duplicate-member", "/size", "size"},
        {"/v1/kernels/box?size=x&sise=3", 422, "unknown-member", "/sise", "size"},
        {"/v1/kernels/box?size=", 422, "invalid-value", "/size", "number"},
        {"/v1/kernels/box?size=03", 422, "invalid-value", "/size", "number"},
        {"/v1/kernels/box?size=3x", 422, "invalid-value", "/size", "number"},
        {"/v1/kernels/box?size=.5", 422, "invalid-value", "/size", "number"},
        {"/v1/kernels/gaussian?sigma=1.", 422, "invalid-value", "/sigma", "number"},
        {"/v1/kernels/gaussian?sigma=NaN", 422, "invalid-value", "/sigma", "number"},
        {"/v1/kernels/gaussian?sigma=1e999", 422, "invalid-value", "/sigma", NULL},
        {"/v1/kernels/gaussian?sigma=-1", 422, "invalid-value", "/sigma", NULL},
        {"/v1/kernels/box?size=4", 422, "invalid-value", "/size", "odd"},
        {"/v1/kernels/box?axes=0", 422, "invalid-value", "/axes", NULL},
        {"/v1/kernels/box?axes=1.5", 422, "invalid-value", "/axes", NULL},
        {"/v1/kernels/box?axes=4", 422, "invalid-value", "/axes", NULL},
        {"/v1/kernels/box?axes=1e300", 422, "invalid-value", "/axes", NULL},
        {"/v1/kernels/sobel_x?axes=1", 422, "invalid-value", "/axes", NULL},
        {"/v1/kernels/box?a~%2Fb=1", 422, "unknown-member", "/a~0~1b", NULL},
        {"/v1/kernels/gaussian?axes=3&sigma=500", 413, "too-large", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = http_get(daemon_child, cases[i].path);
        check_problem_in(cases[i].path, &answer, cases[i].status, cases[i].slug, cases[i].pointer, NO_OFFSET,
                         cases[i].word);
    }
}

static struct answer get_accepting(const char *path, const char *accept)
{
    const char *const headers[] = {accept, NULL};
    struct call call = {.path = path, .headers = headers};
    return http_call(daemon_child, &call);
}

static void problem_pages(void **state)
{
    (void)state;
    static const char *const slugs[] = {
#define PROBLEM(status, slug, title, remedy) slug,
#include "server/problem.def"
#undef PROBLEM
    };
    for (size_t i = 0; i < sizeof slugs / sizeof *slugs; i++) {
        const char *path = textf("/problems/%s", slugs[i]);
        struct answer answer = http_get(daemon_child, path);
        check_number(path, "status", answer.status, 200);
        check_holds(path, "Content-Type", header_of(&answer, "Content-Type"), "text/plain");
        check_holds(path, "page", answer.body, path);
        answer = get_accepting(path, "Accept: text/html,application/xhtml+xml,*/*;q=0.8");
        check_number(path, "status", answer.status, 200);
        check_holds(path, "Content-Type", header_of(&answer, "Content-Type"), "text/html");
        check_holds(path, "page", answer.body, path);
        check_holds(path, "policy", header_of(&answer, "Content-Security-Policy"), "default-src 'none'");
    }
    struct answer answer = http_get(daemon_child, "/problems/shape-mismach");
    check_problem_in("nearest", &answer, 404, "not-found", NULL, NO_OFFSET, "/problems/shape-mismatch");
}

/* The command on the page names the address that the page was asked at, unless that is no address. */
static void root_page(void **state)
{
    (void)state;
    struct answer answer = http_get(daemon_child, "/");
    check_number("/", "status", answer.status, 200);
    check_holds("/", "Content-Type", header_of(&answer, "Content-Type"), "text/html");
    check_holds("/", "command", answer.body, textf("curl http://127.0.0.1:%u/v1/correlate", daemon_child->port));
    answer = get_accepting("/", "Host: \"><script>");
    if (answer.status == 200 && strstr(answer.body, "<script>") != NULL)
        complain("/", "a Host that is no address is repeated: %s", answer.body);
    for (const char *link = answer.body; link && (link = strstr(link, "href=\"")) != NULL; link += 6) {
        const char *target = textf("/%.*s", (int)strcspn(link + 6, "\""), link + 6);
        check_number(target, "status of what / links to", http_get(daemon_child, target).status, 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(all_kernels),   HTTP_TEST(one_kernel),    HTTP_TEST(large_kernel),
        HTTP_TEST(kernel_faults), HTTP_TEST(problem_pages), HTTP_TEST(root_page),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
