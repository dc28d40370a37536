/* SPDX-License-Identifier: MIT */
/* Keys, rates, clients behind proxies, origins; SHA-256 against the examples of its standard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/access.h"
#include "server/request.h"
#include "server/config.h"
#include "server/request.h"
#include "server/tls.h"

static void hashes_are_those_of_the_standard(void **state)
{
    static const struct {
        const char *text, *hash;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqr"
         "stu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t hash[TLS_SHA256_BYTES];
        char text[2 * TLS_SHA256_BYTES + 1];
        assert_true(tls_sha256(hash, cases[i].text, strlen(cases[i].text)));
        for (size_t k = 0; k < TLS_SHA256_BYTES; k++)
            snprintf(text + 2 * k, 3, "%02x", hash[k]);
        if (strcmp(text, cases[i].hash) != 0)
            fail_msg("\"%s\": found %s, expected %s", cases[i].text, text, cases[i].hash);
    }
}

static struct access *access_with_keys(const char *keys, char *error, size_t error_bytes)
{
    char path[] = "/tmp/convolved-keys-XXXXXX";
    const int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, keys, strlen(keys)), (ssize_t)strlen(keys));
    close(descriptor);
    const struct config config = {.api_keys_file = path};
    struct access *access = access_create(&config, error, error_bytes);
    unlink(path);
    return access;
}

static void keys_open_the_door(void **state)
{
    static const char file[] =
        "# comment\n\nfirst\r\nsha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\nlast";
    static const struct {
        const char *first, *second;
        bool fine;
    } cases[] = {
        {"Bearer first", NULL, true},
        {"bearer first", NULL, true},
        {"Bearer abc", NULL, true},
        {"Bearer last", NULL, true},
        {"Bearer firs", NULL, false},
        {"Bearer first ", NULL, false},
        {"Bearer", NULL, false},
        {"Basic first", NULL, false},
        {"Bearer # comment", NULL, false},
        {"Bearer ", NULL, false},
        {"Bearer first", "Bearer first", false},
        {NULL, NULL, false},
        {"Bearer sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", NULL, false},
    };
    char error[256];
    struct access *access = access_with_keys(file, error, sizeof error);
    (void)state;

    assert_non_null(access);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct request_field headers[] = {{"Authorization", cases[i].first}, {"authorization", cases[i].second}};
        const struct request request = {.headers = headers,
                                        .header_count = cases[i].first == NULL    ? 0
                                                        : cases[i].second == NULL ? 1
                                                                                  : 2};
        struct convolve_error fault = {.slug = NULL};
        uint64_t key;
        const bool fine = access_check_key(access, &request, &key, &fault);
        if (fine != cases[i].fine || (fine && key == 0) || (!fine && strcmp(fault.slug, "unauthorized") != 0))
            fail_msg("%s: found %s, expected %s", cases[i].first != NULL ? cases[i].first : "(none)",
                     fine ? "let in" : "refused", cases[i].fine ? "let in" : "refused");
    }
    access_destroy(access);
}

static void bad_files_of_keys_are_refused(void **state)
{
    static const char *const files[] = {"", "# only a comment\n", "sha256:12\n",
                                        "sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"};
    char error[256] = "";
    (void)state;

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (access_with_keys(files[i], error, sizeof error) != NULL || error[0] == '\0')
            fail_msg("\"%s\": found accepted, expected refused", files[i]);
    const struct config config = {.api_keys_file = (char[]){"/nonexistent/keys"}};
    assert_null(access_create(&config, error, sizeof error));
}

static void buckets_hold_a_second(void **state)
{
    const struct config config = {.rate_limit_per_second = 3}, unlimited = {.rate_limit_per_second = 0};
    char error[256];
    struct access *access = access_create(&config, error, sizeof error);
    struct convolve_error fault = {.slug = NULL};
    struct access_rate rate;
    (void)state;

    assert_non_null(access);
    const uint64_t start = clock_now_ns();
    for (unsigned i = 0; i < 3; i++) {
        assert_true(access_take(access, &config, 7, &rate, &fault));
        assert_int_equal(rate.left, 2 - i);
    }
    assert_false(access_take(access, &config, 7, &rate, &fault));
    assert_string_equal(fault.slug, "rate-limited");
    assert_int_equal(rate.wait_s, 1);
    assert_true(access_take(access, &config, 8, &rate, &fault)); /* another client */
    assert_true(access_take(access, &unlimited, 7, &rate, &fault));
    usleep(400000); /* a token comes back each third of a second */
    assert_true(access_take(access, &config, 7, &rate, &fault));
    const bool another = access_take(access, &config, 7, &rate, &fault);
    if (clock_now_ns() - start < 660000000) /* unless the sleep was that long */
        assert_false(another);
    access_destroy(access);
}

