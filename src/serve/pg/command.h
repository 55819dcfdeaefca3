/*
 * Statements about the session's own protocol objects: cursors (which are portals) and prepared statements.
 *
 *   DECLARE name [BINARY] [INSENSITIVE | ASENSITIVE] [NO SCROLL] CURSOR [WITH HOLD | WITHOUT HOLD] FOR query
 *   FETCH | MOVE [NEXT | FIRST | n | ALL | FORWARD [n | ALL] | ABSOLUTE n | RELATIVE n …] [FROM | IN] name
 *       [WITH (timeout = '1s')]           a cursor over SUBSCRIBE: how long to wait for more rows
 *   CLOSE name | ALL        DEALLOCATE [PREPARE] name | ALL        DISCARD ALL
 *
 * They are read here and not in sql/, since the query of a cursor may be a SUBSCRIBE, and portals and statements made
 * by messages and by SQL share their names.
 */
#ifndef KP_SERVE_PG_COMMAND_H
#define KP_SERVE_PG_COMMAND_H

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"

enum kp_pg_command_kind {
    KP_PG_COMMAND_NONE, /* any other statement */
    KP_PG_COMMAND_DECLARE,
    KP_PG_COMMAND_FETCH,
    KP_PG_COMMAND_MOVE,
    KP_PG_COMMAND_CLOSE,
    KP_PG_COMMAND_DEALLOCATE,
    KP_PG_COMMAND_DISCARD_ALL
};

struct kp_pg_command {
    enum kp_pg_command_kind kind;
    char name[KP_NAME_BYTES_MAX + 1]; /* "": ALL */
    bool binary, hold;                /* DECLARE */
    size_t query_at;                  /* DECLARE: where the query begins in the text */
    uint64_t rows;                    /* FETCH, MOVE; UINT64_MAX: ALL */
    struct kp_str timeout;            /* FETCH: an interval's text, borrowed from the statement's; ptr NULL: none */
};

/* KP_OK with KIND NONE if the text is something else. 42601 with the position; 55000 for going backwards. */
KP_MUST enum kp_code kp_pg_command_parse(struct kp_str text, struct kp_pg_command *ret_command, struct kp_error *err);

#endif
