/*
 * Messages to the network thread: functions posted for a connection, for the net, and connections that pool threads
 * give back. A queue under a lock; only who puts the first message into an empty queue wakes the poller.
 *
 * The poller is woken under the lock, so that kp_net_destroy, which takes the lock once after the loop has ended, knows
 * that no poster is still inside.
 */
#include "serve/net_impl.h"

static void push(struct kp_net *net, struct message *message)
{
    kp_mutex_lock(&net->queue_lock);
    bool empty = !net->queue.head;
    message_list_push(&net->queue, message);
    if (empty)
        kp_poller_wake(net->poller);
    kp_mutex_unlock(&net->queue_lock);
}

static void post(struct kp_conn_ref ref, kp_conn_fn fn, void *arg, bool expected, bool unpause)
{
    struct message *message = kp_calloc(1, sizeof *message);
    message->kind = MESSAGE_CONN;
    message->ref = ref;
    message->fn = fn;
    message->arg = arg;
    message->expected = expected;
    message->unpause = unpause;
    push(ref.net, message);
}

void kp_conn_post(struct kp_conn_ref ref, kp_conn_fn fn, void *arg)
{
    post(ref, fn, arg, false, false);
}

void kp_conn_complete(struct kp_conn_ref ref, kp_conn_fn fn, void *arg)
{
    post(ref, fn, arg, true, false);
}

void kp_conn_resume(struct kp_conn_ref ref, kp_conn_fn fn, void *arg)
{
    post(ref, fn, arg, true, true);
}

void kp_net_call(struct kp_net *net, void (*fn)(void *arg), void *arg)
{
    struct message *message = kp_calloc(1, sizeof *message);
    message->kind = MESSAGE_CALL;
    message->call = fn;
    message->arg = arg;
    push(net, message);
}

void kp_net_post_return(struct conn *conn)
{
    conn->returned.kind = MESSAGE_RETURN;
    conn->returned.conn = conn;
    push(conn->pub.net, &conn->returned);
}

struct kp_conn_ref kp_conn_ref(struct kp_conn *conn)
{
    struct conn *self = private_of(conn);
    return (struct kp_conn_ref){conn->net, self->slot, self->returned.ref.generation};
}

struct kp_conn_ref kp_conn_expect(struct kp_conn *conn)
{
    private_of(conn)->expected++;
    atomic_fetch_add(&conn->net->expected, 1);
    return kp_conn_ref(conn);
}

struct kp_conn_ref kp_conn_suspend(struct kp_conn *conn)
{
    kp_conn_pause(conn);
    return kp_conn_expect(conn);
}

static struct conn *find(struct kp_conn_ref ref)
{
    const struct slot *slot = &ref.net->slots[ref.slot];
    return slot->generation == ref.generation ? slot->conn : NULL;
}

static void deliver(struct kp_net *net, struct message *message)
{
    struct conn *conn = find(message->ref);
    if (conn && conn->owner == OWNER_POOL) {
        message_list_push(&conn->deferred, message);
        return;
    }
    if (conn) {
        if (message->expected)
            conn->expected--;
        if (message->unpause)
            kp_conn_unpause(&conn->pub);
        kp_conn_touch(conn);
    }
    if (message->fn)
        message->fn(conn ? &conn->pub : NULL, message->arg);
    if (message->expected)
        atomic_fetch_sub(&net->expected, 1);
    kp_free(message);
}

void kp_net_deliver_deferred(struct conn *conn)
{
    struct message *at = conn->deferred.head;
    conn->deferred = (struct message_list){0};
    while (at) {
        struct message *next = at->next;
        deliver(conn->pub.net, at);
        at = next;
    }
}

void kp_net_deliver(struct kp_net *net)
{
    kp_mutex_lock(&net->queue_lock);
    struct message *at = net->queue.head;
    net->queue = (struct message_list){0};
    kp_mutex_unlock(&net->queue_lock);
    while (at) {
        struct message *next = at->next;
        switch (at->kind) {
        case MESSAGE_CONN:
            deliver(net, at);
            break;
        case MESSAGE_CALL:
            at->call(at->arg);
            kp_free(at);
            break;
        case MESSAGE_RETURN:
            kp_conn_taken_back(at->conn);
            break;
        }
        at = next;
    }
}
