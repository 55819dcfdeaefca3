/*
 * One connection: reading, sending, its turn in the loop, and the blocking helpers of pool threads.
 *
 * A turn (kp_conn_advance) sends what it can, calls the door while there is something fresh and nothing holds it back,
 * hands the connection to the pool if the door asked for it, and says what to watch for next. Watching is lazy: while
 * the pool owns a connection the poller is changed only when an event shows that it must be, so most requests cost
 * none.
 */
#include "serve/net_impl.h"

#include <string.h>

static size_t in_bytes_max(const struct conn *conn)
{
    return conn->pub.door->in_bytes_max ? conn->pub.door->in_bytes_max : 1 << 20;
}

bool kp_conn_backed_up(const struct kp_conn *conn)
{
    return kp_conn_unsent(conn) > conn->net->options.out_bytes_high;
}

void kp_conn_close(struct kp_conn *conn)
{
    private_of(conn)->closing = true;
}

void kp_conn_local(struct kp_conn *conn, struct kp_address *ret_address)
{
    kp_socket_local(private_of(conn)->socket, ret_address);
}

void kp_conn_peer(struct kp_conn *conn, struct kp_address *ret_address)
{
    kp_socket_peer(private_of(conn)->socket, ret_address);
}

void kp_conn_run(struct kp_conn *conn, void (*fn)(struct kp_conn *conn))
{
    KP_ASSERT(!private_of(conn)->job);
    private_of(conn)->job = fn;
}

void kp_conn_pause(struct kp_conn *conn)
{
    private_of(conn)->paused = true;
}

void kp_conn_unpause(struct kp_conn *conn)
{
    private_of(conn)->paused = false;
    private_of(conn)->fresh = true;
}

bool kp_conn_is_running(const struct kp_conn *conn)
{
    return private_of(conn)->owner == OWNER_POOL;
}

bool kp_conn_is_hung_up(const struct kp_conn *conn)
{
    return atomic_load(&private_of(conn)->hung_up) || atomic_load(&conn->net->stopping);
}

void kp_conn_set_timer(struct kp_conn *conn, int64_t timeout_us, void (*fn)(struct kp_conn *conn))
{
    struct conn *self = private_of(conn);
    self->timer = timeout_us < 0 ? NULL : fn;
    int64_t at_us = timeout_us < 0 ? TIMER_NONE : kp_net_now_us(conn->net) + timeout_us;
    if (self->owner == OWNER_LOOP)
        kp_net_timer_set(self, at_us);
    else
        self->timer_asked_us = at_us; /* the heap is the loop's */
}

/* ---- moving bytes; owner ---- */

bool kp_conn_send(struct conn *conn)
{
    struct kp_conn *pub = &conn->pub;
    size_t before = kp_conn_unsent(pub);
    conn->over |= kp_conn_backed_up(pub);
    while (kp_conn_unsent(pub) && !conn->write_failed) {
        ssize_t n = kp_socket_write(conn->socket, pub->out.data + pub->out_at, kp_conn_unsent(pub));
        if (n == KP_SOCKET_AGAIN)
            break;
        if (n < 0)
            conn->write_failed = true;
        else
            pub->out_at += (size_t)n;
    }
    size_t after = kp_conn_unsent(pub);
    if (after != before || !conn->unsent_since_us) {
        atomic_fetch_add_explicit(&pub->net->out_bytes, before - after, memory_order_relaxed);
        conn->unsent_since_us = after ? kp_net_now_us(pub->net) : 0;
    }
    if (!after) {
        pub->out.len = pub->out_at = 0;
        if (pub->out.cap > KEEP_BYTES)
            kp_buf_finish(&pub->out);
    } else if (pub->out_at > pub->out.cap / 2) {
        kp_buf_consume(&pub->out, pub->out_at);
        pub->out_at = 0;
    }
    return !conn->write_failed;
}

/* Drops what was consumed from the front, and memory that an idle connection need not keep. */
static void compact(struct conn *conn)
{
    struct kp_conn *pub = &conn->pub;
    if (pub->in_at == pub->in.len) {
        pub->in.len = pub->in_at = 0;
        if (pub->in.cap > KEEP_BYTES)
            kp_buf_finish(&pub->in);
    } else if (pub->in_at > pub->in.cap / 2) {
        kp_buf_consume(&pub->in, pub->in_at);
        pub->in_at = 0;
    }
}

/* One read. Small input goes through `scratch`, so that a connection's buffer is no larger than what it holds; large
 * input is read in place. Gives kp_socket_read's result. */
