/*
 * What survives a power cut.
 *
 * A node keeps its bytes as reads see them (`now`), its bytes as of the last sync (`stable`), and the changes between
 * the two. A sync makes them equal. A cut starts from `stable` and lets each change survive whole, not at all, or in
 * pieces, in a shuffled order: the disk may write its cache out as it likes. Names work the same, with their folder's
 * sync.
 */
#include <string.h>

#include "sim/internal.h"

/* ---- contents ---- */

static void reserve(struct kp_buf *bytes, uint64_t size)
{
    if (bytes->cap >= size)
        return;
    bytes->cap = (size_t)(size + size / 2);
    bytes->data = sim_realloc(bytes->data, bytes->cap);
}

static void resize(struct kp_buf *bytes, uint64_t size)
{
    if (size > bytes->len) {
        size_t more = (size_t)size - bytes->len;
        reserve(bytes, size);
        memset(bytes->data + bytes->len, 0, more);
    }
    bytes->len = (size_t)size;
}

static void note(struct sim_node *node, uint64_t offset, const void *bytes, size_t len)
{
    if (node->change_count == node->change_cap) {
        node->change_cap = node->change_cap ? node->change_cap * 2 : 8;
        node->changes = sim_realloc(node->changes, node->change_cap * sizeof *node->changes);
    }
    struct sim_change *change = &node->changes[node->change_count++];
    *change = (struct sim_change){offset, len, NULL};
    if (bytes) {
        change->data = sim_realloc(NULL, len);
        memcpy(change->data, bytes, len);
    }
}

void sim_node_write(struct sim_node *node, uint64_t offset, const void *bytes, size_t len)
{
    if (offset + len > node->now.len)
        sim_node_resize(node, offset + len);
    memcpy(node->now.data + offset, bytes, len);
    note(node, offset, bytes, len);
}

void sim_node_resize(struct sim_node *node, uint64_t bytes)
{
    resize(&node->now, bytes);
    note(node, bytes, NULL, 0);
}

static void forget_changes(struct sim_node *node)
{
    for (size_t i = 0; i < node->change_count; i++)
        kp_free(node->changes[i].data);
    node->change_count = 0;
}

void sim_node_sync(struct sim_node *node)
{
    for (size_t i = 0; i < node->change_count; i++) {
        const struct sim_change *change = &node->changes[i];
        if (!change->data)
            resize(&node->stable, change->offset);
        else if (change->offset + change->len <= node->stable.len)
            memcpy(node->stable.data + change->offset, change->data, change->len);
    }
    forget_changes(node);
}

static void survive(struct kp_sim *sim, struct sim_node *node, const struct sim_change *change, enum kp_sim_cut mode)
{
    if (!change->data)
        return;
    if (mode == KP_SIM_CUT_RANDOM) /* each write has its own fate */
        mode = KP_SIM_CUT_DROP + (enum kp_sim_cut)kp_sim_below(sim, 3);
    if (mode == KP_SIM_CUT_DROP)
        return;
    uint64_t piece = kp_sim_below(sim, 2) ? 512 : 4096;
    uint64_t keep_of_8 = 1 + kp_sim_below(sim, 7);
    for (uint64_t at = 0; at < change->len; at += piece) {
        uint64_t len = KP_MIN(piece, change->len - at);
        bool kept = mode == KP_SIM_CUT_KEEP || kp_sim_below(sim, 8) < keep_of_8;
        if (kept && change->offset + at + len <= node->stable.len)
            memcpy(node->stable.data + change->offset + at, change->data + at, (size_t)len);
    }
}

void sim_node_settle(struct kp_sim *sim, struct sim_node *node, enum kp_sim_cut mode)
{
    if (!node->change_count)
        return;
    for (size_t i = 0; i < node->change_count; i++) /* sizes are the file system's journal: in order, up to any point */
        if (!node->changes[i].data && mode != KP_SIM_CUT_DROP) {
            if (mode != KP_SIM_CUT_KEEP && kp_sim_below(sim, 4) == 0)
                break;
            resize(&node->stable, node->changes[i].offset);
        }
    for (size_t i = node->change_count; mode != KP_SIM_CUT_KEEP && i > 1; i--) { /* shuffle */
        size_t k = (size_t)kp_sim_below(sim, i);
        struct sim_change swap = node->changes[i - 1];
        node->changes[i - 1] = node->changes[k];
        node->changes[k] = swap;
    }
    for (size_t i = 0; i < node->change_count; i++)
        survive(sim, node, &node->changes[i], mode);
    forget_changes(node);
    node->now.len = 0;
    reserve(&node->now, node->stable.len);
    kp_buf_append(&node->now, node->stable.data, node->stable.len);
}

