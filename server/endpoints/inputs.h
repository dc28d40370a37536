/* SPDX-License-Identifier: MIT */
/* Bodies that are no JSON, as ways into a computation: a .npy file that is `input`, or a picture, with the other members in the
 * query; and multipart/form-data, a part for each member. All end in the members that a JSON body would have. */
#ifndef SERVER_ENDPOINTS_INPUTS_H
#define SERVER_ENDPOINTS_INPUTS_H

#include "server/endpoints/computation.h"
#include "server/formats/image.h"

extern const struct computation_input npy_input, multipart_input;

/* A picture: it is the body, or the part `image` of a form; the other members are as with a .npy body, and their schema has
 * {"image", false}, whose value says only that it is there. At the end its header has been read. */
struct picture {
    char *bytes; /* a block of the arena; NULL: there is none */
    size_t count, capacity;
    struct image image;
    struct image_reader *reader; /* NULL: there is no picture. The endpoint's to close */
};
extern const struct computation_input picture_input;
struct picture *picture_of(void *reader);
/* Where a fault of the picture is: the whole body, or the part. */
void picture_place_fault(const struct request *request, struct convolve_error *error);

#endif
