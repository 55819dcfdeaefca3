/*
 * Which relations read which, of a catalog at one moment: for DROP, which takes what reads a thing, and tells why.
 * Made once for a statement; under the catalog's lock.
 */
#ifndef KP_DB_DEPENDENTS_H
#define KP_DB_DEPENDENTS_H

#include "sql/catalog.h"

/* Calls each for what the relation itself reads or uses, perhaps more than once. */
void kp_dependents_each_read(const struct kp_relation *relation, void (*each)(void *arg, struct kp_relation *on),
                             void *arg);

struct kp_dependents;
struct kp_dependents *kp_dependents_create(const struct kp_catalog *catalog);
void kp_dependents_destroy(struct kp_dependents *dependents);
/* Appends what reads `on`, directly or not, and `on` itself, all that was not taken by an earlier call: dependents
 * before what they read, of several the newest first. out has room for all relations. Returns the new count. */
size_t kp_dependents_take(struct kp_dependents *dependents, struct kp_relation *on, struct kp_relation **out,
                          size_t count);
/* Where in out the nearest one is behind a taken one that it reads itself; SIZE_MAX: there is none. */
size_t kp_dependents_read_by(const struct kp_dependents *dependents, const struct kp_relation *relation);

#endif
