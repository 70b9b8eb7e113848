/*
 * When the default gateway is asked for a port mapping, what its answers are worth, and how long.
 *
 * Asked at the start, when the network is another one, at half of a lease, and, when nothing came
 * of it, after pauses that double. Not at all while there is a reason against it (`why`).
 *
 * Invariants: a mapping that is held belongs to the present network, has a global unicast address,
 * and its lease is not over; two questions are at least VELD_PORTMAP_GAP_NS apart, but where the
 * network changed; an answer counts for the question of its number only.
 *
 * An address outside that is private is a second NAT's, at which nobody asked for anything (double
 * NAT): nobody could reach it, so it is told to nobody, and the mapping is given back.
 *
 * Pure; control thread.
 */
#ifndef VELD_CONTROL_REACH_PORTMAP_PLAN_H
#define VELD_CONTROL_REACH_PORTMAP_PLAN_H

#include "base/clock.h"
#include "control/host/netif_gateway.h"
#include "portmap/answer.h"

#define VELD_PORTMAP_SETTLE_NS    (1 * VELD_NS_PER_S) /* routes come after addresses */
#define VELD_PORTMAP_GAP_NS       (10 * VELD_NS_PER_S)
#define VELD_PORTMAP_AGAIN_NS     (60 * VELD_NS_PER_S) /* addresses changed, but not these */
#define VELD_PORTMAP_PAUSE_NS     (60 * VELD_NS_PER_S) /* the first of those that double */
#define VELD_PORTMAP_PAUSE_MAX_NS (3600 * VELD_NS_PER_S)
/* A mapping without a lease: looked after as one of two hours, since routers forget. */
#define VELD_PORTMAP_PERMANENT_NS (VELD_PORTMAP_LEASE_S * VELD_NS_PER_S)

/* Why there is no mapping. */
enum veld_portmap_why {
    VELD_PORTMAP_WHY_ASKING,     /* the first answer is not here yet */
    VELD_PORTMAP_WHY_OFF,        /* port_mapping = "off" */
    VELD_PORTMAP_WHY_PUBLIC,     /* this machine has a global IPv4 address */
    VELD_PORTMAP_WHY_NO_IPV4,    /* it does not listen at the address that the gateway knows */
    VELD_PORTMAP_WHY_NO_GATEWAY, /* no way to the Internet by a router */
    VELD_PORTMAP_WHY_SILENT,
    VELD_PORTMAP_WHY_REFUSED,
    VELD_PORTMAP_WHY_NO_ADDRESS, /* the router itself is not connected */
    VELD_PORTMAP_WHY_DOUBLE_NAT,
    VELD_PORTMAP_WHY_NO_PROGRAM, /* veld-portmap is not there */
};

struct veld_portmap_net {
    /* OFF, PUBLIC, NO_IPV4 or NO_GATEWAY: nobody is asked. ASKING: the gateway may be. */
    enum veld_portmap_why why;
    struct veld_gateway gateway;
};

struct veld_portmap_plan {
    struct veld_portmap_net net;
    enum veld_portmap_why why;
    struct veld_portmap_answer held; /* result MAPPED; else there is none */
    uint64_t expires_ns;             /* of what is held */
    uint64_t next_ns;                /* of the next question; UINT64_MAX: none */
    uint64_t asked_ns;               /* the last question; 0: none in this network */
    unsigned failures;               /* in a row */
    uint32_t number;                 /* of the question under way, or the last */
    bool asking;
    struct veld_ip outside; /* DOUBLE_NAT: the gateway's address there */
};

void veld_portmap_plan_init(struct veld_portmap_plan *p); /* OFF until a network is told */
/* The machine's addresses, routes or settings may have changed. What was held in another network is gone. */
void veld_portmap_plan_on_net(struct veld_portmap_plan *p, const struct veld_portmap_net *net,
                              uint64_t now_ns);
bool veld_portmap_plan_holds(const struct veld_portmap_plan *p);
/* A lease that is over ends here. True: it is time for a question. */
bool veld_portmap_plan_is_due(struct veld_portmap_plan *p, uint64_t now_ns);
/* When to look again; UINT64_MAX: not until something happens. */
uint64_t veld_portmap_plan_deadline(const struct veld_portmap_plan *p);
/* A question goes out: its number. */
uint32_t veld_portmap_plan_begin(struct veld_portmap_plan *p, uint64_t now_ns);

enum veld_portmap_do { VELD_PORTMAP_DO_NOTHING, VELD_PORTMAP_DO_UNMAP };
/*
 * NULL: veld-portmap cannot be started. DO_UNMAP: what the answer speaks of is to be given back.
 */
enum veld_portmap_do veld_portmap_plan_on_answer(struct veld_portmap_plan *p, uint32_t number,
                                                 const struct veld_portmap_answer *answer,
                                                 uint64_t now_ns);

#endif
