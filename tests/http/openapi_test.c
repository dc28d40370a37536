/* SPDX-License-Identifier: MIT */
/* /openapi.json says what is so: it has every route and every problem, every member that a path knows and no other, its references
 * lead somewhere, and its examples are answered. */
#include "tests/http/harness.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/convolve.h"
#include "server/endpoints/convolve_members.h"
#include "server/endpoints/image_members.h"
#include "server/endpoints/layers_members.h"

static cJSON *document;

static const cJSON *item(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* "#/a/b": NULL where it leads nowhere. */
static const cJSON *follow(const char *reference)
{
    const cJSON *at = document;
    char *rest = text_copy(reference, strlen(reference)), *name = strsep(&rest, "/");
    if (strcmp(name, "#") != 0)
        return NULL;
    while (at && (name = strsep(&rest, "/")))
        at = item(at, name);
    return at;
}

static const cJSON *resolved(const cJSON *schema)
{
    const cJSON *reference = item(schema, "$ref");
    return cJSON_IsString(reference) ? follow(reference->valuestring) : schema;
}

static void check_references(const cJSON *at)
{
    const cJSON *child;
    if (at->string && !strcmp(at->string, "$ref") && cJSON_IsString(at) && !follow(at->valuestring))
        complain("references", "%s leads nowhere", at->valuestring);
    cJSON_ArrayForEach(child, at) check_references(child);
}

static void it_is_sound(void **state)
{
    (void)state;
    struct answer answer = http_get(daemon_child, "/openapi.json"), info = http_get(daemon_child, "/v1/info");
    check_number("openapi.json", "status", answer.status, 200);
    check_text("openapi.json", "Content-Type", header_of(&answer, "Content-Type"), "application/json");
    document = cJSON_Parse(answer.body);
    assert_non_null(document);
    check_text("openapi.json", "openapi", cJSON_GetStringValue(item(document, "openapi")), "3.1.0");
    check_text("openapi.json", "version",
               textf("\"%s\"", cJSON_GetStringValue(item(item(document, "info"), "version"))),
               member_text(info.body, "version"));
    check_references(document);
}

static const struct {
    const char *method, *path;
} routes[] = {
#define ROUTE(method, path, symbol, flags) {method, path},
#include "server/routes.def"
#undef ROUTE
};

static void it_has_every_route(void **state)
{
    (void)state;
    int count = 0;
    const cJSON *path;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const cJSON *found = item(item(document, "paths"), routes[i].path);
        if (!item(found, strcmp(routes[i].method, "GET") == 0 ? "get" : "post"))
            complain(routes[i].path, "web/openapi.json does not have %s", routes[i].method);
    }
    cJSON_ArrayForEach(path, item(document, "paths")) count += cJSON_GetArraySize(path);
    check_number("paths", "operations", count, sizeof routes / sizeof *routes);
}

static bool lists(const cJSON *strings, const char *text)
{
    const cJSON *string;
    cJSON_ArrayForEach(string, strings) if (cJSON_IsString(string) && !strcmp(string->valuestring, text)) return true;
    return false;
}

static void it_has_every_name(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *slug;
    } problems[] = {
#define PROBLEM(status, slug, title, remedy) {status, slug},
#include "server/problem.def"
#undef PROBLEM
    };
    const cJSON *schemas = item(item(document, "components"), "schemas");
    const cJSON *types = item(item(item(item(schemas, "problem"), "properties"), "type"), "enum");
    const cJSON *responses = item(item(document, "components"), "responses");
    int count = 0;
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        if (problems[i].status < 400)
            continue;
        count++;
        if (!lists(types, textf("/problems/%s", problems[i].slug)))
            complain(problems[i].slug, "no type of a problem");
        const cJSON *response = item(responses, textf("%d", problems[i].status));
        check_holds(problems[i].slug, "response", cJSON_GetStringValue(item(response, "description")),
                    problems[i].slug);
    }
    check_number("problems", "types", cJSON_GetArraySize(types), count);
    const cJSON *kernels = item(item(schemas, "kernel_name"), "enum");
    for (size_t i = 0; i < convolve_named_kernel_count(); i++)
        if (!lists(kernels, convolve_named_kernel_at(i)->name))
            complain(convolve_named_kernel_at(i)->name, "no name of a kernel");
    check_number("kernels", "names", cJSON_GetArraySize(kernels), (long long)convolve_named_kernel_count());
    for (unsigned i = 0; i < CONVOLVE_DTYPE_COUNT; i++)
        if (!lists(item(item(schemas, "dtype"), "enum"), convolve_dtype_name((enum convolve_dtype)i)))
            complain(convolve_dtype_name((enum convolve_dtype)i), "no dtype");
}

/* ---- Requests ---- */

static const cJSON *json_body_of(const char *path)
{
    const cJSON *body = item(item(item(item(document, "paths"), path), "post"), "requestBody");
    return item(item(body, "content"), "application/json");
}

