/*
 * The service's inside, shared by the files of src/coord/service.
 *
 * Thread: the server's loop.
 */
#ifndef VELD_COORD_SERVICE_IMPL_H
#define VELD_COORD_SERVICE_IMPL_H

#include "coord/registry/registry.h"
#include "coord/service.h"
#include "coord/service/nonces.h"
#include "coord/service/rates.h"

#define VELD_JOINS_MAX             256 /* requests of a network at once */
#define VELD_JOINS_PER_ADDRESS_MAX 32
#define VELD_JOIN_KEPT_S           86400
/* A network of which nobody has been a member for so long is forgotten; its owner may put it again. */
#define VELD_EMPTY_NETWORK_KEPT_S (30 * 86400)
/* For so long after a network came back to a server that had lost it, tokens admit as if not expired. */
#define VELD_RETURN_S (7 * 86400)
#define VELD_CHORES_S 10 /* what has ended is looked for so often */

struct veld_events;

struct veld_service {
    struct veld_service_config cfg;
    struct veld_registry *registry;
    bool is_started; /* the host was told */
    struct veld_nonces *nonces;
    struct veld_rates *calls_by_address, *calls_by_key, *networks_by_address, *joins_by_address;
    struct veld_rates *revocations_by_network;
    struct veld_now now; /* as told last */
    uint64_t chores_ns;  /* when they are next due */
    /* watch.c's. */
    struct veld_events *events;
    GQueue leases;       /* members without a watch that are online, by when that ends */
    GQueue to_look_at;   /* watchers that may have something after the commit */
    GQueue to_tell;      /* nets whose changes wait for their time */
    size_t signal_bytes; /* waiting in all watches */
    struct veld_service_stats stats;
};

#endif
