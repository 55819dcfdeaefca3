/*
 * INSERT, UPDATE, DELETE, MERGE and TRUNCATE: the statement's plan yields rows (sql/sql.h), which are written one after
 * the other; then RETURNING's plan reads what was written.
 *
 *   plan ─► rows ─► target.c: checks, keys ─► the transaction's writes (writes.c)
 *             │ conflicts ─► plan of DO UPDATE ─► rows ─┘
 *             └ what was written, numbered ─► plan of RETURNING ─► the client, or a query around (WITH)
 *
 * 1. All plans of a statement read the tables as they were before it.
 * 2. A row is written once by a statement: of an UPDATE or DELETE that meets it again the first one counts, MERGE and
 *    DO UPDATE fail with 21000, as in PostgreSQL.
 * 3. Rows whose key an UPDATE moves all leave before the first of them comes, so that keys may be exchanged.
 */
#include "db/dml.h"
#include "db/sequence.h"

#include <stdio.h>

/* ---- what was written, for RETURNING ---- */

struct written {
    bool wanted;
    struct kp_arena *arena;
    struct kp_batch **batches; /* the step's columns: rows, extras, number */
    size_t count, cap;
    uint64_t rows;
};

static void written_add(struct written *written, struct kp_batch *batch)
{
    if (written->count == written->cap) {
        written->cap = written->cap ? 2 * written->cap : 8;
        struct kp_batch **grown = kp_arena_alloc(written->arena, written->cap * sizeof(struct kp_batch *));
        if (written->count)
            memcpy(grown, written->batches, written->count * sizeof(struct kp_batch *));
        written->batches = grown;
    }
    written->batches[written->count++] = batch;
}

static struct kp_vec number_vec(struct kp_arena *arena, const int64_t *numbers, uint32_t count)
{
    struct kp_vec vec;
    kp_vec_init(&vec, arena, KP_TYPE(KP_INT8), count);
    if (count)
        memcpy(vec.data, numbers, count * sizeof *numbers);
    return vec;
}

/* Columns from `from` on of these rows, numbered as they come. */
static void written_take(struct written *written, const struct kp_batch *batch, uint32_t from, const uint32_t *rows,
                         const int64_t *numbers, uint32_t count)
{
    if (!written->wanted || !count) {
        written->rows += count;
        return;
    }
    struct kp_batch part = {.rows = batch->rows, .cols = batch->cols - from, .vecs = batch->vecs + from};
    struct kp_batch *taken = kp_batch_gather(&part, rows, count, written->arena);
    struct kp_batch *out = kp_batch_create(written->arena, taken->cols + 1, count);
    memcpy(out->vecs, taken->vecs, taken->cols * sizeof *out->vecs);
    int64_t *next = kp_arena_alloc(written->arena, count * sizeof *next);
    for (uint32_t i = 0; i < count; i++)
        next[i] = numbers ? numbers[i] : (int64_t)(written->rows + i);
    out->vecs[taken->cols] = number_vec(written->arena, next, count);
    written_add(written, out);
    written->rows += count;
}

/* ---- one statement ---- */

struct write_run {
    struct kp_cursor *cursor;
    const struct kp_bound_write *write;
    const struct kp_datum *params;
    uint32_t param_count;
    struct kp_write_target target;
    struct written written;
    uint32_t *old_keys;        /* 0 … key_count - 1, or behind MERGE's act: columns of the old key */
    struct kp_batch **batches; /* what its plan yielded */
    size_t batch_count;
};

static enum kp_code run_step(struct write_run *run, const struct kp_write_step *step, struct kp_batch **rows,
                             size_t row_count, struct kp_batch ***ret_batches, size_t *ret_count, struct kp_error *err)
{
    struct kp_session *session = run->cursor->session;
    struct kp_given_rows given = {step->rows, rows, row_count, session->given};
    int64_t position;
    session->given = &given;
    enum kp_code code = kp_query_run_root(session, step->root, run->params, run->param_count, &run->cursor->arena,
                                          ret_batches, ret_count, &position, err);
    session->given = given.next;
    return code;
}

/* ---- INSERT ---- */

/* A proposal whose key is taken, beside the row that is there. */
struct conflicts {
    struct kp_batch **batches;
    struct kp_write_key *keys;
    bool *updated;
    size_t count, cap;
};

