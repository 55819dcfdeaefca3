/* The HTTP door without an instance: reading requests, checks, limits, order; and records cut from JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/http/http_impl.h"

static struct kp_net *net;
static struct kp_address bound;

static int setup(void **state)
{
    struct kp_error err;
    struct kp_address address = {"127.0.0.1", 0};
    assert_int_equal(kp_net_create(NULL, &net, &err), KP_OK);
    assert_int_equal(kp_net_listen(net, &kp_door_http, NULL, &address, &bound, &err), KP_OK);
    kp_net_start(net);
    return 0;
}

static int teardown(void **state)
{
    kp_net_destroy(net);
    return 0;
}

static int dial(void)
{
    int fd = -1;
    struct kp_error err;
    assert_int_equal(kp_socket_connect(&bound, 5000000, &fd, &err), KP_OK);
    return fd;
}

static void say(int fd, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = kp_socket_write(fd, text + at, len - at);
        if (n == KP_SOCKET_AGAIN)
            kp_socket_wait(fd, KP_POLL_WRITE, 5000000);
        else if (n < 0)
            break; /* refused early: the reply tells */
        else
            at += (size_t)n;
    }
}

/* All that comes until the server ends the connection; to be freed. */
static char *hear_all(int fd)
{
    struct kp_buf got = {0};
    for (;;) {
        if (!kp_socket_wait(fd, KP_POLL_READ, 10000000))
            fail_msg("the connection does not end; so far: %.*s", (int)got.len, (char *)got.data);
        ssize_t n = kp_socket_read(fd, kp_buf_reserve(&got, 4096), 4096);
        if (n == 0 || n == KP_SOCKET_FAILED)
            break;
        if (n > 0)
            got.len += (size_t)n;
    }
    kp_buf_append_byte(&got, 0);
    kp_socket_close(fd);
    return (char *)got.data;
}

static char *ask(const char *text)
{
    int fd = dial();
    say(fd, text, strlen(text));
    return hear_all(fd);
}

static void expect_status(const char *request, int status, const char *part)
{
    char *reply = ask(request);
    char want[40];
    snprintf(want, sizeof want, "HTTP/1.1 %d ", status);
    if (strncmp(reply, want, strlen(want)) != 0 || (part && !strstr(reply, part)))
        fail_msg("%s\n--- gives\n%s\n--- not %d with %s", request, reply, status, part ? part : "");
    free(reply);
}

#define HOST  "Host: localhost\r\n"
#define CLOSE "Connection: close\r\n\r\n"

static void test_page_and_routes(void **state)
{
    expect_status("GET / HTTP/1.1\r\n" HOST CLOSE, 200, "<!doctype html>");
    expect_status("GET /nothing HTTP/1.1\r\n" HOST CLOSE, 404, "\"hint\":");
    expect_status("DELETE /views/x HTTP/1.1\r\n" HOST CLOSE, 405, "Allow: GET");
    expect_status("GET /topics/x HTTP/1.1\r\n" HOST CLOSE, 405, "Allow: POST");
    expect_status("GET /a%2fb%20c?x=1 HTTP/1.1\r\n" HOST CLOSE, 404, "nothing is at /a/b c");
    expect_status("GET http://localhost/zzz HTTP/1.1\r\n" HOST CLOSE, 404, "nothing is at /zzz");
    expect_status("GET /%ff%fe HTTP/1.1\r\n" HOST CLOSE, 400, "UTF-8");
    expect_status("GET /views/v?format=%00 HTTP/1.1\r\n" HOST CLOSE, 400, "UTF-8");
    expect_status("GET /zzz HTTP/2.0\r\n" HOST CLOSE, 505, "HTTP/1.1");
    expect_status("\r\n\r\nGET /zzz HTTP/1.0\r\n\r\n", 404, "Connection: close");
    char *head = ask("HEAD / HTTP/1.1\r\n" HOST CLOSE);
    assert_non_null(strstr(head, "Content-Length: "));
    assert_null(strstr(head, "<html"));
    free(head);
}

