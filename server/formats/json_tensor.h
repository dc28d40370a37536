/* SPDX-License-Identifier: MIT */
/* The push parser of request bodies: bytes in pieces of any size, tensors straight into aligned memory, everything else into
 * a small text (the envelope) for json_read.c. Holds the whole text to RFC 8259. */
#ifndef SERVER_FORMATS_JSON_TENSOR_H
#define SERVER_FORMATS_JSON_TENSOR_H

#include "core/convolve.h"
#include "server/arena.h"

/* The members an endpoint knows. Where `tensor` is set the value may be a tensor in any of its notations. */
struct json_schema_member {
    const char *name;
    bool tensor;
};
struct json_schema {
    const struct json_schema_member *members;
    size_t count;
    const char *example; /* an object of such members, for messages */
};

struct json_decoder;
struct json_body; /* json_read.h */

/* NULL: out of memory (arena->failure). All memory is the arena's; `schema` must outlive the decoder. Where the schema has a
 * member `dtype` and it comes before a tensor, the tensor's numbers are kept in that type only: json_tensor_values must then be
 * asked for it, as the contract has it anyhow. */
struct json_decoder *json_decoder_create(struct arena *arena, const struct json_schema *schema);

/* How long the body will be, as its Content-Length says: only so that memory is taken in one piece. It may be wrong. */
void json_decoder_expect(struct json_decoder *decoder, uint64_t body_bytes);
uint64_t json_decoder_expected(const struct json_decoder *decoder); /* 0: nothing was said */

/* False: a fault that nothing later can change (syntax; no memory; a tensor nested deeper than the decoder follows), and `error`
 * is filled; the rest need not be fed. Other faults are kept while the rest is checked for syntax, because syntax comes first.
 * `error->slug` "malformed-json" goes with json_decoder_offset. */
bool json_decoder_feed(struct json_decoder *decoder, const char *bytes, size_t count, struct convolve_error *error);

/* The same for a body that comes in one piece, which is all there will be: a small one is read in one pass (json_small.h). */
bool json_decoder_feed_whole(struct json_decoder *decoder, const char *bytes, size_t count,
                             struct convolve_error *error);

/* The body is whole: its members, or the first fault in the order syntax, no object, duplicate, unknown, a member larger than
 * any can be. What is wrong inside a tensor (not-a-number, ragged-array, rank above 8) comes from json_tensor_shape, so that
 * the caller can look for missing members before. NULL: `error` is filled. */
struct json_body *json_decoder_finish(struct json_decoder *decoder, struct convolve_error *error);
int64_t json_decoder_offset(const struct json_decoder *decoder); /* the byte at fault, or -1 */

#endif
