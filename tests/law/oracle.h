/*
 * For law_test.c only: PostgreSQL 15 as the oracle, in a private cluster, and answers as multisets of printed rows.
 *
 *   test ──► pipe ──► a shell that made and started the cluster: it stops and removes it when the pipe closes, however
 *                     the test ends
 *   test ──► script file ──► psql \i ──► pipe ──► test: rows, each a line; "=end" closes an answer
 *
 * A newline within a value travels as \1. Every statement goes through a function that catches errors and returns "!"
 * and the SQLSTATE instead.
 */
#ifndef KP_TESTS_LAW_ORACLE_H
#define KP_TESTS_LAW_ORACLE_H

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"

/* ---- answers ---- */

/* Rows as PostgreSQL prints records: (1,"a b",). Or the SQLSTATE. */
struct answer {
    char sqlstate[6]; /* "" if there are rows */
    char message[256];
    char **rows;
    size_t count, cap;
};

static inline void answer_add(struct answer *answer, char *row)
{
    if (answer->count == answer->cap) {
        answer->cap = answer->cap ? answer->cap * 2 : 16;
        answer->rows = kp_realloc(answer->rows, answer->cap * sizeof *answer->rows);
    }
    answer->rows[answer->count++] = row;
}

static inline void answer_finish(struct answer *answer)
{
    for (size_t i = 0; i < answer->count; i++)
        kp_free(answer->rows[i]);
    kp_free(answer->rows);
    *answer = (struct answer){0};
}

/* Field `at` of a printed record; quotes are kept. */
static inline struct kp_str record_field(const char *record, unsigned at)
{
    const char *start = record + 1;
    bool quoted = false;
    for (const char *c = start; *c; c++) {
        if (*c == '"')
            quoted = !quoted;
        if (!quoted && (*c == ',' || (*c == ')' && !c[1]))) {
            if (at == 0)
                return (struct kp_str){start, (size_t)(c - start)};
            at--;
            start = c + 1;
        }
    }
    return (struct kp_str){start, 0};
}

/* Which columns are floats, for the comparison that qsort calls. */
static uint64_t answer_floats;

static inline bool float_close(double a, double b)
{
    if (isnan(a) || isnan(b) || isinf(a) || isinf(b))
        return (isnan(a) && isnan(b)) || a == b;
    return fabs(a - b) <= 1e-9 * (1 + fmax(fabs(a), fabs(b)));
}

static inline int field_float_compare(struct kp_str a, struct kp_str b)
{
    if (!a.len || !b.len)
        return (a.len == 0) - (b.len == 0);
    char left[64], right[64];
    snprintf(left, sizeof left, "%.*s", (int)a.len, a.ptr);
    snprintf(right, sizeof right, "%.*s", (int)b.len, b.ptr);
    double x = strtod(left, NULL), y = strtod(right, NULL);
    if (isnan(x) || isnan(y)) /* as PostgreSQL orders them */
        return (isnan(x) != 0) - (isnan(y) != 0);
    return float_close(x, y) ? 0 : (x > y) - (x < y);
}

/* Exact columns first, so that floats that differ in the last bits do not decide the order. */
static inline int record_compare(const char *a, const char *b)
{
    if (!answer_floats)
        return strcmp(a, b);
    for (int floats = 0; floats < 2; floats++)
        for (unsigned i = 0; i < 64; i++) {
            struct kp_str left = record_field(a, i), right = record_field(b, i);
            if (left.ptr[0] == 0 && right.ptr[0] == 0)
                break;
            if ((int)(answer_floats >> i & 1) != floats)
                continue;
            int order = floats ? field_float_compare(left, right) : kp_str_compare(left, right);
            if (order)
                return order;
        }
    return 0;
}

static inline int record_compare_at(const void *a, const void *b)
{
    return record_compare(*(char *const *)a, *(char *const *)b);
}

