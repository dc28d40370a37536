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

/* Where a value came from; errors found later say so. */
enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_VARIABLE, CONFIG_FLAG };

/* CONFIG_INDEX_listen, ...; CONFIG_MEMBER_COUNT */
enum config_index {
#define NUMBER(name, standard, minimum, maximum, reload, limit, help) CONFIG_INDEX_##name,
#define TEXT(name, standard, form, reload, help)                      CONFIG_INDEX_##name,
#define LIST(name, standard, form, reload, help)                      CONFIG_INDEX_##name,
#define CHOICE(name, standard, choices, reload, help)                 CONFIG_INDEX_##name,
#include "server/config.def"
#undef NUMBER
#undef TEXT
#undef LIST
#undef CHOICE
    CONFIG_MEMBER_COUNT
};

struct config {
#define NUMBER(name, standard, minimum, maximum, reload, limit, help) uint64_t name;
#define TEXT(name, standard, form, reload, help)                      char *name;
#define LIST(name, standard, form, reload, help)                      struct text_list name;
#define CHOICE(name, standard, choices, reload, help)                 char *name;
#include "server/config.def"
#undef NUMBER
#undef TEXT
#undef LIST
#undef CHOICE
    char *file; /* --config; NULL: none */
    unsigned char source[CONFIG_MEMBER_COUNT]; /* enum config_source */
};

/* What the command line asks for beside members. */
struct command_line {
    const char *config_file;
    bool check_config, print_config, healthcheck, version, help;
};

/* What went wrong: "FILE: member: what was found and what would be right", without the leading "convolved: "; always one line. */
struct config_error {
    char text[1024];
};

/* From argv and the environment and the file they name. With --help or --version nothing but the command line is looked at, and
 * the configuration is the default. False: the error is filled, nothing is to be freed. */
bool config_load(struct config *config, struct command_line *command, int argc, char **argv, char **variables,
                 struct config_error *error);
void config_release(struct config *config);

/* What no single member tells: files that must be readable, keys that must be in them, certificate and key that belong together.
 * At a start an empty file of keys is an error; at a reload it is not: it then refuses every caller. */
bool config_check_files(const struct config *config, bool starting, struct config_error *error);

/* Fills the error for a member whose value turned out wrong later: "FILE: member: ..." by where the value came from. */
void config_blame(const struct config *config, enum config_index member, struct config_error *error, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));

/* For SIGHUP: gives members of `fresh` that wait for a restart the values of `current`, and writes the names of those that differ
 * into `waiting`, separated by ", ". False: out of memory, `fresh` is whole but for that. */
bool config_keep_restart_members(struct config *fresh, const struct config *current, char *waiting, size_t bytes);

/* The same values from the same sources. */
bool config_equal(const struct config *a, const struct config *b);

void config_print(const struct config *config, FILE *out); /* JSON that --config reads back; every member */
void config_print_help(FILE *out);
/* The JSON object `limits` of /v1/info: its length, or what it would need where `bytes` is too small. */
size_t config_write_limits(const struct config *config, char *out, size_t bytes);

#endif
