/* SPDX-License-Identifier: MIT */
/* The configuration from each of its sources, and every way to get it wrong, with the line that is printed then. FILE stands
 * for the path of the file in expected texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/address.h"
#include "server/config.h"

enum { ARGUMENTS_MAX = 8 };

struct loaded {
    bool fine;
    struct config config;
    struct command_line command;
    struct config_error error;
};

static char path[64];

static void write_file(const char *text)
{
    strcpy(path, "/tmp/convolved-config-XXXXXX");
    const int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
    close(descriptor);
}

/* `flags` and `variables` are words separated by spaces; `file` is the text of --config, NULL for none. */
static struct loaded load(const char *file, const char *flags, const char *variables)
{
    static char words[1024]; /* the command line's texts are the caller's */
    char environment[1024], *argv[ARGUMENTS_MAX + 4] = {(char *)"convolved"}, *names[ARGUMENTS_MAX + 1] = {0};
    int argc = 1, count = 0;
    struct loaded loaded;
    snprintf(words, sizeof words, "%s", flags == NULL ? "" : flags);
    snprintf(environment, sizeof environment, "%s", variables == NULL ? "" : variables);
    if (file != NULL) {
        write_file(file);
        argv[argc++] = (char *)"--config";
        argv[argc++] = path;
    }
    for (char *rest = words, *word; (word = strsep(&rest, " ")) != NULL && argc < ARGUMENTS_MAX + 3;)
        if (*word != '\0')
            argv[argc++] = word;
    for (char *rest = environment, *word; (word = strsep(&rest, " ")) != NULL && count < ARGUMENTS_MAX;)
        if (*word != '\0')
            names[count++] = word;
    memset(&loaded, 0, sizeof loaded);
    loaded.fine = config_load(&loaded.config, &loaded.command, argc, argv, names, &loaded.error);
    if (file != NULL)
        unlink(path);
    return loaded;
}

static const char *printed(const struct config *config)
{
    static char text[8192];
    memset(text, 0, sizeof text);
    FILE *out = fmemopen(text, sizeof text - 1, "w");
    assert_non_null(out);
    config_print(config, out);
    fclose(out);
    return text;
}

/* ---- What is right -------------------------------------------------------------------------------------------- */

