/*
 * MATCH_RECOGNIZE: matches of a pattern in the rows of each partition, in order.
 *
 * Attempts begin at rows, one after the other, where the last one and AFTER MATCH SKIP say; each looks at rows from
 * its first one to the furthest that the matcher asked for (match.h). So an attempt's outcome hangs on those rows, on
 * `before` rows ahead of them, and, if it is open, on there being no more.
 *
 *   rows       · · · · · · · · · · · ·      + what came
 *   attempts   |--|     |----|   |-|
 *                   |-->                    open: looked for more than there was
 *
 * At emission the rows that came and went are taken in order. What the first one may change begins at the earliest
 * attempt that looked at its place, else at the last attempt before it; from there matching is done anew, until an
 * attempt begins where one began before and nothing that has changed is in its sight: the rest is as it was. In-order
 * rows redo the open attempts only. What was sent is kept by the row where its match began, and compared.
 *
 * Where the plan says that rows can go, those before the last attempt that a later row could still concern do (but for
 * rows that matches look back at), with what was sent for them, which is final. A queue of partitions by the time of
 * their last row wakes those that no row touches any more.
 *
 *   row:   | columns | weight | was | number of matches before | how far its attempts looked | what was sent | flags |
 *   sent:  | columns of the answer, or an error | next |
 *
 * Invariants: beside those of keyed.h, between emissions the attempts, matches and sent rows of a partition are those
 * of matching all of its rows from the first one; `opens` are the rows of open attempts, in order.
 */
#include <stdio.h>
#include <stdlib.h>

#include "flow/keyed.h"
#include "flow/match.h"
#include "flow/op_source.h"
#include "flow/order.h"
#include "vec/datetime.h"

enum { SEND_ROWS = 8192, MORE_ROWS = 256 };

struct row_state {
    int64_t weight, was, number;
    uint32_t extent; /* rows that attempts beginning here looked at behind it */
    uint32_t sent;   /* first of the sent list, + 1; 0: none */
    bool starts;     /* an attempt begins with its first copy */
    bool open, noted;
};

struct sent_state {
    uint32_t next; /* as row_state.sent */
    char sqlstate[6];
    bool same;     /* as before: not sent again */
    char *message; /* an error instead of a row; NULL: a row */
};

struct partition {
    struct kp_keyed_group group;
    uint32_t *changed, changed_count, changed_cap; /* rows that came or went */
    uint32_t *opens, open_count;
    uint32_t extent_max;
    bool queued; /* in the part's queue */
};

struct op_match {
    struct kp_node node;
    struct kp_match match;
    struct kp_keyed keyed;
    struct kp_row_layout sent_layout;
    struct kp_table *sent;     /* one a part */
    struct kp_ordered *queues; /* one a part: (time, partition), of partitions whose old rows can go */
};

/* A row and its place in the partition's order. Places hold while nothing comes into the map or leaves it. */
struct place {
    uint64_t at;
    uint32_t id;
};
struct places {
    struct place *items;
    uint32_t count, cap;
};

/* One partition's emission. */
struct scan {
    struct op_match *op;
    struct kp_lane *lane;
    struct kp_keyed_part *part;
    struct kp_table *sent;
    struct partition *partition;
    struct kp_match_rows rows;
    struct places row_places;                 /* of rows.ids */
    uint64_t next_at;                         /* where rows go on */
    struct places changes, opens, olds, news; /* olds: rows that had sent lists (at: the list); news: ids of sent */
    uint32_t change;                          /* the first one that is not behind the rows noted */
    uint32_t settled_row;                     /* rows from here on lie behind the last change noted */
    uint32_t noted;                           /* rows that have been passed */
    uint64_t restart_at;                      /* of changes.items[restart_of] */
    int64_t restart_number;
    uint32_t restart_of;
    bool corrupt;
};

static inline struct row_state *state_of(const struct kp_keyed_part *part, uint32_t id)
{
    return kp_keyed_payload(part, id);
}

static inline struct sent_state *sent_of(const struct kp_table *sent, uint32_t id)
{
    return kp_table_payload(sent, kp_table_row(sent, id));
}

static void places_add(struct places *places, uint64_t at, uint32_t id)
{
    if (places->count == places->cap) {
        places->cap = places->cap ? places->cap * 2 : 16;
        places->items = kp_realloc(places->items, places->cap * sizeof *places->items);
    }
    places->items[places->count++] = (struct place){at, id};
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static void sort_places(struct places *places)
{
    if (places->count)
        qsort(places->items, places->count, sizeof *places->items, compare_places);
}

/* ---- rows in ---- */

static enum kp_code match_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                               struct kp_error *err)
{
    kp_keyed_push(&((const struct op_match *)node)->keyed, node, lane, in->batch);
    return KP_OK;
}

