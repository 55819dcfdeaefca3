/* Looking into the sealed part of a log from outside (log/extent.h): for log/inspect.c. */
#ifndef KP_LOG_INSPECT_EXTENT_H
#define KP_LOG_INSPECT_EXTENT_H

#include "log/extent.h"
#include "log/inspect.h"
#include "log/state.h"

/* What the journal says, to its end. */
struct kp_inspect_sealed {
    struct kp_topics topics;
    struct kp_sealed_head head; /* file_next 0: nothing was sealed */
    struct kp_buf extents;      /* of struct kp_sealed_extent */
    uint64_t before;            /* files up to this one were sealed where the walk of the journal began */
    bool missing;               /* the journal's beginning was sealed, and nothing in it says so */
};

KP_MUST enum kp_code kp_inspect_sealed_look(struct kp_os *os, const char *dir, struct kp_inspect_sealed *ret_sealed,
                                            struct kp_error *err);
void kp_inspect_sealed_finish(struct kp_inspect_sealed *sealed);

/* A sealed record batch. Its bytes stay until `each` returns. */
struct kp_inspect_item {
    uint32_t topic, partition;
    const struct kp_order_entry *entry;
    uint64_t extent;
    bool lost;            /* before it was sealed: entry says which records, and nothing else */
    const uint8_t *batch; /* NULL when it could not be read */
    const char *wrong;    /* NULL: it is whole */
};

/*
 * Calls each(arg, item) for every sealed batch that is there, in the order of the log, and problem(arg, text) for what
 * is wrong with the extents around them. each false: stop.
 */
KP_MUST enum kp_code kp_inspect_items(struct kp_os *os, const char *dir, const struct kp_inspect_sealed *sealed,
                                      bool (*each)(void *arg, const struct kp_inspect_item *item),
                                      void (*problem)(void *arg, const char *text), void *arg, struct kp_error *err);

#endif