/* Each case sets something and names a line that --print-config must then have. */
static const struct {
    const char *name, *file, *flags, *variables, *line;
} right[] = {
    {"default number", NULL, NULL, NULL, "  \"max_body_bytes\": 67108864,\n"},
    {"default list", NULL, NULL, NULL, "  \"listen\": [\"127.0.0.1:8080\"],\n"},
    {"default text", NULL, NULL, NULL, "  \"api_keys_file\": \"\",\n"},
    {"default choice", NULL, NULL, NULL, "  \"simd\": \"auto\"\n"},
    {"empty file", "{}", NULL, NULL, "  \"queue_depth\": 256,\n"},
    {"file", "{\"queue_depth\": 7}", NULL, NULL, "  \"queue_depth\": 7,\n"},
    {"file, 7.0 is an integer", "{\"queue_depth\": 7.0}", NULL, NULL, "  \"queue_depth\": 7,\n"},
    {"file, 1e3 is an integer", "{\"queue_depth\": 1e3}", NULL, NULL, "  \"queue_depth\": 1000,\n"},
    {"file, largest", "{\"max_work\": 9007199254740991}", NULL, NULL, "  \"max_work\": 9007199254740991,\n"},
    {"file, one item", "{\"listen\": \"unix:/a\"}", NULL, NULL, "  \"listen\": [\"unix:/a\"],\n"},
    {"file, list", "{\"listen\": [\"[::1]:1\", \"localhost:2\"]}", NULL, NULL,
     "  \"listen\": [\"[::1]:1\", \"localhost:2\"],\n"},
    {"file, empty list", "{\"cors_origins\": []}", NULL, NULL, "  \"cors_origins\": [],\n"},
    {"file, escapes", "{\"api_keys_file\": \"a\\u0022\\\\b\"}", NULL, NULL, "  \"api_keys_file\": \"a\\\"\\\\b\",\n"},
    {"file, empty text is unset", "{\"api_keys_file\": \"\"}", NULL, NULL, "  \"api_keys_file\": \"\",\n"},
    {"comment at the end", "{\"threads\": 3} // three", NULL, NULL, "  \"threads\": 3,\n"},
    {"comments everywhere", "/* a */ { // b\n\"threads\" /**/ : /* \" */ 3 // }\n, /* \n */ \"queue_depth\": 4 }", NULL,
     NULL, "  \"queue_depth\": 4,\n"},
    {"comment signs in a string", "{\"api_keys_file\": \"/a//b/*c*/\\\"//\"}", NULL, NULL,
     "  \"api_keys_file\": \"/a//b/*c*/\\\"//\",\n"},
    {"variable", NULL, NULL, "CONVOLVED_QUEUE_DEPTH=8", "  \"queue_depth\": 8,\n"},
    {"variable, list", NULL, NULL, "CONVOLVED_LISTEN=0.0.0.0:0,unix:b", "  \"listen\": [\"0.0.0.0:0\", \"unix:b\"],\n"},
    {"variable, empty list", NULL, NULL, "CONVOLVED_CORS_ORIGINS=", "  \"cors_origins\": [],\n"},
    {"variables that are no member", NULL, NULL, "CONVOLVED_URL=x CONVOLVED_PORT_80_TCP=y CONVOLVED_QUEUE_DEPTHS=z",
     "  \"queue_depth\": 256,\n"},
    {"flag with a space", NULL, "--queue-depth 9", NULL, "  \"queue_depth\": 9,\n"},
    {"flag with =", NULL, "--queue-depth=9", NULL, "  \"queue_depth\": 9,\n"},
    {"flag, list", NULL, "--trusted-proxies 10.0.0.0/8,::1", NULL,
     "  \"trusted_proxies\": [\"10.0.0.0/8\", \"::1\"],\n"},
    {"flag twice, number", NULL, "--threads 1 --threads 2", NULL, "  \"threads\": 2,\n"},
    {"flag twice, list", NULL, "--listen 127.0.0.1:1 --listen=127.0.0.1:2", NULL,
     "  \"listen\": [\"127.0.0.1:1\", \"127.0.0.1:2\"],\n"},
    {"variable over file", "{\"queue_depth\": 7}", NULL, "CONVOLVED_QUEUE_DEPTH=8", "  \"queue_depth\": 8,\n"},
    {"flag over variable", "{\"queue_depth\": 7}", "--queue-depth 9", "CONVOLVED_QUEUE_DEPTH=8",
     "  \"queue_depth\": 9,\n"},
    {"flag over file, list", "{\"listen\": \"unix:/a\"}", "--listen unix:/b", NULL, "  \"listen\": [\"unix:/b\"],\n"},
    {"origins", NULL, "--cors-origins https://a.example,http://localhost:3000,*", NULL,
     "  \"cors_origins\": [\"https://a.example\", \"http://localhost:3000\", \"*\"],\n"},
};

static void test_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        struct loaded loaded = load(right[i].file, right[i].flags, right[i].variables);
        if (!loaded.fine)
            fail_msg("%s: found an error: %s", right[i].name, loaded.error.text);
        if (strstr(printed(&loaded.config), right[i].line) == NULL)
            fail_msg("%s: expected %sfound %s", right[i].name, right[i].line, printed(&loaded.config));
        config_release(&loaded.config);
    }
}

