/*
 * `kappa run app.sql`: the engine as a filter. An instance in a folder of its own, which goes at the end; events from
 * files or standard input; at their end open windows are closed and the last view's rows are printed.
 *
 * Events are appended in batches of BATCH_RECORDS, in the order of the arguments. The log's clock is the largest event
 * time seen (the instance's os gives it), so that a run repeats exactly.
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
    const char *bad_format, *bad_input;
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
    if (strcmp(argv[0], "--format") == 0) {
        if (!kp_output_format_parse(argv[1], &options->format))
            options->bad_format = argv[1];
        return 2;
    }
    if (strcmp(argv[0], "--input") != 0)
        return 0;
    char *equals = strchr(argv[1], '=');
    if (!equals || equals == argv[1] || options->input_count == INPUTS_MAX)
        options->bad_input = argv[1];
    else {
        *equals = '\0';
        options->inputs[options->input_count].topic = argv[1];
        options->inputs[options->input_count++].path = equals + 1;
    }
    return 2;
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

static enum kp_code run_statement(struct kp_session *session, struct kp_str text, bool print,
                                  enum kp_output_format format, struct kp_error *err)
{
    struct kp_prepared *prepared;
    KP_TRY(kp_prepare(session, text, NULL, 0, &prepared, err));
    struct kp_cursor *cursor = NULL;
    enum kp_code code = kp_execute(session, prepared, NULL, 0, &cursor, err);
    if (code == KP_OK && print)
        code = kp_output_cursor(session, prepared, cursor, format, err);
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

/* ---- what the script reads ---- */

struct app {
    struct kp_db *db;
    struct kp_session *session;
    const struct options *options;
    struct kp_prepared *subscribe;
    struct kp_cursor *changes; /* --changes: opened before the first event */
    struct kp_output output;
};

/* Runs a query and calls each for every row of texts. */
static enum kp_code ask(struct kp_session *session, struct kp_str query,
                        void (*each)(void *arg, const struct kp_str *cells), void *arg, struct kp_error *err)
{
    struct kp_prepared *prepared;
    KP_TRY(kp_prepare(session, query, NULL, 0, &prepared, err));
    struct kp_cursor *cursor = NULL;
    enum kp_code code = kp_execute(session, prepared, NULL, 0, &cursor, err);
    bool done = false;
    while (code == KP_OK && !done) {
        struct kp_batch *batch;
        code = kp_cursor_next(cursor, 0, 0, &batch, &done, err);
        for (uint32_t i = 0; code == KP_OK && batch && i < batch->rows; i++) {
            struct kp_str cells[8] = {{NULL, 0}};
            for (uint32_t c = 0; c < batch->cols && c < KP_COUNT(cells); c++)
                cells[c] = kp_text_str(kp_vec_at(&batch->vecs[c], i));
            each(arg, cells);
        }
    }
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
    return code;
}

/* The topics of the script's sources and tables; wanted: the one looked for. */
struct topics {
    const char *wanted;
    bool found, csv;
    uint32_t count;
    struct kp_buf list;
};

static void note_topic(void *arg, const struct kp_str *cells)
{
    struct topics *topics = arg;
    kp_buf_printf(&topics->list, "%s\"%.*s\"", topics->count++ ? ", " : "", (int)cells[0].len, cells[0].ptr);
    if (topics->wanted && kp_str_equal(cells[0], kp_str(topics->wanted))) {
        topics->found = true;
        topics->csv |= kp_str_equal(cells[1], KP_STR("csv"));
    }
}

static enum kp_code find_topics(struct app *app, const char *wanted, struct topics *ret_topics, struct kp_error *err)
{
    *ret_topics = (struct topics){.wanted = wanted};
    return ask(app->session, KP_STR("SELECT topic, min(format) FROM kappa.sources GROUP BY topic ORDER BY topic"),
               note_topic, ret_topics, err);
}

/* ---- events ---- */

static enum kp_code print_changes(struct app *app, struct kp_error *err);

struct sender {
    struct app *app;
    struct kp_topic_info topic;
    bool csv; /* a line end inside quotes does not end a record */
    struct kp_record_batch_builder builder;
    struct kp_buf batch, record;
};

