/* SPDX-License-Identifier: MIT */
/* Numbers on the wire, one thread: the rows of a table, ours under every instruction set that the machine has beside others.
 * Columns: nanoseconds for each number (for each request in the last table), how many times longer the faster of simdjson's two
 * interfaces takes (std::to_chars where numbers are written), then cJSON, each with its goal where there is one; for reading, what
 * a request holds at most beside its tensor; for writing, bytes of text. Medians of runs that take turns; a thread's own time.
 *
 * wire_bench [SIDE [WORD]]: SIDE x SIDE values (1024), only rows with WORD in their names. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/convolve.h"
#include "server/arena.h"
#include "server/formats/json_read.h"
#include "server/formats/json_tensor.h"
#include "server/formats/number_write.h"
#include "tests/bench/thread_time.h"
#include "tests/bench/wire_peers.h"

/* Absent where there is no C++ compiler. */
#pragma weak wire_peers

enum { ROUNDS = 21, CONTESTANTS_MAX = 16, CHUNK_BYTES = 32768, TEXT_BYTES = 40, REQUESTS = 1000, REQUEST_NUMBERS = 45 };

static const char *const instruction_sets[] = {"avx512", "avx2", "neon", "scalar"}; /* the best first */

static size_t side = 1024, count;
static double *values_f64, *read_f64;
static float *values_f32;
static char *text;
static size_t text_bytes;
static const char *word = ""; /* of the rows that are wanted */

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

enum kind { READ, WRITE_F64, WRITE_F32, REQUEST };

struct contestant {
    char name[32];
    const char *instruction_set; /* of ours */
    const struct wire_peer *peer;
    bool chunks;
    double nanoseconds[ROUNDS], median;
    double bytes; /* written, or held beside the tensor */
};

static void fail(const char *what)
{
    fprintf(stderr, "wire_bench: %s\n", what);
    exit(1);
}

static double write_ours(bool single)
{
    const struct convolve_shape shape = {2, {side, side}};
    const void *const values = single ? (const void *)values_f32 : values_f64;
    return (double)(number_write_nested(text, single ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64, values, &shape, 0, count) -
                    text);
}

/* What the arena holds, while a tensor arrives. */
static void note_held(double *held, const struct memory_budget *budget)
{
    const double now = (double)budget->used - (double)count * sizeof(double);
    *held = now > *held ? now : *held;
}

/* A whole request, its one tensor in `text`; the values are compared with what the text was made of. */
static double read_ours(struct contestant *contestant)
{
    static const struct json_schema_member members[] = {{"input", true}};
    static const struct json_schema schema = {members, 1, "{\"input\": [1]}"};
    struct memory_budget budget = {0, SIZE_MAX / 2};
    struct convolve_error error = {0};
    struct arena arena;
    void *values = NULL;
    arena_init(&arena, &budget);
    const double began = thread_seconds();
    struct json_decoder *const decoder = json_decoder_create(&arena, &schema);
    const size_t chunk = contestant->chunks ? CHUNK_BYTES : text_bytes;
    if (decoder == NULL)
        fail("no memory");
    json_decoder_expect(decoder, text_bytes + 10);
    bool fine = json_decoder_feed(decoder, "{\"input\":", 9, &error);
    for (size_t at = 0; fine && at < text_bytes; at += chunk) {
        fine = json_decoder_feed(decoder, text + at, text_bytes - at < chunk ? text_bytes - at : chunk, &error);
        note_held(&contestant->bytes, &budget);
    }
    fine = fine && json_decoder_feed(decoder, "}", 1, &error);
    struct json_body *const body = fine ? json_decoder_finish(decoder, &error) : NULL;
    struct convolve_shape shape;
    bool shape_only;
    const struct json_value *const value = body == NULL ? NULL : json_member(body, "input");
    fine = value != NULL && json_tensor_shape(value, "/input", false, &shape_only, &shape, &error) &&
           json_tensor_values(value, "/input", CONVOLVE_FLOAT64, false, &arena, &values, &error);
    const double ended = thread_seconds();
    if (!fine || memcmp(values, values_f64, count * sizeof *values_f64) != 0)
        fail(error.detail[0] ? error.detail : "read other values");
    arena_release(&arena);
    return ended - began;
}

/* The tiny request in `text`, many times. */
static double request_ours(void)
{
    static const struct json_schema_member members[] = {{"input", true}, {"kernel", true}};
    static const struct json_schema schema = {members, 2, "{\"input\": [1], \"kernel\": [1]}"};
    static const char *const pointers[] = {"/input", "/kernel"};
    struct memory_budget budget = {0, SIZE_MAX / 2};
    struct convolve_error error = {0};
    const double began = thread_seconds();
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct arena arena;
        arena_init(&arena, &budget);
        struct json_decoder *const decoder = json_decoder_create(&arena, &schema);
        struct json_body *const body = decoder != NULL && json_decoder_feed_whole(decoder, text, text_bytes, &error)
                                           ? json_decoder_finish(decoder, &error)
                                           : NULL;
        for (unsigned m = 0; m < 2; m++) {
            struct convolve_shape shape;
            bool shape_only;
            void *values;
            const struct json_value *const value = body == NULL ? NULL : json_member(body, pointers[m] + 1);
            if (value == NULL || !json_tensor_shape(value, pointers[m], false, &shape_only, &shape, &error) ||
                !json_tensor_values(value, pointers[m], CONVOLVE_FLOAT64, false, &arena, &values, &error))
                fail(error.detail);
        }
        arena_release(&arena);
    }
    return (thread_seconds() - began) / REQUESTS;
}

