/* SPDX-License-Identifier: MIT */
/* How a fault is written down. It travels up as a value to the one place that answers the client. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

bool convolve_fail(struct convolve_error *error, const char *slug, const char *pointer, const char *format, ...)
{
    if (!error)
        return false;
    *error = (struct convolve_error){.slug = slug};
    snprintf(error->pointer, sizeof error->pointer, "%s", pointer);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->detail, sizeof error->detail, format, arguments);
    va_end(arguments);
    return false;
}

bool fail_uncountable(struct convolve_error *error, const char *pointer, const char *limit, const char *what)
{
    convolve_fail(error, "too-large", pointer, "%s cannot be counted in 64 bits: cut the request into parts", what);
    if (error) {
        error->limit = limit;
        error->requested = UINT64_MAX;
    }
    return false;
}