static enum kp_code send_batch(struct sender *sender, struct kp_error *err)
{
    if (sender->builder.count == 0)
        return KP_OK;
    sender->batch.len = 0;
    KP_TRY(kp_record_batch_build(&sender->builder, KP_CODEC_NONE, &sender->batch, err));
    struct kp_log_entry entry = {
        .topic = sender->topic.id, .batch = sender->batch.data, .bytes = sender->batch.len, .trusted = true};
    int64_t position;
    struct app *app = sender->app;
    KP_TRY(kp_log_append(kp_db_log(app->db), &entry, 1, &position, err));
    if (!app->changes)
        return KP_OK;
    /* One step a batch, so that the changes are the same in every run. */
    while (!kp_view_clock_wait(kp_db_clock(app->db), kp_log_position(kp_db_log(app->db)), 1000000))
        KP_TRY(kp_db_health(app->db, err));
    return print_changes(app, err);
}

static enum kp_code send_record(struct sender *sender, struct kp_str line, struct kp_error *err)
{
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (line.len == 0)
        return KP_OK;
    if (line.len > KP_RECORD_BYTES_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "a record of %zu bytes: the limit is %d", line.len, KP_RECORD_BYTES_MAX);
    kp_record_batch_add(&sender->builder, 0, (struct kp_str){NULL, 0}, line, (struct kp_str){NULL, 0});
    bool full =
        sender->builder.count >= BATCH_RECORDS || kp_record_batch_builder_bytes(&sender->builder) >= BATCH_BYTES;
    return full ? send_batch(sender, err) : KP_OK;
}

static bool is_open_quote(const struct kp_buf *record)
{
    bool open = false;
    for (size_t i = 0; i < record->len; i++)
        open ^= record->data[i] == '"';
    return open;
}

/* A line without its end. Of CSV, lines are gathered until the quotes match. */
static enum kp_code send_line(struct sender *sender, struct kp_str line, struct kp_error *err)
{
    if (!sender->csv || (sender->record.len == 0 && !memchr(line.ptr, '"', line.len)))
        return send_record(sender, line, err);
    kp_buf_append(&sender->record, line.ptr, line.len);
    if (sender->record.len <= KP_RECORD_BYTES_MAX && is_open_quote(&sender->record)) {
        kp_buf_append_byte(&sender->record, '\n');
        return KP_OK;
    }
    struct kp_str record = {(const char *)sender->record.data, sender->record.len};
    sender->record.len = 0;
    return send_record(sender, record, err);
}

/* Each line is a record; the header line of CSV is the decoder's affair (WITH (header = true)). */
static enum kp_code send_file(struct app *app, const char *topic, bool csv, FILE *file, const char *path,
                              struct kp_error *err)
{
    struct sender sender = {.app = app, .csv = csv};
    KP_TRY(kp_db_topic(app->db, topic, true, &sender.topic, err));
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
    if (code == KP_OK && sender.record.len) /* quotes that never closed: a dead letter */
        code = send_record(&sender, (struct kp_str){(const char *)sender.record.data, sender.record.len}, err);
    if (code == KP_OK)
        code = send_batch(&sender, err);
    free(line);
    kp_record_batch_builder_finish(&sender.builder);
    kp_buf_finish(&sender.batch);
    kp_buf_finish(&sender.record);
    return code;
}

/* Standard input goes to the topic of the only source or table. */
static enum kp_code send_standard_input(struct app *app, struct kp_error *err)
{
    struct topics topics;
    enum kp_code code = find_topics(app, NULL, &topics, err);
    char topic[300] = "";
    if (code == KP_OK && topics.count == 1)
        snprintf(topic, sizeof topic, "%.*s", (int)topics.list.len - 2, (const char *)topics.list.data + 1);
    if (code == KP_OK && topics.count != 1) {
        code = kp_fail(err, KP_INVALID, NULL, "the script reads %u topics, so standard input has no clear place to go",
                       topics.count);
        kp_error_hint(err, "Name the files: --input TOPIC=FILE, for standard input --input TOPIC=-.");
    }
    kp_buf_finish(&topics.list);
    KP_TRY(code);
    KP_TRY(find_topics(app, topic, &topics, err));
    kp_buf_finish(&topics.list);
    return send_file(app, topic, topics.csv, stdin, "standard input", err);
}

