/* SPDX-License-Identifier: MIT */
/* /v1/image at fault: members, pictures that are none, cut anywhere, or announce more than they hold; limits before anything is spent;
 * deadlines and callers who leave while a picture is decoded, filtered and encoded; failing memory. */
#include "tests/http/beside.h"
#include "tests/http/picture.h"
#include "tests/http/slow.h"

#include <poll.h>
#include <unistd.h>

static struct bytes sample_png(void)
{
    return picture_of_samples(5, 4, 3, 8, picture_noise(60, 9));
}

static void members(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int status;
        const char *slug, *pointer;
        long long offset;
        const char *word;
    } cases[] = {
        {"", 422, "missing-member", "/kernel", NO_OFFSET, NULL},
        {"?kernel=gausian", 422, "unknown-kernel", "/kernel", NO_OFFSET, "gaussian"},
        {"?kernel=sobl", 422, "unknown-kernel", "/kernel", NO_OFFSET, "sobel"},
        {"?kernel={\"name\":\"nope\"}", 422, "unknown-kernel", "/kernel/name", NO_OFFSET, NULL},
        {"?kernel={\"name\":1}", 422, "invalid-value", "/kernel/name", NO_OFFSET, NULL},
        {"?kernel={\"name\":\"gaussian\",\"sigma\":-1}", 422, "invalid-value", "/kernel/sigma", NO_OFFSET, NULL},
        {"?kernel={\"name\":\"gaussian\",\"sima\":1}", 422, "unknown-member", "/kernel/sima", NO_OFFSET, "sigma"},
        {"?kernel={\"name\":\"sobel\",\"size\":3}", 422, "unknown-member", "/kernel", NO_OFFSET, NULL},
        {"?kernel={\"name\":\"gaussian\",\"sigma\":1}&sigma=1", 422, "duplicate-member", "/sigma", NO_OFFSET, NULL},
        {"?kernel=gaussian&sigma=0", 422, "invalid-value", "/sigma", NO_OFFSET, "above 0"},
        {"?kernel=gaussian&sigma=wide", 422, "invalid-value", "/sigma", NO_OFFSET, NULL},
        {"?kernel=gaussian&sigma=null", 422, "invalid-value", "/sigma", NO_OFFSET, NULL},
        {"?kernel=box&size=4", 422, "invalid-value", "/size", NO_OFFSET, "odd"},
        {"?kernel=box&sigma=1", 422, "unknown-member", "/sigma", NO_OFFSET, "box"},
        {"?kernel=sobel&size=3", 422, "unknown-member", "/size", NO_OFFSET, "sobel"},
        {"?kernel=[[1]]&radius=3", 422, "unknown-member", "/radius", NO_OFFSET, "values"},
        {"?kernel=null", 422, "invalid-value", "/kernel", NO_OFFSET, NULL},
        {"?kernel=true", 422, "invalid-value", "/kernel", NO_OFFSET, NULL},
        {"?kernel=1", 422, "shape-mismatch", "/kernel", NO_OFFSET, "rank 0"},
        {"?kernel=[1,2,1]", 422, "shape-mismatch", "/kernel", NO_OFFSET, "rank 1"},
        {"?kernel=[[[1]]]", 422, "shape-mismatch", "/kernel", NO_OFFSET, "rank 3"},
        {"?kernel=[]", 422, "shape-mismatch|empty-tensor", "/kernel", NO_OFFSET, NULL},
        {"?kernel=[[]]", 422, "empty-tensor", "/kernel", NO_OFFSET, NULL},
        {"?kernel=[[]]&method=fft", 422, "empty-tensor", "/kernel", NO_OFFSET, NULL},
        {"?kernel=[[1,2],[3]]", 422, "ragged-array", "/kernel/1", NO_OFFSET, NULL},
        {"?kernel=[[1,\"x\"]]", 422, "not-a-number", "/kernel/0/1", NO_OFFSET, NULL},
        {"?kernel=[[1,1e999]]", 422, "invalid-value", "/kernel/0/1", NO_OFFSET, NULL},
        {"?kernel=[[1,", 400, "malformed-json", "/kernel", 4, NULL},
        {"?kernel={\"shape\":[3,3]}", 422, "missing-member", "/kernel/data", NO_OFFSET, NULL},
        {"?kernel=box&kernel=box", 422, "duplicate-member", "/kernel", NO_OFFSET, NULL},
        {"?kernel=box&image=1", 422, "duplicate-member", "/image", NO_OFFSET, NULL},
        {"?kernel=box&stride=2", 422, "unknown-member", "/stride", NO_OFFSET, NULL},
        {"?kernel=box&mode=full", 422, "unknown-member", "/mode", NO_OFFSET, NULL},
        {"?kernel=box&bundary=wrap", 422, "unknown-member", "/bundary", NO_OFFSET, "boundary"},
        {"?kernel=box&a/b=1", 422, "unknown-member", "/a~1b", NO_OFFSET, NULL},
        {"?kernel=box&boundary=mirror", 422, "invalid-value", "/boundary", NO_OFFSET, NULL},
        {"?kernel=box&boundary=1", 422, "invalid-value", "/boundary", NO_OFFSET, NULL},
        {"?kernel=box&boundary=constant&fillvalue=x", 422, "invalid-value", "/fillvalue", NO_OFFSET, NULL},
        {"?kernel=box&method=winograd", 422, "invalid-value", "/method", NO_OFFSET, NULL},
        {"?kernel=outline&method=separable", 422, "invalid-value", "/method", NO_OFFSET, NULL},
        {"?kernel=box&normalize=1", 422, "invalid-value", "/normalize", NO_OFFSET, NULL},
        {"?kernel=box&normalize=yes", 422, "invalid-value", "/normalize", NO_OFFSET, NULL},
        {"?kernel=laplacian&normalize=true", 422, "invalid-value", "/normalize", NO_OFFSET, "sum to 0"},
        {"?kernel=sobel&normalize=true", 422, "invalid-value", "/normalize", NO_OFFSET, NULL},
        {"?kernel=[[0.1,0.2,-0.3]]&normalize=true", 422, "invalid-value", "/normalize", NO_OFFSET, NULL},
        {"?kernel=box&absolute=2", 422, "invalid-value", "/absolute", NO_OFFSET, NULL},
        {"?kernel=box&scale=big", 422, "invalid-value", "/scale", NO_OFFSET, NULL},
        {"?kernel=box&scale=null", 422, "invalid-value", "/scale", NO_OFFSET, NULL},
        {"?kernel=box&offset=[1]", 422, "invalid-value", "/offset", NO_OFFSET, NULL},
        {"?kernel=box&dtype=float32", 422, "invalid-value", "/dtype", NO_OFFSET, "float64"},
        {"?kernel=box&timeout_ms=0", 422, "invalid-value", "/timeout_ms", NO_OFFSET, NULL},
        {"?kernel=box&max_error=-1", 422, "invalid-value", "/max_error", NO_OFFSET, NULL},
        {"?kernel=box&max_error=1e-30", 422, "invalid-value", "/max_error", NO_OFFSET, NULL},
        {"?kernel=sobel&max_error=1e-30", 422, "invalid-value", "/max_error", NO_OFFSET, NULL},
        {"?kernel=sobel_x&scale=0.1&max_error=1e-30", 422, "invalid-value", "/max_error", NO_OFFSET, NULL},
        {"?kernel=box&plan=1", 422, "invalid-value", "/plan", NO_OFFSET, NULL},
        /* the order of faults */
        {"?stride=1&stride=2&kernel=nope", 422, "duplicate-member", "/stride", NO_OFFSET, NULL},
        {"?stride=1&kernel=nope", 422, "unknown-member", "/stride", NO_OFFSET, NULL},
        {"?kernel=nope&boundary=nope", 422, "unknown-kernel", "/kernel", NO_OFFSET, NULL},
        {"?kernel=[1]&boundary=nope", 422, "invalid-value", "/boundary", NO_OFFSET, NULL},
    };
    const struct bytes file = sample_png();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = picture_post(daemon_child, cases[i].query, file, NULL);
        check_problem_in(cases[i].query, &answer, cases[i].status, cases[i].slug, cases[i].pointer, cases[i].offset,
                         cases[i].word);
    }
    static const char *const fine[] = {"?kernel=box&max_error=1e-9", "?kernel=sobel_x&max_error=0",
                                       "?kernel=sobel&max_error=1e-9", "?kernel=sobel_x&scale=2&offset=-3&max_error=0",
                                       "?kernel=sharpen&format=flat&nonfinite=null&dtype=float64"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        check_number(fine[i], "status", picture_post(daemon_child, fine[i], file, NULL).status, 200);
}

