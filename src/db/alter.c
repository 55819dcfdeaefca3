/*
 * ALTER TYPE and ALTER DOMAIN: the engine stands still while the record is written and the type changes, so that every
 * record is decoded by what held before its own step began, as in a replay.
 *
 * A replay knows a type by all that was ever said of it. A record that was set aside since it had a label that was none
 * then would be a row in a replay: where there are such records no label is added or renamed.
 */
#include "db/ddl.h"
#include "db/dead.h"
#include "db/session.h"
#include "sql/alter.h"

enum { JOB_SLICE_US = 50000 };

struct altering {
    struct kp_ddl *ddl;
    const struct kp_alteration *alteration;
};

struct dead_of {
    enum kp_type_id type;
    const struct kp_catalog *catalog;
    const struct kp_relation *found;
};

static bool has_column(const struct kp_relation *relation, enum kp_type_id type)
{
    for (uint32_t c = 0; c < relation->col_count; c++)
        if (kp_type_involves(relation->cols[c].type.id, type))
            return true;
    return false;
}

static void look_at_dead(void *arg, const struct kp_dead_letter_entry *entry)
{
    struct dead_of *dead = arg;
    const struct kp_relation *relation = kp_catalog_find_id(dead->catalog, entry->relation_id);
    if (relation && strcmp(entry->sqlstate, "22P02") == 0 && has_column(relation, dead->type))
        dead->found = relation;
}

static enum kp_code check_dead(struct kp_db *db, const struct kp_alteration *alteration, struct kp_error *err)
{
    struct dead_of dead = {.type = alteration->object->made.id, .catalog = db->catalog};
    kp_catalog_read(db->catalog);
    kp_dead_letters_each(db->dead, look_at_dead, &dead);
    enum kp_code code = KP_OK;
    if (dead.found) {
        (void)kp_fail(
            err, KP_UNSUPPORTED, NULL,
            "cannot alter type \"%s\" because records of %s \"%s\" were set aside that do not have its values",
            alteration->object->name, kp_relation_kind_name(dead.found->kind), dead.found->name);
        (void)kp_error_detail(err, "With another value they might be rows; kappa.dead_letters shows them.");
        code = kp_error_hint(err, "Make a type with all values, and a %s that reads the topic with it.",
                             kp_relation_kind_name(dead.found->kind));
    }
    kp_catalog_unlock(db->catalog);
    return code;
}

static bool changes_values(const struct kp_alteration *alteration)
{
    return alteration->what == KP_ALTER_ADD_VALUE || alteration->what == KP_ALTER_RENAME_VALUE;
}

/* Engine thread, between two steps. */
static enum kp_code alter_now(struct kp_db *db, void *arg, struct kp_error *err)
{
    const struct altering *altering = arg;
    const struct kp_alteration *alteration = altering->alteration;
    if (changes_values(alteration))
        KP_TRY(check_dead(db, alteration, err));
    KP_TRY(kp_ddl_log(altering->ddl, err));
    kp_catalog_write(db->catalog);
    kp_sql_alter(db->catalog, alteration, altering->ddl->position);
    kp_catalog_unlock(db->catalog);
    return KP_OK;
}

/* Backfills decode beside the engine. */
enum kp_code kp_ddl_wait_jobs(struct kp_ddl *ddl, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    enum kp_code code = KP_OK;
    kp_mutex_lock(&db->mutex);
    while (code == KP_OK && db->jobs) {
        (void)kp_cond_wait_us(&db->idle, &db->mutex, JOB_SLICE_US);
        if (ddl->cancel && atomic_load(ddl->cancel))
            code = kp_fail(err, KP_CANCELLED, NULL, "canceling statement due to user request");
    }
    kp_mutex_unlock(&db->mutex);
    return code;
}

static enum kp_code run(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_arena *arena,
                        struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    struct kp_alteration alteration;
    if (!ddl->replaying)
        KP_TRY(kp_ddl_wait_jobs(ddl, err));
    kp_catalog_read(db->catalog);
    enum kp_code code = kp_sql_bind_alter(ddl->context, statement, ddl->replaying, arena, &alteration, err);
    kp_catalog_unlock(db->catalog);
    KP_TRY(code);
    if (alteration.what == KP_ALTER_NOTHING) {
        if (alteration.notice)
            kp_ddl_notice(ddl, "42710", "%s", alteration.notice);
        return KP_OK;
    }
    struct altering altering = {ddl, &alteration};
    if (!ddl->replaying && changes_values(&alteration)) { /* a query may have set them aside before a restart */
        kp_session_read_after(ddl->session, kp_log_position(db->log)); /* or the engine has yet to come to them */
        KP_TRY(kp_dead_letters_search(ddl->session, err));
    }
    if (!ddl->replaying)
        return kp_engine_call(db, alter_now, &altering, err);
    kp_catalog_write(db->catalog);
    kp_sql_alter(db->catalog, &alteration, ddl->position);
    kp_catalog_unlock(db->catalog);
    return KP_OK;
}

enum kp_code kp_ddl_alter_object(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err)
{
    struct kp_arena arena = {0};
    enum kp_code code = run(ddl, statement, &arena, err);
    kp_arena_finish(&arena);
    return code;
}
