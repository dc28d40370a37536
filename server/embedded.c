/* SPDX-License-Identifier: MIT */
/* The assembler reads the files (.incbin): exact bytes, no generated source, and both gcc and clang do it. The Makefile makes this
 * object depend on web/. */
#include "server/embedded.h"

#define EMBED(name, file)                                                                                              \
    __asm__(".section .rodata\n"                                                                                       \
            ".hidden embedded_" name "\n.global embedded_" name "\n"                                                   \
            ".hidden embedded_" name "_bytes\n.global embedded_" name "_bytes\n"                                       \
            "embedded_" name ":\n.incbin \"" file "\"\n1:\n"                                                           \
            ".balign 8\nembedded_" name "_bytes:\n.quad 1b - embedded_" name "\n"                                      \
            ".previous\n")

EMBED("docs_html", "web/docs.html");
EMBED("index_html", "web/index.html");
EMBED("openapi_json", "web/openapi.json");
