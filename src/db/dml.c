/*
 * INSERT, UPDATE, DELETE, TRUNCATE and COPY … FROM: rows become records of the relation's topic.
 *
 *   table    key: JSON array of the key columns; value: the row as a JSON object, or null for a delete
 *   source   no key; value: the row as a JSON object, inside the objects of the source's `path`
 *
 * Writes gather in the session until COMMIT (outside a block: until the statement's end) and go into the log as one
 * atomic group. An INSERT of a key that is there is 23505: looked up at the transaction's position and, when it
 * commits, once more at the newest one, under dml_mutex; a key that somebody else has written in between is 40001.
 * Producers that write into a table's topic by Kafka or HTTP replace rows without being asked.
 */
#include "db/session.h"

#include <stdio.h>

#include "base/hash.h"
#include "db/copy.h"
#include "flow/row.h"

enum { TRANSACTION_BYTES_MAX = 256 << 20, BATCH_BYTES_MAX = 512 << 10 };

/* ---- keys ---- */

static struct kp_str encode_key(struct kp_session *session, const struct kp_relation *relation,
                                const struct kp_vec *const *keys, uint32_t row, struct kp_arena *arena)
{
    struct kp_buf buf = {0};
    kp_buf_append_byte(&buf, '[');
    for (uint32_t i = 0; i < relation->key_count; i++) {
        if (i)
            kp_buf_append_byte(&buf, ',');
        kp_value_print_json(keys[i]->type, kp_vec_at(keys[i], row), session->zone, &buf);
    }
    kp_buf_append_byte(&buf, ']');
    struct kp_str key = {kp_arena_strndup(arena, (const char *)buf.data, buf.len), buf.len};
    kp_buf_finish(&buf);
    return key;
}

static struct kp_pending_write *find_write(struct kp_session *session, const struct kp_relation *relation,
                                           struct kp_str key)
{
    uint64_t hash = kp_hash_bytes(key.ptr, key.len);
    for (size_t i = session->write_count; i-- > 0;) {
        struct kp_pending_write *write = &session->writes[i];
        if (write->key_hash == hash && write->relation == relation && !write->replaced && kp_str_equal(write->key, key))
            return write;
    }
    return NULL;
}

bool kp_writes_touch(const struct kp_session *session, const struct kp_relation *relation)
{
    for (size_t i = 0; i < session->write_count; i++)
        if (session->writes[i].relation == relation && relation->key_count)
            return true;
    return false;
}

bool kp_writes_hide(struct kp_session *session, const struct kp_relation *relation, const struct kp_batch *batch,
                    uint32_t row)
{
    const struct kp_vec *keys[KP_COLUMNS_MAX];
    for (uint32_t i = 0; i < relation->key_count; i++)
        keys[i] = &batch->vecs[relation->keys[i]];
    struct kp_arena arena = {0};
    bool hidden = find_write(session, relation, encode_key(session, relation, keys, row, &arena)) != NULL;
    kp_arena_finish(&arena);
    return hidden;
}

static enum kp_code key_error(struct kp_session *session, const struct kp_relation *relation,
                              const struct kp_vec *const *keys, uint32_t row, struct kp_error *err)
{
    struct kp_buf names = {0}, values = {0};
    for (uint32_t i = 0; i < relation->key_count; i++) {
        kp_buf_printf(&names, "%s%s", i ? ", " : "", relation->cols[relation->keys[i]].name);
        if (i)
            kp_buf_append_text(&values, ", ");
        kp_value_print(keys[i]->type, kp_vec_at(keys[i], row), session->zone, &values);
    }
    kp_buf_append_byte(&names, 0);
    kp_buf_append_byte(&values, 0);
    (void)kp_fail(err, KP_EXISTS, "23505", "duplicate key value violates unique constraint \"%s_pkey\"",
                  relation->name);
    (void)kp_error_detail(err, "Key (%s)=(%s) already exists.", (char *)names.data, (char *)values.data);
    kp_buf_finish(&names);
    kp_buf_finish(&values);
    return KP_EXISTS;
}

