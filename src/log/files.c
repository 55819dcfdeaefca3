/* The rules are in log/files.h. */
#include "log/files.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

char *kp_files_path(const char *dir, const char *name, const char *suffix)
{
    size_t len = strlen(dir) + strlen(name) + strlen(suffix) + 2;
    char *path = kp_alloc(len);
    snprintf(path, len, "%s/%s%s", dir, name, suffix);
    return path;
}

enum kp_code kp_files_create(struct kp_os *os, const char *path, unsigned more, struct kp_file **ret_file,
                             struct kp_error *err)
{
    return os->open(os->ctx, path, KP_OPEN_WRITE | KP_OPEN_CREATE | KP_OPEN_TRUNCATE | more, ret_file, err);
}

enum kp_code kp_files_rename(struct kp_os *os, const char *from, const char *to, struct kp_error *err)
{
    return os->rename(os->ctx, from, to, err);
}

enum kp_code kp_files_sync(struct kp_os *os, const char *dir, struct kp_error *err)
{
    return os->sync_dir(os->ctx, dir, err);
}

enum kp_code kp_files_publish(struct kp_os *os, const char *dir, const char *from, const char *to, struct kp_error *err)
{
    KP_TRY(kp_files_rename(os, from, to, err));
    return kp_files_sync(os, dir, err);
}

enum kp_code kp_files_remove(struct kp_os *os, const char *path, struct kp_error *err)
{
    struct kp_error failed = {0};
    enum kp_code code = os->unlink(os->ctx, path, &failed);
    if (code == KP_NOT_FOUND)
        code = KP_OK;
    if (code != KP_OK && err)
        *err = failed;
    return code;
}

void kp_files_discard(struct kp_os *os, const char *path)
{
    (void)!os->unlink(os->ctx, path, NULL);
}

struct folder {
    struct kp_os *os;
    const char *dir;
};

static void discard_one(void *arg, const char *name)
{
    const struct folder *folder = arg;
    char *path = kp_files_path(folder->dir, name, "");
    kp_files_discard(folder->os, path);
    kp_free(path);
}

void kp_files_discard_folder(struct kp_os *os, const char *dir)
{
    struct folder folder = {os, dir};
    if (os->list(os->ctx, dir, discard_one, &folder, NULL) == KP_OK)
        kp_files_discard(os, dir);
}

void kp_files_discard_links(struct kp_os *os, const char *dir)
{
    char *links = kp_files_path(dir, KP_FILES_LINKS, ""), *path = kp_files_path(dir, KP_FILES_BACKUP_LOCK, "");
    struct kp_file *folder = NULL, *lock = NULL;
    if (os->open(os->ctx, links, KP_OPEN_READ, &folder, NULL) == KP_OK && os->lock(os->ctx, path, &lock, NULL) == KP_OK)
        kp_files_discard_folder(os, links);
    os->close(os->ctx, lock);
    os->close(os->ctx, folder);
    kp_free(path);
    kp_free(links);
}

static enum kp_code sync_parent(struct kp_os *os, const char *dir, struct kp_error *err)
{
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    while (len > 0 && dir[len - 1] != '/')
        len--;
    char *parent = len ? kp_strndup(dir, len) : kp_strdup(".");
    enum kp_code code = kp_files_sync(os, parent, err);
    kp_free(parent);
    return code;
}

enum kp_code kp_files_folder(struct kp_os *os, const char *dir, bool sync, struct kp_error *err)
{
    KP_TRY(os->mkdir(os->ctx, dir, err));
    return sync ? sync_parent(os, dir, err) : KP_OK;
}

static enum kp_code fill(struct kp_os *os, const char *path, const void *bytes, size_t len, struct kp_error *err)
{
    struct kp_file *file;
    KP_TRY(kp_files_create(os, path, 0, &file, err));
    enum kp_code code = os->pwrite(os->ctx, file, bytes, len, 0, err);
    if (code == KP_OK)
        code = os->sync(os->ctx, file, err);
    os->close(os->ctx, file);
    return code;
}

enum kp_code kp_files_put(struct kp_os *os, const char *dir, const char *name, const void *bytes, size_t len,
                          struct kp_error *err)
{
    char *from = kp_files_path(dir, name, ".new"), *to = kp_files_path(dir, name, "");
    enum kp_code code = fill(os, from, bytes, len, err);
    if (code == KP_OK)
        code = kp_files_publish(os, dir, from, to, err);
    if (code != KP_OK)
        kp_files_discard(os, from);
    kp_free(to);
    kp_free(from);
    return code;
}

enum kp_code kp_files_hold(struct kp_os *os, const char *path, uint64_t before, uint64_t bytes, struct kp_error *err)
{
    struct kp_file *file = NULL;
    uint64_t size = 0;
    enum kp_code code = os->open(os->ctx, path, KP_OPEN_READ | KP_OPEN_WRITE | KP_OPEN_CREATE, &file, err);
    if (code == KP_OK)
        code = os->allocate(os->ctx, file, 0, bytes, err);
    if (code == KP_OK && os->size(os->ctx, file, &size, NULL) == KP_OK && size > bytes)
        (void)!os->truncate(os->ctx, file, bytes, NULL);
    if (code != KP_OK && file && before) /* what was allocated of it before there was no more room */
        (void)!os->truncate(os->ctx, file, before, NULL);
    os->close(os->ctx, file);
    if (code != KP_OK && !before)
        kp_files_discard(os, path);
    return code;
}
