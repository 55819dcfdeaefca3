/*
 * Session settings: what SET, SHOW, set_config and clients at connection ask for, in one table; and behind it those
 * with a dot in their name, which are whatever an application makes of them: a session knows one from the first time it
 * is set, and then it has a value, perhaps "".
 */
#include "db/session.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "vec/zone.h"

enum flags {
    REPORTED = 1,
    FIXED = 2,
    READ_ONLY = 4 /* taken by take_read_only */,
    ISOLATION = 8 /* by take_isolation */
};

static enum kp_code check_digits(struct kp_session *session, const char *value, struct kp_error *err);
static enum kp_code check_flag(struct kp_session *session, const char *value, struct kp_error *err);
static enum kp_code check_level(struct kp_session *session, const char *value, struct kp_error *err);
static enum kp_code check_number(struct kp_session *session, const char *value, struct kp_error *err);
static enum kp_code check_size(struct kp_session *session, const char *value, struct kp_error *err);
static enum kp_code check_zone(struct kp_session *session, const char *value, struct kp_error *err);
static enum kp_code check_encoding(struct kp_session *session, const char *value, struct kp_error *err);
static enum kp_code check_timeout(struct kp_session *session, const char *value, struct kp_error *err);
static void take_timeout(struct kp_session *session, const char *name, char **value);
static enum kp_code check_read_after(struct kp_session *session, const char *value, struct kp_error *err);
static enum kp_code check_isolation(struct kp_session *session, const char *value, struct kp_error *err);
static enum kp_code check_block_isolation(struct kp_session *session, const char *value, struct kp_error *err);
static enum kp_code check_read_only(struct kp_session *session, const char *value, struct kp_error *err);
static enum kp_code check_block_read_only(struct kp_session *session, const char *value, struct kp_error *err);

