/* SPDX-License-Identifier: MIT */
/* Two texts grow side by side, since the formula stands behind the terms: that of the answer, and the formula's first factors. */
#include "server/endpoints/explain_text.h"

#include <math.h>
#include <string.h>

#include "server/admission.h"
#include "server/append.h"
#include "server/formats/number_write.h"
#include "server/request.h"

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 unsigned_wide;

enum {
    FORMULA_TERMS = 32, /* are written out, the rest is an ellipsis */
    PRODUCT_BYTES_MAX = 41, /* of two int64 */
    SCALAR_BYTES_MAX = 2 * NUMBER_BYTES_MAX + 24, /* with what stands around the parts of a complex one */
    FORMULA_TERM_BYTES_MAX = 2 * SCALAR_BYTES_MAX + 8,
    FORMULA_END_BYTES_MAX = 4 * SCALAR_BYTES_MAX,
    ENDS_BYTES_MAX = 3 * SCALAR_BYTES_MAX + 128, /* what stands before and after the terms, but for the formula */
    STEP_BYTES = 64 << 10, /* by which the text grows */
};

#define DOT  "\302\267"
#define DOTS "\342\200\246"

static bool is_complex(const struct explain_text *text)
{
    return convolve_dtype_is_complex(text->dtype);
}

static bool is_finite(const struct explain_text *text, struct convolve_scalar number)
{
    return text->dtype == CONVOLVE_INT64 || (isfinite(number.real) && isfinite(number.imag));
}

/* ---- Numbers ---- */

static char *write_real(char *at, const struct explain_text *text, double value)
{
    if (!isfinite(value))
        return append_text(at, "null");
    return text->dtype == CONVOLVE_FLOAT32 || text->dtype == CONVOLVE_COMPLEX64 ? number_write_float32(at, (float)value)
                                                                                : number_write_float64(at, value);
}

static char *write_scalar(char *at, const struct explain_text *text, struct convolve_scalar number)
{
    if (text->dtype == CONVOLVE_INT64)
        return number_write_int64(at, number.integer);
    if (!is_complex(text))
        return write_real(at, text, number.real);
    at = write_real(append_text(at, "{\"real\": "), text, number.real);
    at = write_real(append_text(at, ", \"imag\": "), text, number.imag);
    return append_text(at, "}");
}

/* A product of two int64, which may need 128 bits. */
static char *write_wide(char *at, int64_t high, int64_t low)
{
    const wide value = (wide)((unsigned_wide)(uint64_t)high << 64 | (uint64_t)low);
    unsigned_wide magnitude = value < 0 ? -(unsigned_wide)value : (unsigned_wide)value;
    char digits[PRODUCT_BYTES_MAX];
    size_t first = sizeof digits;
    if (high == low >> 63)
        return number_write_int64(at, low);
    for (; magnitude != 0; magnitude /= 10)
        digits[--first] = (char)('0' + (unsigned)(magnitude % 10));
    if (value < 0)
        digits[--first] = '-';
    return mempcpy(at, digits + first, sizeof digits - first);
}

/* ---- The formula ---- */

static char *write_plain_real(char *at, const struct explain_text *text, double value)
{
    if (isnan(value))
        return append_text(at, "NaN");
    if (isinf(value))
        return append_text(at, value < 0 ? "-inf" : "inf");
    return write_real(at, text, value);
}

/* 3, -2, 1-2i */
static char *write_plain(char *at, const struct explain_text *text, struct convolve_scalar number)
{
    if (text->dtype == CONVOLVE_INT64)
        return number_write_int64(at, number.integer);
    at = write_plain_real(at, text, number.real);
    if (!is_complex(text))
        return at;
    if (!signbit(number.imag) || isnan(number.imag))
        *at++ = '+';
    return append_text(write_plain_real(at, text, number.imag), "i");
}

