/*
 * Dead letters: records that a source could not decode. The record itself stays in the log for ever; this is the list
 * that kappa.dead_letters shows, rebuilt by any replay, so it may forget: the newest DEAD_LETTERS_MAX are kept, all are
 * counted. A record may be met twice (by the live graph and by a backfill); it is known by relation and position and
 * counted once.
 */
#include "db/dead.h"

#include "base/hash.h"

enum { DEAD_LETTERS_MAX = 10000, SAMPLE_BYTES_MAX = 4096 };

struct kp_dead_letters {
    struct kp_mutex mutex;
    struct kp_dead_letter_entry ring[DEAD_LETTERS_MAX];
    uint64_t next;  /* entries noted so far; the ring's place is next % DEAD_LETTERS_MAX */
    uint64_t *seen; /* open addressing over hashes of (relation, position) */
    size_t seen_cap, seen_count;
};

struct kp_dead_letters *kp_dead_letters_create(void)
{
    struct kp_dead_letters *dead = kp_calloc(1, sizeof *dead);
    kp_mutex_init(&dead->mutex);
    return dead;
}

static void entry_finish(struct kp_dead_letter_entry *entry)
{
    kp_free(entry->relation);
    kp_free(entry->topic);
    kp_free(entry->reason);
    kp_buf_finish(&entry->key);
    kp_buf_finish(&entry->value);
}

void kp_dead_letters_destroy(struct kp_dead_letters *dead)
{
    if (!dead)
        return;
    for (size_t i = 0; i < DEAD_LETTERS_MAX; i++)
        entry_finish(&dead->ring[i]);
    kp_free(dead->seen);
    kp_mutex_finish(&dead->mutex);
    kp_free(dead);
}

/* True the first time. */
static bool note_seen(struct kp_dead_letters *dead, uint64_t hash)
{
    if (hash == 0)
        hash = 1;
    if (2 * dead->seen_count >= dead->seen_cap) {
        size_t cap = dead->seen_cap ? 2 * dead->seen_cap : 1024;
        uint64_t *grown = kp_calloc(cap, sizeof *grown);
        for (size_t i = 0; i < dead->seen_cap; i++) {
            if (!dead->seen[i])
                continue;
            size_t at = dead->seen[i] & (cap - 1);
            while (grown[at])
                at = (at + 1) & (cap - 1);
            grown[at] = dead->seen[i];
        }
        kp_free(dead->seen);
        dead->seen = grown;
        dead->seen_cap = cap;
    }
    size_t at = hash & (dead->seen_cap - 1);
    for (; dead->seen[at]; at = (at + 1) & (dead->seen_cap - 1))
        if (dead->seen[at] == hash)
            return false;
    dead->seen[at] = hash;
    dead->seen_count++;
    return true;
}

void kp_dead_letter_note(void *arg, const struct kp_relation *relation, const struct kp_dead_letter *letter)
{
    struct kp_db *db = arg;
    struct kp_dead_letters *dead = db->dead;
    kp_mutex_lock(&dead->mutex);
    if (note_seen(dead, kp_hash_combine(relation->id, (uint64_t)letter->position))) {
        struct kp_dead_letter_entry *entry = &dead->ring[dead->next++ % DEAD_LETTERS_MAX];
        entry_finish(entry);
        *entry = (struct kp_dead_letter_entry){.relation = kp_strdup(relation->name),
                                               .topic = kp_strdup(relation->topic),
                                               .reason = kp_strdup(letter->reason),
                                               .relation_id = relation->id,
                                               .partition = letter->partition,
                                               .offset = letter->offset,
                                               .position = letter->position};
        memcpy(entry->sqlstate, letter->sqlstate, sizeof entry->sqlstate);
        kp_buf_append(&entry->key, letter->key.ptr, KP_MIN(letter->key.len, (size_t)SAMPLE_BYTES_MAX));
        kp_buf_append(&entry->value, letter->value.ptr, KP_MIN(letter->value.len, (size_t)SAMPLE_BYTES_MAX));
    }
    kp_mutex_unlock(&dead->mutex);
}

uint64_t kp_dead_letters_count(struct kp_dead_letters *dead)
{
    kp_mutex_lock(&dead->mutex);
    uint64_t count = dead->next;
    kp_mutex_unlock(&dead->mutex);
    return count;
}

void kp_dead_letters_each(struct kp_dead_letters *dead,
                          void (*each)(void *arg, const struct kp_dead_letter_entry *entry), void *arg)
{
    kp_mutex_lock(&dead->mutex);
    uint64_t first = dead->next > DEAD_LETTERS_MAX ? dead->next - DEAD_LETTERS_MAX : 0;
    for (uint64_t i = first; i < dead->next; i++)
        each(arg, &dead->ring[i % DEAD_LETTERS_MAX]);
    kp_mutex_unlock(&dead->mutex);
}
