/*
 * History columns end to end: the same answers with them and without, also when their files are gone or damaged. A
 * topic with good records, bad ones, other events, late ones and ones from far ahead is read by views that a replay
 * fills; each answer is compared with that of an instance that keeps no columns. What was trimmed or compacted away is
 * gone from columns, too; two bugs are planted to see them caught.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>

#include "db/statements_test.h"
#include "log/plant.h"
#include "log/record_batch.h"

/* ---- records ---- */

static void make_record(unsigned i, struct kp_buf *out)
{
    out->len = 0;
    if (i % 97 == 13)
        kp_buf_append_text(out, "{\"bid\": {\"auction\": \"no number\"}}");
    else if (i % 1013 == 5)
        kp_buf_append_text(out, "not JSON at all");
    else if (i % 7 == 3)
        kp_buf_printf(out, "{\"person\": {\"id\": %u, \"name\": \"person %u\"}}", i, i % 50);
    else
        kp_buf_printf(
            out,
            "{\"bid\": {\"auction\": %u, \"price\": %u.%02u, \"channel\": \"%s\", \"url\": \"https://example.com/a/"
            "quite/long/one/%u\", \"note\": %s, \"ok\": %s, \"share\": %u.5, \"at\": \"2024-01-%02u "
            "00:%02u:%02u.%03u\"}}",
            1000 + i % 37, i * 7 % 1000, i % 100, i % 3 ? "Apple" : "Google", i, i % 5 ? "\"x\"" : "null",
            i % 2 ? "true" : "false", i % 11, i % 499 == 0 ? 1 : 2, i / 600 % 60, i / 10 % 60, i % 1000);
}

static void append(struct fixture *fixture, unsigned from, unsigned to)
{
    struct kp_log *log = kp_db_log(fixture->db);
    struct kp_topic_info topic;
    struct kp_error err;
    struct kp_buf value = {0}, batch = {0};
    struct kp_record_batch_builder builder = {0};
    int64_t position = 0;
    assert_int_equal(kp_log_topic_find(log, "events", &topic, &err), KP_OK);
    for (unsigned i = from; i < to; i++) {
        make_record(i, &value);
        kp_record_batch_add(&builder, 1704067200000 + i, kp_str("key"),
                            (struct kp_str){(const char *)value.data, value.len}, (struct kp_str){NULL, 0});
        if (i % 23 && i + 1 < to)
            continue;
        batch.len = 0;
        assert_int_equal(kp_record_batch_build(&builder, i % 2 ? KP_CODEC_NONE : KP_CODEC_LZ4, &batch, &err), KP_OK);
        struct kp_log_entry entry = {
            .topic = topic.id, .partition = i % 3, .batch = batch.data, .bytes = batch.len, .trusted = true};
        assert_int_equal(kp_log_append(log, &entry, 1, &position, &err), KP_OK);
    }
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&value);
    kp_buf_finish(&batch);
    kp_session_read_after(fixture->session, position);
}

static const char declare[] =
    "CREATE TOPIC events WITH (partitions = 3);"
    "CREATE SOURCE bid (auction int, price numeric, channel text, url text, note varchar, ok boolean, share float8, "
    "at timestamp, WATERMARK FOR at AS at - INTERVAL '1 second') WITH (topic = 'events', path = 'bid', max_ahead = "
    "'none');"
    "CREATE SOURCE person (id bigint, name text) WITH (topic = 'events', path = 'person')";

static const char views[] =
    "CREATE MATERIALIZED VIEW by_auction AS SELECT auction, count(*) AS n, sum(price) AS p, max(url) AS u, min(note) "
    "AS m, "
    "bool_or(ok) AS k, sum(share) AS s FROM bid GROUP BY auction;"
    "CREATE MATERIALIZED VIEW closed AS SELECT window_start, channel, count(*) AS n FROM tumble(bid, at, INTERVAL '10 "
    "seconds') "
    "GROUP BY window_start, channel EMIT ON WINDOW CLOSE;"
    "CREATE MATERIALIZED VIEW names AS SELECT name, count(*) AS n, min(id) AS i FROM person GROUP BY name;"
    "CREATE MATERIALIZED VIEW meta AS SELECT _partition, max(_offset) AS o, min(_timestamp) AS t FROM bid GROUP BY "
    "_partition;"
    "CREATE MATERIALIZED VIEW joined AS SELECT b.auction, p.name, b.at FROM bid b JOIN person p ON p.id = b.auction * "
    "3";

