/*
 * Finding the server of a data folder, and printing what it answers; the protocol is cli/pgclient.c.
 */
#include "cli/remote.h"

#include <errno.h>
#include <unistd.h>

#include "cli/pgclient.h"
#include "vec/zone.h"

struct kp_remote {
    struct kp_pgclient *client;
    enum kp_output_format format;
    struct kp_output output;
    bool open; /* a result is being printed */
    void (*notice)(void *arg, const char *severity, const struct kp_error *notice);
    void *notice_arg;
};

/* ---- the folder's file ---- */

static char *server_path(const char *dir, struct kp_buf *path)
{
    kp_buf_printf(path, "%s/server%c", dir, 0);
    return (char *)path->data;
}

enum kp_code kp_remote_announce(const char *dir, const char *pg, struct kp_error *err)
{
    struct kp_buf path = {0};
    FILE *file = fopen(server_path(dir, &path), "w");
    enum kp_code code = file ? KP_OK : kp_fail_errno(err, errno, "cannot write \"%s\"", (char *)path.data);
    if (file) {
        fprintf(file, "pg=%s\n", pg ? pg : "off");
        fclose(file);
    }
    kp_buf_finish(&path);
    return code;
}

void kp_remote_withdraw(const char *dir)
{
    struct kp_buf path = {0};
    unlink(server_path(dir, &path));
    kp_buf_finish(&path);
}

static enum kp_code read_address(const char *dir, struct kp_address *ret_address, struct kp_error *err)
{
    struct kp_buf path = {0};
    char line[256] = "";
    FILE *file = fopen(server_path(dir, &path), "r");
    if (file) {
        if (!fgets(line, sizeof line, file))
            line[0] = '\0';
        fclose(file);
    }
    kp_buf_finish(&path);
    line[strcspn(line, "\r\n")] = '\0';
    if (strncmp(line, "pg=", 3) != 0 || strcmp(line + 3, "off") == 0) {
        (void)kp_fail(err, KP_BUSY, NULL, "\"%s\" is open in another process, which serves no PostgreSQL clients", dir);
        return kp_error_hint(err, "Stop that process, or start it as `kappa server` with --pg.");
    }
    return kp_address_parse(line + 3, ret_address, err);
}

/* ---- what a query brings ---- */

static void give_notice(void *arg, const char *severity, const struct kp_error *notice)
{
    struct kp_remote *remote = arg;
    if (remote->notice)
        remote->notice(remote->notice_arg, severity, notice);
}

static void end_rows(struct kp_remote *remote)
{
    if (remote->open)
        kp_output_end(&remote->output);
    remote->open = false;
}

static enum kp_code begin_rows(void *arg, const struct kp_column *cols, uint32_t count, struct kp_error *err)
{
    struct kp_remote *remote = arg;
    const char *name = kp_pgclient_setting(remote->client, "TimeZone");
    const struct kp_zone *zone = NULL;
    struct kp_error ignored;
    if (!name || kp_zone_find(kp_str(name), &zone, &ignored) != KP_OK)
        zone = NULL;
    kp_output_begin(&remote->output, remote->format, stdout, cols, count, zone);
    remote->open = true;
    return KP_OK;
}

static enum kp_code print_row(void *arg, const struct kp_str *values, uint32_t count, struct kp_error *err)
{
    struct kp_remote *remote = arg;
    kp_output_row(&remote->output, values);
    return KP_OK;
}

static enum kp_code end_statement(void *arg, const char *tag, struct kp_error *err)
{
    struct kp_remote *remote = arg;
    if (!remote->open && *tag)
        fprintf(stderr, "%s\n", tag);
    end_rows(remote);
    return KP_OK;
}

static enum kp_code print_copy(void *arg, struct kp_str bytes, struct kp_error *err)
{
    fwrite(bytes.ptr, 1, bytes.len, stdout);
    return KP_OK;
}

static enum kp_code show(void *arg, struct kp_error *err)
{
    fflush(stdout);
    return KP_OK;
}

/* ---- the connection ---- */

enum kp_code kp_remote_open(const char *dir, struct kp_remote **ret_remote, struct kp_error *err)
{
    struct kp_remote *remote = kp_calloc(1, sizeof *remote);
    struct kp_pgclient_options options = {.application = "kappa sql", .notice = give_notice, .arg = remote};
    enum kp_code code = read_address(dir, &options.address, err);
    if (code == KP_OK)
        code = kp_pgclient_open(&options, &remote->client, err);
    if (code != KP_OK) {
        kp_free(remote);
        return code;
    }
    *ret_remote = remote;
    return KP_OK;
}

void kp_remote_close(struct kp_remote *remote)
{
    if (!remote)
        return;
    kp_pgclient_close(remote->client);
    kp_free(remote);
}

enum kp_code kp_remote_run(struct kp_remote *remote, struct kp_str statement, enum kp_output_format format,
                           void (*notice)(void *arg, const char *severity, const struct kp_error *notice), void *arg,
                           struct kp_error *err)
{
    const struct kp_pgclient_handler handler = {.arg = remote,
                                                .columns = begin_rows,
                                                .row = print_row,
                                                .complete = end_statement,
                                                .copy_out = print_copy,
                                                .idle = show};
    remote->format = format;
    remote->notice = notice;
    remote->notice_arg = arg;
    enum kp_code code = kp_pgclient_query(remote->client, statement, &handler, err);
    end_rows(remote);
    return code;
}
