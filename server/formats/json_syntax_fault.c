/* SPDX-License-Identifier: MIT */
/* What is wrong with a text that is no JSON, in plain words. Everything follows from the machine's state and the byte at fault,
 * so that the sentence does not depend on how the text was cut into pieces. */
#include "server/formats/json_syntax.h"

#include <stdio.h>
#include <string.h>

static void name_byte(int byte, char *out, size_t bytes)
{
    if (byte < 0)
        snprintf(out, bytes, "the end of the text");
    else if (byte == '\'')
        snprintf(out, bytes, "a single quote");
    else if (byte > 0x20 && byte < 0x7f)
        snprintf(out, bytes, "'%c'", byte);
    else if (byte == ' ')
        snprintf(out, bytes, "a space");
    else if (byte == '\n' || byte == '\r')
        snprintf(out, bytes, "a line break");
    else if (byte == '\t')
        snprintf(out, bytes, "a tab");
    else
        snprintf(out, bytes, "the byte 0x%02x", byte);
}

/* Sentences for what people often write where a value belongs; NULL for everything else. */
static const char *common_value_mistake(const struct json_syntax *syntax)
{
    const bool at_start = syntax->fault_offset == 0 && syntax->example;
    switch (syntax->fault_byte) {
    case 'N':
        return "JSON has no NaN and no None: a missing value is null (with \"missing\": \"ignore\"), and base64 or "
               ".npy carry NaN";
    case 'I':
        return "JSON has no Infinity: base64 or .npy carry infinite values";
    case 'T':
    case 'F':
        return "JSON writes true and false in small letters";
    case '\'':
        return "strings stand in double quotes in JSON, found a single quote";
    case '+':
        return "a number does not begin with + in JSON: leave it out";
    case '.':
        return "a number begins with a digit in JSON: 0.5, not .5";
    case '/':
    case '#':
        return "expected a value: JSON has no comments";
    case ',':
        return syntax->last == LAST_COMMA ? "expected a value after a comma, found another comma" : NULL;
    case ']':
    case '}':
        return syntax->last == LAST_COMMA ? "expected a value after a comma: JSON allows no comma after the last one"
                                          : NULL;
    case 0xef:
        return at_start ? "the text begins with a byte order mark (0xef 0xbb 0xbf): send UTF-8 without one" : NULL;
    case 0xfe:
        return at_start ? "the text begins as UTF-16 does: send UTF-8" : NULL;
    case 0xff:
        return at_start
                   ? "the text begins as UTF-16 or a JPEG does: send text as UTF-8, and a picture's pixels as nested "
                     "lists or as .npy"
                   : NULL;
    case 0x89:
        return at_start ? "the text begins as a PNG does: send a picture's pixels as nested lists or as .npy" : NULL;
    case 0xe2:
        return "strings stand in straight double quotes in JSON, found the byte 0xe2, as typographic quotes begin with";
    case '(':
        return "lists stand between [ and ] in JSON, found '('";
    case 0x1f:
        return at_start ? "the text begins as gzip does: send Content-Encoding: gzip with it" : NULL;
    case 0x93:
        return at_start ? "the text begins as .npy does: send Content-Type: application/x-npy with it" : NULL;
    default:
        return NULL;
    }
}

static void describe_value(const struct json_syntax *syntax, const char *found, char *out, size_t bytes)
{
    const char *mistake = common_value_mistake(syntax);
    if (mistake)
        snprintf(out, bytes, "%s", mistake);
    else if (syntax->fault_offset == 0 && syntax->example && syntax->fault_byte < 0)
        snprintf(out, bytes, "the text is empty: expected a JSON object, as in %s", syntax->example);
    else if (syntax->fault_offset == 0 && syntax->example)
        snprintf(out, bytes, "expected a JSON object, as in %s, found %s", syntax->example, found);
    else if (syntax->fault_offset == 0 && syntax->fault_byte < 0)
        snprintf(out, bytes, "the value is empty: leave it out, or send a number, a list or a word");
    else
        snprintf(out, bytes, "expected a value%s, found %s",
                 syntax->state == STATE_FIRST_ITEM ? " or ]"
                 : syntax->last == LAST_COMMA      ? " after a comma"
                 : syntax->last == LAST_COLON      ? " after a colon"
                                                   : "",
                 found);
}

static void describe_name(const struct json_syntax *syntax, const char *found, char *out, size_t bytes)
{
    const int byte = syntax->fault_byte;
    if (byte == '}')
        snprintf(out, bytes, "expected a name after a comma: JSON allows no comma after the last member");
    else if (byte == '\'')
        snprintf(out, bytes, "names stand in double quotes in JSON, found a single quote");
    else if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_')
        snprintf(out, bytes, "names stand in double quotes in JSON, found %s", found);
    else if (byte == '/' || byte == '#')
        snprintf(out, bytes, "expected a name: JSON has no comments");
    else if (byte == 0xe2)
        snprintf(
            out, bytes,
            "names stand in straight double quotes in JSON, found the byte 0xe2, as typographic quotes begin with");
    else
        snprintf(out, bytes, "expected a name in double quotes%s, found %s",
                 syntax->state == STATE_FIRST_NAME ? " or }" : "", found);
}

