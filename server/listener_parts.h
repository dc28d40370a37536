/* SPDX-License-Identifier: MIT */
/* What the files of the listener share. Threads: the I/O threads are libmicrohttpd's, and a connection belongs to one of them;
 * the watch thread accepts, looks at the clock, and hears of callers that hang up; workers of the pool end jobs.
 *
 * Locks: listener->lock (the table of connections), then connection->lock; never the other way round. libmicrohttpd closes a
 * descriptor only after the connection has left the table, so under listener->lock a descriptor in the table is still ours. */
#ifndef SERVER_LISTENER_PARTS_H
#define SERVER_LISTENER_PARTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/access.h"
#include "server/address.h"
#include "server/daemon.h"
#include "server/listener_guard.h"
#include "server/request.h"
#include "server/response.h"
#include "server/router.h"

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;
struct listener;

/* ---- Connections: listener_connection.c ------------------------------------------------------------------------ */

enum connection_phase {
    PHASE_WAITING, /* for a request; `began_ns` is set once a byte of it was seen */
    PHASE_READING, /* the request line is known */
    PHASE_WORKING, /* a job runs, the connection is suspended */
    PHASE_SENDING,
};

enum connection_memory { MEMORY_NONE, MEMORY_FREE, MEMORY_CHARGED };

struct connection {
    struct listener *listener;
    int descriptor;
    uint32_t generation; /* tells it from another on the same descriptor */
    bool is_tcp, only_metrics;
    bool started; /* libmicrohttpd has taken it over; guarded, as `counted`, by listener->lock */
    _Atomic bool counted; /* it is one of max_connections; once true, it stays so */
    char peer[ADDRESS_TEXT_MAX]; /* the caller's address without its port */

    pthread_mutex_t lock; /* guards what follows */
    enum connection_phase phase;
    uint64_t since_ns; /* when the phase began, or when bytes last moved in it */
    uint64_t began_ns; /* the first byte of the request; 0: not seen */
    uint64_t look_ns; /* PHASE_WAITING: no need to ask the kernel before */
    uint64_t moved; /* PHASE_SENDING: what the caller had taken at since_ns */
    bool answered; /* it has had an answer already */
    bool silent; /* the last look found that nothing has come for too long */
    uint64_t silent_ns; /* since when each look of a drain has found nothing to read; 0: the last one found something */
    bool blocked; /* PHASE_SENDING: the next piece is not ready, so no progress is expected of the caller */
    bool gone; /* the caller has closed its sending side */
    bool cut; /* closed by us: nothing more may be written */
    bool linger; /* after the end, read on for a while, so that a reset does not overtake the answer */
    unsigned cut_status; /* what was answered at the cut; 0: nothing */
    _Atomic int kept; /* enum connection_memory, see connection_keep; once decided, it stays so */
    struct arena memory; /* what it is charged with, once it has had a request */
    struct job *job; /* PHASE_WORKING: to be cancelled when the caller goes */
    char id[sizeof((struct request *)0)->id];
};

/* A socket that listens. */
struct door {
    int descriptor; /* -1: closed */
    struct address address;
    bool only_metrics, inherited; /* inherited: from systemd */
    dev_t device; /* of a Unix socket's file, to remove no other than our own */
    ino_t inode;
};

/* The descriptor of a closed connection whose caller may still be writing. */
struct lingerer {
    int descriptor;
    uint64_t until_ns, bytes_left;
};

enum listener_mode {
    LISTENER_OPEN,
    LISTENER_DRAINING, /* accepts nothing, closes what is idle */
    LISTENER_CUTTING, /* closes everything */
    LISTENER_STOPPING, /* the watch thread is to end */
};

enum { DOORS_MAX = 64, LINGERERS_MAX = 256 };

struct listener {
    struct daemon *daemon;
    struct access *access;
    struct MHD_Daemon *library;
    bool is_tls;
    struct door doors[DOORS_MAX];
    unsigned door_count;
    struct memory_budget
        reserve; /* for the few bytes of a request when the daemon's own budget is used up: health, refusals */
    size_t descriptors_max, connections_max; /* of the system; what of max_connections that allows */

    pthread_t watcher;
    int epoll, wake;
    bool watching;
    bool exhausted; /* no descriptor was left at the last look for newcomers; the watch thread's own */
    _Atomic int mode; /* enum listener_mode */
    _Atomic bool doors_closed;
    _Atomic uint64_t rounds; /* of the watch thread */
    uint64_t rounds_seen; /* by listener_is_alive */
    _Atomic size_t suspended; /* connections between MHD_suspend_connection and the end of MHD_resume_connection */

    pthread_mutex_t lock; /* guards what follows */
    struct connection **table; /* by descriptor */
    size_t table_end; /* no connection at or above it */
    size_t open, counted;
    uint32_t generation;
    size_t kept_free; /* connections with MEMORY_FREE */
    struct lingerer lingerers[LINGERERS_MAX];
    size_t lingerer_count;
};

