/* SPDX-License-Identifier: MIT */
/* --healthcheck: asks the daemon at the configured address whether it is ready, so that a container needs no curl for it. */
#ifndef SERVER_HEALTHCHECK_H
#define SERVER_HEALTHCHECK_H

struct config;

/* The exit status: 0 where GET /readyz at the first address of `listen` answers 200 within a few seconds, else 1 with a line on
 * standard error. */
int healthcheck_run(const struct config *config);

#endif
