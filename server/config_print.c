/* SPDX-License-Identifier: MIT */
/* The configuration as text: --print-config, --help, and the limits of /v1/info. What is printed names files of keys, never what
 * is in them. */
#include "server/config_table.h"

#include <inttypes.h>
#include <string.h>

static void print_string(const char *text, FILE *out)
{
    putc('"', out);
    for (const unsigned char *byte = (const unsigned char *)text; *byte != '\0'; byte++) {
        if (*byte == '"' || *byte == '\\')
            fprintf(out, "\\%c", *byte);
        else if (*byte < ' ' || *byte == 127)
            fprintf(out, "\\u%04x", *byte);
        else
            putc(*byte, out);
    }
    putc('"', out);
}

static void print_list(const struct text_list *list, FILE *out)
{
    putc('[', out);
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            fputs(", ", out);
        print_string(list->items[i], out);
    }
    putc(']', out);
}

void config_print(const struct config *config, FILE *out)
{
    fputs("{\n", out);
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++) {
        const struct config_member *member = &config_members[i];
        const void *field = config_field(config, member);
        fprintf(out, "  \"%s\": ", member->name);
        if (member->kind == CONFIG_NUMBER) {
            fprintf(out, "%" PRIu64, *(const uint64_t *)field);
        } else if (member->kind == CONFIG_LIST) {
            print_list(field, out);
        } else {
            const char *text = *(char *const *)field;
            print_string(text == NULL ? "" : text, out);
        }
        fputs(i + 1 < CONFIG_MEMBER_COUNT ? ",\n" : "\n", out);
    }
    fputs("}\n", out);
}

static void print_option(FILE *out, const char *flag, const char *value, const char *help, const char *standard)
{
    const int column = 33, width = fprintf(out, "  %s %s", flag, value);
    if (width >= column)
        putc('\n', out);
    fprintf(out, "%*s%s%s%s%s\n", width < column ? column - width : column, "", help, standard == NULL ? "" : " (",
            standard == NULL ? "" : standard, standard == NULL ? "" : ")");
}

void config_print_help(FILE *out)
{
    static const char *const forms[] = {[CONFIG_ANY] = "N",
                                        [CONFIG_ADDRESS] = "ADDRESS",
                                        [CONFIG_NETWORK] = "NETWORK",
                                        [CONFIG_ORIGIN] = "ORIGIN",
                                        [CONFIG_PATH] = "FILE"};
    fputs("Usage: convolved [OPTION]...\n"
          "Convolution of arrays of any rank over HTTP.\n\n",
          out);
    print_option(out, "--config", "FILE", "configuration: JSON, comments allowed", NULL);
    print_option(out, "--check-config", "", "tell whether a start would succeed, but for the address", NULL);
    print_option(out, "--print-config", "", "print the configuration that a start would use", NULL);
    print_option(out, "--healthcheck", "", "ask the configured address for /readyz; exit 0 or 1", NULL);
    print_option(out, "--version", "", "print the version", NULL);
    print_option(out, "--help", "", "print this", NULL);
    fputs("\nMembers of the configuration (default):\n", out);
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++) {
        const struct config_member *member = &config_members[i];
        char flag[64], value[64], standard[24];
        config_write_flag_name(flag, member->name);
        snprintf(standard, sizeof standard, "%" PRIu64, member->standard);
        snprintf(value, sizeof value, "%s%s", member->kind == CONFIG_CHOICE ? member->choices : forms[member->form],
                 member->kind == CONFIG_LIST ? ",..." : "");
        print_option(out, flag, value, member->help, member->kind == CONFIG_NUMBER ? standard : member->standard_text);
    }
    fputs("\nEach member can also be a variable (CONVOLVED_MAX_BODY_BYTES) or stand in the file (\"max_body_bytes\").\n"
          "A flag wins over a variable, a variable over the file, the file over the default.\n"
          "SIGTERM and SIGINT finish what was accepted and stop; SIGHUP reads the file again.\n",
          out);
}

size_t config_write_limits(const struct config *config, char *out, size_t bytes)
{
    size_t length = 0;
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++) {
        const struct config_member *member = &config_members[i];
        if (member->kind != CONFIG_NUMBER || !member->shown)
            continue;
        length += (size_t)snprintf(length < bytes ? out + length : NULL, length < bytes ? bytes - length : 0,
                                   "%s\"%s\": %" PRIu64, length == 0 ? "{" : ", ", member->name,
                                   *(const uint64_t *)config_field(config, member));
    }
    return length + (size_t)snprintf(length < bytes ? out + length : NULL, length < bytes ? bytes - length : 0, "}");
}
