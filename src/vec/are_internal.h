/*
 * The parts of PostgreSQL's regular expressions, in the order of the work:
 *
 *   are_lex.c      characters to tokens
 *   kp_are_parse.c    tokens to a syntax tree (struct are_node)
 *   are_set.c      sets of characters; all sets of a pattern to classes: characters that no set tells apart
 *   kp_are_split.c    syntax tree to parts (struct are_part): which substring each group takes is decided part by part
 *   are_nfa.c      a part or a look-around to states
 *   are_dfa.c      states run over a text, sets of them remembered
 *   are_search.c   a match found, and taken apart
 */
#ifndef KP_VEC_ARE_INTERNAL_H
#define KP_VEC_ARE_INTERNAL_H

#include "vec/are.h"
#include "vec/unicode.h"

enum {
    ARE_REPEAT_MAX = 255,           /* PostgreSQL's */
    ARE_INFINITE,                   /* repetitions */
    ARE_CHARACTERS_MAX = 1 << 15,   /* of a pattern: fewer than 65,536 classes come of it */
    ARE_DEPTH_MAX = 500,            /* nesting, and groups in a row: bounds every recursion */
    ARE_SETS_MAX = 4096,            /* different sets of characters in a pattern */
    ARE_CHARACTER_MAX = 0x7ffffffe, /* as an escape may name one */
    ARE_FOLD_CASES_MAX = 100000     /* other cases outside a range: PostgreSQL's */
};
#define ARE_NOWHERE ((size_t)-1)

/* ---- sets of characters (are_set.c) ---- */

struct are_set {
    struct kp_char_range *ranges; /* in order and apart once it is closed */
    size_t count, cap;
};
enum are_class {
    ARE_ALNUM,
    ARE_ALPHA,
    ARE_ASCII,
    ARE_BLANK,
    ARE_CNTRL,
    ARE_DIGIT,
    ARE_GRAPH,
    ARE_LOWER,
    ARE_PRINT,
    ARE_PUNCT,
    ARE_SPACE,
    ARE_UPPER,
    ARE_XDIGIT,
    ARE_WORD,
    ARE_CLASSES
};

void kp_are_set_finish(struct are_set *set);
void kp_are_set_add(struct are_set *set, uint32_t first, uint32_t last);
/* A character of a pattern; folded: the other cases of it, of which it need not be one. */
void kp_are_set_add_character(struct are_set *set, uint32_t c, bool fold);
/* False: there are too many other cases outside the range. */
bool kp_are_set_add_range(struct are_set *set, uint32_t first, uint32_t last, bool fold);
void kp_are_set_add_class(struct are_set *set, enum are_class class, bool fold);
void kp_are_set_close(struct are_set *set);
void kp_are_set_complement(struct are_set *set); /* closes it, too */

/* Which characters no set tells apart. */
struct are_classes {
    uint16_t ascii[128];
    struct kp_char_range *ranges; /* .last is the class of all from .first to the next range */
    size_t range_count;
    uint16_t count;
    uint8_t *member; /* [set * count + class] */
    uint8_t *traits; /* [class]: enum are_trait */
};
/* What stands beside a position. */
enum are_trait { ARE_EDGE = 1, ARE_LINE_END = 2, ARE_WORD_CHARACTER = 4 };

void kp_are_classes_init(struct are_classes *classes, const struct are_set *sets, size_t set_count, bool lines,
                         bool words);
void kp_are_classes_finish(struct are_classes *classes);
uint16_t kp_are_class_beyond_ascii(const struct are_classes *classes, uint32_t c);

/* ---- syntax (are_lex.c, kp_are_parse.c) ---- */

/* Conditions on a position, by what is beside it. */
enum are_condition {
    ARE_TEXT_BEGIN,
    ARE_LINE_BEGIN,
    ARE_TEXT_END,
    ARE_LINE_END_AHEAD,
    ARE_WORD_BEGIN,
    ARE_WORD_END,
    ARE_WORD_EDGE,
    ARE_NO_WORD_EDGE
};
enum are_look { ARE_AHEAD, ARE_AHEAD_NOT, ARE_BEHIND, ARE_BEHIND_NOT };