static enum kp_code conflicts_add(struct write_run *run, struct conflicts *conflicts, const struct kp_write_key *key,
                                  const struct kp_batch *proposed, uint32_t row, int64_t number, struct kp_error *err)
{
    struct kp_arena *arena = &run->cursor->arena;
    uint32_t width = proposed->cols;
    struct kp_batch *there;
    KP_TRY(kp_target_existing(&run->target, key, arena, &there, err));
    struct kp_batch *other = kp_batch_gather(proposed, &row, 1, arena);
    struct kp_batch *both = kp_batch_create(arena, 2 * width + 1, 1);
    memcpy(both->vecs, there->vecs, width * sizeof *both->vecs);
    memcpy(both->vecs + width, other->vecs, width * sizeof *both->vecs);
    both->vecs[2 * width] = number_vec(arena, &number, 1);
    if (conflicts->count == conflicts->cap) {
        conflicts->cap = conflicts->cap ? 2 * conflicts->cap : 16;
        conflicts->batches = kp_realloc(conflicts->batches, conflicts->cap * sizeof(struct kp_batch *));
        conflicts->keys = kp_realloc(conflicts->keys, conflicts->cap * sizeof *conflicts->keys);
        conflicts->updated = kp_realloc(conflicts->updated, conflicts->cap);
    }
    conflicts->updated[conflicts->count] = false;
    conflicts->keys[conflicts->count] = *key;
    conflicts->batches[conflicts->count++] = both;
    return KP_OK;
}

static enum kp_code fail_again(const char *command, const char *hint, struct kp_error *err)
{
    (void)kp_fail(err, KP_INVALID, "21000", "%s command cannot affect row a second time", command);
    return kp_error_hint(err, "%s", hint);
}

static enum kp_code fail_conflict_again(struct kp_error *err)
{
    return fail_again("ON CONFLICT DO UPDATE",
                      "Ensure that no rows proposed for insertion within the same command have duplicate constrained "
                      "values.",
                      err);
}

static enum kp_code insert_one(struct write_run *run, struct conflicts *conflicts, const struct kp_batch *batch,
                               uint32_t row, int64_t number, bool *ret_written, struct kp_error *err)
{
    struct kp_write_target *target = &run->target;
    enum kp_conflict on_conflict = run->write->on_conflict;
    *ret_written = true;
    if (on_conflict == KP_CONFLICT_ERROR || kp_relation_key_count(target->relation) == 0)
        return kp_target_insert(target, batch, row, err);
    struct kp_write_key key;
    KP_TRY(kp_target_check(target, batch, row, err));
    KP_TRY(kp_target_key(target, batch, target->relation->keys, row, &key, err));
    if (!key.taken)
        return kp_target_put(target, &key, batch, row, err);
    *ret_written = false;
    if (on_conflict == KP_CONFLICT_NOTHING)
        return KP_OK;
    if (key.touched)
        return fail_conflict_again(err);
    return conflicts_add(run, conflicts, &key, batch, row, number, err);
}

/* DO UPDATE: the rows that its plan makes of the conflicts, which are numbered; a number of a conflict whose WHERE is
 * not true does not come back. */
static enum kp_code update_conflicts(struct write_run *run, struct conflicts *conflicts, struct kp_error *err)
{
    struct kp_write_target *target = &run->target;
    const struct kp_relation *relation = target->relation;
    struct kp_batch **rows = NULL;
    size_t count = 0, next = 0;
    KP_TRY(run_step(run, &run->write->conflict, conflicts->batches, conflicts->count, &rows, &count, err));
    for (size_t b = 0; b < count; b++) {
        uint32_t *index = kp_arena_alloc(&run->cursor->arena, rows[b]->rows * sizeof *index);
        struct kp_batch row_part = {.rows = rows[b]->rows, .cols = rows[b]->cols - 1, .vecs = rows[b]->vecs + 1};
        const int64_t *numbers = rows[b]->vecs[0].data;
        for (uint32_t row = 0; row < rows[b]->rows; row++) {
            struct kp_write_key new_key;
            index[row] = row;
            while (*(const int64_t *)conflicts->batches[next]->vecs[2 * row_part.cols].data != numbers[row])
                next++;
            KP_TRY(kp_target_check(target, &row_part, row, err));
            KP_TRY(kp_target_key(target, &row_part, relation->keys, row, &new_key, err));
            if (!kp_str_equal(conflicts->keys[next].text, new_key.text))
                return kp_fail(err, KP_UNSUPPORTED, NULL, "ON CONFLICT DO UPDATE cannot change the key of \"%s\"",
                               relation->name);
            if (new_key.touched)
                return fail_conflict_again(err);
            KP_TRY(kp_target_put(target, &new_key, &row_part, row, err));
            conflicts->updated[next] = true;
        }
        written_take(&run->written, rows[b], 1, index, numbers, rows[b]->rows);
    }
    return KP_OK;
}

