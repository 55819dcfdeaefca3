/* What net.c (the loop), net_conn.c (one connection), net_pool.c (threads) and net_post.c (messages) share. */
#ifndef KP_SERVE_NET_IMPL_H
#define KP_SERVE_NET_IMPL_H

#include "os/thread.h"
#include "serve/net.h"

enum {
    LISTENERS_MAX = 8,
    REFUSALS_MAX = 64,          /* connections beyond the limit that may hear why; more are just closed */
    READ_BYTES = 64 << 10,      /* of one read */
    READ_BURST_BYTES = 1 << 20, /* of one turn, so that one loud peer does not starve the others */
    KEEP_BYTES = 4 << 10,       /* an idle connection keeps no larger buffer */
    LINGER_US = 1000000         /* how long a closed connection waits for its peer to read the last words */
};

enum { TIMER_NONE = -1, TIMER_UNCHANGED = -2 };

enum owner { OWNER_LOOP, OWNER_POOL };

struct message {
    struct message *next;
    enum { MESSAGE_CONN, MESSAGE_CALL, MESSAGE_RETURN } kind;
    bool expected, unpause;
    struct kp_conn_ref ref;
    kp_conn_fn fn;
    void (*call)(void *arg);
    void *arg;
    struct conn *conn; /* MESSAGE_RETURN: lies in it */
};

struct message_list {
    struct message *head, **tail; /* tail NULL: empty */
};

struct listener {
    int socket;
    const struct kp_door *door;
    void *host, *ctx;
    bool started, watched;
    _Atomic uint32_t connections;
};

/* Loop-owned but where it says otherwise. */
struct conn {
    struct kp_conn pub; /* first */
    int socket;
    struct listener *listener;
    uint32_t slot;
    enum owner owner;
    unsigned watched; /* kp_poll_events of the poller */
    bool fresh;       /* there is something that readable has not seen */
    bool paused, closing, lingering, refused, dead, touched;
    bool input_ended;                  /* read returned 0; owner */
    bool write_failed;                 /* owner */
    bool over;                         /* output was over the limit and has not drained since; owner */
    _Atomic bool hung_up;              /* any thread may read */
    void (*job)(struct kp_conn *conn); /* owner: to be run when the callback returns */
    uint32_t expected;                 /* owner */
    int64_t unsent_since_us;           /* of the last progress in sending, while something is unsent */
    int64_t timer_us;                  /* when due */
    size_t timer_index;                /* in net->timers; SIZE_MAX: none */
    void (*timer)(struct kp_conn *conn);
    bool timer_due;         /* came while the pool owned it; loop */
    int64_t timer_asked_us; /* set by the pool, for the loop to do when it has the connection back; TIMER_UNCHANGED */
    struct message_list deferred;
    struct message returned;
    struct conn *next_dead, *next_touched, *next_job;
};

struct slot {
    struct conn *conn; /* NULL: free */
    uint32_t generation, next_free;
};

struct kp_net {
    struct kp_net_options options;
    struct kp_poller *poller;
    struct kp_thread thread;
    bool running;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    _Atomic bool stopping;

    /* loop */
    struct slot *slots;
    uint32_t slot_count, free_slot; /* UINT32_MAX: none */
    uint32_t live, sending;         /* connections; those that wait to write */
    struct conn *dead, *touched;
    struct conn **timers;
    size_t timer_count, timer_cap;
    int64_t accept_again_us; /* out of descriptors: not before; 0: accepting */
    int64_t checked_us;      /* slow peers */
    int64_t stop_until_us;   /* 0: not stopping yet */
    uint8_t read_bytes[READ_BYTES];

    struct kp_mutex queue_lock;
    struct message_list queue; /* lock: queue_lock */
    _Atomic int64_t expected;

    struct kp_mutex pool_lock; /* all below to pool_exited */
    struct kp_cond pool_cond;
    struct conn *job_head, **job_tail;
    uint32_t threads, idle, jobs_waiting;
    bool pool_ending;
    struct pool_thread *pool_exited; /* to be joined */

    _Atomic uint64_t accepted, refused, closed_slow, in_bytes, out_bytes, jobs;
    _Atomic uint32_t connections;
};

static inline struct conn *private_of(const struct kp_conn *conn)
{
    return (struct conn *)(uintptr_t)conn;
}

static inline void message_list_push(struct message_list *list, struct message *message)
{
    if (!list->tail)
        list->tail = &list->head;
    message->next = NULL;
    *list->tail = message;
    list->tail = &message->next;
}

/* net_conn.c; loop thread */
struct conn *kp_conn_create(struct kp_net *net, struct listener *listener, int socket, bool refused);
void kp_conn_advance(struct conn *conn); /* sends, calls the door, dispatches jobs, watches for what is next */
void kp_conn_ready(struct conn *conn, unsigned events);
void kp_conn_touch(struct conn *conn);      /* to be advanced at the end of this turn */
void kp_conn_kill(struct conn *conn);       /* loop-owned; freed at the end of the turn */
void kp_conn_taken_back(struct conn *conn); /* its job is done */
void kp_conn_begin_stop(struct conn *conn);
/* Moves output without waiting; false: broken. Owner. */
bool kp_conn_send(struct conn *conn);

/* net_post.c; loop thread */
void kp_net_deliver(struct kp_net *net);
void kp_net_deliver_deferred(struct conn *conn);
void kp_net_post_return(struct conn *conn); /* pool thread */

/* net_timer.c; loop thread */
void kp_net_timer_set(struct conn *conn, int64_t at_us); /* negative: none */
void kp_net_timers_run(struct kp_net *net);
int64_t kp_net_timer_next(const struct kp_net *net); /* -1: none */

/* net_pool.c */
void kp_net_pool_init(struct kp_net *net);
void kp_net_pool_submit(struct conn *conn); /* loop */
void kp_net_pool_finish(struct kp_net *net);

#endif
