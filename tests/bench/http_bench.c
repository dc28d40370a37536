/* SPDX-License-Identifier: MIT */
/* The daemon over loopback, beside a bare libmicrohttpd that takes and gives as many bytes at once, in turn, medians of the rounds;
 * beside the floor, the same library as the daemon has to use it (http_bare.c): what lies above that is our own code; and beside
 * Flask with SciPy, and the best parts in one thread (http_peers.c). Tiny requests: how many a second, and what each costs the
 * server, which other programs on the machine disturb less. A large request: what its phases take, and how much memory. wrk makes
 * the load. With the argument "tiny", tiny requests only; with "tiny one-core" server and load share a core, where a request takes as
 * long as what it costs both: where they do not, how often one wakes the other on another core, which a virtual machine makes
 * expensive, changes from second to second. */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/bench_daemon.h"
#include "tests/bench/http_bare.h"
#include "tests/bench/http_peers.h"

enum {
    ROUNDS = 5,
    LARGE_ROUNDS = 7,
    FLASK_ROUNDS = 3,
    SIDE = 1024,
    KERNEL_SIDE = 5,
    MEMORY_SIDE = 2048,
    WRK_ROOM = 256
};

static char tiny_body[] =
    "{\"input\":[[3,0,1,2,7,4],[1,5,8,9,3,1],[2,7,2,5,1,3],[0,1,3,1,7,8],[4,2,1,6,2,8],[2,4,5,2,3,9]],"
    "\"kernel\":[[1,0,-1],[1,0,-1],[1,0,-1]],\"mode\":\"valid\"}";

/* ---- The bare servers: in this process, whose other thread sleeps meanwhile --------------------------------------- */

static struct text fixed; /* the body of their answers */

static double bare_cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* The body of an answer that came whole. */
static struct text body_of(const struct text *answer)
{
    const char *end = strstr(answer->bytes, "\r\n\r\n");
    return (struct text){(char *)(size_t)(end + 4), answer->count - (size_t)(end + 4 - answer->bytes)};
}

/* All threads that a process has, and those that they will start. */
static void bind_to_core(pid_t process, int core)
{
    char path[64];
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && (task = readdir(tasks));)
        if (task->d_name[0] != '.' && sched_setaffinity(atoi(task->d_name), sizeof set, &set) != 0)
            die("a thread cannot be bound to a core");
    if (tasks)
        closedir(tasks);
}

static int last_core(void)
{
    cpu_set_t set;
    int last = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        for (int core = 0; core < CPU_SETSIZE; core++)
            if (CPU_ISSET(core, &set))
                last = core;
    return last;
}

/* ---- Tiny requests ----------------------------------------------------------------------------------------------- */

struct rate {
    double a_second, cpu_us;
};

static struct rate run_wrk(unsigned port, unsigned connections, const char *script, pid_t process)
{
    char command[WRK_ROOM], line[WRK_ROOM];
    struct rate rate = {0};
    double requests = 0;
    const double before = process ? daemon_cpu_us(process) : bare_cpu_us();

    snprintf(command, sizeof command, "wrk -t1 -c%u -d1s -s %s http://127.0.0.1:%u/v1/correlate", connections, script,
             port);
    FILE *output = popen(command, "r");
    if (!output)
        die("wrk cannot be started");
    while (fgets(line, sizeof line, output)) {
        sscanf(line, "Requests/sec: %lf", &rate.a_second);
        sscanf(line, " %lf requests in", &requests);
        if (strstr(line, "Non-2xx"))
            die("an answer under load was not 200");
    }
    pclose(output);
    if (requests < 1)
        die("wrk got no answer");
    rate.cpu_us = ((process ? daemon_cpu_us(process) : bare_cpu_us()) - before) / requests;
    return rate;
}

enum server { OURS, BARE, FLOOR, SERVERS };

