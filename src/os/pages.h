/* Large pieces of memory straight from the system: whole pages, huge ones where it gives them, returned when freed. */
#ifndef KP_OS_PAGES_H
#define KP_OS_PAGES_H

#include <stddef.h>

/* Aligned to 4096 bytes (2 MiB when bytes is a multiple of that); zeros at first. Out of memory is fatal. */
void *kp_pages_alloc(size_t bytes);
void kp_pages_free(void *memory, size_t bytes); /* NULL is fine */

#endif
