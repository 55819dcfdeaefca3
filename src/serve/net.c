/*
 * The network thread: accepts, waits for what the poller and other threads have to say, gives each connection its turn.
 * The parts: net_conn.c (a connection), net_post.c (messages from other threads), net_timer.c, net_pool.c (threads).
 *
 * A turn of the loop: events, then messages, then timers, each touching connections; then every touched connection
 * advances once (so that ten answers that came together leave in one write); then the dead are freed, not before, since
 * events and lists of the turn may still name them.
 */
#include "serve/net_impl.h"

enum { EVENTS_MAX = 64, ACCEPTS_MAX = 64, ACCEPT_PAUSE_US = 100000, CHECK_US = 1000000 };

int64_t kp_net_now_us(struct kp_net *net)
{
    return net->options.os->mono_ns(net->options.os->ctx) / 1000;
}

struct kp_os *kp_net_os(struct kp_net *net)
{
    return net->options.os;
}

bool kp_net_is_stopping(const struct kp_net *net)
{
    return atomic_load(&net->stopping);
}

enum kp_code kp_net_create(const struct kp_net_options *options, struct kp_net **ret_net, struct kp_error *err)
{
    struct kp_poller *poller;
    KP_TRY(kp_poller_create(&poller, err));
    struct kp_net *net = kp_calloc(1, sizeof *net);
    if (options)
        net->options = *options;
    struct kp_net_options *o = &net->options;
    o->os = o->os ? o->os : kp_os_real();
    o->connections_max = o->connections_max ? o->connections_max : KP_CONNECTIONS_MAX;
    o->threads_max = o->threads_max ? o->threads_max : 256;
    o->stack_bytes = o->stack_bytes ? o->stack_bytes : KP_SQL_STACK_BYTES;
    o->thread_idle_us = o->thread_idle_us ? o->thread_idle_us : 5000000;
    o->out_bytes_high = o->out_bytes_high ? o->out_bytes_high : 1 << 20;
    o->write_timeout_us = o->write_timeout_us ? o->write_timeout_us : 60000000;
    o->stop_grace_us = o->stop_grace_us ? o->stop_grace_us : 5000000;
    net->poller = poller;
    net->free_slot = UINT32_MAX;
    kp_mutex_init(&net->queue_lock);
    kp_net_pool_init(net);
    *ret_net = net;
    return KP_OK;
}

enum kp_code kp_net_listen(struct kp_net *net, const struct kp_door *door, void *host, const struct kp_address *address,
                           struct kp_address *ret_bound, struct kp_error *err)
{
    KP_ASSERT(!net->running && net->listener_count < LISTENERS_MAX);
    struct listener *listener = &net->listeners[net->listener_count];
    *listener = (struct listener){.door = door, .host = host, .ctx = host};
    KP_TRY(kp_socket_listen(address, &listener->socket, err));
    struct kp_address bound;
    kp_socket_local(listener->socket, &bound);
    enum kp_code code = door->start ? door->start(net, host, &bound, &listener->ctx, err) : KP_OK;
    if (code == KP_OK) {
        listener->started = true;
        code = kp_poller_add(net->poller, listener->socket, KP_POLL_READ, listener, err);
    }
    if (code != KP_OK) {
        if (listener->started && door->stop)
            door->stop(listener->ctx);
        kp_socket_close(listener->socket);
        return code;
    }
    listener->watched = true;
    net->listener_count++;
    *ret_bound = bound;
    return KP_OK;
}

/* ---- accepting ---- */

static void watch_listeners(struct kp_net *net, bool on)
{
    for (size_t i = 0; i < net->listener_count; i++) {
        struct listener *listener = &net->listeners[i];
        if (listener->socket >= 0 && listener->watched != on)
            kp_poller_change(net->poller, listener->socket, on ? KP_POLL_READ : 0u, listener);
        listener->watched = on;
    }
}

static void welcome(struct kp_net *net, struct listener *listener, int socket)
{
    uint32_t max = net->options.connections_max;
    bool refused = atomic_load(&net->connections) >= max;
    atomic_fetch_add(refused ? &net->refused : &net->accepted, 1);
    if (refused && (!listener->door->refuse || net->live >= max + REFUSALS_MAX)) {
        kp_socket_close(socket);
        return;
    }
    struct conn *conn = kp_conn_create(net, listener, socket, refused);
    if (!conn)
        return;
    if (refused) {
        listener->door->refuse(&conn->pub.out);
        kp_conn_close(&conn->pub);
    }
    kp_conn_touch(conn);
}

static void accept_some(struct kp_net *net, struct listener *listener)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int socket = kp_socket_accept(listener->socket);
        if (socket == KP_SOCKET_EXHAUSTED) { /* the poller would report it at once again: rest a little */
            net->accept_again_us = kp_net_now_us(net) + ACCEPT_PAUSE_US;
            watch_listeners(net, false);
            return;
        }
        if (socket == KP_SOCKET_AGAIN)
            return;
        if (socket >= 0)
            welcome(net, listener, socket);
    }
}

/* ---- the loop ---- */

static struct listener *listener_of(struct kp_net *net, void *arg)
{
    uintptr_t at = (uintptr_t)arg, begin = (uintptr_t)net->listeners;
    return at >= begin && at < begin + sizeof net->listeners ? arg : NULL;
}

