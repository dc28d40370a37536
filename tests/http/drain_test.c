/* SPDX-License-Identifier: MIT */
/* Signals under load: reloads and drains lose nothing, and who asks whether the daemon is ready is the first to hear that it is
 * not. */
#include "tests/http/beside.h"
#include "tests/http/slow.h"

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define BODY      "{\"input\":[1],\"kernel\":[2]}"

static struct child *daemon_loaded;
static _Atomic bool over;

static void reloads_under_load(void **state)
{
    (void)state;
    enum { CALLERS = 4 };
    struct beside *callers[CALLERS];
    daemon_loaded = child_start(NULL, NULL, "{\"max_work\": 1000000}");
    for (int i = 0; i < CALLERS; i++)
        callers[i] = beside_start(daemon_loaded);
    for (int i = 0; i < 24; i++) {
        file_rewrite(daemon_loaded->config_path, i % 3 == 2 ? "{\"max_work\": \"many\"}"
                                                 : i % 3    ? "{\"queue_depth\": 100}"
                                                            : "{\"max_memory_bytes\": 100000000}");
        kill(daemon_loaded->pid, SIGHUP);
        usleep(40000);
    }
    for (int i = 0; i < CALLERS; i++)
        beside_stop(callers[i], "beside reloads", 2000, 10);
    check_holds("a broken file", "log", child_log(daemon_loaded), "nothing was changed");
    check_number("reloads", "exit status", child_stop(daemon_loaded), 0);
}

static void drain_loses_nothing(void **state)
{
    (void)state;
    enum { CALLERS = 12 };
    int fds[CALLERS];
    daemon_loaded = child_start(LIST("--threads", "2", PATIENT), NULL, NULL);
    const char *request = slow_request(daemon_loaded, 60, "");
    for (int i = 0; i < CALLERS; i++) {
        fds[i] = raw_open(daemon_loaded);
        raw_send_text(fds[i], request);
    }
    wait_ms(150); /* all are received, few are answered */
    kill(daemon_loaded->pid, SIGTERM);
    for (int i = 0; i < CALLERS; i++) {
        struct answer answer = raw_read_answer(fds[i], false);
        check_number(textf("received before the drain, %d", i), "status", answer.status, 200);
        check_holds("received before the drain", "body", answer.body, "\"output\"");
        close(fds[i]);
    }
    check_number("drain under load", "exit status", child_wait(daemon_loaded), 0);
}

/* Reads an answer from each, closes it, and counts those with 200. */
static int count_answered(const int *fds, int count)
{
    int answered = 0;
    for (int i = 0; i < count; i++) {
        answered += raw_read_answer(fds[i], false).status == 200;
        close(fds[i]);
    }
    return answered;
}

