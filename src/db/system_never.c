/*
 * Tables of pg_catalog and information_schema for what kappa does not have: policies, triggers, publications, roles in
 * roles. They never have rows; the binder knows (sql/lookup.c), so that clients may ask for them as they like.
 */
#include "db/system.h"

const struct kp_system_table kp_system_never[] = {
    {.schema = "pg_catalog",
     .name = "pg_amop",
     .spec = "oid oid, amopfamily oid, amoplefttype oid, amoprighttype oid, amopstrategy int2, amoppurpose char, "
             "amopopr oid, amopmethod oid, amopsortfamily oid",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_amproc",
     .spec = "oid oid, amprocfamily oid, amproclefttype oid, amprocrighttype oid, amprocnum int2, amproc oid",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_auth_members",
     .spec = "roleid oid, member oid, grantor oid, admin_option bool",
     .key = "roleid member"},
    {.schema = "pg_catalog",
     .name = "pg_available_extension_versions",
     .spec = "name name, version text, installed bool, superuser bool, trusted bool, relocatable bool, schema name, "
             "requires _name, comment text"},
    {.schema = "pg_catalog",
     .name = "pg_available_extensions",
     .spec = "name name, default_version text, installed_version text, comment text"},
    {.schema = "pg_catalog",
     .name = "pg_conversion",
     .spec = "oid oid, conname name, connamespace oid, conowner oid, conforencoding int4, contoencoding int4, conproc "
             "oid, condefault bool",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_cursors",
     .spec = "name text, statement text, is_holdable bool, is_binary bool, is_scrollable bool, creation_time "
             "timestamptz"},
    {.schema = "pg_catalog",
     .name = "pg_db_role_setting",
     .spec = "setdatabase oid, setrole oid, setconfig _text never",
     .key = "setdatabase setrole"},
    {.schema = "pg_catalog",
     .name = "pg_default_acl",
     .spec = "oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype char, defaclacl _text",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_event_trigger",
     .spec = "oid oid, evtname name, evtevent name, evtowner oid, evtfoid oid, evtenabled char, evttags _text never",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_extension",
     .spec = "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable bool, extversion text, extconfig "
             "_oid never, extcondition _text never",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_file_settings",
     .spec = "sourcefile text never, sourceline int4 never, seqno int4, name text, setting text, applied bool, error "
             "text"},
    {.schema = "pg_catalog", .name = "pg_group", .spec = "groname name, grosysid oid, grolist _oid"},
    {.schema = "pg_catalog",
     .name = "pg_inherits",
     .spec = "inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool",
     .key = "inhrelid inhseqno"},
    {.schema = "pg_catalog",
     .name = "pg_init_privs",
     .spec = "objoid oid, classoid oid, objsubid int4, privtype char, initprivs _text"},
    {.schema = "pg_catalog", .name = "pg_largeobject", .spec = "loid oid, pageno int4, data bytea"},
    {.schema = "pg_catalog",
     .name = "pg_largeobject_metadata",
     .spec = "oid oid, lomowner oid, lomacl _text never",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_opclass",
     .spec = "oid oid, opcmethod oid, opcname name, opcnamespace oid, opcowner oid, opcfamily oid, opcintype oid, "
             "opcdefault bool, opckeytype oid",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_opfamily",
     .spec = "oid oid, opfmethod oid, opfname name, opfnamespace oid, opfowner oid",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_parameter_acl",
     .spec = "oid oid, parname text, paracl _text never",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_partitioned_table",
     .spec = "partrelid oid, partstrat char, partnatts int2, partdefid oid, partattrs int2vector, partclass oidvector, "
             "partcollation oidvector, partexprs text never",
     .key = "partrelid"},
    {.schema = "pg_catalog",
     .name = "pg_policies",
     .spec = "schemaname name, tablename name, policyname name, permissive text, roles _name, cmd text, qual text, "
             "with_check text"},
    {.schema = "pg_catalog",
     .name = "pg_policy",
     .spec = "oid oid, polname name, polrelid oid, polcmd char, polpermissive bool, polroles _oid, polqual text never, "
             "polwithcheck text never",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_prepared_statements",
     .spec = "name text, statement text, prepare_time timestamptz, parameter_types _oid, from_sql bool, generic_plans "
             "int8, custom_plans int8"},
    {.schema = "pg_catalog",
     .name = "pg_prepared_xacts",
     .spec = "transaction oid, gid text, prepared timestamptz, owner name, database name"},
    {.schema = "pg_catalog",
     .name = "pg_publication",
     .spec = "oid oid, pubname name, pubowner oid, puballtables bool, pubinsert bool, pubupdate bool, pubdelete bool, "
             "pubtruncate bool, pubviaroot bool",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_publication_namespace",
     .spec = "oid oid, pnpubid oid, pnnspid oid",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_publication_rel",
     .spec = "oid oid, prpubid oid, prrelid oid, prqual text never, prattrs int2vector never",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_publication_tables",
     .spec = "pubname name, schemaname name, tablename name, attnames _name, rowfilter text"},
    {.schema = "pg_catalog",
     .name = "pg_range",
     .spec = "rngtypid oid, rngsubtype oid, rngmultitypid oid, rngcollation oid, rngsubopc oid, rngcanonical oid, "
             "rngsubdiff oid",
     .key = "rngtypid"},
    {.schema = "pg_catalog", .name = "pg_replication_origin", .spec = "roident oid, roname text"},
    {.schema = "pg_catalog",
     .name = "pg_replication_slots",
     .spec = "slot_name name, plugin name, slot_type text, datoid oid, database name, temporary bool, active bool, "
             "active_pid int4, xmin oid, catalog_xmin oid, restart_lsn text, confirmed_flush_lsn text, wal_status "
             "text, safe_wal_size int8, two_phase bool"},
    {.schema = "pg_catalog",
     .name = "pg_rewrite",
     .spec = "oid oid, rulename name, ev_class oid, ev_type char, ev_enabled char, is_instead bool, ev_qual text, "
             "ev_action text",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_rules",
     .spec = "schemaname name, tablename name, rulename name, definition text"},
    {.schema = "pg_catalog",
     .name = "pg_seclabel",
     .spec = "objoid oid, classoid oid, objsubid int4, provider text, label text"},
    {.schema = "pg_catalog",
     .name = "pg_seclabels",
     .spec = "objoid oid, classoid oid, objsubid int4, objtype text, objnamespace oid, objname text, provider text, "
             "label text"},
    {.schema = "pg_catalog",
     .name = "pg_shdepend",
     .spec = "dbid oid, classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, deptype char"},
    {.schema = "pg_catalog", .name = "pg_shseclabel", .spec = "objoid oid, classoid oid, provider text, label text"},
    {.schema = "pg_catalog",
     .name = "pg_stat_all_indexes",
     .spec = "relid oid, indexrelid oid, schemaname name, relname name, indexrelname name, idx_scan int8, idx_tup_read "
             "int8, idx_tup_fetch int8"},
    {.schema = "pg_catalog",
     .name = "pg_stat_progress_create_index",
     .spec = "pid int4, datid oid, datname name, relid oid, index_relid oid, command text, phase text, lockers_total "
             "int8, lockers_done int8, current_locker_pid int8, blocks_total int8, blocks_done int8, tuples_total "
             "int8, tuples_done int8, partitions_total int8, partitions_done int8"},
    {.schema = "pg_catalog",
     .name = "pg_stat_progress_vacuum",
     .spec = "pid int4, datid oid, datname name, relid oid, phase text, heap_blks_total int8, heap_blks_scanned int8, "
             "heap_blks_vacuumed int8, index_vacuum_count int8, max_dead_tuples int8, num_dead_tuples int8"},
    {.schema = "pg_catalog",
     .name = "pg_stat_replication",
     .spec = "pid int4, usesysid oid, usename name, application_name text, client_addr text, client_hostname text, "
             "client_port int4, backend_start timestamptz, backend_xmin oid, state text, sent_lsn text, write_lsn "
             "text, flush_lsn text, replay_lsn text, write_lag interval, flush_lag interval, replay_lag interval, "
             "sync_priority int4, sync_state text, reply_time timestamptz"},
    {.schema = "pg_catalog",
     .name = "pg_stat_ssl",
     .spec = "pid int4, ssl bool, version text, cipher text, bits int4, client_dn text, client_serial numeric, "
             "issuer_dn text"},
    {.schema = "pg_catalog",
     .name = "pg_stat_subscription",
     .spec = "subid oid, subname name, pid int4, relid oid, received_lsn text, last_msg_send_time timestamptz, "
             "last_msg_receipt_time timestamptz, latest_end_lsn text, latest_end_time timestamptz"},
    {.schema = "pg_catalog",
     .name = "pg_stat_user_functions",
     .spec = "funcid oid, schemaname name, funcname name, calls int8, total_time float8, self_time float8"},
    {.schema = "pg_catalog",
     .name = "pg_stat_user_indexes",
     .spec = "relid oid, indexrelid oid, schemaname name, relname name, indexrelname name, idx_scan int8, idx_tup_read "
             "int8, idx_tup_fetch int8"},
    {.schema = "pg_catalog",
     .name = "pg_stat_wal_receiver",
     .spec =
         "pid int4, status text, receive_start_lsn text, receive_start_tli int4, written_lsn text, flushed_lsn text, "
         "received_tli int4, last_msg_send_time timestamptz, last_msg_receipt_time timestamptz, latest_end_lsn text, "
         "latest_end_time timestamptz, slot_name text, sender_host text, sender_port int4, conninfo text"},
    {.schema = "pg_catalog",
     .name = "pg_statistic",
     .spec = "starelid oid, staattnum int2, stainherit bool, stanullfrac float4, stawidth int4, stadistinct float4, "
             "stakind1 int2, stakind2 int2, stakind3 int2, stakind4 int2, stakind5 int2, staop1 oid, staop2 oid, "
             "staop3 oid, staop4 oid, staop5 oid, stacoll1 oid, stacoll2 oid, stacoll3 oid, stacoll4 oid, stacoll5 "
             "oid, stanumbers1 _float4, stanumbers2 _float4, stanumbers3 _float4, stanumbers4 _float4, stanumbers5 "
             "_float4, stavalues1 _text, stavalues2 _text, stavalues3 _text, stavalues4 _text, stavalues5 _text"},
    {.schema = "pg_catalog",
     .name = "pg_statistic_ext",
     .spec = "oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, stxstattarget int4, stxkeys "
             "int2vector, stxkind _char, stxexprs text never",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_statistic_ext_data",
     .spec = "stxoid oid, stxdinherit bool, stxdndistinct text, stxddependencies text, stxdmcv text, stxdexpr _text"},
    {.schema = "pg_catalog",
     .name = "pg_stats",
     .spec =
         "schemaname name, tablename name, attname name, inherited bool, null_frac float4, avg_width int4, n_distinct "
         "float4, most_common_vals _text, most_common_freqs _float4, histogram_bounds _text, correlation float4, "
         "most_common_elems _text, most_common_elem_freqs _float4, elem_count_histogram _float4"},
    {.schema = "pg_catalog",
     .name = "pg_stats_ext",
     .spec = "schemaname name, tablename name, statistics_schemaname name, statistics_name name, statistics_owner "
             "name, attnames _name, exprs _text, kinds _char, inherited bool, n_distinct text, dependencies text, "
             "most_common_vals _text, most_common_val_nulls _bool, most_common_freqs _float8, most_common_base_freqs "
             "_float8"},
    {.schema = "pg_catalog",
     .name = "pg_subscription",
     .spec = "oid oid, subdbid oid, subskiplsn text, subname name, subowner oid, subenabled bool, subbinary bool, "
             "substream bool, subtwophasestate char, subdisableonerr bool, subconninfo text, subslotname name never, "
             "subsynccommit text, subpublications _text",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_subscription_rel",
     .spec = "srsubid oid, srrelid oid, srsubstate char, srsublsn text"},
    {.schema = "pg_catalog",
     .name = "pg_transform",
     .spec = "oid oid, trftype oid, trflang oid, trffromsql oid, trftosql oid"},
    {.schema = "pg_catalog",
     .name = "pg_trigger",
     .spec = "oid oid, tgrelid oid, tgparentid oid, tgname name, tgfoid oid, tgtype int2, tgenabled char, tgisinternal "
             "bool, tgconstrrelid oid, tgconstrindid oid, tgconstraint oid, tgdeferrable bool, tginitdeferred bool, "
             "tgnargs int2, tgattr int2vector, tgargs bytea, tgqual text never, tgoldtable name never, tgnewtable name "
             "never",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_ts_config",
     .spec = "oid oid, cfgname name, cfgnamespace oid, cfgowner oid, cfgparser oid",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_ts_dict",
     .spec = "oid oid, dictname name, dictnamespace oid, dictowner oid, dicttemplate oid, dictinitoption text never",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_ts_parser",
     .spec = "oid oid, prsname name, prsnamespace oid, prsstart oid, prstoken oid, prsend oid, prsheadline oid, "
             "prslextype oid",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_ts_template",
     .spec = "oid oid, tmplname name, tmplnamespace oid, tmplinit oid, tmpllexize oid",
     .key = "oid"},
    {.schema = "pg_catalog", .name = "pg_user_mapping", .spec = "oid oid, umuser oid, umserver oid, umoptions _text"},
    {.schema = "pg_catalog",
     .name = "pg_user_mappings",
     .spec = "umid oid, srvid oid, srvname name, umuser oid, usename name, umoptions _text"},
    {.schema = "information_schema",
     .name = "applicable_roles",
     .spec = "grantee name, role_name name, is_grantable text"},
    {.schema = "information_schema",
     .name = "column_options",
     .spec = "table_catalog name, table_schema name, table_name name, column_name name, option_name name, option_value "
             "text"},
    {.schema = "information_schema",
     .name = "element_types",
     .spec = "object_catalog name, object_schema name, object_name name, object_type text, collection_type_identifier "
             "name, data_type text, character_maximum_length int4, character_octet_length int4, character_set_catalog "
             "name, character_set_schema name, character_set_name name, collation_catalog name, collation_schema name, "
             "collation_name name, numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, "
             "datetime_precision int4, interval_type text, interval_precision int4, domain_default text, udt_catalog "
             "name, udt_schema name, udt_name name, scope_catalog name, scope_schema name, scope_name name, "
             "maximum_cardinality int4, dtd_identifier name"},
    {.schema = "information_schema",
     .name = "foreign_servers",
     .spec = "foreign_server_catalog name, foreign_server_name name, foreign_data_wrapper_catalog name, "
             "foreign_data_wrapper_name name, foreign_server_type text, foreign_server_version text, "
             "authorization_identifier name"},
    {.schema = "information_schema",
     .name = "foreign_tables",
     .spec = "foreign_table_catalog name, foreign_table_schema name, foreign_table_name name, foreign_server_catalog "
             "name, foreign_server_name name"},
    {.schema = "information_schema",
     .name = "parameters",
     .spec = "specific_catalog name, specific_schema name, specific_name name, ordinal_position int4, parameter_mode "
             "text, is_result text, as_locator text, parameter_name name, data_type text, character_maximum_length "
             "int4, character_octet_length int4, character_set_catalog name, character_set_schema name, "
             "character_set_name name, collation_catalog name, collation_schema name, collation_name name, "
             "numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, "
             "interval_type text, interval_precision int4, udt_catalog name, udt_schema name, udt_name name, "
             "scope_catalog name, scope_schema name, scope_name name, maximum_cardinality int4, dtd_identifier name, "
             "parameter_default text"},
    {.schema = "information_schema",
     .name = "referential_constraints",
     .spec = "constraint_catalog name, constraint_schema name, constraint_name name, unique_constraint_catalog name, "
             "unique_constraint_schema name, unique_constraint_name name, match_option text, update_rule text, "
             "delete_rule text"},
    {.schema = "information_schema",
     .name = "role_routine_grants",
     .spec = "grantor name, grantee name, specific_catalog name, specific_schema name, specific_name name, "
             "routine_catalog name, routine_schema name, routine_name name, privilege_type text, is_grantable text"},
    {.schema = "information_schema",
     .name = "role_udt_grants",
     .spec = "grantor name, grantee name, udt_catalog name, udt_schema name, udt_name name, privilege_type text, "
             "is_grantable text"},
    {.schema = "information_schema",
     .name = "role_usage_grants",
     .spec = "grantor name, grantee name, object_catalog name, object_schema name, object_name name, object_type text, "
             "privilege_type text, is_grantable text"},
    {.schema = "information_schema",
     .name = "routine_privileges",
     .spec = "grantor name, grantee name, specific_catalog name, specific_schema name, specific_name name, "
             "routine_catalog name, routine_schema name, routine_name name, privilege_type text, is_grantable text"},
    {.schema = "information_schema",
     .name = "transforms",
     .spec = "udt_catalog name, udt_schema name, udt_name name, specific_catalog name, specific_schema name, "
             "specific_name name, group_name name, transform_type text"},
    {.schema = "information_schema",
     .name = "triggered_update_columns",
     .spec = "trigger_catalog name, trigger_schema name, trigger_name name, event_object_catalog name, "
             "event_object_schema name, event_object_table name, event_object_column name"},
    {.schema = "information_schema",
     .name = "triggers",
     .spec = "trigger_catalog name, trigger_schema name, trigger_name name, event_manipulation text, "
             "event_object_catalog name, event_object_schema name, event_object_table name, action_order int4, "
             "action_condition text, action_statement text, action_orientation text, action_timing text, "
             "action_reference_old_table name, action_reference_new_table name, action_reference_old_row name, "
             "action_reference_new_row name, created text"},
    {.schema = "information_schema",
     .name = "udt_privileges",
     .spec = "grantor name, grantee name, udt_catalog name, udt_schema name, udt_name name, privilege_type text, "
             "is_grantable text"},
    {.schema = "information_schema",
     .name = "usage_privileges",
     .spec = "grantor name, grantee name, object_catalog name, object_schema name, object_name name, object_type text, "
             "privilege_type text, is_grantable text"},
    {.schema = "information_schema",
     .name = "user_mappings",
     .spec = "authorization_identifier name, foreign_server_catalog name, foreign_server_name name"},
    {.schema = "information_schema",
     .name = "view_routine_usage",
     .spec = "table_catalog name, table_schema name, table_name name, specific_catalog name, specific_schema name, "
             "specific_name name"},
};
const size_t kp_system_never_count = KP_COUNT(kp_system_never);
