/* Watermarks of sources, and of the views whose windows they close (db/watermarks.c). */
#ifndef KP_DB_WATERMARKS_H
#define KP_DB_WATERMARKS_H

#include "db/system.h"

/* Calls each for every watermark: kappa_watermark_… of /metrics and kappa.metrics. Any thread. */
void kp_watermarks_metrics(struct kp_db *db,
                           void (*each)(void *arg, const char *name, const char *labels, double value,
                                        const char *help),
                           void *arg);
/* kappa.watermarks */
KP_MUST enum kp_code kp_system_fill_watermarks(struct kp_session *session, struct kp_system_rows *rows,
                                               struct kp_error *err);

#endif