/* The port of `flask` is 0 where there is none. */
static void bench_tiny(pid_t process, const unsigned ports[SERVERS], unsigned flask, const char *script)
{
    static const unsigned connections[] = {1, 8, 64};

    printf("6 x 6 * 3 x 3, requests a second, and microseconds of CPU that the server takes for one (medians of %d);\n"
           "floor: libmicrohttpd with our options and headers\n",
           ROUNDS);
    printf("%12s %10s %10s %10s %12s %12s %13s %9s %9s %16s\n", "connections", "convolved", "floor", "bare",
           "ratio (0.8)", "floor's", "convolved us", "floor us", "bare us", "Flask (20 times)");
    for (size_t i = 0; i < sizeof connections / sizeof *connections; i++) {
        double a_second[SERVERS][ROUNDS], cpu_us[SERVERS][ROUNDS], ratios[SERVERS][ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            for (int server = 0; server < SERVERS; server++) {
                const struct rate rate = run_wrk(ports[server], connections[i], script, server == OURS ? process : 0);
                a_second[server][round] = rate.a_second;
                cpu_us[server][round] = rate.cpu_us;
            }
            for (int server = 0; server < SERVERS; server++)
                ratios[server][round] = a_second[server][round] / a_second[BARE][round];
        }
        printf("%12u %10.0f %10.0f %10.0f %12.2f %12.2f %13.1f %9.1f %9.1f", connections[i],
               median(a_second[OURS], ROUNDS), median(a_second[FLOOR], ROUNDS), median(a_second[BARE], ROUNDS),
               median(ratios[OURS], ROUNDS), median(ratios[FLOOR], ROUNDS), median(cpu_us[OURS], ROUNDS),
               median(cpu_us[FLOOR], ROUNDS), median(cpu_us[BARE], ROUNDS));
        if (flask)
            printf(" %16.1f",
                   median(a_second[OURS], ROUNDS) / run_wrk(flask, connections[i], script, process).a_second);
        printf("\n");
    }
}

/* ---- A large request --------------------------------------------------------------------------------------------- */

static double phase_ms(const struct text *answer, const char *name)
{
    char pattern[32];
    snprintf(pattern, sizeof pattern, "%s;dur=", name);
    const char *at = strstr(answer->bytes, pattern);
    return at ? atof(at + strlen(pattern)) : 0;
}

typedef size_t exchange(int connection, const struct text *request, struct text *answer);

static double exchange_ms(exchange *make, unsigned port, const struct text *request, struct text *answer)
{
    const int connection = connection_open(port);
    const double began = now_ms();
    make(connection, request, answer);
    const double took = now_ms() - began;
    close(connection);
    return took;
}

static double post_ms(unsigned port, const struct text *body, struct text *answer)
{
    return exchange_ms(connection_post, port, body, answer);
}

static void print_peers(const struct text *body, double ours_ms, unsigned flask)
{
    const struct parts parts = measure_parts(body, (size_t)SIDE * SIDE + (size_t)KERNEL_SIDE * KERNEL_SIDE);
    const double sum = parts.parse_ms + parts.filter_ms + parts.print_ms;
    double whole[FLASK_ROUNDS];
    if (parts.parse_ms < 0 || parts.filter_ms < 0 || parts.print_ms < 0)
        printf("%36s\n", "simdjson or OpenCV is not here");
    else
        printf("%36s %8.2f ms (%.2f + %.2f + %.2f): ours is %.2f of it (goal: 0.5)\n",
               "simdjson, filter2D, std::to_chars", sum, parts.parse_ms, parts.filter_ms, parts.print_ms,
               ours_ms / sum);
    for (int round = 0; round < FLASK_ROUNDS && flask; round++)
        whole[round] = post_ms(flask, body, NULL);
    if (flask)
        printf("%36s %8.0f ms: %.1f times (goal: 25)\n", "Flask and SciPy", median(whole, FLASK_ROUNDS),
               median(whole, FLASK_ROUNDS) / ours_ms);
}

/* Returns what one takes, in milliseconds. */
static double bench_large(pid_t process, unsigned ours, unsigned bare, const char *what, exchange *make,
                          struct text request)
{
    static const char *const names[] = {"decode", "queue", "compute"};
    double whole[LARGE_ROUNDS], transfer[LARGE_ROUNDS], cpu_ms[LARGE_ROUNDS], phases[3][LARGE_ROUNDS];
    struct text answer = {0};

