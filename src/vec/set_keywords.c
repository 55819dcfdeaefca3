/*
 * pg_get_keywords: PostgreSQL 15's words and what they may name. JDBC asks for them (DatabaseMetaData.getSQLKeywords).
 * The table says what `SELECT * FROM pg_get_keywords()` says there.
 */
#include "vec/fn.h"
#include "vec/set.h"

/* Words parted by blanks, by category and by whether they may name a column without AS. */
static const struct {
    char category;
    bool bare;
    const char *words;
} groups[] = {
    {'C', true,
     "between bigint bit boolean coalesce dec decimal exists extract float greatest grouping inout int "
     "integer interval least national nchar none normalize nullif numeric out overlay position real row "
     "setof smallint substring time timestamp treat trim values varchar xmlattributes xmlconcat xmlelement "
     "xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable"},
    {'C', false, "char character precision"},
    {'R', true,
     "all analyse analyze and any asc asymmetric both case cast check collate column constraint "
     "current_catalog current_date current_role current_time current_timestamp current_user default "
     "deferrable desc distinct do else end false foreign in initially lateral leading localtime "
     "localtimestamp not null only or placing primary references select session_user some symmetric table "
     "then trailing true unique user using variadic when"},
    {'R', false,
     "array as create except fetch for from grant group having intersect into limit offset on order "
     "returning to union where window with"},
    {'T', true,
     "authorization binary collation concurrently cross current_schema freeze full ilike inner is join "
     "left like natural outer right similar tablesample verbose"},
    {'T', false, "isnull notnull overlaps"},
    {'U', true,
     "abort absolute access action add admin after aggregate also alter always asensitive assertion "
     "assignment at atomic attach attribute backward before begin breadth by cache call called cascade "
     "cascaded catalog chain characteristics checkpoint class close cluster columns comment comments "
     "commit committed compression configuration conflict connection constraints content continue "
     "conversion copy cost csv cube current cursor cycle data database deallocate declare defaults "
     "deferred definer delete delimiter delimiters depends depth detach dictionary disable discard "
     "document domain double drop each enable encoding encrypted enum escape event exclude excluding "
     "exclusive execute explain expression extension external family finalize first following force "
     "forward function functions generated global granted groups handler header hold identity if immediate "
     "immutable implicit import include including increment index indexes inherit inherits inline input "
     "insensitive insert instead invoker isolation key label language large last leakproof level listen "
     "load local location lock locked logged mapping match matched materialized maxvalue merge method "
     "minvalue mode move name names new next nfc nfd nfkc nfkd no normalized nothing notify nowait nulls "
     "object of off oids old operator option options ordinality others overriding owned owner parallel "
     "parameter parser partial partition passing password plans policy preceding prepare prepared preserve "
     "prior privileges procedural procedure procedures program publication quote range read reassign "
     "recheck recursive ref referencing refresh reindex relative release rename repeatable replace replica "
     "reset restart restrict return returns revoke role rollback rollup routine routines rows rule "
     "savepoint schema schemas scroll search security sequence sequences serializable server session set "
     "sets share show simple skip snapshot sql stable standalone start statement statistics stdin stdout "
     "storage stored strict strip subscription support sysid system tables tablespace temp template "
     "temporary text ties transaction transform trigger truncate trusted type types uescape unbounded "
     "uncommitted unencrypted unknown unlisten unlogged until update vacuum valid validate validator value "
     "version view views volatile whitespace work wrapper write xml yes zone"},
    {'U', false, "day filter hour minute month over second varying within without year"},
};

static const char *meaning(char category)
{
    switch (category) {
    case 'U':
        return "unreserved";
    case 'C':
        return "unreserved (cannot be function or type name)";
    case 'T':
        return "reserved (can be function or type name)";
    default:
        return "reserved";
    }
}

static bool put_word(struct kp_set *set, size_t group, struct kp_str word)
{
    uint8_t bare = groups[group].bare;
    const char *category = meaning(groups[group].category), *label = bare ? "can be bare label" : "requires AS";
    struct kp_text texts[] = {kp_text_make(word.ptr, word.len), kp_text_make(&groups[group].category, 1),
                              kp_text_make(category, strlen(category)), kp_text_make(label, strlen(label))};
    if (!kp_set_add(set))
        return false;
    kp_set_put(set, 0, &texts[0]);
    kp_set_put(set, 1, &texts[1]);
    kp_set_put(set, 2, &bare);
    kp_set_put(set, 3, &texts[2]);
    kp_set_put(set, 4, &texts[3]);
    return true;
}

static bool keywords(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                     struct kp_set *set)
{
    uint64_t n = 0;
    (void)call, (void)args, (void)row;
    for (size_t g = 0; g < KP_COUNT(groups); g++)
        for (const char *at = groups[g].words; *at; n++) {
            struct kp_str word = {at, strcspn(at, " ")};
            if (n >= from && !put_word(set, g, word))
                return false;
            at += word.len;
            at += *at == ' ';
        }
    return true;
}

static const struct kp_set_func funcs[] = {
    {"pg_get_keywords",
     KP_STRICT,
     0,
     {KP_TYPE_NONE},
     5,
     {{KP_TEXT, "word"}, {KP_TEXT, "catcode"}, {KP_BOOL, "barelabel"}, {KP_TEXT, "catdesc"}, {KP_TEXT, "baredesc"}},
     keywords,
     "PostgreSQL's words and what they may name"},
};
KP_SET_FUNCTIONS(keywords, funcs);
