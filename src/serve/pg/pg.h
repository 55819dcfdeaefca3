/* The PostgreSQL door: protocol 3.0 over a connection of serve/net.h. Its ctx and host are the instance (struct kp_db).
 */
#ifndef KP_SERVE_PG_PG_H
#define KP_SERVE_PG_PG_H

#include "serve/net.h"

extern const struct kp_door kp_door_pg;

#endif
