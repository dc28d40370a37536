/* SPDX-License-Identifier: MIT */
/* One request from its request line to the log: what libmicrohttpd calls, and in which order. Its handler is called once when the
 * headers are known, once for each piece of the body, and again when the body is whole, until an answer is queued; an answer
 * that is queued at the first call closes the connection, so that call queues only what has to be said at once. */
#include "server/listener_request.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "server/endpoint.h"
#include "server/listener_parts.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/turns.h"

enum { INLINE_FREE_BYTES = 1 << 20, LARGE_PIECE_BYTES = 8 << 10 };

/* ---- Life -------------------------------------------------------------------------------------------------------- */

/* An exchange lies in its own request's arena, so that the first memory it takes is all it takes. */
static struct exchange *exchange_place(struct memory_budget *budget, const char *target)
{
    struct arena arena;
    arena_init(&arena, budget);
    struct exchange *exchange = arena_alloc(&arena, sizeof *exchange);
    const char *path = exchange != NULL ? arena_copy_text(&arena, target, strlen(target)) : NULL;
    if (path == NULL) {
        arena_release(&arena);
        return NULL;
    }
    memset(exchange, 0, sizeof *exchange);
    exchange->request.arena = arena;
    exchange->request.path = path;
    return exchange;
}

struct exchange *exchange_create(struct connection *connection, const char *target)
{
    struct listener *listener = connection->listener;
    if (target == NULL)
        target = "";
    struct exchange *exchange = exchange_place(&listener->daemon->budget, target);
    if (exchange == NULL) /* the memory is all used: health is answered still, and the rest refused in words */
        exchange = exchange_place(&listener->reserve, target);
    if (exchange == NULL)
        return NULL;
    struct request *request = &exchange->request;
    request->daemon = listener->daemon;
    request->connection = connection;
    request->error_offset = -1;
    request->method = "";
    request->client = connection->peer;
    exchange->connection = connection;
    atomic_init(&exchange->holders, 1);
    return exchange;
}

void exchange_hold(struct exchange *exchange)
{
    atomic_fetch_add_explicit(&exchange->holders, 1, memory_order_relaxed);
}

static void exchange_free(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    if (request->endpoint != NULL && request->endpoint->release != NULL)
        request->endpoint->release(request);
    stream_close(exchange->stream);
    free(request->problem_text);
    struct arena arena = request->arena; /* which holds the exchange too */
    arena_release(&arena);
}

static struct exchange *exchange_of(struct job *job)
{
    return (struct exchange *)((char *)job - offsetof(struct exchange, request.job));
}

static void free_done(struct job *job)
{
    exchange_free(exchange_of(job));
}

/* Giving much memory back takes as long as many tiny requests do, so the pool does it. */
void exchange_drop(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    if (atomic_fetch_sub_explicit(&exchange->holders, 1, memory_order_acq_rel) != 1)
        return;
    request->job = (struct job){.done = free_done, .follows = true};
    if (request->arena.charged < INLINE_FREE_BYTES || !pool_submit(request->daemon->pool, &request->job))
        exchange_free(exchange);
}

static void *request_begins(void *context, const char *target, struct MHD_Connection *library)
{
    struct connection *connection = connection_of(library);
    struct exchange *exchange = connection != NULL ? exchange_create(connection, target) : NULL;
    (void)context;

    if (exchange == NULL)
        return NULL;
    exchange->library = library;
    pthread_mutex_lock(&connection->lock);
    const uint64_t now = clock_now_ns();
    connection->phase = PHASE_READING;
    if (connection->began_ns == 0)
        connection->began_ns = now;
    connection->since_ns = now;
    connection->silent = false;
    connection->silent_ns = 0;
    connection->id[0] = '\0';
    exchange->request.began_ns = connection->began_ns;
    exchange->request.lap_ns = now;
    pthread_mutex_unlock(&connection->lock);
    return exchange;
}

/* The status for the log; 0: nothing that could be called a request. `library_status` is that of whatever answer the library had
 * in hand, ours or its own. */
static unsigned status_of(const struct exchange *exchange, enum MHD_RequestTerminationCode reason,
                          const struct connection *connection, unsigned library_status)
{
    /* The library may see a caller leave before the watch thread does. */
    const bool left = connection->gone || reason == MHD_REQUEST_TERMINATED_WITH_ERROR ||
                      reason == MHD_REQUEST_TERMINATED_READ_ERROR || reason == MHD_REQUEST_TERMINATED_CLIENT_ABORT;
    if (exchange->answered)
        return reason == MHD_REQUEST_TERMINATED_COMPLETED_OK || connection->cut || !left ? exchange->request.status
                                                                                         : 499;
    if (connection->cut_status != 0)
        return connection->cut_status;
    if (library_status != 0)
        return library_status;
    return exchange->begun ? 499 : 0;
}

static void request_ends(void *context, struct MHD_Connection *library, void **slot,
                         enum MHD_RequestTerminationCode reason)
{
    struct exchange *exchange = *slot;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(library, MHD_CONNECTION_INFO_HTTP_STATUS);
    (void)context;

