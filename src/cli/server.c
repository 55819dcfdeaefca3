/* `kappa server`: one data folder, all doors, until SIGTERM or SIGINT. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/config.h"
#include "cli/remote.h"
#include "cli/verbs.h"
#include "serve/serve.h"

static void notice(void *arg, char level, const char *text)
{
    fprintf(stderr, "kappa: %s%s\n", level == 'E' ? "error: " : level == 'W' ? "warning: " : "", text);
}

static void print_address(const char *name, const struct kp_address *address)
{
    char text[KP_ADDRESS_TEXT_BYTES];
    if (address->port == 0)
        return;
    kp_address_print(address, text);
    printf(" %s=%s", name, text);
}

static void print_ready(const struct kp_serve *serve)
{
    struct kp_serve_bound bound;
    kp_serve_bound(serve, &bound);
    fputs("ready", stdout);
    print_address("pg", &bound.pg);
    print_address("http", &bound.http);
    print_address("kafka", &bound.kafka);
    putchar('\n');
    fflush(stdout);
}

static enum kp_code announce(const struct kp_serve *serve, const char *dir, struct kp_error *err)
{
    struct kp_serve_bound bound;
    char text[KP_ADDRESS_TEXT_BYTES];
    kp_serve_bound(serve, &bound);
    return kp_remote_announce(dir, bound.pg.port ? kp_address_print(&bound.pg, text) : NULL, err);
}

/* Waits for a signal to end, or for the instance to break: if it has, no signal makes that a clean end. */
static enum kp_code wait_for_end(struct kp_db *db, const sigset_t *signals, struct kp_error *err)
{
    struct timespec slice = {0, 200000000};
    for (bool told = false; !told;) {
        told = sigtimedwait(signals, NULL, &slice) > 0;
        KP_TRY(kp_db_health(db, err));
        KP_TRY(kp_log_health(kp_db_log(db), err)); /* a failed write or sync */
    }
    return KP_OK;
}

static enum kp_code check_descriptors(struct kp_error *err)
{
    enum { LEAST = 64 };
    uint64_t limit = kp_socket_descriptors();
    if (limit >= LEAST)
        return KP_OK;
    (void)kp_fail(err, KP_LIMIT, NULL, "this process may open %llu files, and needs %d", (unsigned long long)limit,
                  LEAST);
    return kp_error_hint(err, "Allow more, and one for each connection: `ulimit -n 1024`.");
}

static enum kp_code serve(const struct kp_config *config, const sigset_t *signals, struct kp_error *err)
{
    struct kp_db_options options = {.dir = kp_config_text(config, KP_CONFIG_DATA),
                                    .workers = (uint32_t)kp_config_int(config, KP_CONFIG_WORKERS),
                                    .memory_bytes = kp_config_int(config, KP_CONFIG_MEMORY),
                                    .step_bytes_max = (uint64_t)kp_config_int(config, KP_CONFIG_STEP_BYTES),
                                    .log_tail_bytes = (uint64_t)kp_config_int(config, KP_CONFIG_LOG_TAIL),
                                    .journal_file_bytes = (uint64_t)kp_config_int(config, KP_CONFIG_LOG_FILE),
                                    .unsealed_bytes_max = (uint64_t)kp_config_int(config, KP_CONFIG_LOG_UNSEALED),
                                    .seal_bytes = (uint64_t)kp_config_int(config, KP_CONFIG_LOG_SEAL),
                                    .extent_own_bytes = (uint64_t)kp_config_int(config, KP_CONFIG_LOG_EXTENT),
                                    .adopt_block_bytes = (uint64_t)kp_config_int(config, KP_CONFIG_LOG_ADOPT),
                                    .snapshot_bytes = (uint64_t)kp_config_int(config, KP_CONFIG_LOG_SNAPSHOT),
                                    .columns_pool_bytes = (uint64_t)kp_config_int(config, KP_CONFIG_COLUMNS_MEMORY),
                                    .columns_disk_bytes = (uint64_t)kp_config_int(config, KP_CONFIG_COLUMNS_DISK),
                                    .no_columns = kp_config_int(config, KP_CONFIG_COLUMNS_DISK) == 0,
                                    .unsafe_no_sync = kp_config_bool(config, KP_CONFIG_UNSAFE_NO_SYNC),
                                    .notice = notice};
    struct kp_error why;
    if (!kp_os_ring_use(kp_config_bool(config, KP_CONFIG_IO_URING), &why))
        notice(NULL, 'I', why.message);
    if (options.unsafe_no_sync)
        notice(NULL, 'W', "--unsafe-no-sync: a power cut loses what was acknowledged last");
    KP_TRY(check_descriptors(err));
    struct kp_db *db;
    KP_TRY(kp_db_open(&options, &db, err));
    struct kp_serve_options doors = {
        .pg = kp_config_text(config, KP_CONFIG_PG),
        .http = kp_config_text(config, KP_CONFIG_HTTP),
        .kafka = kp_config_text(config, KP_CONFIG_KAFKA),
        .net = {.connections_max = (uint32_t)kp_config_int(config, KP_CONFIG_CONNECTIONS)}};
    struct kp_serve *server = NULL;
    enum kp_code code = kp_serve_start(db, &doors, &server, err);
    if (code == KP_OK)
        code = announce(server, options.dir, err);
    if (code == KP_OK) {
        print_ready(server);
        code = wait_for_end(db, signals, err);
    }
    kp_remote_withdraw(options.dir);
    kp_db_halt(db); /* or a connection that waits for the engine would wait for its step */
    kp_serve_stop(server);
    if (code == KP_OK)
        code = kp_log_health(kp_db_log(db), err); /* what was on its way when the signal came */
    kp_db_close(db);
    return code;
}

static int run(int argc, char **argv)
{
    struct kp_config config;
    struct kp_error err;
    if (kp_config_load(&config, argc, argv, NULL, NULL, &err) != KP_OK)
        return kp_cli_usage(&kp_verb_server, &err);
    sigset_t signals; /* blocked in every thread; taken by sigtimedwait */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    enum kp_code code = serve(&config, &signals, &err);
    kp_config_finish(&config);
    return code == KP_OK ? KP_EXIT_OK : kp_cli_fail(&err);
}

const struct kp_verb kp_verb_server = {
    .name = "server",
    .usage = "[--data DIR] [--pg ADDR:PORT] [--http ADDR:PORT] [--kafka ADDR:PORT] …",
    .summary = "Serves a data folder to PostgreSQL, HTTP and Kafka clients",
    .help = "When it serves it prints one line: ready pg=… http=… kafka=…\n"
            "SIGTERM and SIGINT end it cleanly; a kill loses nothing that was acknowledged.\n",
    .settings = ~0u,
    .run = run,
};
