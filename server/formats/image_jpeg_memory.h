/* SPDX-License-Identifier: MIT */
/* libjpeg's memory from the arena: a memory manager in place of the library's own. */
#ifndef SERVER_FORMATS_IMAGE_JPEG_MEMORY_H
#define SERVER_FORMATS_IMAGE_JPEG_MEMORY_H

#include <stddef.h>
#include <stdio.h> /* which jpeglib.h wants before it */

#include <jpeglib.h>

#include "server/arena.h"

struct jpeg_memory {
    struct jpeg_memory_mgr manager; /* what cinfo->mem points to: the first member */
    struct jpeg_memory_mgr *own; /* the library's, with the little that it took before */
    struct arena *arena;
    struct jpeg_block *blocks;
    jvirt_sarray_ptr sample_arrays; /* asked for, not there yet */
    jvirt_barray_ptr block_arrays;
};

/* Right after jpeg_create_...: what comes from now on is the arena's, and a fault is JERR_OUT_OF_MEMORY. */
void jpeg_memory_attach(struct jpeg_memory *memory, struct arena *arena, j_common_ptr jpeg);
/* Gives all back; right before jpeg_destroy. */
void jpeg_memory_detach(struct jpeg_memory *memory, j_common_ptr jpeg);

#endif
