/*
 * SQL/JSON paths: '$.track.segments[*] ? (@.HR > 130)."start time"', as PostgreSQL's jsonpath means them.
 *
 * A path is a chain of steps, each applied to what the one before yields. In lax mode (the default) a step that wants
 * an object or a scalar looks into arrays, one that wants an array takes a value as an array of one, and what is not
 * there yields nothing; in strict mode those are errors. Predicates are true, false or unknown; an error inside of one
 * makes it unknown.
 */
#ifndef KP_VEC_JSONPATH_H
#define KP_VEC_JSONPATH_H

#include "base/buf.h"
#include "base/mem.h"
#include "vec/numeric.h"
#include "vec/zone.h"

enum kp_path_kind {
    /* what begins a chain */
    KP_PATH_ROOT,
    KP_PATH_CURRENT,
    KP_PATH_LAST,
    KP_PATH_NULL,
    KP_PATH_BOOL,
    KP_PATH_NUMBER,
    KP_PATH_STRING,
    KP_PATH_VARIABLE,
    KP_PATH_ADD,
    KP_PATH_SUB,
    KP_PATH_MUL,
    KP_PATH_DIV,
    KP_PATH_MOD,
    KP_PATH_PLUS,
    KP_PATH_MINUS,
    /* predicates */
    KP_PATH_AND,
    KP_PATH_OR,
    KP_PATH_NOT,
    KP_PATH_IS_UNKNOWN,
    KP_PATH_EXISTS,
    KP_PATH_EQ,
    KP_PATH_NE,
    KP_PATH_LT,
    KP_PATH_LE,
    KP_PATH_GT,
    KP_PATH_GE,
    KP_PATH_STARTS_WITH,
    KP_PATH_LIKE_REGEX,
    /* steps */
    KP_PATH_KEY,
    KP_PATH_ANY_KEY,
    KP_PATH_ANY_ITEM,
    KP_PATH_SUBSCRIPTS,
    KP_PATH_ANY, /* ** from level `first` to `last`; UINT32_MAX: the leaves', or all the way down */
    KP_PATH_FILTER,
    KP_PATH_TYPE,
    KP_PATH_SIZE,
    KP_PATH_DOUBLE,
    KP_PATH_CEILING,
    KP_PATH_FLOOR,
    KP_PATH_ABS,
    KP_PATH_DATETIME, /* left: the template, NULL if there is none */
    KP_PATH_KEYVALUE
};

/* Flags of LIKE_REGEX, in `first`. */
enum kp_path_regex_flags {
    KP_PATH_REGEX_FOLD = 1,     /* i */
    KP_PATH_REGEX_DOT = 2,      /* s: a point is a line's end, too */
    KP_PATH_REGEX_LINES = 4,    /* m: ^ and $ are of lines */
    KP_PATH_REGEX_EXPANDED = 8, /* x: nothing beside q, and refused without it */
    KP_PATH_REGEX_QUOTE = 16    /* q: no character is special */
};

static inline bool kp_path_is_predicate(enum kp_path_kind kind)
{
    return kind >= KP_PATH_AND && kind <= KP_PATH_LIKE_REGEX;
}

struct kp_path_subscript {
    struct kp_path_node *from, *to; /* to NULL: one */
};

struct kp_path_node {
    enum kp_path_kind kind;
    struct kp_path_node *left, *right; /* operands; of a filter the predicate is left */
    struct kp_path_node *next;         /* the step behind it */
    struct kp_str text;                /* a string as JSON; a key or variable as plain text; a pattern */
    bool flag;                         /* a boolean's value */
    uint32_t first, last;
    struct kp_path_subscript *subscripts;
    uint32_t subscript_count;
};

struct kp_path {
    bool strict;
    struct kp_path_node *root;
};

/* In the arena. 42601, 22P02, 0A000. */
KP_MUST enum kp_code kp_path_parse(struct kp_str text, struct kp_arena *arena, struct kp_path *ret_path,
                                   struct kp_error *err);

/* Appends the path's canonical text. */
void kp_path_print(const struct kp_path *path, struct kp_buf *out);

/* Values found, as jsonb; slices of the document or in the arena. */
struct kp_path_items {
    struct kp_str *items;
    uint32_t count, cap;
};
struct kp_path_input {
    struct kp_str document, vars; /* vars: an object with what $name stands for; ptr NULL: none */
    bool exists_only;             /* it matters only whether there is anything */
    bool zoned;                   /* what has no zone may be compared with what has one, in `zone` (NULL: UTC) */
    const struct kp_zone *zone;
};
/*
 * All that the path yields for the document. On an error ret_items has what was found before it. KP_UNSUPPORTED: not
 * to be silenced.
 */
enum kp_code kp_path_run(const struct kp_path *path, const struct kp_path_input *input, struct kp_arena *arena,
                         struct kp_path_items *ret_items, struct kp_error *err);

#endif
