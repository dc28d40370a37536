/* SPDX-License-Identifier: MIT */
/* What a caller sends and what it would take: Content-Type, Content-Encoding and Accept. Knows the text of headers only. */
#ifndef SERVER_MEDIA_H
#define SERVER_MEDIA_H

#include <stdbool.h>

struct request;
struct convolve_error;

/* What a body is to be read as. */
enum media_body { MEDIA_JSON, MEDIA_NPY, MEDIA_MULTIPART, MEDIA_PICTURE };

/* What a picture is to be answered with. */
enum media_picture { MEDIA_ANSWER_PNG, MEDIA_ANSWER_JPEG, MEDIA_ANSWER_NPY, MEDIA_ANSWER_NONE };

struct media {
    enum media_body body;
    bool gzip; /* the body is packed */
    bool npy_answer; /* a .npy answer is what the caller would rather have */
    enum media_picture picture; /* of a path that takes pictures; NONE: Accept admits but the JSON of a plan */
};

/* Fills `body` and `gzip`: JSON whatever the type says, unless that names another format. False: "unsupported-media-type". */
bool media_read_body(const struct request *request, struct media *media, struct convolve_error *error);

/* The same on a path that takes pictures, where the bytes decide and not the type: a form, or else a picture. And what it is
 * answered with: of what Accept likes equally, a PNG. False: also "not-acceptable". */
bool media_read_picture(const struct request *request, struct media *media, struct convolve_error *error);

/* Whether some Accept header admits `type` ("application/json"); absent or unreadable ones admit everything. */
bool media_accepts(const struct request *request, const char *type);
/* Whether Accept would rather have `type` than `other`: by its q, then by how closely it is named. */
bool media_prefers(const struct request *request, const char *type, const char *other);

/* Whether Accept-Encoding asks for gzip, and not for the bytes as they are instead. */
bool media_asks_gzip(const struct request *request);

#endif
