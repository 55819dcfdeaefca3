/*
 * Ad-hoc queries: the plan runs in a graph of its own for one bounded step, over the rows that its relations have at
 * one position: of tables and views from their stores, of sources decoded from the log, of system tables made now.
 */
#include "db/system.h"

#include "db/moment.h"
#include "db/retention.h"
#include "db/sequence.h"
#include "db/source_scan.h"
#include "db/travel.h"

struct run {
    struct kp_session *session;
    const struct kp_plan *plan;
    struct kp_snapshot snapshot;
    struct kp_live **pinned;
    size_t pinned_count;
    struct kp_live *errors_of;      /* whose error rows are read; NULL: none */
    struct kp_source_memory memory; /* what sources' rows point into */
    struct kp_travel *travel;       /* AS OF: instead of the live stores */
};

/* ---- what the plan reads ---- */

/* The view whose error rows are read, which do not keep it from being read here. */
static enum kp_code pin_errors(struct run *run, const struct kp_relation *relation, struct kp_error *err)
{
    struct kp_catalog *catalog = run->session->db->catalog;
    if (run->errors_of)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "a query can read the error rows of one view only");
    kp_catalog_read(catalog);
    struct kp_relation *view = kp_catalog_find(catalog, KP_STR("public"), kp_str(relation->errors_of));
    if (view && view->kind == KP_RELATION_VIEW)
        kp_relation_ref(view);
    else
        view = NULL;
    kp_catalog_unlock(catalog);
    if (!view)
        return kp_fail(err, KP_NOT_FOUND, "42P01", "relation \"%s\" was dropped", relation->errors_of);
    enum kp_code code = kp_live_pin(run->session->db, view, &run->session->cancelled, &run->errors_of, err);
    kp_relation_unref(view);
    return code;
}

static enum kp_code pin_all(struct run *run, const struct kp_plan *plan, struct kp_error *err)
{
    struct kp_relation *relation = plan->kind == KP_PLAN_SCAN ? plan->scan.relation : NULL;
    if (relation && (relation->kind == KP_RELATION_TABLE || relation->kind == KP_RELATION_VIEW)) {
        run->pinned = kp_realloc(run->pinned, (run->pinned_count + 1) * sizeof(struct kp_live *));
        KP_TRY(kp_live_pin(run->session->db, relation, &run->session->cancelled, &run->pinned[run->pinned_count], err));
        run->pinned_count++;
    }
    if (relation && relation->errors_of)
        KP_TRY(pin_errors(run, relation, err));
    if (relation && relation->kind == KP_RELATION_SOURCE)
        KP_TRY(kp_session_wait_replayed(run->session, err));
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(pin_all(run, plan->inputs[i], err));
    return KP_OK;
}

struct emit {
    enum kp_code (*emit)(void *arg, struct kp_batch *batch, struct kp_error *err);
    void *arg;
    struct kp_session *session;
    struct kp_relation *relation;
    const struct kp_plan *scan;
    struct kp_arena *arena;
};

/* ---- moments ---- */

static const struct kp_plan *parent_of(const struct kp_plan *plan, const struct kp_plan *child)
{
    for (uint32_t i = 0; i < plan->input_count; i++) {
        if (plan->inputs[i] == child)
            return plan;
        const struct kp_plan *found = parent_of(plan->inputs[i], child);
        if (found)
            return found;
    }
    return NULL;
}

struct moments {
    struct kp_expr **exprs; /* log_position(moment, topic) */
    uint32_t count;
    struct kp_arena *arena;
};

static bool is_no_column(const struct kp_expr *expr, void *arg)
{
    return expr->kind != KP_EXPR_COLUMN;
}

static bool find_moment(const struct kp_expr *expr, void *arg)
{
    struct moments *moments = arg;
    if (expr->kind != KP_EXPR_CALL || expr->arg_count != 2 || strcmp(expr->func->name, "log_position") != 0 ||
        !kp_expr_walk(expr, is_no_column, NULL))
        return true;
    struct kp_expr **exprs = kp_arena_alloc(moments->arena, (moments->count + 1) * sizeof(struct kp_expr *));
    if (moments->count)
        memcpy(exprs, moments->exprs, moments->count * sizeof(struct kp_expr *));
    exprs[moments->count++] = kp_expr_copy(expr, moments->arena, NULL, NULL);
    moments->exprs = exprs;
    return true;
}

static void find_moments(const struct kp_plan *plan, struct moments *moments)
{
    if (plan->kind == KP_PLAN_FILTER)
        (void)kp_expr_walk(plan->filter.predicate, find_moment, moments);
    for (uint32_t i = 0; i < plan->input_count; i++)
        find_moments(plan->inputs[i], moments);
}

