/*
 * Scalar functions, operators and casts: what sql/ looks up by name and types and flow/ runs on vectors.
 *
 * A family is a file src/vec/fn_<family>.c with one KP_FUNCTIONS table; being linked is being registered. A kernel
 * computes a whole vector. For a STRICT function the caller has prepared: out->data for `rows` values, out->valid as
 * the intersection of the arguments' (NULL pointer if none has NULLs), and will ignore values and errors under NULLs,
 * so the kernel just computes everywhere. A non-strict kernel finds out->valid NULL and makes its own
 * (kp_vec_need_valid). Arguments may be constant vectors: use KP_STRIDE or kp_call_flat.
 */
#ifndef KP_VEC_FUNC_H
#define KP_VEC_FUNC_H

#include "vec/vec.h"

enum { KP_FUNCTION_ARGS_MAX = 8 };

/* One row's failure: 1/0, overflow, a bad cast. */
struct kp_row_error {
    uint32_t row;
    char sqlstate[6];
    const char *message;       /* in the call's arena */
    const char *detail, *hint; /* there too; NULL: none */
};

/* Settings that a function's answer depends on, frozen into a view's catalog record. */
struct kp_catalog_facts;
struct kp_session_settings {
    const struct kp_zone *zone;           /* TimeZone */
    const struct kp_catalog_facts *facts; /* of ad-hoc queries (vec/facts.h); NULL else */
    const struct kp_log_facts *log;       /* of queries and views; NULL else */
    /* log time at the position of the step, for now(); PostgreSQL's epoch, microseconds */
    int64_t now_us;
};

/* What a kernel gets besides its arguments. */
struct kp_call {
    struct kp_arena *arena; /* results live here: until the end of the step */
    const struct kp_session_settings *settings;
    uint32_t rows;
    uint32_t arg_count;
    void *prepared;      /* what prepare made of constant arguments, or NULL */
    struct kp_type type; /* the result's, with modifier */
    struct kp_row_error *errors;
    uint32_t error_count, error_cap;
};

/* Notes that a row fails; its value is ignored. The message is formatted into the arena. */
void kp_call_fail(struct kp_call *call, uint32_t row, const char *sqlstate, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same with the detail and the hint that the error has. */
void kp_call_fail_with(struct kp_call *call, uint32_t row, const struct kp_error *err);
/* Adds to the last one: detail, hint, or NULL. */
void kp_call_explain(struct kp_call *call, const char *detail, const char *hint);

typedef void (*kp_kernel)(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out);

enum kp_func_kind { KP_FUNC_FUNCTION, KP_FUNC_OPERATOR, KP_FUNC_CAST };
enum kp_func_flags {
    KP_STRICT = 1,   /* NULL in, NULL out */
    KP_CAN_FAIL = 2, /* some rows may fail: guards must evaluate it on their rows only */
    KP_STABLE = 4,   /* depends on settings (time zone): frozen in views */
    KP_VOLATILE = 8, /* refused in views */
    KP_CAST_IMPLICIT = 16,
    KP_CAST_ASSIGNMENT = 32,
    KP_MONOTONE = 64,  /* in its first argument */
    KP_VARIADIC = 128, /* the last argument repeats */
    KP_PATTERN = 256   /* text, pattern, …: a constant pattern is tried out on an empty text when a view is made */
};

struct kp_func {
    const char *name; /* "upper"; an operator's symbol "+"; a cast's is its target's short name */
    enum kp_func_kind kind;
    unsigned flags;
    uint8_t arg_count; /* unary operators have 1: prefix */
    enum kp_type_id args[KP_FUNCTION_ARGS_MAX];
    enum kp_type_id ret; /* KP_ANYELEMENT: that of the arguments */
    kp_kernel kernel;
    /* Called once per call site in a plan, args[i] NULL unless constant: may compile a pattern. Result in arena. */
    void *(*prepare)(struct kp_arena *arena, const struct kp_datum *const *args, uint32_t arg_count);
    const char *doc; /* one line */
};

struct kp_func_family {
    const char *name;
    const struct kp_func *funcs;
    size_t count;
};

#define KP_FUNCTIONS(family_name, table)                                                                               \
    static const struct kp_func_family kp_family_##family_name = {#family_name, table, KP_COUNT(table)};               \
    __attribute__((section("kp_func_entries"),                                                                         \
                   used)) static const struct kp_func_family *const kp_family_##family_name##_entry =                  \
        &kp_family_##family_name

/* All families in order of name; built on first use, thread safe. */
const struct kp_func_family *const *kp_func_families(size_t *ret_count);
/* All functions of a name and kind: candidates for resolution. ret_count 0 if none. The array lives for ever. */
const struct kp_func *const *kp_func_find(enum kp_func_kind kind, struct kp_str name, size_t *ret_count);
/* The cast from one type to another, NULL if there is none. Same type with another typmod: the length coercion. */
const struct kp_func *kp_func_find_cast(enum kp_type_id from, enum kp_type_id to);

/* Stride of an argument: 0 for a constant, 1 else: a[i * KP_STRIDE(arg)]. */
#define KP_STRIDE(vec) ((vec)->constant ? (size_t)0 : (size_t)1)

#endif
