/*
 * Where this machine may be reached, for all who tell it to others: its record and calls in coord
 * mode, the candidates it sends in sessions, LAN mode.
 *
 * Candidates, as RFC 8445 has them: host addresses, mapped ones (by a port mapping, or as STUN
 * servers see us: server-reflexive), and the address the coord server sees with our own port, a
 * guess that is made only while nothing better is known of its family.
 *
 * Invariants: at most VELD_SELF_CANDIDATES_MAX, best first, each once; none that means this host
 * or one link only, and none inside a tunnel of this host. `on_change` is called when, and only
 * when, the list is another one.
 *
 * What STUN servers and gateways say is not authenticated. A lie costs this much: peers send
 * paced, authenticated initiations to an address that is not ours, as many as to any candidate.
 *
 * Order of calls: new, anything, free.
 * Control thread; no source of the main loop is its own.
 */
#ifndef VELD_CONTROL_REACH_SELF_H
#define VELD_CONTROL_REACH_SELF_H

#include "base/addr.h"
#include "control/host/addresses.h"

#include <net/if.h>

#define VELD_SELF_CANDIDATES_MAX 8
#define VELD_SELF_NETWORKS_MAX   8

/* Who says that we are seen at another address. */
enum veld_self_source {
    VELD_SELF_UPNP,
    VELD_SELF_NATPMP,
    VELD_SELF_STUN4,
    VELD_SELF_STUN6,
    VELD_SELF_SOURCES,
};

struct veld_self_config {
    const char *interface; /* the tunnel's, whose addresses do not count; copied */
    struct veld_endpoint listen;
    uint16_t port;
    const struct veld_prefix *networks; /* inside the tunnel; copied */
    size_t n_networks;                  /* at most VELD_SELF_NETWORKS_MAX count */
    /* NULL: veld_host_addresses. */
    size_t (*addresses)(const char *without, enum veld_host_side side,
                        struct veld_prefix out[VELD_HOST_ADDRS_MAX]);
    void (*on_change)(void *ctx); /* may be NULL; not called by new */
    void *ctx;
};

struct veld_self;
struct veld_self *veld_self_new(const struct veld_self_config *cfg);
void veld_self_free(struct veld_self *s); /* NULL is allowed */

/* Best first. Returns how many. */
size_t veld_self_candidates(const struct veld_self *s,
                            struct veld_endpoint out[VELD_SELF_CANDIDATES_MAX]);
/* This host's addresses with their networks' lengths, tunnels' aside. Borrowed until the next change. */
size_t veld_self_addresses(const struct veld_self *s, const struct veld_prefix **out);
/* The same of the tunnels that other daemons here have. */
size_t veld_self_tunnels(const struct veld_self *s, const struct veld_prefix **out);
/* Has this machine this very address? */
bool veld_self_has(const struct veld_self *s, const struct veld_ip *ip);
/*
 * As RFC 8445 sees it: a mapped address is known, of this family (4, 6), that is none of our own.
 */
bool veld_self_is_behind_nat(const struct veld_self *s, uint8_t family);
/* An address of ours that everybody may reach, as far as addresses tell; family 0: there is none. */
struct veld_endpoint veld_self_public(const struct veld_self *s);

/* This machine's addresses may have changed: they are read again. */
void veld_self_on_address_change(struct veld_self *s);
/* What the coord server sees; family 0: it tells nothing. */
void veld_self_set_seen(struct veld_self *s, const struct veld_ip *seen);
/* Where we are seen, by this source; family 0: no longer. What is not a unicast address is not taken. */
void veld_self_add_mapped(struct veld_self *s, enum veld_self_source source,
                          const struct veld_endpoint *mapped);
struct veld_endpoint veld_self_mapped(const struct veld_self *s, enum veld_self_source source);

#endif
