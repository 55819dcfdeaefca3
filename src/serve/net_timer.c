/* One timer a connection: a binary heap of connections by due time, each knowing its place. */
#include "serve/net_impl.h"

static void place(struct kp_net *net, size_t index, struct conn *conn)
{
    net->timers[index] = conn;
    conn->timer_index = index;
}

static void sift_up(struct kp_net *net, size_t index, struct conn *conn)
{
    while (index > 0 && net->timers[(index - 1) / 2]->timer_us > conn->timer_us) {
        place(net, index, net->timers[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    place(net, index, conn);
}

static void sift_down(struct kp_net *net, size_t index, struct conn *conn)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= net->timer_count)
            break;
        if (child + 1 < net->timer_count && net->timers[child + 1]->timer_us < net->timers[child]->timer_us)
            child++;
        if (net->timers[child]->timer_us >= conn->timer_us)
            break;
        place(net, index, net->timers[child]);
        index = child;
    }
    place(net, index, conn);
}

static void heap_remove(struct kp_net *net, struct conn *conn)
{
    size_t index = conn->timer_index;
    if (index == SIZE_MAX)
        return;
    conn->timer_index = SIZE_MAX;
    struct conn *last = net->timers[--net->timer_count];
    if (last == conn)
        return;
    if (index > 0 && net->timers[(index - 1) / 2]->timer_us > last->timer_us)
        sift_up(net, index, last);
    else
        sift_down(net, index, last);
}

void kp_net_timer_set(struct conn *conn, int64_t at_us)
{
    struct kp_net *net = conn->pub.net;
    heap_remove(net, conn);
    if (at_us < 0)
        return;
    if (net->timer_count == net->timer_cap) {
        net->timer_cap = net->timer_cap ? 2 * net->timer_cap : 16;
        net->timers = kp_realloc(net->timers, net->timer_cap * sizeof *net->timers);
    }
    conn->timer_us = at_us;
    net->timer_count++;
    sift_up(net, net->timer_count - 1, conn);
}

int64_t kp_net_timer_next(const struct kp_net *net)
{
    return net->timer_count ? net->timers[0]->timer_us : -1;
}

void kp_net_timers_run(struct kp_net *net)
{
    if (!net->timer_count)
        return;
    int64_t now = kp_net_now_us(net);
    while (net->timer_count && net->timers[0]->timer_us <= now) {
        struct conn *conn = net->timers[0];
        heap_remove(net, conn);
        if (conn->owner == OWNER_POOL) {
            conn->timer_due = true;
            continue;
        }
        void (*fn)(struct kp_conn *) = conn->timer;
        conn->timer = NULL;
        if (fn)
            fn(&conn->pub);
        kp_conn_touch(conn);
    }
}
