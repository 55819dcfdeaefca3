/*
 * The Kafka door, byte by byte: what real clients (clients_test.c) would not send.
 */
#include "serve/kafka/fixture.h"

/* ---- bytes by hand ---- */

static int dial(void)
{
    struct kp_error err;
    int fd;
    assert_int_equal(kp_socket_connect(&bound, 5000000, &fd, &err), KP_OK);
    return fd;
}

static void send_all(int fd, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = kp_socket_write(fd, (const char *)bytes + at, len - at);
        if (n == KP_SOCKET_AGAIN)
            kp_socket_wait(fd, KP_POLL_WRITE, 5000000);
        else if (n < 0)
            return; /* it has hung up: what it says is read later */
        else
            at += (size_t)n;
    }
}

/* Reads len bytes; false at the end of the stream. */
static bool receive(int fd, void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = kp_socket_read(fd, (char *)bytes + at, len - at);
        if (n == 0 || n == KP_SOCKET_FAILED)
            return false;
        if (n == KP_SOCKET_AGAIN && !kp_socket_wait(fd, KP_POLL_READ, 5000000))
            fail_msg("no answer within 5 s");
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

struct call {
    struct kp_buf buf;
    struct kp_kafka_writer out;
    struct kp_kafka_reader in;
    uint8_t *answer;
};

static void call_begin(struct call *call, int16_t key, int16_t version)
{
    memset(call, 0, sizeof *call);
    call->out.out = &call->buf;
    kp_kafka_put_i32(&call->out, 0);
    kp_kafka_put_i16(&call->out, key);
    kp_kafka_put_i16(&call->out, version);
    kp_kafka_put_i32(&call->out, 77);
    kp_kafka_put_text(&call->out, "test");
}

static void call_send(struct call *call, int fd)
{
    uint32_t size = __builtin_bswap32((uint32_t)call->buf.len - 4);
    memcpy(call->buf.data, &size, 4);
    send_all(fd, call->buf.data, call->buf.len);
    kp_buf_finish(&call->buf);
}

/* False: the connection was closed instead. */
static bool call_answer(struct call *call, int fd)
{
    uint32_t size;
    if (!receive(fd, &size, 4))
        return false;
    size = __builtin_bswap32(size);
    call->answer = malloc(size);
    assert_true(receive(fd, call->answer, size));
    call->in = (struct kp_kafka_reader){.at = call->answer, .end = call->answer + size};
    assert_int_equal(kp_kafka_get_i32(&call->in), 77);
    return true;
}

static void call_end(struct call *call)
{
    assert_false(call->in.bad);
    assert_ptr_equal(call->in.at, call->in.end);
    free(call->answer);
}

static void test_versions(void **state)
{
    struct call call;
    int fd = dial();
    call_begin(&call, 18, 99); /* newer than we know, and a body that we cannot read */
    kp_buf_append_text(&call.buf, "whatever");
    call_send(&call, fd);
    assert_true(call_answer(&call, fd));
    assert_int_equal(kp_kafka_get_i16(&call.in), KP_KAFKA_UNSUPPORTED_VERSION);
    int32_t count = kp_kafka_get_array(&call.in, 6);
    size_t known;
    const struct kp_kafka_api *apis = kp_kafka_apis(&known);
    assert_int_equal(count, known);
    for (int32_t i = 0; i < count; i++) {
        assert_int_equal(kp_kafka_get_i16(&call.in), apis[i].key);
        assert_int_equal(kp_kafka_get_i16(&call.in), apis[i].version_min);
        assert_int_equal(kp_kafka_get_i16(&call.in), apis[i].version_max);
    }
    call_end(&call);
    call_begin(&call, 18, 0); /* and the connection lives on */
    call_send(&call, fd);
    assert_true(call_answer(&call, fd));
    free(call.answer);
    call_begin(&call, 0, 99); /* no other message has an answer for that */
    call_send(&call, fd);
    assert_false(call_answer(&call, fd));
    kp_socket_close(fd);
}

static void put_produce(struct call *call, int16_t version, const char *topic, const void *records, size_t len,
                        int16_t acks)
{
    call_begin(call, 0, version);
    if (version >= 3)
        kp_kafka_put_text(&call->out, NULL);
    kp_kafka_put_i16(&call->out, acks);
    kp_kafka_put_i32(&call->out, 1000);
    kp_kafka_put_array(&call->out, 1);
    kp_kafka_put_text(&call->out, topic);
    kp_kafka_put_array(&call->out, 1);
    kp_kafka_put_i32(&call->out, 0);
    kp_kafka_put_i32(&call->out, (int32_t)len);
    kp_buf_append(&call->buf, records, len);
}

/* The error; the offset too. */
static int16_t get_produce(struct call *call, int16_t version, int64_t *ret_offset)
{
    assert_int_equal(kp_kafka_get_array(&call->in, 1), 1);
    kp_kafka_get_string(&call->in);
    assert_int_equal(kp_kafka_get_array(&call->in, 1), 1);
    assert_int_equal(kp_kafka_get_i32(&call->in), 0);
    int16_t error = kp_kafka_get_i16(&call->in);
    *ret_offset = kp_kafka_get_i64(&call->in);
    if (version >= 2)
        kp_kafka_get_i64(&call->in);
    if (version >= 5)
        kp_kafka_get_i64(&call->in);
    if (version >= 1)
        kp_kafka_get_i32(&call->in);
    call_end(call);
    return error;
}

static int16_t produce_raw(int fd, int16_t version, const char *topic, const void *records, size_t len,
                           int64_t *ret_offset)
{
    struct call call;
    put_produce(&call, version, topic, records, len, 1);
    call_send(&call, fd);
    assert_true(call_answer(&call, fd));
    return get_produce(&call, version, ret_offset);
}

static void put_fetch(struct call *call, int16_t version, const char *topic, int64_t offset, int32_t wait_ms,
                      int32_t min_bytes)
{
    call_begin(call, 1, version);
    kp_kafka_put_i32(&call->out, -1);
    kp_kafka_put_i32(&call->out, wait_ms);
    kp_kafka_put_i32(&call->out, min_bytes);
    if (version >= 3)
        kp_kafka_put_i32(&call->out, 1 << 20);
    if (version >= 4)
        kp_kafka_put_i8(&call->out, 0);
    kp_kafka_put_array(&call->out, 1);
    kp_kafka_put_text(&call->out, topic);
    kp_kafka_put_array(&call->out, 1);
    kp_kafka_put_i32(&call->out, 0);
    kp_kafka_put_i64(&call->out, offset);
    kp_kafka_put_i32(&call->out, 1 << 20);
}

static struct kp_str get_fetch(struct call *call, int16_t version, int16_t *ret_error)
{
    if (version >= 1)
        kp_kafka_get_i32(&call->in);
    assert_int_equal(kp_kafka_get_array(&call->in, 1), 1);
    kp_kafka_get_string(&call->in);
    assert_int_equal(kp_kafka_get_array(&call->in, 1), 1);
    kp_kafka_get_i32(&call->in);
    *ret_error = kp_kafka_get_i16(&call->in);
    kp_kafka_get_i64(&call->in);
    if (version >= 4) {
        kp_kafka_get_i64(&call->in);
        kp_kafka_get_i32(&call->in);
    }
    return kp_kafka_get_bytes(&call->in);
}

/* A batch of one record. */
static void make_batch(struct kp_buf *out, const char *value, enum kp_codec codec)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_error err;
    kp_record_batch_add(&builder, 5000, KP_STR("key"), kp_str(value), (struct kp_str){NULL, 0});
    assert_int_equal(kp_record_batch_build(&builder, codec, out, &err), KP_OK);
    kp_record_batch_builder_finish(&builder);
}

