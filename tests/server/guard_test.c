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
    enum { REFUSED = -1 };
    static const struct {
        const char *header, *value, *second; /* the second of the same name */
        int body;
        bool gzip;
    } cases[] = {
        {"Content-Type", "application/json", NULL, MEDIA_JSON, false},
        {"Content-Type", "application/x-www-form-urlencoded", NULL, MEDIA_JSON, false},
        {"Content-Type", "text/plain; charset=utf-8", NULL, MEDIA_JSON, false},
        {"Content-Type", "", NULL, MEDIA_JSON, false},
        {"Content-Type", "image/png", NULL, REFUSED, false},
        {"Content-Type", "IMAGE/PNG; x=y", NULL, REFUSED, false},
        {"Content-Type", "multipart/form-data; boundary=x", NULL, MEDIA_MULTIPART, false},
        {"Content-Type", "Multipart/Form-Data;boundary=x", NULL, MEDIA_MULTIPART, false},
        {"Content-Type", "multipart/mixed; boundary=x", NULL, REFUSED, false},
        {"Content-Type", "application/x-npy", NULL, MEDIA_NPY, false},
        {"Content-Type", "Application/X-NPY; version=1", NULL, MEDIA_NPY, false},
        {"Content-Type", "application/x-npyx", NULL, MEDIA_JSON, false},
        {"Content-Type", "application/x-npz", NULL, REFUSED, false},
        {"Content-Encoding", "identity", NULL, MEDIA_JSON, false},
        {"Content-Encoding", "gzip", NULL, MEDIA_JSON, true},
        {"Content-Encoding", "GZip", NULL, MEDIA_JSON, true},
        {"Content-Encoding", "x-gzip", NULL, MEDIA_JSON, true},
        {"Content-Encoding", "br", NULL, REFUSED, false},
        {"Content-Encoding", "gzip, gzip", NULL, REFUSED, false},
        {"Content-Encoding", "gzip", "br", REFUSED, false},
        {"Content-Encoding", "gzip", "gzip", REFUSED, false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct request_field headers[] = {{cases[i].header, cases[i].value}, {cases[i].header, cases[i].second}};
        const struct request request = {.headers = headers, .header_count = cases[i].second != NULL ? 2 : 1};
        struct convolve_error error = {.slug = NULL};
        struct media media;
        const int body = media_read_body(&request, &media, &error) ? (int)media.body : REFUSED;
        if (body != cases[i].body || (body != REFUSED && media.gzip != cases[i].gzip))
            fail_msg("%s %s: body found %d, expected %d", cases[i].header, cases[i].value, body, cases[i].body);
        if (body == REFUSED && strcmp(error.slug, "unsupported-media-type") != 0)
            fail_msg("%s %s: slug found %s", cases[i].header, cases[i].value, error.slug);
    }
}

static void npy_is_preferred_where_it_is_named(void **state)
{
    static const struct {
        const char *accept;
        bool preferred;
    } cases[] = {
        {NULL, false},
        {"*/*", false},
        {"application/*", false},
        {"application/json", false},
        {"application/x-npy", true},
        {"application/x-npy, */*", true},
        {"application/x-npy, application/json", false},
        {"application/json;q=0.9, application/x-npy", true},
        {"application/json, application/x-npy;q=0.9", false},
        {"application/x-npy;q=0.5, */*;q=0.1", true},
        {"application/x-npy;q=0, */*;q=0.1", false},
        {"application/x-npy;q=0", false},
        {"application/x-npy;q=x", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct request_field headers[] = {{"Accept", cases[i].accept}};
        const struct request request = {.headers = headers, .header_count = cases[i].accept != NULL};
        if (media_prefers(&request, "application/x-npy", "application/json") != cases[i].preferred)
            fail_msg("Accept %s: expected %s", cases[i].accept, cases[i].preferred ? "x-npy" : "json");
    }
}

static void gzip_is_asked_for(void **state)
{
    static const struct {
        const char *accept;
        bool asked;
    } cases[] = {
        {NULL, false},
        {"", false},
        {"gzip", true},
        {"GZIP", true},
        {"x-gzip", true},
        {"deflate, gzip", true},
        {"gzip, deflate, br", true},
        {"gzip;q=0", false},
        {"gzip;q=0.0, *", false},
        {"gzip;q=0.001", true},
        {"*", true},
        {"*;q=0", false},
        {"br", false},
        {"identity", false},
        {"identity, gzip;q=0.5", false},
        {"identity;q=0.5, gzip", true},
        {"identity;q=0, *;q=0.5", true},
        {"gzip;q=x", false},
        {"gzipx", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct request_field headers[] = {{"Accept-Encoding", cases[i].accept}};
        const struct request request = {.headers = headers, .header_count = cases[i].accept != NULL};
        if (media_asks_gzip(&request) != cases[i].asked)
            fail_msg("Accept-Encoding %s: expected %s", cases[i].accept, cases[i].asked ? "gzip" : "none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framing_is_unambiguous_or_refused),
        cmocka_unit_test(accept_admits_json_or_not),
        cmocka_unit_test(bodies_are_json_unless_named_otherwise),
        cmocka_unit_test(npy_is_preferred_where_it_is_named),
        cmocka_unit_test(gzip_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
