/* Every limit of kappa, in one table with its reason. A limit that is a setting has its default here. */
#ifndef KP_BASE_LIMITS_H
#define KP_BASE_LIMITS_H

enum {
    KP_BATCH_ROWS_MAX = 65536,      /* rows of a batch: fits L2 for a few columns; row numbers fit 16 bits in history */
    KP_COLUMNS_MAX = 1600,          /* columns of a relation: PostgreSQL's limit */
    KP_JOIN_COLUMNS_MAX = 65536,    /* of all relations of one FROM, the hidden ones, too: bounds what a plan takes */
    KP_NAME_BYTES_MAX = 63,         /* bytes of an identifier: PostgreSQL's NAMEDATALEN - 1 */
    KP_TOPIC_NAME_BYTES_MAX = 249,  /* Kafka's limit */
    KP_PARTITIONS_MAX = 10000,      /* partitions of a topic */
    KP_RECORD_BYTES_MAX = 16 << 20, /* a record, decompressed; DESIGN.md 5 */
    KP_RECORD_BATCH_BYTES_MAX = 64 << 20, /* a record batch as sent or decompressed: bounds a zip bomb */
    KP_BLOCK_BYTES_MAX = 1 << 20,         /* a commit block of the journal, about: one write, one sync */
    KP_JSON_DEPTH_MAX = 512,              /* nesting of objects and arrays in a record: bounds the walk's recursion */
    KP_JSON_PARSER_BYTES_KEPT = 1 << 20,  /* a parser that met a longer record gives its buffers back */
    KP_PATTERNS_KEPT = 32, /* compiled regular expressions that wait for the next call: each some 100 KiB */
    KP_PATTERNS_KEPT_BYTES_MAX = 16 << 20, /* all of them, with what they have learnt of texts */
    KP_PATTERN_KEPT_BYTES_MAX = 4096,      /* a longer one is compiled for each call */
    KP_SQL_BYTES_MAX = 1 << 20,            /* a statement's text */
    KP_SQL_TOKENS_MAX = 200000,            /* tokens of a statement: bounds the parser */
    KP_SQL_DEPTH_MAX = 500, /* nesting of parentheses, subqueries, queries of WITH and expressions: bounds recursions */
    KP_SQL_UNIONS_MAX = 10000,    /* UNIONs side by side: they nest in the parser's tree only */
    KP_SQL_STACK_BYTES = 8 << 20, /* of threads that make plans: pages that are touched only are paid */
    KP_PLAN_DEPTH_MAX = 1000,     /* plan nodes within each other that a plain view brings: bounds recursions */
    KP_PLAN_NODES_MAX = 20000,    /* nodes made for a statement: a WITH query or plain view is made at each mention */
    KP_DOMAIN_NODES_MAX = 5000,   /* plan nodes copied to unnest a query's subqueries: each level may double them */
    KP_SUBQUERY_LEVELS_MAX = 64,  /* queries between a column and the subquery that reads it */
    KP_RECURSION_ROUNDS_MAX = 100000,    /* iterations of WITH RECURSIVE in one step: one that has no end is told so */
    KP_PARTS_MAX = 256,                  /* virtual shards of keyed state; in the state format */
    KP_ADVISORY_LOCKS_MAX = 10000,       /* advisory locks held in an instance, each by owner and mode */
    KP_ADVISORY_WAITS_MAX = 128,         /* sessions that wait for one: half of the pool's threads are left to others */
    KP_CONNECTIONS_MAX = 10000,          /* open connections of a server, default of the setting */
    KP_HTTP_HEADER_BYTES_MAX = 64 << 10, /* request line and headers */
    KP_HTTP_BODY_BYTES_MAX = 64 << 20    /* a request's body, default of the setting */
};

#endif
