/*
 * CREATE. A statement is checked, written to the log as a catalog record (from then on it has happened, crash
 * or not), and takes effect: in the catalog, and for tables and views as a backfill job that the statement waits for.
 */
#include "db/ddl.h"

#include "flow/source.h"

#include <stdarg.h>
#include <stdio.h>

#include "db/compaction.h"
#include "db/dependents.h"
#include "db/failed.h"
#include "db/retention.h"

enum { WAIT_US = 50000 };

void kp_ddl_notice(struct kp_ddl *ddl, const char *sqlstate, const char *format, ...)
{
    if (!ddl->notice)
        return;
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct kp_error notice;
    (void)kp_fail(&notice, KP_OK, sqlstate, "%s", text);
    ddl->notice(ddl->notice_arg, "NOTICE", &notice);
}

bool kp_ddl_is(const struct kp_statement *statement)
{
    switch (statement->kind) {
    case KP_STATEMENT_CREATE:
    case KP_STATEMENT_CREATE_AS:
    case KP_STATEMENT_CREATE_TOPIC:
    case KP_STATEMENT_ALTER_TOPIC:
    case KP_STATEMENT_DROP:
    case KP_STATEMENT_ALTER_VIEW:
    case KP_STATEMENT_ALTER_SOURCE:
    case KP_STATEMENT_REFRESH:
    case KP_STATEMENT_ALTER_OBJECT:
    case KP_STATEMENT_ALTER_TABLE:
    case KP_STATEMENT_ALTER_SEQUENCE:
    case KP_STATEMENT_COMMENT:
        return true;
    default:
        return false;
    }
}

enum kp_code kp_ddl_log(struct kp_ddl *ddl, struct kp_error *err)
{
    if (ddl->replaying)
        return KP_OK;
    KP_ASSERT(ddl->row_count == 0 || ddl->record.topic);
    for (size_t i = 0; i < ddl->row_count; i++)
        ddl->rows[i].topic = ddl->record.topic;
    return kp_catalog_log_append(ddl->db, &ddl->record, ddl->rows, ddl->row_count, &ddl->position, &ddl->end, err);
}

static void put_number(void *arg, struct kp_relation *on)
{
    struct kp_buf *numbers = arg;
    on = on->versions_of ? on->versions_of : on;
    if (on->kind != KP_RELATION_SYSTEM)
        kp_buf_printf(numbers, "%s%u", numbers->len ? "," : "", on->id);
}

enum kp_code kp_ddl_log_made(struct kp_ddl *ddl, const struct kp_relation *first, uint32_t numbers,
                             struct kp_error *err)
{
    if (ddl->replaying)
        return KP_OK;
    struct kp_buf reads = {0};
    kp_dependents_each_read(first, put_number, &reads);
    ddl->record.next_relation = ddl->db->next_relation_id + numbers;
    ddl->record.reads = reads.len ? (struct kp_str){(const char *)reads.data, reads.len} : KP_STR("");
    enum kp_code code = kp_ddl_log(ddl, err);
    ddl->record.next_relation = 0;
    ddl->record.reads = (struct kp_str){NULL, 0};
    kp_buf_finish(&reads);
    return code;
}

/* ---- topics ---- */

static enum kp_code option_partitions(const struct kp_option *options, uint32_t count, int64_t *ret_partitions,
                                      struct kp_error *err)
{
    *ret_partitions = 1;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(options[i].name, "partitions") == 0)
            return kp_sql_option_int("partitions", options[i].value, 1, KP_PARTITIONS_MAX, ret_partitions, err);
    return KP_OK;
}

/* What a statement says about a topic, beside its making, which is the log's own record. */
static enum kp_code configure_topic(struct kp_ddl *ddl, const struct kp_statement *statement, uint32_t topic,
                                    struct kp_error *err)
{
    ddl->record.topic = topic;
    KP_TRY(kp_ddl_log(ddl, err));
    KP_TRY(kp_retention_configure(ddl->db, topic, statement->options, statement->option_count, err));
    return ddl->replaying ? KP_OK : kp_retention_run(ddl->db, topic, err);
}

