/* SPDX-License-Identifier: MIT */
/* Threads that speak HTTP have little to do at a time and somebody who waits for it; workers always have more to do. The scheduler
 * is told, or it would now and then let a worker end a turn of milliseconds first. A thread with short turns that has slept is
 * put before others in the middle of longer ones, and a nicer one is in nobody's way for long. */
#include "server/turns.h"

#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TURN_NS = 100 * 1000, NICE_MAX = 19 };

void turns_be_short(int nicer)
{
    /* struct sched_attr of linux/sched/types.h, which the C library of 2022 does not have. */
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } wish = {.size = sizeof wish, .policy = SCHED_OTHER, .runtime = TURN_NS};
    if (sched_getscheduler(0) != SCHED_OTHER)
        return; /* whoever started the daemon has chosen */
    wish.nice = getpriority(PRIO_PROCESS, 0) + nicer;
    if (wish.nice > NICE_MAX)
        wish.nice = NICE_MAX;
    (void)syscall(SYS_sched_setattr, 0, &wish, 0);
}

void turns_give_way(void)
{
    static _Thread_local uint64_t since_ns;
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    const uint64_t used_ns = (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
    if (used_ns - since_ns < TURN_NS)
        return;
    since_ns = used_ns;
    sched_yield();
}
