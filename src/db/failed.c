/*
 * Definitions of the log that this version of kappa refuses: written by another version that took them, say. The folder
 * opens without them:
 *
 *   record of the log ─ refused ─► a relation of kind FAILED under the name, with the text and the reason
 *                                      ├── what is bound over it is refused, too: it fails with the same reason
 *                                      ├── DROP takes it
 *                                      └── CREATE OR REPLACE puts another definition in its place, and what had failed
 *                                          with it is bound again
 *
 * 1. Nothing is written when one fails: a kappa that takes the definition opens the folder as it was.
 * 2. A failed one has the number (kp_relation.id) that it would have had, and its replacement keeps it: sinks' marks
 *    and views' bases in the log name relations by their numbers. What is made behind it has the same numbers as if it
 *    had not failed: each record says which is the next.
 * 3. What a refused text reads is what its record says (kp_catalog_record.reads). Records of before do not: words that
 *    are names of other objects are taken for that, so a DROP may ask for CASCADE where it need not, never the other
 * way round.
 * 4. Records that one might need do not expire and are not compacted.
 * 5. After a replacement the catalog is the same whether the old definition was refused or taken before: in a replay
 *    what reads it is bound again either way.
 */
#include "db/failed.h"

#include <stdio.h>

#include "db/compaction.h"
#include "db/dependents.h"

#include "vec/zone.h"

/* ---- one of them ---- */

struct finding {
    const struct kp_catalog *catalog;
    struct kp_relation *failed;
    uint32_t before; /* what was made later is not read, whatever its name */
    uint32_t cap;
};

static void use(struct finding *finding, struct kp_relation *used)
{
    struct kp_relation *failed = finding->failed;
    bool known = !used || used->id >= finding->before || strcmp(used->schema, "pg_catalog") == 0 ||
                 used->kind == KP_RELATION_SYSTEM;
    for (uint32_t i = 0; !known && i < failed->use_count; i++)
        known = failed->uses[i] == used;
    if (known)
        return;
    if (failed->use_count == finding->cap) {
        struct kp_relation **more = kp_arena_calloc(&failed->arena, 2 * (finding->cap + 4) * sizeof *more);
        if (failed->use_count)
            memcpy(more, failed->uses, failed->use_count * sizeof *more);
        failed->uses = more;
        finding->cap = 2 * (finding->cap + 4);
    }
    failed->uses[failed->use_count++] = kp_relation_ref(used);
}

void kp_failed_reads(struct kp_relation *failed, struct kp_relation *other)
{
    struct finding finding = {.failed = failed, .before = UINT32_MAX, .cap = failed->use_count};
    use(&finding, other);
}

/* What was read, or what has its number or name now. */
static void use_now(void *arg, struct kp_relation *used)
{
    struct finding *finding = arg;
    used = used->versions_of ? used->versions_of : used;
    struct kp_relation *now = kp_catalog_find_id(finding->catalog, used->id);
    use(finding, now ? now : kp_catalog_find(finding->catalog, kp_str(used->schema), kp_str(used->name)));
}

/* As the record has them. */
static void use_numbers(struct finding *finding, struct kp_str numbers)
{
    uint32_t number = 0;
    for (size_t i = 0; i <= numbers.len; i++) {
        if (i < numbers.len && numbers.ptr[i] != ',') {
            number = 10 * number + (uint32_t)(numbers.ptr[i] - '0');
            continue;
        }
        use(finding, kp_catalog_find_id(finding->catalog, number));
        number = 0;
    }
}

static void look_up(void *arg, const char *word)
{
    struct finding *finding = arg;
    const struct kp_catalog *catalog = finding->catalog;
    use(finding, kp_catalog_find(catalog, KP_STR("public"), kp_str(word)));
    use(finding, kp_catalog_find(catalog, kp_str(kp_relation_schema(KP_RELATION_TYPE)), kp_str(word)));
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        struct kp_relation *object = kp_catalog_at(catalog, i);
        if (kp_relation_declared(object) == KP_RELATION_FUNCTION && strcmp(object->function, word) == 0)
            use(finding, object);
    }
}

