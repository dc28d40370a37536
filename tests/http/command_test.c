/* SPDX-License-Identifier: MIT */
/* The command line and the configuration: flags over variables over the file over defaults; what is wrong is one line on
 * standard error that names file and member, and exit status 2; what could not be done is 1. */
#include "tests/http/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *const members[] = {
    "listen",
    "metrics_listen",
    "threads",
    "io_threads",
    "max_body_bytes",
    "max_output_bytes",
    "max_memory_bytes",
    "max_work",
    "queue_depth",
    "max_connections",
    "max_connections_per_ip",
    "request_timeout_ms",
    "idle_timeout_ms",
    "drain_timeout_ms",
    "rate_limit_per_second",
    "trusted_proxies",
    "cors_origins",
    "api_keys_file",
    "tls_certificate",
    "tls_key",
    "log_level",
    "log_format",
    "simd",
};
enum { MEMBER_COUNT = sizeof members / sizeof *members };

static const char *flag_of(const char *member)
{
    char *flag = textf("--%s", member);
    for (char *c = flag; *c; c++)
        if (*c == '_')
            *c = '-';
    return flag;
}

static const char *last_line_end(const char *text)
{
    const char *end = strchr(text, '\n');
    return end ? end + 1 : text + strlen(text);
}

/* One line on standard error that begins with "convolved: " and holds `words` (up to two), and nothing on standard output. */
static void check_refused(const char *name, const struct finished *finished, int status, const char *word,
                          const char *other)
{
    check_number(name, "exit status", finished->status, status);
    if (strncmp(finished->err, "convolved: ", 11) != 0)
        check_text(name, "standard error", finished->err, "convolved: ...");
    if (*last_line_end(finished->err))
        check_text(name, "standard error", finished->err, "one line");
    if (word)
        check_holds(name, "standard error", finished->err, word);
    if (other)
        check_holds(name, "standard error", finished->err, other);
    check_text(name, "standard output", finished->out, "");
}

