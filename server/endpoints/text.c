/* SPDX-License-Identifier: MIT */
/* Growth is by half more, so that a text of n bytes is copied a bounded number of times. */
#include "server/endpoints/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/admission.h"
#include "server/formats/number_write.h"
#include "server/request.h"
#include "server/response.h"

char *text_extend(struct text *text, size_t count)
{
    if (text->failed)
        return NULL;
    if (text->capacity - text->count < count) {
        size_t capacity;
        char *grown = NULL;
        if (!__builtin_add_overflow(text->count + text->count / 2 + 1024, count, &capacity))
            grown = arena_block_resize(text->arena, text->bytes, capacity);
        if (grown == NULL) {
            text->failed = true;
            return NULL;
        }
        text->bytes = grown;
        text->capacity = capacity;
    }
    char *at = text->bytes + text->count;
    text->count += count;
    return at;
}

void text_add_bytes(struct text *text, const char *bytes, size_t count)
{
    char *at = text_extend(text, count);
    if (at != NULL)
        memcpy(at, bytes, count);
}

void text_add(struct text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    char *at = length < 0 ? NULL : text_extend(text, (size_t)length + 1);
    if (at != NULL) {
        vsnprintf(at, (size_t)length + 1, format, again);
        text->count--; /* the NUL */
    }
    text->failed |= length < 0;
    va_end(again);
    va_end(arguments);
}

void text_add_json_string(struct text *text, const char *value)
{
    text_add_bytes(text, "\"", 1);
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\')
            text_add(text, "\\%c", *value);
        else if ((unsigned char)*value < ' ')
            text_add(text, "\\u%04x", (unsigned)*value);
        else
            text_add_bytes(text, value, 1);
    }
    text_add_bytes(text, "\"", 1);
}

void text_add_json_number(struct text *text, double value)
{
    char digits[NUMBER_BYTES_MAX];
    if (!isfinite(value))
        text_add_bytes(text, "null", 4);
    else
        text_add_bytes(text, digits, (size_t)(number_write_float64(digits, value) - digits));
}

void text_add_html(struct text *text, const char *value)
{
    bool code = false;
    for (; *value != '\0'; value++) {
        switch (*value) {
        case '&':
            text_add(text, "&amp;");
            break;
        case '<':
            text_add(text, "&lt;");
            break;
        case '>':
            text_add(text, "&gt;");
            break;
        case '"':
            text_add(text, "&quot;");
            break;
        case '`':
            text_add(text, code ? "</code>" : "<code>");
            code = !code;
            break;
        default:
            text_add_bytes(text, value, 1);
        }
    }
    if (code)
        text_add(text, "</code>");
}

bool text_answer(const struct text *text, struct request *request, struct response *response, const char *content_type,
                 struct convolve_error *error)
{
    if (text->failed)
        return admission_fail_memory(request, error);
    response_text(response, 200, content_type, text->bytes, text->count);
    return true;
}
