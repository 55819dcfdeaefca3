/* The HTTP door on a real instance: records in, rows and changes out, SQL, metrics; bad input; order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "log/codec.h"
#include "serve/serve.h"

static char dir[64];
static struct kp_db *db;
static struct kp_serve *serve;
static struct kp_address address;

static int setup(void **state)
{
    struct kp_error err;
    strcpy(dir, "/tmp/kappa-http-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    struct kp_db_options options = {.dir = dir, .unsafe_no_sync = true, .workers = 2};
    if (kp_db_open(&options, &db, &err) != KP_OK)
        fail_msg("%s", err.message);
    struct kp_serve_options serve_options = {.http = "127.0.0.1:0"};
    if (kp_serve_start(db, &serve_options, &serve, &err) != KP_OK)
        fail_msg("%s", err.message);
    struct kp_serve_bound bound;
    kp_serve_bound(serve, &bound);
    address = bound.http;
    assert_true(kp_db_wait_ready(db, 10000000));
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    kp_serve_stop(serve);
    kp_db_close(db);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) == 0 ? 0 : -1;
}

/* ---- the client: one keep-alive connection ---- */

struct client {
    int fd;
    struct kp_buf in;
    int status;
    char *head, *body; /* of the last reply */
};

static struct client dial(void)
{
    struct client client = {.fd = -1};
    struct kp_error err;
    assert_int_equal(kp_socket_connect(&address, 5000000, &client.fd, &err), KP_OK);
    return client;
}

static void hang_up(struct client *client)
{
    kp_socket_close(client->fd);
    kp_buf_finish(&client->in);
    kp_free(client->head);
    kp_free(client->body);
}

static void say(struct client *client, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = kp_socket_write(client->fd, text + at, len - at);
        if (n == KP_SOCKET_AGAIN)
            kp_socket_wait(client->fd, KP_POLL_WRITE, 5000000);
        else if (n < 0)
            return;
        else
            at += (size_t)n;
    }
}

/* Reads more; the buffer stays terminated. False at the end. */
static bool more(struct client *client)
{
    if (!kp_socket_wait(client->fd, KP_POLL_READ, 20000000))
        fail_msg("no answer within 20 s; so far: %.*s", (int)client->in.len,
                 client->in.data ? (char *)client->in.data : "");
    ssize_t n = kp_socket_read(client->fd, kp_buf_reserve(&client->in, 65536), 65535);
    if (n == KP_SOCKET_AGAIN)
        return true;
    if (n <= 0)
        return false;
    client->in.len += (size_t)n;
    client->in.data[client->in.len] = 0;
    return true;
}

static char *find(struct client *client, const char *text)
{
    return client->in.len ? strstr((char *)client->in.data, text) : NULL;
}

static void read_chunks(struct client *client)
{
    struct kp_buf body = {0};
    for (;;) {
        char *end;
        while (!(end = find(client, "\r\n")))
            assert_true(more(client));
        size_t len = strtoul((char *)client->in.data, NULL, 16), head = (size_t)(end - (char *)client->in.data) + 2;
        while (client->in.len < head + len + 2)
            assert_true(more(client));
        kp_buf_append(&body, client->in.data + head, len);
        kp_buf_consume(&client->in, head + len + 2);
        if (client->in.len)
            client->in.data[client->in.len] = 0;
        if (!len)
            break;
    }
    kp_buf_append_byte(&body, 0);
    client->body = (char *)body.data;
}

static void read_reply(struct client *client)
{
    char *end;
    kp_free(client->head);
    kp_free(client->body);
    while (!(end = find(client, "\r\n\r\n")))
        if (!more(client))
            fail_msg("the connection ended");
    size_t head = (size_t)(end - (char *)client->in.data) + 4;
    client->head = kp_strndup((char *)client->in.data, head);
    client->status = atoi(client->head + 9);
    kp_buf_consume(&client->in, head);
    if (client->in.len)
        client->in.data[client->in.len] = 0;
    if (strstr(client->head, "Transfer-Encoding: chunked")) {
        read_chunks(client);
        return;
    }
    const char *length = strcasestr(client->head, "Content-Length: ");
    size_t len = length ? strtoul(length + 16, NULL, 10) : 0;
    while (client->in.len < len)
        assert_true(more(client));
    client->body = len ? kp_strndup((char *)client->in.data, len) : kp_strdup("");
    kp_buf_consume(&client->in, len);
    if (client->in.len)
        client->in.data[client->in.len] = 0;
}

