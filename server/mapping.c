/* SPDX-License-Identifier: MIT */
/* Memory from mmap. A mapping has twice the address space it was asked for, so growing it is seldom a system call; what is
 * resident is only what was asked for. The store of kept mappings is one for the process and bounded; its pages are charged
 * to nobody and belong to the 64 MiB that the daemon may use above its ceiling. A mapping that is expected to grow leaves the store
 * with more pages than it was asked for: these are the store's until it has grown over them.
 *
 * Huge pages make the first touch several times cheaper, but one must not reach beyond what was asked for. So a mapping
 * refuses them, and asks for them only where they fit whole. */
#include "server/mapping.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    HEADROOM_BYTES_MAX = 256 << 20,
    HUGE_PAGE_BYTES = 2 << 20,
    HUGE_BYTES_MIN = 4 << 20, /* smaller mappings do without */
    HUGE_STEP_BYTES_MIN = 16 << 20, /* larger ones are rounded, so that growing finds huge pages untouched */
    KEPT_COUNT = 16,
    KEPT_BYTES_MAX = 32 << 20, /* all of them */
    KEPT_ONE_BYTES_MAX = 16 << 20,
};

static struct {
    pthread_mutex_t lock;
    unsigned count;
    size_t bytes;
    struct mapping mappings[KEPT_COUNT]; /* oldest first */
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool mapping_round(size_t bytes, size_t *rounded)
{
    static _Atomic size_t page_bytes;
    size_t page = atomic_load_explicit(&page_bytes, memory_order_relaxed);
    if (page == 0) {
        page = (size_t)sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&page_bytes, page, memory_order_relaxed);
    }
    if (bytes >= HUGE_STEP_BYTES_MIN)
        page = HUGE_PAGE_BYTES;
    if (bytes > SIZE_MAX / 2 - page)
        return false;
    *rounded = (bytes + page - 1) / page * page;
    return true;
}

/* Where huge pages end in a mapping of so many bytes. */
static uintptr_t huge_end(const struct mapping *mapping, size_t bytes)
{
    const uintptr_t start = (uintptr_t)mapping->address, mask = ~(uintptr_t)(HUGE_PAGE_BYTES - 1);
    return bytes < HUGE_BYTES_MIN ? (start + HUGE_PAGE_BYTES - 1) & mask : (start + bytes) & mask;
}

/* Only advice, so a refusal is no failure: it would come where the kernel knows no huge pages. */
static void set_bytes(struct mapping *mapping, size_t bytes)
{
    const uintptr_t before = huge_end(mapping, mapping->bytes), after = huge_end(mapping, bytes);
    if (after > before)
        madvise((void *)before, after - before, MADV_HUGEPAGE);
    else if (after < before)
        madvise((void *)after, before - after, MADV_NOHUGEPAGE);
    mapping->bytes = bytes;
}

static void refuse_huge_pages(struct mapping *mapping)
{
    if (mapping->space_bytes >= HUGE_PAGE_BYTES)
        madvise(mapping->address, mapping->space_bytes, MADV_NOHUGEPAGE);
    mapping->bytes = 0;
}

static size_t with_headroom(size_t bytes)
{
    return bytes + (bytes < HEADROOM_BYTES_MAX ? bytes : HEADROOM_BYTES_MAX);
}

static struct mapping kept_remove(unsigned index)
{
    const struct mapping mapping = kept.mappings[index];
    kept.bytes -= mapping.bytes;
    kept.count--;
    memmove(kept.mappings + index, kept.mappings + index + 1, (kept.count - index) * sizeof *kept.mappings);
    return mapping;
}

/* The newest kept mapping that holds `expected` and is not far too large; its pages behind `bytes` become spare. */
static bool kept_take(struct mapping *mapping, size_t bytes, size_t expected)
{
    bool found = false;
    pthread_mutex_lock(&kept.lock);
    for (unsigned i = kept.count; i > 0 && !found; i--) {
        const size_t space_bytes = kept.mappings[i - 1].space_bytes;
        found = space_bytes >= expected && space_bytes / 4 <= expected;
        if (found)
            *mapping = kept_remove(i - 1);
    }
    if (found && expected > bytes && mapping->bytes > bytes) {
        mapping->spare_bytes = mapping->bytes - bytes;
        mapping->bytes = bytes;
        kept.bytes += mapping->spare_bytes;
    }
    pthread_mutex_unlock(&kept.lock);
    return found;
}

/* So many of the spare bytes become the mapping's own, or, negative, the other way. */
static void take_spare(struct mapping *mapping, ptrdiff_t bytes)
{
    if (bytes == 0)
        return;
    pthread_mutex_lock(&kept.lock);
    kept.bytes -= (size_t)bytes;
    pthread_mutex_unlock(&kept.lock);
    mapping->spare_bytes -= (size_t)bytes;
    mapping->bytes += (size_t)bytes;
}

