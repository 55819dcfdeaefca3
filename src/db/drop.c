/*
 * DROP: what is named, and with CASCADE everything that was made with it or reads it, directly or not.
 *
 * What a DROP takes is gathered first, dependents before what they read, and that is the order in which it goes; people
 * are told in the other order, as by PostgreSQL. Rows of a table or source do not go with a type or function:
 * PostgreSQL would drop a column or a constraint, which cannot be done to what is in the log.
 */
#include <stdio.h>

#include "db/ddl.h"
#include "db/dependents.h"
#include "db/retention.h"
#include "db/sequence.h"
#include "sql/alter.h"
#include "sql/comment.h"

enum { LINE_BYTES = 160 };

static enum kp_code detach_sink(struct kp_db *db, void *arg, struct kp_error *err)
{
    kp_sink_detach(db, arg);
    return KP_OK;
}

void kp_ddl_remove(struct kp_ddl *ddl, struct kp_relation *relation)
{
    struct kp_db *db = ddl->db;
    kp_relation_ref(relation);
    kp_catalog_write(db->catalog);
    kp_catalog_remove(db->catalog, relation);
    kp_catalog_unlock(db->catalog);
    kp_sequence_forget(db);
    struct kp_error ignored; /* a broken instance: nothing is written any more */
    if (relation->kind == KP_RELATION_SINK && !ddl->replaying) {
        (void)!kp_engine_call(db, detach_sink, relation, &ignored);
    } else if (kp_live_of(relation)) {
        struct kp_live *live = kp_live_of(relation);
        kp_engine_forsake(db, live);
        kp_mutex_lock(&db->mutex); /* its job, if it is still being built, must let go first */
        if (live->job) {
            atomic_store(&live->job->cancelled, true);
            if (live->job->backfill)
                kp_backfill_cancel(live->job->backfill);
        }
        while (live->job)
            kp_cond_wait_us(&db->idle, &db->mutex, 50000);
        kp_mutex_unlock(&db->mutex);
        kp_live_drop(db, live);
    }
    if (kp_relation_declared(relation) == KP_RELATION_VIEW && !ddl->replaying)
        kp_retention_dropped(db);
    kp_relation_unref(relation);
}

/* Made with the view, it goes with it: <view>_late. */
static bool is_companion(const struct kp_relation *relation, const char *of)
{
    size_t len = strlen(of);
    return relation->late_of && strcmp(relation->late_of->name, of) == 0 && strncmp(relation->name, of, len) == 0 &&
           strcmp(relation->name + len, "_late") == 0;
}

static const char *missing_code(enum kp_relation_kind kind)
{
    switch (kind) {
    case KP_RELATION_TYPE:
    case KP_RELATION_DOMAIN:
        return "42704";
    case KP_RELATION_FUNCTION:
        return "42883";
    default:
        return "42P01";
    }
}

/* A relation that a DROP takes. */
struct dropping {
    struct kp_relation *relation;
    bool named; /* by the statement, or it is another version or the late rows of what is */
};

struct drop_list {
    struct dropping *items;
    struct kp_relation **relations; /* of the items */
    size_t count;
    bool versioned; /* some of them are another version of another */
    const struct kp_catalog *catalog;
    struct kp_dependents *dependents;
};

/* ---- what there is to drop ---- */

/* A domain is a type to who misses it, as in PostgreSQL. */
static const char *missing_word(enum kp_relation_kind kind)
{
    return kp_relation_kind_name(kind == KP_RELATION_DOMAIN ? KP_RELATION_TYPE : kind);
}

/* Of those that nothing can be made in, too. */
static bool is_schema(const struct kp_catalog *catalog, const char *name)
{
    if (strcmp(name, "public") == 0)
        return true;
    for (size_t i = 0; i < kp_catalog_count(catalog); i++)
        if (strcmp(kp_catalog_at(catalog, i)->schema, name) == 0)
            return true;
    return false;
}

