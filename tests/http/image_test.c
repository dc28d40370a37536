/* SPDX-License-Identifier: MIT */
/* /v1/image: what OpenCV made of the same pictures; every colour type; what comes back for each Accept; members, forms, packed and
 * chunked bodies, plans. Faults are in image_faults_test.c. */
#include "tests/http/picture.h"

#include <math.h>

/* ---- What OpenCV has ---- */

struct golden {
    unsigned width, height, channels, bits;
    char query[256];
    size_t samples_count, values_count;
    uint16_t samples[2048];
    double values[2048];
    bool has_rounded;
    uint16_t rounded[2048];
};

static bool golden_next(FILE *file, struct golden *row)
{
    if (fscanf(file, "%u %u %u %u %255s", &row->width, &row->height, &row->channels, &row->bits, row->query) != 5)
        return false;
    const size_t cells = (size_t)row->width * row->height;
    row->samples_count = cells * row->channels;
    row->values_count = cells * (row->channels == 1 ? 1 : 3);
    for (size_t i = 0; i < row->samples_count; i++)
        assert_int_equal(fscanf(file, "%hu", &row->samples[i]), 1);
    for (size_t i = 0; i < row->values_count; i++)
        assert_int_equal(fscanf(file, "%lf", &row->values[i]), 1);
    int next;
    do
        next = getc(file);
    while (next == '\n');
    row->has_rounded = next != '-';
    ungetc(row->has_rounded ? next : ' ', file);
    for (size_t i = 0; row->has_rounded && i < row->values_count; i++)
        assert_int_equal(fscanf(file, "%hu", &row->rounded[i]), 1);
    return true;
}

static uint16_t sample_at(const void *samples, unsigned bits, size_t index)
{
    return bits == 8 ? ((const uint8_t *)samples)[index] : ((const uint16_t *)samples)[index];
}

static struct bytes golden_file(const struct golden *row)
{
    unsigned char *eights = (unsigned char *)text_room(row->samples_count + 1);
    for (size_t i = 0; i < row->samples_count; i++)
        eights[i] = (unsigned char)row->samples[i];
    return picture_of_samples(row->width, row->height, row->channels, row->bits,
                              row->bits == 8 ? (const void *)eights : row->samples);
}

static void check_golden(const struct golden *row)
{
    const char *name =
        textf("%u x %u x %u, %u bits, %s", row->width, row->height, row->channels, row->bits, row->query);
    const char *query = textf("?%s", row->query);
    const char *shape = row->channels == 1 ? textf("(%u, %u)", row->height, row->width)
                                           : textf("(%u, %u, %u)", row->height, row->width, row->channels);
    const unsigned colours = row->channels == 1 ? 1 : 3;
    const struct bytes file = golden_file(row);
    struct answer exact = picture_post(daemon_child, query, file, "application/x-npy"),
                  rounded = picture_post(daemon_child, query, file, NULL);
    size_t count;
    const double *values = npy_values(name, &exact, "<f8", shape, &count);
    const struct picture_back back = picture_back(name, &rounded, "image/png");
    if (!values || !back.samples)
        return;
    check_number(name, "bytes of values", (long long)count, (long long)(8 * row->samples_count));
    check_number(name, "channels", back.channels, row->channels);
    check_number(name, "bits", back.depth, row->bits);
    const char *told = header_of(&exact, "Convolved-Error-Bound");
    const double bound = told ? atof(told) : -1;
    const double theirs = 1e-14 * (row->bits == 8 ? 255 : 65535) * 64; /* their own rounding */
    if (!(bound >= 0 && bound < 1e-8))
        complain(name, "error bound %s", told);
    for (size_t i = 0; i < row->samples_count; i++) {
        const size_t cell = i / row->channels, channel = i % row->channels;
        const uint16_t found = sample_at(back.samples, row->bits, i);
        if (channel == 3) {
            if (values[i] != row->samples[i] || found != row->samples[i])
                complain(name, "alpha %zu: %g and %u, was %u", i, values[i], found, row->samples[i]);
            continue;
        }
        const size_t at = cell * colours + channel;
        const double most = row->bits == 8 ? 255 : 65535, within = fmin(fmax(rint(values[i]), 0), most);
        if (!(fabs(values[i] - row->values[at]) <= bound + (bound > 0 ? theirs : 0)))
            complain(name, "value %zu is %.17g, OpenCV's %.17g", i, values[i], row->values[at]);
        if (found != within || (row->has_rounded && found != row->rounded[at]))
            complain(name, "sample %zu is %u, of %.17g, OpenCV's %u", i, found, values[i], row->rounded[at]);
    }
}

