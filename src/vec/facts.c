/* Names of the catalog's things as text: read and written as PostgreSQL does. */
#include "vec/facts.h"

/* Words that are not a plain name everywhere in SQL: PostgreSQL 15's keywords but for the unreserved. */
static const char keywords[] =
    " all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean"
    " both case cast char character check coalesce collate collation column concurrently constraint create"
    " cross current_catalog current_date current_role current_schema current_time current_timestamp"
    " current_user dec decimal default deferrable desc distinct do else end except exists extract false"
    " fetch float for foreign freeze from full grant greatest group grouping having ilike in initially"
    " inner inout int integer intersect interval into is isnull join lateral leading least left like limit"
    " localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric"
    " offset on only or order out outer overlaps overlay placing position precision primary real"
    " references returning right row select session_user setof similar smallint some substring symmetric"
    " table tablesample then time timestamp to trailing treat trim true union unique user using values"
    " varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists"
    " xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable"
    " ";

static bool is_keyword(struct kp_str name)
{
    for (const char *at = keywords; at[1]; at = strchr(at + 1, ' '))
        if (strncmp(at + 1, name.ptr, name.len) == 0 && at[1 + name.len] == ' ')
            return true;
    return false;
}

static bool is_name_byte(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

void kp_name_quote(struct kp_str name, struct kp_buf *out)
{
    bool plain = name.len > 0;
    for (size_t i = 0; i < name.len; i++)
        plain &= is_name_byte(name.ptr[i], i == 0);
    if (plain && !is_keyword(name)) {
        kp_buf_append(out, name.ptr, name.len);
        return;
    }
    kp_buf_append_byte(out, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"')
            kp_buf_append_byte(out, '"');
        kp_buf_append_byte(out, (uint8_t)name.ptr[i]);
    }
    kp_buf_append_byte(out, '"');
}

/* One part from *at on; false if there is none. */
static bool part(struct kp_str text, size_t *at, struct kp_arena *arena, struct kp_str *ret_part)
{
    char *to = kp_arena_alloc(arena, text.len + 1);
    size_t len = 0, i = *at;
    bool quoted = i < text.len && text.ptr[i] == '"';
    for (i += quoted; i < text.len; i++) {
        char c = text.ptr[i];
        if (quoted && c == '"') {
            if (i + 1 >= text.len || text.ptr[i + 1] != '"')
                break;
            i++;
        } else if (!quoted && (c == '.' || c == '"' || c == ' ')) {
            break;
        } else if (!quoted && c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        to[len++] = c;
    }
    if (len == 0 || (quoted && i == text.len))
        return false;
    to[len] = '\0';
    *at = i + quoted;
    *ret_part = (struct kp_str){to, len};
    return true;
}

bool kp_name_parse(struct kp_str text, struct kp_arena *arena, struct kp_str *ret_schema, struct kp_str *ret_name)
{
    size_t at = 0;
    struct kp_str first, second;
    if (!part(text, &at, arena, &first))
        return false;
    if (at == text.len) {
        *ret_schema = (struct kp_str){0};
        *ret_name = first;
        return true;
    }
    if (text.ptr[at++] != '.' || !part(text, &at, arena, &second))
        return false;
    if (at < text.len) { /* the database before it: there is one, whatever a session calls it */
        first = second;
        if (text.ptr[at++] != '.' || !part(text, &at, arena, &second) || at != text.len)
            return false;
    }
    *ret_schema = first;
    *ret_name = second;
    return true;
}
