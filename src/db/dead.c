/*
 * Dead letters: records that a source could not decode. The record itself stays in the log for ever; this is the list
 * that kappa.dead_letters shows, rebuilt by any replay, so it may forget: the newest DEAD_LETTERS_MAX are kept, all are
 * counted. A record may be met twice (by the live graph and by a backfill); it is known by relation and position and
 * counted once, if it is not met again behind some SEEN_MAX others: those of before are forgotten, or a source of which
 * no record fits would take all memory. Letters of rows that were decoded, and are refused all the same (an event time
 * too far ahead, a key that is null), come without their record's bytes, which history columns do not have: they are
 * read from the log when somebody looks. So are the records of sources that no view reads: whoever wants the list
 * decodes what came since it was wanted last.
 */
#include "db/dead.h"

#include "base/hash.h"
#include "db/source_scan.h"
#include "log/record_batch.h"

enum { DEAD_LETTERS_MAX = 10000, SAMPLE_BYTES_MAX = 4096, SEEN_MAX = 1 << 20 };

/* How far a source that no view reads was searched. */
struct searched {
    uint32_t relation_id;
    int64_t position;
};

/* Open addressing over hashes of (relation, position); 0: free. */
struct seen {
    uint64_t *hashes;
    size_t cap, count;
};

struct kp_dead_letters {
    struct kp_mutex mutex;
    struct kp_dead_letter_entry ring[DEAD_LETTERS_MAX];
    uint64_t next;            /* entries noted so far; the ring's place is next % DEAD_LETTERS_MAX */
    struct seen young, older; /* SEEN_MAX each; when the young one is full it becomes the older one */
    struct searched *searched;
    size_t searched_count;
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
    kp_free(dead->young.hashes);
    kp_free(dead->older.hashes);
    kp_free(dead->searched);
    kp_mutex_finish(&dead->mutex);
    kp_free(dead);
}

/* Where the hash is, or would be. */
static size_t place_of(const struct seen *seen, uint64_t hash)
{
    size_t at = hash & (seen->cap - 1);
    while (seen->hashes[at] && seen->hashes[at] != hash)
        at = (at + 1) & (seen->cap - 1);
    return at;
}

static bool has_seen(const struct seen *seen, uint64_t hash)
{
    return seen->cap && seen->hashes[place_of(seen, hash)] == hash;
}

static void see(struct seen *seen, uint64_t hash)
{
    if (2 * seen->count >= seen->cap) {
        struct seen grown = {.cap = seen->cap ? 2 * seen->cap : 1024, .count = seen->count};
        grown.hashes = kp_calloc(grown.cap, sizeof *grown.hashes);
        for (size_t i = 0; i < seen->cap; i++)
            if (seen->hashes[i])
                grown.hashes[place_of(&grown, seen->hashes[i])] = seen->hashes[i];
        kp_free(seen->hashes);
        *seen = grown;
    }
    seen->hashes[place_of(seen, hash)] = hash;
    seen->count++;
}

/* True the first time. */
static bool note_seen(struct kp_dead_letters *dead, uint64_t hash)
{
    hash = hash ? hash : 1;
    if (has_seen(&dead->young, hash) || has_seen(&dead->older, hash))
        return false;
    if (dead->young.count == SEEN_MAX) {
        kp_free(dead->older.hashes);
        dead->older = dead->young;
        dead->young = (struct seen){0};
    }
    see(&dead->young, hash);
    return true;
}

size_t kp_dead_letters_seen_bytes(struct kp_dead_letters *dead)
{
    kp_mutex_lock(&dead->mutex);
    size_t bytes = (dead->young.cap + dead->older.cap) * sizeof *dead->young.hashes;
    kp_mutex_unlock(&dead->mutex);
    return bytes;
}

