/*
 * For law_test.c only: kappa as the test sees it: an instance with one session, statements, answers, records appended
 * to topics, and a subscription whose changes are summed.
 */
#ifndef KP_TESTS_LAW_KAPPA_H
#define KP_TESTS_LAW_KAPPA_H

#include "db/copy.h"
#include "db/db.h"
#include "log/record_batch.h"
#include "tests/law/oracle.h"
#include "vec/zone.h"

struct kappa {
    struct kp_db *db;
    struct kp_session *session;
    struct kp_db_options options;
};

static inline void kappa_open(struct kappa *kappa)
{
    struct kp_error err;
    if (kp_db_open(&kappa->options, &kappa->db, &err) || !kp_db_wait_ready(kappa->db, 600000000)) {
        fprintf(stderr, "open: %s\n", err.message);
        abort();
    }
    if (kp_session_open(kappa->db, &(struct kp_session_options){0}, &kappa->session, &err))
        fprintf(stderr, "session: %s\n", err.message), abort();
}

static inline void kappa_close(struct kappa *kappa)
{
    kp_session_close(kappa->session);
    kp_db_close(kappa->db);
    kappa->session = NULL;
    kappa->db = NULL;
}

/* Prints a row as PostgreSQL prints a record. */
static inline char *record_print(const struct kp_batch *batch, uint32_t row, const struct kp_zone *zone)
{
    struct kp_buf out = {0}, field = {0};
    kp_buf_append_byte(&out, '(');
    for (uint32_t i = 0; i < batch->cols; i++) {
        if (i)
            kp_buf_append_byte(&out, ',');
        const struct kp_vec *vec = &batch->vecs[i];
        if (kp_vec_is_null(vec, row))
            continue;
        field.len = 0;
        kp_value_print(vec->type, kp_vec_at(vec, row), zone, &field);
        bool quote = field.len == 0;
        for (size_t c = 0; c < field.len; c++)
            quote |= strchr("\"\\(), \t\n\r\v\f", field.data[c]) != NULL;
        if (quote)
            kp_buf_append_byte(&out, '"');
        for (size_t c = 0; c < field.len; c++) {
            if (field.data[c] == '"' || field.data[c] == '\\')
                kp_buf_append_byte(&out, field.data[c]);
            kp_buf_append_byte(&out, field.data[c] == '\n' ? 1 : field.data[c]);
        }
        if (quote)
            kp_buf_append_byte(&out, '"');
    }
    kp_buf_append(&out, ")", 2);
    kp_buf_finish(&field);
    return (char *)out.data;
}

static inline void answer_fail(struct answer *answer, const struct kp_error *err)
{
    snprintf(answer->sqlstate, sizeof answer->sqlstate, "%s", err->sqlstate);
    snprintf(answer->message, sizeof answer->message, "%.200s", err->message);
}

/* Runs one statement. ret_floats: which columns are floats; NULL if of no interest. */
static inline void kappa_ask(struct kappa *kappa, const char *text, struct answer *ret_answer, uint64_t *ret_floats)
{
    struct kp_error err;
    struct kp_prepared *prepared = NULL;
    struct kp_cursor *cursor = NULL;
    *ret_answer = (struct answer){0};
    if (ret_floats)
        *ret_floats = 0;
    if (kp_prepare(kappa->session, kp_str(text), NULL, 0, &prepared, &err)) {
        answer_fail(ret_answer, &err);
        return;
    }
    const struct kp_column *cols;
    uint32_t col_count;
    if (ret_floats && kp_prepared_columns(prepared, &cols, &col_count))
        for (uint32_t i = 0; i < col_count; i++)
            if (cols[i].type.id == KP_FLOAT8 || cols[i].type.id == KP_FLOAT4)
                *ret_floats |= UINT64_C(1) << i;
    if (kp_execute(kappa->session, prepared, NULL, 0, &cursor, &err))
        answer_fail(ret_answer, &err);
    bool done = cursor == NULL;
    while (!done) {
        struct kp_batch *batch = NULL;
        if (kp_cursor_next(cursor, 0, -1, &batch, &done, &err)) {
            answer_fail(ret_answer, &err);
            break;
        }
        for (uint32_t row = 0; batch && row < batch->rows; row++)
            for (int64_t n = batch->weights ? batch->weights[row] : 1; n > 0; n--)
                answer_add(ret_answer, record_print(batch, row, kp_session_zone(kappa->session)));
    }
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
}

/* Runs COPY … FROM STDIN and feeds it the bytes, in pieces. */
static inline void kappa_copy_in(struct kappa *kappa, const char *text, struct kp_str bytes, struct answer *ret_answer)
{
    enum { PIECE = 50 };
    struct kp_error err;
    struct kp_prepared *prepared = NULL;
    struct kp_cursor *cursor = NULL;
    *ret_answer = (struct answer){0};
    enum kp_code code = kp_prepare(kappa->session, kp_str(text), NULL, 0, &prepared, &err);
    if (!code)
        code = kp_execute(kappa->session, prepared, NULL, 0, &cursor, &err);
    for (size_t at = 0; !code && at < bytes.len; at += PIECE)
        code = kp_cursor_copy_data(cursor, (struct kp_str){bytes.ptr + at, KP_MIN(bytes.len - at, PIECE)}, &err);
    if (!code)
        code = kp_cursor_copy_end(cursor, &err);
    for (bool done = false; !code && !done;) {
        struct kp_batch *batch;
        code = kp_cursor_next(cursor, 0, -1, &batch, &done, &err);
    }
    if (code)
        answer_fail(ret_answer, &err);
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
}

