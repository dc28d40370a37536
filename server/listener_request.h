/* SPDX-License-Identifier: MIT */
/* The parts of the listener that libmicrohttpd's own types appear in. */
#ifndef SERVER_LISTENER_REQUEST_H
#define SERVER_LISTENER_REQUEST_H

#include <microhttpd.h>

struct connection;
struct stream;

/* What libmicrohttpd calls for a request: its line is known, its handler, its end. */
struct request_callbacks {
    void *(*begins)(void *context, const char *target, struct MHD_Connection *library);
    MHD_AccessHandlerCallback handle;
    MHD_RequestCompletedCallback ends;
};
extern const struct request_callbacks request_callbacks;

struct connection *connection_of(struct MHD_Connection *library);

#endif
