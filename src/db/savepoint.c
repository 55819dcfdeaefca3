/*
 * SAVEPOINT, ROLLBACK TO, RELEASE: how far a transaction's writes went, and its settings then.
 *
 *   writes  w0 w1 │a w2 │b w3 w4        ROLLBACK TO a: w0 w1 are left, b is gone, a stays
 *
 * A transaction is one group of records that is appended at COMMIT, so going back to a savepoint is forgetting what was
 * gathered since. Reads go on at the transaction's one position. A statement that fails leaves the block failed; with a
 * savepoint its writes and its snapshot are kept until the block is rolled back, to it or altogether.
 */
#include "db/sequence.h"

enum { SAVEPOINTS_MAX = 65536 }; /* of a block: each keeps a copy of the settings that were set */

struct kp_savepoint {
    char *name;
    size_t write_count, write_bytes, restart_count;
    struct kp_setting_values *settings;
    struct kp_savepoint *outer;
    uint32_t depth;
    uint64_t number;
};

static void destroy(struct kp_savepoint *savepoint)
{
    kp_settings_discard(savepoint->settings);
    kp_free(savepoint->name);
    kp_free(savepoint);
}

void kp_savepoints_forget(struct kp_session *session)
{
    while (session->savepoints) {
        struct kp_savepoint *gone = session->savepoints;
        session->savepoints = gone->outer;
        destroy(gone);
    }
}

static enum kp_code outside_block(struct kp_error *err, const char *what)
{
    return kp_fail(err, KP_INVALID, "25P01", "%s can only be used in transaction blocks", what);
}

static enum kp_code find(const struct kp_session *session, const char *name, struct kp_savepoint **ret_savepoint,
                         struct kp_error *err)
{
    struct kp_savepoint *at = session->savepoints;
    while (at && strcmp(at->name, name) != 0)
        at = at->outer;
    if (!at)
        return kp_fail(err, KP_NOT_FOUND, "3B001", "savepoint \"%s\" does not exist", name);
    *ret_savepoint = at;
    return KP_OK;
}

/* Everything that is newer than `until`. */
static void forget_since(struct kp_session *session, const struct kp_savepoint *until)
{
    while (session->savepoints != until) {
        struct kp_savepoint *gone = session->savepoints;
        session->savepoints = gone->outer;
        destroy(gone);
    }
}

enum kp_code kp_savepoint_set(struct kp_session *session, const char *name, struct kp_error *err)
{
    if (session->transaction != KP_TRANSACTION_BLOCK)
        return outside_block(err, "SAVEPOINT");
    uint32_t depth = session->savepoints ? session->savepoints->depth + 1 : 1;
    if (depth > SAVEPOINTS_MAX)
        return kp_fail(err, KP_LIMIT, "54000", "a transaction can have at most %d savepoints", SAVEPOINTS_MAX);
    struct kp_savepoint *savepoint = kp_calloc(1, sizeof *savepoint);
    *savepoint = (struct kp_savepoint){.name = kp_strdup(name),
                                       .write_count = session->write_count,
                                       .write_bytes = session->write_bytes,
                                       .restart_count = session->restart_count,
                                       .settings = kp_settings_copy(session),
                                       .outer = session->savepoints,
                                       .depth = depth,
                                       .number = ++session->savepoint_number};
    session->savepoints = savepoint;
    return KP_OK;
}

enum kp_code kp_savepoint_release(struct kp_session *session, const char *name, struct kp_error *err)
{
    if (session->transaction != KP_TRANSACTION_BLOCK)
        return outside_block(err, "RELEASE SAVEPOINT");
    struct kp_savepoint *savepoint = NULL;
    KP_TRY(find(session, name, &savepoint, err));
    forget_since(session, savepoint->outer);
    return KP_OK;
}

enum kp_code kp_savepoint_rollback(struct kp_session *session, const char *name, struct kp_error *err)
{
    if (session->transaction != KP_TRANSACTION_BLOCK && session->transaction != KP_TRANSACTION_FAILED)
        return outside_block(err, "ROLLBACK TO SAVEPOINT");
    struct kp_savepoint *savepoint = NULL;
    KP_TRY(find(session, name, &savepoint, err));
    forget_since(session, savepoint);
    kp_writes_truncate(session, savepoint->write_count, savepoint->write_bytes);
    kp_sequences_undo_restarts(session, savepoint->restart_count);
    kp_advisory_release_since(session, savepoint->number);
    kp_settings_restore(session, savepoint->settings);
    session->transaction = KP_TRANSACTION_BLOCK;
    if (!session->undone_from || savepoint->number < session->undone_from)
        session->undone_from = savepoint->number;
    return KP_OK;
}

uint64_t kp_session_savepoint(const struct kp_session *session)
{
    return session->savepoints ? session->savepoints->number : 0;
}

uint64_t kp_session_take_undone(struct kp_session *session)
{
    uint64_t from = session->undone_from ? session->undone_from : UINT64_MAX;
    session->undone_from = 0;
    return from;
}
