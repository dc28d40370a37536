/* SPDX-License-Identifier: MIT */
/* Counters and histograms, and the page that shows them. Threads count in shards, so that they do not fight over cache lines: the
 * first few have one each, the others share the rest. The page adds the shards up. Sums are kept in nanoseconds and printed as exact decimals, so no locale and no
 * rounding has a say. The label `path` only takes what routes.def holds, so the page has a bounded length. */
#include "server/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/convolve.h"
#include "server/daemon.h"
#include "server/pool.h"
#include "server/request.h"

enum { SHARD_COUNT = 16, OWNED_COUNT = 8, ROUTE_COUNT_MAX = 63 };

/* Upper ends of the histograms' buckets, as numbers and as text. */
static const struct {
    uint64_t ns;
    const char *seconds;
} buckets[] = {
    {50000, "0.00005"},  {100000, "0.0001"},  {250000, "0.00025"}, {500000, "0.0005"},  {1000000, "0.001"},
    {2500000, "0.0025"}, {5000000, "0.005"},  {10000000, "0.01"},  {25000000, "0.025"}, {50000000, "0.05"},
    {100000000, "0.1"},  {250000000, "0.25"}, {500000000, "0.5"},  {1000000000, "1"},   {2500000000, "2.5"},
    {5000000000, "5"},   {10000000000, "10"}, {30000000000, "30"}, {60000000000, "60"},
};
enum { BUCKET_COUNT = sizeof buckets / sizeof *buckets };

static const unsigned statuses[] = {200, 204, 304, 400, 401, 404, 405, 406, 408, 413,
                                    415, 422, 429, 431, 499, 500, 503, 504, 0 /* any other */};
enum { STATUS_COUNT = sizeof statuses / sizeof *statuses };

static const char *const phase_names[] = {"decode", "queue", "compute", "encode"};
enum { PHASE_COUNT = sizeof phase_names / sizeof *phase_names };

struct histogram {
    _Atomic uint64_t counts[BUCKET_COUNT + 1]; /* not cumulative; the last one is beyond all */
    _Atomic uint64_t sum_ns;
};

static struct shard {
    _Alignas(CACHE_LINE_BYTES) _Atomic uint64_t requests[ROUTE_COUNT_MAX + 1][STATUS_COUNT];
    struct histogram duration, phases[PHASE_COUNT];
    _Atomic uint64_t cancelled, multiply_adds;
    _Atomic uint64_t in_flight; /* of one shard it may be less than 0: the sum of all, modulo 2^64, is right */
} shards[SHARD_COUNT];

/* Routes in the order they were first asked for; the last place of `requests` is for whatever has no route. */
static const char *_Atomic routes[ROUTE_COUNT_MAX];

/* ---- Counting -------------------------------------------------------------------------------------------------- */

static _Thread_local struct shard *own;
static _Thread_local bool is_owned; /* nobody else writes there */

static struct shard *own_shard(void)
{
    static _Atomic unsigned next;
    if (own == NULL) {
        const unsigned ticket = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
        is_owned = ticket < OWNED_COUNT;
        own = &shards[is_owned ? ticket : OWNED_COUNT + ticket % (SHARD_COUNT - OWNED_COUNT)];
    }
    return own;
}

/* Of this thread's shard. */
static void count(_Atomic uint64_t *counter, uint64_t more)
{
    if (is_owned)
        atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                              memory_order_relaxed);
    else
        atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

static size_t route_index(const char *route)
{
    const char *known;
    for (size_t i = 0; i < ROUTE_COUNT_MAX && (known = atomic_load_explicit(&routes[i], memory_order_acquire)); i++)
        if (known == route) /* as it is for all that the router finds */
            return i;
    for (size_t i = 0; route != NULL && i < ROUTE_COUNT_MAX; i++) {
        known = atomic_load_explicit(&routes[i], memory_order_acquire);
        if (known == NULL && atomic_compare_exchange_strong(&routes[i], &known, route))
            return i;
        if (strcmp(known, route) == 0)
            return i;
    }
    return ROUTE_COUNT_MAX;
}

static size_t status_index(unsigned status)
{
    size_t i = 0;
    while (i < STATUS_COUNT - 1 && statuses[i] != status)
        i++;
    return i;
}

static void histogram_add(struct histogram *histogram, uint64_t ns)
{
    size_t i = 0;
    while (i < BUCKET_COUNT && ns > buckets[i].ns)
        i++;
    count(&histogram->counts[i], 1);
    count(&histogram->sum_ns, ns);
}

void metrics_count_begun(void)
{
    count(&own_shard()->in_flight, 1);
}

void metrics_count_ended(void)
{
    count(&own_shard()->in_flight, UINT64_MAX);
}

void metrics_count_request(const struct request *request)
{
    struct shard *shard = own_shard();
    const uint64_t phases_ns[PHASE_COUNT] = {request->decode_ns, request->queue_ns, request->compute_ns,
                                             request->encode_ns};
    count(&shard->requests[route_index(request->route)][status_index(request->status)], 1);
    histogram_add(&shard->duration, request->ended_ns - request->began_ns);
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        if (phases_ns[i] > 0)
            histogram_add(&shard->phases[i], phases_ns[i]);
    }
}

void metrics_count_cancelled(void)
{
    count(&own_shard()->cancelled, 1);
}

