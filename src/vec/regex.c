/*
 * Patterns of rows: compiled, searched, replaced, split at. What they mean is PostgreSQL's (are.h).
 *
 * A compiled pattern also knows what it has learnt of texts (are_dfa.c), so it is worth keeping: a kernel gives what it
 * had back, and the next one that asks for the same, on any thread, takes it from there.
 *
 *   kept   oldest ─► … ─► given back last        KP_PATTERNS_KEPT at most, and KP_PATTERNS_KEPT_BYTES_MAX; what is in
 *                                                use is not in it
 */
#include "vec/regex.h"

#include "base/limits.h"
#include "os/thread.h"

enum {
    REPLACEMENT_GROUPS = 9,
    REPLACED_BYTES_MAX = 4 * KP_RECORD_BYTES_MAX /* a longer one is refused behind the kernel (flow/eval.c) */
};

static struct {
    struct kp_once once;
    struct kp_mutex mutex;
    struct kp_compiled items[KP_PATTERNS_KEPT];
    uint32_t count;
    size_t bytes; /* of all items */
    uint64_t compiled;
} kept = {.once = KP_ONCE_INIT};

static void start(void)
{
    kp_mutex_init(&kept.mutex);
}

static void lock(void)
{
    kp_once_run(&kept.once, start);
    kp_mutex_lock(&kept.mutex);
}

static bool is_same(const struct kp_compiled *compiled, struct kp_str pattern, unsigned flags)
{
    return compiled->are && compiled->flags == flags &&
           kp_str_equal((struct kp_str){compiled->text, compiled->len}, pattern);
}

static void destroy(struct kp_compiled *compiled)
{
    kp_are_destroy(compiled->are);
    kp_free(compiled->text);
    kp_free(compiled->groups);
    *compiled = (struct kp_compiled){0};
}

/* Under the lock. */
static struct kp_compiled take(uint32_t i)
{
    struct kp_compiled taken = kept.items[i];
    kept.count--;
    kept.bytes -= taken.bytes;
    memmove(&kept.items[i], &kept.items[i + 1], (kept.count - i) * sizeof *kept.items);
    return taken;
}

/* Out of the kept ones; false: there is none. */
static bool take_kept(struct kp_str pattern, unsigned flags, struct kp_compiled *ret_compiled)
{
    lock();
    uint32_t i = kept.count;
    while (i > 0 && !is_same(&kept.items[i - 1], pattern, flags))
        i--;
    if (i > 0)
        *ret_compiled = take(i - 1);
    kept.compiled += i == 0;
    kp_mutex_unlock(&kept.mutex);
    return i > 0;
}

static void keep(struct kp_compiled *compiled)
{
    struct kp_compiled gone[KP_PATTERNS_KEPT];
    uint32_t gone_count = 0;
    compiled->bytes = kp_are_bytes(compiled->are);
    if (compiled->len > KP_PATTERN_KEPT_BYTES_MAX || compiled->bytes > KP_PATTERNS_KEPT_BYTES_MAX) {
        destroy(compiled);
        return;
    }
    lock();
    while (kept.count == KP_PATTERNS_KEPT || kept.bytes + compiled->bytes > KP_PATTERNS_KEPT_BYTES_MAX)
        gone[gone_count++] = take(0);
    kept.items[kept.count++] = *compiled;
    kept.bytes += compiled->bytes;
    kp_mutex_unlock(&kept.mutex);
    *compiled = (struct kp_compiled){0};
    for (uint32_t i = 0; i < gone_count; i++)
        destroy(&gone[i]);
}

size_t kp_patterns_kept_bytes(void)
{
    lock();
    size_t bytes = kept.bytes;
    kp_mutex_unlock(&kept.mutex);
    return bytes;
}

uint64_t kp_patterns_compiled(void)
{
    lock();
    uint64_t compiled = kept.compiled;
    kp_mutex_unlock(&kept.mutex);
    return compiled;
}

bool kp_pattern_compile(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str pattern,
                        unsigned flags, struct kp_pattern *compiled)
{
    compiled->call = call;
    compiled->out = out;
    compiled->row = row;
    struct kp_compiled *own = &compiled->compiled;
    if (is_same(own, pattern, flags))
        return true;
    kp_pattern_finish(compiled);
    if (out && kp_vec_is_null(out, row))
        return false;
    struct kp_are_refusal refusal;
    if (!take_kept(pattern, flags, own)) {
        own->are = kp_are_create(pattern, flags, &refusal);
        if (!own->are) {
            kp_call_fail(call, row, refusal.sqlstate, "invalid regular expression: %s", refusal.message);
            return false;
        }
        own->text = kp_strndup(pattern.ptr ? pattern.ptr : "", pattern.len);
        own->len = pattern.len;
        own->flags = flags;
        own->groups = kp_alloc(2 * ((size_t)kp_are_groups(own->are) + 1) * sizeof *own->groups);
    }
    compiled->groups = own->groups;
    return true;
}

void kp_pattern_finish(struct kp_pattern *pattern)
{
    if (pattern->compiled.are)
        keep(&pattern->compiled);
    pattern->groups = NULL;
}