/* In brackets where it would not stand alone: (-2), (1-2i). */
static char *write_factor(char *at, const struct explain_text *text, struct convolve_scalar number)
{
    char *const begin = at;
    at = write_plain(at + 1, text, number);
    if (begin[1] != '-' && !is_complex(text)) {
        memmove(begin, begin + 1, (size_t)(at - begin) - 1);
        return at - 1;
    }
    *begin = '(';
    *at++ = ')';
    return at;
}

static void formula_add_term(struct explain_text *text, const struct convolve_term *term)
{
    char *at = text->formula + text->formula_count;
    if (text->present_count++ >= FORMULA_TERMS)
        return;
    at = append_text(at, text->present_count > 1 ? " + " : "");
    at = append_text(write_factor(at, text, term->input), DOT);
    at = write_factor(at, text, term->kernel);
    text->formula_count = (size_t)(at - text->formula);
}

static void formula_end(struct explain_text *text)
{
    char *at = text->formula + text->formula_count;
    if (text->present_count == 0)
        at = append_text(at, "0");
    if (text->present_count > FORMULA_TERMS)
        at = append_text(at, " + " DOTS);
    if (text->found.scaled)
        at = write_factor(append_text(at, ")" DOT), text, text->found.scale);
    if (text->bias)
        at = write_factor(append_text(at, " + "), text, text->found.bias);
    at = write_plain(append_text(at, " = "), text, text->found.value);
    text->formula_count = (size_t)(at - text->formula);
}

/* ---- The answer ---- */

static size_t digits_of(size_t number)
{
    size_t digits = 1;
    for (; number >= 10; number /= 10)
        digits++;
    return digits;
}

/* With its commas. */
static size_t index_bytes_max(const struct convolve_shape *shape)
{
    size_t bytes = sizeof "null";
    for (unsigned i = 0; i < shape->rank; i++)
        bytes += digits_of(shape->size[i]) + 2;
    return bytes;
}

static size_t scalar_bytes_max(enum convolve_dtype dtype)
{
    static const size_t parts[] = {[CONVOLVE_FLOAT64] = 24,
                                   [CONVOLVE_FLOAT32] = 16,
                                   [CONVOLVE_INT64] = 20,
                                   [CONVOLVE_COMPLEX128] = 2 * 24 + 20,
                                   [CONVOLVE_COMPLEX64] = 2 * 16 + 20};
    return parts[dtype];
}

#define TERM_WORDS ", {\"input_index\": , \"input\": , \"kernel_index\": , \"kernel\": , \"product\": }"

static size_t formula_bytes_max(uint64_t terms)
{
    return (size_t)(terms < FORMULA_TERMS ? terms : FORMULA_TERMS) * FORMULA_TERM_BYTES_MAX + FORMULA_END_BYTES_MAX;
}

uint64_t explain_text_bytes(const struct convolve_explain_cost *cost, enum convolve_dtype dtype)
{
    const size_t scalar = scalar_bytes_max(dtype);
    const size_t term = sizeof TERM_WORDS + index_bytes_max(&cost->input) + index_bytes_max(&cost->kernel) +
                        2 * scalar + (dtype == CONVOLVE_INT64 ? PRODUCT_BYTES_MAX : scalar);
    uint64_t bytes;
    if (__builtin_mul_overflow(cost->terms, (uint64_t)term, &bytes) ||
        __builtin_add_overflow(bytes, ENDS_BYTES_MAX + formula_bytes_max(cost->terms), &bytes))
        return UINT64_MAX;
    return bytes;
}

/* Room for `bytes` more at the end, and for what the writers of numbers scribble behind them; NULL: no memory. */
static char *make_room(struct explain_text *text, size_t bytes, struct convolve_error *error)
{
    const size_t needed = text->count + bytes + NUMBER_BYTES_MAX, most = text->bytes_max + NUMBER_BYTES_MAX;
    if (needed > text->room) {
        const size_t more = needed + STEP_BYTES;
        const size_t room = needed < most && more > most ? most : more;
        char *const grown = arena_block_grow(&text->request->arena, text->bytes, room, most);
        if (!grown) {
            admission_fail_memory(text->request, error);
            return NULL;
        }
        text->bytes = grown;
        text->room = room;
    }
    return text->bytes + text->count;
}

