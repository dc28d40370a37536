/* SPDX-License-Identifier: MIT */
/* What a caller sends and what it would take: Content-Type, Content-Encoding and Accept. Knows the text of headers only. */
#ifndef SERVER_MEDIA_H
#define SERVER_MEDIA_H

#include <stdbool.h>

struct request;
struct convolve_error;

/* Whether the body is to be read as JSON: whatever its type says, unless that names a format of another kind. False:
 * "unsupported-media-type". */
bool media_check_body(const struct request *request, struct convolve_error *error);

/* Whether some Accept header admits `type` ("application/json"); absent or unreadable ones admit everything. */
bool media_accepts(const struct request *request, const char *type);

#endif