static const char *kind_words(enum kp_relation_kind kind)
{
    static const char *const words[] = {
        [KP_RELATION_SOURCE] = "SOURCE",     [KP_RELATION_TABLE] = "TABLE",   [KP_RELATION_VIEW] = "MATERIALIZED VIEW",
        [KP_RELATION_PLAIN_VIEW] = "VIEW",   [KP_RELATION_SINK] = "SINK",     [KP_RELATION_TYPE] = "TYPE",
        [KP_RELATION_SEQUENCE] = "SEQUENCE", [KP_RELATION_DOMAIN] = "DOMAIN", [KP_RELATION_FUNCTION] = "FUNCTION"};
    return words[kind];
}

/* As it would stand in the catalog; if the types of its parameters are not known, as it is written. */
static const char *function_name(const struct kp_ddl *ddl, const struct kp_declared *declared, struct kp_str text,
                                 struct kp_arena *arena)
{
    struct kp_sql_context context = {.catalog = ddl->db->catalog, .settings = &ddl->settings, .replaying = true};
    struct kp_arena scratch = {0};
    const char *name;
    if (kp_sql_function_name(&context, text, &scratch, &name) == KP_OK)
        name = kp_arena_strdup(arena, name);
    else
        name = kp_arena_printf(arena, "%s(%s)", declared->name, declared->args ? declared->args : "");
    kp_arena_finish(&scratch);
    return name;
}

struct kp_relation *kp_failed_function(const struct kp_catalog *catalog, const char *name)
{
    struct kp_relation *found = NULL;
    uint32_t count = 0;
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        struct kp_relation *object = kp_catalog_at(catalog, i);
        if (object->kind != KP_RELATION_FAILED || !object->function || strcmp(object->function, name) != 0)
            continue;
        found = object;
        count++;
    }
    return count == 1 ? found : NULL;
}

/* The advice is about what failed by itself, not about what reads it. */
static void keep_reason(struct kp_relation *failed, const struct kp_error *reason)
{
    bool by_itself = true;
    for (uint32_t i = 0; i < failed->use_count; i++)
        by_itself &= failed->uses[i]->kind != KP_RELATION_FAILED || !strstr(reason->message, "\" failed: ");
    failed->failure = kp_arena_alloc(&failed->arena, sizeof *failed->failure);
    *failed->failure = *reason;
    failed->failure->position = 0; /* it would be one of the definition's text */
    if (!by_itself)
        return;
    (void)kp_error_detail(failed->failure, "This version of kappa does not take its definition.");
    if (failed->declared == KP_RELATION_SEQUENCE) { /* there is no CREATE OR REPLACE of one */
        (void)kp_error_hint(failed->failure, "DROP SEQUENCE %s removes it.", failed->name);
        return;
    }
    (void)kp_error_hint(failed->failure, "CREATE OR REPLACE %s %s gives it another one, DROP %s removes it.",
                        kind_words(failed->declared), failed->name, kind_words(failed->declared));
}

/* `of`: a relation that reads the same, or NULL. Words mean what had a number below `before`. */
static struct kp_relation *create(const struct kp_ddl *ddl, const struct kp_declared *declared, struct kp_str text,
                                  const struct kp_relation *of, uint32_t before, const struct kp_error *reason)
{
    struct kp_relation *failed = kp_relation_create();
    struct kp_arena *arena = &failed->arena, scratch = {0};
    failed->kind = KP_RELATION_FAILED;
    failed->declared = declared->kind;
    failed->schema = kp_relation_schema(declared->kind);
    failed->name = kp_arena_strdup(arena, declared->name);
    if (declared->kind == KP_RELATION_FUNCTION) {
        failed->function = failed->name;
        failed->name = function_name(ddl, declared, text, arena);
    }
    failed->text = kp_arena_strndup(arena, text.ptr, text.len);
    failed->time_zone = kp_arena_strndup(arena, ddl->record.time_zone.ptr, ddl->record.time_zone.len);
    failed->user = kp_arena_strndup(arena, ddl->record.user.ptr, ddl->record.user.len);
    failed->position = ddl->position;
    failed->version = 1;
    if (declared->kind == KP_RELATION_TABLE)
        failed->made_topic = ddl->record.topic;
    if (declared->kind == KP_RELATION_TABLE || declared->kind == KP_RELATION_SOURCE ||
        declared->kind == KP_RELATION_SINK) {
        struct kp_statement *statement;
        struct kp_error unread;
        failed->topic = failed->name;
        if (kp_sql_parse(text, &scratch, &statement, &unread) == KP_OK)
            for (uint32_t i = 0; i < statement->option_count; i++)
                if (strcmp(statement->options[i].name, "topic") == 0)
                    failed->topic = kp_arena_strdup(arena, statement->options[i].value);
    }
    bool known = of || ddl->record.reads.ptr;
    struct finding finding = {.catalog = ddl->db->catalog, .failed = failed, .before = known ? UINT32_MAX : before};
    if (of)
        kp_dependents_each_read(of, use_now, &finding);
    else if (ddl->record.reads.ptr)
        use_numbers(&finding, ddl->record.reads);
    else
        kp_sql_each_word(text, declared->name_end, &scratch, look_up, &finding);
    kp_arena_finish(&scratch);
    keep_reason(failed, reason);
    return failed;
}

