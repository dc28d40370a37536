/* SPDX-License-Identifier: MIT */
/* Numbers on the wire, one thread: nanoseconds for each number, ours under every instruction set the machine has and others', and
 * how many times longer than our fastest these take. Medians of runs that take turns. wire_bench [SIDE]: SIDE x SIDE values. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/convolve.h"
#include "server/arena.h"
#include "server/formats/json_read.h"
#include "server/formats/json_tensor.h"
#include "server/formats/number_write.h"
#include "tests/bench/wire_peers.h"

/* Absent where there is no C++ compiler. */
#pragma weak wire_peers

enum { ROUNDS = 21, CONTESTANTS_MAX = 16, CHUNK_BYTES = 32768, TEXT_BYTES = 40 };

static const char *const instruction_sets[] = {"avx512", "avx2", "neon", "scalar"};

static size_t side = 1024, count;
static double *values_f64, *read_f64;
static float *values_f32;
static char *text;
static size_t text_bytes;

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static double random_unit(void)
{
    return (double)(random_bits() >> 11) * 0x1p-53;
}

/* ---- Kinds of numbers ----------------------------------------------------------------------------------------- */

static double make_pixel(void)
{
    return (double)(random_bits() % 256);
}

static double make_small(void)
{
    return (double)(random_bits() % 19) - 9;
}

static double make_integer(void)
{
    return (double)(random_bits() % 1000000);
}

static double make_six_decimals(void)
{
    return (double)(random_bits() % 1000000) / 1000000;
}

static double make_scientific(void)
{
    return (double)(1000 + random_bits() % 9000) / 1000 * pow(10, -(double)(random_bits() % 20 + 1));
}

/* ---- Contestants ---------------------------------------------------------------------------------------------- */

struct contestant {
    char name[32];
    const char *instruction_set; /* of ours */
    const struct wire_peer *peer;
    bool chunks;
    double nanoseconds[ROUNDS], median;
    size_t bytes; /* written */
};

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static size_t write_ours(bool single)
{
    const struct convolve_shape shape = {2, {side, side}};
    const void *const values = single ? (const void *)values_f32 : values_f64;
    return (size_t)(number_write_nested(text, single ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64, values, &shape, 0, count) -
                    text);
}

static void fail(const char *what)
{
    fprintf(stderr, "wire_bench: %s\n", what);
    exit(1);
}

/* A whole request, its one tensor in `text`; the values are compared with what the text was made of. */
static double read_ours(const struct contestant *contestant)
{
    static const struct json_schema_member members[] = {{"input", true}};
    static const struct json_schema schema = {members, 1};
    struct memory_budget budget = {0, SIZE_MAX / 2};
    struct convolve_error error = {0};
    struct arena arena;
    void *values = NULL;
    arena_init(&arena, &budget);
    const double began = now_ns();
    struct json_decoder *const decoder = json_decoder_create(&arena, &schema);
    const size_t chunk = contestant->chunks ? CHUNK_BYTES : text_bytes;
    bool fine = decoder != NULL && json_decoder_feed(decoder, "{\"input\":", 9, &error);
    for (size_t at = 0; fine && at < text_bytes; at += chunk)
        fine = json_decoder_feed(decoder, text + at, text_bytes - at < chunk ? text_bytes - at : chunk, &error);
    fine = fine && json_decoder_feed(decoder, "}", 1, &error);
    struct json_body *const body = fine ? json_decoder_finish(decoder, &error) : NULL;
    struct convolve_shape shape;
    bool shape_only;
    const struct json_value *const value = body == NULL ? NULL : json_member(body, "input");
    fine = value != NULL && json_tensor_shape(value, "/input", false, &shape_only, &shape, &error) &&
           json_tensor_values(value, "/input", CONVOLVE_FLOAT64, false, &arena, &values, &error);
    const double ended = now_ns();
    if (!fine || memcmp(values, values_f64, count * sizeof *values_f64) != 0)
        fail(error.detail[0] ? error.detail : "read other values");
    arena_release(&arena);
    return ended - began;
}

static double run_write(struct contestant *contestant, bool single)
{
    if (contestant->peer == NULL)
        convolve_simd_select(contestant->instruction_set);
    const double began = now_ns();
    if (contestant->peer == NULL)
        contestant->bytes = write_ours(single);
    else if (single)
        contestant->bytes = contestant->peer->write_f32(text, values_f32, count);
    else
        contestant->bytes = contestant->peer->write_f64(text, values_f64, count);
    return now_ns() - began;
}

static double run_read(struct contestant *contestant)
{
    if (contestant->peer == NULL) {
        convolve_simd_select(contestant->instruction_set);
        return read_ours(contestant);
    }
    const double began = now_ns();
    const size_t found = contestant->peer->read_f64(read_f64, text, text_bytes);
    const double ended = now_ns();
    if (found != count)
        fail("a peer read another number of values");
    return ended - began;
}

