/*
 * EXPLAIN: of a statement its plan; with ANALYZE it is run, as in PostgreSQL also one that writes, and each operator's
 * rows, time and state are told. Of CREATE MATERIALIZED VIEW also which views have the same parts. Of a materialized
 * view that lives, the operators of the live graph behind it with their counters since the server's start, and with
 * whom they are shared.
 */
#include "sql/explain.h"

#include "db/session.h"

/* ---- a statement's plan ---- */

struct bound {
    struct kp_plan_root *root;
    struct kp_bound_write *write;
    struct kp_relation *relation;
};

static void bound_release(struct bound *bound)
{
    kp_plan_release(bound->root);
    kp_bound_write_release(bound->write);
    kp_relation_unref(bound->relation);
}

static enum kp_code bind(struct kp_session *session, const struct kp_statement *inner, struct bound *bound,
                         struct kp_error *err)
{
    struct kp_sql_context context;
    enum kp_code code;
    kp_session_context(session, &context);
    kp_catalog_read(session->db->catalog);
    if (kp_statement_writes(inner))
        code = kp_sql_bind_write(&context, inner, &bound->write, err);
    else if (inner->kind == KP_STATEMENT_CREATE)
        code = kp_sql_bind_create(&context, inner, &bound->relation, err);
    else
        code = kp_sql_bind_query(&context, inner, &bound->root, err);
    kp_catalog_unlock(session->db->catalog);
    return code;
}

/* Does what the statement does; what it returns is not shown. */
static enum kp_code run_write(struct kp_cursor *cursor, struct kp_bound_write *write, struct kp_explain *explain,
                              struct kp_error *err)
{
    struct kp_prepared *prepared = cursor->prepared, inner = {.session = cursor->session, .write = write};
    char tag[sizeof cursor->tag];
    memcpy(tag, cursor->tag, sizeof tag);
    cursor->prepared = &inner;
    cursor->session->stats_plan = write->root->plan;
    enum kp_code code = kp_write_run(cursor, NULL, 0, err);
    cursor->session->stats_plan = NULL;
    cursor->prepared = prepared;
    memcpy(cursor->tag, tag, sizeof tag);
    cursor->batches = NULL;
    cursor->batch_count = 0;
    explain->rows = cursor->written;
    return code;
}

static enum kp_code run_query(struct kp_cursor *cursor, const struct kp_plan *plan, struct kp_explain *explain,
                              struct kp_error *err)
{
    struct kp_batch **batches;
    size_t count;
    KP_TRY(kp_query_run(cursor->session, plan, &cursor->arena, &batches, &count, &cursor->position, err));
    for (size_t i = 0; i < count; i++)
        explain->rows += batches[i]->rows;
    return KP_OK;
}

/* Runs the statement; measures by plan id. */
static enum kp_code analyze(struct kp_cursor *cursor, const struct bound *bound, struct kp_explain *explain,
                            struct kp_error *err)
{
    const struct kp_plan_root *root = bound->root ? bound->root : bound->write->root;
    const struct kp_plan *plan = root->plan;
    if (root->param_count)
        return kp_fail(err, KP_INVALID, "42P02", "there is no parameter $%u", root->param_count);
    struct kp_session *session = cursor->session;
    const struct kp_os *os = session->db->os;
    uint32_t count = kp_plan_node_count(plan);
    struct kp_node_stats *stats = kp_arena_calloc(&cursor->arena, count * sizeof *stats);
    struct kp_plan_measure *measures = kp_arena_calloc(&cursor->arena, count * sizeof *measures);
    int64_t started_ns = os->mono_ns(os->ctx);
    session->stats = stats;
    session->stats_count = count;
    enum kp_code code =
        bound->write ? run_write(cursor, bound->write, explain, err) : run_query(cursor, plan, explain, err);
    session->stats = NULL;
    session->stats_count = 0;
    KP_TRY(code);
    explain->ms = (double)(os->mono_ns(os->ctx) - started_ns) / 1e6;
    for (uint32_t id = 0; id < count; id++)
        if (stats[id].kind)
            measures[id] = (struct kp_plan_measure){true,         stats[id].rows_in,    stats[id].rows_out,
                                                    stats[id].ns, stats[id].state_rows, stats[id].state_bytes};
    explain->measures = measures;
    explain->measure_count = count;
    explain->position = cursor->position;
    return KP_OK;
}

