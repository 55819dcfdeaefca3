/*
 * `kappa backup` and `kappa restore`.
 *
 * A backup is a copy of the log's files, made while a server writes them. What is written is never changed, so a copy
 * is a prefix of the log if nothing is copied before what it follows is whole: journal files are copied from the newest
 * to the oldest, each from its end to its beginning. Then a block that the copy has was complete when everything before
 * it was copied; at most its last one is torn, and opening the copy cuts it as after a crash. When files go while they
 * are copied (they were sealed), it begins again.
 *
 *   names ─► extents are linked ─► journal files are copied ─► same names still? ─► extents are copied ─► opened, every
 *   checksum looked at ─► synced ─► renamed from NAME.partial to NAME
 */
#include "cli/backup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/config.h"
#include "cli/verbs.h"
#include "log/files.h"
#include "log/inspect.h"
#include "log/log.h"

enum { PIECE_BYTES = 1 << 20, TRIES = 50 };

/* ---- folders ---- */

struct names {
    char **items;
    size_t count;
};

static bool has_suffix(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);
    return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

static bool is_journal(const char *name)
{
    return has_suffix(name, ".journal");
}
static bool is_extent(const char *name)
{
    return has_suffix(name, ".extent") || has_suffix(name, ".adopted");
}

static void add_name(void *arg, const char *name)
{
    struct names *names = arg;
    if (!is_journal(name) && !is_extent(name))
        return;
    names->items = kp_realloc(names->items, (names->count + 1) * sizeof(char *));
    names->items[names->count++] = kp_strdup(name);
}

static void names_finish(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        kp_free(names->items[i]);
    kp_free(names->items);
    *names = (struct names){0};
}

static enum kp_code list(const char *dir, struct names *ret_names, struct kp_error *err)
{
    struct kp_os *os = kp_os_real();
    *ret_names = (struct names){0};
    return os->list(os->ctx, dir, add_name, ret_names, err); /* in byte order */
}

/* Everything that was there is there still. */
static bool still_there(const struct names *before, const struct names *now)
{
    for (size_t i = 0, k = 0; i < before->count; i++) {
        while (k < now->count && strcmp(now->items[k], before->items[i]) < 0)
            k++;
        if (k == now->count || strcmp(now->items[k], before->items[i]) != 0)
            return false;
    }
    return true;
}

static char *join(const char *dir, const char *name)
{
    struct kp_buf path = {0};
    kp_buf_printf(&path, "%s/%s", dir, name);
    kp_buf_append_byte(&path, 0);
    return (char *)path.data;
}

/* ---- files ---- */

