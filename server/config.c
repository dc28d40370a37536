/* SPDX-License-Identifier: MIT */
/* Builds the configuration: defaults, then the file, then the environment, then the command line, each over the one before.
 * Every member is a row of config.def; nothing here knows one by its name. */
#include "server/config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "server/address.h"
#include "server/config_table.h"
#include "server/nearest.h"

enum { RESTART = 0, RELOAD = 1, HIDDEN = 0, SHOWN = 1 };

const struct config_member config_members[CONFIG_MEMBER_COUNT] = {
#define FIELD(name) #name, offsetof(struct config, name)
#define NUMBER(name, standard, minimum, maximum, reload, limit, help)                                                  \
    {FIELD(name), CONFIG_NUMBER, CONFIG_ANY, standard, minimum, maximum, NULL, NULL, reload, limit, help},
#define TEXT(name, standard, form, reload, help)                                                                       \
    {FIELD(name), CONFIG_TEXT, CONFIG_##form, 0, 0, 0, standard, NULL, reload, HIDDEN, help},
#define LIST(name, standard, form, reload, help)                                                                       \
    {FIELD(name), CONFIG_LIST, CONFIG_##form, 0, 0, 0, standard, NULL, reload, HIDDEN, help},
#define CHOICE(name, standard, choices, reload, help)                                                                  \
    {FIELD(name), CONFIG_CHOICE, CONFIG_ANY, 0, 0, 0, standard, choices, reload, HIDDEN, help},
#include "server/config.def"
#undef FIELD
#undef NUMBER
#undef TEXT
#undef LIST
#undef CHOICE
};

/* ---- Errors --------------------------------------------------------------------------------------------------- */

static void write_one_line(struct config_error *error, const char *place, const char *format, va_list arguments)
{
    const int start = snprintf(error->text, sizeof error->text, "%s", place);
    if (start >= 0 && (size_t)start < sizeof error->text)
        vsnprintf(error->text + start, sizeof error->text - (size_t)start, format, arguments);
    for (char *byte = error->text; *byte != '\0'; byte++)
        if ((unsigned char)*byte < ' ' || *byte == 127)
            *byte = '?';
}

bool config_fail(struct config_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_one_line(error, "", format, arguments);
    va_end(arguments);
    return false;
}

void config_blame(const struct config *config, enum config_index member, struct config_error *error, const char *format,
                  ...)
{
    char place[600];
    const char *source = "default";
    if (config->source[member] == CONFIG_FILE && config->file != NULL)
        source = config->file;
    else if (config->source[member] == CONFIG_VARIABLE)
        source = "environment";
    else if (config->source[member] == CONFIG_FLAG)
        source = "command line";
    snprintf(place, sizeof place, "%.400s: %s: ", source, config_members[member].name);
    va_list arguments;
    va_start(arguments, format);
    write_one_line(error, place, format, arguments);
    va_end(arguments);
}

static bool fail_memory(char *reason)
{
    snprintf(reason, CONFIG_REASON_BYTES, "there is no memory for it");
    return false;
}

bool config_fail_number(const struct config_member *member, const char *found, char *reason)
{
    snprintf(reason, CONFIG_REASON_BYTES, "found %.100s, must be an integer from %llu to %llu", found,
             (unsigned long long)member->minimum, (unsigned long long)member->maximum);
    return false;
}

/* ---- Setting one member --------------------------------------------------------------------------------------- */

static void *writable_field(struct config *config, const struct config_member *member)
{
    return (char *)config + member->offset;
}

bool config_set_number(struct config *config, const struct config_member *member, uint64_t value, char *reason)
{
    if (value < member->minimum || value > member->maximum) {
        char found[24];
        snprintf(found, sizeof found, "%llu", (unsigned long long)value);
        return config_fail_number(member, found, reason);
    }
    *(uint64_t *)writable_field(config, member) = value;
    return true;
}

static bool check_choice(const struct config_member *member, const char *text, char *reason)
{
    struct nearest nearest = {.wanted = text};
    char names[8][24];
    size_t count = 0;
    for (const char *at = member->choices; *at != '\0' && count < 8; count++) {
        const size_t bytes = strcspn(at, "|");
        snprintf(names[count], sizeof names[count], "%.*s", (int)bytes, at);
        if (strcmp(names[count], text) == 0)
            return true;
        nearest_offer(&nearest, names[count]);
        at += bytes + (at[bytes] == '|');
    }
    const int length =
        snprintf(reason, CONFIG_REASON_BYTES, "found \"%.100s\", must be one of %s", text, member->choices);
    if (nearest.name != NULL)
        snprintf(reason + length, CONFIG_REASON_BYTES - (size_t)length, "; did you mean \"%s\"?", nearest.name);
    return false;
}

/* Origins are compared as whole strings, so one with a path or without a scheme would never match anything. */
static bool is_origin(const char *text)
{
    const char *host = strstr(text, "://");
    if (strcmp(text, "*") == 0 || strcmp(text, "null") == 0)
        return true;
    return host != NULL && host != text && host[3] != '\0' && strpbrk(host + 3, "/?# ") == NULL;
}

static bool check_form(const struct config_member *member, const char *text, char *reason)
{
    struct address address;
    char why[200] = "";
    bool fits = true;
    if (member->form == CONFIG_ADDRESS) {
        fits = address_parse(&address, text, why, sizeof why);
    } else if (member->form == CONFIG_NETWORK) {
        fits = address_is_network(text);
        snprintf(why, sizeof why, "write an address (10.0.0.1, ::1) or a network (10.0.0.0/8)");
    } else if (member->form == CONFIG_ORIGIN) {
        fits = is_origin(text);
        snprintf(why, sizeof why, "write an origin as browsers do (https://example.com, no slash at the end) or \"*\"");
    }
    if (!fits)
        snprintf(reason, CONFIG_REASON_BYTES, "found \"%.100s\": %s", text, why);
    return fits;
}

bool config_set_text(struct config *config, const struct config_member *member, const char *text, char *reason)
{
    char **field = writable_field(config, member), *copy = NULL;
    if (member->kind == CONFIG_CHOICE && !check_choice(member, text, reason))
        return false;
    if (*text != '\0' && !check_form(member, text, reason))
        return false;
    if (*text != '\0' && (copy = strdup(text)) == NULL)
        return fail_memory(reason);
    free(*field);
    *field = copy;
    return true;
}

static void list_release(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){0};
}

void config_clear_list(struct config *config, const struct config_member *member)
{
    list_release(writable_field(config, member));
}

bool config_add_item(struct config *config, const struct config_member *member, const char *text, char *reason)
{
    struct text_list *list = writable_field(config, member);
    if (!check_form(member, text, reason))
        return false;
    char **items = reallocarray(list->items, list->count + 1, sizeof *items);
    if (items == NULL)
        return fail_memory(reason);
    list->items = items;
    if ((items[list->count] = strdup(text)) == NULL)
        return fail_memory(reason);
    list->count++;
    return true;
}

static bool add_items_between_commas(struct config *config, const struct config_member *member, const char *text,
                                     char *reason)
{
    char *copy = strdup(text), *rest = copy;
    bool added = copy != NULL || fail_memory(reason);
    while (added && rest != NULL && *text != '\0') {
        char *item = strsep(&rest, ",");
        item += strspn(item, " ");
        item[strcspn(item, " ")] = '\0';
        added = config_add_item(config, member, item, reason);
    }
    free(copy);
    return added;
}

static bool set_number_from_digits(struct config *config, const struct config_member *member, const char *text,
                                   char *reason)
{
    uint64_t value = 0;
    bool digits = *text != '\0';
    for (const char *at = text; digits && *at != '\0'; at++)
        digits = *at >= '0' && *at <= '9' && !__builtin_mul_overflow(value, 10, &value) &&
                 !__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
    if (digits)
        return config_set_number(config, member, value, reason);
    char found[104];
    snprintf(found, sizeof found, "\"%.100s\"", text);
    return config_fail_number(member, found, reason);
}

/* From a flag or a variable. A list is added to, so that a flag given twice names two items. */
static bool set_from_words(struct config *config, const struct config_member *member, const char *text, char *reason)
{
    if (member->kind == CONFIG_NUMBER)
        return set_number_from_digits(config, member, text, reason);
    if (member->kind == CONFIG_LIST)
        return add_items_between_commas(config, member, text, reason);
    return config_set_text(config, member, text, reason);
}

/* ---- Sources -------------------------------------------------------------------------------------------------- */

static bool set_defaults(struct config *config, struct config_error *error)
{
    char reason[CONFIG_REASON_BYTES];
    *config = (struct config){0};
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++) {
        const struct config_member *member = &config_members[i];
        bool set = true;
        if (member->kind == CONFIG_NUMBER)
            set = config_set_number(config, member, member->standard, reason);
        else if (member->standard_text != NULL)
            set = set_from_words(config, member, member->standard_text, reason);
        if (!set)
            return config_fail(error, "default: %s: %s", member->name, reason);
    }
    return true;
}

