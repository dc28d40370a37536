/* SPDX-License-Identifier: MIT */
/* The log: each line one valid JSON object (or one line of name=value pairs) whatever a stranger has sent, levels, and that a
 * pipe nobody reads from costs lines, not time. */
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "server/config.h"
#include "server/log.h"
#include "server/request.h"

/* Standard error is `writer` while a test runs; what was logged is read from `reader`. */
static int reader, writer, real_stderr;

static void capture_begin(bool socket, const char *level, const char *format)
{
    int ends[2];
    char level_text[16], format_text[16];
    snprintf(level_text, sizeof level_text, "%s", level);
    snprintf(format_text, sizeof format_text, "%s", format);
    assert_int_equal(socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends), 0);
    reader = ends[0];
    writer = ends[1];
    fcntl(reader, F_SETFL, O_NONBLOCK);
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    dup2(writer, STDERR_FILENO);
    log_configure(&(struct config){.log_level = level_text, .log_format = format_text});
}

static void capture_end(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(reader);
    close(writer);
}

static size_t captured(char *out, size_t bytes)
{
    size_t count = 0;
    for (ssize_t got; count < bytes - 1 && (got = read(reader, out + count, bytes - 1 - count)) > 0;)
        count += (size_t)got;
    out[count] = '\0';
    return count;
}

static void check_text(const char *name, const cJSON *object, const char *member, const char *expected)
{
    const char *found = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, member));
    if ((found == NULL) != (expected == NULL) || (found != NULL && strcmp(found, expected) != 0))
        fail_msg("%s: %s is \"%s\", expected \"%s\"", name, member, found ? found : "(absent)",
                 expected ? expected : "(absent)");
}

static struct request sample_request(void)
{
    return (struct request){.method = "POST",
                            .path = "/v1/convolve",
                            .client = "192.0.2.7",
                            .id = "abc-1",
                            .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                            .status = 200,
                            .body_bytes = 1234,
                            .decode_ns = 1500000,
                            .queue_ns = 999,
                            .compute_ns = 12345678901,
                            .encode_ns = 1000,
                            .log_method = "direct",
                            .began_ns = 1000,
                            .ended_ns = 2501000};
}

static void a_request_is_one_line(void **state)
{
    (void)state;
    char text[8192];
    const struct request request = sample_request();
    for (int socket = 0; socket < 2; socket++) {
        capture_begin(socket, "info", "json");
        log_request(&request);
        captured(text, sizeof text);
        capture_end();
        assert_non_null(strchr(text, '\n'));
        assert_string_equal(strchr(text, '\n'), "\n");
        cJSON *line = cJSON_Parse(text);
        assert_non_null(line);
        check_text("line", line, "level", "info");
        check_text("line", line, "method", "POST");
        check_text("line", line, "path", "/v1/convolve");
        check_text("line", line, "client", "192.0.2.7");
        check_text("line", line, "convolution", "direct");
        check_text("line", line, "request_id", "abc-1");
        check_text("line", line, "traceparent", request.traceparent);
        check_text("line", line, "problem", NULL);
        assert_non_null(strstr(text, ",\"status\":200,\"body_bytes\":1234,"));
        assert_non_null(
            strstr(text, "\"decode_ms\":1.500,\"queue_ms\":0.000,\"compute_ms\":12345.678,\"encode_ms\":0.001"));
        const char *time = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "time"));
        unsigned parts[7];
        char end = 0;
        assert_int_equal(sscanf(time, "%4u-%2u-%2uT%2u:%2u:%2u.%3u%c", &parts[0], &parts[1], &parts[2], &parts[3],
                                &parts[4], &parts[5], &parts[6], &end),
                         8);
        assert_int_equal(end, 'Z');
        assert_int_equal(strlen(time), 24);
        cJSON_Delete(line);
    }

    capture_begin(false, "info", "text");
    log_request(&request);
    captured(text, sizeof text);
    capture_end();
    assert_memory_equal(text, "time=2", 6);
    assert_non_null(strstr(text, "Z level=info method=\"POST\" path=\"/v1/convolve\" client=\"192.0.2.7\" status=200 "
                                 "body_bytes=1234 total_ms=2.500 "));
    assert_string_equal(strchr(text, '\n'), "\n");
}

/* Undoes what the log's escapes do to a byte. */
static void check_path(const char *name, const char *sent, const cJSON *line)
{
    const char *found = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "path"));
    char expected[4096] = "";
    size_t bytes = 0;
    for (size_t i = 0; sent[i] != '\0' && i < 256; i++) {
        const unsigned char byte = (unsigned char)sent[i];
        if (byte < 0x80) {
            expected[bytes++] = sent[i];
        } else {
            expected[bytes++] = (char)(0xc0 | byte >> 6);
            expected[bytes++] = (char)(0x80 | (byte & 0x3f));
        }
    }
    expected[bytes] = '\0';
    if (found == NULL || strcmp(found, expected) != 0)
        fail_msg("%s: path is \"%s\", expected \"%s\"", name, found ? found : "(absent)", expected);
}

