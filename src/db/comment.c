/*
 * COMMENT ON: a catalog record, like other statements that change the catalog, and what is shown of it: pg_description,
 * pg_shdescription, and what obj_description and its like ask.
 */
#include "sql/comment.h"

#include "db/system.h"
#include "vec/made.h"

enum kp_code kp_ddl_comment(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err)
{
    struct kp_catalog *catalog = ddl->db->catalog;
    struct kp_comment comment;
    const char *warning;
    kp_catalog_read(catalog);
    enum kp_code code = kp_sql_bind_comment(ddl->context, statement, ddl->replaying, &comment, &warning, err);
    kp_catalog_unlock(catalog);
    KP_TRY(code);
    if (warning) {
        struct kp_error told;
        (void)kp_fail(&told, KP_OK, "3D000", "%s", warning);
        if (ddl->notice)
            ddl->notice(ddl->notice_arg, "WARNING", &told);
        return KP_OK;
    }
    KP_TRY(kp_ddl_log(ddl, err)); /* until it is written nobody else changes the catalog: ddl_mutex is held */
    kp_catalog_write(catalog);
    kp_comment_put(catalog, &comment);
    kp_catalog_unlock(catalog);
    return KP_OK;
}

/* ---- from numbers to names ---- */

static const char *of_relation(const struct kp_catalog *catalog, uint32_t oid, int32_t sub)
{
    const struct kp_relation *relation = kp_catalog_find_id(catalog, oid);
    if (!relation && oid > KP_OID_KEYS)
        relation = kp_catalog_find_id(catalog, oid - KP_OID_KEYS);
    if (!relation || relation->kind > KP_RELATION_DOMAIN)
        return NULL;
    if (oid != relation->id)
        return sub == 0 ? kp_comment_find(catalog, KP_COMMENT_KEY, relation->name, "") : NULL;
    if (relation->kind == KP_RELATION_TYPE) {
        const struct kp_made *made = kp_made_of(relation->made.id);
        return sub > 0 && (uint32_t)sub <= made->count
                   ? kp_comment_find(catalog, KP_COMMENT_TYPE_COLUMN, relation->name, made->names[sub - 1])
                   : NULL;
    }
    if (sub > 0 && (uint32_t)sub <= kp_system_columns(relation))
        return kp_comment_find(catalog, KP_COMMENT_COLUMN, relation->name, relation->cols[sub - 1].name);
    return sub == 0 ? kp_comment_find(catalog, KP_COMMENT_RELATION, relation->name, "") : NULL;
}

static const char *of_type(const struct kp_catalog *catalog, uint32_t oid)
{
    enum kp_type_id type = kp_type_by_oid(oid);
    const struct kp_relation *domain = type == KP_TYPE_NONE ? kp_catalog_find_id(catalog, oid) : NULL;
    if (domain && domain->kind == KP_RELATION_DOMAIN)
        return kp_comment_find(catalog, KP_COMMENT_TYPE, domain->name, "");
    return type != KP_TYPE_NONE ? kp_comment_find(catalog, KP_COMMENT_TYPE, kp_type_info(type)->short_name, "") : NULL;
}

static const char *of_constraint(const struct kp_catalog *catalog, uint32_t oid, struct kp_buf *scratch)
{
    if (oid >= KP_OID_CHECKS) {
        const struct kp_relation *relation = kp_catalog_find_id(catalog, (oid - KP_OID_CHECKS) / KP_OID_CHECKS_EACH);
        uint32_t n = (oid - KP_OID_CHECKS) % KP_OID_CHECKS_EACH;
        struct kp_buf text = {0};
        bool not_null, domain = relation && relation->kind == KP_RELATION_DOMAIN;
        const char *found = NULL;
        if (domain && kp_system_domain_check(relation, n, &not_null, scratch, &text)) {
            kp_buf_append_byte(scratch, 0);
            found = kp_comment_find(catalog, KP_COMMENT_TYPE_CONSTRAINT, relation->name, (const char *)scratch->data);
        } else if (relation && !domain && n < relation->check_count) {
            found = kp_comment_find(catalog, KP_COMMENT_CONSTRAINT, relation->name, relation->checks[n].name);
        }
        kp_buf_finish(&text);
        return found;
    }
    const struct kp_relation *table = oid > KP_OID_KEYS ? kp_catalog_find_id(catalog, oid - KP_OID_KEYS) : NULL;
    if (!table)
        return NULL;
    kp_buf_printf(scratch, "%s_pkey", table->name);
    kp_buf_append_byte(scratch, 0);
    return kp_comment_find(catalog, KP_COMMENT_CONSTRAINT, table->name, (const char *)scratch->data);
}

