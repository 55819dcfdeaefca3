/*
 * Errors are values that the caller owns.
 *
 * A function that can fail returns enum kp_code and takes, last, a struct kp_error that it fills only when it
 * fails. KP_TRY passes a failure on; kp_error_context adds a clause ("reading topic bid: …") on the way up.
 * Nothing here allocates, so an error can be reported when memory is short.
 *
 * A broken invariant is not an error: KP_ASSERT stays on in release and ends in the host's hook (default: abort).
 */
#ifndef KP_BASE_ERROR_H
#define KP_BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#define KP_MUST __attribute__((warn_unused_result))

enum kp_code {
    KP_OK = 0,
    KP_INVALID,     /* the caller's input is wrong: text, value, name, protocol */
    KP_NOT_FOUND,   /* a name or thing that does not exist */
    KP_EXISTS,      /* a name or key that exists already */
    KP_UNSUPPORTED, /* well formed, but not something kappa does */
    KP_LIMIT,       /* a limit of base/limits.h or a setting is exceeded */
    KP_BUDGET,      /* a memory budget is spent */
    KP_IO,          /* the operating system failed a call */
    KP_FULL,        /* no room on the disk */
    KP_CORRUPT,     /* stored bytes are not what was written */
    KP_BUSY,        /* in use by another process, or would wait */
    KP_CANCELLED,   /* by request, timeout or shutdown */
    KP_CLOSED,      /* the instance or connection is closed or poisoned */
    KP_FORBIDDEN    /* not signed in or not granted */
};

/* Filled by the function that failed; fixed size so that reporting never allocates. */
struct kp_error {
    enum kp_code code;
    char sqlstate[6];     /* PostgreSQL's code, always set: "22012"; see kp_error_set */
    bool retriable;       /* the same call may succeed later */
    int32_t position;     /* 1-based character in the SQL text, 0 if none */
    int64_t log_position; /* position of the source record at fault, -1 if none */
    char message[512];
    char detail[512];
    char hint[512];
};

/*
 * Fills *err (which may be NULL) and returns code. sqlstate NULL takes the usual one of the code
 * (KP_INVALID 22023, KP_NOT_FOUND 42704, KP_UNSUPPORTED 0A000, KP_LIMIT 54000, KP_BUDGET 53200, KP_IO 58030,
 * KP_FULL 53100, KP_CORRUPT XX001, KP_BUSY 55006, KP_CANCELLED 57014, KP_CLOSED 57P01, KP_FORBIDDEN 42501, KP_EXISTS
 * 42710).
 */
enum kp_code kp_fail(struct kp_error *err, enum kp_code code, const char *sqlstate, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Like kp_fail with KP_IO (KP_FULL for ENOSPC and EDQUOT): appends errno's text to the message. */
enum kp_code kp_fail_errno(struct kp_error *err, int error_number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "clause: " before the message. err may be NULL. */
void kp_error_context(struct kp_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Sets what a person can do about it, or more about it; returns err->code so that calls chain. */
enum kp_code kp_error_hint(struct kp_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum kp_code kp_error_detail(struct kp_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A cleared error: all zero, sqlstate "00000", log_position -1. */
void kp_error_clear(struct kp_error *err);
const char *kp_code_name(enum kp_code code);

#define KP_TRY(expression)                                                                                             \
    do {                                                                                                               \
        enum kp_code kp_try_code_ = (expression);                                                                      \
        if (kp_try_code_ != KP_OK)                                                                                     \
            return kp_try_code_;                                                                                       \
    } while (0)

/* Called with the failed condition and place; must not return. Set once, before any other call. */
typedef void (*kp_fatal_hook)(const char *what, const char *file, int line);
void kp_set_fatal_hook(kp_fatal_hook hook);
_Noreturn void kp_fatal(const char *what, const char *file, int line);

#define KP_ASSERT(condition) ((condition) ? (void)0 : kp_fatal(#condition, __FILE__, __LINE__))

#endif
