/* SPDX-License-Identifier: MIT */
/* The page of /metrics: read as a scraper reads it, and the numbers on it are those counted, also from many threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/daemon.h"
#include "server/metrics.h"
#include "server/request.h"

enum { PAGE_BYTES = 1 << 20, NAME_BYTES = 128, LABELS_BYTES = 256 };

static char page[PAGE_BYTES];
static struct daemon sample_daemon = {.budget = {.limit = 1000, .used = 123}, .connections = 7};

static void take_page(void)
{
    const size_t bytes = metrics_write(&sample_daemon, page, sizeof page);
    assert_true(bytes < sizeof page);
    page[bytes] = '\0';
}

/* The value of the line that starts with `sample` ("name{labels}"); -1 where there is none. */
static double value_of(const char *sample)
{
    const size_t bytes = strlen(sample);
    for (const char *line = page; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, sample, bytes) == 0 && line[bytes] == ' ')
            return strtod(line + bytes, NULL);
    }
    return -1;
}

static void check_value(const char *sample, double expected)
{
    const double found = value_of(sample);
    if (found < expected - 1e-12 || found > expected + 1e-12)
        fail_msg("%s: found %.17g, expected %.17g", sample, found, expected);
}

/* ---- A reader of the text format, as strict as its description -------------------------------------------------- */

struct family {
    char name[NAME_BYTES], type[16];
    char series[LABELS_BYTES]; /* of a histogram: the labels but `le` */
    double last_le, last_count;
};

static size_t name_length(const char *text)
{
    size_t i = 0;
    while ((text[i] >= 'a' && text[i] <= 'z') || text[i] == '_' || text[i] == ':' ||
           (i > 0 && text[i] >= '0' && text[i] <= '9'))
        i++;
    return i;
}

/* Reads `{a="x",b="y"}`, if it is there, into `labels` without `le`, whose value goes to `le`. Returns what follows. */
static const char *read_labels(const char *text, char *labels, char *le)
{
    labels[0] = le[0] = '\0';
    if (*text != '{')
        return text;
    do {
        const char *name = ++text, *value;
        const size_t name_bytes = name_length(name);
        if (name_bytes == 0 || strncmp(name + name_bytes, "=\"", 2) != 0)
            fail_msg("no label: %.80s", name);
        for (text = value = name + name_bytes + 2; *text != '"'; text++) {
            if (*text == '\n' || *text == '\\')
                fail_msg("a label's value that does not end, or is escaped: %.80s", name);
        }
        const int bytes = (int)(text - name);
        if (name_bytes == 2 && strncmp(name, "le", 2) == 0)
            snprintf(le, 32, "%.*s", (int)(text - value), value);
        else
            snprintf(labels + strlen(labels), LABELS_BYTES - strlen(labels), "%.*s,", bytes, name);
        text++;
    } while (*text == ',');
    if (*text != '}')
        fail_msg("labels do not end: %.80s", text);
    return text + 1;
}

static void check_histogram_line(struct family *family, const char *suffix, const char *labels, const char *le,
                                 double value)
{
    if (strcmp(suffix, "_bucket") == 0) {
        const double end = strcmp(le, "+Inf") == 0 ? 1e300 : strtod(le, NULL);
        if (strcmp(labels, family->series) != 0) {
            snprintf(family->series, sizeof family->series, "%s", labels);
            family->last_le = family->last_count = 0;
        }
        if (le[0] == '\0' || end <= family->last_le || value < family->last_count)
            fail_msg("%s{%s}: bucket \"%s\" does not rise", family->name, labels, le);
        family->last_le = end;
        family->last_count = value;
    } else if (strcmp(suffix, "_count") == 0) {
        if (family->last_le < 1e300 || value != family->last_count || strcmp(labels, family->series) != 0)
            fail_msg("%s{%s}: count is %g, the last bucket %g", family->name, labels, value, family->last_count);
    } else if (strcmp(suffix, "_sum") != 0) {
        fail_msg("%s: a histogram has no %s", family->name, suffix);
    }
}

