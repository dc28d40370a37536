/* SPDX-License-Identifier: MIT */
/* multipart/form-data: as libcurl (and so curl -F) sends it, in every mixture of files and text, the dtype that typed tensors ask
 * for, and faults with their pointers. */
#include "tests/http/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

struct part {
    const char *name, *filename, *type; /* the last two may be NULL */
    struct bytes content;
};

static struct bytes text(const char *quoted)
{
    const char *content = json(quoted);
    return (struct bytes){content, strlen(content)};
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    char *longer = text_room(answer->body_bytes + size * count + 1);
    memcpy(longer, answer->body, answer->body_bytes);
    memcpy(longer + answer->body_bytes, bytes, size * count);
    answer->body_bytes += size * count;
    longer[answer->body_bytes] = '\0';
    answer->body = longer;
    return size * count;
}

/* By libcurl's own multipart, which is what curl -F uses. */
static struct answer post_by_curl(const char *path, const struct part *parts, size_t count)
{
    struct answer answer = {.body = ""};
    CURL *curl = curl_new();
    curl_mime *mime = curl_mime_init(curl);
    for (size_t i = 0; i < count; i++) {
        curl_mimepart *part = curl_mime_addpart(mime);
        curl_mime_name(part, parts[i].name);
        curl_mime_data(part, parts[i].content.bytes, parts[i].content.count);
        if (parts[i].filename)
            curl_mime_filename(part, parts[i].filename);
        if (parts[i].type)
            curl_mime_type(part, parts[i].type);
    }
    curl_easy_setopt(curl, CURLOPT_URL, textf("%s%s", daemon_child->address, path));
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    curl_mime_free(mime);
    curl_free_handle(curl);
    return answer;
}

static void as_curl_sends_it(void **state)
{
    (void)state;
    const float four[] = {1, 2, 3, 4};
    const signed char two[] = {1, 10};
    const struct bytes input = npy_file("<f4", "(4,)", four, sizeof four), kernel = npy_file("|i1", "(2,)", two, 2);
    const struct {
        const char *name, *path;
        struct part parts[5];
        size_t count;
        const char *output, *dtype;
    } cases[] = {
        {"two files",
         "/v1/convolve",
         {{"input", "in.npy", NULL, input}, {"kernel", "k.npy", NULL, kernel}, {"mode", NULL, NULL, text("valid")}},
         3,
         "[12,23,34]",
         "'float32'"},
        {"a file and text",
         "/v1/convolve",
         {{"kernel", NULL, NULL, text("[1, 10]")},
          {"mode", NULL, NULL, text("valid")},
          {"input", "in.npy", "application/x-npy", input}},
         3,
         "[12,23,34]",
         "'float64'"},
        {"files of JSON",
         "/v1/convolve",
         {{"input", "in.json", "application/json", text("\n {'shape': [2], 'data': [1, 2]}\n")},
          {"kernel", "k.txt", NULL, text("\t[3]\n")},
          {"mode", "m.txt", NULL, text("full\n")},
          {"dtype", NULL, NULL, text("'float32'")}},
         4,
         "[3,6]",
         "'float32'"},
        {"a named kernel, lists and words",
         "/v1/correlate",
         {{"input", NULL, NULL, text("[1,2,3]")},
          {"kernel", NULL, NULL, text("{'name':'box','size':1}")},
          {"padding", NULL, NULL, text("[[0,1]]")},
          {"boundary", NULL, NULL, text("edge")},
          {"format", NULL, NULL, text("flat")}},
         5,
         "{'shape':[4],'data':[1,2,3,3]}",
         "'float64'"},
        {"a query beside it",
         "/v1/convolve?mode=valid&dtype=int64",
         {{"input", NULL, NULL, text("[1,2]")}, {"kernel", "k.npy", NULL, kernel}},
         2,
         "[12]",
         "'int64'"},
        {"a layer",
         "/v1/conv",
         {{"input", NULL, NULL, text("[[1,2,3]]")},
          {"weight", NULL, NULL, text("[[[1,1]]]")},
          {"padding", NULL, NULL, text("same")}},
         3,
         "[[3,5,3]]",
         "'float64'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = post_by_curl(cases[i].path, cases[i].parts, cases[i].count);
        if (answer.status != 200)
            complain(cases[i].name, "%ld %s", answer.status, answer.body);
        check_member(cases[i].name, &answer, "output", cases[i].output);
        check_member(cases[i].name, &answer, "dtype", cases[i].dtype);
    }
}

/* ---- Faults, by hand ---- */

static struct answer post(const char *type, const char *body)
{
    const char *const headers[] = {textf("Content-Type: %s", type), NULL};
    return http_call(daemon_child, &(struct call){.path = "/v1/convolve", .body = body, .headers = headers});
}

#define PART(name, content) "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" content "\r\n"
#define END                 "--b--\r\n"

static void faults(void **state)
{
    (void)state;
    static const struct {
        const char *name, *body;
        int status;
        const char *slug, *pointer;
        long long offset;
    } cases[] = {
        {"missing", PART("input", "[1]") END, 422, "missing-member", "/kernel", NO_OFFSET},
        {"unknown", PART("input", "[1]") PART("kernel", "[1]") PART("mod", "1") END, 422, "unknown-member", "/mod",
         NO_OFFSET},
        {"duplicate", PART("input", "[1]") PART("kernel", "[1]") PART("input", "[1]") END, 422, "duplicate-member",
         "/input", NO_OFFSET},
        {"duplicate before unknown", PART("x", "1") PART("input", "[1]") PART("input", "[1]") END, 422,
         "duplicate-member", "/input", NO_OFFSET},
        {"a wrong word", PART("input", "[1]") PART("kernel", "[1]") PART("mode", "sam") END, 422, "invalid-value",
         "/mode", NO_OFFSET},
        {"a wrong row", PART("input", "[[1,2],[3]]") PART("kernel", "[1]") END, 422, "ragged-array", "/input/1",
         NO_OFFSET},
        {"no tensor", PART("input", "abc") PART("kernel", "[1]") END, 422, "invalid-value", "/input", NO_OFFSET},
        {"an empty name", PART("input", "[1]") PART("kernel", "[1]") PART("", "1") END, 422, "unknown-member", "/",
         NO_OFFSET},
        {"malformed JSON", PART("kernel", "[1]") PART("input", "[1,\n2,]") END, 400, "malformed-json", "/input", 6},
        {"cut JSON", PART("kernel", "[1]") PART("input", "[1,2") END, 400, "malformed-json", "/input", 4},
        {"malformed JSON of an unknown member", PART("x", "{") END, 400, "malformed-json", "/x", 1},
        {"an empty part", PART("input", "") END, 400, "malformed-json", "/input", 0},
        {"a picture", PART("input", "\xff\xd8\xff\xe0 JFIF") END, 400, "malformed-json", "/input", 0},
        {"a broken .npy", PART("input", "\x93NUMPX") END, 400, "malformed-npy", "/input", NO_OFFSET},
        {"a cut .npy", PART("kernel", "\x93NUMPY\1") END, 400, "malformed-npy", "/kernel", NO_OFFSET},
        {"no end", PART("input", "[1]") PART("kernel", "[1]"), 400, "malformed-multipart", NULL, NO_OFFSET},
        {"no name", "--b\r\nContent-Disposition: form-data\r\n\r\n[1]\r\n" END, 400, "malformed-multipart", NULL,
         NO_OFFSET},
        {"no multipart", "{\"input\":[1]}", 400, "malformed-multipart", NULL, NO_OFFSET},
        {"nothing", "", 400, "malformed-multipart", NULL, NO_OFFSET},
        {"no part", END, 422, "missing-member", "/input", NO_OFFSET},
    };
    http_get(daemon_child, "/healthz");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = post("multipart/form-data; boundary=b", cases[i].body);
        check_problem_in(cases[i].name, &answer, cases[i].status, cases[i].slug, cases[i].pointer, cases[i].offset,
                         NULL);
        check_number(cases[i].name, "new connections", answer.connects, 0);
    }
    struct answer answer = post("multipart/form-data", cases[0].body);
    check_problem_in("no boundary", &answer, 400, "malformed-multipart", NULL, NO_OFFSET, "boundary");
    answer = post("multipart/mixed; boundary=b", cases[0].body);
    check_problem_in("mixed", &answer, 415, "unsupported-media-type", NULL, NO_OFFSET, NULL);
}