static void no_pictures(void **state)
{
    (void)state;
    const char *const texts[] = {"",
                                 "{\"input\":[[1]],\"kernel\":[[1]]}",
                                 "GIF89a\1",
                                 "BM",
                                 "\x89PNG\r\n\x1a\n",
                                 "\xff\xd8\xff",
                                 "\xff\xd8\xff\xd9"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct bytes file = {texts[i], strlen(texts[i])};
        struct answer answer = picture_post(daemon_child, "?kernel=box", file, NULL);
        check_problem_in(textf("text %zu", i), &answer, 400, "malformed-image", NULL, NO_OFFSET, NULL);
        /* Syntax comes first, whatever else is wrong. */
        answer = picture_post(daemon_child, "?kernel=nope&stride=1&stride=2", file, NULL);
        check_problem_in(textf("text %zu", i), &answer, 400, "malformed-image", NULL, NO_OFFSET, NULL);
    }
    struct answer answer = raw_exchange(daemon_child, "POST /v1/image?kernel=box HTTP/1.1\r\nHost: h\r\n\r\n");
    check_problem_in("no body at all", &answer, 400, "malformed-image", NULL, NO_OFFSET, NULL);
    const char *const headers[] = {"Content-Encoding: br", NULL};
    const struct bytes file = sample_png();
    struct call call = {
        .path = "/v1/image?kernel=box", .body = file.bytes, .body_bytes = file.count, .headers = headers};
    answer = http_call(daemon_child, &call);
    check_problem_in("another coding", &answer, 415, "unsupported-media-type", NULL, NO_OFFSET, NULL);
    answer = http_call(daemon_child, &(struct call){.path = "/v1/image"});
    check_problem_in("GET", &answer, 405, "method-not-allowed", NULL, NO_OFFSET, "PNG");
}

