/* `kappa sql`: statements on a data folder, by an instance of its own, or through the server that has the folder open.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "cli/verbs.h"
#include "db/db.h"

enum { SCRIPTS_MAX = 64 };

struct options {
    struct {
        bool is_file;
        const char *text; /* the statement, or the file's path */
    } scripts[SCRIPTS_MAX];
    size_t count;
    enum kp_output_format format;
    const char *bad_format;
};

static int other(void *arg, int argc, char **argv)
{
    struct options *options = arg;
    if (argc < 2)
        return 0;
    bool is_file = strcmp(argv[0], "-f") == 0 || strcmp(argv[0], "--file") == 0;
    if ((is_file || strcmp(argv[0], "-c") == 0 || strcmp(argv[0], "--command") == 0) && options->count < SCRIPTS_MAX) {
        options->scripts[options->count].is_file = is_file;
        options->scripts[options->count++].text = argv[1];
        return 2;
    }
    if (strcmp(argv[0], "--format") == 0) {
        if (!kp_output_format_parse(argv[1], &options->format))
            options->bad_format = argv[1];
        return 2;
    }
    return 0;
}

/* ---- errors, with the line and the place in it ---- */

static void print_error(const struct kp_error *err, struct kp_str statement)
{
    fprintf(stderr, "ERROR %s: %s\n", err->sqlstate, err->message);
    if (err->position > 0) {
        const char *at = statement.ptr, *end = statement.ptr + statement.len, *line = at;
        int number = 1, column = 1;
        for (int32_t i = 1; i < err->position && at < end; at++) {
            if (((unsigned char)at[0] & 0xc0) == 0x80)
                continue;
            i++;
            column++;
            if (*at == '\n') {
                line = at + 1;
                number++;
                column = 1;
            }
        }
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        fprintf(stderr, "LINE %d: %.*s\n%*s^\n", number, (int)((stop ? stop : end) - line), line,
                column + 7 + (number > 9), "");
    }
    if (*err->detail)
        fprintf(stderr, "DETAIL: %s\n", err->detail);
    if (*err->hint)
        fprintf(stderr, "HINT: %s\n", err->hint);
}

static void notice(void *arg, const char *severity, const struct kp_error *text)
{
    fprintf(stderr, "%s: %s\n", severity, text->message);
}

/* ---- here ---- */

static enum kp_code run_here(struct kp_session *session, struct kp_str statement, enum kp_output_format format,
                             struct kp_error *err)
{
    struct kp_prepared *prepared;
    KP_TRY(kp_prepare(session, statement, NULL, 0, &prepared, err));
    struct kp_cursor *cursor = NULL;
    enum kp_code code = kp_prepared_copy(prepared) == KP_COPY_IN
                            ? kp_fail(err, KP_UNSUPPORTED, NULL, "COPY FROM STDIN needs a server and psql")
                            : kp_execute(session, prepared, NULL, 0, &cursor, err);
    const struct kp_column *cols;
    uint32_t count;
    if (code == KP_OK && kp_prepared_columns(prepared, &cols, &count))
        code = kp_output_cursor(session, prepared, cursor, format, err);
    else if (code == KP_OK)
        fprintf(stderr, "%s\n", kp_cursor_tag(cursor));
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
    return code;
}

/* ---- scripts ---- */

struct target {
    struct kp_session *session; /* NULL: remote */
    struct kp_remote *remote;
    enum kp_output_format format;
};

static bool run_text(struct target *target, struct kp_str text)
{
    struct kp_str statement;
    while (kp_statement_next(&text, &statement)) {
        struct kp_error err;
        enum kp_code code = target->session
                                ? run_here(target->session, statement, target->format, &err)
                                : kp_remote_run(target->remote, statement, target->format, notice, NULL, &err);
        if (code != KP_OK) {
            print_error(&err, statement);
            return false;
        }
    }
    return true;
}

