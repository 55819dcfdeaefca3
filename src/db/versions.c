/*
 * Versions of materialized views and of sources' declarations: ALTER … AS, ALTER SOURCE, PROMOTE, ROLLBACK.
 *
 * - ALTER v AS q: v@2 = q, and for every view that reads v a version 2 of its own, bound over the new ones.
 *   All are built beside version 1 by one job and live on in the same group: both answer at the same position.
 * - PROMOTE: one catalog record; v and its dependents' names lead to the newer versions; sinks get the difference,
 *   subscriptions end.
 * - ROLLBACK: the same, back.
 *
 * At most two versions of a view are kept: the promoted one and another; a further ALTER drops the other first.
 *
 * Invariants, since all of the catalog is made again from its records when a folder is opened:
 *   1. No version of a view reads one of another view that reads it, in any versions: there is an order to build them.
 *   2. A promoted version reads promoted ones only, so what ALTER drops nobody reads who stays.
 */
#include "db/failed.h"

bool kp_ddl_is_version_of(const struct kp_relation *relation, const struct kp_relation *of)
{
    return kp_relation_declared(relation) == kp_relation_declared(of) && strcmp(relation->name, of->name) == 0 &&
           strcmp(relation->schema, of->schema) == 0;
}

struct kp_relation *kp_ddl_other_version(struct kp_catalog *catalog, const struct kp_relation *relation)
{
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        struct kp_relation *other = kp_catalog_at(catalog, i);
        if (other != relation && kp_ddl_is_version_of(other, relation))
            return other;
    }
    return NULL;
}

static enum kp_code find_view(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_relation **ret_view,
                              struct kp_error *err)
{
    struct kp_catalog *catalog = ddl->db->catalog;
    struct kp_str schema = {statement->name.schema, statement->name.schema ? strlen(statement->name.schema) : 0};
    struct kp_relation *view = kp_catalog_find(catalog, schema, kp_str(statement->name.name));
    if (!view) {
        (void)kp_fail(err, KP_NOT_FOUND, "42P01", "relation \"%s\" does not exist", statement->name.name);
        const char *near[1];
        return kp_catalog_suggest(catalog, kp_str(statement->name.name), near, 1)
                   ? kp_error_hint(err, "Perhaps you meant \"%s\".", near[0])
                   : KP_NOT_FOUND;
    }
    enum kp_relation_kind kind = statement->kind == KP_STATEMENT_ALTER_SOURCE ? KP_RELATION_SOURCE : KP_RELATION_VIEW;
    if (kp_relation_declared(view) != kind) {
        enum kp_code code =
            kp_fail(err, KP_INVALID, "42809", "\"%s\" is not a %s", view->name, kp_relation_kind_name(kind));
        if (kind == KP_RELATION_SOURCE && kp_relation_declared(view) == KP_RELATION_TABLE)
            code =
                kp_error_hint(err, "ALTER TABLE changes its columns. With other types or another key, make another one "
                                   "over its topic, and ALTER MATERIALIZED VIEW … AS a query of it.");
        return code;
    }
    *ret_view = view;
    return KP_OK;
}

/* The views whose name leads to something that reads `view`, in order of creation. */
static size_t dependents(struct kp_catalog *catalog, struct kp_relation *view, struct kp_relation **out)
{
    size_t count = 0;
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(catalog, i);
        bool promoted = kp_catalog_find(catalog, kp_str(relation->schema), kp_str(relation->name)) == relation;
        if (promoted && relation != view && kp_relation_declared(relation) == KP_RELATION_VIEW &&
            kp_relation_depends_on(relation, view))
            out[count++] = relation;
    }
    return count;
}

/* ---- what may read what ---- */

/* A version that is read although its name leads elsewhere, none of `among`; NULL: there is none. */
static const struct kp_relation *reads_beside(const struct kp_catalog *catalog, const struct kp_plan *plan,
                                              struct kp_relation *const *among, size_t count)
{
    const struct kp_relation *found = NULL;
    for (uint32_t i = 0; !found && i < plan->input_count; i++)
        found = reads_beside(catalog, plan->inputs[i], among, count);
    if (plan->kind != KP_PLAN_SCAN)
        return found;
    const struct kp_relation *relation = plan->scan.relation;
    if (relation->kind != KP_RELATION_SOURCE && relation->kind != KP_RELATION_VIEW)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (relation == among[i])
            return NULL;
    bool promoted = kp_catalog_find(catalog, kp_str(relation->schema), kp_str(relation->name)) == relation;
    return promoted ? NULL : relation;
}

