/* System tables: from their lists (system_kappa.c, system_pg.c) to relations, and from their rows to batches. */
#include "db/system.h"

#include <stdio.h>

/* ---- rows ---- */

static struct kp_datum *cell(struct kp_system_rows *rows)
{
    if (rows->count == rows->cap) {
        size_t cap = rows->cap ? 2 * rows->cap : 256;
        struct kp_datum *grown = kp_arena_alloc(rows->arena, cap * sizeof *grown);
        if (rows->count)
            memcpy(grown, rows->cells, rows->count * sizeof *grown);
        rows->cells = grown;
        rows->cap = cap;
    }
    struct kp_datum *datum = &rows->cells[rows->count];
    memset(datum, 0, sizeof *datum);
    datum->type = rows->relation->cols[rows->count % rows->col_count].type;
    rows->count++;
    return datum;
}

void kp_system_put_str(struct kp_system_rows *rows, struct kp_str text)
{
    struct kp_datum *datum = cell(rows);
    datum->null = text.ptr == NULL;
    if (text.ptr)
        datum->text = kp_text_make(kp_arena_strndup(rows->arena, text.ptr, text.len), text.len);
}

void kp_system_put_text(struct kp_system_rows *rows, const char *text)
{
    kp_system_put_str(rows, (struct kp_str){text, text ? strlen(text) : 0});
}

static void set_int(struct kp_datum *datum, int64_t value)
{
    switch (datum->type.id) {
    case KP_BOOL:
        datum->b = value != 0;
        break;
    case KP_INT2:
        datum->i16 = (int16_t)value;
        break;
    case KP_INT4:
    case KP_OID:
        datum->i32 = (int32_t)value;
        break;
    case KP_FLOAT4:
        datum->f32 = (float)value;
        break;
    default:
        datum->i64 = value;
    }
}

void kp_system_put_int(struct kp_system_rows *rows, int64_t value)
{
    set_int(cell(rows), value);
}

void kp_system_put_float(struct kp_system_rows *rows, double value)
{
    struct kp_datum *datum = cell(rows);
    if (datum->type.id == KP_FLOAT4)
        datum->f32 = (float)value;
    else
        datum->f64 = value;
}

void kp_system_put_time(struct kp_system_rows *rows, int64_t unix_us)
{
    cell(rows)->i64 = unix_us - 946684800000000;
}

void kp_system_put_null(struct kp_system_rows *rows)
{
    cell(rows)->null = true;
}

/* ---- rows by name ---- */

static const struct kp_system_table *table_of(const struct kp_relation *relation)
{
    return relation->attached;
}

void kp_system_row(struct kp_system_rows *rows)
{
    const struct kp_relation *relation = rows->relation;
    bool nulls = !table_of(relation)->key;
    for (uint32_t c = 0; c < rows->col_count; c++) {
        struct kp_datum *datum = cell(rows);
        datum->null = nulls || (relation->never_values && relation->never_values[c]);
        if (kp_type_is_array(datum->type.id))
            datum->null = true;
        else if (kp_type_info(datum->type.id)->string)
            datum->text = kp_text_make("", 0);
        if (relation->hidden_count && c == rows->col_count - 1) { /* tableoid */
            datum->null = false;
            datum->i32 = (int32_t)relation->id;
        }
    }
}

static struct kp_datum *named(struct kp_system_rows *rows, const char *column)
{
    for (uint32_t c = 0; c < rows->col_count; c++)
        if (strcmp(rows->relation->cols[c].name, column) == 0)
            return &rows->cells[rows->count - rows->col_count + c];
    kp_fatal("a system table's column", column, 0);
}

void kp_system_set_text(struct kp_system_rows *rows, const char *column, const char *text)
{
    struct kp_datum *datum = named(rows, column);
    KP_ASSERT(kp_type_info(datum->type.id)->string || datum->type.id == KP_CHAR);
    datum->null = !text;
    if (datum->type.id == KP_CHAR) {
        datum->raw[0] = text ? (uint8_t)text[0] : 0;
        return;
    }
    if (text && !kp_type_is_array(datum->type.id))
        datum->text = kp_text_make(kp_arena_strdup(rows->arena, text), strlen(text));
    else if (text && kp_value_parse(datum->type, kp_str(text), NULL, rows->arena, datum->raw, NULL) != KP_OK)
        kp_fatal("a system table's array", text, 0);
}

void kp_system_set_buf(struct kp_system_rows *rows, const char *column, const struct kp_buf *text)
{
    kp_system_set_text(rows, column,
                       kp_arena_strndup(rows->arena, text->len ? (const char *)text->data : "", text->len));
}

void kp_system_set_int(struct kp_system_rows *rows, const char *column, int64_t value)
{
    struct kp_datum *datum = named(rows, column);
    datum->null = false;
    set_int(datum, value);
}

void kp_system_set_float(struct kp_system_rows *rows, const char *column, float value)
{
    struct kp_datum *datum = named(rows, column);
    datum->null = false;
    datum->f32 = value;
}

void kp_system_set_time(struct kp_system_rows *rows, const char *column, int64_t unix_us)
{
    struct kp_datum *datum = named(rows, column);
    datum->null = false;
    datum->i64 = unix_us - 946684800000000;
}

static struct kp_batch *to_batch(const struct kp_system_rows *rows)
{
    uint32_t count = (uint32_t)(rows->count / rows->col_count);
    struct kp_batch *batch = kp_batch_create(rows->arena, rows->col_count, count);
    for (uint32_t c = 0; c < rows->col_count; c++) {
        struct kp_vec *vec = &batch->vecs[c];
        kp_vec_init(vec, rows->arena, rows->relation->cols[c].type, count);
        size_t width = kp_vec_width(vec);
        for (uint32_t r = 0; r < count; r++) {
            const struct kp_datum *datum = &rows->cells[(size_t)r * rows->col_count + c];
            memcpy((char *)vec->data + r * width, datum->raw, width);
            if (datum->null) {
                kp_vec_need_valid(vec, rows->arena, count);
                kp_vec_set_null(vec, r);
            }
        }
    }
    return batch;
}

