/* SPDX-License-Identifier: MIT */
/* The configuration file: JSON in which comments (from two slashes to the end of the line, or C's) are allowed. Comments are
 * blanked out, line ends kept, and the rest goes through the decoder that reads request bodies; so the file is held to the same
 * rules of syntax, duplicates, unknown names and types, and no second reader of JSON is needed. */
#include "server/config_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/arena.h"
#include "server/formats/json_read.h"
#include "server/formats/json_tensor.h"
#include "server/formats/number_write.h"

enum { FILE_BYTES_MAX = 1 << 20, MEMORY_BYTES_MAX = 64 << 20 };

/* The whole file in memory of the arena; NULL with the error filled. */
static char *file_read(const char *path, struct arena *arena, size_t *bytes, struct config_error *error)
{
    char *text = NULL;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        config_fail(error, "%.400s: cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    char *buffer = arena_block(arena, FILE_BYTES_MAX + 1);
    if (buffer == NULL) {
        config_fail(error, "%.400s: there is no memory to read it", path);
        goto done;
    }
    *bytes = fread(buffer, 1, FILE_BYTES_MAX + 1, file);
    if (ferror(file))
        config_fail(error, "%.400s: cannot be read: %s", path, strerror(errno));
    else if (*bytes > FILE_BYTES_MAX)
        config_fail(error, "%.400s: is larger than a configuration can be (%d bytes)", path, FILE_BYTES_MAX);
    else
        text = buffer;
done:
    fclose(file);
    return text;
}

static unsigned line_of(const char *text, size_t offset)
{
    unsigned line = 1;
    for (size_t i = 0; i < offset; i++)
        line += text[i] == '\n';
    return line;
}

/* The end of the string that begins at `at`, past its closing quote. */
static size_t skip_string(const char *text, size_t at, size_t bytes)
{
    for (at++; at < bytes && text[at] != '"'; at++)
        if (text[at] == '\\')
            at++;
    return at + 1;
}

/* Overwrites comments with spaces. Returns the offset of a comment that never ends, or `bytes`. */
static size_t blank_comments(char *text, size_t bytes)
{
    for (size_t at = 0; at + 1 < bytes; at++) {
        if (text[at] == '"') {
            at = skip_string(text, at, bytes) - 1;
        } else if (text[at] == '/' && text[at + 1] == '/') {
            for (; at < bytes && text[at] != '\n'; at++)
                text[at] = ' ';
        } else if (text[at] == '/' && text[at + 1] == '*') {
            const size_t begin = at;
            const char *end = memmem(text + at + 2, bytes - at - 2, "*/", 2);
            if (end == NULL)
                return begin;
            for (; text + at < end + 2; at++)
                if (text[at] != '\n')
                    text[at] = ' ';
            at--;
        }
    }
    return bytes;
}

static const struct json_schema *config_schema(struct json_schema_member members[CONFIG_MEMBER_COUNT],
                                               struct json_schema *schema)
{
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++)
        members[i] = (struct json_schema_member){.name = config_members[i].name};
    *schema = (struct json_schema){members, CONFIG_MEMBER_COUNT, "{\"threads\": 2}"};
    return schema;
}

/* ---- One member ----------------------------------------------------------------------------------------------- */

static bool fail_type(const struct json_value *value, const char *wanted, char *reason)
{
    snprintf(reason, CONFIG_REASON_BYTES, "found %s, must be %s", json_type_name(value), wanted);
    return false;
}

static bool set_number(struct config *config, const struct config_member *member, const struct json_value *value,
                       char *reason)
{
    struct convolve_error error = {0};
    double number = 0;
    if (json_type_of(value) != JSON_NUMBER || !json_read_number(value, "", &number, &error))
        return config_fail_number(member, json_type_name(value), reason);
    /* Every maximum is below 2^53, so the comparison settles which numbers a uint64_t can hold. */
    if (number >= 0 && number <= 0x1p53 && (double)(uint64_t)number == number)
        return config_set_number(config, member, (uint64_t)number, reason);
    char found[NUMBER_BYTES_MAX + 1];
    *number_write_float64(found, number) = '\0';
    return config_fail_number(member, found, reason);
}

