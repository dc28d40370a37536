/* SPDX-License-Identifier: MIT */
/* What the system refuses the daemon: descriptors, address space, memory, a place for its log, its standard streams, a disk to write
 * to, a locale that it knows. Whatever fails, a request is served or refused in words, and the daemon is there afterwards. */
#include "tests/http/beside.h"
#include "tests/http/picture.h"
#include "tests/http/slow.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { SANITIZED = 1 }; /* they want address space and malloc for themselves */
#else
enum { SANITIZED = 0 };
#endif

static void check_serves(const char *name, struct child *child)
{
    check_output(child, name, "/v1/convolve", "{'input':[1,2],'kernel':[1,10]}", "[1,12,20]");
}

/* A port that nobody has, for a daemon that cannot say its own. */
static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* More callers than descriptors: those within the limit are served, the others wait or are refused, and all is well afterwards. */
static void descriptors_run_out(void **state)
{
    (void)state;
    enum { CALLERS = 120 };
    static const char info[] = "GET /v1/info HTTP/1.1\r\nHost: h\r\n\r\n";
    struct child *child = child_start_by_shell("ulimit -n 64", "", NULL);
    check_holds("start", "log", child_log(child), "max_connections");
    check_serves("before", child);
    struct held before = held_by(child);
    for (int round = 0; round < 2; round++) {
        int fds[CALLERS], served = 0, refused = 0;
        for (int i = 0; i < CALLERS; i++) {
            fds[i] = raw_open(child);
            raw_send_text(fds[i], info);
        }
        usleep(200000);
        for (int i = 0; i < CALLERS; i++) { /* one after another closes, which lets those in the backlog in */
            struct answer answer = raw_read_answer(fds[i], false);
            served += answer.status == 200;
            refused += answer.status == 503;
            close(fds[i]);
        }
        if (served < 20 || served + refused != CALLERS)
            complain("120 callers, 64 descriptors", "%d served, %d refused", served, refused);
    }
    check_serves("afterwards", child);
    check_given_back("afterwards", child, before, 8 << 10);
    check_number("descriptors", "exit status", child_stop(child), 0);
}

/* Silent callers that take every descriptor: those beyond the limit are closed at once, which lets a probe in, and meanwhile nobody asks
 * in vain for a newcomer as fast as he can. */
