/* The numbers of serial and identity columns; see sequence.c. */
#ifndef KP_DB_SEQUENCE_H
#define KP_DB_SEQUENCE_H

#include "db/instance.h"

/* For kp_catalog_facts; arg is the session. 2200H at a sequence's end, 25006 where nothing may be written. */
KP_MUST enum kp_code kp_sequence_draw(void *arg, uint32_t relation, uint32_t column, uint32_t count,
                                      int64_t *ret_numbers, struct kp_error *err);
/* A table has left the catalog: on return nobody writes a record about it any more. */
void kp_sequence_forget(struct kp_db *db);
/* While opening. */
void kp_sequence_replay(struct kp_db *db, const struct kp_catalog_record *record);

#endif