static const struct setting {
    const char *name, *standard;
    unsigned flags;
    enum kp_code (*check)(struct kp_session *session, const char *value, struct kp_error *err);
    const char *doc;
} table[] = {
    {"application_name", "", REPORTED, NULL, "Name of the client program."},
    {"bytea_output", "hex", FIXED, NULL, "Output form of bytea: always hex."},
    {"check_function_bodies", "on", 0, check_flag, "Accepted for compatibility: bodies are checked."},
    {"client_encoding", "UTF8", REPORTED, check_encoding, "The client's character set: UTF8."},
    {"client_min_messages", "notice", 0, check_level, "The least level of notices that are sent."},
    {"cpu_tuple_cost", "0.01", 0, check_number, "Accepted for compatibility: plans do not depend on it."},
    {"DateStyle", "ISO, MDY", REPORTED | FIXED, NULL, "Form of dates: always ISO."},
    {"default_table_access_method", "kappa", FIXED, NULL, "How tables are kept: one way."},
    {"default_tablespace", "", 0, NULL, "Accepted for compatibility: there is one place."},
    {"default_toast_compression", "pglz", 0, NULL, "Accepted for compatibility."},
    {"default_transaction_isolation", "repeatable read", ISOLATION, check_isolation,
     "The level of transactions that do not say: lower ones are repeatable read, too."},
    {"default_transaction_read_only", "off", REPORTED | READ_ONLY, check_read_only,
     "Whether transactions may not write unless they say so."},
    {"effective_cache_size", "4GB", 0, check_size, "Accepted for compatibility: plans do not depend on it."},
    {"enable_bitmapscan", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_hashagg", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_hashjoin", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_incremental_sort", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_indexonlyscan", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_indexscan", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_material", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_memoize", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_mergejoin", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_nestloop", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_parallel_append", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_parallel_hash", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_partition_pruning", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_partitionwise_aggregate", "off", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_partitionwise_join", "off", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_seqscan", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_sort", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"enable_tidscan", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"escape_string_warning", "on", 0, check_flag, "Accepted for compatibility."},
    {"extra_float_digits", "1", 0, check_digits, "1 to 3, which mean the same: floats are printed exactly."},
    {"from_collapse_limit", "8", 0, check_number, "Accepted for compatibility: plans do not depend on it."},
    {"geqo", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"idle_in_transaction_session_timeout", "0", 0, check_timeout,
     "Ends a session of the PostgreSQL door that waits so long inside a transaction; 0: never."},
    {"idle_session_timeout", "0", 0, check_timeout,
     "Ends a session of the PostgreSQL door that waits so long outside of transactions; 0: never."},
    {"in_hot_standby", "off", REPORTED | FIXED, NULL, "Always off."},
    {"integer_datetimes", "on", REPORTED | FIXED, NULL, "Always on."},
    {"IntervalStyle", "postgres", REPORTED | FIXED, NULL, "Form of intervals."},
    {"is_superuser", "on", REPORTED | FIXED, NULL, "Whether the user may do everything."},
    {"jit", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"join_collapse_limit", "8", 0, check_number, "Accepted for compatibility: plans do not depend on it."},
    {"kappa.read_after", "-1", 0, check_read_after, "Reads wait until this position is visible."},
    {"lc_collate", "C", FIXED, NULL, "Collation: C."},
    {"lc_ctype", "C.UTF-8", FIXED, NULL, "Character classes."},
    {"lc_messages", "C", 0, NULL, "Language of messages: English."},
    {"lock_timeout", "0", 0, check_timeout, "Longest wait of a COMMIT for its turn to write; 0: no limit."},
    {"maintenance_work_mem", "64MB", 0, check_size, "Accepted for compatibility: plans do not depend on it."},
    {"max_identifier_length", "63", FIXED, NULL, "Longest identifier, bytes."},
    {"max_index_keys", "32", FIXED, NULL, "What PostgreSQL says: JDBC asks for it."},
    {"max_parallel_workers_per_gather", "2", 0, check_number, "Accepted for compatibility: plans do not depend on it."},
    {"quote_all_identifiers", "off", 0, check_flag, "Accepted for compatibility."},
    {"random_page_cost", "4", 0, check_number, "Accepted for compatibility: plans do not depend on it."},
    {"row_security", "on", 0, check_flag, "Accepted for compatibility."},
    {"search_path", "public", 0, NULL, "Schemas searched for names."},
    {"seq_page_cost", "1", 0, check_number, "Accepted for compatibility: plans do not depend on it."},
    {"server_encoding", "UTF8", REPORTED | FIXED, NULL, "The server's character set."},
    {"server_version", "15.0 (kappa " KAPPA_VERSION ")", REPORTED | FIXED, NULL,
     "The PostgreSQL version whose meaning SQL has here."},
    {"server_version_num", "150000", FIXED, NULL, "The same as a number."},
    {"session_authorization", "kappa", REPORTED | FIXED, NULL, "The user."},
    {"standard_conforming_strings", "on", REPORTED | FIXED, NULL, "Always on."},
    {"statement_timeout", "0", 0, check_timeout, "Longest time of a statement; 0: no limit."},
    {"synchronize_seqscans", "on", 0, check_flag, "Accepted for compatibility: plans do not depend on it."},
    {"synchronous_commit", "on", FIXED, NULL, "Acknowledged means on disk."},
    {"temp_buffers", "8MB", 0, check_size, "Accepted for compatibility: plans do not depend on it."},
    {"TimeZone", "UTC", REPORTED, check_zone, "Time zone of timestamptz text."},
    {"transaction_deferrable", "off", 0, check_flag, "Accepted for compatibility: nothing waits for others."},
    {"transaction_isolation", "repeatable read", ISOLATION, check_block_isolation,
     "The level that was asked for: lower ones are repeatable read, too."},
    {"transaction_read_only", "off", READ_ONLY, check_block_read_only, "Whether this transaction may not write."},
    {"work_mem", "4MB", 0, check_size, "Accepted for compatibility: plans do not depend on it."},
    {"xmloption", "content", 0, NULL, "Accepted for compatibility: there is no xml."},
};

enum { SETTINGS_MAX = 100000 }; /* of a session, custom ones included: each is kept until it ends */

static size_t count_of(const struct kp_session *session)
{
    return KP_COUNT(table) + session->custom_count;
}

static const char *name_of(const struct kp_session *session, size_t i)
{
    return i < KP_COUNT(table) ? table[i].name : session->custom_names[i - KP_COUNT(table)];
}

