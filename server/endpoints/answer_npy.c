/* SPDX-License-Identifier: MIT */
/* The header is written right before the values, where the computation has left room for it, so that the file is sent from
 * where the output lies. */
#include "server/endpoints/answer_npy.h"

#include <math.h>
#include <string.h>

#include "server/admission.h"
#include "server/formats/npy.h"
#include "server/formats/number_write.h"
#include "server/request.h"
#include "server/response.h"

/* A multiple of CONVOLVE_ALIGNMENT. */
enum { HEADROOM = (NPY_HEADER_WRITTEN_MAX + CONVOLVE_ALIGNMENT - 1) / CONVOLVE_ALIGNMENT * CONVOLVE_ALIGNMENT };

static bool add_bound(struct request *request, struct response *response, double error_bound)
{
    char number[NUMBER_BYTES_MAX];
    if (!isfinite(error_bound))
        return true;
    const char *const text =
        arena_copy_text(&request->arena, number, (size_t)(number_write_float64(number, error_bound) - number));
    response_header(response, "Convolved-Error-Bound", text);
    return text != NULL;
}

static bool add_notes(struct request *request, struct response *response, const struct answer *answer)
{
    size_t bytes = 1;
    for (size_t i = 0; i < answer->note_count; i++)
        bytes += strlen(answer->notes[i].slug) + 2;
    char *const text = arena_alloc(&request->arena, bytes), *at = text;
    if (!text)
        return false;
    for (size_t i = 0; i < answer->note_count; i++)
        at = stpcpy(stpcpy(at, i ? ", " : ""), answer->notes[i].slug);
    response_header(response, "Convolved-Notes", text);
    return true;
}

static bool write_npy(struct request *request, struct response *response, const struct answer *answer,
                      struct convolve_error *error)
{
    char header[NPY_HEADER_WRITTEN_MAX];
    const size_t header_bytes = npy_write_header(header, answer->dtype, &answer->shape);
    char *const file = (char *)(uintptr_t)answer->values - header_bytes;
    size_t count;

    if (!convolve_shape_count(&answer->shape, &count))
        return convolve_fail(error, "too-large", "", "the output's size cannot be counted");
    memcpy(file, header, header_bytes);
    response_text(response, 200, "application/x-npy", file, header_bytes + count * convolve_dtype_bytes(answer->dtype));
    response_header(response, "Convolved-Method", answer->method);
    if (answer->flipped != FLIPPED_ABSENT)
        response_header(response, "Convolved-Flipped", answer->flipped == FLIPPED_TRUE ? "true" : "false");
    return (add_bound(request, response, answer->error_bound) &&
            (answer->note_count == 0 || add_notes(request, response, answer))) ||
           admission_fail_memory(request, error);
}

const struct computation_output npy_output = {.holds_nonfinite = true, .headroom = HEADROOM, .write = write_npy};
