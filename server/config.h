/* SPDX-License-Identifier: MIT */
/* The configuration: config.def has the members; this makes a struct of them and fills it from the file, the environment and
 * the command line (flag over variable over file over default). Immutable once loaded; a reload makes a new one. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct text_list {
    size_t count;
    char **items;
};

struct config {
#define NUMBER(name, standard, minimum, maximum, reload, limit, help) uint64_t name;
#define TEXT(name, standard, reload, help)                            char *name;
#define LIST(name, standard, reload, help)                            struct text_list name;
#define CHOICE(name, standard, choices, reload, help)                 char *name;
#include "server/config.def"
#undef NUMBER
#undef TEXT
#undef LIST
#undef CHOICE
};

/* What the command line asks for beside members. */
struct command_line {
    const char *config_file;
    bool check_config, print_config, healthcheck, version, help;
};

/* What went wrong: "FILE: member: what was found and what would be right", without the leading "convolved: ". */
struct config_error {
    char text[512];
};

/* From argv and environ and the file they name. False: the error is filled, nothing is to be freed. */
bool config_load(struct config *config, struct command_line *command, int argc, char **argv, char **environ,
                 struct config_error *error);
void config_release(struct config *config);
void config_print(const struct config *config, FILE *out); /* JSON, every member; for --print-config */
void config_print_help(FILE *out);
size_t config_write_limits(const struct config *config, char *out, size_t bytes); /* the JSON object of /v1/info */

#endif
