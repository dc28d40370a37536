/* SPDX-License-Identifier: MIT */
/* For the fuzzers of .npy and multipart: a body to one text that says everything that came of it. */
#ifndef TESTS_FUZZ_FORM_OUTCOME_H
#define TESTS_FUZZ_FORM_OUTCOME_H

#include "server/formats/form.h"
#include "server/formats/multipart.h"
#include "tests/formats/json_feed.h"

static inline bool outcome_begin(void *context, const struct multipart_part *part, struct convolve_error *error)
{
    return form_begin(context, part->name, part->name_bytes, FORM_ANY, error);
}

static inline bool outcome_content(void *context, const char *bytes, size_t count, struct convolve_error *error)
{
    return form_feed(context, bytes, count, error);
}

static inline bool outcome_end(void *context, struct convolve_error *error)
{
    return form_end(context, error);
}

/* `boundary` NULL: a .npy file that is `input`. The caller frees it. */
static inline char *form_outcome(const char *boundary, const char *body, size_t count, uint64_t way,
                                 enum convolve_dtype dtype, bool missing)
{
    static const struct multipart_events events = {outcome_begin, outcome_content, outcome_end};
    struct memory_budget budget = {.limit = (size_t)1 << 30};
    struct arena arena;
    struct convolve_error error = {.slug = NULL};
    struct multipart_reader reader;
    struct feed_text out = {0};
    uint64_t state = way;
    arena_init(&arena, &budget);
    struct form *form = form_create(&arena, &feed_schema);
    bool fine = form && (boundary ? multipart_init(&reader, &arena, boundary, &events, form, &error)
                                  : form_begin(form, "input", 5, FORM_NPY_BODY, &error));
    for (size_t at = 0; fine && at < count;) {
        const size_t piece = feed_piece_bytes(way, &state, count - at);
        char *copy = malloc(piece);
        memcpy(copy, body + at, piece);
        fine = boundary ? multipart_feed(&reader, copy, piece, &error) : form_feed(form, copy, piece, &error);
        free(copy);
        at += piece;
    }
    fine = fine && (boundary ? multipart_end(&reader, &error) : form_end(form, &error));
    const struct json_body *members = fine ? form_finish(form, &error) : NULL;
    if (members)
        feed_print_body(&out, members, feed_dtype(members, dtype), missing, &arena, &error);
    else
        feed_print_error(&out, &error, form_offset(form));
    feed_print(&out, "%s", error.slug ? error.detail : "");
    arena_release(&arena);
    if (budget.used != 0)
        abort();
    return out.text;
}

/* One outcome, however it is cut. The first byte says how, the second what is asked for. */
static inline void form_fuzz(const char *boundary, const uint8_t *data, size_t size)
{
    if (size < 2)
        return;
    const uint64_t ways[] = {FEED_WHOLE, FEED_BYTES, data[0]};
    const enum convolve_dtype dtype = data[1] % CONVOLVE_DTYPE_COUNT;
    char *first = NULL;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char *next = form_outcome(boundary, (const char *)data + 2, size - 2, ways[i], dtype, data[1] & 0x80);
        if (first && strcmp(first, next) != 0) {
            fprintf(stderr, "whole: %s\nway %d: %s\n", first, (int)ways[i], next);
            abort();
        }
        if (first)
            free(next);
        else
            first = next;
    }
    free(first);
}

#endif
