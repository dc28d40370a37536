/* SPDX-License-Identifier: MIT */
/* What a configuration names outside itself: the files of keys and certificates. Done at a start, by --check-config, and again at
 * every reload. */
#include "server/config.h"

#include <string.h>

#include "server/config_table.h"
#include "server/keys.h"
#include "server/tls.h"

static bool check_keys(const struct config *config, bool starting, struct config_error *error)
{
    char reason[200] = "has no key in it, must have one in a line";
    struct keys keys;
    bool fine = keys_read(&keys, config->api_keys_file, reason, sizeof reason);
    if (fine && starting)
        fine = keys.count > 0;
    keys_release(&keys);
    if (!fine)
        config_blame(config, CONFIG_INDEX_api_keys_file, error, "%.200s%s %s", config->api_keys_file,
                     strncmp(reason, "line ", 5) == 0 ? ":" : "", reason);
    return fine;
}

bool config_check_files(const struct config *config, bool starting, struct config_error *error)
{
    char reason[200];
    bool key_at_fault = false;
    if (config->api_keys_file != NULL && !check_keys(config, starting, error))
        return false;
    if (config->tls_certificate == NULL ||
        tls_check_files(config->tls_certificate, config->tls_key, &key_at_fault, reason, sizeof reason))
        return true;
    config_blame(config, key_at_fault ? CONFIG_INDEX_tls_key : CONFIG_INDEX_tls_certificate, error, "%.200s: %s",
                 key_at_fault ? config->tls_key : config->tls_certificate, reason);
    return false;
}

/* ---- What a reload changes, and what it may not ----------------------------------------------------------------------------- */

static bool lists_equal(const struct text_list *a, const struct text_list *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = strcmp(a->items[i], b->items[i]) == 0;
    return equal;
}

static bool values_equal(const struct config_member *member, const struct config *a, const struct config *b)
{
    const void *x = config_field(a, member), *y = config_field(b, member);
    if (member->kind == CONFIG_NUMBER)
        return *(const uint64_t *)x == *(const uint64_t *)y;
    if (member->kind == CONFIG_LIST)
        return lists_equal(x, y);
    const char *text = *(char *const *)x, *other = *(char *const *)y;
    return text == NULL || other == NULL ? text == other : strcmp(text, other) == 0;
}

bool config_equal(const struct config *a, const struct config *b)
{
    bool equal = memcmp(a->source, b->source, sizeof a->source) == 0;
    for (size_t i = 0; equal && i < CONFIG_MEMBER_COUNT; i++)
        equal = values_equal(&config_members[i], a, b);
    return equal;
}

static bool copy_value(const struct config_member *member, struct config *to, const struct config *from)
{
    char reason[CONFIG_REASON_BYTES];
    const void *field = config_field(from, member);
    if (member->kind == CONFIG_NUMBER)
        return config_set_number(to, member, *(const uint64_t *)field, reason);
    if (member->kind != CONFIG_LIST) {
        const char *text = *(char *const *)field;
        return config_set_text(to, member, text == NULL ? "" : text, reason);
    }
    const struct text_list *list = field;
    config_clear_list(to, member);
    for (size_t i = 0; i < list->count; i++)
        if (!config_add_item(to, member, list->items[i], reason))
            return false;
    return true;
}

bool config_keep_restart_members(struct config *fresh, const struct config *current, char *waiting, size_t bytes)
{
    size_t length = 0;
    waiting[0] = '\0';
    for (size_t i = 0; i < CONFIG_MEMBER_COUNT; i++) {
        const struct config_member *member = &config_members[i];
        if (member->reload || values_equal(member, fresh, current))
            continue;
        if (!copy_value(member, fresh, current))
            return false;
        fresh->source[i] = current->source[i];
        if (length < bytes)
            length += (size_t)snprintf(waiting + length, bytes - length, "%s%s", length == 0 ? "" : ", ", member->name);
    }
    return true;
}
