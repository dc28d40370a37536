/* SPDX-License-Identifier: MIT */
/* The rows of config.def as data, and how a value of any source gets into the struct. Only the config_*.c files see this. */
#ifndef SERVER_CONFIG_TABLE_H
#define SERVER_CONFIG_TABLE_H

#include "server/config.h"

enum config_kind { CONFIG_NUMBER, CONFIG_TEXT, CONFIG_LIST, CONFIG_CHOICE };
enum config_form { CONFIG_ANY, CONFIG_ADDRESS, CONFIG_NETWORK, CONFIG_ORIGIN, CONFIG_PATH };

struct config_member {
    const char *name;
    size_t offset; /* of the field in struct config */
    enum config_kind kind;
    enum config_form form; /* of a TEXT and of each item of a LIST */
    uint64_t standard, minimum, maximum; /* NUMBER */
    const char *standard_text; /* the others; NULL: unset, or an empty list */
    const char *choices; /* CHOICE: "a|b|c" */
    bool reload, shown;
    const char *help;
};

extern const struct config_member config_members[CONFIG_MEMBER_COUNT];

/* The field of a row: a uint64_t, a char * or a struct text_list, by its kind. */
static inline const void *config_field(const struct config *config, const struct config_member *member)
{
    return (const char *)config + member->offset;
}

/* Each checks the value and replaces the field. False: `reason` says what was found and what would be right. An empty text leaves
 * a TEXT unset. */
enum { CONFIG_REASON_BYTES = 512 };
bool config_set_number(struct config *config, const struct config_member *member, uint64_t value, char *reason);
bool config_set_text(struct config *config, const struct config_member *member, const char *text, char *reason);
void config_clear_list(struct config *config, const struct config_member *member);
bool config_add_item(struct config *config, const struct config_member *member, const char *text, char *reason);
bool config_fail_number(const struct config_member *member, const char *found, char *reason);

void config_write_flag_name(char out[64], const char *name); /* "max_work": "--max-work" */

/* config_file.c: the file's members over what is there. */
bool config_read_file(struct config *config, const char *path, struct config_error *error);

/* Formats into `error`, with every control character made visible, so that it stays one line. False, always. */
bool config_fail(struct config_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
