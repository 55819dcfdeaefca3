/*
 * kappa inside another program: the whole of it, log, engine and views, in one data folder, without a server.
 *
 *     struct kp_instance *kappa;
 *     struct kp_failure failure;
 *     if (!kp_instance_open("data", NULL, &kappa, &failure))
 *         …failure.message…
 *     kp_instance_run(kappa, "CREATE SOURCE bid (price bigint) WITH (topic = 'bids'); "
 *                            "CREATE MATERIALIZED VIEW top AS SELECT max(price) AS price FROM bid", NULL, &failure);
 *     kp_instance_append(kappa, "bids", NULL, 0, "{\"price\":7}", 11, &position, &failure);
 *     kp_instance_wait(kappa, position, -1);
 *     kp_instance_run(kappa, "SELECT price FROM top", &rows, &failure);
 *     while (kp_rows_next(rows, &failure))
 *         puts(kp_rows_text(rows, 0));
 *     kp_rows_close(rows);
 *     kp_instance_close(kappa);
 *
 * Errors: a function that can fail returns false and fills *failure, which the caller owns and may be NULL. Threads: an
 * instance may be used from any thread, a kp_rows by one at a time. The library starts threads of its own when an
 * instance is opened and ends them when it is closed; it never prints, catches signals or exits. A broken invariant
 * aborts. Strings are UTF-8 and zero terminated where no length is given.
 */
#ifndef KAPPA_H
#define KAPPA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KP_API __attribute__((visibility("default")))

struct kp_instance; /* one open data folder */
struct kp_rows;     /* the answer of a statement, or a stream of changes */

struct kp_failure {
    char sqlstate[6];     /* PostgreSQL's code */
    int32_t position;     /* 1-based character in the SQL text, 0 if none */
    int64_t log_position; /* of the source record at fault, -1 if none */
    bool retriable;       /* the same call may succeed later */
    char message[512], detail[512], hint[512];
};

struct kp_instance_options {
    uint32_t workers;     /* threads inside a step; 0: as many as processors */
    int64_t memory_bytes; /* budget of all state; 0: counted, not limited */
    bool unsafe_no_sync;  /* acknowledge before data is on disk */
};

KP_API const char *kp_version(void);

/* Opens or makes the folder; one process uses it at a time. options NULL: the defaults. Views are rebuilt in the
 * background; reads wait for them. */
KP_API bool kp_instance_open(const char *dir, const struct kp_instance_options *options,
                             struct kp_instance **ret_instance, struct kp_failure *failure);
KP_API void kp_instance_close(struct kp_instance *instance); /* all rows must be closed; NULL is fine */

/*
 * Runs one or several statements, as one transaction unless they say otherwise. ret_rows (NULL: rows are thrown away)
 * gets the answer of the last one, NULL if it has none. `SUBSCRIBE TO view` gives rows without end.
 */
KP_API bool kp_instance_run(struct kp_instance *instance, const char *sql, struct kp_rows **ret_rows,
                            struct kp_failure *failure);

/* Appends a record; durable on return. The topic is made if it is missing. key NULL: none; value NULL: a deletion.
 * *ret_position (may be NULL) is behind it. */
KP_API bool kp_instance_append(struct kp_instance *instance, const char *topic, const void *key, size_t key_bytes,
                               const void *value, size_t value_bytes, int64_t *ret_position,
                               struct kp_failure *failure);
/* Waits until views show everything before `position`; false after timeout_us (negative: never). */
KP_API bool kp_instance_wait(struct kp_instance *instance, int64_t position, int64_t timeout_us);

/* ---- rows ---- */

KP_API uint32_t kp_rows_columns(const struct kp_rows *rows);
KP_API const char *kp_rows_name(const struct kp_rows *rows, uint32_t column);
KP_API uint32_t kp_rows_type_oid(const struct kp_rows *rows, uint32_t column); /* PostgreSQL's */
/* The next row; false at the end or on failure (then failure->message is not empty). Changes: waits for them. */
KP_API bool kp_rows_next(struct kp_rows *rows, struct kp_failure *failure);
/* A value in PostgreSQL's text form, NULL if it is NULL; until the next call of kp_rows_next. */
KP_API const char *kp_rows_text(struct kp_rows *rows, uint32_t column);
KP_API int64_t kp_rows_position(const struct kp_rows *rows); /* at which they were read, -1 if none */
KP_API void kp_rows_cancel(struct kp_rows *rows);            /* any thread: kp_rows_next fails with 57014 */
KP_API void kp_rows_close(struct kp_rows *rows);             /* NULL is fine */

#ifdef __cplusplus
}
#endif

#endif