static const char *write_title(const struct kp_bound_write *write)
{
    static const char *const titles[] = {"Insert into", "Update", "Delete from", "Merge into", NULL};
    return titles[write->kind];
}

/* What a statement that writes does around its plan. */
static void print_write(const struct kp_bound_write *write, const struct kp_explain *explain, struct kp_buf *out)
{
    if (write_title(write))
        kp_buf_printf(out, "%s %s%s\n", write_title(write), write->relation->name,
                      write->on_conflict == KP_CONFLICT_NOTHING  ? ", on conflict nothing"
                      : write->on_conflict == KP_CONFLICT_UPDATE ? ", on conflict update"
                                                                 : "");
    kp_plan_explain(write->root->plan, explain, out);
    if (write->conflict.root) {
        kp_buf_append_text(out, "On conflict\n");
        kp_plan_print(write->conflict.root->plan, out);
    }
    if (write->returning.root) {
        kp_buf_append_text(out, "Returning\n");
        kp_plan_print(write->returning.root->plan, out);
    }
}

/* ---- operators of a graph ---- */

struct live_graph {
    struct kp_relation *view;
    struct kp_node_stats *nodes;
    size_t count;
    uint32_t root;
    int64_t position;
    bool *mine;            /* by index in nodes: behind the view */
    struct kp_buf *others; /* likewise: names of the other views that use it */
};

static size_t index_of(const struct live_graph *graph, uint32_t id)
{
    size_t i = 0;
    while (i < graph->count && graph->nodes[i].id != id)
        i++;
    return i;
}

static void mark(const struct live_graph *graph, uint32_t id, bool *marks)
{
    size_t at = index_of(graph, id);
    if (at == graph->count || marks[at])
        return;
    marks[at] = true;
    for (uint32_t k = 0; k < graph->nodes[at].input_count; k++)
        mark(graph, graph->nodes[at].inputs[k], marks);
}

/* Notes the name of another view at what it stands on. */
static void note_other(const struct live_graph *graph, uint32_t root, const char *name)
{
    bool *marks = kp_calloc(graph->count + 1, sizeof *marks);
    mark(graph, root, marks);
    for (size_t i = 0; i < graph->count; i++)
        if (marks[i] && graph->mine[i])
            kp_buf_printf(&graph->others[i], "%s%s", graph->others[i].len ? ", " : "", name);
    kp_free(marks);
}

static void graph_finish(struct live_graph *graph)
{
    for (size_t i = 0; i < graph->count && graph->others; i++)
        kp_buf_finish(&graph->others[i]);
    kp_free(graph->others);
    kp_free(graph->mine);
    kp_free(graph->nodes);
}

/* ---- what a view would share ---- */

/* A graph of the views that are there and read some of the same: what is equal in them is one node. */
struct trial {
    struct live_graph nodes;
    struct kp_graph *graph;
    struct kp_relation **read; /* tables and views, and the inputs that stand for them */
    struct kp_node **inputs;
    size_t count;
};

static struct kp_node *trial_input(void *arg, struct kp_relation *relation)
{
    struct trial *trial = arg;
    if (relation->kind == KP_RELATION_SOURCE)
        return NULL;
    for (size_t i = 0; i < trial->count; i++)
        if (trial->read[i] == relation)
            return trial->inputs[i];
    trial->read = kp_realloc(trial->read, (trial->count + 1) * sizeof(struct kp_relation *));
    trial->inputs = kp_realloc(trial->inputs, (trial->count + 1) * sizeof(struct kp_node *));
    trial->read[trial->count] = relation;
    trial->inputs[trial->count] = kp_graph_input(trial->graph, relation->cols, relation->col_count, false);
    return trial->inputs[trial->count++];
}