/* Runs COPY … TO STDOUT; what it writes goes behind what `out` has. */
static inline void kappa_copy_out(struct kappa *kappa, const char *text, struct kp_buf *out, struct answer *ret_answer)
{
    struct kp_error err;
    struct kp_prepared *prepared = NULL;
    struct kp_cursor *cursor = NULL;
    const struct kp_copy_options *options = NULL;
    *ret_answer = (struct answer){0};
    enum kp_code code = kp_prepare(kappa->session, kp_str(text), NULL, 0, &prepared, &err);
    if (!code)
        code = kp_execute(kappa->session, prepared, NULL, 0, &cursor, &err);
    if (!code) {
        const struct kp_column *cols = NULL;
        uint32_t col_count = 0;
        options = kp_prepared_copy_options(prepared);
        kp_prepared_columns(prepared, &cols, &col_count);
        kp_copy_write_begin(options, cols, col_count, out);
    }
    for (bool done = false; !code && !done;) {
        struct kp_batch *batch = NULL;
        code = kp_cursor_next(cursor, 0, -1, &batch, &done, &err);
        for (uint32_t row = 0; !code && batch && row < batch->rows; row++)
            kp_copy_write_row(options, batch, row, kp_session_zone(kappa->session), out);
    }
    if (code)
        answer_fail(ret_answer, &err);
    else
        kp_copy_write_end(options, out);
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
}

/* Appends JSON records, one a line, to a topic's partition as one batch. A line that begins with a tab has a key: it
 * stands before the next tab, and nothing behind it is no value. */
static inline void kappa_append(struct kappa *kappa, const char *topic, uint32_t partition, const char *lines)
{
    struct kp_error err;
    struct kp_topic_info info;
    if (kp_db_topic(kappa->db, topic, true, &info, &err))
        fprintf(stderr, "topic %s: %s\n", topic, err.message), abort();
    struct kp_record_batch_builder builder = {0};
    while (*lines) {
        struct kp_str key = {0};
        if (*lines == '\t') {
            key = (struct kp_str){lines + 1, strcspn(lines + 1, "\t")};
            lines += key.len + 2;
        }
        size_t len = strcspn(lines, "\n");
        struct kp_str value = {len || !key.ptr ? lines : NULL, len};
        kp_record_batch_add(&builder, 1700000000000, key, value, (struct kp_str){0});
        lines += len + (lines[len] == '\n');
    }
    struct kp_buf bytes = {0};
    int64_t position = 0;
    struct kp_log_entry entry = {.topic = info.id, .partition = partition % info.partitions};
    enum kp_code code = kp_record_batch_build(&builder, 0, &bytes, &err);
    entry.batch = bytes.data;
    entry.bytes = bytes.len;
    if (code || kp_log_append(kp_db_log(kappa->db), &entry, 1, &position, &err))
        fprintf(stderr, "append: %s\n", err.message), abort();
    kp_session_read_after(kappa->session, position);
    kp_buf_finish(&bytes);
    kp_record_batch_builder_finish(&builder);
}

/* ---- a subscription, summed ---- */

struct sums {
    struct kp_subscription *subscription;
    struct kp_relation *relation;
    bool failed;
    int64_t at; /* complete up to here */
    char **rows;
    int64_t *counts;
    size_t count, cap;
};

static inline void sums_add(struct sums *sums, char *row, int64_t weight)
{
    for (size_t i = 0; i < sums->count; i++)
        if (strcmp(sums->rows[i], row) == 0) {
            sums->counts[i] += weight;
            kp_free(row);
            return;
        }
    if (sums->count == sums->cap) {
        sums->cap = sums->cap ? sums->cap * 2 : 64;
        sums->rows = kp_realloc(sums->rows, sums->cap * sizeof *sums->rows);
        sums->counts = kp_realloc(sums->counts, sums->cap * sizeof *sums->counts);
    }
    sums->rows[sums->count] = row;
    sums->counts[sums->count++] = weight;
}

static inline void sums_close(struct kappa *kappa, struct sums *sums)
{
    if (sums->subscription)
        kp_db_unsubscribe(kappa->db, sums->subscription);
    for (size_t i = 0; i < sums->count; i++)
        kp_free(sums->rows[i]);
    kp_free(sums->rows);
    kp_free(sums->counts);
    *sums = (struct sums){0};
}

enum { SILENT_MAX = 10 }; /* waits of 20 seconds: a soak is stopped at times, and its clock goes on */

/* Takes what has come up to the position; false if the subscription ended with an error. */
static inline bool sums_take(struct kappa *kappa, struct sums *sums, int64_t position)
{
    struct kp_arena arena = {0};
    struct kp_error err;
    unsigned silent = 0;
    while (sums->at < position && !sums->failed) {
        struct kp_subscription_item item;
        bool ready = false;
        if (kp_subscription_next(sums->subscription, 20000000, &arena, &item, &ready, &err)) {
            sums->failed = true;
        } else if (!ready && ++silent == SILENT_MAX) {
            fprintf(stderr, "a subscription is silent: at %lld, awaited %lld\n", (long long)sums->at,
                    (long long)position);
            abort();
        } else if (ready) {
            for (uint32_t row = 0; item.batch && row < item.batch->rows; row++)
                sums_add(sums, record_print(item.batch, row, kp_session_zone(kappa->session)),
                         item.batch->weights ? item.batch->weights[row] : 1);
            if (item.last_of_position)
                sums->at = item.position;
        }
        kp_arena_reset(&arena);
    }
    kp_arena_finish(&arena);
    return !sums->failed;
}

#endif
