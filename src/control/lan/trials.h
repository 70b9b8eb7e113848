/*
 * Which devices found on the LAN are called, to see whether they have the network's secret. Anybody
 * can announce any number of keys; only a handshake tells.
 *
 * Invariants:
 *  - at most VELD_LAN_TRIALS_MAX are known, and VELD_LAN_TRYING_MAX called at a time;
 *  - one that does not complete a handshake in VELD_LAN_TRIAL_NS is left alone for a while, twice as
 *    long each time. One that was never called comes before all that were: when there is no place,
 *    whoever has been called longest, and long enough for two initiations, makes it;
 *  - so a device that answers is called soon however many do not.
 *
 * Order of calls: put as devices are seen and remove as they go or prove themselves; next until it
 * returns false, after a put and about once a second. Pure: times are passed in.
 * Control thread.
 */
#ifndef VELD_CONTROL_LAN_TRIALS_H
#define VELD_CONTROL_LAN_TRIALS_H

#include "base/clock.h"
#include "control/lan/pending.h"
#include "control/lan/report.h"

#define VELD_LAN_TRIALS_MAX   VELD_LAN_DEVICES_MAX
#define VELD_LAN_TRYING_MAX   128
#define VELD_LAN_TRIAL_NS     (20 * VELD_NS_PER_S)
#define VELD_LAN_TRIAL_MIN_NS (7 * VELD_NS_PER_S)
#define VELD_LAN_REST_NS      (30 * VELD_NS_PER_S) /* after the first; 16 times that at most */
#define VELD_LAN_REST_SHIFT   4

struct veld_lan_trials;
struct veld_lan_trials *veld_lan_trials_new(void);    /* NULL when out of memory */
void veld_lan_trials_free(struct veld_lan_trials *t); /* NULL is allowed */

/* Found, or elsewhere now; whoever is being called is so where it was. */
void veld_lan_trials_put(struct veld_lan_trials *t, const uint8_t pub[32],
                         const struct veld_endpoint *list, size_t n, uint64_t now_ns);
/* It has proved itself, or is gone: no STOP follows. */
void veld_lan_trials_remove(struct veld_lan_trials *t, const uint8_t pub[32]);

enum veld_lan_step { VELD_LAN_START, VELD_LAN_STOP };
/* What is to be done next; false: nothing now. `out` is good until the next call of anything here. */
bool veld_lan_trials_next(struct veld_lan_trials *t, uint64_t now_ns, enum veld_lan_step *step,
                          const struct veld_lan_found **out);
/* Known here. */
size_t veld_lan_trials_count(const struct veld_lan_trials *t);
/* Of these, called once or more and not now: they do not have the secret, or do not answer. */
size_t veld_lan_trials_ended(const struct veld_lan_trials *t);

#endif
