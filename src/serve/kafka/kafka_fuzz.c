/*
 * Fuzzing the Kafka door: an input is what a client sends on one connection (frames whose sizes are mended, so that the
 * fuzzer gets past them), to a door on a log in a fresh folder, through a real socket. It must answer or close.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/socket.h"
#include "serve/kafka/door.h"
#include "serve/kafka/kafka.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct kp_address bound;

static enum kp_code start_on_log(struct kp_net *net, void *host, const struct kp_address *at, void **ret_ctx,
                                 struct kp_error *err)
{
    *ret_ctx = kp_kafka_create(net, host, NULL);
    return KP_OK;
}

#define MUST(call) KP_ASSERT((call) == KP_OK)

static char dir[] = "/tmp/kappa-kafka-fuzz-XXXXXX";

static void remove_file(void *arg, const char *name)
{
    char path[sizeof dir + 300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)unlink(path);
}

/* At exit, with the log still open: its files have no names then. */
static void remove_folder(void)
{
    struct kp_os *os = kp_os_real();
    (void)!os->list(os->ctx, dir, remove_file, NULL, NULL);
    (void)rmdir(dir);
}

static void start(void)
{
    static struct kp_door door;
    struct kp_error err;
    struct kp_log *log;
    struct kp_net *net;
    struct kp_address address;
    uint32_t id;
    KP_ASSERT(mkdtemp(dir) && atexit(remove_folder) == 0);
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .unsafe_no_sync = true};
    MUST(kp_log_open(&options, &log, &err));
    MUST(kp_log_topic_create(log, "t", 3, &id, &err));
    MUST(kp_address_parse("127.0.0.1:0", &address, &err));
    MUST(kp_net_create(NULL, &net, &err));
    door = kp_kafka_door_with(start_on_log);
    MUST(kp_net_listen(net, &door, log, &address, &bound, &err));
    kp_net_start(net);
}

/* Input: pieces of u8 length, then that many bytes; each piece becomes a frame. A piece of length 255 goes on. */
static void frames_of(const uint8_t *bytes, size_t len, struct kp_buf *out)
{
    while (len) {
        size_t start = out->len, n;
        kp_buf_append_be32(out, 0);
        do {
            n = *bytes++;
            len--;
            size_t take = KP_MIN(n, len);
            kp_buf_append(out, bytes, take);
            bytes += take;
            len -= take;
        } while (n == 255 && len);
        uint32_t size = __builtin_bswap32((uint32_t)(out->len - start - 4));
        memcpy(out->data + start, &size, 4);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (!bound.port)
        start();
    struct kp_error err;
    struct kp_buf out = {0};
    int fd;
    MUST(kp_socket_connect(&bound, 5000000, &fd, &err));
    frames_of(bytes, len, &out);
    size_t at = 0;
    char sink[4096];
    bool open = true;
    while (open && at < out.len) {
        ssize_t n = kp_socket_write(fd, out.data + at, out.len - at);
        if (n == KP_SOCKET_AGAIN)
            kp_socket_wait(fd, KP_POLL_WRITE | KP_POLL_READ, 1000000);
        else
            open = n >= 0;
        at += n > 0 ? (size_t)n : 0;
        while (kp_socket_read(fd, sink, sizeof sink) > 0)
            ;
    }
    kp_socket_shutdown_write(fd);
    for (ssize_t n = 1; n != 0 && n != KP_SOCKET_FAILED;) {
        n = kp_socket_read(fd, sink, sizeof sink);
        if (n == KP_SOCKET_AGAIN)
            KP_ASSERT(kp_socket_wait(fd, KP_POLL_READ, 20000000)); /* it answers or closes */
    }
    kp_socket_close(fd);
    kp_buf_finish(&out);
    return 0;
}
