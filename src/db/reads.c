/*
 * What a serializable transaction has read, and what any has read FOR UPDATE (or SHARE …): when it commits what it
 * wrote, nothing of that may have changed since its snapshot. Then it is as if it had run as a whole at the position of
 * its COMMIT. Of what was locked no other that locked it may have committed either, whatever that one wrote: a lock
 * keeps two transactions apart that write elsewhere. Nobody waits; the second to commit fails.
 *
 * Kept are relations: of a view what counts are the topics of the sources and tables behind it, as it may lag. So a
 * transaction can fail although no row that it saw has changed; it is tried again, as after any 40001. Only of locked
 * rows of tables are the keys kept, where a scan's own filter says which they are (row_locks.c). One that writes
 * nothing is at its snapshot, and never fails.
 */
#include "db/session.h"

bool kp_reads_are_noted(const struct kp_session *session)
{
    bool by_itself = session->transaction == KP_TRANSACTION_NONE && !session->keeps_snapshot; /* it writes nothing */
    return !by_itself && (session->locking || kp_session_isolation(session) == KP_SERIALIZABLE);
}

void kp_reads_note(struct kp_session *session, struct kp_relation *relation, bool locks)
{
    size_t i = 0;
    while (i < session->read_count && session->reads[i].relation != relation)
        i++;
    if (i == session->read_count) {
        session->reads = kp_realloc(session->reads, (i + 1) * sizeof *session->reads);
        session->reads[session->read_count++] = (struct kp_read){.relation = kp_relation_ref(relation)};
    }
    session->reads[i].locked |= locks;
}

void kp_reads_forget(struct kp_session *session)
{
    for (size_t i = 0; i < session->read_count; i++)
        kp_relation_unref(session->reads[i].relation);
    kp_free(session->reads);
    session->reads = NULL;
    session->read_count = 0;
}

/* ---- COMMIT ---- */

enum kp_code kp_reads_fail(struct kp_session *session, const char *what, const char *name, const char *change,
                           struct kp_error *err)
{
    session->lost = true;
    (void)kp_fail(err, KP_BUSY, "40001",
                  "could not serialize access due to read/write dependencies among transactions");
    (void)kp_error_detail(err, "%s \"%s\", which was read, %s.", what, name, change);
    (void)kp_error_hint(err, "The transaction might succeed if retried.");
    if (err)
        err->retriable = true;
    return KP_BUSY;
}

static enum kp_code check_topic(struct kp_session *session, const char *name, struct kp_error *err)
{
    struct kp_log *log = session->db->log;
    struct kp_topic_info topic;
    KP_TRY(kp_log_topic_find(log, name, &topic, err));
    for (uint32_t i = 0; i < topic.partitions; i++) {
        struct kp_partition_info partition;
        int64_t offset;
        KP_TRY(kp_log_partition(log, topic.id, i, &partition, err));
        KP_TRY(kp_log_offset_behind(log, topic.id, i, session->snapshot.position, &offset, err));
        if (offset < partition.end_offset)
            return kp_reads_fail(session, "Topic", name, "has new records", err);
    }
    return KP_OK;
}

static enum kp_code check_plan(struct kp_session *session, const struct kp_plan *plan, struct kp_error *err);

static enum kp_code check_relation(struct kp_session *session, const struct kp_relation *relation, struct kp_error *err)
{
    if (relation->topic)
        KP_TRY(check_topic(session, relation->topic, err));
    return relation->plan ? check_plan(session, relation->plan->plan, err) : KP_OK;
}

static enum kp_code check_plan(struct kp_session *session, const struct kp_plan *plan, struct kp_error *err)
{
    if (plan->kind == KP_PLAN_SCAN)
        KP_TRY(check_relation(session, plan->scan.relation, err));
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(check_plan(session, plan->inputs[i], err));
    return KP_OK;
}

enum kp_code kp_reads_check(struct kp_session *session, struct kp_error *err)
{
    for (size_t i = 0; session->has_snapshot && i < session->read_count; i++) {
        const struct kp_read *read = &session->reads[i];
        if (read->locked &&
            KP_MAX(read->relation->locked_at, read->relation->rows_locked_at) > session->snapshot.position)
            return kp_reads_fail(session, kp_relation_kind_name(read->relation->kind), read->relation->name,
                                 "was locked by another transaction, too", err);
        KP_TRY(check_relation(session, read->relation, err));
    }
    return KP_OK;
}

void kp_reads_committed(struct kp_session *session, int64_t position)
{
    for (size_t i = 0; i < session->read_count; i++)
        if (session->reads[i].locked)
            session->reads[i].relation->locked_at = position;
}
