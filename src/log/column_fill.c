/*
 * New chunks, from rows as they are decoded. A fill is of one of two kinds:
 *
 *   open    nothing is known of the range: rows and all columns are gathered, and a chunk is stored whenever it is full
 *   fixed   the rows of a range are known, but not all columns: those that are missing are gathered until its end
 *
 * Columns are stored before the rows, which make them visible. A fill that cannot store (too large, disk full, records
 * forgotten meanwhile) drops what it has and goes on behind it, so that a range stays a gap.
 */
#include "log/columns_internal.h"

enum { RECORDS_FACTOR = 8 };                 /* records of a chunk at most, by its rows: few may make rows */
static const uint64_t FULL_BYTES = 32 << 20; /* wide rows: a chunk of fewer */

struct fill_column {
    struct kp_column_field field;
    bool wanted;
    struct kp_column_builder builder;
};

struct kp_column_fill {
    struct kp_column_set *set;
    int64_t begin, position; /* of the chunk being made; of what was added */
    int64_t end;             /* fixed: of the known range; else 0 */
    uint32_t fixed_rows;
    int64_t limit;
    uint32_t chunk_rows;
    bool expecting, spoilt; /* rows are on their way; some never came */
    uint32_t forgets;       /* of the set, when the chunk was begun */
    uint32_t count;
    struct kp_rows_builder rows;
    struct fill_column columns[];
};

/* Marks the columns that the known range lacks; false: none. Locked: mutex. */
static bool mark_missing(struct kp_column_fill *fill, const struct kp_column_entry *rows)
{
    bool any = false;
    for (uint32_t i = 0; i < fill->count; i++) {
        struct kp_column *column = kp_column_find(fill->set, fill->columns[i].field.number, false);
        const struct kp_column_entry *entry = column ? kp_column_entry_at(column, rows->begin) : NULL;
        fill->columns[i].wanted =
            !entry || entry->begin != rows->begin || entry->end != rows->end || entry->rows != rows->rows;
        any |= fill->columns[i].wanted;
    }
    return any;
}

/* What is to be done from a position on; false: nothing. Locked: mutex. */
static bool aim(struct kp_column_fill *fill, int64_t position)
{
    struct kp_column *rows = kp_column_find(fill->set, KP_COLUMN_ROWS, true);
    const struct kp_column_entry *known = kp_column_entry_at(rows, position);
    fill->begin = fill->position = position;
    fill->forgets = fill->set->forgets;
    fill->end = 0;
    fill->spoilt = false;
    kp_rows_builder_reset(&fill->rows);
    for (uint32_t i = 0; i < fill->count; i++) {
        kp_column_builder_reset(&fill->columns[i].builder);
        fill->columns[i].wanted = true;
    }
    if (known) {
        if (known->begin != position || !mark_missing(fill, known))
            return false;
        fill->end = fill->limit = known->end;
        fill->fixed_rows = known->rows;
        return true;
    }
    fill->limit = INT64_MAX;
    for (uint32_t i = 0; i < rows->entry_count && fill->limit == INT64_MAX; i++)
        if (rows->entries[i].begin > position)
            fill->limit = rows->entries[i].begin;
    return true;
}

struct kp_column_fill *kp_column_fill_begin(struct kp_column_set *set, int64_t position,
                                            const struct kp_column_field *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (kp_column_physical(fields[i].type.id) == KP_PHYSICAL_NONE)
            return NULL;
    struct kp_columns *columns = set->columns;
    struct kp_column_fill *fill = kp_calloc(1, sizeof *fill + count * sizeof *fill->columns);
    fill->set = set;
    fill->chunk_rows = columns->chunk_rows;
    fill->count = count;
    for (uint32_t i = 0; i < count; i++) {
        fill->columns[i].field = fields[i];
        fill->columns[i].builder.physical = kp_column_physical(fields[i].type.id);
    }
    kp_mutex_lock(&columns->mutex);
    bool mine = !set->filling && !columns->write_failed && columns->disk_bytes_max > 0 &&
                kp_columns_leave_room(columns, FULL_BYTES) && aim(fill, position);
    set->filling |= mine;
    kp_mutex_unlock(&columns->mutex);
    if (mine)
        return fill;
    kp_free(fill);
    return NULL;
}

