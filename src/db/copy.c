/* COPY's options: which of them go together. The words are PostgreSQL's. */
#include "db/copy.h"

enum kp_code kp_copy_check(const struct kp_copy_options *options, struct kp_error *err)
{
    bool csv = options->format == KP_COPY_CSV;
    if (options->format == KP_COPY_BINARY)
        return KP_OK;
    if (options->delimiter == '\n' || options->delimiter == '\r' || options->delimiter == '\0')
        return kp_fail(err, KP_INVALID, NULL, "COPY delimiter cannot be newline or carriage return");
    if (!csv && strchr("\\.abcdefghijklmnopqrstuvwxyz0123456789", options->delimiter))
        return kp_fail(err, KP_INVALID, NULL, "COPY delimiter cannot be \"%c\"", options->delimiter);
    if (strpbrk(options->null, "\r\n"))
        return kp_fail(err, KP_INVALID, NULL, "COPY null representation cannot use newline or carriage return");
    if (strchr(options->null, options->delimiter))
        return kp_fail(err, KP_UNSUPPORTED, NULL, "COPY delimiter must not appear in the NULL specification");
    if (csv && options->delimiter == options->quote)
        return kp_fail(err, KP_INVALID, NULL, "COPY delimiter and quote must be different");
    if (csv && options->quote && strchr(options->null, options->quote))
        return kp_fail(err, KP_UNSUPPORTED, NULL, "CSV quote character must not appear in the NULL specification");
    return KP_OK;
}
