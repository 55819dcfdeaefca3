/*
 * The general path of JSON: any record, judged by simdjson. It decides what is valid and what a dead letter says; the
 * fast path may only agree or abstain.
 *
 * The walk notes for each column the last value that counts, and conversion happens when the whole record is known to
 * be good. Which member a column takes: the one of exactly its name, else the only one that matches but for case (of
 * two such spellings none counts); of a repeated one the last. Taking a member anew forgets what came before under it.
 */
#include "base/limits.h"
#include "base/utf8.h"
#include "decode/internal.h"
#include "decode/simdjson_shim.h"

enum take { TAKEN_NOT, TAKEN_CASE, TAKEN_AMBIGUOUS, TAKEN_EXACT };

struct want_state {
    enum take take;
    struct kp_str spelling; /* of TAKEN_CASE */
};

struct kp_json_general {
    struct kp_simdjson *parser;
    struct want_state *wants;          /* by want id */
    struct kp_json_value *values;      /* by column */
    uint8_t *ranks;                    /* by column: 0 none, 1 by a dotted path, 2 by its whole name */
    const struct kp_json_node **stack; /* of entered objects; NULL: of which nothing is wanted */
    uint32_t depth;
    struct kp_decode_state *state;    /* of the running call */
    bool row;                         /* the object that makes the row was seen */
    const struct kp_json_want *wrong; /* on the path, but neither object nor null */
    struct kp_json_value wrong_value;
    struct kp_str extra; /* a member of the row that no column takes, where that is refused; ptr NULL: none */
};

struct kp_json_general *kp_json_general_create(const struct kp_decoder *decoder)
{
    struct kp_json_general *general = kp_calloc(1, sizeof *general);
    general->parser = kp_simdjson_create();
    KP_ASSERT(general->parser);
    general->wants = kp_calloc(decoder->want_count + 1, sizeof *general->wants);
    general->values = kp_calloc(decoder->column_count + 1, sizeof *general->values);
    general->ranks = kp_calloc(decoder->column_count + 1, 1);
    general->stack = kp_calloc(decoder->node_count + 1, sizeof(struct kp_json_node *));
    return general;
}

void kp_json_general_destroy(struct kp_json_general *general)
{
    if (!general)
        return;
    kp_simdjson_destroy(general->parser);
    kp_free(general->wants);
    kp_free(general->values);
    kp_free(general->ranks);
    kp_free(general->stack);
    kp_free(general);
}

/* Forgets what was taken for a want and under it. */
static void forget(struct kp_json_general *general, const struct kp_json_want *want)
{
    for (uint32_t i = 0; i < want->column_count; i++) {
        uint8_t rank = i < want->literal_count ? 2 : 1;
        if (general->ranks[want->columns[i]] == rank)
            general->ranks[want->columns[i]] = 0;
    }
    const struct kp_json_node *child = want->child;
    if (!child)
        return;
    if (child->row) {
        general->row = false;
        general->extra = (struct kp_str){0};
    }
    for (uint32_t i = 0; i < child->want_count; i++) {
        general->wants[child->wants[i].id].take = TAKEN_NOT;
        forget(general, &child->wants[i]);
    }
}

/* True if this occurrence of the member counts; the ones before are forgotten then. */
static bool take(struct kp_json_general *general, const struct kp_json_want *want, struct kp_str name, bool exact)
{
    struct want_state *state = &general->wants[want->id];
    if (state->take == TAKEN_NOT) {
        *state = (struct want_state){exact ? TAKEN_EXACT : TAKEN_CASE, name};
        return true;
    }
    if (!exact && state->take == TAKEN_EXACT)
        return false;
    if (general->wrong == want)
        general->wrong = NULL;
    forget(general, want);
    if (exact) {
        state->take = TAKEN_EXACT;
        return true;
    }
    if (state->take == TAKEN_CASE && !kp_str_equal(state->spelling, name))
        state->take = TAKEN_AMBIGUOUS;
    return state->take == TAKEN_CASE;
}