bool kp_system_comment(struct kp_session *session, enum kp_fact fact, uint32_t oid, int32_t sub, struct kp_buf *out)
{
    const struct kp_catalog *catalog = session->db->catalog;
    const struct kp_relation *function;
    struct kp_buf scratch = {0};
    const char *text = NULL;
    switch (fact) {
    case KP_FACT_RELATION_DESCRIPTION:
        text = of_relation(catalog, oid, sub);
        break;
    case KP_FACT_TYPE_DESCRIPTION:
        text = of_type(catalog, oid);
        break;
    case KP_FACT_CONSTRAINT_DESCRIPTION:
        text = of_constraint(catalog, oid, &scratch);
        break;
    case KP_FACT_FUNCTION_DESCRIPTION:
        function = kp_catalog_find_id(catalog, oid);
        if (function && function->kind == KP_RELATION_FUNCTION)
            text = kp_comment_find(catalog, KP_COMMENT_FUNCTION, function->name, "");
        break;
    case KP_FACT_NAMESPACE_DESCRIPTION:
        text = oid == KP_OID_PUBLIC ? kp_comment_find(catalog, KP_COMMENT_SCHEMA, "public", "") : NULL;
        break;
    case KP_FACT_DATABASE_DESCRIPTION:
        text = oid == KP_OID_DATABASE ? kp_comment_find(catalog, KP_COMMENT_DATABASE, "", "") : NULL;
        break;
    case KP_FACT_ROLE_DESCRIPTION:
        text = oid == KP_OID_OWNER ? kp_comment_find(catalog, KP_COMMENT_ROLE, session->user, "") : NULL;
        break;
    default:
        break;
    }
    kp_buf_append_text(out, text ? text : "");
    kp_buf_finish(&scratch);
    return text;
}

/* ---- pg_description ---- */

struct place {
    const char *class; /* table of pg_catalog; NULL: it is not there */
    uint32_t oid;
    uint32_t sub;
};

static struct place place_of_check(const struct kp_relation *relation, const char *name)
{
    struct place place = {NULL, 0, 0};
    struct kp_buf own = {0}, text = {0};
    bool not_null;
    bool domain = relation->kind == KP_RELATION_DOMAIN;
    if (kp_system_has_key(relation) && strlen(name) == strlen(relation->name) + 5 &&
        strncmp(name, relation->name, strlen(relation->name)) == 0)
        place = (struct place){"pg_constraint", KP_OID_KEYS + relation->id, 0};
    for (uint32_t n = 0; domain && kp_system_domain_check(relation, n, &not_null, &own, &text); n++) {
        if (kp_str_equal((struct kp_str){(const char *)own.data, own.len}, kp_str(name)))
            place = (struct place){"pg_constraint", KP_OID_CHECKS + relation->id * KP_OID_CHECKS_EACH + n, 0};
        own.len = text.len = 0;
    }
    for (uint32_t n = 0; n < relation->check_count; n++)
        if (!relation->checks[n].domain && strcmp(relation->checks[n].name, name) == 0)
            place = (struct place){"pg_constraint", KP_OID_CHECKS + relation->id * KP_OID_CHECKS_EACH + n, 0};
    kp_buf_finish(&own);
    kp_buf_finish(&text);
    return place;
}

static struct place place_of_column(const struct kp_relation *relation, const char *name)
{
    for (uint32_t c = 0; c < kp_system_columns(relation); c++)
        if (strcmp(relation->cols[c].name, name) == 0)
            return (struct place){"pg_class", relation->id, c + 1};
    return (struct place){NULL, 0, 0};
}

static struct place place_of_attribute(const struct kp_relation *type, const char *name)
{
    const struct kp_made *made = kp_made_of(type->made.id);
    for (uint32_t i = 0; i < made->count; i++)
        if (strcmp(made->names[i], name) == 0)
            return (struct place){"pg_class", type->id, i + 1};
    return (struct place){NULL, 0, 0};
}

