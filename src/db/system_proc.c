/* pg_catalog: functions, aggregates, operators and casts, from the registry of vec/. */
#include "db/system.h"
#include "sql/describe.h"

static bool is_shown(const struct kp_func *func)
{
    return func->kind == KP_FUNC_FUNCTION && strncmp(func->name, "kp_", 3) != 0; /* kp_…: of the binder's own */
}

bool kp_system_function(uint32_t n, struct kp_system_function *ret_function)
{
    size_t count;
    const struct kp_func_family *const *families = kp_func_families(&count);
    for (size_t f = 0; f < count; f++)
        for (size_t i = 0; i < families[f]->count; i++) {
            const struct kp_func *func = &families[f]->funcs[i];
            if (!is_shown(func) || n-- > 0)
                continue;
            *ret_function = (struct kp_system_function){func->name, func->doc,   func->args, func->arg_count,
                                                        func->ret,  func->flags, false};
            return true;
        }
    const struct kp_agg *const *aggs = kp_agg_all(&count);
    if (n >= count)
        return false;
    *ret_function = (struct kp_system_function){
        aggs[n]->name, aggs[n]->doc, aggs[n]->args, aggs[n]->arg_count, aggs[n]->ret, 0, true};
    return true;
}

static uint32_t type_oid(enum kp_type_id id)
{
    return kp_type_info(id)->oid;
}

/* A function that a statement made; its number is the catalog's. */
static void put_own(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *object)
{
    struct kp_sql_context context;
    struct kp_function_facts facts;
    struct kp_error ignored;
    char letter[2] = {0};
    kp_session_context(session, &context);
    if (kp_sql_describe_function(&context, object, rows->arena, &facts, &ignored) != KP_OK)
        return; /* what it was made with is no more as it was: a call would say so */
    letter[0] = facts.volatility;
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", object->id);
    kp_system_set_text(rows, "proname", facts.name);
    kp_system_set_int(rows, "pronamespace", KP_OID_PUBLIC);
    kp_system_set_int(rows, "proowner", KP_OID_OWNER);
    kp_system_set_int(rows, "prolang", KP_OID_SQL);
    kp_system_set_int(rows, "procost", 100);
    kp_system_set_int(rows, "prorows", facts.set ? 1000 : 0);
    kp_system_set_int(rows, "provariadic", facts.variadic_oid);
    kp_system_set_text(rows, "prokind", "f");
    kp_system_set_int(rows, "proisstrict", facts.strict);
    kp_system_set_int(rows, "proretset", facts.set);
    kp_system_set_text(rows, "provolatile", letter);
    kp_system_set_text(rows, "proparallel", "u");
    kp_system_set_int(rows, "pronargs", facts.arg_count);
    kp_system_set_int(rows, "pronargdefaults", facts.default_count);
    kp_system_set_int(rows, "prorettype", facts.result_oid);
    kp_system_set_text(rows, "proargtypes", facts.arg_oids);
    kp_system_set_text(rows, "prosrc", facts.body ? facts.body : "");
}

static void put_own_functions(struct kp_session *session, struct kp_system_rows *rows)
{
    struct kp_catalog *catalog = session->db->catalog;
    kp_catalog_read(catalog);
    for (size_t i = 0; i < kp_catalog_count(catalog); i++)
        if (kp_catalog_at(catalog, i)->kind == KP_RELATION_FUNCTION)
            put_own(session, rows, kp_catalog_at(catalog, i));
    kp_catalog_unlock(catalog);
}

static enum kp_code fill_proc(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_system_function function;
    struct kp_buf types = {0};
    for (uint32_t n = 0; kp_system_function(n, &function); n++) {
        types.len = 0;
        for (uint32_t i = 0; i < function.arg_count; i++)
            kp_buf_printf(&types, "%s%u", i ? " " : "", type_oid(function.args[i]));
        kp_system_row(rows);
        kp_system_set_int(rows, "oid", KP_OID_FUNCTIONS + n);
        kp_system_set_text(rows, "proname", function.name);
        kp_system_set_int(rows, "pronamespace", KP_OID_PG_CATALOG);
        kp_system_set_int(rows, "proowner", KP_OID_OWNER);
        kp_system_set_int(rows, "prolang", KP_OID_LANGUAGE);
        kp_system_set_int(rows, "procost", 1);
        kp_system_set_text(rows, "prokind", function.aggregate ? "a" : "f");
        kp_system_set_int(rows, "proisstrict", (function.flags & KP_STRICT) != 0);
        kp_system_set_text(rows, "provolatile",
                           function.flags & KP_VOLATILE ? "v"
                           : function.flags & KP_STABLE ? "s"
                                                        : "i");
        kp_system_set_text(rows, "proparallel", "s");
        kp_system_set_int(rows, "pronargs", function.arg_count);
        kp_system_set_int(rows, "prorettype", type_oid(function.ret));
        kp_system_set_buf(rows, "proargtypes", &types);
        kp_system_set_text(rows, "prosrc", function.name);
    }
    kp_buf_finish(&types);
    put_own_functions(session, rows);
    return KP_OK;
}

static enum kp_code fill_aggregate(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_system_function function;
    for (uint32_t n = 0; kp_system_function(n, &function); n++) {
        if (!function.aggregate)
            continue;
        kp_system_row(rows);
        kp_system_set_int(rows, "aggfnoid", KP_OID_FUNCTIONS + n);
        kp_system_set_text(rows, "aggkind", "n");
    }
    return KP_OK;
}

