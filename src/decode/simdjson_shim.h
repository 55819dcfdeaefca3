/*
 * libsimdjson's On Demand parser behind a C interface: walks one record, gives its members in order, and checks all
 * of it, the parts that nobody asked for too. C++ stays inside; no exception crosses.
 */
#ifndef KP_DECODE_SIMDJSON_SHIM_H
#define KP_DECODE_SIMDJSON_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kp_simdjson;

/* Called for every member of an object that was entered (the record itself always is). */
struct kp_simdjson_visitor {
    void *arg;
    /* key: the raw bytes between the quotes. token: the value's first byte and, of a scalar, its whole length (of
     * objects and arrays 1). True for an object: enter it. False: only check it. */
    bool (*member)(void *arg, const char *key, size_t key_len, const char *token, size_t token_len);
    /* The entered object ended. */
    void (*leave)(void *arg);
    /* Checks a scalar's token: strings' escapes, numbers, literals. */
    bool (*scalar)(const char *token, size_t token_len);
};

struct kp_simdjson *kp_simdjson_create(void);
void kp_simdjson_destroy(struct kp_simdjson *parser);
/*
 * Walks the object that is the whole of text; 64 bytes behind it are readable. False: not one valid JSON object, or
 * nested deeper than depth_max; *ret_reason (static) says what simdjson says.
 */
bool kp_simdjson_walk(struct kp_simdjson *parser, const char *text, size_t len, unsigned depth_max,
                      const struct kp_simdjson_visitor *visitor, const char **ret_reason);

#ifdef __cplusplus
}
#endif

#endif