static void check_sample(struct family *family, const char *line)
{
    char labels[LABELS_BYTES], le[32];
    const size_t name_bytes = name_length(line), family_bytes = strlen(family->name);
    if (family_bytes == 0 || name_bytes < family_bytes || strncmp(line, family->name, family_bytes) != 0)
        fail_msg("a sample that belongs to no family: %.80s", line);
    char suffix[NAME_BYTES];
    snprintf(suffix, sizeof suffix, "%.*s", (int)(name_bytes - family_bytes), line + family_bytes);
    const char *rest = read_labels(line + name_bytes, labels, le);
    char *end;
    const double value = strtod(rest, &end);
    if (*rest != ' ' || end == rest || *end != '\n' || value < 0)
        fail_msg("no value: %.80s", line);
    if (strcmp(family->type, "histogram") == 0)
        check_histogram_line(family, suffix, labels, le, value);
    else if (suffix[0] != '\0')
        fail_msg("a sample that belongs to no family: %.80s", line);
    if (strcmp(family->type, "counter") == 0 && strcmp(family->name + family_bytes - 6, "_total") != 0)
        fail_msg("a counter not called _total: %s", family->name);
    const size_t bytes = (size_t)(rest - line);
    for (const char *other = line; (other = strchr(other, '\n')) != NULL && *++other != '\0';) {
        if (strncmp(other, line, bytes + 1) == 0)
            fail_msg("twice: %.*s", (int)bytes, line);
    }
}

static void check_page(void)
{
    struct family family = {0};
    const size_t bytes = strlen(page);
    char help[NAME_BYTES] = "", mark[NAME_BYTES + 16];
    assert_int_equal(page[bytes - 1], '\n');
    for (const char *line = page; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (sscanf(line, "# HELP %127s %*s", help) == 1) {
            snprintf(mark, sizeof mark, "# HELP %s ", help);
            if (strstr(line + 1, mark) != NULL)
                fail_msg("%s is there twice", help);
            assert_memory_equal(help, "convolved_", 10);
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            family = (struct family){0};
            assert_int_equal(sscanf(line, "# TYPE %127s %15s\n", family.name, family.type), 2);
            if (strcmp(help, family.name) != 0)
                fail_msg("%s has no help", family.name);
            if (strcmp(family.type, "gauge") != 0 && strcmp(family.type, "counter") != 0 &&
                strcmp(family.type, "histogram") != 0)
                fail_msg("%s: unknown type %s", family.name, family.type);
        } else {
            check_sample(&family, line);
        }
    }
}

/* ---- Tests ------------------------------------------------------------------------------------------------------ */

static void the_empty_page_is_well_formed(void **state)
{
    (void)state;
    take_page();
    check_page();
    check_value("convolved_memory_bytes", 123);
    check_value("convolved_memory_limit_bytes", 1000);
    check_value("convolved_connections", 7);
    check_value("convolved_in_flight", 0);
    check_value("convolved_queue_depth", 0);
    check_value("convolved_request_duration_seconds_count", 0);
    assert_non_null(strstr(page, "\nconvolved_build_info{version=\"" CONVOLVED_VERSION "\",simd=\""));
}

static void requests_are_counted_by_route_and_status(void **state)
{
    (void)state;
    static char same_text[] = "/v1/convolve"; /* another address */
    static const struct {
        const char *route;
        unsigned status;
    } requests[] = {{"/v1/convolve", 200}, {same_text, 200}, {"/v1/convolve", 422}, {"/v1/kernels/{name}", 404},
                    {NULL, 404},           {NULL, 405},      {"/v1/convolve", 599}, {"/v1/convolve", 418}};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        metrics_count_request(&(struct request){.route = requests[i].route,
                                                .status = requests[i].status,
                                                .path = "/secret?key=1",
                                                .began_ns = 1000,
                                                .ended_ns = 2501000});
    }
    take_page();
    check_page();
    check_value("convolved_requests_total{path=\"/v1/convolve\",status=\"200\"}", 2);
    check_value("convolved_requests_total{path=\"/v1/convolve\",status=\"422\"}", 1);
    check_value("convolved_requests_total{path=\"/v1/convolve\",status=\"other\"}", 2);
    check_value("convolved_requests_total{path=\"/v1/kernels/{name}\",status=\"404\"}", 1);
    check_value("convolved_requests_total{path=\"other\",status=\"404\"}", 1);
    check_value("convolved_requests_total{path=\"other\",status=\"405\"}", 1);
    check_value("convolved_request_duration_seconds_count", 8);
    assert_null(strstr(page, "secret"));
}

