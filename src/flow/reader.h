/*
 * Records of a source or table to rows, each by the declaration of its time: those of a table that was altered (ALTER
 * TABLE) from before are decoded as they were then, and put into today's columns.
 *
 *   records of the topic   ─── since ──►
 *   former declaration     today's            a column that the former lacks has one value there, the relation's
 * `absent`
 *
 * A former declaration may have one of its own. Records are never straddled: ALTER TABLE's own lies between them.
 */
#ifndef KP_FLOW_READER_H
#define KP_FLOW_READER_H

#include "flow/source.h"

struct kp_reader;

/* For these columns of the relation, which it references; zone and rivals as kp_source_decoder has them. */
KP_MUST enum kp_code kp_reader_create(struct kp_relation *relation, const uint32_t *columns, uint32_t count,
                                      const struct kp_zone *zone, const char *const *rivals, uint32_t rival_count,
                                      struct kp_reader **ret_reader, struct kp_error *err);
void kp_reader_destroy(struct kp_reader *reader); /* NULL is fine */

/* A worker's scratch (struct kp_decode_state). Not thread safe; the reader must outlive it. */
struct kp_reader_state;
struct kp_reader_state *kp_reader_state_create(const struct kp_reader *reader);
void kp_reader_state_destroy(struct kp_reader_state *state); /* NULL is fine */
/* As kp_decode_state_set_notes: of relations that were never altered. */
void kp_reader_state_set_notes(struct kp_reader_state *state, const struct kp_decode_notes *notes);

/* As kp_decode; inputs in log order. */
KP_MUST enum kp_code kp_reader_read(struct kp_reader_state *state, const struct kp_decode_input *inputs, size_t count,
                                    struct kp_arena *arena, kp_decode_emit emit,
                                    void (*dead)(void *arg, const struct kp_dead_letter *letter), void *arg,
                                    struct kp_error *err);

#endif