/* A conflict behind one of the same key that was updated fails, whatever its own WHERE says. */
static enum kp_code check_again(struct write_run *run, const struct conflicts *conflicts, struct kp_error *err)
{
    const struct kp_session *session = run->cursor->session;
    size_t first = run->target.first;
    size_t *by = kp_arena_calloc(&run->cursor->arena, (session->write_count - first + 1) * sizeof *by);
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < conflicts->count; i++) {
            const struct kp_pending_write *own =
                kp_writes_find(session, run->target.relation, conflicts->keys[i].text, SIZE_MAX);
            if (!own || (size_t)(own - session->writes) < first)
                continue;
            size_t *updater = &by[(size_t)(own - session->writes) - first];
            if (pass == 0 && conflicts->updated[i])
                *updater = i;
            else if (pass == 1 && *updater < i)
                return fail_conflict_again(err);
        }
    }
    return KP_OK;
}

static enum kp_code insert_rows(struct write_run *run, struct kp_error *err)
{
    struct conflicts conflicts = {0};
    enum kp_code code = KP_OK;
    int64_t number = 0;
    for (size_t b = 0; code == KP_OK && b < run->batch_count; b++) {
        const struct kp_batch *batch = run->batches[b];
        uint32_t *index = kp_arena_alloc(&run->cursor->arena, batch->rows * sizeof *index), count = 0;
        int64_t *numbers = kp_arena_alloc(&run->cursor->arena, batch->rows * sizeof *numbers);
        for (uint32_t row = 0; code == KP_OK && row < batch->rows; row++, number++) {
            bool written;
            code = insert_one(run, &conflicts, batch, row, number, &written, err);
            index[count] = row;
            numbers[count] = number;
            count += code == KP_OK && written;
        }
        written_take(&run->written, batch, 0, index, numbers, count);
    }
    if (code == KP_OK && conflicts.count)
        code = update_conflicts(run, &conflicts, err);
    if (code == KP_OK)
        code = check_again(run, &conflicts, err);
    kp_free(conflicts.batches);
    kp_free(conflicts.keys);
    kp_free(conflicts.updated);
    return code;
}

/* ---- UPDATE, DELETE, MERGE ---- */

/* A row with its new key, which is not its old one: it comes when all such rows have left. */
struct moved {
    const struct kp_batch *batch;
    uint32_t row;
};
struct moves {
    struct moved *items;
    size_t count, cap;
};

static struct kp_batch new_rows(const struct write_run *run, const struct kp_batch *batch, uint32_t from)
{
    const struct kp_relation *relation = run->target.relation;
    return (struct kp_batch){
        .rows = batch->rows, .cols = relation->col_count - relation->hidden_count, .vecs = batch->vecs + from};
}

/* Puts the new row at its key, or takes the old one away and notes that the new one is to come. */
static enum kp_code update_one(struct write_run *run, const struct kp_write_key *key, const struct kp_batch *batch,
                               uint32_t from, uint32_t row, struct moves *moves, struct kp_error *err)
{
    const struct kp_relation *relation = run->target.relation;
    struct kp_batch rows = new_rows(run, batch, from);
    bool moved = false;
    for (uint32_t i = 0; i < kp_relation_key_count(relation); i++) {
        const struct kp_vec *new = &rows.vecs[relation->keys[i]];
        moved |= kp_vec_is_null(new, row) || !kp_value_equal(new->type.id, key->values[i].raw, kp_vec_at(new, row));
    }
    KP_TRY(kp_target_check(&run->target, &rows, row, err));
    if (!moved)
        return kp_target_put(&run->target, key, &rows, row, err);
    if (moves->count == moves->cap) {
        moves->cap = moves->cap ? 2 * moves->cap : 16;
        moves->items = kp_realloc(moves->items, moves->cap * sizeof *moves->items);
    }
    moves->items[moves->count++] = (struct moved){batch, row};
    return kp_target_remove(&run->target, key, err);
}

