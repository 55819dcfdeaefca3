/* AS OF: tables and views as they were at an earlier position, computed from the log (db/travel.c). */
#ifndef KP_DB_TRAVEL_H
#define KP_DB_TRAVEL_H

#include "db/session.h"

struct kp_travel; /* stores of everything that a plan reads, at one position */

/* The position that the clause names, at most the log's end: 22023 if it lies in the future. */
KP_MUST enum kp_code kp_travel_position(struct kp_session *session, const struct kp_statement *statement,
                                        int64_t *ret_position, struct kp_error *err);
/* Replays the log up to `position` for every table and view under the plan, and what those read. */
KP_MUST enum kp_code kp_travel_create(struct kp_session *session, const struct kp_plan *plan, int64_t position,
                                      struct kp_travel **ret_travel, struct kp_error *err);
/* Whether all records before `position` of the sources that the plan reads are there still: 72000. Who scans them
 * afterwards asks again behind it. */
KP_MUST enum kp_code kp_travel_check(struct kp_session *session, const struct kp_plan *plan, int64_t position,
                                     struct kp_error *err);
/* The same as kp_travel_create for one relation and what it reads. */
KP_MUST enum kp_code kp_travel_relation(struct kp_session *session, struct kp_relation *relation, int64_t position,
                                        struct kp_travel **ret_travel, struct kp_error *err);
void kp_travel_destroy(struct kp_travel *travel); /* NULL is fine */
/* The store of a relation and the snapshot to read it with. */
struct kp_store *kp_travel_store(const struct kp_travel *travel, const struct kp_relation *relation);
size_t kp_travel_count(const struct kp_travel *travel);
struct kp_store *kp_travel_store_at(const struct kp_travel *travel, size_t index);
const struct kp_snapshot *kp_travel_snapshot(const struct kp_travel *travel);

#endif
