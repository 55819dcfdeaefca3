/*
 * The server that has a data folder open, spoken to as a PostgreSQL client. A server leaves its address in the folder's
 * file `server` ("pg=127.0.0.1:4655") while it serves.
 */
#ifndef KP_CLI_REMOTE_H
#define KP_CLI_REMOTE_H

#include "base/buf.h"
#include "base/error.h"
#include "cli/output.h"

struct kp_remote;

/* Written by `kappa server` when it is ready, removed when it ends. pg NULL: that door is shut. */
KP_MUST enum kp_code kp_remote_announce(const char *dir, const char *pg, struct kp_error *err);
void kp_remote_withdraw(const char *dir);

/* Connects to the server of a folder; KP_BUSY if the folder is in use but nothing answers at its address. */
KP_MUST enum kp_code kp_remote_open(const char *dir, struct kp_remote **ret_remote, struct kp_error *err);
void kp_remote_close(struct kp_remote *remote); /* NULL is fine */
/* Runs one statement and prints its rows, or its command tag on stderr. */
KP_MUST enum kp_code kp_remote_run(struct kp_remote *remote, struct kp_str statement, enum kp_output_format format,
                                   void (*notice)(void *arg, const char *severity, const struct kp_error *notice),
                                   void *arg, struct kp_error *err);

#endif