static double run_ours(struct contestant *contestant, enum kind kind)
{
    convolve_simd_select(contestant->instruction_set);
    if (kind == READ)
        return read_ours(contestant);
    if (kind == REQUEST)
        return request_ours();
    const double began = thread_seconds();
    contestant->bytes = write_ours(kind == WRITE_F32);
    return thread_seconds() - began;
}

static double run_peer(struct contestant *contestant, enum kind kind)
{
    const struct wire_peer *const peer = contestant->peer;
    const unsigned runs = kind == REQUEST ? REQUESTS : 1;
    const double began = thread_seconds();
    size_t found = count;
    switch (kind) {
    case READ:
        found = peer->read_f64(read_f64, text, text_bytes);
        break;
    case REQUEST:
        for (unsigned i = 0; i < runs; i++)
            found = peer->read_request(read_f64, text, text_bytes) == REQUEST_NUMBERS ? found : 0;
        break;
    case WRITE_F64:
        contestant->bytes = (double)peer->write_f64(text, values_f64, count);
        break;
    case WRITE_F32:
        contestant->bytes = (double)peer->write_f32(text, values_f32, count);
        break;
    }
    const double ended = thread_seconds();
    if (found != count)
        fail("a peer read another number of values");
    return (ended - began) / runs;
}

/* ---- Tables --------------------------------------------------------------------------------------------------- */

/* Ratios that are to be reached, peer / ours; 0: none. */
struct goal {
    double peer, cjson;
};

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool takes_part(const struct wire_peer *peer, enum kind kind)
{
    switch (kind) {
    case READ:
        return peer->read_f64 != NULL;
    case REQUEST:
        return peer->read_request != NULL;
    case WRITE_F32:
        return peer->write_f32 != NULL;
    default:
        return peer->write_f64 != NULL;
    }
}

static size_t add_peer(struct contestant *list, size_t listed, const struct wire_peer *peer, enum kind kind)
{
    if (!takes_part(peer, kind))
        return listed;
    list[listed] = (struct contestant){.peer = peer};
    snprintf(list[listed].name, sizeof list->name, "%s", peer->name);
    return listed + 1;
}

static size_t list_contestants(struct contestant *list, enum kind kind)
{
    size_t listed = 0;
    for (size_t i = 0; i < sizeof instruction_sets / sizeof *instruction_sets; i++) {
        if (!convolve_simd_select(instruction_sets[i]))
            continue;
        const bool first = listed == 0;
        for (int chunks = 0; chunks <= (kind == READ); chunks++) {
            list[listed] = (struct contestant){.instruction_set = instruction_sets[i], .chunks = chunks};
            snprintf(list[listed++].name, sizeof list->name, "%s%s%s", instruction_sets[i], first ? " (auto)" : "",
                     chunks ? ", 32 KiB" : "");
        }
    }
    for (const struct wire_peer *peer = wire_peers; peer != NULL && peer->name != NULL; peer++)
        listed = add_peer(list, listed, peer, kind);
    return add_peer(list, listed, &wire_peer_cjson, kind);
}

/* AVX2 alone is to reach half of a goal; scalar to read as fast as simdjson. */
static double goal_of(const struct contestant *contestant, double goal, bool reading)
{
    if (strcmp(contestant->instruction_set, "avx512") == 0)
        return goal;
    if (strcmp(contestant->instruction_set, "avx2") == 0)
        return goal / 2;
    return reading && goal != 0 ? 1 : 0;
}

static void print_ratio(double ours, double theirs, double goal)
{
    char wanted[16] = "";
    if (goal != 0)
        snprintf(wanted, sizeof wanted, "(%.4g)", goal);
    if (theirs == 0)
        printf("%17s", "");
    else
        printf(" %8.2f %-7s", theirs / ours, wanted);
}

static void print_table(const char *name, const struct contestant *list, size_t listed, enum kind kind,
                        struct goal goal)
{
    const bool reading = kind == READ || kind == REQUEST;
    const char *const wanted = reading ? "simdjson" : "charconv";
    double peer = 0, cjson = 0;
    for (size_t i = 0; i < listed; i++) {
        if (list[i].peer == &wire_peer_cjson)
            cjson = list[i].median;
        else if (list[i].peer != NULL && strncmp(list[i].name, wanted, strlen(wanted)) == 0)
            peer = peer == 0 || list[i].median < peer ? list[i].median : peer;
    }
    printf("%-34s %9s %8s %-7s %8s %-7s%s\n", name, "ns", wanted, "(goal)", "cJSON", "(goal)",
           kind == READ      ? " bytes beside the tensor"
           : kind == REQUEST ? ""
                             : " bytes");
    for (size_t i = 0; i < listed; i++) {
        printf("  %-32s %9.2f", list[i].name, list[i].median);
        if (list[i].peer == NULL) {
            print_ratio(list[i].median, peer, goal_of(&list[i], goal.peer, reading));
            print_ratio(list[i].median, cjson, goal_of(&list[i], goal.cjson, false));
        } else {
            printf("%34s", "");
        }
        if (kind != REQUEST && (kind != READ || list[i].peer == NULL))
            printf(" %6.2f", list[i].bytes / (double)count);
        printf("\n");
    }
    fflush(stdout);
}