static void order_key(const struct op_match *op, const struct kp_vec *vecs, uint32_t row, struct kp_buf *key)
{
    key->len = 0;
    kp_order_key_append(op->match.plan->keys, op->match.plan->key_count, vecs, op->keyed.row_cols, row, key);
}

static void note_changed(struct partition *partition, struct row_state *state, uint32_t id)
{
    if (state->noted)
        return;
    state->noted = true;
    if (partition->changed_count == partition->changed_cap) {
        partition->changed_cap = partition->changed_cap ? partition->changed_cap * 2 : 4;
        partition->changed = kp_realloc(partition->changed, partition->changed_cap * sizeof *partition->changed);
    }
    partition->changed[partition->changed_count++] = id;
}

static enum kp_code take_piece(struct op_match *op, struct kp_lane *lane, struct kp_keyed_part *part,
                               const struct kp_table *sent, const struct kp_piece *piece, struct kp_error *err)
{
    const struct kp_batch *batch = piece->batch;
    struct kp_keyed_group **groups = kp_keyed_groups(&op->keyed, lane, part, piece);
    struct kp_buf key = {0};
    for (uint32_t i = 0; i < batch->rows; i++) {
        order_key(op, batch->vecs, i, &key);
        uint32_t id = kp_keyed_take(&op->keyed, part, groups[i], &key, batch, i);
        struct row_state *state = state_of(part, id);
        state->weight += batch->weights ? batch->weights[i] : 1;
        kp_keyed_touch(part, groups[i]);
        note_changed((struct partition *)groups[i], state, id);
    }
    kp_buf_finish(&key);
    return kp_keyed_charge(part, kp_table_bytes(sent), err);
}

/* ---- where matching begins anew ---- */

static uint64_t place_of(struct scan *scan, uint32_t id, struct kp_buf *key)
{
    struct kp_vec *vecs = kp_arena_alloc(&scan->lane->arena, (scan->op->keyed.row_cols + 1) * sizeof *vecs);
    kp_keyed_load(&scan->op->keyed, scan->part, id, &scan->lane->arena, vecs);
    order_key(scan->op, vecs, 0, key);
    return kp_ordered_seek(&scan->partition->group.rows, key->data, key->len);
}

static void find_places(struct scan *scan)
{
    struct partition *partition = scan->partition;
    struct kp_buf key = {0};
    for (uint32_t i = 0; i < partition->changed_count; i++) {
        uint32_t id = partition->changed[i];
        struct row_state *state = state_of(scan->part, id);
        scan->corrupt |= state->weight < 0;
        if (state->weight != state->was || state->weight == 0)
            places_add(&scan->changes, place_of(scan, id, &key), id);
        else
            state->noted = false;
    }
    for (uint32_t i = 0; scan->changes.count && i < partition->open_count; i++)
        places_add(&scan->opens, place_of(scan, partition->opens[i], &key), partition->opens[i]);
    kp_buf_finish(&key);
    sort_places(&scan->changes);
}

/* Only rows that came lie from `at` on: no attempt that is not open has looked so far. */
static bool is_appended(const struct scan *scan, uint64_t at)
{
    const struct kp_ordered_entry *entry;
    while ((entry = kp_ordered_next(&scan->partition->group.rows, &at)))
        if (state_of(scan->part, entry->id)->was)
            return false;
    return true;
}

/* The first place that the change may concern, as an attempt that began there; before `low` all has been done anew. */
static void find_restart(struct scan *scan, uint32_t change, uint64_t low)
{
    const struct kp_ordered *rows = &scan->partition->group.rows;
    uint64_t at = scan->changes.items[change].at, best = at;
    const struct kp_ordered_entry *entry;
    if (!is_appended(scan, at)) {
        for (uint32_t far = 1; far <= scan->partition->extent_max && (entry = kp_ordered_prev(rows, &at)); far++)
            if (state_of(scan->part, entry->id)->extent >= far)
                best = at;
    }
    uint32_t open = 0;
    while (open < scan->opens.count && scan->opens.items[open].at < low)
        open++;
    if (open < scan->opens.count && scan->opens.items[open].at < best)
        best = scan->opens.items[open].at;
    at = best;
    entry = kp_ordered_next(rows, &at);
    at = best;
    while (entry && !state_of(scan->part, entry->id)->starts) {
        if (!(entry = kp_ordered_prev(rows, &at)))
            break;
        best = at;
    }
    scan->restart_of = change;
    scan->restart_at = entry ? best : 0;
    scan->restart_number = entry ? state_of(scan->part, entry->id)->number : 0;
}

