/*
 * Watermarks of sources, and of the views whose windows they close: kappa.watermarks and /metrics.
 *
 * The engine notes each source's after a step, since nobody else may look into the graph and whoever reads metrics must
 * not wait for a step to end. A view's is the least of those of the sources that its windows follow.
 *
 * A source is here once something reads it: nobody follows the times of one that has no view.
 */
#include "db/watermarks.h"

#include <stdio.h>

struct noted {
    uint32_t relation; /* its id */
    struct kp_source_clock clock;
};

struct kp_watermarks {
    struct kp_mutex lock;
    struct noted *items;
    size_t count, cap;
};

struct kp_watermarks *kp_watermarks_create(void)
{
    struct kp_watermarks *watermarks = kp_calloc(1, sizeof *watermarks);
    kp_mutex_init(&watermarks->lock);
    return watermarks;
}

void kp_watermarks_destroy(struct kp_watermarks *watermarks)
{
    if (!watermarks)
        return;
    kp_mutex_finish(&watermarks->lock);
    kp_free(watermarks->items);
    kp_free(watermarks);
}

void kp_watermarks_note(struct kp_db *db)
{
    struct kp_watermarks *watermarks = db->watermarks;
    kp_mutex_lock(&watermarks->lock);
    watermarks->count = 0;
    for (size_t i = 0; i < db->feed_count; i++) {
        struct noted noted = {.relation = db->feeds[i].relation->id};
        if (!kp_node_clock(db->feeds[i].node, &noted.clock))
            continue;
        if (watermarks->count == watermarks->cap) {
            watermarks->cap = watermarks->cap ? watermarks->cap * 2 : 8;
            watermarks->items = kp_realloc(watermarks->items, watermarks->cap * sizeof *watermarks->items);
        }
        watermarks->items[watermarks->count++] = noted;
    }
    kp_mutex_unlock(&watermarks->lock);
}

/* ---- reading ---- */

struct mark {
    const struct kp_relation *relation; /* a source or view */
    const struct kp_relation *source;   /* itself, or the view's that holds it up; NULL: not known yet */
    struct kp_source_clock clock;       /* of `source` */
};
typedef void (*each_mark)(void *arg, const struct mark *mark);

static bool find(struct kp_db *db, const struct kp_relation *source, struct kp_source_clock *ret_clock)
{
    bool found = false;
    kp_mutex_lock(&db->watermarks->lock);
    for (size_t i = 0; !found && i < db->watermarks->count; i++)
        if ((found = db->watermarks->items[i].relation == source->id))
            *ret_clock = db->watermarks->items[i].clock;
    kp_mutex_unlock(&db->watermarks->lock);
    return found;
}

static void take_sources(struct kp_db *db, struct kp_relation *const *sources, uint32_t count, struct mark *mark)
{
    for (uint32_t i = 0; i < count; i++) {
        struct kp_source_clock clock;
        if (!find(db, sources[i], &clock) || (mark->source && clock.watermark >= mark->clock.watermark))
            continue;
        mark->source = sources[i];
        mark->clock = clock;
    }
}

/* Whether its windows, or what is late for it, follow sources. */
static bool view_mark(struct kp_db *db, const struct kp_plan *plan, struct mark *mark)
{
    bool any = false;
    if (plan->kind == KP_PLAN_EMIT || plan->kind == KP_PLAN_WINDOW) {
        bool emit = plan->kind == KP_PLAN_EMIT;
        uint32_t count = emit ? plan->emit.source_count : plan->window.source_count;
        take_sources(db, emit ? plan->emit.sources : plan->window.sources, count, mark);
        any = count > 0;
    }
    for (uint32_t i = 0; i < plan->input_count; i++)
        any |= view_mark(db, plan->inputs[i], mark);
    return any;
}

static void each_watermark(struct kp_db *db, each_mark each, void *arg)
{
    kp_catalog_read(db->catalog);
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++) {
        const struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        struct mark mark = {.relation = relation};
        bool has = false;
        if (relation->kind == KP_RELATION_SOURCE && relation->watermark_column >= 0) {
            has = true;
            mark.source = find(db, relation, &mark.clock) ? relation : NULL;
        } else if (relation->kind == KP_RELATION_VIEW && relation->plan && !relation->late_of) {
            has = view_mark(db, relation->plan->plan, &mark);
        }
        if (has)
            each(arg, &mark);
    }
    kp_catalog_unlock(db->catalog);
}

