/* include/kappa.h over db.h: each run of statements has a session of its own, which goes with its rows. */
#include "kappa.h"

#include "db/db.h"

struct kp_instance {
    struct kp_db *db;
};

struct kp_rows {
    struct kp_session *session;
    struct kp_prepared *prepared;
    struct kp_cursor *cursor;
    const struct kp_column *cols;
    uint32_t col_count;
    struct kp_batch *batch;
    uint32_t row; /* of the batch; the current one */
    struct kp_buf *texts;
};

const char *kp_version(void)
{
    return KAPPA_VERSION;
}

static bool report(const struct kp_error *err, struct kp_failure *failure)
{
    if (!failure)
        return false;
    memset(failure, 0, sizeof *failure);
    memcpy(failure->sqlstate, err->sqlstate, sizeof failure->sqlstate);
    failure->position = err->position;
    failure->log_position = err->log_position;
    failure->retriable = err->retriable;
    memcpy(failure->message, err->message, sizeof failure->message);
    memcpy(failure->detail, err->detail, sizeof failure->detail);
    memcpy(failure->hint, err->hint, sizeof failure->hint);
    return false;
}

bool kp_instance_open(const char *dir, const struct kp_instance_options *options, struct kp_instance **ret_instance,
                      struct kp_failure *failure)
{
    struct kp_db_options db_options = {.dir = dir};
    if (options) {
        db_options.workers = options->workers;
        db_options.memory_bytes = options->memory_bytes;
        db_options.unsafe_no_sync = options->unsafe_no_sync;
    }
    struct kp_error err;
    struct kp_db *db;
    if (kp_db_open(&db_options, &db, &err) != KP_OK)
        return report(&err, failure);
    *ret_instance = kp_alloc(sizeof **ret_instance);
    (*ret_instance)->db = db;
    return true;
}

void kp_instance_close(struct kp_instance *instance)
{
    if (!instance)
        return;
    kp_db_close(instance->db);
    kp_free(instance);
}

/* ---- statements ---- */

static void finish_statement(struct kp_rows *rows)
{
    kp_cursor_close(rows->cursor);
    kp_prepared_destroy(rows->prepared);
    rows->cursor = NULL;
    rows->prepared = NULL;
}

static enum kp_code run_statement(struct kp_rows *rows, struct kp_str text, struct kp_error *err)
{
    finish_statement(rows);
    KP_TRY(kp_prepare(rows->session, text, NULL, 0, &rows->prepared, err));
    if (kp_prepared_copy(rows->prepared) == KP_COPY_IN)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "COPY FROM STDIN has no input here");
    return kp_execute(rows->session, rows->prepared, NULL, 0, &rows->cursor, err);
}

static enum kp_code run_all(struct kp_rows *rows, const char *sql, struct kp_error *err)
{
    struct kp_str rest = kp_str(sql), statement, next;
    if (!kp_statement_next(&rest, &statement))
        return KP_OK;
    bool more = kp_statement_next(&rest, &next);
    if (more)
        kp_session_implicit_begin(rows->session);
    enum kp_code code = run_statement(rows, statement, err);
    while (code == KP_OK && more) {
        statement = next;
        more = kp_statement_next(&rest, &next);
        code = run_statement(rows, statement, err);
    }
    struct kp_error ignored;
    enum kp_code ended = kp_session_implicit_end(rows->session, code == KP_OK, code == KP_OK ? err : &ignored);
    return code == KP_OK ? ended : code;
}

bool kp_instance_run(struct kp_instance *instance, const char *sql, struct kp_rows **ret_rows,
                     struct kp_failure *failure)
{
    struct kp_rows *rows = kp_calloc(1, sizeof *rows);
    struct kp_error err;
    enum kp_code code = kp_session_open(instance->db, NULL, &rows->session, &err);
    if (code == KP_OK)
        code = run_all(rows, sql, &err);
    bool has_rows =
        code == KP_OK && rows->prepared && kp_prepared_columns(rows->prepared, &rows->cols, &rows->col_count);
    if (ret_rows)
        *ret_rows = NULL;
    if (!has_rows || !ret_rows) {
        kp_rows_close(rows);
        return code == KP_OK || report(&err, failure);
    }
    rows->texts = kp_calloc(rows->col_count + 1, sizeof *rows->texts);
    *ret_rows = rows;
    return true;
}

