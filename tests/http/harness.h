/* SPDX-License-Identifier: MIT */
/* What every HTTP test stands on: the daemon as a child process, calls by libcurl, bytes by raw sockets, and checks that
 * print name, found and expected and let the test go on. A failed check makes the test fail when it ends (HTTP_TEST).
 * Texts returned here live until the test ends, so that nobody frees anything. Bodies are written with ' in place of ". */
#ifndef TESTS_HTTP_HARNESS_H
#define TESTS_HTTP_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

/* ---- harness.c: the daemon, and texts that live as long as a test ---- */

struct child {
    pid_t pid;
    unsigned port; /* 0 where it listens on a Unix socket */
    char address[256]; /* what followed `listening on ` */
    char log_path[64]; /* its standard error */
    char config_path[64]; /* the file made of config_text, or "" */
    int out_fd;
    void *curl; /* the handle that http_call reuses, so that a connection is kept */
};

/* Starts the daemon with --listen 127.0.0.1:0 (unless a flag or the file says otherwise) and waits until it listens. Each list
 * ends with NULL and may be NULL. `config_text` is written to a file and given as --config. Fails the test where it does not
 * start. CONVOLVED_... variables of the caller are not handed on. */
struct child *child_start(const char *const *flags, const char *const *variables, const char *config_text);
/* SIGTERM, then the exit status (128 + n where signal n ended it; -1 where it had to be killed). */
int child_stop(struct child *child);
int child_wait(struct child *child); /* the same without the signal */
const char *child_log(const struct child *child);
bool log_becomes(const struct child *child, const char *word); /* whether the log holds it within five seconds */
const char *child_rest_of_output(struct child *child);

/* One daemon, with no limit but the defaults, for a whole program: set-up and teardown of its group of tests. */
extern struct child *daemon_child;
int daemon_start(void **state);
int daemon_stop(void **state);

/* The daemon run to its end with exactly these flags. */
struct finished {
    int status;
    const char *out, *err;
};
struct finished daemon_run(const char *const *flags, const char *const *variables);
const char *file_with(const char *text); /* the path of a new temporary file; removed when the test ends */
void file_rewrite(const char *path, const char *text);

char *textf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *text_room(size_t bytes);
char *text_copy(const char *bytes, size_t count);
const char *json(const char *quoted); /* ' becomes " */
double slowness(void); /* TEST_SLOWNESS, at least 1: how much longer everything may take */
/* How much longer than usual it takes what has to last, or to be waited for: longer, since what it must outlast is slower too, but
 * not by all the room that a bound has. */
double stretch(void);
void wait_ms(double milliseconds); /* times stretch() */
double now_ms(void);

/* Prints "name: what" and remembers that the test has failed. */
void complain(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_text(const char *name, const char *what, const char *found, const char *expected);
void check_number(const char *name, const char *what, long long found, long long expected);
void check_holds(const char *name, const char *what, const char *found, const char *part);
int settle(void **state); /* the teardown of every test */
#define HTTP_TEST(function) cmocka_unit_test_teardown(function, settle)

/* ---- http.c: calls ---- */

struct call {
    const char *method; /* NULL: POST where there is a body, else GET */
    const char *path, *body; /* body with its quotes in place (json()) */
    size_t body_bytes; /* 0: strlen(body) */
    const char *const *headers; /* "Name: value", ends with NULL */
    bool chunked;
    void *curl; /* NULL: the child's own */
    const char *url; /* instead of the child's address and `path` */
};

struct answer {
    long status; /* 0: no answer came */
    const char *head; /* status line and headers */
    const char *body;
    size_t body_bytes;
    long connects; /* new connections that it took */
    double milliseconds;
    const char *failure; /* libcurl's word where status is 0 */
};

struct answer http_call(struct child *child, const struct call *call);
struct answer http_get(struct child *child, const char *path);
struct answer http_post(struct child *child, const char *path, const char *quoted);
const char *header_of(const struct answer *answer, const char *name); /* NULL where absent */
void *curl_new(void);
void curl_free_handle(void *curl);

/* ---- raw.c: bytes on a socket ---- */

int raw_open(const struct child *child);
int raw_open_window(const struct child *child, int bytes); /* with so little room for what comes; 0: as usual */
bool raw_send(int fd, const char *bytes, size_t count);
bool raw_send_text(int fd, const char *text);
/* What comes until the other side closes, or NULL after `milliseconds` (scaled by slowness) of silence. */
const char *raw_read_to_close(int fd, size_t *count, int milliseconds);
/* One answer, by its Content-Length or its chunks (no body for `head`); the connection stays open. status 0: closed, cut, or
 * nothing came. */
struct answer raw_read_answer(int fd, bool head);
struct answer raw_exchange(const struct child *child, const char *request); /* open, send, one answer, close */
bool raw_is_closed(int fd, int milliseconds); /* whether the other side closes within this time */

/* ---- expect.c: what an answer must say ---- */

#define ANY_POINTER "*" /* the contract leaves open where it points */
#define NO_OFFSET   (-1)
#define ANY_OFFSET  (-2)

/* The raw text of a top-level member of a JSON object without white space; NULL where it is absent. `path` may go deeper:
 * "output/real". */
const char *member_text(const char *body, const char *path);
/* POST; the answer's `output` is this text, digit for digit. Returns the answer. `quoted` and `expected` with '. */
struct answer check_output(struct child *child, const char *name, const char *path, const char *quoted,
                           const char *expected);
void check_member(const char *name, const struct answer *answer, const char *path, const char *expected);
/* Each number of `output` is within `tolerance` of the expected. */
void check_near(struct child *child, const char *name, const char *path, const char *quoted, const double *expected,
                size_t count, double tolerance);
size_t numbers_of(const char *text, double *numbers, size_t count_max); /* all numbers of a nested array */

/* A problem document with all that belongs to it. `slug`: one, or several with | between. `pointer` NULL: absent; a * at its
 * end stands for anything. `word` NULL: any detail. */
void check_problem_in(const char *name, const struct answer *answer, int status, const char *slug, const char *pointer,
                      long long offset, const char *word);
struct answer check_problem(struct child *child, const char *name, const char *path, const char *quoted, int status,
                            const char *slug, const char *pointer, long long offset, const char *word);

#endif
