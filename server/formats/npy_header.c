/* SPDX-License-Identifier: MIT */
/* The header of a .npy file is a dictionary as Python writes it: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. Read
 * here is what a Python of any version writes for an array of numbers, in any spacing and order. */
#include <string.h>

#include "server/formats/npy.h"

enum { AXES_MAX = 64 }; /* NumPy 2 has at most so many */

struct cursor {
    const char *at, *end;
};

static void skip_space(struct cursor *cursor)
{
    while (cursor->at < cursor->end && memchr(" \t\r\n\f", *cursor->at, 5))
        cursor->at++;
}

static bool take(struct cursor *cursor, char wanted)
{
    skip_space(cursor);
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

static bool take_word(struct cursor *cursor, const char *word)
{
    const size_t count = strlen(word);
    skip_space(cursor);
    if ((size_t)(cursor->end - cursor->at) < count || memcmp(cursor->at, word, count) != 0)
        return false;
    cursor->at += count;
    return true;
}

/* A string in either kind of quotes, without escapes: no name and no type of ours needs one. */
static bool take_string(struct cursor *cursor, const char **text, size_t *count)
{
    const char quote = take(cursor, '\'') ? '\'' : take(cursor, '"') ? '"' : '\0';
    const char *const begin = cursor->at;
    const char *const end = quote ? memchr(begin, quote, (size_t)(cursor->end - begin)) : NULL;
    if (!end || memchr(begin, '\\', (size_t)(end - begin)))
        return false;
    *text = begin;
    *count = (size_t)(end - begin);
    cursor->at = end + 1;
    return true;
}

/* Digits, with the L behind them that Python 2 wrote. */
static bool take_size(struct cursor *cursor, size_t *size)
{
    skip_space(cursor);
    const char *const begin = cursor->at;
    *size = 0;
    for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++) {
        if (__builtin_mul_overflow(*size, 10, size) || __builtin_add_overflow(*size, (size_t)(*cursor->at - '0'), size))
            return false;
    }
    if (cursor->at == begin)
        return false;
    if (cursor->at < cursor->end && *cursor->at == 'L')
        cursor->at++;
    return true;
}

/* "<f4", "|b1", ">c16": order, kind, bytes. */
static bool find_type(struct npy_header *header, const char *text, size_t count)
{
    static const struct {
        const char *code, *name;
    } types[] = {
        {"f8", "float64"}, {"f4", "float32"}, {"f2", "float16"},     {"i8", "int64"},     {"i4", "int32"},
        {"i2", "int16"},   {"i1", "int8"},    {"u8", "uint64"},      {"u4", "uint32"},    {"u2", "uint16"},
        {"u1", "uint8"},   {"b1", "bool"},    {"c16", "complex128"}, {"c8", "complex64"},
    };
    char order = '<';
    if (count > 0 && memchr("<>|=", text[0], 4)) {
        order = *text++;
        count--;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strlen(types[i].code) == count && memcmp(types[i].code, text, count) == 0)
            header->typed = json_typed_find(types[i].name);
    }
    /* One byte has no order, and more than one have one. */
    if (!header->typed || (order == '|' && header->typed->bytes > 1))
        return false;
    header->big_endian = order == '>' && header->typed->bytes > 1;
    return true;
}

static bool fail_header(struct convolve_error *error, const char *what)
{
    return convolve_fail(error, "malformed-npy", "", "the header of the .npy file %s", what);
}

static bool read_type(struct npy_header *header, struct cursor *cursor, struct convolve_error *error)
{
    const char *text;
    size_t count;
    if (take(cursor, '['))
        return fail_header(error, "has fields (a structured dtype); an array of numbers is wanted");
    if (!take_string(cursor, &text, &count))
        return fail_header(error, "has no string for descr, such as '<f8'");
    if (find_type(header, text, count))
        return true;
    return convolve_fail(
        error, "malformed-npy", "",
        "the .npy file has the dtype '%.*s'; read are bool, int8 to int64, uint8 to uint64, float16 to "
        "float64, complex64 and complex128: convert with array.astype",
        (int)(count < 40 ? count : 40), text);
}

static bool read_order(struct npy_header *header, struct cursor *cursor, struct convolve_error *error)
{
    header->fortran = take_word(cursor, "True");
    return header->fortran || take_word(cursor, "False") ||
           fail_header(error, "has neither True nor False for fortran_order");
}

static bool read_shape(struct npy_header *header, struct cursor *cursor, struct convolve_error *error)
{
    static const char wrong[] = "has no tuple of lengths for shape, such as (3, 4) or (3,)";
    bool comma = false;
    if (!take(cursor, '('))
        return fail_header(error, wrong);
    while (!take(cursor, ')')) {
        size_t size;
        if ((header->rank > 0 && !comma) || !take_size(cursor, &size))
            return fail_header(error, wrong);
        if (header->rank == AXES_MAX)
            return fail_header(error, "has more than 64 axes");
        if (header->rank < CONVOLVE_RANK_MAX)
            header->shape.size[header->rank] = size;
        header->value_bytes = size == 0 ? 0 : header->value_bytes;
        if (header->value_bytes != 0 && __builtin_mul_overflow(header->value_bytes, size, &header->value_bytes))
            return fail_header(error, "announces more bytes than can be counted");
        header->rank++;
        comma = take(cursor, ',');
    }
    header->shape.rank = header->rank < CONVOLVE_RANK_MAX ? header->rank : CONVOLVE_RANK_MAX;
    return (header->rank != 1 || comma) || fail_header(error, wrong);
}

bool npy_header_read(struct npy_header *header, const char *text, size_t count, struct convolve_error *error)
{
    static const struct {
        const char *name;
        bool (*read)(struct npy_header *, struct cursor *, struct convolve_error *);
    } members[] = {{"descr", read_type}, {"fortran_order", read_order}, {"shape", read_shape}};
    enum { MEMBERS = sizeof members / sizeof *members };
    static const char wrong[] = "is no dictionary of descr, fortran_order and shape, each once";
    struct cursor cursor = {text, text + count};
    unsigned seen = 0;
    bool comma = true;

    *header = (struct npy_header){.value_bytes = 1};
    if (!take(&cursor, '{'))
        return fail_header(error, wrong);
    while (!take(&cursor, '}')) {
        const char *name;
        size_t bytes, member = 0;
        if (!comma || !take_string(&cursor, &name, &bytes))
            return fail_header(error, wrong);
        while (member < MEMBERS && (strlen(members[member].name) != bytes || memcmp(members[member].name, name, bytes)))
            member++;
        if (member == MEMBERS || (seen & 1U << member) || !take(&cursor, ':'))
            return fail_header(error, wrong);
        if (!members[member].read(header, &cursor, error))
            return false;
        seen |= 1U << member;
        comma = take(&cursor, ',');
    }
    skip_space(&cursor);
    if (seen != (1U << MEMBERS) - 1 || cursor.at != cursor.end)
        return fail_header(error, wrong);
    if (__builtin_mul_overflow(header->value_bytes, (size_t)header->typed->bytes, &header->value_bytes))
        return fail_header(error, "announces more bytes than can be counted");
    return true;
}
