/*
 * Notes of the journal's blocks as they become durable, so that sealing reads the journal once: to lay a set out it
 * needs the blocks' and entries' headers only, and has them in memory, of files that were written since the log was
 * opened.
 *
 *   of a file   | block header 128 | entry header 32 | payload, padded to 8 | entry header … | block header … | …
 *
 * The payload is there as far as what is derived from entries needs it: of a record batch its header, of a list of
 * extents nothing, of all others the whole.
 *
 * They are bounded: a file whose notes do not fit any more is read instead. Guarded by kp_log.lock.
 */
#ifndef KP_LOG_SEAL_NOTES_H
#define KP_LOG_SEAL_NOTES_H

#include "base/buf.h"
#include "log/format.h"

struct kp_seal_note {
    uint64_t number;
    uint64_t end;      /* behind the last block noted; 0: one is missing */
    uint64_t sequence; /* of that block */
    struct kp_buf bytes;
};

struct kp_seal_notes {
    struct kp_seal_note *files; /* by number */
    size_t count, cap;
    size_t bytes; /* of all of them */
};

void kp_seal_notes_finish(struct kp_seal_notes *notes);
/* A durable block, in order. */
void kp_seal_notes_add(struct kp_seal_notes *notes, const struct kp_block_header *block);
/* Takes out the notes of a file that ends at `end`, to finish; false unless all its blocks are noted. */
bool kp_seal_notes_take(struct kp_seal_notes *notes, uint64_t number, uint64_t end, struct kp_buf *ret_bytes);
/* Forgets files before `number`. */
void kp_seal_notes_forget(struct kp_seal_notes *notes, uint64_t number);
/* Bytes of an entry's note. */
size_t kp_seal_note_bytes(const struct kp_entry_header *entry);

#endif
