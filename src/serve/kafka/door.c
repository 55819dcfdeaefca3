/*
 * The Kafka door: frames in, answers out, in order.
 *
 *     i32 size | i16 key | i16 version | i32 correlation | string client | [tags] | body          request
 *     i32 size | i32 correlation | [tags] | body                                                 answer
 *
 * When a whole frame has come, a pool thread serves all whole frames that are there. A Produce hands its batches to the
 * log and goes on at once: its answer, ready but for the outcome, waits in the connection's queue until the log has
 * synced, and so do the answers behind it. So one connection can have many appends under way, which the log makes
 * durable together. A Fetch that finds too little leaves no thread behind: the connection pauses with the frame still
 * in its input, and the watcher, a thread that follows the log's commits for all waiting fetches, or the timer brings
 * it back to be served again.
 *
 * Invariants:
 *   1. Answers leave in the order of requests: the queue's head goes first, and nothing passes it.
 *   2. A pending answer belongs to its connection's queue and to its appends; the completion frees it when the
 *      connection has gone.
 *   3. A waiter is in the watcher's list, or a posted wake-up owns it. Who takes it out of the list owns it.
 */
#include "os/thread.h"
#include "serve/kafka/door.h"
#include "serve/kafka/kafka.h"

enum {
    REQUEST_BYTES_MAX = KP_RECORD_BATCH_BYTES_MAX + (1 << 20),
    HEADER_BYTES_MIN = 8,
    PENDING_MAX = 512,     /* answers due on one connection; beyond, its requests wait */
    WATCH_TURN_US = 200000 /* the watcher looks whether it shall end at least so often */
};

struct place {
    size_t error_at, offset_at;
};

struct kp_kafka_pending {
    struct kp_kafka_pending *next;
    struct kp_buf frame;
    bool done;
    struct kp_conn_ref ref;
    _Atomic uint32_t remaining; /* appends under way, and the handler itself */
    _Atomic bool failed;
    struct place *places;
    size_t place_count, place_cap;
};

struct waiter {
    struct waiter *next, **link; /* link NULL: not in the list; kafka->lock */
    struct kp_conn_ref ref;
    uint64_t bytes_before, bytes_missing;
    size_t count;
    struct kp_kafka_watch watches[];
};

struct kp_kafka {
    struct kp_net *net;
    struct kp_log *log;
    struct kp_db *db;
    struct kp_kafka_producers *producers;
    struct kp_thread watcher;
    struct kp_mutex lock;
    struct kp_cond work;
    struct waiter *waiters;
    bool stopping;
};

struct state { /* of a connection; its owner's */
    struct kp_kafka_pending *head, *tail;
    uint32_t pending;
    bool throttled;
    struct waiter *waiter;
    bool paused_for_wait, wait_over;
    int64_t wait_until_us; /* 0: the frame at the front has not waited */
    struct kp_arena arena;
    struct kp_kafka_pending *deferred; /* by the request that is being served */
};

/* ---- pending answers ---- */

static void pending_free(struct kp_kafka_pending *pending)
{
    kp_buf_finish(&pending->frame);
    kp_free(pending->places);
    kp_free(pending);
}

static void pending_push(struct state *state, struct kp_kafka_pending *pending)
{
    if (state->tail)
        state->tail->next = pending;
    else
        state->head = pending;
    state->tail = pending;
    state->pending++;
}