struct kp_json_value kp_json_value_of(struct kp_str token)
{
    struct kp_json_value value = {KP_JSON_NUMBER, 0, token};
    switch (token.ptr[0]) {
    case '"':
        value.kind = KP_JSON_STRING;
        value.flags = memchr(token.ptr, '\\', token.len) ? KP_JSON_ESCAPED : 0;
        break;
    case '{':
        value.kind = KP_JSON_OBJECT;
        break;
    case '[':
        value.kind = KP_JSON_ARRAY;
        break;
    case 't':
        value.kind = KP_JSON_TRUE;
        break;
    case 'f':
        value.kind = KP_JSON_FALSE;
        break;
    case 'n':
        value.kind = KP_JSON_NULL;
        break;
    default:
        break;
    }
    return value;
}

/* The member's name without escapes; borrowed where it has none. A name that is no text matches nothing. */
static struct kp_str plain_name(struct kp_json_general *general, struct kp_str raw)
{
    if (!raw.len || !memchr(raw.ptr, '\\', raw.len))
        return raw;
    char *out = kp_arena_alloc(general->state->arena, raw.len);
    size_t len;
    const char *why;
    return kp_json_unescape(raw, out, &len, &why) ? (struct kp_str){out, len} : (struct kp_str){NULL, 0};
}

static bool visit_member(void *arg, const char *key, size_t key_len, const char *token, size_t token_len)
{
    struct kp_json_general *general = arg;
    const struct kp_json_node *node = general->stack[general->depth - 1];
    struct kp_str name = plain_name(general, (struct kp_str){key, key_len});
    bool exact;
    const struct kp_json_want *want = name.ptr ? kp_json_node_find(node, name, &exact) : NULL;
    if (!want && node->row && general->state->decoder->extra_fails && !general->extra.ptr)
        general->extra = name.ptr ? name : (struct kp_str){key, key_len};
    if (!want || !take(general, want, name, exact))
        return false;
    struct kp_json_value value = kp_json_value_of((struct kp_str){token, token_len});
    for (uint32_t i = 0; i < want->column_count; i++) {
        uint32_t column = want->columns[i];
        uint8_t rank = i < want->literal_count ? 2 : 1;
        if (general->ranks[column] <= rank) {
            general->ranks[column] = rank;
            general->values[column] = value;
        }
    }
    const struct kp_json_node *child = want->child;
    if (!child)
        return false;
    if (value.kind != KP_JSON_OBJECT) {
        bool path = child->id < general->state->decoder->path_nodes;
        if (path && value.kind != KP_JSON_NULL) {
            general->wrong = want;
            general->wrong_value = value;
        }
        return false;
    }
    general->stack[general->depth++] = child;
    general->row |= child->row;
    return true;
}

static void visit_leave(void *arg)
{
    struct kp_json_general *general = arg;
    general->depth--;
}

static bool visit_scalar(const char *token, size_t len)
{
    const uint8_t *p = (const uint8_t *)token, *end = p + len;
    switch (*p) {
    case '"':
        /* Stage 1 closed it and checked its bytes. */
        return len >= 2 && end[-1] == '"' && kp_json_escapes_valid((struct kp_str){token + 1, len - 2});
    case 't':
        return len == 4 && memcmp(p, "true", 4) == 0;
    case 'f':
        return len == 5 && memcmp(p, "false", 5) == 0;
    case 'n':
        return len == 4 && memcmp(p, "null", 4) == 0;
    default:
        return kp_json_number_end(p, end) == end;
    }
}

/* Says what is wrong with a record that simdjson refuses, and where. */
static enum kp_code fail_record(struct kp_str text, const char *reason, struct kp_error *err)
{
    const uint8_t *start = (const uint8_t *)text.ptr, *end = start + text.len, *bad = start;
    const uint8_t *at = kp_json_space_end(start, end);
    size_t utf8 = kp_utf8_valid_prefix(text.ptr, text.len);
    if (utf8 < text.len)
        return kp_fail(err, KP_INVALID, "22021",
                       "invalid byte sequence for encoding \"UTF8\": 0x%02x at byte %zu of the record",
                       (unsigned)start[utf8], utf8 + 1);
    if (at == end)
        return kp_fail(err, KP_INVALID, "22P02", "the record is empty, not a JSON object");
    const uint8_t *behind = kp_json_skip(at, end, KP_JSON_DEPTH_MAX, &bad);
    if (behind && behind <= end) {
        bad = kp_json_space_end(behind, end);
        if (bad == end && *at != '{')
            return kp_fail(err, KP_INVALID, "22P02", "the record is not a JSON object: %.*s%s",
                           (int)kp_decode_shown(text).len, text.ptr, text.len > 64 ? "…" : "");
    } else if (behind) {
        bad = end;
    }
    if (bad >= end)
        return kp_fail(err, KP_INVALID, "22P02", "invalid JSON: the record ends too soon, after byte %zu", text.len);
    kp_fail(err, KP_INVALID, "22P02", "invalid JSON at byte %zu", (size_t)(bad - start) + 1);
    size_t len = strlen(reason);
    while (len && reason[len - 1] == '.') /* simdjson's own ends */
        len--;
    return kp_error_detail(err, "%.*s.", (int)len, reason);
}

