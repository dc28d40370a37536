/* SPDX-License-Identifier: MIT */
/* Bytes of a .npy file to an array in the order that is computed in. The values go into one block as they come and are used where
 * they lie; only other byte orders are turned in place, and Fortran order is laid out anew. */
#include "server/formats/npy.h"

#include <stdio.h>
#include <string.h>

#include "server/formats/json_body.h"

enum { START_BYTES = 8, GROWTH_BYTES = 64 << 10, EXPECTED_BYTES_MAX = 256 << 20, TILE = 16 };

static bool fail_npy(struct convolve_error *error, const char *what)
{
    return convolve_fail(error, "malformed-npy", "", "%s", what);
}

void npy_reader_init(struct npy_reader *reader, struct arena *arena, bool discard)
{
    *reader = (struct npy_reader){.arena = arena, .discard = discard};
}

/* ---- Magic, version, header ---- */

static size_t start_bytes(const struct npy_reader *reader)
{
    /* The length of the header has two bytes in version 1, four later. */
    return reader->start_count > 6 && reader->start[6] > 1 ? START_BYTES + 4 : START_BYTES + 2;
}

static bool check_start(const struct npy_reader *reader, struct convolve_error *error)
{
    static const unsigned char magic[] = {NPY_MAGIC, 'N', 'U', 'M', 'P', 'Y'};
    const size_t count = reader->start_count < sizeof magic ? reader->start_count : sizeof magic;
    if (memcmp(reader->start, magic, count) != 0)
        return fail_npy(error, "this is no .npy file: it does not begin with \\x93NUMPY");
    if (reader->start_count > 7 && (reader->start[6] < 1 || reader->start[6] > 3 || reader->start[7] != 0))
        return convolve_fail(error, "malformed-npy", "",
                             "the .npy file has version %u.%u of the format; there are 1.0, 2.0 and 3.0",
                             reader->start[6], reader->start[7]);
    return true;
}

static bool begin_header(struct npy_reader *reader, struct convolve_error *error)
{
    for (size_t i = reader->start_count; i-- > START_BYTES;)
        reader->header_bytes = reader->header_bytes << 8 | reader->start[i];
    if (reader->header_bytes == 0 || reader->header_bytes > NPY_HEADER_BYTES_MAX)
        return convolve_fail(error, "malformed-npy", "",
                             "the .npy file has a header of %zu bytes; that of an array has at least 1 and at most %d",
                             reader->header_bytes, NPY_HEADER_BYTES_MAX);
    reader->header_text = arena_alloc(reader->arena, reader->header_bytes);
    if (!reader->header_text)
        return json_fail_memory(reader->arena, error);
    reader->state = NPY_HEADER;
    return true;
}

/* Returns how many bytes were taken; `*fine` is false after a fault. */
static size_t feed_start(struct npy_reader *reader, const char *bytes, size_t count, bool *fine,
                         struct convolve_error *error)
{
    size_t taken = 0;
    while (taken < count && reader->start_count < start_bytes(reader))
        reader->start[reader->start_count++] = (unsigned char)bytes[taken++];
    *fine = check_start(reader, error) && (reader->start_count < start_bytes(reader) || begin_header(reader, error));
    return taken;
}

static size_t feed_header(struct npy_reader *reader, const char *bytes, size_t count, bool *fine,
                          struct convolve_error *error)
{
    const size_t left = reader->header_bytes - reader->header_count;
    const size_t taken = count < left ? count : left;
    memcpy(reader->header_text + reader->header_count, bytes, taken);
    reader->header_count += taken;
    *fine = true;
    if (taken == left) {
        *fine = npy_header_read(&reader->header, reader->header_text, reader->header_bytes, error);
        reader->state = NPY_VALUES;
    }
    return taken;
}

/* ---- Values ---- */

static bool reserve(struct npy_reader *reader, size_t count, struct convolve_error *error)
{
    const size_t needed = reader->value_count + count; /* at most header.value_bytes */
    if (needed <= reader->capacity)
        return true;
    const size_t more =
        reader->header.value_bytes - needed < GROWTH_BYTES ? reader->header.value_bytes : needed + GROWTH_BYTES;
    /* What is announced beyond all reason is not even given addresses. */
    const size_t expected = reader->header.value_bytes <= EXPECTED_BYTES_MAX ? reader->header.value_bytes : 0;
    unsigned char *values = arena_block_grow(reader->arena, reader->values, more, expected);
    if (!values)
        return json_fail_memory(reader->arena, error);
    reader->values = values;
    reader->capacity = more;
    return true;
}