static void version_and_help(void **state)
{
    (void)state;
    struct finished finished = daemon_run(LIST("--version"), NULL);
    check_number("--version", "exit status", finished.status, 0);
    check_holds("--version", "standard output", finished.out, "convolved");
    check_text("--version", "standard error", finished.err, "");
    finished = daemon_run(LIST("--help"), NULL);
    check_number("--help", "exit status", finished.status, 0);
    for (size_t i = 0; i < MEMBER_COUNT; i++)
        check_holds("--help", "standard output", finished.out, flag_of(members[i]));
    static const char *const others[] = {"--config",      "--check-config", "--print-config",
                                         "--healthcheck", "--version",      "--help"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check_holds("--help", "standard output", finished.out, others[i]);
}

static void print_config(void **state)
{
    (void)state;
    struct finished finished = daemon_run(LIST("--print-config"), NULL);
    check_number("--print-config", "exit status", finished.status, 0);
    cJSON *document = cJSON_Parse(finished.out);
    if (!document)
        complain("--print-config", "no JSON: %s", finished.out);
    for (size_t i = 0; i < MEMBER_COUNT; i++)
        if (!cJSON_GetObjectItemCaseSensitive(document, members[i]) && !strstr(finished.out, members[i]))
            complain("--print-config", "%s is not printed", members[i]);
    cJSON_Delete(document);
    check_holds("--print-config", "the default address", finished.out, "127.0.0.1:8080");
}

static const char *printed(const char *const *flags, const char *const *variables, const char *member)
{
    struct finished finished = daemon_run(flags, variables);
    return member_text(finished.out, member);
}

static void flag_over_variable_over_file_over_default(void **state)
{
    (void)state;
    const char *file = file_with("// a comment\n{\n  /* and another */\n  \"max_work\": 11, // one more\n"
                                 "  \"log_level\": \"error\", \"cors_origins\": [\"https://a.example\"]\n}\n");
    const char *standard = printed(LIST("--print-config"), NULL, "max_work");
    if (!standard || atof(standard) < 1000)
        check_text("default", "max_work", standard, "a large number");
    check_text("file", "max_work", printed(LIST("--config", file, "--print-config"), NULL, "max_work"), "11");
    check_text("variable over file", "max_work",
               printed(LIST("--config", file, "--print-config"), LIST("CONVOLVED_MAX_WORK=12"), "max_work"), "12");
    check_text("flag over variable", "max_work",
               printed(LIST("--max-work", "13", "--config", file, "--print-config"), LIST("CONVOLVED_MAX_WORK=12"),
                       "max_work"),
               "13");
    check_text("flag over file", "log_level",
               printed(LIST("--config", file, "--log-level", "debug", "--print-config"), NULL, "log_level"),
               "\"debug\"");
    check_text("the file's others stay", "cors_origins",
               printed(LIST("--config", file, "--max-work", "13", "--print-config"), NULL, "cors_origins"),
               "[\"https://a.example\"]");
    check_text(
        "a list with commas", "cors_origins",
        printed(LIST("--cors-origins", "https://a.example,https://b.example", "--print-config"), NULL, "cors_origins"),
        "[\"https://a.example\",\"https://b.example\"]");
    check_text("a list in a variable", "trusted_proxies",
               printed(LIST("--print-config"), LIST("CONVOLVED_TRUSTED_PROXIES=10.0.0.0/8,::1"), "trusted_proxies"),
               "[\"10.0.0.0/8\",\"::1\"]");
}

static void good_files(void **state)
{
    (void)state;
    static const char *const files[] = {
        "{}",
        "{\"listen\": \"127.0.0.1:0\"}",
        "{\"listen\": [\"127.0.0.1:0\", \"unix:/tmp/x.sock\"]}",
        "{\"threads\": 0, \"io_threads\": 0, \"max_connections_per_ip\": 0, \"rate_limit_per_second\": 0}",
        "{\"log_level\": \"warning\", \"log_format\": \"json\", \"simd\": \"auto\"}",
        "{\"max_body_bytes\": 1, \"queue_depth\": 1}",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct finished finished = daemon_run(LIST("--config", file_with(files[i]), "--check-config"), NULL);
        check_number(files[i], "exit status", finished.status, 0);
    }
}

static void bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *member;
    } cases[] = {
        {"unknown", "{\"max_body_byte\": 1}", "max_body_byte"},
        {"names have their case", "{\"Threads\": 1}", "Threads"},
        {"twice", "{\"threads\": 1, \"threads\": 1}", "threads"},
        {"null", "{\"threads\": null}", "threads"},
        {"a string for a number", "{\"threads\": \"2\"}", "threads"},
        {"a number for a string", "{\"log_level\": 1}", "log_level"},
        {"a fraction", "{\"threads\": 1.5}", "threads"},
        {"negative", "{\"threads\": -1}", "threads"},
        {"0 where 1 is the least", "{\"max_body_bytes\": 0}", "max_body_bytes"},
        {"0 where 1 is the least", "{\"queue_depth\": 0}", "queue_depth"},
        {"beyond 2^64", "{\"max_work\": 1e30}", "max_work"},
        {"an unknown choice", "{\"log_level\": \"warn\"}", "log_level"},
        {"an unknown format", "{\"log_format\": \"xml\"}", "log_format"},
        {"an unknown set", "{\"simd\": \"mmx\"}", "simd"},
        {"an address that is none", "{\"listen\": \"nowhere\"}", "listen"},
        {"a port beyond", "{\"listen\": \"127.0.0.1:65536\"}", "listen"},
        {"a list of numbers", "{\"listen\": [1]}", "listen"},
        {"an object", "{\"listen\": {}}", "listen"},
        {"no proxy", "{\"trusted_proxies\": [\"10.0.0.0/33\"]}", "trusted_proxies"},
        {"a file that is not there", "{\"api_keys_file\": \"/nonexistent/keys\"}", "api_keys_file"},
        {"a certificate without a key", "{\"tls_certificate\": \"/nonexistent/c.pem\"}", "tls_"},
        {"no object", "[1]", NULL},
        {"malformed", "{\"threads\": 1", NULL},
        {"empty", "", NULL},
        {"more after it", "{} {}", NULL},
        {"a comment without end", "{} /*", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *file = file_with(cases[i].text), *name = textf("%s: %s", cases[i].name, cases[i].text);
        struct finished finished = daemon_run(LIST("--config", file, "--check-config"), NULL);
        check_refused(name, &finished, 2, file, cases[i].member);
        finished = daemon_run(LIST("--config", file, "--listen", "127.0.0.1:0"), NULL);
        if (!cases[i].member || strcmp(cases[i].member, "listen") != 0)
            check_refused(textf("%s, at start", name), &finished, 2, file, cases[i].member);
    }
}