static void test_foreign(void **state)
{
    expect_status("GET /x HTTP/1.1\r\nHost: evil.example\r\n" CLOSE, 403, "foreign host");
    expect_status("GET /x HTTP/1.1\r\nHost: 127.0.0.1.evil.example:4680\r\n" CLOSE, 403, "42501");
    expect_status("GET /x HTTP/1.1\r\nHost: localhost.evil.example\r\n" CLOSE, 403, NULL);
    expect_status("GET /x HTTP/1.1\r\nHost: 127.0.0.1:4680\r\n" CLOSE, 404, NULL);
    expect_status("GET /x HTTP/1.1\r\nHost: [::1]:4680\r\n" CLOSE, 404, NULL);
    expect_status("GET /x HTTP/1.1\r\nHost: [::1]\r\n" CLOSE, 404, NULL);
    expect_status("GET /x HTTP/1.1\r\nHost: LOCALHOST:1\r\n" CLOSE, 404, NULL);
    expect_status("GET /x HTTP/1.1\r\n" HOST "Origin: http://localhost\r\n" CLOSE, 404, NULL);
    expect_status("GET /x HTTP/1.1\r\n" HOST "Origin: http://localhost:3000\r\n" CLOSE, 403, "Origin");
    expect_status("GET /x HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n" CLOSE, 403, NULL);
    expect_status("GET /x HTTP/1.1\r\n" HOST "Origin: null\r\n" CLOSE, 403, NULL);
    expect_status("GET /x HTTP/1.1\r\n" CLOSE, 400, "no Host");
}

