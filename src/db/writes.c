/*
 * A transaction's writes, until COMMIT: found by their key, seen by its own reads, and appended to the log as one
 * atomic group.
 *
 *   writes       w0 ── w1 ── w2 ── w3 …      in order; `previous` and `replaced_by` link those of one key
 *   write_index  key ──► its last write      open addressing; writes without a key (of sources) are not in it
 *
 * A statement reads what the writes before it made of the tables (visible_writes), never its own, as PostgreSQL's
 * snapshot does. One commit at a time looks at the newest rows: a key that was not there and is now is 23505;
 * one that was there and has gone or changed since the snapshot is 40001. A single statement is then run again by
 * kp_execute, from a new snapshot, so that it never loses another's change.
 */
#include "db/sequence.h"

#include "base/hash.h"

enum { BATCH_BYTES_MAX = 512 << 10, INDEX_CAP_MIN = 64, TURN_SLICE_US = 10000 };

/* ---- keys ---- */

struct kp_str kp_writes_key(struct kp_session *session, const struct kp_relation *relation,
                            const struct kp_datum *values, struct kp_arena *arena)
{
    struct kp_buf buf = {0};
    if (kp_relation_keyless(relation)) {
        kp_value_print(values[0].type, values[0].raw, session->zone, &buf);
    } else {
        kp_buf_append_byte(&buf, '[');
        for (uint32_t i = 0; i < relation->key_count; i++) {
            if (i)
                kp_buf_append_byte(&buf, ',');
            kp_value_print_json(values[i].type, values[i].raw, session->zone, &buf);
        }
        kp_buf_append_byte(&buf, ']');
    }
    struct kp_str key = {kp_arena_strndup(arena, (const char *)buf.data, buf.len), buf.len};
    kp_buf_finish(&buf);
    return key;
}

uint64_t kp_writes_hash(struct kp_str key)
{
    return kp_hash_bytes(key.ptr, key.len);
}

enum kp_code kp_writes_key_error(struct kp_session *session, const struct kp_relation *relation,
                                 const struct kp_datum *values, struct kp_error *err)
{
    struct kp_buf names = {0}, texts = {0};
    for (uint32_t i = 0; i < relation->key_count; i++) {
        kp_buf_printf(&names, "%s%s", i ? ", " : "", relation->cols[relation->keys[i]].name);
        if (i)
            kp_buf_append_text(&texts, ", ");
        kp_value_print(values[i].type, values[i].raw, session->zone, &texts);
    }
    kp_buf_append_byte(&names, 0);
    kp_buf_append_byte(&texts, 0);
    (void)kp_fail(err, KP_EXISTS, "23505", "duplicate key value violates unique constraint \"%s_pkey\"",
                  relation->name);
    (void)kp_error_detail(err, "Key (%s)=(%s) already exists.", (char *)names.data, (char *)texts.data);
    kp_buf_finish(&names);
    kp_buf_finish(&texts);
    return KP_EXISTS;
}

/* ---- the index ---- */

/* The place of the key in the index: of its last write, or free. */
static size_t *place_of(const struct kp_session *session, const struct kp_relation *relation, struct kp_str key,
                        uint64_t hash)
{
    size_t mask = session->write_index_cap - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        size_t *place = &session->write_index[at];
        const struct kp_pending_write *write = *place ? &session->writes[*place - 1] : NULL;
        if (!write || (write->key_hash == hash && write->relation == relation && kp_str_equal(write->key, key)))
            return place;
    }
}

/* Into an index that is empty. */
static void fill_index(struct kp_session *session)
{
    for (size_t i = 0; i < session->write_count; i++) {
        const struct kp_pending_write *write = &session->writes[i];
        if (write->key.ptr)
            *place_of(session, write->relation, write->key, write->key_hash) = i + 1;
    }
}

static void grow_index(struct kp_session *session)
{
    if (session->write_index_cap > 2 * session->write_count)
        return;
    kp_free(session->write_index);
    session->write_index_cap = session->write_index_cap ? session->write_index_cap * 4 : INDEX_CAP_MIN;
    session->write_index = kp_calloc(session->write_index_cap, sizeof *session->write_index);
    fill_index(session);
}

