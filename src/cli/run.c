/*
 * `kappa run app.sql`: the engine as a filter. An instance in a folder of its own, which goes at the end; events from files
 * or standard input; at their end open windows are closed and the last view's rows are printed.
 *
 * Events are appended in batches of BATCH_RECORDS, in the order of the arguments. The log's clock is the largest event time
 * seen (the instance's os gives it), so that a run repeats exactly.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "db/db.h"

enum { BATCH_RECORDS = 10000, BATCH_BYTES = 512 << 10, INPUTS_MAX = 64 };

struct options {
    const char *script, *view;
    struct {
        const char *topic, *path;
    } inputs[INPUTS_MAX];
    size_t input_count;
    bool changes;
    enum kp_output_format format;
    bool bad_format;
};

static int other(void *arg, int argc, char **argv)
{
    struct options *options = arg;
    if (argv[0][0] != '-' && !options->script) {
        options->script = argv[0];
        return 1;
    }
    if (strcmp(argv[0], "--changes") == 0) {
        options->changes = true;
        return 1;
    }
    if (argc < 2)
        return 0;
    if (strcmp(argv[0], "--view") == 0) {
        options->view = argv[1];
        return 2;
    }
    if (strcmp(argv[0], "--format") == 0)
        return kp_output_format_parse(argv[1], &options->format) ? 2 : 0;
    char *equals = strchr(argv[1], '=');
    if (strcmp(argv[0], "--input") == 0 && equals && options->input_count < INPUTS_MAX) {
        *equals = '\0';
        options->inputs[options->input_count].topic = argv[1];
        options->inputs[options->input_count++].path = equals + 1;
        return 2;
    }
    return 0;
}

/* ---- the script ---- */

static enum kp_code read_all(FILE *file, const char *path, struct kp_buf *out, struct kp_error *err)
{
    for (;;) {
        size_t n = fread(kp_buf_reserve(out, 1 << 16), 1, 1 << 16, file);
        out->len += n;
        if (n == 0)
            return ferror(file) ? kp_fail_errno(err, errno, "cannot read \"%s\"", path) : KP_OK;
    }
}

static int line_of(const struct kp_buf *script, const char *at)
{
    int line = 1;
    for (const char *p = (const char *)script->data; p < at; p++)
        line += *p == '\n';
    return line;
}

static enum kp_code print_result(struct kp_cursor *cursor, const struct kp_prepared *prepared, struct kp_session *session,
                                 enum kp_output_format format, struct kp_error *err)
{
    const struct kp_column *cols;
    uint32_t count;
    if (!kp_prepared_columns(prepared, &cols, &count))
        return KP_OK;
    struct kp_output output;
    kp_output_begin(&output, format, stdout, cols, count, kp_session_zone(session));
    bool done = false;
    enum kp_code code = KP_OK;
    while (code == KP_OK && !done) {
        struct kp_batch *batch;
        code = kp_cursor_next(cursor, 0, -1, &batch, &done, err);
        if (code == KP_OK && batch)
            kp_output_batch(&output, batch);
    }
    kp_output_end(&output);
    return code;
}

static enum kp_code run_statement(struct kp_session *session, struct kp_str text, bool print, enum kp_output_format format,
                                  struct kp_error *err)
{
    struct kp_prepared *prepared;
    KP_TRY(kp_prepare(session, text, NULL, 0, &prepared, err));
    struct kp_cursor *cursor = NULL;
    enum kp_code code = kp_execute(session, prepared, NULL, 0, &cursor, err);
    if (code == KP_OK && print)
        code = print_result(cursor, prepared, session, format, err);
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
    return code;
}

