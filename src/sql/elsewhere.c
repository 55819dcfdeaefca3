/*
 * What people write who come from Flink SQL, ksqlDB, RisingWave or Materialize, and what it is called here: one table
 * of names, looked at only when a statement has failed.
 */
#include "sql/elsewhere.h"

#include <string.h>
#include <strings.h>

enum kind { OPTION, FUNCTION, WORD };

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