static bool scans(const struct kp_plan *plan, const struct kp_relation *relation)
{
    bool found = plan->kind == KP_PLAN_SCAN && plan->scan.relation == relation;
    for (uint32_t i = 0; !found && i < plan->input_count; i++)
        found = scans(plan->inputs[i], relation);
    return found;
}

static bool scans_same(const struct kp_plan *plan, const struct kp_plan *other)
{
    bool found = plan->kind == KP_PLAN_SCAN && scans(other, plan->scan.relation);
    for (uint32_t i = 0; !found && i < plan->input_count; i++)
        found = scans_same(plan->inputs[i], other);
    return found;
}

/* Of a part that scans: where the rows come from, which is shared even if the columns are not. */
static uint32_t place_of(const struct live_graph *nodes, const struct kp_plan *plan, uint32_t id)
{
    size_t at = index_of(nodes, id);
    while (plan->kind == KP_PLAN_SCAN && nodes->nodes[at].input_count)
        at = index_of(nodes, nodes->nodes[at].inputs[0]);
    return (uint32_t)at;
}

static void tell_shared(const struct trial *trial, const struct kp_plan *plan, struct kp_node *const *by_plan,
                        struct kp_arena *arena, const char **shared)
{
    const struct live_graph *nodes = &trial->nodes;
    if (by_plan[plan->id]) {
        const struct kp_buf *names = &nodes->others[place_of(nodes, plan, kp_node_id(by_plan[plan->id]))];
        shared[plan->id] = names->len ? kp_arena_strndup(arena, (const char *)names->data, names->len) : NULL;
    }
    for (uint32_t i = 0; i < plan->input_count; i++)
        tell_shared(trial, plan->inputs[i], by_plan, arena, shared);
}

/* Under the catalog's lock. */
static enum kp_code build_trial(struct trial *trial, struct kp_session *session, const struct kp_plan *plan,
                                struct kp_node **by_plan, struct kp_error *err)
{
    struct kp_catalog *catalog = session->db->catalog;
    struct live_graph *nodes = &trial->nodes;
    struct kp_sql_context context;
    struct kp_node *root;
    kp_session_context(session, &context);
    struct kp_node **roots = kp_calloc(kp_catalog_count(catalog) + 1, sizeof(struct kp_node *));
    enum kp_code code = KP_OK;
    for (size_t i = 0; code == KP_OK && i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *view = kp_catalog_at(catalog, i);
        const struct kp_live *live = view->kind == KP_RELATION_VIEW ? kp_live_of(view) : NULL;
        if (live && atomic_load(&live->state) != KP_LIVE_FAILED && scans_same(plan, view->plan->plan))
            code =
                kp_graph_add_plan(trial->graph, view->plan->plan, &live->settings, trial_input, trial, &roots[i], err);
    }
    if (code == KP_OK)
        code = kp_graph_add_plan_noted(trial->graph, plan, context.settings, trial_input, trial, by_plan, &root, err);
    if (code == KP_OK) {
        kp_graph_stats(trial->graph, &nodes->nodes, &nodes->count);
        nodes->others = kp_calloc(nodes->count + 1, sizeof *nodes->others);
        nodes->mine = kp_calloc(nodes->count + 1, sizeof *nodes->mine);
        mark(nodes, kp_node_id(root), nodes->mine);
    }
    for (size_t i = 0; code == KP_OK && i < kp_catalog_count(catalog); i++)
        if (roots[i])
            note_other(nodes, kp_node_id(roots[i]), kp_catalog_at(catalog, i)->name);
    kp_free(roots);
    return code;
}

