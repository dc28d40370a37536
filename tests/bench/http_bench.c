/* SPDX-License-Identifier: MIT */
/* The daemon over loopback. Tiny requests: how many a second, beside a bare libmicrohttpd that answers the same bytes at once,
 * in turn, medians of the rounds. A large request: what its phases take. wrk makes the load. */
#include <curl/curl.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 5, LARGE_ROUNDS = 7, SIDE = 1024, KERNEL_SIDE = 5 };

static const char tiny_body[] =
    "{\"input\":[[3,0,1,2,7,4],[1,5,8,9,3,1],[2,7,2,5,1,3],[0,1,3,1,7,8],[4,2,1,6,2,8],[2,4,5,2,3,9]],"
    "\"kernel\":[[1,0,-1],[1,0,-1],[1,0,-1]],\"mode\":\"valid\"}";

struct text {
    char *bytes;
    size_t count;
};

static void die(const char *what)
{
    fprintf(stderr, "http_bench: %s\n", what);
    exit(1);
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/* ---- The two servers --------------------------------------------------------------------------------------------- */

/* Starts the daemon on a free port, its log thrown away; reads the port from the line it prints. */
static pid_t start_daemon(const char *program, unsigned *port)
{
    int out[2];
    if (pipe(out) != 0)
        die("pipe");
    const pid_t child = fork();
    if (child == 0) {
        dup2(out[1], 1);
        if (!freopen("/dev/null", "w", stderr))
            _exit(127);
        execl(program, program, "--listen", "127.0.0.1:0", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *lines = fdopen(out[0], "r");
    if (child < 0 || !lines || fscanf(lines, "listening on http://127.0.0.1:%u", port) != 1)
        die("the daemon did not start");
    fclose(lines);
    return child;
}

static struct text fixed;

static enum MHD_Result answer_fixed(void *context, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *bytes, size_t *count,
                                    void **slot)
{
    (void)context, (void)url, (void)method, (void)version, (void)bytes;
    if (!*slot) {
        *slot = &fixed;
        return MHD_YES;
    }
    if (*count) {
        *count = 0;
        return MHD_YES;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(fixed.count, fixed.bytes, MHD_RESPMEM_PERSISTENT);
    const enum MHD_Result result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

static struct MHD_Daemon *start_bare(unsigned *port)
{
    struct MHD_Daemon *bare = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer_fixed, NULL,
                                               MHD_OPTION_THREAD_POOL_SIZE, 2u, MHD_OPTION_END);
    const union MHD_DaemonInfo *info = bare ? MHD_get_daemon_info(bare, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info)
        die("the bare server did not start");
    *port = info->port;
    return bare;
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

static size_t collect(char *bytes, size_t size, size_t count, void *context)
{
    struct text *text = context;
    char *grown = realloc(text->bytes, text->count + size * count + 1);
    if (!grown)
        return 0;
    memcpy(grown + text->count, bytes, size * count);
    text->bytes = grown;
    text->count += size * count;
    grown[text->count] = 0;
    return size * count;
}

static double post(unsigned port, const struct text *body, struct text *answer, struct text *headers)
{
    char url[64];
    double seconds = 0;
    long status = 0;
    CURL *curl = curl_easy_init();
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/correlate", port);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->bytes);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->count);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, headers);
    if (curl_easy_perform(curl) != CURLE_OK)
        die("a request failed");
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &seconds);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        die("an answer was not 200");
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
    return seconds;
}

static double requests_per_second(unsigned port, unsigned connections, const char *script)
{
    char command[256], line[256];
    double rate = 0;

    snprintf(command, sizeof command, "wrk -t1 -c%u -d1s -s %s http://127.0.0.1:%u/v1/correlate", connections, script,
             port);
    FILE *output = popen(command, "r");
    if (!output)
        die("wrk cannot be started");
    while (fgets(line, sizeof line, output)) {
        sscanf(line, "Requests/sec: %lf", &rate);
        if (strstr(line, "Non-2xx"))
            die("an answer under load was not 200");
    }
    pclose(output);
    return rate;
}

static void bench_tiny(unsigned ours, unsigned bare, const char *script)
{
    static const unsigned connections[] = {1, 8, 64};

    printf("6 x 6 * 3 x 3, requests a second (median of %d)\n", ROUNDS);
    printf("%12s %12s %12s %8s\n", "connections", "convolved", "bare", "ratio");
    for (size_t i = 0; i < sizeof connections / sizeof *connections; i++) {
        double our_rates[ROUNDS], bare_rates[ROUNDS], ratios[ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            our_rates[round] = requests_per_second(ours, connections[i], script);
            bare_rates[round] = requests_per_second(bare, connections[i], script);
            ratios[round] = bare_rates[round] > 0 ? our_rates[round] / bare_rates[round] : 0;
        }
        printf("%12u %12.0f %12.0f %8.2f\n", connections[i], median(our_rates, ROUNDS), median(bare_rates, ROUNDS),
               median(ratios, ROUNDS));
    }
}

/* ---- A large request --------------------------------------------------------------------------------------------- */

static struct text large_body(void)
{
    struct text body = {malloc((size_t)SIDE * SIDE * 12 + 4096), 0};
    if (!body.bytes)
        die("no memory");
    char *at = body.bytes + sprintf(body.bytes, "{\"dtype\":\"float32\",\"mode\":\"same\",\"input\":[");
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++)
            at += sprintf(at, "%s0.%06d", x ? "," : y ? ",[" : "[", rand() % 1000000);
        *at++ = ']';
    }
    at += sprintf(at, "],\"kernel\":[");
    for (int y = 0; y < KERNEL_SIDE; y++)
        at += sprintf(at, "%s[0.01,0.02,0.03,0.02,0.0%d]", y ? "," : "", y + 1);
    at += sprintf(at, "]}");
    body.count = (size_t)(at - body.bytes);
    return body;
}

static double phase_ms(const struct text *headers, const char *name)
{
    char pattern[32];
    snprintf(pattern, sizeof pattern, "%s;dur=", name);
    const char *at = headers->bytes ? strstr(headers->bytes, pattern) : NULL;
    return at ? atof(at + strlen(pattern)) : 0;
}

static long status_kib(pid_t process, const char *name)
{
    char path[64], line[128];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)process);
    FILE *status = fopen(path, "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, name, strlen(name)))
            kib = atol(line + strlen(name) + 1);
    if (status)
        fclose(status);
    return kib;
}

static void bench_large(pid_t process, unsigned port)
{
    static const char *const names[] = {"decode", "queue", "compute"};
    const struct text body = large_body();
    double whole[LARGE_ROUNDS], phases[3][LARGE_ROUNDS];
    const long idle_kib = status_kib(process, "VmRSS:");
    size_t answer_bytes = 0;

    for (int round = 0; round < LARGE_ROUNDS; round++) {
        struct text answer = {0}, headers = {0};
        whole[round] = post(port, &body, &answer, &headers) * 1e3;
        for (size_t i = 0; i < 3; i++)
            phases[i][round] = phase_ms(&headers, names[i]);
        answer_bytes = answer.count;
        free(answer.bytes);
        free(headers.bytes);
    }
    printf("\n%d x %d * %d x %d, float32, JSON both ways: %.1f MB there, %.1f MB back (median of %d)\n", SIDE, SIDE,
           KERNEL_SIDE, KERNEL_SIDE, (double)body.count / 1e6, (double)answer_bytes / 1e6, LARGE_ROUNDS);
    const double total = median(whole, LARGE_ROUNDS);
    double known = 0;
    for (size_t i = 0; i < 3; i++) {
        const double ms = median(phases[i], LARGE_ROUNDS);
        known += ms;
        printf("%24s %8.2f ms\n", names[i], ms);
    }
    printf("%24s %8.2f ms\n%24s %8.2f ms\n", "transfer and encode", total - known, "whole", total);
    const double tensors = 4.0 * (2.0 * SIDE * SIDE + KERNEL_SIDE * KERNEL_SIDE);
    printf("%24s %8.2f times its tensors\n", "resident at most, beyond idle",
           (double)(status_kib(process, "VmHWM:") - idle_kib) * 1024 / tensors);
    free(body.bytes);
}

int main(int argc, char **argv)
{
    const char *program = getenv("CONVOLVED") ? getenv("CONVOLVED") : argc > 1 ? argv[1] : "build/convolved";
    const struct text tiny = {(char *)(size_t)tiny_body, sizeof tiny_body - 1};
    struct text headers = {0};
    char script[] = "/tmp/convolved-bench-XXXXXX";
    unsigned ours, bare_port;

    if (system("command -v wrk >/dev/null") != 0)
        die("wrk is not installed");
    signal(SIGPIPE, SIG_IGN);
    const pid_t process = start_daemon(program, &ours);
    post(ours, &tiny, &fixed, &headers);
    struct MHD_Daemon *bare = start_bare(&bare_port);

    FILE *lua = fdopen(mkstemp(script), "w");
    if (!lua)
        die("no temporary file");
    fprintf(lua, "wrk.method = \"POST\"\nwrk.body = [==[%s]==]\n", tiny_body);
    fclose(lua);
    bench_tiny(ours, bare_port, script);
    unlink(script);
    bench_large(process, ours);

    MHD_stop_daemon(bare);
    kill(process, SIGTERM);
    waitpid(process, NULL, 0);
    free(headers.bytes);
    free(fixed.bytes);
    return 0;
}
