/*
 * The catalog: an array of relations in order of id, searched by name through a hash of the folded name.
 *
 * Invariants:
 *   1. Of the relations of one schema and name at most one is shown; the others are hidden versions.
 *   2. The catalog holds one reference to each relation it lists.
 *   3. The array is ordered by id; ids are never reused.
 */
#include "sql/catalog.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "os/thread.h"
#include "sql/comment.h"

struct entry {
    struct kp_relation *relation;
    uint64_t hash; /* of the name alone */
    bool hidden;
};

struct kp_catalog {
    struct kp_rwlock lock;
    struct entry **entries;
    size_t count, cap;
    struct entry **buckets; /* power of two, at most half full; linear probing */
    size_t bucket_count;
    struct kp_comments comments;
};

static const char *const search_path[] = {"pg_catalog", "public", "kappa"};

static uint64_t name_hash(struct kp_str name)
{
    return kp_hash_bytes(name.ptr, name.len);
}

static void index_entry(struct kp_catalog *catalog, struct entry *entry)
{
    size_t at = entry->hash & (catalog->bucket_count - 1);
    while (catalog->buckets[at])
        at = (at + 1) & (catalog->bucket_count - 1);
    catalog->buckets[at] = entry;
}

/* Other changes than additions are rare: the whole index is made anew. */
static void reindex(struct kp_catalog *catalog)
{
    size_t want = 16;
    while (want < catalog->count * 2)
        want *= 2;
    kp_free(catalog->buckets);
    catalog->buckets = kp_calloc(want, sizeof *catalog->buckets);
    catalog->bucket_count = want;
    for (size_t i = 0; i < catalog->count; i++)
        index_entry(catalog, catalog->entries[i]);
}

struct kp_catalog *kp_catalog_create(void)
{
    struct kp_catalog *catalog = kp_calloc(1, sizeof *catalog);
    kp_rwlock_init(&catalog->lock);
    reindex(catalog);
    return catalog;
}

void kp_catalog_destroy(struct kp_catalog *catalog)
{
    if (!catalog)
        return;
    /* Later relations read earlier ones: let go from the end. */
    for (size_t i = catalog->count; i-- > 0;) {
        kp_relation_unref(catalog->entries[i]->relation);
        kp_free(catalog->entries[i]);
    }
    kp_free(catalog->entries);
    kp_free(catalog->buckets);
    kp_comments_finish(&catalog->comments);
    kp_rwlock_finish(&catalog->lock);
    kp_free(catalog);
}

struct kp_comments *kp_catalog_comments(const struct kp_catalog *catalog)
{
    return (struct kp_comments *)(uintptr_t)&catalog->comments;
}

void kp_catalog_read(struct kp_catalog *catalog)
{
    kp_rwlock_read(&catalog->lock);
}
void kp_catalog_write(struct kp_catalog *catalog)
{
    kp_rwlock_write(&catalog->lock);
}
void kp_catalog_unlock(struct kp_catalog *catalog)
{
    kp_rwlock_unlock(&catalog->lock);
}

struct kp_relation *kp_relation_create(void)
{
    struct kp_relation *relation = kp_calloc(1, sizeof *relation);
    relation->references = 1;
    relation->watermark_column = -1;
    return relation;
}

struct kp_relation *kp_relation_ref(struct kp_relation *relation)
{
    struct kp_relation *held = relation->versions_of ? relation->versions_of : relation;
    atomic_fetch_add_explicit(&held->references, 1, memory_order_relaxed);
    return relation;
}

void kp_relation_unref(struct kp_relation *relation)
{
    if (relation && relation->versions_of)
        relation = relation->versions_of;
    if (!relation || atomic_fetch_sub_explicit(&relation->references, 1, memory_order_acq_rel) != 1)
        return;
    kp_plan_release(relation->plan);
    kp_relation_unref(relation->sink_from);
    kp_relation_unref(relation->late_of);
    kp_relation_unref(relation->errors);
    kp_relation_unref(relation->former);
    for (uint32_t i = 0; i < relation->use_count; i++)
        kp_relation_unref(relation->uses[i]);
    for (uint32_t i = 0; relation->sequences && i < relation->col_count - relation->hidden_count; i++)
        kp_relation_unref(relation->sequences[i]);
    if (relation->versions) {
        kp_arena_finish(&relation->versions->arena);
        kp_free(relation->versions);
    }
    kp_arena_finish(&relation->arena);
    kp_free(relation);
}

bool kp_relation_was_null(const struct kp_relation *relation, uint32_t column)
{
    for (; relation->former && column < relation->col_count; relation = relation->former) {
        int32_t former = relation->former_columns[column];
        if (former < 0)
            return relation->absent[column].null;
        column = (uint32_t)former;
        if (!relation->former->cols[column].not_null)
            return true;
    }
    return false;
}