void kp_dead_letter_note(void *arg, const struct kp_relation *relation, const struct kp_dead_letter *letter)
{
    struct kp_db *db = arg;
    struct kp_dead_letters *dead = db->dead;
    if (relation->versions_of) /* the table notes it */
        return;
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
        struct kp_topic_info topic;
        struct kp_error none;
        entry->bare = !letter->key.ptr && !letter->value.ptr &&
                      kp_log_topic_find(db->log, relation->topic, &topic, &none) == KP_OK;
        entry->topic_id = entry->bare ? topic.id : 0;
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

/* ---- bytes ---- */

struct wanted {
    uint64_t number; /* of the entry */
    uint32_t topic, partition;
    int64_t offset;
    struct kp_buf key, value;
};

/* One record batch being read. */
struct reading {
    const struct wanted *at; /* the record that was sought last */
    struct kp_buf bytes;
    struct kp_arena arena;
    struct kp_record_reader reader;
    bool open;
};

static void read_batch(struct kp_log *log, struct reading *reading, const struct wanted *wanted)
{
    struct kp_error none;
    reading->bytes.len = 0;
    kp_arena_reset(&reading->arena);
    reading->open =
        kp_log_fetch(log, wanted->topic, wanted->partition, wanted->offset, 1, &reading->bytes, &none) == KP_OK &&
        reading->bytes.len > 0 &&
        kp_record_reader_init(&reading->reader, reading->bytes.data, reading->bytes.len, &reading->arena, &none) ==
            KP_OK;
}

/* A record that is gone, or cannot be read, leaves the bytes empty. */
static void read_record(struct kp_log *log, struct reading *reading, struct wanted *wanted)
{
    const struct wanted *last = reading->at;
    const struct kp_record_batch_info *info = &reading->reader.info;
    bool same = reading->open && last->topic == wanted->topic && last->partition == wanted->partition &&
                last->offset < wanted->offset && wanted->offset <= info->base_offset + info->last_offset_delta;
    if (!same)
        read_batch(log, reading, wanted);
    reading->at = wanted;
    struct kp_record record;
    struct kp_error none;
    while (reading->open && kp_record_reader_next(&reading->reader, &record, &none)) {
        if (info->base_offset + record.offset_delta < wanted->offset)
            continue;
        if (info->base_offset + record.offset_delta > wanted->offset)
            break; /* compaction took it */
        kp_buf_append(&wanted->key, record.key.ptr, KP_MIN(record.key.len, (size_t)SAMPLE_BYTES_MAX));
        kp_buf_append(&wanted->value, record.value.ptr, KP_MIN(record.value.len, (size_t)SAMPLE_BYTES_MAX));
        return;
    }
    reading->open = false;
}

/* Entries without bytes, noted so that the log is read outside of the lock. */
static struct wanted *list_bare(struct kp_dead_letters *dead, size_t *ret_count)
{
    struct wanted *list = NULL;
    size_t count = 0, cap = 0;
    kp_mutex_lock(&dead->mutex);
    for (uint64_t i = dead->next > DEAD_LETTERS_MAX ? dead->next - DEAD_LETTERS_MAX : 0; i < dead->next; i++) {
        const struct kp_dead_letter_entry *entry = &dead->ring[i % DEAD_LETTERS_MAX];
        if (!entry->bare)
            continue;
        if (count == cap)
            list = kp_realloc(list, (cap = KP_MAX(2 * cap, (size_t)64)) * sizeof *list);
        list[count++] = (struct wanted){
            .number = i, .topic = entry->topic_id, .partition = entry->partition, .offset = entry->offset};
    }
    kp_mutex_unlock(&dead->mutex);
    *ret_count = count;
    return list;
}

void kp_dead_letters_read(struct kp_db *db)
{
    struct kp_dead_letters *dead = db->dead;
    size_t count;
    struct wanted *list = list_bare(dead, &count);
    struct reading reading = {0};
    for (size_t i = 0; i < count; i++)
        read_record(db->log, &reading, &list[i]);
    kp_mutex_lock(&dead->mutex);
    for (size_t i = 0; i < count; i++) {
        struct kp_dead_letter_entry *entry = &dead->ring[list[i].number % DEAD_LETTERS_MAX];
        bool still = dead->next <= list[i].number + DEAD_LETTERS_MAX && entry->bare;
        if (still) {
            entry->key = list[i].key;
            entry->value = list[i].value;
            entry->bare = false;
        } else {
            kp_buf_finish(&list[i].key);
            kp_buf_finish(&list[i].value);
        }
    }
    kp_mutex_unlock(&dead->mutex);
    kp_buf_finish(&reading.bytes);
    kp_arena_finish(&reading.arena);
    kp_free(list);
}

/* ---- sources that no view reads ---- */

/* The mark of a source, which is made if there is none. Under the lock. */
static struct searched *searched_of(struct kp_dead_letters *dead, uint32_t relation_id)
{
    for (size_t i = 0; i < dead->searched_count; i++)
        if (dead->searched[i].relation_id == relation_id)
            return &dead->searched[i];
    dead->searched = kp_realloc(dead->searched, (dead->searched_count + 1) * sizeof *dead->searched);
    dead->searched[dead->searched_count] = (struct searched){.relation_id = relation_id};
    return &dead->searched[dead->searched_count++];
}

struct unread {
    struct kp_relation **sources; /* referenced */
    size_t count;
};

/* Engine thread: the sources that the live graph does not read. */
static enum kp_code list_unread(struct kp_db *db, void *arg, struct kp_error *err)
{
    struct unread *unread = arg;
    kp_catalog_read(db->catalog);
    size_t count = kp_catalog_count(db->catalog);
    unread->sources = kp_calloc(count + 1, sizeof *unread->sources);
    for (size_t i = 0; i < count; i++) {
        struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        if (relation->kind != KP_RELATION_SOURCE || relation->versions_of)
            continue;
        const struct kp_node *node = kp_engine_node(db, relation);
        if (!node || !kp_node_is_read(node))
            unread->sources[unread->count++] = kp_relation_ref(relation);
    }
    kp_catalog_unlock(db->catalog);
    return KP_OK;
}

static enum kp_code search(struct kp_session *session, struct kp_relation *source, int64_t position,
                           struct kp_error *err)
{
    struct kp_dead_letters *dead = session->db->dead;
    struct kp_topic_info topic;
    if (kp_log_topic_find(session->db->log, source->topic, &topic, NULL) != KP_OK)
        return KP_OK; /* it has lost its name: kappa.topics says so */
    kp_mutex_lock(&dead->mutex);
    int64_t begin = searched_of(dead, source->id)->position;
    kp_mutex_unlock(&dead->mutex);
    if (begin < position)
        KP_TRY(kp_source_find_dead(session, source, begin, position, err));
    kp_mutex_lock(&dead->mutex);
    struct searched *searched = searched_of(dead, source->id);
    searched->position = KP_MAX(searched->position, position);
    kp_mutex_unlock(&dead->mutex);
    return KP_OK;
}

enum kp_code kp_dead_letters_search(struct kp_session *session, struct kp_error *err)
{
    struct unread unread = {0};
    struct kp_snapshot snapshot;
    bool own;
    KP_TRY(kp_session_snapshot(session, &snapshot, &own, err));
    enum kp_code code = kp_engine_call(session->db, list_unread, &unread, err);
    for (size_t i = 0; i < unread.count; i++) {
        if (code == KP_OK)
            code = search(session, unread.sources[i], snapshot.position, err);
        kp_relation_unref(unread.sources[i]);
    }
    if (own)
        kp_snapshot_release(session->db->clock, &snapshot);
    kp_free(unread.sources);
    return code;
}
