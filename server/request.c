/* SPDX-License-Identifier: MIT */
/* What a request's headers and target say: look-ups, the query, the id. Everything lives in the request's arena. */
#include "server/request.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "server/append.h"

enum { CALLER_ID_MAX = 128, QUERY_PARAMETERS_MAX = 4096 };

uint64_t clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t request_lap_ns(struct request *request)
{
    const uint64_t before = request->lap_ns;
    request->lap_ns = clock_now_ns();
    return request->lap_ns - before;
}

void request_bring_forward(struct request *request, uint64_t timeout_ms)
{
    if (timeout_ms == 0)
        return;
    const uint64_t deadline_ns = request->received_ns + timeout_ms * UINT64_C(1000000);
    if (deadline_ns > request->received_ns && deadline_ns < request->deadline_ns)
        request->deadline_ns = deadline_ns;
}

const char *request_header(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (request_field_is(&request->headers[i], name))
            return request->headers[i].value;
    return NULL;
}

size_t request_header_count(const struct request *request, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        count += request_field_is(&request->headers[i], name);
    return count;
}

bool request_query_at(const struct request *request, size_t index, const char **name, const char **value)
{
    if (index >= request->query_count)
        return false;
    *name = request->query[index].name;
    *value = request->query[index].value;
    return true;
}

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = digit != '\0' ? strchr(digits, digit | 0x20) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/* "+" is a space, %XX a byte; a NUL would cut the text, so %00 stays as it is and equals no name or value. */
static void decode_parameter(char *text)
{
    char *out = text;
    for (const char *in = text; *in != '\0'; in++) {
        const int high = *in == '%' ? hex_value(in[1]) : -1;
        const int low = high >= 0 ? hex_value(in[2]) : -1;
        if (low >= 0 && high * 16 + low != 0) {
            *out++ = (char)(high * 16 + low);
            in += 2;
        } else {
            *out++ = (char)(*in == '+' ? ' ' : *in);
        }
    }
    *out = '\0';
}

bool request_read_query(struct request *request, const char *text)
{
    size_t count = 1, used = 0;
    if (text[0] == '\0')
        return true;
    for (const char *at = text; *at != '\0'; at++)
        count += *at == '&';
    if (count > QUERY_PARAMETERS_MAX)
        count = QUERY_PARAMETERS_MAX;

    char *copy = arena_copy_text(&request->arena, text, strlen(text));
    struct request_field *fields = arena_alloc(&request->arena, count * sizeof *fields);
    if (copy == NULL || fields == NULL)
        return false;
    for (char *rest = copy, *name; used < count && (name = strsep(&rest, "&")) != NULL;) {
        if (name[0] == '\0')
            continue;
        char *value = strchr(name, '=');
        if (value != NULL)
            *value++ = '\0';
        else
            value = name + strlen(name);
        decode_parameter(name);
        decode_parameter(value);
        fields[used++] = (struct request_field){name, value};
    }
    request->query = fields;
    request->query_count = used;
    return true;
}

static bool is_sound_id(const char *id)
{
    const size_t bytes = strlen(id);
    return bytes >= 1 && bytes <= CALLER_ID_MAX &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == bytes;
}

/* "00-", 32 digits, "-", 16 digits, "-", 2 digits, hexadecimal in lower case, neither of the two longer numbers 0. A later version
 * may go on after another hyphen; what it adds is not kept. The length, or 0 where it is none. */
static size_t traceparent_bytes(const char *text)
{
    static const size_t parts[] = {2, 32, 16, 2};
    size_t at = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const size_t digits = strspn(text + at, "0123456789abcdef"), zeros = strspn(text + at, "0");
        if (digits != parts[i] || ((i == 1 || i == 2) && zeros >= digits) || (i == 0 && strncmp(text, "ff", 2) == 0))
            return 0;
        at += digits;
        if (i < 3 && text[at++] != '-')
            return 0;
    }
    const bool is_whole = text[at] == '\0' || (text[at] == '-' && strncmp(text, "00", 2) != 0);
    return is_whole ? at : 0;
}

/* Unique among daemons by a random number of the process, within it by a counter, of which each thread takes many at a time: they
 * would wait for one another at every request. */
void request_make_id(char *out, size_t bytes)
{
    enum { NUMBERS_AT_A_TIME = 256 };
    static _Atomic uint64_t process, counter;
    static _Thread_local uint64_t given, end;
    uint64_t mine = atomic_load_explicit(&process, memory_order_relaxed);

    if (mine == 0) {
        uint64_t drawn = 0, none = 0;
        if (getrandom(&drawn, sizeof drawn, GRND_NONBLOCK) != (ssize_t)sizeof drawn)
            drawn = clock_now_ns();
        drawn |= 1;
        mine = atomic_compare_exchange_strong(&process, &none, drawn) ? drawn : none;
    }
    if (given == end) {
        given = atomic_fetch_add_explicit(&counter, NUMBERS_AT_A_TIME, memory_order_relaxed);
        end = given + NUMBERS_AT_A_TIME;
    }
    const uint64_t number = ++given;
    const unsigned digits = number >> 32 == 0 ? 8 : 16;
    assert(bytes > 16 + 1 + 16);
    char *at = append_hex(out, mine, 16);
    *at++ = '-';
    at = append_hex(at, number, digits);
    *at = '\0';
}

void request_identify(struct request *request)
{
    const char *id = request_header(request, "X-Request-Id");
    const char *trace = request_header(request, "traceparent");

    if (id != NULL && is_sound_id(id) && request_header_count(request, "X-Request-Id") == 1)
        strcpy(request->id, id); /* it has CALLER_ID_MAX bytes at most */
    else
        request_make_id(request->id, sizeof request->id);
    if (trace != NULL && request_header_count(request, "traceparent") == 1) {
        const size_t trace_bytes = traceparent_bytes(trace);
        memcpy(request->traceparent, trace, trace_bytes);
        request->traceparent[trace_bytes] = '\0';
    }
}
