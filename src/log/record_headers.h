/*
 * The headers of a Kafka record, as a record batch holds them: a count, then for each header the length of its name,
 * the name, the length of its value (-1: null) and the value. Numbers are zigzag varints: groups of seven bits, the
 * least first, the eighth bit says that more follow. No bytes at all are no headers.
 */
#ifndef KP_LOG_RECORD_HEADERS_H
#define KP_LOG_RECORD_HEADERS_H

#include "base/buf.h"

/* Takes the count off *headers; false: malformed. */
KP_MUST bool kp_record_headers_begin(struct kp_str *headers, int64_t *ret_count);
/* Takes the next header off; both are views of it; *ret_value's ptr is NULL for null. False: malformed, or no more. */
KP_MUST bool kp_record_headers_next(struct kp_str *headers, struct kp_str *ret_name, struct kp_str *ret_value);
/* Writing: the count first, then so many headers. */
void kp_record_headers_put_count(struct kp_buf *out, int64_t count);
void kp_record_headers_put(struct kp_buf *out, struct kp_str name, struct kp_str value);

#endif
