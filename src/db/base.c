/* Making bases: expired records are decoded once more, for each view that reads them, in a graph of their own. */
#include "db/base.h"

#include <stdio.h>
#include <stdlib.h>

#include "db/copy.h"
#include "flow/row.h"
#include "log/record_batch.h"

enum { READ_BYTES = 8 << 20, RECORD_BYTES = 512 << 10, APPEND_BYTES = 4 << 20 };
static const struct kp_copy_options copy = {KP_COPY_TEXT, '\t', '"', '"', KP_COPY_NO_HEADER, "\\N"};

/* One view's rows of one source. */
struct part {
    struct kp_relation *view, *source; /* ddl_mutex is held: they stay */
    uint32_t *columns, count;
    struct kp_output *output;
    struct kp_buf lines; /* KEEP, or a sink follows: each ends with \n */
    size_t line_count;
    bool followed;         /* by a sink */
    struct kp_arena arena; /* RETRACT: the batches */
    struct kp_batch **batches;
    size_t batch_count, batch_cap;
};

struct kp_base_maker {
    struct kp_db *db;
    const struct kp_expiry *expiry;
    struct kp_graph *graph;
    struct kp_topic_feed *feeds; /* a source once */
    size_t feed_count;
    struct part *parts;
    size_t part_count;
    int64_t number;
    bool retracts; /* rows are in __kappa_retractions */
};

/* ---- hooks ---- */

void kp_expired_finish(struct kp_expired_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        kp_free(list->items[i].columns);
    kp_free(list->items);
    *list = (struct kp_expired_list){0};
}

struct kp_node *kp_expired_hook(void *arg, struct kp_graph *graph, struct kp_relation *source)
{
    struct kp_expired_list *list = arg;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].source == source)
            return list->items[i].node;
    list->items = kp_realloc(list->items, (list->count + 1) * sizeof *list->items);
    struct kp_expired *expired = &list->items[list->count++];
    *expired = (struct kp_expired){.source = source};
    expired->columns = kp_calloc(source->col_count + 1, sizeof *expired->columns);
    expired->count = kp_plan_source_columns(list->view->plan->plan, source, expired->columns);
    expired->node = kp_graph_expired(graph, source, expired->columns, expired->count, list->growing);
    return expired->node;
}

void kp_live_expires(struct kp_live *live)
{
    live->expired = kp_calloc(1, sizeof *live->expired);
    live->expired->view = live->relation;
    live->expired->growing = live->relation->on_expiry != KP_ON_EXPIRY_RETRACT;
}

bool kp_base_may_have(struct kp_db *db, const struct kp_relation *view)
{
    return view->kind == KP_RELATION_VIEW && view->on_expiry == KP_ON_EXPIRY_KEEP && kp_retention_has_bases(db);
}

/* ---- setting up ---- */

static bool needs_watermarks(const struct kp_plan *plan)
{
    if (plan->kind == KP_PLAN_EMIT ||
        (plan->kind == KP_PLAN_WINDOW && (plan->window.late_only || plan->window.kind == KP_WINDOW_LATENESS)))
        return true;
    for (uint32_t i = 0; i < plan->input_count; i++)
        if (needs_watermarks(plan->inputs[i]))
            return true;
    return false;
}

/* Is the relation, whatever its version, this view or one that reads it? */
static bool is_or_reads(const struct kp_relation *relation, const struct kp_relation *view);

static bool plan_reads(const struct kp_plan *plan, const struct kp_relation *view)
{
    bool reads = plan->kind == KP_PLAN_SCAN && is_or_reads(plan->scan.relation, view);
    for (uint32_t i = 0; i < plan->input_count && !reads; i++)
        reads = plan_reads(plan->inputs[i], view);
    return reads;
}

static bool is_or_reads(const struct kp_relation *relation, const struct kp_relation *view)
{
    if (strcmp(relation->schema, view->schema) == 0 && strcmp(relation->name, view->name) == 0)
        return true;
    return relation->kind == KP_RELATION_VIEW && relation->plan && plan_reads(relation->plan->plan, view);
}

/* Does a sink write what becomes of the view? */
static bool is_followed(struct kp_db *db, const struct kp_relation *view)
{
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++) {
        const struct kp_relation *sink = kp_catalog_at(db->catalog, i);
        if (sink->kind == KP_RELATION_SINK && is_or_reads(sink->sink_from, view))
            return true;
    }
    return false;
}

