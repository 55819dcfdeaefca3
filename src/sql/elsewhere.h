/* Hints for people who write what other systems understand. */
#ifndef KP_SQL_ELSEWHERE_H
#define KP_SQL_ELSEWHERE_H

#include "base/error.h"

/* Gives err a hint if the name is an option, a function, a column, something to SHOW, of Flink, ksqlDB, RisingWave or
 * Materialize; else leaves it alone. */
bool kp_elsewhere_option(const char *name, struct kp_error *err);
bool kp_elsewhere_function(const char *name, struct kp_error *err);
bool kp_elsewhere_column(const char *name, struct kp_error *err);
bool kp_elsewhere_setting(const char *name, struct kp_error *err);
/* The same for a syntax error (42601) in this text, by the word at fault. */
void kp_elsewhere_syntax(const char *text, struct kp_error *err);

#endif