static enum kp_code no_such(const struct kp_ddl *ddl, const struct kp_statement *statement, const struct kp_name *name,
                            struct kp_error *err)
{
    if (name->schema && !is_schema(ddl->db->catalog, name->schema))
        return kp_fail(err, KP_NOT_FOUND, "3F000", "schema \"%s\" does not exist", name->schema);
    (void)kp_fail(err, KP_NOT_FOUND, missing_code(statement->relation_kind), "%s \"%s\" does not exist",
                  missing_word(statement->relation_kind), name->name);
    const char *near[1]; /* of its name, it is of another kind */
    return kp_catalog_suggest(ddl->db->catalog, kp_str(name->name), near, 1) && strcmp(near[0], name->name) != 0
               ? kp_error_hint(err, "Perhaps you meant \"%s\".", near[0])
               : KP_NOT_FOUND;
}

static enum kp_code wrong_kind(const struct kp_relation *relation, enum kp_relation_kind wanted, struct kp_error *err)
{
    static const char *const words[] = {
        [KP_RELATION_SOURCE] = "SOURCE",     [KP_RELATION_TABLE] = "TABLE", [KP_RELATION_VIEW] = "MATERIALIZED VIEW",
        [KP_RELATION_PLAIN_VIEW] = "VIEW",   [KP_RELATION_SINK] = "SINK",   [KP_RELATION_SYSTEM] = "VIEW",
        [KP_RELATION_SEQUENCE] = "SEQUENCE", [KP_RELATION_TYPE] = "TYPE",   [KP_RELATION_DOMAIN] = "DOMAIN",
        [KP_RELATION_FUNCTION] = "FUNCTION"};
    if (relation->kind == KP_RELATION_SYSTEM)
        return kp_fail(err, KP_FORBIDDEN, NULL, "permission denied: \"%s\" is a system table", relation->name);
    (void)kp_fail(err, KP_INVALID, "42809", "\"%s\" is not a %s", relation->name, kp_relation_kind_name(wanted));
    enum kp_relation_kind kind = kp_relation_declared(relation);
    return kp_error_hint(err, "Use DROP %s to remove a %s.", words[kind], kp_relation_kind_name(kind));
}

/* It need not exist. */
static void tell_missing(struct kp_ddl *ddl, const struct kp_statement *statement, size_t n)
{
    const struct kp_name *name = &statement->names[n];
    const char *args = statement->name_args[n] ? statement->name_args[n] : "()";
    if (name->schema && !is_schema(ddl->db->catalog, name->schema))
        kp_ddl_notice(ddl, "00000", "schema \"%s\" does not exist, skipping", name->schema);
    else if (statement->relation_kind == KP_RELATION_FUNCTION)
        kp_ddl_notice(ddl, "00000", "function %s%s does not exist, skipping", name->name, args);
    else
        kp_ddl_notice(ddl, "00000", "%s \"%s\" does not exist, skipping", missing_word(statement->relation_kind),
                      name->name);
}

/* *ret_relation NULL: it does not exist and need not. */
static enum kp_code find(struct kp_ddl *ddl, const struct kp_statement *statement, size_t n,
                         struct kp_relation **ret_relation, struct kp_error *err)
{
    const struct kp_name *name = &statement->names[n];
    struct kp_str schema = {name->schema, name->schema ? strlen(name->schema) : 0};
    if (statement->relation_kind >= KP_RELATION_TYPE)
        schema = kp_str(kp_relation_schema(statement->relation_kind));
    struct kp_relation *relation = kp_catalog_find(ddl->db->catalog, schema, kp_str(name->name));
    *ret_relation = NULL;
    if (statement->relation_kind == KP_RELATION_FUNCTION) {
        enum kp_code code = kp_sql_find_function(ddl->context, name->name, statement->name_args[n], &relation, err);
        if (code != KP_OK && (code != KP_NOT_FOUND || !statement->if_exists))
            return code;
    }
    if (!relation && !statement->if_exists)
        return no_such(ddl, statement, name, err);
    if (!relation)
        tell_missing(ddl, statement, n);
    else if (kp_relation_declared(relation) != statement->relation_kind &&
             !(kp_relation_declared(relation) == KP_RELATION_DOMAIN && statement->relation_kind == KP_RELATION_TYPE))
        return wrong_kind(relation, statement->relation_kind, err);
    *ret_relation = relation;
    return KP_OK;
}

