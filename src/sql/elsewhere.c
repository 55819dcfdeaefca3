/*
 * What people write who come from Flink SQL, ksqlDB, RisingWave or Materialize, and what it is called here: one table
 * of names, looked at only when a statement has failed.
 */
#include "sql/elsewhere.h"

#include <string.h>
#include <strings.h>

enum kind { OPTION, FUNCTION, COLUMN, SETTING, WORD };

#define OWN_LOG "Topics lie in kappa's own log: leave it out, and say topic and format."
#define IN_FROM                                                                                                        \
    "Windows stand in FROM: SELECT window_start … FROM tumble(relation, time, INTERVAL '10 seconds') GROUP BY "      \
    "window_start."
#define LOG_TIME "Processing time is the log's: the column _log_time, or INCLUDE append_time AS a name of yours."

#define NO_QUOTES "Names of options stand without quotes: WITH (topic = 'orders', format = 'json')."
#define AS_SOURCE                                                                                                      \
    "A stream of records is a source: CREATE SOURCE name (…) WITH (topic = '…'); one made of others is a "         \
    "materialized "                                                                                                    \
    "view."
#define AS_TIMES                                                                                                       \
    "Numbers are read as times WITH (epoch = 'milliseconds'), if the column is a timestamp; what has to be computed "  \
    "is computed in a view."

#define COUNTED "Write the unit in the singular: INTERVAL '10' MINUTE, or INTERVAL '10 minutes'."
#define NO_QUERIES                                                                                                     \
    "Queries that go on are views and sinks: DROP MATERIALIZED VIEW or DROP SINK ends one; kappa.views shows them."
#define ONE_PLACE "There is one log and one catalog, here: leave it out."
#define CLOSED    "Write EMIT ON WINDOW CLOSE, in CREATE MATERIALIZED VIEW."
#define SUBTRACT  "Subtract: date - date is a number of days, timestamp - timestamp an interval."
#define VIEWS     "Write SELECT * FROM kappa.views."

#define KEEP_TIME "Write OFFSET n PARTITION p, or END; by time: ALTER TOPIC … SET (retention = '1 day')."

