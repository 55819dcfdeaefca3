/*
 * Tokens to a syntax tree, by recursive descent:
 *
 *   branches  branch | branch …          each a list of items
 *   item      condition, look-around, or an atom and perhaps a quantifier
 *   atom      character, brackets, group, back reference
 *
 * Every character, class and pair of brackets becomes a set. Messages and what is met first are PostgreSQL's.
 */
#include "base/utf8.h"
#include "vec/are_internal.h"

struct parser {
    struct kp_are *are;
    struct are_lexer lexer;
    bool *closed; /* by a group's number: it may be referred to */
    unsigned groups_cap;
    unsigned depth;
};

static bool sees(const struct parser *parser, int type)
{
    return parser->lexer.type == type;
}

static void next(struct parser *parser)
{
    kp_are_lexer_next(&parser->lexer);
}

static bool failed(const struct parser *parser)
{
    return parser->lexer.error.message != NULL;
}

static struct are_node *new_node(struct parser *parser, enum are_kind kind, uint32_t value)
{
    struct are_node *node = kp_arena_calloc(&parser->are->arena, sizeof *node);
    *node = (struct are_node){.kind = kind, .value = value, .min = 1, .max = 1};
    return node;
}

/* The node of a set, which is taken over. */
static struct are_node *set_node(struct parser *parser, struct are_set *set)
{
    struct kp_are *are = parser->are;
    kp_are_set_close(set);
    for (size_t i = 0; i < are->set_count; i++)
        if (are->sets[i].count == set->count &&
            (set->count == 0 || memcmp(are->sets[i].ranges, set->ranges, set->count * sizeof *set->ranges) == 0)) {
            kp_are_set_finish(set);
            return new_node(parser, ARE_SET, (uint32_t)i);
        }
    if (are->set_count == ARE_SETS_MAX) {
        kp_are_set_finish(set);
        kp_are_lexer_limit(&parser->lexer, "regular expression has too many different characters");
        return new_node(parser, ARE_SET, 0);
    }
    if (are->set_count == are->set_cap) {
        are->set_cap = are->set_cap ? 2 * are->set_cap : 16;
        are->sets = kp_realloc(are->sets, are->set_cap * sizeof *are->sets);
    }
    are->sets[are->set_count] = *set;
    return new_node(parser, ARE_SET, (uint32_t)are->set_count++);
}

static bool folds(const struct parser *parser)
{
    return parser->lexer.flags & KP_ARE_FOLD;
}

/* ---- brackets ---- */

/* POSIX's names of characters. */
static const struct {
    const char *name;
    uint8_t c;
} character_names[] = {
    {"NUL", 0},
    {"SOH", 1},
    {"STX", 2},
    {"ETX", 3},
    {"EOT", 4},
    {"ENQ", 5},
    {"ACK", 6},
    {"BEL", 7},
    {"alert", 7},
    {"BS", 8},
    {"backspace", 8},
    {"HT", 9},
    {"tab", 9},
    {"LF", 10},
    {"newline", 10},
    {"VT", 11},
    {"vertical-tab", 11},
    {"FF", 12},
    {"form-feed", 12},
    {"CR", 13},
    {"carriage-return", 13},
    {"SO", 14},
    {"SI", 15},
    {"DLE", 16},
    {"DC1", 17},
    {"DC2", 18},
    {"DC3", 19},
    {"DC4", 20},
    {"NAK", 21},
    {"SYN", 22},
    {"ETB", 23},
    {"CAN", 24},
    {"EM", 25},
    {"SUB", 26},
    {"ESC", 27},
    {"IS4", 28},
    {"FS", 28},
    {"IS3", 29},
    {"GS", 29},
    {"IS2", 30},
    {"RS", 30},
    {"IS1", 31},
    {"US", 31},
    {"space", ' '},
    {"exclamation-mark", '!'},
    {"quotation-mark", '"'},
    {"number-sign", '#'},
    {"dollar-sign", '$'},
    {"percent-sign", '%'},
    {"ampersand", '&'},
    {"apostrophe", '\''},
    {"left-parenthesis", '('},
    {"right-parenthesis", ')'},
    {"asterisk", '*'},
    {"plus-sign", '+'},
    {"comma", ','},
    {"hyphen", '-'},
    {"hyphen-minus", '-'},
    {"period", '.'},
    {"full-stop", '.'},
    {"slash", '/'},
    {"solidus", '/'},
    {"zero", '0'},
    {"one", '1'},
    {"two", '2'},
    {"three", '3'},
    {"four", '4'},
    {"five", '5'},
    {"six", '6'},
    {"seven", '7'},
    {"eight", '8'},
    {"nine", '9'},
    {"colon", ':'},
    {"semicolon", ';'},
    {"less-than-sign", '<'},
    {"equals-sign", '='},
    {"greater-than-sign", '>'},
    {"question-mark", '?'},
    {"commercial-at", '@'},
    {"left-square-bracket", '['},
    {"backslash", '\\'},
    {"reverse-solidus", '\\'},
    {"right-square-bracket", ']'},
    {"circumflex", '^'},
    {"circumflex-accent", '^'},
    {"underscore", '_'},
    {"low-line", '_'},
    {"grave-accent", '`'},
    {"left-brace", '{'},
    {"left-curly-bracket", '{'},
    {"vertical-line", '|'},
    {"right-brace", '}'},
    {"right-curly-bracket", '}'},
    {"tilde", '~'},
    {"DEL", 127},
};

