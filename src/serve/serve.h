/*
 * The server's doors on one instance: binds the addresses, runs the network, stops it.
 */
#ifndef KP_SERVE_SERVE_H
#define KP_SERVE_SERVE_H

#include "db/db.h"
#include "serve/net.h"

struct kp_serve;

struct kp_serve_options {
    const char *pg, *http, *kafka; /* "HOST:PORT"; NULL or "off": the door stays shut; port 0 takes a free one */
    struct kp_net_options net;
};

/* The addresses as bound; port 0: that door is shut. */
struct kp_serve_bound {
    struct kp_address pg, http, kafka;
};

/* Binds all doors, then serves. Nothing stays bound when it fails. */
KP_MUST enum kp_code kp_serve_start(struct kp_db *db, const struct kp_serve_options *options,
                                    struct kp_serve **ret_serve, struct kp_error *err);
void kp_serve_bound(const struct kp_serve *serve, struct kp_serve_bound *ret_bound);
struct kp_net *kp_serve_net(struct kp_serve *serve);
/* Closes all connections (kp_net_destroy). Before kp_db_close. NULL is fine. */
void kp_serve_stop(struct kp_serve *serve);

#endif
