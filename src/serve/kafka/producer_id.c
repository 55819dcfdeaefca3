#include "serve/kafka/producer_id.h"

#include "base/hash.h"
#include "log/producers.h"
#include "os/thread.h"

enum { STRIPES = 16, SLOTS_FIRST = 64, KNOWN_MAX = 65536 /* of a stripe */, BATCHES = 5 };

struct known {
    int64_t producer_id; /* -1: free */
    uint32_t topic, partition;
    int16_t epoch;
    uint8_t count, newest; /* batches[newest] is the last one, the one before it lies before it */
    int32_t next;          /* the sequence that follows; -1: any */
    uint64_t used;         /* the stripe's clock */
    struct {
        int32_t first, last;
        int64_t offset;
        uint64_t era; /* of its append; 0: it is durable */
    } batches[BATCHES];
};

struct settled {
    struct kp_producer_batch batch;
    bool durable;
    struct settled *next;
};

struct stripe {
    struct kp_mutex settled_lock; /* the log's writer takes no other: who has `lock` may wait for it */
    struct settled *settled;      /* not looked at yet; the newest first */
    struct kp_mutex lock;         /* of all below */
    struct known *slots;          /* open addressing, linear */
    uint32_t mask, count;
    uint64_t clock;
};

struct kp_kafka_producers {
    struct stripe stripes[STRIPES];
};

void kp_kafka_producers_destroy(struct kp_kafka_producers *producers)
{
    for (int i = 0; i < STRIPES; i++) {
        while (producers->stripes[i].settled) {
            struct settled *settled = producers->stripes[i].settled;
            producers->stripes[i].settled = settled->next;
            kp_free(settled);
        }
        kp_mutex_finish(&producers->stripes[i].settled_lock);
        kp_mutex_finish(&producers->stripes[i].lock);
        kp_free(producers->stripes[i].slots);
    }
    kp_free(producers);
}

static struct stripe *stripe_of(struct kp_kafka_producers *producers, int64_t producer_id)
{
    return &producers->stripes[(uint32_t)kp_hash_u64((uint64_t)producer_id) % STRIPES];
}

static uint32_t hash_of(int64_t producer_id, uint32_t topic, uint32_t partition)
{
    return (uint32_t)(kp_hash_combine(kp_hash_combine((uint64_t)producer_id, topic), partition) >> 32);
}

static struct known *slot_find(struct stripe *stripe, int64_t producer_id, uint32_t topic, uint32_t partition)
{
    uint32_t at = hash_of(producer_id, topic, partition) & stripe->mask;
    for (;; at = (at + 1) & stripe->mask) {
        struct known *known = &stripe->slots[at];
        if (known->producer_id < 0 ||
            (known->producer_id == producer_id && known->topic == topic && known->partition == partition))
            return known;
    }
}

/* Moves all into a table of this size; `keep_from`: what was used before is forgotten. */
static void rebuild(struct stripe *stripe, uint32_t size, uint64_t keep_from)
{
    struct known *old = stripe->slots;
    uint32_t old_size = old ? stripe->mask + 1 : 0;
    stripe->slots = kp_calloc(size, sizeof *stripe->slots);
    stripe->mask = size - 1;
    stripe->count = 0;
    for (uint32_t i = 0; i < size; i++)
        stripe->slots[i].producer_id = -1;
    for (uint32_t i = 0; i < old_size; i++)
        if (old[i].producer_id >= 0 && old[i].used >= keep_from) {
            *slot_find(stripe, old[i].producer_id, old[i].topic, old[i].partition) = old[i];
            stripe->count++;
        }
    kp_free(old);
}

