/* SPDX-License-Identifier: MIT */
/* What is refused after confine(), and what is not: each try in a process of its own that links the daemon's own file. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/confine.h"

static char file[] = "/tmp/convolved-confine-XXXXXX";
static int spare = -1, listening = -1;

/* Each returns 0 or more, or -1 with errno. */
static long try_execve(void)
{
    char *const arguments[] = {(char[]){"true"}, NULL};
    return execve("/bin/true", arguments, arguments + 1);
}

static long try_execveat(void)
{
    char *const arguments[] = {(char[]){"true"}, NULL};
    return syscall(SYS_execveat, AT_FDCWD, "/bin/true", arguments, arguments + 1, 0);
}

static long try_fork(void)
{
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child;
}

static void *nothing(void *context)
{
    return context;
}

static long try_thread(void)
{
    pthread_t thread;
    errno = pthread_create(&thread, NULL, nothing, NULL);
    return errno == 0 ? pthread_join(thread, NULL) : -1;
}

static long try_ptrace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long try_read_process(void)
{
    char byte;
    return syscall(SYS_process_vm_readv, getppid(), &(struct {
                       void *base;
                       size_t bytes;
                   }){&byte, 1},
                   1, &(struct {
                       void *base;
                       size_t bytes;
                   }){&byte, 1},
                   1, 0);
}

static long try_kill(void)
{
    return kill(getppid(), 0);
}

static long try_tgkill_other(void)
{
    return syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static long try_open_write(void)
{
    return open(file, O_WRONLY);
}

static long try_open_both(void)
{
    return open(file, O_RDWR | O_CLOEXEC);
}

static long try_create(void)
{
    return open(file, O_RDONLY | O_CREAT, 0600);
}

static long try_truncate(void)
{
    return open(file, O_RDONLY | O_TRUNC);
}

static long try_temporary(void)
{
    return open("/tmp", O_TMPFILE | O_RDWR, 0600);
}

static long try_open_old_call(void)
{
#ifdef SYS_open
    return syscall(SYS_open, file, O_WRONLY);
#else
    errno = EPERM;
    return -1;
#endif
}

static long try_openat2(void)
{
    const uint64_t how[3] = {O_WRONLY};
    return syscall(SYS_openat2, AT_FDCWD, file, how, sizeof how);
}

static long try_ftruncate(void)
{
    return ftruncate(spare, 0);
}

static long try_unlink(void)
{
    return unlink(file);
}

static long try_rename(void)
{
    return rename(file, file);
}

static long try_mkdir(void)
{
    return mkdir("/tmp/convolved-confine-folder", 0700);
}

static long try_chmod(void)
{
    return chmod(file, 0777);
}

static long try_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static long try_connect(void)
{
    struct sockaddr_in address;
    socklen_t bytes = sizeof address;
    getsockname(listening, (struct sockaddr *)&address, &bytes);
    return connect(spare, (struct sockaddr *)&address, bytes);
}

static long try_bind(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET};
    return bind(spare, (const struct sockaddr *)&address, sizeof address);
}

static long try_map_executable(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static long try_make_executable(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? 0 : mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long try_type_into_terminal(void)
{
    return ioctl(0, TIOCSTI, "x");
}

static long try_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1);
}

static long try_setuid(void)
{
    return setuid(getuid());
}

static long try_raise_limit(void)
{
    const struct rlimit limit = {64, 64};
    return setrlimit(RLIMIT_NOFILE, &limit);
}

static long try_io_uring(void)
{
    char parameters[120] = {0};
    return syscall(SYS_io_uring_setup, 1, parameters);
}

static long try_bpf(void)
{
    return syscall(SYS_bpf, 0, NULL, 0);
}

static long try_mount(void)
{
    return syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL);
}

static long try_unshare(void)
{
    return syscall(SYS_unshare, 0);
}

static long try_memfd(void)
{
    return syscall(SYS_memfd_create, "x", 0);
}

static long try_read(void)
{
    char byte;
    const int descriptor = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    return descriptor < 0 ? -1 : read(descriptor, &byte, 1) == 1 ? 0 : -1;
}

static long try_map(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? -1 : mprotect(page, 4096, PROT_READ) | munmap(page, 4096);
}

static long try_allocate(void)
{
    void *block = malloc(64 << 20);
    if (block == NULL)
        return -1;
    memset(block, 1, 64 << 20);
    void *larger = realloc(block, 128 << 20);
    free(larger != NULL ? larger : block);
    return larger != NULL ? 0 : -1;
}

static long try_name(void)
{
    return prctl(PR_SET_NAME, "name");
}

static long try_limit(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit);
}

