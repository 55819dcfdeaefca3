/*
 * Rows that a transaction has read FOR UPDATE (or SHARE …), where they are known by their key. When it commits what it
 * wrote, each of them must be what it was at its snapshot, and no other transaction that locked it may have committed
 * since. Rows that nobody can name, and those of views and sources, are locked by their relation (reads.c).
 *
 *   locks  hash of relation and key ──► behind the last commit that had locked it        open addressing
 *
 * A lock is only asked about by transactions that began before that commit, so old ones may be forgotten: when the
 * table is full, it begins anew, and whatever was locked until then counts as locked at the last commit. That, and two
 * keys of one hash, can make a transaction fail that needed not, never the other way round.
 */
#include "base/hash.h"
#include "db/session.h"
#include "vec/multiset.h"

enum {
    SLOTS_MIN = 64,
    SLOTS_MAX = 65536 /* powers of two */,
    ROWS_MAX = 1000 /* of a transaction: then by relation */
};

struct slot {
    uint64_t hash; /* 0: free */
    int64_t position;
};

/* In a transaction's turn to commit. */
struct kp_row_locks {
    struct slot *slots;
    size_t cap, count;
    int64_t floor; /* what is not found was last locked here, or before */
};

struct kp_locked_row {
    struct kp_relation *relation; /* referenced */
    struct kp_datum *key;         /* in the session's writes_arena */
    uint64_t hash;
};

struct kp_row_locks *kp_row_locks_create(void)
{
    return kp_calloc(1, sizeof(struct kp_row_locks));
}

void kp_row_locks_destroy(struct kp_row_locks *locks)
{
    if (locks)
        kp_free(locks->slots);
    kp_free(locks);
}

static struct slot *place_of(const struct kp_row_locks *locks, uint64_t hash)
{
    size_t at = hash & (locks->cap - 1);
    while (locks->slots[at].hash && locks->slots[at].hash != hash)
        at = (at + 1) & (locks->cap - 1);
    return &locks->slots[at];
}

static void make_room(struct kp_row_locks *locks, int64_t position)
{
    if (2 * locks->count < locks->cap)
        return;
    struct kp_row_locks before = *locks;
    bool grows = before.cap < SLOTS_MAX;
    locks->cap = !before.cap ? SLOTS_MIN : grows ? 2 * before.cap : before.cap;
    locks->slots = kp_calloc(locks->cap, sizeof *locks->slots);
    for (size_t i = 0; grows && i < before.cap; i++)
        if (before.slots[i].hash)
            *place_of(locks, before.slots[i].hash) = before.slots[i];
    if (!grows) {
        locks->count = 0;
        locks->floor = position;
    }
    kp_free(before.slots);
}

static int64_t locked_at(const struct kp_row_locks *locks, uint64_t hash)
{
    const struct slot *slot = locks->cap ? place_of(locks, hash) : NULL;
    return slot && slot->hash ? slot->position : locks->floor;
}

/* ---- a transaction's ---- */

static struct kp_datum *keep_key(struct kp_session *session, const struct kp_relation *relation,
                                 const struct kp_datum *key)
{
    struct kp_datum *kept = kp_arena_alloc(&session->writes_arena, relation->key_count * sizeof *kept);
    memcpy(kept, key, relation->key_count * sizeof *kept);
    for (uint32_t k = 0; k < relation->key_count; k++)
        kp_value_copy_arena(kept[k].type.id, kept[k].raw, &session->writes_arena, kept[k].raw);
    return kept;
}

bool kp_row_locks_add(struct kp_session *session, struct kp_relation *relation, const struct kp_datum *key)
{
    struct kp_arena arena = {0};
    struct kp_str text = kp_writes_key(session, relation, key, &arena);
    bool own = kp_writes_find(session, relation, text, SIZE_MAX) != NULL; /* COMMIT looks at it anyway */
    uint64_t hash = (kp_writes_hash(text) ^ kp_hash_bytes(&relation->id, sizeof relation->id)) | 1;
    kp_arena_finish(&arena);
    size_t i = 0;
    while (i < session->locked_row_count && session->locked_rows[i].hash != hash)
        i++;
    if (own || i < session->locked_row_count)
        return true;
    if (i == ROWS_MAX)
        return false;
    session->locked_rows = kp_realloc(session->locked_rows, (i + 1) * sizeof *session->locked_rows);
    session->locked_rows[session->locked_row_count++] = (struct kp_locked_row){
        .relation = kp_relation_ref(relation), .key = keep_key(session, relation, key), .hash = hash};
    return true;
}

void kp_row_locks_forget(struct kp_session *session)
{
    for (size_t i = 0; i < session->locked_row_count; i++)
        kp_relation_unref(session->locked_rows[i].relation);
    kp_free(session->locked_rows);
    session->locked_rows = NULL;
    session->locked_row_count = 0;
}

/* ---- COMMIT ---- */

enum kp_code kp_row_locks_check(struct kp_session *session, const struct kp_snapshot *newest, struct kp_error *err)
{
    int64_t since = session->snapshot.position;
    for (size_t i = 0; session->has_snapshot && i < session->locked_row_count; i++) {
        const struct kp_locked_row *row = &session->locked_rows[i];
        const struct kp_relation *relation = row->relation;
        struct kp_live *live = kp_live_of(relation);
        enum kp_store_key_state state = KP_KEY_MISSING;
        if (live)
            KP_TRY(kp_store_key_state(live->store, newest, row->key, since, &state, err));
        bool locked = KP_MAX(relation->locked_at, locked_at(session->db->row_locks, row->hash)) > since;
        if (state != KP_KEY_SAME || locked)
            return kp_reads_fail(session, "A row of table", relation->name,
                                 locked                    ? "was locked by another transaction, too"
                                 : state == KP_KEY_MISSING ? "was deleted"
                                                           : "was changed",
                                 err);
    }
    return KP_OK;
}

void kp_row_locks_committed(struct kp_session *session, int64_t position)
{
    struct kp_row_locks *locks = session->db->row_locks;
    for (size_t i = 0; i < session->locked_row_count; i++) {
        const struct kp_locked_row *row = &session->locked_rows[i];
        make_room(locks, position);
        struct slot *slot = place_of(locks, row->hash);
        locks->count += !slot->hash;
        *slot = (struct slot){row->hash, position};
        row->relation->rows_locked_at = position;
    }
}
