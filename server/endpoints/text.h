/* SPDX-License-Identifier: MIT */
/* A text that grows in a request's arena: JSON and pages that are put together from parts. The first failure is kept, so only the
 * end has to look for it. */
#ifndef SERVER_ENDPOINTS_TEXT_H
#define SERVER_ENDPOINTS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct request;
struct response;
struct convolve_error;

struct text {
    struct arena *arena;
    char *bytes;
    size_t count, capacity;
    bool failed;
};

/* Room for `count` more bytes, which are counted already; NULL on failure. */
char *text_extend(struct text *text, size_t count);
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text *text, const char *bytes, size_t count);
void text_add_json_string(struct text *text, const char *value); /* with its quotes; `value` is UTF-8 */
void text_add_json_number(struct text *text, double value); /* null where it is not finite */
void text_add_html(struct text *text, const char *value); /* & < > " escaped, `code` marked */

/* Makes it the answer, status 200; false with the error where memory ran out. */
bool text_answer(const struct text *text, struct request *request, struct response *response, const char *content_type,
                 struct convolve_error *error);

#endif