static void send_request(struct client *client, const char *method, const char *target, const char *headers,
                         struct kp_str body)
{
    struct kp_buf text = {0};
    kp_buf_printf(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n%s\r\n", method, target, body.len,
                  headers);
    kp_buf_append_str(&text, body);
    say(client, (char *)text.data, text.len);
    kp_buf_finish(&text);
}

static const char *request(struct client *client, int status, const char *method, const char *target,
                           const char *headers, const char *body)
{
    send_request(client, method, target, headers, kp_str(body));
    read_reply(client);
    if (client->status != status)
        fail_msg("%s %s %s: %d instead of %d: %s", method, target, body, client->status, status, client->body);
    return client->body;
}

static const char *get(struct client *client, const char *target)
{
    return request(client, 200, "GET", target, "", "");
}

static const char *sql(struct client *client, const char *text)
{
    return request(client, 200, "POST", "/sql", "Content-Type: application/sql\r\n", text);
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no %s in %s", part, text);
}

static long long number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    if (!at)
        fail_msg("no %s in %s", name, text);
    return at ? atoll(at + strlen(name)) : -1;
}

/* ---- tests ---- */

static void test_records_to_rows(void **state)
{
    struct client c = dial();
    sql(&c, "CREATE SOURCE clicks (who text, n bigint, price numeric) WITH (topic = 'clicks', format = 'json');"
            "CREATE MATERIALIZED VIEW by_who AS SELECT who, count(*) AS c, sum(n) AS s, sum(price) AS p FROM clicks "
            "GROUP BY who");
    const char *reply = request(&c, 200, "POST", "/topics/clicks", "", "{\"who\":\"ann\",\"n\":1,\"price\":1.50}");
    has(reply, "\"offset\":0,\"count\":1}");
    reply = request(&c, 200, "POST", "/topics/clicks", "",
                    "[{\"who\":\"bob\",\"n\":2},\n {\"who\":\"ann\",\"n\":9007199254740993}]");
    has(reply, "\"offset\":1,\"count\":2}");
    reply = request(&c, 200, "POST", "/topics/clicks", "Content-Type: application/x-ndjson\r\n",
                    "{\"who\":\"bob\",\"n\":3}\r\n\n  \n{\"who\":\"cy\",\"n\":null}");
    has(reply, "\"offset\":3,\"count\":2}");
    char target[100];
    snprintf(target, sizeof target, "/views/by_who?who=ann&at_least=%lld", number_after(reply, "\"position\":"));
    reply = get(&c, target);
    assert_string_equal(reply, "[{\"who\":\"ann\",\"c\":2,\"s\":\"9007199254740994\",\"p\":\"1.50\"}]\n");
    assert_true(number_after(c.head, "X-Kappa-Position: ") > 0);
    reply = get(&c, "/views/by_who?format=csv&who=cy");
    assert_string_equal(reply, "who,c,s,p\r\ncy,1,,\r\n");
    reply = get(&c, "/views/by_who?format=ndjson&limit=2");
    has(strchr(reply, '\n') + 1, "{\"who\":");
    has(get(&c, "/views/public.by_who?c=2&who=bob"), "\"s\":\"5\"");
    assert_string_equal(get(&c, "/views/by_who?who=nobody"), "[]\n");
    has(get(&c, "/topics"), "{\"name\":\"clicks\",\"partitions\":1,\"records\":5,");
    has(get(&c, "/views"), "by_who");
    hang_up(&c);
}

/* Posts `body`, compressed, to the topic "packed". */
static const char *post_packed(struct client *c, int status, enum kp_codec codec, const char *encoding,
                               struct kp_str body)
{
    struct kp_buf packed = {0};
    struct kp_error err;
    char headers[100];
    assert_int_equal(kp_codec_compress(codec, (const uint8_t *)body.ptr, body.len, &packed, &err), KP_OK);
    snprintf(headers, sizeof headers, "Content-Type: application/x-ndjson\r\nContent-Encoding: %s\r\n", encoding);
    send_request(c, "POST", "/topics/packed", headers, (struct kp_str){(char *)packed.data, packed.len});
    kp_buf_finish(&packed);
    read_reply(c);
    if (c->status != status)
        fail_msg("%s: %d instead of %d: %s", encoding, c->status, status, c->body);
    return c->body;
}

