/* One row after the other into a transaction's writes: checks, keys, the row as a record; see dml.h. */
#include "db/dml.h"
#include "db/lost.h"

#include "flow/check.h"
#include "flow/row.h"
#include "vec/jsonb.h"
#include "vec/multiset.h"

enum { TRANSACTION_BYTES_MAX = 256 << 20, FAILING_ROW_BYTES_MAX = 1000 };

/* ---- the relation ---- */

static enum kp_code check_writable(const struct kp_session *session, const struct kp_relation *relation,
                                   struct kp_error *err)
{
    if (kp_session_read_only(session))
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
    return KP_OK;
}

static void set_up(struct kp_write_target *target)
{
    const struct kp_relation *relation = target->relation;
    target->checks = kp_checks_create(relation);
    const char *missing = kp_relation_option(relation, "missing");
    target->whole = missing && strcmp(missing, "error") == 0;
    target->names = kp_calloc(relation->col_count + 1, sizeof(char *));
    for (uint32_t i = 0; i < relation->col_count; i++)
        target->names[i] = relation->cols[i].name;
}

void kp_target_init_new(struct kp_write_target *target, struct kp_session *session, struct kp_relation *relation)
{
    *target = (struct kp_write_target){
        .session = session, .relation = relation, .partitions = 1, .first = session->write_count};
    set_up(target);
}

enum kp_code kp_target_init(struct kp_write_target *target, struct kp_session *session, struct kp_relation *relation,
                            struct kp_error *err)
{
    *target = (struct kp_write_target){.session = session, .relation = relation, .first = session->write_count};
    KP_TRY(check_writable(session, relation, err));
    struct kp_topic_info info;
    KP_TRY(kp_lost_check_name(session->db, relation->topic, err));
    KP_TRY(kp_log_topic_find(session->db->log, relation->topic, &info, err));
    target->topic = info.id;
    target->partitions = info.partitions;
    if (relation->kind == KP_RELATION_TABLE) {
        KP_TRY(kp_live_pin(session->db, relation, &session->cancelled, &target->live, err));
        KP_TRY(kp_session_snapshot(session, &target->snapshot, &target->own_snapshot, err));
    }
    set_up(target);
    return KP_OK;
}

void kp_target_finish(struct kp_write_target *target)
{
    if (target->own_snapshot)
        kp_snapshot_release(target->session->db->clock, &target->snapshot);
    if (target->live)
        kp_live_unpin(target->session->db, target->live);
    kp_free(target->names);
    kp_checks_destroy(target->checks);
}

/* ---- keys ---- */

enum kp_code kp_target_key_of(struct kp_write_target *target, struct kp_datum *values, struct kp_write_key *ret_key,
                              struct kp_error *err)
{
    struct kp_session *session = target->session;
    const struct kp_relation *relation = target->relation;
    struct kp_write_key key = {.values = values};
    key.text = kp_writes_key(session, relation, key.values, &session->writes_arena);
    key.own = kp_writes_find(session, relation, key.text, SIZE_MAX);
    if (key.own) {
        key.taken = key.own->row != NULL;
        key.existed = key.own->existed;
        key.touched = (size_t)(key.own - session->writes) >= target->first;
    } else if (target->live) {
        enum kp_store_key_state state;
        KP_TRY(kp_store_key_state(target->live->store, &target->snapshot, key.values, target->snapshot.position, &state,
                                  err));
        key.taken = key.existed = state != KP_KEY_MISSING;
        if (key.taken && kp_reads_are_noted(session)) /* ON CONFLICT decides by it; else it is checked as a write */
            kp_reads_note(session, target->relation, false);
    }
    *ret_key = key;
    return KP_OK;
}

enum kp_code kp_target_key(struct kp_write_target *target, const struct kp_batch *batch, const uint32_t *cols,
                           uint32_t row, struct kp_write_key *ret_key, struct kp_error *err)
{
    struct kp_arena *arena = &target->session->writes_arena;
    uint32_t count = target->relation->key_count;
    struct kp_datum *values = kp_arena_alloc(arena, count * sizeof *values);
    for (uint32_t i = 0; i < count; i++) {
        kp_vec_get(&batch->vecs[cols[i]], row, &values[i]);
        kp_value_copy_arena(values[i].type.id, values[i].raw, arena, values[i].raw);
    }
    return kp_target_key_of(target, values, ret_key, err);
}