static bool has_policy(const struct kp_statement *statement)
{
    for (uint32_t i = 0; i < statement->option_count; i++)
        if (strcmp(statement->options[i].name, "partitions") != 0)
            return true;
    return false;
}

/* What is written there makes the catalog, moves time: rows of anybody else would end the instance. */
static enum kp_code check_topic_name(const char *name, struct kp_error *err)
{
    if (strncmp(name, "__", 2) != 0)
        return KP_OK;
    (void)kp_fail(err, KP_INVALID, "42939", "unacceptable topic name \"%s\"", name);
    return kp_error_detail(err, "The prefix \"__\" is reserved for kappa's own topics.");
}

static enum kp_code create_topic(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err)
{
    if (ddl->replaying)
        return ddl->record.topic ? configure_topic(ddl, statement, ddl->record.topic, err) : KP_OK;
    KP_TRY(check_topic_name(statement->name.name, err));
    KP_TRY(kp_sql_check_topic(statement, err));
    int64_t partitions;
    KP_TRY(option_partitions(statement->options, statement->option_count, &partitions, err));
    KP_TRY(kp_retention_try(statement->options, statement->option_count, err));
    uint32_t id;
    enum kp_code code = kp_log_topic_create(ddl->db->log, statement->name.name, (uint32_t)partitions, &id, err);
    if (code == KP_EXISTS && statement->if_not_exists) {
        kp_ddl_notice(ddl, "42P07", "topic \"%s\" already exists, skipping", statement->name.name);
        return KP_OK;
    }
    return code == KP_OK && has_policy(statement) ? configure_topic(ddl, statement, id, err) : code;
}

static enum kp_code alter_topic(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err)
{
    if (ddl->replaying)
        return configure_topic(ddl, statement, ddl->record.topic, err);
    struct kp_topic_info info;
    enum kp_code code = kp_log_topic_find(ddl->db->log, statement->name.name, &info, err);
    if (code == KP_NOT_FOUND && statement->if_exists) {
        kp_ddl_notice(ddl, "00000", "topic \"%s\" does not exist, skipping", statement->name.name);
        return KP_OK;
    }
    KP_TRY(code);
    if (info.internal)
        return kp_fail(err, KP_FORBIDDEN, NULL, "topic \"%s\" is kappa's own", info.name);
    if (statement->alter == KP_ALTER_COMPACT)
        return kp_compaction_run(ddl->db, info.id, true, ddl->cancel, err);
    if (statement->alter == KP_ALTER_DELETE_BEFORE)
        return kp_retention_delete(ddl->db, info.id, statement->partition, statement->before_offset, err);
    for (uint32_t i = 0; i < statement->option_count; i++)
        if (strcmp(statement->options[i].name, "partitions") == 0)
            return kp_fail(err, KP_UNSUPPORTED, NULL, "the partitions of topic \"%s\" cannot be changed", info.name);
    KP_TRY(kp_retention_try(statement->options, statement->option_count, err));
    return configure_topic(ddl, statement, info.id, err);
}

/* Of a statement that ended between the topic and the table, say. */
static enum kp_code take_empty_topic(struct kp_ddl *ddl, struct kp_relation *relation,
                                     const struct kp_topic_info *topic, struct kp_error *err)
{
    if (topic->records == 0) {
        ddl->record.topic = relation->made_topic = topic->id;
        return KP_OK;
    }
    (void)kp_fail(err, KP_EXISTS, "42P07", "topic \"%s\" already exists", topic->name);
    (void)kp_error_detail(err, "Its records would be rows of the table.");
    return kp_error_hint(err, "Name the table otherwise, or drop the topic first.");
}