static bool is_zero(const uint8_t *bytes, size_t len)
{
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

static enum kp_code copy_pieces(struct kp_file *from, struct kp_file *to, uint8_t *piece, struct kp_error *err)
{
    struct kp_os *os = kp_os_real();
    uint64_t bytes;
    KP_TRY(os->size(os->ctx, from, &bytes, err));
    KP_TRY(os->truncate(os->ctx, to, bytes, err));
    for (uint64_t end = bytes; end > 0;) { /* from the end: see above */
        uint64_t at = (end - 1) / PIECE_BYTES * PIECE_BYTES;
        size_t got;
        KP_TRY(os->pread(os->ctx, from, piece, (size_t)(end - at), at, &got, err));
        if (!is_zero(piece, got))
            KP_TRY(os->pwrite(os->ctx, to, piece, got, at, err));
        end = at;
    }
    return os->sync(os->ctx, to, err);
}

static enum kp_code copy_file(const char *from_path, const char *to_path, struct kp_error *err)
{
    struct kp_os *os = kp_os_real();
    struct kp_file *from, *to = NULL;
    KP_TRY(os->open(os->ctx, from_path, KP_OPEN_READ, &from, err));
    uint8_t *piece = kp_alloc(PIECE_BYTES);
    enum kp_code code = kp_files_create(os, to_path, 0, &to, err);
    if (code == KP_OK)
        code = copy_pieces(from, to, piece, err);
    os->close(os->ctx, to);
    os->close(os->ctx, from);
    kp_free(piece);
    return code;
}

static enum kp_code copy_named(const char *from, const char *to, const struct names *names,
                               bool (*wanted)(const char *name), struct kp_error *err)
{
    enum kp_code code = KP_OK;
    for (size_t i = names->count; code == KP_OK && i-- > 0;) { /* the newest first */
        if (!wanted(names->items[i]))
            continue;
        char *from_path = join(from, names->items[i]), *to_path = join(to, names->items[i]);
        code = copy_file(from_path, to_path, err);
        kp_free(from_path);
        kp_free(to_path);
    }
    return code;
}

/* Extents by other names, so that they stay while journal files are copied: adopted ones, too, which are not used again
 * while the folder of links is there (log/journal.h). */
static bool link_extents(const char *dir, const char *links, const struct names *names)
{
    bool done = true;
    for (size_t i = 0; done && i < names->count; i++) {
        if (!is_extent(names->items[i]))
            continue;
        char *from = join(dir, names->items[i]), *to = join(links, names->items[i]);
        done = link(from, to) == 0;
        kp_free(from);
        kp_free(to);
    }
    return done;
}

/* ---- a backup ---- */

/* One try; *ret_stable false: files went meanwhile. */
static enum kp_code try_copy(const char *dir, const char *links, bool in_use, const char *partial, bool *ret_stable,
                             struct kp_error *err)
{
    struct names before, after = {0};
    KP_TRY(list(dir, &before, err));
    if (before.count == 0)
        return kp_fail(err, KP_NOT_FOUND, "58P01", "there is no log in \"%s\"", dir);
    enum kp_code code = KP_OK;
    *ret_stable = !links || link_extents(dir, links, &before);
    if (*ret_stable) {
        struct kp_error why;
        *ret_stable = copy_named(dir, partial, &before, is_journal, &why) == KP_OK;
        if (!*ret_stable && why.code == KP_FULL) {
            code = why.code;
            *err = why;
        }
    }
    if (code == KP_OK && *ret_stable)
        code = list(dir, &after, err);
    *ret_stable = *ret_stable && code == KP_OK && still_there(&before, &after);
    if (*ret_stable)
        code = copy_named(links ? links : dir, partial, &before, is_extent, err);
    if (code == KP_NOT_FOUND && in_use && !links) { /* an extent was merged before it was copied */
        *ret_stable = false;
        code = KP_OK;
    }
    names_finish(&before);
    names_finish(&after);
    return code;
}

struct noted {
    char first[400]; /* of what is lost; or of all, so far */
    bool lost;
};

static void note_problem(void *arg, const char *text)
{
    struct noted *noted = arg;
    bool lost = !strstr(text, KP_LOG_MENDED);
    if (!*noted->first || (lost && !noted->lost))
        snprintf(noted->first, sizeof noted->first, "%s", text);
    noted->lost |= lost;
}

/* Opens the copy as a log is opened, and looks at every checksum. What readers mend is copied as it is. */
static enum kp_code check(const char *dir, struct kp_copied *ret_copied, struct kp_error *err)
{
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .read_only = true};
    struct kp_log *log;
    KP_TRY(kp_log_open(&options, &log, err));
    ret_copied->position = kp_log_position(log);
    kp_log_close(log);
    struct noted noted = {0};
    struct kp_inspect_report report;
    KP_TRY(kp_inspect_verify(kp_os_real(), dir, note_problem, &noted, &report, err));
    ret_copied->mended = report.mended;
    return report.problems == report.mended
               ? KP_OK
               : kp_fail(err, KP_CORRUPT, NULL, "the copy has %llu problems: %s",
                         (unsigned long long)(report.problems - report.mended), noted.first);
}

static enum kp_code check_folder(const char *dir, struct kp_error *err)
{
    return access(dir, R_OK) == 0 ? KP_OK : kp_fail(err, KP_NOT_FOUND, "58P01", "there is no folder \"%s\"", dir);
}

/* in_use: files may go while they are copied; extents do not while the folder `links` has them (NULL: there is none).
 */
