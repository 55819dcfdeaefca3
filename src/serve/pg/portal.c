/*
 * Prepared statements and portals of a session, found by name.
 *
 * Named ones lie in arrays sorted by name: a session has a handful, and at its limit of thousands a binary search and a
 * memmove are still cheap. Unnamed ones have a place of their own, which every Bind reuses without allocating.
 */
#include "serve/pg/session.h"

#include "base/utf8.h"
#include "vec/vec.h"

/* Where name is or belongs among count pointers to structs, of which name_of gives the name. */
static uint32_t lower_bound(void *const *items, uint32_t count, const char *(*name_of)(const void *), const char *name,
                            bool *ret_found)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(name_of(items[middle]), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = low < count && strcmp(name_of(items[low]), name) == 0;
    return low;
}

static const char *statement_name(const void *statement)
{
    return ((const struct kp_pg_statement *)statement)->name;
}

static const char *portal_name(const void *portal)
{
    return ((const struct kp_pg_portal *)portal)->name;
}

static void *insert(void *items, uint32_t *count, uint32_t *cap, uint32_t at, void *item)
{
    void **array = items;
    if (*count == *cap) {
        *cap = *cap ? *cap * 2 : 8;
        array = kp_realloc(array, *cap * sizeof *array);
    }
    memmove(array + at + 1, array + at, (*count - at) * sizeof *array);
    array[at] = item;
    ++*count;
    return array;
}

/* ---- statements ---- */

/* FETCH … WITH (timeout = '…'): an interval's text to microseconds. */
static enum kp_code parse_timeout(struct kp_pg *pg, struct kp_str text, int64_t *ret_timeout_us, struct kp_error *err)
{
    union {
        struct kp_interval interval;
        uint8_t raw[16];
    } value;
    KP_TRY(kp_value_parse(KP_TYPE(KP_INTERVAL), text, NULL, &pg->scratch, value.raw, err));
    if (value.interval.months || value.interval.us < 0 || value.interval.days < 0 || value.interval.days > 10000)
        return kp_fail(err, KP_INVALID, "22023", "timeout must be between 0 and 10000 days");
    *ret_timeout_us = value.interval.us + value.interval.days * INT64_C(86400000000);
    return KP_OK;
}

static struct kp_pg_statement *new_statement(void)
{
    struct kp_pg_statement *statement = kp_calloc(1, sizeof *statement);
    statement->references = 1;
    statement->timeout_us = -1;
    return statement;
}

/* The query of a cursor becomes a statement of its own: the portal runs it as if it had been sent alone. */
static enum kp_code prepare_cursor(struct kp_pg *pg, struct kp_pg_statement *statement, struct kp_str text,
                                   const enum kp_type_id *types, uint32_t type_count, struct kp_error *err)
{
    size_t at = statement->command.query_at;
    struct kp_str query = {text.ptr + at, text.len - at};
    statement->query = new_statement();
    statement->query->command.binary = statement->command.binary;
    enum kp_code code = kp_prepare(pg->session, query, types, type_count, &statement->query->prepared, err);
    if (code != KP_OK) {
        if (err && err->position > 0)
            err->position += (int32_t)kp_utf8_length(text.ptr, at);
        return code;
    }
    const struct kp_column *cols;
    uint32_t col_count;
    if (!kp_pg_statement_columns(pg, statement->query, &cols, &col_count))
        return kp_fail(err, KP_INVALID, "42601", "DECLARE CURSOR must specify a query that returns rows");
    return KP_OK;
}

static enum kp_code prepare(struct kp_pg *pg, struct kp_pg_statement *statement, struct kp_str text,
                            const enum kp_type_id *types, uint32_t type_count, struct kp_error *err)
{
    const struct kp_pg_command *command = &statement->command;
    KP_TRY(kp_pg_command_parse(text, &statement->command, err));
    switch (command->kind) {
    case KP_PG_COMMAND_NONE:
        return kp_prepare(pg->session, text, types, type_count, &statement->prepared, err);
    case KP_PG_COMMAND_DECLARE:
        return prepare_cursor(pg, statement, text, types, type_count, err);
    case KP_PG_COMMAND_DEALLOCATE:
    case KP_PG_COMMAND_DISCARD_ALL:
        statement->text = kp_strndup(text.ptr, text.len);
        return KP_OK;
    default:
        return command->timeout.ptr ? parse_timeout(pg, command->timeout, &statement->timeout_us, err) : KP_OK;
    }
}

