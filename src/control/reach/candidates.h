/*
 * Candidates told in sessions (VELD_MSG_CANDIDATES): whom this machine's list is still owed to, and
 * which lists of peers are taken.
 *
 * Invariants:
 *  - of a peer's lists only one with a greater sequence than the last is taken, and no more than
 *    VELD_CANDIDATES_BURST at once and one a second in the long run;
 *  - a peer is sent at most one list in VELD_CANDIDATES_GAP_NS. Each list is said
 *    VELD_CANDIDATES_SENDS times, since datagrams get lost, and again with each new key.
 *
 * Order of calls: new; set_own; then due for each peer with a session, now and then. Pure: times
 * are passed in, > 0. Control thread.
 */
#ifndef VELD_CONTROL_REACH_CANDIDATES_H
#define VELD_CONTROL_REACH_CANDIDATES_H

#include "base/clock.h"
#include "wire/message.h"

#define VELD_CANDIDATES_GAP_NS (2 * VELD_NS_PER_S)
#define VELD_CANDIDATES_SENDS  2
#define VELD_CANDIDATES_BURST  4

struct veld_candidates;
struct veld_candidates *veld_candidates_new(void);
void veld_candidates_free(struct veld_candidates *c); /* NULL is allowed */

/* Where this machine may be reached; at most VELD_MESSAGE_ENDPOINTS_MAX count. */
void veld_candidates_set_own(struct veld_candidates *c, const struct veld_endpoint *list,
                             size_t n, const struct veld_now *now);
/* A session with the peer came into use, or has new keys: it is told anew. */
void veld_candidates_on_use(struct veld_candidates *c, uint32_t peer);
/* Is the peer to be told now? Then `out` is what, and `sent` follows when it has left. */
bool veld_candidates_due(const struct veld_candidates *c, uint32_t peer, uint64_t now_ns,
                         struct veld_message *out);
void veld_candidates_sent(struct veld_candidates *c, uint32_t peer, uint64_t now_ns);
/* The peer's list. VELD_E_REPLAY: not newer than the last; VELD_E_LIMIT: too many. */
VELD_MUST_USE int veld_candidates_accept(struct veld_candidates *c, uint32_t peer,
                                         const struct veld_message *m, uint64_t now_ns);
/* The peer is gone; its number may be another's next. */
void veld_candidates_forget(struct veld_candidates *c, uint32_t peer);

#endif