static void fix_crc(struct kp_buf *batch)
{
    uint32_t crc = __builtin_bswap32(kp_crc32c(0, batch->data + 21, batch->len - 21));
    memcpy(batch->data + 17, &crc, 4);
}

static void test_bad_batches(void **state)
{
    create_topic("raw", 1);
    int fd = dial();
    int64_t offset;
    struct kp_buf batch = {0};
    make_batch(&batch, "hello hello hello", KP_CODEC_GZIP);
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), 0);
    assert_int_equal(offset, 0);
    batch.data[batch.len - 1] ^= 1;
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), KP_KAFKA_CORRUPT_MESSAGE);
    assert_int_equal(offset, -1);
    fix_crc(&batch); /* now it is gzip that does not unpack */
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), KP_KAFKA_INVALID_RECORD);
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, 30, &offset), KP_KAFKA_CORRUPT_MESSAGE);
    assert_int_equal(produce_raw(fd, 3, "nowhere", batch.data, batch.len, &offset),
                     KP_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    batch.len = 0;
    make_batch(&batch, "again", KP_CODEC_NONE);
    batch.data[22] |= 0x10; /* transactional */
    fix_crc(&batch);
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), KP_KAFKA_INVALID_TXN_STATE);
    batch.data[22] = 0x08; /* says the log gave the time */
    fix_crc(&batch);
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), KP_KAFKA_INVALID_TIMESTAMP);
    batch.data[22] = 0;
    fix_crc(&batch);
    assert_int_equal(produce_raw(fd, 7, "raw", batch.data, batch.len, &offset), 0);
    assert_int_equal(offset, 1);
    /* acks 0: no answer; the next one comes behind it */
    struct call call;
    put_produce(&call, 3, "raw", batch.data, batch.len, 0);
    call_send(&call, fd);
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), 0);
    assert_int_equal(offset, 3);
    kp_buf_finish(&batch);
    kp_socket_close(fd);
}

