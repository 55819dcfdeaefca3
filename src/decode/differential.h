/*
 * For tests and the fuzzer: the same records through both paths of JSON, the answers as text. The fast path's state is
 * kept from call to call, so that its guesses come from earlier records, good and bad.
 */
#ifndef KP_DECODE_DIFFERENTIAL_H
#define KP_DECODE_DIFFERENTIAL_H

#include "decode/decode.h"

/* Columns of every kind of conversion, by plain, dotted, doubled and missing names. */
static const struct kp_field differential_fields[] = {{.name = "auction", .type = {KP_INT8, -1, 0}},
                                                      {.name = "bidder", .type = {KP_INT4, -1, 0}},
                                                      {.name = "small", .type = {KP_INT2, -1, 0}},
                                                      {.name = "price", .type = {KP_NUMERIC, -1, 0}},
                                                      {.name = "channel", .type = {KP_TEXT, -1, 0}},
                                                      {.name = "dateTime", .type = {KP_TIMESTAMP, -1, 0}},
                                                      {.name = "at", .type = {KP_TIMESTAMPTZ, -1, 0}},
                                                      {.name = "ok", .type = {KP_BOOL, -1, 0}},
                                                      {.name = "ratio", .type = {KP_FLOAT8, -1, 0}},
                                                      {.name = "real", .type = {KP_FLOAT4, -1, 0}},
                                                      {.name = "day", .type = {KP_DATE, -1, 0}},
                                                      {.name = "raw", .type = {KP_JSON, -1, 0}},
                                                      {.name = "a.b", .type = {KP_INT8, -1, 0}},
                                                      {.name = "a.c.d", .type = {KP_TEXT, -1, 0}},
                                                      {.name = "Channel", .type = {KP_TEXT, -1, 0}},
                                                      {.name = "short", .type = {KP_VARCHAR, 9}},
                                                      {.name = "money", .type = {KP_NUMERIC, (8 << 16 | 2) + 4}},
                                                      {.name = "canon", .type = {KP_JSONB, -1, 0}}};

struct differential {
    struct kp_decoder *decoder;
    struct kp_decode_state *states[2]; /* fast, general */
    struct kp_record_batch_builder builder;
    struct kp_buf batch, answers[2];
};

static inline enum kp_code differential_rows(void *arg, const struct kp_decoded *decoded, struct kp_error *err)
{
    const char *names[KP_COUNT(differential_fields)];
    for (size_t i = 0; i < KP_COUNT(names); i++)
        names[i] = differential_fields[i].name;
    for (uint32_t row = 0; row < decoded->batch->rows; row++) {
        kp_buf_printf(arg, "%lld ", (long long)decoded->positions[row]);
        kp_encode_json(decoded->batch, names, row, NULL, arg);
        kp_buf_append_byte(arg, '\n');
    }
    return KP_OK;
}

static inline void differential_dead(void *arg, const struct kp_dead_letter *letter)
{
    kp_buf_printf(arg, "dead %lld %s %s\n", (long long)letter->offset, letter->sqlstate, letter->reason);
}

static inline void differential_init(struct differential *both, const char *path)
{
    const struct kp_decoder_options options = {.format = KP_FORMAT_JSON,
                                               .fields = differential_fields,
                                               .field_count = KP_COUNT(differential_fields),
                                               .epoch = path ? KP_EPOCH_MILLISECONDS : KP_EPOCH_NONE,
                                               .path = path};
    *both = (struct differential){0};
    KP_ASSERT(kp_decoder_create(&options, &both->decoder, NULL) == KP_OK);
    for (int i = 0; i < 2; i++)
        both->states[i] = kp_decode_state_create(both->decoder);
    kp_decode_state_set_general_only(both->states[1], true);
}

static inline void differential_finish(struct differential *both)
{
    for (int i = 0; i < 2; i++) {
        kp_decode_state_destroy(both->states[i]);
        kp_buf_finish(&both->answers[i]);
    }
    kp_decoder_destroy(both->decoder);
    kp_record_batch_builder_finish(&both->builder);
    kp_buf_finish(&both->batch);
}

static inline void differential_add(struct differential *both, struct kp_str record)
{
    kp_record_batch_add(&both->builder, 0, (struct kp_str){NULL, 0}, record, (struct kp_str){NULL, 0});
}

/* Decodes what was added; false if the answers differ. They stay in both->answers, terminated, until the next call. */
static inline bool differential_run(struct differential *both)
{
    both->batch.len = 0;
    KP_ASSERT(kp_record_batch_build(&both->builder, KP_CODEC_NONE, &both->batch, NULL) == KP_OK);
    uint8_t *exact = kp_alloc(both->batch.len); /* so that a sanitizer sees a read behind it */
    memcpy(exact, both->batch.data, both->batch.len);
    const struct kp_decode_input input = {.batch = exact, .bytes = (uint32_t)both->batch.len};
    for (int i = 0; i < 2; i++) {
        struct kp_arena arena = {0};
        both->answers[i].len = 0;
        KP_ASSERT(kp_decode(both->states[i], &input, 1, &arena, differential_rows, differential_dead, &both->answers[i],
                            NULL) == KP_OK);
        kp_buf_append_byte(&both->answers[i], 0);
        kp_arena_finish(&arena);
    }
    kp_free(exact);
    return both->answers[0].len == both->answers[1].len &&
           memcmp(both->answers[0].data, both->answers[1].data, both->answers[0].len) == 0;
}

#endif