/* ---- relations ---- */

const char *kp_system_doc(const struct kp_relation *relation, int32_t sub)
{
    if (relation->kind != KP_RELATION_SYSTEM || sub < 0 || (uint32_t)sub > relation->col_count)
        return NULL;
    const struct kp_system_table *table = table_of(relation);
    return sub == 0 ? table->doc : table->spec ? NULL : table->cols[sub - 1].doc;
}

static enum kp_code scan(void *session, const struct kp_relation *relation, struct kp_arena *arena,
                         struct kp_batch **ret_batch, struct kp_error *err)
{
    struct kp_system_rows rows = {.arena = arena, .relation = relation, .col_count = relation->col_count};
    if (table_of(relation)->fill)
        KP_TRY(table_of(relation)->fill(session, &rows, err));
    KP_ASSERT(rows.count % rows.col_count == 0);
    *ret_batch = to_batch(&rows);
    return KP_OK;
}

/* Columns of a spec, and tableoid, hidden, behind them. */
static void parse_spec(struct kp_relation *relation, const char *spec)
{
    struct kp_arena *arena = &relation->arena;
    size_t count = 2;
    for (const char *at = spec; *at; at++)
        count += *at == ',';
    relation->cols = kp_arena_calloc(arena, count * sizeof *relation->cols);
    relation->never_values = kp_arena_calloc(arena, count * sizeof *relation->never_values);
    while (*spec) {
        char words[3][64] = {"", "", ""};
        size_t end = strcspn(spec, ",");
        sscanf(kp_arena_strndup(arena, spec, end), "%63s %63s %63s", words[0], words[1], words[2]);
        struct kp_column *column = &relation->cols[relation->col_count];
        enum kp_type_id type = strcmp(words[1], "char") == 0 ? KP_CHAR : kp_type_by_name(kp_str(words[1]));
        *column = (struct kp_column){kp_arena_strdup(arena, words[0]), KP_TYPE(type), false};
        KP_ASSERT(column->type.id != KP_TYPE_NONE);
        relation->never_values[relation->col_count++] = strcmp(words[2], "never") == 0;
        spec += end + (spec[end] == ',');
    }
    relation->cols[relation->col_count++] = (struct kp_column){"tableoid", KP_TYPE(KP_OID), true};
    relation->hidden_count = 1;
}

static void parse_key(struct kp_relation *relation, const char *key)
{
    relation->keys = kp_arena_calloc(&relation->arena, relation->col_count * sizeof *relation->keys);
    for (uint32_t c = 0; *key; key += strcspn(key, " "), key += *key == ' ') {
        size_t len = strcspn(key, " ");
        for (c = 0; strlen(relation->cols[c].name) != len || strncmp(relation->cols[c].name, key, len) != 0; c++)
            KP_ASSERT(c + 1 < relation->col_count);
        relation->cols[c].not_null = true;
        relation->keys[relation->key_count++] = c;
    }
}

static enum kp_code add_table(struct kp_db *db, const struct kp_system_table *table, uint32_t id, struct kp_error *err)
{
    struct kp_relation *relation = kp_relation_create();
    relation->kind = KP_RELATION_SYSTEM;
    relation->id = id;
    relation->version = 1;
    relation->schema = table->schema;
    relation->name = table->name;
    while (relation->col_count < KP_SYSTEM_COLUMNS_MAX && table->cols[relation->col_count].name)
        relation->col_count++;
    relation->cols = kp_arena_calloc(&relation->arena, (relation->col_count + 1) * sizeof *relation->cols);
    for (uint32_t i = 0; i < relation->col_count; i++)
        relation->cols[i] = (struct kp_column){.name = table->cols[i].name, .type = KP_TYPE(table->cols[i].type)};
    if (table->spec)
        parse_spec(relation, table->spec);
    if (table->key)
        parse_key(relation, table->key);
    for (uint32_t c = 0; table->name_key && c < relation->col_count; c++)
        if (strcmp(relation->cols[c].name, table->name_key) == 0)
            relation->also_unique = c + 1;
    relation->never_rows = !table->fill;
    relation->system_scan = scan;
    relation->attached = (void *)(uintptr_t)table;
    return kp_catalog_add(db->catalog, relation, false, err);
}

enum kp_code kp_system_tables_add(struct kp_db *db, struct kp_error *err)
{
    uint32_t id = 0x40000000; /* far from the numbers of what users make */
    kp_catalog_write(db->catalog);
    enum kp_code code = KP_OK;
    const struct {
        const struct kp_system_table *tables;
        size_t count;
    } lists[] = {{kp_system_kappa, kp_system_kappa_count}, {kp_system_pg, kp_system_pg_count},
                 {kp_system_proc, kp_system_proc_count},   {kp_system_comments, kp_system_comments_count},
                 {kp_system_types, kp_system_types_count}, {kp_system_info, kp_system_info_count},
                 {kp_system_stat, kp_system_stat_count},   {kp_system_sequences, kp_system_sequences_count},
                 {kp_system_never, kp_system_never_count}};
    for (size_t l = 0; l < KP_COUNT(lists); l++)
        for (size_t i = 0; code == KP_OK && i < lists[l].count; i++)
            code = add_table(db, &lists[l].tables[i], id++, err);
    kp_catalog_unlock(db->catalog);
    return code;
}