/* NULL if both hold the same rows, or the same error; else what differs, the caller's to kp_free. */
static inline char *answer_difference(struct answer *expected, struct answer *got, uint64_t floats)
{
    struct kp_buf out = {0};
    if (expected->sqlstate[0] || got->sqlstate[0]) {
        if (strcmp(expected->sqlstate, got->sqlstate) == 0)
            return NULL;
        kp_buf_printf(&out, "expected %s, got %s %s", expected->sqlstate[0] ? expected->sqlstate : "rows",
                      got->sqlstate[0] ? got->sqlstate : "rows", got->message);
        return (char *)memcpy(kp_buf_reserve(&out, 1), "", 1), out.len++, (char *)out.data;
    }
    answer_floats = floats;
    if (expected->count)
        qsort(expected->rows, expected->count, sizeof *expected->rows, record_compare_at);
    if (got->count)
        qsort(got->rows, got->count, sizeof *got->rows, record_compare_at);
    size_t shown = 0;
    for (size_t i = 0, j = 0; (i < expected->count || j < got->count);) {
        int order = i == expected->count ? 1 : j == got->count ? -1 : record_compare(expected->rows[i], got->rows[j]);
        if (order == 0) {
            i++, j++;
            continue;
        }
        if (shown++ < 12)
            kp_buf_printf(&out, "%s %s\n", order < 0 ? "  missing" : "  surplus",
                          order < 0 ? expected->rows[i] : got->rows[j]);
        if (order < 0)
            i++;
        else
            j++;
    }
    if (!shown)
        return NULL;
    kp_buf_printf(&out, "  %zu rows expected, %zu got, %zu differ", expected->count, got->count, shown);
    kp_buf_append_byte(&out, 0);
    return (char *)out.data;
}

/* ---- the cluster ---- */

/* Makes a folder of its own where temporary files go. */
static inline void folder_make(char *ret_dir, size_t bytes, const char *name)
{
    const char *in = getenv("TMPDIR");
    int len = snprintf(ret_dir, bytes, "%s/kappa-%s.XXXXXX", in && *in ? in : "/tmp", name);
    if ((size_t)len >= bytes || !mkdtemp(ret_dir))
        perror(ret_dir), abort();
}

struct oracle {
    char dir[64];
    int alive;       /* the pipe whose end stops the cluster */
    FILE *to, *from; /* psql */
    pid_t keeper, psql;
    unsigned scripts;
    struct kp_buf script; /* what was not run yet */
};

static const char oracle_start[] =
    "dir=$1 bin=/usr/lib/postgresql/15/bin as=\n"
    "if [ \"$(id -u)\" = 0 ]; then chown postgres \"$dir\"; as='runuser -u postgres --'; fi\n"
    "cd \"$dir\"\n"
    "$as $bin/initdb -D \"$dir/data\" -U postgres -A trust -E UTF8 --locale=C --lc-ctype=C.UTF-8 --no-sync "
    ">\"/dev/null\" 2>&1 || exit 1\n"
    "$as $bin/pg_ctl -D \"$dir/data\" -w -t 60 -l \"$dir/log\" -o \"-k '$dir' -c listen_addresses= -c fsync=off "
    "-c synchronous_commit=off -c full_page_writes=off -c timezone=UTC -c jit=off -c autovacuum=off "
    "-c max_parallel_workers_per_gather=0 -c shared_buffers=32MB\" start >/dev/null 2>&1 || exit 1\n"
    "echo ready\n"
    "cat >/dev/null\n" /* until the test is gone */
    "$as $bin/pg_ctl -D \"$dir/data\" -m immediate stop >/dev/null 2>&1\n"
    "cd /; rm -rf \"$dir\"\n";

static const char oracle_functions[] =
    "CREATE FUNCTION law_rows(q text) RETURNS SETOF text LANGUAGE plpgsql AS $f$ BEGIN "
    "RETURN QUERY EXECUTE 'SELECT translate(law_q::text, E''\\n'', E''\\x01'') FROM (' || q || ') law_q'; "
    "EXCEPTION WHEN query_canceled OR OTHERS THEN RETURN NEXT '!' || SQLSTATE || ' ' || SQLERRM; END $f$;\n"
    "SET statement_timeout = '5s';\n"
    "CREATE FUNCTION law_returned(q text) RETURNS SETOF text LANGUAGE plpgsql AS $f$ DECLARE r record; BEGIN FOR r IN "
    "EXECUTE q LOOP RETURN NEXT translate(r::text, E'\\n', E'\\x01'); END LOOP; EXCEPTION WHEN OTHERS THEN RETURN NEXT "
    "'!' || SQLSTATE || ' ' || "
    "SQLERRM; END $f$;\n"
    "CREATE FUNCTION law_run(q text) RETURNS SETOF text LANGUAGE plpgsql AS $f$ BEGIN EXECUTE q; "
    "EXCEPTION WHEN OTHERS THEN RETURN NEXT '!' || SQLSTATE || ' ' || SQLERRM; END $f$;\n";