/* ---- rows for the matcher ---- */

static void add_copies(struct scan *scan, uint32_t id, uint64_t at)
{
    for (int64_t copy = state_of(scan->part, id)->weight; copy > 0; copy--) {
        kp_match_rows_add(&scan->rows, id);
        places_add(&scan->row_places, at, id);
    }
}

static bool more_rows(struct kp_match_rows *rows, void *arg)
{
    struct scan *scan = arg;
    uint32_t before = rows->count;
    while (rows->count - before < MORE_ROWS) {
        uint64_t at = scan->next_at;
        const struct kp_ordered_entry *entry = kp_ordered_next(&scan->partition->group.rows, &scan->next_at);
        if (!entry)
            break;
        add_copies(scan, entry->id, at);
    }
    return rows->count > before;
}

/* Rows from `at` on, after as many before it as matches look back; returns the number of the first. */
static uint32_t begin_rows(struct scan *scan, uint64_t at)
{
    const struct kp_ordered *rows = &scan->partition->group.rows;
    const struct kp_ordered_entry *entry;
    uint64_t back = at;
    for (uint32_t n = 0; n < scan->op->match.before && (entry = kp_ordered_prev(rows, &back));)
        n += (uint32_t)KP_MIN(state_of(scan->part, entry->id)->weight, (int64_t)UINT16_MAX);
    kp_match_rows_clear(&scan->rows);
    scan->row_places.count = 0;
    for (uint64_t next = back; back < at; back = next) {
        entry = kp_ordered_next(rows, &next);
        add_copies(scan, entry->id, back);
    }
    scan->next_at = at;
    scan->noted = scan->settled_row = scan->rows.count;
    return scan->rows.count;
}

/* ---- attempts and what they send ---- */

static bool is_first_copy(const struct scan *scan, uint32_t row)
{
    return row == 0 || scan->rows.ids[row - 1] != scan->rows.ids[row];
}

static uint32_t new_sent(struct scan *scan, struct row_state *start)
{
    uint32_t id = kp_table_new_row(scan->sent);
    sent_of(scan->sent, id)->next = start->sent;
    start->sent = id + 1;
    places_add(&scan->news, 0, id);
    return id;
}

static void send_error(struct scan *scan, struct row_state *start, const char *sqlstate, const char *message)
{
    struct sent_state *sent = sent_of(scan->sent, new_sent(scan, start));
    snprintf(sent->sqlstate, sizeof sent->sqlstate, "%s", sqlstate);
    sent->message = kp_strdup(message);
}

/* A row of the answer: the measures as seen from `row`. */
static void send_row(struct scan *scan, struct row_state *start, struct kp_match_attempt *attempt, uint32_t row)
{
    const struct kp_plan_match *plan = scan->op->match.plan;
    struct kp_arena *arena = &scan->lane->arena;
    struct kp_vec *measures = kp_arena_calloc(arena, (plan->measure_count + 1) * sizeof *measures), shown;
    const struct kp_row_error *error;
    kp_match_measure(&scan->rows, attempt, row, measures, &error);
    if (error) {
        send_error(scan, start, error->sqlstate, error->message);
        return;
    }
    uint32_t id = new_sent(scan, start), from = scan->rows.ids[row];
    void *slot = kp_table_row(scan->sent, id);
    for (uint32_t c = 0; c < plan->shown_count; c++) {
        kp_table_load(&scan->part->rows, plan->shown[c], &from, 1, arena, &shown);
        kp_row_set(&scan->op->sent_layout, &scan->sent->heap, slot, c, &shown, 0);
    }
    for (uint32_t i = 0; i < plan->measure_count; i++)
        kp_row_set(&scan->op->sent_layout, &scan->sent->heap, slot, plan->shown_count + i, &measures[i], 0);
}

/* Where the next attempt begins after a match. */
static uint32_t skip_from(struct scan *scan, struct row_state *start, const struct kp_match_attempt *attempt)
{
    const struct kp_plan_match *plan = scan->op->match.plan;
    uint32_t found = UINT32_MAX;
    if (plan->skip == KP_MATCH_SKIP_PAST)
        return attempt->end;
    if (plan->skip == KP_MATCH_SKIP_NEXT)
        return attempt->start + 1;
    for (uint32_t row = attempt->start; row < attempt->end; row++)
        if (plan->skip_variables >> attempt->variables[row - attempt->start] & 1 &&
            (found == UINT32_MAX || plan->skip == KP_MATCH_SKIP_LAST))
            found = row;
    if (found > attempt->start && found != UINT32_MAX)
        return found;
    if (found == UINT32_MAX)
        send_error(scan, start, "2202K", "AFTER MATCH SKIP leads to a variable that no row of the match has");
    else
        send_error(scan, start, "2202L", "AFTER MATCH SKIP leads to the first row of the match");
    return attempt->start + 1;
}