/* The same for what is in the catalog already. */
static struct kp_relation *failed_of(const struct kp_ddl *ddl, const struct kp_relation *relation,
                                     const struct kp_error *reason)
{
    struct kp_arena scratch = {0};
    struct kp_declared declared;
    struct kp_ddl as = *ddl;
    as.record = (struct kp_catalog_record){
        .time_zone = kp_str(relation->time_zone), .user = kp_str(relation->user), .topic = relation->made_topic};
    as.position = relation->position;
    kp_sql_declared(kp_str(relation->text), &scratch, &declared);
    declared.kind = kp_relation_declared(relation);
    declared.name = relation->function ? relation->function : relation->name;
    struct kp_relation *failed = create(&as, &declared, kp_str(relation->text), relation, relation->id, reason);
    failed->name = kp_arena_strdup(&failed->arena, relation->name);
    if (relation->topic)
        failed->topic = kp_arena_strdup(&failed->arena, relation->topic);
    for (uint32_t i = 0; i < relation->col_count - relation->hidden_count; i++) {
        const struct kp_sequence *sequence = kp_relation_sequence(relation, i);
        if (sequence && sequence->called)
            kp_failed_note_number(failed, kp_str(relation->cols[i].name), sequence->last);
    }
    kp_arena_finish(&scratch);
    return failed;
}

struct kp_relation *kp_failed_version(const struct kp_ddl *ddl, const struct kp_relation *of, bool altered,
                                      const struct kp_error *reason)
{
    struct kp_declared declared = {.kind = kp_relation_declared(of), .name = of->name};
    return altered ? create(ddl, &declared, ddl->record.text, NULL, of->id, reason)
                   : create(ddl, &declared, kp_str(of->text), of, of->id, reason);
}

static void tell(const struct kp_db *db, const struct kp_relation *failed)
{
    struct kp_error text = *failed->failure;
    kp_error_context(&text, "%s \"%s\" failed", kp_relation_kind_name(failed->declared), failed->name);
    if (db->options.notice)
        db->options.notice(db->options.arg, 'E', text.message);
}

void kp_failed_note_number(struct kp_relation *failed, struct kp_str column, int64_t last)
{
    struct kp_sequence_note *note = kp_arena_alloc(&failed->arena, sizeof *note);
    *note = (struct kp_sequence_note){kp_arena_strndup(&failed->arena, column.ptr, column.len), last, failed->numbers};
    failed->numbers = note;
}

/* ---- from one to another ---- */

/* The numbers that are given go on behind what was drawn. */
static void take_numbers(struct kp_relation *fresh, const struct kp_relation *old)
{
    const struct kp_sequence_note *note = old->kind == KP_RELATION_FAILED ? old->numbers : NULL;
    for (; note && fresh->kind == KP_RELATION_FAILED; note = note->next)
        kp_failed_note_number(fresh, kp_str(note->column), note->last);
    for (; note && fresh->sequences; note = note->next)
        for (uint32_t i = 0; i < fresh->col_count - fresh->hidden_count; i++) {
            struct kp_sequence *sequence = kp_relation_sequence(fresh, i);
            if (!sequence || sequence->called || strcmp(fresh->cols[i].name, note->column) != 0)
                continue;
            sequence->called = true;
            sequence->last = note->last;
        }
}