/* Whether filters right above the scan say of which moment its rows are: check_moments has seen to those. */
static bool is_of_moment(const struct run *run, const struct kp_plan *scan, struct kp_arena *arena)
{
    struct moments moments = {.arena = arena};
    const struct kp_plan *plan = parent_of(run->plan, scan);
    for (; plan && plan->kind == KP_PLAN_FILTER; plan = parent_of(run->plan, plan))
        (void)kp_expr_walk(plan->filter.predicate, find_moment, &moments);
    return moments.count > 0;
}

/* ---- stores, with the transaction's own writes on top ---- */

static struct kp_batch *pick_columns(const struct kp_batch *batch, const struct kp_plan *scan, struct kp_arena *arena)
{
    struct kp_batch *picked = kp_batch_create(arena, scan->col_count, batch->rows);
    for (uint32_t i = 0; i < scan->col_count; i++)
        picked->vecs[i] = batch->vecs[scan->scan.columns[i]];
    picked->weights = batch->weights;
    return picked;
}

/* Batches of all columns: rows that the transaction has written over are left out. */
static enum kp_code emit_visible(void *arg, struct kp_batch *batch, struct kp_error *err)
{
    struct emit *emit = arg;
    uint32_t *index = kp_arena_alloc(emit->arena, batch->rows * sizeof *index);
    uint32_t count = 0;
    for (uint32_t row = 0; row < batch->rows; row++)
        if (!kp_writes_hide(emit->session, emit->relation, batch, row))
            index[count++] = row;
    struct kp_batch *visible = count == batch->rows ? batch : kp_batch_gather(batch, index, count, emit->arena);
    return count ? emit->emit(emit->arg, pick_columns(visible, emit->scan, emit->arena), err) : KP_OK;
}

static enum kp_code scan_with_writes(struct run *run, struct kp_live *live, struct emit *emit, struct kp_error *err)
{
    const struct kp_relation *relation = live->relation;
    uint32_t *all = kp_arena_alloc(emit->arena, (relation->col_count + 1) * sizeof *all);
    for (uint32_t i = 0; i < relation->col_count; i++)
        all[i] = i;
    KP_TRY(kp_store_scan(live->store, &run->snapshot, all, relation->col_count, emit->arena, emit_visible, emit, err));
    size_t visible = kp_writes_visible(run->session);
    for (size_t i = 0; i < visible; i++) {
        const struct kp_pending_write *write = &run->session->writes[i];
        if (write->relation == relation && write->row && write->replaced_by >= visible)
            KP_TRY(emit->emit(emit->arg, pick_columns(write->row, emit->scan, emit->arena), err));
    }
    return KP_OK;
}

/* ---- keys: WHERE k = constant on a relation whose key is known ---- */

/* Fills key (in order of the relation's keys) if a filter right above the scan fixes every key column. */
static bool key_of(const struct run *run, const struct kp_plan *scan, struct kp_datum *key)
{
    const struct kp_expr *values[KP_PLAN_KEYS_MAX];
    if (!kp_plan_key(parent_of(run->plan, scan), scan, values))
        return false;
    for (uint32_t k = 0; k < scan->scan.relation->key_count; k++)
        key[k] = values[k]->datum;
    return true;
}

static enum kp_code scan_store(struct run *run, struct kp_live *live, struct emit *emit, struct kp_error *err)
{
    struct kp_session *session = run->session;
    struct kp_datum key[KP_PLAN_KEYS_MAX];
    bool by_key = key_of(run, emit->scan, key), touched = kp_writes_touch(session, live->relation);
    if (touched && by_key) {
        struct kp_str text = kp_writes_key(session, live->relation, key, emit->arena);
        const struct kp_pending_write *own = kp_writes_find(session, live->relation, text, kp_writes_visible(session));
        if (own)
            return own->row ? emit->emit(emit->arg, pick_columns(own->row, emit->scan, emit->arena), err) : KP_OK;
    }
    if (touched && !by_key)
        return scan_with_writes(run, live, emit, err);
    if (!by_key)
        return kp_store_scan(live->store, &run->snapshot, emit->scan->scan.columns, emit->scan->col_count, emit->arena,
                             emit->emit, emit->arg, err);
    struct kp_batch *batch;
    KP_TRY(kp_store_lookup(live->store, &run->snapshot, key, emit->scan->scan.columns, emit->scan->col_count,
                           emit->arena, &batch, err));
    return batch ? emit->emit(emit->arg, batch, err) : KP_OK;
}

