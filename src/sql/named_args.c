/*
 * The arguments of a call: by their places, then by their names (f(a, x => 1)), then defaults.
 *
 * Built-in functions have the names and defaults that PostgreSQL documents, for those where people use them.
 */
#include "sql/bind.h"
#include "sql/object.h"

enum { NAMED_MAX = KP_FUNCTION_ARGS_MAX };

static const struct named {
    const char *function;
    const char *names[NAMED_MAX];
    const char *defaults[NAMED_MAX]; /* literals; NULL: must be given */
    bool whole;                      /* what is not given at the end is filled too: there is one form only */
} named[] = {
    {"make_interval",
     {"years", "months", "weeks", "days", "hours", "mins", "secs"},
     {"0", "0", "0", "0", "0", "0", "0.0"},
     true},
    {"make_date", {"year", "month", "day"}, {NULL}, false},
    {"make_time", {"hour", "min", "sec"}, {NULL}, false},
    {"make_timestamp", {"year", "month", "mday", "hour", "min", "sec"}, {NULL}, false},
    {"make_timestamptz", {"year", "month", "mday", "hour", "min", "sec", "timezone"}, {NULL}, false},
    {"parse_ident", {"str", "strict"}, {NULL, "true"}, false},
    {"jsonb_set", {"jsonb_in", "path", "replacement", "create_if_missing"}, {NULL}, false},
    {"jsonb_set_lax",
     {"jsonb_in", "path", "replacement", "create_if_missing", "null_value_treatment"},
     {NULL, NULL, NULL, "true", "use_json_null"},
     true},
    {"jsonb_insert", {"jsonb_in", "path", "replacement", "insert_after"}, {NULL}, false},
    {"json_populate_record", {"base", "from_json"}, {NULL}, false},
    {"jsonb_path_exists", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}, false},
    {"jsonb_path_match", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}, false},
    {"jsonb_path_query", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}, false},
    {"jsonb_path_query_array", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}, false},
    {"jsonb_path_query_first", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}, false},
};

static const struct named *find(const char *function)
{
    for (size_t i = 0; i < KP_COUNT(named); i++)
        if (strcmp(named[i].function, function) == 0)
            return &named[i];
    return NULL;
}

/* The place of a name; NAMED_MAX: there is none. */
static uint32_t place_of(const struct named *builtin, const char *name)
{
    for (uint32_t i = 0; builtin && i < NAMED_MAX && builtin->names[i]; i++)
        if (strcmp(builtin->names[i], name) == 0)
            return i;
    return NAMED_MAX;
}

static struct kp_expr *literal(struct binder *binder, const char *text)
{
    struct kp_expr *expr = kp_bind_text(binder, text);
    expr->type = expr->datum.type = KP_TYPE(KP_UNKNOWN);
    return expr;
}

static enum kp_code fill(struct binder *binder, const struct named *builtin, const char *function, int32_t location,
                         struct kp_expr **args, uint32_t *count)
{
    uint32_t wanted = *count;
    while (builtin && builtin->whole && wanted < NAMED_MAX && builtin->names[wanted])
        wanted++;
    for (uint32_t i = 0; i < wanted; i++) {
        if (args[i])
            continue;
        if (!builtin || !builtin->defaults[i])
            return kp_bind_fail(binder, location, KP_NOT_FOUND, "42883",
                                "function %s does not exist with these arguments: argument %u is missing", function,
                                i + 1);
        args[i] = literal(binder, builtin->defaults[i]);
    }
    *count = wanted;
    return KP_OK;
}

enum kp_code kp_bind_call_args(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                               const char *name, struct kp_expr ***ret_args, uint32_t *ret_count)
{
    struct kp_expr **args = kp_arena_calloc(binder->arena, (call->n_args + NAMED_MAX + 1) * sizeof *args);
    const struct named *builtin = find(name);
    uint32_t count = 0;
    bool by_name = false;
    for (size_t i = 0; i < call->n_args; i++) {
        const PgQuery__Node *node = call->args[i];
        if (node->node_case != PG_QUERY__NODE__NODE_NAMED_ARG_EXPR) {
            if (by_name)
                return kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, "42601",
                                    "positional argument cannot follow named argument");
            KP_TRY(kp_bind_expr(binder, place, node, &args[count++]));
            continue;
        }
        const PgQuery__NamedArgExpr *argument = node->named_arg_expr;
        uint32_t at = place_of(builtin, argument->name);
        by_name = true;
        if (at >= NAMED_MAX)
            return kp_bind_fail(binder, argument->location, KP_NOT_FOUND, "42883",
                                "function %s does not exist with an argument named \"%s\"", name, argument->name);
        if (args[at])
            return kp_bind_fail(binder, argument->location, KP_INVALID, "42601",
                                "argument name \"%s\" used more than once", argument->name);
        KP_TRY(kp_bind_expr(binder, place, argument->arg, &args[at]));
        count = KP_MAX(count, at + 1);
    }
    KP_TRY(fill(binder, builtin, name, call->location, args, &count));
    *ret_args = args;
    *ret_count = count;
    return KP_OK;
}
