/*
 * For flow_test.c only: random tables, and multisets of printed rows to compare answers.
 */
#ifndef KP_FLOW_FLOW_ORACLE_H
#define KP_FLOW_FLOW_ORACLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "flow/eval.h"
#include "flow/flow.h"

/* ---- randomness ---- */

struct random {
    uint64_t state;
};
static inline uint32_t random_below(struct random *random, uint32_t n)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return (uint32_t)((random->state * 0x2545f4914f6cdd1du) >> 33) % n;
}

/* ---- tables: k bigint, v bigint, i integer, s text, t timestamp; all may be NULL ---- */

enum { COL_K, COL_V, COL_I, COL_S, COL_T, COLS };

struct cell {
    bool null;
    int64_t value;
    char text[24]; /* COL_S */
};
struct row {
    struct cell cells[COLS];
    int64_t weight;
};
struct table {
    struct row *rows;
    uint32_t count, cap;
};

static inline struct kp_column *test_columns(void)
{
    static struct kp_column cols[COLS] = {{"k", {KP_INT8, -1, 0}, false},
                                          {"v", {KP_INT8, -1, 0}, false},
                                          {"i", {KP_INT4, -1, 0}, false},
                                          {"s", {KP_TEXT, -1, 0}, false},
                                          {"t", {KP_TIMESTAMP, -1, 0}, false}};
    return cols;
}

static inline struct row random_row(struct random *random)
{
    struct row row = {0};
    row.weight = 1;
    row.cells[COL_K].value = random_below(random, 6);
    row.cells[COL_V].value = (int64_t)random_below(random, 20) - 10;
    row.cells[COL_I].value = random_below(random, 4);
    snprintf(row.cells[COL_S].text, sizeof row.cells[COL_S].text,
             random_below(random, 2) ? "s%u" : "a longer string %u", random_below(random, 4));
    row.cells[COL_T].value = (int64_t)random_below(random, 60) * 500000 - 10000000;
    for (int c = 0; c < COLS; c++)
        if (random_below(random, 8) == 0) {
            row.cells[c] = (struct cell){.null = true};
        }
    return row;
}

static inline bool same_cells(const struct row *a, const struct row *b)
{
    for (int c = 0; c < COLS; c++)
        if (a->cells[c].null != b->cells[c].null || a->cells[c].value != b->cells[c].value ||
            strcmp(a->cells[c].text, b->cells[c].text))
            return false;
    return true;
}

static inline void table_append(struct table *table, const struct row *row, int64_t weight)
{
    struct row copy = *row;
    copy.weight = weight;
    if (table->count == table->cap) {
        table->cap = table->cap ? table->cap * 2 : 16;
        table->rows = kp_realloc(table->rows, table->cap * sizeof *table->rows);
    }
    table->rows[table->count++] = copy;
}

/* Rows of a table have a weight each and come once; of a change (negative weight first) they are only appended. */
static inline void table_add(struct table *table, const struct row *row, int64_t weight)
{
    for (uint32_t i = 0; i < table->count; i++)
        if (same_cells(&table->rows[i], row)) {
            table->rows[i].weight += weight;
            if (table->rows[i].weight == 0)
                table->rows[i] = table->rows[--table->count];
            return;
        }
    table_append(table, row, weight);
}

static inline void table_finish(struct table *table)
{
    kp_free(table->rows);
    *table = (struct table){0};
}

static inline void put_cell(struct kp_vec *vec, uint32_t i, uint32_t n, const struct cell *cell, struct kp_arena *arena)
{
    if (cell->null) {
        kp_vec_need_valid(vec, arena, n);
        kp_vec_set_null(vec, i);
        memset((char *)vec->data + i * kp_vec_width(vec), 0, kp_vec_width(vec));
    } else if (vec->type.id == KP_TEXT)
        ((struct kp_text *)vec->data)[i] = kp_text_make(kp_arena_strdup(arena, cell->text), strlen(cell->text));
    else if (vec->type.id == KP_INT4)
        ((int32_t *)vec->data)[i] = (int32_t)cell->value;
    else
        ((int64_t *)vec->data)[i] = cell->value;
}

