/* Rates of the kernels that every query runs: comparison, arithmetic, hashing, sums. Million rows a second, one thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "os/os.h"
#include "vec/agg.h"
#include "vec/numeric.h"

enum { ROWS = 8192, REPEATS = 2000 };

static struct kp_arena arena;

static const struct kp_func *find(const char *symbol, enum kp_type_id a, enum kp_type_id b)
{
    size_t count;
    const struct kp_func *const *funcs = kp_func_find(KP_FUNC_OPERATOR, kp_str(symbol), &count);
    for (size_t i = 0; i < count; i++)
        if (funcs[i]->arg_count == 2 && funcs[i]->args[0] == a && funcs[i]->args[1] == b)
            return funcs[i];
    kp_fatal("no such operator", __FILE__, __LINE__);
}

static void fill(struct kp_vec *vec, enum kp_type_id type)
{
    kp_vec_init(vec, &arena, KP_TYPE(type), ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint64_t random = kp_hash_u64(i + 1) % 1000 + 1;
        switch (type) {
        case KP_INT4:
            ((int32_t *)vec->data)[i] = (int32_t)random;
            break;
        case KP_FLOAT8:
            ((double *)vec->data)[i] = (double)random / 100;
            break;
        case KP_NUMERIC:
            ((struct kp_numeric *)vec->data)[i] = kp_numeric_small((int64_t)random, 2);
            break;
        case KP_TEXT: {
            const char *text = kp_arena_printf(&arena, "%s%u", random % 2 ? "key " : "a longer key ", (unsigned)random);
            ((struct kp_text *)vec->data)[i] = kp_text_make(text, strlen(text));
            break;
        }
        default:
            ((int64_t *)vec->data)[i] = (int64_t)random;
        }
    }
}

static double seconds_since(int64_t start_ns)
{
    struct kp_os *os = kp_os_real();
    return (double)(os->mono_ns(os->ctx) - start_ns) / 1e9;
}

static void report(const char *what, enum kp_type_id type, int64_t start_ns, double repeats)
{
    printf("%-28s %-10s %9.0f M rows/s\n", what, kp_type_info(type)->short_name,
           ROWS * repeats / seconds_since(start_ns) / 1e6);
}

static void bench_operator(const char *symbol, enum kp_type_id type, bool constant)
{
    const struct kp_func *func = find(symbol, type, type);
    struct kp_os *os = kp_os_real();
    struct kp_vec a, b, out;
    fill(&a, type);
    fill(&b, type);
    b.constant = constant;
    kp_vec_init(&out, &arena, KP_TYPE(func->ret), ROWS);
    const struct kp_vec *args[] = {&a, &b};
    int64_t start = os->mono_ns(os->ctx);
    for (int i = 0; i < REPEATS; i++) {
        struct kp_call call = {.arena = &arena, .rows = ROWS, .arg_count = 2, .type = out.type};
        func->kernel(&call, args, &out);
    }
    char what[64];
    snprintf(what, sizeof what, "%s %s", symbol, constant ? "constant" : "column");
    report(what, type, start, REPEATS);
    kp_arena_reset(&arena);
}

static void bench_hash(enum kp_type_id type)
{
    struct kp_os *os = kp_os_real();
    struct kp_vec vec;
    fill(&vec, type);
    uint64_t *hashes = kp_arena_alloc(&arena, ROWS * sizeof *hashes);
    int64_t start = os->mono_ns(os->ctx);
    for (int i = 0; i < REPEATS; i++)
        kp_vec_hash(&vec, ROWS, hashes, true);
    report("hash", type, start, REPEATS);
    kp_arena_reset(&arena);
}

static void bench_aggregate(const char *name, enum kp_type_id type)
{
    struct kp_os *os = kp_os_real();
    size_t count;
    const struct kp_agg *const *aggs = kp_agg_find(kp_str(name), &count);
    const struct kp_agg *agg = aggs[0];
    for (size_t i = 0; i < count; i++)
        if (aggs[i]->args[0] == type)
            agg = aggs[i];
    const struct kp_agg_impl *impl = agg->growing;
    struct kp_vec vec;
    fill(&vec, type);
    void *memory = kp_arena_calloc(&arena, (size_t)impl->state_bytes * 64),
         **states = kp_arena_alloc(&arena, ROWS * sizeof *states);
    for (uint32_t i = 0; i < ROWS; i++)
        states[i] = (char *)memory + i % 64 * impl->state_bytes;
    const struct kp_vec *args[] = {&vec};
    struct kp_agg_call call = {.call = {.arena = &arena}, .arg_types = {KP_TYPE(type)}, .arg_count = 1};
    int64_t start = os->mono_ns(os->ctx);
    for (int i = 0; i < REPEATS / 4; i++)
        impl->update(&call, states, args, NULL, ROWS);
    report(name, type, start, REPEATS / 4.0);
    for (int i = 0; impl->destroy && i < 64; i++)
        impl->destroy(&call, states[i]);
    kp_arena_reset(&arena);
}

int main(void)
{
    static const enum kp_type_id types[] = {KP_INT4, KP_INT8, KP_TIMESTAMP, KP_FLOAT8, KP_NUMERIC, KP_TEXT};
    for (size_t i = 0; i < KP_COUNT(types); i++) {
        bench_operator("=", types[i], true);
        bench_operator("<", types[i], true);
        bench_operator("<", types[i], false);
    }
    static const enum kp_type_id numbers[] = {KP_INT4, KP_INT8, KP_FLOAT8, KP_NUMERIC};
    static const char *const symbols[] = {"+", "*", "/"};
    for (size_t i = 0; i < KP_COUNT(numbers); i++)
        for (size_t s = 0; s < KP_COUNT(symbols); s++)
            bench_operator(symbols[s], numbers[i], true);
    bench_operator("%", KP_INT8, true);
    for (size_t i = 0; i < KP_COUNT(types); i++)
        bench_hash(types[i]);
    bench_aggregate("sum", KP_INT4);
    bench_aggregate("sum", KP_INT8);
    bench_aggregate("sum", KP_FLOAT8);
    bench_aggregate("sum", KP_NUMERIC);
    bench_aggregate("max", KP_INT8);
    bench_aggregate("max", KP_TEXT);
    kp_arena_finish(&arena);
    return 0;
}