/* ---- The dtype where every tensor came with a type: what NumPy's result_type needs ---- */

static void dtypes(void **state)
{
    (void)state;
    static const struct {
        const char *input, *kernel, *expected;
    } cases[] = {
        {"|b1", "|b1", "'int64'"},      {"|u1", "|i1", "'int64'"},       {"<u4", "<i2", "'int64'"},
        {"<u8", "<u8", "'int64'"},      {"<u8", "<i1", "'float64'"},     {"<u8", "|b1", "'int64'"},
        {"<f2", "<f2", "'float32'"},    {"<f2", "|u1", "'float32'"},     {"<f2", "<i2", "'float32'"},
        {"<f4", "<i2", "'float32'"},    {"<f4", "<u2", "'float32'"},     {"<f4", "<i4", "'float64'"},
        {"<f2", "<i4", "'float64'"},    {"<f4", "<f8", "'float64'"},     {"<i8", "<f4", "'float64'"},
        {"<c8", "<f4", "'complex64'"},  {"<c8", "<i2", "'complex64'"},   {"<c8", "<i4", "'complex128'"},
        {"<c8", "<f8", "'complex128'"}, {"<c16", "|b1", "'complex128'"}, {">f4", "<f4", "'float32'"},
    };
    static const char zeros[16];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = textf("%s with %s", cases[i].input, cases[i].kernel);
        const struct part parts[] = {
            {"input", "a.npy", NULL, npy_file(cases[i].input, "(1,)", zeros, (size_t)atoi(cases[i].input + 2))},
            {"kernel", "b.npy", NULL, npy_file(cases[i].kernel, "(1,)", zeros, (size_t)atoi(cases[i].kernel + 2))},
        };
        struct answer answer = post_by_curl("/v1/convolve", parts, 2);
        check_number(name, "status", answer.status, 200);
        check_member(name, &answer, "dtype", cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(as_curl_sends_it),
        HTTP_TEST(faults),
        HTTP_TEST(dtypes),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