const char *kp_relation_option(const struct kp_relation *relation, const char *name)
{
    for (uint32_t i = 0; i < relation->option_count; i++)
        if (strcmp(relation->options[i].name, name) == 0)
            return relation->options[i].value;
    return NULL;
}

static struct entry *find_entry(const struct kp_catalog *catalog, const char *schema, struct kp_str name)
{
    uint64_t hash = name_hash(name);
    size_t mask = catalog->bucket_count - 1;
    for (size_t at = hash & mask; catalog->buckets[at]; at = (at + 1) & mask) {
        struct entry *entry = catalog->buckets[at];
        if (!entry->hidden && entry->hash == hash && kp_str_equal(kp_str(entry->relation->name), name) &&
            strcmp(entry->relation->schema, schema) == 0)
            return entry;
    }
    return NULL;
}

struct kp_relation *kp_catalog_find(const struct kp_catalog *catalog, struct kp_str schema, struct kp_str name)
{
    struct entry *entry = NULL;
    if (schema.len) {
        char terminated[KP_NAME_BYTES_MAX + 1];
        if (schema.len > KP_NAME_BYTES_MAX)
            return NULL;
        memcpy(terminated, schema.ptr, schema.len);
        terminated[schema.len] = 0;
        entry = find_entry(catalog, terminated, name);
    } else {
        for (size_t i = 0; !entry && i < KP_COUNT(search_path); i++)
            entry = find_entry(catalog, search_path[i], name);
    }
    return entry ? entry->relation : NULL;
}

struct kp_relation *kp_catalog_find_version(const struct kp_catalog *catalog, struct kp_str name, uint32_t version)
{
    uint64_t hash = name_hash(name);
    for (size_t i = 0; i < catalog->count; i++) {
        struct kp_relation *relation = catalog->entries[i]->relation;
        if (catalog->entries[i]->hash == hash && relation->version == version &&
            kp_str_equal(kp_str(relation->name), name) && strcmp(relation->schema, "public") == 0)
            return relation;
    }
    return NULL;
}

