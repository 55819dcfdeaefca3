#include "cli/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "os/os.h"

enum type { TEXT, ADDRESS, SIZE, SHARE, COUNT, SWITCH };

static const struct {
    const char *name, *variable, *standard, *shape;
    enum type type;
    const char *doc;
} table[KP_CONFIG_COUNT] = {
    [KP_CONFIG_CONFIG] = {"config", "KAPPA_CONFIG", "", "FILE", TEXT,
                          "A file of settings, one `name = value` a line; # begins a comment."},
    [KP_CONFIG_DATA] = {"data", "KAPPA_DATA", "kappa-data", "DIR", TEXT,
                        "The data folder; made if missing. One process uses it at a time."},
    [KP_CONFIG_PG] = {"pg", "KAPPA_PG", "127.0.0.1:4655", "ADDR:PORT", ADDRESS,
                      "Where PostgreSQL clients connect; port 0 takes a free one; off: closed."},
    [KP_CONFIG_HTTP] = {"http", "KAPPA_HTTP", "127.0.0.1:4680", "ADDR:PORT", ADDRESS,
                        "Where HTTP clients connect: APIs, events, metrics, the page."},
    [KP_CONFIG_KAFKA] = {"kafka", "KAPPA_KAFKA", "127.0.0.1:9092", "ADDR:PORT", ADDRESS,
                         "Where Kafka clients connect."},
    [KP_CONFIG_WORKERS] = {"workers", "KAPPA_WORKERS", "0", "N", COUNT,
                           "Threads inside a step of the engine; 0: as many as processors."},
    [KP_CONFIG_MEMORY] = {"memory", "KAPPA_MEMORY", "75%", "SIZE", SHARE,
                          "Budget of all state and queries, e.g. 8GiB, or a share of the memory of the machine or its "
                          "container; what would go beyond it fails alone. 0: counted, not limited."},
    [KP_CONFIG_STEP_BYTES] = {"step-bytes", "KAPPA_STEP_BYTES", "32MiB", "SIZE", SIZE,
                              "Most record bytes of one step in replay."},
    [KP_CONFIG_LOG_TAIL] = {"log-tail", "KAPPA_LOG_TAIL", "64MiB", "SIZE", SIZE,
                            "The log's newest part that is kept in memory for readers; older records come from disk."},
    [KP_CONFIG_LOG_FILE] = {"log-file", "KAPPA_LOG_FILE", "0", "SIZE", SIZE,
                            "Size of a journal file; 0: 4MiB and 64MiB for the first two, then 256MiB."},
    [KP_CONFIG_LOG_UNSEALED] = {"log-unsealed", "KAPPA_LOG_UNSEALED", "4GiB", "SIZE", SIZE,
                                "Most journal that is not in extents yet: appends wait beyond it."},
    [KP_CONFIG_LOG_SEAL] = {"log-seal", "KAPPA_LOG_SEAL", "0", "SIZE", SIZE,
                            "So much journal in full files is sealed into extents at once; 0: 1GiB, or a quarter of "
                            "--log-unsealed if that is less."},
    [KP_CONFIG_LOG_EXTENT] = {"log-extent", "KAPPA_LOG_EXTENT", "8MiB", "SIZE", SIZE,
                              "A partition with so much of what is sealed at once gets an extent of its own."},
    [KP_CONFIG_LOG_ADOPT] = {"log-adopt", "KAPPA_LOG_ADOPT", "256KiB", "SIZE", SIZE,
                             "A full journal file with commits so large on average, of large partitions, becomes an "
                             "extent as it is; others are copied."},
    [KP_CONFIG_LOG_SNAPSHOT] = {"log-snapshot", "KAPPA_LOG_SNAPSHOT", "1GiB", "SIZE", SIZE,
                                "A recovery snapshot every so much journal, and every minute: a start reads no more."},
    [KP_CONFIG_COLUMNS_MEMORY] = {"columns-memory", "KAPPA_COLUMNS_MEMORY", "256MiB", "SIZE", SIZE,
                                  "History columns that are kept in memory: what a replay reads instead of decoding."},
    [KP_CONFIG_COLUMNS_DISK] = {"columns-disk", "KAPPA_COLUMNS_DISK", "64GiB", "SIZE", SIZE,
                                "History columns on disk, at most; least used sources' go first. 0: none are kept."},
    [KP_CONFIG_CONNECTIONS] = {"connections", "KAPPA_CONNECTIONS", "10000", "N", COUNT,
                               "Most open connections; more are refused."},
    [KP_CONFIG_IO_URING] = {"io-uring", "KAPPA_IO_URING", "on", "", SWITCH,
                            "Commit through io_uring where the system allows it; off: by pwrite and fdatasync."},
    [KP_CONFIG_UNSAFE_NO_SYNC] = {"unsafe-no-sync", "KAPPA_UNSAFE_NO_SYNC", "off", "", SWITCH,
                                  "Acknowledge before data is on disk: a power cut loses what was acknowledged last."},
};