    *slot = NULL;
    if (exchange == NULL)
        return;
    struct connection *connection = exchange->connection;
    struct request *request = &exchange->request;
    line_leave(exchange);
    pthread_mutex_lock(&connection->lock);
    request->status = status_of(exchange, reason, connection, info != NULL ? info->http_status : 0);
    connection->phase = PHASE_WAITING;
    connection->since_ns = request->ended_ns = clock_now_ns();
    connection->began_ns = connection->look_ns = 0;
    pthread_mutex_unlock(&connection->lock);

    if (request->status == 499)
        metrics_count_cancelled();
    if (request->status != 0) {
        log_request(request);
        metrics_count_request(request);
    }
    if (exchange->begun)
        metrics_count_ended();
    exchange_drop(exchange);
}

/* ---- Headers ----------------------------------------------------------------------------------------------------- */

struct collector {
    struct request_field *fields;
    size_t count, room;
};

static enum MHD_Result collect(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct collector *collector = context;
    (void)kind;
    if (collector->count < collector->room)
        collector->fields[collector->count++] = (struct request_field){name, value != NULL ? value : ""};
    return MHD_YES;
}

static bool collect_headers(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    const int count = MHD_get_connection_values(exchange->library, MHD_HEADER_KIND, NULL, NULL);
    struct collector collector = {.room = count > 0 ? (size_t)count : 0};

    collector.fields = arena_alloc(&request->arena, (collector.room + 1) * sizeof *collector.fields);
    if (collector.fields == NULL)
        return false;
    MHD_get_connection_values(exchange->library, MHD_HEADER_KIND, collect, &collector);
    request->headers = collector.fields;
    request->header_count = collector.count;
    return true;
}

/* False: the connection was closed by the clock or a drain. */
static bool note_headers(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    pthread_mutex_lock(&connection->lock);
    strcpy(connection->id, exchange->request.id);
    const bool open = !connection->cut;
    pthread_mutex_unlock(&connection->lock);
    return open;
}

/* A body that came whole needs no note for the clock, which asks the kernel when bytes came before it calls a caller silent. */
static bool note_body(struct exchange *exchange, bool whole)
{
    struct connection *connection = exchange->connection;
    exchange->request.lap_ns = clock_now_ns();
    if (whole)
        return true;
    pthread_mutex_lock(&connection->lock);
    connection->since_ns = exchange->request.lap_ns;
    const bool open = !connection->cut;
    pthread_mutex_unlock(&connection->lock);
    return open;
}

static enum MHD_Result as_result(bool fine)
{
    return fine ? MHD_YES : MHD_NO;
}

static enum MHD_Result headers_known(struct exchange *exchange, const char *method, const char *version)
{
    struct request *request = &exchange->request;
    bool at_once = true;

    exchange->begun = true;
    exchange->version = version;
    metrics_count_begun();
    request->method = arena_copy_text(&request->arena, method, strlen(method));
    if (request->method == NULL || !collect_headers(exchange)) {
        request->method = "";
        return MHD_NO;
    }
    request_identify(request);
    if (!note_headers(exchange))
        return MHD_NO;
    exchange->failed = !exchange_admit(exchange, &at_once);
    if (!connection_keep(exchange->connection))
        exchange->close = true;
    if (!exchange->failed)
        return MHD_YES;
    const bool has_body = exchange->framing.chunked || exchange->framing.length > 0;
    if (at_once && (has_body || exchange->close)) {
        exchange->close = true;
        return as_result(exchange_send_problem(exchange));
    }
    return MHD_YES;
}

/* ---- Body -------------------------------------------------------------------------------------------------------- */

static bool fail_body_size(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);
    convolve_fail(&request->error, "too-large", "",
                  "the body has %" PRIu64 " bytes or more, max_body_bytes allows %" PRIu64
                  "; cut the work into smaller pieces",
                  request->body_bytes, config->max_body_bytes);
    request->error.limit = "max_body_bytes";
    request->error.allowed = config->max_body_bytes;
    request->error.requested = request->body_bytes;
    return false;
}

/* A body that never ends: no answer can be queued in its middle, so it is written past the library. */
static enum MHD_Result give_up(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    fail_body_size(exchange);
    pthread_mutex_lock(&connection->lock);
    connection_cut(connection, &exchange->request.error);
    pthread_mutex_unlock(&connection->lock);
    return MHD_NO;
}

static enum MHD_Result body_piece(struct exchange *exchange, const char *bytes, size_t count)
{
    struct request *request = &exchange->request;
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);

    request->body_bytes += count;
    if (!note_body(exchange, request->body_bytes == count && exchange->framing.length == count))
        return MHD_NO;
    if (request->body_bytes > config->max_body_bytes && exchange->framing.chunked) {
        if (request->body_bytes > exchange_body_max(exchange))
            return give_up(exchange);
        if (!exchange->failed)
            exchange->failed = !fail_body_size(exchange);
    }
    if (!exchange->failed && request->endpoint != NULL && request->endpoint->feed != NULL)
        exchange->failed = !exchange_feed(exchange, bytes, count);
    return MHD_YES;
}

