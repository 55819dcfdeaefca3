/*
 * For law_test.c only: what a world writes: records, statements, transactions, thousands of records at once; given to
 * kappa and to PostgreSQL alike. Its clock.
 */
#ifndef KP_TESTS_LAW_WRITES_H
#define KP_TESTS_LAW_WRITES_H

#include <time.h>

#include "tests/law/world.h"

/* ---- rows ---- */

static char *time_text(struct world *world, int64_t at)
{
    time_t seconds = (time_t)(world->ancient ? at - 900 : at + 1704067200); /* from 1969-12-31 23:45, from 2024-01-01 */
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    return kp_arena_strdup(&world->arena, text);
}

static char *event_time(struct world *world, int64_t *ret_seconds)
{
    int64_t late = chance(&world->dice, 15) ? roll(&world->dice, 400) : 0;
    world->event_seconds += world->coarse ? 5 * (int64_t)roll(&world->dice, 4) : roll(&world->dice, 20);
    int64_t at = world->event_seconds - late;
    if (world->coarse) /* as far from a window's end as the watermark is behind, or not at all */
        at -= at % 5 - (chance(&world->dice, 30) ? 4 : 0);
    *ret_seconds = KP_MAX(at, 0);
    return time_text(world, *ret_seconds);
}

/* One row's values: each in SQL (ret_values; NULL: not asked for), as a SQL list, as a JSON object. */
static void make_row(struct world *world, const struct relation *relation, char **ret_values, char **ret_sql,
                     char **ret_json, int64_t *ret_seconds)
{
    *ret_seconds = -1;
    struct kp_arena *arena = &world->arena;
    char *sql = NULL, *json = NULL;
    for (unsigned i = 0; i < relation->col_count; i++) {
        const struct column *column = &relation->cols[i];
        char *value, *field;
        value_make(&world->dice, arena, column, &value, &field);
        if (strcmp(column->name, "ts") == 0 && field) {
            field = event_time(world, ret_seconds);
            value = kp_arena_printf(arena, "'%s'", field);
            field = kp_arena_printf(arena, "\"%s\"", field);
        } else if (strcmp(column->name, "id") == 0) {
            value = field = kp_arena_printf(
                arena, "%u", chance(&world->dice, 3) ? roll(&world->dice, world->next_id + 1) : ++world->next_id);
        }
        if (ret_values)
            ret_values[i] = value;
        sql = kp_arena_printf(arena, "%s%s%s", sql ? sql : "", sql ? ", " : "", value);
        bool left_out = column->type == T_JSONB || column->type == T_JSON ||
                        chance(&world->dice, 50); /* else null, which is a value of jsonb */
        if (field || !left_out)
            json = kp_arena_printf(arena, "%s%s\"%s\":%s", json ? json : "", json ? "," : "", column->name,
                                   field ? field : "null");
    }
    *ret_sql = sql;
    *ret_json = kp_arena_printf(arena, "{%s}", json ? json : "");
}

/* ---- COPY ---- */

static const struct copy_form {
    enum production production;
    const char *options, *null;
    char delimiter, quote; /* quote 0: text */
    bool header;
} copy_forms[] = {
    {P_COPY_TEXT, "", "\\N", '\t', 0, false},
    {P_COPY_TEXT, " WITH (DELIMITER '|', NULL 'nil')", "nil", '|', 0, false},
    {P_COPY_CSV, " WITH (FORMAT csv)", "", ',', '"', false},
    {P_COPY_CSV, " WITH (FORMAT csv, HEADER, DELIMITER ';', QUOTE '''', NULL 'nil')", "nil", ';', '\'', true},
    {P_COPY_BINARY, " WITH (FORMAT binary)", "", 0, 0, false},
};