/* Preferences of quantifiers, and what a part has inside: bits. */
enum are_trend {
    ARE_LONGER = 1,
    ARE_SHORTER = 2,
    ARE_MIXED = 4,    /* both inside */
    ARE_CAPTURES = 8, /* groups inside */
    ARE_REFERS = 16,  /* back references inside */
    ARE_PREFERENCE = ARE_LONGER | ARE_SHORTER
};

enum are_kind { ARE_BRANCH, ARE_SET, ARE_CONDITION, ARE_LOOK, ARE_GROUP, ARE_REFERENCE };
struct are_node {
    enum are_kind kind;
    uint32_t value;         /* SET: its number; CONDITION: which; LOOK: its number; GROUP: its number, 0 if it does not
                               capture; REFERENCE: the group's number */
    uint16_t min, max;      /* repetitions */
    uint8_t prefer;         /* its quantifier: LONGER, SHORTER, 0 */
    struct are_node *child; /* BRANCH: the first item; LOOK, GROUP: the first branch */
    struct are_node *next;  /* the next item of a branch, or the next branch */
};

enum are_token {
    ARE_T_START = 256, /* before the first token */
    ARE_T_END,
    ARE_T_PLAIN, /* value: the character */
    ARE_T_DIGIT,
    ARE_T_REFERENCE,
    ARE_T_COLLATING, /* [. */
    ARE_T_EQUIVALENCE,
    ARE_T_CLASS,     /* [: */
    ARE_T_NAME_END,  /* of [. [= [: */
    ARE_T_SHORTHAND, /* value: enum are_class */
    ARE_T_SHORTHAND_NOT,
    ARE_T_RANGE, /* - in brackets where it may make a range */
    ARE_T_LOOK,
    ARE_T_CONDITION /* value: enum are_condition */
};

/* Reads one token ahead; the first error stays and is followed by ARE_T_END. */
struct are_lexer {
    const uint32_t *now, *end;
    unsigned flags;
    uint8_t context;
    int type, last_type; /* a token, or the character that stands for it */
    uint32_t value;
    unsigned groups; /* opened so far */
    struct are_lexer_error {
        const char *sqlstate, *message;
    } error;
};
void kp_are_lexer_start(struct are_lexer *lexer, const uint32_t *pattern, size_t len, unsigned flags);
void kp_are_lexer_next(struct are_lexer *lexer);
void kp_are_lexer_fail(struct are_lexer *lexer, const char *message);
void kp_are_lexer_limit(struct are_lexer *lexer, const char *message); /* 54000 */

/* PostgreSQL's messages that more than one file gives. */
#define ARE_BAD_QUANTIFIER "quantifier operand invalid"
#define ARE_BAD_COUNT      "invalid repetition count(s)"
#define ARE_BAD_PAREN      "parentheses () not balanced"
#define ARE_BAD_COLLATING  "invalid collating element"
#define ARE_BAD_RANGE      "invalid character range"
#define ARE_TOO_COMPLEX    "regular expression is too complex"

/* ---- a compiled pattern ---- */

/* How a part is taken apart: not at all (LEAF), or into children. */
enum are_part_kind {
    ARE_P_ITEMS,
    ARE_P_ATOM,
    ARE_P_REFERENCE,
    ARE_P_CONCAT,
    ARE_P_EITHER,
    ARE_P_REPEAT,
    ARE_P_CAPTURE
};
struct are_part {
    enum are_part_kind kind;
    bool leaf;      /* what is inside does not matter: it has states but is not taken apart */
    uint8_t trend;  /* enum are_trend */
    uint32_t group; /* captures it, 0: none */
    uint16_t min, max;
    const struct are_node *first,
        *end;                      /* ITEMS: from first to before end. ATOM, REFERENCE: first, not its quantifier */
    struct are_part *child, *next; /* of REPEAT and CAPTURE only the first child counts */
    struct are_dfa *dfa;           /* made when it is needed */
};

