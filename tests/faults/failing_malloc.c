/* SPDX-License-Identifier: MIT */
/* Preloaded into the daemon by tests/http/faults_test.c: every n-th allocation fails, whoever asks. n is the number in a file that
 * both map (FAILING_MALLOC names it), so that a test can change it at any time; 0: none fails. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

static _Atomic uint32_t *every;
static _Atomic uint64_t counted;

/* glibc's own names for what is replaced here; dlsym would allocate. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("FAILING_MALLOC");
    const int descriptor = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *page =
        descriptor >= 0 ? mmap(NULL, sizeof *every, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0) : MAP_FAILED;
    if (page != MAP_FAILED)
        every = page;
}

static int fails(void)
{
    const uint32_t n = every != NULL ? atomic_load(every) : 0;
    if (n == 0 || (atomic_fetch_add(&counted, 1) + 1) % n != 0)
        return 0;
    errno = ENOMEM;
    return 1;
}

__attribute__((visibility("default"))) void *malloc(size_t bytes)
{
    return fails() ? NULL : __libc_malloc(bytes);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __libc_calloc(count, bytes);
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __libc_realloc(old, bytes);
}

__attribute__((visibility("default"))) void *reallocarray(void *old, size_t count, size_t bytes)
{
    size_t whole;
    if (__builtin_mul_overflow(count, bytes, &whole)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, whole);
}

__attribute__((visibility("default"))) void *aligned_alloc(size_t alignment, size_t bytes)
{
    return fails() ? NULL : __libc_memalign(alignment, bytes);
}

__attribute__((visibility("default"))) int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    void *block = fails() ? NULL : __libc_memalign(alignment, bytes);
    if (block == NULL)
        return ENOMEM;
    *out = block;
    return 0;
}
