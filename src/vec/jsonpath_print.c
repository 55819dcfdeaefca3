/*
 * A path's text, as PostgreSQL's jsonpath prints it: keys and variables in quotes, brackets around what binds no more
 * than what stands around it. What is printed reads back as the same path.
 */
#include "base/buf.h"
#include "vec/jsonpath.h"

static void print_node(const struct kp_path_node *node, bool as_step, bool brackets, struct kp_buf *out);

/* How much an operator binds; what is none binds most. */
static int binding(enum kp_path_kind kind)
{
    switch (kind) {
    case KP_PATH_OR:
        return 0;
    case KP_PATH_AND:
        return 1;
    case KP_PATH_EQ:
    case KP_PATH_NE:
    case KP_PATH_LT:
    case KP_PATH_LE:
    case KP_PATH_GT:
    case KP_PATH_GE:
    case KP_PATH_STARTS_WITH:
        return 2;
    case KP_PATH_ADD:
    case KP_PATH_SUB:
        return 3;
    case KP_PATH_MUL:
    case KP_PATH_DIV:
    case KP_PATH_MOD:
        return 4;
    case KP_PATH_PLUS:
    case KP_PATH_MINUS:
        return 5;
    default:
        return 6;
    }
}

static void print_operand(const struct kp_path_node *node, enum kp_path_kind around, struct kp_buf *out)
{
    print_node(node, false, binding(node->kind) <= binding(around), out);
}

static void print_binary(const struct kp_path_node *node, const char *symbol, struct kp_buf *out)
{
    print_operand(node->left, node->kind, out);
    kp_buf_printf(out, " %s ", symbol);
    print_operand(node->right, node->kind, out);
}

static void print_level(uint32_t level, struct kp_buf *out)
{
    if (level == UINT32_MAX)
        kp_buf_append_text(out, "last");
    else
        kp_buf_printf(out, "%u", level);
}

static void print_levels(const struct kp_path_node *node, struct kp_buf *out)
{
    kp_buf_append_text(out, "**");
    if (node->first == 0 && node->last == UINT32_MAX)
        return;
    kp_buf_append_byte(out, '{');
    print_level(node->first, out);
    if (node->first != node->last) {
        kp_buf_append_text(out, " to ");
        print_level(node->last, out);
    }
    kp_buf_append_byte(out, '}');
}

static void print_subscripts(const struct kp_path_node *node, struct kp_buf *out)
{
    kp_buf_append_byte(out, '[');
    for (uint32_t i = 0; i < node->subscript_count; i++) {
        kp_buf_append_text(out, i ? "," : "");
        print_node(node->subscripts[i].from, false, false, out);
        if (!node->subscripts[i].to)
            continue;
        kp_buf_append_text(out, " to ");
        print_node(node->subscripts[i].to, false, false, out);
    }
    kp_buf_append_byte(out, ']');
}

/* What stands in the words of a function around a predicate or path. */
static void print_within(const char *before, const struct kp_path_node *node, const char *behind, struct kp_buf *out)
{
    kp_buf_append_text(out, before);
    print_node(node, false, false, out);
    kp_buf_append_text(out, behind);
}

static void print_like(const struct kp_path_node *node, struct kp_buf *out)
{
    print_operand(node->left, node->kind, out);
    kp_buf_append_text(out, " like_regex ");
    kp_buf_append_json_string(out, node->text);
    if (node->first == 0)
        return;
    kp_buf_append_text(out, " flag \"");
    for (unsigned i = 0; i < 5; i++)
        if (node->first & 1u << i)
            kp_buf_append_byte(out, (uint8_t) "ismxq"[i]);
    kp_buf_append_byte(out, '"');
}

static void print_operator(const struct kp_path_node *node, struct kp_buf *out)
{
    static const char *const symbols[] = {[KP_PATH_ADD] = "+", [KP_PATH_SUB] = "-",
                                          [KP_PATH_MUL] = "*", [KP_PATH_DIV] = "/",
                                          [KP_PATH_MOD] = "%", [KP_PATH_AND] = "&&",
                                          [KP_PATH_OR] = "||", [KP_PATH_EQ] = "==",
                                          [KP_PATH_NE] = "!=", [KP_PATH_LT] = "<",
                                          [KP_PATH_LE] = "<=", [KP_PATH_GT] = ">",
                                          [KP_PATH_GE] = ">=", [KP_PATH_STARTS_WITH] = "starts with"};
    if (node->kind == KP_PATH_PLUS || node->kind == KP_PATH_MINUS) {
        kp_buf_append_byte(out, node->kind == KP_PATH_PLUS ? '+' : '-');
        print_operand(node->left, node->kind, out);
    } else if (node->kind == KP_PATH_LIKE_REGEX) {
        print_like(node, out);
    } else {
        print_binary(node, symbols[node->kind], out);
    }
}

