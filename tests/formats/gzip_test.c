/* SPDX-License-Identifier: MIT */
/* gzip: what zlib packs is unpacked however it is cut, in one member or several; what is cut, altered or followed by anything is
 * refused; memory stays bounded; and what is packed here in pieces zlib unpacks as one member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "server/formats/gzip.h"

struct sink {
    char *bytes;
    size_t count, room; /* `room`: where it stops the reader */
};

static bool take(void *context, const char *bytes, size_t count)
{
    struct sink *sink = context;
    if (count > sink->room - sink->count)
        return false;
    if (sink->bytes)
        memcpy(sink->bytes + sink->count, bytes, count);
    sink->count += count;
    return true;
}

/* One member by zlib itself; returns its length. */
static size_t pack_by_zlib(char *out, size_t room, const char *text, size_t count)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (unsigned char *)(uintptr_t)text;
    stream.avail_in = (unsigned)count;
    stream.next_out = (unsigned char *)out;
    stream.avail_out = (unsigned)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    const size_t packed = room - stream.avail_out;
    deflateEnd(&stream);
    return packed;
}

/* Whether the body unpacks to `text`, fed in pieces that end at the two cuts; -1 where it is refused. */
static int unpack_cut(const char *body, size_t count, size_t first, size_t second, const char *text, size_t text_bytes)
{
    const size_t cuts[] = {0, first, second, count};
    struct memory_budget budget = {.limit = 1 << 20};
    struct arena arena;
    struct convolve_error error = {.slug = NULL};
    enum { ROOM = 64 << 10 }; /* more than an altered body can hold */
    struct sink sink = {.bytes = malloc(ROOM), .room = ROOM};
    arena_init(&arena, &budget);
    struct gzip_reader *reader = gzip_reader_create(&arena, take, &sink);
    assert_non_null(reader);
    bool fine = true;
    for (unsigned i = 0; fine && i < 3; i++) {
        char *copy = malloc(cuts[i + 1] - cuts[i] + 1);
        memcpy(copy, body + cuts[i], cuts[i + 1] - cuts[i]);
        fine = gzip_reader_feed(reader, copy, cuts[i + 1] - cuts[i], &error);
        free(copy);
    }
    fine = fine && gzip_reader_end(reader, &error);
    const int same = !fine ? -1 : sink.count == text_bytes && memcmp(sink.bytes, text, text_bytes) == 0;
    if (!fine)
        assert_string_equal(error.slug, "malformed-encoding");
    arena_release(&arena);
    assert_int_equal(budget.used, 0);
    free(sink.bytes);
    return same;
}

static const char sample[] = "{\"input\": [1, 2, 3, 1, 2, 3, 1, 2, 3], \"kernel\": [1]}";

static void members_in_every_cut(void **state)
{
    (void)state;
    const size_t text_bytes = strlen(sample);
    for (size_t members = 1; members <= 3; members++) {
        char body[1024];
        size_t count = 0;
        for (size_t i = 0; i < members; i++) {
            const size_t begin = text_bytes * i / members, end = text_bytes * (i + 1) / members;
            count += pack_by_zlib(body + count, sizeof body - count, sample + begin, end - begin);
        }
        for (size_t first = 0; first <= count; first++)
            for (size_t second = first; second <= count; second++)
                assert_int_equal(unpack_cut(body, count, first, second, sample, text_bytes), 1);
        /* Every truncation is refused, but where it ends with a member. */
        for (size_t cut = 0; cut < count; cut++)
            assert_int_not_equal(unpack_cut(body, cut, cut / 3, cut / 2, sample, text_bytes), 1);
    }
}

static void altered_bytes(void **state)
{
    (void)state;
    char body[256];
    const size_t text_bytes = strlen(sample), count = pack_by_zlib(body, sizeof body - 8, sample, text_bytes);
    for (size_t at = 0; at < count; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            body[at] ^= (char)(1 << bit);
            const int found = unpack_cut(body, count, at, at + 1, sample, text_bytes);
            /* Flags but the one that calls it text, time, effort and system: bytes 3 to 9. Check sum and length: the last 8. */
            if (at < 3 || at + 8 >= count || (at == 3 && bit > 0))
                assert_int_equal(found, -1);
            else if (at < 10)
                assert_int_equal(found, 1);
            else
                assert_int_not_equal(found, 0); /* other codes may stand for the same text */
            body[at] ^= (char)(1 << bit);
        }
    static const char *const behind[] = {"\n", "x", "\x1f", "\x1f\x8b", "gzip?"};
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
        memcpy(body + count, behind[i], strlen(behind[i]));
        assert_int_equal(unpack_cut(body, count + strlen(behind[i]), count, count, sample, text_bytes), -1);
    }
    body[count] = 0;
    assert_int_equal(unpack_cut(body, count + 1, 5, count, sample, text_bytes), -1);
    assert_int_equal(unpack_cut("", 0, 0, 0, "", 0), -1);
    assert_int_equal(unpack_cut(sample, text_bytes, 1, 2, sample, text_bytes), -1);
}