    exchange_ms(make, ours, &request, &answer);
    fixed.count = answer.count;
    fixed.bytes = answer.bytes; /* the bytes of the answer, whatever they are now */
    answer = (struct text){0};
    for (int round = 0; round < LARGE_ROUNDS; round++) {
        const double cpu_us = daemon_cpu_us(process);
        whole[round] = exchange_ms(make, ours, &request, &answer);
        cpu_ms[round] = (daemon_cpu_us(process) - cpu_us) / 1e3;
        for (size_t i = 0; i < 3; i++)
            phases[i][round] = phase_ms(&answer, names[i]);
        transfer[round] = exchange_ms(make, bare, &request, NULL);
    }
    printf("\n%d x %d * %d x %d, float32, %s both ways: %.1f MB there, %.1f MB back (medians of %d)\n", SIDE, SIDE,
           KERNEL_SIDE, KERNEL_SIDE, what, (double)request.count / 1e6, (double)answer.count / 1e6, LARGE_ROUNDS);
    const double total = median(whole, LARGE_ROUNDS), floor_ms = median(transfer, LARGE_ROUNDS);
    double known = 0;
    for (size_t i = 0; i < 3; i++) {
        const double ms = median(phases[i], LARGE_ROUNDS);
        known += ms;
        printf("%36s %8.2f ms\n", names[i], ms);
    }
    printf("%36s %8.2f ms\n%36s %8.2f ms\n", "rest of transfer and encode", total - known, "whole", total);
    printf("%36s %8.2f ms\n", "of the server's CPU", median(cpu_ms, LARGE_ROUNDS));
    printf("%36s %8.2f ms: %.2f times\n", "bare transfer of the same bytes", floor_ms, total / floor_ms);
    free(answer.bytes);
    free(fixed.bytes);
    fixed = (struct text){0};
    return total;
}

/* What one request adds to the resident size of a fresh daemon, at its peak. */
static void bench_memory(int dtype_last)
{
    const struct text body = json_request(MEMORY_SIDE, KERNEL_SIDE, dtype_last);
    unsigned port;
    const pid_t process = daemon_start(&port);
    const struct text tiny = {tiny_body, sizeof tiny_body - 1};
    post_ms(port, &tiny, NULL);
    const long idle_kib = daemon_status_kib(process, "VmRSS:");
    post_ms(port, &body, NULL);
    const double tensors = 4.0 * (2.0 * MEMORY_SIDE * MEMORY_SIDE + KERNEL_SIDE * KERNEL_SIDE);
    printf("%36s %8.2f times\n", dtype_last ? "with dtype after them" : "with dtype before the tensors",
           (double)(daemon_status_kib(process, "VmHWM:") - idle_kib) * 1024 / tensors);
    daemon_stop(process);
    free(body.bytes);
}

int main(int argument_count, char **arguments)
{
    const bool only_tiny = argument_count > 1 && !strcmp(arguments[1], "tiny");
    const bool one_core = only_tiny && argument_count > 2 && !strcmp(arguments[2], "one-core");
    const struct text tiny = {tiny_body, sizeof tiny_body - 1};
    char script[] = "/tmp/convolved-bench-XXXXXX";
    struct text answer = {0};
    unsigned ours, bare_port, floor_port, flask_port = 0;

    if (system("command -v wrk >/dev/null") != 0)
        die("wrk is not installed");
    signal(SIGPIPE, SIG_IGN);
    const pid_t process = daemon_start(&ours);
    post_ms(ours, &tiny, &answer);
    fixed = body_of(&answer);
    struct bare *bare = bare_start(&bare_port, &fixed);
    struct bare *floor = bare_start_as_ours(&floor_port, &fixed, &answer);
    const pid_t flask = one_core ? 0 : flask_start(&flask_port);
    if (one_core) {
        const int core = last_core();
        bind_to_core(process, core);
        bind_to_core(getpid(), core); /* and wrk with it */
    }
    if (flask)
        post_ms(flask_port, &tiny, NULL); /* its workers are up */

    FILE *lua = fdopen(mkstemp(script), "w");
    if (!lua)
        die("no temporary file");
    fprintf(lua, "wrk.method = \"POST\"\nwrk.body = [==[%s]==]\n", tiny_body);
    fclose(lua);
    bench_tiny(process, (const unsigned[SERVERS]){ours, bare_port, floor_port}, flask_port, script);
    unlink(script);
    if (!only_tiny) {
        const struct text json = json_request(SIDE, KERNEL_SIDE, 0), npy = npy_request(SIDE, KERNEL_SIDE);
        print_peers(&json, bench_large(process, ours, bare_port, "JSON", connection_post, json), flask_port);
        bench_large(process, ours, bare_port, ".npy (goal: 2.5 times)", connection_exchange, npy);
        free(json.bytes);
        free(npy.bytes);
    }
    bare_stop(bare);
    bare_stop(floor);
    if (flask)
        flask_stop(flask);
    daemon_stop(process);
    free(answer.bytes);
    if (only_tiny)
        return 0;

    printf("\n%d x %d, float32, JSON: resident at most beyond idle, in sizes of input, kernel and output (goal: 2.5)\n",
           MEMORY_SIDE, MEMORY_SIDE);
    bench_memory(0);
    bench_memory(1);
    return 0;
}
