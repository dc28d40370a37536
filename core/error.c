/* SPDX-License-Identifier: MIT */
/* How a fault is written down. It travels up as a value to the one place that answers the client. */
#include "core/convolve.h"

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