/* A key for a new row of a table that has none: random, short enough to lie in a text itself. */
static enum kp_code make_key(struct kp_write_target *target, struct kp_write_key *ret_key, struct kp_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    const struct kp_os *os = target->session->db->os;
    do {
        uint8_t bits[KP_TEXT_INLINE_BYTES];
        char text[KP_TEXT_INLINE_BYTES];
        os->random(os->ctx, bits, sizeof bits);
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = letters[bits[i] % (sizeof letters - 1)];
        struct kp_datum *value = kp_arena_calloc(&target->session->writes_arena, sizeof *value);
        value->type = KP_TYPE(KP_TEXT);
        value->text = kp_text_make(text, sizeof text);
        KP_TRY(kp_target_key_of(target, value, ret_key, err));
    } while (ret_key->taken || ret_key->own);
    return KP_OK;
}

enum kp_code kp_target_existing(struct kp_write_target *target, const struct kp_write_key *key, struct kp_arena *arena,
                                struct kp_batch **ret_row, struct kp_error *err)
{
    const struct kp_relation *relation = target->relation;
    uint32_t width = relation->col_count - relation->hidden_count;
    KP_ASSERT(key->taken);
    if (key->own) {
        *ret_row = key->own->row;
        return KP_OK;
    }
    uint32_t *columns = kp_arena_alloc(arena, (width + 1) * sizeof *columns);
    for (uint32_t i = 0; i < width; i++)
        columns[i] = i;
    return kp_store_lookup(target->live->store, &target->snapshot, key->values, columns, width, arena, ret_row, err);
}

/* ---- rows ---- */

static void failing_row(struct kp_session *session, const struct kp_batch *rows, uint32_t row, struct kp_error *err)
{
    struct kp_buf text = {0};
    for (uint32_t i = 0; i < rows->cols && text.len < FAILING_ROW_BYTES_MAX; i++) {
        kp_buf_append_text(&text, i ? ", " : "");
        if (kp_vec_is_null(&rows->vecs[i], row))
            kp_buf_append_text(&text, "null");
        else
            kp_value_print(rows->vecs[i].type, kp_vec_at(&rows->vecs[i], row), session->zone, &text);
    }
    (void)kp_error_detail(err, "Failing row contains (%.*s).", (int)KP_MIN(text.len, FAILING_ROW_BYTES_MAX),
                          (char *)text.data);
    kp_buf_finish(&text);
}

static enum kp_code check_part(struct kp_write_target *target, unsigned parts, const struct kp_batch *rows,
                               struct kp_error *err)
{
    struct kp_row_error *errors;
    uint32_t count;
    struct kp_arena arena = {0};
    kp_checks_run(target->checks, parts, rows, &arena, &errors, &count);
    if (count) {
        (void)kp_fail(err, KP_INVALID, errors[0].sqlstate, "%s", errors[0].message);
        if (parts == KP_CHECKS_ROW)
            failing_row(target->session, rows, 0, err);
    }
    kp_arena_finish(&arena);
    return count ? KP_INVALID : KP_OK;
}

enum kp_code kp_target_check(struct kp_write_target *target, const struct kp_batch *rows, uint32_t row,
                             struct kp_error *err)
{
    for (uint32_t i = 0; target->whole && i < rows->cols; i++)
        if (kp_type_is_json(rows->vecs[i].type.id) && kp_vec_is_null(&rows->vecs[i], row)) {
            (void)kp_fail(err, KP_UNSUPPORTED, NULL, "column \"%s\" of \"%s\" cannot be NULL",
                          target->relation->cols[i].name, target->relation->name);
            return kp_error_hint(err,
                                 "A record that lacks a field is refused (missing = 'error'), and a json field that "
                                 "is null is 'null'::json.");
        }
    if (!target->checks)
        return KP_OK;
    struct kp_arena arena = {0};
    const struct kp_batch *one = rows->rows == 1 ? rows : kp_batch_gather(rows, &row, 1, &arena);
    enum kp_code code = check_part(target, KP_CHECKS_DOMAINS, one, err);
    if (code == KP_OK)
        code = check_part(target, KP_CHECKS_ROW, one, err);
    kp_arena_finish(&arena);
    return code;
}