/* Whether the table has a row of this key at the session's position. */
static enum kp_code key_exists(struct kp_session *session, struct kp_live *live, const struct kp_snapshot *snapshot,
                               const struct kp_vec *const *keys, uint32_t row, bool *ret_exists, struct kp_error *err)
{
    struct kp_datum key[KP_COLUMNS_MAX];
    const struct kp_relation *relation = live->relation;
    for (uint32_t i = 0; i < relation->key_count; i++)
        kp_vec_get(keys[i], row, &key[i]);
    struct kp_arena arena = {0};
    struct kp_batch *found;
    enum kp_code code =
        kp_store_lookup(live->store, snapshot, key, relation->keys, relation->key_count, &arena, &found, err);
    if (code == KP_OK)
        *ret_exists = found != NULL;
    kp_arena_finish(&arena);
    return code;
}

/* ---- one row ---- */

struct target {
    struct kp_session *session;
    struct kp_relation *relation;
    struct kp_live *live; /* tables: pinned */
    struct kp_snapshot snapshot;
    bool own_snapshot;
    uint32_t topic, partitions;
    const char **names;
};

static enum kp_code target_init(struct target *target, struct kp_session *session, struct kp_relation *relation,
                                struct kp_error *err)
{
    *target = (struct target){.session = session, .relation = relation};
    if (session->read_only)
        return kp_fail(err, KP_FORBIDDEN, "25006", "cannot write to \"%s\" in a read-only transaction", relation->name);
    for (uint32_t c = 0; c < relation->col_count - relation->hidden_count; c++)
        if (relation->paths[c] || relation->origins[c] != KP_FIELD_VALUE)
            return kp_fail(err, KP_UNSUPPORTED, NULL,
                           "cannot write to \"%s\": its column \"%s\" is no member of the record's object",
                           relation->name, relation->cols[c].name);
    const char *format = kp_relation_option(relation, "format");
    if (format && strcmp(format, "json") != 0)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "cannot write to \"%s\": rows are written as json, its format is %s",
                       relation->name, format);
    struct kp_topic_info info;
    KP_TRY(kp_log_topic_find(session->db->log, relation->topic, &info, err));
    target->topic = info.id;
    target->partitions = info.partitions;
    if (relation->kind == KP_RELATION_TABLE) {
        KP_TRY(kp_live_pin(session->db, relation, &session->cancelled, &target->live, err));
        enum kp_code code = kp_session_snapshot(session, &target->snapshot, &target->own_snapshot, err);
        if (code != KP_OK) {
            kp_live_unpin(session->db, target->live);
            target->live = NULL;
            return code;
        }
    }
    target->names = kp_calloc(relation->col_count + 1, sizeof(char *));
    for (uint32_t i = 0; i < relation->col_count; i++)
        target->names[i] = relation->cols[i].name;
    return KP_OK;
}

static void target_finish(struct target *target)
{
    if (target->own_snapshot)
        kp_snapshot_release(target->session->db->clock, &target->snapshot);
    if (target->live)
        kp_live_unpin(target->session->db, target->live);
    kp_free(target->names);
}

