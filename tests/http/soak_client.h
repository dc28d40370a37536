/* SPDX-License-Identifier: MIT */
/* A client for hours: one kept connection, plain or by TLS, one buffer that is used again for each answer, so that it takes no more memory at the
 * end than at the beginning. */
#ifndef TESTS_HTTP_SOAK_CLIENT_H
#define TESTS_HTTP_SOAK_CLIENT_H

#include "tests/http/harness.h"

struct soak_client {
    const struct child *child;
    int fd; /* -1: none */
    bool speaks_tls;
    struct tls_client *tls; /* instead of fd, under TLS */
    char *bytes; /* what was received and not yet given out */
    size_t count, room;
    char *body; /* of the answer given out last; ends with NUL */
    size_t body_bytes, body_room;
    bool has_retry_after, was_packed;
};

void soak_client_init(struct soak_client *client, const struct child *child);
void soak_client_release(struct soak_client *client);
void soak_client_close(struct soak_client *client); /* the connection alone */

/* Opens a connection where there is none. False: it cannot be had, or the other side has gone. */
bool soak_client_send(struct soak_client *client, const char *bytes, size_t count);
/* The next answer's status, its body, unpacked where it was, in client->body until the next call. 0: none came whole. */
int soak_client_answer(struct soak_client *client);

#endif