static enum kp_code find_shared(struct kp_cursor *cursor, const struct kp_plan *plan, struct kp_explain *explain,
                                struct kp_error *err)
{
    struct kp_db *db = cursor->session->db;
    struct trial trial = {0};
    uint32_t count = kp_plan_node_count(plan);
    struct kp_node **by_plan = kp_arena_calloc(&cursor->arena, (count + 1) * sizeof(struct kp_node *));
    const char **shared = kp_arena_calloc(&cursor->arena, (count + 1) * sizeof *shared);
    struct kp_graph_options options = {.parts = 1, .budget = &db->query_memory};
    KP_TRY(kp_graph_create(&options, &trial.graph, err));
    kp_catalog_read(db->catalog);
    enum kp_code code = build_trial(&trial, cursor->session, plan, by_plan, err);
    if (code == KP_OK) {
        tell_shared(&trial, plan, by_plan, &cursor->arena, shared);
        explain->shared = shared;
    }
    kp_graph_destroy(trial.graph);
    kp_catalog_unlock(db->catalog);
    graph_finish(&trial.nodes);
    kp_free(trial.read);
    kp_free(trial.inputs);
    return code;
}

static enum kp_code explain_statement(struct kp_cursor *cursor, struct kp_buf *out, struct kp_error *err)
{
    const struct kp_statement *statement = cursor->prepared->statement;
    static const struct kp_explain plain = {.position = -1};
    struct kp_explain explain = {.json = statement->explain_json, .position = -1};
    bool analyzes = statement->explain == KP_EXPLAIN_ANALYZE;
    struct bound bound = {0};
    enum kp_code code = bind(cursor->session, statement->inner, &bound, err);
    explain.once = bound.root || bound.write;
    if (code == KP_OK && analyzes && bound.relation)
        code = kp_fail(err, KP_UNSUPPORTED, NULL, "EXPLAIN ANALYZE runs queries and statements that write rows only");
    if (code == KP_OK && analyzes)
        code = analyze(cursor, &bound, &explain, err);
    const struct kp_plan_root *root = bound.root       ? bound.root
                                      : bound.write    ? bound.write->root
                                      : bound.relation ? bound.relation->plan
                                                       : NULL;
    if (code == KP_OK && bound.relation && bound.relation->kind == KP_RELATION_VIEW && root)
        code = find_shared(cursor, root->plan, &explain, err);
    if (code == KP_OK && !root)
        code = kp_fail(err, KP_INVALID, "42809", "\"%s\" has no plan", bound.relation->name);
    else if (code == KP_OK && bound.write && !explain.json) {
        for (uint32_t i = 0; i < bound.write->with_count; i++)
            print_write(bound.write->withs[i], &plain, out);
        print_write(bound.write, &explain, out);
    } else if (code == KP_OK)
        kp_plan_explain(root->plan, &explain, out);
    bound_release(&bound);
    return code;
}

/* ---- a live view ---- */

/* Engine thread: the counters now, and who else stands on the view's operators. */
static enum kp_code take_graph(struct kp_db *db, void *arg, struct kp_error *err)
{
    struct live_graph *graph = arg;
    const struct kp_live *own = kp_live_of(graph->view);
    if (!own || !own->node)
        return kp_fail(err, KP_BUSY, "55000", "\"%s\" is not in the live graph: it is being built or has failed",
                       graph->view->name);
    kp_graph_stats(db->graph, &graph->nodes, &graph->count);
    graph->position = db->position;
    graph->root = kp_node_id(own->node);
    graph->mine = kp_calloc(graph->count + 1, sizeof *graph->mine);
    graph->others = kp_calloc(graph->count + 1, sizeof *graph->others);
    mark(graph, graph->root, graph->mine);
    for (const struct kp_live *live = db->fed; live; live = live->next_fed)
        if (live != own && live->node)
            note_other(graph, kp_node_id(live->node), live->relation->name);
    return KP_OK;
}

