/* SPDX-License-Identifier: MIT */
/* What systemd agrees on with the daemons it starts: sockets handed over, readiness, a watchdog. Three environment variables and
 * one datagram, so no library is needed for it. Everything here does nothing where systemd did not start us. */
#ifndef SERVER_SYSTEMD_H
#define SERVER_SYSTEMD_H

#include <stdint.h>

enum { SYSTEMD_FIRST_SOCKET = 3 };

/* How many listening sockets were handed over, as descriptors SYSTEMD_FIRST_SOCKET and up; each is made close-on-exec. 0: none,
 * or they are meant for another process. */
unsigned systemd_sockets(void);

/* Opens what systemd_notify sends through, while sockets can be opened still. */
void systemd_start(void);

/* Sends a state, "READY=1"; several lines are one message. Never waits, and nobody learns of a failure: there is nothing that a
 * daemon could do about it. */
void systemd_notify(const char *state);

/* How often WATCHDOG=1 is expected, in nanoseconds; 0: not at all. Half of it is the time to keep. */
uint64_t systemd_watchdog_ns(void);

#endif
