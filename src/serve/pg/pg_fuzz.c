/*
 * Bytes of a hostile client through everything that reads them without a session: framing, body readers and the little
 * statements. Each message is copied to a block of its own size, so that a read beyond it is seen.
 */
#include <stddef.h>
#include <stdint.h>

#include "serve/pg/command.h"
#include "serve/pg/proto.h"

static void read_body(char type, struct kp_str body)
{
    struct kp_error err;
    struct kp_pg_reader reader = kp_pg_reader(body);
    struct kp_pg_command command;
    struct kp_str first = kp_pg_read_text(&reader);
    KP_ASSERT(first.ptr[first.len] == 0 || reader.bad);
    if (kp_pg_check_text(first, &err) == KP_OK)
        (void)!kp_pg_command_parse(first, &command, &err);
    struct kp_str second = kp_pg_read_text(&reader);
    if (kp_pg_check_text(second, &err) == KP_OK)
        (void)!kp_pg_command_parse(second, &command, &err);
    for (uint32_t left = kp_pg_read_u16(&reader); left && !reader.bad; left--) {
        uint32_t len = kp_pg_read_u32(&reader);
        struct kp_str bytes = kp_pg_read_bytes(&reader, type == 'P' || len == UINT32_MAX ? 0 : len);
        (void)!kp_pg_check_text(bytes, &err);
    }
    (void)kp_pg_read_u8(&reader);
    (void)!kp_pg_read_end(&reader, "fuzzed", &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kp_str input = {(const char *)data, size};
    struct kp_pg_message message;
    size_t bytes;
    if (kp_pg_frame_first(input, &message, &bytes) == KP_PG_FRAME_WHOLE) {
        KP_ASSERT(bytes <= input.len);
        read_body(0, message.body);
    }
    while (kp_pg_frame(input, &message, &bytes) == KP_PG_FRAME_WHOLE) {
        KP_ASSERT(bytes <= input.len && message.body.len + 5 == bytes);
        char *copy = kp_alloc(message.body.len + (message.body.len == 0));
        if (message.body.len)
            memcpy(copy, message.body.ptr, message.body.len);
        read_body(message.type, (struct kp_str){copy, message.body.len});
        kp_free(copy);
        input = (struct kp_str){input.ptr + bytes, input.len - bytes};
    }
    return 0;
}
