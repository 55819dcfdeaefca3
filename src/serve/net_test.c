/* The net with a door of lines: order, back pressure, jobs, answers from other threads, timers, limits, hang-ups,
 * stopping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>

#include "os/thread.h"
#include "serve/net.h"

/* ---- the door: each line is a command, each answer a line ---- */

struct line_state {
    int argument;
    bool opened;
};

static _Atomic int opens, closes, hangups, gone, stops;

static void tell(struct kp_conn *conn, const char *text)
{
    kp_buf_append_text(&conn->out, text);
    kp_buf_append_byte(&conn->out, '\n');
}

static void sleep_us(int64_t us)
{
    struct kp_mutex mutex;
    struct kp_cond cond;
    kp_mutex_init(&mutex);
    kp_cond_init(&cond);
    kp_mutex_lock(&mutex);
    kp_cond_wait_us(&cond, &mutex, us);
    kp_mutex_unlock(&mutex);
    kp_cond_finish(&cond);
    kp_mutex_finish(&mutex);
}

static void job_block(struct kp_conn *conn)
{
    const struct line_state *state = conn->state;
    for (int i = 0; i < state->argument && !kp_conn_is_hung_up(conn); i++)
        sleep_us(1000);
    tell(conn, kp_conn_is_hung_up(conn) ? "cut" : "slept");
}

static void job_talk(struct kp_conn *conn)
{
    struct kp_error err;
    bool ready;
    tell(conn, "talk");
    if (kp_conn_flush_blocking(conn, &err) != KP_OK)
        return;
    enum kp_code code = kp_conn_wait_input(conn, 5000000, &ready, &err);
    kp_buf_printf(&conn->out, "heard %d %s\n", (int)code, code == KP_OK && ready ? "it" : "nothing");
}

struct later {
    struct kp_conn_ref ref;
    struct kp_thread thread;
    int ms;
};

static void later_answer(struct kp_conn *conn, void *arg)
{
    struct later *later = arg;
    if (conn)
        tell(conn, "later");
    else
        gone++;
    (void)later;
}

static struct later laters[64];
static int later_count;

static void later_main(void *arg)
{
    struct later *later = arg;
    sleep_us((int64_t)later->ms * 1000);
    kp_conn_resume(later->ref, later_answer, later);
}

static void timer_fired(struct kp_conn *conn)
{
    tell(conn, "timer");
    kp_conn_unpause(conn);
}

static void stream(struct kp_conn *conn)
{
    struct line_state *state = conn->state;
    while (state->argument > 0 && !kp_conn_backed_up(conn)) {
        state->argument--;
        kp_buf_append_text(&conn->out, "0123456789012345678901234567890123456789012345678901234567890123\n");
    }
    if (state->argument == 0) {
        tell(conn, "done");
        kp_conn_unpause(conn);
    }
}

static void command(struct kp_conn *conn, const char *name, int argument)
{
    struct line_state *state = conn->state;
    state->argument = argument;
    if (strcmp(name, "block") == 0) {
        kp_conn_run(conn, job_block);
    } else if (strcmp(name, "talk") == 0) {
        kp_conn_run(conn, job_talk);
    } else if (strcmp(name, "later") == 0) {
        struct later *later = &laters[later_count++];
        later->ref = kp_conn_suspend(conn);
        later->ms = argument;
        kp_thread_start(&later->thread, "later", 0, later_main, later);
    } else if (strcmp(name, "timer") == 0) {
        kp_conn_pause(conn);
        kp_conn_set_timer(conn, (int64_t)argument * 1000, timer_fired);
    } else if (strcmp(name, "big") == 0) {
        memset(kp_buf_reserve(&conn->out, (size_t)argument), 'x', (size_t)argument);
        conn->out.len += (size_t)argument;
        kp_buf_append_byte(&conn->out, '\n');
    } else if (strcmp(name, "stream") == 0) { /* pieces, as fast as they are taken */
        kp_conn_pause(conn);
        stream(conn);
    } else if (strcmp(name, "close") == 0) {
        tell(conn, "bye");
        kp_conn_close(conn);
    } else if (strcmp(name, "port") == 0) {
        struct kp_address local, peer;
        kp_conn_local(conn, &local);
        kp_conn_peer(conn, &peer);
        kp_buf_printf(&conn->out, "%s %d %s\n", local.host, local.port, peer.host);
    } else {
        tell(conn, name);
    }
}