static bool search(struct kp_pattern *pattern, struct kp_str text, size_t at, unsigned groups)
{
    switch (kp_are_search(pattern->compiled.are, text, at, pattern->groups, groups, pattern->call->arena)) {
    case KP_ARE_NONE:
        return false;
    case KP_ARE_FOUND:
        return true;
    case KP_ARE_TOO_LONG:
        if (!pattern->out || !kp_vec_is_null(pattern->out, pattern->row))
            kp_call_fail(pattern->call, pattern->row, "54000",
                         "a regular expression takes too many steps in a text of %zu bytes", text.len);
        return false;
    case KP_ARE_TOO_LARGE:
        if (!pattern->out || !kp_vec_is_null(pattern->out, pattern->row))
            kp_call_fail(pattern->call, pattern->row, "54000",
                         "invalid regular expression: regular expression is too complex");
        return false;
    }
    return false;
}

bool kp_pattern_search(struct kp_pattern *pattern, struct kp_str text, size_t at, unsigned last_group)
{
    return search(pattern, text, at, KP_MIN(last_group, kp_pattern_groups(pattern)) + 1);
}

bool kp_pattern_matches(struct kp_pattern *pattern, struct kp_str text)
{
    return search(pattern, text, 0, 0);
}

size_t kp_pattern_behind(const struct kp_pattern *pattern, struct kp_str text)
{
    size_t next = pattern->groups[1];
    if (pattern->groups[0] == pattern->groups[1]) {
        next++;
        while (next < text.len && ((unsigned char)text.ptr[next] & 0xc0) == 0x80)
            next++;
    }
    return next;
}

bool kp_pattern_flags(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str letters,
                      unsigned *flags, bool *global)
{
    for (size_t i = 0; i < letters.len; i++) {
        if (letters.ptr[i] == 'g' && global) {
            *global = true;
        } else if (!kp_are_option(flags, letters.ptr[i])) {
            size_t len = 1;
            while (i + len < letters.len && ((uint8_t)letters.ptr[i + len] & 0xc0) == 0x80)
                len++;
            if (!out || !kp_vec_is_null(out, row))
                kp_call_fail(call, row, "22023", "invalid regular expression option: \"%.*s\"", (int)len,
                             letters.ptr + i);
            return false;
        }
    }
    return true;
}

/* The group that a replacement's text refers to at i, 0 the whole; -1: none. */
static int referred(struct kp_str by, size_t i)
{
    char next = i + 1 < by.len ? by.ptr[i + 1] : 0;
    return by.ptr[i] != '\\' ? -1 : next == '&' ? 0 : next >= '1' && next <= '9' ? next - '0' : -1;
}

static void append_replacement(struct kp_buf *buf, const struct kp_pattern *pattern, struct kp_str text,
                               struct kp_str by)
{
    for (size_t i = 0; i < by.len; i++) {
        int group = referred(by, i);
        if (group >= 0) {
            if ((unsigned)group <= kp_pattern_groups(pattern))
                kp_buf_append_str(buf, kp_pattern_group(pattern, text, (unsigned)group));
            i++;
        } else {
            kp_buf_append_byte(buf, (uint8_t)by.ptr[i]);
            i += by.ptr[i] == '\\' && i + 1 < by.len && by.ptr[i + 1] == '\\';
        }
    }
}

void kp_pattern_replace(struct kp_pattern *pattern, struct kp_str text, struct kp_str by, size_t from, int32_t n,
                        struct kp_buf *out)
{
    size_t copied = 0, at = from;
    bool refers = by.len && memchr(by.ptr, '\\', by.len);
    for (int32_t found = 1; at <= text.len && out->len <= REPLACED_BYTES_MAX &&
                            kp_pattern_search(pattern, text, at, refers ? REPLACEMENT_GROUPS : 0);
         found++) {
        if (n == 0 || found == n) {
            kp_buf_append(out, text.ptr + copied, pattern->groups[0] - copied);
            append_replacement(out, pattern, text, by);
            copied = pattern->groups[1];
        }
        at = kp_pattern_behind(pattern, text);
        if (n && found >= n)
            break;
    }
    if (copied < text.len)
        kp_buf_append(out, text.ptr + copied, text.len - copied);
}

bool kp_pieces_next(struct kp_pieces *pieces, struct kp_pattern *pattern, struct kp_str *ret_piece)
{
    if (pieces->done)
        return false;
    while (pieces->at <= pieces->text.len && kp_pattern_search(pattern, pieces->text, pieces->at, 0)) {
        size_t begin = pattern->groups[0], end = pattern->groups[1];
        pieces->at = kp_pattern_behind(pattern, pieces->text);
        if (begin == end && (begin == pieces->from || begin >= pieces->text.len))
            continue;
        *ret_piece = (struct kp_str){pieces->text.ptr + pieces->from, begin - pieces->from};
        pieces->from = end;
        return true;
    }
    *ret_piece = (struct kp_str){pieces->text.ptr + pieces->from, pieces->text.len - pieces->from};
    pieces->done = true;
    return true;
}