static void cut_anywhere(void **state)
{
    (void)state;
    const struct bytes files[] = {
        sample_png(),
        picture_jpeg(&(struct made_jpeg){
            .width = 9, .height = 9, .channels = 1, .samples = picture_noise(81, 3), .progressive = true}),
        picture_jpeg(&(struct made_jpeg){.width = 9, .height = 9, .channels = 1, .samples = picture_noise(81, 3)}),
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (size_t count = 0; count < files[i].count; count++) {
            struct answer answer =
                picture_post(daemon_child, "?kernel=box", (struct bytes){files[i].bytes, count}, NULL);
            check_problem_in(textf("file %zu cut to %zu of %zu", i, count, files[i].count), &answer, 400,
                             "malformed-image", NULL, NO_OFFSET, NULL);
        }
}

/* ---- Limits ---- */

static void check_too_large(const char *name, const struct answer *answer, const char *limit)
{
    check_problem_in(name, answer, 413, "too-large", ANY_POINTER, NO_OFFSET, NULL);
    if (limit)
        check_member(name, answer, "limit", textf("'%s'", limit));
    const char *allowed = member_text(answer->body, "allowed"), *requested = member_text(answer->body, "requested");
    if (!allowed || !requested || !(atof(requested) > atof(allowed)))
        complain(name, "allowed %s, requested %s", allowed, requested);
}

/* A few bytes that announce, or hold, much. Which limit is told where a size cannot even be counted is left open. */
static void bombs(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{100000, 100000}, {2147483647, 2147483647}, {1, 2147483647}, {65000, 65000}};
    struct child *child = child_start(NULL, NULL, NULL);
    check_number("before", "status", picture_post(child, "?kernel=box", sample_png(), NULL).status, 200);
    const struct held before = held_by(child);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct bytes bomb = picture_resized(sample_png(), sizes[i][0], sizes[i][1]);
        struct answer answer = picture_post(child, "?kernel=box", bomb, NULL);
        check_too_large(textf("%u x %u", sizes[i][0], sizes[i][1]), &answer, i == 1 ? NULL : "max_output_bytes");
        answer = picture_post(child, "?kernel=box", bomb, "application/x-npy");
        check_too_large(textf("%u x %u as .npy", sizes[i][0], sizes[i][1]), &answer,
                        i == 1 ? NULL : "max_output_bytes");
    }
    struct answer answer = picture_post(child, "?kernel=gaussian&size=1000000001", sample_png(), NULL);
    check_too_large("a kernel of 10^18 taps", &answer, NULL);
    answer =
        picture_post(child, "?kernel=box&size=5001&method=direct", picture_resized(sample_png(), 5000, 5000), NULL);
    check_too_large("work", &answer, "max_work");
    /* Within the limits, but the samples do not come. */
    answer = picture_post(child, "?kernel=box", picture_resized(sample_png(), 4000, 4000), NULL);
    check_problem_in("samples that do not come", &answer, 400, "malformed-image", NULL, NO_OFFSET, NULL);
    check_given_back("bombs", child, before, 8 << 10);
    check_number("bombs", "exit status", child_stop(child), 0);
}

