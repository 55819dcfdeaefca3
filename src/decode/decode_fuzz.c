/*
 * libFuzzer: records, one a line, through both paths of JSON; they must agree. The first byte chooses a path or CSV.
 * A good record comes first each time, so that the fast path has guesses to be wrong about.
 */
#include "decode/differential.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_csv(struct kp_str text)
{
    const struct kp_decoder_options options = {
        .format = KP_FORMAT_CSV, .fields = differential_fields, .field_count = KP_COUNT(differential_fields)};
    struct kp_decoder *decoder;
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0}, answer = {0};
    struct kp_arena arena = {0};
    KP_ASSERT(kp_decoder_create(&options, &decoder, NULL) == KP_OK);
    struct kp_decode_state *state = kp_decode_state_create(decoder);
    kp_record_batch_add(&builder, 0, text, text, (struct kp_str){NULL, 0});
    KP_ASSERT(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, NULL) == KP_OK);
    const struct kp_decode_input input = {.batch = batch.data, .bytes = (uint32_t)batch.len};
    KP_ASSERT(kp_decode(state, &input, 1, &arena, differential_rows, differential_dead, &answer, NULL) == KP_OK);
    kp_decode_state_destroy(state);
    kp_decoder_destroy(decoder);
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&batch);
    kp_buf_finish(&answer);
    kp_arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct differential plain, nested;
    if (!plain.decoder) {
        differential_init(&plain, NULL);
        differential_init(&nested, "bid");
    }
    if (size == 0)
        return 0;
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    if (data[0] % 3 == 2) {
        fuzz_csv((struct kp_str){at, (size_t)(end - at)});
        return 0;
    }
    struct differential *both = data[0] % 3 ? &nested : &plain;
    differential_add(both, KP_STR("{\"auction\":1,\"bid\":{\"auction\":1007,\"price\":2.50,\"channel\":\"Apple\","
                                  "\"dateTime\":\"2015-07-15 00:00:00.000\"},\"channel\":\"Google\"}"));
    for (;;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        differential_add(both, (struct kp_str){at, (size_t)((line_end ? line_end : end) - at)});
        if (!line_end)
            break;
        at = line_end + 1;
    }
    KP_ASSERT(differential_run(both));
    return 0;
}