/* Lets the pages beyond `bytes` go. */
static bool drop_pages(struct mapping *mapping, size_t bytes)
{
    if (madvise((char *)mapping->address + bytes, mapping->bytes - bytes, MADV_DONTNEED) != 0)
        return false;
    set_bytes(mapping, bytes);
    return true;
}

bool mapping_take(struct mapping *mapping, size_t bytes, size_t expected)
{
    expected = expected < bytes ? bytes : expected;
    if (kept_take(mapping, bytes, expected)) {
        if (mapping->spare_bytes > 0)
            return true;
        if (mapping->bytes <= bytes || drop_pages(mapping, bytes)) {
            set_bytes(mapping, bytes);
            return true;
        }
        munmap(mapping->address, mapping->space_bytes);
    }
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    size_t space_bytes = with_headroom(bytes);
    space_bytes = space_bytes < expected ? expected : space_bytes;
    void *address = mmap(NULL, space_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (address == MAP_FAILED) {
        space_bytes = bytes;
        address = mmap(NULL, space_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    }
    if (address == MAP_FAILED)
        return false;
    *mapping = (struct mapping){.address = address, .space_bytes = space_bytes};
    refuse_huge_pages(mapping);
    /* Advice splits the mapping into areas, and the kernel joins only those that were one when first touched. */
    *(volatile char *)address = 0;
    set_bytes(mapping, bytes);
    return true;
}

/* `used` bytes into a mapping of `space_bytes`. ThreadSanitizer does not hear of mremap, and takes what comes to lie at an address
 * later for what lay there before. */
static void *move(const struct mapping *mapping, size_t used, size_t space_bytes)
{
#ifdef __SANITIZE_THREAD__
    void *address = mmap(NULL, space_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address != MAP_FAILED) {
        memcpy(address, mapping->address, used);
        munmap(mapping->address, mapping->space_bytes);
    }
    return address;
#else
    (void)used;
    return mremap(mapping->address, mapping->space_bytes, space_bytes, MREMAP_MAYMOVE);
#endif
}

static bool grow(struct mapping *mapping, size_t bytes)
{
    if (bytes > mapping->space_bytes) {
        const size_t before = mapping->bytes;
        refuse_huge_pages(mapping); /* mremap takes only a mapping that is the same all over */
        size_t space_bytes = with_headroom(bytes);
        void *address = move(mapping, before, space_bytes);
        if (address == MAP_FAILED) {
            space_bytes = bytes;
            address = move(mapping, before, space_bytes);
        }
        if (address == MAP_FAILED) {
            set_bytes(mapping, before);
            return false;
        }
        mapping->address = address;
        mapping->space_bytes = space_bytes;
    }
    set_bytes(mapping, bytes);
    return true;
}

bool mapping_resize(struct mapping *mapping, size_t bytes)
{
    const size_t spare_bytes = mapping->spare_bytes;
    if (bytes >= mapping->bytes && bytes - mapping->bytes <= spare_bytes) {
        take_spare(mapping, (ptrdiff_t)(bytes - mapping->bytes));
        return true;
    }
    take_spare(mapping, (ptrdiff_t)spare_bytes);
    if (bytes < mapping->bytes ? drop_pages(mapping, bytes) : grow(mapping, bytes))
        return true;
    take_spare(mapping, -(ptrdiff_t)spare_bytes);
    return false;
}

static void unmap_all(const struct mapping *mappings, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        munmap(mappings[i].address, mappings[i].space_bytes);
}

void mapping_give(struct mapping *mapping)
{
    struct mapping dropped[KEPT_COUNT + 1];
    unsigned drop_count = 0;
    take_spare(mapping, (ptrdiff_t)mapping->spare_bytes);
    if (mapping->bytes > KEPT_ONE_BYTES_MAX) {
        munmap(mapping->address, mapping->space_bytes);
        return;
    }
    pthread_mutex_lock(&kept.lock);
    while (kept.count == KEPT_COUNT || (kept.count > 0 && kept.bytes + mapping->bytes > KEPT_BYTES_MAX))
        dropped[drop_count++] = kept_remove(0);
    if (kept.bytes + mapping->bytes > KEPT_BYTES_MAX) { /* spare bytes of others */
        dropped[drop_count++] = *mapping;
    } else {
        kept.mappings[kept.count++] = *mapping;
        kept.bytes += mapping->bytes;
    }
    pthread_mutex_unlock(&kept.lock);
    unmap_all(dropped, drop_count);
}

void mapping_trim(void)
{
    struct mapping dropped[KEPT_COUNT];
    unsigned drop_count = 0;
    pthread_mutex_lock(&kept.lock);
    while (kept.count > 0)
        dropped[drop_count++] = kept_remove(kept.count - 1);
    pthread_mutex_unlock(&kept.lock);
    unmap_all(dropped, drop_count);
}
