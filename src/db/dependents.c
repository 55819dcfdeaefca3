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

static void add_reads(struct kp_dependents *dependents, uint32_t node, const struct kp_relation *of);

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

static void each_scan(const struct kp_plan *plan, void (*each)(void *arg, struct kp_relation *on), void *arg)
{
    if (plan->kind == KP_PLAN_SCAN)
        each(arg, plan->scan.relation);
    for (uint32_t i = 0; i < plan->input_count; i++)
        each_scan(plan->inputs[i], each, arg);
}

void kp_dependents_each_read(const struct kp_relation *relation, void (*each)(void *arg, struct kp_relation *on),
                             void *arg)
{
    if (relation->sink_from)
        each(arg, relation->sink_from);
    if (relation->late_of)
        each(arg, relation->late_of);
    for (uint32_t i = 0; i < relation->use_count; i++)
        each(arg, relation->uses[i]);
    for (uint32_t i = 0; relation->sequences && i < relation->col_count - relation->hidden_count; i++)
        if (relation->sequences[i])
            each(arg, relation->sequences[i]);
    if (relation->plan)
        each_scan(relation->plan->plan, each, arg);
}

struct reader {
    struct kp_dependents *dependents;
    const struct kp_relation *relation;
    uint32_t node;
};

static void add_read_of(void *arg, struct kp_relation *on)
{
    const struct reader *reader = arg;
    const struct kp_relation *now = NULL;
    if (on == reader->relation->sink_from) /* it follows the name: the version that it began with may be gone */
        now = kp_catalog_find(reader->dependents->catalog, kp_str(on->schema), kp_str(on->name));
    add_read(reader->dependents, reader->node, now ? now : on);
}

static void add_reads(struct kp_dependents *dependents, uint32_t node, const struct kp_relation *of)
{
    struct reader reader = {dependents, of, node};
    kp_dependents_each_read(of, add_read_of, &reader);
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
