/*
 * The shim over libsimdjson 3.0.1, On Demand. Stage 1 (the library's, chosen at run time for this processor) checks
 * UTF-8, control bytes and quotes and finds the tokens; the walk checks the grammar between them, because On Demand
 * alone checks only what it is asked for.
 *
 * Invariant: after an error the parser's document is not touched again.
 */
#include "decode/simdjson_shim.h"

#include <new>

#include <simdjson.h>

using namespace simdjson;

struct kp_simdjson {
    ondemand::parser parser;
};

namespace
{

struct walk {
    const kp_simdjson_visitor *visitor;
    unsigned depth_left;
    const char *reason;
};

bool fail(walk &w, error_code error)
{
    w.reason = error_message(error);
    return false;
}

bool walk_object(walk &w, ondemand::object object, bool give);

size_t token_length(std::string_view token)
{
    size_t len = token.size();
    while (len > 1 &&
           (token[len - 1] == ' ' || token[len - 1] == '\n' || token[len - 1] == '\r' || token[len - 1] == '\t'))
        len--;
    return len;
}

bool walk_array(walk &w, ondemand::array array);

/* Checks a value; for the members of an array and for what nobody wants. */
bool walk_value(walk &w, ondemand::value value, std::string_view token, bool give)
{
    if (token[0] == '{') {
        ondemand::object object;
        if (auto error = value.get_object().get(object))
            return fail(w, error);
        return walk_object(w, object, give);
    }
    if (token[0] == '[') {
        ondemand::array array;
        if (auto error = value.get_array().get(array))
            return fail(w, error);
        return walk_array(w, array);
    }
    if (!w.visitor->scalar(token.data(), token_length(token))) {
        w.reason = "invalid string, number or literal";
        return false;
    }
    return true;
}

bool walk_array(walk &w, ondemand::array array)
{
    if (w.depth_left == 0) {
        w.reason = "nested too deeply";
        return false;
    }
    w.depth_left--;
    for (auto item : array) {
        ondemand::value value;
        if (auto error = item.get(value))
            return fail(w, error);
        if (!walk_value(w, value, value.raw_json_token(), false))
            return false;
    }
    w.depth_left++;
    return true;
}

/* The length of a key that stage 1 has found to be closed. */
size_t key_length(const char *key)
{
    const char *at = key;
    while (*at != '"')
        at += *at == '\\' ? 2 : 1;
    return static_cast<size_t>(at - key);
}

bool walk_object(walk &w, ondemand::object object, bool give)
{
    if (w.depth_left == 0) {
        w.reason = "nested too deeply";
        return false;
    }
    w.depth_left--;
    for (auto item : object) {
        ondemand::field field;
        if (auto error = std::move(item).get(field))
            return fail(w, error);
        const char *key = field.key().raw();
        size_t key_len = key_length(key);
        if (memchr(key, '\\', key_len) && !w.visitor->scalar(key - 1, key_len + 2)) {
            w.reason = "invalid escape in a name";
            return false;
        }
        ondemand::value value = field.value();
        std::string_view token = value.raw_json_token();
        bool container = token[0] == '{' || token[0] == '[';
        bool enter =
            give && w.visitor->member(w.visitor->arg, key, key_len, token.data(), container ? 1 : token_length(token));
        if (!walk_value(w, value, token, enter))
            return false;
    }
    w.depth_left++;
    if (give)
        w.visitor->leave(w.visitor->arg);
    return true;
}

} // namespace

struct kp_simdjson *kp_simdjson_create(void)
{
    return new (std::nothrow) kp_simdjson;
}

void kp_simdjson_destroy(struct kp_simdjson *parser)
{
    delete parser;
}

bool kp_simdjson_walk(struct kp_simdjson *parser, const char *text, size_t len, unsigned depth_max,
                      const struct kp_simdjson_visitor *visitor, const char **ret_reason)
{
    walk w{visitor, depth_max, nullptr};
    ondemand::document document;
    ondemand::object object;
    error_code error = parser->parser.iterate(text, len, len + SIMDJSON_PADDING).get(document);
    if (!error)
        error = document.get_object().get(object);
    bool ok = !error && walk_object(w, object, true);
    if (error)
        w.reason = error_message(error);
    if (ok && document.current_location().error() != OUT_OF_BOUNDS) {
        w.reason = "more text behind the value";
        ok = false;
    }
    if (!ok)
        *ret_reason = w.reason;
    return ok;
}
