/* SPDX-License-Identifier: MIT */
/* All that libjpeg asks for lives until the picture is done, so its pools are one list. Its virtual arrays, which another manager may
 * keep in a file, are memory here: the arena says no where that is too much. */
#include "server/formats/image_jpeg_memory.h"

#include <jerror.h>
#include <string.h>

/* In front of each block. Its routines for SIMD want 32-byte alignment, and touch rows up to a multiple of that. */
struct jpeg_block {
    _Alignas(64) struct jpeg_block *next;
};

struct jvirt_sarray_control {
    JSAMPARRAY rows;
    int pool;
    bool zeroed;
    JDIMENSION width, height;
    jvirt_sarray_ptr next;
};

struct jvirt_barray_control {
    JBLOCKARRAY rows;
    int pool;
    bool zeroed;
    JDIMENSION width, height;
    jvirt_barray_ptr next;
};

static struct jpeg_memory *memory_of(j_common_ptr jpeg)
{
    return (struct jpeg_memory *)jpeg->mem;
}

static void fail(j_common_ptr jpeg)
{
    ERREXIT1(jpeg, JERR_OUT_OF_MEMORY, 0);
}

static void *take(j_common_ptr jpeg, int pool, size_t bytes)
{
    struct jpeg_memory *memory = memory_of(jpeg);
    size_t with_header;
    struct jpeg_block *block = NULL;
    (void)pool;
    if (!__builtin_add_overflow(bytes, sizeof *block, &with_header))
        block = arena_block(memory->arena, with_header);
    if (block == NULL)
        fail(jpeg);
    block->next = memory->blocks;
    memory->blocks = block;
    return block + 1;
}

/* `count` rows of so many bytes, in one block; the pointers to them in another. */
static void **take_rows(j_common_ptr jpeg, int pool, size_t row_bytes, size_t count)
{
    enum { ROW_ALIGNMENT = 64 };
    const size_t pitch = (row_bytes + ROW_ALIGNMENT - 1) / ROW_ALIGNMENT * ROW_ALIGNMENT;
    size_t bytes;
    void **rows = take(jpeg, pool, count * sizeof *rows);
    if (__builtin_mul_overflow(pitch, count, &bytes))
        fail(jpeg);
    char *const cells = take(jpeg, pool, bytes);
    for (size_t i = 0; i < count; i++)
        rows[i] = cells + i * pitch;
    return rows;
}

static JSAMPARRAY take_samples(j_common_ptr jpeg, int pool, JDIMENSION width, JDIMENSION count)
{
    return (JSAMPARRAY)take_rows(jpeg, pool, (size_t)width * sizeof(JSAMPLE), count);
}

static JBLOCKARRAY take_blocks(j_common_ptr jpeg, int pool, JDIMENSION width, JDIMENSION count)
{
    return (JBLOCKARRAY)take_rows(jpeg, pool, (size_t)width * sizeof(JBLOCK), count);
}

static jvirt_sarray_ptr request_samples(j_common_ptr jpeg, int pool, boolean zeroed, JDIMENSION width,
                                        JDIMENSION height, JDIMENSION access_max)
{
    struct jpeg_memory *memory = memory_of(jpeg);
    jvirt_sarray_ptr array = take(jpeg, pool, sizeof *array);
    (void)access_max;
    *array = (struct jvirt_sarray_control){NULL, pool, zeroed, width, height, memory->sample_arrays};
    memory->sample_arrays = array;
    return array;
}

static jvirt_barray_ptr request_blocks(j_common_ptr jpeg, int pool, boolean zeroed, JDIMENSION width, JDIMENSION height,
                                       JDIMENSION access_max)
{
    struct jpeg_memory *memory = memory_of(jpeg);
    jvirt_barray_ptr array = take(jpeg, pool, sizeof *array);
    (void)access_max;
    *array = (struct jvirt_barray_control){NULL, pool, zeroed, width, height, memory->block_arrays};
    memory->block_arrays = array;
    return array;
}

static void realize(j_common_ptr jpeg)
{
    struct jpeg_memory *memory = memory_of(jpeg);
    for (; memory->sample_arrays != NULL; memory->sample_arrays = memory->sample_arrays->next) {
        jvirt_sarray_ptr array = memory->sample_arrays;
        array->rows = take_samples(jpeg, array->pool, array->width, array->height);
        for (JDIMENSION row = 0; array->zeroed && row < array->height; row++)
            memset(array->rows[row], 0, array->width * sizeof(JSAMPLE));
    }
    for (; memory->block_arrays != NULL; memory->block_arrays = memory->block_arrays->next) {
        jvirt_barray_ptr array = memory->block_arrays;
        array->rows = take_blocks(jpeg, array->pool, array->width, array->height);
        for (JDIMENSION row = 0; array->zeroed && row < array->height; row++)
            memset(array->rows[row], 0, array->width * sizeof(JBLOCK));
    }
}

static JSAMPARRAY access_samples(j_common_ptr jpeg, jvirt_sarray_ptr array, JDIMENSION row, JDIMENSION count,
                                 boolean writable)
{
    (void)writable;
    if (array->rows == NULL || row > array->height || count > array->height - row)
        ERREXIT(jpeg, JERR_BAD_VIRTUAL_ACCESS);
    return array->rows + row;
}

static JBLOCKARRAY access_blocks(j_common_ptr jpeg, jvirt_barray_ptr array, JDIMENSION row, JDIMENSION count,
                                 boolean writable)
{
    (void)writable;
    if (array->rows == NULL || row > array->height || count > array->height - row)
        ERREXIT(jpeg, JERR_BAD_VIRTUAL_ACCESS);
    return array->rows + row;
}

/* Until detached: the library frees a pool only when it begins anew, or ends. */
static void keep_pool(j_common_ptr jpeg, int pool)
{
    (void)jpeg, (void)pool;
}

static void keep_all(j_common_ptr jpeg)
{
    (void)jpeg;
}

void jpeg_memory_attach(struct jpeg_memory *memory, struct arena *arena, j_common_ptr jpeg)
{
    *memory = (struct jpeg_memory){.own = jpeg->mem, .arena = arena};
    memory->manager = (struct jpeg_memory_mgr){
        .alloc_small = take,
        .alloc_large = take,
        .alloc_sarray = take_samples,
        .alloc_barray = take_blocks,
        .request_virt_sarray = request_samples,
        .request_virt_barray = request_blocks,
        .realize_virt_arrays = realize,
        .access_virt_sarray = access_samples,
        .access_virt_barray = access_blocks,
        .free_pool = keep_pool,
        .self_destruct = keep_all,
        .max_memory_to_use = jpeg->mem->max_memory_to_use,
        .max_alloc_chunk = jpeg->mem->max_alloc_chunk,
    };
    jpeg->mem = &memory->manager;
}

void jpeg_memory_detach(struct jpeg_memory *memory, j_common_ptr jpeg)
{
    while (memory->blocks != NULL) {
        struct jpeg_block *block = memory->blocks;
        memory->blocks = block->next;
        arena_block_free(memory->arena, block);
    }
    jpeg->mem = memory->own;
}