/* *ret_live NULL: it has no rows. */
static enum kp_code replace(struct kp_ddl *ddl, struct kp_relation *old, struct kp_relation *fresh,
                            struct kp_live **ret_live, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    struct kp_live *gone = kp_live_of(old);
    struct kp_session_settings settings;
    *ret_live = NULL;
    take_numbers(fresh, old);
    if (fresh->kind == KP_RELATION_TABLE && !kp_relation_option(fresh, "topic"))
        fresh->made_topic = old->made_topic;
    if ((fresh->kind == KP_RELATION_SOURCE || fresh->kind == KP_RELATION_TABLE) && old->topic &&
        !kp_relation_option(fresh, "topic")) /* ALTER SOURCE need not say it */
        fresh->topic = kp_arena_strdup(&fresh->arena, old->topic);
    kp_catalog_write(db->catalog);
    kp_catalog_replace(db->catalog, old, fresh);
    kp_catalog_unlock(db->catalog);
    if (gone)
        kp_live_drop(db, gone);
    if (fresh->kind != KP_RELATION_TABLE && fresh->kind != KP_RELATION_VIEW)
        return KP_OK;
    KP_TRY(kp_failed_settings(fresh, &settings, err));
    return kp_live_create(db, fresh, &settings, !ddl->replaying, ret_live, err);
}

enum kp_code kp_failed_settings(const struct kp_relation *relation, struct kp_session_settings *ret_settings,
                                struct kp_error *err)
{
    *ret_settings = (struct kp_session_settings){0};
    if (relation->kind != KP_RELATION_FAILED && kp_live_of(relation)) {
        *ret_settings = kp_live_of(relation)->settings;
        return KP_OK;
    }
    return kp_zone_find(kp_str(relation->time_zone), &ret_settings->zone, err);
}

/* The relation fails, and all that reads it; takes over the reference to `failed`, which stands for it. */
static enum kp_code fail(struct kp_ddl *ddl, struct kp_relation *relation, struct kp_relation *failed,
                         struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    struct kp_live *none;
    struct kp_error because;
    enum kp_code code = KP_OK;
    size_t total = kp_catalog_count(db->catalog), count = 0;
    struct kp_relation **readers = kp_calloc(total + 1, sizeof(struct kp_relation *));
    for (size_t i = 0; i < total; i++) {
        struct kp_relation *reader = kp_catalog_at(db->catalog, i);
        bool comes_with = reader->sequence && reader->sequence->implicit; /* and goes with it, by itself */
        if (reader != relation && reader->kind != KP_RELATION_FAILED && !comes_with &&
            kp_relation_depends_on(reader, relation))
            readers[count++] = kp_relation_ref(reader);
    }
    code = replace(ddl, relation, failed, &none, err);
    tell(db, failed);
    (void)!kp_relation_check_failed(failed, &because);
    for (size_t i = 0; i < count; i++) {
        if (code == KP_OK)
            code = replace(ddl, readers[i], failed_of(ddl, readers[i], &because), &none, err);
        kp_relation_unref(readers[i]);
    }
    kp_free(readers);
    return code;
}

/* ---- opening ---- */

/* Is it about the statement, and not about the log or this machine? */
static bool refuses(enum kp_code code)
{
    switch (code) {
    case KP_INVALID:
    case KP_NOT_FOUND:
    case KP_EXISTS:
    case KP_UNSUPPORTED:
    case KP_LIMIT:
    case KP_BUSY:
    case KP_FORBIDDEN:
        return true;
    default:
        return false;
    }
}