static void print_live_text(const struct live_graph *graph, uint32_t id, bool *done, int depth, struct kp_buf *out)
{
    size_t at = index_of(graph, id);
    if (at == graph->count)
        return;
    const struct kp_node_stats *node = &graph->nodes[at];
    kp_buf_printf(out, "%*s%s%s%s%s", depth * 2, "", depth ? "-> " : "", node->kind, node->detail[0] ? ": " : "",
                  node->detail);
    if (done[at]) {
        kp_buf_append_text(out, "  [as above]\n");
        return;
    }
    done[at] = true;
    if (node->growing)
        kp_buf_append_text(out, "  [grows]");
    if (graph->others[at].len)
        kp_buf_printf(out, "  [shared with %.*s]", (int)graph->others[at].len, (char *)graph->others[at].data);
    kp_buf_printf(out, "  (rows=%llu of %llu time=%.3f ms", (unsigned long long)node->rows_out,
                  (unsigned long long)node->rows_in, (double)node->ns / 1e6);
    if (node->state_rows || node->state_bytes) {
        kp_buf_printf(out, " state=%llu rows, ", (unsigned long long)node->state_rows);
        kp_explain_bytes(node->state_bytes, out);
    }
    if (node->late)
        kp_buf_printf(out, " late=%llu", (unsigned long long)node->late);
    kp_buf_append_text(out, ")\n");
    for (uint32_t k = 0; k < node->input_count; k++)
        print_live_text(graph, node->inputs[k], done, depth + 1, out);
}

static void print_live_json(const struct live_graph *graph, uint32_t id, struct kp_buf *out)
{
    size_t at = index_of(graph, id);
    const struct kp_node_stats *node = &graph->nodes[at];
    kp_buf_printf(out, "{\"Node\": %u, \"Node Type\": ", node->id);
    kp_buf_append_json_string(out, kp_str(node->kind));
    kp_buf_append_text(out, ", \"Details\": ");
    kp_buf_append_json_string(out, kp_str(node->detail));
    kp_buf_append_text(out, ", \"Shared With\": ");
    kp_buf_append_json_string(out, (struct kp_str){(const char *)graph->others[at].data, graph->others[at].len});
    kp_buf_printf(out,
                  ", \"Only Grows\": %s, \"Actual Rows\": %llu, \"Rows In\": %llu, \"Actual Total Time\": %.3f, "
                  "\"State Rows\": %llu, \"State Bytes\": %llu, \"Late\": %llu, \"Plans\": [",
                  node->growing ? "true" : "false", (unsigned long long)node->rows_out,
                  (unsigned long long)node->rows_in, (double)node->ns / 1e6, (unsigned long long)node->state_rows,
                  (unsigned long long)node->state_bytes, (unsigned long long)node->late);
    bool first = true;
    for (uint32_t k = 0; k < node->input_count; k++) {
        if (index_of(graph, node->inputs[k]) == graph->count)
            continue;
        kp_buf_append_text(out, first ? "" : ", ");
        print_live_json(graph, node->inputs[k], out);
        first = false;
    }
    kp_buf_append_text(out, "]}");
}

static void print_live(const struct live_graph *graph, bool json, struct kp_buf *out)
{
    uint64_t rows = 0, bytes = 0;
    for (size_t i = 0; i < graph->count; i++)
        if (graph->mine[i]) {
            rows += graph->nodes[i].state_rows;
            bytes += graph->nodes[i].state_bytes;
        }
    struct kp_store_stats store;
    kp_store_stats(kp_live_of(graph->view)->store, &store);
    if (json) {
        kp_buf_append_text(out, "[\n  {\n    \"Plan\": ");
        print_live_json(graph, graph->root, out);
        kp_buf_printf(out,
                      ",\n    \"Position\": %lld,\n    \"Rows\": %llu,\n    \"Row Bytes\": %llu,\n    \"State Rows\": "
                      "%llu,\n    \"State Bytes\": %llu\n  }\n]\n",
                      (long long)graph->position, (unsigned long long)store.rows, (unsigned long long)store.bytes,
                      (unsigned long long)rows, (unsigned long long)bytes);
        return;
    }
    bool *done = kp_calloc(graph->count + 1, sizeof *done);
    print_live_text(graph, graph->root, done, 0, out);
    kp_free(done);
    kp_buf_printf(out, "Rows: %llu at position %lld, ", (unsigned long long)store.rows, (long long)graph->position);
    kp_explain_bytes(store.bytes, out);
    kp_buf_printf(out, "\nState: %llu rows, ", (unsigned long long)rows);
    kp_explain_bytes(bytes, out);
    kp_buf_append_byte(out, '\n');
}

