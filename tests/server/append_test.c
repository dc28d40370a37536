/* SPDX-License-Identifier: MIT */
/* Numbers as text, against printf, at every length. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/append.h"

static void check(const char *what, uint64_t value, const char *text, const char *end, const char *expected)
{
    const size_t bytes = (size_t)(end - text);
    if (bytes != strlen(expected) || memcmp(text, expected, bytes) != 0)
        fail_msg("%s of %" PRIu64 ": found %.*s, expected %s", what, value, (int)bytes, text, expected);
}

static void check_value(uint64_t value)
{
    char text[64], expected[64];
    snprintf(expected, sizeof expected, "%" PRIu64, value);
    check("append_unsigned", value, text, append_unsigned(text, value), expected);
    assert_true(strlen(expected) <= APPEND_UNSIGNED_MAX);
    snprintf(expected, sizeof expected, "%020" PRIu64, value);
    for (unsigned count = 1; count <= 20; count++)
        check("append_digits", value, text, append_digits(text, value, count), expected + 20 - count);
    snprintf(expected, sizeof expected, "%016" PRIx64, value);
    for (unsigned count = 1; count <= 16; count++)
        check("append_hex", value, text, append_hex(text, value, count), expected + 16 - count);
    snprintf(expected, sizeof expected, "%" PRIu64 ".%03" PRIu64, value / 1000000, value / 1000 % 1000);
    check("append_milliseconds", value, text, append_milliseconds(text, value), expected);
    assert_true(strlen(expected) <= APPEND_MILLISECONDS_MAX);
}

static void numbers_read_as_printf_writes_them(void **state)
{
    (void)state;
    uint64_t power = 1;
    for (unsigned digits = 0; digits < 20; digits++, power *= 10)
        for (uint64_t i = 0; i < 3; i++)
            check_value(power - 1 + i);
    for (uint64_t value = 1; value != 0; value = value * 2)
        check_value(value - 1);
    check_value(UINT64_MAX);
    for (uint64_t value = 0; value < 20000; value++)
        check_value(value * 977);
}

static void text_is_copied_without_its_end(void **state)
{
    char text[8] = "xxxxxxx";
    (void)state;
    assert_ptr_equal(append_text(text, "abc"), text + 3);
    assert_string_equal(text, "abcxxxx");
    assert_ptr_equal(append_text(text, ""), text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_read_as_printf_writes_them),
        cmocka_unit_test(text_is_copied_without_its_end),
    };
    return cmocka_run_group_tests_name("append", tests, NULL, NULL);
}