static enum kp_code add(struct kp_ddl *ddl, const struct kp_declared *declared, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    struct kp_str schema = kp_str(kp_relation_schema(declared->kind));
    struct kp_relation *there = kp_catalog_find(db->catalog, schema, kp_str(declared->name));
    struct kp_relation *failed = create(ddl, declared, ddl->record.text, NULL, db->next_relation_id, err);
    if (declared->kind == KP_RELATION_FUNCTION)
        there = kp_catalog_find(db->catalog, schema, kp_str(failed->name));
    bool keeps = there && (there->kind == KP_RELATION_FAILED ||
                           (there->kind != KP_RELATION_PLAIN_VIEW && there->kind != KP_RELATION_FUNCTION));
    if (ddl->record.next_relation)
        keeps = there && ddl->record.next_relation == db->next_relation_id;
    if (keeps) /* CREATE OR REPLACE that takes no number */
        return fail(ddl, there, failed, err);
    tell(db, failed);
    if (there)
        kp_ddl_remove(ddl, there);
    failed->id = db->next_relation_id++;
    return kp_catalog_add(db->catalog, failed, false, err);
}

enum kp_code kp_failed_replay(struct kp_ddl *ddl, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_declared declared;
    struct kp_error reason = *err;
    enum kp_code code = err->code;
    kp_sql_declared(ddl->record.text, &arena, &declared);
    struct kp_relation *there =
        declared.name
            ? kp_catalog_find(ddl->db->catalog, kp_str(kp_relation_schema(declared.kind)), kp_str(declared.name))
            : NULL;
    if (!refuses(code))
        ;
    else if (declared.what == KP_DECLARES_CREATE)
        code = add(ddl, &declared, err);
    else if (declared.what == KP_DECLARES_ALTER && there && !declared.promotes && declared.kind <= KP_RELATION_VIEW &&
             declared.kind != KP_RELATION_TABLE) /* which has no versions */
        code = kp_ddl_fail_versions(ddl, there, &reason, err);
    else if (declared.what == KP_DECLARES_ALTER && there && there->kind != KP_RELATION_FAILED)
        code = fail(ddl, there, failed_of(ddl, there, &reason), err);
    else if (declared.what == KP_DECLARES_ALTER || declared.what == KP_DECLARES_COMMENT)
        code = KP_OK; /* of what failed before */
    else if (declared.what == KP_DECLARES_DROP && code == KP_NOT_FOUND)
        code = KP_OK; /* it is not there */
    kp_arena_finish(&arena);
    if (code == KP_OK)
        kp_error_clear(err);
    return code;
}

/* ---- CREATE OR REPLACE ---- */

/* Binds what failed again; *ret_fresh NULL: it is refused, with the reason of now. */
static enum kp_code bind_again(struct kp_ddl *ddl, struct kp_relation *failed, struct kp_relation **ret_fresh,
                               struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_statement *statement;
    struct kp_session_settings settings;
    struct kp_sql_context context = {.catalog = ddl->db->catalog,
                                     .settings = &settings,
                                     .user = failed->user,
                                     .replaying = ddl->replaying,
                                     .again = true};
    struct kp_relation *fresh = NULL;
    struct kp_error reason;
    *ret_fresh = NULL;
    enum kp_code code = kp_failed_settings(failed, &settings, &reason);
    if (code == KP_OK)
        code = kp_sql_parse(kp_str(failed->text), &arena, &statement, &reason);
    kp_catalog_read(ddl->db->catalog);
    if (code == KP_OK)
        code = kp_sql_bind_create(&context, statement, &fresh, &reason);
    kp_catalog_unlock(ddl->db->catalog);
    if (code == KP_OK && (fresh->kind == KP_RELATION_SOURCE || fresh->kind == KP_RELATION_TABLE))
        code = kp_ddl_check_format(statement, fresh, &reason);
    if (code == KP_OK)
        code = kp_ddl_try_plan(ddl, fresh, &reason);
    kp_arena_finish(&arena);
    if (code == KP_OK) {
        fresh->time_zone = kp_arena_strdup(&fresh->arena, failed->time_zone);
        fresh->user = kp_arena_strdup(&fresh->arena, failed->user);
        fresh->position = ddl->position;
        *ret_fresh = fresh;
        return KP_OK;
    }
    kp_relation_unref(fresh);
    if (!refuses(code)) {
        *err = reason;
        return code;
    }
    kp_catalog_write(ddl->db->catalog);
    keep_reason(failed, &reason);
    kp_catalog_unlock(ddl->db->catalog);
    return KP_OK;
}

