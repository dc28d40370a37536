/* SPDX-License-Identifier: MIT */
/* GET /openapi.json, and pages for people: GET /, GET /docs and GET /problems/{slug}. Complete in themselves: no page asks for
 * anything from elsewhere, and the policy sent with it would not let it. */
#include "server/endpoints/about.h"

#include <string.h>

#include "core/convolve.h"
#include "server/admission.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/embedded.h"
#include "server/endpoint.h"
#include "server/endpoints/text.h"
#include "server/formats/base64.h"
#include "server/nearest.h"
#include "server/problem.h"
#include "server/request.h"
#include "server/response.h"
#include "server/tls.h"

static const char html[] = "text/html; charset=utf-8";
static const char policy[] = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/* "http://127.0.0.1:8080" as the caller reached us, so that a command copied from the page works. A Host of other characters than
 * addresses have is not repeated. */
static void add_origin(struct text *text, const struct request *request)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
    const struct config *config = atomic_load(&request->daemon->config);
    const char *host = request_header(request, "Host");
    if (host == NULL || host[0] == '\0' || host[strspn(host, allowed)] != '\0')
        host = "127.0.0.1:8080";
    text_add(text, "%s://%s", config->tls_certificate == NULL ? "http" : "https", host);
}

static enum endpoint_answer answer_root(struct request *request, struct response *response,
                                        struct convolve_error *error)
{
    static const char mark[] = "{{origin}}";
    struct text text = {.arena = &request->arena};
    const char *at = embedded_index_html, *found;
    const char *const end = embedded_index_html + embedded_index_html_bytes;
    while ((found = memmem(at, (size_t)(end - at), mark, sizeof mark - 1)) != NULL) {
        text_add_bytes(&text, at, (size_t)(found - at));
        add_origin(&text, request);
        at = found + sizeof mark - 1;
    }
    text_add_bytes(&text, at, (size_t)(end - at));
    if (!text_answer(&text, request, response, html, error))
        return ENDPOINT_FAILED;
    response_header(response, "Content-Security-Policy", policy);
    return ENDPOINT_ANSWERED;
}

/* "style-src 'sha256-...'; ": what stands between these two tags of the page may be used, nothing else. It is hashed as it is sent, so
 * no build can have hashed something else, and that takes microseconds. */
static void allow_part(struct text *text, const char *directive, const char *opening, const char *closing)
{
    const char *const end = embedded_docs_html + embedded_docs_html_bytes;
    const char *part = memmem(embedded_docs_html, embedded_docs_html_bytes, opening, strlen(opening)), *stop;
    uint8_t hash[TLS_SHA256_BYTES];
    char encoded[4 * ((TLS_SHA256_BYTES + 2) / 3)];
    part += strlen(opening);
    stop = memmem(part, (size_t)(end - part), closing, strlen(closing));
    if (!tls_sha256(hash, part, (size_t)(stop - part)))
        text->failed = true;
    base64_encode(encoded, hash, sizeof hash);
    text_add(text, "%s 'sha256-%.*s'; ", directive, (int)sizeof encoded, encoded);
}

static enum endpoint_answer answer_docs(struct request *request, struct response *response,
                                        struct convolve_error *error)
{
    struct text allowed = {.arena = &request->arena};
    text_add(&allowed, "default-src 'none'; ");
    allow_part(&allowed, "style-src", "<style>", "</style>");
    allow_part(&allowed, "script-src", "<script>", "</script>");
    text_add(&allowed, "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    text_add_bytes(&allowed, "", 1); /* the NUL at its end */
    if (allowed.failed) {
        admission_fail_memory(request, error);
        return ENDPOINT_FAILED;
    }
    response_text(response, 200, html, embedded_docs_html, embedded_docs_html_bytes);
    response_header(response, "Content-Security-Policy", allowed.bytes);
    return ENDPOINT_ANSWERED;
}

static enum endpoint_answer answer_openapi(struct request *request, struct response *response,
                                           struct convolve_error *error)
{
    (void)request, (void)error;
    response_text(response, 200, "application/json", embedded_openapi_json, embedded_openapi_json_bytes);
    return ENDPOINT_ANSWERED;
}

/* ---- Problems ------------------------------------------------------------------------------------------------- */

static void write_problem_html(struct text *text, const struct problem *problem)
{
    text_add(text, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    text_add_html(text, problem->title);
    text_add(text,
             "</title>\n<style>\n:root { color-scheme: light dark }\n"
             "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem }\n"
             "</style>\n<h1>");
    text_add_html(text, problem->title);
    text_add(text, "</h1>\n<p>");
    if (problem->status == 200)
        text_add(text, "A note in an answer, not an error");
    else
        text_add(text, "Status %u", problem->status);
    text_add(text, ", type <code>/problems/%s</code></p>\n<p>", problem->slug);
    text_add_html(text, problem->remedy);
    text_add(text, "</p>\n<p><a href=\"../\">convolved</a></p>\n</html>\n");
}

static void write_problem_text(struct text *text, const struct problem *problem)
{
    text_add(text, "%s\n", problem->title);
    if (problem->status == 200)
        text_add(text, "A note in an answer, not an error");
    else
        text_add(text, "Status %u", problem->status);
    text_add(text, ", type /problems/%s\n\n%s\n", problem->slug, problem->remedy);
}

static bool fail_unknown_problem(const char *slug, struct convolve_error *error)
{
    struct nearest nearest = {.wanted = slug};
    for (size_t i = 0; i < problem_count(); i++)
        nearest_offer(&nearest, problem_at(i)->slug);
    if (nearest.name == NULL)
        return convolve_fail(error, "not-found", "", "there is no problem \"%.60s\"", slug);
    return convolve_fail(error, "not-found", "", "there is no problem \"%.60s\"; did you mean /problems/%s?", slug,
                         nearest.name);
}

static enum endpoint_answer answer_problem(struct request *request, struct response *response,
                                           struct convolve_error *error)
{
    struct text text = {.arena = &request->arena};
    const char *accept = request_header(request, "Accept");
    const bool wants_html = accept != NULL && strstr(accept, "text/html") != NULL;
    const struct problem *problem = problem_find(request->path_rest);
    if (problem == NULL) {
        fail_unknown_problem(request->path_rest, error);
        return ENDPOINT_FAILED;
    }
    if (wants_html)
        write_problem_html(&text, problem);
    else
        write_problem_text(&text, problem);
    if (!text_answer(&text, request, response, wants_html ? html : "text/plain; charset=utf-8", error))
        return ENDPOINT_FAILED;
    response->varies |= VARIES_ACCEPT;
    if (wants_html)
        response_header(response, "Content-Security-Policy", policy);
    return ENDPOINT_ANSWERED;
}

const struct endpoint endpoint_docs = {.answer = answer_docs};
const struct endpoint endpoint_openapi = {.answer = answer_openapi};
const struct endpoint endpoint_root = {.answer = answer_root};
const struct endpoint endpoint_problem = {.answer = answer_problem};
