/*
 * A simulated operating system behind os/os.h: the same seed gives the same faults at the same calls.
 *
 * What it may do, as os/os.h allows:
 *   - at a power cut, what was written and not synced survives in any part: dropped, torn in pieces of 512 bytes or
 *     4 KiB, out of order; sizes and names likewise, unless the file or the folder was synced;
 *   - any call may fail, half done: EIO or a full disk. After a failed sync any part of what was not synced is gone;
 *   - a kill keeps what was written, synced or not, and loses locks and handles;
 *   - the clock jumps both ways.
 *
 * One thread. Nothing here is real: no file, no clock, no randomness but the seed's.
 */
#ifndef KP_SIM_SIM_H
#define KP_SIM_SIM_H

#include "os/os.h"

struct kp_sim;

/* What becomes of unsynced writes at a power cut. KEEP is kill -9: all of them are there, and still not synced. */
enum kp_sim_cut { KP_SIM_CUT_RANDOM, KP_SIM_CUT_DROP, KP_SIM_CUT_KEEP, KP_SIM_CUT_TEAR, KP_SIM_CUT_MODES };

struct kp_sim *kp_sim_create(uint64_t seed);
void kp_sim_destroy(struct kp_sim *sim);
/* Another one with the same files, all of them synced, and nothing open. */
struct kp_sim *kp_sim_copy(const struct kp_sim *sim, uint64_t seed);
/* The disk rots: one bit of a file turns over. */
void kp_sim_flip(struct kp_sim *sim, const char *path, uint64_t bit);
uint8_t kp_sim_byte(const struct kp_sim *sim, const char *path, uint64_t at);
struct kp_os *kp_sim_os(struct kp_sim *sim);

/* Calls that touch the disk, so far. Faults are planned by this count. */
uint64_t kp_sim_calls(const struct kp_sim *sim);
/* The power goes at the calls_from_now'th disk call from now (1: the next), in the middle of it. 0 cancels. From then
 * on every call fails until kp_sim_power_on. */
void kp_sim_plan_cut(struct kp_sim *sim, uint64_t calls_from_now, enum kp_sim_cut mode);
/* The calls_from_now'th disk call from now fails with code (KP_IO or KP_FULL). 0 cancels. */
void kp_sim_plan_failure(struct kp_sim *sim, uint64_t calls_from_now, enum kp_code code);
/* The power goes now: every call fails until kp_sim_power_on. With KP_SIM_CUT_KEEP that is kill -9. */
void kp_sim_cut(struct kp_sim *sim, enum kp_sim_cut mode);
bool kp_sim_powered(const struct kp_sim *sim);

/* The process is gone: its locks and handles are void (closing them is fine), what it wrote stays. */
void kp_sim_kill(struct kp_sim *sim);
/* Cuts the power if it is on, decides what survived, and starts again: no handles, no locks, no plans. */
void kp_sim_power_on(struct kp_sim *sim, enum kp_sim_cut mode);

void kp_sim_clock_jump(struct kp_sim *sim, int64_t us);
/* A full disk: allocations beyond this many bytes in all fail with KP_FULL. 0: none. */
void kp_sim_set_capacity(struct kp_sim *sim, uint64_t bytes);
uint64_t kp_sim_capacity(const struct kp_sim *sim);

/* The test's own choices, from the same seed. */
uint64_t kp_sim_random(struct kp_sim *sim);
static inline uint64_t kp_sim_below(struct kp_sim *sim, uint64_t limit)
{
    return kp_sim_random(sim) % limit;
}

#endif
