/*
 * The numbers of sequences: those that CREATE SEQUENCE made, and those of serial and identity columns. A number is
 * drawn when INSERT or nextval() is evaluated and stands in the row's record, so that a replay draws none. What must
 * not happen is that one is given twice: numbers are taken in stretches, and a stretch begins with a catalog record
 * that says its last number.
 *
 *   record "64"            record "128"
 *   ├── 33 … 64 ──────────┤├── 65 … 128 ──────────┤      a restart goes on behind the last record's number
 *
 * 1. No number is drawn before a record that covers it is durable. What an instance had not drawn of its last stretch
 *    is lost with it in a crash: numbers have gaps, as PostgreSQL's have, and an INSERT that fails or is rolled back
 * leaves one.
 * 2. A record is about the sequence, or the table, that had its name there in the log. A draw looks for it under the
 *    mutex, and a DROP takes the mutex once when it has left the catalog: behind it comes no record about what was.
 * 3. Stretches double, so that many rows cost few records.
 * 4. ALTER SEQUENCE finds in a replay what it found when it ran: a record of how far the sequence is stands before its
 *    own.
 * 5. TRUNCATE … RESTART IDENTITY is the transaction's: it draws from a beginning of its own until COMMIT, whose group
 *    says how far that went, and nobody else sees it before.
 *
 * The mutex is taken before the catalog's lock, and after ddl_mutex.
 */
#include "db/sequence.h"

#include <stdio.h>
#include <stdlib.h>

#include "db/ddl.h"
#include "db/failed.h"
#include "db/session.h"
#include "sql/alter.h"

enum { STRETCH_MIN = 32 /* PostgreSQL's */, STRETCH_MAX = 1024, NUMBER_BYTES = 24 };

/* What a session has drawn last of a sequence. */
struct kp_drawn {
    uint32_t id;
    int64_t number;
};

/* A sequence that a transaction has restarted. */
struct kp_restart {
    struct kp_relation *relation; /* referenced */
    bool called;
    int64_t last;
};

/* ---- numbers ---- */

/* False: `last` was the end. */
static bool advance(const struct kp_sequence *sequence, bool *called, int64_t *last)
{
    int64_t next;
    bool beyond = *called && (__builtin_add_overflow(*last, sequence->increment, &next) || next > sequence->max ||
                              next < sequence->min);
    if (beyond && !sequence->cycle)
        return false;
    if (*called)
        *last = !beyond ? next : sequence->increment > 0 ? sequence->min : sequence->max;
    *called = true;
    return true;
}

static enum kp_code fail_end(const struct kp_relation *relation, struct kp_error *err)
{
    const struct kp_sequence *sequence = relation->sequence;
    bool up = sequence->increment > 0;
    return kp_fail(err, KP_LIMIT, "2200H", "nextval: reached %s value of sequence \"%s\" (%lld)",
                   up ? "maximum" : "minimum", relation->name, (long long)(up ? sequence->max : sequence->min));
}

/* ---- records ---- */

/* Its strings live in the arena. */
static void describe(struct kp_db *db, const struct kp_relation *relation, int64_t last, bool called,
                     struct kp_arena *arena, struct kp_catalog_record *ret_record)
{
    const struct kp_sequence *sequence = relation->sequence;
    *ret_record = (struct kp_catalog_record){.text = kp_str(kp_arena_printf(arena, "%lld", (long long)last)),
                                             .time_zone = KP_STR("UTC"),
                                             .user = KP_STR("kappa"),
                                             .sequence = true,
                                             .uncalled = !called};
    kp_catalog_read(db->catalog);
    const struct kp_relation *table = sequence->implicit ? kp_catalog_find_id(db->catalog, sequence->owner) : NULL;
    if (table) {
        ret_record->table = kp_str(kp_arena_strdup(arena, table->name));
        ret_record->column = kp_str(kp_arena_strdup(arena, table->cols[sequence->owner_column].name));
    } else {
        ret_record->name = kp_str(kp_arena_strdup(arena, relation->name));
    }
    kp_catalog_unlock(db->catalog);
}

/* Durable on return: a restart goes on behind `last`, or with it if it has not been called. Under the mutex. */
static enum kp_code write_record(struct kp_db *db, const struct kp_relation *relation, int64_t last, bool called,
                                 struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_catalog_record record;
    int64_t position, end;
    describe(db, relation, last, called, &arena, &record);
    enum kp_code code = kp_catalog_log_append(db, &record, NULL, 0, &position, &end, err);
    kp_arena_finish(&arena);
    return code;
}

static void set_state(struct kp_sequence *sequence, int64_t last, bool called)
{
    sequence->last = last;
    sequence->called = called;
    sequence->left = 0;
}

