/*
 * Rot, seen by a whole instance: after it was closed one bit of its files turns over, then it is opened again.
 *
 *   of a cache (recovery snapshot, history columns)   every answer is right
 *   of the log (journal, extents)                     it may not open, with KP_CORRUPT; else each answer is right or an
 *                                                     error, what is appended is acknowledged behind all there was, and
 *                                                     is there after another start
 *
 * Which records are lost, and that no others are, is for the log's own simulation (log_flips_sim_test.c).
 */
#include <stdlib.h>
#include <string.h>

#include "sim/db/world.h"

enum { FILES_MAX = 400, ROT_ID = 999000000, ROT_K = 1, ROT_X = 7 };

struct files {
    const char *folder;
    char names[FILES_MAX][96];
    size_t count;
};

static void note_file(void *arg, const char *name)
{
    struct files *files = arg;
    if (strcmp(name, "lock") != 0 && files->count < FILES_MAX)
        snprintf(files->names[files->count++], sizeof files->names[0], "%s/%s", files->folder, name);
}

/* Turns over a bit of a file, of its bytes up to the last that is not zero. */
static void flip(struct world *world, const char *path)
{
    struct kp_os *os = kp_sim_os(world->sim);
    struct kp_file *file;
    uint64_t bytes = 0, used;
    if (os->open(os->ctx, path, KP_OPEN_READ, &file, NULL) != KP_OK)
        return;
    CHECK(world, os->size(os->ctx, file, &bytes, NULL) == KP_OK, "size of %s", path);
    os->close(os->ctx, file);
    for (used = bytes; used > 0 && kp_sim_byte(world->sim, path, used - 1) == 0;)
        used--;
    if (used == 0)
        return;
    uint64_t bit = kp_sim_below(world->sim, used * 8);
    kp_sim_flip(world->sim, path, bit);
    world_tell(world, "rot: byte %llu of %s", (unsigned long long)bit / 8, path);
    snprintf(world->rotten, sizeof world->rotten, "%s, bit %llu", path, (unsigned long long)bit);
}

static bool is_cache(const char *path)
{
    return strstr(path, "/columns/") || strstr(path, "/snapshot");
}

/* Of a file that is there; "" if there is none. One in three of a cache, if there is one. */
static const char *choose(struct world *world, struct files *files)
{
    struct kp_os *os = kp_sim_os(world->sim);
    struct kp_error err;
    bool cache = kp_sim_below(world->sim, 3) == 0;
    size_t kept = 0;
    CHECK(world, os->list(os->ctx, WORLD_DIR, note_file, files, &err) == KP_OK, "list: %s", err.message);
    files->folder = WORLD_DIR "/columns";
    CHECK(world, os->list(os->ctx, files->folder, note_file, files, &err) == KP_OK, "list: %s", err.message);
    for (size_t i = 0; i < files->count; i++)
        if (is_cache(files->names[i]) == cache)
            memmove(files->names[kept++], files->names[i], sizeof files->names[0]);
    return kept ? files->names[kp_sim_below(world->sim, kept)] : "";
}

/* ---- what it answers ---- */

/* The lines of a text that begin with the name and a bar. */
static void put_lines(const char *text, const char *name, struct kp_buf *out)
{
    size_t len = strlen(name);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1)
        if (strncmp(line, name, len) == 0 && line[len] == '|')
            kp_buf_append(out, line, (size_t)(strchr(line, '\n') + 1 - line));
    kp_buf_append_byte(out, 0);
}

static void check_view(struct world *world, const char *name, const char *sql, bool may_fail)
{
    struct kp_buf text = {0}, want = {0};
    struct kp_error err;
    int64_t position = 0;
    enum kp_code code = world_query(world, sql, &text, &position, &err);
    if (code != KP_OK) {
        CHECK(world, may_fail, "%s is rotten, which is a cache, and: %s", world->rotten, err.message);
        world->did.refused++;
        kp_buf_finish(&text);
        return;
    }
    bool fits = false;
    char *got = world_sorted_lines(&text);
    for (int definition = 0; definition < DEFINITIONS && !fits; definition++) {
        if (!(world->active & 1u << definition))
            continue;
        char *all = world_expected(world, position, definition);
        want.len = 0;
        put_lines(all, name, &want);
        fits = strcmp((char *)want.data, got) == 0;
        kp_free(all);
    }
    CHECK(world, fits, "%s is rotten, and %s is\n%sinstead of\n%s", world->rotten, name, got, (char *)want.data);
    world->did.checked++;
    kp_free(got);
    kp_buf_finish(&want);
}

