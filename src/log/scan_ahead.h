/*
 * Reads a journal file ahead of the scan that walks it: a thread reads the next pieces while the scan looks at this
 * one. For whoever walks whole files, recovery and sealing. What goes wrong is left to the scan, which reads there
 * itself.
 */
#ifndef KP_LOG_SCAN_AHEAD_H
#define KP_LOG_SCAN_AHEAD_H

#include "os/os.h"

enum { KP_SCAN_HEADROOM = 1 << 20 }; /* free before a piece's bytes: for what is left of the piece before it */

struct kp_scan_ahead;
struct kp_scan_ahead *kp_scan_ahead_create(struct kp_os *os, size_t read_bytes);
void kp_scan_ahead_destroy(struct kp_scan_ahead *ahead); /* NULL is fine */
/* From now on the file is read from `offset` to `end`; it stays open until the next call. NULL: nothing is. Waits for a
 * read on its way. */
void kp_scan_ahead_start(struct kp_scan_ahead *ahead, struct kp_file *file, uint64_t offset, uint64_t end);
/* The piece at `offset`, waiting for it: `*memory` is given back for another one (NULL: none) and becomes one with
 * *ret_got bytes behind KP_SCAN_HEADROOM, to kp_free. `kept` bytes, of what is given back or not, are copied before
 * them. False if that is not what is read next. */
bool kp_scan_ahead_take(struct kp_scan_ahead *ahead, uint64_t offset, const uint8_t *kept, size_t kept_bytes,
                        uint8_t **memory, size_t *ret_got);

#endif