/* The member's name as a variable has it (prefix "CONVOLVED_", upper case) or as a flag does ("--", hyphens). */
static void write_variable_name(char out[64], const char *name)
{
    int length = snprintf(out, 64, "CONVOLVED_%s", name);
    while (length-- > 0)
        if (out[length] >= 'a' && out[length] <= 'z')
            out[length] = (char)(out[length] - 'a' + 'A');
}

void config_write_flag_name(char out[64], const char *name)
{
    for (int length = snprintf(out, 64, "--%s", name); length-- > 0;)
        if (out[length] == '_')
            out[length] = '-';
}

/* Other variables of that prefix are no error: clients have some (CONVOLVED_URL), and a cluster makes more of them up for every
 * service that is called convolved. */
static bool read_variables(struct config *config, char **variables, struct config_error *error)
{
    char reason[CONFIG_REASON_BYTES], name[64];
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++) {
        const struct config_member *member = &config_members[i];
        write_variable_name(name, member->name);
        const size_t bytes = strlen(name);
        for (char **entry = variables; entry != NULL && *entry != NULL; entry++) {
            if (strncmp(*entry, name, bytes) != 0 || (*entry)[bytes] != '=')
                continue;
            if (member->kind == CONFIG_LIST)
                config_clear_list(config, member);
            if (!set_from_words(config, member, *entry + bytes + 1, reason))
                return config_fail(error, "environment: %s: %s", name, reason);
            config->source[i] = CONFIG_VARIABLE;
            break;
        }
    }
    return true;
}