static void small_limits(void **state)
{
    (void)state;
    static const char *const flags[] = {"--max-output-bytes",
                                        "60000",
                                        "--max-memory-bytes",
                                        "2000000",
                                        "--max-work",
                                        "90000",
                                        "--max-body-bytes",
                                        "50000",
                                        NULL};
    struct child *child = child_start(flags, NULL, NULL);
    const struct bytes hundred = picture_of_samples(100, 100, 1, 8, picture_noise(10000, 1));
    check_number("within", "status", picture_post(child, "?kernel=box&method=direct", hundred, NULL).status, 200);
    struct answer answer = picture_post(child, "?kernel=box&method=direct", hundred, "application/x-npy");
    check_too_large("10000 float64", &answer, "max_output_bytes");
    check_member("10000 float64", &answer, "requested", "80000");
    answer = picture_post(child, "?kernel=box&size=5&method=direct", hundred, NULL);
    check_too_large("25 taps", &answer, "max_work");
    check_member("25 taps", &answer, "requested", "250000");
    answer = picture_post(child, "?kernel=sobel&method=direct", hundred, NULL);
    check_member("two kernels", &answer, "requested", "180000");
    answer = picture_post(child, "?kernel=[[1]]&method=direct",
                          picture_of_samples(200, 200, 1, 8, picture_noise(40000, 0)), NULL);
    check_number("40000 bytes", "status", answer.status, 200);
    answer = picture_post(child, "?kernel=[[1]]",
                          picture_of_samples(150, 150, 3, 8, memset(text_room(67501), 1, 67500)), NULL);
    check_too_large("67500 bytes", &answer, "max_output_bytes");
    answer = picture_post(child, "?kernel=[[1]]", picture_of_samples(300, 200, 1, 8, picture_noise(60000, 0)), NULL);
    check_too_large("a body of 60000", &answer, "max_body_bytes");
    check_number("small limits", "exit status", child_stop(child), 0);

    static const char *const little[] = {"--max-memory-bytes", "1000000", NULL};
    child = child_start(little, NULL, NULL);
    answer = picture_post(child, "?kernel=box", picture_of_samples(300, 300, 1, 8, memset(text_room(90001), 1, 90000)),
                          NULL);
    check_too_large("planes of 720000", &answer, "max_memory_bytes");
    for (int i = 0; i < 3; i++) {
        struct answer plan = picture_post(child, "?kernel=box&plan=true", sample_png(), NULL);
        answer = picture_post(child, "?kernel=box", sample_png(), NULL);
        check_number("a small one", "status", answer.status, 200);
        if (!(atof(member_text(plan.body, "bytes")) < 1000000))
            complain("a small one", "plans %s", plan.body);
    }
    check_number("little memory", "exit status", child_stop(child), 0);
}

