/*
 * Settings of the program: one table gives flags, KAPPA_… variables, the file's names, --help and docs/CONFIG.md. A
 * flag wins over a variable, a variable over the file, the file over the default.
 */
#ifndef KP_CLI_CONFIG_H
#define KP_CLI_CONFIG_H

#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"

enum kp_config_key {
    KP_CONFIG_CONFIG,
    KP_CONFIG_DATA,
    KP_CONFIG_PG,
    KP_CONFIG_HTTP,
    KP_CONFIG_KAFKA,
    KP_CONFIG_WORKERS,
    KP_CONFIG_MEMORY,
    KP_CONFIG_STEP_BYTES,
    KP_CONFIG_LOG_TAIL,
    KP_CONFIG_LOG_FILE,
    KP_CONFIG_LOG_UNSEALED,
    KP_CONFIG_LOG_SEAL,
    KP_CONFIG_LOG_EXTENT,
    KP_CONFIG_LOG_ADOPT,
    KP_CONFIG_LOG_SNAPSHOT,
    KP_CONFIG_COLUMNS_MEMORY,
    KP_CONFIG_COLUMNS_DISK,
    KP_CONFIG_CONNECTIONS,
    KP_CONFIG_IO_URING,
    KP_CONFIG_UNSAFE_NO_SYNC,
    KP_CONFIG_COUNT
};

struct kp_config {
    const char *values[KP_CONFIG_COUNT]; /* never NULL after loading */
    struct kp_arena arena;
};

/*
 * Reads flags from args (--name VALUE, --name=VALUE, switches alone), then variables, then the file. What is not a flag
 * of the table is left to `other`, called with the remaining arguments; it returns how many it took, 0 for none: an
 * error, and KP_CONFIG_BAD_VALUE for a flag that it knows with a value that is none of it. After an error nothing is
 * owned, and kp_config_finish does nothing.
 */
enum { KP_CONFIG_BAD_VALUE = -1 };
KP_MUST enum kp_code kp_config_load(struct kp_config *config, int argc, char **argv,
                                    int (*other)(void *arg, int argc, char **argv), void *arg, struct kp_error *err);
void kp_config_finish(struct kp_config *config);
const char *kp_config_text(const struct kp_config *config, enum kp_config_key key); /* "" if unset */
bool kp_config_bool(const struct kp_config *config, enum kp_config_key key);
/* A number with an optional unit: 64MiB, 2GB, 1000; a share of the memory: 50%. Checked when loaded. */
int64_t kp_config_int(const struct kp_config *config, enum kp_config_key key);
bool kp_config_number(const char *text, int64_t *ret); /* a whole number of 0 or more, for what `other` reads */
void kp_config_print_flags(FILE *out, unsigned keys);  /* for help; keys: bits 1 << enum kp_config_key */
void kp_config_print_markdown(FILE *out);              /* docs/CONFIG.md */

#endif