static enum kp_code finish_moves(struct write_run *run, struct moves *moves, uint32_t from, struct kp_error *err)
{
    enum kp_code code = KP_OK;
    for (size_t i = 0; code == KP_OK && i < moves->count; i++) {
        struct kp_batch rows = new_rows(run, moves->items[i].batch, from);
        code = kp_target_insert(&run->target, &rows, moves->items[i].row, err);
    }
    kp_free(moves->items);
    return code;
}

static enum kp_code update_or_delete(struct write_run *run, struct kp_error *err)
{
    uint32_t keys = run->target.relation->key_count;
    struct moves moves = {0};
    enum kp_code code = KP_OK;
    for (size_t b = 0; code == KP_OK && b < run->batch_count; b++) {
        const struct kp_batch *batch = run->batches[b];
        uint32_t *index = kp_arena_alloc(&run->cursor->arena, batch->rows * sizeof *index), count = 0;
        for (uint32_t row = 0; code == KP_OK && row < batch->rows; row++) {
            struct kp_write_key key;
            code = kp_target_key(&run->target, batch, run->old_keys, row, &key, err);
            if (code != KP_OK || key.touched)
                continue; /* another row of FROM has met it, or another statement of the WITH */
            code = run->write->kind == KP_WRITE_DELETE ? kp_target_remove(&run->target, &key, err)
                                                       : update_one(run, &key, batch, keys, row, &moves, err);
            index[count++] = row;
        }
        written_take(&run->written, batch, keys, index, NULL, count);
    }
    if (code != KP_OK) {
        kp_free(moves.items);
        return code;
    }
    return finish_moves(run, &moves, keys, err);
}

static enum kp_code merge_one(struct write_run *run, const struct kp_batch *batch, uint32_t row, enum kp_merge_act act,
                              struct moves *moves, struct kp_error *err)
{
    uint32_t from = 1 + run->target.relation->key_count;
    struct kp_write_key key;
    if (act == KP_MERGE_INSERT) {
        struct kp_batch rows = new_rows(run, batch, from);
        return kp_target_insert(&run->target, &rows, row, err);
    }
    KP_TRY(kp_target_key(&run->target, batch, run->old_keys, row, &key, err));
    if (key.touched)
        return fail_again("MERGE", "Ensure that not more than one source row matches any one target row.", err);
    return act == KP_MERGE_DELETE ? kp_target_remove(&run->target, &key, err)
                                  : update_one(run, &key, batch, from, row, moves, err);
}

static enum kp_code merge_rows(struct write_run *run, struct kp_error *err)
{
    struct moves moves = {0};
    enum kp_code code = KP_OK;
    for (size_t b = 0; code == KP_OK && b < run->batch_count; b++) {
        const struct kp_batch *batch = run->batches[b];
        for (uint32_t row = 0; code == KP_OK && row < batch->rows; row++) {
            enum kp_merge_act act = *(const int32_t *)kp_vec_at(&batch->vecs[0], row);
            if (act == KP_MERGE_NOTHING)
                continue;
            code = merge_one(run, batch, row, act, &moves, err);
            run->written.rows++;
        }
    }
    if (code != KP_OK) {
        kp_free(moves.items);
        return code;
    }
    return finish_moves(run, &moves, 1 + run->target.relation->key_count, err);
}

/* ---- the whole statement ---- */

static enum kp_code write_rows(struct write_run *run, struct kp_error *err)
{
    const struct kp_relation *relation = run->write->relation;
    uint32_t first = run->write->kind == KP_WRITE_MERGE;
    run->old_keys = kp_arena_alloc(&run->cursor->arena, (relation->key_count + 1) * sizeof *run->old_keys);
    for (uint32_t i = 0; i < relation->key_count; i++)
        run->old_keys[i] = first + i;
    switch (run->write->kind) {
    case KP_WRITE_INSERT:
        return insert_rows(run, err);
    case KP_WRITE_MERGE:
        return merge_rows(run, err);
    default:
        return update_or_delete(run, err);
    }
}