/* A sink goes on where it had come to, which a replay passes. */
static void hold_sink(struct kp_ddl *ddl, struct kp_relation *sink)
{
    struct kp_error reason;
    (void)kp_fail(&reason, KP_BUSY, "55000", "it goes on when the server is started again");
    kp_catalog_write(ddl->db->catalog);
    keep_reason(sink, &reason);
    kp_catalog_unlock(ddl->db->catalog);
    *sink->failure->detail = *sink->failure->hint = '\0';
}

/* One pass over what failed; true: something did not fail any more. */
static enum kp_code try_all(struct kp_ddl *ddl, struct kp_live **lives, size_t *live_count, bool *ret_some,
                            struct kp_error *err)
{
    struct kp_catalog *catalog = ddl->db->catalog;
    *ret_some = false;
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        struct kp_relation *failed = kp_catalog_at(catalog, i), *fresh;
        struct kp_live *live;
        if (failed->kind != KP_RELATION_FAILED)
            continue;
        KP_TRY(bind_again(ddl, failed, &fresh, err));
        if (fresh && fresh->kind == KP_RELATION_SINK && !ddl->replaying) {
            kp_relation_unref(fresh);
            hold_sink(ddl, failed);
            continue;
        }
        if (!fresh)
            continue;
        KP_TRY(replace(ddl, failed, fresh, &live, err));
        if (live)
            lives[(*live_count)++] = live;
        *ret_some = true;
    }
    return KP_OK;
}

enum kp_code kp_failed_mend(struct kp_ddl *ddl, struct kp_relation *old, struct kp_relation *fresh,
                            struct kp_job **ret_job, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    struct kp_error meanwhile;
    size_t live_count = 0;
    bool some = true;
    fresh->position = ddl->position;
    if (old->kind != KP_RELATION_FAILED) { /* taken by this version: what reads it is bound again, too */
        uint32_t id = old->id;
        (void)kp_fail(&meanwhile, KP_BUSY, "55000", "it was replaced");
        KP_TRY(fail(ddl, old, failed_of(ddl, old, &meanwhile), err));
        old = kp_catalog_find_id(db->catalog, id);
    }
    struct kp_live **lives = kp_calloc(kp_catalog_count(db->catalog) + 1, sizeof(struct kp_live *));
    enum kp_code code = replace(ddl, old, fresh, &lives[0], err);
    live_count += code == KP_OK && lives[0];
    while (code == KP_OK && some)
        code = try_all(ddl, lives, &live_count, &some, err);
    if (code == KP_OK && live_count && !ddl->replaying)
        code = kp_job_start(db, "create", lives, live_count, ret_job, err);
    kp_free(lives);
    return code;
}

/* ---- their records ---- */

static bool reads(const struct kp_relation *relation, const char *topic, uint32_t depth)
{
    if (relation->kind == KP_RELATION_FAILED)
        return kp_failed_may_read(relation, topic);
    if (relation->topic && strcmp(relation->topic, topic) == 0)
        return true;
    for (uint32_t i = 0; depth && i < relation->use_count; i++)
        if (reads(relation->uses[i], topic, depth - 1))
            return true;
    return kp_relation_reads(relation, topic);
}

bool kp_failed_may_read(const struct kp_relation *failed, const char *topic)
{
    enum { DEPTH = 32 };
    if (failed->topic && failed->declared != KP_RELATION_SINK)
        return strcmp(failed->topic, topic) == 0;
    for (uint32_t i = 0; i < failed->use_count; i++)
        if (reads(failed->uses[i], topic, DEPTH))
            return true;
    return false;
}

enum kp_code kp_failed_check_topic(const struct kp_catalog *catalog, const char *topic, struct kp_error *err)
{
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *failed = kp_catalog_at(catalog, i);
        if (failed->kind != KP_RELATION_FAILED || !kp_failed_may_read(failed, topic))
            continue;
        return kp_fail(err, KP_BUSY, NULL, "%s \"%s\" failed, and may need them",
                       kp_relation_kind_name(failed->declared), failed->name);
    }
    return KP_OK;
}
