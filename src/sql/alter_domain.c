/*
 * ALTER DOMAIN of constraints: what a domain is, is its statement's text (object.c), so it gets another text.
 *
 *   CREATE DOMAIN few AS int CHECK (VALUE > 0) NOT NULL          ALTER DOMAIN few DROP NOT NULL
 *   └──────── head ────────┘└───── part ─────┘└─ part ─┘
 *   CREATE DOMAIN few AS int CONSTRAINT "few_check" CHECK (VALUE > 0)
 *
 * A CHECK gets its name written, so that the names that were chosen stay. Records were held against the constraints as
 * they came, and are again in every replay: a domain that tables, sources or views use is not altered so. Functions are
 * bound again wherever they are called.
 */
#include "sql/alter.h"
#include "sql/object.h"

struct domain_text {
    struct binder *binder;
    const struct kp_relation *domain;
    const PgQuery__CreateDomainStmt *create;
    struct kp_buf out;
    uint32_t unnamed;
};

static const struct kp_relation *find_user(const struct kp_catalog *catalog, const struct kp_relation *domain)
{
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *user = kp_catalog_at(catalog, i);
        if (user->kind < KP_RELATION_TYPE && kp_sql_uses(user, domain))
            return user;
    }
    return NULL;
}

static enum kp_code check_unused(struct binder *binder, const struct kp_relation *domain)
{
    const struct kp_relation *user = find_user(binder->context->catalog, domain);
    if (!user)
        return KP_OK;
    kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "cannot alter domain \"%s\" because %s \"%s\" uses it", domain->name,
                 kp_relation_kind_name(user->kind), user->name);
    return kp_error_hint(binder->err,
                         "Records were held against its constraints as they came. Make a domain with the "
                         "constraints, and a %s with it.",
                         kp_relation_kind_name(user->kind));
}

/* ---- the text ---- */

static const PgQuery__Constraint *constraint_at(const struct domain_text *text, size_t n)
{
    return text->create->constraints[n]->constraint;
}

static int32_t begin_of(const struct domain_text *text, size_t n)
{
    return n < text->create->n_constraints ? constraint_at(text, n)->location : (int32_t)strlen(text->domain->text);
}

static bool is_check(const PgQuery__Constraint *constraint)
{
    return constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_CHECK;
}

static void put_name(const char *name, struct kp_buf *out)
{
    kp_buf_append_byte(out, '"');
    for (; *name; name++)
        kp_buf_append_text(out, *name == '"' ? "\"\"" : (const char[]){*name, 0});
    kp_buf_append_byte(out, '"');
}

/* CHECK (…) as it stands in the text at or behind `at`: from the word to the parenthesis that closes it. */
static enum kp_code check_of(struct binder *binder, const char *text, int32_t at, struct kp_str *ret_check)
{
    struct parser parser = {.arena = binder->arena, .text = text, .len = strlen(text), .err = binder->err};
    KP_TRY(kp_parser_scan(&parser));
    uint32_t word = 0;
    while (word < parser.count && (parser.tokens[word].start < at || !kp_parser_is(&parser, word, "check") ||
                                   !kp_parser_is_char(&parser, word + 1, '(')))
        word++;
    KP_ASSERT(word < parser.count);
    uint32_t behind = kp_parser_behind_parens(&parser, word + 1);
    int32_t start = parser.tokens[word].start;
    *ret_check = (struct kp_str){text + start, (size_t)(parser.tokens[behind - 1].end - start)};
    return KP_OK;
}

static enum kp_code put_check(struct domain_text *text, const char *name, const char *in, int32_t at)
{
    struct kp_str check;
    KP_TRY(check_of(text->binder, in, at, &check));
    kp_buf_append_text(&text->out, " CONSTRAINT ");
    put_name(name, &text->out);
    kp_buf_append_byte(&text->out, ' ');
    kp_buf_append(&text->out, check.ptr, check.len);
    return KP_OK;
}

