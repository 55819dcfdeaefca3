/*
 * Policies, rounds, and the thread that runs them. What a round's decision means for views is expiry.c's.
 *
 *   round   policy, clock, sizes ─► horizon ─► may it go? ─► decision in the log ─► trimmed partitions
 *
 * Time is the log's: a record is as old as the commit that made it durable. A size is what the topic's record batches
 * take; as much as the policy says stays, so what goes is rounded down to whole commit blocks.
 */
#include "db/retention.h"

#include <stdio.h>

#include "db/base.h"
#include "db/compaction.h"
#include "sql/sql.h"

enum { ROUND_US = 5000000, DECISION_BYTES = 64 << 20 };

struct decision {
    int64_t position, horizon;
    bool compaction;
};

struct topic {
    uint32_t id;
    struct kp_topic_retention now;
    struct decision *decisions; /* in order */
    size_t decision_count, decision_cap;
};

struct kp_retention {
    struct kp_db *db;
    struct kp_rwlock past; /* read: somebody computes from the log; written: records go */
    struct kp_mutex mutex; /* what follows; short */
    struct kp_cond wake, compacted;
    struct topic *topics;
    size_t count, cap;
    int64_t *bases; /* numbers that decisions have named, ascending */
    size_t base_count, base_cap;
    struct kp_times *times;
    size_t time_count;
    struct kp_retractions retractions;
    bool threaded;
    _Atomic bool dropped; /* bases may have lost their views */
    _Atomic bool stop;
    struct kp_thread thread;
};

static const struct kp_topic_retention forever = {.policy = {.retention_us = -1,
                                                             .retention_bytes = -1,
                                                             .delete_retention_us = KP_DELETE_RETENTION_US,
                                                             .retention = "forever"},
                                                  .expired_at = -1};

/* ---- policies ---- */

/* Locked: mutex. NULL: the default. */
static struct topic *find(struct kp_retention *retention, uint32_t id)
{
    for (size_t i = 0; i < retention->count; i++)
        if (retention->topics[i].id == id)
            return &retention->topics[i];
    return NULL;
}

static struct topic *find_or_add(struct kp_retention *retention, uint32_t id)
{
    struct topic *topic = find(retention, id);
    if (topic)
        return topic;
    if (retention->count == retention->cap) {
        retention->cap = retention->cap ? 2 * retention->cap : 8;
        retention->topics = kp_realloc(retention->topics, retention->cap * sizeof *retention->topics);
    }
    topic = &retention->topics[retention->count++];
    *topic = (struct topic){.id = id, .now = forever};
    return topic;
}

/* "forever" is -1. */
static enum kp_code read_duration(const char *name, const char *text, int64_t *ret_us, struct kp_error *err)
{
    *ret_us = -1;
    if (strcmp(text, "forever") == 0)
        return KP_OK;
    struct kp_arena arena = {0};
    struct kp_interval interval;
    enum kp_code code = kp_value_parse(KP_TYPE(KP_INTERVAL), kp_str(text), NULL, &arena, &interval, err);
    kp_arena_finish(&arena);
    KP_TRY(code);
    *ret_us = interval.us + (interval.days + 30 * (int64_t)interval.months) * 86400000000;
    return *ret_us >= 0 ? KP_OK : kp_fail(err, KP_INVALID, NULL, "%s cannot be negative: \"%.100s\"", name, text);
}

static enum kp_code read_option(const struct kp_option *option, struct kp_topic_policy *policy, struct kp_error *err)
{
    if (strcmp(option->name, "retention") == 0) {
        snprintf(policy->retention, sizeof policy->retention, "%s", option->value);
        return read_duration(option->name, option->value, &policy->retention_us, err);
    }
    if (strcmp(option->name, "delete_retention") == 0)
        return read_duration(option->name, option->value, &policy->delete_retention_us, err);
    if (strcmp(option->name, "compaction_lag") == 0)
        return read_duration(option->name, option->value, &policy->compaction_lag_us, err);
    if (strcmp(option->name, "retention_bytes") == 0)
        return kp_sql_option_bytes(option->name, option->value, &policy->retention_bytes, err);
    if (strcmp(option->name, "compact") == 0)
        return kp_sql_option_bool(option->name, option->value, &policy->compact, err);
    if (strcmp(option->name, "cleanup") == 0)
        policy->compact = strcmp(option->value, "delete") != 0;
    return KP_OK;
}

