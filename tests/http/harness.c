/* SPDX-License-Identifier: MIT */
/* The daemon as a child process: started on a free port, stopped by SIGTERM, its log in a temporary file. Also the texts that
 * live as long as a test, and the checks that count failures. */
#include "tests/http/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* ---- Texts ---- */

struct text {
    struct text *next;
    char bytes[];
};
static struct text *texts;
static char *files[64];
static size_t file_count;
static int failures;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

char *text_room(size_t bytes)
{
    struct text *text = malloc(sizeof *text + bytes);
    if (!text) {
        fprintf(stderr, "out of memory in a test\n");
        abort();
    }
    pthread_mutex_lock(&lock);
    text->next = texts;
    texts = text;
    pthread_mutex_unlock(&lock);
    return text->bytes;
}

char *text_copy(const char *bytes, size_t count)
{
    char *copy = text_room(count + 1);
    if (count)
        memcpy(copy, bytes, count);
    copy[count] = 0;
    return copy;
}

char *textf(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int bytes = vsnprintf(NULL, 0, format, list);
    va_end(list);
    char *text = text_room((size_t)bytes + 1);
    va_start(list, format);
    vsnprintf(text, (size_t)bytes + 1, format, list);
    va_end(list);
    return text;
}

const char *json(const char *quoted)
{
    char *text = text_copy(quoted, strlen(quoted));
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    return text;
}

double slowness(void)
{
    const char *text = getenv("TEST_SLOWNESS");
    double value = text ? atof(text) : 1;
    return value < 1 ? 1 : value;
}

double stretch(void)
{
    return sqrt(slowness());
}

void wait_ms(double milliseconds)
{
    usleep((useconds_t)(milliseconds * 1000 * stretch()));
}

double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

/* ---- Checks ---- */

void complain(const char *name, const char *format, ...)
{
    char *text = NULL;
    va_list list;
    va_start(list, format);
    if (vasprintf(&text, format, list) < 0)
        text = NULL;
    va_end(list);
    pthread_mutex_lock(&lock);
    failures++;
    fprintf(stderr, "    %s: %s\n", name, text ? text : format);
    pthread_mutex_unlock(&lock);
    free(text);
}

static const char *shown(const char *text)
{
    if (!text)
        return "(absent)";
    return strlen(text) > 600 ? textf("%.600s...", text) : text;
}

void check_text(const char *name, const char *what, const char *found, const char *expected)
{
    if (found == expected || (found && expected && !strcmp(found, expected)))
        return;
    complain(name, "%s\n        found    %s\n        expected %s", what, shown(found), shown(expected));
}

void check_number(const char *name, const char *what, long long found, long long expected)
{
    if (found != expected)
        complain(name, "%s\n        found    %lld\n        expected %lld", what, found, expected);
}

void check_holds(const char *name, const char *what, const char *found, const char *part)
{
    if (!found || !strstr(found, part))
        complain(name, "%s\n        found    %s\n        expected to hold %s", what, shown(found), part);
}

int settle(void **state)
{
    (void)state;
    while (texts) {
        struct text *next = texts->next;
        free(texts);
        texts = next;
    }
    while (file_count) {
        unlink(files[--file_count]);
        free(files[file_count]);
    }
    int failed = failures;
    failures = 0;
    return failed ? -1 : 0;
}

/* ---- Files ---- */

static void write_all(int fd, const char *bytes, size_t count)
{
    while (count) {
        ssize_t written = write(fd, bytes, count);
        if (written < 0 && errno == EINTR)
            continue;
        assert_true(written > 0);
        bytes += written;
        count -= (size_t)written;
    }
}

static int temporary_file(char path[64])
{
    strcpy(path, "/tmp/convolved-test-XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

const char *file_with(const char *text)
{
    char path[64];
    int fd = temporary_file(path);
    write_all(fd, text, strlen(text));
    close(fd);
    assert_true(file_count < sizeof files / sizeof *files);
    files[file_count] = strdup(path);
    return files[file_count++];
}

void file_rewrite(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    write_all(fd, text, strlen(text));
    close(fd);
}

static const char *read_all(int fd)
{
    size_t count = 0, room = 4096;
    char *bytes = malloc(room);
    for (;;) {
        assert_non_null(bytes);
        ssize_t taken = read(fd, bytes + count, room - count);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken <= 0)
            break;
        count += (size_t)taken;
        if (count == room)
            bytes = realloc(bytes, room *= 2);
    }
    const char *text = text_copy(bytes, count);
    free(bytes);
    return text;
}

static const char *read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return "";
    const char *text = read_all(fd);
    close(fd);
    return text;
}

/* ---- Processes ---- */

static bool is_ours(const char *variable)
{
    return !strncmp(variable, "CONVOLVED_", 10);
}

/* The caller's environment without CONVOLVED_..., with `variables`. The list is the caller's to free, its strings are not. */
static char **environment_with(const char *const *variables)
{
    size_t count = 0;
    for (char **at = environ; *at; at++)
        count++;
    for (const char *const *at = variables; at && *at; at++)
        count++;
    char **list = calloc(count + 1, sizeof *list);
    assert_non_null(list);
    count = 0;
    for (char **at = environ; *at; at++)
        if (!is_ours(*at))
            list[count++] = *at;
    for (const char *const *at = variables; at && *at; at++)
        list[count++] = (char *)*at;
    return list;
}