struct edit {
    const char *rename, *to;      /* a CHECK of this name gets another name; to NULL: goes */
    bool drop_not_null, not_null; /* not_null: there is one then */
    const char *add, *add_text;   /* a CHECK of this name, as it stands in that text */
    int32_t add_at;
};

/* Everything as it is but for the edit. */
static enum kp_code rewrite(struct domain_text *text, struct edit *edit)
{
    const char *old = text->domain->text;
    int32_t head = begin_of(text, 0);
    while (head > 0 && (old[head - 1] == ';' || old[head - 1] == ' ' || old[head - 1] == '\n'))
        head--;
    kp_buf_append(&text->out, old, (size_t)head);
    for (size_t n = 0; n < text->create->n_constraints; n++) {
        const PgQuery__Constraint *constraint = constraint_at(text, n);
        if (constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL) {
            edit->not_null |= !edit->drop_not_null;
        } else if (is_check(constraint)) {
            const char *name = kp_bind_check_name(text->binder, text->domain, constraint, &text->unnamed);
            if (edit->rename && strcmp(name, edit->rename) == 0)
                name = edit->to;
            if (name)
                KP_TRY(put_check(text, name, old, constraint->location));
        }
    }
    if (edit->not_null)
        kp_buf_append_text(&text->out, " NOT NULL");
    return edit->add ? put_check(text, edit->add, edit->add_text, edit->add_at) : KP_OK;
}

static enum kp_code begin(struct binder *binder, const struct kp_relation *domain, struct domain_text *ret_text)
{
    struct kp_statement *statement;
    KP_TRY(kp_sql_parse(kp_str(domain->text), binder->arena, &statement, binder->err));
    *ret_text = (struct domain_text){.binder = binder, .domain = domain, .create = statement->tree->create_domain_stmt};
    return KP_OK;
}

static enum kp_code edit_text(struct binder *binder, const struct kp_relation *domain, struct edit edit,
                              const char **ret_text)
{
    struct domain_text text;
    KP_TRY(begin(binder, domain, &text));
    enum kp_code code = rewrite(&text, &edit);
    if (code == KP_OK)
        *ret_text = kp_arena_strndup(binder->arena, (const char *)text.out.data, text.out.len);
    kp_buf_finish(&text.out);
    return code;
}

enum kp_code kp_bind_domain_text(struct binder *binder, const struct kp_relation *domain, const char **ret_text)
{
    return edit_text(binder, domain, (struct edit){0}, ret_text);
}

/* ---- ADD, DROP, RENAME, VALIDATE CONSTRAINT; SET, DROP NOT NULL ---- */

static enum kp_code choose_name(struct binder *binder, const struct kp_relation *domain, const char **ret_name)
{
    bool taken = true;
    for (unsigned n = 0; taken; n++) {
        *ret_name = n ? kp_arena_printf(binder->arena, "%s_check%u", domain->name, n)
                      : kp_arena_printf(binder->arena, "%s_check", domain->name);
        KP_TRY(kp_bind_domain_has(binder, domain, *ret_name, &taken));
    }
    return KP_OK;
}

static enum kp_code no_constraint(struct binder *binder, const struct kp_relation *domain, const char *name)
{
    return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42704", "constraint \"%s\" of domain \"%s\" does not exist", name,
                        domain->name);
}

/* That the new text can be bound: a condition of the domain's type. */
static enum kp_code try_text(struct binder *binder, const struct kp_alteration *to)
{
    struct kp_relation altered = *to->object;
    altered.text = to->text;
    struct kp_expr *value = kp_bind_column(binder, 0, altered.made, -1), *checked;
    return kp_bind_domain_check(binder, &altered, value, -1, &checked);
}