static const char drop_views[] =
    "DROP MATERIALIZED VIEW by_auction; DROP MATERIALIZED VIEW closed; DROP MATERIALIZED VIEW names;"
    "DROP MATERIALIZED VIEW meta; DROP MATERIALIZED VIEW joined";

static const char *const questions[] = {
    "SELECT * FROM by_auction ORDER BY 1",
    "SELECT * FROM closed ORDER BY 1, 2",
    "SELECT * FROM names ORDER BY 1",
    "SELECT * FROM meta ORDER BY 1",
    "SELECT * FROM joined ORDER BY 1, 2, 3",
    "SELECT source, partition, \"offset\", sqlstate, reason, value FROM kappa.dead_letters ORDER BY 1, position",
    "SELECT count(*), sum(price), count(note), max(at) FROM bid WHERE auction = 1003 AND channel = 'Apple'",
    "SELECT count(*), sum(price), min(url) FROM bid WHERE at >= '2024-01-02 00:03:00' AND at < '2024-01-02 00:04:00'",
    "SELECT auction, url, at FROM bid WHERE _offset < 200 AND _partition = 1 AND note IS NOT NULL ORDER BY at, url",
    "SELECT count(*), max(at), sum(share) FROM bid WHERE url > 'https://example.com/a/quite/long/one/99'",
    "SELECT count(*), max(url), sum(10 / (auction - 1000)) FROM bid WHERE auction > 1000 AND 1000 < auction",
    "SELECT count(*), max(name), '....................' FROM person WHERE id <= 1000 AND name >= 'person 4'",
    "SELECT count(*), max(at), '....................' FROM bid WHERE url = 'https://example.com/a/quite/long/one/3001'",
    "SELECT count(*), '........................' FROM bid WHERE at < '2023-01-01' OR auction < 0"};

static void compare(struct fixture *with, struct fixture *without)
{
    struct kp_buf a = {0}, b = {0};
    for (size_t i = 0; i < KP_COUNT(questions); i++) {
        run(with, questions[i], &a);
        run(without, questions[i], &b);
        assert_true(b.len > 20);
        if (strcmp((char *)a.data, (char *)b.data) != 0)
            fail_msg("%s:\n%.2000s\n%.2000s", questions[i], (char *)a.data, (char *)b.data);
    }
    kp_buf_finish(&a);
    kp_buf_finish(&b);
}

static void shell(const char *format, const char *dir)
{
    char command[256];
    snprintf(command, sizeof command, format, dir);
    assert_int_equal(system(command), 0);
}

/* A bit of every file. */
static void flip_bits(const char *dir, uint64_t *seed)
{
    char path[512];
    snprintf(path, sizeof path, "%s/columns", dir);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        snprintf(path, sizeof path, "%s/columns/%s", dir, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r+b");
        if (!file)
            continue;
        fseek(file, 0, SEEK_END);
        long bytes = ftell(file);
        *seed = kp_hash_u64(*seed + 1);
        fseek(file, bytes ? (long)(*seed % (uint64_t)bytes) : 0, SEEK_SET);
        int byte = fgetc(file);
        fseek(file, -1, SEEK_CUR);
        fputc(byte ^ 1 << (*seed >> 60 & 7), file);
        fclose(file);
    }
    closedir(folder);
}

static struct kp_columns_totals totals_of(struct fixture *fixture)
{
    struct kp_columns_totals totals;
    kp_columns_totals(fixture->db->columns, &totals);
    return totals;
}

