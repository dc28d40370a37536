/* SPDX-License-Identifier: MIT */
/* The daemon as its callers see it. An answer's end is found without parsing it: by its length, or by its last chunk. */
#include "tests/bench/bench_daemon.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 64 << 10 }; /* as callers do */

void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double percentile(double *values, size_t count, double percent)
{
    if (count == 0)
        die("nothing was measured");
    qsort(values, count, sizeof *values, compare_doubles);
    const size_t index = (size_t)((double)count * percent / 100);
    return values[index < count ? index : count - 1];
}

double median(double *values, size_t count)
{
    return percentile(values, count, 50);
}

/* ---- The daemon -------------------------------------------------------------------------------------------------- */

pid_t daemon_start(unsigned *port)
{
    const char *program = getenv("CONVOLVED") ? getenv("CONVOLVED") : "build/convolved";
    int out[2];
    if (pipe(out) != 0)
        die("pipe");
    const pid_t child = fork();
    if (child == 0) {
        dup2(out[1], 1);
        if (!freopen("/dev/null", "w", stderr))
            _exit(127);
        execl(program, program, "--listen", "127.0.0.1:0", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *lines = fdopen(out[0], "r");
    if (child < 0 || !lines || fscanf(lines, "listening on http://127.0.0.1:%u", port) != 1)
        die("the daemon did not start");
    fclose(lines);
    return child;
}

void daemon_stop(pid_t process)
{
    kill(process, SIGTERM);
    waitpid(process, NULL, 0);
}

long daemon_status_kib(pid_t process, const char *name)
{
    char path[64], line[128];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)process);
    FILE *status = fopen(path, "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, name, strlen(name)))
            kib = atol(line + strlen(name));
    if (status)
        fclose(status);
    return kib;
}

double daemon_cpu_us(pid_t process)
{
    char path[320];
    double total = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        unsigned long long ns = 0;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)process, task->d_name);
        FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (file && fscanf(file, "%llu", &ns) == 1)
            total += (double)ns / 1e3;
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return total;
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

int connection_open(unsigned port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1, connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0 || connect(connection, (const struct sockaddr *)&address, sizeof address) != 0)
        die("the server cannot be reached");
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connection;
}

static void send_all(int connection, const char *bytes, size_t count, int flags)
{
    while (count > 0) {
        const ssize_t sent = send(connection, bytes, count, MSG_NOSIGNAL | flags);
        if (sent <= 0)
            die("a request could not be sent");
        bytes += sent;
        count -= (size_t)sent;
    }
}

/* How many bytes the answer has in all, once its headers are here; 0: not known, since it comes in chunks. */
static size_t whole_bytes(const char *head)
{
    const char *end = strstr(head, "\r\n\r\n"), *length = strcasestr(head, "\r\nContent-Length: ");
    if (strncmp(head, "HTTP/1.1 200", 12) != 0 || !end)
        die("an answer was not 200");
    return length && length < end ? (size_t)(end + 4 - head) + strtoul(length + 18, NULL, 10) : 0;
}

static size_t receive_answer(int connection, struct text *answer)
{
    static _Thread_local char *room;
    char last[5] = "";
    size_t count = 0, whole = 0;
    bool headed = false;

    if (!room && !(room = malloc(READ_BYTES + 1)))
        die("no memory");
    while (!headed || (whole ? count < whole : memcmp(last, "0\r\n\r\n", 5) != 0)) {
        const ssize_t got = recv(connection, room, READ_BYTES, 0);
        if (got <= 0)
            die("a connection was closed");
        room[got] = '\0';
        if (!headed)
            whole = whole_bytes(room);
        headed = true;
        const size_t kept = got < 5 ? 5 - (size_t)got : 0;
        memmove(last, last + 5 - kept, kept);
        memcpy(last + kept, room + got - (5 - kept), 5 - kept);
        if (answer) {
            const size_t needed = count + (size_t)got + 1;
            if (malloc_usable_size(answer->bytes) < needed) /* kept from one answer to the next */
                answer->bytes = realloc(answer->bytes, 2 * needed);
            if (!answer->bytes)
                die("no memory");
            memcpy(answer->bytes + count, room, (size_t)got + 1);
        }
        count += (size_t)got;
    }
    if (answer)
        answer->count = count;
    return count;
}

size_t connection_post(int connection, const struct text *body, struct text *answer)
{
    char head[128];
    const int head_bytes = snprintf(
        head, sizeof head, "POST /v1/correlate HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", body->count);
    send_all(connection, head, (size_t)head_bytes, MSG_MORE);
    send_all(connection, body->bytes, body->count, 0);
    return receive_answer(connection, answer);
}

size_t connection_exchange(int connection, const struct text *request, struct text *answer)
{
    send_all(connection, request->bytes, request->count, 0);
    return receive_answer(connection, answer);
}

struct text json_request(int side, int kernel_side, int dtype_last)
{
    struct text body = {malloc(((size_t)side * (size_t)side + (size_t)kernel_side * (size_t)kernel_side) * 12 + 4096),
                        0};
    if (!body.bytes)
        die("no memory");
    char *at = body.bytes +
               sprintf(body.bytes, "{%s\"mode\":\"same\",\"input\":[", dtype_last ? "" : "\"dtype\":\"float32\",");
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++)
            at += sprintf(at, "%s0.%06d", x ? "," : y ? ",[" : "[", rand() % 1000000);
        *at++ = ']';
    }
    at += sprintf(at, "],\"kernel\":[");
    for (int y = 0; y < kernel_side; y++) {
        for (int x = 0; x < kernel_side; x++)
            at += sprintf(at, "%s0.%03d", x ? "," : y ? ",[" : "[", rand() % 1000);
        *at++ = ']';
    }
    at += sprintf(at, "]%s}", dtype_last ? ",\"dtype\":\"float32\"" : "");
    body.count = (size_t)(at - body.bytes);
    return body;
}

struct text npy_request(int side, int kernel_side)
{
    enum { FILE_HEADER_BYTES = 128, HEAD_BYTES = 4096 };
    const size_t values = (size_t)side * (size_t)side, file_bytes = FILE_HEADER_BYTES + values * sizeof(float);
    struct text request = {malloc(HEAD_BYTES + file_bytes), 0};
    if (!request.bytes)
        die("no memory");
    char *at = request.bytes + sprintf(request.bytes, "POST /v1/correlate?dtype=float32&mode=same&kernel=%%5B");
    for (int y = 0; y < kernel_side; y++) {
        for (int x = 0; x < kernel_side; x++)
            at += sprintf(at, "%s0.%03d", x ? "," : y ? ",%5B" : "%5B", rand() % 1000);
        at += sprintf(at, "%%5D");
    }
    at += sprintf(at,
                  "%%5D HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-npy\r\nAccept: application/x-npy\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  file_bytes);
    memset(at, ' ', FILE_HEADER_BYTES);
    memcpy(at, "\x93NUMPY\1\0\x76", 10);
    const int used = sprintf(at + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", side, side);
    at[10 + used] = ' ';
    at += FILE_HEADER_BYTES;
    for (size_t i = 0; i < values; i++, at += sizeof(float)) {
        const float value = (float)(rand() % 1000000) / 1e6f;
        memcpy(at, &value, sizeof value);
    }
    request.count = (size_t)(at - request.bytes);
    return request;
}
