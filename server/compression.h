/* SPDX-License-Identifier: MIT */
/* Answers packed by gzip, where the caller asks for it and it pays: texts of some length always, .npy where a sample shrinks. Long
 * ones are packed in pieces by the pool while they are sent, as they are written. */
#ifndef SERVER_COMPRESSION_H
#define SERVER_COMPRESSION_H

struct request;
struct response;

/* Packs a finished response, or leaves it as it is; adds Content-Encoding and what it varies by. Where memory is short it stays as it is. */
void compression_apply(struct response *response, struct request *request);

#endif
