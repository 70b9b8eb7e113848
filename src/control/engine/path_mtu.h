/*
 * The search for a path's MTU: Datagram PLPMTUD (RFC 8899) as a pure state
 * machine. Sizes are those of inner packets (wire/path_size.h).
 *
 * It begins with what any path carries and asks for the full size at once; when
 * that does not come through, for all usual sizes at once, then between the
 * largest that came and the smallest that did not. A size is given up after
 * VELD_PROBES_MAX unanswered probes, so single losses change nothing. Where the
 * full size was not reached, it is tried again every VELD_MTU_RAISE_S.
 *
 * Black holes: while data flows, the size in use is asked for every
 * VELD_MTU_CHECK_S, sooner when nothing comes back. When its probes stay
 * unanswered, all sizes are asked for, down to the floor, and only what the
 * answers say shrinks the path: a peer that is not there answers nothing, and
 * changes nothing. No ICMP is listened to.
 *
 * Invariants:
 *  - `mtu` is the base, or a size that was answered since the last start;
 *  - each answer counts only for the search it was asked in (`id`);
 *  - at most VELD_PROBES_AT_ONCE probes are outstanding, and each wait ends.
 *
 * Order of calls: start, then any, and due once `due_ns` has come; stop. Each
 * fills in `out`, the probes to send now under `id`, and may change `mtu` and
 * `known`. `wait_ns` is how long a probe may take. One thread.
 */
#ifndef VELD_CONTROL_ENGINE_PATH_MTU_H
#define VELD_CONTROL_ENGINE_PATH_MTU_H

#include "control/engine/deadline.h"

#include <stdbool.h>
#include <stdint.h>

#define VELD_PROBES_AT_ONCE  16
#define VELD_PROBES_MAX      3   /* of one size: RFC 8899's MAX_PROBES */
#define VELD_MTU_RAISE_S     600 /* its PMTU_RAISE_TIMER */
#define VELD_MTU_CHECK_S     5
#define VELD_MTU_SUSPICION_S 2   /* instead, when nothing comes back */
#define VELD_MTU_SILENCE_MS  750 /* for so long */
#define VELD_MTU_ABSENT_S    15  /* a search that nobody answered is begun anew */
#define VELD_MTU_PRECISION   8   /* bytes: no probe to gain less */

struct veld_path_mtu {
    uint16_t mtu;    /* what passes */
    bool known;      /* and nothing larger does: senders of larger packets may be told */
    uint64_t due_ns; /* VELD_NEVER: nothing to wait for */
    uint32_t id;     /* of the search under way */
    /* the rest is its own */
    uint8_t phase, tries, n_asked;
    uint16_t overhead, floor, base, max;
    uint16_t low;   /* largest size answered in this search; 0: none */
    uint16_t below; /* smallest size given up in this search; max + 1: none */
    uint16_t asked[VELD_PROBES_AT_ONCE]; /* unanswered, ascending */
    uint64_t raise_ns;                   /* when to look for more */
    uint64_t checked_ns;                 /* when `mtu` was last answered for */
};

struct veld_probes {
    unsigned n;
    uint16_t size[VELD_PROBES_AT_ONCE];
};

/* A new path, by its outer address family (4 or 6); `max` is the largest inner packet there is. */
void veld_path_mtu_start(struct veld_path_mtu *m, uint8_t family, uint16_t max, uint64_t now_ns,
                         uint64_t wait_ns, struct veld_probes *out);
/* Nobody to ask any more. Also makes a zeroed struct one that waits for nothing. */
void veld_path_mtu_stop(struct veld_path_mtu *m);
static inline bool veld_path_mtu_started(const struct veld_path_mtu *m)
{
    return m->phase != 0;
}

/* The peer says that a probe arrived. */
void veld_path_mtu_answered(struct veld_path_mtu *m, uint32_t id, uint16_t size,
                            uint64_t now_ns, uint64_t wait_ns, struct veld_probes *out);
/* `due_ns` has come. */
void veld_path_mtu_due(struct veld_path_mtu *m, uint64_t now_ns, uint64_t wait_ns,
                       struct veld_probes *out);
/*
 * About twice a second: data was last sent at `sent_ns`, and nothing has come
 * back for `silent_ns` since some was (0: something has).
 */
void veld_path_mtu_traffic(struct veld_path_mtu *m, uint64_t sent_ns, uint64_t silent_ns,
                           uint64_t now_ns, uint64_t wait_ns, struct veld_probes *out);
/* Our own kernel refused to send a packet or probe of `size`: the interface takes less. */
void veld_path_mtu_refused(struct veld_path_mtu *m, uint16_t size, uint64_t now_ns,
                           uint64_t wait_ns, struct veld_probes *out);

#endif