static const char *standard_of(size_t i)
{
    return i < KP_COUNT(table) ? table[i].standard : "";
}

/* Behind the last if it is not known. */
static size_t find(const struct kp_session *session, const char *name)
{
    size_t count = count_of(session);
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(name_of(session, i), name) == 0)
            return i;
    return count;
}

/* Identifiers with dots between. */
static bool is_custom_name(const char *name)
{
    bool begins = true, dots = false;
    for (const char *at = name; *at; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_' || (*at & 0x80);
        bool more = (*at >= '0' && *at <= '9') || *at == '$';
        if (*at == '.' ? begins : !(letter || (more && !begins)))
            return false;
        begins = *at == '.';
        dots |= begins;
    }
    return dots && !begins;
}

static enum kp_code unknown(const char *name, struct kp_error *err)
{
    return kp_fail(err, KP_NOT_FOUND, "42704", "unrecognized configuration parameter \"%s\"", name);
}

/* A place for a setting of some application's own. */
static enum kp_code add_custom(struct kp_session *session, const char *name, struct kp_error *err)
{
    if (!strchr(name, '.'))
        return unknown(name, err);
    bool reserved = strncasecmp(name, "kappa.", 6) == 0;
    if (reserved || !is_custom_name(name)) {
        (void)kp_fail(err, KP_INVALID, "42602", "invalid configuration parameter name \"%s\"", name);
        return kp_error_detail(err, reserved ? "\"kappa\" is a reserved prefix."
                                             : "Custom parameter names must be two or more simple identifiers "
                                               "separated by dots.");
    }
    size_t count = count_of(session);
    if (count >= SETTINGS_MAX)
        return kp_fail(err, KP_LIMIT, "54000", "a session can have at most %d settings", SETTINGS_MAX);
    session->custom_names =
        kp_realloc(session->custom_names, (session->custom_count + 1) * sizeof *session->custom_names);
    session->custom_names[session->custom_count++] = kp_strdup(name);
    session->settings = kp_realloc(session->settings, (count + 1) * sizeof *session->settings);
    session->settings[count] = NULL;
    if (session->outer_settings) {
        session->outer_settings = kp_realloc(session->outer_settings, (count + 1) * sizeof *session->outer_settings);
        session->outer_settings[count] = NULL;
    }
    return KP_OK;
}

static enum kp_code check_zone(struct kp_session *session, const char *value, struct kp_error *err)
{
    const struct kp_zone *zone;
    if (kp_zone_find(kp_str(value), &zone, err) != KP_OK)
        return kp_fail(err, KP_INVALID, NULL, "invalid value for parameter \"TimeZone\": \"%s\"", value);
    session->zone = zone;
    session->values.zone = zone;
    return KP_OK;
}

/* An encoding by the letters and digits of its name, as PostgreSQL looks it up: asyncpg asks for "'utf-8'". NULL: not
 * one of ours. */
static const char *encoding_of(const char *value)
{
    char name[16];
    size_t len = 0;
    for (const char *at = value; *at && len + 1 < sizeof name; at++)
        if (isalnum((unsigned char)*at))
            name[len++] = (char)tolower((unsigned char)*at);
    name[len] = 0;
    if (strcmp(name, "utf8") == 0 || strcmp(name, "unicode") == 0)
        return "UTF8";
    return strcmp(name, "sqlascii") == 0 ? "SQL_ASCII" : NULL; /* bytes as they are: psql's where there is no locale */
}

static enum kp_code check_encoding(struct kp_session *session, const char *value, struct kp_error *err)
{
    if (encoding_of(value))
        return KP_OK;
    return kp_fail(err, KP_UNSUPPORTED, NULL, "client encoding \"%s\" is not supported: text is UTF8", value);
}

/* "1500", "1500ms", "1.5 s", "2min": milliseconds; -1 if it is none. */
static int64_t timeout_ms(const char *value)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1}, {"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"min", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
    char *end;
    double number = strtod(value, &end);
    if (end == value || !(number >= 0))
        return -1;
    end += strspn(end, " ");
    for (size_t i = 0; i < KP_COUNT(units); i++)
        if (strcmp(end, units[i].unit) == 0)
            return number * units[i].ms <= INT32_MAX ? (int64_t)(number * units[i].ms + 0.5) : -1;
    return -1;
}