/* A new stretch, behind a record. Under the mutex. */
static enum kp_code take_stretch(struct kp_db *db, const struct kp_relation *relation, struct kp_error *err)
{
    struct kp_sequence *sequence = relation->sequence;
    bool called = sequence->called;
    int64_t last = sequence->last;
    uint32_t want = KP_MAX(sequence->stretch, (uint32_t)STRETCH_MIN), got = 0;
    while (got < want && advance(sequence, &called, &last))
        got++;
    if (!got)
        return fail_end(relation, err);
    KP_TRY(write_record(db, relation, last, true, err));
    sequence->left = got;
    sequence->stretch = KP_MIN(2 * want, (uint32_t)STRETCH_MAX);
    return KP_OK;
}

/* ---- what a session does with one; under the mutex ---- */

/* The relation of this number, as long as it is in the catalog. Referenced. */
static enum kp_code find(struct kp_db *db, uint32_t id, struct kp_relation **ret_relation, struct kp_error *err)
{
    enum kp_code code = KP_OK;
    kp_catalog_read(db->catalog);
    struct kp_relation *relation = kp_catalog_find_id(db->catalog, id);
    if (!relation)
        code = kp_fail(err, KP_NOT_FOUND, "42P01", "could not open relation with OID %u", id);
    else if (relation->kind != KP_RELATION_SEQUENCE)
        code = kp_fail(err, KP_INVALID, "42809", "\"%s\" is not a sequence", relation->name);
    else
        *ret_relation = kp_relation_ref(relation);
    kp_catalog_unlock(db->catalog);
    return code;
}

static struct kp_restart *restart_of(const struct kp_session *session, const struct kp_relation *relation)
{
    for (size_t i = session->restart_count; i-- > 0;)
        if (session->restarts[i].relation == relation)
            return &session->restarts[i];
    return NULL;
}

static enum kp_code draw(struct kp_session *session, const struct kp_relation *relation, uint32_t count,
                         int64_t *ret_numbers, struct kp_error *err)
{
    struct kp_sequence *sequence = relation->sequence;
    struct kp_restart *own = restart_of(session, relation);
    for (uint32_t i = 0; i < count; i++) {
        if (own && !advance(sequence, &own->called, &own->last))
            return fail_end(relation, err);
        if (!own && !sequence->left)
            KP_TRY(take_stretch(session->db, relation, err));
        if (!own) {
            bool there = advance(sequence, &sequence->called, &sequence->last);
            KP_ASSERT(there);
            sequence->left--;
        }
        ret_numbers[i] = own ? own->last : sequence->last;
    }
    return KP_OK;
}

static struct kp_drawn *find_drawn(const struct kp_session *session, uint32_t id)
{
    for (size_t i = 0; i < session->drawn_count; i++)
        if (session->drawn[i].id == id)
            return &session->drawn[i];
    return NULL;
}

static void note_drawn(struct kp_session *session, uint32_t id, int64_t number)
{
    struct kp_drawn *drawn = find_drawn(session, id);
    if (!drawn) {
        session->drawn = kp_realloc(session->drawn, (session->drawn_count + 1) * sizeof *session->drawn);
        drawn = &session->drawn[session->drawn_count++];
    }
    *drawn = (struct kp_drawn){id, number};
}

static enum kp_code check_writes(const struct kp_session *session, const char *function, struct kp_error *err)
{
    return kp_session_read_only(session) || session->db->options.read_only
               ? kp_fail(err, KP_FORBIDDEN, "25006", "cannot execute %s() in a read-only transaction", function)
               : KP_OK;
}

enum kp_code kp_sequence_draw(void *arg, uint32_t id, uint32_t count, int64_t *ret_numbers, struct kp_error *err)
{
    struct kp_session *session = arg;
    struct kp_relation *relation = NULL;
    KP_TRY(check_writes(session, "nextval", err));
    kp_mutex_lock(&session->db->sequence_mutex);
    enum kp_code code = find(session->db, id, &relation, err);
    if (code == KP_OK)
        code = draw(session, relation, count, ret_numbers, err);
    if (code == KP_OK && count) {
        note_drawn(session, id, ret_numbers[count - 1]);
        session->last_drawn = id;
    }
    kp_mutex_unlock(&session->db->sequence_mutex);
    kp_relation_unref(relation);
    return code;
}

