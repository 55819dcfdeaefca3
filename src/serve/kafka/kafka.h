/* The Kafka door: ordinary Kafka clients on the embedded log. Its host is the instance (struct kp_db). */
#ifndef KP_SERVE_KAFKA_KAFKA_H
#define KP_SERVE_KAFKA_KAFKA_H

#include "serve/net.h"

extern const struct kp_door kp_door_kafka;

/* Appends docs/KAFKA.md: what is spoken, as Markdown. */
void kp_kafka_document(struct kp_buf *out);

#endif