static bool is_name(const uint32_t *begin, size_t len, const char *name)
{
    if (strlen(name) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (begin[i] != (unsigned char)name[i])
            return false;
    return true;
}

/* The characters between [: and :], or their like. */
static const uint32_t *read_name(struct parser *parser, size_t *ret_len)
{
    const uint32_t *begin = parser->lexer.now, *end;
    next(parser);
    for (end = begin; sees(parser, ARE_T_PLAIN); next(parser))
        end = parser->lexer.now;
    next(parser);
    *ret_len = (size_t)(end - begin);
    return begin;
}

static uint32_t read_collating(struct parser *parser)
{
    size_t len;
    const uint32_t *name = read_name(parser, &len);
    if (len == 1)
        return *name;
    for (size_t i = 0; i < KP_COUNT(character_names) && len; i++)
        if (is_name(name, len, character_names[i].name))
            return character_names[i].c;
    kp_are_lexer_fail(&parser->lexer, ARE_BAD_COLLATING);
    return 0;
}

static enum are_class read_class(struct parser *parser)
{
    static const char *const names[ARE_CLASSES] = {
        [ARE_ALNUM] = "alnum", [ARE_ALPHA] = "alpha",  [ARE_ASCII] = "ascii", [ARE_BLANK] = "blank",
        [ARE_CNTRL] = "cntrl", [ARE_DIGIT] = "digit",  [ARE_GRAPH] = "graph", [ARE_LOWER] = "lower",
        [ARE_PRINT] = "print", [ARE_PUNCT] = "punct",  [ARE_SPACE] = "space", [ARE_UPPER] = "upper",
        [ARE_WORD] = "word",   [ARE_XDIGIT] = "xdigit"};
    size_t len;
    const uint32_t *name = read_name(parser, &len);
    for (enum are_class class = 0; class < ARE_CLASSES; class ++)
        if (is_name(name, len, names[class]))
            return class;
    kp_are_lexer_fail(&parser->lexer, "invalid character class");
    return ARE_ALNUM;
}

/* Behind the range's first character and the hyphen. */
static uint32_t read_range_end(struct parser *parser)
{
    next(parser);
    if (sees(parser, ARE_T_COLLATING))
        return read_collating(parser);
    uint32_t c = parser->lexer.value;
    if (sees(parser, ARE_T_PLAIN) || sees(parser, ARE_T_RANGE))
        next(parser);
    else
        kp_are_lexer_fail(&parser->lexer, ARE_BAD_RANGE);
    return c;
}

static void read_range(struct parser *parser, struct are_set *set)
{
    uint32_t first, last;
    if (sees(parser, ARE_T_COLLATING)) {
        first = read_collating(parser);
    } else {
        first = parser->lexer.value;
        next(parser);
        if (!sees(parser, ARE_T_RANGE)) {
            kp_are_set_add_character(set, first, folds(parser));
            return;
        }
    }
    last = sees(parser, ARE_T_RANGE) ? read_range_end(parser) : first;
    if (failed(parser))
        return;
    if (first > last)
        kp_are_lexer_fail(&parser->lexer, ARE_BAD_RANGE);
    else if (!kp_are_set_add_range(set, first, last, folds(parser)))
        kp_are_lexer_fail(&parser->lexer, ARE_TOO_COMPLEX);
}

static void add_complement(struct are_set *set, enum are_class class, bool fold)
{
    struct are_set rest = {0};
    kp_are_set_add_class(&rest, class, fold);
    kp_are_set_complement(&rest);
    for (size_t i = 0; i < rest.count; i++)
        kp_are_set_add(set, rest.ranges[i].first, rest.ranges[i].last);
    kp_are_set_finish(&rest);
}

static struct are_node *parse_brackets(struct parser *parser)
{
    struct are_set set = {0};
    bool negated = !parser->lexer.value;
    next(parser);
    while (!sees(parser, ']') && !sees(parser, ARE_T_END)) {
        if (sees(parser, ARE_T_RANGE)) {
            kp_are_lexer_fail(&parser->lexer, ARE_BAD_RANGE);
        } else if (sees(parser, ARE_T_EQUIVALENCE)) {
            kp_are_set_add_character(&set, read_collating(parser), folds(parser));
        } else if (sees(parser, ARE_T_CLASS)) {
            kp_are_set_add_class(&set, read_class(parser), folds(parser));
        } else if (sees(parser, ARE_T_SHORTHAND)) {
            kp_are_set_add_class(&set, (enum are_class)parser->lexer.value, folds(parser));
            next(parser);
        } else if (sees(parser, ARE_T_SHORTHAND_NOT)) {
            add_complement(&set, (enum are_class)parser->lexer.value, folds(parser));
            next(parser);
        } else {
            read_range(parser, &set);
        }
    }
    if (negated && parser->lexer.flags & KP_ARE_NEWLINE_STOPS)
        kp_are_set_add(&set, '\n', '\n');
    if (negated)
        kp_are_set_complement(&set);
    next(parser);
    return set_node(parser, &set);
}

/* ---- atoms ---- */

static struct are_node *parse_branches(struct parser *parser, bool look, bool inside);

static struct are_node *parse_group(struct parser *parser, bool look)
{
    struct kp_are *are = parser->are;
    struct are_node *node = new_node(parser, ARE_GROUP, 0);
    if (!look && parser->lexer.value)
        node->value = ++parser->lexer.groups;
    if (node->value >= parser->groups_cap) {
        unsigned cap = 2 * node->value + 8;
        parser->closed = kp_realloc(parser->closed, cap * sizeof *parser->closed);
        are->groups = kp_realloc(are->groups, cap * sizeof *are->groups);
        memset(parser->closed + parser->groups_cap, 0, (cap - parser->groups_cap) * sizeof *parser->closed);
        parser->groups_cap = cap;
    }
    next(parser);
    node->child = parse_branches(parser, look, true);
    next(parser);
    if (node->value && !failed(parser)) {
        are->groups[node->value] = node;
        parser->closed[node->value] = true;
    }
    return node;
}

static struct are_node *parse_reference(struct parser *parser, bool look)
{
    uint32_t number = parser->lexer.value;
    parser->are->refers = true;
    if (look || number >= parser->groups_cap || !parser->closed[number])
        kp_are_lexer_fail(&parser->lexer, "invalid backreference number");
    next(parser);
    return new_node(parser, ARE_REFERENCE, number);
}

static struct are_node *parse_look(struct parser *parser)
{
    struct kp_are *are = parser->are;
    enum are_look kind = (enum are_look)parser->lexer.value;
    next(parser);
    struct are_node *branches = parse_branches(parser, true, true);
    next(parser);
    if (are->look_count == are->look_cap) {
        are->look_cap = are->look_cap ? 2 * are->look_cap : 4;
        are->looks = kp_realloc(are->looks, are->look_cap * sizeof *are->looks);
    }
    are->looks[are->look_count] = (struct are_lookaround){.kind = kind, .branches = branches};
    return new_node(parser, ARE_LOOK, (uint32_t)are->look_count++);
}

static struct are_node *parse_character(struct parser *parser)
{
    struct are_set set = {0};
    kp_are_set_add_character(&set, parser->lexer.value, folds(parser));
    next(parser);
    return set_node(parser, &set);
}

static struct are_node *parse_shorthand(struct parser *parser)
{
    struct are_set set = {0};
    kp_are_set_add_class(&set, (enum are_class)parser->lexer.value, folds(parser));
    if (sees(parser, ARE_T_SHORTHAND_NOT))
        kp_are_set_complement(&set);
    next(parser);
    return set_node(parser, &set);
}

static struct are_node *parse_any(struct parser *parser)
{
    struct are_set set = {0};
    if (parser->lexer.flags & KP_ARE_NEWLINE_STOPS)
        kp_are_set_add(&set, '\n', '\n');
    kp_are_set_complement(&set);
    next(parser);
    return set_node(parser, &set);
}

static struct are_node *parse_condition(struct parser *parser)
{
    uint32_t value = parser->lexer.value;
    struct are_node *node = new_node(parser, ARE_CONDITION, value);
    if (value == ARE_LINE_BEGIN || value == ARE_LINE_END_AHEAD)
        parser->are->lines = true;
    else if (value != ARE_TEXT_BEGIN && value != ARE_TEXT_END)
        parser->are->words = true;
    next(parser);
    return node;
}

static struct are_node *parse_atom(struct parser *parser, bool look)
{
    switch (parser->lexer.type) {
    case ARE_T_CONDITION:
        return parse_condition(parser);
    case ARE_T_LOOK:
        return parse_look(parser);
    case ARE_T_SHORTHAND:
    case ARE_T_SHORTHAND_NOT:
        return parse_shorthand(parser);
    case ARE_T_REFERENCE:
        return parse_reference(parser, look);
    case '[':
        return parse_brackets(parser);
    case '.':
        return parse_any(parser);
    case '(':
        return parse_group(parser, look);
    case ')':
        if ((parser->lexer.flags & KP_ARE_ADVANCED) == KP_ARE_EXTENDED)
            return parse_character(parser);
        kp_are_lexer_fail(&parser->lexer, ARE_BAD_PAREN);
        return NULL;
    case ARE_T_PLAIN:
        return parse_character(parser);
    default:
        kp_are_lexer_fail(&parser->lexer, ARE_BAD_QUANTIFIER);
        return NULL;
    }
}

/* ---- quantifiers, branches ---- */

static uint16_t parse_number(struct parser *parser)
{
    unsigned number = 0;
    for (; sees(parser, ARE_T_DIGIT) && number < ARE_REPEAT_MAX; next(parser))
        number = number * 10 + parser->lexer.value;
    if (sees(parser, ARE_T_DIGIT) || number > ARE_REPEAT_MAX)
        kp_are_lexer_fail(&parser->lexer, ARE_BAD_COUNT);
    return (uint16_t)KP_MIN(number, (unsigned)ARE_REPEAT_MAX);
}

static void parse_counts(struct parser *parser, struct are_node *node)
{
    next(parser);
    node->min = node->max = parse_number(parser);
    bool two = sees(parser, ',');
    if (two) {
        next(parser);
        node->max = sees(parser, ARE_T_DIGIT) ? parse_number(parser) : ARE_INFINITE;
        if (node->min > node->max)
            kp_are_lexer_fail(&parser->lexer, ARE_BAD_COUNT);
    }
    if (!sees(parser, '}'))
        kp_are_lexer_fail(&parser->lexer, ARE_BAD_COUNT);
    else if (two) /* {m} leaves the preference to what is repeated */
        node->prefer = parser->lexer.value ? ARE_LONGER : ARE_SHORTER;
    next(parser);
}

static void parse_quantifier(struct parser *parser, struct are_node *node)
{
    int type = parser->lexer.type;
    if (type == '{') {
        parse_counts(parser, node);
    } else if (type == '*' || type == '+' || type == '?') {
        node->min = type == '+';
        node->max = type == '?' ? 1 : ARE_INFINITE;
        node->prefer = parser->lexer.value ? ARE_LONGER : ARE_SHORTER;
        next(parser);
    }
}

static struct are_node *parse_branch(struct parser *parser, bool look, bool inside)
{
    struct are_node *branch = new_node(parser, ARE_BRANCH, 0), **end = &branch->child;
    while (!sees(parser, '|') && !sees(parser, ARE_T_END) && !(inside && sees(parser, ')'))) {
        struct are_node *item = parse_atom(parser, look);
        if (!item)
            break;
        if (item->kind != ARE_CONDITION && item->kind != ARE_LOOK)
            parse_quantifier(parser, item);
        *end = item;
        end = &item->next;
    }
    return branch;
}

static struct are_node *parse_branches(struct parser *parser, bool look, bool inside)
{
    struct are_node *first = NULL, **end = &first;
    bool more;
    if (++parser->depth > ARE_DEPTH_MAX)
        kp_are_lexer_limit(&parser->lexer, "regular expression is nested too deeply");
    do {
        *end = parse_branch(parser, look, inside);
        end = &(*end)->next;
        more = sees(parser, '|');
        if (more)
            next(parser);
    } while (more);
    if (inside && !sees(parser, ')'))
        kp_are_lexer_fail(&parser->lexer, ARE_BAD_PAREN);
    parser->depth--;
    return first;
}

bool kp_are_parse(struct kp_are *are, struct kp_str pattern, struct kp_are_refusal *ret_refusal)
{
    struct parser parser = {.are = are};
    uint32_t *characters = kp_alloc((pattern.len + 1) * sizeof *characters);
    size_t count = 0;
    for (const char *at = pattern.ptr; at < pattern.ptr + pattern.len;)
        characters[count++] = kp_utf8_next(&at);
    kp_are_lexer_start(&parser.lexer, characters, count, are->flags);
    if (count > ARE_CHARACTERS_MAX)
        kp_are_lexer_limit(&parser.lexer, "regular expression is too long");
    if (!failed(&parser))
        are->branches = parse_branches(&parser, false, false);
    are->flags = parser.lexer.flags;
    are->group_count = parser.lexer.groups;
    kp_free(parser.closed);
    kp_free(characters);
    if (failed(&parser))
        *ret_refusal = (struct kp_are_refusal){parser.lexer.error.sqlstate, parser.lexer.error.message};
    return !failed(&parser);
}
