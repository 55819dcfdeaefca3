/*
 * The table of types: PostgreSQL's names, OIDs and categories, and our widths. Order is enum kp_type_id's.
 *
 * Modifiers are encoded as PostgreSQL does, so that they can go to its clients as they are:
 *   varchar(n), char(n)     n + 4
 *   numeric(p, s)           ((p << 16) | (s & 0x7ff)) + 4
 *   time(p), timestamp(p)   p
 *   interval fields(p)      fields << 16 | p; p 0xffff: full, fields 0x7fff: all
 */
#include "vec/type.h"

#include "vec/made.h"

static const struct kp_type_info types[KP_TYPE_COUNT] = {
    {KP_TYPE_NONE, "unknown type", "none", 0, 0, 0, 'X', false, false},
    {KP_BOOL, "boolean", "bool", 16, 1, 1, 'B', true, false},
    {KP_INT2, "smallint", "int2", 21, 2, 2, 'N', false, false},
    {KP_INT4, "integer", "int4", 23, 4, 4, 'N', false, false},
    {KP_INT8, "bigint", "int8", 20, 8, 8, 'N', false, false},
    {KP_FLOAT4, "real", "float4", 700, 4, 4, 'N', false, false},
    {KP_FLOAT8, "double precision", "float8", 701, 8, 8, 'N', true, false},
    {KP_NUMERIC, "numeric", "numeric", 1700, -1, 16, 'N', false, false},
    {KP_TEXT, "text", "text", 25, -1, 16, 'S', true, true},
    {KP_VARCHAR, "character varying", "varchar", 1043, -1, 16, 'S', false, true},
    {KP_BPCHAR, "character", "bpchar", 1042, -1, 16, 'S', false, true},
    {KP_BYTEA, "bytea", "bytea", 17, -1, 16, 'U', false, true},
    {KP_DATE, "date", "date", 1082, 4, 4, 'D', false, false},
    {KP_TIME, "time without time zone", "time", 1083, 8, 8, 'D', false, false},
    {KP_TIMESTAMP, "timestamp without time zone", "timestamp", 1114, 8, 8, 'D', false, false},
    {KP_TIMESTAMPTZ, "timestamp with time zone", "timestamptz", 1184, 8, 8, 'D', true, false},
    {KP_INTERVAL, "interval", "interval", 1186, 16, 16, 'T', true, false},
    {KP_UUID, "uuid", "uuid", 2950, 16, 16, 'U', false, false},
    {KP_JSON, "json", "json", 114, -1, 16, 'U', false, true},
    {KP_JSONB, "jsonb", "jsonb", 3802, -1, 16, 'U', false, true},
    {KP_NAME, "name", "name", 19, 64, 16, 'S', false, true},
    {KP_OID, "oid", "oid", 26, 4, 4, 'N', true, false},
    {KP_REGCLASS, "regclass", "regclass", 2205, 4, 4, 'N', false, false},
    {KP_REGTYPE, "regtype", "regtype", 2206, 4, 4, 'N', false, false},
    {KP_REGNAMESPACE, "regnamespace", "regnamespace", 4089, 4, 4, 'N', false, false},
    {KP_REGPROC, "regproc", "regproc", 24, 4, 4, 'N', false, false},
    {KP_REGROLE, "regrole", "regrole", 4096, 4, 4, 'N', false, false},
    {KP_JSONPATH, "jsonpath", "jsonpath", 4072, -1, 16, 'U', false, true},
    {KP_TIMETZ, "time with time zone", "timetz", 1266, 12, 16, 'D', false, false},
    {KP_REGPROCEDURE, "regprocedure", "regprocedure", 2202, 4, 4, 'N', false, false},
    {KP_CHAR, "\"char\"", "char", 18, 1, 1, 'Z', false, false},
    {KP_UNKNOWN, "unknown", "unknown", 705, -2, 16, 'X', false, true},
};

#define ARRAY_OF(element, name, short_name, oid)                                                                       \
    {                                                                                                                  \
        (enum kp_type_id)(KP_ARRAY_BASE + element), name, short_name, oid, -1, 16, 'A', false, true                    \
    }