/* A table's, if it was not told one, is its own from now on: that it was made here is in the catalog record. */
static enum kp_code need_topic(struct kp_ddl *ddl, struct kp_relation *relation, struct kp_error *err)
{
    if (ddl->replaying)
        relation->made_topic = ddl->record.topic;
    if (ddl->replaying || !relation->topic)
        return KP_OK;
    struct kp_topic_info info;
    enum kp_code code = kp_log_topic_find(ddl->db->log, relation->topic, &info, err);
    if (code == KP_OK && info.nameless) /* the one name of that kind that is not kappa's */
        return KP_OK;
    KP_TRY(check_topic_name(relation->topic, err));
    if (code == KP_OK && ddl->fills)
        return take_empty_topic(ddl, relation, &info, err);
    if (code != KP_NOT_FOUND)
        return code;
    int64_t partitions;
    KP_TRY(option_partitions(relation->options, relation->option_count, &partitions, err));
    uint32_t id;
    code = kp_log_topic_create(ddl->db->log, relation->topic, (uint32_t)partitions, &id, err);
    if (code == KP_OK && relation->kind == KP_RELATION_TABLE && !kp_relation_option(relation, "topic"))
        ddl->record.topic = relation->made_topic = id;
    return code == KP_EXISTS && !ddl->fills ? KP_OK : code;
}

/* ---- CREATE ---- */

static enum kp_code attach_sink(struct kp_db *db, void *arg, struct kp_error *err)
{
    return kp_sink_attach(db, arg, err);
}

static enum kp_code start_sink(struct kp_ddl *ddl, struct kp_relation *sink, struct kp_error *err)
{
    struct kp_live *from;
    KP_TRY(kp_live_pin(ddl->db, sink->sink_from, ddl->cancel, &from, err));
    kp_live_unpin(ddl->db, from);
    return kp_engine_call(ddl->db, attach_sink, sink, err);
}

void kp_ddl_keep_settings(const struct kp_ddl *ddl, struct kp_relation *relation)
{
    const struct kp_catalog_record *record = &ddl->record;
    relation->time_zone = kp_arena_strndup(&relation->arena, record->time_zone.ptr, record->time_zone.len);
    relation->user = kp_arena_strndup(&relation->arena, record->user.ptr, record->user.len);
}

/* Gives the bound relation its number and place in the catalog, and what runs for it. */
static enum kp_code add_relation(struct kp_ddl *ddl, struct kp_relation *relation, struct kp_job **ret_job,
                                 struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    relation->id = db->next_relation_id++;
    relation->version = 1;
    relation->position = ddl->position;
    kp_ddl_keep_settings(ddl, relation);
    struct kp_live *live = NULL;
    bool has_rows = relation->kind == KP_RELATION_TABLE || relation->kind == KP_RELATION_VIEW;
    if (has_rows)
        KP_TRY(kp_live_create(db, relation, &ddl->settings, !ddl->replaying, &live, err));
    kp_catalog_write(db->catalog);
    enum kp_code code = kp_catalog_add(db->catalog, relation, false, err);
    kp_catalog_unlock(db->catalog);
    KP_TRY(code);
    if (ddl->replaying)
        return KP_OK;
    if (has_rows)
        return kp_job_start(db, "create", &live, 1, ret_job, err);
    return relation->kind == KP_RELATION_SINK ? start_sink(ddl, relation, err) : KP_OK;
}

/* For a trial: every relation that lives has rows of its columns. */
static struct kp_node *trial_input(void *arg, struct kp_relation *relation)
{
    return relation->kind == KP_RELATION_SOURCE ? NULL
                                                : kp_graph_input(arg, relation->cols, relation->col_count, false);
}

enum kp_code kp_ddl_try_plan(struct kp_ddl *ddl, const struct kp_relation *relation, struct kp_error *err)
{
    if (!relation->plan || relation->kind != KP_RELATION_VIEW || ddl->replaying)
        return KP_OK;
    if (relation->on_expiry == KP_ON_EXPIRY_RETRACT && relation->emit_on_close)
        return kp_fail(err, KP_UNSUPPORTED, NULL,
                       "a view cannot be both EMIT ON WINDOW CLOSE and ON EXPIRY RETRACT: what was closed stays");
    KP_TRY(kp_compaction_admits(ddl->db, relation, err));
    struct kp_graph_options options = {
        .workers = ddl->db->replay_workers, .parts = ddl->db->parts, .budget = &ddl->db->query_memory};
    struct kp_graph *graph;
    struct kp_node *node;
    KP_TRY(kp_graph_create(&options, &graph, err));
    enum kp_code code = kp_graph_add_plan(graph, relation->plan->plan, &ddl->settings, trial_input, graph, &node, err);
    kp_graph_destroy(graph);
    return code;
}

