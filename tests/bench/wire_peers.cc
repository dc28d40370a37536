// SPDX-License-Identifier: MIT
// The C++ library's <charconv>, and simdjson where it is installed, as wire_bench's peers. Built only where there is a C++ compiler.
#include "tests/bench/wire_peers.h"

#include <charconv>

#if __has_include(<simdjson.h>)
#include <simdjson.h>
#define HAVE_SIMDJSON 1
#endif

namespace
{

template <typename number> size_t write_numbers(char *text, const number *values, size_t count)
{
    char *out = text;
    for (size_t i = 0; i < count; i++) {
        out = std::to_chars(out, out + 32, values[i]).ptr;
        *out++ = ',';
    }
    return static_cast<size_t>(out - text);
}

size_t write_f64(char *text, const double *values, size_t count)
{
    return write_numbers(text, values, count);
}

size_t write_f32(char *text, const float *values, size_t count)
{
    return write_numbers(text, values, count);
}

size_t read_f64(double *values, const char *text, size_t bytes)
{
    const char *const end = text + bytes;
    size_t count = 0;
    for (text++; text < end; text++, count++)
        text = std::from_chars(text, end, values[count]).ptr;
    return count;
}

#ifdef HAVE_SIMDJSON
// Both interfaces; the bench takes whichever is faster.
size_t read_ondemand(double *values, const char *text, size_t bytes)
{
    static simdjson::ondemand::parser parser;
    const simdjson::padded_string_view view(text, bytes, bytes + simdjson::SIMDJSON_PADDING);
    simdjson::ondemand::document document;
    simdjson::ondemand::array array;
    size_t count = 0;
    if (parser.iterate(view).get(document) || document.get_array().get(array))
        return 0;
    for (auto item : array)
        if (item.get_double().get(values[count++]))
            return 0;
    return count;
}

size_t read_dom(double *values, const char *text, size_t bytes)
{
    static simdjson::dom::parser parser;
    simdjson::dom::element document;
    simdjson::dom::array array;
    size_t count = 0;
    if (parser.parse(text, bytes, false).get(document) || document.get_array().get(array))
        return 0;
    for (const simdjson::dom::element item : array)
        if (item.get_double().get(values[count++]))
            return 0;
    return count;
}

size_t collect_numbers(double *values, const simdjson::dom::element &element)
{
    size_t count = 0;
    simdjson::dom::array array;
    simdjson::dom::object object;
    if (!element.get(array)) {
        for (const simdjson::dom::element item : array)
            count += collect_numbers(values + count, item);
    } else if (!element.get(object)) {
        for (const simdjson::dom::key_value_pair member : object)
            count += collect_numbers(values + count, member.value);
    } else if (!element.get_double().get(values[0])) {
        count = 1;
    }
    return count;
}

size_t request_dom(double *values, const char *text, size_t bytes)
{
    static simdjson::dom::parser parser;
    simdjson::dom::element document;
    return parser.parse(text, bytes, false).get(document) ? 0 : collect_numbers(values, document);
}

// `value` is an array of arrays of numbers.
size_t collect_rows(double *values, simdjson::ondemand::value value)
{
    size_t count = 0;
    simdjson::ondemand::array rows, row;
    if (value.get_array().get(rows))
        return 0;
    for (auto item : rows) {
        if (item.get_array().get(row))
            return 0;
        for (auto number : row)
            if (number.get_double().get(values[count++]))
                return 0;
    }
    return count;
}

size_t request_ondemand(double *values, const char *text, size_t bytes)
{
    static simdjson::ondemand::parser parser;
    const simdjson::padded_string_view view(text, bytes, bytes + simdjson::SIMDJSON_PADDING);
    simdjson::ondemand::document document;
    simdjson::ondemand::value input, kernel;
    if (parser.iterate(view).get(document) || document["input"].get(input))
        return 0;
    const size_t count = collect_rows(values, input);
    return document["kernel"].get(kernel) ? 0 : count + collect_rows(values + count, kernel);
}
#endif

} // namespace

extern "C" const struct wire_peer wire_peers[] = {
    {"charconv", write_f64, write_f32, read_f64, nullptr},
#ifdef HAVE_SIMDJSON
    {"simdjson ondemand", nullptr, nullptr, read_ondemand, request_ondemand},
    {"simdjson dom", nullptr, nullptr, read_dom, request_dom},
#endif
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
