/*
 * For tests only: two instances that get the same writes and must answer alike, though something is done to one of
 * them. Each test is one file, so what is here is its own.
 */
#ifndef KP_DB_SIDES_H
#define KP_DB_SIDES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "kappa.h"

static uint64_t seed;       /* of draw() */
static int64_t answered_at; /* position of the last answer */

static inline uint32_t draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

struct side {
    char dir[64];
    struct kp_instance *kappa;
};

static inline void side_open(struct side *side, bool unsafe_no_sync)
{
    struct kp_failure failure;
    struct kp_instance_options options = {.workers = 1 + draw(2), .unsafe_no_sync = unsafe_no_sync};
    if (!kp_instance_open(side->dir, &options, &side->kappa, &failure))
        fail_msg("%s", failure.message);
}

static inline void run(struct side *side, const char *sql)
{
    struct kp_failure failure;
    if (!kp_instance_run(side->kappa, sql, NULL, &failure))
        fail_msg("%s: %s", sql, failure.message);
}

static inline int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All rows, sorted, in one text; the caller's to free. */
static inline char *answer(struct side *side, const char *sql)
{
    struct kp_rows *rows;
    struct kp_failure failure;
    if (!kp_instance_run(side->kappa, sql, &rows, &failure))
        fail_msg("%s: %s", sql, failure.message);
    char **lines = NULL;
    size_t count = 0, total = 1;
    while (kp_rows_next(rows, &failure)) {
        struct kp_buf line = {0};
        for (uint32_t c = 0; c < kp_rows_columns(rows); c++) {
            const char *value = kp_rows_text(rows, c);
            kp_buf_printf(&line, "%s|", value ? value : "null");
        }
        kp_buf_append(&line, "\n", 2);
        lines = realloc(lines, (count + 1) * sizeof *lines);
        lines[count++] = strdup((char *)line.data);
        total += line.len;
        kp_buf_finish(&line);
    }
    assert_string_equal(failure.message, "");
    answered_at = kp_rows_position(rows);
    kp_rows_close(rows);
    if (count)
        qsort(lines, count, sizeof *lines, compare_lines);
    char *all = calloc(1, total);
    for (size_t i = 0, at = 0; i < count; i++) {
        at += (size_t)sprintf(all + at, "%s", lines[i]);
        free(lines[i]);
    }
    free(lines);
    return all;
}

#endif
