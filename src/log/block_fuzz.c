/* Any bytes as a commit block: refused, or its entries are walked to the end, never outside. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "log/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void walk(const struct kp_block_header *block, size_t len)
{
    uint64_t sum = 0;
    size_t taken = 0;
    if (kp_block_header_wrong(block, block->generation, block->file_number, block->file_offset,
                              block->file_offset + len))
        return;
    KP_ASSERT(sizeof *block + block->payload_bytes <= len);
    struct kp_entry_walk at = kp_entry_walk_start(block);
    const struct kp_entry_header *entry;
    const char *wrong;
    while (kp_entry_walk_next(&at, &entry, &wrong)) { /* every byte of it can be read */
        sum += kp_hash_bytes(entry, sizeof *entry) + kp_hash_bytes(entry + 1, entry->payload_bytes);
        taken += entry->bytes;
    }
    KP_ASSERT(taken <= block->payload_bytes || sum == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < sizeof(struct kp_block_header))
        return 0;
    size_t whole = (size_t)kp_sector_ceil(len);
    struct kp_block_header *block = kp_calloc(1, whole);
    memcpy(block, bytes, len);
    walk(block, whole);
    block->magic = KP_BLOCK_MAGIC; /* and with what mutations hardly ever find */
    block->format = KP_JOURNAL_FORMAT;
    block->file_offset = KP_SECTOR_BYTES;
    if (block->payload_bytes <= whole - sizeof *block)
        block->payload_crc = kp_crc32c(0, block + 1, block->payload_bytes);
    block->header_crc = kp_block_header_crc(block);
    walk(block, whole);
    kp_free(block);
    return 0;
}