static bool feed_values(struct npy_reader *reader, const char *bytes, size_t count, struct convolve_error *error)
{
    if (count > reader->header.value_bytes - reader->value_count)
        return fail_npy(error, "bytes follow the values of the .npy file: it holds one array and nothing else");
    if (!reader->discard) {
        if (!reserve(reader, count, error))
            return false;
        memcpy(reader->values + reader->value_count, bytes, count);
    }
    reader->value_count += count;
    return true;
}

bool npy_reader_feed(struct npy_reader *reader, const char *bytes, size_t count, struct convolve_error *error)
{
    bool fine = true;
    while (count > 0 && fine) {
        size_t taken = count;
        if (reader->state == NPY_START)
            taken = feed_start(reader, bytes, count, &fine, error);
        else if (reader->state == NPY_HEADER)
            taken = feed_header(reader, bytes, count, &fine, error);
        else
            fine = feed_values(reader, bytes, count, error);
        bytes += taken;
        count -= taken;
    }
    return fine;
}

/* ---- The whole array ---- */

/* Turns the bytes of each number around; a complex one is two. */
#define TURN(bits)                                                                                                     \
    for (size_t i = 0; i < bytes; i += sizeof(uint##bits##_t)) {                                                       \
        uint##bits##_t word;                                                                                           \
        memcpy(&word, values + i, sizeof word);                                                                        \
        word = __builtin_bswap##bits(word);                                                                            \
        memcpy(values + i, &word, sizeof word);                                                                        \
    }

static void turn_bytes(unsigned char *values, size_t bytes, unsigned width)
{
    if (width == 8)
        TURN(64)
    else if (width == 4)
        TURN(32)
    else
        TURN(16)
}

/* Element (row, column) of `columns` strided ones to its place in rows, in tiles that stay in the first cache. `bytes` is a
 * constant wherever this is inlined. */
static inline __attribute__((always_inline)) void transpose(unsigned char *to, const unsigned char *from, size_t rows,
                                                            size_t columns, size_t to_pitch, size_t from_pitch,
                                                            size_t bytes)
{
    for (size_t row0 = 0; row0 < rows; row0 += TILE) {
        const size_t row1 = rows - row0 < TILE ? rows : row0 + TILE;
        for (size_t column0 = 0; column0 < columns; column0 += TILE) {
            const size_t column1 = columns - column0 < TILE ? columns : column0 + TILE;
            for (size_t row = row0; row < row1; row++)
                for (size_t column = column0; column < column1; column++)
                    memcpy(to + (row * to_pitch + column) * bytes, from + (column * from_pitch + row) * bytes, bytes);
        }
    }
}

static void transpose_elements(unsigned char *to, const unsigned char *from, size_t rows, size_t columns,
                               size_t to_pitch, size_t from_pitch, unsigned bytes)
{
    switch (bytes) {
    case 1:
        transpose(to, from, rows, columns, to_pitch, from_pitch, 1);
        break;
    case 2:
        transpose(to, from, rows, columns, to_pitch, from_pitch, 2);
        break;
    case 4:
        transpose(to, from, rows, columns, to_pitch, from_pitch, 4);
        break;
    case 8:
        transpose(to, from, rows, columns, to_pitch, from_pitch, 8);
        break;
    default:
        transpose(to, from, rows, columns, to_pitch, from_pitch, 16);
        break;
    }
}

/* From first axis fastest to last axis fastest. The first and the last axis are a matrix to be transposed, once for each place
 * along those between them. */
static void lay_rows(unsigned char *to, const unsigned char *from, const struct convolve_shape *shape, unsigned bytes)
{
    const unsigned last = shape->rank - 1;
    size_t to_pitch[CONVOLVE_RANK_MAX], from_pitch[CONVOLVE_RANK_MAX], place[CONVOLVE_RANK_MAX] = {0};
    size_t slices = 1, to_at = 0, from_at = 0;
    from_pitch[0] = to_pitch[last] = 1;
    for (unsigned axis = 1; axis <= last; axis++) {
        from_pitch[axis] = from_pitch[axis - 1] * shape->size[axis - 1];
        to_pitch[last - axis] = to_pitch[last - axis + 1] * shape->size[last - axis + 1];
        slices *= axis < last ? shape->size[axis] : 1;
    }
    for (size_t slice = 0; slice < slices; slice++) {
        transpose_elements(to + to_at * bytes, from + from_at * bytes, shape->size[0], shape->size[last], to_pitch[0],
                           from_pitch[last], bytes);
        for (unsigned axis = last; axis-- > 1;) {
            to_at += to_pitch[axis];
            from_at += from_pitch[axis];
            if (++place[axis] < shape->size[axis])
                break;
            to_at -= place[axis] * to_pitch[axis];
            from_at -= place[axis] * from_pitch[axis];
            place[axis] = 0;
        }
    }
}

static bool to_rows(struct npy_reader *reader, struct convolve_error *error)
{
    const struct convolve_shape *shape = &reader->header.shape;
    unsigned long_axes = 0;
    for (unsigned axis = 0; axis < shape->rank; axis++)
        long_axes += shape->size[axis] > 1;
    if (long_axes < 2) /* either order is the same */
        return true;
    unsigned char *rows = arena_block(reader->arena, reader->value_count);
    if (!rows)
        return json_fail_memory(reader->arena, error);
    lay_rows(rows, reader->values, shape, reader->header.typed->bytes);
    arena_block_free(reader->arena, reader->values);
    reader->values = rows;
    reader->capacity = reader->value_count;
    return true;
}

bool npy_reader_end(struct npy_reader *reader, struct convolve_error *error)
{
    const struct npy_header *header = &reader->header;
    if (reader->state != NPY_VALUES)
        return fail_npy(error, reader->start_count == 0 ? "there is no .npy file: no byte has come"
                                                        : "the .npy file is cut within its header");
    if (reader->value_count != header->value_bytes)
        return convolve_fail(error, "malformed-npy", "",
                             "the .npy file is cut: its header announces %zu bytes of values, %zu have come",
                             header->value_bytes, reader->value_count);
    if (reader->discard || reader->value_count == 0 || header->rank > CONVOLVE_RANK_MAX)
        return true;
    if (header->big_endian)
        turn_bytes(reader->values, reader->value_count,
                   header->typed->kind == TYPED_COMPLEX ? header->typed->bytes / 2 : header->typed->bytes);
    return !header->fortran || to_rows(reader, error);
}

/* ---- Writing ---- */

size_t npy_write_header(char out[NPY_HEADER_WRITTEN_MAX], enum convolve_dtype dtype, const struct convolve_shape *shape)
{
    static const char *const codes[CONVOLVE_DTYPE_COUNT] = {
        [CONVOLVE_FLOAT64] = "<f8",     [CONVOLVE_FLOAT32] = "<f4",   [CONVOLVE_INT64] = "<i8",
        [CONVOLVE_COMPLEX128] = "<c16", [CONVOLVE_COMPLEX64] = "<c8",
    };
    enum { PREFIX = START_BYTES + 2, ALIGNMENT = 64 };
    size_t used = PREFIX;
    used += (size_t)snprintf(out + used, NPY_HEADER_WRITTEN_MAX - used,
                             "{'descr': '%s', 'fortran_order': False, 'shape': (", codes[dtype]);
    for (unsigned axis = 0; axis < shape->rank; axis++)
        used += (size_t)snprintf(out + used, NPY_HEADER_WRITTEN_MAX - used, axis ? ", %zu" : "%zu", shape->size[axis]);
    used += (size_t)snprintf(out + used, NPY_HEADER_WRITTEN_MAX - used, shape->rank == 1 ? ",), }" : "), }");
    const size_t whole = (used + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    memset(out + used, ' ', whole - used);
    out[whole - 1] = '\n';
    memcpy(out, "\x93NUMPY\1\0", START_BYTES);
    out[START_BYTES] = (char)((whole - PREFIX) & 0xff);
    out[START_BYTES + 1] = (char)((whole - PREFIX) >> 8);
    return whole;
}
