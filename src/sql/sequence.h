/* Sequences; inside sql/: serial and identity columns. */
#ifndef KP_SQL_SEQUENCE_H
#define KP_SQL_SEQUENCE_H

#include "sql/bind.h"

/* CREATE SEQUENCE, once its name is free. */
KP_MUST enum kp_code kp_bind_create_sequence(struct binder *binder, struct kp_relation *relation);

/* smallserial, serial, bigserial and their other names: the type of the numbers; KP_TYPE_NONE: none of these. */
enum kp_type_id kp_serial_type(const char *name);
/* The column that was declared last is of this serial type; its name and type are set. */
KP_MUST enum kp_code kp_bind_serial(struct binder *binder, struct kp_relation *relation, uint32_t column,
                                    const PgQuery__TypeName *type);
/* GENERATED … AS IDENTITY [(options)]. */
KP_MUST enum kp_code kp_bind_identity(struct binder *binder, struct kp_relation *relation, uint32_t column,
                                      const PgQuery__Constraint *constraint);
/* 42601: a default beside a sequence. */
enum kp_code kp_bind_sequence_twice(struct binder *binder, const struct kp_relation *relation, uint32_t column,
                                    int32_t location);
/* 428C9: a value for a column that is GENERATED ALWAYS. */
enum kp_code kp_bind_always(struct binder *binder, const struct kp_relation *relation, uint32_t column, bool update);
/* What a DEFAULT draws from is used by its table. */
void kp_bind_use_sequences(struct binder *binder, const struct kp_expr *expr);
/* The column's next number, each time it is evaluated. */
struct kp_expr *kp_bind_draw(struct binder *binder, const struct kp_relation *relation, uint32_t column);

#endif