enum kp_code kp_retention_try(const struct kp_option *options, uint32_t option_count, struct kp_error *err)
{
    struct kp_topic_policy policy = forever.policy;
    for (uint32_t i = 0; i < option_count; i++)
        KP_TRY(read_option(&options[i], &policy, err));
    return KP_OK;
}

enum kp_code kp_retention_configure(struct kp_db *db, uint32_t topic, const struct kp_option *options,
                                    uint32_t option_count, struct kp_error *err)
{
    struct kp_retention *retention = db->retention;
    kp_mutex_lock(&retention->mutex);
    struct topic *at = find_or_add(retention, topic);
    struct kp_topic_policy policy = at->now.policy;
    enum kp_code code = KP_OK;
    for (uint32_t i = 0; code == KP_OK && i < option_count; i++)
        code = read_option(&options[i], &policy, err);
    if (code == KP_OK)
        at->now.policy = policy;
    kp_mutex_unlock(&retention->mutex);
    return code;
}

void kp_retention_get(struct kp_db *db, uint32_t topic, struct kp_topic_retention *ret_retention)
{
    struct kp_retention *retention = db->retention;
    kp_mutex_lock(&retention->mutex);
    const struct topic *at = find(retention, topic);
    *ret_retention = at ? at->now : forever;
    kp_mutex_unlock(&retention->mutex);
}

void kp_db_topic_policy(struct kp_db *db, uint32_t topic, struct kp_topic_policy *ret_policy)
{
    struct kp_topic_retention now;
    kp_retention_get(db, topic, &now);
    *ret_policy = now.policy;
}

/* Locked: mutex. */
static void add_decision(struct topic *topic, struct decision decision)
{
    if (topic->decision_count == topic->decision_cap) {
        topic->decision_cap = topic->decision_cap ? 2 * topic->decision_cap : 8;
        topic->decisions = kp_realloc(topic->decisions, topic->decision_cap * sizeof *topic->decisions);
    }
    topic->decisions[topic->decision_count++] = decision;
}

void kp_retention_note(struct kp_db *db, uint32_t topic, int64_t horizon, int64_t expired_at)
{
    struct kp_retention *retention = db->retention;
    kp_mutex_lock(&retention->mutex);
    struct topic *at = find_or_add(retention, topic);
    at->now.horizon = KP_MAX(at->now.horizon, horizon);
    at->now.expired_at = expired_at;
    add_decision(at, (struct decision){expired_at, horizon < 0 ? expired_at : horizon, false});
    kp_mutex_unlock(&retention->mutex);
}

void kp_retention_note_compaction(struct kp_db *db, uint32_t topic, int64_t horizon, int64_t compacted, bool compacting,
                                  int64_t decided_at)
{
    struct kp_retention *retention = db->retention;
    kp_mutex_lock(&retention->mutex);
    struct topic *at = find_or_add(retention, topic);
    at->now.compacting = compacting;
    at->now.compacted = KP_MAX(at->now.compacted, compacted);
    if (horizon > at->now.compact_horizon) {
        at->now.compact_horizon = horizon;
        add_decision(at, (struct decision){decided_at, horizon, true});
    }
    kp_cond_broadcast(&retention->compacted);
    kp_mutex_unlock(&retention->mutex);
}