static void run_table(const char *name, enum kind kind, struct goal goal)
{
    static struct contestant list[CONTESTANTS_MAX];
    const size_t listed = list_contestants(list, kind);
    for (unsigned round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < listed; i++) {
            /* cJSON takes so long that a few runs must do. */
            if (list[i].peer == &wire_peer_cjson && round >= 3)
                list[i].nanoseconds[round] = list[i].nanoseconds[round % 3];
            else
                list[i].nanoseconds[round] =
                    1e9 * (list[i].peer == NULL ? run_ours(&list[i], kind) : run_peer(&list[i], kind));
        }
    for (size_t i = 0; i < listed; i++) {
        qsort(list[i].nanoseconds, ROUNDS, sizeof(double), compare_doubles);
        list[i].median = list[i].nanoseconds[ROUNDS / 2] / (kind == REQUEST ? 1 : (double)count);
    }
    print_table(name, list, listed, kind, goal);
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

static void end_text(char *end)
{
    text_bytes = (size_t)(end - text);
    memset(end, 0, 64);
}

/* The array as the shortest text, flat; of float32 in the shortest of that type, which reads as other doubles. */
static void make_text(bool single)
{
    end_text(number_write_flat(text, single ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64,
                               single ? (const void *)values_f32 : values_f64, 1, count, 0, count));
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
    end_text(out);
}

static void make_request_text(void)
{
    const struct convolve_shape input = {2, {6, 6}}, kernel = {2, {3, 3}};
    char *out = stpcpy(text, "{\"input\": ");
    for (size_t i = 0; i < REQUEST_NUMBERS; i++)
        values_f64[i] = (double)(random_bits() % 256);
    out = number_write_nested(out, CONVOLVE_FLOAT64, values_f64, &input, 0, 36);
    out = stpcpy(out, ", \"kernel\": ");
    out = number_write_nested(out, CONVOLVE_FLOAT64, values_f64 + 36, &kernel, 0, 9);
    end_text(stpcpy(out, "}"));
}

static bool is_wanted(const char *name)
{
    return strstr(name, word) != NULL;
}

int main(int argument_count, char **arguments)
{
    static const struct {
        const char *name;
        enum kind kind;
        double (*make)(void);
        bool single; /* the text that is read is the shortest of float32 */
        struct goal goal;
    } rows[] = {
        {"write float32", WRITE_F32, random_unit, true, {5, 60}},
        {"write float64", WRITE_F64, random_unit, false, {4, 60}},
        {"write integers to 10^6", WRITE_F64, make_integer, false, {8, 60}},
        {"write pixels in float32", WRITE_F32, make_pixel, true, {8, 60}},
        {"write six decimals", WRITE_F64, make_six_decimals, false, {4, 60}},
        {"read pixels", READ, make_pixel, false, {6, 25}},
        {"read -9 to 9", READ, make_small, false, {6, 25}},
        {"read six decimals", READ, make_six_decimals, false, {2.5, 25}},
        {"read float32", READ, random_unit, true, {3, 25}},
        {"read float64", READ, random_unit, false, {2, 25}},
    };
    side = argument_count > 1 ? (size_t)atol(arguments[1]) : side;
    word = argument_count > 2 ? arguments[2] : word;
    count = side * side;
    values_f64 = malloc((count + REQUEST_NUMBERS) * sizeof *values_f64);
    read_f64 = malloc((count + REQUEST_NUMBERS) * sizeof *read_f64);
    values_f32 = malloc(count * sizeof *values_f32);
    text = malloc((count + REQUEST_NUMBERS) * TEXT_BYTES + 128);
    if (values_f64 == NULL || read_f64 == NULL || values_f32 == NULL || text == NULL || count == 0)
        fail("no memory");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!is_wanted(rows[i].name))
            continue;
        make_values(rows[i].make, rows[i].single);
        if (rows[i].kind == READ)
            make_text(rows[i].single);
        run_table(rows[i].name, rows[i].kind, rows[i].goal);
    }
    if (is_wanted("read d.ddde-dd")) {
        make_values(make_scientific, false);
        make_scientific_text();
        run_table("read d.ddde-dd", READ, (struct goal){1, 25});
    }
    if (is_wanted("read a whole 6x6, 3x3 request")) {
        make_request_text();
        run_table("read a whole 6x6, 3x3 request", REQUEST, (struct goal){0, 0});
    }
    free(values_f64);
    free(read_f64);
    free(values_f32);
    free(text);
    return 0;
}