static enum kp_code fill_language(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", KP_OID_LANGUAGE);
    kp_system_set_text(rows, "lanname", "internal");
    kp_system_set_int(rows, "lanowner", KP_OID_OWNER);
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", KP_OID_SQL);
    kp_system_set_text(rows, "lanname", "sql");
    kp_system_set_int(rows, "lanowner", KP_OID_OWNER);
    kp_system_set_int(rows, "lanpltrusted", 1);
    return KP_OK;
}

/* Calls put for every function of a kind, with a number that stays the same as long as the program does. */
static void each_of_kind(struct kp_system_rows *rows, enum kp_func_kind kind,
                         void (*put)(struct kp_system_rows *rows, const struct kp_func *func, uint32_t number))
{
    size_t count;
    uint32_t number = 0;
    const struct kp_func_family *const *families = kp_func_families(&count);
    for (size_t f = 0; f < count; f++)
        for (size_t i = 0; i < families[f]->count; i++)
            if (families[f]->funcs[i].kind == kind)
                put(rows, &families[f]->funcs[i], KP_OID_FUNCTIONS + number++);
}

static void put_operator(struct kp_system_rows *rows, const struct kp_func *func, uint32_t number)
{
    bool binary = func->arg_count == 2;
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", number);
    kp_system_set_text(rows, "oprname", func->name);
    kp_system_set_int(rows, "oprnamespace", KP_OID_PG_CATALOG);
    kp_system_set_int(rows, "oprowner", KP_OID_OWNER);
    kp_system_set_text(rows, "oprkind", binary ? "b" : "l");
    kp_system_set_int(rows, "oprleft", binary ? type_oid(func->args[0]) : 0);
    kp_system_set_int(rows, "oprright", type_oid(func->args[binary]));
    kp_system_set_int(rows, "oprresult", type_oid(func->ret));
}

static enum kp_code fill_operator(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    each_of_kind(rows, KP_FUNC_OPERATOR, put_operator);
    return KP_OK;
}

static void put_cast(struct kp_system_rows *rows, const struct kp_func *func, uint32_t number)
{
    if (func->args[0] == func->ret)
        return; /* of a length */
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", number);
    kp_system_set_int(rows, "castsource", type_oid(func->args[0]));
    kp_system_set_int(rows, "casttarget", type_oid(func->ret));
    kp_system_set_text(rows, "castcontext",
                       func->flags & KP_CAST_IMPLICIT     ? "i"
                       : func->flags & KP_CAST_ASSIGNMENT ? "a"
                                                          : "e");
    kp_system_set_text(rows, "castmethod", "b");
}

static enum kp_code fill_cast(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    each_of_kind(rows, KP_FUNC_CAST, put_cast);
    return KP_OK;
}

const struct kp_system_table kp_system_proc[] = {
    {.schema = "pg_catalog",
     .name = "pg_aggregate",
     .spec =
         "aggfnoid oid, aggkind char, aggnumdirectargs int2, aggtransfn oid, aggfinalfn oid, aggcombinefn oid, "
         "aggserialfn oid, aggdeserialfn oid, aggmtransfn oid, aggminvtransfn oid, aggmfinalfn oid, aggfinalextra "
         "bool, aggmfinalextra bool, aggfinalmodify char, aggmfinalmodify char, aggsortop oid, aggtranstype oid, "
         "aggtransspace int4, aggmtranstype oid, aggmtransspace int4, agginitval text never, aggminitval text never",
     .key = "aggfnoid",
     .fill = fill_aggregate},
    {.schema = "pg_catalog",
     .name = "pg_cast",
     .spec = "oid oid, castsource oid, casttarget oid, castfunc oid, castcontext char, castmethod char",
     .key = "oid",
     .fill = fill_cast},
    {.schema = "pg_catalog",
     .name = "pg_language",
     .spec = "oid oid, lanname name, lanowner oid, lanispl bool, lanpltrusted bool, lanplcallfoid oid, laninline oid, "
             "lanvalidator oid, lanacl _text never",
     .key = "oid",
     .fill = fill_language},
    {.schema = "pg_catalog",
     .name = "pg_operator",
     .spec =
         "oid oid, oprname name, oprnamespace oid, oprowner oid, oprkind char, oprcanmerge bool, oprcanhash bool, "
         "oprleft oid, oprright oid, oprresult oid, oprcom oid, oprnegate oid, oprcode oid, oprrest oid, oprjoin oid",
     .key = "oid",
     .fill = fill_operator},
    {.schema = "pg_catalog",
     .name = "pg_proc",
     .spec = "oid oid, proname name, pronamespace oid, proowner oid, prolang oid, procost float4, prorows float4, "
             "provariadic oid, prosupport oid, prokind char, prosecdef bool, proleakproof bool, proisstrict bool, "
             "proretset bool, provolatile char, proparallel char, pronargs int2, pronargdefaults int2, prorettype oid, "
             "proargtypes oidvector, proallargtypes _oid never, proargmodes _char never, proargnames _text never, "
             "proargdefaults text never, protrftypes _oid never, prosrc text, probin text never, prosqlbody text "
             "never, proconfig _text never, proacl _text never",
     .key = "oid",
     .fill = fill_proc},
};
const size_t kp_system_proc_count = KP_COUNT(kp_system_proc);
