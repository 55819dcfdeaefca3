/* Reading the list of dead letters (db/dead.c). */
#ifndef KP_DB_DEAD_H
#define KP_DB_DEAD_H

#include "db/session.h"

struct kp_dead_letter_entry {
    char *relation, *topic, *reason;
    uint32_t relation_id, partition;
    int64_t offset, position;
    char sqlstate[6];
    struct kp_buf key, value; /* the first bytes of the record */
    bool bare;                /* they are not read yet (kp_dead_letters_read) from this topic: */
    uint32_t topic_id;
};

uint64_t kp_dead_letters_count(struct kp_dead_letters *dead); /* all so far, forgotten ones too */
/* What it takes to know which were noted: it does not grow for ever. */
size_t kp_dead_letters_seen_bytes(struct kp_dead_letters *dead);
/* Decodes, for their dead letters, what came since the last look into sources that no view reads: nobody else would. */
KP_MUST enum kp_code kp_dead_letters_search(struct kp_session *session, struct kp_error *err);
/* Reads from the log what entries came without. Any thread. */
void kp_dead_letters_read(struct kp_db *db);
/* Calls each for every entry still kept, oldest first, under the lock. */
void kp_dead_letters_each(struct kp_dead_letters *dead,
                          void (*each)(void *arg, const struct kp_dead_letter_entry *entry), void *arg);

#endif
