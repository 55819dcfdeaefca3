/* The chunks of a span, handed to the nodes that read their topics. A topic that several sources read is grouped once.
 */
#include "replay/history.h"

static size_t topic_chunks(const struct kp_log_span *span, uint32_t topic, struct kp_decode_input *out)
{
    size_t count = 0;
    for (size_t i = 0; i < span->count; i++) {
        const struct kp_log_chunk *chunk = &span->chunks[i];
        if (chunk->topic != topic)
            continue;
        if (out)
            out[count] = (struct kp_decode_input){.partition = chunk->partition,
                                                  .base_offset = chunk->base_offset,
                                                  .position = chunk->position,
                                                  .log_time_us = chunk->log_time_us,
                                                  .batch = chunk->batch,
                                                  .bytes = chunk->bytes,
                                                  .skip = chunk->skip};
        count++;
    }
    return count;
}

size_t kp_span_inputs(const struct kp_log_span *span, const struct kp_topic_feed *feeds, size_t feed_count,
                      struct kp_arena *arena, struct kp_step_input **ret_inputs)
{
    struct kp_step_input *inputs = kp_arena_calloc(arena, (feed_count + 1) * sizeof *inputs);
    uint32_t *topics = kp_arena_calloc(arena, (feed_count + 1) * sizeof *topics); /* of inputs */
    size_t count = 0;
    for (size_t f = 0; f < feed_count; f++) {
        struct kp_step_input input = {.node = feeds[f].node};
        for (size_t i = 0; i < count && !input.chunks; i++)
            if (topics[i] == feeds[f].topic) {
                input.chunks = inputs[i].chunks;
                input.chunk_count = inputs[i].chunk_count;
            }
        if (!input.chunks) {
            input.chunk_count = topic_chunks(span, feeds[f].topic, NULL);
            if (input.chunk_count == 0)
                continue;
            struct kp_decode_input *chunks = kp_arena_alloc(arena, input.chunk_count * sizeof *chunks);
            topic_chunks(span, feeds[f].topic, chunks);
            input.chunks = chunks;
        }
        topics[count] = feeds[f].topic;
        inputs[count++] = input;
    }
    *ret_inputs = inputs;
    return count;
}