static void print_start(const struct kp_path_node *node, struct kp_buf *out)
{
    switch (node->kind) {
    case KP_PATH_ROOT:
        kp_buf_append_byte(out, '$');
        break;
    case KP_PATH_CURRENT:
        kp_buf_append_byte(out, '@');
        break;
    case KP_PATH_LAST:
        kp_buf_append_text(out, "last");
        break;
    case KP_PATH_NULL:
        kp_buf_append_text(out, "null");
        break;
    case KP_PATH_BOOL:
        kp_buf_append_text(out, node->flag ? "true" : "false");
        break;
    case KP_PATH_VARIABLE:
        kp_buf_append_byte(out, '$');
        kp_buf_append_json_string(out, node->text);
        break;
    case KP_PATH_NOT:
        print_within("!(", node->left, ")", out);
        break;
    case KP_PATH_IS_UNKNOWN:
        print_within("(", node->left, ") is unknown", out);
        break;
    case KP_PATH_EXISTS:
        print_within("exists (", node->left, ")", out);
        break;
    default: /* numbers and strings, as JSON */
        kp_buf_append_str(out, node->text);
    }
}

static void print_step(const struct kp_path_node *node, struct kp_buf *out)
{
    static const char *const methods[] = {
        [KP_PATH_TYPE] = ".type()",        [KP_PATH_SIZE] = ".size()",   [KP_PATH_DOUBLE] = ".double()",
        [KP_PATH_CEILING] = ".ceiling()",  [KP_PATH_FLOOR] = ".floor()", [KP_PATH_ABS] = ".abs()",
        [KP_PATH_KEYVALUE] = ".keyvalue()"};
    switch (node->kind) {
    case KP_PATH_KEY:
        kp_buf_append_byte(out, '.');
        kp_buf_append_json_string(out, node->text);
        break;
    case KP_PATH_ANY_KEY:
        kp_buf_append_text(out, ".*");
        break;
    case KP_PATH_ANY_ITEM:
        kp_buf_append_text(out, "[*]");
        break;
    case KP_PATH_SUBSCRIPTS:
        print_subscripts(node, out);
        break;
    case KP_PATH_ANY:
        kp_buf_append_byte(out, '.');
        print_levels(node, out);
        break;
    case KP_PATH_FILTER:
        print_within("?(", node->left, ")", out);
        break;
    case KP_PATH_DATETIME:
        kp_buf_append_text(out, ".datetime(");
        kp_buf_append_str(out, node->left ? node->left->text : (struct kp_str){"", 0});
        kp_buf_append_byte(out, ')');
        break;
    default:
        kp_buf_append_text(out, methods[node->kind]);
    }
}

static void print_node(const struct kp_path_node *node, bool as_step, bool brackets, struct kp_buf *out)
{
    bool is_operator = node->kind >= KP_PATH_ADD && node->kind <= KP_PATH_LIKE_REGEX && node->kind != KP_PATH_NOT &&
                       node->kind != KP_PATH_IS_UNKNOWN && node->kind != KP_PATH_EXISTS;
    if (!is_operator) /* (1).type(): the point is not the number's */
        brackets = node->kind == KP_PATH_NUMBER && node->next;
    kp_buf_append_text(out, brackets ? "(" : "");
    if (as_step)
        print_step(node, out);
    else if (is_operator)
        print_operator(node, out);
    else
        print_start(node, out);
    kp_buf_append_text(out, brackets ? ")" : "");
    if (node->next)
        print_node(node->next, true, true, out);
}

void kp_path_print(const struct kp_path *path, struct kp_buf *out)
{
    kp_buf_append_text(out, path->strict ? "strict " : "");
    print_node(path->root, false, true, out);
}
