/* SPDX-License-Identifier: MIT */
/* What systemd agrees on with the daemon, and what the process has given up while it serves: this test hands sockets over, hears
 * what is notified, and looks at every thread's status. */
#include "tests/http/harness.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/confine.h"

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- A small systemd ---- */

struct unit {
    int socket, notify; /* what it hands over; where it listens */
    unsigned port;
    char notify_path[64];
    pid_t pid;
};

static void unit_open(struct unit *unit)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un heard = {.sun_family = AF_UNIX};
    socklen_t bytes = sizeof address;
    unit->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(unit->socket, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(unit->socket, 64), 0);
    getsockname(unit->socket, (struct sockaddr *)&address, &bytes);
    unit->port = ntohs(address.sin_port);
    snprintf(unit->notify_path, sizeof unit->notify_path, "/tmp/convolved-notify-%d", (int)getpid());
    unlink(unit->notify_path);
    strcpy(heard.sun_path, unit->notify_path);
    unit->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(unit->notify, (struct sockaddr *)&heard, sizeof heard), 0);
}

static void unit_close(struct unit *unit)
{
    close(unit->socket);
    close(unit->notify);
    unlink(unit->notify_path);
}

/* Starts the daemon as systemd does: the socket as descriptor 3, LISTEN_PID by its own number. */
static void unit_start(struct unit *unit, const char *const *flags)
{
    const char *program = getenv("CONVOLVED");
    char *arguments[16] = {(char *)(program != NULL ? program : "build/convolved")};
    for (size_t i = 0; i < 14 && flags != NULL && flags[i] != NULL; i++)
        arguments[i + 1] = (char *)flags[i];
    unit->pid = fork();
    assert_true(unit->pid >= 0);
    if (unit->pid > 0)
        return;
    char text[32];
    snprintf(text, sizeof text, "%d", (int)getpid());
    setenv("LISTEN_PID", text, 1);
    setenv("LISTEN_FDS", "1", 1);
    setenv("NOTIFY_SOCKET", unit->notify_path, 1);
    setenv("WATCHDOG_USEC", "200000", 1);
    setenv("WATCHDOG_PID", text, 1);
    const int copy = fcntl(unit->socket, F_DUPFD, 100);
    dup2(copy, 3);
    close(copy);
    const int null = open("/dev/null", O_RDWR);
    dup2(null, 1);
    execv(arguments[0], arguments);
    _exit(127);
}

