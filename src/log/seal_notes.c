/* Notes of durable blocks: log/seal_notes.h. */
#include "log/seal_notes.h"

#include "base/mem.h"
#include "log/record_batch.h"

enum { NOTES_BYTES_MAX = 8 << 20 };

static size_t noted_payload(const struct kp_entry_header *entry)
{
    size_t bytes = entry->payload_bytes;
    if (entry->kind == KP_ENTRY_SEALED)
        return 0;
    return entry->kind == KP_ENTRY_BATCH ? KP_MIN(bytes, (size_t)KP_RECORD_BATCH_HEADER_BYTES) : bytes;
}

size_t kp_seal_note_bytes(const struct kp_entry_header *entry)
{
    return sizeof *entry + ((noted_payload(entry) + 7) & ~(size_t)7);
}

static void drop(struct kp_seal_notes *notes, struct kp_seal_note *note)
{
    notes->bytes -= note->bytes.len;
    kp_buf_finish(&note->bytes);
    note->bytes = (struct kp_buf){0};
    note->end = 0;
}

void kp_seal_notes_finish(struct kp_seal_notes *notes)
{
    for (size_t i = 0; i < notes->count; i++)
        kp_buf_finish(&notes->files[i].bytes);
    kp_free(notes->files);
    *notes = (struct kp_seal_notes){0};
}

/* The note of the file that the block lies in; a new one begins with the file's first block. */
static struct kp_seal_note *note_of(struct kp_seal_notes *notes, const struct kp_block_header *block)
{
    struct kp_seal_note *last = notes->count ? &notes->files[notes->count - 1] : NULL;
    if (last && last->number == block->file_number)
        return last;
    if (notes->count == notes->cap) {
        notes->cap = notes->cap ? notes->cap * 2 : 8;
        notes->files = kp_realloc(notes->files, notes->cap * sizeof *notes->files);
    }
    last = &notes->files[notes->count++];
    *last = (struct kp_seal_note){.number = block->file_number, .sequence = block->sequence - 1};
    last->end = block->file_offset == KP_SECTOR_BYTES ? (uint64_t)KP_SECTOR_BYTES : 0;
    return last;
}

void kp_seal_notes_add(struct kp_seal_notes *notes, const struct kp_block_header *block)
{
    struct kp_seal_note *note = note_of(notes, block);
    struct kp_entry_walk walk = kp_entry_walk_start(block);
    const struct kp_entry_header *entry;
    const char *wrong;
    if (note->end != block->file_offset || note->sequence + 1 != block->sequence)
        drop(notes, note);
    if (!note->end)
        return;
    size_t before = note->bytes.len;
    kp_buf_append(&note->bytes, block, sizeof *block);
    while (kp_entry_walk_next(&walk, &entry, &wrong)) {
        size_t payload = noted_payload(entry), bytes = kp_seal_note_bytes(entry);
        uint8_t *at = kp_buf_reserve(&note->bytes, bytes);
        memcpy(at, entry, sizeof *entry);
        memcpy(at + sizeof *entry, entry + 1, payload);
        memset(at + sizeof *entry + payload, 0, bytes - sizeof *entry - payload);
        note->bytes.len += bytes;
    }
    notes->bytes += note->bytes.len - before;
    note->end += kp_block_bytes(block);
    note->sequence = block->sequence;
    if (wrong || notes->bytes > NOTES_BYTES_MAX)
        drop(notes, note);
}

bool kp_seal_notes_take(struct kp_seal_notes *notes, uint64_t number, uint64_t end, struct kp_buf *ret_bytes)
{
    for (size_t i = 0; i < notes->count; i++) {
        struct kp_seal_note *note = &notes->files[i];
        if (note->number != number || !note->end || note->end != end)
            continue;
        *ret_bytes = note->bytes;
        notes->bytes -= note->bytes.len;
        note->bytes = (struct kp_buf){0};
        note->end = 0;
        return true;
    }
    return false;
}

void kp_seal_notes_forget(struct kp_seal_notes *notes, uint64_t number)
{
    size_t gone = 0;
    for (; gone < notes->count && notes->files[gone].number < number; gone++)
        drop(notes, &notes->files[gone]);
    notes->count -= gone;
    if (gone)
        memmove(notes->files, notes->files + gone, notes->count * sizeof *notes->files);
}