/* ---- What is wrong -------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *file, *flags, *variables, *text;
} wrong[] = {
    {"number too small", "{\"queue_depth\": 0}", NULL, NULL,
     "FILE: queue_depth: found 0, must be an integer from 1 to 1000000"},
    {"number too large", "{\"threads\": 1025}", NULL, NULL,
     "FILE: threads: found 1025, must be an integer from 0 to 1024"},
    {"negative", "{\"threads\": -1}", NULL, NULL, "FILE: threads: found -1, must be an integer from 0 to 1024"},
    {"fraction", "{\"threads\": 1.5}", NULL, NULL, "FILE: threads: found 1.5, must be an integer from 0 to 1024"},
    {"far too large", "{\"threads\": 1e300}", NULL, NULL,
     "FILE: threads: found 1e300, must be an integer from 0 to 1024"},
    {"null", "{\"threads\": null}", NULL, NULL, "FILE: threads: found null, must be an integer from 0 to 1024"},
    {"string for a number", "{\"threads\": \"4\"}", NULL, NULL,
     "FILE: threads: found a string, must be an integer from 0 to 1024"},
    {"number for a text", "{\"tls_key\": 4}", NULL, NULL, "FILE: tls_key: found a number, must be a string"},
    {"object for a list", "{\"listen\": {}}", NULL, NULL,
     "FILE: listen: found an object, must be a string or a list of strings"},
    {"number in a list", "{\"listen\": [1]}", NULL, NULL, "FILE: listen: found a number, must be a string"},
    {"empty listen", "{\"listen\": []}", NULL, NULL,
     "FILE: listen: found an empty list, must name one address or more"},
    {"choice", "{\"log_level\": \"warn\"}", NULL, NULL,
     "FILE: log_level: found \"warn\", must be one of debug|info|warning|error; did you mean \"warning\"?"},
    {"choice, none near", "{\"log_level\": \"all\"}", NULL, NULL,
     "FILE: log_level: found \"all\", must be one of debug|info|warning|error"},
    {"choice, nearest", "{\"log_level\": \"warnning\"}", NULL, NULL,
     "FILE: log_level: found \"warnning\", must be one of debug|info|warning|error; did you mean \"warning\"?"},
    {"unknown member", "{\"max_bdy_bytes\": 1}", NULL, NULL, "FILE: max_bdy_bytes: * \"max_body_bytes\"*"},
    {"duplicate member", "{\"threads\": 1, \"threads\": 1}", NULL, NULL, "FILE: threads: *"},
    {"no object", "[1]", NULL, NULL, "FILE: expected a JSON object, as in {\"threads\": 2}"},
    {"empty", "", NULL, NULL, "FILE: line 1: *"},
    {"syntax", "{\n\"threads\": 1,\n}", NULL, NULL, "FILE: line 3: *"},
    {"no JSON: leading zero", "{\"threads\": 01}", NULL, NULL, "FILE: line 1: *"},
    {"no JSON: control character", "{\"tls_key\": \"\n\"}", NULL, NULL, "FILE: line 1: *"},
    {"open comment", "{}\n\n /* and", NULL, NULL, "FILE: line 3: the comment that begins here never ends"},
    {"certificate without key", "{\"tls_certificate\": \"c\"}", NULL, NULL,
     "FILE: tls_certificate: found without tls_key, must be given together"},
    {"key without certificate", NULL, "--tls-key k", NULL,
     "command line: tls_key: found without tls_certificate, must be given together"},
    {"address without port", "{\"listen\": \"127.0.0.1\"}", NULL, NULL,
     "FILE: listen: found \"127.0.0.1\": write ADDRESS:PORT (127.0.0.1:8080), [ADDRESS]:PORT ([::1]:8080) or "
     "unix:PATH"},
    {"address, port", NULL, "--listen 127.0.0.1:65536", NULL,
     "command line: --listen: found \"127.0.0.1:65536\": the port is a number from 0 to 65535 (0: the system chooses)"},
    {"address, name", NULL, "--listen example.com:80", NULL,
     "command line: --listen: found \"example.com:80\": *digits*"},
    {"address, IPv6 bare", NULL, "--metrics-listen ::1:80", NULL, "command line: --metrics-listen: *brackets*"},
    {"network", NULL, "--trusted-proxies 10.0.0.0/33", NULL,
     "command line: --trusted-proxies: found \"10.0.0.0/33\": *"},
    {"origin with a slash", NULL, "--cors-origins https://a.example/", NULL,
     "command line: --cors-origins: *no slash*"},
    {"variable, no number", NULL, NULL, "CONVOLVED_THREADS=many",
     "environment: CONVOLVED_THREADS: found \"many\", must be an integer from 0 to 1024"},
    {"variable, empty number", NULL, NULL,
     "CONVOLVED_THREADS=", "environment: CONVOLVED_THREADS: found \"\", must be an integer from 0 to 1024"},
    {"flag, no number", NULL, "--threads 2x", NULL,
     "command line: --threads: found \"2x\", must be an integer from 0 to 1024"},
    {"flag, beyond 64 bits", NULL, "--threads 18446744073709551617", NULL,
     "command line: --threads: found \"18446744073709551617\", must be an integer from 0 to 1024"},
    {"flag without value", NULL, "--threads", NULL, "command line: --threads: needs a value"},
    {"flag unknown", NULL, "--treads 2", NULL, "command line: --treads: no such option; did you mean --threads?"},
    {"flag unknown, none near", NULL, "--zzz", NULL, "command line: --zzz: no such option; --help lists them"},
    {"switch with value", NULL, "--help=1", NULL, "command line: --help: takes no value"},
    {"argument", NULL, "serve", NULL, "command line: serve: takes no arguments but options; --help lists them"},
    {"no file", NULL, "--config /nowhere/x.json", NULL, "/nowhere/x.json: cannot be opened: No such file or directory"},
    {"line break in a value", NULL, "--simd=a\nb", NULL,
     "command line: --simd: found \"a?b\", must be one of auto|scalar|avx2|avx512|neon*"},
};

/* Whether the text is the pattern, in which * stands for anything and FILE at the start for the file's path. */
static bool text_matches(const char *text, const char *pattern)
{
    if (strncmp(pattern, "FILE", 4) == 0) {
        if (strncmp(text, path, strlen(path)) != 0)
            return false;
        text += strlen(path);
        pattern += 4;
    }
    for (; *pattern != '\0' && *pattern != '*'; pattern++, text++)
        if (*pattern != *text)
            return false;
    if (*pattern == '\0')
        return *text == '\0';
    do
        if (text_matches(text, pattern + 1))
            return true;
    while (*text++ != '\0');
    return false;
}

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct loaded loaded = load(wrong[i].file, wrong[i].flags, wrong[i].variables);
        if (loaded.fine) {
            config_release(&loaded.config);
            fail_msg("%s: found no error, expected %s", wrong[i].name, wrong[i].text);
        }
        if (!text_matches(loaded.error.text, wrong[i].text))
            fail_msg("%s: found \"%s\", expected \"%s\"", wrong[i].name, loaded.error.text, wrong[i].text);
    }
}