struct kp_relation *kp_catalog_find_id(const struct kp_catalog *catalog, uint32_t id)
{
    size_t low = 0, high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (catalog->entries[middle]->relation->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < catalog->count && catalog->entries[low]->relation->id == id ? catalog->entries[low]->relation : NULL;
}

size_t kp_catalog_count(const struct kp_catalog *catalog)
{
    return catalog->count;
}
struct kp_relation *kp_catalog_at(const struct kp_catalog *catalog, size_t index)
{
    KP_ASSERT(index < catalog->count);
    return catalog->entries[index]->relation;
}

const char *kp_relation_schema(enum kp_relation_kind kind)
{
    return kind == KP_RELATION_TYPE || kind == KP_RELATION_DOMAIN ? "types of public"
           : kind == KP_RELATION_FUNCTION                         ? "functions of public"
                                                                  : "public";
}

bool kp_schema_is_system(const char *schema)
{
    return strcmp(schema, "kappa") == 0 || strcmp(schema, "pg_catalog") == 0 ||
           strcmp(schema, "information_schema") == 0;
}

const char *kp_relation_kind_name(enum kp_relation_kind kind)
{
    static const char *const names[] = {[KP_RELATION_SOURCE] = "source",
                                        [KP_RELATION_TABLE] = "table",
                                        [KP_RELATION_VIEW] = "materialized view",
                                        [KP_RELATION_PLAIN_VIEW] = "view",
                                        [KP_RELATION_SINK] = "sink",
                                        [KP_RELATION_SYSTEM] = "system table",
                                        [KP_RELATION_SEQUENCE] = "sequence",
                                        [KP_RELATION_TYPE] = "type",
                                        [KP_RELATION_DOMAIN] = "domain",
                                        [KP_RELATION_FUNCTION] = "function",
                                        [KP_RELATION_FAILED] = "failed object"};
    return names[kind];
}

/* ---- sequences that come with tables ---- */

/* Numbers of relations that statements make are counted in the log's order, and stand in it: these are none of them. */
enum { SEQUENCE_IDS = 0x28000000 };

/* "table_column_seq", of which the longer name is cut until it is a name: PostgreSQL's. */
static const char *sequence_name(struct kp_arena *arena, const char *table, const char *column, uint32_t n)
{
    char label[16] = "seq";
    if (n)
        snprintf(label, sizeof label, "seq%u", n);
    size_t of_table = strlen(table), of_column = strlen(column),
           most = KP_NAME_BYTES_MAX - strlen(label) - 2; /* two underscores */
    while (of_table + of_column > most) {
        if (of_table > of_column)
            of_table--;
        else
            of_column--;
    }
    return kp_arena_printf(arena, "%.*s_%.*s_%s", (int)kp_utf8_valid_prefix(table, of_table), table,
                           (int)kp_utf8_valid_prefix(column, of_column), column, label);
}

const char *kp_catalog_sequence_name(const struct kp_catalog *catalog, struct kp_arena *arena, const char *table,
                                     const char *column)
{
    const char *name = sequence_name(arena, table, column, 0);
    for (uint32_t n = 1; find_entry(catalog, "public", kp_str(name)); n++)
        name = sequence_name(arena, table, column, n);
    return name;
}

static enum kp_code add_entry(struct kp_catalog *catalog, struct kp_relation *relation, bool hidden,
                              struct kp_error *err);

/* A table that was altered: what goes with its columns goes with them where they are now. */
static void move_sequences(struct kp_catalog *catalog, const struct kp_relation *fresh)
{
    for (size_t i = 0; fresh->former_columns && i < catalog->count; i++) {
        const struct kp_relation *relation = catalog->entries[i]->relation;
        if (!kp_relation_is_owned(relation, fresh))
            continue;
        uint32_t column = 0;
        while (column + 1 < fresh->col_count &&
               fresh->former_columns[column] != (int32_t)relation->sequence->owner_column)
            column++;
        relation->sequence->owner_column = column;
    }
}

static enum kp_code add_sequences(struct kp_catalog *catalog, const struct kp_relation *table, struct kp_error *err)
{
    for (uint32_t c = 0; table->sequences && c < table->col_count - table->hidden_count; c++) {
        struct kp_relation *relation = table->sequences[c];
        if (!relation || relation->id)
            continue;
        relation->id = SEQUENCE_IDS + table->id * KP_COLUMNS_MAX + c;
        while (kp_catalog_find_id(catalog, relation->id))
            relation->id++;
        relation->name = kp_catalog_sequence_name(catalog, &relation->arena, table->name, table->cols[c].name);
        relation->position = table->position;
        relation->version = 1;
        relation->sequence->owner = table->id;
        relation->sequence->owner_column = c;
        KP_TRY(add_entry(catalog, kp_relation_ref(relation), false, err));
    }
    return KP_OK;
}

/* What `fresh` goes on with stays. */
static void remove_sequences(struct kp_catalog *catalog, const struct kp_relation *old, const struct kp_relation *fresh)
{
    for (uint32_t c = 0; old->sequences && c < old->col_count - old->hidden_count; c++) {
        bool stays = !old->sequences[c];
        for (uint32_t i = 0; !stays && fresh->sequences && i < fresh->col_count - fresh->hidden_count; i++)
            stays = fresh->sequences[i] == old->sequences[c];
        if (!stays)
            kp_catalog_remove(catalog, old->sequences[c]);
    }
}

/* ---- changes ---- */

static enum kp_code add_entry(struct kp_catalog *catalog, struct kp_relation *relation, bool hidden,
                              struct kp_error *err)
{
    struct kp_str name = kp_str(relation->name);
    const struct entry *there = hidden ? NULL : find_entry(catalog, relation->schema, name);
    if (there) {
        kp_fail(err, KP_EXISTS, "42P07", "relation \"%s\" already exists", relation->name);
        return kp_error_detail(err, "It is a %s.", kp_relation_kind_name(kp_relation_declared(there->relation)));
    }
    if (catalog->count == catalog->cap) {
        catalog->cap = catalog->cap ? catalog->cap * 2 : 32;
        catalog->entries = kp_realloc(catalog->entries, catalog->cap * sizeof *catalog->entries);
    }
    size_t at = catalog->count++;
    while (at > 0 && catalog->entries[at - 1]->relation->id > relation->id) {
        catalog->entries[at] = catalog->entries[at - 1];
        at--;
    }
    catalog->entries[at] = kp_alloc(sizeof(struct entry));
    *catalog->entries[at] = (struct entry){relation, name_hash(name), hidden};
    if (catalog->bucket_count < catalog->count * 2)
        reindex(catalog);
    else
        index_entry(catalog, catalog->entries[at]);
    return KP_OK;
}

enum kp_code kp_catalog_add(struct kp_catalog *catalog, struct kp_relation *relation, bool hidden, struct kp_error *err)
{
    KP_TRY(add_entry(catalog, relation, hidden, err));
    return add_sequences(catalog, relation, err);
}

void kp_catalog_remove(struct kp_catalog *catalog, struct kp_relation *relation)
{
    for (size_t i = 0; i < catalog->count; i++) {
        if (catalog->entries[i]->relation != relation)
            continue;
        kp_free(catalog->entries[i]);
        memmove(&catalog->entries[i], &catalog->entries[i + 1], (catalog->count - i - 1) * sizeof *catalog->entries);
        catalog->count--;
        reindex(catalog);
        kp_relation_unref(relation);
        return;
    }
}

void kp_catalog_replace(struct kp_catalog *catalog, struct kp_relation *old, struct kp_relation *fresh)
{
    fresh->id = old->id;
    fresh->version = old->version;
    for (size_t i = 0; i < catalog->count; i++) {
        struct entry *entry = catalog->entries[i];
        if (entry->relation != old)
            continue;
        entry->relation = fresh;
        entry->hash = name_hash(kp_str(fresh->name));
        reindex(catalog);
        remove_sequences(catalog, old, fresh);
        move_sequences(catalog, fresh);
        kp_relation_unref(old);
        struct kp_error never; /* their names are free */
        enum kp_code code = add_sequences(catalog, fresh, &never);
        KP_ASSERT(code == KP_OK);
        return;
    }
    KP_ASSERT(!"it is in the catalog");
}

enum kp_code kp_relation_check_failed(const struct kp_relation *relation, struct kp_error *err)
{
    if (relation->kind != KP_RELATION_FAILED)
        return KP_OK;
    if (err) {
        *err = *relation->failure;
        memcpy(err->sqlstate, "55000", sizeof err->sqlstate); /* the reason's is about another statement */
        kp_error_context(err, "%s \"%s\" failed", kp_relation_kind_name(relation->declared), relation->name);
    }
    return relation->failure->code;
}

void kp_catalog_rename(struct kp_catalog *catalog, struct kp_relation *relation, const char *name)
{
    kp_comments_rename(&catalog->comments, relation, name);
    relation->name = kp_arena_strdup(&relation->arena, name);
    for (size_t i = 0; i < catalog->count; i++)
        if (catalog->entries[i]->relation == relation)
            catalog->entries[i]->hash = name_hash(kp_str(name));
    reindex(catalog);
}

void kp_catalog_promote(struct kp_catalog *catalog, struct kp_relation *relation)
{
    for (size_t i = 0; i < catalog->count; i++) {
        struct entry *entry = catalog->entries[i];
        if (strcmp(entry->relation->name, relation->name) == 0 &&
            strcmp(entry->relation->schema, relation->schema) == 0)
            entry->hidden = entry->relation != relation;
    }
}

size_t kp_catalog_suggest(const struct kp_catalog *catalog, struct kp_str name, const char **ret_names, size_t max)
{
    size_t found = 0, limit = name.len / 3 + 1;
    size_t distances[8];
    max = KP_MIN(max, KP_COUNT(distances));
    for (size_t i = 0; i < catalog->count; i++) {
        const struct kp_relation *relation = catalog->entries[i]->relation;
        if (catalog->entries[i]->hidden || strcmp(relation->schema, "pg_catalog") == 0)
            continue;
        size_t distance = kp_sql_distance(name, kp_str(relation->name));
        if (distance > limit)
            continue;
        size_t at = found < max ? found++ : max;
        for (; at > 0 && distances[at - 1] > distance; at--) {
            if (at < max) {
                distances[at] = distances[at - 1];
                ret_names[at] = ret_names[at - 1];
            }
        }
        if (at < max) {
            distances[at] = distance;
            ret_names[at] = relation->name;
        }
    }
    return found;
}

static bool plan_reads(const struct kp_plan *plan, const struct kp_relation *on)
{
    if (plan->kind == KP_PLAN_SCAN)
        return kp_relation_is_of(plan->scan.relation, on) || kp_relation_depends_on(plan->scan.relation, on);
    for (uint32_t i = 0; i < plan->input_count; i++)
        if (plan_reads(plan->inputs[i], on))
            return true;
    return false;
}

/* A plain view follows the one that has its name now (plain_view.c), and so does what failed over one that failed. */
static bool is_replaced_by(const struct kp_relation *used, const struct kp_relation *on)
{
    if (used->kind == KP_RELATION_FAILED)
        return strcmp(used->name, on->name) == 0 && strcmp(used->schema, on->schema) == 0;
    return used->kind == KP_RELATION_PLAIN_VIEW && on->kind == KP_RELATION_PLAIN_VIEW &&
           strcmp(used->name, on->name) == 0;
}

bool kp_relation_depends_on(const struct kp_relation *relation, const struct kp_relation *on)
{
    if (relation->sink_from && (relation->sink_from == on || kp_relation_depends_on(relation->sink_from, on)))
        return true;
    if (relation->late_of && (relation->late_of == on || kp_relation_depends_on(relation->late_of, on)))
        return true;
    if (relation->sequence && relation->sequence->implicit && kp_relation_is_owned(relation, on))
        return true;
    for (uint32_t i = 0; i < relation->use_count; i++)
        if (relation->uses[i] == on || is_replaced_by(relation->uses[i], on) ||
            kp_relation_depends_on(relation->uses[i], on))
            return true;
    return relation->plan && plan_reads(relation->plan->plan, on);
}