static const struct {
    enum kind kind;
    const char *name, *beside, *hint; /* beside: what the text must hold, too; NULL: nothing */
} known[] = {
    {OPTION, "connector", NULL, OWN_LOG},
    {OPTION, "properties.bootstrap.server", NULL, OWN_LOG},
    {OPTION, "properties.bootstrap.servers", NULL, OWN_LOG},
    {OPTION, "properties.group.id", NULL, OWN_LOG},
    {OPTION, "scan.startup.mode", NULL, "A view begins with the first record of the log: leave it out."},
    {OPTION, "value.format", NULL, "Write format = 'json'."},
    {OPTION, "key.format", NULL, "A table's key is found in its records by itself: leave it out."},
    {OPTION, "schema.registry", NULL, "Give schemas by the options schema and writer_schemas."},
    {OPTION, "kafka_topic", NULL, "Write topic = '…'."},
    {OPTION, "value_format", NULL, "Write format = 'json'."},
    {OPTION, "key_format", NULL, "A table's key is found in its records by itself: leave it out."},
    {OPTION, "timestamp", NULL, "Declare WATERMARK FOR the column; the record's own time is the column _timestamp."},
    {FUNCTION, "latest_by_offset", NULL, "Write arg_max(value, _position)."},
    {FUNCTION, "earliest_by_offset", NULL, "Write arg_min(value, _position)."},
    {FUNCTION, "collect_list", NULL, "Write array_agg(value)."},
    {FUNCTION, "collect_set", NULL, "Write array_agg(DISTINCT value)."},
    {FUNCTION, "count_distinct", NULL, "Write count(DISTINCT value)."},
    {FUNCTION, "topk", NULL, "Write (array_agg(value ORDER BY value DESC))[1:3]."},
    {FUNCTION, "topkdistinct", NULL, "Write (array_agg(DISTINCT value ORDER BY value DESC))[1:3]."},
    {FUNCTION, "acldefault", NULL,
     "pg_dump knows no sources, sinks and views that live on: kappa backup copies all, COPY (…) TO the rows of a "
     "query, and kappa.views has the texts of views."},
    {FUNCTION, "listagg", NULL, "Write string_agg(value, ',')."},
    {FUNCTION, "extractjsonfield", NULL, "Write value::jsonb #>> '{a,b}'."},
    {FUNCTION, "json_value", NULL, "Write value::jsonb #>> '{a,b}', or jsonb_path_query_first(value, '$.a.b')."},
    {FUNCTION, "timestamptostring", NULL, "Write to_char(time, 'YYYY-MM-DD')."},
    {FUNCTION, "date_format", NULL, "Write to_char(time, 'YYYY-MM-DD')."},
    {FUNCTION, "stringtotimestamp", NULL, "Write to_timestamp(text, 'YYYY-MM-DD')."},
    {FUNCTION, "to_timestamp_ltz", NULL, "Write to_timestamp(seconds)."},
    {FUNCTION, "from_unixtime", NULL, "Write to_timestamp(seconds)."},
    {FUNCTION, "unix_timestamp", NULL, "Write extract(epoch FROM time)."},
    {FUNCTION, "current_watermark", NULL, "kappa.watermarks shows it."},
    {FUNCTION, "if", NULL, "Write CASE WHEN … THEN … ELSE … END."},
    {FUNCTION, "ifnull", NULL, "Write coalesce(value, …)."},
    {FUNCTION, "nvl", NULL, "Write coalesce(value, …)."},
    {FUNCTION, "explode", NULL, "Write unnest(array), among the columns or in FROM."},
    {FUNCTION, "as_value", NULL, "Leave it out: a column may stand among the keys and the values."},
    {FUNCTION, "count_star", NULL, "Write count(*)."},
    {FUNCTION, "histogram", NULL, "GROUP BY the value and count(*); jsonb_object_agg makes one value of them."},
    {FUNCTION, "ucase", NULL, "Write upper(text)."},
    {FUNCTION, "lcase", NULL, "Write lower(text)."},
    {FUNCTION, "len", NULL, "Write length(text)."},
    {FUNCTION, "instr", NULL, "Write strpos(text, part)."},
    {FUNCTION, "regexp_extract", NULL, "Write substring(text FROM 'pattern'), or (regexp_match(text, 'pattern'))[1]."},
    {FUNCTION, "array_contains", NULL, "Write value = ANY (array)."},
    {FUNCTION, "element_at", NULL, "Write (array)[n]."},
    {FUNCTION, "json_exists", NULL, "Write jsonb_path_exists(value, '$.a')."},
    {FUNCTION, "get_json_object", NULL, "Write value::jsonb #>> '{a,b}'."},
    {FUNCTION, "datediff", NULL, SUBTRACT},
    {FUNCTION, "timestampdiff", NULL, SUBTRACT},
    {FUNCTION, "timestampadd", NULL, "Add an interval: time + INTERVAL '1 hour'."},
    {FUNCTION, "dateadd", NULL, "Add an interval: time + INTERVAL '1 hour'."},
    {FUNCTION, "tumble", NULL, IN_FROM},
    {FUNCTION, "hop", NULL, IN_FROM},
    {FUNCTION, "session", NULL, IN_FROM},
    {FUNCTION, "cumulate", NULL, IN_FROM},
    {FUNCTION, "tumble_start", NULL, IN_FROM},
    {FUNCTION, "tumble_end", NULL, IN_FROM},
    {FUNCTION, "hop_start", NULL, IN_FROM},
    {FUNCTION, "hop_end", NULL, IN_FROM},
    {FUNCTION, "session_start", NULL, IN_FROM},
    {FUNCTION, "session_end", NULL, IN_FROM},
    {FUNCTION, "mz_now", NULL, "Write now(): rows come and go as the log's time passes it."},
    {FUNCTION, "proctime", NULL, LOG_TIME},
    {COLUMN, "windowstart", NULL, IN_FROM},
    {COLUMN, "windowend", NULL, IN_FROM},
    {COLUMN, "rowtime", NULL, "The record's own time is the column _timestamp; when it was logged, _log_time."},
    {COLUMN, "rowoffset", NULL, "It is the column _offset."},
    {COLUMN, "rowpartition", NULL, "It is the column _partition."},
    {COLUMN, "rowkey", NULL, "The record's key is the column _key; a table's key has its own name."},
    {SETTING, "streams", NULL, "Write SELECT * FROM kappa.sources."},
    {SETTING, "sources", NULL, "Write SELECT * FROM kappa.sources."},
    {SETTING, "tables", NULL, "Write psql's \\d, or SELECT * FROM information_schema.tables."},
    {SETTING, "topics", NULL, "Write SELECT * FROM kappa.topics."},
    {SETTING, "views", NULL, VIEWS},
    {SETTING, "queries", NULL, VIEWS},
    {SETTING, "jobs", NULL, VIEWS},
    {SETTING, "sinks", NULL, "Write SELECT * FROM kappa.sinks."},
    {SETTING, "functions", NULL, "Write psql's \\df, or SELECT * FROM kappa.functions."},
    {WORD, "table", "descriptor", "Write tumble(relation, time, INTERVAL '10 seconds'), without TABLE and DESCRIPTOR."},
    {WORD, "as", "proctime", LOG_TIME},
    {WORD, "emit", "update", "Leave it out: a view without EMIT ON WINDOW CLOSE changes with every record."},
    {WORD, "emit", "changes", "Leave it out: a view without EMIT ON WINDOW CLOSE changes with every record."},
    {WORD, "changes", "emit", "SUBSCRIBE TO (SELECT …) gives rows as they change; in a view leave it out."},
    {WORD, "stream", "create", AS_SOURCE},
    {WORD, "(", "window tumbling", IN_FROM},
    {WORD, "(", "window hopping", IN_FROM},
    {WORD, "(", "window session", IN_FROM},
    {WORD, "(", "watermark for", AS_TIMES},
    {WORD, "as", "create source", AS_TIMES},
    {WORD, "emit", "emit final", CLOSED},
    {WORD, "final", "emit final", CLOSED},
    {WORD, "seconds", "interval '", COUNTED},
    {WORD, "minutes", "interval '", COUNTED},
    {WORD, "hours", "interval '", COUNTED},
    {WORD, "days", "interval '", COUNTED},
    {WORD, "lateral", "lateral view", "Write CROSS JOIN unnest(array) AS name."},
    {WORD, "within", " join ",
     "Say it of the times in ON: … AND b.at BETWEEN a.at - INTERVAL '1 hour' AND a.at + INTERVAL '1 hour'."},
    {WORD, "by", "partition by",
     "A topic's records are parted where they are written: CREATE SINK … WITH (partition_by = 'column')."},
    {WORD, "stream", "drop stream", "Write DROP SOURCE, or DROP MATERIALIZED VIEW."},
    {WORD, "views", "show materialized", VIEWS},
    {WORD, "create", "show create", "Write SELECT pg_get_viewdef('name')."},
    {WORD, "list", NULL, "Write SELECT * FROM kappa.topics, kappa.sources, kappa.views or kappa.sinks."},
    {WORD, "terminate", NULL, NO_QUERIES},
    {WORD, "pause", NULL, NO_QUERIES},
    {WORD, "set", "statement set", "Each view and each sink is a statement of its own; they share what they compute."},
    {WORD, "connection", "create connection", ONE_PLACE},
    {WORD, "cluster", "create cluster", ONE_PLACE},
    {WORD, "catalog", "create catalog", ONE_PLACE},
    {WORD, "use", NULL, ONE_PLACE},
    {WORD, "'auto.offset.reset'", NULL, "A view begins with the first record of the log: leave it out."},
    {WORD, "'execution.runtime-mode'", NULL, "Leave it out: every view is kept live."},
    {WORD, "<", "map<", "A map is jsonb."},
    {WORD, "<", "struct<", "CREATE TYPE name AS (…) gives rows a name; or declare the column jsonb."},
    {WORD, "row", "row<", "CREATE TYPE name AS (…) gives rows a name; or declare the column jsonb."},
    {WORD, "array", "array<", "Write the type of the elements with brackets: text[]."},
    {WORD, "as", "create table",
     "What is computed of other columns stands in a view: CREATE MATERIALIZED VIEW … AS SELECT."},
    {WORD, "describe", NULL, "psql's \\d name, or information_schema.columns, show it."},
    {WORD, "print", NULL, "SELECT * FROM the source, or SUBSCRIBE TO it, show its records."},
    {WORD, "'connector'", NULL, OWN_LOG},
    {WORD, "'topic'", NULL, NO_QUOTES},
    {WORD, "'format'", NULL, NO_QUOTES},
    {WORD, "time", "delete before", KEEP_TIME},
    {WORD, "timestamp", "delete before", KEEP_TIME},
    {WORD, "format", "encode", "Write WITH (format = 'json')."},
    {WORD, "metadata", NULL,
     "Write INCLUDE timestamp AS a name behind the columns; also key, partition, offset, headers."},
    {WORD, "enforced", NULL, "Leave NOT ENFORCED out: of each key there is one row."},
};