/* ---- The rest ------------------------------------------------------------------------------------------------- */

static void test_switches(void **state)
{
    (void)state;
    struct loaded loaded = load(NULL, "--check-config --print-config --healthcheck --config /nowhere --help", NULL);
    assert_true(loaded.fine); /* --help looks at no file */
    assert_true(loaded.command.check_config && loaded.command.print_config && loaded.command.healthcheck);
    assert_true(loaded.command.help && !loaded.command.version);
    assert_string_equal(loaded.command.config_file, "/nowhere");
    config_release(&loaded.config);
}

static void test_print_reads_back(void **state)
{
    (void)state;
    struct loaded first =
        load(NULL, "--listen unix:/a\"b,[::1]:0 --cors-origins * --api-keys-file /k --simd scalar", NULL);
    assert_true(first.fine);
    char text[8192];
    snprintf(text, sizeof text, "%s", printed(&first.config));
    struct loaded second = load(text, NULL, NULL);
    if (!second.fine)
        fail_msg("%s", second.error.text);
    assert_string_equal(printed(&second.config), text);
    config_release(&first.config);
    config_release(&second.config);
}

/* What the file in config/ says is what holds without it. */
static void test_file_of_defaults(void **state)
{
    (void)state;
    char text[8192];
    struct loaded standard = load(NULL, NULL, NULL);
    struct loaded file = load(NULL, "--config config/convolved.json", NULL);
    if (!file.fine)
        fail_msg("%s", file.error.text);
    snprintf(text, sizeof text, "%s", printed(&standard.config));
    assert_string_equal(printed(&file.config), text);
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++)
        if (file.config.source[i] != CONFIG_FILE)
            fail_msg("member %zu of config.def is not in config/convolved.json", i);
    config_release(&standard.config);
    config_release(&file.config);
}

static void test_limits(void **state)
{
    (void)state;
    char text[1024], cut[16];
    struct loaded loaded = load(NULL, "--queue-depth 5", NULL);
    assert_true(loaded.fine);
    const size_t bytes = config_write_limits(&loaded.config, text, sizeof text);
    assert_int_equal(bytes, strlen(text));
    assert_non_null(strstr(text, "\"queue_depth\": 5"));
    assert_null(strstr(text, "threads"));
    assert_true(text[0] == '{' && text[bytes - 1] == '}');
    assert_int_equal(config_write_limits(&loaded.config, cut, sizeof cut), bytes);
    assert_memory_equal(cut, text, sizeof cut - 1);
    config_release(&loaded.config);
}

