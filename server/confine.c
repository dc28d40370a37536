/* SPDX-License-Identifier: MIT */
/* The only file that includes libseccomp. What is not listed fails with EPERM. It does not kill: a library that tries something
 * unforeseen gets an error, which it handles, where a dead process would lose every request; and nothing refused can be had by
 * trying again. System calls of another architecture, which only an attacker makes, do kill. */
#include "server/confine.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifdef __has_feature
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif

/* Without regard to arguments. Some names are musl's ways of what glibc calls otherwise; what an architecture lacks is passed over. */
static const int allowed[] = {
    /* Bytes in and out. */
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(close),
    SCMP_SYS(lseek),
    SCMP_SYS(fcntl),
    /* Connections: those that come, no others. */
    SCMP_SYS(accept4),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    /* Looking at files; opening them is below. */
    SCMP_SYS(stat),
    SCMP_SYS(fstat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    /* Memory; making it executable is left out below. */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    /* Threads that are there. */
    SCMP_SYS(futex),
    SCMP_SYS(membarrier),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(getpriority),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* Signals: waiting for them, and abort(). */
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    /* Time and chance. */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
};

const char *confine_hindrance(void)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || HAS_FEATURE(address_sanitizer) ||                   \
    HAS_FEATURE(thread_sanitizer) || HAS_FEATURE(memory_sanitizer)
    return "a sanitizer is built in";
#else
    const char *preloaded = getenv("LD_PRELOAD"); /* valgrind puts its own there */
    return preloaded != NULL && strstr(preloaded, "/vgpreload_") != NULL ? "valgrind runs it" : NULL;
#endif
}

/* Adds a rule; `result` keeps the first failure. */
static void allow(scmp_filter_ctx filter, int *result, int call, unsigned count, const struct scmp_arg_cmp *conditions)
{
    if (*result == 0 && call >= 0) /* below 0: a call that this architecture does not have */
        *result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, count, conditions);
}

/* With argument `index`, under a mask, as given. */
static void allow_if(scmp_filter_ctx filter, int *result, int call, unsigned index, uint64_t mask, uint64_t value)
{
    const struct scmp_arg_cmp condition = SCMP_CMP(index, SCMP_CMP_MASKED_EQ, mask, value);
    allow(filter, result, call, 1, &condition);
}

static int add_rules(scmp_filter_ctx filter, bool removes_files)
{
    const uint64_t all = UINT64_MAX, writing = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;
    int result = 0;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        allow(filter, &result, allowed[i], 0, NULL);
    /* The configuration, keys and certificates at a reload. */
    allow_if(filter, &result, SCMP_SYS(openat), 2, writing, O_RDONLY);
    allow_if(filter, &result, SCMP_SYS(open), 1, writing, O_RDONLY);
    allow_if(filter, &result, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
    allow_if(filter, &result, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
    /* What is not yet sent on a Unix socket, and whether a stream is a terminal; not TIOCSTI, which types into one. */
    allow_if(filter, &result, SCMP_SYS(ioctl), 1, all, TIOCOUTQ);
    allow_if(filter, &result, SCMP_SYS(ioctl), 1, all, TCGETS);
    allow_if(filter, &result, SCMP_SYS(prctl), 0, all, PR_SET_NAME);
    allow_if(filter, &result, SCMP_SYS(sched_setattr), 0, all, 0); /* the calling thread's own turns */
    allow_if(filter, &result, SCMP_SYS(tgkill), 0, all, (uint64_t)getpid()); /* abort() */
    allow_if(filter, &result, SCMP_SYS(prlimit64), 2, all, 0); /* reading limits, not setting them */
    if (removes_files) {
        allow(filter, &result, SCMP_SYS(unlink), 0, NULL);
        allow(filter, &result, SCMP_SYS(unlinkat), 0, NULL);
    }
    return result;
}

bool confine(bool removes_files, char *reason, size_t reason_bytes)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int result = filter == NULL ? -ENOMEM : 0;
    if (result == 0) /* all threads; this gives up new privileges too */
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (result == 0)
        result =
            seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: the calls of each request come early */
    if (result == 0)
        result = add_rules(filter, removes_files);
    if (result == 0)
        result = seccomp_load(filter);
    if (filter != NULL)
        seccomp_release(filter);
    if (result != 0)
        snprintf(reason, reason_bytes, "%s", strerror(-result));
    return result == 0;
}
