/* SPDX-License-Identifier: MIT */
/* The reference at /docs: its policy fits its bytes, it asks for nothing from elsewhere, and where Node is installed, what it makes of
 * /openapi.json has every route, links that lead somewhere, and commands that run. */
#include "tests/http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/formats/base64.h"
#include "server/tls.h"

/* What stands between the two tags; NULL, and a complaint, where there is not just one such part. */
static char *part_of(const char *page, const char *opening, const char *closing)
{
    const char *part = strstr(page, opening), *end = part ? strstr(part, closing) : NULL;
    if (end == NULL || strstr(part + 1, opening) != NULL) {
        complain(opening, "the page has none, or several");
        return NULL;
    }
    part += strlen(opening);
    return text_copy(part, (size_t)(end - part));
}

static void check_allowed(const char *directive, const char *policy, const char *part)
{
    uint8_t hash[TLS_SHA256_BYTES];
    char encoded[64] = "";
    assert_true(tls_sha256(hash, part, strlen(part)));
    base64_encode(encoded, hash, sizeof hash);
    check_holds(directive, "policy", policy, textf("; %s 'sha256-%s'; ", directive, encoded));
}

static void the_page(void **state)
{
    (void)state;
    static const char *const loaders[] = {"://", "src=", "url(", "@import", "style=", " onclick="};
    struct answer answer = http_get(daemon_child, "/docs");
    struct answer head = http_call(daemon_child, &(struct call){.method = "HEAD", .path = "/docs"});
    check_number("/docs", "status", answer.status, 200);
    check_text("/docs", "Content-Type", header_of(&answer, "Content-Type"), "text/html; charset=utf-8");
    check_number("HEAD", "status", head.status, 200);
    check_text("HEAD", "Content-Length", header_of(&head, "Content-Length"), header_of(&answer, "Content-Length"));
    check_number("/docs", "whether it is small", answer.body_bytes < 20000, true);
    for (size_t i = 0; i < sizeof loaders / sizeof *loaders; i++)
        if (strstr(answer.body, loaders[i]))
            complain("/docs", "it has %s, which is elsewhere, or which its policy forbids", loaders[i]);
    const char *policy = header_of(&answer, "Content-Security-Policy");
    const char *style = part_of(answer.body, "<style>", "</style>");
    const char *script = part_of(answer.body, "<script>", "</script>");
    if (policy == NULL || style == NULL || script == NULL) {
        complain("/docs", "no policy");
        return;
    }
    check_allowed("style-src", policy, style);
    check_allowed("script-src", policy, script);
    check_holds("/docs", "policy", policy, "default-src 'none'; ");
    check_holds("/docs", "policy", policy, "connect-src 'self'; ");
    check_text("/docs", "unsafe word of its policy", strstr(policy, "unsafe"), NULL);
}

/* ---- Under Node ---- */

static bool has_node(void)
{
    if (system("command -v node >/dev/null 2>&1 && command -v curl >/dev/null 2>&1") == 0)
        return true;
    printf("node or curl is not installed: what the page makes of openapi.json is left out\n");
    return false;
}

static const char *output_of(const char *command)
{
    enum { BYTES_MAX = 1 << 20 };
    FILE *pipe = popen(command, "r");
    char *said = text_room(BYTES_MAX);
    assert_non_null(pipe);
    said[fread(said, 1, BYTES_MAX - 1, pipe)] = '\0';
    check_number(command, "exit status", pclose(pipe), 0);
    return said;
}

/* What this JavaScript prints behind the page's own. It finds the document as `api` and the daemon's address as `base`. */
static const char *run(const char *javascript)
{
    struct answer page = http_get(daemon_child, "/docs"), api = http_get(daemon_child, "/openapi.json");
    const char *script = part_of(page.body, "<script>", "</script>");
    assert_non_null(script);
    return output_of(
        textf("node %s 2>&1", file_with(textf("%s;\nconst api = %s, base = \"http://127.0.0.1:%u/\";\n%s\n", script,
                                              api.body, daemon_child->port, javascript))));
}

