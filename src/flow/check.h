/*
 * What the rows of a source or table must be besides of their columns' types: members of domains, not NULL where that
 * is declared, and what CHECK says. The same for records, whichever way they came, and for rows that SQL writes.
 */
#ifndef KP_FLOW_CHECK_H
#define KP_FLOW_CHECK_H

#include "sql/catalog.h"
#include "vec/func.h"

struct kp_checks;
/* NULL if every row may be. Owns what it needs of the relation. */
struct kp_checks *kp_checks_create(const struct kp_relation *relation);
void kp_checks_destroy(struct kp_checks *checks);
/* The relation's columns that are read, ascending; borrowed. */
uint32_t kp_checks_columns(const struct kp_checks *checks, const uint32_t **ret_columns);

enum kp_checks_part { KP_CHECKS_DOMAINS = 1, KP_CHECKS_ROW = 2 /* NOT NULL, then CHECK by name */ };
/*
 * The first failure of each row that may not be, in order of rows: 23502, 23514, or what a condition failed with. The
 * batch's columns are the relation's; those that are not read may be missing. parts: several of the above. In arena.
 * Any thread.
 */
void kp_checks_run(const struct kp_checks *checks, unsigned parts, const struct kp_batch *batch, struct kp_arena *arena,
                   struct kp_row_error **ret_errors, uint32_t *ret_count);

#endif
