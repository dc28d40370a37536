/* SPDX-License-Identifier: MIT */
/* The framing rules, and what Accept and Content-Type admit: tables of headers, each with its verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/listener_guard.h"
#include "server/media.h"
#include "server/request.h"

enum { HEADERS_MAX = 4 };

static size_t count_fields(const struct request_field *fields)
{
    size_t count = 0;
    while (count < HEADERS_MAX && fields[count].name != NULL)
        count++;
    return count;
}

static void framing_is_unambiguous_or_refused(void **state)
{
    static const struct {
        const char *name, *version;
        struct request_field headers[HEADERS_MAX];
        bool fine;
        uint64_t length;
    } cases[] = {
        {"plain", "HTTP/1.1", {{"Host", "a"}}, true, 0},
        {"length", "HTTP/1.1", {{"Host", "a"}, {"content-length", "42"}}, true, 42},
        {"largest length", "HTTP/1.1", {{"Host", "a"}, {"Content-Length", "18446744073709551615"}}, true, UINT64_MAX},
        {"length beyond 64 bits", "HTTP/1.1", {{"Host", "a"}, {"Content-Length", "18446744073709551616"}}, false, 0},
        {"negative length", "HTTP/1.1", {{"Host", "a"}, {"Content-Length", "-1"}}, false, 0},
        {"signed length", "HTTP/1.1", {{"Host", "a"}, {"Content-Length", "+1"}}, false, 0},
        {"empty length", "HTTP/1.1", {{"Host", "a"}, {"Content-Length", ""}}, false, 0},
        {"length list", "HTTP/1.1", {{"Host", "a"}, {"Content-Length", "5, 5"}}, false, 0},
        {"length twice, equal",
         "HTTP/1.1",
         {{"Host", "a"}, {"Content-Length", "5"}, {"Content-Length", "5"}},
         false,
         0},
        {"length and coding",
         "HTTP/1.1",
         {{"Host", "a"}, {"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}},
         false,
         0},
        {"chunked", "HTTP/1.1", {{"Host", "a"}, {"Transfer-Encoding", "Chunked"}}, true, 0},
        {"chunked twice",
         "HTTP/1.1",
         {{"Host", "a"}, {"Transfer-Encoding", "chunked"}, {"transfer-encoding", "chunked"}},
         false,
         0},
        {"gzip, chunked", "HTTP/1.1", {{"Host", "a"}, {"Transfer-Encoding", "gzip, chunked"}}, false, 0},
        {"identity", "HTTP/1.1", {{"Host", "a"}, {"Transfer-Encoding", "identity"}}, false, 0},
        {"xchunked", "HTTP/1.1", {{"Host", "a"}, {"Transfer-Encoding", "xchunked"}}, false, 0},
        {"empty coding", "HTTP/1.1", {{"Host", "a"}, {"Transfer-Encoding", ""}}, false, 0},
        {"chunked in 1.0", "HTTP/1.0", {{"Host", "a"}, {"Transfer-Encoding", "chunked"}}, false, 0},
        {"no Host", "HTTP/1.1", {{"X", "a"}}, false, 0},
        {"no Host in 1.0", "HTTP/1.0", {{"X", "a"}}, true, 0},
        {"two Hosts", "HTTP/1.1", {{"Host", "a"}, {"host", "a"}}, false, 0},
        {"two Hosts in 1.0", "HTTP/1.0", {{"Host", "a"}, {"host", "a"}}, false, 0},
        {"space before the colon", "HTTP/1.1", {{"Host", "a"}, {"Content-Length ", "5"}}, false, 0},
        {"name with a tab", "HTTP/1.1", {{"Host", "a"}, {"X\tY", "5"}}, false, 0},
        {"no name", "HTTP/1.1", {{"Host", "a"}, {"", "5"}}, false, 0},
        {"control character", "HTTP/1.1", {{"Host", "a"}, {"X", "a\x01"}}, false, 0},
        {"carriage return", "HTTP/1.1", {{"Host", "a"}, {"X", "a\rb"}}, false, 0},
        {"delete", "HTTP/1.1", {{"Host", "a"}, {"X", "a\x7f"}}, false, 0},
        {"tab and UTF-8", "HTTP/1.1", {{"Host", "a"}, {"X", "a\tb\xc3\xa4"}}, true, 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct guard_framing framing;
        struct convolve_error error = {.slug = NULL};
        const bool fine =
            guard_check(&framing, cases[i].headers, count_fields(cases[i].headers), cases[i].version, &error);
        if (fine != cases[i].fine)
            fail_msg("%s: found %s, expected %s", cases[i].name, fine ? "accepted" : "refused",
                     cases[i].fine ? "accepted" : "refused");
        if (fine && framing.length != cases[i].length)
            fail_msg("%s: length found %llu, expected %llu", cases[i].name, (unsigned long long)framing.length,
                     (unsigned long long)cases[i].length);
        if (!fine && (error.slug == NULL || strcmp(error.slug, "malformed-request") != 0 || error.detail[0] == '\0'))
            fail_msg("%s: slug found %s", cases[i].name, error.slug != NULL ? error.slug : "none");
    }
}

static void accept_admits_json_or_not(void **state)
{
    static const struct {
        const char *accept, *second;
        bool admitted;
    } cases[] = {
        {NULL, NULL, true},
        {"", NULL, true},
        {"application/json", NULL, true},
        {"APPLICATION/JSON", NULL, true},
        {"application/*", NULL, true},
        {"*/*", NULL, true},
        {"text/html", NULL, false},
        {"text/html, application/json;q=0.1", NULL, true},
        {"text/html", "application/json", true},
        {"application/json;q=0", NULL, false},
        {"application/json; q=0.000", NULL, false},
        {"application/json;q=0, */*", NULL, false},
        {"*/*;q=0", NULL, false},
        {"application/*;q=0, */*;q=1", NULL, false},
        {"application/json;charset=utf-8", NULL, true},
        {"application/jsonx", NULL, false},
        {"application/problem+json", NULL, false},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", NULL, true},
        {"*", NULL, true}, /* cannot be read: admits everything */
        {"text/html;q=x", NULL, true},
        {"text/html;level=\"1", NULL, true},
        {", ,", NULL, true},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct request_field headers[] = {{"Accept", cases[i].accept}, {"accept", cases[i].second}};
        const struct request request = {.headers = headers,
                                        .header_count = cases[i].accept == NULL   ? 0
                                                        : cases[i].second == NULL ? 1
                                                                                  : 2};
        if (media_accepts(&request, "application/json") != cases[i].admitted)
            fail_msg("Accept %s: found %s, expected %s", cases[i].accept != NULL ? cases[i].accept : "(none)",
                     cases[i].admitted ? "refused" : "admitted", cases[i].admitted ? "admitted" : "refused");
    }
}

