/*
 * For the tests of this folder: the door on a log alone, in a fresh folder, on a free port. Included by one file each.
 */
#ifndef KP_SERVE_KAFKA_FIXTURE_H
#define KP_SERVE_KAFKA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "log/record_batch.h"
#include "os/socket.h"
#include "serve/kafka/door.h"
#include "serve/kafka/kafka.h"

static char dir[64], broker[KP_ADDRESS_TEXT_BYTES];
static struct kp_os *the_os; /* NULL: the real one */
static struct kp_log *the_log;
static struct kp_net *net;
static struct kp_door door;
static struct kp_address bound;

static enum kp_code start_on_log(struct kp_net *of, void *host, const struct kp_address *at, void **ret_ctx,
                                 struct kp_error *err)
{
    *ret_ctx = kp_kafka_create(of, host, NULL);
    return KP_OK;
}

/* Opens the log in dir, and the door on it. snapshot_bytes: of the log's; 0: as ever. */
static void start(uint64_t snapshot_bytes)
{
    struct kp_error err;
    struct kp_address address;
    struct kp_log_options options = {
        .os = the_os ? the_os : kp_os_real(), .dir = dir, .snapshot_bytes = snapshot_bytes};
    assert_int_equal(kp_log_open(&options, &the_log, &err), KP_OK);
    assert_int_equal(kp_address_parse("127.0.0.1:0", &address, &err), KP_OK);
    assert_int_equal(kp_net_create(NULL, &net, &err), KP_OK);
    door = kp_kafka_door_with(start_on_log);
    assert_int_equal(kp_net_listen(net, &door, the_log, &address, &bound, &err), KP_OK);
    kp_net_start(net);
    kp_address_print(&bound, broker);
}

static int setup(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/kappa-kafka-XXXXXX");
    assert_non_null(mkdtemp(dir));
    start(0);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    kp_net_destroy(net);
    kp_log_close(the_log);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void create_topic(const char *name, int partitions)
{
    uint32_t id;
    struct kp_error err;
    assert_int_equal(kp_log_topic_create(the_log, name, (uint32_t)partitions, &id, &err), KP_OK);
}

#endif