/* ---- Command line --------------------------------------------------------------------------------------------- */

static bool *command_switch(struct command_line *command, const char *name)
{
    const struct {
        const char *name;
        bool *value;
    } switches[] = {
        {"--check-config", &command->check_config},
        {"--print-config", &command->print_config},
        {"--healthcheck", &command->healthcheck},
        {"--version", &command->version},
        {"--help", &command->help},
        {"-h", &command->help},
    };
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        if (strcmp(switches[i].name, name) == 0)
            return switches[i].value;
    return NULL;
}

static bool fail_unknown_option(const char *name, struct config_error *error)
{
    static const char *const others[] = {"--config",      "--check-config", "--print-config",
                                         "--healthcheck", "--version",      "--help"};
    struct nearest nearest = {.wanted = name};
    char flags[CONFIG_MEMBER_COUNT][64];
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++) {
        config_write_flag_name(flags[i], config_members[i].name);
        nearest_offer(&nearest, flags[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        nearest_offer(&nearest, others[i]);
    if (nearest.name == NULL)
        return config_fail(error, "command line: %.100s: no such option; --help lists them", name);
    return config_fail(error, "command line: %.100s: no such option; did you mean %s?", name, nearest.name);
}

static size_t find_flag(const char *name)
{
    char flag[64];
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++) {
        config_write_flag_name(flag, config_members[i].name);
        if (strcmp(flag, name) == 0)
            return i;
    }
    return CONFIG_MEMBER_COUNT;
}

/* Goes over the arguments twice: first for the switches and --config (`config` is NULL), then, once the file and the environment
 * have been read, for the members. */
static bool read_arguments(struct config *config, struct command_line *command, int argc, char **argv,
                           struct config_error *error)
{
    char name[100], reason[CONFIG_REASON_BYTES];
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i], *value = strchr(argument, '=');
        snprintf(name, sizeof name, "%.*s", (int)(value == NULL ? strlen(argument) : (size_t)(value - argument)),
                 argument);
        if (argument[0] != '-')
            return config_fail(error, "command line: %.100s: takes no arguments but options; --help lists them",
                               argument);
        bool *switched = command_switch(command, name);
        if (switched != NULL && value != NULL)
            return config_fail(error, "command line: %s: takes no value", name);
        if (switched != NULL) {
            *switched = true;
            continue;
        }
        const size_t index = find_flag(name);
        const bool names_file = strcmp(name, "--config") == 0;
        if (!names_file && index == CONFIG_MEMBER_COUNT)
            return fail_unknown_option(name, error);
        value = value != NULL ? value + 1 : argv[++i];
        if (i >= argc)
            return config_fail(error, "command line: %s: needs a value", name);
        if (names_file)
            command->config_file = value;
        if (names_file || config == NULL)
            continue;
        const struct config_member *member = &config_members[index];
        if (member->kind == CONFIG_LIST && config->source[index] != CONFIG_FLAG)
            config_clear_list(config, member);
        if (!set_from_words(config, member, value, reason))
            return config_fail(error, "command line: %s: %s", name, reason);
        config->source[index] = CONFIG_FLAG;
    }
    return true;
}