/* Takes what reads it, and it itself. */
static void take(struct drop_list *list, struct kp_relation *target)
{
    const struct kp_catalog *catalog = list->catalog;
    size_t count = list->count;
    bool versions = kp_relation_declared(target) < KP_RELATION_TYPE;
    for (size_t i = kp_catalog_count(catalog); versions && i-- > 0;) {
        struct kp_relation *other = kp_catalog_at(catalog, i);
        if (other != target && kp_ddl_is_version_of(other, target))
            count = kp_dependents_take(list->dependents, other, list->relations, count);
    }
    count = kp_dependents_take(list->dependents, target, list->relations, count);
    for (size_t i = 0; i < count; i++) /* behind the tables: their sequences, and what else draws from those */
        for (size_t s = kp_catalog_count(catalog);
             kp_relation_declared(list->relations[i]) == KP_RELATION_TABLE && s-- > 0;)
            if (kp_relation_is_owned(kp_catalog_at(catalog, s), list->relations[i]))
                count = kp_dependents_take(list->dependents, kp_catalog_at(catalog, s), list->relations, count);
    for (; list->count < count; list->count++)
        list->items[list->count] = (struct dropping){list->relations[list->count], false};
    for (size_t i = 0; i < count; i++) {
        const struct kp_relation *relation = list->relations[i];
        list->versioned |= relation->version > 1;
        list->items[i].named |= relation == target ||
                                (versions && kp_relation_declared(relation) < KP_RELATION_TYPE &&
                                 strcmp(relation->name, target->name) == 0) ||
                                is_companion(relation, target->name) || kp_relation_is_owned(relation, target);
    }
}

/* ---- what else goes ---- */

/* What of the list it reads itself, the nearest. */
static const struct dropping *read_by(const struct drop_list *list, size_t at)
{
    size_t place = kp_dependents_read_by(list->dependents, list->relations[at]);
    return &list->items[place == SIZE_MAX ? list->count - 1 : place];
}

/* Most lists have none. */
static bool has_later_version(const struct drop_list *list, size_t at)
{
    for (size_t i = at + 1; list->versioned && i < list->count; i++)
        if (kp_relation_declared(list->relations[i]) == kp_relation_declared(list->relations[at]) &&
            strcmp(list->relations[i]->name, list->relations[at]->name) == 0)
            return true;
    return false;
}

/* Versions share a name: the last of the list stands for all. What reads a table of a type is not for the type. */
static bool is_told(const struct drop_list *list, size_t at)
{
    const struct dropping *on = read_by(list, at);
    if (list->items[at].named || (!on->named && kp_relation_declared(on->relation) <= KP_RELATION_TABLE))
        return false;
    return !has_later_version(list, at);
}

static size_t count_others(const struct drop_list *list)
{
    size_t others = 0;
    for (size_t i = 0; i < list->count; i++)
        others += is_told(list, i);
    return others;
}

struct drawing {
    uint32_t sequence;
    bool found;
};

static bool look_for(const struct kp_expr *expr, void *arg)
{
    struct drawing *drawing = arg;
    drawing->found |= expr->kind == KP_EXPR_CONST && expr->type.id == KP_REGCLASS && !expr->datum.null &&
                      (uint32_t)expr->datum.i32 == drawing->sequence;
    return !drawing->found;
}

/* The column's number, where INSERT gives none, is of the sequence. */
static bool draws_from(const struct kp_relation *table, uint32_t column, const struct kp_relation *sequence)
{
    struct drawing drawing = {sequence->id, table->sequences && table->sequences[column] == sequence};
    if (!drawing.found && table->defaults && table->defaults[column])
        (void)kp_expr_walk(table->defaults[column], look_for, &drawing);
    return drawing.found;
}