struct are_lookaround {
    enum are_look kind;
    const struct are_node *branches;
    struct are_dfa *dfa;
};

struct kp_are {
    struct kp_arena arena; /* nodes, parts */
    unsigned flags;        /* with those that the pattern itself sets */
    unsigned group_count;
    bool refers;                    /* has back references: what DFAs find is not certain */
    bool lines, words;              /* has conditions on them */
    const struct are_node **groups; /* by number */
    struct are_set *sets;
    size_t set_count, set_cap;
    struct are_lookaround *looks;
    size_t look_count, look_cap;
    struct are_classes classes;
    const struct are_node *branches;
    struct are_part *whole;
    struct are_dfa *seek; /* the whole from anywhere on: whether there is a match */
    struct are_dfa *all;  /* of all parts, by .made_before, to be freed */
};

bool kp_are_parse(struct kp_are *are, struct kp_str pattern, struct kp_are_refusal *ret_refusal);
struct are_part *kp_are_split(struct kp_are *are);

/* ---- states (are_nfa.c) ---- */

enum are_state_kind { ARE_S_SET, ARE_S_SPLIT, ARE_S_CONDITION, ARE_S_LOOK, ARE_S_MATCH };
struct are_state {
    uint8_t kind;
    uint32_t value; /* the set's, condition's or look-around's number; SPLIT: where else it goes */
    uint32_t out;
};
struct are_nfa {
    struct are_state *states;
    uint32_t count, cap;
    uint32_t start;
    bool conditions, looks; /* has some */
};
enum { ARE_STATES_MAX = 50000 /* of an automaton: some megabytes, and some milliseconds for a step that is new */ };

/* False: it would have too many states. */
bool kp_are_nfa_of_part(const struct kp_are *are, const struct are_part *part, struct are_nfa *ret_nfa);
bool kp_are_nfa_of_branches(const struct kp_are *are, const struct are_node *branches, struct are_nfa *ret_nfa);

/* ---- runs (are_dfa.c) ---- */

/* One search: a text and what may be spent on it. */
struct are_run {
    struct kp_are *are;
    const char *text;
    size_t len;
    const struct kp_arena *waiting;
    uint64_t steps, look_at;   /* taken; when to look at the limits again */
    enum kp_are_found stopped; /* NONE while it goes on */
    bool vain;
};

/* The automaton of a part, made if it is not there. NULL: too large, the run is stopped. */
struct are_dfa *kp_are_dfa_of_part(struct are_run *run, struct are_part *part);
struct are_dfa *kp_are_dfa_anywhere(struct are_run *run);
void kp_are_dfa_forget_text(struct kp_are *are); /* another text comes */
void kp_are_dfa_destroy_all(struct kp_are *are);
size_t kp_are_dfa_bytes_all(const struct kp_are *are);

/* The longest match from `begin` that ends at `limit` or before; ARE_NOWHERE if there is none. */
size_t kp_are_longest(struct are_run *run, struct are_dfa *dfa, size_t begin, size_t limit);
/* The shortest that ends from `min` to `limit`. ret_cold, if not NULL: no match begins before it. */
size_t kp_are_shortest(struct are_run *run, struct are_dfa *dfa, size_t begin, size_t min, size_t limit,
                       size_t *ret_cold);

static inline bool are_run_over(const struct are_run *run)
{
    return run->stopped || run->vain;
}
static inline size_t are_before(const char *text, size_t at)
{
    do
        at--;
    while (((unsigned char)text[at] & 0xc0) == 0x80);
    return at;
}
static inline size_t are_behind(const struct are_run *run, size_t at)
{
    do
        at++;
    while (at < run->len && ((unsigned char)run->text[at] & 0xc0) == 0x80);
    return at;
}

#endif
