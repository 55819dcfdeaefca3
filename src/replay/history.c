/*
 * History, as replay/history.h says it. For each feed there is a track: its set of columns, the views that the step
 * reads, and the fill that makes new columns of what it decodes.
 *
 * Invariants: 1. a step ends where a chunk or a span of the log ends, so between groups; a limit that lies within a
 * chunk is reached by decoding. 2. A fill gets every batch of its topic between its begin and its position, or is
 * thrown away. 3. Rows of records that were trimmed are not read: a chunk with one of them is forgotten.
 */
#include "replay/history.h"

#include "flow/source.h"

enum { STEP_ROWS = 4 * KP_BATCH_ROWS_MAX, VIEWS_MAX = 64 };

struct track {
    struct kp_topic_feed feed;
    struct kp_column_set *set; /* NULL: no columns */
    struct kp_column_field *fields;
    uint32_t field_count;
    struct kp_column_fill *fill;
    struct kp_column_view *views[VIEWS_MAX]; /* of the step; the last one is where it goes on */
    uint32_t view_count;
    struct kp_column_slice *slices;
    uint32_t slice_count;
    bool decodes; /* in this step */
};

struct kp_history {
    struct kp_history_options options;
    struct track *tracks;
    size_t track_count;
    struct kp_arena arena; /* of the step */
    struct kp_log_span span;
    bool has_span;
};

struct kp_history *kp_history_create(const struct kp_history_options *options)
{
    struct kp_history *history = kp_calloc(1, sizeof *history);
    history->options = *options;
    return history;
}

static void forget_tracks(struct kp_history *history)
{
    for (size_t i = 0; i < history->track_count; i++) {
        kp_column_fill_destroy(history->tracks[i].fill);
        kp_free(history->tracks[i].fields);
    }
    kp_free(history->tracks);
    history->tracks = NULL;
    history->track_count = 0;
}

void kp_history_destroy(struct kp_history *history)
{
    if (!history)
        return;
    forget_tracks(history);
    kp_arena_finish(&history->arena);
    kp_free(history);
}

/* ---- tracks ---- */

static bool same_fields(const struct track *track, const struct kp_column_field *fields, uint32_t count, bool reads)
{
    if (!reads || count != track->field_count)
        return !reads && !track->set;
    for (uint32_t i = 0; i < count; i++)
        if (fields[i].number != track->fields[i].number)
            return false;
    return true;
}

/* The tracks of these feeds: those of the last step if nothing has changed. */
static void need_tracks(struct kp_history *history, const struct kp_topic_feed *feeds, size_t count)
{
    bool same = history->track_count == count;
    for (size_t i = 0; i < count; i++) {
        uint32_t field_count = 0;
        struct kp_column_field *fields =
            kp_arena_alloc(&history->arena, (feeds[i].relation->col_count + (size_t)1) * sizeof *fields);
        bool reads = history->options.columns && kp_node_fields(feeds[i].node, fields, &field_count);
        same = same && history->tracks[i].feed.node == feeds[i].node &&
               history->tracks[i].feed.topic == feeds[i].topic &&
               same_fields(&history->tracks[i], fields, field_count, reads);
    }
    if (same)
        return;
    forget_tracks(history);
    history->tracks = kp_calloc(count + 1, sizeof *history->tracks);
    history->track_count = count;
    for (size_t i = 0; i < count; i++) {
        struct track *track = &history->tracks[i];
        track->feed = feeds[i];
        track->fields = kp_calloc(feeds[i].relation->col_count + (size_t)1, sizeof *track->fields);
        if (history->options.columns && kp_node_fields(feeds[i].node, track->fields, &track->field_count))
            track->set =
                kp_columns_set(history->options.columns, feeds[i].topic, kp_source_declaration(feeds[i].relation));
    }
}

bool kp_history_trimmed(struct kp_log *log, uint32_t topic, const struct kp_column_view *view)
{
    const struct kp_rows_chunk *rows = view->rows;
    struct kp_partition_info info = {0};
    uint32_t known = UINT32_MAX;
    for (uint32_t i = 0; i < rows->header->entries; i++) {
        const struct kp_column_batch *batch = &rows->batches[i];
        if (batch->partition != known && kp_log_partition(log, topic, batch->partition, &info, NULL) != KP_OK)
            return true;
        known = batch->partition;
        if (batch->base_offset < info.start_offset) /* in part is enough: its first rows are gone */
            return true;
    }
    return false;
}