enum kp_code kp_pg_statement_create(struct kp_pg *pg, struct kp_str text, const enum kp_type_id *types,
                                    uint32_t type_count, struct kp_pg_statement **ret_statement, struct kp_error *err)
{
    struct kp_pg_statement *statement = new_statement();
    enum kp_code code = prepare(pg, statement, text, types, type_count, err);
    if (code != KP_OK) {
        kp_pg_statement_unref(statement);
        return code;
    }
    statement->command.timeout = (struct kp_str){NULL, 0}; /* its text may go */
    *ret_statement = statement;
    return KP_OK;
}

void kp_pg_statement_unref(struct kp_pg_statement *statement)
{
    if (!statement || --statement->references)
        return;
    kp_prepared_destroy(statement->prepared);
    kp_pg_statement_unref(statement->query);
    kp_free(statement->text);
    kp_buf_finish(&statement->parsed);
    kp_free(statement->name);
    kp_free(statement);
}

static struct kp_pg_statement **find_statement(struct kp_pg *pg, const char *name)
{
    if (!name[0])
        return pg->unnamed_statement ? &pg->unnamed_statement : NULL;
    bool found;
    uint32_t at = lower_bound((void *const *)pg->statements, pg->statement_count, statement_name, name, &found);
    return found ? &pg->statements[at] : NULL;
}

struct kp_pg_statement *kp_pg_statement_find(struct kp_pg *pg, const char *name)
{
    struct kp_pg_statement **place = find_statement(pg, name);
    return place ? *place : NULL;
}

enum kp_code kp_pg_statement_add(struct kp_pg *pg, const char *name, struct kp_pg_statement *statement,
                                 struct kp_error *err)
{
    if (!name[0]) {
        kp_pg_statement_unref(pg->unnamed_statement);
        pg->unnamed_statement = statement;
        return KP_OK;
    }
    bool found;
    uint32_t at = lower_bound((void *const *)pg->statements, pg->statement_count, statement_name, name, &found);
    enum kp_code code = KP_OK;
    if (found) {
        code = kp_fail(err, KP_EXISTS, "42P05", "prepared statement \"%s\" already exists", name);
    } else if (pg->statement_count == KP_PG_STATEMENTS_MAX) {
        (void)kp_fail(err, KP_LIMIT, NULL, "too many prepared statements: %d", KP_PG_STATEMENTS_MAX);
        code = kp_error_hint(err, "DEALLOCATE those that are no longer needed.");
    }
    if (code != KP_OK) {
        kp_pg_statement_unref(statement);
        return code;
    }
    statement->name = kp_strdup(name);
    pg->statements = insert(pg->statements, &pg->statement_count, &pg->statement_cap, at, statement);
    return KP_OK;
}

bool kp_pg_statement_drop(struct kp_pg *pg, const char *name)
{
    struct kp_pg_statement **place = find_statement(pg, name);
    if (!place)
        return false;
    kp_pg_statement_unref(*place);
    if (name[0]) {
        uint32_t at = (uint32_t)(place - pg->statements);
        pg->statement_count--;
        memmove(place, place + 1, (pg->statement_count - at) * sizeof(struct kp_pg_statement *));
    } else {
        *place = NULL;
    }
    return true;
}

void kp_pg_statement_drop_all(struct kp_pg *pg)
{
    for (uint32_t i = 0; i < pg->statement_count; i++)
        kp_pg_statement_unref(pg->statements[i]);
    pg->statement_count = 0;
    kp_pg_statement_unref(pg->unnamed_statement);
    pg->unnamed_statement = NULL;
}

uint32_t kp_pg_statement_params(const struct kp_pg_statement *statement, const struct kp_type **ret_types)
{
    const struct kp_prepared *prepared = statement->query ? statement->query->prepared : statement->prepared;
    *ret_types = NULL;
    return prepared ? kp_prepared_params(prepared, ret_types) : 0;
}

/* What returns the rows of the statement: of FETCH its cursor's; NULL: there are none. */
static const struct kp_prepared *rows_of(struct kp_pg *pg, const struct kp_pg_statement *statement)
{
    if (statement->command.kind == KP_PG_COMMAND_FETCH) {
        struct kp_pg_portal *portal = kp_pg_portal_find(pg, statement->command.name);
        if (!portal || portal->statement->command.kind != KP_PG_COMMAND_NONE)
            return NULL;
        statement = portal->statement;
    }
    if (!statement->prepared || kp_prepared_copy(statement->prepared) != KP_COPY_NONE)
        return NULL;
    return statement->prepared;
}

bool kp_pg_statement_columns(struct kp_pg *pg, const struct kp_pg_statement *statement,
                             const struct kp_column **ret_cols, uint32_t *ret_count)
{
    const struct kp_prepared *prepared = rows_of(pg, statement);
    return prepared && kp_prepared_columns(prepared, ret_cols, ret_count);
}

