/*
 * Inside serve/kafka/: requests, how they end, and the table of messages (api.c) that makes the code, what ApiVersions
 * advertises, and docs/KAFKA.md.
 */
#ifndef KP_SERVE_KAFKA_API_H
#define KP_SERVE_KAFKA_API_H

#include "db/db.h"
#include "serve/kafka/wire.h"
#include "serve/net.h"

enum { KP_KAFKA_NAMES_MAX = 100000 }; /* topics named in one request: bounds what a small frame may make us allocate */

/* Error codes of the protocol that kappa gives. */
enum kp_kafka_error {
    KP_KAFKA_NONE = 0,
    KP_KAFKA_UNKNOWN = -1,
    KP_KAFKA_OFFSET_OUT_OF_RANGE = 1,
    KP_KAFKA_CORRUPT_MESSAGE = 2,
    KP_KAFKA_UNKNOWN_TOPIC_OR_PARTITION = 3,
    KP_KAFKA_REQUEST_TIMED_OUT = 7,
    KP_KAFKA_MESSAGE_TOO_LARGE = 10,
    KP_KAFKA_INVALID_TOPIC = 17,
    KP_KAFKA_INVALID_REQUIRED_ACKS = 21,
    KP_KAFKA_INVALID_TIMESTAMP = 32,
    KP_KAFKA_UNSUPPORTED_VERSION = 35,
    KP_KAFKA_TOPIC_ALREADY_EXISTS = 36,
    KP_KAFKA_INVALID_PARTITIONS = 37,
    KP_KAFKA_INVALID_REPLICATION_FACTOR = 38,
    KP_KAFKA_INVALID_CONFIG = 40,
    KP_KAFKA_INVALID_REQUEST = 42,
    KP_KAFKA_POLICY_VIOLATION = 44,
    KP_KAFKA_OUT_OF_ORDER_SEQUENCE = 45,
    KP_KAFKA_INVALID_PRODUCER_EPOCH = 47,
    KP_KAFKA_INVALID_TXN_STATE = 48,
    KP_KAFKA_STORAGE_ERROR = 56,
    KP_KAFKA_FETCH_SESSION_NOT_FOUND = 70,
    KP_KAFKA_INVALID_RECORD = 87
};
enum kp_kafka_error kp_kafka_error_of(enum kp_code code);

struct kp_kafka;         /* the door of one instance: door.c */
struct kp_kafka_pending; /* an answer that is due: door.c */

struct kp_kafka_request {
    struct kp_kafka *kafka;
    struct kp_log *log;
    struct kp_db *db; /* NULL: a log without an instance (tests of the protocol) */
    struct kp_conn *conn;
    const struct kp_kafka_api *api;
    int16_t version;
    int32_t correlation;
    struct kp_kafka_reader in;  /* behind the header */
    struct kp_kafka_writer out; /* behind the answer's header */
    struct kp_arena *arena;     /* of this request */
    bool wait_over;             /* a Fetch that has waited as long as it may */
};

enum kp_kafka_outcome {
    KP_KAFKA_ANSWERED, /* the answer's body is in request->out */
    KP_KAFKA_DEFERRED, /* the body is there too, but it goes out when kp_kafka_defer's answers are due */
    KP_KAFKA_SILENT,   /* no answer belongs to it */
    KP_KAFKA_WAIT,     /* nothing was done: kp_kafka_wait has been asked to bring it again */
    KP_KAFKA_MALFORMED /* the connection is closed */
};

struct kp_kafka_api {
    int16_t key, version_min, version_max, flexible_from; /* flexible_from: first flexible version */
    const char *name;
    enum kp_kafka_outcome (*handle)(struct kp_kafka_request *request);
    const char *doc; /* what kappa does with it: for docs/KAFKA.md */
};

/* In order of key. */
const struct kp_kafka_api *kp_kafka_apis(size_t *ret_count);
const struct kp_kafka_api *kp_kafka_api_find(int16_t key); /* NULL if unknown */

/* One file a family: produce.c, fetch.c, list_offsets.c, metadata.c, topics.c, delete_records.c,
 * producer_id.c, settings.c, api.c. */
enum kp_kafka_outcome kp_kafka_produce(struct kp_kafka_request *request);
enum kp_kafka_outcome kp_kafka_fetch(struct kp_kafka_request *request);
enum kp_kafka_outcome kp_kafka_list_offsets(struct kp_kafka_request *request);
enum kp_kafka_outcome kp_kafka_metadata(struct kp_kafka_request *request);
enum kp_kafka_outcome kp_kafka_api_versions(struct kp_kafka_request *request);
enum kp_kafka_outcome kp_kafka_create_topics(struct kp_kafka_request *request);
enum kp_kafka_outcome kp_kafka_delete_topics(struct kp_kafka_request *request);
enum kp_kafka_outcome kp_kafka_delete_records(struct kp_kafka_request *request);
enum kp_kafka_outcome kp_kafka_init_producer_id(struct kp_kafka_request *request);
enum kp_kafka_outcome kp_kafka_describe_configs(struct kp_kafka_request *request);
enum kp_kafka_outcome kp_kafka_alter_configs(struct kp_kafka_request *request);
enum kp_kafka_outcome kp_kafka_incremental_alter_configs(struct kp_kafka_request *request);

/* The topic of a name as it came in; KP_NOT_FOUND if there is none or it cannot be one. create: made if it may be. */
KP_MUST enum kp_code kp_kafka_topic(const struct kp_kafka_request *request, struct kp_str name, bool create,
                                    struct kp_topic_info *ret_info, struct kp_error *err);

/* Runs one statement on the request's instance, for its effect. KP_UNSUPPORTED without one. */
KP_MUST enum kp_code kp_kafka_run_sql(const struct kp_kafka_request *request, struct kp_str text, struct kp_error *err);

/* A topic's setting (value ptr NULL: its default): appends what it means to the options of CREATE TOPIC … WITH or ALTER
 * TOPIC … SET. False: kappa does not follow it. (settings.c) */
bool kp_kafka_setting_take(struct kp_str name, struct kp_str value, uint32_t partitions, struct kp_buf *with);

/* ---- answers that are due later (door.c) ---- */

/* An append's completion: give it and the pending to kp_log_append_async. The pending counts them. */
struct kp_kafka_pending *kp_kafka_defer(struct kp_kafka_request *request);
/* One more append will complete; the places of its error code (i16) and base offset (i64) in the answer's body. */
void kp_kafka_defer_expect(struct kp_kafka_pending *pending);
void kp_kafka_defer_place(struct kp_kafka_pending *pending, size_t error_at, size_t offset_at);
void kp_kafka_defer_done(void *arg, int64_t position_end, const struct kp_error *err); /* a kp_log_done */

/* ---- waiting for records (door.c) ---- */

struct kp_kafka_watch {
    uint32_t topic, partition;
    int64_t offset;
};
/*
 * Brings the request again when about bytes_missing more have come to the partitions, or wait_ms have passed since it
 * came first. watches are copied. False: they have come already, look again at once. bytes_before: what the partitions
 * held, all together, before the request looked.
 */
bool kp_kafka_wait(struct kp_kafka_request *request, const struct kp_kafka_watch *watches, size_t count,
                   uint64_t bytes_before, uint64_t bytes_missing, int32_t wait_ms);

/* ---- idempotent producers (producer_id.c) ---- */

struct kp_kafka_producers;
struct kp_kafka_producers *kp_kafka_producers_create(struct kp_log *log);
void kp_kafka_producers_destroy(struct kp_kafka_producers *producers);
struct kp_kafka_producers *kp_kafka_producers_of(struct kp_kafka *kafka);

#endif