static void put_sequence(struct kp_buf *batch, int64_t producer_id, int16_t epoch, int32_t sequence)
{
    uint64_t id = __builtin_bswap64((uint64_t)producer_id);
    uint16_t e = __builtin_bswap16((uint16_t)epoch);
    uint32_t s = __builtin_bswap32((uint32_t)sequence);
    memcpy(batch->data + 43, &id, 8);
    memcpy(batch->data + 51, &e, 2);
    memcpy(batch->data + 53, &s, 4);
    fix_crc(batch);
}

static void test_sequences(void **state)
{
    create_topic("once", 1);
    int fd = dial();
    int64_t offset;
    struct kp_buf batch = {0};
    make_batch(&batch, "only once", KP_CODEC_NONE);
    for (int32_t i = 0; i < 8; i++) {
        put_sequence(&batch, 4711, 0, i);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(produce_raw(fd, 3, "once", batch.data, batch.len, &offset), 0);
            assert_int_equal(offset, i);
        }
    }
    put_sequence(&batch, 4711, 0, 9);
    assert_int_equal(produce_raw(fd, 3, "once", batch.data, batch.len, &offset), KP_KAFKA_OUT_OF_ORDER_SEQUENCE);
    put_sequence(&batch, 4711, 0, 5); /* one of the last five */
    assert_int_equal(produce_raw(fd, 3, "once", batch.data, batch.len, &offset), 0);
    assert_int_equal(offset, 5);
    put_sequence(&batch, 4711, 1, 0); /* its next life */
    assert_int_equal(produce_raw(fd, 3, "once", batch.data, batch.len, &offset), 0);
    assert_int_equal(offset, 8);
    put_sequence(&batch, 4711, 0, 8);
    assert_int_equal(produce_raw(fd, 3, "once", batch.data, batch.len, &offset), KP_KAFKA_INVALID_PRODUCER_EPOCH);
    kp_buf_finish(&batch);
    kp_socket_close(fd);
}

/* The same behind a restart: from the journal, from a snapshot, and from one with more journal behind it. */
static void test_sequences_restarted(void **state)
{
    create_topic("kept", 1);
    struct kp_buf batch = {0};
    int64_t offset, appended = 0;
    make_batch(&batch, "only once", KP_CODEC_NONE);
    for (int round = 0; round < 3; round++) {
        int fd = dial();
        for (int i = 0; i < 4; i++, appended++) {
            put_sequence(&batch, 4712, 3, (int32_t)appended);
            assert_int_equal(produce_raw(fd, 3, "kept", batch.data, batch.len, &offset), 0);
            assert_int_equal(offset, appended);
        }
        kp_socket_close(fd);
        kp_net_destroy(net);
        kp_log_close(the_log);
        char path[300];
        snprintf(path, sizeof path, "%s/snapshot", dir);
        if (round == 0) /* there is one, since a topic was made */
            assert_int_equal(unlink(path), 0);
        start(round == 0 ? 1 : UINT64_MAX); /* the second close writes a snapshot */
        struct kp_log_recovered recovered;
        kp_log_recovered(the_log, &recovered);
        assert_int_equal(recovered.snapshot, round > 0);
        fd = dial();
        for (int32_t back = 5; back > 0; back--)
            if (appended >= back) {
                put_sequence(&batch, 4712, 3, (int32_t)appended - back);
                assert_int_equal(produce_raw(fd, 3, "kept", batch.data, batch.len, &offset), 0);
                assert_int_equal(offset, appended - back);
            }
        put_sequence(&batch, 4712, 3, (int32_t)appended + 1);
        assert_int_equal(produce_raw(fd, 3, "kept", batch.data, batch.len, &offset), KP_KAFKA_OUT_OF_ORDER_SEQUENCE);
        put_sequence(&batch, 4712, 2, (int32_t)appended);
        assert_int_equal(produce_raw(fd, 3, "kept", batch.data, batch.len, &offset), KP_KAFKA_INVALID_PRODUCER_EPOCH);
        kp_socket_close(fd);
    }
    struct kp_partition_info info;
    struct kp_topic_info topic;
    assert_int_equal(kp_log_topic_find(the_log, "kept", &topic, NULL), KP_OK);
    assert_int_equal(kp_log_partition(the_log, topic.id, 0, &info, NULL), KP_OK);
    assert_int_equal(info.end_offset, appended);
    kp_buf_finish(&batch);
}