/* Puts a connection that was just accepted into the table; false where it cannot be had. */
bool connection_enter(struct listener *listener, int descriptor, const struct address *peer, const struct door *door);
/* The callback of MHD_OPTION_NOTIFY_CONNECTION, less its library: taken over, and closed. */
struct connection *connection_start(struct listener *listener, int descriptor);
void connection_end(struct connection *connection);
void connection_forget(struct listener *listener, int descriptor); /* never taken over */
/* Whether it is within max_connections and max_connections_per_ip, by now. */
bool connection_is_counted(struct connection *connection);
/* The library holds CONNECTION_BYTES for each connection that has had a request, and zeroes all of them after each one, which a
 * tiny request feels. They hold 32 KiB of headers where those are not many small ones: each takes 64 bytes more. A few hundred
 * connections may have them as part of the daemon itself; the others are charged. False: there is no memory to keep it open after
 * this answer. */
enum { CONNECTION_BYTES = 56 << 10, RESERVE_BYTES = 8 << 20 };
bool connection_keep(struct connection *connection);

/* Closes it; with an error, that problem is written first where nothing else can be on its way (connection->lock is held). */
void connection_cut(struct connection *connection, const struct convolve_error *error);
/* Looks at the clock for one connection (listener->lock and connection->lock are held). */
void connection_judge(struct connection *connection, const struct config *config, enum listener_mode mode,
                      uint64_t now);
void connection_hang_up(struct connection *connection); /* the caller is gone */
/* How often to look, so that no deadline is missed by much. */
uint64_t connection_look_every_ns(const struct config *config);

/* ---- The watch thread: listener_watch.c ------------------------------------------------------------------------ */

bool watch_start(struct listener *listener, char *error, size_t error_bytes);
void watch_wake(struct listener *listener);
void watch_stop(struct listener *listener);
bool watch_connection(struct listener *listener, const struct connection *connection);

/* ---- Listening sockets: listener_socket.c ---------------------------------------------------------------------- */

bool doors_open(struct listener *listener, char *error, size_t error_bytes);
void door_close(struct door *door);

/* ---- One request and its answer: listener_request.c, _admit.c, _body.c, _line.c, _send.c, _stream.c ------------- */

struct stream;

struct exchange {
    struct request request;
    struct connection *connection;
    struct MHD_Connection *library;
    _Atomic unsigned holders; /* the library's request, its response, each job that runs */
    const char *version;
    struct guard_framing framing;
    struct router_match match;
    struct access_rate rate;
    struct response response;
    struct stream *stream;
    struct gzip_reader *unpack; /* of a body that is packed */
    uint64_t unpacked_bytes;
    bool begun; /* the headers are known */
    bool failed; /* request.error is the answer; what is left of the body is thrown away */
    bool close; /* the connection is to be closed after the answer */
    bool answered, submitted, refused;
    bool completed; /* the job has ended and the response is made; else request.error is the answer */
    bool options;
    bool has_turn; /* this and `behind`: listener_line.c, on the connection's thread */
    struct exchange *behind;
};

struct exchange *exchange_create(struct connection *connection, const char *target);
void exchange_hold(struct exchange *exchange);
void exchange_drop(struct exchange *exchange);

/* Everything that is decided before the body, in the contract's order of faults. False: request.error is the answer;
 * `*at_once` tells that it is not worth reading the body for. */
bool exchange_admit(struct exchange *exchange, bool *at_once);
uint64_t
exchange_body_max(const struct exchange *exchange); /* max_body_bytes, and what is read beyond it to throw away */

/* The body to the endpoint, unpacked where exchange_unpack was called before (listener_body.c). False: request.error is the answer. */
bool exchange_unpack(struct exchange *exchange, struct convolve_error *error);
bool exchange_feed(struct exchange *exchange, const char *bytes, size_t count);
bool exchange_feed_end(struct exchange *exchange);

/* Queues exchange->response, or the problem in request.error; on the connection's thread. False: to be closed. */
bool exchange_send(struct exchange *exchange);
bool exchange_send_problem(struct exchange *exchange);

struct MHD_Response *stream_open(struct exchange *exchange); /* NULL: no memory */
void stream_close(struct stream *stream); /* when nobody holds the exchange any more; NULL is fine */

/* Large ones of one thread take turns (listener_line.c): after a large piece of a body was read, which may suspend; before a piece
 * of an answer is made (true: suspended until it is asked again); at the end of each request. */
void line_after_piece(struct exchange *exchange);
bool line_before_piece(struct exchange *exchange);
void line_leave(struct exchange *exchange);

/* Suspends, and lets a thread of the pool resume it. */
void exchange_suspend(struct exchange *exchange);
void exchange_resume(struct exchange *exchange);

#endif
