/* The numbers of sequences; see sequence.c. */
#ifndef KP_DB_SEQUENCE_H
#define KP_DB_SEQUENCE_H

#include "db/session.h"

/* For kp_catalog_facts; arg is the session, id the sequence's number. 25006 where nothing may be written. */
/* The next `count` numbers; 2200H at the end. */
KP_MUST enum kp_code kp_sequence_draw(void *arg, uint32_t id, uint32_t count, int64_t *ret_numbers,
                                      struct kp_error *err);
/* What the session drew last, of any sequence if id is 0; 55000: nothing. */
KP_MUST enum kp_code kp_sequence_drawn(void *arg, uint32_t id, int64_t *ret_number, struct kp_error *err);
/* called: the number has been drawn; else it is next. */
KP_MUST enum kp_code kp_sequence_set(void *arg, uint32_t id, int64_t number, bool called, struct kp_error *err);

/* As the session sees it. Under sequence_mutex. */
void kp_sequence_state(struct kp_session *session, const struct kp_relation *relation, struct kp_sequence *ret_state);
/* Its one row. */
KP_MUST enum kp_code kp_sequence_scan(struct kp_session *session, const struct kp_relation *relation,
                                      struct kp_arena *arena, struct kp_batch **ret_batch);
void kp_sequences_discard(struct kp_session *session); /* DISCARD SEQUENCES: nothing was drawn */

/* TRUNCATE … RESTART IDENTITY: the table's sequences begin anew for the transaction, and for all when it commits. */
KP_MUST enum kp_code kp_sequences_restart(struct kp_session *session, const struct kp_relation *table);
/* Those behind the first `count` have not happened. */
void kp_sequences_undo_restarts(struct kp_session *session, size_t count);
/* COMMIT, with sequence_mutex held from before the first of these until behind the second: what goes into the group
 * (restart_count entries at most; ret_count batches are the caller's to finish, on failure too), and that it is
 * durable. */
KP_MUST enum kp_code kp_sequences_group(struct kp_session *session, struct kp_log_entry *entries,
                                        struct kp_buf *batches, size_t *ret_count, struct kp_error *err);
void kp_sequences_committed(struct kp_session *session);
void kp_sequences_finish(struct kp_session *session);

/* A sequence, or its table, has left the catalog: on return nobody writes a record about it any more. */
void kp_sequence_forget(struct kp_db *db);
/* The instance closes: sequences go on behind what they have given, without a gap. */
void kp_sequences_settle(struct kp_db *db);
/* While opening. */
void kp_sequence_replay(struct kp_db *db, const struct kp_catalog_record *record);

#endif
