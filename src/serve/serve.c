#include "serve/serve.h"

#include <string.h>

#include "serve/http/http.h"
#include "serve/kafka/kafka.h"
#include "serve/pg/pg.h"

/* A program may be built without one of the doors: then its table is not there. */
extern const struct kp_door kp_door_pg __attribute__((weak));
extern const struct kp_door kp_door_http __attribute__((weak));
extern const struct kp_door kp_door_kafka __attribute__((weak));

struct kp_serve {
    struct kp_net *net;
    struct kp_serve_bound bound;
};

static enum kp_code open_door(struct kp_serve *serve, struct kp_db *db, const char *name, const struct kp_door *door,
                              const char *text, struct kp_address *ret_bound, struct kp_error *err)
{
    if (!text || strcmp(text, "off") == 0)
        return KP_OK;
    if (!door)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "this program was built without the %s door", name);
    struct kp_address address;
    enum kp_code code = kp_address_parse(text, &address, err);
    if (code == KP_OK)
        code = kp_net_listen(serve->net, door, db, &address, ret_bound, err);
    if (code != KP_OK)
        kp_error_context(err, "the %s door", name);
    return code;
}

enum kp_code kp_serve_start(struct kp_db *db, const struct kp_serve_options *options, struct kp_serve **ret_serve,
                            struct kp_error *err)
{
    struct kp_serve *serve = kp_calloc(1, sizeof *serve);
    enum kp_code code = kp_net_create(&options->net, &serve->net, err);
    if (code == KP_OK)
        code = open_door(serve, db, "pg", &kp_door_pg, options->pg, &serve->bound.pg, err);
    if (code == KP_OK)
        code = open_door(serve, db, "http", &kp_door_http, options->http, &serve->bound.http, err);
    if (code == KP_OK)
        code = open_door(serve, db, "kafka", &kp_door_kafka, options->kafka, &serve->bound.kafka, err);
    if (code != KP_OK) {
        kp_serve_stop(serve);
        return code;
    }
    kp_net_start(serve->net);
    *ret_serve = serve;
    return KP_OK;
}

void kp_serve_bound(const struct kp_serve *serve, struct kp_serve_bound *ret_bound)
{
    *ret_bound = serve->bound;
}

struct kp_net *kp_serve_net(struct kp_serve *serve)
{
    return serve->net;
}

void kp_serve_stop(struct kp_serve *serve)
{
    if (!serve)
        return;
    kp_net_destroy(serve->net);
    kp_free(serve);
}