/* ---- records ---- */

bool kp_instance_append(struct kp_instance *instance, const char *topic, const void *key, size_t key_bytes,
                        const void *value, size_t value_bytes, int64_t *ret_position, struct kp_failure *failure)
{
    struct kp_error err;
    struct kp_topic_info info;
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_os *os = kp_os_real();
    int64_t position = 0;
    enum kp_code code =
        value_bytes > KP_RECORD_BYTES_MAX
            ? kp_fail(&err, KP_LIMIT, NULL, "a record of %zu bytes: the limit is %d", value_bytes, KP_RECORD_BYTES_MAX)
            : kp_db_topic(instance->db, topic, true, &info, &err);
    if (code == KP_OK) {
        kp_record_batch_add(&builder, os->wall_us(os->ctx) / 1000, (struct kp_str){key, key ? key_bytes : 0},
                            (struct kp_str){value, value ? value_bytes : 0}, (struct kp_str){NULL, 0});
        code = kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err);
    }
    if (code == KP_OK) {
        struct kp_log_entry entry = {.topic = info.id, .batch = batch.data, .bytes = batch.len, .trusted = true};
        code = kp_log_append(kp_db_log(instance->db), &entry, 1, &position, &err);
    }
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&batch);
    if (code != KP_OK)
        return report(&err, failure);
    if (ret_position)
        *ret_position = position;
    return true;
}

bool kp_instance_wait(struct kp_instance *instance, int64_t position, int64_t timeout_us)
{
    return kp_view_clock_wait(kp_db_clock(instance->db), position, timeout_us);
}

/* ---- rows ---- */

uint32_t kp_rows_columns(const struct kp_rows *rows)
{
    return rows->col_count;
}

const char *kp_rows_name(const struct kp_rows *rows, uint32_t column)
{
    return column < rows->col_count ? rows->cols[column].name : NULL;
}

uint32_t kp_rows_type_oid(const struct kp_rows *rows, uint32_t column)
{
    return column < rows->col_count ? kp_type_info(rows->cols[column].type.id)->oid : 0;
}

bool kp_rows_next(struct kp_rows *rows, struct kp_failure *failure)
{
    if (failure)
        memset(failure, 0, sizeof *failure);
    if (rows->batch && ++rows->row < rows->batch->rows)
        return true;
    bool done = false;
    do {
        struct kp_error err;
        if (kp_cursor_next(rows->cursor, 0, -1, &rows->batch, &done, &err) != KP_OK) {
            rows->batch = NULL;
            return report(&err, failure);
        }
    } while (!done && (!rows->batch || rows->batch->rows == 0));
    rows->row = 0;
    return rows->batch && rows->batch->rows > 0;
}

const char *kp_rows_text(struct kp_rows *rows, uint32_t column)
{
    if (!rows->batch || column >= rows->col_count || kp_vec_is_null(&rows->batch->vecs[column], rows->row))
        return NULL;
    struct kp_buf *text = &rows->texts[column];
    const struct kp_vec *vec = &rows->batch->vecs[column];
    text->len = 0;
    kp_value_print(vec->type, kp_vec_at(vec, rows->row), kp_session_zone(rows->session), text);
    kp_buf_append_byte(text, 0);
    return (const char *)text->data;
}

int64_t kp_rows_position(const struct kp_rows *rows)
{
    return kp_cursor_position(rows->cursor);
}

void kp_rows_cancel(struct kp_rows *rows)
{
    kp_session_cancel(rows->session);
}

void kp_rows_close(struct kp_rows *rows)
{
    if (!rows)
        return;
    finish_statement(rows);
    for (uint32_t i = 0; rows->texts && i < rows->col_count; i++)
        kp_buf_finish(&rows->texts[i]);
    kp_free(rows->texts);
    kp_session_close(rows->session);
    kp_free(rows);
}
