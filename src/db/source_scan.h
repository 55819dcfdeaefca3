/* A source's rows for an ad-hoc query: from history columns where they are, else decoded. */
#ifndef KP_DB_SOURCE_SCAN_H
#define KP_DB_SOURCE_SCAN_H

#include "db/session.h"

/* What batches point into: lives until the query's answer has been copied. Zero is valid. */
struct kp_source_memory {
    struct kp_log_span *spans;
    size_t span_count;
    struct kp_column_view *views;
    size_t view_count;
    struct kp_budget *budget; /* charged for the spans */
    int64_t charged_bytes;
};
void kp_source_memory_release(struct kp_source_memory *memory);

struct kp_source_scan {
    struct kp_session *session;
    struct kp_relation *relation;
    const struct kp_plan *plan;      /* the SCAN: which columns */
    const struct kp_expr *predicate; /* of a FILTER right above it: chunks without a match may be left out; or NULL */
    int64_t position;                /* rows of records before it */
    struct kp_source_memory *memory;
    struct kp_arena *arena;
    enum kp_code (*emit)(void *arg, struct kp_batch *batch, struct kp_error *err); /* NULL: rows are of no interest */
    void *arg;
};
KP_MUST enum kp_code kp_source_scan(const struct kp_source_scan *scan, struct kp_error *err);
/* Notes the dead letters among the source's records from `begin` to before `position`, as reading all of it does. */
KP_MUST enum kp_code kp_source_find_dead(struct kp_session *session, struct kp_relation *relation, int64_t begin,
                                         int64_t position, struct kp_error *err);

#endif