static enum kp_code attempt_at(struct scan *scan, uint32_t row, int64_t *number, uint32_t *ret_next,
                               struct kp_error *err)
{
    struct row_state *state = state_of(scan->part, scan->rows.ids[row]);
    struct kp_match_attempt attempt;
    KP_TRY(kp_match_try(&scan->rows, row, *number + 1, &attempt, err));
    if (is_first_copy(scan, row)) {
        state->starts = true;
        state->number = *number;
    }
    *ret_next = row + 1;
    if (attempt.error)
        send_error(scan, state, attempt.error->sqlstate, attempt.error->message);
    if (attempt.matched) {
        uint32_t from = scan->op->match.plan->all_rows ? row : attempt.end - 1;
        for (uint32_t r = from; r < attempt.end; r++)
            send_row(scan, state, &attempt, r);
        ++*number;
        *ret_next = skip_from(scan, state, &attempt);
    }
    state->extent = KP_MAX(state->extent, attempt.reach - row);
    if (!attempt.open)
        scan->partition->extent_max = KP_MAX(scan->partition->extent_max, attempt.reach - row);
    if (attempt.open && !state->open) {
        state->open = true;
        places_add(&scan->opens, scan->row_places.items[row].at, scan->rows.ids[row]);
    }
    return KP_OK;
}

/* What was sent for matches that began with the row is to be compared with what will be. */
static void forget_row(struct scan *scan, uint32_t id)
{
    struct row_state *state = state_of(scan->part, id);
    if (state->sent)
        places_add(&scan->olds, state->sent, id);
    state->sent = state->extent = 0;
    state->starts = state->open = false;
}

/* The row is passed: which changes lie before it. */
static void note_row(struct scan *scan, uint32_t row)
{
    uint64_t at = scan->row_places.items[row].at;
    for (; scan->change < scan->changes.count && scan->changes.items[scan->change].at < at; scan->change++)
        scan->settled_row = row;
    if (scan->change < scan->changes.count && scan->changes.items[scan->change].at == at)
        scan->settled_row = row + 1;
}

/* Old attempts from this row on are as they would be again. */
static bool is_settled(const struct scan *scan, uint32_t row, int64_t number)
{
    const struct row_state *state = state_of(scan->part, scan->rows.ids[row]);
    return is_first_copy(scan, row) && state->starts && (!scan->op->match.numbered || state->number == number) &&
           row >= scan->settled_row + scan->op->match.before;
}

/* Matches from a place on until the rest is as it was, or the rows end. *ret_next: where to go on; 0: nowhere. */
static enum kp_code scan_region(struct scan *scan, uint64_t at, int64_t number, bool *ret_more, struct kp_error *err)
{
    uint32_t row = begin_rows(scan, at);
    *ret_more = false;
    for (uint32_t next; kp_match_rows_has(&scan->rows, row); row = next) {
        for (; scan->noted <= row; scan->noted++) {
            note_row(scan, scan->noted);
            if (scan->noted == row && is_settled(scan, row, number)) {
                if (scan->change == scan->changes.count)
                    return KP_OK;
                if (scan->restart_of != scan->change)
                    find_restart(scan, scan->change, scan->row_places.items[row].at);
                *ret_more = scan->restart_at > scan->row_places.items[row].at;
                if (*ret_more)
                    return KP_OK;
            }
            if (is_first_copy(scan, scan->noted))
                forget_row(scan, scan->rows.ids[scan->noted]);
        }
        KP_TRY(attempt_at(scan, row, &number, &next, err));
    }
    for (; kp_match_rows_has(&scan->rows, scan->noted); scan->noted++)
        if (is_first_copy(scan, scan->noted))
            forget_row(scan, scan->rows.ids[scan->noted]);
    return KP_OK;
}

static enum kp_code scan_changes(struct scan *scan, struct kp_error *err)
{
    bool more = scan->changes.count > 0;
    scan->restart_of = UINT32_MAX;
    if (more)
        find_restart(scan, 0, 0);
    while (more)
        KP_TRY(scan_region(scan, scan->restart_at, scan->restart_number, &more, err));
    for (uint32_t i = 0; i < scan->changes.count; i++)
        if (state_of(scan->part, scan->changes.items[i].id)->weight == 0)
            forget_row(scan, scan->changes.items[i].id);
    return KP_OK;
}

/* ---- emission ---- */

