/*
 * mmap with huge pages. To get an alignment of 2 MiB the mapping is made that much larger and trimmed. Under
 * AddressSanitizer the heap is used instead, so that overruns are seen.
 */
#include "os/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/mem.h"

#ifdef __SANITIZE_ADDRESS__ /* gcc */
#define ADDRESS_SANITIZER
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER
#endif
#endif

enum { PAGE_BYTES = 4096, HUGE_BYTES = 2 << 20 };

void *kp_pages_alloc(size_t bytes)
{
#ifdef ADDRESS_SANITIZER
    return kp_alloc_aligned(PAGE_BYTES, bytes);
#else
    kp_mem_ask(bytes);
    size_t alignment = bytes % HUGE_BYTES == 0 ? HUGE_BYTES : PAGE_BYTES;
    size_t extra = alignment - PAGE_BYTES;
    uint8_t *memory = mmap(NULL, bytes + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        kp_fatal("out of memory", __FILE__, __LINE__);
    size_t before = (alignment - (uintptr_t)memory % alignment) % alignment;
    if (before)
        munmap(memory, before);
    if (extra - before)
        munmap(memory + before + bytes, extra - before);
    if (alignment == HUGE_BYTES)
        madvise(memory + before, bytes, MADV_HUGEPAGE);
    return memory + before;
#endif
}

void kp_pages_free(void *memory, size_t bytes)
{
    if (!memory)
        return;
#ifdef ADDRESS_SANITIZER
    kp_free(memory);
#else
    munmap(memory, bytes);
#endif
}
