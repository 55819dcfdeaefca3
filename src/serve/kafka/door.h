/* Inside serve/kafka/, and for its tests: the door on a log alone. */
#ifndef KP_SERVE_KAFKA_DOOR_H
#define KP_SERVE_KAFKA_DOOR_H

#include "serve/kafka/api.h"

/* db NULL: topics are made and dropped in the log directly. */
struct kp_kafka *kp_kafka_create(struct kp_net *net, struct kp_log *log, struct kp_db *db);
void kp_kafka_destroy(struct kp_kafka *kafka); /* NULL is fine */
/* The door with another start, whose *ret_ctx is made by kp_kafka_create. */
struct kp_door kp_kafka_door_with(enum kp_code (*start)(struct kp_net *net, void *host, const struct kp_address *bound,
                                                        void **ret_ctx, struct kp_error *err));

#endif