/* ---- Whole configurations ------------------------------------------------------------------------------------- */

static bool check_together(const struct config *config, struct config_error *error)
{
    if (config->listen.count == 0) {
        config_blame(config, CONFIG_INDEX_listen, error, "found an empty list, must name one address or more");
        return false;
    }
    if ((config->tls_certificate == NULL) != (config->tls_key == NULL)) {
        const bool key_missing = config->tls_key == NULL;
        config_blame(config, key_missing ? CONFIG_INDEX_tls_certificate : CONFIG_INDEX_tls_key, error,
                     "found without %s, must be given together", key_missing ? "tls_key" : "tls_certificate");
        return false;
    }
    return true;
}

bool config_load(struct config *config, struct command_line *command, int argc, char **argv, char **variables,
                 struct config_error *error)
{
    *command = (struct command_line){0};
    *config = (struct config){0};
    if (!read_arguments(NULL, command, argc, argv, error) || !set_defaults(config, error))
        goto failed;
    if (command->help || command->version)
        return true;
    if (command->config_file != NULL && (config->file = strdup(command->config_file)) == NULL) {
        config_fail(error, "command line: --config: there is no memory for it");
        goto failed;
    }
    if (config->file != NULL && !config_read_file(config, config->file, error))
        goto failed;
    if (read_variables(config, variables, error) && read_arguments(config, command, argc, argv, error) &&
        check_together(config, error))
        return true;
failed:
    config_release(config);
    return false;
}

void config_release(struct config *config)
{
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++) {
        const struct config_member *member = &config_members[i];
        if (member->kind == CONFIG_LIST)
            list_release(writable_field(config, member));
        else if (member->kind != CONFIG_NUMBER)
            free(*(char **)writable_field(config, member));
    }
    free(config->file);
    *config = (struct config){0};
}
