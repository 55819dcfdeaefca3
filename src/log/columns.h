/*
 * History columns: what was decoded from a topic once, kept so that replay reads it instead of decoding again. Caches,
 * all of them: log/column_format.h draws the files, and deleting them costs time only.
 *
 *   kp_columns_set      what one declaration makes of a topic
 *   kp_column_set_at    which range of positions is known, from here on
 *   kp_column_view      the rows of a range and some of its columns, loaded into the pool and pinned
 *   kp_column_fill      rows as they are decoded, on their way to new chunks
 *
 * Who decodes (flow/) knows declarations; here a set is a topic's number and a hash, a column a number in the
 * declaration.
 *
 * Threads: any, but for a view and a fill, which belong to one at a time. Nothing here fails a reader: what cannot be
 * read is not there, what cannot be written is decoded again another time.
 */
#ifndef KP_LOG_COLUMNS_H
#define KP_LOG_COLUMNS_H

#include "base/hash.h"
#include "log/column_chunk.h"
#include "log/column_rows.h"
#include "os/os.h"

enum { KP_COLUMN_CHUNK_ROWS = 65536 /* about: a chunk is cut between groups of records */ };

struct kp_columns;
struct kp_columns_options {
    struct kp_os *os;         /* borrowed */
    const char *dir;          /* of the log: "columns" is made in it when first needed */
    uint64_t generation;      /* of the log: files of another one are none of ours */
    uint32_t decoder_version; /* files of another one are of no use */
    int64_t position;         /* the log's end: chunks cannot reach beyond */
    bool unsynced;            /* the log may lose its end in a crash: columns go too */
    uint64_t pool_bytes;      /* loaded chunks; what is pinned may exceed it */
    uint64_t disk_bytes;      /* of all files */
    uint32_t chunk_rows;      /* 0: KP_COLUMN_CHUNK_ROWS; less for tests */
};
KP_MUST enum kp_code kp_columns_open(const struct kp_columns_options *options, struct kp_columns **ret_columns,
                                     struct kp_error *err);
void kp_columns_close(struct kp_columns *columns); /* views, fills and sets are gone; NULL is fine */
/* The topic's records before this position have gone or changed: what was made of them is forgotten. INT64_MAX: all. */
void kp_columns_forget(struct kp_columns *columns, uint32_t topic, int64_t before);

/* The same for every topic that is no more. Once, before anything else is asked for. */
void kp_columns_prune(struct kp_columns *columns, bool (*exists)(void *arg, uint32_t topic), void *arg);

/* ---- sets ---- */

struct kp_column_set;
/* Lives as long as `columns`; columns NULL gives NULL. */
struct kp_column_set *kp_columns_set(struct kp_columns *columns, uint32_t topic, struct kp_hash128 name);

/* A column of a declaration. Strings borrowed. */
struct kp_column_field {
    uint32_t number;
    const char *name;
    struct kp_type type;
};

/* Positions from begin to end, cut between groups of records. */
struct kp_column_range {
    int64_t begin, end;
};
/* The known range that holds a position; else false, and what lies before the next one: begin is position. */
bool kp_column_set_at(struct kp_column_set *set, int64_t position, struct kp_column_range *ret_range);

/* A condition on a column's values: compared with `integer`, or as bytes with `text`. */
enum kp_column_compare {
    KP_COLUMN_EQUAL,
    KP_COLUMN_LESS,
    KP_COLUMN_LESS_EQUAL,
    KP_COLUMN_GREATER,
    KP_COLUMN_GREATER_EQUAL
};
struct kp_column_test {
    uint32_t number; /* of the column */
    enum kp_column_physical physical;
    enum kp_column_compare compare;
    int64_t integer;
    struct kp_str text;
};
/* True if a known range holds the position and no row of it passes all tests: by least and largest values and, for
 * equality, by Bloom filters. */
bool kp_column_set_excludes(struct kp_column_set *set, int64_t position, const struct kp_column_test *tests,
                            uint32_t count);

/* ---- reading ---- */

struct kp_column_loaded; /* a chunk in the pool */
struct kp_column_view {
    struct kp_column_range range;
    const struct kp_rows_chunk *rows;
    const struct kp_column_chunk **columns; /* as the fields asked for */
    struct kp_column_loaded **loaded;       /* count + 1 */
    uint32_t count;
    struct kp_column_set *set;
};
/* Of the range that holds a position. False: not all of it is there. */
bool kp_column_view_open(struct kp_column_set *set, int64_t position, const struct kp_column_field *fields,
                         uint32_t count, struct kp_column_view *ret_view);
void kp_column_view_close(struct kp_column_view *view); /* zero is fine */

/* ---- filling ---- */

struct kp_column_fill;
/*
 * Rows from `position` on, which must be where a group begins, are about to be decoded with these fields. NULL: there
 * is nothing to keep here (all is there, somebody else fills, a type cannot be kept, the disk's budget is spent).
 */
struct kp_column_fill *kp_column_fill_begin(struct kp_column_set *set, int64_t position,
                                            const struct kp_column_field *fields, uint32_t count);
void kp_column_fill_destroy(struct kp_column_fill *fill); /* what is not stored is lost; NULL is fine */
/* Where the next row is expected, and a position that the rows to come may not pass: a range is known from there. */
int64_t kp_column_fill_position(const struct kp_column_fill *fill);
int64_t kp_column_fill_limit(const struct kp_column_fill *fill);
uint32_t kp_column_fill_room(const struct kp_column_fill *fill); /* rows until the chunk is full, at least 1 */
/* Everything that was decoded, in order of positions: batches, then rows and dead letters. */
void kp_column_fill_batch(struct kp_column_fill *fill, const struct kp_column_batch *batch);
void kp_column_fill_rows(struct kp_column_fill *fill, const int64_t *positions, const uint8_t *tombstones,
                         uint32_t rows);
void kp_column_fill_dead(struct kp_column_fill *fill, const struct kp_column_dead *dead);
/* The values of those rows, fields' column i; different columns may be added by different threads at once. */
void kp_column_fill_column(struct kp_column_fill *fill, uint32_t i, const struct kp_vec *vec, uint32_t rows);
/* Rows are on their way; done: all of them have been added. */
void kp_column_fill_expect(struct kp_column_fill *fill);
void kp_column_fill_done(struct kp_column_fill *fill);
/* Everything before `position`, where a group begins, has been added. Stores a chunk when it is full. What was expected
 * and not done is not stored. */
void kp_column_fill_reach(struct kp_column_fill *fill, int64_t position);

/* ---- looking inside ---- */

struct kp_column_stats {
    uint32_t topic, number; /* KP_COLUMN_ROWS: the rows */
    struct kp_hash128 set;
    const char *field, *type; /* until the next call of each */
    uint32_t decoder_version;
    uint32_t chunks, encodings; /* encodings: a bit for each that is in use */
    enum kp_column_physical physical;
    uint64_t rows, bytes, pool_bytes;
    int64_t begin, end;
    bool has_least, has_largest; /* over all chunks */
    uint8_t least[KP_COLUMN_BOUND_BYTES], largest[KP_COLUMN_BOUND_BYTES];
    uint8_t least_bytes, largest_bytes;
};
void kp_columns_each(struct kp_columns *columns, void (*each)(void *arg, const struct kp_column_stats *stats),
                     void *arg);

struct kp_columns_totals {
    uint64_t disk_bytes, pool_bytes, loads, hits, chunks_written, damaged;
    bool write_failed; /* files are not written any more */
};
void kp_columns_totals(struct kp_columns *columns, struct kp_columns_totals *ret_totals);

#endif