/* A compressed body is what it decompresses to: never are the compressed bytes taken for records. */
static void test_compressed_bodies(void **state)
{
    struct client c = dial();
    struct kp_str two = KP_STR("{\"a\":1}\n{\"a\":2}\n");
    has(post_packed(&c, 200, KP_CODEC_GZIP, "gzip", two), "\"offset\":0,\"count\":2}");
    has(post_packed(&c, 200, KP_CODEC_ZSTD, "ZSTD", two), "\"offset\":2,\"count\":2}");
    has(post_packed(&c, 415, KP_CODEC_GZIP, "br", two), "Content-Encoding is \\\"br\\\"");
    has(post_packed(&c, 400, KP_CODEC_ZSTD, "gzip", two), "not valid gzip");
    char *zeros = kp_calloc(1, (size_t)KP_HTTP_BODY_BYTES_MAX + 1);
    has(post_packed(&c, 413, KP_CODEC_ZSTD, "zstd", (struct kp_str){zeros, (size_t)KP_HTTP_BODY_BYTES_MAX + 1}),
        "decompress");
    kp_free(zeros);
    has(request(&c, 200, "POST", "/topics/packed", "Content-Encoding: identity\r\n", "{\"a\":3}"),
        "\"offset\":4,\"count\":1}");
    has(sql(&c, "CREATE SOURCE packed (a int) WITH (topic = 'packed'); SELECT sum(a) AS s FROM packed"), "{\"s\":9}");
    hang_up(&c);
}

static void test_errors(void **state)
{
    struct client c = dial();
    sql(&c, "CREATE SOURCE clicks (who text, n integer) WITH (topic = 'clicks', format = 'json');"
            "CREATE MATERIALIZED VIEW v AS SELECT who, 10 / n AS q FROM clicks");
    has(request(&c, 404, "GET", "/views/w", "", ""), "42P01");
    has(request(&c, 400, "GET", "/views/v?nix=1", "", ""), "42703");
    has(request(&c, 400, "GET", "/views/v?q=x", "", ""), "22P02");
    has(request(&c, 400, "GET", "/views/v?limit=-1", "", ""), "22023");
    has(request(&c, 400, "GET", "/views/v?format=xml", "", ""), "json, ndjson or csv");
    has(request(&c, 400, "GET", "/views/v/events?nix=1", "", ""), "events have no parameter");
    has(request(&c, 400, "POST", "/sql", "", "SELECT nix FROM v"), "\"position\":8");
    has(request(&c, 400, "POST", "/sql", "", "SELECT 1; SELEC 2"), "\"position\":11");
    has(request(&c, 400, "POST", "/sql", "", "SELECT '\377'"), "22021");
    has(request(&c, 400, "POST", "/sql", "", "SUBSCRIBE TO v"), "events");
    has(request(&c, 400, "POST", "/topics/clicks", "", "{\"who\":\"ann\"} {\"who\":\"b"), "22P02");
    has(request(&c, 400, "POST", "/topics/clicks?key=nix", "", "{\"who\":\"ann\"}"), "no member \\\"nix\\\"");
    has(request(&c, 400, "POST", "/topics/clicks?partition=1", "", "{\"who\":\"ann\"}"), "partition");
    request(&c, 403, "POST", "/topics/__kappa_catalog", "", "{}");
    request(&c, 400, "POST", "/topics/a%20b", "", "{}");
    has(get(&c, "/topics"), "\"records\":0,"); /* nothing of these was written */
    struct kp_buf large = {0};
    kp_buf_append_text(&large, "{\"who\":\"");
    memset(kp_buf_reserve(&large, 17 << 20), 'x', 17 << 20);
    large.len += 17 << 20;
    kp_buf_append_text(&large, "\"}");
    send_request(&c, "POST", "/topics/clicks", "", (struct kp_str){(char *)large.data, large.len});
    read_reply(&c);
    assert_int_equal(c.status, 413);
    has(c.body, "the limit is 16777216");
    kp_buf_finish(&large);
    /* lines as they are: the bad ones become dead letters, the good one is a row */
    const char *reply =
        request(&c, 200, "POST", "/topics/clicks", "Content-Type: application/x-ndjson\r\n",
                "{\"who\":\"ann\",\"n\":5}\n{\"who\":\"b\n{\"who\":\"c\",\"n\":\"x\"}\n{\"who\":\"\377\",\"n\":1}");
    char target[100];
    snprintf(target, sizeof target, "/views/v?at_least=%lld", number_after(reply, "\"position\":"));
    assert_string_equal(get(&c, target), "[{\"who\":\"ann\",\"q\":2}]\n");
    has(sql(&c, "SELECT count(*) AS n FROM kappa.dead_letters"), "{\"n\":3}");
    /* a record that makes the view fail: its error, until it is gone; the connection lives */
    reply = request(&c, 200, "POST", "/topics/clicks", "", "{\"who\":\"zed\",\"n\":0}");
    snprintf(target, sizeof target, "/views/v?at_least=%lld", number_after(reply, "\"position\":"));
    reply = request(&c, 500, "GET", target, "", "");
    has(reply, "22012");
    has(reply, "\"log_position\":");
    hang_up(&c);
}