static void it_has_every_route(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
    } routes[] = {
#define ROUTE(method, path, symbol, flags) {method, path},
#include "server/routes.def"
#undef ROUTE
    };
    if (!has_node())
        return;
    const char *page = run("process.stdout.write(render(api, base, false));");
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const char *heading = textf("\">%s <code>%s</code></h2>", routes[i].method, routes[i].path);
        if (!strstr(page, heading))
            complain(routes[i].path, "the page has no heading %s", heading);
    }
    check_holds("a member", "page", page,
                "<dt><code>mode</code><dd><code>&#34;full&#34;</code>, <code>&#34;same&#34;</code>, "
                "<code>&#34;valid&#34;</code>. "
                "Default <code>&#34;full&#34;</code>. Which outputs are kept");
    check_text("references", "unresolved", strstr(page, "undefined"), NULL);
    for (const char *link = page; (link = strstr(link, "href=\"")) != NULL; link++) {
        const char *target = text_copy(link + 6, strcspn(link + 6, "\""));
        if (target[0] != '#')
            check_number(target, "status", http_get(daemon_child, textf("/%s", target)).status, 200);
        else if (!strstr(page, textf(" id=\"%s\"", target + 1)))
            complain(target, "a link to it leads nowhere");
    }
}

static void its_commands_run(void **state)
{
    (void)state;
    static const char before[] =
        "dir=$(mktemp -d) && cd \"$dir\" || exit 1\n"
        "trap 'rm -rf \"$dir\"' EXIT\n"
        "curl() { command curl -sSf \"$@\" >answer || echo \"failed: curl $*\"; }\n"
        "echo iVBORw0KGgoAAAANSUhEUgAAAAMAAAADCAAAAABzQ+pjAAAADklEQVR42mNgZGJmgGIAAHIAE2hF72UAAAAASUVORK5CYII="
        " | base64 -d >input.png\n";
    if (!has_node())
        return;
    const char *commands =
        run("for (const operation of operations(api))\n"
            "  for (const [, command] of commands(api, operation, base, false)) console.log(command);");
    check_holds("commands", "text", commands, textf("curl http://127.0.0.1:%u/v1/convolve -d '{", daemon_child->port));
    check_text("commands", "output",
               output_of(textf("sh %s 2>&1",
                               file_with(textf("%s%s[ -s output.png ] || echo no picture\n", before, commands)))),
               "");
    check_holds("with a key", "command", run("console.log(commands(api, operations(api)[0], base, true)[0][1]);"),
                " -H \"Authorization: Bearer $CONVOLVED_KEY\" -d '");
}

static void texts_stay_texts(void **state)
{
    (void)state;
    if (!has_node())
        return;
    const char *page = run("api.info.summary = api.paths[\"/v1/conv\"].post.summary = '<img id=\"x\">';\n"
                           "process.stdout.write(render(api, base, false));");
    check_text("escaped", "tag", strstr(page, "<img"), NULL);
    check_text("a quote", "command", run("console.log(quoted(\"it's $x\"));"), "'it'\\''s $x'\n");
}

/* A stand-in for the browser: what the page says where keys are wanted, and what it does with one. */
static void behind_keys(void **state)
{
    (void)state;
    if (!has_node())
        return;
    check_text("behind keys", "page",
               run("const parts = {status: {}, again: {}, reference: {}}, asked = [];\n"
                   "globalThis.document = {getElementById: id => parts[id], querySelector: () => ({focus() {}})};\n"
                   "globalThis.location = {href: base + 'docs?x', hash: ''};\n"
                   "globalThis.fetch = async (path, {headers}) => {\n"
                   "  asked.push(path, headers?.Authorization);\n"
                   "  return {status: headers ? 200 : 401, ok: Boolean(headers), json: async () => api};\n"
                   "};\n"
                   "(async () => {\n"
                   "  await show('');\n"
                   "  console.log(parts.status.textContent, parts.again.hidden);\n"
                   "  await show('secret');\n"
                   "  console.log(parts.status.textContent === '', parts.again.hidden, asked.join(' '));\n"
                   "  console.log(parts.reference.innerHTML === render(api, base, true), "
                   "/secret/.test(parts.reference.innerHTML));\n"
                   "})();"),
               "openapi.json, which this page is made from, could not be read: the daemon wants an API key (status "
               "401). false\n"
               "true true openapi.json  openapi.json Bearer secret\n"
               "true false\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(the_page),         HTTP_TEST(it_has_every_route), HTTP_TEST(its_commands_run),
        HTTP_TEST(texts_stay_texts), HTTP_TEST(behind_keys),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