static enum kp_code check_timeout(struct kp_session *session, const char *value, struct kp_error *err)
{
    if (timeout_ms(value) >= 0)
        return KP_OK;
    (void)kp_fail(err, KP_INVALID, NULL, "invalid value for a timeout: \"%s\"", value);
    return kp_error_hint(err,
                         "It is a number of milliseconds up to 2147483647, or one with a unit: \"us\", \"ms\", \"s\", "
                         "\"min\", \"h\" and \"d\".");
}

/* The setting's value in the largest unit that fits, as PostgreSQL shows it; and where the session looks. */
static void take_timeout(struct kp_session *session, const char *name, char **value)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
    int64_t ms = timeout_ms(*value);
    size_t unit = 0;
    while (units[unit].ms > 1 && (ms == 0 || ms % units[unit].ms != 0))
        unit++;
    char text[32];
    if (ms == 0)
        snprintf(text, sizeof text, "0");
    else
        snprintf(text, sizeof text, "%lld%s", (long long)(ms / units[unit].ms), units[unit].unit);
    kp_free(*value);
    *value = kp_strdup(text);
    if (strcmp(name, "statement_timeout") == 0)
        session->statement_timeout_ms = ms;
    else if (strcmp(name, "lock_timeout") == 0)
        session->lock_timeout_ms = ms;
    else if (strcmp(name, "idle_session_timeout") == 0)
        session->idle_session_timeout_ms = ms;
    else
        session->idle_timeout_ms = ms;
}

/* 1, 0, or -1 if it is no boolean. */
static int boolean(const char *value)
{
    static const char *const words[] = {"on", "true", "yes", "1", "off", "false", "no", "0"};
    for (size_t i = 0; i < KP_COUNT(words); i++)
        if (strcasecmp(value, words[i]) == 0)
            return i < 4;
    return -1;
}

static enum kp_code check_flag(struct kp_session *session, const char *value, struct kp_error *err)
{
    return boolean(value) >= 0 ? KP_OK : kp_fail(err, KP_INVALID, NULL, "the parameter requires a Boolean value");
}

static enum kp_code check_number(struct kp_session *session, const char *value, struct kp_error *err)
{
    char *end;
    (void)strtod(value, &end);
    return end != value && !*end ? KP_OK
                                 : kp_fail(err, KP_INVALID, NULL, "the parameter requires a number: \"%s\"", value);
}

static enum kp_code check_digits(struct kp_session *session, const char *value, struct kp_error *err)
{
    char *end;
    long digits = strtol(value, &end, 10);
    if (end == value || *end)
        return kp_fail(err, KP_INVALID, NULL, "invalid value for parameter \"extra_float_digits\": \"%s\"", value);
    if (digits >= 1 && digits <= 3)
        return KP_OK;
    if (digits >= -15 && digits <= 0) {
        (void)kp_fail(err, KP_UNSUPPORTED, NULL, "extra_float_digits %ld is not supported: floats are printed exactly",
                      digits);
        return kp_error_hint(err, "Leave it out, or round: round(x::numeric, 6).");
    }
    return kp_fail(err, KP_INVALID, NULL,
                   "%ld is outside the valid range for parameter \"extra_float_digits\" (-15 .. 3)", digits);
}

