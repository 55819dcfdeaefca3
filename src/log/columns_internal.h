/*
 * The store of history columns: what columns.c (sets, files, index), column_pool.c (loaded chunks) and column_fill.c
 * (new chunks) share. `mutex` guards sets, indexes and the pool; files are read without it and written under
 * `writing` alone.
 */
#ifndef KP_LOG_COLUMNS_INTERNAL_H
#define KP_LOG_COLUMNS_INTERNAL_H

#include "log/columns.h"
#include "os/thread.h"

enum {
    KP_COLUMN_DISK_RESERVE_BYTES = 1 << 30, /* of the disk that columns leave free */
    KP_COLUMN_FILE_BYTES = 256 << 20        /* a file that has reached this is not appended to */
};

struct kp_column_loaded {
    struct kp_column_loaded *newer, *older; /* by use */
    struct kp_column *column;
    int64_t begin;
    uint32_t pins;
    bool listed; /* an entry leads to it; else it goes with its last pin */
    size_t bytes;
    void *memory;
    struct kp_column_chunk chunk;
    struct kp_rows_chunk rows;
};

/* Where a chunk lies. */
struct kp_column_entry {
    int64_t begin, end;
    uint32_t rows, file;
    uint64_t offset, bytes;
    uint32_t bloom_bytes;
    struct kp_column_loaded *loaded;
    uint8_t encoding, flags, least_bytes, largest_bytes;
    uint8_t least[KP_COLUMN_BOUND_BYTES], largest[KP_COLUMN_BOUND_BYTES];
};

struct kp_column_file {
    uint32_t number;
    uint64_t bytes; /* up to its last valid chunk */
};

/* A column of a set, or its rows. */
struct kp_column {
    struct kp_column_set *set;
    struct kp_column *next;
    uint32_t number;
    char field[64], type[64];
    enum kp_column_physical physical; /* of its chunks; NONE: not known yet, or the rows */
    struct kp_column_file *files;     /* in order of number */
    uint32_t file_count;
    bool walked;                     /* files were read */
    struct kp_column_entry *entries; /* in order of begin; they do not overlap */
    uint32_t entry_count, entry_cap;
};

struct kp_column_set {
    struct kp_columns *columns;
    struct kp_column_set *next;
    uint32_t topic;
    struct kp_hash128 name;
    struct kp_column *list; /* the rows are among them */
    bool filling;
    uint32_t forgets; /* calls of kp_columns_forget that met it */
    uint64_t used;    /* stamp of the last use */
};

struct kp_columns {
    struct kp_os *os;
    char *home, *dir; /* the log's folder, and ours in it */
    uint64_t generation;
    uint32_t decoder_version;
    int64_t position;
    bool unsynced, have_dir, write_failed;
    uint64_t pool_bytes_max, disk_bytes_max;
    uint32_t chunk_rows;
    struct kp_mutex writing; /* one file is appended to at a time; taken before mutex */
    struct kp_mutex mutex;
    struct kp_column_set *sets;
    uint64_t disk_bytes, pool_bytes, stamp;
    uint64_t loads, hits, chunks_written, damaged;
    struct kp_column_loaded *newest, *oldest;
};

/* ---- columns.c; locked: mutex ---- */

/* The column, its files walked; NULL if there is none and make is false. */
struct kp_column *kp_column_find(struct kp_column_set *set, uint32_t number, bool make);
/* The entry that holds a position, NULL: none. */
struct kp_column_entry *kp_column_entry_at(struct kp_column *column, int64_t position);
/* Takes its place; what it overlaps goes. */
void kp_column_entry_add(struct kp_column *column, const struct kp_column_entry *entry);
void kp_column_entry_remove(struct kp_column *column, int64_t begin);
void kp_column_entry_describe(struct kp_column_entry *entry, const struct kp_column_chunk_header *header);
void kp_column_path(const struct kp_column *column, uint32_t file, struct kp_buf *out); /* terminated */
/* Room for bytes more on disk: other sets, least recently used first, make way. */
bool kp_columns_make_room(struct kp_columns *columns, const struct kp_column_set *keep, uint64_t bytes);

/* The disk has room for them beside what the log may need. */
bool kp_columns_leave_room(struct kp_columns *columns, uint64_t bytes);

/* Not locked. Writes a chunk behind the column's last one and notes it, unless records were forgotten since the set's
 * `forgets` was this: then the chunk may tell of them. */
bool kp_column_append(struct kp_column *column, const struct kp_column_field *field, const struct kp_buf *chunk,
                      uint32_t forgets);

/* ---- column_pool.c ---- */

/* Not locked. The chunk of exactly this range and count, pinned; NULL: it is not there. */
struct kp_column_loaded *kp_column_load(struct kp_column_set *set, uint32_t number, enum kp_column_physical physical,
                                        struct kp_column_range range, uint32_t rows);
void kp_column_unpin(struct kp_column_set *set, struct kp_column_loaded *loaded);      /* not locked; NULL is fine */
void kp_column_pool_forget(struct kp_columns *columns, struct kp_column_entry *entry); /* locked: mutex */

#endif
