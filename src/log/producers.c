/* A list without order, and a table of its numbers by producer, topic and partition. */
#include "log/producers.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "log/internal.h"
#include "log/record_batch.h"

enum { SLOTS_FIRST = 64, PRODUCER_ID_AT = 43 };

void kp_producers_finish(struct kp_producers *producers)
{
    kp_free(producers->list);
    kp_free(producers->slots);
    *producers = (struct kp_producers){0};
}

/* Where it is, or belongs. */
static uint32_t *slot_of(const struct kp_producers *producers, int64_t producer_id, uint32_t topic, uint32_t partition)
{
    uint64_t hash = kp_hash_combine(kp_hash_combine((uint64_t)producer_id, topic), partition);
    for (uint32_t at = (uint32_t)(hash >> 32);; at++) {
        uint32_t *slot = &producers->slots[at & (producers->slot_count - 1)];
        const struct kp_log_producer *known = *slot ? &producers->list[*slot - 1] : NULL;
        if (!known || (known->producer_id == producer_id && known->topic == topic && known->partition == partition))
            return slot;
    }
}

static void rebuild_slots(struct kp_producers *producers, uint32_t slot_count)
{
    kp_free(producers->slots);
    producers->slots = kp_calloc(slot_count, sizeof *producers->slots);
    producers->slot_count = slot_count;
    for (uint32_t i = 0; i < producers->count; i++) {
        const struct kp_log_producer *known = &producers->list[i];
        *slot_of(producers, known->producer_id, known->topic, known->partition) = i + 1;
    }
}

static int newest_first(const void *a, const void *b)
{
    const struct kp_log_producer *left = a, *right = b;
    int64_t left_position = left->batches[left->count - 1].position,
            right_position = right->batches[right->count - 1].position;
    return (left_position < right_position) - (left_position > right_position);
}

/* The number in the list + 1 of a new one. */
static uint32_t add(struct kp_producers *producers)
{
    if (producers->count == KP_LOG_PRODUCERS_MAX) { /* those not heard of for the longest go: half */
        qsort(producers->list, producers->count, sizeof *producers->list, newest_first);
        producers->count /= 2;
        rebuild_slots(producers, producers->slot_count);
    }
    if (producers->count == producers->cap) {
        producers->cap = KP_MAX(producers->cap * 2, (uint32_t)SLOTS_FIRST / 2);
        producers->list = kp_realloc(producers->list, producers->cap * sizeof *producers->list);
    }
    return ++producers->count;
}

void kp_producers_note(struct kp_producers *producers, const struct kp_entry_header *entry, int64_t position)
{
    const uint8_t *batch = (const uint8_t *)(entry + 1);
    struct kp_record_batch_info info;
    if (batch[PRODUCER_ID_AT] & 0x80) /* negative: most batches are not of such a producer */
        return;
    if (kp_record_batch_check(batch, entry->payload_bytes, false, &info, NULL) != KP_OK || info.base_sequence < 0 ||
        info.control)
        return;
    if ((producers->count + 1) * 2 > producers->slot_count)
        rebuild_slots(producers, producers->slot_count ? producers->slot_count * 2 : SLOTS_FIRST);
    uint32_t number = *slot_of(producers, info.producer_id, entry->topic, entry->partition);
    if (!number) {
        number = add(producers);
        producers->list[number - 1] = (struct kp_log_producer){.producer_id = info.producer_id,
                                                               .topic = entry->topic,
                                                               .partition = entry->partition,
                                                               .epoch = info.producer_epoch};
        *slot_of(producers, info.producer_id, entry->topic, entry->partition) = number;
    }
    struct kp_log_producer *known = &producers->list[number - 1];
    if (info.producer_epoch != known->epoch) { /* a new life */
        known->epoch = info.producer_epoch;
        known->count = 0;
    }
    if (known->count == KP_LOG_PRODUCER_BATCHES)
        memmove(known->batches, known->batches + 1, --known->count * sizeof known->batches[0]);
    int32_t first = info.base_sequence;
    known->batches[known->count].first = first; /* sequences wrap to 0 behind INT32_MAX */
    known->batches[known->count].last = (int32_t)(((uint32_t)first + (uint32_t)info.records - 1) & INT32_MAX);
    known->batches[known->count].offset = entry->base_offset;
    known->batches[known->count].position = position;
    known->count++;
}

bool kp_producers_take(struct kp_producers *producers, const uint8_t *bytes, size_t len)
{
    size_t count = len / sizeof *producers->list;
    bool good = len % sizeof *producers->list == 0 && count <= KP_LOG_PRODUCERS_MAX;
    struct kp_producers taken = {.list = kp_alloc(len + 1), .count = (uint32_t)count, .cap = (uint32_t)count};
    memcpy(taken.list, bytes, good ? len : 0);
    for (size_t i = 0; i < count && good; i++)
        good =
            taken.list[i].producer_id >= 0 && taken.list[i].count > 0 && taken.list[i].count <= KP_LOG_PRODUCER_BATCHES;
    uint32_t slots = SLOTS_FIRST;
    while (slots < 2 * (count + 1))
        slots *= 2;
    if (good && count) {
        rebuild_slots(&taken, slots);
        kp_producers_finish(producers);
        *producers = taken;
    } else {
        kp_producers_finish(&taken);
    }
    return good;
}

void kp_producers_before(const struct kp_producers *producers, int64_t position, struct kp_buf *out)
{
    for (uint32_t i = 0; i < producers->count; i++) {
        struct kp_log_producer known = producers->list[i];
        while (known.count && known.batches[known.count - 1].position >= position)
            memset(&known.batches[--known.count], 0, sizeof known.batches[0]);
        if (known.count)
            kp_buf_append(out, &known, sizeof known);
    }
}

void kp_log_producers(struct kp_log *log, struct kp_buf *out)
{
    kp_rwlock_read(&log->lock);
    kp_buf_append(out, log->producers.list, log->producers.count * sizeof *log->producers.list);
    kp_rwlock_unlock(&log->lock);
}