static bool same_sent(const struct scan *scan, uint32_t a, uint32_t b)
{
    const struct sent_state *x = sent_of(scan->sent, a), *y = sent_of(scan->sent, b);
    if (x->message || y->message)
        return x->message && y->message && strcmp(x->message, y->message) == 0 && strcmp(x->sqlstate, y->sqlstate) == 0;
    struct kp_arena *arena = &scan->lane->arena;
    uint32_t cols = scan->op->node.col_count;
    struct kp_vec *vecs = kp_arena_alloc(arena, (cols + 1) * sizeof *vecs);
    for (uint32_t c = 0; c < cols; c++)
        kp_table_load(scan->sent, c, &b, 1, arena, &vecs[c]);
    return kp_row_identical_vecs(&scan->op->sent_layout, kp_table_row(scan->sent, a), cols, vecs, 0);
}

static enum kp_code send_some(struct scan *scan, const uint32_t *ids, uint32_t n, int64_t weight, struct kp_error *err)
{
    struct kp_arena *arena = &scan->lane->arena;
    for (uint32_t from = 0; from < n; from += SEND_ROWS) {
        uint32_t count = KP_MIN(n - from, (uint32_t)SEND_ROWS);
        struct kp_batch *batch = kp_batch_create(arena, scan->op->node.col_count, count);
        for (uint32_t c = 0; c < scan->op->node.col_count; c++)
            kp_table_load(scan->sent, c, ids + from, count, arena, &batch->vecs[c]);
        if (weight < 0) {
            int64_t *weights = kp_arena_alloc(arena, count * sizeof *weights);
            for (uint32_t i = 0; i < count; i++)
                weights[i] = weight;
            batch->weights = weights;
        }
        struct kp_flow out = {.batch = batch};
        KP_TRY(kp_node_send(&scan->op->node, scan->lane, &out, err));
    }
    return KP_OK;
}

/* Errors go at once; rows are collected. */
static void put_sent(struct scan *scan, uint32_t id, int64_t weight, uint32_t *ids, uint32_t *count)
{
    const struct sent_state *sent = sent_of(scan->sent, id);
    if (sent->message)
        kp_node_error(&scan->op->node, scan->lane, weight, -1, sent->sqlstate, sent->message);
    else
        ids[(*count)++] = id;
}

static enum kp_code send_changes(struct scan *scan, struct kp_error *err)
{
    struct kp_arena *arena = &scan->lane->arena;
    struct places gone = {0};
    for (uint32_t i = 0; i < scan->olds.count; i++) {
        uint32_t old = (uint32_t)scan->olds.items[i].at, new = state_of(scan->part, scan->olds.items[i].id)->sent;
        for (; old; old = sent_of(scan->sent, old - 1)->next) {
            bool same = new &&same_sent(scan, old - 1, new - 1);
            if (new) {
                sent_of(scan->sent, new - 1)->same = same;
                new = sent_of(scan->sent, new - 1)->next;
            }
            places_add(&gone, same, old - 1);
        }
    }
    uint32_t *ids = kp_arena_alloc(arena, (KP_MAX(gone.count, scan->news.count) + 1) * sizeof *ids), n = 0;
    for (uint32_t i = 0; i < gone.count; i++)
        if (!gone.items[i].at)
            put_sent(scan, gone.items[i].id, -1, ids, &n);
    enum kp_code code = send_some(scan, ids, n, -1, err);
    n = 0;
    for (uint32_t i = 0; code == KP_OK && i < scan->news.count; i++) {
        struct sent_state *sent = sent_of(scan->sent, scan->news.items[i].id);
        if (!sent->same)
            put_sent(scan, scan->news.items[i].id, 1, ids, &n);
        sent->same = false;
    }
    if (code == KP_OK)
        code = send_some(scan, ids, n, 1, err);
    for (uint32_t i = 0; i < gone.count; i++) {
        kp_free(sent_of(scan->sent, gone.items[i].id)->message);
        kp_table_free_row(scan->sent, gone.items[i].id);
    }
    kp_free(gone.items);
    return code;
}

/* The open attempts, in order, each once. */
static void keep_opens(struct scan *scan)
{
    struct partition *partition = scan->partition;
    uint32_t kept = 0;
    if (!scan->changes.count)
        return;
    sort_places(&scan->opens);
    partition->opens = kp_realloc(partition->opens, (scan->opens.count + 1) * sizeof *partition->opens);
    for (uint32_t i = 0; i < scan->opens.count; i++) {
        uint32_t id = scan->opens.items[i].id;
        if (state_of(scan->part, id)->open && (kept == 0 || partition->opens[kept - 1] != id))
            partition->opens[kept++] = id;
    }
    partition->open_count = kept;
}