static enum kp_code send_inputs(struct app *app, struct kp_error *err)
{
    const struct options *options = app->options;
    if (options->input_count == 0)
        return isatty(STDIN_FILENO) ? KP_OK : send_standard_input(app, err);
    for (size_t i = 0; i < options->input_count; i++) {
        const char *topic = options->inputs[i].topic, *path = options->inputs[i].path;
        struct topics topics;
        enum kp_code code = find_topics(app, topic, &topics, err);
        if (code == KP_OK && !topics.found) {
            code = kp_fail(err, KP_NOT_FOUND, NULL, "nothing in the script reads topic \"%s\"", topic);
            kp_error_hint(err, "It reads %.*s.", (int)topics.list.len,
                          topics.count ? (const char *)topics.list.data : "");
        }
        kp_buf_finish(&topics.list);
        KP_TRY(code);
        bool standard = strcmp(path, "-") == 0;
        FILE *file = standard ? stdin : fopen(path, "r");
        if (!file)
            return kp_fail_errno(err, errno, "cannot read \"%s\"", path);
        code = send_file(app, topic, topics.csv, file, path, err);
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

static enum kp_code last_view(struct kp_db *db, const struct options *options, struct kp_relation **ret_view,
                              struct kp_error *err)
{
    if (options->view)
        return kp_db_relation(db, options->view, ret_view, err);
    return kp_db_last_view(db, ret_view, err);
}

/* The changes that have come since the last call. */
static enum kp_code print_changes(struct app *app, struct kp_error *err)
{
    for (;;) {
        struct kp_batch *batch;
        bool done;
        KP_TRY(kp_cursor_next(app->changes, 0, 0, &batch, &done, err));
        if (!batch)
            return KP_OK;
        if (!*(const uint8_t *)kp_vec_at(&batch->vecs[2], 0)) /* not a progress row */
            kp_output_batch(&app->output, batch);
    }
}

static enum kp_code begin_changes(struct app *app, const struct kp_relation *view, struct kp_error *err)
{
    struct kp_buf text = {0};
    kp_buf_append_text(&text, "SUBSCRIBE TO ");
    quote_name(&text, view->name);
    enum kp_code code =
        kp_prepare(app->session, (struct kp_str){(const char *)text.data, text.len}, NULL, 0, &app->subscribe, err);
    kp_buf_finish(&text);
    KP_TRY(code);
    KP_TRY(kp_execute(app->session, app->subscribe, NULL, 0, &app->changes, err));
    const struct kp_column *cols;
    uint32_t count;
    kp_prepared_columns(app->subscribe, &cols, &count);
    kp_output_begin(&app->output, app->options->format, stdout, cols, count, kp_session_zone(app->session));
    return KP_OK;
}

static enum kp_code print_rows(struct app *app, const struct kp_relation *view, const struct options *options,
                               struct kp_error *err)
{
    struct kp_buf text = {0};
    kp_buf_append_text(&text, "SELECT * FROM ");
    quote_name(&text, view->name);
    kp_buf_append_text(&text, " ORDER BY ");
    for (uint32_t i = 0; i < view->col_count - view->hidden_count; i++)
        kp_buf_printf(&text, "%s%u", i ? ", " : "", i + 1);
    enum kp_code code =
        run_statement(app->session, (struct kp_str){(const char *)text.data, text.len}, true, options->format, err);
    kp_buf_finish(&text);
    return code;
}

/* Nothing is left out in silence: records that are no rows are told of. */
static void tell_dead(void *arg, const struct kp_str *cells)
{
    fprintf(stderr, "kappa: %.*s of topic \"%.*s\" could not be decoded; the first is record %.*s: %.*s\n",
            (int)cells[1].len, cells[1].ptr, (int)cells[0].len, cells[0].ptr, (int)cells[2].len, cells[2].ptr,
            (int)cells[3].len, cells[3].ptr);
}

static enum kp_code tell_dead_letters(struct app *app, struct kp_error *err)
{
    return ask(app->session,
               KP_STR("SELECT d.topic, c.n::text || CASE WHEN c.n = 1 THEN ' record' ELSE ' records' END, "
                      "(d.\"offset\" + 1)::text, d.reason"
                      " FROM kappa.dead_letters d JOIN (SELECT source, min(position) AS first, count(*) AS n FROM "
                      "kappa.dead_letters"
                      " GROUP BY source) c ON c.source = d.source AND c.first = d.position ORDER BY 1"),
               tell_dead, app, err);
}

static void tell_late(void *arg, const struct kp_str *cells)
{
    fprintf(stderr, "kappa: %.*s behind the watermark: their windows were closed already\n", (int)cells[0].len,
            cells[0].ptr);
}

static enum kp_code tell_late_rows(struct app *app, struct kp_error *err)
{
    return ask(app->session,
               KP_STR("SELECT sum(late)::text || ' rows of a window came' FROM kappa.operators HAVING sum(late) > 0"),
               tell_late, app, err);
}

static enum kp_code run_app(struct app *app, struct kp_error *err)
{
    const struct options *options = app->options;
    KP_TRY(kp_session_open(app->db, NULL, &app->session, err));
    KP_TRY(run_script(app->session, options, err));
    struct kp_relation *view;
    KP_TRY(last_view(app->db, options, &view, err));
    enum kp_code code = options->changes ? begin_changes(app, view, err) : KP_OK;
    if (code == KP_OK)
        code = send_inputs(app, err);
    if (code == KP_OK)
        code = kp_db_close_windows(app->db, err);
    if (code == KP_OK)
        kp_session_read_after(app->session, kp_log_position(kp_db_log(app->db)));
    if (code == KP_OK)
        code = options->changes ? print_changes(app, err) : print_rows(app, view, options, err);
    if (app->changes)
        kp_output_end(&app->output);
    struct kp_error ignored; /* the view's own error comes first */
    if (!app->session || tell_dead_letters(app, code == KP_OK ? err : &ignored) != KP_OK ||
        tell_late_rows(app, code == KP_OK ? err : &ignored) != KP_OK)
        code = code == KP_OK ? err->code : code;
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
    if (code == KP_OK && options.bad_format)
        code = kp_fail(&err, KP_INVALID, NULL, "there is no output format \"%s\"", options.bad_format);
    if (code == KP_OK && options.bad_input)
        code = kp_fail(&err, KP_INVALID, NULL, "--input %s: write TOPIC=FILE, at most %d times", options.bad_input,
                       (int)INPUTS_MAX);
    if (code != KP_OK) {
        kp_config_finish(&config);
        return kp_cli_usage(&kp_verb_run, &err);
    }
    char dir[] = "/tmp/kappa-run-XXXXXX";
    if (!mkdtemp(dir)) {
        (void)kp_fail_errno(&err, errno, "cannot make a folder under /tmp");
        kp_config_finish(&config);
        return kp_cli_fail(&err);
    }
    struct kp_db_options db_options = {.dir = dir,
                                       .workers = (uint32_t)kp_config_int(&config, KP_CONFIG_WORKERS),
                                       .memory_bytes = kp_config_int(&config, KP_CONFIG_MEMORY),
                                       .step_bytes_max = (uint64_t)kp_config_int(&config, KP_CONFIG_STEP_BYTES),
                                       .unsafe_no_sync = true,
                                       .no_columns = true, /* read once */
                                       .event_time = true};
    struct app app = {.options = &options};
    code = kp_db_open(&db_options, &app.db, &err);
    if (code == KP_OK)
        code = run_app(&app, &err);
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
    .help =
        "Each line of an input is one record of its topic; without --input, standard input goes to the topic of the\n"
        "script's only source. At the end of the input open windows are closed and the rows of the last view (or "
        "--view)\n"
        "are printed, or with --changes every change of them: position, diff, progress, columns.\n",
    .settings = 1u << KP_CONFIG_CONFIG | 1u << KP_CONFIG_WORKERS | 1u << KP_CONFIG_MEMORY | 1u << KP_CONFIG_STEP_BYTES,
    .run = run,
};