static void nothing_sent_can_break_a_line(void **state)
{
    (void)state;
    static char all_bytes[256], long_nasty[5000];
    static const struct {
        const char *name, *path;
    } cases[] = {
        {"plain", "/v1/info"},
        {"empty", ""},
        {"a line of its own", "/x\ntime=2020-01-01T00:00:00.000Z level=info path=\"/forged\""},
        {"a member of its own", "/x\",\"status\":200,\"y\":\""},
        {"backslashes", "\\\\\" \\u0000 \\"},
        {"terminal control", "/\x1b[31m\x1b]0;title\x07"},
        {"C1 control and bad UTF-8", "/\xc2\x9b\xff\xfe\xc3"},
        {"UTF-8", "/caf\xc3\xa9"},
        {"all bytes", all_bytes},
        {"long and nasty", long_nasty},
    };
    for (int i = 0; i < 255; i++)
        all_bytes[i] = (char)(i + 1);
    memset(long_nasty, 1, sizeof long_nasty - 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[8192];
        struct request request = sample_request();
        request.path = cases[i].path;
        request.method = request.client = cases[i].path;
        request.error.slug = "malformed-multipart";
        memset(request.id, '"', sizeof request.id - 1);
        memset(request.traceparent, 0x7f, sizeof request.traceparent - 1);
        capture_begin(false, "info", "json");
        log_request(&request);
        const size_t bytes = captured(text, sizeof text);
        capture_end();
        if (bytes == 0 || bytes > 4096 || strchr(text, '\n') != text + bytes - 1)
            fail_msg("%s: %zu bytes, not one line: %s", cases[i].name, bytes, text);
        for (size_t at = 0; at + 1 < bytes; at++) {
            if (text[at] < 0x20 || text[at] >= 0x7f)
                fail_msg("%s: byte %zu is %d", cases[i].name, at, text[at]);
        }
        const char *end = NULL;
        cJSON *line = cJSON_ParseWithOpts(text, &end, false);
        if (line == NULL || *end != '\n')
            fail_msg("%s: no JSON: %s", cases[i].name, text);
        check_path(cases[i].name, cases[i].path, line);
        check_text(cases[i].name, line, "problem", "malformed-multipart");
        if (cJSON_GetObjectItemCaseSensitive(line, "status")->valueint != 200 ||
            cJSON_GetObjectItemCaseSensitive(line, "y") != NULL)
            fail_msg("%s: a forged member: %s", cases[i].name, text);
        cJSON_Delete(line);

        capture_begin(false, "info", "text");
        log_request(&request);
        log_event(LOG_WARNING, "%s", cases[i].path);
        captured(text, sizeof text);
        capture_end();
        size_t lines = 0, forged = 0;
        for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
            lines++;
        for (const char *at = text; (at = strstr(at, " status=")) != NULL; at++)
            forged++;
        if (lines != 2 || forged != 1)
            fail_msg("%s: %zu lines, %zu times status: %s", cases[i].name, lines, forged, text);
    }
}

static void levels_are_kept(void **state)
{
    (void)state;
    static const struct {
        const char *level;
        size_t lines;
    } cases[] = {{"debug", 5}, {"info", 4}, {"warning", 2}, {"error", 1}};
    const struct request request = sample_request();
    for (size_t i = 0; i < 4; i++) {
        char text[8192];
        size_t lines = 0;
        capture_begin(false, cases[i].level, "text");
        for (int level = LOG_DEBUG; level <= LOG_ERROR; level++)
            log_event((enum log_level)level, "level %d", level);
        log_request(&request);
        captured(text, sizeof text);
        capture_end();
        for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
            lines++;
        if (lines != cases[i].lines)
            fail_msg("%s: %zu lines, expected %zu: %s", cases[i].level, lines, cases[i].lines, text);
    }
}

static void *log_many(void *unused)
{
    const struct request request = sample_request();
    for (unsigned i = 0; i < 2000; i++) {
        log_request(&request);
        log_event(LOG_INFO, "the sea is everything");
    }
    return unused;
}

static void check_whole_lines(const char *name, char *text)
{
    size_t lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++) {
        *end = '\0';
        cJSON *parsed = cJSON_Parse(line);
        if (parsed == NULL)
            fail_msg("%s: line %zu is no JSON: %s", name, lines, line);
        cJSON_Delete(parsed);
    }
    if (lines == 0)
        fail_msg("%s: no line at all", name);
}

/* Were one write to wait, this would never end; the alarm makes that a failure. */
static void nobody_reads_and_nobody_waits(void **state)
{
    (void)state;
    for (int socket = 0; socket < 2; socket++) {
        static char text[1 << 22];
        pthread_t threads[4];
        capture_begin(socket, "info", "json");
        alarm(60);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, log_many, NULL), 0);
        for (size_t i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        alarm(0);
        if (captured(text, sizeof text) < 20000)
            fail_msg("%s: less than it holds was written", socket ? "socket" : "pipe");
        if (!socket) /* a stream socket may take part of a line when it is full */
            check_whole_lines("full pipe", text);
        log_event(LOG_INFO, "after"); /* room again */
        assert_true(captured(text, sizeof text) > 0);
        capture_end();
    }
}

static void a_reader_that_has_gone_kills_nobody(void **state)
{
    (void)state;
    for (int socket = 0; socket < 2; socket++) {
        capture_begin(socket, "info", "text");
        close(reader);
        log_event(LOG_INFO, "into the void"); /* a SIGPIPE would end the test */
        reader = dup(writer);
        capture_end();
    }
    capture_begin(false, "info", "text");
    close(STDERR_FILENO);
    log_event(LOG_INFO, "nowhere");
    capture_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_one_line),
        cmocka_unit_test(nothing_sent_can_break_a_line),
        cmocka_unit_test(levels_are_kept),
        cmocka_unit_test(nobody_reads_and_nobody_waits),
        cmocka_unit_test(a_reader_that_has_gone_kills_nobody),
    };
    setlocale(LC_ALL, ""); /* whatever it is, numbers have a point */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