static void free_gone(struct scan *scan)
{
    struct partition *partition = scan->partition;
    struct kp_arena *arena = &scan->lane->arena;
    struct kp_buf key = {0};
    struct kp_vec *vecs = kp_arena_alloc(arena, (scan->op->keyed.row_cols + 1) * sizeof *vecs);
    for (uint32_t i = 0; i < scan->changes.count; i++) {
        uint32_t id = scan->changes.items[i].id;
        struct row_state *state = state_of(scan->part, id);
        state->was = state->weight;
        state->noted = false;
        if (state->weight)
            continue;
        kp_keyed_load(&scan->op->keyed, scan->part, id, arena, vecs);
        order_key(scan->op, vecs, 0, &key);
        kp_keyed_remove(scan->part, &partition->group, &key, id);
    }
    partition->changed_count = 0;
    kp_buf_finish(&key);
}

static enum kp_code emit(struct scan *scan, struct partition *partition, struct kp_error *err)
{
    scan->partition = partition;
    scan->change = 0;
    scan->changes.count = scan->opens.count = scan->olds.count = scan->news.count = 0;
    find_places(scan);
    if (scan->corrupt)
        return kp_fail(err, KP_CORRUPT, "XX000", "a row has been taken away more often than it came");
    KP_TRY(scan_changes(scan, err));
    KP_TRY(send_changes(scan, err));
    keep_opens(scan);
    free_gone(scan);
    kp_keyed_settle_group(&scan->op->keyed, scan->part, &partition->group);
    return KP_OK;
}

/* ---- rows that go ---- */

/* Of a row without a time: no later one ever says that it is old. */
static int64_t time_of_row(struct scan *scan, uint32_t id)
{
    struct kp_vec vec;
    kp_table_load(&scan->part->rows, scan->op->match.plan->keys[0].column, &id, 1, &scan->lane->arena, &vec);
    if (kp_vec_is_null(&vec, 0))
        return INT64_MAX;
    return vec.type.id == KP_DATE ? *(const int32_t *)vec.data * (int64_t)86400000000 : *(const int64_t *)vec.data;
}

/* Of the partition's last row that has one that passes, before those at infinity and, with NULLS LAST, without any;
 * INT64_MIN: none has. */
static int64_t last_time(struct scan *scan, const struct partition *partition)
{
    enum kp_type_id type = scan->op->node.inputs[0]->types[scan->op->match.plan->keys[0].column].id;
    int64_t infinity = type == KP_DATE ? KP_DATE_INFINITY : KP_TIMESTAMP_INFINITY, time;
    struct kp_buf key = {0};
    kp_sort_key_append(&key, type, &infinity, false, false, false);
    uint64_t at = kp_ordered_seek(&partition->group.rows, key.data, key.len);
    kp_buf_finish(&key);
    const struct kp_ordered_entry *entry = kp_ordered_prev(&partition->group.rows, &at);
    return entry && (time = time_of_row(scan, entry->id)) != INT64_MAX ? time : INT64_MIN;
}

static void queue_partition(struct scan *scan, struct kp_ordered *queue, struct partition *partition)
{
    uint8_t key[KP_ORDERED_WAIT_BYTES];
    if (partition->queued || partition->group.rows.count == 0)
        return;
    partition->queued = true;
    kp_ordered_wait_key(last_time(scan, partition), partition->group.id, key);
    kp_ordered_insert(queue, key, sizeof key, partition->group.id);
}

/* Rows whose time is this or an earlier one are in no later match; INT64_MIN: none is known to be. */
static int64_t forget_limit(const struct op_match *op)
{
    const struct kp_plan_match *plan = op->match.plan;
    int64_t watermark = kp_node_watermark_above(op->node.inputs[0]), limit_us;
    if (!plan->frees || watermark == INT64_MIN)
        return INT64_MIN;
    return __builtin_sub_overflow(watermark, plan->lateness_us + plan->within, &limit_us) ? INT64_MIN : limit_us;
}

/* How many rows from the first one can go: those before the last attempt that begins at an old row; or all. */
static uint32_t count_old(struct scan *scan, const struct partition *partition, int64_t limit_us)
{
    const struct kp_match *match = &scan->op->match;
    uint64_t at = 0;
    uint32_t n = 0, last_start = 0;
    const struct kp_ordered_entry *entry;
    while ((entry = kp_ordered_next(&partition->group.rows, &at))) {
        if (time_of_row(scan, entry->id) > limit_us) /* a later row may come before it: it is not where to begin */
            return last_start;
        if (state_of(scan->part, entry->id)->starts)
            last_start = n;
        n++;
    }
    return match->before == 0 && !match->numbered ? n : last_start;
}

