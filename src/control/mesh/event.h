/*
 * One event of a watch: from the server's bytes to what is proved of it.
 *
 * Invariants:
 *  - a record is in `members` only when it was verified, against the event's own
 *    list of revocations where it brings one that holds;
 *  - the rest was refused, and is counted;
 *  - the memory it takes is bounded by VELD_EVENT_ROOM and the length of the event.
 *
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_MESH_EVENT_H
#define VELD_CONTROL_MESH_EVENT_H

#include "control/mesh/members.h"
#include "control/mesh/refusals.h"
#include "trust/signal.h"

#define VELD_EVENT_MAX  (1u << 20) /* bytes of an event */
#define VELD_EVENT_ROOM (32u << 20)
#define VELD_EVENT_RECORD_MIN                                                                  \
    128 /* bytes that no member takes less than, with its signatures */
#define VELD_EVENT_SIGNALS_MAX 256

/* A signal as it came: who sent it is not proved. */
struct veld_event_signal {
    uint8_t from[32];
    uint8_t sealed[VELD_SIGNAL_MAX];
    size_t len;
};

struct veld_watch_event {
    uint64_t revision;
    bool reset, synced;
    struct veld_member_news *members; /* `since` is the caller's to set */
    size_t n_members;
    struct veld_member_presence *presence;
    size_t n_presence;
    uint8_t (*removed)[32];
    size_t n_removed;
    struct veld_revocations *revocations; /* newer than those known; NULL: none */
    uint64_t revocation_epoch;            /* of the list it brought, if it holds; 0: none */
    struct veld_event_signal *signals;
    size_t n_signals;
    uint32_t refused[VELD_REFUSAL_COUNT];
};

/* By what an event is judged. Borrowed. */
struct veld_event_known {
    const struct veld_network *network;
    const struct veld_revocations *revoked; /* NULL: none */
    uint64_t now_s;
};

/* VELD_E_FORMAT when it is no event, VELD_E_NOMEM. veld_watch_event_clear frees what `out` holds. */
VELD_MUST_USE int veld_watch_event_read(const uint8_t *p, size_t len,
                                        const struct veld_event_known *known,
                                        struct veld_watch_event *out);
void veld_watch_event_clear(struct veld_watch_event *e);

#endif