/* The row as JSON, inside the source's path. */
static struct kp_str encode_value(struct kp_write_target *target, const struct kp_batch *rows, uint32_t row)
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

/* A copy of one row that lives as long as the transaction. Of the hidden columns only the record's key is known. */
static struct kp_batch *keep_row(struct kp_write_target *target, const struct kp_write_key *key,
                                 const struct kp_batch *rows, uint32_t row)
{
    const struct kp_relation *relation = target->relation;
    struct kp_arena *arena = &target->session->writes_arena;
    const struct kp_batch *visible = kp_batch_gather(rows, &row, 1, arena);
    struct kp_batch *kept = kp_batch_create(arena, relation->col_count, 1);
    for (uint32_t c = 0; c < kept->cols; c++) {
        struct kp_vec hidden;
        struct kp_datum datum = {.type = relation->cols[c].type, .null = true};
        if (relation->origins[c] == KP_FIELD_KEY)
            datum = (struct kp_datum){.type = KP_TYPE(KP_TEXT), .text = kp_text_make(key->text.ptr, key->text.len)};
        if (c >= visible->cols)
            kp_vec_init_constant(&hidden, arena, &datum);
        kept->vecs[c] = kp_vec_flatten(c < visible->cols ? &visible->vecs[c] : &hidden, arena, 1);
        kp_vec_copy_deep(&kept->vecs[c], 1, arena);
    }
    return kept;
}

static enum kp_code add(struct kp_write_target *target, const struct kp_write_key *key, struct kp_str value,
                        struct kp_batch *row, struct kp_error *err)
{
    struct kp_session *session = target->session;
    session->write_bytes += (key ? key->text.len : 0) + value.len + 256;
    if (session->write_bytes > TRANSACTION_BYTES_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "the transaction writes more than %d bytes", TRANSACTION_BYTES_MAX);
    if (value.len > KP_RECORD_BYTES_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "a row of \"%s\" is %zu bytes as a record, the limit is %d",
                       target->relation->name, value.len, KP_RECORD_BYTES_MAX);
    struct kp_pending_write write = {.relation = target->relation, .topic = target->topic, .value = value, .row = row};
    if (key) {
        write.key = key->text;
        write.key_values = key->values;
        write.existed = key->existed;
        write.partition = (uint32_t)(kp_writes_hash(key->text) % target->partitions);
    }
    kp_writes_add(session, write);
    return KP_OK;
}

enum kp_code kp_target_put(struct kp_write_target *target, const struct kp_write_key *key, const struct kp_batch *rows,
                           uint32_t row, struct kp_error *err)
{
    return add(target, key, encode_value(target, rows, row), key ? keep_row(target, key, rows, row) : NULL, err);
}

enum kp_code kp_target_remove(struct kp_write_target *target, const struct kp_write_key *key, struct kp_error *err)
{
    return add(target, key, (struct kp_str){NULL, 0}, NULL, err);
}

enum kp_code kp_target_insert(struct kp_write_target *target, const struct kp_batch *rows, uint32_t row,
                              struct kp_error *err)
{
    struct kp_write_key key;
    KP_TRY(kp_target_check(target, rows, row, err));
    if (target->relation->kind != KP_RELATION_TABLE)
        return kp_target_put(target, NULL, rows, row, err);
    if (kp_relation_keyless(target->relation))
        KP_TRY(make_key(target, &key, err));
    else
        KP_TRY(kp_target_key(target, rows, target->relation->keys, row, &key, err));
    if (key.taken)
        return kp_writes_key_error(target->session, target->relation, key.values, err);
    return kp_target_put(target, &key, rows, row, err);
}