static pid_t spawn(const char *const *arguments, const char *const *variables, int out_fd, int err_fd)
{
    const char *program = getenv("CONVOLVED");
    if (!program)
        program = "build/convolved";
    size_t count = 0;
    while (arguments[count])
        count++;
    char **list = calloc(count + 2, sizeof *list);
    assert_non_null(list);
    list[0] = (char *)program;
    for (size_t i = 0; i < count; i++)
        list[i + 1] = (char *)arguments[i];
    char **environment = environment_with(variables);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null_fd = open("/dev/null", O_RDONLY);
        dup2(null_fd, 0);
        dup2(out_fd, 1);
        dup2(err_fd, 2);
        execve(program, list, environment);
        dprintf(2, "cannot start %s: %s\n", program, strerror(errno));
        _exit(127);
    }
    free(list);
    free(environment);
    return pid;
}

static int status_of(int raw)
{
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

static int wait_or_kill(pid_t pid, double milliseconds)
{
    double until = now_ms() + milliseconds * slowness();
    int raw;
    while (now_ms() < until) {
        pid_t ended = waitpid(pid, &raw, WNOHANG);
        if (ended == pid)
            return status_of(raw);
        usleep(2000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &raw, 0);
    return -1;
}

struct finished daemon_run(const char *const *flags, const char *const *variables)
{
    struct finished finished;
    char out_path[64], err_path[64];
    int out_fd = temporary_file(out_path), err_fd = temporary_file(err_path);
    pid_t pid = spawn(flags, variables, out_fd, err_fd);
    close(out_fd);
    close(err_fd);
    finished.status = wait_or_kill(pid, 60000);
    finished.out = read_file(out_path);
    finished.err = read_file(err_path);
    unlink(out_path);
    unlink(err_path);
    return finished;
}

/* Whether the caller of child_start has said where to listen. */
static bool says_listen(const char *const *flags, const char *const *variables, const char *config_text)
{
    for (const char *const *at = flags; at && *at; at++)
        if (!strncmp(*at, "--listen", 8))
            return true;
    for (const char *const *at = variables; at && *at; at++)
        if (!strncmp(*at, "CONVOLVED_LISTEN", 16))
            return true;
    return config_text && strstr(config_text, "\"listen\"");
}

/* The first line of the daemon's output, without its end; "" where it ended or said nothing for 20 s. */
static void read_line(int fd, char *line, size_t bytes)
{
    size_t count = 0;
    double until = now_ms() + 20000 * slowness();
    line[0] = 0;
    while (count + 1 < bytes && now_ms() < until) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, 100) <= 0)
            continue;
        if (read(fd, line + count, 1) != 1)
            break;
        if (line[count] == '\n') {
            line[count] = 0;
            return;
        }
        line[++count] = 0;
    }
    line[0] = 0;
}

struct child *child_start(const char *const *flags, const char *const *variables, const char *config_text)
{
    const char *arguments[64];
    size_t count = 0;
    struct child *child = calloc(1, sizeof *child);
    assert_non_null(child);
    if (config_text) {
        int fd = temporary_file(child->config_path);
        write_all(fd, config_text, strlen(config_text));
        close(fd);
        arguments[count++] = "--config";
        arguments[count++] = child->config_path;
    }
    if (!says_listen(flags, variables, config_text)) {
        arguments[count++] = "--listen";
        arguments[count++] = "127.0.0.1:0";
    }
    for (; flags && *flags && count < 63; flags++)
        arguments[count++] = *flags;
    arguments[count] = NULL;

    int out_pipe[2];
    assert_int_equal(pipe2(out_pipe, O_CLOEXEC), 0);
    int err_fd = temporary_file(child->log_path);
    child->pid = spawn(arguments, variables, out_pipe[1], err_fd);
    close(out_pipe[1]);
    close(err_fd);
    child->out_fd = out_pipe[0];
    child->curl = curl_new();

    char line[256];
    static const char announced[] = "listening on ";
    read_line(child->out_fd, line, sizeof line);
    if (strncmp(line, announced, strlen(announced)) != 0) {
        const char *log = child_log(child);
        int status = child_stop(child);
        fail_msg("the daemon did not start: found line '%s', expected 'listening on ...'; exit %d; its log:\n%s", line,
                 status, log);
    }
    snprintf(child->address, sizeof child->address, "%s", line + strlen(announced));
    const char *colon = strrchr(child->address, ':');
    if (!strncmp(child->address, "http", 4) && colon)
        child->port = (unsigned)atoi(colon + 1);
    return child;
}

int child_wait(struct child *child)
{
    int status = wait_or_kill(child->pid, 120000);
    if (status != 0 && status != 128 + SIGKILL)
        fprintf(stderr, "    the daemon ended with %d; its log:\n%s\n", status, child_log(child));
    curl_free_handle(child->curl);
    close(child->out_fd);
    unlink(child->log_path);
    if (child->config_path[0])
        unlink(child->config_path);
    free(child);
    return status;
}

int child_stop(struct child *child)
{
    kill(child->pid, SIGTERM);
    return child_wait(child);
}

struct child *daemon_child;

int daemon_start(void **state)
{
    (void)state;
    daemon_child = child_start(NULL, NULL, NULL);
    return 0;
}

int daemon_stop(void **state)
{
    (void)state;
    return child_stop(daemon_child) == 0 ? 0 : -1;
}

const char *child_log(const struct child *child)
{
    return read_file(child->log_path);
}

bool log_becomes(const struct child *child, const char *word)
{
    for (double until = now_ms() + 5000 * slowness(); now_ms() < until; usleep(2000))
        if (strstr(child_log(child), word) != NULL)
            return true;
    return false;
}

const char *child_rest_of_output(struct child *child)
{
    fcntl(child->out_fd, F_SETFL, O_NONBLOCK);
    return read_all(child->out_fd);
}
