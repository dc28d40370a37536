/* SPDX-License-Identifier: MIT */
/* Whether tiny requests feel large ones: their latency on an idle daemon, and while LARGE requests of 2048 x 2048 * 31 x 31 are kept
 * in flight. The goals: p50 at most 2 times, p99 at most 5 times and at most 3 ms. The callers share the cores with the daemon, which
 * they would not in earnest; so who measures asks for short turns. A large one's share is what all of them together take, divided
 * among them: none should wait more than twice as long. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/turns.h"
#include "tests/bench/bench_daemon.h"

enum { LARGE = 8, SIDE = 2048, KERNEL_SIDE = 31, SAMPLES_MAX = 1 << 20, PHASE_MS = 4000, PAUSE_US = 500 };

static char tiny_body[] =
    "{\"input\":[[3,0,1,2,7,4],[1,5,8,9,3,1],[2,7,2,5,1,3],[0,1,3,1,7,8],[4,2,1,6,2,8],[2,4,5,2,3,9]],"
    "\"kernel\":[[1,0,-1],[1,0,-1],[1,0,-1]],\"mode\":\"valid\"}";

static unsigned port;
static struct text large_body;
static _Atomic bool stop;
static _Atomic unsigned large_done, large_begun;

struct loader {
    pthread_t thread;
    double longest_ms;
};

static void *load(void *context)
{
    struct loader *loader = context;
    const int connection = connection_open(port);
    while (!stop) {
        const double began = now_ms();
        large_begun++;
        connection_post(connection, &large_body, NULL);
        loader->longest_ms = fmax(loader->longest_ms, now_ms() - began);
        large_done++;
    }
    close(connection);
    return NULL;
}

/* One caller that pauses between its requests, so that it loads nothing itself. */
static size_t measure(double *samples)
{
    const struct text body = {tiny_body, sizeof tiny_body - 1};
    const int connection = connection_open(port);
    const double until = now_ms() + PHASE_MS;
    size_t count = 0;
    turns_be_short(0);
    while (count < SAMPLES_MAX && now_ms() < until) {
        const double began = now_ms();
        connection_post(connection, &body, NULL);
        samples[count++] = now_ms() - began;
        usleep(PAUSE_US);
    }
    close(connection);
    return count;
}

int main(void)
{
    static double idle[SAMPLES_MAX], loaded[SAMPLES_MAX];
    struct loader loaders[LARGE] = {0};
    double longest_ms = 0;
    const pid_t process = daemon_start(&port);

    large_body = json_request(SIDE, KERNEL_SIDE, 0);
    measure(idle); /* warms up */
    const size_t idle_count = measure(idle);
    for (size_t i = 0; i < LARGE; i++)
        if (pthread_create(&loaders[i].thread, NULL, load, &loaders[i]) != 0)
            die("no thread");
    const double began = now_ms();
    while (large_begun < LARGE)
        usleep(1000);
    const size_t loaded_count = measure(loaded);
    stop = true;
    for (size_t i = 0; i < LARGE; i++) {
        pthread_join(loaders[i].thread, NULL);
        longest_ms = fmax(longest_ms, loaders[i].longest_ms);
    }
    const double share_ms = (now_ms() - began) * LARGE / large_done;
    const double p50 = percentile(idle, idle_count, 50), p99 = percentile(idle, idle_count, 99);
    const double loaded_p50 = percentile(loaded, loaded_count, 50), loaded_p99 = percentile(loaded, loaded_count, 99);
    printf("6 x 6 * 3 x 3 while %d requests of %d x %d * %d x %d are in flight\n", LARGE, SIDE, SIDE, KERNEL_SIDE,
           KERNEL_SIDE);
    printf("%12s %12s %12s %8s %14s\n", "", "idle ms", "loaded ms", "times", "goal");
    printf("%12s %12.3f %12.3f %8.2f %14s\n", "p50", p50, loaded_p50, loaded_p50 / p50, "2");
    printf("%12s %12.3f %12.3f %8.2f %14s\n", "p99", p99, loaded_p99, loaded_p99 / p99, "5, below 3 ms");
    printf("%u large ones answered, the longest in %.0f ms: %.2f times its share (goal: at most 2)\n", large_done,
           longest_ms, longest_ms / share_ms);
    daemon_stop(process);
    free(large_body.bytes);
    return 0;
}
