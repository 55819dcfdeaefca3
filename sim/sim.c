/* The simulated table of os/os.h: every disk call first asks whether it is the one that fails or loses its power. */
#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"

enum { NO_LOCK = UINT32_MAX };
enum fate { FATE_OK, FATE_FAIL, FATE_CUT };

uint64_t kp_sim_random(struct kp_sim *sim)
{
    uint64_t x = sim->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static enum kp_code refuse(struct kp_sim *sim, enum kp_code code, struct kp_error *err)
{
    return kp_fail(err, code, NULL, "simulated: %s at disk call %llu",
                   sim->off          ? "no power"
                   : code == KP_FULL ? "disk full"
                                     : "I/O error",
                   (unsigned long long)sim->calls);
}

/* Counts a disk call and says what becomes of it. */
static enum fate next_call(struct kp_sim *sim)
{
    if (sim->pause)
        sim->pause();
    sim->mono_ns += 1000 + (int64_t)kp_sim_below(sim, 100000);
    sim->wall_us += (int64_t)kp_sim_below(sim, 200);
    if (sim->off)
        return FATE_CUT;
    sim->calls++;
    if (sim->cut_at && sim->calls >= sim->cut_at) {
        sim->off = true;
        return FATE_CUT;
    }
    if (sim->fail_at && sim->calls >= sim->fail_at) {
        sim->fail_at = 0;
        return FATE_FAIL;
    }
    return FATE_OK;
}

static enum kp_code outcome(struct kp_sim *sim, enum fate fate, struct kp_error *err)
{
    return fate == FATE_OK ? KP_OK : refuse(sim, fate == FATE_FAIL ? sim->fail_code : KP_IO, err);
}

static struct sim_node *node_of(struct kp_sim *sim, const struct kp_file *file)
{
    return &sim->nodes[file->node];
}

static bool void_handle(const struct kp_sim *sim, const struct kp_file *file)
{
    return file->boot != sim->boot;
}

/* ---- files ---- */

static enum kp_code sim_open(void *ctx, const char *path, unsigned flags, struct kp_file **ret_file,
                             struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    KP_TRY(outcome(sim, next_call(sim), err));
    struct sim_name *name = sim_name_find(&sim->now, path);
    if (!name && !(flags & KP_OPEN_CREATE))
        return kp_fail(err, KP_NOT_FOUND, "58P01", "file \"%s\" does not exist", path);
    if (name && (flags & KP_OPEN_CREATE) && (flags & KP_OPEN_EXCLUSIVE))
        return kp_fail(err, KP_EXISTS, "58P02", "file \"%s\" exists already", path);
    uint32_t node;
    if (name) {
        node = name->node;
    } else {
        if (sim->node_count == sim->node_cap) {
            sim->node_cap = sim->node_cap ? sim->node_cap * 2 : 16;
            sim->nodes = sim_realloc(sim->nodes, sim->node_cap * sizeof *sim->nodes);
        }
        node = (uint32_t)sim->node_count++;
        sim->nodes[node] = (struct sim_node){0};
        sim_name_change(sim, SIM_LINK, path, NULL, node);
    }
    if (flags & KP_OPEN_TRUNCATE)
        sim_node_resize(&sim->nodes[node], 0);
    struct kp_file *file = sim_realloc(NULL, sizeof *file);
    *file = (struct kp_file){node, sim->boot, false};
    *ret_file = file;
    return KP_OK;
}

static void sim_close(void *ctx, struct kp_file *file)
{
    struct kp_sim *sim = ctx;
    if (file && file->lock && !void_handle(sim, file))
        sim->locked = NO_LOCK;
    kp_free(file);
}

static enum kp_code sim_pread(void *ctx, struct kp_file *file, void *bytes, size_t len, uint64_t offset,
                              size_t *ret_len, struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    KP_TRY(outcome(sim, next_call(sim), err));
    KP_ASSERT(!void_handle(sim, file));
    const struct kp_buf *now = &node_of(sim, file)->now;
    size_t have = offset < now->len ? now->len - (size_t)offset : 0;
    *ret_len = KP_MIN(have, len);
    if (*ret_len)
        memcpy(bytes, now->data + offset, *ret_len);
    return KP_OK;
}

static enum kp_code sim_pwrite(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                               struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    enum fate fate = next_call(sim);
    if (fate != FATE_OK && kp_sim_below(sim, 4) == 0) /* some of it may have been done */
        len = 0;
    else if (fate == FATE_FAIL)
        len = (size_t)kp_sim_below(sim, len / 512 + 1) * 512;
    if (void_handle(sim, file))
        return refuse(sim, KP_IO, err);
    if (len)
        sim_node_write(node_of(sim, file), offset, bytes, len);
    return outcome(sim, fate, err);
}

static enum kp_code sim_sync(void *ctx, struct kp_file *file, struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    enum fate fate = next_call(sim);
    if (void_handle(sim, file))
        return refuse(sim, KP_IO, err);
    if (fate == FATE_OK)
        sim_node_sync(node_of(sim, file));
    else if (fate == FATE_FAIL) /* what was not synced may be gone, and the next sync will not say so */
        sim_node_settle(sim, node_of(sim, file), KP_SIM_CUT_RANDOM);
    return outcome(sim, fate, err);
}

static enum kp_code sim_pwrite_sync(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                                    struct kp_error *err)
{
    KP_TRY(sim_pwrite(ctx, file, bytes, len, offset, err));
    return sim_sync(ctx, file, err);
}

static enum kp_code sim_size(void *ctx, struct kp_file *file, uint64_t *ret_bytes, struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    KP_TRY(outcome(sim, next_call(sim), err));
    *ret_bytes = node_of(sim, file)->now.len;
    return KP_OK;
}

static uint64_t used_bytes(const struct kp_sim *sim)
{
    uint64_t used = 0;
    for (size_t i = 0; i < sim->now.count; i++)
        used += sim->nodes[sim->now.list[i].node].now.len;
    return used;
}

static enum kp_code sim_truncate(void *ctx, struct kp_file *file, uint64_t bytes, struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    enum fate fate = next_call(sim);
    if (!void_handle(sim, file) && (fate == FATE_OK || kp_sim_below(sim, 2)))
        sim_node_resize(node_of(sim, file), bytes);
    return outcome(sim, fate, err);
}

static enum kp_code sim_allocate(void *ctx, struct kp_file *file, uint64_t offset, uint64_t len, struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    enum fate fate = next_call(sim);
    struct sim_node *node = node_of(sim, file);
    if (fate == FATE_OK && sim->capacity && used_bytes(sim) - node->now.len + offset + len > sim->capacity)
        return refuse(sim, KP_FULL, err);
    if ((fate == FATE_OK || kp_sim_below(sim, 2)) && offset + len > node->now.len)
        sim_node_resize(node, offset + len);
    return outcome(sim, fate, err);
}

/* ---- names ---- */

static enum kp_code sim_rename(void *ctx, const char *from, const char *to, struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    enum fate fate = next_call(sim);
    struct sim_name *name = sim_name_find(&sim->now, from);
    if (name && (fate == FATE_OK || kp_sim_below(sim, 2)))
        sim_name_change(sim, SIM_RENAME, from, to, name->node);
    KP_TRY(outcome(sim, fate, err));
    return name ? KP_OK : kp_fail(err, KP_NOT_FOUND, "58P01", "file \"%s\" does not exist", from);
}

static enum kp_code sim_unlink(void *ctx, const char *path, struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    enum fate fate = next_call(sim);
    struct sim_name *name = sim_name_find(&sim->now, path);
    if (name && (fate == FATE_OK || kp_sim_below(sim, 2)))
        sim_name_change(sim, SIM_UNLINK, path, NULL, name->node);
    KP_TRY(outcome(sim, fate, err));
    return name ? KP_OK : kp_fail(err, KP_NOT_FOUND, "58P01", "file \"%s\" does not exist", path);
}

static enum kp_code sim_mkdir(void *ctx, const char *path, struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    return outcome(sim, next_call(sim), err); /* folders are there: names are whole paths */
}

static enum kp_code sim_sync_dir(void *ctx, const char *path, struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    enum fate fate = next_call(sim);
    if (fate == FATE_OK)
        sim_names_sync(sim);
    return outcome(sim, fate, err);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum kp_code sim_list(void *ctx, const char *path, void (*each)(void *arg, const char *name), void *arg,
                             struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    KP_TRY(outcome(sim, next_call(sim), err));
    size_t len = strlen(path), count = 0;
    char **names = sim_realloc(NULL, (sim->now.count + 1) * sizeof(char *));
    for (size_t i = 0; i < sim->now.count; i++) {
        const char *name = sim->now.list[i].name;
        if (strncmp(name, path, len) == 0 && name[len] == '/' && !strchr(name + len + 1, '/'))
            names[count++] = sim_strdup(name + len + 1);
    }
    qsort(names, count, sizeof(char *), compare_names);
    for (size_t i = 0; i < count; i++) {
        each(arg, names[i]);
        kp_free(names[i]);
    }
    kp_free(names);
    return KP_OK;
}

static enum kp_code sim_lock(void *ctx, const char *path, struct kp_file **ret_file, struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    struct kp_file *file;
    KP_TRY(sim_open(ctx, path, KP_OPEN_READ | KP_OPEN_WRITE | KP_OPEN_CREATE, &file, err));
    if (sim->locked == file->node) {
        sim_close(ctx, file);
        return kp_fail(err, KP_BUSY, NULL, "\"%s\" is locked by process 1", path);
    }
    file->lock = true;
    sim->locked = file->node;
    *ret_file = file;
    return KP_OK;
}

static enum kp_code sim_lock_folder(void *ctx, const char *path, struct kp_file **ret_file, struct kp_error *err)
{
    *ret_file = NULL; /* the file's lock is enough: nobody removes it here */
    return KP_OK;
}

static enum kp_code sim_free_bytes(void *ctx, const char *path, uint64_t *ret_bytes, struct kp_error *err)
{
    struct kp_sim *sim = ctx;
    KP_TRY(outcome(sim, next_call(sim), err));
    uint64_t used = used_bytes(sim), capacity = sim->capacity ? sim->capacity : (uint64_t)1 << 40;
    *ret_bytes = used < capacity ? capacity - used : 0;
    return KP_OK;
}

/* ---- clock and randomness ---- */

static int64_t sim_wall_us(void *ctx)
{
    struct kp_sim *sim = ctx;
    return sim->wall_us++;
}

static int64_t sim_mono_ns(void *ctx)
{
    struct kp_sim *sim = ctx;
    return sim->mono_ns += 100;
}

static void sim_random_bytes(void *ctx, void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)kp_sim_random(ctx);
}

/* ---- the simulator itself ---- */

struct kp_sim *kp_sim_create(uint64_t seed)
{
    struct kp_sim *sim = kp_calloc(1, sizeof *sim);
    sim->random = seed;
    sim->boot = 1;
    sim->locked = NO_LOCK;
    sim->wall_us = 1700000000000000;
    sim->os = (struct kp_os){
        .ctx = sim,
        .open = sim_open,
        .close = sim_close,
        .pread = sim_pread,
        .pwrite = sim_pwrite,
        .sync = sim_sync,
        .pwrite_sync = sim_pwrite_sync,
        .size = sim_size,
        .truncate = sim_truncate,
        .allocate = sim_allocate,
        .rename = sim_rename,
        .unlink = sim_unlink,
        .mkdir = sim_mkdir,
        .sync_dir = sim_sync_dir,
        .list = sim_list,
        .lock = sim_lock,
        .lock_folder = sim_lock_folder,
        .free_bytes = sim_free_bytes,
        .wall_us = sim_wall_us,
        .mono_ns = sim_mono_ns,
        .random = sim_random_bytes,
    };
    return sim;
}

void kp_sim_destroy(struct kp_sim *sim)
{
    if (!sim)
        return;
    for (size_t i = 0; i < sim->node_count; i++)
        sim_node_finish(&sim->nodes[i]);
    kp_free(sim->nodes);
    sim_names_finish(sim);
    kp_free(sim);
}

struct kp_sim *kp_sim_copy(const struct kp_sim *sim, uint64_t seed)
{
    struct kp_sim *copy = kp_sim_create(seed);
    for (size_t i = 0; i < sim->now.count; i++) {
        const struct sim_node *node = &sim->nodes[sim->now.list[i].node];
        struct kp_file *file;
        KP_ASSERT(sim_open(copy, sim->now.list[i].name, KP_OPEN_WRITE | KP_OPEN_CREATE, &file, NULL) == KP_OK);
        if (node->now.len)
            sim_node_write(node_of(copy, file), 0, node->now.data, node->now.len);
        sim_node_sync(node_of(copy, file));
        sim_close(copy, file);
    }
    sim_names_sync(copy);
    copy->wall_us = sim->wall_us;
    copy->mono_ns = sim->mono_ns;
    return copy;
}

void kp_sim_flip(struct kp_sim *sim, const char *path, uint64_t bit)
{
    struct sim_node *node = &sim->nodes[sim_name_find(&sim->now, path)->node];
    KP_ASSERT(bit / 8 < node->now.len && node->change_count == 0);
    node->now.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    node->stable.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

uint8_t kp_sim_byte(const struct kp_sim *sim, const char *path, uint64_t at)
{
    struct sim_names names = sim->now;
    return sim->nodes[sim_name_find(&names, path)->node].now.data[at];
}

struct kp_os *kp_sim_os(struct kp_sim *sim)
{
    return &sim->os;
}

uint64_t kp_sim_calls(const struct kp_sim *sim)
{
    return sim->calls;
}

void kp_sim_plan_cut(struct kp_sim *sim, uint64_t calls_from_now, enum kp_sim_cut mode)
{
    sim->cut_at = calls_from_now ? sim->calls + calls_from_now : 0;
    sim->cut_mode = mode;
}

void kp_sim_plan_failure(struct kp_sim *sim, uint64_t calls_from_now, enum kp_code code)
{
    sim->fail_at = calls_from_now ? sim->calls + calls_from_now : 0;
    sim->fail_code = code;
}

void kp_sim_cut(struct kp_sim *sim, enum kp_sim_cut mode)
{
    sim->cut_mode = mode;
    sim->off = true;
}

bool kp_sim_powered(const struct kp_sim *sim)
{
    return !sim->off;
}

void kp_sim_kill(struct kp_sim *sim)
{
    sim->boot++;
    sim->locked = NO_LOCK;
    sim->fail_at = sim->cut_at = 0;
}

void kp_sim_power_on(struct kp_sim *sim, enum kp_sim_cut mode)
{
    if (sim->off)
        mode = sim->cut_mode;
    kp_sim_kill(sim);
    sim->off = false;
    if (mode == KP_SIM_CUT_KEEP)
        return;
    for (size_t i = 0; i < sim->node_count; i++)
        sim_node_settle(sim, &sim->nodes[i], mode);
    sim_names_settle(sim, mode);
}

void kp_sim_clock_jump(struct kp_sim *sim, int64_t us)
{
    sim->wall_us += us;
}

void kp_sim_set_capacity(struct kp_sim *sim, uint64_t bytes)
{
    sim->capacity = bytes;
}

uint64_t kp_sim_capacity(const struct kp_sim *sim)
{
    return sim->capacity;
}