/* "view b depends on view a", for what of the list it reads itself; columns of a type one by one. */
static void print_dependence(const struct drop_list *list, size_t at, struct kp_buf *out)
{
    const struct kp_relation *relation = list->items[at].relation, *on = read_by(list, at)->relation;
    const char *kind = kp_relation_kind_name(kp_relation_declared(relation)),
               *on_kind = kp_relation_kind_name(kp_relation_declared(on));
    bool columns = false;
    for (uint32_t c = 0; c < relation->col_count && relation->kind <= KP_RELATION_TABLE; c++) {
        bool of_type = on->kind == KP_RELATION_TYPE && kp_type_involves(relation->cols[c].type.id, on->made.id);
        bool draws = on->kind == KP_RELATION_SEQUENCE && draws_from(relation, c, on);
        if (!of_type && !draws && !(relation->domains && relation->domains[c] == on))
            continue;
        kp_buf_printf(out, "%s%scolumn %s of %s %s depends on %s %s", columns ? "\n" : "",
                      draws ? "default value for " : "", relation->cols[c].name, kind, relation->name, on_kind,
                      on->name);
        columns = true;
    }
    if (!columns)
        kp_buf_printf(out, "%s %s depends on %s %s", kind, relation->name, on_kind, on->name);
}

/* One line for each other object, in the order in which they were made; what does not fit is counted. */
static void print_others(const struct drop_list *list, bool cascades, char *out, size_t bytes)
{
    size_t at = 0, left = count_others(list);
    out[0] = '\0';
    for (size_t i = list->count; i-- > 0;) {
        struct kp_buf line = {0};
        if (!is_told(list, i))
            continue;
        if (cascades)
            kp_buf_printf(&line, "drop cascades to %s %s",
                          kp_relation_kind_name(kp_relation_declared(list->items[i].relation)),
                          list->items[i].relation->name);
        else
            print_dependence(list, i, &line);
        bool fits = at + line.len + LINE_BYTES / 2 < bytes;
        if (fits)
            at += (size_t)snprintf(out + at, bytes - at, "%s%.*s", at ? "\n" : "", (int)line.len,
                                   (const char *)line.data);
        else
            at += (size_t)snprintf(out + at, bytes - at, "%sand %zu other %s", at ? "\n" : "", left,
                                   left == 1 ? "object" : "objects");
        kp_buf_finish(&line);
        left--;
        if (!fits)
            return;
    }
}

/* An identity column cannot be without its sequence. */
static enum kp_code refuse_identity(const struct drop_list *list, const struct kp_relation *sequence,
                                    struct kp_error *err)
{
    const struct kp_relation *table = kp_catalog_find_id(list->catalog, sequence->sequence->owner);
    const char *column = table->cols[sequence->sequence->owner_column].name;
    (void)kp_fail(err, KP_BUSY, "2BP01", "cannot drop sequence %s because column %s of table %s requires it",
                  sequence->name, column, table->name);
    return kp_error_hint(err, "You can drop column %s of table %s instead.", column, table->name);
}

static enum kp_code refuse_dependents(const struct drop_list *list, struct kp_error *err)
{
    char lines[sizeof err->detail];
    const struct kp_relation *target = NULL;
    size_t targets = 0;
    for (size_t i = 0; i < list->count; i++) {
        bool again = target && strcmp(target->name, list->items[i].relation->name) == 0;
        if (!list->items[i].named || list->items[i].relation->late_of || again)
            continue;
        target = list->items[i].relation;
        targets++;
    }
    if (targets == 1)
        (void)kp_fail(err, KP_BUSY, "2BP01", "cannot drop %s %s because other objects depend on it",
                      kp_relation_kind_name(kp_relation_declared(target)), target->name);
    else
        (void)kp_fail(err, KP_BUSY, "2BP01", "cannot drop desired object(s) because other objects depend on them");
    print_others(list, false, lines, sizeof lines);
    (void)kp_error_detail(err, "%s", lines);
    return kp_error_hint(err, "Use DROP ... CASCADE to drop the dependent objects too.");
}

