/* SPDX-License-Identifier: MIT */
/* Files of web/ that are built into the daemon, so that the one binary is all there is to install. */
#ifndef SERVER_EMBEDDED_H
#define SERVER_EMBEDDED_H

#include <stddef.h>

extern const char embedded_docs_html[]; /* web/docs.html; no NUL at the end */
extern const size_t embedded_docs_html_bytes;
extern const char embedded_index_html[]; /* web/index.html; likewise */
extern const size_t embedded_index_html_bytes;
extern const char embedded_openapi_json[]; /* web/openapi.json; likewise */
extern const size_t embedded_openapi_json_bytes;

#endif