static struct known *slot_take(struct stripe *stripe, const struct kp_producer_batch *batch)
{
    if (!stripe->slots || stripe->count * 2 > stripe->mask) {
        uint32_t size = stripe->slots ? (stripe->mask + 1) * 2 : SLOTS_FIRST;
        if (stripe->count >= KNOWN_MAX) /* those not heard of for the longest go: about half */
            rebuild(stripe, stripe->mask + 1, stripe->clock - KNOWN_MAX / 2);
        else
            rebuild(stripe, size, 0);
    }
    struct known *known = slot_find(stripe, batch->producer_id, batch->topic, batch->partition);
    if (known->producer_id < 0) {
        *known = (struct known){.producer_id = batch->producer_id,
                                .topic = batch->topic,
                                .partition = batch->partition,
                                .epoch = batch->epoch,
                                .next = -1};
        stripe->count++;
    }
    known->used = ++stripe->clock;
    return known;
}

/* Sequences wrap to 0 behind INT32_MAX. */
static int32_t sequence_add(int32_t sequence, int32_t n)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)n) & INT32_MAX);
}

/* ---- beginning ---- */

static void take_known(struct kp_kafka_producers *producers, const struct kp_log_producer *from)
{
    struct kp_producer_batch batch = {
        .producer_id = from->producer_id, .epoch = from->epoch, .topic = from->topic, .partition = from->partition};
    struct known *known = slot_take(stripe_of(producers, from->producer_id), &batch);
    for (uint16_t i = 0; i < from->count; i++) {
        known->batches[i].first = from->batches[i].first;
        known->batches[i].last = from->batches[i].last;
        known->batches[i].offset = from->batches[i].offset;
    }
    known->count = (uint8_t)from->count;
    known->newest = (uint8_t)(from->count - 1);
    known->next = sequence_add(known->batches[known->newest].last, 1);
}

struct kp_kafka_producers *kp_kafka_producers_create(struct kp_log *log)
{
    struct kp_kafka_producers *producers = kp_calloc(1, sizeof *producers);
    struct kp_buf known = {0};
    for (int i = 0; i < STRIPES; i++) {
        kp_mutex_init(&producers->stripes[i].settled_lock);
        kp_mutex_init(&producers->stripes[i].lock);
    }
    kp_log_producers(log, &known);
    for (size_t at = 0; at < known.len; at += sizeof(struct kp_log_producer))
        take_known(producers, (const void *)(known.data + at));
    kp_buf_finish(&known);
    return producers;
}

/* ---- what became of appends ---- */

void kp_producer_settled(struct kp_kafka_producers *producers, const struct kp_producer_batch *batch, bool durable)
{
    struct stripe *stripe = stripe_of(producers, batch->producer_id);
    struct settled *settled = kp_alloc(sizeof *settled);
    kp_mutex_lock(&stripe->settled_lock);
    *settled = (struct settled){*batch, durable, stripe->settled};
    stripe->settled = settled;
    kp_mutex_unlock(&stripe->settled_lock);
}

/* The batch of that index, counted back from the newest. */
static int index_back(const struct known *known, int back)
{
    return (known->newest - back + BATCHES) % BATCHES;
}

/* How far back the batch is; -1: it is not known. */
static int find_back(const struct known *known, const struct kp_producer_batch *batch)
{
    int32_t last = sequence_add(batch->sequence, batch->records - 1);
    for (int back = 0; back < known->count; back++) {
        int at = index_back(known, back);
        if (known->batches[at].first == batch->sequence && known->batches[at].last == last)
            return back;
    }
    return -1;
}

/* A batch that was refused is forgotten, and those behind it. With the lock. */
static void settle(struct stripe *stripe, const struct settled *settled)
{
    const struct kp_producer_batch *batch = &settled->batch;
    struct known *known = slot_find(stripe, batch->producer_id, batch->topic, batch->partition);
    int back = known->producer_id < 0 || known->epoch != batch->epoch ? -1 : find_back(known, batch);
    if (back < 0)
        return;
    if (settled->durable) {
        known->batches[index_back(known, back)].era = 0;
        return;
    }
    known->newest = (uint8_t)index_back(known, back + 1);
    known->count = (uint8_t)(known->count - back - 1);
    known->next = batch->sequence;
}

