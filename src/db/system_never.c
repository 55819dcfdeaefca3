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
     .name = "pg_depend",
     .spec = "classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, refobjsubid int4, deptype char"},
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
     .name = "pg_largeobject_metadata",
     .spec = "oid oid, lomowner oid, lomacl _text never",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_locks",
     .spec = "locktype text, database oid, relation oid, page int4, tuple int2, virtualxid text, transactionid oid, "
             "classid oid, objid oid, objsubid int2, virtualtransaction text, pid int4, mode text, granted bool, "
             "fastpath bool, waitstart timestamptz"},
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
     .name = "pg_range",
     .spec = "rngtypid oid, rngsubtype oid, rngmultitypid oid, rngcollation oid, rngsubopc oid, rngcanonical oid, "
             "rngsubdiff oid",
     .key = "rngtypid"},
    {.schema = "pg_catalog",
     .name = "pg_rewrite",
     .spec = "oid oid, rulename name, ev_class oid, ev_type char, ev_enabled char, is_instead bool, ev_qual text, "
             "ev_action text",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_seclabels",
     .spec = "objoid oid, classoid oid, objsubid int4, objtype text, objnamespace oid, objname text, provider text, "
             "label text"},
    {.schema = "pg_catalog",
     .name = "pg_sequence",
     .spec = "seqrelid oid, seqtypid oid, seqstart int8, seqincrement int8, seqmax int8, seqmin int8, seqcache int8, "
             "seqcycle bool",
     .key = "seqrelid"},
    {.schema = "pg_catalog",
     .name = "pg_sequences",
     .spec = "schemaname name, sequencename name, sequenceowner name, data_type oid, start_value int8, min_value int8, "
             "max_value int8, increment_by int8, cycle bool, cache_size int8, last_value int8"},
    {.schema = "pg_catalog",
     .name = "pg_shdepend",
     .spec = "dbid oid, classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, deptype char"},
    {.schema = "pg_catalog",
     .name = "pg_stat_ssl",
     .spec = "pid int4, ssl bool, version text, cipher text, bits int4, client_dn text, client_serial numeric, "
             "issuer_dn text"},
    {.schema = "pg_catalog",
     .name = "pg_stat_user_tables",
     .spec = "relid oid, schemaname name, relname name, seq_scan int8, seq_tup_read int8, idx_scan int8, idx_tup_fetch "
             "int8, n_tup_ins int8, n_tup_upd int8, n_tup_del int8, n_tup_hot_upd int8, n_live_tup int8, n_dead_tup "
             "int8, n_mod_since_analyze int8, n_ins_since_vacuum int8, last_vacuum timestamptz, last_autovacuum "
             "timestamptz, last_analyze timestamptz, last_autoanalyze timestamptz, vacuum_count int8, "
             "autovacuum_count int8, analyze_count int8, autoanalyze_count int8"},
    {.schema = "pg_catalog",
     .name = "pg_statio_all_tables",
     .spec = "relid oid, schemaname name, relname name, heap_blks_read int8, heap_blks_hit int8, idx_blks_read int8, "
             "idx_blks_hit int8, toast_blks_read int8, toast_blks_hit int8, tidx_blks_read int8, tidx_blks_hit int8"},
    {.schema = "pg_catalog",
     .name = "pg_statistic_ext",
     .spec = "oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, stxstattarget int4, stxkeys "
             "int2vector, stxkind _char, stxexprs text never",
     .key = "oid"},
    {.schema = "pg_catalog",
     .name = "pg_subscription",
     .spec = "oid oid, subdbid oid, subskiplsn text, subname name, subowner oid, subenabled bool, subbinary bool, "
             "substream bool, subtwophasestate char, subdisableonerr bool, subconninfo text, subslotname name never, "
             "subsynccommit text, subpublications _text",
     .key = "oid"},
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
    {.schema = "pg_catalog",
     .name = "pg_user_mappings",
     .spec = "umid oid, srvid oid, srvname name, umuser oid, usename name, umoptions _text"},
    {.schema = "information_schema",
     .name = "applicable_roles",
     .spec = "grantee name, role_name name, is_grantable text"},
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
     .name = "sequences",
     .spec = "sequence_catalog name, sequence_schema name, sequence_name name, data_type text, numeric_precision int4, "
             "numeric_precision_radix int4, numeric_scale int4, start_value text, minimum_value text, maximum_value "
             "text, increment text, cycle_option text"},
    {.schema = "information_schema",
     .name = "triggers",
     .spec = "trigger_catalog name, trigger_schema name, trigger_name name, event_manipulation text, "
             "event_object_catalog name, event_object_schema name, event_object_table name, action_order int4, "
             "action_condition text, action_statement text, action_orientation text, action_timing text, "
             "action_reference_old_table name, action_reference_new_table name, action_reference_old_row name, "
             "action_reference_new_row name, created text"},
};
const size_t kp_system_never_count = KP_COUNT(kp_system_never);
