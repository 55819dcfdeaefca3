/*
 * Sets, their files, and where chunks lie in them. Files are listed when the store is opened and walked, chunk header
 * by chunk header, when their set is first asked for.
 */
#include "log/columns_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "log/files.h"
#include "log/plant.h"

/* ---- names ---- */

void kp_column_path(const struct kp_column *column, uint32_t file, struct kp_buf *out)
{
    const struct kp_column_set *set = column->set;
    out->len = 0;
    kp_buf_printf(out, "%s/%u-%016llx-", set->columns->dir, set->topic, (unsigned long long)set->name.lo);
    if (column->number == KP_COLUMN_ROWS)
        kp_buf_printf(out, "rows.%u.columns", file);
    else
        kp_buf_printf(out, "%u.%u.columns", column->number, file);
    kp_buf_append_byte(out, '\0');
}

/* The parts of a name that we gave; false: it is none of ours. */
static bool parse_name(const char *name, uint32_t *ret_topic, uint64_t *ret_set, uint32_t *ret_column,
                       uint32_t *ret_file)
{
    unsigned topic, column = KP_COLUMN_ROWS, file;
    unsigned long long set;
    int end = -1;
    if (sscanf(name, "%u-%16llx-rows.%u.columns%n", &topic, &set, &file, &end) != 3 || end < 0) {
        end = -1;
        if (sscanf(name, "%u-%16llx-%u.%u.columns%n", &topic, &set, &column, &file, &end) != 4 || end < 0)
            return false;
    }
    *ret_topic = topic;
    *ret_set = set;
    *ret_column = column;
    *ret_file = file;
    return name[end] == '\0' && file > 0;
}

static void remove_file(struct kp_columns *columns, const char *path)
{
    kp_files_discard(columns->os, path);
}

/* ---- sets and columns ---- */

static struct kp_column_set *find_set(struct kp_columns *columns, uint32_t topic, struct kp_hash128 name)
{
    for (struct kp_column_set *set = columns->sets; set; set = set->next)
        if (set->topic == topic && set->name.lo == name.lo)
            return set;
    struct kp_column_set *set = kp_calloc(1, sizeof *set);
    *set = (struct kp_column_set){.columns = columns, .next = columns->sets, .topic = topic, .name = name};
    columns->sets = set;
    return set;
}

struct kp_column_set *kp_columns_set(struct kp_columns *columns, uint32_t topic, struct kp_hash128 name)
{
    if (!columns)
        return NULL;
    kp_mutex_lock(&columns->mutex);
    struct kp_column_set *set = find_set(columns, topic, name);
    set->name = name; /* files know half of it by their name */
    kp_mutex_unlock(&columns->mutex);
    return set;
}

static struct kp_column *get_column(struct kp_column_set *set, uint32_t number, bool make)
{
    for (struct kp_column *column = set->list; column; column = column->next)
        if (column->number == number)
            return column;
    if (!make)
        return NULL;
    struct kp_column *column = kp_calloc(1, sizeof *column);
    *column = (struct kp_column){.set = set, .next = set->list, .number = number};
    set->list = column;
    return column;
}

/* ---- the index ---- */