/* Rows do not go with a type, a domain, a function, or what their columns' numbers come from. */
static enum kp_code keep_rows(const struct kp_statement *statement, const struct drop_list *list, struct kp_error *err)
{
    enum kp_relation_kind kind = statement->relation_kind;
    if (kind < KP_RELATION_TYPE && kind != KP_RELATION_SEQUENCE && kind != KP_RELATION_TABLE)
        return KP_OK;
    for (size_t i = list->count; i-- > 0;) {
        const struct kp_relation *relation = list->items[i].relation;
        bool rows =
            kp_relation_declared(relation) == KP_RELATION_TABLE || kp_relation_declared(relation) == KP_RELATION_SOURCE;
        if (!rows || list->items[i].named)
            continue;
        struct kp_buf line = {0};
        print_dependence(list, i, &line);
        (void)kp_fail(err, KP_UNSUPPORTED, NULL, "DROP %s ... CASCADE would take %s \"%s\" with all its rows",
                      kind == KP_RELATION_TYPE       ? "TYPE"
                      : kind == KP_RELATION_DOMAIN   ? "DOMAIN"
                      : kind == KP_RELATION_FUNCTION ? "FUNCTION"
                      : kind == KP_RELATION_SEQUENCE ? "SEQUENCE"
                                                     : "TABLE",
                      kp_relation_kind_name(kp_relation_declared(relation)), relation->name);
        (void)kp_error_detail(err, "%.*s", (int)line.len, (const char *)line.data);
        kp_buf_finish(&line);
        return kp_error_hint(err, "A column or constraint cannot be dropped. Drop the %s first.",
                             kp_relation_kind_name(kp_relation_declared(relation)));
    }
    return KP_OK;
}

static void tell_others(struct kp_ddl *ddl, const struct drop_list *list)
{
    struct kp_error notice;
    char lines[sizeof notice.detail];
    size_t others = count_others(list);
    if (!ddl->notice || others == 0)
        return;
    print_others(list, true, lines, sizeof lines);
    if (others == 1) {
        kp_ddl_notice(ddl, "00000", "%s", lines);
        return;
    }
    (void)kp_fail(&notice, KP_OK, "00000", "drop cascades to %zu other objects", others);
    (void)kp_error_detail(&notice, "%s", lines);
    ddl->notice(ddl->notice_arg, "NOTICE", &notice);
}

/* ---- DROP ---- */

static enum kp_code gather(struct kp_ddl *ddl, const struct kp_statement *statement, struct drop_list *list,
                           struct kp_error *err)
{
    for (size_t n = 0; n < statement->name_count; n++) {
        struct kp_relation *target;
        KP_TRY(find(ddl, statement, n, &target, err));
        if (target)
            take(list, target);
    }
    bool others = false;
    for (size_t i = 0; i < list->count; i++)
        others |= !list->items[i].named;
    if (!others)
        return KP_OK;
    for (size_t i = 0; i < list->count && statement->relation_kind == KP_RELATION_SEQUENCE; i++)
        if (list->relations[i]->sequence && list->relations[i]->sequence->identity && list->items[i].named)
            return refuse_identity(list, list->relations[i], err);
    if (!ddl->replaying && !statement->cascade)
        return refuse_dependents(list, err);
    if (!ddl->replaying)
        KP_TRY(keep_rows(statement, list, err));
    if (!ddl->replaying)
        tell_others(ddl, list);
    if (!statement->cascade) { /* a log from when plain views could go from under others */
        size_t kept = 0;
        for (size_t i = 0; i < list->count; i++)
            if (list->items[i].named)
                list->items[kept++] = list->items[i];
        list->count = kept;
    }
    return KP_OK;
}

/* Who reads or writes a topic, or NULL. */
static struct kp_relation *topic_user(const struct kp_catalog *catalog, const char *name)
{
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(catalog, i);
        if (relation->topic && strcmp(relation->topic, name) == 0)
            return relation;
    }
    return NULL;
}

