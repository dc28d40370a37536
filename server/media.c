/* SPDX-License-Identifier: MIT */
/* Media types. RFC 9110's grammar, read leniently where a fault does no harm: an Accept that cannot be read admits all. */
#include "server/media.h"

#include <string.h>
#include <strings.h>

#include "server/request.h"

/* Types whose name says that the body is neither JSON nor anything else that is read. A type that ends in "/" stands for all that begin so. */
static const char *const other_formats[] = {
    "image/",
    "audio/",
    "video/",
    "font/",
    "model/",
    "multipart/",
    "application/x-npz",
    "application/zip",
    "application/gzip",
    "application/pdf",
    "application/cbor",
    "application/xml",
    "text/xml",
    "text/html",
};

static size_t type_length(const char *text)
{
    return strcspn(text, "; \t,");
}

static bool names_other_format(const char *type)
{
    const size_t bytes = type_length(type);
    for (size_t i = 0; i < sizeof other_formats / sizeof other_formats[0]; i++) {
        const size_t known = strlen(other_formats[i]);
        if (other_formats[i][known - 1] == '/' ? bytes > known : bytes == known)
            if (strncasecmp(type, other_formats[i], known) == 0)
                return true;
    }
    return false;
}

static bool is_type(const char *type, const char *wanted)
{
    return type_length(type) == strlen(wanted) && strncasecmp(type, wanted, strlen(wanted)) == 0;
}

static bool read_coding(const struct request *request, struct media *media, struct convolve_error *error)
{
    const char *coding = request_header(request, "Content-Encoding");

    if (coding == NULL || coding[0] == '\0')
        return true;
    media->gzip = strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "x-gzip") == 0;
    if (request_header_count(request, "Content-Encoding") == 1 && (media->gzip || strcasecmp(coding, "identity") == 0))
        return true;
    return convolve_fail(error, "unsupported-media-type", "",
                         "the body has Content-Encoding %.60s; send it with gzip or without", coding);
}

bool media_read_body(const struct request *request, struct media *media, struct convolve_error *error)
{
    const char *type = request_header(request, "Content-Type");

    *media = (struct media){.body = MEDIA_JSON};
    if (type != NULL && is_type(type, "application/x-npy"))
        media->body = MEDIA_NPY;
    else if (type != NULL && is_type(type, "multipart/form-data"))
        media->body = MEDIA_MULTIPART;
    else if (type != NULL && names_other_format(type))
        return convolve_fail(error, "unsupported-media-type", "",
                             "the body is %.*s; this path reads application/json, application/x-npy and "
                             "multipart/form-data",
                             (int)(type_length(type) < 100 ? type_length(type) : 100), type);
    return read_coding(request, media, error);
}

/* One range of an Accept header: how well it fits the type (-1: not at all; 0: anything; 1: the family; 2: the type itself; a
 * parameter other than q makes no difference, since none of our types has one) and its q in thousandths. */
struct range {
    int fit, quality;
};

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

/* "0", "1", "0.5", "1.000"; -1 where it is nothing of the kind. */
static int read_quality(const char **at)
{
    const char *text = *at;
    int quality;
    if (text[0] != '0' && text[0] != '1')
        return -1;
    quality = (*text++ - '0') * 1000;
    if (*text == '.') {
        text++;
        for (int unit = 100; unit > 0 && *text >= '0' && *text <= '9'; unit /= 10)
            quality += (*text++ - '0') * unit;
    }
    *at = text;
    return quality <= 1000 ? quality : -1;
}

static bool read_parameters(const char **at, struct range *range)
{
    const char *text = *at;
    while (*(text = skip_space(text)) == ';') {
        text = skip_space(text + 1);
        if (strncasecmp(text, "q=", 2) == 0) {
            text += 2;
            if ((range->quality = read_quality(&text)) < 0)
                return false;
            continue;
        }
        while (*text != '\0' && *text != ';' && *text != ',') {
            if (*text++ != '"')
                continue;
            text += strcspn(text, "\"");
            if (*text++ != '"')
                return false;
        }
    }
    *at = text;
    return *text == '\0' || *text == ',';
}