static void clients_are_counted_behind_trusted_proxies(void **state)
{
    char network[] = "10.0.0.0/8", loopback[] = "::1", single[] = "192.0.2.7";
    char *proxies[] = {network, loopback, single};
    const struct config config = {.trusted_proxies = {3, proxies}};
    static const struct {
        const char *name, *peer, *forwarded, *client;
    } cases[] = {
        {"no proxy", "198.51.100.1", NULL, "198.51.100.1"},
        {"a stranger's word is not taken", "198.51.100.1", "203.0.113.5", "198.51.100.1"},
        {"a proxy's is", "10.1.2.3", "203.0.113.5", "203.0.113.5"},
        {"counted from the right", "10.1.2.3", "203.0.113.5, 198.51.100.9", "198.51.100.9"},
        {"through two proxies", "10.1.2.3", "203.0.113.5, 192.0.2.7", "203.0.113.5"},
        {"what cannot be read ends it", "10.1.2.3", "203.0.113.5, nonsense, 192.0.2.7", "192.0.2.7"},
        {"IPv6", "::1", "2001:db8::1", "2001:db8::1"},
        {"IPv4 in IPv6", "::ffff:10.1.2.3", "198.51.100.9", "198.51.100.9"},
        {"with ports", "10.1.2.3", "203.0.113.5:80, [2001:db8::2]:443", "2001:db8::2"},
        {"an empty item", "10.1.2.3", "203.0.113.5,", "10.1.2.3"},
        {"a Unix socket", "unix", "203.0.113.5", "unix"},
        {"nothing said", "10.1.2.3", NULL, "10.1.2.3"},
        {"all trusted", "10.1.2.3", "10.9.9.9", "10.9.9.9"},
    };
    struct memory_budget budget = {.limit = 1 << 20};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct request_field headers[] = {{"X-Forwarded-For", cases[i].forwarded}};
        struct request request = {.headers = headers, .header_count = cases[i].forwarded != NULL};
        arena_init(&request.arena, &budget);
        const char *found = access_client(&config, &request, cases[i].peer);
        if (strcmp(found, cases[i].client) != 0)
            fail_msg("%s: found %s, expected %s", cases[i].name, found, cases[i].client);
        arena_release(&request.arena);
    }

    /* Several headers are one list, whose end is the last one's. */
    const struct request_field several[] = {
        {"X-Forwarded-For", "203.0.113.5"}, {"Host", "h"}, {"x-forwarded-for", "198.51.100.9, 10.3.3.3"}};
    struct request request = {.headers = several, .header_count = 3};
    arena_init(&request.arena, &budget);
    assert_string_equal(access_client(&config, &request, "10.1.2.3"), "198.51.100.9");
    arena_release(&request.arena);
    assert_true(access_hash("198.51.100.1") != access_hash("198.51.100.2"));
}

static void origins_are_whole_strings(void **state)
{
    char example[] = "http://a.example", star[] = "*", *listed[] = {example}, *all[] = {star};
    const struct config some = {.cors_origins = {1, listed}}, any = {.cors_origins = {1, all}}, none = {0};
    (void)state;

    assert_string_equal(access_allowed_origin(&some, "http://a.example"), "http://a.example");
    assert_null(access_allowed_origin(&some, "http://a.example.evil"));
    assert_null(access_allowed_origin(&some, "http://A.example"));
    assert_null(access_allowed_origin(&some, NULL));
    assert_string_equal(access_allowed_origin(&any, "http://b"), "*");
    assert_null(access_allowed_origin(&none, "http://b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_the_standard),
        cmocka_unit_test(keys_open_the_door),
        cmocka_unit_test(bad_files_of_keys_are_refused),
        cmocka_unit_test(buckets_hold_a_second),
        cmocka_unit_test(clients_are_counted_behind_trusted_proxies),
        cmocka_unit_test(origins_are_whole_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