const struct kp_pending_write *kp_writes_find(const struct kp_session *session, const struct kp_relation *relation,
                                              struct kp_str key, size_t limit)
{
    if (!session->write_count)
        return NULL;
    size_t at = *place_of(session, relation, key, kp_writes_hash(key));
    while (at > limit)
        at = session->writes[at - 1].previous;
    return at ? &session->writes[at - 1] : NULL;
}

void kp_writes_add(struct kp_session *session, struct kp_pending_write write)
{
    if (session->write_count == session->write_cap) {
        session->write_cap = session->write_cap ? 2 * session->write_cap : 16;
        session->writes = kp_realloc(session->writes, session->write_cap * sizeof *session->writes);
    }
    grow_index(session);
    write.relation = kp_relation_ref(write.relation);
    write.key_hash = kp_writes_hash(write.key);
    write.previous = 0;
    write.replaced_by = SIZE_MAX;
    if (write.key.ptr) {
        size_t *place = place_of(session, write.relation, write.key, write.key_hash);
        write.previous = *place;
        if (*place)
            session->writes[*place - 1].replaced_by = session->write_count;
        *place = session->write_count + 1;
    }
    session->writes[session->write_count++] = write;
}

void kp_writes_forget(struct kp_session *session)
{
    for (size_t i = 0; i < session->write_count; i++)
        kp_relation_unref(session->writes[i].relation);
    if (session->write_count)
        memset(session->write_index, 0, session->write_index_cap * sizeof *session->write_index);
    session->write_count = 0;
    session->write_bytes = 0;
    kp_arena_reset(&session->writes_arena);
}

void kp_writes_truncate(struct kp_session *session, size_t count, size_t bytes)
{
    if (count == session->write_count)
        return;
    for (size_t i = count; i < session->write_count; i++)
        kp_relation_unref(session->writes[i].relation);
    session->write_count = count;
    session->write_bytes = bytes;
    for (size_t i = 0; i < count; i++)
        if (session->writes[i].replaced_by != SIZE_MAX && session->writes[i].replaced_by >= count)
            session->writes[i].replaced_by = SIZE_MAX;
    memset(session->write_index, 0, session->write_index_cap * sizeof *session->write_index);
    fill_index(session);
}

/* ---- own reads ---- */

size_t kp_writes_visible(const struct kp_session *session)
{
    return KP_MIN(session->visible_writes, session->write_count);
}

bool kp_writes_touch(const struct kp_session *session, const struct kp_relation *relation)
{
    size_t visible = kp_writes_visible(session);
    for (size_t i = 0; i < visible; i++)
        if (session->writes[i].relation == relation && relation->key_count)
            return true;
    return false;
}

bool kp_writes_hide(struct kp_session *session, const struct kp_relation *relation, const struct kp_batch *batch,
                    uint32_t row)
{
    struct kp_arena arena = {0};
    struct kp_datum *values = kp_arena_alloc(&arena, relation->key_count * sizeof *values);
    for (uint32_t i = 0; i < relation->key_count; i++)
        kp_vec_get(&batch->vecs[relation->keys[i]], row, &values[i]);
    struct kp_str key = kp_writes_key(session, relation, values, &arena);
    bool hidden = kp_writes_find(session, relation, key, kp_writes_visible(session)) != NULL;
    kp_arena_finish(&arena);
    return hidden;
}

/* ---- COMMIT ---- */