static void free_sent(struct scan *scan, struct row_state *state)
{
    for (uint32_t id = state->sent, next; id; id = next) {
        struct sent_state *sent = sent_of(scan->sent, id - 1);
        next = sent->next;
        kp_free(sent->message);
        kp_table_free_row(scan->sent, id - 1);
    }
    state->sent = 0;
}

static void forget_old(struct scan *scan, struct partition *partition, int64_t limit_us)
{
    uint32_t old = count_old(scan, partition, limit_us), gone = old - KP_MIN(old, scan->op->match.before), kept = 0,
             n = 0;
    struct kp_arena *arena = &scan->lane->arena;
    uint32_t *ids = kp_arena_alloc(arena, (old + 1) * sizeof *ids);
    uint64_t at = 0;
    for (const struct kp_ordered_entry *entry; n < old && (entry = kp_ordered_next(&partition->group.rows, &at));) {
        struct row_state *state = state_of(scan->part, entry->id);
        free_sent(scan, state);
        state->starts = state->open = false;
        state->extent = 0;
        ids[n++] = entry->id;
    }
    for (uint32_t i = 0; i < partition->open_count; i++)
        if (state_of(scan->part, partition->opens[i])->open)
            partition->opens[kept++] = partition->opens[i];
    partition->open_count = kept;
    struct kp_buf key = {0};
    struct kp_vec *vecs = kp_arena_alloc(arena, (scan->op->keyed.row_cols + 1) * sizeof *vecs);
    for (uint32_t i = 0; i < gone; i++) {
        kp_keyed_load(&scan->op->keyed, scan->part, ids[i], arena, vecs);
        order_key(scan->op, vecs, 0, &key);
        kp_keyed_remove(scan->part, &partition->group, &key, ids[i]);
    }
    kp_buf_finish(&key);
}

static void forget_partitions(struct scan *scan, struct kp_ordered *queue)
{
    int64_t limit_us = forget_limit(scan->op);
    if (limit_us == INT64_MIN) /* a row may be at -infinity */
        return;
    for (const struct kp_ordered_entry *first; (first = kp_ordered_first(queue));) {
        if (kp_ordered_time(first) > limit_us)
            return;
        struct kp_table *keys = &scan->part->keys;
        struct partition *partition = *(struct partition **)kp_table_payload(keys, kp_table_row(keys, first->id));
        kp_ordered_remove(queue, first->key, first->key_bytes);
        partition->queued = false;
        forget_old(scan, partition, limit_us);
        if (partition->group.rows.count == 0)
            kp_keyed_settle_group(&scan->op->keyed, scan->part, &partition->group);
        else if (last_time(scan, partition) > limit_us)
            queue_partition(scan, queue, partition);
    }
}

static enum kp_code match_part(struct kp_node *node, struct kp_lane *lane, uint32_t number, struct kp_error *err)
{
    struct op_match *op = (struct op_match *)node;
    struct kp_keyed_part *part = &op->keyed.parts[number];
    for (struct kp_piece *piece = kp_inbox_take(&node->inboxes[0], number); piece; piece = piece->next) {
        KP_TRY(kp_lane_check(lane, err));
        KP_TRY(take_piece(op, lane, part, &op->sent[number], piece, err));
    }
    if (!kp_graph_step_final(node->graph))
        return KP_OK;
    struct scan scan = {.op = op, .lane = lane, .part = part, .sent = &op->sent[number]};
    kp_match_rows_init(&scan.rows, &op->match, &part->rows, more_rows, &scan);
    kp_arena_limit(&scan.rows.attempt, NULL, lane->arena.stop);
    scan.rows.attempt.also = lane->arena.also;
    enum kp_code code = KP_OK;
    struct kp_ordered *queue = op->match.plan->frees ? &op->queues[number] : NULL;
    for (struct kp_keyed_group *group; code == KP_OK && (group = kp_keyed_next_touched(part));) {
        code = emit(&scan, (struct partition *)group, err);
        if (queue && code == KP_OK)
            queue_partition(&scan, queue, (struct partition *)group);
    }
    if (queue && code == KP_OK)
        forget_partitions(&scan, queue);
    kp_match_rows_finish(&scan.rows);
    kp_free(scan.row_places.items);
    kp_free(scan.changes.items);
    kp_free(scan.opens.items);
    kp_free(scan.olds.items);
    kp_free(scan.news.items);
    return code == KP_OK ? kp_keyed_charge(part, kp_table_bytes(scan.sent), err) : code;
}