static void silent_callers_take_all_descriptors(void **state)
{
    (void)state;
    enum { CALLERS = 60 };
    int fds[CALLERS];
    struct child *child = child_start_by_shell("ulimit -n 64", "", NULL);
    check_serves("before", child);
    for (int i = 0; i < CALLERS; i++)
        fds[i] = raw_open(child);
    usleep(100000);
    const double ran = processor_ms(child);
    usleep(400000);
    if (processor_ms(child) - ran > 200 * slowness())
        complain("without descriptors", "it ran for %.0f of 400 ms", processor_ms(child) - ran);
    const double start = now_ms();
    check_number("a probe", "status", raw_exchange(child, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    if (now_ms() - start > 2000 * slowness())
        complain("a probe", "waited %.0f ms", now_ms() - start);
    for (int i = 0; i < CALLERS; i++)
        close(fds[i]);
    check_serves("afterwards", child);
    check_number("descriptors", "exit status", child_stop(child), 0);
}

/* Answers are right or a refusal with a reason. */
static void check_served_or_refused(const char *name, struct child *child, int side, int *served, int *refused)
{
    const char *body = textf("{\"input\":[1],\"kernel\":[1],\"padding\":[[0,%d]],\"format\":\"base64\"}", side - 1);
    struct answer answer = http_call(child, &(struct call){.path = "/v1/convolve", .body = body});
    if (answer.status == 200) {
        (*served)++;
        check_text(name, "shape", member_text(answer.body, "shape"), textf("[%d]", side));
    } else if (answer.status == 503 || answer.status == 413) {
        (*refused)++;
        check_problem_in(name, &answer, (int)answer.status, "overloaded|too-large", ANY_POINTER, NO_OFFSET, NULL);
    } else {
        complain(name, "status %ld, %s", answer.status, answer.failure ? answer.failure : answer.body);
    }
}

/* The address space ends before max_memory_bytes does. */
static void address_space_runs_out(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    struct child *child = child_start_by_shell("ulimit -v 600000", "", LIST("--threads", "2", "--io-threads", "2"));
    check_serves("before", child);
    int served = 0, refused = 0;
    for (int round = 0; round < 3; round++)
        for (int side = 1 << 14; side <= 1 << 25; side <<= 1)
            check_served_or_refused(textf("%d values within 600 MB", side), child, side, &served, &refused);
    if (served < 15 || refused < 1)
        complain("ulimit -v", "%d served, %d refused", served, refused);
    check_serves("afterwards", child);
    check_number("ulimit -v", "exit status", child_stop(child), 0);
}

/* ---- Every n-th allocation fails ---- */

static const char *shim_path(void)
{
    const char *program = getenv("CONVOLVED");
    const char *end = strrchr(program ? program : "build/convolved", '/');
    const char *begin = program ? program : "build/convolved";
    const char *path = textf("%.*s/tests/faults/failing_malloc.so", (int)(end - begin), begin);
    char *whole = realpath(path, NULL);
    assert_non_null(whole);
    path = textf("%s", whole);
    free(whole);
    return path;
}

static const char *const *preload(const char *counter)
{
    static const char *list[3];
    list[0] = textf("LD_PRELOAD=%s", shim_path());
    list[1] = textf("FAILING_MALLOC=%s", counter);
    return list;
}

/* One round of calls of every kind, each served or refused: a status of ours, or, where the library itself had no memory even for
 * that, a close. Never a wrong answer. */
static void call_each(const char *name, struct child *child, int *served, int *others)
{
    static const char *const accepted[] = {"image/png", "image/png", "image/jpeg", "application/x-npy"};
    const unsigned char *samples = picture_noise(3072, 1);
    const struct bytes pictures[] = {
        picture_of_samples(32, 32, 3, 8, samples),
        picture_jpeg(
            &(struct made_jpeg){.width = 32, .height = 32, .channels = 3, .progressive = true, .samples = samples})};
    static const struct {
        const char *path, *request, *output;
    } calls[] = {
        {"/v1/convolve", "{'input':[1,2],'kernel':[1,10]}", "[1,12,20]"},
        {"/v1/correlate", "{'input':[[1,2],[3,4]],'kernel':'box','mode':'same','method':'direct','dtype':'int64'}",
         NULL},
        {"/v1/convolve", "{'input':[1,2,3],'kernel':[1,1],'method':'fft'}", "[1,3,5,3]"},
        {"/v1/convolve", "{'input':[1],'kernel':[2],'padding':[[0,30000]],'method':'overlap_add','nonsense':1}", NULL},
        {"/v1/convolve", "{'input':[1],'kernel':[2],'padding':[[0,30000]]}", NULL},
        {"/v1/conv", "{'input':[[[1,2,3]]],'weight':[[[1,1]]]}", "[[[3,5]]]"},
        {"/v1/convolve", "{'input':[1,2,'kernel'", NULL},
        {"/v1/info", NULL, NULL},
        {"/metrics", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct answer answer =
            calls[i].request ? http_post(child, calls[i].path, calls[i].request) : http_get(child, calls[i].path);
        if (answer.status == 200 && calls[i].output)
            check_text(name, "output", member_text(answer.body, "output"), calls[i].output);
        *(answer.status == 200 ? served : others) += 1;
        if (answer.status != 0 && answer.status != 200 && answer.status != 400 && answer.status != 413 &&
            answer.status != 422 && answer.status != 431 && answer.status != 500 && answer.status != 503)
            complain(name, "%s: status %ld %s", calls[i].path, answer.status, answer.body);
    }
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        struct answer answer = picture_post(child, "?kernel=gaussian", pictures[i % 2], accepted[i]);
        *(answer.status == 200 ? served : others) += 1;
        if (answer.status != 0 && answer.status != 200 && answer.status != 413 && answer.status != 500 &&
            answer.status != 503)
            complain(name, "a picture: status %ld %s", answer.status, answer.body);
    }
}

static void memory_fails_now_and_then(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    const char *counter = file_with("\0\0\0\0\0\0\0");
    int fd = open(counter, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && ftruncate(fd, 4) == 0);
    volatile uint32_t *every = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(every != MAP_FAILED);
    struct child *child = child_start(LIST("--threads", "2", "--io-threads", "2"), preload(counter), NULL);
    static const uint32_t rates[] = {1, 2, 3, 5, 7, 11, 17, 29, 53, 101};
    struct held before = {0};
    int served = 0, others = 0;
    for (int round = 0; round < 3; round++) { /* the first brings what is kept for later to its size */
        for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
            *every = rates[i];
            for (int again = 0; again < 4; again++)
                call_each(textf("each %u-th allocation fails", rates[i]), child, &served, &others);
        }
        *every = 0;
        check_serves("once it does not fail", child);
        if (round == 0) {
            usleep(500000);
            before = held_by(child);
        }
    }
    check_given_back("nothing leaks", child, before, 2 << 10);
    if (served < 100 || others < 100)
        complain("failing malloc", "%d served, %d not", served, others);
    kill(child->pid, SIGHUP);
    *every = 2; /* a reload that fails keeps the old configuration */
    usleep(100000);
    kill(child->pid, SIGHUP);
    usleep(100000);
    *every = 0;
    check_serves("after reloads without memory", child);
    check_number("failing malloc", "exit status", child_stop(child), 0);
    munmap((void *)every, 4);
    close(fd);
}

/* At the start each allocation in turn may be the one that fails: then the daemon starts anyway, or says why it does not. */
static void memory_fails_at_the_start(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    for (uint32_t n = 1; n <= 40; n++) {
        const char bytes[5] = {(char)n, 0, 0, 0};
        const char *counter = file_with("");
        FILE *file = fopen(counter, "w");
        assert_non_null(file);
        fwrite(bytes, 1, 4, file);
        fclose(file);
        struct finished finished = daemon_run(LIST("--check-config", "--max-connections", "10"), preload(counter));
        if (finished.status < 0 || finished.status > 2)
            complain(textf("each %u-th allocation fails at the start", n), "exit status %d, %s", finished.status,
                     finished.err);
        unlink(counter);
    }
}

/* ---- Streams, disk, locale ---- */

static void the_disk_of_the_log_is_full(void **state)
{
    (void)state;
    struct child *child = child_start_by_shell("", "2>/dev/full", LIST("--log-level", "debug"));
    for (int i = 0; i < 20; i++)
        check_serves("/dev/full", child);
    check_number("/dev/full", "exit status", child_stop(child), 0);
}

/* A log that nobody reads is dropped, never waited for. */
static void nobody_reads_the_log(void **state)
{
    (void)state;
    const char *fifo = file_with("");
    unlink(fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct child *child = child_start_by_shell("", textf("2>'%s'", fifo), LIST("--log-format", "json"));
    for (int i = 0; i < 600; i++) { /* a pipe holds 64 KiB, a line some 200 bytes */
        double start = now_ms();
        check_number("a full pipe", "status", http_get(child, "/v1/info").status, 200);
        if (now_ms() - start > 2000 * slowness())
            complain("a full pipe", "an answer waited for the log");
    }
    check_serves("a full pipe", child);
    close(reader);
    check_serves("a pipe without a reader", child);
    check_number("a pipe without a reader", "exit status", child_stop(child), 0);
}

static void standard_streams_are_closed(void **state)
{
    (void)state;
    unsigned port = free_port();
    struct child *child = child_start_by_shell(textf("echo 'listening on http://127.0.0.1:%u'", port), "<&- >&- 2>&-",
                                               LIST("--listen", textf("127.0.0.1:%u", port)));
    int fd = -1;
    for (double until = now_ms() + 5000 * slowness(); fd < 0 && now_ms() < until; usleep(10000))
        fd = raw_open(child);
    assert_true(fd >= 0);
    close(fd);
    check_serves("closed", child);
    for (int i = 0; i <= 2; i++) {
        char target[64] = "";
        const char *link = textf("/proc/%d/fd/%d", (int)child->pid, i);
        ssize_t bytes = readlink(link, target, sizeof target - 1);
        check_text(link, "is", bytes > 0 ? target : NULL, "/dev/null");
    }
    check_number("closed", "exit status", child_stop(child), 0);
}

/* Nothing is written to disk, so a root that cannot be written to is no matter. */
static void the_root_is_read_only(void **state)
{
    (void)state;
    static const char mount[] = "unshare -m sh -c 'mount --make-rprivate / && mount -o remount,bind,ro /' 2>/dev/null";
    if (system(mount) != 0)
        skip(); /* not permitted here */
    const char *program = getenv("CONVOLVED");
    char *whole = realpath(program ? program : "build/convolved", NULL);
    assert_non_null(whole);
    const char *script = textf(
        "unshare -m sh -c 'mount --make-rprivate / && mount -o remount,bind,ro / && exec \"$0\" \"$@\"' '%s' \"$@\" & "
        "trap 'kill -TERM $!' TERM; wait $!; wait $!; exit $?",
        whole);
    free(whole);
    struct child *child = child_start_by_shell(script, "", NULL);
    check_serves("read-only", child);
    check_number("read-only", "exit status", child_stop(child), 0);
}

static void locales(void **state)
{
    (void)state;
    static const char *const names[] = {"LC_ALL=tr_TR.UTF-8", "LC_ALL=de_DE.UTF-8", "LC_ALL=xx_YY",
                                        "LC_ALL=", "LANG=fa_IR"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct child *child = child_start(NULL, LIST(names[i]), "{\"max_work\": 1000000}");
        check_output(child, names[i], "/v1/convolve", "{'input':[1.5,2.25],'kernel':[0.5]}", "[0.75,1.125]");
        struct answer answer =
            http_call(child, &(struct call){.path = "/v1/info", .headers = LIST("ACCEPT-ENCODING: IDENTITY")});
        check_member(names[i], &answer, "limits/max_work", "1000000");
        check_number(names[i], "exit status", child_stop(child), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(descriptors_run_out),       HTTP_TEST(silent_callers_take_all_descriptors),
        HTTP_TEST(address_space_runs_out),    HTTP_TEST(memory_fails_now_and_then),
        HTTP_TEST(memory_fails_at_the_start), HTTP_TEST(the_disk_of_the_log_is_full),
        HTTP_TEST(nobody_reads_the_log),      HTTP_TEST(standard_streams_are_closed),
        HTTP_TEST(the_root_is_read_only),     HTTP_TEST(locales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