static void settle_all(struct stripe *stripe)
{
    kp_mutex_lock(&stripe->settled_lock);
    struct settled *settled = stripe->settled;
    stripe->settled = NULL;
    kp_mutex_unlock(&stripe->settled_lock);
    while (settled) {
        struct settled *next = settled->next;
        settle(stripe, settled);
        kp_free(settled);
        settled = next;
    }
}

/* ---- turns ---- */

bool kp_producer_turn_begin(struct kp_kafka_producers *producers, const struct kp_producer_batch *batch,
                            struct kp_producer_turn *ret_turn, enum kp_kafka_error *ret_error)
{
    struct stripe *stripe = stripe_of(producers, batch->producer_id);
    kp_mutex_lock(&stripe->lock);
    struct known *known = slot_take(stripe, batch);
    settle_all(stripe);
    *ret_error = KP_KAFKA_NONE;
    ret_turn->follows = 0;
    if (batch->epoch < known->epoch) {
        *ret_error = KP_KAFKA_INVALID_PRODUCER_EPOCH;
    } else if (batch->epoch > known->epoch || known->next < 0) {
        known->epoch = batch->epoch; /* a new life, or one that we have forgotten: it says where it begins */
        known->count = 0;
        known->next = -1;
        return true;
    } else {
        int back = find_back(known, batch);
        if (back >= 0) {
            ret_turn->known_offset = known->batches[index_back(known, back)].offset;
            ret_turn->known_durable = !known->batches[index_back(known, back)].era;
        } else if (known->next == batch->sequence) {
            ret_turn->follows = known->count ? known->batches[known->newest].era : 0;
            return true;
        } else {
            *ret_error = KP_KAFKA_OUT_OF_ORDER_SEQUENCE;
        }
    }
    kp_mutex_unlock(&stripe->lock);
    return false;
}

void kp_producer_turn_end(struct kp_kafka_producers *producers, const struct kp_producer_batch *batch,
                          const struct kp_log_entry *entry)
{
    struct stripe *stripe = stripe_of(producers, batch->producer_id);
    if (entry) {
        struct known *known = slot_find(stripe, batch->producer_id, batch->topic, batch->partition);
        known->newest = (uint8_t)(known->count ? (known->newest + 1) % BATCHES : 0);
        known->count = (uint8_t)(known->count + (known->count < BATCHES));
        known->batches[known->newest].first = batch->sequence;
        known->batches[known->newest].last = sequence_add(batch->sequence, batch->records - 1);
        known->batches[known->newest].offset = entry->base_offset;
        known->batches[known->newest].era = entry->era;
        known->next = sequence_add(known->batches[known->newest].last, 1);
    }
    kp_mutex_unlock(&stripe->lock);
}

/*
 * InitProducerId
 * Request   transactional id, timeout          Answer   throttle, error, producer id, epoch
 *
 * Ids are random: they need not be noted anywhere to be new after a restart.
 */
enum kp_kafka_outcome kp_kafka_init_producer_id(struct kp_kafka_request *request)
{
    struct kp_kafka_reader *in = &request->in;
    struct kp_kafka_writer *out = &request->out;
    bool transactional = kp_kafka_get_string(in).ptr != NULL;
    kp_kafka_get_i32(in);
    if (in->bad)
        return KP_KAFKA_MALFORMED;
    struct kp_os *os = kp_net_os(request->conn->net);
    int64_t id;
    os->random(os->ctx, &id, sizeof id);
    kp_kafka_put_i32(out, 0);
    kp_kafka_put_i16(out, transactional ? KP_KAFKA_INVALID_TXN_STATE : KP_KAFKA_NONE);
    kp_kafka_put_i64(out, transactional ? -1 : id & INT64_MAX);
    kp_kafka_put_i16(out, transactional ? -1 : 0);
    return KP_KAFKA_ANSWERED;
}
