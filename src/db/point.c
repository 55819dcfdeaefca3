/*
 * Point reads: SELECT columns FROM a table or view WHERE every column of its key = a constant or parameter.
 *
 * What is left of such a plan is one probe of the store's key index, so it is done without a graph: it is what an
 * application asks thousands of times a second. Anything else about the query, one more condition or an expression in
 * the select list, leaves it to kp_query_run; the rows are the same.
 */
#include "db/session.h"

enum { KEYS_MAX = 32 };

struct kp_point {
    struct kp_relation *relation;         /* the plan's */
    const struct kp_expr *keys[KEYS_MAX]; /* CONST or PARAM, in the order of the relation's key */
    uint32_t *columns;                    /* of the relation, in the order of the result */
    uint32_t col_count;
};

/* ---- recognizing it ---- */

/* Takes one condition; false if it is not an equality of a key column that has none yet. */
static bool take_condition(struct kp_point *point, const struct kp_plan *scan, const struct kp_expr *expr)
{
    const struct kp_relation *relation = point->relation;
    uint32_t column;
    const struct kp_expr *value = kp_expr_equates(expr, &column);
    for (uint32_t k = 0; value && k < relation->key_count; k++) {
        if (relation->keys[k] != scan->scan.columns[column])
            continue;
        bool first = !point->keys[k];
        point->keys[k] = value;
        return first && value->type.id == relation->cols[relation->keys[k]].type.id;
    }
    return false;
}

static bool take_conditions(struct kp_point *point, const struct kp_plan *scan, const struct kp_expr *predicate)
{
    if (predicate->kind != KP_EXPR_AND)
        return point->relation->key_count == 1 && take_condition(point, scan, predicate);
    if (predicate->arg_count != point->relation->key_count)
        return false;
    for (uint32_t i = 0; i < predicate->arg_count; i++)
        if (!take_condition(point, scan, predicate->args[i]))
            return false;
    return true;
}

struct kp_point *kp_point_plan(struct kp_plan_root *root)
{
    const struct kp_plan *project = root->plan->kind == KP_PLAN_PROJECT ? root->plan : NULL;
    const struct kp_plan *filter = project ? project->inputs[0] : root->plan;
    const struct kp_plan *scan = filter->kind == KP_PLAN_FILTER ? filter->inputs[0] : NULL;
    if (!scan || scan->kind != KP_PLAN_SCAN)
        return NULL;
    struct kp_relation *relation = scan->scan.relation;
    if ((relation->kind != KP_RELATION_TABLE && relation->kind != KP_RELATION_VIEW) || relation->key_count == 0 ||
        relation->key_count > KEYS_MAX)
        return NULL;
    struct kp_point *point = kp_arena_calloc(&root->arena, sizeof *point);
    point->relation = relation;
    point->col_count = root->result_count;
    point->columns = kp_arena_alloc(&root->arena, (point->col_count + 1) * sizeof *point->columns);
    for (uint32_t i = 0; i < point->col_count; i++) {
        const struct kp_expr *expr = project ? project->project.exprs[i] : NULL;
        if (expr && expr->kind != KP_EXPR_COLUMN)
            return NULL;
        point->columns[i] = scan->scan.columns[expr ? expr->column : i];
    }
    return take_conditions(point, scan, filter->filter.predicate) ? point : NULL;
}

/* ---- reading ---- */

bool kp_point_is_ready(struct kp_session *session, const struct kp_point *point)
{
    struct kp_db *db = session->db;
    kp_mutex_lock(&db->mutex);
    const struct kp_live *live = kp_live_of(point->relation);
    bool ready = db->ready && live && !live->dropped && atomic_load(&live->state) == KP_LIVE_READY;
    kp_mutex_unlock(&db->mutex);
    return ready && (session->has_snapshot || kp_view_clock_position(db->clock) >= session->read_after);
}

/* The key's values; false if one is NULL, which equals nothing. */
static bool bind_key(const struct kp_point *point, const struct kp_datum *params, struct kp_datum *key)
{
    for (uint32_t k = 0; k < point->relation->key_count; k++) {
        const struct kp_expr *expr = point->keys[k];
        key[k] = expr->kind == KP_EXPR_PARAM ? params[expr->param - 1] : expr->datum;
        if (key[k].null)
            return false;
    }
    return true;
}

static enum kp_code read_row(struct kp_session *session, const struct kp_point *point, const struct kp_live *live,
                             const struct kp_datum *key, struct kp_arena *arena, struct kp_batch **ret_batch,
                             int64_t *ret_position, struct kp_error *err)
{
    struct kp_snapshot snapshot;
    bool own;
    KP_TRY(kp_session_snapshot(session, &snapshot, &own, err));
    *ret_position = snapshot.position;
    enum kp_code code = kp_store_check(live->store, &snapshot, err);
    if (code != KP_OK)
        kp_error_context(err, "reading \"%s\"", live->relation->name);
    else
        code = kp_store_lookup(live->store, &snapshot, key, point->columns, point->col_count, arena, ret_batch, err);
    if (own)
        kp_snapshot_release(session->db->clock, &snapshot);
    return code;
}

static void note_read(struct kp_session *session, struct kp_relation *relation, const struct kp_datum *key, bool found)
{
    if (!kp_reads_are_noted(session))
        return;
    bool by_row = session->locking && relation->kind == KP_RELATION_TABLE;
    bool kept = by_row && (!found || kp_row_locks_add(session, relation, key));
    if (!kept || kp_session_isolation(session) == KP_SERIALIZABLE)
        kp_reads_note(session, relation, session->locking && !kept);
}

enum kp_code kp_point_run(struct kp_session *session, const struct kp_point *point, const struct kp_datum *params,
                          struct kp_arena *arena, struct kp_batch ***ret_batches, size_t *ret_count,
                          int64_t *ret_position, bool *ret_done, struct kp_error *err)
{
    struct kp_datum key[KEYS_MAX];
    *ret_done = !kp_writes_touch(session, point->relation) && bind_key(point, params, key);
    if (!*ret_done)
        return KP_OK;
    struct kp_live *live;
    KP_TRY(kp_live_pin(session->db, point->relation, &session->cancelled, &live, err));
    struct kp_batch **batches = kp_arena_alloc(arena, sizeof(struct kp_batch *));
    enum kp_code code = read_row(session, point, live, key, arena, &batches[0], ret_position, err);
    kp_live_unpin(session->db, live);
    KP_TRY(code);
    note_read(session, point->relation, key, batches[0] != NULL);
    *ret_batches = batches;
    *ret_count = batches[0] ? 1 : 0;
    return KP_OK;
}
