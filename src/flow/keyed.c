#include "flow/keyed.h"

void kp_keyed_define(struct kp_keyed *keyed, struct kp_arena *arena, const struct kp_type *types, uint32_t row_cols,
                     const uint32_t *key_columns, uint32_t key_count)
{
    keyed->key_count = key_count;
    keyed->row_cols = row_cols;
    keyed->key_columns = kp_arena_alloc(arena, (key_count + 1) * sizeof *keyed->key_columns);
    struct kp_type *key_types = kp_arena_alloc(arena, (key_count + 1) * sizeof *key_types);
    for (uint32_t k = 0; k < key_count; k++) {
        keyed->key_columns[k] = key_columns[k];
        key_types[k] = types[key_columns[k]];
    }
    kp_row_layout_init(&keyed->key_layout, arena, key_types, key_count, true, 0);
    kp_row_layout_init(&keyed->row_layout, arena, types, row_cols, true, 0);
}

void kp_keyed_start(struct kp_keyed *keyed, const struct kp_node *node)
{
    keyed->parts = kp_calloc(node->graph->parts, sizeof *keyed->parts);
    for (uint32_t p = 0; p < node->graph->parts; p++) {
        struct kp_keyed_part *part = &keyed->parts[p];
        kp_table_init(&part->keys, &keyed->key_layout, keyed->key_count, sizeof(struct kp_keyed_group *), NULL);
        kp_table_init(&part->rows, &keyed->row_layout, 0, keyed->payload_bytes, node->graph->options.budget);
    }
}

static inline struct kp_keyed_group **slot_of(const struct kp_keyed_part *part, uint32_t id)
{
    return kp_table_payload(&part->keys, kp_table_row(&part->keys, id));
}

static void free_group(const struct kp_keyed *keyed, struct kp_keyed_part *part, struct kp_keyed_group *group)
{
    part->more_bytes -= group->rows.bytes + (int64_t)keyed->group_bytes;
    kp_ordered_finish(&group->rows);
    if (keyed->group_finish)
        keyed->group_finish(group);
    kp_free(group);
}

void kp_keyed_finish(struct kp_keyed *keyed, const struct kp_node *node)
{
    for (uint32_t p = 0; keyed->parts && p < node->graph->parts; p++) {
        struct kp_keyed_part *part = &keyed->parts[p];
        uint32_t count, *ids = kp_table_ids(&part->keys, &count);
        for (uint32_t i = 0; i < count; i++) {
            struct kp_keyed_group *group = *slot_of(part, ids[i]);
            uint64_t at = 0;
            for (const struct kp_ordered_entry *entry; (entry = kp_ordered_next(&group->rows, &at));)
                kp_row_unset_all(&keyed->row_layout, &part->rows.heap, kp_table_row(&part->rows, entry->id));
            free_group(keyed, part, group);
        }
        kp_free(ids);
        kp_table_finish(&part->keys);
        kp_table_finish(&part->rows);
    }
    kp_free(keyed->parts);
    keyed->parts = NULL;
}

void kp_keyed_release(struct kp_keyed *keyed, const struct kp_node *node)
{
    for (uint32_t p = 0; p < node->graph->parts; p++) {
        kp_heap_sweep(&keyed->parts[p].keys.heap);
        kp_heap_sweep(&keyed->parts[p].rows.heap);
    }
}

bool kp_keyed_same(const struct kp_keyed *a, const struct kp_keyed *b)
{
    return a->key_count == b->key_count && a->row_cols == b->row_cols &&
           (!a->key_count || memcmp(a->key_columns, b->key_columns, a->key_count * sizeof *a->key_columns) == 0);
}

void kp_keyed_stats(const struct kp_keyed *keyed, const struct kp_node *node, struct kp_node_stats *stats)
{
    for (uint32_t p = 0; p < node->graph->parts; p++) {
        const struct kp_keyed_part *part = &keyed->parts[p];
        stats->state_rows += part->rows.live;
        stats->state_bytes += (uint64_t)(kp_table_bytes(&part->rows) + kp_table_bytes(&part->keys) + part->more_bytes);
    }
}