static ssize_t receive(struct conn *conn, uint8_t *scratch)
{
    struct kp_conn *pub = &conn->pub;
    compact(conn);
    bool in_place = pub->in.len >= KEEP_BYTES * 4 || !scratch;
    uint8_t *to = in_place ? kp_buf_reserve(&pub->in, scratch ? READ_BYTES : KEEP_BYTES) : scratch;
    size_t room = in_place ? pub->in.cap - pub->in.len : READ_BYTES;
    ssize_t n = kp_socket_read(conn->socket, to, room);
    if (n > 0) {
        if (in_place)
            pub->in.len += (size_t)n;
        else
            kp_buf_append(&pub->in, scratch, (size_t)n);
        conn->fresh = true;
        atomic_fetch_add_explicit(&pub->net->in_bytes, (uint64_t)n, memory_order_relaxed);
    } else if (n == 0) {
        conn->input_ended = true;
        conn->fresh = true;
    }
    return n;
}

/* ---- birth and death; loop ---- */

struct conn *kp_conn_create(struct kp_net *net, struct listener *listener, int socket, bool refused)
{
    const struct kp_door *door = listener->door;
    struct conn *conn = kp_calloc(1, sizeof *conn);
    conn->pub.net = net;
    conn->pub.door = door;
    conn->pub.ctx = listener->ctx;
    conn->socket = socket;
    conn->listener = listener;
    conn->timer_index = SIZE_MAX;
    conn->refused = refused;
    conn->watched = KP_POLL_READ | KP_POLL_PEER_ENDED;
    if (kp_poller_add(net->poller, socket, conn->watched, conn, NULL) != KP_OK) {
        kp_socket_close(socket);
        kp_free(conn);
        return NULL;
    }
    if (net->free_slot == UINT32_MAX) {
        net->slots = kp_realloc(net->slots, (net->slot_count + 1) * 2 * sizeof *net->slots);
        for (uint32_t at = net->slot_count, end = (net->slot_count + 1) * 2; at < end; at++) {
            net->slots[at] = (struct slot){.next_free = net->free_slot};
            net->free_slot = at;
        }
        net->slot_count = (net->slot_count + 1) * 2;
    }
    conn->slot = net->free_slot;
    struct slot *slot = &net->slots[conn->slot];
    net->free_slot = slot->next_free;
    slot->conn = conn;
    conn->returned.ref.generation = ++slot->generation;
    net->live++;
    atomic_fetch_add(&listener->connections, 1);
    if (!refused) {
        conn->pub.state = kp_calloc(1, door->state_bytes);
        atomic_fetch_add(&net->connections, 1);
        if (door->open)
            door->open(&conn->pub);
    }
    return conn;
}

static void watch(struct conn *conn, unsigned events)
{
    struct kp_net *net = conn->pub.net;
    if (events == conn->watched)
        return;
    net->sending += (events & KP_POLL_WRITE ? 1u : 0u) - (conn->watched & KP_POLL_WRITE ? 1u : 0u);
    conn->watched = events;
    kp_poller_change(net->poller, conn->socket, events, conn);
}

void kp_conn_kill(struct conn *conn)
{
    struct kp_net *net = conn->pub.net;
    if (conn->dead)
        return;
    KP_ASSERT(conn->owner == OWNER_LOOP);
    conn->dead = true;
    net->sending -= conn->watched & KP_POLL_WRITE ? 1u : 0u;
    kp_net_timer_set(conn, -1);
    kp_poller_remove(net->poller, conn->socket);
    kp_socket_close(conn->socket);
    if (!conn->refused && conn->pub.door->close)
        conn->pub.door->close(&conn->pub);
    struct slot *slot = &net->slots[conn->slot];
    slot->conn = NULL;
    slot->generation++;
    slot->next_free = net->free_slot;
    net->free_slot = conn->slot;
    net->live--;
    atomic_fetch_sub(&conn->listener->connections, 1);
    if (!conn->refused)
        atomic_fetch_sub(&net->connections, 1);
    conn->next_dead = net->dead;
    net->dead = conn;
}

static void linger_over(struct kp_conn *conn)
{
    kp_conn_kill(private_of(conn));
}

/* The output is out and the door wants no more: say so, then wait a little for the peer to read it and to close. */
static void linger(struct conn *conn)
{
    conn->lingering = true;
    kp_socket_shutdown_write(conn->socket);
    conn->timer = linger_over;
    kp_net_timer_set(conn, kp_net_now_us(conn->pub.net) + LINGER_US);
    watch(conn, KP_POLL_READ | KP_POLL_PEER_ENDED);
}

/* ---- a turn; loop ---- */