static const struct {
    const char *name;
    long (*call)(void);
    bool refused;
} cases[] = {
    {"a program", try_execve, true},
    {"a program by descriptor", try_execveat, true},
    {"a process", try_fork, true},
    {"a thread", try_thread, true},
    {"tracing", try_ptrace, true},
    {"another's memory", try_read_process, true},
    {"a signal to another", try_kill, true},
    {"a signal to another's thread", try_tgkill_other, true},
    {"a file to write", try_open_write, true},
    {"a file to read and write", try_open_both, true},
    {"a file made by opening", try_create, true},
    {"a file emptied by opening", try_truncate, true},
    {"a file without a name", try_temporary, true},
    {"open", try_open_old_call, true},
    {"openat2", try_openat2, true},
    {"a file emptied", try_ftruncate, true},
    {"a file removed", try_unlink, true},
    {"a file renamed", try_rename, true},
    {"a folder", try_mkdir, true},
    {"permissions", try_chmod, true},
    {"a socket", try_socket, true},
    {"a connection", try_connect, true},
    {"an address", try_bind, true},
    {"executable memory", try_map_executable, true},
    {"memory made executable", try_make_executable, true},
    {"typing into a terminal", try_type_into_terminal, true},
    {"prctl", try_dumpable, true},
    {"another user", try_setuid, true},
    {"limits", try_raise_limit, true},
    {"io_uring", try_io_uring, true},
    {"bpf", try_bpf, true},
    {"mount", try_mount, true},
    {"unshare", try_unshare, true},
    {"memfd_create", try_memfd, true},
    {"reading a file", try_read, false},
    {"mapping memory", try_map, false},
    {"allocating", try_allocate, false},
    {"a thread's name", try_name, false},
    {"reading limits", try_limit, false},
};

enum { WENT = 0, REFUSED = 1, OTHERWISE = 2, NOT_CONFINED = 3 };

static int outcome(long (*call)(void))
{
    errno = 0;
    return call() >= 0 ? WENT : errno == EPERM ? REFUSED : OTHERWISE;
}

static int confined_outcome(long (*call)(void))
{
    char reason[200];
    if (!confine(false, reason, sizeof reason)) {
        fprintf(stderr, "not confined: %s\n", reason);
        return NOT_CONFINED;
    }
    return outcome(call);
}

/* The way it went in a process of its own. */
static int in_child(int (*way)(long (*call)(void)), long (*call)(void))
{
    int status = 0;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(way(call));
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void what_is_not_listed_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int found = in_child(confined_outcome, cases[i].call), expected = cases[i].refused ? REFUSED : WENT;
        if (found != expected)
            fail_msg("%s: found %d, expected %d", cases[i].name, found, expected);
    }
}

/* A test of refusals is worth nothing where the calls would fail anyway. */
static void the_calls_go_without_it(void **state)
{
    static long (*const calls[])(void) = {try_thread,  try_open_write, try_open_both,      try_create,
                                          try_socket,  try_connect,    try_map_executable, try_make_executable,
                                          try_chmod,   try_rename,     try_raise_limit,    try_memfd,
                                          try_ptrace,  try_kill,       try_fork,           try_dumpable,
                                          try_unshare, try_setuid};
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (in_child(outcome, calls[i]) != WENT)
            fail_msg("call %zu does not go even without a filter", i);
}

static pthread_barrier_t confined;

static void *try_in_thread(void *result)
{
    pthread_barrier_wait(&confined);
    *(int *)result = outcome(try_socket);
    return NULL;
}

static int thread_outcome(long (*call)(void))
{
    char reason[200];
    pthread_t thread;
    int result = OTHERWISE;
    (void)call;
    pthread_barrier_init(&confined, NULL, 2);
    if (pthread_create(&thread, NULL, try_in_thread, &result) != 0 || !confine(false, reason, sizeof reason))
        return NOT_CONFINED;
    pthread_barrier_wait(&confined);
    pthread_join(thread, NULL);
    return result;
}

static void threads_that_run_are_confined_too(void **state)
{
    (void)state;
    assert_int_equal(in_child(thread_outcome, NULL), REFUSED);
}

static int removal_outcome(long (*call)(void))
{
    char reason[200];
    return confine(true, reason, sizeof reason) ? outcome(call) : NOT_CONFINED;
}

static void a_file_goes_where_that_was_asked(void **state)
{
    (void)state;
    assert_int_equal(in_child(removal_outcome, try_unlink), WENT);
    assert_int_equal(access(file, F_OK), -1);
    assert_int_equal(in_child(removal_outcome, try_create), REFUSED);
}

static int aborting(long (*call)(void))
{
    char reason[200];
    (void)call;
    signal(SIGABRT, SIG_DFL);
    if (confine(false, reason, sizeof reason))
        abort();
    return NOT_CONFINED;
}

/* An assertion that fails has to end the process, not go round in circles. */
static void abort_aborts(void **state)
{
    const struct rlimit none = {0, 0};
    (void)state;
    setrlimit(RLIMIT_CORE, &none);
    assert_int_equal(in_child(aborting, NULL), -SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_calls_go_without_it),           cmocka_unit_test(what_is_not_listed_is_refused),
        cmocka_unit_test(threads_that_run_are_confined_too), cmocka_unit_test(abort_aborts),
        cmocka_unit_test(a_file_goes_where_that_was_asked),
    };
    const struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (confine_hindrance() != NULL) {
        printf("not run: %s\n", confine_hindrance());
        return 0;
    }
    const int made = mkstemp(file);
    spare = socket(AF_INET, SOCK_STREAM, 0);
    listening = socket(AF_INET, SOCK_STREAM, 0);
    if (made < 0 || spare < 0 || listening < 0 ||
        bind(listening, (const struct sockaddr *)&loopback, sizeof loopback) != 0 || listen(listening, 1) != 0) {
        perror("preparing");
        return 1;
    }
    const int status = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file);
    return status;
}