/* One version of `reader` reads one of `view`. */
static bool versions_depend(struct kp_catalog *catalog, const struct kp_relation *reader,
                            const struct kp_relation *view)
{
    const struct kp_relation *readers[] = {reader, kp_ddl_other_version(catalog, reader)};
    const struct kp_relation *views[] = {view, kp_ddl_other_version(catalog, view)};
    bool depend = false;
    for (size_t i = 0; i < KP_COUNT(readers); i++)
        for (size_t k = 0; k < KP_COUNT(views); k++)
            depend |= readers[i] && views[k] && kp_relation_depends_on(readers[i], views[k]);
    return depend;
}

/* Invariant 1: a new definition of the view reads nothing that reads the view, whichever versions are promoted later.
 */
static enum kp_code check_cycle(struct kp_catalog *catalog, const struct kp_relation *fresh,
                                const struct kp_relation *view, struct kp_error *err)
{
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *read = kp_catalog_at(catalog, i);
        if (read->kind != KP_RELATION_VIEW || !kp_relation_depends_on(fresh, read))
            continue;
        bool itself = kp_ddl_is_version_of(read, view);
        if (!itself && !versions_depend(catalog, read, view))
            continue;
        (void)kp_fail(err, KP_INVALID, "42P17", "infinite recursion detected in rules for relation \"%s\"", view->name);
        if (itself)
            (void)kp_error_detail(err, "Its new definition reads the view itself.");
        else
            (void)kp_error_detail(err, "Its new definition reads \"%s\", a version of which reads \"%s\".", read->name,
                                  view->name);
        return kp_error_hint(err, "Write it over what these are made of, or make a view of another name.");
    }
    return KP_OK;
}

/* A version that waits for the promotion of something else would go, and then that could not be promoted. */
static enum kp_code check_waiting(struct kp_catalog *catalog, struct kp_relation *const *old, size_t count,
                                  struct kp_relation *const *others, size_t other_count, struct kp_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct kp_relation *waiting = kp_ddl_other_version(catalog, old[i]);
        const struct kp_relation *on = waiting && waiting->plan && waiting->version > old[i]->version
                                           ? reads_beside(catalog, waiting->plan->plan, others, other_count)
                                           : NULL;
        if (!on || kp_catalog_find_id(catalog, on->id) != on) /* gone: it will never be promoted */
            continue;
        (void)kp_fail(err, KP_BUSY, "2BP01",
                      "cannot alter \"%s\" because version %u of \"%s\" reads version %u of \"%s\"", old[0]->name,
                      waiting->version, waiting->name, on->version, on->name);
        (void)kp_error_detail(err, "It waits to be promoted with \"%s\", and would be lost.", on->name);
        return kp_error_hint(err, "PROMOTE \"%s\" first, or ALTER it again.", on->name);
    }
    return KP_OK;
}

/* Invariant 2. */
static enum kp_code check_promoted(struct kp_catalog *catalog, struct kp_relation *const *to, size_t count,
                                   struct kp_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct kp_relation *on = to[i]->plan ? reads_beside(catalog, to[i]->plan->plan, to, count) : NULL;
        if (!on)
            continue;
        (void)kp_fail(err, KP_BUSY, "2BP01", "version %u of \"%s\" reads version %u of \"%s\", which is not promoted",
                      to[i]->version, to[i]->name, on->version, on->name);
        return kp_error_hint(err, "Versions of \"%s\" come and go with those of \"%s\" that they read.", to[i]->name,
                             on->name);
    }
    return KP_OK;
}

/* ---- ALTER … AS ---- */

/* Binds the text of a dependent again, while the names lead to the new versions of what it reads. */
static enum kp_code rebind(struct kp_ddl *ddl, const struct kp_relation *relation, struct kp_relation **ret_relation,
                           struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_statement *statement;
    struct kp_sql_context context = *ddl->context;
    struct kp_session_settings settings;
    KP_TRY(kp_failed_settings(relation, &settings, err));
    context.settings = &settings;
    enum kp_code code = kp_sql_parse(kp_str(relation->text), &arena, &statement, err);
    if (code == KP_OK) {
        statement->kind = KP_STATEMENT_ALTER_VIEW; /* the name is taken, by itself */
        statement->alter = KP_ALTER_AS;
        code = kp_sql_bind_create(&context, statement, ret_relation, err);
    }
    kp_arena_finish(&arena);
    if (code != KP_OK)
        kp_error_context(err, "materialized view \"%s\", which depends on it", relation->name);
    return code;
}

