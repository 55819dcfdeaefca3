#include "os/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- addresses ---- */

enum kp_code kp_address_parse(const char *text, struct kp_address *ret_address, struct kp_error *err)
{
    const char *host = text, *host_end = NULL, *port = text;
    const char *bracket = text[0] == '[' ? strchr(text, ']') : NULL;
    const char *colon = strrchr(text, ':');
    if (bracket && bracket[1] == ':') {
        host = text + 1;
        host_end = bracket;
        port = bracket + 2;
    } else if (colon) {
        host_end = colon;
        port = colon + 1;
    }
    char *end;
    long number = strtol(port, &end, 10);
    size_t host_len = host_end ? (size_t)(host_end - host) : 0;
    if (*port < '0' || *port > '9' || *end || number > 65535 || host_len >= sizeof ret_address->host ||
        (!bracket && memchr(host, ':', host_len))) {
        kp_fail(err, KP_INVALID, NULL, "\"%s\" is not an address to listen on or connect to", text);
        return kp_error_hint(err,
                             "Write HOST:PORT, for example 127.0.0.1:4680 or [::1]:4680; port 0 takes a free one.");
    }
    struct kp_address address = {.port = (uint16_t)number};
    if (host_len)
        memcpy(address.host, host, host_len);
    else
        strcpy(address.host, "127.0.0.1");
    *ret_address = address;
    return KP_OK;
}

const char *kp_address_print(const struct kp_address *address, char out[KP_ADDRESS_TEXT_BYTES])
{
    bool v6 = strchr(address->host, ':') != NULL;
    snprintf(out, KP_ADDRESS_TEXT_BYTES, "%s%s%s:%u", v6 ? "[" : "", address->host, v6 ? "]" : "",
             (unsigned)address->port);
    return out;
}

bool kp_address_is_loopback(const struct kp_address *address)
{
    return strncmp(address->host, "127.", 4) == 0 || strcmp(address->host, "::1") == 0 ||
           strncmp(address->host, "::ffff:127.", 11) == 0 || strcmp(address->host, "localhost") == 0;
}

static void from_sockaddr(const struct sockaddr_storage *from, struct kp_address *ret_address)
{
    struct kp_address address = {0};
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
        inet_ntop(AF_INET, &v4->sin_addr, address.host, sizeof address.host);
        address.port = ntohs(v4->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
        inet_ntop(AF_INET6, &v6->sin6_addr, address.host, sizeof address.host);
        address.port = ntohs(v6->sin6_port);
    }
    *ret_address = address;
}

void kp_socket_local(int socket, struct kp_address *ret_address)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof name;
    getsockname(socket, (struct sockaddr *)&name, &len);
    from_sockaddr(&name, ret_address);
}

void kp_socket_peer(int socket, struct kp_address *ret_address)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof name;
    getpeername(socket, (struct sockaddr *)&name, &len);
    from_sockaddr(&name, ret_address);
}

static enum kp_code resolve(const struct kp_address *address, int flags, struct addrinfo **ret_found,
                            struct kp_error *err)
{
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)address->port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    int failed = getaddrinfo(address->host, port, &hints, ret_found);
    if (failed)
        return kp_fail(err, KP_NOT_FOUND, "08001", "cannot look up host \"%s\": %s", address->host,
                       gai_strerror(failed));
    return KP_OK;
}

/* ---- sockets ---- */

static void set_option(int socket, int level, int option, int value)
{
    (void)setsockopt(socket, level, option, &value, sizeof value); /* a socket without it works too */
}

enum kp_code kp_socket_listen(const struct kp_address *address, int *ret_socket, struct kp_error *err)
{
    struct addrinfo *found;
    KP_TRY(resolve(address, AI_PASSIVE, &found, err));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int failed = fd < 0 ? errno : 0;
    if (!failed) {
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1024) != 0)
            failed = errno;
    }
    freeaddrinfo(found);
    if (!failed) {
        *ret_socket = fd;
        return KP_OK;
    }
    kp_socket_close(fd);
    char text[KP_ADDRESS_TEXT_BYTES];
    kp_address_print(address, text);
    if (failed == EADDRINUSE) {
        kp_fail(err, KP_BUSY, "55006", "address %s is in use by another program", text);
        return kp_error_hint(err,
                             "Stop what listens there (`ss -ltnp 'sport = :%u'` names it), or choose another port; "
                             "port 0 takes a free one.",
                             (unsigned)address->port);
    }
    kp_fail_errno(err, failed, "cannot listen on %s", text);
    if (failed == EADDRNOTAVAIL)
        kp_error_hint(err, "%s is not an address of this machine.", address->host);
    else if (failed == EACCES)
        kp_error_hint(err, "Ports below 1024 need privileges; choose a higher one.");
    return KP_IO;
}