static enum kp_code add_feed(struct kp_base_maker *maker, struct kp_relation *source, struct kp_error *err)
{
    for (size_t i = 0; i < maker->feed_count; i++)
        if (maker->feeds[i].relation == source)
            return KP_OK;
    struct kp_node *node;
    KP_TRY(kp_graph_relation(maker->graph, source, &node, err));
    kp_retention_restore_times(maker->db, source, node);
    maker->feeds = kp_realloc(maker->feeds, (maker->feed_count + 1) * sizeof *maker->feeds);
    maker->feeds[maker->feed_count++] =
        (struct kp_topic_feed){.topic = maker->expiry->topic.id, .node = node, .relation = source};
    return KP_OK;
}

static enum kp_code add_part(struct kp_base_maker *maker, struct kp_relation *view, struct kp_relation *source,
                             struct kp_error *err)
{
    for (size_t i = 0; i < maker->part_count; i++)
        if (maker->parts[i].view == view && maker->parts[i].source == source)
            return KP_OK;
    KP_TRY(add_feed(maker, source, err));
    maker->parts = kp_realloc(maker->parts, (maker->part_count + 1) * sizeof *maker->parts);
    struct part *part = &maker->parts[maker->part_count++];
    *part = (struct part){.view = view, .source = source, .followed = is_followed(maker->db, view)};
    part->columns = kp_calloc(source->col_count + 1, sizeof *part->columns);
    part->count = kp_plan_source_columns(view->plan->plan, source, part->columns);
    struct kp_node *node;
    KP_TRY(kp_graph_stamped(maker->graph, source, part->columns, part->count, needs_watermarks(view->plan->plan), &node,
                            err));
    part->output = kp_graph_add_output(maker->graph, node);
    return KP_OK;
}

/* The view's sources of the topic. */
static enum kp_code add_plan(struct kp_base_maker *maker, struct kp_relation *view, const struct kp_plan *plan,
                             struct kp_error *err)
{
    if (plan->kind == KP_PLAN_SCAN && plan->scan.relation->kind == KP_RELATION_SOURCE &&
        strcmp(plan->scan.relation->topic, maker->expiry->topic.name) == 0)
        KP_TRY(add_part(maker, view, plan->scan.relation, err));
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(add_plan(maker, view, plan->inputs[i], err));
    return KP_OK;
}

static enum kp_code add_views(struct kp_base_maker *maker, struct kp_error *err)
{
    struct kp_db *db = maker->db;
    enum kp_code code = KP_OK;
    for (size_t i = 0; code == KP_OK && i < kp_catalog_count(db->catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        if (relation->kind == KP_RELATION_VIEW)
            code = add_plan(maker, relation, relation->plan->plan, err);
        else if (relation->kind == KP_RELATION_SOURCE && relation->watermark_column >= 0 &&
                 strcmp(relation->topic, maker->expiry->topic.name) == 0)
            code = add_feed(maker, relation, err); /* its time goes on, whoever reads it later */
    }
    return code;
}

/* ---- rows ---- */

static void keep_lines(struct part *part, const struct kp_batch *batch)
{
    struct kp_vec *vecs = kp_alloc((part->count + 1) * sizeof *vecs);
    vecs[0] = batch->vecs[part->count + 1]; /* watermark */
    memcpy(vecs + 1, batch->vecs, part->count * sizeof *vecs);
    struct kp_batch shown = {.rows = batch->rows, .cols = part->count + 1, .vecs = vecs};
    for (uint32_t row = 0; row < batch->rows; row++)
        kp_copy_write_row(&copy, &shown, row, NULL, &part->lines);
    part->line_count += batch->rows;
    kp_free(vecs);
}

static void keep_batch(struct part *part, const struct kp_batch *batch)
{
    struct kp_batch *own = kp_batch_create(&part->arena, batch->cols, batch->rows);
    uint32_t *all = kp_arena_alloc(&part->arena, batch->rows * sizeof *all);
    int64_t *weights = kp_arena_alloc(&part->arena, batch->rows * sizeof *weights);
    for (uint32_t i = 0; i < batch->rows; i++) {
        all[i] = i;
        weights[i] = batch->weights ? -batch->weights[i] : -1;
    }
    for (uint32_t c = 0; c < batch->cols; c++) {
        struct kp_vec flat = kp_vec_flatten(&batch->vecs[c], &part->arena, batch->rows);
        kp_vec_gather(&flat, all, batch->rows, &part->arena, &own->vecs[c]);
        kp_vec_copy_deep(&own->vecs[c], batch->rows, &part->arena);
    }
    own->weights = weights;
    if (part->batch_count == part->batch_cap) {
        part->batch_cap = part->batch_cap ? 2 * part->batch_cap : 8;
        part->batches = kp_realloc(part->batches, part->batch_cap * sizeof(struct kp_batch *));
    }
    part->batches[part->batch_count++] = own;
}

static enum kp_code take_rows(struct kp_base_maker *maker, struct kp_error *err)
{
    for (size_t i = 0; i < maker->part_count; i++) {
        struct part *part = &maker->parts[i];
        KP_TRY(kp_output_check(part->output, err));
        const struct kp_changes *changes = kp_output_changes(part->output);
        bool retracts = part->view->on_expiry == KP_ON_EXPIRY_RETRACT;
        for (size_t b = 0; b < changes->batch_count; b++) {
            if (retracts)
                keep_batch(part, changes->batches[b]);
            if (!retracts || part->followed)
                keep_lines(part, changes->batches[b]);
        }
    }
    return KP_OK;
}

/* Only what expires of the span. */
static void cut_inputs(const struct kp_expiry *expiry, struct kp_step_input *inputs, size_t count,
                       struct kp_arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        struct kp_decode_input *chunks = kp_arena_alloc(arena, (inputs[i].chunk_count + 1) * sizeof *chunks);
        size_t kept = 0;
        for (size_t k = 0; k < inputs[i].chunk_count; k++) {
            const struct kp_decode_input *chunk = &inputs[i].chunks[k];
            int64_t records = expiry->before[chunk->partition] - chunk->base_offset;
            if (records <= (int64_t)chunk->skip)
                continue;
            chunks[kept] = *chunk;
            chunks[kept++].take = (uint32_t)KP_MIN(records, (int64_t)UINT32_MAX);
        }
        inputs[i].chunks = chunks;
        inputs[i].chunk_count = kept;
    }
}

