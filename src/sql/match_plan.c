#include "sql/match_plan.h"

static void *copy_array(const void *array, size_t bytes, struct kp_arena *arena)
{
    void *copy = kp_arena_alloc(arena, bytes);
    if (bytes)
        memcpy(copy, array, bytes);
    return copy;
}

struct kp_plan_match *
kp_plan_match_copy(const struct kp_plan_match *match, struct kp_arena *arena,
                   struct kp_expr *(*replace)(const struct kp_expr *expr, struct kp_arena *arena, void *arg), void *arg)
{
    struct kp_plan_match *copy = copy_array(match, sizeof *match, arena);
    copy->partitions = copy_array(match->partitions, match->partition_count * sizeof(uint32_t), arena);
    copy->keys = copy_array(match->keys, match->key_count * sizeof *match->keys, arena);
    copy->variables = copy_array(match->variables, match->variable_count * sizeof *match->variables, arena);
    copy->defines = copy_array(match->defines, match->variable_count * sizeof *match->defines, arena);
    for (uint32_t i = 0; i < match->variable_count; i++) {
        copy->variables[i] = kp_arena_strdup(arena, match->variables[i]);
        copy->defines[i] = kp_expr_copy(match->defines[i], arena, replace, arg);
    }
    copy->navs = copy_array(match->navs, match->nav_count * sizeof *match->navs, arena);
    for (uint32_t i = 0; i < match->nav_count; i++) {
        struct kp_plan_agg *agg = &copy->navs[i].agg;
        agg->args = copy_array(agg->args, agg->arg_count * sizeof *agg->args, arena);
        for (uint32_t k = 0; k < agg->arg_count; k++)
            agg->args[k] = kp_expr_copy(agg->args[k], arena, replace, arg);
        agg->filter = kp_expr_copy(agg->filter, arena, replace, arg);
    }
    copy->ops = copy_array(match->ops, match->op_count * sizeof *match->ops, arena);
    copy->shown = copy_array(match->shown, match->shown_count * sizeof(uint32_t), arena);
    copy->measures = copy_array(match->measures, match->measure_count * sizeof *match->measures, arena);
    for (uint32_t i = 0; i < match->measure_count; i++)
        copy->measures[i] = kp_expr_copy(match->measures[i], arena, replace, arg);
    return copy;
}

bool kp_match_nav_equal(const struct kp_match_nav *a, const struct kp_match_nav *b)
{
    return a->kind == b->kind && a->variables == b->variables && a->first == b->first && a->final == b->final &&
           a->offset == b->offset && a->shift == b->shift && a->column == b->column &&
           kp_type_equal(a->type, b->type) && (a->kind != KP_NAV_AGGREGATE || kp_plan_agg_equal(&a->agg, &b->agg));
}

static bool numbers_equal(const uint32_t *a, const uint32_t *b, uint32_t count)
{
    return count == 0 || memcmp(a, b, count * sizeof *a) == 0;
}

static bool expressions_equal(const struct kp_plan_match *a, const struct kp_plan_match *b)
{
    for (uint32_t i = 0; i < a->variable_count; i++)
        if (strcmp(a->variables[i], b->variables[i]) != 0 || !a->defines[i] != !b->defines[i] ||
            (a->defines[i] && !kp_expr_equal(a->defines[i], b->defines[i])))
            return false;
    for (uint32_t i = 0; i < a->measure_count; i++)
        if (!kp_expr_equal(a->measures[i], b->measures[i]))
            return false;
    for (uint32_t i = 0; i < a->nav_count; i++)
        if (!kp_match_nav_equal(&a->navs[i], &b->navs[i]))
            return false;
    return true;
}

bool kp_plan_match_equal(const struct kp_plan_match *a, const struct kp_plan_match *b)
{
    if (a->partition_count != b->partition_count || a->order_count != b->order_count || a->key_count != b->key_count ||
        a->variable_count != b->variable_count || a->nav_count != b->nav_count || a->op_count != b->op_count ||
        a->skip != b->skip || a->skip_variables != b->skip_variables || a->all_rows != b->all_rows ||
        a->within != b->within || a->frees != b->frees || a->lateness_us != b->lateness_us ||
        a->shown_count != b->shown_count || a->measure_count != b->measure_count)
        return false;
    for (uint32_t i = 0; i < a->key_count; i++) {
        const struct kp_sort_key *x = &a->keys[i], *y = &b->keys[i];
        if (x->column != y->column || x->descending != y->descending || x->nulls_first != y->nulls_first)
            return false;
    }
    for (uint32_t i = 0; i < a->op_count; i++)
        if (a->ops[i].code != b->ops[i].code || a->ops[i].a != b->ops[i].a || a->ops[i].b != b->ops[i].b)
            return false;
    return numbers_equal(a->partitions, b->partitions, a->partition_count) &&
           numbers_equal(a->shown, b->shown, a->shown_count) && expressions_equal(a, b);
}

