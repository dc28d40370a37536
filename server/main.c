/* SPDX-License-Identifier: MIT */
/* Starts the daemon, waits for signals, stops it. The main thread does nothing else: requests live in the listener's and the pool's
 * threads. Exit status: 0; 1 what could not be done; 2 wrong configuration or command line. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/convolve.h"
#include "server/config.h"
#include "server/confine.h"
#include "server/daemon.h"
#include "server/healthcheck.h"
#include "server/listener.h"
#include "server/log.h"
#include "server/pool.h"
#include "server/request.h"
#include "server/systemd.h"

enum { EXIT_FAILED = 1, EXIT_CONFIG = 2 };

/* A configuration stays until the end, because threads that read it hold no lock. One that a reload did not change is not kept
 * twice: who reloads every minute to renew a certificate does not make the daemon grow. */
struct generation {
    struct config config;
    struct generation *older;
};

struct process {
    struct daemon daemon;
    struct listener *listener;
    struct generation *newest;
    int argc;
    char **argv;
    sigset_t signals;
};

/* A socket that became descriptor 1 would be written to by everything that prints. */
static void open_standard_descriptors(void)
{
    for (int descriptor = 0; descriptor <= 2; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", descriptor == 0 ? O_RDONLY : O_WRONLY);
}

static int fail(int status, const char *reason)
{
    fprintf(stderr, "convolved: %s\n", reason);
    return status;
}

/* ---- Cores ---------------------------------------------------------------------------------------------------- */

/* What a container may use of them: "max" or "QUOTA PERIOD" of the process's control group; 0: no limit known. */
static unsigned quota_cores(void)
{
    char path[600] = "/sys/fs/cgroup/cpu.max", line[512], group[512] = "";
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        sscanf(line, "0::%511s", group);
    if (file != NULL)
        fclose(file);
    if (group[0] != '\0')
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", strcmp(group, "/") == 0 ? "" : group);
    unsigned long quota = 0, period = 0;
    file = fopen(path, "re");
    if (file != NULL && fscanf(file, "%lu %lu", &quota, &period) != 2)
        quota = 0;
    if (file != NULL)
        fclose(file);
    return quota == 0 || period == 0 ? 0 : (unsigned)((quota + period - 1) / period);
}

static unsigned count_cores(void)
{
    cpu_set_t set;
    unsigned cores = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cores = (unsigned)CPU_COUNT(&set);
    else if (sysconf(_SC_NPROCESSORS_ONLN) > 0)
        cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    const unsigned quota = quota_cores();
    return quota != 0 && quota < cores ? quota : cores;
}

/* ---- Start ---------------------------------------------------------------------------------------------------- */

/* Signals are taken by sigtimedwait in this thread alone; every other inherits them blocked. */
static void take_signals(sigset_t *signals)
{
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

/* Whatever can be wrong with a configuration beyond its members' values, but for the address. */
static bool check_start(const struct config *config, struct config_error *error)
{
    if (!config_check_files(config, true, error))
        return false;
    if (convolve_simd_select(config->simd))
        return true;
    config_blame(config, CONFIG_INDEX_simd, error,
                 "found \"%s\", which this CPU does not have; \"auto\" takes the best", config->simd);
    return false;
}

static void print_address(void *context, const char *address)
{
    (void)context;
    printf("listening on %s\n", address);
}

/* After all threads, sockets and files are there. Without it everything works as well, so a system that cannot is told of. */
static void give_up_what_is_not_needed(const struct listener *listener)
{
    char reason[200];
    const char *hindrance = confine_hindrance();
    if (hindrance != NULL)
        log_event(LOG_INFO, "system calls are not confined: %s", hindrance);
    else if (!confine(listener_owns_files(listener), reason, sizeof reason))
        log_event(LOG_WARNING, "system calls are not confined: seccomp: %s", reason);
}

static int start(struct process *process)
{
    struct daemon *daemon = &process->daemon;
    const struct config *config = &process->newest->config;
    const unsigned cores = count_cores();
    char reason[512];
    daemon->started_ns = clock_now_ns();
    daemon->threads = config->threads == 0 ? cores : (unsigned)config->threads;
    daemon->io_threads = config->io_threads == 0 ? cores : (unsigned)config->io_threads;
    atomic_store(&daemon->config, config);
    atomic_store(&daemon->budget.limit, config->max_memory_bytes);
    log_configure(config);
    daemon->pool = pool_create(daemon->threads, &daemon->budget);
    if (daemon->pool == NULL)
        return fail(EXIT_FAILED, "the worker threads cannot be started");
    pool_set_queue_depth(daemon->pool, config->queue_depth);
    systemd_start();
    if (!listener_start(&process->listener, daemon, reason, sizeof reason))
        return fail(EXIT_FAILED, reason);
    listener_warn(process->listener);
    give_up_what_is_not_needed(process->listener);
    listener_addresses(process->listener, print_address, NULL);
    fflush(stdout);
    systemd_notify("READY=1");
    return 0;
}

/* ---- Life ----------------------------------------------------------------------------------------------------- */

static void put_in_force(struct process *process, const struct config *config)
{
    atomic_store(&process->daemon.config, config);
    atomic_store(&process->daemon.budget.limit, config->max_memory_bytes);
    pool_set_queue_depth(process->daemon.pool, config->queue_depth);
    log_configure(config);
}

static void reload(struct process *process)
{
    struct command_line command;
    struct config_error error = {"out of memory"};
    char waiting[512];
    const struct config *current = &process->newest->config;
    struct generation *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL || !config_load(&fresh->config, &command, process->argc, process->argv, environ, &error)) {
        log_event(LOG_ERROR, "reload: nothing was changed: %s", error.text);
        free(fresh);
        return;
    }
    if (!config_keep_restart_members(&fresh->config, current, waiting, sizeof waiting) ||
        !config_check_files(&fresh->config, false, &error)) {
        log_event(LOG_ERROR, "reload: nothing was changed: %s", error.text);
        config_release(&fresh->config);
        free(fresh);
        return;
    }
    if (config_equal(&fresh->config, current)) {
        config_release(&fresh->config);
        free(fresh);
    } else {
        fresh->older = process->newest;
        process->newest = fresh;
        put_in_force(process, &fresh->config);
    }
    listener_reload(process->listener);
    log_event(LOG_INFO, "reload: the configuration was read again");
    if (waiting[0] != '\0')
        log_event(LOG_WARNING, "reload: these wait for a restart: %s", waiting);
}

static void reload_and_tell(struct process *process)
{
    char state[80];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_now_ns() / 1000));
    systemd_notify(state);
    reload(process);
    systemd_notify("READY=1");
}