/* One statement, of the WITH or the main one; what it returns is in the run's batches. */
static enum kp_code run_one(struct write_run *run, size_t first, struct kp_error *err)
{
    struct kp_cursor *cursor = run->cursor;
    const struct kp_bound_write *write = run->write;
    KP_TRY(kp_query_run_root(cursor->session, write->root, run->params, run->param_count, &cursor->arena, &run->batches,
                             &run->batch_count, &cursor->position, err));
    if (write->kind == KP_WRITE_QUERY)
        return KP_OK;
    run->written = (struct written){.wanted = write->returning.rows != NULL, .arena = &cursor->arena};
    enum kp_code code = kp_target_init(&run->target, cursor->session, write->relation, err);
    run->target.first = first;
    if (code == KP_OK)
        code = write_rows(run, err);
    if (code == KP_OK) /* what was made in vain must not be written */
        code = kp_arena_check(&cursor->arena, err);
    kp_target_finish(&run->target);
    KP_TRY(code);
    run->batches = NULL;
    run->batch_count = 0;
    if (!write->returning.rows)
        return KP_OK;
    return run_step(run, &write->returning, run->written.batches, run->written.count, &run->batches, &run->batch_count,
                    err);
}

static void tag(struct kp_cursor *cursor, const struct write_run *run)
{
    static const char *const words[] = {"INSERT 0 ", "UPDATE ", "DELETE ", "MERGE ", "SELECT "};
    uint64_t rows = run->written.rows;
    for (size_t i = 0; run->write->kind == KP_WRITE_QUERY && i < run->batch_count; i++)
        rows += run->batches[i]->rows;
    cursor->written = rows;
    snprintf(cursor->tag, sizeof cursor->tag, "%s%llu", words[run->write->kind], (unsigned long long)rows);
}

enum kp_code kp_write_run(struct kp_cursor *cursor, const struct kp_datum *params, uint32_t param_count,
                          struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    const struct kp_bound_write *write = cursor->prepared->write;
    size_t first = session->write_count;
    session->visible_writes = first;
    session->keeps_snapshot = true;
    enum kp_code code = KP_OK;
    for (uint32_t i = 0; code == KP_OK && i < write->with_count; i++) {
        struct write_run run = {
            .cursor = cursor, .write = write->withs[i], .params = params, .param_count = param_count};
        code = run_one(&run, first, err);
        struct kp_given_rows *given = kp_arena_alloc(&cursor->arena, sizeof *given);
        *given = (struct kp_given_rows){write->withs[i]->result, run.batches, run.batch_count, session->given};
        session->given = given;
    }
    struct write_run run = {.cursor = cursor, .write = write, .params = params, .param_count = param_count};
    if (code == KP_OK)
        code = run_one(&run, first, err);
    session->given = NULL;
    session->keeps_snapshot = false;
    session->visible_writes = SIZE_MAX;
    KP_TRY(code);
    cursor->batches = run.batches;
    cursor->batch_count = run.batch_count;
    tag(cursor, &run);
    return KP_OK;
}

/* ---- TRUNCATE ---- */

static enum kp_code delete_all(void *arg, struct kp_batch *batch, struct kp_error *err)
{
    struct kp_write_target *target = arg;
    uint32_t cols[KP_COLUMNS_MAX];
    for (uint32_t i = 0; i < target->relation->key_count; i++)
        cols[i] = i;
    for (uint32_t row = 0; row < batch->rows; row++) {
        struct kp_write_key key;
        KP_TRY(kp_target_key(target, batch, cols, row, &key, err));
        KP_TRY(kp_target_remove(target, &key, err));
    }
    return KP_OK;
}

static enum kp_code truncate_table(struct kp_cursor *cursor, struct kp_relation *relation, struct kp_error *err)
{
    if (relation->kind != KP_RELATION_TABLE) {
        (void)kp_fail(err, KP_INVALID, "42809", "\"%s\" is not a table", relation->name);
        return kp_error_hint(err, "The events of a source are kept in the log; DROP the source to read them no more.");
    }
    struct kp_write_target target;
    enum kp_code code = kp_target_init(&target, cursor->session, relation, err);
    size_t before = cursor->session->write_count;
    if (code == KP_OK)
        code = kp_store_scan(target.live->store, &target.snapshot, relation->keys, relation->key_count, &cursor->arena,
                             delete_all, &target, err);
    for (size_t i = 0; code == KP_OK && i < before; i++) { /* rows of this transaction's own */
        const struct kp_pending_write *own = &cursor->session->writes[i];
        if (own->relation != relation || !own->row || own->replaced_by != SIZE_MAX)
            continue;
        struct kp_write_key key;
        code = kp_target_key_of(&target, own->key_values, &key, err);
        if (code == KP_OK)
            code = kp_target_remove(&target, &key, err);
    }
    kp_target_finish(&target);
    return code == KP_OK && cursor->prepared->statement->restart_identity
               ? kp_sequences_restart(cursor->session, relation)
               : code;
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