static enum kp_code copy_log(const char *dir, bool in_use, const char *links, const char *partial,
                             struct kp_copied *ret_copied, struct kp_error *err)
{
    struct kp_os *os = kp_os_real();
    enum kp_code code = KP_OK;
    bool stable = false, sound = false, damaged = false;
    char before[sizeof err->message] = "";
    for (int tries = 0; code == KP_OK && !sound && !damaged && tries < TRIES; tries++) {
        if (links)
            kp_files_discard_folder(os, links);
        kp_files_discard_folder(os, partial);
        code = kp_files_folder(os, partial, false, err);
        if (links && kp_files_folder(os, links, false, err) != KP_OK)
            links = NULL; /* the disk takes no writes, or is full */
        if (code == KP_OK)
            code = try_copy(dir, links, in_use, partial, &stable, err);
        if (code != KP_OK || !stable)
            continue;
        sound = check(partial, ret_copied, err) == KP_OK; /* else a file was used again while it was read, */
        damaged = !sound && (!in_use || strcmp(err->message, before) == 0); /* or it is so there, too */
        memcpy(before, err->message, sizeof before);
    }
    if (links)
        kp_files_discard_folder(os, links);
    if (damaged) {
        kp_error_context(err, "the log in \"%s\" is damaged", dir);
        return kp_error_hint(err, "`kappa log verify` shows all of it; `kappa log export` reads the topics beside it.");
    }
    if (code == KP_OK && !sound)
        code = stable ? err->code
                      : kp_fail(err, KP_BUSY, NULL, "the log's files went while they were copied, %d times", TRIES);
    return code;
}

/* Into `to`, by way of to.partial, so that a folder of that name is a whole backup. */
static enum kp_code into_place(const char *to,
                               enum kp_code (*make)(void *arg, const char *partial, struct kp_error *err), void *arg,
                               struct kp_error *err)
{
    struct kp_os *os = kp_os_real();
    if (access(to, F_OK) == 0 && rmdir(to) != 0) /* an empty one is as good as none */
        return kp_fail(err, KP_EXISTS, NULL, "\"%s\" is there already and not empty", to);
    struct kp_buf partial = {0};
    kp_buf_printf(&partial, "%s.partial", to);
    kp_buf_append_byte(&partial, 0);
    const char *name = (const char *)partial.data;
    char *slash = strrchr(to, '/'), *parent = slash && slash > to ? kp_strndup(to, (size_t)(slash - to)) : NULL;
    enum kp_code code = make(arg, name, err);
    if (code == KP_OK)
        code = kp_files_sync(os, name, err);
    if (code == KP_OK)
        code = kp_files_publish(os, parent ? parent : slash ? "/" : ".", name, to, err);
    if (code != KP_OK)
        kp_files_discard_folder(os, name);
    kp_free(parent);
    kp_buf_finish(&partial);
    return code;
}

struct job {
    const char *from;
    int64_t to_position;     /* -1: all */
    struct kp_copied copied; /* out */
};

/* One backup at a time: the links are one backup's. Those of one that was killed are removed by the next, or when the
 * log is opened. Where no lock can be made there are no links either: a file system that took an error and is read-only
 * since is what a backup is wanted of. */
static enum kp_code make_backup(void *arg, const char *partial, struct kp_error *err)
{
    struct job *job = arg;
    struct kp_os *os = kp_os_real();
    struct kp_file *lock = NULL;
    KP_TRY(check_folder(job->from, err));
    char *path = join(job->from, KP_FILES_BACKUP_LOCK);
    enum kp_code code = os->lock(os->ctx, path, &lock, err);
    kp_free(path);
    if (code == KP_BUSY) {
        kp_error_context(err, "a backup of \"%s\" is being taken", job->from);
        return kp_error_hint(err, "Wait until it is done.");
    }
    char *links = lock ? join(job->from, KP_FILES_LINKS) : NULL;
    code = copy_log(job->from, true, links, partial, &job->copied, err);
    kp_free(links);
    os->close(os->ctx, lock);
    return code;
}