static enum kp_code check_write(struct kp_session *session, const struct kp_pending_write *write, int64_t read_at,
                                const struct kp_snapshot *newest, struct kp_error *err)
{
    struct kp_live *live = kp_live_of(write->relation);
    enum kp_store_key_state state;
    KP_TRY(kp_store_key_state(live->store, newest, write->key_values, read_at, &state, err));
    if (!write->existed && !write->row)
        return KP_OK; /* it came and went within the transaction */
    if (!write->existed && state == KP_KEY_MISSING)
        return KP_OK;
    if (write->existed && state == KP_KEY_SAME)
        return KP_OK;
    session->lost = true;
    if (!write->existed)
        return kp_writes_key_error(session, write->relation, write->key_values, err);
    (void)kp_fail(err, KP_BUSY, "40001", "could not serialize access due to concurrent %s",
                  state == KP_KEY_MISSING ? "delete" : "update");
    if (err)
        err->retriable = true;
    return KP_BUSY;
}

/* The engine must have seen every earlier write before keys are looked up again. */
static enum kp_code check_conflicts(struct kp_session *session, struct kp_error *err)
{
    struct kp_db *db = session->db;
    bool tables = session->locked_row_count > 0;
    for (size_t i = 0; i < session->write_count; i++)
        tables |= session->writes[i].relation->kind == KP_RELATION_TABLE;
    if (!tables)
        return KP_OK;
    int64_t newest = kp_log_position(db->log);
    while (!kp_view_clock_wait(db->clock, newest, 50000))
        KP_TRY(kp_session_check(session, err));
    struct kp_snapshot snapshot;
    kp_snapshot_acquire(db->clock, &snapshot);
    int64_t read_at = session->has_snapshot ? session->snapshot.position : snapshot.position;
    enum kp_code code = KP_OK;
    for (size_t i = 0; code == KP_OK && i < session->write_count; i++) {
        const struct kp_pending_write *write = &session->writes[i];
        if (write->replaced_by == SIZE_MAX && write->key.ptr && kp_live_of(write->relation))
            code = check_write(session, write, read_at, &snapshot, err);
    }
    if (code == KP_OK)
        code = kp_row_locks_check(session, &snapshot, err);
    kp_snapshot_release(db->clock, &snapshot);
    return code;
}

/* A run of one partition is one batch. */
enum kp_code kp_writes_group(struct kp_session *session, size_t first, struct kp_write_group *group,
                             struct kp_error *err)
{
    int64_t now_ms = session->db->os->wall_us(session->db->os->ctx) / 1000;
    struct kp_record_batch_builder builder = {0};
    enum kp_code code = KP_OK;
    group->entries = kp_calloc(session->write_count - first + 1, sizeof *group->entries);
    group->bytes = kp_calloc(session->write_count - first + 1, sizeof *group->bytes);
    for (size_t i = first; code == KP_OK && i < session->write_count; i++) {
        const struct kp_pending_write *write = &session->writes[i], *next = write + 1;
        if (write->replaced_by == SIZE_MAX)
            kp_record_batch_add(&builder, now_ms, write->key, write->value, (struct kp_str){NULL, 0});
        bool last = i + 1 == session->write_count || next->topic != write->topic ||
                    next->partition != write->partition || kp_record_batch_builder_bytes(&builder) > BATCH_BYTES_MAX;
        if (!last || builder.count == 0)
            continue;
        struct kp_buf *bytes = &group->bytes[group->count];
        code = kp_record_batch_build(&builder, KP_CODEC_NONE, bytes, err);
        group->entries[group->count++] = (struct kp_log_entry){.topic = write->topic,
                                                               .partition = write->partition,
                                                               .batch = bytes->data,
                                                               .bytes = bytes->len,
                                                               .trusted = true};
    }
    kp_record_batch_builder_finish(&builder);
    return code;
}

void kp_write_group_finish(struct kp_write_group *group)
{
    for (size_t i = 0; i < group->count; i++)
        kp_buf_finish(&group->bytes[i]);
    kp_free(group->entries);
    kp_free(group->bytes);
}