static enum kp_code scan_source(struct run *run, struct emit *emit, struct kp_error *err)
{
    if (emit->relation->versions_of && !is_of_moment(run, emit->scan, emit->arena)) /* all of them are wanted */
        KP_TRY(kp_retention_check_past(run->session->db, emit->relation->topic, 0, err));
    const struct kp_plan *filter = parent_of(run->plan, emit->scan);
    const struct kp_source_scan scan = {.session = run->session,
                                        .relation = emit->relation,
                                        .plan = emit->scan,
                                        .predicate =
                                            filter && filter->kind == KP_PLAN_FILTER ? filter->filter.predicate : NULL,
                                        .position = run->snapshot.position,
                                        .memory = &run->memory,
                                        .arena = emit->arena,
                                        .emit = emit->emit,
                                        .arg = emit->arg};
    return kp_source_scan(&scan, err);
}

/* ---- all kinds ---- */

static enum kp_code emit_picked(void *arg, struct kp_batch *batch, struct kp_error *err)
{
    struct emit *emit = arg;
    return emit->emit(emit->arg, pick_columns(batch, emit->scan, emit->arena), err);
}

static enum kp_code emit_given(const struct kp_given_rows *given, struct emit *emit, struct kp_error *err)
{
    for (size_t i = 0; i < given->batch_count; i++)
        if (given->batches[i]->rows)
            KP_TRY(emit_picked(emit, given->batches[i], err));
    return KP_OK;
}

static enum kp_code scan_rows(void *arg, const struct kp_plan *scan, struct kp_arena *arena,
                              enum kp_code (*emit_batch)(void *emit_arg, struct kp_batch *batch, struct kp_error *err),
                              void *emit_arg, struct kp_error *err)
{
    struct run *run = arg;
    struct kp_relation *relation = scan->scan.relation;
    struct emit emit = {.emit = emit_batch,
                        .arg = emit_arg,
                        .session = run->session,
                        .relation = relation,
                        .scan = scan,
                        .arena = arena};
    switch (relation->kind) {
    case KP_RELATION_TABLE:
    case KP_RELATION_VIEW:
        if (run->travel)
            return kp_store_scan(kp_travel_store(run->travel, relation), kp_travel_snapshot(run->travel),
                                 scan->scan.columns, scan->col_count, arena, emit_batch, emit_arg, err);
        return scan_store(run, kp_live_of(relation), &emit, err);
    case KP_RELATION_SOURCE:
        return scan_source(run, &emit, err);
    case KP_RELATION_SYSTEM: {
        for (const struct kp_given_rows *given = run->session->given; given; given = given->next)
            if (given->relation == relation)
                return emit_given(given, &emit, err);
        if (relation->errors_of) {
            if (run->travel)
                return kp_fail(err, KP_UNSUPPORTED, NULL, "error rows have no past: \"%s\" shows those of now",
                               relation->name);
            return kp_store_scan_errors(run->errors_of->store, &run->snapshot, arena, emit_picked, &emit, err);
        }
        struct kp_batch *batch = NULL;
        KP_TRY(relation->system_scan(run->session, relation, arena, &batch, err));
        return batch && batch->rows ? emit_batch(emit_arg, pick_columns(batch, scan, arena), err) : KP_OK;
    }
    case KP_RELATION_SEQUENCE: {
        struct kp_batch *batch;
        KP_TRY(kp_sequence_scan(run->session, relation, arena, &batch));
        return emit_batch(emit_arg, pick_columns(batch, scan, arena), err);
    }
    default:
        return kp_fail(err, KP_INVALID, "42809", "\"%s\" has no rows", relation->name);
    }
}

/* ---- moments of FOR SYSTEM_TIME ---- */

/* Whether what they ask of the past is there; also where no record is left to be asked about. */
static enum kp_code check_moments(const struct kp_plan *plan, const struct kp_session_settings *settings,
                                  struct kp_arena *arena, struct kp_error *err)
{
    struct moments moments = {.arena = arena};
    find_moments(plan, &moments);
    struct kp_datum *ends = kp_arena_alloc(arena, (moments.count + 1) * sizeof *ends);
    return moments.count ? kp_flow_constants(moments.exprs, moments.count, settings, arena, ends, err) : KP_OK;
}

