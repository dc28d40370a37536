/* SPDX-License-Identifier: MIT */
/* Others who read and write arrays of numbers, for wire_bench. Each is NULL where it was not there to build with. */
#ifndef TESTS_BENCH_WIRE_PEERS_H
#define TESTS_BENCH_WIRE_PEERS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the numbers with commas and returns the length; text has 32 bytes for each. */
typedef size_t wire_write_f64(char *text, const double *values, size_t count);
typedef size_t wire_write_f32(char *text, const float *values, size_t count);

/* Reads [1,2,3], returns how many. 64 bytes behind the text may be read, and are 0. */
typedef size_t wire_read_f64(double *values, const char *text, size_t bytes);

/* The same for {"input": [[1,2],[3,4]], "kernel": [[1]]}: every number at whatever depth. */
typedef size_t wire_read_request(double *values, const char *text, size_t bytes);

struct wire_peer {
    const char *name;
    wire_write_f64 *write_f64;
    wire_write_f32 *write_f32;
    wire_read_f64 *read_f64;
    wire_read_request *read_request;
};

/* wire_peer_cjson.c, wire_peers.cc */
extern const struct wire_peer wire_peer_cjson;
extern const struct wire_peer wire_peers[]; /* up to one without a name */

#ifdef __cplusplus
}
#endif

#endif