static void test_same_answers(void **state)
{
    struct fixture with = {.dir = "/tmp/kappa-columns-XXXXXX", .options = {.columns_chunk_rows = 500}};
    struct fixture without = {.dir = "/tmp/kappa-columns-XXXXXX", .options = {.no_columns = true}};
    assert_non_null(mkdtemp(with.dir));
    assert_non_null(mkdtemp(without.dir));
    struct fixture *both[] = {&with, &without};
    for (int i = 0; i < 2; i++) {
        open_db(both[i]);
        must(both[i], declare);
        append(both[i], 0, 6000);
        must(both[i], views); /* decoded and, in one, made into columns */
    }
    compare(&with, &without);
    assert_true(totals_of(&with).chunks_written > 20);
    assert_int_equal(totals_of(&without).chunks_written, 0);
    uint64_t hits = totals_of(&with).hits, written = totals_of(&with).chunks_written;
    must(&with, drop_views);
    must(&with, views); /* nothing is decoded again, or it would be made into columns again */
    assert_true(totals_of(&with).hits > hits);
    assert_int_equal(totals_of(&with).chunks_written, written);
    compare(&with, &without);
    hits = totals_of(&with).hits;
    for (int i = 0; i < 2; i++) {
        must(both[i], drop_views);
        append(both[i], 6000, 7000);
        must(both[i], views);
    }
    compare(&with, &without);
    assert_true(totals_of(&with).hits > hits);
    for (int i = 0; i < 2; i++) { /* restart */
        close_db(both[i]);
        open_db(both[i]);
    }
    compare(&with, &without);
    assert_true(totals_of(&with).loads > 20);
    assert_int_equal(totals_of(&with).damaged, 0);
    struct kp_buf history = {0};
    run(&with,
        "SELECT field, type, encoding, least, largest FROM kappa.history WHERE field IN ('auction', 'channel', "
        "'share') ORDER BY field",
        &history);
    assert_string_equal((char *)history.data, "auction,integer,frame,1000,1036\nchannel,text,dictionary,Apple,Google\n"
                                              "share,double precision,dictionary,null,null\n");
    run(&with,
        "SELECT topic, count(DISTINCT rows), min(chunks) > 1, sum(bytes) > 1000 FROM kappa.history GROUP BY topic",
        &history);
    assert_string_equal((char *)history.data, "events,2,t,t\n");
    kp_buf_finish(&history);
    close_db(&with);
    shell("rm -r %s/columns", with.dir);
    open_db(&with);
    compare(&with, &without);
    uint64_t seed = 1, damaged = 0;
    for (int round = 0; round < 8; round++) { /* a flipped bit in every file, each time elsewhere */
        close_db(&with);
        for (int flip = 0; flip < 5; flip++)
            flip_bits(with.dir, &seed);
        open_db(&with);
        compare(&with, &without);
        damaged += totals_of(&with).damaged;
    }
    assert_true(damaged > 0);
    must(&with, drop_views);
    must(&with, "DROP SOURCE bid; DROP SOURCE person; DROP TOPIC events");
    assert_int_equal(totals_of(&with).disk_bytes, 0);
    for (int i = 0; i < 2; i++) {
        close_db(both[i]);
        shell("rm -r %s", both[i]->dir);
    }
}

/* ---- what has gone, and bugs planted to see them caught ---- */

/* Trimmed and compacted: each behind a replay that made columns of it. */
static void let_go(struct fixture *fixture)
{
    must(fixture, "CREATE SOURCE ev (k int, v int) WITH (topic = 'ev');"
                  "CREATE TABLE item (id int PRIMARY KEY, n int) WITH (topic = 'keyed');"
                  "CREATE SOURCE raw (id int, n int) WITH (topic = 'keyed');"
                  "CREATE SOURCE calm (v int) WITH (topic = 'calm'); INSERT INTO calm SELECT g * 7919 % 1000003 FROM "
                  "generate_series(1, 3000) AS g;"
                  "INSERT INTO ev SELECT g % 7, g * 7919 % 1000003 FROM generate_series(1, 1500) AS g;"
                  "INSERT INTO item SELECT g, g FROM generate_series(1, 300) AS g;"
                  "UPDATE item SET n = n + 1; UPDATE item SET n = n * 2 WHERE id % 3 = 0;"
                  "DELETE FROM item WHERE id % 5 = 0;"
                  "CREATE MATERIALIZED VIEW of_ev AS SELECT k, sum(v) AS s FROM ev GROUP BY k;"
                  "CREATE MATERIALIZED VIEW of_raw AS SELECT count(*) AS c, sum(n) AS s, sum(id) AS i FROM raw;"
                  "DROP MATERIALIZED VIEW of_ev; DROP MATERIALIZED VIEW of_raw;"
                  "ALTER TOPIC ev DELETE BEFORE OFFSET 700;"
                  "ALTER TOPIC keyed SET (cleanup = 'compact', delete_retention = '0 seconds');"
                  "ALTER TOPIC keyed COMPACT");
}