static enum kp_code find_view(struct kp_session *session, const struct kp_name *name, struct kp_relation **ret_view,
                              struct kp_error *err)
{
    struct kp_relation *view;
    KP_TRY(kp_db_relation(session->db, name->name, &view, err));
    if (view->kind != KP_RELATION_VIEW) {
        enum kp_code code = kp_fail(err, KP_INVALID, "42809", "\"%s\" is not a materialized view", view->name);
        kp_relation_unref(view);
        return code;
    }
    *ret_view = view;
    return KP_OK;
}

static enum kp_code explain_view(struct kp_cursor *cursor, struct kp_buf *out, struct kp_error *err)
{
    const struct kp_statement *statement = cursor->prepared->statement;
    struct kp_session *session = cursor->session;
    struct kp_explain plain = {.json = statement->explain_json, .position = -1};
    struct live_graph graph = {0};
    KP_TRY(find_view(session, &statement->name, &graph.view, err));
    struct kp_live *live = NULL;
    enum kp_code code = KP_OK;
    if (statement->explain != KP_EXPLAIN_ANALYZE) {
        kp_plan_explain(graph.view->plan->plan, &plain, out);
    } else {
        code = kp_live_pin(session->db, graph.view, &session->cancelled, &live, err);
        if (code == KP_OK)
            code = kp_engine_call(session->db, take_graph, &graph, err);
        if (code == KP_OK)
            print_live(&graph, statement->explain_json, out);
    }
    if (live)
        kp_live_unpin(session->db, live);
    graph_finish(&graph);
    kp_relation_unref(graph.view);
    return code;
}

/* ---- both ---- */

enum kp_code kp_explain_run(struct kp_cursor *cursor, struct kp_error *err)
{
    const struct kp_statement *statement = cursor->prepared->statement;
    if (statement->explain == KP_EXPLAIN_ROW || statement->explain == KP_EXPLAIN_REPLAY)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "EXPLAIN %s is not supported",
                       statement->explain == KP_EXPLAIN_ROW ? "ROW" : "REPLAY");
    struct kp_buf text = {0};
    enum kp_code code = statement->inner ? explain_statement(cursor, &text, err) : explain_view(cursor, &text, err);
    struct kp_str rest = {(const char *)text.data, text.len};
    struct kp_str *lines = kp_arena_alloc(&cursor->arena, (text.len + 1) * sizeof *lines);
    uint32_t count = 0;
    while (code == KP_OK && rest.len) {
        const char *end = statement->explain_json ? NULL : memchr(rest.ptr, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len - statement->explain_json;
        lines[count++] = (struct kp_str){rest.ptr, len};
        rest.ptr += KP_MIN(len + 1, rest.len);
        rest.len -= KP_MIN(len + 1, rest.len);
    }
    if (code == KP_OK) {
        cursor->batches = kp_arena_alloc(&cursor->arena, sizeof(struct kp_batch *));
        cursor->batches[0] = kp_text_batch(&cursor->arena, lines, count);
        cursor->batches[0]->vecs[0].type = cursor->prepared->cols[0].type;
        cursor->batch_count = 1;
    }
    kp_buf_finish(&text);
    return code;
}