static bool read_string(const struct json_value *value, const char **text, char *reason)
{
    struct convolve_error error = {0};
    if (json_type_of(value) == JSON_STRING && json_read_text(value, "", text, &error))
        return true;
    return fail_type(value, "a string", reason);
}

static bool set_list(struct config *config, const struct config_member *member, const struct json_value *value,
                     char *reason)
{
    const char *text = NULL;
    config_clear_list(config, member);
    if (json_type_of(value) == JSON_STRING)
        return read_string(value, &text, reason) && config_add_item(config, member, text, reason);
    if (json_type_of(value) != JSON_LIST)
        return fail_type(value, "a string or a list of strings", reason);
    for (size_t i = 0; i < json_list_count(value); i++)
        if (!read_string(json_list_at(value, i), &text, reason) || !config_add_item(config, member, text, reason))
            return false;
    return true;
}

static bool set_member(struct config *config, const struct config_member *member, const struct json_value *value,
                       char *reason)
{
    const char *text = NULL;
    if (member->kind == CONFIG_NUMBER)
        return set_number(config, member, value, reason);
    if (member->kind == CONFIG_LIST)
        return set_list(config, member, value, reason);
    return read_string(value, &text, reason) && config_set_text(config, member, text, reason);
}

/* ---- The file ------------------------------------------------------------------------------------------------- */

static bool fail_decoding(const char *path, const char *text, int64_t offset, const struct convolve_error *fault,
                          struct config_error *error)
{
    if (fault->slug != NULL && strcmp(fault->slug, "malformed-json") == 0 && offset >= 0)
        return config_fail(error, "%.400s: line %u: %s", path, line_of(text, (size_t)offset), fault->detail);
    if (fault->pointer[0] == '/')
        return config_fail(error, "%.400s: %.100s: %s", path, fault->pointer + 1, fault->detail);
    return config_fail(error, "%.400s: %s", path, fault->detail);
}

static bool read_members(struct config *config, const char *path, const struct json_body *body,
                         struct config_error *error)
{
    char reason[CONFIG_REASON_BYTES];
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++) {
        const struct config_member *member = &config_members[i];
        const struct json_value *value = json_member(body, member->name);
        if (value == NULL)
            continue;
        if (!set_member(config, member, value, reason))
            return config_fail(error, "%.400s: %s: %s", path, member->name, reason);
        config->source[i] = CONFIG_FILE;
    }
    return true;
}

bool config_read_file(struct config *config, const char *path, struct config_error *error)
{
    struct memory_budget budget = {.limit = MEMORY_BYTES_MAX};
    struct arena arena;
    struct json_schema_member members[CONFIG_MEMBER_COUNT];
    struct json_schema schema;
    struct convolve_error fault = {0};
    size_t bytes = 0;
    bool done = false;
    arena_init(&arena, &budget);

    char *text = file_read(path, &arena, &bytes, error);
    if (text == NULL)
        goto release;
    const size_t open_comment = blank_comments(text, bytes);
    if (open_comment < bytes) {
        config_fail(error, "%.400s: line %u: the comment that begins here never ends", path,
                    line_of(text, open_comment));
        goto release;
    }
    struct json_decoder *decoder = json_decoder_create(&arena, config_schema(members, &schema));
    if (decoder == NULL) {
        config_fail(error, "%.400s: there is no memory to read it", path);
        goto release;
    }
    const struct json_body *body = NULL;
    if (json_decoder_feed(decoder, text, bytes, &fault))
        body = json_decoder_finish(decoder, &fault);
    done = body != NULL ? read_members(config, path, body, error)
                        : fail_decoding(path, text, json_decoder_offset(decoder), &fault, error);
release:
    arena_release(&arena);
    return done;
}