/* What a SQL value says, without its quotes; NULL for NULL. */
static char *value_text(struct world *world, const char *sql)
{
    if (strcmp(sql, "NULL") == 0)
        return NULL;
    char *text = kp_arena_strdup(&world->arena, *sql == '\'' ? sql + 1 : sql), *to = text;
    if (*sql != '\'')
        return text;
    for (const char *from = text; *from && !(*from == '\'' && from[1] != '\''); from++) {
        *to++ = *from;
        from += *from == '\'';
    }
    *to = 0;
    return text;
}

static void put_field(struct world *world, const struct copy_form *form, const char *text, struct kp_buf *out)
{
    if (!text) {
        kp_buf_append_text(out, form->null);
        return;
    }
    bool quoted = form->quote && (strcmp(text, form->null) == 0 || chance(&world->dice, 30));
    for (const char *c = text; *c; c++)
        quoted |= form->quote && (*c == form->quote || *c == form->delimiter);
    if (quoted)
        kp_buf_append_byte(out, (uint8_t)form->quote);
    for (const char *c = text; *c; c++) {
        if (form->quote ? *c == form->quote : *c == '\\' || *c == form->delimiter)
            kp_buf_append_byte(out, (uint8_t)(form->quote ? form->quote : '\\'));
        kp_buf_append_byte(out, (uint8_t)*c);
    }
    if (quoted)
        kp_buf_append_byte(out, (uint8_t)form->quote);
}

/* Rows by COPY: the statement, what it is fed, the INSERT that says the same. */
static char *make_copy(struct world *world, const struct relation *table, struct kp_str *ret_bytes, char **ret_postgres)
{
    struct kp_arena *arena = &world->arena;
    const struct copy_form *form = &copy_forms[roll(&world->dice, KP_COUNT(copy_forms))];
    unsigned count = 2 + roll(&world->dice, table->col_count - 1);
    bool binary = form->production == P_COPY_BINARY;
    char *cols = "", *rows = "", *typed = "";
    struct kp_buf bytes = {0};
    for (unsigned i = 0; i < count; i++)
        cols = kp_arena_printf(arena, "%s%s%s", cols, i ? ", " : "", table->cols[i].name);
    if (form->header)
        kp_buf_append_text(&bytes, "any line\n");
    for (unsigned n = 1 + roll(&world->dice, 6), row = 0; row < n; row++) {
        char *values[COLUMNS_MAX], *list = "", *typed_list = "", *sql, *json;
        int64_t seconds;
        make_row(world, table, values, &sql, &json, &seconds);
        for (unsigned i = 0; i < count; i++) {
            const char *comma = i ? ", " : "";
            list = kp_arena_printf(arena, "%s%s%s", list, comma, values[i]);
            typed_list =
                kp_arena_printf(arena, "%s%s%s::%s", typed_list, comma, values[i], type_names[table->cols[i].type]);
            if (binary)
                continue;
            if (i)
                kp_buf_append_byte(&bytes, (uint8_t)form->delimiter);
            put_field(world, form, value_text(world, values[i]), &bytes);
        }
        if (!binary)
            kp_buf_append_byte(&bytes, '\n');
        rows = kp_arena_printf(arena, "%s%s(%s)", rows, row ? ", " : "", list);
        typed = kp_arena_printf(arena, "%s%s(%s)", typed, row ? ", " : "", typed_list);
    }
    struct answer answer = {0};
    if (binary)
        kappa_copy_out(&world->kappa, kp_arena_printf(arena, "COPY (VALUES %s) TO STDOUT (FORMAT binary)", typed),
                       &bytes, &answer);
    if (answer.sqlstate[0] && strcmp(answer.sqlstate, "53200"))
        fail_world(world, "COPY of values fails", typed, "", kp_arena_strdup(arena, answer.message));
    *ret_postgres = kp_arena_printf(arena, "INSERT INTO %s (%s) VALUES %s", table->name, cols, rows);
    char *text = *ret_postgres;
    if (!answer.sqlstate[0]) {
        made(form->production);
        text = kp_arena_printf(arena, "COPY %s (%s) FROM STDIN%s", table->name, cols, form->options);
        *ret_bytes = (struct kp_str){kp_arena_alloc(arena, bytes.len), bytes.len};
        memcpy((char *)(uintptr_t)ret_bytes->ptr, bytes.data, bytes.len);
    }
    kp_buf_finish(&bytes);
    return text;
}

