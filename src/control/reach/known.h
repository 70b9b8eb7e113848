/*
 * Where each peer may be, by who says so, put together into the one list that the engine tries.
 *
 * Invariants: the likeliest first, in the order of the sources; each endpoint once; at most
 * VELD_CANDIDATES_MAX, of which circuits have VELD_KNOWN_CIRCUITS_MAX for themselves, so that no
 * number of addresses pushes out the paths that need no address.
 *
 * Whoever sets a source has looked through what it sets (veld_endpoints_usable): here nothing is
 * judged. Pure; control thread.
 */
#ifndef VELD_CONTROL_REACH_KNOWN_H
#define VELD_CONTROL_REACH_KNOWN_H

#include "base/addr.h"
#include "control/engine/engine.h"

#define VELD_KNOWN_CIRCUITS_MAX 4

enum veld_known_source {
    VELD_KNOWN_LAN,      /* an answer of mDNS */
    VELD_KNOWN_SESSION,  /* the peer's own word, in a session */
    VELD_KNOWN_MEMBER,   /* its call, and its record */
    VELD_KNOWN_CIRCUITS, /* through relays */
    VELD_KNOWN_SOURCES,
};

struct veld_known;
struct veld_known *veld_known_new(void);
void veld_known_free(struct veld_known *k); /* NULL is allowed */

/*
 * What this source says of the peer now (copied), instead of what it said before; of more than
 * VELD_CANDIDATES_MAX the first. True when that is something else.
 */
bool veld_known_set(struct veld_known *k, uint32_t peer, enum veld_known_source source,
                    const struct veld_endpoint *list, size_t n);
/* Returns how many. */
size_t veld_known_compose(const struct veld_known *k, uint32_t peer,
                          struct veld_endpoint out[VELD_CANDIDATES_MAX]);
/* The peer is gone; its number may be another's next. */
void veld_known_forget(struct veld_known *k, uint32_t peer);

#endif
