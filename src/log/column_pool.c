/*
 * Loaded chunks, least recently used first to go. A chunk is checked when it is loaded; one that fails is forgotten, so
 * that its range is decoded again.
 */
#include "log/columns_internal.h"

static void unlink_loaded(struct kp_columns *columns, struct kp_column_loaded *loaded)
{
    *(loaded->newer ? &loaded->newer->older : &columns->newest) = loaded->older;
    *(loaded->older ? &loaded->older->newer : &columns->oldest) = loaded->newer;
    loaded->newer = loaded->older = NULL;
}

static void link_newest(struct kp_columns *columns, struct kp_column_loaded *loaded)
{
    loaded->older = columns->newest;
    loaded->newer = NULL;
    *(columns->newest ? &columns->newest->newer : &columns->oldest) = loaded;
    columns->newest = loaded;
}

static void free_loaded(struct kp_column_loaded *loaded)
{
    kp_column_chunk_close(&loaded->chunk);
    kp_rows_chunk_close(&loaded->rows);
    kp_free(loaded->memory);
    kp_free(loaded);
}

void kp_column_pool_forget(struct kp_columns *columns, struct kp_column_entry *entry)
{
    struct kp_column_loaded *loaded = entry->loaded;
    if (!loaded)
        return;
    entry->loaded = NULL;
    loaded->listed = false;
    unlink_loaded(columns, loaded);
    columns->pool_bytes -= loaded->bytes;
    if (loaded->pins == 0)
        free_loaded(loaded);
}

static void evict(struct kp_columns *columns)
{
    struct kp_column_loaded *loaded = columns->oldest;
    while (loaded && columns->pool_bytes > columns->pool_bytes_max) {
        struct kp_column_loaded *newer = loaded->newer;
        if (loaded->pins == 0) {
            struct kp_column_entry *entry = kp_column_entry_at(loaded->column, loaded->begin);
            KP_ASSERT(entry && entry->loaded == loaded);
            kp_column_pool_forget(columns, entry);
        }
        loaded = newer;
    }
}

static void pin(struct kp_columns *columns, struct kp_column_loaded *loaded)
{
    loaded->pins++;
    unlink_loaded(columns, loaded);
    link_newest(columns, loaded);
}

void kp_column_unpin(struct kp_column_set *set, struct kp_column_loaded *loaded)
{
    if (!loaded)
        return;
    struct kp_columns *columns = set->columns;
    kp_mutex_lock(&columns->mutex);
    if (--loaded->pins == 0 && !loaded->listed)
        free_loaded(loaded);
    else
        evict(columns);
    kp_mutex_unlock(&columns->mutex);
}

/* Reads and checks; NULL: it is not what was written. Not locked. */
static struct kp_column_loaded *read_chunk(struct kp_columns *columns, const char *path,
                                           const struct kp_column_entry *entry, uint32_t number,
                                           enum kp_column_physical physical)
{
    struct kp_os *os = columns->os;
    struct kp_file *file;
    size_t bytes = (size_t)entry->bytes, got = 0;
    if (os->open(os->ctx, path, KP_OPEN_READ, &file, NULL) != KP_OK)
        return NULL;
    struct kp_column_loaded *loaded = kp_calloc(1, sizeof *loaded);
    loaded->memory = kp_alloc_aligned(KP_COLUMN_ALIGN, (bytes + KP_COLUMN_ALIGN - 1) & ~(size_t)(KP_COLUMN_ALIGN - 1));
    bool right = os->pread(os->ctx, file, loaded->memory, bytes, entry->offset, &got, NULL) == KP_OK && got == bytes;
    os->close(os->ctx, file);
    if (right && number == KP_COLUMN_ROWS)
        right = kp_rows_chunk_open(loaded->memory, bytes, &loaded->rows, NULL) == KP_OK;
    else if (right)
        right = kp_column_chunk_open(loaded->memory, bytes, physical, &loaded->chunk, NULL) == KP_OK;
    const struct kp_column_chunk_header *header = loaded->memory;
    if (!right || header->begin != entry->begin || header->end != entry->end || header->rows != entry->rows) {
        free_loaded(loaded);
        return NULL;
    }
    loaded->bytes = bytes + sizeof *loaded +
                    (number == KP_COLUMN_ROWS ? kp_rows_chunk_extra_bytes(&loaded->rows)
                                              : kp_column_chunk_extra_bytes(&loaded->chunk));
    return loaded;
}