/* ---- statements ---- */

/* What stands for a letter of a statement's form; "" for one that is none. */
static char *statement_part(struct world *world, char letter, const struct relation *table,
                            const struct relation *other, const struct column *column)
{
    struct kp_arena *arena = &world->arena;
    struct dice *dice = &world->dice;
    struct maker maker = {.dice = dice, .arena = arena};
    struct scope scope = {0};
    unsigned flags = 0;
    char *sql, *json;
    int64_t seconds;
    for (unsigned i = 0; i < table->col_count; i++)
        scope.cols[scope.count++] = table->cols[i];
    switch (letter) {
    case 'T':
        return kp_arena_strdup(arena, table->name);
    case 'O':
        return kp_arena_strdup(arena, other->name);
    case 'R':
        make_row(world, table, NULL, &sql, &json, &seconds);
        return sql;
    case 'C':
        return kp_arena_strdup(arena, column->name);
    case 'E':
        return make_expr(&maker, &scope, column->type, 1, BIG | LOOSE, &flags);
    case 'P':
        return make_predicate(&maker, &scope, 1);
    case 'X':
        return make_expr(&maker, &scope, T_INT4, 1, BIG | LOOSE, &flags);
    case 'Y':
        return make_expr(&maker, &scope, T_TEXT, 1, BIG | LOOSE, &flags);
    case 'Z':
        return kp_arena_printf(arena, "%u", 1 + roll(dice, 4));
    case 'I':
        return kp_arena_printf(arena, "%u", 1 + roll(dice, world->next_id + 1));
    default:
        return kp_arena_printf(arena, "%d", (int)roll(dice, 20) - 10);
    }
}

/* One that the statement may change: of its type, if it asks for one; NULL: the table has none. */
static const struct column *pick_changed(struct world *world, const struct form *form, const struct relation *table)
{
    unsigned others = table->col_count - 2, at = roll(&world->dice, others);
    for (unsigned i = 0; i < others; i++) {
        const struct column *column = &table->cols[2 + (at + i) % others];
        if (!*form->args || column->type == type_of_code(*form->args))
            return column;
    }
    return NULL;
}

static char *fill_statement(struct world *world, struct form *form, const struct relation *table,
                            const struct column *column)
{
    struct dice *dice = &world->dice;
    const struct relation *other;
    char *out = "";
    do
        other = &world->relations[roll(dice, world->base_count)];
    while (other->source || other->keyless); /* of equal ids it would be luck which is taken */
    form->made++;
    for (const char *at = form->text; *at;) {
        size_t len = strcspn(at, "%");
        out = kp_arena_printf(&world->arena, "%s%.*s", out, (int)len, at);
        at += len;
        if (!*at)
            break;
        bool part = at[1] >= 'A' && at[1] <= 'Z';
        out = kp_arena_printf(&world->arena, "%s%s", out,
                              part ? statement_part(world, at[1], table, other, column) : "%");
        at += part ? 2 : 1;
    }
    return out;
}

/* ret_returns: it says what it wrote. */
static char *make_dml(struct world *world, const struct relation *table, bool *ret_returns)
{
    struct kp_arena *arena = &world->arena;
    struct dice *dice = &world->dice;
    struct form *form = &statements.forms[roll(dice, INSERT_FORMS)];
    if (table->source)
        form = &statements.forms[0];
    else if (!chance(dice, 55))
        form = pick_form(&(struct maker){.dice = dice}, &statements, TYPES, 0);
    const struct column *column = pick_changed(world, form, table);
    while (!column) {
        form = pick_form(&(struct maker){.dice = dice}, &statements, TYPES, 0);
        column = pick_changed(world, form, table);
    }
    char *text = fill_statement(world, form, table, column);
    *ret_returns = *ret_returns && form->flags & S_RETURNS && allowed(P_RETURNING) && chance(dice, 20);
    if (!*ret_returns)
        return text;
    made(P_RETURNING);
    static const char *const lists[] = {"*", "*, k + 1 AS more", "k"};
    return kp_arena_printf(arena, "%s RETURNING %s", text, table->source ? "k" : lists[roll(dice, KP_COUNT(lists))]);
}

