/* SPDX-License-Identifier: MIT */
/* The log, on standard error: one line per event, one per request; text or JSON. A line is one write(2) and is dropped where it
 * cannot be written at once; nothing waits for the log. Never a key, never a body. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

struct config;
struct request;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

void log_configure(const struct config *config); /* level and format; safe while others log */
void log_event(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* At info: method, path, client, status, bytes, phases in ms, convolution method, problem, id, traceparent. */
void log_request(const struct request *request);

#endif