/* Sees to it that the last view holds `position` and ends within the limit. */
static bool need_view(struct kp_history *history, struct track *track, int64_t position, int64_t limit,
                      bool *ret_within)
{
    struct kp_column_view *last = track->view_count ? track->views[track->view_count - 1] : NULL;
    if (!track->set)
        return false;
    if (last && position < last->range.end)
        return true;
    if (track->view_count == VIEWS_MAX)
        return false;
    struct kp_column_view view;
    if (!kp_column_view_open(track->set, position, track->fields, track->field_count, &view))
        return false;
    bool trimmed = kp_history_trimmed(history->options.log, track->feed.topic, &view);
    if (trimmed)
        kp_columns_forget(history->options.columns, track->feed.topic, view.range.end);
    if (trimmed || view.range.end > limit) {
        *ret_within |= !trimmed;
        kp_column_view_close(&view);
        return false;
    }
    track->views[track->view_count] = kp_arena_alloc(&history->arena, sizeof view);
    *track->views[track->view_count++] = view;
    return true;
}

static void add_slice(struct kp_history *history, struct track *track, int64_t begin, int64_t end)
{
    if (!track->slices)
        track->slices = kp_arena_alloc(&history->arena, (VIEWS_MAX + 1) * 2 * sizeof *track->slices);
    track->slices[track->slice_count++] = (struct kp_column_slice){track->views[track->view_count - 1], begin, end};
}

/* ---- steps of columns alone ---- */

/* All feeds from their columns, chunk by chunk; returns how far. */
static int64_t take_columns(struct kp_history *history, int64_t position, int64_t limit, bool *ret_within)
{
    uint64_t rows = 0;
    for (uint32_t pieces = 0; rows < STEP_ROWS && position < limit && pieces < VIEWS_MAX; pieces++) {
        int64_t end = limit;
        bool all = history->track_count > 0;
        for (size_t i = 0; all && i < history->track_count; i++) {
            struct track *track = &history->tracks[i];
            all = need_view(history, track, position, limit, ret_within);
            if (all)
                end = KP_MIN(end, track->views[track->view_count - 1]->range.end);
        }
        if (!all)
            break;
        for (size_t i = 0; i < history->track_count; i++) {
            struct track *track = &history->tracks[i];
            const struct kp_rows_chunk *chunk = track->views[track->view_count - 1]->rows;
            rows += kp_rows_chunk_find(chunk, end) - kp_rows_chunk_find(chunk, position);
            add_slice(history, track, position, end);
        }
        position = end;
    }
    return position;
}

/* ---- steps that decode ---- */

/* Decides for each feed whether it decodes, and how far the span may go; begins fills. */
static int64_t aim_span(struct kp_history *history, int64_t position, int64_t limit)
{
    int64_t end = limit;
    for (size_t i = 0; i < history->track_count; i++) {
        struct track *track = &history->tracks[i];
        bool within = false;
        track->decodes = !need_view(history, track, position, limit, &within);
        if (!track->decodes) {
            end = KP_MIN(end, track->views[track->view_count - 1]->range.end);
            continue;
        }
        if (!track->set)
            continue;
        if (track->fill && kp_column_fill_position(track->fill) != position) {
            kp_column_fill_destroy(track->fill);
            track->fill = NULL;
        }
        if (!track->fill && !within)
            track->fill = kp_column_fill_begin(track->set, position, track->fields, track->field_count);
        struct kp_column_range range;
        (void)!kp_column_set_at(track->set, position, &range);
        end = KP_MIN(end, range.end);
        if (track->fill) {
            int64_t room = kp_column_fill_room(track->fill);
            end = KP_MIN(end, kp_column_fill_limit(track->fill));
            end = end - position > room ? position + room : end; /* the group that holds it is taken whole */
        }
    }
    return end;
}

static enum kp_code take_span(struct kp_history *history, int64_t position, int64_t limit, int64_t *ret_end,
                              struct kp_error *err)
{
    int64_t end = aim_span(history, position, limit);
    uint32_t *topics = kp_arena_alloc(&history->arena, (history->track_count + 1) * sizeof *topics);
    size_t topic_count = 0;
    for (size_t i = 0; i < history->track_count; i++)
        if (history->tracks[i].decodes)
            topics[topic_count++] = history->tracks[i].feed.topic;
    KP_TRY(kp_log_read(history->options.log, position, end, history->options.step_bytes_max, topics, topic_count,
                       &history->span, err));
    history->has_span = true;
    *ret_end = history->span.position_end;
    for (size_t i = 0; i<history->track_count && * ret_end> position; i++)
        if (!history->tracks[i].decodes)
            add_slice(history, &history->tracks[i], position, *ret_end);
    return KP_OK;
}