/* ---- writes ---- */

/* Records of a keyed table, as an upsert stream has them: new rows, the same key again, deletions; each key once. */
static void make_keyed_records(struct world *world, const struct relation *table, struct write *write)
{
    struct kp_arena *arena = &world->arena;
    struct dice *dice = &world->dice;
    char *sets = "";
    unsigned taken[4];
    for (unsigned i = 1; i < table->col_count; i++)
        sets = kp_arena_printf(arena, "%s%s%s = EXCLUDED.%s", sets, i > 1 ? ", " : "", table->cols[i].name,
                               table->cols[i].name);
    made(P_RECORDS_KEYED);
    write->source = (int)(table - world->relations);
    write->json = write->postgres = "";
    for (unsigned n = 1 + roll(dice, KP_COUNT(taken)), count = 0, i = 0; i < n; i++) {
        char *values[COLUMNS_MAX], *sql, *json;
        int64_t seconds;
        unsigned id = chance(dice, 30) ? ++world->next_id : 1 + roll(dice, world->next_id + 1);
        bool again = false;
        for (unsigned at = 0; at < count; at++)
            again |= taken[at] == id;
        make_row(world, table, values, &sql, &json, &seconds);
        if (again)
            continue;
        taken[count++] = id;
        if (chance(dice, 25)) {
            write->json = kp_arena_printf(arena, "%s\t[%u]\t\n", write->json, id);
            write->postgres =
                kp_arena_printf(arena, "%sDELETE FROM %s WHERE id = %u; ", write->postgres, table->name, id);
            continue;
        }
        write->json =
            kp_arena_printf(arena, "%s\t[%u]\t{\"id\":%u%s\n", write->json, id, id, json + 1 + strcspn(json + 1, ",}"));
        write->postgres = kp_arena_printf(arena, "%sINSERT INTO %s VALUES (%u%s) ON CONFLICT (id) DO UPDATE SET %s; ",
                                          write->postgres, table->name, id, sql + strcspn(sql, ","), sets);
    }
}

static struct write make_write(struct world *world, bool marked)
{
    struct kp_arena *arena = &world->arena;
    struct dice *dice = &world->dice;
    struct write write = {.source = -1};
    const struct relation *relation = &world->relations[roll(dice, world->base_count)];
    if (relation->source && (world->closes ? !marked : !marked && chance(dice, 80))) {
        write.source = (int)(relation - world->relations);
        write.partition = roll(dice, relation->partitions);
        write.json = "";
        char *json;
        for (unsigned i = 1 + roll(dice, 8); i; i--) {
            make_row(world, relation, NULL, &write.rows[write.row_count], &json, &write.seconds[write.row_count]);
            write.json = kp_arena_printf(arena, "%s%s\n", write.json, json);
            write.row_count++;
        }
        if (chance(dice, 5)) /* dead letters: nothing in any view */
            write.json =
                kp_arena_printf(arena, "%s%s\n", write.json, chance(dice, 50) ? "{\"k\":1" : "{\"k\":\"one\"}");
        return write;
    }
    if (!marked && !relation->source && !relation->keyless && allowed(P_RECORDS_KEYED) && chance(dice, 15)) {
        make_keyed_records(world, relation, &write);
        return write;
    }
    unsigned count = marked || chance(dice, 40) ? 1 + roll(dice, STATEMENTS_MAX - 1) : 1;
    write.postgres = "";
    for (unsigned i = 0; i < count; i++) {
        const struct relation *target;
        do
            target = &world->relations[roll(dice, world->base_count)];
        while (world->closes && target->source);
        char **statement = &write.statements[write.count], *postgres = NULL;
        bool copies = chance(dice, 8);
        write.returns = !marked && count == 1 && !copies;
        if (copies)
            *statement = make_copy(world, target, &write.copied[write.count], &postgres);
        else
            postgres = *statement = make_dml(world, target, &write.returns);
        write.postgres = kp_arena_printf(arena, "%s%s; ", write.postgres, postgres);
        write.count++;
    }
    if (marked) {
        write.statements[write.count] = kp_arena_printf(arena, "INSERT INTO marks VALUES (%u)", ++world->marks);
        write.postgres = kp_arena_printf(arena, "%s%s; ", write.postgres, write.statements[write.count++]);
    }
    return write;
}

