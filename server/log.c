/* SPDX-License-Identifier: MIT */
/* The log. A line is put together on the stack as name=value pairs or as a JSON object, from the same calls. What strangers
 * have sent goes through one escaper: quotes, controls and all that is not ASCII become JSON escapes in both formats, each
 * byte by itself, so that no input can end a line, forge a field or reach a terminal's control codes.
 *
 * Nothing waits: sockets are sent to without waiting, anything else is written to only while it takes a whole line, which is
 * why a line is no longer than a pipe takes at once. A line that cannot be written is dropped. */
#include "server/log.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/config.h"
#include "server/request.h"

enum {
    LINE_BYTES_MAX = PIPE_BUF,
    PATH_BYTES_MAX = 256, /* as received; what is longer is cut */
    MESSAGE_BYTES_MAX = 640, /* before escaping, at most six bytes for one */
};

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static _Atomic int level_least = LOG_INFO;
static _Atomic bool as_json;
static _Atomic bool to_socket;

void log_configure(const struct config *config)
{
    struct stat status;
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
        if (strcmp(config->log_level, level_names[level]) == 0)
            level_least = level;
    }
    as_json = strcmp(config->log_format, "json") == 0;
    to_socket = fstat(STDERR_FILENO, &status) == 0 && S_ISSOCK(status.st_mode);
}

/* ---- A line ---------------------------------------------------------------------------------------------------- */

struct line {
    bool json;
    size_t bytes;
    char text[LINE_BYTES_MAX];
};

/* Keeps two bytes for the end of the line; what does not fit is left out. */
static void line_put(struct line *line, const char *text, size_t bytes)
{
    const size_t room = sizeof line->text - 2 - line->bytes;
    const size_t count = bytes < room ? bytes : room;
    memcpy(line->text + line->bytes, text, count);
    line->bytes += count;
}

static void line_print(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line_print(struct line *line, const char *format, ...)
{
    char text[64]; /* numbers only */
    va_list arguments;
    va_start(arguments, format);
    const int bytes = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (bytes > 0)
        line_put(line, text, (size_t)bytes < sizeof text ? (size_t)bytes : sizeof text - 1);
}

static void line_put_escaped(struct line *line, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\')
            line_print(line, "\\%c", byte);
        else if (byte < 0x20 || byte >= 0x7f)
            line_print(line, "\\u%04x", byte);
        else
            line_put(line, text + i, 1);
    }
}

static void line_name(struct line *line, const char *name)
{
    line_print(line, line->json ? "%s\"%s\":" : "%s%s=", line->bytes <= 1 ? "" : line->json ? "," : " ", name);
}

static void line_text(struct line *line, const char *name, const char *text, size_t bytes_max)
{
    line_name(line, name);
    line_put(line, "\"", 1);
    line_put_escaped(line, text, strnlen(text, bytes_max));
    line_put(line, "\"", 1);
}

static void line_number(struct line *line, const char *name, uint64_t value)
{
    line_name(line, name);
    line_print(line, "%" PRIu64, value);
}

static void line_ms(struct line *line, const char *name, uint64_t ns)
{
    line_name(line, name);
    line_print(line, "%" PRIu64 ".%03u", ns / 1000000, (unsigned)(ns / 1000 % 1000));
}

static void line_begin(struct line *line, enum log_level level)
{
    struct timespec now;
    struct tm utc;
    char text[40];
    line->json = as_json;
    line->bytes = 0;
    if (line->json)
        line_put(line, "{", 1);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    const size_t seconds =
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc); /* digits only: the same in all locales */
    snprintf(text + seconds, sizeof text - seconds, ".%03uZ", (unsigned)(now.tv_nsec / 1000000));
    line_name(line, "time");
    line_print(line, line->json ? "\"%s\"" : "%s", text);
    line_name(line, "level");
    line_print(line, line->json ? "\"%s\"" : "%s", level_names[level]);
}

/* The lock keeps another thread from taking the place that poll has found in a pipe. */
static void line_write(struct line *line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (line->json)
        line->text[line->bytes++] = '}';
    line->text[line->bytes++] = '\n';
    ssize_t ignored = 0;
    if (to_socket) {
        ignored = send(STDERR_FILENO, line->text, line->bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
        struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
        pthread_mutex_lock(&lock);
        if (poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT)
            ignored = write(STDERR_FILENO, line->text, line->bytes);
        pthread_mutex_unlock(&lock);
    }
    (void)ignored;
}

/* ---- Events ---------------------------------------------------------------------------------------------------- */

void log_event(enum log_level level, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&level_least, memory_order_relaxed))
        return;
    struct line line;
    char message[MESSAGE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    const int bytes = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (bytes < 0)
        return;
    line_begin(&line, level);
    line_text(&line, "message", message, sizeof message);
    line_write(&line);
}

void log_request(const struct request *request)
{
    if (LOG_INFO < atomic_load_explicit(&level_least, memory_order_relaxed))
        return;
    struct line line;
    line_begin(&line, LOG_INFO);
    line_text(&line, "method", request->method != NULL ? request->method : "", 32);
    line_text(&line, "path", request->path != NULL ? request->path : "", PATH_BYTES_MAX);
    line_number(&line, "status", request->status);
    line_number(&line, "body_bytes", request->body_bytes);
    line_ms(&line, "total_ms", clock_now_ns() - request->began_ns);
    line_ms(&line, "decode_ms", request->decode_ns);
    line_ms(&line, "queue_ms", request->queue_ns);
    line_ms(&line, "compute_ms", request->compute_ns);
    line_ms(&line, "encode_ms", request->encode_ns);
    if (request->log_method != NULL)
        line_text(&line, "convolution", request->log_method, 32);
    if (request->error.slug != NULL)
        line_text(&line, "problem", request->error.slug, 64);
    line_text(&line, "request_id", request->id, sizeof request->id);
    if (request->traceparent[0] != '\0')
        line_text(&line, "traceparent", request->traceparent, sizeof request->traceparent);
    line_write(&line);
}