static enum kp_code read_span(struct kp_base_maker *maker, const struct kp_log_span *span, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_step_input *inputs;
    size_t count = kp_span_inputs(span, maker->feeds, maker->feed_count, &arena, &inputs);
    cut_inputs(maker->expiry, inputs, count, &arena);
    struct kp_step step = {.inputs = inputs,
                           .input_count = count,
                           .position_end = span->position_end,
                           .log_time_us = span->count ? span->chunks[span->count - 1].log_time_us : 0,
                           .partial = true};
    enum kp_code code = count ? kp_graph_step(maker->graph, &step, err) : KP_OK;
    if (code == KP_OK && count)
        code = take_rows(maker, err);
    kp_graph_step_release(maker->graph);
    kp_arena_finish(&arena);
    return code;
}

/* The views whose rows they are cannot keep records that are lost. Returns err's code. */
static enum kp_code blame_views(const struct kp_base_maker *maker, struct kp_error *err)
{
    struct kp_buf names = {0};
    for (size_t i = 0; i < maker->part_count; i++) {
        const struct kp_relation *view = maker->parts[i].view;
        bool named = false;
        for (size_t k = 0; k < i && !named; k++)
            named = maker->parts[k].view == view;
        if (!named)
            kp_buf_printf(&names, "%s\"%s\"", names.len ? ", " : "", view->name);
    }
    kp_buf_append_byte(&names, 0);
    kp_error_context(err, "materialized view \"%s\" cannot keep what expires", maker->parts[0].view->name);
    kp_error_hint(err,
                  "To give up what is lost, drop the views that read the topic (%s), delete, and create them again: "
                  "over what is left. Or restore the log from a backup.",
                  (const char *)names.data);
    kp_buf_finish(&names);
    return err->code;
}

/* Moves *position behind damage of which nothing is to go that a view wants; else returns err's code. */
static enum kp_code pass_damage(const struct kp_base_maker *maker, int64_t *position, struct kp_error *err)
{
    const struct kp_expiry *expiry = maker->expiry;
    struct kp_log_damage *damages;
    size_t count;
    bool wanted = false, known = kp_log_damage_at(maker->db->log, *position, &damages, &count);
    for (size_t i = 0; i < count; i++)
        wanted |= damages[i].topic == expiry->topic.id && damages[i].offset < expiry->before[damages[i].partition];
    if (known)
        *position = damages->position_end;
    kp_free(damages);
    if (!known)
        return err->code;
    return wanted && maker->part_count ? blame_views(maker, err) : KP_OK;
}