static bool parse_size(const char *text, int64_t *ret)
{
    static const struct {
        const char *unit;
        int64_t factor;
    } units[] = {{"", 1},
                 {"b", 1},
                 {"k", 1 << 10},
                 {"kb", 1000},
                 {"kib", 1 << 10},
                 {"m", 1 << 20},
                 {"mb", 1000000},
                 {"mib", 1 << 20},
                 {"g", 1 << 30},
                 {"gb", 1000000000},
                 {"gib", 1 << 30},
                 {"t", (int64_t)1 << 40},
                 {"tb", 1000000000000},
                 {"tib", (int64_t)1 << 40}};
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || errno || number < 0)
        return false;
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < KP_COUNT(units); i++)
        if (strcasecmp(end, units[i].unit) == 0 && !__builtin_mul_overflow(number, units[i].factor, ret))
            return true;
    return false;
}

bool kp_config_number(const char *text, int64_t *ret)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end || errno || number < 0)
        return false;
    *ret = number;
    return true;
}

/* A size, or a share of the memory that this process may use. */
static bool parse_share(const char *text, int64_t *ret)
{
    char *end;
    long percent = strtol(text, &end, 10);
    if (end == text || strcmp(end, "%") != 0)
        return parse_size(text, ret);
    if (percent < 1 || percent > 100)
        return false;
    *ret = (int64_t)(kp_os_memory_bytes() / 100 * (uint64_t)percent);
    return true;
}

static bool is_true(const char *text)
{
    return strcasecmp(text, "on") == 0 || strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0 ||
           strcmp(text, "1") == 0;
}

static bool is_false(const char *text)
{
    return strcasecmp(text, "off") == 0 || strcasecmp(text, "false") == 0 || strcasecmp(text, "no") == 0 ||
           strcmp(text, "0") == 0;
}

static enum kp_code set(struct kp_config *config, size_t key, const char *value, const char *where,
                        struct kp_error *err)
{
    int64_t number;
    switch (table[key].type) {
    case SIZE:
        if (!parse_size(value, &number))
            return kp_fail(err, KP_INVALID, NULL, "%s: \"%s\" is no size for %s; write for example 512MiB", where,
                           value, table[key].name);
        break;
    case SHARE:
        if (!parse_share(value, &number))
            return kp_fail(err, KP_INVALID, NULL, "%s: \"%s\" is no size for %s; write for example 8GiB or 50%%", where,
                           value, table[key].name);
        break;
    case COUNT:
        if (!parse_size(value, &number) || number > 1000000)
            return kp_fail(err, KP_INVALID, NULL, "%s: \"%s\" is no count for %s", where, value, table[key].name);
        break;
    case SWITCH:
        if (!is_true(value) && !is_false(value))
            return kp_fail(err, KP_INVALID, NULL, "%s: %s is on or off, not \"%s\"", where, table[key].name, value);
        break;
    case ADDRESS:
        if (strcmp(value, "off") != 0 && !strrchr(value, ':')) {
            (void)kp_fail(err, KP_INVALID, NULL, "%s: \"%s\" is no address for %s", where, value, table[key].name);
            return kp_error_hint(err, "Write ADDRESS:PORT, for example %s, or off.", table[key].standard);
        }
        break;
    case TEXT:
        break;
    }
    config->values[key] = kp_arena_strdup(&config->arena, value);
    return KP_OK;
}

