/* SPDX-License-Identifier: MIT */
/* The last byte but for white space is a bracket, so that loops over spaces and digits end there and need no other limit; only
 * strings have to look for it. Tensors keep all numbers in the form that loses nothing, whether dtype is known or not. */
#include "server/formats/json_small.h"

#include <string.h>

#include "server/formats/json_body.h"
#include "server/formats/json_digits.h"

enum { LIST_ITEMS_MAX = 16, DIGITS_MAX = 15, FIRST_NUMBERS = 64 };

struct small {
    const char *at, *last; /* `last`: the body's own closing bracket */
    struct arena *arena;
};

static inline char skip_space(struct small *small)
{
    const char *at = small->at;
    while (*at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    small->at = at;
    return *at;
}

/* Behind the byte at hand, and the spaces that follow. */
static inline char step(struct small *small)
{
    small->at++;
    return skip_space(small);
}

/* ---- Numbers ---- */

struct token {
    const char *text;
    size_t count;
    uint64_t digits; /* where it is `plain` */
    unsigned places; /* behind the point */
    bool plain; /* at most 15 digits and no exponent */
    bool negative;
};

static inline bool take_number(struct small *small, struct token *token)
{
    const char *at = small->at;
    uint64_t digits = 0;
    token->text = at;
    token->negative = *at == '-';
    at += token->negative;
    const char *const first = at;
    for (; json_is_digit(*at); at++)
        digits = digits * 10 + (uint64_t)(*at - '0');
    size_t digit_count = (size_t)(at - first);
    if (digit_count == 0 || (*first == '0' && digit_count > 1))
        return false;
    token->places = 0;
    token->plain = true;
    if (*at == '.') {
        const char *const point = at++;
        for (; json_is_digit(*at); at++)
            digits = digits * 10 + (uint64_t)(*at - '0');
        token->places = (unsigned)(at - point - 1);
        digit_count += token->places;
        if (token->places == 0)
            return false;
    }
    if ((*at | 0x20) == 'e') {
        at++;
        at += *at == '-' || *at == '+';
        if (!json_is_digit(*at))
            return false;
        while (json_is_digit(*at))
            at++;
        token->plain = false;
    }
    token->plain = token->plain && digit_count <= DIGITS_MAX;
    token->digits = digits;
    token->count = (size_t)(at - token->text);
    small->at = at;
    return true;
}

/* Fifteen digits and a power of ten are doubles, so their quotient is rounded once; and it is whole only where it is exact. */
static inline double plain_real(const struct token *token)
{
    const double magnitude = (double)(int64_t)token->digits / json_real_powers[token->places];
    return json_with_sign(magnitude, token->negative);
}

static bool append_unusual(struct json_numbers *numbers, const struct token *token)
{
    const struct json_number number = json_number_parse(token->text, token->count);
    return number.kind != JSON_NUMBER_BEYOND_DOUBLE && json_numbers_append(numbers, &number);
}

static inline bool append_number(struct json_numbers *numbers, const struct token *token)
{
    if (!token->plain || numbers->form == NUMBERS_INT64)
        return append_unusual(numbers, token);
    if (numbers->count == numbers->capacity && !json_numbers_reserve(numbers, 1, 0))
        return false;
    double real = json_with_sign((double)(int64_t)token->digits, token->negative);
    if (token->places > 0) {
        real = plain_real(token);
        if (numbers->form == NUMBERS_WHOLE && real != (double)(int64_t)real) {
            numbers->inexact_index = numbers->count;
            numbers->inexact_kind = JSON_NUMBER_FRACTION;
            numbers->form = NUMBERS_FLOAT64;
        }
    }
    ((double *)numbers->values)[numbers->count++] = real;
    return true;
}

/* ---- Tensors ---- */

/* Numbers of one digit with a comma or the list's bracket right behind: what many a small array is made of. No number makes it
 * anything else than whole. Returns where they end, which is the list's bracket or what is otherwise. */
static inline const char *take_digits(const char *at, struct json_numbers *numbers, bool *closed)
{
    static const double known[2][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {-0.0, -1, -2, -3, -4, -5, -6, -7, -8, -9}};
    double *const values = numbers->values, *const end = values + numbers->capacity, *to = values + numbers->count;
    *closed = false;
    while (to < end) {
        const bool negative = *at == '-'; /* at random, so by no branch */
        const char *const digit = at + negative;
        const unsigned char value = (unsigned char)(*digit - '0');
        if (value > 9)
            break; /* perhaps the body's last byte */
        const bool last = digit[1] == ']';
        if (digit[1] != ',' && !last)
            break;
        *to++ = known[negative][value];
        at = digit + 1;
        if (last) {
            *closed = true;
            break;
        }
        at++;
    }
    numbers->count = (size_t)(to - values);
    return at;
}

/* The numbers of a list of the innermost depth; behind it is its bracket. */
static bool take_row(struct small *small, struct json_numbers *numbers)
{
    bool closed = false;
    for (;;) {
        struct token token;
        if (numbers->form == NUMBERS_WHOLE)
            small->at = take_digits(small->at, numbers, &closed);
        if (closed)
            return true;
        skip_space(small);
        if (!take_number(small, &token) || !append_number(numbers, &token))
            return false;
        const char next = skip_space(small);
        if (next != ',')
            return next == ']';
        step(small);
    }
}

/* At the end of a list of so many items. Whether it has the size that the axis has. */
static bool close_axis(struct json_rows *rows, size_t count)
{
    const unsigned axis = --rows->depth;
    if (!rows->size_known[axis]) {
        rows->size_known[axis] = true;
        rows->size[axis] = count;
    } else if (rows->size[axis] != count) {
        return false;
    }
    if (axis > 0)
        rows->index[axis - 1]++;
    return true;
}

static bool take_nested(struct small *small, struct json_tensor *tensor)
{
    struct json_numbers *const numbers = &tensor->numbers[0];
    struct json_rows *const rows = &tensor->rows;
    do {
        if (rows->depth == CONVOLVE_RANK_MAX || (rows->rank && rows->depth == rows->rank))
            return false;
        rows->index[rows->depth++] = 0;
        if (step(small) == '[')
            continue;
        if (rows->rank && rows->rank != rows->depth)
            return false;
        rows->rank = rows->depth;
        const size_t before = numbers->count;
        if (!take_row(small, numbers) || !close_axis(rows, numbers->count - before))
            return false;
        char next = step(small);
        while (rows->depth > 0 && next == ']') {
            if (!close_axis(rows, rows->index[rows->depth - 1]))
                return false;
            next = step(small);
        }
        if (rows->depth > 0 && (next != ',' || step(small) != '['))
            return false;
    } while (rows->depth > 0);
    return true;
}

static bool take_tensor(struct small *small, struct json_value *value)
{
    struct json_tensor *const tensor = json_collect_create(small->arena, false, NUMBERS_WHOLE);
    value->type = JSON_TENSOR;
    value->tensor = tensor;
    if (!tensor || !json_numbers_reserve(&tensor->numbers[0], FIRST_NUMBERS, 0) || !take_nested(small, tensor))
        return false;
    struct json_numbers *const numbers = &tensor->numbers[0];
    void *const values = arena_block_resize(small->arena, numbers->values, numbers->count * sizeof(double));
    if (!values)
        return false;
    numbers->values = values; /* what it does not need is the next one's */
    numbers->capacity = numbers->count;
    return true;
}

/* ---- Other values ---- */

static bool take_scalar(struct small *small, struct json_value *value)
{
    struct token token;
    value->type = JSON_NUMBER;
    if (!take_number(small, &token))
        return false;
    value->number = json_number_parse(token.text, token.count);
    return true;
}

static bool take_list(struct small *small, struct json_value *value)
{
    value->type = JSON_LIST;
    value->items = arena_alloc(small->arena, LIST_ITEMS_MAX * sizeof *value->items);
    if (!value->items)
        return false;
    do {
        if (value->count == LIST_ITEMS_MAX)
            return false;
        step(small);
        struct json_value *const item = &value->items[value->count++];
        *item = (struct json_value){0};
        if (!take_scalar(small, item))
            return false;
    } while (skip_space(small) == ',');
    if (*small->at != ']')
        return false;
    step(small);
    return true;
}

static bool take_word(struct small *small, struct json_value *value)
{
    value->type = JSON_BOOLEAN;
    value->boolean = *small->at == 't';
    const char *const word = value->boolean ? "true" : "false";
    const size_t count = value->boolean ? 4 : 5;
    if ((size_t)(small->last - small->at) < count || memcmp(small->at, word, count) != 0)
        return false;
    small->at += count;
    return true;
}

/* Printable ASCII but for the quotation mark and the backslash. */
static const bool is_plain[256] = {[' ' ... '"' - 1] = true, ['"' + 1 ... '\\' - 1] = true, ['\\' + 1 ... 0x7e] = true};

/* The length of the text behind the quotation mark at hand, or SIZE_MAX where it is not plain. */
static size_t plain_length(const struct small *small)
{
    const char *const text = small->at + 1, *at = text;
    while (is_plain[(unsigned char)*at] && at < small->last)
        at++;
    return *at == '"' ? (size_t)(at - text) : SIZE_MAX;
}

static bool take_string(struct small *small, struct json_value *value)
{
    const size_t count = plain_length(small);
    value->type = JSON_STRING;
    if (count == SIZE_MAX)
        return false;
    value->text = arena_copy_text(small->arena, small->at + 1, count);
    small->at += count + 2;
    return value->text != NULL;
}

/* ---- Members ---- */

static bool take_value(struct small *small, const struct json_schema_member *member, struct json_value *value)
{
    const char first = *small->at;
    if (first == '[')
        return member->tensor ? take_tensor(small, value) : take_list(small, value);
    if (first == '"')
        return take_string(small, value);
    if (member->tensor)
        return false;
    return first == 't' || first == 'f' ? take_word(small, value) : take_scalar(small, value);
}

/* The member whose name is at hand; behind it is its colon. */
static const struct json_schema_member *take_name(struct small *small, const struct json_schema *schema)
{
    const size_t count = *small->at == '"' ? plain_length(small) : SIZE_MAX;
    if (count == SIZE_MAX)
        return NULL;
    const char *const name = small->at + 1;
    for (size_t i = 0; i < schema->count; i++) {
        const char *const known = schema->members[i].name;
        if (known[0] == name[0] && strncmp(known, name, count) == 0 && known[count] == '\0') {
            small->at += count + 2;
            return skip_space(small) == ':' ? &schema->members[i] : NULL;
        }
    }
    return NULL;
}

static bool take_members(struct small *small, const struct json_schema *schema, struct json_body *body)
{
    struct json_value *const root = &body->root;
    uint64_t seen = 0;
    do {
        step(small);
        const struct json_schema_member *const member = take_name(small, schema);
        const uint64_t bit = member ? UINT64_C(1) << (member - schema->members) : 0;
        if (!member || (seen & bit))
            return false;
        seen |= bit;
        struct json_value *const value = &root->items[root->count++];
        *value = (struct json_value){.name = member->name};
        body->letters |= json_letter(member->name);
        step(small);
        if (!take_value(small, member, value))
            return false;
    } while (skip_space(small) == ',');
    return small->at == small->last;
}

struct json_body *json_small_read(struct arena *arena, const struct json_schema *schema, const char *bytes,
                                  size_t count)
{
    struct small small = {.at = bytes, .last = bytes + count, .arena = arena};
    if (schema->count > 64)
        return NULL;
    do {
        if (small.last == bytes)
            return NULL;
        small.last--;
    } while (*small.last == ' ' || *small.last == '\n' || *small.last == '\t' || *small.last == '\r');
    if (*small.last != '}' || skip_space(&small) != '{')
        return NULL;
    struct json_body *const body = arena_alloc(arena, sizeof *body);
    struct json_value *const items = arena_alloc(arena, schema->count * sizeof *items);
    if (!body || !items)
        return NULL;
    *body = (struct json_body){.root = {.type = JSON_OBJECT, .items = items}};
    return take_members(&small, schema, body) ? body : NULL;
}
