/* SPDX-License-Identifier: MIT */
/* A request that takes as long as a test needs: many taps over many outputs, few bytes either way by `direct`. What it takes is
 * told by the processor's time, since on a busy machine the clock would make a request that is soon done look long. */
#include "tests/http/slow.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {"input": n ones, "kernel": n/2 ones, "mode": "valid", "method": "direct"}: about n*n/4 multiply-adds. */
static char *body_of_ones(size_t count, const char *members)
{
    const char *quoted = json(members);
    char *body = text_room(3 * count + strlen(quoted) + 128), *to = body;
    to = stpcpy(to, "{\"input\":[1");
    for (size_t i = 1; i < count; i++)
        to = stpcpy(to, ",1");
    to = stpcpy(to, "],\"kernel\":[1");
    for (size_t i = 1; i < count / 2; i++)
        to = stpcpy(to, ",1");
    to = stpcpy(to, "],");
    to = stpcpy(to, quoted);
    stpcpy(to, "\"mode\":\"valid\",\"method\":\"direct\"}");
    return body;
}

double processor_ms(const struct child *child)
{
    const char *path = textf("/proc/%d/task", (int)child->pid);
    double sum = 0;
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        FILE *file = fopen(textf("%s/%s/schedstat", path, entry->d_name), "re");
        double ns = 0;
        if (file && fscanf(file, "%lf", &ns) == 1)
            sum += ns * 1e-6;
        if (file)
            fclose(file);
    }
    if (folder)
        closedir(folder);
    return sum;
}

/* What a request takes on a machine that does nothing else, at least; `*enough`: so much that the measure is good. */
static double milliseconds_of(struct child *child, const struct call *call, bool *enough)
{
    const char *workers = member_text(http_get(child, "/v1/info").body, "threads");
    const double before = processor_ms(child);
    struct answer answer = http_call(child, call);
    const double ran = (processor_ms(child) - before) / (workers ? fmax(atof(workers), 1) : 1);
    if (answer.status != 200)
        fail_msg("a request to measure by: status %ld %.300s", answer.status, answer.body);
    const char *timing = header_of(&answer, "Server-Timing");
    const char *compute = timing ? strstr(timing, "compute;dur=") : NULL;
    const double taken = compute ? atof(compute + strlen("compute;dur=")) : answer.milliseconds;
    *enough = ran > 0 ? ran > 8 : taken > 40;
    return ran > 0 ? fmin(ran, taken) : taken;
}

const char *slow_request(struct child *child, double milliseconds, const char *members)
{
    size_t count = 8000;
    for (int attempt = 0; attempt < 4; attempt++) {
        struct call call = {.path = "/v1/correlate", .body = body_of_ones(count, "")};
        bool enough;
        const double taken = milliseconds_of(child, &call, &enough);
        if (enough || attempt == 3) {
            count = (size_t)((double)count * sqrt(milliseconds * stretch() / fmax(taken, 1)));
            break;
        }
        count *= taken < 4 ? 4 : 2;
    }
    const char *body = body_of_ones(count, members);
    return textf("POST /v1/correlate HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
}

const char *body_of_request(const char *request)
{
    return strstr(request, "\r\n\r\n") + 4;
}

double metric_of(struct child *child, const char *name)
{
    struct answer answer = http_call(child, &(struct call){.path = "/metrics"});
    const char *line = answer.body;
    size_t bytes = strlen(name);
    while (line && *line) {
        if (!strncmp(line, name, bytes) && line[bytes] == ' ')
            return atof(line + bytes);
        line = strchr(line, '\n');
        if (line)
            line++;
    }
    return -1;
}