static size_t find(const char *name, size_t len)
{
    for (size_t i = 0; i < KP_CONFIG_COUNT; i++)
        if (strlen(table[i].name) == len && strncmp(table[i].name, name, len) == 0)
            return i;
    return KP_CONFIG_COUNT;
}

/* ---- flags ---- */

/* Takes one flag of the table; *ret_taken arguments, 0 if it is none. */
static enum kp_code take_flag(struct kp_config *config, int argc, char **argv, int *ret_taken, struct kp_error *err)
{
    *ret_taken = 0;
    if (strncmp(argv[0], "--", 2) != 0)
        return KP_OK;
    const char *name = argv[0] + 2, *equals = strchr(name, '=');
    size_t key = find(name, equals ? (size_t)(equals - name) : strlen(name));
    if (key == KP_CONFIG_COUNT)
        return KP_OK;
    const char *value = equals ? equals + 1 : table[key].type == SWITCH ? "on" : argc > 1 ? argv[1] : NULL;
    if (!value)
        return kp_fail(err, KP_INVALID, NULL, "--%s needs a value: --%s %s", table[key].name, table[key].name,
                       table[key].shape);
    *ret_taken = equals || table[key].type == SWITCH ? 1 : 2;
    return set(config, key, value, "command line", err);
}

/* ---- the file ---- */

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t len = strlen(text);
    while (len && strchr(" \t\r\n", text[len - 1]))
        text[--len] = '\0';
    return text;
}

static enum kp_code read_line(struct kp_config *config, const char *path, int number, char *line, struct kp_error *err)
{
    char where[512];
    snprintf(where, sizeof where, "%s, line %d", path, number);
    char *comment = strchr(line, '#');
    if (comment)
        *comment = '\0';
    char *name = trim(line);
    if (!*name)
        return KP_OK;
    char *equals = strchr(name, '=');
    if (!equals)
        return kp_fail(err, KP_INVALID, NULL, "%s: expected name = value", where);
    *equals = '\0';
    name = trim(name);
    for (char *at = name; *at; at++)
        if (*at == '_')
            *at = '-';
    size_t key = find(name, strlen(name));
    if (key == KP_CONFIG_COUNT || key == KP_CONFIG_CONFIG)
        return kp_fail(err, KP_INVALID, NULL, "%s: there is no setting \"%s\"; `kappa help config` lists them", where,
                       name);
    if (config->values[key])
        return KP_OK;
    return set(config, key, trim(equals + 1), where, err);
}

static enum kp_code read_file(struct kp_config *config, const char *path, struct kp_error *err)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return kp_fail_errno(err, errno, "cannot read the settings file \"%s\"", path);
    char line[4096];
    enum kp_code code = KP_OK;
    for (int number = 1; code == KP_OK && fgets(line, sizeof line, file); number++)
        code = read_line(config, path, number, line, err);
    fclose(file);
    return code;
}

/* ---- all ---- */

/* A flag of the verb's own, as two arguments or as one with "=". */
static int take_other(struct kp_config *config, int argc, char **argv, int (*other)(void *arg, int argc, char **argv),
                      void *arg)
{
    int taken = other(arg, argc, argv);
    char *equals = strncmp(argv[0], "--", 2) == 0 ? strchr(argv[0], '=') : NULL;
    if (taken != 0 || !equals)
        return taken;
    char *pair[2] = {kp_arena_strndup(&config->arena, argv[0], (size_t)(equals - argv[0])), equals + 1};
    taken = other(arg, 2, pair);
    return taken == KP_CONFIG_BAD_VALUE ? taken : taken == 2;
}