void kp_keyed_push(const struct kp_keyed *keyed, struct kp_node *node, struct kp_lane *lane, struct kp_batch *batch)
{
    uint64_t *hashes = kp_arena_calloc(&lane->arena, batch->rows * sizeof *hashes);
    for (uint32_t k = 0; k < keyed->key_count; k++)
        kp_vec_hash(&batch->vecs[keyed->key_columns[k]], batch->rows, hashes, k == 0);
    if (keyed->key_count == 0)
        kp_inbox_send_part(&node->inboxes[0], lane, 0, batch, hashes, NULL);
    else
        kp_inbox_send(&node->inboxes[0], lane, batch, hashes, NULL);
}

struct kp_keyed_group **kp_keyed_groups(const struct kp_keyed *keyed, struct kp_lane *lane, struct kp_keyed_part *part,
                                        const struct kp_piece *piece)
{
    const struct kp_batch *batch = piece->batch;
    struct kp_vec *vecs = kp_arena_alloc(&lane->arena, (keyed->key_count + 1) * sizeof *vecs);
    for (uint32_t k = 0; k < keyed->key_count; k++)
        vecs[k] = batch->vecs[keyed->key_columns[k]];
    uint32_t *ids = kp_arena_alloc(&lane->arena, (batch->rows + 1) * sizeof *ids),
             *made = kp_arena_alloc(&lane->arena, (batch->rows + 1) * sizeof *made), made_count = 0;
    kp_table_probe(&part->keys, vecs, piece->hashes, batch->rows, true, ids, made, &made_count);
    for (uint32_t i = 0; i < made_count; i++) {
        struct kp_keyed_group *group = kp_calloc(1, keyed->group_bytes);
        group->id = ids[made[i]];
        group->hash = piece->hashes[made[i]];
        *slot_of(part, group->id) = group;
        part->more_bytes += (int64_t)keyed->group_bytes;
    }
    struct kp_keyed_group **groups = kp_arena_alloc(&lane->arena, (batch->rows + 1) * sizeof(struct kp_keyed_group *));
    for (uint32_t i = 0; i < batch->rows; i++)
        groups[i] = *slot_of(part, ids[i]);
    return groups;
}

uint32_t kp_keyed_take(const struct kp_keyed *keyed, struct kp_keyed_part *part, struct kp_keyed_group *group,
                       const struct kp_buf *key, const struct kp_batch *batch, uint32_t i)
{
    const struct kp_ordered_entry *entry = kp_ordered_find(&group->rows, key->data, key->len);
    if (entry)
        return entry->id;
    uint32_t id = kp_table_new_row(&part->rows);
    void *row = kp_table_row(&part->rows, id);
    for (uint32_t c = 0; c < keyed->row_cols; c++)
        kp_row_set(&keyed->row_layout, &part->rows.heap, row, c, &batch->vecs[c], i);
    int64_t before = group->rows.bytes;
    kp_ordered_insert(&group->rows, key->data, key->len, id);
    part->more_bytes += group->rows.bytes - before;
    return id;
}

void kp_keyed_remove(struct kp_keyed_part *part, struct kp_keyed_group *group, const struct kp_buf *key, uint32_t id)
{
    int64_t before = group->rows.bytes;
    kp_ordered_remove(&group->rows, key->data, key->len);
    kp_table_free_row(&part->rows, id);
    part->more_bytes += group->rows.bytes - before;
}

void kp_keyed_load(const struct kp_keyed *keyed, const struct kp_keyed_part *part, uint32_t id, struct kp_arena *arena,
                   struct kp_vec *ret_vecs)
{
    for (uint32_t c = 0; c < keyed->row_cols; c++)
        kp_table_load(&part->rows, c, &id, 1, arena, &ret_vecs[c]);
}

bool kp_keyed_touch(struct kp_keyed_part *part, struct kp_keyed_group *group)
{
    if (group->touched)
        return false;
    group->touched = true;
    group->next_touched = part->touched;
    part->touched = group;
    return true;
}

struct kp_keyed_group *kp_keyed_next_touched(struct kp_keyed_part *part)
{
    struct kp_keyed_group *group = part->touched;
    if (group) {
        part->touched = group->next_touched;
        group->touched = false;
    }
    return group;
}

void kp_keyed_settle_group(const struct kp_keyed *keyed, struct kp_keyed_part *part, struct kp_keyed_group *group)
{
    if (group->rows.count)
        return;
    kp_table_remove(&part->keys, group->id, group->hash);
    free_group(keyed, part, group);
}

enum kp_code kp_keyed_charge(struct kp_keyed_part *part, int64_t beside, struct kp_error *err)
{
    return kp_table_settle(&part->rows, part->more_bytes + kp_table_bytes(&part->keys) + beside, err);
}
