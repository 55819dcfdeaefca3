/*
 * Where values lie in PostgreSQL's binary jsonb, computed from the canonical text: .keyvalue() shows it as an object's
 * id.
 *
 *   container  header (4), an entry (4) for each item, or for each key and each value; then what they are: of an
 *              object all keys first. Numbers and containers begin at a multiple of 4.
 *   number     a varlena's header (4), 2 bytes of scale, sign and weight (4 beyond 63 digits behind the point or a
 *              weight beyond -64 to 63), 2 for each digit of base 10,000
 */
#include "base/limits.h"
#include "vec/jsonb.h"
#include "vec/jsonpath_item.h"

enum { ENTRY_BYTES = 4, LONG_SCALE = 63, LONG_WEIGHT = 63, LONG_WEIGHT_LEAST = -64 };

static int64_t aligned(int64_t at)
{
    return (at + 3) & ~(int64_t)3;
}

static bool digit_at(struct kp_str text, int64_t point, int64_t place)
{
    int64_t at = point - 1 - place; /* place 0 is the units; below it, behind the point */
    at += place < 0;
    return at >= 0 && at < (int64_t)text.len && text.ptr[at] != '0';
}

static int64_t number_bytes(struct kp_str text)
{
    if (text.len && text.ptr[0] == '-')
        text.ptr++, text.len--;
    const char *dot = memchr(text.ptr, '.', text.len);
    int64_t point = dot ? dot - text.ptr : (int64_t)text.len, scale = dot ? (int64_t)text.len - point - 1 : 0;
    int64_t highest = INT64_MIN, lowest = INT64_MAX; /* groups of four that are not zero */
    for (int64_t place = -scale; place < point; place++)
        if (digit_at(text, point, place)) {
            int64_t group = place >= 0 ? place / 4 : -((-place + 3) / 4);
            lowest = KP_MIN(lowest, group);
            highest = KP_MAX(highest, group);
        }
    int64_t digits = highest == INT64_MIN ? 0 : highest - lowest + 1, weight = digits ? highest : 0;
    bool brief = scale <= LONG_SCALE && weight <= LONG_WEIGHT && weight >= LONG_WEIGHT_LEAST;
    return 4 + (brief ? 2 : 4) + 2 * digits;
}

static int64_t text_bytes(struct kp_str quoted)
{
    struct kp_buf text = {0};
    (void)kp_jsonb_string_text(quoted, &text);
    int64_t len = (int64_t)text.len;
    kp_buf_finish(&text);
    return len;
}

struct search {
    const char *wanted; /* where the container begins in the text; NULL: only its size is asked for */
    int64_t found;
    unsigned depth;
};

/* The place behind the value that begins at `at`. */
static int64_t measure(struct search *search, struct kp_str value, int64_t at)
{
    enum kp_jsonb_kind kind = kp_jsonb_kind(value);
    if (kind == KP_JSONB_STRING)
        return at + text_bytes(value);
    if (kind == KP_JSONB_NUMBER)
        return aligned(at) + number_bytes(value);
    if ((kind != KP_JSONB_ARRAY && kind != KP_JSONB_OBJECT) || search->depth == KP_SQL_DEPTH_MAX)
        return at;
    at = aligned(at);
    if (value.ptr == search->wanted)
        search->found = at;
    struct kp_jsonb_items items;
    struct kp_str key, item;
    bool object = kind == KP_JSONB_OBJECT;
    at += ENTRY_BYTES + (int64_t)kp_jsonb_item_count(value) * ENTRY_BYTES * (object ? 2 : 1);
    kp_jsonb_items_begin(&items, value);
    while (object && kp_jsonb_items_next(&items, &key, &item))
        at += text_bytes(key);
    kp_jsonb_items_begin(&items, value);
    search->depth++;
    while (search->found < 0 && kp_jsonb_items_next(&items, &key, &item))
        at = measure(search, item, at);
    search->depth--;
    return at;
}

int64_t kp_path_binary_offset(struct kp_str base, struct kp_str within)
{
    struct search search = {within.ptr, -1, 0};
    (void)measure(&search, base, 0);
    return KP_MAX(search.found, (int64_t)0);
}