/* Waits for a connect in progress; returns 0 or its errno. */
static int await_connect(int fd, int64_t timeout_us)
{
    if (!kp_socket_wait(fd, KP_POLL_WRITE, timeout_us))
        return ETIMEDOUT;
    int failed = 0;
    socklen_t len = sizeof failed;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) == 0 ? failed : errno;
}

enum kp_code kp_socket_connect(const struct kp_address *address, int64_t timeout_us, int *ret_socket,
                               struct kp_error *err)
{
    struct addrinfo *found;
    KP_TRY(resolve(address, 0, &found, err));
    int failed = EADDRNOTAVAIL;
    for (const struct addrinfo *at = found; at && failed; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        failed = fd < 0 ? errno : 0;
        if (!failed && connect(fd, at->ai_addr, at->ai_addrlen) != 0)
            failed = errno == EINPROGRESS ? await_connect(fd, timeout_us) : errno;
        if (failed) {
            kp_socket_close(fd);
        } else {
            set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
            *ret_socket = fd;
        }
    }
    freeaddrinfo(found);
    if (!failed)
        return KP_OK;
    char text[KP_ADDRESS_TEXT_BYTES];
    return kp_fail_errno(err, failed, "cannot connect to %s", kp_address_print(address, text));
}

void kp_socket_close(int socket)
{
    if (socket >= 0)
        close(socket);
}

enum { RESERVED_DESCRIPTORS = 64 };

uint64_t kp_socket_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return UINT64_MAX;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

/* The log must be able to open its next file however many clients come: the last descriptors are not for them. */
static bool is_reserved(int fd)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return false;
    rlim_t reserved = KP_MIN(limit.rlim_cur / 2, (rlim_t)RESERVED_DESCRIPTORS);
    return (rlim_t)fd >= limit.rlim_cur - reserved;
}

int kp_socket_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && is_reserved(fd)) {
        close(fd);
        return KP_SOCKET_EXHAUSTED;
    }
    if (fd >= 0) {
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        return fd;
    }
    switch (errno) {
    case EAGAIN:
        return KP_SOCKET_AGAIN;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return KP_SOCKET_EXHAUSTED;
    default:
        return KP_SOCKET_FAILED;
    }
}

ssize_t kp_socket_read(int socket, void *bytes, size_t len)
{
    for (;;) {
        ssize_t n = recv(socket, bytes, len, 0);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return errno == EAGAIN ? KP_SOCKET_AGAIN : KP_SOCKET_FAILED;
    }
}

