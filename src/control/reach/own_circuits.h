/*
 * This machine's circuits: paths to peers through relays (members who forward without reading).
 *
 * A circuit is asked for by OPEN, which both ends send to the relay; it is ready when the relay
 * says by OPENED that both have. Then it is an endpoint (veld_endpoint_circuit) as any other, that
 * the engine tries, uses and leaves. OPEN is repeated while a circuit is kept: a relay that was
 * restarted learns it anew, one that does not answer is no path.
 *
 * A circuit ends when its peer is reached directly for VELD_OWN_CIRCUITS_SPARE_NS, when nobody talks to
 * the peer for as long, when it is not ready in VELD_OWN_CIRCUITS_PENDING_NS, and when the relay says so.
 *
 * Invariants:
 *  - nothing that was not asked for becomes a circuit, whatever a relay says;
 *  - no circuit leads through a relay that is itself reached by one, or that may relay no more;
 *  - at most VELD_OWN_CIRCUITS_MAX in all, VELD_OWN_CIRCUITS_PER_RELAY_MAX through one relay,
 *    VELD_KNOWN_CIRCUITS_MAX to one peer; a number is taken exactly while its circuit is here.
 *
 * Order of calls: new; want, on_session, on_message, peer_gone as things happen, which send
 * nothing; run twice a second, and when `deadline` has come. Pure: times are passed in, > 0.
 * Control thread.
 */
#ifndef VELD_CONTROL_REACH_OWN_CIRCUITS_H
#define VELD_CONTROL_REACH_OWN_CIRCUITS_H

#include "base/clock.h"
#include "control/reach/circuit_numbers.h"
#include "dataplane/dataplane.h"
#include "wire/message.h"

#define VELD_OWN_CIRCUITS_MAX           1024
#define VELD_OWN_CIRCUITS_PER_RELAY_MAX 256
#define VELD_OWN_CIRCUITS_RELAYS_MAX    3 /* asked for one peer at once */

#define VELD_OWN_CIRCUITS_RETRY_NS   (250 * VELD_NS_PER_MS) /* to the second OPEN; doubled then */
#define VELD_OWN_CIRCUITS_MUTE_NS    (3 * VELD_NS_PER_S)  /* unanswered for so long: no path */
#define VELD_OWN_CIRCUITS_REFRESH_NS (50 * VELD_NS_PER_S) /* from an answer to the next OPEN */
#define VELD_OWN_CIRCUITS_PENDING_NS (30 * VELD_NS_PER_S)
#define VELD_OWN_CIRCUITS_SPARE_NS   (30 * VELD_NS_PER_S)
#define VELD_OWN_CIRCUITS_REFUSED_NS                                                           \
    (15 * VELD_NS_PER_S) /* who refused is not asked for so long */

/* How a peer is reached now. */
enum veld_reached {
    VELD_REACHED_UNUSED, /* no session, and nobody wants one */
    VELD_REACHED_DIRECT,
    VELD_REACHED_NOT_YET, /* it is sought, or answers no more */
    VELD_REACHED_RELAYED,
};

struct veld_own_circuits_ops {
    void *ctx;
    enum veld_reached (*reached)(void *ctx, uint32_t peer);
    /* May it relay? Else its circuits end. */
    bool (*is_relay)(void *ctx, uint32_t peer);
    /* Has it a session, at an address? */
    bool (*is_direct)(void *ctx, uint32_t relay);
    int (*send)(void *ctx, uint32_t relay, const struct veld_message *m);
    /* Make a session with a relay that has none. */
    void (*call)(void *ctx, uint32_t relay);
    int (*circuit_set)(void *ctx, const struct veld_circuit *c);
    void (*circuit_remove)(void *ctx, uint32_t number);
    /* All the circuits to the peer that are ready now; changed since the last time. */
    void (*on_ready)(void *ctx, uint32_t peer, const struct veld_endpoint *list, size_t n);
};

struct veld_own_circuits;
/* `numbers` outlives it; `ops` is copied. */
struct veld_own_circuits *veld_own_circuits_new(struct veld_circuit_numbers *numbers,
                                                const struct veld_own_circuits_ops *ops);
/* Nothing is sent and removed any more. NULL is allowed. */
void veld_own_circuits_free(struct veld_own_circuits *r);

/*
 * A path to the peer `pub` through this relay is wanted from `from_ns` on, if the peer is not reached
 * directly by then; one there is is asked for again. VELD_E_FULL; VELD_E_STATE: it refused lately.
 */
VELD_MUST_USE int veld_own_circuits_want(struct veld_own_circuits *r, uint32_t peer,
                                         const uint8_t pub[32], uint32_t relay,
                                         uint64_t from_ns, uint64_t now_ns);
/* A session with the relay is used, or has new keys. */
void veld_own_circuits_on_session(struct veld_own_circuits *r, uint32_t relay, uint64_t now_ns);
/* OPENED, REFUSED, CLOSE from this relay. */
void veld_own_circuits_on_message(struct veld_own_circuits *r, uint32_t relay,
                                  const struct veld_message *m, uint64_t now_ns);
/* It is removed or blocked; as a relay, too. Its number may be another's next. */
void veld_own_circuits_peer_gone(struct veld_own_circuits *r, uint32_t peer);

void veld_own_circuits_run(struct veld_own_circuits *r, uint64_t now_ns);
/* When the next OPEN is due; UINT64_MAX: none is. */
uint64_t veld_own_circuits_deadline(const struct veld_own_circuits *r);

/* ---- To look at ---- */

/* Through whom the circuit of this number leads. False: there is none. */
bool veld_own_circuits_relay(const struct veld_own_circuits *r, uint32_t number,
                             uint32_t *relay);
/* Has the relay refused a circuit to this peer lately? */
bool veld_own_circuits_is_refused(const struct veld_own_circuits *r, uint32_t peer,
                                  uint32_t relay);
struct veld_own_circuits_counts {
    unsigned asked, ready, refused; /* of circuits to one peer */
    uint8_t refusal;                /* of one that refused: enum veld_circuit_refusal */
};
struct veld_own_circuits_counts veld_own_circuits_count(const struct veld_own_circuits *r,
                                                        uint32_t peer);
/* Circuits there are, whatever their state. */
size_t veld_own_circuits_total(const struct veld_own_circuits *r);

#endif