static enum kp_code run_script(struct kp_session *session, const struct options *options, struct kp_error *err)
{
    FILE *file = fopen(options->script, "r");
    if (!file)
        return kp_fail_errno(err, errno, "cannot read \"%s\"", options->script);
    struct kp_buf script = {0};
    enum kp_code code = read_all(file, options->script, &script, err);
    fclose(file);
    struct kp_str rest = {(const char *)script.data, script.len}, statement;
    while (code == KP_OK && kp_statement_next(&rest, &statement)) {
        code = run_statement(session, statement, false, options->format, err);
        if (code != KP_OK)
            kp_error_context(err, "%s, line %d", options->script, line_of(&script, statement.ptr));
    }
    kp_buf_finish(&script);
    return code;
}

/* ---- events ---- */

struct sender {
    struct kp_db *db;
    struct kp_topic_info topic;
    struct kp_record_batch_builder builder;
    struct kp_buf batch;
};

static enum kp_code send_batch(struct sender *sender, struct kp_error *err)
{
    if (sender->builder.count == 0)
        return KP_OK;
    sender->batch.len = 0;
    KP_TRY(kp_record_batch_build(&sender->builder, KP_CODEC_NONE, &sender->batch, err));
    struct kp_log_entry entry = {.topic = sender->topic.id, .batch = sender->batch.data, .bytes = sender->batch.len, .trusted = true};
    int64_t position;
    return kp_log_append(kp_db_log(sender->db), &entry, 1, &position, err);
}

static enum kp_code send_line(struct sender *sender, struct kp_str line, struct kp_error *err)
{
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (line.len == 0)
        return KP_OK;
    if (line.len > KP_RECORD_BYTES_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "a record of %zu bytes: the limit is %d", line.len, KP_RECORD_BYTES_MAX);
    kp_record_batch_add(&sender->builder, 0, (struct kp_str){NULL, 0}, line, (struct kp_str){NULL, 0});
    bool full = sender->builder.count >= BATCH_RECORDS || kp_record_batch_builder_bytes(&sender->builder) >= BATCH_BYTES;
    return full ? send_batch(sender, err) : KP_OK;
}

/* Each line is a record; of CSV too, a header line is the decoder's affair. */
static enum kp_code send_file(struct kp_db *db, const char *topic, FILE *file, const char *path, struct kp_error *err)
{
    struct sender sender = {.db = db};
    KP_TRY(kp_db_topic(db, topic, true, &sender.topic, err));
    char *line = NULL;
    size_t cap = 0, number = 0;
    ssize_t len;
    enum kp_code code = KP_OK;
    while (code == KP_OK && (len = getline(&line, &cap, file)) > 0) {
        number++;
        size_t used = (size_t)len - (line[len - 1] == '\n');
        code = send_line(&sender, (struct kp_str){line, used}, err);
        if (code != KP_OK)
            kp_error_context(err, "%s, line %zu", path, number);
    }
    if (code == KP_OK && ferror(file))
        code = kp_fail_errno(err, errno, "cannot read \"%s\"", path);
    if (code == KP_OK)
        code = send_batch(&sender, err);
    free(line);
    kp_record_batch_builder_finish(&sender.builder);
    kp_buf_finish(&sender.batch);
    return code;
}

/* Standard input goes to the topic of the only source or table. */
static enum kp_code only_topic(struct kp_session *session, struct kp_db *db, char *out, size_t size, struct kp_error *err)
{
    struct kp_prepared *prepared;
    KP_TRY(kp_prepare(session, KP_STR("SELECT topic FROM kappa.sources"), NULL, 0, &prepared, err));
    struct kp_cursor *cursor = NULL;
    enum kp_code code = kp_execute(session, prepared, NULL, 0, &cursor, err);
    uint32_t rows = 0;
    bool done = false;
    while (code == KP_OK && !done) {
        struct kp_batch *batch;
        code = kp_cursor_next(cursor, 0, 0, &batch, &done, err);
        for (uint32_t i = 0; code == KP_OK && batch && i < batch->rows; i++) {
            const struct kp_text *text = kp_vec_at(&batch->vecs[0], i);
            if (rows == 0 || strncmp(out, kp_text_bytes(text), text->len) != 0 || out[text->len])
                rows++;
            snprintf(out, size, "%.*s", (int)text->len, kp_text_bytes(text));
        }
    }
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
    KP_TRY(code);
    if (rows == 1)
        return KP_OK;
    (void)kp_fail(err, KP_INVALID, NULL, "the script reads %u topics, so standard input has no clear place to go", rows);
    return kp_error_hint(err, "Name the files: --input TOPIC=FILE, for standard input --input TOPIC=-.");
}