/* Runs it on kappa; the SQLSTATE, "" if it succeeded; what it returned, NULL if nothing was asked. */
static void write_kappa(struct kappa *kappa, const struct world *world, const struct write *write, char *ret_state,
                        struct answer **ret_returned)
{
    struct answer answer = {0};
    ret_state[0] = 0;
    *ret_returned = NULL;
    if (write->source >= 0) {
        kappa_append(kappa, world->relations[write->source].name, write->partition, write->json);
        return;
    }
    if (write->count > 1)
        kappa_ask(kappa, "BEGIN", &answer, NULL);
    for (unsigned i = 0; i < write->count && !ret_state[0]; i++) {
        if (write->copied[i].ptr)
            kappa_copy_in(kappa, write->statements[i], write->copied[i], &answer);
        else
            kappa_ask(kappa, write->statements[i], &answer, NULL);
        snprintf(ret_state, 6, "%s", answer.sqlstate);
        if (world->print && ret_state[0])
            printf("-- %s: %s\n", write->statements[i], answer.message);
        if (write->returns) {
            *ret_returned = kp_alloc(sizeof answer);
            **ret_returned = answer;
        } else {
            answer_finish(&answer);
        }
    }
    if (write->count > 1) {
        kappa_ask(kappa, ret_state[0] ? "ROLLBACK" : "COMMIT", &answer, NULL);
        if (!ret_state[0])
            snprintf(ret_state, 6, "%s", answer.sqlstate);
        answer_finish(&answer);
    }
}

/* Rows with the watermark each of them met, and the watermark behind them: that of the partition furthest behind. */
static char *records_for_postgres(struct world *world, const struct write *write)
{
    const struct relation *relation = &world->relations[write->source];
    struct kp_arena *arena = &world->arena;
    struct mark *mark = &world->marks_of[write->source];
    char *rows = NULL;
    for (unsigned i = 0; i < write->row_count; i++) {
        char *met = mark->watermark < 0 ? "NULL" : kp_arena_printf(arena, "'%s'", time_text(world, mark->watermark));
        rows = kp_arena_printf(arena, "%s%s(%s, %s)", rows ? rows : "", rows ? ", " : "", write->rows[i], met);
        if (!mark->seen[write->partition]) {
            mark->seen[write->partition] = true;
            mark->time_max[write->partition] = -1;
        }
        mark->time_max[write->partition] = KP_MAX(mark->time_max[write->partition], write->seconds[i]);
        int64_t least = INT64_MAX;
        for (unsigned p = 0; p < relation->partitions; p++)
            if (mark->seen[p])
                least = KP_MIN(least, mark->time_max[p]);
        if (least >= 4) /* the first seconds of the year have no earlier watermark that would matter */
            mark->watermark = KP_MAX(mark->watermark, least - 4);
    }
    char *now = mark->watermark < 0 ? "NULL" : kp_arena_printf(arena, "'%s'", time_text(world, mark->watermark));
    return kp_arena_printf(arena, "INSERT INTO %s VALUES %s; UPDATE law_mark SET w = %s WHERE source = '%s'",
                           relation->name, rows, now, relation->name);
}