static bool holds_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (; *text; text++)
        if (strncasecmp(text, word, len) == 0)
            return true;
    return false;
}

static bool give_hint(enum kind kind, const char *name, size_t len, const char *text, struct kp_error *err)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].kind != kind || strlen(known[i].name) != len || strncasecmp(known[i].name, name, len) != 0)
            continue;
        if (known[i].beside && !holds_word(text, known[i].beside))
            continue;
        kp_error_hint(err, "%s", known[i].hint);
        return true;
    }
    return false;
}

bool kp_elsewhere_option(const char *name, struct kp_error *err)
{
    return give_hint(OPTION, name, strlen(name), "", err);
}

bool kp_elsewhere_function(const char *name, struct kp_error *err)
{
    return give_hint(FUNCTION, name, strlen(name), "", err);
}

bool kp_elsewhere_column(const char *name, struct kp_error *err)
{
    return give_hint(COLUMN, name, strlen(name), "", err);
}

bool kp_elsewhere_setting(const char *name, struct kp_error *err)
{
    return give_hint(SETTING, name, strlen(name), "", err);
}

void kp_elsewhere_syntax(const char *text, struct kp_error *err)
{
    static const char near[] = "at or near \"";
    const char *word = strstr(err->message, near);
    if (strcmp(err->message, "subquery in FROM must have an alias") == 0 && !err->hint[0]) { /* as PostgreSQL says */
        kp_error_hint(err, "For example, FROM (SELECT ...) [AS] foo.");
        return;
    }
    if (strcmp(err->sqlstate, "42601") != 0 || err->hint[0] || !word)
        return;
    word += sizeof near - 1;
    give_hint(WORD, word, strcspn(word, "\""), text, err);
}
