/*
 * Devices found on the LAN that this machine does not trust: nothing is said to them. They wait
 * here until somebody compared fingerprints (`veld trust accept`).
 *
 * Invariants: each P once; at most VELD_LAN_PENDING_MAX, the one found first makes room: whoever
 * announces thousands of keys fills this list and nothing else.
 *
 * Pure: times are passed in. Control thread.
 */
#ifndef VELD_CONTROL_LAN_PENDING_H
#define VELD_CONTROL_LAN_PENDING_H

#include "base/addr.h"
#include "base/err.h"
#include "control/engine/engine.h"

#define VELD_LAN_PENDING_MAX 64

struct veld_lan_found {
    uint8_t pub[32];
    struct veld_endpoint list[VELD_CANDIDATES_MAX];
    size_t n;
    uint64_t since_s; /* when it was found */
};

struct veld_lan_pending {
    struct veld_lan_found found[VELD_LAN_PENDING_MAX]; /* in the order they were found */
    size_t n;
    uint64_t dropped; /* for want of room */
};

/* Found, or it is elsewhere now; of more than VELD_CANDIDATES_MAX endpoints the first. */
void veld_lan_pending_put(struct veld_lan_pending *p, const uint8_t pub[32],
                          const struct veld_endpoint *list, size_t n, uint64_t now_s);
/* Nothing when it is not there. */
void veld_lan_pending_remove(struct veld_lan_pending *p, const uint8_t pub[32]);
/*
 * By derived name, public key, or fingerprint or 20 of its digits and more, as people type them.
 * VELD_E_NOENT; VELD_E_STATE: several are called so. Good until the next change.
 */
VELD_MUST_USE int veld_lan_pending_find(const struct veld_lan_pending *p, const char *text,
                                        const struct veld_lan_found **out);

#endif