static int64_t wait_us(struct kp_net *net)
{
    int64_t now = kp_net_now_us(net), next = kp_net_timer_next(net);
    if (net->accept_again_us && (next < 0 || net->accept_again_us < next))
        next = net->accept_again_us;
    if (net->sending && (next < 0 || now + CHECK_US < next))
        next = now + CHECK_US;
    if (net->stop_until_us && (next < 0 || now + ACCEPT_PAUSE_US < next))
        next = now + ACCEPT_PAUSE_US;
    return next < 0 ? -1 : KP_MAX(next - now, (int64_t)0);
}

/* Cuts off peers that take nothing. */
static void check_slow(struct kp_net *net, int64_t now)
{
    if (!net->sending || now < net->checked_us + CHECK_US)
        return;
    net->checked_us = now;
    for (uint32_t i = 0; i < net->slot_count; i++) {
        struct conn *conn = net->slots[i].conn;
        if (conn && conn->owner == OWNER_LOOP && (conn->watched & KP_POLL_WRITE) && conn->unsent_since_us &&
            now - conn->unsent_since_us > net->options.write_timeout_us) {
            atomic_fetch_add(&net->closed_slow, 1);
            kp_conn_kill(conn);
        }
    }
}

static void stop_turn(struct kp_net *net, int64_t now)
{
    if (!net->stop_until_us) {
        net->stop_until_us = now + net->options.stop_grace_us;
        for (size_t i = 0; i < net->listener_count; i++) {
            kp_poller_remove(net->poller, net->listeners[i].socket);
            kp_socket_close(net->listeners[i].socket);
            net->listeners[i].socket = -1;
        }
        for (uint32_t i = 0; i < net->slot_count; i++)
            if (net->slots[i].conn)
                kp_conn_begin_stop(net->slots[i].conn);
    } else if (now > net->stop_until_us) { /* grace is over */
        for (uint32_t i = 0; i < net->slot_count; i++) {
            struct conn *conn = net->slots[i].conn;
            if (conn && conn->owner == OWNER_LOOP)
                kp_conn_kill(conn);
            else if (conn)
                kp_socket_shutdown_write(conn->socket);
        }
    }
}

static void end_turn(struct kp_net *net)
{
    while (net->touched) {
        struct conn *conn = net->touched;
        net->touched = conn->next_touched;
        conn->touched = false;
        kp_conn_advance(conn);
    }
    while (net->dead) {
        struct conn *conn = net->dead;
        net->dead = conn->next_dead;
        kp_buf_finish(&conn->pub.in);
        kp_buf_finish(&conn->pub.out);
        kp_free(conn->pub.state);
        kp_free(conn);
    }
}

static void loop(void *arg)
{
    struct kp_net *net = arg;
    struct kp_poll_event events[EVENTS_MAX];
    for (;;) {
        size_t count = kp_poller_wait(net->poller, events, EVENTS_MAX, wait_us(net));
        for (size_t i = 0; i < count; i++) {
            struct listener *listener = listener_of(net, events[i].arg);
            if (listener)
                accept_some(net, listener);
            else
                kp_conn_ready(events[i].arg, events[i].events);
        }
        kp_net_deliver(net);
        kp_net_timers_run(net);
        int64_t now = kp_net_now_us(net);
        if (net->accept_again_us && now >= net->accept_again_us) {
            net->accept_again_us = 0;
            watch_listeners(net, true);
        }
        check_slow(net, now);
        bool stopping = atomic_load(&net->stopping);
        if (stopping)
            stop_turn(net, now);
        end_turn(net);
        if (stopping && !net->live && !atomic_load(&net->expected))
            return;
    }
}

void kp_net_start(struct kp_net *net)
{
    net->running = true;
    kp_thread_start(&net->thread, "kappa-net", 0, loop, net);
}

void kp_net_destroy(struct kp_net *net)
{
    if (!net)
        return;
    if (net->running) {
        atomic_store(&net->stopping, true);
        kp_poller_wake(net->poller);
        kp_thread_join(&net->thread);
    }
    kp_net_pool_finish(net);
    for (size_t i = 0; i < net->listener_count; i++) {
        struct listener *listener = &net->listeners[i];
        kp_socket_close(listener->socket);
        if (listener->door->stop)
            listener->door->stop(listener->ctx);
    }
    kp_net_deliver(net);             /* posted since: their connections are gone */
    kp_mutex_lock(&net->queue_lock); /* see net_post.c */
    kp_mutex_unlock(&net->queue_lock);
    kp_mutex_finish(&net->queue_lock);
    kp_poller_destroy(net->poller);
    kp_free(net->slots);
    kp_free(net->timers);
    kp_free(net);
}

void kp_net_stats(struct kp_net *net, struct kp_net_stats *ret_stats)
{
    struct kp_net_stats stats = {
        .accepted = atomic_load(&net->accepted),
        .refused = atomic_load(&net->refused),
        .closed_slow = atomic_load(&net->closed_slow),
        .in_bytes = atomic_load(&net->in_bytes),
        .out_bytes = atomic_load(&net->out_bytes),
        .jobs = atomic_load(&net->jobs),
        .connections = atomic_load(&net->connections),
    };
    kp_mutex_lock(&net->pool_lock);
    stats.threads = net->threads;
    stats.threads_busy = net->threads - net->idle;
    stats.jobs_waiting = net->jobs_waiting;
    kp_mutex_unlock(&net->pool_lock);
    *ret_stats = stats;
}

uint32_t kp_net_door_connections(struct kp_net *net, const struct kp_door *door)
{
    uint32_t connections = 0;
    for (size_t i = 0; i < net->listener_count; i++)
        if (net->listeners[i].door == door)
            connections += atomic_load(&net->listeners[i].connections);
    return connections;
}
