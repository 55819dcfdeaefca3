/* The simulator's disk: nodes (what a file holds) and names, each as seen now and as it would survive. */
#ifndef KP_SIM_INTERNAL_H
#define KP_SIM_INTERNAL_H

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "sim/sim.h"

/* The simulator's own memory: what a test says about allocations (kp_mem_set_hook) is about kappa's. */
static inline void *sim_realloc(void *memory, size_t bytes)
{
    void *moved = realloc(memory, bytes ? bytes : 1);
    KP_ASSERT(moved);
    return moved;
}
static inline char *sim_strdup(const char *text)
{
    return memcpy(sim_realloc(NULL, strlen(text) + 1), text, strlen(text) + 1);
}

/* A write, or a change of size (data NULL), that was not synced yet. */
struct sim_change {
    uint64_t offset, len; /* size: the new one in offset */
    uint8_t *data;
};

struct sim_node {
    struct kp_buf now, stable; /* what reads see; what is certain to survive */
    struct sim_change *changes;
    size_t change_count, change_cap;
};

enum sim_name_kind { SIM_LINK, SIM_RENAME, SIM_UNLINK };

/* A change of names that its folder's sync has not made durable. */
struct sim_name_change {
    enum sim_name_kind kind;
    char *name, *to;
    uint32_t node;
};

struct sim_name {
    char *name;
    uint32_t node;
};

struct sim_names {
    struct sim_name *list;
    size_t count, cap;
};

struct kp_file {
    uint32_t node;
    uint64_t boot; /* of another boot: void */
    bool lock;
};

struct kp_sim {
    struct kp_os os;
    uint64_t random;
    struct sim_node *nodes;
    size_t node_count, node_cap;
    struct sim_names now, stable;
    struct sim_name_change *changes;
    size_t change_count, change_cap;
    uint64_t calls, cut_at, fail_at, boot, capacity;
    enum kp_code fail_code;
    enum kp_sim_cut cut_mode;
    bool off;
    uint32_t locked; /* node of the lock file held, UINT32_MAX if none */
    int64_t wall_us, mono_ns;
    void (*pause)(void); /* called before every disk call: another task may run. NULL: nothing */
};

/* disk.c */
void sim_node_write(struct sim_node *node, uint64_t offset, const void *bytes, size_t len);
void sim_node_resize(struct sim_node *node, uint64_t bytes);
void sim_node_sync(struct sim_node *node);
/* Decides for every unsynced change what survives; `now` becomes what survived. */
void sim_node_settle(struct kp_sim *sim, struct sim_node *node, enum kp_sim_cut mode);
void sim_node_finish(struct sim_node *node);

struct sim_name *sim_name_find(struct sim_names *names, const char *name);
void sim_name_change(struct kp_sim *sim, enum sim_name_kind kind, const char *name, const char *to, uint32_t node);
void sim_names_sync(struct kp_sim *sim);
void sim_names_settle(struct kp_sim *sim, enum kp_sim_cut mode);
void sim_names_finish(struct kp_sim *sim);

#endif
