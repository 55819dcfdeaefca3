/*
 * A sink must not feed itself: what it writes into its topic would come back to what it follows, and it would write
 * without end. Whoever makes the last sink of a ring is told; what follows from a topic are relations that read it,
 * and the topics of sinks that follow those.
 */
#include "db/compaction.h"

static bool is_among(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

enum kp_code kp_sink_check_loop(struct kp_db *db, const struct kp_relation *relation, struct kp_error *err)
{
    kp_catalog_read(db->catalog);
    size_t most = kp_catalog_count(db->catalog), count = 1;
    const char **topics = kp_calloc(most + 1, sizeof *topics); /* that get what it writes, one way or the other */
    topics[0] = relation->topic;
    bool loop = false;
    for (size_t t = 0; t < count && !loop; t++) {
        loop = kp_relation_reads(relation->sink_from, topics[t]);
        for (size_t i = 0; i < most; i++) {
            const struct kp_relation *other = kp_catalog_at(db->catalog, i);
            if (other->kind == KP_RELATION_SINK && kp_relation_reads(other->sink_from, topics[t]) &&
                !is_among(topics, count, other->topic))
                topics[count++] = other->topic;
        }
    }
    kp_catalog_unlock(db->catalog);
    kp_free(topics);
    if (!loop)
        return KP_OK;
    (void)kp_fail(err, KP_INVALID, "42P17", "sink \"%s\" would read what it writes: \"%s\" follows from topic \"%s\"",
                  relation->name, relation->sink_from->name, relation->topic);
    return kp_error_hint(err, "Write into another topic.");
}
