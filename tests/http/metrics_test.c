/* SPDX-License-Identifier: MIT */
/* What is seen from outside: the page of /metrics after requests of many kinds, where it is to be found, and the log of a daemon. */
#include "tests/http/harness.h"
#include "tests/http/slow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check_with_promtool(const char *page)
{
    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        printf("promtool is not installed: its check of the page is left out\n");
        return;
    }
    FILE *pipe = popen(textf("promtool check metrics <%s 2>&1", file_with(page)), "r");
    char said[4096];
    assert_non_null(pipe);
    const size_t count = fread(said, 1, sizeof said - 1, pipe);
    said[count] = '\0';
    check_number("promtool check metrics", "exit status", pclose(pipe), 0);
    check_text("promtool check metrics", "output", said, "");
}

static void ask_for_everything(struct child *child)
{
    static const char *const paths[] = {"/v1/info", "/v1/kernels", "/v1/kernels/sobel_x", "/", "/healthz", "/readyz"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        http_get(child, paths[i]);
    http_post(child, "/v1/convolve", "{'input':[1,2,3],'kernel':[1,10]}");
    http_post(child, "/v1/convolve", "{'input':");
    http_post(child, "/v1/conv", "{}");
    http_call(child, &(struct call){.method = "DELETE", .path = "/v1/convolve"});
}

static void the_page(void **state)
{
    static const struct {
        const char *line; /* the whole line, or up to its value */
        double value; /* -1: any */
    } lines[] = {
        {"convolved_requests_total{path=\"/v1/convolve\",status=\"200\"}", 1},
        {"convolved_requests_total{path=\"/v1/convolve\",status=\"400\"}", 1},
        {"convolved_requests_total{path=\"/v1/conv\",status=\"422\"}", 1},
        {"convolved_requests_total{path=\"/v1/kernels/{name}\",status=\"200\"}", 1},
        {"convolved_requests_total{path=\"other\",status=\"405\"}", 1},
        {"convolved_request_duration_seconds_bucket{le=\"+Inf\"}", -1},
        {"convolved_request_duration_seconds_sum", -1},
        {"convolved_request_duration_seconds_count", -1},
        {"convolved_phase_duration_seconds_bucket{phase=\"decode\",le=\"+Inf\"}", -1},
        {"convolved_phase_duration_seconds_bucket{phase=\"compute\",le=\"+Inf\"}", 1},
        {"convolved_phase_duration_seconds_count{phase=\"queue\"}", -1},
        {"convolved_queue_depth", 0},
        {"convolved_in_flight", 1}, /* this very request */
        {"convolved_cancelled_total", 0},
        {"convolved_multiply_adds_total", -1},
        {"convolved_memory_bytes", -1},
        {"convolved_build_info{version=\"", -1},
    };
    (void)state;
    struct child *child = child_start(NULL, NULL, NULL);
    check_with_promtool(http_get(child, "/metrics").body);
    ask_for_everything(child);
    const char *page = http_get(child, "/metrics").body;
    check_with_promtool(page);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *at = strstr(page, textf("\n%s", lines[i].line));
        if (at == NULL) {
            complain("the page", "no line %s in\n%s", lines[i].line, page);
            continue;
        }
        const char *end = strchr(at + 1, '\n'), *space = memrchr(at, ' ', (size_t)(end - at));
        if (lines[i].value >= 0 && strtod(space, NULL) != lines[i].value)
            complain(lines[i].line, "found %.*s, expected %g", (int)(end - space), space, lines[i].value);
    }
    check_number("page", "exit status", child_stop(child), 0);
}

/* Nobody makes the page longer by asking for what is not there. */
static void the_page_has_a_bounded_length(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--log-level", "error"), NULL, NULL);
    size_t before = 0;
    for (int i = 0; i < 400; i++) {
        if (i == 100)
            before = http_get(child, "/metrics").body_bytes;
        http_get(child, textf("/nowhere/%d", i));
        http_get(child, textf("/problems/%d", i));
        http_call(child, &(struct call){.method = textf("M%d", i), .path = "/v1/info"});
    }
    const struct answer page = http_get(child, "/metrics");
    if (page.body_bytes > before + 200) /* counts have more digits now */
        check_number("the page", "bytes", (long long)page.body_bytes, (long long)before);
    if (strstr(page.body, "nowhere") != NULL || strstr(page.body, "M1") != NULL)
        complain("the page", "holds what was asked for: %s", page.body);
    check_number("bounded", "exit status", child_stop(child), 0);
}