/* A source's new declaration: of the same topic, whose records are read again. */
static enum kp_code bind_source(struct kp_ddl *ddl, const struct kp_statement *statement,
                                const struct kp_relation *source, struct kp_relation **ret_relation,
                                struct kp_error *err)
{
    struct kp_relation *fresh;
    KP_TRY(kp_sql_bind_create(ddl->context, statement, &fresh, err));
    enum kp_code code = KP_OK;
    if (!kp_relation_option(fresh, "topic"))
        fresh->topic = kp_arena_strdup(&fresh->arena, source->topic);
    else if (strcmp(fresh->topic, source->topic) != 0)
        code = kp_fail(err, KP_UNSUPPORTED, NULL, "source \"%s\" reads topic \"%s\", and cannot read another one",
                       source->name, source->topic);
    if (code == KP_OK)
        code = kp_ddl_check_format(statement, fresh, err);
    if (code == KP_OK && !ddl->replaying)
        code = kp_sql_check_fitting(fresh, err);
    if (code != KP_OK) {
        kp_relation_unref(fresh);
        return code;
    }
    *ret_relation = fresh;
    return KP_OK;
}

static enum kp_code bind_first(struct kp_ddl *ddl, const struct kp_statement *statement,
                               const struct kp_relation *relation, struct kp_relation **ret_relation,
                               struct kp_error *err)
{
    if (relation->kind == KP_RELATION_SOURCE)
        return bind_source(ddl, statement, relation, ret_relation, err);
    return kp_sql_bind_create(ddl->context, statement, ret_relation, err);
}

/* Binds the new version of the view and of its dependents. Under the catalog's write lock: names move for a moment. */
static enum kp_code bind_versions(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_relation *view,
                                  struct kp_relation *const *old, struct kp_relation **fresh, size_t count,
                                  struct kp_error *err)
{
    struct kp_catalog *catalog = ddl->db->catalog;
    enum kp_code code = KP_OK;
    size_t bound = 0;
    for (; code == KP_OK && bound < count; bound++) {
        code =
            bound == 0 ? bind_first(ddl, statement, view, &fresh[0], err) : rebind(ddl, old[bound], &fresh[bound], err);
        if (code != KP_OK)
            break;
        const struct kp_relation *other = kp_ddl_other_version(catalog, old[bound]);
        fresh[bound]->version = 1 + (other ? KP_MAX(other->version, old[bound]->version) : old[bound]->version);
        fresh[bound]->id = ddl->db->next_relation_id + (uint32_t)bound; /* the catalog keeps the order of ids */
        if (bound == 0 && !ddl->replaying)
            code = check_cycle(catalog, fresh[0], view, err);
        if (code == KP_OK)
            code = kp_ddl_try_plan(ddl, fresh[bound], err);
        if (code != KP_OK) {
            kp_relation_unref(fresh[bound]);
            break;
        }
        code = kp_catalog_add(catalog, fresh[bound], true, err);
        if (code == KP_OK)
            kp_catalog_promote(catalog, fresh[bound]);
    }
    for (size_t i = 0; i < bound; i++) {
        kp_catalog_promote(catalog, old[i]);
        if (code != KP_OK)
            kp_catalog_remove(catalog, fresh[i]);
    }
    return code;
}

/* The versions beside the promoted ones, dependents before what they read; returns how many. */
static size_t other_versions(struct kp_catalog *catalog, struct kp_relation *const *old, size_t count,
                             struct kp_relation **out)
{
    size_t others = 0;
    for (size_t i = count; i-- > 0;) {
        struct kp_relation *other = kp_ddl_other_version(catalog, old[i]);
        if (other)
            out[others++] = other;
    }
    return others;
}

/* Engine thread. What a sink writes when another version is promoted is the difference to the one before: a restart
 * needs that one until it is in the log. */
static enum kp_code promoted_in_sinks(struct kp_db *db, void *arg, struct kp_error *err)
{
    return kp_sinks_written(db, err);
}