static bool fail_nonfinite(struct convolve_error *error, const char *what)
{
    return convolve_fail(error, "non-finite-result", "",
                         "%s is not a finite number, which JSON cannot hold; send nonfinite \"null\"", what);
}

bool explain_text_begin(struct explain_text *text, const struct convolve_explained *found, struct convolve_error *error)
{
    text->found = *found;
    if (!text->nonfinite_null && !found->undefined && !(is_finite(text, found->value) && is_finite(text, found->scale)))
        return fail_nonfinite(error, "the value");
    if (!text->nonfinite_null && text->bias && !is_finite(text, found->bias))
        return fail_nonfinite(error, "the bias");
    char *at = make_room(text, ENDS_BYTES_MAX, error);
    text->formula = arena_alloc(&text->request->arena, formula_bytes_max(FORMULA_TERMS) + NUMBER_BYTES_MAX);
    if (!at)
        return false;
    if (!text->formula)
        return admission_fail_memory(text->request, error);
    if (found->scaled)
        text->formula[text->formula_count++] = '(';
    at = write_scalar(append_text(at, "{\"value\": "), text, found->value);
    if (text->bias)
        at = write_scalar(append_text(at, ", \"bias\": "), text, found->bias);
    if (found->scaled)
        at = write_scalar(append_text(at, ", \"scale\": "), text, found->scale);
    at = append_text(at, ", \"terms\": [");
    text->count = (size_t)(at - text->bytes);
    return true;
}

static char *write_index(char *at, const size_t *index, unsigned rank)
{
    *at++ = '[';
    for (unsigned i = 0; i < rank; i++)
        at = append_unsigned(append_text(at, i ? ", " : ""), index[i]);
    *at++ = ']';
    return at;
}

bool explain_text_term(struct explain_text *text, const struct convolve_term *term, struct convolve_error *error)
{
    const bool input_finite = term->missing || is_finite(text, term->input);
    const bool product_finite = text->found.undefined || is_finite(text, term->product);
    const size_t indices = 24 * ((size_t)text->input_rank + text->kernel_rank);
    if (!text->nonfinite_null && !(input_finite && is_finite(text, term->kernel) && product_finite))
        return fail_nonfinite(error, "a term's input, kernel or product");
    char *at = make_room(text, sizeof TERM_WORDS + indices + 3 * SCALAR_BYTES_MAX, error);
    if (!at)
        return false;
    at = append_text(at, text->term_count++ > 0 ? ", {\"input_index\": " : "{\"input_index\": ");
    at = term->inside ? write_index(at, term->input_index, text->input_rank) : append_text(at, "null");
    at = append_text(at, ", \"input\": ");
    at = term->missing ? append_text(at, "null") : write_scalar(at, text, term->input);
    at = write_index(append_text(at, ", \"kernel_index\": "), term->kernel_index, text->kernel_rank);
    at = write_scalar(append_text(at, ", \"kernel\": "), text, term->kernel);
    at = append_text(at, ", \"product\": ");
    at = text->dtype == CONVOLVE_INT64 ? write_wide(at, term->product_high, term->product.integer)
                                       : write_scalar(at, text, term->product);
    *at++ = '}';
    text->count = (size_t)(at - text->bytes);
    if (!term->missing)
        formula_add_term(text, term);
    return true;
}

bool explain_text_end(struct explain_text *text, struct convolve_error *error)
{
    formula_end(text);
    char *at = make_room(text, text->formula_count + 32, error);
    if (!at)
        return false;
    at = append_text(at, "], \"formula\": \"");
    at = append_text(mempcpy(at, text->formula, text->formula_count), "\"}\n");
    text->count = (size_t)(at - text->bytes);
    return true;
}