static enum kp_code bind_add(struct binder *binder, const PgQuery__Constraint *constraint, struct kp_alteration *to)
{
    const struct kp_relation *domain = to->object;
    bool has = false;
    if (constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL)
        return edit_text(binder, domain, (struct edit){.not_null = true}, &to->text);
    if (!is_check(constraint))
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL,
                            "of a domain's constraints only NOT NULL, CHECK and DEFAULT are supported");
    const char *name = constraint->conname[0] ? constraint->conname : NULL;
    if (name)
        KP_TRY(kp_bind_domain_has(binder, domain, name, &has));
    if (has)
        return kp_bind_fail(binder, -1, KP_EXISTS, "42710", "constraint \"%s\" for domain \"%s\" already exists", name,
                            domain->name);
    if (!name)
        KP_TRY(choose_name(binder, domain, &name));
    struct edit edit = {.add = name, .add_text = binder->text, .add_at = constraint->location};
    KP_TRY(edit_text(binder, domain, edit, &to->text));
    return try_text(binder, to);
}

static enum kp_code bind_drop(struct binder *binder, const PgQuery__AlterDomainStmt *alter, struct kp_alteration *to)
{
    bool has;
    KP_TRY(kp_bind_domain_has(binder, to->object, alter->name, &has));
    if (!has && !alter->missing_ok)
        return no_constraint(binder, to->object, alter->name);
    if (!has) {
        to->what = KP_ALTER_NOTHING;
        to->notice = kp_arena_printf(binder->arena, "constraint \"%s\" of domain \"%s\" does not exist, skipping",
                                     alter->name, to->object->name);
        return KP_OK;
    }
    to->from = alter->name;
    return edit_text(binder, to->object, (struct edit){.rename = alter->name}, &to->text);
}

static enum kp_code bind_validate(struct binder *binder, const PgQuery__AlterDomainStmt *alter,
                                  struct kp_alteration *to)
{
    bool has;
    KP_TRY(kp_bind_domain_has(binder, to->object, alter->name, &has));
    to->what = KP_ALTER_NOTHING;
    return has ? KP_OK : no_constraint(binder, to->object, alter->name);
}

/* Nothing happens where it is so already. */
static enum kp_code bind_not_null(struct binder *binder, bool not_null, struct kp_alteration *to)
{
    struct domain_text text;
    bool has = false;
    KP_TRY(begin(binder, to->object, &text));
    for (size_t n = 0; n < text.create->n_constraints; n++)
        has |= constraint_at(&text, n)->contype == PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL;
    if (has == not_null)
        to->what = KP_ALTER_NOTHING;
    struct edit edit = {.not_null = not_null, .drop_not_null = !not_null};
    return has == not_null ? KP_OK : edit_text(binder, to->object, edit, &to->text);
}

enum kp_code kp_bind_alter_constraints(struct binder *binder, const PgQuery__AlterDomainStmt *alter, bool replaying,
                                       struct kp_alteration *to)
{
    to->what = KP_ALTER_TEXT;
    switch (alter->subtype[0]) {
    case 'V': /* there is none that is not */
        KP_TRY(bind_validate(binder, alter, to));
        break;
    case 'O':
    case 'N':
        KP_TRY(bind_not_null(binder, alter->subtype[0] == 'O', to));
        break;
    case 'C':
        KP_TRY(bind_add(binder, alter->def->constraint, to));
        break;
    default:
        KP_TRY(bind_drop(binder, alter, to));
    }
    return replaying || to->what == KP_ALTER_NOTHING ? KP_OK : check_unused(binder, to->object);
}

enum kp_code kp_bind_rename_constraint(struct binder *binder, const PgQuery__RenameStmt *rename, bool replaying,
                                       struct kp_alteration *to)
{
    bool has, taken;
    to->what = KP_ALTER_TEXT;
    to->from = rename->subname;
    to->to = rename->newname;
    KP_TRY(kp_bind_domain_has(binder, to->object, to->from, &has));
    KP_TRY(kp_bind_domain_has(binder, to->object, to->to, &taken));
    if (!has)
        return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42704", "constraint \"%s\" for domain %s does not exist",
                            to->from, to->object->name);
    if (taken)
        return kp_bind_fail(binder, -1, KP_EXISTS, "42710", "constraint \"%s\" for domain %s already exists", to->to,
                            to->object->name);
    if (!replaying)
        KP_TRY(check_unused(binder, to->object));
    return edit_text(binder, to->object, (struct edit){.rename = to->from, .to = to->to}, &to->text);
}