static void an_address_of_its_own(void **state)
{
    (void)state;
    /* The second line of standard output names the second address. */
    struct child *child = child_start(LIST("--metrics-listen", "127.0.0.1:0"), NULL, NULL);
    const char *rest = NULL;
    for (double until = now_ms() + 5000 * slowness(); now_ms() < until && (rest == NULL || *rest == '\0');
         usleep(10000))
        rest = child_rest_of_output(child);
    check_holds("standard output", "second line", rest, "listening on http://127.0.0.1:");
    const char *other = textf("%.*s", (int)strcspn(strstr(rest, "http"), "\n"), strstr(rest, "http"));
    static const struct {
        const char *path;
        int here, there;
    } cases[] = {
        {"/metrics", 404, 200}, {"/healthz", 200, 200}, {"/readyz", 200, 200}, {"/v1/info", 200, 404}, {"/", 200, 404},
    };
    void *curl = curl_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_number(cases[i].path, "status at the usual address", http_get(child, cases[i].path).status,
                     cases[i].here);
        const struct answer answer =
            http_call(child, &(struct call){.url = textf("%s%s", other, cases[i].path), .curl = curl});
        check_number(cases[i].path, "status at metrics_listen", answer.status, cases[i].there);
    }
    curl_free_handle(curl);
    check_number("metrics_listen", "exit status", child_stop(child), 0);
}

/* One line for a request, with all that belongs to it, in both formats. */
static void the_log(void **state)
{
    static const char *const named[] = {"time",       "level",      "method",      "path",       "client",
                                        "status",     "body_bytes", "total_ms",    "decode_ms",  "queue_ms",
                                        "compute_ms", "encode_ms",  "convolution", "request_id", "traceparent"};
    static const char trace[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    (void)state;
    for (int as_json = 0; as_json < 2; as_json++) {
        struct child *child = child_start(LIST("--log-format", as_json ? "json" : "text"), NULL, NULL);
        const struct answer answer =
            http_call(child, &(struct call){.path = "/v1/convolve?secret=in-the-query",
                                            .body = "{\"input\":[1,2,3],\"kernel\":[1,10],\"method\":\"direct\"}",
                                            .headers = LIST("X-Request-Id: an-id.1", "Authorization: Bearer secret-key",
                                                            textf("traceparent: %s", trace))});
        if (answer.status != 200 &&
            answer.status != 422) /* the query may be a fault; what is logged of it is the same */
            check_number("the call", "status", answer.status, 200);
        check_number("the log", "holds the request", log_becomes(child, "an-id.1"), true);
        const char *log = child_log(child);
        const char *line = strstr(log, "/v1/convolve");
        while (line != NULL && line > log && line[-1] != '\n')
            line--;
        if (line == NULL) {
            complain("the log", "no line for the request: %s", log);
        } else {
            line = text_copy(line, strcspn(line, "\n"));
            for (size_t i = 0; i < sizeof named / sizeof *named; i++)
                if (answer.status == 200 || strcmp(named[i], "convolution") != 0)
                    check_holds("the line", named[i], line, textf(as_json ? "\"%s\":" : "%s=", named[i]));
            check_holds("the line", "trace", line, trace);
            cJSON *document = as_json ? cJSON_Parse(line) : NULL;
            if (as_json && document == NULL)
                complain("the line", "is no JSON: %s", line);
            cJSON_Delete(document);
        }
        if (strstr(log, "secret") != NULL || strstr(log, "Bearer") != NULL)
            complain("the log", "tells a secret: %s", log);
        check_number("log", "exit status", child_stop(child), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(the_page),
        HTTP_TEST(the_page_has_a_bounded_length),
        HTTP_TEST(an_address_of_its_own),
        HTTP_TEST(the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