void kp_column_fill_destroy(struct kp_column_fill *fill)
{
    if (!fill)
        return;
    kp_mutex_lock(&fill->set->columns->mutex);
    fill->set->filling = false;
    kp_mutex_unlock(&fill->set->columns->mutex);
    kp_rows_builder_finish(&fill->rows);
    for (uint32_t i = 0; i < fill->count; i++)
        kp_column_builder_finish(&fill->columns[i].builder);
    kp_free(fill);
}

int64_t kp_column_fill_position(const struct kp_column_fill *fill)
{
    return fill->position;
}

int64_t kp_column_fill_limit(const struct kp_column_fill *fill)
{
    return fill->limit;
}

uint32_t kp_column_fill_room(const struct kp_column_fill *fill)
{
    return fill->rows.rows < fill->chunk_rows ? fill->chunk_rows - fill->rows.rows : 1;
}

void kp_column_fill_expect(struct kp_column_fill *fill)
{
    fill->expecting = true;
}

void kp_column_fill_done(struct kp_column_fill *fill)
{
    fill->expecting = false;
}

void kp_column_fill_batch(struct kp_column_fill *fill, const struct kp_column_batch *batch)
{
    kp_rows_builder_add_batch(&fill->rows, batch);
}

void kp_column_fill_rows(struct kp_column_fill *fill, const int64_t *positions, const uint8_t *tombstones,
                         uint32_t rows)
{
    kp_rows_builder_add(&fill->rows, positions, tombstones, rows);
}

void kp_column_fill_dead(struct kp_column_fill *fill, const struct kp_column_dead *dead)
{
    kp_rows_builder_add_dead(&fill->rows, dead);
}

void kp_column_fill_column(struct kp_column_fill *fill, uint32_t i, const struct kp_vec *vec, uint32_t rows)
{
    if (fill->columns[i].wanted)
        kp_column_builder_add(&fill->columns[i].builder, vec, rows);
}

static bool is_full(const struct kp_column_fill *fill)
{
    if (fill->end)
        return fill->position >= fill->end;
    uint64_t bytes = fill->rows.batches.len + fill->rows.letters.len;
    for (uint32_t i = 0; i < fill->count; i++)
        bytes += kp_column_builder_bytes(&fill->columns[i].builder);
    return fill->position >= fill->limit || fill->rows.rows >= fill->chunk_rows - fill->chunk_rows / 16 ||
           fill->rows.records / RECORDS_FACTOR >= fill->chunk_rows || bytes >= FULL_BYTES;
}

/* False: it could not be written. */
static bool store(struct kp_column_fill *fill)
{
    struct kp_column_set *set = fill->set;
    struct kp_buf chunk = {0}, rows = {0};
    bool right = !fill->spoilt && (fill->end ? fill->position == fill->end && fill->rows.rows == fill->fixed_rows
                                             : kp_rows_builder_encode(&fill->rows, fill->begin, fill->position, &rows));
    for (uint32_t i = 0; right && i < fill->count; i++) {
        struct fill_column *column = &fill->columns[i];
        if (!column->wanted)
            continue;
        chunk.len = 0;
        kp_mutex_lock(&set->columns->mutex);
        struct kp_column *to = kp_column_find(set, column->field.number, true);
        kp_mutex_unlock(&set->columns->mutex);
        right = column->builder.rows == fill->rows.rows &&
                kp_column_builder_encode(&column->builder, fill->begin, fill->position, &chunk) &&
                kp_column_append(to, &column->field, &chunk, fill->forgets);
    }
    kp_mutex_lock(&set->columns->mutex);
    struct kp_column *to = kp_column_find(set, KP_COLUMN_ROWS, true);
    kp_mutex_unlock(&set->columns->mutex);
    if (right && !fill->end)
        right = kp_column_append(to, NULL, &rows, fill->forgets);
    kp_buf_finish(&chunk);
    kp_buf_finish(&rows);
    return right;
}

void kp_column_fill_reach(struct kp_column_fill *fill, int64_t position)
{
    fill->position = position;
    fill->spoilt |= fill->expecting;
    fill->expecting = false;
    if (!is_full(fill))
        return;
    bool stored = store(fill);
    kp_mutex_lock(&fill->set->columns->mutex);
    if (!aim(fill, position) || !stored)
        fill->limit = position; /* nothing is missing from here on, or nothing can be kept: the caller ends it */
    kp_mutex_unlock(&fill->set->columns->mutex);
}