/* A child with pipes at its standard input and output. */
static inline pid_t child_with_pipes(char *const argv[], int *ret_to, int *ret_from)
{
    int to[2], from[2];
    if (pipe(to) || pipe(from))
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        for (int fd = 3; fd < 256; fd++)
            close(fd);
        setsid();
        execvp(argv[0], argv);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    *ret_to = to[1];
    *ret_from = from[0];
    return pid;
}

/* False: PostgreSQL 15 is not there or does not start. */
static inline bool oracle_open(struct oracle *oracle)
{
    *oracle = (struct oracle){.alive = -1};
    if (access("/usr/lib/postgresql/15/bin/initdb", X_OK))
        return false;
    folder_make(oracle->dir, sizeof oracle->dir, "law-pg");
    int from;
    char *start[] = {"sh", "-c", (char *)(uintptr_t)oracle_start, "sh", oracle->dir, NULL};
    oracle->keeper = child_with_pipes(start, &oracle->alive, &from);
    char ready[8] = "";
    ssize_t got = read(from, ready, sizeof ready - 1);
    close(from);
    if (got <= 0)
        return false;
    char *psql[] = {"psql", "-X", "-q", "-A", "-t", "-h", oracle->dir, "-U", "postgres", "-d", "postgres", NULL};
    int to;
    oracle->psql = child_with_pipes(psql, &to, &from);
    oracle->to = fdopen(to, "w");
    oracle->from = fdopen(from, "r");
    kp_buf_append_text(&oracle->script, oracle_functions);
    return true;
}

static inline void oracle_close(struct oracle *oracle)
{
    if (oracle->to)
        fclose(oracle->to);
    if (oracle->from)
        fclose(oracle->from);
    if (oracle->alive >= 0)
        close(oracle->alive);
    if (oracle->psql)
        waitpid(oracle->psql, NULL, 0);
    if (oracle->keeper)
        waitpid(oracle->keeper, NULL, 0);
    kp_buf_finish(&oracle->script);
}

/* Adds to the script, which is sent by oracle_flush; each of these makes one answer. */
static inline void oracle_run(struct oracle *oracle, const char *statements, bool returns)
{
    kp_buf_printf(&oracle->script, "SELECT %s($law$%s$law$);\n\\echo =end\n", returns ? "law_returned" : "law_run",
                  statements);
}
static inline void oracle_ask(struct oracle *oracle, const char *query)
{
    kp_buf_printf(&oracle->script, "SELECT law_rows($law$%s$law$);\n\\echo =end\n", query);
}

static inline void oracle_flush(struct oracle *oracle)
{
    if (!oracle->script.len)
        return;
    char path[96];
    snprintf(path, sizeof path, "%s/script.%u", oracle->dir, oracle->scripts++); /* psql may still read the last one */
    kp_buf_printf(&oracle->script, "\\! rm -f %s\n", path);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(oracle->script.data, 1, oracle->script.len, file) != oracle->script.len || fclose(file))
        abort();
    oracle->script.len = 0;
    fprintf(oracle->to, "\\i %s\n", path);
    fflush(oracle->to);
}

static inline void oracle_answer(struct oracle *oracle, struct answer *ret_answer)
{
    *ret_answer = (struct answer){0};
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, oracle->from)) > 0) {
        if (line[len - 1] == '\n')
            line[len - 1] = 0;
        if (strcmp(line, "=end") == 0)
            break;
        if (line[0] == '!')
            snprintf(ret_answer->sqlstate, sizeof ret_answer->sqlstate, "%.5s", line + 1),
                snprintf(ret_answer->message, sizeof ret_answer->message, "%s", line + 7);
        else
            answer_add(ret_answer, kp_strdup(line));
    }
    if (len <= 0)
        fprintf(stderr, "PostgreSQL is gone\n"), abort();
    free(line);
}

#endif