static enum kp_code check_not_null(const struct kp_relation *relation, const struct kp_batch *rows, uint32_t row,
                                   struct kp_error *err)
{
    for (uint32_t i = 0; i < rows->cols; i++)
        if (relation->cols[i].not_null && kp_vec_is_null(&rows->vecs[i], row))
            return kp_fail(err, KP_INVALID, "23502",
                           "null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                           relation->cols[i].name, relation->name);
    return KP_OK;
}

/* The row as JSON, inside the source's path. */
static struct kp_str encode_value(struct target *target, const struct kp_batch *rows, uint32_t row)
{
    struct kp_session *session = target->session;
    struct kp_buf buf = {0};
    const char *path = kp_relation_option(target->relation, "path");
    unsigned depth = 0;
    for (const char *at = path; at && *at; depth++) {
        size_t len = strcspn(at, ".");
        kp_buf_append_byte(&buf, '{');
        kp_buf_append_json_string(&buf, (struct kp_str){at, len});
        kp_buf_append_byte(&buf, ':');
        at += len + (at[len] == '.');
    }
    kp_encode_json(rows, target->names, row, session->zone, &buf);
    for (; depth > 0; depth--)
        kp_buf_append_byte(&buf, '}');
    struct kp_str value = {kp_arena_strndup(&session->writes_arena, (const char *)buf.data, buf.len), buf.len};
    kp_buf_finish(&buf);
    return value;
}

/* A copy of one row that lives as long as the transaction. */
static struct kp_batch *keep_row(struct kp_session *session, const struct kp_batch *rows, uint32_t row)
{
    struct kp_batch *kept = kp_batch_gather(rows, &row, 1, &session->writes_arena);
    kept->weights = NULL;
    for (uint32_t c = 0; c < kept->cols; c++) {
        kept->vecs[c] = kp_vec_flatten(&kept->vecs[c], &session->writes_arena, 1);
        kp_vec_copy_deep(&kept->vecs[c], 1, &session->writes_arena);
    }
    return kept;
}

static enum kp_code add_write(struct target *target, struct kp_str key, struct kp_str value, struct kp_batch *row,
                              bool existed, struct kp_error *err)
{
    struct kp_session *session = target->session;
    session->write_bytes += key.len + value.len + 256;
    if (session->write_bytes > TRANSACTION_BYTES_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "the transaction writes more than %d bytes", TRANSACTION_BYTES_MAX);
    if (value.len > KP_RECORD_BYTES_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "a row of \"%s\" is %zu bytes as a record, the limit is %d",
                       target->relation->name, value.len, KP_RECORD_BYTES_MAX);
    if (session->write_count == session->write_cap) {
        session->write_cap = session->write_cap ? 2 * session->write_cap : 16;
        session->writes = kp_realloc(session->writes, session->write_cap * sizeof *session->writes);
    }
    uint64_t hash = kp_hash_bytes(key.ptr, key.len);
    session->writes[session->write_count++] = (struct kp_pending_write){
        .relation = kp_relation_ref(target->relation),
        .topic = target->topic,
        .partition = key.ptr ? (uint32_t)(hash % target->partitions) : 0,
        .key_hash = hash,
        .key = key,
        .value = value,
        .row = row,
        .existed = existed,
    };
    return KP_OK;
}

/* Whether the key is taken now: by the transaction itself or at its position. `replaced` marks the own earlier write.
 */
static enum kp_code take_key(struct target *target, const struct kp_vec *const *keys, uint32_t row, struct kp_str key,
                             bool *ret_taken, bool *ret_existed, struct kp_pending_write **ret_own,
                             struct kp_error *err)
{
    *ret_own = find_write(target->session, target->relation, key);
    if (*ret_own) {
        *ret_taken = (*ret_own)->row != NULL;
        *ret_existed = (*ret_own)->existed;
        return KP_OK;
    }
    KP_TRY(key_exists(target->session, target->live, &target->snapshot, keys, row, ret_taken, err));
    *ret_existed = *ret_taken;
    return KP_OK;
}

static enum kp_code write_row(struct target *target, enum kp_write_kind kind, const struct kp_batch *rows, uint32_t row,
                              const struct kp_vec *const *keys, bool skip_existing, bool *ret_written,
                              struct kp_error *err)
{
    struct kp_session *session = target->session;
    *ret_written = true;
    if (rows)
        KP_TRY(check_not_null(target->relation, rows, row, err));
    if (target->relation->kind != KP_RELATION_TABLE)
        return add_write(target, (struct kp_str){NULL, 0}, encode_value(target, rows, row), NULL, false, err);
    struct kp_str key = encode_key(session, target->relation, keys, row, &session->writes_arena);
    bool taken, existed;
    struct kp_pending_write *own;
    KP_TRY(take_key(target, keys, row, key, &taken, &existed, &own, err));
    if (kind == KP_WRITE_INSERT && taken) {
        *ret_written = false;
        return skip_existing ? KP_OK : key_error(session, target->relation, keys, row, err);
    }
    if (own)
        own->replaced = true;
    if (!rows)
        return add_write(target, key, (struct kp_str){NULL, 0}, NULL, existed, err);
    return add_write(target, key, encode_value(target, rows, row), keep_row(session, rows, row), existed, err);
}

/* ---- statements ---- */

static void table_keys(const struct kp_relation *relation, const struct kp_batch *rows, const struct kp_vec **keys)
{
    for (uint32_t i = 0; i < relation->key_count; i++)
        keys[i] = &rows->vecs[relation->keys[i]];
}

/* UPDATE: first the old keys go (all of them, so that keys may be exchanged), then the new rows come. */
static enum kp_code update_batch(struct target *target, const struct kp_batch *batch, bool deletes, uint64_t *count,
                                 struct kp_error *err)
{
    uint32_t key_count = target->relation->key_count;
    struct kp_batch rows = {.rows = batch->rows, .cols = batch->cols - key_count, .vecs = batch->vecs + key_count};
    const struct kp_vec *old_keys[KP_COLUMNS_MAX], *new_keys[KP_COLUMNS_MAX];
    for (uint32_t i = 0; i < key_count; i++)
        old_keys[i] = &batch->vecs[i];
    table_keys(target->relation, &rows, new_keys);
    bool written;
    for (uint32_t row = 0; row < batch->rows; row++) {
        bool moved = false;
        for (uint32_t i = 0; i < key_count; i++)
            moved |= !kp_value_equal(old_keys[i]->type.id, kp_vec_at(old_keys[i], row), kp_vec_at(new_keys[i], row));
        if (deletes && moved)
            KP_TRY(write_row(target, KP_WRITE_DELETE, NULL, row, old_keys, false, &written, err));
        if (!deletes) {
            KP_TRY(write_row(target, moved ? KP_WRITE_INSERT : KP_WRITE_UPDATE, &rows, row, new_keys, false, &written,
                             err));
            ++*count;
        }
    }
    return KP_OK;
}

static enum kp_code write_batch(struct target *target, const struct kp_bound_write *write, const struct kp_batch *batch,
                                uint64_t *count, struct kp_error *err)
{
    const struct kp_vec *keys[KP_COLUMNS_MAX];
    if (write->kind == KP_WRITE_DELETE)
        for (uint32_t i = 0; i < target->relation->key_count; i++)
            keys[i] = &batch->vecs[i];
    else
        table_keys(target->relation, batch, keys);
    for (uint32_t row = 0; row < batch->rows; row++) {
        bool written;
        KP_TRY(write_row(target, write->kind, write->kind == KP_WRITE_DELETE ? NULL : batch, row, keys,
                         write->conflict == KP_CONFLICT_NOTHING, &written, err));
        *count += written;
    }
    return KP_OK;
}

enum kp_code kp_write_run(struct kp_cursor *cursor, const struct kp_datum *params, uint32_t param_count,
                          struct kp_error *err)
{
    const struct kp_bound_write *write = cursor->prepared->write;
    struct kp_batch **batches;
    size_t batch_count;
    KP_TRY(kp_query_run_root(cursor->session, write->root, params, param_count, &cursor->arena, &batches, &batch_count,
                             &cursor->position, err));
    struct target target;
    enum kp_code code = target_init(&target, cursor->session, write->relation, err);
    uint64_t count = 0;
    if (write->kind == KP_WRITE_UPDATE)
        for (size_t i = 0; code == KP_OK && i < batch_count; i++)
            code = update_batch(&target, batches[i], true, &count, err);
    for (size_t i = 0; code == KP_OK && i < batch_count; i++)
        code = write->kind == KP_WRITE_UPDATE ? update_batch(&target, batches[i], false, &count, err)
                                              : write_batch(&target, write, batches[i], &count, err);
    target_finish(&target);
    KP_TRY(code);
    snprintf(cursor->tag, sizeof cursor->tag, "%s%llu",
             write->kind == KP_WRITE_INSERT   ? "INSERT 0 "
             : write->kind == KP_WRITE_UPDATE ? "UPDATE "
                                              : "DELETE ",
             (unsigned long long)count);
    return KP_OK;
}

static enum kp_code delete_all(void *arg, struct kp_batch *batch, struct kp_error *err)
{
    struct target *target = arg;
    const struct kp_vec *keys[KP_COLUMNS_MAX];
    for (uint32_t i = 0; i < target->relation->key_count; i++)
        keys[i] = &batch->vecs[i];
    bool written;
    for (uint32_t row = 0; row < batch->rows; row++)
        KP_TRY(write_row(target, KP_WRITE_DELETE, NULL, row, keys, false, &written, err));
    return KP_OK;
}

static enum kp_code truncate_table(struct kp_cursor *cursor, struct kp_relation *relation, struct kp_error *err)
{
    if (relation->kind != KP_RELATION_TABLE) {
        (void)kp_fail(err, KP_INVALID, "42809", "\"%s\" is not a table", relation->name);
        return kp_error_hint(err, "The events of a source are kept in the log; DROP the source to read them no more.");
    }
    struct target target;
    enum kp_code code = target_init(&target, cursor->session, relation, err);
    if (code == KP_OK)
        code = kp_store_scan(target.live->store, &target.snapshot, relation->keys, relation->key_count, &cursor->arena,
                             delete_all, &target, err);
    target_finish(&target);
    return code;
}

enum kp_code kp_write_truncate(struct kp_cursor *cursor, struct kp_error *err)
{
    const struct kp_statement *statement = cursor->prepared->statement;
    struct kp_db *db = cursor->session->db;
    for (uint32_t i = 0; i < statement->name_count; i++) {
        struct kp_relation *relation;
        KP_TRY(kp_db_relation(db, statement->names[i].name, &relation, err));
        enum kp_code code = truncate_table(cursor, relation, err);
        kp_relation_unref(relation);
        KP_TRY(code);
    }
    return KP_OK;
}

/* ---- COPY FROM ---- */

static enum kp_code parse_field(struct kp_cursor *cursor, const struct kp_column *col, struct kp_str field,
                                struct kp_arena *arena, struct kp_vec *vec, struct kp_error *err)
{
    struct kp_datum datum = {.type = col->type, .null = field.ptr == NULL};
    if (!datum.null)
        KP_TRY(kp_value_parse(col->type, field, cursor->session->zone, arena, datum.raw, err));
    kp_vec_init_constant(vec, arena, &datum);
    return KP_OK;
}

static enum kp_code copy_row(void *arg, const struct kp_str *fields, uint32_t count, uint64_t line,
                             struct kp_error *err)
{
    struct kp_cursor *cursor = arg;
    struct kp_session *session = cursor->session;
    struct kp_relation *relation = cursor->prepared->copy_relation;
    struct kp_arena arena = {0};
    uint32_t visible = relation->col_count - relation->hidden_count;
    struct kp_batch *rows = kp_batch_create(&arena, visible, 1);
    enum kp_code code = KP_OK;
    for (uint32_t c = 0; c < visible; c++) {
        struct kp_datum null = {.type = relation->cols[c].type, .null = true};
        if (relation->defaults && relation->defaults[c])
            code = kp_flow_constants(&relation->defaults[c], 1, &session->values, &arena, &null, err);
        if (code == KP_OK)
            kp_vec_init_constant(&rows->vecs[c], &arena, &null);
    }
    for (uint32_t i = 0; code == KP_OK && i < count; i++) {
        uint32_t c = cursor->prepared->copy_columns[i];
        code = parse_field(cursor, &relation->cols[c], fields[i], &arena, &rows->vecs[c], err);
        if (code != KP_OK)
            (void)kp_error_detail(err, "COPY %s, line %llu, column %s", relation->name, (unsigned long long)line,
                                  relation->cols[c].name);
    }
    struct target target = {0};
    if (code == KP_OK)
        code = target_init(&target, session, relation, err);
    const struct kp_vec *keys[KP_COLUMNS_MAX];
    bool written;
    if (code == KP_OK) {
        table_keys(relation, rows, keys);
        code = write_row(&target, KP_WRITE_INSERT, rows, 0, keys, false, &written, err);
    }
    if (target.session)
        target_finish(&target);
    kp_arena_finish(&arena);
    cursor->rows++;
    return code;
}

enum kp_code kp_copy_in_begin(struct kp_cursor *cursor, struct kp_error *err)
{
    const struct kp_prepared *prepared = cursor->prepared;
    KP_TRY(kp_copy_check(&prepared->statement->copy, err));
    cursor->copy = kp_copy_reader_create(&prepared->statement->copy, prepared->copy_relation->name, prepared->cols,
                                         prepared->col_count, copy_row, cursor);
    return KP_OK;
}

/* ---- COMMIT ---- */

/* The engine must have seen every earlier write before keys are looked up again. */
static enum kp_code check_conflicts(struct kp_session *session, struct kp_error *err)
{
    struct kp_db *db = session->db;
    bool tables = false;
    for (size_t i = 0; i < session->write_count; i++)
        tables |= session->writes[i].relation->kind == KP_RELATION_TABLE;
    if (!tables)
        return KP_OK;
    int64_t newest = kp_log_position(db->log);
    while (!kp_view_clock_wait(db->clock, newest, 50000))
        KP_TRY(kp_db_health(db, err));
    struct kp_snapshot snapshot;
    kp_snapshot_acquire(db->clock, &snapshot);
    enum kp_code code = KP_OK;
    for (size_t i = 0; code == KP_OK && i < session->write_count; i++) {
        const struct kp_pending_write *write = &session->writes[i];
        struct kp_live *live = kp_live_of(write->relation);
        if (write->replaced || !write->row || !live)
            continue;
        const struct kp_vec *keys[KP_COLUMNS_MAX];
        table_keys(write->relation, write->row, keys);
        bool exists;
        code = key_exists(session, live, &snapshot, keys, 0, &exists, err);
        if (code == KP_OK && exists != write->existed && !write->existed)
            code = key_error(session, write->relation, keys, 0, err);
        else if (code == KP_OK && exists != write->existed)
            code = kp_fail(err, KP_BUSY, "40001", "could not serialize access due to concurrent delete");
        if (code == KP_BUSY && err)
            err->retriable = true;
    }
    kp_snapshot_release(db->clock, &snapshot);
    return code;
}

struct group {
    struct kp_log_entry *entries;
    struct kp_buf *bytes;
    size_t count;
};

/* Record batches in the order of the writes: a run of one partition is one batch. */
static enum kp_code build_group(struct kp_session *session, struct group *group, struct kp_error *err)
{
    int64_t now_ms = session->db->os->wall_us(session->db->os->ctx) / 1000;
    struct kp_record_batch_builder builder = {0};
    enum kp_code code = KP_OK;
    group->entries = kp_calloc(session->write_count, sizeof *group->entries);
    group->bytes = kp_calloc(session->write_count, sizeof *group->bytes);
    for (size_t i = 0; code == KP_OK && i < session->write_count; i++) {
        const struct kp_pending_write *write = &session->writes[i], *next = write + 1;
        if (!write->replaced)
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

enum kp_code kp_writes_commit(struct kp_session *session, int64_t *ret_position, struct kp_error *err)
{
    struct kp_db *db = session->db;
    struct group group = {0};
    kp_mutex_lock(&db->dml_mutex);
    enum kp_code code = check_conflicts(session, err);
    if (code == KP_OK)
        code = build_group(session, &group, err);
    *ret_position = kp_log_position(db->log);
    if (code == KP_OK && group.count)
        code = kp_log_append(db->log, group.entries, group.count, ret_position, err);
    kp_mutex_unlock(&db->dml_mutex);
    for (size_t i = 0; i < group.count; i++)
        kp_buf_finish(&group.bytes[i]);
    kp_free(group.entries);
    kp_free(group.bytes);
    return code;
}