/* ---- Time ---- */

static const char *request_text(const char *query, struct bytes file, size_t *count)
{
    const char *head = textf("POST /v1/image%s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", query, file.count);
    char *whole = text_room(strlen(head) + file.count + 1);
    memcpy(mempcpy(whole, head, strlen(head)), file.bytes, file.count);
    *count = strlen(head) + file.count;
    return whole;
}

static struct bytes large_picture(int which)
{
    enum { WIDTH = 1600, HEIGHT = 1200 };
    const unsigned char *samples = picture_noise((size_t)WIDTH * HEIGHT * 3, 6);
    if (which == 0)
        return picture_of_samples(WIDTH, HEIGHT, 3, 8, samples);
    return picture_jpeg(
        &(struct made_jpeg){.width = WIDTH, .height = HEIGHT, .channels = 3, .samples = samples, .progressive = true});
}

/* A deadline in whatever phase it falls. */
static void deadlines(void **state)
{
    (void)state;
    static const char *const flags[] = {"--threads", "1", NULL};
    struct child *child = child_start(flags, NULL, NULL);
    for (int which = 0; which < 2; which++) {
        const struct bytes file = large_picture(which);
        struct answer answer = picture_post(child, "?kernel=gaussian", file, NULL);
        const double whole = answer.milliseconds;
        check_number("in time", "status", answer.status, 200);
        for (int tenth = 1; tenth <= 7; tenth += 2) {
            const int timeout = (int)(whole * tenth / 10) + 1;
            const char *name = textf("picture %d, %d of %.0f ms", which, timeout, whole);
            const double start = now_ms();
            answer = picture_post(child, textf("?kernel=gaussian&timeout_ms=%d", timeout), file, NULL);
            const double taken = now_ms() - start;
            if (answer.status == 504)
                check_problem_in(name, &answer, 504, "deadline-exceeded", ANY_POINTER, NO_OFFSET, NULL);
            else if (answer.status != 200)
                complain(name, "status %ld", answer.status);
            if (taken > whole + (timeout + 500) * slowness())
                complain(name, "took %.0f ms", taken);
        }
    }
    check_number("deadlines", "exit status", child_stop(child), 0);
}

/* Callers who leave at once, and later: their work stops, and nothing of it stays. */
static void callers_leave(void **state)
{
    (void)state;
    static const char *const flags[] = {"--threads", "2", NULL};
    struct child *child = child_start(flags, NULL, NULL);
    const struct bytes file = large_picture(0), other = large_picture(1);
    check_number("before", "status", picture_post(child, "?kernel=gaussian", file, NULL).status, 200);
    check_number("before", "status", picture_post(child, "?kernel=gaussian", other, NULL).status, 200);
    usleep(500000);
    const struct held before = held_by(child);
    for (int i = 0; i < 16; i++) {
        size_t count;
        const char *request =
            request_text(i % 2 ? "?kernel=gaussian" : "?kernel=sobel", i % 4 < 2 ? file : other, &count);
        int fd = raw_open(child);
        raw_send(fd, request, i % 5 == 4 ? count / 2 : count);
        usleep((useconds_t)(i * 20000));
        close(fd);
    }
    check_number("afterwards", "status", picture_post(child, "?kernel=box", sample_png(), NULL).status, 200);
    check_given_back("callers who left", child, before, 16 << 10);
    check_number("callers who left", "exit status", child_stop(child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(members),      HTTP_TEST(no_pictures), HTTP_TEST(cut_anywhere),  HTTP_TEST(bombs),
        HTTP_TEST(small_limits), HTTP_TEST(deadlines),   HTTP_TEST(callers_leave),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
