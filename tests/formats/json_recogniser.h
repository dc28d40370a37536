/* SPDX-License-Identifier: MIT */
/* RFC 8259 once more, as plainly as it can be said: one function for each rule of its grammar, byte by byte. What the push parser
 * takes and refuses is compared with it. */
#ifndef TESTS_FORMATS_JSON_RECOGNISER_H
#define TESTS_FORMATS_JSON_RECOGNISER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct recogniser {
    const unsigned char *text;
    size_t count, at;
    unsigned depth, depth_max;
};

enum { RECOGNISER_DEPTH_MAX = 1000 };

static inline bool recognise_value(struct recogniser *r);

static inline int recogniser_next(const struct recogniser *r)
{
    return r->at < r->count ? r->text[r->at] : -1;
}

static inline bool recognise_byte(struct recogniser *r, int first, int last)
{
    const int next = recogniser_next(r);
    if (next < first || next > last)
        return false;
    r->at++;
    return true;
}

static inline void recognise_space(struct recogniser *r)
{
    while (recogniser_next(r) == ' ' || recogniser_next(r) == '\t' || recogniser_next(r) == '\n' ||
           recogniser_next(r) == '\r')
        r->at++;
}

static inline bool recognise_word(struct recogniser *r, const char *word)
{
    for (; *word; word++)
        if (!recognise_byte(r, *word, *word))
            return false;
    return true;
}

static inline bool recognise_digits(struct recogniser *r)
{
    if (!recognise_byte(r, '0', '9'))
        return false;
    while (recognise_byte(r, '0', '9'))
        ;
    return true;
}

static inline bool recognise_number(struct recogniser *r)
{
    recognise_byte(r, '-', '-');
    if (!recognise_byte(r, '0', '0') && !(recogniser_next(r) != '0' && recognise_digits(r)))
        return false;
    if (recognise_byte(r, '.', '.') && !recognise_digits(r))
        return false;
    if (recognise_byte(r, 'e', 'e') || recognise_byte(r, 'E', 'E')) {
        if (!recognise_byte(r, '+', '+'))
            recognise_byte(r, '-', '-');
        return recognise_digits(r);
    }
    return true;
}

static inline bool recognise_escape(struct recogniser *r)
{
    const int next = recogniser_next(r);
    if (next <= 0 || !strchr("\"\\/bfnrtu", next))
        return false;
    r->at++;
    for (unsigned i = 0; next == 'u' && i < 4; i++)
        if (!recognise_byte(r, '0', '9') && !recognise_byte(r, 'a', 'f') && !recognise_byte(r, 'A', 'F'))
            return false;
    return true;
}

/* The table of RFC 3629, section 4. */
static inline bool recognise_utf8(struct recogniser *r)
{
    static const unsigned char forms[][8] = {
        {0xc2, 0xdf, 0x80, 0xbf},
        {0xe0, 0xe0, 0xa0, 0xbf, 0x80, 0xbf},
        {0xe1, 0xec, 0x80, 0xbf, 0x80, 0xbf},
        {0xed, 0xed, 0x80, 0x9f, 0x80, 0xbf},
        {0xee, 0xef, 0x80, 0xbf, 0x80, 0xbf},
        {0xf0, 0xf0, 0x90, 0xbf, 0x80, 0xbf, 0x80, 0xbf},
        {0xf1, 0xf3, 0x80, 0xbf, 0x80, 0xbf, 0x80, 0xbf},
        {0xf4, 0xf4, 0x80, 0x8f, 0x80, 0xbf, 0x80, 0xbf},
    };
    for (size_t form = 0; form < sizeof forms / sizeof *forms; form++) {
        if (!recognise_byte(r, forms[form][0], forms[form][1]))
            continue;
        for (unsigned i = 2; i < 8 && forms[form][i]; i += 2)
            if (!recognise_byte(r, forms[form][i], forms[form][i + 1]))
                return false;
        return true;
    }
    return false;
}

static inline bool recognise_string(struct recogniser *r)
{
    if (!recognise_byte(r, '"', '"'))
        return false;
    while (!recognise_byte(r, '"', '"')) {
        const bool fine =
            recognise_byte(r, '\\', '\\') ? recognise_escape(r) : recognise_byte(r, 0x20, 0x7f) || recognise_utf8(r);
        if (!fine)
            return false;
    }
    return true;
}

static inline bool recognise_items(struct recogniser *r, bool object)
{
    const int end = object ? '}' : ']';
    r->at++;
    recognise_space(r);
    if (recognise_byte(r, end, end))
        return true;
    do {
        recognise_space(r);
        if (object) {
            if (!recognise_string(r))
                return false;
            recognise_space(r);
            if (!recognise_byte(r, ':', ':'))
                return false;
            recognise_space(r);
        }
        if (!recognise_value(r))
            return false;
        recognise_space(r);
    } while (recognise_byte(r, ',', ','));
    return recognise_byte(r, end, end);
}

static inline bool recognise_value(struct recogniser *r)
{
    bool fine;
    switch (recogniser_next(r)) {
    case '{':
    case '[':
        r->depth++;
        r->depth_max = r->depth > r->depth_max ? r->depth : r->depth_max;
        fine = r->depth <= RECOGNISER_DEPTH_MAX && recognise_items(r, recogniser_next(r) == '{');
        r->depth--;
        return fine;
    case '"':
        return recognise_string(r);
    case 't':
        return recognise_word(r, "true");
    case 'f':
        return recognise_word(r, "false");
    case 'n':
        return recognise_word(r, "null");
    default:
        return recognise_number(r);
    }
}

/* Whether the text is JSON; if not, r->at is the first byte that cannot be part of one. */
static inline bool recognise(struct recogniser *r, const char *text, size_t count)
{
    *r = (struct recogniser){(const unsigned char *)text, count, 0, 0, 0};
    recognise_space(r);
    if (!recognise_value(r))
        return false;
    recognise_space(r);
    return r->at == r->count;
}

#endif
