/* Inside sql/: the table of WITH (…) options. */
#ifndef KP_SQL_OPTIONS_H
#define KP_SQL_OPTIONS_H

#include "sql/statement.h"

enum kp_option_owner {
    KP_OPTION_SOURCE = 1,
    KP_OPTION_TABLE = 2,
    KP_OPTION_VIEW = 4,
    KP_OPTION_SINK = 8,
    KP_OPTION_TOPIC = 16,
    KP_OPTION_SUBSCRIBE = 32
};

/* Every option of the statement is known for the owner and well formed; else 22023 with a suggestion. */
KP_MUST enum kp_code kp_sql_check_options(const struct kp_statement *statement, enum kp_option_owner owner,
                                          struct kp_error *err);

#endif
