/* From the declaration of a source or table to the decoder of its records: for the engine and for ad-hoc queries. */
#ifndef KP_FLOW_SOURCE_H
#define KP_FLOW_SOURCE_H

#include "base/hash.h"
#include "decode/decode.h"
#include "sql/catalog.h"

/* A decoder of these columns of a source's or table's records; the caller's to destroy. zone NULL: UTC. rivals: as in
 * struct kp_decoder_options. */
KP_MUST enum kp_code kp_source_decoder(const struct kp_relation *relation, const uint32_t *columns, uint32_t count,
                                       const struct kp_zone *zone, const char *const *rivals, uint32_t rival_count,
                                       struct kp_decoder **ret_decoder, struct kp_error *err);

/* A hash of all that decides which records make rows and what their values are: equal for equal declarations, whatever
 * they are called, and stable from run to run. */
struct kp_hash128 kp_source_declaration(const struct kp_relation *relation);

/* The option max_ahead: microseconds that an event time may be ahead of the log's time, INT64_MAX: any. usual_us:
 * without the option; 0: any. */
KP_MUST enum kp_code kp_source_max_ahead(const struct kp_relation *relation, int64_t usual_us,
                                         int64_t *ret_max_ahead_us, struct kp_error *err);
/* The option idle_timeout: microseconds of log time after which a silent partition no longer holds the watermark up;
 * INT64_MAX: never. */
KP_MUST enum kp_code kp_source_idle_timeout(const struct kp_relation *relation, int64_t *ret_idle_us,
                                            struct kp_error *err);
/* A watermark column's value as microseconds since 2000, INT64_MIN if it is NULL or infinite. */
int64_t kp_source_event_time(const struct kp_vec *vec, uint32_t row);

#endif