static void as_opencv_has_it(void **state)
{
    (void)state;
    FILE *file = fopen("tests/golden/image.txt", "r");
    static struct golden row;
    unsigned count = 0;
    assert_non_null(file);
    for (; golden_next(file, &row); count++)
        check_golden(&row);
    fclose(file);
    if (count < 40)
        complain("golden", "%u cases", count);
}

/* ---- What comes in ---- */

/* The identity shows how samples are read. */
static void colour_types(void **state)
{
    (void)state;
    static const unsigned char bytes[] = {0x1b, 1, 2, 0x80, 200, 255, 7, 77};
    static const unsigned char palette[][3] = {{1, 2, 3}, {40, 50, 60}, {255, 0, 128}, {9, 9, 9}};
    static const unsigned char alphas[] = {0, 77};
    static const struct {
        const char *name;
        struct made_png png;
        const char *shape;
        double values[16];
        size_t count;
        int channels, depth; /* of the answer */
    } cases[] = {
        {"1 bit", {.width = 3, .height = 1, .colour = PNG_COLOR_TYPE_GRAY, .depth = 1}, "(1, 3)", {0, 0, 0}, 3, 1, 8},
        {"2 bits",
         {.width = 4, .height = 1, .colour = PNG_COLOR_TYPE_GRAY, .depth = 2},
         "(1, 4)",
         {0, 85, 170, 255},
         4,
         1,
         8},
        {"4 bits", {.width = 2, .height = 1, .colour = PNG_COLOR_TYPE_GRAY, .depth = 4}, "(1, 2)", {17, 187}, 2, 1, 8},
        {"8 bits", {.width = 2, .height = 1, .colour = PNG_COLOR_TYPE_GRAY, .depth = 8}, "(1, 2)", {27, 1}, 2, 1, 8},
        {"16 bits",
         {.width = 2, .height = 1, .colour = PNG_COLOR_TYPE_GRAY, .depth = 16},
         "(1, 2)",
         {0x1b01, 0x280},
         2,
         1,
         16},
        {"RGB", {.width = 1, .height = 1, .colour = PNG_COLOR_TYPE_RGB, .depth = 8}, "(1, 1, 3)", {27, 1, 2}, 3, 3, 8},
        {"RGBA of 16 bits",
         {.width = 1, .height = 1, .colour = PNG_COLOR_TYPE_RGBA, .depth = 16},
         "(1, 1, 4)",
         {0x1b01, 0x280, 0xc8ff, 0x74d},
         4,
         4,
         16},
        {"grey with alpha",
         {.width = 2, .height = 1, .colour = PNG_COLOR_TYPE_GRAY_ALPHA, .depth = 8},
         "(1, 2, 4)",
         {27, 27, 27, 1, 2, 2, 2, 128},
         8,
         4,
         8},
        {"a palette",
         {.width = 4,
          .height = 1,
          .colour = PNG_COLOR_TYPE_PALETTE,
          .depth = 2,
          .palette = palette,
          .palette_count = 4},
         "(1, 4, 3)",
         {1, 2, 3, 40, 50, 60, 255, 0, 128, 9, 9, 9},
         12,
         3,
         8},
        {"a palette with alpha",
         {.width = 4,
          .height = 1,
          .colour = PNG_COLOR_TYPE_PALETTE,
          .depth = 2,
          .palette = palette,
          .palette_count = 4,
          .alphas = alphas,
          .alpha_count = 2},
         "(1, 4, 4)",
         {1, 2, 3, 0, 40, 50, 60, 77, 255, 0, 128, 255, 9, 9, 9, 255},
         16,
         4,
         8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int interlaced = 0; interlaced < 2; interlaced++) {
            struct made_png png = cases[i].png;
            png.rows = bytes;
            png.interlaced = interlaced;
            const struct bytes file = picture_png(&png);
            struct answer answer = picture_post(daemon_child, "?kernel=identity", file, "application/x-npy");
            size_t count;
            const double *values = npy_values(cases[i].name, &answer, "<f8", cases[i].shape, &count);
            if (values && (count != 8 * cases[i].count || memcmp(values, cases[i].values, count) != 0))
                complain(cases[i].name, "other values");
            check_text(cases[i].name, "Convolved-Method", header_of(&answer, "Convolved-Method"), "direct");
            check_text(cases[i].name, "Convolved-Flipped", header_of(&answer, "Convolved-Flipped"), NULL);
            check_text(cases[i].name, "Convolved-Error-Bound", header_of(&answer, "Convolved-Error-Bound"), "0");
            answer = picture_post(daemon_child, "?kernel=identity", file, "image/png");
            const struct picture_back back = picture_back(cases[i].name, &answer, "image/png");
            check_number(cases[i].name, "channels", back.channels, cases[i].channels);
            check_number(cases[i].name, "bits", back.depth, cases[i].depth);
        }
}

/* A JPEG is what libjpeg makes of it. */
static void jpegs(void **state)
{
    (void)state;
    static const struct made_jpeg cases[] = {
        {.width = 61, .height = 47, .channels = 3},
        {.width = 61, .height = 47, .channels = 1},
        {.width = 61, .height = 47, .channels = 3, .progressive = true},
        {.width = 300, .height = 200, .channels = 3, .restart_rows = 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_jpeg jpeg = cases[i];
        jpeg.samples = picture_noise((size_t)jpeg.width * jpeg.height * (size_t)jpeg.channels, 1);
        const struct bytes file = picture_jpeg(&jpeg);
        const char *name = textf("JPEG %zu", i);
        unsigned width, height;
        int channels;
        unsigned char *expected = read_jpeg_back(file.bytes, file.count, &width, &height, &channels);
        struct answer answer = picture_post(daemon_child, "?kernel=identity", file, NULL);
        const struct picture_back back = picture_back(name, &answer, "image/png");
        if (back.samples && (back.width != width || back.height != height || back.channels != channels ||
                             memcmp(back.samples, expected, (size_t)width * height * (size_t)channels) != 0))
            complain(name, "other samples");
        free(expected);
    }
}

static struct bytes sample_png(void)
{
    return picture_of_samples(5, 4, 3, 8, picture_noise(60, 9));
}

static struct bytes sample_jpeg(void)
{
    return picture_jpeg(&(struct made_jpeg){.width = 16, .height = 8, .channels = 3, .samples = picture_noise(384, 2)});
}

/* ---- What goes out ---- */

static void accepts(void **state)
{
    (void)state;
    static const struct {
        const char *accept, *type; /* type NULL: 406 */
    } cases[] = {
        {NULL, "image/png"},
        {"*/*", "image/png"},
        {"image/*", "image/png"},
        {"image/png", "image/png"},
        {"image/jpeg", "image/jpeg"},
        {"IMAGE/JPEG", "image/jpeg"},
        {"image/jpeg, */*", "image/jpeg"},
        {"image/jpeg;q=0.5, image/png", "image/png"},
        {"image/png;q=0.5, image/jpeg;q=0.6", "image/jpeg"},
        {"image/png;q=0, image/*", "image/jpeg"},
        {"image/webp, image/jpeg;q=0.2", "image/jpeg"},
        {"application/x-npy", "application/x-npy"},
        {"application/x-npy, image/png;q=0.9", "application/x-npy"},
        {"application/x-npy, image/png", "image/png"},
        {"application/*", "application/x-npy"},
        {"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "image/png"},
        {"nonsense", "image/png"},
        {"image/webp", NULL},
        {"text/html", NULL},
        {"image/png;q=0", NULL},
        {"application/json", NULL},
    };
    const struct bytes files[] = {sample_png(), sample_jpeg()};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t file = 0; file < 2; file++) {
            const char *name = textf("%s for %s", cases[i].accept, file ? "a JPEG" : "a PNG");
            struct answer answer = picture_post(daemon_child, "?kernel=box", files[file], cases[i].accept);
            if (!cases[i].type) {
                check_problem_in(name, &answer, 406, "not-acceptable", NULL, NO_OFFSET, NULL);
                continue;
            }
            check_number(name, "status", answer.status, 200);
            check_text(name, "Content-Type", header_of(&answer, "Content-Type"), cases[i].type);
            check_holds(name, "Vary", header_of(&answer, "Vary"), "Accept");
            if (!strncmp(cases[i].type, "image/", 6))
                picture_back(name, &answer, cases[i].type);
        }
    const struct bytes wide = picture_of_samples(65501, 1, 1, 8, picture_noise(65501, 1));
    struct answer answer = picture_post(daemon_child, "?kernel=box", wide, "image/jpeg");
    check_problem_in("too wide for a JPEG", &answer, 406, "not-acceptable", NULL, NO_OFFSET, "65500");
    answer = picture_post(daemon_child, "?kernel=box", wide, NULL);
    check_number("not for a PNG", "width", picture_back("not for a PNG", &answer, "image/png").width, 65501);
}

/* What is packed already is not packed again. */
static void pictures_are_not_packed(void **state)
{
    (void)state;
    const struct bytes file = picture_of_samples(100, 100, 3, 8, picture_noise(30000, 3));
    const char *const headers[] = {"Accept-Encoding: gzip", NULL};
    struct answer answer = http_call(daemon_child, &(struct call){.path = "/v1/image?kernel=box",
                                                                  .body = file.bytes,
                                                                  .body_bytes = file.count,
                                                                  .headers = headers});
    check_number("gzip", "status", answer.status, 200);
    check_text("gzip", "Content-Encoding", header_of(&answer, "Content-Encoding"), NULL);
    picture_back("gzip", &answer, "image/png");
}

/* ---- How it is sent ---- */

/* The first sample of the answer. */
static void check_first(const char *name, const struct answer *answer, int expected)
{
    const struct picture_back back = picture_back(name, answer, "image/png");
    if (back.samples)
        check_number(name, "the first sample", back.samples[0], expected);
}

static void bodies(void **state)
{
    (void)state;
    static const unsigned char samples[] = {10, 20, 30, 40};
    static const char *const types[] = {"image/png",       "image/jpeg", "image/gif", "application/json",
                                        "text/plain",      "video/mp4",  "",          "application/x-npy",
                                        "application/zip", "nonsense"};
    const struct bytes file = picture_of_samples(2, 2, 1, 8, samples);
    struct call call = {.path = "/v1/image?kernel=identity&offset=1", .body = file.bytes, .body_bytes = file.count};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *const headers[] = {textf("Content-Type: %s", types[i]), NULL};
        call.headers = headers;
        for (int chunked = 0; chunked < 2; chunked++) {
            call.chunked = chunked;
            struct answer answer = http_call(daemon_child, &call);
            check_first(textf("Content-Type: %s, %s", types[i], chunked ? "chunked" : "announced"), &answer, 11);
        }
    }
    const struct bytes packed = gzip_of(file.bytes, file.count);
    const char *const headers[] = {"Content-Encoding: gzip", NULL};
    call = (struct call){.path = "/v1/image?kernel=identity&offset=2",
                         .body = packed.bytes,
                         .body_bytes = packed.count,
                         .headers = headers};
    struct answer answer = http_call(daemon_child, &call);
    check_first("gzip", &answer, 12);
    /* Byte by byte. */
    int fd = raw_open(daemon_child);
    raw_send_text(
        fd, textf("POST /v1/image?kernel=identity HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", file.count));
    for (size_t i = 0; i < file.count; i++)
        raw_send(fd, file.bytes + i, 1);
    answer = raw_read_answer(fd, false);
    check_first("byte by byte", &answer, 10);
    raw_send_text(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    check_number("the connection stays", "status", raw_read_answer(fd, false).status, 200);
    raw_is_closed(fd, 0);
    /* Many pieces, and what grows beyond 64 KiB. */
    const struct bytes large = picture_of_samples(400, 300, 3, 8, picture_noise(360000, 5));
    for (int chunked = 0; chunked < 2; chunked++) {
        call = (struct call){
            .path = "/v1/image?kernel=identity", .body = large.bytes, .body_bytes = large.count, .chunked = chunked};
        answer = http_call(daemon_child, &call);
        const struct picture_back back = picture_back("large", &answer, "image/png");
        if (back.samples && memcmp(back.samples, picture_noise(360000, 5), 360000) != 0)
            complain("large", "other samples");
    }
}

struct part {
    const char *name;
    struct bytes content;
};

static struct bytes form_of(const struct part *parts, size_t count)
{
    char *body = text_room(1 << 16), *at = body;
    for (size_t i = 0; i < count; i++) {
        at += sprintf(at, "--frontier\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"f\"\r\n\r\n",
                      parts[i].name);
        at = mempcpy(at, parts[i].content.bytes, parts[i].content.count);
        at += sprintf(at, "\r\n");
    }
    at += sprintf(at, "--frontier--\r\n");
    return (struct bytes){body, (size_t)(at - body)};
}

static struct answer form_post(const char *query, const struct part *parts, size_t count, const char *accept)
{
    static const char type[] = "Content-Type: multipart/form-data; boundary=frontier";
    const struct bytes body = form_of(parts, count);
    const char *const headers[] = {type, accept ? textf("Accept: %s", accept) : NULL, NULL};
    return http_call(daemon_child, &(struct call){.path = npy_target(textf("/v1/image%s", query)),
                                                  .body = body.bytes,
                                                  .body_bytes = body.count,
                                                  .headers = headers});
}

static struct bytes word(const char *text)
{
    return (struct bytes){text, strlen(text)};
}

static void forms(void **state)
{
    (void)state;
    static const unsigned char samples[] = {10, 20, 30, 40};
    static const double taps[] = {3}, nan_taps[] = {NAN};
    const struct bytes file = picture_of_samples(2, 2, 1, 8, samples);
    struct answer answer = form_post("", (struct part[]){{"image", file}, {"kernel", word("[[2]]")}}, 2, NULL);
    check_first("a kernel as JSON", &answer, 20);
    answer = form_post("?kernel=identity&offset=5", (struct part[]){{"image", file}}, 1, NULL);
    check_first("members in the query", &answer, 15);
    answer = form_post("?scale=2", (struct part[]){{"kernel", npy_file("<f8", "(1, 1)", taps, 8)}, {"image", file}}, 2,
                       NULL);
    check_first("a kernel as .npy", &answer, 60);
    answer =
        form_post("", (struct part[]){{"kernel", word("gaussian")}, {"sigma", word("0.1")}, {"image", file}}, 3, NULL);
    check_first("a kernel by name", &answer, 10);
    const struct part nan_parts[] = {{"image", file}, {"kernel", npy_file("<f8", "(1, 1)", nan_taps, 8)}};
    answer = form_post("", nan_parts, 2, NULL);
    check_problem_in("no colour", &answer, 422, "non-finite-result", NULL, NO_OFFSET, "x-npy");
    answer = form_post("?nonfinite=null", nan_parts, 2, NULL);
    check_first("black instead", &answer, 0);
    answer = form_post("", nan_parts, 2, "application/x-npy");
    size_t count;
    const double *values = npy_values("a NaN", &answer, "<f8", "(2, 2)", &count);
    if (values && !isnan(values[0]))
        complain("a NaN", "is %g", values[0]);
    check_text("a NaN", "Convolved-Error-Bound", header_of(&answer, "Convolved-Error-Bound"), NULL);

    answer = form_post("", (struct part[]){{"kernel", word("box")}}, 1, NULL);
    check_problem_in("no image", &answer, 422, "missing-member", "/image", NO_OFFSET, NULL);
    answer = form_post("?image=1", (struct part[]){{"kernel", word("box")}}, 1, NULL);
    check_problem_in("an image in the query", &answer, 422, "invalid-value", "/image", NO_OFFSET, NULL);
    answer = form_post("?kernel=box", (struct part[]){{"image", file}, {"image", file}}, 2, NULL);
    check_problem_in("two images", &answer, 422, "duplicate-member", "/image", NO_OFFSET, NULL);
    answer = form_post("?kernel=box", (struct part[]){{"image", file}, {"kernel", word("box")}}, 2, NULL);
    check_problem_in("two kernels", &answer, 422, "duplicate-member", "/kernel", NO_OFFSET, NULL);
    answer = form_post("?kernel=box", (struct part[]){{"image", word("GIF89a")}}, 1, NULL);
    check_problem_in("no picture", &answer, 400, "malformed-image", "/image", NO_OFFSET, NULL);
    answer = form_post("?kernel=box", (struct part[]){{"image", word("")}}, 1, NULL);
    check_problem_in("an empty part", &answer, 400, "malformed-image", "/image", NO_OFFSET, NULL);
    answer = form_post("?kernel=box", (struct part[]){{"image", {file.bytes, file.count - 20}}}, 1, NULL);
    check_problem_in("cut", &answer, 400, "malformed-image", "/image", NO_OFFSET, NULL);
    answer = form_post("", (struct part[]){{"image", file}, {"kernel", word("[[1,]]")}}, 2, NULL);
    check_problem_in("JSON", &answer, 400, "malformed-json", "/kernel", 4, NULL);
    answer = form_post("?kernel=box", (struct part[]){{"picture", file}}, 1, NULL);
    check_problem_in("another name", &answer, 400, "malformed-json", "/picture", ANY_OFFSET, NULL);
}

/* ---- Plans and time ---- */

static void plans(void **state)
{
    (void)state;
    const struct bytes png = sample_png(), wide = picture_resized(png, 1000000, 2000000);
    struct answer answer = picture_post(daemon_child, "?kernel=sobel&plan=true&method=direct", png, NULL);
    check_member("a plan", &answer, "shape", "[4,5,3]");
    check_member("a plan", &answer, "dtype", "'float64'");
    check_member("a plan", &answer, "method", "'direct'");
    check_member("a plan", &answer, "multiply_adds", "1080");
    check_member("a plan", &answer, "error_bound", "null");
    answer = picture_post(daemon_child, "?kernel={\"shape\":[5,5]}&plan=true&method=direct", png, "application/json");
    check_member("shapes alone", &answer, "multiply_adds", "1500");
    answer = picture_post(daemon_child, "?kernel=box&plan=true", wide, NULL);
    check_member("never too large", &answer, "shape", "[2000000,1000000,3]");
}

static void timings(void **state)
{
    (void)state;
    struct answer answer = picture_post(daemon_child, "?kernel=box", sample_png(), NULL);
    const char *timing = header_of(&answer, "Server-Timing");
    check_holds("timings", "Server-Timing", timing ? timing : "", "decode;dur=");
    check_text("timings", "Convolved-Method", header_of(&answer, "Convolved-Method"), "direct");
}

/* The same bytes whatever runs beside it and with how many threads. */
static void same_bytes(void **state)
{
    (void)state;
    const struct bytes file = picture_of_samples(300, 200, 3, 8, picture_noise(180000, 4));
    static const char *const flags[] = {"--threads", "1", NULL};
    struct child *one = child_start(flags, NULL, NULL);
    static const char *const types[] = {"image/png", "image/jpeg", "application/x-npy"};
    for (size_t i = 0; i < 3; i++) {
        struct answer here = picture_post(daemon_child, "?kernel=gaussian&sigma=3", file, types[i]),
                      there = picture_post(one, "?kernel=gaussian&sigma=3", file, types[i]);
        if (here.status != 200 || here.body_bytes != there.body_bytes ||
            memcmp(here.body, there.body, here.body_bytes) != 0)
            complain(types[i], "other bytes with one thread");
    }
    check_number("one thread", "exit status", child_stop(one), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(as_opencv_has_it),
        HTTP_TEST(colour_types),
        HTTP_TEST(jpegs),
        HTTP_TEST(accepts),
        HTTP_TEST(pictures_are_not_packed),
        HTTP_TEST(bodies),
        HTTP_TEST(forms),
        HTTP_TEST(plans),
        HTTP_TEST(timings),
        HTTP_TEST(same_bytes),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
