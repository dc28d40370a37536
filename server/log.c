/* SPDX-License-Identifier: MIT */
/* The log. A line is put together on the stack as name=value pairs or as a JSON object, from the same calls. What strangers
 * have sent goes through one escaper: quotes, controls and all that is not ASCII become JSON escapes in both formats, each
 * byte by itself, so that no input can end a line, forge a field or reach a terminal's control codes.
 *
 * Nothing waits: sockets are sent to without waiting, anything else is written to only while it takes a whole line, which is
 * why a line is no longer than a pipe takes at once. A line that cannot be written is dropped. */
#include "server/log.h"

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
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "server/append.h"
#include "server/config.h"
#include "server/request.h"

enum {
    LINE_BYTES_MAX = PIPE_BUF,
    PATH_BYTES_MAX = 256, /* as received; what is longer is cut */
    NAME_BYTES_MAX = 16, /* of a member of the line, with what stands around it */
    VALUE_BYTES_MAX = 40, /* of the time, a level or a number, with what stands around it */
    MESSAGE_BYTES_MAX = 640, /* before escaping, at most six bytes for one */
    MEMORY_DEVICES = 1, /* their major number */
    SECOND_NS = 1000000000,
};

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static _Atomic int level_least = LOG_INFO;
static _Atomic bool as_json;
/* What standard error is. A file takes any line at once, so it is not asked first. */
enum target { TARGET_OTHER, TARGET_FILE, TARGET_SOCKET };
static _Atomic int target;

/* Regular files, and the memory devices: /dev/null, /dev/full. */
static bool is_file(const struct stat *status)
{
    return S_ISREG(status->st_mode) || (S_ISCHR(status->st_mode) && major(status->st_rdev) == MEMORY_DEVICES);
}

void log_configure(const struct config *config)
{
    struct stat status;
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
        if (strcmp(config->log_level, level_names[level]) == 0)
            level_least = level;
    }
    as_json = strcmp(config->log_format, "json") == 0;
    target = fstat(STDERR_FILENO, &status) != 0 ? TARGET_OTHER
             : S_ISSOCK(status.st_mode)         ? TARGET_SOCKET
             : is_file(&status)                 ? TARGET_FILE
                                                : TARGET_OTHER;
}

/* ---- A line ---------------------------------------------------------------------------------------------------- */

/* Every member but the time, which each line begins with. */
#define FOR_EACH_MEMBER(X)                                                                                             \
    X(LEVEL, "level")                                                                                                  \
    X(MESSAGE, "message")                                                                                              \
    X(METHOD, "method")                                                                                                \
    X(PATH, "path")                                                                                                    \
    X(CLIENT, "client")                                                                                                \
    X(STATUS, "status")                                                                                                \
    X(BODY_BYTES, "body_bytes")                                                                                        \
    X(TOTAL_MS, "total_ms")                                                                                            \
    X(DECODE_MS, "decode_ms")                                                                                          \
    X(QUEUE_MS, "queue_ms")                                                                                            \
    X(COMPUTE_MS, "compute_ms")                                                                                        \
    X(ENCODE_MS, "encode_ms")                                                                                          \
    X(CONVOLUTION, "convolution")                                                                                      \
    X(PROBLEM, "problem")                                                                                              \
    X(REQUEST_ID, "request_id")                                                                                        \
    X(TRACEPARENT, "traceparent")

#define ENUMERATE(member, name) MEMBER_##member,
enum member { FOR_EACH_MEMBER(ENUMERATE) MEMBER_COUNT };

/* With what stands before and behind it, as text and in JSON. */
struct name {
    char text[NAME_BYTES_MAX];
    size_t bytes;
};
#define AS_TEXT(member, name) {" " name "=", sizeof(" " name "=") - 1},
#define AS_JSON(member, name) {",\"" name "\":", sizeof(",\"" name "\":") - 1},
static const struct name names[2][MEMBER_COUNT] = {{FOR_EACH_MEMBER(AS_TEXT)}, {FOR_EACH_MEMBER(AS_JSON)}};

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

/* Printable ASCII but for the quotation mark and the backslash. */
static const bool is_plain[256] = {
    [0x20 ... '"' - 1] = true, ['"' + 1 ... '\\' - 1] = true, ['\\' + 1 ... 0x7e] = true};

