/*
 * What stands between the nodes of a world where not everybody reaches everybody: NATs, networks
 * that some nodes share, and relays with circuits through them.
 *
 *   node n in its network    192.168.LAN.n, which only that network's nodes reach
 *   node n from outside      203.0.113.n, by a NAT of its own, or without one (NAT_NONE)
 *   circuit                  number_of(relay, node, peer): how `node` names the way to `peer`
 *
 * Mapping and filtering are those of docs/NAT.md. A flow that nothing left by for `lifetime_ns`
 * is forgotten, and with it who may come in by it.
 *
 * Order of calls: init; then a packet that leaves passes paths_leave, and when its time has
 * come paths_arrive. One thread.
 */
#ifndef VELD_TESTS_SIM_PATHS_H
#define VELD_TESTS_SIM_PATHS_H

#include "world.h"

#define RELAYS_MAX 3
#define FLOWS_MAX  64 /* of a NAT; the one that was used least lately makes room */
#define SEEN_MAX   (2 + RELAYS_MAX)

enum nat_kind { NAT_NONE, NAT_FULL_CONE, NAT_ADDRESS, NAT_PORT, NAT_SYMMETRIC, NAT_BLOCKED };

struct flow {
    struct veld_endpoint remote; /* family 0: free */
    uint16_t port;               /* outer */
    uint64_t last_ns;
};

struct nat {
    enum nat_kind kind;
    unsigned lan;
    bool hairpin; /* turns back what its own network sends to its outer side */
    struct flow flow[FLOWS_MAX];
};

struct relay {
    bool alive;
    uint64_t delay_ns;
    unsigned loss; /* per mille */
};

struct paths {
    struct nat nat[NODES_MAX];
    struct relay relay[RELAYS_MAX];
    unsigned n_relays;
    uint64_t lifetime_ns;
    struct veld_endpoint blocked[NODES_MAX]; /* what this node sends there is lost */
};

void paths_init(struct world *w, struct paths *paths);

/* Can these two meet without a relay (docs/NAT.md)? */
bool paths_direct(const struct paths *paths, unsigned a, unsigned b);
struct veld_endpoint paths_local(const struct paths *paths, unsigned node);
struct veld_endpoint paths_outer(unsigned node);
struct veld_endpoint paths_circuit(unsigned relay, unsigned node, unsigned peer);
/* Of a circuit's endpoint. */
unsigned paths_relay_of(const struct veld_endpoint *circuit);

/* Is this a way to `node`? */
bool paths_belongs(const struct paths *paths, const struct veld_endpoint *ep, unsigned node);
/* Node i sends it: false when it goes nowhere. Sets where it comes from, and delays it. */
bool paths_leave(struct world *w, unsigned i, struct packet *p);
/* The node that gets it, NODES_MAX: nobody. */
unsigned paths_arrive(struct world *w, struct packet *p);

#endif
