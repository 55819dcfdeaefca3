/* From the declaration of a source or table to the decoder of its records: for the engine and for ad-hoc queries. */
#ifndef KP_FLOW_SOURCE_H
#define KP_FLOW_SOURCE_H

#include "decode/decode.h"
#include "sql/catalog.h"

/* A decoder of these columns of a source's or table's records; the caller's to destroy. zone NULL: UTC. rivals: as in
 * struct kp_decoder_options. */
KP_MUST enum kp_code kp_source_decoder(const struct kp_relation *relation, const uint32_t *columns, uint32_t count,
                                       const struct kp_zone *zone, const char *const *rivals, uint32_t rival_count,
                                       struct kp_decoder **ret_decoder, struct kp_error *err);

#endif