static void phases_fall_into_buckets(void **state)
{
    (void)state;
    metrics_count_request(&(struct request){.status = 200,
                                            .began_ns = 1000,
                                            .ended_ns = 2501000,
                                            .decode_ns = 1000000, /* just the end of a bucket */
                                            .compute_ns = 1000001,
                                            .encode_ns = 3600000000000});
    take_page();
    check_page();
    check_value("convolved_phase_duration_seconds_bucket{phase=\"decode\",le=\"0.0005\"}", 0);
    check_value("convolved_phase_duration_seconds_bucket{phase=\"decode\",le=\"0.001\"}", 1);
    check_value("convolved_phase_duration_seconds_bucket{phase=\"compute\",le=\"0.001\"}", 0);
    check_value("convolved_phase_duration_seconds_bucket{phase=\"compute\",le=\"0.0025\"}", 1);
    check_value("convolved_phase_duration_seconds_bucket{phase=\"encode\",le=\"60\"}", 0);
    check_value("convolved_phase_duration_seconds_bucket{phase=\"encode\",le=\"+Inf\"}", 1);
    check_value("convolved_phase_duration_seconds_count{phase=\"queue\"}", 0);
    check_value("convolved_phase_duration_seconds_sum{phase=\"decode\"}", 0.001);
    check_value("convolved_phase_duration_seconds_sum{phase=\"compute\"}", 0.001000001);
    check_value("convolved_phase_duration_seconds_sum{phase=\"encode\"}", 3600);
}

enum { THREADS = 12, ROUNDS = 2000, ROUTES = 80 };
static char routes[ROUTES][16];

static void *count_many(void *unused)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        metrics_count_cancelled();
        metrics_add_work(1000000007);
        metrics_count_request(
            &(struct request){.route = routes[i % ROUTES], .status = 503, .began_ns = 1000, .ended_ns = 2501000});
    }
    return unused;
}

static void *end_two(void *unused)
{
    metrics_count_ended();
    metrics_count_ended();
    return unused;
}

/* A request may end in another thread than it has begun in. */
static void requests_in_flight_are_counted(void **state)
{
    (void)state;
    pthread_t thread;
    for (int i = 0; i < 5; i++)
        metrics_count_begun();
    assert_int_equal(pthread_create(&thread, NULL, end_two, NULL), 0);
    pthread_join(thread, NULL);
    take_page();
    check_value("convolved_in_flight", 3);
    metrics_count_ended();
    take_page();
    check_value("convolved_in_flight", 2);
}

/* More routes than there is room for, first named by many threads at once: none is lost, none is there twice. */
static void nothing_is_lost_among_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < ROUTES; i++)
        snprintf(routes[i], sizeof routes[i], "/route/%u", i);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, NULL), 0);
    take_page();
    check_page(); /* while they count */
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    take_page();
    check_page();
    check_value("convolved_cancelled_total", THREADS * ROUNDS);
    check_value("convolved_multiply_adds_total", (double)THREADS * ROUNDS * 1000000007.0);
    check_value("convolved_requests_total{path=\"/route/0\",status=\"503\"}", THREADS * ROUNDS / ROUTES);
    double total = 0;
    for (const char *line = page; *line != '\0'; line = strchr(line, '\n') + 1) {
        char path[32];
        double value;
        if (sscanf(line, "convolved_requests_total{path=\"%31[^\"]\",status=\"503\"} %lf", path, &value) == 2)
            total += value;
    }
    if (total != THREADS * ROUNDS)
        fail_msg("requests with 503: %g, expected %d", total, THREADS * ROUNDS);
}

static void a_page_too_small_tells_what_it_needs(void **state)
{
    (void)state;
    take_page();
    const size_t needed = strlen(page);
    static const size_t rooms[] = {0, 1, 100, 5000};
    for (size_t i = 0; i < 4; i++) {
        char *small = malloc(rooms[i] + 1);
        assert_non_null(small);
        small[rooms[i]] = 'x';
        if (metrics_write(&sample_daemon, small, rooms[i]) != needed)
            fail_msg("room for %zu: does not tell %zu", rooms[i], needed);
        assert_int_equal(small[rooms[i]], 'x');
        free(small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_empty_page_is_well_formed), cmocka_unit_test(requests_are_counted_by_route_and_status),
        cmocka_unit_test(phases_fall_into_buckets),      cmocka_unit_test(requests_in_flight_are_counted),
        cmocka_unit_test(nothing_is_lost_among_threads), cmocka_unit_test(a_page_too_small_tells_what_it_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
