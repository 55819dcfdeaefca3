/*
 * Files made, renamed and removed: the only place that changes names in the log's folders (tools/tidy checks that).
 *
 *   1. A file that counts by its name is made under one that does not (….new), filled, synced, and only then renamed;
 *      then the folder is synced (kp_files_publish). So a name that counts is a whole file, after a power cut too.
 *   2. What is not synced first is what counts by something else: a cache that checks itself, a lock.
 *   3. Removing is not synced. What is removed has stopped to count by a record of the journal, or never did: if its
 *      name comes back after a power cut, the next start removes it again. Where a name must be gone before something
 *      else is done, it is renamed (2 of log/format.h's RECYCLED), or kp_files_sync follows.
 *   4. After a failure the name that counts is the old file or the new one, whole; the other name may be left, and
 *      means nothing.
 *
 * Any thread; two at once not on the same name. Paths are as os/os.h has them.
 */
#ifndef KP_LOG_FILES_H
#define KP_LOG_FILES_H

#include "os/os.h"

/* While a backup copies the log's files: a folder in the log's, that has them by other names, and what the backup
 * locks, so that another one, and a start, tell whether it goes on or was killed. */
#define KP_FILES_LINKS       "backup.links"
#define KP_FILES_BACKUP_LOCK "backup.lock"

/* A new empty file, or one of that name emptied. more: further flags of os/os.h. */
KP_MUST enum kp_code kp_files_create(struct kp_os *os, const char *path, unsigned more, struct kp_file **ret_file,
                                     struct kp_error *err);
/* Renames, and syncs the folder `dir` that both names are in. What the file holds is the caller's to sync before. */
KP_MUST enum kp_code kp_files_publish(struct kp_os *os, const char *dir, const char *from, const char *to,
                                      struct kp_error *err);
/* The same without the sync: several names are followed by one kp_files_sync, or (unsafe_no_sync) none at all. */
KP_MUST enum kp_code kp_files_rename(struct kp_os *os, const char *from, const char *to, struct kp_error *err);
KP_MUST enum kp_code kp_files_sync(struct kp_os *os, const char *dir, struct kp_error *err);
/* KP_OK too when there is none of that name. */
KP_MUST enum kp_code kp_files_remove(struct kp_os *os, const char *path, struct kp_error *err);
/* Removes what does not count: a failure leaves it to the next start. */
void kp_files_discard(struct kp_os *os, const char *path);
/* Removes a folder and the files in it, as far as that goes. */
void kp_files_discard_folder(struct kp_os *os, const char *dir);
/* Removes the links of a backup that was killed: what they hold would take room, and never be used again. */
void kp_files_discard_links(struct kp_os *os, const char *dir);
/* Makes a folder unless it is there; with sync its name is durable. */
KP_MUST enum kp_code kp_files_folder(struct kp_os *os, const char *dir, bool sync, struct kp_error *err);
/* Makes DIR/NAME hold these bytes, or leaves it as it was: by way of DIR/NAME.new. */
KP_MUST enum kp_code kp_files_put(struct kp_os *os, const char *dir, const char *name, const void *bytes, size_t len,
                                  struct kp_error *err);
/* Makes a file hold so many allocated bytes of the disk, of which it had `before` (0: it is made, or was left by
 * another process); on failure it has them still. It is not synced. */
KP_MUST enum kp_code kp_files_hold(struct kp_os *os, const char *path, uint64_t before, uint64_t bytes,
                                   struct kp_error *err);
/* DIR/NAME<suffix>, to kp_free. */
char *kp_files_path(const char *dir, const char *name, const char *suffix);

#endif