static enum kp_code run_at(struct run *run, struct kp_arena *arena, struct kp_batch ***ret_batches, size_t *ret_count,
                           struct kp_error *err)
{
    struct kp_session *session = run->session;
    for (size_t i = 0; i < run->pinned_count; i++) {
        enum kp_code code = kp_store_check(run->pinned[i]->store, &run->snapshot, err);
        if (code != KP_OK) {
            kp_error_context(err, "reading \"%s\"", run->pinned[i]->relation->name);
            return code;
        }
    }
    struct kp_session_settings settings = session->values;
    struct kp_catalog_facts facts;
    kp_system_facts(session, &facts);
    settings.facts = &facts;
    struct kp_log_facts log;
    kp_moments_facts_past(session->db, &log);
    settings.log = &log;
    settings.now_us = kp_session_now_us(session);
    if (run->travel) {
        int64_t log_time_us;
        KP_TRY(kp_log_time_at(session->db->log, run->snapshot.position, &log_time_us, err));
        settings.now_us = log_time_us - 946684800000000;
    }
    KP_TRY(check_moments(run->plan, &settings, arena, err));
    bool measured = !session->stats_plan || session->stats_plan == run->plan;
    struct kp_query_options options = {.budget = &session->db->query_memory,
                                       .settings = &settings,
                                       .cancel = &session->cancelled,
                                       .stats = measured ? session->stats : NULL,
                                       .stats_count = measured ? session->stats_count : 0};
    return kp_flow_query(run->plan, &options, scan_rows, run, arena, ret_batches, ret_count, err);
}

/* Decoded strings point into the log's spans, which go before the answer does. */
static void own_strings(struct kp_batch *batch, struct kp_arena *arena)
{
    for (uint32_t c = 0; c < batch->cols; c++) {
        struct kp_vec *vec = &batch->vecs[c];
        if (!kp_type_info(vec->type.id)->string)
            continue;
        struct kp_text *texts = vec->data;
        for (uint32_t i = 0; i < (vec->constant ? 1 : batch->rows); i++)
            if (texts[i].len > KP_TEXT_INLINE_BYTES)
                texts[i].ptr = kp_arena_strndup(arena, texts[i].ptr, texts[i].len);
    }
}

/* ---- what COMMIT looks at again ---- */

static bool is_not_volatile(const struct kp_expr *expr, void *arg)
{
    return expr->kind != KP_EXPR_CALL || !(expr->func->flags & KP_VOLATILE);
}

/* The filter right above the scan of a table, if it says which rows are read; NULL: nothing does. */
static const struct kp_plan *filter_of_rows(const struct run *run, const struct kp_plan *scan)
{
    const struct kp_plan *filter = parent_of(run->plan, scan);
    bool says =
        filter && filter->kind == KP_PLAN_FILTER && kp_expr_walk(filter->filter.predicate, is_not_volatile, NULL);
    return says && scan->scan.relation->kind == KP_RELATION_TABLE && scan->scan.relation->key_count ? filter : NULL;
}

/* The same scan with the key's columns behind its own. */
static struct kp_plan *scan_with_key(const struct kp_plan *scan, struct kp_arena *arena)
{
    const struct kp_relation *relation = scan->scan.relation;
    uint32_t count = scan->col_count + relation->key_count;
    struct kp_plan *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *scan;
    copy->col_count = count;
    copy->cols = kp_arena_alloc(arena, count * sizeof *copy->cols);
    copy->scan.columns = kp_arena_alloc(arena, count * sizeof *copy->scan.columns);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = i < scan->col_count ? scan->scan.columns[i] : relation->keys[i - scan->col_count];
        copy->scan.columns[i] = column;
        copy->cols[i] = i < scan->col_count ? scan->cols[i] : relation->cols[column];
    }
    return copy;
}

/* Locks the rows that the filter lets through; ret_kept false: they are too many. */
static enum kp_code lock_rows(const struct run *run, const struct kp_plan *filter, struct kp_arena *arena,
                              bool *ret_kept, struct kp_error *err)
{
    struct kp_session *session = run->session;
    struct kp_relation *relation = filter->inputs[0]->scan.relation;
    struct kp_plan *scan = scan_with_key(filter->inputs[0], arena), rows = *filter;
    rows.inputs = &scan;
    rows.cols = scan->cols;
    rows.col_count = scan->col_count;
    struct run again = *run;
    again.plan = &rows;
    struct kp_node_stats *stats = session->stats;
    session->stats = NULL;
    struct kp_batch **batches;
    size_t count = 0;
    enum kp_code code = run_at(&again, arena, &batches, &count, err);
    session->stats = stats;
    *ret_kept = true;
    for (size_t b = 0; code == KP_OK && b < count; b++) {
        for (uint32_t row = 0; *ret_kept && row < batches[b]->rows; row++) {
            struct kp_datum key[KP_PLAN_KEYS_MAX];
            for (uint32_t k = 0; k < relation->key_count; k++)
                kp_vec_get(&batches[b]->vecs[filter->col_count + k], row, &key[k]);
            *ret_kept = kp_row_locks_add(session, relation, key);
        }
    }
    return code;
}

