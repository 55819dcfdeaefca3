// RE2 for C. Nothing here throws: RE2 reports errors in its objects.
#include "decode/re2_shim.h"

#include <cstdio>
#include <new>
#include <string>

#include <re2/re2.h>

struct kp_regex {
    re2::RE2 re;
    kp_regex(const re2::StringPiece &pattern, const re2::RE2::Options &options) : re(pattern, options)
    {
    }
};

extern "C" struct kp_regex *kp_regex_create(const char *pattern, size_t len, bool fold_case, char *error,
                                            size_t error_bytes)
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_longest_match(true);
    options.set_case_sensitive(!fold_case);
    options.set_dot_nl(true);
    options.set_max_mem(4 << 20);
    kp_regex *regex = new (std::nothrow) kp_regex(re2::StringPiece(pattern, len), options);
    if (regex && regex->re.ok())
        return regex;
    snprintf(error, error_bytes, "%s", regex ? regex->re.error().c_str() : "out of memory");
    delete regex;
    return nullptr;
}

extern "C" void kp_regex_destroy(struct kp_regex *regex)
{
    delete regex;
}

extern "C" bool kp_regex_search(const struct kp_regex *regex, const char *text, size_t len, size_t start,
                                size_t *groups, unsigned group_count)
{
    re2::StringPiece found[KP_REGEX_GROUPS_MAX];
    re2::StringPiece whole(text ? text : "", len);
    if (group_count > KP_REGEX_GROUPS_MAX)
        group_count = KP_REGEX_GROUPS_MAX;
    if (!regex->re.Match(whole, start, len, re2::RE2::UNANCHORED, found, static_cast<int>(group_count)))
        return false;
    for (unsigned i = 0; i < group_count; i++) {
        bool took_part = found[i].data() != nullptr;
        groups[2 * i] = took_part ? static_cast<size_t>(found[i].data() - whole.data()) : static_cast<size_t>(-1);
        groups[2 * i + 1] = took_part ? groups[2 * i] + found[i].size() : static_cast<size_t>(-1);
    }
    return true;
}

extern "C" unsigned kp_regex_groups(const struct kp_regex *regex)
{
    return static_cast<unsigned>(regex->re.NumberOfCapturingGroups());
}

extern "C" int kp_regex_group_named(const struct kp_regex *regex, const char *name, size_t len)
{
    const auto &names = regex->re.NamedCapturingGroups();
    const auto found = names.find(std::string(name, len));
    return found == names.end() ? -1 : found->second;
}