static enum kp_code check_late_name(struct kp_ddl *ddl, const struct kp_relation *view, struct kp_error *err)
{
    struct kp_arena arena = {0};
    const char *name = kp_arena_printf(&arena, "%s_late", view->name);
    kp_catalog_read(ddl->db->catalog);
    enum kp_code code = KP_OK;
    if (kp_catalog_find(ddl->db->catalog, KP_STR("public"), kp_str(name))) {
        (void)kp_fail(err, KP_EXISTS, "42P07", "relation \"%s\" already exists", name);
        (void)kp_error_detail(err, "It would hold the late rows of \"%s\".", view->name);
        code = kp_error_hint(err, "Name the view otherwise, or drop \"%s\" first.", name);
    }
    kp_catalog_unlock(ddl->db->catalog);
    kp_arena_finish(&arena);
    return code;
}

/* The failed view had one, which has failed with it. */
static bool has_late_view(const struct kp_ddl *ddl, const struct kp_relation *view)
{
    struct kp_arena arena = {0};
    const char *name = kp_arena_printf(&arena, "%s_late", view->name);
    kp_catalog_read(ddl->db->catalog);
    const struct kp_relation *late = kp_catalog_find(ddl->db->catalog, KP_STR("public"), kp_str(name));
    bool has = late && late->kind == KP_RELATION_FAILED && late->declared == KP_RELATION_VIEW;
    kp_catalog_unlock(ddl->db->catalog);
    kp_arena_finish(&arena);
    return has;
}

/* A pattern, or the one schema, is what is wrong with the format. A second schema that came from a file has moved what
 * stands behind it in the text. */
static void point_at_format(const struct kp_statement *statement, const struct kp_relation *relation,
                            struct kp_error *err)
{
    bool several = kp_relation_option(relation, "writer_schema") || kp_relation_option(relation, "writer_schemas");
    for (uint32_t i = 0; err && err->position == 0 && !several && i < statement->option_count; i++)
        if (strcmp(statement->options[i].name, "pattern") == 0 || strcmp(statement->options[i].name, "schema") == 0)
            kp_sql_point_at_option(statement, i, err);
}

/* Whether a decoder can be made of it: a pattern and its groups, names of fields. */
enum kp_code kp_ddl_check_format(const struct kp_statement *statement, const struct kp_relation *relation,
                                 struct kp_error *err)
{
    struct kp_decoder *decoder;
    enum kp_code code = kp_source_decoder(relation, NULL, 0, NULL, NULL, 0, &decoder, err);
    if (code == KP_OK)
        kp_decoder_destroy(decoder);
    else
        point_at_format(statement, relation, err);
    return code;
}

/* What has the old body in a plan or constraint of its own; plain views take the new one. */
static bool keeps(const struct kp_relation *relation, const struct kp_relation *old)
{
    bool lives = relation->kind == KP_RELATION_VIEW || relation->kind == KP_RELATION_TABLE ||
                 relation->kind == KP_RELATION_SOURCE;
    return lives && kp_relation_depends_on(relation, old);
}

static enum kp_code check_replaced_function(struct kp_ddl *ddl, const struct kp_relation *function,
                                            struct kp_error *err)
{
    struct kp_catalog *catalog = ddl->db->catalog;
    enum kp_code code = KP_OK;
    kp_catalog_read(catalog);
    for (size_t i = 0; code == KP_OK && i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *relation = kp_catalog_at(catalog, i);
        if (!keeps(relation, function))
            continue;
        (void)kp_fail(err, KP_BUSY, "2BP01", "cannot replace function %s because %s %s uses it", function->name,
                      kp_relation_kind_name(relation->kind), relation->name);
        if (relation->kind == KP_RELATION_VIEW)
            code = kp_error_hint(
                err, "Create a function of another name, and ALTER MATERIALIZED VIEW %s AS a query with it.",
                relation->name);
        else
            code = kp_error_hint(err, "Create a function of another name.");
    }
    kp_catalog_unlock(catalog);
    return code;
}