/* Returns when the daemon is to stop. */
static void wait_for_signals(struct process *process)
{
    const uint64_t watchdog_ns = systemd_watchdog_ns() / 2;
    const uint64_t pause_ns = watchdog_ns > 0 ? watchdog_ns : 3600ull * 1000 * 1000 * 1000;
    const struct timespec pause = {.tv_sec = (time_t)(pause_ns / 1000000000), .tv_nsec = (long)(pause_ns % 1000000000)};
    for (;;) {
        const int number = sigtimedwait(&process->signals, NULL, &pause);
        if (number == SIGTERM || number == SIGINT)
            return;
        if (number == SIGHUP)
            reload_and_tell(process);
        if (watchdog_ns > 0 && listener_is_alive(process->listener))
            systemd_notify("WATCHDOG=1");
    }
}

static void stop(struct process *process)
{
    atomic_store(&process->daemon.draining, true);
    systemd_notify("STOPPING=1");
    log_event(LOG_INFO, "draining: what was accepted is finished, what is new refused");
    listener_drain(process->listener);
}

static void release(struct process *process)
{
    if (process->listener != NULL)
        listener_stop(process->listener);
    if (process->daemon.pool != NULL)
        pool_destroy(process->daemon.pool);
    while (process->newest != NULL) {
        struct generation *older = process->newest->older;
        config_release(&process->newest->config);
        free(process->newest);
        process->newest = older;
    }
}

/* What the command line asks for instead of a start: its exit status, or -1 where the daemon is to be started. */
static int run_command(const struct command_line *command, const struct config *config)
{
    struct config_error error;
    if (command->help)
        config_print_help(stdout);
    else if (command->version)
        printf("convolved %s\n", CONVOLVED_VERSION);
    else if (command->healthcheck)
        return healthcheck_run(config);
    else if (!check_start(config, &error))
        return fail(EXIT_CONFIG, error.text);
    else if (command->print_config)
        config_print(config, stdout);
    else if (!command->check_config)
        return -1;
    return fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct process process = {.argc = argc, .argv = argv};
    struct command_line command;
    struct config_error error;
    open_standard_descriptors();
    take_signals(&process.signals);

    process.newest = calloc(1, sizeof *process.newest);
    if (process.newest == NULL)
        return fail(EXIT_FAILED, "out of memory");
    int status = EXIT_CONFIG;
    if (!config_load(&process.newest->config, &command, argc, argv, environ, &error))
        fail(status, error.text);
    else
        status = run_command(&command, &process.newest->config);
    if (status < 0) {
        status = start(&process);
        if (status == 0) {
            wait_for_signals(&process);
            stop(&process);
        }
    }
    release(&process);
    return status;
}
