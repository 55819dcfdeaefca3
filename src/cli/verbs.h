/* The verbs of the `kappa` command: one a file, listed in main.c. A verb gets its arguments and returns the exit
 * status. */
#ifndef KP_CLI_VERBS_H
#define KP_CLI_VERBS_H

#include "base/error.h"

enum { KP_EXIT_OK = 0, KP_EXIT_FAILED = 1, KP_EXIT_USAGE = 2 };

struct kp_verb {
    const char *name, *usage, *summary;
    const char *help;                  /* the rest of `kappa help VERB` */
    unsigned settings;                 /* which flags of cli/config.c its help lists: bits 1 << enum kp_config_key */
    int (*run)(int argc, char **argv); /* arguments behind the verb */
};

extern const struct kp_verb kp_verb_server, kp_verb_run, kp_verb_sql, kp_verb_log, kp_verb_backup, kp_verb_restore;

/* Prints an error with detail and hint to stderr as "kappa: …" and returns KP_EXIT_FAILED. */
int kp_cli_fail(const struct kp_error *err);
/* KP_EXIT_OK; KP_EXIT_FAILED, and says so, where what was printed could not be written (a full disk). */
int kp_cli_printed(void);
/* Prints what is wrong with the arguments and where help is; returns KP_EXIT_USAGE. */
int kp_cli_usage(const struct kp_verb *verb, const struct kp_error *err);

#endif