bool kp_pg_statement_describe(struct kp_pg *pg, const struct kp_pg_statement *statement,
                              const struct kp_pg_formats *formats)
{
    const struct kp_prepared *prepared = rows_of(pg, statement);
    const struct kp_column *cols;
    uint32_t count;
    if (!prepared || !kp_prepared_columns(prepared, &cols, &count))
        return false;
    kp_pg_put_row_description(&pg->conn->out, cols, kp_prepared_bases(prepared), count, formats);
    return true;
}

/* ---- portals ---- */

static struct kp_pg_portal **find_named_portal(struct kp_pg *pg, const char *name)
{
    bool found;
    uint32_t at = lower_bound((void *const *)pg->portals, pg->portal_count, portal_name, name, &found);
    return found ? &pg->portals[at] : NULL;
}

struct kp_pg_portal *kp_pg_portal_find(struct kp_pg *pg, const char *name)
{
    if (!name[0])
        return pg->unnamed_portal.statement ? &pg->unnamed_portal : NULL;
    struct kp_pg_portal **place = find_named_portal(pg, name);
    return place ? *place : NULL;
}

void kp_pg_portal_clear(struct kp_pg_portal *portal)
{
    kp_cursor_close(portal->cursor);
    kp_pg_statement_unref(portal->statement);
    kp_arena_reset(&portal->arena);
    struct kp_pg_portal empty = {.name = portal->name, .arena = portal->arena};
    *portal = empty;
}

void kp_pg_portal_start(struct kp_pg_portal *portal, struct kp_pg_statement *statement)
{
    kp_pg_portal_clear(portal);
    statement->references++;
    portal->statement = statement;
}

static void destroy_portal(struct kp_pg_portal *portal)
{
    kp_pg_portal_clear(portal);
    kp_arena_finish(&portal->arena);
    kp_free(portal->name);
    kp_free(portal);
}

enum kp_code kp_pg_portal_create(struct kp_pg *pg, const char *name, struct kp_pg_statement *statement,
                                 struct kp_pg_portal **ret_portal, struct kp_error *err)
{
    struct kp_pg_portal *portal = &pg->unnamed_portal;
    if (name[0]) {
        bool found;
        uint32_t at = lower_bound((void *const *)pg->portals, pg->portal_count, portal_name, name, &found);
        if (found)
            return kp_fail(err, KP_EXISTS, "42P03", "cursor \"%s\" already exists", name);
        if (pg->portal_count == KP_PG_PORTALS_MAX) {
            (void)kp_fail(err, KP_LIMIT, NULL, "too many open cursors: %d", KP_PG_PORTALS_MAX);
            return kp_error_hint(err, "CLOSE those that are no longer needed.");
        }
        portal = kp_calloc(1, sizeof *portal);
        portal->name = kp_strdup(name);
        pg->portals = insert(pg->portals, &pg->portal_count, &pg->portal_cap, at, portal);
    }
    kp_pg_portal_start(portal, statement);
    portal->savepoint = kp_session_savepoint(pg->session);
    *ret_portal = portal;
    return KP_OK;
}

bool kp_pg_portal_drop(struct kp_pg *pg, const char *name)
{
    if (!name[0]) {
        bool was = pg->unnamed_portal.statement != NULL;
        kp_pg_portal_clear(&pg->unnamed_portal);
        return was;
    }
    struct kp_pg_portal **place = find_named_portal(pg, name);
    if (!place)
        return false;
    destroy_portal(*place);
    uint32_t at = (uint32_t)(place - pg->portals);
    pg->portal_count--;
    memmove(place, place + 1, (pg->portal_count - at) * sizeof(struct kp_pg_portal *));
    return true;
}

void kp_pg_portal_drop_undone(struct kp_pg *pg)
{
    uint64_t from = kp_session_take_undone(pg->session);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < pg->portal_count; i++) {
        if (pg->portals[i]->savepoint < from)
            pg->portals[kept++] = pg->portals[i];
        else
            destroy_portal(pg->portals[i]);
    }
    pg->portal_count = kept;
}

void kp_pg_portal_drop_all(struct kp_pg *pg, bool all, const struct kp_pg_portal *running)
{
    if (running != &pg->unnamed_portal)
        kp_pg_portal_clear(&pg->unnamed_portal);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < pg->portal_count; i++) {
        if (pg->portals[i] == running || (pg->portals[i]->hold && !all))
            pg->portals[kept++] = pg->portals[i];
        else
            destroy_portal(pg->portals[i]);
    }
    pg->portal_count = kept;
}
