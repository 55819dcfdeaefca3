/*
 * Time zones: offsets from UTC through time, read from the system's TZif files (versions 2 and up) with their rule for
 * the time after the last listed change. Offsets are seconds east of UTC. Times are microseconds since 2000-01-01.
 */
#ifndef KP_VEC_ZONE_H
#define KP_VEC_ZONE_H

#include "base/buf.h"
#include "base/error.h"

struct kp_zone;

const struct kp_zone *kp_zone_utc(void);
/*
 * By name ("America/New_York", case does not matter), abbreviation ("EST") or POSIX offset ("<+03>-3", "UTC+3", "+3",
 * hours west as POSIX has it). Any thread; a zone lives for ever. 22023 'time zone "x" not recognized'.
 */
KP_MUST enum kp_code kp_zone_find(struct kp_str name, const struct kp_zone **ret_zone, struct kp_error *err);
const char *kp_zone_name(const struct kp_zone *zone);
/* The offset at an instant; NULL is UTC. ret_abbreviation may be NULL. */
int32_t kp_zone_offset_at(const struct kp_zone *zone, int64_t utc_us, const char **ret_abbreviation);
/* The offset that a local time means: before the change if it is skipped, after it if it comes twice. */
int32_t kp_zone_offset_of_local(const struct kp_zone *zone, int64_t local_us);
/* Whether it has had one offset for all time. */
bool kp_zone_is_fixed(const struct kp_zone *zone);
/* What an abbreviation ("EST", "cest") means: an offset, or *ret_zone not NULL and that zone's offset when it was last
 * called so ("MSK"). False: there is none. zone_names.c */
bool kp_zone_abbreviation(struct kp_str name, int32_t *ret_offset, const char **ret_zone);

#endif
