#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *sqlstate;
} codes[] = {
    [KP_OK] = {"ok", "00000"},
    [KP_INVALID] = {"invalid", "22023"},
    [KP_NOT_FOUND] = {"not found", "42704"},
    [KP_EXISTS] = {"exists", "42710"},
    [KP_UNSUPPORTED] = {"unsupported", "0A000"},
    [KP_LIMIT] = {"limit", "54000"},
    [KP_BUDGET] = {"budget", "53200"},
    [KP_IO] = {"io", "58030"},
    [KP_FULL] = {"disk full", "53100"},
    [KP_CORRUPT] = {"corrupt", "XX001"},
    [KP_BUSY] = {"busy", "55006"},
    [KP_CANCELLED] = {"cancelled", "57014"},
    [KP_CLOSED] = {"closed", "57P01"},
    [KP_FORBIDDEN] = {"forbidden", "42501"},
};

const char *kp_code_name(enum kp_code code)
{
    return codes[code].name;
}

void kp_error_clear(struct kp_error *err)
{
    memset(err, 0, sizeof *err);
    memcpy(err->sqlstate, "00000", 6);
    err->log_position = -1;
}

static void fill(struct kp_error *err, enum kp_code code, const char *sqlstate)
{
    kp_error_clear(err);
    err->code = code;
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate ? sqlstate : codes[code].sqlstate);
}

enum kp_code kp_fail(struct kp_error *err, enum kp_code code, const char *sqlstate, const char *format, ...)
{
    if (!err)
        return code;
    char text[sizeof err->message]; /* the arguments may point into *err */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fill(err, code, sqlstate);
    memcpy(err->message, text, sizeof text);
    return code;
}

enum kp_code kp_fail_errno(struct kp_error *err, int error_number, const char *format, ...)
{
    enum kp_code code = error_number == ENOSPC || error_number == EDQUOT ? KP_FULL : KP_IO;
    if (!err)
        return code;
    char text[sizeof err->message];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fill(err, code, NULL);
    if (length < 0 || (size_t)length >= sizeof text)
        length = (int)sizeof text - 1;
    char reason[128];
    const char *why = strerror_r(error_number, reason, sizeof reason);
    snprintf(err->message, sizeof err->message, "%.*s: %s", length > 380 ? 380 : length, text, why);
    return code;
}

void kp_error_context(struct kp_error *err, const char *format, ...)
{
    if (!err)
        return;
    char clause[sizeof err->message], whole[2 * sizeof err->message + 2];
    va_list args;
    va_start(args, format);
    vsnprintf(clause, sizeof clause, format, args);
    va_end(args);
    snprintf(whole, sizeof whole, "%s: %s", clause, err->message);
    whole[sizeof err->message - 1] = '\0';
    memcpy(err->message, whole, sizeof err->message);
}

enum kp_code kp_error_hint(struct kp_error *err, const char *format, ...)
{
    if (!err)
        return KP_INVALID;
    va_list args;
    va_start(args, format);
    vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return err->code;
}

enum kp_code kp_error_detail(struct kp_error *err, const char *format, ...)
{
    if (!err)
        return KP_INVALID;
    va_list args;
    va_start(args, format);
    vsnprintf(err->detail, sizeof err->detail, format, args);
    va_end(args);
    return err->code;
}

static kp_fatal_hook fatal_hook;

void kp_set_fatal_hook(kp_fatal_hook hook)
{
    fatal_hook = hook;
}

_Noreturn void kp_fatal(const char *what, const char *file, int line)
{
    if (fatal_hook)
        fatal_hook(what, file, line);
    else
        fprintf(stderr, "kappa: broken invariant: %s (%s:%d)\n", what, file, line);
    abort();
}