static void bodies_are_json_unless_named_otherwise(void **state)
{
    static const struct {
        const char *header, *value;
        bool fine;
    } cases[] = {
        {"Content-Type", "application/json", true},
        {"Content-Type", "application/x-www-form-urlencoded", true},
        {"Content-Type", "text/plain; charset=utf-8", true},
        {"Content-Type", "", true},
        {"Content-Type", "image/png", false},
        {"Content-Type", "IMAGE/PNG; x=y", false},
        {"Content-Type", "multipart/form-data; boundary=x", false},
        {"Content-Type", "application/x-npy", false},
        {"Content-Type", "application/x-npyx", true},
        {"Content-Encoding", "identity", true},
        {"Content-Encoding", "gzip", false},
        {"Content-Encoding", "br", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct request_field headers[] = {{cases[i].header, cases[i].value}};
        const struct request request = {.headers = headers, .header_count = 1};
        struct convolve_error error = {.slug = NULL};
        if (media_check_body(&request, &error) != cases[i].fine)
            fail_msg("%s %s: found %s, expected %s", cases[i].header, cases[i].value,
                     cases[i].fine ? "refused" : "read", cases[i].fine ? "read" : "refused");
        if (!cases[i].fine && strcmp(error.slug, "unsupported-media-type") != 0)
            fail_msg("%s %s: slug found %s", cases[i].header, cases[i].value, error.slug);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framing_is_unambiguous_or_refused),
        cmocka_unit_test(accept_admits_json_or_not),
        cmocka_unit_test(bodies_are_json_unless_named_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