void kp_conn_touch(struct conn *conn)
{
    if (conn->touched || conn->dead)
        return;
    conn->touched = true;
    conn->next_touched = conn->pub.net->touched;
    conn->pub.net->touched = conn;
}

static bool may_read(const struct conn *conn)
{
    const struct kp_conn *pub = &conn->pub;
    return !conn->paused && !conn->closing && !conn->input_ended && !kp_conn_backed_up(pub) &&
           pub->in.len - pub->in_at < in_bytes_max(conn);
}

/* Calls the door as long as it gets on. False: the connection has left the loop's hands. */
static bool call_door(struct conn *conn)
{
    struct kp_conn *pub = &conn->pub;
    while (!conn->job && conn->fresh && !conn->paused && !conn->closing && !kp_conn_backed_up(pub) &&
           pub->in.len > pub->in_at) {
        conn->fresh = false;
        size_t before = pub->in.len - pub->in_at;
        pub->door->readable(pub);
        size_t after = pub->in.len - pub->in_at;
        if (conn->job)
            break;
        if (kp_conn_backed_up(pub)) {
            conn->fresh = after > 0;
            if (!kp_conn_send(conn))
                break;
        }
        if (after == before && after >= in_bytes_max(conn) && !conn->paused && !conn->closing)
            conn->closing = true; /* invariant 3: the door neither takes nor refuses it */
    }
    compact(conn);
    if (!conn->job)
        return true;
    conn->owner = OWNER_POOL;
    conn->fresh = true;
    conn->timer_asked_us = TIMER_UNCHANGED;
    kp_net_pool_submit(conn);
    return false;
}

/* Nothing more will come of it: all is said, and the peer or the server has ended. */
static bool is_over(const struct conn *conn)
{
    const struct kp_conn *pub = &conn->pub;
    if (conn->write_failed)
        return true;
    if (kp_conn_unsent(pub) || conn->expected)
        return false;
    return (conn->input_ended && !conn->paused) || (conn->closing && conn->input_ended) ||
           atomic_load(&pub->net->stopping);
}

static void send_and_tell(struct conn *conn)
{
    if (!kp_conn_send(conn) || !conn->over || kp_conn_backed_up(&conn->pub))
        return;
    conn->over = false;
    if (conn->paused && !conn->closing && !conn->job && !conn->refused && conn->pub.door->drained)
        conn->pub.door->drained(&conn->pub);
}

void kp_conn_advance(struct conn *conn)
{
    struct kp_conn *pub = &conn->pub;
    if (conn->dead || conn->owner != OWNER_LOOP || conn->lingering)
        return;
    send_and_tell(conn);
    if (!conn->write_failed) {
        if (!call_door(conn))
            return;
        send_and_tell(conn);
        if (conn->job && !conn->write_failed && !call_door(conn)) /* `drained` may have asked for one */
            return;
    }
    if (is_over(conn)) {
        kp_conn_kill(conn);
        return;
    }
    if (conn->closing && !kp_conn_unsent(pub) && !conn->expected) {
        linger(conn);
        return;
    }
    watch(conn, (may_read(conn) ? KP_POLL_READ : 0u) | (kp_conn_unsent(pub) ? KP_POLL_WRITE : 0u) |
                    (atomic_load(&conn->hung_up) || conn->input_ended ? 0u : KP_POLL_PEER_ENDED));
}

static void hang_up(struct conn *conn)
{
    if (atomic_exchange(&conn->hung_up, true))
        return;
    if ((conn->owner == OWNER_POOL || conn->paused) && !conn->refused && conn->pub.door->hangup)
        conn->pub.door->hangup(&conn->pub);
}

static void read_burst(struct conn *conn)
{
    size_t got = 0;
    while (may_read(conn) && got < READ_BURST_BYTES) {
        ssize_t n = receive(conn, conn->pub.net->read_bytes);
        if (n == KP_SOCKET_FAILED)
            conn->write_failed = true;
        if (n <= 0)
            return;
        got += (size_t)n;
        if ((size_t)n < READ_BYTES)
            return;
    }
}