static struct line_state *state_of(struct kp_conn *conn)
{
    return conn->state;
}

static _Atomic bool busy; /* in readable: must never overlap itself */

static void line_readable(struct kp_conn *conn)
{
    assert_false(atomic_exchange(&busy, true));
    for (;;) {
        struct kp_str input = kp_conn_input(conn);
        const char *end = input.len ? memchr(input.ptr, '\n', input.len) : NULL;
        if (!end || kp_conn_backed_up(conn))
            break;
        char line[256] = "";
        size_t len = (size_t)(end - input.ptr);
        memcpy(line, input.ptr, len < 255 ? len : 255);
        kp_conn_consume(conn, len + 1);
        char *space = strchr(line, ' ');
        if (space)
            *space = '\0';
        command(conn, line, space ? atoi(space + 1) : 0);
        if (strcmp(line, "block") == 0 || strcmp(line, "talk") == 0 || strcmp(line, "later") == 0 ||
            strcmp(line, "timer") == 0 || strcmp(line, "close") == 0 || strcmp(line, "stream") == 0)
            break;
    }
    atomic_store(&busy, false);
}

static void line_open(struct kp_conn *conn)
{
    state_of(conn)->opened = true;
    opens++;
}
static void line_hangup(struct kp_conn *conn)
{
    hangups++;
}
static void line_close(struct kp_conn *conn)
{
    assert_true(state_of(conn)->opened);
    closes++;
}
static void line_refuse(struct kp_buf *out)
{
    kp_buf_append_text(out, "full\n");
}
static void line_stop(void *ctx)
{
    stops++;
}

static const struct kp_door line_door = {
    .name = "line",
    .state_bytes = sizeof(struct line_state),
    .in_bytes_max = 100000,
    .stop = line_stop,
    .open = line_open,
    .readable = line_readable,
    .hangup = line_hangup,
    .drained = stream,
    .close = line_close,
    .refuse = line_refuse,
};

/* ---- the client ---- */

static struct kp_net *net;
static struct kp_address bound;

static void start(struct kp_net_options options)
{
    struct kp_error err;
    opens = closes = hangups = gone = stops = 0;
    later_count = 0;
    struct kp_address address;
    assert_int_equal(kp_address_parse("127.0.0.1:0", &address, &err), KP_OK);
    assert_int_equal(kp_net_create(&options, &net, &err), KP_OK);
    assert_int_equal(kp_net_listen(net, &line_door, NULL, &address, &bound, &err), KP_OK);
    assert_true(bound.port > 0);
    kp_net_start(net);
}

static void stop(void)
{
    kp_net_destroy(net);
    for (int i = 0; i < later_count; i++)
        kp_thread_join(&laters[i].thread);
    assert_int_equal(opens, closes);
    assert_int_equal(stops, 1);
}

static int dial(void)
{
    int fd = -1;
    struct kp_error err;
    assert_int_equal(kp_socket_connect(&bound, 5000000, &fd, &err), KP_OK);
    return fd;
}

static void say(int fd, const char *text)
{
    for (size_t at = 0, len = strlen(text); at < len;) {
        ssize_t n = kp_socket_write(fd, text + at, len - at);
        if (n == KP_SOCKET_AGAIN)
            kp_socket_wait(fd, KP_POLL_WRITE, 5000000);
        else if (n < 0)
            fail_msg("write failed");
        else
            at += (size_t)n;
    }
}

/* Reads until `len` bytes came or the end; gives how many. */
static size_t hear(int fd, char *to, size_t len)
{
    size_t at = 0;
    while (at < len) {
        if (!kp_socket_wait(fd, KP_POLL_READ, 10000000))
            fail_msg("nothing came within 10 s, after %zu of %zu bytes", at, len);
        ssize_t n = kp_socket_read(fd, to + at, len - at);
        if (n == 0 || n == KP_SOCKET_FAILED)
            break;
        if (n > 0)
            at += (size_t)n;
    }
    return at;
}