/* ---- a step ---- */

static void note_slices(const struct track *track, struct kp_history_step *step)
{
    for (uint32_t s = 0; s < track->slice_count; s++) {
        const struct kp_column_slice *slice = &track->slices[s];
        const struct kp_rows_chunk *rows = slice->view->rows;
        for (uint32_t b = 0; b < rows->header->entries; b++) {
            const struct kp_column_batch *batch = &rows->batches[b];
            int64_t from = KP_MAX(batch->position, slice->begin);
            int64_t to = KP_MIN(batch->position + batch->records, slice->end);
            if (from >= to)
                continue;
            step->records += (uint64_t)(to - from);
            step->log_time_us = KP_MAX(step->log_time_us, batch->log_time_us);
        }
    }
}

static void make_inputs(struct kp_history *history, struct kp_history_step *step)
{
    struct kp_arena *arena = &history->arena;
    struct kp_topic_feed *feeds = kp_arena_alloc(arena, (history->track_count + 1) * sizeof *feeds);
    struct kp_step_input *decoded = NULL;
    size_t count = 0, decodes = 0, order = 0;
    for (size_t i = 0; i < history->track_count; i++)
        if (history->tracks[i].decodes)
            feeds[decodes++] = history->tracks[i].feed;
    if (history->has_span)
        count = kp_span_inputs(&history->span, feeds, decodes, arena, &decoded);
    step->inputs = kp_arena_calloc(arena, (history->track_count + 1) * sizeof *step->inputs);
    for (size_t i = 0; i < history->track_count; i++) {
        struct track *track = &history->tracks[i];
        if (track->slice_count) {
            step->inputs[step->count++] = (struct kp_step_input){
                .node = track->feed.node, .slices = track->slices, .slice_count = track->slice_count};
            note_slices(track, step);
        } else if (order < count && decoded[order].node == track->feed.node) {
            decoded[order].fill = track->fill;
            if (track->fill)
                kp_column_fill_expect(track->fill);
            step->inputs[step->count++] = decoded[order++];
        }
    }
    for (size_t i = 0; history->has_span && i < history->span.count; i++) {
        step->bytes += history->span.chunks[i].bytes;
        step->records += history->span.chunks[i].records;
        step->log_time_us = KP_MAX(step->log_time_us, history->span.chunks[i].log_time_us);
    }
}

enum kp_code kp_history_next(struct kp_history *history, const struct kp_topic_feed *feeds, size_t feed_count,
                             int64_t position, int64_t limit, bool loose, struct kp_history_step *ret_step,
                             struct kp_error *err)
{
    struct kp_history_step step = {.position = position};
    bool within = false;
    kp_arena_reset(&history->arena);
    need_tracks(history, feeds, feed_count);
    step.position_end = take_columns(history, position, limit, &within);
    if (step.position_end == position && !(loose && within)) {
        enum kp_code code = take_span(history, position, limit, &step.position_end, err);
        if (code != KP_OK) {
            kp_history_release(history, &step, false);
            return code;
        }
    }
    make_inputs(history, &step);
    *ret_step = step;
    return KP_OK;
}

void kp_history_release(struct kp_history *history, struct kp_history_step *step, bool stepped)
{
    for (size_t i = 0; i < history->track_count; i++) {
        struct track *track = &history->tracks[i];
        if (track->decodes && track->fill && !stepped) {
            kp_column_fill_destroy(track->fill);
            track->fill = NULL;
        } else if (track->decodes && track->fill && step->position_end > step->position) {
            kp_column_fill_reach(track->fill, step->position_end);
            if (kp_column_fill_limit(track->fill) <= step->position_end) { /* what follows is known */
                kp_column_fill_destroy(track->fill);
                track->fill = NULL;
            }
        }
        for (uint32_t v = 0; v < track->view_count; v++)
            kp_column_view_close(track->views[v]);
        track->view_count = track->slice_count = 0;
        track->slices = NULL;
        track->decodes = false;
    }
    if (history->has_span)
        kp_log_span_release(&history->span);
    history->has_span = false;
    step->inputs = NULL;
    step->count = 0;
}