static int unit_wait(struct unit *unit)
{
    int status = -1;
    for (double until = now_ms() + 20000 * slowness(); now_ms() < until; usleep(2000))
        if (waitpid(unit->pid, &status, WNOHANG) == unit->pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    kill(unit->pid, SIGKILL);
    waitpid(unit->pid, &status, 0);
    return -1;
}

/* The next message that is not the watchdog's; NULL: none in time. `dogs` counts the watchdog's. */
static const char *hear_within(struct unit *unit, unsigned *dogs, double milliseconds)
{
    for (double until = now_ms() + milliseconds; now_ms() < until;) {
        char text[512];
        struct pollfd ready = {.fd = unit->notify, .events = POLLIN};
        if (poll(&ready, 1, 100) <= 0)
            continue;
        const ssize_t count = recv(unit->notify, text, sizeof text - 1, 0);
        text[count > 0 ? count : 0] = '\0';
        if (strcmp(text, "WATCHDOG=1") != 0)
            return text_copy(text, strlen(text));
        if (dogs != NULL)
            ++*dogs;
    }
    return NULL;
}

static const char *hear(struct unit *unit, unsigned *dogs)
{
    return hear_within(unit, dogs, 20000 * slowness());
}

static struct child child_of(const struct unit *unit)
{
    struct child child = {.pid = unit->pid, .port = unit->port, .curl = curl_new()};
    snprintf(child.address, sizeof child.address, "http://127.0.0.1:%u", unit->port);
    return child;
}

/* ---- Tests ---- */

static void sockets_and_states(void **state)
{
    struct unit unit;
    unsigned dogs = 0;
    (void)state;
    unit_open(&unit);
    unit_start(&unit, LIST("--config", file_with("{\"log_level\": \"error\"}")));
    check_text("start", "notified", hear(&unit, &dogs), "READY=1");
    struct child child = child_of(&unit);
    check_output(&child, "the socket that was handed over", "/v1/convolve", "{'input':[1],'kernel':[2]}", "[2]");
    check_text("nothing happens", "notified", hear_within(&unit, &dogs, 700 * stretch()), NULL);
    kill(unit.pid, SIGHUP);
    const char *reloading = hear(&unit, &dogs);
    if (dogs < 3)
        check_number("watchdog", "messages in 0.7 s or more of 0.1 s each (3 or more)", dogs, 7);
    check_holds("SIGHUP", "notified", reloading, "RELOADING=1\nMONOTONIC_USEC=");
    check_text("SIGHUP", "notified then", hear(&unit, NULL), "READY=1");
    check_number("after it", "status", http_get(&child, "/readyz").status, 200);
    kill(unit.pid, SIGTERM);
    check_text("SIGTERM", "notified", hear(&unit, NULL), "STOPPING=1");
    check_number("SIGTERM", "exit status", unit_wait(&unit), 0);
    curl_free_handle(child.curl);
    unit_close(&unit);
}

/* A caller that comes while one daemon stops is answered by the next on the same socket. */
static void newcomers_wait_for_the_successor(void **state)
{
    struct unit unit;
    (void)state;
    unit_open(&unit);
    for (int restart = 0; restart < 3; restart++) {
        unit_start(&unit, LIST("--log-level", "error"));
        check_text("start", "notified", hear(&unit, NULL), "READY=1");
        kill(unit.pid, SIGTERM);
        check_text("stop", "notified", hear(&unit, NULL), "STOPPING=1");
        check_number("stop", "exit status", unit_wait(&unit), 0);
        struct child child = child_of(&unit);
        const int fd = raw_open(&child);
        if (fd < 0)
            fail_msg("the socket was closed by the daemon that stopped");
        raw_send_text(fd, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 26\r\n\r\n"
                          "{\"input\":[1],\"kernel\":[2]}");
        unit_start(&unit, LIST("--log-level", "error"));
        const struct answer answer = raw_read_answer(fd, false);
        check_number("the successor", "status", answer.status, 200);
        close(fd);
        check_text("the successor", "notified", hear(&unit, NULL), "READY=1");
        kill(unit.pid, SIGTERM);
        check_text("the successor", "notified", hear(&unit, NULL), "STOPPING=1");
        check_number("the successor", "exit status", unit_wait(&unit), 0);
        curl_free_handle(child.curl);
    }
    unit_close(&unit);
}

/* A process that stands still is not called alive. */
static void a_stopped_process_says_nothing(void **state)
{
    struct unit unit;
    unsigned dogs = 0;
    char text[64];
    (void)state;
    unit_open(&unit);
    unit_start(&unit, LIST("--log-level", "error"));
    check_text("start", "notified", hear(&unit, &dogs), "READY=1");
    kill(unit.pid, SIGSTOP);
    usleep(300000);
    while (recv(unit.notify, text, sizeof text, MSG_DONTWAIT) > 0)
        ;
    usleep(500000);
    check_number("stopped", "bytes heard", recv(unit.notify, text, sizeof text, MSG_DONTWAIT), -1);
    kill(unit.pid, SIGCONT);
    kill(unit.pid, SIGTERM);
    check_text("going on", "notified", hear(&unit, &dogs), "STOPPING=1");
    check_number("going on", "exit status", unit_wait(&unit), 0);
    unit_close(&unit);
}

static const char *status_line(const char *path, const char *name)
{
    char line[256];
    FILE *file = fopen(path, "re");
    const char *found = NULL;
    while (file != NULL && found == NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            found = text_copy(line, strcspn(line, "\n"));
    if (file != NULL)
        fclose(file);
    return found;
}

static void every_thread_is_confined(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--threads", "3", "--io-threads", "2"), NULL, NULL);
    const char *tasks = textf("/proc/%d/task", (int)child->pid);
    DIR *folder = opendir(tasks);
    int threads = 0;
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        const char *status = textf("%s/%s/status", tasks, entry->d_name);
        if (confine_hindrance() == NULL) {
            check_text(entry->d_name, "status", status_line(status, "Seccomp"), "Seccomp:\t2");
            check_text(entry->d_name, "status", status_line(status, "NoNewPrivs"), "NoNewPrivs:\t1");
        }
        threads++;
    }
    closedir(folder);
    if (threads < 6) /* the first, 3 workers, 2 for HTTP, the watch thread */
        check_number("threads", "count (6 or more)", threads, 7);
    if (confine_hindrance() != NULL)
        check_holds("the log", "why not", child_log(child), "not confined");
    else if (strstr(child_log(child), "not confined") != NULL)
        complain("the log", "%s", child_log(child));
    check_number("confined", "exit status", child_stop(child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(sockets_and_states),
        HTTP_TEST(newcomers_wait_for_the_successor),
        HTTP_TEST(a_stopped_process_says_nothing),
        HTTP_TEST(every_thread_is_confined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
