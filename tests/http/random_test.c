/* SPDX-License-Identifier: MIT */
/* Random requests over every member, answered by the daemon and by the definition (core/explain.h) linked into this program:
 * the same bits, each number in its shortest text. Then the same requests from four threads at once: the same answers.
 * TEST_SEED chooses others than usual; a failure prints the request. */
#include "tests/http/random_case.h"

#include <pthread.h>
#include <stdlib.h>

enum { REQUEST_COUNT = 300, THREAD_COUNT = 4 };

static struct answer ask(const struct request_case *request, void *curl)
{
    return http_call(daemon_child,
                     &(struct call){.path = random_case_path(request), .body = request->body, .curl = curl});
}

struct worker {
    pthread_t thread;
    const struct request_case *requests;
    unsigned number;
};

/* Every request, each thread from another place on, so that different ones meet. */
static void *work(void *context)
{
    const struct worker *worker = context;
    void *curl = curl_new();
    for (unsigned i = 0; i < REQUEST_COUNT; i++) {
        const struct request_case *request =
            &worker->requests[(i + worker->number * REQUEST_COUNT / THREAD_COUNT) % REQUEST_COUNT];
        struct answer answer = ask(request, curl);
        check_number(request->name, "status beside others", answer.status, request->answer.status);
        if (answer.status == 200)
            check_text(request->name, "answer beside others", answer.body, request->answer.body);
    }
    curl_free_handle(curl);
    return NULL;
}

static void random_requests(void **state)
{
    (void)state;
    const char *seed = getenv("TEST_SEED");
    random_seed(seed ? strtoull(seed, NULL, 0) : 20240611);
    struct request_case *requests = calloc(REQUEST_COUNT, sizeof *requests);
    assert_non_null(requests);
    unsigned answered = 0;
    for (unsigned i = 0; i < REQUEST_COUNT; i++) {
        random_case_make(&requests[i]);
        requests[i].name = textf("request %u, %.700s", i, requests[i].body);
        requests[i].answer = ask(&requests[i], NULL);
        answered += requests[i].answer.status == 200;
        random_case_compare(&requests[i]);
    }
    if (answered < REQUEST_COUNT / 2)
        complain("random requests", "only %u of %u were right", answered, (unsigned)REQUEST_COUNT);
    struct worker workers[THREAD_COUNT];
    for (unsigned i = 0; i < THREAD_COUNT; i++) {
        workers[i] = (struct worker){.requests = requests, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREAD_COUNT; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < REQUEST_COUNT; i++)
        random_case_release(&requests[i]);
    free(requests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(random_requests),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