/* Rows that are locked, by their keys where a filter says which they are, and relations that are read. */
static enum kp_code note_reads(const struct run *run, const struct kp_plan *plan, struct kp_arena *arena,
                               struct kp_error *err)
{
    struct kp_session *session = run->session;
    if (!kp_reads_are_noted(session))
        return KP_OK;
    if (plan->kind == KP_PLAN_SCAN && plan->scan.relation->kind != KP_RELATION_SYSTEM &&
        plan->scan.relation->kind != KP_RELATION_SEQUENCE) {
        const struct kp_plan *filter = session->locking ? filter_of_rows(run, plan) : NULL;
        bool kept = false;
        if (filter)
            KP_TRY(lock_rows(run, filter, arena, &kept, err));
        if (!kept || kp_session_isolation(session) == KP_SERIALIZABLE)
            kp_reads_note(session, plan->scan.relation, session->locking && !kept);
    }
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(note_reads(run, plan->inputs[i], arena, err));
    return KP_OK;
}

enum kp_code kp_query_run(struct kp_session *session, const struct kp_plan *plan, struct kp_arena *arena,
                          struct kp_batch ***ret_batches, size_t *ret_count, int64_t *ret_position,
                          struct kp_error *err)
{
    struct run run = {.session = session, .plan = plan};
    bool own = false;
    enum kp_code code = pin_all(&run, plan, err);
    if (code == KP_OK)
        code = kp_session_snapshot(session, &run.snapshot, &own, err);
    if (code == KP_OK) {
        *ret_position = run.snapshot.position;
        code = note_reads(&run, plan, arena, err);
    }
    if (code == KP_OK)
        code = run_at(&run, arena, ret_batches, ret_count, err);
    for (size_t i = 0; code == KP_OK && (run.memory.span_count || run.memory.view_count) && i < *ret_count; i++)
        own_strings((*ret_batches)[i], arena);
    if (code == KP_OK)
        code = kp_arena_check(arena, err);
    if (own)
        kp_snapshot_release(session->db->clock, &run.snapshot);
    for (size_t i = 0; i < run.pinned_count; i++)
        kp_live_unpin(session->db, run.pinned[i]);
    kp_source_memory_release(&run.memory);
    if (run.errors_of)
        kp_live_unpin(session->db, run.errors_of);
    kp_free(run.pinned);
    return code;
}

enum kp_code kp_query_run_as_of(struct kp_session *session, const struct kp_plan *plan, int64_t position,
                                struct kp_arena *arena, struct kp_batch ***ret_batches, size_t *ret_count,
                                struct kp_error *err)
{
    struct run run = {.session = session, .plan = plan, .snapshot = {.position = position}};
    enum kp_code code = kp_travel_create(session, plan, position, &run.travel, err);
    for (size_t i = 0; code == KP_OK && i < kp_travel_count(run.travel); i++)
        code = kp_store_check(kp_travel_store_at(run.travel, i), kp_travel_snapshot(run.travel), err);
    if (code == KP_OK)
        code = run_at(&run, arena, ret_batches, ret_count, err);
    if (code == KP_OK) /* sources were read as they are: nothing of them has expired until here */
        code = kp_travel_check(session, plan, position, err);
    for (size_t i = 0; code == KP_OK && (run.memory.span_count || run.memory.view_count) && i < *ret_count; i++)
        own_strings((*ret_batches)[i], arena);
    if (code == KP_OK)
        code = kp_arena_check(arena, err);
    kp_travel_destroy(run.travel);
    kp_source_memory_release(&run.memory);
    return code;
}

enum kp_code kp_query_run_root(struct kp_session *session, const struct kp_plan_root *root,
                               const struct kp_datum *params, uint32_t param_count, struct kp_arena *arena,
                               struct kp_batch ***ret_batches, size_t *ret_count, int64_t *ret_position,
                               struct kp_error *err)
{
    struct kp_plan_root *copy = NULL;
    if (root->param_count)
        KP_TRY(kp_plan_instantiate(root, params, param_count, &copy, err));
    enum kp_code code =
        kp_query_run(session, copy ? copy->plan : root->plan, arena, ret_batches, ret_count, ret_position, err);
    kp_plan_release(copy);
    for (size_t i = 0; code == KP_OK && i < *ret_count; i++)
        (*ret_batches)[i]->cols = root->result_count; /* those behind it only gave the order */
    return code;
}