/* "64MB", "1000" (kilobytes), "1 GB". */
static enum kp_code check_size(struct kp_session *session, const char *value, struct kp_error *err)
{
    static const char *const units[] = {"", "B", "kB", "MB", "GB", "TB"};
    char *end;
    double size = strtod(value, &end);
    bool number = end != value && size >= 0;
    end += strspn(end, " ");
    for (size_t i = 0; number && i < KP_COUNT(units); i++)
        if (strcmp(end, units[i]) == 0)
            return KP_OK;
    (void)kp_fail(err, KP_INVALID, NULL, "invalid value for a size: \"%s\"", value);
    return kp_error_hint(err, "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".");
}

/* Levels of messages in their order: what SET client_min_messages may say. */
static const char *const levels[] = {"debug5", "debug4", "debug3", "debug2",  "debug1", "debug",
                                     "log",    "info",   "notice", "warning", "error"};

static size_t level_of(const char *word)
{
    size_t i = 0;
    while (i < KP_COUNT(levels) && strcasecmp(word, levels[i]) != 0)
        i++;
    return i;
}

static enum kp_code check_level(struct kp_session *session, const char *value, struct kp_error *err)
{
    if (level_of(value) < KP_COUNT(levels))
        return KP_OK;
    (void)kp_fail(err, KP_INVALID, NULL, "invalid value for parameter \"client_min_messages\": \"%s\"", value);
    return kp_error_hint(err, "Available values: debug5, debug4, debug3, debug2, debug1, log, notice, warning, error.");
}

bool kp_session_wants_notice(struct kp_session *session, const char *severity)
{
    return level_of(severity) >= level_of(kp_settings_get(session, "client_min_messages"));
}

static enum kp_code check_read_only(struct kp_session *session, const char *value, struct kp_error *err)
{
    if (boolean(value) >= 0)
        return KP_OK;
    return kp_fail(err, KP_INVALID, NULL, "a parameter of read-only transactions requires a Boolean value");
}

/* A block that may write could have written before. */
static enum kp_code check_block_read_only(struct kp_session *session, const char *value, struct kp_error *err)
{
    KP_TRY(check_read_only(session, value, err));
    if (session->transaction == KP_TRANSACTION_BLOCK && session->read_only && session->has_snapshot &&
        boolean(value) == 0)
        return kp_fail(err, KP_INVALID, "25001", "transaction read-write mode must be set before any query");
    return KP_OK;
}

/* The setting's value as PostgreSQL shows it; the block's own setting is of the block alone. */
static void take_read_only(struct kp_session *session, const char *name, char **value)
{
    bool on = boolean(*value) == 1;
    kp_free(*value);
    *value = kp_strdup(on ? "on" : "off");
    if (strcmp(name, "default_transaction_read_only") == 0)
        session->default_read_only = on;
    else if (session->transaction == KP_TRANSACTION_BLOCK)
        session->read_only = on;
}

static const char *const isolations[] = {"read uncommitted", "read committed", "repeatable read", "serializable"};

enum kp_code kp_settings_isolation(const char *words, enum kp_isolation *ret_isolation, struct kp_error *err)
{
    for (unsigned i = 0; i < KP_COUNT(isolations); i++)
        if (strcasecmp(words, isolations[i]) == 0) {
            *ret_isolation = (enum kp_isolation)i;
            return KP_OK;
        }
    (void)kp_fail(err, KP_INVALID, "22023", "invalid value for parameter \"transaction_isolation\": \"%s\"", words);
    return kp_error_hint(err, "Available values: serializable, repeatable read, read committed, read uncommitted.");
}

static enum kp_code check_isolation(struct kp_session *session, const char *value, struct kp_error *err)
{
    enum kp_isolation isolation;
    return kp_settings_isolation(value, &isolation, err);
}

/* What was read before it was serializable is not known any more. */
static enum kp_code check_block_isolation(struct kp_session *session, const char *value, struct kp_error *err)
{
    enum kp_isolation isolation;
    KP_TRY(kp_settings_isolation(value, &isolation, err));
    if (session->transaction != KP_TRANSACTION_BLOCK || isolation == session->isolation)
        return KP_OK;
    if (session->has_snapshot || session->write_count)
        return kp_fail(err, KP_INVALID, "25001", "SET TRANSACTION ISOLATION LEVEL must be called before any query");
    if (session->savepoints)
        return kp_fail(err, KP_INVALID, "25001",
                       "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
    return KP_OK;
}

/* The block's own level is kept in the session alone: no transaction's end or savepoint goes back to it. */
static void take_isolation(struct kp_session *session, const char *name, char **value)
{
    enum kp_isolation isolation = KP_REPEATABLE_READ;
    (void)!kp_settings_isolation(*value, &isolation, NULL);
    kp_free(*value);
    *value = NULL;
    if (strcmp(name, "default_transaction_isolation") == 0) {
        session->default_isolation = isolation;
        *value = kp_strdup(isolations[isolation]);
    } else if (session->transaction == KP_TRANSACTION_BLOCK) {
        session->isolation = isolation;
    }
}

static enum kp_code check_read_after(struct kp_session *session, const char *value, struct kp_error *err)
{
    char *end;
    long long position = strtoll(value, &end, 10);
    if (end == value || *end)
        return kp_fail(err, KP_INVALID, NULL, "invalid value for parameter \"kappa.read_after\": \"%s\"", value);
    kp_session_read_after(session, position);
    return KP_OK;
}

void kp_settings_init(struct kp_session *session)
{
    session->settings = kp_calloc(KP_COUNT(table), sizeof *session->settings);
    kp_mutex_init(&session->settings_lock);
    session->zone = kp_zone_utc();
    session->default_isolation = KP_REPEATABLE_READ;
    session->values = (struct kp_session_settings){.zone = session->zone};
}

void kp_settings_finish(struct kp_session *session)
{
    for (size_t i = 0; i < count_of(session); i++) {
        kp_free(session->settings[i]);
        if (session->outer_settings)
            kp_free(session->outer_settings[i]);
    }
    for (size_t i = 0; i < session->custom_count; i++)
        kp_free(session->custom_names[i]);
    kp_free(session->custom_names);
    kp_free(session->settings);
    kp_free(session->outer_settings);
    kp_settings_discard(session->block_settings);
    kp_settings_discard(session->first_settings);
    kp_mutex_finish(&session->settings_lock);
}

void kp_settings_keep_first(struct kp_session *session)
{
    if (!session->first_settings)
        session->first_settings = kp_settings_copy(session);
}

static const char *value_of(struct kp_session *session, size_t i)
{
    if (i < KP_COUNT(table) && strcmp(table[i].name, "session_authorization") == 0)
        return session->user;
    if (i < KP_COUNT(table) && strcmp(table[i].name, "transaction_read_only") == 0)
        return kp_session_read_only(session) ? "on" : "off";
    if (i < KP_COUNT(table) && strcmp(table[i].name, "transaction_isolation") == 0)
        return isolations[kp_session_isolation(session)];
    return session->settings[i] ? session->settings[i] : standard_of(i);
}

const char *kp_settings_get(struct kp_session *session, const char *name)
{
    size_t i = find(session, name);
    return i < count_of(session) ? value_of(session, i) : NULL;
}

const char *kp_settings_name(const struct kp_session *session, const char *name)
{
    size_t i = find(session, name);
    return i < KP_COUNT(table) ? table[i].name : name;
}

const char *kp_session_get(struct kp_session *session, const char *name)
{
    return kp_settings_get(session, name);
}

/* Before a setting changes inside a transaction: what ROLLBACK goes back to. */
static void note_block(struct kp_session *session)
{
    if (!session->block_settings)
        session->block_settings = kp_settings_copy(session);
}

static void note_transaction(struct kp_session *session)
{
    if (session->transaction == KP_TRANSACTION_BLOCK || session->transaction == KP_TRANSACTION_IMPLICIT)
        note_block(session);
}

/* ISO, and month before day: alone or together, in any order. */
static bool is_own_date_style(const char *value)
{
    static const char *const known[] = {"iso", "mdy", "us", "noneuropean", "default"};
    const char *separators = ", ";
    while (*(value += strspn(value, separators))) {
        size_t len = strcspn(value, separators);
        bool own = false;
        for (size_t i = 0; i < KP_COUNT(known); i++)
            own |= strlen(known[i]) == len && strncasecmp(value, known[i], len) == 0;
        if (!own)
            return false;
        value += len;
    }
    return true;
}

static enum kp_code change_fixed(struct kp_session *session, size_t i, const char *value, struct kp_error *err)
{
    bool date_style = strcmp(table[i].name, "DateStyle") == 0;
    if (strcmp(table[i].name, "bytea_output") == 0 && strcasecmp(value, "hex") != 0)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "bytea_output \"%s\" is not supported: bytea is shown in hex", value);
    if (!date_style && strncasecmp(value, value_of(session, i), strlen(value)) != 0)
        return kp_fail(err, KP_INVALID, "55P02", "parameter \"%s\" cannot be changed", table[i].name);
    if (date_style && !is_own_date_style(value))
        return kp_fail(err, KP_UNSUPPORTED, NULL, "DateStyle \"%s\" is not supported: dates are ISO, MDY", value);
    return KP_OK;
}

static enum kp_code change_to(struct kp_session *session, const char *name, const char *value, struct kp_error *err)
{
    size_t i = find(session, name);
    if (i == count_of(session))
        KP_TRY(add_custom(session, name, err));
    bool custom = i >= KP_COUNT(table);
    if (!custom && table[i].flags & FIXED)
        return change_fixed(session, i, value, err);
    if (!custom && table[i].check)
        KP_TRY(table[i].check(session, value, err));
    char *before = session->settings[i];
    if (!custom && table[i].check == check_encoding)
        value = encoding_of(value);
    session->settings[i] = kp_strdup(value); /* it may be the value before */
    kp_free(before);
    if (custom)
        return KP_OK;
    if (table[i].flags & READ_ONLY)
        take_read_only(session, table[i].name, &session->settings[i]);
    if (table[i].flags & ISOLATION)
        take_isolation(session, table[i].name, &session->settings[i]);
    if (table[i].check == check_timeout)
        take_timeout(session, table[i].name, &session->settings[i]);
    if ((table[i].flags & REPORTED) && session->options.setting_changed)
        session->options.setting_changed(session->options.arg, table[i].name, value);
    return KP_OK;
}

static enum kp_code change(struct kp_session *session, const char *name, const char *value, struct kp_error *err)
{
    size_t i = find(session, name);
    if (i >= KP_COUNT(table) || table[i].check != check_zone)
        return change_to(session, name, value, err);
    struct kp_buf zone = {0};
    enum kp_code code = kp_zone_setting(value, &zone, err);
    kp_buf_append_byte(&zone, 0);
    if (code == KP_OK)
        code = change_to(session, name, (const char *)zone.data, err);
    kp_buf_finish(&zone);
    return code;
}

static enum kp_code set_session(struct kp_session *session, const char *name, const char *value, struct kp_error *err)
{
    KP_TRY(change(session, name, value, err));
    if (session->outer_settings) { /* it holds beyond the transaction, whatever SET LOCAL said */
        size_t i = find(session, name);
        kp_free(session->outer_settings[i]);
        session->outer_settings[i] = NULL;
    }
    return KP_OK;
}

static enum kp_code set_local(struct kp_session *session, const char *name, const char *value, struct kp_error *err)
{
    size_t i = find(session, name);
    char *before = kp_strdup(i < count_of(session) ? value_of(session, i) : "");
    enum kp_code code = change(session, name, value, err);
    if (!session->outer_settings)
        session->outer_settings = kp_calloc(count_of(session), sizeof *session->outer_settings);
    if (code == KP_OK && !session->outer_settings[i])
        session->outer_settings[i] = before;
    else
        kp_free(before);
    return code;
}

enum kp_code kp_session_set(struct kp_session *session, const char *name, const char *value, struct kp_error *err)
{
    note_transaction(session);
    return set_session(session, name, value, err);
}

enum kp_code kp_settings_set_local(struct kp_session *session, const char *name, const char *value,
                                   struct kp_error *err)
{
    if (session->transaction != KP_TRANSACTION_BLOCK) {
        struct kp_error notice;
        (void)kp_fail(&notice, KP_OK, "25P01", "SET LOCAL can only be used in transaction blocks");
        if (session->options.notice)
            session->options.notice(session->options.arg, "WARNING", &notice);
        return KP_OK;
    }
    note_transaction(session);
    return set_local(session, name, value, err);
}

void kp_settings_end(struct kp_session *session, bool committed)
{
    struct kp_error ignored;
    struct kp_setting_values *before = session->block_settings;
    session->block_settings = NULL;
    if (before && !committed)
        kp_settings_restore(session, before);
    kp_settings_discard(before);
    for (size_t i = 0; session->outer_settings && i < count_of(session); i++) {
        char *outer = session->outer_settings[i];
        session->outer_settings[i] = NULL;
        if (outer && change(session, name_of(session, i), outer, &ignored) != KP_OK)
            KP_ASSERT(false); /* it was the setting's value */
        kp_free(outer);
    }
}

/* ---- all values, to go back to ---- */

struct kp_setting_values {
    size_t count;
    char **values, **outer; /* outer: those before SET LOCAL */
};

struct kp_setting_values *kp_settings_copy(struct kp_session *session)
{
    struct kp_setting_values *copy = kp_calloc(1, sizeof *copy);
    copy->count = count_of(session);
    copy->values = kp_calloc(2 * copy->count, sizeof *copy->values);
    copy->outer = copy->values + copy->count;
    for (size_t i = 0; i < copy->count; i++) {
        const char *outer = session->outer_settings ? session->outer_settings[i] : NULL;
        copy->values[i] = session->settings[i] ? kp_strdup(session->settings[i]) : NULL;
        copy->outer[i] = outer ? kp_strdup(outer) : NULL;
    }
    return copy;
}

void kp_settings_restore(struct kp_session *session, const struct kp_setting_values *copy)
{
    struct kp_error ignored;
    for (size_t i = 0; i < count_of(session); i++) {
        const char *value = i < copy->count ? copy->values[i] : NULL, *outer = i < copy->count ? copy->outer[i] : NULL;
        const char *before = value ? value : standard_of(i);
        bool same = strcmp(value_of(session, i), before) == 0 || (!value && !session->settings[i]);
        if (!same && change(session, name_of(session, i), before, &ignored) != KP_OK)
            KP_ASSERT(false); /* it was the setting's value */
        if (session->outer_settings) {
            kp_free(session->outer_settings[i]);
            session->outer_settings[i] = outer ? kp_strdup(outer) : NULL;
        }
    }
}

void kp_settings_discard(struct kp_setting_values *copy)
{
    for (size_t i = 0; copy && i < 2 * copy->count; i++)
        kp_free(copy->values[i]);
    if (copy)
        kp_free(copy->values);
    kp_free(copy);
}

/* What RESET goes back to. */
static const char *first_of(const struct kp_session *session, size_t i)
{
    const struct kp_setting_values *first = session->first_settings;
    return first && i < first->count && first->values[i] ? first->values[i] : standard_of(i);
}

enum kp_code kp_settings_reset(struct kp_session *session, const char *name, struct kp_error *err)
{
    bool all = strcasecmp(name, "all") == 0;
    if (!all && find(session, name) == count_of(session)) {
        note_transaction(session);
        return add_custom(session, name, err);
    }
    for (size_t i = 0; i < count_of(session); i++)
        if (session->settings[i] && (all || strcasecmp(name_of(session, i), name) == 0))
            KP_TRY(kp_session_set(session, name_of(session, i), first_of(session, i), err));
    return KP_OK;
}

void kp_settings_each(struct kp_session *session,
                      void (*each)(void *arg, const char *name, const char *value, const char *doc), void *arg)
{
    for (size_t i = 0; i < KP_COUNT(table); i++) /* PostgreSQL does not show custom ones either */
        each(arg, table[i].name, value_of(session, i), table[i].doc);
}

/* ---- current_setting, set_config: while a query runs, on any of its threads ---- */

bool kp_settings_ask(void *arg, const char *name, struct kp_buf *out)
{
    struct kp_session *session = arg;
    kp_mutex_lock(&session->settings_lock);
    const char *value = kp_settings_get(session, name);
    kp_buf_append_text(out, value ? value : "");
    kp_mutex_unlock(&session->settings_lock);
    return value;
}

/* A statement by itself is a transaction: kp_execute ends it for the settings. */
enum kp_code kp_settings_config(void *arg, const char *name, const char *value, bool local, struct kp_buf *out,
                                struct kp_error *err)
{
    struct kp_session *session = arg;
    kp_mutex_lock(&session->settings_lock);
    size_t i = find(session, name);
    const char *to = value ? value : i < count_of(session) ? first_of(session, i) : "";
    note_block(session);
    enum kp_code code = local ? set_local(session, name, to, err) : set_session(session, name, to, err);
    if (code == KP_OK)
        kp_buf_append_text(out, value_of(session, find(session, name)));
    kp_mutex_unlock(&session->settings_lock);
    return code;
}

const struct kp_zone *kp_session_zone(struct kp_session *session)
{
    return session->zone;
}