static uint32_t lower_bound(const struct kp_column *column, int64_t position)
{
    uint32_t low = 0, high = column->entry_count; /* the first that ends behind the position */
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (column->entries[mid].end <= position)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct kp_column_entry *kp_column_entry_at(struct kp_column *column, int64_t position)
{
    uint32_t at = lower_bound(column, position);
    return at < column->entry_count && column->entries[at].begin <= position ? &column->entries[at] : NULL;
}

static void remove_entries(struct kp_column *column, uint32_t at, uint32_t n)
{
    for (uint32_t i = at; i < at + n; i++)
        kp_column_pool_forget(column->set->columns, &column->entries[i]);
    if (n)
        memmove(&column->entries[at], &column->entries[at + n],
                (column->entry_count - at - n) * sizeof *column->entries);
    column->entry_count -= n;
}

void kp_column_entry_add(struct kp_column *column, const struct kp_column_entry *entry)
{
    uint32_t at = lower_bound(column, entry->begin), n = 0;
    while (at + n < column->entry_count && column->entries[at + n].begin < entry->end)
        n++;
    remove_entries(column, at, n);
    if (column->entry_count == column->entry_cap) {
        column->entry_cap = KP_MAX(2 * column->entry_cap, 16u);
        column->entries = kp_realloc(column->entries, column->entry_cap * sizeof *column->entries);
    }
    memmove(&column->entries[at + 1], &column->entries[at], (column->entry_count - at) * sizeof *column->entries);
    column->entries[at] = *entry;
    column->entry_count++;
}

void kp_column_entry_remove(struct kp_column *column, int64_t begin)
{
    uint32_t at = lower_bound(column, begin);
    if (at < column->entry_count && column->entries[at].begin == begin)
        remove_entries(column, at, 1);
}

void kp_column_entry_describe(struct kp_column_entry *entry, const struct kp_column_chunk_header *header)
{
    entry->begin = header->begin;
    entry->end = header->end;
    entry->rows = header->rows;
    entry->bytes = kp_column_chunk_bytes(header);
    entry->bloom_bytes = header->bloom_bytes;
    entry->encoding = header->encoding;
    entry->flags = header->flags;
    entry->least_bytes = header->least_bytes;
    entry->largest_bytes = header->largest_bytes;
    memcpy(entry->least, header->least, sizeof entry->least);
    memcpy(entry->largest, header->largest, sizeof entry->largest);
}

/* Rows before a cut are forgotten: their records have gone or changed. */
static void cut_before(struct kp_column *column, int64_t before)
{
    uint32_t n = 0;
    while (n < column->entry_count && column->entries[n].begin < before)
        n++;
    remove_entries(column, 0, n);
}

/* ---- walking files ---- */

static bool file_header_right(const struct kp_column *column, const struct kp_column_file_header *header, uint32_t file)
{
    const struct kp_column_set *set = column->set;
    return memcmp(header->magic, KP_COLUMN_MAGIC, sizeof header->magic) == 0 && header->format == KP_COLUMN_FORMAT &&
           header->header_bytes == sizeof *header &&
           kp_crc32c(0, header, offsetof(struct kp_column_file_header, crc)) == header->crc &&
           header->generation == set->columns->generation && header->decoder_version == set->columns->decoder_version &&
           header->topic == set->topic && header->column == column->number && header->set[0] == set->name.lo &&
           header->file_number == file && header->field[sizeof header->field - 1] == '\0' &&
           header->type[sizeof header->type - 1] == '\0';
}

static void take_chunk(struct kp_column *column, const struct kp_column_chunk_header *header, uint32_t file,
                       uint64_t offset)
{
    struct kp_column_entry entry = {.file = file, .offset = offset};
    if (header->encoding == KP_COLUMN_CUT) {
        cut_before(column, header->end);
        return;
    }
    column->physical = (enum kp_column_physical)header->physical;
    kp_column_entry_describe(&entry, header);
    kp_column_entry_add(column, &entry);
}

/* Reads the chunks' headers of one file; false: it is of no use. */
static bool walk_file(struct kp_column *column, struct kp_column_file *file, const char *path)
{
    struct kp_os *os = column->set->columns->os;
    struct kp_file *handle;
    struct kp_column_file_header head;
    uint64_t size, at = sizeof head;
    size_t got;
    if (os->open(os->ctx, path, KP_OPEN_READ, &handle, NULL) != KP_OK)
        return false;
    bool right = os->size(os->ctx, handle, &size, NULL) == KP_OK &&
                 os->pread(os->ctx, handle, &head, sizeof head, 0, &got, NULL) == KP_OK && got == sizeof head &&
                 file_header_right(column, &head, file->number);
    if (right) {
        memcpy(column->field, head.field, sizeof head.field);
        memcpy(column->type, head.type, sizeof head.type);
    }
    while (right) {
        struct kp_column_chunk_header chunk;
        if (os->pread(os->ctx, handle, &chunk, sizeof chunk, at, &got, NULL) != KP_OK || got < sizeof chunk ||
            kp_column_header_wrong(&chunk) || kp_column_chunk_bytes(&chunk) > size - at)
            break;
        if (chunk.end <= column->set->columns->position || chunk.encoding == KP_COLUMN_CUT)
            take_chunk(column, &chunk, file->number, at); /* else the log does not have these records */
        at += kp_column_chunk_bytes(&chunk);
    }
    file->bytes = at;
    os->close(os->ctx, handle);
    return right;
}

static void walk(struct kp_column *column)
{
    struct kp_columns *columns = column->set->columns;
    struct kp_buf path = {0};
    uint32_t kept = 0;
    column->walked = true;
    for (uint32_t i = 0; i < column->file_count; i++) {
        uint64_t before = column->files[i].bytes;
        kp_column_path(column, column->files[i].number, &path);
        columns->disk_bytes -= before;
        if (!walk_file(column, &column->files[i], (const char *)path.data)) {
            remove_file(columns, (const char *)path.data);
            continue;
        }
        columns->disk_bytes += column->files[i].bytes;
        column->files[kept++] = column->files[i];
    }
    column->file_count = kept;
    kp_buf_finish(&path);
}

struct kp_column *kp_column_find(struct kp_column_set *set, uint32_t number, bool make)
{
    struct kp_column *column = get_column(set, number, make);
    if (column && !column->walked)
        walk(column);
    return column;
}

bool kp_column_set_at(struct kp_column_set *set, int64_t position, struct kp_column_range *ret_range)
{
    struct kp_columns *columns = set->columns;
    kp_mutex_lock(&columns->mutex);
    set->used = ++columns->stamp;
    struct kp_column *rows = kp_column_find(set, KP_COLUMN_ROWS, true);
    struct kp_column_entry *entry = kp_column_entry_at(rows, position);
    if (entry) {
        *ret_range = (struct kp_column_range){entry->begin, entry->end};
    } else {
        uint32_t next = lower_bound(rows, position);
        *ret_range =
            (struct kp_column_range){position, next < rows->entry_count ? rows->entries[next].begin : INT64_MAX};
    }
    kp_mutex_unlock(&columns->mutex);
    return entry != NULL;
}

/* ---- writing ---- */

static void drop_column(struct kp_column *column)
{
    struct kp_columns *columns = column->set->columns;
    struct kp_buf path = {0};
    remove_entries(column, 0, column->entry_count);
    for (uint32_t i = 0; i < column->file_count; i++) {
        kp_column_path(column, column->files[i].number, &path);
        remove_file(columns, (const char *)path.data);
        columns->disk_bytes -= column->files[i].bytes;
    }
    column->file_count = 0;
    column->walked = true;
    kp_buf_finish(&path);
}

static void drop_set(struct kp_column_set *set)
{
    for (struct kp_column *column = set->list; column; column = column->next)
        drop_column(column);
}

bool kp_columns_make_room(struct kp_columns *columns, const struct kp_column_set *keep, uint64_t bytes)
{
    while (columns->disk_bytes + bytes > columns->disk_bytes_max) {
        struct kp_column_set *least = NULL;
        for (struct kp_column_set *set = columns->sets; set; set = set->next) {
            bool any = false;
            for (struct kp_column *column = set->list; column; column = column->next)
                any |= column->file_count > 0;
            if (any && set != keep && !set->filling && (!least || set->used < least->used))
                least = set;
        }
        if (!least)
            return false;
        drop_set(least);
    }
    return true;
}

static bool need_dir(struct kp_columns *columns)
{
    if (columns->have_dir)
        return true;
    if (kp_files_folder(columns->os, columns->dir, false, NULL) != KP_OK)
        return false;
    if (columns->unsynced) {
        struct kp_buf path = {0};
        struct kp_file *file = NULL;
        kp_buf_printf(&path, "%s/unsynced", columns->dir);
        kp_buf_append_byte(&path, '\0');
        enum kp_code code = kp_files_create(columns->os, (const char *)path.data, 0, &file, NULL);
        if (code == KP_OK)
            columns->os->close(columns->os->ctx, file);
        if (code == KP_OK)
            code = kp_files_sync(columns->os, columns->dir, NULL);
        kp_buf_finish(&path);
        if (code != KP_OK)
            return false;
    }
    columns->have_dir = true;
    return true;
}

static void make_header(const struct kp_column *column, const struct kp_column_field *field, uint32_t file,
                        struct kp_column_file_header *header)
{
    const struct kp_column_set *set = column->set;
    *header = (struct kp_column_file_header){.format = KP_COLUMN_FORMAT,
                                             .header_bytes = sizeof *header,
                                             .generation = set->columns->generation,
                                             .topic = set->topic,
                                             .column = column->number,
                                             .set = {set->name.lo, set->name.hi},
                                             .file_number = file,
                                             .decoder_version = set->columns->decoder_version};
    memcpy(header->magic, KP_COLUMN_MAGIC, sizeof header->magic);
    if (field) {
        struct kp_buf type = {0};
        kp_type_print(field->type, &type);
        snprintf(header->field, sizeof header->field, "%s", field->name);
        memcpy(header->type, type.data, KP_MIN(type.len, sizeof header->type - 1));
        kp_buf_finish(&type);
    }
    header->crc = kp_crc32c(0, header, offsetof(struct kp_column_file_header, crc));
}

static bool write_at(struct kp_os *os, const char *path, const struct kp_column_file_header *header,
                     const struct kp_buf *chunk, uint64_t offset)
{
    struct kp_file *file;
    enum kp_code code =
        header ? kp_files_create(os, path, 0, &file, NULL) : os->open(os->ctx, path, KP_OPEN_WRITE, &file, NULL);
    if (code != KP_OK)
        return false;
    code = header ? os->pwrite(os->ctx, file, header, sizeof *header, 0, NULL) : KP_OK;
    if (code == KP_OK)
        code = os->pwrite(os->ctx, file, chunk->data, chunk->len, offset, NULL);
    os->close(os->ctx, file);
    return code == KP_OK;
}

/* A cache must not take the room that the log needs. */
bool kp_columns_leave_room(struct kp_columns *columns, uint64_t bytes)
{
    uint64_t free_bytes;
    return columns->os->free_bytes(columns->os->ctx, columns->home, &free_bytes, NULL) == KP_OK &&
           free_bytes >= bytes + KP_COLUMN_DISK_RESERVE_BYTES;
}

/* The file to append to: the newest, or a new one. Locked: mutex. */
static uint32_t file_for(struct kp_column *column, uint64_t *ret_offset, bool *ret_new)
{
    struct kp_column_file *last = column->file_count ? &column->files[column->file_count - 1] : NULL;
    *ret_new = !last || last->bytes >= KP_COLUMN_FILE_BYTES;
    *ret_offset = *ret_new ? sizeof(struct kp_column_file_header) : last->bytes;
    return last ? last->number + *ret_new : 1;
}

/* What was written is in the file: notes it. Locked: mutex. */
static void note_written(struct kp_column *column, const struct kp_column_file_header *header,
                         const struct kp_buf *chunk, uint64_t offset, bool is_new)
{
    struct kp_columns *columns = column->set->columns;
    uint32_t number = header->file_number;
    if (is_new) {
        column->files = kp_realloc(column->files, (column->file_count + 1) * sizeof *column->files);
        column->files[column->file_count++] = (struct kp_column_file){.number = number};
        memcpy(column->field, header->field, sizeof column->field);
        memcpy(column->type, header->type, sizeof column->type);
        columns->disk_bytes += sizeof *header;
    }
    column->files[column->file_count - 1].bytes = offset + chunk->len;
    columns->disk_bytes += chunk->len;
    columns->chunks_written++;
    take_chunk(column, (const void *)chunk->data, number, offset);
}

bool kp_column_append(struct kp_column *column, const struct kp_column_field *field, const struct kp_buf *chunk,
                      uint32_t forgets)
{
    struct kp_columns *columns = column->set->columns;
    struct kp_column_file_header header;
    struct kp_buf path = {0};
    uint64_t offset;
    bool is_new;
    kp_mutex_lock(&columns->writing);
    kp_mutex_lock(&columns->mutex);
    bool right = column->set->forgets == forgets && !columns->write_failed &&
                 kp_columns_make_room(columns, column->set, chunk->len);
    bool failed = right && !need_dir(columns);
    right = right && !failed && kp_columns_leave_room(columns, chunk->len);
    uint32_t number = file_for(column, &offset, &is_new);
    kp_column_path(column, number, &path);
    kp_mutex_unlock(&columns->mutex);
    if (right && !failed) {
        make_header(column, field, number, &header);
        failed = !write_at(columns->os, (const char *)path.data, is_new ? &header : NULL, chunk, offset);
    }
    kp_mutex_lock(&columns->mutex);
    if (right && column->set->forgets != forgets) { /* meanwhile: the file that was written to may be gone */
        if (is_new)
            remove_file(columns, (const char *)path.data);
        right = failed = false;
    }
    columns->write_failed |= failed;
    if (right && !failed)
        note_written(column, &header, chunk, offset, is_new);
    kp_mutex_unlock(&columns->mutex);
    kp_mutex_unlock(&columns->writing);
    kp_buf_finish(&path);
    return right && !failed;
}

void kp_columns_forget(struct kp_columns *columns, uint32_t topic, int64_t before)
{
    if (!columns || before <= 0 || kp_log_planted == KP_PLANT_COLUMNS_KEPT)
        return;
    struct kp_column_chunk_header header = {.encoding = KP_COLUMN_CUT, .end = before, .factor = 1};
    struct kp_buf payload = {0}, chunk = {0};
    kp_column_chunk_seal(&header, NULL, &payload, &chunk);
    kp_mutex_lock(&columns->mutex);
    for (struct kp_column_set *set = columns->sets; set; set = set->next) {
        if (set->topic != topic)
            continue;
        struct kp_column *rows = kp_column_find(set, KP_COLUMN_ROWS, false);
        bool all =
            before == INT64_MAX || !rows || !rows->entry_count || rows->entries[rows->entry_count - 1].begin < before;
        set->forgets++; /* a fill that is under way began before */
        if (all) {
            drop_set(set);
        } else {
            uint32_t forgets = set->forgets;
            kp_mutex_unlock(&columns->mutex);
            bool written = kp_column_append(rows, NULL, &chunk, forgets);
            kp_mutex_lock(&columns->mutex);
            if (!written)
                drop_set(set);
        }
    }
    kp_mutex_unlock(&columns->mutex);
    kp_buf_finish(&payload);
    kp_buf_finish(&chunk);
}

void kp_columns_prune(struct kp_columns *columns, bool (*exists)(void *arg, uint32_t topic), void *arg)
{
    kp_mutex_lock(&columns->mutex);
    for (struct kp_column_set *set = columns->sets; set; set = set->next)
        if (!exists(arg, set->topic))
            drop_set(set);
    kp_mutex_unlock(&columns->mutex);
}

/* ---- opening ---- */

struct listing {
    struct kp_columns *columns;
    bool unsynced;
    char **names;
    size_t count;
};

static void list_name(void *arg, const char *name)
{
    struct listing *listing = arg;
    listing->unsynced |= strcmp(name, "unsynced") == 0;
    listing->names = kp_realloc(listing->names, (listing->count + 1) * sizeof *listing->names);
    listing->names[listing->count++] = kp_strdup(name);
}

static int compare_files(const void *a, const void *b)
{
    const struct kp_column_file *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* A file found in the folder: noted by its name, or taken away. */
static void found(struct kp_columns *columns, const char *name, bool wipe)
{
    uint32_t topic, number, file_number;
    uint64_t set_name;
    struct kp_buf path = {0};
    kp_buf_printf(&path, "%s/%s", columns->dir, name);
    kp_buf_append_byte(&path, '\0');
    struct kp_os *os = columns->os;
    struct kp_file *file;
    uint64_t bytes = 0;
    if (wipe || !parse_name(name, &topic, &set_name, &number, &file_number)) {
        if (wipe)
            remove_file(columns, (const char *)path.data);
    } else if (os->open(os->ctx, (const char *)path.data, KP_OPEN_READ, &file, NULL) == KP_OK) {
        (void)!os->size(os->ctx, file, &bytes, NULL);
        os->close(os->ctx, file);
        struct kp_column *column =
            get_column(find_set(columns, topic, (struct kp_hash128){.lo = set_name}), number, true);
        column->files = kp_realloc(column->files, (column->file_count + 1) * sizeof *column->files);
        column->files[column->file_count++] = (struct kp_column_file){file_number, bytes};
        qsort(column->files, column->file_count, sizeof *column->files, compare_files);
        columns->disk_bytes += bytes;
    }
    kp_buf_finish(&path);
}

enum kp_code kp_columns_open(const struct kp_columns_options *options, struct kp_columns **ret_columns,
                             struct kp_error *err)
{
    struct kp_columns *columns = kp_calloc(1, sizeof *columns);
    size_t len = strlen(options->dir) + sizeof "/columns";
    *columns = (struct kp_columns){.os = options->os,
                                   .home = kp_strdup(options->dir),
                                   .dir = kp_alloc(len),
                                   .generation = options->generation,
                                   .decoder_version = options->decoder_version,
                                   .position = options->position,
                                   .unsynced = options->unsynced,
                                   .pool_bytes_max = options->pool_bytes,
                                   .disk_bytes_max = options->disk_bytes,
                                   .chunk_rows = options->chunk_rows ? options->chunk_rows : KP_COLUMN_CHUNK_ROWS};
    snprintf(columns->dir, len, "%s/columns", options->dir);
    kp_mutex_init(&columns->mutex);
    kp_mutex_init(&columns->writing);
    struct listing listing = {.columns = columns};
    (void)!columns->os->list(columns->os->ctx, columns->dir, list_name, &listing, NULL); /* none yet: nothing known */
    for (size_t i = 0; i < listing.count; i++) {
        found(columns, listing.names[i], listing.unsynced);
        kp_free(listing.names[i]);
    }
    kp_free(listing.names);
    *ret_columns = columns;
    return KP_OK;
}

void kp_columns_close(struct kp_columns *columns)
{
    if (!columns)
        return;
    if (columns->unsynced && columns->have_dir) { /* closed in order: the log has what columns were made of */
        struct kp_buf path = {0};
        kp_buf_printf(&path, "%s/unsynced", columns->dir);
        kp_buf_append_byte(&path, '\0');
        remove_file(columns, (const char *)path.data);
        kp_buf_finish(&path);
    }
    for (struct kp_column_set *set = columns->sets, *next_set; set; set = next_set) {
        next_set = set->next;
        for (struct kp_column *column = set->list, *next; column; column = next) {
            next = column->next;
            remove_entries(column, 0, column->entry_count);
            kp_free(column->entries);
            kp_free(column->files);
            kp_free(column);
        }
        kp_free(set);
    }
    kp_mutex_finish(&columns->mutex);
    kp_mutex_finish(&columns->writing);
    kp_free(columns->home);
    kp_free(columns->dir);
    kp_free(columns);
}

/* ---- looking inside ---- */

static void bound_least(struct kp_column_stats *stats, const struct kp_column_entry *entry)
{
    bool integer = kp_physical_is_integer(stats->physical);
    int64_t a = 0, b = 0;
    memcpy(&a, entry->least, sizeof a);
    memcpy(&b, stats->least, sizeof b);
    struct kp_str x = {(const char *)entry->least, entry->least_bytes},
                  y = {(const char *)stats->least, stats->least_bytes};
    if (stats->least_bytes && (integer ? a >= b : kp_str_compare(x, y) >= 0))
        return;
    memcpy(stats->least, entry->least, sizeof stats->least);
    stats->least_bytes = entry->least_bytes;
}

static void bound_largest(struct kp_column_stats *stats, const struct kp_column_entry *entry)
{
    bool integer = kp_physical_is_integer(stats->physical);
    int64_t a = 0, b = 0;
    memcpy(&a, entry->largest, sizeof a);
    memcpy(&b, stats->largest, sizeof b);
    struct kp_str x = {(const char *)entry->largest, entry->largest_bytes},
                  y = {(const char *)stats->largest, stats->largest_bytes};
    if (stats->largest_bytes && (integer ? a <= b : kp_str_compare(x, y) <= 0))
        return;
    memcpy(stats->largest, entry->largest, sizeof stats->largest);
    stats->largest_bytes = entry->largest_bytes;
}

static void describe(struct kp_column *column, struct kp_column_stats *stats)
{
    *stats = (struct kp_column_stats){.topic = column->set->topic,
                                      .number = column->number,
                                      .set = column->set->name,
                                      .decoder_version = column->set->columns->decoder_version,
                                      .field = column->field,
                                      .type = column->type,
                                      .physical = column->physical,
                                      .has_least = true,
                                      .has_largest = true};
    for (uint32_t i = 0; i < column->entry_count; i++) {
        const struct kp_column_entry *entry = &column->entries[i];
        stats->chunks++;
        stats->rows += entry->rows;
        stats->bytes += entry->bytes;
        stats->encodings |= 1u << entry->encoding;
        stats->pool_bytes += entry->loaded ? entry->loaded->bytes : 0;
        if (i == 0)
            stats->begin = entry->begin;
        stats->end = entry->end;
        bool empty = entry->rows == 0; /* of NULLs only too, but then bounds are not known */
        stats->has_least &= empty || (entry->flags & KP_COLUMN_HAS_LEAST);
        stats->has_largest &= empty || (entry->flags & KP_COLUMN_HAS_LARGEST);
        if (entry->flags & KP_COLUMN_HAS_LEAST)
            bound_least(stats, entry);
        if (entry->flags & KP_COLUMN_HAS_LARGEST)
            bound_largest(stats, entry);
    }
}

void kp_columns_each(struct kp_columns *columns, void (*each)(void *arg, const struct kp_column_stats *stats),
                     void *arg)
{
    if (!columns)
        return;
    kp_mutex_lock(&columns->mutex);
    for (struct kp_column_set *set = columns->sets; set; set = set->next)
        for (struct kp_column *column = set->list; column; column = column->next) {
            struct kp_column_stats stats;
            if (!column->walked)
                walk(column);
            describe(column, &stats);
            if (stats.chunks)
                each(arg, &stats);
        }
    kp_mutex_unlock(&columns->mutex);
}

void kp_columns_totals(struct kp_columns *columns, struct kp_columns_totals *ret_totals)
{
    *ret_totals = (struct kp_columns_totals){0};
    if (!columns)
        return;
    kp_mutex_lock(&columns->mutex);
    *ret_totals = (struct kp_columns_totals){.disk_bytes = columns->disk_bytes,
                                             .pool_bytes = columns->pool_bytes,
                                             .loads = columns->loads,
                                             .hits = columns->hits,
                                             .chunks_written = columns->chunks_written,
                                             .damaged = columns->damaged,
                                             .write_failed = columns->write_failed};
    kp_mutex_unlock(&columns->mutex);
}
