/* The HTTP door: records in, views and changes out, metrics and the status page. Its host is the instance (struct
 * kp_db). */
#ifndef KP_SERVE_HTTP_HTTP_H
#define KP_SERVE_HTTP_HTTP_H

#include "serve/net.h"

extern const struct kp_door kp_door_http;

#endif