/* Plain views over a plain view follow it when it is replaced; what lives does not. */
static enum kp_code check_replaced(struct kp_ddl *ddl, const struct kp_relation *view, const struct kp_relation *by,
                                   struct kp_error *err)
{
    struct kp_catalog *catalog = ddl->db->catalog;
    enum kp_code code = KP_OK;
    kp_catalog_read(catalog);
    if (kp_relation_depends_on(by, view)) /* PostgreSQL makes it, and says so to whoever reads it */
        code =
            kp_fail(err, KP_INVALID, "42P17", "infinite recursion detected in rules for relation \"%s\"", view->name);
    for (size_t i = 0; code == KP_OK && i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *relation = kp_catalog_at(catalog, i);
        if (relation->kind != KP_RELATION_VIEW || !kp_relation_depends_on(relation, view))
            continue;
        (void)kp_fail(err, KP_BUSY, "2BP01", "cannot replace view %s because materialized view %s reads it", view->name,
                      relation->name);
        code = kp_error_hint(err, "Create a view of another name, and ALTER MATERIALIZED VIEW %s AS a query over it.",
                             relation->name);
    }
    kp_catalog_unlock(catalog);
    return code;
}

/* A log from before the sequences of serial and identity columns had names: one gives way to whom it did not bother. */
static void give_way(struct kp_ddl *ddl, const struct kp_statement *statement)
{
    struct kp_catalog *catalog = ddl->db->catalog;
    struct kp_arena arena = {0};
    kp_catalog_write(catalog);
    struct kp_relation *there = kp_catalog_find(catalog, KP_STR("public"), kp_str(statement->name.name));
    if (there && there->sequence && there->sequence->implicit && statement->relation_kind < KP_RELATION_TYPE) {
        const struct kp_relation *table = kp_catalog_find_id(catalog, there->sequence->owner);
        kp_catalog_rename(
            catalog, there,
            kp_catalog_sequence_name(catalog, &arena, table->name, table->cols[there->sequence->owner_column].name));
    }
    kp_catalog_unlock(catalog);
    kp_arena_finish(&arena);
}