/* A body that unpacks to much more is stopped where the sink says, and holds little memory before. */
static void bombs(void **state)
{
    (void)state;
    enum { BYTES = 64 << 20, ALLOWED = 1 << 20 };
    char *zeros = calloc(1, BYTES), *packed = malloc(1 << 20);
    const size_t count = pack_by_zlib(packed, 1 << 20, zeros, BYTES);
    struct memory_budget budget = {.limit = 256 << 10};
    struct arena arena;
    struct convolve_error error = {.slug = NULL};
    struct sink sink = {.room = ALLOWED};
    arena_init(&arena, &budget);
    struct gzip_reader *reader = gzip_reader_create(&arena, take, &sink);
    assert_non_null(reader);
    assert_false(gzip_reader_feed(reader, packed, count, &error));
    assert_null(error.slug);
    assert_int_equal(sink.count, ALLOWED);
    arena_release(&arena);
    assert_int_equal(budget.used, 0);
    free(zeros);
    free(packed);
}

static void without_memory(void **state)
{
    (void)state;
    char body[256];
    const size_t count = pack_by_zlib(body, sizeof body, sample, strlen(sample));
    unsigned refused = 0;
    for (size_t limit = 0; limit < 256 << 10; limit += 4 << 10) {
        struct memory_budget budget = {.limit = limit};
        struct arena arena;
        struct convolve_error error = {.slug = NULL};
        struct sink sink = {.room = 1 << 10};
        arena_init(&arena, &budget);
        struct gzip_reader *reader = gzip_reader_create(&arena, take, &sink);
        if (!reader || !gzip_reader_feed(reader, body, count, &error)) {
            refused++;
            if (reader)
                assert_string_equal(error.slug, "too-large");
        }
        arena_release(&arena);
        assert_int_equal(budget.used, 0);
    }
    assert_true(refused > 0 && refused < 64);
}

/* Packs `text` in pieces of `piece` bytes and lets zlib unpack them. */
static void check_packing(const char *text, size_t count, size_t piece)
{
    const size_t pieces = count / piece + 1;
    struct gzip_piece *list = malloc(pieces * sizeof *list);
    char *packed = malloc(GZIP_HEADER_BYTES + pieces * gzip_pack_bound(piece) + GZIP_TRAILER_BYTES);
    char *unpacked = malloc(count + 1);
    char *at = mempcpy(packed, gzip_header, GZIP_HEADER_BYTES);
    for (size_t i = 0; i < pieces; i++) {
        const size_t begin = i * piece, bytes = count - begin < piece ? count - begin : piece;
        char *out = malloc(gzip_pack_bound(bytes));
        const size_t made = gzip_pack(out, text + begin, bytes, &list[i]);
        assert_true(made <= gzip_pack_bound(bytes));
        at = mempcpy(at, out, made);
        free(out);
    }
    gzip_pack_end(at, list, pieces);
    at += GZIP_TRAILER_BYTES;

    z_stream stream = {.next_in = (unsigned char *)packed,
                       .avail_in = (unsigned)(at - packed),
                       .next_out = (unsigned char *)unpacked,
                       .avail_out = (unsigned)count + 1};
    assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(stream.total_out, count);
    assert_memory_equal(unpacked, text, count);
    inflateEnd(&stream);
    free(list);
    free(packed);
    free(unpacked);
}

static void packing_in_pieces(void **state)
{
    (void)state;
    enum { BYTES = 300000 };
    char *texts[3];
    uint64_t random = 1;
    for (unsigned kind = 0; kind < 3; kind++) {
        texts[kind] = malloc(BYTES);
        for (size_t i = 0; i < BYTES; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            texts[kind][i] = (char)(kind == 0 ? 'a' : kind == 1 ? '0' + (random >> 33) % 10 : random >> 33);
        }
        static const size_t pieces[] = {1000, 65535, 65536, 100000, BYTES, BYTES + 1};
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
            check_packing(texts[kind], BYTES, pieces[i]);
        for (size_t count = 0; count < 40; count++)
            check_packing(texts[kind], count, 7);
        free(texts[kind]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_in_every_cut), cmocka_unit_test(altered_bytes),     cmocka_unit_test(bombs),
        cmocka_unit_test(without_memory),       cmocka_unit_test(packing_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