enum kp_code kp_base_make(struct kp_db *db, const struct kp_expiry *expiry, int64_t from, int64_t end,
                          struct kp_base_maker **ret_maker, struct kp_error *err)
{
    struct kp_base_maker *maker = kp_calloc(1, sizeof *maker);
    maker->db = db;
    maker->expiry = expiry;
    struct kp_graph_options options = {.parts = 1, .budget = &db->query_memory, .max_ahead_us = db->max_ahead_us};
    enum kp_code code = kp_graph_create(&options, &maker->graph, err);
    if (code == KP_OK)
        code = add_views(maker, err);
    for (int64_t position = from; code == KP_OK && maker->feed_count && position < end;) {
        struct kp_log_span span;
        code = kp_log_read(db->log, position, end, READ_BYTES, &expiry->topic.id, 1, &span, err);
        if (code == KP_CORRUPT) {
            code = pass_damage(maker, &position, err);
            continue;
        }
        if (code != KP_OK)
            break;
        code = read_span(maker, &span, err);
        bool moved = span.position_end > position;
        position = span.position_end;
        kp_log_span_release(&span);
        if (!moved)
            break;
    }
    if (code != KP_OK) {
        kp_base_maker_destroy(maker);
        return code;
    }
    *ret_maker = maker;
    return KP_OK;
}

void kp_base_maker_destroy(struct kp_base_maker *maker)
{
    if (!maker)
        return;
    for (size_t i = 0; i < maker->part_count; i++) {
        kp_buf_finish(&maker->parts[i].lines);
        kp_arena_finish(&maker->parts[i].arena);
        kp_free(maker->parts[i].columns);
        kp_free(maker->parts[i].batches);
    }
    kp_graph_destroy(maker->graph);
    kp_free(maker->parts);
    kp_free(maker->feeds);
    kp_free(maker);
}

/* ---- into the log ---- */

struct writer {
    struct kp_base_maker *maker;
    uint32_t topic;
    struct kp_record_batch_builder builder;
    char key[64];
    struct kp_buf value;
    size_t header_len;
};

static enum kp_code append(struct writer *writer, struct kp_error *err)
{
    if (writer->builder.count == 0)
        return KP_OK;
    struct kp_buf batch = {0};
    enum kp_code code = kp_record_batch_build(&writer->builder, KP_CODEC_ZSTD, &batch, err);
    struct kp_log_entry entry = {
        .topic = writer->topic, .batch = batch.data, .bytes = batch.len, .trusted = true, .frees_room = true};
    if (code == KP_OK)
        code = kp_log_append(writer->maker->db->log, &entry, 1, NULL, err);
    kp_buf_finish(&batch);
    return code;
}

static enum kp_code end_record(struct writer *writer, struct kp_error *err)
{
    if (writer->value.len == writer->header_len)
        return KP_OK;
    struct kp_os *os = writer->maker->db->os;
    kp_record_batch_add(&writer->builder, os->wall_us(os->ctx) / 1000, kp_str(writer->key),
                        (struct kp_str){(char *)writer->value.data, writer->value.len}, (struct kp_str){NULL, 0});
    writer->value.len = writer->header_len;
    return kp_record_batch_builder_bytes(&writer->builder) > APPEND_BYTES ? append(writer, err) : KP_OK;
}

static int compare_lines(const void *a, const void *b)
{
    return kp_str_compare(*(const struct kp_str *)a, *(const struct kp_str *)b);
}

static struct kp_str *sorted_lines(const struct part *part)
{
    struct kp_str *lines = kp_alloc((part->line_count + 1) * sizeof *lines);
    const char *at = (const char *)part->lines.data;
    for (size_t i = 0; i < part->line_count; i++) {
        const char *end = memchr(at, '\n', part->lines.len - (size_t)(at - (const char *)part->lines.data));
        lines[i] = (struct kp_str){at, (size_t)(end + 1 - at)};
        at = end + 1;
    }
    qsort(lines, part->line_count, sizeof *lines, compare_lines);
    return lines;
}

static void begin_part(struct writer *writer, const struct part *part)
{
    snprintf(writer->key, sizeof writer->key, "%lld %u %u", (long long)writer->maker->number, part->view->id,
             part->source->id);
    struct kp_column *cols = kp_calloc(part->count + 2, sizeof *cols);
    cols[0].name = "_count";
    cols[1].name = "_watermark";
    for (uint32_t i = 0; i < part->count; i++)
        cols[i + 2].name = part->source->cols[part->columns[i]].name;
    writer->value.len = 0;
    kp_copy_write_header(&copy, cols, part->count + 2, &writer->value);
    writer->header_len = writer->value.len;
    kp_free(cols);
}