/* What old producers send, old consumers and new ones read. */
static void test_message_sets(void **state)
{
    create_topic("old", 1);
    int fd = dial();
    for (int16_t version = 0; version <= 3; version++) {
        struct kp_buf set = {0};
        struct call call;
        int64_t offset;
        int16_t error;
        /* made by the code that answers old fetches, from a batch */
        struct kp_buf batch = {0};
        make_batch(&batch, "from long ago", KP_CODEC_ZSTD);
        assert_int_equal(produce_raw(fd, 3, "old", batch.data, batch.len, &offset), 0);
        put_fetch(&call, version, "old", offset, 0, 1);
        call_send(&call, fd);
        assert_true(call_answer(&call, fd));
        struct kp_str records = get_fetch(&call, version, &error);
        assert_int_equal(error, 0);
        assert_true(records.len > 26);
        assert_int_equal(records.ptr[16], version >= 2 ? 1 : 0);
        assert_int_equal(kp_load_be64(records.ptr), offset);
        kp_buf_append(&set, records.ptr, records.len);
        call_end(&call);
        if (version < 3) {
            int64_t again;
            assert_int_equal(produce_raw(fd, version, "old", set.data, set.len, &again), 0);
            assert_int_equal(again, offset + 1);
            put_fetch(&call, 4, "old", again, 0, 1);
            call_send(&call, fd);
            assert_true(call_answer(&call, fd));
            records = get_fetch(&call, 4, &error);
            struct kp_arena arena = {0};
            struct kp_record_reader reader;
            struct kp_record record;
            struct kp_error err;
            assert_int_equal(kp_record_reader_init(&reader, (const uint8_t *)records.ptr, records.len, &arena, &err),
                             KP_OK);
            assert_true(kp_record_reader_next(&reader, &record, &err));
            assert_true(kp_str_equal(record.value, KP_STR("from long ago")));
            assert_true(kp_str_equal(record.key, KP_STR("key")));
            kp_arena_finish(&arena);
            call_end(&call);
            set.data[set.len - 1] ^= 1;
            assert_int_equal(produce_raw(fd, version, "old", set.data, set.len, &again), KP_KAFKA_CORRUPT_MESSAGE);
        }
        kp_buf_finish(&set);
        kp_buf_finish(&batch);
    }
    kp_socket_close(fd);
}