/* *ret_late: the view has late rows, for a view beside it. */
static enum kp_code create(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_job **ret_job,
                           bool *ret_late, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    if (ddl->replaying)
        give_way(ddl, statement);
    kp_catalog_read(db->catalog);
    struct kp_str schema = kp_str(statement->name.schema ? statement->name.schema : "public");
    if (statement->relation_kind >= KP_RELATION_TYPE)
        schema = kp_str(kp_relation_schema(statement->relation_kind));
    struct kp_relation *there = kp_catalog_find(db->catalog, schema, kp_str(statement->name.name));
    struct kp_relation *relation = NULL;
    enum kp_code code = KP_OK;
    if (there && statement->if_not_exists)
        kp_ddl_notice(ddl, "42P07", "relation \"%s\" already exists, skipping", statement->name.name);
    else
        code = kp_sql_bind_create(ddl->context, statement, &relation, err);
    if (code == KP_OK &&
        statement->relation_kind == KP_RELATION_FUNCTION) /* known by the types of its parameters too */
        there = kp_catalog_find(db->catalog, schema, kp_str(relation->name));
    if (code == KP_OK && !there && statement->or_replace && statement->relation_kind == KP_RELATION_FUNCTION)
        there = kp_failed_function(db->catalog, relation->function);
    kp_catalog_unlock(db->catalog);
    if (code != KP_OK || !relation)
        return code;
    bool mends = there && statement->or_replace &&
                 (there->kind == KP_RELATION_FAILED ||
                  (there->kind != KP_RELATION_PLAIN_VIEW && there->kind != KP_RELATION_FUNCTION));
    if (there && there->kind == KP_RELATION_PLAIN_VIEW && !ddl->replaying)
        code = check_replaced(ddl, there, relation, err);
    bool replaces = there && there->kind == KP_RELATION_FUNCTION && statement->or_replace && !ddl->replaying;
    if (replaces && strcmp(there->text, relation->text) == 0) { /* by itself: a schema's file that is run again */
        kp_relation_unref(relation);
        return KP_OK;
    }
    if (replaces)
        code = check_replaced_function(ddl, there, err);
    if (code != KP_OK) {
        kp_relation_unref(relation);
        return code;
    }
    bool late = relation->kind == KP_RELATION_VIEW && !relation->late_of && !ddl->replaying &&
                kp_plan_late_window(relation->plan->plan);
    if (late && !(mends && has_late_view(ddl, relation)))
        code = check_late_name(ddl, relation, err);
    if (code == KP_OK && (relation->kind == KP_RELATION_SOURCE || relation->kind == KP_RELATION_TABLE))
        code = kp_ddl_check_format(statement, relation, err);
    if (code == KP_OK && !ddl->replaying)
        code = kp_sql_check_fitting(relation, err);
    if (code == KP_OK && relation->kind == KP_RELATION_SINK && !ddl->replaying)
        code = kp_sink_check(relation, err);
    if (code == KP_OK && relation->kind == KP_RELATION_SINK && !ddl->replaying)
        code = kp_sink_check_loop(db, relation, err);
    if (code == KP_OK && relation->kind == KP_RELATION_TABLE && !ddl->replaying)
        code = kp_compaction_admits(db, relation, err);
    if (code == KP_OK)
        code = kp_ddl_try_plan(ddl, relation, err);
    if (code == KP_OK)
        code = need_topic(ddl, relation, err);
    if (mends && !ddl->replaying && relation->kind == KP_RELATION_TABLE && !kp_relation_option(relation, "topic"))
        ddl->record.topic = there->made_topic;
    if (code == KP_OK)
        code = kp_ddl_log_made(ddl, relation, !mends, err);
    if (code != KP_OK) {
        kp_relation_unref(relation);
        return code;
    }
    *ret_late = late && !(mends && has_late_view(ddl, relation));
    ddl->mends = mends;
    if (mends) {
        kp_ddl_keep_settings(ddl, relation);
        code = kp_failed_mend(ddl, there, relation, ret_job, err);
        return code == KP_OK && relation->kind == KP_RELATION_SINK && !ddl->replaying ? start_sink(ddl, relation, err)
                                                                                      : code;
    }
    if (there && statement->or_replace)
        kp_ddl_remove(ddl, there); /* what was bound with it is bound again: plain_view.c */
    return add_relation(ddl, relation, ret_job, err);
}

void kp_ddl_put_name(struct kp_buf *text, const char *name, const char *more)
{
    kp_buf_append_byte(text, '"');
    for (const char *at = name; *at; at++) {
        if (*at == '"')
            kp_buf_append_byte(text, '"');
        kp_buf_append_byte(text, (uint8_t)*at);
    }
    kp_buf_append_text(text, more);
    kp_buf_append_byte(text, '"');
}

/* The view of what a view with EMIT ON WINDOW CLOSE leaves out: a statement and catalog record of its own. */
static enum kp_code create_late(const struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err)
{
    struct kp_buf text = {0};
    struct kp_arena arena = {0};
    struct kp_statement *companion;
    kp_buf_append_text(&text, "CREATE MATERIALIZED VIEW ");
    kp_ddl_put_name(&text, statement->name.name, "_late");
    kp_buf_append_text(&text, " AS SELECT * FROM late(");
    kp_ddl_put_name(&text, statement->name.name, "");
    kp_buf_append_byte(&text, ')');
    struct kp_ddl more = *ddl;
    more.record.text = (struct kp_str){(const char *)text.data, text.len};
    enum kp_code code = kp_sql_parse(more.record.text, &arena, &companion, err);
    if (code == KP_OK)
        code = kp_ddl_run(&more, companion, err);
    kp_arena_finish(&arena);
    kp_buf_finish(&text);
    return code;
}

