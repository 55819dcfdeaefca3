/*
 * Topics whose making has rotted, so that the log does not know their names (log/state.h): "__lost_" and a number.
 *
 * The instance opens with them, and they are read and dropped like others. What it must not do is to take for empty
 * what such a topic may be:
 *   - a topic of its own. Their records have forms that nobody else's have: such a log is not opened;
 *   - a topic that a source or a table reads. What needs a topic that is not there fails, and says so; a producer's
 *     records do not make one anew.
 */
#ifndef KP_DB_LOST_H
#define KP_DB_LOST_H

#include "db/instance.h"

/* When the log has been opened. KP_CORRUPT if a lost topic is, or may be, one of kappa's own; else each is told. */
KP_MUST enum kp_code kp_lost_check(struct kp_db *db, struct kp_error *err);
/* KP_CORRUPT if there is no topic of this name, but a lost one that may have had it. topic NULL: none is
 * meant. */
KP_MUST enum kp_code kp_lost_check_name(struct kp_db *db, const char *topic, struct kp_error *err);

#endif
