/* Backups of a log, taken while a server goes on, and back: `kappa backup`, `kappa restore`. */
#ifndef KP_CLI_BACKUP_H
#define KP_CLI_BACKUP_H

#include <stdint.h>

#include "base/error.h"

struct kp_copied {
    int64_t position; /* at which the copy is */
    uint64_t mended;  /* places that have rotted and of which nothing is lost: kp_inspect_report.mended */
};

/* Copies the log's files of dir, which may be in use, to a new folder, and checks the copy. The folder has its name
 * only when all of it is on disk. */
KP_MUST enum kp_code kp_backup_take(const char *dir, const char *to, struct kp_copied *ret_copied,
                                    struct kp_error *err);
/* Writes the log in `from` (a backup that nobody has open) into the new folder `to` as it was at a position: all whole
 * groups before it, with their offsets, positions and times. *ret_position: what that came to. */
KP_MUST enum kp_code kp_backup_rewind(const char *from, const char *to, int64_t position, int64_t *ret_position,
                                      struct kp_error *err);

#endif