static enum kp_code send_inputs(struct kp_session *session, struct kp_db *db, const struct options *options, struct kp_error *err)
{
    if (options->input_count == 0) {
        if (isatty(STDIN_FILENO))
            return KP_OK;
        char topic[256];
        KP_TRY(only_topic(session, db, topic, sizeof topic, err));
        return send_file(db, topic, stdin, "standard input", err);
    }
    for (size_t i = 0; i < options->input_count; i++) {
        bool standard = strcmp(options->inputs[i].path, "-") == 0;
        FILE *file = standard ? stdin : fopen(options->inputs[i].path, "r");
        if (!file)
            return kp_fail_errno(err, errno, "cannot read \"%s\"", options->inputs[i].path);
        enum kp_code code = send_file(db, options->inputs[i].topic, file, options->inputs[i].path, err);
        if (!standard)
            fclose(file);
        KP_TRY(code);
    }
    return KP_OK;
}

/* ---- the answer ---- */

static void quote_name(struct kp_buf *out, const char *name)
{
    kp_buf_append_byte(out, '"');
    for (; *name; name++) {
        if (*name == '"')
            kp_buf_append_byte(out, '"');
        kp_buf_append_byte(out, (uint8_t)*name);
    }
    kp_buf_append_byte(out, '"');
}

static enum kp_code last_view(struct kp_db *db, const struct options *options, struct kp_relation **ret_view, struct kp_error *err)
{
    if (options->view)
        return kp_db_relation(db, options->view, ret_view, err);
    return kp_db_last_view(db, ret_view, err);
}

/* The stream of changes up to the end: a subscription from the beginning, opened before the events were sent. */
static enum kp_code print_changes(struct kp_cursor *cursor, const struct kp_prepared *prepared, struct kp_session *session,
                                  const struct options *options, int64_t end, struct kp_error *err)
{
    const struct kp_column *cols;
    uint32_t count;
    kp_prepared_columns(prepared, &cols, &count);
    struct kp_output output;
    kp_output_begin(&output, options->format, stdout, cols, count, kp_session_zone(session));
    enum kp_code code = KP_OK;
    for (;;) {
        struct kp_batch *batch;
        bool done;
        code = kp_cursor_next(cursor, 0, 0, &batch, &done, err);
        if (code != KP_OK || !batch)
            break;
        if (!*(const uint8_t *)kp_vec_at(&batch->vecs[2], 0)) /* not a progress row */
            kp_output_batch(&output, batch);
    }
    kp_output_end(&output);
    return code;
}

struct app {
    struct kp_db *db;
    struct kp_session *session;
    struct kp_prepared *subscribe;
    struct kp_cursor *changes;
};

static enum kp_code begin_changes(struct app *app, const struct kp_relation *view, struct kp_error *err)
{
    struct kp_buf text = {0};
    kp_buf_append_text(&text, "SUBSCRIBE TO ");
    quote_name(&text, view->name);
    enum kp_code code = kp_prepare(app->session, (struct kp_str){(const char *)text.data, text.len}, NULL, 0, &app->subscribe, err);
    kp_buf_finish(&text);
    KP_TRY(code);
    return kp_execute(app->session, app->subscribe, NULL, 0, &app->changes, err);
}

static enum kp_code print_rows(struct app *app, const struct kp_relation *view, const struct options *options, struct kp_error *err)
{
    struct kp_buf text = {0};
    kp_buf_append_text(&text, "SELECT * FROM ");
    quote_name(&text, view->name);
    kp_buf_append_text(&text, " ORDER BY ");
    for (uint32_t i = 0; i < view->col_count - view->hidden_count; i++)
        kp_buf_printf(&text, "%s%u", i ? ", " : "", i + 1);
    enum kp_code code = run_statement(app->session, (struct kp_str){(const char *)text.data, text.len}, true, options->format, err);
    kp_buf_finish(&text);
    return code;
}