static enum kp_code log_part(struct writer *writer, const struct part *part, struct kp_error *err)
{
    begin_part(writer, part);
    struct kp_str *lines = sorted_lines(part);
    enum kp_code code = KP_OK;
    for (size_t i = 0; code == KP_OK && i < part->line_count;) {
        size_t same = 1;
        while (i + same < part->line_count && kp_str_equal(lines[i], lines[i + same]))
            same++;
        kp_buf_printf(&writer->value, "%zu\t", same);
        kp_buf_append_str(&writer->value, lines[i]);
        i += same;
        if (writer->value.len > RECORD_BYTES)
            code = end_record(writer, err);
    }
    kp_free(lines);
    return code == KP_OK ? end_record(writer, err) : code;
}

/* The rows of views that keep them, or of those that give them up. */
static enum kp_code log_parts(struct kp_base_maker *maker, bool retracts, bool *ret_any, struct kp_error *err)
{
    struct writer writer = {.maker = maker};
    enum kp_code code = KP_OK;
    for (size_t i = 0; code == KP_OK && i < maker->part_count; i++) {
        if (maker->parts[i].line_count == 0 || (maker->parts[i].view->on_expiry == KP_ON_EXPIRY_RETRACT) != retracts)
            continue;
        if (!writer.topic)
            code = kp_expiry_topic(maker->db, retracts ? KP_RETRACTIONS_TOPIC : KP_BASES_TOPIC, &writer.topic, err);
        if (code == KP_OK)
            code = log_part(&writer, &maker->parts[i], err);
    }
    if (code == KP_OK)
        code = append(&writer, err);
    kp_record_batch_builder_finish(&writer.builder);
    kp_buf_finish(&writer.value);
    KP_TRY(code);
    *ret_any = writer.topic;
    return KP_OK;
}

enum kp_code kp_base_log(struct kp_base_maker *maker, int64_t *ret_number, struct kp_error *err)
{
    bool any;
    maker->number = kp_log_position(maker->db->log) + 1; /* no two decisions have the same */
    KP_TRY(log_parts(maker, true, &maker->retracts, err));
    KP_TRY(log_parts(maker, false, &any, err));
    *ret_number = any ? maker->number : 0;
    return KP_OK;
}

void kp_base_describe(const struct kp_base_maker *maker, struct kp_buf *out)
{
    if (maker->retracts)
        kp_buf_printf(out, "\nretractions %lld", (long long)maker->number);
    for (size_t i = 0; i < maker->feed_count; i++) {
        if (maker->feeds[i].relation->watermark_column < 0)
            continue;
        int64_t watermark;
        struct kp_source_time *times;
        uint32_t count;
        kp_node_times_get(maker->feeds[i].node, &watermark, &times, &count);
        kp_buf_printf(out, "\ntimes %u %lld %u", maker->feeds[i].relation->id, (long long)watermark, count);
        for (uint32_t t = 0; t < count; t++)
            kp_buf_printf(out, " %u %lld", times[t].partition, (long long)times[t].time_max);
        for (uint32_t t = 0; t < count; t++)
            kp_buf_printf(out, " %lld", (long long)times[t].seen_us);
        kp_free(times);
    }
}

void kp_base_note(struct kp_base_maker *maker, int64_t position)
{
    if (maker->retracts)
        kp_retention_put_retractions(maker->db, (struct kp_retractions){maker->number, position});
    for (size_t i = 0; i < maker->feed_count; i++) {
        struct kp_times times = {.relation = maker->feeds[i].relation->id};
        if (maker->feeds[i].relation->watermark_column < 0)
            continue;
        kp_node_times_get(maker->feeds[i].node, &times.watermark, &times.times, &times.count);
        kp_retention_put_times(maker->db, &times);
    }
}

size_t kp_base_retractions(const struct kp_base_maker *maker, struct kp_step_input **ret_inputs)
{
    *ret_inputs = kp_calloc(maker->part_count + 1, sizeof **ret_inputs);
    size_t count = 0;
    for (size_t i = 0; i < maker->part_count; i++) {
        const struct part *part = &maker->parts[i];
        const struct kp_live *live = kp_live_of(part->view);
        if (part->batch_count == 0 || !live || atomic_load(&live->state) != KP_LIVE_READY)
            continue;
        for (size_t k = 0; live->expired && k < live->expired->count; k++)
            if (live->expired->items[k].source == part->source)
                (*ret_inputs)[count++] = (struct kp_step_input){
                    .node = live->expired->items[k].node, .batches = part->batches, .batch_count = part->batch_count};
    }
    return count;
}
