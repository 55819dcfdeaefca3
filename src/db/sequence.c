/*
 * The numbers of serial and identity columns. A number is drawn when INSERT is evaluated and stands in the row's
 * record, so that a replay draws none. What must not happen is that one is given twice: numbers are taken in stretches,
 * and a stretch begins with a catalog record that says its last number.
 *
 *   record "64"            record "128"
 *   ├── 33 … 64 ──────────┤├── 65 … 128 ──────────┤      a restart goes on behind the last record's number
 *
 * 1. No number is drawn before a record that covers it is durable. What an instance had not drawn of its last stretch
 * is lost with it: numbers have gaps, as PostgreSQL's have, and an INSERT that fails or is rolled back leaves one.
 * 2. A record is about the table that had its name there in the log. A draw looks for the table under the mutex, and a
 *    DROP takes the mutex once when the table has left the catalog: behind it comes no record about what was.
 * 3. Stretches double, so that many rows cost few records.
 */
#include "db/sequence.h"

#include <stdio.h>
#include <stdlib.h>

#include "db/failed.h"
#include "db/session.h"

enum { STRETCH_MIN = 32 /* PostgreSQL's */, STRETCH_MAX = 1024 };

/* False: `last` was the end. */
static bool advance(const struct kp_sequence *sequence, bool *begun, int64_t *last)
{
    int64_t next;
    bool beyond = *begun && (__builtin_add_overflow(*last, sequence->increment, &next) || next > sequence->max ||
                             next < sequence->min);
    if (beyond && !sequence->cycle)
        return false;
    *last = !*begun ? sequence->start : !beyond ? next : sequence->increment > 0 ? sequence->min : sequence->max;
    *begun = true;
    return true;
}

static enum kp_code fail_end(const struct kp_sequence *sequence, struct kp_error *err)
{
    bool up = sequence->increment > 0;
    return kp_fail(err, KP_LIMIT, "2200H", "nextval: reached %s value of sequence \"%s\" (%lld)",
                   up ? "maximum" : "minimum", sequence->name, (long long)(up ? sequence->max : sequence->min));
}

/* A new stretch, behind a record. Under the mutex. */
static enum kp_code take_stretch(struct kp_session *session, const struct kp_relation *table, uint32_t column,
                                 struct kp_error *err)
{
    struct kp_sequence *sequence = table->sequences[column];
    bool begun = sequence->begun;
    int64_t last = sequence->last, position, end;
    uint32_t want = KP_MAX(sequence->stretch, (uint32_t)STRETCH_MIN), got = 0;
    while (got < want && advance(sequence, &begun, &last))
        got++;
    if (!got)
        return fail_end(sequence, err);
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)last);
    struct kp_catalog_record record = {.text = {text, (size_t)len},
                                       .time_zone = KP_STR("UTC"),
                                       .user = KP_STR("kappa"),
                                       .sequence = true,
                                       .table = kp_str(table->name),
                                       .column = kp_str(table->cols[column].name)};
    KP_TRY(kp_catalog_log_append(session->db, &record, NULL, 0, &position, &end, err));
    sequence->left = got;
    sequence->stretch = KP_MIN(2 * want, (uint32_t)STRETCH_MAX);
    return KP_OK;
}

/* The table of this number, as long as it is in the catalog; else NULL. Referenced. */
static struct kp_relation *find_table(struct kp_db *db, uint32_t id)
{
    kp_catalog_read(db->catalog);
    struct kp_relation *table = kp_catalog_find_id(db->catalog, id);
    if (table)
        kp_relation_ref(table);
    kp_catalog_unlock(db->catalog);
    return table;
}

/* Under the mutex. */
static enum kp_code draw(struct kp_session *session, const struct kp_relation *table, uint32_t column, uint32_t count,
                         int64_t *ret_numbers, struct kp_error *err)
{
    struct kp_sequence *sequence = table->sequences[column];
    for (uint32_t i = 0; i < count; i++) {
        if (!sequence->left)
            KP_TRY(take_stretch(session, table, column, err));
        bool there = advance(sequence, &sequence->begun, &sequence->last);
        KP_ASSERT(there);
        sequence->left--;
        ret_numbers[i] = sequence->last;
    }
    return KP_OK;
}

enum kp_code kp_sequence_draw(void *arg, uint32_t relation, uint32_t column, uint32_t count, int64_t *ret_numbers,
                              struct kp_error *err)
{
    struct kp_session *session = arg;
    struct kp_db *db = session->db;
    if (kp_session_read_only(session))
        return kp_fail(err, KP_FORBIDDEN, "25006", "cannot draw numbers in a read-only transaction");
    kp_mutex_lock(&db->sequence_mutex);
    struct kp_relation *table = find_table(db, relation);
    bool there = table && column < table->col_count - table->hidden_count && kp_relation_sequence(table, column);
    enum kp_code code = there ? draw(session, table, column, count, ret_numbers, err)
                              : kp_fail(err, KP_NOT_FOUND, "42P01", "the table of the numbers does not exist any more");
    kp_mutex_unlock(&db->sequence_mutex);
    kp_relation_unref(table);
    return code;
}

void kp_sequence_forget(struct kp_db *db)
{
    kp_mutex_lock(&db->sequence_mutex);
    kp_mutex_unlock(&db->sequence_mutex);
}

void kp_sequence_replay(struct kp_db *db, const struct kp_catalog_record *record)
{
    char text[24];
    snprintf(text, sizeof text, "%.*s", (int)record->text.len, record->text.ptr);
    kp_catalog_read(db->catalog);
    const struct kp_relation *table = kp_catalog_find(db->catalog, KP_STR("public"), record->table);
    if (table && table->kind == KP_RELATION_FAILED)
        kp_failed_note_number((struct kp_relation *)(uintptr_t)table, record->column, strtoll(text, NULL, 10));
    for (uint32_t i = 0; table && table->sequences && i < table->col_count - table->hidden_count; i++) {
        if (!kp_str_equal(kp_str(table->cols[i].name), record->column) || !table->sequences[i])
            continue;
        table->sequences[i]->begun = true;
        table->sequences[i]->last = strtoll(text, NULL, 10);
    }
    kp_catalog_unlock(db->catalog);
}