static void test_table_with_keys(void **state)
{
    struct client c = dial();
    sql(&c, "CREATE TABLE t (id text PRIMARY KEY, n integer) WITH (topic = 't', format = 'json')");
    request(&c, 200, "POST", "/topics/t?key=id", "",
            "{\"id\":\"a\",\"n\":1}{\"id\":\"b\",\"n\":2}{\"id\":\"a\",\"n\":3}");
    const char *reply = request(&c, 200, "POST", "/topics/t", "X-Kappa-Key: b\r\n", "null");
    char target[100];
    snprintf(target, sizeof target, "/views/t?at_least=%lld", number_after(reply, "\"position\":"));
    assert_string_equal(get(&c, target), "[{\"id\":\"a\",\"n\":3}]\n");
    has(sql(&c, "INSERT INTO t VALUES ('c', 7); SELECT n FROM t WHERE id = 'c'"), "{\"n\":7}");
    has(request(&c, 409, "POST", "/sql", "", "CREATE TABLE t (id text PRIMARY KEY)"), "42P07");
    has(request(&c, 400, "POST", "/sql", "", "BEGIN; INSERT INTO t VALUES ('d', 8)"), "rolled back");
    has(request(&c, 400, "POST", "/sql", "", "BEGIN"), "25000");
    has(sql(&c, "BEGIN; INSERT INTO t VALUES ('e', 9); COMMIT; SELECT count(*) FROM t WHERE id >= 'd'"),
        "{\"count\":1}");
    hang_up(&c);
}

