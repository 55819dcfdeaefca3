/* Set-returning functions about the catalog. */
#include "vec/fn.h"
#include "vec/set.h"

/* Nothing is partitioned: a relation is the only leaf of its tree. */
static bool partition_tree(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                           struct kp_set *set)
{
    uint8_t leaf = 1;
    int32_t level = 0;
    (void)call;
    if (from)
        return true;
    if (!kp_set_add(set))
        return false;
    kp_set_put(set, 0, &FN_AT(int32_t, 0, row));
    kp_set_put(set, 2, &leaf);
    kp_set_put(set, 3, &level);
    return true;
}

static const struct kp_set_func funcs[] = {
    {"pg_partition_tree",
     KP_STRICT,
     1,
     {KP_OID},
     4,
     {{KP_OID, "relid"}, {KP_OID, "parentrelid"}, {KP_BOOL, "isleaf"}, {KP_INT4, "level"}},
     partition_tree,
     "a relation's partitions: it has none"},
};
KP_SET_FUNCTIONS(catalog, funcs);