static enum kp_code alter_as(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_relation *view,
                             struct kp_job **ret_job, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    size_t total = kp_catalog_count(db->catalog) + 1;
    struct kp_relation **old = kp_calloc(total, sizeof(struct kp_relation *));
    struct kp_relation **fresh = kp_calloc(total, sizeof(struct kp_relation *));
    struct kp_relation **others = kp_calloc(total, sizeof(struct kp_relation *));
    struct kp_live **lives = kp_calloc(total, sizeof(struct kp_live *));
    old[0] = view;
    size_t count = 1 + dependents(db->catalog, view, old + 1);
    size_t other_count = other_versions(db->catalog, old, count, others), live_count = 0;
    enum kp_code code = ddl->replaying ? KP_OK : check_waiting(db->catalog, old, count, others, other_count, err);
    if (code == KP_OK && other_count && !ddl->replaying)
        code = kp_engine_call(db, promoted_in_sinks, NULL, err);
    kp_catalog_write(db->catalog);
    if (code == KP_OK)
        code = bind_versions(ddl, statement, view, old, fresh, count, err);
    kp_catalog_unlock(db->catalog);
    if (code == KP_OK) {
        code = kp_ddl_log_made(ddl, fresh[0], (uint32_t)count, err);
        for (size_t i = 0; code != KP_OK && i < count; i++)
            kp_ddl_remove(ddl, fresh[i]);
    }
    for (size_t i = 0; code == KP_OK && i < other_count; i++)
        kp_ddl_remove(ddl, others[i]);
    kp_catalog_write(db->catalog); /* they can be seen already */
    for (size_t i = 0; code == KP_OK && i < count; i++) {
        KP_ASSERT(fresh[i]->id == db->next_relation_id);
        db->next_relation_id++;
        fresh[i]->position = ddl->position;
        kp_ddl_keep_settings(ddl, fresh[i]);
        if (i > 0) {
            fresh[i]->time_zone = kp_arena_strdup(&fresh[i]->arena, old[i]->time_zone);
            fresh[i]->user = kp_arena_strdup(&fresh[i]->arena, old[i]->user);
        }
        if (fresh[i]->kind == KP_RELATION_SOURCE)
            continue;
        struct kp_session_settings settings = ddl->settings;
        if (i > 0)
            code = kp_failed_settings(old[i], &settings, err);
        if (code == KP_OK)
            code = kp_live_create(db, fresh[i], &settings, !ddl->replaying, &lives[live_count], err);
        live_count += code == KP_OK;
    }
    kp_catalog_unlock(db->catalog);
    if (code == KP_OK && !ddl->replaying && live_count)
        code = kp_job_start(db, "alter", lives, live_count, ret_job, err);
    kp_free(old);
    kp_free(fresh);
    kp_free(others);
    kp_free(lives);
    return code;
}

enum kp_code kp_ddl_fail_versions(struct kp_ddl *ddl, struct kp_relation *view, const struct kp_error *reason,
                                  struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    size_t total = kp_catalog_count(db->catalog) + 1;
    struct kp_relation **old = kp_calloc(total, sizeof(struct kp_relation *));
    struct kp_relation **others = kp_calloc(total, sizeof(struct kp_relation *));
    struct kp_error because = *reason;
    struct kp_relation *first = NULL;
    old[0] = view;
    size_t count = 1 + dependents(db->catalog, view, old + 1);
    size_t other_count = other_versions(db->catalog, old, count, others);
    uint32_t *versions = kp_calloc(total, sizeof *versions);
    enum kp_code code = KP_OK;
    for (size_t i = 0; i < count; i++) {
        const struct kp_relation *other = kp_ddl_other_version(db->catalog, old[i]);
        versions[i] = 1 + (other ? KP_MAX(other->version, old[i]->version) : old[i]->version);
    }
    for (size_t i = 0; i < other_count; i++)
        kp_ddl_remove(ddl, others[i]);
    for (size_t i = 0; code == KP_OK && i < count; i++) {
        struct kp_relation *failed = kp_failed_version(ddl, old[i], i == 0, &because);
        failed->version = versions[i];
        failed->id = db->next_relation_id++;
        if (i == 0) {
            first = failed;
            (void)!kp_relation_check_failed(failed, &because);
        } else {
            kp_failed_reads(failed, first);
        }
        code = kp_catalog_add(db->catalog, failed, true, err);
    }
    kp_free(old);
    kp_free(others);
    kp_free(versions);
    return code;
}

/* ---- PROMOTE, ROLLBACK ---- */

struct switch_over {
    struct kp_relation **from, **to;
    size_t count;
};

/* Whether its rows are no longer what its subscribers asked for: a query's, over what is left, has no other version. */
static bool is_left(const struct switch_over *over, const struct kp_relation *relation)
{
    bool left = !*relation->schema && kp_relation_depends_on(relation, over->from[0]);
    for (size_t i = 0; !left && i < over->count; i++)
        left = relation == over->from[i];
    return left;
}