static void test_sql(void **state)
{
    struct client c = dial();
    has(sql(&c, "SELECT 1 AS a, NULL::text AS b, 1.10 AS c"),
        "{\"results\":[\n "
        "{\"columns\":[{\"name\":\"a\",\"type\":\"integer\"},{\"name\":\"b\",\"type\":\"text\"},{\"name\":\"c\","
        "\"type\":\"numeric\"}],\"rows\":[{\"a\":1,\"b\":null,\"c\":\"1.10\"}],\"tag\":\"SELECT 1\"}\n]");
    has(request(&c, 200, "POST", "/sql", "Content-Type: application/json\r\n",
                "{\"sql\":\"SELECT $1::integer + 1 AS n, $2::text AS t\",\"params\":[41,\"x\\ny\"]}"),
        "{\"n\":42,\"t\":\"x\\ny\"}");
    has(request(&c, 400, "POST", "/sql", "Content-Type: application/json\r\n",
                "{\"sql\":\"SELECT $1::integer\",\"params\":[]}"),
        "08P01");
    has(request(&c, 200, "POST", "/sql?rows=arrays", "", "SELECT 1 AS a, 2 AS a"), "[[1,2]]");
    has(request(&c, 200, "POST", "/sql?rows=arrays", "Content-Type: application/json\r\n",
                "{\"sql\":\"SELECT $1::integer[], $2::text[], $3::jsonb, $4::text\","
                "\"params\":[[[1, null], [3,4]], \"{a,b}\", [1,{}], null]}"),
        "[[[1,null],[3,4]],[\"a\",\"b\"],[1, {}],null]]");
    static const char *const refused[][2] = {{"{\"sql\":\"SELECT 1\"} x", "22P02"},
                                             {"[[[[", "22P02"},
                                             {"{\"sql\":1}", "is not a string"},
                                             {"{\"sql\":\"SELECT '\\ud800'\"}", "22P02"},
                                             {"{\"sql\":\"SELECT '\\u0000'\"}", "22P05"},
                                             {"{\"sql\":\"SELECT 1\",\"params\":{}}", "is not an array"},
                                             {"{\"sql\":\"SELECT $1::int[]\",\"params\":[[\"x\"]]}", "22P02"},
                                             {"{\"sql\":\"SELECT $1::int\",\"params\":[[1]]}", "22P02"}};
    for (size_t i = 0; i < KP_COUNT(refused); i++)
        has(request(&c, 400, "POST", "/sql", "Content-Type: application/json\r\n", refused[i][0]), refused[i][1]);
    assert_string_equal(
        request(&c, 200, "POST", "/sql?format=csv", "", "SELECT 'a,\"b' AS t, '' AS e, NULL::text AS n"),
        "t,e,n\r\n\"a,\"\"b\",\"\",\r\n");
    assert_string_equal(sql(&c, " -- nothing\n"), "{\"results\":[]}\n");
    hang_up(&c);
}

static void await(struct client *client, const char *text)
{
    while (!find(client, text))
        if (!more(client))
            fail_msg("no %s in %s", text, (char *)client->in.data);
}

static void test_events(void **state)
{
    struct client c = dial(), s = dial();
    sql(&c, "CREATE SOURCE clicks (who text) WITH (topic = 'clicks', format = 'json');"
            "CREATE MATERIALIZED VIEW by_who AS SELECT who, count(*) AS n FROM clicks GROUP BY who");
    const char *reply = request(&c, 200, "POST", "/topics/clicks", "", "{\"who\":\"ann\"}");
    char target[100], id[40];
    long long position = number_after(reply, "\"position\":");
    snprintf(target, sizeof target, "/views/by_who?at_least=%lld", position);
    get(&c, target);
    send_request(&s, "GET", "/views/by_who/events", "", KP_STR(""));
    await(&s, "event: snapshot\nid: ");
    await(&s, "\"rows\":[{\"who\":\"ann\",\"n\":1}]}\n\n");
    reply = request(&c, 200, "POST", "/topics/clicks", "", "{\"who\":\"ann\"}");
    long long second = number_after(reply, "\"position\":");
    await(&s, "event: change\nid: ");
    await(&s, "{\"diff\":1,\"row\":{\"who\":\"ann\",\"n\":2}}");
    await(&s, "{\"diff\":-1,\"row\":{\"who\":\"ann\",\"n\":1}}");
    snprintf(id, sizeof id, "id: %lld\n", second);
    await(&s, id);
    hang_up(&s);
    /* resume: what came since, not what was known */
    reply = request(&c, 200, "POST", "/topics/clicks", "", "{\"who\":\"bob\"}");
    snprintf(target, sizeof target, "/views/by_who?at_least=%lld", number_after(reply, "\"position\":"));
    get(&c, target);
    s = dial();
    snprintf(id, sizeof id, "Last-Event-ID: %lld\r\n", second);
    send_request(&s, "GET", "/views/by_who", "Accept: text/event-stream\r\n", KP_STR(""));
    hang_up(&s);
    s = dial();
    send_request(&s, "GET", "/views/by_who/events", id, KP_STR(""));
    await(&s, "{\"diff\":1,\"row\":{\"who\":\"bob\",\"n\":1}}");
    assert_null(find(&s, "ann"));
    assert_null(find(&s, "snapshot"));
    /* the view goes: the subscriber is told, and the connection ends */
    sql(&c, "DROP MATERIALIZED VIEW by_who");
    await(&s, "event: error");
    while (more(&s))
        ;
    hang_up(&s);
    s = dial();
    has(request(&s, 404, "GET", "/views/by_who/events", "", ""), "42P01");
    hang_up(&s);
    hang_up(&c);
}