/* returned: what kappa said, which PostgreSQL's answer is compared with; the world's from now on. */
static void write_postgres(struct world *world, const struct write *write, const char *state, struct answer *returned)
{
    char *text = write->source >= 0 && !write->postgres ? records_for_postgres(world, write) : write->postgres;
    if (world->state_count == world->state_cap) {
        world->state_cap = world->state_cap ? world->state_cap * 2 : 64;
        world->states = kp_realloc(world->states, world->state_cap * sizeof *world->states);
        world->state_texts = kp_realloc(world->state_texts, world->state_cap * sizeof *world->state_texts);
        world->returned = kp_realloc(world->returned, world->state_cap * sizeof *world->returned);
    }
    snprintf(world->states[world->state_count], 6, "%s", state);
    world->returned[world->state_count] = returned;
    world->state_texts[world->state_count++] = text;
    oracle_run(world->oracle, text, returned != NULL);
    totals.writes++;
    if (world->print)
        printf("%s%s-- %s\n", write->source >= 0 ? write->json : text, write->source >= 0 ? "" : " ", state);
}

/* Thousands of records at once. */
static void write_bulk(struct world *world)
{
    const struct relation *relation = &world->relations[0];
    struct kp_buf json = {0}, sql = {0};
    unsigned records = 6000 + roll(&world->dice, 12000), batch = 500 + roll(&world->dice, 4000);
    for (unsigned i = 1; i <= records; i++) {
        char *row, *object;
        int64_t seconds;
        make_row(world, relation, NULL, &row, &object, &seconds);
        kp_buf_printf(&json, "%s\n", object);
        kp_buf_printf(&sql, "%s(%s)", sql.len ? ", " : "", row);
        if (i % batch == 0 || i == records) {
            kp_buf_append_byte(&json, 0);
            kp_buf_append_byte(&sql, 0);
            kappa_append(&world->kappa, relation->name, roll(&world->dice, relation->partitions), (char *)json.data);
            kp_buf_printf(&world->oracle->script, "INSERT INTO %s VALUES %s;\n", relation->name, (char *)sql.data);
            json.len = sql.len = 0;
        }
    }
    kp_buf_finish(&json);
    kp_buf_finish(&sql);
}

static void returned_free(struct answer *returned)
{
    if (returned)
        answer_finish(returned);
    kp_free(returned);
}

static void end_subscription(struct world *world)
{
    sums_close(&world->kappa, &world->sums);
    world->summed = -1;
}

static bool is_spent(const struct world *world, const char *sqlstate)
{
    return world->tight && strcmp(sqlstate, "53200") == 0;
}

static void write_both(struct world *world)
{
    struct write write = make_write(world, false);
    unsigned at = world->writes++;
    char state[6];
    if (at < WRITES_MAX && world->cuts->write[at])
        return;
    struct answer *returned;
    write_kappa(&world->kappa, world, &write, state, &returned);
    if (!is_spent(world, state)) {
        write_postgres(world, &write, state, returned);
        return;
    }
    totals.spent++;
    returned_free(returned);
}

static void oracle_clock(struct world *world)
{
    kp_buf_printf(&world->oracle->script,
                  "UPDATE law_clock SET t = TIMESTAMPTZ 'epoch' + INTERVAL '%lld microseconds';\n",
                  (long long)atomic_load(&law_clock_us));
}

/* Moves the clock, and with a record the log's time. */
static void pass_time(struct world *world, unsigned hours_max)
{
    static const int64_t hour_us = 3600000000, day_us = 24 * hour_us;
    int64_t now_us = atomic_load(&law_clock_us) + (int64_t)(1 + roll(&world->dice, hours_max)) * hour_us;
    if (chance(&world->dice, 40)) /* to midnight, when times a number of days ago fall due at once */
        now_us += (day_us - now_us % day_us) % day_us;
    atomic_store(&law_clock_us, now_us);
    kappa_append(&world->kappa, "law_time", 0, "{}");
    oracle_clock(world);
    if (world->print)
        printf("-- the clock is at %lld\n", (long long)atomic_load(&law_clock_us));
}

#endif
