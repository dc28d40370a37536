/* SPDX-License-Identifier: MIT */
/* The caller beside the others looks at every answer, since under abuse a wrong one is worse than a late one. */
#include "tests/http/beside.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct beside {
    pthread_t thread;
    struct child *child;
    _Atomic bool stop;
    int served, wrong;
    double longest_ms;
    char fault[300];
};

static void *call_again(void *context)
{
    struct beside *beside = context;
    void *curl = curl_new();
    while (!beside->stop) {
        struct answer answer = http_call(
            beside->child,
            &(struct call){.path = "/v1/convolve", .body = "{\"input\":[1,2],\"kernel\":[1,10]}", .curl = curl});
        const char *output = answer.status == 200 ? member_text(answer.body, "output") : NULL;
        if (output && !strcmp(output, "[1,12,20]"))
            beside->served++;
        else if (!beside->wrong++)
            snprintf(beside->fault, sizeof beside->fault, "status %ld, %.200s", answer.status,
                     answer.failure ? answer.failure : answer.body);
        beside->longest_ms = fmax(beside->longest_ms, answer.milliseconds);
        usleep(5000);
    }
    curl_free_handle(curl);
    return NULL;
}

struct beside *beside_start(struct child *child)
{
    struct beside *beside = calloc(1, sizeof *beside);
    assert_non_null(beside);
    beside->child = child;
    assert_int_equal(pthread_create(&beside->thread, NULL, call_again, beside), 0);
    return beside;
}

void beside_stop(struct beside *beside, const char *name, double milliseconds, int least)
{
    beside->stop = true;
    pthread_join(beside->thread, NULL);
    if (beside->wrong > 0)
        complain(name, "%d of %d well-behaved calls failed, the first: %s", beside->wrong,
                 beside->wrong + beside->served, beside->fault);
    if (beside->longest_ms > milliseconds * slowness())
        complain(name, "a well-behaved caller waited %.0f ms", beside->longest_ms);
    if (beside->served < least / slowness())
        complain(name, "a well-behaved caller was served %d times", beside->served);
    free(beside);
}

/* ---- What a process holds ---- */

static long entries_of(const char *path)
{
    long count = -2; /* . and .. */
    DIR *folder = opendir(path);
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

struct held held_by(const struct child *child)
{
    struct held held = {.rss_kib = -1};
    char line[256];
    FILE *status = fopen(textf("/proc/%d/status", (int)child->pid), "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "VmRSS:", 6))
            held.rss_kib = atol(line + 6);
    if (status)
        fclose(status);
    held.descriptors = entries_of(textf("/proc/%d/fd", (int)child->pid));
    held.threads = entries_of(textf("/proc/%d/task", (int)child->pid));
    return held;
}

void check_given_back(const char *name, struct child *child, struct held before, long rss_kib)
{
    struct held now;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    rss_kib = LONG_MAX / 2; /* they keep memory of their own */
#endif
    if (getenv("TEST_UNDER") != NULL) /* as does what runs the daemon: the code that it has translated */
        rss_kib = LONG_MAX / 2;
    double until = now_ms() + 5000 * slowness();
    do {
        usleep(20000);
        now = held_by(child);
    } while (now_ms() < until && (now.descriptors > before.descriptors || now.threads != before.threads ||
                                  now.rss_kib > before.rss_kib + rss_kib));
    if (now.descriptors > before.descriptors)
        check_number(name, "descriptors afterwards", now.descriptors, before.descriptors);
    check_number(name, "threads afterwards", now.threads, before.threads);
    if (now.rss_kib > before.rss_kib + rss_kib)
        check_number(name, textf("KiB resident afterwards (at most %ld more)", rss_kib), now.rss_kib, before.rss_kib);
}

/* ---- By a shell ---- */

struct child *child_start_by_shell(const char *commands, const char *redirections, const char *const *flags)
{
    const char *before = getenv("CONVOLVED"), *program = before ? before : "build/convolved";
    const char *script = file_with(textf("#!/bin/sh\n%s\nexec '%s' \"$@\" %s\n", commands, program, redirections));
    char *kept = before ? strdup(before) : NULL;
    assert_int_equal(chmod(script, 0700), 0);
    setenv("CONVOLVED", script, 1);
    struct child *child = child_start(flags, NULL, NULL);
    if (kept)
        setenv("CONVOLVED", kept, 1);
    else
        unsetenv("CONVOLVED");
    free(kept);
    return child;
}

const char *post_of(const char *path, const char *body)
{
    if (!body)
        return textf("POST %s HTTP/1.1\r\nHost: h\r\n\r\n", path);
    return textf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", path, strlen(body), body);
}
