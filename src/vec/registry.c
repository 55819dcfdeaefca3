/*
 * What is linked is registered: each family puts a pointer to its table into the linker section kp_func_entries,
 * kp_agg_entries or kp_set_entries (no function may have a section's name: the assembler confuses them), and this file
 * reads the sections between the symbols the linker makes for them. On first use the families are sorted by name (link
 * order must not matter) and an index of (kind, name) is built; it lives for ever.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/thread.h"
#include "vec/agg.h"
#include "vec/set.h"

extern const struct kp_func_family *const __start_kp_func_entries[] __attribute__((weak, visibility("hidden")));
extern const struct kp_func_family *const __stop_kp_func_entries[] __attribute__((weak, visibility("hidden")));
extern const struct kp_agg_family *const __start_kp_agg_entries[] __attribute__((weak, visibility("hidden")));
extern const struct kp_agg_family *const __stop_kp_agg_entries[] __attribute__((weak, visibility("hidden")));
extern const struct kp_set_family *const __start_kp_set_entries[] __attribute__((weak, visibility("hidden")));
extern const struct kp_set_family *const __stop_kp_set_entries[] __attribute__((weak, visibility("hidden")));

static struct {
    struct kp_once once;
    const struct kp_func_family **families;
    size_t family_count;
    const struct kp_func **funcs; /* by kind, name, order of definition */
    size_t func_count;
    const struct kp_agg **aggs; /* by name, order of definition */
    size_t agg_count;
    const struct kp_set_func **sets; /* by name, order of definition */
    size_t set_count;
} registry = {.once = KP_ONCE_INIT};

