/* SPDX-License-Identifier: MIT */
#include "tests/http/npy.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { HEADER_BYTES = 128 };

struct bytes npy_file(const char *descr, const char *shape, const void *values, size_t count)
{
    char *file = text_room(HEADER_BYTES + count + 1);
    memset(file, ' ', HEADER_BYTES);
    memcpy(file, "\x93NUMPY\1\0\x76", 10);
    const char *header = textf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    memcpy(file + 10, header, strlen(header));
    file[HEADER_BYTES - 1] = '\n';
    if (count > 0)
        memcpy(file + HEADER_BYTES, values, count);
    return (struct bytes){file, HEADER_BYTES + count};
}

const char *npy_target(const char *target)
{
    char *out = text_room(3 * strlen(target) + 1), *at = out;
    for (; *target; target++) {
        if (isalnum((unsigned char)*target) || strchr("/?&=%._-", *target))
            *at++ = *target;
        else
            at += sprintf(at, "%%%02X", (unsigned char)*target);
    }
    *at = '\0';
    return out;
}

struct answer npy_post(struct child *child, const char *target, struct bytes file, const char *accept)
{
    const char *const headers[] = {"Content-Type: application/x-npy", accept ? textf("Accept: %s", accept) : NULL,
                                   NULL};
    return http_call(
        child,
        &(struct call){.path = npy_target(target), .body = file.bytes, .body_bytes = file.count, .headers = headers});
}

const void *npy_values(const char *name, const struct answer *answer, const char *descr, const char *shape,
                       size_t *count)
{
    const unsigned char *file = (const unsigned char *)answer->body;
    *count = 0;
    if (answer->status != 200 || answer->body_bytes < HEADER_BYTES / 2 || memcmp(file, "\x93NUMPY\1\0", 8) != 0) {
        complain(name, "no .npy file: %ld %.400s", answer->status, answer->body);
        return NULL;
    }
    const size_t header = 10 + file[8] + 256 * (size_t)file[9];
    const char *text = text_copy(answer->body + 10, header - 10);
    check_text(name, "Content-Type", header_of(answer, "Content-Type"), "application/x-npy");
    check_number(name, "header and alignment", (long long)(header % 64), 0);
    check_holds(name, "header", text, textf("'descr': '%s'", descr));
    check_holds(name, "header", text, textf("'shape': %s", shape));
    *count = answer->body_bytes - header;
    return text_copy(answer->body + header, *count);
}

struct bytes gzip_of(const char *bytes, size_t count)
{
    const size_t room = compressBound(count) + 64;
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)bytes, .avail_in = (unsigned)count};
    char *out = text_room(room);
    stream.next_out = (unsigned char *)out;
    stream.avail_out = (unsigned)room;
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return (struct bytes){out, room - stream.avail_out};
}
