/* Sessions and their transactions; see session.h. */
#include "db/sequence.h"

enum kp_code kp_session_open(struct kp_db *db, const struct kp_session_options *options,
                             struct kp_session **ret_session, struct kp_error *err)
{
    KP_TRY(kp_db_health(db, err));
    struct kp_session *session = kp_calloc(1, sizeof *session);
    session->db = db;
    session->options = options ? *options : (struct kp_session_options){0};
    session->user = kp_strdup(session->options.user ? session->options.user : "kappa");
    session->database = kp_strdup(session->options.database ? session->options.database : "kappa");
    int64_t written = atomic_load(&db->written);
    session->read_after = written ? written : -1;
    session->visible_writes = SIZE_MAX;
    kp_settings_init(session);
    if (session->options.application)
        session->settings[0] = kp_strdup(session->options.application);
    atomic_fetch_add(&db->counters.sessions, 1);
    *ret_session = session;
    return KP_OK;
}

void kp_session_close(struct kp_session *session)
{
    if (!session)
        return;
    KP_ASSERT(session->cursors == 0);
    kp_deadline_end(session);
    session->options.setting_changed = NULL; /* nobody is there to be told */
    kp_transaction_rollback(session);
    kp_advisory_release_session(session);
    for (struct kp_prepared *named = session->named, *next; named; named = next) {
        next = named->next_named;
        kp_prepared_destroy(named);
    }
    kp_settings_finish(session);
    kp_sequences_finish(session);
    kp_free(session->writes);
    kp_free(session->write_index);
    kp_arena_finish(&session->writes_arena);
    kp_free(session->user);
    kp_free(session->database);
    atomic_fetch_sub(&session->db->counters.sessions, 1);
    kp_free(session);
}

void kp_session_cancel(struct kp_session *session)
{
    atomic_store(&session->cancelled, true);
    kp_view_clock_wake(session->db->clock);
}

void kp_session_set_pid(struct kp_session *session, uint32_t pid)
{
    session->pid = pid;
}

void kp_session_terminate(struct kp_session *session)
{
    atomic_store(&session->terminated, true);
    kp_session_cancel(session);
}

int64_t kp_session_idle_timeout_us(const struct kp_session *session)
{
    bool inside = session->transaction == KP_TRANSACTION_BLOCK || session->transaction == KP_TRANSACTION_FAILED;
    return (inside ? session->idle_timeout_ms : session->idle_session_timeout_ms) * 1000;
}

void kp_session_uncancel(struct kp_session *session)
{
    atomic_store(&session->cancelled, false);
    if (atomic_load(&session->terminated)) /* perhaps at this moment */
        atomic_store(&session->cancelled, true);
}

void kp_session_resume(struct kp_session *session)
{
    kp_session_uncancel(session);
    kp_deadline_begin(session);
}

enum kp_code kp_session_check(struct kp_session *session, struct kp_error *err)
{
    KP_TRY(kp_db_health(session->db, err));
    if (!atomic_load(&session->cancelled))
        return KP_OK;
    return kp_fail(err, KP_CANCELLED, NULL, "canceling statement due to user request");
}

enum kp_code kp_session_told(struct kp_session *session, enum kp_code code, struct kp_error *err)
{
    if (code != KP_CANCELLED || !atomic_load(&session->cancelled) || !err)
        return code;
    if (atomic_load(&session->terminated))
        return kp_fail(err, KP_CANCELLED, "57P01", "terminating connection due to administrator command");
    return kp_fail(err, KP_CANCELLED, NULL, "canceling statement due to %s",
                   session->deadline.passed ? "statement timeout" : "user request");
}

void kp_session_read_after(struct kp_session *session, int64_t position)
{
    session->read_after = KP_MAX(session->read_after, position);
}

int64_t kp_session_position(const struct kp_session *session)
{
    return session->read_after;
}

static int64_t moment(const struct kp_session *session)
{
    struct kp_os *os = session->db->os;
    return KP_MAX(kp_view_clock_time_us(session->db->clock), os->wall_us(os->ctx)) - 946684800000000;
}

int64_t kp_session_now_us(const struct kp_session *session)
{
    return session->transaction == KP_TRANSACTION_NONE ? session->statement_us : session->began_us;
}

void kp_session_begin_statement(struct kp_session *session)
{
    session->statement_us = moment(session);
}

void kp_session_context(struct kp_session *session, struct kp_sql_context *ret_context)
{
    session->values.now_us = kp_session_now_us(session);
    *ret_context = (struct kp_sql_context){.catalog = session->db->catalog,
                                           .settings = &session->values,
                                           .user = session->user,
                                           .pid = session->pid,
                                           .database = session->database};
}

/* ---- the position to read at ---- */

enum { WAIT_SLICE_US = 50000 };

static enum kp_code wait_until_visible(struct kp_session *session, int64_t position, struct kp_error *err)
{
    while (!kp_view_clock_wait(session->db->clock, position, WAIT_SLICE_US))
        KP_TRY(kp_session_check(session, err));
    return KP_OK;
}

enum kp_code kp_session_wait_replayed(struct kp_session *session, struct kp_error *err)
{
    while (!kp_db_wait_ready(session->db, WAIT_SLICE_US))
        KP_TRY(kp_session_check(session, err));
    return KP_OK;
}