static void expect(int fd, const char *text)
{
    char got[4096];
    size_t len = hear(fd, got, strlen(text));
    got[len] = '\0';
    assert_string_equal(got, text);
}

static void expect_end(int fd)
{
    char byte;
    assert_int_equal(hear(fd, &byte, 1), 0);
}

/* ---- tests ---- */

static void test_order(void **state)
{
    start((struct kp_net_options){0});
    int fd = dial();
    say(fd, "a\nblock 5\nb\nlater 5\nc\ntimer 5\nd\n");
    expect(fd, "a\nslept\nb\nlater\nc\ntimer\nd\n");
    say(fd, "par");
    sleep_us(2000);
    say(fd, "tial\n");
    expect(fd, "partial\n");
    char text[100];
    snprintf(text, sizeof text, "127.0.0.1 %d 127.0.0.1\n", bound.port);
    say(fd, "port\n");
    expect(fd, text);
    say(fd, "close\nnever\n");
    expect(fd, "bye\n");
    expect_end(fd);
    kp_socket_close(fd);
    stop();
}

static void test_talk(void **state)
{
    start((struct kp_net_options){0});
    int fd = dial();
    say(fd, "talk\n");
    expect(fd, "talk\n");
    say(fd, "x\n");
    expect(fd, "heard 0 it\nx\n");
    kp_socket_close(fd);
    stop();
}

static void test_back_pressure(void **state)
{
    start((struct kp_net_options){.out_bytes_high = 1000});
    int fd = dial();
    for (int i = 0; i < 200; i++)
        say(fd, "big 100000\n");
    sleep_us(100000);
    struct kp_net_stats stats;
    kp_net_stats(net, &stats);
    assert_true(stats.out_bytes < 200 * 100001); /* it did not make all of it at once */
    char *got = malloc(200 * 100001);
    assert_int_equal(hear(fd, got, 200 * 100001), 200 * 100001);
    say(fd, "stream 200000\n");
    sleep_us(100000);
    kp_net_stats(net, &stats);
    assert_true(stats.out_bytes < 200 * 100001 + 200000 * 65);
    assert_int_equal(hear(fd, got, 200000 * 65), 200000 * 65);
    free(got);
    expect(fd, "done\n");
    say(fd, "still\n");
    expect(fd, "still\n");
    kp_socket_close(fd);
    stop();
}

static void test_input_limit(void **state)
{
    start((struct kp_net_options){0});
    int fd = dial();
    char *text = malloc(200001);
    memset(text, 'y', 200000); /* no line end: the door cannot take it */
    text[200000] = '\0';
    for (size_t at = 0; at < 200000;) { /* it may end while we write */
        ssize_t n = kp_socket_write(fd, text + at, 200000 - at);
        if (n == KP_SOCKET_AGAIN)
            kp_socket_wait(fd, KP_POLL_WRITE, 5000000);
        else if (n < 0)
            break;
        else
            at += (size_t)n;
    }
    expect_end(fd);
    free(text);
    kp_socket_close(fd);
    stop();
}

static void test_connection_limit(void **state)
{
    start((struct kp_net_options){.connections_max = 2});
    int a = dial(), b = dial();
    say(a, "a\n");
    say(b, "b\n");
    expect(a, "a\n");
    expect(b, "b\n");
    int c = dial();
    expect(c, "full\n");
    expect_end(c);
    kp_socket_close(c);
    kp_socket_close(a);
    for (int i = 0; i < 1000 && kp_net_door_connections(net, &line_door) > 1; i++)
        sleep_us(1000);
    int d = dial();
    say(d, "d\n");
    expect(d, "d\n");
    struct kp_net_stats stats;
    kp_net_stats(net, &stats);
    assert_int_equal(stats.refused, 1);
    assert_int_equal(stats.accepted, 3);
    kp_socket_close(b);
    kp_socket_close(d);
    stop();
}

