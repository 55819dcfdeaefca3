/* libFuzzer: any text as a script of statements, split, parsed and bound against a small catalog that they may add to.
 */
#include "sql/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void bind(const struct kp_sql_context *context, struct kp_catalog *catalog, const struct kp_statement *statement,
                 uint32_t *next_id)
{
    struct kp_error err;
    const struct kp_statement *inner = statement->inner ? statement->inner : statement;
    bool declares = inner->kind == KP_STATEMENT_CREATE ||
                    ((inner->kind == KP_STATEMENT_ALTER_VIEW || inner->kind == KP_STATEMENT_ALTER_SOURCE) &&
                     inner->alter == KP_ALTER_AS);
    if (inner->kind == KP_STATEMENT_QUERY || inner->kind == KP_STATEMENT_SUBSCRIBE) {
        struct kp_plan_root *root;
        if (kp_sql_bind_query(context, inner, &root, &err) != KP_OK)
            return;
        struct kp_buf text = {0};
        kp_plan_print(root->plan, &text);
        KP_ASSERT(kp_plan_equal(root->plan, root->plan));
        (void)kp_plan_hash(root->plan);
        kp_buf_finish(&text);
        kp_plan_release(root);
    } else if (kp_statement_writes(inner)) {
        struct kp_bound_write *write;
        if (kp_sql_bind_write(context, inner, &write, &err) == KP_OK)
            kp_bound_write_release(write);
    } else if (declares) {
        struct kp_relation *relation;
        if (kp_sql_bind_create(context, inner, &relation, &err) != KP_OK)
            return;
        relation->id = (*next_id)++;
        if (inner->kind != KP_STATEMENT_CREATE || kp_catalog_add(catalog, relation, false, &err) != KP_OK)
            kp_relation_unref(relation);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const setup[] = {
        "CREATE SOURCE s (a bigint, b text, t timestamp, n numeric, WATERMARK FOR t AS t - INTERVAL '1 s')",
        "CREATE TABLE k (id bigint PRIMARY KEY, v text, x double precision)"};
    struct kp_catalog *catalog = kp_catalog_create();
    struct kp_session_settings settings = {0};
    struct kp_sql_context context = {.catalog = catalog, .settings = &settings};
    struct kp_arena arena = {0};
    struct kp_statement *statement;
    struct kp_error err;
    uint32_t next_id = 1;
    for (size_t i = 0; i < KP_COUNT(setup); i++)
        if (kp_sql_parse(kp_str(setup[i]), &arena, &statement, &err) == KP_OK)
            bind(&context, catalog, statement, &next_id);
    struct kp_str rest = {(const char *)data, size};
    while (rest.len) {
        size_t start, len, next;
        kp_sql_split(rest, &start, &len, &next);
        KP_ASSERT(start + len <= rest.len && next <= rest.len && next > 0);
        if (kp_sql_parse((struct kp_str){rest.ptr + start, len}, &arena, &statement, &err) == KP_OK)
            bind(&context, catalog, statement, &next_id);
        rest = (struct kp_str){rest.ptr + next, rest.len - next};
    }
    kp_catalog_destroy(catalog);
    kp_arena_finish(&arena);
    return 0;
}