static void test_restart_members_stay(void **state)
{
    (void)state;
    char waiting[128];
    struct loaded current = load(NULL, "--threads 2 --queue-depth 5 --simd scalar", NULL);
    struct loaded fresh = load(NULL, "--threads 3 --queue-depth 6 --simd scalar --listen unix:/x", NULL);
    assert_true(current.fine && fresh.fine);
    assert_true(config_keep_restart_members(&fresh.config, &current.config, waiting, sizeof waiting));
    assert_string_equal(waiting, "listen, threads");
    assert_int_equal(fresh.config.threads, 2);
    assert_int_equal(fresh.config.queue_depth, 6);
    assert_int_equal(fresh.config.listen.count, 1);
    assert_string_equal(fresh.config.listen.items[0], "127.0.0.1:8080");
    assert_true(config_equal(&fresh.config, &fresh.config));
    assert_false(config_equal(&fresh.config, &current.config)); /* queue_depth */
    config_release(&current.config);
    config_release(&fresh.config);
}

static const struct {
    const char *name, *keys, *text; /* NULL: fine */
    bool starting;
} key_files[] = {
    {"one key", "secret\n", NULL, true},
    {"comments, CR LF, blank lines", "# a\r\n\r\nsecret\r\n", NULL, true},
    {"hash", "sha256:0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef\n", NULL, true},
    {"hash too short", "\nsha256:0123\n", "command line: api_keys_file: FILE: line 2: after \"sha256:\" stand 64*",
     true},
    {"no key at a start", "# none\n\n", "command line: api_keys_file: FILE has no key in it, must have one in a line",
     true},
    {"no key at a reload", "# none\n\n", NULL, false},
};

static void test_key_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof key_files / sizeof *key_files; i++) {
        char flags[128], expected[512];
        struct config_error error = {""};
        write_file(key_files[i].keys);
        snprintf(flags, sizeof flags, "--api-keys-file %s", path);
        struct loaded loaded = load(NULL, flags, NULL);
        assert_true(loaded.fine);
        const bool fine = config_check_files(&loaded.config, key_files[i].starting, &error);
        const char *text = key_files[i].text, *file = text == NULL ? NULL : strstr(text, "FILE");
        snprintf(expected, sizeof expected, "%.*s%s%s", file == NULL ? 0 : (int)(file - text), text == NULL ? "" : text,
                 file == NULL ? "" : path, file == NULL ? "" : file + 4);
        if (fine != (text == NULL) || (!fine && !text_matches(error.text, expected)))
            fail_msg("%s: found \"%s\", expected \"%s\"", key_files[i].name, error.text, expected);
        config_release(&loaded.config);
        unlink(path);
    }
    struct loaded loaded = load(NULL, "--api-keys-file /nowhere/keys", NULL);
    struct config_error error;
    assert_false(config_check_files(&loaded.config, false, &error));
    assert_string_equal(error.text,
                        "command line: api_keys_file: /nowhere/keys cannot be opened: No such file or directory");
    config_release(&loaded.config);
}

static void test_addresses_read_back(void **state)
{
    (void)state;
    static const struct {
        const char *text, *local;
    } cases[] = {{"127.0.0.1:8080", "127.0.0.1:8080"},
                 {"0.0.0.0:1", "127.0.0.1:1"},
                 {"[::]:2", "[::1]:2"},
                 {"[fe80::1]:65535", "[fe80::1]:65535"},
                 {"unix:/run/x.sock", "unix:/run/x.sock"},
                 {"unix:relative", "unix:relative"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address address;
        char reason[200], text[ADDRESS_TEXT_MAX];
        assert_true(address_parse(&address, cases[i].text, reason, sizeof reason));
        address_format(&address, text);
        assert_string_equal(text, cases[i].text);
        address_make_local(&address);
        address_format(&address, text);
        assert_string_equal(text, cases[i].local);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_print_reads_back),
        cmocka_unit_test(test_file_of_defaults),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_restart_members_stay),
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_addresses_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
