/* SPDX-License-Identifier: MIT */
/* What the process gives up for good once it serves: new privileges, and every system call that serving does not need. Who takes
 * it over can then start no program and no thread, open no file for writing, no socket and no connection, and make no memory
 * executable. */
#ifndef SERVER_CONFINE_H
#define SERVER_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

/* Applies to all threads, those that run already as well. `removes_files`: unlink stays, for a Unix socket's file at the end.
 * False: `reason` says what the system refused; then nothing is confined. */
bool confine(bool removes_files, char *reason, size_t reason_bytes);

/* Why this build or this run is not to be confined (a sanitizer, valgrind: they need calls that a daemon does not); else NULL. */
const char *confine_hindrance(void);

#endif
