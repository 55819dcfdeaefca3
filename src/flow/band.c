#include "flow/band.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { LEAF_ENTRIES = 64, INNER_CHILDREN = 32, HEIGHT_MAX = 16 };

struct leaf {
    uint32_t count;
    struct kp_band_entry entries[LEAF_ENTRIES];
};

struct child {
    struct kp_band_entry first; /* not above the child's entries; its high is the greatest below the child */
    void *node;
};

struct inner {
    uint32_t count;
    struct child children[INNER_CHILDREN];
};

static int compare(const struct kp_band_entry *a, const struct kp_band_entry *b)
{
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static int compare_entries(const void *a, const void *b)
{
    return compare(a, b);
}

static void *new_node(struct kp_band *band, uint32_t height)
{
    size_t bytes = height ? sizeof(struct inner) : sizeof(struct leaf);
    band->bytes += (int64_t)bytes;
    void *node = kp_alloc(bytes);
    *(uint32_t *)node = 0; /* count */
    return node;
}

static void free_node(struct kp_band *band, void *node, uint32_t height)
{
    for (uint32_t i = 0; height && i < ((struct inner *)node)->count; i++)
        free_node(band, ((struct inner *)node)->children[i].node, height - 1);
    band->bytes -= (int64_t)(height ? sizeof(struct inner) : sizeof(struct leaf));
    kp_free(node);
}

void kp_band_finish(struct kp_band *band)
{
    if (band->root)
        free_node(band, band->root, band->height);
    *band = (struct kp_band){0};
}

/* The entry that stands for a node in the one above. */
static struct kp_band_entry summary(const void *node, uint32_t height)
{
    struct kp_band_entry sum;
    if (height) {
        const struct inner *inner = node;
        sum = inner->children[0].first;
        for (uint32_t i = 1; i < inner->count; i++)
            sum.high = KP_MAX(sum.high, inner->children[i].first.high);
    } else {
        const struct leaf *leaf = node;
        sum = leaf->entries[0];
        for (uint32_t i = 1; i < leaf->count; i++)
            sum.high = KP_MAX(sum.high, leaf->entries[i].high);
    }
    return sum;
}

/* The first entry of a leaf not below the one given. */
static uint32_t place_in_leaf(const struct leaf *leaf, const struct kp_band_entry *entry)
{
    uint32_t low = 0, high = leaf->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(&leaf->entries[middle], entry) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The last child whose first entry is not above the one given; the first one if there is none. */
static uint32_t place_in_inner(const struct inner *inner, const struct kp_band_entry *entry)
{
    uint32_t low = 1, high = inner->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(&inner->children[middle].first, entry) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

/* ---- changes ---- */

static void insert_child(struct inner *inner, uint32_t at, const struct child *child)
{
    memmove(inner->children + at + 1, inner->children + at, (inner->count - at) * sizeof *inner->children);
    inner->children[at] = *child;
    inner->count++;
}

/* Below the node; *ret_more: a node behind it, if it had to be split. */
static bool insert(struct kp_band *band, void *node, uint32_t height, const struct kp_band_entry *entry,
                   struct child *ret_more)
{
    if (height == 0) {
        struct leaf *leaf = node, *into = leaf, *more = NULL;
        uint32_t at = place_in_leaf(leaf, entry);
        if (leaf->count == LEAF_ENTRIES) {
            uint32_t kept = at == LEAF_ENTRIES ? LEAF_ENTRIES - 1 : LEAF_ENTRIES / 2; /* rows often come in order */
            more = new_node(band, 0);
            more->count = LEAF_ENTRIES - kept;
            memcpy(more->entries, leaf->entries + kept, more->count * sizeof *more->entries);
            leaf->count = kept;
            if (at > kept) {
                into = more;
                at -= kept;
            }
        }
        memmove(into->entries + at + 1, into->entries + at, (into->count - at) * sizeof *into->entries);
        into->entries[at] = *entry;
        into->count++;
        if (more)
            *ret_more = (struct child){summary(more, 0), more};
        return more != NULL;
    }
    struct inner *inner = node, *into = inner, *more = NULL;
    struct child below;
    uint32_t at = place_in_inner(inner, entry);
    bool split = insert(band, inner->children[at].node, height - 1, entry, &below);
    inner->children[at].first = summary(inner->children[at].node, height - 1);
    if (!split)
        return false;
    at++;
    if (inner->count == INNER_CHILDREN) {
        uint32_t kept = at == INNER_CHILDREN ? INNER_CHILDREN - 1 : INNER_CHILDREN / 2;
        more = new_node(band, height);
        more->count = INNER_CHILDREN - kept;
        memcpy(more->children, inner->children + kept, more->count * sizeof *more->children);
        inner->count = kept;
        if (at > kept) {
            into = more;
            at -= kept;
        }
    }
    insert_child(into, at, &below);
    if (more)
        *ret_more = (struct child){summary(more, height), more};
    return more != NULL;
}

void kp_band_insert(struct kp_band *band, const struct kp_band_entry *entry)
{
    struct child more;
    if (!band->root)
        band->root = new_node(band, 0);
    band->count++;
    if (!insert(band, band->root, band->height, entry, &more))
        return;
    struct inner *root = new_node(band, band->height + 1);
    root->count = 2;
    root->children[0] = (struct child){summary(band->root, band->height), band->root};
    root->children[1] = more;
    band->root = root;
    band->height++;
    KP_ASSERT(band->height < HEIGHT_MAX);
}

/* True if the node has no entries any more. */
static bool remove_below(struct kp_band *band, void *node, uint32_t height, const struct kp_band_entry *entry)
{
    if (height == 0) {
        struct leaf *leaf = node;
        uint32_t at = place_in_leaf(leaf, entry);
        KP_ASSERT(at < leaf->count && compare(&leaf->entries[at], entry) == 0);
        leaf->count--;
        memmove(leaf->entries + at, leaf->entries + at + 1, (leaf->count - at) * sizeof *leaf->entries);
        return leaf->count == 0;
    }
    struct inner *inner = node;
    uint32_t at = place_in_inner(inner, entry);
    if (!remove_below(band, inner->children[at].node, height - 1, entry)) {
        inner->children[at].first = summary(inner->children[at].node, height - 1);
        return false;
    }
    free_node(band, inner->children[at].node, height - 1);
    inner->count--;
    memmove(inner->children + at, inner->children + at + 1, (inner->count - at) * sizeof *inner->children);
    return inner->count == 0;
}

void kp_band_remove(struct kp_band *band, const struct kp_band_entry *entry)
{
    KP_ASSERT(band->root);
    band->count--;
    if (remove_below(band, band->root, band->height, entry)) {
        ((struct leaf *)band->root)->count = 0; /* of either kind: the first field */
        free_node(band, band->root, band->height);
        band->root = NULL;
        band->height = 0;
    }
    while (band->height && ((struct inner *)band->root)->count == 1) {
        struct inner *root = band->root;
        band->root = root->children[0].node;
        root->count = 0;
        free_node(band, root, band->height--);
    }
}

void kp_band_build(struct kp_band *band, struct kp_band_entry *entries, uint64_t count)
{
    KP_ASSERT(!band->root);
    if (count == 0)
        return;
    qsort(entries, count, sizeof *entries, compare_entries);
    const uint64_t leaf_fill = LEAF_ENTRIES * 3 / 4, inner_fill = INNER_CHILDREN * 3 / 4;
    uint64_t nodes = (count + leaf_fill - 1) / leaf_fill;
    struct child *level = kp_alloc(nodes * sizeof *level);
    for (uint64_t i = 0; i < nodes; i++) {
        struct leaf *leaf = new_node(band, 0);
        leaf->count = (uint32_t)KP_MIN(leaf_fill, count - i * leaf_fill);
        memcpy(leaf->entries, entries + i * leaf_fill, leaf->count * sizeof *entries);
        level[i] = (struct child){summary(leaf, 0), leaf};
    }
    for (; nodes > 1; band->height++) {
        uint64_t above = (nodes + inner_fill - 1) / inner_fill;
        for (uint64_t i = 0; i < above; i++) {
            struct inner *inner = new_node(band, band->height + 1);
            inner->count = (uint32_t)KP_MIN(inner_fill, nodes - i * inner_fill);
            memcpy(inner->children, level + i * inner_fill, inner->count * sizeof *level);
            level[i] = (struct child){summary(inner, band->height + 1), inner};
        }
        nodes = above;
    }
    band->root = level[0].node;
    band->count = count;
    kp_free(level);
}

/* ---- searches ---- */

struct search {
    struct kp_band_entry from, to; /* both may be found */
    uint64_t least;
    uint32_t *ids, count, cap;
    struct kp_band_place *place;
};

/* False when there is no room, or nothing more can come. */
static bool search(struct search *self, const void *node, uint32_t height)
{
    if (height == 0) {
        const struct leaf *leaf = node;
        for (uint32_t i = place_in_leaf(leaf, &self->from); i < leaf->count; i++) {
            const struct kp_band_entry *entry = &leaf->entries[i];
            if (compare(entry, &self->to) > 0)
                return false;
            if (entry->high < self->least)
                continue;
            self->ids[self->count++] = entry->id;
            if (self->count == self->cap) {
                *self->place = (struct kp_band_place){true, entry->order, entry->id};
                return false;
            }
        }
        return true;
    }
    const struct inner *inner = node;
    for (uint32_t i = place_in_inner(inner, &self->from); i < inner->count; i++) {
        if (compare(&inner->children[i].first, &self->to) > 0)
            return false;
        if (inner->children[i].first.high >= self->least && !search(self, inner->children[i].node, height - 1))
            return false;
    }
    return true;
}

uint32_t kp_band_find(const struct kp_band *band, const struct kp_band_range *range, struct kp_band_place *place,
                      uint32_t *ids, uint32_t cap)
{
    struct search self = {.from = {.order = range->low, .group = range->group},
                          .to = {.order = range->top, .group = range->group, .id = UINT32_MAX},
                          .least = range->least,
                          .cap = cap,
                          .place = place};
    self.ids = ids; /* written to: not a const pointer */
    if (place->begun) {
        self.from.order = place->order;
        self.from.id = place->id + 1; /* row numbers end below UINT32_MAX */
    }
    if (band->root && compare(&self.from, &self.to) <= 0)
        search(&self, band->root, band->height);
    return self.count;
}

bool kp_band_ends(const struct kp_band *band, uint32_t group, uint64_t *ret_first, uint64_t *ret_last)
{
    struct kp_band_entry behind = {UINT64_MAX, 0, group, UINT32_MAX};
    const void *node = band->root;
    if (!node)
        return false;
    for (uint32_t height = band->height; height; height--)
        node = ((const struct inner *)node)->children[place_in_inner(node, &behind)].node;
    const struct leaf *leaf = node;
    uint32_t at = place_in_leaf(leaf, &behind), id;
    if (!at || leaf->entries[at - 1].group != group)
        return false;
    struct kp_band_place place = {0};
    struct kp_band_range all = {group, 0, UINT64_MAX, 0};
    kp_band_find(band, &all, &place, &id, 1);
    *ret_first = place.order;
    *ret_last = leaf->entries[at - 1].order;
    return true;
}