static uint64_t bytes_of(unsigned char byte)
{
    return byte * UINT64_C(0x0101010101010101);
}

/* Not 0 where one of the eight bytes is below `least`, at most 0x80: a borrow spoils only bytes above such a one. */
static uint64_t any_below(uint64_t word, unsigned char least)
{
    return (word - bytes_of(least)) & ~word & bytes_of(0x80);
}

static bool are_plain(uint64_t word)
{
    return ((word & bytes_of(0x80)) | any_below(word, 0x20) | any_below(word ^ bytes_of('"'), 1) |
            any_below(word ^ bytes_of('\\'), 1) | any_below(word ^ bytes_of(0x7f), 1)) == 0;
}

/* As much of the text as is plain and fits; returns how much. */
static size_t line_put_plain(struct line *line, const char *text, size_t bytes)
{
    char *const at = line->text + line->bytes;
    const size_t room = sizeof line->text - 2 - line->bytes, most = bytes < room ? bytes : room;
    size_t count = 0;
    uint64_t word;
    for (; most - count >= sizeof word; count += sizeof word) {
        memcpy(&word, text + count, sizeof word);
        if (!are_plain(word))
            break;
        memcpy(at + count, &word, sizeof word);
    }
    for (; count < most && is_plain[(unsigned char)text[count]]; count++)
        at[count] = text[count];
    line->bytes += count;
    return count;
}

static void line_put_escaped(struct line *line, const char *text, size_t bytes)
{
    for (size_t i = 0; (i += line_put_plain(line, text + i, bytes - i)) < bytes;) {
        const unsigned char byte = (unsigned char)text[i++];
        char escape[6] = {'\\', (char)byte};
        if (byte == '"' || byte == '\\') {
            line_put(line, escape, 2);
            continue;
        }
        memcpy(escape, "\\u", 2);
        append_hex(escape + 2, byte, 4);
        line_put(line, escape, 6);
    }
}

/* Room for a name, what stands around it, and a number or the time; where there is less, nothing more is written. */
static bool has_room(const struct line *line)
{
    return sizeof line->text - line->bytes >= NAME_BYTES_MAX + VALUE_BYTES_MAX;
}

/* Returns where the value goes. There is room. */
static char *put_name(struct line *line, enum member member)
{
    const struct name *const name = &names[line->json][member];
    char *const at = line->text + line->bytes;
    memcpy(at, name->text, NAME_BYTES_MAX); /* all of it at once, then back to its end */
    return at + name->bytes;
}

static void line_end_at(struct line *line, const char *at)
{
    line->bytes = (size_t)(at - line->text);
}

static void line_text(struct line *line, enum member member, const char *text, size_t bytes_max)
{
    if (!has_room(line))
        return;
    char *at = put_name(line, member);
    *at++ = '"';
    line_end_at(line, at);
    line_put_escaped(line, text, strnlen(text, bytes_max));
    line_put(line, "\"", 1);
}

/* Quoted, and known to have nothing to escape. */
static void line_plain(struct line *line, enum member member, const char *text)
{
    if (!has_room(line))
        return;
    char *at = put_name(line, member);
    *at++ = '"';
    line_end_at(line, at);
    line_put(line, text, strlen(text));
    line_put(line, "\"", 1);
}

/* A word of ours: quoted only where JSON asks for it. */
static void line_word(struct line *line, enum member member, const char *word, size_t bytes)
{
    if (!has_room(line))
        return;
    char *at = put_name(line, member);
    if (line->json)
        *at++ = '"';
    at = mempcpy(at, word, bytes);
    if (line->json)
        *at++ = '"';
    line_end_at(line, at);
}

static void line_number(struct line *line, enum member member, uint64_t value)
{
    if (has_room(line))
        line_end_at(line, append_unsigned(put_name(line, member), value));
}

static void line_ms(struct line *line, enum member member, uint64_t ns)
{
    if (has_room(line))
        line_end_at(line, append_milliseconds(put_name(line, member), ns));
}

/* The time of day, in nanoseconds since 1970, that a time of CLOCK_MONOTONIC was. Each thread compares the two clocks once a second,
 * so where somebody sets the time the log follows that late. */
static uint64_t time_of_day_ns(uint64_t monotonic_ns)
{
    static _Thread_local uint64_t between_ns, until_ns;
    if (monotonic_ns >= until_ns) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        between_ns = (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec - clock_now_ns();
        until_ns = monotonic_ns + SECOND_NS;
    }
    return monotonic_ns + between_ns;
}