static enum kp_code run_app(struct app *app, const struct options *options, struct kp_error *err)
{
    KP_TRY(kp_session_open(app->db, NULL, &app->session, err));
    KP_TRY(run_script(app->session, options, err));
    struct kp_relation *view;
    KP_TRY(last_view(app->db, options, &view, err));
    enum kp_code code = options->changes ? begin_changes(app, view, err) : KP_OK;
    if (code == KP_OK)
        code = send_inputs(app->session, app->db, options, err);
    if (code == KP_OK)
        code = kp_db_close_windows(app->db, err);
    if (code == KP_OK)
        kp_session_read_after(app->session, kp_log_position(kp_db_log(app->db)));
    if (code == KP_OK)
        code = options->changes ? print_changes(app->changes, app->subscribe, app->session, options, 0, err)
                                : print_rows(app, view, options, err);
    kp_relation_unref(view);
    return code;
}

/* ---- the folder ---- */

static void remove_name(void *arg, const char *name)
{
    struct kp_buf path = {0};
    kp_buf_printf(&path, "%s/%s%c", (const char *)arg, name, 0);
    struct kp_error ignored;
    (void)!kp_os_real()->unlink(NULL, (const char *)path.data, &ignored);
    kp_buf_finish(&path);
}

static int run(int argc, char **argv)
{
    struct kp_config config;
    struct kp_error err;
    struct options options = {.format = isatty(STDOUT_FILENO) ? KP_OUTPUT_TABLE : KP_OUTPUT_CSV};
    enum kp_code code = kp_config_load(&config, argc, argv, other, &options, &err);
    if (code == KP_OK && !options.script)
        code = kp_fail(&err, KP_INVALID, NULL, "which script? Name a file of SQL");
    if (code != KP_OK)
        return kp_cli_usage(&kp_verb_run, &err);
    char dir[] = "/tmp/kappa-run-XXXXXX";
    if (!mkdtemp(dir)) {
        (void)kp_fail_errno(&err, errno, "cannot make a folder under /tmp");
        return kp_cli_fail(&err);
    }
    struct kp_db_options db_options = {.dir = dir,
                                       .workers = (uint32_t)kp_config_int(&config, KP_CONFIG_WORKERS),
                                       .memory_bytes = kp_config_int(&config, KP_CONFIG_MEMORY),
                                       .step_bytes_max = (uint64_t)kp_config_int(&config, KP_CONFIG_STEP_BYTES),
                                       .unsafe_no_sync = true,
                                       .event_time = true};
    struct app app = {0};
    code = kp_db_open(&db_options, &app.db, &err);
    if (code == KP_OK)
        code = run_app(&app, &options, &err);
    kp_cursor_close(app.changes);
    kp_prepared_destroy(app.subscribe);
    kp_session_close(app.session);
    kp_db_close(app.db);
    struct kp_error ignored;
    (void)!kp_os_real()->list(NULL, dir, remove_name, dir, &ignored);
    rmdir(dir);
    kp_config_finish(&config);
    return code == KP_OK ? KP_EXIT_OK : kp_cli_fail(&err);
}

const struct kp_verb kp_verb_run = {
    .name = "run",
    .usage = "APP.sql [--input TOPIC=FILE]… [--view NAME] [--changes] [--format table|csv|ndjson] [< events]",
    .summary = "Runs a script of sources and views over files or standard input and prints the answer",
    .help = "Each line of an input is one record of its topic; without --input, standard input goes to the topic of the\n"
            "script's only source. At the end of the input open windows are closed and the rows of the last view (or --view)\n"
            "are printed, or with --changes every change of them: position, diff, progress, columns.\n",
    .settings = true,
    .run = run,
};
