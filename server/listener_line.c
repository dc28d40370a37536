/* SPDX-License-Identifier: MIT */
/* Large requests of one I/O thread take turns. libmicrohttpd handles every connection that is ready once a round, the newest last,
 * so a tiny request waited for a piece of each large one. Here a large one that has had a piece is suspended while others are
 * under way, and each piece lets the next one in: a round has one piece of all of them. So a tiny one waits for one or two.
 *
 * What must hold: where somebody waits, one is on its way (`line.given`), and libmicrohttpd is certain to call it, or that line
 * would stand still. It is certain for a sender, whom libmicrohttpd asks for the next piece at once; for a reader where bytes of
 * its body are there. A reader without any leaves the line: it costs nothing until some come. Bytes that TLS has unpacked cannot be
 * seen from outside, so under TLS there is no line. */
#include <sys/socket.h>

#include "server/listener_parts.h"

/* As long as another large one had a piece of late, there are several. */
enum { LATELY_NS = 2 * 1000 * 1000 };

static _Thread_local struct {
    struct exchange *first, *last; /* suspended */
    bool given; /* one is resumed for its turn and was not called since */
    const struct exchange *latest; /* who had the latest piece; only compared */
    uint64_t latest_ns;
} line;

static void join(struct exchange *exchange)
{
    exchange->behind = NULL;
    *(line.first == NULL ? &line.first : &line.last->behind) = exchange;
    line.last = exchange;
    exchange_suspend(exchange);
}

static bool has_bytes(const struct exchange *exchange)
{
    char byte;
    return recv(exchange->connection->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static void give_turn(void)
{
    while (!line.given && line.first != NULL) {
        struct exchange *next = line.first;
        line.first = next->behind;
        line.given = next->has_turn = next->answered || has_bytes(next);
        exchange_resume(next);
    }
}

/* Whether the call that has just come is the one that was promised. */
static bool take_turn(struct exchange *exchange)
{
    const bool had = exchange->has_turn;
    exchange->has_turn = false;
    line.given = line.given && !had;
    return had;
}

static bool others_are_under_way(const struct exchange *exchange, uint64_t now)
{
    const bool others = line.latest != exchange && line.latest != NULL && now - line.latest_ns < LATELY_NS;
    line.latest = exchange;
    line.latest_ns = now;
    return others;
}

/* To the end of this round, as the one whose turn comes next. */
static void go_next(struct exchange *exchange)
{
    line.given = exchange->has_turn = true;
    exchange_suspend(exchange);
    exchange_resume(exchange);
}

void line_after_piece(struct exchange *exchange)
{
    const struct guard_framing *framing = &exchange->framing;
    const bool had_turn = take_turn(exchange);
    const bool goes_on = framing->has_length && !framing->chunked && exchange->request.body_bytes < framing->length;

    if (exchange->connection->listener->is_tls)
        return;
    if (had_turn)
        give_turn();
    const bool others = others_are_under_way(exchange, exchange->request.lap_ns);
    if (goes_on && line.given)
        join(exchange);
    else if (goes_on && others && !had_turn && has_bytes(exchange))
        go_next(exchange);
}

bool line_before_piece(struct exchange *exchange)
{
    if (exchange->connection->listener->is_tls)
        return false;
    const bool had_turn = take_turn(exchange);
    if (had_turn) {
        give_turn();
    } else if (line.given) {
        join(exchange);
        return true;
    }
    const bool others = others_are_under_way(exchange, clock_now_ns());
    if (had_turn || !others)
        return false;
    go_next(exchange);
    return true;
}

void line_leave(struct exchange *exchange)
{
    if (line.latest == exchange)
        line.latest = NULL;
    if (take_turn(exchange))
        give_turn();
}