bool kp_retention_wait_compacted(struct kp_db *db, uint32_t topic, int64_t timeout_us)
{
    struct kp_retention *retention = db->retention;
    kp_mutex_lock(&retention->mutex);
    const struct topic *at = find(retention, topic);
    bool in_time = true;
    while (in_time && at && at->now.compacting) {
        in_time = kp_cond_wait_us(&retention->compacted, &retention->mutex, timeout_us);
        at = find(retention, topic); /* the array may have moved */
    }
    bool over = !at || !at->now.compacting;
    kp_mutex_unlock(&retention->mutex);
    return over;
}

void kp_retention_note_removed(struct kp_db *db, uint32_t topic, uint64_t records, uint64_t bytes)
{
    kp_mutex_lock(&db->retention->mutex);
    struct topic *at = find_or_add(db->retention, topic);
    at->now.removed_records += records;
    at->now.removed_bytes += bytes;
    kp_mutex_unlock(&db->retention->mutex);
}

/* ---- what decisions say for views ---- */

void kp_retention_add_base(struct kp_db *db, int64_t number)
{
    struct kp_retention *retention = db->retention;
    kp_mutex_lock(&retention->mutex);
    if (retention->base_count == retention->base_cap) {
        retention->base_cap = retention->base_cap ? 2 * retention->base_cap : 8;
        retention->bases = kp_realloc(retention->bases, retention->base_cap * sizeof *retention->bases);
    }
    retention->bases[retention->base_count++] = number;
    kp_mutex_unlock(&retention->mutex);
}

void kp_retention_put_retractions(struct kp_db *db, struct kp_retractions retractions)
{
    kp_mutex_lock(&db->retention->mutex);
    db->retention->retractions = retractions;
    kp_mutex_unlock(&db->retention->mutex);
}

struct kp_retractions kp_retention_retractions(struct kp_db *db)
{
    kp_mutex_lock(&db->retention->mutex);
    struct kp_retractions retractions = db->retention->retractions;
    kp_mutex_unlock(&db->retention->mutex);
    return retractions;
}