static void switch_subscriptions(struct kp_db *db, const struct switch_over *over)
{
    kp_mutex_lock(&db->mutex);
    for (struct kp_live *live = db->lives; live; live = live->next_live)
        if (is_left(over, live->relation))
            kp_store_supersede(live->store);
    kp_mutex_unlock(&db->mutex);
    for (size_t i = 0; i < over->count; i++)
        if (over->to[i]->kind != KP_RELATION_SOURCE)
            kp_store_take_over(kp_live_of(over->to[i])->store);
}

/* Engine thread, between two steps: the switch happens at one position for all. */
static enum kp_code switch_names(struct kp_db *db, void *arg, struct kp_error *err)
{
    struct switch_over *over = arg;
    kp_catalog_write(db->catalog);
    for (size_t i = 0; i < over->count; i++)
        kp_catalog_promote(db->catalog, over->to[i]);
    kp_catalog_unlock(db->catalog);
    switch_subscriptions(db, over);
    return kp_sinks_switch(db, err);
}

static enum kp_code promote(struct kp_ddl *ddl, struct kp_relation *view, bool back, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    struct kp_relation *other = kp_ddl_other_version(db->catalog, view);
    if (!other || (other->version < view->version) != back) {
        (void)kp_fail(err, KP_NOT_FOUND, "55000", "%s \"%s\" has no %s version to %s to",
                      kp_relation_kind_name(view->kind), view->name, back ? "earlier" : "newer",
                      back ? "roll back" : "promote");
        return kp_error_hint(err,
                             back ? "The version before the last promotion is kept until the next ALTER."
                             : view->kind == KP_RELATION_SOURCE
                                 ? "Make one with ALTER SOURCE %s (...)."
                                 : "Make one with ALTER MATERIALIZED VIEW %s AS SELECT ...",
                             view->name);
    }
    if (!ddl->replaying)
        KP_TRY(kp_relation_check_failed(other, err));
    size_t total = kp_catalog_count(db->catalog) + 1;
    struct kp_relation **old = kp_calloc(total, sizeof(struct kp_relation *));
    struct kp_relation **to = kp_calloc(total, sizeof(struct kp_relation *));
    old[0] = view;
    size_t count = 1 + dependents(db->catalog, view, old + 1);
    enum kp_code code = KP_OK;
    for (size_t i = 0; code == KP_OK && i < count; i++) {
        to[i] = i == 0 ? other : kp_ddl_other_version(db->catalog, old[i]);
        if (!to[i] || !(i == 0 || kp_relation_depends_on(to[i], other))) {
            code =
                kp_fail(err, KP_BUSY, "2BP01",
                        "materialized view \"%s\" was created on version %u of \"%s\" and has no version on version %u",
                        old[i]->name, view->version, view->name, other->version);
            (void)kp_error_hint(err, "ALTER \"%s\" again: it makes new versions of what reads it.", view->name);
        }
    }
    if (code == KP_OK && !ddl->replaying)
        code = check_promoted(db->catalog, to, count, err);
    for (size_t i = 0; code == KP_OK && !ddl->replaying && i < count; i++) {
        struct kp_live *live; /* it must be there before names lead to it */
        code = kp_relation_check_failed(to[i], err);
        if (code != KP_OK)
            break;
        if (to[i]->kind == KP_RELATION_SOURCE)
            continue;
        code = kp_live_pin(db, to[i], ddl->cancel, &live, err);
        if (code == KP_OK)
            kp_live_unpin(db, live);
    }
    if (code == KP_OK)
        code = kp_ddl_log(ddl, err);
    struct switch_over over = {old, to, count};
    if (code == KP_OK && ddl->replaying)
        for (size_t i = 0; i < count; i++)
            kp_catalog_promote(db->catalog, to[i]);
    else if (code == KP_OK)
        code = kp_engine_call(db, switch_names, &over, err);
    kp_free(old);
    kp_free(to);
    return code;
}

enum kp_code kp_ddl_alter(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_job **ret_job,
                          struct kp_error *err)
{
    if (statement->kind == KP_STATEMENT_REFRESH) {
        (void)kp_fail(err, KP_UNSUPPORTED, NULL, "REFRESH MATERIALIZED VIEW is not supported");
        return kp_error_hint(
            err,
            "Views are kept up to date by themselves. ALTER MATERIALIZED VIEW ... AS builds a view anew from the log.");
    }
    struct kp_relation *view = NULL;
    KP_TRY(find_view(ddl, statement, &view, err));
    if (statement->alter == KP_ALTER_AS)
        return alter_as(ddl, statement, view, ret_job, err);
    return promote(ddl, view, statement->alter == KP_ALTER_ROLLBACK, err);
}