/* By element; there are none of those that are left out. */
static const struct kp_type_info arrays[KP_TYPE_COUNT] = {
    [KP_BOOL] = ARRAY_OF(KP_BOOL, "boolean[]", "_bool", 1000),
    [KP_INT2] = ARRAY_OF(KP_INT2, "smallint[]", "_int2", 1005),
    [KP_INT4] = ARRAY_OF(KP_INT4, "integer[]", "_int4", 1007),
    [KP_INT8] = ARRAY_OF(KP_INT8, "bigint[]", "_int8", 1016),
    [KP_FLOAT4] = ARRAY_OF(KP_FLOAT4, "real[]", "_float4", 1021),
    [KP_FLOAT8] = ARRAY_OF(KP_FLOAT8, "double precision[]", "_float8", 1022),
    [KP_NUMERIC] = ARRAY_OF(KP_NUMERIC, "numeric[]", "_numeric", 1231),
    [KP_TEXT] = ARRAY_OF(KP_TEXT, "text[]", "_text", 1009),
    [KP_VARCHAR] = ARRAY_OF(KP_VARCHAR, "character varying[]", "_varchar", 1015),
    [KP_BPCHAR] = ARRAY_OF(KP_BPCHAR, "character[]", "_bpchar", 1014),
    [KP_BYTEA] = ARRAY_OF(KP_BYTEA, "bytea[]", "_bytea", 1001),
    [KP_DATE] = ARRAY_OF(KP_DATE, "date[]", "_date", 1182),
    [KP_TIME] = ARRAY_OF(KP_TIME, "time without time zone[]", "_time", 1183),
    [KP_TIMESTAMP] = ARRAY_OF(KP_TIMESTAMP, "timestamp without time zone[]", "_timestamp", 1115),
    [KP_TIMESTAMPTZ] = ARRAY_OF(KP_TIMESTAMPTZ, "timestamp with time zone[]", "_timestamptz", 1185),
    [KP_INTERVAL] = ARRAY_OF(KP_INTERVAL, "interval[]", "_interval", 1187),
    [KP_UUID] = ARRAY_OF(KP_UUID, "uuid[]", "_uuid", 2951),
    [KP_JSON] = ARRAY_OF(KP_JSON, "json[]", "_json", 199),
    [KP_JSONB] = ARRAY_OF(KP_JSONB, "jsonb[]", "_jsonb", 3807),
    [KP_NAME] = ARRAY_OF(KP_NAME, "name[]", "_name", 1003),
    [KP_OID] = ARRAY_OF(KP_OID, "oid[]", "_oid", 1028),
    [KP_REGCLASS] = ARRAY_OF(KP_REGCLASS, "regclass[]", "_regclass", 2210),
    [KP_REGTYPE] = ARRAY_OF(KP_REGTYPE, "regtype[]", "_regtype", 2211),
    [KP_REGNAMESPACE] = ARRAY_OF(KP_REGNAMESPACE, "regnamespace[]", "_regnamespace", 4090),
    [KP_REGPROC] = ARRAY_OF(KP_REGPROC, "regproc[]", "_regproc", 1008),
    [KP_REGROLE] = ARRAY_OF(KP_REGROLE, "regrole[]", "_regrole", 4097),
    [KP_JSONPATH] = ARRAY_OF(KP_JSONPATH, "jsonpath[]", "_jsonpath", 4073),
    [KP_TIMETZ] = ARRAY_OF(KP_TIMETZ, "time with time zone[]", "_timetz", 1270),
    [KP_REGPROCEDURE] = ARRAY_OF(KP_REGPROCEDURE, "regprocedure[]", "_regprocedure", 2207),
    [KP_CHAR] = ARRAY_OF(KP_CHAR, "\"char\"[]", "_char", 1002),
};

static const struct kp_type_info vectors[] = {
    {KP_INT2VECTOR, "int2vector", "int2vector", 22, -1, 16, 'A', false, true},
    {KP_OIDVECTOR, "oidvector", "oidvector", 30, -1, 16, 'A', false, true},
};

/* Of signatures, from KP_ANY on. */
static const struct kp_type_info pseudo_types[] = {
    {KP_ANY, "\"any\"", "any", 2276, 4, 16, 'P', false, false},
    {KP_ANYELEMENT, "anyelement", "anyelement", 2283, 4, 16, 'P', false, false},
    {KP_ANYARRAY, "anyarray", "anyarray", 2277, -1, 16, 'P', false, false},
    {KP_ANYNONARRAY, "anynonarray", "anynonarray", 2776, 4, 16, 'P', false, false},
    {KP_ANYCOMPATIBLE, "anycompatible", "anycompatible", 5077, 4, 16, 'P', false, false},
    {KP_ANYENUM, "anyenum", "anyenum", 3500, 4, 16, 'P', false, false},
    {KP_ANYRECORD, "record", "record", 2249, -1, 16, 'P', false, true},
    {KP_ANYCOMPATIBLEARRAY, "anycompatiblearray", "anycompatiblearray", 5078, -1, 16, 'P', false, false},
};

static const struct {
    const char *name;
    enum kp_type_id id;
} aliases[] = {
    {"int", KP_INT4},
    {"char", KP_BPCHAR}, /* without quotes */
    {"decimal", KP_NUMERIC},
    {"dec", KP_NUMERIC},
    {"float", KP_FLOAT8},
    {"string", KP_TEXT},
    {"regoperator", KP_REGPROC}, /* psql's and JDBC's casts; it shows the name alone */
    {"time", KP_TIME},
    {"timestamp", KP_TIMESTAMP},
    {"timestamp without time zone", KP_TIMESTAMP},
    {"char varying", KP_VARCHAR},
};