static struct place place_of(const struct kp_catalog *catalog, const struct kp_comment *comment)
{
    static const struct place nowhere;
    if (comment->class == KP_COMMENT_SCHEMA)
        return (struct place){"pg_namespace", KP_OID_PUBLIC, 0};
    if (comment->class > KP_COMMENT_SCHEMA)
        return nowhere;
    enum kp_relation_kind kind = comment->class >= KP_COMMENT_FUNCTION ? KP_RELATION_FUNCTION
                                 : comment->class >= KP_COMMENT_TYPE   ? KP_RELATION_TYPE
                                                                       : KP_RELATION_TABLE;
    const struct kp_relation *relation =
        kp_catalog_find(catalog, kp_str(kp_relation_schema(kind)), kp_str(comment->object));
    if (!relation)
        return nowhere;
    switch (comment->class) {
    case KP_COMMENT_RELATION:
        return (struct place){"pg_class", relation->id, 0};
    case KP_COMMENT_COLUMN:
        return place_of_column(relation, comment->part);
    case KP_COMMENT_KEY:
        return (struct place){"pg_class", KP_OID_KEYS + relation->id, 0};
    case KP_COMMENT_CONSTRAINT:
    case KP_COMMENT_TYPE_CONSTRAINT:
        return place_of_check(relation, comment->part);
    case KP_COMMENT_TYPE_COLUMN:
        return place_of_attribute(relation, comment->part);
    case KP_COMMENT_TYPE:
        return (struct place){
            "pg_type", relation->kind == KP_RELATION_DOMAIN ? relation->id : kp_type_info(relation->made.id)->oid, 0};
    default:
        return (struct place){"pg_proc", relation->id, 0};
    }
}

static void put_row(struct kp_session *session, struct kp_system_rows *rows, struct place place, const char *text)
{
    const struct kp_relation *class = kp_catalog_find(session->db->catalog, KP_STR("pg_catalog"), kp_str(place.class));
    KP_ASSERT(class);
    kp_system_row(rows);
    kp_system_set_int(rows, "objoid", place.oid);
    kp_system_set_int(rows, "classoid", class->id);
    kp_system_set_text(rows, "description", text);
}

/* What is said about kappa's own tables is there, too. */
static void put_docs(struct kp_session *session, struct kp_system_rows *rows)
{
    const struct kp_catalog *catalog = session->db->catalog;
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *relation = kp_catalog_at(catalog, i);
        for (uint32_t sub = 0; relation->kind == KP_RELATION_SYSTEM && sub <= kp_system_columns(relation); sub++) {
            const char *doc = kp_system_doc(relation, (int32_t)sub);
            if (!doc)
                continue;
            put_row(session, rows, (struct place){"pg_class", relation->id, 0}, doc);
            kp_system_set_int(rows, "objsubid", sub);
        }
    }
}

static enum kp_code fill_description(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    const struct kp_catalog *catalog = session->db->catalog;
    kp_catalog_read(session->db->catalog);
    for (size_t i = 0; i < kp_comment_count(catalog); i++) {
        const struct kp_comment *comment = kp_comment_at(catalog, i);
        struct place place = place_of(catalog, comment);
        if (!place.class) /* of the database; or a column that this version of a view does not have */
            continue;
        put_row(session, rows, place, comment->text);
        kp_system_set_int(rows, "objsubid", place.sub);
    }
    put_docs(session, rows);
    kp_catalog_unlock(session->db->catalog);
    return KP_OK;
}

static enum kp_code fill_shdescription(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    const struct kp_catalog *catalog = session->db->catalog;
    kp_catalog_read(session->db->catalog);
    for (size_t i = 0; i < kp_comment_count(catalog); i++) {
        const struct kp_comment *comment = kp_comment_at(catalog, i);
        if (comment->class == KP_COMMENT_DATABASE)
            put_row(session, rows, (struct place){"pg_database", KP_OID_DATABASE, 0}, comment->text);
        else if (comment->class == KP_COMMENT_ROLE && strcmp(comment->object, session->user) == 0)
            put_row(session, rows, (struct place){"pg_roles", KP_OID_OWNER, 0}, comment->text);
    }
    kp_catalog_unlock(session->db->catalog);
    return KP_OK;
}

const struct kp_system_table kp_system_comments[] = {
    {.schema = "pg_catalog",
     .name = "pg_description",
     .spec = "objoid oid, classoid oid, objsubid int4, description text",
     .key = "objoid classoid objsubid",
     .fill = fill_description},
    {.schema = "pg_catalog",
     .name = "pg_shdescription",
     .spec = "objoid oid, classoid oid, description text",
     .key = "objoid classoid",
     .fill = fill_shdescription},
};
const size_t kp_system_comments_count = KP_COUNT(kp_system_comments);