enum kp_code kp_sequence_drawn(void *arg, uint32_t id, int64_t *ret_number, struct kp_error *err)
{
    struct kp_session *session = arg;
    struct kp_relation *relation = NULL;
    bool last = id == 0;
    kp_mutex_lock(&session->db->sequence_mutex);
    const struct kp_drawn *drawn = find_drawn(session, last ? session->last_drawn : id);
    enum kp_code code = last && !drawn ? KP_NOT_FOUND : find(session->db, last ? drawn->id : id, &relation, err);
    if (last && code != KP_OK)
        code = kp_fail(err, KP_INVALID, "55000", "lastval is not yet defined in this session");
    else if (code == KP_OK && !drawn)
        code = kp_fail(err, KP_INVALID, "55000", "currval of sequence \"%s\" is not yet defined in this session",
                       relation->name);
    if (code == KP_OK)
        *ret_number = drawn->number;
    kp_mutex_unlock(&session->db->sequence_mutex);
    kp_relation_unref(relation);
    return code;
}

static enum kp_code set(struct kp_session *session, const struct kp_relation *relation, int64_t number, bool called,
                        struct kp_error *err)
{
    struct kp_sequence *sequence = relation->sequence;
    struct kp_restart *own = restart_of(session, relation);
    if (number < sequence->min || number > sequence->max)
        return kp_fail(err, KP_INVALID, "22003", "setval: value %lld is out of bounds for sequence \"%s\" (%lld..%lld)",
                       (long long)number, relation->name, (long long)sequence->min, (long long)sequence->max);
    if (own) {
        own->last = number;
        own->called = called;
    } else {
        KP_TRY(write_record(session->db, relation, number, called, err));
        set_state(sequence, number, called);
    }
    if (called)
        note_drawn(session, relation->id, number);
    return KP_OK;
}

enum kp_code kp_sequence_set(void *arg, uint32_t id, int64_t number, bool called, struct kp_error *err)
{
    struct kp_session *session = arg;
    struct kp_relation *relation = NULL;
    KP_TRY(check_writes(session, "setval", err));
    kp_mutex_lock(&session->db->sequence_mutex);
    enum kp_code code = find(session->db, id, &relation, err);
    if (code == KP_OK)
        code = set(session, relation, number, called, err);
    kp_mutex_unlock(&session->db->sequence_mutex);
    kp_relation_unref(relation);
    return code;
}

void kp_sequence_state(struct kp_session *session, const struct kp_relation *relation, struct kp_sequence *ret_state)
{
    const struct kp_restart *own = restart_of(session, relation);
    *ret_state = *relation->sequence;
    if (own) {
        ret_state->last = own->last;
        ret_state->called = own->called;
        ret_state->left = 0;
    }
}

enum kp_code kp_sequence_scan(struct kp_session *session, const struct kp_relation *relation, struct kp_arena *arena,
                              struct kp_batch **ret_batch)
{
    struct kp_sequence state;
    kp_mutex_lock(&session->db->sequence_mutex);
    kp_sequence_state(session, relation, &state);
    kp_mutex_unlock(&session->db->sequence_mutex);
    const struct kp_datum values[] = {{.type = KP_TYPE(KP_INT8), .i64 = state.last},
                                      {.type = KP_TYPE(KP_INT8), .i64 = state.left},
                                      {.type = KP_TYPE(KP_BOOL), .b = state.called}};
    *ret_batch = kp_batch_create(arena, KP_COUNT(values), 1);
    for (uint32_t i = 0; i < KP_COUNT(values); i++)
        kp_vec_init_constant(&(*ret_batch)->vecs[i], arena, &values[i]);
    return KP_OK;
}

void kp_sequences_discard(struct kp_session *session)
{
    kp_free(session->drawn);
    session->drawn = NULL;
    session->drawn_count = 0;
    session->last_drawn = 0;
}

/* ---- TRUNCATE … RESTART IDENTITY ---- */

enum kp_code kp_sequences_restart(struct kp_session *session, const struct kp_relation *table)
{
    struct kp_db *db = session->db;
    kp_mutex_lock(&db->sequence_mutex);
    kp_catalog_read(db->catalog);
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        if (!kp_relation_is_owned(relation, table))
            continue;
        session->restarts = kp_realloc(session->restarts, (session->restart_count + 1) * sizeof *session->restarts);
        session->restarts[session->restart_count++] =
            (struct kp_restart){kp_relation_ref(relation), false, relation->sequence->start};
    }
    kp_catalog_unlock(db->catalog);
    kp_mutex_unlock(&db->sequence_mutex);
    return KP_OK;
}

void kp_sequences_undo_restarts(struct kp_session *session, size_t count)
{
    while (session->restart_count > count)
        kp_relation_unref(session->restarts[--session->restart_count].relation);
}

void kp_sequences_finish(struct kp_session *session)
{
    kp_sequences_undo_restarts(session, 0);
    kp_sequences_discard(session);
    kp_free(session->restarts);
}

/* The last restart of each is the one that counts. */
static bool counts(const struct kp_session *session, size_t i)
{
    return restart_of(session, session->restarts[i].relation) == &session->restarts[i];
}

