/* Where moments are in the log, for AS OF, FOR SYSTEM_TIME AS OF and log_position(). Any thread. */
#ifndef KP_DB_MOMENT_H
#define KP_DB_MOMENT_H

#include "db/instance.h"
#include "vec/facts.h"

struct kp_moments *kp_moments_create(struct kp_db *db);
void kp_moments_destroy(struct kp_moments *moments); /* NULL is fine */

/* The position at which what counts as of the moment ends, between groups of records. A moment that the log has not
 * come to: the log's end, or the position that was asked for. */
KP_MUST enum kp_code kp_moment_position(struct kp_db *db, struct kp_moment moment, int64_t *ret_position,
                                        struct kp_error *err);
/* For views, as long as the instance lives: what has expired since a moment is their bases' affair. */
const struct kp_log_facts *kp_moments_facts(const struct kp_moments *moments);
/* For queries, which have nothing but the log: 72000 when records have gone since the moment. */
void kp_moments_facts_past(struct kp_db *db, struct kp_log_facts *ret_facts);

#endif