/* "2026-01-31T23:59:59.123Z". Each thread keeps the part before the point for as long as its second lasts. */
static char *append_time(char *at, uint64_t monotonic_ns)
{
    enum { SECONDS_BYTES = sizeof "2026-01-31T23:59:59" - 1 };
    static _Thread_local char seconds[SECONDS_BYTES];
    static _Thread_local time_t known;
    const uint64_t ns = time_of_day_ns(monotonic_ns);
    const time_t second = (time_t)(ns / SECOND_NS);

    if (second != known) {
        struct tm utc = {0};
        gmtime_r(&second, &utc);
        char *end = append_digits(seconds, (uint64_t)utc.tm_year + 1900, 4);
        const int parts[] = {utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            *end++ = "--T::"[i];
            end = append_digits(end, (uint64_t)parts[i], 2);
        }
        known = second;
    }
    at = mempcpy(at, seconds, SECONDS_BYTES);
    *at++ = '.';
    at = append_digits(at, ns % SECOND_NS / 1000000, 3);
    *at++ = 'Z';
    return at;
}

static void line_begin(struct line *line, enum log_level level, uint64_t monotonic_ns)
{
    char *at = line->text;
    line->json = as_json;
    at = append_text(at, line->json ? "{\"time\":\"" : "time=");
    at = append_time(at, monotonic_ns);
    if (line->json)
        *at++ = '"';
    line_end_at(line, at);
    line_word(line, MEMBER_LEVEL, level_names[level], strlen(level_names[level]));
}

/* To a pipe or a terminal: only while it takes the whole line. The lock keeps another thread from taking the place that poll
 * has found. */
static ssize_t write_if_ready(const struct line *line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t written = 0;
    pthread_mutex_lock(&lock);
    if (poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT)
        written = write(STDERR_FILENO, line->text, line->bytes);
    pthread_mutex_unlock(&lock);
    return written;
}

static void line_write(struct line *line)
{
    if (line->json)
        line->text[line->bytes++] = '}';
    line->text[line->bytes++] = '\n';
    const enum target to = (enum target)atomic_load_explicit(&target, memory_order_relaxed);
    ssize_t ignored;
    if (to == TARGET_SOCKET)
        ignored = send(STDERR_FILENO, line->text, line->bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (to == TARGET_FILE)
        ignored = write(STDERR_FILENO, line->text, line->bytes);
    else
        ignored = write_if_ready(line);
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
    line_begin(&line, level, clock_now_ns());
    line_text(&line, MEMBER_MESSAGE, message, sizeof message);
    line_write(&line);
}

void log_request(const struct request *request)
{
    if (LOG_INFO < atomic_load_explicit(&level_least, memory_order_relaxed))
        return;
    struct line line;
    line_begin(&line, LOG_INFO, request->ended_ns);
    line_text(&line, MEMBER_METHOD, request->method != NULL ? request->method : "", 32);
    line_text(&line, MEMBER_PATH, request->path != NULL ? request->path : "", PATH_BYTES_MAX);
    if (request->client != NULL)
        line_text(&line, MEMBER_CLIENT, request->client, 64);
    line_number(&line, MEMBER_STATUS, request->status);
    line_number(&line, MEMBER_BODY_BYTES, request->body_bytes);
    line_ms(&line, MEMBER_TOTAL_MS, request->ended_ns - request->began_ns);
    line_ms(&line, MEMBER_DECODE_MS, request->decode_ns);
    line_ms(&line, MEMBER_QUEUE_MS, request->queue_ns);
    line_ms(&line, MEMBER_COMPUTE_MS, request->compute_ns);
    line_ms(&line, MEMBER_ENCODE_MS, request->encode_ns);
    if (request->log_method != NULL)
        line_plain(&line, MEMBER_CONVOLUTION, request->log_method);
    if (request->error.slug != NULL)
        line_plain(&line, MEMBER_PROBLEM, request->error.slug);
    line_text(&line, MEMBER_REQUEST_ID, request->id, sizeof request->id);
    if (request->traceparent[0] != '\0')
        line_text(&line, MEMBER_TRACEPARENT, request->traceparent, sizeof request->traceparent);
    line_write(&line);
}
