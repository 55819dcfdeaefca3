/*
 * PostgreSQL's protocol 3.0 as bytes: framing, reading and writing of messages. No connection, no session: pure
 * functions over buffers, so that tests and the fuzzer reach all of it.
 *
 *   every message but the first    type (1)  length (4, itself included, type not)  body
 *   the first of a connection                length (4, itself included)  code (4)  body
 *
 * All integers are big-endian; texts end with a zero byte.
 *
 * Invariants
 *   1. A reader never reads beyond its end: what is missing sets `bad` and reads as 0 or "".
 *   2. A message is begun and ended by kp_pg_begin and kp_pg_end, which fills in the length: no length is computed by
 * hand.
 */
#ifndef KP_SERVE_PG_PROTO_H
#define KP_SERVE_PG_PROTO_H

#include "base/buf.h"
#include "base/error.h"
#include "sql/plan.h"
#include "vec/type.h"

enum {
    KP_PG_STARTUP_BYTES_MAX = 10000,      /* PostgreSQL's limit */
    KP_PG_MESSAGE_BYTES_MAX = 64 << 20,   /* a message that is held whole: a 16 MiB record with room for escapes */
    KP_PG_DISCARD_BYTES_MAX = 0x3fffffff, /* a longer one up to 1 GiB is skipped and refused, beyond it is garbage */
    KP_PG_STATEMENTS_MAX = 10000,         /* prepared statements of a session */
    KP_PG_PORTALS_MAX = 1000,             /* open portals and cursors of a session */
    KP_PG_FLUSH_BYTES = 256 << 10         /* results are sent when so much is encoded */
};

/* First packets. */
enum { KP_PG_PROTOCOL_3 = 3 << 16, KP_PG_CANCEL = 80877102, KP_PG_SSL = 80877103, KP_PG_GSSENC = 80877104 };

/* ---- framing ---- */

enum kp_pg_frame {
    KP_PG_FRAME_PARTIAL, /* more bytes are needed */
    KP_PG_FRAME_WHOLE,
    KP_PG_FRAME_OVERSIZED, /* a well-formed header of a message longer than KP_PG_MESSAGE_BYTES_MAX: skip *ret_bytes */
    KP_PG_FRAME_GARBAGE    /* a length or type that no client sends: hang up */
};
struct kp_pg_message {
    char type;          /* 0: a first packet */
    struct kp_str body; /* borrowed; of a first packet, from the code on */
};
/* The message at the front of input. *ret_bytes: how many bytes it takes. */
enum kp_pg_frame kp_pg_frame(struct kp_str input, struct kp_pg_message *ret_message, size_t *ret_bytes);
enum kp_pg_frame kp_pg_frame_first(struct kp_str input, struct kp_pg_message *ret_message, size_t *ret_bytes);

/* ---- reading a body ---- */

struct kp_pg_reader {
    const char *at, *end;
    bool bad; /* it was too short */
};
static inline struct kp_pg_reader kp_pg_reader(struct kp_str body)
{
    return (struct kp_pg_reader){body.ptr, body.ptr + body.len, false};
}
struct kp_str kp_pg_read_bytes(struct kp_pg_reader *reader, size_t len);
uint8_t kp_pg_read_u8(struct kp_pg_reader *reader);
uint16_t kp_pg_read_u16(struct kp_pg_reader *reader);
uint32_t kp_pg_read_u32(struct kp_pg_reader *reader);
/* Up to the zero byte, which is not in it but follows it. */
struct kp_str kp_pg_read_text(struct kp_pg_reader *reader);
/* 08P01 unless all was there and nothing is left. what: the message's name. */
KP_MUST enum kp_code kp_pg_read_end(const struct kp_pg_reader *reader, const char *what, struct kp_error *err);
/* Text from a client is UTF-8 without NUL: 22021. */
KP_MUST enum kp_code kp_pg_check_text(struct kp_str text, struct kp_error *err);

/* ---- writing ---- */

/* Begins a message; returns what kp_pg_end needs. */
static inline size_t kp_pg_begin(struct kp_buf *out, char type)
{
    uint8_t *at = kp_buf_reserve(out, 5);
    at[0] = (uint8_t)type;
    out->len += 5;
    return out->len - 4;
}
static inline void kp_pg_end(struct kp_buf *out, size_t begun)
{
    uint32_t be = __builtin_bswap32((uint32_t)(out->len - begun));
    memcpy(out->data + begun, &be, 4);
}
/* Instead of kp_pg_end: the message was not begun. */
static inline void kp_pg_forget(struct kp_buf *out, size_t begun)
{
    out->len = begun - 1;
}
static inline void kp_pg_put_text(struct kp_buf *out, const char *text)
{
    kp_buf_append(out, text, strlen(text) + 1);
}

/* A message without a body: ParseComplete '1', BindComplete '2', CloseComplete '3', NoData 'n', CopyDone 'c' … */
void kp_pg_put_bare(struct kp_buf *out, char type);
void kp_pg_put_authentication_ok(struct kp_buf *out);
void kp_pg_put_parameter_status(struct kp_buf *out, const char *name, const char *value);
void kp_pg_put_key_data(struct kp_buf *out, uint32_t pid, uint32_t secret);
/* options: names of the _pq_. options that are not known, terminated texts one after the other. */
void kp_pg_put_negotiate(struct kp_buf *out, uint32_t minor, uint32_t option_count, struct kp_str options);
void kp_pg_put_ready(struct kp_buf *out, char status);
void kp_pg_put_command_complete(struct kp_buf *out, const char *tag);
/* severity: ERROR, FATAL; of a notice: NOTICE, WARNING, INFO, LOG, DEBUG. */
void kp_pg_put_error(struct kp_buf *out, const char *severity, const struct kp_error *err);
void kp_pg_put_notice(struct kp_buf *out, const char *severity, const struct kp_error *notice);
void kp_pg_put_parameter_description(struct kp_buf *out, const struct kp_type *types, uint32_t count);

/* Format codes: 0 text, 1 binary. A list of none means all text, of one: that for all. */
struct kp_pg_formats {
    const uint8_t *codes; /* count of them */
    uint32_t count;
};
static inline uint8_t kp_pg_format(const struct kp_pg_formats *formats, uint32_t column)
{
    return formats->count == 0 ? 0 : formats->codes[formats->count == 1 ? 0 : column];
}
/* bases: of each column; NULL: all are computed. */
void kp_pg_put_row_description(struct kp_buf *out, const struct kp_column *cols, const struct kp_base_column *bases,
                               uint32_t count, const struct kp_pg_formats *formats);
/* type: 'G' CopyInResponse, 'H' CopyOutResponse; text format. */
void kp_pg_put_copy_response(struct kp_buf *out, char type, uint32_t col_count, bool binary);

#endif
