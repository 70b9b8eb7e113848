/*
 * What the daemon does next with its coord server, as a pure step: (state, event,
 * now) -> what to do. link.c does it.
 *
 *   RESTING -> REGISTERING -> OPENING -> WATCHING
 *      ^           |  ^          |          |
 *      |           v  |          |          |
 *      +------- RESTORING        |          |
 *      +------------+------------+----------+   when something fails
 *
 * Registering proves the membership, leases the address and publishes the record;
 * restoring brings the network back to a server that lost it; a watch is open from
 * OPENING on, and in WATCHING it has said something.
 *
 * Invariants:
 *  - at most one call that registers or restores is under way, and one watch;
 *  - after a failure nothing is called before a pause of 0.5 to 60 s, longer with
 *    each failure and random by half of it more or less, so that a server that comes back is not
 *    met by all of its clients at once;
 *  - a record that changed is published at most once in VELD_LINK_PUBLISH_GAP_S.
 *
 * Order of calls: init, then step with START, with each event, and with TIMER when
 * `deadline_ns` has passed. Times are monotonic and > 0.
 * Pure. Control thread.
 */
#ifndef VELD_CONTROL_MESH_LINK_STATE_H
#define VELD_CONTROL_MESH_LINK_STATE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define VELD_LINK_PAUSE_MIN_MS  500
#define VELD_LINK_PAUSE_MAX_S   60
#define VELD_LINK_STEADY_S      10 /* a watch that lasted so long was a success */
#define VELD_LINK_PUBLISH_GAP_S 5
#define VELD_LINK_ANSWER_S                                                                     \
    30 /* a watch that says nothing for so long after it was opened has failed */

#define VELD_LINK_STATES(X)                                                                    \
    X(STOPPED, "stopped")                                                                      \
    X(RESTING, "waiting")                                                                      \
    X(REGISTERING, "connecting")                                                               \
    X(RESTORING, "connecting")                                                                 \
    X(OPENING, "connecting")                                                                   \
    X(WATCHING, "connected")

enum veld_link_phase {
#define X(name, text) VELD_LINK_##name,
    VELD_LINK_STATES(X)
#undef X
};
/* As `veld status` shows it. Static; never NULL. */
const char *veld_link_phase_name(enum veld_link_phase phase);

enum veld_link_event_type {
    VELD_LINK_EV_START,
    VELD_LINK_EV_TIMER,
    VELD_LINK_EV_REGISTERED, /* the call ended: err */
    VELD_LINK_EV_RESTORED,   /* the call ended: err */
    VELD_LINK_EV_HEARD,      /* the watch said something */
    VELD_LINK_EV_ENDED,      /* the watch ended, or could not be opened */
    VELD_LINK_EV_CHANGED,    /* our record is another one than was published */
    VELD_LINK_EV_RENEWED, /* there is another connection: what was under way is over, and not told */
    VELD_LINK_EV_STOP,
};

struct veld_link_event {
    enum veld_link_event_type type;
    int err; /* of a call: 0 or a veld_err; VELD_E_NOENT: the server does not know the network */
    /* REGISTERED with err 0: the record was not published, since it names another address than is leased. */
    bool unpublished;
    uint32_t random; /* any number, for the pause */
};

/* What to do, or-ed; in this order. */
enum veld_link_action {
    VELD_LINK_DO_CANCEL = 1,   /* the watch; its end is told (ENDED) */
    VELD_LINK_DO_REGISTER = 2, /* with the record as it is now */
    VELD_LINK_DO_RESTORE = 4,
    VELD_LINK_DO_WATCH = 8,
    VELD_LINK_DO_ASK_TIME = 16, /* the failure may be for the clock's sake */
};

struct veld_link_state {
    enum veld_link_phase phase;
    uint64_t since_ns;    /* of the phase as it is shown */
    uint64_t deadline_ns; /* UINT64_MAX: no timer runs */
    unsigned failures;    /* in a row */
    bool watching;        /* a watch is open, or its end was not told yet */
    bool registering;     /* a call is under way */
    bool resigned;        /* the record was made anew for the leased address, once */
    bool restored;        /* the network was brought back, once since the last success */
    bool changed;         /* since the last call that published it */
    uint64_t published_ns;
    uint64_t heard_ns; /* of this watch's first event; 0: none yet */
};

void veld_link_state_init(struct veld_link_state *l);
/* Returns what to do: enum veld_link_action. */
unsigned veld_link_step(struct veld_link_state *l, const struct veld_link_event *ev,
                        uint64_t now_ns);

#endif