/* Fetches that wait, with other requests behind them and appends before them, answered in order. */
static void test_waiting(void **state)
{
    create_topic("wait", 1);
    struct call call, behind;
    int16_t error;
    int64_t offset, begin_ns = kp_os_real()->mono_ns(NULL);
    int fd = dial(), other = dial();
    put_fetch(&call, 4, "wait", 0, 300, 1);
    call_send(&call, fd);
    call_begin(&behind, 18, 0);
    call_send(&behind, fd);
    assert_true(call_answer(&call, fd));
    assert_int_equal(get_fetch(&call, 4, &error).len, 0);
    assert_true(kp_os_real()->mono_ns(NULL) - begin_ns >= 290000000);
    call_end(&call);
    assert_true(call_answer(&behind, fd));
    free(behind.answer);

    put_fetch(&call, 4, "wait", 0, 20000, 200); /* the first record is not enough */
    call_send(&call, fd);
    struct kp_buf batch = {0};
    make_batch(&batch, "0123456789012345678901234567890123456789", KP_CODEC_NONE);
    assert_true(batch.len < 200 && 2 * batch.len >= 200);
    assert_int_equal(produce_raw(other, 3, "wait", batch.data, batch.len, &offset), 0);
    assert_int_equal(kp_socket_wait(fd, KP_POLL_READ, 100000), 0);
    assert_int_equal(produce_raw(other, 3, "wait", batch.data, batch.len, &offset), 0);
    assert_true(call_answer(&call, fd));
    assert_int_equal(get_fetch(&call, 4, &error).len, 2 * batch.len);
    call_end(&call);

    put_fetch(&call, 4, "wait", 99, 20000, 1); /* beyond the end: an error, and no wait */
    call_send(&call, fd);
    assert_true(call_answer(&call, fd));
    get_fetch(&call, 4, &error);
    assert_int_equal(error, KP_KAFKA_OFFSET_OUT_OF_RANGE);
    call_end(&call);

    for (int i = 0; i < 50; i++) { /* many appends under way at once, and a fetch behind them */
        put_produce(&call, 3, "wait", batch.data, batch.len, -1);
        call_send(&call, fd);
    }
    put_fetch(&call, 4, "wait", 0, 0, 1);
    call_send(&call, fd);
    for (int i = 0; i < 50; i++) {
        assert_true(call_answer(&call, fd));
        assert_int_equal(get_produce(&call, 3, &offset), 0);
        assert_int_equal(offset, 2 + i);
    }
    assert_true(call_answer(&call, fd));
    free(call.answer);
    put_fetch(&call, 4, "wait", offset + 1, 20000, 1); /* who waits and goes away */
    call_send(&call, fd);
    kp_socket_close(fd);
    assert_int_equal(produce_raw(other, 3, "wait", batch.data, batch.len, &offset), 0);
    kp_socket_close(other);
    kp_buf_finish(&batch);
}

/* Nonsense closes its connection and touches no other. */
static void test_nonsense(void **state)
{
    uint64_t random = 42;
    int good = dial();
    struct call call;
    for (int i = 0; i < 300; i++) {
        int fd = dial();
        uint8_t bytes[256];
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)((random = random * 6364136223846793005u + 1) >> 56);
        uint32_t size = i % 3 == 0 ? 0x7fffffff : sizeof bytes - 4;
        size = __builtin_bswap32(size);
        memcpy(bytes, &size, 4);
        if (i % 3) {
            bytes[4] = 0;
            bytes[5] = (uint8_t[]){0, 1, 2, 3, 18, 19, 20, 22}[i % 8];
            bytes[6] = 0;
            bytes[7] = (uint8_t)(i % 5);
        }
        send_all(fd, bytes, sizeof bytes);
        kp_socket_shutdown_write(fd);
        uint8_t byte;
        while (receive(fd, &byte, 1))
            ;
        kp_socket_close(fd);
    }
    call_begin(&call, 18, 0);
    call_send(&call, good);
    assert_true(call_answer(&call, good));
    free(call.answer);
    kp_socket_close(good);
}

static void test_document(void **state)
{
    struct kp_buf page = {0};
    kp_kafka_document(&page);
    kp_buf_append_byte(&page, 0);
    size_t count;
    const struct kp_kafka_api *apis = kp_kafka_apis(&count);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(strstr((char *)page.data, apis[i].name));
        assert_true(i == 0 || apis[i].key > apis[i - 1].key);
        assert_true(apis[i].version_min == 0); /* from 0, or old librdkafka takes features away */
    }
    FILE *file = fopen("docs/KAFKA.md", "r");
    if (!file)
        fail_msg("docs/KAFKA.md is missing: `kappa help kafka` prints it");
    char *kept = calloc(1, page.len + 1);
    size_t len = fread(kept, 1, page.len, file);
    fclose(file);
    assert_int_equal(len, page.len - 1);
    assert_string_equal(kept, (char *)page.data);
    free(kept);
    kp_buf_finish(&page);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_bad_batches),
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_sequences_restarted),
        cmocka_unit_test(test_message_sets),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_nonsense),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