static inline struct kp_batch *table_batch(const struct table *table, struct kp_arena *arena)
{
    struct kp_batch *batch = kp_batch_create(arena, COLS, table->count);
    int64_t *weights = kp_arena_alloc(arena, (table->count + 1) * sizeof *weights);
    for (uint32_t c = 0; c < COLS; c++) {
        kp_vec_init(&batch->vecs[c], arena, test_columns()[c].type, table->count);
        for (uint32_t i = 0; i < table->count; i++)
            put_cell(&batch->vecs[c], i, table->count, &table->rows[i].cells[c], arena);
    }
    for (uint32_t i = 0; i < table->count; i++)
        weights[i] = table->rows[i].weight;
    batch->weights = weights;
    return batch;
}

/* As above; `plain`: without weights, each row as often as its weight says. */
static inline struct kp_batch *table_batch_raw(const struct table *table, bool plain, struct kp_arena *arena)
{
    if (!plain)
        return table_batch(table, arena);
    struct table flat = {0};
    for (uint32_t i = 0; i < table->count; i++)
        for (int64_t k = 0; k < table->rows[i].weight; k++)
            table_append(&flat, &table->rows[i], 1);
    struct kp_batch *batch = table_batch(&flat, arena);
    batch->weights = NULL;
    table_finish(&flat);
    return batch;
}

/* ---- multisets of printed rows ---- */

struct multiset {
    char **rows;
    int64_t *weights;
    size_t count, cap;
};

static inline void multiset_add(struct multiset *set, const char *row, int64_t weight)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->rows[i], row) == 0) {
            set->weights[i] += weight;
            if (set->weights[i] == 0) {
                kp_free(set->rows[i]);
                set->count--;
                set->rows[i] = set->rows[set->count];
                set->weights[i] = set->weights[set->count];
            }
            return;
        }
    if (set->count == set->cap) {
        set->cap = set->cap ? set->cap * 2 : 16;
        set->rows = kp_realloc(set->rows, set->cap * sizeof(char *));
        set->weights = kp_realloc(set->weights, set->cap * sizeof *set->weights);
    }
    set->rows[set->count] = kp_strdup(row);
    set->weights[set->count++] = weight;
}

static inline void multiset_add_batch(struct multiset *set, const struct kp_batch *batch)
{
    struct kp_buf buf = {0};
    for (uint32_t row = 0; row < batch->rows; row++) {
        buf.len = 0;
        for (uint32_t c = 0; c < batch->cols; c++) {
            if (kp_vec_is_null(&batch->vecs[c], row))
                kp_buf_append_text(&buf, "NULL");
            else
                kp_value_print(batch->vecs[c].type, kp_vec_at(&batch->vecs[c], row), NULL, &buf);
            kp_buf_append_byte(&buf, '|');
        }
        kp_buf_append_byte(&buf, 0);
        multiset_add(set, (const char *)buf.data, batch->weights ? batch->weights[row] : 1);
    }
    kp_buf_finish(&buf);
}

static inline void multiset_add_changes(struct multiset *set, const struct kp_changes *changes)
{
    for (size_t b = 0; b < changes->batch_count; b++)
        multiset_add_batch(set, changes->batches[b]);
}

struct multiset_item {
    char *row;
    int64_t weight;
};
static inline int multiset_compare(const void *a, const void *b)
{
    return strcmp(((const struct multiset_item *)a)->row, ((const struct multiset_item *)b)->row);
}
static inline void multiset_sort(struct multiset *set)
{
    struct multiset_item *items = kp_calloc(set->count, sizeof *items);
    for (size_t i = 0; i < set->count; i++)
        items[i] = (struct multiset_item){set->rows[i], set->weights[i]};
    if (set->count)
        qsort(items, set->count, sizeof *items, multiset_compare);
    for (size_t i = 0; i < set->count; i++) {
        set->rows[i] = items[i].row;
        set->weights[i] = items[i].weight;
    }
    kp_free(items);
}
static inline bool multiset_equal(const struct multiset *a, const struct multiset *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->rows[i], b->rows[i]) || a->weights[i] != b->weights[i])
            return false;
    return true;
}
static inline void multiset_print(const struct multiset *set)
{
    for (size_t i = 0; i < set->count && i < 60; i++)
        fprintf(stderr, "%lld × %s\n", (long long)set->weights[i], set->rows[i]);
}
static inline void multiset_finish(struct multiset *set)
{
    for (size_t i = 0; i < set->count; i++)
        kp_free(set->rows[i]);
    kp_free(set->rows);
    kp_free(set->weights);
    *set = (struct multiset){0};
}

#endif