/* ---- Answer ------------------------------------------------------------------------------------------------------ */

void exchange_suspend(struct exchange *exchange)
{
    atomic_fetch_add(&exchange->connection->listener->suspended, 1);
    MHD_suspend_connection(exchange->library);
}

void exchange_resume(struct exchange *exchange)
{
    struct listener *listener = exchange->connection->listener; /* the connection may be gone once it is resumed */
    MHD_resume_connection(exchange->library);
    atomic_fetch_sub(&listener->suspended, 1);
}

/* The answer is made here too: tensors are large, and freeing them takes the time of many small requests. */
static void job_done(struct job *job)
{
    struct exchange *exchange = exchange_of(job);
    struct request *request = &exchange->request;
    if (!exchange->refused && atomic_load(&job->end) == JOB_COMPLETE)
        exchange->completed = request->endpoint->complete(request, &exchange->response, &request->error);
    pthread_mutex_lock(&exchange->connection->lock);
    exchange->connection->job = NULL;
    pthread_mutex_unlock(&exchange->connection->lock);
    exchange_resume(exchange);
    exchange_drop(exchange);
}

static enum MHD_Result submit(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    struct job *job = &exchange->request.job;

    job->done = job_done;
    if (job->deadline_ns == 0)
        job->deadline_ns = exchange->request.deadline_ns;
    pthread_mutex_lock(&connection->lock);
    const bool wanted = !connection->cut && !connection->gone;
    if (wanted) {
        connection->phase = PHASE_WORKING;
        connection->job = job;
    }
    pthread_mutex_unlock(&connection->lock);
    exchange->submitted = true;
    if (!wanted)
        return MHD_NO;
    exchange_hold(exchange);
    exchange_suspend(exchange);
    if (pool_submit(exchange->request.daemon->pool, job))
        return MHD_YES;
    exchange->refused = true;
    job_done(job);
    return MHD_YES;
}

static enum MHD_Result send_failure(struct exchange *exchange, const char *slug, const char *detail)
{
    convolve_fail(&exchange->request.error, slug, "", "%s", detail);
    return as_result(exchange_send_problem(exchange));
}

static enum MHD_Result job_ended(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    const enum job_end end = (enum job_end)atomic_load(&request->job.end);

    if (exchange->refused)
        return send_failure(exchange, "overloaded", "queue_depth requests wait or run already; try again in a moment");
    switch (end) {
    case JOB_COMPLETE:
        return as_result(exchange->completed ? exchange_send(exchange) : exchange_send_problem(exchange));
    case JOB_LATE:
        return send_failure(exchange, "deadline-exceeded", "the answer was not ready by the deadline");
    case JOB_FAILED:
        return send_failure(exchange, "overloaded", "there was no memory for a worker; try again in a moment");
    default:
        break;
    }
    if (atomic_load(&exchange->connection->listener->mode) < LISTENER_CUTTING)
        return MHD_NO; /* nobody waits for an answer */
    exchange->close = true;
    return send_failure(exchange, "draining", "the daemon is stopping and could not finish; repeat the request");
}

static enum MHD_Result body_whole(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);

    /* An announced end comes with the last piece, whose reading has just ended. */
    if (!exchange->framing.has_length || exchange->framing.length == 0)
        request->lap_ns = clock_now_ns();
    request->received_ns = request->lap_ns;
    request->deadline_ns = request->received_ns + config->request_timeout_ms * 1000000;
    if (exchange->failed || !exchange_feed_end(exchange))
        return as_result(exchange_send_problem(exchange));
    if (exchange->options) {
        response_options(&exchange->response, request, exchange->match.allow);
        return as_result(exchange_send(exchange));
    }
    switch (request->endpoint->answer(request, &exchange->response, &request->error)) {
    case ENDPOINT_ANSWERED:
        return as_result(exchange_send(exchange));
    case ENDPOINT_PENDING:
        return submit(exchange);
    default:
        return as_result(exchange_send_problem(exchange));
    }
}

static enum MHD_Result handle(void *context, struct MHD_Connection *library, const char *url, const char *method,
                              const char *version, const char *bytes, size_t *count, void **slot)
{
    struct exchange *exchange = *slot;
    (void)context, (void)library, (void)url;

    if (exchange == NULL)
        return MHD_NO;
    if (!exchange->begun)
        return headers_known(exchange, method, version);
    if (*count > 0) {
        const size_t given = *count;
        *count = 0;
        const enum MHD_Result result = body_piece(exchange, bytes, given);
        if (given >= LARGE_PIECE_BYTES)
            turns_give_way();
        if (result == MHD_YES && (given >= LARGE_PIECE_BYTES || exchange->has_turn))
            line_after_piece(exchange);
        return result;
    }
    if (exchange->answered)
        return MHD_YES;
    return exchange->submitted ? job_ended(exchange) : body_whole(exchange);
}

const struct request_callbacks request_callbacks = {request_begins, handle, request_ends};
