/* SPDX-License-Identifier: MIT */
/* Targets to paths, paths and methods to routes, and what a mistaken path is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/convolve.h"
#include "server/arena.h"
#include "server/endpoint.h"
#include "server/request.h"
#include "server/router.h"

static void check_text(const char *name, const char *found, const char *expected)
{
    if ((found == NULL) != (expected == NULL) || (found != NULL && strcmp(found, expected) != 0))
        fail_msg("%s: found %s, expected %s", name, found != NULL ? found : "nothing",
                 expected != NULL ? expected : "nothing");
}

static void targets_are_split(void **state)
{
    static const struct {
        const char *target, *path, *query;
    } cases[] = {
        {"/healthz", "/healthz", ""},
        {"/healthz?a=1&b", "/healthz", "a=1&b"},
        {"/healthz?", "/healthz", ""},
        {"http://host:80/v1/info?x", "/v1/info", "x"},
        {"HTTPS://host", "/", ""},
        {"http://host?x", "/", "x"},
        {"/%68ealth%7a", "/healthz", ""},
        {"/%2Fhealthz", "/%2Fhealthz", ""},
        {"/healthz%00", "/healthz%00", ""},
        {"/a%2", "/a%2", ""},
        {"/a%zz", "/a%zz", ""},
        {"/%2e%2e/x", "/../x", ""},
        {"/%2568", "/%2568", ""},
        {"*", "*", ""},
        {"", "/", ""},
    };
    struct memory_budget budget = {.limit = 1 << 20};
    struct arena arena;
    (void)state;

    arena_init(&arena, &budget);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path, *query;
        assert_true(router_split_target(&arena, cases[i].target, &path, &query));
        check_text(cases[i].target, path, cases[i].path);
        check_text(cases[i].target, query, cases[i].query);
    }
    arena_release(&arena);
}

static void paths_are_exact(void **state)
{
    static const struct {
        const char *method, *path;
        enum router_verdict verdict;
        const char *route, *rest, *allow;
    } cases[] = {
        {"POST", "/v1/convolve", ROUTER_FOUND, "/v1/convolve", NULL, ""},
        {"GET", "/v1/convolve", ROUTER_NO_METHOD, "/v1/convolve", NULL, "POST, OPTIONS"},
        {"HEAD", "/v1/convolve", ROUTER_NO_METHOD, "/v1/convolve", NULL, "POST, OPTIONS"},
        {"OPTIONS", "/v1/convolve", ROUTER_OPTIONS, "/v1/convolve", NULL, "POST, OPTIONS"},
        {"post", "/v1/convolve", ROUTER_NO_METHOD, "/v1/convolve", NULL, "POST, OPTIONS"},
        {"CONNECT", "/healthz", ROUTER_NO_METHOD, "/healthz", NULL, "GET, HEAD, OPTIONS"},
        {"HEAD", "/healthz", ROUTER_FOUND, "/healthz", NULL, ""},
        {"GET", "/", ROUTER_FOUND, "/", NULL, ""},
        {"GET", "/v1/kernels", ROUTER_FOUND, "/v1/kernels", NULL, ""},
        {"GET", "/v1/kernels/sobel_x", ROUTER_FOUND, "/v1/kernels/{name}", "sobel_x", ""},
        {"GET", "/v1/kernels/", ROUTER_NO_PATH, NULL, NULL, ""},
        {"GET", "/v1/kernels/a/b", ROUTER_NO_PATH, NULL, NULL, ""},
        {"GET", "/v1/kernels/..", ROUTER_NO_PATH, NULL, NULL, ""},
        {"GET", "/v1/kernels/a%2Fb", ROUTER_NO_PATH, NULL, NULL, ""},
        {"GET", "/healthz/", ROUTER_NO_PATH, NULL, NULL, ""},
        {"GET", "/Healthz", ROUTER_NO_PATH, NULL, NULL, ""},
        {"GET", "//healthz", ROUTER_NO_PATH, NULL, NULL, ""},
        {"GET", "/v1/../healthz", ROUTER_NO_PATH, NULL, NULL, ""},
        {"GET", "/healthz%00", ROUTER_NO_PATH, NULL, NULL, ""},
        {"GET", "", ROUTER_NO_PATH, NULL, NULL, ""},
        {"OPTIONS", "*", ROUTER_OPTIONS, NULL, NULL, "GET, HEAD, POST, OPTIONS"},
        {"CONNECT", "host:80", ROUTER_NO_METHOD, NULL, NULL, "GET, HEAD, POST, OPTIONS"},
        {"GET", "*", ROUTER_NO_PATH, NULL, NULL, ""},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct router_match match;
        const enum router_verdict verdict = router_find(&match, cases[i].method, cases[i].path);
        if (verdict != cases[i].verdict)
            fail_msg("%s %s: found %d, expected %d", cases[i].method, cases[i].path, verdict, cases[i].verdict);
        check_text(cases[i].path, match.route != NULL ? match.route->path : NULL, cases[i].route);
        check_text(cases[i].path, match.rest, cases[i].rest);
        check_text(cases[i].path, match.allow, cases[i].allow);
    }
}

static void mistaken_paths_are_told_the_nearest(void **state)
{
    static const struct {
        const char *path, *mentions;
    } cases[] = {
        {"/v1/convolv", "did you mean /v1/convolve?"}, {"/V1/Correlate", "did you mean /v1/correlate?"},
        {"/health", "did you mean /healthz?"},         {"/v1/convolve/", "did you mean /v1/convolve?"},
        {"/some/where/else/entirely", "/v1/convolve"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct convolve_error error;
        assert_false(router_fail_path(&error, cases[i].path));
        check_text(cases[i].path, error.slug, "not-found");
        if (strstr(error.detail, cases[i].mentions) == NULL)
            fail_msg("%s: found \"%s\", expected \"%s\" in it", cases[i].path, error.detail, cases[i].mentions);
    }
}

static void every_route_can_be_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < router_count(); i++) {
        const struct route *route = router_at(i);
        if (route->endpoint->answer == NULL)
            fail_msg("%s: has no answer", route->path);
        if ((route->flags & ENDPOINT_COMPUTE) != 0 && route->endpoint->feed == NULL)
            fail_msg("%s: takes no body", route->path);
    }
}

static void queries_are_decoded_in_order(void **state)
{
    static const struct {
        const char *text;
        struct request_field fields[3];
    } cases[] = {
        {"", {{NULL, NULL}}},
        {"a=1&b=2", {{"a", "1"}, {"b", "2"}}},
        {"a=%5B1%2c2%5d&a=x+y", {{"a", "[1,2]"}, {"a", "x y"}}},
        {"a&=b&&c=", {{"a", ""}, {"", "b"}, {"c", ""}}},
        {"a=b=c", {{"a", "b=c"}}},
        {"a=%00%zz%", {{"a", "%00%zz%"}}},
    };
    struct memory_budget budget = {.limit = 1 << 20};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request request = {.query_count = 0};
        const char *name, *value;
        size_t k = 0;
        arena_init(&request.arena, &budget);
        assert_true(request_read_query(&request, cases[i].text));
        for (; k < 3 && cases[i].fields[k].name != NULL; k++) {
            if (!request_query_at(&request, k, &name, &value))
                fail_msg("%s: parameter %zu is missing", cases[i].text, k);
            check_text(cases[i].text, name, cases[i].fields[k].name);
            check_text(cases[i].text, value, cases[i].fields[k].value);
        }
        if (request_query_at(&request, k, &name, &value))
            fail_msg("%s: found %zu parameters, expected %zu", cases[i].text, request.query_count, k);
        arena_release(&request.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_split),
        cmocka_unit_test(paths_are_exact),
        cmocka_unit_test(mistaken_paths_are_told_the_nearest),
        cmocka_unit_test(every_route_can_be_answered),
        cmocka_unit_test(queries_are_decoded_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