static bool match_wants(const struct kp_node *node, uint32_t part)
{
    const struct op_match *op = (const struct op_match *)node;
    if (!kp_graph_step_final(node->graph))
        return false;
    const struct kp_ordered_entry *first = op->match.plan->frees ? kp_ordered_first(&op->queues[part]) : NULL;
    int64_t limit_us = forget_limit(op);
    return op->keyed.parts[part].touched || (first && limit_us != INT64_MIN && kp_ordered_time(first) <= limit_us);
}

/* ---- building ---- */

static void partition_finish(struct kp_keyed_group *group)
{
    kp_free(((struct partition *)group)->changed);
    kp_free(((struct partition *)group)->opens);
}

static void match_start(struct kp_node *node)
{
    struct op_match *op = (struct op_match *)node;
    kp_keyed_start(&op->keyed, node);
    op->sent = kp_calloc(node->graph->parts, sizeof *op->sent);
    op->queues = kp_calloc(node->graph->parts, sizeof *op->queues);
    for (uint32_t part = 0; part < node->graph->parts; part++)
        kp_table_init(&op->sent[part], &op->sent_layout, 0, sizeof(struct sent_state), NULL);
}

static void match_finish(struct kp_node *node)
{
    struct op_match *op = (struct op_match *)node;
    for (uint32_t p = 0; op->sent && p < node->graph->parts; p++) {
        const struct kp_keyed_part *part = &op->keyed.parts[p];
        struct kp_table *sent = &op->sent[p];
        uint32_t count, *ids = kp_table_ids(&part->keys, &count);
        for (uint32_t i = 0; i < count; i++) {
            const struct kp_keyed_group *group =
                *(struct kp_keyed_group **)kp_table_payload(&part->keys, kp_table_row(&part->keys, ids[i]));
            uint64_t at = 0;
            for (const struct kp_ordered_entry *entry; (entry = kp_ordered_next(&group->rows, &at));)
                for (uint32_t id = state_of(part, entry->id)->sent; id; id = sent_of(sent, id - 1)->next) {
                    kp_free(sent_of(sent, id - 1)->message);
                    kp_row_unset_all(&op->sent_layout, &sent->heap, kp_table_row(sent, id - 1));
                }
        }
        kp_free(ids);
        kp_table_finish(sent);
        kp_ordered_finish(&op->queues[p]);
    }
    kp_free(op->queues);
    kp_free(op->sent);
    kp_keyed_finish(&op->keyed, node);
}

static void match_release(struct kp_node *node)
{
    struct op_match *op = (struct op_match *)node;
    kp_keyed_release(&op->keyed, node);
    for (uint32_t part = 0; part < node->graph->parts; part++)
        kp_heap_sweep(&op->sent[part].heap);
}

static bool match_same(const struct kp_node *a, const struct kp_node *b)
{
    return kp_plan_match_equal(((const struct op_match *)a)->match.plan, ((const struct op_match *)b)->match.plan);
}

static void match_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    const struct op_match *op = (const struct op_match *)node;
    kp_keyed_stats(&op->keyed, node, stats);
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        stats->state_rows += op->sent[part].live;
        stats->state_bytes += (uint64_t)kp_table_bytes(&op->sent[part]);
    }
}

static const struct kp_node_ops match_ops = {.kind = "match",
                                             .bytes = sizeof(struct op_match),
                                             .push = match_push,
                                             .part = match_part,
                                             .wants = match_wants,
                                             .start = match_start,
                                             .release = match_release,
                                             .finish = match_finish,
                                             .same = match_same,
                                             .stats = match_stats};

struct kp_node *kp_op_match(struct kp_graph *graph, const struct kp_plan *plan,
                            const struct kp_session_settings *settings, struct kp_node *input)
{
    struct op_match *op = (struct op_match *)kp_node_create(graph, &match_ops, plan->cols, plan->col_count, &input, 1);
    struct kp_arena *arena = &op->node.arena;
    op->node.settings = *settings;
    op->node.growing = graph->bounded;
    op->match.settings = &op->node.settings;
    kp_match_define(&op->match, plan, graph->bounded, arena);
    kp_keyed_define(&op->keyed, arena, input->types, input->col_count, op->match.plan->partitions,
                    op->match.plan->partition_count);
    op->keyed.group_bytes = sizeof(struct partition);
    op->keyed.payload_bytes = sizeof(struct row_state);
    op->keyed.group_finish = partition_finish;
    kp_row_layout_init(&op->sent_layout, arena, op->node.types, op->node.col_count, true, 0);
    snprintf(op->node.detail, sizeof op->node.detail, "%u partition columns, %u variables, %u measures",
             op->match.plan->partition_count, op->match.plan->variable_count, op->match.plan->measure_count);
    op->node.restless = op->match.plan->frees;
    return kp_node_share(&op->node);
}
