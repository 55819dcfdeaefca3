/*
 * The pool: threads that run what may block, one connection at a time. A thread is started when a job finds none idle
 * and the limit allows it, and ends after idling; jobs beyond the limit wait in order of arrival. Ended threads are
 * joined by whoever submits next.
 */
#include "serve/net_impl.h"

struct pool_thread {
    struct kp_net *net;
    struct kp_thread thread;
    struct pool_thread *next_exited;
};

void kp_net_pool_init(struct kp_net *net)
{
    kp_mutex_init(&net->pool_lock);
    kp_cond_init(&net->pool_cond);
    net->job_tail = &net->job_head;
}

static struct conn *take(struct kp_net *net)
{
    struct conn *conn = net->job_head;
    if (!conn)
        return NULL;
    net->job_head = conn->next_job;
    if (!net->job_head)
        net->job_tail = &net->job_head;
    net->jobs_waiting--;
    return conn;
}

static void run(struct conn *conn)
{
    void (*fn)(struct kp_conn *) = conn->job;
    conn->job = NULL;
    fn(&conn->pub);
    atomic_fetch_add_explicit(&conn->pub.net->jobs, 1, memory_order_relaxed);
    kp_conn_send(conn); /* spares the answer the way through the loop; what is left goes there */
    kp_net_post_return(conn);
}

static void thread_main(void *arg)
{
    struct pool_thread *self = arg;
    struct kp_net *net = self->net;
    kp_mutex_lock(&net->pool_lock);
    for (;;) {
        struct conn *conn = take(net);
        if (conn) {
            kp_mutex_unlock(&net->pool_lock);
            run(conn);
            kp_mutex_lock(&net->pool_lock);
            continue;
        }
        if (net->pool_ending)
            break;
        net->idle++;
        bool woken = kp_cond_wait_us(&net->pool_cond, &net->pool_lock, net->options.thread_idle_us);
        net->idle--;
        if (!woken && !net->job_head)
            break;
    }
    net->threads--;
    self->next_exited = net->pool_exited;
    net->pool_exited = self;
    kp_cond_broadcast(&net->pool_cond); /* finish may wait for us */
    kp_mutex_unlock(&net->pool_lock);
}

static void join_all(struct pool_thread *exited)
{
    while (exited) {
        struct pool_thread *next = exited->next_exited;
        kp_thread_join(&exited->thread);
        kp_free(exited);
        exited = next;
    }
}

void kp_net_pool_submit(struct conn *conn)
{
    struct kp_net *net = conn->pub.net;
    kp_mutex_lock(&net->pool_lock);
    conn->next_job = NULL;
    *net->job_tail = conn;
    net->job_tail = &conn->next_job;
    net->jobs_waiting++;
    if (net->idle >= net->jobs_waiting) {
        kp_cond_signal(&net->pool_cond);
    } else if (net->threads < net->options.threads_max) {
        net->threads++;
        struct pool_thread *thread = kp_calloc(1, sizeof *thread);
        thread->net = net;
        kp_thread_start(&thread->thread, "kappa-request", net->options.stack_bytes, thread_main, thread);
    }
    struct pool_thread *exited = net->pool_exited;
    net->pool_exited = NULL;
    kp_mutex_unlock(&net->pool_lock);
    join_all(exited);
}

void kp_net_pool_finish(struct kp_net *net)
{
    kp_mutex_lock(&net->pool_lock);
    net->pool_ending = true;
    kp_cond_broadcast(&net->pool_cond);
    while (net->threads)
        kp_cond_wait(&net->pool_cond, &net->pool_lock);
    kp_mutex_unlock(&net->pool_lock);
    join_all(net->pool_exited);
    kp_cond_finish(&net->pool_cond);
    kp_mutex_finish(&net->pool_lock);
}