/* What a statement's answer tells is behind everything that it wrote, or ?at_least= would not wait for it. */
static void test_positions(void **state)
{
    static const char *const statements[] = {"CREATE TABLE p (id integer PRIMARY KEY, n integer)",
                                             "CREATE TABLE IF NOT EXISTS p (id integer PRIMARY KEY, n integer)",
                                             "INSERT INTO p VALUES (1, 1)",
                                             "INSERT INTO p VALUES (2, 1); UPDATE p SET n = 2 WHERE id = 1",
                                             "BEGIN; INSERT INTO p VALUES (3, 1); COMMIT",
                                             "CREATE TABLE q AS SELECT * FROM p",
                                             "CREATE MATERIALIZED VIEW r AS SELECT sum(n) AS n FROM p",
                                             "COMMENT ON TABLE p IS 'p'",
                                             "CREATE SOURCE s (n integer) WITH (topic = 's')",
                                             "INSERT INTO s VALUES (1)",
                                             "ALTER TOPIC s SET (retention = '1 day')",
                                             "ALTER TOPIC s DELETE BEFORE END",
                                             "DROP SOURCE s",
                                             "DROP TOPIC s",
                                             "SELECT n FROM r"};
    struct client c = dial();
    for (size_t i = 0; i < KP_COUNT(statements); i++) {
        long long told = number_after(sql(&c, statements[i]), "],\"position\":");
        if (told != kp_log_position(kp_db_log(db)))
            fail_msg("%s: position %lld, the log is at %lld", statements[i], told,
                     (long long)kp_log_position(kp_db_log(db)));
    }
    hang_up(&c);
}

static void test_order_and_status(void **state)
{
    struct client c = dial();
    for (int i = 0; i < 50; i++) { /* pipelined: answers in order though each waits for the log */
        char body[40];
        snprintf(body, sizeof body, "{\"i\":%d}", i);
        send_request(&c, "POST", "/topics/numbers", "", kp_str(body));
    }
    send_request(&c, "GET", "/healthz", "", KP_STR(""));
    for (int i = 0; i < 50; i++) {
        read_reply(&c);
        assert_int_equal(c.status, 200);
        assert_int_equal(number_after(c.body, "\"offset\":"), i);
    }
    read_reply(&c);
    has(c.body, "\"status\":\"ok\"");
    const char *metrics = get(&c, "/metrics");
    has(metrics, "# TYPE kappa_http_records_total counter\nkappa_http_records_total 50\n");
    has(metrics, "kappa_connections 1\n");
    /* a client that stops mid-message harms nobody */
    struct client half = dial();
    say(&half, "POST /topics/numbers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"i\":", 76);
    hang_up(&half);
    has(get(&c, "/topics"), "\"records\":50,");
    hang_up(&c);
}

static void test_long_reply(void **state)
{
    struct client c = dial();
    sql(&c, "CREATE SOURCE big (i integer) WITH (topic = 'big', format = 'json'); CREATE MATERIALIZED VIEW v AS SELECT "
            "i FROM big");
    struct kp_buf lines = {0};
    for (int i = 0; i < 50000; i++)
        kp_buf_printf(&lines, "{\"i\":%d}\n", i);
    send_request(&c, "POST", "/topics/big", "Content-Type: application/x-ndjson\r\n",
                 (struct kp_str){(char *)lines.data, lines.len});
    read_reply(&c);
    assert_int_equal(c.status, 200);
    char target[100];
    snprintf(target, sizeof target, "/views/v?format=ndjson&at_least=%lld", number_after(c.body, "\"position\":"));
    const char *rows = get(&c, target);
    has(c.head, "chunked");
    int count = 0;
    for (const char *at = rows; (at = strchr(at, '\n')); at++)
        count++;
    assert_int_equal(count, 50000);
    has(get(&c, "/healthz"), "ok"); /* and it goes on */
    kp_buf_finish(&lines);
    hang_up(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_records_to_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compressed_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_table_with_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sql, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_positions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order_and_status, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_reply, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
