/*
 * Circuits and forwards by the number in a relayed datagram's header.
 *
 * A flat table as index.h's: the low 12 bits of a number are its slot, and the
 * whole number is compared. A circuit is our own way to a peer through a relay;
 * a forward is one direction of somebody else's through us.
 *
 * Invariants:
 *  - what may change of an entry are its index, its rate, and what was counted;
 *    an entry with other peers is another entry;
 *  - an entry remembers peers by veld_peer_ref and is removed with them, so it
 *    never leads to the next peer of a number.
 *
 * Control thread writes; workers find, through RCU.
 */
#ifndef VELD_DATAPLANE_CIRCUIT_H
#define VELD_DATAPLANE_CIRCUIT_H

#include "dataplane/peer.h"
#include "dataplane/rate.h"

enum veld_circuit_kind { VELD_CIRCUIT, VELD_FORWARD };

/* What one worker forwarded: its own line. */
struct veld_forward_line {
    _Alignas(VELD_CACHE_LINE) veld_counter datagrams;
    veld_counter bytes, last_ns;
};

struct veld_circuit_entry {
    struct veld_rcu rcu;
    uint32_t number;
    enum veld_circuit_kind kind;
    struct veld_peer_ref from, to; /* of a circuit: both the relay */
    _Atomic uint32_t remote_index; /* what leaves carries it */
    unsigned n_lines;
    struct veld_forward_line *lines; /* of a forward: one a worker */
    struct veld_rate rate;           /* of a forward */
};

struct veld_circuits {
    _Atomic(struct veld_circuit_entry *) *slots; /* VELD_CIRCUITS_MAX */
    struct veld_rate *rate;                      /* of all forwards together */
    unsigned n;                                  /* control's */
};

VELD_MUST_USE int veld_circuits_init(struct veld_circuits *c);
/* With the entries in it; no worker runs. */
void veld_circuits_free(struct veld_circuits *c);

/*
 * Add, or change what may change of, the entry of this number. `from` and `to`
 * are peers; a circuit's `n_lines` is 0. VELD_E_RANGE (number 0), VELD_E_EXIST (another's slot),
 * VELD_E_NOMEM.
 */
struct veld_circuit_spec {
    uint32_t number, remote_index;
    enum veld_circuit_kind kind;
    struct veld_peer_ref from, to;
    uint64_t bytes_per_s;
    unsigned n_lines;
};
VELD_MUST_USE int veld_circuits_set(struct veld_circuits *c, const struct veld_circuit_spec *s);
/* Unpublish and retire, when there is one of this kind. */
void veld_circuits_remove(struct veld_circuits *c, enum veld_circuit_kind kind,
                          uint32_t number);
/* All that lead to or from this peer. */
void veld_circuits_forget_peer(struct veld_circuits *c, struct veld_peer_ref peer);

static inline struct veld_circuit_entry *veld_circuits_find(const struct veld_circuits *c,
                                                            uint32_t number)
{
    /* Acquire pairs with the release in set: the entry is whole. */
    struct veld_circuit_entry *e =
        atomic_load_explicit(&c->slots[number % VELD_CIRCUITS_MAX], memory_order_acquire);
    return e && e->number == number ? e : NULL;
}

/* How a datagram leaves by circuit `number` now. */
struct veld_circuit_way {
    const struct veld_path *relay; /* within the turn; never a circuit itself */
    uint32_t remote_index;
};
/* False when there is no such circuit, or its relay has no address now. */
VELD_MUST_USE bool veld_circuit_resolve(const struct veld_circuits *c,
                                        const struct veld_peers *peers, uint32_t number,
                                        struct veld_circuit_way *out);

#endif