/* ---- Tables --------------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t add_peer(struct contestant *list, size_t listed, const struct wire_peer *peer, bool reading, bool single)
{
    if (reading ? peer->read_f64 == NULL : single ? peer->write_f32 == NULL : peer->write_f64 == NULL)
        return listed;
    list[listed] = (struct contestant){.peer = peer};
    snprintf(list[listed].name, sizeof list->name, "%s", peer->name);
    return listed + 1;
}

static size_t list_contestants(struct contestant *list, bool reading, bool single)
{
    size_t listed = 0;
    for (size_t i = 0; i < sizeof instruction_sets / sizeof *instruction_sets; i++) {
        if (!convolve_simd_select(instruction_sets[i]))
            continue;
        for (int chunks = 0; chunks <= reading; chunks++) {
            list[listed] = (struct contestant){.instruction_set = instruction_sets[i], .chunks = chunks};
            snprintf(list[listed++].name, sizeof list->name, "%s%s", instruction_sets[i], chunks ? " 32K" : "");
        }
    }
    for (const struct wire_peer *peer = wire_peers; peer != NULL && peer->name != NULL; peer++)
        listed = add_peer(list, listed, peer, reading, single);
    return add_peer(list, listed, &wire_peer_cjson, reading, single);
}

static void run_table(const char *name, bool reading, bool single)
{
    static struct contestant list[CONTESTANTS_MAX];
    const size_t listed = list_contestants(list, reading, single);
    for (unsigned round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < listed; i++) {
            /* cJSON takes so long that a few runs must do. */
            if (list[i].peer == &wire_peer_cjson && round >= 3)
                list[i].nanoseconds[round] = list[i].nanoseconds[round % 3];
            else
                list[i].nanoseconds[round] = reading ? run_read(&list[i]) : run_write(&list[i], single);
        }
    printf("%s%s", reading ? "read " : "write ", name);
    for (size_t i = 0; i < listed; i++) {
        qsort(list[i].nanoseconds, ROUNDS, sizeof(double), compare_doubles);
        list[i].median = list[i].nanoseconds[ROUNDS / 2] / (double)count;
        printf("%s %s %.2f ns", i ? "," : ":", list[i].name, list[i].median);
        if (list[i].peer != NULL)
            printf(" (%.2f times)", list[i].median / list[0].median);
        if (!reading && (i == 0 || list[i].peer != NULL))
            printf(" %.2f bytes", (double)list[i].bytes / (double)count);
    }
    printf("\n");
    fflush(stdout);
    convolve_simd_select("auto");
}

static void make_values(double (*make)(void), bool single)
{
    for (size_t i = 0; i < count; i++) {
        const double value = make();
        values_f32[i] = (float)value;
        values_f64[i] = single ? (double)values_f32[i] : value;
    }
}

/* The array as the shortest text, flat; of float32 in the shortest of that type, which reads as other doubles. */
static void make_text(bool single)
{
    char *const end = number_write_flat(text, single ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64,
                                        single ? (const void *)values_f32 : values_f64, 1, count, 0, count);
    text_bytes = (size_t)(end - text);
    memset(end, 0, 64);
    for (size_t i = 0; single && i < count; i++) {
        char number[NUMBER_BYTES_MAX + 1];
        *number_write_float32(number, values_f32[i]) = 0;
        values_f64[i] = strtod(number, NULL);
    }
}

/* d.ddde-dd, which is not how we would write it. */
static void make_scientific_text(void)
{
    char *out = text;
    for (size_t i = 0; i < count; i++) {
        out += snprintf(out, TEXT_BYTES, "%c%.3e", i == 0 ? '[' : ',', values_f64[i]);
        values_f64[i] = strtod(out - 9, NULL);
    }
    *out++ = ']';
    text_bytes = (size_t)(out - text);
    memset(out, 0, 64);
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 1)
        side = (size_t)atol(arguments[1]);
    count = side * side;
    values_f64 = malloc(count * sizeof *values_f64);
    read_f64 = malloc(count * sizeof *read_f64);
    values_f32 = malloc(count * sizeof *values_f32);
    text = malloc(count * TEXT_BYTES + 128);
    if (values_f64 == NULL || read_f64 == NULL || values_f32 == NULL || text == NULL || count == 0)
        fail("no memory");

    static const struct {
        const char *name;
        double (*make)(void);
        bool single;
    } written[] =
        {
            {"float32", random_unit, true},
            {"float64", random_unit, false},
            {"integers to 10^6", make_integer, false},
            {"pixels in float32", make_pixel, true},
            {"six decimals", make_six_decimals, false},
        },
      parsed[] = {
          {"pixels", make_pixel, false},  {"-9 to 9", make_small, false},  {"six decimals", make_six_decimals, false},
          {"float32", random_unit, true}, {"float64", random_unit, false},
      };
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        make_values(written[i].make, written[i].single);
        run_table(written[i].name, false, written[i].single);
    }
    for (size_t i = 0; i < sizeof parsed / sizeof *parsed; i++) {
        make_values(parsed[i].make, parsed[i].single);
        make_text(parsed[i].single);
        run_table(parsed[i].name, true, false);
    }
    make_values(make_scientific, false);
    make_scientific_text();
    run_table("d.ddde-dd", true, false);
    free(values_f64);
    free(read_f64);
    free(values_f32);
    free(text);
    return 0;
}