static void describe_after(const struct json_syntax *syntax, const char *found, char *out, size_t bytes)
{
    static const char *const lasts[] = {
        [LAST_NUMBER] = "a number",
        [LAST_STRING] = "a string",
        [LAST_LITERAL] = "true, false or null",
        [LAST_LIST] = "the end of a list",
        [LAST_OBJECT] = "the end of an object",
        [LAST_START] = "a value",
        [LAST_COMMA] = "a value",
        [LAST_COLON] = "a value",
    };
    if (syntax->depth == 0)
        snprintf(out, bytes, "expected nothing but white space after the end of the JSON value, found %s%s%s", found,
                 syntax->example ? ": all is one JSON object, as in " : "", syntax->example ? syntax->example : "");
    else
        snprintf(out, bytes, "expected a comma or %c after %s, found %s",
                 syntax->objects >> (syntax->depth - 1) & 1 ? '}' : ']', lasts[syntax->last], found);
}

static void describe_string(const struct json_syntax *syntax, const char *found, char *out, size_t bytes)
{
    const int byte = syntax->fault_byte;
    const char *what = syntax->in_name ? "a name" : "a string";
    if (byte < 0)
        snprintf(out, bytes, "the text ends inside %s", what);
    else if (syntax->state == STATE_ESCAPE)
        snprintf(out, bytes, "expected one of \" \\ / b f n r t u after a backslash, found %s", found);
    else if (syntax->state == STATE_HEX)
        snprintf(out, bytes, "expected four hexadecimal digits after \\u, found %s", found);
    else if (byte < 0x20)
        snprintf(out, bytes, "a control character inside %s must be written as an escape, found %s (0x%02x)", what,
                 found, byte);
    else
        snprintf(out, bytes, "%s must be UTF-8, found %s where it cannot stand", what, found);
}

static void describe_literal(const struct json_syntax *syntax, const char *found, char *out, size_t bytes)
{
    if (syntax->literal[0] == 'n' && syntax->literal_at == 1 && syntax->fault_byte == 'a')
        snprintf(
            out, bytes,
            "JSON has no nan: a missing value is null (with \"missing\": \"ignore\"), and base64 or .npy carry NaN");
    else
        snprintf(out, bytes, "expected the rest of %s, found %s", syntax->literal, found);
}

static void describe_number(const struct json_syntax *syntax, const char *found, char *out, size_t bytes)
{
    if (syntax->fault_byte < 0)
        snprintf(out, bytes, "the text ends inside a number or right after it, before what holds it is closed");
    else if (syntax->state == STATE_ZERO)
        snprintf(out, bytes, "a number does not begin with a 0 before other digits in JSON, found %s", found);
    else if (syntax->state == STATE_MINUS && syntax->fault_byte == 'I')
        snprintf(out, bytes, "JSON has no -Infinity: base64 or .npy carry infinite values");
    else
        snprintf(out, bytes, "expected a digit after the %s of a number, found %s",
                 syntax->state == STATE_MINUS   ? "minus sign"
                 : syntax->state == STATE_POINT ? "decimal point"
                 : syntax->state == STATE_E     ? "e"
                                                : "sign of the exponent",
                 found);
}

void json_syntax_describe(const struct json_syntax *syntax, char *out, size_t bytes)
{
    char found[40];
    name_byte(syntax->fault_byte, found, sizeof found);
    if (syntax->failure == JSON_TOO_DEEP) {
        snprintf(out, bytes, "lists and objects are nested deeper than %d", JSON_DEPTH_MAX);
        return;
    }
    switch (syntax->state) {
    case STATE_VALUE:
    case STATE_FIRST_ITEM:
        describe_value(syntax, found, out, bytes);
        break;
    case STATE_FIRST_NAME:
    case STATE_NAME:
        describe_name(syntax, found, out, bytes);
        break;
    case STATE_COLON:
        snprintf(out, bytes, "expected a colon after a name, found %s", found);
        break;
    case STATE_AFTER:
        describe_after(syntax, found, out, bytes);
        break;
    case STATE_STRING:
    case STATE_UTF8:
    case STATE_ESCAPE:
    case STATE_HEX:
        describe_string(syntax, found, out, bytes);
        break;
    case STATE_LITERAL:
        describe_literal(syntax, found, out, bytes);
        break;
    default:
        describe_number(syntax, found, out, bytes);
    }
}
