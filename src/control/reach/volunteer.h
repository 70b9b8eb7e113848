/*
 * The relay's side of circuits (docs/PROTOCOL.md): this machine volunteers to pass on what two
 * members send each other, by two forwards of the dataplane, one for each direction.
 *
 * A circuit is there from the first OPEN of either end and is half open until the other end
 * has asked too; that one is offered it, and called first where there is no session with it.
 * OPEN may be repeated. With another index it is of a member that was restarted: then the circuit
 * is half open again, and the other end asked anew. Who has a new session, or says nothing to what
 * is sent to it, may have been restarted as well, and is offered the circuit.
 *
 * Invariants:
 *  - only two different members in good standing, neither of them reached by a circuit,
 *    have one; not this machine, and nobody else;
 *  - a circuit has two numbers, and both forwards or none;
 *  - there are at most VELD_VOLUNTEER_CIRCUITS_MAX, and of each member as many as it may have
 *    (allowances.h): a circuit counts for those who asked for it;
 *  - a half-open one ends after VELD_VOLUNTEER_HALF_OPEN_NS, one that nothing passes through after
 *    VELD_VOLUNTEER_IDLE_NS, any with the last session of an end that asked; those who asked are
 *    told so by CLOSE;
 *  - one OPEN is answered by one message at most, to who sent it, and causes one at most to
 *    the other end. OPENED and OFFER that could not be sent, or were lost, are sent again;
 *  - circuits that are busy share the rate evenly, each direction of one at most its share; one
 *    alone has all of it.
 *
 * Order of calls: new, set, then events as they happen; tick twice a second, and when it is asked for.
 * No event from inside
 * an operation. Pure: times are passed in, > 0. Control thread.
 */
#ifndef VELD_CONTROL_REACH_VOLUNTEER_H
#define VELD_CONTROL_REACH_VOLUNTEER_H

#include "base/clock.h"
#include "control/reach/circuit_numbers.h"
#include "dataplane/dataplane.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>

#define VELD_VOLUNTEER_CIRCUITS_MAX 1024
#define VELD_VOLUNTEER_HALF_OPEN_NS (30 * VELD_NS_PER_S)
#define VELD_VOLUNTEER_IDLE_NS      (180 * VELD_NS_PER_S)
/* That both have asked is said so often, a second apart, to an end that sends nothing yet. */
#define VELD_VOLUNTEER_SAYS 5
/* An end that says nothing for so long, although it is sent to, is offered the circuit again. More
   than the engine's keepalive. */
#define VELD_VOLUNTEER_SILENCE_NS (12 * VELD_NS_PER_S)
/* A circuit is busy when it carries this part of the rate. */
#define VELD_VOLUNTEER_BUSY_PART 64

struct veld_volunteer_ops {
    void *ctx;
    /* The peer with this P, if it is in good standing. */
    bool (*find)(void *ctx, const uint8_t pub[32], uint32_t *peer);
    /* P of a peer that sent a message; for the call. */
    const uint8_t *(*pub)(void *ctx, uint32_t peer);
    /* Is it reached by a circuit? */
    bool (*is_indirect)(void *ctx, uint32_t peer);
    /* VELD_E_STATE: there is no session in use. */
    int (*send)(void *ctx, uint32_t peer, const struct veld_message *m);
    /* Make a session. Only from on_message. */
    void (*call)(void *ctx, uint32_t peer);
    /* Call tick in a while that is long for a datagram and short for people. */
    void (*soon)(void *ctx);
    /* As dataplane.h has them. */
    int (*forward_set)(void *ctx, const struct veld_forward *f);
    void (*forward_remove)(void *ctx, uint32_t number);
    int (*forward_use)(void *ctx, uint32_t number, struct veld_forward_use *out);
    void (*set_forward_rate)(void *ctx, uint64_t bytes_per_s);
};

struct veld_volunteer;
/* It relays for nobody until `set` says so. `numbers` outlives it; `ops` is copied. */
struct veld_volunteer *veld_volunteer_new(struct veld_circuit_numbers *numbers,
                                          const struct veld_volunteer_ops *ops);
/* Numbers that are taken stay so: `set` before. NULL is allowed. */
void veld_volunteer_free(struct veld_volunteer *v);

struct veld_volunteer_policy {
    bool relays;          /* false: circuits that there are end */
    uint64_t bytes_per_s; /* of all circuits together; 0: no bound */
};
/* Nothing when it is so already. */
void veld_volunteer_set(struct veld_volunteer *v, const struct veld_volunteer_policy *policy);

/* VELD_MSG_CIRCUIT_OPEN or _CLOSE from a peer that is in good standing; others are ignored. */
void veld_volunteer_on_message(struct veld_volunteer *v, uint32_t from,
                               const struct veld_message *m, uint64_t now_ns);
/* A session with the peer is used, or has new keys. */
void veld_volunteer_on_use(struct veld_volunteer *v, uint32_t peer, uint64_t now_ns);
/* The peer has another endpoint. */
void veld_volunteer_peer_moved(struct veld_volunteer *v, uint32_t peer);
/* Its last session is over: it said goodbye, or nothing was heard for long. */
void veld_volunteer_peer_left(struct veld_volunteer *v, uint32_t peer);
/* It is removed or blocked; its number may be another's next. */
void veld_volunteer_peer_gone(struct veld_volunteer *v, uint32_t peer);
void veld_volunteer_tick(struct veld_volunteer *v, uint64_t now_ns);

struct veld_volunteer_counts {
    unsigned ready, half_open; /* circuits there are */
    uint64_t opened;           /* that came to be ready */
    uint64_t refused, ignored; /* OPENs: answered by REFUSED; more than its member may send */
};
struct veld_volunteer_counts veld_volunteer_count(const struct veld_volunteer *v);

#endif