/* Puts what was read in its place, unless somebody else did or the chunk is no longer wanted. Locked: mutex. */
static struct kp_column_loaded *settle(struct kp_column *column, const struct kp_column_entry *was,
                                       struct kp_column_loaded *loaded)
{
    struct kp_columns *columns = column->set->columns;
    struct kp_column_entry *entry = kp_column_entry_at(column, was->begin);
    bool same = entry && entry->begin == was->begin && entry->file == was->file && entry->offset == was->offset;
    if (!loaded) {
        columns->damaged += same;
        if (same)
            kp_column_entry_remove(column, was->begin);
        return NULL;
    }
    if (same && entry->loaded) {
        free_loaded(loaded);
        pin(columns, entry->loaded);
        return entry->loaded;
    }
    loaded->column = column;
    loaded->begin = was->begin;
    loaded->pins = 1;
    columns->loads++;
    if (!same)
        return loaded; /* right for whom it was read, but not for others */
    loaded->listed = true;
    entry->loaded = loaded;
    link_newest(columns, loaded);
    columns->pool_bytes += loaded->bytes;
    evict(columns);
    return loaded;
}

struct kp_column_loaded *kp_column_load(struct kp_column_set *set, uint32_t number, enum kp_column_physical physical,
                                        struct kp_column_range range, uint32_t rows)
{
    struct kp_columns *columns = set->columns;
    struct kp_column_loaded *loaded = NULL;
    struct kp_buf path = {0};
    kp_mutex_lock(&columns->mutex);
    struct kp_column *column = kp_column_find(set, number, false);
    struct kp_column_entry *entry = column ? kp_column_entry_at(column, range.begin) : NULL;
    if (entry &&
        (entry->begin != range.begin || entry->end != range.end || (rows != UINT32_MAX && entry->rows != rows)))
        entry = NULL;
    if (entry && entry->loaded) {
        columns->hits++;
        loaded = entry->loaded;
        pin(columns, loaded);
    } else if (entry) {
        const struct kp_column_entry was = *entry;
        kp_column_path(column, was.file, &path);
        kp_mutex_unlock(&columns->mutex);
        loaded = read_chunk(columns, (const char *)path.data, &was, number, physical);
        kp_mutex_lock(&columns->mutex);
        loaded = settle(column, &was, loaded);
    }
    kp_mutex_unlock(&columns->mutex);
    kp_buf_finish(&path);
    return loaded;
}

/* ---- views ---- */

bool kp_column_view_open(struct kp_column_set *set, int64_t position, const struct kp_column_field *fields,
                         uint32_t count, struct kp_column_view *ret_view)
{
    struct kp_column_view view = {.set = set, .count = count};
    if (!kp_column_set_at(set, position, &view.range))
        return false;
    view.loaded = kp_calloc(count + (size_t)1, sizeof(struct kp_column_loaded *));
    view.columns = kp_calloc(count + (size_t)1, sizeof(struct kp_column_chunk *));
    view.loaded[0] = kp_column_load(set, KP_COLUMN_ROWS, KP_PHYSICAL_NONE, view.range, UINT32_MAX);
    bool right = view.loaded[0] != NULL;
    if (right)
        view.rows = &view.loaded[0]->rows;
    for (uint32_t i = 0; right && i < count; i++) {
        enum kp_column_physical physical = kp_column_physical(fields[i].type.id);
        view.loaded[i + 1] =
            physical ? kp_column_load(set, fields[i].number, physical, view.range, view.rows->header->rows) : NULL;
        right = view.loaded[i + 1] != NULL;
        if (right)
            view.columns[i] = &view.loaded[i + 1]->chunk;
    }
    if (!right) {
        kp_column_view_close(&view);
        return false;
    }
    *ret_view = view;
    return true;
}

void kp_column_view_close(struct kp_column_view *view)
{
    for (uint32_t i = 0; view->loaded && i <= view->count; i++)
        kp_column_unpin(view->set, view->loaded[i]);
    kp_free(view->loaded);
    kp_free(view->columns);
    *view = (struct kp_column_view){0};
}