const struct kp_type_info *kp_type_info(enum kp_type_id id)
{
    if (kp_type_is_vector(id))
        return &vectors[id == KP_OIDVECTOR];
    if (kp_type_is_array(id) && id < KP_MADE_BASE && arrays[kp_type_element(id)].name)
        return &arrays[kp_type_element(id)];
    if (id >= KP_MADE_BASE)
        return kp_type_is_array(id) ? &kp_made_of(id)->array_info : &kp_made_of(id)->info;
    if (id >= KP_ANY && id <= KP_ANYCOMPATIBLEARRAY)
        return &pseudo_types[id - KP_ANY];
    return &types[(unsigned)id < KP_TYPE_COUNT ? id : KP_TYPE_NONE];
}

enum kp_type_id kp_type_by_name(struct kp_str name)
{
    for (size_t i = 0; i < KP_COUNT(aliases); i++)
        if (kp_str_equal(name, kp_str(aliases[i].name)))
            return aliases[i].id;
    for (unsigned i = 1; i < KP_TYPE_COUNT; i++)
        if (kp_str_equal(name, kp_str(types[i].short_name)) || kp_str_equal(name, kp_str(types[i].name)))
            return types[i].id;
    for (unsigned i = 1; i < KP_TYPE_COUNT; i++)
        if (arrays[i].name &&
            (kp_str_equal(name, kp_str(arrays[i].short_name)) || kp_str_equal(name, kp_str(arrays[i].name))))
            return arrays[i].id;
    for (size_t i = 0; i < KP_COUNT(vectors); i++)
        if (kp_str_equal(name, kp_str(vectors[i].name)))
            return vectors[i].id;
    return KP_TYPE_NONE;
}

const char *kp_type_pseudo_name(uint32_t oid)
{
    for (size_t i = 0; i < KP_COUNT(pseudo_types); i++)
        if (pseudo_types[i].oid == oid)
            return pseudo_types[i].name;
    return NULL;
}

enum kp_type_id kp_type_by_oid(uint32_t oid)
{
    for (unsigned i = 1; i < KP_TYPE_COUNT; i++)
        if (types[i].oid == oid)
            return types[i].id;
        else if (arrays[i].name && arrays[i].oid == oid)
            return arrays[i].id;
    for (size_t i = 0; i < KP_COUNT(vectors); i++)
        if (vectors[i].oid == oid)
            return vectors[i].id;
    return kp_made_by_oid(oid);
}

static void print_interval_mod(int32_t mod, struct kp_buf *out)
{
    static const struct {
        int32_t fields;
        const char *name;
    } names[] = {
        {1 << 2, " year"},
        {1 << 1, " month"},
        {1 << 3, " day"},
        {1 << 10, " hour"},
        {1 << 11, " minute"},
        {1 << 12, " second"},
        {1 << 2 | 1 << 1, " year to month"},
        {1 << 3 | 1 << 10, " day to hour"},
        {1 << 3 | 1 << 10 | 1 << 11, " day to minute"},
        {1 << 3 | 1 << 10 | 1 << 11 | 1 << 12, " day to second"},
        {1 << 10 | 1 << 11, " hour to minute"},
        {1 << 10 | 1 << 11 | 1 << 12, " hour to second"},
        {1 << 11 | 1 << 12, " minute to second"},
    };
    int32_t fields = mod >> 16 & 0x7fff, precision = mod & 0xffff;
    for (size_t i = 0; i < KP_COUNT(names); i++)
        if (names[i].fields == fields)
            kp_buf_append_text(out, names[i].name);
    if (precision != 0xffff)
        kp_buf_printf(out, "(%d)", precision);
}

void kp_type_print(struct kp_type type, struct kp_buf *out)
{
    const struct kp_type_info *info = kp_type_info(type.id);
    if (kp_type_is_array(type.id) && !kp_type_is_vector(type.id)) {
        kp_type_print(kp_type_to_element(type), out);
        kp_buf_append_text(out, "[]");
        return;
    }
    if (type.mod < 0) {
        kp_buf_append_text(out, type.id == KP_BPCHAR ? "bpchar" : info->name);
        return;
    }
    switch (type.id) {
    case KP_VARCHAR:
    case KP_BPCHAR:
        kp_buf_printf(out, "%s(%d)", info->name, type.mod - 4);
        break;
    case KP_NUMERIC: {
        int32_t packed = type.mod - 4;
        kp_buf_printf(out, "numeric(%d,%d)", packed >> 16 & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024);
        break;
    }
    case KP_TIME:
        kp_buf_printf(out, "time(%d) without time zone", type.mod);
        break;
    case KP_TIMETZ:
        kp_buf_printf(out, "time(%d) with time zone", type.mod);
        break;
    case KP_TIMESTAMP:
        kp_buf_printf(out, "timestamp(%d) without time zone", type.mod);
        break;
    case KP_TIMESTAMPTZ:
        kp_buf_printf(out, "timestamp(%d) with time zone", type.mod);
        break;
    case KP_INTERVAL:
        kp_buf_append_text(out, info->name);
        print_interval_mod(type.mod, out);
        break;
    default:
        kp_buf_append_text(out, info->name);
    }
}