enum kp_code kp_backup_take(const char *dir, const char *to, struct kp_copied *ret_copied, struct kp_error *err)
{
    struct job job = {.from = dir};
    KP_TRY(into_place(to, make_backup, &job, err));
    *ret_copied = job.copied;
    return KP_OK;
}

static enum kp_code make_restored(void *arg, const char *partial, struct kp_error *err)
{
    struct job *job = arg;
    kp_files_discard_folder(kp_os_real(), partial);
    KP_TRY(check_folder(job->from, err));
    if (job->to_position >= 0)
        return kp_backup_rewind(job->from, partial, job->to_position, &job->copied.position, err);
    return copy_log(job->from, false, NULL, partial, &job->copied, err);
}

/* ---- the verbs ---- */

struct arguments {
    const char *folder;
    int64_t to_position;
};

static int other(void *arg, int argc, char **argv)
{
    struct arguments *arguments = arg;
    if (argv[0][0] != '-' && !arguments->folder) {
        arguments->folder = argv[0];
        return 1;
    }
    if (strcmp(argv[0], "--to-position") == 0 && argc > 1)
        return kp_config_number(argv[1], &arguments->to_position) ? 2 : KP_CONFIG_BAD_VALUE;
    return 0;
}

static int run(const struct kp_verb *verb, bool restore, int argc, char **argv)
{
    struct kp_config config;
    struct kp_error err;
    struct arguments arguments = {.to_position = -1};
    if (kp_config_load(&config, argc, argv, other, &arguments, &err) != KP_OK)
        return kp_cli_usage(verb, &err);
    if (!arguments.folder || (!restore && arguments.to_position >= 0)) {
        (void)kp_fail(&err, KP_INVALID, NULL,
                      arguments.folder ? "a position is something to restore to" : "a folder is needed");
        kp_config_finish(&config);
        return kp_cli_usage(verb, &err);
    }
    const char *dir = kp_config_text(&config, KP_CONFIG_DATA);
    struct job job = {.from = arguments.folder, .to_position = arguments.to_position};
    enum kp_code code =
        restore ? into_place(dir, make_restored, &job, &err) : kp_backup_take(dir, arguments.folder, &job.copied, &err);
    if (code == KP_OK)
        printf("%s \"%s\" at position %lld\n", restore ? "restored" : "backed up", dir, (long long)job.copied.position);
    if (code == KP_OK && job.copied.mended)
        fprintf(stderr, "kappa: %llu places of its files have rotted" KP_LOG_MENDED " (`kappa log verify`)\n",
                (unsigned long long)job.copied.mended);
    kp_config_finish(&config);
    return code == KP_OK ? KP_EXIT_OK : kp_cli_fail(&err);
}

static int run_backup(int argc, char **argv)
{
    return run(&kp_verb_backup, false, argc, argv);
}

static int run_restore(int argc, char **argv)
{
    return run(&kp_verb_restore, true, argc, argv);
}

const struct kp_verb kp_verb_backup = {
    .name = "backup",
    .usage = "FOLDER [--data DIR]",
    .summary = "Copies a log, while a server writes it or not, to a new folder, and checks the copy",
    .help =
        "The copy is the log as it was at a position, which is printed: everything that was acknowledged before the\n"
        "backup began is in it. It is a data folder like any other: `kappa log verify --data FOLDER` looks at it "
        "again.\n",
    .settings = 1u << KP_CONFIG_CONFIG | 1u << KP_CONFIG_DATA,
    .run = run_backup,
};

const struct kp_verb kp_verb_restore = {
    .name = "restore",
    .usage = "FOLDER [--data DIR] [--to-position P]",
    .summary = "Makes a new data folder of a backup, as it was then or at an earlier position",
    .help = "With --to-position the log ends with the last whole group of records at or before P, with the offsets, "
            "positions\n"
            "and times that they had; tables and views are what they were then. The folder must not be there yet.\n",
    .settings = 1u << KP_CONFIG_CONFIG | 1u << KP_CONFIG_DATA,
    .run = run_restore,
};