bool kp_retention_knows_base(struct kp_db *db, int64_t number)
{
    struct kp_retention *retention = db->retention;
    kp_mutex_lock(&retention->mutex);
    size_t low = 0, high = retention->base_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (retention->bases[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    bool known = low < retention->base_count && retention->bases[low] == number;
    kp_mutex_unlock(&retention->mutex);
    return known;
}

bool kp_retention_has_bases(struct kp_db *db)
{
    kp_mutex_lock(&db->retention->mutex);
    bool has = db->retention->base_count > 0;
    kp_mutex_unlock(&db->retention->mutex);
    return has;
}

/* Locked: mutex. */
static struct kp_times *find_times(struct kp_retention *retention, uint32_t relation)
{
    for (size_t i = 0; i < retention->time_count; i++)
        if (retention->times[i].relation == relation)
            return &retention->times[i];
    return NULL;
}

void kp_retention_put_times(struct kp_db *db, const struct kp_times *times)
{
    struct kp_retention *retention = db->retention;
    kp_mutex_lock(&retention->mutex);
    struct kp_times *at = find_times(retention, times->relation);
    if (at) {
        kp_free(at->times);
    } else {
        retention->times = kp_realloc(retention->times, (retention->time_count + 1) * sizeof *retention->times);
        at = &retention->times[retention->time_count++];
    }
    *at = *times;
    kp_mutex_unlock(&retention->mutex);
}

void kp_retention_restore_times(struct kp_db *db, const struct kp_relation *relation, struct kp_node *node)
{
    kp_mutex_lock(&db->retention->mutex);
    const struct kp_times *at = find_times(db->retention, relation->id);
    if (at)
        kp_node_times_set(node, at->watermark, at->times, at->count);
    kp_mutex_unlock(&db->retention->mutex);
}

/* The horizon of the topic's last decision before `position`; 0: none. A table knows all in spite of compaction. */
static int64_t horizon_before(struct kp_db *db, const char *topic_name, int64_t position, bool table)
{
    struct kp_topic_info info;
    struct kp_error gone;
    int64_t horizon = 0;
    if (kp_log_topic_find(db->log, topic_name, &info, &gone) != KP_OK)
        return 0;
    kp_mutex_lock(&db->retention->mutex);
    const struct topic *topic = find(db->retention, info.id);
    for (size_t i = 0; topic && i < topic->decision_count && topic->decisions[i].position < position; i++)
        if (!table || !topic->decisions[i].compaction)
            horizon = KP_MAX(horizon, topic->decisions[i].horizon);
    kp_mutex_unlock(&db->retention->mutex);
    return horizon;
}

/* What was found for views, tables and parts of plans: what is read by many ways is looked at once. */
struct known {
    struct known_from {
        const void *what; /* a relation, or a plan's node */
        int64_t from;
    } * items;
    size_t count, cap;
};

static bool is_known(const struct known *known, const void *what, int64_t *ret_from)
{
    for (size_t i = known->count; i-- > 0;)
        if (known->items[i].what == what) {
            *ret_from = known->items[i].from;
            return true;
        }
    return false;
}

static void remember(struct known *known, const void *what, int64_t from)
{
    if (known->count == known->cap) {
        known->cap = known->cap ? 2 * known->cap : 8;
        known->items = kp_realloc(known->items, known->cap * sizeof *known->items);
    }
    known->items[known->count++] = (struct known_from){what, from};
}

static int64_t relation_complete_from(struct kp_db *db, const struct kp_relation *relation, struct known *known);

static int64_t plan_complete_from(struct kp_db *db, const struct kp_plan *plan, int64_t position, struct known *known)
{
    int64_t from = 0;
    if (is_known(known, plan, &from))
        return from;
    if (plan->kind == KP_PLAN_SCAN && plan->scan.relation->kind == KP_RELATION_SOURCE)
        from = horizon_before(db, plan->scan.relation->topic, position, false);
    else if (plan->kind == KP_PLAN_SCAN)
        from = relation_complete_from(db, plan->scan.relation, known);
    for (uint32_t i = 0; i < plan->input_count; i++)
        from = KP_MAX(from, plan_complete_from(db, plan->inputs[i], position, known));
    remember(known, plan, from);
    return from;
}

static int64_t relation_complete_from(struct kp_db *db, const struct kp_relation *relation, struct known *known)
{
    int64_t from = 0;
    if (is_known(known, relation, &from))
        return from;
    if (relation->kind == KP_RELATION_VIEW)
        from = plan_complete_from(db, relation->plan->plan, relation->position, known);
    else if (relation->kind == KP_RELATION_TABLE)
        from = horizon_before(db, relation->topic, relation->position, true);
    remember(known, relation, from);
    return from;
}

int64_t kp_retention_complete_from(struct kp_db *db, const struct kp_relation *relation)
{
    struct known known = {0};
    int64_t from = relation_complete_from(db, relation, &known);
    kp_free(known.items);
    return from;
}

enum kp_code kp_retention_check_past(struct kp_db *db, const char *topic, int64_t position, struct kp_error *err)
{
    struct kp_topic_info info;
    struct kp_topic_retention now;
    KP_TRY(kp_log_topic_find(db->log, topic, &info, err));
    kp_retention_get(db, info.id, &now);
    if (now.compact_horizon > position) {
        (void)kp_fail(err, KP_NOT_FOUND, "72000",
                      "the past at position %lld is gone: topic \"%s\" is compacted up to position %lld",
                      (long long)position, info.name, (long long)now.compact_horizon);
        return kp_error_hint(err, "What was there from position %lld on can be asked for.",
                             (long long)now.compact_horizon);
    }
    if (now.expired_at < position)
        return KP_OK;
    (void)kp_fail(err, KP_NOT_FOUND, "72000",
                  "the past at position %lld is gone: records of topic \"%s\" expired at %lld", (long long)position,
                  info.name, (long long)now.expired_at);
    return kp_error_hint(err, "What happened after position %lld can be asked for.", (long long)now.expired_at);
}

void kp_retention_note_held(struct kp_db *db, uint32_t topic, const char *reason)
{
    struct kp_retention *retention = db->retention;
    kp_mutex_lock(&retention->mutex);
    struct topic *at = find_or_add(retention, topic);
    snprintf(at->now.held_back_by, sizeof at->now.held_back_by, "%s", reason);
    kp_mutex_unlock(&retention->mutex);
}

void kp_retention_read_past(struct kp_db *db)
{
    kp_rwlock_read(&db->retention->past);
}

void kp_retention_write_past(struct kp_db *db)
{
    kp_rwlock_write(&db->retention->past);
}

void kp_retention_unlock_past(struct kp_db *db)
{
    kp_rwlock_unlock(&db->retention->past);
}

/* ---- a round ---- */

/* How far the policy reaches; never behind what readers have been given. */
static enum kp_code find_horizon(struct kp_db *db, uint32_t topic, const struct kp_topic_policy *policy,
                                 int64_t *ret_horizon, struct kp_error *err)
{
    int64_t horizon = 0, by_size;
    if (policy->retention_us >= 0)
        KP_TRY(kp_log_position_at(db->log, db->os->wall_us(db->os->ctx) - policy->retention_us, &horizon, err));
    if (policy->retention_bytes >= 0) {
        KP_TRY(kp_log_position_keeping(db->log, topic, (uint64_t)policy->retention_bytes, &by_size, err));
        horizon = KP_MAX(horizon, by_size);
    }
    *ret_horizon = KP_MIN(horizon, kp_view_clock_position(db->clock));
    return KP_OK;
}

/* The offsets at the horizon; *ret_any false: nothing is to go. */
static enum kp_code find_offsets(struct kp_db *db, const struct kp_topic_info *info, int64_t horizon, int64_t *before,
                                 bool *ret_any, struct kp_error *err)
{
    *ret_any = false;
    for (uint32_t p = 0; p < info->partitions; p++) {
        struct kp_partition_info partition;
        KP_TRY(kp_log_partition(db->log, info->id, p, &partition, err));
        KP_TRY(kp_log_offset_behind(db->log, info->id, p, horizon, &before[p], err));
        before[p] = KP_MAX(before[p], partition.start_offset);
        *ret_any |= before[p] > partition.start_offset;
    }
    return KP_OK;
}

/* What one decision takes on is bounded: its rows pass through memory. */
static enum kp_code nearer(struct kp_db *db, uint32_t topic, int64_t from, int64_t horizon, int64_t *ret_horizon,
                           struct kp_error *err)
{
    struct kp_log_span span;
    enum kp_code code = kp_log_read(db->log, from, horizon, DECISION_BYTES, &topic, 1, &span, err);
    if (code == KP_CORRUPT) { /* what is lost goes with what follows it */
        struct kp_log_damage *damages;
        size_t count;
        bool known = kp_log_damage_at(db->log, from, &damages, &count);
        int64_t behind = known ? damages->position_end : from;
        kp_free(damages);
        *ret_horizon = horizon;
        if (!known)
            return code;
        return behind < horizon ? nearer(db, topic, behind, horizon, ret_horizon, err) : KP_OK;
    }
    KP_TRY(code);
    *ret_horizon = span.position_end > from ? KP_MIN(horizon, span.position_end) : horizon;
    kp_log_span_release(&span);
    return KP_OK;
}

static enum kp_code run_round(struct kp_db *db, const struct kp_topic_info *info, bool *ret_more, struct kp_error *err)
{
    struct kp_topic_retention now;
    kp_retention_get(db, info->id, &now);
    kp_retention_note_held(db, info->id, "");
    *ret_more = false;
    if (now.policy.retention_us < 0 && now.policy.retention_bytes < 0)
        return KP_OK;
    int64_t policy_horizon, horizon;
    KP_TRY(find_horizon(db, info->id, &now.policy, &policy_horizon, err));
    if (policy_horizon <= now.horizon)
        return KP_OK;
    KP_TRY(nearer(db, info->id, now.horizon, policy_horizon, &horizon, err));
    struct kp_expiry expiry = {.topic = *info, .from = now.horizon, .horizon = horizon, .why = "retention"};
    expiry.before = kp_calloc(info->partitions, sizeof *expiry.before);
    bool any;
    enum kp_code code = find_offsets(db, info, horizon, expiry.before, &any, err);
    if (code == KP_OK && any) {
        code = kp_expiry_check(db, &expiry, err);
        bool held = code != KP_OK;
        if (!held) {
            code = kp_expiry_run(db, &expiry, err);
            held = code == KP_CORRUPT; /* a view wants to keep records that are lost */
            *ret_more = code == KP_OK && horizon < policy_horizon;
        }
        if (held) {
            kp_retention_note_held(db, info->id, err->message);
            code = KP_OK;
        }
    }
    kp_free(expiry.before);
    return code;
}

enum kp_code kp_retention_run(struct kp_db *db, uint32_t topic, struct kp_error *err)
{
    struct kp_topic_info info;
    KP_TRY(kp_log_topic_get(db->log, topic, &info, err));
    for (bool more = true; more;)
        KP_TRY(run_round(db, &info, &more, err));
    return KP_OK;
}

enum kp_code kp_retention_delete(struct kp_db *db, uint32_t topic, int64_t partition, int64_t before_offset,
                                 struct kp_error *err)
{
    struct kp_topic_info info;
    KP_TRY(kp_log_topic_get(db->log, topic, &info, err));
    if (partition >= (int64_t)info.partitions)
        return kp_fail(err, KP_NOT_FOUND, NULL, "topic \"%s\" has no partition %lld: it has %u", info.name,
                       (long long)partition, info.partitions);
    struct kp_topic_retention now;
    kp_retention_get(db, topic, &now);
    struct kp_expiry expiry = {.topic = info, .from = now.horizon, .horizon = -1, .why = "delete"};
    expiry.before = kp_calloc(info.partitions, sizeof *expiry.before);
    enum kp_code code = KP_OK;
    bool any = false;
    for (uint32_t p = 0; code == KP_OK && p < info.partitions; p++) {
        struct kp_partition_info at;
        code = kp_log_partition(db->log, info.id, p, &at, err);
        if (code != KP_OK)
            break;
        bool meant = partition < 0 || partition == (int64_t)p;
        if (meant && before_offset > at.end_offset)
            code =
                kp_fail(err, KP_LIMIT, "22003", "offset %lld is out of range: topic \"%s\", partition %u ends at %lld",
                        (long long)before_offset, info.name, p, (long long)at.end_offset);
        expiry.before[p] = !meant ? at.start_offset : before_offset < 0 ? at.end_offset : before_offset;
        expiry.before[p] = KP_MAX(expiry.before[p], at.start_offset);
        any |= expiry.before[p] > at.start_offset;
    }
    if (code == KP_OK && any)
        code = kp_expiry_check(db, &expiry, err);
    if (code != KP_OK && any)
        kp_error_context(err, "records of topic \"%s\" cannot be deleted", info.name);
    if (code == KP_OK && any)
        code = kp_expiry_run(db, &expiry, err);
    kp_free(expiry.before);
    return code;
}

/* ---- the thread ---- */

static void run_all(struct kp_retention *retention)
{
    for (size_t i = 0;; i++) {
        kp_mutex_lock(&retention->mutex);
        bool more = i < retention->count && !retention->stop;
        uint32_t topic = more ? retention->topics[i].id : 0;
        bool expires = more && (retention->topics[i].now.policy.retention_us >= 0 ||
                                retention->topics[i].now.policy.retention_bytes >= 0);
        bool compacts = more && retention->topics[i].now.policy.compact;
        kp_mutex_unlock(&retention->mutex);
        if (!more)
            return;
        if (!expires && !compacts)
            continue;
        struct kp_error err;
        kp_mutex_lock(&retention->db->ddl_mutex);
        enum kp_code code = expires ? kp_retention_run(retention->db, topic, &err) : KP_OK;
        if (code == KP_OK && compacts)
            code = kp_compaction_run(retention->db, topic, false, &retention->stop, &err);
        if (code != KP_OK && code != KP_NOT_FOUND)
            kp_retention_note_held(retention->db, topic, err.message);
        kp_mutex_unlock(&retention->db->ddl_mutex);
    }
}

/* What cannot go now is looked at again. */
static void free_bases(struct kp_retention *retention)
{
    struct kp_error err;
    if (atomic_exchange(&retention->dropped, false) && kp_base_free(retention->db, &err) != KP_OK)
        atomic_store(&retention->dropped, true);
}

void kp_retention_dropped(struct kp_db *db)
{
    struct kp_retention *retention = db->retention;
    if (!kp_retention_has_bases(db))
        return;
    atomic_store(&retention->dropped, true);
    if (!retention->threaded)
        free_bases(retention);
    kp_cond_signal(&retention->wake);
}

static void run_thread(void *arg)
{
    struct kp_retention *retention = arg;
    kp_mutex_lock(&retention->mutex);
    while (!retention->stop) {
        kp_cond_wait_us(&retention->wake, &retention->mutex, ROUND_US);
        kp_mutex_unlock(&retention->mutex);
        if (kp_db_wait_ready(retention->db, 0)) {
            run_all(retention);
            kp_mutex_lock(&retention->db->ddl_mutex);
            free_bases(retention);
            (void)!kp_base_forget_retractions(retention->db, NULL); /* or in a later round */
            kp_mutex_unlock(&retention->db->ddl_mutex);
        }
        kp_mutex_lock(&retention->mutex);
    }
    kp_mutex_unlock(&retention->mutex);
}

struct kp_retention *kp_retention_create(struct kp_db *db)
{
    struct kp_retention *retention = kp_calloc(1, sizeof *retention);
    retention->db = db;
    retention->retractions.position = -1;
    kp_mutex_init(&retention->mutex);
    kp_cond_init(&retention->wake);
    kp_cond_init(&retention->compacted);
    kp_rwlock_init(&retention->past);
    return retention;
}

void kp_retention_start(struct kp_retention *retention)
{
    retention->threaded = true;
    atomic_store(&retention->dropped, true); /* somebody may have gone before the last end */
    kp_thread_start(&retention->thread, "kappa-retention", KP_SQL_STACK_BYTES, run_thread, retention);
}

void kp_retention_stop(struct kp_retention *retention)
{
    if (!retention || !retention->threaded)
        return;
    kp_mutex_lock(&retention->mutex);
    retention->stop = true;
    kp_cond_signal(&retention->wake);
    kp_mutex_unlock(&retention->mutex);
    kp_thread_join(&retention->thread);
    retention->threaded = false;
}

void kp_retention_destroy(struct kp_retention *retention)
{
    if (!retention)
        return;
    kp_retention_stop(retention);
    for (size_t i = 0; i < retention->count; i++)
        kp_free(retention->topics[i].decisions);
    for (size_t i = 0; i < retention->time_count; i++)
        kp_free(retention->times[i].times);
    kp_free(retention->times);
    kp_free(retention->bases);
    kp_mutex_finish(&retention->mutex);
    kp_cond_finish(&retention->wake);
    kp_cond_finish(&retention->compacted);
    kp_free(retention->topics);
    kp_rwlock_finish(&retention->past);
    kp_free(retention);
}
