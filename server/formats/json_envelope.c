/* SPDX-License-Identifier: MIT */
/* Writes the envelope, and makes what stands in it presentable again. */
#include "server/formats/json_envelope.h"

#include <stdio.h>
#include <string.h>

static bool append(struct json_envelope *envelope, const char *text, size_t count)
{
    if (envelope->full)
        return true;
    if (count > JSON_ENVELOPE_BYTES_MAX - envelope->count) {
        envelope->full = true;
        return true;
    }
    const size_t needed = envelope->count + count;
    if (needed > envelope->capacity) {
        const size_t capacity = needed < 256 ? 512 : 2 * needed;
        char *grown = arena_block_resize(envelope->arena, envelope->text, capacity);
        if (!grown)
            return false;
        envelope->text = grown;
        envelope->capacity = capacity;
    }
    memcpy(envelope->text + envelope->count, text, count);
    envelope->count = needed;
    return true;
}

static bool append_text(struct json_envelope *envelope, const char *text)
{
    return append(envelope, text, strlen(text));
}

/* What stands before a value or a name tells whether a comma is missing: nothing else can end in these bytes. */
static bool append_comma(struct json_envelope *envelope)
{
    const char last = envelope->count ? envelope->text[envelope->count - 1] : '[';
    return last == '[' || last == '{' || last == ':' || append(envelope, ",", 1);
}

/* How many bytes at `text` must be written otherwise than they are, and how (`out` has room for 12); 0: one byte, as it is. */
static size_t escape(const unsigned char *text, size_t count, char *out)
{
    const unsigned char c = text[0];
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        out[2] = '\0';
        return 1;
    }
    if (c < 2) {
        strcpy(out, c == 0 ? "\\u00010" : "\\u00011");
        return 1;
    }
    if (c < 0x20) {
        snprintf(out, 12, "\\u%04x", c);
        return 1;
    }
    if (c == 0xed && count >= 3 && text[1] >= 0xa0) {
        snprintf(out, 12, "\\u0001s%04x", 0xd000u | (text[1] & 0x3fu) << 6 | (text[2] & 0x3fu));
        return 3;
    }
    return 0;
}

bool envelope_string_piece(struct json_envelope *envelope, const char *text, size_t count)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t plain = 0; /* where the stretch began that can be written as it is */
    for (size_t i = 0; i < count;) {
        char escaped[16];
        const size_t taken = escape(bytes + i, count - i, escaped);
        if (taken == 0) {
            i++;
            continue;
        }
        if (!append(envelope, text + plain, i - plain) || !append_text(envelope, escaped))
            return false;
        i += taken;
        plain = i;
    }
    return append(envelope, text + plain, count - plain);
}

bool envelope_string_begin(struct json_envelope *envelope)
{
    return append_comma(envelope) && append(envelope, "\"", 1);
}

bool envelope_string_end(struct json_envelope *envelope)
{
    return append(envelope, "\"", 1);
}

bool envelope_open(struct json_envelope *envelope, bool object)
{
    return append_comma(envelope) && append(envelope, object ? "{" : "[", 1);
}

bool envelope_close(struct json_envelope *envelope, bool object)
{
    return append(envelope, object ? "}" : "]", 1);
}

bool envelope_name(struct json_envelope *envelope, const char *name, size_t count)
{
    return envelope_string_begin(envelope) && envelope_string_piece(envelope, name, count) &&
           append(envelope, "\":", 2);
}

bool envelope_literal(struct json_envelope *envelope, const char *text)
{
    return append_comma(envelope) && append_text(envelope, text);
}

bool envelope_number(struct json_envelope *envelope, const char *text, size_t count)
{
    return append_comma(envelope) && append_text(envelope, "\"\\u0001n") && append(envelope, text, count) &&
           append(envelope, "\"", 1);
}

bool envelope_tensor(struct json_envelope *envelope, size_t index)
{
    char text[40] = "\"\\u0001t", digits[20];
    size_t used = strlen(text), first = sizeof digits;
    do
        digits[--first] = (char)('0' + index % 10);
    while (index /= 10);
    memcpy(text + used, digits + first, sizeof digits - first);
    used += sizeof digits - first;
    text[used++] = '"';
    return append_comma(envelope) && append(envelope, text, used);
}

/* ---- Presentable again ---- */

struct shown {
    char *out;
    size_t bytes, count;
    bool cut;
};

/* All or nothing of one character, with room kept for the dots that say something was cut. */
static void show(struct shown *shown, const char *text, size_t count)
{
    shown->cut = shown->cut || count + sizeof "..." > shown->bytes - shown->count;
    if (shown->cut)
        return;
    memcpy(shown->out + shown->count, text, count);
    shown->count += count;
}

static size_t show_end(struct shown *shown)
{
    if (shown->cut) {
        memcpy(shown->out + shown->count, "...", 3);
        shown->count += 3;
    }
    shown->out[shown->count] = '\0';
    return shown->count;
}

static size_t character_bytes(unsigned char lead, size_t left)
{
    const size_t count = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return count < left ? count : left;
}

/* Printable ASCII that no pointer has to escape, short enough not to be cut. */
static bool is_presentable(const char *name, size_t count, size_t bytes)
{
    size_t plain = 0;
    while (plain < count && name[plain] >= 0x20 && name[plain] < 0x7f && name[plain] != '~' && name[plain] != '/')
        plain++;
    return plain == count && count + sizeof "..." <= bytes;
}

size_t json_show_name(char *out, size_t bytes, const char *name, size_t count, bool pointer)
{
    struct shown shown = {.out = out, .bytes = bytes};
    if (is_presentable(name, count, bytes)) {
        memcpy(out, name, count);
        out[count] = '\0';
        return count;
    }
    for (size_t i = 0; i < count && !shown.cut;) {
        const unsigned char *at = (const unsigned char *)name + i;
        char escaped[16];
        const size_t taken = character_bytes(*at, count - i);
        if (pointer && (*at == '~' || *at == '/'))
            snprintf(escaped, sizeof escaped, "~%c", *at == '~' ? '0' : '1');
        else if (*at == 0 || (*at < 0x20 && !pointer))
            snprintf(escaped, sizeof escaped, "\\u%04x", *at);
        else if (*at == 0xed && taken == 3 && at[1] >= 0xa0)
            snprintf(escaped, sizeof escaped, "\\u%04x", 0xd000u | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu));
        else {
            memcpy(escaped, at, taken);
            escaped[taken] = '\0';
        }
        show(&shown, escaped, strlen(escaped));
        i += taken;
    }
    return show_end(&shown);
}

size_t json_show_text(char *out, size_t bytes, const char *text)
{
    struct shown shown = {.out = out, .bytes = bytes};
    size_t left = strlen(text);
    while (left > 0 && !shown.cut) {
        char escaped[16];
        size_t taken = character_bytes((unsigned char)*text, left);
        if (*text == '\001' && left >= 2) {
            taken = text[1] == 's' && left >= 6 ? 6 : 2;
            if (taken == 6)
                snprintf(escaped, sizeof escaped, "\\u%.4s", text + 2);
            else
                snprintf(escaped, sizeof escaped, "\\u000%c", text[1]);
        } else if ((unsigned char)*text < 0x20) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned char)*text);
        } else {
            memcpy(escaped, text, taken);
            escaped[taken] = '\0';
        }
        show(&shown, escaped, strlen(escaped));
        text += taken;
        left -= taken;
    }
    return show_end(&shown);
}