/* Whom the system has let in, but not yet the daemon, is answered too, not reset. */
static void drain_answers_the_backlog(void **state)
{
    (void)state;
    enum { CALLERS = 700 }; /* more than are let in before the signal is heard */
    int fds[CALLERS];
    daemon_loaded = child_start(NULL, NULL, NULL);
    kill(daemon_loaded->pid, SIGSTOP);
    for (int i = 0; i < CALLERS; i++) {
        fds[i] = raw_open(daemon_loaded);
        raw_send_text(fds[i], "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    kill(daemon_loaded->pid, SIGTERM);
    kill(daemon_loaded->pid, SIGCONT);
    check_number("in the backlog", "answered", count_answered(fds, CALLERS), CALLERS);
    check_number("backlog", "exit status", child_wait(daemon_loaded), 0);
}

/* Stops one of the threads that speak HTTP; 0 where the system does not let us. */
static pid_t hold_thread(const struct child *child)
{
    const char *tasks = textf("/proc/%d/task", (int)child->pid);
    DIR *const directory = opendir(tasks);
    pid_t held = 0;
    for (struct dirent *entry; held == 0 && directory != NULL && (entry = readdir(directory)) != NULL;) {
        char name[32] = "";
        FILE *const file = fopen(textf("%s/%s/comm", tasks, entry->d_name), "r");
        if (file != NULL && fgets(name, sizeof name, file) != NULL && strcmp(name, "MHD-worker\n") == 0)
            held = (pid_t)strtol(entry->d_name, NULL, 10);
        if (file != NULL)
            fclose(file);
    }
    if (directory != NULL)
        closedir(directory);
    if (held == 0 || ptrace(PTRACE_SEIZE, held, NULL, NULL) != 0)
        return 0;
    ptrace(PTRACE_INTERRUPT, held, NULL, NULL);
    return waitpid(held, NULL, __WALL) == held ? held : 0;
}

/* Connections that a thread was given and has not begun with count as open. */
static void drain_waits_for_a_late_thread(void **state)
{
    (void)state;
    enum { CALLERS = 40 };
    int fds[CALLERS];
    daemon_loaded = child_start(LIST("--io-threads", "2", PATIENT), NULL, NULL);
    const pid_t held = hold_thread(daemon_loaded);
    if (held == 0) {
        child_stop(daemon_loaded);
        skip();
    }
    for (int i = 0; i < CALLERS; i++) {
        fds[i] = raw_open(daemon_loaded);
        raw_send_text(fds[i], "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    kill(daemon_loaded->pid, SIGTERM);
    wait_ms(700); /* the other thread has answered its callers */
    ptrace(PTRACE_DETACH, held, NULL, NULL);
    check_number("beside a late thread", "answered", count_answered(fds, CALLERS), CALLERS);
    check_number("a late thread", "exit status", child_wait(daemon_loaded), 0);
}

/* What came whole before the signal is answered, however late the daemon is to read it. */
static void drain_reads_what_has_come(void **state)
{
    (void)state;
    enum { CALLERS = 60 };
    int fds[CALLERS];
    const char *request = post_of("/v1/convolve", BODY);
    daemon_loaded = child_start(NULL, NULL, NULL);
    for (int i = 0; i < CALLERS; i++) {
        fds[i] = raw_open(daemon_loaded);
        raw_send(fds[i], request, strlen(request) - 1);
    }
    for (double until = now_ms() + 5000 * slowness();
         metric_of(daemon_loaded, "convolved_in_flight") <= CALLERS && now_ms() < until; usleep(10000))
        continue;
    usleep(300000); /* in a drain this is long enough to count as half received */
    kill(daemon_loaded->pid, SIGSTOP);
    for (int i = 0; i < CALLERS; i++)
        raw_send_text(fds[i], "}");
    kill(daemon_loaded->pid, SIGTERM);
    kill(daemon_loaded->pid, SIGCONT);
    check_number("whole at the signal", "answered", count_answered(fds, CALLERS), CALLERS);
    check_number("whole at the signal", "exit status", child_wait(daemon_loaded), 0);
}

/* ---- Who is told first that the daemon stops ---- */

struct told {
    pthread_t thread;
    const char *path, *body;
    _Atomic double *refused_ms; /* when the first request was refused for the drain; 0: none yet */
    int ready, unready, other;
};

/* On a new connection each time, as probes and balancers do, until there is nobody who accepts. */
static void *call_anew(void *context)
{
    struct told *told = context;
    for (int fd; !over && (fd = raw_open(daemon_loaded)) >= 0; close(fd)) {
        const double refused = *told->refused_ms, start = now_ms();
        raw_send_text(fd, told->body ? post_of(told->path, told->body)
                                     : textf("GET %s HTTP/1.1\r\nHost: h\r\n\r\n", told->path));
        const struct answer answer = raw_read_answer(fd, false);
        if (answer.status == 503 && told->body) {
            double none = 0;
            atomic_compare_exchange_strong(told->refused_ms, &none, now_ms());
        }
        told->ready += answer.status == 200;
        told->unready += answer.status == 503;
        told->other += answer.status != 0 && answer.status != 200 && answer.status != 503;
        if (answer.status == 200 && refused > 0 && start > refused && strcmp(told->path, "/readyz") == 0)
            complain(told->path, "was 200 after a request had been refused");
    }
    return NULL;
}

static void readiness_ends_first(void **state)
{
    (void)state;
    enum { CALLERS = 4, WAITING = 6 };
    _Atomic double refused_ms = 0;
    static const char *const paths[] = {"/v1/convolve", "/v1/convolve", "/readyz", "/healthz"};
    struct told told[CALLERS];
    int busy[2], waiting[WAITING];
    daemon_loaded = child_start(LIST("--threads", "2", PATIENT), NULL, NULL);
    const char *request = slow_request(daemon_loaded, 300, "");
    over = false;
    for (int i = 0; i < CALLERS; i++) {
        told[i] = (struct told){.path = paths[i], .body = i < 2 ? BODY : NULL, .refused_ms = &refused_ms};
        assert_int_equal(pthread_create(&told[i].thread, NULL, call_anew, &told[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        busy[i] = raw_open(daemon_loaded);
        raw_send_text(busy[i], request);
    }
    usleep(100000);
    for (int i = 0; i < WAITING; i++) /* connected, and asking only when the drain has begun */
        waiting[i] = raw_open(daemon_loaded);
    kill(daemon_loaded->pid, SIGTERM);
    check_number("the drain", "is logged", log_becomes(daemon_loaded, "draining:"), true);
    for (int i = 0; i < WAITING; i++)
        raw_send_text(waiting[i], i % 3 == 0   ? "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n"
                                  : i % 3 == 1 ? "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
                                               : post_of("/v1/convolve", BODY));
    int answered = 0;
    for (int i = 0; i < WAITING; i++) {
        const struct answer answer = raw_read_answer(waiting[i], false);
        answered += answer.status != 0;
        if (answer.status != 0) /* a machine that is busy enough brings the question after the connection's time */
            check_number(textf("while it drains, %s", i % 3 == 0   ? "/readyz"
                                                      : i % 3 == 1 ? "/healthz"
                                                                   : "a request"),
                         "status", answer.status, i % 3 == 1 ? 200 : 503);
        close(waiting[i]);
    }
    if (answered == 0 && slowness() == 1)
        complain("while it drains", "nobody was answered");
    for (int i = 0; i < 2; i++) {
        check_number("what was accepted", "status", raw_read_answer(busy[i], false).status, 200);
        close(busy[i]);
    }
    over = true;
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(told[i].thread, NULL);
        check_number(told[i].path, "other answers", told[i].other, 0);
        if (told[i].ready < 1)
            complain(told[i].path, "was never served");
        if (i == 3)
            check_number(told[i].path, "503", told[i].unready, 0);
    }
    check_number("the drain", "exit status", child_wait(daemon_loaded), 0); /* and forgets the daemon that they call */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(reloads_under_load),        HTTP_TEST(drain_loses_nothing),
        HTTP_TEST(drain_answers_the_backlog), HTTP_TEST(drain_waits_for_a_late_thread),
        HTTP_TEST(drain_reads_what_has_come), HTTP_TEST(readiness_ends_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
