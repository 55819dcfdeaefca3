/*
 * Sockets, the poller and its wake-up: the only place that names socket, epoll and eventfd.
 *
 * Sockets are plain descriptors here, non-blocking, close-on-exec and without Nagle's delay. A read or write gives what
 * it could do at once; kp_socket_wait is for threads that may block.
 */
#ifndef KP_OS_SOCKET_H
#define KP_OS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct kp_address {
    char host[64]; /* numeric once bound or accepted: "127.0.0.1", "::1" */
    uint16_t port;
};

enum { KP_ADDRESS_TEXT_BYTES = 80 };

/* "host:port", "[v6]:port", ":port" or "port" (both: 127.0.0.1). Names are looked up by listen and connect. */
KP_MUST enum kp_code kp_address_parse(const char *text, struct kp_address *ret_address, struct kp_error *err);
/* "host:port", brackets around IPv6; returns out. */
const char *kp_address_print(const struct kp_address *address, char out[KP_ADDRESS_TEXT_BYTES]);
/* True if only this machine can reach it: 127.0.0.0/8, ::1. */
bool kp_address_is_loopback(const struct kp_address *address);

/* Binds and listens; port 0 takes a free one. A taken port is KP_BUSY with a hint. */
KP_MUST enum kp_code kp_socket_listen(const struct kp_address *address, int *ret_socket, struct kp_error *err);
/* Connects, waiting at most timeout_us (negative: for ever). */
KP_MUST enum kp_code kp_socket_connect(const struct kp_address *address, int64_t timeout_us, int *ret_socket,
                                       struct kp_error *err);
void kp_socket_close(int socket); /* negative is fine */

/* Results below zero. */
enum { KP_SOCKET_AGAIN = -1, KP_SOCKET_FAILED = -2, KP_SOCKET_EXHAUSTED = -3 };

/* Raises this process's limit of open files as far as it may, and returns it. */
uint64_t kp_socket_descriptors(void);
/* The next connection; AGAIN: none waits; EXHAUSTED: out of memory or of descriptors but for the last, which are for
 * files: the connection is closed or waits; FAILED: that one is gone, try again. */
int kp_socket_accept(int listener);
/* Bytes moved; read: 0 at the end of the stream; AGAIN: would block; FAILED: the connection is broken. */
ssize_t kp_socket_read(int socket, void *bytes, size_t len);
ssize_t kp_socket_write(int socket, const void *bytes, size_t len);
void kp_socket_local(int socket, struct kp_address *ret_address);
void kp_socket_peer(int socket, struct kp_address *ret_address);
void kp_socket_shutdown_write(int socket);
void kp_socket_shutdown_read(int socket); /* wakes a thread that waits for input: it sees the end */

enum kp_poll_events {
    KP_POLL_READ = 1,
    KP_POLL_WRITE = 2,
    KP_POLL_PEER_ENDED = 4, /* the other side sends no more: it closed, or half of it */
    KP_POLL_BROKEN = 8      /* both directions are gone; always reported */
};
/* Waits for any of events; returns those that are there, 0 on timeout. Negative timeout: for ever. */
unsigned kp_socket_wait(int socket, unsigned events, int64_t timeout_us);

struct kp_poller;
struct kp_poll_event {
    void *arg;
    unsigned events;
};
KP_MUST enum kp_code kp_poller_create(struct kp_poller **ret_poller, struct kp_error *err);
void kp_poller_destroy(struct kp_poller *poller);
/* Adds a socket, or changes what it is watched for. */
KP_MUST enum kp_code kp_poller_add(struct kp_poller *poller, int socket, unsigned events, void *arg,
                                   struct kp_error *err);
void kp_poller_change(struct kp_poller *poller, int socket, unsigned events, void *arg);
void kp_poller_remove(struct kp_poller *poller, int socket);
/* Level-triggered. Returns how many events were filled; 0 on timeout or when only woken. */
size_t kp_poller_wait(struct kp_poller *poller, struct kp_poll_event *events, size_t max, int64_t timeout_us);
void kp_poller_wake(struct kp_poller *poller); /* any thread */

#endif
