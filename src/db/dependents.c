/*
 * Edges from what is read to who reads it:
 *
 *   node of a relation ─► readers, the newest first       (what goes with it)
 *                      ─► reads                           (why it goes)
 *
 * and a walk along them, in PostgreSQL's order: whoever is met goes behind those that read it. A plan has what plain
 * views in it read, too: of what a relation reads the nearest behind it is what it was written with.
 *
 * A relation reads what its plan scans (of a table's versions, the table), what it uses (types, domains, functions,
 * plain views), a sink its view, late rows theirs. What is not in the catalog any more, a plain view that was replaced,
 * stands for itself and for the one that has its name now.
 */
#include "db/dependents.h"

#include "base/mem.h"

struct edge {
    uint32_t node;
    const struct edge *next;
};
struct node {
    struct kp_relation *relation;
    const struct edge *readers, *reads;
    size_t place; /* in out; SIZE_MAX: not taken */
    bool entered;
};

struct kp_dependents {
    const struct kp_catalog *catalog;
    struct node *nodes; /* in order of id, as the catalog's */
    uint32_t count;
    struct kp_arena arena;
};

/* UINT32_MAX: it is not in the catalog. */
static uint32_t find(const struct kp_dependents *dependents, const struct kp_relation *relation)
{
    uint32_t low = 0, high = dependents->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (dependents->nodes[middle].relation->id < relation->id)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < dependents->count && dependents->nodes[low].relation->id == relation->id; low++)
        if (dependents->nodes[low].relation == relation)
            return low;
    return UINT32_MAX;
}

static void push(struct kp_dependents *dependents, const struct edge **list, uint32_t node)
{
    struct edge *edge = kp_arena_alloc(&dependents->arena, sizeof *edge);
    *edge = (struct edge){node, *list};
    *list = edge;
}

static void add_edge(struct kp_dependents *dependents, uint32_t reader, uint32_t on)
{
    struct node *from = &dependents->nodes[reader], *to = &dependents->nodes[on];
    if (reader == on || (to->readers && to->readers->node == reader)) /* read twice: readers come one after the other */
        return;
    push(dependents, &to->readers, reader);
    push(dependents, &from->reads, on);
}

static void add_reads(struct kp_dependents *dependents, uint32_t reader, const struct kp_relation *of);

static void add_read(struct kp_dependents *dependents, uint32_t reader, const struct kp_relation *on)
{
    on = on->versions_of ? on->versions_of : on;
    uint32_t node = find(dependents, on);
    if (node != UINT32_MAX) {
        add_edge(dependents, reader, node);
        return;
    }
    bool failed = on->kind == KP_RELATION_FAILED; /* and was replaced */
    const struct kp_relation *now = failed || on->kind == KP_RELATION_PLAIN_VIEW
                                        ? kp_catalog_find(dependents->catalog, kp_str(on->schema), kp_str(on->name))
                                        : NULL;
    node = now && (failed || now->kind == KP_RELATION_PLAIN_VIEW) ? find(dependents, now) : UINT32_MAX;
    if (node != UINT32_MAX)
        add_edge(dependents, reader, node);
    add_reads(dependents, reader, on);
}

static void add_scans(struct kp_dependents *dependents, uint32_t reader, const struct kp_plan *plan)
{
    if (plan->kind == KP_PLAN_SCAN)
        add_read(dependents, reader, plan->scan.relation);
    for (uint32_t i = 0; i < plan->input_count; i++)
        add_scans(dependents, reader, plan->inputs[i]);
}

static void add_reads(struct kp_dependents *dependents, uint32_t reader, const struct kp_relation *of)
{
    if (of->sink_from) { /* it follows the name: the version that it began with may be gone */
        const struct kp_relation *from = of->sink_from,
                                 *now = kp_catalog_find(dependents->catalog, kp_str(from->schema), kp_str(from->name));
        add_read(dependents, reader, now ? now : from);
    }
    if (of->late_of)
        add_read(dependents, reader, of->late_of);
    for (uint32_t i = 0; i < of->use_count; i++)
        add_read(dependents, reader, of->uses[i]);
    for (uint32_t i = 0; of->sequences && i < of->col_count - of->hidden_count; i++)
        if (of->sequences[i])
            add_read(dependents, reader, of->sequences[i]);
    if (of->plan)
        add_scans(dependents, reader, of->plan->plan);
}

struct kp_dependents *kp_dependents_create(const struct kp_catalog *catalog)
{
    struct kp_dependents *dependents = kp_calloc(1, sizeof *dependents);
    dependents->catalog = catalog;
    dependents->count = (uint32_t)kp_catalog_count(catalog);
    dependents->nodes = kp_calloc(dependents->count + 1, sizeof *dependents->nodes);
    for (uint32_t i = 0; i < dependents->count; i++)
        dependents->nodes[i] = (struct node){.relation = kp_catalog_at(catalog, i), .place = SIZE_MAX};
    for (uint32_t i = 0; i < dependents->count; i++)
        add_reads(dependents, i, dependents->nodes[i].relation);
    return dependents;
}

void kp_dependents_destroy(struct kp_dependents *dependents)
{
    if (!dependents)
        return;
    kp_arena_finish(&dependents->arena);
    kp_free(dependents->nodes);
    kp_free(dependents);
}

static size_t take(struct kp_dependents *dependents, struct node *on, struct kp_relation **out, size_t count)
{
    if (on->entered)
        return count;
    on->entered = true;
    for (const struct edge *edge = on->readers; edge; edge = edge->next)
        count = take(dependents, &dependents->nodes[edge->node], out, count);
    on->place = count;
    out[count++] = on->relation;
    return count;
}

size_t kp_dependents_take(struct kp_dependents *dependents, struct kp_relation *on, struct kp_relation **out,
                          size_t count)
{
    uint32_t node = find(dependents, on);
    KP_ASSERT(node != UINT32_MAX);
    return take(dependents, &dependents->nodes[node], out, count);
}

size_t kp_dependents_read_by(const struct kp_dependents *dependents, const struct kp_relation *relation)
{
    const struct node *node = &dependents->nodes[find(dependents, relation)];
    size_t nearest = SIZE_MAX;
    for (const struct edge *edge = node->reads; edge; edge = edge->next) {
        size_t place = dependents->nodes[edge->node].place;
        if (place > node->place && place < nearest)
            nearest = place;
    }
    return nearest;
}
