/* Checks of the bytes drawn in log/format.h. */
#include "log/format.h"

#include <string.h>

#include "base/hash.h"
#include "log/plant.h"

uint32_t kp_file_header_crc(const struct kp_file_header *header)
{
    return kp_crc32c(0, header, offsetof(struct kp_file_header, crc));
}

uint32_t kp_block_header_crc(const struct kp_block_header *header)
{
    return kp_crc32c(0, header, offsetof(struct kp_block_header, header_crc));
}

const char kp_block_format_unknown[] = "its format is unknown";

const char *kp_block_header_wrong(const struct kp_block_header *header, uint64_t generation, uint64_t file_number,
                                  uint64_t file_offset, uint64_t file_bytes)
{
    if (header->magic != KP_BLOCK_MAGIC)
        return "no block begins here";
    if (header->header_crc != kp_block_header_crc(header))
        return "the header fails its checksum";
    if (header->generation != generation)
        return "it belongs to another log";
    if (kp_log_planted != KP_PLANT_STALE_TAKEN &&
        (header->file_number != file_number || header->file_offset != file_offset))
        return "it belongs to another place";
    if (header->format != KP_JOURNAL_FORMAT)
        return kp_block_format_unknown;
    if (header->payload_bytes > KP_BLOCK_BYTES_LIMIT - sizeof *header || file_offset > file_bytes ||
        kp_block_bytes(header) > file_bytes - file_offset)
        return "it is longer than its file";
    if (header->sequence - 1 >= KP_JOURNAL_COUNT_MAX || (uint64_t)header->position >= KP_JOURNAL_COUNT_MAX)
        return "its sequence or position cannot be";
    return NULL;
}

struct kp_entry_walk kp_entry_walk_start(const struct kp_block_header *header)
{
    const uint8_t *at = (const uint8_t *)(header + 1);
    return (struct kp_entry_walk){at, at + header->payload_bytes, header->entries};
}

bool kp_entry_walk_next(struct kp_entry_walk *walk, const struct kp_entry_header **ret_entry, const char **ret_wrong)
{
    *ret_wrong = NULL;
    if (walk->left == 0) {
        if (walk->at != walk->end)
            *ret_wrong = "bytes behind the last entry";
        return false;
    }
    const struct kp_entry_header *entry = (const struct kp_entry_header *)(const void *)walk->at;
    size_t left = (size_t)(walk->end - walk->at);
    if (left < sizeof *entry || entry->bytes > left || entry->payload_bytes > entry->bytes ||
        entry->bytes != kp_entry_bytes(entry->payload_bytes)) {
        *ret_wrong = "an entry does not fit";
        return false;
    }
    walk->at += entry->bytes;
    walk->left--;
    *ret_entry = entry;
    return true;
}