static enum kp_code refuse_value(char **argv, struct kp_error *err)
{
    const char *equals = strchr(argv[0], '=');
    return kp_fail(err, KP_INVALID, NULL, "%.*s cannot be \"%s\"",
                   (int)(equals ? equals - argv[0] : (ptrdiff_t)strlen(argv[0])), argv[0],
                   equals ? equals + 1 : argv[1]);
}

static enum kp_code load(struct kp_config *config, int argc, char **argv,
                         int (*other)(void *arg, int argc, char **argv), void *arg, struct kp_error *err)
{
    for (int i = 0; i < argc;) {
        int taken;
        KP_TRY(take_flag(config, argc - i, argv + i, &taken, err));
        if (taken == 0 && other)
            taken = take_other(config, argc - i, argv + i, other, arg);
        if (taken == KP_CONFIG_BAD_VALUE)
            return refuse_value(argv + i, err);
        if (taken == 0)
            return kp_fail(err, KP_INVALID, NULL, "unknown argument \"%s\"", argv[i]);
        i += taken;
    }
    for (size_t key = 0; key < KP_CONFIG_COUNT; key++) {
        const char *value = getenv(table[key].variable);
        if (value && !config->values[key])
            KP_TRY(set(config, key, value, table[key].variable, err));
    }
    if (config->values[KP_CONFIG_CONFIG])
        KP_TRY(read_file(config, config->values[KP_CONFIG_CONFIG], err));
    for (size_t key = 0; key < KP_CONFIG_COUNT; key++)
        if (!config->values[key])
            config->values[key] = table[key].standard;
    return KP_OK;
}

enum kp_code kp_config_load(struct kp_config *config, int argc, char **argv,
                            int (*other)(void *arg, int argc, char **argv), void *arg, struct kp_error *err)
{
    memset(config, 0, sizeof *config);
    enum kp_code code = load(config, argc, argv, other, arg, err);
    if (code != KP_OK)
        kp_config_finish(config);
    return code;
}

void kp_config_finish(struct kp_config *config)
{
    kp_arena_finish(&config->arena);
}

const char *kp_config_text(const struct kp_config *config, enum kp_config_key key)
{
    return config->values[key];
}

bool kp_config_bool(const struct kp_config *config, enum kp_config_key key)
{
    return is_true(config->values[key]);
}

int64_t kp_config_int(const struct kp_config *config, enum kp_config_key key)
{
    int64_t number = 0;
    (void)parse_share(config->values[key], &number);
    return number;
}

void kp_config_print_flags(FILE *out, unsigned keys)
{
    for (size_t key = 0; key < KP_CONFIG_COUNT; key++) {
        if (!(keys & 1u << key))
            continue;
        char flag[64];
        snprintf(flag, sizeof flag, "--%s %s", table[key].name, table[key].shape);
        fprintf(out, "  %-26s %s", flag, table[key].doc);
        if (*table[key].standard)
            fprintf(out, " Default: %s.", table[key].standard);
        fputc('\n', out);
    }
}

void kp_config_print_markdown(FILE *out)
{
    fputs("# Settings\n\nMade by `kappa help config --markdown` from the table in `src/cli/config.c`; a test compares "
          "the two.\n\n"
          "A flag wins over a variable, a variable over the file that `--config` names, the file over the default. In "
          "the file a\n"
          "line is `name = value`, with the names of the flags.\n\n| flag | variable | default | what "
          "|\n|---|---|---|---|\n",
          out);
    for (size_t key = 0; key < KP_CONFIG_COUNT; key++)
        fprintf(out, "| `--%s%s%s` | `%s` | %s%s%s | %s |\n", table[key].name, *table[key].shape ? " " : "",
                table[key].shape, table[key].variable, *table[key].standard ? "`" : "", table[key].standard,
                *table[key].standard ? "`" : "", table[key].doc);
}
