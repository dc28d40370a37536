/* SPDX-License-Identifier: MIT */
/* GET /openapi.json, and pages for people: GET / and GET /problems/{slug}. Complete in themselves: no page asks for anything from elsewhere, and the
 * policy sent with it would not let it. */
#include "server/endpoints/about.h"

#include <string.h>

#include "core/convolve.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/embedded.h"
#include "server/endpoint.h"
#include "server/endpoints/text.h"
#include "server/nearest.h"
#include "server/problem.h"
#include "server/request.h"
#include "server/response.h"

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

const struct endpoint endpoint_openapi = {.answer = answer_openapi};
const struct endpoint endpoint_root = {.answer = answer_root};
const struct endpoint endpoint_problem = {.answer = answer_problem};