void kp_conn_ready(struct conn *conn, unsigned events)
{
    if (conn->dead)
        return;
    if (conn->owner == OWNER_POOL) {
        if (events & (KP_POLL_PEER_ENDED | KP_POLL_BROKEN))
            hang_up(conn);
        if (events & KP_POLL_BROKEN) { /* would be reported for ever */
            kp_poller_remove(conn->pub.net->poller, conn->socket);
            conn->pub.net->sending -= conn->watched & KP_POLL_WRITE ? 1u : 0u;
            conn->watched = UINT32_MAX;
        } else {
            watch(conn, atomic_load(&conn->hung_up) ? 0u : KP_POLL_PEER_ENDED);
        }
        return;
    }
    if (conn->lingering) {
        ssize_t n = kp_socket_read(conn->socket, conn->pub.net->read_bytes, READ_BYTES);
        if (n == 0 || n == KP_SOCKET_FAILED)
            kp_conn_kill(conn);
        return;
    }
    if (events & KP_POLL_READ)
        read_burst(conn);
    if (events & KP_POLL_BROKEN)
        conn->write_failed = true;
    if (events & (KP_POLL_PEER_ENDED | KP_POLL_BROKEN))
        hang_up(conn);
    kp_conn_advance(conn);
}

void kp_conn_taken_back(struct conn *conn)
{
    conn->owner = OWNER_LOOP;
    if (conn->watched == UINT32_MAX) { /* broken while the pool had it */
        conn->watched = 0;
        conn->write_failed = true;
        if (kp_poller_add(conn->pub.net->poller, conn->socket, 0, conn, NULL) != KP_OK)
            kp_fatal("cannot watch a socket again", __FILE__, __LINE__);
    }
    bool due = conn->timer_due && conn->timer_asked_us == TIMER_UNCHANGED;
    conn->timer_due = false;
    if (conn->timer_asked_us != TIMER_UNCHANGED)
        kp_net_timer_set(conn, conn->timer_asked_us);
    if (due && conn->timer) {
        void (*fn)(struct kp_conn *) = conn->timer;
        conn->timer = NULL;
        fn(&conn->pub);
    }
    if (conn->paused && atomic_load(&conn->hung_up) && conn->pub.door->hangup)
        conn->pub.door->hangup(&conn->pub);
    kp_net_deliver_deferred(conn);
    kp_conn_touch(conn);
}

void kp_conn_begin_stop(struct conn *conn)
{
    if (conn->owner == OWNER_POOL) {
        kp_socket_shutdown_read(conn->socket); /* wakes kp_conn_wait_input */
        atomic_store(&conn->hung_up, true);
        if (conn->pub.door->hangup)
            conn->pub.door->hangup(&conn->pub);
    } else {
        kp_conn_touch(conn);
    }
}

/* ---- blocking helpers; pool ---- */

static enum kp_code closed(struct conn *conn, struct kp_error *err)
{
    if (atomic_load(&conn->pub.net->stopping))
        return kp_fail(err, KP_CANCELLED, "57P01", "the server is shutting down");
    return kp_fail(err, KP_CLOSED, "08006", "the client has closed the connection");
}

enum kp_code kp_conn_flush_blocking(struct kp_conn *conn, struct kp_error *err)
{
    struct conn *self = private_of(conn);
    while (kp_conn_send(self) && kp_conn_unsent(conn)) {
        int64_t left_us = self->unsent_since_us + conn->net->options.write_timeout_us - kp_net_now_us(conn->net);
        int64_t slice_us = atomic_load(&conn->net->stopping) ? 100000 : 1000000; /* to see that the server stops */
        unsigned events = kp_socket_wait(self->socket, KP_POLL_WRITE, KP_MIN(KP_MAX(left_us, (int64_t)0), slice_us));
        if (events & KP_POLL_BROKEN)
            self->write_failed = true;
        else if (!events && left_us <= 0) {
            self->write_failed = true;
            atomic_fetch_add(&conn->net->closed_slow, 1);
        } else if (!events && atomic_load(&conn->net->stopping))
            return closed(self, err);
    }
    return self->write_failed ? closed(self, err) : KP_OK;
}

enum kp_code kp_conn_wait_input(struct kp_conn *conn, int64_t timeout_us, bool *ret_ready, struct kp_error *err)
{
    struct conn *self = private_of(conn);
    int64_t until_us = timeout_us < 0 ? -1 : kp_net_now_us(conn->net) + timeout_us;
    for (;;) {
        if (atomic_load(&conn->net->stopping) || self->input_ended)
            return closed(self, err);
        ssize_t n = receive(self, NULL);
        if (n > 0) {
            *ret_ready = true;
            return KP_OK;
        }
        if (n != KP_SOCKET_AGAIN)
            return closed(self, err);
        int64_t left_us = until_us < 0 ? -1 : KP_MAX(until_us - kp_net_now_us(conn->net), (int64_t)0);
        if (!kp_socket_wait(self->socket, KP_POLL_READ, left_us) && left_us >= 0) {
            *ret_ready = false;
            return KP_OK;
        }
    }
}