enum kp_code kp_session_snapshot(struct kp_session *session, struct kp_snapshot *ret_snapshot, bool *ret_own,
                                 struct kp_error *err)
{
    if (session->has_snapshot) {
        *ret_snapshot = session->snapshot;
        *ret_own = false;
        return KP_OK;
    }
    if (session->read_after >= 0)
        KP_TRY(wait_until_visible(session, session->read_after, err));
    *ret_own = session->transaction == KP_TRANSACTION_NONE && !session->keeps_snapshot;
    if (!*ret_own) /* a block that begins with what reads nothing would read before all that the log holds */
        KP_TRY(kp_session_wait_replayed(session, err));
    kp_snapshot_acquire(session->db->clock, ret_snapshot);
    if (!*ret_own) {
        session->snapshot = *ret_snapshot;
        session->has_snapshot = true;
    }
    return KP_OK;
}

/* ---- transactions ---- */

bool kp_session_read_only(const struct kp_session *session)
{
    return session->transaction == KP_TRANSACTION_BLOCK ? session->read_only : session->default_read_only;
}

enum kp_isolation kp_session_isolation(const struct kp_session *session)
{
    return session->transaction == KP_TRANSACTION_BLOCK ? session->isolation : session->default_isolation;
}

static void forget(struct kp_session *session)
{
    if (session->has_snapshot)
        kp_snapshot_release(session->db->clock, &session->snapshot);
    session->has_snapshot = false;
    kp_savepoints_forget(session);
    kp_writes_forget(session);
    kp_sequences_undo_restarts(session, 0);
    kp_reads_forget(session);
    kp_row_locks_forget(session);
    kp_advisory_release_since(session, 0);
}

char kp_session_status(const struct kp_session *session)
{
    switch (session->transaction) {
    case KP_TRANSACTION_BLOCK:
        return 'T';
    case KP_TRANSACTION_FAILED:
        return 'E';
    default:
        return 'I';
    }
}

void kp_session_fail_transaction(struct kp_session *session)
{
    if (session->transaction == KP_TRANSACTION_BLOCK || session->transaction == KP_TRANSACTION_FAILED) {
        if (!session->savepoints)
            forget(session);
        else /* ROLLBACK TO may go on with what was before one */
            kp_advisory_release_since(session, kp_session_savepoint(session));
        session->transaction = KP_TRANSACTION_FAILED;
    } else {
        forget(session);
    }
}

static enum kp_code commit_writes(struct kp_session *session, struct kp_error *err)
{
    enum kp_code code = KP_OK;
    if (session->write_count || session->restart_count) {
        int64_t position;
        code = kp_writes_commit(session, &position, err);
        if (code == KP_OK) {
            int64_t written = atomic_load(&session->db->written);
            while (written < position && !atomic_compare_exchange_weak(&session->db->written, &written, position))
                ;
            kp_session_read_after(session, position);
        }
    }
    forget(session);
    return code;
}

void kp_transaction_begin(struct kp_session *session, bool read_only, enum kp_isolation isolation)
{
    if (session->transaction == KP_TRANSACTION_BLOCK && session->options.notice) {
        struct kp_error notice;
        (void)kp_fail(&notice, KP_OK, "25001", "there is already a transaction in progress");
        session->options.notice(session->options.arg, "WARNING", &notice);
    }
    if (session->transaction == KP_TRANSACTION_NONE)
        session->began_us = moment(session);
    if (session->transaction != KP_TRANSACTION_BLOCK)
        session->isolation = isolation;
    session->transaction = KP_TRANSACTION_BLOCK;
    session->read_only = read_only;
}

enum kp_code kp_transaction_commit(struct kp_session *session, struct kp_error *err)
{
    if (session->transaction == KP_TRANSACTION_NONE && session->options.notice) {
        struct kp_error notice;
        (void)kp_fail(&notice, KP_OK, "25P01", "there is no transaction in progress");
        session->options.notice(session->options.arg, "WARNING", &notice);
    }
    session->transaction = KP_TRANSACTION_NONE;
    session->read_only = false;
    enum kp_code code = commit_writes(session, err);
    kp_settings_end(session, code == KP_OK);
    return code;
}

void kp_transaction_rollback(struct kp_session *session)
{
    session->transaction = KP_TRANSACTION_NONE;
    session->read_only = false;
    kp_settings_end(session, false);
    forget(session);
}

enum kp_code kp_session_autocommit(struct kp_session *session, struct kp_error *err)
{
    return session->transaction == KP_TRANSACTION_NONE ? commit_writes(session, err) : KP_OK;
}

void kp_session_implicit_begin(struct kp_session *session)
{
    if (session->transaction == KP_TRANSACTION_NONE) {
        session->began_us = moment(session);
        session->transaction = KP_TRANSACTION_IMPLICIT;
    }
}

enum kp_code kp_session_implicit_end(struct kp_session *session, bool commit, struct kp_error *err)
{
    if (session->transaction != KP_TRANSACTION_IMPLICIT)
        return KP_OK;
    session->transaction = KP_TRANSACTION_NONE;
    enum kp_code code = commit ? commit_writes(session, err) : KP_OK;
    kp_settings_end(session, commit && code == KP_OK);
    if (!commit)
        forget(session);
    return code;
}