void sim_node_finish(struct sim_node *node)
{
    forget_changes(node);
    kp_free(node->changes);
    kp_buf_finish(&node->now);
    kp_buf_finish(&node->stable);
}

/* ---- names ---- */

struct sim_name *sim_name_find(struct sim_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i].name, name) == 0)
            return &names->list[i];
    return NULL;
}

static void put(struct sim_names *names, const char *name, uint32_t node)
{
    struct sim_name *found = sim_name_find(names, name);
    if (found) {
        found->node = node;
        return;
    }
    if (names->count == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 8;
        names->list = sim_realloc(names->list, names->cap * sizeof *names->list);
    }
    names->list[names->count++] = (struct sim_name){sim_strdup(name), node};
}

static void take_away(struct sim_names *names, const char *name)
{
    struct sim_name *found = sim_name_find(names, name);
    if (found) {
        kp_free(found->name);
        *found = names->list[--names->count];
    }
}

static void apply(struct sim_names *names, const struct sim_name_change *change)
{
    if (change->kind == SIM_UNLINK) {
        take_away(names, change->name);
    } else if (change->kind == SIM_LINK) {
        put(names, change->name, change->node);
    } else {
        take_away(names, change->name);
        put(names, change->to, change->node);
    }
}

void sim_name_change(struct kp_sim *sim, enum sim_name_kind kind, const char *name, const char *to, uint32_t node)
{
    if (sim->change_count == sim->change_cap) {
        sim->change_cap = sim->change_cap ? sim->change_cap * 2 : 8;
        sim->changes = sim_realloc(sim->changes, sim->change_cap * sizeof *sim->changes);
    }
    struct sim_name_change *change = &sim->changes[sim->change_count++];
    *change = (struct sim_name_change){kind, sim_strdup(name), to ? sim_strdup(to) : NULL, node};
    apply(&sim->now, change);
}

static void settle_names(struct kp_sim *sim, size_t survivors, uint64_t skip_one_of)
{
    for (size_t i = 0; i < sim->change_count; i++) {
        if (i < survivors && !(skip_one_of && kp_sim_below(sim, skip_one_of) == 0))
            apply(&sim->stable, &sim->changes[i]);
        kp_free(sim->changes[i].name);
        kp_free(sim->changes[i].to);
    }
    sim->change_count = 0;
}

void sim_names_sync(struct kp_sim *sim)
{
    settle_names(sim, sim->change_count, 0);
}

void sim_names_settle(struct kp_sim *sim, enum kp_sim_cut mode)
{
    size_t survivors = sim->change_count;
    uint64_t skip_one_of = 0;
    if (mode == KP_SIM_CUT_DROP)
        survivors = 0;
    else if (mode != KP_SIM_CUT_KEEP) { /* a journaling file system keeps a prefix; others any part */
        survivors = (size_t)kp_sim_below(sim, sim->change_count + 1);
        skip_one_of = kp_sim_below(sim, 2) ? 0 : 3;
    }
    settle_names(sim, survivors, skip_one_of);
    while (sim->now.count)
        take_away(&sim->now, sim->now.list[0].name);
    for (size_t i = 0; i < sim->stable.count; i++)
        put(&sim->now, sim->stable.list[i].name, sim->stable.list[i].node);
}

void sim_names_finish(struct kp_sim *sim)
{
    settle_names(sim, 0, 0);
    while (sim->now.count)
        take_away(&sim->now, sim->now.list[0].name);
    while (sim->stable.count)
        take_away(&sim->stable, sim->stable.list[0].name);
    kp_free(sim->now.list);
    kp_free(sim->stable.list);
    kp_free(sim->changes);
}