void kp_plan_match_each_column(struct kp_plan_match *match, void (*visit)(uint32_t *column, void *arg), void *arg)
{
    for (uint32_t i = 0; i < match->partition_count; i++)
        visit(&match->partitions[i], arg);
    for (uint32_t i = 0; i < match->key_count; i++)
        visit(&match->keys[i].column, arg);
    for (uint32_t i = 0; i < match->shown_count; i++)
        visit(&match->shown[i], arg);
    for (uint32_t i = 0; i < match->nav_count; i++)
        if (match->navs[i].kind == KP_NAV_COLUMN)
            visit(&match->navs[i].column, arg);
}

/* ---- EXPLAIN ---- */

static void print_variables(const struct kp_plan_match *match, uint64_t variables, struct kp_buf *out)
{
    const char *separator = "";
    for (uint32_t v = 0; v < match->variable_count; v++) {
        if (!(variables >> v & 1))
            continue;
        kp_buf_printf(out, "%s%s", separator, match->variables[v]);
        separator = "|";
    }
}

static bool is_all(const struct kp_plan_match *match, uint64_t variables)
{
    return variables == UINT64_MAX >> (KP_MATCH_VARIABLES_MAX - match->variable_count);
}

static const char *nav_name(const struct kp_plan *plan, const struct kp_match_nav *nav, struct kp_arena *arena)
{
    const struct kp_plan_match *match = plan->match;
    struct kp_buf text = {0};
    if (nav->kind == KP_NAV_NUMBER)
        return "MATCH_NUMBER()";
    if (nav->shift)
        kp_buf_append_text(&text, nav->shift < 0 ? "PREV(" : "NEXT(");
    if (nav->final)
        kp_buf_append_text(&text, "FINAL ");
    if (nav->kind == KP_NAV_AGGREGATE)
        kp_buf_printf(&text, "%s(", nav->agg.agg->name);
    else
        kp_buf_append_text(&text, nav->first ? "FIRST(" : "LAST(");
    if (!is_all(match, nav->variables)) {
        print_variables(match, nav->variables, &text);
        kp_buf_append_byte(&text, '.');
    }
    if (nav->kind == KP_NAV_COLUMN)
        kp_buf_append_text(&text, plan->inputs[0]->cols[nav->column].name);
    else if (nav->kind == KP_NAV_AGGREGATE && nav->agg.arg_count)
        kp_expr_print(nav->agg.args[0], plan->inputs[0]->cols, &text);
    else
        kp_buf_append_text(&text, nav->kind == KP_NAV_CLASSIFIER ? "CLASSIFIER()" : "*");
    if (nav->offset)
        kp_buf_printf(&text, ", %u", nav->offset);
    kp_buf_append_byte(&text, ')');
    if (nav->shift)
        kp_buf_printf(&text, ", %d)", nav->shift < 0 ? -nav->shift : nav->shift);
    const char *name = kp_arena_strndup(arena, (const char *)text.data, text.len);
    kp_buf_finish(&text);
    return name;
}

void kp_plan_match_print(const struct kp_plan *plan, struct kp_buf *out)
{
    static const char *const skips[] = {"past last row", "to next row", "to first ", "to last "};
    const struct kp_plan_match *match = plan->match;
    const struct kp_column *in = plan->inputs[0]->cols;
    struct kp_arena arena = {0};
    struct kp_column *navs = kp_arena_calloc(&arena, (match->nav_count + 1) * sizeof *navs);
    for (uint32_t i = 0; i < match->nav_count; i++)
        navs[i].name = nav_name(plan, &match->navs[i], &arena);
    kp_buf_append_text(out, match->all_rows ? "Match all rows:" : "Match:");
    for (uint32_t i = 0; i < match->partition_count; i++)
        kp_buf_printf(out, "%s %s", i ? "," : " partition by", in[match->partitions[i]].name);
    for (uint32_t i = 0; i < match->order_count; i++)
        kp_buf_printf(out, "%s %s%s", i ? "," : " order by", in[match->keys[i].column].name,
                      match->keys[i].descending ? " DESC" : "");
    kp_buf_printf(out, " skip %s", skips[match->skip]);
    print_variables(match, match->skip_variables, out);
    for (uint32_t v = 0; v < match->variable_count; v++) {
        kp_buf_printf(out, "%s %s", v ? "," : " define", match->variables[v]);
        if (match->defines[v]) {
            kp_buf_append_text(out, " as ");
            kp_expr_print(match->defines[v], navs, out);
        }
    }
    for (uint32_t i = 0; i < match->measure_count; i++) {
        kp_buf_append_text(out, i ? ", " : " measures ");
        kp_expr_print(match->measures[i], navs, out);
    }
    if (match->frees) {
        struct kp_interval kept = {.us = match->within + match->lateness_us};
        kp_buf_append_text(out, "  [state: rows until the watermark is '");
        kp_value_print(KP_TYPE(KP_INTERVAL), &kept, NULL, out);
        kp_buf_printf(out, "' past %s]", in[match->keys[0].column].name);
    } else {
        kp_buf_append_text(out, "  [state: all rows]");
    }
    kp_arena_finish(&arena);
}