static void test_hangup(void **state)
{
    start((struct kp_net_options){0});
    int fd = dial();
    say(fd, "block 20000\n"); /* far longer than the test may take */
    sleep_us(20000);
    kp_socket_close(fd);
    for (int i = 0; i < 5000 && closes == 0; i++)
        sleep_us(1000);
    assert_int_equal(closes, 1);
    assert_true(hangups >= 1);
    fd = dial(); /* half a close: the answer still comes */
    say(fd, "hello\n");
    kp_socket_shutdown_write(fd);
    expect(fd, "hello\n");
    expect_end(fd);
    kp_socket_close(fd);
    stop();
}

static void test_gone(void **state)
{
    start((struct kp_net_options){0});
    int fd = dial();
    say(fd, "later 50\n");
    sleep_us(10000);
    /* a reset, not a close: unread bytes make it one */
    kp_socket_close(fd);
    for (int i = 0; i < 5000 && closes == 0; i++)
        sleep_us(1000);
    assert_int_equal(closes, 1);
    stop();
}

static void test_stop_waits_and_cuts(void **state)
{
    start((struct kp_net_options){0});
    int a = dial(), b = dial(), c = dial(), d = dial();
    say(a, "later 100\n");
    say(b, "block 20000\n");
    say(c, "timer 20000\n");
    say(d, "talk\n");
    expect(d, "talk\n");
    sleep_us(20000);
    stop();
    expect(a, "later\n"); /* what is due is still said */
    expect_end(a);
    expect(b, "cut\n");
    expect_end(b);
    expect_end(c);
    expect(d, "heard 11 nothing\n");
    assert_int_equal(KP_CANCELLED, 11);
    kp_socket_close(a);
    kp_socket_close(b);
    kp_socket_close(c);
    kp_socket_close(d);
}

static void test_many_jobs_few_threads(void **state)
{
    start((struct kp_net_options){.threads_max = 3, .thread_idle_us = 10000});
    int fds[40];
    for (int i = 0; i < 40; i++) {
        fds[i] = dial();
        say(fds[i], "block 2\nx\n");
    }
    for (int i = 0; i < 40; i++) {
        expect(fds[i], "slept\nx\n");
        kp_socket_close(fds[i]);
    }
    struct kp_net_stats stats;
    kp_net_stats(net, &stats);
    assert_true(stats.threads <= 3);
    assert_int_equal(stats.jobs, 40);
    for (int i = 0; i < 1000 && stats.threads; i++, sleep_us(1000))
        kp_net_stats(net, &stats);
    assert_int_equal(stats.threads, 0); /* idle threads end */
    stop();
}

static void test_addresses(void **state)
{
    struct kp_address address, other;
    struct kp_error err;
    char text[KP_ADDRESS_TEXT_BYTES];
    assert_int_equal(kp_address_parse("[::1]:4680", &address, &err), KP_OK);
    assert_string_equal(kp_address_print(&address, text), "[::1]:4680");
    assert_true(kp_address_is_loopback(&address));
    assert_int_equal(kp_address_parse(":80", &address, &err), KP_OK);
    assert_string_equal(kp_address_print(&address, text), "127.0.0.1:80");
    assert_int_equal(kp_address_parse("0.0.0.0:1", &address, &err), KP_OK);
    assert_false(kp_address_is_loopback(&address));
    const char *bad[] = {"", "x", "1.2.3.4", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:70000", "::1:80", "a:-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(kp_address_parse(bad[i], &address, &err), KP_INVALID);
    start((struct kp_net_options){0});
    struct kp_net *second;
    assert_int_equal(kp_net_create(NULL, &second, &err), KP_OK);
    assert_int_equal(kp_net_listen(second, &line_door, NULL, &bound, &other, &err), KP_BUSY);
    assert_non_null(strstr(err.hint, "port 0"));
    kp_net_destroy(second);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_talk),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_input_limit),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_hangup),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_stop_waits_and_cuts),
        cmocka_unit_test(test_many_jobs_few_threads),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