/* The value that a column takes, ends and all. */
static struct kp_json_value taken_value(const struct kp_json_general *general, uint32_t column)
{
    struct kp_json_value value = general->values[column];
    if (value.kind >= KP_JSON_OBJECT) {
        /* The whole record is valid: the skip only finds the end. */
        const uint8_t *bad, *start = (const uint8_t *)value.text.ptr;
        const uint8_t *behind = kp_json_skip(start, start + KP_RECORD_BYTES_MAX, KP_JSON_DEPTH_MAX, &bad);
        value.text.len = (size_t)(behind - start);
    }
    if (value.kind == KP_JSON_NULL)
        value.text = KP_STR("null");
    return value;
}

/* Of several bad values the first in the text is reported: the answer may not depend on the order of columns. */
static enum kp_code convert_values(struct kp_decode_state *state, struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    struct kp_json_general *general = state->general;
    uint32_t bad = UINT32_MAX;
    for (uint32_t column = 0; column < decoder->column_count; column++) {
        if (!general->ranks[column])
            continue;
        struct kp_json_value value = taken_value(general, column);
        if (value.kind == KP_JSON_NULL && !decoder->columns[column].json_null)
            kp_decode_set_null(state, column);
        else if (kp_decode_convert(state, column, &value, NULL) == KP_OK)
            kp_decode_mask_set(state->present, column);
        else if (bad == UINT32_MAX || value.text.ptr < general->values[bad].text.ptr)
            bad = column;
    }
    if (bad == UINT32_MAX)
        return KP_OK;
    struct kp_json_value value = taken_value(general, bad);
    enum kp_code code = kp_decode_convert(state, bad, &value, err);
    kp_error_context(err, "field \"%s\"", decoder->columns[bad].name);
    return code;
}

enum kp_code kp_json_general_decode(struct kp_decode_state *state, struct kp_str text,
                                    enum kp_decode_outcome *ret_outcome, struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    struct kp_json_general *general = state->general;
    general->state = state;
    general->stack[0] = decoder->nodes[0];
    general->depth = 1;
    general->row = decoder->nodes[0]->row;
    general->wrong = NULL;
    general->extra = (struct kp_str){0};
    memset(general->wants, 0, decoder->want_count * sizeof *general->wants);
    memset(general->ranks, 0, decoder->column_count);
    const struct kp_simdjson_visitor visitor = {general, visit_member, visit_leave, visit_scalar};
    const char *reason;
    if (text.len == 0 || !kp_simdjson_walk(general->parser, text.ptr, text.len, KP_JSON_DEPTH_MAX, &visitor, &reason))
        return fail_record(text, text.len ? reason : "", err);
    if (text.len > KP_JSON_PARSER_BYTES_KEPT) {
        kp_simdjson_destroy(general->parser); /* its buffers are several times the largest record */
        general->parser = kp_simdjson_create();
        KP_ASSERT(general->parser);
    }
    if (general->wrong)
        return kp_fail(err, KP_INVALID, "22P02", "field \"%.*s\" should be an object: %.*s%s",
                       (int)general->wrong->name.len, general->wrong->name.ptr,
                       (int)kp_decode_shown(general->wrong_value.text).len, general->wrong_value.text.ptr,
                       general->wrong_value.text.len > 64 ? "…" : "");
    if (!general->row) {
        *ret_outcome = KP_DECODED_NONE;
        return KP_OK;
    }
    if (general->extra.ptr)
        return kp_fail(err, KP_INVALID, "22030", "field \"%.*s\" is not declared",
                       (int)kp_decode_shown(general->extra).len, general->extra.ptr);
    KP_TRY(convert_values(state, err));
    *ret_outcome = KP_DECODED_ROW;
    return KP_OK;
}