static void what_is_left(struct fixture *fixture, struct kp_buf *out)
{
    static const char *const left[] = {"SELECT k, count(*), sum(v) FROM ev GROUP BY k ORDER BY k",
                                       "SELECT count(*), sum(n), sum(id) FROM raw",
                                       "SELECT count(*), min(v) FROM ev WHERE v < 69000",
                                       "SELECT count(*), sum(n), sum(id) FROM item",
                                       "SELECT count(*), sum(v) FROM calm",
                                       "CREATE MATERIALIZED VIEW again AS SELECT k, sum(v) AS s FROM ev GROUP BY k",
                                       "SELECT * FROM again ORDER BY k",
                                       "DROP MATERIALIZED VIEW again"};
    struct kp_buf answer = {0};
    out->len = 0;
    for (size_t i = 0; i < KP_COUNT(left); i++) {
        run(fixture, left[i], &answer);
        kp_buf_printf(out, "%s: %s\n", left[i], (char *)answer.data);
    }
    kp_buf_append_byte(out, '\0');
    kp_buf_finish(&answer);
}

/* A bit of the largest file. */
static void flip_largest(const char *dir, uint64_t *seed)
{
    char path[512], largest[512] = "";
    long most = 0;
    snprintf(path, sizeof path, "%s/columns", dir);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        struct stat status;
        snprintf(path, sizeof path, "%s/columns/%s", dir, entry->d_name);
        if (stat(path, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= most)
            continue;
        most = status.st_size;
        memcpy(largest, path, sizeof path);
    }
    closedir(folder);
    *seed = kp_hash_u64(*seed + 1);
    FILE *file = fopen(largest, "r+b");
    fseek(file, (long)(*seed % (uint64_t)most), SEEK_SET);
    int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 1 << (*seed >> 60 & 7), file);
    fclose(file);
}

/* In a process of its own, which a bug may end: what has gone, then rotten columns, are asked for. */
enum { ROUNDS = 20 };
static bool answers_alike(const char *want, enum kp_log_plant plant)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct fixture fixture = {.dir = "/tmp/kappa-columns-XXXXXX", .options = {.columns_chunk_rows = 500}};
        struct kp_buf got = {0};
        uint64_t seed = 7;
        bool alike = mkdtemp(fixture.dir);
        kp_log_planted = plant;
        if (plant != KP_PLANT_NONE)
            (void)!freopen("/dev/null", "w", stderr);
        open_db(&fixture);
        let_go(&fixture);
        for (int round = 0; round < ROUNDS && alike; round++) {
            what_is_left(&fixture, &got);
            alike = strcmp((char *)got.data, want) == 0;
            close_db(&fixture);
            if (round)
                flip_largest(fixture.dir, &seed);
            open_db(&fixture);
        }
        close_db(&fixture);
        shell("rm -r %s", fixture.dir);
        kp_buf_finish(&got);
        _exit(alike ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status == 0;
}

static void test_gone(void **state)
{
    struct fixture without = {.dir = "/tmp/kappa-columns-XXXXXX", .options = {.no_columns = true}};
    struct kp_buf want = {0};
    assert_non_null(mkdtemp(without.dir));
    open_db(&without);
    let_go(&without);
    what_is_left(&without, &want);
    close_db(&without);
    shell("rm -r %s", without.dir);
    assert_true(answers_alike((char *)want.data, KP_PLANT_NONE));
    assert_false(answers_alike((char *)want.data, KP_PLANT_COLUMNS_KEPT));
    assert_false(answers_alike((char *)want.data, KP_PLANT_COLUMN_UNCHECKED));
    kp_buf_finish(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_answers), cmocka_unit_test(test_gone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