static void patch(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

/* The log failed after the answer had been written: its places say so instead. */
static void pending_fail(struct kp_kafka_pending *pending)
{
    for (size_t i = 0; i < pending->place_count; i++) {
        patch(pending->frame.data + pending->places[i].error_at, KP_KAFKA_STORAGE_ERROR, 2);
        patch(pending->frame.data + pending->places[i].offset_at, UINT64_MAX, 8);
    }
}

/* Network thread. */
static void pending_complete(struct kp_conn *conn, void *arg)
{
    struct kp_kafka_pending *pending = arg;
    if (!conn) {
        pending_free(pending);
        return;
    }
    if (atomic_load(&pending->failed))
        pending_fail(pending);
    pending->done = true;
    struct state *state = conn->state;
    while (state->head && state->head->done) {
        struct kp_kafka_pending *first = state->head;
        kp_buf_append(&conn->out, first->frame.data, first->frame.len);
        state->head = first->next;
        if (!state->head)
            state->tail = NULL;
        state->pending--;
        pending_free(first);
    }
    if (state->throttled && state->pending < PENDING_MAX / 2) {
        state->throttled = false;
        kp_conn_unpause(conn);
    }
}

static void pending_release(struct kp_kafka_pending *pending)
{
    if (atomic_fetch_sub(&pending->remaining, 1) == 1)
        kp_conn_complete(pending->ref, pending_complete, pending);
}

struct kp_kafka_pending *kp_kafka_defer(struct kp_kafka_request *request)
{
    struct state *state = request->conn->state;
    struct kp_kafka_pending *pending = kp_calloc(1, sizeof *pending);
    atomic_init(&pending->remaining, 1);
    pending->ref = kp_conn_expect(request->conn);
    state->deferred = pending;
    return pending;
}

void kp_kafka_defer_expect(struct kp_kafka_pending *pending)
{
    atomic_fetch_add(&pending->remaining, 1);
}

void kp_kafka_defer_place(struct kp_kafka_pending *pending, size_t error_at, size_t offset_at)
{
    if (pending->place_count == pending->place_cap) {
        pending->place_cap = pending->place_cap ? pending->place_cap * 2 : 4;
        pending->places = kp_realloc(pending->places, pending->place_cap * sizeof *pending->places);
    }
    pending->places[pending->place_count++] = (struct place){error_at, offset_at};
}

void kp_kafka_defer_done(void *arg, int64_t position_end, const struct kp_error *err)
{
    struct kp_kafka_pending *pending = arg;
    if (err)
        atomic_store(&pending->failed, true);
    pending_release(pending);
}

/* ---- waiting for records ---- */

/* Bytes that the partitions hold; UINT64_MAX if one is gone: then there is something to say. */
static uint64_t bytes_held(struct kp_kafka *kafka, const struct kp_kafka_watch *watches, size_t count, bool *ret_more)
{
    uint64_t bytes = 0;
    *ret_more = false;
    for (size_t i = 0; i < count; i++) {
        struct kp_partition_info info;
        if (kp_log_partition(kafka->log, watches[i].topic, watches[i].partition, &info, NULL) != KP_OK)
            return UINT64_MAX;
        bytes += info.bytes;
        *ret_more |= info.end_offset > watches[i].offset;
    }
    return bytes;
}

static bool waiter_is_due(struct kp_kafka *kafka, const struct waiter *waiter)
{
    bool more;
    uint64_t bytes = bytes_held(kafka, waiter->watches, waiter->count, &more);
    return bytes == UINT64_MAX || (more && bytes - waiter->bytes_before >= waiter->bytes_missing);
}

/* With the lock. */
static void waiter_unlink(struct waiter *waiter)
{
    *waiter->link = waiter->next;
    if (waiter->next)
        waiter->next->link = waiter->link;
    waiter->link = NULL;
}

/* Owner of the connection. The waiter may be on its way back already: then that frees it. */
static void waiter_drop(struct kp_kafka *kafka, struct state *state)
{
    struct waiter *waiter = state->waiter;
    if (!waiter)
        return;
    kp_mutex_lock(&kafka->lock);
    bool listed = waiter->link != NULL;
    if (listed)
        waiter_unlink(waiter);
    kp_mutex_unlock(&kafka->lock);
    if (listed)
        kp_free(waiter);
    state->waiter = NULL;
}

static void wait_end(struct kp_conn *conn)
{
    struct state *state = conn->state;
    waiter_drop(conn->ctx, state);
    if (state->paused_for_wait) {
        state->paused_for_wait = false;
        kp_conn_unpause(conn);
    }
}

static void wait_timer(struct kp_conn *conn)
{
    struct state *state = conn->state;
    state->wait_over = true;
    wait_end(conn);
}

/* Posted by the watcher, which took the waiter out of the list. */
static void wait_woken(struct kp_conn *conn, void *arg)
{
    struct waiter *waiter = arg;
    struct state *state = conn ? conn->state : NULL;
    if (state && state->waiter == waiter) {
        state->waiter = NULL;
        kp_conn_set_timer(conn, -1, NULL);
        wait_end(conn);
    }
    kp_free(waiter);
}

bool kp_kafka_wait(struct kp_kafka_request *request, const struct kp_kafka_watch *watches, size_t count,
                   uint64_t bytes_before, uint64_t bytes_missing, int32_t wait_ms)
{
    struct kp_kafka *kafka = request->kafka;
    struct state *state = request->conn->state;
    int64_t now_us = kp_net_now_us(kafka->net);
    if (!state->wait_until_us)
        state->wait_until_us = now_us + (int64_t)wait_ms * 1000;
    struct waiter *waiter = kp_calloc(1, sizeof *waiter + count * sizeof waiter->watches[0]);
    waiter->ref = kp_conn_ref(request->conn);
    waiter->bytes_before = bytes_before;
    waiter->bytes_missing = bytes_missing;
    waiter->count = count;
    if (count)
        memcpy(waiter->watches, watches, count * sizeof *watches);
    kp_mutex_lock(&kafka->lock);
    bool due = waiter_is_due(kafka, waiter); /* what comes from here on the watcher will see */
    if (!due) {
        waiter->link = &kafka->waiters;
        waiter->next = kafka->waiters;
        if (waiter->next)
            waiter->next->link = &waiter->next;
        kafka->waiters = waiter;
        state->waiter = waiter;
        state->paused_for_wait = true;
        kp_cond_signal(&kafka->work);
    }
    kp_mutex_unlock(&kafka->lock);
    if (due) {
        kp_free(waiter);
        return false;
    }
    kp_conn_pause(request->conn);
    kp_conn_set_timer(request->conn, KP_MAX(state->wait_until_us - now_us, 0), wait_timer);
    return true;
}

static void watch(void *arg)
{
    struct kp_kafka *kafka = arg;
    kp_mutex_lock(&kafka->lock);
    while (!kafka->stopping) {
        if (!kafka->waiters) {
            kp_cond_wait(&kafka->work, &kafka->lock);
            continue;
        }
        int64_t position = kp_log_position(kafka->log); /* before looking: a commit in between is seen by the wait */
        for (struct waiter *at = kafka->waiters, *next; at; at = next) {
            next = at->next;
            if (!waiter_is_due(kafka, at))
                continue;
            waiter_unlink(at);
            kp_conn_post(at->ref, wait_woken, at);
        }
        kp_mutex_unlock(&kafka->lock);
        kp_log_wait(kafka->log, position, WATCH_TURN_US);
        bool failed = kp_log_health(kafka->log, NULL) != KP_OK;
        kp_mutex_lock(&kafka->lock);
        if (failed && !kafka->stopping) /* then waiting for it returns at once, and nothing comes any more */
            kp_cond_wait_us(&kafka->work, &kafka->lock, WATCH_TURN_US);
    }
    kp_mutex_unlock(&kafka->lock);
}

/* ---- requests ---- */

static bool read_header(struct kp_kafka_request *request, const uint8_t *frame, size_t len)
{
    struct kp_kafka_reader *in = &request->in;
    *in = (struct kp_kafka_reader){.at = frame, .end = frame + len};
    int16_t key = kp_kafka_get_i16(in);
    request->version = kp_kafka_get_i16(in);
    request->correlation = kp_kafka_get_i32(in);
    request->api = in->bad ? NULL : kp_kafka_api_find(key);
    if (!request->api || request->version < request->api->version_min)
        return false;
    bool known = request->version <= request->api->version_max;
    if (!known) /* only ApiVersions has an answer for versions it does not know; what follows cannot be read */
        return request->api->handle == kp_kafka_api_versions;
    kp_kafka_get_plain_string(in);
    in->flexible = request->version >= request->api->flexible_from;
    kp_kafka_get_tags(in);
    return !in->bad;
}

static void begin_answer(struct kp_kafka_request *request, struct kp_buf *out)
{
    request->out = (struct kp_kafka_writer){.out = out, .flexible = request->in.flexible};
    kp_kafka_put_i32(&request->out, 0);
    kp_kafka_put_i32(&request->out, request->correlation);
    if (request->api->handle !=
        kp_kafka_api_versions) /* its header is never flexible: who asks knows no versions yet */
        kp_kafka_put_tags(&request->out);
}

static void end_answer(struct kp_buf *out, size_t start)
{
    patch(out->data + start, out->len - start - 4, 4);
}

/* Serves the frame at the front; false: no more from this connection now. */
static bool serve_frame(struct kp_conn *conn, const uint8_t *frame, size_t len)
{
    struct state *state = conn->state;
    struct kp_kafka *kafka = conn->ctx;
    struct kp_kafka_request request = {.kafka = kafka,
                                       .log = kafka->log,
                                       .db = kafka->db,
                                       .conn = conn,
                                       .arena = &state->arena,
                                       .wait_over = state->wait_over};
    if (!read_header(&request, frame, len)) {
        kp_conn_close(conn);
        return false;
    }
    struct kp_buf own = {0}; /* what must wait for answers before it, or for the log */
    bool direct = !state->head && request.api->handle != kp_kafka_produce;
    struct kp_buf *out = direct ? &conn->out : &own;
    size_t start = out->len;
    begin_answer(&request, out);
    state->deferred = NULL;
    enum kp_kafka_outcome outcome = request.api->handle(&request);
    kp_arena_reset(&state->arena);
    struct kp_kafka_pending *pending = state->deferred;
    if (outcome == KP_KAFKA_ANSWERED || outcome == KP_KAFKA_DEFERRED) {
        end_answer(out, start);
        if (!direct && outcome == KP_KAFKA_ANSWERED) {
            pending = kp_calloc(1, sizeof *pending);
            pending->done = true;
        }
        if (!direct) {
            pending->frame = own;
            pending_push(state, pending);
        }
        if (outcome == KP_KAFKA_DEFERRED)
            pending_release(pending);
        else if (!direct && state->head == pending) { /* nothing before it after all */
            state->head = state->tail = NULL;
            state->pending--;
            kp_buf_append(&conn->out, own.data, own.len);
            pending_free(pending);
        }
        return true;
    }
    out->len = start;
    kp_buf_finish(&own);
    if (outcome == KP_KAFKA_MALFORMED)
        kp_conn_close(conn);
    return outcome == KP_KAFKA_SILENT;
}

/* The size of the whole frame at the front, its length field included; 0: not all of it is here; SIZE_MAX: impossible.
 */
static size_t frame_bytes(const struct kp_conn *conn)
{
    struct kp_str input = kp_conn_input(conn);
    if (input.len < 4)
        return 0;
    uint32_t size = kp_load_be32(input.ptr);
    if (size < HEADER_BYTES_MIN || size > REQUEST_BYTES_MAX)
        return SIZE_MAX;
    return input.len - 4 < size ? 0 : size + 4;
}

static void serve_frames(struct kp_conn *conn)
{
    struct state *state = conn->state;
    size_t bytes;
    while (!kp_conn_backed_up(conn) && (bytes = frame_bytes(conn))) {
        if (bytes == SIZE_MAX) {
            kp_conn_close(conn);
            return;
        }
        if (state->pending >= PENDING_MAX) {
            state->throttled = true;
            kp_conn_pause(conn);
            return;
        }
        const uint8_t *frame = (const uint8_t *)kp_conn_input(conn).ptr + 4;
        if (!serve_frame(conn, frame, bytes - 4))
            return;
        state->wait_until_us = 0;
        state->wait_over = false;
        kp_conn_consume(conn, bytes);
    }
}

static void door_readable(struct kp_conn *conn)
{
    size_t bytes = frame_bytes(conn);
    if (bytes == SIZE_MAX)
        kp_conn_close(conn);
    else if (bytes && !kp_conn_backed_up(conn))
        kp_conn_run(conn, serve_frames);
}

/* Who waits for records and has gone needs no answer; appends under way are answered if the peer still reads. */
static void door_hangup(struct kp_conn *conn)
{
    if (kp_conn_is_running(conn))
        return;
    struct state *state = conn->state;
    if (state->paused_for_wait)
        kp_conn_close(conn);
}

static void door_close(struct kp_conn *conn)
{
    struct state *state = conn->state;
    waiter_drop(conn->ctx, state);
    for (struct kp_kafka_pending *at = state->head, *next; at; at = next) {
        next = at->next;
        if (at->done)
            pending_free(at); /* else its completion does */
    }
    kp_arena_finish(&state->arena);
}

/* ---- the door ---- */

struct kp_kafka *kp_kafka_create(struct kp_net *net, struct kp_log *log, struct kp_db *db)
{
    struct kp_kafka *kafka = kp_calloc(1, sizeof *kafka);
    kafka->net = net;
    kafka->log = log;
    kafka->db = db;
    kafka->producers = kp_kafka_producers_create(log);
    kp_mutex_init(&kafka->lock);
    kp_cond_init(&kafka->work);
    kp_thread_start(&kafka->watcher, "kafka-watch", 0, watch, kafka);
    return kafka;
}

void kp_kafka_destroy(struct kp_kafka *kafka)
{
    if (!kafka)
        return;
    kp_mutex_lock(&kafka->lock);
    KP_ASSERT(!kafka->waiters);
    kafka->stopping = true;
    kp_cond_signal(&kafka->work);
    kp_mutex_unlock(&kafka->lock);
    kp_log_wake(kafka->log);
    kp_thread_join(&kafka->watcher);
    kp_mutex_finish(&kafka->lock);
    kp_cond_finish(&kafka->work);
    kp_kafka_producers_destroy(kafka->producers);
    kp_free(kafka);
}

struct kp_kafka_producers *kp_kafka_producers_of(struct kp_kafka *kafka)
{
    return kafka->producers;
}

static void door_stop(void *ctx)
{
    kp_kafka_destroy(ctx);
}

static enum kp_code door_start(struct kp_net *net, void *host, const struct kp_address *bound, void **ret_ctx,
                               struct kp_error *err)
{
    struct kp_db *db = host;
    *ret_ctx = kp_kafka_create(net, kp_db_log(db), db);
    return KP_OK;
}

struct kp_door kp_kafka_door_with(enum kp_code (*start)(struct kp_net *net, void *host, const struct kp_address *bound,
                                                        void **ret_ctx, struct kp_error *err))
{
    struct kp_door door = kp_door_kafka;
    door.start = start;
    return door;
}

const struct kp_door kp_door_kafka = {
    .name = "kafka",
    .state_bytes = sizeof(struct state),
    .in_bytes_max = REQUEST_BYTES_MAX + 4,
    .start = door_start,
    .stop = door_stop,
    .readable = door_readable,
    .hangup = door_hangup,
    .close = door_close,
};