/* A CREATE whose backfill failed or was cancelled leaves nothing: a DROP is written behind its record. */
static void undo_create(struct kp_ddl *ddl, const struct kp_statement *statement)
{
    struct kp_db *db = ddl->db;
    struct kp_error ignored;
    struct kp_buf text = {0};
    struct kp_arena arena = {0};
    struct kp_statement *drop_statement;
    kp_buf_printf(&text, "DROP %s ", statement->relation_kind == KP_RELATION_TABLE ? "TABLE" : "MATERIALIZED VIEW");
    kp_ddl_put_name(&text, statement->name.name, "");
    kp_buf_append_text(&text, " CASCADE");
    struct kp_ddl undo = *ddl;
    undo.notice = NULL;
    undo.record.topic = 0;
    undo.record.text = (struct kp_str){(const char *)text.data, text.len};
    kp_mutex_lock(&db->ddl_mutex);
    if (kp_sql_parse(undo.record.text, &arena, &drop_statement, &ignored) == KP_OK)
        (void)!kp_ddl_drop(&undo, drop_statement, &ignored);
    atomic_fetch_add(&db->catalog_generation, 1);
    kp_mutex_unlock(&db->ddl_mutex);
    kp_arena_finish(&arena);
    kp_buf_finish(&text);
}

/* ---- all of them ---- */

/* Records go when views and sinks have come to where they were. */
static enum kp_code wait_replayed(struct kp_ddl *ddl, struct kp_error *err)
{
    while (!kp_db_wait_ready(ddl->db, WAIT_US)) {
        KP_TRY(kp_db_health(ddl->db, err));
        if (ddl->cancel && atomic_load(ddl->cancel))
            return kp_fail(err, KP_CANCELLED, NULL, "canceling statement due to user request");
    }
    return KP_OK;
}

enum kp_code kp_ddl_run(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    struct kp_job *job = NULL;
    bool late = false;
    enum kp_code code;
    if (statement->kind == KP_STATEMENT_ALTER_TOPIC && !ddl->replaying)
        KP_TRY(wait_replayed(ddl, err));
    kp_mutex_lock(&db->ddl_mutex);
    switch (statement->kind) {
    case KP_STATEMENT_CREATE:
        code = create(ddl, statement, &job, &late, err);
        break;
    case KP_STATEMENT_CREATE_TOPIC:
        code = create_topic(ddl, statement, err);
        break;
    case KP_STATEMENT_ALTER_TOPIC:
        code = alter_topic(ddl, statement, err);
        break;
    case KP_STATEMENT_DROP:
        code = kp_ddl_drop(ddl, statement, err);
        break;
    case KP_STATEMENT_ALTER_OBJECT:
        code = kp_ddl_alter_object(ddl, statement, err);
        break;
    case KP_STATEMENT_ALTER_TABLE:
        code = kp_ddl_alter_table(ddl, statement, err);
        break;
    case KP_STATEMENT_ALTER_SEQUENCE:
        code = kp_ddl_alter_sequence(ddl, statement, err);
        break;
    case KP_STATEMENT_COMMENT:
        code = kp_ddl_comment(ddl, statement, err);
        break;
    default:
        code = kp_ddl_alter(ddl, statement, &job, err);
    }
    atomic_fetch_add(&db->catalog_generation, 1);
    kp_mutex_unlock(&db->ddl_mutex);
    if (code == KP_OK && job) {
        code = kp_job_wait(db, job, ddl->cancel, err);
        if (code == KP_OK && late)
            code = create_late(ddl, statement, err);
        if (code != KP_OK && statement->kind == KP_STATEMENT_CREATE && !ddl->mends)
            undo_create(ddl, statement);
    }
    return code;
}