/* ---- kappa.watermarks ---- */

static const int64_t POSTGRES_EPOCH_US = 946684800000000;

static bool is_moment(int64_t us)
{
    return us != INT64_MIN && us != INT64_MAX;
}

static void put_moment(struct kp_system_rows *rows, int64_t us)
{
    if (us == INT64_MIN)
        kp_system_put_null(rows);
    else
        kp_system_put_time(rows, us == INT64_MAX ? us : us + POSTGRES_EPOCH_US);
}

static void put_distance(struct kp_system_rows *rows, int64_t from_us, int64_t to_us)
{
    if (is_moment(from_us) && is_moment(to_us))
        kp_system_put_float(rows, ((double)to_us - (double)from_us) / 1000.0);
    else
        kp_system_put_null(rows);
}

struct filling {
    struct kp_db *db;
    struct kp_system_rows *rows;
};

static void put_mark(void *arg, const struct mark *mark)
{
    struct filling *filling = arg;
    struct kp_system_rows *rows = filling->rows;
    const struct kp_source_clock *clock = &mark->clock;
    bool source = mark->relation->kind == KP_RELATION_SOURCE;
    kp_system_put_text(rows, mark->relation->name);
    kp_system_put_int(rows, mark->relation->version);
    kp_system_put_text(rows, source ? "source" : "materialized view");
    if (!mark->source) {
        for (uint32_t c = 3; c < rows->col_count; c++)
            kp_system_put_null(rows);
        return;
    }
    put_moment(rows, clock->watermark);
    put_moment(rows, clock->time_max);
    put_distance(rows, clock->watermark, clock->time_max);
    put_distance(rows, clock->watermark, kp_view_clock_time_us(filling->db->clock) - POSTGRES_EPOCH_US);
    if (!source) {
        kp_system_put_text(rows, mark->source->name);
    } else if (clock->slowest >= 0) {
        char partition[40];
        snprintf(partition, sizeof partition, "partition %lld", (long long)clock->slowest);
        kp_system_put_text(rows, partition);
    } else {
        kp_system_put_null(rows);
    }
    kp_system_put_int(rows, clock->partitions);
    kp_system_put_int(rows, clock->idle_partitions);
    kp_system_put_int(rows, (int64_t)clock->too_far_ahead);
}

enum kp_code kp_system_fill_watermarks(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct filling filling = {session->db, rows};
    each_watermark(session->db, put_mark, &filling);
    return KP_OK;
}

/* ---- metrics ---- */

struct telling {
    void (*each)(void *arg, const char *name, const char *labels, double value, const char *help);
    void *arg;
};

static double unix_seconds(int64_t us)
{
    return ((double)us + (double)POSTGRES_EPOCH_US) / 1e6;
}

static void tell_mark(void *arg, const struct mark *mark)
{
    const struct telling *telling = arg;
    const struct kp_source_clock *clock = &mark->clock;
    bool source = mark->relation->kind == KP_RELATION_SOURCE;
    char labels[KP_NAME_BYTES_MAX + 64];
    if (!mark->source)
        return;
    snprintf(labels, sizeof labels, "%s=\"%s\",version=\"%u\"", source ? "source" : "view", mark->relation->name,
             mark->relation->version);
    if (is_moment(clock->watermark))
        telling->each(telling->arg, "kappa_watermark_seconds", labels, unix_seconds(clock->watermark),
                      "Watermark of a source or view, as seconds since 1970.");
    if (!source)
        return;
    if (is_moment(clock->time_max))
        telling->each(telling->arg, "kappa_event_time_max_seconds", labels, unix_seconds(clock->time_max),
                      "Largest event time of a source, as seconds since 1970.");
    telling->each(telling->arg, "kappa_idle_partitions", labels, clock->idle_partitions,
                  "Partitions that do not hold a source's watermark up.");
    telling->each(telling->arg, "kappa_too_far_ahead_total", labels, (double)clock->too_far_ahead,
                  "Records of a source that max_ahead has refused.");
}

void kp_watermarks_metrics(struct kp_db *db,
                           void (*each)(void *arg, const char *name, const char *labels, double value,
                                        const char *help),
                           void *arg)
{
    struct telling telling = {each, arg};
    each_watermark(db, tell_mark, &telling);
}
