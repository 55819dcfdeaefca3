/* Definitions of the log that this version of kappa refuses (db/failed.c). Under ddl_mutex, but for what is said. */
#ifndef KP_DB_FAILED_H
#define KP_DB_FAILED_H

#include "db/ddl.h"

/*
 * While opening: a statement of the log has failed with *err. What it makes or changes stands in the catalog as failed,
 * and KP_OK; or *err, if the folder cannot be opened without it. Without ddl_mutex.
 */
KP_MUST enum kp_code kp_failed_replay(struct kp_ddl *ddl, struct kp_error *err);
/* The failed version of a view or source that the statement, ALTER, makes: the `altered` one, or one that reads it. Not
 * in the catalog yet; `reason` is why. One reference. */
struct kp_relation *kp_failed_version(const struct kp_ddl *ddl, const struct kp_relation *of, bool altered,
                                      const struct kp_error *reason);
/* Another one that it reads, by what is known from elsewhere. */
void kp_failed_reads(struct kp_relation *failed, struct kp_relation *other);
/* What the log has under a name of its own settings; of one that has rows, theirs. */
KP_MUST enum kp_code kp_failed_settings(const struct kp_relation *relation, struct kp_session_settings *ret_settings,
                                        struct kp_error *err);
/*
 * CREATE OR REPLACE, its record written: `fresh` takes the place of `old`, and what failed with it is tried again.
 * *ret_job fills what has rows; NULL: there is nothing. Takes over the reference to `fresh`.
 */
KP_MUST enum kp_code kp_failed_mend(struct kp_ddl *ddl, struct kp_relation *old, struct kp_relation *fresh,
                                    struct kp_job **ret_job, struct kp_error *err);
/* The failed function of a name without types, if there is one only; NULL. Under the catalog's lock alone. */
struct kp_relation *kp_failed_function(const struct kp_catalog *catalog, const char *name);
/* Might it need the topic's records if its definition were taken? Under the catalog's lock alone. */
bool kp_failed_may_read(const struct kp_relation *failed, const char *topic);
/* Fails (KP_BUSY) with the first failed one that might need them. The same. */
KP_MUST enum kp_code kp_failed_check_topic(const struct kp_catalog *catalog, const char *topic, struct kp_error *err);
/* A number that a serial column of a failed table may have drawn: while opening. */
void kp_failed_note_number(struct kp_relation *failed, struct kp_str column, int64_t last);

#endif