static int family_order(const void *a, const void *b)
{
    const struct kp_func_family *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static int func_name_order(const struct kp_func *a, const struct kp_func *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int func_order(const void *a, const void *b)
{
    const struct kp_func *left = *(const struct kp_func *const *)a, *right = *(const struct kp_func *const *)b;
    int order = func_name_order(left, right);
    for (unsigned i = 0; !order && i < KP_FUNCTION_ARGS_MAX; i++)
        order = (left->args[i] > right->args[i]) - (left->args[i] < right->args[i]);
    return order ? order : (left > right) - (left < right);
}

static int agg_order(const void *a, const void *b)
{
    const struct kp_agg *left = *(const struct kp_agg *const *)a, *right = *(const struct kp_agg *const *)b;
    int order = strcmp(left->name, right->name);
    if (!order)
        order = (left->args[0] > right->args[0]) - (left->args[0] < right->args[0]);
    return order ? order : (left > right) - (left < right);
}

static int set_order(const void *a, const void *b)
{
    const struct kp_set_func *left = *(const struct kp_set_func *const *)a,
                             *right = *(const struct kp_set_func *const *)b;
    int order = strcmp(left->name, right->name);
    for (unsigned i = 0; !order && i < KP_FUNCTION_ARGS_MAX; i++)
        order = (left->args[i] > right->args[i]) - (left->args[i] < right->args[i]);
    return order ? order : (left > right) - (left < right);
}

static void build_sets(void)
{
    for (const struct kp_set_family *const *at = __start_kp_set_entries; at < __stop_kp_set_entries; at++)
        registry.set_count += (*at)->count;
    registry.sets = kp_calloc(registry.set_count + 1, sizeof(void *));
    size_t set = 0;
    for (const struct kp_set_family *const *at = __start_kp_set_entries; at < __stop_kp_set_entries; at++)
        for (size_t i = 0; i < (*at)->count; i++)
            registry.sets[set++] = &(*at)->funcs[i];
    qsort(registry.sets, registry.set_count, sizeof(void *), set_order);
}

static void build_funcs(void)
{
    for (const struct kp_func_family *const *at = __start_kp_func_entries; at < __stop_kp_func_entries; at++) {
        registry.family_count++;
        registry.func_count += (*at)->count;
    }
    registry.families = kp_calloc(registry.family_count + 1, sizeof(void *));
    registry.funcs = kp_calloc(registry.func_count + 1, sizeof(void *));
    size_t family = 0, func = 0;
    for (const struct kp_func_family *const *at = __start_kp_func_entries; at < __stop_kp_func_entries; at++) {
        registry.families[family++] = *at;
        for (size_t i = 0; i < (*at)->count; i++)
            registry.funcs[func++] = &(*at)->funcs[i];
    }
    qsort(registry.families, registry.family_count, sizeof(void *), family_order);
    qsort(registry.funcs, registry.func_count, sizeof(void *), func_order);
}

static void build(void)
{
    build_funcs();
    build_sets();
    for (const struct kp_agg_family *const *at = __start_kp_agg_entries; at < __stop_kp_agg_entries; at++)
        registry.agg_count += (*at)->count;
    registry.aggs = kp_calloc(registry.agg_count + 1, sizeof(void *));
    size_t agg = 0;
    for (const struct kp_agg_family *const *at = __start_kp_agg_entries; at < __stop_kp_agg_entries; at++)
        for (size_t i = 0; i < (*at)->count; i++)
            registry.aggs[agg++] = &(*at)->aggs[i];
    qsort(registry.aggs, registry.agg_count, sizeof(void *), agg_order);
}

const struct kp_func_family *const *kp_func_families(size_t *ret_count)
{
    kp_once_run(&registry.once, build);
    *ret_count = registry.family_count;
    return registry.families;
}

static int name_compare(const char *name, struct kp_str with)
{
    return kp_str_compare(kp_str(name), with);
}

const struct kp_func *const *kp_func_find(enum kp_func_kind kind, struct kp_str name, size_t *ret_count)
{
    kp_once_run(&registry.once, build);
    size_t low = 0, high = registry.func_count;
    while (low < high) { /* the first that is not less */
        size_t mid = (low + high) / 2;
        const struct kp_func *func = registry.funcs[mid];
        bool less = func->kind != kind ? func->kind < kind : name_compare(func->name, name) < 0;
        if (less)
            low = mid + 1;
        else
            high = mid;
    }
    size_t end = low;
    while (end < registry.func_count && registry.funcs[end]->kind == kind &&
           name_compare(registry.funcs[end]->name, name) == 0)
        end++;
    *ret_count = end - low;
    return registry.funcs + low;
}

const struct kp_func *kp_func_find_cast(enum kp_type_id from, enum kp_type_id to)
{
    size_t count;
    const char *name = kp_type_is_array(to)       ? "anyarray"
                       : kp_type_is_enum(to)      ? "anyenum"
                       : kp_type_is_composite(to) ? "record"
                                                  : kp_type_info(to)->short_name;
    if (kp_type_is_array(from))
        from = KP_ANYARRAY;
    else if (kp_type_is_enum(from))
        from = KP_ANYENUM;
    else if (kp_type_is_composite(from))
        from = KP_ANYRECORD;
    const struct kp_func *const *casts = kp_func_find(KP_FUNC_CAST, kp_str(name), &count);
    for (size_t i = 0; i < count; i++)
        if (casts[i]->args[0] == from)
            return casts[i];
    return NULL;
}

const struct kp_agg *const *kp_agg_find(struct kp_str name, size_t *ret_count)
{
    kp_once_run(&registry.once, build);
    size_t low = 0;
    while (low < registry.agg_count && name_compare(registry.aggs[low]->name, name) < 0)
        low++;
    size_t end = low;
    while (end < registry.agg_count && name_compare(registry.aggs[end]->name, name) == 0)
        end++;
    *ret_count = end - low;
    return registry.aggs + low;
}

const struct kp_agg *const *kp_agg_all(size_t *ret_count)
{
    kp_once_run(&registry.once, build);
    *ret_count = registry.agg_count;
    return registry.aggs;
}

const struct kp_set_func *const *kp_set_find(struct kp_str name, size_t *ret_count)
{
    kp_once_run(&registry.once, build);
    size_t low = 0;
    while (low < registry.set_count && name_compare(registry.sets[low]->name, name) < 0)
        low++;
    size_t end = low;
    while (end < registry.set_count && name_compare(registry.sets[end]->name, name) == 0)
        end++;
    *ret_count = end - low;
    return registry.sets + low;
}

const struct kp_set_func *const *kp_set_all(size_t *ret_count)
{
    kp_once_run(&registry.once, build);
    *ret_count = registry.set_count;
    return registry.sets;
}

void kp_call_fail(struct kp_call *call, uint32_t row, const char *sqlstate, const char *format, ...)
{
    if (call->error_count == call->error_cap) {
        uint32_t cap = call->error_cap ? call->error_cap * 2 : 16;
        struct kp_row_error *errors = kp_arena_alloc(call->arena, cap * sizeof *errors);
        if (call->error_count)
            memcpy(errors, call->errors, call->error_count * sizeof *errors);
        call->errors = errors;
        call->error_cap = cap;
    }
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct kp_row_error *error = &call->errors[call->error_count++];
    memset(error, 0, sizeof *error);
    error->row = row;
    strncpy(error->sqlstate, sqlstate, sizeof error->sqlstate - 1);
    error->message = kp_arena_strdup(call->arena, text);
}

void kp_call_explain(struct kp_call *call, const char *detail, const char *hint)
{
    struct kp_row_error *error = &call->errors[call->error_count - 1];
    error->detail = detail && *detail ? kp_arena_strdup(call->arena, detail) : error->detail;
    error->hint = hint && *hint ? kp_arena_strdup(call->arena, hint) : error->hint;
}

void kp_call_fail_with(struct kp_call *call, uint32_t row, const struct kp_error *err)
{
    kp_call_fail(call, row, err->sqlstate, "%s", err->message);
    kp_call_explain(call, err->detail, err->hint);
}
