/*
 * Golden plans: each file of tests/sql/plans is statements, each followed by "----" and what binding it gives: the plan
 * as EXPLAIN prints it, or the error as psql would show it. CREATE statements are added to the file's catalog.
 * KAPPA_GOLDEN_WRITE=1 writes the files anew from what the code gives now: read the difference before you commit it.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sql/sql.h"

static const char *const folder = "tests/sql/plans";

static void show_error(const struct kp_error *err, struct kp_buf *out)
{
    kp_buf_printf(out, "ERROR %s", err->sqlstate);
    if (err->position)
        kp_buf_printf(out, " at %d", err->position);
    kp_buf_printf(out, ": %s\n", err->message);
    if (err->detail[0])
        kp_buf_printf(out, "DETAIL: %s\n", err->detail);
    if (err->hint[0])
        kp_buf_printf(out, "HINT: %s\n", err->hint);
}

static void print_relation(const struct kp_relation *relation, struct kp_buf *out)
{
    kp_buf_printf(out, "%s %s", kp_relation_kind_name(relation->kind), relation->name);
    for (uint32_t i = 0; i < relation->col_count - relation->hidden_count; i++) {
        kp_buf_printf(out, "%s%s ", i ? ", " : " (", relation->cols[i].name);
        kp_type_print(relation->cols[i].type, out);
        if (relation->cols[i].not_null)
            kp_buf_append_text(out, " not null");
    }
    kp_buf_append_text(out, ")");
    for (uint32_t k = 0; k < relation->key_count; k++)
        kp_buf_printf(out, "%s%s", k ? ", " : " key ", relation->cols[relation->keys[k]].name);
    if (relation->watermark_column >= 0)
        kp_buf_printf(out, " watermark %s - %lld us", relation->cols[relation->watermark_column].name,
                      (long long)relation->watermark_delay_us);
    for (uint32_t i = 0; i < relation->option_count; i++)
        kp_buf_printf(out, " %s=%s", relation->options[i].name, relation->options[i].value);
    kp_buf_append_byte(out, '\n');
    if (relation->plan)
        kp_plan_print(relation->plan->plan, out);
}

static enum kp_code run_create(const struct kp_sql_context *context, struct kp_catalog *catalog,
                               const struct kp_statement *statement, struct kp_buf *out, struct kp_error *err)
{
    static uint32_t next_id = 1;
    struct kp_relation *relation;
    KP_TRY(kp_sql_bind_create(context, statement, &relation, err));
    relation->id = next_id++;
    relation->version = 1;
    print_relation(relation, out);
    if (catalog && statement->kind == KP_STATEMENT_CREATE)
        return kp_catalog_add(catalog, relation, false, err);
    kp_relation_unref(relation);
    return KP_OK;
}

static enum kp_code run(const struct kp_sql_context *context, struct kp_catalog *catalog, struct kp_str text,
                        struct kp_arena *arena, struct kp_buf *out, struct kp_error *err)
{
    struct kp_statement *statement;
    KP_TRY(kp_sql_parse(text, arena, &statement, err));
    const struct kp_statement *inner = statement->inner ? statement->inner : statement;
    if (statement->kind == KP_STATEMENT_EXPLAIN && inner->kind == KP_STATEMENT_CREATE)
        return run_create(context, NULL, inner, out, err);
    bool alters = statement->kind == KP_STATEMENT_ALTER_SOURCE || statement->kind == KP_STATEMENT_ALTER_VIEW;
    if (statement->kind == KP_STATEMENT_CREATE || (alters && statement->alter == KP_ALTER_AS))
        return run_create(context, catalog, statement, out, err);
    if (inner->kind == KP_STATEMENT_QUERY || inner->kind == KP_STATEMENT_SUBSCRIBE) {
        struct kp_plan_root *root;
        KP_TRY(kp_sql_bind_query(context, inner, &root, err));
        kp_plan_print(root->plan, out);
        for (uint32_t i = 0; i < root->param_count; i++)
            kp_buf_printf(out, "$%u %s\n", i + 1, kp_type_info(root->param_types[i].id)->name);
        if (root->result_count != root->plan->col_count)
            kp_buf_printf(out, "shown: %u of %u\n", root->result_count, root->plan->col_count);
        kp_plan_release(root);
        return KP_OK;
    }
    if (kp_statement_writes(inner)) {
        struct kp_bound_write *write;
        KP_TRY(kp_sql_bind_write(context, inner, &write, err));
        kp_plan_print(write->root->plan, out);
        kp_bound_write_release(write);
        return KP_OK;
    }
    kp_buf_printf(out, "%s\n", statement->tag);
    return KP_OK;
}

/* One block: "statement\n----\nexpected\n\n". */
struct block {
    struct kp_str statement, expected;
};

static bool next_block(struct kp_str *rest, struct block *ret_block)
{
    while (rest->len && *rest->ptr == '\n')
        rest->ptr++, rest->len--;
    const char *end = rest->ptr + rest->len, *mark = memmem(rest->ptr, rest->len, "\n----\n", 6);
    if (!mark)
        return false;
    const char *expected = mark + 6, *stop = expected < end && *expected == '\n'
                                                 ? expected - 1
                                                 : memmem(expected, (size_t)(end - expected), "\n\n", 2);
    stop = stop ? stop + 1 : end;
    ret_block->statement = (struct kp_str){rest->ptr, (size_t)(mark - rest->ptr)};
    ret_block->expected = (struct kp_str){expected, (size_t)(stop - expected)};
    *rest = (struct kp_str){stop, (size_t)(end - stop)};
    return true;
}

static void run_file(const char *path, bool write)
{
    struct kp_buf text = {0}, all = {0};
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (size_t got; (got = fread(kp_buf_reserve(&text, 65536), 1, 65536, file)) > 0;)
        text.len += got;
    fclose(file);
    struct kp_catalog *catalog = kp_catalog_create();
    struct kp_session_settings settings = {0};
    struct kp_sql_context context = {.catalog = catalog, .settings = &settings};
    struct kp_str rest = {(const char *)text.data, text.len};
    struct block block;
    size_t wrong = 0;
    while (next_block(&rest, &block)) {
        struct kp_arena arena = {0};
        struct kp_buf out = {0};
        struct kp_error err;
        if (run(&context, catalog, block.statement, &arena, &out, &err) != KP_OK) {
            out.len = 0;
            show_error(&err, &out);
        }
        struct kp_str got = {(const char *)out.data, out.len};
        if (!kp_str_equal(got, block.expected) && !write) {
            wrong++;
            fprintf(stderr, "%s:\n%.*s\n---- expected\n%.*s---- got\n%.*s\n", path, (int)block.statement.len,
                    block.statement.ptr, (int)block.expected.len, block.expected.ptr, (int)got.len, got.ptr);
        }
        kp_buf_printf(&all, "%s%.*s\n----\n%.*s", all.len ? "\n" : "", (int)block.statement.len, block.statement.ptr,
                      (int)got.len, got.ptr);
        kp_buf_finish(&out);
        kp_arena_finish(&arena);
    }
    if (write) {
        file = fopen(path, "wb");
        assert_non_null(file);
        fwrite(all.data, 1, all.len, file);
        fclose(file);
    }
    kp_catalog_destroy(catalog);
    kp_buf_finish(&text);
    kp_buf_finish(&all);
    assert_int_equal(wrong, 0);
}

static void golden_plans(void **state)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    size_t files = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[512];
        if (!strstr(entry->d_name, ".plan"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        run_file(path, getenv("KAPPA_GOLDEN_WRITE") != NULL);
        files++;
    }
    closedir(dir);
    assert_true(files > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_plans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
