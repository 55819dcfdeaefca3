/* Names in a statement's text, by the splitter's small lexer (split.c): for what is told about them, not for their
 * meaning. */
#ifndef KP_SQL_NAMES_H
#define KP_SQL_NAMES_H

#include "base/buf.h"

/*
 * Calls each for every name of more than KP_NAME_BYTES_MAX bytes, a hundred at most: as it is written, without quotes
 * or folded to lower case, and as it counts. The texts live until it returns.
 */
void kp_sql_long_names(struct kp_str text, void (*each)(void *arg, const char *written, const char *cut), void *arg);

#endif
