/*
 * Compaction of topics (kp_log_compact) by policy, such that no answer changes.
 *
 * A table shows of each key the latest row, so what compaction takes away of its topic does not show from the horizon
 * on. Whoever reads more than that holds it back: a view of a source of the topic, which reads every record; a view
 * whose answer depends on what a table held earlier (EMIT ON WINDOW CLOSE and its like); a sink that would go on from
 * before the horizon. Such views are refused while a topic is compacted.
 *
 * A round's decision is a record of __kappa_expiry, before anything follows from it, and its end another one:
 *
 *   key     the topic's number
 *   value   <format = 2> <horizon> compact              records before the horizon may have gone from here on
 *           <format = 2> <horizon> compacted            … have, as far as they were worth it
 *
 * A round that a crash cuts off is not finished: the next one begins where the last finished one ended.
 *
 * The rows of one table key may come with different keys of records (1 and [1]), or with keys in their values: records
 * replace each other only if the table, too, takes them for one row, and a tombstone stays as long as an older record
 * of its row is left. With several tables of one topic tombstones stay.
 *
 * Threads: rounds one at a time, with ddl_mutex held, which is released while extents are written.
 */
#ifndef KP_DB_COMPACTION_H
#define KP_DB_COMPACTION_H

#include "db/instance.h"

/* One round for a topic. now: whatever its size, with the journal sealed for it, behind the end of one that goes on,
 * and 55006 when something holds it back; else kp_retention_get says so. */
KP_MUST enum kp_code kp_compaction_run(struct kp_db *db, uint32_t topic, bool now, const _Atomic bool *cancel,
                                       struct kp_error *err);
/* Does the table or view come of the topic's records? */
bool kp_relation_reads(const struct kp_relation *relation, const char *topic);
/* 55006 when the relation, which is about to be made, does not go with compaction of what it reads. */
KP_MUST enum kp_code kp_compaction_admits(struct kp_db *db, const struct kp_relation *relation, struct kp_error *err);
/* A decision of a former life; value: behind the format. */
void kp_compaction_redo(struct kp_db *db, uint32_t topic, const char *value, int64_t position);

#endif