void metrics_add_work(uint64_t multiply_adds)
{
    count(&own_shard()->multiply_adds, multiply_adds);
}

/* ---- The page -------------------------------------------------------------------------------------------------- */

struct page {
    const struct daemon *daemon;
    char *out;
    size_t room, bytes; /* bytes: written, or needed where that is more than room */
};

static void page_print(struct page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void page_print(struct page *page, const char *format, ...)
{
    const size_t left = page->bytes < page->room ? page->room - page->bytes : 0;
    va_list arguments;
    va_start(arguments, format);
    const int bytes = vsnprintf(left > 0 ? page->out + page->bytes : NULL, left, format, arguments);
    va_end(arguments);
    if (bytes > 0)
        page->bytes += (size_t)bytes;
}

/* The sum over all shards of the member at `offset`. */
static uint64_t total_at(size_t offset)
{
    uint64_t total = 0;
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        _Atomic uint64_t *counter = (_Atomic uint64_t *)((char *)&shards[i] + offset);
        total += atomic_load_explicit(counter, memory_order_relaxed);
    }
    return total;
}

static size_t offset_of(const void *member_of_first_shard)
{
    return (size_t)((const char *)member_of_first_shard - (const char *)&shards[0]);
}

static void print_seconds(struct page *page, uint64_t ns)
{
    page_print(page, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static void print_value(struct page *page, const char *name, uint64_t value)
{
    page_print(page, "convolved_%s %" PRIu64 "\n", name, value);
}

/* `label` is empty or one label; the number of all is the last bucket's, so that both always agree. */
static void print_histogram(struct page *page, const char *name, const char *label, const struct histogram *first)
{
    const char *comma = label[0] != '\0' ? "," : "", *open = label[0] != '\0' ? "{" : "",
               *close = label[0] != '\0' ? "}" : "";
    uint64_t below = 0;
    for (size_t i = 0; i <= BUCKET_COUNT; i++) {
        below += total_at(offset_of(&first->counts[i]));
        page_print(page, "convolved_%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, label, comma,
                   i < BUCKET_COUNT ? buckets[i].seconds : "+Inf", below);
    }
    page_print(page, "convolved_%s_sum%s%s%s ", name, open, label, close);
    print_seconds(page, total_at(offset_of(&first->sum_ns)));
    page_print(page, "convolved_%s_count%s%s%s %" PRIu64 "\n", name, open, label, close, below);
}

static void write_build_info(struct page *page, const char *name)
{
    page_print(page, "convolved_%s{version=\"%s\",simd=\"%s\"} 1\n", name, CONVOLVED_VERSION, convolve_simd_name());
}

static void write_requests_total(struct page *page, const char *name)
{
    for (size_t route = 0; route <= ROUTE_COUNT_MAX; route++) {
        const char *path =
            route < ROUTE_COUNT_MAX ? atomic_load_explicit(&routes[route], memory_order_acquire) : "other";
        for (size_t i = 0; path != NULL && i < STATUS_COUNT; i++) {
            const uint64_t total = total_at(offset_of(&shards[0].requests[route][i]));
            char status[12] = "other";
            if (statuses[i] != 0)
                snprintf(status, sizeof status, "%u", statuses[i]);
            if (total > 0)
                page_print(page, "convolved_%s{path=\"%s\",status=\"%s\"} %" PRIu64 "\n", name, path, status, total);
        }
    }
}

static void write_request_duration_seconds(struct page *page, const char *name)
{
    print_histogram(page, name, "", &shards[0].duration);
}

static void write_phase_duration_seconds(struct page *page, const char *name)
{
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        char label[32];
        snprintf(label, sizeof label, "phase=\"%s\"", phase_names[i]);
        print_histogram(page, name, label, &shards[0].phases[i]);
    }
}

static void write_queue_depth(struct page *page, const char *name)
{
    print_value(page, name, page->daemon->pool != NULL ? pool_queued(page->daemon->pool) : 0);
}

static void write_in_flight(struct page *page, const char *name)
{
    print_value(page, name, total_at(offset_of(&shards[0].in_flight)));
}

static void write_cancelled_total(struct page *page, const char *name)
{
    print_value(page, name, total_at(offset_of(&shards[0].cancelled)));
}

static void write_multiply_adds_total(struct page *page, const char *name)
{
    print_value(page, name, total_at(offset_of(&shards[0].multiply_adds)));
}

static void write_memory_bytes(struct page *page, const char *name)
{
    print_value(page, name, page->daemon->budget.used);
}

static void write_memory_limit_bytes(struct page *page, const char *name)
{
    print_value(page, name, page->daemon->budget.limit);
}

static void write_connections(struct page *page, const char *name)
{
    print_value(page, name, page->daemon->connections);
}

size_t metrics_write(const struct daemon *daemon, char *out, size_t bytes)
{
    static const struct {
        const char *name, *type, *help;
        void (*write)(struct page *page, const char *name);
    } metrics[] = {
#define METRIC(name, type, help) {#name, type, help, write_##name},
#include "server/metrics.def"
#undef METRIC
    };
    struct page page = {.daemon = daemon, .out = out, .room = bytes};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        page_print(&page, "# HELP convolved_%s %s\n# TYPE convolved_%s %s\n", metrics[i].name, metrics[i].help,
                   metrics[i].name, metrics[i].type);
        metrics[i].write(&page, metrics[i].name);
    }
    return page.bytes;
}
