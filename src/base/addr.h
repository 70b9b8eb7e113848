/*
 * IP addresses, prefixes and UDP endpoints, as values.
 *
 * Invariant: a `veld_ip` is canonical: family 4, 6 or 0 (none), bytes past the
 * family's length zero, and an IPv4-mapped IPv6 address is stored as the IPv4
 * address it maps, so that equality is memcmp.
 *
 * Pure; any thread.
 */
#ifndef VELD_BASE_ADDR_H
#define VELD_BASE_ADDR_H

#include "base/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct veld_ip {
    uint8_t family; /* 4, 6, or 0 for none */
    uint8_t b[16];  /* network order */
};

struct veld_prefix {
    struct veld_ip ip; /* host bits are zero after veld_prefix_mask */
    uint8_t len;       /* 0..32 or 0..128 */
};

/*
 * Where a datagram goes to or came from. `ip.family == 0` means unknown. A circuit through a
 * relay is an endpoint too: it has a number of its own and no address.
 */
struct veld_endpoint {
    struct veld_ip ip;
    uint16_t port;  /* host order */
    uint32_t scope; /* IPv6 link-local: interface index; a circuit: its number; else 0 */
};

#define VELD_FAMILY_CIRCUIT 1 /* of an endpoint's ip; all else of it is zero */

/* Text sizes, NUL included. */
#define VELD_IP_STRLEN       46
#define VELD_PREFIX_STRLEN   50
#define VELD_ENDPOINT_STRLEN 72

/* Text to value. VELD_E_FORMAT when it is not one; `out` is then untouched. */
VELD_MUST_USE int veld_ip_parse(const char *text, struct veld_ip *out);
/* "10.0.0.1/24"; a bare address is a host prefix. Host bits are kept: mask when a network is meant. */
VELD_MUST_USE int veld_prefix_parse(const char *text, struct veld_prefix *out);
/* "1.2.3.4:51820", "[2001:db8::1]:51820", "[fe80::1%eth0]:51820". Port 1..65535. */
VELD_MUST_USE int veld_endpoint_parse(const char *text, struct veld_endpoint *out);
/* Where to listen: the same, or ":51820" for all addresses of both families; never multicast. */
VELD_MUST_USE int veld_endpoint_parse_listen(const char *text, struct veld_endpoint *out);

/* Value to text; `out` has the size named above. Returns `out`. "-" for none, "circuit 1a2b3c4d". */
char *veld_ip_format(const struct veld_ip *ip, char out[VELD_IP_STRLEN]);
char *veld_prefix_format(const struct veld_prefix *p, char out[VELD_PREFIX_STRLEN]);
char *veld_endpoint_format(const struct veld_endpoint *e, char out[VELD_ENDPOINT_STRLEN]);

bool veld_ip_equal(const struct veld_ip *a, const struct veld_ip *b);
bool veld_endpoint_equal(const struct veld_endpoint *a, const struct veld_endpoint *b);

static inline struct veld_endpoint veld_endpoint_circuit(uint32_t number)
{
    return (struct veld_endpoint){.ip.family = VELD_FAMILY_CIRCUIT, .scope = number};
}

static inline bool veld_endpoint_is_circuit(const struct veld_endpoint *e)
{
    return e->ip.family == VELD_FAMILY_CIRCUIT;
}

/* Number of address bits: 32 or 128. */
unsigned veld_ip_bits(const struct veld_ip *ip);
void veld_prefix_mask(struct veld_prefix *p);
bool veld_prefix_contains(const struct veld_prefix *p, const struct veld_ip *ip);
bool veld_prefix_overlaps(const struct veld_prefix *a, const struct veld_prefix *b);
/* A host prefix (/32 or /128) of `ip`. */
struct veld_prefix veld_prefix_host(const struct veld_ip *ip);

/* Loopback, unspecified, multicast or limited broadcast: never a peer's endpoint or inner source. */
bool veld_ip_is_unicast(const struct veld_ip *ip);

/*
 * To and from the kernel's form. `family` is the socket's: IPv4 on an AF_INET6
 * socket becomes mapped; IPv6 on an AF_INET socket, and a circuit, is VELD_E_UNSUPPORTED.
 */
VELD_MUST_USE int veld_endpoint_to_sockaddr(const struct veld_endpoint *e, int family,
                                            struct sockaddr_storage *out, socklen_t *len);
VELD_MUST_USE int veld_endpoint_from_sockaddr(const struct sockaddr *sa, socklen_t len,
                                              struct veld_endpoint *out);

#endif
