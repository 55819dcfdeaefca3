/* Inside Protobuf: what a .proto file says (protobuf_schema.c), for what reads messages (protobuf.c). */
#ifndef KP_DECODE_PROTOBUF_H
#define KP_DECODE_PROTOBUF_H

#include "decode/transcode.h"

enum proto_kind { /* in the order of the names below */
                  PROTO_DOUBLE,
                  PROTO_FLOAT,
                  PROTO_INT32,
                  PROTO_INT64,
                  PROTO_UINT32,
                  PROTO_UINT64,
                  PROTO_SINT32,
                  PROTO_SINT64,
                  PROTO_FIXED32,
                  PROTO_FIXED64,
                  PROTO_SFIXED32,
                  PROTO_SFIXED64,
                  PROTO_BOOL,
                  PROTO_STRING,
                  PROTO_BYTES,
                  PROTO_ENUM,
                  PROTO_MESSAGE,
                  PROTO_TIMESTAMP
};

struct proto_type;
struct proto_field {
    struct kp_str name, type_name;
    int64_t number;
    enum proto_kind kind;
    bool repeated, map, has_default; /* has_default: absent means 0 */
    uint32_t oneof;                  /* its number in the file, from 1; 0: in none */
    struct kp_str default_token;     /* as the file says it, and as JSON; ptr NULL: none */
    struct kp_str default_json;
    const struct proto_type *type; /* of ENUM and MESSAGE; of a map its entries' message */
};
enum proto_shown {
    SHOWN_OBJECT,
    SHOWN_BARE,   /* as the value of its one field */
    SHOWN_CHOICE, /* as the value of the field that is there; none: null */
    SHOWN_DURATION
};
struct proto_type {
    struct kp_str name;  /* dotted, with the package */
    struct kp_str local; /* the end of it: without the package */
    bool is_enum, is_map_entry;
    enum proto_shown shown;
    struct proto_field *fields; /* of an enum: names and numbers of its values */
    uint32_t count, cap;
    struct proto_type *next;
};
struct kp_protobuf {
    const struct proto_type *message;
};

#endif