enum kp_code kp_sequences_group(struct kp_session *session, struct kp_log_entry *entries, struct kp_buf *batches,
                                size_t *ret_count, struct kp_error *err)
{
    struct kp_arena arena = {0};
    enum kp_code code = KP_OK;
    *ret_count = 0;
    for (size_t i = 0; code == KP_OK && i < session->restart_count; i++) {
        const struct kp_restart *restart = &session->restarts[i];
        struct kp_catalog_record record;
        if (!counts(session, i))
            continue;
        describe(session->db, restart->relation, restart->last, restart->called, &arena, &record);
        code = kp_catalog_log_build(session->db, &record, &batches[*ret_count], err);
        if (code == KP_OK)
            entries[*ret_count] = kp_catalog_log_entry(session->db, &record, &batches[*ret_count]);
        (*ret_count)++;
    }
    kp_arena_finish(&arena);
    return code;
}

void kp_sequences_committed(struct kp_session *session)
{
    for (size_t i = 0; i < session->restart_count; i++)
        if (counts(session, i))
            set_state(session->restarts[i].relation->sequence, session->restarts[i].last, session->restarts[i].called);
}

/* ---- ALTER SEQUENCE ---- */

/* Under the mutex. */
static enum kp_code alter(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_arena *arena,
                          struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    struct kp_sequence_change change;
    kp_catalog_read(db->catalog);
    enum kp_code code = kp_sql_bind_alter_sequence(ddl->context, statement, arena, &change, err);
    kp_catalog_unlock(db->catalog);
    KP_TRY(code);
    struct kp_sequence *sequence = change.relation->sequence;
    if (!ddl->replaying && sequence->left && !change.name)
        KP_TRY(write_record(db, change.relation, sequence->last, sequence->called, err));
    if (!change.name)
        sequence->left = change.to.left = 0;
    KP_TRY(kp_ddl_log(ddl, err));
    kp_catalog_write(db->catalog);
    if (change.name)
        kp_catalog_rename(db->catalog, change.relation, change.name);
    else
        *sequence = change.to;
    kp_catalog_unlock(db->catalog);
    return KP_OK;
}

enum kp_code kp_ddl_alter_sequence(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    struct kp_arena arena = {0};
    struct kp_str schema = {statement->name.schema, statement->name.schema ? strlen(statement->name.schema) : 0};
    kp_catalog_read(db->catalog);
    bool missing = statement->if_exists && !kp_catalog_find(db->catalog, schema, kp_str(statement->name.name));
    kp_catalog_unlock(db->catalog);
    if (missing) {
        kp_ddl_notice(ddl, "00000", "relation \"%s\" does not exist, skipping", statement->name.name);
        return KP_OK;
    }
    kp_mutex_lock(&db->sequence_mutex);
    enum kp_code code = alter(ddl, statement, &arena, err);
    kp_mutex_unlock(&db->sequence_mutex);
    kp_arena_finish(&arena);
    return code;
}

/* ---- while the instance opens, and goes on ---- */

void kp_sequence_forget(struct kp_db *db)
{
    kp_mutex_lock(&db->sequence_mutex);
    kp_mutex_unlock(&db->sequence_mutex);
}

void kp_sequences_settle(struct kp_db *db)
{
    struct kp_error ignored; /* then there is a gap, as behind a crash */
    kp_mutex_lock(&db->sequence_mutex);
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++) { /* nobody else is there to change it */
        const struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        if (relation->sequence && relation->sequence->left)
            (void)!write_record(db, relation, relation->sequence->last, relation->sequence->called, &ignored);
    }
    kp_mutex_unlock(&db->sequence_mutex);
}

void kp_sequence_replay(struct kp_db *db, const struct kp_catalog_record *record)
{
    char text[NUMBER_BYTES];
    snprintf(text, sizeof text, "%.*s", (int)record->text.len, record->text.ptr);
    int64_t last = strtoll(text, NULL, 10);
    kp_catalog_read(db->catalog);
    struct kp_relation *of =
        kp_catalog_find(db->catalog, KP_STR("public"), record->name.ptr ? record->name : record->table);
    if (of && record->name.ptr && of->sequence)
        set_state(of->sequence, last, !record->uncalled);
    if (of && !record->name.ptr && of->kind == KP_RELATION_FAILED)
        kp_failed_note_number(of, record->column, last);
    for (uint32_t i = 0; of && !record->name.ptr && of->sequences && i < of->col_count - of->hidden_count; i++)
        if (of->sequences[i] && kp_str_equal(kp_str(of->cols[i].name), record->column))
            set_state(of->sequences[i]->sequence, last, !record->uncalled);
    kp_catalog_unlock(db->catalog);
}
