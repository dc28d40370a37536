/* SPDX-License-Identifier: MIT */
/* Calls by libcurl. One handle per daemon (or per thread) keeps its connection, so that a test can tell whether an error
 * has cost it: answer.connects is 0 where the connection was used again. */
#include "tests/http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

struct buffer {
    char *bytes;
    size_t count;
};

static size_t buffer_add(char *bytes, size_t size, size_t count, void *context)
{
    struct buffer *buffer = context;
    char *larger = realloc(buffer->bytes, buffer->count + size * count + 1);
    if (!larger)
        return 0;
    memcpy(larger + buffer->count, bytes, size * count);
    buffer->bytes = larger;
    buffer->count += size * count;
    larger[buffer->count] = 0;
    return size * count;
}

struct upload {
    const char *bytes;
    size_t count;
};

static size_t upload_take(char *bytes, size_t size, size_t count, void *context)
{
    struct upload *upload = context;
    size_t taken = size * count < upload->count ? size * count : upload->count;
    memcpy(bytes, upload->bytes, taken);
    upload->bytes += taken;
    upload->count -= taken;
    return taken;
}

void *curl_new(void)
{
    static bool started;
    if (!started) { /* by the main thread, before there are others */
        curl_global_init(CURL_GLOBAL_ALL);
        started = true;
    }
    return curl_easy_init();
}

void curl_free_handle(void *curl)
{
    curl_easy_cleanup(curl);
}

static void give_body(CURL *curl, const struct call *call, struct upload *upload)
{
    if (!call->body)
        return;
    upload->bytes = call->body;
    upload->count = call->body_bytes ? call->body_bytes : strlen(call->body);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    if (call->chunked) {
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, upload_take);
        curl_easy_setopt(curl, CURLOPT_READDATA, upload);
    } else {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)upload->count);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
    }
}

struct answer http_call(struct child *child, const struct call *call)
{
    CURL *curl = call->curl ? call->curl : child->curl;
    struct buffer head = {0}, body = {0};
    struct upload upload;
    struct answer answer = {.head = "", .body = ""};
    struct curl_slist *headers = NULL;
    bool expect_given = false;

    curl_easy_reset(curl);
    if (call->url) {
        curl_easy_setopt(curl, CURLOPT_URL, call->url);
    } else if (!strncmp(child->address, "unix:", 5)) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, child->address + 5);
        curl_easy_setopt(curl, CURLOPT_URL, textf("http://localhost%s", call->path));
    } else {
        curl_easy_setopt(curl, CURLOPT_URL, textf("%s%s", child->address, call->path));
    }
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(120000 * slowness()));
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    for (const char *const *at = call->headers; at && *at; at++) {
        headers = curl_slist_append(headers, *at);
        expect_given = expect_given || !strncasecmp(*at, "Expect:", 7);
    }
    if (!expect_given)
        headers = curl_slist_append(headers, "Expect:");
    if (call->chunked)
        headers = curl_slist_append(headers, "Transfer-Encoding: chunked");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    give_body(curl, call, &upload);
    if (call->method && !strcmp(call->method, "HEAD"))
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (call->method)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, buffer_add);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &head);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, buffer_add);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);

    CURLcode code = curl_easy_perform(curl);
    double seconds = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &answer.connects);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &seconds);
    answer.milliseconds = seconds * 1e3;
    if (code != CURLE_OK) {
        answer.failure = curl_easy_strerror(code);
        answer.status = 0;
    }
    if (head.count)
        answer.head = text_copy(head.bytes, head.count);
    if (body.count)
        answer.body = text_copy(body.bytes, body.count);
    answer.body_bytes = body.count;
    free(head.bytes);
    free(body.bytes);
    curl_slist_free_all(headers);
    return answer;
}

struct answer http_get(struct child *child, const char *path)
{
    return http_call(child, &(struct call){.path = path});
}

struct answer http_post(struct child *child, const char *path, const char *quoted)
{
    return http_call(child, &(struct call){.path = path, .body = json(quoted)});
}

/* The last one where there are several blocks of headers (100 Continue first). */
const char *header_of(const struct answer *answer, const char *name)
{
    const char *found = NULL;
    size_t bytes = strlen(name);
    for (const char *line = answer->head; line && *line;) {
        const char *end = strstr(line, "\r\n");
        if (!end)
            break;
        if (!strncasecmp(line, name, bytes) && line[bytes] == ':') {
            const char *value = line + bytes + 1;
            while (*value == ' ')
                value++;
            found = text_copy(value, (size_t)(end - value));
        }
        line = end + 2;
    }
    return found;
}