static void bad_command_lines(void **state)
{
    (void)state;
    const struct {
        const char *name;
        const char *const *flags, *const *variables;
        const char *word;
    } cases[] = {
        {"unknown flag", LIST("--max-body-byte", "1"), NULL, "--max-body-byte"},
        {"no value", LIST("--threads"), NULL, "threads"},
        {"no number", LIST("--threads", "two"), NULL, "threads"},
        {"out of range", LIST("--max-work", "0"), NULL, "max"},
        {"a word too many", LIST("serve"), NULL, "serve"},
        {"a file that is not there", LIST("--config", "/nonexistent/convolved.json"), NULL,
         "/nonexistent/convolved.json"},
        {"a variable that is no number", LIST("--check-config"), LIST("CONVOLVED_THREADS=two"), "CONVOLVED_THREADS"},
        {"a variable out of range", LIST("--check-config"), LIST("CONVOLVED_MAX_BODY_BYTES=-1"),
         "CONVOLVED_MAX_BODY_BYTES"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct finished finished = daemon_run(cases[i].flags, cases[i].variables);
        check_refused(cases[i].name, &finished, 2, cases[i].word, NULL);
    }
}

static void what_cannot_be_done_is_1(void **state)
{
    (void)state;
    struct child *child = child_start(NULL, NULL, NULL);
    const char *address = textf("127.0.0.1:%u", child->port);
    struct finished finished = daemon_run(LIST("--listen", address), NULL);
    check_refused("port in use", &finished, 1, address, NULL);
    finished = daemon_run(LIST("--listen", address, "--check-config"), NULL);
    check_number("--check-config does not look at the address", "exit status", finished.status, 0);

    finished = daemon_run(LIST("--listen", address, "--healthcheck"), NULL);
    check_number("--healthcheck, ready", "exit status", finished.status, 0);
    check_number("healthcheck", "exit status", child_stop(child), 0);
    finished = daemon_run(LIST("--listen", address, "--healthcheck"), NULL);
    check_number("--healthcheck, nobody there", "exit status", finished.status, 1);
}

/* A free path for a Unix socket. */
static const char *socket_path(void)
{
    static unsigned count;
    const char *path = textf("/tmp/convolved-test-%d-%u.sock", (int)getpid(), count++);
    unlink(path);
    return path;
}

static void unix_sockets(void **state)
{
    (void)state;
    const char *path = socket_path(), *address = textf("unix:%s", path);
    struct stat status;
    struct child *child = child_start(LIST("--listen", address), NULL, NULL);
    check_text("unix", "listening on", child->address, address);
    struct answer answer = http_post(child, "/v1/convolve", "{'input':[1],'kernel':[2]}");
    check_text("unix", "output", member_text(answer.body, "output"), "[2]");
    struct finished finished = daemon_run(LIST("--listen", address, "--healthcheck"), NULL);
    check_number("--healthcheck by a Unix socket", "exit status", finished.status, 0);
    finished = daemon_run(LIST("--listen", address), NULL);
    check_refused("one in use", &finished, 1, path, NULL);
    answer = http_get(child, "/healthz");
    check_number("the one in use stays", "status", answer.status, 200);
    kill(child->pid, SIGKILL);
    child_wait(child);
    check_number("after SIGKILL the file is left", "stat", lstat(path, &status), 0);

    child = child_start(LIST("--listen", address), NULL, NULL);
    answer = http_get(child, "/healthz");
    check_number("one that nobody listens on is replaced", "status", answer.status, 200);
    check_number("unix", "exit status", child_stop(child), 0);
    check_number("removed at the end", "stat", lstat(path, &status), -1);

    const char *file = file_with("precious");
    finished = daemon_run(LIST("--listen", textf("unix:%s", file)), NULL);
    check_refused("any other file", &finished, 1, file, NULL);
    check_number("any other file stays", "bytes", lstat(file, &status) == 0 ? (long long)status.st_size : -1, 8);

    path = socket_path();
    child = child_start(LIST("--listen", textf("127.0.0.1:0,unix:%s", path)), NULL, NULL);
    struct child *other = calloc(1, sizeof *other);
    assert_non_null(other);
    snprintf(other->address, sizeof other->address, "unix:%s", path);
    void *curl = curl_new();
    answer = http_call(other, &(struct call){.path = "/healthz", .curl = curl});
    check_number("the second of two addresses", "status", answer.status, 200);
    curl_free_handle(curl);
    free(other);
    check_number("two addresses", "exit status", child_stop(child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(version_and_help),
        HTTP_TEST(print_config),
        HTTP_TEST(flag_over_variable_over_file_over_default),
        HTTP_TEST(good_files),
        HTTP_TEST(bad_files),
        HTTP_TEST(bad_command_lines),
        HTTP_TEST(what_cannot_be_done_is_1),
        HTTP_TEST(unix_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
