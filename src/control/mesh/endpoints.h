/*
 * Where this machine says it may be reached: of the addresses it has, those it is mapped to,
 * and the one that the coord server sees, the likeliest first.
 *
 * Invariants: at most VELD_MEMBER_ENDPOINTS_MAX, each once; none that means this
 * host or a link only, and none inside the network itself or another tunnel of this
 * host, where a tunnel would lead into itself or the other; the same addresses in the
 * same order give the same list.
 *
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_MESH_ENDPOINTS_H
#define VELD_CONTROL_MESH_ENDPOINTS_H

#include "control/mesh/policy.h"

struct veld_endpoints_from {
    const struct veld_prefix
        *addrs; /* of this host's interfaces, the tunnel's aside; host bits kept */
    size_t n_addrs;
    /* Where we are seen, by port mappings and STUN, with the port there. */
    const struct veld_endpoint *mapped;
    size_t n_mapped;
    /* By the coord server; family 0: not known. Not used beside a mapped one of its family. */
    struct veld_ip seen;
    const struct veld_prefix *networks; /* of the mesh */
    size_t n_networks;
    const struct veld_prefix *tunnels; /* networks of other daemons' interfaces here */
    size_t n_tunnels;
    const struct veld_prefix *routes; /* into the tunnel, in any order; for _usable alone */
    size_t n_routes;
    uint16_t port;
    uint8_t family; /* 4 or 6: the only one that the socket takes; 0: both */
};

/* Returns how many. */
size_t veld_endpoints_choose(const struct veld_endpoints_from *from,
                             struct veld_endpoint out[VELD_MEMBER_ENDPOINTS_MAX]);

/*
 * Where a peer may be reached from here, of what it says: no circuit, not inside the network or
 * another tunnel, not inside a route that is in use (`self->routes`, and `cover`: cover.h), nothing
 * that is this machine's own, no address that is all of one of its networks, and a link-local one
 * only with its interface as scope. Returns how many.
 */
size_t veld_endpoints_usable(const struct veld_endpoints_from *self,
                             const struct veld_prefix *cover, size_t n_cover,
                             const struct veld_endpoint *says, size_t n,
                             struct veld_endpoint out[VELD_MEMBER_ENDPOINTS_MAX]);

#endif