ssize_t kp_socket_write(int socket, const void *bytes, size_t len)
{
    for (;;) {
        ssize_t n = send(socket, bytes, len, MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return errno == EAGAIN ? KP_SOCKET_AGAIN : KP_SOCKET_FAILED;
    }
}

void kp_socket_shutdown_write(int socket)
{
    (void)shutdown(socket, SHUT_WR);
}

void kp_socket_shutdown_read(int socket)
{
    (void)shutdown(socket, SHUT_RD);
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Rounded up, so that a wait never ends before its time. */
static int timeout_ms(int64_t timeout_us)
{
    if (timeout_us < 0)
        return -1;
    int64_t ms = (timeout_us + 999) / 1000;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

unsigned kp_socket_wait(int socket, unsigned events, int64_t timeout_us)
{
    short wanted = (short)(((events & KP_POLL_READ) ? POLLIN : 0) | ((events & KP_POLL_WRITE) ? POLLOUT : 0) |
                           ((events & KP_POLL_PEER_ENDED) ? POLLRDHUP : 0));
    struct pollfd pollfd = {.fd = socket, .events = wanted};
    int64_t until = timeout_us < 0 ? -1 : now_us() + timeout_us;
    for (;;) {
        int n = poll(&pollfd, 1, timeout_ms(timeout_us));
        if (n > 0)
            break;
        if (n == 0)
            return 0;
        if (errno != EINTR)
            return KP_POLL_BROKEN;
        if (until >= 0) {
            timeout_us = until - now_us();
            if (timeout_us <= 0)
                return 0;
        }
    }
    return ((pollfd.revents & POLLIN) ? KP_POLL_READ : 0u) | ((pollfd.revents & POLLOUT) ? KP_POLL_WRITE : 0u) |
           ((pollfd.revents & POLLRDHUP) ? KP_POLL_PEER_ENDED : 0u) |
           ((pollfd.revents & (POLLERR | POLLHUP | POLLNVAL)) ? KP_POLL_BROKEN : 0u);
}

/* ---- the poller ---- */

struct kp_poller {
    int epoll, wake;
};

enum kp_code kp_poller_create(struct kp_poller **ret_poller, struct kp_error *err)
{
    struct kp_poller *poller = kp_alloc(sizeof *poller);
    poller->epoll = epoll_create1(EPOLL_CLOEXEC);
    poller->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = poller};
    if (poller->epoll < 0 || poller->wake < 0 || epoll_ctl(poller->epoll, EPOLL_CTL_ADD, poller->wake, &event) != 0) {
        int failed = errno;
        kp_poller_destroy(poller);
        return kp_fail_errno(err, failed, "cannot make a poller");
    }
    *ret_poller = poller;
    return KP_OK;
}

void kp_poller_destroy(struct kp_poller *poller)
{
    if (!poller)
        return;
    kp_socket_close(poller->epoll);
    kp_socket_close(poller->wake);
    kp_free(poller);
}

static struct epoll_event to_epoll(unsigned events, void *arg)
{
    return (struct epoll_event){.events = ((events & KP_POLL_READ) ? (uint32_t)EPOLLIN : 0u) |
                                          ((events & KP_POLL_WRITE) ? (uint32_t)EPOLLOUT : 0u) |
                                          ((events & KP_POLL_PEER_ENDED) ? (uint32_t)EPOLLRDHUP : 0u),
                                .data.ptr = arg};
}

enum kp_code kp_poller_add(struct kp_poller *poller, int socket, unsigned events, void *arg, struct kp_error *err)
{
    struct epoll_event event = to_epoll(events, arg);
    if (epoll_ctl(poller->epoll, EPOLL_CTL_ADD, socket, &event) != 0)
        return kp_fail_errno(err, errno, "cannot watch a socket");
    return KP_OK;
}

void kp_poller_change(struct kp_poller *poller, int socket, unsigned events, void *arg)
{
    struct epoll_event event = to_epoll(events, arg);
    KP_ASSERT(epoll_ctl(poller->epoll, EPOLL_CTL_MOD, socket, &event) == 0);
}

void kp_poller_remove(struct kp_poller *poller, int socket)
{
    KP_ASSERT(epoll_ctl(poller->epoll, EPOLL_CTL_DEL, socket, NULL) == 0);
}

size_t kp_poller_wait(struct kp_poller *poller, struct kp_poll_event *events, size_t max, int64_t timeout_us)
{
    struct epoll_event got[64];
    int n = epoll_wait(poller->epoll, got, (int)KP_MIN(max, KP_COUNT(got)), timeout_ms(timeout_us));
    size_t count = 0;
    for (int i = 0; i < n; i++) {
        if (got[i].data.ptr == poller) {
            uint64_t ignored;
            (void)!read(poller->wake, &ignored, sizeof ignored);
            continue;
        }
        uint32_t e = got[i].events;
        events[count++] = (struct kp_poll_event){.arg = got[i].data.ptr,
                                                 .events = ((e & EPOLLIN) ? KP_POLL_READ : 0u) |
                                                           ((e & EPOLLOUT) ? KP_POLL_WRITE : 0u) |
                                                           ((e & EPOLLRDHUP) ? KP_POLL_PEER_ENDED : 0u) |
                                                           ((e & (EPOLLERR | EPOLLHUP)) ? KP_POLL_BROKEN : 0u)};
    }
    return count;
}

void kp_poller_wake(struct kp_poller *poller)
{
    uint64_t one = 1;
    (void)!write(poller->wake, &one, sizeof one); /* full means that a wake-up is already due */
}
