/*
 * pg_catalog's statistics, as far as there are some: who is connected and what he asks, relations and their rows. What
 * is not counted is NULL.
 */
#include "db/system.h"

/* The session that asks; others are not known to it. */
static enum kp_code fill_activity(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_row(rows);
    kp_system_set_int(rows, "datid", KP_OID_DATABASE);
    kp_system_set_text(rows, "datname", session->database);
    kp_system_set_int(rows, "pid", session->pid);
    kp_system_set_int(rows, "usesysid", KP_OID_OWNER);
    kp_system_set_text(rows, "usename", session->user);
    kp_system_set_text(rows, "application_name", kp_session_get(session, "application_name"));
    kp_system_set_text(rows, "state", "active");
    kp_system_set_text(rows, "query", session->running);
    kp_system_set_text(rows, "backend_type", "client backend");
    return KP_OK;
}

/* PostgreSQL has statistics of what has a storage: tables, and materialized views. */
static void put_relation(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    bool stored = relation->kind == KP_RELATION_TABLE || relation->kind == KP_RELATION_VIEW;
    if (!stored && relation->kind != KP_RELATION_SOURCE)
        return;
    kp_system_row(rows);
    kp_system_set_int(rows, "relid", relation->id);
    kp_system_set_text(rows, "schemaname", relation->schema);
    kp_system_set_text(rows, "relname", relation->name);
}

static void put_table(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    size_t before = rows->count;
    put_relation(session, rows, relation);
    struct kp_live *live = kp_live_of(relation);
    if (rows->count == before || !live || relation->kind == KP_RELATION_SOURCE)
        return;
    struct kp_store_stats stats;
    kp_store_stats(live->store, &stats);
    kp_system_set_int(rows, "n_live_tup", (int64_t)stats.rows);
    kp_system_set_int(rows, "n_dead_tup", (int64_t)(stats.versions - KP_MIN(stats.rows, stats.versions)));
}

static enum kp_code fill_tables(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_table);
    return KP_OK;
}

static enum kp_code fill_io(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_relation);
    return KP_OK;
}

static void put_lock(void *arg, const struct kp_advisory_row *lock)
{
    struct kp_system_rows *rows = arg;
    kp_system_row(rows);
    kp_system_set_text(rows, "locktype", "advisory");
    kp_system_set_int(rows, "database", KP_OID_DATABASE);
    kp_system_set_int(rows, "classid", lock->key.high);
    kp_system_set_int(rows, "objid", lock->key.low);
    kp_system_set_int(rows, "objsubid", lock->key.pair ? 2 : 1);
    kp_system_set_int(rows, "pid", lock->pid);
    kp_system_set_text(rows, "mode", lock->shared ? "ShareLock" : "ExclusiveLock");
    kp_system_set_int(rows, "granted", lock->granted);
    kp_system_set_int(rows, "fastpath", false);
    if (!lock->granted)
        kp_system_set_time(rows, "waitstart", lock->since_us);
}

/* Advisory locks; there are no others. */
static enum kp_code fill_locks(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_advisory_each(session->db->advisory, put_lock, rows);
    return KP_OK;
}

#define TABLE_COLUMNS                                                                                                  \
    "relid oid, schemaname name, relname name, seq_scan int8, seq_tup_read int8, idx_scan int8, idx_tup_fetch int8, "  \
    "n_tup_ins int8, n_tup_upd int8, n_tup_del int8, n_tup_hot_upd int8, n_live_tup int8, n_dead_tup int8, "           \
    "n_mod_since_analyze int8, n_ins_since_vacuum int8, last_vacuum timestamptz, last_autovacuum timestamptz, "        \
    "last_analyze timestamptz, last_autoanalyze timestamptz, vacuum_count int8, autovacuum_count int8, "               \
    "analyze_count int8, autoanalyze_count int8"
#define IO_COLUMNS                                                                                                     \
    "relid oid, schemaname name, relname name, heap_blks_read int8, heap_blks_hit int8, idx_blks_read int8, "          \
    "idx_blks_hit int8, toast_blks_read int8, toast_blks_hit int8, tidx_blks_read int8, tidx_blks_hit int8"

const struct kp_system_table kp_system_stat[] = {
    {.schema = "pg_catalog",
     .name = "pg_stat_activity",
     .spec = "datid oid, datname name, pid int4, leader_pid int4 never, usesysid oid, usename name, application_name "
             "text, client_addr text never, client_hostname text never, client_port int4, backend_start timestamptz, "
             "xact_start timestamptz, query_start timestamptz, state_change timestamptz, wait_event_type text, "
             "wait_event text, state text, backend_xid oid never, backend_xmin oid never, query_id int8 never, query "
             "text, backend_type text",
     .fill = fill_activity},
    {.schema = "pg_catalog",
     .name = "pg_locks",
     .spec = "locktype text, database oid, relation oid, page int4, tuple int2, virtualxid text, transactionid oid, "
             "classid oid, objid oid, objsubid int2, virtualtransaction text, pid int4, mode text, granted bool, "
             "fastpath bool, waitstart timestamptz",
     .fill = fill_locks},
    {.schema = "pg_catalog", .name = "pg_stat_all_tables", .spec = TABLE_COLUMNS, .fill = fill_tables},
    {.schema = "pg_catalog", .name = "pg_stat_user_tables", .spec = TABLE_COLUMNS, .fill = fill_tables},
    {.schema = "pg_catalog", .name = "pg_statio_all_tables", .spec = IO_COLUMNS, .fill = fill_io},
    {.schema = "pg_catalog", .name = "pg_statio_user_tables", .spec = IO_COLUMNS, .fill = fill_io},
};
const size_t kp_system_stat_count = KP_COUNT(kp_system_stat);