static void check_views(struct world *world, bool may_fail)
{
    static const struct {
        const char *name, *sql;
    } views[] = {
        {"agg", "SELECT 'agg', k::text, n::text, s::text, m::text FROM agg"},
        {"dist", "SELECT 'dist', n::text, c::text, '', '' FROM dist"},
        {"joined", "SELECT 'joined', name, n::text, s::text, '' FROM joined"},
        {"top", "SELECT 'top', k::text, x::text, id::text, '' FROM top"},
        {"item", "SELECT 'item', id::text, name, n::text, '' FROM item"},
    };
    for (size_t i = 0; i < KP_COUNT(views) && !world->failure[0]; i++)
        check_view(world, views[i].name, views[i].sql, may_fail);
}

/* ---- what is appended ---- */

/* One more event; it must be taken, and lie behind all others of its partition. */
static void append(struct world *world)
{
    struct kp_log *log = kp_db_log(world->db);
    struct kp_topic_info topic;
    struct kp_error err;
    struct history *history = &world->history;
    char value[64];
    int64_t end = 0;
    int len = snprintf(value, sizeof value, "{\"k\":%d,\"x\":%d,\"id\":%d}", ROT_K, ROT_X, ROT_ID);
    struct kp_buf batch = world_record((struct kp_str){value, (size_t)len});
    enum kp_code code = kp_log_topic_find(log, "ev", &topic, &err);
    struct kp_log_entry entry = {.topic = topic.id, .batch = batch.data, .bytes = batch.len, .trusted = true};
    if (code == KP_OK)
        code = kp_log_append(log, &entry, 1, &end, &err);
    CHECK(world, code == KP_OK, "%s is rotten, and nothing can be appended: %s", world->rotten, err.message);
    CHECK(world, code != KP_OK || entry.position >= history->position, "%s is rotten, and position %lld is given again",
          world->rotten, (long long)entry.position);
    for (size_t i = 0; i < history->event_count && code == KP_OK; i++)
        CHECK(world, history->events[i].partition != 0 || history->events[i].offset < entry.base_offset,
              "%s is rotten, and offset %lld is given again", world->rotten, (long long)entry.base_offset);
    kp_buf_finish(&batch);
    if (world->failure[0])
        return;
    history->events = kp_realloc(history->events, (history->event_count + 1) * sizeof *history->events);
    history->event_cap = history->event_count + 1;
    history->events[history->event_count++] =
        (struct event){.position = entry.position, .x = ROT_X, .id = ROT_ID, .offset = entry.base_offset, .k = ROT_K};
    (void)!kp_view_clock_wait(kp_db_clock(world->db), end, -1);
}

/* Opened, or refused because of the rot. */
static bool open_again(struct world *world, bool cache)
{
    struct kp_error err;
    enum kp_code code = kp_db_open(&world->options, &world->db, &err);
    if (code == KP_OK) {
        (void)kp_db_wait_ready(world->db, -1);
        code = kp_db_health(world->db, &err);
        if (code == KP_OK)
            return true;
        kp_db_close(world->db);
    }
    world->db = NULL;
    CHECK(world, !cache && (code == KP_CORRUPT || code == KP_UNSUPPORTED || code == KP_CLOSED),
          "%s is rotten, and opening gives %s: %s", world->rotten, kp_code_name(code), err.message);
    world_tell(world, "not opened: %s", err.message);
    return false;
}

void world_rot(struct world *world)
{
    struct files files = {.folder = WORLD_DIR};
    kp_sim_cut(world->sim, KP_SIM_CUT_DROP);
    kp_sim_power_on(world->sim, KP_SIM_CUT_DROP);
    const char *path = choose(world, &files);
    if (*path)
        flip(world, path);
    if (!world->rotten[0])
        return;
    bool cache = is_cache(path);
    if (!open_again(world, cache))
        return;
    check_views(world, !cache);
    if (!world->failure[0])
        append(world);
    kp_db_close(world->db);
    world->db = NULL;
    if (world->failure[0] || !open_again(world, cache))
        return;
    check_views(world, !cache);
    kp_db_close(world->db);
    world->db = NULL;
}