static enum kp_code drop_topic(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    if (ddl->replaying)
        return KP_OK;
    for (uint32_t n = 0; n < statement->name_count; n++) {
        const char *name = statement->names[n].name;
        const struct kp_relation *user = topic_user(db->catalog, name);
        if (user) {
            (void)kp_fail(err, KP_BUSY, "2BP01", "cannot drop topic %s because %s %s depends on it", name,
                          kp_relation_kind_name(kp_relation_declared(user)), user->name);
            return kp_error_hint(err, "Drop the %s first.", kp_relation_kind_name(kp_relation_declared(user)));
        }
        struct kp_topic_info info;
        enum kp_code code = kp_log_topic_find(db->log, name, &info, err);
        if (code == KP_NOT_FOUND && statement->if_exists) {
            kp_ddl_notice(ddl, "00000", "topic \"%s\" does not exist, skipping", name);
            continue;
        }
        KP_TRY(code);
        if (info.internal)
            return kp_fail(err, KP_FORBIDDEN, NULL, "topic \"%s\" is kappa's own", name);
        KP_TRY(kp_log_topic_drop(db->log, info.id, err));
        kp_columns_forget(db->columns, info.id, INT64_MAX);
    }
    return KP_OK;
}

/*
 * The topic that CREATE TABLE made by itself goes with the table, as its rows do in PostgreSQL, unless somebody else
 * uses it. While opening it is gone already, or the server ended between the statement's record and the topic's.
 */
static enum kp_code drop_made_topic(struct kp_ddl *ddl, const struct kp_relation *table, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    struct kp_topic_info info;
    if (!table->made_topic || db->options.read_only || topic_user(db->catalog, table->topic) ||
        kp_log_topic_get(db->log, table->made_topic, &info, NULL) != KP_OK)
        return KP_OK;
    if (strcmp(info.name, table->topic) != 0) /* a log restored to an earlier position gives numbers again */
        return KP_OK;
    KP_TRY(kp_log_topic_drop(db->log, info.id, err));
    kp_columns_forget(db->columns, info.id, INT64_MAX);
    return KP_OK;
}

enum kp_code kp_ddl_drop(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err)
{
    if (statement->drop_topic)
        return drop_topic(ddl, statement, err);
    struct kp_db *db = ddl->db;
    size_t most = kp_catalog_count(db->catalog) + 1;
    struct drop_list list = {.items = kp_calloc(most, sizeof *list.items),
                             .relations = kp_calloc(most, sizeof(struct kp_relation *)),
                             .catalog = db->catalog};
    kp_catalog_read(db->catalog);
    list.dependents = kp_dependents_create(db->catalog);
    enum kp_code code = gather(ddl, statement, &list, err);
    kp_dependents_destroy(list.dependents);
    kp_catalog_unlock(db->catalog);
    if (code == KP_OK && list.count > 0)
        code = kp_ddl_log(ddl, err);
    kp_catalog_write(db->catalog);
    for (size_t i = 0; code == KP_OK && i < list.count; i++)
        kp_comments_forget(db->catalog, list.items[i].relation);
    kp_catalog_unlock(db->catalog);
    for (size_t i = 0; code == KP_OK && i < list.count; i++) /* all: a step may be in the last of them */
        if (kp_live_of(list.items[i].relation))
            kp_engine_forsake(db, kp_live_of(list.items[i].relation));
    size_t removed = 0;
    for (; code == KP_OK && removed < list.count; removed++) {
        kp_relation_ref(list.items[removed].relation);
        kp_ddl_remove(ddl, list.items[removed].relation);
    }
    for (size_t i = 0; i < removed; i++) {
        if (code == KP_OK)
            code = drop_made_topic(ddl, list.items[i].relation, err);
        kp_relation_unref(list.items[i].relation);
    }
    kp_free(list.items);
    kp_free(list.relations);
    return code;
}