/* Reads one header; false where it cannot be read. `best` is the closest fit so far over all of them. */
static bool read_accept(const char *text, const char *type, struct range *best)
{
    const size_t type_bytes = strlen(type), family_bytes = strcspn(type, "/") + 1;

    for (;;) {
        struct range range = {-1, 1000};
        while (*(text = skip_space(text)) == ',')
            text++;
        if (*text == '\0')
            return true;
        const size_t bytes = strcspn(text, ";, \t");
        const char *slash = memchr(text, '/', bytes);
        if (slash == NULL || slash == text || slash == text + bytes - 1)
            return false;
        if (bytes == type_bytes && strncasecmp(text, type, bytes) == 0)
            range.fit = 2;
        else if (bytes == family_bytes + 1 && strncasecmp(text, type, family_bytes) == 0 && text[bytes - 1] == '*')
            range.fit = 1;
        else if (bytes == 3 && memcmp(text, "*/*", 3) == 0)
            range.fit = 0;
        text += bytes;
        if (!read_parameters(&text, &range))
            return false;
        if (range.fit > best->fit || (range.fit == best->fit && range.quality > best->quality))
            *best = range;
    }
}

/* The closest fit in all Accept headers; false where there is none, or one that cannot be read. */
static bool find_range(const struct request *request, const char *type, struct range *best)
{
    bool any = false;

    *best = (struct range){-1, 0};
    for (size_t i = 0; i < request->header_count; i++) {
        if (!request_field_is(&request->headers[i], "Accept"))
            continue;
        if (!read_accept(request->headers[i].value, type, best))
            return false;
        any = any || request->headers[i].value[strspn(request->headers[i].value, " \t,")] != '\0';
    }
    return any;
}

bool media_accepts(const struct request *request, const char *type)
{
    struct range best;
    return !find_range(request, type, &best) || (best.fit >= 0 && best.quality > 0);
}

bool media_prefers(const struct request *request, const char *type, const char *other)
{
    struct range wanted, instead;
    if (!find_range(request, type, &wanted) || !find_range(request, other, &instead) || wanted.quality == 0)
        return false;
    return wanted.quality > instead.quality || (wanted.quality == instead.quality && wanted.fit > instead.fit);
}

bool media_read_picture(const struct request *request, struct media *media, struct convolve_error *error)
{
    static const char *const types[] = {
        [MEDIA_ANSWER_PNG] = "image/png", [MEDIA_ANSWER_JPEG] = "image/jpeg", [MEDIA_ANSWER_NPY] = "application/x-npy"};
    const char *type = request_header(request, "Content-Type");
    const bool is_form = type != NULL && is_type(type, "multipart/form-data");

    *media = (struct media){.body = is_form ? MEDIA_MULTIPART : MEDIA_PICTURE, .picture = MEDIA_ANSWER_NONE};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (media_accepts(request, types[i]) &&
            (media->picture == MEDIA_ANSWER_NONE || media_prefers(request, types[i], types[media->picture])))
            media->picture = (enum media_picture)i;
    if (media->picture == MEDIA_ANSWER_NONE && !media_accepts(request, "application/json"))
        return convolve_fail(error, "not-acceptable", "",
                             "Accept admits nothing that this path answers with: image/png, image/jpeg, "
                             "application/x-npy");
    return read_coding(request, media, error);
}

/* The q of one coding in an Accept-Encoding, in thousandths; -1 where it is not named. A header that cannot be read asks for
 * nothing. */
static int coding_quality(const char *text, const char *coding)
{
    int quality = -1;
    for (;;) {
        struct range range = {-1, 1000};
        while (*(text = skip_space(text)) == ',')
            text++;
        if (*text == '\0')
            return quality;
        const size_t bytes = strcspn(text, ";, \t");
        const bool named = bytes == strlen(coding) && strncasecmp(text, coding, bytes) == 0;
        text += bytes;
        if (bytes == 0 || !read_parameters(&text, &range))
            return -1;
        if (named)
            quality = range.quality;
    }
}

bool media_asks_gzip(const struct request *request)
{
    const char *text = request_header(request, "Accept-Encoding");
    if (text == NULL || request_header_count(request, "Accept-Encoding") > 1)
        return false;
    int gzip = coding_quality(text, "gzip"), plain = coding_quality(text, "identity");
    if (gzip < 0)
        gzip = coding_quality(text, "x-gzip");
    if (gzip < 0)
        gzip = coding_quality(text, "*");
    return gzip > 0 && gzip >= plain;
}