static void test_malformed_and_large(void **state)
{
    expect_status("hello\r\n\r\n", 400, "08P01");
    expect_status("GET /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, NULL);
    expect_status("POST /topics/t HTTP/1.1\r\n" HOST "Content-Length: 99999999999\r\n\r\n", 413, "64 MiB");
    expect_status("POST /nowhere HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, NULL);
    struct kp_buf large = {0};
    kp_buf_append_text(&large, "GET /x HTTP/1.1\r\n" HOST "X-Large: ");
    memset(kp_buf_reserve(&large, 200000), 'x', 200000);
    large.len += 200000;
    kp_buf_append_text(&large, "\r\n\r\n");
    kp_buf_append_byte(&large, 0);
    expect_status((char *)large.data, 431, NULL);
    large.len = 0;
    kp_buf_append_text(&large, "GET /x HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 101; i++)
        kp_buf_printf(&large, "X-%d: y\r\n", i);
    kp_buf_append_text(&large, CLOSE);
    kp_buf_append_byte(&large, 0);
    expect_status((char *)large.data, 431, "100 headers");
    kp_buf_finish(&large);
}

static void test_large_chunked(void **state)
{
    int fd = dial();
    static const char head[] = "POST /nowhere HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";
    say(fd, head, sizeof head - 1);
    size_t piece = 1 << 20;
    char *chunk = malloc(piece + 20);
    int n = snprintf(chunk, 20, "%zx\r\n", piece);
    memset(chunk + n, 'x', piece);
    memcpy(chunk + n + piece, "\r\n", 2);
    for (int i = 0; i < 66; i++)
        say(fd, chunk, (size_t)n + piece + 2);
    free(chunk);
    char *reply = hear_all(fd);
    assert_true(strncmp(reply, "HTTP/1.1 413 ", 13) == 0);
    free(reply);
}

static void test_pipeline(void **state)
{
    static const char text[] = "GET /a HTTP/1.1\r\n" HOST "\r\n"
                               "POST /b HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
                               "POST /c HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                               "GET /d HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
                               "GET /e HTTP/1.1\r\n" HOST CLOSE "GET /f HTTP/1.1\r\n" HOST "\r\n";
    for (size_t step = 1; step < sizeof text; step += 13) { /* cut anywhere */
        int fd = dial();
        for (size_t at = 0; at < sizeof text - 1; at += step)
            say(fd, text + at, KP_MIN(step, sizeof text - 1 - at));
        char *reply = hear_all(fd), *at = reply;
        static const char *const paths[] = {"at /a", "at /b", "at /c", "at /d", "at /e"};
        for (size_t i = 0; i < KP_COUNT(paths); i++) {
            at = strstr(at, paths[i]);
            if (!at)
                fail_msg("no reply %s in %s", paths[i], reply);
        }
        assert_null(strstr(at, "at /f"));
        free(reply);
    }
}

static void test_continue(void **state)
{
    int fd = dial();
    static const char head[] =
        "POST /x HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
    say(fd, head, sizeof head - 1);
    char got[200];
    size_t len = 0;
    while (len < 25 && kp_socket_wait(fd, KP_POLL_READ, 5000000)) {
        ssize_t n = kp_socket_read(fd, got + len, sizeof got - len);
        if (n > 0)
            len += (size_t)n;
    }
    assert_memory_equal(got, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    say(fd, "ok", 2);
    char *reply = hear_all(fd);
    assert_non_null(strstr(reply, "404"));
    free(reply);
}

/* ---- JSON ---- */

static void cut(const char *text, bool array, const char *want)
{
    struct kp_buf got = {0};
    size_t at = 0;
    for (;;) {
        struct kp_str value;
        struct kp_error err;
        bool end;
        if (kp_http_json_next(kp_str(text), &at, array, &value, &end, &err) != KP_OK) {
            kp_buf_append_text(&got, "!");
            break;
        }
        if (end)
            break;
        kp_buf_append_str(&got, value);
        kp_buf_append_byte(&got, '|');
    }
    kp_buf_append_byte(&got, 0);
    assert_string_equal((char *)got.data, want);
    kp_buf_finish(&got);
}

static void test_json_cut(void **state)
{
    cut("", false, "");
    cut(" {\"a\":1} {\"b\":[2,{}]}\n3 \"x\\\"}\" null", false, "{\"a\":1}|{\"b\":[2,{}]}|3|\"x\\\"}\"|null|");
    cut("{\"a\":1}{\"a\":2}", false, "{\"a\":1}|{\"a\":2}|");
    cut("{\"a\":1", false, "!");
    cut("{\"a\":\"1}", false, "!");
    cut("{\"a\":1]", false, "!");
    cut("]", false, "!");
    cut("1,2", false, "1|!");
    cut(" 1 , {\"a\":[1,2]},\"]\" ]", true, "1|{\"a\":[1,2]}|\"]\"|");
    cut("]", true, "");
    cut("1,]", true, "!");
    cut("1 2]", true, "!");
    cut("1,2", true, "1|2|!");
    struct kp_buf deep = {0};
    for (int i = 0; i < 100000; i++)
        kp_buf_append_byte(&deep, '[');
    kp_buf_append_byte(&deep, 0);
    cut((char *)deep.data, false, "!");
    kp_buf_finish(&deep);
}

static void member(const char *object, const char *name, const char *want)
{
    struct kp_arena arena = {0};
    struct kp_str value, text = {NULL, 0};
    bool found = kp_http_json_member(kp_str(object), kp_str(name), &value);
    if (found && !kp_http_json_text(value, &arena, &text))
        text = KP_STR("NULL");
    if (!want)
        assert_false(found);
    else
        assert_true(kp_str_equal(text, kp_str(want)));
    kp_arena_finish(&arena);
}

static void test_json_member(void **state)
{
    member("{\"a\":1,\"b\":\"x\"}", "b", "x");
    member("{\"a\":1,\"b\":\"x\"}", "a", "1");
    member("{\"a\":{\"b\":2},\"b\" : [3, 4] }", "b", "[3, 4]");
    member("{\"a\":1,\"a\":2}", "a", "2");
    member("{\"a\":null}", "a", "NULL");
    member("{\"a\":\"\\u00e9\\ud83d\\ude00\\n\\\"\\/\"}", "a", "\303\251\360\237\230\200\n\"/");
    member("{\"a\":\"\\ud83d!\\u12\"}", "a",
           "\357\277\275!\357\277\275"
           "12");
    member("{\"a\":1}", "c", NULL);
    member("[1]", "a", NULL);
    member("{\"a\"", "a", NULL);
    member("{\"a\":", "a", NULL);
    member("", "a", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_page_and_routes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_and_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_chunked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipeline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_continue, setup, teardown),
        cmocka_unit_test(test_json_cut),
        cmocka_unit_test(test_json_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