static bool run_file(struct target *target, const char *path)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "r");
    if (!file) {
        fprintf(stderr, "kappa: cannot read \"%s\": %s\n", path, strerror(errno));
        return false;
    }
    struct kp_buf text = {0};
    size_t n;
    while ((n = fread(kp_buf_reserve(&text, 1 << 16), 1, 1 << 16, file)) > 0)
        text.len += n;
    bool good = !ferror(file) && run_text(target, (struct kp_str){(const char *)text.data, text.len});
    if (!standard)
        fclose(file);
    kp_buf_finish(&text);
    return good;
}

static bool run_all(struct target *target, const struct options *options)
{
    if (options->count == 0)
        return run_file(target, "-");
    for (size_t i = 0; i < options->count; i++)
        if (!(options->scripts[i].is_file ? run_file(target, options->scripts[i].text)
                                          : run_text(target, kp_str(options->scripts[i].text))))
            return false;
    return true;
}

/* unwritable: why nothing can be written to the folder, which is only read then; NULL: it can be. */
static enum kp_code run_on_folder(const struct kp_config *config, const struct options *options,
                                  const struct kp_error *unwritable, bool *ret_good, struct kp_error *err)
{
    struct kp_db_options db_options = {.dir = kp_config_text(config, KP_CONFIG_DATA),
                                       .workers = (uint32_t)kp_config_int(config, KP_CONFIG_WORKERS),
                                       .memory_bytes = kp_config_int(config, KP_CONFIG_MEMORY),
                                       .unsafe_no_sync = kp_config_bool(config, KP_CONFIG_UNSAFE_NO_SYNC),
                                       .read_only = unwritable};
    struct kp_db *db;
    KP_TRY(kp_db_open(&db_options, &db, err));
    if (unwritable)
        fprintf(stderr, "kappa: %s: it is read as it is, nothing can be written\n", unwritable->message);
    struct kp_session_options session_options = {.notice = notice};
    struct target target = {.format = options->format};
    enum kp_code code = kp_session_open(db, &session_options, &target.session, err);
    if (code == KP_OK)
        *ret_good = run_all(&target, options);
    kp_session_close(target.session);
    kp_db_close(db);
    return code;
}

static enum kp_code run_on_server(const struct kp_config *config, const struct options *options, bool *ret_good,
                                  struct kp_error *err)
{
    struct target target = {.format = options->format};
    KP_TRY(kp_remote_open(kp_config_text(config, KP_CONFIG_DATA), &target.remote, err));
    *ret_good = run_all(&target, options);
    kp_remote_close(target.remote);
    return KP_OK;
}

static int run(int argc, char **argv)
{
    struct kp_config config;
    struct kp_error err;
    struct options options = {.format = KP_OUTPUT_TABLE};
    enum kp_code code = kp_config_load(&config, argc, argv, other, &options, &err);
    if (code == KP_OK && options.bad_format)
        code = kp_fail(&err, KP_INVALID, NULL, "there is no output format \"%s\"", options.bad_format);
    if (code != KP_OK) {
        kp_config_finish(&config);
        return kp_cli_usage(&kp_verb_sql, &err);
    }
    bool good = false;
    code = run_on_folder(&config, &options, NULL, &good, &err);
    if (code == KP_BUSY) {
        code = run_on_server(&config, &options, &good, &err);
    } else if (code == KP_FORBIDDEN) { /* a file system that is read-only after an error, or someone else's folder */
        const struct kp_error unwritable = err;
        code = run_on_folder(&config, &options, &unwritable, &good, &err);
    }
    kp_config_finish(&config);
    return code != KP_OK ? kp_cli_fail(&err) : good ? kp_cli_printed() : KP_EXIT_FAILED;
}

const struct kp_verb kp_verb_sql = {
    .name = "sql",
    .usage = "[-c STATEMENTS]… [-f FILE]… [--data DIR] [--format table|csv|ndjson]",
    .summary = "Runs SQL on a data folder, or through the server that has it open",
    .help = "Without -c and -f, statements come from standard input. It stops at the first error with exit status 1.\n",
    .settings = 1u << KP_CONFIG_CONFIG | 1u << KP_CONFIG_DATA | 1u << KP_CONFIG_WORKERS | 1u << KP_CONFIG_MEMORY |
                1u << KP_CONFIG_UNSAFE_NO_SYNC,
    .run = run,
};