enum kp_code kp_commit_turn_begin(struct kp_db *db, const _Atomic bool *cancelled, int64_t limit_ns,
                                  struct kp_error *err)
{
    int64_t began_ns = kp_thread_now_ns();
    enum kp_code code = KP_OK;
    kp_mutex_lock(&db->mutex);
    while (code == KP_OK && db->committing) {
        (void)kp_cond_wait_us(&db->committed, &db->mutex, TURN_SLICE_US);
        if (cancelled && atomic_load(cancelled))
            code = kp_fail(err, KP_CANCELLED, NULL, "canceling statement due to user request");
        else if (limit_ns && kp_thread_now_ns() - began_ns >= limit_ns)
            code = kp_fail(err, KP_BUSY, "55P03", "canceling statement due to lock timeout");
    }
    if (code == KP_OK)
        db->committing = true;
    kp_mutex_unlock(&db->mutex);
    return code;
}

void kp_commit_turn_end(struct kp_db *db)
{
    kp_mutex_lock(&db->mutex);
    db->committing = false;
    kp_cond_signal(&db->committed);
    kp_mutex_unlock(&db->mutex);
}

/* Rows of a table that was altered since are records of its former declaration. */
static enum kp_code check_tables(struct kp_session *session, struct kp_error *err)
{
    const struct kp_catalog *catalog = session->db->catalog;
    const struct kp_relation *known = NULL, *altered = NULL;
    kp_catalog_read(session->db->catalog);
    for (size_t i = 0; !altered && i < session->write_count; i++) {
        const struct kp_relation *table = session->writes[i].relation;
        if (table == known || table->kind != KP_RELATION_TABLE)
            continue;
        known = table;
        const struct kp_relation *now = kp_catalog_find_id(catalog, table->id);
        if (now && now != table)
            altered = table;
    }
    kp_catalog_unlock(session->db->catalog);
    if (!altered)
        return KP_OK;
    session->lost = true;
    (void)kp_fail(err, KP_BUSY, "40001", "could not serialize access due to concurrent ALTER TABLE of \"%s\"",
                  altered->name);
    if (err)
        err->retriable = true;
    return KP_BUSY;
}

/* With the sequences that it restarts: what they are for all from then on stands in the same group. */
static enum kp_code append_group(struct kp_session *session, const struct kp_write_group *group, int64_t *ret_position,
                                 struct kp_error *err)
{
    struct kp_db *db = session->db;
    if (!session->restart_count)
        return group->count ? kp_log_append(db->log, group->entries, group->count, ret_position, err) : KP_OK;
    size_t most = group->count + session->restart_count, count = 0;
    struct kp_log_entry *entries = kp_calloc(most, sizeof *entries);
    struct kp_buf *batches = kp_calloc(session->restart_count, sizeof *batches);
    if (group->count)
        memcpy(entries, group->entries, group->count * sizeof *entries);
    kp_mutex_lock(&db->sequence_mutex);
    enum kp_code code = kp_sequences_group(session, entries + group->count, batches, &count, err);
    if (code == KP_OK)
        code = kp_log_append(db->log, entries, group->count + count, ret_position, err);
    if (code == KP_OK)
        kp_sequences_committed(session);
    kp_mutex_unlock(&db->sequence_mutex);
    for (size_t i = 0; i < count; i++)
        kp_buf_finish(&batches[i]);
    kp_free(batches);
    kp_free(entries);
    return code;
}

enum kp_code kp_writes_commit(struct kp_session *session, int64_t *ret_position, struct kp_error *err)
{
    struct kp_db *db = session->db;
    struct kp_write_group group = {0};
    KP_TRY(kp_commit_turn_begin(db, &session->cancelled, session->lock_timeout_ms * 1000000, err));
    enum kp_code code = check_tables(session, err);
    if (code == KP_OK)
        code = kp_reads_check(session, err);
    if (code == KP_OK)
        code = check_conflicts(session, err);
    if (code == KP_OK)
        code = kp_writes_group(session, 0, &group, err);
    *ret_position = kp_log_position(db->log);
    if (code == KP_OK)
        code = append_group(session, &group, ret_position, err);
    if (code == KP_OK) {
        kp_reads_committed(session, *ret_position);
        kp_row_locks_committed(session, *ret_position);
    }
    kp_commit_turn_end(db);
    kp_write_group_finish(&group);
    return code;
}