static const struct {
    const char *path;
    const struct json_schema *schema;
} bodies[] = {
    {"/v1/convolve", &convolve_schema},
    {"/v1/correlate", &convolve_schema},
    {"/v1/conv", &layers_schemas[CONVOLVE_LAYER_CONV]},
    {"/v1/conv_transpose", &layers_schemas[CONVOLVE_LAYER_TRANSPOSE]},
    {"/v1/conv_backward_input", &layers_schemas[CONVOLVE_LAYER_BACKWARD_INPUT]},
    {"/v1/conv_backward_weight", &layers_schemas[CONVOLVE_LAYER_BACKWARD_WEIGHT]},
};

static void it_has_every_member(void **state)
{
    (void)state;
    const cJSON *of_explain = item(resolved(item(json_body_of("/v1/explain"), "schema")), "properties"), *member;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        const cJSON *properties = item(resolved(item(json_body_of(bodies[i].path), "schema")), "properties");
        for (size_t m = 0; m < bodies[i].schema->count; m++) {
            const char *name = bodies[i].schema->members[m].name;
            if (!item(properties, name))
                complain(bodies[i].path, "web/openapi.json does not have its member %s", name);
            if (!item(of_explain, name))
                complain("/v1/explain", "web/openapi.json does not have its member %s", name);
        }
        check_number(bodies[i].path, "members", cJSON_GetArraySize(properties), (long long)bodies[i].schema->count);
    }
    cJSON_ArrayForEach(member, of_explain)
    {
        struct answer answer = http_call(
            daemon_child, &(struct call){.path = "/v1/explain", .body = textf("{\"%s\":null}", member->string)});
        if (strstr(answer.body, "unknown-member"))
            complain("/v1/explain", "it does not know %s", member->string);
    }
}

/* A picture's members stand in the query; the picture itself is the body. */
static void it_has_every_parameter(void **state)
{
    (void)state;
    const cJSON *parameters = item(item(item(item(document, "paths"), "/v1/image"), "post"), "parameters"), *parameter;
    check_number("/v1/image", "members", cJSON_GetArraySize(parameters), (long long)image_schema.count - 1);
    cJSON_ArrayForEach(parameter, parameters)
    {
        const char *name = cJSON_GetStringValue(item(parameter, "name"));
        bool known = false;
        for (size_t m = 0; m < image_schema.count; m++)
            known = known || !strcmp(image_schema.members[m].name, name);
        if (!known)
            complain("/v1/image", "it does not know %s", name);
    }
}

/* Asks with one member set to this value; what comes may be a fault, but not that the value is none. */
static void check_choice(const char *path, const cJSON *example, const char *member, const char *value)
{
    cJSON *request = cJSON_Duplicate(example, true);
    cJSON_DeleteItemFromObjectCaseSensitive(request, member);
    cJSON_AddStringToObject(request, member, value);
    char *text = cJSON_PrintUnformatted(request);
    struct answer answer = http_call(daemon_child, &(struct call){.path = path, .body = text});
    if (strstr(answer.body, "unknown value"))
        complain(path, "%s %s: %s", member, value, answer.body);
    free(text);
    cJSON_Delete(request);
}

static void check_required(const char *path, const cJSON *example, const cJSON *required)
{
    const cJSON *name;
    cJSON_ArrayForEach(name, required)
    {
        cJSON *request = cJSON_Duplicate(example, true);
        cJSON_DeleteItemFromObjectCaseSensitive(request, name->valuestring);
        char *text = cJSON_PrintUnformatted(request);
        struct answer answer = http_call(daemon_child, &(struct call){.path = path, .body = text});
        check_problem_in(path, &answer, 422, "missing-member", textf("/%s", name->valuestring), NO_OFFSET, NULL);
        free(text);
        cJSON_Delete(request);
    }
}

static void examples_are_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strcmp(routes[i].method, "POST") != 0)
            continue;
        const char *path = routes[i].path;
        const cJSON *body = json_body_of(path), *example, *member, *value;
        const cJSON *schema = resolved(item(body, "schema"));
        if (!body)
            continue; /* it takes no JSON */
        if (!item(body, "examples")) {
            complain(path, "web/openapi.json has no example");
            continue;
        }
        cJSON_ArrayForEach(example, item(body, "examples"))
        {
            char *text = cJSON_PrintUnformatted(item(example, "value"));
            struct answer answer = http_call(daemon_child, &(struct call){.path = path, .body = text});
            check_number(textf("%s %s", path, text), "status", answer.status, 200);
            free(text);
        }
        example = item(item(body, "examples")->child, "value");
        check_required(path, example, item(schema, "required"));
        cJSON_ArrayForEach(member, item(schema, "properties"))
        {
            cJSON_ArrayForEach(value, item(resolved(member), "enum"))
                check_choice(path, example, member->string, value->valuestring);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(it_is_sound),         HTTP_TEST(it_has_every_route),     HTTP_TEST(it_has_every_name),
        HTTP_TEST(it_has_every_member), HTTP_TEST(it_has_every_parameter), HTTP_TEST(examples_are_answered),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
